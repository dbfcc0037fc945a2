// A shared worker: the same, for every page that connects.

import { greet } from './greet.js';

addEventListener('connect', ({ ports: [port] }) => {
  port.onmessage = async ({ data }) => {
    port.postMessage(await greet(data).catch((error) => error.message));
  };
});
