// What the entries with sessions declare. Where they have nothing more, their copy of the code has the declarations of the
// entries without.

import type { Codec } from '../typed/codec.js';
import type { StandardSchema } from '../typed/schema.js';
import {
  TypedSocket as PlainTypedSocket,
  type TypedSnapshot,
  type TypedSocketEventMap as PlainTypedSocketEventMap,
  type TypedSocketOptions as PlainTypedSocketOptions,
} from '../typed/typed-socket.js';
import {
  ReconnectingWebSocket as PlainReconnectingWebSocket,
  type AttemptContext,
  type ProtocolsSource,
  type ReconnectingWebSocketEventMap as PlainReconnectingWebSocketEventMap,
  type ReconnectingWebSocketOptions as PlainReconnectingWebSocketOptions,
  type SendOptions,
  type Snapshot,
  type UrlSource,
} from '../websocket.js';

export {
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
  type SendOptions,
  type Snapshot,
  type StateChangeEvent,
  type UrlSource,
  type WebSocketLike,
} from '../websocket.js';
export { ClosedError, MessageError, OverflowError, TypedSocketError } from '../typed/errors.js';
export { json, type Codec } from '../typed/codec.js';
export { type SchemaIssue, type StandardSchema } from '../typed/schema.js';
export {
  type BufferOptions,
  type BufferOverflow,
  type InvalidEvent,
  type MessageIterator,
  type TypedDroppedEvent,
  type TypedSnapshot,
  type WaitOptions,
} from '../typed/typed-socket.js';

// --- Options ----------------------------------------------------------------------------------------------------

/** What the program wants of its session. The server may keep less than these limits. */
export interface SessionOptions {
  /**
   * Go on without a session if the server opens the connection and speaks none; a `sessionunavailable` event says so.
   * Without this, the socket then closes for good, and a `sessionend` event says why.
   * @default false
   */
  optional?: boolean | undefined;

  /**
   * What lets this client in, such as a token: 1 to 4096 printable ASCII characters without a space. A function is
   * called before every attempt; if it fails, or does not settle within `providerTimeout`, the attempt has failed. It
   * goes to the server in the session's first message; unlike a query of the URL, it is in no log of a server or proxy.
   * @default none
   */
  credential?: string | ((context: AttemptContext) => string | Promise<string>) | undefined;

  /**
   * How many messages the server may send that this program is not done with.
   * A whole number, 1 to 2^31 - 1.
   * @default 1000
   */
  messages?: number | undefined;

  /**
   * How many bytes those messages may have together.
   * Bytes, 1 to 2^31 - 1.
   * @default 1048576
   */
  bytes?: number | undefined;

  /**
   * How many requests of the server may be unanswered; more are refused.
   * A whole number, 0 to 2^31 - 1.
   * @default 64
   */
  requests?: number | undefined;
}

interface WithSession {
  /**
   * Asks for a session: then nothing is lost in silence when the connection breaks. `true`: the program relies on it.
   * `'optional'`: it can do without. The server has to speak sessions at this address. What they promise is in
   * [docs/sessions.md](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions.md).
   *
   * It excludes the option `gate`, and `reconnect: false`.
   * @default none
   */
  session?: true | 'optional' | SessionOptions | undefined;
}

export interface ReconnectingWebSocketOptions extends PlainReconnectingWebSocketOptions, WithSession {}

/** The options of a `TypedSocket`, except those that define its messages. */
export interface TypedSocketOptions extends PlainTypedSocketOptions, WithSession {}

