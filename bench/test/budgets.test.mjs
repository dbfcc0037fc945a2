import assert from 'node:assert/strict';
import { test } from 'node:test';

import { budgetTable, checked, contendersOf, judge, number, readBudgets } from '../lib/budgets.mjs';
import { Plan } from '../lib/rounds.mjs';
import { Results } from '../lib/results.mjs';

const RATIO = {
  id: 'a',
  description: 'A',
  part: 1,
  case: 'x',
  kind: 'ratio',
  numerator: 'ours',
  denominator: 'bare',
  atMost: 1.1,
};

/** The verdict on samples of both contenders; half of them are within `spread` of the level. */
function verdictOf(budget, level, spread = 0, rounds = 40) {
  const lists = {
    ours: Array.from({ length: rounds }, (_, round) => level + (round % 2 ? spread : -spread)),
    bare: Array(rounds).fill(1),
  };
  return judge(budget, (_part, _name, contender) => lists[contender]).verdict;
}

test('the committed budgets are in order', async () => {
  const budgets = await readBudgets();
  assert.ok(budgets.length >= 12);
  assert.deepEqual(contendersOf(budgets.find(({ id }) => id === 'receive-handler-rews')), [
    'steady-socket',
    'rews',
    'bare',
  ]);
});

test('a budget is broken only when the whole interval lies beyond it', () => {
  assert.equal(verdictOf(RATIO, 1.05), 'kept');
  assert.equal(verdictOf(RATIO, 1.15), 'broken');
  // From 1.06 to 1.14.
  assert.equal(verdictOf(RATIO, 1.1, 0.04), 'kept');
});

test('at least is the other way round', () => {
  const { atMost, ...rest } = RATIO;
  assert.equal(verdictOf({ ...rest, atLeast: 0.95 }, 0.97), 'kept');
  assert.equal(verdictOf({ ...rest, atLeast: 0.95 }, 0.9), 'broken');
});

test('a wide interval decides nothing, unless all of it lies beyond', () => {
  assert.equal(verdictOf(RATIO, 1, 0.4), 'inconclusive');
  assert.equal(verdictOf(RATIO, 5, 1), 'broken');
  assert.equal(verdictOf(RATIO, 1, 0, 3), 'inconclusive');
});

test('far below the limit, the width is measured by the limit', () => {
  const budget = { ...RATIO, atMost: 0.6 };
  // 0.02 ± 0.01: half of the figure itself, but a sixtieth of the limit.
  assert.equal(verdictOf(budget, 0.02, 0.01), 'kept');
});

test('what was not measured is said to be so', () => {
  const judged = judge(RATIO, (_part, _name, contender) => (contender === 'ours' ? [1] : undefined));
  assert.equal(judged.verdict, 'not measured');
  assert.match(budgetTable([judged])[1].join(' '), /no samples of bare/);
});

test('a budget that makes no sense is named, with what is wrong', () => {
  for (const [change, message] of [
    [{ kind: 'mean' }, /the budget a: kind is one of ratio/],
    [{ denominator: undefined }, /takes numerator, denominator/],
    [{ baseline: 'bare' }, /takes numerator, denominator/],
    [{ atLeast: 1 }, /one of atMost and atLeast/],
    [{ atMost: undefined }, /one of atMost and atLeast/],
    [{ part: '1' }, /part is a whole number/],
    [{ case: '' }, /has no case/],
    [{ limit: 1 }, /has the field limit/],
  ]) {
    const budget = JSON.parse(JSON.stringify({ ...RATIO, ...change }));
    assert.throws(() => checked([budget]), message);
  }
  assert.throws(() => checked([RATIO, RATIO]), /there twice/);
});

test('an inconclusive budget is measured longer, up to the cap', async () => {
  const measured = async (spread) => {
    const results = new Results({});
    const plan = new Plan({ seed: 1, budgets: [RATIO] });
    return plan.untilConclusive({
      results,
      part: 1,
      name: 'x',
      unit: 'ns',
      rounds: { first: 20, more: 20, most: 70 },
      measure: async (count) => ({
        ours: Array.from({ length: count }, (_, round) => 1 + (round % 2 ? spread : -spread)),
        bare: Array(count).fill(1),
      }),
    });
  };
  assert.equal(await measured(0), 20);
  assert.equal(await measured(0.4), 70);
});

test('a check measures only what budgets need', () => {
  const plan = new Plan({ seed: 1, check: true, budgets: [RATIO] });
  assert.ok(plan.wants(1, 'x') && !plan.wants(1, 'y') && !plan.wants(2, 'x'));
  assert.deepEqual(plan.contenders(1, 'x', ['bare', 'other', 'ours']), ['bare', 'ours']);
  const all = new Plan({ seed: 1, pattern: 'json', budgets: [RATIO] });
  assert.ok(all.wants(1, 'receive/json/book-100') && !all.wants(1, 'x'));
  assert.deepEqual(all.contenders(1, 'x', ['bare', 'other']), ['bare', 'other']);
});

test('numbers have three figures, or all of a whole one', () => {
  assert.deepEqual([1.2345, 0.012345, 12_345, 123.4, 2, Infinity, -Infinity, Number.NaN].map(number), [
    '1.23',
    '0.0123',
    '12,345',
    '123',
    '2',
    '∞',
    '−∞',
    '–',
  ]);
});
