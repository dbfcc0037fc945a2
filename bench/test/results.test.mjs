import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { Results } from '../lib/results.mjs';

const MEASUREMENT = { part: 1, case: 'x', contender: 'a', unit: 'ns', samples: [1, 2] };

test('samples of further rounds are added to those of the same case and contender', () => {
  const results = new Results({});
  results.add(MEASUREMENT);
  results.add({ ...MEASUREMENT, samples: [3], note: 'n' });
  results.add({ ...MEASUREMENT, contender: 'b' });
  assert.deepEqual(results.samples(1, 'x', 'a'), [1, 2, 3]);
  assert.equal(results.measurements.length, 2);
  assert.equal(results.measurements[0].note, 'n');
  assert.equal(results.samples(2, 'x', 'a'), undefined);
});

test('a measurement that is none is refused, with what is wrong', () => {
  const results = new Results({});
  for (const [change, message] of [
    [{ samples: [] }, /no list of numbers/],
    [{ samples: [Number.NaN] }, /no list of numbers/],
    [{ part: 'one' }, /part is one/],
    [{ contender: '' }, /contender is/],
    [{ note: 3 }, /note is 3/],
  ])
    assert.throws(() => results.add({ ...MEASUREMENT, ...change }), message);
  results.add(MEASUREMENT);
  assert.throws(() => results.add({ ...MEASUREMENT, unit: 'ms' }), /measured in ns, not in ms/);
});

test('what another program wrote is taken over, and one that wrote something else is named', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bench-'));
  try {
    const [good, bad, whole] = ['good', 'bad', 'whole'].map((name) => path.join(folder, `${name}.json`));
    await writeFile(good, JSON.stringify({ versions: { axum: '1' }, measurements: [MEASUREMENT] }));
    await writeFile(bad, JSON.stringify({ measurements: [{}] }));
    const results = new Results({ cpu: 'c' });
    await results.merge(good);
    assert.deepEqual(results.versions, { axum: '1' });
    await assert.rejects(results.merge(bad), /bad\.json is no file of results/);
    await assert.rejects(results.merge(path.join(folder, 'none')), /is no file of results/);
    await results.write(whole);
    const read = JSON.parse(await readFile(whole, 'utf8'));
    assert.deepEqual(Object.keys(read), ['format', 'started', 'machine', 'versions', 'measurements']);
    assert.deepEqual(read.measurements, [MEASUREMENT]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