export interface DeliverOptions {
  /**
   * Aborting it rejects the promise with the signal's reason. A message that has not gone out yet is then withdrawn, and
   * the server never gets it. Later only the wait ends, and the message is on its way.
   */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions {
  /** Aborting it rejects the promise with the signal's reason, and cancels the request at the server. */
  signal?: AbortSignal | undefined;
  /**
   * How long to wait for an answer, which includes the time until there is a connection.
   * Milliseconds, 1 to 2^31 - 1.
   * @default no limit
   */
  timeout?: number | undefined;
}

/** What a handler of requests gets beside the request. */
export interface RequestContext {
  /** Aborts when the server cancels the request, or when the session is over: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

// --- Events -----------------------------------------------------------------------------------------------------

/** The session goes on, over a new connection. */
export interface ResumedEvent extends Event {
  /** How many messages, requests and answers of the server follow that this program may have missed. */
  readonly replayed: number;
}

/**
 * A session is over, and this is what became of the messages that were not acknowledged. Those of `deliver` are not
 * listed: each end is reported in one place, and that of a delivered message by its promise, unless a signal has ended the
 * wait.
 */
export interface SessionOverEvent<Message = string | ArrayBuffer | Blob> extends Event {
  /** Why: a phrase for people, without a message or a URL. */
  readonly reason: string;
  /** How many of them were handled all the same. */
  readonly handled: number;
  /** Messages that the server's application was never given: send them again, or say that they failed. */
  readonly notHandled: readonly Message[];
  /** Messages of which nobody knows whether they were handled. */
  readonly unknown: readonly Message[];
}

/** The server speaks no sessions, and the program goes on without. What waited is sent on the plain connection. */
export interface SessionUnavailableEvent<Message = string | ArrayBuffer | Blob> extends Event {
  /** Messages of which nobody knows whether they were handled. */
  readonly unknown: readonly Message[];
}

/**
 * A message of `send` will not be handled, or nobody knows whether it was, though the session goes on: it is larger than
 * the server takes, for example. A message of `deliver` is not reported here: its promise rejects.
 */
export interface UndeliveredEvent<Message = string | ArrayBuffer | Blob> extends Event {
  readonly message: Message;
  /** Whether nobody knows; otherwise the server's application was never given it. */
  readonly isUnknown: boolean;
  /** Why: a phrase for people, without a message or a URL. */
  readonly reason: string;
}

/** More or fewer messages have been sent that the server has not acknowledged as handled. At most once in a turn. */
export interface PendingChangeEvent extends Event {
  readonly unacknowledgedMessages: number;
  readonly unacknowledgedBytes: number;
}

/** A handler has been busy with one message for 30 s. Nothing else happens. */
export interface StalledEvent extends Event {
  /** Whether it is a handler of this program; otherwise it is one of the server's application. */
  readonly here: boolean;
}

/** Messages and requests of the server, left over from a session that was lost before the last one, were never read. */
export interface DiscardedEvent extends Event {
  readonly messages: number;
}

/** The events of a session. */
export interface SessionEventMap<Message = string | ArrayBuffer | Blob> {
  /** The first session has begun, or the first after `reconnect()`. Subscribe here to what the server is to send. */
  sessionstart: Event;
  resumed: ResumedEvent;
  /** The session was lost, and a fresh one has begun on the same connection. Subscribe again. */
  sessionlost: SessionOverEvent<Message>;
  /** The session is over for good; the socket closes. */
  sessionend: SessionOverEvent<Message>;
  sessionunavailable: SessionUnavailableEvent<Message>;
  undelivered: UndeliveredEvent<Message>;
  pendingchange: PendingChangeEvent;
  stalled: StalledEvent;
  discarded: DiscardedEvent;
}

export interface ReconnectingWebSocketEventMap extends PlainReconnectingWebSocketEventMap, SessionEventMap {}

export interface TypedSocketEventMap<In = unknown, Out = unknown>
  extends PlainTypedSocketEventMap<In, Out>,
    SessionEventMap<Out> {}

// --- Counters ---------------------------------------------------------------------------------------------------

/** What a snapshot has more with the option `session`. */
export interface SessionCounts {
  /**
   * Messages that were sent and that the server has not acknowledged as handled. Those that wait to be sent are
   * `queuedMessages`.
   */
  readonly unacknowledgedMessages?: number;
  readonly unacknowledgedBytes?: number;
  /**
   * Why no server has welcomed this client yet: a phrase for people. `null` if one has, or no attempt has failed. The
   * `explanation` of the `close` event begins with it.
   */
  readonly unwelcomed?: string | null;
}

export interface SessionSnapshot extends Snapshot, SessionCounts {}

export interface TypedSessionSnapshot extends TypedSnapshot, SessionCounts {}

// --- Errors -----------------------------------------------------------------------------------------------------

/** The application at the other end was never given a message or a request. */
export class NotHandledError extends Error {
  /** What was sent. It is behind a getter, so that no log quotes it by accident. */
  get sent(): any;
  protected constructor();
  readonly name: 'NotHandledError';
}

/** Nobody knows whether the application at the other end has handled a message, or done what was asked. */
export class UnknownEndError extends Error {
  /** What was sent. It is behind a getter, so that no log quotes it by accident. */
  get sent(): any;
  protected constructor();
  readonly name: 'UnknownEndError';
}

/** The other end was given a request, or refused it, and there is no response. */
export class RequestError extends Error {
  /**
   * `application`: the application at the other end has answered with an error, see `error`. `refused`: it has no
   * handler, has too many unanswered requests, or its handler failed; the `message` says which. `cancelled`: the request
   * was cancelled. `timed-out`: no answer came within `timeout`; the other end may have done what was asked.
   */
  readonly code: 'application' | 'refused' | 'cancelled' | 'timed-out';
  /** What the application at the other end has answered, decoded; `undefined` unless the code is `application`. */
  get error(): any;
  protected constructor();
  readonly name: 'RequestError';
}

/**
 * For a handler of requests to throw: the other end gets the value as the error of its request. Whatever else a handler
 * throws is reported here, and the request is refused.
 */
export class ApplicationError extends Error {
  constructor(value: unknown);
  /** What the other end gets, encoded like a message. */
  readonly value: any;
  readonly name: 'ApplicationError';
}

// --- Classes ----------------------------------------------------------------------------------------------------

type Handler<Socket, E> = ((this: Socket, event: E) => unknown) | null;

/** `ReconnectingWebSocket`, which takes the option `session`. Without that option it is the plain class. */
export class ReconnectingWebSocket extends PlainReconnectingWebSocket {
  /**
   * As the constructor of the plain class, and:
   *
   * @throws {TypeError} for an option `session` of the wrong kind, or together with `gate` or `reconnect: false`
   * @throws {RangeError} for a limit of the session out of range
   */
  constructor(
    url: UrlSource,
    protocols?: ProtocolsSource | null | undefined,
    options?: ReconnectingWebSocketOptions | null | undefined,
  );
  constructor(url: UrlSource, options: ReconnectingWebSocketOptions);

