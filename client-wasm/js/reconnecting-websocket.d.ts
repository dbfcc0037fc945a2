// The declarations of the JavaScript API. The options' names, units, ranges and defaults, and the close codes, are
// generated from Rust (between the marks below); everything else is written here.

/** Describes the attempt to a function that provides the URL or the sub-protocols. */
export interface AttemptContext {
  /** 1 for the first attempt since the connection was last stable, 2 for the first retry, and so on. */
  readonly attempt: number;
  /** The last loss; `null` before the first. */
  readonly lastClose: LostConnection | null;
  /** Aborts when the result is no longer needed: after `close()`, `reconnect()`, or `providerTimeout`. */
  readonly signal: AbortSignal;
}

/** How a connection or an attempt ended. */
export interface LostConnection {
  /** The browser's close code; 1006 when no close frame was seen (a failed attempt included). */
  readonly code: number;
  /** The server's reason: at most 123 bytes of text chosen by the server. */
  readonly reason: string;
  readonly wasClean: boolean;
  /** Whether this connection had been open. */
  readonly wasOpen: boolean;
  /** What ended it. */
  readonly cause: LossCause;
  /**
   * The exception, if known: thrown by a function for the URL or the sub-protocols (cause `provider`; also the reason
   * of a rejection), by the `WebSocket` constructor (`refused`) or by its `send` (`send-failed`). For the cause
   * `socket` it is the error in the platform's `error` event, which Node and `ws` provide and browsers do not. It may
   * quote the URL.
   */
  readonly error: unknown;
}

/** What ended a connection or an attempt. */
export type LossCause =
  | 'socket' // the browser's socket closed (server, network, or the answer to our close)
  | 'refused' // the browser refused to make the socket
  | 'connect-timeout' // no handshake response within `connectTimeout`
  | 'provider' // a URL or sub-protocol function failed
  | 'provider-timeout' // … or did not settle within `providerTimeout`
  | 'send-failed' // the browser's `send` threw
  | 'close-timeout' // the closing handshake did not end within `closeTimeout`
  | 'heartbeat-timeout' // the server was silent for `heartbeatInterval` plus `heartbeatGrace`
  | 'probe-timeout' // the server was silent for `probeTimeout` after the page woke or the network changed
  | 'message-too-big' // the server sent a message larger than `maxMessageBytes`
  | 'reconnect' // `reconnect()` replaced it
  | 'closed' // `close()` ended it before it was open
  | 'suspended' // `suspend()` ended it
  | 'load-failed' // the wasm module failed to load, or took longer than 30 s
  | 'internal-error'; // the wasm module failed; a fresh instance replaces it, unless it fails repeatedly

