// What the task runner provides: addresses, paths and programs.

import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MEANINGS = {
  STEADY_SOCKET_SERVER: 'the http address of a running hello server with the demo page and its control',
  STEADY_SOCKET_SECURE_SERVER: 'the https address of another one, with a certificate of its own',
  STEADY_SOCKET_SERVER_WITHOUT_CONTROL: 'the http address of another one, which has the page alone',
  STEADY_SOCKET_TARBALL: 'the path of the packed npm package',
  STEADY_SOCKET_ARTIFACTS: 'the folder for screenshots',
  STEADY_SOCKET_PAGE_ORIGIN_PORT: 'the port of 127.0.0.1 whose origin the server allows',
  CHROMIUM: 'the path of Chromium',
  FIREFOX: 'the path of Firefox',
  GECKODRIVER: 'the path of its driver',
  STEADY_SOCKET_PROGRAMS: 'the folder of test-server (with TLS) and fault-server',
  STEADY_SOCKET_TYPED_HELLO: 'the folder of what wasm-pack made of examples/typed-hello',
  STEADY_SOCKET_EXPORT_MESSAGES: 'the folder of what wasm-pack made of tests/npm/export/messages',
  PYTHON: 'a Python that has the package `websockets`',
};

/** The value of a variable that these tests need; if it is missing, the error explains it. */
export function required(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: ${MEANINGS[name]}. \`cargo xtask test npm\` sets it.`);
  }
  return value;
}

/** The server's address without a trailing slash; for `https` and `wss` that of the server with TLS. */
export function serverAddress(scheme = 'http') {
  const url = new URL(
    required(['https', 'wss'].includes(scheme) ? 'STEADY_SOCKET_SECURE_SERVER' : 'STEADY_SOCKET_SERVER'),
  );
  return `${scheme}://${url.host}`;
}

/** Next to the packages that the tests use, so that imports of them resolve. */
const INSIDE = fileURLToPath(new URL('../.scratch', import.meta.url));

/**
 * A new, empty folder that the caller removes.
 *
 * @param inside - whether imports of the tests' packages must resolve there
 */
export async function scratchFolder(purpose, inside = false) {
  const parent = inside ? INSIDE : path.join(tmpdir(), 'steady-socket-tests');
  await mkdir(parent, { recursive: true });
  return mkdtemp(path.join(parent, `${purpose}-`));
}

/** The path of an artefact, in an existing folder. */
export async function artifact(name) {
  const folder = required('STEADY_SOCKET_ARTIFACTS');
  await mkdir(folder, { recursive: true });
  return path.join(folder, name);
}
