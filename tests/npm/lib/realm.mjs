// A page of the test's own, with the installed package at `/pkg/`, on the origin that the server allows.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchBrowser, openPage } from './browser.mjs';
import { required } from './environment.mjs';
import { within } from './limits.mjs';
import { installPackage } from './package.mjs';
import { serveStatic } from './static-server.mjs';

const TESTS = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * Installs the package, serves it, and opens an empty page beside it.
 *
 * @param options.purpose - a word for the scratch folder's name
 * @param options.routes, options.intercept - as {@link serveStatic} takes them, beside `/pkg/`, `/face/`
 *   and the page
 * @returns `page` and `complaints` as {@link openPage} gives them; `evaluate(what, function, argument)`, which
 *   runs a function in the page with a ceiling on its time; `origin`; `project` and `folder`, where the
 *   package is installed; and `close`
 */
export async function openRealm({ purpose, routes = {}, intercept }) {
  const cleanups = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const { project, folder, remove } = await installPackage(purpose);
    cleanups.push(remove);
    const server = await serveStatic({
      port: Number(required('STEADY_SOCKET_PAGE_ORIGIN_PORT')),
      routes: { '/pkg/': folder, '/face/': path.join(TESTS, 'face'), ...routes },
      intercept,
    });
    cleanups.push(server.close);
    const browser = await launchBrowser();
    cleanups.push(() => browser.close());
    const { page, complaints } = await openPage(browser);
    await page.goto(`${server.origin}/face/page.html`);
    const evaluate = (what, run, argument) => within(page.evaluate(run, argument), what);
    return { page, complaints, evaluate, project, folder, origin: server.origin, close };
  } catch (error) {
    await close();
    throw error;
  }
}
