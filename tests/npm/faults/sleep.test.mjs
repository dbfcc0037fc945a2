// A page that is frozen, put in the back/forward cache and taken out again, or busy.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { LONG, PINGS, VERY_PATIENT, WITH_HEARTBEAT, eventually, openWorld, pause } from './lib/world.mjs';

const ASLEEP = 4_000;

const isClose = ({ type }) => type === 'close';

/** Closes the sockets of a page that enters the back/forward cache, as Chromium does from 149 on. */
const CLOSES_ON_ENTRY = '--enable-features=DisconnectWebSocketOnBFCache';

const sleepers = (flags) =>
  openWorld({
    flags: async () => flags,
    options: ['--ping-interval', '5', '--demo-control'],
    // A page that must not be stored is not kept in the back/forward cache either.
    intercept: () => ({ caching: 'no-cache' }),
  });

/**
 * A tab with two sockets that wait very long after a loss, unless only one is named: one is open, the other is already
 * waiting.
 */
async function beforeTheSleep(world, names = ['steady', 'waiting']) {
  const tab = await world.openTab();
  await tab.open('steady', `${world.server.ws}/hello`, WITH_HEARTBEAT, VERY_PATIENT);
  if (!names.includes('waiting')) return tab;
  await tab.open('waiting', `${world.server.ws}/hello?id=waiting`, WITH_HEARTBEAT, VERY_PATIENT);
  await fetch(`${world.server.http}/control/cut?id=waiting`, { method: 'POST' });
  const { delay } = await tab.next('the loss', 'waiting', isClose);
  assert.ok(delay > LONG, `it waits for ${delay} ms: a wait that ends by itself shows nothing`);
  return tab;
}

/** What comes first on a socket after the sleep: its end, or the answer to a message. */
async function hasEnded(tab, name, message, isAnswer) {
  await tab.call(name, 'send', message);
  return isClose(
    await tab.next(`the end of ${name}, or an answer`, name, (event) => isClose(event) || isAnswer(event)),
  );
}

/**
 * Asserts that the sockets work without having waited, since the page returned.
 *
 * @returns whether the browser has kept its sockets, as Chromium 148 does; 156 closes them
 */
async function areBack(tab, at, words, names = ['steady', 'waiting']) {
  const isKept = !(await hasEnded(tab, 'steady', '{"type":"hello","name":"Eve"}', ({ data }) =>
    data?.includes('Hello Eve!'),
  ));
  console.log(`${words}: the browser has ${isKept ? 'kept' : 'closed'} its sockets`);
  for (const name of names) {
    if (name === 'waiting' || !isKept) {
      const open = await tab.reopened(name, at);
      await measured(`${words}, ${name}: back after the page`, open.at - at);
    }
    await tab.greet(name, 'Ada');
  }
  assert.equal((await tab.log('steady')).filter(isClose).length, isKept ? 0 : 1, 'a loss only where there was one');
  return isKept;
}

