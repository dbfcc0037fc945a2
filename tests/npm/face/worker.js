// Runs cases in a dedicated worker: `{ name, server }` in, `{ name, failure }` out.

import { run } from './run.js';

addEventListener('message', async ({ data: { name, server } }) => {
  postMessage({ name, failure: await run(name, server) });
});