export type UrlSource = string | URL | ((context: AttemptContext) => string | URL | Promise<string | URL>);

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
  /** The sub-protocols to offer, unless they are the second argument of the constructor. */
  protocols?: ProtocolsSource | null | undefined;

  // <generated options>
  /**
   * How long a handshake may take. Below 10 s, a browser that delays connections after failures (up to 5 s
   * in Chromium) may never get through.
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
   * How long the closing handshake may take after `close()`, counted from the last time the browser's buffer
   * shrank. Browsers themselves wait 20 to 60 s.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  closeTimeout?: number | undefined;

  /**
   * The first wait after a loss is drawn between 0 and this, so that clients of the same server do not
   * return together (RFC 6455, section 7.2.3).
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  firstDelayMax?: number | undefined;

  /**
   * The minimum wait before the second and later retries.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 1000
   */
  minDelay?: number | undefined;

  /**
   * The wait before retry n (2, 3, …) is drawn between the minimum and this times the growth factor to the
   * power of n − 1, limited by the maximum.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  baseDelay?: number | undefined;

  /**
   * The factor by which the longest possible wait grows with each retry.
   * A number, 1 to 100.
   * @default 2
   */
  growthFactor?: number | undefined;

  /**
   * The limit on the longest possible wait, applied before the wait is drawn. Set alone, it also lowers the
   * other delays to it.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 30000
   */
  maxDelay?: number | undefined;

  /**
   * How long a connection must stay open before the count of retries restarts, so that a server that accepts
   * and closes at once is not hammered.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  stableAfter?: number | undefined;

  /**
   * How many retries in a row, without a stable connection in between, before giving up.
   * A whole number, 0 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  maxRetries?: number | undefined;

  /**
   * Whether to reconnect. With `false`, the first loss or failed attempt is final, whatever the close code
   * and the server say, and the program's predicate is not called: the socket behaves like a plain
   * `WebSocket`, for libraries that reconnect by themselves. `reconnect()` still opens a new connection,
   * which is again the only one.
   * @default true
   */
  reconnect?: boolean | undefined;

  /**
   * How many attempts may be made in quick succession, whatever their reason, before further ones wait.
   * A whole number, 1 to 2^31 - 1.
   * @default 10
   */
  attemptBurst?: number | undefined;

  /**
   * How long until one more attempt is allowed, up to the burst. 0 means no limit.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 5000
   */
  attemptInterval?: number | undefined;

  /**
   * The longest wait that a server may request: by announcing when to reconnect, or by closing with 1012 or
   * 1013, which mean 5 to 30 s without an announcement.
   * Milliseconds, 0 to 2^31 - 1.
   * @default 60000
   */
  announcedDelayMax?: number | undefined;

  /**
   * How long the server may be silent before it is pinged. Without a ping, the grace starts then: that suits
   * servers which send something that often by themselves; one with nothing to say would be considered dead.
   * A server that announces its own heartbeat overrides this, within 5 to 120 s.
   * Milliseconds, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  heartbeatInterval?: number | undefined;

  /**
   * How much longer the server may be silent before the connection is considered dead.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 10000
   */
  heartbeatGrace?: number | undefined;

  /**
   * How often to send something to the server, whatever it sends: for servers that close connections on
   * which they hear nothing. This sends a `~ping` if control messages are in use, else the keepalive
   * message, else the ping. No answer is awaited, and no conclusion is drawn without one. Nothing is sent
   * before the gate is open.
   * Milliseconds, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default Infinity
   */
  keepaliveInterval?: number | undefined;

  /**
   * Whether to use control messages if the server has chosen a sub-protocol whose name ends with `~1`: its
   * heartbeat, a ping, a window for reconnecting. They do not reach the application. The application's own
   * texts that start with `~` are escaped in transit and arrive unchanged.
   * @default false
   */
  controlMessages?: boolean | undefined;

  /**
   * How long a server that answers pings may take to answer one after the page woke up or the network
   * changed.
   * Milliseconds, 1 to 2^31 - 1.
   * @default 5000
   */
  probeTimeout?: number | undefined;

  /**
   * How many messages the queue may hold.
   * A whole number, 0 to 2^31 - 1.
   * @default 1000
   */
  maxQueuedMessages?: number | undefined;

  /**
   * How many bytes the queue may hold (text counts as UTF-8).
   * Bytes, 0 to 2^31 - 1.
   * @default 16777216
   */
  maxQueuedBytes?: number | undefined;

  /**
   * What happens to a message that does not fit in the queue.
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
   * They flow again when the browser holds at most this many. It cannot exceed the high-water mark: if only
   * one of the two is set, the other follows it.
   * Bytes, 0 to 2^31 - 1.
   * @default 262144
   */
  lowWaterMark?: number | undefined;

  /**
   * The largest message to accept from the server; a larger one ends the connection before any of it is
   * copied. Text is measured in UTF-16 code units, since counting its bytes would mean reading all of it.
   * Bytes, 1 to 2^31 - 1, or `Infinity` for no limit.
   * @default 67108864
   */
  maxMessageBytes?: number | undefined;

  /**
   * Whether a page loaded over https may connect to a `ws:` URL on a host other than loopback. Browsers
   * refuse that unless the user has allowed it for the page.
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
   * Called after every loss. `true` retries, `false` gives up, a number retries after that many milliseconds, and
   * `undefined` leaves the decision to the built-in policy for the close code (see below). It must return at once: if
   * it throws, or returns anything else, even a promise, that is reported, and the policy decides.
   *
   * When a function for the URL or the sub-protocols fails, `error` is what it threw, so you can give up on some
   * failures:
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
   * | 1000 | normal closure | gives up |
   * | 1008, 3000, 3003, 4401, 4403 | the server refuses this client: policy violation, unauthorized, forbidden | gives up |
   * | 3500–3999, 4500–4999 | final codes of libraries and applications | gives up |
   * | 1002–1003, 1007, 1009 | the server could not process what it was sent | retries once; gives up if it happens again without a stable connection in between |
   * | 1012–1013 | the server restarts or is overloaded | retries after 5 to 30 s |
   * | every other | going away, connection lost, internal error, and the application's own codes | retries |
   * </generated close codes>
   */
  shouldReconnect?: ((lost: LostConnection) => boolean | number | undefined | void) | undefined;

  /**
   * A message that the server is known to reply to. With it, the option `heartbeatInterval` detects a dead connection
   * even if the server sends nothing unasked, and a page that wakes up asks whether the connection is still alive. A
   * function is called for every ping; if it throws, that is reported, and nothing is sent.
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
   * Sent at every `keepaliveInterval` unless control messages are in use; the default is `heartbeatMessage`. The server
   * need not answer, and no conclusion is drawn if it does not. A function is called each time; if it throws, that is
   * reported, and nothing is sent.
   *
   * For servers that close connections on which they hear nothing, whatever they send themselves:
   *
   * ```js
   * new ReconnectingWebSocket('/feed', [], { keepaliveInterval: 20_000, keepaliveMessage: '{"type":"alive"}' });
   * ```
   */
  keepaliveMessage?: string | BufferSource | (() => string | BufferSource) | undefined;

  /**
   * Whether a message is the answer to `heartbeatMessage`, or a heartbeat that the server sends unasked. Such a message
   * reaches no listener. An answer confirms what was sent before that ping; if more answers come than pings went out,
   * the server sends them unasked, and they confirm nothing. Every message is a sign of life, so without this function
   * the answer is delivered like any other message. If it throws or returns anything but a boolean, that is reported,
   * and the message is delivered.
   */
  isHeartbeat?: ((data: any) => boolean) | undefined;

  /**
   * Finds out why handshakes fail, which browsers do not report. After `diagnoseAfter` attempts in a row that never
   * opened, one `GET` request is made (without the cache, without following redirects, at most 5 s). Pass the URL to
   * request (`ws:` becomes `http:`), or a function that returns it. `true` requests the socket's own URL; it throws a
   * `TypeError` if that has a query or comes from a function, since it may then hold a single-use ticket, which no
   * second request may use. The result comes in a `diagnosis` event and in the next `close` event. A server of another
   * origin has to allow the page to read its response (CORS).
   * @default false
   */
  diagnose?: boolean | string | URL | (() => string | URL | Promise<string | URL>) | undefined;

  /**
   * How many attempts in a row must fail to open before `diagnose` makes its request, once until a connection is open
   * again.
   * A whole number, 1 to 2^31 - 1.
   * @default 3
   */
  diagnoseAfter?: number | undefined;

  /**
   * Aborting it works like `close()`, but for good: `reconnect()` then throws the signal's reason. If it is already
   * aborted, no attempt is made.
   */
  signal?: AbortSignal | undefined;

  /**
   * The `WebSocket` constructor to use, where there is no global one (Node 20: `ws`) or for tests. It cannot be this
   * class, or a class that makes its sockets with this one. If a program has replaced the global one with this class,
   * the one that was there when the package was imported is used.
   */
  WebSocket?: (new (url: string, protocols?: string | string[]) => WebSocketLike) | undefined;

  /**
   * Called with a line for every state transition, loss and drop. No line contains a message, a URL, a sub-protocol or
   * text chosen by the server.
   */
  debug?: ((line: string) => void) | undefined;
}

