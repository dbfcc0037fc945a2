// The declarations of the JavaScript face. The options' names, units, ranges and defaults are generated
// from the Rust `Options` (between the two marks below); everything else is written here.

/** What a function that provides the URL or the sub-protocols may want to know about the attempt. */
export interface AttemptContext {
  /** 1 for the first attempt since the connection was last stable, 2 for the first retry, and so on. */
  readonly attempt: number;
  /** How the connection was lost last, or `null` before the first loss. */
  readonly lastClose: LostConnection | null;
  /** Aborts when the answer is no longer wanted: closed, reconnected, or over `providerTimeout`. */
  readonly signal: AbortSignal;
}

/** How a connection, or an attempt to make one, ended. */
export interface LostConnection {
  /** The browser's close code; 1006 when no close frame was seen (a failed attempt included). */
  readonly code: number;
  /** The server's reason, at most 123 bytes of text that the server chose. */
  readonly reason: string;
  readonly wasClean: boolean;
  /** Whether this connection had been open. */
  readonly wasOpen: boolean;
  /** What ended it. */
  readonly cause: LossCause;
  /**
   * What was thrown, where that is known: by a function for the URL or the sub-protocols (cause `provider`; a rejection
   * likewise), by the `WebSocket` constructor (`refused`) or by its `send` (`send-failed`). For the cause `socket` it is
   * what the platform's `error` event had: Node's and those of `ws` have one, browsers have none. It may quote the URL.
   */
  readonly error: unknown;
}

/** What ended a connection or an attempt. */
export type LossCause =
  | 'socket'            // the browser's socket closed (server, network, or the answer to our close)
  | 'refused'           // the browser refused to make the socket
  | 'connect-timeout'   // no answer within `connectTimeout`
  | 'provider'          // a URL or sub-protocol function failed
  | 'provider-timeout'  // … or did not settle within `providerTimeout`
  | 'send-failed'       // the browser's `send` threw
  | 'close-timeout'     // the closing handshake did not end within `closeTimeout`
  | 'heartbeat-timeout' // nothing was heard within `heartbeatInterval` and `heartbeatGrace`
  | 'probe-timeout'     // nothing was heard within `probeTimeout` after the page woke or the network changed
  | 'message-too-big'   // the server sent a message larger than `maxMessageBytes`
  | 'reconnect'         // `reconnect()` replaced it
  | 'closed'            // `close()` ended it before it was open
  | 'suspended'         // `suspend()` ended it
  | 'load-failed'       // the wasm module could not be loaded, or not within 30 s
  | 'internal-error';   // the wasm module failed; a fresh instance takes its place, unless it fails again and again

export type UrlSource =
  | string
  | URL
  | ((context: AttemptContext) => string | URL | Promise<string | URL>);

export type ProtocolsSource =
  | string
  | string[]
  | ((context: AttemptContext) => string | string[] | Promise<string | string[]>);

/**
 * `connecting` covers the provider functions and the handshake; `waiting` is the time between attempts; `suspended`
 * lasts from `suspend()` to `resume()`.
 */
export type ConnectionState = 'idle' | 'connecting' | 'open' | 'waiting' | 'closing' | 'closed' | 'suspended';

export interface ReconnectingWebSocketOptions {
  /** The sub-protocols to offer, where they are not the second argument of the constructor. */
  protocols?: ProtocolsSource | null | undefined;

  // <generated options>
  /**
   * How long a handshake may take. Below 10 s a browser that delays connects after failures (up to 5 s in
   * Chromium) may never get through.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 15000
   */
  connectTimeout?: number | undefined;

  /**
   * How long a function that provides the URL or the sub-protocols may take to settle.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 10000
   */
  providerTimeout?: number | undefined;

  /**
   * How long the closing handshake may take after `close()`, counted from the last time that the browser's
   * buffer shrank. A browser itself waits 20 to 60 s.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  closeTimeout?: number | undefined;

  /**
   * The first wait after a loss is drawn between 0 and this, so that clients that lost the same server do
   * not return together (RFC 6455, section 7.2.3).
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  firstDelayMax?: number | undefined;

  /**
   * The least wait before the second and later retries.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 1000
   */
  minDelay?: number | undefined;

