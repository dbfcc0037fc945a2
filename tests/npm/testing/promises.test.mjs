// Promises of the JavaScript face that need no browser, in virtual time: the packed package on the test kit.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { AT_ONCE, importPackage } from '../typed/package.mjs';

const URL_OF_CHAT = 'ws://example.test/chat';

describe('promises on the test kit', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let kit;
  let server;
  let time;
  let page;
  before(async () => {
    installed = await importPackage('promises');
    kit = await import(pathToFileURL(path.join(installed.folder, 'testing/index.js')).href);
  });
  after(() => installed?.remove());
  beforeEach(() => {
    server = kit.FakeServer.install();
    time = kit.fakeTime();
    page = new kit.FakePage();
  });
  afterEach(() => {
    for (const one of [page, time, server]) one.restore();
  });

  function make(url = URL_OF_CHAT, protocols = [], options = {}) {
    const socket = new installed.typed.ReconnectingWebSocket(url, protocols, options);
    const seen = [];
    for (const type of ['open', 'close', 'dropped']) socket.addEventListener(type, (event) => seen.push(event));
    return { socket, of: (type) => seen.filter((event) => event.type === type) };
  }

  /** Counts listeners on the page, from here on. */
  function countListeners(t) {
    const counts = new Map();
    for (const target of [globalThis, document]) {
      for (const [method, step] of [
        ['addEventListener', 1],
        ['removeEventListener', -1],
      ]) {
        const original = target[method];
        t.mock.method(target, method, (type, ...rest) => {
          counts.set(type, (counts.get(type) ?? 0) + step);
          return original.call(target, type, ...rest);
        });
      }
    }
    return () => [...counts].filter(([, count]) => count !== 0);
  }

  for (const [what, end] of Object.entries({
    'closed while open': async ({ socket }) => {
      socket.close();
    },
    'closed while it connects': async ({ socket }) => {
      server.handshake = 'stall';
      server.last.cut();
      await time.advance(5_000);
      socket.close();
    },
    'closed while it waits': async ({ socket }) => {
      server.last.cut();
      await time.advance(0);
      socket.close();
    },
    'ended by the server': async () => {
      server.last.close(1000);
    },
    'ended by shouldReconnect': async () => {
      server.last.close(4999);
    },
    'closed without an answer': async ({ socket }) => {
      server.last.halfOpen();
      socket.close();
      await time.advance(10_000);
    },
  })) {
    test(`[R8] ${what}, it listens to nothing and has no timer`, async (t) => {
      const listeners = countListeners(t);
      const made = make(URL_OF_CHAT, [], { heartbeatInterval: 20_000, heartbeatMessage: 'ping', messageTtl: 60_000 });
      await server.nextConnection();
      await server.settled();
      assert.equal(made.socket.state, 'open');
      assert.ok(listeners().length > 0, 'it listens to the page while it is open');
      assert.ok(time.pending > 0, 'it has a timer while it is open');
      await end(made);
      await time.advance(0);
      await server.settled();
      assert.equal(made.socket.state, 'closed');
      assert.deepEqual(listeners(), []);
      server.assertIdle();
    });
  }

  test('[R23] a shouldReconnect that always asks for another attempt leaves the page its turn', async () => {
    const { WebSocket: Fake } = globalThis;
    let refuses = false;
    let asked = 0;
    const { socket, of } = make(URL_OF_CHAT, [], {
      attemptInterval: 0,
      WebSocket: class {
        constructor(...given) {
          if (refuses) throw new DOMException('not allowed here', 'SecurityError');
          // biome-ignore lint/correctness/noConstructorReturn: it stands in for the other class
          return Reflect.construct(Fake, given);
        }
      },
      shouldReconnect: () => {
        asked += 1;
        if (asked < 100) socket.reconnect();
      },
    });
    const askedByThen = [];
    socket.addEventListener('close', () => askedByThen.push(asked));
    await server.nextConnection();
    await server.settled();
    refuses = true;
    server.last.cut();
    await time.advance(0);
    await server.settled();
    assert.ok(askedByThen[0] > 1 && askedByThen[0] < 50, `asked ${askedByThen[0]} times in one task`);
    assert.equal(of('close').length, 100, 'each loss is reported');
    assert.equal(socket.state, 'waiting');
    socket.close();
  });

  test('[R33] what a socket said of its failure is reported with it, even if shouldReconnect has asked for the next', async () => {
    let made = 0;
    const { socket, of } = make(URL_OF_CHAT, [], {
      WebSocket: class {
        readyState = 0;

        constructor() {
          made += 1;
          const message = `refused ${made}`;
          queueMicrotask(() => {
            this.readyState = 3;
            this.onerror?.({ message, error: new Error(message) });
            this.onclose?.({ code: 1006, reason: '', wasClean: false });
          });
        }

        close() {}
      },
      shouldReconnect: () => {
        if (made === 2) return false;
        socket.reconnect();
        return undefined;
      },
    });
    const errors = [];
    socket.addEventListener('error', ({ message }) => errors.push(message));
    await installed.typed.load();
    await time.advance(0);
    assert.deepEqual(errors, ['refused 1', 'refused 2']);
    const said = of('close').map(({ error, explanation }) => [error.message, explanation.split(';')[0]]);
    assert.deepEqual(said, [
      ['refused 1', 'refused 1'],
      ['refused 2', 'refused 2'],
    ]);
    assert.equal(socket.state, 'closed');
  });

  test('[R25] a message that waited before the start keeps its time to live', async () => {
    server.handshake = 'stall';
    const { socket, of } = make(URL_OF_CHAT, [], { startClosed: true });
    socket.send('short-lived', { ttl: 1_000 });
    socket.send('stays');
    await time.advance(400);
    socket.reconnect();
    await time.advance(599);
    assert.deepEqual(of('dropped'), []);
    await time.advance(1);
    assert.deepEqual(
      of('dropped').map(({ reason, messages }) => [reason, messages]),
      [['expired', ['short-lived']]],
    );
    const connection = await server.nextConnection();
    connection.open();
    await connection.expect('stays');
    socket.close();
  });

  test('[R25] a queue that empties as the core takes it over is reported as empty', async () => {
    const { socket, of } = make(URL_OF_CHAT, [], { startClosed: true });
    const told = [];
    socket.addEventListener('queuechange', ({ queuedMessages }) => told.push(queuedMessages));
    socket.send('x');
    await time.advance(0);
    socket.reconnect();
    socket.close();
    await time.advance(0);
    assert.deepEqual(
      of('dropped').map(({ messages }) => messages),
      [['x']],
    );
    assert.deepEqual(told, [1, 0]);
  });

  test('[R32] the debug log tells no sub-protocol, no reason of a close and nothing that a function throws', async () => {
    server.protocols = ['secret-protocol'];
    const lines = [];
    let asked = 0;
    const { socket, of } = make(
      () => {
        asked += 1;
        if (asked === 2) throw new Error('secret of the function');
        return `${URL_OF_CHAT}?secret-query`;
      },
      ['secret-protocol'],
      { ...AT_ONCE, debug: (line) => lines.push(line) },
    );
    const connection = await server.nextConnection();
    await server.settled();
    assert.equal(socket.protocol, 'secret-protocol');
    socket.send('secret payload');
    connection.send('secret payload');
    connection.close(4001, 'secret reason');
    await server.settled();
    // One failed attempt, and the next one.
    for (let attempt = 0; attempt < 2; attempt += 1) await time.advance(5);
    await server.nextConnection();
    await server.settled();
    assert.deepEqual(
      of('close').map(({ cause, reason }) => [cause, reason]),
      [
        ['socket', 'secret reason'],
        ['provider', ''],
      ],
    );
    socket.close(4002, 'secret reason');
    await time.advance(0);
    await server.settled();
    assert.equal(of('close').length, 3);
    for (const word of ['connected', 'closed: socket, code 4001', 'function', 'closed: provider', 'code 4002']) {
      assert.ok(
        lines.some((line) => line.includes(word)),
        `the log tells of ${word}: ${lines.join('\n')}`,
      );
    }
    for (const line of lines) assert.ok(!/secret|chat/.test(line), line);
  });
});
