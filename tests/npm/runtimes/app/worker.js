// A dedicated worker: the server in, what came of it out.

import { greet } from './greet.js';

addEventListener('message', async ({ data }) => {
  postMessage(await greet(data).catch((error) => error.message));
});
