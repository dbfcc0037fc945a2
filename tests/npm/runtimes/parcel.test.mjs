// Parcel, configured to respect `exports` of packages.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { strictPolicy } from '../lib/static-server.mjs';
import { MODULES } from './lib/programs.mjs';
import { makeProject } from './lib/project.mjs';
import { visitFolder } from './lib/visit.mjs';

const CONFIGURED = '"@parcel/resolver-default": { "packageExports": true }';

describe('Parcel', { timeout: 2 * TEST_TIMEOUT }, () => {
  let consumer;
  // There it finds Parcel's own packages, which it looks up starting from the project.
  before(async () => {
    consumer = await makeProject('parcel', { files: 'app', inside: true });
  });
  after(() => consumer?.remove());

  test(`makes a page and its workers, with ${CONFIGURED} in the package.json`, async () => {
    const { project, folder } = consumer;
    const readme = await readFile(path.join(folder, 'README.md'), 'utf8');
    assert.ok(readme.includes(CONFIGURED), 'the readme has the line');
    // Code shared by two workers would become a bundle of its own, from which Parcel 2.16.4 omits what they import.
    const apart = '"@parcel/bundler-default": { "minBundleSize": 10000000 }';
    await writeFile(
      path.join(project, 'package.json'),
      `{ "name": "consumer", "private": true, "type": "module", ${CONFIGURED}, ${apart} }`,
    );
    const args = ['build', 'index.html', '--no-cache', '--no-source-maps', '--log-level', 'warn'];
    const { NODE_ENV: _, ...env } = process.env;
    await runProgram(process.execPath, [path.join(MODULES, 'parcel/lib/bin.js'), ...args], { cwd: project, env });
    const dist = path.join(project, 'dist');
    const files = (await readdir(dist)).filter((name) => name.endsWith('.wasm'));
    assert.equal(files.length, 1);
    // Parcel writes an import map into the page.
    const policy = strictPolicy({ connect: 'ws://127.0.0.1:*' }).replace(
      "script-src 'self'",
      "script-src 'self' 'unsafe-inline'",
    );
    assert.deepEqual(await visitFolder(dist, policy), Array(3).fill(`/${files[0]}`));
  });
});
