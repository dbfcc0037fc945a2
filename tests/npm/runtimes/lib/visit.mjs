// A page built by a bundler, in Chromium.

import assert from 'node:assert/strict';

import { launchBrowser, openPage } from '../../lib/browser.mjs';
import { required, serverAddress } from '../../lib/environment.mjs';
import { within } from '../../lib/limits.mjs';
import { serveStatic } from '../../lib/static-server.mjs';

const GREETINGS = ['Hello Ada!', 'Hello Bob!'];

/**
 * Opens a page of `app` and waits until it is done: it has been greeted in every realm, without complaints.
 *
 * @param address - the page's
 * @returns the addresses of the WebAssembly modules requested by the page or its dedicated worker
 */
export async function visit(address) {
  const browser = await launchBrowser();
  try {
    const { page, complaints } = await openPage(browser);
    const modules = [];
    page.context().on('request', (request) => {
      if (request.url().includes('.wasm')) modules.push(request.url());
    });
    await page.goto(`${address}?server=${encodeURIComponent(serverAddress('ws'))}`);
    const outcome = await within(
      page.waitForFunction(() => globalThis.outcome).then((handle) => handle.jsonValue()),
      'the end of the page',
    ).catch((error) => {
      throw new Error(`${error.message}; it said: ${complaints.join('; ')}`, { cause: error });
    });
    assert.deepEqual(outcome, { inPage: GREETINGS, inWorker: GREETINGS, inSharedWorker: GREETINGS });
    assert.deepEqual(complaints, []);
    return modules;
  } finally {
    await browser.close();
  }
}

/**
 * The same for a folder with `index.html`, under a content security policy: by default the strictest under which the
 * package can fetch its module.
 *
 * @param routes - additional routes, as {@link serveStatic} takes them
 * @returns the paths of all WebAssembly modules requested
 */
export async function visitFolder(folder, policy = undefined, routes = {}) {
  const modules = [];
  const server = await serveStatic({
    port: Number(required('STEADY_SOCKET_PAGE_ORIGIN_PORT')),
    routes: { ...routes, '/': folder },
    intercept(pathname) {
      if (pathname.endsWith('.wasm')) modules.push(pathname);
      return { policy };
    },
  });
  try {
    await visit(`${server.origin}/index.html`);
    return modules;
  } finally {
    await server.close();
  }
}
