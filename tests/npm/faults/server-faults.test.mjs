// A server that treats its clients badly.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
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

  // A name for the sockets of a test, and for their connections at the server.
  let id;
  let tests = 0;
  beforeEach(async () => {
    await control.clearRules();
    tests += 1;
    id = `test-${tests}`;
  });

  const echo = (of) => `${world.server.ws}/echo?id=${of}`;
  const isClose = ({ type }) => type === 'close';
  const isOpen = ({ type }) => type === 'open';

  /** Opens a socket under test without waiting. */
  const begin = (url, options = QUICK, protocols = []) => (
    tab.run(([...of]) => faults.open(...of), [id, url, protocols, options])
  );

  async function recovered() {
    await tab.reopened(id, 0);
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
  }

  for (const [action, words] of [['reset', 'reset (RST)'], ['cut', 'ended without a goodbye (FIN)']]) {
    test(`[R10] a connection that is ${words} is made again`, { timeout: TEST_TIMEOUT }, async () => {
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

  test('[R11] a close code of any number reaches the program, and decides', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const STOP = false;
    const RETRY = [0, 5_000];
    const LATER = [5_000, 30_000];
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

  test('[R12] the window that a server announces in its close reason is kept to', { timeout: TEST_TIMEOUT }, async () => {
    for (const [reason, min, max] of [['reconnect=1000-1500', 1_000, 1_500], ['reconnect=100000-200000', 60_000, 60_000]]) {
      const of = `${id}-${min}`;
      await tab.open(of, echo(of), [], {});
      await control.now({ id: of }, { type: 'close', code: 1012, reason });
      const { delay } = await tab.next('the loss', of, isClose);
      assert.ok(delay >= min && delay <= max, `${reason}: waits for ${delay} ms`);
      await tab.call(of, 'close');
    }
  });

  test('[R13] a handshake that is answered late is waited for', { timeout: TEST_TIMEOUT }, async () => {
    const LATE = 3_000;
    await control.rule({ match: { id }, action: { type: 'delayHandshake', ms: LATE }, times: 1 });
    const since = Date.now();
    await tab.open(id, echo(id));
    const { at } = (await tab.log(id)).find(isOpen);
    assert.ok(at - since >= LATE * 0.9, `it took ${at - since} ms: the answer was not late`);
    assert.equal((await tab.call(id, 'snapshot')).attempts, 1);
    await tab.call(id, 'close');
  });

  test('[R13] a handshake that is never answered is given up, and does not stand in the way of the next', { timeout: TEST_TIMEOUT }, async () => {
    const TIMEOUT = 2_000;
    await control.rule({ match: { id: `${id}-bare` }, action: { type: 'neverAnswer' } });
    await tab.run(([...of]) => faults.bare(...of), [`${id} bare`, echo(`${id}-bare`)]);
    await pause(TIMEOUT);
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 0, 'the browser waits on');
    // While it does, it makes no other connection to this address.
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
    test(`[R14] a handshake that is refused with ${status} is tried again`, { timeout: TEST_TIMEOUT }, async () => {
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

  test('[R14] sub-protocols of which the server knows none are failed attempts, not an end', { timeout: TEST_TIMEOUT }, async () => {
    await begin(`${world.server.ws}/hello?id=${id}`, QUICK, ['unknown']);
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    await tab.next('another attempt', id, ({ type, state }) => type === 'statechange' && state === 'connecting', lost.at);
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
    test(`[R15] a server that sends ${words} costs one connection`, { timeout: TEST_TIMEOUT }, async () => {
      await tab.open(id, echo(id));
      await tab.bare(`${id} bare`, echo(`${id}-bare`));
      for (const which of [id, `${id}-bare`]) await control.now({ id: which }, action);
      const theirs = await tab.next('the loss', `${id} bare`, isClose);
      const lost = await tab.next('the loss', id, isClose);
      assert.deepEqual([lost.code, lost.willReconnect], [theirs.code, true]);
      assert.equal((await tab.log(id)).filter(({ type }) => type === 'message').length, 0, 'nothing of it is delivered');
      await recovered();
    });
  }

  test('[R16] a message that is too big ends its connection, undelivered', { timeout: TEST_TIMEOUT }, async () => {
    const MAX = 1_000_000;
    await tab.open(id, echo(id), [], { ...QUICK, maxMessageBytes: MAX });
    await tab.bare(`${id} bare`, echo(`${id}-bare`));
    for (const which of [id, `${id}-bare`]) await control.now({ id: which }, { type: 'huge', bytes: MAX + 1 });
    const theirs = await tab.next('the message', `${id} bare`, ({ type }) => type === 'message');
    assert.equal(theirs.data.length, MAX + 1, 'the browser delivers it');
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.cause, lost.willReconnect], ['message-too-big', true]);
    assert.equal((await tab.log(id)).filter(({ type }) => type === 'message').length, 0);
    await recovered();
  });

  test('[R17] a close that the server does not answer ends in time', { timeout: TEST_TIMEOUT }, async () => {
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

  test('[R18] a server that accepts and closes at once is tried ever more rarely', { timeout: TEST_TIMEOUT }, async () => {
    await control.rule({ match: { id }, action: { type: 'close', code: 1011 } });
    await begin(echo(id), { ...QUICK, minDelay: 200, baseDelay: 200, growthFactor: 2, maxDelay: 2_000 });
    const fifth = await tab.next('the fifth attempt', id, ({ type, state, attempt }) => type === 'statechange' && state === 'connecting' && attempt >= 5);
    const log = await tab.log(id);
    const attempts = log.filter(({ state, at }) => state === 'connecting' && at <= fifth.at).map(({ attempt }) => attempt);
    assert.deepEqual(attempts, [1, 2, 3, 4, 5], 'an open that does not last starts no new count');
    assert.ok(log.filter(isOpen).length >= 4, 'each of them was open');
    await tab.call(id, 'close');
  });

  test('[R1] a black hole in the network is noticed, and left', { timeout: TEST_TIMEOUT }, async () => {
    const hello = await world.start('test-server', '--ping-interval', '5');
    const proxy = await control.proxy('hole', hello.port);
    const url = `${proxy.ws}/hello`;
    await tab.open(id, url, WITH_HEARTBEAT, { ...QUICK, heartbeatGrace: 1_000, connectTimeout: 3_000 });
    await tab.bare(`${id} bare`, `${proxy.ws}/echo`);
    await tab.echo(`${id} bare`, 'there');
    const since = Date.now();
    for (const direction of ['upstream', 'downstream']) await proxy.toxic('timeout', {}, direction);
    await tab.showHalfOpen(`${id} bare`);

    const lost = await tab.next('the loss', id, isClose, since);
    assert.equal(lost.cause, 'heartbeat-timeout');
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 1, 'the browser has not noticed');
    await measured('black hole: silence until it is noticed', lost.at - tab.lastFrame(url));
    const cured = Date.now();
    await proxy.cure();
    const { at } = await tab.reopened(id, lost.at);
    await measured('black hole: back after it is gone', at - cured);
    await tab.greet(id, 'Ada');
    await tab.call(id, 'close');
  });

  test('[R14] an address where nobody listens is tried until somebody does', { timeout: TEST_TIMEOUT }, async () => {
    const proxy = await control.proxy('down', world.server.port);
    await proxy.toxic('down');
    await begin(`${proxy.ws}/echo?id=${id}`);
    const lost = await tab.next('the loss', id, isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    await tab.next('another attempt', id, ({ state }) => state === 'connecting', lost.at);
    const cured = Date.now();
    await proxy.cure();
    const { at } = await tab.next('the opening', id, isOpen);
    await measured('nobody listens: open after somebody does', at - cured);
    await tab.echo(id, 'there');
    await tab.call(id, 'close');
  });
});
