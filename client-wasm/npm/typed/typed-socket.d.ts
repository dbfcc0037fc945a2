/// <reference lib="esnext.disposable" />

import type { Codec } from './codec.js';
import type { MessageError } from './errors.js';
import type { StandardSchema } from './schema.js';
import type {
  DroppedEvent,
  ReconnectingWebSocket,
  ReconnectingWebSocketEventMap,
  ReconnectingWebSocketOptions,
  SendOptions,
  Snapshot,
  UrlSource,
} from '../websocket.js';

/**
 * What happens to a message that does not fit. `drop-oldest`: the oldest waiting messages make room. `drop-newest`: it
 * is dropped. `error`: it is dropped, and the reader gets an `OverflowError` after what waits. `close`: as `error`, and
 * the connection closes for good with code 4008.
 */
export type BufferOverflow = 'drop-oldest' | 'drop-newest' | 'error' | 'close';

/** How many messages may wait to be read; a browser cannot be told to stop receiving. */
export interface BufferOptions {
  /**
   * How many messages.
   * A whole number, 1 to 2^31 - 1.
   * @default 10000
   */
  messages?: number | undefined;
  /**
   * How many bytes, as received (text counted in UTF-16 code units). A single message of any size may wait.
   * Bytes, 1 to 2^31 - 1.
   * @default 67108864
   */
  bytes?: number | undefined;
  /** @default 'drop-oldest' */
  overflow?: BufferOverflow | undefined;
}

/** The options of a `TypedSocket`, except those that define its messages. */
export interface TypedSocketOptions extends ReconnectingWebSocketOptions {
  /**
   * The limits of each iterator and of `readable`, and of messages that wait for a slow codec or schema.
   */
  buffer?: BufferOptions | undefined;
}

/** Options of every method that waits. */
export interface WaitOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal | null | undefined;
}

/** A received message could not be decoded, or the schema refused it. Others are delivered as if it had not come. */
export interface InvalidEvent extends Event {
  /** What was wrong; its `issues` and `data` are behind getters, so that no log quotes them by accident. */
  readonly error: MessageError;
}

/**
 * Messages were not sent (see `DroppedEvent`; they are the values passed to `send`), or were received but not read.
 * `inbox-full`: a reader was too slow; each reader reports its own. `not-decoded`: the codec or the schema was too
 * slow.
 */
export type TypedDroppedEvent<In = unknown, Out = unknown> =
  | DroppedEvent<Out>
  | (Event & {
      readonly reason: 'inbox-full';
      readonly messages: readonly In[];
      readonly omitted: 0;
      readonly bytes: number;
    })
  | (Event & {
      readonly reason: 'not-decoded';
      readonly messages: readonly (string | ArrayBuffer)[];
      readonly omitted: 0;
      readonly bytes: number;
    });

export interface TypedSocketEventMap<In = unknown, Out = unknown>
  extends Omit<ReconnectingWebSocketEventMap, 'message' | 'dropped'> {
  message: MessageEvent<In>;
  invalid: InvalidEvent;
  dropped: TypedDroppedEvent<In, Out>;
}

export interface TypedSnapshot extends Snapshot {
  /** Received messages that could not be decoded, or that the schema refused. */
  readonly invalidMessages: number;
  /** Received messages that were dropped because they were not read or decoded in time; counted for each reader. */
  readonly unreadMessages: number;
  readonly unreadBytes: number;
}

