// Uses the declarations of typed sockets as a careful program would; compiled with `--strict`, never run. Each
// `@ts-expect-error` marks a mistake that the declarations must catch.

import { type } from 'arktype';
import {
  ClosedError,
  MessageError,
  OverflowError,
  TypedSocket,
  TypedSocketError,
  json,
  type BufferOptions,
  type Codec,
  type InvalidEvent,
  type MessageIterator,
  type SchemaIssue,
  type StandardSchema,
  type TypedDroppedEvent,
  type TypedSnapshot,
  type TypedSocketEventMap,
  type TypedSocketOptions,
} from 'steady-socket';
import { createMsgpack, msgpack } from 'steady-socket/msgpack';
import { ReconnectingWebSocket, load } from 'steady-socket/websocket';
import * as v from 'valibot';
import * as z from 'zod';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only if both types are the same. */
function same<A, B>(_: Same<A, B>): void {}

type Sent = { type: 'hello'; name: string };
type Received = { type: 'greeting'; text: string };

void load();
const plain: ReconnectingWebSocket = new ReconnectingWebSocket('/');
void plain;

// The types come from the schemas, whatever the library.
const byZod = new TypedSocket('/hello', {
  incoming: z.object({ type: z.literal('greeting'), text: z.string() }),
  outgoing: z.object({ type: z.literal('hello'), name: z.string() }),
});
same<typeof byZod, TypedSocket<Sent, Received>>(true);
const byValibot = new TypedSocket(async () => '/hello', {
  codec: msgpack,
  incoming: v.object({ type: v.literal('greeting'), text: v.string() }),
  outgoing: v.object({ type: v.literal('hello'), name: v.string() }),
});
same<typeof byValibot, TypedSocket<Sent, Received>>(true);
const byArktype = new TypedSocket(new URL('wss://example.test/'), {
  codec: json,
  incoming: type({ type: "'greeting'", text: 'string' }),
  outgoing: type({ type: "'hello'", name: 'string' }),
});
same<typeof byArktype, TypedSocket<Sent, Received>>(true);

// What a schema takes is sent, and what it gives is received.
const transforming = new TypedSocket('/hello', {
  incoming: z.string().transform((text) => new Date(text)),
  outgoing: z.object({ at: z.string().transform((text) => new Date(text)), retries: z.number().default(3) }),
});
same<typeof transforming, TypedSocket<{ at: string; retries?: number | undefined }, Date>>(true);
transforming.send({ at: '2030-01-01' });
// @ts-expect-error: the schema takes a string
transforming.send({ at: new Date() });

// Without schemas the program says what they are, or nothing is known of them.
const said = new TypedSocket<Sent, Received>('/hello', {
  codec: createMsgpack({ int64: 'bigint' }),
  protocols: ['hello.msgpack'],
});
const unknowns = new TypedSocket('/hello');
same<typeof unknowns, TypedSocket<unknown, unknown>>(true);
const half = new TypedSocket('/hello', { incoming: z.number() });
same<typeof half, TypedSocket<unknown, number>>(true);

// The types of a codec of one's own are those of the socket.
const codec: Codec<Date, URL> = { encode: (date) => date.toISOString(), decode: async (data) => new URL(String(data)) };
const own = new TypedSocket('/dates', { codec });
same<typeof own, TypedSocket<Date, URL>>(true);
const ownAndIncoming = new TypedSocket('/dates', { codec, incoming: z.instanceof(URL).transform(({ href }) => href) });
same<typeof ownAndIncoming, TypedSocket<Date, string>>(true);
const ownAndOutgoing = new TypedSocket('/dates', { codec, outgoing: z.number().transform((time) => new Date(time)) });
same<typeof ownAndOutgoing, TypedSocket<number, URL>>(true);

async function everything(socket: TypedSocket<Sent, Received>): Promise<void> {
  const sent: void | Promise<void> = socket.send({ type: 'hello', name: 'Ada' }, { priority: 'first' });
  await sent;
  const { signal } = new AbortController();
  await socket.opened({ signal });
  await socket.drained({ signal });
  const { text }: Received = await socket.next({ signal });
  for await (const message of socket) same<typeof message, Received>(true);
  const messages: MessageIterator<Received> = socket.messages({
    signal,
    buffer: { messages: 10, bytes: 1_000, overflow: 'error' },
  });
  const result = await messages.next({ signal });
  if (!result.done) same<typeof result.value, Received>(true);
  const lost: number = messages.dropped.messages + messages.dropped.bytes;
  await messages.return();
  const readable: ReadableStream<Received> = socket.readable;
  const writable: WritableStream<Sent> = socket.writable;
  await readable.pipeThrough(new TransformStream<Received, Sent>()).pipeTo(writable, { preventClose: true });
  const snapshot: TypedSnapshot = socket.snapshot();
  const counters: number[] = [snapshot.invalidMessages, snapshot.unreadMessages, snapshot.unreadBytes, snapshot.opens];
  socket.close(1000, 'done');
  socket.suspend(4000, 'out of sight');
  socket.resume();
  socket.reconnect();
  socket.ready();
  void [
    text,
    lost,
    counters,
    socket.url,
    socket.protocol,
    socket.extensions,
    socket.readyState === socket.OPEN,
    socket.state,
    socket.bufferedAmount,
  ];
  {
    using disposed = socket;
    await using alsoDisposed = socket;
    await using iterator = socket.messages();
    void [disposed, alsoDisposed, iterator];
  }
}
for (const socket of [byZod, byValibot, byArktype, said]) void everything(socket);

