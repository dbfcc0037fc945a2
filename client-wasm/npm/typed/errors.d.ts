import type { SchemaIssue } from './schema.js';
import type { ReconnectingCloseEvent } from '../websocket.js';

/**
 * Any error of a `TypedSocket`. Its `message`, and every property that a log would print, quote no message, no URL and
 * nothing that the server said.
 */
export class TypedSocketError extends Error {
  readonly code:
    | 'decode-failed'
    | 'encode-failed'
    | 'invalid-message'
    | 'schema-failed'
    | 'inbox-full'
    | 'closed'
    | 'lost';
  protected constructor();
}

/** A message that could not be decoded or encoded, or that a schema refused. */
export class MessageError extends TypedSocketError {
  /**
   * `decode-failed`: the codec could not decode what was received. `invalid-message`: the schema refused the message.
   * `schema-failed`: the schema threw instead of returning a result. `encode-failed`: the codec cannot represent the
   * message to be sent.
   */
  readonly code: 'decode-failed' | 'encode-failed' | 'invalid-message' | 'schema-failed';
  /** The schema's issues; empty unless the code is `invalid-message`. An issue may quote the message. */
  get issues(): readonly SchemaIssue[];
  /** What was received, as passed to the codec; `undefined` for a message to be sent. */
  get data(): string | ArrayBuffer | undefined;
  /** What the codec or the schema threw, if anything. It may quote the message. */
  get thrown(): unknown;
  protected constructor();
}

/** The connection is closed for good. */
export class ClosedError extends TypedSocketError {
  /**
   * `closed`: this side closed it, or the server did with code 1000. `lost`: anything else: the server refused, no
   * retry was left, `shouldReconnect` returned `false`, or the WebAssembly module could not be loaded.
   */
  readonly code: 'closed' | 'lost';
  /** The last `close` event, which says why; `null` before it. */
  get close(): ReconnectingCloseEvent | null;
  /** The `explanation` of the `close` event: why it is final, in a phrase that may quote the URL; `null` before it. */
  get explanation(): string | null;
  protected constructor();
}

/** Messages arrived faster than they were read, and `overflow` is `'error'` or `'close'`. */
export class OverflowError extends TypedSocketError {
  readonly code: 'inbox-full';
  protected constructor();
}
