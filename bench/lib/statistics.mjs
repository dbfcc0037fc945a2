// Statistics of samples that were taken in rounds, one sample of each contender per round.

import { generator } from './random.mjs';

/** The confidence level of every interval. */
export const LEVEL = 0.95;

/**
 * The width, as a share of the figure (or of the limit, if that is larger), beyond which an interval is inconclusive.
 */
export function widthOf(kind) {
  // Growth by a few per cent has to be told apart from none.
  return kind === 'growth' ? 0.02 : 0.1;
}

/** How many times the rounds are resampled for an interval. */
const RESAMPLES = 2_000;

/** With fewer rounds than this, an interval would be meaningless. */
export const LEAST_ROUNDS = 10;

/** The quantile at `share` (0 to 1), interpolated; NaN of no values. */
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

/** The median and the quartiles. */
export function summary(samples) {
  const sorted = Float64Array.from(samples).sort();
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantileOfSorted(sorted, share));
  return { median: middle, low, high, rounds: sorted.length };
}

/**
 * The kinds of figures. Each is computed from lists of samples in which the same index belongs to the same round.
 *
 * * `ratio`: the median, over the rounds, of one contender's time divided by another's in the same round
 * * `added`: what one contender adds to a baseline (the median over the rounds), divided by what another adds to it
 * * `absolute`: the median of one contender's samples
 * * `growth`: one contender's last sample divided by its first, on a line whose slope is the median of the slopes
 *   between all pairs of samples (Theil–Sen), since single readings are noisy
 *
 * Without an interval: `exact`, for what does not vary, such as a size; `change`, the last sample divided by the first,
 * for what is counted, such as timers.
 */
const FIGURES = {
  ratio: ({ numerator, denominator }, rounds) => median(rounds.map((round) => numerator[round] / denominator[round])),
  added: ({ numerator, denominator, baseline }, rounds) =>
    median(rounds.map((round) => numerator[round] - baseline[round])) /
    median(rounds.map((round) => denominator[round] - baseline[round])),
  absolute: ({ numerator }, rounds) => median(rounds.map((round) => numerator[round])),
  growth: ({ numerator }, rounds) => growth(numerator, rounds),
};

/** The kinds without an interval: only a real change affects them. */
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
  // All resampled rounds may be the same one.
  const slope = slopes.length > 0 ? median(slopes) : 0;
  const level = median(samples);
  const first = level - (slope * (samples.length - 1)) / 2;
  const last = first + slope * (samples.length - 1);
  return last === first ? 1 : last / first;
}

/** The lists of samples that each kind needs. */
export const NEEDED = {
  ratio: ['numerator', 'denominator'],
  added: ['numerator', 'denominator', 'baseline'],
  absolute: ['numerator'],
  growth: ['numerator'],
  exact: ['numerator'],
  change: ['numerator'],
};

/**
 * A figure with its 95 % interval: whole rounds are resampled many times, with replacement, so that a disturbance of a
 * round affects both sides of a ratio (percentile bootstrap). Every call draws the same resamples.
 *
 * @param kind - `ratio`, `added`, `absolute` or `growth`; `exact` and `change` have no interval and need no rounds
 * @param samples - `{ numerator, denominator, baseline }`, as the kind needs them, of the same number of rounds
 * @returns `{ value, low, high, rounds }`; the ends are −∞ and ∞ if there are too few rounds
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
    drawn[index] = compute(
      samples,
      all.map(() => Math.floor(random() * rounds)),
    );
  }
  drawn.sort();
  const outside = (1 - LEVEL) / 2;
  return { value, low: quantileOfSorted(drawn, outside), high: quantileOfSorted(drawn, 1 - outside), rounds };
}
