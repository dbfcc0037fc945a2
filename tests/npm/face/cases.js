// What programs written for `WebSocket` may rely on, and what they get beyond it. Every case runs in a page and in a
// dedicated worker, against a real server.

import { OPTIONS, ORDERED } from '/js/options.js';

import {
  AT_ONCE,
  NEVER_AGAIN,
  ReconnectingWebSocket,
  TypedSocket,
  equal,
  failing,
  load,
  ok,
  recorded,
  recordedSends,
  same,
  throws,
} from './harness.js';

const CONSTANTS = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

/** A URL function that never settles: the socket connects for as long as a case needs. */
const never = () => new Promise(() => {});

export const cases = {
  // --- The interface of WebSocket -----------------------------------------------------------------------

  async 'has the constants on the class and on every instance'(t) {
    const socket = t.socket(t.url('/echo'));
    for (const [name, value] of Object.entries(CONSTANTS)) {
      equal(ReconnectingWebSocket[name], value, `class ${name}`);
      equal(socket[name], value, `instance ${name}`);
    }
    ok(socket instanceof EventTarget, 'it is an EventTarget');
    ok(socket instanceof ReconnectingWebSocket, 'it is a ReconnectingWebSocket');
  },

  async 'starts connecting, with everything in place before the module is there'(t) {
    const url = t.url('/hello');
    const socket = t.socket(url, ['hello.json']);
    equal(socket.readyState, 0, 'readyState');
    equal(socket.url, url, 'url');
    equal(socket.protocol, '', 'protocol');
    equal(socket.extensions, '', 'extensions');
    equal(socket.bufferedAmount, 0, 'bufferedAmount');
    equal(socket.binaryType, 'blob', 'binaryType');
    for (const type of ['open', 'message', 'error', 'close', 'statechange', 'dropped', 'diagnosis']) {
      equal(socket[`on${type}`], null, `on${type}`);
    }
    await t.next(socket, 'open');
    equal(socket.readyState, 1, 'readyState when open');
    equal(socket.protocol, 'hello.json', 'the protocol that the server chose');
  },

  async 'needs new and a URL'(t) {
    throws('TypeError', () => ReconnectingWebSocket(t.url('/echo')));
    throws('TypeError', () => new ReconnectingWebSocket());
  },

  async 'parses URLs as the standard says'() {
    const { host, protocol } = new URL(self.location.href);
    const scheme = protocol === 'https:' ? 'wss' : 'ws';
    const options = { startClosed: true };
    for (const [given, url] of [
      ['/echo?a=1', `${scheme}://${host}/echo?a=1`],
      ['http://example.test:81/x', 'ws://example.test:81/x'],
      ['https://example.test/', 'wss://example.test/'],
      ['WSS://EXAMPLE.test', 'wss://example.test/'],
      [new URL('ws://example.test/a b'), 'ws://example.test/a%20b'],
    ])
      equal(new ReconnectingWebSocket(given, [], options).url, url, `url for ${given}`);
  },

  async 'refuses a bad URL at once, saying what it takes'() {
    for (const url of ['http://[', 'ftp://example.test/', 'ws://example.test/#part', 'ws://', 'mailto:ada']) {
      const error = throws('SyntaxError', () => new ReconnectingWebSocket(url), url);
      ok(error instanceof DOMException, 'it is a DOMException');
      ok(error.message.length > 15, `the message explains: ${error.message}`);
    }
  },

  async 'refuses bad sub-protocols at once, naming them'(t) {
    const url = t.url('/echo');
    for (const protocols of [['a', 'a'], 'a b', '', ['ok', 'new\nline'], 'é', 'a,b']) {
      const error = throws('SyntaxError', () => new ReconnectingWebSocket(url, protocols), JSON.stringify(protocols));
      ok(error instanceof DOMException, 'it is a DOMException');
    }
    t.socket(url, []);
    t.socket(url, null);
    // Names that differ in case are different names.
    t.socket(url, ['A', 'a']);
  },

  async '[F59] refuses a bad option at once, naming it and what it takes'(t) {
    const url = t.url('/echo');
    for (const [options, words] of [
      [{ connectTimeout: 0 }, ['connectTimeout', '1', '2147483647']],
      [{ connectTimeout: 1.5 }, ['connectTimeout']],
      [{ connectTimeout: NaN }, ['connectTimeout']],
      [{ connectTimeout: '5000' }, ['connectTimeout']],
      [{ connectTimeout: Infinity }, ['connectTimeout']],
      [{ growthFactor: 0.5 }, ['growthFactor', '1', '100']],
      [{ overflow: 'explode' }, ['overflow', 'reject', 'drop-oldest', 'drop-newest']],
      [{ gate: 'yes' }, ['gate', 'true', 'false']],
      [{ minDelay: 5000, maxDelay: 4000 }, ['minDelay', 'maxDelay']],
      [{ shouldReconnect: 7 }, ['shouldReconnect', 'function']],
      [{ signal: {} }, ['signal', 'AbortSignal']],
      [{ WebSocket: 'ws' }, ['WebSocket']],
      [{ debug: true }, ['debug', 'function']],
      [{ conectTimeout: 5000 }, ['conectTimeout']],
      [7, ['options']],
    ]) {
      const what = JSON.stringify(options);
      const error = refused(() => t.socket(url, [], options), what);
      for (const word of words)
        ok(error.message.includes(word), `the error for ${what} says ${word}: ${error.message}`);
    }
    t.socket(url, [], { maxRetries: Infinity, messageTtl: Infinity, connectTimeout: undefined });
  },

  async 'echoes text, buffers, views and blobs, in the order sent'(t) {
    const { socket } = t.echo();
    const bytes = new Uint8Array([9, 1, 2, 3, 9]);
    const received = t.messages(socket, 8);
    await t.next(socket, 'open');
    socket.send('');
    socket.send('grüße 😀');
    socket.send(bytes.buffer);
    socket.send(bytes.subarray(1, 4));
    socket.send(new DataView(bytes.buffer, 3));
    socket.send(new Blob([new Uint8Array([7, 8])]));
    socket.send(12);
    socket.send(new Uint8Array());
    same(await received, ['', 'grüße 😀', [9, 1, 2, 3, 9], [1, 2, 3], [3, 9], [7, 8], '12', []]);
  },

  async 'delivers binary messages as binaryType says, over reconnects'(t) {
    const { socket, id } = t.echo();
    socket.binaryType = 'nonsense';
    equal(socket.binaryType, 'arraybuffer', 'a value that is none is ignored');
    for (const [type, Type] of [
      ['arraybuffer', ArrayBuffer],
      ['blob', Blob],
    ]) {
      await t.until(socket, 'open');
      socket.binaryType = type;
      for (const connection of ['this', 'the next']) {
        const message = t.next(socket, 'message');
        socket.send(new Uint8Array([1]));
        const { data } = await message;
        ok(data instanceof Type, `${type} on ${connection} connection`);
        const open = t.next(socket, 'open');
        await t.cut(id);
        await open;
        equal(socket.binaryType, type, 'after a reconnect');
      }
    }
  },

  async 'delivers blobs when nothing else is said'(t) {
    const socket = t.socket(t.url('/echo'));
    const message = t.next(socket, 'message');
    socket.send(new Uint8Array([1, 2]));
    const { data } = await message;
    ok(data instanceof Blob, 'a Blob');
    equal(data.size, 2, 'its size');
  },

  async 'calls handlers in their place among the listeners'(t) {
    const { socket } = t.echo();
    const calls = [];
    const note = (name) =>
      function called(event) {
        equal(this, socket, 'this');
        equal(event.target, socket, 'target');
        calls.push(name);
      };
    socket.addEventListener('message', note('first'));
    socket.onmessage = note('replaced');
    socket.addEventListener('message', note('last'));
    socket.onmessage = note('handler');
    socket.onopen = null;
    socket.onopen = 'no function';
    equal(socket.onopen, null, 'what cannot be called is null');
    const received = t.messages(socket, 1);
    socket.send('x');
    await received;
    same(calls, ['first', 'handler', 'last']);
    socket.onmessage = null;
    socket.onmessage = note('again');
    const more = t.messages(socket, 1);
    socket.send('x');
    await more;
    same(calls, ['first', 'handler', 'last', 'first', 'last', 'again'], 'a handler set anew goes last');
  },

  async '[F52] knows handleEvent, once, signal and removal'(t) {
    const { socket } = t.echo();
    const calls = [];
    const object = {
      handleEvent(event) {
        equal(this, object, 'this');
        calls.push(`object ${event.data}`);
      },
    };
    const controller = new AbortController();
    const removed = () => calls.push('removed');
    socket.addEventListener('message', object);
    socket.addEventListener('message', ({ data }) => calls.push(`once ${data}`), { once: true });
    socket.addEventListener(
      'message',
      ({ data }) => {
        calls.push(`signal ${data}`);
        controller.abort();
      },
      { signal: controller.signal },
    );
    socket.addEventListener('message', removed);
    socket.removeEventListener('message', removed);
    const received = t.messages(socket, 2);
    socket.send('1');
    socket.send('2');
    await received;
    same(calls, ['object 1', 'once 1', 'signal 1', 'object 2']);
  },

  async 'gives real message, close and plain events'(t) {
    const { socket } = t.echo();
    const open = await t.next(socket, 'open');
    ok(open instanceof Event, 'open is an Event');
    equal(open.reconnected, false, 'reconnected');
    equal(open.attempt, 1, 'attempt');
    const message = t.next(socket, 'message');
    socket.send('x');
    const { origin } = await message;
    ok((await message) instanceof MessageEvent, 'message is a MessageEvent');
    equal(origin, new URL(socket.url).origin, 'origin');
    const close = t.next(socket, 'close');
    socket.close(4001, 'bye');
    const event = await close;
    ok(event instanceof CloseEvent, 'close is a CloseEvent');
    same([event.code, event.reason, event.wasClean], [4001, 'bye', true]);
    same([event.willReconnect, event.delay], [false, null]);
    ok(event.explanation.length > 5, 'it explains');
  },

  async '[R24][F53] reports a handler that throws, and goes on'(t) {
    const { socket } = t.echo();
    const calls = [];
    socket.onopen = () => {
      throw new Error('thrown by onopen');
    };
    socket.addEventListener('open', () => calls.push('second listener'));
    socket.onmessage = () => {
      throw new Error('thrown by onmessage');
    };
    socket.onstatechange = () => {
      throw new Error('thrown by onstatechange');
    };
    const received = t.messages(socket, 2);
    socket.send('a');
    socket.send('b');
    same(await received, ['a', 'b']);
    same(calls, ['second listener']);
    const thrown = t.takeUncaught().map(({ message }) => message);
    for (const where of ['onopen', 'onmessage', 'onstatechange']) {
      ok(thrown.includes(`thrown by ${where}`), `${where} was reported, in ${thrown}`);
    }
    socket.onopen = null;
    socket.onmessage = null;
    socket.onstatechange = null;
  },

  // --- Close ----------------------------------------------------------------------------------------------

  async 'checks what close is given, as the standard says'(t) {
    const socket = t.socket(never);
    for (const code of [0, 999, 1001, 1005, 1006, 2999, 5000, 65535]) {
      throws('InvalidAccessError', () => socket.close(code), `close(${code})`);
    }
    throws('SyntaxError', () => socket.close(1000, 'é'.repeat(62)), 'a reason of 124 bytes');
    equal(socket.readyState, 0, 'what was refused changes nothing');
    const closed = t.next(socket, 'close');
    socket.close(4999, `${'é'.repeat(61)}x`);
    await closed;
  },

  async 'closed before the module is there: one final close, 1006'(t) {
    await closesOnce(t, t.socket(t.url('/echo')), (socket) => socket.close(), { code: 1006, wasClean: false });
  },

  async 'closed while connecting: one final close, 1006'(t) {
    await load();
    const socket = t.socket(t.url('/echo'));
    equal(socket.readyState, 0, 'readyState');
    await closesOnce(t, socket, () => socket.close(), { code: 1006, wasClean: false });
  },

  async 'closed while a URL function runs: one final close, 1006'(t) {
    let asked;
    const context = new Promise((resolve) => {
      asked = resolve;
    });
    const socket = t.socket((given) => {
      asked(given);
      return never();
    });
    const { signal } = await context;
    await closesOnce(t, socket, () => socket.close(), { code: 1006, wasClean: false });
    equal(signal.aborted, true, 'the function was told');
  },

  async 'closed while waiting: one final close, 1006'(t) {
    const socket = t.socket(failing, [], NEVER_AGAIN);
    await t.until(socket, 'waiting');
    await closesOnce(t, socket, () => socket.close(), { code: 1006, wasClean: false });
  },

  async 'closed while open: one final close, with the code and the reason'(t) {
    const { socket } = t.echo();
    await t.next(socket, 'open');
    await closesOnce(t, socket, () => socket.close(3000, 'done'), { code: 3000, reason: 'done', wasClean: true });
  },

  async 'closed inside the open handler: one final close'(t) {
    const { socket } = t.echo();
    await closesOnce(
      t,
      socket,
      () => {
        socket.onopen = () => {
          socket.close(4000, 'enough');
          equal(socket.readyState, 2, 'readyState after close() in a handler');
          socket.close();
        };
      },
      { code: 4000, reason: 'enough', wasClean: true },
    );
  },

  async '[R23] closed inside the message handler: one final close, and no more messages'(t) {
    const { socket } = t.echo();
    const received = [];
    await closesOnce(
      t,
      socket,
      () => {
        socket.onmessage = ({ data }) => {
          received.push(data);
          socket.close(4002);
        };
        socket.send('1');
      },
      { code: 4002, wasClean: true },
    );
    same(received, ['1']);
  },

  async 'closed inside the close handler of a loss: one final close'(t) {
    const { socket, id } = t.echo();
    await t.next(socket, 'open');
    const losses = [];
    socket.onclose = (event) => {
      losses.push(event.willReconnect);
      if (event.willReconnect) socket.close();
    };
    const final = t.next(socket, 'close', ({ willReconnect }) => !willReconnect);
    await t.cut(id);
    const event = await final;
    equal(socket.readyState, 3, 'readyState');
    same([event.code, event.wasClean], [1006, false]);
    await t.settle();
    same(losses, [true, false], 'willReconnect of the close events');
  },

  async '[R23][F50] closed inside a statechange handler, in each state: one final close'(t) {
    for (const state of ['connecting', 'open', 'waiting']) {
      const source = state === 'waiting' ? failing : t.url('/echo');
      const socket = t.socket(source, [], NEVER_AGAIN);
      const finals = [];
      socket.addEventListener('close', (event) => {
        if (!event.willReconnect) finals.push(event.code);
      });
      socket.onstatechange = (event) => {
        if (event.state === state) socket.close();
      };
      await t.until(socket, 'closed');
      await t.settle();
      equal(finals.length, 1, `final close events after close() in ${state}`);
      equal(socket.readyState, 3, 'readyState');
    }
  },

  async 'aborting the signal closes'(t) {
    const controller = new AbortController();
    const { socket } = t.echo({ signal: controller.signal });
    await t.next(socket, 'open');
    const close = t.next(socket, 'close');
    controller.abort();
    equal((await close).willReconnect, false, 'willReconnect');
    const late = t.socket(t.url('/echo'), [], { signal: AbortSignal.abort() });
    await t.next(late, 'close');
    equal(late.readyState, 3, 'a signal that was aborted before');
    equal(late.snapshot().opens, 0, 'opens');
  },

  async 'a signal that was aborted stays so: reconnect() throws its reason'(t) {
    const reason = new Error('enough');
    const controller = new AbortController();
    const { socket } = t.echo({ signal: controller.signal });
    await t.next(socket, 'open');
    const closed = t.next(socket, 'close');
    controller.abort(reason);
    await closed;
    equal(
      caught(() => socket.reconnect()),
      reason,
      'what reconnect() throws',
    );
    equal(socket.readyState, 3, 'readyState');
    for (const options of [{}, { startClosed: true }]) {
      const late = t.socket(t.url('/echo'), [], { ...options, signal: AbortSignal.abort() });
      throws('AbortError', () => late.reconnect());
    }
    // A signal from a polyfill.
    const bare = { aborted: true, addEventListener() {}, removeEventListener() {} };
    throws('AbortError', () => t.socket(t.url('/echo'), [], { signal: bare }).reconnect());
    await t.settle();
    equal(socket.snapshot().opens, 1, 'opens');
  },

  async 'an idle socket queues until reconnect(); close(), or its signal, empties the queue and is no end'(t) {
    for (const end of ['close', 'abort']) {
      const controller = new AbortController();
      const socket = t.socket(t.url('/echo'), [], { startClosed: true, signal: controller.signal });
      const closes = [];
      socket.addEventListener('close', (event) => closes.push(event));
      socket.send('dropped');
      const dropped = t.next(socket, 'dropped');
      if (end === 'close') socket.close();
      else controller.abort();
      const { reason, messages } = await dropped;
      same([reason, messages], ['closed', ['dropped']], end);
      socket.send('kept');
      await t.settle();
      same([socket.state, socket.readyState, closes.length], ['idle', 3, 0], 'state, readyState and close events');
      equal(socket.snapshot().queuedMessages, 1, 'queued');
      if (end === 'abort') continue;
      const received = t.messages(socket, 1);
      socket.reconnect();
      same(await received, ['kept']);
    }
  },

  async 'close() while open hands the queue to the browser first'(t) {
    const calls = [];
    class Recorded extends WebSocket {
      send(data) {
        calls.push(data);
        super.send(data);
      }

      close(...given) {
        calls.push('close');
        super.close(...given);
      }
    }
    const { socket } = t.echo({ WebSocket: Recorded });
    for (const message of ['a', 'b', 'c']) socket.send(message);
    const closed = t.next(socket, 'close');
    socket.onopen = () => socket.close();
    await closed;
    same(calls, ['a', 'b', 'c', 'close']);
  },

  // --- Reconnect ------------------------------------------------------------------------------------------

  async '[R10] recovers when the server drops the connection, and tells about it'(t) {
    const { socket, id } = t.echo();
    const states = [];
    socket.onstatechange = ({ state, reason }) => {
      ok(reason.length > 3, `a reason for ${state}`);
      states.push(state);
    };
    await t.next(socket, 'open');
    const close = t.next(socket, 'close');
    const open = t.next(socket, 'open');
    let readyState = null;
    socket.onclose = () => {
      readyState = socket.readyState;
    };
    await t.cut(id);
    const lost = await close;
    same([lost.code, lost.wasClean, lost.willReconnect, lost.cause], [1006, false, true, 'socket']);
    equal(typeof lost.delay, 'number', 'the type of delay');
    equal(readyState, 0, 'readyState in the close handler');
    equal((await open).reconnected, true, 'reconnected');
    same(states.slice(-4), ['open', 'waiting', 'connecting', 'open']);
  },

  async '[R11] asks shouldReconnect, which may end it or choose the wait'(t) {
    const asked = [];
    const { socket, id } = t.echo({
      shouldReconnect(lost) {
        asked.push([lost.code, lost.reason, lost.wasClean, lost.wasOpen, lost.cause]);
        return lost.code === 4100 ? 1 : false;
      },
    });
    await t.next(socket, 'open');
    const waiting = t.next(socket, 'statechange', ({ state }) => state === 'waiting');
    const open = t.next(socket, 'open');
    await t.cut(id, 4100, 'come back');
    equal((await waiting).delay, 1, 'delay');
    await open;
    const close = t.next(socket, 'close');
    await t.cut(id);
    const final = await close;
    same([final.willReconnect, final.delay], [false, null]);
    equal(socket.readyState, 3, 'readyState');
    same(asked, [
      [4100, 'come back', true, true, 'socket'],
      [1006, '', false, true, 'socket'],
    ]);
  },

  async '[R24] reports a shouldReconnect that throws, and goes by the built-in policy'(t) {
    const { socket, id } = t.echo({
      shouldReconnect() {
        throw new Error('thrown by shouldReconnect');
      },
    });
    await t.next(socket, 'open');
    const open = t.next(socket, 'open');
    await t.cut(id);
    await open;
    same(
      t.takeUncaught().map(({ message }) => message),
      ['thrown by shouldReconnect'],
    );
  },

  async 'a shouldReconnect that returns a promise is reported as such, and the built-in policy decides'(t) {
    const { socket, id } = t.echo({ shouldReconnect: async () => false });
    await t.next(socket, 'open');
    const open = t.next(socket, 'open');
    await t.cut(id);
    await open;
    const reported = t.takeUncaught().map(({ message }) => message);
    equal(reported.length, 1, 'reports');
    ok(/shouldReconnect returned a promise; it must answer at once/.test(reported[0]), reported[0]);
  },

  async '[R14] gives up after maxRetries, with one final close'(t) {
    const socket = t.socket(failing, [], { ...AT_ONCE, maxRetries: 2 });
    const closes = [];
    socket.addEventListener('close', (event) => closes.push(event.willReconnect));
    await t.until(socket, 'closed');
    await t.settle();
    same(closes, [true, true, false], 'willReconnect of the close events');
    equal(socket.readyState, 3, 'readyState');
  },

  async '[R14] with reconnect false the first end is final, and shouldReconnect is not asked'(t) {
    let asked = 0;
    const options = {
      reconnect: false,
      maxRetries: 5,
      shouldReconnect: () => {
        asked += 1;
        return true;
      },
    };
    const made = [];
    const Counted = recorded(made);
    const { socket, id } = t.echo({ ...options, WebSocket: Counted });
    await t.next(socket, 'open');
    const lost = t.next(socket, 'close');
    await t.cut(id);
    const { willReconnect, delay, explanation } = await lost;
    same([willReconnect, delay, explanation], [false, null, 'the option reconnect is false'], 'the close event');
    same([socket.readyState, socket.state], [3, 'closed'], 'the state');
    // A failed attempt ends it, too.
    const failed = t.socket(failing, [], { ...AT_ONCE, ...options });
    const { cause, willReconnect: again } = await t.next(failed, 'close');
    same([cause, again], ['provider', false], 'the close event of a failed attempt');
    await t.settle();
    same([asked, made.length], [0, 1], 'how often it was asked, and connections');
    // The program may request another, which is again the only one.
    socket.reconnect();
    await t.next(socket, 'open');
    const last = t.next(socket, 'close');
    made.at(-1).close(4000);
    same([(await last).willReconnect, made.length], [false, 2], 'after reconnect()');
  },

  // --- Suspend and resume -------------------------------------------------------------------------------

  async '[R36] suspended it keeps queue and listeners and makes no connection; resumed it goes on'(t) {
    const made = [];
    class Counted extends WebSocket {
      constructor(...given) {
        // Never two that have not been closed.
        equal(made.filter(({ readyState }) => readyState < WebSocket.CLOSING).length, 0, 'live sockets');
        super(...given);
        made.push(this);
      }
    }
    const { socket } = t.echo({ WebSocket: Counted });
    const states = [];
    socket.addEventListener('statechange', ({ state }) => states.push(state));
    const echoed = t.messages(socket, 4);
    socket.send('before');
    await t.next(socket, 'message');
    const closed = t.next(socket, 'close');
    socket.suspend();
    same([socket.state, socket.readyState], ['suspended', 0], 'at once');
    socket.send('one');
    socket.send('two');
    socket.send('gone', { volatile: true });
    const { code, wasClean, willReconnect, delay, cause, explanation, unconfirmedMessages } = await closed;
    same([code, wasClean, willReconnect, delay, cause, unconfirmedMessages], [1000, true, true, null, 'suspended', 1]);
    equal(explanation, 'the application suspended it, and may resume it');
    self.dispatchEvent(new Event('online'));
    await t.settle();
    same([made.length, socket.state, socket.snapshot().queuedMessages], [1, 'suspended', 2], 'nothing goes on');
    socket.resume();
    equal(socket.state, 'connecting', 'after resume()');
    socket.send('three');
    same(await echoed, ['before', 'one', 'two', 'three']);
    same([made.length, socket.snapshot().opens], [2, 2], 'connections');
    same(states, ['connecting', 'open', 'suspended', 'connecting', 'open']);
    // Without waiting for the server.
    for (let round = 0; round < 3; round += 1) {
      const open = t.next(socket, 'open');
      socket.suspend(4000, 'out of sight');
      socket.resume();
      await open;
    }
    equal(made.length, 5, 'connections');
  },

  async '[R36] suspended before the module is there, while connecting and while waiting'(t) {
    // The first socket of this realm: nothing is loaded yet.
    const early = t.socket(t.url('/echo'));
    const events = [];
    for (const type of ['statechange', 'error', 'close'])
      early.addEventListener(type, (event) => events.push(event.state ?? type));
    early.suspend();
    same([early.state, early.readyState], ['suspended', 0], 'at once');
    early.send('kept');
    const { cause, willReconnect, delay } = await t.next(early, 'close');
    same([cause, willReconnect, delay], ['suspended', true, null]);
    await load();
    await t.settle();
    same([early.state, early.snapshot().attempts], ['suspended', 0], 'after the module is loaded');
    same(events, ['suspended', 'close'], 'nothing has failed');
    const received = t.messages(early, 1);
    early.resume();
    same(await received, ['kept']);

    let signal;
    const searching = t.socket((context) => {
      ({ signal } = context);
      return never();
    });
    await t.until(searching, 'connecting');
    await t.settle();
    let errors = 0;
    searching.onerror = () => {
      errors += 1;
    };
    const ended = t.next(searching, 'close');
    searching.suspend();
    equal((await ended).cause, 'suspended');
    same([signal.aborted, errors, searching.state], [true, 0, 'suspended'], 'the search');

    const waiting = t.socket(failing, [], NEVER_AGAIN);
    await t.until(waiting, 'waiting');
    // The loss before the wait is reported after it.
    await t.settle();
    let closes = 0;
    waiting.onclose = () => {
      closes += 1;
    };
    waiting.suspend();
    await t.settle();
    same([waiting.state, closes], ['suspended', 0], 'the wait');
    waiting.reconnect();
    equal(waiting.state, 'connecting', 'after reconnect()');
  },

  async '[R36] suspended, close() is final once and reports the queue, and a signal does the same'(t) {
    for (const end of ['at once', 'later', 'abort', 'before the module']) {
      const controller = new AbortController();
      const { socket } = t.echo({ signal: controller.signal });
      const finals = [];
      socket.addEventListener('close', (event) => {
        if (!event.willReconnect) finals.push(event.cause);
      });
      const dropped = t.next(socket, 'dropped');
      if (end !== 'before the module') await t.next(socket, 'open');
      const closed = t.next(socket, 'close');
      socket.suspend();
      socket.send('left');
      if (end === 'later') await closed;
      if (end === 'abort') controller.abort();
      else socket.close();
      same((await dropped).messages, ['left'], end);
      await t.until(socket, 'closed');
      await t.settle();
      same([finals.length, socket.readyState], [1, 3], end);
      socket.resume();
      socket.suspend();
      same([socket.state, socket.readyState], ['closed', 3], 'over is over');
    }
    const idle = t.socket(t.url('/echo'), [], { startClosed: true });
    idle.suspend();
    idle.resume();
    equal(idle.state, 'idle', 'what has not started');
    const { socket } = t.echo();
    await t.next(socket, 'open');
    throws('InvalidAccessError', () => socket.suspend(1001));
    throws('SyntaxError', () => socket.suspend(4000, 'x'.repeat(124)));
    socket.resume();
    equal(socket.state, 'open', 'nothing has happened');
    throws('TypeError', () => ReconnectingWebSocket.prototype.suspend.call({}));
  },

  async '[R23][R36] suspend() and resume() inside handlers act at once'(t) {
    for (const type of ['open', 'message', 'close']) {
      const { socket, id } = t.echo();
      const back = new Promise((resolve) => {
        socket.addEventListener(
          type,
          () => {
            socket.suspend();
            equal(socket.state, 'suspended', type);
            socket.resume();
            equal(socket.state, 'connecting', type);
            socket.addEventListener('open', resolve, { once: true });
          },
          { once: true },
        );
      });
      if (type === 'close') await t.next(socket, 'open').then(() => t.cut(id));
      if (type === 'message') socket.send('x');
      await back;
    }
    const { socket } = t.echo();
    socket.addEventListener('statechange', ({ state }) => {
      if (state === 'suspended') socket.close();
    });
    let finals = 0;
    socket.addEventListener('close', ({ willReconnect }) => {
      finals += willReconnect ? 0 : 1;
    });
    await t.next(socket, 'open');
    socket.suspend();
    await t.until(socket, 'closed');
    await t.settle();
    equal(finals, 1, 'final close events');
  },

  async 'reconnect() acts in every state'(t) {
    // Before the module is loaded, and while connecting.
    const early = t.echo().socket;
    early.reconnect();
    await t.next(early, 'open');
    // While a URL function is running.
    let calls = 0;
    let asked;
    const firstCall = new Promise((resolve) => {
      asked = resolve;
    });
    const running = t.socket(
      () => {
        calls += 1;
        asked();
        return calls === 1 ? never() : t.url('/echo');
      },
      [],
      AT_ONCE,
    );
    await firstCall;
    const first = t.next(running, 'open');
    running.reconnect();
    await first;
    equal(calls, 2, 'calls of the URL function');
    // While waiting.
    let fails = true;
    const waits = t.socket(() => (fails ? failing() : t.url('/echo')), [], NEVER_AGAIN);
    await t.until(waits, 'waiting');
    fails = false;
    const second = t.next(waits, 'open');
    waits.reconnect();
    await second;
    // While open: a new socket at once.
    const third = t.next(waits, 'open');
    const lost = t.next(waits, 'close');
    waits.reconnect();
    equal(waits.readyState, 0, 'readyState after reconnect() while open');
    equal((await lost).cause, 'reconnect', 'cause');
    equal((await third).reconnected, true, 'reconnected');
    // While closing.
    const fourth = t.next(waits, 'open');
    waits.close();
    equal(waits.readyState, 2, 'readyState after close()');
    waits.reconnect();
    await fourth;
    // After a final close: starts afresh.
    const closed = t.next(waits, 'close');
    waits.close();
    await closed;
    equal(waits.readyState, 3, 'readyState when closed');
    const fifth = t.next(waits, 'open');
    waits.reconnect();
    equal(waits.readyState, 0, 'readyState after reconnect()');
    await fifth;
    const received = t.messages(waits, 1);
    waits.send('still there');
    same(await received, ['still there']);
  },

  async '[R23][F50] reconnect() inside handlers acts at once'(t) {
    const { socket } = t.echo();
    const seen = [];
    const done = t.next(socket, 'open', ({ reconnected }) => reconnected);
    socket.onopen = () => {
      seen.push('open');
      if (seen.length > 1) return;
      socket.reconnect();
      equal(socket.readyState, 0, 'readyState after reconnect() in a handler');
    };
    socket.onclose = ({ cause }) => seen.push(cause);
    await done;
    same(seen, ['open', 'reconnect', 'open']);
  },

  async 'startClosed waits for reconnect()'(t) {
    let calls = 0;
    const socket = t.socket(
      () => {
        calls += 1;
        return t.url('/echo');
      },
      [],
      { startClosed: true },
    );
    equal(socket.readyState, 3, 'readyState');
    await t.settle();
    equal(calls, 0, 'calls of the URL function');
    const open = t.next(socket, 'open');
    socket.reconnect();
    equal(socket.readyState, 0, 'readyState after reconnect()');
    equal((await open).reconnected, false, 'reconnected');
  },

  // --- Functions for the URL and the sub-protocols --------------------------------------------------------

  async 'asks URL and sub-protocol functions before every attempt'(t) {
    const id = t.newId();
    const asked = [];
    const socket = t.socket(
      (context) => {
        asked.push(
          `url ${context.attempt} ${context.lastClose?.code ?? null} ${context.signal instanceof AbortSignal}`,
        );
        return new URL(t.url('/hello', id));
      },
      async () => ['hello.json'],
      AT_ONCE,
    );
    equal(socket.url, '', 'url before the function was asked');
    await t.next(socket, 'open');
    equal(socket.url, t.url('/hello', id), 'url');
    equal(socket.protocol, 'hello.json', 'protocol');
    const open = t.next(socket, 'open');
    await t.cut(id);
    await open;
    equal(asked.length, 2, 'calls');
    equal(asked[0], 'url 1 null true', 'the first call');
    ok(asked[1].endsWith('1006 true'), `the second call: ${asked[1]}`);
  },

  async '[R27] takes a URL function that fails as a failed attempt'(t) {
    const behaviours = [
      failing,
      () => Promise.reject(new Error('rejected on purpose')),
      () => 'http://[',
      () => Symbol('no text'),
      async () => t.url('/echo'),
    ];
    let call = 0;
    const socket = t.socket(
      () => {
        call += 1;
        return behaviours[call - 1]();
      },
      [],
      AT_ONCE,
    );
    const causes = [];
    socket.addEventListener('close', ({ cause, code, willReconnect }) => causes.push([cause, code, willReconnect]));
    await t.next(socket, 'open');
    equal(call, behaviours.length, 'calls');
    for (const [cause, code, willReconnect] of causes) {
      ok(cause === 'provider' || cause === 'refused', `cause ${cause}`);
      same([code, willReconnect], [1006, true]);
    }
    equal(causes.length, behaviours.length - 1, 'failed attempts');
  },

  async '[R27][F57] takes a URL function that never settles as a failed attempt, and tells it'(t) {
    const signals = [];
    const socket = t.socket(
      (context) => {
        signals.push(context.signal);
        return signals.length === 1 ? never() : t.url('/echo');
      },
      [],
      { ...AT_ONCE, providerTimeout: 20 },
    );
    const close = t.next(socket, 'close');
    await t.next(socket, 'open');
    same([(await close).cause, (await close).code], ['provider-timeout', 1006]);
    equal(signals[0].aborted, true, 'the first signal is aborted');
  },

  // --- The queue ------------------------------------------------------------------------------------------

  async 'counts the queue in bufferedAmount, in bytes'(t) {
    const socket = t.socket(never);
    socket.send('é😀');
    socket.send(new Uint8Array(3));
    socket.send(new Blob(['four']));
    socket.send('\ud800');
    equal(socket.bufferedAmount, 2 + 4 + 3 + 4 + 3, 'bufferedAmount');
    const { queuedMessages, queuedBytes } = socket.snapshot();
    same([queuedMessages, queuedBytes], [4, 16]);
  },

  async '[R25] keeps what is sent while down, in order, each message once'(t) {
    const { socket, id } = t.echo();
    const sent = [];
    const received = [];
    socket.addEventListener('message', ({ data }) => received.push(data));
    socket.send('before open');
    sent.push('before open');
    for (let round = 0; round < 3; round += 1) {
      await t.until(socket, 'open');
      // All messages in flight have arrived before the cut; otherwise they could rightly be lost.
      if (received.length < sent.length) await t.next(socket, 'message', () => received.length === sent.length);
      socket.onclose = () => {
        for (let index = 0; index < 20; index += 1) {
          const message = `${round}.${index}`;
          socket.send(message);
          sent.push(message);
        }
      };
      const open = t.next(socket, 'open');
      await t.cut(id);
      await open;
    }
    if (received.length < sent.length) await t.next(socket, 'message', () => received.length === sent.length);
    await t.settle();
    same(received, sent);
    equal(socket.bufferedAmount, 0, 'bufferedAmount');
    socket.onclose = null;
  },

  async 'copies what it queues'(t) {
    let release;
    const gate = new Promise((resolve) => {
      release = resolve;
    });
    const socket = t.socket(
      async () => {
        await gate;
        return t.url('/echo');
      },
      [],
      AT_ONCE,
    );
    socket.binaryType = 'arraybuffer';
    const received = t.messages(socket, 2);
    const bytes = new Uint8Array([1, 2, 3, 4]);
    socket.send(bytes.subarray(1, 3));
    socket.send(bytes.buffer);
    bytes.fill(0);
    release();
    same(await received, [
      [2, 3],
      [1, 2, 3, 4],
    ]);
  },

  async 'copies what it drops, what it queues for a connection to come, and what a class of the program is given'(t) {
    await load();
    const given = [];
    class Keeping extends WebSocket {
      send(data) {
        given.push(data);
        super.send(data);
      }
    }
    const own = globalThis.WebSocket;
    for (const place of ['nowhere', 'the options', 'the global object']) {
      if (place === 'the global object') globalThis.WebSocket = Keeping;
      const options = place === 'the options' ? { WebSocket: Keeping } : {};
      const { socket, id } = t.echo({ ...AT_ONCE, ...options });
      socket.binaryType = 'arraybuffer';
      await t.next(socket, 'open');
      const bytes = new Uint8Array([1, 2, 3, 4]);
      const send = (...rest) => {
        bytes.set([1, 2, 3, 4]);
        socket.send(bytes.subarray(1, 3), ...rest);
        bytes.fill(0);
      };
      // From a handler, at once, while nothing is connected, and never.
      const received = t.messages(socket, 3);
      const dropped = t.next(socket, 'dropped');
      socket.addEventListener('message', () => send(), { once: true });
      send();
      await t.next(socket, 'message', () => true);
      await t.next(socket, 'message', () => true);
      socket.onclose = () => {
        send();
        send({ volatile: true });
      };
      await t.cut(id);
      same(await received, [
        [2, 3],
        [2, 3],
        [2, 3],
      ]);
      same(
        (await dropped).messages.map((message) => [...new Uint8Array(message)]),
        [[2, 3]],
        'dropped',
      );
      globalThis.WebSocket = own;
    }
    same(
      given.map((data) => [...new Uint8Array(data)]),
      Array(6).fill([2, 3]),
      'what the class was given, read later',
    );
  },

  async 'sends what a buffer had before its options were asked'(t) {
    const { socket } = t.echo();
    socket.binaryType = 'arraybuffer';
    await t.next(socket, 'open');
    const received = t.messages(socket, 1);
    const bytes = new Uint8Array([1, 2, 3]);
    socket.send(bytes, {
      get priority() {
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        return 'first';
      },
    });
    same(await received, [[1, 2, 3]]);
  },

  async 'lets the open handler go ahead of the queue'(t) {
    const { socket } = t.echo();
    const received = t.messages(socket, 4);
    socket.send('queued 1');
    socket.send('queued 2');
    socket.onopen = () => {
      socket.send('auth 1');
      socket.send('auth 2');
    };
    same(await received, ['auth 1', 'auth 2', 'queued 1', 'queued 2']);
  },

  async 'what goes first is ahead of the queue, queued before the module is there or after'(t) {
    for (const loaded of [false, true]) {
      if (loaded) await load();
      const { socket } = t.echo();
      const received = t.messages(socket, 4);
      socket.send('1');
      socket.send('first 1', { priority: 'first' });
      socket.send('2');
      socket.send('first 2', { priority: 'first' });
      same(await received, ['first 1', 'first 2', '1', '2'], loaded ? 'after' : 'before');
    }
  },

  async 'gate holds the queue until ready(), on every connection'(t) {
    const { socket, id } = t.echo({ gate: true });
    for (let round = 0; round < 2; round += 1) {
      socket.send('queued');
      if (round === 0) await t.next(socket, 'open');
      equal(socket.snapshot().queuedMessages, 1, 'queued messages before ready()');
      const received = t.messages(socket, 2);
      const answered = t.messages(socket, 1);
      socket.send('auth', { priority: 'first' });
      same(await answered, ['auth']);
      equal(socket.snapshot().queuedMessages, 1, 'queued messages after what goes first');
      socket.ready();
      same(await received, ['auth', 'queued']);
      const open = t.next(socket, 'open');
      await t.cut(id);
      await open;
    }
  },

  async 'a volatile message is sent now or reported as dropped'(t) {
    const socket = t.socket(never);
    const dropped = t.next(socket, 'dropped');
    socket.send('now or never', { volatile: true });
    const event = await dropped;
    same([event.reason, event.messages, event.bytes], ['volatile', ['now or never'], 12]);
    equal(socket.snapshot().queuedMessages, 0, 'queued');
    equal(socket.snapshot().droppedMessages, 1, 'dropped');
    const { socket: open } = t.echo();
    await t.next(open, 'open');
    const received = t.messages(open, 1);
    open.send('now', { volatile: true });
    same(await received, ['now']);
  },

  async 'a message with a time to live expires in the queue'(t) {
    const socket = t.socket(never);
    const dropped = t.next(socket, 'dropped');
    socket.send('stays');
    socket.send('short-lived', { ttl: 1 });
    const event = await dropped;
    same([event.reason, event.messages], ['expired', ['short-lived']]);
    equal(socket.snapshot().queuedMessages, 1, 'queued');
    for (const [options, word] of [
      [{ ttl: 0 }, 'ttl'],
      [{ ttl: 'soon' }, 'ttl'],
      [{ priority: 'last' }, 'first'],
    ]) {
      const error = refused(() => socket.send('x', options), JSON.stringify(options));
      ok(error.message.includes(word), `the error says ${word}: ${error.message}`);
    }
  },

  async 'what waits in an idle socket expires by itself, the rest is sent'(t) {
    const socket = t.socket(t.url('/echo'), [], { startClosed: true });
    const expired = [];
    socket.addEventListener('dropped', ({ reason, messages }) => expired.push(reason, ...messages));
    socket.send('stays');
    socket.send('stays long', { ttl: 2 ** 31 - 1 });
    socket.send('short-lived', { ttl: 300 });
    socket.send('shorter-lived', { ttl: 1 });
    await t.next(socket, 'dropped', ({ messages }) => messages.includes('short-lived'));
    same(expired.filter((word) => word !== 'expired').sort(), ['short-lived', 'shorter-lived']);
    const { queuedMessages, droppedMessages } = socket.snapshot();
    same([queuedMessages, droppedMessages], [2, 2], 'queued and dropped');
    const received = t.messages(socket, 2);
    socket.reconnect();
    same(await received, ['stays', 'stays long']);
  },

  async '[R26][F21][F31] a full queue refuses, or drops as told'(t) {
    const fill = (overflow) => {
      const socket = t.socket(never, [], { maxQueuedMessages: 2, overflow });
      const dropped = [];
      socket.addEventListener('dropped', (event) => dropped.push([event.reason, ...event.messages]));
      socket.send('1');
      socket.send('2');
      return { socket, dropped };
    };
    // The first sockets of this realm: nothing is loaded yet.
    for (const when of ['before the module is loaded', 'after']) {
      if (when === 'after') await load();
      const reject = fill('reject');
      const error = throws('QuotaExceededError', () => reject.socket.send('3'));
      ok(error.message.includes('2'), `${when}: the error tells the limit: ${error.message}`);
      equal(reject.socket.snapshot().queuedMessages, 2, `${when}: queued`);
      const bytes = t.socket(never, [], { maxQueuedBytes: 4 });
      bytes.send('four');
      throws('QuotaExceededError', () => bytes.send('5'));
      const oldest = fill('drop-oldest');
      oldest.socket.send('3');
      const newest = fill('drop-newest');
      newest.socket.send('3');
      await t.settle();
      same(oldest.dropped, [['overflow', '1']], when);
      same(newest.dropped, [['overflow', '3']], when);
    }
  },

  async 'close() without a connection reports the queue as dropped'(t) {
    const socket = t.socket(never);
    socket.send('never sent');
    const dropped = t.next(socket, 'dropped');
    socket.close();
    const event = await dropped;
    same([event.reason, event.messages], ['closed', ['never sent']]);
    equal(socket.bufferedAmount, 0, 'bufferedAmount');
  },

  async 'counts what it does'(t) {
    const { socket, id } = t.echo();
    await t.next(socket, 'open');
    const received = t.messages(socket, 2);
    socket.send('abc');
    socket.send(new Uint8Array(5));
    await received;
    const open = t.next(socket, 'open');
    await t.cut(id);
    await open;
    const snapshot = socket.snapshot();
    same(
      [
        snapshot.state,
        snapshot.opens,
        snapshot.attempts,
        snapshot.messagesSent,
        snapshot.bytesSent,
        snapshot.messagesReceived,
        snapshot.bytesReceived,
      ],
      ['open', 2, 2, 2, 8, 2, 8],
    );
  },

  // --- Heartbeat ------------------------------------------------------------------------------------------

  async '[R1] a heartbeat that the server answers keeps the connection, and stays out of the messages'(t) {
    for (const [heartbeatMessage, isHeartbeat] of [
      ['ping', (data) => data === 'ping'],
      [new Uint8Array([0, 1, 2, 3]).subarray(1, 3), (data) => data instanceof ArrayBuffer && data.byteLength === 2],
      [() => 'ping', (data) => data === 'ping'],
    ]) {
      let pings = 0;
      let enough;
      const pinged = new Promise((resolve) => {
        enough = resolve;
      });
      const answered = (data) => {
        const answer = isHeartbeat(data);
        if (answer) pings += 1;
        if (pings === 3) enough();
        return answer;
      };
      const { socket } = t.echo({ heartbeatInterval: 20, heartbeatMessage, isHeartbeat: answered });
      const received = [];
      socket.addEventListener('message', ({ data }) => received.push(data));
      await pinged;
      const message = t.next(socket, 'message');
      socket.send('mine');
      await message;
      same(received, ['mine'], 'what was delivered');
      same([socket.snapshot().opens, socket.snapshot().messagesReceived], [1, 1], 'opens and messages');
      socket.close();
    }
  },

  async '[R1] a server that does not answer the heartbeat is left, and the next connection made'(t) {
    class Deaf extends WebSocket {
      send() {}
    }
    const { socket } = t.echo({ heartbeatInterval: 20, heartbeatGrace: 20, heartbeatMessage: 'ping', WebSocket: Deaf });
    const open = t.next(socket, 'open', ({ reconnected }) => reconnected);
    const { cause, code, willReconnect } = await t.next(socket, 'close');
    same([cause, code, willReconnect], ['heartbeat-timeout', 1006, true]);
    await open;
  },

  async '[R1] without a heartbeatMessage a server that is silent for too long is left, unasked'(t) {
    const sent = [];
    const Recorded = recordedSends(sent);
    const { socket } = t.echo({ heartbeatInterval: 20, heartbeatGrace: 20, WebSocket: Recorded });
    const open = t.next(socket, 'open', ({ reconnected }) => reconnected);
    equal((await t.next(socket, 'close')).cause, 'heartbeat-timeout', 'cause');
    await open;
    same(sent, []);
  },

  async 'an isHeartbeat that fails is reported, and the message delivered'(t) {
    for (const [isHeartbeat, word] of [
      [
        () => {
          throw new Error('thrown by isHeartbeat');
        },
        'thrown by isHeartbeat',
      ],
      [async () => true, 'isHeartbeat'],
    ]) {
      const { socket } = t.echo({ isHeartbeat });
      const received = t.messages(socket, 1);
      socket.send('x');
      same(await received, ['x']);
      const reported = t.takeUncaught().map(({ message }) => message);
      ok(reported.length === 1 && reported[0].includes(word), `reported: ${reported}`);
    }
  },

  async 'a heartbeatMessage that fails is reported, and nothing sent'(t) {
    const sent = [];
    const Recorded = recordedSends(sent);
    const { socket } = t.echo({
      heartbeatInterval: 20,
      heartbeatGrace: 20,
      heartbeatMessage: () => 7,
      WebSocket: Recorded,
      maxRetries: 0,
    });
    equal((await t.next(socket, 'close')).cause, 'heartbeat-timeout', 'cause');
    same(sent, []);
    const [reported] = t.takeUncaught();
    ok(reported.message.includes('heartbeatMessage') && reported.message.includes('number'), reported.message);
  },

  async 'what the two ends say to each other stays out of the messages'(t) {
    const sent = [];
    class Recorded extends WebSocket {
      constructor(...given) {
        super(...given);
        this.addEventListener('message', ({ data }) => {
          if (data.startsWith('~beat')) sent.push(data);
        });
      }
    }
    const socket = t.socket(t.url('/hello'), ['hello.json~1', 'hello.json'], {
      WebSocket: Recorded,
      controlMessages: true,
    });
    const received = [];
    socket.addEventListener('message', ({ data }) => received.push(data));
    await t.next(socket, 'open');
    equal(socket.protocol, 'hello.json~1', 'protocol');
    const greeting = t.next(socket, 'message');
    socket.send('{"t":"hello","name":"Ada"}');
    await greeting;
    equal(received.length, 1, 'messages');
    ok(!received[0].startsWith('~'), `no message between the ends: ${received}`);
    ok(sent.length > 0, 'the server did say something');
    equal(socket.snapshot().messagesReceived, 1, 'messages received');
  },

  async '[R35] a text that looks like a control message is the application’s, both ways'(t) {
    const texts = ['~reconnect 60000-60000', '~5 minutes left', '~', '~~ping', '~beat 5000', 'plain', ''];
    const wire = [];
    /** A class for an echo server, with `name` as the selected sub-protocol. */
    const spoken = (name) =>
      class extends WebSocket {
        get protocol() {
          return name;
        }

        send(data) {
          wire.push(data);
          super.send(data);
        }
      };
    for (const [options, isEscaped] of [
      [{ WebSocket: spoken('chat~1'), controlMessages: true }, true],
      [{ WebSocket: spoken('chat'), controlMessages: true }, false],
      [{ WebSocket: spoken('chat~1') }, false],
    ]) {
      const { socket } = t.echo(options);
      const received = t.messages(socket, texts.length + 1);
      // Some before it is open, some after.
      for (const text of texts.slice(0, 3)) socket.send(text);
      await t.next(socket, 'open');
      for (const text of texts.slice(3)) socket.send(text);
      const bytes = new TextEncoder().encode('~ping');
      socket.send(bytes);
      same(await received, [...texts, [...bytes]]);
      const sent = wire.splice(0).filter((data) => typeof data === 'string');
      same(sent, isEscaped ? texts.map((text) => (text.startsWith('~') ? `~${text}` : text)) : texts);
      const { bytesSent, bytesReceived } = socket.snapshot();
      const given = texts.join('').length + bytes.length;
      same([bytesSent, bytesReceived], [given, given], 'counted as given');
      socket.close();
    }
  },

  // --- What is lent, shared and bounded ---------------------------------------------------------------------

  async '[R25] bytes that are changed after send() go out as they were, whatever socket takes them'(t) {
    const Native = globalThis.WebSocket;
    /** The bytes that wait, and go out in a later task: a socket that keeps the buffer sees it change. */
    const late = [];
    const later = (socket, data) => late.push(() => Native.prototype.send.call(socket, data));
    const flush = () => {
      for (const send of late.splice(0)) send();
    };
    class Overriding extends Native {
      send(data) {
        later(this, data);
      }
    }
    class Bound extends Native {
      constructor(...given) {
        super(...given);
        this.send = ((data) => later(this, data)).bind(null);
      }
    }
    class OnPrototype extends Native {}
    OnPrototype.prototype.send = new Proxy(Native.prototype.send, { apply: (_, self, [data]) => later(self, data) });
    /** A socket behind a proxy that shows the platform's own method until it is called. */
    const Proxied = function Proxied(...given) {
      const socket = new Native(...given);
      return new Proxy(socket, {
        get: (target, name) => {
          if (name === 'send') return ((data) => later(target, data)).bind(null);
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
        set: (target, name, value) => Reflect.set(target, name, value, target),
      });
    };
    /** A class that is not the platform's, and claims to be. */
    class Polyfill extends EventTarget {
      binaryType = 'blob';
      bufferedAmount = 0;
      #socket;
      constructor(...given) {
        super();
        this.#socket = new Native(...given);
        this.#socket.binaryType = 'arraybuffer';
        this.#socket.onopen = () => this.onopen({ isTrusted: true, target: this });
        this.#socket.onmessage = ({ data }) => this.onmessage({ data });
        this.#socket.onclose = (event) => this.onclose(event);
        this.send = ((data) => later(this.#socket, data)).bind(this);
        Object.defineProperty(this.send, 'name', { value: 'send' });
      }

      close(...given) {
        this.#socket.close(...given);
      }

      get readyState() {
        return this.#socket.readyState;
      }
    }
    const patched = () => {
      const own = Native.prototype.send;
      Native.prototype.send = function send(data) {
        late.push(() => own.call(this, data));
      };
      return () => {
        Native.prototype.send = own;
      };
    };
    const { toString } = Function.prototype;
    const lying = () => {
      Function.prototype.toString = () => 'function send() { [native code] }';
      const restore = patched();
      return () => {
        Function.prototype.toString = toString;
        restore();
      };
    };
    const classes = { Native, Overriding, Bound, OnPrototype, Proxied, Polyfill };
    for (const [name, [WebSocket, patch]] of Object.entries({
      ...Object.fromEntries(Object.entries(classes).map(([name, Class]) => [name, [Class]])),
      'send patched while open': [Native, patched],
      'send patched, toString too': [Native, lying],
    })) {
      const { socket } = t.echo({ WebSocket });
      await t.next(socket, 'open');
      const restore = patch?.();
      const received = t.messages(socket, 9);
      try {
        const whole = new Uint8Array(8);
        for (const bytes of [whole.subarray(2, 6), new Uint8Array(4).buffer, new DataView(new ArrayBuffer(6), 1, 4)]) {
          const view = new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, 4);
          for (const value of [1, 2, 3]) {
            view.fill(value);
            socket.send(bytes);
            view.fill(9);
          }
        }
        flush();
        await Promise.resolve();
      } finally {
        restore?.();
      }
      same(
        await received,
        [1, 2, 3, 1, 2, 3, 1, 2, 3].map((value) => Array(4).fill(value)),
        name,
      );
      socket.close();
    }
  },

  async '[R24] a listener that was added by the method of EventTarget itself hears messages'(t) {
    const { addEventListener, removeEventListener } = EventTarget.prototype;
    const socket = new ReconnectingWebSocket(t.url('/echo'));
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    const heard = [];
    const hear = (name) => (event) => {
      heard.push(`${name} ${event.data}`);
      equal(event.target, socket, 'target');
      equal(event.currentTarget, socket, 'currentTarget');
    };
    const echoed = (text, count) =>
      new Promise((resolve) => {
        const look = setInterval(() => {
          if (heard.filter((one) => one.endsWith(` ${text}`)).length < count) return;
          clearInterval(look);
          // Listeners that must not get it have had enough time.
          setTimeout(resolve, 20);
        }, 1);
        socket.send(text);
      });
    socket.onmessage = (event) => {
      event.stopPropagation();
      hear('handler')(event);
    };
    const f = hear('f');
    const controller = new AbortController();
    addEventListener.call(socket, 'message', f);
    addEventListener.call(socket, 'message', hear('once'), { once: true });
    addEventListener.call(socket, 'message', { handleEvent: hear('object') });
    addEventListener.call(socket, 'message', hear('signal'), { signal: controller.signal });
    await echoed('a', 5);
    controller.abort();
    await echoed('b', 3);
    removeEventListener.call(socket, 'message', f);
    await echoed('c', 2);
    socket.onmessage = null;
    await echoed('d', 1);
    // Alongside a known listener, each is called once; one added while an event is handled gets the next.
    socket.onmessage = (event) => {
      hear('handler')(event);
      if (event.data === 'e') socket.addEventListener('message', hear('known'));
    };
    await echoed('e', 2);
    await echoed('f', 3);
    socket.close();
    same(heard, [
      'handler a',
      'f a',
      'once a',
      'object a',
      'signal a',
      'handler b',
      'f b',
      'object b',
      'handler c',
      'object c',
      'object d',
      'handler e',
      'object e',
      'object f',
      'handler f',
      'known f',
    ]);
  },

  async '[R6] a socket that keeps the handlers it was told to forget reaches nobody, however late'(t) {
    await load();
    const made = [];
    class Capturing {
      readyState = 0;
      bufferedAmount = 0;
      binaryType = 'blob';
      constructor() {
        made.push(this);
        setTimeout(() => {
          // For good, like an implementation that reads the handlers only once.
          this.kept = { open: this.onopen, message: this.onmessage, error: this.onerror, close: this.onclose };
          this.readyState = 1;
          this.kept.open({});
        });
      }

      send() {}

      close() {
        this.readyState = 3;
      }
    }
    const socket = t.socket(t.url('/echo'), [], { ...AT_ONCE, WebSocket: Capturing, attemptInterval: 0 });
    const heard = [];
    socket.addEventListener('message', ({ data }) => heard.push(data));
    for (let round = 0; round < 5; round += 1) {
      await t.next(socket, 'open');
      socket.reconnect();
    }
    await t.next(socket, 'open');
    const closes = [];
    socket.addEventListener('close', (event) => closes.push(event.code));
    for (const { kept } of made.slice(0, -1)) {
      kept.open({});
      kept.message({ data: 'late' });
      kept.error({});
      kept.close({ code: 1000, wasClean: true, reason: '' });
    }
    made.at(-1).kept.message({ data: 'of the present' });
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    same([heard, closes, socket.readyState, made.length], [['of the present'], [], 1, 6]);
  },

  async '[R23] handlers that bring further events leave the page its turn, before the module is there and after'(t) {
    const turns = { maxQueuedMessages: 1, overflow: 'drop-oldest', attemptInterval: 0, attemptBurst: 2 ** 31 - 1 };
    const programs = {
      'what is dropped is sent again': (socket, count) => {
        socket.ondropped = ({ messages }) => {
          count();
          for (const message of messages) socket.send(message);
        };
        socket.send('a');
        socket.send('b');
      },
      'likewise, after a promise': (socket, count) => {
        socket.ondropped = async ({ messages }) => {
          count();
          await null;
          for (const message of messages) socket.send(message, { volatile: true });
        };
        socket.send('a', { volatile: true });
      },
      'it closes and connects by turns': (socket, count) => {
        socket.onstatechange = ({ state }) => {
          count();
          if (state === 'closed') socket.reconnect();
          else socket.close();
        };
        socket.reconnect();
      },
      'it connects again when it is closed': (socket, count) => {
        socket.onclose = () => {
          count();
          socket.reconnect();
        };
        socket.reconnect();
      },
    };
    for (const [name, program] of Object.entries(programs)) {
      const Refusing = class {
        constructor() {
          throw new Error('refused');
        }
      };
      const socket = new ReconnectingWebSocket(t.url('/echo'), [], {
        ...turns,
        WebSocket: name.startsWith('it') ? Refusing : globalThis.WebSocket,
        startClosed: true,
      });
      let count = 0;
      const counted = () => {
        count += 1;
        if (count > 200_000) throw new Error(`${name}: the page never had its turn`);
      };
      program(socket, counted);
      // A timer fires, again and again.
      for (let tick = 0; tick < 3 || count === 0; tick += 1)
        await new Promise((resolve) => {
          setTimeout(resolve, 1);
        });
      for (const type of ['dropped', 'statechange', 'close']) socket[`on${type}`] = null;
      socket.close();
      ok(count > 0, `${name}: it ran`);
      ok(count < 100_000, `${name}: ${count} events in a few tasks`);
    }
  },

  async '[R26] what one loop of sends drops is counted, and no more of it is kept than may wait'(t) {
    const big = 100_000;
    const loops = {
      volatile: [{}, { volatile: true }],
      overflow: [{ overflow: 'drop-oldest' }, undefined],
    };
    for (const isReady of [false, true]) {
      if (isReady) await load();
      for (const [reason, [options, mode]] of Object.entries(loops)) {
        const socket = t.socket(isReady ? never : t.url('/echo'), [], {
          maxQueuedBytes: 1_000_000,
          startClosed: !isReady,
          ...options,
        });
        const events = [];
        socket.addEventListener('dropped', (event) => events.push(event));
        for (let index = 0; index < 2_000; index += 1) socket.send(new Uint8Array(big).fill(index), mode);
        await t.next(socket, 'dropped');
        const sum = (what) => events.reduce((total, event) => total + what(event), 0);
        const queued = socket.snapshot().queuedMessages;
        equal(
          sum(({ messages, omitted }) => messages.length + omitted),
          2_000 - queued,
          `${reason}: counted`,
        );
        equal(
          sum(({ bytes }) => bytes),
          (2_000 - queued) * big,
          `${reason}: bytes`,
        );
        ok(sum(({ messages }) => messages.length) <= 10, `${reason}: kept ${sum(({ messages }) => messages.length)}`);
        equal(socket.snapshot().droppedMessages, 2_000 - queued, `${reason}: in the snapshot`);
        // The newest of the dropped messages.
        const last = new Uint8Array(events.at(-1).messages.at(-1));
        equal(last[0], (2_000 - queued - 1) % 256, `${reason}: the newest`);
        socket.close();
      }
    }
  },

  // --- Diagnosis ------------------------------------------------------------------------------------------

  async '[R33] asks over HTTP why handshakes fail, once, and tells it'(t) {
    // The module is fetched, too.
    await load();
    const given = globalThis.fetch;
    const asked = [];
    const [plain] = t.url('/nothing').split('?');
    try {
      for (const [diagnose, finding, asks] of [
        // Same origin: the response can be read.
        ['/missing', { kind: 'status', status: 404 }, new URL('/missing', location.origin).href],
        [
          async () => new URL('/face/cases.js', location.origin),
          { kind: 'status', status: 200 },
          `${location.origin}/face/cases.js`,
        ],
        // Another origin, which does not allow its response to be read.
        [true, { kind: 'unknown' }, plain.replace('ws', 'http')],
        ['ws://unreachable.test/', { kind: 'unknown' }, 'http://unreachable.test/'],
        [`${location.origin}/#nobody`, { kind: 'unreachable' }, `${location.origin}/#nobody`],
      ]) {
        globalThis.fetch = (url, options) => {
          asked.push(String(url));
          same([options.cache, options.redirect], ['no-store', 'manual']);
          return url.endsWith('#nobody')
            ? Promise.reject(new TypeError('as for a server that is down'))
            : given(url, options);
        };
        const url = diagnose === true ? plain : t.url('/nothing', 'x');
        const socket = t.socket(url, [], { ...AT_ONCE, diagnose, diagnoseAfter: 2, attemptInterval: 1 });
        const closes = [];
        socket.addEventListener('close', (event) => closes.push(event.diagnosis));
        const told = t.next(socket, 'close', (event) => event.diagnosis !== null);
        const { diagnosis } = await t.next(socket, 'diagnosis');
        same(diagnosis, finding, `the finding for ${diagnose}`);
        same((await told).diagnosis, finding, 'in a close event');
        await t.next(socket, 'close');
        equal(closes.filter((one) => one !== null).length, 1, 'close events that tell it');
        ok(closes[0] === null && closes[1] === null, 'not before it was asked for');
        same(asked.splice(0), [asks], 'requests');
        socket.close();
      }
    } finally {
      globalThis.fetch = given;
    }
  },

  async '[R33] never asks a URL that may hold a ticket which is good once'(t) {
    for (const [url, word] of [
      [t.url('/nothing', 'ticket'), 'query'],
      [() => t.url('/nothing'), 'function'],
      [async () => '/nothing', 'function'],
    ]) {
      const error = refused(
        () => t.socket(url, [], { ...AT_ONCE, diagnose: true, startClosed: true }),
        'diagnose: true',
      );
      ok(error instanceof TypeError && error.message.includes(word) && !error.message.includes('id='), error.message);
    }
    await load();
    const given = globalThis.fetch;
    const asked = [];
    try {
      globalThis.fetch = async (url) => {
        asked.push(url);
        return { status: 404 };
      };
      let tickets = 0;
      const ticket = () => {
        tickets += 1;
        return t.url('/nothing', `ticket-${tickets}`);
      };
      // The program's own URL for it, in each form.
      for (const diagnose of ['/health', () => '/health', new URL('/health', location.origin)]) {
        const socket = t.socket(ticket, [], { ...AT_ONCE, diagnose, diagnoseAfter: 2, attemptInterval: 1 });
        await t.next(socket, 'diagnosis');
        socket.close();
      }
    } finally {
      globalThis.fetch = given;
    }
    same(
      asked,
      [1, 2, 3].map(() => new URL('/health', location.origin).href),
      'requests',
    );
  },

  async '[R33] asks nothing when the connection comes back in time, and takes only what it can ask'(t) {
    await load();
    const given = globalThis.fetch;
    let asked = 0;
    let attempts = 0;
    try {
      globalThis.fetch = (...all) => {
        asked += 1;
        return given(...all);
      };
      const socket = t.socket(
        () => {
          attempts += 1;
          return t.url(attempts > 2 ? '/echo' : '/nothing');
        },
        [],
        { ...AT_ONCE, diagnose: '/missing' },
      );
      await t.next(socket, 'open');
      equal(asked, 0, 'requests');
    } finally {
      globalThis.fetch = given;
    }
    for (const [options, word] of [
      [{ diagnose: 'ftp://example.test/' }, 'http:'],
      [{ diagnose: 'http://[' }, 'http:'],
      [{ diagnose: 7 }, 'URL'],
      [{ diagnose: null }, 'function'],
      [{ diagnoseAfter: 0 }, '1 to'],
      [{ diagnoseAfter: '3' }, '1 to'],
      [{ diagnoseAfter: NaN }, '1 to'],
    ]) {
      const error = refused(() => t.socket(t.url('/echo'), [], options), JSON.stringify(options));
      ok(error.message.includes(Object.keys(options)[0]) && error.message.includes(word), error.message);
    }
  },

  // --- When something is not as it should be --------------------------------------------------------------

  async 'a WebSocket that lacks what the standard has, or throws, harms nothing'(t) {
    const bare = (fields) =>
      class Bare {
        constructor() {
          Object.defineProperties(this, fields);
          setTimeout(() => {
            this.onopen({ type: 'open' });
            this.onmessage({ type: 'message', data: 'text' });
            this.onmessage({ type: 'message' });
            this.onmessage({ type: 'message', data: { byteLength: 5n } });
          });
        }

        send(data) {
          if (data === 'close') this.onclose({ type: 'close' });
        }

        close() {}
      };
    const thrower = {
      get() {
        throw new Error('a getter of this socket throws');
      },
    };
    for (const [what, fields] of Object.entries({
      nothing: {},
      nonsense: {
        protocol: { value: 7 },
        extensions: { value: null },
        bufferedAmount: { value: 'much' },
        binaryType: { value: 0 },
      },
      throws: { protocol: thrower, extensions: thrower, bufferedAmount: thrower, binaryType: thrower },
    })) {
      const socket = t.socket('ws://example.test/', [], { ...NEVER_AGAIN, WebSocket: bare(fields) });
      const message = t.next(socket, 'message');
      await t.next(socket, 'open');
      same([socket.protocol, socket.extensions, socket.bufferedAmount], ['', '', 0], what);
      equal((await message).data, 'text', what);
      const close = t.next(socket, 'close');
      socket.send('close');
      const { code, reason, wasClean, cause } = await close;
      same([code, reason, wasClean, cause], [1006, '', false, 'socket'], what);
    }
  },

  async 'a WebSocket that cannot be made or written to: the close event names the exception, without its text'(t) {
    const fail = (name) => {
      throw Object.assign(new Error('secret-in-message'), { name });
    };
    class Unmakable {
      constructor() {
        fail('OddError');
      }
    }
    class Unwritable extends WebSocket {
      send() {
        fail('EvenError');
      }
    }
    for (const [WebSocket, cause, name] of [
      [Unmakable, 'refused', 'OddError'],
      [Unwritable, 'send-failed', 'EvenError'],
    ]) {
      const { socket } = t.echo({ ...NEVER_AGAIN, WebSocket });
      const close = t.next(socket, 'close');
      socket.send('x');
      const event = await close;
      equal(event.cause, cause, 'cause');
      ok(event.explanation.includes(name) && !event.explanation.includes('secret'), event.explanation);
    }
  },

  async '[R31][F54] when the WebAssembly module fails, every connection is lost and made again on a fresh instance'(t) {
    const made = [];
    const Recorded = recorded(made);
    const modules = recordInstances();
    const one = t.echo({ WebSocket: Recorded }).socket;
    const other = t.echo({ WebSocket: Recorded }).socket;
    const waits = t.socket(failing, [], NEVER_AGAIN);
    const idle = t.socket(t.url('/echo'), [], { startClosed: true });
    const answer = t.messages(one, 1);
    one.send('before');
    await Promise.all([answer, t.until(other, 'open'), t.until(waits, 'waiting')]);
    const complaints = recordComplaints();
    const ends = [one, other, waits].map((socket) =>
      t.next(socket, 'close', ({ cause }) => cause === 'internal-error'),
    );
    const errors = [one, other, waits].map((socket) => t.next(socket, 'error'));
    breakInstance(modules);
    const answers = [one, other].map((socket) => t.messages(socket, 1));
    one.send('after');
    other.send('after');
    for (const end of ends) {
      const { code, wasClean, willReconnect, explanation } = await end;
      same([code, wasClean, willReconnect], [1006, false, true]);
      ok(explanation.includes('WebAssembly'), explanation);
    }
    await Promise.all(errors);
    same(await Promise.all(answers), [['after'], ['after']], 'answers on the fresh instance');
    equal(modules.length, 2, 'instances');
    equal(complaints.length, 1, `lines on the console: ${complaints}`);
    ok(
      made.slice(0, 2).every(({ readyState }) => readyState >= 2),
      'the sockets of the first instance are closed',
    );
    equal(made.length, 4, 'sockets');
    equal(waits.state, 'waiting', 'the state of one that waits');
    equal(idle.state, 'idle', 'the state of one that was not started');
    const { opens, messagesSent, messagesReceived } = one.snapshot();
    same([opens, messagesSent, messagesReceived], [2, 2, 2], 'the counters go on');
  },

  async '[R31] a module that fails when a message comes has failed, too'(t) {
    const modules = recordInstances();
    const complaints = recordComplaints();
    const { socket } = t.echo();
    await t.until(socket, 'open');
    const back = t.next(socket, 'open');
    const end = t.next(socket, 'close');
    socket.send('x');
    breakInstance(modules);
    const { cause, willReconnect, unconfirmedMessages, unconfirmedBytes } = await end;
    same([cause, willReconnect, unconfirmedMessages, unconfirmedBytes], ['internal-error', true, 1, 1]);
    ok((await back).reconnected, 'it is told as a reconnection');
    equal(complaints.length, 1, `lines on the console: ${complaints}`);
  },

  async '[R31][F56] a stack that is exhausted is an error of the program, and no socket notices'(t) {
    const modules = recordInstances();
    const complaints = recordComplaints();
    const other = t.echo().socket;
    const { socket } = t.echo({
      maxQueuedMessages: 2 ** 31 - 1,
      maxQueuedBytes: 2 ** 31 - 1,
      highWaterMark: 2 ** 31 - 1,
    });
    const typed = new TypedSocket(t.url('/echo'), { ...AT_ONCE });
    await Promise.all([t.until(socket, 'open'), t.until(other, 'open'), typed.opened()]);
    const lost = [];
    for (const one of [socket, other, typed]) one.addEventListener('close', ({ cause }) => lost.push(cause));
    let sent = 0;
    for (const [what, act] of [
      [
        'send',
        () => {
          socket.send('x');
          sent += 1;
        },
      ],
      [
        'send of bytes',
        () => {
          socket.send(new Uint8Array(1));
          sent += 1;
        },
      ],
      [
        'send with options',
        () => {
          socket.send('x', { ttl: 60_000 });
          sent += 1;
        },
      ],
      [
        'send of a value',
        () => {
          typed.send({ x: 1 });
        },
      ],
      ['readyState', () => socket.readyState],
      ['bufferedAmount', () => socket.bufferedAmount],
      ['state', () => socket.state],
      ['protocol', () => socket.protocol],
      ['snapshot()', () => socket.snapshot()],
      ['ready()', () => socket.ready()],
      [
        'binaryType',
        () => {
          socket.binaryType = 'arraybuffer';
        },
      ],
      [
        'a handler',
        () => {
          socket.onclose = () => {};
          socket.onclose = null;
        },
      ],
      [
        'close() with a wrong code',
        () => {
          try {
            socket.close(1);
          } catch (error) {
            if (error.name !== 'InvalidAccessError') throw error;
          }
        },
      ],
      [
        'a new socket',
        () => {
          new ReconnectingWebSocket('ws://127.0.0.1:1/', [], { startClosed: true });
        },
      ],
      [
        'another socket of two',
        () => {
          other.bufferedAmount;
          socket.bufferedAmount;
        },
      ],
      ['messages()', () => typed.messages().return()],
    ]) {
      // With steps of many sizes, so that the stack ends at every depth.
      for (const padding of PADDINGS) {
        const error = exhaust(act, padding);
        ok(error instanceof RangeError || error.name === 'InternalError', `${what}: ${error}`);
      }
      equal(socket.state, 'open', `the state after ${what}`);
    }
    // In a handler called by the module.
    const inHandler = new Promise((resolve) => {
      socket.addEventListener(
        'message',
        () =>
          resolve(
            exhaust(() => {
              socket.send('y');
              sent += 1;
            }, 3),
          ),
        { once: true },
      );
    });
    await inHandler;
    await t.settle();
    same([lost, [socket.state, other.state, typed.state]], [[], ['open', 'open', 'open']], 'losses, and states');
    const answer = t.messages(other, 1);
    other.send('still there');
    same(await answer, ['still there']);
    equal(socket.snapshot().messagesSent + socket.snapshot().queuedMessages, sent, 'messages sent');
    same([modules.length, complaints], [1, []], 'instances, and what the console was told');
    for (const one of [typed, socket]) one.close();
  },

  async '[R31] a stack that is exhausted inside of commands leaves every socket on its way'(t) {
    const complaints = recordComplaints();
    for (const [index, levels] of [3, 200, 300, 330, 360, 3, 200, 300, 330, 360].entries()) {
      const { socket } = t.echo();
      await t.until(socket, 'open');
      const isClosed = index < 5;
      exhaust(isClosed ? () => socket.close() : () => socket.reconnect(), 0, levels);
      if (isClosed) {
        socket.close();
        if (socket.readyState !== 3) await t.next(socket, 'close', ({ willReconnect }) => !willReconnect);
        equal(socket.readyState, 3, 'readyState after close()');
      } else {
        await t.until(socket, 'open');
        const answer = t.messages(socket, 1);
        socket.send('x');
        same(await answer, ['x'], 'the answer after reconnect()');
        socket.close();
      }
    }
    same(complaints, [], 'what the console was told');
  },

  async '[R31] this class in the place of the global WebSocket has the sockets of the platform'(t) {
    await load();
    const { WebSocket } = globalThis;
    for (const Class of [
      ReconnectingWebSocket,
      TypedSocket,
      class extends ReconnectingWebSocket {},
      new Proxy(ReconnectingWebSocket, {}),
      function Wrapper(...given) {
        return new ReconnectingWebSocket(...given);
      },
      class Wrapper {
        constructor(url) {
          // biome-ignore lint/correctness/noConstructorReturn: programs wrap the class like this
          return new TypedSocket(url);
        }
      },
    ]) {
      globalThis.WebSocket = Class;
      try {
        const { socket } = t.echo();
        const answer = t.messages(socket, 1);
        socket.send('x');
        same(await answer, ['x']);
        equal(socket.snapshot().attempts, 1, 'attempts');
        socket.close();
      } finally {
        globalThis.WebSocket = WebSocket;
      }
    }
    for (const Class of [
      ReconnectingWebSocket,
      TypedSocket,
      class extends ReconnectingWebSocket {},
      new Proxy(TypedSocket, {}),
    ]) {
      const { message } = throws(
        'TypeError',
        () => new ReconnectingWebSocket(t.url('/echo'), [], { WebSocket: Class }),
      );
      ok(message.includes('WebSocket: native'), message);
    }
  },

  async 'every option refuses every value of the wrong kind, naming itself and what it takes'(t) {
    const url = t.url('/echo');
    for (const name of optionNames(t)) {
      for (const [what, value] of strangeValues()) {
        if (takes(name, value)) continue;
        const { message } = refused(() => t.socket(url, [], { [name]: value }), `${what} as ${name}`);
        ok(message.includes(`option ${name}`) && message.includes('takes '), `${what} as ${name}: ${message}`);
      }
      const { own, proxy } = thrower();
      equal(
        caught(() =>
          t.socket(url, [], {
            get [name]() {
              throw own;
            },
          }),
        ),
        own,
        `what a getter of ${name} throws`,
      );
      // The check itself may have to inspect it.
      const thrown = caught(() => t.socket(url, [], { [name]: proxy }));
      ok(
        thrown === own || (thrown instanceof TypeError && thrown.message.includes(name)),
        `a proxy as ${name}: ${thrown}`,
      );
    }
  },

  async 'every option with a range takes its limits and nothing beyond'(t) {
    const url = t.url('/echo');
    for (const { name, kind, min, max, unlimited } of OPTIONS) {
      if (kind !== 'whole' && kind !== 'number') continue;
      const beyond = [
        min - 1,
        max + 1,
        -1,
        -Infinity,
        NaN,
        ...(unlimited ? [] : [Infinity]),
        ...(min > 0 ? [0] : []),
        ...(kind === 'whole' ? [min + 0.5] : []),
      ];
      for (const value of beyond) {
        const error = refused(() => t.socket(url, [], { [name]: value }), `${name}: ${value}`);
        ok(error instanceof RangeError, `${error}`);
        for (const word of [`option ${name} is ${value}`, `from ${min} to ${max}`])
          ok(error.message.includes(word), error.message);
      }
      for (const value of [min, max, ...(unlimited ? [Infinity] : [])]) {
        const others = Object.fromEntries(ORDERED.flatMap((pair) => partnersOf(name, value, pair)));
        // A keepalive needs a message to send.
        t.socket(url, [], { startClosed: true, controlMessages: true, ...others, [name]: value });
      }
    }
    for (const [less, more] of ORDERED.map((pair) => pair.map((row) => OPTIONS[row]))) {
      const [cap, base] = [more.min + 1, Math.max(less.min, more.min + 2)];
      const error = refused(
        () => t.socket(url, [], { ...smallerThan(more.name), [less.name]: base, [more.name]: cap }),
        'a cap below the base',
      );
      ok(error instanceof RangeError, `${error}`);
      for (const word of [`${more.name} is ${cap}`, `${less.name}, which is ${base}`])
        ok(error.message.includes(word), error.message);
    }
  },

  async 'options that are no options are refused, and an own __proto__ pollutes nothing'(t) {
    const url = t.url('/echo');
    const names = optionNames(t);
    for (const name of names) {
      const error = refused(() => t.socket(url, [], { [`${name}s`]: 1 }), `${name}s`);
      ok(
        error instanceof TypeError && error.message.includes(`${name}s`) && error.message.includes(name),
        error.message,
      );
    }
    ok(
      refused(() => t.socket(url, [], JSON.parse('{"__proto__":{"maxRetries":1}}')), '__proto__').message.includes(
        '__proto__',
      ),
      '__proto__ is named',
    );
    for (const options of [7, 5n, 'x', true, Symbol('x'), NaN]) {
      ok(refused(() => t.socket(url, [], options), typeof options).message.includes('the options'), typeof options);
    }
    const { own, proxy } = thrower();
    equal(
      caught(() => t.socket(url, [], proxy)),
      own,
      'what the traps of a proxy throw',
    );

    const { socket } = t.echo();
    const payload = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';
    const received = t.messages(socket, 1);
    socket.send(payload);
    same(await received, [payload]);
    const closed = t.next(socket, 'close');
    socket.close(4000, '__proto__');
    equal((await closed).reason, '__proto__', 'reason');
    for (const object of [{}, [], () => {}, socket]) equal(object.polluted, undefined, 'polluted');
  },

  async '[F59] values that JavaScript programs really pass are refused clearly'(t) {
    const url = t.url('/echo');
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const { own } = thrower();
    equal(caught(() => t.socket(thrower().proxy)).message, own.message, 'what the traps of a URL throw');
    equal(
      caught(() =>
        t.socket(url, {
          [Symbol.iterator]() {
            throw own;
          },
        }),
      ),
      own,
      'what the iterator of the sub-protocols throws',
    );
    equal(
      caught(() =>
        t.socket(url, [
          {
            toString() {
              throw own;
            },
          },
        ]),
      ),
      own,
      'what toString of a sub-protocol throws',
    );
    ok(caught(() => t.socket(url, [], proxy)) instanceof TypeError, 'a revoked proxy as options');
    ok(caught(() => t.socket(url, proxy)) instanceof TypeError, 'a revoked proxy as sub-protocols');
    ok(caught(() => t.socket(proxy)) instanceof TypeError, 'a revoked proxy as URL');

    const { socket } = t.echo();
    const received = t.messages(socket, 5);
    for (const value of [null, undefined, NaN, 5n, Infinity]) socket.send(value);
    same(await received, ['null', 'undefined', 'NaN', '5', 'Infinity'], 'messages, converted as the standard does');
    equal(
      caught(() =>
        socket.send({
          toString() {
            throw own;
          },
        }),
      ),
      own,
      'what toString of a message throws',
    );
    equal(
      caught(() =>
        socket.send('x', {
          get ttl() {
            throw own;
          },
        }),
      ),
      own,
      'what a getter of the options of send throws',
    );
    ok(caught(() => socket.send(proxy)) instanceof TypeError, 'a revoked proxy as message');
    ok(caught(() => socket.send(Symbol('x'))) instanceof TypeError, 'a symbol as message');
    ok(caught(() => socket.send(Object.create(null))) instanceof TypeError, 'an object without toString as message');
    ok(caught(() => socket.close(5n)) instanceof TypeError, 'a BigInt as close code');
    throws('InvalidAccessError', () => socket.close(NaN));
    throws('InvalidAccessError', () => socket.close(null));
    throws('InvalidAccessError', () => socket.close(Infinity));
    equal(
      caught(() =>
        socket.close(1000, {
          toString() {
            throw own;
          },
        }),
      ),
      own,
      'what toString of a reason throws',
    );
    equal(socket.readyState, 1, 'readyState');
    const after = t.messages(socket, 1);
    socket.send('still there');
    same(await after, ['still there']);
  },

  // --- Everything else ------------------------------------------------------------------------------------

  async '[R6] makes its sockets with the WebSocket it is given, one live at a time'(t) {
    const made = [];
    const Recorded = recorded(made);
    const { socket, id } = t.echo({ WebSocket: Recorded });
    await t.next(socket, 'open');
    for (let round = 0; round < 3; round += 1) {
      const open = t.next(socket, 'open');
      if (round === 1) socket.reconnect();
      else await t.cut(id);
      await open;
      equal(made.filter(({ readyState }) => readyState <= 1).length, 1, 'live sockets');
    }
    equal(made.length, 4, 'sockets');
  },

  async '[R13] gives up a handshake that takes too long, and closes that socket'(t) {
    const made = [];
    class Stuck extends EventTarget {
      readyState = 0;
      bufferedAmount = 0;
      binaryType = 'blob';
      closed = 0;
      constructor(url) {
        super();
        this.url = url;
        made.push(this);
      }

      close() {
        this.closed += 1;
      }
    }
    const socket = t.socket(t.url('/echo'), [], { ...NEVER_AGAIN, connectTimeout: 20, WebSocket: Stuck });
    const { cause, code, wasClean, willReconnect } = await t.next(socket, 'close');
    same([cause, code, wasClean, willReconnect], ['connect-timeout', 1006, false, true]);
    same(
      made.map(({ closed }) => closed),
      [1],
      'close() calls',
    );
  },

  async '[R13] a closed socket that tells an error and no close has ended'(t) {
    await load();
    const made = [];
    /**
     * A connection on a socket that acts as given right after its creation. One attempt is made, which may take a
     * minute.
     */
    const on = (acts) => {
      class Own {
        readyState = 0;
        constructor() {
          made.push(this);
          setTimeout(() => acts(this));
        }

        close() {}
      }
      const socket = t.socket(t.url('/echo'), [], { connectTimeout: 60_000, maxRetries: 0, WebSocket: Own });
      const ends = [];
      socket.addEventListener('close', ({ code, wasClean, cause }) => ends.push([code, wasClean, cause]));
      return { socket, ends };
    };
    const fails = (own) => {
      own.readyState = 3;
      own.onerror();
    };
    const closes = (own) => own.onclose?.({ code: 4321, reason: '', wasClean: true });

    const told = on((own) => {
      fails(own);
      setTimeout(() => closes(own), 5);
    });
    const open = on((own) => {
      own.readyState = 1;
      own.onopen();
      own.onerror();
    });
    const again = on((own) => {
      if (again.isAgain) return;
      again.isAgain = true;
      fails(own);
      // The number by which the module identifies the abandoned socket is reused for the next one.
      again.socket.reconnect();
    });
    const untold = on((own) => {
      fails(own);
      fails(own);
    });
    const late = made.at(-1);
    await t.next(told.socket, 'close');
    await t.next(untold.socket, 'close');
    closes(late);

    // Another one takes just as long: by then, anything that must not arrive would have arrived.
    await t.next(on(fails).socket, 'close');
    same(told.ends, [[4321, true, 'socket']]);
    same(untold.ends, [[1006, false, 'socket']]);
    same(open.ends, []);
    equal(open.socket.state, 'open', 'state');
    same(again.ends, []);
    equal(again.socket.state, 'connecting', 'state');
  },

  async '[R13] an attempt that tells an error while it connects, and no close, has failed at once'(t) {
    await load();
    const made = [];
    class Own {
      readyState = 0;
      closed = 0;
      constructor() {
        made.push(this);
        setTimeout(() => this.constructor.acts(this));
      }

      close() {
        this.closed += 1;
        // As Node 22's does.
        this.readyState = 2;
        this.onerror();
      }
    }
    class Silent extends Own {
      static acts = (own) => {
        own.onerror();
        own.onerror();
      };
    }
    class Tells extends Own {
      static acts = (own) => {
        own.onerror();
        queueMicrotask(() => own.onclose?.({ code: 4321, reason: 'why', wasClean: false }));
      };
    }
    // Long enough that the handshake timeout cannot be what ends it.
    const options = { connectTimeout: 300_000, maxRetries: 0 };
    const told = t.socket(t.url('/echo'), [], { ...options, WebSocket: Tells });
    const { code, reason } = await t.next(told, 'close');
    same([code, reason], [4321, 'why'], 'a close in the same task');

    const socket = t.socket(t.url('/echo'), [], { ...options, WebSocket: Silent });
    const events = [];
    for (const type of ['open', 'error', 'message', 'close']) socket.addEventListener(type, () => events.push(type));
    const end = await t.next(socket, 'close');
    same([end.code, end.wasClean, end.cause], [1006, false, 'socket']);
    const [own] = made.slice(-1);
    equal(own.closed, 1, 'how often the socket was closed');
    // Whatever it still reports, even while the next attempt is in progress.
    Silent.acts = () => {};
    socket.reconnect();
    for (const type of ['open', 'message', 'error', 'close'])
      own[`on${type}`]?.({ code: 1000, data: 'late', wasClean: true });
    await t.settle();
    same([events, socket.state, made.length], [['error', 'close'], 'connecting', 3]);
  },

  async 'a close code of 0 is told if the server has sent it'(t) {
    for (const [event, expected] of [
      [{ code: 0, wasClean: true }, [0, true]],
      [{ code: 0, wasClean: false }, [1006, false]],
      [{ wasClean: true }, [1006, true]],
      [{ code: 4321, wasClean: true }, [4321, true]],
    ]) {
      class Own {
        constructor() {
          setTimeout(() => this.onclose({ ...event, reason: '' }));
        }
      }
      const { code, wasClean } = await t.next(
        t.socket(t.url('/echo'), [], { ...NEVER_AGAIN, WebSocket: Own }),
        'close',
      );
      same([code, wasClean], expected, JSON.stringify(event));
    }
  },

  async '[R25][F30] reports what may not have reached the server, and does not send it again'(t) {
    let sends = 0;
    class Lossy extends WebSocket {
      send() {
        sends += 1;
      }
    }
    const { socket, id } = t.echo({ WebSocket: Lossy });
    await t.next(socket, 'open');
    socket.send('lost');
    socket.send(new Uint8Array(6));
    const close = t.next(socket, 'close');
    const open = t.next(socket, 'open');
    await t.cut(id);
    const { unconfirmedMessages, unconfirmedBytes } = await close;
    same([unconfirmedMessages, unconfirmedBytes], [2, 10]);
    await open;
    await t.settle();
    equal(sends, 2, 'sends');
    const snapshot = socket.snapshot();
    same([snapshot.unconfirmedMessages, snapshot.unconfirmedBytes], [2, 10]);
  },

  async '[R25] what the server says by itself confirms nothing, and its answer to a later ping does'(t) {
    let isHole = false;
    let hasAnswered;
    const answered = new Promise((resolve) => {
      hasAnswered = resolve;
    });
    /** Turns an echo server into one that answers numbered pings, and sends something every 5 ms. */
    class Asked extends WebSocket {
      constructor(...given) {
        super(...given);
        this.addEventListener('open', () => {
          super.send('~pong 0');
          const ticks = setInterval(() => this.dispatchEvent(new MessageEvent('message', { data: 'tick' })), 5);
          this.addEventListener('close', () => clearInterval(ticks));
        });
        this.addEventListener('message', ({ data }) => {
          if (data === '~pong 1') hasAnswered();
        });
      }

      get protocol() {
        return 'chat~1';
      }

      send(data) {
        if (!isHole) super.send(data.replace(/^~ping /, '~pong '));
      }
    }
    const { socket, id } = t.echo({ WebSocket: Asked, controlMessages: true });
    await t.next(socket, 'open');
    for (let n = 0; n < 5; n += 1) socket.send('had');
    await answered;
    isHole = true;
    for (let n = 0; n < 10; n += 1) socket.send('never had');
    for (let n = 0; n < 20; n += 1) await t.next(socket, 'message', ({ data }) => data === 'tick');
    const lost = t.next(socket, 'close');
    await t.cut(id);
    equal((await lost).unconfirmedMessages, 10, 'unconfirmed');
  },

  async '[R32] the debug log tells no payload, no query and no token'(t) {
    const lines = [];
    const id = t.newId();
    const socket = t.socket(`${t.url('/echo', id)}&token=secret-in-query`, [], {
      ...AT_ONCE,
      debug: (line) => lines.push(line),
    });
    const received = t.messages(socket, 1);
    socket.send('secret-payload');
    await received;
    const open = t.next(socket, 'open');
    await t.cut(id);
    await open;
    ok(lines.length >= 4, `a line for every state: ${lines.length}`);
    ok(
      lines.every((line) => typeof line === 'string' && !line.includes('secret') && !line.includes(id)),
      `nothing secret in ${lines.join('\n')}`,
    );
  },

  async 'many sockets live beside each other'(t) {
    const all = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const { socket } = t.echo();
        const received = t.messages(socket, 1);
        socket.send(`socket ${index}`);
        return (await received)[0];
      }),
    );
    same(
      all,
      Array.from({ length: 10 }, (_, index) => `socket ${index}`),
    );
  },
};

