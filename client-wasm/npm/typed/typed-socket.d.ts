/// <reference lib="esnext.disposable" />

import type { Codec } from './codec.js';
import type { MessageError } from './errors.js';
import type { StandardSchema } from './schema.js';
import type {
  DroppedEvent, ReconnectingWebSocket, ReconnectingWebSocketEventMap, ReconnectingWebSocketOptions,
  SendOptions, Snapshot, UrlSource,
} from '../websocket.js';

/**
 * What happens to a message for which there is no room. `drop-oldest`: the oldest that wait make room.
 * `drop-newest`: it is dropped. `error`: it is dropped, and who reads gets an `OverflowError` behind what waits.
 * `close`: as `error`, and the connection is closed for good with code 4008.
 */
export type BufferOverflow = 'drop-oldest' | 'drop-newest' | 'error' | 'close';

/** How much may wait to be read, since a browser cannot be told to stop receiving. */
export interface BufferOptions {
  /**
   * Messages.
   * A whole number, 1 to 2^31 - 1.
   * @default 10000
   */
  messages?: number | undefined;
  /**
   * Bytes in them, as they were received (text counted in UTF-16 code units); one message of any size may wait.
   * Bytes, 1 to 2^31 - 1.
   * @default 67108864
   */
  bytes?: number | undefined;
  /** @default 'drop-oldest' */
  overflow?: BufferOverflow | undefined;
}

/** The options of a `TypedSocket` without those that say what its messages are. */
export interface TypedSocketOptions extends ReconnectingWebSocketOptions {
  /**
   * The limits of each iterator and of `readable`, and, while the codec or the schema takes time, of what waits
   * for it.
   */
  buffer?: BufferOptions | undefined;
}

/** Options of what waits. */
export interface WaitOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal | null | undefined;
}

/** A message was received that is none of the program's. The others are handed out as if it had not come. */
export interface InvalidEvent extends Event {
  /** What was wrong with it; its `issues` and `data` are behind getters, so that no log quotes them by accident. */
  readonly error: MessageError;
}

/**
 * Messages were not sent (see `DroppedEvent`; they are the values that `send` was given), or were received and not read.
 * `inbox-full`: one who reads was too slow; each reader tells its own. `not-decoded`: the codec or the schema was
 * too slow.
 */
export type TypedDroppedEvent<In = unknown, Out = unknown> =
  | DroppedEvent<Out>
  | (Event & { readonly reason: 'inbox-full'; readonly messages: readonly In[]; readonly omitted: 0; readonly bytes: number })
  | (Event & { readonly reason: 'not-decoded'; readonly messages: readonly (string | ArrayBuffer)[]; readonly omitted: 0; readonly bytes: number });

export interface TypedSocketEventMap<In = unknown, Out = unknown> extends Omit<ReconnectingWebSocketEventMap, 'message' | 'dropped'> {
  message: MessageEvent<In>;
  invalid: InvalidEvent;
  dropped: TypedDroppedEvent<In, Out>;
}

export interface TypedSnapshot extends Snapshot {
  /** Messages received that could not be decoded, or that the schema refused. */
  readonly invalidMessages: number;
  /** Messages received that were dropped, since they were not read or decoded in time; counted for each reader. */
  readonly unreadMessages: number;
  readonly unreadBytes: number;
}

/** Messages in the order in which they came, from the moment when it was made. */
export interface MessageIterator<In = unknown> extends AsyncIterator<In, undefined> {
  /** What had no room. */
  readonly dropped: { readonly messages: number; readonly bytes: number };
  /** The next message. When the signal aborts, this call is over, and the message goes to the next one. */
  next(options?: WaitOptions): Promise<IteratorResult<In, undefined>>;
  /** Ends it and frees what waits. A `for await` loop that is left does so. */
  return(value?: any): Promise<IteratorResult<In, undefined>>;
  [Symbol.asyncIterator](): this;
  /** As `return`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What it has of a `ReconnectingWebSocket` as it is there. */
export interface TypedSocket<Out = unknown, In = unknown> extends Pick<
  ReconnectingWebSocket,
  | 'CONNECTING' | 'OPEN' | 'CLOSING' | 'CLOSED'
  | 'url' | 'protocol' | 'extensions' | 'readyState' | 'bufferedAmount' | 'state' | 'close' | 'suspend' | 'resume'
  | 'reconnect' | 'ready'
> {}

/**
 * A socket that stays connected, and whose messages are values rather than text and bytes: `Out` are those that it
 * sends, `In` those that it receives. With schemas both are checked, and inferred from them.
 *
 * An object with several readers hands the same message to each: do not change it.
 */
export class TypedSocket<Out = unknown, In = unknown> extends EventTarget {
  /**
   * Starts to connect, unless the option `startClosed` says otherwise.
   *
   * @param url - as the first argument of `ReconnectingWebSocket`
   * @param options - all options of `ReconnectingWebSocket`, and:
   *
   *   `codec` - how messages become text or bytes, `json` unless said otherwise.
   *
   *   `incoming` - a schema by which received messages are checked. What it gives is what arrives. A message that it
   *   refuses is told in an `invalid` event, and goes nowhere else.
   *
   *   `outgoing` - a schema by which messages are checked before they are encoded. What it gives is what is encoded.
   * @throws as the constructor of `ReconnectingWebSocket`, and `TypeError` or `RangeError` for these options
   */
  constructor(
    url: UrlSource,
    options: TypedSocketOptions & {
      codec?: Codec<any, unknown> | undefined;
      incoming: StandardSchema<unknown, In>;
      outgoing: StandardSchema<Out, unknown>;
    },
  );
  // What no schema says, the codec says.
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
    options?: (TypedSocketOptions & {
      codec?: Codec<Out, In> | undefined;
      incoming?: undefined;
      outgoing?: undefined;
    }) | null | undefined,
  );

  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;

