// Sessions of the JavaScript API: what the program does and is told. Called from Rust as `src/session.rs` says, where
// everything is decided; `frames.js` has what travels. Only the entry `steady-socket/session` has these files and a module
// that calls them.

import { dictionary, isFunction, toNumber, wrongKind } from './check.js';
import { toMessage } from './convert.js';
import { defineHandlers, makeEnumerable, report } from './events.js';
import { STYLES, sizeOf } from './frames.js';
import { Message } from './message.js';
import {
  CLOSE_TIMEOUT,
  CONNECT_TIMEOUT,
  CONTROL_MESSAGES,
  DROP_OLDEST,
  GATE,
  MAX_MESSAGE_BYTES,
  MAX_QUEUED_BYTES,
  MAX_QUEUED_MESSAGES,
  MESSAGE_TTL,
  OVERFLOW,
  RECONNECT,
} from './options.js';
import { TOO_LATE } from './names.js';
import { ReconnectingWebSocket, inner, provideSessions, received } from './reconnecting-websocket.js';

/** The suffix of a sub-protocol that asks for a session, and the name to offer without one of one's own. */
const SUFFIX = '~2';
const PLAIN_NAME = 'steady~2';
const CONTROLS = '~1';

/** The largest batch that an end sends, in bytes; texts in it may double by JSON's escapes. */
const BATCH_BYTES = 65_536;

/** The results of {@link markOf}, the last one beside the others. */
const [AWAITED, ASKS, HAS_BYTES] = [1, 2, 4];

/** The results of {@link give}, added up. */
const [DONE, READS] = [1, 2];

/** The ends of messages and requests. */
const [HANDLED, NOT_HANDLED, UNKNOWN, RESPONSE, ERROR, REFUSED, CANCELLED, TIMED_OUT] = [0, 1, 2, 3, 4, 5, 6, 7];

/** How a session is over. */
const [LOST, FINAL, PLAIN] = [0, 1, 2];

/** What happened to a session. */
const [BEGAN, RESUMED, PENDING, STALLED_HERE, STALLED_THERE, DISCARDED] = [0, 1, 2, 3, 4, 5];

// --- Errors -------------------------------------------------------------------------------------------------

/** A message was never given to the application at the other end. */
export class NotHandledError extends Error {
  #message;

  constructor(who, why, sent) {
    super(`${who}: the message was not handled: ${why}`);
    this.#message = sent;
  }

  /** What was sent. */
  get sent() {
    return this.#message;
  }

  static {
    this.prototype.name = 'NotHandledError';
  }
}

/** Nobody knows whether the application at the other end has handled a message, or done what was asked. */
export class UnknownEndError extends Error {
  #message;

  constructor(who, why, sent) {
    super(`${who}: nobody knows what became of the message: ${why}`);
    this.#message = sent;
  }

  /** What was sent. */
  get sent() {
    return this.#message;
  }

  static {
    this.prototype.name = 'UnknownEndError';
  }
}

/** A request has no response. */
export class RequestError extends Error {
  #error;

  /** @param code - `application`, `refused`, `cancelled` or `timed-out` */
  constructor(who, code, what, error = undefined) {
    super(`${who}: ${what}`);
    this.code = code;
    this.#error = error;
  }

  /** The error that the application at the other end has answered. */
  get error() {
    return this.#error;
  }

  static {
    this.prototype.name = 'RequestError';
  }
}

/** Why a request was refused, in words: by the index of the reason in `frames.js`. */
const REFUSALS = [
  'the other end has no handler for such requests',
  'the other end has too many unanswered requests',
  'the other end has cancelled it',
  'its handler failed',
];

/** Thrown by a handler of requests: an answer that the other end gets as an error of the application. */
export class ApplicationError extends Error {
  constructor(value) {
    super('an error of the application, for the other end');
    this.value = value;
  }

  static {
    this.prototype.name = 'ApplicationError';
  }
}

// --- One session -------------------------------------------------------------------------------------------------

