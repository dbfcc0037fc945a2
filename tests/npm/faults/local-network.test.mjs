// An internet page that connects to this machine: Chromium asks the user first.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { QUICK, VERY_PATIENT, openWorld } from './lib/world.mjs';

const NAME = 'loopback-network';

describe('the local network', { timeout: 2 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    // The pages count as internet pages, although they are served from here.
    world = await openWorld({
      flags: (_server, origin) => [`--ip-address-space-overrides=${new URL(origin).host}=public`],
    });
  });
  after(() => world?.close());

  const isClose = ({ type }) => type === 'close';
  const isDiagnosis = ({ type }) => type === 'diagnosis';

  test('[R33] a page that may not connect to this machine is told so, and connects as soon as it may', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const tab = await world.openTab();
    const allow = (setting) =>
      tab.cdp.send('Browser.setPermission', { permission: { name: NAME }, setting, origin: world.origin });
    const url = `${world.server.ws}/echo`;
    await allow('denied');
    const bare = await tab.run(
      (to) =>
        new Promise((resolve) => {
          const socket = new WebSocket(to);
          socket.onopen = () => resolve('open');
          socket.onclose = () => resolve('closed');
        }),
      url,
    );
    assert.equal(bare, 'closed', 'the browser refuses a socket of its own, too');

    const denied = { kind: 'permission', name: NAME };
    await tab.begin('often', url, [], QUICK);
    const { diagnosis, at } = await tab.next('the diagnosis', 'often', isDiagnosis);
    assert.deepEqual(diagnosis, denied);
    const close = await tab.next('a later loss', 'often', (event) => isClose(event) && event.at > at);
    assert.deepEqual(close.diagnosis, denied);
    assert.equal(close.willReconnect, true);
    assert.match(
      close.explanation,
      /^this page is denied the permission loopback-network; the policy for such a loss is to retry$/,
    );

    // One attempt, which is over before the browser has reported its permissions.
    await tab.begin('once', url, [], { reconnect: false });
    assert.deepEqual((await tab.next('the diagnosis', 'once', isDiagnosis)).diagnosis, denied);

    // Its wait would not end during this test.
    await tab.begin('patient', url, [], VERY_PATIENT);
    await tab.next('the diagnosis', 'patient', isDiagnosis);
    await allow('granted');
    for (const name of ['patient', 'often'])
      await tab.next(`the opening of ${name}`, name, ({ type }) => type === 'open');
    await tab.echo('patient', 'at last');
    assert.equal((await tab.call('once', 'snapshot')).attempts, 1);
    await tab.close();
  });
});
