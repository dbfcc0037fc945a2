// Converts arguments as Web IDL does, and validates them against the WebSockets standard and the table of options.
// Exceptions from the caller's getters, iterators and `toString` propagate unchanged.
//
// `who` is the name of the class that the program called; every error begins with it.

import {
  PROMISE,
  TABLE_NAMES,
  dictionary,
  isA,
  isFunction,
  isObject,
  isRevoked,
  isUrl,
  kindOf,
  tableNumbers,
  toNumber,
  wrongKind,
} from './check.js';
import { FIRST_OWN, LAST_OWN, LONGEST_REASON, NORMAL, TOKEN_SIGNS } from './limits.js';
import { Message } from './message.js';
import { ATTEMPT_BURST, CONTROL_MESSAGES, KEEPALIVE_INTERVAL, MAX_DELAY, MESSAGE_TTL, OPTIONS } from './options.js';

const PROBE_ACCEPTS = 'true, false, an http:, https:, ws: or wss: URL, or a function that gives one';

/** The default number of consecutive failed attempts before `diagnose` asks for the reason. */
const DIAGNOSE_AFTER = { ...OPTIONS[ATTEMPT_BURST], name: 'diagnoseAfter', default: 3 };

/** The options for the messages sent as pings and keepalives. */
export const HEARTBEAT = 'heartbeatMessage';
export const KEEPALIVE = 'keepaliveMessage';
const PING = ['a string, a buffer, a view or a function', (value) => isFunction(value) || isHeartbeat(value)];

/** The options that are not in the table, with the values each accepts. */
const OBJECT_OPTIONS = {
  shouldReconnect: ['a function', isFunction],
  signal: ['an AbortSignal', isAbortSignal],
  WebSocket: ['a WebSocket constructor', isFunction],
  [HEARTBEAT]: PING,
  [KEEPALIVE]: PING,
  isHeartbeat: ['a function', isFunction],
  diagnose: [PROBE_ACCEPTS, (value) => typeof value === 'boolean' || isFunction(value) || isUrl(value)],
  debug: ['a function', isFunction],
};

/** Every option of the class. */
export const OPTION_NAMES = [...TABLE_NAMES, ...Object.keys(OBJECT_OPTIONS), 'diagnoseAfter', 'protocols', 'session'];

const SEND_OPTIONS = {
  priority: { kind: 'choice', choices: ['first'], default: 1 },
  volatile: { kind: 'flag', default: 0 },
  ttl: { ...OPTIONS[MESSAGE_TTL], default: NaN },
};

const LETTER_OR_DIGIT = /[0-9A-Za-z]/;

/** The parent class of all views except `DataView`. */
const TypedArray = Object.getPrototypeOf(Uint8Array);

/**
 * The getters that read buffers and views, looked up once: doing so per message would be most of the cost of sending
 * one.
 */
const BUFFER = { length: getter(ArrayBuffer, 'byteLength'), resizable: getter(ArrayBuffer, 'resizable') };
const [TYPED_ARRAY, DATA_VIEW] = [TypedArray, DataView].map((View) => ({
  tag: getter(View, Symbol.toStringTag),
  buffer: getter(View, 'buffer'),
  offset: getter(View, 'byteOffset'),
  length: getter(View, 'byteLength'),
}));

// --- URL and sub-protocols ----------------------------------------------------------------------------------

/** Converts a value to a string by the language's rules: unlike `String`, this throws for a symbol. */
export function toText(value) {
  return `${value}`;
}

/**
 * An absolute `ws:` or `wss:` URL, relative to the page or the worker.
 *
 * @throws {DOMException} `SyntaxError`
 */
