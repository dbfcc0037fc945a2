// The entry of the package: all but MessagePack.

export { ReconnectingWebSocket, load } from './module.js';
export { ClosedError, MessageError, OverflowError, TypedSocketError } from './typed/errors.js';
export { json } from './typed/codec.js';
export { TypedSocket } from './typed/typed-socket.js';
