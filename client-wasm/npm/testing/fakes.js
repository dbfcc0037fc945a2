// What fake timers of others leave undone, or do too thoroughly, for a socket that works with them.

import { isFaked } from './tasks.js';
import { replace } from './replace.js';

/** Set while `performance.now` follows the mocked `Date` of node:test. */
let following = false;

/**
 * Makes the fake timers that are installed now, if any, fit. It is called whenever a socket is made, since they may
 * be installed at any time.
 */
export function alignWithFakeTimers() {
  // Jest's hold back microtasks until the clock is advanced, and so what is told after the running code. Taking
  // jest's timers away puts the real function back.
  if (isFaked(globalThis.queueMicrotask)) {
    // What it throws is an unhandled rejection, which fails a test as well.
    globalThis.queueMicrotask = (run) => { Promise.resolve().then(run); };
  }
  // node:test mocks the timers and `Date`, but no clock that does not go back.
  if (following) globalThis.performance.now();
  else if (isMockedByNode()) follow();
}

/** Whether node:test mocks `Date`. */
export function isMockedByNode() {
  return globalThis.Date.isMock === true;
}

function follow() {
  const { performance } = globalThis;
  const real = performance.now.bind(performance);
  // Whole, so that sums are exact; and no earlier than what was read before.
  let now = Math.ceil(real());
  let date = Date.now();
  const restore = replace(performance, 'now', () => {
    if (!isMockedByNode()) {
      restore();
      following = false;
      return real();
    }
    const before = date;
    date = Date.now();
    // Every test may start the mocked date anew.
    now += Math.max(date - before, 0);
    return now;
  });
  following = true;
}
