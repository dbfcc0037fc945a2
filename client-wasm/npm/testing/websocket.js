// The client's end: a class with the interface of the WebSockets standard. It shares no code with
// ReconnectingWebSocket, so that neither hides the other's bugs; the conformance tests compare both with the browser's
// own class.

import { alignWithFakeTimers } from './fakes.js';
import { LONGEST_REASON, utf8Length, wellFormed } from './text.js';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

const HANDLERS = ['open', 'error', 'close', 'message'];

/** A token, as RFC 9110 defines it. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * @param connect - called with the URL, the sub-protocols and the functions for the socket's events; returns its link
 */
export function makeWebSocket(connect) {
  class WebSocket extends EventTarget {
    #link;
    #binaryType = 'blob';
    /** By type: `{ value, listener }`. */
    #handlers = {};

    constructor(url, protocols = []) {
      if (arguments.length === 0) throw new TypeError('WebSocket: the URL is missing');
      const given = toText(url);
      const names = toProtocols(protocols);
      const parsed = parseUrl(given);
      checkProtocols(names);
      super();
      alignWithFakeTimers();
      const socket = this;
      const emit = (event) => {
        Reflect.apply(EventTarget.prototype.dispatchEvent, this, [event]);
      };
      this.#link = connect(parsed, names, {
        target: this,
        get binaryType() {
          return socket.#binaryType;
        },
        opened: () => emit(new Event('open')),
        message: (data) => emit(new MessageEvent('message', { data, origin: new URL(parsed).origin })),
        error: () => emit(new Event('error')),
        closed: (end) => emit(closeEvent(end)),
      });
    }

    get url() {
      return this.#link.url;
    }

    get readyState() {
      return this.#link.readyState;
    }

    get bufferedAmount() {
      return this.#link.bufferedAmount;
    }

    get extensions() {
      return this.#link.extensions;
    }

    get protocol() {
      return this.#link.protocol;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(value) {
      WebSocket.#check(this);
      const type = toText(value);
      if (type === 'blob' || type === 'arraybuffer') this.#binaryType = type;
    }

    close(code = undefined, reason = undefined) {
      WebSocket.#check(this);
      const number = code === undefined ? undefined : clamp(code);
      const text = reason === undefined ? '' : wellFormed(toText(reason));
      if (number !== undefined && number !== 1000 && !(number >= 3000 && number <= 4999)) {
        throw new DOMException(
          `WebSocket: close code ${number} is not allowed; it takes 1000 or 3000 to 4999`,
          'InvalidAccessError',
        );
      }
      const bytes = utf8Length(text);
      if (bytes > LONGEST_REASON) {
        throw new DOMException(
          `WebSocket: the close reason has ${bytes} bytes of UTF-8; it takes at most ${LONGEST_REASON}`,
          'SyntaxError',
        );
      }
      // A reason alone goes with 1000.
      this.#link.closeBySocket(number ?? (text === '' ? undefined : 1000), text);
    }

    send(data) {
      WebSocket.#check(this);
      if (arguments.length === 0) throw new TypeError('WebSocket: send has nothing to send');
      const [message, bytes] = toMessage(data);
      if (this.readyState === CONSTANTS.CONNECTING) {
        throw new DOMException('WebSocket: it is still connecting', 'InvalidStateError');
      }
      this.#link.send(message, bytes);
    }

    static {
      for (const name of Object.getOwnPropertyNames(this.prototype)) {
        if (name !== 'constructor') Object.defineProperty(this.prototype, name, { enumerable: true });
      }
      for (const [name, value] of Object.entries(CONSTANTS)) {
        for (const holder of [this, this.prototype]) Object.defineProperty(holder, name, { value, enumerable: true });
      }
      Object.defineProperty(this.prototype, Symbol.toStringTag, { value: 'WebSocket', configurable: true });
      for (const type of HANDLERS) {
        const name = `on${type}`;
        const { get, set } = Object.getOwnPropertyDescriptor(
          {
            get [name]() {
              return WebSocket.#check(this).#handlers[type]?.value ?? null;
            },
            set [name](value) {
              WebSocket.#check(this).#setHandler(type, value);
            },
          },
          name,
        );
        Object.defineProperty(this.prototype, name, { get, set, enumerable: true, configurable: true });
      }
    }

    #setHandler(type, value) {
      const present = this.#handlers[type];
      const isKept = (typeof value === 'object' && value !== null) || typeof value === 'function';
      if (present && isKept) {
        present.value = value;
      } else if (isKept) {
        const handler = { value, listener: (event) => call(handler.value, event) };
        this.#handlers[type] = handler;
        this.addEventListener(type, handler.listener);
      } else if (present) {
        delete this.#handlers[type];
        this.removeEventListener(type, present.listener);
      }
    }

    static #check(object) {
      if (!(#link in object)) throw new TypeError('Illegal invocation: receiver is not a WebSocket');
      return object;
    }
  }
  return WebSocket;
}

