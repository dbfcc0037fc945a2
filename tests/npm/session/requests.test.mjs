// Requests in a session, in both directions.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { endOf, eventually, importSessions, pause, scripted, startSessions, upTo, welcome } from './lib/sockets.mjs';

/** A schema that takes objects with a number `n`, and adds one to it. */
const NUMBERED = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value?.n === 'number' ? { value: { n: value.n + 1 } } : { issues: [{ message: 'n is no number' }] },
  },
};

/** What the package reports as uncaught from here on. */
function reports(t) {
  const reported = [];
  const { reportError } = globalThis;
  globalThis.reportError = (error) => reported.push(error);
  t.after(() => {
    globalThis.reportError = reportError;
  });
  return reported;
}

describe('requests in a session', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let server;
  let script;
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  before(async () => {
    process.on('unhandledRejection', note);
    [installed, server] = await Promise.all([importSessions('session-requests'), startSessions()]);
  });
  after(async () => {
    await server?.stop();
    await installed?.remove();
    process.off('unhandledRejection', note);
  });
  beforeEach(async () => {
    script = await scripted();
  });
  afterEach(async () => {
    installed.closeAll();
    await script.stop();
    await pause(20);
    assert.deepEqual(unhandled.splice(0), [], 'rejections that nobody asked for');
  });

  async function begin(kind = 'typed', options = {}) {
    const made = installed.make(kind, script.url, options);
    const connection = await script.connection();
    await connection.next();
    connection.send(welcome());
    await connection.next('the first acknowledgement');
    return { ...made, connection };
  }

  /** The next frame that begins with a word. */
  const frame = (connection, word) =>
    eventually(`a frame ${word}`, () => connection.frames.find((it) => String(it).startsWith(word)));

  test('the real server answers, in each codec and through cuts', { timeout: TEST_TIMEOUT }, async () => {
    const url = `${server.ws}/session/echo`;
    for (const [kind, options, ask] of [
      ['typed', { protocols: ['echo.json'] }, (n) => ({ n })],
      ['typed', { protocols: ['echo.msgpack'], codec: installed.msgpack }, (n) => ({ n })],
      ['plain', {}, (n) => `~${n}`],
      ['plain', {}, (n) => Uint8Array.of(0xc1, n).buffer],
    ]) {
      const { socket, cut } = installed.make(kind, url, options);
      const answers = [];
      for (const number of upTo(100)) {
        answers.push(socket.request(ask(number)));
        if (number % 30 === 20) {
          await Promise.race([answers.at(-1), pause(number % 3)]);
          cut();
        }
        if (number % 10 === 9) await answers.at(-1);
      }
      assert.deepEqual(await Promise.all(answers), upTo(100).map(ask));
    }
  });

  test('the response passes a schema, or the request rejects', { timeout: TEST_TIMEOUT }, async () => {
    const { socket } = installed.make('typed', `${server.ws}/session/echo`, { protocols: ['echo.json'] });
    assert.deepEqual(await socket.request({ n: 1 }, { response: NUMBERED }), { n: 2 });
    const [name, code] = await endOf(socket.request({ n: 'x' }, { response: NUMBERED }));
    assert.deepEqual([name, code], ['MessageError', 'invalid-message']);
    const [wrong] = await endOf(socket.request(1, { response: 7 }));
    assert.equal(wrong, 'TypeError');
  });

  test('a server without a handler refuses', { timeout: TEST_TIMEOUT }, async () => {
    const { socket } = installed.make('typed', `${server.ws}/session/room`);
    const [name, code, error] = await endOf(socket.request({ n: 1 }));
    assert.deepEqual([name, code], ['RequestError', 'refused']);
    assert.match(error.message, /no handler/);
  });

  test('an error of the application, and a response that cannot be decoded', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, connection } = await begin();
    const failing = socket.request({ n: 1 });
    assert.equal(await connection.next(), '~q {"n":1}');
    connection.send('~e 1 1 {"what":"no"}');
    const [name, code, { error }] = await endOf(failing);
    assert.deepEqual([name, code, error], ['RequestError', 'application', { what: 'no' }]);
    for (const word of ['r', 'e']) {
      const undecodable = socket.request({ n: 2 });
      await connection.next();
      const number = word === 'r' ? 2 : 3;
      connection.send(`~${word} ${number} ${number} {oops`);
      assert.equal((await endOf(undecodable))[0], 'MessageError');
    }
  });

  test('a signal cancels at the other end, and a timeout does', { timeout: TEST_TIMEOUT }, async () => {
    for (const kind of ['typed', 'plain']) {
      const { socket, connection } = await begin(kind);
      const stop = new AbortController();
      const aborted = socket.request('one', { signal: stop.signal });
      await frame(connection, '~q');
      stop.abort(new Error('enough'));
      assert.equal((await endOf(aborted))[2].message, 'enough');
      await frame(connection, '~c 1');
      const late = socket.request('two', { timeout: 20 });
      const [name, code] = await endOf(late);
      assert.deepEqual([name, code], ['RequestError', 'timed-out']);
      // The cancellation was number 2.
      await frame(connection, '~c 3');
      // The answers come too late, and change nothing.
      connection.send('~r 1 1 "late"');
      connection.send('~x 3 3 cancelled');
      const third = socket.request('three');
      await eventually('the third', () => connection.frames.some((it) => it.includes('three')));
      connection.send('~x 5 5 limit');
      assert.equal((await endOf(third))[1], 'refused');
      assert.equal(socket.readyState, 1);
      for (const wrong of [{ timeout: -1 }, { timeout: 'x' }, { signal: 1 }, { other: 1 }]) {
        const [kindOfError] = await endOf(Promise.resolve().then(() => socket.request('four', wrong)));
        assert.match(kindOfError, /TypeError|RangeError/);
      }
    }
  });

  test('a request that waits for a connection: aborted, late, and withdrawn', { timeout: TEST_TIMEOUT }, async () => {
    const { socket } = installed.make('typed', 'ws://127.0.0.1:1/', { closeTimeout: 1 });
    const stop = new AbortController();
    const ends = [socket.request(1, { signal: stop.signal }), socket.request(2, { timeout: 20 }), socket.request(3)];
    stop.abort(new Error('enough'));
    assert.equal((await endOf(ends[0]))[2].message, 'enough');
    const [name, code] = await endOf(ends[1]);
    assert.ok(name === 'NotHandledError' || code === 'timed-out', `${name} ${code}`);
    socket.close();
    assert.equal((await endOf(ends[2]))[0], 'NotHandledError');
  });

  test('more requests than the server takes', { timeout: TEST_TIMEOUT }, async () => {
    const { socket } = installed.make('typed', `${server.ws}/session/echo`);
    const ends = await Promise.all(upTo(200).map((n) => endOf(socket.request(n))));
    const kinds = new Set(ends.map(([name, code]) => (name === 'resolved' ? name : `${name} ${code}`)));
    assert.ok(kinds.has('resolved'));
    for (const kind of kinds) assert.match(kind, /^(resolved|InvalidStateError .*|RequestError refused)$/);
  });

  test('a request of the other end: answered, refused, failed, and an error of the application', {
    timeout: TEST_TIMEOUT,
  }, async (t) => {
    const reported = reports(t);
    const { socket, connection } = await begin();
    connection.send('~q {"n":1}');
    assert.match(await frame(connection, '~x 1'), /^~x 1 1 handler/);
    socket.handle(async ({ n }, { signal }) => {
      assert.ok(signal instanceof AbortSignal);
      if (n === 3) throw new installed.session.ApplicationError({ sorry: n });
      if (n === 4) throw new Error('a bug');
      return { twice: n * 2 };
    });
    for (const n of [2, 3, 4]) connection.send(JSON.stringify({ n }).replace(/^/, '~q '));
    assert.match(await frame(connection, '~r 2'), /^~r 2 \d \{"twice":4\}$/);
    assert.match(await frame(connection, '~e 3'), /^~e 3 \d \{"sorry":3\}$/);
    assert.match(await frame(connection, '~x 4'), /^~x 4 \d failed$/);
    connection.send('~q {oops');
    await frame(connection, '~x 5');
    // A bug of a handler is shown to the program as any exception is.
    await eventually('the report', () => reported.length === 1);
    assert.equal(reported[0].message, 'a bug');
    socket.handle(NUMBERED, ({ n }) => ({ n }));
    connection.send('~q {"n":1}');
    assert.match(await frame(connection, '~r 6'), / \{"n":2\}$/);
  });

  test('a handler whose schema refuses, and what it returns that has no form', { timeout: TEST_TIMEOUT }, async (t) => {
    const reported = reports(t);
    const { socket, connection } = await begin();
    socket.handle(NUMBERED, () => () => {});
    connection.send('~q {"n":"x"}');
    await frame(connection, '~x 1');
    connection.send('~q {"n":1}');
    assert.match(await frame(connection, '~x 2'), /failed$/);
    await eventually('the reports', () => reported.length >= 1);
    assert.throws(() => socket.handle('no function'), TypeError);
    assert.throws(() => socket.handle(7, () => {}), TypeError);
  });

  test('the other end cancels: the signal of the handler aborts', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, connection, cut } = await begin();
    const aborted = [];
    socket.handle((request, { signal }) => {
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(request);
          reject(signal.reason);
        });
      });
    });
    connection.send('~q 1');
    connection.send('~q 2');
    connection.send('~c 1');
    assert.match(await frame(connection, '~x 1'), /cancelled$/);
    // Through a cut, the other goes on.
    cut();
    const again = await script.connection();
    assert.match(await again.next(), / received=3 /);
    again.send(welcome({ outcome: 'continued', received: 1, sent: 3, first: 2, handled: 1 }));
    again.send('~c 2');
    assert.match(await frame(again, '~x 2'), /cancelled$/);
    assert.equal(aborted.at(-1), 2);
  });

  test('the session ends: the signal of a handler aborts, and its answer is for nobody', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const { socket, connection } = await begin('plain', { closeTimeout: 20 });
    let answer;
    let signal;
    socket.handle((_, context) => {
      signal = context.signal;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    connection.send('~q 1');
    await eventually('the request', () => signal);
    socket.close();
    await eventually('the abort', () => signal.aborted);
    answer('late');
    await eventually('the end', () => socket.readyState === 3);
    assert.ok(!connection.frames.some((it) => String(it).startsWith('~r')));
  });
});
