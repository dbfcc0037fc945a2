// The class that JavaScript programs use. What it decides itself is only what has to be known before the
// WebAssembly module is there; everything else is decided by the core, in Rust.

import {
  OPTION_NAMES, checkAsked, checkClose, checkIsHeartbeat, checkMixedContent, checkProtocols, checkVerdict, dictionary,
  isFunction, parseUrl, rowOf, toCloseCode, toHeartbeat, toMessage, toModuleSource, toNumber, toOptions,
  toProtocols, toProvidedUrl, toSendOptions, toText, wrongKind,
} from './convert.js';
import { Target, closeEvent, defineHandlers, dispatch, handle, messageEvent, plainEvent, report } from './events.js';
import { GuardedCore, checkWorking, guarded, hasFailed, keep, letGo, setAbandon } from './failure.js';
import { keepBytes } from './lent.js';
import { COUNTERS } from './names.js';
import { Probe } from './probe.js';
import { abandonAll, createCore, readText, setCall, write } from './ring.js';
import { CLOSED, FULL, WaitingRoom } from './waiting-room.js';

/** What errors begin with, unless the class of the package that the program called is another. */
const CLASS = 'ReconnectingWebSocket';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

// --- Loading the module -------------------------------------------------------------------------------------

/** Milliseconds that loading may take. The declarations of `load` and the package's readme tell it, too. */
const LOAD_TIMEOUT = 30_000;

/** The module is there. */
let isLoaded = false;
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

/** Called by the module when it starts, with the function by which it is called back. */
export function provideCore(call) {
  setCall(call);
  setAbandon(abandonAll);
  isLoaded = true;
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
  return { ReconnectingWebSocket, load, shared };
}

