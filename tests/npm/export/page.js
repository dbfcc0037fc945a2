// The classes under test, and the tests' helpers in the page.

import initHello, { HelloSocket } from '/typed-hello/typed_hello.js';
import initShapes, * as shapes from '/messages/export_messages.js';

/** Without waits, so that testing a reconnection takes no longer than the reconnection. */
const QUICK = { firstDelayMax: 0, minDelay: 0, baseDelay: 1, maxDelay: 1, attemptInterval: 0 };

/** An error, or any thrown value, in a form that can be passed to the test. */
function described(thrown) {
  if (!(thrown instanceof Error) && !(thrown instanceof DOMException)) return { thrown };
  const { name, message, detail = null } = thrown;
  return { name, message, detail };
}

/** A description of what `run` throws, or `null`. */
function failureOf(run) {
  try {
    run();
    return null;
  } catch (error) {
    return described(error);
  }
}

/** Every event of a socket from now on, in order, except messages. */
function recorded(socket) {
  const events = [];
  const plain = ({
    type,
    state,
    code,
    cause,
    willReconnect,
    reason,
    reconnected,
    messages,
    error,
    detail,
    excerpt,
  }) => ({
    type,
    state,
    code,
    cause,
    willReconnect,
    reason,
    reconnected,
    messages,
    error: error && described(error),
    detail,
    excerpt,
  });
  for (const type of ['statechange', 'open', 'close', 'dropped', 'invalid', 'error']) {
    socket.addEventListener(type, (event) => events.push(plain(event)));
  }
  return events;
}

/** The next event of a type that meets a condition. */
function eventOf(socket, type, fulfils = () => true) {
  return new Promise((resolve) => {
    const listener = (event) => {
      if (!fulfils(event)) return;
      socket.removeEventListener(type, listener);
      resolve(event);
    };
    socket.addEventListener(type, listener);
  });
}

Object.assign(globalThis, { HelloSocket, shapes, QUICK, described, failureOf, recorded, eventOf });
globalThis.loaded = Promise.all([initHello(), initShapes()]).then(() => true);
