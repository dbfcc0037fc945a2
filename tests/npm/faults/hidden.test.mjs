// A tab in the background: browsers run its chained timers only once a minute.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { BY_RULE } from './lib/network.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, WITH_HEARTBEAT, eventually, openWorld, pause } from './lib/world.mjs';

// The interval of the server's beats in seconds, the shortest that the client accepts; and the client's patience in
// milliseconds.
const BEAT = 5;
const GRACE = 4_000;

/**
 * How much later than in the foreground a dead connection may be noticed, in milliseconds. The promise is 2 s, which a
 * busy machine can stretch; a throttled timer, which runs at the next tick, would be late by most of a minute.
 */
const LATER = 20_000;

// In bytes. The server accepts messages of this size, and the kernels' buffers hold several megabytes of them.
const MESSAGE = 60_000;
const HIGH_WATER_MARK = 256 * 1024;

const TICK = 1_000;
/** Two ticks this far apart show that there is only about one a minute, in milliseconds. */
const THROTTLED = 20 * TICK;

describe('hidden', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let proxy;
  const tabs = {};
  before(async () => {
    // Throttling begins ten seconds after a page is hidden, rather than five minutes.
    const flags = async () => ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10'];
    // When nothing gets through to the server, the server must not be the one to notice.
    world = await openWorld({ flags, options: ['--ping-interval', String(BEAT), '--idle-timeout', '600'] });
    const control = new Faults(await world.start('fault-server'));
    proxy = await control.proxy('hidden', world.server.port);

    for (const [name, server] of [
      ['free', world.server.ws],
      ['blocked', proxy.ws],
    ]) {
      const tab = await world.openTab();
      tabs[name] = { tab, url: `${server}/hello` };
      const options = { ...QUICK, heartbeatGrace: GRACE, highWaterMark: HIGH_WATER_MARK };
      await tab.open('steady', `${server}/hello`, WITH_HEARTBEAT, options);
      await tab.bare('bare', `${server}/echo`);
      await tab.echo('bare', 'there');
      await tab.run((millis) => faults.tick('timer', millis), TICK);
    }
    await block(tabs.blocked.tab);
    // In front of the other tabs.
    await world.openTab();
    for (const { tab } of Object.values(tabs)) {
      await tab.next('the hiding of the page', 'page', ({ type }) => type === 'visibilitychange');
      assert.equal(await tab.run(() => document.visibilityState), 'hidden');
    }
  });
  after(() => world?.close());

  /** How much of the data sent the browser still holds, in bytes. */
  async function held(tab) {
    const [all, { queuedBytes }] = [await tab.get('steady', 'bufferedAmount'), await tab.call('steady', 'snapshot')];
    return all - queuedBytes;
  }

  /**
   * From here on nothing from the page gets through to the server, and the browser's buffer is as full as it may be.
   */
  async function block(tab) {
    await proxy.toxic('timeout', {}, 'upstream');
    let before = 0;
    await eventually('the filling of all buffers', async () => {
      if ((await tab.call('steady', 'snapshot')).queuedMessages === 0)
        await tab.sendMany('steady', 'filling', 20, MESSAGE);
      await pause(300);
      const now = await held(tab);
      const isStuck = now === before && now >= HIGH_WATER_MARK;
      before = now;
      return isStuck;
    });
  }

  /**
   * Waits until the page's timers have just fired after a long pause: for the next minute, nothing that depends on
   * chained timers can happen.
   */
  async function justTicked(tab) {
    const pauseBefore = await eventually(
      'a tick after a long pause',
      async () => {
        const ticks = (await tab.log('timer')).map(({ at }) => at);
        const [last, beforeIt] = [ticks.at(-1), ticks.at(-2)];
        return Date.now() - last < 5 * TICK && last - beforeIt >= THROTTLED && last - beforeIt;
      },
      TEST_TIMEOUT,
    );
    await measured(`hidden: the pause between two ticks of a timer of ${TICK} ms`, pauseBefore);
  }

  /** The connection of a throttled page lives, dies, and is re-established. */
  async function livesAndDies({ tab, url }, words, { cut, restore }) {
    await justTicked(tab);
    const { attempts } = await tab.call('steady', 'snapshot');
    assert.equal(attempts, 1, 'the connection was kept');
    assert.ok(Date.now() - tab.lastFrame(url) < 3 * BEAT * 1_000, 'the server was heard');

    const since = Date.now();
    await cut();
    const close = await tab.next('the loss', 'steady', ({ type }) => type === 'close', since);
    assert.equal(close.cause, 'heartbeat-timeout');
    const silence = close.at - tab.lastFrame(url);
    await measured(`hidden, ${words}: silence until it is noticed`, silence);
    assert.ok(silence <= BEAT * 1_000 + GRACE + LATER, `noticed after ${silence} ms of silence`);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    assert.equal(await tab.run(() => document.visibilityState), 'hidden');

    const back = Date.now();
    await restore();
    const open = await tab.reopened('steady', back);
    await measured(`hidden, ${words}: back`, open.at - back);
    await tab.greet('steady', 'Ada');
    await tab.showOneAtATime();
    return close;
  }

  // Both wait for the same minute.
  describe('and throttled', { concurrency: true }, () => {
    test('[R2][F3][F34] in a hidden tab whose timers tick once a minute, a living connection stays and a dead one is noticed as soon', {
      timeout: 3 * TEST_TIMEOUT,
    }, async () => {
      const { tab } = tabs.free;
      await livesAndDies(tabs.free, 'nothing to send', {
        cut: () => BY_RULE.cut(tab),
        restore: () => BY_RULE.restore(tab),
      });
    });

    test('[R2][F34] in such a tab a dead connection is noticed as soon while the browser holds all that it may', {
      timeout: 3 * TEST_TIMEOUT,
    }, async () => {
      const { tab } = tabs.blocked;
      let queued;
      const close = await livesAndDies(tabs.blocked, 'sending blocked', {
        cut: async () => {
          assert.ok((await held(tab)) >= HIGH_WATER_MARK, 'the browser holds as much as it may');
          queued = (await tab.call('steady', 'snapshot')).queuedMessages;
          await proxy.toxic('timeout', {}, 'downstream');
        },
        restore: () => proxy.cure(),
      });

      // Part of what the browser had accepted is reported. The rest is sent now; the server does not understand it.
      assert.ok(close.unconfirmedMessages > 0);
      const isAnswer = ({ type, data }) => type === 'message' && data.startsWith('{"type":"malformed"');
      assert.ok(queued > 0);
      assert.equal((await tab.log('steady')).filter(isAnswer).length, queued, 'what had waited was sent, and once');
    });
  });
});
