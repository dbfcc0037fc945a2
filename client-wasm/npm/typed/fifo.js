// A queue that removes its first element without moving the others.

/** How many emptied places accumulate before they are removed. */
const LAID_ASIDE = 64;

export class Fifo {
  #items = [];
  #start = 0;
  #bytes = 0;

  get length() {
    return this.#items.length - this.#start;
  }

  /** The total over all elements. */
  get bytes() {
    return this.#bytes;
  }

  push(value, bytes) {
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
  }

  /** Removes and returns the first, as `{ value, bytes }`; the queue must not be empty. */
  shift() {
    const first = this.#items[this.#start];
    this.#items[this.#start] = undefined;
    this.#start += 1;
    this.#bytes -= first.bytes;
    if (this.#start > LAID_ASIDE && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return first;
  }

  clear() {
    this.#items = [];
    this.#start = 0;
    this.#bytes = 0;
  }
}

/** Whether one more message fits; a message of any size fits an empty queue. */
function fits(fifo, bytes, limits) {
  return fifo.length === 0 || (fifo.length < limits.messages && fifo.bytes + bytes <= limits.bytes);
}

/**
 * Adds a message to a queue with limits.
 *
 * @param limits - `{ messages, bytes, overflow }`
 * @returns `null` if there was room; otherwise `dropped`, the messages without room, and `failed`, whether the overflow
 *   is an error
 */
export function pushWithin(limits, fifo, value, bytes) {
  if (fits(fifo, bytes, limits)) {
    fifo.push(value, bytes);
    return null;
  }
  if (limits.overflow !== 'drop-oldest')
    return { dropped: [{ value, bytes }], failed: limits.overflow !== 'drop-newest' };
  const dropped = [];
  while (!fits(fifo, bytes, limits)) dropped.push(fifo.shift());
  fifo.push(value, bytes);
  return { dropped, failed: false };
}
