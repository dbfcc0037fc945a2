// The application's tests with node:test and its mock timers.

import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, mock, test } from 'node:test';
import { load } from 'steady-socket';
import { FakeServer, fakeTime, setChance } from 'steady-socket/testing';

import { SESSION_OVER, startFeed } from './feed.js';

let server;
let time;
let chance;
let feed;
let shown;

before(() => load());

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  time = fakeTime({ tick: (milliseconds) => mock.timers.tick(milliseconds) });
  server = FakeServer.install();
  chance = setChance(1); // waits are as long as they can be
  shown = [];
  feed = startFeed('wss://example.test/feed', ['weather'], (line) => shown.push(line));
});

afterEach(async () => {
  feed.stop();
  await server.settled();
  server.assertIdle();
  server.restore();
  chance.restore();
  mock.timers.reset();
});

test('open: it is online, and subscribes', async () => {
  const connection = await server.nextConnection();
  await connection.expect('{"type":"subscribe","topic":"weather"}');
  connection.send('{"text":"rain"}');
  assert.deepEqual(shown, ['connecting', 'online', 'news: rain']);
});

test('stall: a handshake that is not answered is given up after 15 s', async () => {
  server.handshake = 'stall';
  await time.advance(15_000);
  assert.equal(shown.at(-1), 'reconnecting in 5 s');
  server.handshake = 'open';
  await time.advance(6_000);
  assert.equal(shown.at(-1), 'online');
});

test('cut: it counts down, comes back and subscribes anew', async () => {
  const first = await server.nextConnection();
  await first.expect(/weather/);
  first.cut();
  assert.equal(shown.at(-1), 'reconnecting in 5 s');
  await time.advance(2_000);
  assert.equal(shown.at(-1), 'reconnecting in 3 s');
  await time.advance(3_000);
  const second = await server.nextConnection();
  await second.expect(/weather/);
  assert.equal(shown.at(-1), 'online');
});

test('half-open: a connection on which nothing comes any more is left after 25 s', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  connection.halfOpen();
  await time.advance(24_999);
  assert.equal(shown.at(-1), 'online');
  assert.equal(connection.bufferedAmount, '{"type":"ping"}'.length);
  await time.advance(1);
  assert.equal(shown.at(-1), 'reconnecting in 5 s');
});

test('close with 4003: it says so, and does not come back', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  connection.close(SESSION_OVER, 'session over');
  assert.equal(shown.at(-1), 'signed out');
  await time.advance(60_000);
  assert.equal(server.connections.length, 1);
});

test('stop: it says goodbye', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  feed.stop();
  await connection.expectClose(1000, 'bye');
  await server.settled();
  assert.equal(shown.at(-1), 'stopped');
});
