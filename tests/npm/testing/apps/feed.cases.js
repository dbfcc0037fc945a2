// The application's tests, for any runner with fake timers.

import { load } from 'steady-socket';
import { FakeServer, setChance } from 'steady-socket/testing';

import { SESSION_OVER, startFeed } from './feed.js';

/**
 * @param runner - the runner's `test`, `beforeAll`, `beforeEach` and `afterEach`, and its `equal(found, expected)`
 * @param timers - its fake timers: `install`, `restore`, `advance(milliseconds)`, the same letting promises settle as
 *   `advanceAsync`, and `count` if they can be counted
 */
export function testFeed({ test, beforeAll, beforeEach, afterEach, equal }, timers) {
  let server;
  let chance;
  let feed;
  let shown;
  const shows = (line) => equal(shown.at(-1), line);

  beforeAll(() => load());

  beforeEach(() => {
    timers.install();
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
    timers.restore();
  });

  test('open: it is online, and subscribes', async () => {
    const connection = await server.nextConnection();
    await connection.expect('{"type":"subscribe","topic":"weather"}');
    connection.send('{"text":"rain"}');
    equal(shown, ['connecting', 'online', 'news: rain']);
  });

  test('stall: a handshake that is not answered is given up after 15 s', async () => {
    server.handshake = 'stall';
    await timers.advanceAsync(15_000);
    shows('reconnecting in 5 s');
    server.handshake = 'open';
    await timers.advance(6_000);
    shows('online');
  });

  test('cut: it counts down, comes back and subscribes anew', async () => {
    const first = await server.nextConnection();
    await first.expect(/weather/);
    first.cut();
    shows('reconnecting in 5 s');
    await timers.advance(2_000);
    shows('reconnecting in 3 s');
    await timers.advance(3_000);
    const second = await server.nextConnection();
    await second.expect(/weather/);
    shows('online');
  });

  test('half-open: a connection on which nothing comes any more is left after 25 s', async () => {
    const connection = await server.nextConnection();
    await connection.expect(/weather/);
    connection.halfOpen();
    await timers.advance(24_999);
    shows('online');
    equal(connection.bufferedAmount, '{"type":"ping"}'.length);
    await timers.advance(1);
    shows('reconnecting in 5 s');
  });

  test('close with 4003: it says so, and does not come back', async () => {
    const connection = await server.nextConnection();
    await connection.expect(/weather/);
    connection.close(SESSION_OVER, 'session over');
    shows('signed out');
    await timers.advance(60_000);
    equal(server.connections.length, 1);
  });

  test('close with 1012: a server that restarts is waited for', async () => {
    const connection = await server.nextConnection();
    await connection.expect(/weather/);
    server.handshake = 'refuse';
    connection.close(1012, 'restarting');
    await timers.advanceAsync(120_000);
    equal(/^reconnecting in \d+ s$/.test(shown.at(-1)), true);
    server.handshake = 'open';
    await timers.advanceAsync(30_000);
    shows('online');
  });

  test('stop: it says goodbye, and leaves nothing running', async () => {
    const connection = await server.nextConnection();
    await connection.expect(/weather/);
    feed.stop();
    await connection.expectClose(1000, 'bye');
    await server.settled();
    shows('stopped');
    equal(timers.count?.() ?? 0, 0);
  });
}
