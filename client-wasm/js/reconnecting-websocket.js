// The class that JavaScript programs use. It decides only what has to be known before the WebAssembly module is loaded;
// the core, in Rust, decides everything else.

import { dictionary, isFunction, wrongKind } from './check.js';
import {
  checkAsked,
  checkClose,
  checkIsHeartbeat,
  checkMixedContent,
  checkProtocols,
  checkVerdict,
  HEARTBEAT,
  KEEPALIVE,
  parseUrl,
  toCloseCode,
  toHeartbeat,
  toMessage,
  toModuleSource,
  toOptions,
  toProtocols,
  toProvidedUrl,
  toSendOptions,
  toText,
} from './convert.js';
import {
  Target,
  closeEvent,
  defineHandlers,
  dispatch,
  handle,
  makeEnumerable,
  messageEvent,
  plainEvent,
  report,
} from './events.js';
import {
  alive,
  atEnd,
  begin,
  bury,
  call,
  checkRoom,
  checkWorking,
  cleanUp,
  hasFailedForGood,
  isExhausted,
  keep,
  letGo,
  moduleFailed,
  whyFailed,
} from './failure.js';
import { saidOf } from './host.js';
import {
  ASK_MATCHER,
  ASK_PING,
  ASK_TARGET,
  ASK_VERDICT,
  ATTEMPT,
  BUFFERED_AMOUNT,
  BYTES_RECEIVED,
  CLOSE,
  CLOSED,
  CLOSING,
  CONNECTING,
  COUNTERS,
  FULL,
  IDLE,
  MESSAGES_RECEIVED,
  READY,
  READY_STATE,
  RECONNECT,
  RESUME,
  START,
  STATE,
  STATES,
  SUSPEND,
  SUSPENDED,
  REFUSED,
  TAKEN,
  TOO_LATE,
  WAITING,
  WAKE,
  WHY_REQUESTED,
} from './names.js';
import {
  ALLOW_INSECURE,
  MAX_QUEUED_BYTES,
  MAX_QUEUED_MESSAGES,
  MESSAGE_TTL,
  OPTIONS,
  STABLE_AFTER,
  START_CLOSED,
} from './options.js';
import { abandonAll, nameOf, now, openEarly, readText, write } from './platform.js';
import { Probe } from './probe.js';
import { WaitingRoom } from './waiting-room.js';

/** The prefix of errors, unless the program called another class of the package. */
const CLASS = 'ReconnectingWebSocket';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

// --- Loading the module -------------------------------------------------------------------------------------

/** How long loading may take, in milliseconds. The declarations of `load` and the package's readme state it, too. */
const LOAD_TIMEOUT = 30_000;

/** Whether there has ever been an instance of the module. */
let wasLoaded = false;
/**
 * Loads the module. Without a loader, the importing code does that at a time of its choosing, and handles its failures.
 */
let loader = null;
/** The promise of the load in progress. */
let loading = null;
/** Settles when the last loader has, even if nothing waits for it any more. */
let lastLoader = Promise.resolve();
/** Where the program said to load the module from. */
let source;
/** Calls that wait for the module: `{ resolve, reject }`. */
const waiting = [];

/** The last console message about a module that cannot be loaded. */
let lastComplaint = '';

/** Why the module cannot be loaded, if retrying would not help. */
class Hopeless extends Error {}

/** Called by the module when it starts, with the function that calls it back. */
export function provideCore(given) {
  begin(given, abandonAll);
  wasLoaded = true;
  lastComplaint = '';
  // Later, when the loader has finished its work after the start. By a promise, since a test's fake timers may hold
  // back other microtasks.
  Promise.resolve().then(() => settle(({ resolve }) => resolve()));
}

/**
 * Sets the function that loads the module when it is first needed. The function returns a promise. It receives an
 * `AbortSignal`, and has to give up when that aborts, since it is not called again before; and the source that the
 * program specified, if any: an absolute URL as a string, a `Response`, bytes or a `WebAssembly.Module`.
 *
 * @returns the exports of the package, and what its other modules need: returned by a call, so that a bundler that
 *   drops modules which only re-export does not drop the one that calls this
 */
export function setLoader(loadModule) {
  loader = loadModule;
  return { ReconnectingWebSocket, load, inner, atEnd, Hopeless };
}

/** Loads the module, unless it is loaded or being loaded. The next call retries a failed load. */
export function load(options = undefined) {
  // Exceptions thrown here become rejections.
  return new Promise((resolve, reject) => {
    checkWorking();
    const { module } = dictionary(CLASS, options, 'the options of load', ['module']);
    if (module !== undefined) loadFrom(toModuleSource(CLASS, module));
    if (call) {
      resolve();
      return;
    }
    waiting.push({ resolve, reject });
    if (loader && !loading) loading = runLoader();
  });
}

