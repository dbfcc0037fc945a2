// Makes the WebAssembly module and its wasm-bindgen JavaScript smaller: shortens the names of what they import from
// each other, and removes what this package does not need. Makes that JavaScript export `shared.js`. And adds to the
// module the function that `failure.js` calls to check that the stack has room.
//
//     node glue.mjs MODULE JAVASCRIPT VERSION WASM_OPT

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [modulePath, javascriptPath, version, wasmOpt] = process.argv.slice(2);
if (wasmOpt === undefined) {
  console.error('error: name the module, its JavaScript, the version of the package and wasm-opt');
  process.exit(2);
}

/** The sections of a module, by id. */
const TYPES = 1;
const IMPORTS = 2;
const FUNCTIONS = 3;
const EXPORTS = 7;
const CODE = 10;
/** The kind of an import or export. */
const FUNCTION = 0;
/** The JavaScript name of the added function. */
const PROBE = 'steady_socket_probe';

/** Exports that are looked up by name. */
const NAMED = ['memory', '__wbindgen_start'];
/** The exports that remain. */
let used;

// --- The module ---------------------------------------------------------------------------------------------

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get isAtEnd() {
    return this.at >= this.bytes.length;
  }

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

  text() {
    return Buffer.from(this.take(this.number())).toString();
  }
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

/** The types of the added function (integer to float), and of a function that it calls (to float only). */
const PROBE_TYPE = '60017f017c';
const CALLED_TYPE = '6000017c';

/** The parts of the added function: indices of types and functions. */
const probe = { type: NaN, calledType: NaN, called: undefined, imported: 0, index: NaN };

function addType(reader) {
  const count = reader.number();
  const bytes = [...reader.bytes.subarray(reader.at)];
  const types = Array.from({ length: count }, () => {
    const start = reader.at;
    if (reader.byte() !== 0x60) throw fault('the module has a type that is no function');
    reader.take(reader.number());
    reader.take(reader.number());
    return Buffer.from(reader.bytes.subarray(start, reader.at)).toString('hex');
  });
  probe.calledType = types.indexOf(CALLED_TYPE);
  probe.type = count;
  return [...leb(count + 1), ...bytes, ...Buffer.from(PROBE_TYPE, 'hex')];
}

function addFunction(reader) {
  const count = reader.number();
  probe.index = probe.imported + count;
  return [...leb(count + 1), ...reader.bytes.subarray(reader.at), ...leb(probe.type)];
}

/**
 * A function that needs 10 KB of stack per recursion, but touches none of it: on entry, engines check that there is
 * room for the whole frame. Using that much stack from JavaScript takes a hundred times as long.
 */
function addCode(reader) {
  const HELD = 1_300;
  // biome-ignore format: instructions.
  const body = [
    // No locals; if the argument is negative, which it never is: many results that are all live at the end …
    0, 0x20, 0, 0x41, 0, 0x48, 0x04, 0x7c,
    ...Array(HELD).fill([0x10, ...leb(probe.called)]).flat(), ...Array(HELD - 1).fill(0xa0),
    // … and otherwise, if it is not 0, a recursive call with the argument minus one.
    0x05, 0x20, 0, 0x04, 0x7c, 0x20, 0, 0x41, 1, 0x6b, 0x10, ...leb(probe.index),
    0x05, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b, 0x0b, 0x0b,
  ];
  return [...leb(reader.number() + 1), ...reader.bytes.subarray(reader.at), ...withSize(body)];
}

function renameImports(reader) {
  const count = reader.number();
  const bytes = leb(count);
  probe.imported = count;
  for (let index = 0; index < count; index += 1) {
    const [module, name, kind] = [reader.text(), reader.text(), reader.byte()];
    if (kind !== FUNCTION) throw fault(`the module imports ${name}, which is no function`);
    const names = short.imports.get(module) ?? new Map();
    if (!names.has(name))
      names.set(name, shortName([...short.imports.values()].reduce((sum, { size }) => sum + size, 0)));
    short.imports.set(module, names);
    const type = reader.number();
    if (type === probe.calledType) probe.called = index;
    // Modules of other versions import from another name.
    bytes.push(...text(version), ...text(names.get(name)), kind, ...leb(type));
  }
  if (probe.called === undefined) throw fault('the module imports nothing that takes nothing and gives a float');
  return bytes;
}

function exportsOf(reader) {
  return Array.from({ length: reader.number() }, () => ({
    name: reader.text(),
    kind: reader.byte(),
    index: reader.number(),
  }));
}

function dropExports(reader) {
  const left = exportsOf(reader).filter(({ name }) => used.has(name));
  return [...leb(left.length), ...left.flatMap(({ name, kind, index }) => [...text(name), kind, ...leb(index)])];
}

function renameExports(reader) {
  const bytes = [];
  for (const { name, kind, index } of exportsOf(reader)) {
    short.exports.set(name, NAMED.includes(name) ? name : shortName(short.exports.size));
    bytes.push(...text(short.exports.get(name)), kind, ...leb(index));
  }
  const name = shortName(short.exports.size);
  short.exports.set(PROBE, name);
  return [...leb(short.exports.size), ...bytes, ...text(name), FUNCTION, ...leb(probe.index)];
}

/** By section id; sections come in this order. */
const RENAMED = {
  [TYPES]: addType,
  [IMPORTS]: renameImports,
  [FUNCTIONS]: addFunction,
  [EXPORTS]: renameExports,
  [CODE]: addCode,
};

