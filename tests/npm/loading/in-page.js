// The part of loading.test.mjs that runs in a page. The entries are imported when needed: some import what others do
// not.

import { BAD, GOOD, REFUSED } from './sources.js';

/** The server's answer on a socket, or why it closed. */
function greet(Class, url) {
  return new Promise((resolve) => {
    const socket = new Class(url);
    socket.onmessage = ({ data }) => {
      socket.onclose = null;
      socket.close();
      resolve(data);
    };
    socket.onclose = ({ cause, explanation }) => resolve(`${cause}: ${explanation}`);
    socket.send('Ada');
  });
}

/** Why `load` rejects. */
function refusal(load, options) {
  return load(options).then(
    () => 'loaded',
    ({ name, message }) => `${name}: ${message}`,
  );
}

export async function loadFrom(what, place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  const module = GOOD[what](place);
  await load({ module });
  // Once loaded, passing the same source, or none, is not too late.
  await load({ module });
  await load();
  return greet(ReconnectingWebSocket, url);
}

export async function loadForAll(place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  const idle = new ReconnectingWebSocket(url, [], { startClosed: true });
  const loaded = load({ module: GOOD['a buffer'](place) });
  const greeting = await greet(ReconnectingWebSocket, url);
  await loaded;
  return [greeting, idle.state];
}

export async function greetBy(entry, url) {
  const { ReconnectingWebSocket } = await import(`/pkg/${entry}`);
  return greet(ReconnectingWebSocket, url);
}

export async function greetByBoth(entries, url) {
  const classes = [];
  for (const entry of entries) classes.push((await import(`/pkg/${entry}`)).ReconnectingWebSocket);
  return [await greet(classes[0], url), classes[0] === classes[1]];
}

export async function loadBesideEmbedded(place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/inline.js');
  await load({ module: place });
  return greet(ReconnectingWebSocket, url);
}

export async function refusals() {
  const { load } = await import('/pkg/index.js');
  const entries = Object.entries(REFUSED).map(async ([what, make]) => [what, await refusal(load, { module: make() })]);
  return {
    refused: await Promise.all(entries),
    unparsed: await refusal(load, { module: 'http://[' }),
    options: [await refusal(load, '/x.wasm'), await refusal(load, { modul: '/x.wasm' })],
  };
}

export async function failAndRepair(what, place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  const [make] = BAD[what];
  const refused = await refusal(load, { module: make() });
  const again = await greet(ReconnectingWebSocket, url);
  await load({ module: place });
  return { refused, again, greeting: await greet(ReconnectingWebSocket, url) };
}

export async function failByNeverSettling(place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  // Long timers run on demand.
  const long = [];
  const given = globalThis.setTimeout;
  globalThis.setTimeout = (run, delay, ...rest) => (delay >= 10_000 ? long.push(run) : given(run, delay, ...rest));
  const refused = refusal(load, { module: new Promise(() => {}) });
  for (const run of long) run();
  const message = await refused;
  globalThis.setTimeout = given;
  await load({ module: place });
  return [message, await greet(ReconnectingWebSocket, url)];
}

export async function loadTooLate(place, url) {
  const { ReconnectingWebSocket, load } = await import('/pkg/index.js');
  const socket = new ReconnectingWebSocket(url);
  const during = await refusal(load, { module: place });
  await load();
  const later = await refusal(load, { module: place });
  // Refused, too; the promise's own rejection must not surface as unhandled.
  const unhandled = [];
  addEventListener('unhandledrejection', ({ reason }) => unhandled.push(reason.message));
  await refusal(load, { module: Promise.reject(new Error('never looked at')) });
  socket.close();
  const greeting = await greet(ReconnectingWebSocket, url);
  return [during, later, greeting, ...unhandled];
}

/** A worker that receives the compiled module. */
export async function loadInWorker(place, url) {
  const module = await GOOD['a WebAssembly.Module'](place);
  const worker = new Worker('/loading/worker.js', { type: 'module' });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve(`the worker failed: ${message}`);
    worker.postMessage({ module, url });
  }).finally(() => worker.terminate());
}

export async function namesOfTheGlue() {
  return Object.keys(await import('/pkg/wasm/steady_socket_wasm.js')).sort();
}
