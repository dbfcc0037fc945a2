// Waits for what the program under test does, with errors that state what was expected and what happened.

import { alignWithFakeTimers } from './fakes.js';
import { WAIT_OPTIONS, checkOptions } from './options.js';
import { realTimers } from './tasks.js';

/** How long to wait before the wait fails, in milliseconds of real time. */
export const PATIENCE = 1_000;

/** Waits for the same thing to change. */
export class Waiters {
  #waiters = new Set();

  /** What is expected, in words. */
  get expectations() {
    return [...this.#waiters].map(({ expected }) => expected);
  }

  /**
   * @param expected - what is expected, in words
   * @param look - called at once and after every change; returns nothing to keep waiting, `{ value }`, or `{ error }`
   *   with what happened instead, in words; an exception rejects the wait, and goes nowhere else
   * @param state - what happened so far, in words
   * @param options.timeout - milliseconds of real time, however far a fake clock is advanced
   * @param who - the method that was called, for errors
   */
  wait(expected, look, state, options = {}, who) {
    alignWithFakeTimers();
    return new Promise((resolve, reject) => {
      checkOptions(who, options, WAIT_OPTIONS);
      const { timeout = PATIENCE } = options;
      const fail = (what) => reject(new Error(`${who}: expected ${expected}, but ${what}`));
      let timer;
      const done = () => {
        this.#waiters.delete(waiter);
        realTimers?.clearTimeout(timer);
      };
      const waiter = {
        expected,
        look: () => {
          let found;
          try {
            found = look();
          } catch (error) {
            // The program under test made the change; the error is not its own.
            done();
            reject(error);
            return;
          }
          if (!found) return;
          done();
          if (Object.hasOwn(found, 'error')) fail(found.error);
          else resolve(found.value);
        },
        fail: (what) => {
          done();
          fail(what);
        },
      };
      this.#waiters.add(waiter);
      waiter.look();
      if (!this.#waiters.has(waiter) || !realTimers || timeout === Infinity) return;
      timer = realTimers.setTimeout(() => waiter.fail(`it did not come within ${timeout} ms: ${state()}`), timeout);
    });
  }

  /** Something has changed. */
  changed() {
    for (const waiter of [...this.#waiters]) waiter.look();
  }

  /** Nothing more will happen. */
  end(why) {
    for (const waiter of [...this.#waiters]) waiter.fail(why);
  }
}
