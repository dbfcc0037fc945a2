// The server's end of sessions: the real half of the protocol, with an application that the test plays.

import { json } from '../typed/codec.js';
import { FakeConnection } from './connection.js';
import { BOOLEAN, checkOption, checkOptions } from './options.js';
import { FakeEndpoint } from './server.js';
import { serverHalf } from './server-half/index.js';
import { isBlob, matches, show, showAll } from './show.js';
import { realTimers } from './tasks.js';
import { Waiters } from './waiting.js';

/** The suffix of a sub-protocol that asks for a session. */
const SUFFIX = '~2';

/** The longest time of a timer. */
const LONGEST_TIMER = 2 ** 31 - 1;

const LIMIT = ['a whole number from 1 to 2^53 - 1', (value) => Number.isSafeInteger(value) && value >= 1];
const OPTIONS = {
  codec: [
    'an object with encode and decode, or null',
    (value) => value === null || (typeof value?.encode === 'function' && typeof value?.decode === 'function'),
  ],
  window: LIMIT,
  messages: LIMIT,
  bytes: LIMIT,
  messageBytes: LIMIT,
  requests: ['a whole number from 0 to 2^53 - 1', (value) => Number.isSafeInteger(value) && value >= 0],
};

const REASONS = ['expired', 'unknown', 'full', 'refused', 'out-of-step'];
const REASON = [REASONS.map((reason) => `'${reason}'`).join(', '), (value) => REASONS.includes(value)];
const REFUSALS = ['handler', 'limit', 'cancelled', 'failed'];
const REFUSAL = [REFUSALS.map((refusal) => `'${refusal}'`).join(', '), (value) => REFUSALS.includes(value)];
const NUMBER = ['a number that the kit has given', (value) => Number.isSafeInteger(value) && value >= 0];
const CLOSE_CODE = [
  'a code that a Close frame can carry: 1000 to 1014 save 1004 to 1006, or 3000 to 4999',
  (code) =>
    Number.isInteger(code) &&
    ((code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)),
];

export class SessionServer {
  #codec;
  #half;
  /** Those that have said something and have not ended, by number; and the number of each that ever did. */
  #connections = new Map();
  #numbers = new WeakMap();
  #count = 0;
  #isStepping = false;
  #timer = null;
  #last = 0;
  #waiters = new Waiters();
  /** How many messages `receive` and `expect` have taken, and how many requests `nextRequest`. */
  #taken = 0;
  #asked = [];
  #takenRequests = 0;

