// Uses every part of the declarations as a careful program would; compiled with `--strict`, never run. Each
// `@ts-expect-error` marks a mistake that the declarations must catch.

import {
  ReconnectingWebSocket,
  load,
  type AttemptContext,
  type ConnectionState,
  type Diagnosis,
  type DiagnosisEvent,
  type DroppedEvent,
  type LoadOptions,
  type LossCause,
  type LostConnection,
  type ModuleSource,
  type OpenEvent,
  type ProtocolsSource,
  type ReconnectingCloseEvent,
  type ReconnectingWebSocketEventMap,
  type ReconnectingWebSocketOptions,
  type SendOptions,
  type Snapshot,
  type StateChangeEvent,
  type UrlSource,
} from 'steady-socket';
import { ReconnectingWebSocket as Inline, TypedSocket as InlineTyped } from 'steady-socket/inline';
import { ReconnectingWebSocket as InlineWebSocket } from 'steady-socket/websocket/inline';

const loaded: Promise<void> = load();
void loaded;
const sources: ModuleSource[] = [
  '/x.wasm',
  new URL('/x.wasm', 'https://example.test'),
  new Response(),
  new ArrayBuffer(8),
  new Uint8Array(8),
];
for (const module of sources) void load({ module });
const given: LoadOptions = { module: fetch('/x.wasm') };
void load(given);
void load({ module: WebAssembly.compileStreaming(fetch('/x.wasm')) });
void load({ module: undefined });
// @ts-expect-error: no bytes
void load({ module: [0, 1] });
// @ts-expect-error: no such option
void load({ url: '/x.wasm' });
// @ts-expect-error: an answer is not yet a module
void load({ module: new Request('/x.wasm') });

// The same with the module embedded.
const sameClass: typeof ReconnectingWebSocket = Inline;
const dropIn: typeof ReconnectingWebSocket = InlineWebSocket;
void [sameClass, dropIn, InlineTyped];

// Where a WebSocket was, this class fits.
function asWebSocketUser(socket: WebSocket): void {
  socket.binaryType = 'arraybuffer';
  if (socket.readyState === WebSocket.OPEN) socket.send('x');
  socket.onmessage = ({ data }) => void data;
  socket.addEventListener('open', () => socket.close(1000, 'done'), { once: true });
  socket.onclose?.(new CloseEvent('close'));
}
asWebSocketUser(new ReconnectingWebSocket('wss://example.test/'));
asWebSocketUser(new WebSocket('wss://example.test/'));
const held: WebSocket = new ReconnectingWebSocket('wss://example.test/', ['chat']);
const maker: typeof WebSocket = ReconnectingWebSocket;
const made: WebSocket = new maker('wss://example.test/', 'chat');
const properties: (keyof WebSocket)[] = ['binaryType', 'onopen'];
void [held, made, properties];
// Handlers that were written for it, too.
function onMessageOfWebSocket(this: WebSocket, { data }: MessageEvent): void {
  this.send(data);
}
const written = new ReconnectingWebSocket('wss://example.test/');
written.onopen = function onopen(this: WebSocket, event: Event) {
  void [this.url, event.type];
};
written.onmessage = function onmessage(this: WebSocket, event) {
  this.send(event.data);
};
written.onmessage = onMessageOfWebSocket;
written.addEventListener('message', onMessageOfWebSocket);
written.removeEventListener('message', onMessageOfWebSocket);
written.onerror = function onerror(this: WebSocket) {
  this.close();
};
written.onclose = function onclose(this: WebSocket, { code }: CloseEvent) {
  void code;
};
written.addEventListener('close', function onclose(this: WebSocket, { code }: CloseEvent) {
  void code;
});
// And back: what one has been set to, another can be given.
written.onopen = made.onopen;
made.onopen = written.onopen;

// Every way to say where to connect.
const urls: UrlSource[] = [
  '/relative',
  new URL('wss://example.test/'),
  () => 'wss://example.test/',
  async ({ attempt, lastClose, signal }: AttemptContext): Promise<string> => {
    const last: LostConnection | null = lastClose;
    const code: number | undefined = last?.code;
    const response = await fetch(`/ticket?attempt=${attempt.toFixed()}&code=${code ?? ''}`, { signal });
    return `wss://example.test/?ticket=${await response.text()}`;
  },
];
const protocols: ProtocolsSource[] = ['chat', ['chat', 'superchat'], () => 'chat', async () => ['chat']];
for (const url of urls) for (const protocol of protocols) new ReconnectingWebSocket(url, protocol);