export function parseUrl(who, text) {
  let url;
  try {
    url = new URL(text, baseUrl());
  } catch {
    throw syntaxError(
      who,
      'the URL cannot be parsed; it takes an absolute ws:, wss:, http: or https: URL, or one relative to the page',
    );
  }
  if (url.protocol === 'http:') url.protocol = 'ws:';
  else if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw syntaxError(who, `the URL's scheme is ${url.protocol} and it takes ws:, wss:, http: or https:`);
  }
  // `hash` hides an empty fragment, which is just as invalid.
  if (url.href.includes('#')) throw syntaxError(who, 'the URL has a fragment (#…), and a WebSocket URL takes none');
  return url.href;
}

/**
 * Refuses what browsers refuse on a page loaded over https: an insecure connection to any host except this machine.
 * `client/src/face/source.rs` has the same rule in Rust; a test checks both against the same URLs.
 *
 * @param url - absolute, as returned by {@link parseUrl}
 * @throws {DOMException} `SecurityError`
 */
export function checkMixedContent(who, url, allowInsecure) {
  if (allowInsecure || !url.startsWith('ws:') || !isSecurePage() || isLoopback(new URL(url).hostname)) return;
  throw new DOMException(
    `${who}: a page loaded over https may not connect to ws: at another host; use wss:, or the option allowInsecure`,
    'SecurityError',
  );
}

/**
 * The names of the user permission that a page may need to connect to this URL: the current name first, then the one
 * earlier browsers use. Empty for a public internet address. `client/src/face/source.rs` has the same rule in Rust.
 */
export function permissionsFor(url) {
  const { hostname } = new URL(url);
  if (isLoopback(hostname)) return ['loopback-network', 'local-network-access'];
  const isLocal =
    hostname.endsWith('.local') ||
    /^\[f(e[89ab]|[cd])/.test(hostname) ||
    /^(10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))(\.\d+)+$/.test(hostname);
  return isLocal ? ['local-network', 'local-network-access'] : [];
}

/**
 * Whether the page was loaded over https. A context whose own URL has no such scheme inherits it from the page that
 * created it: a blob worker has it in its origin, and a `srcdoc` frame also in its base URL, even when a sandbox
 * removes its origin. If both are missing, `isSecureContext` decides: it is true if that page was secure, and also if
 * it came from this machine, whose connections to this machine are allowed in any case.
 */
function isSecurePage() {
  const { document, isSecureContext, location, origin } = globalThis;
  const known = [location?.href, origin, document?.baseURI].find((url) => /^(https?|file):/.test(url));
  return known ? known.startsWith('https:') : isSecureContext === true && /^(about|blob|data):/.test(location?.href);
}

/** Whether a parsed host name refers to this machine (Secure Contexts, section 3.1). */
function isLoopback(name) {
  return name === '[::1]' || name === 'localhost' || name.endsWith('.localhost') || /^127(\.\d+){3}$/.test(name);
}

/**
 * Where to load the WebAssembly module from: an absolute URL as a string, or any other value unchanged. The value of a
 * promise is checked once the promise has resolved.
 *
 * @throws {TypeError}
 */
export function toModuleSource(who, value, isSettled = false) {
  if (isUrl(value)) {
    try {
      return new URL(toText(value), baseUrl()).href;
    } catch {
      throw new TypeError(
        `${who}: option module: the URL cannot be parsed; it takes an absolute URL, or one relative to the page`,
      );
    }
  }
  if (!isSettled && isObject(value) && !isRevoked(value) && isFunction(value.then)) return value;
  if (isA('Response', value) || isA('WebAssembly.Module', value) || isBytes(value)) return value;
  const accepted = 'a URL, a Response, a buffer or a view of the bytes, or a WebAssembly.Module';
  throw wrongKind(
    who,
    isSettled ? 'the promise in option module' : 'option module',
    value,
    isSettled ? accepted : `${accepted}, or a promise of one`,
  );
}

/** The base of relative URLs. A blob worker's URL has no path, so its origin is used. */
function baseUrl() {
  const { document, location } = globalThis;
  if (document?.baseURI) return document.baseURI;
  return location?.href?.startsWith('blob:') ? location.origin : location?.href;
}

