// How the tests start Chromium.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launchPlainBrowser } from './faults/lib/plain-browser.mjs';
import { launchBrowser, openPage } from './lib/browser.mjs';
import { required, scratchFolder } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';

describe('the start of Chromium', { timeout: TEST_TIMEOUT }, () => {
  const chromium = required('CHROMIUM');
  let scratch;
  before(async () => {
    scratch = await scratchFolder('launch');
  });
  after(async () => {
    process.env.CHROMIUM = chromium;
    await rm(scratch, { recursive: true });
  });

  /** Replaces Chromium with a program that ends with `signal` the first `times` times; returns how often it ran. */
  async function crashing(times, signal) {
    const folder = await mkdtemp(path.join(scratch, 'program-'));
    const [program, starts] = [path.join(folder, 'chromium'), path.join(folder, 'starts')];
    await writeFile(
      program,
      `#!/bin/sh
echo start >> '${starts}'
[ "$(wc -l < '${starts}')" -gt ${times} ] || kill -${signal} $$
exec '${chromium}' "$@"
`,
      { mode: 0o755 },
    );
    process.env.CHROMIUM = program;
    return async () => (await readFile(starts, 'utf8')).trim().split('\n').length;
  }

  test('is made again where it crashed', async () => {
    const starts = await crashing(2, 'SEGV');
    const browser = await launchBrowser();
    try {
      const { page } = await openPage(browser);
      assert.equal(await page.evaluate(() => document.readyState), 'complete');
    } finally {
      await browser.close();
    }
    assert.equal(await starts(), 3);
  });

  test("is made again where it crashed, without a test tool's switches", async () => {
    const starts = await crashing(1, 'SEGV');
    const browser = await launchPlainBrowser();
    await browser.close();
    assert.equal(await starts(), 2);
  });

  test('is made three times, and no more', async () => {
    const starts = await crashing(3, 'SEGV');
    await assert.rejects(launchBrowser(), /signal=SIGSEGV/);
    assert.equal(await starts(), 3);
  });

  test('is not made again where it ended otherwise', async () => {
    const starts = await crashing(1, 'TERM');
    await assert.rejects(launchBrowser(), /signal=SIGTERM/);
    assert.equal(await starts(), 1);
  });
});