const everything: ReconnectingWebSocketOptions = {
  connectTimeout: 15_000,
  providerTimeout: 10_000,
  closeTimeout: 5_000,
  firstDelayMax: 5_000,
  minDelay: 1_000,
  baseDelay: 5_000,
  growthFactor: 2,
  maxDelay: 30_000,
  stableAfter: 5_000,
  maxRetries: Infinity,
  maxQueuedMessages: 1_000,
  maxQueuedBytes: 1_000_000,
  overflow: 'drop-oldest',
  messageTtl: 60_000,
  highWaterMark: 1_000_000,
  lowWaterMark: 100_000,
  gate: true,
  startClosed: false,
  shouldReconnect: ({ code, reason, wasClean, wasOpen, cause }) => {
    if (wasClean && wasOpen && code === 4000 && reason === 'later') return 60_000;
    return cause === 'refused' ? false : undefined;
  },
  heartbeatInterval: 25_000,
  heartbeatMessage: '{"type":"ping"}',
  isHeartbeat: (data) => data === '{"type":"pong"}',
  allowInsecure: true,
  diagnose: '/health',
  diagnoseAfter: 2,
  controlMessages: true,
  signal: AbortSignal.timeout(1_000),
  WebSocket,
  debug: (line) => console.debug(line.toUpperCase()),
};
const socket: ReconnectingWebSocket & EventTarget = new ReconnectingWebSocket('/chat', null, everything);

// Constants, attributes and methods.
const constants: [0, 1, 2, 3] = [
  ReconnectingWebSocket.CONNECTING,
  ReconnectingWebSocket.OPEN,
  ReconnectingWebSocket.CLOSING,
  ReconnectingWebSocket.CLOSED,
];
const ofInstance: [0, 1, 2, 3] = [socket.CONNECTING, socket.OPEN, socket.CLOSING, socket.CLOSED];
const attributes: [string, string, string, number, BinaryType, 0 | 1 | 2 | 3, ConnectionState] = [
  socket.url,
  socket.protocol,
  socket.extensions,
  socket.bufferedAmount,
  socket.binaryType,
  socket.readyState,
  socket.state,
];
void [constants, ofInstance, attributes];
socket.binaryType = 'blob';
socket.send('text');
socket.send(new ArrayBuffer(8));
socket.send(new Uint8Array(8));
socket.send(new DataView(new ArrayBuffer(8)));
socket.send(new Blob(['text']));
const sending: SendOptions = { priority: 'first', volatile: false, ttl: 1_000 };
socket.send('text', sending);
socket.close();
socket.close(1000);
socket.close(4000, 'reason');
socket.suspend();
socket.suspend(4000, 'out of sight');
socket.resume();
socket.reconnect();
socket.ready();

const snapshot: Snapshot = socket.snapshot();
const counters: number[] = [
  snapshot.attempt,
  snapshot.attempts,
  snapshot.opens,
  snapshot.messagesSent,
  snapshot.bytesSent,
  snapshot.messagesReceived,
  snapshot.bytesReceived,
  snapshot.queuedMessages,
  snapshot.queuedBytes,
  snapshot.droppedMessages,
  snapshot.droppedBytes,
  snapshot.unconfirmedMessages,
  snapshot.unconfirmedBytes,
  snapshot.abandoned,
];
void counters;

// Handlers and listeners know their events.
socket.onopen = (event) => void [event.reconnected, event.attempt];
socket.onmessage = ({ data, origin }) => void [data, origin];
socket.onerror = (event: Event) => void event.type;
socket.onclose = (event) => void describeClose(event);
socket.onstatechange = ({ state, attempt, delay, reason }) => {
  const seconds: number | null = delay === null ? null : delay / 1000;
  void [state, attempt, seconds, reason];
};
socket.ondropped = ({ reason, messages, bytes }) => {
  for (const message of messages) {
    const size: number =
      typeof message === 'string' ? message.length : message instanceof Blob ? message.size : message.byteLength;
    void size;
  }
  void [reason, bytes];
};
socket.ondiagnosis = ({ diagnosis }: DiagnosisEvent) => void describeDiagnosis(diagnosis);
socket.onopen = null;
socket.onopen = function onopen({ reconnected }) {
  if (!reconnected) this.send(this.state);
};
socket.onclose = function onclose({ willReconnect }) {
  if (!willReconnect) this.reconnect();
};
socket.addEventListener('open', (event: OpenEvent) => void event.reconnected, { once: true });
socket.addEventListener('close', (event: ReconnectingCloseEvent) => void describeClose(event));
socket.addEventListener('statechange', (event: StateChangeEvent) => void describeState(event.state));
socket.addEventListener('dropped', (event: DroppedEvent) => void event.messages.length);
socket.addEventListener(
  'message',
  function onmessage({ data }) {
    this.send(data);
  },
  { signal: AbortSignal.timeout(1) },
);
socket.addEventListener('message', {
  handleEvent(event: Event) {
    void event.type;
  },
});
socket.addEventListener('something of my own', () => {});
const listener = (event: MessageEvent): void => void event.data;
socket.addEventListener('message', listener);
socket.removeEventListener('message', listener);
socket.dispatchEvent(new Event('something of my own'));
const types: (keyof ReconnectingWebSocketEventMap)[] = [
  'open',
  'message',
  'error',
  'close',
  'statechange',
  'dropped',
  'diagnosis',
];
void types;

