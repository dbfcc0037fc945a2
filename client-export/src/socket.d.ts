// What the declarations of every exported class refer to, beside what all classes share (`client/src/declarations.d.ts`).

/** What the class `Socket` receives. */
export type Received<Socket extends { tryNext(): unknown }> = Exclude<ReturnType<Socket['tryNext']>, undefined>;

/** What the class `Socket` sends. */
export type Sent<Socket extends { send(message: never): unknown }> = Parameters<Socket['send']>[0];

/** Messages were not sent or, with the reason `'inbox-full'`, were received but not read in time. */
export type ExportedDroppedEvent<Socket extends AnySocket> = SocketDroppedEvent<
  Sent<Socket> | Received<Socket>,
  'overflow' | 'expired' | 'refused' | 'closed' | 'inbox-full'
>;

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
  open: OpenEvent;
  error: Event;
  close: SocketCloseEvent<SocketCause>;
  statechange: StateChangeEvent;
  dropped: ExportedDroppedEvent<Socket>;
  queuechange: QueueChangeEvent;
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
export interface ExportedSocket<Socket extends AnySocket> {
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
