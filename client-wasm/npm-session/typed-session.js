// `TypedSocket` with sessions: a message is handled when the program is done with it, and waits as long as nothing reads.

import { json } from './typed/codec.js';
import { CLASS, MAX_DEPTH } from './typed/errors.js';
import { toValidator, validate } from './typed/schema.js';
import { isThenable } from './typed/steps.js';
import { asyncDispose } from './typed/symbols.js';
import { TypedSocket as Plain, toSendable } from './typed/typed-socket.js';
import { inner } from './loader.js';
import {
  Decoded,
  NotHandledError,
  STYLES,
  deliverData,
  dispatch,
  handleWith,
  hushed,
  needSession,
  plainEvent,
  reading,
  requestData,
} from './wasm/steady_socket_wasm.js';

/** What the program does with messages: whether it reads any, and whether it is done with the last one. */
class Readers {
  /** One for each iterator: `isBusy` from when it has a message until the next is asked for. */
  #iterators = new Set();
  /** How many calls of `forEach` run, and whether there have been listeners. */
  loops = 0;
  hasListeners = false;
  /** How many messages are being decoded. */
  #undecoded = 0;
  #socket;

  constructor(socket) {
    // The socket keeps this.
    this.#socket = new WeakRef(socket);
  }

  get isBusy() {
    if (this.#undecoded > 0) return true;
    return this.#iterators.size > 0 && [...this.#iterators].some(({ isBusy }) => isBusy);
  }

  get isReading() {
    return !this.isBusy && (this.#iterators.size > 0 || this.loops > 0 || this.hasListeners);
  }

  /** Something has changed. */
  changed() {
    const socket = this.#socket.deref();
    if (socket) reading(socket);
  }

  /** Every iterator gets the message that is being given. */
  given() {
    for (const iterator of this.#iterators) iterator.isBusy = true;
  }

  /** Notices when a codec or a schema takes time. */
  follow(value) {
    if (!isThenable(value)) return value;
    this.#undecoded += 1;
    const done = () => {
      // Behind the code that hands the message out.
      setTimeout(() => {
        this.#undecoded -= 1;
        this.changed();
      });
    };
    Promise.resolve(value).then(done, done);
    return value;
  }

  /** An iterator over the messages of another. */
  over(messages) {
    const iterator = { isBusy: true };
    this.#iterators.add(iterator);
    const leave = () => {
      if (this.#iterators.delete(iterator)) this.changed();
    };
    return {
      get dropped() {
        return messages.dropped;
      },
      next: (options) => {
        const next = messages.next(options);
        iterator.isBusy = false;
        next.then(
          ({ done }) => done && leave(),
          () => {
            // It was aborted, and the iterator goes on.
            iterator.isBusy = true;
          },
        );
        this.changed();
        return next;
      },
      return: (value) => {
        leave();
        return messages.return(value);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
      async [asyncDispose]() {
        leave();
        await messages.return();
      },
      [Symbol.toStringTag]: 'MessageIterator',
    };
  }
}

export class TypedSocket extends Plain {
  #readers;
  #encode;
  /** Settles when everything is sent that waits for the codec or a schema; `null` if nothing does. */
  #before = null;
  /** How many messages wait so, and functions that end the wait of those whose end is awaited. */
  #waiting = 0;
  #awaited = new Set();

  constructor(url, options = undefined, ...rest) {
    const { session, codec = json, incoming, outgoing } = options ?? {};
    if (session === undefined || typeof codec?.decode !== 'function') {
      super(url, options, ...rest);
      return;
    }
    let readers;
    const follow = (value) => readers.follow(value);
    const check = incoming === undefined ? undefined : toValidator('incoming', incoming);
    super(
      url,
      {
        ...options,
        codec: {
          encode: (message) => codec.encode(message),
          // What a batch has decoded already passes.
          decode: (data) => (data instanceof Decoded ? data.value : follow(codec.decode(data))),
        },
        ...(check && {
          incoming: { '~standard': { version: 1, vendor: 'steady-socket', validate: (value) => follow(check(value)) } },
        }),
      },
      ...rest,
    );
    readers = new Readers(this);
    this.#readers = readers;
    const valid = outgoing === undefined ? undefined : toValidator('outgoing', outgoing);
    this.#encode = (message) => {
      if (!valid) return codec.encode(message);
      const checked = validate(valid, message, 'the message');
      return isThenable(checked) ? checked.then((later) => codec.encode(later)) : codec.encode(checked);
    };
    Object.assign(needSession(this, 'the constructor'), {
      style: styleOf(codec),
      maxDepth: MAX_DEPTH,
      reads: () => readers.isReading,
      isBusy: () => readers.isBusy,
      given: () => readers.given(),
      encode: (message) => codec.encode(message),
      decode: (data) => codec.decode(data),
    });
    this.#showReceived();
    super.addEventListener('close', ({ willReconnect }) => {
      if (willReconnect) return;
      for (const end of [...this.#awaited]) end();
    });
  }

  /** Before any listener of the program's, puts what was received where the program sees it. */
  #showReceived() {
    super.addEventListener('invalid', ({ error }) => {
      if (error.data instanceof Decoded) error.about(error.data.text);
    });
    super.addEventListener('dropped', (event) => {
      const { reason, messages, bytes, omitted } = event;
      if (!messages.some((message) => message instanceof Decoded)) return;
      event.stopImmediatePropagation();
      const shown = Object.freeze(messages.map((message) => (message instanceof Decoded ? message.text : message)));
      dispatch(this, plainEvent('dropped', { reason, messages: shown, bytes, omitted }));
    });
  }

  send(message, options = undefined) {
    if (arguments.length === 0 || !this.#readers) return super.send(...arguments);
    if (!this.#before) {
      const sent = super.send(message, options);
      return isThenable(sent) ? this.#follow(sent) : sent;
    }
    this.#checkWaiting();
    return this.#follow(this.#before.then(() => super.send(message, options)));
  }

  deliver(message, options = undefined) {
    return this.#encoded(message, 'deliver', options, (data) => deliverData(this, data, [message], options));
  }

  request(message, options = undefined) {
    return this.#encoded(message, 'request', options, (data) => {
      const { response, ...rest } = options ?? {};
      const validator = response === undefined ? undefined : toValidator('response', response);
      const answer = requestData(this, data, [message], rest);
      return validator ? answer.then((value) => validate(validator, value, 'the response')) : answer;
    });
  }

  /** At once if that takes no time; otherwise what is sent later waits, so that everything keeps its place. */
  #encoded(message, method, options, then) {
    return hushed(
      new Promise((resolve, reject) => {
        const { who } = needSession(this, method);
        const signal = options?.signal instanceof AbortSignal ? options.signal : undefined;
        signal?.throwIfAborted();
        this.#checkWaiting();
        const post = (data) => then(toSendable(data));
        const encoded = this.#before ? this.#before.then(() => this.#encode(message)) : this.#encode(message);
        if (!isThenable(encoded)) {
          resolve(post(encoded));
          return;
        }
        const wait = new Promise((done) => {
          const leave = (how, value) => {
            if (!this.#awaited.delete(end)) return;
            signal?.removeEventListener('abort', onAbort);
            try {
              how(value);
            } catch (error) {
              reject(error);
            }
            done();
          };
          const end = () => leave(reject, new NotHandledError(who, 'the session is over', message));
          const onAbort = () => leave(reject, signal.reason);
          this.#awaited.add(end);
          signal?.addEventListener('abort', onAbort, { once: true });
          encoded.then(
            (data) => leave(() => resolve(post(data))),
            (error) => leave(reject, error),
          );
        });
        this.#follow(wait);
      }),
    );
  }

  #follow(sent) {
    this.#waiting += 1;
    const done = () => {
      this.#waiting -= 1;
      if (this.#before === before) this.#before = null;
    };
    const before = sent.then(done, done);
    this.#before = before;
    return sent;
  }

  #checkWaiting() {
    if (this.#waiting > inner.limit(this, 'maxQueuedMessages')) {
      throw new DOMException(
        `${CLASS}: ${this.#waiting} messages wait for the schema or the codec already`,
        'QuotaExceededError',
      );
    }
  }

  handle(...given) {
    const handler = given.pop();
    const [schema] = given;
    const validator = schema === undefined ? undefined : toValidator('request', schema);
    handleWith(
      this,
      validator && typeof handler === 'function'
        ? async (request, context) => handler.call(this, await validate(validator, request, 'a request'), context)
        : handler,
    );
  }

  // --- Who reads

  messages(options = undefined) {
    const messages = super.messages(options);
    return this.#readers ? this.#readers.over(messages) : messages;
  }

  forEach(handler, options = undefined) {
    const reading = super.forEach(handler, options);
    if (this.#readers) this.#loop(reading);
    return reading;
  }

  #loop(reading) {
    const readers = this.#readers;
    readers.loops += 1;
    const done = () => {
      readers.loops -= 1;
    };
    reading.then(done, done);
    readers.changed();
  }

  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    if (String(type) === 'message') this.#listens();
  }

  get onmessage() {
    return super.onmessage;
  }

  set onmessage(handler) {
    super.onmessage = handler;
    this.#listens();
  }

  #listens() {
    if (!this.#readers) return;
    this.#readers.hasListeners = true;
    this.#readers.changed();
  }

  static {
    for (const name of ['deliver', 'request', 'handle']) {
      Object.defineProperty(this.prototype, name, { enumerable: true });
    }
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: CLASS, configurable: true });
  }
}

/** How frames are written with a codec. */
function styleOf(codec) {
  if (codec === json) return STYLES.json;
  try {
    const sample = codec.encode(0);
    if (isThenable(sample)) {
      // Either will do, and nobody waits for this.
      sample.then(undefined, () => {});
      return STYLES.text;
    }
    return typeof sample === 'string' ? STYLES.text : STYLES.binary;
  } catch {
    // One that takes no numbers.
    return STYLES.text;
  }
}
