// Many tabs of one origin lose the same server.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { openWorld } from './lib/world.mjs';

const TABS = 10;

describe('a crowd', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openWorld();
  });
  after(() => world?.close());

  test('[R7][F1][F44] ten tabs whose server restarts each wait for a time of their own, and all come back', {
    timeout: 2 * TEST_TIMEOUT,
  }, async () => {
    const tabs = [];
    for (let number = 0; number < TABS; number += 1) {
      const tab = await world.openTab();
      await tab.open('steady', `${world.server.ws}/echo`, [], {});
      // The browser's own sockets are lost, too.
      await tab.bare('bare', `${world.server.ws}/echo`);
      tabs.push(tab);
    }

    const since = Date.now();
    await world.server.stop();
    const closes = await Promise.all(
      tabs.map((tab) => tab.next('the loss', 'steady', ({ type }) => type === 'close', since)),
    );
    await Promise.all(tabs.map((tab) => tab.next('the loss', 'bare', ({ type }) => type === 'close', since)));
    const delays = closes.map(({ delay }) => delay);
    for (const { code, delay } of closes) {
      assert.equal(code, 1001);
      assert.ok(delay >= 0 && delay <= 5_000, `waits for ${delay} ms`);
    }
    // Each is one of 5,000 numbers; fewer than seven different ones among ten are practically impossible.
    assert.ok(new Set(delays).size >= 7, `the tabs wait for ${delays} ms`);
    await measured('ten tabs: the shortest first wait', Math.min(...delays));
    await measured('ten tabs: the longest first wait', Math.max(...delays));

    const back = Date.now();
    await world.start('test-server', '--port', String(world.server.port));
    const opens = await Promise.all(tabs.map((tab) => tab.reopened('steady', back)));
    await measured('ten tabs: all back after the server', Math.max(...opens.map(({ at }) => at)) - back);
    for (const tab of tabs) await tab.echo('steady', 'there');
    for (const tab of tabs) await tab.close();
  });
});
