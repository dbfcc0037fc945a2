// Part 2: end to end over loopback.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';
import { generator, shuffled } from '../lib/random.mjs';

export const PART = 2;

/** Rounds of echoes, each of which takes a hundredth of a second. */
const ROUNDS = { first: 60, more: 60, most: 600 };

/** Rounds for what takes seconds or a page of its own each time; no budget asks for more. */
const SLOW_ROUNDS = { first: 12, more: 0, most: 12 };
const SLOW_ROUNDS_QUICK = { first: 1, more: 0, most: 1 };

export async function measure({ stage, plan, results, say }) {
  const control = required('STEADY_SOCKET_SERVER');
  const peer = spawn(process.execPath, [path.join(import.meta.dirname, '../servers/socket-io.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = await once(peer.stdout, 'data');
    const servers = { control, hello: control.replace(/^http/, 'ws'), socketIo: `http://127.0.0.1:${String(port).trim()}` };
    const context = { stage, plan, results, say, servers };
    await echoes(context);
    await greetings(context);
    await recoveries(context);
  } finally {
    peer.kill();
  }
}

/** Rates and latencies of echoes. */
async function echoes({ stage, plan, results, say, servers }) {
  const cases = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.echoCases()));
  for (const { id, kind, bytes } of cases) {
    const suffix = `${kind}/${bytes}`;
    const kinds = [
      { method: 'rate', figures: { rate: ['messages/s', `echo rate/${suffix}`] }, messages: plan.quick ? 50 : 128 },
      {
        method: 'latency',
        figures: { p50: ['µs', `echo latency p50/${suffix}`], p99: ['µs', `echo latency p99/${suffix}`] },
        messages: plan.quick ? 10 : 100,
      },
    ];
    for (const { method, figures, messages } of kinds) {
      // The first figure is the one that decides how long it takes.
      const [[first, [mainUnit, main]], ...others] = Object.entries(figures);
      if (!plan.wants(PART, main)) continue;
      const rounds = await inPage(stage, async (page) => {
        const all = await page.evaluate((name) => globalThis.bench.partakers(name), id);
        const names = plan.contenders(PART, main, all);
        await page.evaluate((given) => globalThis.bench.openEchoCase(given), { id, names, servers, seed: plan.seed });
        const run = (count) => page.evaluate((given) => globalThis.bench.echo(given), { method, count, messages });
        if (!plan.quick) await run(5);
        const done = await plan.untilConclusive({
          results,
          part: PART,
          name: main,
          unit: mainUnit,
          rounds: plan.quick ? plan.rounds : ROUNDS,
          measure: async (count) => {
            const samples = await run(count);
            for (const [figure, [unit, name]] of others) {
              for (const [contender, list] of Object.entries(samples[figure])) {
                results.add({ part: PART, case: name, contender, unit, samples: list });
              }
            }
            return samples[first];
          },
        });
        await page.evaluate(() => globalThis.bench.close());
        return done;
      });
      say(`${main}: ${rounds} rounds of ${messages} messages`);
    }
  }
}

/** From construction to the first greeting, in a fresh page each. */
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
          samples[contender].push(await inPage(stage, (page) => (
            page.evaluate((given) => globalThis.bench.timeToGreeting(given), { contender, servers })
          )));
        }
      }
      return samples;
    },
  });
  say(`${name}: ${rounds} rounds, each in a fresh page`);
}

/** From a cut until it is open again, with the policy as delivered and with one that does not wait. */
async function recoveries({ stage, plan, results, say, servers }) {
  for (const [name, impatient] of [['recovery after a cut/own policy', false], ['recovery after a cut/at once', true]]) {
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
        measure: (count) => page.evaluate((given) => globalThis.bench.recover(given), { names, servers, impatient, rounds: count }),
      });
    });
    say(`${name}: ${rounds} rounds`);
  }
}
