// Waiting for what a program under test does, with errors that say what was expected and what came.

import { alignWithFakeTimers } from './fakes.js';
import { WAIT_OPTIONS, checkOptions } from './options.js';
import { realTimers } from './tasks.js';

/** Milliseconds of real time after which what is waited for counts as not coming. */
export const PATIENCE = 1_000;

/** Those who wait for the same thing to change. */
export class Waiters {
  #waiters = new Set();

  /** What is waited for, in words. */
  get expectations() {
    return [...this.#waiters].map(({ expected }) => expected);
  }

  /**
   * @param expected - what is waited for, in words
   * @param look - called at once and after every change; gives nothing to go on waiting, or `{ value }`, or
   *   `{ error }` with what came instead, in words; what it throws rejects, and reaches nobody else
   * @param state - what came so far, in words
   * @param options.timeout - milliseconds of real time, however far a fake clock is advanced
   * @param who - the method that was called, for the errors
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
            // The program under test made the change; it is not its error.
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

  /** Nothing will come any more. */
  end(why) {
    for (const waiter of [...this.#waiters]) waiter.fail(why);
  }
}