/** Messages in the order of arrival, from the iterator's creation on. */
export interface MessageIterator<In = unknown> extends AsyncIterator<In, undefined> {
  /** What did not fit. */
  readonly dropped: { readonly messages: number; readonly bytes: number };
  /** The next message. If the signal aborts, this call ends, and the message goes to the next call. */
  next(options?: WaitOptions): Promise<IteratorResult<In, undefined>>;
  /** Ends the iterator and frees what waits. Leaving a `for await` loop does so. */
  return(value?: any): Promise<IteratorResult<In, undefined>>;
  [Symbol.asyncIterator](): this;
  /** Same as `return`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The members that it shares with `ReconnectingWebSocket`. */
export interface TypedSocket<Out = unknown, In = unknown>
  extends Pick<
    ReconnectingWebSocket,
    | 'CONNECTING'
    | 'OPEN'
    | 'CLOSING'
    | 'CLOSED'
    | 'url'
    | 'protocol'
    | 'extensions'
    | 'readyState'
    | 'bufferedAmount'
    | 'state'
    | 'close'
    | 'suspend'
    | 'resume'
    | 'reconnect'
    | 'ready'
  > {}

/**
 * A socket that stays connected, and whose messages are values rather than text and bytes: it sends `Out` and receives
 * `In`. Schemas check both, and give them their types.
 *
 * Several readers receive the same object: do not change it.
 */
export class TypedSocket<Out = unknown, In = unknown> extends EventTarget {
  /**
   * Starts to connect, unless the option `startClosed` says otherwise.
   *
   * @param url - as the first argument of `ReconnectingWebSocket`
   * @param options - all options of `ReconnectingWebSocket`, and:
   *
   *   `codec` - converts messages to text or bytes and back; `json` by default.
   *
   *   `incoming` - a schema that checks received messages. Its output is what arrives. If it refuses a message, an
   *   `invalid` event reports it, and it goes nowhere else.
   *
   *   `outgoing` - a schema that checks messages before they are encoded. Its output is what is encoded.
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
  // Without a schema, the codec gives the type.
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
   * Sends like `ReconnectingWebSocket`: now when open, and into the queue otherwise.
   *
   * @returns nothing or, if the codec or the schema returns a promise, a promise that resolves when the message was
   *   sent or is in the queue. Later messages wait for it, at most as many as the option `maxQueuedMessages`.
   * @throws {MessageError} `invalid-message` if the schema `outgoing` refuses it, `encode-failed` if the codec
   *   cannot represent it
   * @throws {DOMException} `QuotaExceededError` when the queue is full and `overflow` is `'reject'`
   * @throws what the codec, the schema or a getter of the message throws, unchanged
   */
  send(message: Out, options?: SendOptions): void | Promise<void>;

  /**
   * Resolves when the socket is open; at once if it already is.
   *
   * @throws {ClosedError} if the socket is closed for good, or closes while this waits
   */
  opened(options?: WaitOptions): Promise<void>;

  /**
   * Waits until there is room to send: practically no time while nothing is queued and the browser holds less than the
   * option `highWaterMark`, and otherwise until nothing is queued and it holds no more than `lowWaterMark`. Messages
   * sent while the connection is down are queued, so this then waits until the connection is back.
   *
   * @throws {ClosedError} if the socket is closed for good, or closes while this waits
   */
  drained(options?: WaitOptions): Promise<void>;

  /**
   * The next message that arrives. Messages that arrive between two calls are not kept for the second: to read all, use
   * `messages()`.
   *
   * @throws {ClosedError} if the socket is closed for good before a message arrives
   */
  next(options?: WaitOptions): Promise<In>;

  /**
   * The messages from now on, kept within limits until they are read. The iterator lasts over reconnects. When the
   * connection closes for good, it ends after what it still holds: normally if this side closed it, or the server did
   * with code 1000, and otherwise with a `ClosedError` whose code is `lost`.
   *
   * @param options - `buffer`: its own limits; `signal`: ends it with the signal's reason, and frees what waits
   */
  messages(options?: WaitOptions & { buffer?: BufferOptions | undefined }): MessageIterator<In>;
  /**
   * Calls a function with each message as it arrives: no event is created and nothing waits, so this is the fastest way
   * to receive. It lasts over reconnects. The function's result is ignored.
   *
   * @param options - `signal`: ends it with the signal's reason
   * @returns a promise that settles as a loop over `messages()` ends: it resolves if this side closes the connection,
   *   or the server does with code 1000, and otherwise rejects with a `ClosedError` whose code is `lost`; or it rejects
   *   with what the function throws, after which the function is not called again
   */
  forEach(handler: (message: In) => void, options?: WaitOptions): Promise<void>;
  /** `messages()`, for `for await`. Every loop gets each message that arrives while it runs. */
  [Symbol.asyncIterator](): MessageIterator<In>;

  /**
   * The messages from the first access on, with the limits and the end of `messages()`. Cancelling it leaves the
   * connection alone. After that, after an overflow, and after an end and `reconnect()`, this is a new stream.
   */
  readonly readable: ReadableStream<In>;
  /**
   * Takes one message at a time, and is ready for the next when there is room (see `drained`). Closing or aborting it
   * closes the connection, which loses answers still in flight: pipe with `preventClose` to avoid that. A message that
   * cannot be sent makes the stream fail. After that, and after an end and `reconnect()`, this is a new stream.
   */
  readonly writable: WritableStream<Out>;

  /** The current counters. */
  snapshot(): TypedSnapshot;

  /** `close()`, for `using`. Where `Symbol.dispose` is missing, the key is `Symbol.for('Symbol.dispose')`. */
  [Symbol.dispose](): void;
  /** `close()`, resolves when closed, for `await using`; likewise `Symbol.for('Symbol.asyncDispose')`. */
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