/**
 * Converts sub-protocols to an array of strings: none, one, or any iterable of them. `null` also means none, as a
 * placeholder before the options, although a `WebSocket` takes it for a sub-protocol of that name. A plain object,
 * whose string form is never a valid sub-protocol, is an options object, as in newer browsers, and the result is
 * `undefined`.
 */
export function toProtocols(who, value) {
  if (value === undefined || value === null) return [];
  if (isObject(value)) {
    const iterator = value[Symbol.iterator];
    if (iterator !== undefined && iterator !== null) {
      if (!isFunction(iterator)) throw new TypeError(`${who}: the sub-protocols cannot be iterated over`);
      return Array.from({ [Symbol.iterator]: () => Reflect.apply(iterator, value, []) }, toText);
    }
  }
  const text = toText(value);
  return isObject(value) && text === '[object Object]' ? undefined : [text];
}

/** @throws {DOMException} `SyntaxError` */
export function checkProtocols(who, protocols) {
  protocols.forEach((protocol, index) => {
    const which = `sub-protocol ${index + 1}`;
    if (protocol === '') throw syntaxError(who, `${which} is empty; it takes at least one character`);
    const wrong = [...protocol].find(
      (character) => !LETTER_OR_DIGIT.test(character) && !TOKEN_SIGNS.includes(character),
    );
    if (wrong) {
      const code = wrong.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
      throw syntaxError(
        who,
        `${which} has the character U+${code}; it takes letters, digits and ${[...TOKEN_SIGNS].join(' ')}`,
      );
    }
    const earlier = protocols.indexOf(protocol);
    if (earlier < index)
      throw syntaxError(who, `${which} is the same as sub-protocol ${earlier + 1}; each can be offered once`);
  });
  return protocols;
}

/**
 * Checks the result of a URL function. The constructor has to accept whatever `WebSocket` accepts; this rejects
 * `undefined` and other values that would become strange relative URLs.
 */
export function toProvidedUrl(who, value) {
  if (!isUrl(value)) {
    throw new TypeError(`the URL function gave ${kindOf(value)}; it takes a string or a URL`);
  }
  return parseUrl(who, toText(value));
}

/**
 * The URL to request when diagnosing a failure: `ws:` becomes `http:`.
 *
 * @throws {TypeError}
 */
export function toProbeUrl(who, value) {
  let url;
  try {
    url = isUrl(value) && new URL(toText(value), baseUrl());
  } catch {
    url = undefined;
  }
  if (!url || !/^(http|ws)s?:$/.test(url.protocol)) {
    throw new TypeError(
      `${who}: option diagnose: ${isUrl(value) ? 'not such a URL' : kindOf(value)} was given; this takes ${PROBE_ACCEPTS}`,
    );
  }
  url.protocol = url.protocol.replace('ws', 'http');
  // Requests must not contain credentials.
  url.username = '';
  url.password = '';
  return url.href;
}

/**
 * Refuses to use the URL of an attempt for diagnosis if it may contain something that is valid only once.
 *
 * @param url - of the socket: text, or a function
 * @throws {TypeError}
 */
export function checkAsked(who, url) {
  if (!isFunction(url) && !url.includes('?')) return;
  const why = isFunction(url) ? 'comes from a function' : 'has a query';
  throw new TypeError(
    `${who}: option diagnose is true, but the socket's URL ${why} and may hold a one-time ticket; diagnose takes the URL to ask, or a function that returns it`,
  );
}

// --- Close --------------------------------------------------------------------------------------------------

/** Converts to `[Clamp] unsigned short`; keeps `undefined`. */
export function toCloseCode(value) {
  if (value === undefined) return undefined;
  const clamped = Math.min(Math.max(+value, 0), 65535);
  const floor = Math.floor(clamped);
  const rest = clamped - floor;
  // Halves round to even; NaN becomes 0.
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor || 0;
}

