// Why a connection never opens: a browser does not report it, but an ordinary request may reveal it.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { measured } from './lib/measured.mjs';
import { Faults } from './lib/servers.mjs';
import { QUICK, openWorld } from './lib/world.mjs';

/** How many attempts in a row fail before the request. */
const AFTER = 3;

const OPTIONS = { ...QUICK, diagnoseAfter: AFTER };

describe('diagnosis', { timeout: 4 * TEST_TIMEOUT }, () => {
  let world;
  let control;
  let tab;
  before(async () => {
    world = await openWorld({ program: 'fault-server' });
    control = new Faults(world.server);
    tab = await world.openTab();
  });
  after(() => world?.close());
  afterEach(() => tab.showOneAtATime());

  const isClose = ({ type }) => type === 'close';

  /** The diagnosis for a socket that does not open; it comes once, and no earlier than due. */
  async function found(id, url, options = OPTIONS) {
    const since = Date.now();
    await tab.begin(id, url, [], { diagnose: url, ...options });
    const { diagnosis, at } = await tab.next('the diagnosis', id, ({ type }) => type === 'diagnosis');
    await tab.next('the loss that tells it', id, (event) => isClose(event) && event.diagnosis);
    const end = await tab.next('another loss', id, (event) => isClose(event) && event.at > at && !event.diagnosis);
    const log = await tab.log(id);
    const losses = log.filter(isClose);
    assert.ok(
      losses.filter((event) => event.at <= at).length >= AFTER,
      'it asked after the attempts that it was to wait for',
    );
    assert.deepEqual(
      losses.map((loss) => loss.diagnosis).filter((one) => one),
      [diagnosis],
      'told by one close event',
    );
    assert.equal(log.filter(({ type }) => type === 'diagnosis').length, 1);
    assert.equal(end.willReconnect, true);
    await measured(
      `never opened: the reason is known after ${AFTER} attempts (${JSON.stringify(diagnosis)})`,
      at - since,
    );
    return diagnosis;
  }

  // A page cannot see where it is redirected to.
  const REDIRECTED = { kind: 'unknown' };

  for (const status of [302, 401, 403, 404, 503]) {
    test(`[R33][F6] a server that refuses with ${status} is found to do so, as far as a page can see, and the connection comes when it does not`, {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const id = `refused-${status}`;
      await control.rule({ match: { id }, action: { type: 'refuse', status } });
      const url = `${world.server.ws}/echo?id=${id}`;
      assert.deepEqual(await found(id, url), status === 302 ? REDIRECTED : { kind: 'status', status });
      await control.clearRules();
      await tab.next('the opening', id, ({ type }) => type === 'open');
      await tab.echo(id, 'there');
      await tab.call(id, 'close');
    });
  }

  test('[R33][F7] a server that does not answer is found unreachable, or nothing can be told of another origin', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    // Nothing listens on this port.
    const proxy = await control.proxy('down', world.server.port);
    await proxy.toxic('down');
    const url = `${proxy.ws}/echo?id=down`;
    assert.deepEqual(await found('other-origin', url), { kind: 'unknown' });
    await tab.call('other-origin', 'close');

    // The page's own server would do the same for its own origin.
    await world.stopPages();
    const ownUrl = world.origin.replace('http', 'ws');
    assert.deepEqual(await found('own-origin', `${ownUrl}/echo`), { kind: 'unreachable' });
    await tab.call('own-origin', 'close');
  });
});