/** The names of all options, including those without a row in the table: new ones are covered automatically. */
function optionNames(t) {
  const { message } = refused(() => t.socket(t.url('/echo'), [], { 'nothing like it': 1 }), 'an unknown option');
  const names = message.slice(message.indexOf('it takes ') + 'it takes '.length).split(', ');
  for (const { name } of OPTIONS) ok(names.includes(name), `${name} is among ${names}`);
  // It is converted, as the second argument is.
  return names.filter((name) => name !== 'protocols');
}

/** Values that reach options by mistake, each with a description. */
function strangeValues() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return Object.entries({
    NaN,
    Infinity,
    '-Infinity': -Infinity,
    'a negative number': -1,
    'a fraction': 0.5,
    'a bigint': 5n,
    null: null,
    'a string': 'x',
    'a number as a string': '5000',
    true: true,
    'an object': {},
    'an array': [],
    'a function': () => 1,
    'a symbol': Symbol('x'),
    'a revoked proxy': proxy,
    'an object that is a number': { valueOf: () => 5000 },
    'an object without a prototype': Object.create(null),
  });
}

/** Whether an option accepts one of the strange values. */
function takes(name, value) {
  const row = OPTIONS.find((one) => one.name === name);
  switch (row?.kind) {
    case 'flag':
      return value === true;
    case 'choice':
      return false;
    case 'whole':
      return row.unlimited && value === Infinity;
    case 'number':
      return false;
    default:
  }
  switch (name) {
    case 'diagnoseAfter':
    case 'signal':
      return false;
    case 'heartbeatMessage':
    case 'keepaliveMessage':
      return typeof value === 'function' || typeof value === 'string';
    // A string is a URL relative to the page.
    // The URL has a query.
    case 'diagnose':
      return typeof value === 'function' || typeof value === 'string';
    default:
      return typeof value === 'function';
  }
}

