// The platform on which connections run: sockets, timers, the page and the network. The core calls it from Rust, as
// `src/host.rs` says. Each callback of the core has a number, which identifies its timer, socket or request.
//
// The Rust API has the same platform in Rust (`client/src/browser.rs`), and a change of browser behaviour is made in both.
// It exists twice because either language would cost the other's users: in Rust, this platform made the package's module
// 15 KB larger, and in JavaScript, every Rust program would have to ship it. `docs/size.md` has the measurements.

import { alive, call, checkRoom, moduleFailed, soon } from './failure.js';
import { ABNORMAL, CLOSE_AFTER_ERROR, INBOX_BYTES, INBOX_MESSAGES } from './limits.js';
import { Message } from './message.js';
import {
  ABANDONED,
  BYTES_SENT,
  HINT_OFFLINE,
  HINT_ONLINE,
  HINT_RESUMED,
  HINT_VISIBLE,
  MESSAGES_SENT,
  SOCKET_CLOSED,
  SOCKET_CLOSED_CLEANLY,
  SOCKET_ERROR,
  SOCKET_MESSAGE,
  SOCKET_OPENED,
  SOCKET_TOO_BIG,
} from './names.js';
import { CONNECT_TIMEOUT } from './options.js';

/** The events of the page and the network, by type: what each hints at; negative if it does not matter. */
const OF_THE_GLOBAL = {
  online: () => HINT_ONLINE,
  offline: () => HINT_OFFLINE,
  pageshow: ({ persisted }) => (persisted ? HINT_RESUMED : -1),
};
const OF_THE_DOCUMENT = {
  visibilitychange: () => (globalThis.document.visibilityState === 'visible' ? HINT_VISIBLE : -1),
  resume: () => HINT_RESUMED,
};

/** The `readyState` of a connecting socket, and of a closed one. */
const IS_CONNECTING = 0;
const IS_CLOSED = 3;

/**
 * How many milliseconds `ws` gets to deliver what it has read. In Rust it gets none, since Rust programs rarely run on
 * Node.
 */
const INFLATING = 100;

/**
 * Timers, sockets, requests and listeners by the number of their callback. Numbers are reused, so each of them knows
 * whether it still owns its number: a socket that kept a handler it was to drop, or a clock that kept a cancelled timer,
 * calls nothing.
 */
const registry = new Map();

/** Registers an object under its number. */
export function register(id, fields) {
  const entry = { id, isLive: true, from: alive(), ...fields };
  registry.set(id, entry);
  return entry;
}

/** Unregisters an object; it makes no more callbacks. */
export function unregister(id) {
  const entry = registry.get(id);
  if (entry) entry.isLive = false;
  registry.delete(id);
  return entry;
}

/** Calls back, unless the instance of the module that asked for it has failed meanwhile. */
function callBack(entry, what = 0, number = 0, value = undefined) {
  const { id, isLive, from } = entry;
  if (!isLive || from !== call) return;
  try {
    // The platform's own sockets fire in tasks of their own, with the whole stack available.
    if (!entry.isThePlatforms) checkRoom();
  } catch (error) {
    // For a message, the code that delivers it gets the error. Other events must not be lost.
    if (what === SOCKET_MESSAGE) throw error;
    soon.then(() => callBack(entry, what, number, value));
    return;
  }
  try {
    from(id, what, number, value);
  } catch (error) {
    moduleFailed(from, error);
  }
}

/** Calls back for the last time. */
export function callBackLast(entry, what) {
  registry.delete(entry.id);
  callBack(entry, what);
}

/** A field of an object that need not be the browser's own: `undefined` if it is absent or throws. */
function read(object, field) {
  try {
    return object[field];
  } catch {
    return undefined;
  }
}

/**
 * The data of an event. Separate from {@link read}: engines make a place that reads one field of one kind of object
 * five times as fast (0.04 µs) as one that reads all fields of all objects.
 */
export function dataOf(event) {
  try {
    return event.data;
  } catch {
    return undefined;
  }
}

