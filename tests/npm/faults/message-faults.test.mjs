// A server that reads, writes and answers as no server should.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { PINGS, QUICK, WITH_HEARTBEAT, eventually, numbersFrom, openWorld, pause } from './lib/world.mjs';

const OPTIONS = { ...QUICK, ...PINGS };

/** How long a server may be silent with these options, in milliseconds. */
const SILENCE = PINGS.heartbeatInterval + PINGS.heartbeatGrace;

describe('faults of messages', { timeout: 10 * TEST_TIMEOUT }, () => {
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
  afterEach(async () => {
    await tab.showOneAtATime();
    await tab.call(id, 'close');
  });

  const echo = (of) => `${world.server.ws}/echo?id=${of}`;
  const hello = (of) => `${world.server.ws}/hello?id=${of}`;
  const isClose = ({ type }) => type === 'close';
  const isMessage = ({ type }) => type === 'message';

  /** What the server has seen of a kind on this test's connections, oldest first. */
  const seen = async (kind) => (await control.log(id)).filter(({ event }) => event === kind);

  /** Opens the socket under test and one of the browser's own, and applies the same action to both. */
  async function befall(action, options = OPTIONS) {
    await tab.open(id, echo(id), [], options);
    await tab.bare(`${id} bare`, echo(`${id}-bare`));
    for (const which of [id, `${id}-bare`]) await control.now({ id: which }, action);
  }

  test('[R1][R25][R26][F16] a server that stops reading is noticed, and what the browser had not taken is sent to the next', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const [COUNT, BYTES, MARK] = [400, 50_000, 256 * 1024];
    await befall(
      { type: 'stopReading' },
      { ...OPTIONS, highWaterMark: MARK, lowWaterMark: MARK / 2, maxQueuedBytes: COUNT * BYTES },
    );
    const since = Date.now();
    assert.equal(await tab.sendMany(`${id} bare`, 'message', COUNT, BYTES), COUNT);
    assert.equal(await tab.sendMany(id, 'message', COUNT, BYTES), COUNT);
    await eventually('the filling of all buffers', async () => (await tab.call(id, 'snapshot')).queuedMessages > 0);
    const snapshot = await tab.call(id, 'snapshot');
    const held = (await tab.get(id, 'bufferedAmount')) - snapshot.queuedBytes;
    assert.ok(held <= MARK + BYTES, `the browser holds ${held} bytes`);

    const lost = await tab.next('the loss', id, isClose, since);
    assert.equal(lost.cause, 'heartbeat-timeout');
    assert.equal(await tab.get(`${id} bare`, 'readyState'), 1, 'the browser has not noticed');
    assert.ok((await tab.get(`${id} bare`, 'bufferedAmount')) > 0, 'the browser’s own socket is stuck');
    await measured(
      `stopped reading: noticed after the last message, with ${SILENCE / 1_000} s of silence allowed`,
      lost.at - since,
    );
    const open = await tab.reopened(id, lost.at);
    await measured('stopped reading: back after the loss', open.at - lost.at);

    const [first, ...others] = await eventually('the echoes of the rest', async () => {
      const numbers = await tab.numbers(id, 'message');
      return numbers.at(-1) === COUNT && numbers;
    });
    assert.equal(first, lost.unconfirmedMessages + 1, 'each message is reported, or sent');
    assert.deepEqual(others, numbersFrom(first + 1, COUNT), 'once, and in order');
    await tab.call(`${id} bare`, 'close');
  });

  test('[R1][R25][F3][F28] a server that stops writing is noticed, and what it may have had is reported and not sent again', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const COUNT = 20;
    await befall({ type: 'stopWriting' });
    const since = Date.now();
    await tab.sendMany(id, 'lost', COUNT);
    await tab.showHalfOpen(`${id} bare`);

    const lost = await tab.next('the loss', id, isClose, since);
    assert.deepEqual([lost.code, lost.cause, lost.unconfirmedMessages], [1006, 'heartbeat-timeout', COUNT]);
    await measured(
      `stopped writing: noticed after the last message, with ${SILENCE / 1_000} s of silence allowed`,
      lost.at - since,
    );
    const open = await tab.reopened(id, lost.at);
    await measured('stopped writing: back after the loss', open.at - lost.at);
    await tab.echo(id, 'there');
    assert.deepEqual(await tab.numbers(id, 'lost'), [], 'nothing of it comes back');

    const opened = await seen('open');
    const pings = 'beat'.length;
    const again = (await seen('messageIn')).filter(
      ({ connection, bytes }) => connection === opened[1].connection && bytes !== pings,
    );
    assert.deepEqual(
      again.map(({ bytes }) => bytes),
      ['there'.length],
      'only what was sent since reaches the next connection',
    );
  });

  test('[R28][F24] messages of the wrong kind arrive as what they are, and the connection goes on', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    await control.rule({ match: { id }, action: { type: 'wrongKind', count: 3 } });
    await tab.open(id, hello(id), ['hello.json']);
    const greeting = '{"type":"greeting","text":"Hello Ada!"}';
    for (let number = 0; number < 4; number += 1) await tab.greet(id, 'Ada');
    const greeted = (await tab.log(id)).filter(isMessage);
    assert.deepEqual(
      greeted.map(({ data }) => data),
      Array(4).fill(greeting),
    );
    assert.deepEqual(
      greeted.map(({ isBinary }) => isBinary),
      [true, true, true, false],
    );

    // The same towards the typed endpoint.
    const since = Date.now();
    await tab.run(([...of]) => faults.sendBytes(...of), [id, '{"type":"hello","name":"Ada"}']);
    const answer = await tab.next('the answer', id, isMessage, since);
    assert.match(answer.data, /^\{"type":"malformed"/);
    await tab.greet(id, 'Grace');
    assert.equal((await tab.call(id, 'snapshot')).attempts, 1);
  });

  test('[R28][F24] a control message of the wrong kind is none', { timeout: TEST_TIMEOUT }, async () => {
    await tab.open(id, hello(id), WITH_HEARTBEAT);
    await control.now({ id }, { type: 'frame', opcode: 2, bytes: [...Buffer.from('~reconnect 60000-60000')] });
    const came = await tab.next('the message', id, isMessage);
    assert.deepEqual([came.isBinary, came.data], [true, '~reconnect 60000-60000'], 'it is the application’s');
    await control.now({ id }, { type: 'cut' });
    const { delay } = await tab.next('the loss', id, isClose);
    assert.equal(delay, 0, 'it announced nothing');
    await tab.reopened(id, 0);
  });

  test('[R25][F26] messages that come twice are delivered as they come, and nothing is sent twice', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const COUNT = 5;
    await befall({ type: 'duplicate' }, QUICK);
    for (const which of [id, `${id} bare`]) {
      await tab.sendMany(which, 'message', COUNT);
      const twice = numbersFrom(1, COUNT).flatMap((number) => [number, number]);
      const numbers = await eventually('the echoes', async () => {
        const found = await tab.numbers(which, 'message');
        return found.length >= twice.length && found;
      });
      assert.deepEqual(numbers, twice, which);
    }
    assert.equal((await seen('messageIn')).length, COUNT);
    const { attempts, messagesSent, messagesReceived } = await tab.call(id, 'snapshot');
    assert.deepEqual(
      { attempts, messagesSent, messagesReceived },
      { attempts: 1, messagesSent: COUNT, messagesReceived: 2 * COUNT },
    );
    await tab.call(`${id} bare`, 'close');
  });

  test('[R1][R25][F4] messages that come late, but in time, keep the connection, and those that come too late do not', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    // The ping goes out after the interval, and then the server has the grace period to answer.
    const [LATE, TOO_LATE, COUNT] = [PINGS.heartbeatGrace * 0.4, SILENCE * 10, 10];
    await befall({ type: 'delayMessages', ms: LATE });
    const sent = Date.now();
    for (const which of [id, `${id} bare`]) await tab.sendMany(which, 'late', COUNT);
    const theirs = await tab.next('the first echo', `${id} bare`, isMessage);
    assert.ok(theirs.at - sent >= LATE * 0.9, `the browser’s own socket had its echo after ${theirs.at - sent} ms`);
    await pause(2 * SILENCE);
    assert.deepEqual(await tab.numbers(id, 'late'), numbersFrom(1, COUNT));
    assert.equal((await tab.call(id, 'snapshot')).attempts, 1, 'the connection was kept');

    const since = Date.now();
    await control.now({ id }, { type: 'delayMessages', ms: TOO_LATE });
    await tab.sendMany(id, 'too-late', COUNT);
    const lost = await tab.next('the loss', id, isClose, since);
    // Including late ones: the options do not say which messages answer the pings, and nothing else confirms.
    assert.deepEqual([lost.cause, lost.unconfirmedMessages], ['heartbeat-timeout', 2 * COUNT]);
    await measured(`delayed messages: noticed, with ${SILENCE / 1_000} s of silence allowed`, lost.at - since);
    const open = await tab.reopened(id, lost.at);
    await measured('delayed messages: back after the loss', open.at - lost.at);
    await tab.echo(id, 'there');
    assert.deepEqual(await tab.numbers(id, 'too-late'), [], 'what is late for its own connection comes on no other');
    await tab.call(`${id} bare`, 'close');
  });
});
