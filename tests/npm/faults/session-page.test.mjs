// Sessions through what a browser does with a page: the back/forward cache, a page that is hidden and throttled, and the last
// moment before it is hidden or left. And two clients of one room, whose records are the same.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { cutAtRandom, finished, openSessions, randomFrom, showAll } from './lib/sessions.mjs';
import { eventually, pause } from './lib/world.mjs';

const MESSAGES = 1_000;
const SEED = Number(process.env.STEADY_SOCKET_SEED ?? Date.now() % 2 ** 31);

/** Two ticks this far apart show that a page's chained timers run about once a minute, in milliseconds. */
const TICK = 1_000;
const THROTTLED = 20 * TICK;

/** How many words a page says when it is left, and how long they may take, in milliseconds. */
const LAST_WORDS = 5;
const ARRIVING = 5_000;

const begin = async (world, count, options = {}) => {
  const page = await world.openPage();
  await page.do('begin', { url: `${world.proxy.ws}/session/echo`, codec: 'json', count, ...options });
  return page;
};

// A page with an open socket is not kept in the cache, unless the browser closes the socket on entry.
describe('a session through the back/forward cache', { timeout: 2 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openSessions('chromium', {
      flags: ['--enable-features=DisconnectWebSocketOnBFCache'],
      // A page that must not be stored is not kept in the cache either.
      intercept: () => ({ caching: 'no-cache' }),
    });
  });
  after(() => world?.close());

  for (const isCut of [false, true]) {
    test(isCut ? 'the connection ends meanwhile' : 'nothing else happens', { timeout: TEST_TIMEOUT }, async () => {
      const page = await begin(world, MESSAGES);
      await finished(page);
      // Some are on their way when the page goes.
      await page.do('more', MESSAGES);
      await page.page.goto(`${world.origin}/faults/elsewhere.html`);
      if (isCut) await world.proxy.toxic('reset_peer');
      await pause(2_000);
      if (isCut) await world.proxy.cure();
      // A page that returns from the cache does not fire load.
      await page.page.goBack({ waitUntil: 'commit' });
      await eventually('the return of the page', () => page.page.evaluate(() => globalThis.sessions !== undefined));
      const shown = (await page.do('marks')).filter(({ type }) => type === 'pageshow');
      assert.equal(shown.at(-1)?.persisted, true, 'the page was in the cache');
      const now = await finished(page);
      showAll(now, 2 * MESSAGES);
      assert.ok(now.resumed > 0, 'the connection ended');
      await page.page.close();
    });
  }
});

