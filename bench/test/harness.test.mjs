// The harness itself, with very few rounds: everything is measured, and every message accounted for. The times are not
// checked. Rust contenders are left out: their modules are built for the measurements only.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { TEST_TIMEOUT } from '../../tests/npm/lib/limits.mjs';
import { readBudgets } from '../lib/budgets.mjs';
import { bundle, inPage, openStage } from '../lib/page.mjs';
import { Results } from '../lib/results.mjs';
import { Plan } from '../lib/rounds.mjs';
import * as endToEnd from '../parts/end-to-end.mjs';
import * as memory from '../parts/memory.mjs';
import * as messages from '../parts/messages.mjs';

const DROP_INS = ['bare', 'partysocket', 'reconnecting-websocket', 'rews', 'steady-socket'];
const PEERS = ['bare', 'partysocket', 'reconnecting-websocket', 'rews', 'websocket-ts'];
const OWN = ['steady-socket', 'steady-socket, typed handler'];
const OWN_TO_RECEIVE = ['steady-socket, typed event', 'steady-socket, iteration'];

let stage;
let budgets;
let mayMeasure;

before(
  async () => {
    budgets = await readBudgets();
    await bundle();
    stage = await openStage();
    const all = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.contenders()));
    const withModules = new Set(all.filter(({ loads }) => loads).map(({ name }) => name));
    mayMeasure = (name) => !withModules.has(name);
  },
  { timeout: TEST_TIMEOUT },
);

after(() => stage.close());

/** Measures the cases of a part with `pattern` in their names, with the chosen contenders. */
async function measured(part, pattern, isWanted = () => true) {
  const plan = new Plan({
    quick: true,
    pattern,
    seed: 1,
    budgets,
    mayMeasure: (name) => mayMeasure(name) && isWanted(name),
  });
  const results = new Results({});
  await part.measure({ stage, plan, results, say: () => {} });
  return results;
}

function partakers(results, name) {
  return results.measurements
    .filter((measurement) => measurement.case === name)
    .map(({ contender }) => contender)
    .sort();
}

test('messages: all clients in one page, each in every round', { timeout: TEST_TIMEOUT }, async () => {
  for (const [pattern, more] of [
    ['receive/text/16', [...OWN_TO_RECEIVE, ...DROP_INS.map((name) => `${name}, listener`)]],
    ['receive/json/book-100', [...OWN_TO_RECEIVE, 'bare, not parsed']],
    ['receive/msgpack/note-1024', OWN_TO_RECEIVE],
    ['send/binary/64', []],
    ['send on a real socket', []],
  ]) {
    const results = await measured(messages, pattern);
    const [{ case: name }] = results.measurements;
    assert.deepEqual(partakers(results, name), [...PEERS, ...OWN, ...more].sort());
    for (const { samples } of results.measurements) {
      assert.equal(samples.length, 5);
      // Some are differences, which may be negative on a busy machine.
      assert.ok(samples.every(Number.isFinite));
    }
  }
});

test('end to end: echoes, one way, and coming back after a cut', { timeout: TEST_TIMEOUT }, async () => {
  for (const name of ['echo rate/text/16', 'rate in/text/16', 'rate out/text/16']) {
    assert.deepEqual(
      partakers(await measured(endToEnd, name), name),
      [...PEERS, ...OWN, ...OWN_TO_RECEIVE, 'bare, an event more', 'socket.io-client (own server)'].sort(),
    );
  }
  const recoveries = await measured(endToEnd, 'at once');
  assert.deepEqual(
    partakers(recoveries, 'recovery after a cut/at once'),
    [...PEERS.slice(1), 'steady-socket', 'socket.io-client (own server)'].sort(),
  );
});

test('memory: nothing is left of reconnects but the sockets that are open', { timeout: 5 * TEST_TIMEOUT }, async () => {
  const results = await measured(memory, '10,000 reconnects', (name) => name === 'steady-socket');
  for (const kind of ['heap', 'wasm memory', 'listeners', 'timers']) {
    assert.ok(partakers(results, `10,000 reconnects/${kind}`).includes('steady-socket'));
    assert.equal(results.samples(4, `10,000 reconnects/${kind}`, 'steady-socket').length, 11);
  }
});

test('every budget of a part that runs in a page names a case and contenders that there are', {
  timeout: TEST_TIMEOUT,
}, async () => {
  const [all, cases] = await inPage(stage, (page) =>
    page.evaluate(() => [globalThis.bench.contenders().map(({ name }) => name), globalThis.bench.stubCases()]),
  );
  for (const { id, part, case: name, numerator, denominator, baseline } of budgets) {
    if (part === messages.PART) assert.ok(messages.REAL.includes(name) || cases.includes(name), `${id}: ${name}`);
    if (![messages.PART, endToEnd.PART, memory.PART].includes(part)) continue;
    for (const contender of [numerator, denominator, baseline].filter(Boolean))
      assert.ok(all.includes(contender), `${id}: ${contender}`);
  }
});
