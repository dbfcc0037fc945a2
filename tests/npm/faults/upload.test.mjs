// One large message that a narrow network takes longer to carry than the server may be silent.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, openWorld } from './lib/world.mjs';

// Kilobytes a second; bytes; and what the client puts up with, in milliseconds.
const RATE = 1_600;
const BYTES = 16_000_000;
const PATIENCE = { heartbeatInterval: 3_000, heartbeatGrace: 2_000, heartbeatMessage: 'beat' };

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
    await tab.open(name, `${proxy.ws}/echo`, [], { ...QUICK, ...PATIENCE, maxQueuedBytes: 2 * BYTES });
    const since = Date.now();
    assert.equal(await tab.sendMany(name, 'upload', 1, BYTES), 1);
    return { tab, since };
  }

  test('[R1][R25] a large upload keeps its connection for as long as it goes on, and arrives once', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const { tab, since } = await upload('steady');
    const { at } = await tab.next('the echo', 'steady', ({ type, length }) => type === 'close' || (type === 'message' && length === BYTES), since);
    await measured(`upload of ${BYTES} bytes at ${RATE} kB/s, which came back`, at - since);
    assert.ok(at - since > PATIENCE.heartbeatInterval + PATIENCE.heartbeatGrace, 'it took longer than the server may be silent');
    const { attempts, abandoned, unconfirmedMessages } = await tab.call('steady', 'snapshot');
    assert.deepEqual({ attempts, abandoned, unconfirmedMessages }, { attempts: 1, abandoned: 0, unconfirmedMessages: 0 });
    await tab.close();
    await proxy.cure();
  });

  test('[R1] a large upload that stands still does not keep a dead connection', { timeout: 2 * TEST_TIMEOUT }, async () => {
    const { tab, since } = await upload('stuck');
    await proxy.toxic('timeout', {}, 'upstream');
    await proxy.toxic('timeout', {}, 'downstream');
    const { at, cause } = await tab.next('the loss', 'stuck', ({ type }) => type === 'close', since);
    assert.equal(cause, 'heartbeat-timeout');
    await measured('an upload that stands still: noticed', at - since);
    await tab.close();
    await proxy.cure();
  });
});
