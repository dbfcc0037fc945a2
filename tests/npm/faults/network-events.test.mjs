// What the browser reports about the network may be wrong.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { lie } from './lib/network.mjs';
import { WITH_HEARTBEAT, openWorld } from './lib/world.mjs';

describe('lying events', { timeout: 2 * TEST_TIMEOUT }, () => {
  let world;
  before(async () => {
    world = await openWorld({ options: ['--ping-interval', '5'] });
  });
  after(() => world?.close());

  test('[R5][R6][F17][F35][F36] while messages flow, a browser that says offline and online makes no second socket', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const tab = await world.openTab();
    const url = `${world.server.ws}/hello`;
    await tab.open('steady', url, WITH_HEARTBEAT);
    await tab.bare('bare', `${world.server.ws}/echo`);

    for (let round = 1; round <= 5; round += 1) {
      for (const offline of [true, false]) {
        const since = Date.now();
        await lie(tab, { offline });
        const type = offline ? 'offline' : 'online';
        await tab.next(`the event ${type}`, 'page', (event) => event.type === type, since);
        assert.equal(await tab.run(() => navigator.onLine), !offline);
        // Proof of the lie: messages flow over the browser's own socket.
        await tab.echo('bare', `${type} ${round}`);
        await tab.greet('steady', `${type} ${round}`);
      }
    }

    const { attempts, opens, abandoned } = await tab.call('steady', 'snapshot');
    assert.deepEqual({ attempts, opens, abandoned }, { attempts: 1, opens: 1, abandoned: 0 });
    assert.equal(tab.created.filter((created) => created === url).length, 1, 'one socket of the browser');
    assert.equal((await tab.log('steady')).filter(({ type }) => type === 'close').length, 0);
    await tab.close();
  });
});
