// The packed test kit plays the server's end of sessions, on time that the test advances.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';

const URL_OF_CHAT = 'wss://example.test/chat';
/** Longer than the longest first wait. */
const BACK = 5_000;

/** How a promise ended, on time that only the test advances. */
function endOf(promise) {
  return promise.then(
    (value) => ['resolved', value],
    (error) => [error.name, error.code, error],
  );
}

describe("the test kit's server of sessions", { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let session;
  let plain;
  let msgpack;
  let kit;
  let server;
  let time;
  let chance;
  let made;
  before(async () => {
    installed = await installPackage('session-kit', { inside: true });
    const load = (file) => import(pathToFileURL(path.join(installed.folder, file)).href);
    session = await load('session/inline.js');
    plain = await load('inline.js');
    ({ msgpack } = await load('session/typed/msgpack.js'));
    kit = await load('testing/index.js');
    await Promise.all([session.load(), plain.load()]);
  });
  after(() => installed?.remove());
  beforeEach(() => {
    made = [];
    time = kit.fakeTime();
    server = kit.FakeServer.install();
    chance = kit.setChance(1);
  });
  afterEach(async () => {
    for (const socket of made) socket.close();
    await time.advance(BACK);
    await server.settled();
    server.assertIdle();
    for (const one of [server, chance, time]) one.restore();
  });

  /** A typed socket with a session, and everything that it reports. */
  function make(options = {}) {
    const socket = new session.TypedSocket(URL_OF_CHAT, { protocols: ['chat.json'], session: true, ...options });
    made.push(socket);
    const seen = [];
    for (const type of ['sessionstart', 'resumed', 'sessionlost', 'sessionend', 'undelivered', 'message', 'close']) {
      socket.addEventListener(type, (event) => {
        const { replayed, notHandled, unknown, reason, data, code, willReconnect } = event;
        seen.push(
          {
            resumed: `resumed, ${replayed} replayed`,
            sessionlost: `lost: ${JSON.stringify({ notHandled, unknown })} ${reason}`,
            sessionend: `end: ${JSON.stringify({ notHandled, unknown })} ${reason}`,
            message: `message ${JSON.stringify(data)}`,
            close: `close ${code}${willReconnect ? ', comes back' : ''}`,
          }[type] ?? type,
        );
      });
    }
    return { socket, seen };
  }

  function start(options = {}) {
    return kit.SessionServer.start(server, { codec: session.json, ...options });
  }

  /** A session that has begun. */
  async function begin(options = {}) {
    const sessions = start(options);
    const { socket, seen } = make();
    await socket.opened();
    await server.settled();
    return { sessions, socket, seen };
  }

  test('accepts a session, and records and handles messages in order', async () => {
    const { sessions, socket, seen } = await begin();
    assert.ok(sessions.hasSession);
    socket.send({ n: 1 });
    await socket.deliver({ n: 2 });
    await sessions.expect({ n: 1 });
    assert.deepEqual(await sessions.receive(), { n: 2 });
    assert.deepEqual(sessions.received, [{ n: 1 }, { n: 2 }]);
    const delivery = sessions.send({ hello: 'client' });
    await time.advance(1_000);
    assert.deepEqual(sessions.ends, [{ delivery, end: 'handled', reason: null }]);
    assert.deepEqual(seen, ['sessionstart', 'message {"hello":"client"}']);
  });

  test('holds messages: they are not acknowledged, and after a cut the session resumes with them', async () => {
    const { sessions, socket, seen } = await begin();
    sessions.hold(true);
    const delivered = endOf(socket.deliver({ n: 1 }));
    await sessions.expect({ n: 1 });
    await time.advance(1_000);
    assert.equal(socket.snapshot().unacknowledgedMessages, 1);
    server.last.cut();
    sessions.send({ n: 'while it was away' });
    sessions.hold(false);
    await time.advance(BACK);
    assert.deepEqual(await delivered, ['resolved', undefined]);
    assert.deepEqual(sessions.received, [{ n: 1 }], 'once');
    assert.equal(socket.snapshot().unacknowledgedMessages, 0);
    assert.deepEqual(seen, [
      'sessionstart',
      'close 1006, comes back',
      'resumed, 0 replayed',
      'message {"n":"while it was away"}',
    ]);
  });

  test('repeats what the client has missed, and takes what is repeated once', async () => {
    const { sessions, socket, seen } = await begin();
    server.last.halfOpen();
    for (const n of [1, 2, 3]) sessions.send({ n });
    const delivered = [4, 5].map((n) => socket.deliver({ n }));
    await server.settled();
    assert.deepEqual([sessions.received, seen.length], [[], 1], 'nothing passes');
    server.last.cut();
    await time.advance(BACK);
    await Promise.all(delivered);
    assert.deepEqual(sessions.received, [{ n: 4 }, { n: 5 }]);
    assert.deepEqual(seen.slice(2), ['resumed, 3 replayed', ...[1, 2, 3].map((n) => `message {"n":${n}}`)]);
  });

  test('refuses clients for good, or until there is room', async () => {
    const sessions = start();
    sessions.refuseWith(1013);
    const { socket, seen } = make({ session: { credential: 'ticket' } });
    const delivered = endOf(socket.deliver({ n: 1 }));
    await server.settled();
    assert.deepEqual(seen, ['close 1013, comes back']);
    sessions.refuse(false);
    await time.advance(60_000);
    assert.deepEqual(await delivered, ['resolved', undefined]);
    assert.ok(sessions.credentials.length > 1);
    assert.deepEqual(new Set(sessions.credentials), new Set(['ticket']));

    sessions.refuse(true);
    server.last.cut();
    await time.advance(BACK);
    const [end, close] = seen.slice(-2);
    assert.match(end, /^end: .* the server does not let this client in$/);
    assert.equal(close, 'close 3972');
  });

  for (const [reason, words, code] of [
    ['expired', 'the client came back after its window', 1006],
    ['unknown', 'the server does not remember it', 1006],
    ['full', 'more waited for the client than the server keeps', 3476],
    ['refused', 'this client may not resume it', 1006],
    ['out-of-step', 'the two ends count differently', 3470],
  ]) {
    test(`loses a session: ${reason}`, async () => {
      const { sessions, socket, seen } = await begin();
      sessions.hold(true);
      const delivered = endOf(socket.deliver({ n: 1 }));
      socket.send({ n: 'sent' });
      await sessions.expect({ n: 1 });
      await sessions.expect({ n: 'sent' });
      sessions.loseBecause(reason);
      const last = endOf(socket.deliver({ n: 2 }));
      await time.advance(60_000);
      assert.equal((await delivered)[0], 'UnknownEndError');
      sessions.hold(false);
      assert.deepEqual(await last, ['resolved', undefined], 'it goes into the fresh session');
      assert.equal(seen[1], `close ${code}, comes back`);
      assert.equal(seen[2], `lost: {"notHandled":[],"unknown":[{"n":"sent"}]} the session was lost: ${words}`);
      assert.deepEqual(sessions.received, [{ n: 1 }, { n: 'sent' }, { n: 2 }]);
    });
  }

  test('loses a session whose client stays away for longer than the window', async () => {
    const { sessions, socket, seen } = await begin({ window: 20_000 });
    server.handshake = 'refuse';
    server.last.cut();
    await time.advance(30_000);
    assert.equal(sessions.hasSession, false);
    assert.match(sessions.ended, /after its window/);
    server.handshake = 'open';
    await time.advance(120_000);
    assert.ok(sessions.hasSession);
    assert.ok(seen.some((line) => line.startsWith('lost: ')));
    await socket.deliver({ n: 1 });
  });

  test('ends a session', async () => {
    const { sessions, socket, seen } = await begin();
    sessions.end();
    await server.settled();
    assert.equal(sessions.hasSession, false);
    assert.match(seen[1], /^end: .* the other end ended the session$/);
    assert.equal(socket.state, 'closed');
  });

  test('is asked, and answers', async () => {
    const { sessions, socket } = await begin();
    const asked = [1, 2, 3].map((n) => endOf(socket.request({ n })));
    for (const [answer, n] of [
      [{ response: { twice: 2 } }, 1],
      [{ error: { code: 7 } }, 2],
      [{ refused: 'limit' }, 3],
    ]) {
      const { token, request } = await sessions.nextRequest();
      assert.deepEqual(request, { n });
      sessions.answer(token, answer);
    }
    const [first, second, third] = await Promise.all(asked);
    assert.deepEqual(first, ['resolved', { twice: 2 }]);
    assert.deepEqual(second.slice(0, 2), ['RequestError', 'application']);
    assert.deepEqual(second[2].error, { code: 7 });
    assert.deepEqual(third.slice(0, 2), ['RequestError', 'refused']);
    assert.deepEqual(sessions.requests, []);

    // Across a reconnect, and by its limit of time.
    const late = endOf(socket.request({ n: 4 }));
    const { token } = await sessions.nextRequest();
    server.last.cut();
    sessions.answer(token, { response: 'late' });
    await time.advance(BACK);
    assert.deepEqual(await late, ['resolved', 'late']);
    const never = endOf(socket.request({ n: 5 }, { timeout: 2_000 }));
    await sessions.nextRequest();
    assert.equal(sessions.requests.length, 1);
    await time.advance(2_000);
    assert.deepEqual((await never).slice(0, 2), ['RequestError', 'timed-out']);
    assert.deepEqual(sessions.requests, [], 'cancelled');
  });

  test('asks, and cancels', async () => {
    const { sessions, socket } = await begin();
    const signals = [];
    socket.handle(async ({ n }, { signal }) => {
      signals.push(signal);
      if (n === 2) throw new session.ApplicationError({ not: n });
      if (n === 3) {
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
      }
      return { n };
    });
    const asks = [1, 2, 3].map((n) => sessions.ask({ n }));
    await server.settled();
    sessions.cancel(asks[2]);
    await server.settled();
    await time.advance(1_000);
    assert.deepEqual(sessions.answers, [
      { ask: asks[0], end: 'response', response: { n: 1 }, reason: null },
      { ask: asks[1], end: 'error', error: { not: 2 }, reason: null },
      { ask: asks[2], end: 'cancelled', reason: null },
    ]);
    assert.ok(signals[2].aborted);
  });

  test('talks text and bytes without a codec, and MessagePack', async () => {
    const sessions = kit.SessionServer.start(server);
    const socket = new session.ReconnectingWebSocket(URL_OF_CHAT, [], { session: true });
    socket.binaryType = 'arraybuffer';
    made.push(socket);
    const got = [];
    socket.addEventListener('message', ({ data }) => got.push(data));
    socket.send('text');
    await socket.deliver(new Uint8Array([1, 2, 3]));
    assert.deepEqual(sessions.received, ['text', new Uint8Array([1, 2, 3]).buffer]);
    sessions.send('~ marks are escaped');
    sessions.send(new Uint8Array([0xc1, 0]));
    await server.settled();
    assert.deepEqual(got, ['~ marks are escaped', new Uint8Array([0xc1, 0]).buffer]);
    socket.close();
    await time.advance(BACK);

    const packed = kit.SessionServer.start(server.endpoint('/packed', { codec: msgpack }));
    const typed = new session.TypedSocket('wss://example.test/packed', { codec: msgpack, session: true });
    made.push(typed);
    await typed.deliver({ bytes: new Uint8Array([1]) });
    await packed.expect({ bytes: new Uint8Array([1]) });
    const asked = typed.request([1]);
    const { token } = await packed.nextRequest();
    packed.answer(token, { response: new Date(0) });
    assert.deepEqual(await asked, new Date(0));
  });

  test('leaves connections without a session to the fake server', async () => {
    const sessions = start();
    server.onmessage = (message, connection) => connection.send(`echo ${message}`);
    server.protocols = ['chat.json'];
    const optional = make({ session: 'optional' });
    await optional.socket.opened();
    optional.socket.send('hello');
    await server.last.expect('"hello"');
    assert.deepEqual(sessions.received, []);
    const socket = new plain.ReconnectingWebSocket(URL_OF_CHAT, ['chat.json']);
    made.push(socket);
    socket.send('plain');
    await server.settled();
    await server.last.expect('plain');
    assert.equal(sessions.hasSession, false);
  });

  test('says what is wrong', async () => {
    const refused = (run, Kind, words) =>
      assert.throws(run, (error) => error instanceof Kind && words.test(error.message));
    refused(() => kit.SessionServer.start({}), TypeError, /takes a FakeServer/);
    refused(() => start({ window: 0 }), TypeError, /window is 0; it takes a whole number/);
    refused(() => start({ windows: 1 }), TypeError, /no windows; it takes codec, window/);
    refused(() => start({ codec: null }).send({}), TypeError, /is no message; it takes text, a buffer or a view/);
    const sessions = start();
    refused(() => sessions.send({}), Error, /^SessionServer\.send: there is no session/);
    refused(() => sessions.answer(7, { response: 1 }), Error, /there was no such request/);
    refused(() => sessions.answer(7, {}), TypeError, /takes \{ response \}, \{ error \} or \{ refused \}/);
    refused(() => sessions.answer(7, { refused: 'no' }), TypeError, /it takes 'handler', 'limit'/);
    refused(() => sessions.loseBecause('full'), Error, /there is no session/);
    refused(() => sessions.loseBecause('bored'), TypeError, /it takes 'expired', 'unknown'/);
    refused(() => sessions.refuseWith(1006), TypeError, /it takes a code/);
    refused(() => sessions.hold(1), TypeError, /it takes true or false/);
    sessions.lose();
    const { socket } = make();
    await socket.deliver({ n: 1 });
    await assert.rejects(
      sessions.expect({ n: 2 }),
      /SessionServer: expect: expected message 1 to be \{"n":2\}, but it is \{"n":1\}/,
    );
    await assert.rejects(
      sessions.receive({ timeout: 1 }),
      /message 2 to be a message, but it did not come within 1 ms: the client is connected; received: one message/,
    );
  });
});
