// Imports entries without some platform features; then, with `use`, loads the module and creates a socket. Prints the
// result of each as JSON. The argument is JSON: `missing`, names of globals, `entries` and `use`.

import process from 'node:process';

import { WebSocket } from 'ws';

const { missing, entries, use = false } = JSON.parse(process.argv[2]);
for (const name of missing) delete globalThis[name];

const imported = [];
for (const entry of entries)
  imported.push(
    await import(entry).then(
      () => 'imported',
      ({ name, message }) => `${name}: ${message}`,
    ),
  );

const outcome = { imported };
if (use) {
  const { ReconnectingWebSocket, load } = await import(entries[0]);
  outcome.load = await load().then(
    () => 'loaded',
    ({ message }) => message,
  );
  try {
    const options = missing.includes('WebSocket') ? {} : { WebSocket };
    const socket = new ReconnectingWebSocket('ws://127.0.0.1:1', [], { ...options, reconnect: false });
    outcome.socket = await new Promise((resolve) => {
      socket.onclose = ({ cause, explanation }) => resolve(`${cause}: ${explanation}`);
    });
  } catch ({ name, message }) {
    outcome.socket = `${name}: ${message}`;
  }
}
console.log(JSON.stringify(outcome));