  constructor(endpoint, options) {
    if (!(endpoint instanceof FakeEndpoint)) {
      throw new TypeError(
        `SessionServer.start: ${show(endpoint)} was given; it takes a FakeServer or an endpoint of one`,
      );
    }
    checkOptions('SessionServer.start', options, OPTIONS);
    const {
      codec = endpoint.codec,
      window = 120_000,
      messages = 1_000,
      bytes = 1_048_576,
      messageBytes = 1_048_576,
      requests = 64,
    } = options;
    this.#codec = codec;
    this.#half = serverHalf(styleOf(codec), window, messages, bytes, messageBytes, requests);
    FakeEndpoint.play(endpoint, {
      takes: ({ protocol }) => protocol.endsWith(SUFFIX),
      arrived: (connection, data) => this.#arrived(connection, data),
      changed: (connection) => {
        if (connection.state === 'closed' && this.#connections.has(this.#numbers.get(connection))) this.#act(() => {});
      },
      timers: () => (this.#timer ? 1 : 0),
      expectations: () => this.#waiters.expectations,
      end: (why) => {
        this.#disarm();
        this.#waiters.end(why);
      },
    });
  }

  static start(endpoint, options = {}) {
    return new SessionServer(endpoint, options);
  }

  // --- What the test sees

  get received() {
    return Array.from({ length: this.#half.count }, (_, index) => this.#decode(this.#half.received(index)));
  }

  get ends() {
    return this.#half.ends().map(([delivery, end = 'handled', reason = null]) => ({ delivery, end, reason }));
  }

  get answers() {
    return this.#half.answers().map(([ask, end, detail]) => {
      if (end === 'response' || end === 'error') return { ask, end, [end]: this.#decode(detail), reason: null };
      return { ask, end, reason: detail ?? null };
    });
  }

  get requests() {
    return this.#half.requests().map(([token, data]) => ({ token, request: this.#decode(data) }));
  }

  get credentials() {
    return this.#half.credentials();
  }

  get hasSession() {
    return this.#half.hasSession;
  }

  get ended() {
    return this.#half.ended ?? null;
  }

  receive(options) {
    return this.#next('a message', () => true, options, 'receive');
  }

  expect(expected, options) {
    return this.#next(show(expected), (message) => matches(expected, message), options, 'expect');
  }

  nextRequest(options) {
    const number = this.#takenRequests + 1;
    this.#takenRequests = number;
    return this.#waiters.wait(
      `request ${number}`,
      () => {
        if (this.#asked.length < number) return undefined;
        const { token, data } = this.#asked[number - 1];
        return { value: { token, request: this.#decode(data) } };
      },
      () => this.#progress(),
      options,
      'SessionServer: nextRequest',
    );
  }

  // --- What the test does

  send(message) {
    const data = this.#encode('send', message);
    return this.#try('send', (now) => this.#half.send(now, data));
  }

  ask(request) {
    const data = this.#encode('ask', request);
    return this.#try('ask', (now) => this.#half.ask(now, data));
  }

  cancel(ask) {
    checkOption('SessionServer.cancel', 'ask', ask, NUMBER);
    this.#act((now) => this.#half.cancel(now, ask));
  }

  answer(token, answer) {
    checkOption('SessionServer.answer', 'token', token, NUMBER);
    const kinds = Object.keys(answer ?? {});
    const [kind] = kinds;
    if (kinds.length !== 1 || !['response', 'error', 'refused'].includes(kind)) {
      throw new TypeError(
        `SessionServer.answer: ${show(answer)} was given; it takes { response }, { error } or { refused }`,
      );
    }
    const value = answer[kind];
    if (kind === 'refused') checkOption('SessionServer.answer', kind, value, REFUSAL);
    const data = kind === 'refused' ? value : this.#encode('answer', value);
    this.#try('answer', (now) => this.#half.answer(now, token, kind, data));
  }

  hold(holds) {
    checkOption('SessionServer.hold', 'holds', holds, BOOLEAN);
    this.#act((now) => this.#half.hold(now, holds));
  }

  refuse(refuses) {
    checkOption('SessionServer.refuse', 'refuses', refuses, BOOLEAN);
    this.#half.refuse(refuses ? this.#half.refusedCode : undefined);
  }

  refuseWith(code) {
    checkOption('SessionServer.refuseWith', 'code', code, CLOSE_CODE);
    this.#half.refuse(code);
  }

  forget() {
    this.#act((now) => this.#half.forget(now));
  }

  end() {
    this.#act((now) => this.#half.end(now));
  }

  lose() {
    if (this.hasSession) this.loseBecause('full');
  }

  loseBecause(reason) {
    checkOption('SessionServer.loseBecause', 'reason', reason, REASON);
    this.#try('loseBecause', (now) => this.#half.lose(now, reason));
  }

  // --- Inside

  #encode(method, message) {
    const data = this.#codec ? this.#codec.encode(message) : message;
    if (typeof data === 'string') return data;
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (Object.prototype.toString.call(data) === '[object ArrayBuffer]') return new Uint8Array(data);
    throw new TypeError(
      `SessionServer.${method}: ${show(data)} is no message; it takes text, a buffer or a view, or with the option codec whatever that encodes at once`,
    );
  }

  #decode(data) {
    return this.#codec ? this.#codec.decode(data) : data;
  }

  #next(expected, accepts, options, method) {
    const number = this.#taken + 1;
    this.#taken = number;
    return this.#waiters.wait(
      `message ${number} to be ${expected}`,
      () => {
        if (this.#half.count < number) return undefined;
        const data = this.#half.received(number - 1);
        let message;
        try {
          message = this.#decode(data);
        } catch (error) {
          return { error: `it is ${show(data)}, which the codec does not decode: ${error?.message ?? error}` };
        }
        return accepts(message) ? { value: message } : { error: `it is ${show(message)}` };
      },
      () => this.#progress(),
      options,
      `SessionServer: ${method}`,
    );
  }

  #progress() {
    let state = 'no client has said hello';
    if (this.hasSession) state = this.#connections.size > 0 ? 'the client is connected' : 'the client is away';
    else if (this.ended) state = this.ended;
    const shown = Array.from({ length: this.#half.count }, (_, index) => {
      try {
        return show(this.#decode(this.#half.received(index)));
      } catch {
        return show(this.#half.received(index));
      }
    });
    return `${state}; received: ${showAll(shown)}`;
  }

  #now() {
    // Fake timers that are installed later may begin anywhere.
    this.#last = Math.max(this.#last, Math.floor(performance.now()));
    return this.#last;
  }

  #arrived(connection, data) {
    if (connection.state === 'closed') return;
    if (isBlob(data)) {
      connection.close(1003);
      return;
    }
    let number = this.#numbers.get(connection);
    if (number === undefined) {
      this.#count += 1;
      number = this.#count;
      this.#numbers.set(connection, number);
      this.#connections.set(number, connection);
    }
    this.#act((now) => this.#half.arrived(now, number, typeof data === 'string' ? data : new Uint8Array(data)));
  }

  /** Does something that the server's end may refuse, with its words. */
  #try(method, act) {
    return this.#act((now) => {
      try {
        return act(now);
      } catch (why) {
        throw typeof why === 'string' ? new Error(`SessionServer.${method}: ${why}`) : why;
      }
    });
  }

  /** Does something with the server's end, and what follows. */
  #act(act) {
    this.#look();
    try {
      return act(this.#now());
    } finally {
      this.#step();
    }
  }

  /** Tells the server's end of connections that have ended. */
  #look() {
    for (const [number, { state, closedWith }] of this.#connections) {
      if (state === 'closed') {
        this.#connections.delete(number);
        this.#half.closed(this.#now(), number, closedWith?.code);
      }
    }
  }

  #step() {
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      this.#look();
      for (let step = this.#half.poll(); step; step = this.#half.poll()) {
        const [number, what] = step;
        const connection = this.#connections.get(number);
        if (connection?.state !== 'open' && connection?.state !== 'closing') continue;
        if (step.length === 1) connection.cut();
        else if (typeof what === 'number') connection.close(what);
        else FakeConnection.deliver(connection, what);
      }
    } finally {
      this.#isStepping = false;
    }
    this.#arm();
    for (const [token, data] of this.#half.requests()) {
      if (!this.#asked.some((request) => request.token === token)) this.#asked.push({ token, data });
    }
    this.#waiters.changed();
  }

  #disarm() {
    this.#timer?.callOff();
    this.#timer = null;
  }

  #arm() {
    this.#disarm();
    const millis = this.#half.nextTimer(this.#now());
    if (millis === undefined) return;
    const { setTimeout, clearTimeout } = globalThis;
    const timer = setTimeout(
      () => {
        this.#timer = null;
        this.#act((now) => this.#half.timer(now));
      },
      Math.min(millis, LONGEST_TIMER),
    );
    // Node should not wait for a timer of the real clock.
    if (setTimeout === realTimers?.setTimeout) timer.unref?.();
    this.#timer = { callOff: () => clearTimeout(timer) };
  }
}

/** How frames are written with a codec; see `new` in `kit-wasm/src/lib.rs`. */
function styleOf(codec) {
  if (codec === json) return 0;
  try {
    return codec && typeof codec.encode(0) !== 'string' ? 2 : 1;
  } catch {
    // One that takes no numbers.
    return 1;
  }
}
