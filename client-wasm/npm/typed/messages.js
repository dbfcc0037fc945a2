// What `for await` reads from: messages that wait, within limits, until they are requested.

import { OverflowError } from './errors.js';
import { Fifo, pushWithin } from './fifo.js';
import { asyncDispose } from './symbols.js';
import { abortable, nextTask, toSignal } from './waiting.js';

/** How many waiting messages are delivered back to back before the page gets a turn. */
const TURN = 1_000;

const DONE = Object.freeze({ value: undefined, done: true });

/** The socket's side of an iterator. */
export class Inbox {
  /** The program's side. */
  iterator;
  #limits;
  #owner;
  #kept = new Fifo();
  /** Resolves the `next` call that has waited longest. Calls wait only while no message is kept. */
  #first = null;
  /** The same for further calls. */
  #others = [];
  /** Created once: creating it and a list per message makes a loop half as slow again (0.35 µs, 0.5 µs). */
  #wait = (resolve) => {
    this.#given = 0;
    if (this.#first === null) this.#first = resolve;
    else this.#others.push(resolve);
  };
  /** How many were delivered without a wait. */
  #given = 0;
  #dropped = { messages: 0, bytes: 0 };
  /** How it ends once everything is read: `{ error }`; `error` is undefined for a clean end. */
  #end = null;

  /**
   * @param limits - `{ messages, bytes, overflow }`
   * @param owner - `dropped(messages, bytes)` is called with messages that found no room, `overflowed(error, limits)`
   *   when the inbox has failed for that reason, and `left(inbox)` when it wants no more messages
   */
  constructor(limits, owner) {
    this.#limits = limits;
    this.#owner = owner;
    this.iterator = new MessageIterator(this);
  }

  /** What found no room so far. */
  get dropped() {
    return { ...this.#dropped };
  }

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
    this.#owner.dropped(
      dropped.map((message) => message.value),
      sum,
    );
  }

  /** No more messages will come; those kept can still be read. */
  finish(error) {
    if (this.#end) return;
    this.#end = { error };
    this.#owner.left(this);
    this.#settleWaiting();
  }

  /** Drops everything at once; the next request gets `error`. */
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
      // In a loop, each message may trigger the next.
      return this.#given % TURN === 0 ? nextTask().then(() => result) : Promise.resolve(result);
    }
    if (this.#end) return this.#endResult();
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

  /** An error is reported once. */
  #endResult() {
    const { error } = this.#end;
    this.#end.error = undefined;
    return error === undefined ? Promise.resolve(DONE) : Promise.reject(error);
  }

  #settleWaiting() {
    while (this.#first !== null) this.#takeWaiting()(this.#endResult());
  }
}

class MessageIterator {
  #inbox;

  constructor(inbox) {
    this.#inbox = inbox;
  }

  get dropped() {
    return this.#inbox.dropped;
  }

  // Not `async`: that would delay a loop by three microtasks per message.
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

  [Symbol.asyncIterator]() {
    return this;
  }

  async [asyncDispose]() {
    this.#inbox.cancel();
  }

  static {
    Object.defineProperty(this.prototype, Symbol.toStringTag, { value: 'MessageIterator', configurable: true });
  }
}
