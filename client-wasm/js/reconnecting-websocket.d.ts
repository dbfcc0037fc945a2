// The declarations of the JavaScript API, beside those that exported classes share (`client/src/declarations.d.ts`). The
// close codes are generated from Rust (between the marks below); everything else is written here.

/** Describes the attempt to a function that provides the URL or the sub-protocols. */
export interface AttemptContext {
  /** 1 for the first attempt since the connection was last stable, 2 for the first retry, and so on. */
  readonly attempt: number;
  /** The last loss; `null` before the first. */
  readonly lastClose: LostConnection | null;
  /** Aborts when the result is no longer needed: after `close()`, `reconnect()`, or `providerTimeout`. */
  readonly signal: AbortSignal;
}

/** What ended a connection or an attempt. */
export type LossCause =
  | SocketCause
  | 'provider' // a URL or sub-protocol function failed
  | 'provider-timeout' // … or did not settle within `providerTimeout`
  | 'load-failed' // the wasm module failed to load, or took longer than 30 s
  | 'internal-error'; // the wasm module failed; a fresh instance replaces it, unless it fails repeatedly

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

export type UrlSource = string | URL | ((context: AttemptContext) => string | URL | Promise<string | URL>);

export type ProtocolsSource =
  | string
  | string[]
  | ((context: AttemptContext) => string | string[] | Promise<string | string[]>);

export interface ReconnectingWebSocketOptions extends SocketOptions {
  /** The sub-protocols to offer, unless they are the second argument of the constructor. */
  protocols?: ProtocolsSource | null | undefined;

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

export interface ReconnectingCloseEvent extends SocketCloseEvent<LossCause> {
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

/** Messages were not sent. */
export type DroppedEvent<Message = string | ArrayBuffer | Blob> = SocketDroppedEvent<
  Message,
  'overflow' | 'expired' | 'volatile' | 'refused' | 'closed'
>;

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
