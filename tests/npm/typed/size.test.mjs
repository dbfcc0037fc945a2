// Bundles omit what they do not use.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';

/** A text that only this part of the package contains. */
const MARKS = {
  typed: 'the codec did not encode the message',
  msgpack: '@msgpack/msgpack',
  core: 'the WebAssembly module of steady-socket',
};

describe('a bundle', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  before(async () => {
    installed = await installPackage('size');
  });
  after(() => installed?.remove());

  for (const [name, source, expected] of [
    [
      'ReconnectingWebSocket from steady-socket/websocket',
      "export { ReconnectingWebSocket } from 'steady-socket/websocket'",
      ['core'],
    ],
    ['ReconnectingWebSocket from steady-socket', "export { ReconnectingWebSocket } from 'steady-socket'", ['core']],
    ['TypedSocket', "export { TypedSocket } from 'steady-socket'", ['typed', 'core']],
    [
      'TypedSocket and msgpack',
      "export { TypedSocket } from 'steady-socket'; export { msgpack } from 'steady-socket/msgpack'",
      ['typed', 'msgpack', 'core'],
    ],
  ]) {
    test(`of ${name} has no more than that`, async (t) => {
      const {
        outputFiles: [{ contents, text }],
      } = await build({
        stdin: { contents: source, resolveDir: installed.project },
        bundle: true,
        minify: true,
        format: 'esm',
        write: false,
        logLevel: 'error',
      });
      assert.deepEqual(
        Object.keys(MARKS).filter((part) => text.includes(MARKS[part])),
        expected,
      );
      t.diagnostic(
        `${name}: ${contents.length} bytes of JavaScript, ${gzipSync(contents, { level: 9 }).length} with gzip`,
      );
    });
  }
});
