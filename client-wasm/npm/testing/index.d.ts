import { type Codec } from '../typed/codec.js';

/** What a codec for anything, such as `json`, makes of a message: a test may look into it. */
export type Known<T> = unknown extends T ? any : T;

/** What can be sent without a codec. */
export type RawMessage = string | ArrayBuffer | ArrayBufferView | Blob;

/**
 * What an endpoint does with a handshake: `open` answers it, `stall` leaves it unanswered until the test calls
 * {@link FakeConnection.open} or {@link FakeConnection.refuse}, `refuse` fails it. A function is given the connection
 * and does one of these, now or later.
 */
export type Handshake<ToClient = any, FromClient = any> =
  | 'open' | 'stall' | 'refuse'
  | ((connection: FakeConnection<ToClient, FromClient>) => void);

/**
 * What an endpoint does when a socket closes: `answer` ends the connection with the socket's code, `stall` leaves it
 * as it is until {@link FakeConnection.finishClose}. A function is given the connection and calls that, now or later.
 */
export type Closing<ToClient = any, FromClient = any> =
  | 'answer' | 'stall'
  | ((connection: FakeConnection<ToClient, FromClient>) => void);

export interface FakeEndpointOptions<ToClient = any, FromClient = any> {
  /** @default 'open' */
  handshake?: Handshake<ToClient, FromClient> | undefined;
  /** @default 'answer' */
  closing?: Closing<ToClient, FromClient> | undefined;
  /** Called with every message that arrives, after the code that is running. An echo is `(message, connection) => connection.send(message)`. */
  onmessage?: ((message: Known<FromClient>, connection: FakeConnection<ToClient, FromClient>) => void) | null | undefined;
  /**
   * The sub-protocols that it knows: the first that the socket offers of these is selected, and where none is, the
   * handshake fails as in a browser. By default, or with `null`, the first that is offered.
   */
  protocols?: string[] | null | undefined;
  /**
   * Makes values of what arrives and the other way round, as that of a `TypedSocket` does: `json` of `steady-socket`,
   * `msgpack` of `steady-socket/msgpack`, or your own, if its functions give no promises. By default messages are text
   * or buffers.
   */
  codec?: Codec<ToClient, FromClient> | null | undefined;
}

export interface FakeServerOptions<ToClient = any, FromClient = any> extends FakeEndpointOptions<ToClient, FromClient> {
  /**
   * Milliseconds after which the socket itself ends a close that nobody answers, with code 1006: 60,000 as in
   * Chromium by default; Firefox waits 20,000. `Infinity`: never.
   */
  closeLimit?: number | undefined;
}

export interface WaitOptions {
  /**
   * Milliseconds of real time, however far a fake clock is advanced, or `Infinity`. Where fake timers were
   * installed before the kit was imported, there is no limit.
   * @default 1000
   */
  timeout?: number | undefined;
}

/** The connections to one URL, or to all that have no endpoint of their own. Its options can be changed at any time. */
export class FakeEndpoint<ToClient = any, FromClient = any> {
  handshake: Handshake<ToClient, FromClient>;
  closing: Closing<ToClient, FromClient>;
  onmessage: ((message: Known<FromClient>, connection: FakeConnection<ToClient, FromClient>) => void) | null;
  protocols: string[] | null;
  codec: Codec<ToClient, FromClient> | null;

  /** All that were ever made, whatever became of them, the first one first. */
  readonly connections: FakeConnection<ToClient, FromClient>[];
  /** The connection that was made last. */
  readonly last: FakeConnection<ToClient, FromClient> | undefined;
  /**
   * The next one that this has not yet given: the first call gives the first connection, even if it is there already.
   * It comes when its handshake has been treated as {@link handshake} says: open, or over, by default; still connecting
   * with `stall`, and with a function that leaves it so.
   */
  nextConnection(options?: WaitOptions): Promise<FakeConnection<ToClient, FromClient>>;
}

/**
 * A server that is not there, and the `WebSocket` class whose sockets reach it. Nothing goes over a network, and time
 * passes only on the clock that the test has.
 *
 * What the test does (open, send, cut, close) takes effect before the call returns, events included. What a socket does
 * is answered after the running code: at the latest when the test awaits something, or when a fake clock is advanced.
 *
 * ```js
 * const server = FakeServer.install();
 * const app = startApp();
 * const connection = await server.nextConnection();
 * connection.cut();
 * // … the app says that it reconnects
 * app.stop();
 * server.assertIdle();
 * server.restore();
 * ```
 */