  /**
   * The wait before retry n (2, 3, …) is drawn between the least wait and this times the growth factor to
   * the power of n − 1, or the cap if that is less.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  baseDelay?: number | undefined;

  /**
   * How much the longest possible wait grows from one retry to the next.
   * A number, 1 to 100.
   * @default 2
   */
  growthFactor?: number | undefined;

  /**
   * The cap on the longest possible wait, applied before the wait is drawn. Given alone, it brings the other
   * delays down to it where they would be longer.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 30000
   */
  maxDelay?: number | undefined;

  /**
   * How long a connection must stay open before the count of retries starts anew, so that a server that
   * accepts and closes at once is not hammered.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  stableAfter?: number | undefined;

  /**
   * How many retries in a row, without a stable connection between them, before it is over.
   * A whole number, 0 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  maxRetries?: number | undefined;

  /**
   * Whether a connection that is lost is made again. With `false` the first loss and the first failed
   * attempt are final, whatever the close code and the server say, and the program's predicate is not asked:
   * as a plain `WebSocket` behaves, for libraries that make a new one by themselves. `reconnect()` still
   * makes a new connection, which is again the only one.
   * @default true
   */
  reconnect?: boolean | undefined;

  /**
   * How many attempts may be made at once, whoever asks for them, before the next ones wait.
   * A whole number, 1 to 2^31 - 1.
   * @default 10
   */
  attemptBurst?: number | undefined;

  /**
   * How long it takes until one more attempt may be made, up to the burst. 0 is without limit.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  attemptInterval?: number | undefined;

  /**
   * The longest wait that a server may ask for: by announcing when to come back, or by closing with 1012 or
   * 1013, which without an announcement ask for 5 to 30 s.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 60000
   */
  announcedDelayMax?: number | undefined;

  /**
   * How long the server may be silent before it is pinged. Where nothing was said to ping with, the grace
   * begins then: that is for a server which itself sends something that often, since one with nothing to say
   * would be taken for dead. A server that announces its own heartbeat overrides it, within 5 to 120 s.
   * Milliseconds, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  heartbeatInterval?: number | undefined;

  /**
   * How much longer it may be silent before the connection is given up as dead.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 10000
   */
  heartbeatGrace?: number | undefined;

  /**
   * How often something is sent to the server, whatever it sends: for a server that closes connections on
   * which it hears nothing. What is sent is a `~ping` where control messages are spoken, else the keepalive
   * message, else the ping. An answer is not waited for, and without one nothing is judged. Nothing is sent
   * before the gate is open.
   * Milliseconds, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  keepaliveInterval?: number | undefined;

  /**
   * Whether control messages are spoken when the server has agreed to a sub-protocol whose name ends with
   * `~1`: its heartbeat, a ping, a window to come back in. They do not reach the application. A text of its
   * own that starts with `~` is escaped on the way, and arrives as it was given.
   * @default false
   */
  controlMessages?: boolean | undefined;

  /**
   * How long a server that answers pings may take to answer one after the page has woken or the network has
   * changed.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  probeTimeout?: number | undefined;

  /**
   * How many messages the queue holds.
   * A whole number, 0 to 2^31 - 1.
   * @default 1000
   */
  maxQueuedMessages?: number | undefined;

  /**
   * How many bytes the queue holds (text counted as UTF-8).
   * Bytes, 0 to 2^31 - 1.
   * @default 16777216
   */
  maxQueuedBytes?: number | undefined;

  /**
   * What happens to a message that does not fit into the queue.
   * @default 'reject'
   */
  overflow?: 'reject' | 'drop-oldest' | 'drop-newest' | undefined;

  /**
   * How long a message may wait in the queue before it is dropped and reported.
   * Milliseconds, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  messageTtl?: number | undefined;

  /**
   * Once the browser holds this many unsent bytes, further messages wait in the queue.
   * Bytes, 1 to 2^31 - 1.
   * @default 1048576
   */
  highWaterMark?: number | undefined;

  /**
   * They flow again when the browser holds at most this many. It is no more than the high-water mark: where
   * only one of the two is given, the other follows it.
   * Bytes, 0 to 2^31 - 1.
   * @default 262144
   */
  lowWaterMark?: number | undefined;

