// Makes the WebAssembly module and its wasm-bindgen JavaScript smaller: shortens the names of what they import from
// each other, and removes what this package does not need. Makes that JavaScript a function that starts an instance, and
// lets it export `shared.js`. And adds to the module the function that `failure.js` calls to check that the stack has
// room.
//
//     node glue.mjs MODULE JAVASCRIPT VERSION NODE_MODULES

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modulePath, javascriptPath, version, nodeModules] = process.argv.slice(2);
if (nodeModules === undefined) {
  console.error('error: name the module, its JavaScript, the version of the package and the folder of binaryen');
  process.exit(2);
}
const { default: binaryen } = await import(pathToFileURL(path.join(nodeModules, 'binaryen/index.js')));

/** The JavaScript name of the added function. */
const PROBE = 'steady_socket_probe';
/** Exports that are looked up by name. */
const NAMED = ['memory', '__wbindgen_start'];

// --- The module ---------------------------------------------------------------------------------------------

/** `a`, `b`, …, `z`, `A`, …, `Z`, `aa`, … */
function shortName(index) {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const rest = Math.floor(index / letters.length);
  return (rest > 0 ? shortName(rest - 1) : '') + letters[index % letters.length];
}

/** The short names: `imports` by module and name, `exports` by name. */
const short = { imports: new Map(), exports: new Map() };

function list(count, at, info) {
  return Array.from({ length: count }, (_, index) => info(at(index)));
}

/** Renames the imports. Modules of other versions import from another name. */
function renameImports(module) {
  const functions = list(
    module.getNumFunctions(),
    (index) => module.getFunctionByIndex(index),
    binaryen.getFunctionInfo,
  );
  const imports = functions.filter(({ base }) => base);
  let count = 0;
  for (const { name, module: from, base, params, results } of imports) {
    const names = short.imports.get(from) ?? new Map();
    if (!names.has(base)) names.set(base, shortName(count++));
    short.imports.set(from, names);
    module.removeFunction(name);
    module.addFunctionImport(name, version, names.get(base), params, results);
  }
  return imports;
}

const exportsOf = (module) =>
  list(module.getNumExports(), (index) => module.getExportByIndex(index), binaryen.getExportInfo);

function renameExports(module) {
  const add = {
    [binaryen.ExternalKinds.Function]: 'addFunctionExport',
    [binaryen.ExternalKinds.Memory]: 'addMemoryExport',
    [binaryen.ExternalKinds.Table]: 'addTableExport',
  };
  for (const { name, value, kind } of exportsOf(module)) {
    module.removeExport(name);
    short.exports.set(name, NAMED.includes(name) ? name : shortName(short.exports.size));
    module[add[kind]](value, short.exports.get(name));
  }
}

/**
 * Adds a function that needs 10 KB of stack per recursion, but touches none of it: on entry, engines check that there
 * is room for the whole frame. Using that much stack from JavaScript takes a hundred times as long.
 */
function addProbe(module, imports) {
  const HELD = 1_300;
  const called = imports.find(({ params, results }) => params === binaryen.none && results === binaryen.f64);
  if (!called) throw fault('the module imports nothing that takes nothing and gives a float');
  const { i32, f64 } = module;
  const argument = () => module.local.get(0, binaryen.i32);
  const call = () => module.call(called.name, [], binaryen.f64);
  // If the argument is negative, which it never is: many results that are all live at the end.
  const held = Array.from({ length: HELD }, call).reduceRight((later, one) => f64.add(one, later));
  // Otherwise, if it is not 0, a recursive call with the argument minus one.
  const next = module.call(PROBE, [i32.sub(argument(), i32.const(1))], binaryen.f64);
  const body = module.if(i32.lt_s(argument(), i32.const(0)), held, module.if(argument(), next, f64.const(0)));
  module.addFunction(PROBE, binaryen.i32, binaryen.f64, [], body);
  short.exports.set(PROBE, shortName(short.exports.size));
  module.addFunctionExport(PROBE, short.exports.get(PROBE));
}

