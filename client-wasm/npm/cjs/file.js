// The WebAssembly module as a file of the package, for CommonJS: on disk, next to the folder of this file.

const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { provide } = require('./loader.js');

provide('file', () => pathToFileURL(path.join(__dirname, '../steady-socket.wasm')).href);
