// Loads the module from the location in the argument, and is greeted.

import { readFile } from 'node:fs/promises';
import process from 'node:process';

import { ReconnectingWebSocket, load } from 'steady-socket';

const { ws, inject, from } = JSON.parse(process.argv[2]);
const file = new URL(import.meta.resolve('steady-socket/steady-socket.wasm'));
const sources = {
  'a file: URL': () => file,
  bytes: () => readFile(file),
  'a WebAssembly.Module': async () => WebAssembly.compile(await readFile(file)),
  'a file that is not there': () => new URL('nowhere.wasm', file),
  'a relative URL': () => './steady-socket.wasm',
};
const options = inject ? { WebSocket: (await import('ws')).WebSocket } : {};
try {
  await load({ module: sources[from]() });
  const socket = new ReconnectingWebSocket(ws, [], options);
  socket.send('Ada');
  socket.onmessage = ({ data }) => {
    console.log(data);
    socket.close();
  };
} catch ({ name, message }) {
  console.log(`${name}: ${message}`);
}
