// Runs a recipe in a program of its own: prints what it shows, ends it when told to, and then has nothing else to do.
//
//     node run.mjs RECIPE ADDRESS

import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

import { WebSocket } from 'ws';

const [recipe, address] = process.argv.slice(2);

// As in a browser.
globalThis.WebSocket ??= WebSocket;
// Waits are near the shortest that they can be.
const { random } = Math;
Math.random = () => random() / 20;

const { start } = await import(pathToFileURL(recipe));
const stop = start(address, (value) => console.log(`shows ${value}`));

const lines = createInterface({ input: process.stdin });
lines.once('line', async () => {
  lines.close();
  process.stdin.destroy();
  await stop();
  console.log('stopped');
});
