// What the WebAssembly module can be loaded from, and the errors for anything else, in a page under the strict content
// security policy of the test pages.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';
import { BAD, GOOD, REFUSED } from './loading/sources.js';

/** Where the entries look for the file. */
const PLACE = '/pkg/steady-socket.wasm';
const TAKES =
  'this takes a URL, a Response, a buffer or a view of the bytes, or a WebAssembly.Module, or a promise of one';
const FAILED = 'the WebAssembly module of steady-socket could not be loaded: ';

describe('the WebAssembly module', { timeout: 8 * TEST_TIMEOUT }, () => {
  let realm;
  /** The requested paths. */
  let requests = [];

  before(async () => {
    realm = await openRealm({
      purpose: 'loading',
      routes: {
        '/loading/': fileURLToPath(new URL('./loading', import.meta.url)),
        '/page.wasm': { type: 'text/html; charset=utf-8', body: '<!doctype html>' },
        '/broken.wasm': { type: 'application/wasm', body: Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0xff]) },
      },
      intercept: (pathname) => {
        requests.push(pathname);
      },
    });
  });
  after(() => realm?.close());
  beforeEach(async () => {
    await realm.reload();
    requests = [];
  });

  const call = (what, name, ...given) => realm.call(what, '/loading/in-page.js', name, ...given);
  const wasmRequests = () => requests.filter((pathname) => pathname.endsWith('.wasm'));
  const url = serverAddress('ws');

  for (const what of Object.keys(GOOD)) {
    test(`is loaded from ${what}`, async () => {
      const greeting = await call('the greeting', 'loadFrom', what, PLACE, url);
      assert.equal(greeting, 'Hello Ada!');
      assert.deepEqual(wasmRequests(), [PLACE]);
    });
  }

  test('is loaded from what was given before the first socket, for all that wait', async () => {
    const outcome = await call('the greeting', 'loadForAll', PLACE, url);
    assert.deepEqual(outcome, ['Hello Ada!', 'idle']);
    assert.deepEqual(wasmRequests(), [PLACE]);
  });

  for (const entry of ['inline.js', 'websocket-inline.js']) {
    test(`is not asked for with ${entry}`, async () => {
      const greeting = await call('the greeting', 'greetBy', entry, url);
      assert.equal(greeting, 'Hello Ada!');
      assert.deepEqual(wasmRequests(), []);
      assert.equal(requests.includes('/pkg/file.js'), false);
    });
  }

  for (const order of [
    ['inline.js', 'index.js'],
    ['websocket.js', 'inline.js'],
  ]) {
    test(`is taken from what is embedded where a program imports ${order.join(' and ')}`, async () => {
      const outcome = await call('the greeting', 'greetByBoth', order, url);
      assert.deepEqual(outcome, ['Hello Ada!', true]);
      assert.deepEqual(wasmRequests(), []);
    });
  }

  test('can be given beside what is embedded, too', async () => {
    const greeting = await call('the greeting', 'loadBesideEmbedded', PLACE, url);
    assert.equal(greeting, 'Hello Ada!');
    assert.deepEqual(wasmRequests(), [PLACE]);
  });

  test('is loaded in a worker from what the page has compiled', async () => {
    assert.equal(await call('the greeting', 'loadInWorker', PLACE, url), 'Hello Ada!');
    assert.deepEqual(wasmRequests(), [PLACE]);
  });

  test('is not loaded from anything else', async () => {
    const { refused, unparsed, options } = await call('the errors', 'refusals');
    assert.deepEqual(
      refused.map(([what]) => what),
      Object.keys(REFUSED),
    );
    for (const [what, message] of refused) {
      assert.match(message, /^TypeError: ReconnectingWebSocket: option module: .+ was given; /, what);
      assert.ok(message.endsWith(TAKES), message);
    }
    assert.equal(
      unparsed,
      'TypeError: ReconnectingWebSocket: option module: the URL cannot be parsed; it takes an absolute URL, or one relative to the page',
    );
    assert.deepEqual(options, [
      'TypeError: ReconnectingWebSocket: the options of load: a string was given; this takes an object',
      'TypeError: ReconnectingWebSocket: the options of load have no modul; did you mean module?',
    ]);
    assert.deepEqual(wasmRequests(), []);
  });

  for (const [what, [, message]] of Object.entries(BAD)) {
    test(`[F55] is not loaded from ${what}, which is told; the next one tries the same, and another place can be given`, async () => {
      const outcome = await call('the errors', 'failAndRepair', what, PLACE, url);
      assert.ok(outcome.refused.startsWith(`Error: ${FAILED}`), outcome.refused);
      assert.match(outcome.refused, message);
      assert.ok(outcome.again.startsWith(outcome.refused.replace('Error', 'load-failed')), outcome.again);
      assert.equal(outcome.greeting, 'Hello Ada!');
      assert.equal(wasmRequests().filter((pathname) => pathname === PLACE).length, 1);
    });
  }

  test('is given up after 30 s where a promise never settles, and the next one does not wait for that', async () => {
    const outcome = await call('the error', 'failByNeverSettling', PLACE, url);
    assert.deepEqual(outcome, [`Error: ${FAILED}it took longer than 30 s`, 'Hello Ada!']);
  });

  test('is not taken when it comes too late', async () => {
    const outcomes = await call('the errors', 'loadTooLate', PLACE, url);
    const message = (state) =>
      `InvalidStateError: ReconnectingWebSocket: option module: the WebAssembly module is already ${state} from elsewhere; give it before the first socket and the first load()`;
    assert.deepEqual(outcomes, [message('being loaded'), message('loaded'), 'Hello Ada!']);
    assert.deepEqual(wasmRequests(), [PLACE]);
  });

  test('is not looked for by what wasm-bindgen made', async () => {
    const names = await call('the names', 'namesOfTheGlue');
    const shared = [
      'INBOX_BYTES',
      'INBOX_FULL',
      'INBOX_MESSAGES',
      'MAX',
      'OPTION_NAMES',
      'checkRoom',
      'defineHandlers',
      'dictionary',
      'dispatch',
      'plainEvent',
      'report',
      'toNumber',
      'wrongKind',
    ];
    assert.deepEqual(names, [...shared, 'ReconnectingWebSocket', 'load', 'setLoader', 'start'].sort());
  });
});
