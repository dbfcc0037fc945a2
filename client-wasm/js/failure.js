// When the WebAssembly module fails: after a panic or a trap nothing of it may be called any more, since what
// it was doing is half done. Every connection then ends, and every later call says why.

import { report } from './events.js';

const WHY = 'the WebAssembly module of steady-socket has failed, and nothing can be sent or received until the page is reloaded';

let failed = false;
/** Has the module let go of its timers, tasks and sockets. */
let abandon = () => {};
/** The objects on which anything can happen, each with the function that ends it. */
const living = new Map();
/** Cores that are no more: collecting one would call into the module. */
const wrecks = [];

/** What a getter of the core says when there is no core to ask. */
const WITHOUT_CORE = {
  readyState: 3,
  state: 'closed',
  bufferedAmount: 0,
  protocol: undefined,
  extensions: undefined,
  lastRefusal: undefined,
};

const METHODS = ['start', 'reconnect', 'ready', 'close', 'send', 'receiveBlobs', 'counters'];

/** Says how the module is told to let go. */
export function setAbandon(letGo) {
  abandon = letGo;
}

/** Keeps an object from being collected; `end` is called, with the reason, if the module fails. */
export function keep(object, end) {
  living.set(object, end);
}

export function letGo(object) {
  living.delete(object);
}

export function hasFailed() {
  return failed;
}

/** The error of every call after the failure. */
export function failure() {
  return new DOMException(`ReconnectingWebSocket: ${WHY}`, 'InvalidStateError');
}

/** @throws {DOMException} `InvalidStateError` */
export function checkWorking() {
  if (failed) throw failure();
}

/** Ends everything; the module itself has let go. `what` is for the console. */
export function moduleFailed(what) {
  if (failed) return;
  failed = true;
  console.error(`steady-socket: ${WHY}: ${what}`);
  for (const end of [...living.values()]) {
    try {
      end(WHY);
    } catch (error) {
      report(error);
    }
  }
}

/**
 * Calls into the module. It throws nothing on purpose: whatever comes out of it has left it half done.
 *
 * @throws {DOMException} `InvalidStateError`
 */
export function guarded(call) {
  checkWorking();
  try {
    return call();
  } catch (error) {
    if (!failed) {
      try {
        abandon();
      } catch {
        // It can do no more.
      }
      // The message of a trap is the engine's own; another might quote a URL.
      const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
      moduleFailed(isTrap ? `${error.name}: ${error.message}` : String(error?.name));
    }
    throw failure();
  }
}

/** A core whose failure is that of the module. Afterwards its getters tell that it is closed. */
export class GuardedCore {
  #core;

  constructor(core) {
    this.#core = core;
  }

  /** Keeps what is left of it. */
  bury() {
    wrecks.push(this.#core);
  }

  static {
    for (const name of METHODS) {
      this.prototype[name] = function method(...given) {
        return failed ? undefined : guarded(() => this.#core[name](...given));
      };
    }
    for (const [name, without] of Object.entries(WITHOUT_CORE)) {
      Object.defineProperty(this.prototype, name, {
        get() {
          if (failed) return without;
          try {
            return guarded(() => this.#core[name]);
          } catch {
            return without;
          }
        },
      });
    }
  }
}
