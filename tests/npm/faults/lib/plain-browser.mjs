// Chromium without the switches that test tools add: those turn off the throttling of hidden pages and the back/forward
// cache, and make every page consider itself visible.

import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { chromium } from 'playwright-core';

import { FLAGS, startAgainIfCrashed } from '../../lib/browser.mjs';
import { required, scratchFolder } from '../../lib/environment.mjs';
import { PATIENCE, within } from '../../lib/limits.mjs';

/**
 * Starts a browser with a fresh profile.
 *
 * @param flags - further switches
 * @returns `context`, which contains a user's windows, and `close`
 */
export function launchPlainBrowser(flags = []) {
  return startAgainIfCrashed(() => start(flags));
}

async function start(flags) {
  const profile = await scratchFolder('profile');
  const child = spawn(
    required('CHROMIUM'),
    // Without a window of its own: it would still be opening when the tests connect.
    [
      '--headless',
      ...FLAGS,
      '--no-startup-window',
      `--user-data-dir=${profile}`,
      '--remote-debugging-port=0',
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise((resolve) => {
    child.once('exit', resolve);
  });
  const close = async () => {
    child.kill('SIGKILL');
    await ended;
    // Its helper processes end a moment later, and may still write.
    await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const address = await within(devToolsAddress(child), 'the start of the browser');
    const browser = await chromium.connectOverCDP(address, { noDefaults: true, timeout: PATIENCE });
    const [context] = browser.contexts();
    context.setDefaultTimeout(PATIENCE);
    return { context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function devToolsAddress(child) {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => {
      said = (said + text).slice(-10_000);
      const found = /DevTools listening on (ws:\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(new Error(`the browser ended with exitCode=${code}, signal=${signal}: ${said}`));
    });
  });
}