  onopen: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['open']) => unknown) | null;
  onmessage: ((this: TypedSocket<Out, In>, event: MessageEvent<In>) => unknown) | null;
  oninvalid: ((this: TypedSocket<Out, In>, event: InvalidEvent) => unknown) | null;
  onerror: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['error']) => unknown) | null;
  onclose: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['close']) => unknown) | null;
  onstatechange: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['statechange']) => unknown) | null;
  onqueuechange: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['queuechange']) => unknown) | null;
  ondropped: ((this: TypedSocket<Out, In>, event: TypedDroppedEvent<In, Out>) => unknown) | null;
  ondiagnosis: ((this: TypedSocket<Out, In>, event: TypedSocketEventMap<In>['diagnosis']) => unknown) | null;

  /**
   * Sends as `ReconnectingWebSocket` does: now when open, and into the queue otherwise.
   *
   * @returns nothing, or, where the codec or the schema takes time, a promise that is kept when the message was sent
   *   or is in the queue. Those sent after it wait for it, at most as many as the option `maxQueuedMessages`.
   * @throws {MessageError} `invalid-message` if the schema `outgoing` refuses it, `encode-failed` if the codec has no
   *   form for it
   * @throws {DOMException} `QuotaExceededError` when the queue is full and `overflow` is `'reject'`
   * @throws what the codec, the schema or a getter of the message throws, unchanged
   */
  send(message: Out, options?: SendOptions): void | Promise<void>;

  /**
   * Waits until it is open; at once if it is.
   *
   * @throws {ClosedError} when it is closed for good, or is closed while this waits
   */
  opened(options?: WaitOptions): Promise<void>;

  /**
   * Waits until there is room to send: practically at once while nothing is queued and the browser holds less than
   * the option `highWaterMark`, and otherwise until nothing is queued and it holds no more than `lowWaterMark`. What is
   * sent while the connection is down is queued, so that behind it this waits until the connection is back.
   *
   * @throws {ClosedError} when it is closed for good, or is closed while this waits
   */
  drained(options?: WaitOptions): Promise<void>;

  /**
   * The next message that arrives. What arrives between two calls is not kept for the second: to read on, take
   * `messages()`.
   *
   * @throws {ClosedError} when it is closed for good before a message arrives
   */
  next(options?: WaitOptions): Promise<In>;

  /**
   * The messages from now on, kept within limits until they are read. It lasts over reconnects. When it is closed for
   * good, the iterator ends behind what it still holds: as loops end if it was closed from this side, or by the server
   * with code 1000, and otherwise with a `ClosedError` whose code is `lost`.
   *
   * @param options - `buffer`: limits of its own; `signal`: ends it with the signal's reason, and frees what waits
   */
  messages(options?: WaitOptions & { buffer?: BufferOptions | undefined }): MessageIterator<In>;
  /**
   * Calls a function with each message as it arrives, at once: no event is made and nothing waits, so this is the
   * fastest way to receive. It lasts over reconnects. What the function returns is not looked at.
   *
   * @param options - `signal`: ends it with the signal's reason
   * @returns a promise that ends as a loop over `messages()` would: kept if the connection is closed from this side,
   *   or by the server with code 1000, and otherwise rejected with a `ClosedError` whose code is `lost`; or rejected
   *   with what the function throws, after which it is not called again
   */
  forEach(handler: (message: In) => void, options?: WaitOptions): Promise<void>;
  /** `messages()`, for `for await`. Every loop has each message that arrives while it runs. */
  [Symbol.asyncIterator](): MessageIterator<In>;

  /**
   * The messages from the first time that this is read, with the limits and the end of `messages()`. Cancelling it
   * leaves the connection alone. Then, after an overflow, and after an end and `reconnect()`, it is another stream.
   */
  readonly readable: ReadableStream<In>;
  /**
   * Takes one message at a time, and is ready for the next when there is room, see `drained`. Closing or aborting it
   * closes the connection, which loses answers that are under way: pipe with `preventClose` to keep it. A message
   * that cannot be sent makes it fail, as streams do. Then, and after an end and `reconnect()`, it is another stream.
   */
  readonly writable: WritableStream<Out>;

  /** The counters as they are now. */
  snapshot(): TypedSnapshot;

  /** `close()`, for `using`. Where there is no `Symbol.dispose`, it is `Symbol.for('Symbol.dispose')`. */
  [Symbol.dispose](): void;
  /** `close()`, kept when it is closed, for `await using`; likewise `Symbol.for('Symbol.asyncDispose')`. */
  [Symbol.asyncDispose](): Promise<void>;

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
