// The packed test kit itself: every fault, the errors for what does not happen, leftovers, time, randomness and the
// page.

import assert from 'node:assert/strict';
import { afterEach, before, after, beforeEach, describe, mock, test } from 'node:test';
import { cp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { required } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { importPackage, nextEvent } from '../typed/package.mjs';

const URL_OF_CHAT = 'ws://example.test/chat';

describe('the test kit', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let kit;
  let server;
  let cleanups;
  before(async () => {
    installed = await importPackage('kit');
    kit = await import(pathToFileURL(path.join(installed.folder, 'testing/index.js')).href);
  });
  after(() => installed?.remove());
  beforeEach(() => {
    cleanups = [];
    server = kit.FakeServer.install();
    cleanups.push(server);
  });
  afterEach(() => {
    for (const one of cleanups.reverse()) one.restore();
    assert.equal(Object.getOwnPropertyDescriptor(performance, 'now'), undefined, 'the clock is the real one');
  });

  /** Registers something to be restored when the test is over. */
  function keep(one) {
    cleanups.push(one);
    return one;
  }

  function make(url = URL_OF_CHAT, protocols = [], options = {}) {
    return new installed.typed.ReconnectingWebSocket(url, protocols, options);
  }

  /** A socket with the interface of a browser's, and its connection, open. */
  async function plain(...given) {
    const socket = new WebSocket(URL_OF_CHAT, ...given);
    const seen = log(socket);
    const connection = await server.nextConnection();
    await server.settled();
    return { socket, connection, seen };
  }

  function log(socket) {
    const seen = [];
    for (const type of ['open', 'message', 'error', 'close']) {
      socket.addEventListener(type, (event) => {
        seen.push(
          {
            open: 'open',
            error: 'error',
            message: `message ${event.data}`,
            close: `close ${event.code} ${event.reason} ${event.wasClean}`,
          }[type],
        );
      });
    }
    return seen;
  }

  test('nextConnection() gives a connection whose handshake has been treated as the server says', async () => {
    const states = {
      open: ['open', 'open'],
      refuse: ['refuse', 'closed'],
      stall: ['stall', 'connecting'],
      'a function that opens': [(connection) => connection.open(), 'open'],
      'a function that leaves it': [() => {}, 'connecting'],
    };
    for (const [name, [handshake, state]] of Object.entries(states)) {
      server.handshake = handshake;
      const waiting = server.nextConnection();
      const socket = make();
      const connection = await waiting;
      assert.equal(connection.state, state, name);
      // An open connection can be used at once.
      if (state === 'open') connection.send('hello');
      // Requested when it already exists.
      const other = make();
      assert.equal((await server.nextConnection()).state, state, name);
      for (const one of [socket, other]) one.close();
      await server.settled();
    }
  });

  test('a URL is refused as a browser refuses it', () => {
    for (const url of [
      'localhost:80',
      'localhost:8765/chat',
      'ftp://example.test/',
      'ws://',
      'ws://:80/',
      'ws://example.test:65536/',
      'ws://example.test/#x',
    ]) {
      assert.throws(() => new WebSocket(url), { name: 'SyntaxError' }, url);
      assert.throws(() => make(url), { name: 'SyntaxError' }, url);
    }
    assert.throws(() => server.endpoint('localhost:80'), TypeError);
  });

  describe('connections', () => {
    test('open after the code that is running, whatever the test awaits', async () => {
      const socket = new WebSocket(URL_OF_CHAT);
      const seen = log(socket);
      assert.equal(socket.readyState, 0);
      assert.equal(server.connections.length, 1);
      await Promise.resolve();
      assert.deepEqual(seen, []);
      await nextEvent(socket, 'open');
      assert.equal(server.last.state, 'open');
      assert.equal(server.last.socket, socket);
      assert.equal(server.last.url, URL_OF_CHAT);
    });

    test('stall until the test answers, by hand and at once', async () => {
      server.handshake = 'stall';
      const { connection, seen } = await plain(['a', 'b']);
      assert.deepEqual(connection.offeredProtocols, ['a', 'b']);
      connection.open({ protocol: 'b' });
      assert.deepEqual(seen, ['open']);
      assert.equal(connection.protocol, 'b');
    });

    test('are refused', async () => {
      server.handshake = 'refuse';
      assert.deepEqual((await plain()).seen, ['error', 'close 1006  false']);
    });

    test('are answered by a function, which may take its time', async () => {
      server.handshake = (connection) => {
        setTimeout(() => connection.refuse(), 1);
      };
      const socket = new WebSocket(URL_OF_CHAT);
      assert.equal((await nextEvent(socket, 'close')).code, 1006);
    });

    test('select the first sub-protocol that both have, and fail where none is', async () => {
      server.protocols = ['c', 'b'];
      assert.equal((await plain(['a', 'b', 'c'])).connection.protocol, 'b');
      assert.deepEqual((await plain(['a'])).seen, ['error', 'close 1006  false']);
    });

    test('are given one after the other, those before the call, too', async () => {
      const sockets = [1, 2, 3].map((number) => new WebSocket(`${URL_OF_CHAT}?${number}`));
      const given = await Promise.all([server.nextConnection(), server.nextConnection()]);
      assert.deepEqual(
        given.map(({ socket }) => socket),
        sockets.slice(0, 2),
      );
      assert.equal((await server.nextConnection()).socket, sockets[2]);
    });

    test('go to the endpoint of their URL', async () => {
      const endpoints = {
        path: server.endpoint('/path'),
        absolute: server.endpoint('wss://other.test/absolute'),
        query: server.endpoint('ws://example.test/query?a=1'),
        pattern: server.endpoint(/room-\d+$/),
        asked: server.endpoint(({ searchParams }) => searchParams.has('asked')),
      };
      for (const url of [
        'ws://any.test/path?x=1',
        'https://other.test/absolute?token',
        'ws://example.test/query?a=1',
        'ws://example.test/query?a=2',
        'ws://example.test/room-12',
        'ws://example.test/?asked',
        'ws://example.test/else',
      ])
        new WebSocket(url);
      const reached = Object.fromEntries(
        Object.entries(endpoints).map(([name, { connections }]) => [name, connections.map(({ url }) => url)]),
      );
      assert.deepEqual(reached, {
        path: ['ws://any.test/path?x=1'],
        absolute: ['wss://other.test/absolute?token'],
        query: ['ws://example.test/query?a=1'],
        pattern: ['ws://example.test/room-12'],
        asked: ['ws://example.test/?asked'],
      });
      assert.equal(server.connections.length, 2);
      assert.throws(() => server.endpoint('no url'), /"no url" is no endpoint; it takes a path/);
      for (const wrong of [undefined, '//host/path', 'ftp://example.test/']) {
        assert.throws(
          () => server.endpoint(wrong),
          /is no endpoint; it takes a path \(\/chat\), an absolute URL \(ws:, wss:, http: or https:\)/,
        );
      }
    });

    test('go to the endpoint of their path with its query, in any script, and of a pattern every time', async () => {
      const endpoints = [server.endpoint('/query?a=1'), server.endpoint('/café'), server.endpoint(/room/g)];
      for (const path of ['query?a=1', 'query?a=2', 'caf%C3%A9', 'café', 'room', 'room'])
        new WebSocket(`ws://example.test/${path}`);
      assert.deepEqual(
        endpoints.map(({ connections }) => connections.length),
        [1, 2, 2],
      );
      assert.equal(server.connections.length, 1);
    });
  });

  describe('messages', () => {
    test('arrive at once in both directions, as what they are', async () => {
      const { socket, connection } = await plain();
      socket.binaryType = 'arraybuffer';
      const came = [];
      socket.onmessage = ({ data, origin }) => came.push(data, origin);
      socket.send('text');
      socket.send(new Uint8Array([1, 2, 3]).subarray(1));
      connection.send('text');
      connection.send(new Uint8Array([4, 5]).subarray(1));
      assert.deepEqual(
        connection.received.map((data) => (typeof data === 'string' ? data : [...new Uint8Array(data)])),
        ['text', [2, 3]],
      );
      assert.deepEqual(
        came.map((data) => (typeof data === 'string' ? data : [...new Uint8Array(data)])),
        ['text', 'ws://example.test', [5], 'ws://example.test'],
      );
    });

    test('are blobs where the socket wants them', async () => {
      const { socket, connection } = await plain();
      const came = nextEvent(socket, 'message');
      connection.send(new Uint8Array([104, 105]));
      assert.equal(await (await came).data.text(), 'hi');
      const { socket: other, connection: second } = await plain();
      other.binaryType = 'arraybuffer';
      const seen = [];
      other.onmessage = ({ data }) => seen.push(typeof data === 'string' ? data : data.byteLength);
      const all = nextEvent(other, 'close');
      second.send(new Blob(['four']));
      second.send('behind it');
      second.close(1000);
      await all;
      assert.deepEqual(seen, [4, 'behind it']);
    });

    test('are expected in their order, by value, pattern or function', async () => {
      const { socket, connection } = await plain();
      for (const text of ['one', 'two', 'three']) socket.send(text);
      socket.send(new Uint8Array([1, 2]));
      assert.equal(await connection.expect('one'), 'one');
      await connection.expect(/^t/);
      await connection.expect((text) => text.length === 5);
      await connection.expect(new Uint8Array([1, 2]).buffer);
      const later = connection.receive();
      socket.send('four');
      assert.equal(await later, 'four');
    });

    test('that are others, do not come, or cannot come any more, are told', async () => {
      const { socket, connection } = await plain();
      socket.send('{"a":1}');
      await assert.rejects(connection.expect('{"a":2}'), {
        message: `connection 1 to ${URL_OF_CHAT}: expect: expected message 1 to be "{\\"a\\":2}", but it is "{\\"a\\":1}"`,
      });
      await assert.rejects(connection.expect('more', { timeout: 5 }), {
        message: `connection 1 to ${URL_OF_CHAT}: expect: expected message 2 to be "more", but it did not come within 5 ms: it is open; received: one message: "{\\"a\\":1}"`,
      });
      const never = connection.receive();
      connection.close(1001, 'away');
      await assert.rejects(
        never,
        /expected message 3 to be a message, but the connection has ended: it is closed, code 1001 "away", clean; received: one message/,
      );
    });

    test('that a function refuses by an error: it reaches the test, and not the program', async () => {
      const { socket, connection } = await plain();
      const expected = connection.expect((text) => assert.equal(text, 'right'));
      socket.send('wrong');
      await assert.rejects(expected, assert.AssertionError);
    });

    test('that the codec does not decode: they are shown, and the program is not disturbed', async () => {
      server.codec = installed.typed.json;
      const { socket, connection } = await plain();
      const expected = connection.expect({ a: 1 });
      socket.send('no JSON');
      await assert.rejects(
        expected,
        /expected message 1 to be {"a":1}, but it is "no JSON", which the codec does not decode: .*not JSON/,
      );
      await assert.rejects(
        connection.receive({ timeout: 5 }),
        /did not come within 5 ms: it is open; received: one message: "no JSON"/,
      );
    });

    test('that the codec promises: they are refused', async () => {
      const { socket, connection } = await plain();
      server.codec = { encode: async (value) => value, decode: async (data) => data };
      assert.throws(() => connection.send('x'), {
        name: 'TypeError',
        message: /the codec gives a promise; it takes one that gives/,
      });
      socket.send('x');
      await assert.rejects(
        connection.receive(),
        /it is "x", which the codec does not decode: FakeServer: the codec gives a promise/,
      );
    });

    test('are not equal by having nothing to compare', async () => {
      const { socket, connection } = await plain();
      const values = [new Date(0), new Map(), new Set([1]), [], {}];
      server.codec = { encode: String, decode: (index) => values[index] };
      for (const [index, value] of values.entries()) {
        for (const other of values) {
          if (other === value) continue;
          socket.send(String(index));
          await assert.rejects(connection.expect(other), /but it is/);
        }
        socket.send(String(index));
        await connection.expect(structuredClone(value));
      }
      server.codec = null;
      socket.send(new Blob(['one']));
      await assert.rejects(
        connection.expect(new Blob(['two'])),
        /what a Blob holds cannot be compared; take the message by receive\(\)/,
      );
      assert.equal(await (await connection.receive()).text(), 'one');
    });

    test('pass through a codec', async () => {
      const { typed, msgpack } = installed;
      for (const codec of [typed.json, msgpack.msgpack]) {
        const endpoint = server.endpoint('/typed', { codec });
        const socket = new typed.TypedSocket('ws://example.test/typed', { codec });
        const answer = socket.next();
        socket.send({ type: 'hello', name: 'Ada' });
        const connection = await endpoint.nextConnection();
        await connection.expect({ type: 'hello', name: 'Ada' });
        connection.send({ type: 'greeting', text: 'Hello Ada!' });
        assert.deepEqual(await answer, { type: 'greeting', text: 'Hello Ada!' });
        socket.close();
        await connection.expectClose();
      }
    });

    test('are answered by the endpoint', async () => {
      server.onmessage = (message, connection) => connection.send(message.toUpperCase());
      const { socket } = await plain();
      const answer = nextEvent(socket, 'message');
      socket.send('echo');
      assert.equal((await answer).data, 'ECHO');
    });
  });

  test('reaches classes that are made of Rust types', async () => {
    // In a project whose files are modules.
    const folder = path.join(installed.folder, '../../typed-hello');
    await cp(required('STEADY_SOCKET_TYPED_HELLO'), folder, { recursive: true });
    const { default: init, HelloSocket } = await import(pathToFileURL(path.join(folder, 'typed_hello.js')).href);
    await init({ module_or_path: await readFile(path.join(folder, 'typed_hello_bg.wasm')) });
    const time = keep(kit.fakeTime());
    keep(kit.setChance(1));
    const endpoint = server.endpoint('/hello', { codec: installed.typed.json });
    const socket = new HelloSocket('ws://example.test');
    socket.send({ type: 'hello', name: 'Ada' });
    const first = await endpoint.nextConnection();
    await first.expect({ type: 'hello', name: 'Ada' });
    first.cut();
    await time.advance(4_999);
    assert.equal(endpoint.connections.length, 1);
    await time.advance(1);
    const answer = socket.next();
    endpoint.last.send({ type: 'greeting', text: 'Hello Ada!' });
    assert.deepEqual(await answer, { type: 'greeting', text: 'Hello Ada!' });
    socket.close();
    await server.settled();
    server.assertIdle();
  });

  describe('faults', () => {
    test('cut: 1006, with and without an error', async () => {
      const one = await plain();
      one.connection.cut();
      assert.deepEqual(one.seen, ['open', 'close 1006  false']);
      const other = await plain();
      other.connection.cut({ error: true });
      assert.deepEqual(other.seen, ['open', 'error', 'close 1006  false']);
    });

    test('close with any code, reason, or none', async () => {
      for (const [given, seen] of [
        [[], 'close 1005  true'],
        [[1000], 'close 1000  true'],
        [[1012, 'soon'], 'close 1012 soon true'],
        [[4999, 'é'], 'close 4999 é true'],
      ]) {
        const one = await plain();
        one.connection.close(...given);
        assert.deepEqual(one.seen, ['open', seen]);
        assert.equal(one.connection.end.wasClean, true);
      }
      const { connection } = await plain();
      assert.throws(() => connection.close(1006), /code 1006 cannot be in a Close frame; .*1006 is what cut\(\) gives/);
      assert.throws(() => connection.close(2000), RangeError);
      assert.throws(() => connection.close(1000, 'x'.repeat(124)), /the reason has 124 bytes; it takes at most 123/);
    });

    test('a slow close leaves the socket closing until it is finished', async () => {
      const { socket, connection, seen } = await plain();
      connection.close(1001, 'later', { slow: true });
      assert.equal(socket.readyState, 2);
      connection.send('not seen');
      connection.finishClose();
      assert.deepEqual(seen, ['open', 'close 1001 later true']);
    });

    test('the socket closes: answered, by hand, and never', async () => {
      const one = await plain();
      one.socket.close(4001, 'done');
      assert.deepEqual(one.connection.closedWith, { code: 4001, reason: 'done' });
      assert.equal(one.socket.readyState, 2);
      await one.connection.expectClose(4001, 'done');
      await server.settled();
      assert.deepEqual(one.seen, ['open', 'close 4001 done true']);

      server.closing = 'stall';
      const other = await plain();
      other.socket.close();
      await server.settled();
      assert.equal(other.socket.readyState, 2);
      other.connection.finishClose(4002);
      assert.deepEqual(other.seen, ['open', 'close 4002  true']);
      await assert.rejects(
        other.connection.expectClose(1000),
        /expected close\(1000\) of the socket, but it called close\(\)/,
      );

      const limited = keep(new kit.FakeServer({ closing: 'stall', closeLimit: 5 }));
      const socket = new limited.WebSocket(URL_OF_CHAT);
      await nextEvent(socket, 'open');
      socket.close();
      assert.equal((await nextEvent(socket, 'close')).code, 1006);
    });

    test('half-open: it looks open, and nothing passes; resume() lets it', async () => {
      const { socket, connection, seen } = await plain();
      connection.halfOpen();
      socket.send('12345');
      connection.send('held back');
      socket.close(1000);
      await server.settled();
      assert.equal(socket.bufferedAmount, 5);
      assert.equal(socket.readyState, 2);
      assert.deepEqual(connection.received, []);
      assert.equal(connection.closedWith, null);
      connection.resume();
      await server.settled();
      assert.deepEqual(connection.received, ['12345']);
      assert.deepEqual(seen, ['open', 'close 1000  true']);
    });

    test('a held connection has backpressure until it is drained', async () => {
      const { socket, connection } = await plain();
      connection.hold();
      socket.send('1234');
      socket.send('56');
      await server.settled();
      assert.equal(socket.bufferedAmount, 6);
      connection.drain(3);
      assert.equal(socket.bufferedAmount, 3);
      assert.deepEqual(connection.received, []);
      connection.drain(1);
      assert.deepEqual(connection.received, ['1234']);
      connection.drain();
      assert.equal(socket.bufferedAmount, 0);
      socket.send('held again');
      assert.equal(connection.received.length, 2);
      connection.resume();
      assert.equal(connection.received.length, 3);
    });

    test('backpressure stops a ReconnectingWebSocket at its high water mark', async () => {
      const time = keep(kit.fakeTime());
      const socket = make(URL_OF_CHAT, [], { highWaterMark: 10, lowWaterMark: 5 });
      const connection = await server.nextConnection();
      await server.settled();
      connection.hold();
      for (let index = 0; index < 5; index += 1) socket.send('12345');
      assert.equal(connection.bufferedAmount, 10);
      assert.equal(socket.snapshot().queuedMessages, 3);
      connection.resume();
      await time.advance(1_000);
      assert.equal(connection.received.length, 5);
      socket.close();
    });

    test('what cannot be done in a state says so', async () => {
      const { connection } = await plain();
      assert.throws(() => connection.open(), {
        message: `connection 1 to ${URL_OF_CHAT}: open: it is open; this takes one that is connecting. it is open; received: no message`,
      });
      assert.throws(() => connection.finishClose(), /no close is under way/);
      connection.cut();
      for (const act of [
        () => connection.send('x'),
        () => connection.cut(),
        () => connection.close(1000),
        () => connection.halfOpen(),
      ]) {
        assert.throws(act, /it is closed; this takes one that is/);
      }
      assert.throws(() => {
        server.handshake = 'accept';
      }, /handshake is "accept"; it takes 'open', 'stall', 'refuse' or a function/);
      assert.throws(
        () => new kit.FakeServer({ handShake: 'open' }),
        /the options have no handShake; it takes handshake, closing/,
      );
    });

    test('what is wrong is told with what is taken', async () => {
      const { connection } = await plain();
      const { connection: second } = await plain();
      server.handshake = 'stall';
      const { connection: connecting } = await plain();
      for (const [act, message] of [
        [
          () => connecting.open({ protocl: 'chat' }),
          /FakeConnection.open: the options have no protocl; it takes protocol, extensions/,
        ],
        [() => connecting.open({ extensions: 5 }), /FakeConnection.open: extensions is 5; it takes text/],
        [() => connecting.open('chat'), /FakeConnection.open: the options are "chat"; they are an object/],
        [() => connection.close(1000, null), /FakeConnection.close: reason is null; it takes text/],
        [() => connection.close(1000, { slow: true }), /FakeConnection.close: reason is {"slow":true}; it takes text/],
        [
          () => connection.close(1000, '', { slw: true }),
          /FakeConnection.close: the options have no slw; it takes slow/,
        ],
        [() => connection.cut({ error: 'yes' }), /FakeConnection.cut: error is "yes"; it takes true or false/],
        [() => connection.cut(null), /FakeConnection.cut: the options are null; they are an object/],
        [
          () => server.assertIdle({ timer: false }),
          /FakeServer.assertIdle: the options have no timer; it takes timers/,
        ],
        [() => kit.fakeTime({ tikc() {} }), /fakeTime: the options have no tikc; it takes now, tick/],
        [() => kit.fakeTime({ now: 'noon' }), /fakeTime: now is "noon"; it takes a time in milliseconds, or a Date/],
        [() => kit.fakeTime({ tick: 1 }), /fakeTime: tick is 1; it takes a function that advances the fake timers/],
      ])
        assert.throws(act, { name: 'TypeError', message });
      for (const options of [5, null, { timeout: 'soon' }, { timeout: Number.NaN }, { tiemout: 5 }]) {
        for (const wait of [
          server.nextConnection(options),
          connection.receive(options),
          connection.expect('x', options),
          connection.expectClose(1000, '', options),
        ]) {
          await assert.rejects(wait, {
            name: 'TypeError',
            message:
              /options are|timeout is .*; it takes a number of milliseconds from 0, or Infinity|no tiemout; it takes timeout/,
          });
        }
      }
      await assert.rejects(
        connection.expectClose({ timeout: 5 }),
        /expectClose: code is {"timeout":5}; it takes a number, or undefined for any/,
      );
      server.closing = 'stall';
      connection.socket.close();
      assert.throws(
        () => connection.finishClose(99_999),
        /FakeConnection.finishClose: code 99999 cannot be in a Close frame; it takes 1000 to 1014/,
      );
      assert.throws(
        () => connection.finishClose(undefined, 'why'),
        /FakeConnection.finishClose: the reason needs a code/,
      );
      connection.finishClose(1001, 'why');
      assert.deepEqual(connection.end, { code: 1001, reason: 'why', wasClean: true });
      second.close(1012, '', { slow: true });
      assert.throws(
        () => second.finishClose(1001),
        /the close is the server's own, whose code and reason close\(\) was given/,
      );
    });
  });

  describe('what is left', () => {
    test('a socket that nobody closed, an expectation, a timer', async () => {
      const time = keep(kit.fakeTime());
      assert.doesNotThrow(() => server.assertIdle());
      const { socket, connection } = await plain();
      assert.throws(() => server.assertIdle(), {
        message: `FakeServer.assertIdle: the socket to ${URL_OF_CHAT} is open: its program did not close it`,
      });
      socket.close();
      await server.settled();
      server.assertIdle();
      const more = server.nextConnection();
      setTimeout(() => {}, 1_000);
      assert.throws(
        () => server.assertIdle(),
        (error) => {
          assert.match(
            error.message,
            /- still waited for: connection 2 to the server\n- one timer is running on the fake clock$/,
          );
          return true;
        },
      );
      assert.equal(time.pending, 1);
      assert.doesNotThrow(() => connection.received);
      server.restore();
      await assert.rejects(more, /expected connection 2 to the server, but the server was restored/);
    });

    test('a ReconnectingWebSocket that waits for its next attempt', async () => {
      keep(kit.fakeTime());
      const socket = make();
      await server.nextConnection();
      server.last.cut();
      assert.throws(() => server.assertIdle(), /one timer is running on the fake clock/);
      socket.close();
      server.assertIdle();
    });

    test('restore() puts the global WebSocket back', () => {
      const fake = globalThis.WebSocket;
      assert.equal(fake, server.WebSocket);
      server.restore();
      assert.notEqual(globalThis.WebSocket, fake);
      assert.equal(typeof server[Symbol.dispose ?? Symbol.for('Symbol.dispose')], 'function');
    });

    test('two servers do not disturb each other', async () => {
      const other = keep(new kit.FakeServer());
      const socket = new other.WebSocket(URL_OF_CHAT);
      await nextEvent(socket, 'open');
      assert.deepEqual([server.connections.length, other.connections.length], [0, 1]);
    });

    test('what is put in place twice is put back in any order', () => {
      const [fake, random] = [globalThis.WebSocket, Math.random];
      const servers = [kit.FakeServer.install(), kit.FakeServer.install()];
      const chances = [kit.setChance(0), kit.setChance(1)];
      servers[0].restore();
      chances[0].restore();
      assert.equal(globalThis.WebSocket, servers[1].WebSocket);
      assert.equal(Math.random(), 1);
      chances[0].restore();
      assert.equal(Math.random(), 1, 'once is enough');
      servers[1].restore();
      chances[1].restore();
      assert.equal(globalThis.WebSocket, fake);
      assert.equal(Math.random, random);
    });
  });

  describe('time', () => {
    test('of its own: timers, both clocks, and what comes back', async () => {
      const before = { setTimeout, Date, now: performance.now };
      const time = kit.fakeTime({ now: 1_000 });
      try {
        const start = performance.now();
        const seen = [];
        const note = (what) => seen.push(`${what} at ${Date.now()} ${performance.now() - start}`);
        setTimeout(note, 20, 'second');
        setTimeout(async () => {
          note('first');
          await null;
          setTimeout(note, 5, 'nested');
        }, 10);
        const interval = setInterval(() => note('interval'), 8);
        clearTimeout(setTimeout(note, 1, 'never'));
        // biome-ignore lint/complexity/useDateNow: the constructor is what is tested
        assert.equal(new Date().getTime(), 1_000);
        assert.ok(new Date(5) instanceof Date);
        await time.advance(20);
        clearInterval(interval);
        assert.deepEqual(seen, [
          'interval at 1008 8',
          'first at 1010 10',
          'nested at 1015 15',
          'interval at 1016 16',
          'second at 1020 20',
        ]);
        time.sleep(1_000);
        assert.deepEqual([Date.now(), performance.now() - start], [2_020, 20]);
        assert.equal(time.pending, 0);
        const timeout = setTimeout(note, 10, 'unreferenced').unref();
        assert.equal(timeout.hasRef(), false);
        timeout.close();
        assert.equal(time.pending, 0);
        assert.throws(() => kit.fakeTime(), /the clock is fake already/);
      } finally {
        time.restore();
      }
      assert.deepEqual({ setTimeout, Date, now: performance.now }, before);
      await assert.rejects(time.advance(-1), RangeError);
    });

    test('of its own: a timer of before can still be called off', async () => {
      const before = setTimeout(() => assert.fail('it was called off'), 1);
      const time = keep(kit.fakeTime());
      clearTimeout(before);
      await new Promise((resolve) => {
        setImmediate(() => setImmediate(resolve));
      });
      time.restore();
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
    });

    test('waits are exact', async () => {
      const time = keep(kit.fakeTime());
      for (const chance of [0, 0.5, 1]) {
        const fixed = kit.setChance(chance);
        const socket = make();
        const first = await server.nextConnection();
        await server.settled();
        first.cut();
        const made = server.connections.length;
        if (chance > 0) {
          await time.advance(5_000 * chance - 1);
          assert.equal(server.connections.length, made);
        }
        await time.advance(1);
        assert.equal(server.connections.length, made + 1);
        await server.nextConnection();
        socket.close();
        await server.settled();
        fixed.restore();
      }
      server.assertIdle();
    });

    test('that node:test mocks: without its tick it says what is missing', async () => {
      mock.timers.enable({ apis: ['setTimeout', 'Date'] });
      try {
        assert.throws(() => kit.fakeTime(), /fakeTime\(\{ tick: \(ms\) => mock\.timers\.tick\(ms\) \}\)/);
        const time = kit.fakeTime({ tick: (ms) => mock.timers.tick(ms) });
        const fixed = keep(kit.setChance(1));
        const socket = make();
        const connection = await server.nextConnection();
        await server.settled();
        const start = performance.now();
        connection.cut();
        await time.advance(4_999);
        assert.equal(server.connections.length, 1);
        await time.advance(1);
        assert.equal(server.connections.length, 2);
        assert.equal(performance.now() - start, 5_000);
        fixed.restore();
        socket.close();
        await server.settled();
      } finally {
        mock.timers.reset();
      }
      assert.ok(performance.now() > 0);
    });

    test('a machine that slept asks its server at once', async () => {
      const time = keep(kit.fakeTime());
      const socket = make(URL_OF_CHAT, [], { heartbeatInterval: 60_000, heartbeatMessage: 'ping' });
      const connection = await server.nextConnection();
      await server.settled();
      time.sleep(3_600_000);
      await time.advance(60_000);
      assert.deepEqual(connection.received, ['ping']);
      socket.close();
    });
  });

  describe('chance', () => {
    test('is a number, or several', () => {
      const random = Math.random;
      const fixed = kit.setChance([0.25, 0.75]);
      assert.deepEqual([Math.random(), Math.random(), Math.random()], [0.25, 0.75, 0.75]);
      fixed.restore();
      assert.equal(Math.random, random);
      for (const wrong of [2, -1, NaN, 'x', []]) assert.throws(() => kit.setChance(wrong), RangeError);
    });
  });

  describe('the page', () => {
    test('that is online again ends a wait', async () => {
      const time = keep(kit.fakeTime());
      const page = keep(new kit.FakePage());
      keep(kit.setChance([1, 1, 0])); // asked when it is offline, too; long after the loss, short when it is online
      const socket = make(URL_OF_CHAT, [], { firstDelayMax: 3_600_000 });
      const connection = await server.nextConnection();
      await server.settled();
      page.offline();
      assert.equal(navigator.onLine, false);
      connection.cut();
      await time.advance(60_000);
      assert.equal(server.connections.length, 1);
      page.online();
      await time.advance(1_000);
      assert.equal(server.connections.length, 2);
      socket.close();
    });

    test('that is shown, resumed or brought back asks whether the connection lives', async () => {
      const time = keep(kit.fakeTime());
      const page = keep(new kit.FakePage());
      for (const wake of ['show', 'resume', 'comeBack']) {
        const socket = make(URL_OF_CHAT, [], {
          heartbeatInterval: 3_600_000,
          heartbeatMessage: 'ping',
          isHeartbeat: (data) => data === 'pong',
        });
        const connection = await server.nextConnection();
        await server.settled();
        page.hide();
        assert.equal(document.visibilityState, 'hidden');
        page.freeze();
        page.leave();
        await time.advance(10_000);
        page[wake]();
        assert.deepEqual(connection.received, ['ping'], wake);
        connection.halfOpen();
        await time.advance(5_000);
        assert.equal((await server.nextConnection()).state, 'open', wake);
        socket.close();
        await server.settled();
        page.show();
      }
    });

    test('is gone where there was none before', () => {
      const page = new kit.FakePage();
      assert.equal(typeof globalThis.addEventListener, 'function');
      page.restore();
      assert.equal(globalThis.document, undefined);
      assert.equal(globalThis.addEventListener, undefined);
    });
  });
});
