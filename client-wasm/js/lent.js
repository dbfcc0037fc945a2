// Bytes that go out without a copy, where they go at once.

/** The platform's own `send`, as it was when this was imported; `undefined` where that is not certain. */
const NATIVE_SEND = findNativeSend();

function findNativeSend() {
  try {
    // By its descriptor: to read it would have Node load its own, which is in JavaScript.
    const { prototype } = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket').value;
    const { send } = prototype;
    const isNative = (method) => /^function send\(\) \{\s*\[native code]\s*}$/.test(Function.prototype.toString.call(method));
    // A program may have put another in its place before, bound ones being native, or its own words in that of `toString`.
    return isNative(send) && send.name === 'send' && !isNative(findNativeSend) ? send : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Gives a socket a message of bytes: without a copy if it is the platform's and its `send` is, which copies them itself
 * before it is over. Whatever else takes them might keep them.
 */
export function sendLent(socket, isThePlatforms, message) {
  const { send } = socket;
  if (!isThePlatforms || send !== NATIVE_SEND) message.keep();
  Reflect.apply(send, socket, [message.data]);
  message.isSent = true;
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

/** A message together with the value of the program's that it was made of, which comes back if it is dropped. */
export class Encoded {
  /** @param data - in the field in which the events of messages have theirs, for whoever looks at either */
  constructor(data, value) {
    this.data = data;
    this.value = value;
  }
}

/** What a socket is given. */
export function encodedOf(message) {
  return message instanceof Encoded ? message.data : message;
}

/** Makes bytes a copy of their own, unless they were sent or are one. */
export function keepBytes(message) {
  const bytes = encodedOf(message);
  if (bytes instanceof Lent) bytes.keep();
}

/** A message as a program has it. */
export function contentOf(message) {
  if (message instanceof Encoded) return message.value;
  return message instanceof Lent ? message.data : message;
}
