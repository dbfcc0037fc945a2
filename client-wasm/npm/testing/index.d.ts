import { type Codec } from '../typed/codec.js';

/** What a codec without types, such as `json`, makes of a message: `any`, so that a test can look into it. */
export type Known<T> = unknown extends T ? any : T;

/** What can be sent without a codec. */
export type RawMessage = string | ArrayBuffer | ArrayBufferView | Blob;

/**
 * What an endpoint does with a handshake: `open` accepts it, `stall` leaves it unanswered until the test calls {@link
 * FakeConnection.open} or {@link FakeConnection.refuse}, `refuse` fails it. A function receives the connection and does
 * one of these, now or later.
 */
export type Handshake<ToClient = any, FromClient = any> =
  | 'open'
  | 'stall'
  | 'refuse'
  | ((connection: FakeConnection<ToClient, FromClient>) => void);

/**
 * What an endpoint does when a socket closes: `answer` ends the connection with the socket's code, `stall` leaves it as
 * it is until {@link FakeConnection.finishClose}. A function receives the connection and calls that, now or later.
 */
export type Closing<ToClient = any, FromClient = any> =
  | 'answer'
  | 'stall'
  | ((connection: FakeConnection<ToClient, FromClient>) => void);

export interface FakeEndpointOptions<ToClient = any, FromClient = any> {
  /** @default 'open' */
  handshake?: Handshake<ToClient, FromClient> | undefined;
  /** @default 'answer' */
  closing?: Closing<ToClient, FromClient> | undefined;
  /**
   * Called with every message that arrives, after the running code. An echo is `(message, connection) =>
   * connection.send(message)`.
   */
  onmessage?:
    | ((message: Known<FromClient>, connection: FakeConnection<ToClient, FromClient>) => void)
    | null
    | undefined;
  /**
   * The sub-protocols that the endpoint knows. It selects the first of them that the socket offers; if there is none,
   * the handshake fails as in a browser. By default, or with `null`, it selects the first one offered.
   */
  protocols?: string[] | null | undefined;
  /**
   * Converts messages to values and back, like that of a `TypedSocket`: `json` of `steady-socket`, `msgpack` of
   * `steady-socket/msgpack`, or your own, if its functions return no promises. By default messages are text or buffers.
   */
  codec?: Codec<ToClient, FromClient> | null | undefined;
}

export interface FakeServerOptions<ToClient = any, FromClient = any> extends FakeEndpointOptions<ToClient, FromClient> {
  /**
   * Milliseconds after which the socket itself ends an unanswered close, with code 1006: by default 60,000 as in
   * Chromium; Firefox waits 20,000. `Infinity`: never.
   */
  closeLimit?: number | undefined;
}

export interface WaitOptions {
  /**
   * Milliseconds of real time, however far a fake clock is advanced, or `Infinity`. If fake timers were installed
   * before the kit was imported, there is no limit.
   * @default 1000
   */
  timeout?: number | undefined;
}

/** The connections to one URL, or to all URLs without their own endpoint. You may change its options at any time. */
export class FakeEndpoint<ToClient = any, FromClient = any> {
  handshake: Handshake<ToClient, FromClient>;
  closing: Closing<ToClient, FromClient>;
  onmessage: ((message: Known<FromClient>, connection: FakeConnection<ToClient, FromClient>) => void) | null;
  protocols: string[] | null;
  codec: Codec<ToClient, FromClient> | null;

  /** All connections ever made, whatever became of them, oldest first. */
  readonly connections: FakeConnection<ToClient, FromClient>[];
  /** The newest connection. */
  readonly last: FakeConnection<ToClient, FromClient> | undefined;
  /**
   * The next connection that this has not yet returned: the first call returns the first connection, even if it already
   * exists. It resolves when {@link handshake} has been applied: by then the connection is open, or over; or still
   * connecting, with `stall` and with a function that leaves it so.
   */
  nextConnection(options?: WaitOptions): Promise<FakeConnection<ToClient, FromClient>>;
}

