// The cases of face/cases.js in a real browser: each in a page, over ws and over wss, and in a dedicated worker.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { serverAddress } from './lib/environment.mjs';
import { TEST_TIMEOUT } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';

// The names are read from the source, since the module itself imports the package from the page's origin.
const source = await readFile(new URL('./face/cases.js', import.meta.url), 'utf8');
const names = [...source.matchAll(/^ {2}async '(.+?)'\(/gm)].map(([, name]) => name);

/** For the table of options, which some cases iterate over. */
const routes = { '/js/': fileURLToPath(new URL('../../client-wasm/js', import.meta.url)) };

for (const scheme of ['ws', 'wss']) {
  describe(`ReconnectingWebSocket over ${scheme}:`, { timeout: names.length * TEST_TIMEOUT }, () => {
    const server = { ws: serverAddress(scheme), http: serverAddress(scheme.replace('ws', 'http')) };
    let realm;
    before(async () => {
      realm = await openRealm({ purpose: 'face', routes, secure: scheme === 'wss' });
    });
    after(() => realm?.close());

    test('every case of the file is found', async () => {
      const exported = await realm.evaluate('the case', async () =>
        Object.keys((await import('/face/cases.js')).cases),
      );
      assert.deepEqual(names, exported);
    });

    describe('in a page', () => {
      for (const name of names) {
        test(name, { timeout: TEST_TIMEOUT }, async () => {
          await realm.reload();
          const failure = await realm.evaluate(
            'the case',
            ([which, address]) => globalThis.runCase(which, address),
            [name, server],
            TEST_TIMEOUT,
          );
          assert.equal(failure, null, failure);
        });
      }
    });

    // Over wss, a worker would find nothing that it does not find over ws: TLS is the browser's, and the page covers it
    // above.
    if (scheme === 'ws') {
      describe('in a dedicated worker', () => {
        for (const name of names) {
          test(name, { timeout: TEST_TIMEOUT }, async () => {
            const failure = await realm.evaluate(
              'the case',
              ([which, address]) =>
                new Promise((resolve) => {
                  const worker = new Worker('/face/worker.js', { type: 'module' });
                  const finish = (failed) => {
                    worker.terminate();
                    resolve(failed);
                  };
                  worker.onmessage = ({ data }) => finish(data.failure);
                  worker.onerror = (event) => finish(`the worker failed: ${event.message ?? 'it could not be loaded'}`);
                  worker.postMessage({ name: which, server: address });
                }),
              [name, server],
              TEST_TIMEOUT,
            );
            assert.equal(failure, null, failure);
          });
        }
      });
    }

    test('in a worker made from a blob, a relative URL has the origin of the page', {
      timeout: TEST_TIMEOUT,
    }, async () => {
      // Such a worker has the base URL `blob:…`, which relative URLs cannot be resolved against.
      const url = await realm.evaluate(
        'the answer of the worker',
        () =>
          new Promise((resolve, reject) => {
            const source = `
          import('${location.origin}/pkg/index.js').then(({ ReconnectingWebSocket }) => {
            postMessage(new ReconnectingWebSocket('/echo?x=1', [], { startClosed: true }).url);
          }).catch((error) => postMessage(String(error)));
        `;
            const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), {
              type: 'module',
            });
            const finish = (settle) => (value) => {
              worker.terminate();
              settle(value);
            };
            worker.onmessage = finish(({ data }) => resolve(data));
            worker.onerror = finish((event) => reject(new Error(`the worker failed: ${event.message}`)));
          }),
      );
      assert.equal(url, `${realm.origin.replace('http', 'ws')}/echo?x=1`);
    });
  });
}
