// In the page: sockets by name, with a log of all their events and times. Times are by the wall clock, which the test's
// own process shares.

import { ReconnectingWebSocket } from '/pkg/index.js';

const EVENTS = ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'diagnosis'];

/** How much of a message the log keeps, in characters. */
const HEAD = 100;

const sockets = new Map();
const logs = new Map([['page', []]]);
/** Names that had a second socket before the first was closed or closing. */
const overlaps = [];

function note(name, event) {
  const { type, code, cause, willReconnect, delay, state, attempt, reason, reconnected, persisted } = event;
  const { unconfirmedMessages, diagnosis, explanation } = event;
  logs.get(name).push({
    at: Date.now(),
    type,
    code,
    cause,
    willReconnect,
    delay,
    state,
    attempt,
    reason,
    reconnected,
    persisted,
    unconfirmedMessages,
    diagnosis,
    explanation,
    dropped: event.messages?.length,
    ...contents(event.data),
  });
}

/** A message's content and type. */
function contents(data) {
  if (data === undefined) return {};
  const isBinary = data instanceof ArrayBuffer;
  const text = isBinary ? new TextDecoder().decode(data) : data;
  return { isBinary, length: text.length, data: text.slice(0, HEAD) };
}

function add(name, socket) {
  socket.binaryType = 'arraybuffer';
  sockets.set(name, socket);
  logs.set(name, []);
  for (const type of EVENTS) socket.addEventListener(type, (event) => note(name, event));
}

/** The browser's `WebSocket`, instrumented to detect a second one under the same name. */
function oneAtATime(name) {
  let last = null;
  return class extends WebSocket {
    constructor(...given) {
      super(...given);
      if (last && last.readyState < WebSocket.CLOSING) overlaps.push(name);
      last = this;
    }
  };
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
    // Control messages are spoken if a test offers a sub-protocol with them.
    const all = { controlMessages: true, WebSocket: oneAtATime(name), ...options };
    add(name, new ReconnectingWebSocket(url, protocols, all));
  },

  /** One of the browser's own sockets, to show how the fault affects it. */
  bare(name, url) {
    add(name, new WebSocket(url));
  },

  socket: (name) => sockets.get(name),
  log: (name) => logs.get(name),
  overlaps: () => overlaps,

  /** Sends `LABEL 1`, `LABEL 2` and so on, each padded to a size; stops at the first that is refused. */
  sendMany(name, label, count, bytes = 0) {
    const socket = sockets.get(name);
    for (let number = 1; number <= count; number += 1) {
      try {
        socket.send(`${label} ${number} `.padEnd(bytes, '.'));
      } catch (error) {
        if (error.name !== 'QuotaExceededError') throw error;
        return number - 1;
      }
    }
    return count;
  },

  /** Sends a text as bytes. */
  sendBytes(name, text) {
    sockets.get(name).send(new TextEncoder().encode(text));
  },

  /** A chain of timers, each armed when the previous one fires; logs its ticks. */
  tick(name, millis) {
    logs.set(name, []);
    const next = () =>
      setTimeout(() => {
        note(name, { type: 'tick' });
        next();
      }, millis);
    next();
  },

  /** Opens that many of the browser's own sockets, and returns how many opened once all have opened or failed. */
  async crowd(name, url, count) {
    const opened = [];
    const all = Array.from(
      { length: count },
      () =>
        new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => {
            opened.push(socket);
            resolve();
          };
          socket.onerror = () => resolve();
        }),
    );
    await Promise.all(all);
    sockets.set(name, { close: (some) => opened.splice(0, some).forEach((socket) => socket.close()) });
    return opened.length;
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