/**
 * A fake server, and the `WebSocket` class whose sockets reach it. Nothing goes over a network, and time passes only on
 * the test's clock.
 *
 * What the test does (open, send, cut, close) takes effect before the call returns, events included. What a socket does
 * takes effect after the running code: at the latest when the test awaits something, or when a fake clock advances.
 *
 * ```js
 * const server = FakeServer.install();
 * const app = startApp();
 * const connection = await server.nextConnection();
 * connection.cut();
 * // … the app shows that it reconnects
 * app.stop();
 * server.assertIdle();
 * server.restore();
 * ```
 */
export class FakeServer<ToClient = any, FromClient = any> extends FakeEndpoint<ToClient, FromClient> {
  constructor(options?: FakeServerOptions<ToClient, FromClient>);

  /** Creates a server that replaces the global `WebSocket` until {@link restore}. */
  static install<ToClient = any, FromClient = any>(
    options?: FakeServerOptions<ToClient, FromClient>,
  ): FakeServer<ToClient, FromClient>;

  /**
   * The class to pass to the option `WebSocket`, or to a program that takes one; not needed after `install`. It has the
   * standard interface and behaves like a browser's, except that its events are not trusted.
   */
  readonly WebSocket: typeof globalThis.WebSocket;

  /** Replaces the global `WebSocket` with {@link WebSocket}, and returns this. */
  install(): this;

  /**
   * Another endpoint of this server, with its own URL.
   *
   * @param url - a path (`/chat`) or an absolute URL (either matches any query, unless it has one), a pattern of URLs,
   *   or a function that says whether a URL matches; if several endpoints match, the newest is used
   */
  endpoint<To = any, From = any>(
    url: string | URL | RegExp | ((url: URL) => boolean),
    options?: FakeEndpointOptions<To, From>,
  ): FakeEndpoint<To, From>;

  /** Resolves when everything that sockets have started has happened, without advancing the clock. */
  settled(): Promise<void>;

  /**
   * Throws an error that lists what is left, if anything: sockets that nobody has closed, pending expectations, and
   * timers on the fake clock, such as those of a program that keeps retrying. (node:test's mock timers cannot be
   * counted.)
   *
   * @param options.timers - `false` ignores timers, for a program that has its own
   */
  assertIdle(options?: { timers?: boolean | undefined }): void;

  /**
   * Restores the global `WebSocket`, and ends all connections without an event. Pending promises reject. Everything
   * that the kit has replaced can be restored in any order.
   */
  restore(): void;
  [Symbol.dispose](): void;
}

/** The arguments of the socket's call of `close`. */
export interface CloseCall {
  readonly code: number | undefined;
  readonly reason: string;
}

/** A connection, or the attempt to make one, as the server sees it. */
export interface FakeConnection<ToClient = any, FromClient = any> {
  /** Absolute, as the socket has it. */
  readonly url: string;
  /** The sub-protocols that the socket offers. */
  readonly offeredProtocols: string[];
  /** The sub-protocol that was selected. */
  readonly protocol: string;
  /** `closing`: one end has closed, and the other has not yet answered. */
  readonly state: 'connecting' | 'open' | 'closing' | 'closed';
  /** The other end: the object that the program, or the library within it, made. */
  readonly socket: WebSocket;
  /** Bytes that the socket has not yet sent. */
  readonly bufferedAmount: number;
  /** Every message that has arrived, decoded, including heartbeat pings. */
  readonly received: Known<FromClient>[];
  /**
   * The arguments of the socket's `close`, once that has arrived. Nothing arrives from a socket that closes while it
   * connects; the attempt fails by itself then.
   */
  readonly closedWith: CloseCall | null;
  /** Its `close` event, if it is over. */
  readonly end: { readonly code: number; readonly reason: string; readonly wasClean: boolean } | null;

