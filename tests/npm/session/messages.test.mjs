// Messages of every kind in a session: alone, in batches, escaped, replayed, and malformed.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { endOf, eventually, importSessions, pause, scripted, startSessions, upTo, welcome } from './lib/sockets.mjs';

const MEBIBYTE = 1_048_576;

/** Bytes of which some look like the marks and brackets of frames. */
const bytesOf = (length) => Uint8Array.from(upTo(length), (index) => [0xc1, 0x5d, 0x2c, 0, 0xff][index % 5]).buffer;

const viewOf = (length) => new Uint8Array(bytesOf(length));

const TEXTS = [
  '',
  ' ',
  '~',
  '~~',
  '~a 1 1',
  '~b 1[1,2]',
  '~hello',
  '\u00c1',
  '[',
  '"',
  '\\',
  'é😀',
  '\u{10FFFF}',
  'plain',
];
const BYTES = [[], [0], [0x7e], [0xc1], [0xc1, 0xc1], [0xc1, 0x61, 0x20, 0x31, 0x20, 0x31], [1, 2, 3]];

describe('messages in a session', { timeout: 4 * TEST_TIMEOUT }, () => {
  let installed;
  let server;
  before(async () => {
    [installed, server] = await Promise.all([importSessions('session-messages'), startSessions()]);
  });
  after(async () => {
    await server?.stop();
    await installed?.remove();
  });
  afterEach(() => installed.closeAll());

  const echo = () => `${server.ws}/session/echo`;

  /** The values of each codec, as a typed socket sends them. */
  const VALUES = {
    json: [...TEXTS, 'a lone \ud800 surrogate', 0, -1.5, null, true, [], {}, [[]], { '~': ']' }, { a: [1, '}', '"'] }],
    msgpack: [...TEXTS, 0, -1.5, null, true, [], {}, viewOf(1_000), { a: [1, viewOf(3)] }],
    text: TEXTS,
    bytes: BYTES.map((bytes) => Uint8Array.from(bytes).buffer),
  };

  const CODECS = {
    json: () => ({ protocols: ['echo.json'] }),
    msgpack: () => ({ protocols: ['echo.msgpack'], codec: installed.msgpack }),
    text: () => ({ codec: { encode: (text) => text, decode: (text) => text } }),
    bytes: () => ({ codec: { encode: (bytes) => bytes, decode: (bytes) => bytes } }),
  };

  for (const [name, options] of Object.entries(CODECS)) {
    test(`a typed socket in ${name}: each alone, all in a batch, and all replayed`, {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const { socket, cut, of } = installed.make('typed', echo(), options());
      const values = VALUES[name];
      const messages = socket.messages();
      const next = async () => (await messages.next()).value;
      await socket.opened();
      for (const value of values) {
        socket.send(value);
        assert.deepEqual(await next(), value);
      }
      for (const value of values) socket.send(value);
      for (const value of values) assert.deepEqual(await next(), value);
      // What is sent at the moment of the cut is in flight, and comes back by a replay.
      for (const value of values) socket.send(value);
      cut();
      for (const value of values) socket.send(value);
      for (const value of [...values, ...values]) assert.deepEqual(await next(), value);
      assert.ok(of('resumed').length > 0);
      assert.equal(socket.snapshot().invalidMessages, 0);
      assert.deepEqual(of('invalid'), []);
    });
  }

  test('the drop-in class: texts, lone surrogates, bytes and Blobs, by events', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, cut, of } = installed.make('plain', echo());
    const got = [];
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => got.push(data));
    await eventually('the opening', () => socket.readyState === 1);
    const values = [...TEXTS, ...BYTES.map((bytes) => Uint8Array.from(bytes).buffer)];
    for (const value of values) socket.send(value);
    // As on a plain connection, a lone surrogate becomes U+FFFD.
    socket.send('a lone \ud800 surrogate');
    await eventually('the echoes', () => got.length > values.length);
    assert.deepEqual(got, [...values, 'a lone \ufffd surrogate']);
    got.length = 0;
    cut();
    for (const value of values) socket.send(value);
    await eventually('the echoes', () => got.length === values.length);
    assert.deepEqual(got, values);
    assert.equal(of('resumed').length, 1);

    socket.binaryType = 'blob';
    socket.send(Uint8Array.of(0xc1, 1));
    await eventually('a Blob', () => got.length > values.length);
    assert.ok(got.at(-1) instanceof Blob);
    assert.deepEqual([...new Uint8Array(await got.at(-1).arrayBuffer())], [0xc1, 1]);
  });

  test('what the caller changes after send has been sent as it was', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, cut } = installed.make('plain', echo());
    const got = [];
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', ({ data }) => got.push([...new Uint8Array(data)]));
    await eventually('the opening', () => socket.readyState === 1);
    const bytes = Uint8Array.of(1, 2, 3);
    socket.send(bytes);
    bytes.fill(9);
    cut();
    bytes.fill(8);
    socket.send(bytes);
    bytes.fill(7);
    await eventually('the echoes', () => got.length === 2);
    assert.deepEqual(got, [
      [1, 2, 3],
      [8, 8, 8],
    ]);
  });

  test('a message of 1 MiB, and a larger one', { timeout: TEST_TIMEOUT }, async () => {
    const large = await startSessions('--max-message-bytes', String(MEBIBYTE));
    try {
      const { socket } = installed.make('plain', `${large.ws}/session/echo`);
      const got = [];
      socket.binaryType = 'arraybuffer';
      socket.addEventListener('message', ({ data }) => got.push(data));
      await eventually('the opening', () => socket.readyState === 1);
      for (const data of ['~'.repeat(MEBIBYTE), '"'.repeat(MEBIBYTE), bytesOf(MEBIBYTE)]) {
        got.length = 0;
        socket.send(data);
        await eventually('the echo', () => got.length > 0);
        assert.ok(typeof data === 'string' ? got[0] === data : Buffer.from(got[0]).equals(Buffer.from(data)));
      }
      assert.throws(() => socket.send('x'.repeat(MEBIBYTE + 1)), { name: 'InvalidStateError' });
      const [name] = await endOf(socket.deliver('x'.repeat(MEBIBYTE + 1)));
      assert.equal(name, 'InvalidStateError');
      socket.send('still there');
      await eventually('the echo', () => got.at(-1) === 'still there');
    } finally {
      await large.stop();
    }
  });

  test('a thousand messages in bursts, cut again and again, arrive once and in order', {
    timeout: TEST_TIMEOUT,
  }, async () => {
    for (const [kind, options] of [
      ['typed', CODECS.json()],
      ['typed', CODECS.msgpack()],
      ['plain', {}],
    ]) {
      const { socket, cut, of } = installed.make(kind, echo(), options);
      const got = [];
      socket.addEventListener('message', ({ data }) => got.push(Number(data)));
      await eventually('the opening', () => socket.readyState === 1);
      for (const number of upTo(1_000)) {
        socket.send(kind === 'typed' ? number : String(number));
        if (number % 100 === 50) {
          await pause(number % 7);
          cut();
        }
      }
      await eventually('all echoes', () => got.length >= 1_000);
      await pause(50);
      assert.deepEqual(got, upTo(1_000));
      assert.ok(of('resumed').length > 0);
      assert.deepEqual([...of('sessionlost'), ...of('undelivered'), ...of('dropped')], []);
      const { messagesSent, messagesReceived } = socket.snapshot();
      assert.ok(messagesSent >= 1_000 && messagesReceived === 1_000, `${messagesSent}, ${messagesReceived}`);
    }
  });

  test('a volatile message is sent once, or dropped', { timeout: TEST_TIMEOUT }, async () => {
    const { socket, of, cut } = installed.make('typed', echo(), CODECS.json());
    const messages = socket.messages();
    socket.send('too early', { volatile: true });
    await eventually('the drop', () => of('dropped').length === 1);
    assert.deepEqual(of('dropped')[0].messages, ['too early']);
    assert.equal(of('dropped')[0].reason, 'volatile');
    await socket.opened();
    socket.send('in time', { volatile: true });
    assert.equal((await messages.next()).value, 'in time');
    const away = new Promise((resolve) => {
      // Within the event: a moment later it may have come back.
      const whenLost = () => {
        socket.send('away', { volatile: true });
        resolve(socket.readyState);
      };
      socket.addEventListener('close', whenLost, { once: true });
    });
    cut();
    assert.equal(await away, 0);
    await eventually('the drop', () => of('dropped').length === 2);
  });

  test('a message that expires in the queue is dropped with its value', { timeout: TEST_TIMEOUT }, async () => {
    const script = await scripted();
    try {
      const { socket, of } = installed.make('typed', script.url);
      // The server sends no welcome.
      await script.connection();
      for (const number of upTo(100)) socket.send(number);
      socket.send('old', { ttl: 20 });
      await eventually('the drop', () => of('dropped').length === 1);
      const [{ reason, messages }] = of('dropped');
      assert.deepEqual([reason, messages], ['expired', ['old']]);
      assert.equal(socket.snapshot().queuedMessages + socket.snapshot().unacknowledgedMessages, 100);
    } finally {
      await script.stop();
    }
  });

  describe('from a server that a test speaks for', () => {
    let script;
    before(async () => {
      script = await scripted();
    });
    after(() => script?.stop());

    async function begin(kind = 'typed', options = {}) {
      const made = installed.make(kind, script.url, options);
      const got = [];
      made.socket.addEventListener('message', ({ data }) => got.push(data));
      const connection = await script.connection();
      assert.match(await connection.next('the hello'), /^~hello secret=\S{22,} attempt=1 epoch=0 /);
      connection.send(welcome());
      assert.equal(await connection.next('the first acknowledgement'), '~a 0 0');
      return { ...made, got, connection };
    }

    test('a bad element of a batch spoils only itself', { timeout: TEST_TIMEOUT }, async () => {
      const { got, of, socket, connection } = await begin();
      connection.send('~b 1[1, {"a":[2,",]"]} ,oops,"x\\"]",4]');
      connection.send('5');
      await eventually('the last', () => got.at(-1) === 5);
      assert.deepEqual(got, [1, { a: [2, ',]'] }, 'x"]', 4, 5]);
      assert.equal(socket.snapshot().invalidMessages, 1);
      assert.equal(of('invalid')[0].error.data, 'oops');
      // The refused one counts as handled, too.
      connection.send('~w 6');
      assert.match(
        await eventually('an acknowledgement', () => connection.frames.find((it) => it.startsWith('~a 6'))),
        /^~a 6 0$/,
      );
    });

    test('a schema that refuses an element is given its value, and the error its data as sent', {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const incoming = {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (value) => (typeof value === 'number' ? { value } : { issues: [{ message: 'no number' }] }),
        },
      };
      const { got, of, connection } = await begin('typed', { incoming });
      connection.send('~b 1[1,{"a":1},3]');
      connection.send('{"a":2}');
      connection.send('5');
      await eventually('the last', () => got.at(-1) === 5);
      assert.deepEqual(got, [1, 3, 5]);
      assert.deepEqual(
        of('invalid').map(({ error }) => error.data),
        ['{"a":1}', '{"a":2}'],
      );
    });

    test('what a slow schema leaves undecided at the end is reported as it was sent', {
      timeout: TEST_TIMEOUT,
    }, async () => {
      const incoming = {
        '~standard': { version: 1, vendor: 'test', validate: () => new Promise(() => {}) },
      };
      const { of, socket, connection } = await begin('typed', { incoming, closeTimeout: 1 });
      connection.send('~b 1[{"a":1}]');
      await eventually('the arrival', () => socket.snapshot().messagesReceived === 1);
      socket.close();
      await eventually('the drop', () => of('dropped').length === 1);
      assert.deepEqual([of('dropped')[0].reason, of('dropped')[0].messages], ['not-decoded', ['{"a":1}']]);
    });

    test('what a batch nests too deeply is refused, as alone', { timeout: TEST_TIMEOUT }, async () => {
      const { got, of, connection } = await begin();
      const deep = `${'['.repeat(1_000)}${']'.repeat(1_000)}`;
      connection.send(`~b 1[1,${deep},3]`);
      connection.send(deep);
      connection.send('5');
      await eventually('the last', () => got.at(-1) === 5);
      // Not by deepEqual, which would print it.
      assert.equal(JSON.stringify(got), '[1,3,5]');
      assert.equal(of('invalid').length, 2);
    });

    for (const [what, frame] of Object.entries({
      'no array': '~b 1 7',
      'an empty batch': '~b 1[]',
      'an array without an end': '~b 1[1,2',
      'more behind the array': '~b 1[1]2',
      'number 0': '~b 0[1]',
      'a number with a zero in front': '~b 01[1]',
      'a number that is too large': '~b 9007199254740992[1]',
      'a missing acknowledgement': '~B 1[1]',
      'an acknowledgement too many': '~b 1 0[1]',
      'a batch of texts with a number in it': '~s 1["a",1]',
      'a batch of texts that is no JSON': '~s 1["a",]',
      'an acknowledgement with words': '~a one two',
      'a response without numbers': '~r ',
      'bytes that end too early': Buffer.from([0xc1, 0x62, 0x20, 0x31, 0x20, 5, 1, 2]),
      'bytes with a long zero': Buffer.from([0xc1, 0x62, 0x20, 0x31, 0x20, 0x81, 0x00, 1]),
      'bytes with an endless length': Buffer.from([0xc1, 0x62, 0x20, 0x31, 0x20, ...Array(9).fill(0xff)]),
      'a batch of no bytes': Buffer.from([0xc1, 0x62, 0x20, 0x31, 0x20]),
    })) {
      test(`the connection ends with 3471 on ${what}`, { timeout: TEST_TIMEOUT }, async () => {
        const { got, connection } = await begin();
        connection.send(frame);
        assert.equal(await connection.closed, 3471);
        assert.deepEqual(got, []);
        // It comes back with the same session, and without a number for what made no sense.
        const again = await script.connection();
        assert.match(await again.next(), / attempt=2 epoch=88172645463325 received=0 handled=0 /);
      });
    }

    test('a batch with another number is out of step, and reported', { timeout: TEST_TIMEOUT }, async () => {
      const { got, of, connection } = await begin();
      connection.send('~b 2[1]');
      assert.equal(await connection.closed, 3470);
      const again = await script.connection();
      assert.match(await again.next(), / attempt=1 epoch=0 /);
      again.send(welcome());
      const [lost] = await eventually('the loss', () => of('sessionlost').length > 0 && of('sessionlost'));
      assert.match(lost.reason, /the two ends count differently/);
      assert.deepEqual(got, []);
    });

    test('words from the future are ignored', { timeout: TEST_TIMEOUT }, async () => {
      const { got, connection } = await begin();
      for (const frame of ['~z 1 2', '~', '~future', '~!', Buffer.from([0xc1]), Buffer.from([0xc1, 0x7a, 0x20, 1])]) {
        connection.send(frame);
      }
      connection.send('~a 0 0');
      connection.send('1');
      await eventually('the message', () => got.length === 1);
    });
  });
});
