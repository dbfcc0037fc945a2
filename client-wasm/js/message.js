// Messages passed to `send`. Bytes that can go out at once are not copied.

/** The platform's own `send` at the time of import; `undefined` if it cannot be identified with certainty. */
const NATIVE_SEND = findNativeSend();

function findNativeSend() {
  try {
    // Through the descriptor: reading the property makes Node load its own class, which is written in JavaScript.
    const { prototype } = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket').value;
    const { send } = prototype;
    const isNative = (method) =>
      /^function send\(\) \{\s*\[native code]\s*}$/.test(Function.prototype.toString.call(method));
    // A program may have replaced it earlier: bound functions look native, and `toString` may be patched to say so.
    return isNative(send) && send.name === 'send' && !isNative(findNativeSend) ? send : undefined;
  } catch {
    return undefined;
  }
}

/** How many messages have waited. */
let waited = 0;

/**
 * A message. The caller may change its bytes as soon as `send` returns. A message sent at once on a socket that copies
 * bytes needs no copy of its own; a message that waits does.
 */
export class Message {
  /** The value to pass to a socket: for bytes the caller's own, until `keep` copies them. */
  data;
  bytes;
  /** The program's value that was encoded, in an array. */
  value = null;
  /** Whether a socket has accepted it. */
  isSent = false;
  /** The host that it waits for, when it began to wait, and how. */
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

  /** Copies the caller's bytes, unless that is done already. */
  keep() {
    if (this.#buffer === null) return;
    // A view of a view: unlike with `slice`, no subclass can influence the copy.
    this.data = new Uint8Array(new Uint8Array(this.#buffer, this.#offset, this.#length)).buffer;
    this.#buffer = null;
  }

  /** Marks it as waiting. */
  wait(host, first, isVolatile, expires) {
    waited += 1;
    Object.assign(this, { host, number: waited, first, isVolatile, expires });
  }

  /** The value handed back if it is dropped. */
  get content() {
    return this.value === null ? this.data : this.value[0];
  }

  /**
   * Passes it to a socket, without a copy if both the socket and its `send` are the platform's, which copies bytes
   * before it returns. Anything else might keep a reference to them.
   */
  giveTo(socket, isThePlatforms) {
    const { send } = socket;
    if (!isThePlatforms || send !== NATIVE_SEND) this.keep();
    Reflect.apply(send, socket, [this.data]);
  }
}