  /**
   * Accepts the handshake.
   *
   * @param answer.protocol - the sub-protocol; the endpoint's by default. One that was not offered, or none although
   *   some were, fails the handshake as in a browser
   * @param answer.extensions - what the socket shows as its extensions: empty, or permessage-deflate with parameters
   */
  open(answer?: { protocol?: string | undefined; extensions?: string | undefined }): this;
  /** Fails the handshake: `error`, then `close` with 1006, whatever the server's status was. */
  refuse(): void;

  /** Sends a message. A closing socket does not receive it. */
  send(message: Known<ToClient>): void;
  /** The next message that neither this nor {@link expect} has returned. */
  receive(options?: WaitOptions): Promise<Known<FromClient>>;
  /**
   * Waits for the next message, and rejects if it is a different one, cannot be decoded, or the connection ends.
   *
   * @param expected - a value of the same structure (but not a Blob: use {@link receive}, and read it), a pattern of
   *   text, or a function that says whether the message is right; if it throws, this rejects with that
   */
  expect(expected: (message: Known<FromClient>) => boolean, options?: WaitOptions): Promise<Known<FromClient>>;
  expect(expected: Known<FromClient> | RegExp, options?: WaitOptions): Promise<Known<FromClient>>;
  /** Waits until the socket closes, and rejects if it uses another code or reason, or ends in another way. */
  expectClose(code?: number, reason?: string, options?: WaitOptions): Promise<void>;

  /**
   * Closes from the server: a clean `close` event with this code, 1005 if omitted.
   *
   * @param code - 1000 to 1014 except 1004 to 1006, or 3000 to 4999
   * @param reason - at most 123 bytes of UTF-8
   * @param options.slow - the Close arrives, but the connection ends only with {@link finishClose}; until then the
   *   socket is closing
   */
  close(code?: number, reason?: string, options?: { slow?: boolean | undefined }): void;
  /**
   * The last step of a close that the socket began (unless the endpoint's `closing` is `answer`), or that was slow.
   *
   * @param code - replaces the socket's own, as in {@link close}; not allowed if the server closed
   * @param reason - replaces the socket's own
   */
  finishClose(code?: number, reason?: string): void;
  /**
   * Ends the connection without a Close: `close` with 1006.
   *
   * @param options.error - whether an `error` event comes first, as when the network reports a failure; while
   *   connecting it always does
   */
  cut(options?: { error?: boolean | undefined }): void;
  /**
   * From now on nothing passes, in either direction, and the socket does not know: it looks open, its messages stay
   * with it, and its close is not answered before {@link FakeServerOptions.closeLimit}.
   */
  halfOpen(): void;
  /** From now on the server reads nothing: what the socket sends makes its `bufferedAmount` grow. */
  hold(): void;
  /** The server reads this many of the held bytes, by default all; it still holds later ones. */
  drain(bytes?: number): void;
  /** Ends {@link halfOpen} and {@link hold}: what waited arrives, in both directions. */
  resume(): void;
}

export interface SessionServerOptions<ToClient = any, FromClient = any> {
  /**
   * Converts messages to values and back, as the option of {@link FakeServer}.
   * @default the codec of the endpoint
   */
  codec?: Codec<ToClient, FromClient> | null | undefined;
  /**
   * How long a session outlives its connection, in milliseconds.
   * @default 120000
   */
  window?: number | undefined;
  /**
   * How many messages the client may send that are not handled.
   * @default 1000
   */
  messages?: number | undefined;
  /**
   * How many bytes those messages may have together.
   * @default 1048576
   */
  bytes?: number | undefined;
  /**
   * How many bytes one message may have.
   * @default 1048576
   */
  messageBytes?: number | undefined;
  /**
   * How many requests of the client may be unanswered.
   * @default 64
   */
  requests?: number | undefined;
}

/** Why a session is lost. */
export type LostReason = 'expired' | 'unknown' | 'full' | 'refused' | 'out-of-step';

