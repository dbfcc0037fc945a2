// What all JavaScript contenders do with the messages they receive and send.

import { decode, encode } from '@msgpack/msgpack';

import { bytesValue, shapeValues, step, textValue } from '../page/digest.js';

/**
 * Counts messages.
 *
 * @param valueOf - what a message adds to the digest
 * @param onMessage - called after each message, if it is a function
 * @returns `take(message)` and `received()`
 */
export function counter(valueOf, onMessage) {
  let count = 0;
  let digest = 0;
  const take = (message) => {
    count += 1;
    digest = step(digest, valueOf(message));
  };
  return {
    take: onMessage
      ? (message) => {
          take(message);
          onMessage();
        }
      : take,
    received: () => ({ count, digest }),
  };
}

/** What an event's data adds to the digest if the program itself decodes it. */
export function valueOfData({ kind, shape }) {
  switch (kind) {
    case 'text':
      return textValue;
    case 'binary':
      return (data) => bytesValue(new Uint8Array(data));
    case 'json': {
      const value = shapeValues[shape];
      return (data) => value(JSON.parse(data));
    }
    default: {
      const value = shapeValues[shape];
      return (data) => value(decode(new Uint8Array(data)));
    }
  }
}

/** A loop that sends the messages of a case by `socket.send`, encoded by the program. */
export function sender(socket, { kind }, messages) {
  const wires = messages.map(({ wire }) => wire);
  const values = messages.map(({ value }) => value);
  const { length } = messages;
  switch (kind) {
    case 'json':
      return (count) => {
        for (let index = 0; index < count; index += 1) socket.send(JSON.stringify(values[index % length]));
      };
    case 'msgpack':
      return (count) => {
        for (let index = 0; index < count; index += 1) socket.send(encode(values[index % length]));
      };
    default:
      return (count) => {
        for (let index = 0; index < count; index += 1) socket.send(wires[index % length]);
      };
  }
}

/** How long opening may take, with all retries, in milliseconds. */
const PATIENCE = 30_000;

/** A promise that resolves when the socket is open. */
export function opened(socket) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not open within ${PATIENCE} ms`)), PATIENCE);
    socket.addEventListener(
      'open',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
