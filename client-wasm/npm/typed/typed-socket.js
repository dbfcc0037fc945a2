// A socket whose messages are values of the program rather than text and bytes. Connections work as in
// `ReconnectingWebSocket`; this class adds what happens to messages on their way in and out.

import { CLASS, ClosedError, MessageError, OverflowError } from './errors.js';
import { Fifo, pushWithin } from './fifo.js';
import { json } from './codec.js';
import { Inbox } from './messages.js';
import { toValidator, validate } from './schema.js';
import { isThenable, rejectAs } from './steps.js';
import { readableOf, writableOf } from './streams.js';
import { asyncDispose, dispose } from './symbols.js';
import { Conditions, Turns, abortable, hush, toSignal } from './waiting.js';
import { ReconnectingWebSocket, inner } from '../loader.js';
import {
  INBOX_BYTES,
  INBOX_FULL,
  INBOX_MESSAGES,
  MAX,
  OPTION_NAMES,
  checkRoom,
  defineHandlers,
  dictionary,
  dispatch,
  plainEvent,
  report,
  toNumber,
  wrongKind,
} from '../wasm/steady_socket_wasm.js';

const OWN_OPTIONS = ['codec', 'incoming', 'outgoing', 'buffer'];

/** How much may wait to be read by default. */
const BUFFER = Object.freeze({ messages: INBOX_MESSAGES, bytes: INBOX_BYTES, overflow: 'drop-oldest' });

const OVERFLOWS = ['drop-oldest', 'drop-newest', 'error', 'close'];

export class TypedSocket extends ReconnectingWebSocket {
  #codec;
  /** Validate incoming and outgoing messages, if there are schemas. */
  #incoming;
  #outgoing;
  #buffer;
  /**
   * One for each iterator and each call of `forEach`. Replaced rather than changed, since loops may be iterating over
   * it.
   */
  #inboxes = [];
  /** Received messages that wait for earlier ones to be decoded. */
  #undecoded = new Fifo();
  /** The message being decoded, `{ data, bytes }`: a codec or a schema may take time. */
  #decoding = null;
  /** Runs from the end of the connection until the message being decoded counts as lost. */
  #patience = null;
  #invalid = 0;
  #unread = { messages: 0, bytes: 0 };
  /** Messages passed to `send` that wait for the schema or the codec. */
  #unsent = 0;
  #lastSent = Promise.resolve();
  /** Functions that reject each of these; a new set once the connection has ended. */
  #failing = new Set();
  /** Whether this side closed it, and the error if that was because of an overflow. */
  #wasClosed = false;
  #overflow;
  /** How it ended: `{ error, close }`; `error` is undefined for a clean end. */
  #end = null;
  #conditions = new Conditions();
  #turns = new Turns();
  #readable = null;
  #writable = null;

