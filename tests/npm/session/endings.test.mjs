// How a delivery ends, in every ending of a session.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import {
  endOf,
  eventually,
  helloFields,
  importSessions,
  pause,
  scripted,
  startSessions,
  upTo,
  welcome,
} from './lib/sockets.mjs';

describe('the end of a delivery', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let server;
  let script;
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  const instances = [];
  const { instantiate } = WebAssembly;
  before(async () => {
    WebAssembly.instantiate = async (...given) => {
      const instance = await Reflect.apply(instantiate, WebAssembly, given);
      instances.push(instance.instance ?? instance);
      return instance;
    };
    process.on('unhandledRejection', note);
    [installed, server] = await Promise.all([importSessions('session-endings'), startSessions()]);
  });
  after(async () => {
    WebAssembly.instantiate = instantiate;
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

  const echo = () => `${server.ws}/session/echo`;

  /** A session with the scripted server. */
  async function begin(kind, options = {}) {
    const made = installed.make(kind, script.url, options);
    const connection = await script.connection();
    const { secret } = helloFields(await connection.next());
    connection.send(welcome());
    await connection.next('the first acknowledgement');
    return { ...made, connection, secret };
  }

  /** Delivers something in this class. */
  const give = (kind, socket, what, options) => socket.deliver(kind === 'typed' ? { what } : what, options);
  const sentAs = (kind, what) => (kind === 'typed' ? { what } : what);

  for (const kind of ['typed', 'plain']) {
    test(`${kind}: handled, at once and through a cut`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, cut, of } = installed.make(kind, echo(), kind === 'typed' ? { protocols: ['echo.json'] } : {});
      socket.onmessage = () => {};
      // Before there is a connection.
      assert.deepEqual(await endOf(give(kind, socket, 'early')), ['resolved', undefined]);
      const all = upTo(300).map((number) => {
        if (number === 150) cut();
        return give(kind, socket, String(number));
      });
      for (const one of all) assert.deepEqual(await endOf(one), ['resolved', undefined]);
      assert.equal(of('resumed').length, 1);
      assert.deepEqual(of('undelivered'), []);
      await eventually('nothing waits', () => {
        const { queuedMessages, unacknowledgedMessages, unacknowledgedBytes } = socket.snapshot();
        return queuedMessages + unacknowledgedMessages + unacknowledgedBytes === 0;
      });
    });

    test(`${kind}: a server that has forgotten the session`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, of } = installed.make(kind, echo(), kind === 'typed' ? { protocols: ['echo.json'] } : {});
      socket.onmessage = () => {};
      assert.deepEqual(await endOf(give(kind, socket, 'first')), ['resolved', undefined]);
      const { stop } = server;
      await stop();
      await eventually('the loss', () => of('close').length > 0);
      // These have no number, and go into the fresh session.
      const later = give(kind, socket, 'later');
      await server.again().catch(() => {});
      assert.deepEqual(await endOf(later), ['resolved', undefined]);
      assert.equal(of('sessionlost').length, 1);
      assert.deepEqual([of('sessionlost')[0].notHandled, of('sessionlost')[0].unknown], [[], []]);
    });

    test(`${kind}: a lost session, with numbers and without`, { timeout: TEST_TIMEOUT }, async () => {
      const { connection, of, seen, ...made } = await begin(kind);
      const order = [];
      const ends = ['one', 'two', 'three', 'four'].map((what) => give(kind, made.socket, what));
      made.socket.send(sentAs(kind, 'five'));
      ends.forEach((end, index) =>
        end.then(
          () => order.push(`${index} handled`),
          ({ name }) => order.push(`${index} ${name}`),
        ),
      );
      made.socket.addEventListener('sessionlost', () => order.push('lost'));
      await eventually('the arrival', () => connection.frames.some((frame) => frame.includes('five')));
      connection.cut();
      const again = await script.connection();
      assert.match(await again.next(), / first=1 sent=5 /);
      again.send(
        welcome({ outcome: 'lost why=expired was-handled=1 was-also=3 was-given=3 was-received=4', epoch: 7 }),
      );
      const [lost] = await eventually('the loss', () => of('sessionlost').length > 0 && of('sessionlost'));
      assert.equal(lost.handled, 2);
      // Of those that `deliver` has sent only their promises tell.
      assert.deepEqual(lost.unknown, []);
      assert.deepEqual(lost.notHandled, [sentAs(kind, 'five')]);
      assert.match(lost.reason, /away for too long|expired|window/);
      assert.deepEqual((await endOf(ends[0])).slice(0, 2), ['resolved', undefined]);
      for (const [index, name, what] of [
        [1, 'UnknownEndError', 'two'],
        [3, 'NotHandledError', 'four'],
      ]) {
        const [got, , error] = await endOf(ends[index]);
        assert.equal(got, name);
        assert.deepEqual(error.sent, sentAs(kind, what));
      }
      assert.deepEqual(await endOf(ends[2]), ['resolved', undefined]);
      assert.equal(order[0], 'lost', 'the event comes before the promises settle');
    });

    test(`${kind}: the server ends the session`, { timeout: TEST_TIMEOUT }, async () => {
      const { connection, of, socket } = await begin(kind);
      const end = give(kind, socket, 'one');
      await connection.next();
      connection.send('~end sent=0 was-handled=0 was-given=0 was-received=1');
      connection.close(1000);
      const [name] = await endOf(end);
      assert.match(name, /^(UnknownEndError|NotHandledError)$/);
      assert.equal(of('sessionend').length, 1);
      await eventually('the end', () => socket.readyState === 3);
    });

    test(`${kind}: closed, with an answer and without`, { timeout: TEST_TIMEOUT }, async () => {
      const good = installed.make(kind, echo(), kind === 'typed' ? { protocols: ['echo.json'] } : {});
      await eventually('the opening', () => good.socket.readyState === 1);
      good.socket.onmessage = () => {};
      const waits = give(kind, good.socket, 'one');
      good.socket.close();
      assert.deepEqual(await endOf(waits), ['resolved', undefined]);
      await eventually('the end', () => good.socket.readyState === 3);
      const [name] = await endOf(give(kind, good.socket, 'late'));
      assert.equal(name, 'NotHandledError');

      const bad = await begin(kind, { closeTimeout: 50 });
      const lost = give(kind, bad.socket, 'one');
      await bad.connection.next();
      bad.socket.close();
      const [end] = await endOf(lost);
      assert.equal(end, 'UnknownEndError');
      assert.equal(bad.of('sessionend').length, 1);
    });

    test(`${kind}: never connected, and closed`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, of } = installed.make(kind, 'ws://127.0.0.1:1/', { closeTimeout: 50 });
      const end = give(kind, socket, 'one');
      socket.send(sentAs(kind, 'two'));
      await eventually('an attempt', () => of('close').length > 1);
      socket.close();
      const [name, , error] = await endOf(end);
      assert.equal(name, 'NotHandledError');
      assert.deepEqual(error.sent, sentAs(kind, 'one'));
      const told = [
        ...of('sessionend').flatMap(({ notHandled }) => notHandled),
        ...of('undelivered').map(({ message }) => message),
      ];
      assert.ok(
        told.some((message) => JSON.stringify(message) === JSON.stringify(sentAs(kind, 'two'))),
        'what nobody awaits is reported by an event',
      );
    });

    test(`${kind}: aborted by the socket's signal`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, stop, connection } = await begin(kind, { closeTimeout: 50 });
      const end = give(kind, socket, 'one');
      await connection.next();
      stop.abort();
      const [name] = await endOf(end);
      assert.equal(name, 'UnknownEndError');
    });

    test(`${kind}: a signal ends only the wait, once the message has a number`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, connection, of } = await begin(kind);
      const stop = new AbortController();
      const end = give(kind, socket, 'one', { signal: stop.signal });
      await connection.next();
      stop.abort(new Error('enough'));
      const [, , error] = await endOf(end);
      assert.equal(error.message, 'enough');
      connection.cut();
      const again = await script.connection();
      await again.next();
      again.send(welcome({ outcome: 'continued' }));
      await again.next('the acknowledgement');
      assert.match(await again.next('the replay'), /one/);
      assert.deepEqual(of('undelivered'), []);
    });

    test(`${kind}: what nobody awaits any more is reported by the event`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, connection, of } = await begin(kind);
      const stop = new AbortController();
      const given = give(kind, socket, 'one', { signal: stop.signal });
      const never = give(kind, socket, 'two', { signal: stop.signal });
      await eventually('the arrival', () => connection.frames.some((frame) => frame.includes('two')));
      stop.abort(new Error('enough'));
      for (const end of [given, never]) assert.equal((await endOf(end))[2].message, 'enough');
      connection.cut();
      const again = await script.connection();
      await again.next();
      again.send(welcome({ outcome: 'lost why=expired was-handled=0 was-given=1 was-received=1', epoch: 7 }));
      const [lost] = await eventually('the loss', () => of('sessionlost').length > 0 && of('sessionlost'));
      assert.deepEqual([lost.unknown, lost.notHandled], [[sentAs(kind, 'one')], [sentAs(kind, 'two')]]);
    });

    test(`${kind}: it is closing at once, and tells of nothing but its end`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, connection, of, types } = await begin(kind);
      const states = [];
      socket.addEventListener('statechange', ({ state }) => states.push([state, socket.readyState]));
      const waits = give(kind, socket, 'one');
      socket.send(sentAs(kind, 'two'));
      await eventually('the arrival', () => connection.frames.some((frame) => frame.includes('two')));
      socket.close(4001, 'bye');
      assert.deepEqual([socket.readyState, socket.state, socket.snapshot().state], [2, 'closing', 'closing']);
      assert.deepEqual(states, [], 'no event within the call');
      // As on a socket that closes.
      socket.send(sentAs(kind, 'late'));
      socket.suspend();
      socket.resume();
      for (const method of ['deliver', 'request']) {
        const [name, , error] = await endOf(socket[method](sentAs(kind, 'late')));
        assert.equal(name, 'NotHandledError');
        assert.deepEqual(error.sent, sentAs(kind, 'late'));
      }
      assert.equal(of('dropped')[0].reason, 'closed');
      assert.deepEqual(of('dropped')[0].messages, [sentAs(kind, 'late')]);
      assert.deepEqual(states, [['closing', 2]]);
      // It comes back for what is not acknowledged, and the program sees none of that.
      connection.cut();
      const again = await script.connection();
      await again.next();
      assert.equal(socket.readyState, 2);
      again.send(welcome({ outcome: 'continued' }));
      await eventually('the replay', () => again.frames.some((frame) => frame.includes('two')));
      assert.equal(socket.readyState, 2);
      again.send('~a 2 0');
      assert.deepEqual(await endOf(waits), ['resolved', undefined]);
      assert.equal(await again.closed, 4001);
      await eventually('the end', () => of('close').length > 0);
      assert.deepEqual(
        states.map(([state]) => state),
        ['closing', 'closed'],
      );
      assert.equal(of('close').length, 1);
      assert.deepEqual(
        types().filter((type) => ['open', 'resumed', 'sessionend', 'close'].includes(type)),
        ['open', 'sessionend', 'close'],
      );
      assert.deepEqual([of('sessionend')[0].notHandled, of('sessionend')[0].unknown], [[], []]);
      assert.equal(socket.readyState, 3);
    });

    test(`${kind}: reconnect while it closes begins another session, and tells what became of the first`, {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const { socket, connection, of, types, secret } = await begin(kind);
      const given = give(kind, socket, 'one');
      socket.send(sentAs(kind, 'two'));
      await eventually('the arrival', () => connection.frames.some((frame) => frame.includes('two')));
      const states = [];
      socket.addEventListener('statechange', ({ state }) => states.push(state));
      socket.close();
      await pause(1);
      socket.reconnect();
      const later = give(kind, socket, 'three');
      assert.equal((await endOf(given))[0], 'UnknownEndError');
      const again = await script.connection();
      const hello = await again.next();
      assert.match(hello, / attempt=1 epoch=0 /);
      assert.notEqual(helloFields(hello).secret, secret);
      assert.match(await again.next('what was sent since'), /three/);
      again.send(welcome({ received: 1, handled: 1 }));
      assert.deepEqual(await endOf(later), ['resolved', undefined]);
      assert.equal(socket.readyState, 1);
      assert.equal(of('sessionend').length, 1);
      assert.deepEqual([of('sessionend')[0].notHandled, of('sessionend')[0].unknown], [[], [sentAs(kind, 'two')]]);
      assert.deepEqual(
        types().filter((type) => type.startsWith('session')),
        ['sessionstart', 'sessionend', 'sessionstart'],
      );
      assert.ok(!again.frames.some((frame) => /one|two/.test(frame)), 'nothing of the first session');
      assert.deepEqual(states, ['closing', 'connecting', 'open']);

      // Without a connection, and with something that never went out.
      again.cut();
      await eventually('the loss', () => socket.readyState !== 1);
      socket.send(sentAs(kind, 'four'));
      socket.close();
      assert.equal(socket.readyState, 2);
      socket.reconnect();
      // An attempt of the first session may have been under way.
      for (let hello = ''; !/ attempt=1 epoch=0 /.test(hello); ) {
        const third = await script.connection('a fresh hello');
        hello = await Promise.race([third.next(), third.closed]);
      }
      await eventually('the end', () => of('sessionend').length === 2);
      assert.deepEqual([of('sessionend')[1].notHandled, of('sessionend')[1].unknown], [[sentAs(kind, 'four')], []]);
    });

    test(`${kind}: closed while it is suspended`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, connection, of } = await begin(kind);
      const given = give(kind, socket, 'one');
      await connection.next();
      socket.suspend();
      await connection.closed;
      socket.send(sentAs(kind, 'two'));
      const never = give(kind, socket, 'three');
      socket.close();
      assert.equal((await endOf(given))[0], 'UnknownEndError');
      assert.equal((await endOf(never))[0], 'NotHandledError');
      await eventually('the end', () => socket.readyState === 3);
      assert.deepEqual(of('sessionend')[0].notHandled, [sentAs(kind, 'two')]);
    });

    test(`${kind}: a signal withdraws what has no number yet`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket, of } = installed.make(kind, script.url);
      const stop = new AbortController();
      // More than may ride before the welcome.
      for (const number of upTo(64)) socket.send(sentAs(kind, String(number)));
      const end = give(kind, socket, 'withdrawn', { signal: stop.signal });
      const aborted = AbortSignal.abort(new Error('before'));
      assert.equal((await endOf(give(kind, socket, 'never', { signal: aborted })))[2].message, 'before');
      const connection = await script.connection();
      await connection.next();
      await pause(10);
      stop.abort(new Error('enough'));
      assert.equal((await endOf(end))[2].message, 'enough');
      connection.send(welcome());
      socket.send(sentAs(kind, 'last'));
      await eventually('the last', () => connection.frames.some((frame) => frame.includes('last')));
      assert.ok(!connection.frames.some((frame) => /withdrawn|never/.test(frame)));
      assert.deepEqual(of('undelivered'), []);
    });

    test(`${kind}: a module that fails`, { timeout: TEST_TIMEOUT }, async (t) => {
      t.mock.method(console, 'error', () => {});
      const { socket, connection, of, secret } = await begin(kind);
      const end = give(kind, socket, 'one');
      const request = socket.request(sentAs(kind, 'ask'));
      socket.send(sentAs(kind, 'two'));
      await eventually('the arrival', () => connection.frames.some((frame) => frame.includes('two')));
      new Uint8Array(instances.at(-1).exports.memory.buffer).fill(0xff);
      connection.send('~w 0');
      const [name, , error] = await endOf(end);
      assert.equal(name, 'UnknownEndError');
      assert.match(error.message, /module has failed/);
      assert.equal((await endOf(request))[0], 'UnknownEndError');
      assert.equal(of('sessionlost').length, 1);
      assert.deepEqual(of('sessionlost')[0].unknown, [sentAs(kind, 'two')]);
      // It goes on with a fresh session.
      const again = await script.connection();
      const hello = await again.next();
      assert.match(hello, / attempt=1 epoch=0 /);
      assert.notEqual(helloFields(hello).secret, secret);
      again.send(welcome());
      await again.next();
      const later = give(kind, socket, 'three');
      await again.next();
      again.send('~a 1 0');
      assert.deepEqual(await endOf(later), ['resolved', undefined]);
    });

    test(`${kind}: the queue is full`, { timeout: TEST_TIMEOUT }, async () => {
      const { socket } = installed.make(kind, 'ws://127.0.0.1:1/', { maxQueuedMessages: 2, closeTimeout: 10 });
      const kept = [give(kind, socket, 'one'), give(kind, socket, 'two')];
      assert.equal((await endOf(give(kind, socket, 'three')))[0], 'QuotaExceededError');
      socket.close();
      for (const one of kept) assert.equal((await endOf(one))[0], 'NotHandledError');
    });
  }

  test('the drop-in class: what comes back from a lost session was not copied', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, connection, of } = await begin('plain');
    socket.send(Uint8Array.of(0xc1, 2, 3));
    await connection.next();
    connection.cut();
    const again = await script.connection();
    await again.next();
    again.send(welcome({ outcome: 'lost why=full was-handled=0 was-given=0 was-received=0', epoch: 7 }));
    const [lost] = await eventually('the loss', () => of('sessionlost').length > 0 && of('sessionlost'));
    assert.deepEqual([...new Uint8Array(lost.notHandled[0])], [0xc1, 2, 3]);
  });

  test('nothing rejects unseen, and what is awaited late still tells', { timeout: TEST_TIMEOUT }, async () => {
    const { socket } = installed.make('typed', 'ws://127.0.0.1:1/', { closeTimeout: 1 });
    const late = [socket.deliver(1), socket.request(2)];
    socket.deliver(3);
    socket.request(4);
    socket.deliver(() => {});
    socket.close();
    await pause(50);
    for (const one of late) assert.equal((await endOf(one))[0], 'NotHandledError');
  });

  /** The numbers in messages and requests, as they went out. */
  const numbersIn = (frames) =>
    frames
      .filter((frame) => !/^~(w|a|hello)/.test(frame))
      .flatMap((frame) => JSON.parse(frame.replace(/^~[qd] |^~b \d+/, '')));

  test('what is sent, delivered and asked stays in order', { timeout: TEST_TIMEOUT }, async () => {
    const work = (socket) => {
      socket.send(1);
      socket.deliver(2);
      socket.request(3);
      socket.send(4);
      socket.send(5);
      socket.request(6);
      socket.deliver(7);
    };
    const { socket, connection } = await begin('typed');
    work(socket);
    await eventually('the last', () => numbersIn(connection.frames).includes(7));
    assert.deepEqual(numbersIn(connection.frames), [1, 2, 3, 4, 5, 6, 7]);

    // Before there is a connection, or even a module.
    const early = installed.make('typed', script.url);
    work(early.socket);
    const first = await script.connection();
    await eventually('the last', () => numbersIn(first.frames).includes(7));
    assert.deepEqual(numbersIn(first.frames), [1, 2, 3, 4, 5, 6, 7]);
  });

  /** A codec that takes as long for a value as the test says. */
  function slowCodec() {
    const waiting = new Map();
    return {
      waiting,
      done: (value) => waiting.get(value)(JSON.stringify(value)),
      encode: (value) =>
        typeof value === 'number' && value < 0
          ? JSON.stringify(value)
          : new Promise((resolve) => {
              waiting.set(value, resolve);
            }),
      decode: (data) => JSON.parse(data),
    };
  }

  test('a codec that takes time keeps the order of the calls', { timeout: TEST_TIMEOUT }, async () => {
    const codec = slowCodec();
    const { socket, connection } = await begin('typed', { codec });
    const ends = [socket.send(1), socket.deliver(2), socket.request(3), socket.send(-4), socket.deliver(5)];
    socket.deliver(-6);
    for (const value of [1, 2, 3, 5]) {
      await eventually(`the turn of ${value}`, () => codec.waiting.has(value));
      assert.ok(!numbersIn(connection.frames).some((number) => Math.abs(number) >= value));
      codec.done(value);
    }
    await eventually('the last', () => numbersIn(connection.frames).includes(-6));
    assert.deepEqual(numbersIn(connection.frames), [1, 2, 3, -4, 5, -6]);
    await ends[0];
    // Nothing waits any more.
    socket.send(-7);
    assert.deepEqual(await socket.send(-8), undefined);
    await eventually('the last', () => numbersIn(connection.frames).includes(-8));
  });

  test('a codec that never ends holds up no ending', { timeout: TEST_TIMEOUT }, async () => {
    const codec = slowCodec();
    const { socket, connection, of } = await begin('typed', { codec, maxQueuedMessages: 3, closeTimeout: 50 });
    const stop = new AbortController();
    const aborted = socket.deliver(1, { signal: stop.signal });
    const [delivered, asked] = [socket.deliver(2), socket.request(3)];
    socket.send(4).catch(() => {});
    assert.equal((await endOf(socket.deliver(5)))[0], 'QuotaExceededError');
    assert.throws(() => socket.send(6), { name: 'QuotaExceededError' });
    stop.abort(new Error('enough'));
    assert.equal((await endOf(aborted))[2].message, 'enough');
    socket.close();
    for (const [index, end] of [delivered, asked].entries()) {
      const [name, , error] = await endOf(end);
      assert.deepEqual([name, error.sent], ['NotHandledError', index + 2]);
    }
    await eventually('the end', () => of('close').length === 1);
    for (const value of codec.waiting.keys()) codec.done(value);
    await pause(20);
    assert.deepEqual(numbersIn(connection.frames.filter((frame) => !frame.startsWith('~end'))), []);
  });

  test('a codec that fails later fails that message alone', { timeout: TEST_TIMEOUT }, async () => {
    const codec = {
      encode: async (value) => {
        if (value === 'bad') throw new Error('no form for this');
        return JSON.stringify(value);
      },
      decode: (data) => JSON.parse(data),
    };
    const { socket, connection } = await begin('typed', { codec });
    const bad = [socket.deliver('bad'), socket.request('bad')];
    socket.deliver('good');
    for (const end of bad) assert.equal((await endOf(end))[2].message, 'no form for this');
    await eventually('the good one', () => connection.frames.includes('~d "good"'));
  });

  test('a codec that does not encode is no message', { timeout: TEST_TIMEOUT }, async () => {
    const codec = { encode: (value) => (value === 0 ? '0' : value), decode: (data) => data };
    const { socket } = await begin('typed', { codec });
    for (const end of [socket.deliver({}), socket.request({}), socket.deliver(undefined)]) {
      const [name, code] = await endOf(end);
      assert.deepEqual([name, code], ['MessageError', 'encode-failed']);
    }
  });
});
