// Profiles instead of measurements, for the parts that support them.

import { inPage } from '../lib/page.mjs';
import { profile, profileTables } from '../lib/profile.mjs';
import { textTable } from '../lib/tables.mjs';

/**
 * Prints where the time of a case goes, with a page of its own for each contender.
 *
 * @param open - called with a page and the contender's name; opens the case and warms it up
 * @param run - called with the page; does the work to profile
 */
export async function printProfiles({ stage, title, contenders, open, run }) {
  for (const contender of contenders) {
    const found = await inPage(stage, async (page) => {
      await open(page, contender);
      return profile(page, () => run(page));
    });
    for (const rows of profileTables(`${title}, ${contender}`, found)) console.log(`${textTable(rows)}\n`);
  }
}
