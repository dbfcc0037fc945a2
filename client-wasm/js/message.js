// What a program has given to `send`. Bytes go out without a copy where they go at once.

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

/** How many messages have waited. */
let waited = 0;

/**
 * A message. The caller may change its bytes as soon as `send` is over: one that goes at once to a socket which copies
 * them needs no copy before; one that waits does.
 */
export class Message {
  /** What a socket takes: for bytes the caller's own, until they are kept. */
  data;
  bytes;
  /** The value of the program's that it was made of, in an array. */
  value = null;
  /** Whether a socket has it. */
  isSent = false;
  /** Whose connection it waits for, when it began to, and how. */
  host = null;
  number = 0;
  first = false;
  isVolatile = false;
  expires = Infinity;
  #buffer;
  #offset;
  #length;

  constructor(data, bytes, buffer = null, offset = 0, length = 0) {
    this.data = data;
    this.bytes = bytes;
    this.#buffer = buffer;
    this.#offset = offset;
    this.#length = length;
  }

  /** Makes bytes a copy of their own, unless they are one. */
  keep() {
    if (this.#buffer === null) return;
    // A view of a view makes a copy that no subclass has a say in, which `slice` does not.
    this.data = new Uint8Array(new Uint8Array(this.#buffer, this.#offset, this.#length)).buffer;
    this.#buffer = null;
  }

  /** It waits. */
  wait(host, first, isVolatile, expires) {
    waited += 1;
    Object.assign(this, { host, number: waited, first, isVolatile, expires });
  }

  /** What comes back if it is dropped. */
  get content() {
    return this.value === null ? this.data : this.value[0];
  }

  /**
   * Gives it to a socket: without a copy if that is the platform's and its `send` is, which copies bytes itself before
   * it is over. Whatever else takes them might keep them.
   */
  giveTo(socket, isThePlatforms) {
    const { send } = socket;
    if (!isThePlatforms || send !== NATIVE_SEND) this.keep();
    Reflect.apply(send, socket, [this.data]);
  }
}
