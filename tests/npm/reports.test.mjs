// What the package reports, in Node: nothing is lost silently, every report is true, and the order is fixed. Each test
// about the queue runs before the WebAssembly module is loaded, and after. The sockets are fakes under the test's
// control, except those of the package `ws`, which are real.

import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { WebSocket, WebSocketServer } from 'ws';

import { TEST_TIMEOUT, within } from './lib/limits.mjs';
import { installPackage } from './lib/package.mjs';
import { fakeWebSocket } from './typed/fake-websocket.mjs';
import { AT_ONCE, nextEvent, turn } from './typed/package.mjs';

/** Protection against hanging. */
const patiently = (what, promise) => within(promise, what);

const TYPES = ['open', 'error', 'close', 'statechange', 'dropped', 'queuechange'];

for (const isLoaded of [false, true]) {
  describe(`what is reported ${isLoaded ? 'with' : 'before'} the module`, { timeout: 4 * TEST_TIMEOUT }, () => {
    let installed;
    before(async () => {
      installed = await installPackage('reports');
    });
    after(() => installed?.remove());
    let copies = 0;

    /** A fresh copy of the package, so that its module is loaded only if a test wants it. */
    async function fresh() {
      copies += 1;
      const folder = path.join(installed.project, `copy-${copies}`);
      await cp(installed.folder, folder, { recursive: true });
      const loaded = await import(pathToFileURL(path.join(folder, 'index.js')).href);
      if (isLoaded) await loaded.load();
      return loaded;
    }

    /** A socket, with its events in `seen`, and the fakes that it creates. */
    async function make(name, options = {}) {
      const Class = (await fresh())[name];
      const Fake = fakeWebSocket();
      const all = { ...AT_ONCE, WebSocket: Fake, ...options };
      const socket = name === 'TypedSocket' ? new Class('ws://127.0.0.1/', all) : new Class('ws://127.0.0.1/', [], all);
      const seen = [];
      for (const type of TYPES) socket.addEventListener(type, (event) => seen.push(event));
      return { socket, seen, Fake };
    }

    const drops = (seen) => seen.filter(({ type }) => type === 'dropped');

    for (const name of ['ReconnectingWebSocket', 'TypedSocket']) {
      test(`[R25] ${name}: what is sent to a socket that is closed is reported and counted`, async () => {
        const { socket, seen } = await make(name);
        socket.close();
        await patiently('the close', nextEvent(socket, 'close'));
        socket.send('late');
        socket.send(name === 'TypedSocket' ? { n: 1 } : new Uint8Array([1, 2]));
        await patiently(
          'the report',
          (async () => {
            while (drops(seen).flatMap((event) => event.messages).length < 2) await turn();
          })(),
        );
        const late = drops(seen);
        assert.deepEqual([...new Set(late.map(({ reason }) => reason))], ['closed']);
        const messages = late.flatMap((event) => event.messages);
        const expected = name === 'TypedSocket' ? ['late', { n: 1 }] : ['late', new Uint8Array([1, 2]).buffer];
        assert.deepEqual(messages, expected);
        assert.equal(socket.snapshot().droppedMessages, 2);
        // As the standard says.
        assert.ok(socket.bufferedAmount > 0);
      });

      test(`[R25] ${name}: an end has one order of events`, async () => {
        const { socket, seen } = await make(name);
        socket.send('queued');
        socket.close();
        await patiently('the close', nextEvent(socket, 'close'));
        const ends = seen.filter(
          ({ type, state }) => type !== 'queuechange' && !(type === 'statechange' && state !== 'closed'),
        );
        assert.deepEqual(
          ends.map(({ type }) => type),
          ['statechange', 'error', 'dropped', 'close'],
        );
      });

      test(`[R25] ${name}: a change of the queue is one event a turn`, async () => {
        const { socket, seen, Fake } = await make(name);
        const changes = () =>
          seen.filter(({ type }) => type === 'queuechange').map(({ queuedMessages }) => queuedMessages);
        for (let n = 0; n < 5; n += 1) socket.send('x');
        await turn();
        assert.deepEqual(changes(), [5]);
        for (let n = 0; n < 2; n += 1) socket.send('x');
        await patiently(
          'another',
          (async () => {
            while (changes().length < 2) await turn();
          })(),
        );
        assert.deepEqual(changes(), [5, 7]);
        await patiently(
          'the socket',
          (async () => {
            while (!Fake.last) await turn();
          })(),
        );
        await turn();
        // The module has its own queue now, which reports the same.
        assert.deepEqual(changes(), [5, 7]);
        Fake.last.open();
        await turn();
        assert.deepEqual(changes(), [5, 7, 0]);
        const heard = [];
        socket.onqueuechange = (event) => heard.push(event.queuedBytes);
        socket.send('goes at once');
        await turn();
        assert.deepEqual([changes().length, heard], [3, []]);
        socket.close();
      });
    }

    test('[R25] values come back as they were given, whatever they are encoded as', async () => {
      const value = { n: 1 };
      const later = { n: 2 };
      const reasons = [];
      for (const [reason, options, sendOptions] of [
        ['overflow', { maxQueuedMessages: 1, overflow: 'drop-newest' }, undefined],
        ['volatile', {}, { volatile: true }],
        ['closed', {}, undefined],
      ]) {
        for (const codec of [
          undefined,
          { encode: (message) => new TextEncoder().encode(JSON.stringify(message)), decode: String },
          { encode: async (message) => JSON.stringify(message), decode: String },
        ]) {
          const { socket, seen } = await make('TypedSocket', codec ? { ...options, codec } : options);
          if (reason === 'overflow') await socket.send(later);
          await socket.send(value, sendOptions);
          socket.close();
          await patiently(
            'the report',
            (async () => {
              while (!drops(seen).some((event) => event.reason === reason)) await turn();
            })(),
          );
          const messages = drops(seen).find((event) => event.reason === reason).messages;
          assert.equal(messages[0], value, reason);
          reasons.push(reason);
        }
      }
      assert.equal(reasons.length, 9);
    });

    test('[R25] a time to live counts from send, also where the module comes later', async () => {
      const { socket, seen, Fake } = await make('ReconnectingWebSocket');
      socket.send('short', { ttl: 40 });
      socket.send('long');
      await patiently(
        'the end of its time',
        (async () => {
          while (drops(seen).length === 0) await turn();
        })(),
      );
      assert.deepEqual(
        drops(seen).map(({ reason, messages }) => [reason, ...messages]),
        [['expired', 'short']],
      );
      Fake.last?.open();
      await patiently(
        'the other',
        (async () => {
          while (!Fake.last?.sent.length) {
            Fake.last?.open();
            await turn();
          }
        })(),
      );
      assert.deepEqual(Fake.last.sent, ['long']);
      socket.close();
    });

    test('the time of the next attempt is in the snapshot', async () => {
      const { socket, Fake } = await make('ReconnectingWebSocket', {
        firstDelayMax: 60_000,
        minDelay: 60_000,
        baseDelay: 60_000,
        maxDelay: 60_000,
        shouldReconnect: () => 60_000,
      });
      assert.equal(socket.snapshot().nextAttemptIn, null);
      await patiently(
        'the socket',
        (async () => {
          while (!Fake.last) await turn();
        })(),
      );
      Fake.last.open();
      Fake.last.end(1006, '', false);
      const { nextAttemptIn } = socket.snapshot();
      assert.ok(nextAttemptIn > 0 && nextAttemptIn <= 60_000, String(nextAttemptIn));
      socket.close();
      assert.equal(socket.snapshot().nextAttemptIn, null);
    });
  });
}

