// A page loaded over https may make only secure connections, or connections to this machine.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';

import { launchAnyBrowser } from './lib/browser.mjs';
import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT, within } from './lib/limits.mjs';

/** The URLs that the native test of the Rust face also checks. */
const table = (await readFile(new URL('../../client/tests/mixed-content.txt', import.meta.url), 'utf8'))
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => line.split(' '));

describe('on a page over https', { timeout: 4 * TEST_TIMEOUT }, () => {
  let browser;

  before(async () => {
    browser = await launchAnyBrowser({ anyCertificate: true });
    // An error response is a page, too, and this one has no policy, which would forbid what the browser itself allows.
    // The server's other files can be imported from it.
    await browser.goto(`${serverAddress('https')}/control/cut`);
  });
  after(() => browser?.close());

  const evaluate = (what, run, argument) => within(browser.evaluate(run, argument), what);

  test('the rule is that of the browser', { timeout: TEST_TIMEOUT }, async () => {
    const judged = await evaluate(
      'the verdicts of the browser',
      (urls) =>
        urls.map((url) => {
          try {
            const socket = new WebSocket(url);
            socket.onerror = () => {};
            socket.close();
            return ['allowed', url];
          } catch (error) {
            return [error.name === 'SecurityError' ? 'refused' : error.name, url];
          }
        }),
      table.map(([, url]) => url),
    );
    assert.deepEqual(judged, table);
  });

  test('[R30] the constructor refuses at once, saying why, unless told otherwise', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const judged = await evaluate(
      'the verdicts of the constructor',
      async (urls) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        return urls.map((url) => {
          new ReconnectingWebSocket(url, [], { startClosed: true, allowInsecure: true });
          try {
            new ReconnectingWebSocket(url, [], { startClosed: true });
            return ['allowed', url];
          } catch (error) {
            const isClear =
              error instanceof DOMException &&
              error.name === 'SecurityError' &&
              ['https', 'wss:', 'allowInsecure'].every((word) => error.message.includes(word));
            return [isClear ? 'refused' : String(error), url];
          }
        });
      },
      table.map(([, url]) => url),
    );
    assert.deepEqual(judged, table);
  });

  test('[R30] such a URL of a function is a failed attempt that says why', { timeout: TEST_TIMEOUT }, async () => {
    const [cause, explanation] = await evaluate('the close event', async () => {
      const { ReconnectingWebSocket } = await import('/pkg/index.js');
      const socket = new ReconnectingWebSocket(() => 'ws://example.org/?secret', [], { maxRetries: 0 });
      const event = await new Promise((resolve) => {
        socket.onclose = resolve;
      });
      return [event.cause, event.explanation];
    });
    assert.equal(cause, 'provider');
    assert.match(explanation, /SecurityError.*allowInsecure/);
    assert.doesNotMatch(explanation, /secret/);
  });

  test('[R30] frames and workers without an origin of their own are judged by the page that made them, as the browser does', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    // A sandbox cannot import from the page's origin: it gets the modules' sources, and builds modules from them.
    const program = `
      const modules = new Map();
      const make = (name) => {
        if (!modules.has(name)) {
          const text = TEXTS[name].replace(/from '\\.\\/([^']+)'/g, (_, other) => "from '" + make(other) + "'");
          modules.set(name, URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
        }
        return modules.get(name);
      };
      const judge = (Class, url) => {
        try {
          new Class(url, [], { startClosed: true });
          return 'allowed';
        } catch (error) {
          return error.name === 'SecurityError' ? 'refused' : String(error);
        }
      };
      const judgeOfBrowser = (url) => {
        try {
          new WebSocket(url).close();
          return 'allowed';
        } catch (error) {
          return error.name === 'SecurityError' ? 'refused' : String(error);
        }
      };
      import(make('reconnecting-websocket.js')).then(({ ReconnectingWebSocket }) => [
        judge(ReconnectingWebSocket, 'ws://example.org/'), judgeOfBrowser('ws://example.org/'), judge(ReconnectingWebSocket, 'ws://127.0.0.1:1/'),
      ], (error) => [String(error)]).then((found) => POST);
    `;
    const judged = await evaluate(
      'the verdicts of frames and workers',
      async (code) => {
        const glue = await (await fetch('/pkg/wasm/steady_socket_wasm.js')).text();
        const [folder] = glue.match(/snippets\/[^/]+\/js\//);
        const texts = {};
        const collect = async (name) => {
          if (texts[name]) return;
          texts[name] = await (await fetch(`/pkg/wasm/${folder}${name}`)).text();
          for (const [, other] of texts[name].matchAll(/from '\.\/([^']+)'/g)) await collect(other);
        };
        await collect('reconnecting-websocket.js');
        const filled = (post) =>
          code.replace('TEXTS[', () => `(${JSON.stringify(texts).replaceAll('<', '\\u003c')})[`).replace('POST', post);
        const html = `<!doctype html><script type="module">${filled("parent.postMessage(found, '*')")}</script>`;
        const answerOf = (target) =>
          new Promise((resolve) => {
            const timer = setTimeout(() => resolve(['no answer']), 15_000);
            target.addEventListener(
              'message',
              ({ data }) => {
                clearTimeout(timer);
                resolve(data);
              },
              { once: true },
            );
          });
        const frame = async (prepare) => {
          const element = document.createElement('iframe');
          prepare(element);
          const answer = answerOf(window);
          document.body.append(element);
          const found = await answer;
          element.remove();
          return found;
        };
        const worker = async (url) => {
          const made = new Worker(url, { type: 'module' });
          const found = await answerOf(made);
          made.terminate();
          return found;
        };
        const inWorker = filled('postMessage(found)');
        return {
          srcdoc: await frame((element) => {
            element.srcdoc = html;
          }),
          'srcdoc in a sandbox': await frame((element) => {
            element.sandbox = 'allow-scripts';
            element.srcdoc = html;
          }),
          'blob: in a sandbox': await frame((element) => {
            element.sandbox = 'allow-scripts';
            element.src = URL.createObjectURL(new Blob([html], { type: 'text/html' }));
          }),
          'a worker from a data: URL': await worker(`data:text/javascript,${encodeURIComponent(inWorker)}`),
          'a worker from a blob': await worker(URL.createObjectURL(new Blob([inWorker], { type: 'text/javascript' }))),
        };
      },
      program,
    );
    for (const [where, verdict] of Object.entries(judged))
      assert.deepEqual(verdict, ['refused', 'refused', 'allowed'], where);
  });

  test('where the browser refuses after all, the attempt has failed', { timeout: TEST_TIMEOUT }, async () => {
    const [cause, explanation] = await evaluate('the close event', async () => {
      const { ReconnectingWebSocket } = await import('/pkg/index.js');
      const socket = new ReconnectingWebSocket('ws://example.org/', [], { allowInsecure: true, maxRetries: 0 });
      const event = await new Promise((resolve) => {
        socket.onclose = resolve;
      });
      return [event.cause, event.explanation];
    });
    assert.equal(cause, 'refused');
    assert.match(explanation, /SecurityError/);
  });
});