describe('a session in a page that is hidden', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    // Throttling begins ten seconds after a page is hidden, rather than five minutes.
    world = await openSessions('chromium', {
      flags: ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10'],
    });
  });
  after(() => world?.close());

  test('and throttled: nothing is lost, and a cut is noticed and mended', { timeout: 3 * TEST_TIMEOUT }, async () => {
    const page = await begin(world, MESSAGES);
    await finished(page);
    await page.do('tick', TICK);
    // In front of it.
    const front = await world.openPage();
    await eventually('the hiding', async () => (await page.do('marks')).some(({ type }) => type === 'hidden'));
    const justTicked = () =>
      eventually(
        'a tick after a long pause',
        async () => {
          const ticks = await page.do('ticks');
          const [last, earlier] = [ticks.at(-1), ticks.at(-2)];
          return Date.now() - last < 5 * TICK && last - earlier >= THROTTLED && last - earlier;
        },
        2 * TEST_TIMEOUT,
      );
    const between = await justTicked();
    await measured(`a session in a hidden page: the pause between two ticks of a timer of ${TICK} ms`, between);
    await page.do('more', MESSAGES);
    await eventually('some', async () => (await page.do('now')).got > MESSAGES);
    await world.proxy.toxic('reset_peer');
    await eventually('the loss', async () => (await page.do('now')).state !== 'open');
    await world.proxy.cure();
    const now = await finished(page, 2 * TEST_TIMEOUT);
    assert.equal(await page.page.evaluate(() => document.visibilityState), 'hidden');
    showAll(now, 2 * MESSAGES);
    assert.ok(now.resumed > 0);
    await front.page.close();
    await page.page.close();
  });

  test('what is handled is acknowledged, and what is sent goes out, while the page is being hidden', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const page = await world.openPage();
    // The timer of acknowledgements never fires, so that only the hiding can send one.
    await page.do('begin', { url: `${world.server().ws}/session/echo`, codec: 'json', count: 0, holdsTimers: true });
    await eventually('the session', async () => (await page.do('now')).state === 'open');
    await page.do('more', 2);
    /** How many numbers the server has used: its responses have one, too. */
    const received = async () => {
      const { got, answered } = await page.do('now');
      return got + answered;
    };
    const hasAll = async (wanted) => {
      const { got, answered, requests } = await page.do('now');
      return got === wanted && answered === requests;
    };
    await eventually('the echoes', () => hasAll(2));
    const told = (frames) => Math.max(0, ...frames.map((frame) => Number(/^~a (\d+)/.exec(frame)?.[1] ?? 0)));
    const before = await received();
    assert.ok(told((await page.do('now')).frames) < before, 'not all of them are acknowledged yet');
    const front = await world.openPage();
    const marks = await eventually('the hiding', async () => {
      const all = await page.do('marks');
      return all.some(({ type }) => type === 'hidden') && all;
    });
    // By the listener behind that of the session, in the same event.
    assert.equal(told(marks.find(({ type }) => type === 'hidden').frames), before);
    await front.page.close();

    // So on the way to another page, and what is sent there arrives.
    await page.page.bringToFront();
    await page.do('more', 1);
    await eventually('the echo', () => hasAll(3));
    const after = await received();
    await page.page.goto(`${world.origin}/faults/elsewhere.html`);
    const left = JSON.parse(await page.page.evaluate(() => sessionStorage.getItem('left')));
    assert.equal(told(left), after);
    await page.page.close();
  });

  // A browser may drop what a page has sent last: it destroys the page's sockets with the page.
  test('the last words of a page go out before it is left', { timeout: TEST_TIMEOUT }, async () => {
    const url = `${world.server().ws}/session/room`;
    const [leaving, staying] = [await world.openPage(), await world.openPage()];
    await staying.do('join', { url, name: 'staying', count: 0 });
    await leaving.do('join', { url, name: 'leaving', count: 3, lastWords: LAST_WORDS });
    await eventually('the first words', async () => (await staying.do('record')).record.length === 3);
    await leaving.page.bringToFront();
    await leaving.page.goto(`${world.origin}/faults/elsewhere.html`);
    const frames = await leaving.page.evaluate(() => sessionStorage.getItem('left'));
    const said = [...frames.matchAll(/number\W+(\d+)/g)].map(([, number]) => Number(number));
    const words = Array.from({ length: 3 + LAST_WORDS }, (_, number) => number);
    assert.deepEqual(said, words);

    const hasAll = async () => (await staying.do('record')).record.length === words.length;
    await eventually('all of them', hasAll, ARRIVING).catch(() => {});
    const { record } = await staying.do('record');
    await measured('last words of a page that arrived', record.length - 3, `of ${LAST_WORDS}`);
    assert.deepEqual(
      record,
      words.slice(0, record.length).map((number) => ['leaving', number]),
    );
    await leaving.page.close();
    await staying.page.close();
  });
});

/** Together fewer than the server keeps for a client that is behind: it would lose its session. */
const EACH = 400;

describe('two clients of one room', { timeout: 3 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openSessions('chromium');
  });
  after(() => world?.close());

  test(`have the same record through cuts, with seed ${SEED}`, { timeout: 2 * TEST_TIMEOUT }, async () => {
    const url = `${world.proxy.ws}/session/room`;
    const names = ['Ada', 'Eve'];
    const pages = [];
    for (const name of names) {
      const page = await world.openPage();
      await page.do('join', { url, name, count: 0 });
      await eventually('the session', async () => (await page.do('record')).state === 'open');
      pages.push(page);
    }
    const stop = cutAtRandom(world.proxy, randomFrom(SEED));
    for (const page of pages) await page.do('say', EACH);
    const records = await eventually(
      'all of both',
      async () => {
        const all = [];
        for (const page of pages) all.push(await page.do('record'));
        return all.every(({ record }) => record.length >= 2 * EACH) && all;
      },
      TEST_TIMEOUT,
    );
    await stop();
    // Each has what both have said, in one order, and of each what it said in the order of its calls.
    assert.deepEqual(records[0].record, records[1].record);
    for (const [index, name] of names.entries()) {
      const of = records[0].record.filter(([from]) => from === name).map(([, number]) => number);
      assert.deepEqual(
        of,
        Array.from({ length: EACH }, (_, number) => number),
      );
      assert.deepEqual([records[index].problems, records[index].refused], [[], []]);
      assert.equal(records[index].handled, EACH, 'every delivery was handled');
    }
    assert.ok(
      records.every(({ resumed }) => resumed > 0),
      'both were cut',
    );
    await measured('one room, cut: both together came back', records[0].resumed + records[1].resumed, 'times');
    for (const page of pages) await page.page.close();
  });
});