function changed(module, changes) {
  const reader = new Reader(module, 8);
  const bytes = [...module.subarray(0, 8)];
  while (!reader.isAtEnd) {
    const [kind, content] = [reader.byte(), reader.take(reader.number())];
    const change = changes[kind];
    bytes.push(kind);
    for (const byte of withSize(change ? change(new Reader(content)) : content)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

// --- The JavaScript -----------------------------------------------------------------------------------------

function fault(what) {
  return new Error(`wasm-bindgen's output is not as glue.mjs expects: ${what}`);
}

/** What is removed or simplified: text that occurs exactly once, and its replacement. */
const SIMPLER = [
  // Nothing frees a core explicitly: it is garbage-collected.
  [/ {4}__destroy_into_raw\(\) \{.*?\n {4}\}\n {4}free\(\) \{.*?\n {4}\}\n/s, ''],
  [/^if \(Symbol\.dispose\) .*\n/m, ''],
  [/^const CLOSURE_DTORS = .*?;\n\n/ms, ''],
  // The single closure lives as long as the instance.
  [
    / {12}const ret = makeClosure\(arg0, arg1, (\w+)\);\n {12}return ret;/,
    '            return (id, what, number, value) => wasm.$1(arg0, arg1, id, what, number, value);',
  ],
  [/^function wasm_bindgen__convert__closures\w+\(.*?\n\}\n/ms, ''],
  [/^function makeClosure\(.*?\n\}\n/ms, ''],
  // Texts are short and rare.
  [
    /( {8}__wbg___wbindgen_string_get_\w+: function\(arg0, arg1\) \{\n).*?\n {8}\}/s,
    `$1            const isText = typeof arg1 === 'string';
            const bytes = new TextEncoder().encode(isText ? arg1 : '');
            const ptr = isText ? wasm.__wbindgen_malloc(bytes.length, 1) >>> 0 : 0;
            new Uint8Array(wasm.memory.buffer, ptr).set(bytes);
            new Uint32Array(wasm.memory.buffer, arg0 >>> 0).set([ptr, bytes.length]);
        }`,
  ],
  [/^function passStringToWasm0\(.*?\n\}\n/ms, ''],
  [/^const cachedTextEncoder = .*\n/m, ''],
  [/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{.*?\n\}\n/ms, ''],
  [/^let WASM_VECTOR_LEN = .*\n/m, ''],
  [/^function isLikeNone\(.*?\n\}\n/ms, ''],
  [/^let cachedDataViewMemory0 = .*?\n\}\n/ms, ''],
  [/^let cachedUint8ArrayMemory0 = .*?\n\}\n/ms, ''],
  [/^let cachedTextDecoder = .*?\n^function decodeText\(.*?\n\}\n/ms, ''],
  [
    /(^function getStringFromWasm0\(ptr, len\) \{\n).*?\n\}\n/ms,
    `$1    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array(wasm.memory.buffer, ptr >>> 0, len));
}
`,
  ],
  [/(const import0 = \{\n) {8}__proto__: null,\n/, '$1'],
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
  const others = [...short.imports]
    .filter(([module]) => module !== own)
    .flatMap(([module, names]) => {
      const imported = javascript.match(new RegExp(`"${module.replaceAll('.', '\\.')}": (\\w+),`));
      if (!imported) throw fault(`nothing is imported from ${module}`);
      return [...names].map(([name, by]) => `        ${by}: ${imported[1]}.${name},\n`);
    });
  const parts = changed.match(/^(.*? {4}const import0 = \{\n)(.*?)( {4}\};\n) {4}return \{\n.*?\n {4}\};\n(.*)$/s);
  if (!parts) throw fault('there is no import0');
  const [, before, functions, end, after] = parts;
  return `${before}${functions}${others.join('')}${end}    return { '${version}': import0 };\n${after}`;
}

function shortExports(javascript) {
  const of = (name) =>
    short.exports.get(name) ??
    (() => {
      throw fault(`the module does not export ${name}`);
    })();
  return javascript
    .replace(/\bwasm\.(\w+)/g, (_, name) => `wasm.${of(name)}`)
    .replace(/wasm = \{ (\w+)\(\) \{\}/, (_, name) => `wasm = { ${of(name)}() {}`);
}

const javascript = simpler(readFileSync(javascriptPath, 'utf8'));
used = new Set([...NAMED, ...Array.from(javascript.matchAll(/\bwasm(?:\.| = \{ )(\w+)/g), ([, name]) => name)]);
writeFileSync(modulePath, changed(readFileSync(modulePath), { [EXPORTS]: dropExports }));
// The same flags as wasm-pack's run, to remove code that only the dropped exports needed.
const [, flags] = readFileSync(new URL('../../client-wasm/Cargo.toml', import.meta.url), 'utf8').match(
  /^wasm-opt = (\[.*?),?\n\]/ms,
);
execFileSync(wasmOpt, [...JSON.parse(`${flags}]`), modulePath, '-o', modulePath]);
writeFileSync(modulePath, changed(readFileSync(modulePath), RENAMED));
const [folder] = javascript.match(/'\.\/snippets\/.*?\/js\//) ?? [];
if (!folder) throw fault('it imports no module of this crate');
writeFileSync(javascriptPath, `export * from ${folder}shared.js';\n${shortExports(shortImports(javascript))}`);
