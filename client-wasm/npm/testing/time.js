// Time under the test's control: on the installed fake timers, or on the kit's own clock.

import { dispose } from '../typed/symbols.js';
import { alignWithFakeTimers, isMockedByNode } from './fakes.js';
import { checkOptions } from './options.js';
import { Undo, replace } from './replace.js';
import { isDate, show } from './show.js';
import { isFaked, turn } from './tasks.js';

/** Above the platform's own timer numbers. */
const FIRST_ID = 1e12;

/** The kit's clock, if installed. */
let installed = null;

const OPTIONS = {
  now: [
    'a time in milliseconds, or a Date',
    (value) => (typeof value === 'number' || isDate(value)) && Number.isFinite(Number(value)),
  ],
  tick: ['a function that advances the fake timers', (value) => typeof value === 'function'],
};

export function fakeTime(options = {}) {
  checkOptions('fakeTime', options, OPTIONS);
  alignWithFakeTimers();
  const { now, tick } = options;
  if (tick !== undefined) return new FakeTime(new ByTicks(tick));
  if (isFaked(globalThis.setTimeout)) return new FakeTime(new ByFakeTimers());
  if (isMockedByNode()) {
    throw new TypeError(
      'fakeTime: node:test mocks the timers, which only its own object can advance; give it: fakeTime({ tick: (ms) => mock.timers.tick(ms) })',
    );
  }
  if (installed) throw new Error('fakeTime: the clock is fake already; restore() the earlier one first');
  return new FakeTime(new OwnClock(now === undefined ? Date.now() : Number(now)));
}

/** How many timers run on the fake clock, if it reports that. */
export function pendingTimers() {
  if (installed) return installed.pending;
  return globalThis.setTimeout.clock?.countTimers();
}

export class FakeTime {
  #clock;

  constructor(clock) {
    this.#clock = clock;
  }

  /** One after the other, as each has to see the effects of the one before it. */
  async advance(milliseconds) {
    alignWithFakeTimers();
    if (!(Number.isFinite(milliseconds) && milliseconds >= 0)) {
      throw new RangeError(`fakeTime: advance takes a number of milliseconds from 0, and got ${show(milliseconds)}`);
    }
    await turn();
    await this.#clock.advance(milliseconds);
    await turn();
    await turn();
  }

  sleep(milliseconds) {
    if (!(Number.isFinite(milliseconds) && milliseconds >= 0)) {
      throw new RangeError(`fakeTime: sleep takes a number of milliseconds from 0, and got ${show(milliseconds)}`);
    }
    this.#clock.sleep(milliseconds);
  }

  get pending() {
    return pendingTimers();
  }

  restore() {
    this.#clock.restore();
  }

  [dispose]() {
    this.restore();
  }
}

/** For vitest and jest: the functions they install have a reference to their clock. */
class ByFakeTimers {
  async advance(milliseconds) {
    await globalThis.setTimeout.clock.tickAsync(milliseconds);
  }

  sleep(milliseconds) {
    globalThis.setTimeout.clock.setSystemTime(Date.now() + milliseconds);
  }

  restore() {}
}

/** For timers that only the test can advance: by 1 ms at a time, so that promise reactions run in their place. */
class ByTicks {
  #tick;

  constructor(tick) {
    this.#tick = tick;
  }

  async advance(milliseconds) {
    for (let rest = milliseconds; rest > 0; rest -= 1) {
      this.#tick(Math.min(rest, 1));
      await turn();
    }
  }

  sleep() {
    throw new Error('fakeTime: with a tick of its own it cannot sleep: those timers go on when their clock is set');
  }

  restore() {}
}

class OwnClock {
  #undo = new Undo();
  /** `{ id, at, order, run, every }` by id. */
  #timers = new Map();
  #count = FIRST_ID;
  /** Milliseconds since installation. */
  #passed = 0;
  #wallStart;
  #slept = 0;

  constructor(wallStart) {
    this.#wallStart = wallStart;
    installed = this;
    const start = (run, delay, every, rest) => this.#start(run, delay, every, rest);
    const { clearTimeout, clearInterval } = globalThis;
    /** A timer of another clock was started before this one was installed. */
    const stop = (clear) => (timer) => {
      if (timer instanceof NodeTimeout || timer > FIRST_ID) this.#timers.delete(Number(timer));
      else clear(timer);
    };
    const put = (name, value) => this.#undo.add(replace(globalThis, name, value));
    put('setTimeout', (run, delay, ...rest) => start(run, delay, false, rest));
    put('setInterval', (run, delay, ...rest) => start(run, delay, true, rest));
    put('clearTimeout', stop(clearTimeout));
    put('clearInterval', stop(clearInterval));
    put('Date', this.#makeDate());
    const { performance } = globalThis;
    if (performance) {
      // Whole, so that sums are exact; and never earlier than an earlier reading.
      const before = Math.ceil(performance.now());
      this.#undo.add(replace(performance, 'now', () => before + this.#passed));
    }
  }

  get pending() {
    return this.#timers.size;
  }

  async advance(milliseconds) {
    const end = this.#passed + milliseconds;
    for (let timer = this.#due(end); timer; timer = this.#due(end)) {
      this.#passed = Math.max(this.#passed, timer.at);
      if (timer.every) timer.at += timer.every;
      else this.#timers.delete(timer.id);
      timer.run();
      await turn();
    }
    this.#passed = end;
  }

  sleep(milliseconds) {
    this.#slept += milliseconds;
  }

  restore() {
    this.#undo.run();
    if (installed === this) installed = null;
  }

  #start(run, delay, isInterval, rest) {
    if (typeof run !== 'function') throw new TypeError('setTimeout: it takes a function');
    this.#count += 1;
    const time = Math.max(Number(delay) || 0, 0);
    const timer = {
      id: this.#count,
      at: this.#passed + time,
      order: this.#count,
      every: isInterval ? Math.max(time, 1) : 0,
      run: () => run(...rest),
    };
    this.#timers.set(timer.id, timer);
    return globalThis.process?.versions?.node
      ? new NodeTimeout(timer, this.#timers, () => this.#passed + time)
      : timer.id;
  }

  #due(end) {
    let first;
    for (const timer of this.#timers.values()) {
      if (timer.at <= end && (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)))
        first = timer;
    }
    return first;
  }

  #makeDate() {
    const Real = globalThis.Date;
    const now = () => Math.floor(this.#wallStart + this.#passed + this.#slept);
    const Fake = new Proxy(Real, {
      construct: (target, given, newTarget) =>
        Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget === Fake ? target : newTarget),
      apply: (target) => new target(now()).toString(),
      get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    });
    return Fake;
  }
}

/** Node's timer objects, as far as programs use them. */
class NodeTimeout {
  #timer;
  #timers;
  #again;
  #hasRef = true;

  constructor(timer, timers, again) {
    this.#timer = timer;
    this.#timers = timers;
    this.#again = again;
  }

  ref() {
    this.#hasRef = true;
    return this;
  }

  unref() {
    this.#hasRef = false;
    return this;
  }

  hasRef() {
    return this.#hasRef;
  }

  refresh() {
    this.#timer.at = this.#again();
    this.#timers.set(this.#timer.id, this.#timer);
    return this;
  }

  close() {
    this.#timers.delete(this.#timer.id);
    return this;
  }

  [Symbol.toPrimitive]() {
    return this.#timer.id;
  }

  [dispose]() {
    this.close();
  }
}
