// Prints the sizes of this library's programs. `cargo xtask size` calls this, with everything built, and `cargo xtask
// package`, with the package alone:
//
//     node sizes.mjs [--npm] [--check] [--json FILE] [--versions FILE]
//
// With `--npm` it measures only the package, without the Rust program.
//
// Sizes are exact for the tools that built them. With `--check`, a size over its budget is an error. If the tools
// differ from those for which the budgets were set (`size-tools.json`), that is reported, and a size may exceed its
// budget by `tolerance`, since every compiler version produces a slightly different program.

import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import { judge, number, readBudgets } from './lib/budgets.mjs';
import { machine } from './lib/machine.mjs';
import { Results } from './lib/results.mjs';
import { sizes, versions } from './lib/sizes.mjs';
import { byCase, textTable } from './lib/tables.mjs';

const PART = 3;

const { values: options } = parseArgs({
  options: {
    npm: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    json: { type: 'string' },
    versions: { type: 'string' },
  },
});

const results = new Results(await machine());
Object.assign(results.versions, options.versions ? JSON.parse(await readFile(options.versions, 'utf8')) : {}, versions);
for (const measurement of await sizes({ peers: false, rust: !options.npm })) results.add(measurement);
if (options.json) await results.write(options.json);
console.log(table(results.measurements));
if (options.check) await check();

function table(measurements) {
  const size = new Map(
    measurements.map(({ case: name, contender, samples: [bytes] }) => [`${name} ${contender}`, bytes]),
  );
  const rows = byCase(measurements)
    .filter(({ case: name }) => name.endsWith('/raw'))
    .flatMap(({ case: name, rows: some }) => {
      const what = name.slice(0, -'/raw'.length);
      return some.map(({ contender, note = '' }) => [
        `${what}: ${contender}`,
        ...['raw', 'gzip', 'brotli'].map((encoding) =>
          number(size.get(`${what}/${encoding} ${contender}`)).padStart(8),
        ),
        note,
      ]);
    });
  return textTable([
    ['bytes', 'raw', 'gzip -9', 'brotli'].map((title, at) => (at ? title.padStart(8) : title)).concat(''),
    ...rows,
  ]);
}

async function check() {
  const { tolerance, tools } = JSON.parse(await readFile(new URL('size-tools.json', import.meta.url), 'utf8'));
  const others = Object.entries(tools).filter(([tool, version]) => results.versions[tool] !== version);
  const allowed = others.length === 0 ? 1 : 1 + tolerance;
  if (others.length > 0) {
    const list = others.map(([tool, version]) => `${tool} is \`${results.versions[tool]}\`, not \`${version}\``);
    console.error(
      `[size] other tools than the budgets were made with, so ${tolerance * 100} % more is allowed: ${list.join('; ')}`,
    );
  }
  const judged = (await readBudgets())
    .filter(({ part }) => part === PART)
    .map((budget) =>
      judge({ ...budget, atMost: Math.floor(budget.atMost * allowed) }, (...key) => results.samples(...key)),
    );
  for (const { budget, verdict, value } of judged) {
    if (verdict === 'kept') continue;
    const what =
      verdict === 'broken'
        ? `is ${number(value)} bytes; at most ${number(budget.atMost)} are allowed`
        : 'was not measured';
    console.error(`[size] ${budget.id}: ${budget.description}: ${what}`);
    process.exitCode = 1;
  }
}
