// Every case in one browser: compares the observations for its own `WebSocket` and for ours.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { required, serverAddress } from '../../lib/environment.mjs';
import { TEST_TIMEOUT } from '../../lib/limits.mjs';
import { installPackage } from '../../lib/package.mjs';
import { serveStatic, strictPolicy } from '../../lib/static-server.mjs';
import { groups } from '../cases.js';
import { differences } from '../differences.js';
import { exceptions } from '../exceptions.js';
import { fakeExceptions } from '../fake-exceptions.js';
import { startRawServer, startSilentServer } from '../raw-server.mjs';

const HERE = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Where a page may connect to unless its group specifies it: the cases about URLs try many addresses. */
const ANYWHERE = 'http://127.0.0.1:* ws: wss:';

/**
 * Declares the tests of a browser.
 *
 * @param browserName - as used in the exceptions
 * @param launch - starts it: `{ name, read, close }`
 */
export function conformance(browserName, launch) {
  describe(`ReconnectingWebSocket beside the WebSocket of ${browserName}`, { timeout: 10 * TEST_TIMEOUT }, () => {
    let world;
    before(async () => {
      world = await openWorld(launch);
      console.log(`in ${world.browser}`);
    });
    after(() => world?.close());

    for (const group of [...groups, differences]) {
      describe(group.title, () => {
        let results;
        before(
          async () => {
            results = await world.run(group);
          },
          { timeout: 4 * TEST_TIMEOUT },
        );

        for (const [name, one] of Object.entries(group.cases)) {
          test(name, () => {
            const { native, ours } = results[name];
            assert.equal(native.failure, undefined, `with the WebSocket of ${browserName}: ${native.failure}`);
            assert.equal(ours.failure, undefined, `with ReconnectingWebSocket: ${ours.failure}`);
            if (group === differences) {
              assert.deepEqual({ native: native.notes, ours: ours.notes }, { native: one.native, ours: one.ours });
            } else {
              compare('ReconnectingWebSocket', native.notes, ours.notes, excused(exceptions, name, browserName));
            }
          });

          if (group !== differences) {
            test(`${name}: the test kit`, () => {
              const { native, fake } = results[name];
              assert.equal(fake.failure, undefined, `with the WebSocket of the test kit: ${fake.failure}`);
              compare('the test kit', native.notes, fake.notes, excused(fakeExceptions, name, browserName));
            });
          }
        }
      });
    }
  });
}

/** The names of a case's notes that may, and must, differ in a browser. */
function excused(list, name, browserName) {
  return list.filter((one) => one.case === name && one.browsers.includes(browserName)).flatMap(({ notes }) => notes);
}

function compare(who, native, ours, excused) {
  assert.ok(Object.keys(native).length > 0, 'the case notes something');
  const same = (name) => JSON.stringify(native[name]) === JSON.stringify(ours[name]);
  const without = (notes) => Object.fromEntries(Object.entries(notes).filter(([name]) => !excused.includes(name)));
  assert.deepEqual(without(ours), without(native), `what ${who} shows (actual), and what WebSocket does (expected)`);
  for (const name of excused) {
    assert.ok(Object.hasOwn(native, name), `an exception is listed for ${name}, which is not noted`);
    assert.ok(!same(name), `${name} does not differ any more: ${JSON.stringify(native[name])}; take the exception out`);
  }
}

/** The package on a page, the servers, and the browser. */
async function openWorld(launch) {
  const cleanups = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const { folder, remove } = await installPackage('conformance');
    cleanups.push(remove);
    let connect = ANYWHERE;
    const pages = await serveStatic({
      port: Number(required('STEADY_SOCKET_PAGE_ORIGIN_PORT')),
      routes: { '/pkg/': folder, '/conformance/': HERE },
      intercept: () => ({ policy: strictPolicy({ connect }) }),
    });
    cleanups.push(pages.close);
    const [raw, silent] = await Promise.all([startRawServer(), startSilentServer()]);
    cleanups.push(raw.close, silent.close);
    const browser = await launch();
    cleanups.push(browser.close);
    const run = async (group) => {
      connect = group.connect ?? ANYWHERE;
      const query = new URLSearchParams({
        group: group.title,
        ws: serverAddress('ws'),
        http: serverAddress('http'),
        raw: raw.address,
        silent: silent.address,
      });
      const outcome = JSON.parse(
        await browser.read(`${pages.origin}/conformance/page.html?${query}`, 2 * TEST_TIMEOUT),
      );
      assert.equal(outcome.failure, undefined, `the page failed: ${outcome.failure}`);
      return outcome.results;
    };
    return { browser: browser.name, run, close };
  } catch (error) {
    await close();
    throw error;
  }
}
