// How long to measure.

import { contendersOf, judge } from './budgets.mjs';

/** How many rounds to begin with, how many to add while a budget is inconclusive, and the maximum. */
const FULL = { first: 300, more: 300, most: 3_000 };
/** After this many seconds no more rounds of a case begin: it remains inconclusive. */
const PATIENCE = 120;

const QUICK = { first: 5, more: 0, most: 5 };

/** The command line's request, as the parts need it. */
export class Plan {
  /** @type {{ first: number, more: number, most: number }} */
  rounds;
  /** In milliseconds. */
  warmUp;
  quick;
  check;
  seed;
  #pattern;
  #budgets;
  #mayMeasure;

  /**
   * @param pattern - only cases with this in their names
   * @param seed - of all random numbers
   * @param mayMeasure - called with a contender's name; returns whether to measure it
   */
  constructor({ quick = false, check = false, pattern = '', seed, budgets, mayMeasure = () => true }) {
    this.rounds = quick ? QUICK : FULL;
    this.warmUp = quick ? 100 : 1_500;
    this.quick = quick;
    this.check = check;
    this.seed = seed;
    this.#pattern = pattern;
    this.#budgets = budgets;
    this.#mayMeasure = mayMeasure;
  }

  /** The budgets of a case. */
  budgetsOf(part, name) {
    return this.#budgets.filter((budget) => budget.part === part && budget.case === name);
  }

  /** Whether a case is measured. */
  wants(part, name) {
    return name.includes(this.#pattern) && (!this.check || this.budgetsOf(part, name).length > 0);
  }

  /** The contenders to measure in a case: all, or those that its budgets compare. */
  contenders(part, name, all) {
    const able = all.filter(this.#mayMeasure);
    if (!this.check) return able;
    const needed = new Set(this.budgetsOf(part, name).flatMap(contendersOf));
    return able.filter((contender) => needed.has(contender));
  }

  /**
   * Measures a case in rounds until none of its budgets is inconclusive, or the cap on rounds or time is reached.
   *
   * @param measure - called with a number of rounds; returns a promise of `{ contender: samples }`
   */
  async untilConclusive({ results, part, name, unit, measure, rounds: { first, more, most } = this.rounds }) {
    let done = 0;
    const deadline = performance.now() + 1000 * PATIENCE;
    for (let next = first; next > 0 && performance.now() < deadline; next = Math.min(more, most - done)) {
      for (const [contender, samples] of Object.entries(await measure(next))) {
        results.add({ part, case: name, contender, unit, samples });
      }
      done += next;
      const open = this.budgetsOf(part, name)
        .map((budget) => judge(budget, (...key) => results.samples(...key)))
        .filter(({ verdict }) => verdict === 'inconclusive');
      if (open.length === 0) return done;
    }
    return done;
  }
}
