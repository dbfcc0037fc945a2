// The cases of traps.js, in a page of Chromium.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { openRealm } from '../lib/realm.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));

// The names are read from the source, since the module itself imports the package from the page's origin.
const source = await readFile(new URL('./traps.js', import.meta.url), 'utf8');
const names = [...source.matchAll(/^ {2}async '(.+?)'\(/gm)].map(([, name]) => name);

describe('traps that others have fallen into', { timeout: names.length * TEST_TIMEOUT }, () => {
  let realm;
  before(async () => {
    realm = await openRealm({ purpose: 'traps', routes: { '/conformance/': HERE } });
  });
  after(() => realm?.close());

  test('every case of the file is found', async () => {
    const exported = await realm.evaluate('the cases', async () =>
      Object.keys((await import('/conformance/traps.js')).traps),
    );
    assert.deepEqual(names, exported);
  });

  for (const name of names) {
    test(name, { timeout: TEST_TIMEOUT }, async () => {
      await realm.page.reload();
      const failure = await realm.evaluate(
        'the case',
        async ([which, server]) => {
          const { traps } = await import('/conformance/traps.js');
          const { Context, load } = await import('/face/harness.js');
          await load();
          const context = new Context(server, []);
          try {
            await traps[which](context);
            return null;
          } catch (error) {
            return `${error?.stack ?? error}\n${context.history()}`;
          } finally {
            context.end();
          }
        },
        [name, { ws: serverAddress('ws'), http: serverAddress('http') }],
      );
      assert.equal(failure, null, failure);
    });
  }

  test('README.md names tests that there are', async () => {
    const readme = await readFile(new URL('./README.md', import.meta.url), 'utf8');
    const rows = [...readme.matchAll(/^\| .*? \| `(?<file>[^`]+)`: (?<name>.+?) \|$/gm)].map(({ groups }) => groups);
    assert.ok(rows.length > 25, `rows of the table: ${rows.length}`);
    for (const { file, name } of rows) {
      const text = await readFile(new URL(`../../../${file}`, import.meta.url), 'utf8');
      assert.ok(text.includes(name), `${file} has no test called ${name}`);
    }
  });
});
