// A page for one test, with the installed package at `/pkg/`, on the origin that the server allows.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchAnyBrowser } from './browser.mjs';
import { required } from './environment.mjs';
import { within } from './limits.mjs';
import { installPackage } from './package.mjs';
import { serveStatic, strictPolicy } from './static-server.mjs';

const TESTS = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * Installs the package, serves it, and opens an empty page next to it.
 *
 * @param options.purpose - a word for the scratch folder's name
 * @param options.routes, options.intercept - as {@link serveStatic} takes them, in addition to `/pkg/`, `/face/` and
 *   the page
 * @param options.secure - whether the page connects to the server with TLS
 * @returns `page` and `complaints` as returned by {@link openPage}, in Chromium; `reload`; `evaluate(what, function,
 *   argument, patience)`, which runs a function in the page with a time limit; `call(what, module, name, argument)`, which does
 *   the same with an export of one of the page's modules; `origin`; `project` and `folder`, where the package is
 *   installed; and `close`
 */
export async function openRealm({ purpose, routes = {}, intercept, secure = false }) {
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
      intercept: secure
        ? () => ({ policy: strictPolicy({ connect: 'https://127.0.0.1:* wss://127.0.0.1:*' }) })
        : intercept,
    });
    cleanups.push(server.close);
    const browser = await launchAnyBrowser({ anyCertificate: secure });
    cleanups.push(browser.close);
    await browser.goto(`${server.origin}/face/page.html`);
    const { page, complaints, reload } = browser;
    const evaluate = (what, run, argument, patience) => within(browser.evaluate(run, argument), what, patience);
    const call = (what, ...exported) => evaluate(what, (given) => globalThis.callExported(...given), exported);
    return { page, complaints, reload, evaluate, call, project, folder, origin: server.origin, close };
  } catch (error) {
    await close();
    throw error;
  }
}
