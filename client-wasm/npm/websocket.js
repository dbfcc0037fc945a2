// The class that takes the place of `WebSocket`, without typed messages.

export { ReconnectingWebSocket, load } from './module.js';
