// Tasks, as the platform has them: what a socket does by itself comes after the code that is running.
//
// A task runs by whichever comes first: a real task of the platform, so that a test that awaits something goes on
// whether its timers are fake or not; or a timer of 0 ms on the clock of the moment, so that a test that advances a
// fake clock without awaiting anything finds what happens on the way in its place among the other timers.

/** Calls a function in a task of its own, whatever fake timers say. */
export const realTask = findRealTask();

/** The timers from before fake ones were installed; `undefined` where they were installed already. */
export const realTimers = isFaked(globalThis.setTimeout)
  ? undefined
  : { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** Whether this is a function of the fake timers of vitest and jest. */
export function isFaked(timer) {
  return timer?.clock !== undefined;
}

function findRealTask() {
  const { setImmediate, MessageChannel, setTimeout } = globalThis;
  if (typeof setImmediate === 'function' && !isFaked(setImmediate)) return (run) => { setImmediate(run); };
  if (typeof MessageChannel === 'function') {
    return (run) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        // An open port keeps Node running.
        port1.close();
        run();
      };
      port2.postMessage(null);
    };
  }
  return (run) => { setTimeout(run, 0); };
}

/** Settles in a later task. */
export function turn() {
  return new Promise((resolve) => { realTask(resolve); });
}

/** The tasks of one server, in their order. */
export class Tasks {
  #queue = [];

  get length() { return this.#queue.length; }

  add(run) {
    // The pair of the moment: the timers may be others when it is called off.
    const { setTimeout, clearTimeout } = globalThis;
    const task = { run, callOff: () => clearTimeout(timer) };
    this.#queue.push(task);
    const timer = setTimeout(() => this.#runUpTo(task), 0);
    realTask(() => this.#runUpTo(task));
  }

  /** Settles when none is left, and what they made ready has run. */
  async settled() {
    do {
      await turn();
      await turn();
    } while (this.#queue.length > 0);
  }

  clear() {
    for (const { callOff } of this.#queue.splice(0)) callOff();
  }

  #runUpTo(task) {
    while (this.#queue.includes(task)) {
      const { run, callOff } = this.#queue.shift();
      callOff();
      run();
    }
  }
}
