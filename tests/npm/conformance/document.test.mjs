// docs/conformance.md lists exactly the existing cases. With UPDATE=1 in the environment it is rewritten.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readFile, writeFile } from 'node:fs/promises';

import { groups } from './cases.js';
import { exceptions } from './exceptions.js';
import { BEGIN, END, generated } from './lib/table.mjs';

const DOCUMENT = new URL('../../../docs/conformance.md', import.meta.url);

describe('docs/conformance.md', () => {
  test('has the table of the cases and the exceptions', async () => {
    const text = await readFile(DOCUMENT, 'utf8');
    const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
    assert.ok(begin >= 0 && end > begin, `it has the marks ${BEGIN} and ${END}`);
    const current = `${text.slice(0, begin)}${BEGIN}\n\n${generated()}\n\n${text.slice(end)}`;
    if (process.env.UPDATE === '1') await writeFile(DOCUMENT, current);
    else assert.equal(text, current, 'it is as UPDATE=1 writes it');
  });

  test('every name of a case is there once, and every exception is of a case', () => {
    const names = groups.flatMap(({ cases }) => Object.keys(cases));
    assert.equal(new Set(names).size, names.length);
    for (const { case: name } of exceptions) assert.ok(names.includes(name), `there is no case ${name}`);
  });
});