/** @throws {DOMException} `InvalidAccessError` or `SyntaxError` */
export function checkClose(who, code, reason) {
  if (code !== undefined && code !== NORMAL && !(code >= FIRST_OWN && code <= LAST_OWN)) {
    throw new DOMException(
      `${who}: close code ${code} is not allowed; it takes ${NORMAL} or ${FIRST_OWN} to ${LAST_OWN}`,
      'InvalidAccessError',
    );
  }
  const bytes = utf8Length(reason);
  if (bytes > LONGEST_REASON) {
    throw syntaxError(who, `the close reason has ${bytes} bytes of UTF-8; it takes at most ${LONGEST_REASON}`);
  }
}

// --- Messages -----------------------------------------------------------------------------------------------

/** Matches characters that take more than one byte in UTF-8. */
const NOT_ASCII = /[^\0-\x7f]/;

/** In longer text, encoding takes less time than walking the string. An encoder alone takes about 1 µs. */
const SHORT = 64;

/** The length of a string in UTF-8. A lone surrogate is sent as U+FFFD: 3 bytes. */
function utf8Length(text) {
  // In Chromium, searching is three times as fast as walking the string.
  if (!NOT_ASCII.test(text)) return text.length;
  if (text.length > SHORT) return new TextEncoder().encode(text).length;
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const point = text.codePointAt(index);
    bytes += 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000);
    if (point >= 0x10000) index += 1;
  }
  return bytes;
}

/**
 * Converts a message: a string, a Blob, or the bytes of a buffer or a view.
 *
 * @param taker - the function or option that takes it, for error messages
 */
export function toMessage(who, data, taker = 'send') {
  if (typeof data === 'string') return new Message(data, utf8Length(data));
  if (isObject(data)) {
    if (ArrayBuffer.isView(data)) {
      // Uses the platform's getters, since a subclass may override its own.
      const view = readBy(TYPED_ARRAY.tag, data) === undefined ? DATA_VIEW : TYPED_ARRAY;
      const [buffer, offset, length] = [
        readBy(view.buffer, data),
        readBy(view.offset, data),
        readBy(view.length, data),
      ];
      // A DataView's getters throw once its buffer has been transferred.
      return toBytes(who, taker, data, buffer, offset ?? 0, length ?? 0);
    }
    const length = readBy(BUFFER.length, data);
    if (length !== undefined) return toBytes(who, taker, data, data, 0, length);
    // Checked by tag, since pages that are not cross-origin isolated have no global of that name.
    if (isA('SharedArrayBuffer', data)) throw isShared(who, taker);
    const size = readBy(getter(globalThis.Blob, 'size'), data);
    if (size !== undefined) return new Message(data, size);
  }
  const text = toText(data);
  return new Message(text, utf8Length(text));
}

/** Converts a ping: a string, or a copy of the bytes of a buffer or a view. */
export function toHeartbeat(who, name, value) {
  checkAnswer(who, `the function ${name}`, value, isHeartbeat(value), 'a string, a buffer or a view');
  const message = toMessage(who, value, name);
  message.keep();
  return message.data;
}

function isHeartbeat(value) {
  return typeof value === 'string' || isBytes(value);
}

/** Whether it is a buffer or a view, of any realm. */
function isBytes(value) {
  return ArrayBuffer.isView(value) || readBy(BUFFER.length, value) !== undefined;
}

function toBytes(who, taker, data, buffer, offset, length) {
  if (readBy(BUFFER.length, buffer) === undefined) throw isShared(who, taker);
  if (readBy(BUFFER.resizable, buffer)) {
    throw new TypeError(`${who}: ${taker} takes no buffer that can be resized; give a copy`);
  }
  // A transferred buffer has no bytes, and reading them throws.
  return length === 0 ? new Message(new ArrayBuffer(0), 0) : new Message(data, length, buffer, offset, length);
}

function isShared(who, taker) {
  return new TypeError(`${who}: ${taker} takes no memory that is shared between threads; give a copy`);
}

/** The getter `name` of a class, if the class and the getter exist. */
function getter(Class, name) {
  return Class && Object.getOwnPropertyDescriptor(Class.prototype, name)?.get;
}

