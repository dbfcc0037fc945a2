// Bar charts with a bar for each contender.

import { number } from './budgets.mjs';

const WIDTH = 860;
const LEFT = 280;
const RIGHT = 90;
const TOP = 44;
const ROW = 22;

const COLOURS = { own: '#0969da', other: '#8c959f', line: '#d0d7de', spread: '#24292f' };

function escaped(text) {
  return text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]);
}

/** About five round numbers from 0 to `most`. */
function ticks(most) {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) => index * step);
}

/**
 * A plot as the text of an SVG file.
 *
 * @param title - above the plot
 * @param unit - of the axis
 * @param rows - from top to bottom: `{ name, value, low, high, own }`; the quartiles appear as a line, and this
 *   library's own bars in a different colour
 */
export function bars({ title, unit, rows }) {
  // Measurements of almost nothing may be negative.
  const most = Math.max(...rows.map(({ value, high }) => Math.max(value, high, 0))) || 1;
  const x = (value) => Number((LEFT + (Math.max(value, 0) / most) * (WIDTH - LEFT - RIGHT)).toFixed(1));
  const bottom = TOP + rows.length * ROW;
  const height = bottom + 40;
  const grid = ticks(most).map(
    (tick) =>
      `<path d="M${x(tick)} ${TOP}V${bottom}" stroke="${COLOURS.line}"/>` +
      `<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${number(tick)}</text>`,
  );
  const lines = rows.map(({ name, value, low, high, own }, index) => {
    const y = TOP + index * ROW;
    const middle = y + ROW / 2;
    return (
      `<text x="${LEFT - 8}" y="${middle + 4}" text-anchor="end"${own ? ' font-weight="bold"' : ''}>${escaped(name)}</text>` +
      `<rect x="${LEFT}" y="${y + 4}" width="${Number((x(value) - LEFT).toFixed(1))}" height="${ROW - 8}" fill="${own ? COLOURS.own : COLOURS.other}"/>` +
      `<path d="M${x(low)} ${middle}H${x(high)}" stroke="${COLOURS.spread}"/>` +
      `<text x="${x(Math.max(value, high)) + 6}" y="${middle + 4}">${number(value)}</text>`
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="24" font-size="14" font-weight="bold">${escaped(title)}</text>`,
    ...grid,
    ...lines,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${bottom + 34}" text-anchor="middle">${escaped(unit)}</text>`,
    '</svg>',
    '',
  ].join('\n');
}
