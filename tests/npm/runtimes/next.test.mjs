// Next: a server component, a route handler and a client component, built once by its default bundler.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchBrowser, openPage } from '../lib/browser.mjs';
import { required, serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { installPackage, runProgram } from '../lib/package.mjs';
import { MODULES } from './lib/programs.mjs';

const APP = fileURLToPath(new URL('next', import.meta.url));
const NEXT = path.join(MODULES, 'next/dist/bin/next');
const PORT = required('STEADY_SOCKET_PAGE_ORIGIN_PORT');

/** Where it finds itself and React. */
const CONFIG = `
  import path from 'node:path';
  export default {
    turbopack: { root: path.resolve(import.meta.dirname, '../..') },
    experimental: { turbopackFileSystemCacheForBuild: false },
  };
`;

describe('Next, with nothing configured for the package', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let server;
  const environment = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' };
  before(async () => {
    installed = await installPackage('next', { inside: true });
    const { project } = installed;
    await cp(APP, project, { recursive: true });
    await writeFile(path.join(project, 'next.config.mjs'), CONFIG);
    await runProgram(process.execPath, [NEXT, 'build'], { cwd: project, env: environment, timeout: 3 * TEST_TIMEOUT });
    server = spawn(process.execPath, [NEXT, 'start', '-H', '127.0.0.1', '-p', PORT], {
      cwd: project,
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await within(
      new Promise((resolve, reject) => {
        server.stdout.setEncoding('utf8').on('data', (text) => {
          if (text.includes('Ready')) resolve();
        });
        server.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
      }),
      'the start of Next',
    );
  });
  after(async () => {
    if (server && server.exitCode === null) {
      server.kill('SIGTERM');
      await new Promise((resolve) => {
        server.once('exit', resolve);
      });
    }
    await installed?.remove();
  });

  const address = (route) => `http://127.0.0.1:${PORT}${route}?server=${encodeURIComponent(serverAddress('ws'))}`;

  test('a route handler is greeted', async () => {
    const response = await fetch(address('/route'));
    assert.equal(await response.text(), 'Hello Ada!');
  });

  test('a server component and a component of the client are greeted', async () => {
    const browser = await launchBrowser();
    try {
      const { page, complaints } = await openPage(browser);
      await page.goto(address('/'));
      assert.equal(await page.locator('#server').textContent(), 'Hello Ada!');
      await page.locator('#client').getByText('Hello Bob!').waitFor();
      assert.deepEqual(complaints, []);
    } finally {
      await browser.close();
    }
  });
});
