// What the declarations of exported classes with sessions refer to.

/** What the program wants of its session. The server may keep less than these limits. */
export interface SocketSessionOptions {
  /**
   * Go on without a session if the server opens the connection and speaks none. Without this, the socket then closes for
   * good.
   * @default false
   */
  optional?: boolean | undefined;
  /**
   * What lets this client in: 1 to 4096 printable ASCII characters without a space. A function is called before every
   * attempt.
   * @default none
   */
  credential?: string | ((context: { readonly attempt: number }) => string | Promise<string>) | undefined;
  /** How many messages the server may send that this program is not done with. @default 1000 */
  messages?: number | undefined;
  /** How many bytes those messages may have together. @default 1048576 */
  bytes?: number | undefined;
  /** How many requests of the server may be unanswered; more are refused. @default 64 */
  requests?: number | undefined;
}

/** The options of a class with sessions. It excludes `gate: true` and `reconnect: false`. */
export interface SessionSocketOptions extends SocketOptions {
  /**
   * `'optional'` goes on without a session if the server speaks none.
   * @default true
   */
  session?: true | 'optional' | SocketSessionOptions | undefined;
}

/** The application at the other end was never given a message or a request. Compare the `name`. */
export interface NotHandledError extends Error {
  readonly name: 'NotHandledError';
  /** What was sent. */
  readonly sent: unknown;
}

/** Nobody knows whether the application at the other end has handled a message, or done what was asked. */
export interface UnknownEndError extends Error {
  readonly name: 'UnknownEndError';
  /** What was sent. */
  readonly sent: unknown;
}

/** There is no response to a request. */
export interface RequestError<Failure = unknown> extends Error {
  readonly name: 'RequestError';
  /**
   * `application`: the application at the other end has answered with an error, see `error`. `refused`: it has no
   * handler, has too many unanswered requests, or its handler failed; the `message` says which. `cancelled`: the request
   * was cancelled. `timed-out`: no answer came within `timeout`; the other end may have done what was asked.
   */
  readonly code: 'application' | 'refused' | 'cancelled' | 'timed-out';
  /** What the application at the other end has answered; `undefined` unless the code is `application`. */
  readonly error: Failure | undefined;
}

/** What the promise of a delivery rejects with, beside errors of arguments. */
export type DeliveryError = NotHandledError | UnknownEndError;

export interface SocketRequestOptions {
  /** Aborting it rejects the promise with the signal's reason, and cancels the request at the server. */
  signal?: AbortSignal | undefined;
  /** How long to wait for an answer, which includes the time until there is a connection. Milliseconds. */
  timeout?: number | undefined;
}

/** What a handler of requests gets beside the request. */
export interface SocketRequestContext<Failure> {
  /** Aborts when the server cancels the request, or when the session is over. */
  readonly signal: AbortSignal;
  /** Answers with an error of the application: it throws. */
  fail(error: Failure): never;
}

/** A session is over, and this is what became of the messages that were not acknowledged. */
export interface SocketSessionOverEvent<Message> extends Event {
  /** Why: a phrase for people. */
  readonly reason: string;
  /** How many of them were handled all the same. */
  readonly handled: number;
  /** Messages that the server's application was never given. */
  readonly notHandled: readonly Message[];
  /** Messages of which nobody knows whether they were handled. */
  readonly unknown: readonly Message[];
}

/** The events that the class `Socket` has more, by name. They are those of `steady-socket/session`. */
export interface SessionSocketEventMap<Socket extends AnySocket> extends SocketEventMap<Socket> {
  sessionstart: Event;
  resumed: Event & { readonly replayed: number };
  sessionlost: SocketSessionOverEvent<Sent<Socket>>;
  sessionend: SocketSessionOverEvent<Sent<Socket>>;
  sessionunavailable: Event;
  undelivered: Event & { readonly message: Sent<Socket>; readonly isUnknown: boolean; readonly reason: string };
  pendingchange: Event & { readonly unacknowledgedMessages: number; readonly unacknowledgedBytes: number };
  stalled: Event & { readonly here: boolean };
  discarded: Event & { readonly messages: number };
}

/**
 * What an exported class with sessions has more. A message is handled when the listeners for `message` have returned, or
 * when the next one is asked for. The package's docs/sessions.md says what sessions promise.
 */
export interface ExportedSession<Socket extends AnySocket> extends ExportedSocket<Socket> {
  /**
   * Sends a message like `send`, and resolves when the server's application has handled it. You may leave the promise
   * alone. Aborting the signal ends the wait; the message is on its way.
   *
   * @throws {NotHandledError} if the server's application was never given it (as a rejection, like all of these)
   * @throws {UnknownEndError} if nobody knows
   * @throws the signal's reason, and what `send` throws
   */
  deliver(message: Sent<Socket>, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Sends a fresh credential on the current connection. The next connections ask the function of the option.
   *
   * @throws {TypeError} for one that is not 1 to 4096 printable ASCII characters without a space
   */
  sendCredential(credential: string): void;

  addEventListener<Kind extends keyof SessionSocketEventMap<Socket>>(
    kind: Kind,
    listener: ((event: SessionSocketEventMap<Socket>[Kind]) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Kind extends keyof SessionSocketEventMap<Socket>>(
    kind: Kind,
    listener: ((event: SessionSocketEventMap<Socket>[Kind]) => unknown) | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
