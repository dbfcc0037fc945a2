import type { SchemaIssue } from './schema.js';
import type { ReconnectingCloseEvent } from '../websocket.js';

/**
 * Any error of a `TypedSocket`. No error quotes a message, a URL or what the server said in its `message`, nor in a
 * property that a log would print.
 */
export class TypedSocketError extends Error {
  readonly code: 'decode-failed' | 'encode-failed' | 'invalid-message' | 'schema-failed' | 'inbox-full' | 'closed' | 'lost';
  protected constructor();
}

/** A message that could not be decoded or encoded, or that a schema refused. */
export class MessageError extends TypedSocketError {
  /**
   * `decode-failed`: the codec did not understand what was received. `invalid-message`: the schema refused it.
   * `schema-failed`: the schema threw instead of answering. `encode-failed`: the codec has no form for what was to
   * be sent.
   */
  readonly code: 'decode-failed' | 'encode-failed' | 'invalid-message' | 'schema-failed';
  /** What the schema said; empty unless the code is `invalid-message`. An issue may quote the message. */
  get issues(): readonly SchemaIssue[];
  /** What was received, as the codec was given it; `undefined` for a message that was to be sent. */
  get data(): string | ArrayBuffer | undefined;
  /** What the codec or the schema threw, if it did. It may quote the message. */
  get thrown(): unknown;
  protected constructor();
}

/** There is no connection any more, and none will come by itself. */
export class ClosedError extends TypedSocketError {
  /**
   * `closed`: it was closed from this side, or by the server with code 1000. `lost`: anything else: the server
   * refused, no retry was left, `shouldReconnect` said no, the WebAssembly module could not be loaded.
   */
  readonly code: 'closed' | 'lost';
  /** The last `close` event, which says why; `null` if it has not been told yet. */
  get close(): ReconnectingCloseEvent | null;
  /** That of the `close` event: why it is over, in a phrase, which may quote the URL; `null` before that was told. */
  get explanation(): string | null;
  protected constructor();
}

/** Messages arrived faster than they were read, and `overflow` is `'error'` or `'close'`. */
export class OverflowError extends TypedSocketError {
  readonly code: 'inbox-full';
  protected constructor();
}
