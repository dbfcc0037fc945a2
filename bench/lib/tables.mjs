// Results as tables for a terminal.

import { number } from './budgets.mjs';
import { median, summary } from './statistics.mjs';

/** Units for which higher is better; for all others, lower is. */
const MORE_IS_BETTER = new Set(['messages/s', '1/s']);

/** Compares two figures of a unit: the better one comes first. */
export function betterFirst(unit, left, right) {
  return MORE_IS_BETTER.has(unit) ? right - left : left - right;
}

/** Rows of text as columns; the first row is the header. */
export function textTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Measurements by case: `[{ part, case, rows }]`. */
export function byCase(measurements) {
  const cases = new Map();
  for (const measurement of measurements) {
    const key = JSON.stringify([measurement.part, measurement.case]);
    if (!cases.has(key)) cases.set(key, { part: measurement.part, case: measurement.case, rows: [] });
    cases.get(key).rows.push(measurement);
  }
  return [...cases.values()];
}

/** All measurements, case by case: the median, the quartiles, and in part 1 the cost added to a bare `WebSocket`. */
export function measurementTables(measurements) {
  return byCase(measurements)
    .map(({ part, case: name, rows }) => {
      const bare = part === 1 && rows.find(({ contender }) => contender === 'bare')?.samples;
      const table = rows.map(({ contender, samples, note }) => {
        const { median: middle, low, high } = summary(samples);
        const added = bare ? number(median(samples.map((sample, round) => sample - bare[round]))) : '';
        return { middle, cells: [contender, number(middle), `${number(low)}–${number(high)}`, added, note ?? ''] };
      });
      table.sort((left, right) => betterFirst(rows[0].unit, left.middle, right.middle));
      const head = [`${part} ${name}`, rows[0].unit, 'quartiles', bare ? 'added to bare' : '', ''];
      return `${textTable([head, ...table.map(({ cells }) => cells)])}\n`;
    })
    .join('\n');
}