function describeClose(event: ReconnectingCloseEvent): string {
  const cause: LossCause = event.cause;
  const loss: number = event.unconfirmedMessages + event.unconfirmedBytes;
  const next: string = event.willReconnect && event.delay !== null ? `in ${event.delay.toFixed()} ms` : 'never';
  return `${describeDiagnosis(event.diagnosis)} ${event.code} ${event.reason} ${event.wasClean} ${cause} ${loss} ${next} ${event.explanation}`;
}

function describeDiagnosis(diagnosis: Diagnosis | null): string {
  return diagnosis?.kind === 'status' ? `status ${diagnosis.status.toFixed()}` : (diagnosis?.kind ?? 'not asked');
}

/** Compiles only as long as these are all the states. */
function describeState(state: ConnectionState): string {
  switch (state) {
    case 'idle':
    case 'connecting':
    case 'open':
    case 'waiting':
    case 'closing':
    case 'closed':
    case 'suspended':
      return state;
    default: {
      const none: never = state;
      return none;
    }
  }
}

// A class of one's own.
class Chat extends ReconnectingWebSocket {
  say(text: string): void {
    this.send(JSON.stringify({ text }));
  }
}
new Chat('/chat').say('hello');

// Other ways to say what a server answers.
const heartbeats: ReconnectingWebSocketOptions['heartbeatMessage'][] = [
  new Uint8Array([9]),
  new ArrayBuffer(1),
  () => 'ping',
  () => new Uint8Array([9]),
];
for (const heartbeatMessage of heartbeats) new ReconnectingWebSocket('/chat', [], { heartbeatMessage });

// Mistakes.
// @ts-expect-error: a URL is needed
new ReconnectingWebSocket();
// @ts-expect-error: a number is no URL
new ReconnectingWebSocket(8765);
// @ts-expect-error: a function must return a URL
new ReconnectingWebSocket(() => 8765);
// @ts-expect-error: no such option
new ReconnectingWebSocket('/', [], { conectTimeout: 5_000 });
// @ts-expect-error: milliseconds are a number
new ReconnectingWebSocket('/', [], { connectTimeout: '5s' });
// @ts-expect-error: no such policy
new ReconnectingWebSocket('/', [], { overflow: 'explode' });
// @ts-expect-error: the verdict is no string
new ReconnectingWebSocket('/', [], { shouldReconnect: () => 'yes' });
// @ts-expect-error: the verdict is needed at once
new ReconnectingWebSocket('/', [], { shouldReconnect: async () => true });
// @ts-expect-error: a heartbeat is a message
new ReconnectingWebSocket('/', [], { heartbeatMessage: 7 });
// @ts-expect-error: a promise is no answer
new ReconnectingWebSocket('/', [], { isHeartbeat: async () => true });
// @ts-expect-error: a class is called with new
ReconnectingWebSocket('/');
// @ts-expect-error: an object has to be encoded first
socket.send({ text: 'hello' });
// @ts-expect-error: memory that is shared between threads has to be copied first
socket.send(new SharedArrayBuffer(8));
// @ts-expect-error: so has a view of it
socket.send(new Uint8Array(new SharedArrayBuffer(8)));
// @ts-expect-error: there is one other priority
socket.send('x', { priority: 'last' });
// @ts-expect-error: no such option of send
socket.send('x', { urgent: true });
// @ts-expect-error: a code is a number
socket.close('1000');
// @ts-expect-error: read only
socket.readyState = 1;
// @ts-expect-error: read only
socket.url = '/';
// @ts-expect-error: read only
socket.state = 'open';
// @ts-expect-error: a snapshot does not change
snapshot.opens = 7;
// @ts-expect-error: there are two
socket.binaryType = 'text';
// @ts-expect-error: a message has no close code
socket.onmessage = ({ code }) => void code;
// @ts-expect-error: an open event has no data
socket.addEventListener('open', ({ data }) => void data);
// @ts-expect-error: not in every state is there a delay
socket.addEventListener('statechange', ({ delay }) => void delay.toFixed());
// @ts-expect-error: readyState is never 4
if (socket.readyState === 4) socket.close();
