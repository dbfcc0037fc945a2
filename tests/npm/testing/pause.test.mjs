// The program of docs/frameworks.md that suspends hidden and idle pages, verbatim, in virtual time.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { importPackage } from '../typed/package.mjs';

describe('pause.js of docs/frameworks.md', { timeout: TEST_TIMEOUT }, () => {
  let installed;
  let kit;
  let pause;
  const things = {};
  before(async () => {
    installed = await importPackage('pause');
    const load = (name) => import(pathToFileURL(path.join(installed.folder, name)).href);
    kit = await load('testing/index.js');
    const guide = await readFile(new URL('../../../docs/frameworks.md', import.meta.url), 'utf8');
    const [, program] = /```js\n(\/\/ pause\.js\n.*?)```/s.exec(guide);
    await writeFile(path.join(installed.folder, 'pause.js'), program);
    pause = await load('pause.js');
  });
  after(() => installed?.remove());
  beforeEach(() => {
    things.server = kit.FakeServer.install();
    things.time = kit.fakeTime();
    things.page = new kit.FakePage();
  });
  afterEach(() => {
    for (const name of ['page', 'time', 'server']) things[name].restore();
  });

  /** An open socket, with a list of its closes. */
  async function opened() {
    const socket = new installed.typed.ReconnectingWebSocket('ws://example.test/chat');
    const closes = [];
    socket.addEventListener('close', (event) => closes.push([event.cause, event.code, event.willReconnect]));
    await things.server.nextConnection();
    return { socket, closes };
  }

  test('[R36] a page that is hidden for long enough is suspended, and resumed when it is seen', async () => {
    const { server, time, page } = things;
    const { socket, closes } = await opened();
    const stop = pause.pauseWhileHidden(socket, 60_000);
    page.hide();
    await time.advance(59_999);
    page.show();
    page.hide();
    await time.advance(59_999);
    assert.equal(socket.state, 'open', 'not long enough');
    await time.advance(1);
    assert.deepEqual([socket.state, closes], ['suspended', [['suspended', 1000, true]]]);
    socket.send('kept');
    await time.advance(86_400_000);
    assert.equal(server.connections.length, 1);
    page.show();
    await (await server.nextConnection()).expect('kept');
    stop();
    page.hide();
    await time.advance(86_400_000);
    assert.equal(socket.state, 'open');
    socket.close();
    await server.settled();
    server.assertIdle();
  });

  test('[R36] a page whose user does nothing is suspended, and resumed by the first thing that is done', async () => {
    const { server, time } = things;
    const { socket } = await opened();
    const stop = pause.pauseWhileIdle(socket, 60_000);
    await time.advance(59_999);
    globalThis.dispatchEvent(new Event('keydown'));
    await time.advance(59_999);
    assert.equal(socket.state, 'open');
    await time.advance(1);
    assert.equal(socket.state, 'suspended');
    socket.send('kept');
    globalThis.dispatchEvent(new Event('pointerdown'));
    await (await server.nextConnection()).expect('kept');
    stop();
    await time.advance(86_400_000);
    assert.equal(socket.state, 'open');
    socket.close();
    await server.settled();
    server.assertIdle();
  });
});
