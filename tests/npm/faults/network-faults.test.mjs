// A network that treats its connections badly: a proxy in front of the server.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { PINGS, QUICK, WITH_HEARTBEAT, eventually, numbersFrom, openWorld, pause } from './lib/world.mjs';

const OPTIONS = { ...QUICK, ...PINGS };

describe('faults of a network', { timeout: 10 * TEST_TIMEOUT }, () => {
  let world;
  let control;
  let tab;
  before(async () => {
    world = await openWorld({ program: 'fault-server' });
    control = new Faults(world.server);
    tab = await world.openTab();
  });
  after(() => world?.close());

  // Names the proxy and the sockets of a test, and their connections on the server.
  let id;
  let proxy;
  let tests = 0;
  beforeEach(async () => {
    tests += 1;
    id = `test-${tests}`;
    proxy = await control.proxy(id, world.server.port);
  });
  afterEach(async () => {
    await tab.showOneAtATime();
    await tab.call(id, 'close');
  });

  const echo = (of) => `${proxy.ws}/echo?id=${of}`;
  const isClose = ({ type }) => type === 'close';
  const isOpen = ({ type }) => type === 'open';
  const isMessage = ({ type }) => type === 'message';
  const isAttempt = ({ type, state }) => type === 'statechange' && state === 'connecting';

  const seen = async (kind) => (await control.log(id)).filter(({ event }) => event === kind);

  /** Opens the socket under test and one of the browser's own, both through the proxy. */
  async function connect(options = OPTIONS) {
    await tab.open(id, echo(id), [], options);
    await tab.bare(`${id} bare`, echo(`${id}-bare`));
  }

  /** The loss after a given time, as the browser reports it; its own socket is lost, too. */
  async function lostWithTheOther(since) {
    const theirs = await tab.next('the loss', `${id} bare`, isClose, since);
    assert.equal(theirs.code, 1006);
    const lost = await tab.next('the loss', id, isClose, since);
    assert.deepEqual([lost.code, lost.cause, lost.willReconnect], [1006, 'socket', true]);
    return lost;
  }

  /** Asserts that the socket is back after the loss, and that messages arrive. */
  async function recovered(lost, words) {
    const { at } = await tab.reopened(id, lost.at);
    await measured(`${words}: back after the loss, with waits of 0.3 s at most`, at - lost.at);
    await tab.echo(id, 'there');
    return at;
  }

  async function echoed(label, count) {
    const numbers = await eventually('the echoes', async () => {
      const found = await tab.numbers(id, label);
      return found.length >= count && found;
    });
    assert.deepEqual(numbers, numbersFrom(1, count), 'each message, once and in order');
  }

  test('[R1][R25][R26][F4][F16] a narrow network keeps its connection, and everything arrives once', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const [RATE, COUNT, BYTES, MARK] = [800, 150, 30_000, 256 * 1024];
    for (const direction of ['upstream', 'downstream']) await proxy.toxic('bandwidth', { rate: RATE }, direction);
    await tab.open(id, echo(id), [], { ...OPTIONS, highWaterMark: MARK, lowWaterMark: MARK / 2 });
    const since = Date.now();
    assert.equal(await tab.sendMany(id, 'message', COUNT, BYTES), COUNT);
    await echoed('message', COUNT);
    const took = Date.now() - since;
    const least = (COUNT * BYTES) / RATE;
    assert.ok(took >= 0.7 * least, `it took ${took} ms: the network was not narrow`);
    await measured(`${COUNT} messages of ${BYTES} bytes there and back at ${RATE} kB/s`, took);
    assert.equal((await tab.call(id, 'snapshot')).attempts, 1, 'the connection was kept');
  });

  test('[R10][R25][F2] a connection that ends in the middle of a message is made again, and the half is not delivered', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const [COUNT, BYTES] = [20, 1_000];
    await connect(QUICK);
    await proxy.toxic('limit_data', { bytes: 4_500 });
    const since = Date.now();
    for (const which of [id, `${id} bare`]) await tab.sendMany(which, 'message', COUNT, BYTES);
    const lost = await lostWithTheOther(since);
    await proxy.cure();
    await recovered(lost, 'ended in the middle of a message');
    assert.deepEqual(await tab.numbers(id, 'message'), numbersFrom(1, 4), 'what had come whole, and nothing else');
    // The connection may have ended before the server had received all of them.
    const [, second] = await seen('open');
    const again = (await seen('messageIn')).filter(
      ({ connection, bytes }) => connection === second.connection && bytes === BYTES,
    );
    assert.deepEqual(again, [], 'what the browser had taken is not sent again');
  });

  test('[R10][F2] an end that is late to arrive is noticed when it does', { timeout: TEST_TIMEOUT }, async () => {
    const DELAY = 1_000;
    await connect(QUICK);
    await proxy.toxic('slow_close', { delay: DELAY });
    const since = Date.now();
    for (const which of [id, `${id}-bare`]) await control.now({ id: which }, { type: 'cut' });
    const lost = await lostWithTheOther(since);
    assert.ok(lost.at - since >= DELAY * 0.9, `the end came after ${lost.at - since} ms: it was not late`);
    await measured(`end that is ${DELAY} ms late: noticed`, lost.at - since);
    await recovered(lost, 'end that is late');
  });

  test('[R17][F15] closing ends in time where the end of the connection is late to arrive', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const [DELAY, LIMIT] = [60_000, 1_000];
    await connect({ ...QUICK, closeTimeout: LIMIT });
    await proxy.toxic('slow_close', { delay: DELAY });
    const since = Date.now();
    for (const which of [id, `${id} bare`]) await tab.call(which, 'close');
    const end = await tab.next('the end', id, isClose, since);
    assert.deepEqual([end.cause, end.willReconnect], ['close-timeout', false]);
    const theirs = await tab.next('the end', `${id} bare`, isClose, since);
    assert.ok(theirs.at > end.at, 'the browser waits longer');
    await measured(`close where the end comes after ${DELAY} ms, limit ${LIMIT} ms: the end`, end.at - since);
    await pause(LIMIT);
    assert.equal((await tab.log(id)).filter(isClose).length, 1, 'one end');
    assert.equal(await tab.get(id, 'readyState'), 3);
  });

  test('[R10][F3] a black hole that ends the connection after a time is left at its end', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const TIMEOUT = 1_000;
    await connect(QUICK);
    const since = Date.now();
    await proxy.toxic('timeout', { timeout: TIMEOUT });
    for (const which of [id, `${id} bare`]) await tab.call(which, 'send', 'swallowed');
    const lost = await lostWithTheOther(since);
    await proxy.cure();
    await measured(`black hole that ends after ${TIMEOUT} ms: noticed`, lost.at - since);
    await recovered(lost, 'black hole that ends');
    const came = (await tab.log(id)).filter(isMessage).map(({ data }) => data);
    assert.deepEqual(came, ['there'], 'it was a black hole');
    assert.equal(
      (await seen('messageIn')).filter(({ bytes }) => bytes === 'swallowed'.length).length,
      1,
      'nothing is sent twice',
    );
  });

  test('[R10][R14][F2] a network that resets every connection is tried until it does not', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    await connect(QUICK);
    const since = Date.now();
    await proxy.toxic('reset_peer');
    const lost = await lostWithTheOther(since);
    await measured('reset by the network: noticed', lost.at - since);
    await tab.next('an attempt that fails', id, (event) => isClose(event) && event.at > lost.at);
    const cured = Date.now();
    await proxy.cure();
    const { at } = await tab.reopened(id, lost.at);
    await measured('reset by the network: back after the last reset', at - cured);
    await tab.echo(id, 'there');
  });

  test('[R10][R14][F2] a server that is cut off is tried until it is back', { timeout: TEST_TIMEOUT }, async () => {
    await connect(QUICK);
    const since = Date.now();
    await proxy.toxic('down');
    const lost = await lostWithTheOther(since);
    await measured('cut off: noticed', lost.at - since);
    await tab.sendMany(id, 'meanwhile', 5);
    await tab.next('an attempt that fails', id, (event) => isClose(event) && event.at > lost.at);
    const cured = Date.now();
    await proxy.cure();
    const { at } = await tab.reopened(id, lost.at);
    await measured('cut off: back after the server', at - cured);
    await echoed('meanwhile', 5);
  });

  test('[R14][F7] an address where nobody listens is tried until somebody does', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    await proxy.toxic('down');
    await tab.begin(id, echo(id));
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    await tab.next('another attempt', id, isAttempt, lost.at);
    const cured = Date.now();
    await proxy.cure();
    const { at } = await tab.next('the opening', id, isOpen);
    await measured('nobody listens: open after somebody does', at - cured);
    await tab.echo(id, 'there');
  });

  test('[R1][F3] a black hole in the network is noticed, and left', { timeout: TEST_TIMEOUT }, async () => {
    const server = await world.start('test-server', '--ping-interval', '5');
    const hole = await control.proxy('hole', server.port);
    const url = `${hole.ws}/hello`;
    await tab.open(id, url, WITH_HEARTBEAT, { ...QUICK, heartbeatGrace: 3_000, connectTimeout: 3_000 });
    await tab.bare(`${id} bare`, `${hole.ws}/echo`);
    await tab.echo(`${id} bare`, 'there');
    const since = Date.now();
    for (const direction of ['upstream', 'downstream']) await hole.toxic('timeout', {}, direction);
    await tab.showHalfOpen(`${id} bare`);

    const lost = await tab.next('the loss', id, isClose, since);
    assert.equal(lost.cause, 'heartbeat-timeout');
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 1, 'the browser has not noticed');
    await measured('black hole: silence until it is noticed', lost.at - tab.lastFrame(url));
    const cured = Date.now();
    await hole.cure();
    const { at } = await tab.reopened(id, lost.at);
    await measured('black hole: back after it is gone', at - cured);
    await tab.greet(id, 'Ada');
  });
});
