// Node: the version that runs the tests, with the WebSocket of the package `ws`, and Node 22, the oldest with its own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';

import { serverAddress } from '../lib/environment.mjs';
import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { runProgram } from '../lib/package.mjs';
import { describeRuntime } from './lib/outside-browsers.mjs';
import { runtime } from './lib/programs.mjs';
import { makeProject } from './lib/project.mjs';

describeRuntime(`Node ${process.versions.node} with ws in the option WebSocket`, {
  program: process.execPath,
  inject: 'as an option',
  canTerminate: true,
});
describeRuntime('Node 22 with its own WebSocket', { program: runtime('node-22') });

describe('Node with require', { timeout: TEST_TIMEOUT }, () => {
  let consumer;
  before(async () => {
    consumer = await makeProject('require', { files: 'programs', packages: ['ws'] });
  });
  after(() => consumer?.remove());

  const ENTRIES = [
    'steady-socket',
    'steady-socket/inline',
    'steady-socket/websocket',
    'steady-socket/websocket/inline',
  ];

  /** Runs a CommonJS program, in which `server` is the hello server's address. */
  const run = async (source, ...args) => {
    const program = `const server = ${JSON.stringify(serverAddress('ws'))};\n${source}`;
    const { stdout } = await runProgram(process.execPath, [...args, '--input-type=commonjs', '--eval', program], {
      cwd: consumer.project,
    });
    return stdout.trimEnd();
  };

  const GREET = `
    const socket = new ReconnectingWebSocket(server, [], { WebSocket: require('ws').WebSocket });
    socket.send('Ada');
    socket.onmessage = ({ data }) => { console.log(data); socket.close(); };
  `;
  // As in Node 20.16: then it gets CommonJS.
  const OLD = process.allowedNodeEnvironmentFlags.has('--experimental-require-module')
    ? ['--no-experimental-require-module']
    : [];

  for (const entry of ENTRIES) {
    test(`where it cannot load modules: ${entry} is greeted`, async () => {
      assert.equal(await run(`const { ReconnectingWebSocket } = require('${entry}');${GREET}`, ...OLD), 'Hello Ada!');
    });
  }

  test('where it cannot load modules: the entries share one class, and nothing is missing', async () => {
    const script = `
      const exported = {};
      for (const entry of ${JSON.stringify([...ENTRIES, 'steady-socket/msgpack', 'steady-socket/testing'])}) exported[entry] = Object.keys(require(entry)).sort();
      const classes = new Set(${JSON.stringify(ENTRIES)}.map((entry) => require(entry).ReconnectingWebSocket));
      import('steady-socket').then(async (all) => {
        const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);
        for (const entry of Object.keys(exported)) {
          const names = Object.keys(await import(entry)).sort();
          if (!isSame(names, exported[entry])) console.log(entry, names, exported[entry]);
        }
        console.log(classes.size);
      });
    `;
    assert.equal(await run(script, ...OLD), '1');
  });

  test('where it can load modules: require and import give the same class', async () => {
    if (!process.features.require_module) return;
    const same =
      "import('steady-socket').then(({ ReconnectingWebSocket }) => console.log(ReconnectingWebSocket === require('steady-socket').ReconnectingWebSocket));";
    assert.equal(await run(same), 'true');
  });
});

describe('Node with a file whose address is for pages', { timeout: TEST_TIMEOUT }, () => {
  test('says what to do', async () => {
    const consumer = await makeProject('server-bundle', { files: 'programs' });
    try {
      const file = path.join(consumer.folder, 'file.js');
      const source = await readFile(file, 'utf8');
      // The form in which webpack leaves the expression for a Next server.
      const bundled = source.replace(
        "new URL('./steady-socket.wasm', import.meta.url)",
        "{ href: '/_next/static/media/steady-socket.wasm' }",
      );
      assert.notEqual(bundled, source);
      await writeFile(file, bundled);
      const program = "import { load } from 'steady-socket'; load().catch(({ message }) => console.log(message));";
      const { stdout } = await runProgram(process.execPath, ['--input-type=module', '--eval', program], {
        cwd: consumer.project,
      });
      assert.match(
        stdout,
        /could not be loaded: the bundler has put the file at \/_next\/static\/media\/steady-socket\.wasm, .*steady-socket\/inline.*serverExternalPackages/,
      );
    } finally {
      await consumer.remove();
    }
  });
});

