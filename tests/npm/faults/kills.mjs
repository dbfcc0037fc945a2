// A room over two server processes, which are killed while two pages in Chromium talk: `cargo xtask kills --pages`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launchBrowser, openPage } from '../lib/browser.mjs';
import { required } from '../lib/environment.mjs';
import { within } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';
import { serveStatic } from '../lib/static-server.mjs';

const BURST = 1_000;
const KILLS = Number(required('STEADY_SOCKET_KILLS'));
const WWW = fileURLToPath(new URL('../../../www', import.meta.url));
const PATIENCE = 60_000;

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
const below = (limit) => Math.floor(Math.random() * limit);

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listens(port) {
  for (const until = Date.now() + PATIENCE; Date.now() < until; await pause(5)) {
    const isThere = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isThere) return;
  }
  throw new Error(`nobody listens on ${port}`);
}

/** A process that can be killed and started again. */
function startProcess(program, options, port, cwd) {
  let child;
  const it = {
    start: () => {
      child = spawn(program, options, { stdio: 'ignore', cwd });
      return listens(port);
    },
    kill: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await within(ended, `the end of ${program}`);
    },
  };
  return it;
}

const cleanups = [];
try {
  const folder = await mkdtemp(path.join(tmpdir(), 'steady-socket-kills-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const installed = await installPackage('kills');
  cleanups.push(installed.remove);
  const pages = await serveStatic({ routes: { '/pkg/': installed.folder, '/': WWW } });
  cleanups.push(pages.close);

  const redisPort = await freePort();
  const redisOptions = ['--bind', '127.0.0.1', '--port', `${redisPort}`, '--save', ''];
  redisOptions.push('--appendonly', 'yes', '--appendfsync', 'always', '--dir', folder);
  const redis = startProcess('redis-server', redisOptions, redisPort, folder);
  await redis.start();
  cleanups.push(redis.kill);
  const ports = [await freePort(), await freePort()];
  const processes = ports.map((port) => {
    const options = [`redis://127.0.0.1:${redisPort}/`, `${port}`, pages.origin];
    return startProcess(required('STEADY_SOCKET_ROOM'), options, port);
  });
  for (const process of processes) {
    await process.start();
    cleanups.push(process.kill);
  }

  const browser = await launchBrowser();
  cleanups.push(() => browser.close());
  const sides = [];
  for (const [at, name] of ['Ada', 'Bob'].entries()) {
    const { page } = await openPage(browser);
    const servers = at === 0 ? ports : ports.toReversed();
    await page.goto(`${pages.origin}/room.html?servers=${servers}&chats=${name}`);
    const counts = () =>
      page.$eval('.chat', ({ chat }) => {
        const { said, handled, heard, lost, unknown, notHandled, resumed } = chat;
        return { said, handled, heard: heard.length, lost, unknown, notHandled, resumed };
      });
    sides.push({
      name,
      counts,
      burst: () => page.$eval('.chat', ({ chat }, count) => chat.burst(count), BURST),
      heard: () => page.$eval('.chat', ({ chat }) => chat.heard),
      isOpen: () => page.textContent('.status').then((text) => text.startsWith('open')),
    });
  }
  const until = async (what, check) => {
    for (const end = Date.now() + PATIENCE; !(await check()); await pause(10)) {
      if (Date.now() > end) {
        throw new Error(`${what}: ${JSON.stringify(await Promise.all(sides.map((side) => side.counts())))}`);
      }
    }
  };
  await until('both are there', async () => (await Promise.all(sides.map((side) => side.isOpen()))).every(Boolean));
  // Whoever hears what was said has joined.
  let each = 0;

  /** Both have heard all that both have said, once and in one order. */
  async function settle() {
    await until('all is heard', async () => {
      const all = await Promise.all(sides.map((side) => side.counts()));
      return all.every(({ heard, handled }) => heard >= 2 * each && handled >= each);
    });
    const [one, two] = await Promise.all(sides.map((side) => side.heard()));
    assert.equal(one.length, 2 * each);
    assert.deepEqual(one, two, 'one order');
    for (const { name } of sides) {
      const theirs = one.filter((line) => line.startsWith(name));
      const expected = Array.from({ length: each }, (_, at) => `${name}: ${at + 1}`);
      assert.deepEqual(theirs, expected);
    }
  }
  const bursts = async () => {
    each += BURST;
    await Promise.all(sides.map((side) => side.burst()));
  };

  await bursts();
  await settle();
  const took = [];
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const victim = processes[below(2)];
    const begun = bursts();
    await pause(below(150));
    await victim.kill();
    const killed = performance.now();
    await pause(below(50));
    await victim.start();
    await begun;
    await settle();
    took.push(performance.now() - killed);
    if (kill % 10 === 0) console.log(`${kill} kills, ${2 * each} messages`);
  }
  for (let kill = 1; kill <= 3; kill += 1) {
    const begun = bursts();
    await pause(below(150));
    await redis.kill();
    await redis.start();
    await begun;
    await settle();
  }
  const counts = await Promise.all(sides.map((side) => side.counts()));
  for (const { lost, unknown, notHandled } of counts) {
    assert.deepEqual({ lost, unknown, notHandled }, { lost: [], unknown: 0, notHandled: 0 });
  }
  const median = took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)];
  console.log(`${KILLS} kills; in the median all was heard and handled ${Math.round(median)} ms later`);
  console.log(
    `${2 * each} messages, each once and in one order on both pages; ${counts[0].resumed + counts[1].resumed} resumes`,
  );

  // Without its file, both pages are told exactly.
  await redis.kill();
  await rm(folder, { recursive: true });
  await Promise.all(sides.map((side) => side.burst()));
  await mkdir(folder);
  await redis.start();
  await until('both are told', async () => {
    const all = await Promise.all(sides.map((side) => side.counts()));
    return all.every(
      ({ lost, said, handled, unknown, notHandled }) => lost.length === 1 && said === handled + unknown + notHandled,
    );
  });
  for (const { lost, unknown, notHandled } of await Promise.all(sides.map((side) => side.counts()))) {
    console.log(`lost: ${lost}; ${unknown} unknown, ${notHandled} not handled`);
  }
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
