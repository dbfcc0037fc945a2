// Runs the cases of a group, each with the browser's own `WebSocket`, with ours and with that of the test kit.

import { ReconnectingWebSocket, load } from '/pkg/index.js';

import { Bench } from './bench.js';
import { groups } from './cases.js';
import { differences } from './differences.js';
import { playServers } from './fake.js';
import { AS_WEBSOCKET } from './settings.js';

/** The time limit of one case, in milliseconds. */
const CASE_LIMIT = 30_000;

/** Ours, with reconnecting and queueing off; it takes the arguments of a `WebSocket`, and exposes the same class. */
const Ours = new Proxy(ReconnectingWebSocket, {
  construct(target, given, newTarget) {
    if (given.length === 0) return Reflect.construct(target, given);
    const [url, protocols] = given;
    return Reflect.construct(target, [url, protocols, AS_WEBSOCKET], newTarget === Ours ? target : newTarget);
  },
});

/** Runs a case with one class: `{ notes }`, or `{ failure }`. */
async function observe(run, Socket, servers, Servers = Bench) {
  const bench = new Servers(Socket, servers);
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

/** The observations of each case of a group: `{ native, ours, fake }` by name. */
export async function runGroup(title, servers) {
  await load();
  const byDefault = title === differences.title;
  const { cases } = byDefault ? differences : groups.find((group) => group.title === title);
  const fake = playServers(servers);
  const results = {};
  for (const [name, one] of Object.entries(cases)) {
    const run = byDefault ? one.run : one;
    results[name] = {
      native: await observe(run, WebSocket, servers),
      ours: await observe(run, byDefault ? ReconnectingWebSocket : Ours, servers),
      fake: await observe(run, fake.Socket, servers, fake.Bench),
    };
  }
  return results;
}