/** The part of `WebSocket` that this library uses. */
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
  /** Ends a connection whose close was not answered in time, as in `ws`. Browsers have no such method. */
  terminate?(): void;
}

export interface SendOptions {
  /** `first` goes ahead of the queue and does not wait for `ready()`. Default: in order. */
  priority?: 'first' | undefined;
  /** Send now or not at all (then a `dropped` event reports it). Default `false`. */
  volatile?: boolean | undefined;
  /**
   * How long it may wait in the queue, in milliseconds, 1 to 2^31 - 1, or `Infinity`. Default: the option `messageTtl`.
   */
  ttl?: number | undefined;
}

export interface OpenEvent extends Event {
  /** `true` if there was an open connection before. */
  readonly reconnected: boolean;
  /** The number of attempts it took. */
  readonly attempt: number;
}

export interface ReconnectingCloseEvent extends CloseEvent {
  /**
   * `true`: another attempt follows, or will after `resume()` if suspended; `false`: this close is final, and
   * `readyState` is 3.
   */
  readonly willReconnect: boolean;
  /** Milliseconds until the next attempt; `null` if this close is final or the socket is suspended. */
  readonly delay: number | null;
  readonly cause: LossCause;
  /**
   * Why it will or will not retry: a phrase for people, such as `no retry is left`, preceded by what went wrong, if
   * known. That may be the message of an error, from a function for the URL or from the platform (browsers provide
   * none), which may quote the URL: keep it out of logs if that is secret.
   */
  readonly explanation: string;
  /** See `error` of `LostConnection`. */
  readonly error: unknown;
  /** What the option `diagnose` found out since the last `close` event, or `null`. */
  readonly diagnosis: Diagnosis | null;
  /** Messages that the browser accepted but the server never confirmed, by answering a ping sent after them. */
  readonly unconfirmedMessages: number;
  readonly unconfirmedBytes: number;
}

