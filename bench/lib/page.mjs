// The pages of the measurements: bundled, served, and opened in Chromium.

import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

import { launchBrowser, openPage } from '../../tests/npm/lib/browser.mjs';
import { serveStatic } from '../../tests/npm/lib/static-server.mjs';
import { OUTPUT, ROOT, required } from './environment.mjs';

const BENCH = path.join(ROOT, 'bench');
const PACKAGE = path.join(ROOT, 'target/package');
const MODULES = path.join(OUTPUT, 'modules');

/** The page's program with all contenders, bundled as a user would bundle it. */
const BUNDLES = path.join(OUTPUT, 'page');

/** The Rust modules, served as they are. */
const RUST = path.join(OUTPUT, 'rust');

/** Bundles the program of the page. */
export async function bundle() {
  await rm(BUNDLES, { recursive: true, force: true });
  await rm(MODULES, { recursive: true, force: true });
  await mkdir(MODULES, { recursive: true });
  await symlink(PACKAGE, path.join(MODULES, 'steady-socket'));
  await build({
    entryPoints: [path.join(BENCH, 'page/main.js')],
    outdir: BUNDLES,
    absWorkingDir: BENCH,
    nodePaths: [MODULES],
    external: ['/rust/*'],
    bundle: true,
    minify: !process.env.B_READABLE,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    sourcemap: true,
    logLevel: 'warning',
  });
  // Where the package looks for it: next to the bundle.
  await cp(path.join(PACKAGE, 'steady-socket.wasm'), path.join(BUNDLES, 'steady-socket.wasm'));
  // That of the entry with sessions.
  await cp(path.join(PACKAGE, 'session/steady-socket-session.wasm'), path.join(BUNDLES, 'session.wasm'));
}

/**
 * Serves the pages, cross-origin isolated for the finer clock, and starts Chromium.
 *
 * @returns `browser`; `open({ script })`, which opens a fresh page that runs the file `script` first, and returns
 *   `page`, `complaints` and `close`; and `close`
 */
export async function openStage({ flags = [] } = {}) {
  const server = await serveStatic({
    port: Number(required('STEADY_SOCKET_PAGE_ORIGIN_PORT')),
    routes: { '/bench/': BUNDLES, '/page/': path.join(BENCH, 'page'), '/rust/': RUST },
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    },
  });
  try {
    const browser = await launchBrowser(flags);
    return {
      browser,
      async open({ script } = {}) {
        const opened = await openPage(browser);
        if (script) await opened.page.addInitScript({ path: script });
        await opened.page.goto(`${server.origin}/page/page.html`);
        return opened;
      },
      async close() {
        await browser.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/**
 * Opens a page with `globalThis.bench`, runs a measurement in it, and closes it; throws if anything went wrong in the
 * page.
 */
export async function inPage(stage, measure) {
  const { page, complaints, close } = await stage.open();
  let result;
  try {
    await page.waitForFunction(() => globalThis.bench !== undefined && crossOriginIsolated);
    result = await measure(page);
  } catch (error) {
    throw new Error([error.message, ...new Set(complaints)].join('\n'), { cause: error });
  } finally {
    await close();
  }
  if (complaints.length > 0) throw new Error(`the page complains: ${[...new Set(complaints)].join('; ')}`);
  return result;
}
