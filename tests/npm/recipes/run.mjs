// Runs a recipe in its own process: prints what it shows, ends it on request, and then has nothing else to do.
//
//     node run.mjs RECIPE ADDRESS

import process from 'node:process';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

import { WebSocket } from 'ws';

const [recipe, address] = process.argv.slice(2);

// As in a browser.
globalThis.WebSocket ??= WebSocket;
// Waits are close to their minimum.
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
