// Figures, for people: nothing is judged by them.

import { appendFile } from 'node:fs/promises';

import { artifact } from '../../lib/environment.mjs';

/** Prints a figure, and adds it to the table that is printed when all tests have run. */
export async function measured(name, value, unit = 'ms') {
  const line = `${name}: ${Math.round(value)} ${unit}`;
  console.log(`MEASURED ${line}`);
  await appendFile(await artifact('faults-measured.txt'), `${line}\n`);
}
