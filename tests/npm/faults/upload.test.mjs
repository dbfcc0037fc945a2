// One large message that a narrow network takes longer to carry than the server may be silent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, openWorld } from './lib/world.mjs';

// Kilobytes a second; bytes, the most that the server takes; and what the client puts up with, in milliseconds. It has to be
// longer than what the kernels hold takes, some megabytes that no browser knows of.
const RATE = 1_600;
const BYTES = 16_000_000;
const PATIENCE = { heartbeatInterval: 4_000, heartbeatGrace: 4_000, heartbeatMessage: 'beat' };
/** The server answers to whatever it does not understand. */
const TYPED = ['hello.json'];

describe('upload', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let proxy;
  before(async () => {
    world = await openWorld({ options: ['--max-message-bytes', String(BYTES), '--idle-timeout', '600'] });
    const control = new Faults(await world.start('fault-server'));
    proxy = await control.proxy('upload', world.server.port);
  });
  after(() => world?.close());

  async function upload(name) {
    const tab = await world.openTab();
    await proxy.toxic('bandwidth', { rate: RATE }, 'upstream');
    await tab.open(name, `${proxy.ws}/hello`, TYPED, { ...QUICK, ...PATIENCE, maxQueuedBytes: 2 * BYTES });
    const since = Date.now();
    assert.equal(await tab.sendMany(name, 'upload', 1, BYTES), 1);
    return { tab, since };
  }

  test('[R1] a large upload keeps its connection for as long as it goes on', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const { tab, since } = await upload('steady');
    const { at, type } = await tab.next('the answer', 'steady', (event) => event.type === 'close' || event.type === 'message', since);
    await measured(`upload of ${BYTES} bytes at ${RATE} kB/s: answered`, at - since);
    assert.equal(type, 'message', JSON.stringify(await tab.log('steady')));
    assert.ok(at - since > PATIENCE.heartbeatInterval + PATIENCE.heartbeatGrace, 'it took longer than the server may be silent');
    const { attempts, abandoned } = await tab.call('steady', 'snapshot');
    assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
    await tab.close();
    await proxy.cure();
  });

  test('[R1] a large upload that stands still does not keep a dead connection', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const { tab, since } = await upload('stuck');
    await proxy.toxic('timeout', {}, 'upstream');
    await proxy.toxic('timeout', {}, 'downstream');
    const { at, cause } = await tab.next('the loss', 'stuck', ({ type }) => type === 'close', since);
    assert.match(cause, /^(heartbeat|probe)-timeout$/);
    await measured('an upload that stands still: noticed', at - since);
    await tab.close();
    await proxy.cure();
  });
});