const WINDOW = { kind: 'whole', unit: '', min: 1, max: 2 ** 31 - 1, unlimited: false };
const ROWS = {
  messages: { ...WINDOW, default: 1_000 },
  bytes: { ...WINDOW, unit: ' bytes', default: 1_048_576 },
  requests: { ...WINDOW, min: 0, default: 64 },
};

/** What a socket knows of its session. */
class Session {
  who;
  optional;
  credential;
  limits;
  numbers;
  style = STYLES.text;
  /** How many levels of lists and objects a value of a batch may have, if it is decoded with the batch. */
  maxDepth = 0;
  /** Whether the next attempts ask for a session, and whether the last one offered nothing else. */
  offers = true;
  offersOnly = false;
  /** The credential for the current attempt. */
  found;
  /** Why the message that is being sent can never be sent. */
  refused;
  /** The messages of a session that is over: `[not handled, unknown]`. */
  over = [[], []];
  /** The number of a message that the program has and is not done with. */
  current = 0;
  /** Whether something reads messages, and whether it is done with the last one. */
  reads = () => true;
  isBusy = () => false;
  given = () => {};
  encode = (value) => value;
  decode = (data) => data;
  handler = null;
  /** Whether there may be a listener for `pendingchange`, which otherwise would cost every message more than all else. */
  isWatched = false;
  /** The requests of the other end that are being answered, by number: an `AbortController` each. */
  asked = new Map();
  /** Messages and requests whose end somebody awaits: all, and those that the core has by number. */
  unsettled = new Set();
  awaited = new Map();
  /** While a session is being lost, functions that tell who awaits its messages. */
  ends = null;

  constructor(socket, who, given, numbers) {
    // The socket keeps this, and this does not keep the socket.
    this.socket = new WeakRef(socket);
    this.who = who;
    this.numbers = numbers;
    const isShort = typeof given !== 'object' || given === null;
    if (isShort && given !== true && given !== 'optional') {
      throw wrongKind(who, 'option session', given, "true, 'optional' or an object");
    }
    const {
      optional = given === 'optional',
      credential,
      ...rest
    } = dictionary(who, isShort ? undefined : given, 'option session', [
      'optional',
      'credential',
      ...Object.keys(ROWS),
    ]);
    if (typeof optional !== 'boolean') throw wrongKind(who, 'option session.optional', optional, 'true or false');
    if (credential !== undefined && !isFunction(credential)) this.found = this.#checked(credential);
    this.optional = optional;
    this.credential = credential;
    this.limits = Object.entries(ROWS).map(([name, row]) =>
      toNumber(who, { ...row, name: `session.${name}` }, rest[name]),
    );
    if (numbers[GATE]) {
      throw new TypeError(
        `${who}: a session and the option gate exclude each other: the session's own first message opens the gate; give the session a credential instead`,
      );
    }
    if (!numbers[RECONNECT]) {
      throw new TypeError(`${who}: a session outlives its connections, so the option reconnect cannot be false`);
    }
    this.messageBytes = Math.min(numbers[MAX_MESSAGE_BYTES], 2 ** 31 - 1);
    numbers[GATE] = 1;
    numbers[CONTROL_MESSAGES] = 1;
    numbers[MAX_MESSAGE_BYTES] = Math.min(Math.max(this.messageBytes, BATCH_BYTES) * 2 + 1_024, 2 ** 31 - 1);
  }