export class FakeServer<ToClient = any, FromClient = any> extends FakeEndpoint<ToClient, FromClient> {
  constructor(options?: FakeServerOptions<ToClient, FromClient>);

  /** A new one that is in the place of the global `WebSocket` until {@link restore}. */
  static install<ToClient = any, FromClient = any>(options?: FakeServerOptions<ToClient, FromClient>): FakeServer<ToClient, FromClient>;

  /**
   * The class to give to the option `WebSocket`, to a program that takes one, or to nobody where it is installed. It
   * has the interface of the standard and behaves as a browser's does, save that its events are not trusted.
   */
  readonly WebSocket: typeof globalThis.WebSocket;

  /** Puts {@link WebSocket} in the place of the global one, and returns this. */
  install(): this;

  /**
   * Another endpoint of this server, for its own URL.
   *
   * @param url - a path (`/chat`) or an absolute URL (of either with any query, unless it has one), a pattern of URLs,
   *   or a function that says whether a URL is meant; of several that fit, the one that was made last is taken
   */
  endpoint<To = any, From = any>(
    url: string | URL | RegExp | ((url: URL) => boolean),
    options?: FakeEndpointOptions<To, From>,
  ): FakeEndpoint<To, From>;

  /** Settles when everything that sockets have set going has happened, without the clock being advanced. */
  settled(): Promise<void>;

  /**
   * Throws an error that lists what is left, if anything is: sockets that nobody has closed, expectations that are
   * still waited for, and timers on the fake clock, as those of a program that tries again for ever. (The timers that
   * node:test mocks cannot be counted.)
   *
   * @param options.timers - `false` leaves timers out, for a program that has others
   */
  assertIdle(options?: { timers?: boolean | undefined }): void;

  /**
   * Puts the global `WebSocket` back, and ends all connections without an event. What is still waited for rejects.
   * Whatever the kit has put in place can be restored in any order.
   */
  restore(): void;
  [Symbol.dispose](): void;
}

/** What is left of a connection or what the socket called `close` with. */
export interface CloseCall {
  readonly code: number | undefined;
  readonly reason: string;
}

/** One connection, or the attempt to make one, as the server sees it. */
export interface FakeConnection<ToClient = any, FromClient = any> {
  /** Absolute, as the socket has it. */
  readonly url: string;
  /** The sub-protocols that the socket offers. */
  readonly offeredProtocols: string[];
  /** The sub-protocol that was selected. */
  readonly protocol: string;
  /** `closing`: one end has closed, and the other has not answered. */
  readonly state: 'connecting' | 'open' | 'closing' | 'closed';
  /** The other end: the object that the program, or the library within it, made. */
  readonly socket: WebSocket;
  /** Bytes that are still with the socket. */
  readonly bufferedAmount: number;
  /** Every message that has arrived, decoded. Pings of a heartbeat are among them. */
  readonly received: Known<FromClient>[];
  /** What the socket called `close` with, if it has and that has arrived. */
  readonly closedWith: CloseCall | null;
  /** What its `close` event said, if it is over. */
  readonly end: { readonly code: number; readonly reason: string; readonly wasClean: boolean } | null;

  /**
   * Answers the handshake.
   *
   * @param answer.protocol - the sub-protocol; as the endpoint has it by default. One that was not offered, or none
   *   where some were, fails the handshake as in a browser
   * @param answer.extensions - what the socket shows as its extensions: empty, or permessage-deflate with parameters
   */
  open(answer?: { protocol?: string | undefined; extensions?: string | undefined }): this;
  /** Fails the handshake: `error`, then `close` with 1006, whatever the server's status was. */
  refuse(): void;

