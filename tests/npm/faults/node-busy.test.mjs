// A busy program on Node. Node runs its timers before it reads its sockets.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { WebSocket as Ws } from 'ws';

import { TEST_TIMEOUT, within } from '../lib/limits.mjs';
import { installPackage } from '../lib/package.mjs';
import { pause } from './lib/world.mjs';

/** In a process of its own, since this one is busy: sends something every 100 ms, or echoes; compressed or not. */
const SERVER = `
  import { WebSocketServer } from 'ws';
  const options = { port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } };
  const server = new WebSocketServer(options, () => console.log(server.address().port));
  server.on('connection', (socket, { url }) => {
    const compress = url.includes('compressed');
    socket.on('message', (data) => socket.send(String(data), { compress }));
    if (!url.startsWith('/talks')) return;
    const timer = setInterval(() => socket.send('tick', { compress }), 100);
    socket.on('close', () => clearInterval(timer));
  });
`;

const HEARTBEAT = { heartbeatInterval: 1_500, heartbeatGrace: 1_500 };
/** Longer than the server may be silent, but too short to look like a sleep. */
const BUSY = 4_000;

describe('a busy program on Node', { timeout: 2 * TEST_TIMEOUT }, () => {
  let server;
  let port;
  let installed;
  let ReconnectingWebSocket;
  before(async () => {
    installed = await installPackage('node-busy');
    ({ ReconnectingWebSocket } = await import(pathToFileURL(path.join(installed.folder, 'inline.js'))));
    server = spawn(process.execPath, ['--input-type=module', '-e', SERVER], {
      cwd: path.dirname(fileURLToPath(import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    [port] = await within(once(server.stdout, 'data'), 'the start of the server');
    port = Number(port);
  });
  after(async () => {
    server?.kill();
    await installed?.remove();
  });

  const classes = [['ws', Ws]];
  if (globalThis.WebSocket) classes.push(['Node', globalThis.WebSocket]);
  for (const [name, WebSocket] of classes) {
    for (const [words, page, more] of [
      ['whose messages wait', 'talks', {}],
      ['that answers', 'silent', { heartbeatMessage: 'ping' }],
      ['whose compressed messages wait', 'talks-compressed', {}],
    ]) {
      test(`[R1][R20] keeps a server ${words}, by the WebSocket of ${name}`, { timeout: TEST_TIMEOUT }, async () => {
        const socket = new ReconnectingWebSocket(`ws://127.0.0.1:${port}/${page}`, [], {
          ...HEARTBEAT,
          ...more,
          WebSocket,
        });
        await within(once(socket, 'open'), 'the opening');
        for (let time = 0; time < 3; time += 1) {
          await pause(150);
          beBusy(BUSY);
        }
        await pause(500);
        const { attempts, abandoned } = socket.snapshot();
        socket.close();
        assert.deepEqual({ attempts, abandoned }, { attempts: 1, abandoned: 0 });
      });
    }
    for (const command of ['close', 'suspend']) {
      test(`[R17][R20] hears the answer to ${command}(), by the WebSocket of ${name}`, {
        timeout: TEST_TIMEOUT,
      }, async () => {
        const socket = new ReconnectingWebSocket(`ws://127.0.0.1:${port}/silent`, [], { closeTimeout: 500, WebSocket });
        await within(once(socket, 'open'), 'the opening');
        const end = once(socket, 'close');
        socket[command](4000, 'done');
        // Too short to look like a sleep.
        beBusy(1_500);
        const [{ code, wasClean }] = await within(end, 'the end');
        socket.close();
        assert.deepEqual({ code, wasClean }, { code: 4000, wasClean: true });
      });
    }
  }
});

function beBusy(millis) {
  const end = performance.now() + millis;
  while (performance.now() < end);
}
