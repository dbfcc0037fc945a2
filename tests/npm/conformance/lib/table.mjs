// The part of docs/conformance.md that is generated from the cases, the exceptions and the settings.

import { groups } from '../cases.js';
import { differences } from '../differences.js';
import { exceptions } from '../exceptions.js';
import { AS_WEBSOCKET } from '../settings.js';

export const BEGIN =
  '<!-- generated from tests/npm/conformance: `UPDATE=1 node --test tests/npm/conformance/document.test.mjs` -->';
export const END = '<!-- end of the generated part -->';

const BROWSERS = ['Chromium', 'Firefox'];

/** The text between the two marks. */
export function generated() {
  return [
    '### Without reconnecting and queueing',
    '',
    'The options:',
    '',
    '```js',
    ...Object.entries(AS_WEBSOCKET).map(([name, value]) => `${name}: ${value},`),
    '```',
    '',
    `${count()} cases; "same" means that both behave alike.`,
    ...groups.flatMap(({ title, cases }) => [
      '',
      `#### ${title}`,
      '',
      `| case | ${BROWSERS.join(' | ')} |`,
      `|---${'|---'.repeat(BROWSERS.length)}|`,
      ...Object.keys(cases).map(
        (name) => `| ${escaped(name)} | ${BROWSERS.map((browser) => verdict(name, browser)).join(' | ')} |`,
      ),
    ]),
    '',
    '### The exceptions',
    '',
    ...exceptions.flatMap(({ case: name, browsers, notes, reason }, index) => [
      `${index + 1}. *${name}* (${browsers.join(', ')}: ${notes.map((note) => `\`${note}\``).join(', ')}). ${reason}`,
    ]),
    '',
    '### What differs by default',
    '',
    ...Object.keys(differences.cases).map((name) => `* ${name}`),
  ].join('\n');
}

function count() {
  return groups.reduce((sum, { cases }) => sum + Object.keys(cases).length, 0);
}

function verdict(name, browser) {
  const numbers = exceptions.flatMap((one, index) =>
    one.case === name && one.browsers.includes(browser) ? [index + 1] : [],
  );
  return numbers.length === 0 ? 'same' : `exception ${numbers.join(', ')}`;
}

function escaped(text) {
  return text.replaceAll('|', '\\|');
}