  /**
   * The largest message that is taken from the server; a larger one ends the connection before any of it is
   * copied. Text is measured in UTF-16 code units, since its size in bytes would take a walk through it.
   * Bytes, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default 67108864
   */
  maxMessageBytes?: number | undefined;

  /**
   * Whether a page that was loaded over https may connect to a `ws:` URL of another host than loopback.
   * Browsers refuse it, unless the user has allowed it for the page.
   * @default false
   */
  allowInsecure?: boolean | undefined;

  /**
   * Whether the queue waits, after each open, until the application says that it is ready.
   * @default false
   */
  gate?: boolean | undefined;

  /**
   * Whether the first attempt waits for `reconnect()`.
   * @default false
   */
  startClosed?: boolean | undefined;
  // </generated options>

  /**
   * Asked after every loss: `true` retries, `false` ends it, a number retries after that many
   * milliseconds, `undefined` leaves it to the built-in policy for the close code (see below). It has to answer at
   * once: if it throws, or returns something else, a promise included, that is reported, and the policy decides.
   *
   * When a function for the URL or the sub-protocols fails, `error` is what it threw, so that some failures can end it:
   *
   * ```js
   * shouldReconnect: ({ error }) => (error instanceof NotLoggedIn ? false : undefined),
   * ```
   *
   * The built-in policy, by close code:
   *
   * <generated close codes>
   * | close code | meaning | what follows |
   * |---|---|---|
   * | 1000 | the server said goodbye | it is over |
   * | 1008, 3000, 3003, 4401, 4403 | the server does not let this client in: policy violation, unauthorized, forbidden | it is over |
   * | 3500–3999, 4500–4999 | final codes of libraries and applications | it is over |
   * | 1002–1003, 1007, 1009 | the server could not take what it was sent | retried once; over if it happens again without a stable connection in between |
   * | 1012–1013 | the server restarts, or is overloaded | retried after 5 to 30 s |
   * | every other | going away, connection lost, internal error, and codes that only the application knows | retried |
   * </generated close codes>
   */
  shouldReconnect?: ((lost: LostConnection) => boolean | number | undefined | void) | undefined;

  /**
   * What a server answers that is sent it: with this, the option `heartbeatInterval` finds a dead connection
   * even where the server says nothing by itself, and a page that wakes asks whether the connection still
   * lives. A function is called for every ping; if it throws, that is reported, and nothing is sent.
   *
   * Not needed for a server that speaks control messages (see `controlMessages`).
   *
   * ```js
   * new ReconnectingWebSocket('/chat', [], {
   *   heartbeatInterval: 25_000,
   *   heartbeatMessage: '{"type":"ping"}',
   *   isHeartbeat: (data) => data === '{"type":"pong"}',
   * });
   * ```
   */
  heartbeatMessage?: string | BufferSource | (() => string | BufferSource) | undefined;

  /**
   * What is sent at every `keepaliveInterval`, where control messages are not spoken; without it, `heartbeatMessage`
   * is. The server need not answer: nothing is judged by it. A function is called each time; if it throws, that is
   * reported, and nothing is sent.
   *
   * For a server that closes connections on which it hears nothing, whatever it sends itself:
   *
   * ```js
   * new ReconnectingWebSocket('/feed', [], { keepaliveInterval: 20_000, keepaliveMessage: '{"type":"alive"}' });
   * ```
   */
  keepaliveMessage?: string | BufferSource | (() => string | BufferSource) | undefined;

  /**
   * Whether a message is the answer to `heartbeatMessage`, or a heartbeat that the server sends by itself.
   * Such a message reaches no listener. As an answer, it confirms what was sent before that heartbeat; where more come
   * than were asked for, the server sends them by itself, and they confirm nothing. Every message is a sign of life, so without this the answer is
   * delivered like any other. If it throws or returns no boolean, that is reported, and the message delivered.
   */
  isHeartbeat?: ((data: any) => boolean) | undefined;

