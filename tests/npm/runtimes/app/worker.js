// A dedicated worker: receives the server's address, posts the result.

import { greet } from './greet.js';

addEventListener('message', async ({ data }) => {
  postMessage(await greet(data).catch((error) => error.message));
});
