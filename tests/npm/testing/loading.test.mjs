// What happens to sockets while the WebAssembly module cannot be loaded, in virtual time: the packed package on the
// test kit, with a copy for each test that has loaded nothing yet.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { cp, readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';
import { watchWebAssembly } from '../lib/webassembly.mjs';
import { turn } from '../typed/package.mjs';

const TABLE = new URL('../../../client/tests/backoff.txt', import.meta.url);
const URL_OF_CHAT = 'ws://example.test/chat';
const PLACE = 'https://example.test/steady-socket.wasm';

const bytes = (...given) => new Response(new Uint8Array(given), { headers: { 'Content-Type': 'application/wasm' } });

/** What is in the module's place; the next attempt may find the right file. */
const FAILURES = {
  'a network that fails': () => Promise.reject(new TypeError('fetch failed')),
  'an answer 503': () => new Response('', { status: 503, statusText: 'Busy' }),
  'an answer 404': () => new Response('', { status: 404, statusText: 'Not Found' }),
  'a page': () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
  'half of the file': () => bytes(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1),
};

describe('while the module cannot be loaded', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let wasm;
  let copies = 0;
  let index;
  let kit;
  let server;
  let time;
  let page;
  let chance;
  let answer;
  let work;
  /** The sockets of a test. A failed test must not leave one that tries again for ever. */
  const made = [];
  const { fetch } = globalThis;

  before(async () => {
    installed = await installPackage('loading');
    wasm = await readFile(path.join(installed.folder, 'steady-socket.wasm'));
  });
  after(() => installed?.remove());
  beforeEach(async (t) => {
    copies += 1;
    const folder = `${installed.folder}-${copies}`;
    await cp(installed.folder, folder, { recursive: true });
    const load = (file) => import(pathToFileURL(path.join(folder, file)).href);
    index = await load('index.js');
    kit = await load('testing/index.js');
    t.mock.method(console, 'error', () => {});
    work = watchWebAssembly();
    globalThis.fetch = async () => answer();
    answer = good;
    server = kit.FakeServer.install();
    time = kit.fakeTime();
    page = new kit.FakePage();
    chance = kit.setChance(1);
  });
  afterEach(() => {
    for (const socket of made.splice(0)) socket.close();
    for (const one of [chance, page, time, server, work]) one.restore();
    globalThis.fetch = fetch;
  });

  const good = () => new Response(wasm, { headers: { 'Content-Type': 'application/wasm' } });
  const complaints = () => console.error.mock.calls.map(({ arguments: [line] }) => line);
  const settle = async () => {
    do {
      for (let turns = 0; turns < 4; turns += 1) {
        await turn();
        await time.advance(0);
      }
    } while (await work.finished());
    await server.settled();
  };

  function make(options = {}) {
    const socket = new index.ReconnectingWebSocket(URL_OF_CHAT, [], options);
    made.push(socket);
    const seen = [];
    const on = (type, describeEvent) => socket.addEventListener(type, (event) => seen.push(describeEvent(event)));
    on('statechange', ({ state, attempt, delay }) => `${state} ${attempt}${delay === null ? '' : ` in ${delay}`}`);
    on('open', ({ reconnected, attempt }) => `open ${attempt} ${reconnected}`);
    on('error', () => 'error');
    on('dropped', ({ reason, messages }) => `dropped ${reason} ${messages}`);
    on('close', ({ code, cause, delay, willReconnect }) => `close ${code} ${cause} ${willReconnect} ${delay}`);
    return { socket, seen };
  }

  /** Starts to load from a place that contains something else. */
  async function begin(first, options = {}) {
    answer = first;
    const loaded = index.load({ module: PLACE }).then(
      () => 'loaded',
      ({ message }) => message,
    );
    const begun = make(options);
    begun.socket.send('kept');
    await settle();
    return { ...begun, loaded };
  }

  for (const [what, failure] of Object.entries(FAILURES)) {
    test(`[R31][F55] ${what} is a failed attempt, and the next one is made as after any other`, async () => {
      const { socket, seen, loaded } = await begin(failure);
      const began = [];
      socket.addEventListener('statechange', ({ state, reason }) => {
        if (state === 'connecting') began.push(reason);
      });
      assert.match(await loaded, /could not be loaded/);
      assert.deepEqual(seen.splice(0), [
        'connecting 1',
        'waiting 2 in 5000',
        'error',
        'close 1006 load-failed true 5000',
      ]);
      assert.deepEqual([socket.readyState, socket.state, socket.snapshot().attempts], [0, 'waiting', 1]);
      await time.advance(5_000);
      await settle();
      assert.deepEqual(seen.splice(0), [
        'connecting 2',
        'waiting 3 in 10000',
        'error',
        'close 1006 load-failed true 10000',
      ]);
      answer = good;
      await time.advance(10_000);
      await settle();
      assert.deepEqual(seen.splice(0), ['connecting 3', 'open 3', 'open 3 false']);
      assert.deepEqual(server.last.received, ['kept']);
      assert.equal(socket.snapshot().attempts, 3);
      assert.deepEqual(began, ['the wait is over', 'the wait is over']);
      assert.deepEqual(complaints(), []);
      socket.close();
      await settle();
      server.assertIdle();
    });
  }

  test('[R31] what the page tells of the network shortens the wait, and an end leaves nothing', async () => {
    const { socket, seen } = await begin(FAILURES['a network that fails']);
    await time.advance(1_000);
    page.offline();
    page.online();
    await settle();
    assert.equal(seen.at(-1), 'waiting 2 in 2000');
    answer = good;
    await time.advance(2_000);
    await settle();
    assert.equal(socket.state, 'open');
    socket.close();
    await settle();
    server.assertIdle();
  });

  test('[R31] it is over when no retry is left, and the console is told once what was wrong and what helps', async () => {
    const { socket, seen } = await begin(FAILURES['an answer 404'], { maxRetries: 1 });
    const other = make({ reconnect: false });
    await settle();
    await time.advance(5_000);
    await settle();
    assert.deepEqual(seen.slice(4), [
      'connecting 2',
      'closed 2',
      'error',
      'dropped closed kept',
      'close 1006 load-failed false null',
    ]);
    assert.equal(other.seen.at(-1), 'close 1006 load-failed false null');
    assert.deepEqual([socket.readyState, other.socket.readyState], [3, 3]);
    assert.equal(complaints().length, 1, `${complaints()}`);
    for (const word of ['steady-socket:', '404', 'load({ module })', 'inline']) {
      assert.ok(complaints()[0].includes(word), complaints()[0]);
    }
    await time.advance(60_000);
    await settle();
    server.assertIdle();
  });

  test('[R31] shouldReconnect is asked; commands work while it waits', async () => {
    const causes = [];
    const { socket, seen } = await begin(FAILURES['an answer 503'], {
      shouldReconnect: ({ cause }) => {
        causes.push(cause);
        return 100_000;
      },
    });
    assert.equal(seen[1], 'waiting 2 in 100000');
    socket.suspend();
    await settle();
    assert.equal(socket.state, 'suspended');
    await time.advance(200_000);
    assert.equal(socket.state, 'suspended');
    answer = good;
    socket.resume();
    await settle();
    assert.equal(socket.state, 'open');
    assert.deepEqual(causes, ['load-failed']);
    const waits = make({ shouldReconnect: () => 100_000 });
    await settle();
    waits.socket.close();
    socket.close();
    await settle();
    server.assertIdle();
  });

  test('[R31] close() ends a wait, and reconnect() in a loop makes no storm', async () => {
    let asked = 0;
    const { socket, seen } = await begin(() => {
      asked += 1;
      return FAILURES['a network that fails']();
    });
    for (let calls = 0; calls < 100; calls += 1) {
      socket.reconnect();
      await settle();
    }
    assert.equal(asked, 10);
    assert.equal(socket.state, 'waiting');
    seen.length = 0;
    socket.close();
    await settle();
    assert.deepEqual(seen.slice(1), ['error', 'dropped closed kept', 'close 1006 closed false null']);
    server.assertIdle();
  });

  for (const [what, given, words] of [
    ['bytes that are no WebAssembly', () => new ArrayBuffer(8), /./],
    ['another module', () => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), /not the module of this version/],
    ['an answer that was given', () => new Response('', { status: 503 }), /503/],
    ['a promise that rejects', () => Promise.reject(new Error('no bucket')), /no bucket/],
    [
      'another module at a place',
      () => {
        answer = () => bytes(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
        return PLACE;
      },
      /not the module of this version/,
    ],
    ['a file that is not there', () => 'file:///nowhere/steady-socket.wasm', /ENOENT/],
    [
      'a policy',
      (t) => {
        t.mock.method(WebAssembly, 'compileStreaming', () =>
          Promise.reject(new WebAssembly.CompileError('Refused by Content Security Policy')),
        );
        return PLACE;
      },
      /script-src.*wasm-unsafe-eval/,
    ],
    [
      'no WebAssembly at all',
      (t) => {
        const { WebAssembly } = globalThis;
        delete globalThis.WebAssembly;
        t.after(() => {
          globalThis.WebAssembly = WebAssembly;
        });
        return PLACE;
      },
      /no WebAssembly/,
    ],
  ]) {
    test(`[R31] with ${what} it is hopeless: it ends at once, and the console is told`, async (t) => {
      const loaded = index.load({ module: given(t) }).then(
        () => 'loaded',
        ({ message }) => message,
      );
      const { socket, seen } = make();
      socket.send('kept');
      await settle();
      let text;
      // Reading a file takes real time.
      for (
        loaded.then((said) => {
          text = said;
        });
        text === undefined;
      )
        await settle();
      assert.match(text, words);
      await settle();
      assert.deepEqual(seen, [
        'connecting 1',
        'closed 1',
        'error',
        'dropped closed kept',
        'close 1006 load-failed false null',
      ]);
      assert.equal(complaints().length, 1, `${complaints()}`);
      assert.match(complaints()[0], words);
      server.assertIdle();
    });
  }

  test('[R31] the waits are those of the core', async () => {
    const snippets = path.join(installed.folder, 'wasm/snippets');
    const [folder] = await readdir(snippets);
    const load = (file) => import(pathToFileURL(path.join(snippets, folder, 'js', file)).href);
    const [{ backoff }, { OPTIONS }] = await Promise.all(['waiting-room.js', 'options.js'].map(load));
    const rows = (await readFile(TABLE, 'utf8')).split('\n').filter((row) => row !== '' && !row.startsWith('#'));
    assert.ok(rows.length > 50);
    for (const row of rows) {
      const [first, min, base, growth, max, retry, part, wait] = row.split(/[ |]+/).map(Number);
      const numbers = OPTIONS.map((option) => option.default);
      for (const [name, value] of Object.entries({
        firstDelayMax: first,
        minDelay: min,
        baseDelay: base,
        growthFactor: growth,
        maxDelay: max,
      })) {
        numbers[OPTIONS.findIndex((row) => row.name === name)] = value;
      }
      assert.equal(backoff(numbers, retry, part), wait, row);
    }
  });
});
