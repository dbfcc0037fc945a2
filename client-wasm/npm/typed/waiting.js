// Waiting that a signal can end.

import { CLASS } from './errors.js';
import { dictionary, wrongKind } from '../wasm/steady_socket_wasm.js';

/** How often what the browser does not tell is looked at, in milliseconds: as often as the core does. */
const POLL = 50;

/** How long one task may go on where nothing that is waited for takes time, in milliseconds. */
const LONGEST_TASK = 10;

/** The real one, also where a test puts another in its place: it is not for its delay. */
const { setTimeout: later } = globalThis;

/**
 * The signal in the options of something that waits.
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
 * A promise that also ends when a signal aborts.
 *
 * @param begin - called with `resolve` and `reject`; may return a function that is called when the signal aborts
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
    // Before it begins, since it may be over at once.
    signal?.addEventListener('abort', onAbort, { once: true });
    abandon = begin(settling(resolve), settling(reject));
  });
}

/** A promise, or a signal's reason if that aborts first. */
export function orAborted(signal, promise) {
  return abortable(signal, (resolve, reject) => { Promise.resolve(promise).then(resolve, reject); });
}

/** Has a promise be no unhandled one, where how it ends is reported elsewhere, too, and nobody need wait for it. */
export function hush(promise) {
  promise.catch(() => {});
}

/** Settles in another task, at once also in a page that is hidden. */
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

/** Those who wait until something holds. */
export class Conditions {
  /** `{ holds, polled, resolve, reject }` */
  #waiting = new Set();
  #timer = null;

  /**
   * Waits until `holds` gives true.
   *
   * @param polled - whether there is no event that tells
   */
  until(holds, { signal, polled = false }) {
    return abortable(signal, (resolve, reject) => {
      const waiter = { holds, polled, resolve, reject };
      this.#waiting.add(waiter);
      this.check();
      return () => this.#remove(waiter);
    });
  }

  /** Looks who need wait no longer. */
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

  /** What they wait for will not come. */
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
 * Has a loop give way whose waits all end at once: while one task lasts nothing is received, no timer goes off and no
 * signal aborts.
 */
export class Turns {
  #began = 0;
  /** Settles in the next task. */
  #next = null;

  /** What to wait for when the task has lasted long; otherwise nothing. */
  giveWay() {
    if (!this.#next) {
      this.#began = now();
      this.#next = new Promise((resolve) => { later(resolve); }).then(() => { this.#next = null; });
    }
    return now() - this.#began > LONGEST_TASK ? this.#next : undefined;
  }
}
