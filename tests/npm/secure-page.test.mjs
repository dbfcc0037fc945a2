// On a page that was loaded over https: only secure connections, or such to this machine.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { launchBrowser, openPage } from './lib/browser.mjs';
import { TEST_TIMEOUT, within } from './lib/limits.mjs';
import { installPackage } from './lib/package.mjs';

const ORIGIN = 'https://steady-socket.test';
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** The URLs that the native test of the Rust face judges, too. */
const table = (await readFile(new URL('../../client/tests/mixed-content.txt', import.meta.url), 'utf8'))
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => line.split(' '));

describe('on a page over https', { timeout: 4 * TEST_TIMEOUT }, () => {
  const cleanups = [];
  let page;

  before(async () => {
    const { folder, remove } = await installPackage('secure-page');
    cleanups.push(remove);
    const browser = await launchBrowser();
    cleanups.push(() => browser.close());
    ({ page } = await openPage(browser));
    // The browser itself answers for the origin, so that no certificate is needed.
    await page.route(`${ORIGIN}/**`, async (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>page</title>' });
      const body = await readFile(path.join(folder, pathname)).catch(() => undefined);
      return route.fulfill(body ? { contentType: TYPES[path.extname(pathname)], body } : { status: 404 });
    });
    await page.goto(`${ORIGIN}/`);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const evaluate = (what, run, argument) => within(page.evaluate(run, argument), what);

  test('the rule is that of the browser', { timeout: TEST_TIMEOUT }, async () => {
    const judged = await evaluate('the verdicts of the browser', (urls) => urls.map((url) => {
      try {
        const socket = new WebSocket(url);
        socket.onerror = () => {};
        socket.close();
        return ['allowed', url];
      } catch (error) {
        return [error.name === 'SecurityError' ? 'refused' : error.name, url];
      }
    }), table.map(([, url]) => url));
    assert.deepEqual(judged, table);
  });

  test('[R30] the constructor refuses at once, saying why, unless told otherwise', { timeout: TEST_TIMEOUT }, async () => {
    const judged = await evaluate('the verdicts of the constructor', async (urls) => {
      const { ReconnectingWebSocket } = await import('/index.js');
      return urls.map((url) => {
        new ReconnectingWebSocket(url, [], { startClosed: true, allowInsecure: true });
        try {
          new ReconnectingWebSocket(url, [], { startClosed: true });
          return ['allowed', url];
        } catch (error) {
          const isClear = error instanceof DOMException && error.name === 'SecurityError'
            && ['https', 'wss:', 'allowInsecure'].every((word) => error.message.includes(word));
          return [isClear ? 'refused' : String(error), url];
        }
      });
    }, table.map(([, url]) => url));
    assert.deepEqual(judged, table);
  });

  test('[R30] such a URL of a function is a failed attempt that says why', { timeout: TEST_TIMEOUT }, async () => {
    const [cause, explanation] = await evaluate('the close event', async () => {
      const { ReconnectingWebSocket } = await import('/index.js');
      const socket = new ReconnectingWebSocket(() => 'ws://example.org/?secret', [], { maxRetries: 0 });
      const event = await new Promise((resolve) => { socket.onclose = resolve; });
      return [event.cause, event.explanation];
    });
    assert.equal(cause, 'provider');
    assert.match(explanation, /SecurityError.*allowInsecure/);
    assert.doesNotMatch(explanation, /secret/);
  });

  test('where the browser refuses after all, the attempt has failed', { timeout: TEST_TIMEOUT }, async () => {
    const [cause, explanation] = await evaluate('the close event', async () => {
      const { ReconnectingWebSocket } = await import('/index.js');
      const socket = new ReconnectingWebSocket('ws://example.org/', [], { allowInsecure: true, maxRetries: 0 });
      const event = await new Promise((resolve) => { socket.onclose = resolve; });
      return [event.cause, event.explanation];
    });
    assert.equal(cause, 'refused');
    assert.match(explanation, /SecurityError/);
  });
});
