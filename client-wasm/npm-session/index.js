// The entry with sessions: its own copy of everything, with a WebAssembly module of its own, so that programs without
// sessions load neither.

import './file.js';

export * from './all.js';
