// Runs the JavaScript example on the README's first screen verbatim.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';

const README = new URL('../../README.md', import.meta.url);

/** The address in the example, where the hello server listens by default. */
const DOCUMENTED = /ws:\/\/(127\.0\.0\.1|localhost):8765/g;

describe('the README', { timeout: TEST_TIMEOUT }, () => {
  test('shows a JavaScript example that is greeted', async () => {
    const example = extract(await readFile(README, 'utf8'));
    const body = example
      .replaceAll(/(['"])steady-socket\1/g, "'/pkg/index.js'")
      .replaceAll(DOCUMENTED, serverAddress('ws'));
    const realm = await openRealm({
      purpose: 'readme',
      routes: { '/example.js': { type: 'text/javascript; charset=utf-8', body } },
    });
    try {
      const printed = [];
      realm.page.on('console', (message) => printed.push(message.text()));
      const greeted = realm.page.waitForEvent('console', (message) => message.text().includes('Hello '));
      await Promise.all([greeted, realm.evaluate('the import of the example', () => import('/example.js'))]);
      assert.match(printed.join('\n'), /Hello [^!\n]+!/);
      assert.deepEqual(realm.complaints, []);
    } finally {
      await realm.close();
    }
  });
});

/** The first JavaScript block that imports the package. */
function extract(readme) {
  const blocks = [
    ...readme.matchAll(/^(?<fence>`{3,}|~{3,})(?:js|javascript|mjs)\b[^\n]*\n(?<code>[\s\S]*?)^\k<fence>[ \t]*$/gm),
  ].map(({ groups }) => groups.code);
  const example = blocks.find((code) => /from\s+['"]steady-socket['"]/.test(code));
  if (example === undefined) {
    throw new Error(
      `README.md has ${blocks.length} blocks marked \`\`\`js, and none imports from 'steady-socket'; ` +
        'the first that does is taken as the example, and has to print a greeting with console.log',
    );
  }
  if (!example.match(DOCUMENTED)) {
    throw new Error(
      "the README's JavaScript example does not connect to ws://127.0.0.1:8765, where the hello server listens",
    );
  }
  return example;
}
