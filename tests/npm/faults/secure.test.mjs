// The same over TLS, and names and certificates that do not work.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { strictPolicy } from '../lib/static-server.mjs';
import { measured } from './lib/measured.mjs';
import { QUICK, WITH_HEARTBEAT, openWorld } from './lib/world.mjs';

const NOWHERE = 'ws://nowhere.invalid';

describe('secure', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openWorld({
      options: ['--tls', '--demo-control', '--host', 'localhost'],
      // The browser accepts this certificate, and no other untrusted one.
      flags: async (server) => {
        const [, hash] = await server.said(/public key SHA-256 (\S+)/);
        return [`--ignore-certificate-errors-spki-list=${hash}`];
      },
      intercept: () => ({ policy: strictPolicy({ connect: `https://localhost:* wss://localhost:* ${NOWHERE}` }) }),
    });
  });
  after(() => world?.close());

  const isClose = ({ type }) => type === 'close';

  test('[R19] over wss it greets, is cut and comes back', { timeout: TEST_TIMEOUT }, async () => {
    const tab = await world.openTab();
    await tab.open('steady', `${world.server.ws}/hello?id=secure`, WITH_HEARTBEAT);
    assert.match(await tab.get('steady', 'url'), /^wss:/);
    await tab.greet('steady', 'Ada');

    const cut = await tab.run(
      async (url) => (await fetch(url, { method: 'POST' })).json(),
      `${world.server.http}/control/cut?id=secure`,
    );
    assert.equal(cut.connections, 1);
    const lost = await tab.next('the loss', 'steady', isClose);
    assert.deepEqual([lost.code, lost.willReconnect], [1006, true]);
    const { at } = await tab.reopened('steady', lost.at);
    await measured('cut over wss: back after the loss, with waits of 0.3 s at most', at - lost.at);
    await tab.greet('steady', 'Grace');
    await tab.close();
  });

  test('[R14][F7] a certificate that the browser refuses is a failed attempt, and so is a name that there is not', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const other = await world.start('test-server', '--tls', '--host', 'localhost');
    const tab = await world.openTab();
    for (const [name, url] of [
      ['certificate', `${other.ws}/echo`],
      ['name', NOWHERE],
    ]) {
      await tab.run(([...of]) => faults.open(...of), [name, url, [], QUICK]);
      const lost = await tab.next('the loss', name, isClose);
      assert.deepEqual([lost.code, lost.cause, lost.willReconnect], [1006, 'socket', true], name);
      await tab.next('another attempt', name, ({ state }) => state === 'connecting', lost.at);
      await tab.call(name, 'close');
    }
    const violations = (await tab.log('page')).filter(({ type }) => type === 'securitypolicyviolation');
    assert.deepEqual(violations, [], 'it was not the page that forbade it');
    await tab.close();
  });
});
