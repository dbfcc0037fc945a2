// Typed sockets in Chromium over the hello server, under the strict content security policy of the test pages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { openRealm } from '../lib/realm.mjs';

describe('a typed socket in a page', { timeout: 4 * TEST_TIMEOUT }, () => {
  let realm;
  before(async () => { realm = await openRealm({ purpose: 'typed-page' }); });
  after(() => realm?.close());

  const server = () => ({ ws: serverAddress('ws'), http: serverAddress() });

  for (const codec of ['json', 'msgpack']) {
    test(`is greeted, as ${codec}, and its loop goes on over a cut`, async () => {
      const outcome = await realm.evaluate('the greetings', async ([{ ws, http }, name]) => {
        const { TypedSocket, json } = await import('/pkg/index.js');
        const { msgpack } = await import('/pkg/typed/msgpack.js');
        const id = `typed-${name}-${crypto.randomUUID()}`;
        const socket = new TypedSocket(`${ws}/hello?id=${id}`, {
          protocols: `hello.${name}`, codec: { json, msgpack }[name], firstDelayMax: 0,
        });
        const invalid = [];
        socket.oninvalid = ({ error }) => invalid.push(error.code);
        socket.send({ type: 'hello', name: 'Ada' });
        const read = [];
        for await (const message of socket) {
          read.push(message);
          if (read.length === 1) {
            socket.addEventListener('close', () => socket.send({ type: 'hello', name: 'Bob' }), { once: true });
            socket.addEventListener('open', () => socket.send({ type: 'hello', name: '' }));
            // Asked again while there is none: the server enters a connection in its list a moment after its answer.
            for (let connections = 0; connections === 0;) {
              ({ connections } = await (await fetch(`${http}/control/cut?id=${id}`, { method: 'POST' })).json());
            }
          }
          if (read.length === 3) break;
        }
        const { opens } = socket.snapshot();
        const { protocol } = socket;
        socket.close();
        return { read, invalid, opens, protocol };
      }, [server(), codec]);
      // What is sent inside of an open handler goes ahead of the queue.
      assert.deepEqual(outcome.read, [
        { type: 'greeting', text: 'Hello Ada!' },
        { type: 'invalid', reason: { problem: 'empty' } },
        { type: 'greeting', text: 'Hello Bob!' },
      ]);
      assert.deepEqual([outcome.invalid, outcome.opens, outcome.protocol], [[], 2, `hello.${codec}`]);
    });
  }

  test('ends its loops with an error that says why when the server refuses', async () => {
    const outcome = await realm.evaluate('the end', async ({ ws, http }) => {
      const { ClosedError, TypedSocket } = await import('/pkg/index.js');
      const id = `typed-end-${crypto.randomUUID()}`;
      const socket = new TypedSocket(`${ws}/echo?id=${id}`);
      const messages = socket.messages();
      socket.send({ n: 1 });
      const { value } = await messages.next();
      for (let connections = 0; connections === 0;) {
        ({ connections } = await (await fetch(`${http}/control/cut?id=${id}&code=1008&reason=secret`, { method: 'POST' })).json());
      }
      const error = await messages.next().catch((thrown) => thrown);
      const { close } = error;
      return { value, isClosed: error instanceof ClosedError, code: error.code, message: error.message, close: [close.code, close.reason] };
    }, server());
    assert.deepEqual(outcome, {
      value: { n: 1 }, isClosed: true, code: 'lost', message: 'TypedSocket: the connection was lost: close code 1008, cause socket', close: [1008, 'secret'],
    });
  });

  test('streams within the high-water mark, both ways, and in order', async () => {
    const COUNT = 3_000;
    const MARK = 64 * 1024;
    const outcome = await realm.evaluate('the streams', async ([{ ws }, count, highWaterMark]) => {
      const { TypedSocket } = await import('/pkg/index.js');
      const { msgpack } = await import('/pkg/typed/msgpack.js');
      const socket = new TypedSocket(`${ws}/echo`, { codec: msgpack, highWaterMark, lowWaterMark: highWaterMark / 4 });
      const padding = new Uint8Array(1_000);
      let n = 0;
      let most = 0;
      const source = new ReadableStream({
        pull(controller) {
          most = Math.max(most, socket.bufferedAmount);
          if (n === count) controller.close();
          else controller.enqueue({ n: n++, padding });
        },
      }, { highWaterMark: 0 });
      let inOrder = 0;
      const { readable } = socket;
      const reading = readable.pipeTo(new WritableStream({
        write(message) {
          if (message.n === inOrder && message.padding.length === padding.length) inOrder += 1;
          if (inOrder === count) socket.close();
        },
      }));
      await source.pipeTo(socket.writable, { preventClose: true });
      await reading;
      return { inOrder, most, unread: socket.snapshot().unreadMessages };
    }, [server(), COUNT, MARK]);
    assert.deepEqual([outcome.inOrder, outcome.unread], [COUNT, 0]);
    assert.ok(outcome.most < MARK + 2_000, `${outcome.most} bytes waited at most`);
  });

  test('is disposed of, with the symbols of the platform or those that compilers use without them', async () => {
    for (const lacking of [false, true]) {
      await realm.page.reload();
      const outcome = await realm.evaluate('the disposal', async ([{ ws }, without]) => {
        const symbols = ['dispose', 'asyncDispose'];
        if (without) {
          const { Symbol: Given } = globalThis;
          globalThis.Symbol = new Proxy(() => {}, {
            get: (_, name) => (symbols.includes(name) ? undefined : Given[name]),
            apply: (_, self, given) => Given(...given),
          });
        }
        const [dispose, asyncDispose] = symbols.map((name) => Symbol[name] ?? Symbol.for(`Symbol.${name}`));
        const { TypedSocket } = await import('/pkg/index.js');
        const one = new TypedSocket(`${ws}/echo`);
        one[dispose]();
        const other = new TypedSocket(`${ws}/echo`);
        await other.opened();
        const messages = other.messages();
        await messages[asyncDispose]();
        await other[asyncDispose]();
        return { states: [one.readyState >= 2, other.readyState], isBuiltIn: dispose === Symbol.dispose, over: (await messages.next()).done };
      }, [server(), lacking]);
      assert.deepEqual([outcome.states, outcome.over], [[true, 3], true]);
      if (lacking) assert.equal(outcome.isBuiltIn, false);
    }
    await realm.page.reload();
  });

  test('makes no complaints', () => {
    assert.deepEqual(realm.complaints, []);
  });
});
