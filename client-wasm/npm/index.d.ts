export * from './websocket.js';
export { ClosedError, MessageError, OverflowError, TypedSocketError } from './typed/errors.js';
export { json, type Codec } from './typed/codec.js';
export { type SchemaIssue, type StandardSchema } from './typed/schema.js';
export {
  TypedSocket,
  type BufferOptions,
  type BufferOverflow,
  type InvalidEvent,
  type MessageIterator,
  type TypedDroppedEvent,
  type TypedSocketEventMap,
  type TypedSocketOptions,
  type TypedSnapshot,
  type WaitOptions,
} from './typed/typed-socket.js';