  onsessionstart: Handler<this, Event>;
  onresumed: Handler<this, ResumedEvent>;
  onsessionlost: Handler<this, SessionOverEvent>;
  onsessionend: Handler<this, SessionOverEvent>;
  onsessionunavailable: Handler<this, SessionUnavailableEvent>;
  onundelivered: Handler<this, UndeliveredEvent>;
  onpendingchange: Handler<this, PendingChangeEvent>;
  onstalled: Handler<this, StalledEvent>;
  ondiscarded: Handler<this, DiscardedEvent>;

  /** @throws {TypeError} for a `Blob` in a session: send its bytes, `await blob.arrayBuffer()` */
  send(data: string | BufferSource | Blob, options?: SendOptions): void;
  /**
   * Sends a message like `send`, and resolves when the server's application has handled it. You may leave the promise
   * alone: if nobody handles its rejection, nothing is reported.
   *
   * @throws {NotHandledError} if the server's application was never given it (as a rejection, like the next ones)
   * @throws {UnknownEndError} if nobody knows
   * @throws the signal's reason
   * @throws {DOMException} `QuotaExceededError` when the queue is full; `InvalidStateError` if the message is larger than
   *   the server takes
   * @throws {TypeError} at once, without the option `session`
   */
  deliver(data: string | BufferSource, options?: DeliverOptions): Promise<void>;
  /**
   * Asks the server's application, and resolves with its response. A request survives reconnects, and is answered once.
   *
   * @throws {RequestError} if there is no response (as a rejection, like the next ones)
   * @throws {NotHandledError} if the server's application was never given it
   * @throws {UnknownEndError} if nobody knows whether it was done
   * @throws the signal's reason
   * @throws {DOMException} as `deliver`
   * @throws {TypeError} at once, without the option `session`
   */
  request(data: string | BufferSource, options?: RequestOptions): Promise<string | ArrayBuffer>;
  /**
   * Answers the requests of the server's application with what the handler returns. A later handler replaces it. Without
   * one, requests are refused.
   *
   * @throws {TypeError} without the option `session`
   */
  handle(
    handler: (
      this: this,
      request: string | ArrayBuffer,
      context: RequestContext,
    ) => string | BufferSource | Promise<string | BufferSource>,
  ): void;
  /**
   * Gives the server a fresh credential on this connection, before the old one expires. The option `credential` still
   * provides those of later connections.
   *
   * @throws {TypeError} for a credential that is not 1 to 4096 printable ASCII characters without a space, and without
   *   the option `session`
   */
  sendCredential(credential: string): void;

