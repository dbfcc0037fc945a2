// Uses the declarations of sessions as a careful program would; compiled with `--strict`, never run. Each
// `@ts-expect-error` marks a mistake that the declarations must catch.

import { ReconnectingWebSocket as Plain, TypedSocket as PlainTyped } from 'steady-socket';
import {
  ApplicationError,
  ClosedError,
  MessageError,
  NotHandledError,
  OverflowError,
  ReconnectingWebSocket,
  RequestError,
  TypedSocket,
  TypedSocketError,
  UnknownEndError,
  json,
  load,
  type BufferOptions,
  type BufferOverflow,
  type Codec,
  type ConnectionState,
  type DeliverOptions,
  type DiscardedEvent,
  type InvalidEvent,
  type LossCause,
  type MessageIterator,
  type PendingChangeEvent,
  type ReconnectingWebSocketEventMap,
  type ReconnectingWebSocketOptions,
  type RequestContext,
  type RequestOptions,
  type ResumedEvent,
  type SchemaIssue,
  type SessionEventMap,
  type SessionOptions,
  type SessionOverEvent,
  type SessionSnapshot,
  type SessionUnavailableEvent,
  type StalledEvent,
  type StandardSchema,
  type TypedDroppedEvent,
  type TypedSessionSnapshot,
  type TypedSocketEventMap,
  type TypedSocketOptions,
  type UndeliveredEvent,
  type WaitOptions,
} from 'steady-socket/session';
import type { TypedSocket as InlineTypedSocket } from 'steady-socket/session/inline';
import { createMsgpack, msgpack } from 'steady-socket/session/msgpack';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only if both types are the same. */
function same<A, B>(_: Same<A, B>): void {}

type Said = { text: string };
type Heard = { from: string; text: string };
declare const incoming: StandardSchema<unknown, Heard>;
declare const outgoing: StandardSchema<Said, unknown>;
declare const time: StandardSchema<unknown, number>;

void load();
same<typeof InlineTypedSocket, typeof TypedSocket>(true);

// --- Options

const all: SessionOptions = {
  optional: true,
  credential: async ({ attempt, lastClose, signal }) => {
    same<typeof attempt, number>(true);
    signal.throwIfAborted();
    return lastClose === null ? 'first' : `after-${lastClose.code}`;
  },
  messages: 100,
  bytes: 65_536,
  requests: 0,
};
const none: SessionOptions = { optional: undefined, credential: undefined, messages: undefined };
const options: ReconnectingWebSocketOptions = { session: true, protocols: ['chat.json'], maxRetries: 3 };
const typedOptions: TypedSocketOptions = { session: none, buffer: { messages: 1 } };
new ReconnectingWebSocket('/chat', { session: 'optional' });
new ReconnectingWebSocket('/chat', ['chat'], { session: all });
new ReconnectingWebSocket('/chat', { ...options, session: { credential: 'token' } });
new ReconnectingWebSocket('/chat');
new TypedSocket('/chat', typedOptions);
new TypedSocket('/chat', { session: undefined });
// @ts-expect-error: without a session there is nothing to ask for
new ReconnectingWebSocket('/chat', { session: false });
// @ts-expect-error
new ReconnectingWebSocket('/chat', { session: 'required' });
// @ts-expect-error
new TypedSocket('/chat', { session: { window: 5 } });
// @ts-expect-error
new TypedSocket('/chat', { session: { credential: 5 } });
// @ts-expect-error: another entry has it
new Plain('/chat', [], { session: true });
// @ts-expect-error: another entry has it
new PlainTyped('/chat', { session: true });

// --- The drop-in class

const socket = new ReconnectingWebSocket('/chat', { session: true });
const dropIn: WebSocket = socket;
const plain: Plain = socket;
void [dropIn, plain];

socket.addEventListener('sessionstart', (event) => same<typeof event, Event>(true));
socket.addEventListener('resumed', (event) => same<typeof event, ResumedEvent>(true));
socket.addEventListener('sessionlost', function (event) {
  same<typeof event, SessionOverEvent<string | ArrayBuffer | Blob>>(true);
  same<typeof this, ReconnectingWebSocket>(true);
  for (const message of event.notHandled) this.send(message);
  console.log(event.reason, event.handled, event.unknown.length);
});
socket.addEventListener('sessionend', (event) => same<typeof event, SessionOverEvent>(true));
socket.addEventListener('sessionunavailable', (event) => same<typeof event, SessionUnavailableEvent>(true));
socket.addEventListener('undelivered', ({ message, isUnknown, reason }) => {
  same<typeof message, string | ArrayBuffer | Blob>(true);
  same<typeof isUnknown, boolean>(true);
  same<typeof reason, string>(true);
});
socket.addEventListener('pendingchange', (event: PendingChangeEvent) => event.unacknowledgedMessages.toFixed());
socket.addEventListener('stalled', (event: StalledEvent) => same<typeof event.here, boolean>(true));
socket.addEventListener('discarded', (event: DiscardedEvent) => event.messages.toFixed());
socket.addEventListener('close', ({ willReconnect, cause }) => {
  same<typeof willReconnect, boolean>(true);
  same<typeof cause, LossCause>(true);
});
socket.removeEventListener('resumed', (event) => void event.replayed);
socket.onresumed = (event) => same<typeof event, ResumedEvent>(true);
socket.onsessionlost = function (event) {
  void this.deliver(String(event.handled));
};
for (const name of ['onsessionstart', 'onsessionend', 'onsessionunavailable', 'onundelivered'] as const) {
  socket[name] = null;
}
for (const name of ['onpendingchange', 'onstalled', 'ondiscarded'] as const) socket[name] = null;
// @ts-expect-error: it is called `resumed`
socket.onresume = null;
const names: (keyof SessionEventMap)[] = ['sessionstart', 'resumed'];
const events: (keyof ReconnectingWebSocketEventMap)[] = [...names, 'open', 'message'];
void events;