// Handlers and listeners know their events.
byZod.onmessage = ({ data }) => same<typeof data, Received>(true);
byZod.addEventListener(
  'message',
  function onmessage({ data }) {
    this.send({ type: 'hello', name: data.text });
  },
  { once: true },
);
byZod.addEventListener('invalid', ({ error }: InvalidEvent) => {
  const code: 'decode-failed' | 'encode-failed' | 'invalid-message' | 'schema-failed' = error.code;
  const issues: readonly SchemaIssue[] = error.issues;
  const data: string | ArrayBuffer | undefined = error.data;
  const thrown: unknown = error.thrown;
  void [code, issues[0]?.message, issues[0]?.path, data, thrown];
});
byZod.ondropped = (event: TypedDroppedEvent<Received>) => {
  if (event.reason === 'inbox-full') for (const { text } of event.messages) void text;
  else for (const message of event.messages) void message;
};
byZod.onclose = ({ willReconnect, code }) => void [willReconnect, code];
byZod.onopen = ({ reconnected }) => void reconnected;
byZod.addEventListener('statechange', ({ state }) => void state);
byZod.addEventListener('something of my own', { handleEvent() {} });
const types: (keyof TypedSocketEventMap)[] = [
  'open',
  'message',
  'invalid',
  'error',
  'close',
  'statechange',
  'dropped',
  'diagnosis',
];
const options: TypedSocketOptions = {
  maxRetries: 3,
  protocols: 'hello',
  buffer: { overflow: 'close' },
  signal: AbortSignal.timeout(1),
};
const limits: BufferOptions = { messages: 1, bytes: 1, overflow: 'drop-newest' };
void [types, options, limits];

// Errors can be told apart.
function describe(error: unknown): string {
  if (error instanceof ClosedError) return error.code === 'lost' ? `lost: ${error.close?.explanation}` : 'closed';
  if (error instanceof MessageError) return error.issues.map(({ message }) => message).join();
  if (error instanceof OverflowError) return error.code;
  return error instanceof TypedSocketError ? error.code : String(error);
}
void describe;

// A schema by hand.
const even: StandardSchema<unknown, number> = {
  '~standard': {
    version: 1,
    vendor: 'me',
    validate: (value) =>
      typeof value === 'number' && value % 2 === 0
        ? { value }
        : { issues: [{ message: 'not even', path: ['n', { key: 0 }] }] },
  },
};
const evens = new TypedSocket('/', { incoming: even });
same<typeof evens, TypedSocket<unknown, number>>(true);

// Mistakes.
// @ts-expect-error: no such message
byZod.send({ type: 'hello', nmae: 'Ada' });
// @ts-expect-error: a name is a text
byValibot.send({ type: 'hello', name: 7 });
// @ts-expect-error: no such field
byArktype.addEventListener('message', ({ data }) => void data.txt);
// @ts-expect-error: no such option
new TypedSocket('/', { incomming: z.string() });
// @ts-expect-error: no such policy
new TypedSocket('/', { buffer: { overflow: 'explode' } });
// @ts-expect-error: a codec has two functions
new TypedSocket('/', { codec: { encode: String } });
// @ts-expect-error: codecs are objects
new TypedSocket('/', { codec: 'msgpack' });
// @ts-expect-error: a number is no schema
new TypedSocket('/', { incoming: 7 });
// @ts-expect-error: the schema gives numbers
new TypedSocket<unknown, string>('/', { incoming: z.number() });
// @ts-expect-error: raw bytes go through the codec
byZod.send(new Uint8Array(1));
// @ts-expect-error: the codec is always given an ArrayBuffer
byZod.binaryType = 'blob';
// @ts-expect-error: a signal is an AbortSignal
void byZod.opened({ signal: 7 });
// @ts-expect-error: errors are made by the package
new OverflowError();
// @ts-expect-error: read only
byZod.readable = new ReadableStream<Received>();
// @ts-expect-error: it does not take the place of a WebSocket
const webSocket: WebSocket = byZod;
void webSocket;
