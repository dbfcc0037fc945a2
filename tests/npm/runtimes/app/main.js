// Is greeted in the page, in a dedicated worker and in a shared worker, each of which loads its own module.

import { greet } from './greet.js';

const server = new URLSearchParams(location.search).get('server');

/** A worker's answer on a port, or why there is none. */
function ask(worker, port) {
  return new Promise((resolve) => {
    port.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => resolve(`the worker failed: ${event.message ?? 'it could not be loaded'}`);
    port.postMessage(server);
  });
}

const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
const shared = new SharedWorker(new URL('./shared-worker.js', import.meta.url), { type: 'module' });

const [inPage, inWorker, inSharedWorker] = await Promise.all([
  greet(server).catch((error) => error.message),
  ask(worker, worker),
  ask(shared, shared.port),
]);
globalThis.outcome = { inPage, inWorker, inSharedWorker };