/** How a message of the server's ended: whether the client's application has handled it. */
export interface DeliveryEnd {
  /** What {@link SessionServer.send} returned. */
  readonly delivery: number;
  readonly end: 'handled' | 'not-handled' | 'unknown';
  /** Why it was not handled: a phrase for people. */
  readonly reason: string | null;
}

/** How a request of the server's ended. */
export interface AskEnd<FromClient = any> {
  /** What {@link SessionServer.ask} returned. */
  readonly ask: number;
  readonly end: 'response' | 'error' | 'refused' | 'cancelled' | 'timed-out' | 'not-handled' | 'unknown';
  /** What the client's handler has returned. */
  readonly response?: Known<FromClient>;
  /** The value of the client's `ApplicationError`. */
  readonly error?: Known<FromClient>;
  /** Why there is neither; of a refusal, `handler`, `limit`, `cancelled` or `failed`. */
  readonly reason: string | null;
}

/** A request of the client's. */
export interface ClientRequest<FromClient = any> {
  /** Identifies it, for {@link SessionServer.answer}. */
  readonly token: number;
  readonly request: Known<FromClient>;
}

/**
 * The server's end of sessions (`steady-socket/session`): the real half of the protocol, with an application that the
 * test plays. It answers hellos, keeps what it sends until the client has acknowledged it, and repeats it after a
 * reconnect. Messages of the client are recorded and handled at once, unless the test {@link hold}s them.
 *
 * Handshakes, cuts and half-open connections are the {@link FakeServer}'s affair. Connections on which the client has
 * asked for no session, and their messages, are left to it, too.
 *
 * ```js
 * const server = FakeServer.install();
 * const sessions = SessionServer.start(server, { codec: json });
 * const app = startApp(); // with the option `session`
 * await sessions.expect({ text: 'Hello' });
 * server.last.cut();
 * sessions.send({ text: 'Sent while it was away' });
 * // … time passes, the session resumes, and the app has the message
 * ```
 */
export class SessionServer<ToClient = any, FromClient = any> {
  private constructor();
  /**
   * Plays the server's end for a server or for one of its endpoints, until that is restored. It keeps one session.
   *
   * @throws {TypeError} for another value, and for an unknown or invalid option
   */
  static start<ToClient = any, FromClient = any>(
    endpoint: FakeEndpoint<any, any>,
    options?: SessionServerOptions<ToClient, FromClient>,
  ): SessionServer<ToClient, FromClient>;

  /** Every message that the server's application was given, in order. */
  readonly received: Known<FromClient>[];
  /** The next message that neither this nor {@link expect} has returned. */
  receive(options?: WaitOptions): Promise<Known<FromClient>>;
  /** Waits for the next message, and rejects if it is a different one; as {@link FakeConnection.expect}. */
  expect(expected: (message: Known<FromClient>) => boolean, options?: WaitOptions): Promise<Known<FromClient>>;
  expect(expected: Known<FromClient> | RegExp, options?: WaitOptions): Promise<Known<FromClient>>;
  /** How every message ended that {@link send} has sent, as far as that is known. */
  readonly ends: DeliveryEnd[];
  /** How every request ended that {@link ask} has made. */
  readonly answers: AskEnd<FromClient>[];
  /** The client's requests that are not answered. */
  readonly requests: ClientRequest<FromClient>[];
  /** The client's next request that this has not returned. */
  nextRequest(options?: WaitOptions): Promise<ClientRequest<FromClient>>;
  /** The credential of every hello, in order; `null` for one without. */
  readonly credentials: (string | null)[];
  /** Whether there is a session: a client has said hello, and it has neither ended nor been forgotten. */
  readonly hasSession: boolean;
  /** How the session ended at this end, as a phrase for people, or `null`. */
  readonly ended: string | null;

