// Exported classes with sessions, in Node: against the server's half of the packed test kit, on time that the test
// advances.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';
import { messages } from './lib.mjs';

/** Longer than the longest first wait. */
const BACK = 5_000;

/** How a promise ended, on time that only the test advances. */
function endOf(promise) {
  return promise.then(
    (value) => ['resolved', value],
    (error) => [error.name, error.code ?? null, error],
  );
}

describe('an exported class with a session', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let exported;
  let kit;
  let json;
  let msgpack;
  let server;
  let sessions;
  let time;
  let chance;
  let made;
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  before(async () => {
    process.on('unhandledRejection', note);
    installed = await installPackage('export-session');
    const load = (file) => import(pathToFileURL(path.join(installed.folder, file)).href);
    kit = await load('testing/index.js');
    ({ json } = await load('session/inline.js'));
    ({ msgpack } = await load('session/typed/msgpack.js'));
    exported = await import(pathToFileURL(path.join(messages(), 'export_messages.js')).href);
    exported.initSync({ module: await readFile(path.join(messages(), 'export_messages_bg.wasm')) });
  });
  after(async () => {
    await installed?.remove();
    process.off('unhandledRejection', note);
  });
  beforeEach(() => {
    made = [];
    time = kit.fakeTime();
    server = kit.FakeServer.install();
    sessions = kit.SessionServer.start(server, { codec: json });
    chance = kit.setChance(1);
  });
  afterEach(async () => {
    for (const socket of made) {
      socket.close();
      await time.advance(BACK);
      socket.free();
    }
    await server.settled();
    for (const one of [server, chance, time]) one.restore();
    assert.deepEqual(unhandled.splice(0), [], 'rejections that nobody asked for');
  });

  function make(name = 'ShopSocket', options = {}) {
    const socket = new exported[name]('wss://example.test', options);
    made.push(socket);
    const seen = [];
    for (const type of [
      'sessionstart',
      'resumed',
      'sessionlost',
      'sessionend',
      'sessionunavailable',
      'undelivered',
      'pendingchange',
      'stalled',
    ]) {
      socket.addEventListener(type, (event) => seen.push(event));
    }
    return { socket, seen, types: () => seen.map(({ type }) => type).filter((type) => type !== 'pendingchange') };
  }

  async function begin(name = 'ShopSocket', options = {}) {
    const it = make(name, options);
    await server.settled();
    assert.ok(sessions.hasSession);
    return it;
  }

  test('delivers, resumes, and reads in both ways', async () => {
    const { socket, seen, types } = await begin();
    assert.equal(socket.protocol, 'shop.json~2');
    sessions.hold(true);
    const delivered = endOf(socket.deliver({ text: 'one' }));
    socket.send({ text: 'two' });
    await sessions.expect({ text: 'one' });
    server.last.cut();
    sessions.send({ text: 'to you' });
    sessions.hold(false);
    await time.advance(BACK);
    assert.deepEqual(await delivered, ['resolved', undefined]);
    await sessions.expect({ text: 'two' });
    assert.deepEqual(await socket.next(), { text: 'to you' });
    assert.deepEqual(types(), ['sessionstart', 'resumed']);
    const pending = seen.filter(({ type }) => type === 'pendingchange');
    assert.ok(pending.some(({ unacknowledgedMessages }) => unacknowledgedMessages === 2));
    await time.advance(1_000);
    assert.deepEqual(seen.at(-1).unacknowledgedMessages, 0);
  });

  test('says that a message is handled when its listeners have returned, or the next is asked for', async () => {
    const { socket } = await begin();
    const ends = () => sessions.ends.map(({ end }) => end);
    for (const text of ['a', 'b', 'c']) sessions.send({ text });
    assert.deepEqual([await socket.next(), await socket.next()], [{ text: 'a' }, { text: 'b' }]);
    await time.advance(1_000);
    assert.deepEqual(ends(), ['handled']);

    socket.close();
    await time.advance(BACK);
    socket.free();
    made.pop();
    const listening = make();
    const heard = [];
    listening.socket.addEventListener('message', ({ data }) => heard.push(data.text));
    await server.settled();
    sessions.send({ text: 'd' });
    await time.advance(1_000);
    assert.deepEqual([heard, ends().at(-1)], [['d'], 'handled']);
  });

  test('reports what became of everything when a session is lost, and when it ends', async () => {
    const { socket, seen, types } = await begin();
    sessions.hold(true);
    const delivered = endOf(socket.deliver({ text: 'one' }));
    socket.send({ text: 'beside one' });
    await sessions.expect({ text: 'one' });
    await sessions.expect({ text: 'beside one' });
    server.last.halfOpen();
    const late = endOf(socket.deliver({ text: 'two' }));
    socket.send({ text: 'beside two' });
    await server.settled();
    sessions.loseBecause('expired');
    await time.advance(BACK);
    const [name, , error] = await delivered;
    assert.deepEqual([name, error.sent], ['UnknownEndError', { text: 'one' }]);
    assert.match(error.message, /^ShopSocket: nobody knows what became of the message: /);
    assert.ok(error instanceof Error);
    const [missed, , failure] = await late;
    assert.deepEqual([missed, failure.sent], ['NotHandledError', { text: 'two' }]);
    assert.deepEqual(types(), ['sessionstart', 'sessionlost']);
    const lost = seen.find(({ type }) => type === 'sessionlost');
    // Of those that `deliver` has sent only their promises tell.
    assert.deepEqual(
      [lost.notHandled, lost.unknown, lost.handled],
      [[{ text: 'beside two' }], [{ text: 'beside one' }], 0],
    );
    assert.match(lost.reason, /after its window/);

    const last = endOf(socket.deliver({ text: 'three' }));
    sessions.end();
    await server.settled();
    assert.match((await last)[0], /^(NotHandled|UnknownEnd)Error$/);
    assert.equal(types().at(-1), 'sessionend');
    assert.equal((await endOf(socket.deliver({ text: 'four' })))[0], 'InvalidStateError');
  });

  test('asks, with the response by its type', async () => {
    const { socket } = await begin();
    const asked = ['tea', 'cake', 'beer', 'nothing'].map((of) => endOf(socket.request({ type: 'price', of })));
    for (const answer of [
      { response: { type: 'price', cents: 300 } },
      { error: 'notSold' },
      { refused: 'limit' },
      { response: { type: 'stock', grams: 5 } },
    ]) {
      const { token, request } = await sessions.nextRequest();
      assert.equal(request.type, 'price');
      sessions.answer(token, answer);
    }
    const [tea, cake, beer, nothing] = await Promise.all(asked);
    assert.deepEqual(tea, ['resolved', { type: 'price', cents: 300 }]);
    assert.deepEqual([...cake.slice(0, 2), cake[2].error], ['RequestError', 'application', 'notSold']);
    assert.deepEqual(beer.slice(0, 2), ['RequestError', 'refused']);
    assert.match(beer[2].message, /too many unanswered requests/);
    assert.match(nothing[2].message, /^ShopSocket: the response is not of the kind that was asked for$/);

    // An answer of another type, a limit of time, and a signal.
    const wrong = endOf(socket.request({ type: 'stock', of: 'tea' }));
    sessions.answer((await sessions.nextRequest()).token, { response: { type: 'stock', grams: -1 } });
    assert.match((await wrong)[2].message, /^ShopSocket: the answer cannot be decoded: /);
    const slow = endOf(socket.request({ type: 'stock', of: 'tea' }, { timeout: 2_000 }));
    await sessions.nextRequest();
    await time.advance(2_000);
    assert.deepEqual((await slow).slice(0, 2), ['RequestError', 'timed-out']);
    const controller = new AbortController();
    const aborted = endOf(socket.request({ type: 'stock', of: 'tea' }, { signal: controller.signal }));
    await sessions.nextRequest();
    assert.equal(sessions.requests.length, 1);
    controller.abort(new RangeError('enough'));
    assert.equal((await aborted)[0], 'RangeError');
    await server.settled();
    assert.deepEqual(sessions.requests, [], 'cancelled at the server');
  });

  test('answers', async () => {
    const { socket } = await begin();
    const reported = [];
    const { reportError } = globalThis;
    globalThis.reportError = (error) => reported.push(error);
    try {
      const asks = [sessions.ask({ text: 'Before there is a handler?' })];
      await server.settled();
      const signals = [];
      socket.handle(async ({ text }, { signal, fail }) => {
        signals.push(signal);
        if (text === 'fail') fail('notSold');
        if (text === 'throw') throw new Error('a bug');
        if (text === 'wrong') return { maybe: true };
        if (text === 'wait') await new Promise(() => {});
        return { yes: true };
      });
      for (const text of ['Really?', 'fail', 'throw', 'wrong', 'wait']) asks.push(sessions.ask({ text }));
      await server.settled();
      sessions.cancel(asks.at(-1));
      await server.settled();
      await time.advance(1_000);
      const answers = new Map(sessions.answers.map(({ ask, ...answer }) => [ask, answer]));
      assert.deepEqual(
        asks.map((ask) => answers.get(ask)),
        [
          { end: 'refused', reason: 'handler' },
          { end: 'response', response: { yes: true }, reason: null },
          { end: 'error', error: 'notSold', reason: null },
          { end: 'refused', reason: 'failed' },
          { end: 'refused', reason: 'failed' },
          { end: 'cancelled', reason: null },
        ],
      );
      assert.deepEqual(
        reported.map(({ message }) => message),
        ['a bug', 'ShopSocket: handle: the answer does not match its Rust type: missing field `yes`'],
      );
      assert.ok(signals.at(-1).aborted);
      assert.throws(() => socket.handle('no function'), {
        name: 'TypeError',
        message: /the handler: a string was given/,
      });
    } finally {
      globalThis.reportError = reportError;
    }
  });

  test('takes requests of simple types, with MessagePack', async () => {
    sessions = kit.SessionServer.start(server, { codec: msgpack });
    const { socket } = await begin('CountingSocket');
    const counted = socket.request({ of: 'sheep' });
    const { token, request } = await sessions.nextRequest();
    // As rmp-serde writes a structure: by position or by name.
    assert.ok(JSON.stringify(request).includes('sheep'));
    sessions.answer(token, { response: 7 });
    assert.equal(await counted, 7);
    assert.equal(socket.handle, undefined, 'the server cannot ask it');
    sessions.ask(1);
    await server.settled();
    assert.equal(sessions.answers[0].reason, 'handler');
    const { socket: notes } = make('NotesSocket');
    assert.deepEqual([notes.request, notes.handle, typeof notes.deliver], [undefined, undefined, 'function']);
  });

  test('aborted deliveries end the wait, and wrong arguments are said', async () => {
    const { socket } = await begin();
    sessions.hold(true);
    const controller = new AbortController();
    const delivered = endOf(socket.deliver({ text: 'one' }, { signal: controller.signal }));
    controller.abort();
    assert.equal((await delivered)[0], 'AbortError');
    await sessions.expect({ text: 'one' });
    assert.equal((await endOf(socket.deliver({ text: 'two' }, { signal: controller.signal })))[0], 'AbortError');
    const said = async (promise) => (await endOf(promise))[2].message;
    assert.match(
      await said(socket.deliver({ txt: 'x' })),
      /deliver: the message does not match its Rust type: missing field `text`/,
    );
    assert.match(await said(socket.request({ type: 'age' })), /request: the request does not match its Rust type/);
    assert.match(await said(socket.deliver({ text: '' }, { timeout: 1 })), /the options have no timeout/);
    assert.match(
      await said(socket.request({ type: 'price', of: '' }, { timeout: 0 })),
      /option timeout is 0 ms; it takes/,
    );
    const wrong = (options, message) =>
      assert.throws(() => new exported.ShopSocket('wss://example.test', options), { message });
    wrong({ session: false }, /option session: a boolean was given; this takes true, 'optional' or an object/);
    wrong({ session: { window: 1 } }, /option session has no window/);
    wrong({ session: { messages: 0 } }, /option session\.messages is 0; it takes/);
    wrong({ session: { credential: 1 } }, /option session\.credential: a number was given/);
    wrong({ gate: true }, /a session and the option gate: true exclude each other/);
    wrong({ reconnect: false }, /a session and the option reconnect: false exclude each other/);
    wrong({ nonsense: 1 }, /the options have no nonsense/);
  });

  test('shows a credential, and goes on without a session if it may', async () => {
    const { socket } = await begin('ShopSocket', { session: { credential: ({ attempt }) => `ticket-${attempt}` } });
    server.last.cut();
    await time.advance(BACK);
    assert.equal(sessions.credentials[0], 'ticket-1');
    assert.equal(sessions.credentials.length, 2);
    socket.sendCredential('fresh');
    assert.throws(() => socket.sendCredential('with space'), { name: 'TypeError' });
    assert.throws(() => socket.sendCredential(7), { name: 'TypeError' });

    const failing = make('ShopSocket', { session: { credential: () => Promise.reject(new Error('not logged in')) } });
    await server.settled();
    assert.equal(failing.socket.state, 'waiting');

    server.protocols = ['shop.json'];
    const optional = make('ShopSocket', { session: 'optional' });
    await server.settled();
    assert.deepEqual(optional.types(), ['sessionunavailable']);
    optional.socket.send({ text: 'plain' });
    await server.last.expect('{"text":"plain"}');
    const required = make('ShopSocket');
    await server.settled();
    assert.deepEqual([required.types(), required.socket.state], [['sessionend'], 'closed']);
  });

  test('every promise settles when the object is freed', async () => {
    const { socket } = await begin();
    sessions.hold(true);
    const delivered = endOf(socket.deliver({ text: 'one' }));
    const asked = endOf(socket.request({ type: 'price', of: 'tea' }));
    await sessions.expect({ text: 'one' });
    made.pop().free();
    await time.advance(BACK);
    assert.equal((await delivered)[0], 'UnknownEndError');
    assert.equal((await asked)[0], 'UnknownEndError');
  });
});
