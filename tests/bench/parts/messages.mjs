// Part 1: what a message costs in the page.

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';

export const PART = 1;

/** A real socket's `send`, which is measured against the server's echo. */
export const REAL = 'send on a real socket/text/16';

/** @param say - tells the progress */
export async function measure({ stage, plan, results, say }) {
  const stubCases = await inPage(stage, (page) => page.evaluate(() => globalThis.bench.stubCases()));
  const echo = `${required('STEADY_SOCKET_SERVER').replace(/^http/, 'ws')}/echo`;
  const cases = [...stubCases.map((id) => ({ id })), { id: REAL, url: echo }].filter(({ id }) => plan.wants(PART, id));
  for (const [index, { id, url }] of cases.entries()) {
    const took = await inPage(stage, async (page) => {
      const from = performance.now();
      const all = await page.evaluate((name) => globalThis.bench.partakers(name), id);
      const names = plan.contenders(PART, id, all);
      const given = { id, names, url, seed: plan.seed + index, warmUp: plan.warmUp };
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
