// The chat in examples/chat, in Chromium, against the test server: over a connection that is cut, a server that is killed
// and started again, and one that is not there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

import { startServer } from '../faults/lib/servers.mjs';
import { launchBrowser, openPage } from '../lib/browser.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';
import { serveStatic } from '../lib/static-server.mjs';
import { eventually } from './lib/sockets.mjs';

const CHAT = fileURLToPath(new URL('../../../examples/chat', import.meta.url));

/** Passes connections on to a port, and breaks them when a test says so. */
async function startProxy(port) {
  const open = new Set();
  const proxy = net.createServer((client) => {
    const server = net.connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, server],
      [server, client],
    ]) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  const cut = () => {
    for (const socket of open) socket.resetAndDestroy();
  };
  return {
    url: `ws://127.0.0.1:${proxy.address().port}`,
    cut,
    stop: () => {
      proxy.close();
      cut();
    },
  };
}

describe('the chat', { timeout: TEST_TIMEOUT }, () => {
  const cleanups = [];
  let pages;
  let server;
  let proxy;
  let mine;
  let theirs;
  before(async () => {
    const installed = await installPackage('chat');
    cleanups.push(installed.remove);
    pages = await serveStatic({ routes: { '/node_modules/steady-socket/': installed.folder, '/': CHAT } });
    cleanups.push(pages.close);
    server = await startServer('test-server', ['--allow-origin', pages.origin]);
    proxy = await startProxy(server.port);
    cleanups.push(() => server.stop(), proxy.stop);
    const browser = await launchBrowser();
    cleanups.push(() => browser.close());
    [mine, theirs] = [await openChat(browser), await openChat(browser)];
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  async function openChat(browser) {
    const { page } = await openPage(browser);
    await page.goto(`${pages.origin}/index.html?server=${proxy.url}`);
    return {
      say: async (text) => {
        await page.fill('#text', text);
        await page.press('#text', 'Enter');
      },
      /** The messages that are shown, with their marks. */
      messages: () =>
        page.$$eval('#messages li', (items) =>
          items.map(({ firstChild, dataset }) => [firstChild.data, dataset.mark ?? 'theirs']),
        ),
      status: () => page.textContent('#status'),
      again: () => page.click('text=Send again'),
    };
  }

  const marks = async () => Object.fromEntries(await mine.messages());
  const shows = (mark, ...texts) =>
    eventually(`${texts} ${mark}`, async () => {
      const all = await marks();
      return texts.every((text) => all[text] === mark);
    });

  test('marks what is handled, and shows it to others', async () => {
    await mine.say('one');
    await shows('handled', 'one');
    await eventually('the other page', async () => (await theirs.messages()).length === 1);
    assert.match(await mine.status(), /^open, 0 pending$/);
  });

  test('keeps what is said while there is no connection, and says when it tries again', async () => {
    proxy.cut();
    await mine.say('two');
    await mine.say('three');
    await shows('handled', 'two', 'three');
    await eventually('the other page', async () => (await theirs.messages()).length === 3);
    assert.deepEqual(await theirs.messages(), [
      ['one', 'theirs'],
      ['two', 'theirs'],
      ['three', 'theirs'],
    ]);
  });

  test('says what became of everything when the server is killed, and goes on', async () => {
    const { port } = server;
    await server.kill();
    await eventually('the loss', async () => /^waiting/.test(await mine.status()));
    await mine.say('four');
    assert.equal((await marks()).four, 'pending');
    await eventually('the countdown', async () =>
      /^(waiting, 1 pending, next attempt in \d+ s|connecting, 1 pending)$/.test(await mine.status()),
    );
    server = await startServer('test-server', ['--allow-origin', pages.origin, '--port', String(port)]);
    await shows('handled', 'four');
    // The room of the new server remembers nothing for who comes later.
    await eventually('the return of the other page', async () => /^open/.test(await theirs.status()));
    await mine.say('five');
    await shows('handled', 'five');
    await eventually('the other page', async () => (await theirs.messages()).at(-1)[0] === 'five');
    for (const [text, mark] of Object.entries(await marks())) assert.equal(mark, 'handled', text);
  });
});