  /**
   * Finds out why handshakes fail, which browsers do not tell: after `diagnoseAfter` attempts in a row that
   * never opened, one `GET` request is made (without the cache, without following redirections, at most 5 s).
   * It takes the URL to ask (`ws:` is asked as `http:`), or a function that gives it. `true` asks the socket's own
   * URL, and is refused by a `TypeError` where that has a query or comes from a function: it may then hold a ticket
   * that is good once, which no second request may use. What is found comes in a `diagnosis` event and in the next
   * `close` event. A server of another origin has to allow the page to read its answer (CORS).
   * @default false
   */
  diagnose?: boolean | string | URL | (() => string | URL | Promise<string | URL>) | undefined;

  /**
   * After how many attempts in a row that never opened `diagnose` asks, once until a connection is open again.
   * A whole number, 1 to 2^31 - 1.
   * @default 3
   */
  diagnoseAfter?: number | undefined;

  /**
   * Aborting it is the same as `close()`, but for good: `reconnect()` then throws the signal's reason. If it is
   * aborted already, no attempt is made.
   */
  signal?: AbortSignal | undefined;

  /**
   * The `WebSocket` constructor to use, where there is no global one (Node 20: `ws`) or to test. It cannot be this class,
   * or one that makes sockets of this class with itself. Where a program has put this class in the place of the global
   * one, the one that was there when the package was imported is taken.
   */
  WebSocket?: (new (url: string, protocols?: string | string[]) => WebSocketLike) | undefined;

  /**
   * Called with a line for every state transition, loss and drop; never with a message, a URL, a sub-protocol
   * or a text that the server chose.
   */
  debug?: ((line: string) => void) | undefined;
}

/** What is used of a `WebSocket`. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  send(data: any): void;
  close(code?: number, reason?: string): void;
  /** Ends a connection whose close was not answered in time, as in `ws`. A browser's has no such method. */
  terminate?(): void;
}

export interface SendOptions {
  /** `first` goes ahead of the queue and does not wait for `ready()`. Default: in order. */
  priority?: 'first' | undefined;
  /** Sent now or not at all (then reported by a `dropped` event). Default `false`. */
  volatile?: boolean | undefined;
  /** Milliseconds that it may wait in the queue, 1 to 2^31 - 1, or `Infinity`. Default: the option `messageTtl`. */
  ttl?: number | undefined;
}

export interface OpenEvent extends Event {
  /** `true` when there was an open connection before. */
  readonly reconnected: boolean;
  /** The number of attempts that it took. */
  readonly attempt: number;
}

export interface ReconnectingCloseEvent extends CloseEvent {
  /**
   * `true`: another attempt follows, or will after `resume()` where it was suspended; `false`: it is over, and
   * `readyState` is 3.
   */
  readonly willReconnect: boolean;
  /** Milliseconds until the next attempt, if that is known: `null` when it is over or was suspended. */
  readonly delay: number | null;
  readonly cause: LossCause;
  /**
   * Why it will or will not retry: a phrase, such as `no retry is left`, to be shown. Before it stands what went wrong,
   * where that is known. That may be the message of an error, of a function for the URL or of the platform (browsers have
   * none), which may quote the URL: keep it out of logs where that is secret.
   */
  readonly explanation: string;
  /** As `error` of `LostConnection`. */
  readonly error: unknown;
  /** What the option `diagnose` found out since the last `close` event; `null` if nothing. */
  readonly diagnosis: Diagnosis | null;
  /** Messages that the browser had taken and that were not confirmed: no answer of the server, to a ping sent after
   *  them, shows that it had them. */
  readonly unconfirmedMessages: number;
  readonly unconfirmedBytes: number;
}

/** What a plain HTTP request showed after handshakes had failed. */
export type Diagnosis =
  /** The server answers, with this status: 401 or 403 when it does not let the user in, 404 when there is
   *  nothing at this address, 5xx when it or a proxy is in trouble; 400 or 426 come from a WebSocket endpoint
   *  that is healthy and takes no plain request. */
  | { readonly kind: 'status'; readonly status: number }
  /** It does not answer. */
  | { readonly kind: 'unreachable' }
  /**
   * The user, or a policy, denies this page a permission that it needs to connect to its own machine or network
   * (Chromium from 142 on; `loopback-network`, `local-network`, or `local-network-access` in earlier versions). This is
   * found without the option `diagnose`, and without a request. It is tried again as after any failure, and at once
   * when the permission is given.
   */
  | { readonly kind: 'permission'; readonly name: string }
  /** It cannot be told: it redirects, or is of another origin and does not answer or may not be read. */
  | { readonly kind: 'unknown' };

