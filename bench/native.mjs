// Counts the instructions of native code, and imports the times that criterion has measured. `cargo xtask bench` calls
// this:
//
//     node native.mjs --program FILE --output FILE [--times FOLDER] [--case TEXT]
//
// The counts come from valgrind, and are the same however busy the machine is. The count for a step is the difference
// between two runs, so it includes neither the program's start nor the preparation.

import { execFile } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';

import { FORMAT } from './lib/results.mjs';

const PART = 6;
const CONTENDER = 'steady-socket';

/** How many idle sessions one is weighed among. */
const SESSIONS = 5_000;

/** How many steps the two runs execute. */
const COUNTS = [1_000, 2_000];

const run = promisify(execFile);

const { values: options } = parseArgs({
  options: {
    program: { type: 'string' },
    output: { type: 'string' },
    times: { type: 'string' },
    case: { type: 'string', default: '' },
  },
});

const { stdout } = await run(options.program);
const steps = stdout.split('\n').filter((step) => step !== '' && step.includes(options.case));
const measurements = [];
const idle = [
  ["session: an idle one in the server's half", '--idle-session'],
  ["session: an idle one in the server's half and the memory store", '--idle-session-with-record'],
];
for (const [name, flag] of idle.filter(([name]) => name.includes(options.case))) {
  const { stdout } = await run(options.program, [flag, String(SESSIONS)]);
  measurements.push(measurement(name, 'memory', 'bytes', [Number(stdout)]));
}
for (const step of steps) {
  measurements.push(measurement(step, 'instructions', 'instructions', [await instructions(step)]));
}
if (options.times) {
  const times = await timesOf(options.times);
  for (const step of steps) {
    const samples = times.get(step);
    if (!samples) throw new Error(`criterion has no times of \`${step}\``);
    measurements.push(measurement(step, 'time', 'ns', samples));
  }
}
await writeFile(options.output, `${JSON.stringify({ format: FORMAT, versions: {}, measurements }, null, 1)}\n`);

function measurement(step, what, unit, samples) {
  return { part: PART, case: `${step}/${what}`, contender: CONTENDER, unit, samples };
}

async function instructions(step) {
  const [fewer, more] = await Promise.all(COUNTS.map((count) => counted(step, count)));
  return (more - fewer) / (COUNTS[1] - COUNTS[0]);
}

async function counted(step, count) {
  const { stderr } = await run('valgrind', [
    '--tool=callgrind',
    '--callgrind-out-file=/dev/null',
    options.program,
    step,
    String(count),
  ]);
  const collected = /Collected : (\d+)/.exec(stderr);
  if (!collected) throw new Error(`valgrind has counted nothing of \`${step}\`:\n${stderr}`);
  return Number(collected[1]);
}

/** Nanoseconds per step, one for each sample, by the names of the steps, which criterion turns into folder names. */
async function timesOf(folder) {
  const times = new Map();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === 'report') continue;
    const read = async (name) => JSON.parse(await readFile(path.join(folder, entry.name, 'new', name), 'utf8'));
    const [{ full_id: step }, { iters, times: taken }] = await Promise.all([
      read('benchmark.json'),
      read('sample.json'),
    ]);
    times.set(
      step,
      taken.map((time, index) => time / iters[index]),
    );
  }
  return times;
}
