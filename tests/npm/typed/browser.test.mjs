// Typed sockets on a page of a real browser with the hello server, under the strict content security policy of the test
// pages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { IS_FIREFOX } from '../lib/browser.mjs';
import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { openRealm } from '../lib/realm.mjs';

describe('a typed socket in a page', { timeout: 4 * TEST_TIMEOUT }, () => {
  let realm;
  before(async () => {
    realm = await openRealm({
      purpose: 'typed-page',
      routes: { '/typed/': fileURLToPath(new URL('.', import.meta.url)) },
    });
  });
  after(() => realm?.close());

  const server = { ws: serverAddress('ws'), http: serverAddress() };

  for (const codec of ['json', 'msgpack']) {
    test(`is greeted, as ${codec}, and its loop goes on over a cut`, async () => {
      const outcome = await realm.call('the greetings', '/typed/in-page.js', 'greet', server, codec);
      // Messages sent inside an open handler go ahead of the queue.
      assert.deepEqual(outcome.read, [
        { type: 'greeting', text: 'Hello Ada!' },
        { type: 'invalid', reason: { problem: 'empty' } },
        { type: 'greeting', text: 'Hello Bob!' },
      ]);
      assert.deepEqual([outcome.invalid, outcome.opens, outcome.protocol], [[], 2, `hello.${codec}`]);
    });
  }

  test('ends its loops with an error that says why when the server refuses', async () => {
    const outcome = await realm.call('the end', '/typed/in-page.js', 'endByRefusal', server);
    assert.deepEqual(outcome, {
      value: { n: 1 },
      isClosed: true,
      code: 'lost',
      message: 'TypedSocket: the connection was lost: close code 1008, cause socket',
      close: [1008, 'secret'],
    });
  });

  test('streams within the high-water mark, both ways, and in order', async () => {
    const COUNT = 3_000;
    const MARK = 64 * 1024;
    const outcome = await realm.call('the streams', '/typed/in-page.js', 'stream', server, COUNT, MARK);
    assert.deepEqual([outcome.inOrder, outcome.unread], [COUNT, 0]);
    assert.ok(outcome.most < MARK + 2_000, `${outcome.most} bytes waited at most`);
  });

  test('is disposed of, with the symbols of the platform or those that compilers use without them', async () => {
    for (const lacking of [false, true]) {
      await realm.reload();
      const outcome = await realm.call('the disposal', '/typed/disposal-in-page.js', 'dispose', server, lacking);
      assert.deepEqual([outcome.states, outcome.over], [[true, 3], true]);
      if (lacking) assert.equal(outcome.isBuiltIn, false);
    }
    await realm.reload();
  });

  // Only Chromium's driver receives them.
  if (!IS_FIREFOX) {
    test('makes no complaints', () => {
      assert.deepEqual(realm.complaints, []);
    });
  }
});
