// The application's tests with vitest and its fake timers.

import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { load } from 'steady-socket';
import { FakeServer, setChance } from 'steady-socket/testing';

import { SESSION_OVER, startFeed } from './feed.js';

let server;
let chance;
let feed;
let shown;

beforeAll(() => load());

beforeEach(() => {
  vi.useFakeTimers();
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
  vi.useRealTimers();
});

test('open: it is online, and subscribes', async () => {
  const connection = await server.nextConnection();
  await connection.expect('{"type":"subscribe","topic":"weather"}');
  connection.send('{"text":"rain"}');
  expect(shown).toEqual(['connecting', 'online', 'news: rain']);
});

test('stall: a handshake that is not answered is given up after 15 s', async () => {
  server.handshake = 'stall';
  await vi.advanceTimersByTimeAsync(15_000);
  expect(shown.at(-1)).toBe('reconnecting in 5 s');
  server.handshake = 'open';
  vi.advanceTimersByTime(6_000);
  expect(shown.at(-1)).toBe('online');
});

test('cut: it counts down, comes back and subscribes anew', async () => {
  const first = await server.nextConnection();
  await first.expect(/weather/);
  first.cut();
  expect(shown.at(-1)).toBe('reconnecting in 5 s');
  vi.advanceTimersByTime(2_000);
  expect(shown.at(-1)).toBe('reconnecting in 3 s');
  vi.advanceTimersByTime(3_000);
  const second = await server.nextConnection();
  await second.expect(/weather/);
  expect(shown.at(-1)).toBe('online');
});

test('half-open: a connection on which nothing comes any more is left after 25 s', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  connection.halfOpen();
  vi.advanceTimersByTime(24_999);
  expect(shown.at(-1)).toBe('online');
  expect(connection.bufferedAmount).toBe('{"type":"ping"}'.length);
  vi.advanceTimersByTime(1);
  expect(shown.at(-1)).toBe('reconnecting in 5 s');
});

test('close with 4003: it says so, and does not come back', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  connection.close(SESSION_OVER, 'session over');
  expect(shown.at(-1)).toBe('signed out');
  vi.advanceTimersByTime(3_600_000);
  expect(server.connections).toHaveLength(1);
});

test('close with 1012: a server that restarts is waited for', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  server.handshake = 'refuse';
  connection.close(1012, 'restarting');
  await vi.advanceTimersByTimeAsync(120_000);
  expect(shown.at(-1)).toMatch(/^reconnecting in \d+ s$/);
  server.handshake = 'open';
  await vi.advanceTimersByTimeAsync(30_000);
  expect(shown.at(-1)).toBe('online');
});

test('stop: it says goodbye, and leaves nothing running', async () => {
  const connection = await server.nextConnection();
  await connection.expect(/weather/);
  feed.stop();
  await connection.expectClose(1000, 'bye');
  await server.settled();
  expect(shown.at(-1)).toBe('stopped');
  expect(vi.getTimerCount()).toBe(0);
});
