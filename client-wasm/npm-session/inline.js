// The same with the WebAssembly module in the script.

import './embedded.js';

export * from './all.js';
