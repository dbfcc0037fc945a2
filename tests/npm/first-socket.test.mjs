// The first socket is opened when the constructor runs, and handed to the core when the WebAssembly module is there: at
// every moment, in Chromium and in Node. The events are those of a program whose module was there before.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { WebSocketServer } from 'ws';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { installPackage, runProgram } from './lib/package.mjs';
import { openRealm } from './lib/realm.mjs';
import { runtime } from './runtimes/lib/programs.mjs';

const FOLDER = fileURLToPath(new URL('./loading', import.meta.url));

/** A server that tells on `/watch` what happens on its other endpoints. */
async function startServer() {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const watching = new Set();
  let log = [];
  const tell = (what) => {
    log.push(what);
    for (const socket of watching) socket.send(what);
  };
  http.on('upgrade', (request, stream, head) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    stream.on('error', () => {});
    if (pathname !== '/watch') tell(`${pathname} is asked for`);
    if (pathname === '/refuse') {
      stream.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      stream.on('close', () => tell('/refuse is over'));
      return;
    }
    if (pathname === '/hang') {
      stream.resume();
      stream.on('end', () => stream.end());
      stream.on('close', () => tell('/hang is over'));
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      if (pathname === '/watch') {
        watching.add(socket);
        socket.on('close', () => watching.delete(socket));
        return;
      }
      socket.on('message', (data) => tell(`${pathname} got ${data}`));
      socket.on('close', (code) => tell(`${pathname} is over`, code));
      socket.send('one');
      socket.send(Buffer.from([1, 2, 3]));
      socket.send('two');
      if (pathname === '/leave') socket.close(4001, 'gone');
      tell(`${pathname} has said all`);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `ws://127.0.0.1:${http.address().port}`,
    requests: () => log.filter((line) => line.endsWith('is asked for')),
    clear: () => {
      log = [];
    },
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    },
  };
}

/**
 * Tests that hold wherever there is a platform's own `WebSocket`.
 *
 * @param call - runs an export of `first-socket.js` in a fresh program
 * @param keeps - which of the events have to be in the same order
 */
function cases(call, entry, bytes, server, keeps = () => true) {
  for (const what of [
    'before it opens',
    'after it opened and messages came',
    'after it closed',
    'after it was refused',
    'after it opened with a sub-protocol',
  ]) {
    test(`[R6] is handed over ${what}`, async () => {
      const early = await call('handOver', [entry(), bytes(), server().url, what, true]);
      assert.equal(early.before, 0, 'the core alone tells of it');
      assert.equal(server().requests().length, 1);
      const late = await call('handOver', [entry(), bytes(), server().url, what, false]);
      const [earlyEvents, lateEvents] = [early, late].map(({ events }) => events.filter(keeps));
      assert.deepEqual(earlyEvents, lateEvents);
      assert.equal(server().requests().length, 2);
    });
  }

  for (const how of ['close', 'suspend', 'abort']) {
    test(`is closed at ${how}, before there is a module`, async () => {
      const { events, seen } = await call('leave', [entry(), bytes(), server().url, how]);
      assert.equal(
        events.some(([type]) => type === 'open' || type === 'message'),
        false,
      );
      assert.equal(events.at(-1)[0], 'close');
      assert.equal(seen.includes('/talk got from the queue'), false);
      assert.equal(server().requests().length, 1);
    });
  }

  test('is closed where the module cannot be loaded', async () => {
    const { events, seen } = await call('fail', [entry(), bytes(), server().url]);
    assert.deepEqual(
      events.map(([type, state]) => (type === 'statechange' ? state : type)),
      ['connecting', 'closed', 'error', 'close'],
    );
    assert.equal(events.at(-1).at(-1), 'load-failed');
    assert.ok(seen.includes('/talk is over'));
    assert.equal(server().requests().length, 1);
  });

  test('is given up after connectTimeout, and the core makes its own', async () => {
    const { events } = await call('outlast', [entry(), bytes(), server().url]);
    assert.deepEqual(events.at(-1), ['close', 1006, '', false, 'connect-timeout']);
    assert.equal(server().requests().length, 2);
  });

  for (const what of [
    'startClosed is set',
    'a function gives the URL',
    'another class is given',
    'the global is replaced',
  ]) {
    test(`is not opened early where ${what}`, async () => {
      assert.equal(await call('none', [entry(), [], server().url, what]), 0);
      assert.deepEqual(server().requests(), []);
    });
  }
}

