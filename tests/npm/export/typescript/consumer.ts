// Compiled, not run: what the declarations of exported classes allow, and what they do not.

import init, { HelloSocket } from './typed-hello/typed_hello.js';
import type {
  ClientMessage,
  InvalidName,
  Received,
  Sent,
  ServerMessage,
  SocketOptions,
} from './typed-hello/typed_hello.js';
import { ShapesSocket } from './messages/export_messages.js';
import type { PackedShapesSocket, Shape } from './messages/export_messages.js';

/** Compiles only where both types are the same. */
type Same<One, Other> = (<T>() => T extends One ? 1 : 2) extends <T>() => T extends Other ? 1 : 2 ? true : false;
const same = <_Holds extends true>(): void => {};

await init();

// --- Making one

new HelloSocket();
new HelloSocket('wss://example.org', { maxRetries: 3, overflow: 'drop-oldest', gate: true });
new HelloSocket(new URL('wss://example.org'), null);
const options: SocketOptions = { heartbeatInterval: Infinity };
const socket = new HelloSocket(undefined, options);
// @ts-expect-error there is no such option
new HelloSocket('wss://example.org', { maxRetry: 3 });
// @ts-expect-error an option of another kind
new HelloSocket('wss://example.org', { maxRetries: '3' });
// @ts-expect-error a choice that there is not
new HelloSocket('wss://example.org', { overflow: 'drop' });
// @ts-expect-error no URL
new HelloSocket(8765);

// --- Sending

same<Same<Sent<HelloSocket>, ClientMessage>>();
socket.send({ type: 'hello', name: 'Ada' });
// @ts-expect-error a wrong name of a field
socket.send({ type: 'hello', nome: 'Ada' });
// @ts-expect-error a field too many
socket.send({ type: 'hello', name: 'Ada', age: 36 });
// @ts-expect-error a field too few
socket.send({ type: 'hello' });
// @ts-expect-error a field of another type
socket.send({ type: 'hello', name: 1 });
// @ts-expect-error a message that there is not
socket.send({ type: 'goodbye', name: 'Ada' });
// @ts-expect-error a message of the other side
socket.send({ type: 'greeting', text: 'Hello Ada!' });
// @ts-expect-error text is no message
socket.send('Ada');
// @ts-expect-error nothing is no message
socket.send(null);

// --- Receiving

same<Same<Received<HelloSocket>, ServerMessage>>();

function show(answer: ServerMessage): string {
  switch (answer.type) {
    case 'greeting':
    case 'malformed':
      return answer.text;
    case 'invalid':
      return explain(answer.reason);
    default:
      return answer satisfies never;
  }
}

function explain(reason: InvalidName): string {
  // @ts-expect-error only one of them has a length
  void reason.length;
  return reason.problem === 'tooLong' ? `${reason.length.toFixed()} of ${reason.max}` : reason.problem;
}

const next: ServerMessage | undefined = await socket.next();
// @ts-expect-error there may be none
show(next);
const there = socket.tryNext();
if (there !== undefined) show(there);
for await (const answer of socket) show(answer);

const other = new HelloSocket();
other.addEventListener('message', ({ data }) => show(data));
other.addEventListener(
  'message',
  (event) => {
    // @ts-expect-error an answer that there is not
    void (event.data.type === 'goodbye');
  },
  { once: true },
);
other.addEventListener('statechange', ({ state, delay }) => {
  if (state === 'waiting' && delay !== null) delay.toFixed();
  // @ts-expect-error a state that there is not
  void (state === 'lost');
});
other.addEventListener('open', ({ reconnected, attempt }) => {
  if (reconnected) attempt.toFixed();
});
other.addEventListener(
  'close',
  ({ code, reason, wasClean, willReconnect, cause, explanation, unconfirmedMessages }) => {
    void [
      code.toFixed(),
      reason.trim(),
      wasClean === willReconnect,
      cause === 'heartbeat-timeout',
      explanation.trim(),
      unconfirmedMessages.toFixed(),
    ];
  },
);
other.addEventListener('dropped', ({ messages, reason }) => {
  for (const message of messages) if (message.type === 'hello') message.name.trim();
  void (reason === 'expired');
});
other.addEventListener('invalid', ({ error, detail, excerpt }) => {
  void [error.message, detail?.trim(), excerpt?.trim()];
});
// @ts-expect-error an event that there is not
other.addEventListener('messages', () => {});

// --- The rest

socket.ready();
socket.suspend(4000, 'out of sight');
socket.resume();
socket.reconnect();
socket.close(4000, 'done');
// @ts-expect-error a code is a number
socket.close('4000');
void [socket.state.trim(), socket.protocol.trim(), socket.bufferedAmount.toFixed()];
// @ts-expect-error it cannot be set
socket.state = 'open';
socket[Symbol.dispose]();
socket.free();

// --- Every shape

const shapes = new ShapesSocket();
same<Same<Sent<ShapesSocket>, Shape>>();
same<Same<Received<PackedShapesSocket>, Shape>>();
shapes.send({ type: 'numbers', unsigned: 2 ** 53 - 1, signed: -1, real: 0.5, small: 255 });
// @ts-expect-error a 64-bit integer is a number
shapes.send({ type: 'numbers', unsigned: 1n, signed: -1, real: 0.5, small: 255 });
shapes.send({ type: 'identity', id: '18446744073709551615' });
shapes.send({ type: 'identity', id: `${2n ** 64n - 1n}` });
// @ts-expect-error text that is no integer
shapes.send({ type: 'identity', id: 'one' });
shapes.send({ type: 'choices', count: null, share: 0.5 });
shapes.send({ type: 'choices', count: 1, share: null, label: 'a', isFinal: true });
// @ts-expect-error none is null
shapes.send({ type: 'choices', count: undefined, share: null });
// @ts-expect-error what serde skips is not there
shapes.send({ type: 'choices', count: 1, share: null, secret: 1 });
// @ts-expect-error serde has given it another name
shapes.send({ type: 'choices', count: 1, share: null, is_final: true });
shapes.send({ type: 'map', entries: { a: 1 } });
shapes.send({ type: 'tree', children: [{ type: 'nothing' }, { type: 'tree', children: [] }] });
// @ts-expect-error wrong deep inside
shapes.send({ type: 'tree', children: [{ type: 'nothing' }, { type: 'tree', children: [{ type: 'text' }] }] });
