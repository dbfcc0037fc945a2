// The class that JavaScript programs use. What it decides itself is only what has to be known before the
// WebAssembly module is there; everything else is decided by the core, in Rust.

import {
  OPTION_NAMES, checkAsked, checkClose, checkIsHeartbeat, checkMixedContent, checkProtocols, checkVerdict, dictionary,
  HEARTBEAT, KEEPALIVE, isFunction, parseUrl, rowOf, toCloseCode, toHeartbeat, toMessage, toModuleSource, toNumber, toOptions,
  toProtocols, toProvidedUrl, toSendOptions, toText, wrongKind,
} from './convert.js';
import { Target, closeEvent, defineHandlers, dispatch, handle, messageEvent, plainEvent, report } from './events.js';
import {
  allowRestart, atEnd, begin, bury, call, checkRoom, checkWorking, cleanUp, hasFailedForGood, isExhausted, keep, letGo,
  moduleFailed, setAbandon, whyFailed,
} from './failure.js';
import { Encoded, keepBytes } from './lent.js';
import { COUNTERS, STATES, WHYS } from './names.js';
import { OPTIONS } from './options.js';
import { Probe } from './probe.js';
import { abandonAll, createCore, nameOf, now, readText, taken, write } from './ring.js';
import { CLOSED, FULL, TAKEN, WaitingRoom } from './waiting-room.js';

/** What errors begin with, unless the class of the package that the program called is another. */
const CLASS = 'ReconnectingWebSocket';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

// --- Loading the module -------------------------------------------------------------------------------------

/** Milliseconds that loading may take. The declarations of `load` and the package's readme tell it, too. */
const LOAD_TIMEOUT = 30_000;

/** An instance of the module was there, if it is not there now. */
let wasLoaded = false;
/** Loads the module; without one, whoever imports this does that, at a time of its own, and sees when it fails. */
let loader = null;
/** The promise of the load that is under way. */
let loading = null;
/** Settles when the last loader has, even if nobody waits for it any more. */
let lastLoader = Promise.resolve();
/** What the program has said that the module is to be loaded from. */
let source;
/** Calls that wait for the module: `{ resolve, reject }`. */
let waiting = [];

/** What the console was told last of a module that cannot be loaded. */
let told = '';

/** Why the module cannot be loaded, where to try again would not help. */
class Hopeless extends Error {}

/** Called by the module when it starts, with the function by which it is called back. */
export function provideCore(given) {
  begin(given);
  setAbandon(abandonAll);
  wasLoaded = true;
  told = '';
  // Later, when the loader has done what it does after the start. By a promise: a test's fake timers may hold other
  // microtasks back.
  Promise.resolve().then(() => settle(({ resolve }) => resolve()));
}

/**
 * Says how the module is loaded when it is first needed: by a function that returns a promise. It is given an
 * `AbortSignal`, and has to give up when that aborts, since until then it is not called again; and what the program
 * has said that it is to be loaded from, if it has: an absolute URL as a string, a `Response`, bytes or a
 * `WebAssembly.Module`.
 *
 * @returns what there is to export, and what the package's other modules share: by way of a call, so that a
 *   bundler that leaves out modules that do nothing but export again does not leave out the one that calls this
 */
export function setLoader(loadModule) {
  loader = loadModule;
  allowRestart();
  return { ReconnectingWebSocket, load, shared, atEnd, Hopeless };
}

/** Loads the module, if it is not there and not on its way. A failed load is tried again by the next call. */
export function load(options = undefined) {
  // What throws in here rejects.
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
  // Nobody may be there, or not yet, to see a promise reject.
  Promise.resolve(given).catch(() => {});
  const refuse = (why) => new DOMException(`${CLASS}: option module: ${why}`, 'InvalidStateError');
  if (!loader) throw refuse('without the package of which this is a part, give the module to the init function that wasm-pack made');
  if (wasLoaded || loading) {
    const state = wasLoaded ? 'is already loaded' : 'is already being loaded';
    throw refuse(`the WebAssembly module ${state} from elsewhere; give it before the first socket is made and before load() is called without it`);
  }
  source = given;
}

