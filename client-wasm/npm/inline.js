// The package's entry with the WebAssembly module embedded.

import './embedded.js';

export * from './all.js';