/** What a plain HTTP request showed after handshakes had failed. */
export type Diagnosis =
  /** The server answers with this status: 401 or 403 if it refuses the user, 404 if there is nothing at this address,
   *  5xx if it or a proxy is in trouble; 400 or 426 come from a healthy WebSocket endpoint that accepts no plain
   *  request. */
  | { readonly kind: 'status'; readonly status: number }
  /** The server does not answer. */
  | { readonly kind: 'unreachable' }
  /**
   * The user, or a policy, denies this page a permission that it needs to connect to its own machine or network
   * (Chromium from 142 on; `loopback-network`, `local-network`, or `local-network-access` in earlier versions). This is
   * reported without the option `diagnose`, and without a request. The socket keeps trying as after any failure, and
   * tries at once when the permission is granted.
   */
  | { readonly kind: 'permission'; readonly name: string }
  /** Unknown: the server redirects, or is of another origin and does not answer or may not be read. */
  | { readonly kind: 'unknown' };

export interface DiagnosisEvent extends Event {
  readonly diagnosis: Diagnosis;
}

export interface StateChangeEvent extends Event {
  readonly state: ConnectionState;
  /** The current or next attempt, 1 for the first. */
  readonly attempt: number;
  /** In `waiting`: milliseconds until the next attempt. */
  readonly delay: number | null;
  /** Why: a phrase to show or log, such as `the wait is over`. */
  readonly reason: string;
}

export interface DroppedEvent<Message = string | ArrayBuffer | Blob> extends Event {
  /** `overflow`: the queue was full; `expired`: past its time to live; `volatile`: could not be sent now; `refused`:
   *  the browser's `send` threw on two connections; `closed`: the socket closed before the message could be sent, or
   *  was already closing or closed when `send` was called. */
  readonly reason: 'overflow' | 'expired' | 'volatile' | 'refused' | 'closed';
  /**
   * The messages themselves, in the order they were sent: the newest of those dropped for this reason in one task, as
   * many as the queue may hold (`maxQueuedMessages` and `maxQueuedBytes`, or 256 and 64 KiB if those are less), and at
   * least one.
   */
  readonly messages: ReadonlyArray<Message>;
  /** How many older messages were dropped with them but not kept. */
  readonly omitted: number;
  /** The bytes of all of them. */
  readonly bytes: number;
}