/**
 * The bytes a socket has buffered, read for every message if the server answers pings: separate for the same reason.
 */
function bufferedAmountOf(socket) {
  try {
    return socket.bufferedAmount;
  } catch {
    return 0;
  }
}

/** Sets a field of such an object, if that works. */
export function write(object, field, value) {
  try {
    object[field] = value;
  } catch {
    // Nothing needs to know.
  }
}

/** A text field of such an object. */
export function readText(object, field, otherwise = '') {
  const text = read(object, field);
  return typeof text === 'string' ? text : otherwise;
}

/** Such an object may return anything as a number. */
function numberOf(value) {
  return typeof value === 'number' ? value : 0;
}

/** The bytes of a message's data; for text in UTF-16 code units, since counting UTF-8 bytes would mean walking the text. */
function sizeOf(data) {
  return typeof data === 'string' ? data.length : numberOf(read(data, 'byteLength') ?? read(data, 'size'));
}

/** The name of an exception: its message may quote the URL. */
export function nameOf(thrown) {
  return readText(thrown, 'name', 'an exception without a name');
}

// --- The clock, timers and the page ---------------------------------------------------------------------------

/** The module has panicked. */
export function panicked(message, file, line) {
  moduleFailed(call, `${message} (${file}:${line})`);
}

/** Milliseconds on a monotonic clock, if there is one. */
export function now() {
  return globalThis.performance?.now() ?? Date.now();
}

export function wallClock() {
  return Date.now();
}

export function chance() {
  return Math.random();
}

export function setTimer(id, millis) {
  const entry = register(id);
  entry.timer = setTimeout(() => callBack(entry), millis);
}

export function clearTimer(id) {
  clearTimeout(unregister(id)?.timer);
}

/** Its number is in use until it is called back. */
export function defer(id) {
  const entry = { id, isLive: true, from: alive() };
  queueMicrotask(() => callBack(entry));
}

/**
 * Calls back in a task behind the socket events that are already queued. Browsers run such tasks in the order in which
 * they were posted, if posted as messages of a channel rather than as timers, even in hidden pages. Node runs timers
 * before sockets, and immediates after them. But `ws` inflates compressed messages in a thread, and reports the end of
 * a socket later still. So it gets some time on real timers, and then Node reads its sockets again, in case the program
 * was busy meanwhile.
 *
 * @returns 0 if it will not call back: on fake timers, only what the test has yet to do can be pending
 */
export function turn(id) {
  const { setImmediate, setTimeout } = globalThis;
  if (setTimeout.clock) return 0;
  const entry = { id, isLive: true, from: alive() };
  const run = () => callBack(entry);
  if (setImmediate) {
    if (setTimeout.name === 'setTimeout') setImmediate(setTimeout, setImmediate, INFLATING, run);
    else setImmediate(run);
  } else {
    inTask(run);
  }
  return 1;
}

/** Calls a function in a task of its own, which neither hidden pages nor fake timers delay where there are channels. */
function inTask(run) {
  const { MessageChannel, setTimeout } = globalThis;
  if (!MessageChannel) {
    setTimeout(run);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    run();
  };
  port2.postMessage(0);
}

/** Listens to the page and the network. Workers get events of the network only, and Node gets none. */
export function watch(id) {
  const entry = register(id);
  entry.unwatchPage = watchPage((hint) => callBack(entry, 0, hint));
}

export function unwatch(id) {
  unregister(id)?.unwatchPage();
}

/**
 * Listens to the page and the network. Workers get events of the network only, and Node gets none.
 *
 * @param onHint - called with the number of what may have changed
 * @returns a function that stops listening
 */
export function watchPage(onHint) {
  const listener = (event) => {
    const hint = (OF_THE_GLOBAL[event.type] ?? OF_THE_DOCUMENT[event.type])(event);
    if (hint >= 0) onHint(hint);
  };
  listen('addEventListener', listener);
  return () => listen('removeEventListener', listener);
}