// As wasm-opt writes it.
binaryen.setGenerateStackIR(true);
binaryen.setOptimizeStackIR(true);

function changed(change) {
  const module = binaryen.readBinary(readFileSync(modulePath));
  change(module);
  writeFileSync(modulePath, module.emitBinary());
}

function changeModule(used) {
  changed((module) => {
    for (const { name } of exportsOf(module)) if (!used.has(name)) module.removeExport(name);
  });
  // The same flags as wasm-pack's run, to remove code that only the dropped exports needed.
  const manifest = readFileSync(new URL('../../client-wasm/Cargo.toml', import.meta.url), 'utf8');
  const [, flags] = manifest.match(/^wasm-opt = (\[.*?),?\n\]/ms);
  execFileSync(path.join(nodeModules, '.bin/wasm-opt'), [...JSON.parse(`${flags}]`), modulePath, '-o', modulePath]);
  changed((module) => {
    const imports = renameImports(module);
    renameExports(module);
    addProbe(module, imports);
  });
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
            const bytes = isText ? new TextEncoder().encode(arg1) : '';
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

/**
 * wasm-bindgen imports a module again for every function that it takes from it, under the same name in the object of
 * imports. Once is enough.
 */
function importedOnce(javascript) {
  const imported = new Set();
  let once = javascript;
  for (const [line, name, module] of javascript.matchAll(/^import \* as (\w+) from (".*?")\n/gm)) {
    if (imported.has(module)) once = once.replace(line, '').replace(`        ${module}: ${name},\n`, '');
    imported.add(module);
  }
  return once;
}

/**
 * wasm-bindgen's JavaScript keeps one instance of the module in global variables. The package starts a fresh instance
 * when one has failed, and nothing that belongs to the failed one may call into it: so all of it becomes a function with
 * its own copy of these variables. wasm-bindgen's code for loading the module is omitted, since the package does that.
 */
function asFunction(javascript) {
  const [own, loading] = javascript.split('let wasmModule, wasmInstance, wasm;\n');
  if (loading === undefined) throw fault('it has no code for loading');
  const isOutside = /^(import |export \{).*\n/gm;
  const inside = own.replace(isOutside, '');
  if (/^export /m.test(inside)) throw fault('it exports something of its own');
  return `${own.match(isOutside).join('')}
/**
 * Starts an instance of the module.
 *
 * @param module - a \`WebAssembly.Module\`
 * @param atEnd - called with a function that keeps everything here from calling into the instance, and gives what it
 *   held; and with the function that needs much stack
 */
export async function start(module, atEnd) {
let wasm;
${inside}
({ exports: wasm } = await WebAssembly.instantiate(module, __wbg_get_imports()));
atEnd(() => {
const held = wasm.__wbindgen_externrefs;
wasm = { __wbg_core_free() {} };
return Array.from(held, (_, index) => held.get(index));
}, wasm.${PROBE});
wasm.__wbindgen_start();
}
`;
}

const javascript = simpler(asFunction(importedOnce(readFileSync(javascriptPath, 'utf8'))));
changeModule(new Set([...NAMED, ...Array.from(javascript.matchAll(/\bwasm(?:\.| = \{ )(\w+)/g), ([, name]) => name)]));
const [folder] = javascript.match(/'\.\/snippets\/.*?\/js\//) ?? [];
if (!folder) throw fault('it imports no module of this crate');
const shared = [`${folder}shared.js'`, `${folder}session.js'`, `${folder}frames.js'`].filter(
  (module) => module.endsWith("shared.js'") || javascript.includes(module.slice(1, -1)),
);
const exported = shared.map((module) => `export * from ${module};\n`).join('');
writeFileSync(javascriptPath, `${exported}${shortExports(shortImports(javascript))}`);
