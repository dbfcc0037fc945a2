// A `WebSocket` without a network: the harness delivers messages, and messages sent are counted.

/** All sockets that are not closed. */
const open = new Set();

/** The latest socket of each URL, while it is not closed. */
const byUrl = new Map();

function handler(type) {
  const name = `on${type}`;
  const key = Symbol(name);
  return {
    get() {
      return this[key] ?? null;
    },
    // The program's own function is called directly, without code of the stub before it, as in a browser.
    set(value) {
      if (this[key]) this.removeEventListener(type, this[key]);
      this[key] = typeof value === 'function' ? value : null;
      if (this[key]) this.addEventListener(type, this[key]);
    },
    configurable: true,
    enumerable: true,
  };
}

export class Stub extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  /** The latest socket. */
  static last = null;

  static get openSockets() {
    return open.size;
  }

  static at(url) {
    return byUrl.get(url);
  }

  CONNECTING = 0;
  OPEN = 1;
  CLOSING = 2;
  CLOSED = 3;
  binaryType = 'blob';
  bufferedAmount = 0;
  extensions = '';
  protocol = '';
  readyState = 0;
  /** How many messages were sent, and the last of them. */
  sent = 0;
  lastSent = undefined;
  /** If set, called with everything sent. */
  inspect = null;

  constructor(url, protocols = []) {
    super();
    this.url = String(url);
    this.protocol = [protocols].flat()[0] ?? '';
    Stub.last = this;
    open.add(this);
    byUrl.set(this.url, this);
    setTimeout(() => {
      if (this.readyState !== 0) return;
      this.readyState = 1;
      this.dispatchEvent(new Event('open'));
    });
  }

  /** A message arrives: a fresh event for the listeners. */
  deliver(data) {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }

  /** A batch has been delivered. A stub that puts several messages into a frame delivers them now at the latest. */
  flush() {}

  send(data) {
    this.sent += 1;
    this.lastSent = data;
    if (this.inspect) this.inspect(data);
  }

  close(code = 1005, reason = '') {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    setTimeout(() => this.end(code, reason, true));
  }

  /** The connection is lost, or its closing handshake has ended. */
  end(code = 1006, reason = '', wasClean = false) {
    if (this.readyState === 3) return;
    this.readyState = 3;
    open.delete(this);
    if (byUrl.get(this.url) === this) byUrl.delete(this.url);
    this.dispatchEvent(new CloseEvent('close', { code, reason, wasClean }));
  }
}

for (const type of ['open', 'message', 'error', 'close']) {
  Object.defineProperty(Stub.prototype, `on${type}`, handler(type));
}
