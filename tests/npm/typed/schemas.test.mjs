// Typed messages in Node with the hello server, validated by popular schema libraries.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { type } from 'arktype';
import * as v from 'valibot';
import { WebSocket } from 'ws';
import * as z from 'zod';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { AT_ONCE, importPackage, nextEvent } from './package.mjs';

/** The messages of the typed hello, see docs/protocol.md; the length of a refused name is converted to a text. */
const SCHEMAS = {
  zod: {
    incoming: z.discriminatedUnion('type', [
      z.object({ type: z.literal('greeting'), text: z.string().transform((text) => text.toUpperCase()) }),
      z.object({ type: z.literal('malformed'), text: z.string() }),
    ]),
    outgoing: z.object({ type: z.literal('hello'), name: z.string().max(300) }),
    asynchronous: z.object({ type: z.string() }).refine(async ({ type: kind }) => kind === 'greeting'),
  },
  valibot: {
    incoming: v.variant('type', [
      v.object({
        type: v.literal('greeting'),
        text: v.pipe(
          v.string(),
          v.transform((text) => text.toUpperCase()),
        ),
      }),
      v.object({ type: v.literal('malformed'), text: v.string() }),
    ]),
    outgoing: v.object({ type: v.literal('hello'), name: v.pipe(v.string(), v.maxLength(300)) }),
    asynchronous: v.pipeAsync(
      v.object({ type: v.string() }),
      v.checkAsync(async ({ type: kind }) => kind === 'greeting'),
    ),
  },
  arktype: {
    incoming: type({ type: "'greeting'", text: type('string').pipe((text) => text.toUpperCase()) }).or({
      type: "'malformed'",
      text: 'string',
    }),
    outgoing: type({ type: "'hello'", name: 'string <= 300' }),
    // It has no asynchronous checks.
  },
};

describe('typed messages over the hello server', { timeout: 4 * TEST_TIMEOUT }, () => {
  let typed;
  let msgpack;
  let remove;
  before(async () => {
    const installed = await importPackage('schemas');
    ({ typed, remove } = installed);
    ({ msgpack } = installed.msgpack);
  });
  after(() => remove?.());

  const connect = (options) =>
    new typed.TypedSocket(`${serverAddress('ws')}/hello`, { ...AT_ONCE, WebSocket, ...options });

  for (const [library, { incoming, outgoing, asynchronous }] of Object.entries(SCHEMAS)) {
    for (const codec of ['json', 'msgpack']) {
      test(`checked by ${library}, as ${codec}`, async (t) => {
        const socket = connect({
          protocols: `hello.${codec}`,
          codec: codec === 'json' ? typed.json : msgpack,
          incoming,
          outgoing,
        });
        t.after(() => socket.close());
        const messages = socket.messages();
        const invalid = nextEvent(socket, 'invalid');
        for (const name of ['Ada', '', 'Bob']) socket.send({ type: 'hello', name });
        // The schema's output is what arrives; a message that it rejects is skipped.
        assert.deepEqual((await within(messages.next(), 'the first greeting')).value, {
          type: 'greeting',
          text: 'HELLO ADA!',
        });
        assert.deepEqual((await within(messages.next(), 'the second greeting')).value, {
          type: 'greeting',
          text: 'HELLO BOB!',
        });
        assert.equal(socket.protocol, `hello.${codec}`);
        const { error } = await invalid;
        assert.equal(error.code, 'invalid-message');
        assert.ok(error.issues.length > 0 && error.issues.every(({ message }) => typeof message === 'string'));
        assert.ok(!error.message.includes('empty'));

        for (const wrong of [
          { type: 'hello', name: 7 },
          { type: 'hello' },
          { type: 'hello', name: 'x'.repeat(301) },
          null,
        ]) {
          assert.throws(
            () => socket.send(wrong),
            (refused) => refused.code === 'invalid-message' && refused.issues.length > 0,
          );
        }
        assert.equal(socket.snapshot().messagesSent, 3);
      });
    }

    if (!asynchronous) continue;
    test(`checked by ${library}, which takes time, in order`, async (t) => {
      const socket = connect({ incoming: asynchronous });
      t.after(() => socket.close());
      const heard = [];
      socket.addEventListener('message', ({ data }) => heard.push(data.type));
      socket.addEventListener('invalid', ({ error }) => heard.push(error.code));
      const names = ['Ada', '', 'Bob', ''];
      for (const name of names) socket.send({ type: 'hello', name });
      const done = new Promise((resolve) => {
        for (const kind of ['message', 'invalid'])
          socket.addEventListener(kind, () => {
            if (heard.length === names.length) resolve();
          });
      });
      await within(done, 'the answers');
      assert.deepEqual(heard, ['greeting', 'invalid-message', 'greeting', 'invalid-message']);
    });
  }

  test('thousands are streamed through the echo, in order, and within the high-water mark', async (t) => {
    const COUNT = 5_000;
    const highWaterMark = 64 * 1024;
    const socket = new typed.TypedSocket(`${serverAddress('ws')}/echo`, {
      ...AT_ONCE,
      WebSocket,
      highWaterMark,
      lowWaterMark: highWaterMark / 4,
    });
    t.after(() => socket.close());
    const padding = 'x'.repeat(500);
    let most = 0;
    const source = new ReadableStream({
      async start(controller) {
        for (let n = 0; n < COUNT; n += 1) controller.enqueue({ n, padding });
        controller.close();
      },
    });
    const watched = new TransformStream({
      transform(message, controller) {
        most = Math.max(most, socket.bufferedAmount);
        controller.enqueue(message);
      },
    });
    const piped = source.pipeThrough(watched).pipeTo(socket.writable, { preventClose: true });
    const reader = socket.readable.getReader();
    for (let n = 0; n < COUNT; n += 1) {
      const { value } = await within(reader.read(), `message ${n}`);
      if (value.n !== n) assert.equal(value.n, n);
    }
    await within(piped, 'the end of the pipe');
    assert.ok(most < 2 * highWaterMark, `${most} bytes waited at most`);
    assert.deepEqual([socket.snapshot().messagesSent, socket.snapshot().unreadMessages], [COUNT, 0]);
  });
});
