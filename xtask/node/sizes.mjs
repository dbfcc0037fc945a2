// Prints what a program pays for each entry of a built package: bundled and minified by esbuild, with the WebAssembly
// module, as it is and as servers send it.
//
//     node sizes.mjs FOLDER-OF-THE-PACKAGE FOLDER-OF-NODE-MODULES

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const [folder, modules] = process.argv.slice(2);
if (modules === undefined) {
  console.error('error: name the folder of the package and the one in which esbuild is installed');
  process.exit(2);
}
const { build } = createRequire(resolve(modules, 'x.js'))('esbuild');

/** Programs by what they use. */
const PROGRAMS = [
  ['drop-in only', "export { ReconnectingWebSocket } from './websocket.js'"],
  ['drop-in only, inline', "export { ReconnectingWebSocket } from './websocket-inline.js'"],
  ['typed', "export { TypedSocket } from './index.js'"],
  ['full: all, and MessagePack', "export * from './index.js'; export * from './typed/msgpack.js'"],
  ['full, inline', "export * from './inline.js'; export * from './typed/msgpack.js'"],
];

/** Bytes as they are, with gzip -9, and with Brotli at its highest quality. */
function sizes(content) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  return [content.length, gzipSync(content, { level: 9 }).length, brotliCompressSync(content, { params }).length];
}

async function javascript(source) {
  const { outputFiles: [{ contents }] } = await build({
    stdin: { contents: source, resolveDir: resolve(folder) },
    bundle: true, minify: true, format: 'esm', target: 'es2022', write: false, logLevel: 'error',
  });
  return sizes(contents);
}

function print(name, what, numbers) {
  const columns = numbers.map((number) => number.toLocaleString('en').padStart(9));
  console.log(`${name.padEnd(28)} ${what.padEnd(10)} ${columns.join(' ')}`);
}

const wasm = sizes(readFileSync(join(folder, 'steady-socket.wasm')));
console.log(`${'bytes'.padEnd(39)} ${['minified', 'gzip -9', 'brotli'].map((title) => title.padStart(9)).join(' ')}`);
for (const [name, source] of PROGRAMS) {
  const script = await javascript(source);
  print(name, 'JavaScript', script);
  if (name.endsWith('inline')) continue;
  print('', 'wasm', wasm);
  print('', 'together', script.map((value, index) => value + wasm[index]));
}
