// The packed package in a page without a bundler, and failures to load its WebAssembly module.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';
import { strictPolicy } from './lib/static-server.mjs';

describe('the installed package', { timeout: 4 * TEST_TIMEOUT }, () => {
  let realm;
  /** The web server's response for the WebAssembly module; `undefined` for the module itself. */
  let wasmAnswer;
  /** The content security policy of the pages. */
  let policy;
  let wasmRequests = 0;

  before(async () => {
    realm = await openRealm({
      purpose: 'consumer',
      intercept(pathname) {
        if (!pathname.endsWith('.wasm')) return { policy };
        wasmRequests += 1;
        return wasmAnswer;
      },
    });
  });
  after(() => realm?.close());

  test('greets from a page without a bundler, under a strict content security policy', async () => {
    await fresh();
    const greeting = await realm.evaluate(
      'the greeting',
      async (url) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        const socket = new ReconnectingWebSocket(url);
        socket.send('Ada');
        const event = await new Promise((resolve) => {
          socket.onmessage = resolve;
        });
        const closed = new Promise((resolve) => {
          socket.onclose = resolve;
        });
        socket.close();
        await closed;
        return event.data;
      },
      serverAddress('ws'),
    );
    assert.equal(greeting, 'Hello Ada!');
    assert.deepEqual(realm.complaints, []);
  });

  test('[R13] a server that the content security policy forbids is a failed attempt, long before connectTimeout', async () => {
    // The page's own origin is allowed, but not the server's.
    await fresh({ pagePolicy: strictPolicy({ connect: '' }) });
    const { violated, ends } = await realm.evaluate(
      'the close events',
      async (url) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        const violation = new Promise((resolve) => {
          addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective), {
            once: true,
          });
        });
        const options = {
          connectTimeout: 300_000,
          maxRetries: 1,
          firstDelayMax: 0,
          minDelay: 0,
          maxDelay: 1,
          baseDelay: 1,
        };
        const socket = new ReconnectingWebSocket(url, [], options);
        const closes = [];
        await new Promise((resolve) => {
          socket.onclose = (event) => {
            const { code, wasClean, cause, willReconnect } = event;
            closes.push({ code, wasClean, cause, willReconnect });
            if (!willReconnect) resolve();
          };
        });
        return { violated: await violation, ends: closes };
      },
      serverAddress('ws'),
    );
    assert.equal(violated, 'connect-src');
    const end = { code: 1006, wasClean: false, cause: 'socket' };
    assert.deepEqual(ends, [
      { ...end, willReconnect: true },
      { ...end, willReconnect: false },
    ]);
  });

  test('load() loads once, and settles when the module is there', async () => {
    await fresh();
    wasmRequests = 0;
    await realm.evaluate('load()', async () => {
      const { load } = await import('/pkg/index.js');
      await Promise.all([load(), load()]);
      await load();
    });
    assert.equal(wasmRequests, 1);
  });

  for (const [what, expected, answer, expectedPolicy] of [
    ['is missing (404)', /is 404/, { status: 404 }, undefined],
    [
      'has another MIME type and is no WebAssembly',
      /no WebAssembly/,
      { type: 'text/html', body: '<!doctype html>' },
      undefined,
    ],
    [
      'is broken',
      /WebAssembly|wasm/i,
      { type: 'application/wasm', body: Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0xff]) },
      undefined,
    ],
    [
      'is forbidden by the content security policy',
      /script-src has to have 'wasm-unsafe-eval'/,
      undefined,
      strictPolicy({ wasm: false }),
    ],
  ]) {
    test(`a module that ${what} ends a socket that has no retry, saying so; the next one tries again`, async () => {
      await fresh({ answer, pagePolicy: expectedPolicy });
      const attempt = () =>
        realm.evaluate(
          'the close event',
          async (url) => {
            const { ReconnectingWebSocket } = await import('/pkg/index.js');
            const socket = new ReconnectingWebSocket(url, [], { maxRetries: 0 });
            const before = socket.readyState;
            socket.send('never sent');
            const events = [];
            for (const type of ['open', 'error', 'close', 'dropped']) {
              socket.addEventListener(type, (event) =>
                events.push(type === 'dropped' ? `dropped ${event.reason}` : type),
              );
            }
            const close = await new Promise((resolve) => {
              socket.addEventListener('close', resolve);
            });
            const { code, wasClean, willReconnect, cause, explanation } = close;
            return { before, after: socket.readyState, events, code, wasClean, willReconnect, cause, explanation };
          },
          serverAddress('ws'),
        );

      const ended = await attempt();
      assert.equal(ended.before, 0);
      assert.equal(ended.after, 3);
      assert.ok(
        ended.events.includes('error') && ended.events.indexOf('error') < ended.events.indexOf('close'),
        `${ended.events}`,
      );
      assert.equal(ended.events.filter((type) => type === 'close').length, 1);
      assert.deepEqual(
        [ended.code, ended.wasClean, ended.willReconnect, ended.cause],
        [1006, false, false, 'load-failed'],
      );
      assert.match(ended.explanation, expected);

      const requests = wasmRequests;
      const again = await attempt();
      assert.equal(again.cause, 'load-failed');
      if (answer) assert.ok(wasmRequests > requests, 'the next constructor asks for the module again');

      // Once the cause is gone, the same page recovers. A page keeps its policy, though.
      if (!answer) return;
      wasmAnswer = undefined;
      assert.equal(await greetAfterRepair(), 'Hello Ada!');
    });
  }

  test('a module that never comes ends a socket that has no retry after 30 s; the next one tries again', async (t) => {
    await fresh();
    t.after(() => realm.page.unroute('**/*.wasm'));
    // The first request stays unanswered until the end of the test. It may be aborted before it is reported here, so
    // counting requests would not work.
    let isRepaired = false;
    await realm.page.route('**/*.wasm', (route) => (isRepaired ? route.continue() : undefined));
    const ended = await realm.evaluate(
      'the close event',
      async (url) => {
        // Long timers run on demand.
        const long = [];
        const given = globalThis.setTimeout;
        globalThis.setTimeout = (run, delay, ...rest) =>
          delay >= 10_000 ? long.push([run, delay]) : given(run, delay, ...rest);
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        const socket = new ReconnectingWebSocket(url, [], { maxRetries: 0 });
        const dropped = [];
        const next = (type) =>
          new Promise((resolve) => {
            socket.addEventListener(type, resolve, { once: true });
          });
        socket.addEventListener('dropped', ({ reason, messages }) => dropped.push(`${reason} ${messages}`));
        socket.send('lives');
        const expired = next('dropped');
        socket.send('short-lived', { ttl: 1 });
        await expired;
        const before = socket.readyState;
        const close = next('close');
        const delays = long.map(([, delay]) => delay);
        for (const [run] of long) run();
        const { code, willReconnect, cause, explanation } = await close;
        globalThis.setTimeout = given;
        return { before, after: socket.readyState, dropped, delays, code, willReconnect, cause, explanation };
      },
      serverAddress('ws'),
    );
    assert.deepEqual([ended.before, ended.after], [0, 3]);
    assert.deepEqual(ended.dropped, ['expired short-lived', 'closed lives']);
    // For the module, and for the first socket, which does not wait for it.
    assert.deepEqual(ended.delays, [30_000, 15_000]);
    assert.deepEqual([ended.code, ended.willReconnect, ended.cause], [1006, false, 'load-failed']);
    assert.match(ended.explanation, /WebAssembly.*30 s/);

    isRepaired = true;
    assert.equal(await greetAfterRepair(), 'Hello Ada!');
  });

  test('works where the server gives WebAssembly another MIME type', async () => {
    const folder = path.join(realm.folder);
    const entries = await readdir(folder, { recursive: true });
    const body = await readFile(
      path.join(
        folder,
        entries.find((entry) => entry.endsWith('.wasm')),
      ),
    );
    await fresh({ answer: { type: 'application/octet-stream', body } });
    await realm.evaluate('load()', async () => (await import('/pkg/index.js')).load());
  });

  /** The answer to a socket created on the current page; rejects if that closes instead. */
  function greetAfterRepair() {
    return realm.evaluate(
      'the greeting after the repair',
      async (url) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        const socket = new ReconnectingWebSocket(url);
        socket.send('Ada');
        const { data } = await new Promise((resolve, reject) => {
          socket.onmessage = resolve;
          socket.onclose = (event) => reject(new Error(event.explanation));
        });
        socket.onclose = null;
        socket.close();
        return data;
      },
      serverAddress('ws'),
    );
  }

  /** A fresh page, without anything loaded. */
  async function fresh({ answer, pagePolicy } = {}) {
    wasmAnswer = answer;
    policy = pagePolicy;
    await realm.page.reload();
    realm.complaints.length = 0;
  }
});
