// A class exported for an endpoint, in Chromium: against the hello server, and against one that sends anything.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { toNumbers } from '../../../client-wasm/js/check.js';
import { OPTIONS } from '../../../client-wasm/js/options.js';
import { required, serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { openModules } from './lib.mjs';
import { optionCases } from './option-values.js';
import { startScriptedServer } from './scripted-server.mjs';

/** The largest integer that a number represents along with all smaller ones. */
const SAFE = 2n ** 53n - 1n;

describe('an exported class', { timeout: 10 * TEST_TIMEOUT }, () => {
  let modules;
  let evaluate;
  before(async () => {
    modules = await openModules(Number(required('STEADY_SOCKET_PAGE_ORIGIN_PORT')));
    ({ evaluate } = modules);
  });
  after(() => modules?.close());

  /** Runs a test with a server that sends what the test says. */
  const scripted = (title, run) =>
    test(title, { timeout: TEST_TIMEOUT }, async () => {
      const server = await startScriptedServer();
      try {
        await run(server, (number = 0) => within(server.connection(number), `connection ${number}`));
      } finally {
        await server.close();
      }
    });

  /** Creates a socket of the page, which several calls of `evaluate` find by its name. */
  const open = (url, options = {}, name = 'ShapesSocket') =>
    evaluate(
      'a socket',
      ([of, at, given]) => {
        globalThis.socket = new shapes[of](at, { ...QUICK, ...given });
        globalThis.told = recorded(socket);
      },
      [name, url, options],
    );

  test('speaks with the hello server by the types of the endpoint', { timeout: TEST_TIMEOUT }, async () => {
    const result = await evaluate(
      'the greetings',
      async (url) => {
        const socket = new HelloSocket(new URL(url));
        const states = [socket.state];
        socket.send({ type: 'hello', name: 'Ada' });
        socket.send({ type: 'hello', name: '' });
        const [greeting, refusal] = await Promise.all([socket.next(), socket.next()]);
        states.push(socket.state);
        socket.send({ type: 'hello', name: 'Grace\u0007' });
        const { protocol } = socket;
        for await (const answer of socket) {
          socket.free();
          return {
            greeting,
            refusal,
            answer,
            states,
            protocol,
            prototype: Object.getPrototypeOf(answer) === Object.prototype,
          };
        }
        return null;
      },
      serverAddress('ws'),
    );
    assert.deepEqual(result, {
      greeting: { type: 'greeting', text: 'Hello Ada!' },
      refusal: { type: 'invalid', reason: { problem: 'empty' } },
      answer: { type: 'invalid', reason: { problem: 'controlCharacter', position: 5 } },
      states: ['connecting', 'open'],
      protocol: 'hello.json~1',
      prototype: true,
    });
  });

  test('comes back after a loss, in the midst of a loop', { timeout: TEST_TIMEOUT }, async () => {
    const cut = `${serverAddress()}/control/cut?id=exported`;
    const result = await evaluate(
      'the greeting after the loss',
      async ([url, cutUrl]) => {
        const socket = new HelloSocket(`${url}/?id=exported`, QUICK);
        const events = recorded(socket);
        const greetings = [];
        socket.send({ type: 'hello', name: 'before' });
        for await (const answer of socket) {
          greetings.push(answer.text);
          if (greetings.length === 2) break;
          const reopened = eventOf(socket, 'open', ({ reconnected }) => reconnected);
          await fetch(cutUrl, { method: 'POST' });
          await reopened;
          socket.send({ type: 'hello', name: 'after' });
        }
        socket.free();
        return { greetings, events };
      },
      [serverAddress('ws'), cut],
    );
    assert.deepEqual(result.greetings, ['Hello before!', 'Hello after!']);
    const of = (type) => result.events.filter((event) => event.type === type);
    assert.deepEqual(
      of('statechange').map(({ state }) => state),
      ['connecting', 'open', 'waiting', 'connecting', 'open'],
    );
    assert.deepEqual(
      of('open').map(({ reconnected }) => reconnected),
      [false, true],
    );
    const [lost, ...others] = of('close');
    assert.deepEqual([lost.code, lost.cause, lost.willReconnect, others.length], [1006, 'socket', true, 0]);
  });

  test('with a session it loses nothing over a cut, and asks', { timeout: TEST_TIMEOUT }, async () => {
    const cut = `${serverAddress()}/control/cut?id=exported-session`;
    const result = await evaluate(
      'the messages of a session',
      async ([url, cutUrl]) => {
        const socket = new shapes.EchoSocket(`${url}/?id=exported-session`, QUICK);
        const text = (of) => ({ type: 'text', text: String(of) });
        const resumed = eventOf(socket, 'resumed');
        const heard = [];
        const all = new Promise((resolve) => {
          socket.addEventListener('message', ({ data }) => {
            heard.push(Number(data.text));
            if (heard.length === 100) resolve();
          });
        });
        const delivered = [];
        for (let n = 0; n < 100; n += 1) {
          delivered.push(socket.deliver(text(n)));
          if (n === 50) {
            await delivered[0];
            await fetch(cutUrl, { method: 'POST' });
          }
        }
        await Promise.all([...delivered, all, resumed]);
        const answer = await socket.request(text('asked'));
        const { protocol } = socket;
        socket.close();
        await eventOf(socket, 'close');
        socket.free();
        return { heard, answer, protocol };
      },
      [serverAddress('ws'), cut],
    );
    assert.deepEqual(
      result.heard,
      Array.from({ length: 100 }, (_, n) => n),
    );
    assert.deepEqual(result.answer, { type: 'text', text: 'asked' });
    assert.equal(result.protocol, 'echo.json~2');
  });

  scripted('suspended it keeps the queue and makes no connection, resumed it goes on', async (server, connection) => {
    await open(server.url);
    await connection();
    const suspended = await evaluate('the suspension', async () => {
      if (socket.state !== 'open') await eventOf(socket, 'open');
      socket.suspend(4001, 'out of sight');
      socket.resume();
      if (socket.state !== 'connecting') throw new Error(socket.state);
      await eventOf(socket, 'open');
      const over = eventOf(socket, 'close');
      socket.suspend(4001, 'out of sight');
      const { state } = socket;
      socket.send({ type: 'nothing' });
      const { cause, willReconnect, delay } = await over;
      return { state, cause, willReconnect, delay, refused: failureOf(() => socket.suspend(1001)).name };
    });
    assert.deepEqual(suspended, {
      state: 'suspended',
      cause: 'suspended',
      willReconnect: true,
      delay: null,
      refused: 'InvalidAccessError',
    });
    await evaluate('the resumption', async () => {
      socket.resume();
      await eventOf(socket, 'open');
      socket.close();
      await eventOf(socket, 'close', ({ willReconnect }) => !willReconnect);
      socket.free();
    });
    assert.equal(await within((await connection(0)).ended, 'the first end'), 4001);
    await connection(2);
  });

  scripted('with reconnect false the first loss is the end', async (server, connection) => {
    await open(server.url, { reconnect: false });
    await evaluate('a listener', () => {
      globalThis.over = eventOf(socket, 'close');
    });
    (await connection()).cut();
    const end = await evaluate('the end', async () => {
      const { willReconnect, explanation } = await over;
      const { state } = socket;
      socket.free();
      return { willReconnect, explanation, state };
    });
    assert.deepEqual(end, { willReconnect: false, explanation: 'the option reconnect is false', state: 'closed' });
  });

  test('connects to the server of its page where none is named', { timeout: TEST_TIMEOUT }, async () => {
    const states = await evaluate('the refusal', async () => {
      const socket = new HelloSocket(undefined, { maxRetries: 0 });
      const events = recorded(socket);
      const { cause } = await eventOf(socket, 'close');
      socket.free();
      return [cause, events.map(({ type }) => type)];
    });
    // This page's server does not speak WebSocket.
    assert.deepEqual(states, ['socket', ['statechange', 'statechange', 'error', 'close']]);
  });

  scripted('tells what is no message of the endpoint, quotes nothing, and goes on', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    const secret = 'hunter2';
    const bad = [
      ['', 'ends too early', null],
      [secret, 'not well-formed', secret],
      [`{"type":"${secret}"}`, 'not a value of the expected type', secret],
      [`{"type":"text"}`, 'not a value of the expected type', 'missing field `text`'],
      [`{"type":"text","text":{"a":"${secret}"}}`, 'not a value of the expected type', 'expected a string'],
      [`{"type":"numbers","unsigned":-1,"signed":0,"real":0,"small":0}`, 'not a value of the expected type', 'u64'],
      [`{"type":"numbers","unsigned":0,"signed":0,"real":0,"small":256}`, 'not a value of the expected type', 'u8'],
      [
        `{"type":"numbers","unsigned":18446744073709551616,"signed":0,"real":0,"small":0}`,
        'not a value of the expected type',
        'u64',
      ],
      ['{"type":"tree","children":['.repeat(200), 'nested deeper', null],
      [Buffer.from(secret), 'expected a text message, not a binary one', null],
      ['null', 'not a value of the expected type', null],
    ];
    for (const [data] of bad) theirs.send(data);
    theirs.send('{"type":"nothing"}');
    const told = await evaluate('the message after the bad ones', async () => {
      const message = await socket.next();
      return { message, invalid: told.filter(({ type }) => type === 'invalid'), state: socket.state };
    });
    assert.deepEqual([told.message, told.state], [{ type: 'nothing' }, 'open']);
    assert.equal(told.invalid.length, bad.length);
    bad.forEach(([data, says, detail], index) => {
      const { error, detail: words, excerpt } = told.invalid[index];
      assert.equal(error.name, 'TypeError');
      assert.match(
        error.message,
        new RegExp(`^ShapesSocket: a message cannot be decoded: json: .*${says}`),
        String(data),
      );
      assert.ok(!error.message.includes(secret), error.message);
      if (detail && detail !== secret) assert.ok(words.includes(detail), words);
      if (typeof data === 'string' && data.includes(secret)) assert.ok(excerpt.includes(secret), excerpt);
    });
  });

  scripted('receives 64-bit integers that a number holds, and tells the others', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    const numbers = (unsigned, signed = 0n) =>
      theirs.send(`{"type":"numbers","unsigned":${unsigned},"signed":${signed},"real":1e300,"small":255}`);
    const pairs = [
      [0n],
      [SAFE],
      [SAFE, SAFE],
      [SAFE, -SAFE],
      [SAFE + 1n],
      [SAFE + 2n],
      [2n ** 64n - 1n],
      [0n, SAFE + 1n],
      [0n, -SAFE - 1n],
      [0n, -(2n ** 63n)],
    ];
    for (const [unsigned, signed] of pairs) numbers(unsigned, signed);
    theirs.send('{"type":"identity","id":"18446744073709551615"}');
    const result = await evaluate('the numbers', async () => {
      const received = [];
      for await (const message of socket) {
        if (message.type === 'identity')
          return { id: message.id, received, invalid: told.filter(({ type }) => type === 'invalid') };
        received.push([message.unsigned, message.signed, message.real, message.small]);
      }
      return null;
    });
    const safe = Number(SAFE);
    assert.deepEqual(result.received, [
      [0, 0, 1e300, 255],
      [safe, 0, 1e300, 255],
      [safe, safe, 1e300, 255],
      [safe, -safe, 1e300, 255],
    ]);
    assert.equal(result.invalid.length, 6);
    for (const { error } of result.invalid) {
      assert.deepEqual(
        [error.name, error.message],
        [
          'TypeError',
          'ShapesSocket: a message cannot be converted: it has an integer beyond 2^53 - 1, which a JavaScript number may not hold exactly',
        ],
      );
    }
    assert.equal(result.id, '18446744073709551615', 'as text it is whole');
  });

  scripted('sends what has the Rust type, and says what is wrong with the rest', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    const result = await evaluate('the errors', () => {
      const numbers = (fields) => ({ type: 'numbers', unsigned: 0, signed: 0, real: 0, small: 0, ...fields });
      const choices = (fields) => ({ type: 'choices', count: null, share: null, ...fields });
      const thrown = { it: 'is the same' };
      const getter = {
        type: 'text',
        get text() {
          throw thrown;
        },
      };
      const later = {
        type: 'choices',
        count: null,
        share: null,
        toJSON() {
          throw thrown;
        },
      };
      const cycle = { type: 'tree', children: [] };
      cycle.children.push(cycle);
      let deep = { type: 'nothing' };
      for (let level = 0; level < 200; level += 1) deep = { type: 'tree', children: [deep] };
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const cases = {
        'unsigned 2^53': numbers({ unsigned: 2 ** 53 }),
        'unsigned 2^64 - 1, rounded': numbers({ unsigned: Number(2n ** 64n - 1n) }),
        'unsigned -1': numbers({ unsigned: -1 }),
        'unsigned 0.5': numbers({ unsigned: 0.5 }),
        'signed -2^53': numbers({ signed: -(2 ** 53) }),
        'small 256': numbers({ small: 256 }),
        'unsigned as text': numbers({ unsigned: '1' }),
        'real NaN': numbers({ real: NaN }),
        'share NaN, which would become none': choices({ share: NaN }),
        'share Infinity': choices({ share: Infinity }),
        'no field': { type: 'text' },
        'another type': { type: 'hunter2' },
        'no type': { text: 'hunter2' },
        'half a character': { type: 'text', text: '\ud800' },
        'too deep': deep,
        'an identity that is none': { type: 'identity', id: 'hunter2' },
        null: null,
        undefined,
        'a number': NaN,
        'a string': 'hunter2',
        'an array': [],
        'a function': () => {},
        'a symbol': Symbol('hunter2'),
      };
      const errors = Object.entries(cases).map(([name, message]) => [name, failureOf(() => socket.send(message))]);
      const unchanged = [getter, later].map((message) => failureOf(() => socket.send(message)).thrown === thrown);
      const engine = [cycle, proxy, numbers({ unsigned: 1n }), 1n].map(
        (message) => failureOf(() => socket.send(message)).name,
      );
      // None of them has done any harm.
      socket.send(numbers({ unsigned: 2 ** 53 - 1, signed: -(2 ** 53) + 1, real: 1e300, small: 255 }));
      socket.send({ ...choices({ count: 3 }), unknown: 1, secret: 7 });
      socket.send({ type: 'identity', id: '18446744073709551615' });
      socket.send(Object.assign(Object.create({ inherited: true }), { toJSON: () => ({ type: 'nothing' }) }));
      return { errors, unchanged, engine };
    });
    const says = {
      'unsigned 2^53': /beyond 2\^53 - 1/,
      'unsigned 2^64 - 1, rounded': /beyond 2\^53 - 1|expected u64/,
      'unsigned -1': /expected u64/,
      'unsigned 0.5': /expected u64/,
      'signed -2^53': /beyond 2\^53 - 1/,
      'small 256': /expected u8/,
      'unsigned as text': /expected u64/,
      'real NaN': /not finite/,
      'share NaN, which would become none': /not finite/,
      'share Infinity': /not finite/,
      'no field': /missing field `text`/,
      'another type': /expected one of/,
      'no type': /missing field `type`/,
    };
    for (const [name, error] of result.errors) {
      assert.ok(error, `${name} was sent`);
      assert.equal(error.name, 'TypeError', name);
      assert.match(error.message, /^ShapesSocket: send: the message does not match its Rust type: ./, name);
      assert.match(error.message, says[name] ?? /./, name);
      assert.doesNotMatch(error.message, /hunter2/, name);
    }
    assert.deepEqual(result.unchanged, [true, true], 'what the caller throws comes back');
    assert.deepEqual(result.engine, ['TypeError', 'TypeError', 'TypeError', 'TypeError']);
    const received = [];
    for (let count = 0; count < 4; count += 1) received.push(await within(theirs.received(), 'a message'));
    assert.deepEqual(received, [
      '{"type":"numbers","unsigned":9007199254740991,"signed":-9007199254740991,"real":1e+300,"small":255}',
      '{"type":"choices","count":3,"share":null,"isFinal":false}',
      '{"type":"identity","id":"18446744073709551615"}',
      '{"type":"nothing"}',
    ]);
  });

  scripted('passes any key of a map, and changes no prototype', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    theirs.send('{"type":"map","entries":{"__proto__":1,"constructor":2,"toString":3,"":4}}');
    const result = await evaluate('the map', async () => {
      const { entries } = await socket.next();
      socket.send({ type: 'map', entries: JSON.parse('{"__proto__":5,"a":6}') });
      return {
        entries: Object.entries(entries),
        own: Object.hasOwn(entries, '__proto__'),
        plain: Object.getPrototypeOf(entries) === Object.prototype,
        polluted: Object.keys(Object.prototype),
      };
    });
    assert.deepEqual(result, {
      // In the order of the Rust map.
      entries: [
        ['', 4],
        ['__proto__', 1],
        ['constructor', 2],
        ['toString', 3],
      ],
      own: true,
      plain: true,
      polluted: [],
    });
    assert.equal(await within(theirs.received(), 'the map'), '{"type":"map","entries":{"__proto__":5,"a":6}}');
  });

  scripted('speaks the other codec of the endpoint as well', async (server, connection) => {
    await open(server.url, {}, 'PackedShapesSocket');
    const theirs = await connection();
    const sent = [
      { type: 'nothing' },
      { type: 'numbers', unsigned: Number(SAFE), signed: -Number(SAFE), real: -0.5, small: 255 },
      { type: 'choices', count: null, share: 0.25, label: 'é', isFinal: true },
      {
        type: 'tree',
        children: [
          { type: 'text', text: '世界' },
          { type: 'tree', children: [] },
        ],
      },
    ];
    await evaluate('the messages are sent', (messages) => messages.forEach((message) => socket.send(message)), sent);
    for (const _ of sent) {
      const message = await within(theirs.received(), 'a message');
      assert.ok(Buffer.isBuffer(message), 'a binary message');
      theirs.send(message);
    }
    const received = await evaluate(
      'they come back',
      async (count) => {
        const messages = [];
        while (messages.length < count) messages.push(await socket.next());
        return messages;
      },
      sent.length,
    );
    assert.deepEqual(received, sent);
  });

  scripted('puts what a listener for open sends ahead of the queue', async (server, connection) => {
    await evaluate(
      'the queue',
      (url) => {
        globalThis.socket = new shapes.ShapesSocket(url, QUICK);
        socket.send({ type: 'text', text: 'queued' });
        socket.addEventListener('open', () => socket.send({ type: 'text', text: 'first' }), { once: true });
      },
      server.url,
    );
    const theirs = await connection();
    const texts = [await within(theirs.received(), 'the first'), await within(theirs.received(), 'the second')];
    assert.deepEqual(
      texts.map((text) => JSON.parse(text).text),
      ['first', 'queued'],
    );
  });

  scripted('keeps the queue until it is told that it is ready', async (server, connection) => {
    await open(server.url, { gate: true });
    const theirs = await connection();
    const waiting = await evaluate('the queue', async () => {
      if (socket.state !== 'open') await eventOf(socket, 'open');
      socket.send({ type: 'nothing' });
      const before = socket.bufferedAmount;
      socket.ready();
      return before;
    });
    assert.equal(waiting, '{"type":"nothing"}'.length);
    assert.equal(await within(theirs.received(), 'the message'), '{"type":"nothing"}');
  });

  scripted('gives its messages to listeners, or to those who ask', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    const text = (number) => `{"type":"text","text":"${number}"}`;
    for (let number = 0; number < 3; number += 1) theirs.send(text(number));
    const asked = await evaluate('the messages', async () => {
      const [first, second] = await Promise.all([socket.next(), socket.next()]);
      // The third arrived with them, or will arrive.
      let third = socket.tryNext();
      while (third === undefined) {
        await new Promise((resolve) => {
          setTimeout(resolve);
        });
        third = socket.tryNext();
      }
      const none = socket.tryNext();
      const listener = failureOf(() => socket.addEventListener('message', () => {}));
      const waiting = socket.next();
      const meanwhile = failureOf(() => socket.tryNext());
      return {
        texts: [first, second, third].map(({ text: of }) => of),
        none,
        listener,
        meanwhile,
        waiting: waiting instanceof Promise,
      };
    });
    assert.deepEqual(asked.texts, ['0', '1', '2']);
    assert.equal(asked.none, undefined);
    assert.equal(asked.waiting, true);
    assert.equal(asked.listener.name, 'InvalidStateError');
    assert.equal(asked.meanwhile.name, 'InvalidStateError');

    await evaluate(
      'another socket',
      (url) => {
        globalThis.socket = new shapes.ShapesSocket(url, QUICK);
        globalThis.heard = new Promise((resolve) => {
          const texts = [];
          // A listener that throws is reported, and does not keep the others from being called.
          socket.addEventListener(
            'message',
            () => {
              throw new Error('a listener of the test');
            },
            { once: true },
          );
          socket.addEventListener('message', {
            handleEvent({ data }) {
              if (texts.push(data.text) === 3) resolve(texts);
            },
          });
        });
      },
      server.url,
    );
    const other = await connection(1);
    for (let number = 3; number < 6; number += 1) other.send(text(number));
    const heard = await evaluate('the listeners', async () => ({
      texts: await heard,
      next: failureOf(() => socket.next()),
      tryNext: failureOf(() => socket.tryNext()),
      loop: failureOf(() => socket[Symbol.asyncIterator]()),
      wrong: failureOf(() => socket.addEventListener('message', 7)),
    }));
    assert.deepEqual(heard.texts, ['3', '4', '5']);
    for (const way of ['next', 'tryNext', 'loop']) assert.equal(heard[way].name, 'InvalidStateError', way);
    assert.equal(heard.wrong.name, 'TypeError');
  });

  scripted('closes as it is told, ends what waits, and comes back when asked', async (server, connection) => {
    await open(server.url);
    const theirs = await connection();
    const result = await evaluate('the end', async () => {
      if (socket.state !== 'open') await eventOf(socket, 'open');
      const looped = (async () => {
        for await (const message of socket) return message;
        return 'over';
      })();
      const wrong = [
        [999],
        [1001],
        [1.5],
        [NaN],
        [1000, 'é'.repeat(62)],
        ['1000'],
        [null],
        [1000n],
        [1000, 7],
        [1000, null],
      ].map((given) => failureOf(() => socket.close(...given))?.name);
      socket.close(4000, 'bye');
      const state = [socket.state];
      const sending = failureOf(() => socket.send({ type: 'nothing' }));
      const { code, reason, wasClean, willReconnect, delay } = await eventOf(socket, 'close');
      const ends = [await looped, await socket.next(), socket.tryNext()];
      socket.close();
      state.push(socket.state);
      socket.reconnect();
      await eventOf(socket, 'open');
      state.push(socket.state);
      return { wrong, state, sending, close: { code, reason, wasClean, willReconnect, delay }, ends };
    });
    assert.deepEqual(result.wrong, [
      ...Array(4).fill('InvalidAccessError'),
      'SyntaxError',
      ...Array(5).fill('TypeError'),
    ]);
    assert.deepEqual(result.state, ['closing', 'closed', 'open']);
    assert.deepEqual(
      [result.sending.name, result.sending.message],
      ['InvalidStateError', 'ShapesSocket: the connection is closed'],
    );
    assert.deepEqual(result.close, { code: 4000, reason: 'bye', wasClean: true, willReconnect: false, delay: null });
    assert.deepEqual(result.ends, ['over', undefined, undefined]);
    assert.equal(await within(theirs.ended, 'the end'), 4000);
  });

  scripted('[R25] counts every drop and every change, however many come at once', async (server) => {
    const result = await evaluate(
      '1,000 drops',
      async (url) => {
        const text = (of) => ({ type: 'text', text: String(of) });
        const told = async (overflow) => {
          const socket = new shapes.ShapesSocket(url, { startClosed: true, maxQueuedMessages: 10, overflow });
          const [messages, changes] = [[], []];
          let omitted = 0;
          socket.addEventListener('dropped', (event) => {
            messages.push(...event.messages.map((message) => message.text));
            ({ omitted } = event);
          });
          socket.addEventListener('queuechange', ({ queuedMessages }) => changes.push(queuedMessages));
          for (let number = 0; number < 1_000; number += 1) socket.send(text(number));
          await new Promise((resolve) => {
            setTimeout(resolve, 100);
          });
          socket.free();
          return { all: messages.length + omitted, last: messages.at(-1), changes };
        };
        const socket = new shapes.ShapesSocket(url, { startClosed: true });
        const states = [];
        socket.addEventListener('statechange', ({ state }) => states.push(state));
        const closed = () => states.filter((state) => state === 'closed').length;
        for (let round = 0; round < 400; round += 1) {
          socket.reconnect();
          socket.close();
        }
        // Several tasks share them.
        while (closed() < 400) await eventOf(socket, 'statechange');
        socket.free();
        return {
          oldest: await told('drop-oldest'),
          newest: await told('drop-newest'),
          closed: closed(),
        };
      },
      server.url,
    );
    assert.deepEqual(result.oldest, { all: 990, last: '989', changes: [10] });
    assert.deepEqual(result.newest, { all: 990, last: '999', changes: [10] });
    assert.equal(result.closed, 400);
  });

  scripted('takes a code and a reason for reconnect, and checks them', async (server) => {
    const result = await evaluate(
      'reconnect(code, reason)',
      async (url) => {
        const socket = new shapes.ShapesSocket(url, QUICK);
        await eventOf(socket, 'open');
        const wrong = [[1001], ['4000'], [4000, 'x'.repeat(124)]].map(
          (given) => failureOf(() => socket.reconnect(...given)).name,
        );
        const closed = eventOf(socket, 'close');
        socket.reconnect(4321, 'new token');
        const { code, reason, cause, willReconnect } = await closed;
        socket.free();
        return { wrong, closed: [code, reason, cause, willReconnect] };
      },
      server.url,
    );
    assert.deepEqual(result.wrong, ['InvalidAccessError', 'TypeError', 'SyntaxError']);
    assert.deepEqual(result.closed, [4321, 'new token', 'reconnect', true]);
  });

  scripted('reports a full queue, and hands back what it dropped', async (server) => {
    const result = await evaluate(
      'the queue',
      async (url) => {
        const text = (of) => ({ type: 'text', text: of });
        const strict = new shapes.ShapesSocket(url, { startClosed: true, maxQueuedMessages: 1 });
        strict.send(text('a'));
        const full = failureOf(() => strict.send(text('b')));
        strict.free();
        const lenient = new shapes.ShapesSocket(url, {
          startClosed: true,
          maxQueuedMessages: 1,
          overflow: 'drop-oldest',
        });
        const dropped = eventOf(lenient, 'dropped');
        lenient.send(text('a'));
        lenient.send(text('b'));
        const { reason, messages, bytes } = await dropped;
        lenient.free();
        return { full, reason, messages, bytes, frozen: Object.isFrozen(messages) };
      },
      server.url,
    );
    assert.deepEqual(result.full, {
      name: 'QuotaExceededError',
      message: 'ShapesSocket: the queue is full (options maxQueuedMessages and maxQueuedBytes)',
      detail: null,
    });
    assert.deepEqual(
      [result.reason, result.messages, result.frozen],
      ['overflow', [{ type: 'text', text: 'a' }], true],
    );
    assert.equal(result.bytes, '{"type":"text","text":"a"}'.length);
  });

  test('tells of a close where the platform has no CloseEvent, as in Node before 23', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const told = await evaluate(
      'the close event',
      async (url) => {
        const { CloseEvent } = globalThis;
        delete globalThis.CloseEvent;
        try {
          const socket = new HelloSocket(url);
          const closed = eventOf(socket, 'close');
          await eventOf(socket, 'open');
          socket.close(4000, 'bye');
          const event = await closed;
          socket.free();
          const { type, code, reason, wasClean, willReconnect } = event;
          return { type, code, reason, wasClean, willReconnect, isEvent: event instanceof Event };
        } finally {
          globalThis.CloseEvent = CloseEvent;
        }
      },
      serverAddress('ws'),
    );
    assert.deepEqual(told, {
      type: 'close',
      code: 4000,
      reason: 'bye',
      wasClean: true,
      willReconnect: false,
      isEvent: true,
    });
  });

  scripted('closes its connection when it is freed, even in a listener', async (server, connection) => {
    await evaluate(
      'the sockets',
      (url) => {
        const { ShapesSocket } = shapes;
        const freed = new ShapesSocket(url, QUICK);
        globalThis.pending = freed.next();
        freed.addEventListener('open', () => freed.free());
        const disposed = new ShapesSocket(`${url}?disposed`, QUICK);
        disposed.addEventListener('message', () => disposed[Symbol.dispose]());
        globalThis.freed = freed;
      },
      server.url,
    );
    const theirs = await Promise.all([connection(0), connection(1)]);
    for (const one of theirs) if (one.url.includes('disposed')) one.send('{"type":"nothing"}');
    assert.deepEqual(await within(Promise.all(theirs.map(({ ended }) => ended)), 'the ends'), [1005, 1005]);
    const after = await evaluate('the call that waited', async () => ({
      pending: await pending,
      later: failureOf(() => freed.send({ type: 'nothing' })),
    }));
    assert.equal(after.pending, undefined);
    assert.match(after.later.message, /null pointer/, 'it says that it was freed');
  });

  scripted('lives in a loop that alone refers to it, until the loop is left', async (server, connection) => {
    await evaluate(
      'the loop',
      (url) => {
        globalThis.looped = (async () => {
          const iterator = (() => {
            const socket = new shapes.ShapesSocket(url, QUICK);
            const made = socket[Symbol.asyncIterator]();
            // As the garbage collector does with an unreferenced socket.
            socket.free();
            return made;
          })();
          const texts = [];
          for await (const { text } of iterator) if (texts.push(text) === 2) break;
          return { texts, after: await iterator.next() };
        })();
      },
      server.url,
    );
    const theirs = await connection();
    theirs.send('{"type":"text","text":"a"}');
    theirs.send('{"type":"text","text":"b"}');
    assert.deepEqual(await evaluate('its end', () => looped), {
      texts: ['a', 'b'],
      after: { done: true, value: undefined },
    });
    assert.equal(await within(theirs.ended, 'the end'), 1005);
  });

  test('offers control messages, unless they are declined', { timeout: TEST_TIMEOUT }, async () => {
    const offered = await evaluate(
      'the sub-protocols',
      async (url) => {
        const chosen = async (options) => {
          const socket = new HelloSocket(url, options);
          await eventOf(socket, 'open');
          const { protocol } = socket;
          socket.free();
          return protocol;
        };
        return [await chosen({}), await chosen({ controlMessages: true }), await chosen({ controlMessages: false })];
      },
      serverAddress('ws'),
    );
    assert.deepEqual(offered, ['hello.json~1', 'hello.json~1', 'hello.json']);
  });

  test('takes the options of the JavaScript face, and refuses others in the same words', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const names = OPTIONS.map(({ name }) => name);
    const expected = optionCases(names).map(([name, options]) => {
      try {
        toNumbers('HelloSocket', options);
        return [name, null];
      } catch (error) {
        return [name, `${error.name}: ${error.message}`];
      }
    });
    const found = await evaluate(
      'the options',
      async (given) => {
        const { optionCases: cases } = await import('/export/option-values.js');
        return cases(given).map(([name, options]) => {
          try {
            new HelloSocket('ws://127.0.0.1:1', options).free();
            return [name, null];
          } catch (error) {
            return [name, `${error.name}: ${error.message}`];
          }
        });
      },
      names,
    );
    // A list of all would be too long to read.
    const differing = expected.flatMap((row, index) => (row[1] === found[index][1] ? [] : [[...row, found[index][1]]]));
    assert.deepEqual(differing, []);
    assert.ok(expected.filter(([, error]) => error).length > 300, 'most of them are refused');
  });

  test('refuses arguments of a constructor that cannot be right', { timeout: TEST_TIMEOUT }, async () => {
    const errors = await evaluate('the errors', () => {
      const url = 'ws://127.0.0.1:1';
      const thrown = { it: 'is the same' };
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      const make = (...given) => failureOf(() => new HelloSocket(...given).free());
      return {
        scheme: make('ftp://example.org'),
        fragment: make('ws://127.0.0.1:1#hunter2'),
        unparsed: make('ws://:hunter2'),
        number: make(7),
        'a symbol': make(Symbol('hunter2')),
        'a revoked URL': make(proxy),
        unknown: make(url, { maxRetry: 1 }),
        options: make(url, 'fast'),
        'revoked options': make(url, proxy),
        unchanged:
          make(url, {
            get maxRetries() {
              throw thrown;
            },
          }).thrown === thrown,
        nothing: make(url, null) ?? make(url, undefined) ?? make(url, {}) ?? make(url, { maxRetries: undefined }),
        inherited: make(url, Object.create({ maxRetry: 1 })),
      };
    });
    const name = (of) => errors[of]?.name;
    assert.deepEqual(['scheme', 'fragment', 'unparsed'].map(name), Array(3).fill('SyntaxError'));
    assert.deepEqual(
      ['number', 'a symbol', 'a revoked URL', 'unknown', 'options', 'revoked options'].map(name),
      Array(6).fill('TypeError'),
    );
    assert.equal(errors.number.message, 'HelloSocket: the URL: a number was given; this takes a string or a URL');
    assert.match(errors.unknown.message, /^HelloSocket: the options have no maxRetry; did you mean maxRetries\?$/);
    assert.deepEqual([errors.unchanged, errors.nothing, errors.inherited], [true, null, null]);
    for (const [of, error] of Object.entries(errors)) assert.doesNotMatch(String(error?.message), /hunter2/, of);
  });

  test('complains of nothing that the tests did not do', () => {
    const expected = [
      /a listener of the test/,
      /WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/(hello|shapes)?.*' failed/,
    ];
    const others = modules.complaints.filter((complaint) => !expected.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(others, []);
  });
});