function listen(method, listener) {
  try {
    for (const type of Object.keys(OF_THE_GLOBAL)) globalThis[method](type, listener);
    for (const type of Object.keys(OF_THE_DOCUMENT)) globalThis.document?.[method](type, listener);
  } catch {
    // Node's global object is not an event target.
  }
}

// --- Sockets ------------------------------------------------------------------------------------------------

/** The types of a socket's events. */
const TYPES = ['open', 'message', 'error', 'close'];

/**
 * Opens the host's first socket while the module still loads, and keeps what it reports, in order, until the core opens
 * its first socket: then it gets this one. If it cannot be made, the core learns that from its own attempt.
 */
export function openEarly(host) {
  let socket;
  try {
    socket = host.makeSocket();
  } catch {
    return;
  }
  const drop = () => dropEarly(host);
  const early = { socket, events: [], bytes: 0, timer: setTimeout(drop, host.numbers[CONNECT_TIMEOUT]) };
  host.early = early;
  for (const type of TYPES) {
    write(socket, `on${type}`, (event) => {
      clearTimeout(early.timer);
      early.bytes += sizeOf(dataOf(event));
      if (early.events.push(event) > INBOX_MESSAGES || early.bytes > INBOX_BYTES) drop();
    });
  }
  write(socket, 'binaryType', host.binaryType);
}

/** Closes that socket for good, unless the core has it: the core makes its own. */
export function dropEarly(host) {
  const { early } = host;
  if (!early) return;
  clearTimeout(early.timer);
  if (read(early.socket, 'readyState') !== IS_CLOSED) host.counts[ABANDONED] += 1;
  deafen(early.socket);
  close(early.socket, -1, '');
  host.early = null;
  host.socket = null;
}

/** Passes on what an early socket has reported, each event in a task of its own, as sockets do. */
function replay({ socket, events }, handlers, entry) {
  if (!entry.isLive) return;
  if (events.length === 0) {
    Object.assign(socket, handlers);
    return;
  }
  inTask(() => {
    const event = events.shift();
    if (entry.isLive) handlers[`on${event.type}`](event);
    replay({ socket, events }, handlers, entry);
  });
}

export function openSocket(host, id, max) {
  const from = alive();
  const { early } = host;
  host.early = null;
  clearTimeout(early?.timer);
  let socket;
  try {
    socket = early ? early.socket : host.makeSocket();
  } catch (error) {
    host.refusal = error;
    return 0;
  }
  if (from !== call) {
    // The instance has failed meanwhile, and nothing else would close the socket.
    write(socket, 'onerror', () => {});
    close(socket, -1, '');
    return 0;
  }
  const entry = register(id, { socket, host, isThePlatforms: false, closeTimer: undefined });
  const handlers = early ? {} : socket;
  write(handlers, 'onopen', (event) => {
    if (!entry.isLive) return;
    // A program cannot create trusted events.
    entry.isThePlatforms = read(event, 'isTrusted') === true && read(event, 'target') === socket;
    host.lends = entry.isThePlatforms;
    callBack(entry, SOCKET_OPENED);
  });
  write(handlers, 'onmessage', (event) => {
    const data = dataOf(event);
    // Before any of it is copied.
    const size = sizeOf(data);
    host.size = size;
    if (size > max) callBack(entry, SOCKET_TOO_BIG);
    // Reading the event's data a second time takes as long as the core takes for a message (0.1 µs).
    else callBack(entry, SOCKET_MESSAGE, size, host.takesData ? data : event);
  });
  write(handlers, 'onerror', (event) => {
    // Browsers give no details; `ws` and the runtimes outside browsers do.
    const message = readText(event, 'message');
    if (message !== '') host.said = { message, error: read(event, 'error') };
    // Armed first, since the callback may let go of the socket.
    const state = read(socket, 'readyState');
    if (entry.isLive && (state === IS_CLOSED || state === IS_CONNECTING)) {
      entry.closeTimer ??= setTimeout(
        () => {
          if (!entry.isLive) return;
          // Closed, in case it goes on after all: it must not coexist with the next one.
          silence(id);
          closeSocket(id, -1, '');
          entry.isLive = true;
          callBack(entry, SOCKET_CLOSED, ABNORMAL);
        },
        state === IS_CLOSED ? CLOSE_AFTER_ERROR : 0,
      );
    }
    callBack(entry, SOCKET_ERROR);
  });
  write(handlers, 'onclose', (event) => {
    const code = read(event, 'code');
    const isClean = read(event, 'wasClean');
    // Deno reports 0 if no close frame came, which is not a code. A server can send a close frame with 0.
    const isCode = typeof code === 'number' && (code > 0 || isClean);
    callBack(entry, isClean ? SOCKET_CLOSED_CLEANLY : SOCKET_CLOSED, isCode ? code : ABNORMAL, read(event, 'reason'));
  });
  if (early) replay(early, handlers, entry);
  else write(socket, 'binaryType', host.binaryType);
  return 1;
}