const snapshot: SessionSnapshot = socket.snapshot();
same<typeof snapshot.unacknowledgedMessages, number | undefined>(true);
same<typeof snapshot.unacknowledgedBytes, number | undefined>(true);
same<typeof snapshot.nextAttemptIn, number | null>(true);
const state: ConnectionState = snapshot.state;
void state;

const deliverOptions: DeliverOptions = { signal: AbortSignal.timeout(1_000) };
const requestOptions: RequestOptions = { ...deliverOptions, timeout: 5_000 };
same<Promise<void>, ReturnType<typeof socket.deliver>>(true);
void socket.deliver('text', deliverOptions);
void socket.deliver(new Uint8Array(1));
const response: string | ArrayBuffer = await socket.request('what time is it', requestOptions);
void response;
socket.send('now or never', { volatile: true });
socket.sendCredential('token');
socket.handle(async (request, { signal }) => {
  same<typeof request, string | ArrayBuffer>(true);
  signal.throwIfAborted();
  return 'five';
});
socket.handle(function () {
  this.close();
  return new ArrayBuffer(1);
});
// @ts-expect-error: text or bytes
socket.handle(() => 5);
// @ts-expect-error: a delivery cannot expire
void socket.deliver('text', { ttl: 5 });
// @ts-expect-error
void socket.deliver({ text: 'hello' });

// --- Values

const typed = new TypedSocket('/chat', { session: true, incoming, outgoing });
same<typeof typed, TypedSocket<Said, Heard>>(true);
const byCodec = new TypedSocket('/chat', { session: { messages: 10 }, codec: msgpack });
void byCodec;
const custom = new TypedSocket('/chat', { session: true, codec: createMsgpack() as Codec<Said, Heard> });
same<typeof custom, TypedSocket<Said, Heard>>(true);
new TypedSocket<Said, Heard>('/chat', { session: true, codec: json });

try {
  await typed.deliver({ text: 'hello' }, { signal: AbortSignal.timeout(1_000) });
  const at = await typed.request({ text: 'what time is it' }, { response: time, timeout: 5_000 });
  same<typeof at, number>(true);
  same<unknown, Awaited<ReturnType<typeof typed.request>>>(true);
  const asserted = await typed.request<number>({ text: 'what time is it' });
  same<typeof asserted, number>(true);
} catch (error) {
  if (error instanceof NotHandledError) console.log('not sent:', error.sent.text, error.message);
  if (error instanceof UnknownEndError) console.log('may have arrived:', error.sent.text);
  if (error instanceof RequestError) {
    same<typeof error.code, 'application' | 'refused' | 'cancelled' | 'timed-out'>(true);
    if (error.code === 'application') console.log(error.error.reason);
  }
  if (error instanceof MessageError) console.log(error.issues satisfies readonly SchemaIssue[]);
  if (error instanceof TypedSocketError || error instanceof ClosedError || error instanceof OverflowError) throw error;
}
// @ts-expect-error: not a message of this socket
void typed.deliver({ txt: 'hello' });
// @ts-expect-error: the socket makes them
new NotHandledError();
// @ts-expect-error
new UnknownEndError();
// @ts-expect-error
new RequestError();

typed.handle(time, async (at, { signal }) => {
  same<typeof at, number>(true);
  if (signal.aborted) throw new ApplicationError({ reason: 'too late' });
  return { later: at + 1 };
});
typed.handle((request, context: RequestContext) => {
  same<typeof request, unknown>(true);
  return context.signal.aborted;
});
typed.handle(function (request: Heard) {
  void this.deliver({ text: request.text });
});
// @ts-expect-error
typed.handle(time);

typed.addEventListener('message', ({ data }) => same<typeof data, Heard>(true));
typed.addEventListener('sessionlost', ({ notHandled, unknown }) => {
  same<typeof notHandled, readonly Said[]>(true);
  same<typeof unknown, readonly Said[]>(true);
  for (const message of notHandled) typed.send(message);
});
typed.addEventListener('undelivered', (event) => same<typeof event, UndeliveredEvent<Said>>(true));
typed.onsessionend = function ({ reason }) {
  same<typeof reason, string>(true);
  void this.opened(wait);
};
typed.oninvalid = (event) => same<typeof event, InvalidEvent>(true);
typed.addEventListener('dropped', (event) => same<typeof event, TypedDroppedEvent<Heard, Said>>(true));
const typedNames: (keyof TypedSocketEventMap)[] = ['invalid', 'pendingchange'];
void typedNames;
const overflow: BufferOverflow = 'error';
const buffer: BufferOptions = { overflow };
const wait: WaitOptions = {};
const messages: MessageIterator<Heard> = typed.messages({ buffer, ...wait });
for await (const { from, text } of messages) console.log(from, text);
const typedSnapshot: TypedSessionSnapshot = typed.snapshot();
same<typeof typedSnapshot.unacknowledgedBytes, number | undefined>(true);
typedSnapshot.invalidMessages.toFixed();
typed.sendCredential('token');
typed[Symbol.dispose]();