/** @throws {DOMException} `InvalidStateError` if it is too late */
function loadFrom(given) {
  if (given === source) return;
  // Nothing may be there, or not yet, to handle a rejection.
  Promise.resolve(given).catch(() => {});
  const refuse = (why) => new DOMException(`${CLASS}: option module: ${why}`, 'InvalidStateError');
  if (!loader) throw refuse('without the npm package, give the module to the init function of wasm-pack');
  if (wasLoaded || loading) {
    const state = wasLoaded ? 'is already loaded' : 'is already being loaded';
    throw refuse(
      `the WebAssembly module ${state} from elsewhere; give it before the first socket and the first load()`,
    );
  }
  source = given;
}

/** A promise that rejects when the signal aborts. */
function aborted(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

async function runLoader() {
  const limit = new AbortController();
  const { signal } = limit;
  const tooLate = aborted(signal);
  // Captured as a pair: a test may replace the globals before this ends.
  const { setTimeout, clearTimeout } = globalThis;
  const timer = setTimeout(() => limit.abort(new Error(`it took longer than ${LOAD_TIMEOUT / 1000} s`)), LOAD_TIMEOUT);
  /** Whether the program passed the module itself rather than its location: a retry would get the same. */
  let isFixed = source !== undefined;
  // One after the other: a module that starts late would replace the one whose sockets are in use.
  const attempt = lastLoader.then(async () => {
    signal.throwIfAborted();
    if (call) return;
    const from = source && toModuleSource(CLASS, await Promise.race([source, tooLate]), true);
    if (typeof from === 'string') isFixed = false;
    await loader(signal, from);
  });
  lastLoader = attempt.catch(() => {});
  try {
    await Promise.race([attempt, tooLate]);
    if (!call) throw new Error('it was loaded, but did not start');
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : NO_ERROR;
    const isHopeless = !signal.aborted && (isFixed || cause instanceof Hopeless);
    const Kind = isHopeless ? Hopeless : Error;
    const error = new Kind(`the WebAssembly module of steady-socket could not be loaded: ${what}`, { cause });
    settle(({ reject }) => reject(error));
  } finally {
    clearTimeout(timer);
    loading = null;
  }
}

function settle(how) {
  for (const call of waiting.splice(0)) how(call);
}

// --- The class ----------------------------------------------------------------------------------------------

/** How many sockets were created, for the log. */
let made = 0;

/** Why there is no further attempt if none can help. */
const IN_VAIN = 'no retry can help';

/** Advice for a module that cannot be loaded; the error comes before it. */
const ADVICE =
  'Put steady-socket.wasm where it is looked for, give its place to load({ module }), or import steady-socket/inline';

/**
 * Operations on a socket for the package's other modules: `receive(socket, receiver)` calls a function with the data of
 * every message, in place of the listeners; `limit(socket, name)` returns the value of an option of the table.
 */
export const inner = {};

/**
 * The platform's `WebSocket` property at the time of import: a program may put this class in its place. The getter is
 * not called here, since Node would then load its class.
 */
const NATIVE = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
/** The classes of which a socket is being constructed right now. */
const making = [];
/** Classes that construct sockets of this class, which would recurse without end. */
const endless = new WeakSet();

/** Whether a class leads back to this one: it is this class, a subclass, or a proxy in front of it. */
function leadsBack(Class) {
  const { prototype } = Class;
  return (
    endless.has(Class) || prototype === ReconnectingWebSocket.prototype || prototype instanceof ReconnectingWebSocket
  );
}

/** The platform's class, if known. */
function native() {
  const Class = NATIVE?.get ? nativeByGetter() : NATIVE?.value;
  return isFunction(Class) && !leadsBack(Class) ? Class : undefined;
}

/** Whether the sockets made with this option are the platform's own. */
function isNative(option) {
  const { WebSocket } = globalThis;
  return option === undefined && (leadsBack(WebSocket) || WebSocket === native());
}

function nativeByGetter() {
  const present = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  try {
    return Reflect.apply(NATIVE.get, globalThis, []);
  } finally {
    // Node's getter overwrites the property with the class it returns.
    Object.defineProperty(globalThis, 'WebSocket', present);
  }
}

/** Called by the core with a message and the host that it is for. */
export let received;

/** Makes what a socket knows of its session. */
let makeSession = (_, who) => {
  throw new TypeError(`${who}: option session takes the class of steady-socket/session`);
};

/** Called by the module that has sessions. */
export function provideSessions(make) {
  makeSession = make;
}

export class ReconnectingWebSocket extends Target {
  /** The prefix of its errors: the class name by the tag, which for a subclass is the subclass's. */
  #class = Object.prototype.toString.call(this).slice('[object '.length, -1);
  /** The core, or the waiting room that stands in for it. */
  #core;
  /** The host, which the core calls back. */
  #host;
  #options;
  /** The validated URL, or the function that provides it. */
  #urlSource;
  #protocolsSource;
  #url = '';
  #protocol = '';
  #extensions = '';
  #binaryType = 'blob';
  /** Bytes passed to `send` too late, which `bufferedAmount` counts, as the standard says. */
  #discarded = 0;
  /** The instance of the module to which the core belongs. */
  #life = null;
  /** The counters, for the next instance of the module. */
  #counts = COUNTERS.map((name) => Number(name === 'attempt'));
  /** `CLOSE` or `SUSPEND`, if that was the last command. */
  #leaving = NaN;
  /** How the last connection or attempt ended, as far as the core cannot know it. */
  #lost = null;
  /** Why the module last failed to load. */
  #loadError = '';
  /** The messages and bytes in the queue, as last reported. */
  #reportedQueue = [0, 0];
  #probe;
  #onAbort = () => this.close();
  /** Receives the messages if they do not become events. */
  #receiver = null;
  /** The function that `onmessage` calls. */
  #messageHandler = null;
  /** Whether another listener for messages was ever added through this class's own method. */
  #hasMessageListeners = false;
  /** The event that `onmessage` is handling, until it is dispatched. */
  #handled = null;
  #name;
  /** What is known of the session; `undefined` without one. */
  #session;

  constructor(url, protocols = [], options = undefined) {
    super();
    checkRoom();
    if (arguments.length === 0) throw new TypeError(`${this.#class}: the URL is missing`);
    const urlSource = isFunction(url) ? url : toText(url);
    const toSource = (value) => (isFunction(value) ? value : toProtocols(this.#class, value));
    let protocolsSource = toSource(protocols);
    checkWorking();
    const twice = (what) => new TypeError(`${this.#class}: the ${what} are given twice; give them once`);
    if (!protocolsSource && (options ?? null) !== null) throw twice('options');
    this.#options = toOptions(this.#class, protocolsSource ? options : protocols);
    const { session } = this.#options;
    if (session !== undefined) {
      this.#session = makeSession(this, this.#class, session, this.#options.numbers);
      this.#receiver = this.#session.receiver;
    }
    if ((this.#options.protocols ?? null) !== null) {
      if (protocolsSource?.length > 0 || isFunction(protocolsSource)) throw twice('sub-protocols');
      protocolsSource = toSource(this.#options.protocols) ?? this.#noProtocols(this.#options.protocols);
    }
    protocolsSource ??= [];
    this.#urlSource = isFunction(urlSource) ? urlSource : parseUrl(this.#class, urlSource);
    this.#protocolsSource = isFunction(protocolsSource)
      ? protocolsSource
      : checkProtocols(this.#class, protocolsSource);
    const { WebSocket = globalThis.WebSocket } = this.#options;
    if (!isFunction(WebSocket)) {
      throw new TypeError(
        `${this.#class}: there is no global WebSocket here; give a constructor in the option WebSocket`,
      );
    }
    if (making.includes(WebSocket)) endless.add(WebSocket);
    if (making.includes(WebSocket) || (leadsBack(WebSocket) && (this.#options.WebSocket || !native()))) {
      throw new TypeError(
        `${this.#class}: the class of its sockets makes sockets of ${CLASS}; give the platform's own in the option, WebSocket: native`,
      );
    }
    if (!isFunction(this.#urlSource)) {
      this.#checkMixedContent(this.#urlSource);
      this.#url = this.#urlSource;
    }
    made += 1;
    this.#name = `steady-socket #${made}`;
    const { diagnose, diagnoseAfter } = this.#options;
    if (diagnose === true) checkAsked(this.#class, this.#urlSource);
    this.#probe = new Probe(
      this.#class,
      diagnose,
      diagnoseAfter,
      (diagnosis) => dispatch(this, plainEvent('diagnosis', { diagnosis })),
      () => this.#ask((core) => core.command(WAKE)),
    );
    this.#enterWaitingRoom();
    const { signal } = this.#options;
    if (this.#options.numbers[START_CLOSED]) {
      // It has a queue, which closing empties.
      signal?.addEventListener('abort', this.#onAbort);
      return;
    }
    if (signal?.aborted) {
      for (const what of [START, CLOSE]) this.#core.command(what);
    } else {
      this.#begin(START);
      // What wasm-pack's own `init` loads may never come.
      if (
        loader &&
        !call &&
        !this.#session &&
        !(this.#host.questions & ASK_TARGET) &&
        isNative(this.#options.WebSocket)
      )
        openEarly(this.#host);
    }
  }

  // --- The interface of WebSocket

  get url() {
    return this.#url;
  }

  get protocol() {
    return this.#ofTheSocket('protocol') ?? this.#protocol;
  }

  get extensions() {
    return this.#ofTheSocket('extensions') ?? this.#extensions;
  }

  get readyState() {
    return this.#read(READY_STATE);
  }

  get bufferedAmount() {
    return this.#read(BUFFERED_AMOUNT) + this.#discarded;
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(value) {
    ReconnectingWebSocket.#check(this);
    const type = toText(value);
    // Web IDL ignores invalid values of an enumeration.
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    if (this.#session) return;
    this.#host.binaryType = type;
    if (this.#host.socket) write(this.#host.socket, 'binaryType', type);
  }

  send(data, options = undefined) {
    ReconnectingWebSocket.#check(this);
    if (arguments.length === 0) throw new TypeError(`${this.#class}: send has nothing to send`);
    this.#send(data, options);
  }

  /** If there is a value, it is what comes back if the message is dropped. */
  #send(data, options, ...value) {
    checkWorking();
    const message = toMessage(this.#class, data);
    if (value.length > 0) message.value = value;
    const host = this.#host;
    // Before any code of the program runs, in the options or in the core.
    if (!host.lends || options !== undefined) message.keep();
    const { first, volatile, ttl } = options === undefined ? IN_ORDER : toSendOptions(this.#class, options);
    this.#post(message, first, volatile, ttl);
  }

  #post(message, first, volatile, ttl) {
    this.#session?.check(message);
    const host = this.#host;
    const { bytes } = message;
    // If the module fails meanwhile, the waiting room gets the message, unless a socket has it.
    const handed = this.#askNow((core) => (message.isSent ? TAKEN : core.send(message, bytes, first, volatile, ttl)));
    if (handed === FULL) throw this.#full(bytes);
    if (handed === REFUSED) throw this.#session.refused;
    if (message.isSent) return handed;
    // It waits, or is reported as dropped.
    message.keep();
    if (handed === TOO_LATE) this.#discarded += bytes;
    if (message.host === null) message.wait(host, first, volatile, this.#expiry(ttl));
    return handed;
  }

  /** The time when a message expires. */
  #expiry(ttl) {
    return now() + (ttl >= 0 ? ttl : this.#options.numbers[MESSAGE_TTL]);
  }

  close(code = undefined, reason = undefined) {
    this.#command(CLOSE, code, reason);
  }

  addEventListener(type, ...rest) {
    const name = toText(type);
    if (name === 'message') this.#listen();
    super.addEventListener(name, ...rest);
  }

  dispatchEvent(event) {
    // The handler also gets events that the program dispatches itself.
    if (event?.type === 'message') this.#listen();
    return super.dispatchEvent(event);
  }

  // --- Beyond WebSocket

  get state() {
    return STATES[this.#read(STATE)];
  }

  reconnect(code = undefined, reason = undefined) {
    ReconnectingWebSocket.#check(this);
    checkWorking();
    const closing = this.#toClosing(code, reason);
    const { signal } = this.#options;
    // The signal cannot abort a second time, so nothing could stop the new connection.
    if (signal?.aborted)
      throw signal.reason ?? new DOMException(`${this.#class}: its signal was aborted`, 'AbortError');
    this.#discarded = 0;
    this.#begin(RECONNECT, ...closing);
  }

  /** @throws {TypeError} */
  #noProtocols(value) {
    throw wrongKind(this.#class, 'the sub-protocols', value, 'a string or an array of strings');
  }

  /** Converts the arguments of `close`, `suspend` and `reconnect`; for the core, a negative code means none. */
  #toClosing(code, reason) {
    const closing = [toCloseCode(code), reason === undefined ? '' : toText(reason)];
    checkClose(this.#class, ...closing);
    return [closing[0] ?? -1, closing[1]];
  }

  suspend(code = undefined, reason = undefined) {
    this.#command(SUSPEND, code, reason);
  }

  resume() {
    checkWorking();
    if (this.state === 'suspended') this.#begin(this.#life ? RESUME : START);
  }

  ready() {
    checkWorking();
    this.#ask((core) => core.command(READY));
  }

  snapshot() {
    checkWorking();
    const snapshot = { state: this.state };
    COUNTERS.forEach((name, index) => {
      snapshot[name] = this.#read(index);
    });
    if (Number.isNaN(snapshot.nextAttemptIn)) snapshot.nextAttemptIn = null;
    return Object.assign(snapshot, this.#session?.counts());
  }

  /** Closes or suspends. */
  #command(what, code, reason) {
    ReconnectingWebSocket.#check(this);
    const closing = this.#toClosing(code, reason);
    // Once it is closing, it is too late to suspend.
    if (this.#leaving !== CLOSE) this.#leaving = what;
    this.#askNow((core) => core.command(what, ...closing));
  }

  // --- The core, and the waiting room that stands in for it

  #read(index) {
    return this.#ask((core) => core.counter(index));
  }

  /** Asks the core if its instance of the module works and keeps working; otherwise asks the waiting room. */
  #ask(question) {
    checkRoom();
    return this.#askNow(question);
  }

  /** The same, after the stack was checked for room. */
  #askNow(question) {
    for (;;) {
      if (this.#life !== call) {
        cleanUp();
        this.#fail([]);
      }
      const [core, life] = [this.#core, this.#life];
      if (!life) return question(core);
      try {
        const answer = question(core);
        if (life === call) return answer;
      } catch (error) {
        moduleFailed(life, error);
        // The program's own fault.
        if (isExhausted(error)) throw error;
      }
    }
  }

  /** Starts or reconnects: at once, or as soon as there is a core. */
  #begin(how, ...given) {
    this.#leaving = NaN;
    this.#keep();
    if (call && !this.#life) this.#moveIntoCore();
    this.#ask((core) => core.command(how, ...given));
  }

  /** Loads the module, for the waiting room. */
  #load() {
    const room = this.#core;
    load()
      .then(
        () => {
          // Closed meanwhile, or another call of `load` was first.
          if (this.#core !== room || room.state !== CONNECTING) return;
          if (this.#moveIntoCore()) this.#ask((core) => core.command(START));
        },
        (error) => {
          if (this.#core !== room || room.state !== CONNECTING) return;
          this.#loadError = error.message;
          const isHopeless = error instanceof Hopeless;
          if (isHopeless) room.end('load-failed', IN_VAIN);
          else room.lose('load-failed');
          if (room.state === CLOSED && lastComplaint !== error.message) {
            lastComplaint = error.message;
            // A message about a policy already contains its advice.
            console.error(`steady-socket: ${lastComplaint}${lastComplaint.includes('policy') ? '' : `. ${ADVICE}`}`);
          }
        },
      )
      .catch(report);
  }

  /** Moves into the core; returns whether there is one now. */
  #moveIntoCore() {
    const [room, life] = [this.#core, call];
    try {
      [this.#core, this.#life] = [room.moveOut(), life];
    } catch (error) {
      moduleFailed(life, error);
      room.lose('internal-error');
      if (isExhausted(error)) throw error;
    }
    return this.#core !== room;
  }

  #enterWaitingRoom() {
    this.#host = this.#makeHost();
    this.#core = new WaitingRoom(this.#host, this.#options.numbers, this);
    this.#life = null;
  }

  /** The instance of the module has failed: what was known lives on without it, and so does the connection. */
  #fail(held) {
    const earlier = this.#host;
    this.#session?.failed(earlier, held);
    if (!this.#life) {
      // This socket was not on an instance, but may have waited for one.
      if (hasFailedForGood() && this.#core.counter(READY_STATE) === 0) this.#core.end('internal-error', IN_VAIN);
      return;
    }
    if (this.#life === call) return;
    bury(this.#core);
    const isOver = earlier.owner === null;
    // What the failing core still reports goes to the earlier host, to which nothing listens.
    this.#enterWaitingRoom();
    const [room, host] = [this.#core, this.#host];
    if (isOver) {
      room.state = CLOSED;
      return;
    }
    host.owner = this;
    room.takeOver(earlier, held);
    const { before, openedAt, phase, wait } = earlier;
    if (before && now() - openedAt >= this.#options.numbers[STABLE_AFTER]) this.#counts[ATTEMPT] = 1;
    if (hasFailedForGood()) room.end('internal-error', IN_VAIN);
    else if (this.#leaving === CLOSE || phase === CLOSING || phase === CLOSED)
      room.end('internal-error', WHY_REQUESTED);
    else if (this.#leaving === SUSPEND || phase === SUSPENDED) room.command(SUSPEND, phase === SUSPENDED);
    else room.lose('internal-error', phase === WAITING ? wait : undefined);
  }

  /** A field of the current socket; `null` if there is none. */
  #ofTheSocket(field) {
    const { socket } = this.#host;
    // An early socket may be open before the core tells of it.
    return socket && (this.readyState === 0 ? '' : readText(socket, field));
  }

  #checkMixedContent(url) {
    checkMixedContent(this.#class, url, Boolean(this.#options.numbers[ALLOW_INSECURE]));
  }

  #full(bytes) {
    if (this.#options.numbers[MAX_QUEUED_MESSAGES] === 0 && this.readyState === 0) {
      return new DOMException(
        `${this.#class}: it is not open, and with maxQueuedMessages: 0 nothing can wait`,
        'InvalidStateError',
      );
    }
    const { queuedMessages, queuedBytes } = this.snapshot();
    const { numbers } = this.#options;
    return new DOMException(
      `${this.#class}: the queue has no room for ${bytes} bytes: it holds ${queuedMessages} of ${numbers[MAX_QUEUED_MESSAGES]} messages and ${queuedBytes} of ${numbers[MAX_QUEUED_BYTES]} bytes`,
      'QuotaExceededError',
    );
  }

  // --- Life

  /** Keeps this object from being collected as long as it may have events. */
  #keep() {
    keep(this, (held) => this.#fail(held));
    this.#host.owner = this;
    this.#options.signal?.addEventListener('abort', this.#onAbort);
  }

  #letGo() {
    letGo(this);
    this.#host.owner = null;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** Creates the host, which the core calls back. The host itself does not keep this object from being collected. */
  #makeHost() {
    const self = new WeakRef(this);
    const forward =
      (method) =>
      (...given) => {
        const socket = self.deref();
        if (!socket || socket.#host !== host) return undefined;
        try {
          return method(socket, ...given);
        } catch (error) {
          // No exception may reach the core.
          report(error);
          return undefined;
        }
      };
    const { debug, heartbeatMessage, isHeartbeat, keepaliveMessage, numbers, shouldReconnect } = this.#options;
    const options = this.#options;
    const isStatic = !isFunction(this.#urlSource) && !isFunction(this.#protocolsSource) && !this.#session?.asks;
    const host = {
      numbers,
      /** Whether messages are delivered as data rather than events. */
      takesData: this.#receiver !== null,
      /** The object, which this does not keep from being collected. */
      self,
      /** The object, as long as it is kept anyway: dereferencing a weak reference takes longer. */
      owner: null,
      binaryType: this.#binaryType,
      questions:
        (isStatic ? 0 : ASK_TARGET) +
        (shouldReconnect ? ASK_VERDICT : 0) +
        (heartbeatMessage === undefined ? 0 : ASK_PING) +
        (isHeartbeat ? ASK_MATCHER : 0),
      /** The URL and the sub-protocols of the next socket. */
      target: isStatic ? [this.#urlSource, ...this.#protocolsSource] : [],
      /** The current socket. */
      socket: null,
      /** The same socket with what it has reported, until there is a core: see `openEarly` in `platform.js`. */
      early: null,
      /** Whether it is open and the platform's, so that it may get the caller's own bytes. */
      lends: false,
      /** The socket that the core last let go of, until its end is reported. */
      left: null,
      /** What the socket's constructor, its `send` or the functions for its target last threw. */
      refusal: undefined,
      /** The last error of the current socket, if it has any details: `{ message, error }`. */
      said: null,
      /**
       * The same of the loss that `shouldReconnect` was asked about, until that is reported: it may have asked for the next
       * socket.
       */
      saidOfLost: null,
      /** Messages for the next `dropped` event. */
      dropping: [],
      /** The size of the last message received. */
      size: 0,
      counts: this.#counts,
      /** The state last reported, and the wait. */
      phase: IDLE,
      wait: null,
      /** Why the attempt that the core reports next began, if it began before there was a core. */
      begunBy: null,
      /** When the current connection opened, and what had been sent before. */
      openedAt: 0,
      before: null,
      load: forward((socket) => socket.#load()),
      makeSocket() {
        const [url, ...protocols] = host.target;
        // Omitted if there are none, like a program that offers none.
        const given = protocols.length > 0 ? [url, protocols] : [url];
        const { WebSocket: Class = globalThis.WebSocket } = options;
        host.said = null;
        host.socket = leadsBack(Class) ? undefined : construct(Class, given);
        if (leadsBack(Class)) host.socket = construct(native(), given);
        return host.socket;
      },
      resolve: forward((socket, ...given) => socket.#resolve(...given)),
      ping: forward((socket, keepalive) => {
        const message = keepalive ? keepaliveMessage : heartbeatMessage;
        return isFunction(message)
          ? toHeartbeat(socket.#class, keepalive ? KEEPALIVE : HEARTBEAT, message.call(undefined))
          : message;
      }),
      isHeartbeat: forward((socket, data) => checkIsHeartbeat(socket.#class, isHeartbeat.call(undefined, data))),
      verdict: forward((socket, lost) => checkVerdict(socket.#class, shouldReconnect.call(undefined, lost))),
      opened: forward((socket, ...given) => socket.#opened(...given)),
      emit: forward((socket, ...given) => dispatch(socket, plainEvent(...given))),
      closed: forward((socket, ...given) => socket.#closed(...given)),
      queueChanged: forward((socket, ...queue) => socket.#queueChanged(...queue)),
      log: debug && forward((socket, line) => socket.#log(line)),
    };
    this.#session?.attach(host);
    return host;
  }

  /**
   * Delivers an event. If no listener but the handler is known, the handler is called directly, which saves half of the
   * remaining cost (0.8 µs). The event is dispatched all the same, for listeners added by `EventTarget`'s own method;
   * dispatching it to no listeners costs a tenth of that.
   */
  #emitMessage(source) {
    const event = messageEvent(source);
    this.#handled = event;
    if (this.#messageHandler !== null && !this.#hasMessageListeners) handle(event, this, this.#messageHandler);
    if (this.#handled === event) this.#dispatchHandled();
  }

  /** Makes the handler, otherwise called directly, a regular listener. */
  #listen() {
    if (this.#hasMessageListeners) return;
    // The event being handled is for those who are listening already.
    if (this.#handled !== null) this.#dispatchHandled();
    this.#hasMessageListeners = true;
    const handler = Reflect.get(ReconnectingWebSocket.prototype, 'onmessage', this);
    for (const value of [null, handler]) Reflect.set(ReconnectingWebSocket.prototype, 'onmessage', value, this);
  }

  #dispatchHandled() {
    const event = this.#handled;
    this.#handled = null;
    dispatch(this, event);
  }

  #opened(reconnected, attempt) {
    this.#probe.reset();
    this.#protocol = this.protocol;
    this.#extensions = this.extensions;
    dispatch(this, plainEvent('open', { reconnected, attempt }));
  }

  #closed(lost, delay, why, unconfirmedMessages, unconfirmedBytes) {
    const { cause, error } = lost;
    this.#lost = lost;
    const diagnosis = this.#probe.ended(lost, this.#url);
    if (delay === null) this.#probe.reset();
    // Final, unless a handler of the state change requested a new connection.
    const isOver = delay === null && this.readyState === 3;
    if (isOver) this.#letGo();
    const { left } = this.#host;
    this.#host.left = null;
    dispatch(
      this,
      closeEvent(lost, {
        willReconnect: delay !== null || cause === 'suspended',
        delay,
        cause,
        explanation: this.#explain(cause, why, diagnosis),
        error,
        diagnosis,
        unconfirmedMessages,
        unconfirmedBytes,
      }),
    );
    // The server has not answered the close. Unless it is terminated, the socket waits for that answer and keeps the
    // program running: for half a minute with the package `ws`.
    const isUnanswered = isOver ? cause === 'close-timeout' : this.state === 'suspended' && !lost.wasClean;
    if (isUnanswered) left?.terminate?.();
  }

  #queueChanged(...queue) {
    const [queuedMessages, queuedBytes] = queue;
    if (queue.join() === this.#reportedQueue.join()) return;
    this.#reportedQueue = queue;
    dispatch(this, plainEvent('queuechange', { queuedMessages, queuedBytes }));
  }

  #explain(cause, why, diagnosis) {
    const what =
      diagnosis?.kind === 'permission'
        ? `this page is denied the permission ${diagnosis.name}`
        : this.#whatWentWrong(cause);
    return what && why !== IN_VAIN ? `${what}; ${why}` : (what ?? why);
  }

  #whatWentWrong(cause) {
    const { refusal } = this.#host;
    switch (cause) {
      case 'internal-error':
        return whyFailed();
      case 'load-failed':
        return this.#loadError;
      case 'provider':
        return PROVIDER_FAILED + (isError(refusal) ? `${refusal.name}: ${refusal.message}` : NO_ERROR);
      // By name alone, since the browser's message quotes the URL.
      case 'refused':
        return `the WebSocket constructor threw ${nameOf(refusal)}`;
      case 'send-failed':
        return `the socket's send threw ${nameOf(refusal)}`;
      case 'socket':
        return saidOf(this.#host)?.message;
      default:
        return undefined;
    }
  }

  /** Calls the functions; returns a promise of an array: the URL, then the sub-protocols. */
  async #resolve(attempt, lastClose, signal) {
    const context = Object.freeze({ attempt, lastClose: lastClose ?? this.#lost, signal });
    // Never inside the constructor or another method that the program is calling.
    await null;
    signal.throwIfAborted();
    const ask = async (source) => (isFunction(source) ? source.call(undefined, context) : source);
    // So that a function that never settles does not keep what waits for it alive for ever.
    const isOver = aborted(signal);
    try {
      const asked = Promise.all([ask(this.#urlSource), ask(this.#protocolsSource), this.#session?.ask(context)]);
      const [url, protocols] = await Promise.race([asked, isOver]);
      const target = [
        isFunction(this.#urlSource) ? toProvidedUrl(this.#class, url) : url,
        ...checkProtocols(this.#class, toProtocols(this.#class, protocols) ?? this.#noProtocols(protocols)),
      ];
      this.#checkMixedContent(target[0]);
      if (!signal.aborted) [this.#url] = target;
      return target;
    } catch (error) {
      if (!signal.aborted) {
        this.#host.refusal = error;
        // Without the message, which may quote the URL.
        this.#log(PROVIDER_FAILED + (isError(error) ? error.name : NO_ERROR));
      }
      throw error;
    }
  }

  #log(line) {
    try {
      this.#options.debug?.call(undefined, `${this.#name}: ${line}`);
    } catch (error) {
      report(error);
    }
  }

  static {
    // Not through `forward`, since it runs for every message: rest parameters cost 0.1 µs more.
    received = (host, message) => {
      alive();
      host.counts[MESSAGES_RECEIVED] += 1;
      host.counts[BYTES_RECEIVED] += host.size;
      const socket = host.owner ?? host.self.deref();
      if (!socket || socket.#host !== host) return;
      try {
        if (host.takesData) socket.#receiver(message);
        else socket.#emitMessage(message);
      } catch (error) {
        report(error);
      }
    };
    inner.receive = (socket, receiver) => {
      socket.#receiver = receiver;
      socket.#host.takesData = true;
    };
    inner.session = (socket) => socket.#session;
    inner.ask = (socket, question) => socket.#ask(question);
    inner.post = (socket, message, ttl) => socket.#post(message, false, false, ttl);
    inner.emitMessage = (socket, data, isRead) => {
      if (!isRead || socket.#hasMessageListeners || socket.#messageHandler !== null) {
        socket.#emitMessage({ data, origin: '', lastEventId: '' });
      }
    };
    inner.send = (socket, ...given) => socket.#send(...given);
    inner.limit = (socket, name) => socket.#options.numbers[OPTIONS.findIndex((row) => row.name === name)];
    makeEnumerable(this.prototype);
    for (const [name, value] of Object.entries(CONSTANTS)) {
      for (const holder of [this, this.prototype]) Object.defineProperty(holder, name, { value, enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
    const types = ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'queuechange', 'diagnosis'];
    defineHandlers(
      this.prototype,
      types,
      (object) => this.#check(object),
      (object, type, handler) => {
        if (type !== 'message') return true;
        object.#messageHandler = handler;
        return object.#hasMessageListeners;
      },
    );
  }

  /** Rejects a receiver of another class before anything else is examined, as the platform does. */
  static #check(object) {
    checkRoom();
    if (!(#core in object)) throw new TypeError(`Illegal invocation: receiver is not a ${CLASS}`);
  }
}

function construct(Class, given) {
  const depth = making.push(Class);
  try {
    return Reflect.construct(Class, given);
  } catch (error) {
    // This has found the class to recurse without end: do not try it again.
    if (endless.has(Class)) return undefined;
    throw error;
  } finally {
    making.length = depth - 1;
  }
}

const PROVIDER_FAILED = 'the function for the URL or the sub-protocols failed with ';
const NO_ERROR = 'something that is no Error';

function isError(thrown) {
  return thrown instanceof Error || thrown instanceof DOMException;
}

/** How a message is sent without options. */
const IN_ORDER = Object.freeze({ first: false, volatile: false, ttl: NaN });
