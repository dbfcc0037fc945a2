// Our client against a server that knows nothing of it: ten lines of Python with the package `websockets`.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { required } from './lib/environment.mjs';
import { TEST_TIMEOUT, within } from './lib/limits.mjs';
import { openRealm } from './lib/realm.mjs';

const SCRIPT = fileURLToPath(new URL('../interop/hello_server.py', import.meta.url));

describe('a Python server', { timeout: 2 * TEST_TIMEOUT }, () => {
  let realm;
  let python;
  before(async () => {
    realm = await openRealm({ purpose: 'interop' });
  });
  after(async () => {
    await python?.stop();
    await realm?.close();
  });

  test('[R10][F1] greets our client, is killed and started again, and greets it again', async () => {
    python = await startPython(0);
    const { port } = python;
    await realm.evaluate(
      'making the socket',
      async (url) => {
        const { ReconnectingWebSocket } = await import('/pkg/index.js');
        // This server has no other clients, so there is no reason to spread the attempts.
        const socket = new ReconnectingWebSocket(url, [], {
          firstDelayMax: 0,
          minDelay: 0,
          baseDelay: 250,
          maxDelay: 250,
        });
        globalThis.socket = socket;
        globalThis.closes = [];
        globalThis.greetings = [];
        socket.onmessage = ({ data }) => globalThis.greetings.push(data);
        socket.onclose = ({ code, willReconnect }) => globalThis.closes.push([code, willReconnect]);
        socket.send('Ada');
      },
      `ws://127.0.0.1:${port}`,
    );
    await realm.page.waitForFunction(() => globalThis.greetings.length === 1);

    await python.stop();
    await realm.page.waitForFunction(() => globalThis.closes.length > 0);
    await realm.evaluate('send()', () => globalThis.socket.send('Grace'));
    python = await startPython(port);
    await realm.page.waitForFunction(() => globalThis.greetings.length === 2);

    const { greetings, closes, opens } = await realm.evaluate('reading the results', () => ({
      greetings: globalThis.greetings,
      closes: globalThis.closes,
      opens: globalThis.socket.snapshot().opens,
    }));
    assert.deepEqual(greetings, ['Hello Ada!', 'Hello Grace!']);
    assert.equal(opens, 2);
    assert.ok(
      closes.every(([code, willReconnect]) => code === 1006 && willReconnect),
      JSON.stringify(closes),
    );
    await realm.evaluate('close()', () => globalThis.socket.close());
  });
});

/** Starts the server; `stop` kills it, as a crash would. */
async function startPython(port) {
  const child = spawn(required('PYTHON'), ['-u', SCRIPT, String(port)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  const announced = new Promise((resolve, reject) => {
    child.once('error', reject);
    exited.then(() => reject(new Error(`the Python server ended:\n${output}`)));
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.stdout.on('data', (data) => {
      output += data;
      const found = output.match(/\b(\d{2,5})\b/);
      if (found) resolve(Number(found[1]));
    });
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await exited;
    }
  };
  try {
    return { port: await within(announced, 'the start of the Python server'), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