describe('Node without something of the platform', { timeout: 2 * TEST_TIMEOUT, concurrency: 3 }, () => {
  let consumer;
  before(async () => {
    consumer = await makeProject('bare', { files: 'programs', packages: ['ws'] });
  });
  after(() => consumer?.remove());

  const ENTRIES = [
    'steady-socket',
    'steady-socket/inline',
    'steady-socket/websocket',
    'steady-socket/websocket/inline',
    'steady-socket/msgpack',
    'steady-socket/testing',
  ];
  const WORKS = 'socket: connect ECONNREFUSED 127.0.0.1:1; the option reconnect is false';
  const withoutForLoading = (names) =>
    `the WebAssembly module of steady-socket could not be loaded: there is no ${names} here`;
  const withoutForSockets = (names) =>
    `TypeError: ReconnectingWebSocket: there was no ${names} when steady-socket was imported; define what is missing before that`;

  // For each, the error of loading, and what a socket created then does.
  for (const [missing, loaded, made] of [
    [
      ['WebSocket'],
      'loaded',
      'TypeError: ReconnectingWebSocket: there is no global WebSocket here; give a constructor in the option WebSocket',
    ],
    [['performance'], 'loaded', WORKS],
    [['FinalizationRegistry'], 'loaded', WORKS],
    [
      ['CloseEvent', 'MessageEvent', 'Blob', 'crypto', 'navigator', 'fetch', 'Response', 'reportError'],
      'loaded',
      WORKS,
    ],
    [['TextDecoder'], withoutForLoading('TextDecoder'), `load-failed: ${withoutForLoading('TextDecoder')}`],
    [['TextEncoder'], withoutForLoading('TextEncoder'), `load-failed: ${withoutForLoading('TextEncoder')}`],
    [['WebAssembly'], withoutForLoading('WebAssembly'), `load-failed: ${withoutForLoading('WebAssembly')}`],
    [['Event'], 'loaded', withoutForSockets('Event')],
    [['EventTarget'], 'loaded', withoutForSockets('EventTarget')],
    [
      [
        'TextDecoder',
        'TextEncoder',
        'WebSocket',
        'performance',
        'FinalizationRegistry',
        'WebAssembly',
        'EventTarget',
        'Event',
        'CloseEvent',
        'MessageEvent',
        'Blob',
      ],
      withoutForLoading('WebAssembly and no TextDecoder and no TextEncoder'),
      withoutForSockets('Event and no EventTarget'),
    ],
  ]) {
    test(`imports every entry without ${missing.join(', ')}, and says what is missing when it is needed`, async () => {
      const run = async (argument) => {
        const { stdout } = await runProgram(process.execPath, ['bare.mjs', JSON.stringify({ missing, ...argument })], {
          cwd: consumer.project,
        });
        return JSON.parse(stdout);
      };
      assert.deepEqual(await run({ entries: ENTRIES }), { imported: ENTRIES.map(() => 'imported') });
      const used = await run({ entries: ['steady-socket'], use: true });
      assert.equal(used.load, loaded);
      assert.equal(used.socket, made);
    });
  }
});

describe('Node without a WebSocket', { timeout: TEST_TIMEOUT }, () => {
  let consumer;
  before(async () => {
    consumer = await makeProject('no-websocket', { files: 'programs', packages: ['ws'] });
  });
  after(() => consumer?.remove());

  const evaluate = async (source) => {
    const { stdout } = await runProgram(process.execPath, ['--input-type=module', '--eval', source], {
      cwd: consumer.project,
    });
    return stdout.trimEnd();
  };

  test('is told what to do', async () => {
    assert.equal(
      await evaluate(`
      import { ReconnectingWebSocket } from 'steady-socket';
      delete globalThis.WebSocket;
      try {
        new ReconnectingWebSocket('ws://127.0.0.1:1');
      } catch ({ name, message }) {
        console.log(name, message);
      }
    `),
      'TypeError ReconnectingWebSocket: there is no global WebSocket here; give a constructor in the option WebSocket',
    );
  });

  test('takes one that comes after the import, with nothing else said', async () => {
    const argument = JSON.stringify({ ws: serverAddress('ws'), http: serverAddress(), inject: 'globally' });
    const { stdout } = await runProgram(process.execPath, ['greet.mjs', argument], { cwd: consumer.project });
    assert.deepEqual(JSON.parse(stdout).greetings, ['Hello Ada!', 'Hello Bob!', 'Hello Cleo!']);
  });
});
