import assert from 'node:assert/strict';
import test from 'node:test';

import { generator, shuffled } from '../lib/random.mjs';
import { figure, median, quantile, summary } from '../lib/statistics.mjs';

/** Samples around `level`: most within a tenth of it, and a few disturbed ones. */
function noisy(level, rounds, seed) {
  const random = generator(seed);
  return Array.from({ length: rounds }, () => level * (0.95 + 0.1 * random()) * (random() < 0.1 ? 3 : 1));
}

test('quantiles lie between the values where they have to', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
  assert.equal(quantile([1, 2], 0.99), 1.99);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual(summary([5, 1, 3]), { median: 3, low: 2, high: 4, rounds: 3 });
});

test('the order of samples does not matter to a quantile, and they are left as they are', () => {
  const samples = [3, 1, 2];
  median(samples);
  assert.deepEqual(samples, [3, 1, 2]);
});

test('a ratio is that of the same rounds, so that what slows both cancels out', () => {
  const random = generator(1);
  const weather = Array.from({ length: 50 }, () => 1 + 9 * random());
  const found = figure('ratio', {
    numerator: weather.map((slow) => 3 * slow),
    denominator: weather.map((slow) => 2 * slow),
  });
  assert.ok(Math.abs(found.value - 1.5) < 1e-12);
  assert.ok(found.high - found.low < 1e-12);
  assert.equal(found.rounds, 50);
});

test('added cost is compared with added cost', () => {
  const baseline = noisy(1_000, 100, 1).map((sample) => Math.min(sample, 1_050));
  const samples = {
    baseline,
    numerator: baseline.map((sample) => sample + 30),
    denominator: baseline.map((sample) => sample + 120),
  };
  assert.ok(Math.abs(figure('added', samples).value - 0.25) < 1e-9);
});

test('the interval holds the true ratio in about nineteen of twenty runs', () => {
  let held = 0;
  const runs = 200;
  for (let run = 0; run < runs; run += 1) {
    const { low, high } = figure('ratio', {
      numerator: noisy(1_300, 40, 2 * run),
      denominator: noisy(1_000, 40, 2 * run + 1),
    });
    if (low <= 1.3 && 1.3 <= high) held += 1;
  }
  // Every run of this test draws the same resamples.
  assert.ok(held >= 0.88 * runs, `${held} of ${runs}`);
});

test('more rounds make the interval narrower', () => {
  const width = (rounds) => {
    const { low, high } = figure('ratio', { numerator: noisy(1_300, rounds, 7), denominator: noisy(1_000, rounds, 8) });
    return high - low;
  };
  assert.ok(width(400) < width(20) / 2);
});

test('the same samples give the same interval', () => {
  const samples = { numerator: noisy(2, 30, 3), denominator: noisy(1, 30, 4) };
  assert.deepEqual(figure('ratio', samples), figure('ratio', samples));
});

test('a few rounds tell nothing', () => {
  const { value, low, high } = figure('ratio', { numerator: [2, 2, 2], denominator: [1, 1, 1] });
  assert.deepEqual([value, low, high], [2, -Infinity, Infinity]);
});

test('rounds that only one of them has are left out', () => {
  assert.equal(figure('ratio', { numerator: Array(30).fill(2), denominator: Array(20).fill(1) }).rounds, 20);
});

test('growth is that from the first sample to the last, and a single reading does not make it', () => {
  const flat = [100, 100, 100, 250, 100, 100, 100, 100, 100, 100, 100];
  assert.equal(figure('growth', { numerator: flat }).value, 1);
  const rising = Array.from({ length: 11 }, (_, index) => 100 + 10 * index);
  const { value, low } = figure('growth', { numerator: rising });
  assert.ok(Math.abs(value - 2) < 1e-9);
  assert.ok(low > 1.5);
  assert.equal(figure('growth', { numerator: Array(11).fill(0) }).value, 1);
});

test('what is exact needs one sample', () => {
  assert.deepEqual(figure('exact', { numerator: [17] }), { value: 17, low: 17, high: 17, rounds: 1 });
});

test('a kind that there is not is named', () => {
  assert.throws(() => figure('mean', { numerator: [1] }), /no kind of figure `mean`/);
});

test('an order that is drawn has everything once, and differs', () => {
  const random = generator(5);
  const items = ['a', 'b', 'c', 'd', 'e', 'f'];
  const orders = Array.from({ length: 20 }, () => shuffled(items, random));
  for (const order of orders) assert.deepEqual([...order].sort(), items);
  assert.ok(new Set(orders.map(String)).size > 10);
});

test('a change is exact, also from nothing', () => {
  const change = (...numerator) => figure('change', { numerator });
  assert.deepEqual(change(20, 25, 20), { value: 1, low: 1, high: 1, rounds: 3 });
  assert.equal(change(20, 20, 21).low, 1.05);
  assert.equal(change(0, 0).value, 1);
  assert.equal(change(0, 1).low, Infinity);
});
