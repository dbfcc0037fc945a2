// A connection between a fake socket and the fake server: what either end does, and what the other sees of it.
//
// The test's actions take effect at once, events included. The socket's actions reach the server at once if the server
// records them, and are answered in a task.

import { realTimers } from './tasks.js';
import { isBlob } from './show.js';

/** The `readyState` of each state. */
export const READY_STATES = ['connecting', 'open', 'closing', 'closed'];

/** The close code that the socket sees after an abnormal end. */
const ABNORMAL = 1006;

/** The close code that stands for a Close without one. */
const NO_CODE = 1005;

export class Link {
  /** `connecting`, `open`, `closing` (a Close has gone one way) or `closed`. */
  state = 'connecting';
  protocol = '';
  extensions = '';
  /** The arguments of the socket's `close`, once they have reached the server: `{ code, reason }`. */
  closedWith = null;
  /** How it ended: `{ code, reason, wasClean }`. */
  end = null;
  /** What the socket sent, as received. */
  received = [];
  /** Whether nothing gets through in either direction. */
  isHalfOpen = false;
  /** Whether the server stops reading: sent data stays with the socket. */
  isHeld = false;
  /** The server has closed, and completes the close only when told to. */
  #serverClose = null;
  /** Whether the socket's `close` was called. */
  #socketCloses = false;
  /** From the socket, not transmitted yet: `{ data, bytes }`, `bytes` being what remains, or `{ close }`. */
  #outgoing = [];
  /** From the server, not delivered yet: `{ data }` or `{ close, isSlow }`. */
  #incoming = [];
  #isDelivering = false;
  /** The bytes that `bufferedAmount` counts: held by the socket, or passed to `send` too late. */
  #buffered = 0;
  #limit = null;

  /**
   * @param url - absolute
   * @param offered - the sub-protocols that the socket offers
   * @param socket - the client's end: `binaryType`, and the functions called with its events: `opened()`,
   *   `message(data)`, `error()`, `closed(end)`
   * @param host - `add(task)`; `changed()`, called after every change; `received(data)` and `closing()`, called in a
   *   task; and `closeLimit`, milliseconds
   */
  constructor(url, offered, socket, host) {
    this.url = url;
    this.offered = offered;
    this.socket = socket;
    this.host = host;
  }

  get readyState() {
    return READY_STATES.indexOf(this.state);
  }

  get bufferedAmount() {
    return this.#buffered;
  }

  /** Whether the socket's program still uses it. */
  get isInUse() {
    return this.state !== 'closed' && !this.#socketCloses;
  }

  // --- The socket's actions

  send(data, bytes) {
    this.#buffered += bytes;
    if (this.state !== 'open') return;
    this.#outgoing.push({ data, bytes, left: bytes });
    this.#passOn();
  }

  closeBySocket(code, reason) {
    if (this.state === 'closing' || this.state === 'closed') return;
    const wasOpen = this.state === 'open';
    this.state = 'closing';
    this.#socketCloses = true;
    if (!wasOpen) {
      this.host.add(() => this.fail());
    } else {
      this.#outgoing.push({ close: { code, reason } });
      this.#passOn();
      if (!this.closedWith) this.#startLimit();
    }
    this.host.changed();
  }

  // --- The server's actions

  open(protocol, extensions) {
    // As the standard says, and Chromium does.
    const isWrong = protocol === '' ? this.offered.length > 0 : !this.offered.includes(protocol);
    if (isWrong || extensions.split(',').some((extension) => !/^ *(permessage-deflate *(;.*)?)?$/.test(extension))) {
      this.fail();
      return;
    }
    this.state = 'open';
    this.protocol = protocol;
    this.extensions = extensions;
    this.socket.opened();
    this.host.changed();
  }

  deliver(data) {
    this.#incoming.push({ data });
    this.#takeIn();
  }

  closeByServer(code, reason, isSlow) {
    this.#incoming.push({ close: { code: code ?? NO_CODE, reason }, isSlow });
    this.#takeIn();
  }

