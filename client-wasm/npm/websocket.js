// The drop-in class for `WebSocket`, without typed messages, with the WebAssembly module as a file.

import './file.js';

export { ReconnectingWebSocket, load } from './loader.js';
