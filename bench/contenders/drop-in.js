// The clients with the interface of `WebSocket`, and `WebSocket` itself.

import { ReconnectingWebSocket as Rews } from '@nktkas/rews';
import PartySocket from 'partysocket/ws';
import Pladaria from 'reconnecting-websocket';
import { ReconnectingWebSocket } from 'steady-socket';

import { textValue } from '../page/digest.js';
import { counter, opened, sender, valueOfData } from './receiver.js';

/**
 * Makes a contender from a class. `by` is how it delivers messages: `handler` or `listener`; `told` turns the socket's
 * event into what the handler receives.
 */
function dropIn({ name, by = 'handler', make, takes = () => true, digested = valueOfData, told, ...rest }) {
  return {
    ...rest,
    name: by === 'handler' ? name : `${name}, ${by}`,
    // For sending, a listener is no different from a handler.
    reconnects: rest.reconnects && by === 'handler',
    takes: (task) => takes(task) && (by === 'handler' || (task.direction === 'receive' && !task.shape)),
    async open({ url, task, messages, onMessage, onOpen, impatient }) {
      const socket = make(url, impatient);
      if (onOpen) socket.addEventListener('open', onOpen);
      socket.binaryType = 'arraybuffer';
      const { take, received } = counter(digested(task), onMessage);
      if (told) socket.onmessage = (event) => take(told(event).data);
      else if (by === 'handler') socket.onmessage = (event) => take(event.data);
      else socket.addEventListener('message', (event) => take(event.data));
      await opened(socket);
      return { received, send: sender(socket, task, messages), close: () => socket.close() };
    },
  };
}

/** The options with which each reconnects at once. */
const AT_ONCE = {
  partysocket: { minReconnectionDelay: 1, maxReconnectionDelay: 1, minUptime: 0 },
  pladaria: { minReconnectionDelay: 1, maxReconnectionDelay: 1, minUptime: 0 },
  rews: { reconnectionDelay: 0, stableTimeout: 0 },
  steady: { firstDelayMax: 0, minDelay: 0, stableAfter: 0, attemptInterval: 0 },
};

const CLASSES = [
  { name: 'bare', make: (url) => new WebSocket(url) },
  {
    name: 'partysocket',
    package: 'partysocket',
    reconnects: true,
    make: (url, impatient) => new PartySocket(url, [], impatient ? AT_ONCE.partysocket : {}),
  },
  {
    name: 'reconnecting-websocket',
    package: 'reconnecting-websocket',
    reconnects: true,
    make: (url, impatient) => new Pladaria(url, [], impatient ? AT_ONCE.pladaria : {}),
  },
  {
    name: 'rews',
    package: '@nktkas/rews',
    reconnects: true,
    make: (url, impatient) => new Rews(url, [], impatient ? AT_ONCE.rews : {}),
  },
  {
    name: 'steady-socket',
    package: 'steady-socket',
    reconnects: true,
    make: (url, impatient) => new ReconnectingWebSocket(url, [], impatient ? AT_ONCE.steady : {}),
  },
];

export const dropIns = [
  ...CLASSES.flatMap((one) => ['handler', 'listener'].map((by) => dropIn({ ...one, by }))),
  // The baseline that every decoding of JSON is added to.
  dropIn({
    name: 'bare, not parsed',
    undecoded: true,
    make: CLASSES[0].make,
    takes: ({ direction, kind }) => direction === 'receive' && kind === 'json',
    digested: () => textValue,
  }),
  // The least that a class with its own events can cost: one more event per message, of the cheapest kind.
  dropIn({
    name: 'bare, an event more',
    holds: false,
    make: CLASSES[0].make,
    takes: ({ direction, kind, bytes }) => direction === 'echo' && kind === 'text' && bytes === 16,
    told: ({ data }) => ({ data, event: new Event('message') }),
  }),
];
