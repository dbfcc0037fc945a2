// Chromium, and pages that record everything that goes wrong in them.

import { chromium } from 'playwright-core';

import { required } from './environment.mjs';
import { launchFirefox } from './firefox.mjs';
import { PATIENCE } from './limits.mjs';

/** Headless, in a container, as any user, and without network traffic of its own. */
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

/** How often to start Chromium at most, for one browser. */
const STARTS = 3;

/** Matches the error of a start whose process crashed by itself; one killed for being late does not match. */
const CRASHED = /signal=(SIG(?:ABRT|BUS|ILL|SEGV|TRAP))/;

/**
 * Starts Chromium, and retries if it crashes.
 *
 * Its main process crashed now and then (with a segmentation fault) on a machine short of resources, before there was
 * any page. Nothing under test has run by then, and the crash is reported.
 *
 * @param start - starts it once; an error names the signal that ended the process, as Playwright's do
 * @returns the result of `start`
 */
export async function startAgainIfCrashed(start) {
  for (let count = 1; ; count += 1) {
    try {
      return await start();
    } catch (error) {
      const [, signal] = CRASHED.exec(error.message) ?? [];
      if (!signal || count === STARTS) throw error;
      console.error(`Chromium crashed at start ${count} of at most ${STARTS} (${signal}): started again`);
    }
  }
}

/** Starts a browser with a fresh profile; the caller closes it. */
export function launchBrowser(flags = []) {
  const options = { executablePath: required('CHROMIUM'), args: [...FLAGS, ...flags], timeout: PATIENCE };
  return startAgainIfCrashed(() => chromium.launch(options));
}

/**
 * Starts the browser named in the environment, for tests that run in each.
 *
 * @param options.anyCertificate - whether to accept untrusted certificates
 * @returns `goto(url)`, `reload()` and `evaluate(function, argument)`, which act on its one page; `close`; and in
 *   Chromium also the result of {@link openPage}
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
 * Opens a page in its own context.
 *
 * @param browser - from {@link launchBrowser}
 * @param options - Playwright's options for the context: viewport, colour scheme and so on
 * @returns the page, `complaints` (every uncaught error, console error, violation of the content security policy and
 *   crash, in order) and `close`
 */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const page = await context.newPage();
  page.on('crash', () => complaints.push('the renderer crashed'));
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    // Chromium itself reports every failed handshake and every failed request as an error.
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, complaints, close: () => context.close() };
}