/** The result of a getter on `value`, of any realm, or `undefined` if `value` is of another class. */
function readBy(get, value) {
  try {
    return get && Reflect.apply(get, value, []);
  } catch {
    return undefined;
  }
}

// --- Options ------------------------------------------------------------------------------------------------

/**
 * Validates the options.
 *
 * @returns an object with the value of each row of the table in `numbers`, and the other options by name
 * @throws {TypeError} for an unknown option, or a value of the wrong type
 * @throws {RangeError} for a value out of range
 */
export function toOptions(who, given) {
  const options = dictionary(who, given, 'the options', OPTION_NAMES);
  const values = tableNumbers(who, options);
  const checked = { numbers: values, protocols: options.protocols, session: options.session };
  for (const [name, [accepted, accepts]] of Object.entries(OBJECT_OPTIONS)) {
    const value = options[name];
    if (value !== undefined && !accepts(value)) throw wrongKind(who, `option ${name}`, value, accepted);
    checked[name] = value;
  }
  const { diagnose } = checked;
  for (const name of [HEARTBEAT, KEEPALIVE]) {
    const message = checked[name];
    if (message !== undefined && !isFunction(message)) checked[name] = toHeartbeat(who, name, message);
  }
  if (
    values[KEEPALIVE_INTERVAL] < Infinity &&
    !values[CONTROL_MESSAGES] &&
    (checked[HEARTBEAT] ?? checked[KEEPALIVE]) === undefined
  ) {
    throw new TypeError(
      `${who}: option keepaliveInterval: there is nothing to send; give ${KEEPALIVE} or ${HEARTBEAT}, or set controlMessages`,
    );
  }
  if (isUrl(diagnose)) checked.diagnose = toProbeUrl(who, diagnose);
  checked.diagnoseAfter = toNumber(who, DIAGNOSE_AFTER, options.diagnoseAfter);
  return checked;
}

/** Validates the options of a message: `{ first, volatile, ttl }`. Without a given `ttl`, it is NaN. */
export function toSendOptions(who, given) {
  const options = dictionary(who, given, 'the options of send', Object.keys(SEND_OPTIONS));
  const [priority, volatile, ttl] = Object.entries(SEND_OPTIONS).map(([name, row]) =>
    toNumber(who, { ...row, name }, options[name]),
  );
  return { first: priority === 0, volatile: volatile === 1, ttl };
}

/** Validates the return value of `shouldReconnect`. */
export function checkVerdict(who, verdict) {
  const { max } = OPTIONS[MAX_DELAY];
  const isVerdict =
    verdict === undefined ||
    typeof verdict === 'boolean' ||
    (typeof verdict === 'number' && verdict >= 0 && verdict <= max);
  const is = typeof verdict === 'number' ? String(verdict) : undefined;
  return checkAnswer(
    who,
    'shouldReconnect',
    verdict,
    isVerdict,
    `true, false, undefined or a number from 0 to ${max} ms`,
    is,
  );
}

/**
 * Validates the return value of `isHeartbeat`. An async function's promise is an error: it would be truthy for every
 * message.
 */
export function checkIsHeartbeat(who, answer) {
  return checkAnswer(who, 'isHeartbeat', answer, typeof answer === 'boolean', 'true or false');
}

/** Validates the return value of a function whose answer is needed at once. */
function checkAnswer(who, asked, answer, isOne, accepted, is = kindOf(answer)) {
  if (isOne) return answer;
  const takes = is === PROMISE ? `it must answer at once, with ${accepted}` : `it takes ${accepted}`;
  throw new TypeError(`${who}: ${asked} returned ${is}; ${takes}`);
}

/** Whether it is an AbortSignal of any realm, or a polyfill's. */
function isAbortSignal(value) {
  return (
    isObject(value) && !isRevoked(value) && typeof value.aborted === 'boolean' && isFunction(value.addEventListener)
  );
}

function syntaxError(who, message) {
  return new DOMException(`${who}: ${message}`, 'SyntaxError');
}
