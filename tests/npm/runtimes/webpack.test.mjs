// webpack, without any configuration except its output folder.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import webpack from 'webpack';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { INLINE, makeProject } from './lib/project.mjs';
import { visitFolder } from './lib/visit.mjs';

describe('webpack', { timeout: 2 * TEST_TIMEOUT }, () => {
  const consumers = {};
  before(async () => {
    consumers.file = await makeProject('webpack', { files: 'app' });
    consumers.inline = await makeProject('webpack-inline', { files: 'app', imports: INLINE });
  });
  after(async () => {
    for (const { remove } of Object.values(consumers)) await remove();
  });

  for (const which of ['file', 'inline']) {
    test(`makes a page and its workers, with the module ${which === 'file' ? 'as a file' : 'embedded'}`, async () => {
      const { project } = consumers[which];
      const dist = path.join(project, 'dist');
      const stats = await promisify(webpack)({
        mode: 'production',
        context: project,
        entry: './main.js',
        output: { path: dist, filename: 'main.js' },
      });
      assert.deepEqual(stats.toJson({ errors: true }).errors, []);
      await copyFile(path.join(project, 'index.html'), path.join(dist, 'index.html'));
      const files = (await readdir(dist)).filter((name) => name.endsWith('.wasm'));
      assert.equal(files.length, which === 'file' ? 1 : 0);
      assert.deepEqual(await visitFolder(dist), which === 'file' ? Array(3).fill(`/${files[0]}`) : []);
    });
  }
});
