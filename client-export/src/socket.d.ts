// What the declarations of every exported class refer to. The parts between the marks are copied from the declarations
// of `ReconnectingWebSocket` by `UPDATE=1 cargo test -p steady-socket-export`; the rest is written here.

// <generated LossCause>
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
// </generated LossCause>

// <generated ConnectionState>
/**
 * `connecting` covers the provider functions and the handshake; `waiting` is the time between attempts; `suspended`
 * lasts from `suspend()` to `resume()`.
 */
export type ConnectionState = 'idle' | 'connecting' | 'open' | 'waiting' | 'closing' | 'closed' | 'suspended';
// </generated ConnectionState>

/** Delays, limits and policies. The constructor throws on unknown options and wrong values. */
export interface SocketOptions {
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
}

/** What the class `Socket` receives. */
export type Received<Socket extends { tryNext(): unknown }> = Exclude<ReturnType<Socket['tryNext']>, undefined>;

/** What the class `Socket` sends. */
export type Sent<Socket extends { send(message: never): unknown }> = Parameters<Socket['send']>[0];

/** A connection is open. Messages sent by a listener go ahead of the queue: this is the place to authenticate. */
export interface SocketOpenEvent extends Event {
  /** Whether an earlier connection was open. */
  readonly reconnected: boolean;
  /** The number of attempts it took. */
  readonly attempt: number;
}

/** A connection or an attempt has ended; another may follow. */
export interface SocketCloseEvent extends CloseEvent {
  readonly willReconnect: boolean;
  /** Milliseconds until the next attempt; `null` if this close is final or the socket is suspended. */
  readonly delay: number | null;
  readonly cause: LossCause;
  /** Why it will or will not retry, in a few words. */
  readonly explanation: string;
  /** Messages that the browser accepted but the server never confirmed, by answering a ping sent after them. */
  readonly unconfirmedMessages: number;
  readonly unconfirmedBytes: number;
}

/** The state has changed. */
export interface SocketStateEvent extends Event {
  readonly state: ConnectionState;
  /** The current or next attempt, 1 for the first since the last stable connection. */
  readonly attempt: number;
  /** While waiting: milliseconds until the next attempt; otherwise `null`. */
  readonly delay: number | null;
  /** Why, in a few words. */
  readonly reason: string;
}

/**
 * The queue holds more or fewer messages than last reported. Emitted once for all changes in a turn of the event loop,
 * and not for messages that go out at once.
 */
export interface SocketQueueEvent extends Event {
  readonly queuedMessages: number;
  readonly queuedBytes: number;
}

/** Messages were not sent or, with the reason `'inbox-full'`, were received but not read in time. */
export interface SocketDroppedEvent<Socket extends AnySocket> extends Event {
  readonly reason: 'overflow' | 'expired' | 'volatile' | 'refused' | 'closed' | 'inbox-full';
  readonly messages: readonly (Sent<Socket> | Received<Socket>)[];
  /** How many older messages were dropped with them, in the same task, but not kept. */
  readonly omitted: number;
  /** The bytes of all of them, as they would have been sent. */
  readonly bytes: number;
}

/**
 * The server sent something that is not a message of the endpoint, or that JavaScript cannot represent. Others go on.
 */
export interface SocketInvalidEvent extends Event {
  /** What was wrong. Its `message` quotes nothing that was received. */
  readonly error: TypeError & { readonly detail?: string };
  /** Details, which may quote what was received, or `null`. */
  readonly detail: string | null;
  /** The beginning of what was received, escaped, or `null` if it was not kept. */
  readonly excerpt: string | null;
}

/** The events of the class `Socket`, by name. */
export interface SocketEventMap<Socket extends AnySocket> {
  message: MessageEvent<Received<Socket>>;
  invalid: SocketInvalidEvent;
  open: SocketOpenEvent;
  error: Event;
  close: SocketCloseEvent;
  statechange: SocketStateEvent;
  dropped: SocketDroppedEvent<Socket>;
  queuechange: SocketQueueEvent;
}

/** Any class exported for an endpoint. */
export interface AnySocket {
  tryNext(): unknown;
  send(message: never): void;
}

/**
 * What every exported class has, besides its constructor, `send` and `tryNext`.
 *
 * Messages are read in one of two ways, and the first use decides which: listeners for `message`, or `next`, `tryNext`
 * and `for await`. Until then up to 10,000 of them, or 64 MiB, wait; beyond that the oldest make room, and are reported
 * as dropped.
 *
 * A socket lives as long as the program refers to it. When it is freed (`free`, `using`) or garbage-collected, it
 * closes its connection, once no `for await` loop reads from it any more.
 */
export interface TypedSocket<Socket extends AnySocket> {
  /** What the socket is doing. */
  readonly state: ConnectionState;
  /** The sub-protocol that the server chose; `''` without a connection. */
  readonly protocol: string;
  /** Bytes in the queue and in the browser. */
  readonly bufferedAmount: number;

  /**
   * The next message; `undefined` if the connection is closed for good, or this object was freed.
   *
   * @throws {DOMException} `InvalidStateError` if messages go to listeners
   */
  next(): Promise<Received<Socket> | undefined>;
  /**
   * The messages, until the connection is closed for good. Reconnecting does not end it.
   *
   * @throws {DOMException} `InvalidStateError` if messages go to listeners
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Received<Socket>>;

  /**
   * Like that of `EventTarget`, but the event's `target` is an internal object.
   *
   * @throws {DOMException} `InvalidStateError` for `message` if messages are read by `next`, `tryNext` or a loop
   */
  addEventListener<Kind extends keyof SocketEventMap<Socket>>(
    kind: Kind,
    listener: ((event: SocketEventMap<Socket>[Kind]) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Kind extends keyof SocketEventMap<Socket>>(
    kind: Kind,
    listener: ((event: SocketEventMap<Socket>[Kind]) => unknown) | null,
    options?: boolean | EventListenerOptions,
  ): void;

  /**
   * Closes for good, until `reconnect()`. While open, it first hands the queue to the browser; otherwise it drops the
   * queue, and a `dropped` event reports it.
   *
   * @throws {DOMException} `InvalidAccessError` for a code that is neither 1000 nor 3000 to 4999, `SyntaxError`
   *   for a reason of more than 123 bytes
   * @throws {TypeError} for arguments of the wrong kind
   */
  close(code?: number, reason?: string): void;
  /**
   * Makes a new connection now, in every state, even after a final close. A connection that it replaces is closed with
   * the code and the reason, and its `close` event has them.
   *
   * @throws as `close`
   */
  reconnect(code?: number, reason?: string): void;
  /**
   * Pauses: closes the connection, with code 1000 by default, and makes no other until `resume()` or `reconnect()`. The
   * queue, listeners and options stay, and messages sent meanwhile are queued. It does nothing while idle, closing or
   * closed. The `close` event has `cause` `suspended` and `willReconnect` `true`.
   *
   * @throws as `close`
   */
  suspend(code?: number, reason?: string): void;
  /** Continues after `suspend()`: connects at once, as far as the budget of attempts allows. */
  resume(): void;
  /** With the option `gate`: lets the queue flow on this connection. */
  ready(): void;
}
