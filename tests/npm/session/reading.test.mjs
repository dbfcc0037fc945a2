// A message is handled when the program is done with it, and waits as long as nobody reads.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { eventually, importSessions, pause, scripted, upTo, welcome } from './lib/sockets.mjs';

describe('reading in a session', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let script;
  before(async () => {
    installed = await importSessions('session-reading');
  });
  after(() => installed?.remove());
  beforeEach(async () => {
    script = await scripted();
  });
  afterEach(async () => {
    installed.closeAll();
    await script.stop();
  });

  /** A session, and `handled()`: the number up to which the client says that all is handled. */
  async function begin(kind = 'typed', options = {}) {
    const made = installed.make(kind, script.url, options);
    const connection = await script.connection();
    await connection.next();
    connection.send(welcome());
    await connection.next('the first acknowledgement');
    let sent = 0;
    const send = (...values) => {
      const first = sent + 1;
      sent += values.length;
      connection.send(values.length === 1 ? JSON.stringify(values[0]) : `~b ${first}${JSON.stringify(values)}`);
      connection.send(`~w ${sent}`);
    };
    const handled = () =>
      connection.frames.reduce((most, frame) => Math.max(most, Number(/^~a (\d+) /.exec(frame)?.[1] ?? 0)), 0);
    return {
      ...made,
      connection,
      send,
      handled,
      isHandled: (number) => eventually(`the acknowledgement of ${number}`, () => handled() >= number),
      /** Nothing more is handled, though everything that could be done was done. */
      async isNotHandled(number) {
        await pause(60);
        assert.ok(handled() < number, `${handled()} is handled`);
      },
    };
  }

  test('nobody reads: it waits, and is not lost', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled, connection, of } = await begin();
    send(1, 2, 3);
    await isNotHandled(1);
    // Through a cut, too.
    connection.cut();
    const again = await script.connection();
    assert.match(await again.next(), / received=3 handled=0 /);
    again.send(welcome({ outcome: 'continued', first: 1, sent: 3 }));
    await again.next();
    const got = [];
    socket.addEventListener('message', ({ data }) => got.push(data));
    await eventually('the messages', () => got.length === 3);
    assert.deepEqual(got, [1, 2, 3]);
    again.send('~w 3');
    await eventually('the acknowledgement', () => again.frames.some((frame) => frame.startsWith('~a 3')));
    assert.deepEqual(of('dropped'), []);
    void isHandled;
  });

  for (const [what, listen] of Object.entries({
    addEventListener: (socket, handler) => socket.addEventListener('message', handler),
    onmessage: (socket, handler) => {
      socket.onmessage = handler;
    },
  })) {
    test(`an event by ${what}: handled when its dispatch returns`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, send, isHandled } = await begin();
      const got = [];
      listen(socket, ({ data }) => got.push(data));
      send(1);
      await isHandled(1);
      send(2, 3);
      await isHandled(3);
      assert.deepEqual(got, [1, 2, 3]);
    });
  }

  test('an event whose listener throws is handled, too', { timeout: TEST_TIMEOUT }, async (t) => {
    const thrown = [];
    const { socket, send, isHandled } = await begin('plain');
    t.mock.method(globalThis, 'queueMicrotask');
    socket.addEventListener('message', ({ data }) => {
      thrown.push(data);
    });
    send(1, 2);
    await isHandled(2);
    assert.deepEqual(thrown, ['1', '2']);
  });

  test('for await: handled when the next is asked for', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled } = await begin();
    const got = [];
    let goOn;
    const loop = (async () => {
      for await (const value of socket) {
        got.push(value);
        await new Promise((resolve) => {
          goOn = resolve;
        });
        if (value === 3) break;
      }
    })();
    send(1, 2, 3, 4);
    await eventually('the first', () => got.length === 1);
    await isNotHandled(1);
    for (const number of [1, 2]) {
      goOn();
      await eventually('the next', () => got.length === number + 1);
      await isHandled(number);
      await isNotHandled(number + 1);
    }
    // Leaving the loop is being done with it; the fourth waits for the next reader.
    goOn();
    await loop;
    await isHandled(3);
    await isNotHandled(4);
    assert.equal(await socket.next(), 4);
    await isHandled(4);
    assert.deepEqual(got, [1, 2, 3]);
  });

  test('next: one message, and done with it at once', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled } = await begin();
    const first = socket.next();
    send(1, 2, 3);
    assert.equal(await first, 1);
    await isHandled(1);
    await isNotHandled(2);
    assert.deepEqual([await socket.next(), await socket.next()], [2, 3]);
    await isHandled(3);
    const stop = new AbortController();
    const aborted = socket.next({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    send(4);
    await isNotHandled(4);
    assert.equal(await socket.next(), 4);
  });

  test('forEach: handled when the handler returns, until it ends', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled } = await begin();
    const got = [];
    const stop = new AbortController();
    const loop = socket.forEach((value) => got.push(value), { signal: stop.signal });
    send(1, 2, 3);
    await isHandled(3);
    assert.deepEqual(got, [1, 2, 3]);
    stop.abort(new Error('enough'));
    await assert.rejects(loop, /enough/);
    send(4);
    await isNotHandled(4);
    assert.deepEqual(got, [1, 2, 3]);
    const failing = socket.forEach(() => {
      throw new Error('a bug');
    });
    await assert.rejects(failing, /a bug/);
    await isHandled(4);
  });

  test('readable: one at a time, as it is read', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled } = await begin();
    const reader = socket.readable.getReader();
    send(1, 2, 3);
    await isNotHandled(1);
    assert.equal((await reader.read()).value, 1);
    await isNotHandled(1);
    assert.equal((await reader.read()).value, 2);
    await isHandled(1);
    await isNotHandled(2);
    await reader.cancel();
    await isHandled(2);
    await isNotHandled(3);
  });

  test('two loops: handled when both are done with it', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, isNotHandled } = await begin();
    const [fast, slow] = [socket.messages(), socket.messages()];
    const [one, other] = [fast.next(), slow.next()];
    send(1, 2);
    assert.deepEqual([(await one).value, (await other).value], [1, 1]);
    const next = fast.next();
    await isNotHandled(1);
    const late = slow.next();
    assert.deepEqual([(await next).value, (await late).value], [2, 2]);
    await isHandled(1);
    await fast.return();
    await isNotHandled(2);
    await slow.return();
    await isHandled(2);
  });

  test('a slow schema: handled when its value was handed out, in order', { timeout: TEST_TIMEOUT }, async () => {
    const waits = [];
    const incoming = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) =>
          new Promise((resolve) => {
            waits.push(() => resolve(value === 2 ? { issues: [{ message: 'no' }] } : { value }));
          }),
      },
    };
    const { socket, send, isHandled, isNotHandled, of } = await begin('typed', { incoming });
    const got = [];
    socket.addEventListener('message', ({ data }) => got.push(data));
    send(1, 2, 3);
    await isNotHandled(1);
    for (const number of [1, 2, 3]) {
      await eventually('the schema', () => waits.length === number);
      waits.at(-1)();
      await isHandled(number);
    }
    assert.deepEqual(got, [1, 3]);
    assert.equal(of('invalid').length, 1);
  });

  test('a window of messages that nobody reads, then all at once', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, send, isHandled, of } = await begin();
    for (const index of upTo(10)) send(...upTo(100).map((number) => index * 100 + number));
    await pause(20);
    const got = [];
    for await (const value of socket) if (got.push(value) === 1_000) break;
    assert.deepEqual(got, upTo(1_000));
    await isHandled(1_000);
    assert.deepEqual(of('dropped'), []);
  });

  test('the drop-in class: handled at once, also without listeners', { timeout: TEST_TIMEOUT }, async () => {
    const { send, isHandled } = await begin('plain');
    send(1, 2);
    await isHandled(2);
  });

  test('what nobody has read when the session ends is not handled, and the program is not given it', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const { socket, send, connection } = await begin('typed', { closeTimeout: 50 });
    send(1, 2);
    await eventually('the arrival', () => connection.frames.length > 0);
    await pause(20);
    socket.close();
    const end = await eventually('the end', () => connection.frames.find((frame) => frame.startsWith('~end')));
    assert.match(end, / was-handled=0 .*was-given=0 was-received=2/);
    const got = [];
    for await (const value of socket) got.push(value);
    assert.deepEqual(got, []);
  });

  test('the snapshot and pendingchange count what has no acknowledgement', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, connection } = await begin();
    const seen = [];
    socket.addEventListener('pendingchange', ({ unacknowledgedMessages, unacknowledgedBytes }) =>
      seen.push([unacknowledgedMessages, unacknowledgedBytes]),
    );
    const pending = () => {
      const { unacknowledgedMessages, unacknowledgedBytes } = socket.snapshot();
      return [unacknowledgedMessages, unacknowledgedBytes];
    };
    socket.send('abc');
    await eventually('the arrival', () => connection.frames.includes('"abc"'));
    assert.deepEqual(pending(), [1, 5]);
    connection.send('~a 1 0');
    await eventually('the acknowledgement', () => pending()[0] === 0);
    await eventually('the events', () => seen.length >= 2);
    assert.deepEqual(
      [seen[0], seen.at(-1)],
      [
        [1, 5],
        [0, 0],
      ],
    );
  });

  test('a handler that stalls at the other end is reported', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, connection, of } = await begin();
    socket.send(1);
    await eventually('the arrival', () => connection.frames.includes('1'));
    connection.send('~stalled 1');
    await eventually('the event', () => of('stalled').length === 1);
    assert.equal(of('stalled')[0].here, false);
  });
});
