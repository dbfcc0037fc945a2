// The typed class of this package, by handler and by loop.

import { TypedSocket } from 'steady-socket';
import { msgpack } from 'steady-socket/msgpack';

import { bytesValue, shapeValues, textValue } from '../page/digest.js';
import { counter, opened } from './receiver.js';

/** Passes text and bytes through unchanged. */
const asItIs = { encode: (message) => message, decode: (data) => data };

function codecOf({ kind }) {
  switch (kind) {
    case 'json':
      return {};
    case 'msgpack':
      return { codec: msgpack };
    default:
      return { codec: asItIs };
  }
}

function valueOf({ kind, shape }) {
  switch (kind) {
    case 'text':
      return textValue;
    case 'binary':
      return (data) => bytesValue(new Uint8Array(data));
    default:
      return shapeValues[shape];
  }
}

function typed(name, receive, { later = false, sends = false } = {}) {
  return {
    streams: later,
    name: `steady-socket, ${name}`,
    package: 'steady-socket',
    takes: ({ direction }) => direction !== 'send' || sends,
    async open({ url, task, messages, onMessage }) {
      const socket = new TypedSocket(url, codecOf(task));
      const { take, received } = counter(valueOf(task), onMessage);
      receive(socket, take);
      await opened(socket);
      const values = messages.map(({ wire, value }) => value ?? wire);
      const send = (count) => {
        for (let index = 0; index < count; index += 1) socket.send(values[index % values.length]);
      };
      return { received, send, later, close: () => socket.close() };
    },
  };
}

/** A loop that never requests a message: messages are kept within the limits, and the oldest are dropped. */
const unread = {
  name: 'steady-socket, iteration that is not read',
  package: 'steady-socket',
  streams: true,
  reads: false,
  takes: () => false,
  async open({ url }) {
    const socket = new TypedSocket(url, { codec: asItIs, buffer: { messages: 1_000 } });
    const messages = socket.messages();
    await opened(socket);
    return {
      // All messages received were dropped, except those that the limits allow to be kept.
      received: () => ({
        count: Math.min(socket.snapshot().messagesReceived, messages.dropped.messages + 1_000),
        digest: 0,
      }),
      send: () => {},
      close: () => socket.close(),
    };
  },
};

export const typedSockets = [
  unread,
  typed(
    'typed handler',
    (socket, take) => {
      socket.forEach(take);
    },
    { sends: true },
  ),
  typed('typed event', (socket, take) => {
    socket.onmessage = (event) => take(event.data);
  }),
  typed(
    'iteration',
    async (socket, take) => {
      for await (const message of socket) take(message);
    },
    { later: true },
  ),
];