  /**
   * Sends a message, and returns what identifies it in {@link ends}. While the client is away, it waits.
   *
   * @throws {Error} if there is no session, or it does not accept the message
   */
  send(message: Known<ToClient>): number;
  /**
   * Asks the client, and returns what identifies the request in {@link answers}.
   *
   * @throws {Error} as {@link send}
   */
  ask(request: Known<ToClient>): number;
  /** Cancels such a request. */
  cancel(ask: number): void;
  /** Answers a request of the client's: with a response, with an error of the application, or not. */
  answer(
    token: number,
    answer:
      | { response: Known<ToClient> }
      | { error: Known<ToClient> }
      | { refused: 'handler' | 'limit' | 'cancelled' | 'failed' },
  ): void;
  /**
   * Whether the application keeps messages from now on without having handled them. What it keeps is not acknowledged, and
   * the client's `deliver` waits.
   */
  hold(holds: boolean): void;
  /** Whether hellos are refused from now on: the client is not let in, and gives its session up. */
  refuse(refuses: boolean): void;
  /**
   * Refuses hellos with another close code. After most codes the client tries again: 1013 has no room, for example, and
   * 3475 says that the session's store does not answer.
   */
  refuseWith(code: number): void;
  /** The server is restarted without its memory. Its connections are cut. */
  forget(): void;
  /** The server's application ends the session. */
  end(): void;
  /** The session, if there is one, is lost because too much waits for the client: close code 3476. */
  lose(): void;
  /**
   * The session is lost, and the client learns why when it comes back. `full` closes the connection with 3476, and
   * `out-of-step` with 3470; the others cut it. `unknown` is {@link forget}.
   *
   * @throws {Error} if there is no session, and for `out-of-step` while the client is not connected
   */
  loseBecause(reason: LostReason): void;
}

export interface FakeTimeOptions {
  /** What the kit's own clock shows at first; the time of day by default. */
  now?: number | Date | undefined;
  /**
   * Advances fake timers that the kit cannot detect, by the given milliseconds: with node:test
   * `(ms) => mock.timers.tick(ms)`.
   */
  tick?: ((milliseconds: number) => void) | undefined;
}

/**
 * A clock that the test controls: the fake timers of vitest or jest if they are installed, those of `tick`, or else the
 * kit's own clock, which replaces `setTimeout`, `setInterval`, `Date` and `performance.now` until {@link
 * FakeTime.restore}. Make sockets afterwards.
 */
export function fakeTime(options?: FakeTimeOptions): FakeTime;

export interface FakeTime {
  /** Lets time pass; what falls due happens in order, and promises settle in between. */
  advance(milliseconds: number): Promise<void>;
  /** The machine sleeps: the time of day advances, but no timer does. Not with `tick`. */
  sleep(milliseconds: number): void;
  /** How many timers are running; `undefined` if unknown. */
  readonly pending: number | undefined;
  /** Removes the kit's own clock; other fake timers stay. */
  restore(): void;
  [Symbol.dispose](): void;
}

export interface Restorable {
  restore(): void;
  [Symbol.dispose](): void;
}

/**
 * Sets what `Math.random` returns until restored. Waits between attempts are drawn from it: 0 is the shortest and 1 the
 * longest. Several numbers are returned one after the other; the last one repeats.
 */
export function setChance(chance: number | number[]): Restorable;

/**
 * A fake page for the program's environment: online and visible at first. In Node, which has no page, it is created for
 * as long as this is installed.
 */
export class FakePage {
  constructor();
  /** `navigator.onLine` becomes false, and the page gets the event. */
  offline(): void;
  online(): void;
  /** The user switches to another tab. */
  hide(): void;
  show(): void;
  /** The browser freezes the hidden page; do not advance its time then. */
  freeze(): void;
  resume(): void;
  /** The page goes into the back/forward cache. */
  leave(): void;
  /** The page returns from the back/forward cache. */
  comeBack(): void;
  restore(): void;
  [Symbol.dispose](): void;
}