  #checked(credential) {
    if (typeof credential !== 'string') {
      throw wrongKind(this.who, 'the credential', credential, 'a string, or a function that returns one');
    }
    if (!/^[!-~]{1,4096}$/.test(credential)) {
      throw new TypeError(`${this.who}: the credential takes 1 to 4096 printable ASCII characters, without a space`);
    }
    return credential;
  }

  /**
   * Delivers a message that is no value of a program: as an event. A session needs the bytes at once. A method of the socket,
   * which need not look for it: dereferencing takes longer than all else here.
   */
  receiver(data) {
    const isBlob = typeof data !== 'string' && this.binaryType === 'blob';
    inner.emitMessage(this, isBlob ? new Blob([data]) : data, false);
  }

  /** Changes a host, which is made for each instance of the module. */
  attach(host) {
    let { target } = host;
    const fixed = (get) => ({ get, set() {} });
    Object.defineProperties(host, {
      session: { value: this },
      binaryType: fixed(() => 'arraybuffer'),
      // The session keeps what it sends.
      lends: fixed(() => false),
      target: {
        get: () => [target[0], ...this.protocols(target.slice(1))],
        set: (found) => {
          target = found;
        },
      },
    });
    const { opened, closed } = host;
    host.opened = (...given) => {
      watchHiding();
      carrying.add(this);
      opened(...given);
    };
    host.closed = (lost, delay, why, ...rest) => {
      carrying.delete(this);
      const { unwelcomed } = this.counts();
      closed(lost, delay, unwelcomed === null ? why : `${unwelcomed}; ${why}`, ...rest);
    };
  }

  /** The bytes of a `Blob` come too late for a frame. */
  check({ data }) {
    if (typeof Blob === 'function' && data instanceof Blob) {
      throw new TypeError(`${this.who}: a session takes no Blob; send the bytes: await blob.arrayBuffer()`);
    }
  }

  /** What the snapshot has more. */
  counts() {
    const ask = (question) => inner.ask(this.socket.deref(), question);
    const count = (bytes) => ask((core) => core.unacknowledged?.(bytes) ?? 0);
    return {
      unacknowledgedMessages: count(false),
      unacknowledgedBytes: count(true),
      unwelcomed: ask((core) => core.unwelcomed?.()) ?? null,
    };
  }

  /** Whether an attempt has to ask the program. */
  get asks() {
    return isFunction(this.credential);
  }

  /** Asks for the credential of an attempt. */
  async ask(context) {
    if (this.asks) this.found = this.#checked(await this.credential.call(undefined, context));
  }

  /** The sub-protocols of an attempt. */
  protocols(plain) {
    const names = plain.filter((name) => !name.endsWith(CONTROLS)).map((name) => name + SUFFIX);
    if (names.length === 0) names.push(PLAIN_NAME);
    this.offersOnly = plain.length === 0;
    return this.offers ? [...names, ...plain] : plain;
  }

  wish(index) {
    const { numbers } = this;
    return [
      Number(this.optional),
      ...this.limits,
      this.messageBytes,
      numbers[MAX_QUEUED_MESSAGES],
      numbers[MAX_QUEUED_BYTES],
      Number(numbers[OVERFLOW] === DROP_OLDEST),
      numbers[CONNECT_TIMEOUT],
      numbers[CLOSE_TIMEOUT],
      numbers[MESSAGE_TTL],
    ][index];
  }

  /**
   * The instance of the module has failed, and with it the session.
   *
   * @param held - everything that the instance held
   */
  failed(host, held) {
    const reason = 'the WebAssembly module has failed';
    for (const controller of this.asked.values()) controller.abort();
    this.asked.clear();
    this.awaited.clear();
    this.current = 0;
    // The instance holds those of all sockets. What somebody awaits is reported there alone.
    const unknown = [...new Set(held)]
      .filter((it) => it instanceof Message && it.session === this && it.id > 0 && !this.unsettled.has(it))
      .sort((one, other) => one.id - other.id);
    this.over = [[], unknown];
    if (unknown.length > 0) sessionOver(host, LOST, reason, 0);
    this.over = [[], []];
    // What waits for a core has not been sent.
    for (const message of [...this.unsettled]) if (message.isSent) message.settle(UNKNOWN, reason);
  }
}

/** The sessions that a connection carries. */
const carrying = new Set();

/** Once, when the first connection opens: before the page is hidden or frozen, what waits and is handled goes out. */
let watchHiding = () => {
  watchHiding = () => {};
  const flush = () => {
    for (const { socket } of carrying) {
      const open = socket.deref();
      if (open) inner.ask(open, (core) => core.flush?.());
    }
  };
  const { document } = globalThis;
  globalThis.addEventListener?.('pagehide', flush);
  document?.addEventListener?.('freeze', flush);
  document?.addEventListener?.('visibilitychange', () => document.visibilityState === 'hidden' && flush());
};

/** The session of a host that is being called. */
function sessionOf(host) {
  return host.session;
}

function socketOf(host) {
  return host.owner ?? host.self.deref();
}

