// A page that is frozen, put away and taken out again, or busy.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { LONG, VERY_PATIENT, WITH_HEARTBEAT, eventually, openWorld, pause } from './lib/world.mjs';

const ASLEEP = 4_000;

const isClose = ({ type }) => type === 'close';

describe('sleep', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openWorld({
      options: ['--ping-interval', '5', '--demo-control'],
      // A page that may not be stored is not kept for the way back either.
      intercept: () => ({ caching: 'no-cache' }),
    });
  });
  after(() => world?.close());

  /** A tab with two sockets that wait very long after a loss: one is open, the other waits already. */
  async function beforeTheSleep() {
    const tab = await world.openTab();
    await tab.open('steady', `${world.server.ws}/hello`, WITH_HEARTBEAT, VERY_PATIENT);
    await tab.open('waiting', `${world.server.ws}/hello?id=waiting`, WITH_HEARTBEAT, VERY_PATIENT);
    await fetch(`${world.server.http}/control/cut?id=waiting`, { method: 'POST' });
    const { delay } = await tab.next('the loss', 'waiting', isClose);
    assert.ok(delay > LONG, `it waits for ${delay} ms: a wait that ends by itself shows nothing`);
    return tab;
  }

  /** What comes first over a socket after the sleep: its end, or the answer to a message. */
  async function hasEnded(tab, name, message, isAnswer) {
    await tab.call(name, 'send', message);
    return isClose(await tab.next(`the end of ${name}, or an answer`, name, (event) => isClose(event) || isAnswer(event)));
  }

  /**
   * Both sockets serve without having waited, since the page does.
   *
   * @returns whether the browser has kept its sockets, as Chromium 148 does; 156 closes them
   */
  async function bothAreBack(tab, at, words) {
    const isKept = !await hasEnded(tab, 'steady', '{"type":"hello","name":"Eve"}', ({ data }) => data?.includes('Hello Eve!'));
    console.log(`${words}: the browser has ${isKept ? 'kept' : 'closed'} its sockets`);
    for (const name of ['steady', 'waiting']) {
      if (name === 'waiting' || !isKept) {
        const open = await tab.reopened(name, at);
        await measured(`${words}, ${name}: back after the page`, open.at - at);
      }
      await tab.greet(name, 'Ada');
    }
    assert.equal((await tab.log('steady')).filter(isClose).length, isKept ? 0 : 1, 'a loss only where there was one');
    return isKept;
  }

  test('[R4] after a freeze it is back as soon as the page is', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await beforeTheSleep();
    await tab.bare('bare', `${world.server.ws}/echo`);
    await tab.run(() => faults.tick('timer', 100));
    await tab.next('a tick', 'timer', () => true);

    await tab.cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
    await pause(ASLEEP);
    await tab.cdp.send('Page.setWebLifecycleState', { state: 'active' });
    const { at } = await tab.next('the waking', 'page', ({ type }) => type === 'resume');

    const ticks = (await tab.log('timer')).map((tick) => tick.at);
    const longest = Math.max(...ticks.slice(1).map((tick, index) => tick - ticks[index]), at - ticks.at(-1));
    assert.ok(longest > ASLEEP / 2, `the timers stood still for ${longest} ms only: the page was not frozen`);
    const isKept = await bothAreBack(tab, at, 'freeze');
    const bareHasEnded = await hasEnded(tab, 'bare', 'still there', ({ data }) => data === 'still there');
    assert.equal(bareHasEnded, !isKept, 'a loss only where the browser closes its own socket, too');
    await tab.close();
  });

  test('[R4] after the back/forward cache it is back as soon as the page is', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await beforeTheSleep();
    // From a beat on, so that nothing arrives while the page is away.
    const url = `${world.server.ws}/hello`;
    const before = tab.lastFrame(url);
    await eventually('a beat', () => tab.lastFrame(url) !== before);
    await tab.page.goto(`${world.origin}/faults/elsewhere.html`);
    await pause(ASLEEP);
    // A page that comes out of the cache does not load.
    await tab.page.goBack({ waitUntil: 'commit' });
    await eventually('the return of the page', () => tab.run(() => globalThis.faults !== undefined));
    const shown = (await tab.log('page')).filter(({ type }) => type === 'pageshow');
    const { at, persisted } = shown.at(-1);
    assert.equal(persisted, true, 'the page was in the cache');
    await bothAreBack(tab, at, 'back/forward cache');
    await tab.close();
  });

  // Silence is allowed for 6 s; what is 2 s late, or more, looks like a sleep of the page.
  for (const busy of [7_000, 9_000]) {
    test(`[R20] a page that is busy for ${busy / 1000} s, longer than the server may be silent, keeps a living connection`, { timeout: TEST_TIMEOUT }, async () => {
      const tab = await world.openTab();
      const url = `${world.server.ws}/hello`;
      await tab.open('steady', url, WITH_HEARTBEAT, { heartbeatGrace: 1_000 });
      await tab.bare('bare', `${world.server.ws}/echo`);
      await tab.run(() => faults.tick('timer', 100));
      // From a beat on, so that the silence is as long as the work.
      const opened = tab.lastFrame(url);
      await eventually('a beat', () => tab.lastFrame(url) > opened);

      await tab.run((millis) => {
        const end = performance.now() + millis;
        while (performance.now() < end);
      }, busy);
      await tab.echo('bare', 'still there');
      const ticks = (await tab.log('timer')).map((tick) => tick.at);
      assert.ok(Math.max(...ticks.slice(1).map((tick, index) => tick - ticks[index])) >= busy, 'the page did nothing else');

      // What was due meanwhile has come by then.
      await pause(2_000);
      const { attempts, abandoned } = await tab.call('steady', 'snapshot');
      assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
      await tab.greet('steady', 'Ada');
      await tab.close();
    });
  }
});
