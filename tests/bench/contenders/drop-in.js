// The clients that have the interface of `WebSocket`, and `WebSocket` itself.

import { ReconnectingWebSocket as Rews } from '@nktkas/rews';
import PartySocket from 'partysocket/ws';
import Pladaria from 'reconnecting-websocket';
import { ReconnectingWebSocket } from 'steady-socket';

import { textValue } from '../page/digest.js';
import { counter, opened, sender, valueOfData } from './receiver.js';

/** Makes a contender of a class. `by` is how it is given messages: `handler` or `listener`. */
function dropIn({ name, by = 'handler', make, takes = () => true, digested = valueOfData, ...rest }) {
  return {
    ...rest,
    name: by === 'handler' ? name : `${name}, ${by}`,
    // A listener differs from a handler in nothing that a send does.
    takes: (task) => takes(task) && (by === 'handler' || (task.direction === 'receive' && task.kind === 'text')),
    async open({ url, task, messages, onMessage }) {
      const socket = make(url);
      socket.binaryType = 'arraybuffer';
      const { take, received } = counter(digested(task), onMessage);
      if (by === 'handler') socket.onmessage = (event) => take(event.data);
      else socket.addEventListener('message', (event) => take(event.data));
      await opened(socket);
      return { received, send: sender(socket, task, messages), close: () => socket.close() };
    },
  };
}

const CLASSES = [
  { name: 'bare', make: (url) => new WebSocket(url) },
  { name: 'partysocket', package: 'partysocket', make: (url) => new PartySocket(url) },
  { name: 'reconnecting-websocket', package: 'reconnecting-websocket', make: (url) => new Pladaria(url) },
  { name: 'rews', package: '@nktkas/rews', make: (url) => new Rews(url) },
  { name: 'steady-socket', package: 'steady-socket', make: (url) => new ReconnectingWebSocket(url) },
];

export const dropIns = [
  ...CLASSES.flatMap((one) => ['handler', 'listener'].map((by) => dropIn({ ...one, by }))),
  // To this all is added that decodes JSON, in whatever way.
  dropIn({
    name: 'bare, not parsed',
    undecoded: true,
    make: CLASSES[0].make,
    takes: ({ direction, kind }) => direction === 'receive' && kind === 'json',
    digested: () => textValue,
  }),
];