// --- What the core asks ------------------------------------------------------------------------------------------

export function sessionWish(host, index) {
  return sessionOf(host)?.wish(index) ?? NaN;
}

export function randomPart() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

export function credentialOf(host) {
  return sessionOf(host).found;
}

export function offerSession(host, offers) {
  const session = sessionOf(host);
  const before = session.offers;
  session.offers = offers === 1;
  return Number(before !== session.offers);
}

export function offersOnlySession(host) {
  return Number(sessionOf(host).offersOnly);
}

export function markOf(message) {
  return (message.mark ?? 0) | (typeof message.data === 'string' ? 0 : HAS_BYTES);
}

export function withCode(before, code, behind) {
  return `${before}${code}${behind}`;
}

export function took(host, message, id) {
  const session = sessionOf(host);
  message.isSent = true;
  message.id = id;
  message.session = session;
  if (message.mark) session.awaited.set(id, message);
}

export function refuse(host, message, why) {
  const session = sessionOf(host);
  session.refused = new DOMException(`${session.who}: ${why}`, 'InvalidStateError');
  // It has waited for the core, so no call throws that.
  if (message.host) message.fail?.(session.refused);
}

export function takesMessages(host) {
  return Number(sessionOf(host).reads());
}

// --- To the program ----------------------------------------------------------------------------------------------

export function give(host, message, id) {
  const session = sessionOf(host);
  session.current = id;
  host.size = sizeOf(message);
  session.given();
  received(host, message);
  if (session.current !== id || session.isBusy()) return 0;
  session.current = 0;
  return session.reads() ? DONE | READS : DONE;
}

export function ask(host, request, id) {
  const session = sessionOf(host);
  const socket = socketOf(host);
  if (!socket) return;
  // It may be cancelled before the program has it.
  const controller = new AbortController();
  session.asked.set(id, controller);
  // Never inside the core.
  queueMicrotask(() => answerLater(session, socket, request, id, controller).catch(report));
}

async function answerLater(session, socket, request, id, controller) {
  const [how, value] = await answerOf(session, socket, request, controller.signal);
  session.asked.delete(id);
  inner.ask(socket, (core) => core.answer?.(id, controller.signal.aborted ? CANCELLED : how, value));
}

async function answerOf(session, socket, request, signal) {
  if (signal.aborted) return [CANCELLED];
  if (!session.handler) return [NOT_HANDLED];
  let decoded;
  try {
    decoded = await session.decode(request);
  } catch {
    return [NOT_HANDLED];
  }
  if (signal.aborted) return [CANCELLED];
  const aborted = new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve([CANCELLED]), { once: true });
  });
  const answered = (async () => {
    try {
      const response = await session.handler.call(socket, decoded, { signal });
      return [RESPONSE, await sendable(session, response)];
    } catch (error) {
      if (error instanceof ApplicationError) return [ERROR, await sendable(session, error.value)];
      // A handler that follows its signal throws this.
      if (!signal.aborted || error !== signal.reason) report(error);
      return [REFUSED];
    }
  })();
  return Promise.race([answered, aborted]);
}

async function sendable(session, value) {
  const message = toMessage(session.who, await session.encode(value));
  message.keep();
  return message;
}

export function withdraw(host, id) {
  sessionOf(host).asked.get(id)?.abort();
}

export function settle(host, id, end, value) {
  const { awaited, ends } = sessionOf(host);
  const message = awaited.get(id);
  if (!message) return 0;
  awaited.delete(id);
  if (ends) ends.push(() => message.settle(end, value));
  else message.settle(end, value);
  return 1;
}

export function settleRun(host, first, last) {
  const { awaited } = sessionOf(host);
  if (awaited.size === 0) return;
  for (let id = first; id <= last; id += 1) if (awaited.has(id)) settle(host, id, HANDLED, undefined);
}

export function losing(host) {
  sessionOf(host).ends = [];
}

