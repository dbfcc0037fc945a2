// A page without a bundler, and its workers.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { strictPolicy } from '../lib/static-server.mjs';
import { makeProject } from './lib/project.mjs';
import { visitFolder } from './lib/visit.mjs';

for (const [what, entry, policy, modules] of [
  ['with the file of the module', 'index.js', strictPolicy(), 3],
  // It may connect to the server, but not fetch anything.
  [
    'with the module embedded',
    'inline.js',
    strictPolicy({ connect: 'ws://127.0.0.1:*' }).replace("connect-src 'self' ", 'connect-src '),
    0,
  ],
]) {
  describe(`a page without a bundler, ${what}`, { timeout: TEST_TIMEOUT }, () => {
    let consumer;
    before(async () => {
      const imports = { 'steady-socket': `/pkg/${entry}`, 'steady-socket/msgpack': '/pkg/typed/msgpack.js' };
      consumer = await makeProject('no-bundler', { files: 'app', imports });
    });
    after(() => consumer?.remove());

    test('is greeted, as are its dedicated and its shared worker', async () => {
      const asked = await visitFolder(consumer.project, policy, { '/pkg/': consumer.folder });
      assert.deepEqual(asked, Array(modules).fill('/pkg/steady-socket.wasm'));
    });
  });
}