  constructor(url, options = undefined) {
    if (arguments.length === 0) throw new TypeError(`${CLASS}: the URL is missing`);
    if (isProtocols(options) || (arguments[2] ?? null) !== null) {
      throw new TypeError(
        `${CLASS}: the sub-protocols are an option: { protocols }`,
      );
    }
    const given = dictionary(CLASS, options, 'the options', [...OWN_OPTIONS, ...OPTION_NAMES]);
    const { codec, incoming, outgoing, buffer, ...rest } = given;
    const checked = {
      codec: toCodec(codec),
      incoming: incoming === undefined ? undefined : toValidator('incoming', incoming),
      outgoing: outgoing === undefined ? undefined : toValidator('outgoing', outgoing),
      buffer: toLimits(buffer, BUFFER),
    };
    super(url, rest);
    this.#codec = checked.codec;
    this.#incoming = checked.incoming;
    this.#outgoing = checked.outgoing;
    this.#buffer = checked.buffer;
    super.binaryType = 'arraybuffer';
    inner.receive(this, (data) => this.#received(data));
    super.addEventListener('open', () => this.#conditions.check());
    super.addEventListener('close', (event) => this.#closed(event));
  }

  // --- Overrides of the parent class

  get binaryType() {
    return 'arraybuffer';
  }

  set binaryType(_) {
    throw new TypeError(`${CLASS}: binaryType cannot be set; the codec is given binary messages as ArrayBuffer`);
  }

  close(code = undefined, reason = undefined) {
    const before = this.#wasClosed;
    // The end may be reported before the call returns.
    this.#wasClosed = true;
    try {
      super.close(code, reason);
    } catch (error) {
      this.#wasClosed = before;
      throw error;
    }
  }

  reconnect(code = undefined, reason = undefined) {
    const before = [this.#wasClosed, this.#overflow, this.#end];
    [this.#wasClosed, this.#overflow, this.#end] = [false, undefined, null];
    try {
      super.reconnect(code, reason);
    } catch (error) {
      [this.#wasClosed, this.#overflow, this.#end] = before;
      throw error;
    }
    if (!before[2]) return;
    // Ended streams stay ended.
    [this.#readable, this.#writable] = [null, null];
    // Undecoded messages of the last connection would delay those of the next.
    queueMicrotask(() => this.#abandonDecoding());
  }

  snapshot() {
    return {
      ...super.snapshot(),
      invalidMessages: this.#invalid,
      unreadMessages: this.#unread.messages,
      unreadBytes: this.#unread.bytes,
    };
  }

  // --- Sending

  send(message, options = undefined) {
    checkRoom();
    if (arguments.length === 0) throw new TypeError(`${CLASS}: send has nothing to send`);
    const failing = this.#failing;
    if (this.#unsent === 0) {
      const encoded = this.#encode(message);
      return isThenable(encoded)
        ? this.#follow(this.#sendLater(encoded, options, message, failing))
        : this.#sendEncoded(encoded, options, message);
    }
    const limit = inner.limit(this, 'maxQueuedMessages');
    if (this.#unsent > limit) {
      throw new DOMException(
        `${CLASS}: ${this.#unsent} messages wait for the schema or the codec already`,
        'QuotaExceededError',
      );
    }
    return this.#follow(
      this.#lastSent.then(() => {
        if (this.#failing === failing) return this.#sendLater(this.#encode(message), options, message, failing);
        return undefined;
      }),
    );
  }

  /** Validates and encodes; returns a promise if that takes time. */
  #encode(message) {
    if (!this.#outgoing) return this.#codec.encode(message);
    const valid = validate(this.#outgoing, message, 'the message');
    return isThenable(valid) ? valid.then((later) => this.#codec.encode(later)) : this.#codec.encode(valid);
  }

  #sendEncoded(encoded, options, message) {
    inner.send(this, toSendable(encoded), options, message);
  }

  async #sendLater(encoded, options, message, failing) {
    const data = await encoded;
    // Otherwise it has already been rejected.
    if (this.#failing === failing) this.#sendEncoded(data, options, message);
  }

  async drained(options = undefined) {
    const signal = toSignal('drained', options);
    const [high, low] = ['highWaterMark', 'lowWaterMark'].map((name) => inner.limit(this, name));
    const holdsAtMost = (bytes) => super.snapshot().queuedMessages === 0 && this.bufferedAmount <= bytes;
    const turn = this.#turns.giveWay();
    if (turn) await turn;
    signal?.throwIfAborted();
    this.#throwIfEnded();
    if (holdsAtMost(high - 1)) return;
    await this.#conditions.until(
      () => {
        this.#throwIfEnded();
        return holdsAtMost(low);
      },
      { signal, polled: true },
    );
  }

  get writable() {
    if (!this.#writable) {
      const writable = writableOf(this, () => {
        // This stream is finished; as long as the connection is not over, the next one works.
        if (!this.#end && this.#writable === writable) this.#writable = null;
      });
      this.#writable = writable;
      if (this.#end) this.#endWritable();
    }
    return this.#writable.writable;
  }

  /** Makes later messages wait until this one is sent or the connection has ended. */
  #follow(sent) {
    const failing = this.#failing;
    this.#unsent += 1;
    const done = new Promise((resolve, reject) => {
      const fail = (error) => {
        reject(error);
        hush(done);
      };
      failing.add(fail);
      const settling = (settle) => (value) => {
        failing.delete(fail);
        if (this.#failing === failing) this.#unsent -= 1;
        settle(value);
      };
      sent.then(settling(resolve), settling(reject));
    });
    this.#lastSent = done.catch(() => {});
    return done;
  }

  /** Messages that still wait for the schema or the codec will not be sent. */
  #failUnsent() {
    const failing = this.#failing;
    this.#failing = new Set();
    this.#unsent = 0;
    this.#lastSent = Promise.resolve();
    for (const fail of failing) fail(this.#endError());
  }

  // --- Receiving

  messages(options = undefined) {
    checkRoom();
    const signal = toSignal('messages', options, ['signal', 'buffer']);
    const inbox = new Inbox(toLimits(options?.buffer, this.#buffer), {
      dropped: (messages, bytes) => this.#reportUnread('inbox-full', messages, bytes),
      overflowed: (error, limits) => {
        if (limits.overflow === 'close') this.#closeFull(error);
      },
      left: () => {
        this.#inboxes = this.#inboxes.filter((other) => other !== inbox);
        signal?.removeEventListener('abort', onAbort);
      },
    });
    const onAbort = () => inbox.cancel(signal.reason);
    if (signal?.aborted) {
      onAbort();
    } else if (this.#end) {
      inbox.finish(this.#end.error);
    } else {
      this.#inboxes = [...this.#inboxes, inbox];
      signal?.addEventListener('abort', onAbort, { once: true });
    }
    return inbox.iterator;
  }

  [Symbol.asyncIterator]() {
    return this.messages();
  }

  forEach(handler, options = undefined) {
    try {
      if (typeof handler !== 'function') throw wrongKind(CLASS, 'the handler of forEach', handler, 'a function');
      return this.#forEach(handler, toSignal('forEach', options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #forEach(handler, signal) {
    checkRoom();
    let isOver = false;
    const reading = abortable(signal, (resolve, reject) => {
      const leave = (isQuiet = true) => {
        // A loop may be iterating over the list.
        isOver = true;
        this.#inboxes = this.#inboxes.filter((other) => other !== reader);
        if (isQuiet) queueMicrotask(() => hush(reading));
      };
      const reader = {
        push(value) {
          if (isOver) return;
          try {
            handler(value);
          } catch (error) {
            if (isOver) {
              report(error);
              return;
            }
            leave(false);
            reject(error);
          }
        },
        finish(error) {
          leave();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      if (this.#end) reader.finish(this.#end.error);
      else this.#inboxes = [...this.#inboxes, reader];
      return leave;
    });
    // If nothing awaits it, its end is visible by the signal and the socket's events.
    if (signal?.aborted) hush(reading);
    return reading;
  }

  next(options = undefined) {
    const next = this.#next(options);
    // Called before the message that triggers the answer is sent, it may reject before it is awaited.
    hush(next);
    return next;
  }

  async #next(options) {
    const signal = toSignal('next', options);
    const messages = this.messages();
    try {
      const { value, done } = await messages.next({ signal });
      if (done) throw new ClosedError('closed', this.#end?.close);
      return value;
    } finally {
      messages.return();
    }
  }

  get readable() {
    if (!this.#readable) {
      const readable = readableOf(this.messages(), () => {
        // As for `writable`.
        if (!this.#end && this.#readable === readable) this.#readable = null;
      });
      this.#readable = readable;
    }
    return this.#readable;
  }

  #received(data) {
    // The browser's buffer may have shrunk by now, and timers may be throttled.
    this.#conditions.check();
    const bytes = typeof data === 'string' ? data.length : data.byteLength;
    if (!this.#decoding) {
      const handled = this.#handle(data, bytes);
      if (isThenable(handled)) this.#handleRest(handled);
      return;
    }
    const overflow = pushWithin(this.#buffer, this.#undecoded, data, bytes);
    if (overflow === null) return;
    const { dropped, failed } = overflow;
    if (failed) this.#failUndecoded();
    const sum = dropped.reduce((total, message) => total + message.bytes, 0);
    this.#reportUnread(
      'not-decoded',
      dropped.map(({ value }) => value),
      sum,
    );
  }

  /** Decodes, validates and delivers one message. It never throws, and returns a promise if it takes time. */
  #handle(data, bytes) {
    try {
      const value = this.#interpret(data);
      if (isThenable(value)) return this.#handleLater(value, data, bytes);
      this.#handOut(value, bytes);
    } catch (error) {
      this.#refuse(error, data);
    }
    return undefined;
  }

  async #handleLater(value, data, bytes) {
    const decoding = { data, bytes };
    this.#decoding = decoding;
    let settled;
    try {
      settled = { value: await value };
    } catch (error) {
      settled = { error };
    }
    // Otherwise it took too long and has been reported.
    if (this.#decoding !== decoding) return;
    try {
      if (Object.hasOwn(settled, 'error')) throw settled.error;
      this.#handOut(settled.value, bytes);
    } catch (error) {
      this.#refuse(error, data);
    }
  }

  /** Decodes and validates; returns a promise if that takes time. */
  #interpret(data) {
    let value;
    try {
      value = this.#codec.decode(data);
    } catch (thrown) {
      throw undecodable(thrown);
    }
    if (isThenable(value)) return rejectAs(value, undecodable).then((later) => this.#validated(later));
    return this.#validated(value);
  }

  #validated(value) {
    if (!this.#incoming) return value;
    try {
      const valid = validate(this.#incoming, value, 'a message');
      return isThenable(valid) ? rejectAs(valid, unvalidated) : valid;
    } catch (thrown) {
      throw unvalidated(thrown);
    }
  }

  /** One after the other, to keep their order. */
  async #handleRest(first) {
    let decoding = this.#decoding;
    await first;
    // Until it has taken too long: then this loop owns nothing any more.
    while (this.#decoding === decoding) {
      if (this.#undecoded.length === 0) {
        this.#decoding = null;
        if (this.#end) this.#finish();
        return;
      }
      const turn = this.#turns.giveWay();
      if (turn) {
        await turn;
        continue;
      }
      const { value, bytes } = this.#undecoded.shift();
      const handled = this.#handle(value, bytes);
      if (isThenable(handled)) {
        decoding = this.#decoding;
        await handled;
      }
    }
  }

  /** Gives up undecoded messages and reports them. */
  #abandonDecoding() {
    clearTimeout(this.#patience);
    if (!this.#decoding) return;
    const { data, bytes } = this.#decoding;
    const lost = [{ value: data, bytes }];
    this.#decoding = null;
    while (this.#undecoded.length > 0) lost.push(this.#undecoded.shift());
    this.#reportUnread(
      'not-decoded',
      lost.map(({ value }) => value),
      lost.reduce((sum, message) => sum + message.bytes, 0),
    );
    if (this.#end) this.#finish();
  }

  #handOut(value, bytes) {
    for (const inbox of this.#inboxes) inbox.push(value, bytes);
    inner.emitMessage(this, value, this.#inboxes.length > 0);
  }

  #refuse(error, data) {
    if (!(error instanceof MessageError)) {
      // Thrown by a subclass's own `close`.
      report(error);
      return;
    }
    this.#invalid += 1;
    dispatch(this, plainEvent('invalid', { error: error.about(data) }));
  }

  #reportUnread(reason, messages, bytes) {
    this.#unread.messages += messages.length;
    this.#unread.bytes += bytes;
    dispatch(this, plainEvent('dropped', { reason, messages: Object.freeze(messages), bytes, omitted: 0 }));
  }

  /** Messages arrive faster than they are decoded, and the option `overflow` makes that an error. */
  #failUndecoded() {
    const error = new OverflowError(this.#buffer);
    for (const inbox of this.#inboxes) inbox.finish(error);
    if (this.#buffer.overflow === 'close') this.#closeFull(error);
  }

  #closeFull(error) {
    this.#overflow = error;
    this.close(INBOX_FULL, 'inbox full');
  }

  // --- The end

  async opened(options = undefined) {
    const signal = toSignal('opened', options);
    signal?.throwIfAborted();
    this.#throwIfEnded();
    await this.#conditions.until(() => this.readyState === ReconnectingWebSocket.OPEN, { signal });
  }

  [dispose]() {
    this.close();
  }

  async [asyncDispose]() {
    const isOver = () => this.state === 'closed' || this.state === 'idle';
    this.close();
    if (isOver()) return;
    await new Promise((resolve) => {
      super.addEventListener('close', () => {
        if (isOver()) resolve();
      });
    });
  }

  #closed(close) {
    if (close.willReconnect) return;
    const isGood = this.#wasClosed || close.cause === 'closed' || (close.code === 1000 && close.wasClean);
    this.#end = { error: this.#overflow ?? (isGood ? undefined : new ClosedError('lost', close)), close };
    this.#conditions.fail(this.#endError());
    this.#failUnsent();
    this.#endWritable();
    // A schema may never settle.
    if (this.#decoding) this.#patience = setTimeout(() => this.#abandonDecoding(), inner.limit(this, 'closeTimeout'));
    else this.#finish();
  }

  /** Every message received has been delivered or given up. */
  #finish() {
    clearTimeout(this.#patience);
    for (const inbox of this.#inboxes) inbox.finish(this.#end.error);
  }

  #endWritable() {
    this.#writable?.end(this.#endError());
  }

  /** The error for calls that would otherwise wait for ever. */
  #endError() {
    return this.#end.error ?? new ClosedError('closed', this.#end.close);
  }

  /** It counts as ended once `close` is called, since nothing can be sent from then on. */
  #throwIfEnded() {
    if (this.#end) throw this.#endError();
    if (this.state === 'closing' || this.state === 'closed') throw new ClosedError('closed');
  }

  static {
    for (const name of Object.getOwnPropertyNames(this.prototype)) {
      if (name !== 'constructor') Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
    defineHandlers(this.prototype, ['invalid'], () => {});
  }
}

// --- Options ------------------------------------------------------------------------------------------------

/** Whether it is the second argument of `ReconnectingWebSocket`, which for this class is an option. */
function isProtocols(value) {
  return typeof value === 'string' || typeof value === 'function' || typeof value?.[Symbol.iterator] === 'function';
}

function toCodec(codec = json) {
  const isCodec =
    typeof codec === 'object' &&
    codec !== null &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function';
  if (!isCodec) {
    throw wrongKind(
      CLASS,
      'option codec',
      codec,
      'json, the msgpack of steady-socket/msgpack, or an object with the functions encode and decode',
    );
  }
  return codec;
}

/** Validates the limits of what may wait to be read; `base` has the defaults. */
function toLimits(given, base) {
  const {
    messages = base.messages,
    bytes = base.bytes,
    overflow = base.overflow,
  } = dictionary(CLASS, given, 'option buffer', Object.keys(base));
  const whole = (name, unit, value) =>
    toNumber(CLASS, { name, kind: 'whole', unit, min: 1, max: MAX, unlimited: false }, value);
  toNumber(CLASS, { name: 'buffer.overflow', kind: 'choice', choices: OVERFLOWS }, overflow);
  return { messages: whole('buffer.messages', '', messages), bytes: whole('buffer.bytes', ' bytes', bytes), overflow };
}

// --- Messages -----------------------------------------------------------------------------------------------

const SENDABLE = ['ArrayBuffer', 'SharedArrayBuffer', 'Blob', 'File'];

/** Checks the codec's result; anything else would be sent as its string form. */
export function toSendable(data) {
  if (typeof data === 'string' || ArrayBuffer.isView(data)) return data;
  const tag = Object.prototype.toString.call(data).slice('[object '.length, -1);
  if (SENDABLE.includes(tag)) return data;
  throw new MessageError(
    'encode-failed',
    'the codec did not encode the message as a string, a buffer, a view or a Blob',
  );
}

/** This package's codecs say what was wrong; exceptions of other codecs may quote the message. */
function undecodable(thrown) {
  if (thrown instanceof MessageError) return thrown;
  return new MessageError('decode-failed', 'the codec cannot decode a message', { thrown });
}

function unvalidated(thrown) {
  if (thrown instanceof MessageError) return thrown;
  return new MessageError('schema-failed', 'the schema threw instead of answering', { thrown });
}
