// The modules that the tests of exported classes use, and a page with them.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchBrowser, openPage } from '../lib/browser.mjs';
import { required } from '../lib/environment.mjs';
import { within } from '../lib/limits.mjs';
import { serveStatic } from '../lib/static-server.mjs';

const FOLDER = path.dirname(fileURLToPath(import.meta.url));

/** The output of wasm-pack for `examples/typed-hello`. */
export const typedHello = () => required('STEADY_SOCKET_TYPED_HELLO');

/** The output of wasm-pack for `tests/npm/export/messages`. */
export const messages = () => required('STEADY_SOCKET_EXPORT_MESSAGES');

/**
 * Serves both modules and this folder, and opens a page that has run `page.js`.
 *
 * @param port - of the page, if its origin matters
 * @returns `complaints` of the page; `evaluate(what, function, argument)`, which runs a function in it with a time
 *   limit; and `close`
 */
export async function openModules(port = 0) {
  const cleanups = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const server = await serveStatic({
      port,
      routes: { '/typed-hello/': typedHello(), '/messages/': messages(), '/export/': FOLDER },
    });
    cleanups.push(server.close);
    const browser = await launchBrowser();
    cleanups.push(() => browser.close());
    const { page, complaints } = await openPage(browser);
    await page.goto(`${server.origin}/export/page.html`);
    const evaluate = (what, run, argument) => within(page.evaluate(run, argument), what);
    await evaluate('the modules are loaded', () => globalThis.loaded);
    return { complaints, evaluate, close };
  } catch (error) {
    await close();
    throw error;
  }
}
