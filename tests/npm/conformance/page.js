// Runs the groups that the page's query asks for, and leaves what was seen as JSON in the body: some drivers of
// browsers read a page better than they call it.

import { ReconnectingWebSocket, load } from '/pkg/index.js';

import { Bench } from './bench.js';
import { groups } from './cases.js';
import { differences } from './differences.js';
import { AS_WEBSOCKET } from './settings.js';

/** Milliseconds that one case may take. */
const CASE_LIMIT = 30_000;

/** Ours, with reconnecting and queueing off; takes the arguments of a `WebSocket`, and shows the same class. */
const Ours = new Proxy(ReconnectingWebSocket, {
  construct(target, given, newTarget) {
    if (given.length === 0) return Reflect.construct(target, given, newTarget);
    const [url, protocols] = given;
    const socket = Reflect.construct(target, [url, protocols, AS_WEBSOCKET], newTarget === Ours ? target : newTarget);
    return socket;
  },
});

/** Runs a case with one class: `{ notes }`, or `{ failure }`. */
async function observe(run, Socket, servers) {
  const bench = new Bench(Socket, servers);
  const note = (event) => {
    bench.caughtNowhere(event.error ?? event.reason ?? event.message);
    event.preventDefault();
  };
  addEventListener('error', note);
  addEventListener('unhandledrejection', note);
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over within ${CASE_LIMIT} ms`)), CASE_LIMIT);
  });
  try {
    await Promise.race([run(bench), limit]);
    const uncaught = bench.takeUncaught();
    return uncaught.length > 0 ? { failure: `uncaught: ${uncaught}` } : { notes: bench.notes };
  } catch (error) {
    return { failure: `${error?.stack ?? error}\nnoted before: ${JSON.stringify(bench.notes)}` };
  } finally {
    clearTimeout(timer);
    removeEventListener('error', note);
    removeEventListener('unhandledrejection', note);
    bench.end();
  }
}

async function runGroup(title, servers) {
  const results = {};
  if (title === differences.title) {
    for (const [name, { run }] of Object.entries(differences.cases)) {
      results[name] = { native: await observe(run, WebSocket, servers), ours: await observe(run, ReconnectingWebSocket, servers) };
    }
    return results;
  }
  const { cases } = groups.find((group) => group.title === title);
  for (const [name, run] of Object.entries(cases)) {
    results[name] = { native: await observe(run, WebSocket, servers), ours: await observe(run, Ours, servers) };
  }
  return results;
}

const query = new URLSearchParams(location.search);
const servers = Object.fromEntries(['ws', 'http', 'raw', 'silent'].map((name) => [name, query.get(name)]));
let outcome;
try {
  await load();
  outcome = { results: await runGroup(query.get('group'), servers) };
} catch (error) {
  outcome = { failure: String(error?.stack ?? error) };
}
document.body.textContent = JSON.stringify(outcome);
document.body.dataset.done = '';
