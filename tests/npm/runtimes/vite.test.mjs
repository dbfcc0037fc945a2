// Vite: its development server, with the dependency optimiser, and its builds.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { required } from '../lib/environment.mjs';
import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { MODULES } from './lib/programs.mjs';
import { makeProject } from './lib/project.mjs';
import { visit, visitFolder } from './lib/visit.mjs';

const PORT = required('STEADY_SOCKET_PAGE_ORIGIN_PORT');

for (const [name, config] of [
  ['vite', null],
  // Its optimiser separates the package's JavaScript from the file. The readme has the line.
  ['vite-7', "optimizeDeps: { exclude: ['steady-socket'] }"],
]) {
  const program = path.join(MODULES, name, 'bin/vite.js');

  describe(`${name}${config ? `, with ${config}` : ', with nothing configured'}`, { timeout: 2 * TEST_TIMEOUT }, () => {
    let consumer;
    before(async () => {
      consumer = await makeProject(name, { files: 'app' });
    });
    after(() => consumer?.remove());

    /** Runs a Vite server while a test uses it. */
    async function serving(args, use) {
      const vite = spawn(process.execPath, [program, ...args, '--host', '127.0.0.1', '--port', PORT, '--strictPort'], {
        // With CI set, it would colour the address, which the test parses.
        cwd: consumer.project,
        env: { ...process.env, NO_COLOR: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = new Promise((resolve) => {
        vite.once('exit', resolve);
      });
      let said = '';
      try {
        await within(
          new Promise((resolve, reject) => {
            const listen = (text) => {
              said += text;
              if (said.includes(`:${PORT}`)) resolve();
            };
            vite.stdout.setEncoding('utf8').on('data', listen);
            vite.stderr.setEncoding('utf8').on('data', listen);
            vite.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said}`)));
          }),
          'the start of Vite',
        );
        return await use(`http://127.0.0.1:${PORT}/`);
      } finally {
        vite.kill('SIGTERM');
        await ended;
      }
    }

    test('serves a page under development, and its workers', async () => {
      if (config) {
        const readme = await readFile(path.join(consumer.folder, 'README.md'), 'utf8');
        assert.ok(readme.includes(config), 'the readme has the line');
        await writeFile(path.join(consumer.project, 'vite.config.js'), `export default { ${config} };\n`);
      }
      const modules = await serving([], visit);
      assert.equal(new Set(modules).size, 1, `${modules}`);
      assert.match(modules[0], /\/node_modules\/steady-socket\/steady-socket\.wasm$/);
      const optimised = await stat(path.join(consumer.project, 'node_modules/.vite/deps/steady-socket.js')).then(
        () => true,
        () => false,
      );
      assert.equal(optimised, !config, 'the package was optimised, unless it was kept from that');
    });

    test('builds a page and its workers', async () => {
      await rm(path.join(consumer.project, 'vite.config.js'), { force: true });
      await runProgram(process.execPath, [program, 'build', '--logLevel', 'warn'], { cwd: consumer.project });
      const modules = await serving(['preview'], visit);
      assert.equal(new Set(modules).size, 1, `${modules}`);
      assert.match(modules[0], /\/assets\/steady-socket-[\w-]+\.wasm$/);
      // The preview server sends no content security policy.
      const { pathname } = new URL(modules[0]);
      assert.deepEqual(await visitFolder(path.join(consumer.project, 'dist')), Array(3).fill(pathname));
    });
  });
}