export function sessionEvent(host, what, number, other) {
  const emit = (type, fields = {}) => host.emit(type, fields);
  if (what === BEGAN) emit('sessionstart');
  else if (what === RESUMED) emit('resumed', { replayed: number });
  else if (what === DISCARDED) emit('discarded', { messages: number });
  else if (what === PENDING && sessionOf(host).isWatched) {
    emit('pendingchange', { unacknowledgedMessages: number, unacknowledgedBytes: other });
  } else if (what === STALLED_HERE || what === STALLED_THERE) emit('stalled', { here: what === STALLED_HERE });
}

/** One of the messages of a session that is over. */
export function keepOver(host, message, isUnknown) {
  sessionOf(host).over[isUnknown].push(message);
}

export function resend(host) {
  const [notHandled] = sessionOf(host).over;
  const socket = socketOf(host);
  // The queue of the connection is as large as that of the session.
  for (const message of notHandled.splice(0)) {
    message.isSent = false;
    if (socket) inner.post(socket, message, NaN);
  }
}

export function sessionOver(host, how, reason, handled) {
  const session = sessionOf(host);
  const [notHandled, unknown] = session.over;
  const ends = session.ends ?? [];
  session.over = [[], []];
  session.ends = null;
  session.current = 0;
  for (const controller of session.asked.values()) controller.abort();
  const contents = (all) => Object.freeze(all.map((message) => message.content));
  if (how === PLAIN) {
    host.emit('sessionunavailable', { unknown: contents(unknown) });
  } else {
    host.emit(how === FINAL ? 'sessionend' : 'sessionlost', {
      reason,
      handled,
      notHandled: contents(notHandled),
      unknown: contents(unknown),
    });
  }
  for (const end of ends) end();
}

export function undelivered(host, message, isUnknown, reason) {
  host.emit('undelivered', { message: message.content, isUnknown: isUnknown === 1, reason });
}

// --- The class ---------------------------------------------------------------------------------------------------

/** A promise that nobody need handle. */
export function hushed(promise) {
  promise.catch(() => {});
  return promise;
}

function signalOf(who, options, names) {
  const { signal } = dictionary(who, options, 'the options', names);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw wrongKind(who, 'option signal', signal, 'an AbortSignal');
  }
  return signal;
}

/** Why a message that waited for a core was dropped, in the words of the core. */
const DROPPED = {
  closed: 'the session is over',
  expired: 'its time was over before it was sent',
  overflow: 'newer messages took its place in the queue',
};

/** Sends a message whose end somebody awaits: a delivery or a request. */
function post(socket, session, mark, data, value, options, ended) {
  return hushed(
    new Promise((resolve, reject) => {
      const { signal } = options;
      signal?.throwIfAborted();
      const onAbort = () => {
        if (!message.isSent) message.isWithdrawn = true;
        else if (inner.ask(socket, (core) => core.cancel?.(message.id))) message.isWithdrawn = true;
        // Nobody awaits its end any more, so an event reports it if that comes to it.
        session.awaited.delete(message.id);
        session.unsettled.delete(message);
        reject(signal.reason);
      };
      const message = toMessage(session.who, data);
      message.keep();
      message.mark = mark;
      message.value = value;
      message.settle = (end, detail) => {
        if (!session.unsettled.delete(message)) return;
        signal?.removeEventListener('abort', onAbort);
        ended(end, detail, resolve, reject);
      };
      message.fail = (error) => {
        session.unsettled.delete(message);
        signal?.removeEventListener('abort', onAbort);
        reject(error);
      };
      // There is no core yet, or none any more.
      message.dropped = (reason) => {
        const isLate = mark === ASKS && reason === 'expired';
        message.settle(isLate ? TIMED_OUT : NOT_HANDLED, DROPPED[reason]);
        return true;
      };
      session.unsettled.add(message);
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        if (inner.post(socket, message, options.timeout ?? NaN) === TOO_LATE) {
          message.dropped('closed');
        }
      } catch (error) {
        message.fail(error);
        return;
      }
    }),
  );
}

export function needSession(socket, method) {
  const session = inner.session(socket);
  if (!session) {
    throw new TypeError(`${method} needs a session; ask for one with the option session`);
  }
  return session;
}