export function sendOn(id, message) {
  const { socket, host, isThePlatforms } = registry.get(id);
  // A ping is not one of the program's messages.
  const sent = message instanceof Message ? message : marked;
  marked = null;
  // The socket has accepted it, or may have.
  count(host, sent, 1);
  try {
    if (sent === message) sent.giveTo(socket, isThePlatforms);
    else socket.send(message);
    return 1;
  } catch (error) {
    count(host, sent, -1);
    host.refusal = error;
    return 0;
  }
}

function count({ counts }, sent, sign) {
  if (!sent) return;
  sent.isSent = sign > 0;
  counts[MESSAGES_SENT] += sign;
  counts[BYTES_SENT] += sign * sent.bytes;
}

export function closeSocket(id, code, reason) {
  close(registry.get(id).socket, code, reason);
}

function close(socket, code, reason) {
  try {
    // A reason without a code goes with 1000, which is what scripts mean by omitting the code.
    if (code < 0 && reason === '') socket.close();
    else socket.close(code < 0 ? 1000 : code, reason);
  } catch {
    // The arguments were checked before; nothing needs to know.
  }
}

export function silence(id) {
  const entry = registry.get(id);
  const { socket, closeTimer } = entry;
  entry.isLive = false;
  clearTimeout(closeTimer);
  deafen(socket);
}

function deafen(socket) {
  for (const type of TYPES) write(socket, `on${type}`, null);
  // Node's `ws` fires an error when it is closed while connecting, and without a listener that error ends the process.
  write(socket, 'onerror', () => {});
}

export function letGoOf(id) {
  silence(id);
  const { socket, host } = registry.get(id);
  if (read(socket, 'readyState') !== IS_CLOSED) host.counts[ABANDONED] += 1;
  if (host.socket === socket) {
    host.socket = null;
    host.lends = false;
  }
  host.left = socket;
  registry.delete(id);
}

export function bufferedBy(id) {
  return numberOf(bufferedAmountOf(registry.get(id).socket));
}

export function protocolOf(id) {
  return read(registry.get(id).socket, 'protocol');
}

/** The message whose text the core escapes, in order to send the result. */
let marked = null;

/** The text of a message (an event, its data, or a message to send) if it begins with the character of this code. */
export function markedText(message, code) {
  const data = typeof message === 'string' ? message : dataOf(message);
  if (typeof data !== 'string' || data.charCodeAt(0) !== code) return undefined;
  if (message instanceof Message) marked = message;
  return data;
}

/** Removes that character from such a message; returns its data, or an object with the fields of its event. */
export function withoutMark(message) {
  return typeof message === 'string' ? message.slice(1) : { data: dataOf(message).slice(1) };
}

/** The instance has failed: drops its timers, listeners and requests, and closes its sockets for good. */
export function abandonAll() {
  for (const [id, { socket, timer, unwatchPage, controller }] of [...registry]) {
    if (socket) letGoOf(id);
    else unregister(id);
    if (socket) close(socket, -1, '');
    clearTimeout(timer);
    unwatchPage?.();
    controller?.abort();
  }
}
