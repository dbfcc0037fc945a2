// In the page: sockets by name, with a log of all that they say and when. Times are those of the wall clock,
// which the test's own process has, too.

import { ReconnectingWebSocket } from '/pkg/index.js';

const EVENTS = ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'diagnosis'];

/** So much of a message is in the log, in characters. */
const HEAD = 100;

const sockets = new Map();
const logs = new Map([['page', []]]);
/** Names that had a second socket before the first was closed, or told to close. */
const overlaps = [];

function note(name, event) {
  const { type, code, cause, willReconnect, delay, state, attempt, reason, reconnected, persisted } = event;
  const { unconfirmedMessages, diagnosis, explanation } = event;
  logs.get(name).push({
    at: Date.now(), type, code, cause, willReconnect, delay, state, attempt, reason, reconnected, persisted,
    unconfirmedMessages, diagnosis, explanation, dropped: event.messages?.length, ...contents(event.data),
  });
}

/** What a message says, and how. */
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

/** The browser's `WebSocket`, watched for a second one under the same name. */
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
    // Control messages are spoken where a test offers a sub-protocol with them.
    const all = { controlMessages: true, WebSocket: oneAtATime(name), ...options };
    add(name, new ReconnectingWebSocket(url, protocols, all));
  },

  /** A socket of the browser's own, to show what the fault does to it. */
  bare(name, url) {
    add(name, new WebSocket(url));
  },

  socket: (name) => sockets.get(name),
  log: (name) => logs.get(name),
  overlaps: () => overlaps,

  /** Sends `LABEL 1`, `LABEL 2` and so on, each filled up to a size; stops at the first that is refused. */
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

  /** A chain of timers, each armed when the one before went off; its ticks are a log. */
  tick(name, millis) {
    logs.set(name, []);
    const next = () => setTimeout(() => {
      note(name, { type: 'tick' });
      next();
    }, millis);
    next();
  },

  /** Opens so many sockets of the browser's own, and tells how many it got when that is known of all. */
  async crowd(name, url, count) {
    const opened = [];
    const all = Array.from({ length: count }, () => new Promise((resolve) => {
      const socket = new WebSocket(url);
      socket.onopen = () => { opened.push(socket); resolve(); };
      socket.onerror = () => resolve();
    }));
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
