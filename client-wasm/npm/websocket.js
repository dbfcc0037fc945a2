// The class that takes the place of `WebSocket`, without typed messages, with the WebAssembly module as a file.

import './file.js';

export { ReconnectingWebSocket, load } from './loader.js';
