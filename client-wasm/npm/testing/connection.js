// One connection, as the test sees it from the server's side.

import { BOOLEAN, TEXT, checkOption, checkOptions } from './options.js';
import { isBlob, matches, show, showAll } from './show.js';
import { alignWithFakeTimers } from './fakes.js';
import { LONGEST_REASON, utf8Length } from './text.js';
import { Waiters } from './waiting.js';

/** The codes that a Close frame may carry (RFC 6455, section 7.4, and the registry that it establishes). */
const CODES = (code) =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);

const OPEN_OPTIONS = { protocol: TEXT, extensions: TEXT };
const CLOSE_OPTIONS = { slow: BOOLEAN };
const CUT_OPTIONS = { error: BOOLEAN };

/** The test's connection objects, by the link behind each. */
const connections = new WeakMap();

/** The connection object of a link. */
export function connectionOf(link) {
  return connections.get(link);
}

export class FakeConnection {
  #link;
  #endpoint;
  #number;
  /** How many messages `receive` and `expect` have taken. */
  #taken = 0;
  #waiters = new Waiters();
  /** Whether the endpoint has yet to decide on the handshake. */
  #isUndecided = true;

  /**
   * @param link - the link to represent
   * @param endpoint - the endpoint whose codec is used
   * @param number - for errors, 1 for the first
   */
  constructor(link, endpoint, number) {
    this.#link = link;
    this.#endpoint = endpoint;
    this.#number = number;
    connections.set(link, this);
  }

  get url() {
    return this.#link.url;
  }

  get offeredProtocols() {
    return [...this.#link.offered];
  }

  get protocol() {
    return this.#link.protocol;
  }

  get state() {
    return this.#link.state;
  }

  get bufferedAmount() {
    return this.#link.bufferedAmount;
  }

  get closedWith() {
    return this.#link.closedWith;
  }

  get end() {
    return this.#link.end;
  }

  get received() {
    return this.#link.received.map((data) => this.#endpoint.decode(data));
  }

  get socket() {
    return this.#link.socket.target;
  }

  // --- The handshake

  open(answer = {}) {
    checkOptions('FakeConnection.open', answer, OPEN_OPTIONS);
    this.#need('open', ['connecting']);
    const { protocol = this.#endpoint.protocolFor(this.#link.offered), extensions = '' } = answer;
    this.#link.open(protocol, extensions);
    return this;
  }

  refuse() {
    this.#need('refuse', ['connecting']);
    this.#link.fail();
  }

  // --- Messages

  send(message) {
    this.#need('send', ['open', 'closing']);
    const data = this.#endpoint.encode(message);
    if (
      typeof data !== 'string' &&
      !ArrayBuffer.isView(data) &&
      !/^\[object (ArrayBuffer|Blob|File)\]$/.test(Object.prototype.toString.call(data))
    ) {
      throw new TypeError(
        `FakeConnection.send: ${show(data)} is no message; it takes text, a buffer, a view or a Blob, or with the option codec whatever that encodes`,
      );
    }
    this.#link.deliver(
      ArrayBuffer.isView(data) ? data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) : data,
    );
  }

  receive(options) {
    return this.#next('a message', () => true, options, 'receive');
  }

  expect(expected, options) {
    if (isBlob(expected)) {
      return Promise.reject(
        new TypeError(
          'FakeConnection.expect: what a Blob holds cannot be compared; take the message by receive(), and read it',
        ),
      );
    }
    return this.#next(show(expected), (message) => matches(expected, message), options, 'expect');
  }

