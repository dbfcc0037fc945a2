// A server that treats its clients badly.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { lie } from './lib/network.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, WITH_HEARTBEAT, openWorld, pause } from './lib/world.mjs';

describe('faults of a server', { timeout: 20 * TEST_TIMEOUT }, () => {
  let world;
  let control;
  let tab;
  before(async () => {
    world = await openWorld({ program: 'fault-server' });
    control = new Faults(world.server);
    tab = await world.openTab();
  });
  after(() => world?.close());

  // Names the sockets of a test, and their connections on the server.
  let id;
  let tests = 0;
  beforeEach(async () => {
    await control.clearRules();
    tests += 1;
    id = `test-${tests}`;
  });
  afterEach(() => tab.showOneAtATime());

  const echo = (of) => `${world.server.ws}/echo?id=${of}`;
  const isClose = ({ type }) => type === 'close';
  const isOpen = ({ type }) => type === 'open';
  const isAttempt = ({ type, state }) => type === 'statechange' && state === 'connecting';

  /** Opens a socket under test without waiting. */
  const begin = (url, options = QUICK, protocols = []) => tab.begin(id, url, protocols, options);

  async function recovered() {
    await tab.reopened(id, 0);
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
  }

  for (const [action, words] of [
    ['reset', 'reset (RST)'],
    ['cut', 'ended without a goodbye (FIN)'],
  ]) {
    test(`[R10][F2] a connection that is ${words} is made again`, { timeout: TEST_TIMEOUT }, async () => {
      await tab.open(id, echo(id));
      await tab.bare(`${id} bare`, echo(`${id}-bare`));
      for (const which of [id, `${id}-bare`]) await control.now({ id: which }, { type: action });
      const theirs = await tab.next('the loss', `${id} bare`, isClose);
      assert.equal(theirs.code, 1006);

      const lost = await tab.next('the loss', id, isClose);
      assert.deepEqual([lost.code, lost.cause, lost.willReconnect], [1006, 'socket', true]);
      const { at } = await tab.reopened(id, 0);
      await measured(`${action}: back after the loss, with waits of 0.3 s at most`, at - lost.at);
      await recovered();
      const log = await tab.log(id);
      assert.equal(log.filter(isClose).filter(({ willReconnect }) => willReconnect).length, 1, 'one loss');
    });
  }

  test('[R11][F11][F12][F13][F14] a close code of any number reaches the program, and decides', {
    timeout: 2 * TEST_TIMEOUT,
  }, async () => {
    const STOP = false;
    const RETRY = [0, 5_000];
    const LATER = [5_000, 30_000];
    // biome-ignore format: a table.
    const cases = [
      [0, RETRY], [999, RETRY], [1000, STOP], [1001, RETRY], [1002, RETRY], [1003, RETRY], [1004, RETRY], [1007, RETRY],
      [1008, STOP], [1009, RETRY], [1010, RETRY], [1011, RETRY], [1012, LATER], [1013, LATER], [1014, RETRY], [1016, RETRY],
      [2999, RETRY], [3000, STOP], [3001, RETRY], [3500, STOP], [4000, RETRY], [4499, RETRY], [4500, STOP], [5000, RETRY],
      [65535, RETRY], [undefined, RETRY],
    ];
    for (const [code, decision] of cases) {
      const of = `${id}-${code}`;
      await tab.open(of, echo(of), [], {});
      await tab.bare(`${of} bare`, echo(`${of}-bare`));
      for (const which of [of, `${of}-bare`]) await control.now({ id: which }, { type: 'close', code });
      const theirs = await tab.next('the end', `${of} bare`, isClose);
      const lost = await tab.next('the end', of, isClose);
      assert.equal(lost.code, theirs.code, 'the code that the browser gives');
      assert.equal(lost.willReconnect, decision !== STOP, `${code}: retries`);
      if (decision === STOP) {
        assert.equal(await tab.get(of, 'readyState'), 3);
      } else {
        const [min, max] = decision;
        assert.ok(lost.delay >= min && lost.delay <= max, `${code}: waits for ${lost.delay} ms`);
        await tab.call(of, 'close');
      }
    }
  });

  // Without a window, the first wait would be zero, or from 5 to 30 s after 1012.
  const AT_ONCE = { ...QUICK, firstDelayMax: 0 };

  test('[R12][F1] the window that a server announces is kept to, and no longer than it was allowed', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const cases = [
      [1012, 'reconnect=1000-1500', 1_000, 1_500],
      [1001, 'reconnect=1000-1500', 1_000, 1_500],
      [1012, 'reconnect=100000-200000', 60_000, 60_000],
    ];
    for (const [code, reason, min, max] of cases) {
      const of = `${id}-${code}-${min}`;
      await tab.open(of, echo(of), [], AT_ONCE);
      await control.now({ id: of }, { type: 'close', code, reason });
      const { delay } = await tab.next('the loss', of, isClose);
      assert.ok(delay >= min && delay <= max, `${code} ${reason}: waits for ${delay} ms`);
      await tab.call(of, 'close');
    }
  });

  test('[R12] a window in a control message is kept to when the connection ends', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    await tab.open(id, `${world.server.ws}/hello?id=${id}`, WITH_HEARTBEAT, AT_ONCE);
    await control.now({ id }, { type: 'frame', text: '~reconnect 1000-1500' });
    await tab.greet(id, 'Ada');
    await control.now({ id }, { type: 'cut' });
    const lost = await tab.next('the loss', id, isClose);
    assert.equal(lost.code, 1006);
    assert.ok(lost.delay >= 1_000 && lost.delay <= 1_500, `waits for ${lost.delay} ms`);
    await tab.reopened(id, lost.at);
    await tab.call(id, 'close');
  });

  test('[R7] a server that knows how few its clients are has them back at once', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const STABLE = 100;
    const options = { stableAfter: STABLE, attemptInterval: 0 };
    await tab.open(id, `${world.server.ws}/hello?id=${id}`, WITH_HEARTBEAT, options);
    await tab.greet(id, 'Ada');
    const ways = [];
    for (let cuts = 0; cuts < 5; cuts += 1) {
      await control.now({ id }, { type: 'cut' });
      const lost = await tab.next('the loss', id, isClose, ways.at(-1)?.at ?? 0);
      // Without what the server says, up to 5 s.
      assert.ok(lost.delay <= 50, `waits for ${lost.delay} ms`);
      const { at } = await tab.reopened(id, lost.at);
      ways.push({ at, took: at - lost.at });
      await tab.greet(id, 'Ada');
      // A connection counts only when it has been stable.
      await pause(STABLE + 20);
    }
    const sorted = ways.map(({ took }) => took).sort((one, other) => one - other);
    await measured(
      'alone on a server that fits the first wait: from the loss to the next connection, median',
      sorted[2],
    );
    await tab.call(id, 'close');
  });

  test('[R12][F36] what the browser says of the network does not shorten the wait that a server asked for', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const WINDOW = 3_000;
    await tab.open(id, echo(id), [], AT_ONCE);
    await control.now({ id }, { type: 'close', code: 1012, reason: `reconnect=${WINDOW}-${WINDOW}` });
    const lost = await tab.next('the loss', id, isClose);
    assert.equal(lost.delay, WINDOW);
    for (const offline of [true, false]) {
      await lie(tab, { offline });
      await tab.next('the event of the page', 'page', ({ type }) => type === (offline ? 'offline' : 'online'), lost.at);
    }
    const attempt = await tab.next('the next attempt', id, isAttempt, lost.at);
    const online = (await tab.log('page')).findLast(({ type }) => type === 'online');
    assert.ok(online.at < attempt.at, 'the browser said so while it waited');
    // The log and the timers use different clocks.
    assert.ok(attempt.at - lost.at >= WINDOW - 50, `the next attempt came after ${attempt.at - lost.at} ms`);
    await measured(`a window of ${WINDOW} ms: the next attempt`, attempt.at - lost.at);
    await recovered();
  });

  test('[R13][F5] a handshake that is answered late is waited for', { timeout: TEST_TIMEOUT }, async () => {
    const LATE = 3_000;
    await control.rule({ match: { id }, action: { type: 'delayHandshake', ms: LATE }, times: 1 });
    const since = Date.now();
    await tab.open(id, echo(id));
    const { at } = (await tab.log(id)).find(isOpen);
    assert.ok(at - since >= LATE * 0.9, `it took ${at - since} ms: the answer was not late`);
    assert.equal((await tab.call(id, 'snapshot')).attempts, 1);
    await tab.call(id, 'close');
  });

  test('[R13][F5] a handshake that is never answered is given up, and does not stand in the way of the next', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const TIMEOUT = 2_000;
    await control.rule({ match: { id: `${id}-bare` }, action: { type: 'neverAnswer' } });
    await tab.run(([...of]) => faults.bare(...of), [`${id} bare`, echo(`${id}-bare`)]);
    await pause(TIMEOUT);
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 0, 'the browser waits on');
    // While it is connecting, the browser opens no other connection to this address.
    await tab.call(`${id} bare`, 'close');

    await control.rule({ match: { id }, action: { type: 'neverAnswer' }, times: 1 });
    await begin(echo(id), { ...QUICK, connectTimeout: TIMEOUT });
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.cause, lost.willReconnect], [1006, 'connect-timeout', true]);
    const { at } = await tab.next('the opening', id, isOpen);
    await measured('unanswered handshake: open after it was given up', at - lost.at);
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
  });

  for (const status of [302, 401, 403, 404, 500, 503]) {
    test(`[R14][F6] a handshake that is refused with ${status} is tried again`, { timeout: TEST_TIMEOUT }, async () => {
      await control.rule({ match: { id }, action: { type: 'refuse', status }, times: 2 });
      await begin(echo(id));
      const lost = await tab.next('the loss', id, isClose);
      assert.deepEqual([lost.code, lost.cause, lost.willReconnect], [1006, 'socket', true]);
      await tab.next('the opening', id, isOpen);
      assert.equal((await tab.log(id)).filter(isClose).length, 2);
      await tab.echo(id, 'there');
      await tab.call(id, 'close');
    });
  }

  test('[R14][F8] sub-protocols of which the server knows none are failed attempts, not an end', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    await begin(`${world.server.ws}/hello?id=${id}`, QUICK, ['unknown']);
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    await tab.next(
      'another attempt',
      id,
      ({ type, state }) => type === 'statechange' && state === 'connecting',
      lost.at,
    );
    await tab.call(id, 'close');
  });

  const GARBAGE = [
    ['bytes that are no frame', { type: 'garbage' }],
    ['a text that is not UTF-8', { type: 'invalidUtf8' }],
    ['reserved bits', { type: 'reservedBits' }],
    ['a frame of an unknown kind', { type: 'unknownOpcode' }],
    ['a ping that is too long', { type: 'oversizedControl' }],
    ['a frame with a mask', { type: 'frame', text: 'masked', masked: true }],
  ];
  for (const [words, action] of GARBAGE) {
    test(`[R15][F23] a server that sends ${words} costs one connection`, { timeout: TEST_TIMEOUT }, async () => {
      await tab.open(id, echo(id));
      await tab.bare(`${id} bare`, echo(`${id}-bare`));
      for (const which of [id, `${id}-bare`]) await control.now({ id: which }, action);
      const theirs = await tab.next('the loss', `${id} bare`, isClose);
      const lost = await tab.next('the loss', id, isClose);
      assert.deepEqual([lost.code, lost.willReconnect], [theirs.code, true]);
      assert.equal(
        (await tab.log(id)).filter(({ type }) => type === 'message').length,
        0,
        'nothing of it is delivered',
      );
      await recovered();
    });
  }

  test('[R16][F20] a message that is too big ends its connection, undelivered', { timeout: TEST_TIMEOUT }, async () => {
    const MAX = 1_000_000;
    await tab.open(id, echo(id), [], { ...QUICK, maxMessageBytes: MAX });
    await tab.bare(`${id} bare`, echo(`${id}-bare`));
    for (const which of [id, `${id}-bare`]) await control.now({ id: which }, { type: 'huge', bytes: MAX + 1 });
    const theirs = await tab.next('the message', `${id} bare`, ({ type }) => type === 'message');
    assert.equal(theirs.length, MAX + 1, 'the browser delivers it');
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.cause, lost.willReconnect], ['message-too-big', true]);
    assert.equal((await tab.log(id)).filter(({ type }) => type === 'message').length, 0);
    await recovered();
  });

  test('[R17][F15] a close that the server does not answer ends in time', { timeout: TEST_TIMEOUT }, async () => {
    await control.rule({ match: { id }, action: { type: 'ignoreClose' } });
    await control.rule({ match: { id: `${id}-bare` }, action: { type: 'ignoreClose' } });
    await tab.open(id, echo(id), [], { ...QUICK, closeTimeout: 1_000 });
    await tab.bare(`${id} bare`, echo(`${id}-bare`));
    const since = Date.now();
    for (const which of [id, `${id} bare`]) await tab.call(which, 'close');
    const end = await tab.next('the end', id, isClose);
    assert.deepEqual([end.code, end.cause, end.willReconnect], [1006, 'close-timeout', false]);
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 2, 'the browser waits on');
    await measured('unanswered close, limit 1 s: the end', end.at - since);
  });

  test('[R18][F10] a server that accepts and closes at once is tried ever more rarely, until a connection lasts', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    // Longer than it takes a busy machine to learn of the close.
    const STABLE = 5_000;
    const other = await world.openTab();
    // Waits are random between a minimum and a maximum; here they are the maximum, which makes it visible.
    await other.run(() => {
      Math.random = () => 1 - Number.EPSILON;
    });
    await control.rule({ match: { id }, action: { type: 'close', code: 1011 }, times: 6 });
    await other.begin(id, echo(id), [], {
      firstDelayMax: 100,
      minDelay: 10,
      baseDelay: 200,
      growthFactor: 2,
      maxDelay: 1_000,
      stableAfter: STABLE,
    });
    const lasting = await other.next(
      'the connection that lasts',
      id,
      ({ type, attempt }) => type === 'open' && attempt === 7,
    );

    const log = await other.log(id);
    const openings = log.filter(isOpen);
    assert.deepEqual(
      openings.map(({ attempt }) => attempt),
      [1, 2, 3, 4, 5, 6, 7],
      'an open that does not last starts no new count',
    );
    const losses = log.filter(isClose);
    const grows = [100, 400, 800, 1_000, 1_000, 1_000];
    losses.forEach(({ delay, at }, index) => {
      assert.ok(
        delay <= grows[index] && delay > 0.9 * grows[index],
        `wait ${index + 1} is ${delay} ms of ${grows[index]}`,
      );
      const waited = log.find((event) => isAttempt(event) && event.at >= at).at - at;
      assert.ok(waited >= delay - 50, `wait ${index + 1} ended after ${waited} ms, not ${delay}`);
    });
    assert.equal(losses.length, grows.length);

    await pause(STABLE);
    await control.now({ id }, { type: 'cut' });
    const { delay } = await other.next('the loss', id, isClose, lasting.at);
    assert.ok(delay <= 100, `after a stable connection the first wait is ${delay} ms`);
    assert.equal((await other.reopened(id, lasting.at + STABLE)).attempt, 2);
    await other.close();
  });

  test('[R21][F18][F46] a page that asks for a new connection in a loop makes no storm', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const [BURST, INTERVAL, CALLS] = [5, 2_000, 100];
    await tab.open(id, echo(id), [], { ...QUICK, attemptBurst: BURST, attemptInterval: INTERVAL });
    const before = Date.now();
    await tab.run(
      ([name, calls]) => {
        for (let call = 0; call < calls; call += 1) faults.socket(name).reconnect();
      },
      [id, CALLS],
    );
    const first = await tab.call(id, 'snapshot');
    assert.equal(first.attempts, BURST, 'attempts at once');
    const { at, delay } = await tab.next('the wait', id, ({ state }) => state === 'waiting');
    assert.ok(delay > 0 && delay <= INTERVAL, `it waits for ${delay} ms`);
    const open = await tab.next('the opening', id, isOpen, at);
    const handshakes = (await control.log(id)).filter(({ event }) => event === 'handshake').length;
    const allowed = BURST + Math.ceil((open.at - before) / INTERVAL);
    assert.ok(handshakes <= allowed, `the server saw ${handshakes} handshakes, where ${allowed} are allowed`);
    await measured(`${CALLS} calls of reconnect(): handshakes that the server saw`, handshakes, 'handshakes');
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
  });

  test('[R14][F19] where the browser has no more sockets an attempt fails, and a later one does not', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const WANTED = 300;
    const got = await tab.run(([...of]) => faults.crowd(...of), ['crowd', echo('crowd'), WANTED]);
    assert.ok(got < WANTED, `the browser gave all ${WANTED} sockets`);
    await measured('sockets that the browser gives', got, 'sockets');
    await begin(echo(id));
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    await tab.call('crowd', 'close', 50);
    await tab.next('the opening', id, isOpen);
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
    await tab.call('crowd', 'close', WANTED);
  });
});
