// The class that takes the place of `WebSocket`, without typed messages, with the WebAssembly module embedded.

import './embedded.js';

export { ReconnectingWebSocket, load } from './loader.js';
