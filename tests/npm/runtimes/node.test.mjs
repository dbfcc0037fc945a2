// Node: the one that runs the tests, with the WebSocket of the package `ws`, and Node 22, the oldest with one of its own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import process from 'node:process';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { describeRuntime } from './lib/outside-browsers.mjs';
import { runtime } from './lib/programs.mjs';
import { makeProject } from './lib/project.mjs';

describeRuntime(`Node ${process.versions.node} with ws in the option WebSocket`, { program: process.execPath, inject: 'as an option', canTerminate: true });
describeRuntime('Node 22 with its own WebSocket', { program: runtime('node-22') });

describe('Node without a WebSocket', { timeout: TEST_TIMEOUT }, () => {
  let consumer;
  before(async () => { consumer = await makeProject('no-websocket', { files: 'programs', packages: ['ws'] }); });
  after(() => consumer?.remove());

  const evaluate = async (source) => {
    const { stdout } = await runProgram(process.execPath, ['--input-type=module', '--eval', source], { cwd: consumer.project });
    return stdout.trimEnd();
  };

  test('is told what to do', async () => {
    assert.equal(await evaluate(`
      import { ReconnectingWebSocket } from 'steady-socket';
      delete globalThis.WebSocket;
      try {
        new ReconnectingWebSocket('ws://127.0.0.1:1');
      } catch ({ name, message }) {
        console.log(name, message);
      }
    `), 'TypeError ReconnectingWebSocket: there is no global WebSocket here; give the constructor of one in the option WebSocket');
  });

  test('takes one that comes after the import, with nothing else said', async () => {
    const argument = JSON.stringify({ ws: serverAddress('ws'), http: serverAddress(), inject: 'globally' });
    const { stdout } = await runProgram(process.execPath, ['greet.mjs', argument], { cwd: consumer.project });
    assert.deepEqual(JSON.parse(stdout).greetings, ['Hello Ada!', 'Hello Bob!', 'Hello Cleo!']);
  });
});
