// Sessions in a browser, through a proxy that cuts their connections.

import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchFirefox } from '../../lib/firefox.mjs';
import { TEST_TIMEOUT } from '../../lib/limits.mjs';
import { installPackage } from '../../lib/package.mjs';
import { serveStatic } from '../../lib/static-server.mjs';
import { launchPlainBrowser } from './plain-browser.mjs';
import { Faults, startServer } from './servers.mjs';
import { eventually, pause } from './world.mjs';

const PAGE = path.join(path.dirname(path.dirname(fileURLToPath(import.meta.url))), 'page');

/** Random numbers from a seed: mulberry32. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A browser, a test server, and a proxy between them.
 *
 * @param browser - `chromium` or `firefox`
 * @returns `openPage()`, a page whose `do(name, argument)` runs a command of `page/session.js`; `restart`, which starts
 *   the server again, with no memory; `proxy`; `close`
 */
export async function openSessions(browser, { flags = [], intercept } = {}) {
  const cleanups = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const { folder, remove } = await installPackage('sessions');
    cleanups.push(remove);
    const pages = await serveStatic({ routes: { '/pkg/': folder, '/faults/': PAGE }, intercept });
    cleanups.push(pages.close);
    const allow = ['--allow-origin', pages.origin];
    let server = await startServer('test-server', allow);
    cleanups.push(() => server.stop());
    const faults = await startServer('fault-server', allow);
    cleanups.push(faults.stop);
    const proxy = await new Faults(faults).proxy('sessions', server.port);
    const restart = async (millis = 0) => {
      await server.stop();
      await pause(millis);
      server = await startServer('test-server', ['--port', String(server.port), ...allow]);
    };
    const url = `${pages.origin}/faults/session.html`;
    if (browser === 'firefox') {
      const firefox = await launchFirefox();
      cleanups.push(firefox.close);
      const openPage = async () => {
        await firefox.goto(url);
        await eventually('the page', () => firefox.evaluate(() => globalThis.sessions !== undefined));
        return { do: (...command) => firefox.evaluate((given) => sessions.do(given), command) };
      };
      return { openPage, restart, proxy, server: () => server, close };
    }
    const plain = await launchPlainBrowser(flags);
    cleanups.push(plain.close);
    const openPage = async () => {
      const page = await plain.context.newPage();
      const cdp = await plain.context.newCDPSession(page);
      await page.goto(url);
      await page.waitForFunction(() => globalThis.sessions);
      return { page, cdp, do: (...command) => page.evaluate((given) => sessions.do(given), command) };
    };
    return { openPage, restart, proxy, server: () => server, origin: pages.origin, context: plain.context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Each connection ends after a random number of bytes, at any point of a frame, until the result is called. Some bytes must
 * be enough for a handshake and the least that can be on its way: batches get smaller, as long as no connection lives for
 * one.
 */
export function cutAtRandom(proxy, random, { least = 1_500, most = 8_000 } = {}) {
  let isOver = false;
  const cutting = (async () => {
    while (!isOver) {
      const stream = random() < 0.5 ? 'upstream' : 'downstream';
      const bytes = Math.floor(least + random() * (most - least));
      await proxy.toxic('limit_data', { bytes }, stream);
      await pause(20 + random() * 60);
    }
    await proxy.cure();
  })();
  return async () => {
    isOver = true;
    await cutting;
  };
}

/** Waits until everything has come back. */
export function finished(page, patience = TEST_TIMEOUT) {
  return eventually(
    'the last echo',
    async () => {
      const now = await page.do('now');
      return now.got >= now.wanted && now.answered + now.refused.length >= now.requests && now;
    },
    patience,
  );
}

/** Both ends had everything once and in order. */
export function showAll(now, count) {
  assert.deepEqual(now.wrong, [], 'messages out of order');
  assert.deepEqual(now.problems, []);
  assert.deepEqual([now.lost, now.undelivered, now.dropped, now.refused], [[], [], 0, []]);
  assert.deepEqual([now.sent, now.got, now.answered], [count, count, now.requests]);
  // The last may be acknowledged a moment later than its echo comes.
  assert.ok(now.delivered >= now.delivers - 10, `${now.delivered} of ${now.delivers} deliveries were handled`);
}
