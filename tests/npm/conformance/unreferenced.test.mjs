// What happens to a socket that nothing references, in Chromium, which can be told to collect garbage.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { serverAddress } from '../lib/environment.mjs';
import { PATIENCE, TEST_TIMEOUT } from '../lib/limits.mjs';
import { openRealm } from '../lib/realm.mjs';

/** After this many collections, every collectable object is gone. */
const ROUNDS = 5;

describe('a socket that nothing refers to', { timeout: 2 * TEST_TIMEOUT }, () => {
  let realm;
  before(async () => {
    realm = await openRealm({ purpose: 'unreferenced' });
  });
  after(() => realm?.close());

  const collect = async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await realm.page.requestGC();
      await realm.evaluate(
        'a task of the page',
        () =>
          new Promise((resolve) => {
            setTimeout(resolve);
          }),
      );
    }
  };
  const isThere = () => realm.evaluate('a look at it', () => globalThis.weak.deref() !== undefined);

  test('stays connected until it is closed, and can be collected then', { timeout: TEST_TIMEOUT }, async () => {
    const id = `unreferenced-${Date.now()}`;
    await realm.evaluate(
      'an open socket',
      async (url) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        await new Promise((resolve) => {
          const socket = new ReconnectingWebSocket(url);
          socket.addEventListener('open', resolve, { once: true });
          globalThis.weak = new WeakRef(socket);
          // A collectable object, to show that collection works.
          globalThis.other = new WeakRef(new EventTarget());
        });
      },
      `${serverAddress('ws')}/echo?id=${id}`,
    );
    await collect();
    assert.equal(
      await realm.evaluate('a look at it', () => globalThis.other.deref() === undefined),
      true,
      'garbage is collected',
    );
    assert.equal(await isThere(), true, 'the socket is there');
    // The server still has the connection, and the socket comes back when it is cut.
    const cut = async () =>
      (await (await fetch(`${serverAddress()}/control/cut?id=${id}`, { method: 'POST' })).json()).connections;
    assert.equal(await cut(), 1, 'connections at the server');
    await realm.evaluate(
      'the return of the socket',
      () =>
        new Promise((resolve) => {
          globalThis.weak.deref().addEventListener('open', resolve, { once: true });
        }),
    );
    await collect();
    assert.equal(await isThere(), true, 'the socket is there after a reconnect');

    await realm.evaluate(
      'the end of the socket',
      () =>
        new Promise((resolve) => {
          const socket = globalThis.weak.deref();
          socket.addEventListener('close', resolve, { once: true });
          socket.close();
        }),
    );
    const deadline = Date.now() + PATIENCE;
    while (await isThere()) {
      assert.ok(Date.now() < deadline, 'it is collected after it was closed');
      await collect();
    }
  });
});
