// In the page: sockets by name, with a log of all that they say and when. Times are those of the wall clock,
// which the test's own process has, too.

import { ReconnectingWebSocket } from '/pkg/index.js';

const EVENTS = ['open', 'message', 'error', 'close', 'statechange', 'dropped'];

const sockets = new Map();
const logs = new Map([['page', []]]);

function note(name, event) {
  const { type, code, cause, willReconnect, delay, state, attempt, reconnected, persisted, data } = event;
  logs.get(name).push({ at: Date.now(), type, code, cause, willReconnect, delay, state, attempt, reconnected, persisted, data });
}

function add(name, socket) {
  sockets.set(name, socket);
  logs.set(name, []);
  for (const type of EVENTS) socket.addEventListener(type, (event) => note(name, event));
}

const HAPPENINGS = [
  [globalThis, ['online', 'offline', 'pageshow']],
  [document, ['visibilitychange', 'freeze', 'resume', 'securitypolicyviolation']],
];
for (const [target, types] of HAPPENINGS) {
  for (const type of types) target.addEventListener(type, (event) => note('page', event));
}

globalThis.faults = {
  /** A socket under test. */
  open(name, url, protocols, options) {
    // Control messages are spoken where a test offers a sub-protocol with them.
    add(name, new ReconnectingWebSocket(url, protocols, { controlMessages: true, ...options }));
  },

  /** A socket of the browser's own, to show what the fault does to it. */
  bare(name, url) {
    add(name, new WebSocket(url));
  },

  socket: (name) => sockets.get(name),
  log: (name) => logs.get(name),

  /** A chain of timers, each armed when the one before went off; its ticks are a log. */
  tick(name, millis) {
    logs.set(name, []);
    const next = () => setTimeout(() => {
      note(name, { type: 'tick' });
      next();
    }, millis);
    next();
  },

  /** A dedicated worker that opens sockets; resolves when all are open. */
  work(name, url, count) {
    const worker = new Worker('/faults/worker.js', { type: 'module' });
    sockets.set(name, worker);
    return new Promise((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(`the worker failed: ${event.message ?? 'it could not be loaded'}`));
      worker.postMessage({ url, count });
    });
  },
};
