// The entry of the package, with the WebAssembly module embedded.

import './embedded.js';

export * from './all.js';
