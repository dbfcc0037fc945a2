// Rollup, with the two plugins that an application needs for packages and for files.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { nodeResolve } from '@rollup/plugin-node-resolve';
import { importMetaAssets } from '@web/rollup-plugin-import-meta-assets';
import { rollup } from 'rollup';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { makeProject } from './lib/project.mjs';
import { visitFolder } from './lib/visit.mjs';

describe('Rollup', { timeout: 2 * TEST_TIMEOUT }, () => {
  let consumer;
  before(async () => {
    consumer = await makeProject('rollup', { files: 'app' });
  });
  after(() => consumer?.remove());

  test('makes a page and its workers, with the module as a file', async () => {
    const { project } = consumer;
    const dist = path.join(project, 'dist');
    const bundle = await rollup({
      input: ['main.js', 'worker.js', 'shared-worker.js'].map((file) => path.join(project, file)),
      // The plugin adds workers as unprocessed assets; the bundled workers have these names.
      plugins: [nodeResolve(), importMetaAssets({ exclude: '**/main.js' })],
      onLog: (_, { message }) => assert.fail(message),
    });
    await bundle.write({ dir: dist });
    await bundle.close();
    await copyFile(path.join(project, 'index.html'), path.join(dist, 'index.html'));
    const files = await readdir(path.join(dist, 'assets'));
    assert.deepEqual(
      files.map((file) => file.replace(/-[\w-]{8}\./, '.')),
      ['steady-socket.wasm'],
    );
    assert.deepEqual(await visitFolder(dist), Array(3).fill(`/assets/${files[0]}`));
  });
});
