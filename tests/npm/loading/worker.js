// Loads the module that a page has compiled: receives `{ module, url }`, posts the greeting.

import { load } from '/pkg/index.js';

import { greetBy } from './in-page.js';

addEventListener('message', async ({ data: { module, url } }) => {
  await load({ module });
  postMessage(await greetBy('index.js', url));
});
