// What happens to sockets when the WebAssembly module fails, in virtual time: the packed package on the test kit. An
// instance fails because all of its memory is overwritten, as by a bug in it.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { watchWebAssembly } from '../lib/webassembly.mjs';
import { importPackage, nextEvent, turn } from '../typed/package.mjs';

const URL_OF_CHAT = 'ws://example.test/chat';

/** How many fresh instances may start within ten minutes. */
const MOST_FAILURES = 5;

describe('when the WebAssembly module fails', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let kit;
  let server;
  let time;
  let page;
  let chance;
  let started = 0;
  /** Every instance of the module that has started. */
  const instances = [];
  let work;
  const { instantiate } = WebAssembly;

  before(async () => {
    WebAssembly.instantiate = async (...given) => {
      const instance = await Reflect.apply(instantiate, WebAssembly, given);
      instances.push(instance);
      return instance;
    };
    installed = await importPackage('failure');
    kit = await import(pathToFileURL(path.join(installed.folder, 'testing/index.js')).href);
  });
  after(() => {
    WebAssembly.instantiate = instantiate;
    return installed?.remove();
  });
  beforeEach(async (t) => {
    t.mock.method(console, 'error', () => {});
    work = watchWebAssembly();
    server = kit.FakeServer.install();
    time = kit.fakeTime();
    page = new kit.FakePage();
    chance = kit.setChance(1);
    // Long after the failures of earlier tests, each of which had its own clock.
    started += 1;
    await time.advance(started * 700_000);
    await installed.typed.load();
  });
  afterEach(() => {
    for (const one of [chance, page, time, server, work]) one.restore();
  });

  const complaints = () => console.error.mock.calls.map(({ arguments: [line] }) => line);
  const breakModule = () => new Uint8Array(instances.at(-1).exports.memory.buffer).fill(0xff);
  /** Lets a fresh instance start, which takes no time on the test's clock. */
  const settle = async () => {
    do {
      await turn();
      await time.advance(0);
      await turn();
      await time.advance(0);
    } while (await work.finished());
    await server.settled();
  };

  function make(options = {}, url = URL_OF_CHAT) {
    const socket = new installed.typed.ReconnectingWebSocket(url, [], options);
    const seen = [];
    for (const type of ['open', 'message', 'error', 'close', 'statechange', 'dropped']) {
      socket.addEventListener(type, (event) => seen.push(describeEvent(event)));
    }
    return { socket, seen };
  }

  function describeEvent(event) {
    switch (event.type) {
      case 'statechange':
        return `${event.state} ${event.attempt}${event.delay === null ? '' : ` in ${event.delay}`}`;
      case 'open':
        return `open ${event.reconnected}`;
      case 'message':
        return `message ${event.data}`;
      case 'dropped':
        return `dropped ${event.reason} ${event.messages}`;
      case 'close':
        return `close ${event.code} ${event.cause} ${event.delay} ${event.unconfirmedMessages}/${event.unconfirmedBytes}`;
      default:
        return event.type;
    }
  }

  /** An open socket and its connection. */
  async function open(options) {
    const made = make(options);
    const connection = await server.nextConnection();
    await server.settled();
    assert.equal(made.socket.state, 'open');
    made.seen.length = 0;
    return { ...made, connection };
  }

  test('[R31] every socket loses its connection, as it loses others, and is back on a fresh instance', async () => {
    const one = await open();
    one.socket.send('first');
    one.connection.send('answer');
    await time.advance(6_000);
    const count = instances.length;
    const before = one.socket.snapshot();
    breakModule();
    // Whichever call discovers it.
    assert.equal(one.socket.readyState, 0);
    assert.equal(one.socket.state, 'waiting');
    one.socket.send('second');
    assert.equal(one.connection.state, 'closing');
    await time.advance(4_999);
    assert.deepEqual(one.seen, ['message answer', 'waiting 2 in 5000', 'error', 'close 1006 internal-error 5000 1/5']);
    one.seen.length = 0;
    await time.advance(1);
    await settle();
    const connection = await server.nextConnection();
    await connection.expect('second');
    assert.deepEqual(one.seen, ['connecting 2', 'open 2', 'open true']);
    assert.equal(instances.length, count + 1);
    const after = one.socket.snapshot();
    for (const [name, more] of Object.entries({
      attempts: 1,
      opens: 1,
      messagesSent: 1,
      bytesSent: 6,
      messagesReceived: 0,
      bytesReceived: 0,
      unconfirmedMessages: 1,
      unconfirmedBytes: 5,
      droppedMessages: 0,
      abandoned: 1,
    }))
      assert.equal(after[name], before[name] + more, name);
    assert.equal(complaints().length, 1);
    assert.match(complaints()[0], /^steady-socket: the WebAssembly module .* started anew: \w*Error/);
    one.socket.close();
    await server.settled();
    server.assertIdle();
  });

  test('[R31] what waits to be sent is sent, in its order and once; what was dropped is told once', async () => {
    const { socket, seen, connection } = await open({
      highWaterMark: 4,
      lowWaterMark: 1,
      maxQueuedMessages: 4,
      overflow: 'drop-oldest',
    });
    connection.hold();
    for (const message of ['sent', 'a', 'b']) socket.send(message);
    socket.send(new Uint8Array([1, 2]));
    socket.send('c', { ttl: 60_000 });
    socket.send('d', { priority: 'first' });
    socket.send('short', { ttl: 1_000 });
    socket.send('volatile', { volatile: true });
    await time.advance(0);
    assert.deepEqual(seen.splice(0), ['dropped overflow a,b', 'dropped volatile volatile']);
    breakModule();
    socket.send('e');
    await time.advance(0);
    assert.equal(seen.shift(), 'waiting 2 in 5000');
    assert.deepEqual(seen.filter((line) => line.startsWith('dropped')).length, 1, `${seen}`);
    await time.advance(5_000);
    await settle();
    const next = await server.nextConnection();
    await server.settled();
    assert.deepEqual(
      next.received.map((message) => (typeof message === 'string' ? message : [...new Uint8Array(message)])),
      ['d', 'c', 'e'],
    );
    const { queuedMessages, droppedMessages, messagesSent } = socket.snapshot();
    assert.deepEqual([queuedMessages, droppedMessages, messagesSent], [0, 5, 4]);
    socket.close();
  });

  test('[R31] a socket that waits goes on waiting, and not longer; one that closes has closed', async () => {
    const waits = await open();
    waits.connection.close(1012, '');
    await time.advance(1_000);
    const closes = await open();
    server.closing = 'stall';
    closes.socket.close();
    const idle = make({ startClosed: true });
    const over = await open();
    over.connection.close(1000);
    await time.advance(0);
    const [{ length }] = [instances];
    waits.seen.length = 0;
    over.seen.length = 0;
    breakModule();
    waits.socket.send('x');
    await time.advance(0);
    const wait = waits.seen[0];
    assert.match(wait, /^waiting 2 in (2\d{4}|\d{4})$/);
    assert.deepEqual(closes.seen, ['closing 1', 'closed 1', 'error', 'close 1006 internal-error null 0/0']);
    assert.equal(closes.socket.readyState, 3);
    assert.deepEqual([idle.seen, idle.socket.state, over.seen, over.socket.state], [[], 'idle', [], 'closed']);
    assert.equal(over.socket.snapshot().opens, 1);
    // The server requested this wait.
    page.online();
    await time.advance(Number(wait.split(' ').at(-1)) - 1);
    assert.equal(waits.socket.state, 'waiting');
    server.closing = 'answer';
    await time.advance(1);
    await settle();
    assert.equal(waits.socket.state, 'open');
    assert.equal(instances.length, length + 1);
    over.socket.reconnect();
    await settle();
    assert.equal(over.socket.state, 'open');
    assert.equal(over.socket.snapshot().opens, 2);
    for (const { socket } of [waits, over]) socket.close();
  });

  for (const [what, happens] of Object.entries({
    'in a message': ({ connection }) => connection.send('x'),
    'in a timer': () => time.advance(20_000),
    'at the end of a connection': ({ connection }) => connection.cut(),
    'in what the page tells': () => page.online(),
  })) {
    test(`[R31] a failure ${what} is the same`, async () => {
      const made = await open({ heartbeatInterval: 20_000, heartbeatGrace: 1_000 });
      breakModule();
      await happens(made);
      await time.advance(5_000);
      await settle();
      assert.ok(
        made.seen.some((line) => line.startsWith('close 1006 internal-error')),
        `${made.seen}`,
      );
      assert.equal(made.socket.state, 'open', `${made.seen}`);
      assert.equal(complaints().length, 1);
      made.socket.close();
    });
  }

  for (const [what, command, states] of [
    ['close()', (socket) => socket.close(), ['closed 1']],
    ['reconnect()', (socket) => socket.reconnect(), ['waiting 2 in 5000', 'connecting 2']],
    ['ready()', (socket) => socket.ready(), ['waiting 2 in 5000']],
    ['snapshot()', (socket) => assert.equal(socket.snapshot().opens, 1), ['waiting 2 in 5000']],
    ['bufferedAmount', (socket) => assert.equal(socket.bufferedAmount, 0), ['waiting 2 in 5000']],
  ]) {
    test(`[R31] a failure in ${what} does not show in it`, async () => {
      const { socket, seen } = await open();
      breakModule();
      command(socket);
      await settle();
      const told = seen.filter(
        (line) => !line.startsWith('open') && !line.startsWith('error') && !line.startsWith('close '),
      );
      assert.deepEqual(told.slice(0, states.length), states);
      assert.equal(seen.filter((line) => line.startsWith('close ')).length, 1, `${seen}`);
      socket.close();
    });
  }

  test('[R25][R31] what was sent to a socket that is closing is reported, although nothing had reported it', async () => {
    server.closing = 'stall';
    const { socket, seen } = await open();
    socket.close();
    await time.advance(0);
    assert.equal(socket.state, 'closing');
    socket.send('late');
    breakModule();
    assert.equal(socket.state, 'closed');
    await settle();
    assert.deepEqual(seen, [
      'closing 1',
      'closed 1',
      'error',
      'dropped closed late',
      'close 1006 internal-error null 0/0',
    ]);
    assert.equal(socket.snapshot().droppedMessages, 1);
  });

  for (const [what, heartbeatMessage] of Object.entries({
    'sends nothing, as it throws': () => {
      throw new Error('of the test');
    },
    'sends something of its own': (socket) => {
      socket.send('of its own');
      socket.send('volatile', { volatile: true });
      return 'ping';
    },
  })) {
    test(`[R25][R31] a function for the heartbeat that ${what} has no message sent twice, nor reported as dropped`, async (t) => {
      const { reportError } = globalThis;
      globalThis.reportError = () => {};
      t.after(() => {
        globalThis.reportError = reportError;
      });
      let beats = 0;
      const made = await open({
        heartbeatInterval: 1_000,
        heartbeatGrace: 60_000,
        heartbeatMessage: () => {
          beats += 1;
          return beats === 1 ? heartbeatMessage(made.socket) : 'ping';
        },
      });
      const { socket, seen, connection } = made;
      await time.advance(1_000);
      assert.equal(beats, 1);
      socket.send('next');
      const sent = socket.snapshot().messagesSent;
      const had = connection.received.filter((message) => message !== 'ping');
      assert.equal(had.length, sent);
      breakModule();
      assert.equal(socket.snapshot().messagesSent, sent);
      await time.advance(5_000);
      await settle();
      const next = await server.nextConnection();
      await server.settled();
      assert.deepEqual(next.received, []);
      assert.deepEqual(
        seen.filter((line) => line.startsWith('dropped')),
        [],
      );
      socket.close();
    });
  }

  test('[R31] loops over messages and promises go on over it', async () => {
    const endpoint = server.endpoint('/typed', { codec: installed.typed.json });
    const socket = new installed.typed.TypedSocket('ws://example.test/typed');
    const heard = [];
    const loop = (async () => {
      for await (const value of socket) heard.push(value);
    })();
    await settle();
    await socket.opened();
    await endpoint.nextConnection();
    breakModule();
    socket.send({ n: 1 });
    const [drained, opened] = [socket.drained(), socket.opened()];
    await time.advance(5_000);
    await settle();
    await opened;
    const connection = await endpoint.nextConnection();
    await connection.expect({ n: 1 });
    await time.advance(1_000);
    await drained;
    connection.send({ n: 2 });
    await settle();
    assert.deepEqual(heard, [{ n: 2 }]);
    socket.close();
    await settle();
    await loop;
  });

  test('[R31] shouldReconnect is asked, and the number of retries kept to', async () => {
    const causes = [];
    const made = await open({
      shouldReconnect: ({ cause }) => {
        causes.push(cause);
        return 7;
      },
    });
    const last = await open({ maxRetries: 0 });
    breakModule();
    assert.equal(last.socket.state, 'closed');
    await time.advance(0);
    assert.deepEqual(causes, ['internal-error']);
    assert.equal(made.seen[0], 'waiting 2 in 7');
    assert.deepEqual(last.seen, ['closed 1', 'error', 'close 1006 internal-error null 0/0']);
    await time.advance(7);
    await settle();
    assert.equal(made.socket.state, 'open');
    made.socket.close();
  });

  // The last test: nothing works afterwards.
  test('[R31] an instance that fails again and again is final, and the console is told what helps', async () => {
    const made = await open({ shouldReconnect: () => 1 });
    const waits = make({ shouldReconnect: () => 60_000 });
    await settle();
    for (let failure = 1; failure <= MOST_FAILURES; failure += 1) {
      breakModule();
      made.socket.send(`${failure}`);
      await time.advance(1);
      await settle();
      assert.equal(made.socket.state, 'open', `after failure ${failure}`);
    }
    assert.equal(waits.socket.state, 'waiting');
    waits.socket.send('waits');
    breakModule();
    made.socket.send('last');
    assert.equal(made.socket.state, 'closed');
    const end = nextEvent(made.socket, 'close');
    const waited = nextEvent(waits.socket, 'close');
    for (const close of [await end, await waited]) {
      assert.deepEqual([close.code, close.cause, close.willReconnect], [1006, 'internal-error', false]);
      assert.match(close.explanation, /reload/);
    }
    assert.ok(waits.seen.includes('dropped closed waits'), `${waits.seen}`);
    assert.ok(made.seen.includes('dropped closed last'), `${made.seen}`);
    assert.equal(complaints().length, MOST_FAILURES + 1);
    assert.match(complaints().at(-1), /until the page is reloaded: \w*Error/);
    for (const act of [
      () => made.socket.send('x'),
      () => made.socket.reconnect(),
      () => made.socket.snapshot(),
      () => new installed.typed.ReconnectingWebSocket(URL_OF_CHAT),
    ])
      assert.throws(act, { name: 'InvalidStateError', message: /reload/ });
    await assert.rejects(installed.typed.load(), { name: 'InvalidStateError' });
    made.socket.close();
    assert.deepEqual([made.socket.readyState, made.socket.state], [3, 'closed']);
    await settle();
    server.assertIdle();
  });
});
