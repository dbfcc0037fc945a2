// What typed sockets do on a page, for browser.test.mjs, which checks the results.

import { ClosedError, TypedSocket, json } from '/pkg/index.js';
import { msgpack } from '/pkg/typed/msgpack.js';

const codecs = { json, msgpack };

/** Cuts a socket's connections, once the server lists one: it does so a moment after its handshake response. */
async function cut(http, query) {
  for (let connections = 0; connections === 0; ) {
    ({ connections } = await (await fetch(`${http}/control/cut?${query}`, { method: 'POST' })).json());
  }
}

export async function greet({ ws, http }, codec) {
  const id = `typed-${codec}-${crypto.randomUUID()}`;
  const socket = new TypedSocket(`${ws}/hello?id=${id}`, {
    protocols: `hello.${codec}`,
    codec: codecs[codec],
    firstDelayMax: 0,
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
      await cut(http, `id=${id}`);
    }
    if (read.length === 3) break;
  }
  const { opens } = socket.snapshot();
  const { protocol } = socket;
  socket.close();
  return { read, invalid, opens, protocol };
}

export async function endByRefusal({ ws, http }) {
  const id = `typed-end-${crypto.randomUUID()}`;
  const socket = new TypedSocket(`${ws}/echo?id=${id}`);
  const messages = socket.messages();
  socket.send({ n: 1 });
  const { value } = await messages.next();
  await cut(http, `id=${id}&code=1008&reason=secret`);
  const error = await messages.next().catch((thrown) => thrown);
  const { close } = error;
  return {
    value,
    isClosed: error instanceof ClosedError,
    code: error.code,
    message: error.message,
    close: [close.code, close.reason],
  };
}

export async function stream({ ws }, count, highWaterMark) {
  const socket = new TypedSocket(`${ws}/echo`, { codec: msgpack, highWaterMark, lowWaterMark: highWaterMark / 4 });
  const padding = new Uint8Array(1_000);
  let n = 0;
  let most = 0;
  const source = new ReadableStream(
    {
      pull(controller) {
        most = Math.max(most, socket.bufferedAmount);
        if (n === count) controller.close();
        else controller.enqueue({ n: n++, padding });
      },
    },
    { highWaterMark: 0 },
  );
  let inOrder = 0;
  const { readable } = socket;
  const reading = readable.pipeTo(
    new WritableStream({
      write(message) {
        if (message.n === inOrder && message.padding.length === padding.length) inOrder += 1;
        if (inOrder === count) socket.close();
      },
    }),
  );
  await source.pipeTo(socket.writable, { preventClose: true });
  await reading;
  return { inOrder, most, unread: socket.snapshot().unreadMessages };
}
