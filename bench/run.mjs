// Measures, and reports the results. `cargo xtask bench` calls this, with everything built and the server running:
//
//     node run.mjs [--part N]… [--case TEXT] [--quick] [--check] [--write] [--json FILE] [--merge FILE]… [--versions FILE]
//         [--seed N] [--profile]
//
// With `--profile` nothing is measured: it prints where the cases of parts 1 and 2 spend their time. The exit code is 1
// if a budget is broken, or, with `--check`, inconclusive or not measured.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { budgetTable, judge, readBudgets } from './lib/budgets.mjs';
import { writeDocumentation } from './lib/document.mjs';
import { ROOT } from './lib/environment.mjs';
import { machine, packageVersion } from './lib/machine.mjs';
import { bundle, inPage, openStage } from './lib/page.mjs';
import { Results } from './lib/results.mjs';
import { Plan } from './lib/rounds.mjs';
import { measurementTables, textTable } from './lib/tables.mjs';
import * as endToEnd from './parts/end-to-end.mjs';
import * as memory from './parts/memory.mjs';
import * as messages from './parts/messages.mjs';
import * as sizes from './parts/sizes.mjs';

/** The parts that run in a page; others are measured by their own programs and merged. */
const IN_PAGE = [messages, endToEnd, sizes, memory];

const { values: options } = parseArgs({
  options: {
    part: { type: 'string', multiple: true, default: [] },
    case: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    json: { type: 'string' },
    merge: { type: 'string', multiple: true, default: [] },
    versions: { type: 'string' },
    seed: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});

const say = (line) => {
  console.error(`[bench] ${line}`);
};

const budgets = await readBudgets();
const parts = options.part.map(Number);
const seed = options.seed === undefined ? Date.now() % 1_000_000 : Number(options.seed);
const plan = new Plan({ ...options, pattern: options.case, seed, budgets });
const results = new Results(await machine());
if (options.versions) Object.assign(results.versions, JSON.parse(await readFile(options.versions, 'utf8')));
for (const file of options.merge) await results.merge(file);

/** How many cases had their profiles printed. */
let profiled = 0;
const inPageParts = IN_PAGE.filter(({ PART }) => parts.includes(PART));
if (inPageParts.length > 0) {
  say(`the seed of all that is drawn is ${seed}`);
  await bundle();
  const stage = await openStage();
  try {
    if (options.profile) {
      for (const part of inPageParts) profiled += await part.profileAll({ stage, plan });
    } else {
      await noteVersions(stage);
      for (const part of inPageParts) await part.measure({ stage, plan, results, say });
    }
  } finally {
    await stage.close();
  }
}

if (options.profile ? profiled === 0 : results.measurements.length === 0) {
  throw new Error(
    `no case of the parts ${parts.join(', ')}${options.profile ? ' that is profiled' : ''} has \`${options.case}\` in its name${options.check ? ' and a budget' : ''}`,
  );
}
console.log(measurementTables(results.measurements));
if (options.json) await results.write(options.json);

const judged = budgets
  .filter(({ part, case: name }) => parts.includes(part) && name.includes(options.case))
  .map((budget) => judge(budget, (...key) => results.samples(...key)));
if (options.write) await writeDocumentation(path.join(ROOT, 'docs'), results, judged);
const shown = options.check ? judged : judged.filter(({ verdict }) => verdict !== 'not measured');
if (shown.length > 0 && !options.quick) {
  console.log(textTable(budgetTable(shown)));
  const bad = shown.filter(({ verdict }) => verdict === 'broken' || (options.check && verdict !== 'kept'));
  if (bad.length > 0) {
    say(`not kept: ${bad.map(({ budget, verdict }) => `${budget.id} (${verdict})`).join(', ')}`);
    process.exitCode = 1;
  }
}

async function noteVersions({ browser, open }) {
  results.versions.chromium = browser.version();
  results.versions.node = process.versions.node;
  const all = await inPage({ open }, (page) => page.evaluate(() => globalThis.bench.contenders()));
  const manifest = JSON.parse(await readFile(new URL('package.json', import.meta.url), 'utf8'));
  // The last one decodes for contenders that do not decode themselves.
  for (const name of [...all.map((one) => one.package), '@msgpack/msgpack']) {
    if (name in manifest.devDependencies) results.versions[name] = await packageVersion(name);
  }
}
