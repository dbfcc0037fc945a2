// A page that stays open for days reconnects a thousand times.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { openWorld } from './lib/world.mjs';

const RECONNECTS = 1_500;
// This many to begin with: the browser compiles frequently run code, and keeps it (80 KB, nearly all within the first
// thousand).
const WARM_UP = 2_500;

describe('leaks', { timeout: 11 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openWorld();
  });
  after(() => world?.close());

  test('[R8][F49] 1,500 reconnects leave no memory, no listener and no socket behind', {
    timeout: 10 * TEST_TIMEOUT,
  }, async () => {
    const tab = await world.openTab();
    // Only the module itself can see the size of a WebAssembly memory, so its constructor is wrapped.
    await tab.page.addInitScript(() => {
      globalThis.memories = [];
      for (const name of ['instantiate', 'instantiateStreaming']) {
        const original = WebAssembly[name];
        WebAssembly[name] = async (...of) => {
          const result = await original.apply(WebAssembly, of);
          memories.push((result.instance ?? result).exports.memory);
          return result;
        };
      }
    });
    await tab.page.reload();
    await tab.page.waitForFunction(() => globalThis.faults);
    await tab.cdp.send('Performance.enable');
    await tab.cdp.send('HeapProfiler.enable');
    const options = { firstDelayMax: 0, minDelay: 0, baseDelay: 1, maxDelay: 1, attemptInterval: 0, stableAfter: 0 };
    // Not by the log, which would grow.
    await tab.run(
      async ([url, of]) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        globalThis.steady = new ReconnectingWebSocket(url, [], of);
        globalThis.reconnect = (times) =>
          new Promise((resolve) => {
            let left = times;
            steady.onopen = () => {
              if (left === 0) {
                steady.onopen = null;
                resolve();
                return;
              }
              left -= 1;
              steady.send('x');
              // Half of them with an answer in flight, half without.
              if (left % 2 === 0) steady.reconnect();
            };
            steady.onmessage = () => steady.reconnect();
            steady.reconnect();
          });
      },
      [`${world.server.ws}/echo`, options],
    );

    const state = async () => {
      // The browser's closed sockets end in tasks of their own.
      await tab.run(
        () =>
          new Promise((resolve) => {
            setTimeout(resolve, 1_000);
          }),
      );
      for (let round = 0; round < 3; round += 1) await tab.cdp.send('HeapProfiler.collectGarbage');
      const { metrics } = await tab.cdp.send('Performance.getMetrics');
      const metric = (name) => metrics.find((entry) => entry.name === name).value;
      const { jsEventListeners, nodes } = await tab.cdp.send('Memory.getDOMCounters');
      return {
        heap: metric('JSHeapUsedSize'),
        wasm: await tab.run(() => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0)),
        listeners: jsEventListeners,
        nodes,
      };
    };

    await tab.page.evaluate((times) => reconnect(times), WARM_UP);
    // The first reading leaves something behind, too.
    await state();
    const before = await state();
    const since = Date.now();
    await tab.page.evaluate((times) => reconnect(times), RECONNECTS);
    await measured('a reconnect, on average of 1,500', (Date.now() - since) / RECONNECTS);
    const after = await state();

    const { opens } = await tab.run(() => steady.snapshot());
    assert.ok(opens >= WARM_UP + RECONNECTS, `${opens} connections were made`);
    assert.ok(before.wasm > 0, 'the memory of the module was found');
    await measured('1,500 reconnects: JavaScript heap before', before.heap, 'bytes');
    await measured('1,500 reconnects: JavaScript heap after', after.heap, 'bytes');
    await measured('1,500 reconnects: WebAssembly memory before', before.wasm, 'bytes');
    await measured('1,500 reconnects: WebAssembly memory after', after.wasm, 'bytes');
    await measured('1,500 reconnects: event listeners before', before.listeners, 'listeners');
    await measured('1,500 reconnects: event listeners after', after.listeners, 'listeners');
    for (const what of ['heap', 'wasm', 'listeners', 'nodes']) {
      assert.ok(after[what] <= before[what] * 1.01, `${what}: ${before[what]} before, ${after[what]} after`);
    }
    await tab.close();
  });
});
