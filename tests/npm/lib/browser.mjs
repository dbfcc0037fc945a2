// Chromium, and pages that notice everything that goes wrong in them.

import { chromium } from 'playwright-core';

import { required } from './environment.mjs';
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

/** Starts a browser with a fresh profile; the caller closes it. */
export function launchBrowser() {
  return chromium.launch({ executablePath: required('CHROMIUM'), args: FLAGS, timeout: PATIENCE });
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
