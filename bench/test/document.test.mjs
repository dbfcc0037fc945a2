import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { judge } from '../lib/budgets.mjs';
import { documentation, markdownTable, writeDocumentation } from '../lib/document.mjs';
import { Results } from '../lib/results.mjs';
import { bars } from '../lib/svg.mjs';
import { measurementTables, textTable } from '../lib/tables.mjs';

const BUDGET = {
  id: 'a',
  description: 'Receiving',
  part: 1,
  case: 'receive/text/16',
  kind: 'ratio',
  numerator: 'steady-socket',
  denominator: 'bare',
  atMost: 2,
  floor: 'Why it is 2.',
};

function results() {
  const all = new Results({ cpu: 'a | b', cores: 2 });
  all.versions.chromium = '1.2.3';
  const add = (name, contender, samples, unit = 'ns', part = 1) =>
    all.add({ part, case: name, contender, unit, samples });
  add('receive/text/16', 'bare', Array(20).fill(1_000));
  add('receive/text/16', 'steady-socket', Array(20).fill(1_500));
  add('receive/text/1024', 'bare', Array(20).fill(1_100));
  add('receive/text/1024', 'peer <x>', Array(20).fill(900));
  add(
    '10,000 reconnects/heap',
    'steady-socket',
    Array.from({ length: 11 }, (_, index) => 1_000 + index),
    'bytes',
    4,
  );
  return all;
}

const judged = (all) => [judge(BUDGET, (...key) => all.samples(...key))];

test('cases that differ in the last word stand in one table, contenders in the order of their medians', () => {
  const all = results();
  const text = documentation(all, judged(all))['benchmarks.md'];
  assert.match(text, /### receive\/text\n\n\| {2}\| 16, ns \| 1024, ns \|/);
  assert.match(text, /\| peer <x> \| – \| 900 ±0 % \(−200\) \|\n\| bare \| 1,000 ±0 % \| 1,100 ±0 % \|/);
  assert.match(text, /\| \*\*steady-socket\*\* \| 1,500 ±0 % \(\+500\) \| – \|/);
  assert.match(text, /\| \*\*steady-socket\*\* \| 1,005, × 1\.010 \|/);
});

test('the better stands first, also where more is better', () => {
  const all = new Results({});
  const add = (contender, sample) =>
    all.add({ part: 2, case: 'echo rate/text/16', contender, unit: 'messages/s', samples: [sample] });
  add('slow', 1_000);
  add('quick', 2_000);
  const { 'benchmarks.md': text, 'benchmarks/echo-rate.svg': plot } = documentation(all, []);
  for (const shown of [text, plot, measurementTables(all.measurements)]) {
    assert.ok(shown.indexOf('quick') < shown.indexOf('slow') && shown.includes('quick'), shown);
  }
});

test('the machine, the versions, the budgets and their floors are told', () => {
  const all = results();
  const text = documentation(all, judged(all))['benchmarks.md'];
  assert.match(text, /\| cpu \| a \\\| b \|/);
  assert.match(text, /\| chromium \| 1\.2\.3 \|/);
  assert.match(text, /\| Receiving \| ≤ 2 \| 1\.5 \| 20 \| kept \|/);
  assert.match(text, /\*\*Receiving\*\*: Why it is 2\./);
});

test('what was not measured has no section and no plot', () => {
  const all = results();
  const files = documentation(all, judged(all));
  assert.deepEqual(Object.keys(files).sort(), ['benchmarks.md', 'benchmarks/receive-text.svg']);
  assert.doesNotMatch(files['benchmarks.md'], /## Sizes/);
  for (const [, file] of files['benchmarks.md'].matchAll(/\]\((benchmarks\/[^)]*)\)/g)) assert.ok(file in files, file);
});

test('writing removes the plots that are no more', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-'));
  try {
    const all = results();
    await writeDocumentation(folder, all, judged(all));
    await writeFile(path.join(folder, 'benchmarks/old.svg'), '');
    await writeDocumentation(folder, all, judged(all));
    await assert.rejects(readFile(path.join(folder, 'benchmarks/old.svg')));
    assert.match(await readFile(path.join(folder, 'benchmarks.md'), 'utf8'), /^# Benchmarks/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a plot has a bar for each, as long as its value', () => {
  const rows = [
    { name: 'a & b', value: 50, low: 40, high: 60, own: false },
    { name: 'ours', value: 100, low: 100, high: 100, own: true },
    { name: 'less than nothing', value: -3, low: -5, high: -1, own: false },
  ];
  const svg = bars({ title: 'A "title"', unit: 'ns', rows });
  const widths = [...svg.matchAll(/<rect x="280" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  assert.equal(widths.length, 3);
  assert.ok(Math.abs(widths[1] / widths[0] - 2) < 0.01);
  assert.equal(widths[2], 0);
  assert.match(svg, /a &amp; b/);
  assert.match(svg, /<title>A &quot;title&quot;<\/title>/);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
});

test('a plot of nothing but zeros is a plot', () => {
  assert.doesNotMatch(bars({ title: '', unit: '', rows: [{ name: 'a', value: 0, low: 0, high: 0 }] }), /NaN|Infinity/);
});

test('tables are in columns', () => {
  assert.equal(
    textTable([
      ['a', 'b'],
      ['long', 'c'],
    ]),
    'a     b\nlong  c',
  );
  assert.equal(
    markdownTable([
      ['a', 'b'],
      ['c|d', 'e'],
    ]),
    '| a | b |\n|---|--:|\n| c\\|d | e |',
  );
  assert.match(measurementTables(results().measurements), /steady-socket\s+1,500\s+1,500–1,500\s+500/);
});
