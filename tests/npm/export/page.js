// The classes under test, and what the tests do with them in the page.

import initHello, { HelloSocket } from '/typed-hello/typed_hello.js';
import initShapes, * as shapes from '/messages/export_messages.js';

/** Without waits, so that a test of a reconnection takes as long as the reconnection. */
const QUICK = { firstDelayMax: 0, minDelay: 0, baseDelay: 1, maxDelay: 1, attemptInterval: 0 };

/** An error, or whatever was thrown, in a form that can be handed to the test. */
function described(thrown) {
  if (!(thrown instanceof Error) && !(thrown instanceof DOMException)) return { thrown };
  const { name, message, detail = null } = thrown;
  return { name, message, detail };
}

/** What `run` throws, described; `null` if it throws nothing. */
function failureOf(run) {
  try {
    run();
    return null;
  } catch (error) {
    return described(error);
  }
}

/** Everything that a socket tells from now on, in order, without messages. */
function recorded(socket) {
  const events = [];
  const plain = ({ type, state, code, cause, willReconnect, reason, reconnected, messages, error, detail, excerpt }) => (
    { type, state, code, cause, willReconnect, reason, reconnected, messages, error: error && described(error), detail, excerpt }
  );
  for (const type of ['statechange', 'open', 'close', 'dropped', 'invalid', 'error']) {
    socket.addEventListener(type, (event) => events.push(plain(event)));
  }
  return events;
}

/** The next event of a kind that fulfils a condition. */
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
