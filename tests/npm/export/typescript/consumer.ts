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
import { CountingSocket, NotesSocket, ShapesSocket, ShopSocket } from './messages/export_messages.js';
import type {
  Ask,
  DeliveryError,
  PackedShapesSocket,
  Shape,
  ShopSocketRequestError,
  ShopSocketResponses,
  Told,
} from './messages/export_messages.js';

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

// --- Sessions

const shop = new ShopSocket('wss://example.org', { session: { credential: async ({ attempt }) => `${attempt}` } });
new ShopSocket('wss://example.org', { session: 'optional', maxRetries: 3 });
// @ts-expect-error a session there is
new ShopSocket('wss://example.org', { session: false });
// @ts-expect-error a class without sessions
new ShapesSocket('wss://example.org', { session: true });
// @ts-expect-error a class without sessions
new ShapesSocket('wss://example.org').deliver({ type: 'nothing' });

const delivered: Promise<void> = shop.deliver({ text: 'Hello' }, { signal: new AbortController().signal });
// @ts-expect-error a wrong name of a field
shop.deliver({ txt: 'Hello' });
// @ts-expect-error no such option
shop.deliver({ text: 'Hello' }, { timeout: 1 });

// Each request has its own response.
const { cents } = await shop.request({ type: 'price', of: 'tea' }, { timeout: 10_000 });
const { grams } = await shop.request({ type: 'stock', of: 'tea' });
const numbers: number[] = [cents, grams];
same<Same<ShopSocketResponses, { price: { type: 'price'; cents: number }; stock: { type: 'stock'; grams: number } }>>();
// @ts-expect-error of the other request
(await shop.request({ type: 'stock', of: 'tea' })).cents;
// @ts-expect-error no such request
shop.request({ type: 'age', of: 'tea' });
// @ts-expect-error a field too few
shop.request({ type: 'price' });
// @ts-expect-error a field too many
shop.request({ type: 'price', of: 'tea', age: 1 });
const ask: Ask = { type: 'price', of: 'tea' };
const told: Told = await shop.request(ask);

shop.handle(async ({ text }, { signal, fail }) => (signal.aborted || text === '' ? fail('notSold') : { yes: true }));
shop.handle(() => ({ yes: false }));
// @ts-expect-error no such reply
shop.handle(() => ({ maybe: true }));
// @ts-expect-error no such error
shop.handle((_, { fail }) => fail('bored'));

shop.addEventListener('sessionlost', ({ notHandled, unknown, handled, reason }) => {
  const notes: string[] = [...notHandled, ...unknown].map(({ text }) => text);
  console.log(notes, handled.toFixed(), reason);
});
shop.addEventListener('resumed', ({ replayed }) => replayed.toFixed());
shop.addEventListener('pendingchange', ({ unacknowledgedMessages }) => unacknowledgedMessages.toFixed());
shop.addEventListener('undelivered', ({ message }) => message.text);
shop.addEventListener('message', ({ data }) => data.text);
shop.addEventListener('statechange', ({ state }) => state);
// @ts-expect-error a class without sessions has no such event
new ShapesSocket('wss://example.org').addEventListener('resumed', () => {});
shop.sendCredential('ticket');

const failed = (error: ShopSocketRequestError): string => {
  if (error.name === 'RequestError') return error.error === 'notSold' ? 'not sold' : error.code;
  return error.name === 'NotHandledError' ? 'not handled' : 'unknown';
};
const deliveryFailed = ({ name, sent }: DeliveryError): unknown => (name === 'NotHandledError' ? 'again?' : sent);

const count: number = await new CountingSocket('wss://example.org').request({ of: 'sheep' });
// @ts-expect-error it answers nothing
new CountingSocket('wss://example.org').handle(() => 1);
// @ts-expect-error it asks nothing
new NotesSocket('wss://example.org').request({ of: 'sheep' });
console.log(delivered, numbers, told, failed, deliveryFailed, count);
