// esbuild, with the WebAssembly file copied next to its output, and with the module embedded.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyFile, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { build } from 'esbuild';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { strictPolicy } from '../lib/static-server.mjs';
import { INLINE, makeProject } from './lib/project.mjs';
import { visitFolder } from './lib/visit.mjs';

describe('esbuild', { timeout: 2 * TEST_TIMEOUT }, () => {
  const consumers = {};
  before(async () => {
    consumers.file = await makeProject('esbuild', { files: 'app' });
    consumers.inline = await makeProject('esbuild-inline', { files: 'app', imports: INLINE });
  });
  after(async () => {
    for (const { remove } of Object.values(consumers)) await remove();
  });

  /** Bundles the page and its workers into `dist`. */
  async function bundle({ project }) {
    const dist = path.join(project, 'dist');
    await build({
      absWorkingDir: project,
      entryPoints: ['main.js', 'worker.js', 'shared-worker.js'],
      outdir: dist,
      bundle: true,
      format: 'esm',
      minify: true,
      logLevel: 'error',
    });
    await copyFile(path.join(project, 'index.html'), path.join(dist, 'index.html'));
    return dist;
  }

  test('makes a page that finds the file that was copied beside it, as the readme says', async () => {
    const { project } = consumers.file;
    const dist = await bundle(consumers.file);
    const readme = await readFile(path.join(consumers.file.folder, 'README.md'), 'utf8');
    const [, command] = /^ *(cp node_modules\/steady-socket\/\S+ dist\/)$/m.exec(readme);
    await runProgram('sh', ['-c', command], { cwd: project });
    // One for each realm.
    assert.deepEqual(await visitFolder(dist), Array(3).fill('/steady-socket.wasm'));
  });

  test('makes a program of the entries with and without sessions, whose files are copied beside it', async () => {
    const { project, folder } = consumers.file;
    const readme = await readFile(path.join(folder, 'README.md'), 'utf8');
    const commands = [...readme.matchAll(/^ *(cp node_modules\/steady-socket\/\S+ dist\/)/gm)].map(([, it]) => it);
    assert.equal(commands.length, 2);
    await writeFile(
      path.join(project, 'both.js'),
      `import * as plain from 'steady-socket';
      import * as session from 'steady-socket/session';
      await Promise.all([plain.load(), session.load()]);
      console.log('loaded');`,
    );
    const outfile = path.join(project, 'dist', 'both.mjs');
    await build({
      absWorkingDir: project,
      entryPoints: ['both.js'],
      outfile,
      bundle: true,
      format: 'esm',
      minify: true,
      logLevel: 'error',
    });
    for (const command of commands) await runProgram('sh', ['-c', command], { cwd: project });
    const { stdout } = await runProgram(process.execPath, [outfile]);
    assert.equal(stdout.trimEnd(), 'loaded');
  });

  test('makes a page with the module embedded, which may fetch nothing', async () => {
    const dist = await bundle(consumers.inline);
    assert.deepEqual((await readdir(dist)).sort(), ['index.html', 'main.js', 'shared-worker.js', 'worker.js']);
    const policy = strictPolicy({ connect: 'ws://127.0.0.1:*' }).replace("connect-src 'self' ", 'connect-src ');
    assert.deepEqual(await visitFolder(dist, policy), []);
  });

  test('makes a program for Node with the module embedded, with nothing copied', async () => {
    const { project } = consumers.file;
    await writeFile(
      path.join(project, 'server.js'),
      "import { load } from 'steady-socket'; load().then(() => console.log('loaded'), ({ message }) => console.log(message));",
    );
    const folder = path.join(project, 'server');
    for (const format of ['esm', 'cjs']) {
      const outfile = path.join(folder, `server.${format === 'esm' ? 'mjs' : 'cjs'}`);
      await build({
        absWorkingDir: project,
        entryPoints: ['server.js'],
        outfile,
        bundle: true,
        platform: 'node',
        format,
        logLevel: 'error',
      });
      const { stdout } = await runProgram(process.execPath, [outfile]);
      assert.equal(stdout.trimEnd(), 'loaded');
    }
  });

  for (const [entry, said] of [
    [
      'steady-socket',
      'the WebAssembly module of steady-socket could not be loaded: the address of this script is not known; give load({ module }), or import steady-socket/inline',
    ],
    ['steady-socket/inline', 'loaded'],
  ]) {
    test(`makes a script that is no module of ${entry}, which says: ${said.slice(0, 70)}`, async () => {
      const { project } = consumers.file;
      await writeFile(
        path.join(project, 'script.js'),
        `import { load } from '${entry}'; load().then(() => console.log('loaded'), ({ message }) => console.log(message));`,
      );
      const outfile = path.join(project, 'script.cjs');
      await build({
        absWorkingDir: project,
        entryPoints: ['script.js'],
        outfile,
        bundle: true,
        format: 'iife',
        logLevel: 'error',
      });
      const { stdout } = await runProgram(process.execPath, [outfile]);
      assert.equal(stdout.trimEnd(), said);
    });
  }
});
