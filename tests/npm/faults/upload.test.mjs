// Large messages that a slow network carries for longer than the server may be silent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, eventually, openWorld } from './lib/world.mjs';

// 40 MB in total, at that many kilobytes per second; the kernels buffer several megabytes, invisible to any browser.
const RATE = 4_000;
const COUNT = 4;
const BYTES = 10_000_000;
/** The client's patience, in milliseconds. */
const PATIENCE = { heartbeatInterval: 3_000, heartbeatGrace: 2_000, heartbeatMessage: 'beat' };
/** The browser gets everything at once. */
const AT_ONCE = { maxQueuedBytes: 2 * COUNT * BYTES, highWaterMark: 2 * COUNT * BYTES };

describe('upload', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let proxy;
  before(async () => {
    world = await openWorld({ options: ['--max-message-bytes', String(BYTES), '--idle-timeout', '600'] });
    const control = new Faults(await world.start('fault-server'));
    proxy = await control.proxy('upload', world.server.port);
  });
  after(() => world?.close());

  /** Uploads to a server that sends nothing in the meantime. */
  async function upload(name) {
    const tab = await world.openTab();
    // It sends a short answer to messages that it does not understand.
    await tab.open(name, `${proxy.ws}/hello`, ['hello.json'], { ...QUICK, ...PATIENCE, ...AT_ONCE });
    await tab.next('the opening', name, ({ type }) => type === 'open');
    await proxy.toxic('bandwidth', { rate: RATE }, 'upstream');
    await proxy.toxic('timeout', {}, 'downstream');
    const since = Date.now();
    assert.equal(await tab.sendMany(name, 'upload', COUNT, BYTES), COUNT);
    return { tab, since };
  }

  test('[R1] a large upload keeps its connection for as long as it goes on', {
    timeout: 2 * TEST_TIMEOUT,
  }, async () => {
    const { tab, since } = await upload('steady');
    await eventually(
      'the end of the upload',
      async () => (await tab.get('steady', 'bufferedAmount')) === 0,
      TEST_TIMEOUT,
    );
    const took = Date.now() - since;
    await measured(`upload of ${COUNT * BYTES} bytes at ${RATE} kB/s: left the browser`, took);
    assert.ok(
      took > PATIENCE.heartbeatInterval + PATIENCE.heartbeatGrace,
      'it took longer than the server may be silent',
    );
    await proxy.cure();
    const { type } = await tab.next(
      'the answer',
      'steady',
      (event) => event.type === 'close' || event.type === 'message',
      since,
    );
    assert.equal(type, 'message');
    const { attempts, abandoned } = await tab.call('steady', 'snapshot');
    assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
    await tab.close();
  });

  test('[R1] a large upload that stands still does not keep a dead connection', {
    timeout: 2 * TEST_TIMEOUT,
  }, async () => {
    const { tab, since } = await upload('stuck');
    await proxy.toxic('timeout', {}, 'upstream');
    const { at, cause } = await tab.next('the loss', 'stuck', ({ type }) => type === 'close', since);
    assert.match(cause, /^(heartbeat|probe)-timeout$/);
    await measured('an upload that stands still: noticed', at - since);
    await tab.close();
    await proxy.cure();
  });
});