describe('what is reported', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let steady;
  before(async () => {
    installed = await installPackage('reports-loaded');
    steady = await import(pathToFileURL(path.join(installed.folder, 'index.js')).href);
    await steady.load();
  });
  after(() => installed?.remove());

  function make(options = {}, Fake = fakeWebSocket()) {
    const socket = new steady.ReconnectingWebSocket('ws://127.0.0.1/', [], { ...AT_ONCE, WebSocket: Fake, ...options });
    return { socket, Fake };
  }

  const lastClose = (socket) =>
    patiently(
      'the last close',
      new Promise((resolve) => {
        socket.addEventListener('close', (event) => {
          if (!event.willReconnect) resolve(event);
        });
      }),
    );

  test('[R27] shouldReconnect sees what the function for the URL threw, and may end it', async () => {
    class NotLoggedIn extends Error {}
    for (const fail of [
      () => {
        throw new NotLoggedIn('401');
      },
      () => Promise.reject(new NotLoggedIn('401')),
    ]) {
      for (const [url, protocols] of [
        [fail, []],
        ['ws://127.0.0.1/', fail],
      ]) {
        const asked = [];
        const socket = new steady.ReconnectingWebSocket(url, protocols, {
          ...AT_ONCE,
          WebSocket: fakeWebSocket(),
          shouldReconnect: (lost) => {
            asked.push(lost);
            return !(lost.error instanceof NotLoggedIn);
          },
        });
        const { error, cause, explanation } = await lastClose(socket);
        assert.equal(cause, 'provider');
        assert.ok(error instanceof NotLoggedIn && explanation.includes('401'), explanation);
        assert.deepEqual([asked.length, asked[0].error], [1, error]);
      }
    }
    // If the predicate does not end it, it goes on, and the next attempt gets the error.
    const contexts = [];
    const offline = new TypeError('offline');
    const { socket, Fake } = make({});
    socket.close();
    const again = new steady.ReconnectingWebSocket(
      (context) => {
        contexts.push(context.lastClose);
        if (contexts.length < 3) throw offline;
        return 'ws://127.0.0.1/';
      },
      [],
      { ...AT_ONCE, WebSocket: Fake },
    );
    await patiently(
      'the third',
      (async () => {
        while (contexts.length < 3) await turn();
      })(),
    );
    assert.deepEqual(
      contexts.map((lost) => lost?.error),
      [undefined, offline, offline],
    );
    again.close();
  });

  test('the constructor and send of a socket that throw are in error, and in no text', async () => {
    const thrown = new DOMException('quotes ws://127.0.0.1/?token=1', 'SecurityError');
    const { socket } = make(
      { maxRetries: 0 },
      class {
        constructor() {
          throw thrown;
        }
      },
    );
    const { error, explanation, cause } = await lastClose(socket);
    assert.deepEqual([error, cause], [thrown, 'refused']);
    assert.ok(explanation.includes('SecurityError') && !explanation.includes('token'), explanation);
  });

  test('[R12] a plain 1012 is not said to be announced, and announcedDelayMax bounds it', async () => {
    for (const code of [1012, 1013]) {
      for (const [options, reason, words] of [
        [{ announcedDelayMax: 100 }, '', /asks to come back later/],
        [{ announcedDelayMax: 100 }, 'reconnect=5-10', /announced when to come back/],
      ]) {
        const { socket, Fake } = make(options);
        Fake.last.open();
        const lost = nextEvent(socket, 'close');
        Fake.last.end(code, reason);
        const { delay, explanation } = await lost;
        assert.ok(delay <= 100, String(delay));
        assert.match(explanation, words);
        socket.close();
      }
    }
  });

  test('[R11] 4401 and 4403 end it, as 3000 and 3003 do', async () => {
    for (const code of [3000, 3003, 4401, 4403]) {
      const { socket, Fake } = make();
      Fake.last.open();
      const lost = nextEvent(socket, 'close');
      Fake.last.end(code);
      const { willReconnect, explanation } = await lost;
      assert.deepEqual([willReconnect, explanation], [false, 'the policy for the close code is to stop'], String(code));
    }
  });

  test('reconnect() takes a code and a reason, and checks them as close() does', async () => {
    const calls = [];
    class Recorded extends fakeWebSocket() {
      close(...given) {
        calls.push(given);
        super.close(...given);
      }
    }
    for (const name of ['ReconnectingWebSocket', 'TypedSocket']) {
      const socket = new steady[name]('ws://127.0.0.1/', { ...AT_ONCE, WebSocket: Recorded });
      Recorded.last.open();
      for (const [given, error] of [
        [[1001], 'InvalidAccessError'],
        [[1000, 'x'.repeat(124)], 'SyntaxError'],
        [[2999], 'InvalidAccessError'],
      ]) {
        assert.throws(() => socket.reconnect(...given), { name: error });
      }
      assert.equal(socket.readyState, 1, 'a refused call changes nothing');
      const lost = nextEvent(socket, 'close');
      socket.reconnect(4321, 'new token');
      const { code, reason, cause, willReconnect } = await lost;
      assert.deepEqual([code, reason, cause, willReconnect], [4321, 'new token', 'reconnect', true]);
      assert.deepEqual(calls.splice(0), [[4321, 'new token']]);
      Recorded.last.open();
      const plain = nextEvent(socket, 'close');
      socket.reconnect();
      assert.equal((await plain).code, 1006);
      socket.close();
      calls.length = 0;
    }
  });

  test('options may be the second argument', async () => {
    const Fake = fakeWebSocket();
    const socket = new steady.ReconnectingWebSocket('ws://127.0.0.1/', {
      ...AT_ONCE,
      protocols: ['a', 'b'],
      WebSocket: Fake,
    });
    assert.deepEqual(Fake.last.protocols, ['a', 'b']);
    socket.close();
    const third = new steady.ReconnectingWebSocket('ws://127.0.0.1/', null, {
      ...AT_ONCE,
      protocols: 'c',
      WebSocket: Fake,
    });
    assert.deepEqual(Fake.last.protocols, ['c']);
    third.close();
    const asked = new steady.ReconnectingWebSocket('ws://127.0.0.1/', {
      ...AT_ONCE,
      protocols: async () => 'd',
      WebSocket: Fake,
    });
    await patiently(
      'its protocols',
      (async () => {
        while (Fake.last.protocols?.[0] !== 'd') await turn();
      })(),
    );
    asked.close();
    const { ReconnectingWebSocket, TypedSocket } = steady;
    for (const [make, words] of [
      [() => new ReconnectingWebSocket('ws://x/', { maxRetries: 1 }, {}), /given twice/],
      [() => new ReconnectingWebSocket('ws://x/', ['a'], { protocols: 'b' }), /given twice/],
      [() => new ReconnectingWebSocket('ws://x/', { protocols: {} }), /sub-protocols.*an object/],
      [() => new ReconnectingWebSocket('ws://x/', { nothing: 1 }), /no nothing/],
      [() => new ReconnectingWebSocket('ws://x/', [], () => ({})), /a function was given/],
      [() => new ReconnectingWebSocket('ws://x/', [], ['a']), /an array was given/],
      [() => new TypedSocket('ws://x/', ['a']), /the sub-protocols are an option: \{ protocols \}/],
      [() => new TypedSocket('ws://x/', 'a'), /the sub-protocols are an option/],
      [() => new TypedSocket('ws://x/', [], {}), /the sub-protocols are an option/],
      [() => new TypedSocket('ws://x/', {}, {}), /the sub-protocols are an option/],
    ]) {
      assert.throws(
        make,
        (error) => error instanceof TypeError && words.test(error.message) && !error.message.includes('U+'),
        String(make),
      );
    }
  });

  test('names of other clients and slips get the right name, not the list', () => {
    for (const [theirs, ours] of Object.entries({
      minReconnectionDelay: 'minDelay',
      maxReconnectionDelay: 'maxDelay',
      reconnectionDelayGrowFactor: 'growthFactor',
      maxEnqueuedMessages: 'maxQueuedMessages',
      connectionTimeout: 'connectTimeout',
      minUptime: 'stableAfter',
      debugLogger: 'debug',
      shouldReconnectOnClose: 'shouldReconnect',
      stableTimeout: 'stableAfter',
      reconnectionDelay: 'baseDelay',
      reconnectionDelayMax: 'maxDelay',
      reconnectionAttempts: 'maxRetries',
      timeout: 'connectTimeout',
      autoConnect: 'startClosed',
      maxAttempts: 'maxRetries',
      reconnection: 'reconnect',
      maxRetrys: 'maxRetries',
      webSocket: 'WebSocket',
      protocol: 'protocols',
      heartbeat: 'heartbeatMessage',
      queueSize: null,
    })) {
      for (const name of ['ReconnectingWebSocket', 'TypedSocket']) {
        let message;
        try {
          new steady[name]('ws://x/', { [theirs]: 1 });
        } catch (error) {
          ({ message } = error);
        }
        if (ours === null) assert.match(message, /it takes .*connectTimeout, /);
        else
          assert.ok(
            message.includes('did you mean') && new RegExp(`\\b${ours}\\b`).test(message) && message.length < 220,
            `${theirs}: ${message}`,
          );
      }
    }
  });

  test('of two options in order, the one that was not given follows', async () => {
    for (const [options, accepted] of [
      [{ maxDelay: 2000 }, true],
      [{ maxDelay: 1 }, true],
      [{ minDelay: 60_000 }, true],
      [{ baseDelay: 60_000 }, true],
      [{ firstDelayMax: 60_000 }, true],
      [{ highWaterMark: 1 }, true],
      [{ lowWaterMark: 2 ** 21 }, true],
      [{ minDelay: 40_000, baseDelay: 60_000 }, true],
      [{ maxDelay: 2000, baseDelay: 3000 }, false],
      [{ maxDelay: 2000, minDelay: 3000 }, false],
      [{ maxDelay: 2000, firstDelayMax: 3000 }, false],
      [{ highWaterMark: 10, lowWaterMark: 11 }, false],
    ]) {
      const construct = () =>
        new steady.ReconnectingWebSocket('ws://x/', { startClosed: true, WebSocket: fakeWebSocket(), ...options });
      if (accepted) construct();
      else assert.throws(construct, RangeError, JSON.stringify(options));
    }
    const random = Math.random;
    Math.random = () => 1 - Number.EPSILON;
    try {
      const Fake = fakeWebSocket();
      const socket = new steady.ReconnectingWebSocket('ws://x/', { maxDelay: 20, WebSocket: Fake });
      for (let attempt = 0; attempt < 4; attempt += 1) {
        const lost = nextEvent(socket, 'close');
        Fake.last.end(1006, '', false);
        const { delay } = await lost;
        assert.ok(delay <= 20, String(delay));
        const { length } = Fake.made;
        await patiently(
          'the next attempt',
          (async () => {
            while (Fake.made.length === length) await turn();
          })(),
        );
      }
      socket.close();
    } finally {
      Math.random = random;
    }
  });

  test('a ClosedError has the explanation', async () => {
    const Fake = fakeWebSocket();
    const socket = new steady.TypedSocket('ws://127.0.0.1/', { ...AT_ONCE, WebSocket: Fake });
    Fake.last.open();
    const next = socket.next();
    Fake.last.end(1008, 'a secret of the server');
    await assert.rejects(
      next,
      (error) => error.explanation === 'the policy for the close code is to stop' && !error.message.includes('secret'),
    );
    await assert.rejects(socket.opened(), ({ explanation }) => explanation !== null);
  });

  test('[R32] no line of the debug log has what the server, a function or the platform said', async () => {
    const SECRET = 'hunter2-Zq7';
    const lines = [];
    const debug = (line) => lines.push(line);
    const Fake = fakeWebSocket();
    let attempt = 0;
    const socket = new steady.ReconnectingWebSocket(
      () => {
        attempt += 1;
        if (attempt === 1) throw new Error(SECRET);
        // eslint-disable-next-line no-throw-literal
        if (attempt === 2) throw SECRET;
        return `ws://127.0.0.1/?${SECRET}`;
      },
      [SECRET],
      { ...AT_ONCE, WebSocket: Fake, debug, heartbeatMessage: SECRET, maxQueuedMessages: 1, overflow: 'drop-oldest' },
    );
    await patiently(
      'the third attempt',
      (async () => {
        while (!Fake.last) await turn();
      })(),
    );
    for (const message of [SECRET, SECRET]) socket.send(message);
    Fake.last.protocol = SECRET;
    Fake.last.extensions = SECRET;
    Fake.last.open();
    Fake.last.deliver(SECRET);
    // The platform reports what went wrong, and the server why.
    Fake.last.onerror(Object.assign(new Event('error'), { message: SECRET, error: new Error(SECRET) }));
    const lost = nextEvent(socket, 'close');
    Fake.last.end(4000, SECRET);
    assert.ok((await lost).explanation.includes(SECRET), 'the program is told');
    const again = nextEvent(socket, 'open');
    await patiently(
      'the next attempt',
      (async () => {
        while (Fake.last.readyState !== 0) await turn();
      })(),
    );
    Fake.last.open();
    await again;
    socket.reconnect(4001, SECRET);
    socket.close(4002, SECRET);
    socket.send(SECRET);
    await turn();
    assert.ok(lines.length > 10, lines.join('\n'));
    for (const word of ['provider', 'dropped', 'closed', 'connected'])
      assert.ok(
        lines.some((line) => line.includes(word)),
        word,
      );
    for (const line of lines) assert.ok(!line.includes(SECRET), line);
  });

  describe('with the package ws', () => {
    const refusing = createServer((_, response) => {
      response.writeHead(401).end();
    });
    let port;
    before(async () => {
      refusing.on('upgrade', (_, socket) =>
        socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
      );
      await new Promise((resolve) => {
        refusing.listen(0, '127.0.0.1', resolve);
      });
      ({ port } = refusing.address());
    });
    after(
      () =>
        new Promise((resolve) => {
          refusing.close(resolve);
        }),
    );

    async function closedPort() {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
      await new Promise((resolve) => {
        server.once('listening', resolve);
      });
      const { port: free } = server.address();
      await new Promise((resolve) => {
        server.close(resolve);
      });
      return free;
    }

    for (const [what, url, words] of [
      ['nobody listens', async () => `ws://127.0.0.1:${await closedPort()}/`, /ECONNREFUSED/],
      ['the handshake is refused', async () => `ws://127.0.0.1:${port}/`, /\b401\b/],
      ['the name is not there', async () => 'ws://steady-socket.invalid/', /ENOTFOUND|EAI_AGAIN/],
    ]) {
      test(`[R33] the error says that ${what}, in the events and not in the log`, async () => {
        const lines = [];
        const asked = [];
        const socket = new steady.ReconnectingWebSocket(await url(), {
          ...AT_ONCE,
          WebSocket,
          maxRetries: 0,
          debug: (line) => lines.push(line),
          shouldReconnect: ({ error }) => {
            asked.push(error);
          },
        });
        const failed = nextEvent(socket, 'error');
        const closed = lastClose(socket);
        const { message, error } = await patiently('the error', failed);
        assert.match(message, words);
        assert.ok(error instanceof Error && words.test(error.message));
        const close = await closed;
        assert.match(close.explanation, words);
        assert.match(close.explanation, /no retry is left$/);
        assert.deepEqual([close.error, asked[0]], [error, error]);
        assert.ok(lines.length > 0 && !lines.some((line) => words.test(line)), lines.join('\n'));
      });
    }
  });
});
