// The exports of the entries with sessions: everything except MessagePack.

export { ReconnectingWebSocket, load } from './loader.js';
export { ClosedError, MessageError, OverflowError, TypedSocketError } from './typed/errors.js';
export { json } from './typed/codec.js';
export { TypedSocket } from './typed-session.js';
export { ApplicationError, NotHandledError, RequestError, UnknownEndError } from './wasm/steady_socket_wasm.js';