describe('sleep', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await sleepers([]);
  });
  after(() => world?.close());

  test('[R4][F40] after a freeze it is back as soon as the page is', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await beforeTheSleep(world);
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
    const isKept = await areBack(tab, at, 'freeze');
    const bareHasEnded = await hasEnded(tab, 'bare', 'still there', ({ data }) => data === 'still there');
    assert.equal(bareHasEnded, !isKept, 'a loss only where the browser closes its own socket, too');
    await tab.close();
  });

  // A ping follows one second of silence, and its answer has four more: a timer that fires after both, though not so
  // late that it looks like a sleep, has not sent a ping yet.
  for (const busy of [1_500, 2_500, 4_500, 6_000, 9_000]) {
    test(`[R1][R20] a page that is busy for ${busy / 1000} s asks a server that answers before it judges`, {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const tab = await world.openTab();
      await tab.open('steady', `${world.server.ws}/echo`, [], PINGS);
      for (let time = 0; time < 3; time += 1) {
        await pause(100);
        await tab.run((millis) => {
          const end = performance.now() + millis;
          while (performance.now() < end);
        }, busy);
      }
      await pause(2_000);
      const { attempts, abandoned } = await tab.call('steady', 'snapshot');
      assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
      await tab.echo('steady', 'still there');
      await tab.close();
    });
  }

  // 8 s of silence are allowed; a delay of 2 s or more looks like a sleep of the page.
  for (const busy of [9_000, 11_000]) {
    test(`[R20][F58] a page that is busy for ${busy / 1000} s, longer than the server may be silent, keeps a living connection`, {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const tab = await world.openTab();
      const url = `${world.server.ws}/hello`;
      await tab.open('steady', url, WITH_HEARTBEAT, { heartbeatGrace: 3_000 });
      await tab.bare('bare', `${world.server.ws}/echo`);
      await tab.run(() => faults.tick('timer', 100));
      // Starting from a beat, so that the silence is as long as the work.
      const opened = tab.lastFrame(url);
      await eventually('a beat', () => tab.lastFrame(url) > opened);

      await tab.run((millis) => {
        const end = performance.now() + millis;
        while (performance.now() < end);
      }, busy);
      await tab.echo('bare', 'still there');
      const ticks = (await tab.log('timer')).map((tick) => tick.at);
      assert.ok(
        Math.max(...ticks.slice(1).map((tick, index) => tick - ticks[index])) >= busy,
        'the page did nothing else',
      );

      // Everything due in the meantime has happened by then.
      await pause(4_000);
      const { attempts, abandoned } = await tab.call('steady', 'snapshot');
      assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
      await tab.greet('steady', 'Ada');
      await tab.close();
    });
  }
});

for (const [browser, flags, names] of [
  ['as the browser is', [], ['steady', 'waiting']],
  // With a socket that was closed before, Chromium 148, where this feature is unfinished, crashes.
  ['where it closes sockets on entry', [CLOSES_ON_ENTRY], ['steady']],
]) {
  describe(`the back/forward cache, ${browser}`, { timeout: 2 * TEST_TIMEOUT }, () => {
    let world;
    before(async () => {
      world = await sleepers(flags);
    });
    after(() => world?.close());

    test('[R4][F39] after the back/forward cache it is back as soon as the page is', {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const tab = await beforeTheSleep(world, names);
      if (names.includes('waiting')) await tab.call('waiting', 'send', '{"type":"hello","name":"Queued"}');
      // Starting from a beat, so that nothing arrives while the page is away.
      const url = `${world.server.ws}/hello`;
      const before = tab.lastFrame(url);
      await eventually('a beat', () => tab.lastFrame(url) !== before);
      await tab.page.goto(`${world.origin}/faults/elsewhere.html`);
      await pause(ASLEEP);
      // A page that returns from the cache does not fire load.
      await tab.page.goBack({ waitUntil: 'commit' });
      await eventually('the return of the page', () => tab.run(() => globalThis.faults !== undefined));
      const shown = (await tab.log('page')).filter(({ type }) => type === 'pageshow');
      const { at, persisted } = shown.at(-1);
      assert.equal(persisted, true, 'the page was in the cache');
      const isKept = await areBack(tab, at, 'back/forward cache', names);
      if (names.includes('waiting')) {
        assert.ok(
          (await tab.log('waiting')).some(({ data }) => data?.includes('Hello Queued!')),
          'what was queued has arrived',
        );
      }
      if (flags.length > 0) {
        assert.equal(isKept, false, 'the browser closed its sockets');
        const [lost] = (await tab.log('steady')).filter(isClose);
        // This side ended the connection, so there is no wait, and one attempt.
        assert.deepEqual(
          [lost.code, lost.willReconnect, lost.delay, lost.cause, lost.explanation],
          [1006, true, 0, 'socket', 'the page came back or the network changed'],
        );
      }
      for (const name of names) {
        const connections = name === 'steady' && isKept ? 1 : 2;
        const { attempts, opens } = await tab.call(name, 'snapshot');
        assert.deepEqual({ attempts, opens }, { attempts: connections, opens: connections }, `the attempts of ${name}`);
      }
      await tab.close();
    });
  });
}
