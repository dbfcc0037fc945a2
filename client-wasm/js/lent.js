// Bytes that go out without a copy, where they go at once.

/** Whether a socket is known to copy what it is given before its `send` is over: its method is the platform's own. */
export function copiesWhatItIsGiven(socket) {
  try {
    return Function.prototype.toString.call(socket.send).includes('[native code]');
  } catch {
    return false;
  }
}

/**
 * The bytes of a buffer or a view, which the caller may change as soon as `send` is over. A message that goes at once to a
 * socket which copies it needs no copy before; one that waits does.
 */
export class Lent {
  /** What a socket takes: the caller's own, until it is kept. */
  data;
  /** Whether a socket took it. */
  isSent = false;
  #buffer;
  #offset;
  #length;

  constructor(data, buffer, offset, length) {
    this.data = data;
    this.#buffer = buffer;
    this.#offset = offset;
    this.#length = length;
  }

  keep() {
    if (this.isSent || this.#buffer === null) return;
    // A view of a view makes a copy that no subclass has a say in, which `slice` does not.
    this.data = new Uint8Array(new Uint8Array(this.#buffer, this.#offset, this.#length)).buffer;
    this.#buffer = null;
  }
}

/** Makes bytes a copy of their own, unless they were sent or are one. */
export function keepBytes(message) {
  if (message instanceof Lent) message.keep();
}

/** A message as a program has it. */
export function contentOf(message) {
  return message instanceof Lent ? message.data : message;
}
