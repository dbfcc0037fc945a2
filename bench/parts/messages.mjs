// Part 1: the cost of a message in the page.

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';
import { printProfiles } from './profiles.mjs';

export const PART = 1;

/** Rounds of a profile, each a batch of half a millisecond. */
const PROFILED_ROUNDS = 2_000;

/** A real socket's `send`, measured against an echo server: in a loop, and one message a turn of the event loop. */
export const REAL = ['send on a real socket/text/16', 'send on a real socket, one a turn/text/16'];

/** The requested cases: `{ id, servers }`, without servers for those against the stub. */
async function casesOf({ stage, plan }) {
  const stubCases = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.stubCases()));
  const hello = required('STEADY_SOCKET_SERVER').replace(/^http/, 'ws');
  const servers = { url: `${hello}/echo`, sessions: `${hello}/session/echo` };
  return [...stubCases.map((id) => ({ id })), ...REAL.map((id) => ({ id, servers }))].filter(({ id }) =>
    plan.wants(PART, id),
  );
}

/** Prints where the time goes; returns a promise of the number of cases. */
export async function profileAll({ stage, plan }) {
  const cases = await casesOf({ stage, plan });
  for (const { id, servers } of cases) {
    const all = await inPage(stage, (page) => page.evaluate((name) => globalThis.bench.partakers(name), id));
    await printProfiles({
      stage,
      title: id,
      contenders: plan.contenders(PART, id, all),
      open: (page, contender) =>
        page.evaluate((given) => globalThis.bench.openMessageCase(given), {
          id,
          names: [contender],
          servers,
          seed: plan.seed,
          warmUp: plan.warmUp,
        }),
      run: (page) => page.evaluate((count) => globalThis.bench.rounds(count), PROFILED_ROUNDS),
    });
  }
  return cases.length;
}

/** @param say - reports progress */
export async function measure({ stage, plan, results, say }) {
  for (const [index, { id, servers }] of (await casesOf({ stage, plan })).entries()) {
    const took = await inPage(stage, async (page) => {
      const from = performance.now();
      const all = await page.evaluate((name) => globalThis.bench.partakers(name), id);
      const names = plan.contenders(PART, id, all);
      const given = { id, names, servers, seed: plan.seed + index, warmUp: plan.warmUp };
      await page.evaluate((options) => globalThis.bench.openMessageCase(options), given);
      const rounds = await plan.untilConclusive({
        results,
        part: PART,
        name: id,
        unit: 'ns',
        measure: (count) => page.evaluate((more) => globalThis.bench.rounds(more), count),
      });
      await page.evaluate(() => globalThis.bench.close());
      return `${names.length} contenders, ${rounds} rounds, ${((performance.now() - from) / 1000).toFixed(1)} s`;
    });
    say(`${id}: ${took}`);
  }
}
