// The budgets of `budgets.json`, and the verdicts of measurements on them.

import { readFile } from 'node:fs/promises';

import { NEEDED, figure, widthOf } from './statistics.mjs';

/** The fields of a budget; the README of the parent folder explains them. */
const FIELDS = [
  'id',
  'description',
  'part',
  'case',
  'kind',
  'numerator',
  'denominator',
  'baseline',
  'atMost',
  'atLeast',
  'floor',
];

/** Reads the budgets; throws if any is invalid. */
export async function readBudgets(file = new URL('../budgets.json', import.meta.url)) {
  return checked(JSON.parse(await readFile(file, 'utf8')));
}

/** Returns the budgets if all are valid. */
export function checked(budgets) {
  const ids = new Set();
  for (const budget of budgets) {
    const name = `the budget ${budget.id}`;
    const unknown = Object.keys(budget).filter((field) => !FIELDS.includes(field));
    if (unknown.length > 0)
      throw new Error(`${name} has the field ${unknown.join(', ')}; the fields are ${FIELDS.join(', ')}`);
    for (const field of ['id', 'description', 'case']) {
      if (typeof budget[field] !== 'string' || budget[field] === '') throw new Error(`${name} has no ${field}`);
    }
    if (ids.has(budget.id)) throw new Error(`${name} is there twice`);
    ids.add(budget.id);
    if (!Number.isInteger(budget.part)) throw new Error(`${name}: part is a whole number, not ${budget.part}`);
    const needed = NEEDED[budget.kind];
    if (!needed) throw new Error(`${name}: kind is one of ${Object.keys(NEEDED).join(', ')}, not ${budget.kind}`);
    for (const role of ['numerator', 'denominator', 'baseline']) {
      if (needed.includes(role) !== (typeof budget[role] === 'string')) {
        throw new Error(`${name}: the kind ${budget.kind} takes ${needed.join(', ')}`);
      }
    }
    const limits = [budget.atMost, budget.atLeast].filter((limit) => limit !== undefined);
    if (limits.length !== 1 || !Number.isFinite(limits[0]))
      throw new Error(`${name} takes one of atMost and atLeast, a number`);
  }
  return budgets;
}

/** The contenders that a budget compares. */
export function contendersOf(budget) {
  return NEEDED[budget.kind].map((role) => budget[role]);
}

/**
 * The verdict of measurements on a budget.
 *
 * * `broken`: the whole 95 % interval is beyond the limit
 * * `inconclusive`: the interval is wider than 10 % (for growth, 2 %) of the figure, or of the limit if that is larger
 * * `kept`: neither
 * * `not measured`: a contender that it needs has no samples
 *
 * A figure whose whole interval is beyond the limit is broken, however wide the interval is.
 *
 * @param samples - `(part, case, contender) => number[] | undefined`
 * @returns `{ budget, verdict, value, low, high, rounds }`; without a figure if it was not measured
 */
export function judge(budget, samples) {
  const lists = {};
  for (const role of NEEDED[budget.kind]) {
    lists[role] = samples(budget.part, budget.case, budget[role]);
    if (!lists[role]) return { budget, verdict: 'not measured', missing: budget[role] };
  }
  const found = figure(budget.kind, lists);
  return { budget, verdict: verdict(budget, found), ...found };
}

function verdict({ kind, atMost, atLeast }, { value, low, high }) {
  const limit = atMost ?? atLeast;
  const isBroken = atMost === undefined ? high < limit : low > limit;
  if (isBroken) return 'broken';
  // NaN ends up here as inconclusive, too.
  return high - low <= widthOf(kind) * Math.max(Math.abs(value), Math.abs(limit)) ? 'kept' : 'inconclusive';
}

/** The verdicts as a table for people. */
export function budgetTable(judgements) {
  const rows = judgements.map(({ budget, verdict: word, value, low, high, rounds, missing }) => {
    const limit = budget.atMost === undefined ? `≥ ${number(budget.atLeast)}` : `≤ ${number(budget.atMost)}`;
    const measured =
      word === 'not measured'
        ? `no samples of ${missing}`
        : `${number(value)}${low === high ? '' : ` [${number(low)}, ${number(high)}]`}`;
    return [budget.id, limit, measured, rounds === undefined ? '' : String(rounds), word];
  });
  return [['budget', 'limit', 'measured [95 %]', 'rounds', 'verdict'], ...rows];
}

/** Three significant digits, or the whole number if it has more. */
export function number(value) {
  if (!Number.isFinite(value)) return value > 0 ? '∞' : value < 0 ? '−∞' : '–';
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 100) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}
