// Is greeted, loses its connection, is greeted again, and ends. The argument is JSON: `ws` and `http`, the server's
// addresses, and `inject`, whether to pass the WebSocket of the package `ws` as an option or make it the global one.

import process from 'node:process';

import { ReconnectingWebSocket, TypedSocket } from 'steady-socket';
import { msgpack } from 'steady-socket/msgpack';

const { ws, http, inject } = JSON.parse(process.argv[2]);
const injected = inject ? (await import('ws')).WebSocket : undefined;
if (inject === 'globally') globalThis.WebSocket = injected;
const options = inject === 'as an option' ? { WebSocket: injected } : {};

const id = crypto.randomUUID();
const socket = new ReconnectingWebSocket(`${ws}/?id=${id}`, [], { ...options, firstDelayMax: 0 });
const next = (type) =>
  new Promise((resolve) => {
    socket.addEventListener(type, resolve, { once: true });
  });
const states = [socket.readyState];
const greetings = [];

socket.send('Ada');
greetings.push((await next('message')).data);
states.push(socket.readyState);
const lost = next('close');
for (let connections = 0; connections === 0; ) {
  ({ connections } = await (await fetch(`${http}/control/cut?id=${id}`, { method: 'POST' })).json());
}
const losses = [await lost];
socket.send('Bob');
greetings.push((await next('message')).data);
socket.close(4000, 'done');
losses.push(await next('close'));
states.push(socket.readyState);

const typed = new TypedSocket(`${ws}/hello`, { ...options, protocols: 'hello.msgpack', codec: msgpack });
typed.send({ type: 'hello', name: 'Cleo' });
for await (const { text } of typed) {
  greetings.push(text);
  break;
}
typed.close();

const { CloseEvent } = globalThis;
console.log(
  JSON.stringify({
    states,
    greetings,
    losses: losses.map(({ code, reason, wasClean, willReconnect }) => ({ code, reason, wasClean, willReconnect })),
    areEvents: losses.every(
      (event) => event instanceof Event && event.type === 'close' && event.constructor.name === 'CloseEvent',
    ),
    areGlobal: CloseEvent && losses.every((event) => event instanceof CloseEvent),
  }),
);
