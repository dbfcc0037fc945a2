// The options of a session: credential, optional, what they exclude, and other entries.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import {
  endOf,
  eventually,
  helloFields,
  importSessions,
  pause,
  scripted,
  startSessions,
  welcome,
} from './lib/sockets.mjs';

describe('the options of a session', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let server;
  let script;
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  before(async () => {
    process.on('unhandledRejection', note);
    [installed, server] = await Promise.all([importSessions('session-options'), startSessions()]);
  });
  after(async () => {
    await server?.stop();
    await installed?.remove();
    process.off('unhandledRejection', note);
  });
  beforeEach(async () => {
    script = await scripted();
  });
  afterEach(async () => {
    installed.closeAll();
    await script.stop();
    await pause(20);
    assert.deepEqual(unhandled.splice(0), [], 'rejections that nobody asked for');
  });

  test('the entries without sessions name the one that has them', () => {
    for (const [Class, ...given] of [[installed.plain.TypedSocket], [installed.plain.ReconnectingWebSocket, []]]) {
      for (const session of [true, 'optional', {}, false, null, 7]) {
        assert.throws(() => new Class(script.url, ...given, { session }), {
          name: 'TypeError',
          message: /steady-socket\/session/,
        });
      }
    }
  });

  test('methods of a session on a socket without one say how to get it', { timeout: TEST_TIMEOUT }, async () => {
    for (const kind of ['typed', 'plain']) {
      const { socket } = installed.make(kind, script.url, { session: undefined });
      for (const call of [
        () => socket.deliver('a'),
        () => socket.request('a'),
        () => socket.handle(() => {}),
        () => socket.sendCredential('a'),
      ]) {
        const [name, , error] = await endOf((async () => call())());
        assert.equal(name, 'TypeError');
        assert.match(error.message, /option session/);
      }
      // And everything else works.
      const connection = await script.connection();
      socket.send('plain');
      assert.match(await connection.next(), /plain/);
      const got = [];
      socket.addEventListener('message', ({ data }) => got.push(data));
      connection.send('"~a 1 1"');
      await eventually('the message', () => got.length === 1);
    }
  });

  test('wrong values are refused at once, and by name', () => {
    for (const [session, message] of [
      [false, /option session/],
      [null, /option session/],
      ['yes', /option session/],
      [7, /option session/],
      [{ other: 1 }, /other/],
      [{ optional: 1 }, /session\.optional/],
      [{ credential: '' }, /credential/],
      [{ credential: 'a b' }, /credential/],
      [{ credential: 'é' }, /credential/],
      [{ credential: 'x'.repeat(4097) }, /credential/],
      [{ credential: 7 }, /credential/],
      [{ messages: 0 }, /session\.messages/],
      [{ bytes: 1.5 }, /session\.bytes/],
      [{ requests: -1 }, /session\.requests/],
    ]) {
      for (const kind of ['typed', 'plain']) {
        assert.throws(
          () => installed.make(kind, script.url, { session }),
          (error) => {
            assert.match(error.name, /TypeError|RangeError/);
            assert.match(error.message, message);
            return true;
          },
        );
      }
    }
  });

  test('what excludes a session', () => {
    for (const [options, message] of [
      [{ gate: true }, /gate/],
      [{ reconnect: false }, /reconnect/],
    ]) {
      assert.throws(() => installed.make('typed', script.url, options), { name: 'TypeError', message });
    }
  });

  test('limits are said to the server', { timeout: TEST_TIMEOUT }, async () => {
    const session = { messages: 7, bytes: 70, requests: 0 };
    installed.make('typed', script.url, { session, maxMessageBytes: 5_000 });
    const hello = helloFields(await (await script.connection()).next());
    assert.deepEqual([hello.messages, hello.bytes, hello.requests, hello.message], ['7', '70', '0', '5000']);
  });

  test('sub-protocols: each with the suffix first, or one for all', { timeout: TEST_TIMEOUT }, async () => {
    for (const [protocols, offered] of [
      [[], ['steady~2']],
      [
        ['a', 'b'],
        ['a~2', 'b~2', 'a', 'b'],
      ],
      [
        ['a~1', 'a'],
        ['a~2', 'a~1', 'a'],
      ],
    ]) {
      installed.make('typed', script.url, { protocols, session: 'optional' });
      assert.deepEqual((await script.connection()).offered, offered);
    }
  });

  test('a credential: a string, and a function that is asked each time', { timeout: TEST_TIMEOUT }, async () => {
    installed.make('typed', script.url, { session: { credential: 'abc=def' } });
    const first = await script.connection();
    assert.equal(helloFields(await first.next()).credential, 'abc=def');

    let asked = 0;
    const credential = async ({ attempt, signal }) => {
      assert.ok(attempt >= 1 && signal instanceof AbortSignal);
      asked += 1;
      if (asked === 2) throw new Error('not now');
      return `token-${asked}`;
    };
    const { of, socket } = installed.make('typed', script.url, { session: { credential } });
    const connection = await script.connection();
    assert.equal(helloFields(await connection.next()).credential, 'token-1');
    connection.send(welcome());
    await connection.next();
    socket.sendCredential('fresh');
    assert.equal(await connection.next(), '~credential fresh');
    assert.throws(() => socket.sendCredential('a b'), TypeError);
    connection.cut();
    const again = await script.connection();
    assert.equal(helloFields(await again.next()).credential, 'token-3');
    assert.ok(
      of('close').some(({ cause }) => cause === 'provider'),
      'one attempt failed, and the next went on',
    );
  });

  test('a credential that cannot be one is an attempt that failed', { timeout: TEST_TIMEOUT }, async () => {
    for (const wrong of ['', 'a b', undefined, 7]) {
      const { of, socket } = installed.make('typed', script.url, { session: { credential: () => wrong } });
      await eventually('the failure', () => of('close').length > 0);
      assert.equal(of('close')[0].cause, 'provider');
      socket.close();
    }
  });

  test("a server that does not let the client in: the end, with its deliveries' ends", {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const { socket, of } = installed.make('typed', script.url, { session: { credential: 'wrong' } });
    const end = socket.deliver(1);
    const connection = await script.connection();
    await connection.next();
    connection.close(3972, 'no');
    const [name] = await endOf(end);
    assert.match(name, /^(NotHandledError|UnknownEndError)$/);
    assert.equal(of('sessionend').length, 1);
    await eventually('the end', () => socket.state === 'closed');
  });

  for (const [what, protocols, offers] of [
    ['with sub-protocols', ['chat'], 'chat'],
    ['without sub-protocols', [], false],
  ]) {
    for (const kind of ['typed', 'plain']) {
      test(`optional, against a server without sessions, ${what}: ${kind}`, { timeout: TEST_TIMEOUT }, async () => {
        // Without a sub-protocol in the answer a client that has offered some fails, as browsers do.
        const plain = await scripted((offered) => (offered.has('chat') ? 'chat' : false));
        try {
          const { socket, of } = installed.make(kind, plain.url, { protocols, session: 'optional' });
          const send = (what_) => socket.send(kind === 'typed' ? what_ : JSON.stringify(what_));
          send('early');
          const delivered = kind === 'typed' ? socket.deliver('awaited') : socket.deliver('"awaited"');
          const asked = socket.request(kind === 'typed' ? 'asked' : '"asked"');
          await eventually('the opening', () => socket.readyState === 1);
          assert.equal(socket.protocol, offers || '');
          assert.equal((await endOf(delivered))[0], 'NotHandledError');
          assert.equal((await endOf(asked))[0], 'NotHandledError');
          assert.equal(of('sessionunavailable').length, 1);
          let connection = await plain.connection();
          // Without sub-protocols, the first attempt had to fail.
          if (connection.offered.includes('steady~2')) connection = await plain.connection();
          assert.equal(await connection.next(), '"early"');
          const got = [];
          socket.addEventListener('message', ({ data }) => got.push(data));
          connection.send('"~a"');
          await eventually('a message', () => got.length === 1);
          assert.deepEqual(got, [kind === 'typed' ? '~a' : '"~a"']);
          const [late] = await endOf(kind === 'typed' ? socket.deliver('late') : socket.deliver('"late"'));
          assert.equal(late, 'InvalidStateError');
          connection.cut();
          const again = await plain.connection();
          assert.ok(!again.offered.some((name) => name.endsWith('~2')), 'it stays without');
          send('later');
          assert.equal(await again.next(), '"later"');
        } finally {
          await plain.stop();
        }
      });
    }
  }

  test('not optional, against a server without sessions: it ends, and says why', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    const plain = await scripted((offered) => (offered.has('chat') ? 'chat' : false));
    try {
      const { socket, of } = installed.make('typed', plain.url, { protocols: ['chat'] });
      const end = socket.deliver(1);
      const [name] = await endOf(end);
      assert.equal(name, 'NotHandledError');
      await eventually('the end', () => socket.state === 'closed');
      assert.equal(of('sessionend').length, 1);
      assert.match(of('sessionend')[0].reason, /sessions/);
      assert.deepEqual(of('open'), []);
    } finally {
      await plain.stop();
    }
  });

  test('optional, against a server with sessions: a session', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, of } = installed.make('typed', `${server.ws}/session/echo`, {
      protocols: ['echo.json'],
      session: 'optional',
    });
    socket.onmessage = () => {};
    assert.deepEqual(await endOf(socket.deliver(1)), ['resolved', undefined]);
    assert.equal(socket.protocol, 'echo.json~2');
    assert.equal(of('sessionstart').length, 1);
  });

  test('the entries without a module in the script export the same', { timeout: TEST_TIMEOUT }, async () => {
    const file = path.join(installed.folder, 'session/index.js');
    const names = Object.keys(await import(pathToFileURL(file).href));
    assert.deepEqual(names.sort(), Object.keys(installed.session).sort());
    for (const name of ['NotHandledError', 'UnknownEndError', 'RequestError', 'ApplicationError']) {
      assert.ok(names.includes(name), name);
    }
  });
});