  /** Sends a message. A socket that is closing does not see it. */
  send(message: Known<ToClient>): void;
  /** The next message that neither this nor {@link expect} has taken. */
  receive(options?: WaitOptions): Promise<Known<FromClient>>;
  /**
   * Waits for the next message, and rejects if it is another one, cannot be decoded, or the connection ends.
   *
   * @param expected - a value of the same structure (but no Blob: take that by {@link receive}, and read it), a pattern
   *   of text, or a function that says whether it is right; what it throws is what this rejects with
   */
  expect(expected: (message: Known<FromClient>) => boolean, options?: WaitOptions): Promise<Known<FromClient>>;
  expect(expected: Known<FromClient> | RegExp, options?: WaitOptions): Promise<Known<FromClient>>;
  /** Waits until the socket closes, and rejects if it does so with another code or reason, or ends otherwise. */
  expectClose(code?: number, reason?: string, options?: WaitOptions): Promise<void>;

  /**
   * The server closes: a clean `close` event with this code, 1005 if none is given.
   *
   * @param code - 1000 to 1014 save 1004 to 1006, or 3000 to 4999
   * @param reason - at most 123 bytes of UTF-8
   * @param options.slow - the Close arrives, and the end only with {@link finishClose}: until then the socket is closing
   */
  close(code?: number, reason?: string, options?: { slow?: boolean | undefined }): void;
  /**
   * The last step of a close that the socket began (where the endpoint's `closing` is not to answer) or that was slow.
   *
   * @param code - in place of the socket's own, as of {@link close}; where the close is the server's, there is none
   * @param reason - in place of the socket's own
   */
  finishClose(code?: number, reason?: string): void;
  /**
   * The connection is gone without a Close: `close` with 1006.
   *
   * @param options.error - whether there is an `error` event before it, as when the network reports a failure; while
   *   connecting there always is
   */
  cut(options?: { error?: boolean | undefined }): void;
  /**
   * From now on nothing passes, in either direction, and the socket does not know: it looks open, what it sends stays
   * with it, and a close of it is not answered before {@link FakeServerOptions.closeLimit}.
   */
  halfOpen(): void;
  /** From now on the server takes nothing: what the socket sends makes its `bufferedAmount` grow. */
  hold(): void;
  /** The server takes so many bytes of what is held, by default all; it still holds what comes later. */
  drain(bytes?: number): void;
  /** The end of {@link halfOpen} and {@link hold}: what waited arrives, in both directions. */
  resume(): void;
}

export interface FakeTimeOptions {
  /** What the own clock shows at first; the time of day by default. */
  now?: number | Date | undefined;
  /**
   * Advances fake timers that the kit cannot find, by so many milliseconds: with node:test
   * `(ms) => mock.timers.tick(ms)`.
   */
  tick?: ((milliseconds: number) => void) | undefined;
}

/**
 * Time by hand: on the fake timers of vitest or jest if they are installed, on those of `tick`, or else on a clock of
 * its own, which then takes the place of `setTimeout`, `setInterval`, `Date` and `performance.now` until
 * {@link FakeTime.restore}. Sockets have to be made afterwards.
 */
export function fakeTime(options?: FakeTimeOptions): FakeTime;

export interface FakeTime {
  /** Lets time pass; what is due happens in its order, and promises settle in between. */
  advance(milliseconds: number): Promise<void>;
  /** The machine sleeps: the time of day goes on, and no timer does. Not with `tick`. */
  sleep(milliseconds: number): void;
  /** How many timers are running; `undefined` if that cannot be told. */
  readonly pending: number | undefined;
  /** Takes the own clock away; the fake timers of others stay. */
  restore(): void;
  [Symbol.dispose](): void;
}

export interface Restorable {
  restore(): void;
  [Symbol.dispose](): void;
}

/**
 * What `Math.random` gives until it is restored: waits between attempts are drawn from it, 0 being the shortest and 1 the
 * longest. Of several numbers, one after the other, and then the last.
 */
export function setChance(chance: number | number[]): Restorable;

/**
 * The page that a program is told of: it is online and visible when this is made. In Node, which has none, it is
 * made, for as long as this is in place.
 */
export class FakePage {
  constructor();
  /** `navigator.onLine` is false, and the page is told. */
  offline(): void;
  online(): void;
  /** The user turns to another tab. */
  hide(): void;
  show(): void;
  /** The browser freezes the hidden page; the test then does not advance its time. */
  freeze(): void;
  resume(): void;
  /** The page goes into the back/forward cache. */
  leave(): void;
  /** It comes back from there. */
  comeBack(): void;
  restore(): void;
  [Symbol.dispose](): void;
}