  /** The current counters. */
  snapshot(): SessionSnapshot;

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
 * `TypedSocket`, which takes the option `session`. Without that option it is the plain class.
 *
 * In a session a message is handled, which the server is told, when the program is done with it: when the listeners and
 * the functions of `forEach` have returned, and when each iterator is asked for its next one. What nobody reads yet
 * waits at the server.
 */
export class TypedSocket<Out = unknown, In = unknown> extends PlainTypedSocket<Out, In> {
  /**
   * As the constructor of the plain class, and:
   *
   * @throws {TypeError} for an option `session` of the wrong kind, or together with `gate` or `reconnect: false`
   * @throws {RangeError} for a limit of the session out of range
   */
  constructor(
    url: UrlSource,
    options: TypedSocketOptions & {
      codec?: Codec<any, unknown> | undefined;
      incoming: StandardSchema<unknown, In>;
      outgoing: StandardSchema<Out, unknown>;
    },
  );
  constructor(
    url: UrlSource,
    options: TypedSocketOptions & {
      codec?: Codec<Out, unknown> | undefined;
      incoming: StandardSchema<unknown, In>;
      outgoing?: undefined;
    },
  );
  constructor(
    url: UrlSource,
    options: TypedSocketOptions & {
      codec?: Codec<any, In> | undefined;
      incoming?: undefined;
      outgoing: StandardSchema<Out, unknown>;
    },
  );
  constructor(
    url: UrlSource,
    options?:
      | (TypedSocketOptions & {
          codec?: Codec<Out, In> | undefined;
          incoming?: undefined;
          outgoing?: undefined;
        })
      | null
      | undefined,
  );

  onsessionstart: Handler<this, Event>;
  onresumed: Handler<this, ResumedEvent>;
  onsessionlost: Handler<this, SessionOverEvent<Out>>;
  onsessionend: Handler<this, SessionOverEvent<Out>>;
  onsessionunavailable: Handler<this, SessionUnavailableEvent<Out>>;
  onundelivered: Handler<this, UndeliveredEvent<Out>>;
  onpendingchange: Handler<this, PendingChangeEvent>;
  onstalled: Handler<this, StalledEvent>;
  ondiscarded: Handler<this, DiscardedEvent>;

  /**
   * Sends a message like `send`, and resolves when the server's application has handled it.
   *
   * @throws {NotHandledError} if the server's application was never given it (as a rejection, like all of these)
   * @throws {UnknownEndError} if nobody knows
   * @throws the signal's reason
   * @throws {MessageError} and what else `send` throws
   * @throws {DOMException} `InvalidStateError` if the message is larger than the server takes
   * @throws {TypeError} without the option `session`
   */
  deliver(message: Out, options?: DeliverOptions): Promise<void>;
  /**
   * Asks the server's application, and resolves with its response. A request survives reconnects, and is answered once.
   *
   * @param message - the request; the option `outgoing` checks it, like every message
   * @param options - `response`: a schema that checks the response and gives it its type; `signal`; `timeout`
   * @throws {RequestError} if there is no response (as a rejection, like all of these)
   * @throws {NotHandledError} if the server's application was never given it
   * @throws {UnknownEndError} if nobody knows whether it was done
   * @throws {MessageError} if a schema refuses the request or the response
   * @throws the signal's reason, and what else `deliver` throws
   */
  request<Response = unknown>(
    message: Out,
    options?: RequestOptions & { response?: StandardSchema<unknown, Response> | undefined },
  ): Promise<Response>;
  /**
   * Answers the requests of the server's application with what the handler returns, encoded by the codec. A later
   * handler replaces it. Without one, requests are refused.
   *
   * @param schema - checks requests and gives them their type; a request that it refuses is refused
   * @throws {TypeError} without the option `session`
   */
  handle<Request>(
    schema: StandardSchema<unknown, Request>,
    handler: (this: this, request: Request, context: RequestContext) => unknown,
  ): void;
  handle<Request = unknown>(handler: (this: this, request: Request, context: RequestContext) => unknown): void;
  /** As `sendCredential` of `ReconnectingWebSocket`. */
  sendCredential(credential: string): void;

  /** The current counters. */
  snapshot(): TypedSessionSnapshot;

  addEventListener<K extends keyof TypedSocketEventMap>(
    type: K,
    listener: (this: TypedSocket<Out, In>, event: TypedSocketEventMap<In, Out>[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof TypedSocketEventMap>(
    type: K,
    listener: (this: TypedSocket<Out, In>, event: TypedSocketEventMap<In, Out>[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
