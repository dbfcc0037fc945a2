// What every non-browser runtime has to do, with the programs of `programs/`.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startRawServer } from '../../conformance/raw-server.mjs';
import { serverAddress } from '../../lib/environment.mjs';
import { PATIENCE, TEST_TIMEOUT } from '../../lib/limits.mjs';
import { runProgram } from '../../lib/package.mjs';
import { INLINE, makeProject } from './project.mjs';

/** The expected output and exit code of each program. All but the last end by themselves. */
const EXITS = {
  'nothing but the import': ['', 0],
  'loads the module': ['', 0],
  'never starts': ['', 0],
  'waits for the first attempt': ['open, close 1005', 0],
  'is open until the server says goodbye': ['open, close 1000', 0],
  'waits for the next attempt': ['open, close 1006, open, close 1005', 0],
  'gives up': ['open, close 1006', 0],
  'is closed before it is open': ['close 1006', 0],
  'is closed while it connects': ['close 1006', 0],
  'finds nobody at its address': ['close 1006', 0],
  'exits with a code of its own': ['open', 3],
};

const EXPORTS = {
  all: [
    'ClosedError',
    'MessageError',
    'OverflowError',
    'ReconnectingWebSocket',
    'TypedSocket',
    'TypedSocketError',
    'json',
    'load',
  ],
  websocket: ['ReconnectingWebSocket', 'load'],
  msgpack: ['createMsgpack', 'msgpack'],
  testing: ['FakePage', 'FakeServer', 'SessionServer', 'fakeTime', 'setChance'],
};

/**
 * Defines the tests.
 *
 * @param name - of the runtime and its `WebSocket`
 * @param options.program - the runtime
 * @param options.args - the arguments before the script
 * @param options.inject - how to pass the `WebSocket` of the package `ws`, if at all
 * @param options.canTerminate - whether its `WebSocket` has a method that ends a connection at once
 */
export function describeRuntime(name, { program, args = [], inject = '', canTerminate = false }) {
  // Each test has its own programs and connections, and spends most of its time waiting.
  describe(name, { timeout: 4 * TEST_TIMEOUT, concurrency: 4 }, () => {
    const consumers = {};
    before(async () => {
      const options = { files: 'programs', packages: ['ws'] };
      consumers.file = await makeProject('outside', options);
      consumers.inline = await makeProject('outside-inline', { ...options, imports: INLINE });
    });
    after(async () => {
      for (const { remove } of Object.values(consumers)) await remove();
    });

    const server = { ws: serverAddress('ws'), http: serverAddress(), inject };
    const run = async (script, argument, which = 'file') => {
      const { stdout, stderr } = await runProgram(program, [...args, script, JSON.stringify(argument)], {
        cwd: consumers[which].project,
      });
      // Node 20 and 22 warn that some of their features are experimental.
      assert.doesNotMatch(stderr, /error|steady/i);
      return stdout.trimEnd();
    };

    test('imports every entry without touching anything of a browser', async () => {
      const { touched, exported } = JSON.parse(await run('import.mjs', server));
      assert.deepEqual(touched, []);
      assert.deepEqual(exported, {
        'steady-socket': EXPORTS.all,
        'steady-socket/inline': EXPORTS.all,
        'steady-socket/websocket': EXPORTS.websocket,
        'steady-socket/websocket/inline': EXPORTS.websocket,
        'steady-socket/msgpack': EXPORTS.msgpack,
        'steady-socket/testing': EXPORTS.testing,
      });
    });

    for (const which of ['file', 'inline']) {
      test(`is greeted over a loss, with the module ${which === 'file' ? 'from its file' : 'embedded'}`, async () => {
        const outcome = JSON.parse(await run('greet.mjs', server, which));
        assert.deepEqual(outcome.states, [0, 1, 3]);
        assert.deepEqual(outcome.greetings, ['Hello Ada!', 'Hello Bob!', 'Hello Cleo!']);
        assert.deepEqual(outcome.losses, [
          { code: 1006, reason: '', wasClean: false, willReconnect: true },
          { code: 4000, reason: 'done', wasClean: true, willReconnect: false },
        ]);
        assert.equal(outcome.areEvents, true);
        assert.notEqual(outcome.areGlobal, false, 'where there is a global CloseEvent, they are of that class');
      });
    }

    for (const from of ['a file: URL', 'bytes', 'a WebAssembly.Module']) {
      test(`loads the module from ${from}`, async () => {
        assert.equal(await run('load.mjs', { ...server, from }), 'Hello Ada!');
      });
    }

    for (const [from, message] of [
      [
        'a file that is not there',
        /^Error: the WebAssembly module of steady-socket could not be loaded: file:.*\/nowhere\.wasm could not be (read|fetched): /,
      ],
      [
        'a relative URL',
        /^TypeError: ReconnectingWebSocket: option module: the URL cannot be parsed; it takes an absolute URL, or one relative to the page$/,
      ],
    ]) {
      test(`does not load the module from ${from}, and says so`, async () => {
        assert.match(await run('load.mjs', { ...server, from }), message);
      });
    }

    if (canTerminate) {
      test('ends by itself when a server does not answer a close', async () => {
        const deaf = await startRawServer();
        try {
          const argument = { ...server, ws: deaf.address, query: '&deaf=1', what: 'is closed without an answer' };
          const started = performance.now();
          assert.equal(await run('exit.mjs', argument), 'open\nclose 1006\nclose-timeout');
          // By itself it would wait for half a minute.
          assert.ok(performance.now() - started < PATIENCE);
        } finally {
          await deaf.close();
        }
      });
    }

    for (const [what, [printed, code]] of Object.entries(EXITS)) {
      test(`ends by itself with ${code} when a socket or the program ${what}`, async () => {
        const argument = { ...server, what };
        if (code === 0) {
          assert.equal((await run('exit.mjs', argument)).split('\n').join(', '), printed);
        } else {
          const error = await run('exit.mjs', argument).catch((thrown) => thrown);
          assert.deepEqual([error.cause?.code, error.cause?.stdout.trimEnd()], [code, printed]);
        }
      });
    }
  });
}