/**
 * The queue holds more or fewer messages than last reported. Emitted once for all changes in a turn of the event loop,
 * and not for messages that go out at once.
 */
export interface QueueChangeEvent extends Event {
  readonly queuedMessages: number;
  readonly queuedBytes: number;
}

/**
 * An attempt failed, or the platform reported an error; a `close` event follows. Browsers give no details. If the
 * platform does, as the package `ws` and Node do, this event has them; the text may quote the URL.
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
  /** Sockets given up before their `close` event. */
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
 * A `WebSocket` that stays connected. Pass it to whatever takes a `WebSocket`: the declarations differ only in being
 * more precise about a handler's event and its `this`. A library that makes a new `WebSocket` after a close needs one
 * with the option `reconnect: false`; otherwise both reconnect, and connections pile up.
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
   * @param url - where to connect; relative to the page or the worker, with `http:` and `https:` meaning `ws:` and
   *   `wss:`. A function is called before every attempt, never inside the constructor; if it fails, the attempt has
   *   failed.
   * @param protocols - the sub-protocols to offer, in order of preference, or a function that returns them; or the
   *   options, which may have them as `protocols`
   * @throws {DOMException} `SyntaxError` for a URL or sub-protocols that no `WebSocket` accepts
   * @throws {TypeError} for an unknown option, or a value of the wrong kind
   * @throws {RangeError} for an option out of range
   * @throws {DOMException} `SecurityError` for a `ws:` URL of another host than loopback on a page loaded over https,
   *   unless the option `allowInsecure` is set. If a function returns such a URL, that attempt fails instead.
   * @throws {DOMException} `InvalidStateError` after the WebAssembly module has failed (a bug of this library) six
   *   times within ten minutes. The first five failures are losses with the `cause` `internal-error`. The sixth ends
   *   every connection with an `error` and a `close` event, and reports the queued messages as dropped; then `send`,
   *   `reconnect`, `ready`, `snapshot` and `load` fail the same way until the page is reloaded. Cleaning up still
   *   works: `close` does nothing, attributes can be read and set as on a closed socket, and listeners can be removed.
   * @throws {RangeError} the engine's own, before anything is done, if the program has nearly exhausted the stack; so
   *   do all methods and attributes (Firefox: `InternalError`)
   */
  constructor(
    url: UrlSource,
    protocols?: ProtocolsSource | null | undefined,
    options?: ReconnectingWebSocketOptions | null | undefined,
  );
  constructor(url: UrlSource, options: ReconnectingWebSocketOptions);

  /** The absolute URL; if a function provides it, that of the last attempt, or `''` before the first. */
  readonly url: string;
  /** The sub-protocol that the server chose; `''` if none. */
  readonly protocol: string;
  /** The extensions that the server chose. */
  readonly extensions: string;
  /**
   * 0 during every attempt and wait and while suspended, 1 open, 2 closing, 3 only when closed for good, or idle
   * (`startClosed`).
   */
  readonly readyState: 0 | 1 | 2 | 3;
  /** Bytes in the queue and in the browser, plus those passed to `send` when it was too late. */
  readonly bufferedAmount: number;
  /** How binary messages arrive: `'blob'` unless changed, and kept over reconnects. */
  binaryType: BinaryType;
  /** What the socket is doing, in more detail than `readyState`. */
  readonly state: ConnectionState;

  // The getters have the types of `WebSocket`, so that this class can stand in for it; the setters are more precise.
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
   * Sends now when open, and queues otherwise; you may change a buffer or a view as soon as this returns. Messages sent
   * inside an `open` handler go ahead of the queue. When closing or closed it sends nothing, as `WebSocket` does, and a
   * `dropped` event with the reason `closed` reports the message. While idle (`state`; the option `startClosed`) it
   * queues, though `readyState` is 3, and the queue waits for `reconnect()`.
   *
   * @throws {DOMException} `QuotaExceededError` when the queue is full and `overflow` is `'reject'`, but
   *   `InvalidStateError`, as from a `WebSocket`, while connecting if `maxQueuedMessages` is 0
   * @throws {TypeError} for shared or resizable memory, and for unknown options
   */
  send(data: string | BufferSource | Blob, options?: SendOptions): void;
  /**
   * Closes for good (until `reconnect()`). While open, it first hands the queue to the browser; otherwise it drops the
   * queue, and a `dropped` event reports it. Exactly one `close` event with `willReconnect` `false` follows, but none
   * if already closed, nor while idle: then it drops the queue, and the socket remains idle. The events come in this
   * order: `statechange`, `error` (if the connection had failed or never opened), `dropped`, `close`.
   *
   * @throws {DOMException} `InvalidAccessError` for a code that is neither 1000 nor 3000 to 4999,
   *   `SyntaxError` for a reason of more than 123 bytes
   */
  close(code?: number, reason?: string): void;
  /**
   * Makes a new connection now, in every state, even after a final close. Only if too many attempts were made in a
   * short time (options `attemptBurst`, `attemptInterval`), it waits without a connection until another is allowed, and
   * a `statechange` event with the state `waiting` says so. A connection that it replaces is closed with the code and
   * the reason, and its `close` event has them; without them it has code 1006.
   *
   * @throws {DOMException} as `close`
   * @throws the reason of the option `signal` (an `AbortError` by default) if that is aborted
   */
  reconnect(code?: number, reason?: string): void;
  /**
   * Pauses: closes the connection, with code 1000 by default, and makes no other until `resume()` or `reconnect()`. The
   * queue, listeners, options and counters stay, and messages sent meanwhile are queued. `state` is `suspended` at
   * once; a current attempt or wait ends. It does nothing while idle, closing or closed.
   *
   * A `close` event with `cause` `suspended`, `willReconnect` `true` and `delay` `null` reports how the connection or
   * the attempt ended: when the server has answered, after `closeTimeout`, or at `resume()`. It counts messages that
   * the browser accepted but the server never confirmed. Until `resume()` no attempt is made, no page events are
   * listened to, and no timer runs except for messages that can expire.
   *
   * @throws {DOMException} as `close`
   */
  suspend(code?: number, reason?: string): void;
  /**
   * Continues after `suspend()`: connects at once, as far as `attemptBurst` and `attemptInterval` allow, without
   * waiting for the server to answer the close. Failures before the suspension do not count. It does nothing unless
   * suspended.
   */
  resume(): void;
  /** With the option `gate`: lets the queue flow on this connection. */
  ready(): void;
  /** The current counters. */
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
 * What the WebAssembly module can be loaded from: its URL, absolute or relative to the page; a `Response` with it; its
 * bytes; or the compiled module.
 */
export type ModuleSource = string | URL | Response | BufferSource | CompiledModule;

/** A `WebAssembly.Module`. TypeScript declares that without members, so anything would pass as one. */
interface CompiledModule {
  readonly [Symbol.toStringTag]?: 'WebAssembly.Module';
}

export interface LoadOptions {
  /**
   * Where to load the WebAssembly module from, instead of the file beside the package's JavaScript or the one embedded
   * in `steady-socket/inline`. Later loads, after a failure, use this, too, until another is given. A `Response` can be
   * read only once.
   */
  module?: ModuleSource | PromiseLike<ModuleSource> | undefined;
}

/**
 * Starts loading the WebAssembly module now, rather than at the first constructor. Resolves when the module has loaded,
 * and rejects if it cannot be loaded, or not within 30 s. The next call, or the next constructor, then tries again. If
 * the program itself loads the module, through `init` of what wasm-pack builds, this waits for that without a limit,
 * and takes no option `module`.
 *
 * @throws {TypeError} for an unknown option, or a `module` of the wrong kind
 * @throws {DOMException} `InvalidStateError` if it is too late for the option `module`: the module is loaded, or being
 *   loaded, from elsewhere. The same one may be given again.
 */
export function load(options?: LoadOptions): Promise<void>;