  expectClose(code, reason, options) {
    if (code !== undefined && typeof code !== 'number') {
      return Promise.reject(
        new TypeError(`FakeConnection.expectClose: code is ${show(code)}; it takes a number, or undefined for any`),
      );
    }
    const wanted =
      code === undefined ? 'close()' : `close(${code}${reason === undefined ? '' : `, ${JSON.stringify(reason)}`})`;
    return this.#waiters.wait(
      `${wanted} of the socket`,
      () => {
        const given = this.#link.closedWith;
        if (given) {
          const isRight =
            (code === undefined || given.code === code) && (reason === undefined || given.reason === reason);
          return isRight ? { value: undefined } : { error: `it called ${showClose(given)}` };
        }
        return this.#link.state === 'closed'
          ? { error: `the connection ended otherwise: ${this.#ending()}` }
          : undefined;
      },
      () => this.#progress(),
      options,
      this.#method('expectClose'),
    );
  }

  // --- Faults

  close(code = undefined, reason = '', options = {}) {
    checkOptions('FakeConnection.close', options, CLOSE_OPTIONS);
    this.#need('close', ['open', 'closing']);
    checkClose('FakeConnection.close', code, reason);
    this.#link.closeByServer(code, reason, options.slow ?? false);
  }

  finishClose(code, reason) {
    if (!this.#link.canFinish) {
      throw new Error(`${this.#method('finishClose')}: no close is under way: ${this.#progress()}`);
    }
    if (code !== undefined || reason !== undefined) {
      if (!this.#link.closedWith)
        throw new Error(
          `${this.#method('finishClose')}: the close is the server's own, whose code and reason close() was given`,
        );
      checkClose('FakeConnection.finishClose', code ?? this.#link.closedWith.code, reason ?? '');
    }
    this.#link.finishClose(code, reason);
  }

  cut(options = {}) {
    checkOptions('FakeConnection.cut', options, CUT_OPTIONS);
    this.#need('cut', ['connecting', 'open', 'closing']);
    this.#link.cut(options.error || this.state === 'connecting');
  }

  halfOpen() {
    this.#need('halfOpen', ['open', 'closing']);
    this.#link.isHalfOpen = true;
  }

  hold() {
    this.#need('hold', ['open']);
    this.#link.isHeld = true;
  }

  drain(bytes = Infinity) {
    this.#need('drain', ['open', 'closing']);
    if (!(typeof bytes === 'number' && bytes > 0))
      throw new RangeError(`FakeConnection.drain: it takes a number of bytes over 0, and got ${show(bytes)}`);
    if (this.#link.isHalfOpen)
      throw new Error(`${this.#method('drain')}: it is half-open, and nothing passes before resume()`);
    this.#link.drain(bytes);
  }

  resume() {
    this.#need('resume', ['open', 'closing']);
    this.#link.resume();
  }

  // --- Inside

  /** What is still being waited for. */
  static expectations(connection) {
    return connection.#waiters.expectations;
  }

  /** Sends data as they are. */
  static deliver(connection, data) {
    connection.#link.deliver(data);
  }

  static changed(connection) {
    connection.#waiters.changed();
  }

  static isUndecided(connection) {
    return connection.#isUndecided;
  }

  static decide(connection) {
    connection.#isUndecided = false;
  }

  static end(connection, why) {
    connection.#waiters.end(why);
  }

  #next(expected, accepts, options, method) {
    const number = this.#taken + 1;
    // It takes its place at once: expectations that are not awaited one by one get one message each.
    this.#taken = number;
    return this.#waiters.wait(
      `message ${number} to be ${expected}`,
      () => {
        if (this.#link.received.length >= number) {
          const data = this.#link.received[number - 1];
          let message;
          try {
            message = this.#endpoint.decode(data);
          } catch (error) {
            return { error: `it is ${show(data)}, which the codec does not decode: ${error?.message ?? error}` };
          }
          return accepts(message) ? { value: message } : { error: `it is ${show(message)}` };
        }
        return this.#link.state === 'closed' ? { error: `the connection has ended: ${this.#progress()}` } : undefined;
      },
      () => this.#progress(),
      options,
      this.#method(method),
    );
  }

  #need(method, states) {
    alignWithFakeTimers();
    if (states.includes(this.state)) return;
    throw new Error(
      `${this.#method(method)}: it is ${this.state}; this takes one that is ${states.join(' or ')}. ${this.#progress()}`,
    );
  }

  #method(name) {
    return `connection ${this.#number} to ${this.url}: ${name}`;
  }

  #progress() {
    const parts = [`it is ${this.state}`];
    if (this.#link.isHalfOpen) parts.push('half-open');
    if (this.#link.isHeld) parts.push('held');
    if (this.#link.end) parts.push(this.#ending());
    return `${parts.join(', ')}; received: ${showAll(this.#link.received.map((data) => this.#show(data)))}`;
  }

  /** Decoded if possible. */
  #show(data) {
    try {
      return show(this.#endpoint.decode(data));
    } catch {
      return show(data);
    }
  }

  #ending() {
    const { code, reason, wasClean } = this.#link.end;
    const by = this.#link.closedWith ? `, after the socket called ${showClose(this.#link.closedWith)}` : '';
    return `code ${code}${reason && ` ${JSON.stringify(reason)}`}, ${wasClean ? 'clean' : 'not clean'}${by}`;
  }
}

/** Throws an error if a Close frame cannot carry this. */
function checkClose(who, code, reason) {
  if (code !== undefined && !(Number.isInteger(code) && CODES(code))) {
    const hint = code === 1006 ? '; 1006 is what cut() gives' : '';
    throw new RangeError(
      `${who}: code ${show(code)} cannot be in a Close frame; it takes 1000 to 1014 save 1004 to 1006, and 3000 to 4999${hint}`,
    );
  }
  checkOption(who, 'reason', reason, TEXT);
  const bytes = utf8Length(reason);
  if (bytes > LONGEST_REASON || (code === undefined && bytes > 0)) {
    const why = bytes > LONGEST_REASON ? `has ${bytes} bytes; it takes at most ${LONGEST_REASON}` : 'needs a code';
    throw new RangeError(`${who}: the reason ${why}`);
  }
}

function showClose({ code, reason }) {
  return `close(${[code, reason || undefined]
    .filter((part) => part !== undefined)
    .map((part) => JSON.stringify(part))
    .join(', ')})`;
}
