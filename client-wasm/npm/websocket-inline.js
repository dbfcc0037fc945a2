// The drop-in class for `WebSocket`, without typed messages, with the WebAssembly module embedded.

import './embedded.js';

export { ReconnectingWebSocket, load } from './loader.js';
