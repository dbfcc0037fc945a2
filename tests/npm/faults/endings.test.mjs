// What is left after a tab or a worker is gone: nothing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { eventually, openWorld, pause } from './lib/world.mjs';

const SOCKETS = 5;

describe('endings', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let control;
  before(async () => {
    world = await openWorld({ program: 'fault-server' });
    control = new Faults(world.server);
  });
  after(() => world?.close());

  const count = (log, wanted) => log.filter(({ event }) => event === wanted).length;

  /** Ends the owner of the sockets, and waits until the server has seen all of them end. */
  async function allEnd(what, id, end) {
    const before = await control.log(id);
    assert.deepEqual([count(before, 'open'), count(before, 'end')], [SOCKETS, 0]);
    const since = Date.now();
    await end();
    await eventually(`the end of the sockets of ${what}`, async () => count(await control.log(id), 'end') === SOCKETS);
    await measured(`${what}: the server has seen the end of ${SOCKETS} sockets`, Date.now() - since);
    // Nothing is left that could make new ones.
    await pause(1_000);
    const log = await control.log(id);
    assert.equal(count(log, 'open'), SOCKETS);
    const codes = log.filter(({ event }) => event === 'closeIn').map(({ code }) => code);
    assert.deepEqual(codes, Array(SOCKETS).fill(1001), 'the browser says goodbye');
  }

  test('[R9][F42] a worker that is terminated leaves no connection', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await world.openTab();
    await tab.run(
      ([url, sockets]) => faults.work('worker', url, sockets),
      [`${world.server.ws}/echo?id=worker`, SOCKETS],
    );
    await allEnd('terminated worker', 'worker', () => tab.call('worker', 'terminate'));
    await tab.close();
  });

  test('[R9][F41] a tab that is closed leaves no connection', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await world.openTab();
    for (let number = 1; number <= SOCKETS; number += 1) {
      await tab.open(`socket ${number}`, `${world.server.ws}/echo?id=tab`);
    }
    await allEnd('closed tab', 'tab', () => tab.close());
  });
});
