// Tasks, as on the platform: what a socket does by itself comes after the running code.
//
// A task runs by whichever comes first: a real task of the platform, so that a test that awaits something continues
// whether or not its timers are fake; or a 0 ms timer on the current clock, so that in a test that advances a fake
// clock without awaiting anything, the task runs in its place among the other timers.

/** Calls a function in a task of its own, regardless of fake timers. */
export const realTask = findRealTask();

/** The timers from before fake ones were installed; `undefined` if they were installed already. */
export const realTimers = isFaked(globalThis.setTimeout)
  ? undefined
  : { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** Whether this function belongs to the fake timers of vitest or jest. */
export function isFaked(timer) {
  return timer?.clock !== undefined;
}

function findRealTask() {
  const { setImmediate, MessageChannel, setTimeout } = globalThis;
  if (typeof setImmediate === 'function' && !isFaked(setImmediate))
    return (run) => {
      setImmediate(run);
    };
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
  return (run) => {
    setTimeout(run, 0);
  };
}

/** Resolves in a later task. */
export function turn() {
  return new Promise((resolve) => {
    realTask(resolve);
  });
}

/** The tasks of one server, in order. */
export class Tasks {
  #queue = [];

  get length() {
    return this.#queue.length;
  }

  add(run) {
    // Captured as a pair: the globals may be others when the task is cancelled.
    const { setTimeout, clearTimeout } = globalThis;
    const task = { run, callOff: () => clearTimeout(timer) };
    this.#queue.push(task);
    const timer = setTimeout(() => this.#runUpTo(task), 0);
    realTask(() => this.#runUpTo(task));
  }

  /** Resolves when no task is left, and what the tasks scheduled has run. */
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