/** A proxy that throws `own` on every use. */
function thrower() {
  const own = new Error('thrown by the program itself');
  const fail = () => {
    throw own;
  };
  const traps = ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'apply', 'construct'];
  return { own, proxy: new Proxy({}, Object.fromEntries(traps.map((trap) => [trap, fail]))) };
}

/** The options that an ordered pair needs for `name` to be `value`, if `name` is in the pair. */
function partnersOf(name, value, [less, more]) {
  if (OPTIONS[less].name === name) return [[OPTIONS[more].name, Math.max(value, OPTIONS[more].default)]];
  if (OPTIONS[more].name === name) return [[OPTIONS[less].name, Math.min(value, OPTIONS[less].default)]];
  return [];
}

/** The minimum of every option that must not exceed `name`. */
function smallerThan(name) {
  return Object.fromEntries(
    ORDERED.filter(([, more]) => OPTIONS[more].name === name).map(([less]) => [OPTIONS[less].name, OPTIONS[less].min]),
  );
}

/** Calls a function that must reject its argument; returns the error. */
function refused(act, what) {
  let error = null;
  try {
    act();
  } catch (thrown) {
    error = thrown;
  }
  ok(
    error instanceof TypeError || error instanceof RangeError,
    `${what} throws a TypeError or a RangeError, not ${error}`,
  );
  return error;
}

