// Typed messages in Node: what is decoded, rejected, kept, dropped and awaited. The sockets are fakes, so each test
// controls what arrives and when.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { fakeWebSocket } from './fake-websocket.mjs';
import { AT_ONCE, importPackage, nextEvent, turn } from './package.mjs';

const SECRET = 'hunter2';

describe('typed messages', { timeout: 8 * TEST_TIMEOUT }, () => {
  let typed;
  let createMsgpack;
  let msgpack;
  let remove;
  before(async () => {
    const installed = await importPackage('typed');
    ({ typed, remove } = installed);
    ({ createMsgpack, msgpack } = installed.msgpack);
  });
  after(() => remove?.());
  const sockets = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
  });

  /** A typed socket on a fake one, open, with all its events in `seen`. */
  async function opened(options = {}) {
    const made = unopened(options);
    made.fake().open();
    await made.socket.opened();
    return { ...made, wire: made.fake() };
  }

  function unopened(options = {}) {
    const WebSocket = fakeWebSocket();
    const socket = new typed.TypedSocket('ws://127.0.0.1/', { ...AT_ONCE, WebSocket, ...options });
    sockets.push(socket);
    const seen = [];
    for (const type of ['invalid', 'dropped', 'close']) socket.addEventListener(type, (event) => seen.push(event));
    return { socket, seen, fake: () => WebSocket.last, made: WebSocket.made };
  }

  async function all(messages) {
    const read = [];
    for await (const message of messages) read.push(message);
    return read;
  }

  const deliver = (wire, ...messages) => {
    for (const message of messages) wire.deliver(JSON.stringify(message));
  };

  /** A schema that accepts values by `accepts`, at once or `later`. */
  const schema = (accepts, { later = () => undefined } = {}) => ({
    '~standard': {
      version: 1,
      vendor: 'test',
      validate(value) {
        const answer = () =>
          accepts(value) ? { value } : { issues: [{ message: `not ${JSON.stringify(value)}`, path: ['at'] }] };
        const delay = later(value);
        return delay === undefined ? answer() : delay.then(answer);
      },
    },
  });

  test('[R35] a text that looks like a control message is the application’s', async () => {
    const text = { decode: (data) => data, encode: (value) => value };
    const { socket, fake } = unopened({ codec: text, controlMessages: true, isHeartbeat: (data) => data === '~pong' });
    fake().protocol = 'chat~1';
    fake().open();
    await socket.opened();
    socket.send('~5 minutes left');
    assert.deepEqual(fake().sent, ['~~5 minutes left']);
    const heard = [];
    socket.onmessage = ({ data }) => heard.push(data);
    for (const data of ['~beat 5000', '~~pong', '~~beat 5000', '~later']) fake().deliver(data);
    assert.deepEqual(heard, ['~beat 5000']);
    assert.equal(socket.snapshot().messagesReceived, 1);
  });

  describe('received', () => {
    test('are what the codec makes of them, for listeners, handlers, iterators and next() alike', async () => {
      const { socket, wire } = await opened();
      const heard = [];
      socket.onmessage = ({ data }) => heard.push(['handler', data]);
      socket.addEventListener('message', ({ data, type, target }) => heard.push([type, data, target === socket]));
      const one = socket.messages();
      const other = socket.messages();
      const next = socket.next();
      deliver(wire, { n: 1 }, null, 'text');
      assert.deepEqual(await next, { n: 1 });
      socket.close();
      assert.deepEqual(await all(one), [{ n: 1 }, null, 'text']);
      assert.deepEqual(await all(other), [{ n: 1 }, null, 'text']);
      assert.deepEqual(
        heard,
        [{ n: 1 }, null, 'text'].flatMap((data) => [
          ['handler', data],
          ['message', data, true],
        ]),
      );
    });

    test('become no event where nobody listens', async (t) => {
      const { socket, wire } = await opened();
      const messages = socket.messages();
      const events = [];
      for (let n = 0; n < 3; n += 1) events.push(new MessageEvent('message', { data: String(n) }));
      const { dispatchEvent } = EventTarget.prototype;
      let dispatched = 0;
      EventTarget.prototype.dispatchEvent = function dispatch(event) {
        dispatched += 1;
        return dispatchEvent.call(this, event);
      };
      t.after(() => {
        EventTarget.prototype.dispatchEvent = dispatchEvent;
      });
      for (const event of events) wire.onmessage(event);
      assert.equal(dispatched, 0);
      socket.addEventListener('message', () => {});
      wire.onmessage(events[0]);
      assert.equal(dispatched, 1);
      socket.close();
      assert.deepEqual(await all(messages), [0, 1, 2, 0]);
    });

    test('go to the function of forEach as they arrive, until it throws, a signal aborts or the end', async () => {
      const { socket, wire } = await opened({ maxRetries: 0 });
      const read = [];
      const controller = new AbortController();
      const failing = socket.forEach((message) => {
        if (message === 2) throw new RangeError('two');
        read.push(['failing', message]);
      });
      const aborted = socket.forEach((message) => read.push(['aborted', message]), { signal: controller.signal });
      const lasting = socket.forEach((message) => read.push(['lasting', message]));
      deliver(wire, 1);
      assert.deepEqual(
        read,
        [
          ['failing', 1],
          ['aborted', 1],
          ['lasting', 1],
        ],
        'before the call returns',
      );
      deliver(wire, 2, 3);
      await assert.rejects(failing, RangeError);
      controller.abort(new Error('enough'));
      deliver(wire, 4);
      await assert.rejects(aborted, { message: 'enough' });
      assert.deepEqual(
        read.slice(3),
        [2, 3]
          .flatMap((n) => [
            ['aborted', n],
            ['lasting', n],
          ])
          .concat([['lasting', 4]]),
      );
      socket.close();
      await lasting;
      await socket.forEach(() => assert.fail('it has ended'));

      const lost = await opened({ maxRetries: 0 });
      const ended = lost.socket.forEach(() => {});
      lost.wire.end(1006, '', false);
      await assert.rejects(ended, (error) => error instanceof typed.ClosedError && error.code === 'lost');
      await assert.rejects(
        lost.socket.forEach(() => {}),
        { code: 'lost' },
      );
      await assert.rejects(lost.socket.forEach({}), TypeError);
      await assert.rejects(
        lost.socket.forEach(() => {}, { signal: AbortSignal.abort(new Error('before')) }),
        { message: 'before' },
      );
    });

    test('that fail are told with the issues and the raw data, and do not stop the rest', async () => {
      const { socket, seen, wire } = await opened({ incoming: schema((value) => value?.ok === true) });
      const messages = socket.messages();
      wire.deliver('{"ok":true}');
      wire.deliver(SECRET);
      wire.deliver(`{"password":"${SECRET}"}`);
      wire.deliver(new TextEncoder().encode(SECRET).buffer);
      wire.deliver('{"ok":true,"n":2}');
      socket.close();
      assert.deepEqual(await all(messages), [{ ok: true }, { ok: true, n: 2 }]);
      const invalid = seen.filter(({ type }) => type === 'invalid');
      assert.deepEqual(
        invalid.map(({ error }) => error.code),
        ['decode-failed', 'invalid-message', 'decode-failed'],
      );
      const [broken, refused, binary] = invalid.map(({ error }) => error);
      assert.equal(broken.data, SECRET);
      assert.equal(broken.thrown.name, 'SyntaxError');
      assert.ok(broken.thrown.message.includes(SECRET), 'what the engine says quotes it');
      assert.deepEqual(refused.issues, [{ message: `not {"password":"${SECRET}"}`, path: ['at'] }]);
      assert.match(refused.message, /^TypedSocket: the schema refuses a message, with 1 issue$/);
      assert.match(binary.message, /binary/);
      assert.equal(new TextDecoder().decode(binary.data), SECRET);
      assert.equal(socket.snapshot().invalidMessages, 3);
      for (const event of invalid) {
        assert.ok(event.error instanceof typed.MessageError && event.error instanceof typed.TypedSocketError);
        for (const logged of [
          inspect(event, { depth: 9, getters: false }),
          inspect(event.error),
          String(event.error),
          event.error.stack,
          JSON.stringify(event.error),
        ]) {
          assert.ok(!logged.includes(SECRET), logged);
        }
      }
    });

    test('by a codec or a schema that throws are told with what it threw', async () => {
      const bug = new RangeError(SECRET);
      const throwing = () => {
        throw bug;
      };
      for (const [options, code] of [
        [{ codec: { encode: String, decode: throwing } }, 'decode-failed'],
        [{ codec: { encode: String, decode: async () => throwing() } }, 'decode-failed'],
        [{ incoming: { '~standard': { version: 1, vendor: 'test', validate: throwing } } }, 'schema-failed'],
        [
          { incoming: { '~standard': { version: 1, vendor: 'test', validate: async () => throwing() } } },
          'schema-failed',
        ],
        [{ incoming: { '~standard': { version: 1, vendor: 'test', validate: () => undefined } } }, 'schema-failed'],
      ]) {
        const { socket, wire } = await opened(options);
        const told = nextEvent(socket, 'invalid');
        wire.deliver('1');
        const { error } = await within(told, `invalid, ${code}`);
        assert.equal(error.code, code);
        assert.equal(error.data, '1');
        if (code === 'decode-failed') assert.equal(error.thrown, bug);
        assert.ok(!inspect(error).includes(SECRET));
        socket.close();
      }
    });

    test('keep their order where the codec and the schema take time', async () => {
      const delays = { 1: 20, 2: 0, 3: 10 };
      const sleep = (ms) =>
        new Promise((resolve) => {
          setTimeout(resolve, ms);
        });
      const { socket, seen, wire } = await opened({
        codec: { encode: JSON.stringify, decode: async (data) => JSON.parse(data) },
        incoming: schema((value) => value !== 2, { later: (value) => sleep(delays[value]) }),
      });
      const messages = socket.messages();
      deliver(wire, 1, 2, 3, 4);
      socket.close();
      // Messages received before the end are delivered before readers learn of the end.
      assert.deepEqual(await all(messages), [1, 3, 4]);
      assert.equal(seen.filter(({ type }) => type === 'invalid').length, 1);
    });

    test('that wait for a slow schema are bounded as well', async () => {
      for (const [overflow, expected, dropped] of [
        ['drop-oldest', [1, 4, 5], [2, 3]],
        ['drop-newest', [1, 2, 3], [4, 5]],
      ]) {
        let answer;
        const first = new Promise((resolve) => {
          answer = resolve;
        });
        const { socket, seen, wire } = await opened({
          buffer: { messages: 2, overflow },
          incoming: schema(() => true, { later: () => first }),
        });
        const messages = socket.messages({ buffer: { messages: 10 } });
        deliver(wire, 1, 2, 3, 4, 5);
        const drops = seen.filter(({ type }) => type === 'dropped');
        assert.deepEqual(
          drops.flatMap(({ reason, messages: lost }) => [reason, ...lost]),
          dropped.flatMap((n) => ['not-decoded', String(n)]),
        );
        assert.equal(socket.snapshot().unreadMessages, 2);
        answer();
        socket.close();
        assert.deepEqual(await all(messages), expected);
      }
      const never = new Promise(() => {});
      const { socket, seen, wire } = await opened({
        buffer: { messages: 1, overflow: 'close' },
        incoming: schema(() => true, { later: () => never }),
      });
      const messages = socket.messages();
      deliver(wire, 1, 2, 3);
      await assert.rejects(messages.next(), { name: 'OverflowError', code: 'inbox-full' });
      await within(nextEvent(socket, 'close'), 'the close');
      assert.equal(seen.at(-1).code, 4008);
    });

    test('pollute no prototype', async () => {
      const { socket, wire } = await opened();
      const next = socket.next();
      wire.deliver('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
      const message = await next;
      assert.equal({}.polluted, undefined);
      assert.equal(message.polluted, undefined);
      assert.equal(Object.getPrototypeOf(message), Object.prototype);
      socket.close();

      const packed = await opened({ codec: msgpack });
      const told = nextEvent(packed.socket, 'invalid');
      const bytes = [0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa8, ...Buffer.from('polluted'), 1];
      packed.wire.deliver(new Uint8Array(bytes).buffer);
      assert.equal((await told).error.code, 'decode-failed');
      assert.equal({}.polluted, undefined);
      packed.socket.close();
    });
  });

  describe('in a buffer', () => {
    test('are dropped as its policy says, counted and told', async () => {
      for (const [buffer, expected, dropped] of [
        [{ messages: 2 }, [3, 4], [1, 2]],
        [{ messages: 2, overflow: 'drop-oldest' }, [3, 4], [1, 2]],
        [{ messages: 2, overflow: 'drop-newest' }, [1, 2], [3, 4]],
        [{ bytes: 3, overflow: 'drop-oldest' }, [2, 3, 4], [1]],
        [{ bytes: 3, overflow: 'drop-newest' }, [1, 2, 3], [4]],
      ]) {
        const { socket, seen, wire } = await opened({ buffer });
        const messages = socket.messages();
        const ample = socket.messages({ buffer: { messages: 9, bytes: 9 } });
        deliver(wire, 1, 2, 3, 4);
        assert.deepEqual(messages.dropped, { messages: dropped.length, bytes: dropped.length });
        assert.deepEqual(ample.dropped, { messages: 0, bytes: 0 });
        const drops = seen.filter(({ type }) => type === 'dropped');
        assert.deepEqual(
          drops.flatMap((event) => event.messages),
          dropped,
        );
        assert.ok(
          drops.every(({ reason, bytes, messages: { length } }) => reason === 'inbox-full' && bytes === length),
        );
        const { unreadMessages, unreadBytes } = socket.snapshot();
        assert.deepEqual([unreadMessages, unreadBytes], [dropped.length, dropped.length]);
        socket.close();
        assert.deepEqual(await all(messages), expected, JSON.stringify(buffer));
        assert.deepEqual(await all(ample), [1, 2, 3, 4]);
      }
    });

    test('may be one of any size', async () => {
      const { socket, wire } = await opened({ buffer: { bytes: 2 } });
      const messages = socket.messages();
      deliver(wire, 'longer than that');
      socket.close();
      assert.deepEqual(await all(messages), ['longer than that']);
    });

    test('with the policy error end the reader that is too slow, and no other', async () => {
      const { socket, wire } = await opened();
      const slow = socket.messages({ buffer: { messages: 1, overflow: 'error' } });
      const other = socket.messages();
      deliver(wire, 1, 2);
      assert.deepEqual(await slow.next(), { value: 1, done: false });
      await assert.rejects(
        slow.next(),
        (error) =>
          error instanceof typed.OverflowError && error.code === 'inbox-full' && /1 messages/.test(error.message),
      );
      assert.deepEqual(await slow.next(), { value: undefined, done: true });
      deliver(wire, 3);
      assert.equal(socket.readyState, 1);
      socket.close();
      assert.deepEqual(await all(other), [1, 2, 3]);
    });

    test('with the policy close end the connection for good', async () => {
      const { socket, seen, wire, made } = await opened({ buffer: { messages: 1, overflow: 'close' } });
      const slow = socket.messages();
      deliver(wire, 1, 2);
      assert.equal(socket.readyState, 2);
      await within(nextEvent(socket, 'close'), 'the close');
      const { code, reason, willReconnect } = seen.at(-1);
      assert.deepEqual([code, reason, willReconnect, made.length], [4008, 'inbox full', false, 1]);
      assert.deepEqual(await slow.next(), { value: 1, done: false });
      await assert.rejects(slow.next(), { code: 'inbox-full' });
      await assert.rejects(all(socket), { code: 'inbox-full' });
    });

    test('are freed when the loop is left', async () => {
      const { socket, wire } = await opened({ buffer: { messages: 1, overflow: 'error' } });
      const looping = (async () => {
        for await (const message of socket) return message;
        return undefined;
      })();
      deliver(wire, 1);
      assert.equal(await looping, 1);
      // If it still existed, it would overflow, and report that.
      deliver(wire, 2, 3, 4);
      assert.equal(socket.snapshot().unreadMessages, 0);
      const messages = socket.messages();
      const waiting = messages.next();
      assert.deepEqual(await messages.return('done'), { value: 'done', done: true });
      assert.deepEqual(await waiting, { value: undefined, done: true });
      deliver(wire, 5, 6);
      assert.deepEqual(await messages.next(), { value: undefined, done: true });
      assert.equal(socket.snapshot().unreadMessages, 0);
      socket.close();
    });

    test('are taken in the order of the calls, also by calls that were made before', async () => {
      const { socket, wire } = await opened();
      const messages = socket.messages();
      const calls = [messages.next(), messages.next(), messages.next()];
      deliver(wire, 1, 2);
      socket.close();
      assert.deepEqual(await Promise.all(calls), [
        { value: 1, done: false },
        { value: 2, done: false },
        { value: undefined, done: true },
      ]);
    });
  });

  describe('to be sent', () => {
    test('are what the codec makes of them', async () => {
      const { socket, wire } = await opened();
      assert.equal(socket.send({ a: [1, null], b: undefined }), undefined);
      socket.send(null);
      assert.deepEqual(wire.sent, ['{"a":[1,null]}', 'null']);
      socket.close();

      const packed = await opened({ codec: msgpack });
      packed.socket.send({ a: [1, null] });
      assert.deepEqual([...new Uint8Array(packed.wire.sent[0])], [0x81, 0xa1, 0x61, 0x92, 1, 0xc0]);
      packed.socket.close();
    });

    test('are checked by the schema `outgoing`, whose output is what is sent', async () => {
      const outgoing = {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) =>
            typeof value === 'number' ? { value: value * 2 } : { issues: [{ message: `not ${value}` }] },
        },
      };
      const { socket, wire } = await opened({ outgoing });
      socket.send(21);
      assert.throws(
        () => socket.send(SECRET),
        (error) =>
          error instanceof typed.MessageError &&
          error.code === 'invalid-message' &&
          error.issues[0].message === `not ${SECRET}` &&
          error.data === undefined &&
          !inspect(error).includes(SECRET),
      );
      assert.deepEqual(wire.sent, ['42']);
      socket.close();
    });

    test('keep their order where the schema or the codec takes time, within the limit of the queue', async () => {
      const answers = [];
      const outgoing = schema((value) => value !== 'bad', {
        later: () =>
          new Promise((resolve) => {
            answers.push(resolve);
          }),
      });
      const { socket, wire } = await opened({ outgoing, maxQueuedMessages: 2 });
      const sent = ['a', 'bad', 'c'].map((message) => socket.send(message));
      assert.throws(() => socket.send('d'), { name: 'QuotaExceededError' });
      const outcomes = Promise.allSettled(sent);
      for (let n = 1; n <= 3; n += 1) {
        while (answers.length < n) await turn();
        answers[n - 1]();
      }
      assert.deepEqual(
        (await outcomes).map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled'],
      );
      assert.deepEqual(wire.sent, ['"a"', '"c"']);
      await assert.rejects(sent[1], { code: 'invalid-message' });
      socket.close();

      const slow = await opened({ codec: { encode: async (message) => message, decode: String } });
      await Promise.all(['1', '2', '3'].map((message) => slow.socket.send(message)));
      assert.deepEqual(slow.wire.sent, ['1', '2', '3']);
      slow.socket.close();
    });

    test('that cannot be are refused, and what the program throws passes unchanged', async () => {
      const { socket, wire } = await opened();
      const own = new Error('mine');
      const cyclic = {};
      cyclic.self = cyclic;
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      for (const [message, expected] of [
        [undefined, { code: 'encode-failed', message: /undefined has no form in JSON/ }],
        [NaN, { code: 'encode-failed', message: /NaN has no form in JSON/ }],
        [-Infinity, { code: 'encode-failed' }],
        [() => {}, { code: 'encode-failed', message: /a function/ }],
        [Symbol('s'), { code: 'encode-failed', message: /a symbol/ }],
        [1n, { name: 'TypeError' }],
        [{ deep: [1n] }, { name: 'TypeError' }],
        [cyclic, { name: 'TypeError' }],
        [proxy, { name: 'TypeError', message: /revoked/ }],
      ])
        assert.throws(() => socket.send(message), expected);
      for (const message of [
        {
          get a() {
            throw own;
          },
        },
        {
          toJSON() {
            throw own;
          },
        },
      ]) {
        assert.throws(
          () => socket.send(message),
          (error) => error === own,
        );
      }
      assert.throws(() => socket.send(), { name: 'TypeError', message: /nothing to send/ });
      assert.throws(() => socket.send(1, { urgent: true }), { name: 'TypeError', message: /urgent/ });
      assert.deepEqual(wire.sent, []);
      assert.equal(socket.readyState, 1);
      socket.close();

      for (const encoded of [{}, 7, undefined, null, Symbol('s'), [1]]) {
        const odd = await opened({ codec: { encode: () => encoded, decode: String } });
        assert.throws(() => odd.socket.send(1), { code: 'encode-failed', message: /the codec did not encode/ });
        odd.socket.close();
      }

      const packed = await opened({ codec: msgpack });
      for (const [message, expected] of [
        [undefined, { code: 'encode-failed' }],
        [() => {}, { message: /Function/ }],
        [1n, { message: /BigInt/ }],
        [cyclic, { message: /deep/ }],
        [proxy, { name: 'TypeError' }],
      ])
        assert.throws(() => packed.socket.send(message), expected);
      assert.throws(
        () =>
          packed.socket.send({
            get a() {
              throw own;
            },
          }),
        (error) => error === own,
      );
      packed.socket.close();
    });

    test('wait while it is down, and come back as they were when it is closed', async () => {
      const { socket, seen, fake } = unopened();
      socket.send({ n: 1 });
      fake().open();
      assert.deepEqual(fake().sent, ['{"n":1}']);
      fake().end(1006, '', false);
      socket.send({ n: 2 });
      socket.close();
      await turn();
      const { reason, messages } = seen.find(({ type }) => type === 'dropped');
      assert.deepEqual([reason, ...messages], ['closed', { n: 2 }]);
    });
  });

  describe('in MessagePack', () => {
    const unpack = (...bytes) => msgpack.decode(new Uint8Array(bytes).buffer);
    const nested = (levels) => (levels === 0 ? 0 : [nested(levels - 1)]);
    const back = (codec, message) => codec.decode(codec.encode(message).slice().buffer);

    test('have every type that JavaScript has', () => {
      const message = {
        nothing: null,
        yes: true,
        no: false,
        small: 7,
        negative: -7,
        byte: 200,
        short: 65_000,
        long: 4e9,
        longer: 2 ** 53 - 1,
        least: -(2 ** 53 - 1),
        half: 0.5,
        text: 'é€😀',
        longText: 'x'.repeat(70_000),
        list: [1, [2, [3]]],
        longList: Array.from({ length: 70_000 }, (_, n) => n),
        bytes: new Uint8Array([1, 2, 3]),
        time: new Date(1_700_000_000_123),
        map: Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`key ${n}`, n])),
      };
      assert.deepEqual(back(msgpack, message), message);
      assert.deepEqual(back(msgpack, nested(127)), nested(127));
      assert.throws(() => msgpack.encode(nested(128)), /deep/);
    });

    test('are refused where they are broken, cut off, too deep or too large for what follows', () => {
      for (const [what, bytes, message] of [
        ['nothing', [], /too early/],
        ['an unknown type', [0xc1], /type at byte 0/],
        ['more behind its end', [1, 2], /behind its end, at byte 1/],
        ['a list of too many', [0xdd, 0xff, 0xff, 0xff, 0xff, 1], /too early/],
        ['a map of too many', [0xdf, 0xff, 0xff, 0xff, 0xff, 1], /too early/],
        ['a text of too many', [0xdb, 0xff, 0xff, 0xff, 0xff, 1], /too early/],
        ['half a length', [0xdc, 0], /too early/],
        ['a short extension', [0xd8, 1, 2], /too early/],
        ['lists in lists', Array(128).fill(0x91).concat(1), /deeper than 127 levels at byte 127/],
        ['a key that is a list', [0x81, 0x90, 1], /not taken/],
        ['UTF-8 with nothing behind it', [0xa1, 0xff, 0xff], /behind its end/],
      ]) {
        assert.throws(
          () => unpack(...bytes),
          (error) => error.code === 'decode-failed' && message.test(error.message),
          what,
        );
      }
      assert.throws(() => msgpack.decode('text'), { code: 'decode-failed', message: /text/ });
      // Headers of lists that claim more elements than there are: trusting each one would take gigabytes.
      const headers = new Uint8Array(300_000);
      for (let at = 0; at < headers.length; at += 3) headers.set([0xdc, 0xff, 0xff], at);
      assert.throws(() => msgpack.decode(headers.buffer), { code: 'decode-failed' });
    });

    test('hold integers of 64 bits, or say that they do not', () => {
      const exact = createMsgpack({ int64: 'bigint' });
      for (const value of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 53n - 1n]) {
        const bytes = exact.encode({ value }).slice().buffer;
        assert.deepEqual(exact.decode(bytes), { value });
        const isSafe = value === 2n ** 53n - 1n;
        if (isSafe) assert.deepEqual(msgpack.decode(bytes), { value: Number(value) });
        else assert.throws(() => msgpack.decode(bytes), { code: 'decode-failed', message: /int64: 'bigint'/ });
      }
      assert.throws(() => createMsgpack({ int64: 'string' }), { name: 'TypeError', message: /'number', 'bigint'/ });
      assert.throws(() => createMsgpack({ int46: 'bigint' }), { name: 'TypeError', message: /did you mean int64/ });
    });
  });

  describe('as streams', () => {
    test('give way to timers and messages, however fast they are written', async () => {
      const { socket, wire } = await opened();
      const controller = new AbortController();
      setTimeout(() => controller.abort());
      const most = 2_000_000;
      let pulled = 0;
      const endless = new ReadableStream(
        {
          pull(source) {
            pulled += 1;
            if (pulled === most) source.close();
            else source.enqueue(1);
          },
        },
        { highWaterMark: 0 },
      );
      await assert.rejects(endless.pipeTo(socket.writable, { signal: controller.signal }), { name: 'AbortError' });
      assert.ok(pulled < most && wire.sent.length > 0, `${pulled} were pulled`);
    });

    test('are written no faster than the browser sends', async () => {
      const { socket, wire } = await opened({ highWaterMark: 100, lowWaterMark: 10 });
      const writer = socket.writable.getWriter();
      wire.bufferedAmount = 0;
      await within(writer.write('a'), 'the first write');
      wire.bufferedAmount = 100;
      const order = [];
      const second = writer.write('b').then(() => order.push('written'));
      await turn();
      assert.deepEqual(wire.sent, ['"a"']);
      assert.equal(writer.desiredSize, 0, 'the stream says that it is full');
      let isReady = false;
      writer.ready.then(() => {
        isReady = true;
      });
      wire.bufferedAmount = 11;
      await new Promise((resolve) => {
        setTimeout(resolve, 150);
      });
      assert.deepEqual([wire.sent.length, isReady], [1, false], 'it waits until the low-water mark');
      order.push('drained');
      wire.bufferedAmount = 10;
      await within(second, 'the second write');
      assert.deepEqual(order, ['drained', 'written']);
      assert.deepEqual(wire.sent, ['"a"', '"b"']);
      await within(writer.ready, 'the stream is ready');
      await writer.close();
      assert.ok(socket.readyState >= 2);
    });

    test('are read by another stream when one was cancelled or has overflowed', async () => {
      const { socket, wire } = await opened({ buffer: { messages: 1, overflow: 'error' } });
      const cancelled = socket.readable;
      await cancelled.cancel();
      const overflown = socket.readable;
      assert.notEqual(overflown, cancelled);
      deliver(wire, 1, 2);
      const reader = overflown.getReader();
      assert.deepEqual(await reader.read(), { value: 1, done: false });
      await assert.rejects(reader.read(), { name: 'OverflowError' });
      const third = socket.readable.getReader();
      deliver(wire, 3);
      assert.deepEqual(await third.read(), { value: 3, done: false });
      socket.close();
      assert.deepEqual(await third.read(), { value: undefined, done: true });
    });

    test('wait over a lost connection, one by one', async () => {
      const { socket, wire, made } = await opened();
      const writer = socket.writable.getWriter();
      wire.end(1006, '', false);
      const writes = [1, 2, 3].map((n) => writer.write(n));
      let written = 0;
      for (const write of writes)
        write.then(() => {
          written += 1;
        });
      while (made.length < 2) await turn();
      assert.equal(socket.snapshot().queuedMessages, 1, 'the others wait in the stream');
      assert.equal(written, 0, 'a message is written when the browser has it');
      made[1].open();
      await within(Promise.all(writes), 'the writes');
      assert.deepEqual(made[1].sent, ['1', '2', '3']);
      socket.close();
      await assert.rejects(writer.write(4), { name: 'ClosedError', code: 'closed' });
      assert.equal(made[1].sent.length, 3, 'what cannot be sent any more is not taken');
    });

    test('fail with the message that cannot be sent, and close the connection when they are aborted', async () => {
      const { socket, wire } = await opened();
      const writer = socket.writable.getWriter();
      const failed = socket.writable;
      await assert.rejects(writer.write(undefined), { code: 'encode-failed' });
      assert.equal(socket.readyState, 1);
      assert.notEqual(socket.writable, failed, 'others can be written');
      await socket.writable.getWriter().write('other');
      assert.deepEqual(wire.sent, ['"other"']);
      const other = await opened();
      await other.socket.writable.abort('reason');
      assert.ok(other.socket.readyState >= 2);
      socket.close();
    });

    test('are read with the bound and the policy of the buffer', async () => {
      const { socket, wire } = await opened({ buffer: { messages: 2 } });
      const { readable } = socket;
      assert.equal(socket.readable, readable);
      for (const n of [1, 2, 3, 4]) {
        // The stream has time to take it, if it wanted to.
        await turn();
        deliver(wire, n);
      }
      socket.close();
      const read = [];
      for await (const message of readable) read.push(message);
      assert.deepEqual(read, [3, 4]);

      const failing = await opened({ buffer: { messages: 1, overflow: 'error' } });
      const reader = failing.socket.readable.getReader();
      deliver(failing.wire, 1, 2);
      assert.equal((await reader.read()).value, 1);
      await assert.rejects(reader.read(), { code: 'inbox-full' });
      failing.socket.close();

      const cancelled = await opened({ buffer: { messages: 1, overflow: 'error' } });
      await cancelled.socket.readable.cancel();
      deliver(cancelled.wire, 1, 2);
      assert.equal(cancelled.socket.snapshot().unreadMessages, 0);
      assert.equal(cancelled.socket.readyState, 1);
      cancelled.socket.close();
    });

    test('are new ones after an end and reconnect()', async () => {
      const { socket, fake } = await opened();
      const before = [socket.readable, socket.writable];
      socket.close();
      await within(nextEvent(socket, 'close'), 'the close');
      assert.deepEqual([socket.readable, socket.writable], before);
      socket.reconnect();
      fake().open();
      assert.notEqual(socket.readable, before[0]);
      const writer = socket.writable.getWriter();
      await within(writer.write(1), 'the write');
      assert.deepEqual(fake().sent, ['1']);
      const next = socket.next();
      deliver(fake(), 2);
      assert.equal(await next, 2);
      socket.close();
    });
  });

  describe('and the end', () => {
    test('loops end after close() and after a goodbye of the server, and fail after any other end', async () => {
      for (const [end, expected] of [
        [({ socket }) => socket.close(), undefined],
        [({ socket }) => socket.close(4000, 'done'), undefined],
        // The server does not answer the close.
        [
          ({ socket, wire }) => {
            socket.close();
            wire.end(1006, '', false);
          },
          undefined,
        ],
        [({ wire }) => wire.end(1000, 'bye'), undefined],
        [({ wire }) => wire.end(1008, SECRET), { code: 'lost' }],
        [({ wire }) => wire.end(1006, '', false), { code: 'lost' }],
      ]) {
        const made = await opened({ maxRetries: 0 });
        const { socket, wire } = made;
        const read = [];
        const looping = (async () => {
          for await (const message of socket) read.push(message);
        })();
        const waits = [socket.next()];
        deliver(wire, 1);
        await waits[0];
        waits.push(socket.next());
        end(made);
        if (expected) {
          const lost = (error) =>
            error instanceof typed.ClosedError &&
            error.code === 'lost' &&
            error.close.willReconnect === false &&
            /close code 100\d/.test(error.message) &&
            !inspect(error).includes(SECRET);
          await assert.rejects(looping, lost);
          await assert.rejects(waits[1], lost);
          await assert.rejects(all(socket), lost, 'so it is for loops that begin later');
          await assert.rejects(socket.opened(), lost);
        } else {
          await looping;
          await assert.rejects(waits[1], { code: 'closed' });
          assert.deepEqual(await all(socket), []);
          await assert.rejects(socket.drained(), { code: 'closed' });
        }
        assert.deepEqual(read, [1]);
      }
    });

    test('loops, queue and waits last over a suspension', async () => {
      const { socket, wire, fake } = await opened();
      const read = [];
      const turn = () =>
        new Promise((resolve) => {
          setImmediate(resolve);
        });
      const looping = (async () => {
        for await (const message of socket) read.push(message);
      })();
      deliver(wire, 1);
      socket.suspend();
      assert.deepEqual([socket.state, socket.readyState], ['suspended', 0]);
      socket.send('kept');
      const again = socket.opened();
      wire.end(1000, '');
      socket.resume();
      await turn();
      fake().open();
      await again;
      await turn();
      assert.deepEqual(fake().sent, ['"kept"']);
      deliver(fake(), 2);
      await turn();
      socket.close();
      await looping;
      assert.deepEqual(read, [1, 2]);
    });

    test('with reconnect false the first loss is the end', async () => {
      const { socket, wire } = await opened({
        reconnect: false,
        shouldReconnect: () => assert.fail('it is not asked'),
      });
      const closed = new Promise((resolve) => {
        socket.onclose = resolve;
      });
      const looping = all(socket);
      wire.end(1012, 'back in a minute reconnect=1-2');
      const { willReconnect, explanation } = await closed;
      assert.deepEqual([willReconnect, explanation], [false, 'the option reconnect is false']);
      await assert.rejects(looping, { code: 'lost' });
      assert.equal(socket.readyState, 3);
    });

    test('loops go on over a reconnect', async () => {
      const { socket, wire, made } = await opened();
      const messages = socket.messages();
      deliver(wire, 1);
      wire.end(1006, '', false);
      while (made.length < 2) await turn();
      made[1].open();
      deliver(made[1], 2);
      socket.close();
      assert.deepEqual(await all(messages), [1, 2]);
    });

    test('a signal ends each wait with its reason, and leaves the rest', async () => {
      const { socket, fake } = unopened();
      const reason = new Error('enough');
      const waits = {
        opened: (signal) => socket.opened({ signal }),
        next: (signal) => socket.next({ signal }),
        'the iterator': (signal) => socket.messages({ signal }).next(),
        'the call of the iterator': (signal) => socket.messages().next({ signal }),
      };
      for (const [what, wait] of Object.entries(waits)) {
        await assert.rejects(wait(AbortSignal.abort(reason)), (error) => error === reason, `${what}, before`);
        const controller = new AbortController();
        const waiting = wait(controller.signal);
        controller.abort(reason);
        await assert.rejects(waiting, (error) => error === reason, what);
      }
      fake().open();
      fake().bufferedAmount = 2 ** 30;
      const controller = new AbortController();
      const drained = socket.drained({ signal: controller.signal });
      const alsoDrained = socket.drained();
      controller.abort(reason);
      await assert.rejects(drained, (error) => error === reason);
      fake().bufferedAmount = 0;
      await within(alsoDrained, 'the other one is drained');

      // A call that is over takes no message.
      const messages = socket.messages();
      const limit = new AbortController();
      const over = messages.next({ signal: limit.signal });
      limit.abort(reason);
      await assert.rejects(over, (error) => error === reason);
      deliver(fake(), 1);
      assert.deepEqual(await messages.next(), { value: 1, done: false });

      // An iterator whose signal aborts is over, and keeps nothing.
      const ending = new AbortController();
      const kept = socket.messages({ signal: ending.signal });
      deliver(fake(), 2);
      ending.abort(reason);
      await assert.rejects(kept.next(), (error) => error === reason);
      assert.deepEqual(await kept.next(), { value: undefined, done: true });
      socket.close();
    });

    test('the end ends each wait', async () => {
      const { socket, fake } = unopened({ maxRetries: 0 });
      const opening = socket.opened();
      fake().end(1006, '', false);
      await assert.rejects(within(opening, 'the end of the wait'), { name: 'ClosedError', code: 'lost' });

      const open = await opened({ maxRetries: 0 });
      open.wire.bufferedAmount = 2 ** 30;
      const draining = open.socket.drained();
      open.wire.end(1006, '', false);
      await assert.rejects(within(draining, 'the end of the wait'), { name: 'ClosedError', code: 'lost' });
    });

    test('a signal is let go of when what waits is over', async () => {
      const { socket, wire } = await opened();
      const { signal } = new AbortController();
      let listeners = 0;
      for (const [name, change] of [
        ['addEventListener', 1],
        ['removeEventListener', -1],
      ]) {
        const given = signal[name];
        signal[name] = (...rest) => {
          listeners += change;
          return given.apply(signal, rest);
        };
      }
      const ended = socket.messages({ signal });
      assert.equal(listeners, 1);
      await ended.return();
      assert.equal(listeners, 0);
      const messages = socket.messages();
      const waits = [messages.next({ signal }), socket.next({ signal })];
      assert.ok(listeners > 0);
      deliver(wire, 1);
      await Promise.all(waits);
      await socket.opened({ signal });
      await socket.drained({ signal });
      assert.equal(listeners, 0);
      socket.close();
    });

    test('the signal of the constructor closes it', async () => {
      const controller = new AbortController();
      const { socket } = await opened({ signal: controller.signal });
      const loop = all(socket);
      controller.abort();
      assert.deepEqual(await within(loop, 'the end of the loop'), []);
      const aborted = unopened({ signal: AbortSignal.abort() });
      assert.deepEqual(await within(all(aborted.socket), 'the end of the loop'), []);
      await assert.rejects(aborted.socket.opened(), { code: 'closed' });
      assert.throws(() => aborted.socket.reconnect(), { name: 'AbortError' });
      assert.deepEqual(await all(aborted.socket), []);
    });

    test('disposing closes it, and asynchronously waits until it is closed', async () => {
      const one = await opened();
      one.socket[Symbol.dispose]();
      assert.equal(one.socket.readyState, 2);
      const other = await opened();
      await within(other.socket[Symbol.asyncDispose](), 'the end');
      assert.equal(other.socket.readyState, 3);
      await within(other.socket[Symbol.asyncDispose](), 'the end again');
      const idle = unopened({ startClosed: true });
      await within(idle.socket[Symbol.asyncDispose](), 'the end of what never began');

      const { socket, wire } = await opened();
      const messages = socket.messages();
      deliver(wire, 1);
      await messages[Symbol.asyncDispose]();
      assert.deepEqual(await messages.next(), { value: undefined, done: true });
      socket.close();
    });
  });

  describe('and what takes for ever', () => {
    const forever = () => new Promise(() => {});
    const PATIENT = { closeTimeout: 20 };

    /** The unhandled rejections while `run` ran. */
    async function unhandled(run) {
      const seen = [];
      const listener = (reason) => seen.push(reason);
      process.on('unhandledRejection', listener);
      try {
        await run();
        await turn();
        await turn();
      } finally {
        process.off('unhandledRejection', listener);
      }
      return seen;
    }

    for (const [who, options] of [
      ['a schema', { incoming: schema(() => true, { later: forever }) }],
      ['a codec', { codec: { encode: JSON.stringify, decode: forever } }],
    ]) {
      test(`${who} that never answers: everything ends when the socket is closed, and what it held is reported`, async () => {
        const { socket, wire, seen } = await opened({ ...PATIENT, ...options });
        const looped = all(socket);
        const each = socket.forEach(() => {});
        const next = socket.next();
        const read = socket.readable.getReader().read();
        deliver(wire, 1, 2);
        await turn();
        socket.close();
        assert.deepEqual(await within(looped, 'the loop'), []);
        await within(each, 'forEach');
        await assert.rejects(within(next, 'next'), { code: 'closed' });
        assert.equal((await within(read, 'the stream')).done, true);
        const dropped = seen.filter(({ type }) => type === 'dropped');
        assert.deepEqual(
          dropped.map(({ reason, messages, bytes }) => [reason, messages, bytes]),
          [['not-decoded', ['1', '2'], 2]],
        );
        assert.equal(socket.snapshot().unreadMessages, 2);
      });
    }

    test('a schema that answers too late is not heard, and the next connection is none the worse', async () => {
      const answers = [];
      const later = (value) =>
        value === 'slow'
          ? new Promise((resolve) => {
              answers.push(resolve);
            })
          : undefined;
      const { socket, wire, fake, seen } = await opened({
        closeTimeout: 60_000,
        incoming: schema(() => true, { later }),
      });
      const got = [];
      socket.onmessage = ({ data }) => got.push(data);
      deliver(wire, 'slow', 'after it');
      socket.close();
      await nextEvent(socket, 'close');
      socket.reconnect();
      await turn();
      fake().open();
      await socket.opened();
      deliver(fake(), 'new');
      answers[0]();
      await turn();
      assert.deepEqual(got, ['new']);
      assert.deepEqual(
        seen.filter(({ type }) => type === 'dropped').map(({ reason, messages }) => [reason, messages]),
        [['not-decoded', ['"slow"', '"after it"']]],
      );
    });

    test('a schema that never lets a message out: what is sent fails when the connection has ended, and streams end', async () => {
      const ends = {
        'close()': ({ socket }) => socket.close(),
        'a loss for good': ({ wire }) => wire.end(1008, '', true),
        abort: ({ writer }) => writer.abort(new Error('enough')).then(() => {}),
      };
      for (const [how, end] of Object.entries(ends)) {
        const made = await opened({ ...PATIENT, outgoing: schema(() => true, { later: forever }) });
        const { socket, wire } = made;
        const writer = socket.writable.getWriter();
        const closed = writer.closed.then(
          () => 'closed',
          () => 'failed',
        );
        const rejections = await unhandled(async () => {
          const sends = [socket.send('a'), socket.send('b')];
          // Nothing awaits this one.
          socket.send('c');
          const written = writer.write('d');
          written.catch(() => {});
          await turn();
          await within(Promise.resolve(end({ socket, wire, writer })), how);
          for (const sent of sends) await assert.rejects(within(sent, 'send'), { name: 'ClosedError' }, how);
          await assert.rejects(within(written, 'write'), how);
        });
        assert.equal(await within(closed, 'the writer'), 'failed', how);
        assert.deepEqual(rejections, [], how);
        // What has failed is never sent.
        assert.deepEqual(wire.sent, []);
      }
    });

    test('forEach that nobody awaits: no unhandled rejection for an abort or a loss, and no call after the abort', async () => {
      const calls = [];
      const rejections = await unhandled(async () => {
        const { socket, wire } = await opened();
        const first = new AbortController();
        const second = new AbortController();
        socket.forEach(
          (message) => {
            calls.push(['first', message]);
            // Even within the same delivery, later readers are no longer called.
            second.abort();
          },
          { signal: first.signal },
        );
        socket.forEach((message) => calls.push(['second', message]), { signal: second.signal });
        socket.forEach(() => {}, { signal: AbortSignal.abort() });
        deliver(wire, 1);
        first.abort();
        deliver(wire, 2);
        await turn();
        // Lost, and over before it began.
        socket.forEach(() => {});
        socket.next();
        wire.end(1008, '', true);
        await turn();
        socket.forEach(() => {});
        await turn();
      });
      assert.deepEqual(calls, [['first', 1]]);
      assert.deepEqual(rejections, []);
    });

    test('a handler of forEach that throws is told to who awaits it', async () => {
      const { socket, wire } = await opened();
      const awaited = socket.forEach(() => {
        throw new Error('awaited');
      });
      deliver(wire, 2);
      await assert.rejects(awaited, /awaited/);
    });

    test('a loop whose messages each bring the next leaves the others their turn', async () => {
      const { socket, wire } = await opened();
      let count = 0;
      const looped = (async () => {
        for await (const message of socket) {
          count += 1;
          if (count === 100_000) throw new Error('the page never got its turn');
          // A socket that answers before `send` returns.
          deliver(wire, message + 1);
        }
      })();
      deliver(wire, 0);
      await turn();
      assert.ok(count > 0 && count < 50_000, `${count} in one task`);
      socket.close();
      socket.addEventListener('close', () => {});
      await within(Promise.race([looped, nextEvent(socket, 'close')]), 'the loop');
    });
  });

  describe('nested deeply', () => {
    const nested = (depth, [open, close] = ['[', ']']) => open.repeat(depth) + close.repeat(depth);

    test('JSON is taken to 127 levels, and no deeper', async () => {
      const { socket, wire, seen } = await opened();
      const got = [];
      socket.onmessage = ({ data }) => got.push(data);
      // Text in strings, and values side by side, add no depth.
      const flat = [
        JSON.stringify('[{'.repeat(500)),
        JSON.stringify(['\\"['.repeat(300), '\\', '[\\\\'.repeat(300)]),
        JSON.stringify(Array.from({ length: 500 }, () => [{}])),
        nested(127),
        `{"a":${nested(126)}}`,
      ];
      for (const text of flat) wire.deliver(text);
      assert.deepEqual(
        got.map((value) => JSON.stringify(value)),
        flat,
      );
      const deep = [
        nested(128),
        nested(200_000),
        `{"a":${nested(127)}}`,
        `${'{"a":'.repeat(128)}1${'}'.repeat(128)}`,
        `["[\\"",${nested(127)}]`,
      ];
      for (const text of deep) wire.deliver(text);
      assert.equal(got.length, flat.length);
      assert.deepEqual(
        seen.map(({ type, error }) => [type, error.code]),
        deep.map(() => ['invalid', 'decode-failed']),
      );
      assert.match(seen[0].error.message, /deeper than 127 levels/);
      // What is not JSON is invalid either way.
      wire.deliver(`"${'['.repeat(300)}`);
      assert.match(seen.at(-1).error.message, /not JSON/);
    });

    test('MessagePack likewise', async () => {
      const { socket, wire, seen } = await opened({ codec: msgpack });
      const got = [];
      socket.onmessage = ({ data }) => got.push(data);
      const list = (depth) => new Uint8Array([...new Array(depth).fill(0x91), 0x01]).buffer;
      wire.deliver(list(127));
      wire.deliver(list(128));
      wire.deliver(list(200_000));
      assert.equal(got.length, 1);
      assert.deepEqual(
        seen.map(({ error }) => error.code),
        ['decode-failed', 'decode-failed'],
      );
    });
  });

  test('a listener that was added by the method of EventTarget itself hears messages', async () => {
    const add = (socket, ...rest) => EventTarget.prototype.addEventListener.call(socket, 'message', ...rest);
    for (const prepare of [
      () => {},
      (socket) => {
        socket.onmessage = () => {};
      },
      (socket) => socket.addEventListener('message', () => {}),
    ]) {
      const { socket, wire } = await opened();
      prepare(socket);
      const heard = [];
      add(socket, ({ data }) => heard.push(data));
      deliver(wire, 1, { two: 2 });
      assert.deepEqual(heard, [1, { two: 2 }], String(prepare));
    }
  });

  test('in development, and only there, an error names the field that the schema refuses', async () => {
    const { env } = process;
    const before = env.NODE_ENV;
    try {
      for (const [mode, expected] of [
        ['development', /with 1 issue, the first at items\.0\.name$/],
        ['production', /with 1 issue$/],
        [undefined, /with 1 issue$/],
      ]) {
        if (mode === undefined) delete env.NODE_ENV;
        else env.NODE_ENV = mode;
        const refusing = {
          '~standard': {
            version: 1,
            vendor: 'test',
            validate: () => ({ issues: [{ message: SECRET, path: ['items', { key: 0 }, 'name'] }] }),
          },
        };
        const { wire, seen } = await opened({ incoming: refusing });
        deliver(wire, SECRET);
        assert.match(seen[0].error.message, expected);
        assert.ok(!seen[0].error.message.includes(SECRET));
      }
    } finally {
      if (before === undefined) delete env.NODE_ENV;
      else env.NODE_ENV = before;
    }
  });

  describe('and bad arguments', () => {
    test('options that there are not, or of the wrong kind, are errors that say what is taken', () => {
      const own = new Error('mine');
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const make = (options) => () => new typed.TypedSocket('ws://127.0.0.1/', options);
      for (const [options, name, message] of [
        [7, 'TypeError', /the options: a number/],
        [{ incomming: 1 }, 'TypeError', /no incomming; did you mean incoming/],
        [{ maxRetrys: 1 }, 'TypeError', /did you mean maxRetries/],
        [{ codec: 'msgpack' }, 'TypeError', /option codec: a string.*steady-socket\/msgpack/],
        [{ codec: null }, 'TypeError', /option codec: null/],
        [{ codec: { encode: String } }, 'TypeError', /encode and decode/],
        [{ incoming: null }, 'TypeError', /option incoming: null.*Standard Schema/],
        [{ incoming: {} }, 'TypeError', /Standard Schema/],
        [{ outgoing: { '~standard': { version: 2, validate() {} } } }, 'TypeError', /option outgoing.*version 1/],
        [{ incoming: proxy }, 'TypeError', /revoked/],
        [proxy, 'TypeError', /revoked/],
        [{ buffer: 7 }, 'TypeError', /option buffer/],
        [{ buffer: { size: 7 } }, 'TypeError', /option buffer has no size/],
        [{ buffer: { messages: 0 } }, 'RangeError', /buffer\.messages is 0.*from 1/],
        [{ buffer: { messages: 1.5 } }, 'RangeError', /buffer\.messages is 1\.5/],
        [{ buffer: { messages: NaN } }, 'RangeError', /NaN/],
        [{ buffer: { bytes: -1 } }, 'RangeError', /buffer\.bytes is -1 bytes/],
        [{ buffer: { bytes: 1n } }, 'TypeError', /buffer\.bytes: a bigint/],
        [{ buffer: { bytes: '9' } }, 'TypeError', /buffer\.bytes: a string/],
        [{ buffer: { overflow: 'explode' } }, 'TypeError', /drop-oldest.*drop-newest.*error.*close/],
        [{ maxRetries: -1 }, 'RangeError', /maxRetries/],
        [{ signal: {} }, 'TypeError', /AbortSignal/],
      ])
        assert.throws(make(options), { name, message }, inspect(options));
      assert.throws(
        make({
          get codec() {
            throw own;
          },
        }),
        (error) => error === own,
      );
      assert.throws(
        make({
          incoming: {
            get '~standard'() {
              throw own;
            },
          },
        }),
        (error) => error === own,
      );
      assert.throws(
        make({
          get maxRetries() {
            throw own;
          },
        }),
        (error) => error === own,
      );
      assert.throws(() => new typed.TypedSocket(), { name: 'TypeError', message: /URL is missing/ });
      assert.throws(() => new typed.TypedSocket('ws://x/#y', { WebSocket: fakeWebSocket() }), { name: 'SyntaxError' });
    });

    test('options of what waits are checked, too', async () => {
      const { socket } = await opened();
      for (const call of ['opened', 'drained', 'next']) {
        await assert.rejects(socket[call]({ signal: 7 }), { name: 'TypeError', message: /AbortSignal/ });
        await assert.rejects(socket[call]({ sginal: undefined }), {
          name: 'TypeError',
          message: /did you mean signal/,
        });
      }
      assert.throws(() => socket.messages({ signal: {} }), { name: 'TypeError' });
      assert.throws(() => socket.messages({ buffer: { messages: 0 } }), { name: 'RangeError' });
      await assert.rejects(socket.messages().next({ signal: 'x' }), { name: 'TypeError' });
      assert.throws(
        () => {
          socket.binaryType = 'blob';
        },
        { name: 'TypeError', message: /ArrayBuffer/ },
      );
      assert.throws(() => socket.close(1), { name: 'InvalidAccessError' });
      assert.equal(socket.readyState, 1);
      socket.close();
    });

    test('are told in the name of the class that was called', async () => {
      const { TypedSocket, ReconnectingWebSocket } = typed;
      class Extended extends ReconnectingWebSocket {}
      const URL = 'ws://127.0.0.1/';
      const { socket } = unopened({ maxQueuedBytes: 0 });
      const reconnecting = new ReconnectingWebSocket(URL, [], { WebSocket: fakeWebSocket() });
      const { signal } = new AbortController();
      const constructed = (options, url = URL, protocols = []) => [
        ['TypedSocket', () => new TypedSocket(url, { ...options, protocols })],
        ['ReconnectingWebSocket', () => new ReconnectingWebSocket(url, protocols, options)],
        ['ReconnectingWebSocket', () => new Extended(url, protocols, options)],
      ];
      const called = (method, ...given) => [
        ['TypedSocket', () => socket[method](...given)],
        ['ReconnectingWebSocket', () => reconnecting[method](...given)],
      ];
      const wrong = [
        ...constructed({ maxRetries: 'x' }),
        ...constructed({ maxRetries: -1 }),
        ...constructed({ minDelay: 2, maxDelay: 1 }),
        ...constructed({ overflow: 'x' }),
        ...constructed({ maxRetry: 1 }),
        ...constructed({ signal: 'x' }),
        ...constructed({ diagnose: 'ftp://127.0.0.1' }),
        ...constructed({ diagnoseAfter: 0 }),
        ...constructed({}, 'ftp://127.0.0.1'),
        ...constructed({}, 'ws://'),
        ...constructed({}, 'ws://127.0.0.1/#x'),
        ...constructed({}, URL, 'a b'),
        ...called('close', 1),
        ...called('close', 1000, 'x'.repeat(124)),
        ...called('send', 'x', { priority: 'last' }),
        ...called('send', 'x', { volatile: 1 }),
        ...called('send', 'x', { ttl: 0 }),
        ...called('send'),
        ['TypedSocket', () => new TypedSocket(URL, { codec: 1 })],
        ['TypedSocket', () => new TypedSocket(URL, { incoming: 1 })],
        ['TypedSocket', () => new TypedSocket(URL, { buffer: { messages: 0 } })],
        ['TypedSocket', () => socket.messages({ signl: signal })],
        ['TypedSocket', () => socket.send('more than the queue takes')],
        ['TypedSocket', () => createMsgpack({ int64: 'x' })],
      ];
      for (const [name, call] of wrong) {
        assert.throws(call, ({ message }) => message.startsWith(`${name}: `), String(call));
      }
      reconnecting.close();
    });
  });
});
