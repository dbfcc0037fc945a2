// A connection that is dead although the browser considers it open.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { BY_RULE, EMULATED } from './lib/network.mjs';
import { LONG, PATIENT, QUICK, WITH_HEARTBEAT, openWorld } from './lib/world.mjs';

// The interval of the server's beats in seconds, the shortest that the client accepts; and the client's patience in
// milliseconds.
const BEAT = 5;
const GRACE = 3_000;

// Every retry except the first follows a known wait.
const STEP = 1_500;
const STEPS = { ...QUICK, minDelay: STEP, baseDelay: STEP, maxDelay: STEP, heartbeatGrace: GRACE };

describe('half-open', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let url;
  before(async () => {
    world = await openWorld({ options: ['--ping-interval', String(BEAT)] });
    url = `${world.server.ws}/hello`;
  });
  after(() => world?.close());

  const isClose = ({ type }) => type === 'close';
  const isAttempt = ({ type, state }) => type === 'statechange' && state === 'connecting';

  /** Opens a socket with a heartbeat, and one of the browser's own beside it. */
  async function connect() {
    const tab = await world.openTab();
    await tab.open('steady', url, WITH_HEARTBEAT, STEPS);
    await tab.bare('bare', `${world.server.ws}/echo`);
    await tab.echo('bare', 'there');
    return tab;
  }

  /** The loss of the open connection after a given time, and how long the server had been silent. */
  async function lost(tab, name, since, causes) {
    const close = await tab.next(`the loss of ${name}`, name, isClose, since);
    assert.ok(causes.includes(close.cause), `the cause is ${close.cause}, of ${causes}`);
    assert.equal(close.willReconnect, true);
    return close.at - tab.lastFrame(url);
  }

  test('[R1][R3][F3][F37] a connection that is dead while the browser says that it is online is noticed, and made again', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const tab = await connect();
    const since = Date.now();
    await BY_RULE.cut(tab);
    await tab.showHalfOpen('bare');
    assert.equal(await tab.run(() => navigator.onLine), true);

    const silence = await lost(tab, 'steady', since, ['heartbeat-timeout']);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    await measured('half-open, online: silence until it is noticed', silence);

    // From the second retry on, waits are full-length: nothing reports that the network is back.
    const before = await tab.next(
      'a failed attempt',
      'steady',
      (event) => isClose(event) && event.delay === STEP,
      since,
    );
    const back = Date.now();
    await BY_RULE.restore(tab);
    const open = await tab.reopened('steady', back);
    const log = await tab.log('steady');
    const wait = log.findLast((event) => isClose(event) && event.at < open.at);
    const attempt = log.find((event) => isAttempt(event) && event.at >= wait.at);
    assert.ok(wait.at >= before.at && wait.delay === STEP);
    // Browser timers are accurate to a millisecond, and the log uses another clock.
    assert.ok(attempt.at - wait.at >= STEP - 50, `the wait of ${STEP} ms ended after ${attempt.at - wait.at} ms`);
    await measured(`half-open, online: back after the network, with waits of ${STEP / 1000} s`, open.at - back);
    await tab.greet('steady', 'Ada');
    await tab.close();
  });

  test('[R1][R3][R5][F35][F36][F38] a connection that dies when the browser goes offline is noticed, and made again when it is online', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const tab = await connect();
    await tab.open('patient', url, WITH_HEARTBEAT, { ...PATIENT, heartbeatGrace: GRACE });
    const since = Date.now();
    await EMULATED.cut(tab);
    await tab.showHalfOpen('bare');
    assert.equal(await tab.run(() => navigator.onLine), false);
    await tab.next('the event of the page', 'page', ({ type }) => type === 'offline', since);

    const silence = await lost(tab, 'steady', since, ['heartbeat-timeout', 'probe-timeout']);
    assert.equal(await tab.get('bare', 'readyState'), 1, 'the browser has not noticed');
    await measured('half-open, offline: silence until it is noticed', silence);

    // It keeps trying, whatever the browser says: the first retry at once, then one after each wait.
    const failed = await tab.next(
      'a failed attempt',
      'steady',
      (event) => isClose(event) && event.delay === STEP,
      since,
    );
    await tab.next('another attempt', 'steady', isAttempt, failed.at);
    assert.equal(await tab.run(() => navigator.onLine), false);

    // The other one's wait would not end by itself.
    await tab.next('the long wait', 'patient', (event) => isClose(event) && event.delay > LONG, since);
    await EMULATED.restore(tab);
    const online = await tab.next('the event of the page', 'page', ({ type }) => type === 'online', since);
    const { delay } = await tab.next('a shorter wait', 'patient', ({ state }) => state === 'waiting', online.at);
    assert.ok(delay <= 2_000, `the next attempt comes in ${delay} ms`);
    for (const name of ['patient', 'steady']) {
      const open = await tab.reopened(name, online.at);
      await measured(`half-open, offline, ${name}: back after the browser is online`, open.at - online.at);
      await tab.greet(name, 'Ada');
    }
    await tab.close();
  });
});