describe('the first socket in Chromium', { timeout: 8 * TEST_TIMEOUT }, () => {
  let realm;
  let server;
  let bytes;
  let preloading = '';
  /** The requests for the module. */
  let requests = [];
  before(async () => {
    server = await startServer();
    realm = await openRealm({
      purpose: 'first-socket',
      routes: { '/loading/': FOLDER },
      intercept: (pathname) => {
        if (pathname.endsWith('.wasm')) requests.push(pathname);
        if (pathname !== '/preloading.html') return undefined;
        const page =
          '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/face/page.js"></script>';
        return { status: 200, type: 'text/html; charset=utf-8', body: page.replace('<script', `${preloading}<script`) };
      },
    });
    bytes = [...(await readFile(path.join(realm.folder, 'steady-socket.wasm')))];
  });
  after(async () => {
    await realm?.close();
    server?.close();
  });
  beforeEach(() => server.clear());

  const call = async (name, given) => {
    await realm.reload();
    return realm.call(name, '/loading/first-socket.js', name, given);
  };
  /** How often the page asks for the module with the readme's lines, changed by `change`. */
  const fetches = async (change) => {
    const [, lines] = /```html\n(<link rel="preload"[^`]+)```/.exec(
      await readFile(path.join(realm.folder, 'README.md'), 'utf8'),
    );
    preloading = change(lines.replaceAll('/assets/', '/pkg/'));
    requests = [];
    await realm.page.goto(`${realm.origin}/preloading.html`);
    // The link alone asks for it.
    await realm.evaluate(
      'the preload',
      () =>
        new Promise((resolve) => {
          const look = () =>
            performance
              .getEntriesByType('resource')
              .some(({ name, responseEnd }) => name.endsWith('.wasm') && responseEnd > 0)
              ? resolve()
              : setTimeout(look, 20);
          look();
        }),
    );
    const before = requests.length;
    const greeting = await realm.call(
      'the greeting',
      '/loading/in-page.js',
      'greetBy',
      'websocket.js',
      serverAddress('ws'),
    );
    assert.equal(greeting, 'Hello Ada!');
    return [before, requests.length];
  };

  test("the module is asked for once with the readme's lines for preloading", async () => {
    assert.deepEqual(await fetches((lines) => lines), [1, 1]);
    // Without `crossorigin` the browser cannot use what it has.
    assert.deepEqual(await fetches((lines) => lines.replaceAll(' crossorigin', '')), [1, 2]);
  });

  cases(
    call,
    () => '/pkg/websocket.js',
    () => bytes,
    () => server,
  );
});

describe('the first socket in Node 22', { timeout: 8 * TEST_TIMEOUT }, () => {
  let consumer;
  let server;
  before(async () => {
    server = await startServer();
    consumer = await installPackage('first-socket');
  });
  after(async () => {
    await consumer?.remove();
    server?.close();
  });
  beforeEach(() => server.clear());

  const call = async (name, [entry, , ...given]) => {
    const [module, file] = [path.join(FOLDER, 'first-socket.js'), path.join(consumer.folder, 'steady-socket.wasm')];
    const program = `
      import { readFileSync } from 'node:fs';
      const all = await import(${JSON.stringify(pathToFileURL(module).href)});
      const given = ${JSON.stringify(given)};
      const outcome = await all.${name}([${JSON.stringify(entry)}, readFileSync(${JSON.stringify(file)}), ...given]);
      console.log(JSON.stringify(outcome));
      process.exit();
    `;
    const { stdout } = await runProgram(runtime('node-22'), ['--input-type=module', '--eval', program]);
    return JSON.parse(stdout);
  };
  cases(
    call,
    () => pathToFileURL(path.join(consumer.folder, 'websocket.js')).href,
    () => null,
    () => server,
    // Node reports messages that arrive together in one task.
    ([type]) => type !== 'after',
  );
});
