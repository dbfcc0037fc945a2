// Sessions in real browsers: nothing is lost, doubled or out of order through a hundred cuts at random points.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { IS_FIREFOX } from '../lib/browser.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { cutAtRandom, finished, openSessions, randomFrom, showAll } from './lib/sessions.mjs';

const MESSAGES = 10_000;
/** As many cuts as there have to be, and of those with something to replay in each direction. */
const CUTS = 100;
const REPLAYS = 20;

const SEED = Number(process.env.STEADY_SOCKET_SEED ?? Date.now() % 2 ** 31);

for (const browser of [IS_FIREFOX ? 'firefox' : 'chromium']) {
  describe(`sessions in ${browser}`, { timeout: 10 * TEST_TIMEOUT }, () => {
    let world;
    before(async () => {
      world = await openSessions(browser);
    });
    after(() => world?.close());

    for (const inWorker of [false, true]) {
      for (const codec of ['json', 'msgpack', 'text', 'bytes']) {
        test(`${codec} in ${inWorker ? 'a worker' : 'a page'}, with seed ${SEED}`, {
          timeout: 3 * TEST_TIMEOUT,
        }, async () => {
          const page = await world.openPage();
          const stop = cutAtRandom(world.proxy, randomFrom(SEED));
          await page.do('begin', { url: `${world.proxy.ws}/session/echo`, codec, count: MESSAGES, inWorker });
          const now = await finished(page, 2 * TEST_TIMEOUT);
          await stop();
          showAll(now, MESSAGES);
          assert.ok(now.resumed >= CUTS, `${now.resumed} cuts`);
          assert.ok(now.replayedUp >= REPLAYS, `${now.replayedUp} replays to the server`);
          assert.ok(now.replayedDown >= REPLAYS, `${now.replayedDown} replays to the page`);
          const name = `${browser}, ${codec}, ${inWorker ? 'worker' : 'page'}`;
          await measured(
            `session cuts, ${name}`,
            now.resumed,
            `resumes, ${now.replayedUp} up and ${now.replayedDown} down`,
          );
          await page.do('close');
          await page.page?.close();
        });
      }
    }
  });
}
