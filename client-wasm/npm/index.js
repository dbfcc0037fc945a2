// The entry of the package, with the WebAssembly module as a file.

import './file.js';

export * from './all.js';
