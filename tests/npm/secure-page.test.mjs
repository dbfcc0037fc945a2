// On a page that was loaded over https: only secure connections, or such to this machine.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';

import { launchAnyBrowser } from './lib/browser.mjs';
import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT, within } from './lib/limits.mjs';

/** The URLs that the native test of the Rust face judges, too. */
const table = (await readFile(new URL('../../client/tests/mixed-content.txt', import.meta.url), 'utf8'))
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => line.split(' '));

describe('on a page over https', { timeout: 4 * TEST_TIMEOUT }, () => {
  let browser;

  before(async () => {
    browser = await launchAnyBrowser({ anyCertificate: true });
    // A refusal is a page, too, and one without a policy, which would forbid what the browser itself allows.
    // What the server has besides can be imported from there.
    await browser.goto(`${serverAddress('https')}/control/cut`);
  });
  after(() => browser?.close());

  const evaluate = (what, run, argument) => within(browser.evaluate(run, argument), what);

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
      const { ReconnectingWebSocket } = await import('/pkg/index.js');
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
      const { ReconnectingWebSocket } = await import('/pkg/index.js');
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
      const { ReconnectingWebSocket } = await import('/pkg/index.js');
      const socket = new ReconnectingWebSocket('ws://example.org/', [], { allowInsecure: true, maxRetries: 0 });
      const event = await new Promise((resolve) => { socket.onclose = resolve; });
      return [event.cause, event.explanation];
    });
    assert.equal(cause, 'refused');
    assert.match(explanation, /SecurityError/);
  });
});
