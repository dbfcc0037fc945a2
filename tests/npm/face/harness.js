// What a case of the face's tests works with, in pages and workers alike.

import { ReconnectingWebSocket, TypedSocket, load } from '/pkg/index.js';

/** How long a case waits before it gives up, in milliseconds: protection against hanging. */
const PATIENCE = 20_000;

/** Retries at once: for cases that are not about the wait. */
export const AT_ONCE = { firstDelayMax: 0, minDelay: 0, baseDelay: 1, maxDelay: 1 };

/** Waits practically for ever between two attempts. */
export const NEVER_AGAIN = { shouldReconnect: () => 2 ** 31 - 1 };

/** A URL function that fails: with a long wait, the socket keeps waiting. */
export const failing = () => {
  throw new Error('this URL function fails on purpose');
};

/** A `WebSocket` class that records its instances in `made`, with the given members. */
export function recorded(made, members = {}) {
  class Recorded extends WebSocket {
    constructor(...given) {
      super(...given);
      made.push(this);
    }
  }
  for (const [name, value] of Object.entries(members)) Object.defineProperty(Recorded.prototype, name, { value });
  return Recorded;
}

/** A `WebSocket` class that records what is sent. */
export function recordedSends(sent) {
  const { send } = WebSocket.prototype;
  return recorded([], {
    send(data) {
      sent.push(data);
      send.call(this, data);
    },
  });
}

/** The context of a case: sockets that are closed when it is over, and the server. */
export class Context {
  #server;
  #uncaught;
  #made = [];
  #control = 0;

  /**
   * @param server - `{ ws, http }`, its addresses
   * @param uncaught - a list that collects every uncaught error
   */
  constructor(server, uncaught) {
    this.#server = server;
    this.#uncaught = uncaught;
  }

  /** A socket under test; closed when the case is over. */
  socket(url, protocols, options) {
    const socket = new ReconnectingWebSocket(url, protocols, options);
    const seen = [];
    this.#made.push({ socket, seen });
    for (const type of ['open', 'message', 'error', 'close', 'statechange', 'dropped']) {
      socket.addEventListener(type, (event) => seen.push(describe(event)));
    }
    return socket;
  }

  /** A socket to the echo endpoint, with a name that identifies it to `cut`. */
  echo(options = {}) {
    const id = this.newId();
    const socket = this.socket(this.url('/echo', id), undefined, { ...AT_ONCE, ...options });
    socket.binaryType = 'arraybuffer';
    return { socket, id };
  }

  newId() {
    this.#control += 1;
    return `case-${crypto.getRandomValues(new Uint32Array(2)).join('-')}-${this.#control}`;
  }

  url(path, id = this.newId()) {
    return `${this.#server.ws}${path}?id=${id}`;
  }

  /** Makes the server drop the connection, or close it with a code and a reason. */
  async cut(id, code, reason = '') {
    const query = new URLSearchParams(code === undefined ? { id } : { id, code, reason });
    const deadline = AbortSignal.timeout(PATIENCE);
    // Repeated until there is one: the server lists a connection a moment after its handshake response, which is what
    // opens it here.
    for (let connections = 0; connections === 0; ) {
      const response = await fetch(`${this.#server.http}/control/cut?${query}`, { method: 'POST', signal: deadline });
      if (!response.ok) throw new Error(`the control answers with status ${response.status}`);
      ({ connections } = await response.json());
    }
  }

  /** The next event of a type that the predicate accepts. */
  next(socket, type, accepts = () => true) {
    return new Promise((resolve, reject) => {
      const done = new AbortController();
      const timer = setTimeout(() => {
        done.abort();
        reject(new Error(`no such ${type} within ${PATIENCE} ms`));
      }, PATIENCE);
      socket.addEventListener(
        type,
        (event) => {
          if (!accepts(event)) return;
          clearTimeout(timer);
          done.abort();
          resolve(event);
        },
        { signal: done.signal },
      );
    });
  }

  /** Resolves in `state`: at once, or when the socket enters it. */
  async until(socket, state) {
    if (socket.state !== state) await this.next(socket, 'statechange', (event) => event.state === state);
  }

  /** The next `count` messages, buffers as arrays of bytes. */
  messages(socket, count) {
    const received = [];
    return this.next(socket, 'message', ({ data }) => {
      received.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data);
      return received.length === count;
    }).then(() => received);
  }

  /**
   * Lets everything in progress happen: a whole connection is opened, used and closed. For asserting that something did
   * *not* happen.
   */
  async settle() {
    const { socket } = this.echo();
    const answered = this.messages(socket, 1);
    socket.send('settled');
    await answered;
    const closed = this.next(socket, 'close');
    socket.close();
    await closed;
  }

  /** The uncaught errors so far, which then count as handled. */
  takeUncaught() {
    return this.#uncaught.splice(0);
  }

  /** All events of all sockets of the case. */
  history() {
    return this.#made.map(({ seen }, index) => `socket ${index}: ${seen.join(' | ')}`).join('\n');
  }

  end() {
    for (const { socket } of this.#made) socket.close();
  }
}

function describe(event) {
  switch (event.type) {
    case 'close':
      return `close ${event.code} ${event.cause} willReconnect=${event.willReconnect}: ${event.explanation}`;
    case 'statechange':
      return `state ${event.state} attempt ${event.attempt}: ${event.reason}`;
    case 'dropped':
      return `dropped ${event.reason} ${event.messages.length}`;
    case 'message':
      return `message ${String(event.data).slice(0, 30)}`;
    default:
      return event.type;
  }
}

export function equal(actual, expected, what = 'value') {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${show(actual)}, expected ${show(expected)}`);
}

/** Compares values that JSON can represent. */
export function same(actual, expected, what = 'value') {
  equal(JSON.stringify(actual), JSON.stringify(expected), what);
}

export function ok(value, what) {
  if (!value) throw new Error(`not so: ${what}`);
}

/** Calls a function that must throw an error of this name; returns the error. */
export function throws(name, act, what = String(act)) {
  try {
    act();
  } catch (error) {
    equal(error.name, name, `the error of ${what} (${error.message})`);
    return error;
  }
  throw new Error(`${what} did not throw`);
}

function show(value) {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

export { ReconnectingWebSocket, TypedSocket, load };
