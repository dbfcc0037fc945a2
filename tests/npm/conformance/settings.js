// The options with which a ReconnectingWebSocket does what a WebSocket does and no more: these have to be named
// in docs/conformance.md.

export const AS_WEBSOCKET = {
  maxRetries: 0,
  maxQueuedMessages: 0,
  highWaterMark: 2 ** 31 - 1,
  lowWaterMark: 0,
  maxMessageBytes: Infinity,
  connectTimeout: 2 ** 31 - 1,
  closeTimeout: 2 ** 31 - 1,
};
