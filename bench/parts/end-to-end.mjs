// Part 2: end to end over loopback.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';
import { generator, shuffled } from '../lib/random.mjs';
import { printProfiles } from './profiles.mjs';

export const PART = 2;

/** Rounds of message exchanges, each of which takes a hundredth of a second. */
const ROUNDS = { first: 60, more: 60, most: 1_200 };

/** Rounds for what takes seconds or a page of its own each time; no budget needs more. */
const SLOW_ROUNDS = { first: 12, more: 0, most: 12 };
const SLOW_ROUNDS_QUICK = { first: 1, more: 0, most: 1 };

/** Rounds that only warm up, and those of a profile. */
const WARM_UP = 5;
const PROFILED_ROUNDS = 100;

export function measure(context) {
  return withServers(async (servers) => {
    await flows({ ...context, servers });
    await greetings({ ...context, servers });
    await recoveries({ ...context, servers });
  });
}

/**
 * Prints where the page's main thread spends its time, for message exchanges only; returns a promise of the number of
 * cases.
 */
export function profileAll({ stage, plan }) {
  return withServers(async (servers) => {
    const kinds = await flowKinds({ stage, plan });
    for (const { id, method, main, messages } of kinds) {
      const all = await inPage(stage, (page) => page.evaluate((name) => globalThis.bench.partakers(name), id));
      await printProfiles({
        stage,
        title: main,
        contenders: plan.contenders(PART, main, all),
        open: async (page, contender) => {
          await page.evaluate((given) => globalThis.bench.openEndToEndCase(given), {
            id,
            names: [contender],
            servers,
            seed: plan.seed,
            messages,
          });
          await page.evaluate((given) => globalThis.bench.endToEnd(given), { method, count: WARM_UP });
        },
        run: (page) => page.evaluate((given) => globalThis.bench.endToEnd(given), { method, count: PROFILED_ROUNDS }),
      });
    }
    return kinds.length;
  });
}

/** Calls `use` with the servers' addresses, while they run. */
async function withServers(use) {
  const control = required('STEADY_SOCKET_SERVER');
  const processes = [];
  /** Starts a program of `servers/`; returns a promise of its address. */
  const start = async (program) => {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, '../servers', program)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    processes.push(child);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${program} ended with ${code}`);
    });
    const [port] = await Promise.race([once(child.stdout, 'data'), ended]);
    return `127.0.0.1:${String(port).trim()}`;
  };
  try {
    return await use({
      control,
      hello: control.replace(/^http/, 'ws'),
      oneWay: `ws://${await start('one-way.mjs')}`,
      socketIo: `http://${await start('socket-io.mjs')}`,
    });
  } finally {
    for (const child of processes) child.kill();
  }
}

/**
 * The message exchanges requested: `{ id, method, main, unit, others, messages }`. The figure `main` decides how long
 * to measure.
 */
async function flowKinds({ stage, plan }) {
  const cases = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.endToEndCases()));
  return cases
    .flatMap(({ id, kind, way }) => {
      const suffix = id.slice(id.indexOf('/') + 1);
      const rate = {
        id,
        method: 'rate',
        main: `${way ? `rate ${way}` : 'echo rate'}/${suffix}`,
        figure: 'rate',
        unit: 'messages/s',
        others: {},
      };
      // About a hundredth of a second, in either direction; typed messages come in bursts as large as those of echoes.
      if (way) return [{ ...rate, messages: plan.quick ? 50 : kind === 'json' ? 128 : 512 }];
      return [
        { ...rate, messages: plan.quick ? 50 : 128 },
        {
          id,
          method: 'latency',
          main: `echo latency p50/${suffix}`,
          figure: 'p50',
          unit: 'µs',
          others: { p99: `echo latency p99/${suffix}` },
          messages: plan.quick ? 10 : 100,
        },
      ];
    })
    .filter(({ main }) => plan.wants(PART, main));
}

/** Rates of echoes and one-way messages, and latencies of echoes. */
async function flows({ stage, plan, results, say, servers }) {
  for (const { id, method, main, figure, unit, others, messages } of await flowKinds({ stage, plan })) {
    const rounds = await inPage(stage, async (page) => {
      const all = await page.evaluate((name) => globalThis.bench.partakers(name), id);
      const names = plan.contenders(PART, main, all);
      await page.evaluate((given) => globalThis.bench.openEndToEndCase(given), {
        id,
        names,
        servers,
        seed: plan.seed,
        messages,
      });
      const run = (count) => page.evaluate((given) => globalThis.bench.endToEnd(given), { method, count });
      if (!plan.quick) await run(WARM_UP);
      const done = await plan.untilConclusive({
        results,
        part: PART,
        name: main,
        unit,
        rounds: plan.quick ? plan.rounds : ROUNDS,
        measure: async (count) => {
          const samples = await run(count);
          for (const [other, name] of Object.entries(others)) {
            for (const [contender, list] of Object.entries(samples[other])) {
              results.add({ part: PART, case: name, contender, unit, samples: list });
            }
          }
          return samples[figure];
        },
      });
      await page.evaluate(() => globalThis.bench.close());
      return done;
    });
    say(`${main}: ${rounds} rounds of ${messages} messages`);
  }
}

/** From construction to the first greeting, in a fresh page each time. */
async function greetings({ stage, plan, results, say, servers }) {
  const name = 'first greeting/text';
  if (!plan.wants(PART, name)) return;
  const random = generator(plan.seed);
  const all = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.greeters()));
  const contenders = plan.contenders(PART, name, all);
  const rounds = await plan.untilConclusive({
    results,
    part: PART,
    name,
    unit: 'ms',
    rounds: plan.quick ? SLOW_ROUNDS_QUICK : SLOW_ROUNDS,
    measure: async (count) => {
      const samples = Object.fromEntries(contenders.map((contender) => [contender, []]));
      for (let round = 0; round < count; round += 1) {
        for (const contender of shuffled(contenders, random)) {
          samples[contender].push(
            await inPage(stage, (page) =>
              page.evaluate((given) => globalThis.bench.timeToGreeting(given), { contender, servers }),
            ),
          );
        }
      }
      return samples;
    },
  });
  say(`${name}: ${rounds} rounds, each in a fresh page`);
}

/** From a cut until it is open again, with the default policy and with one that does not wait. */
async function recoveries({ stage, plan, results, say, servers }) {
  for (const [name, impatient] of [
    ['recovery after a cut/own policy', false],
    ['recovery after a cut/at once', true],
  ]) {
    if (!plan.wants(PART, name)) continue;
    const rounds = await inPage(stage, async (page) => {
      const all = await page.evaluate(() => globalThis.bench.reconnecting());
      const names = plan.contenders(PART, name, all);
      return plan.untilConclusive({
        results,
        part: PART,
        name,
        unit: 'ms',
        rounds: plan.quick ? SLOW_ROUNDS_QUICK : SLOW_ROUNDS,
        measure: (count) =>
          page.evaluate((given) => globalThis.bench.recover(given), { names, servers, impatient, rounds: count }),
      });
    });
    say(`${name}: ${rounds} rounds`);
  }
}
