// Opens sockets, and reports when all are open.

import { ReconnectingWebSocket } from '/pkg/index.js';

addEventListener('message', async ({ data: { url, count } }) => {
  await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve) => {
          new ReconnectingWebSocket(url).addEventListener('open', resolve, { once: true });
        }),
    ),
  );
  postMessage('open');
});
