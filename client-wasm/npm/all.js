// The exports of the entries `steady-socket` and `steady-socket/inline`: everything except MessagePack.

export { ReconnectingWebSocket, load } from './loader.js';
export { ClosedError, MessageError, OverflowError, TypedSocketError } from './typed/errors.js';
export { json } from './typed/codec.js';
export { TypedSocket } from './typed/typed-socket.js';