  /** The last step of a close, whichever end began it. */
  finishClose(code, reason) {
    if (this.#serverClose) this.#over({ ...this.#serverClose, wasClean: true });
    else
      this.#over({
        code: code ?? this.closedWith.code ?? NO_CODE,
        reason: reason ?? this.closedWith.reason,
        wasClean: true,
      });
  }

  get canFinish() {
    return this.state === 'closing' && Boolean(this.#serverClose ?? this.closedWith);
  }

  /** The handshake is refused, the browser rejects its response, or the connection fails. */
  fail() {
    this.#over({ code: ABNORMAL, reason: '', wasClean: false }, true);
  }

  cut(withError) {
    this.#over({ code: ABNORMAL, reason: '', wasClean: false }, withError);
  }

  /** Transmits that many bytes of what the socket still holds; returns how many. */
  drain(bytes) {
    let rest = bytes;
    while (this.#outgoing.length > 0 && rest >= 0) {
      const [first] = this.#outgoing;
      const passed = Math.min(first.left ?? 0, rest);
      if (passed < (first.left ?? 0)) {
        first.left -= passed;
        this.#buffered -= passed;
        rest = -1;
      } else {
        rest -= passed;
        this.#buffered -= passed;
        this.#outgoing.shift();
        this.#arrived(first);
      }
    }
    this.host.changed();
  }

  /** Transmits and delivers what was held back. */
  resume() {
    this.isHalfOpen = false;
    this.isHeld = false;
    this.#passOn();
    this.#takeIn();
  }

  /** Ends without notifying either side. */
  discard() {
    this.#stopLimit();
    this.state = 'closed';
    this.#incoming = [];
    this.#outgoing = [];
  }

  // --- Between the two

  #passOn() {
    while (this.#outgoing.length > 0 && !this.isHalfOpen && !this.isHeld) {
      const item = this.#outgoing.shift();
      // A browser's `bufferedAmount` does not fall within the running task.
      if (!item.close)
        this.host.add(() => {
          this.#buffered -= item.left;
        });
      this.#arrived(item);
    }
  }

  #arrived({ close, data }) {
    if (close) {
      this.closedWith = close;
      this.host.add(() => {
        if (this.state === 'closed') return;
        this.host.closing();
        if (this.state !== 'closed') this.#startLimit();
      });
    } else {
      this.received.push(data);
      this.host.add(() => this.host.received(data));
    }
    this.host.changed();
  }

  #takeIn() {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (this.#incoming.length > 0 && !this.isHalfOpen && this.state !== 'closed') {
        const { data, close, isSlow } = this.#incoming.shift();
        if (close) {
          if (isSlow) this.#beginServerClose(close);
          else this.#over({ ...close, wasClean: true });
        } else if (this.state === 'open') {
          if (isBlob(data) && this.socket.binaryType === 'arraybuffer') {
            this.#deliverLater(data);
            return;
          }
          this.socket.message(isBinary(data) && this.socket.binaryType === 'blob' ? new Blob([data]) : data);
        }
      }
    } finally {
      if (!this.isReading) this.#isDelivering = false;
    }
  }

  /** A Blob's content is available only later; the rest waits for it. */
  #deliverLater(blob) {
    this.isReading = true;
    blob.arrayBuffer().then((buffer) =>
      this.host.add(() => {
        this.isReading = false;
        this.#isDelivering = false;
        this.#incoming.unshift({ data: buffer });
        this.#takeIn();
      }),
    );
  }

  #beginServerClose(close) {
    this.#serverClose = close;
    this.state = 'closing';
    this.host.changed();
  }

  #over(end, withError = false) {
    if (this.state === 'closed') return;
    this.#stopLimit();
    this.state = 'closed';
    this.end = end;
    this.#incoming = [];
    this.#outgoing = [];
    if (withError) this.socket.error();
    this.socket.closed(end);
    this.host.changed();
  }

  /** A browser waits for the closing handshake only so long. */
  #startLimit() {
    const { closeLimit } = this.host;
    if (closeLimit === Infinity || this.#limit) return;
    const { setTimeout, clearTimeout } = globalThis;
    const timer = setTimeout(() => {
      this.#limit = null;
      this.cut(false);
    }, closeLimit);
    // Node should not wait for a timer of the real clock.
    if (setTimeout === realTimers?.setTimeout) timer.unref?.();
    this.#limit = { callOff: () => clearTimeout(timer) };
  }

  /** How many timers it has running. */
  get timers() {
    return this.#limit ? 1 : 0;
  }

  #stopLimit() {
    this.#limit?.callOff();
    this.#limit = null;
  }
}

function isBinary(data) {
  return typeof data !== 'string' && !isBlob(data);
}