export interface DiagnosisEvent extends Event {
  readonly diagnosis: Diagnosis;
}

export interface StateChangeEvent extends Event {
  readonly state: ConnectionState;
  /** The attempt under way or coming, 1 for the first. */
  readonly attempt: number;
  /** In `waiting`: milliseconds until the next attempt. */
  readonly delay: number | null;
  /** Why: a phrase, such as `the wait is over`, to be shown or logged. */
  readonly reason: string;
}

export interface DroppedEvent<Message = string | ArrayBuffer | Blob> extends Event {
  /** `overflow`: the queue was full; `expired`: over its time to live; `volatile`: could not be sent
   *  now; `refused`: the `send` of two connections threw; `closed`: the socket was closed before it could
   *  be sent, or was closing or closed when it was given to `send`. */
  readonly reason: 'overflow' | 'expired' | 'volatile' | 'refused' | 'closed';
  /**
   * The messages themselves, in the order they were sent: of those that were dropped for this reason in one task,
   * the newest, as many as the queue may hold (`maxQueuedMessages` and `maxQueuedBytes`, or 256 and 64 KiB where those
   * are less), and one in any case.
   */
  readonly messages: ReadonlyArray<Message>;
  /** How many older messages were dropped with them and are not kept. */
  readonly omitted: number;
  /** The bytes of all of them. */
  readonly bytes: number;
}

/**
 * The queue holds more or fewer messages than were last reported. Comes once for all that changes in a turn of the event
 * loop, and not for messages that go out at once.
 */
export interface QueueChangeEvent extends Event {
  readonly queuedMessages: number;
  readonly queuedBytes: number;
}

/**
 * An attempt failed, or the platform reported an error; a `close` event follows. Browsers say nothing more. Where the
 * platform does, as the package `ws` and Node do, so does this event; the words may quote the URL.
 */
export interface SocketErrorEvent extends Event {
  readonly message?: string;
  readonly error?: unknown;
}

/** Counters since the socket was made. */
export interface Snapshot {
  readonly state: ConnectionState;
  readonly attempt: number;
  readonly attempts: number;
  readonly opens: number;
  readonly messagesSent: number;
  readonly bytesSent: number;
  readonly messagesReceived: number;
  readonly bytesReceived: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly droppedMessages: number;
  readonly droppedBytes: number;
  readonly unconfirmedMessages: number;
  readonly unconfirmedBytes: number;
  /** Sockets given up without their `close` event. */
  readonly abandoned: number;
  /** Milliseconds until the next attempt; `null` when none is scheduled. */
  readonly nextAttemptIn: number | null;
}

export interface ReconnectingWebSocketEventMap {
  open: OpenEvent;
  message: MessageEvent;
  error: SocketErrorEvent;
  close: ReconnectingCloseEvent;
  statechange: StateChangeEvent;
  dropped: DroppedEvent;
  queuechange: QueueChangeEvent;
  diagnosis: DiagnosisEvent;
}

/**
 * A `WebSocket` that stays connected. It can be given to whatever takes a `WebSocket`: only what a handler is
 * told, and what `this` is in it, is said more exactly here. A library that makes a new `WebSocket` after a close
 * has to be given one with the option `reconnect: false`; otherwise both reconnect, and connections pile up.
 */
