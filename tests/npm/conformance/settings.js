// The options with which a ReconnectingWebSocket acts exactly like a WebSocket: docs/conformance.md has to list them.

export const AS_WEBSOCKET = {
  maxRetries: 0,
  maxQueuedMessages: 0,
  highWaterMark: 2 ** 31 - 1,
  lowWaterMark: 0,
  maxMessageBytes: Infinity,
  connectTimeout: 2 ** 31 - 1,
  closeTimeout: 2 ** 31 - 1,
};
