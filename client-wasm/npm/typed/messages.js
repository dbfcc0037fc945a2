// What `for await` reads from: messages that wait, within limits, until they are asked for.

import { OverflowError } from './errors.js';
import { Fifo, pushWithin } from './fifo.js';
import { asyncDispose } from './symbols.js';
import { abortable, nextTask, toSignal } from './waiting.js';

/** How many messages that wait already are given one after the other before the page gets its turn. */
const TURN = 1_000;

const DONE = Object.freeze({ value: undefined, done: true });

/** The socket's side of an iterator. */
export class Inbox {
  /** Given to the program. */
  iterator;
  #limits;
  #owner;
  #kept = new Fifo();
  /** What settles the call of `next` that waits first. There is one only while nothing is kept. */
  #first = null;
  /** The same of further calls. */
  #others = [];
  /** Made once: to make it and a list for each message takes a loop half as long again (0.35 µs, 0.5 µs). */
  #wait = (resolve) => {
    this.#given = 0;
    if (this.#first === null) this.#first = resolve;
    else this.#others.push(resolve);
  };
  /** How many were given without a wait. */
  #given = 0;
  #dropped = { messages: 0, bytes: 0 };
  /** How it ends when all is read: `{ error }`, the error being undefined for a good end. */
  #end = null;

  /**
   * @param limits - `{ messages, bytes, overflow }`
   * @param owner - `dropped(messages, bytes)` is told of messages without room, `overflowed(error, limits)` that it
   *   has failed for that reason, and `left(inbox)` that no more messages are wanted
   */
  constructor(limits, owner) {
    this.#limits = limits;
    this.#owner = owner;
    this.iterator = new MessageIterator(this);
  }

  /** What had no room so far. */
  get dropped() { return { ...this.#dropped }; }

  push(value, bytes) {
    if (this.#end) return;
    if (this.#first !== null) {
      this.#takeWaiting()({ value, done: false });
      return;
    }
    const overflow = pushWithin(this.#limits, this.#kept, value, bytes);
    if (overflow === null) return;
    const { dropped, failed } = overflow;
    const sum = dropped.reduce((total, message) => total + message.bytes, 0);
    this.#dropped.messages += dropped.length;
    this.#dropped.bytes += sum;
    if (failed) {
      const error = new OverflowError(this.#limits);
      this.finish(error);
      this.#owner.overflowed(error, this.#limits);
    }
    this.#owner.dropped(dropped.map((message) => message.value), sum);
  }

  /** No more will come; what is kept can still be read. */
  finish(error) {
    if (this.#end) return;
    this.#end = { error };
    this.#owner.left(this);
    this.#settleWaiting();
  }

  /** Lets go of everything at once; `error` is told to who asks for more. */
  cancel(error) {
    this.#kept.clear();
    if (this.#end) this.#end.error = error;
    else this.finish(error);
  }

  next(signal) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#kept.length > 0) {
      const result = { value: this.#kept.shift().value, done: false };
      this.#given += 1;
      // A loop may have each message bring the next.
      return this.#given % TURN === 0 ? nextTask().then(() => result) : Promise.resolve(result);
    }
    if (this.#end) return this.#tellEnd();
    if (signal === undefined) return new Promise(this.#wait);
    return abortable(signal, (resolve) => {
      this.#wait(resolve);
      return () => {
        if (this.#first === resolve) this.#takeWaiting();
        else this.#others = this.#others.filter((other) => other !== resolve);
      };
    });
  }

  #takeWaiting() {
    const resolve = this.#first;
    this.#first = this.#others.length > 0 ? this.#others.shift() : null;
    return resolve;
  }

  /** An error is told once. */
  #tellEnd() {
    const { error } = this.#end;
    this.#end.error = undefined;
    return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
  }

  #settleWaiting() {
    while (this.#first !== null) this.#takeWaiting()(this.#tellEnd());
  }
}

class MessageIterator {
  #inbox;

  constructor(inbox) {
    this.#inbox = inbox;
  }

  get dropped() { return this.#inbox.dropped; }

  // Not `async`: a loop would be three turns of the queue of microtasks later for each message.
  next(options = undefined) {
    try {
      return this.#inbox.next(toSignal('next', options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async return(value = undefined) {
    this.#inbox.cancel();
    return { value, done: true };
  }

  [Symbol.asyncIterator]() { return this; }

  async [asyncDispose]() {
    this.#inbox.cancel();
  }

  static {
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: 'MessageIterator', configurable: true });
  }
}
