// Sessions through a page that is frozen, through no network, and through a server that forgets everything.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { EMULATED } from './lib/network.mjs';
import { finished, openSessions, showAll } from './lib/sessions.mjs';
import { eventually, numbersFrom, pause } from './lib/world.mjs';

const MESSAGES = 1_000;

describe('sessions through faults of the page and the server', { timeout: 5 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openSessions('chromium');
  });
  after(() => world?.close());

  async function begin(count) {
    const page = await world.openPage();
    await page.do('begin', { url: `${world.proxy.ws}/session/echo`, codec: 'json', count });
    return page;
  }

  test('a frozen page, whose connection ends meanwhile', { timeout: TEST_TIMEOUT }, async () => {
    const page = await begin(MESSAGES);
    await finished(page);
    await page.do('more', 100_000);
    await eventually('some more', async () => (await page.do('now')).got > MESSAGES);
    await page.cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
    await world.proxy.toxic('reset_peer');
    await pause(1_000);
    await world.proxy.cure();
    await page.cdp.send('Page.setWebLifecycleState', { state: 'active' });
    await eventually('the resume', async () => (await page.do('now')).resumed > 0);
    const { got } = await page.do('now');
    const now = await eventually('some more', async () => {
      const later = await page.do('now');
      return later.got > got && later;
    });
    assert.deepEqual([now.wrong, now.lost, now.undelivered, now.dropped], [[], [], [], 0]);
    await page.page.close();
  });

  test('offline and back', { timeout: TEST_TIMEOUT }, async () => {
    const page = await begin(MESSAGES);
    await finished(page);
    const tab = { cdp: page.cdp };
    await page.cdp.send('Network.enable');
    await EMULATED.cut(tab);
    await world.proxy.toxic('reset_peer');
    await page.do('more', MESSAGES);
    await eventually('the loss', async () => (await page.do('now')).state !== 'open');
    assert.ok((await page.do('now')).got < 2 * MESSAGES);
    await world.proxy.cure();
    await EMULATED.restore(tab);
    const now = await finished(page);
    showAll(now, 2 * MESSAGES);
    assert.ok(now.resumed > 0);
    await page.page.close();
  });

  test('the server started again, with no memory: every message is accounted for', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const page = await begin(100_000);
    await eventually('some', async () => (await page.do('now')).got > 100);
    await world.restart(100);
    const lost = await eventually('the loss', async () => {
      const { lost: losses } = await page.do('now');
      return losses.length > 0 && losses[0];
    });
    // What had a number is reported, and in the order of the numbers; of every tenth, which `deliver` has sent, its promise
    // alone tells.
    const reported = [...lost.notHandled, ...lost.unknown];
    const sorted = [...reported].sort((one, other) => one - other);
    assert.equal(new Set(reported).size, reported.length, 'each once');
    const sent = sorted.length > 0 ? numbersFrom(sorted[0], sorted.at(-1)).filter((number) => number % 10 !== 5) : [];
    assert.deepEqual(sorted, sent);
    assert.match(lost.reason, /does not remember/);
    await page.page.close();
  });
});
