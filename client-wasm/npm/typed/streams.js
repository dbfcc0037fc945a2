// A typed socket as streams.

/** Messages as they are asked for: none waits in the stream itself, so that the limits of the inbox hold. */
export function readableOf(messages) {
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await messages.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await messages.return();
    },
  }, { highWaterMark: 0 });
}

/**
 * A stream that takes one message at a time, and the next when the socket has room again.
 *
 * @returns `writable`, and `end(error)`, which is to be called when the connection is over
 */
export function writableOf(socket) {
  let controller;
  const writable = new WritableStream({
    start(given) {
      controller = given;
    },
    async write(message) {
      const { signal } = controller;
      await socket.drained({ signal });
      await socket.send(message);
      await socket.drained({ signal });
    },
    close() {
      socket.close();
    },
    abort() {
      socket.close();
    },
  }, { highWaterMark: 1 });
  return { writable, end: (error) => controller.error(error) };
}
