// The package's entry with the WebAssembly module as a file.

import './file.js';

export * from './all.js';