/** Loads the module, if it is not there and not on its way. A failed load is tried again by the next call. */
export function load(options = undefined) {
  // What throws in here rejects.
  return new Promise((resolve, reject) => {
    checkWorking();
    const { module } = dictionary(CLASS, options, 'the options of load', ['module']);
    if (module !== undefined) loadFrom(toModuleSource(CLASS, module));
    if (isLoaded) {
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
  if (isLoaded || loading) {
    const state = isLoaded ? 'is already loaded' : 'is already being loaded';
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
  // One after the other: a module that starts late would take the place of the one whose sockets are in use.
  const attempt = lastLoader.then(async () => {
    signal.throwIfAborted();
    if (isLoaded) return;
    const from = source && toModuleSource(CLASS, await Promise.race([source, tooLate]), true);
    await loader(signal, from);
  });
  lastLoader = attempt.catch(() => {});
  try {
    await Promise.race([attempt, tooLate]);
    if (!isLoaded) throw new Error('it was loaded, but did not start');
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : 'an exception that is no Error';
    const error = new Error(`the WebAssembly module of steady-socket could not be loaded: ${what}`, { cause });
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

/**
 * What the package's other modules take from here beside the class: `receive(socket, receiver)` has a function
 * called with the data of every message, in place of the listeners; `limit(socket, name)` is the value of an option
 * of the table.
 */
const shared = { OPTION_NAMES, defineHandlers, dictionary, dispatch, plainEvent, report, toNumber, wrongKind };

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
  /** Messages and bytes dropped before there was a core. */
  #droppedEarly = [0, 0];
  /** Why the functions for URL and sub-protocols failed last. */
  #providerError = '';
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
    if (arguments.length === 0) throw new TypeError(`${this.#class}: the URL is missing`);
    const urlSource = isFunction(url) ? url : toText(url);
    const protocolsSource = isFunction(protocols) ? protocols : toProtocols(this.#class, protocols);
    checkWorking();
    this.#options = toOptions(this.#class, options);
    this.#urlSource = isFunction(urlSource) ? urlSource : parseUrl(this.#class, urlSource);
    this.#protocolsSource = isFunction(protocolsSource) ? protocolsSource : checkProtocols(this.#class, protocolsSource);
    if (!isFunction(this.#options.WebSocket ?? globalThis.WebSocket)) {
      throw new TypeError(
        `${this.#class}: there is no global WebSocket here; give the constructor of one in the option WebSocket`,
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
    this.#probe = new Probe(this.#class, diagnose, diagnoseAfter, (diagnosis) => dispatch(this, plainEvent('diagnosis', { diagnosis })), () => this.#core.wake());
    this.#host = this.#makeHost();
    this.#core = new WaitingRoom(this.#host, this.#options.numbers, this);
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

  get readyState() { return this.#core.readyState; }

  get bufferedAmount() { return this.#core.bufferedAmount + this.#discarded; }

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
    checkWorking();
    const [message, bytes] = toMessage(this.#class, data);
    // Before anything of the program's runs, in the options or in the core.
    if (!this.#host.lends || options !== undefined) keepBytes(message);
    const { first, volatile, ttl } = options === undefined ? IN_ORDER : toSendOptions(this.#class, options);
    switch (this.#core.send(message, bytes, first, volatile, ttl)) {
      case FULL: throw this.#full(bytes);
      case CLOSED:
        this.#discarded += bytes;
        break;
      default:
        // Unless it has gone.
        keepBytes(message);
    }
  }

  close(code = undefined, reason = undefined) { this.#command('close', code, reason); }

  addEventListener(type, ...rest) {
    const name = toText(type);
    if (name === 'message' && !this.#hasMessageListeners) {
      // The event that is being handled is for those who listen already.
      if (this.#handled !== null) this.#dispatchHandled();
      this.#hasMessageListeners = true;
      // The handler, so far called as it is, takes its place before this listener.
      const handler = Reflect.get(ReconnectingWebSocket.prototype, 'onmessage', this);
      for (const value of [null, handler]) Reflect.set(ReconnectingWebSocket.prototype, 'onmessage', value, this);
    }
    super.addEventListener(name, ...rest);
  }

  // --- Beyond it

  get state() { return this.#core.state; }

  reconnect() {
    checkWorking();
    const { signal } = this.#options;
    // It cannot abort a second time, so nothing could stop the new connection.
    if (signal?.aborted) throw signal.reason ?? new DOMException(`${this.#class}: its signal was aborted`, 'AbortError');
    this.#discarded = 0;
    this.#begin('reconnect');
  }

  suspend(code = undefined, reason = undefined) { this.#command('suspend', code, reason); }

  resume() {
    checkWorking();
    if (this.state === 'suspended') this.#begin(this.#core instanceof WaitingRoom ? 'start' : 'resume');
  }

  ready() {
    checkWorking();
    this.#core.ready();
  }

  snapshot() {
    checkWorking();
    const counters = this.#core.counters();
    const snapshot = { state: this.state };
    COUNTERS.forEach((name, index) => { snapshot[name] = counters[index]; });
    snapshot.droppedMessages += this.#droppedEarly[0];
    snapshot.droppedBytes += this.#droppedEarly[1];
    return snapshot;
  }

  /** Closes or suspends. */
  #command(name, code, reason) {
    ReconnectingWebSocket.#check(this);
    const closeCode = toCloseCode(code);
    const closeReason = reason === undefined ? '' : toText(reason);
    checkClose(this.#class, closeCode, closeReason);
    this.#core[name](closeCode, closeReason);
  }

  // --- From the waiting room to the core

  /** Starts or reconnects: at once, or as soon as there is a core. */
  #begin(how) {
    this.#keep();
    if (isLoaded && this.#core instanceof WaitingRoom) this.#moveIntoCore();
    this.#core[how]();
    if (this.#core instanceof WaitingRoom) {
      load().then(
        () => {
          // Closed meanwhile, or another call of `load` was first.
          if (!(this.#core instanceof WaitingRoom) || this.#core.state !== 'connecting') return;
          this.#moveIntoCore();
          this.#core.start();
        },
        (error) => {
          if (this.#core instanceof WaitingRoom && this.#core.state === 'connecting') {
            this.#core.end('load-failed', error.message);
          }
        },
      ).catch((error) => {
        // The end of every connection has told it.
        if (!hasFailed()) throw error;
      });
    }
  }

  #moveIntoCore() {
    const room = this.#core;
    const core = new GuardedCore(guarded(() => createCore(this.#host)));
    room.moveInto(core);
    const counters = room.counters();
    this.#droppedEarly = ['droppedMessages', 'droppedBytes'].map((name) => counters[COUNTERS.indexOf(name)]);
    this.#core = core;
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
    keep(this, (why) => this.#fail(why));
    this.#host.owner = this;
    this.#options.signal?.addEventListener('abort', this.#onAbort);
  }

  #letGo() {
    letGo(this);
    this.#host.owner = null;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  /** The module has failed: silences and closes the socket, and tells the end without the core. */
  #fail(why) {
    if (!(this.#core instanceof WaitingRoom)) {
      this.#core.bury();
      // What the core still says on its way down is said to the earlier host, to which nobody listens.
      this.#host = this.#makeHost();
      this.#core = new WaitingRoom(this.#host, this.#options.numbers, this);
    }
    if (this.#core.state !== 'closed') this.#core.end('internal-error', why);
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
    const { WebSocket, debug, heartbeatMessage, isHeartbeat, numbers, shouldReconnect } = this.#options;
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
      /** The name of what its constructor or its `send` threw last. */
      refusal: undefined,
      /** Messages of which `dropped` will tell. */
      dropping: [],
      makeSocket() {
        const [url, ...protocols] = host.target;
        // Left out when there are none, as a program that offers none does.
        const given = protocols.length > 0 ? [url, protocols] : [url];
        host.socket = Reflect.construct(WebSocket ?? globalThis.WebSocket, given);
        return host.socket;
      },
      resolve: (...given) => ask(...given) ?? new Promise(() => {}),
      ping: forward((socket) => (isFunction(heartbeatMessage) ? toHeartbeat(socket.#class, heartbeatMessage.call(undefined)) : heartbeatMessage)),
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
      failed: forward((socket) => dispatch(socket, plainEvent('error'))),
      closed: forward((socket, ...given) => socket.#closed(...given)),
      stateChanged: forward((socket, state, attempt, delay = null, reason) => {
        dispatch(socket, plainEvent('statechange', { state, attempt, delay, reason }));
      }),
      dropped: forward((socket, reason, messages, bytes, omitted) => {
        dispatch(socket, plainEvent('dropped', { reason, messages: Object.freeze(messages), bytes, omitted }));
      }),
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
    const { cause } = lost;
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
      diagnosis,
      unconfirmedMessages,
      unconfirmedBytes,
    }));
    // The server has not answered the close. Where it can be told not to, the socket would wait for it, and keep the
    // program running: that of the package `ws` for half a minute.
    const isUnanswered = isOver ? cause === 'close-timeout' : this.state === 'suspended' && !lost.wasClean;
    if (isUnanswered) left?.terminate?.();
  }

  #explain(cause, why, diagnosis) {
    if (diagnosis?.kind === 'permission') return `this page is denied the permission ${diagnosis.name}; ${why}`;
    switch (cause) {
      case 'provider': return `${this.#providerError}; ${why}`;
      // By name alone: the browser's message quotes the URL.
      case 'refused': return `the WebSocket constructor threw ${this.#host.refusal}; ${why}`;
      case 'send-failed': return `the socket's send threw ${this.#host.refusal}; ${why}`;
      default: return why;
    }
  }

  /** Asks the functions; a promise of an array, the URL and then the sub-protocols. */
  async #resolve(attempt, lastClose, signal) {
    const context = Object.freeze({ attempt, lastClose, signal });
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
        ...checkProtocols(this.#class, toProtocols(this.#class, protocols)),
      ];
      this.#checkMixedContent(target[0]);
      if (!signal.aborted) [this.#url] = target;
      return target;
    } catch (error) {
      if (!signal.aborted) {
        const [name, message] = error instanceof Error || error instanceof DOMException
          ? [error.name, `: ${error.message}`]
          : ['something that is no Error', ''];
        this.#providerError = `the function for the URL or the sub-protocols failed with ${name}${message}`;
        // Without the message, which may quote the URL.
        this.#log(`the function for the URL or the sub-protocols failed with ${name}`);
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
    shared.limit = (socket, name) => socket.#options.numbers[rowOf(name)];
    // As the attributes and methods of an interface of the platform are.
    for (const name of Object.getOwnPropertyNames(this.prototype)) {
      if (name !== 'constructor') Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    for (const [name, value] of Object.entries(CONSTANTS)) {
      for (const holder of [this, this.prototype]) Object.defineProperty(holder, name, { value, enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
    const types = ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'diagnosis'];
    defineHandlers(this.prototype, types, (object) => this.#check(object), (object, type, handler) => {
      if (type !== 'message') return true;
      object.#messageHandler = handler;
      return object.#hasMessageListeners;
    });
  }

  /** Refuses an object that is none of this class before anything else is looked at, as the platform does. */
  static #check(object) {
    if (!(#core in object)) throw new TypeError(`${CLASS}: called on an object that is none`);
  }
}

/** How a message is sent when nothing is said. */
const IN_ORDER = Object.freeze({ first: false, volatile: false, ttl: undefined });