export class ReconnectingWebSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * Starts to connect, unless the option `startClosed` says otherwise.
   *
   * @param url - where to connect; relative to the page or the worker, `http:` and `https:` as `ws:` and
   *   `wss:`. A function is asked anew before every attempt, never inside of the constructor; if it fails, the
   *   attempt has failed.
   * @param protocols - the sub-protocols to offer, in order of preference, or a function that gives them; or the options,
   *   which may have them as `protocols`
   * @throws {DOMException} `SyntaxError` for a URL or sub-protocols that no `WebSocket` takes
   * @throws {TypeError} for an option that there is not, or a value of the wrong kind
   * @throws {RangeError} for an option out of range
   * @throws {DOMException} `SecurityError` for a `ws:` URL of another host than loopback on a page that was
   *   loaded over https, unless the option `allowInsecure` is set. A URL that a function gives is refused
   *   likewise: that attempt has failed.
   * @throws {DOMException} `InvalidStateError` after the WebAssembly module has failed (a bug of this library) six
   *   times within ten minutes. Before that, a failure is a loss with the `cause` `internal-error`. Now every connection
   *   has ended with an `error` and a `close` event, what was in the queues is reported as dropped, and `send`,
   *   `reconnect`, `ready`, `snapshot` and `load` fail in the same way until the page is reloaded. What cleaning up
   *   needs goes on to work: `close` has nothing left to do, and does nothing; every attribute can be read and set, as
   *   of a closed socket, and listeners can be removed.
   * @throws {RangeError} the engine's own, before anything is done, where the program has nearly exhausted the stack; so
   *   do all methods and attributes (Firefox: `InternalError`)
   */
  constructor(
    url: UrlSource,
    protocols?: ProtocolsSource | null | undefined,
    options?: ReconnectingWebSocketOptions | null | undefined,
  );
  constructor(url: UrlSource, options: ReconnectingWebSocketOptions);

  /** The absolute URL; with a function for the URL that of the last attempt, `''` before the first. */
  readonly url: string;
  /** The sub-protocol that the server chose; `''` if none. */
  readonly protocol: string;
  /** The extensions that the server chose. */
  readonly extensions: string;
  /**
   * 0 during every attempt and wait and while suspended, 1 open, 2 closing, 3 only when it is over, or idle
   * (`startClosed`).
   */
  readonly readyState: 0 | 1 | 2 | 3;
  /** Bytes in the queue and in the browser, and those given to `send` when it was too late. */
  readonly bufferedAmount: number;
  /** How binary messages arrive: `'blob'` unless changed, and kept over reconnects. */
  binaryType: BinaryType;
  /** What it is doing, in more words than `readyState` has. */
  readonly state: ConnectionState;

  // Read, these have the types of `WebSocket`, or this class could not stand in for it; what is set is told more.
  get onopen(): ((this: WebSocket, event: Event) => any) | null;
  set onopen(handler: ((this: ReconnectingWebSocket, event: OpenEvent) => unknown) | null);
  get onmessage(): ((this: WebSocket, event: MessageEvent) => any) | null;
  set onmessage(handler: ((this: ReconnectingWebSocket, event: MessageEvent) => unknown) | null);
  get onerror(): ((this: WebSocket, event: Event) => any) | null;
  set onerror(handler: ((this: ReconnectingWebSocket, event: SocketErrorEvent) => unknown) | null);
  get onclose(): ((this: WebSocket, event: CloseEvent) => any) | null;
  set onclose(handler: ((this: ReconnectingWebSocket, event: ReconnectingCloseEvent) => unknown) | null);
  onstatechange: ((this: ReconnectingWebSocket, event: StateChangeEvent) => unknown) | null;
  ondropped: ((this: ReconnectingWebSocket, event: DroppedEvent) => unknown) | null;
  onqueuechange: ((this: ReconnectingWebSocket, event: QueueChangeEvent) => unknown) | null;
  ondiagnosis: ((this: ReconnectingWebSocket, event: DiagnosisEvent) => unknown) | null;

  /**
   * Sends now when open, and queues otherwise; a buffer or a view may be changed as soon as this has returned.
   * What is sent inside of an `open` handler goes ahead of the queue. When closing or closed it sends nothing, as
   * `WebSocket` does, and a `dropped` event with the reason `closed` reports the message. While idle (`state`; the option `startClosed`) it queues, though `readyState` is 3, and
   * what is queued waits for `reconnect()`.
   *
   * @throws {DOMException} `QuotaExceededError` when the queue is full and `overflow` is `'reject'`, but
   *   `InvalidStateError`, as of a `WebSocket`, while it is connecting and `maxQueuedMessages` is 0
   * @throws {TypeError} for shared or resizable memory, and for options that there are not
   */
  send(data: string | BufferSource | Blob, options?: SendOptions): void;
  /**
   * Closes for good (until `reconnect()`). While open, the queue is handed to the browser first; otherwise it
   * is dropped, which a `dropped` event reports. Exactly one `close` event with `willReconnect` `false` follows,
   * but none when it is closed already, nor while it is idle: there it drops the queue, and remains idle. The events
   * come in this order: `statechange`, `error` (where the connection had not been open, or failed), `dropped`, `close`.
   *
   * @throws {DOMException} `InvalidAccessError` for a code that is neither 1000 nor 3000 to 4999,
   *   `SyntaxError` for a reason of more than 123 bytes
   */
  close(code?: number, reason?: string): void;
  /**
   * A new connection now, in every state; after a final close, afresh. Only when too many attempts were made in
   * a short time (options `attemptBurst`, `attemptInterval`) it waits, without a connection, until one more may
   * be made, and a `statechange` event with the state `waiting` says so. A connection that it replaces is closed with
   * the code and the reason, and its `close` event has them; without them it has code 1006.
   *
   * @throws {DOMException} as `close`
   * @throws the reason of the option `signal` (an `AbortError`, unless another was given) if that is aborted
   */
  reconnect(code?: number, reason?: string): void;
  /**
   * Pauses: closes the connection, with code 1000 unless another is given, and makes no other until `resume()` or
   * `reconnect()`. The queue, listeners, options and counters stay, and what is sent meanwhile is queued. `state` is
   * `suspended` at once; an attempt or a wait that is under way ends. It does nothing before the start, while closing
   * and when closed.
   *
   * A `close` event with `cause` `suspended`, `willReconnect` `true` and `delay` `null` tells how the connection or
   * the attempt ended: when the server has answered, after `closeTimeout`, or at `resume()`. What the browser had taken
   * and was not confirmed is reported. Until `resume()` no attempt is made, nothing
   * listens to the page, and no timer runs but for messages that can expire.
   *
   * @throws {DOMException} as `close`
   */
  suspend(code?: number, reason?: string): void;
  /**
   * Goes on after `suspend()`: connects at once, as far as `attemptBurst` and `attemptInterval` allow, and without
   * waiting for the server to answer the close before. Failures before it do not count. It does nothing unless it is
   * suspended.
   */
  resume(): void;
  /** With the option `gate`: the queue may flow on this connection. */
  ready(): void;
  /** The counters as they are now. */
  snapshot(): Snapshot;

  addEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof ReconnectingWebSocketEventMap>(
    type: K,
    listener: (this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/**
 * What the WebAssembly module can be loaded from: its URL, absolute or relative to the page; the answer to a request
 * for it; its bytes; or the module, compiled.
 */
export type ModuleSource = string | URL | Response | BufferSource | CompiledModule;

/** A `WebAssembly.Module`. As TypeScript declares that it has no members, so that anything would do as one. */
interface CompiledModule {
  readonly [Symbol.toStringTag]?: 'WebAssembly.Module';
}

export interface LoadOptions {
  /**
   * Where the WebAssembly module is to be loaded from, rather than from beside the package's JavaScript or from what
   * `steady-socket/inline` has embedded. Whatever loads it later, after a failure, uses this, too, until another is
   * given. A `Response` can be read only once.
   */
  module?: ModuleSource | PromiseLike<ModuleSource> | undefined;
}

/**
 * Starts loading the WebAssembly module now, rather than at the first constructor; settles when it is there,
 * and rejects when it cannot be loaded, or not within 30 s. The next call, or the next constructor, then tries
 * again. Where it is the program that loads the module, by `init` of what wasm-pack makes, this waits without a
 * limit until it has, and takes no option `module`.
 *
 * @throws {TypeError} for an unknown option, or a module that is none of what is taken
 * @throws {DOMException} `InvalidStateError` if a module is given and it is too late for it: the module is loaded, or
 *   being loaded, from elsewhere. The same one may be given again.
 */
export function load(options?: LoadOptions): Promise<void>;
