// The promises of a session settle in every ending before the server has a say, and keep their place among what `send`
// sends.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { WebSocket } from 'ws';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { installPackage } from './lib/package.mjs';

describe('the promises of a session', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let entry;
  before(async () => {
    installed = await installPackage('session-promises');
    entry = await import(pathToFileURL(path.join(installed.folder, 'session/inline.js')).href);
  });
  after(() => installed?.remove());

  const url = () => `${serverAddress('ws')}/session/echo`;
  const options = { session: true, WebSocket };
  const isNotHandled = (words) => (error) => {
    assert.ok(error instanceof entry.NotHandledError, String(error));
    assert.match(error.message, words);
    return true;
  };

  test('of a socket that is closed before the module is there', async () => {
    const socket = new entry.ReconnectingWebSocket(url(), options);
    const delivered = socket.deliver('early');
    socket.close();
    await assert.rejects(delivered, isNotHandled(/the session is over$/));
  });

  test('of a socket that was never started', async () => {
    const socket = new entry.ReconnectingWebSocket(url(), {
      ...options,
      startClosed: true,
      maxQueuedMessages: 1,
      overflow: 'drop-oldest',
    });
    const first = socket.deliver('first');
    const second = socket.deliver('second');
    await assert.rejects(first, isNotHandled(/newer messages took its place in the queue$/));
    socket.close();
    await assert.rejects(second, isNotHandled(/the session is over$/));
  });

  test('of a socket that is closed', async () => {
    for (const name of ['ReconnectingWebSocket', 'TypedSocket']) {
      const socket = new entry[name](url(), options);
      await new Promise((resolve) => socket.addEventListener('open', resolve, { once: true }));
      const last = socket.deliver('last');
      socket.close();
      await last;
      await new Promise((resolve) => socket.addEventListener('close', resolve, { once: true }));
      await assert.rejects(socket.deliver('late'), isNotHandled(/the session is over$/));
      await assert.rejects(socket.request('late'), isNotHandled(/the session is over$/));
    }
  });

  test('reject nothing unseen', async () => {
    const seen = [];
    const listener = (error) => seen.push(error);
    process.on('unhandledRejection', listener);
    try {
      for (const name of ['ReconnectingWebSocket', 'TypedSocket']) {
        const socket = new entry[name](url(), { ...options, startClosed: true });
        socket.deliver('a');
        socket.request('b');
        socket.deliver('c', { signal: AbortSignal.abort() });
        socket.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(seen, []);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });

  test('keep the order of the calls, and what was sent as it was then', async () => {
    const socket = new entry.TypedSocket(url(), { ...options, protocols: ['echo.json'] });
    await socket.opened();
    const messages = socket.messages();
    const message = { n: 2 };
    socket.send({ n: 1 });
    const delivered = socket.deliver(message);
    message.n = 5;
    socket.send({ n: 3 });
    const numbers = [];
    for await (const { n } of messages) {
      numbers.push(n);
      if (n === 3) break;
    }
    await delivered;
    assert.deepEqual(numbers, [1, 2, 3]);
    socket.close();
  });

  test('a Blob, whose bytes would come too late, is refused', async () => {
    const socket = new entry.ReconnectingWebSocket(url(), { ...options, startClosed: true });
    assert.throws(() => socket.send(new Blob(['x'])), TypeError);
    await assert.rejects(socket.deliver(new Blob(['x'])), TypeError);
    socket.close();
  });
});