/** Delivers encoded data. */
export function deliverData(socket, data, value, options) {
  const session = needSession(socket, 'deliver');
  const signal = signalOf(session.who, options, ['signal']);
  return post(socket, session, AWAITED, data, value, { signal }, (end, why, resolve, reject) => {
    const sent = value ? value[0] : data;
    if (end === HANDLED) resolve();
    else reject(new (end === NOT_HANDLED ? NotHandledError : UnknownEndError)(session.who, why, sent));
  });
}

/** Makes a request of encoded data. */
export function requestData(socket, data, value, options) {
  const session = needSession(socket, 'request');
  const signal = signalOf(session.who, options, ['signal', 'timeout']);
  const { timeout } = options ?? {};
  const row = { ...WINDOW, name: 'timeout', unit: ' ms', default: NaN };
  const given = { signal, timeout: toNumber(session.who, row, timeout) };
  return post(socket, session, ASKS, data, value, given, (end, detail, resolve, reject) => {
    const sent = value ? value[0] : data;
    const fail = (code, what, error) => reject(new RequestError(session.who, code, what, error));
    switch (end) {
      case RESPONSE:
        // No exception may reach the core.
        try {
          resolve(session.decode(detail));
        } catch (error) {
          reject(error);
        }
        break;
      case ERROR:
        Promise.resolve(detail)
          .then((error) => session.decode(error))
          .then((error) => fail('application', 'the other end has answered with an error', error), reject);
        break;
      case REFUSED:
        fail('refused', REFUSALS[detail] ?? 'the other end has refused it');
        break;
      case CANCELLED:
        fail('cancelled', 'it was cancelled');
        break;
      case TIMED_OUT:
        fail('timed-out', 'no answer came in time');
        break;
      case NOT_HANDLED:
        reject(new NotHandledError(session.who, detail, sent));
        break;
      default:
        reject(new UnknownEndError(session.who, detail, sent));
    }
  });
}

/** Something may read messages now, or is done with one. */
export function reading(socket) {
  const session = inner.session(socket);
  if (!session) return;
  if (session.current > 0 && !session.isBusy()) {
    const id = session.current;
    session.current = 0;
    inner.ask(socket, (core) => core.handled?.(id));
  }
  if (session.reads()) inner.ask(socket, (core) => core.read?.());
}

/** Answers the requests of the other end. */
export function handleWith(socket, handler) {
  const session = needSession(socket, 'handle');
  if (!isFunction(handler)) throw wrongKind(session.who, 'the handler', handler, 'a function');
  session.handler = handler;
}

/** The events that sockets have more in this entry. */
const EVENTS = [
  'sessionstart',
  'resumed',
  'sessionlost',
  'sessionend',
  'sessionunavailable',
  'undelivered',
  'pendingchange',
  'stalled',
  'discarded',
];

function watch(socket, type) {
  const session = inner.session(socket);
  if (session && type === 'pendingchange') session.isWatched = true;
}

const { addEventListener } = ReconnectingWebSocket.prototype;

/** What `ReconnectingWebSocket` has more in this entry. */
const METHODS = {
  addEventListener(type, ...rest) {
    Reflect.apply(addEventListener, this, [type, ...rest]);
    watch(this, String(type));
  },
  deliver(data, options = undefined) {
    return deliverData(this, data, null, options);
  },
  request(data, options = undefined) {
    return requestData(this, data, null, options);
  },
  handle(handler) {
    handleWith(this, handler);
  },
  sendCredential(credential) {
    const session = needSession(this, 'sendCredential');
    if (!/^[!-~]{1,4096}$/.test(String(credential))) {
      throw new TypeError(`${session.who}: the credential takes 1 to 4096 printable ASCII characters, without a space`);
    }
    inner.ask(this, (core) => core.credential?.(String(credential)));
  },
};

for (const [name, value] of Object.entries(METHODS)) {
  Object.defineProperty(ReconnectingWebSocket.prototype, name, { value, writable: true, configurable: true });
}
makeEnumerable(ReconnectingWebSocket.prototype);
defineHandlers(
  ReconnectingWebSocket.prototype,
  EVENTS,
  (socket) => inner.session(socket),
  (socket, type) => {
    watch(socket, type);
    return true;
  },
);

provideSessions((...given) => new Session(...given));
