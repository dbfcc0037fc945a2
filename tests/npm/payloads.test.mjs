// Payloads stay in JavaScript: messages sent, queued, dropped and received never enter the memory of the WebAssembly
// module.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';

describe('the memory of the WebAssembly module', { timeout: 8 * TEST_TIMEOUT }, () => {
  let realm;
  before(async () => {
    realm = await openRealm({
      purpose: 'payloads',
      routes: { '/payloads/': fileURLToPath(new URL('./payloads', import.meta.url)) },
    });
  });
  after(() => realm?.close());
  beforeEach(() => realm.reload());

  const call = (what, name, ...given) => realm.call(what, '/payloads/in-page.js', name, ...given);
  const url = `${serverAddress('ws')}/echo`;

  for (const kind of ['text', 'buffer', 'view', 'blob', 'JSON', 'MessagePack']) {
    test(`has nothing of payloads: ${kind}`, { timeout: TEST_TIMEOUT }, async () => {
      const { echoes, grown, found } = await call('all echoes', 'passThrough', kind, url);
      assert.equal(echoes, 120);
      assert.equal(found, false, 'a payload is in it');
      assert.ok(grown < 1024 * 1024, `it has grown by ${grown} bytes with 7 MB of payloads`);
    });
  }

  test('has what the module needs, and the search finds it', { timeout: TEST_TIMEOUT }, async () => {
    assert.deepEqual(await call('the end', 'closeWithReason', url), [false, true]);
  });
});
