// Chromium, and pages that notice everything that goes wrong in them.

import { chromium } from 'playwright-core';

import { required } from './environment.mjs';
import { launchFirefox } from './firefox.mjs';
import { PATIENCE } from './limits.mjs';

/** Headless, in a container, as any user, and silent on the network. */
export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/** Whether {@link launchAnyBrowser} starts Firefox; otherwise it is Chromium. */
export const IS_FIREFOX = process.env.STEADY_SOCKET_BROWSER === 'firefox';

/** Starts a browser with a fresh profile; the caller closes it. */
export function launchBrowser(flags = []) {
  return chromium.launch({ executablePath: required('CHROMIUM'), args: [...FLAGS, ...flags], timeout: PATIENCE });
}

/**
 * Starts the browser that the environment names, for tests that run in each.
 *
 * @param options.anyCertificate - whether it takes certificates that nobody vouches for
 * @returns `goto(url)`, `reload()` and `evaluate(function, argument)`, which act on its one page; `close`; and in
 *   Chromium also what {@link openPage} gives
 */
export async function launchAnyBrowser({ anyCertificate = false } = {}) {
  if (IS_FIREFOX) return launchFirefox({ anyCertificate });
  const browser = await launchBrowser(anyCertificate ? ['--ignore-certificate-errors'] : []);
  const { page, complaints } = await openPage(browser);
  return {
    page,
    complaints,
    goto: (url) => page.goto(url),
    reload: () => page.reload(),
    evaluate: (run, argument) => page.evaluate(run, argument),
    close: () => browser.close(),
  };
}

/**
 * Opens a page in a context of its own.
 *
 * @param browser - from {@link launchBrowser}
 * @param options - Playwright's options for the context: viewport, colour scheme and so on
 * @returns the page, `complaints` (every uncaught error, console error and violation of the content security
 *   policy, as they come) and `close`
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    // Chromium itself reports every failed handshake and every request that went wrong as an error.
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, complaints, close: () => context.close() };
}
