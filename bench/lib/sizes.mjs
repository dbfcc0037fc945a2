// The sizes of what a page loads: raw, gzip -9 and Brotli at its highest quality.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build, version as esbuildVersion } from 'esbuild';

import { OUTPUT, ROOT } from './environment.mjs';

const PACKAGE = path.join(ROOT, 'target/package');

/** The modules of the package: the entries with sessions have their own. */
const MODULE = 'steady-socket.wasm';
const SESSION_MODULE = 'session/steady-socket-session.wasm';

/** A program that uses this package, with the module next to it unless embedded. */
function own(contender, program, { embedded = false, file = MODULE, note } = {}) {
  const module = embedded ? undefined : path.join(PACKAGE, file);
  return { contender, program, resolveDir: PACKAGE, module, own: true, note };
}

/** The Rust hello programs: the contender, and the crate from which xtask builds it. */
export const HELLO = [
  { contender: 'steady-socket in Rust', crate: 'hello-steady-socket', own: true },
  { contender: 'gloo-net', crate: 'hello-gloo-net' },
  { contender: 'reconnecting-websocket (crate)', crate: 'hello-reconnecting-websocket' },
  { contender: 'tokio-tungstenite-wasm', crate: 'hello-tokio-tungstenite-wasm' },
  { contender: 'ws_stream_wasm', crate: 'hello-ws-stream-wasm' },
];

/** Bundles of npm packages: the contender, and a program with all of its exports, or with those in use. */
const BUNDLES = [
  own('steady-socket', "export * from './index.js';", { note: 'all but MessagePack' }),
  own('steady-socket, with MessagePack', "export * from './index.js'; export * from './typed/msgpack.js';"),
  own('steady-socket/inline, with MessagePack', "export * from './inline.js'; export * from './typed/msgpack.js';", {
    embedded: true,
    note: 'with the module in the script',
  }),
  own('steady-socket, typed', "export { TypedSocket } from './index.js';", {
    note: 'for a program that uses TypedSocket alone',
  }),
  own('steady-socket/websocket', "export * from './websocket.js';", { note: 'the drop-in class' }),
  own('steady-socket/websocket/inline', "export * from './websocket-inline.js';", {
    embedded: true,
    note: 'with the module in the script',
  }),
  own(
    'steady-socket/session, with MessagePack',
    "export * from './session/index.js'; export * from './session/typed/msgpack.js';",
    { file: SESSION_MODULE, note: 'with lossless sessions' },
  ),
  { contender: 'partysocket', program: "export { default } from 'partysocket/ws';", note: 'partysocket/ws' },
  { contender: 'reconnecting-websocket', program: "export { default } from 'reconnecting-websocket';" },
  { contender: 'rews', program: "export * from '@nktkas/rews';" },
  { contender: 'websocket-ts', program: "export * from 'websocket-ts';" },
  { contender: 'socket.io-client', program: "export { io } from 'socket.io-client';" },
];

/** The encodings of a size, and how to compute each from a file's content. */
const ENCODINGS = {
  raw: (content) => content.length,
  gzip: (content) => gzipSync(content, { level: 9 }).length,
  brotli: (content) =>
    brotliCompressSync(content, {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    }).length,
};

/** The tools in this program that determine sizes. */
export const versions = { esbuild: esbuildVersion, zlib: process.versions.zlib };

/** Where xtask puts a Rust program: its glue and its module. */
export function filesOf(crate) {
  const folder = path.join(OUTPUT, 'rust', crate);
  return [`${crate}.js`, `${crate}_bg.wasm`].map((name) => path.join(folder, name));
}

/**
 * Measures.
 *
 * @param peers - whether to measure the peers, too
 * @param rust - whether to measure the Rust programs
 * @returns measurements of part 3, in the format of the results
 */
export async function sizes({ peers, rust = true }) {
  const wanted = ({ own = false }) => own || peers;
  const hello = HELLO.filter((program) => rust && wanted(program)).map(async ({ contender, crate }) =>
    measurements('hello program', contender, await Promise.all(filesOf(crate).map((file) => readFile(file)))),
  );
  const bundles = BUNDLES.filter(wanted).map(async ({ contender, program, resolveDir, module, note }) => {
    const files = [await bundled(program, resolveDir), ...(module ? [await readFile(module)] : [])];
    return measurements('npm bundle', contender, files, note);
  });
  return (await Promise.all([...hello, ...bundles])).flat();
}

/** A server compresses each file separately. */
function measurements(what, contender, contents, note) {
  return Object.entries(ENCODINGS).map(([encoding, size]) => ({
    part: 3,
    case: `${what}/${encoding}`,
    contender,
    unit: 'bytes',
    samples: [contents.reduce((sum, content) => sum + size(content), 0)],
    ...(note ? { note } : {}),
  }));
}

async function bundled(program, resolveDir = path.join(ROOT, 'bench')) {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    // wasm-bindgen's glue names a module twice.
    logLevel: 'error',
  });
  return outputFiles[0].contents;
}
