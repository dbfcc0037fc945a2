// Adjusts other libraries' fake timers, which fake too little or too much for a socket to work with them.

import { isFaked } from './tasks.js';
import { replace } from './replace.js';

/** Set while `performance.now` follows the mocked `Date` of node:test. */
let following = false;

/**
 * Adjusts the fake timers that are currently installed, if any. Called whenever a socket is created, since they may be
 * installed at any time.
 */
export function alignWithFakeTimers() {
  // Jest's hold back microtasks until the clock is advanced, and with them the events that follow the running code.
  // Uninstalling jest's timers restores the real function.
  if (isFaked(globalThis.queueMicrotask)) {
    // An exception becomes an unhandled rejection, which fails a test as well.
    globalThis.queueMicrotask = (run) => {
      Promise.resolve().then(run);
    };
  }
  // node:test mocks the timers and `Date`, but no monotonic clock.
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
  // Whole, so that sums are exact; and never earlier than an earlier reading.
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
    // Every test may restart the mocked date.
    now += Math.max(date - before, 0);
    return now;
  });
  following = true;
}
