// What can be said of samples that were taken in rounds, each contender once a round.

import { generator } from './random.mjs';

/** The level of every interval. */
export const LEVEL = 0.95;

/** An interval wider than this share of the figure, or of the limit if that is more, decides nothing. */
export function widthOf(kind) {
  // What grows by some per cent is to be told from what does not grow.
  return kind === 'growth' ? 0.02 : 0.1;
}

/** How many times the rounds are drawn anew for an interval. */
const RESAMPLES = 2_000;

/** Fewer rounds than this give no interval that is worth its name. */
export const LEAST_ROUNDS = 10;

/** The value at `share` (0 to 1) of the values in order, between two of them where it falls there; NaN of none. */
export function quantile(values, share) {
  return quantileOfSorted(Float64Array.from(values).sort(), share);
}

function quantileOfSorted(sorted, share) {
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

export function median(values) {
  return quantile(values, 0.5);
}

/** The median, and the quartiles that half of the samples lie between. */
export function summary(samples) {
  const sorted = Float64Array.from(samples).sort();
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantileOfSorted(sorted, share));
  return { median: middle, low, high, rounds: sorted.length };
}

/**
 * The kinds of figures. Each is computed from lists of samples in which the same index is the same round.
 *
 * * `ratio`: the median, over the rounds, of what one contender took against another in the same round
 * * `added`: what one contender adds to a baseline (the median over the rounds) against what another adds to it
 * * `absolute`: the median of one contender's samples
 * * `growth`: what the last of one contender's samples is of the first, by the slope that is the median of those
 *   between any two samples (Theil–Sen), since a single reading has its noise
 *
 * And without an interval: `exact`, for what does not vary, such as a size; `change`, what the last sample is of the
 * first, for what is counted, such as timers.
 */
const FIGURES = {
  ratio: ({ numerator, denominator }, rounds) => median(rounds.map((round) => numerator[round] / denominator[round])),
  added: ({ numerator, denominator, baseline }, rounds) => (
    median(rounds.map((round) => numerator[round] - baseline[round]))
    / median(rounds.map((round) => denominator[round] - baseline[round]))
  ),
  absolute: ({ numerator }, rounds) => median(rounds.map((round) => numerator[round])),
  growth: ({ numerator }, rounds) => growth(numerator, rounds),
};

/** The kinds that have no interval, since nothing but what they tell of changes them. */
const EXACT = {
  exact: ({ numerator }) => median(numerator),
  change: ({ numerator }) => change(numerator[0], numerator.at(-1)),
};

function change(first, last) {
  return first === last ? 1 : last / first;
}

function growth(samples, rounds) {
  const slopes = [];
  for (const [index, from] of rounds.entries()) {
    for (const to of rounds.slice(index + 1)) {
      if (to !== from) slopes.push((samples[to] - samples[from]) / (to - from));
    }
  }
  // All rounds that were drawn may be one.
  const slope = slopes.length > 0 ? median(slopes) : 0;
  const level = median(samples);
  const first = level - (slope * (samples.length - 1)) / 2;
  const last = first + slope * (samples.length - 1);
  return last === first ? 1 : last / first;
}

/** The lists that each kind needs. */
export const NEEDED = {
  ratio: ['numerator', 'denominator'],
  added: ['numerator', 'denominator', 'baseline'],
  absolute: ['numerator'],
  growth: ['numerator'],
  exact: ['numerator'],
  change: ['numerator'],
};

/**
 * A figure with its 95 % interval: the rounds are drawn anew many times, with replacement, and whole, so that what
 * disturbed a round disturbs both sides of a ratio (percentile bootstrap). The draws are the same in every call.
 *
 * @param kind - `ratio`, `added`, `absolute` or `growth`; `exact` and `change` have no interval and need no rounds
 * @param samples - `{ numerator, denominator, baseline }` as the kind needs them, of the same number of rounds
 * @returns `{ value, low, high, rounds }`; the ends are −∞ and ∞ where there are too few rounds to tell
 */
export function figure(kind, samples) {
  if (kind in EXACT) {
    const value = EXACT[kind](samples);
    return { value, low: value, high: value, rounds: samples.numerator.length };
  }
  const compute = FIGURES[kind];
  if (!compute) throw new Error(`there is no kind of figure \`${kind}\`; there are ${Object.keys(NEEDED).join(', ')}`);
  const lists = NEEDED[kind].map((name) => samples[name]);
  const rounds = Math.min(...lists.map((list) => list.length));
  const all = Array.from({ length: rounds }, (_, round) => round);
  const value = compute(samples, all);
  if (rounds < LEAST_ROUNDS) return { value, low: -Infinity, high: Infinity, rounds };
  const random = generator(rounds);
  const drawn = new Float64Array(RESAMPLES);
  for (let index = 0; index < RESAMPLES; index += 1) {
    drawn[index] = compute(samples, all.map(() => Math.floor(random() * rounds)));
  }
  drawn.sort();
  const outside = (1 - LEVEL) / 2;
  return { value, low: quantileOfSorted(drawn, outside), high: quantileOfSorted(drawn, 1 - outside), rounds };
}
