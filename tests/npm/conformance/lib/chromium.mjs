// Chromium, with the same interface as Firefox.

import { launchBrowser, openPage } from '../../lib/browser.mjs';

/** Starts Chromium, headless; every page has a context of its own. */
export async function launchChromium() {
  const browser = await launchBrowser();
  return {
    name: `Chromium ${browser.version()}`,
    /** Opens a page, and returns the text of its body once that is marked as done. */
    async read(url, patience) {
      const { page, close } = await openPage(browser);
      try {
        await page.goto(url);
        await page.waitForFunction(() => document.body?.dataset.done !== undefined, undefined, { timeout: patience });
        return await page.evaluate(() => document.body.textContent);
      } finally {
        await close();
      }
    },
    close: () => browser.close(),
  };
}