async function runLoader() {
  const limit = new AbortController();
  const { signal } = limit;
  const tooLate = new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // The pair of the moment: a test may put others in their place before this is over.
  const { setTimeout, clearTimeout } = globalThis;
  const timer = setTimeout(() => limit.abort(new Error(`it took longer than ${LOAD_TIMEOUT / 1000} s`)), LOAD_TIMEOUT);
  /** What the program has given is the same the next time: it is no place. */
  let isFixed = source !== undefined;
  // One after the other: a module that starts late would take the place of the one whose sockets are in use.
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
    const what = cause instanceof Error ? cause.message : 'an exception that is no Error';
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

/** How many sockets were made, for the log. */
let made = 0;

const START_CLOSED = rowOf('startClosed');
const MAX_MESSAGES = rowOf('maxQueuedMessages');
const MAX_BYTES = rowOf('maxQueuedBytes');
const ALLOW_INSECURE = rowOf('allowInsecure');
const STABLE_AFTER = rowOf('stableAfter');
const TTL = rowOf('messageTtl');
const OVERFLOW = rowOf('overflow');

const [ATTEMPT, SENT] = ['attempt', 'messagesSent'].map((name) => COUNTERS.indexOf(name));

const [REQUESTED] = WHYS;

/** What helps where the module cannot be loaded; what was wrong stands before it. */
const ADVICE = 'Put the file steady-socket.wasm where it is looked for, give its place to load({ module }), or import steady-socket/inline';

/**
 * What the package's other modules take from here beside the class: `receive(socket, receiver)` has a function
 * called with the data of every message, in place of the listeners; `limit(socket, name)` is the value of an option
 * of the table.
 */
const shared = { OPTION_NAMES, checkRoom, defineHandlers, dictionary, dispatch, plainEvent, report, toNumber, wrongKind };

/**
 * Where the platform has its class when this is imported: a program may put this class in its place. It is not asked for,
 * since Node then loads it.
 */
const NATIVE = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
/** The classes of which a socket is being made at this moment. */
const making = [];
/** Those that make sockets of this class with themselves, without an end. */
const endless = new WeakSet();

/** Whether sockets of a class are sockets of this one in the end: it is this one, extends it, or stands before it. */
function leadsBack(Class) {
  const { prototype } = Class;
  return endless.has(Class) || prototype === ReconnectingWebSocket.prototype || prototype instanceof ReconnectingWebSocket;
}

/** The platform's class, if it is known. */
function native() {
  const Class = NATIVE?.get ? nativeByGetter() : NATIVE?.value;
  return isFunction(Class) && !leadsBack(Class) ? Class : undefined;
}

function nativeByGetter() {
  const present = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
  try {
    return Reflect.apply(NATIVE.get, globalThis, []);
  } finally {
    // Node's puts what it gives in the place of whatever is there.
    Object.defineProperty(globalThis, 'WebSocket', present);
  }
}

export class ReconnectingWebSocket extends Target {
  /** What its errors begin with: the name of the class, by the tag, which is that of one that extends this. */
  #class = Object.prototype.toString.call(this).slice('[object '.length, -1);
  /** The core, or what stands in for it. */
  #core;
  /** The host: what the core calls back on. */
  #host;
  #options;
  /** The URL, checked, or the function that provides it. */
  #urlSource;
  #protocolsSource;
  #url = '';
  #protocol = '';
  #extensions = '';
  #binaryType = 'blob';
  /** Bytes given to `send` when it was too late, which `bufferedAmount` counts as the standard says. */
  #discarded = 0;
  /** The instance of the module that the core is of. */
  #life = null;
  /** The counters, for an instance of the module that comes after another. */
  #counts = COUNTERS.map((name) => Number(name === 'attempt'));
  /** `close` or `suspend`, if that was called and nothing else since. */
  #leaving = '';
  /** How the last connection or attempt ended, as far as the core cannot know it. */
  #lost = null;
  /** Why the module could not be loaded last. */
  #loadError = '';
  /** Messages and bytes that the queue was last reported to hold. */
  #toldQueue = [0, 0];
  #probe;
  #onAbort = () => this.close();
  /** What takes the messages, where they do not become events. */
  #receiver = null;
  /** What `onmessage` calls. */
  #messageHandler = null;
  /** Whether another listener for messages was ever added by the method of this class. */
  #hasMessageListeners = false;
  /** The event with which `onmessage` is being called, until the event is dispatched. */
  #handled = null;
  #name;

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
    if ((this.#options.protocols ?? null) !== null) {
      if (protocolsSource?.length > 0 || isFunction(protocolsSource)) throw twice('sub-protocols');
      protocolsSource = toSource(this.#options.protocols) ?? this.#noProtocols(this.#options.protocols);
    }
    protocolsSource ??= [];
    this.#urlSource = isFunction(urlSource) ? urlSource : parseUrl(this.#class, urlSource);
    this.#protocolsSource = isFunction(protocolsSource) ? protocolsSource : checkProtocols(this.#class, protocolsSource);
    const { WebSocket = globalThis.WebSocket } = this.#options;
    if (!isFunction(WebSocket)) {
      throw new TypeError(
        `${this.#class}: there is no global WebSocket here; give the constructor of one in the option WebSocket`,
      );
    }
    if (making.includes(WebSocket)) endless.add(WebSocket);
    if (making.includes(WebSocket) || (leadsBack(WebSocket) && (this.#options.WebSocket || !native()))) {
      throw new TypeError(`${this.#class}: the class of its sockets makes sockets of ${CLASS}; give the platform's own in the option, WebSocket: native`);
    }
    if (!isFunction(this.#urlSource)) {
      this.#checkMixedContent(this.#urlSource);
      this.#url = this.#urlSource;
    }
    made += 1;
    this.#name = `steady-socket #${made}`;
    const { diagnose, diagnoseAfter } = this.#options;
    if (diagnose === true) checkAsked(this.#class, this.#urlSource);
    this.#probe = new Probe(this.#class, diagnose, diagnoseAfter, (diagnosis) => dispatch(this, plainEvent('diagnosis', { diagnosis })), () => this.#ask((core) => core.wake()));
    this.#enterWaitingRoom();
    const { signal } = this.#options;
    if (this.#options.numbers[START_CLOSED]) {
      // It has a queue, which closing empties.
      signal?.addEventListener('abort', this.#onAbort);
      return;
    }
    if (signal?.aborted) {
      this.#core.start();
      this.#core.close();
    } else {
      this.#begin('start');
    }
  }

  // --- The interface of WebSocket

  get url() { return this.#url; }

  get protocol() { return this.#ofTheSocket('protocol') ?? this.#protocol; }

  get extensions() { return this.#ofTheSocket('extensions') ?? this.#extensions; }

  get readyState() { return this.#ask((core) => core.readyState); }

  get bufferedAmount() { return this.#ask((core) => core.bufferedAmount) + this.#discarded; }

  get binaryType() { return this.#binaryType; }

  set binaryType(value) {
    ReconnectingWebSocket.#check(this);
    const type = toText(value);
    // An enumeration of Web IDL ignores other values.
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    this.#host.binaryType = type;
    if (this.#host.socket) write(this.#host.socket, 'binaryType', type);
  }

  send(data, options = undefined) {
    ReconnectingWebSocket.#check(this);
    if (arguments.length === 0) throw new TypeError(`${this.#class}: send has nothing to send`);
    this.#send(data, options);
  }

  /** With a value, that is what comes back if the message is dropped. */
  #send(data, options, ...value) {
    checkWorking();
    const [content, bytes] = toMessage(this.#class, data);
    const message = value.length === 0 ? content : new Encoded(content, value[0]);
    // Before anything of the program's runs, in the options or in the core.
    if (!this.#host.lends || options !== undefined) keepBytes(message);
    const { first, volatile, ttl } = options === undefined ? IN_ORDER : toSendOptions(this.#class, options);
    const host = this.#host;
    const [outer, outerBytes] = [host.passing, host.passingBytes];
    [host.passing, host.passingBytes] = [message, bytes];
    let handed;
    let hasGone;
    try {
      // Where the module fails meanwhile, this comes to what stands in for the core, unless the socket has it.
      handed = this.#askNow((core) => (host.passing === null ? TAKEN : core.send(message, bytes, first, volatile, ttl)));
      hasGone = host.passing === null;
    } finally {
      [host.passing, host.passingBytes] = [outer, outerBytes];
    }
    switch (handed) {
      case FULL: throw this.#full(bytes);
      case CLOSED:
        this.#discarded += bytes;
        // It is reported.
        keepBytes(message);
        break;
      default:
        if (hasGone) return;
        keepBytes(message);
        if (host === this.#host && !(this.#core instanceof WaitingRoom)) {
          this.#hold({ data: message, bytes, first, expires: now() + (ttl >= 0 ? ttl : this.#options.numbers[TTL]) }, volatile);
        }
    }
  }

  close(code = undefined, reason = undefined) { this.#command('close', code, reason); }

  addEventListener(type, ...rest) {
    const name = toText(type);
    if (name === 'message') this.#listen();
    super.addEventListener(name, ...rest);
  }

  dispatchEvent(event) {
    // A program's own event reaches the handler, too.
    if (event?.type === 'message') this.#listen();
    return super.dispatchEvent(event);
  }

  // --- Beyond it

  get state() {
    const state = this.#ask((core) => core.state);
    return STATES[state] ?? state;
  }

  reconnect(code = undefined, reason = undefined) {
    ReconnectingWebSocket.#check(this);
    checkWorking();
    const closing = this.#toClosing(code, reason);
    const { signal } = this.#options;
    // It cannot abort a second time, so nothing could stop the new connection.
    if (signal?.aborted) throw signal.reason ?? new DOMException(`${this.#class}: its signal was aborted`, 'AbortError');
    this.#discarded = 0;
    this.#begin('reconnect', ...closing);
  }

  /** @throws {TypeError} */
  #noProtocols(value) {
    throw wrongKind(this.#class, 'the sub-protocols', value, 'a string or an array of strings');
  }

  /** The arguments of `close`, `suspend` and `reconnect`; for the core, a negative code is none. */
  #toClosing(code, reason) {
    const closing = [toCloseCode(code), reason === undefined ? '' : toText(reason)];
    checkClose(this.#class, ...closing);
    return [closing[0] ?? -1, closing[1]];
  }

  suspend(code = undefined, reason = undefined) { this.#command('suspend', code, reason); }

  resume() {
    checkWorking();
    if (this.state === 'suspended') this.#begin(this.#life ? 'resume' : 'start');
  }

  ready() {
    checkWorking();
    this.#ask((core) => core.ready());
  }

  snapshot() {
    checkWorking();
    const snapshot = { state: this.state };
    this.#ask((core) => COUNTERS.forEach((name, index) => { snapshot[name] = core.counter(index); }));
    if (Number.isNaN(snapshot.nextAttemptIn)) snapshot.nextAttemptIn = null;
    return snapshot;
  }

  /** Closes or suspends. */
  #command(name, code, reason) {
    ReconnectingWebSocket.#check(this);
    const closing = this.#toClosing(code, reason);
    // While it closes, it is too late to suspend.
    if (this.#leaving !== 'close') this.#leaving = name;
    this.#askNow((core) => core[name](...closing));
  }

  // --- The core, and what stands in for it

  /** Asks the core, if its instance of the module works and goes on doing so; otherwise what stands in for it. */
  #ask(question) {
    checkRoom();
    return this.#askNow(question);
  }

  /** The same where it was seen that the stack has room. */
  #askNow(question) {
    for (;;) {
      if (this.#life !== call) {
        cleanUp();
        this.#fail();
      }
      const [core, life] = [this.#core, this.#life];
      if (!life) return question(core);
      try {
        const answer = question(core);
        if (life === call) return answer;
      } catch (error) {
        moduleFailed(life, error);
        // That is the program's.
        if (isExhausted(error)) throw error;
      }
    }
  }

  /** The core has taken a message that no socket has: notes what it makes of it, by the same rule. */
  #hold(message, isVolatile) {
    const [host, { numbers }] = [this.#host, this.#options];
    const drop = ({ bytes }) => {
      host.untold[0] += 1;
      host.untold[1] += bytes;
    };
    const fits = () => host.held.length < numbers[MAX_MESSAGES] && host.heldBytes + message.bytes <= numbers[MAX_BYTES];
    const isNew = isVolatile || (!fits() && OPTIONS[OVERFLOW].choices[numbers[OVERFLOW]] === 'drop-newest');
    if (isNew || (numbers[OVERFLOW] > 0 && (numbers[MAX_MESSAGES] === 0 || message.bytes > numbers[MAX_BYTES]))) {
      drop(message);
      return;
    }
    while (numbers[OVERFLOW] > 0 && !fits()) {
      const [oldest] = host.held.splice(Math.max(host.held.findIndex(({ first }) => !first), 0), 1);
      host.heldBytes -= oldest.bytes;
      drop(oldest);
    }
    host.held.push(message);
    host.heldBytes += message.bytes;
  }

  /** Starts or reconnects: at once, or as soon as there is a core. */
  #begin(how, ...given) {
    this.#leaving = '';
    this.#keep();
    if (call && !this.#life) this.#moveIntoCore();
    this.#ask((core) => core[how](...given));
  }

  /** Loads the module, for what stands in for the core. */
  #load() {
    const room = this.#core;
    load().then(
      () => {
        // Closed meanwhile, or another call of `load` was first.
        if (this.#core !== room || room.state !== 'connecting') return;
        if (this.#moveIntoCore()) this.#ask((core) => core.start());
      },
      (error) => {
        if (this.#core !== room || room.state !== 'connecting') return;
        this.#loadError = error.message;
        if (hasFailedForGood()) {
          room.end('internal-error', whyFailed());
          return;
        }
        const isHopeless = error instanceof Hopeless;
        if (isHopeless) room.end('load-failed', error.message);
        else room.lose('load-failed');
        if (room.state === 'closed' && told !== error.message) {
          told = error.message;
          // What is said of a policy says what to do.
          console.error(`steady-socket: ${told}${told.includes('policy') ? '' : `. ${ADVICE}`}`);
        }
      },
    ).catch(report);
  }

  /** Whether there is a core now. */
  #moveIntoCore() {
    const [room, life] = [this.#core, call];
    try {
      const core = createCore(this.#host);
      room.moveInto(core);
      [this.#core, this.#life] = [core, life];
    } catch (error) {
      moduleFailed(life, error);
      [this.#host.held, this.#host.heldBytes, this.#host.isTold] = [[], 0, false];
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

  /** The instance of the module has failed: what it knew goes on without it, and so does the connection. */
  #fail() {
    const earlier = this.#host;
    if (!this.#life) {
      // Here it did not live on an instance, but it may have waited for one.
      if (hasFailedForGood() && this.#core.readyState === 0) this.#core.end('internal-error', whyFailed());
      return;
    }
    if (this.#life === call) return;
    bury(this.#core);
    const isOver = earlier.owner === null;
    // What the core still says on its way down is said to the earlier host, to which nobody listens.
    this.#enterWaitingRoom();
    const [room, host, counts] = [this.#core, this.#host, this.#counts];
    if (isOver) {
      room.state = 'closed';
      return;
    }
    host.owner = this;
    // The socket may have it.
    if (earlier.inHand !== null) taken(earlier);
    room.takeOver(earlier);
    const { before, openedAt, phase, wait } = earlier;
    if (before) {
      // Told later, when what is on its way has arrived.
      host.unconfirmed = () => before.map((count, index) => counts[SENT + index] - count);
      if (now() - openedAt >= this.#options.numbers[STABLE_AFTER]) counts[ATTEMPT] = 1;
    }
    const wasOpen = before !== null;
    if (hasFailedForGood()) room.end('internal-error', whyFailed(), wasOpen);
    else if (this.#leaving === 'close' || phase === 'closing' || phase === 'closed') room.end('internal-error', REQUESTED, wasOpen);
    else if (this.#leaving === 'suspend' || phase === 'suspended') room.suspend(phase === 'suspended', wasOpen);
    else room.lose('internal-error', phase === 'waiting' ? wait : undefined, wasOpen);
  }

  /** What the present socket says; `undefined` when there is none. */
  #ofTheSocket(field) {
    const { socket } = this.#host;
    return socket ? readText(socket, field) : undefined;
  }

  #checkMixedContent(url) {
    checkMixedContent(this.#class, url, Boolean(this.#options.numbers[ALLOW_INSECURE]));
  }

  #full(bytes) {
    if (this.#options.numbers[MAX_MESSAGES] === 0 && this.readyState === CONSTANTS.CONNECTING) {
      return new DOMException(
        `${this.#class}: it is not open, and with the option maxQueuedMessages at 0 nothing can wait until it is`,
        'InvalidStateError',
      );
    }
    const [messages, queued] = ['queuedMessages', 'queuedBytes'].map((name) => this.snapshot()[name]);
    const { numbers } = this.#options;
    return new DOMException(
      `${this.#class}: the queue has no room for ${bytes} bytes: it holds ${messages} of ${numbers[MAX_MESSAGES]} messages and ${queued} of ${numbers[MAX_BYTES]} bytes`,
      'QuotaExceededError',
    );
  }

  // --- Life

  /** While anything can happen on its own, this object is not collected. */
  #keep() {
    keep(this, () => this.#fail());
    this.#host.owner = this;
    this.#options.signal?.addEventListener('abort', this.#onAbort);
  }

  #letGo() {
    letGo(this);
    this.#host.owner = null;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** What the core calls back on. It does not itself keep this object, which may then be collected. */
  #makeHost() {
    const self = new WeakRef(this);
    const forward = (method) => (...given) => {
      const socket = self.deref();
      if (!socket || socket.#host !== host) return undefined;
      try {
        return method(socket, ...given);
      } catch (error) {
        // Nothing may be thrown into the core.
        report(error);
        return undefined;
      }
    };
    const ask = forward((socket, ...given) => socket.#resolve(...given));
    const { debug, heartbeatMessage, isHeartbeat, keepaliveMessage, numbers, shouldReconnect } = this.#options;
    const options = this.#options;
    const isStatic = !isFunction(this.#urlSource) && !isFunction(this.#protocolsSource);
    const host = {
      numbers,
      /** Whether a message is handed over as its data rather than its event. */
      takesData: this.#receiver !== null,
      /** The object, while it is kept in any case: a weak reference takes longer to follow. */
      owner: null,
      binaryType: this.#binaryType,
      // As `asks` in `src/host.rs` has them.
      asks: (isStatic ? 0 : 1) + (shouldReconnect ? 2 : 0) + (heartbeatMessage === undefined ? 0 : 4) + (isHeartbeat ? 8 : 0),
      /** The URL and the sub-protocols of the next socket. */
      target: isStatic ? [this.#urlSource, ...this.#protocolsSource] : [],
      /** The present socket. */
      socket: null,
      /** Whether it is open and the platform's, which may be given bytes that are the caller's own. */
      lends: false,
      /** The one that the core let go of last, until its end is told. */
      left: null,
      /** What its constructor, its `send` or the functions for its target threw last. */
      refusal: undefined,
      /** What the present socket said with its last error, where it says anything: `{ message, error }`. */
      said: null,
      /** Messages of which `dropped` will tell. */
      dropping: [],
      /** Messages that the core has taken and no socket has: `{ data, bytes, first, expires }`. */
      held: [],
      heldBytes: 0,
      /** How many messages and bytes the core has dropped, as far as `send` knows, and not yet told. */
      untold: [0, 0],
      /** The message that a socket is given at this moment, if it is the program's. */
      inHand: null,
      /** What is sent next is a heartbeat. */
      isPing: false,
      /** The message that `send` was given, until a socket has it, and its size. */
      passing: null,
      passingBytes: 0,
      /** The size of the message that came last. */
      size: 0,
      counts: this.#counts,
      /** The state that was told last, and the wait. */
      phase: 'idle',
      wait: null,
      /** The attempt that the core begins next was told already. */
      isTold: false,
      /** When the present connection was opened, and what was sent before. */
      openedAt: 0,
      before: null,
      /** What is not confirmed of a connection that an instance of the module lost, `[messages, bytes]`: a function. */
      unconfirmed: null,
      load: forward((socket) => socket.#load()),
      makeSocket() {
        const [url, ...protocols] = host.target;
        // Left out when there are none, as a program that offers none does.
        const given = protocols.length > 0 ? [url, protocols] : [url];
        const { WebSocket: Class = globalThis.WebSocket } = options;
        host.said = null;
        host.socket = leadsBack(Class) ? undefined : construct(Class, given);
        if (leadsBack(Class)) host.socket = construct(native(), given);
        return host.socket;
      },
      resolve: (...given) => ask(...given) ?? new Promise(() => {}),
      ping: forward((socket, keepalive) => {
        const message = keepalive ? keepaliveMessage : heartbeatMessage;
        return isFunction(message) ? toHeartbeat(socket.#class, keepalive ? KEEPALIVE : HEARTBEAT, message.call(undefined)) : message;
      }),
      isHeartbeat: forward((socket, data) => checkIsHeartbeat(socket.#class, isHeartbeat.call(undefined, data))),
      verdict: forward((socket, lost) => checkVerdict(socket.#class, shouldReconnect.call(undefined, lost))),
      opened: forward((socket, ...given) => socket.#opened(...given)),
      // For itself, since it comes with every message: what takes any number of arguments takes 0.1 µs more.
      message: (message) => {
        const socket = host.owner ?? self.deref();
        if (!socket || socket.#host !== host) return;
        try {
          if (host.takesData) socket.#receiver(message);
          else socket.#tellMessage(message);
        } catch (error) {
          report(error);
        }
      },
      failed: forward((socket) => dispatch(socket, plainEvent('error', host.said ?? {}))),
      closed: forward((socket, ...given) => socket.#closed(...given)),
      stateChanged: forward((socket, state, attempt, delay = null, reason) => {
        dispatch(socket, plainEvent('statechange', { state, attempt, delay, reason }));
      }),
      dropped: forward((socket, reason, messages, bytes, omitted) => {
        dispatch(socket, plainEvent('dropped', { reason, messages: Object.freeze(messages), bytes, omitted }));
      }),
      queueChanged: forward((socket, ...queue) => socket.#queueChanged(...queue)),
      log: debug && forward((socket, line) => socket.#log(line)),
    };
    return host;
  }

  /**
   * An event for whoever listens. Where no listener but the handler is known, the handler is called as it is, which
   * saves the half of what is left (0.8 µs); the event is dispatched all the same, which to nobody takes a tenth of
   * that, for who came by the method of `EventTarget` itself.
   */
  #tellMessage(source) {
    const event = messageEvent(source);
    this.#handled = event;
    if (this.#messageHandler !== null && !this.#hasMessageListeners) handle(event, this, this.#messageHandler);
    if (this.#handled === event) this.#dispatchHandled();
  }

  /** Makes the handler, which is otherwise called as it is, one of the listeners. */
  #listen() {
    if (this.#hasMessageListeners) return;
    // The event that is being handled is for those who listen already.
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

  #closed(lost, delay = null, why, unconfirmedMessages, unconfirmedBytes) {
    const { cause, error } = lost;
    this.#lost = lost;
    const diagnosis = this.#probe.ended(lost, this.#url);
    if (delay === null) this.#probe.reset();
    // Over, unless a handler of the state change has asked for a new connection.
    const isOver = delay === null && this.readyState === 3;
    if (isOver) this.#letGo();
    const { left } = this.#host;
    this.#host.left = null;
    dispatch(this, closeEvent(lost, {
      willReconnect: delay !== null || cause === 'suspended',
      delay,
      cause,
      explanation: this.#explain(cause, why, diagnosis),
      error,
      diagnosis,
      unconfirmedMessages,
      unconfirmedBytes,
    }));
    // The server has not answered the close. Where it can be told not to, the socket would wait for it, and keep the
    // program running: that of the package `ws` for half a minute.
    const isUnanswered = isOver ? cause === 'close-timeout' : this.state === 'suspended' && !lost.wasClean;
    if (isUnanswered) left?.terminate?.();
  }

  #queueChanged(...queue) {
    const [queuedMessages, queuedBytes] = queue;
    if (queue.join() === this.#toldQueue.join()) return;
    this.#toldQueue = queue;
    dispatch(this, plainEvent('queuechange', { queuedMessages, queuedBytes }));
  }

  #explain(cause, why, diagnosis) {
    if (diagnosis?.kind === 'permission') return `this page is denied the permission ${diagnosis.name}; ${why}`;
    const { refusal, said } = this.#host;
    switch (cause) {
      case 'internal-error': return why === REQUESTED ? whyFailed() : `${whyFailed()}; ${why}`;
      case 'load-failed': return why === this.#loadError ? why : `${this.#loadError}; ${why}`;
      case 'provider': return `${PROVIDER_FAILED}${isError(refusal) ? `${refusal.name}: ${refusal.message}` : NO_ERROR}; ${why}`;
      // By name alone: the browser's message quotes the URL.
      case 'refused': return `the WebSocket constructor threw ${nameOf(refusal)}; ${why}`;
      case 'send-failed': return `the socket's send threw ${nameOf(refusal)}; ${why}`;
      case 'socket': return said ? `${said.message}; ${why}` : why;
      default: return why;
    }
  }

  /** Asks the functions; a promise of an array, the URL and then the sub-protocols. */
  async #resolve(attempt, lastClose, signal) {
    const context = Object.freeze({ attempt, lastClose: lastClose ?? this.#lost, signal });
    // Never inside of the constructor or of another method that the program is calling.
    await null;
    signal.throwIfAborted();
    const ask = async (source) => (isFunction(source) ? source.call(undefined, context) : source);
    // So that a function that never settles does not keep for ever what waits for it.
    const aborted = new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    try {
      const asked = Promise.all([ask(this.#urlSource), ask(this.#protocolsSource)]);
      const [url, protocols] = await Promise.race([asked, aborted]);
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
    shared.receive = (socket, receiver) => {
      socket.#receiver = receiver;
      socket.#host.takesData = true;
    };
    shared.tellMessage = (socket, data, isRead) => {
      if (!isRead || socket.#hasMessageListeners || socket.#messageHandler !== null) {
        socket.#tellMessage({ data, origin: '', lastEventId: '' });
      }
    };
    shared.send = (socket, ...given) => socket.#send(...given);
    shared.limit = (socket, name) => socket.#options.numbers[rowOf(name)];
    // As the attributes and methods of an interface of the platform are.
    for (const name of Object.getOwnPropertyNames(this.prototype)) {
      if (name !== 'constructor') Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    for (const [name, value] of Object.entries(CONSTANTS)) {
      for (const holder of [this, this.prototype]) Object.defineProperty(holder, name, { value, enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
    const types = ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'queuechange', 'diagnosis'];
    defineHandlers(this.prototype, types, (object) => this.#check(object), (object, type, handler) => {
      if (type !== 'message') return true;
      object.#messageHandler = handler;
      return object.#hasMessageListeners;
    });
  }

  /** Refuses an object that is none of this class before anything else is looked at, as the platform does. */
  static #check(object) {
    checkRoom();
    if (!(#core in object)) throw new TypeError(`${CLASS}: called on an object that is none`);
  }
}

function construct(Class, given) {
  const depth = making.push(Class);
  try {
    return Reflect.construct(Class, given);
  } catch (error) {
    // One that was found to be endless by this is not tried again.
    if (endless.has(Class) && native()) return undefined;
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

/** How a message is sent when nothing is said. */
const IN_ORDER = Object.freeze({ first: false, volatile: false, ttl: NaN });
