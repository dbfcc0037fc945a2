// When the WebAssembly module fails: after a panic or a trap nothing of it may be called any more, since what
// it was doing is half done. Every connection then ends, and every later call says why.

import { report } from './events.js';
import { COUNTERS, STATES } from './names.js';

const WHY = 'the WebAssembly module of steady-socket has failed, and nothing can be sent or received until the page is reloaded';

let failed = false;
/** Lets go of all timers and sockets. */
let abandon = () => {};
/** The objects on which anything can happen, each with the function that ends it. */
const living = new Map();
/** Cores that are no more: collecting one would call into the module. */
const wrecks = [];

/** What a getter of the core says when there is no core to ask. */
const WITHOUT_CORE = { readyState: 3, state: 'closed', bufferedAmount: 0 };

const METHODS = ['start', 'reconnect', 'resume', 'wake', 'ready'];

/** Says what lets go of all that could call into the module. */
export function setAbandon(letGoOfAll) {
  abandon = letGoOfAll;
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

/** Ends everything. `what` is for the console. */
export function moduleFailed(what) {
  if (failed) return;
  failed = true;
  abandon();
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
    // The message of a trap is the engine's own; another might quote a URL.
    const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    moduleFailed(isTrap ? `${error.name}: ${error.message}` : String(error?.name));
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

  /** A negative code is none, and NaN no time to live, for the core. */
  close(code = -1, reason = '') { return this.#call((core) => core.close(code, reason)); }

  suspend(code = -1, reason = '') { return this.#call((core) => core.suspend(code, reason)); }

  send(data, bytes, first, volatile, ttl = NaN) {
    return failed ? undefined : guarded(() => this.#core.send(data, bytes, first, volatile, ttl));
  }

  counters() { return this.#call((core) => COUNTERS.map((_, index) => core.counter(index))); }

  #call(how) {
    return failed ? undefined : guarded(() => how(this.#core));
  }

  static {
    for (const name of METHODS) {
      this.prototype[name] = function method() {
        return this.#call((core) => core[name]());
      };
    }
    for (const [name, without] of Object.entries(WITHOUT_CORE)) {
      Object.defineProperty(this.prototype, name, {
        get() {
          if (failed) return without;
          try {
            const value = guarded(() => this.#core[name]);
            return name === 'state' ? STATES[value] : value;
          } catch {
            return without;
          }
        },
      });
    }
  }
}
