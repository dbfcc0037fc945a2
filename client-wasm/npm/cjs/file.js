// The WebAssembly module as a file of the package, for CommonJS: on a disk, beside the folder of this.

const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { provide } = require('./loader.js');

provide('file', () => pathToFileURL(path.join(__dirname, '../steady-socket.wasm')).href);
