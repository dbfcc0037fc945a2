// Waits that a signal can abort.

import { CLASS } from './errors.js';
import { dictionary, wrongKind } from '../wasm/steady_socket_wasm.js';

/** How often to poll what the browser reports no event for, in milliseconds: as often as the core does. */
const POLL = 50;

/** How long one task may run when nothing it waits for takes time, in milliseconds. */
const LONGEST_TASK = 10;

/** The real `setTimeout`, even if a test replaces it later: it is not used for its delay. */
const { setTimeout: later } = globalThis;

/**
 * The signal in the options of a wait.
 *
 * @throws {TypeError}
 */
export function toSignal(what, options, names = ['signal']) {
  if (options === undefined) return undefined;
  const { signal } = dictionary(CLASS, options, `the options of ${what}`, names);
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.aborted !== 'boolean' || typeof signal.addEventListener !== 'function') {
    throw wrongKind(CLASS, 'option signal', signal, 'an AbortSignal');
  }
  return signal;
}

/**
 * A promise that also rejects when a signal aborts.
 *
 * @param begin - called with `resolve` and `reject`; may return a function to call when the signal aborts
 */
export function abortable(signal, begin) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    let abandon;
    const onAbort = () => {
      abandon?.();
      reject(signal.reason);
    };
    const settling = (settle) => (value) => {
      signal?.removeEventListener('abort', onAbort);
      settle(value);
    };
    // Before `begin`, which may settle at once.
    signal?.addEventListener('abort', onAbort, { once: true });
    abandon = begin(settling(resolve), settling(reject));
  });
}

/** The promise's result, or a rejection with the signal's reason if that aborts first. */
export function orAborted(signal, promise) {
  return abortable(signal, (resolve, reject) => {
    Promise.resolve(promise).then(resolve, reject);
  });
}

/** Marks a promise as handled: its rejection is reported elsewhere, too, so nothing need wait for it. */
export function hush(promise) {
  promise.catch(() => {});
}

/** Resolves in another task, without delay even in a hidden page. */
export function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      // An open port keeps Node running.
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Waits until conditions hold. */
export class Conditions {
  /** `{ holds, polled, resolve, reject }` */
  #waiting = new Set();
  #timer = null;

  /**
   * Waits until `holds` returns true.
   *
   * @param polled - whether no event reports the change
   */
  until(holds, { signal, polled = false }) {
    return abortable(signal, (resolve, reject) => {
      const waiter = { holds, polled, resolve, reject };
      this.#waiting.add(waiter);
      this.check();
      return () => this.#remove(waiter);
    });
  }

  /** Resolves the waits whose condition holds now. */
  check() {
    if (this.#waiting.size === 0) return;
    for (const waiter of this.#waiting) {
      try {
        if (!waiter.holds()) continue;
        waiter.resolve();
      } catch (error) {
        waiter.reject(error);
      }
      this.#waiting.delete(waiter);
    }
    this.#arm();
  }

  /** The conditions will never hold. */
  fail(error) {
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
    this.#arm();
  }

  #remove(waiter) {
    this.#waiting.delete(waiter);
    this.#arm();
  }

  #arm() {
    const isNeeded = [...this.#waiting].some(({ polled }) => polled);
    if (isNeeded === (this.#timer !== null)) return;
    if (isNeeded) {
      this.#timer = setInterval(() => this.check(), POLL);
    } else {
      clearInterval(this.#timer);
      this.#timer = null;
    }
  }
}

function now() {
  return globalThis.performance?.now() ?? Date.now();
}

/**
 * Lets a loop yield whose awaits all settle at once: during one task nothing is received, no timer fires and no signal
 * aborts.
 */
export class Turns {
  #began = 0;
  /** Resolves in the next task. */
  #next = null;

  /** A promise to await if the task has run for long; otherwise `undefined`. */
  giveWay() {
    if (!this.#next) {
      this.#began = now();
      this.#next = new Promise((resolve) => {
        later(resolve);
      }).then(() => {
        this.#next = null;
      });
    }
    return now() - this.#began > LONGEST_TASK ? this.#next : undefined;
  }
}