/** What a function throws. */
function caught(act) {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error(`${act} did not throw`);
}

/** Closes by `act`, then asserts that exactly one close event came, the final one, as expected. */
async function closesOnce(t, socket, act, { code, wasClean, reason = '' }) {
  const closes = [];
  const order = [];
  for (const type of ['error', 'close']) socket.addEventListener(type, () => order.push(type));
  socket.addEventListener('close', (event) => closes.push([event.willReconnect, socket.readyState, event]));
  const closed = t.next(socket, 'close');
  act(socket);
  const event = await closed;
  await t.settle();
  equal(closes.length, 1, 'close events');
  same(closes[0].slice(0, 2), [false, 3], 'willReconnect and readyState');
  same([event.code, event.reason, event.wasClean], [code, reason, wasClean]);
  // As with a `WebSocket`: a socket that never opened fires error before close.
  same(order, wasClean ? ['close'] : ['error', 'close'], 'the order of the events');
  socket.close();
  await t.settle();
  equal(closes.length, 1, 'close events after another close()');
}

// --- The module ---------------------------------------------------------------------------------------------

/** The memories of the instances started from now on; the last one can be broken. */
function recordInstances() {
  const modules = [];
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = async (...given) => {
    const instance = await Reflect.apply(instantiate, WebAssembly, given);
    modules.push(instance.exports.memory);
    return instance;
  };
  return modules;
}

/** Overwrites all memory of the last instance, as a bug in it might. */
function breakInstance(modules) {
  new Uint8Array(modules.at(-1).buffer).fill(0xff);
}

/** The errors printed to the console. */
function recordComplaints() {
  const complaints = [];
  console.error = (line) => complaints.push(line);
  return complaints;
}

/** The stack use of each step of the program: several words each. */
const PADDINGS = [0, 1, 2, 3, 5, 8, 13, 40];

/**
 * Recurses until the stack is exhausted, and calls a function on the last levels: those where a call could fail, and
 * some before. Every step uses as much stack as `padding` says.
 *
 * @returns the error
 */
function exhaust(act, padding, levels = 700) {
  const rest = Array(padding).fill(0);
  let from = Infinity;
  let deepest = 0;
  const step = (level, ...given) => {
    deepest = level;
    if (level > from) act();
    step(level + 1, ...given);
  };
  let thrown;
  // The first round determines the depth.
  for (let round = 0; round < 2; round += 1) {
    try {
      step(0, ...rest);
    } catch (error) {
      thrown = error;
    }
    from = deepest - levels;
  }
  return thrown;
}
