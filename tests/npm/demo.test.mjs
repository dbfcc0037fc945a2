// The demo page in Chromium, as a visitor uses it: greeted, cut off, recovered.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launchBrowser, openPage } from './lib/browser.mjs';
import { artifact, required, serverAddress } from './lib/environment.mjs';
import { PATIENCE, TEST_TIMEOUT } from './lib/limits.mjs';

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 320, height: 640 };

describe('the demo page', { timeout: 4 * TEST_TIMEOUT }, () => {
  let browser;
  before(async () => {
    browser = await launchBrowser();
  });
  after(() => browser?.close());

  test('greets, is cut off, recovers and greets again', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    try {
      await demo.greet('Ada');
      await demo.greeting('Hello Ada!');
      await demo.screenshot('demo-desktop.png');

      const states = await demo.recordStates();
      await demo.page.click('#cut');
      await demo.counter('reconnects', '1');
      await demo.state('open');
      assert.deepEqual(await states(), ['waiting', 'connecting', 'open'], 'the states that the badge showed');

      await demo.greet('Grace');
      await demo.greeting('Hello Grace!');
      await demo.counter('sent', '2');
      await demo.counter('received', '2');
      const log = await demo.page.textContent('#log');
      assert.match(log, /Closed with code 1006/);
      assert.match(log, /Connected again/);
      await demo.screenshot('demo-recovered.png', true);
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('loses none of a hundred messages in a session that is cut', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    try {
      await demo.page.click('#hundred-start');
      await demo.result(/^In a session: 0 lost, 0 repeated, \d+ replayed by the server\.$/);
      const states = await demo.page.$$eval('#hundred-cells li', (items) =>
        items.map(({ textContent }) => textContent),
      );
      assert.equal(states.length, 100);
      assert.ok(states.every((state) => state === 'came back' || state === 'replayed'));
      await demo.screenshot('demo-hundred.png', true);
      await demo.page.check('#hundred-plain');
      await demo.page.click('#hundred-start');
      await demo.result(/^On a plain connection: \d+ lost, 0 repeated, 0 replayed by the server\.$/);
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('keeps what is sent while the connection is down, and has it greeted after', async () => {
    // The server refuses this page's connections as long as the test says, so that "down" is not a race.
    const demo = await openDemo(browser, { viewport: PHONE, colorScheme: 'dark' }, async (page) => {
      await page.addInitScript(() => {
        const { WebSocket } = globalThis;
        globalThis.refusing = false;
        globalThis.WebSocket = new Proxy(WebSocket, {
          construct(target, [url, protocols]) {
            return new target(globalThis.refusing ? new URL('/not-an-endpoint', url) : url, protocols);
          },
        });
      });
    });
    try {
      await demo.greet('Ada');
      await demo.greeting('Hello Ada!');
      await demo.page.evaluate(() => {
        globalThis.refusing = true;
      });
      await demo.page.click('#cut');
      await demo.state('waiting', 'connecting');
      await demo.greet('Barbara');
      await demo.greet('Katherine');
      await demo.counter('queued', '2');
      assert.deepEqual(await demo.names(), ['Katherine queued', 'Barbara queued', 'Ada greeted']);
      await demo.state('waiting');
      await demo.page.waitForSelector('#countdown:has-text("next attempt in")');
      await demo.screenshot('demo-waiting-phone-dark.png', true);

      await demo.page.evaluate(() => {
        globalThis.refusing = false;
      });
      await demo.page.click('#reconnect');
      await demo.greeting('Hello Katherine!');
      await demo.counter('queued', '0');
      assert.deepEqual(await demo.names(), ['Katherine greeted', 'Barbara greeted', 'Ada greeted']);
      // Chromium reports the handshakes that this test made fail.
      demo.assertContent(/WebSocket connection to .*not-an-endpoint/);
    } finally {
      await demo.close();
    }
  });

  test('explains a bad name beside the field, and stays connected', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    try {
      for (const [name, explanation] of [
        ['', /enter a name/],
        [' \u3000 ', /enter a name/],
        ['x'.repeat(257), /257 characters.*256/],
        ['😀'.repeat(257), /257 characters.*256/],
        ['a\u0007b', /Character 2 cannot be printed/],
        ['\u0085', /enter a name/],
        ['ab\ud800', /Character 3 cannot be printed/],
        ['a\u0085b', /Character 2 cannot be printed/],
      ]) {
        await demo.greet(name);
        const problem = await demo.page.textContent('#name-problem');
        assert.match(problem, explanation, `for ${JSON.stringify(name.slice(0, 8))}`);
        assert.equal(await demo.page.getAttribute('#name', 'aria-invalid'), 'true');
        assert.equal(await demo.page.evaluate(() => document.activeElement.id), 'name');
      }
      await demo.state('open');
      await demo.counter('sent', '0');
      // 256 characters are greeted, whatever their number of UTF-16 units.
      await demo.greet('😀'.repeat(256));
      await demo.greeting(/^Hello 😀+!$/u);
      assert.equal(await demo.page.textContent('#name-problem'), '');
      assert.equal(await demo.page.getAttribute('#name', 'aria-invalid'), null);
      await demo.counter('reconnects', '0');
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('shows a hostile name as text', async () => {
    const demo = await openDemo(browser, { viewport: PHONE });
    try {
      const markup = '<img src=x onerror="globalThis.taken=1"><script>globalThis.taken=1</script>';
      await demo.greet(markup);
      await demo.greeting(`Hello ${markup}!`);
      await demo.greet('\u202Eevil\u2066');
      await demo.greeting('Hello U+202EevilU+2066!');
      await demo.greet('w'.repeat(256));
      await demo.greeting(`Hello ${'w'.repeat(256)}!`);
      assert.equal(await demo.page.evaluate(() => globalThis.taken), undefined);
      assert.equal(await demo.page.locator('#greeting *, #log img, #names img').count(), 0);
      await demo.assertNoHorizontalScroll();
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('closes for good, and reconnects when asked', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    try {
      await demo.page.click('#close');
      await demo.state('closed');
      assert.equal(await demo.page.getAttribute('#close', 'aria-disabled'), 'true');
      assert.equal(await demo.page.getAttribute('#cut', 'aria-disabled'), 'true');
      await demo.greet('Ada');
      assert.match(await demo.page.textContent('#name-problem'), /closed.*Reconnect/);
      assert.equal(await demo.page.inputValue('#name'), 'Ada', 'the name is not lost');

      await demo.page.click('#reconnect');
      await demo.state('open');
      await demo.page.click('#greet');
      await demo.greeting('Hello Ada!');
      await demo.page.click('#reconnect');
      await demo.counter('reconnects', '2');
      await demo.state('open');
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('speaks by the class that is made of the Rust types', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    try {
      assert.equal(await demo.modules(), 1, 'the second module is loaded when it is needed');
      await demo.page.fill('#typed-name', 'Grace');
      await demo.page.click('#typed-greet');
      await demo.received({ type: 'greeting', text: 'Hello Grace!' });
      assert.equal(await demo.page.textContent('#typed-sent'), '{"type":"hello","name":"Grace"}');
      assert.equal(await demo.modules(), 2);
      await demo.page.fill('#typed-name', '');
      await demo.page.click('#typed-greet');
      await demo.received({ type: 'invalid', reason: { problem: 'empty' } });
      await demo.page.click('#typed-wrong');
      await demo.received(
        'TypeError: HelloSocket: send: the message does not match its Rust type: missing field `name`',
      );
      // The page's other socket is unaffected.
      await demo.counter('sent', '0');
      await demo.page.fill('#typed-name', '<img src=x onerror="globalThis.taken=1">\u202e');
      await demo.page.keyboard.press('Enter');
      await demo.received('{"type":"greeting","text":"Hello <img src=x onerror=\\"globalThis.taken=1\\">U+202E!"}');
      assert.equal(await demo.page.evaluate(() => globalThis.taken), undefined);
      await demo.page.evaluate(() => scrollTo(0, 0));
      await demo.screenshot('demo-typed.png', true);
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('says so when the server does not offer to cut', async () => {
    const server = required('STEADY_SOCKET_SERVER_WITHOUT_CONTROL');
    const demo = await openDemo(browser, { viewport: DESKTOP }, undefined, server);
    try {
      await demo.page.click('#cut');
      await demo.page.waitForSelector('#cut[aria-disabled="true"]');
      assert.match(await demo.page.textContent('#cut-help'), /does not offer it/);
      await demo.state('open');
      demo.assertContent(/the server responded with a status of 404/);
    } finally {
      await demo.close();
    }
  });

  test('is usable by keyboard alone', async () => {
    const demo = await openDemo(browser, { viewport: DESKTOP });
    const { keyboard } = demo.page;
    const focused = () => demo.page.evaluate(() => document.activeElement.id);
    try {
      await keyboard.press('Tab');
      assert.equal(await focused(), 'name');
      await keyboard.type('Ada');
      await keyboard.press('Enter');
      await demo.greeting('Hello Ada!');
      const order = [];
      for (let step = 0; step < 10; step += 1) {
        await keyboard.press('Tab');
        order.push(await focused());
        const outline = await demo.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.equal(outline, 'solid', `${order.at(-1)} shows that it has the focus`);
      }
      assert.deepEqual(order, [
        'greet',
        'cut',
        'reconnect',
        'close',
        'log',
        'hundred-session',
        'hundred-start',
        'typed-name',
        'typed-greet',
        'typed-wrong',
      ]);
      await demo.page.focus('#cut');
      await keyboard.press('Enter');
      await demo.counter('reconnects', '1');
      assert.equal(await focused(), 'cut', 'a button that is off for a while keeps the focus');
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });

  test('fits a phone, light and dark, and tells assistive technology what changes', async () => {
    for (const colorScheme of ['light', 'dark']) {
      const demo = await openDemo(browser, { viewport: PHONE, colorScheme, reducedMotion: 'reduce' });
      try {
        await demo.greet('Ada');
        await demo.greeting('Hello Ada!');
        await demo.assertNoHorizontalScroll();
        assert.equal(await demo.page.textContent('#announcement'), 'open');
        assert.equal(await demo.page.getAttribute('#announcement', 'role'), 'status');
        const animation = await demo.page.$eval('#greeting', (element) => getComputedStyle(element).animationName);
        assert.equal(animation, 'none', 'nothing moves for those who asked for that');
        await demo.screenshot(`demo-phone-${colorScheme}.png`, true);
        demo.assertContent();
      } finally {
        await demo.close();
      }
    }
    const demo = await openDemo(browser, { viewport: DESKTOP, colorScheme: 'dark' });
    try {
      await demo.greet('Ada');
      await demo.greeting('Hello Ada!');
      await demo.screenshot('demo-desktop-dark.png');
      demo.assertContent();
    } finally {
      await demo.close();
    }
  });
});

/** Opens the demo page, connected, with the tests' actions in a visitor's words. */
async function openDemo(browser, options, prepare = async () => {}, server = serverAddress()) {
  const { page, complaints, close } = await openPage(browser, options);
  await prepare(page);
  const demo = {
    page,
    close,
    /** Types a name and presses the button. `fill` would drop control characters, as an input does. */
    async greet(name) {
      await page.$eval(
        '#name',
        (input, value) => {
          input.value = value;
          input.dispatchEvent(new Event('input', { bubbles: true }));
        },
        name,
      );
      await page.click('#greet');
    },
    greeting: (text) => waitForText('#greeting', text),
    counter: (name, value) => waitForText(`#count-${name}`, value),
    result: (text) => waitForText('#hundred-result', text),
    state: (...states) => waitForText('#badge-state', new RegExp(`^(${states.join('|')})$`)),
    /** What the typed panel shows as received: an object, or plain text. */
    received: (message) =>
      waitForText('#typed-received', typeof message === 'string' ? message : JSON.stringify(message)),
    /** How many WebAssembly modules the page has requested. */
    modules: () =>
      page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.wasm')).length),
    /** The names listed, newest first, each with its status. */
    names: () => page.$$eval('#names li', (items) => items.map((item) => item.textContent)),
    /** Records what the badge shows from now on; the returned function returns the record. */
    async recordStates() {
      await page.evaluate(() => {
        globalThis.shown = [];
        const badge = document.getElementById('badge-state');
        new MutationObserver(() => globalThis.shown.push(badge.textContent)).observe(badge, {
          childList: true,
          characterData: true,
          subtree: true,
        });
      });
      return () => page.evaluate(() => globalThis.shown);
    },
    /** Takes a screenshot, of the window or of the whole page, with every animation at its end. */
    screenshot: async (name, fullPage = false) => {
      await page.screenshot({ path: await artifact(name), fullPage, animations: 'disabled' });
    },
    async assertNoHorizontalScroll() {
      const [content, view] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        document.documentElement.clientWidth,
      ]);
      assert.ok(content <= view, `the page is ${content} px wide in a window of ${view} px`);
    },
    /** Asserts that nothing went wrong in the page, except what the test itself caused. */
    assertContent(expected = /(?!)/) {
      assert.deepEqual(
        complaints.filter((complaint) => !expected.test(complaint)),
        [],
      );
    },
  };
  async function waitForText(selector, expected) {
    const { source, flags } = expected instanceof RegExp ? expected : {};
    try {
      await page.waitForFunction(
        ([where, text, pattern, patternFlags]) => {
          const shown = document.querySelector(where).textContent;
          return pattern === undefined ? shown === text : new RegExp(pattern, patternFlags).test(shown);
        },
        [selector, source === undefined ? expected : undefined, source, flags],
        { timeout: PATIENCE },
      );
    } catch (error) {
      const shown = await page.textContent(selector);
      const log = await page.$$eval('#log li', (lines) => lines.map((line) => line.textContent).join('\n  '));
      throw new Error(
        `${selector} shows ${JSON.stringify(shown)}, expected ${expected}; the page's log:\n  ${log}\n${complaints.join('\n')}`,
        { cause: error },
      );
    }
  }
  try {
    await page.goto(server);
    await demo.state('open');
  } catch (error) {
    await close();
    throw error;
  }
  return demo;
}
