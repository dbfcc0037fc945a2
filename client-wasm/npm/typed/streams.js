// A typed socket as streams.

import { orAborted } from './waiting.js';

/**
 * Messages on demand: none waits in the stream itself, so the limits of the inbox apply.
 *
 * @param ended - called when the stream ends: it was cancelled, has failed, or everything has been read
 */
export function readableOf(messages, ended) {
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { value, done } = await messages.next();
          if (!done) {
            controller.enqueue(value);
            return;
          }
        } catch (error) {
          ended();
          throw error;
        }
        ended();
        controller.close();
      },
      async cancel() {
        ended();
        await messages.return();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * A stream that takes one message at a time, and the next once the socket has room again.
 *
 * @param failed - called when a message could not be sent; its error ends the stream
 * @returns `writable`, and `end(error)`, to be called when the connection is over
 */
export function writableOf(socket, failed) {
  let controller;
  const writable = new WritableStream(
    {
      start(given) {
        controller = given;
      },
      async write(message) {
        const { signal } = controller;
        try {
          await socket.drained({ signal });
          // A schema may never settle; that must not keep the stream from ending.
          await orAborted(signal, socket.send(message));
          await socket.drained({ signal });
        } catch (error) {
          failed();
          throw error;
        }
      },
      close() {
        socket.close();
      },
      abort() {
        socket.close();
      },
    },
    { highWaterMark: 1 },
  );
  return { writable, end: (error) => controller.error(error) };
}
