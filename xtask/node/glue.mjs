// Makes the WebAssembly module and wasm-bindgen's JavaScript for it smaller: gives what they import from each other short
// names, and takes out what this package does not need.
//
//     node glue.mjs MODULE JAVASCRIPT VERSION

import { readFileSync, writeFileSync } from 'node:fs';

const [modulePath, javascriptPath, version] = process.argv.slice(2);
if (version === undefined) {
  console.error('error: name the module, its JavaScript and the version of the package');
  process.exit(2);
}

/** Sections of a module, by the number of their kind. */
const IMPORTS = 2;
const EXPORTS = 7;
/** Kinds of imports and exports; those that are neither have one number more than a function, or more. */
const FUNCTION = 0;

/** Exports that are looked for by their names. */
const NAMED = ['memory', '__wbindgen_start'];
/** Those that are left. */
let used;

// --- The module ---------------------------------------------------------------------------------------------

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get isAtEnd() { return this.at >= this.bytes.length; }

  byte() {
    this.at += 1;
    return this.bytes[this.at - 1];
  }

  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  take(size) {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  text() { return Buffer.from(this.take(this.number())).toString(); }
}

function leb(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 0x80);
  }
}

const withSize = (bytes) => [...leb(bytes.length), ...bytes];
const text = (name) => withSize([...Buffer.from(name)]);

/** `a`, `b`, …, `z`, `A`, …, `Z`, `aa`, … */
function shortName(index) {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const rest = Math.floor(index / letters.length);
  return (rest > 0 ? shortName(rest - 1) : '') + letters[index % letters.length];
}

/** The short names: `imports` by module and name, `exports` by name. */
const short = { imports: new Map(), exports: new Map() };

function renameImports(reader) {
  const count = reader.number();
  const bytes = leb(count);
  for (let index = 0; index < count; index += 1) {
    const [module, name, kind] = [reader.text(), reader.text(), reader.byte()];
    if (kind !== FUNCTION) throw fault(`the module imports ${name}, which is no function`);
    const names = short.imports.get(module) ?? new Map();
    if (!names.has(name)) names.set(name, shortName([...short.imports.values()].reduce((sum, { size }) => sum + size, 0)));
    short.imports.set(module, names);
    // That of another version has another name for what it imports from.
    bytes.push(...text(version), ...text(names.get(name)), kind, ...leb(reader.number()));
  }
  return bytes;
}

function renameExports(reader) {
  const bytes = [];
  for (let count = reader.number(); count > 0; count -= 1) {
    const [name, kind, index] = [reader.text(), reader.byte(), reader.number()];
    if (!used.has(name)) continue;
    short.exports.set(name, NAMED.includes(name) ? name : shortName(short.exports.size));
    bytes.push(...text(short.exports.get(name)), kind, ...leb(index));
  }
  return [...leb(short.exports.size), ...bytes];
}

function renamed(module) {
  const reader = new Reader(module, 8);
  const bytes = [...module.subarray(0, 8)];
  while (!reader.isAtEnd) {
    const [kind, content] = [reader.byte(), reader.take(reader.number())];
    const rename = { [IMPORTS]: renameImports, [EXPORTS]: renameExports }[kind];
    const changed = rename ? rename(new Reader(content)) : [...content];
    bytes.push(kind);
    for (const byte of withSize(changed)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

// --- The JavaScript -----------------------------------------------------------------------------------------

function fault(what) {
  return new Error(`wasm-bindgen's output is not as glue.mjs expects: ${what}`);
}

/** What is taken out or made simpler: what is there, once, and what comes in its place. */
const SIMPLER = [
  // Nobody frees a core: it goes when it is collected.
  [/ {4}__destroy_into_raw\(\) \{.*?\n {4}\}\n {4}free\(\) \{.*?\n {4}\}\n/s, ''],
  [/^if \(Symbol\.dispose\) .*\n/m, ''],
  [/^const CLOSURE_DTORS = .*?;\n\n/ms, ''],
  // The one closure lives for as long as the instance.
  [/^function makeClosure\(.*?\n\}\n/ms, 'function makeClosure(a, b, invoke) {\n    return (...given) => invoke(a, b, ...given);\n}\n'],
  // No text is long or comes often.
  [/(^function passStringToWasm0\(arg, malloc), realloc\) \{\n    if \(realloc === undefined\) \{\n(.*?)\n    \}\n.*?\n\}\n/ms, '$1) {\n$2\n}\n'],
  [/, wasm\.__wbindgen_realloc\)/, ')'],
  [/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{.*?\n\}\n/ms, ''],
  [/^const MAX_SAFARI_DECODE_BYTES = .*?\n\}\n/ms, 'function decodeText(bytes) {\n    return cachedTextDecoder.decode(bytes);\n}\n'],
  [/^let cachedDataViewMemory0 = .*?\n\}\n/ms, 'function getDataViewMemory0() {\n    return new DataView(wasm.memory.buffer);\n}\n'],
  [/^let cachedUint8ArrayMemory0 = .*?\n\}\n/ms, 'function getUint8ArrayMemory0() {\n    return new Uint8Array(wasm.memory.buffer);\n}\n'],
];

function simpler(javascript) {
  return SIMPLER.reduce((before, [found, instead]) => {
    const after = before.replace(found, instead);
    if (after === before) throw fault(`there is no ${found}`);
    if (found.test(after) && instead === '') throw fault(`there is more than one ${found}`);
    return after;
  }, javascript);
}

/** The functions that the module imports, in one object. */
function shortImports(javascript) {
  const own = './steady_socket_wasm_bg.js';
  let changed = javascript;
  for (const [name, by] of short.imports.get(own)) {
    const after = changed.replace(`        ${name}: function`, `        ${by}: function`);
    if (after === changed) throw fault(`there is no ${name}`);
    changed = after;
  }
  const others = [...short.imports].filter(([module]) => module !== own).flatMap(([module, names]) => {
    const imported = javascript.match(new RegExp(`"${module.replaceAll('.', '\\.')}": (\\w+),`));
    if (!imported) throw fault(`nothing is imported from ${module}`);
    return [...names].map(([name, by]) => `        ${by}: ${imported[1]}.${name},\n`);
  });
  const parts = changed.match(/^(.*? {4}const import0 = \{\n {8}__proto__: null,\n)(.*?)( {4}\};\n) {4}return \{\n.*?\n {4}\};\n(.*)$/s);
  if (!parts) throw fault('there is no import0');
  const [, before, functions, end, after] = parts;
  return `${before}${functions}${others.join('')}${end}    return { '${version}': import0 };\n${after}`;
}

function shortExports(javascript) {
  const of = (name) => short.exports.get(name) ?? (() => { throw fault(`the module does not export ${name}`); })();
  return javascript
    .replace(/\bwasm\.(\w+)/g, (_, name) => `wasm.${of(name)}`)
    .replace(/wasm = \{ (\w+)\(\) \{\}/, (_, name) => `wasm = { ${of(name)}() {}`);
}

const javascript = simpler(readFileSync(javascriptPath, 'utf8'));
used = new Set([...NAMED, ...Array.from(javascript.matchAll(/\bwasm(?:\.| = \{ )(\w+)/g), ([, name]) => name)]);
writeFileSync(modulePath, renamed(readFileSync(modulePath)));
writeFileSync(javascriptPath, shortExports(shortImports(javascript)));