/** As HTML specifies: an object that is not callable does nothing; returning `false` cancels the event. */
function call(handler, event) {
  if (typeof handler === 'function' && Reflect.apply(handler, event.currentTarget, [event]) === false)
    event.preventDefault();
}

/** Works without the platform's `CloseEvent`, too (Node before 23). */
function closeEvent(end) {
  if (globalThis.CloseEvent) return new CloseEvent('close', end);
  const event = new Event('close');
  for (const [name, value] of Object.entries(end)) Object.defineProperty(event, name, { value, enumerable: true });
  return event;
}

/** By the language's rules: unlike `String`, this throws for a symbol. */
function toText(value) {
  return `${value}`;
}

function parseUrl(text) {
  const { document, location } = globalThis;
  let url;
  try {
    url = new URL(text, document?.baseURI ?? location?.href);
  } catch {
    throw new DOMException('WebSocket: the URL cannot be parsed', 'SyntaxError');
  }
  url.protocol = url.protocol.replace(/^http/, 'ws');
  if (!/^wss?:$/.test(url.protocol))
    throw new DOMException(
      `WebSocket: the URL's scheme is ${url.protocol}; it takes ws:, wss:, http: or https:`,
      'SyntaxError',
    );
  if (url.href.includes('#')) throw new DOMException('WebSocket: the URL has a fragment; it takes none', 'SyntaxError');
  return url.href;
}

/** One, or any iterable of them. */
function toProtocols(value) {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  const iterator = isObject ? value[Symbol.iterator] : undefined;
  if (iterator === undefined || iterator === null) return [toText(value)];
  if (typeof iterator !== 'function') throw new TypeError('WebSocket: the sub-protocols cannot be iterated over');
  return Array.from({ [Symbol.iterator]: () => Reflect.apply(iterator, value, []) }, toText);
}

function checkProtocols(names) {
  const wrong = names.find((name, index) => !TOKEN.test(name) || names.indexOf(name) < index);
  if (wrong !== undefined) {
    throw new DOMException(`WebSocket: ${JSON.stringify(wrong)} is no sub-protocol, or there twice`, 'SyntaxError');
  }
}

/** Converts to `[Clamp] unsigned short`. */
function clamp(value) {
  const clamped = Math.min(Math.max(+value, 0), 65_535);
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor || 0;
}

const TypedArray = Object.getPrototypeOf(Uint8Array);

/** `[data, bytes]`: text, a copy of the bytes of a buffer or a view, or a Blob. */
function toMessage(data) {
  if (ArrayBuffer.isView(data)) {
    // Uses the platform's getters, since a subclass may override its own.
    const View =
      ask(TypedArray.prototype, Symbol.toStringTag, data) === undefined ? DataView.prototype : TypedArray.prototype;
    const [buffer, offset, length] = ['buffer', 'byteOffset', 'byteLength'].map((name) => ask(View, name, data));
    return copy(buffer, offset ?? 0, length ?? 0);
  }
  if (typeof data === 'object' && data !== null) {
    const length = ask(ArrayBuffer.prototype, 'byteLength', data);
    if (length !== undefined) return copy(data, 0, length);
    if (ask(globalThis.SharedArrayBuffer?.prototype, 'byteLength', data) !== undefined || isShared(data))
      throw shared();
    const size = globalThis.Blob && ask(globalThis.Blob.prototype, 'size', data);
    if (size !== undefined) return [data, size];
  }
  const text = wellFormed(toText(data));
  return [text, utf8Length(text)];
}

function copy(buffer, offset, length) {
  if (ask(ArrayBuffer.prototype, 'byteLength', buffer) === undefined) throw shared();
  if (ask(ArrayBuffer.prototype, 'resizable', buffer))
    throw new TypeError('WebSocket: send takes no buffer that can be resized');
  if (length === 0) return [new ArrayBuffer(0), 0];
  return [new Uint8Array(new Uint8Array(buffer, offset, length)).buffer, length];
}

/** Checked by tag, since pages that are not cross-origin isolated have no global of that name. */
function isShared(value) {
  try {
    return Object.prototype.toString.call(value) === '[object SharedArrayBuffer]';
  } catch {
    // A revoked proxy.
    return false;
  }
}

function shared() {
  return new TypeError('WebSocket: send takes no memory that is shared between threads');
}

/** The result of a platform getter on a value; `undefined` if the value is of another class. */
function ask(prototype, name, value) {
  const getter = prototype && Object.getOwnPropertyDescriptor(prototype, name)?.get;
  try {
    return getter && Reflect.apply(getter, value, []);
  } catch {
    return undefined;
  }
}
