// A connection that is dead while the browser calls it open.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { QUICK, WITH_HEARTBEAT, openWorld, pause } from './lib/world.mjs';

// Seconds between the server's beats, the shortest that the client believes; and the client's patience in
// milliseconds.
const BEAT = 5;
const GRACE = 1_000;

const OPTIONS = { ...QUICK, heartbeatGrace: GRACE };

const NETWORK = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
const BY_RULE = {
  cut: (tab) => tab.cdp.send('Network.emulateNetworkConditionsByRule', { matchedNetworkConditions: [{ urlPattern: '', ...NETWORK, offline: true }] }),
  restore: (tab) => tab.cdp.send('Network.emulateNetworkConditionsByRule', { matchedNetworkConditions: [] }),
};
const EMULATED = {
  cut: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...NETWORK, offline: true }),
  restore: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...NETWORK, offline: false }),
};

describe('half-open', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let url;
  before(async () => {
    // Throttling to one tick a minute begins ten seconds after a page is hidden, rather than five minutes.
    const flags = async () => ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10'];
    world = await openWorld({ flags, options: ['--ping-interval', String(BEAT)] });
    url = `${world.server.ws}/hello`;
  });
  after(() => world?.close());

  /** Opens a socket with a heartbeat, and one of the browser beside it. */
  async function connect() {
    const tab = await world.openTab();
    await tab.open('steady', url, WITH_HEARTBEAT, OPTIONS);
    await tab.bare('bare', `${world.server.ws}/echo`);
    await tab.echo('bare', 'there');
    return tab;
  }

  /** The loss of the connection since a moment; the server was last heard so many milliseconds before. */
  async function lost(tab, since, causes) {
    const close = await tab.next('the loss', 'steady', ({ type }) => type === 'close', since);
    assert.ok(causes.includes(close.cause), `the cause is ${close.cause}, of ${causes}`);
    assert.equal(close.willReconnect, true);
    return { silence: close.at - tab.lastFrame(url), close };
  }

  async function recovered(tab, network) {
    const since = Date.now();
    await network.restore(tab);
    const open = await tab.reopened('steady', since);
    await tab.greet('steady', 'Ada');
    return open.at - since;
  }

  test('[R1][R3] a connection that is dead while the browser says that it is online is noticed, and made again', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await connect();
    const since = Date.now();
    await BY_RULE.cut(tab);
    await tab.showHalfOpen('bare');
    assert.equal(await tab.run(() => navigator.onLine), true);

    const { silence } = await lost(tab, since, ['heartbeat-timeout']);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    await measured('half-open, online: silence until it is noticed', silence);
    await measured('half-open, online: back after the network', await recovered(tab, BY_RULE));
    await tab.close();
  });

  test('[R1][R3][R5] a connection that dies when the browser goes offline is noticed, and made again when it is online', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await connect();
    const since = Date.now();
    await EMULATED.cut(tab);
    await tab.showHalfOpen('bare');
    assert.equal(await tab.run(() => navigator.onLine), false);
    await tab.next('the event of the page', 'page', ({ type }) => type === 'offline', since);

    const { silence } = await lost(tab, since, ['heartbeat-timeout', 'probe-timeout']);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    await measured('half-open, offline: silence until it is noticed', silence);

    // It goes on trying, whatever the browser says.
    const attempts = (await tab.call('steady', 'snapshot')).attempts;
    await tab.next('another attempt', 'steady', ({ type, state }) => type === 'statechange' && state === 'connecting', Date.now());
    assert.ok((await tab.call('steady', 'snapshot')).attempts > attempts);
    assert.equal(await tab.run(() => navigator.onLine), false);

    await measured('half-open, offline: back after the network', await recovered(tab, EMULATED));
    await tab.close();
  });

  test('[R2] in a hidden tab whose timers tick once a minute, a living connection stays and a dead one is noticed as soon', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const tab = await connect();
    await tab.run(() => faults.tick('timer', 1_000));
    // In front of it.
    const other = await world.openTab();
    await tab.next('the hiding of the page', 'page', ({ type }) => type === 'visibilitychange');
    assert.equal(await tab.run(() => document.visibilityState), 'hidden');

    await pause(20_000);
    const start = Date.now();
    await pause(20_000);
    const ticks = (await tab.log('timer')).filter(({ at }) => at >= start).length;
    assert.ok(ticks <= 1, `a timer of a second ticked ${ticks} times in 20 s: the page is not throttled`);
    assert.equal((await tab.call('steady', 'snapshot')).attempts, 1, 'the connection was kept');
    assert.ok(tab.lastFrame(url) >= start, 'the server was heard');

    const since = Date.now();
    await BY_RULE.cut(tab);
    const { silence, close } = await lost(tab, since, ['heartbeat-timeout']);
    // In the foreground it is the interval and the grace; a timer that is slowed down comes up to a minute late.
    assert.ok(close.at - since < 20_000, `noticed ${close.at - since} ms after the cut: its timers are throttled`);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    await measured('half-open, hidden and throttled: silence until it is noticed', silence);
    await measured('half-open, hidden and throttled: back after the network', await recovered(tab, BY_RULE));
    await other.close();
    await tab.close();
  });
});
