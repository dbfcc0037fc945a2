// Part 3: the size of a program that a page loads, and proof that each measured program works.

import { inPage } from '../lib/page.mjs';
import { required } from '../lib/environment.mjs';
import { HELLO, sizes, versions } from '../lib/sizes.mjs';

export const PART = 3;
export const PROGRAMS = ['main'];

const NAME = 'Ada';
const GREETING = 'Hello Ada!';

/** @param say - reports progress */
export async function measure({ stage, plan, results, say }) {
  Object.assign(results.versions, versions);
  const found = (await sizes({ peers: !plan.check })).filter(({ case: name }) => plan.wants(PART, name));
  if (found.length === 0) return;
  for (const measurement of found) results.add(measurement);
  const url = `${required('STEADY_SOCKET_SERVER').replace(/^http/, 'ws')}/hello`;
  const measured = new Set(found.map(({ contender }) => contender));
  const programs = HELLO.filter(({ contender }) => measured.has(contender));
  for (const { crate } of programs) await greets(stage, crate, url);
  say(`sizes: ${measured.size} programs; those made of Rust are greeted by the server`);
}

/** A program that is small because it does not work is not a peer. */
async function greets(stage, crate, url) {
  await inPage(stage, async (page) => {
    await page.evaluate(
      async (given) => {
        const program = await import(`/rust/${given.crate}/${given.crate}.js`);
        await program.default();
        program.hello(given.url, given.name);
      },
      { crate, url, name: NAME },
    );
    try {
      await page.waitForFunction((greeting) => document.body?.textContent === greeting, GREETING, { timeout: 10_000 });
    } catch (error) {
      const shown = await page.evaluate(() => document.body?.textContent);
      throw new Error(`${crate} shows \`${shown}\`, not \`${GREETING}\``, { cause: error });
    }
  });
}
