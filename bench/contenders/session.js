// The classes of this package in a session. Against the stub every message travels alone; a real server puts those of one
// turn of its event loop into one frame, as the client does.

import { ReconnectingWebSocket, TypedSocket, load } from 'steady-socket/session';

import { REAL_SEND, REAL_SEND_ALONE } from '../page/cases.js';
import { shapeValues, textValue } from '../page/digest.js';
import { SessionStub } from '../page/session-stub.js';
import { counter, opened, sender, valueOfData } from './receiver.js';

/** Where `lib/page.mjs` puts the module of sessions. */
const MODULE = '/bench/session.wasm';

/** How many messages may be sent while nothing comes back: half a window. */
const WINDOW = 512;

const AT_ONCE = { firstDelayMax: 0, minDelay: 0, stableAfter: 0, attemptInterval: 0 };

/** Passes text through unchanged, and encodes whatever it is given as text: so a session knows how to write its frames. */
const asItIs = { encode: String, decode: (data) => data };

/** The address and the options of a socket. */
function given({ url, sessions, credential, task, impatient }) {
  // The test server's names.
  const protocols = task.kind === 'json' ? [`${task.way ? 'burst' : 'echo'}.json`] : [];
  return [sessions ?? url, protocols, { session: { credential }, ...(impatient && AT_ONCE) }];
}

function byEvents(context) {
  const { task, messages } = context;
  const [url, protocols, options] = given(context);
  const socket = new ReconnectingWebSocket(url, protocols, options);
  socket.binaryType = 'arraybuffer';
  return {
    socket,
    valueOf: valueOfData(task),
    receive: (take) => {
      socket.onmessage = (event) => take(event.data);
    },
    send: sender(socket, task, messages),
  };
}

/** Sends one message after the other by a method. */
function sends(values, method) {
  return (count) => {
    for (let index = 0; index < count; index += 1) method(values[index % values.length]);
  };
}

function byTypedHandler(context) {
  const { task, messages } = context;
  const [url, protocols, options] = given(context);
  const codec = task.kind === 'json' ? {} : { codec: asItIs };
  const socket = new TypedSocket(url, { protocols, ...options, ...codec });
  return {
    socket,
    valueOf: task.kind === 'json' ? shapeValues[task.shape] : textValue,
    receive: (take) => {
      socket.forEach(take);
    },
    send: sends(
      messages.map(({ wire, value }) => value ?? wire),
      (message) => socket.send(message),
    ),
  };
}

/** Waits until each message is handled. */
function byDelivery(context) {
  const made = byEvents(context);
  const { socket } = made;
  const wires = context.messages.map(({ wire }) => wire);
  return {
    ...made,
    send: (count) =>
      Promise.all(Array.from({ length: count }, (_, index) => socket.deliver(wires[index % wires.length]))),
  };
}

/** What a turn of the event loop has gathered is written at its end, which is a part of the cost of sending. */
async function atEndOfTurn(_sent) {}

/**
 * @param make - returns the socket, what a message adds to the digest, a function that makes it receive, and one that
 *   sends
 */
function inSession(name, make, takes) {
  return {
    name: `steady-socket session${name}`,
    package: 'steady-socket',
    stub: SessionStub,
    holds: false,
    resumes: make !== byDelivery,
    takes,
    load: () => load({ module: MODULE }),
    async open(context) {
      const { task, onMessage, onOpen, onResumed } = context;
      const { socket, valueOf, receive, send } = make(context);
      if (onOpen) socket.addEventListener('open', onOpen);
      if (onResumed) socket.addEventListener('resumed', onResumed);
      const { take, received } = counter(valueOf, onMessage);
      receive(take);
      await opened(socket);
      return {
        received,
        most: WINDOW,
        send: task.direction === 'send' && !task.alone ? (count) => atEndOfTurn(send(count)) : send,
        close: () => socket.close(),
      };
    },
  };
}

const isText = ({ kind }) => kind === 'text';
const isReal = ({ id }) => id === REAL_SEND.id || id === REAL_SEND_ALONE.id;
/** The stub acknowledges nothing, so a window would fill. */
const takesText = (task) => isText(task) && (task.direction === 'receive' || task.direction === 'echo' || isReal(task));
const takesBursts = ({ kind, direction }) => kind === 'json' && direction === 'echo';

export const sessions = [
  inSession('', byEvents, (task) => takesText(task) || takesBursts(task)),
  inSession(
    ', typed handler',
    byTypedHandler,
    (task) => (takesText(task) && task.direction !== 'send') || takesBursts(task),
  ),
  inSession(', delivered', byDelivery, (task) => isText(task) && task.direction === 'echo' && !task.way),
];
