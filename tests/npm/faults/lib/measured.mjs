// Figures for people: no test depends on them.

import { appendFile } from 'node:fs/promises';

import { artifact } from '../../lib/environment.mjs';

/** Prints a figure, and adds it to the table printed after all tests. */
export async function measured(name, value, unit = 'ms') {
  const line = `${name}: ${Math.round(value)} ${unit}`;
  console.log(`MEASURED ${line}`);
  await appendFile(await artifact('faults-measured.txt'), `${line}\n`);
}
