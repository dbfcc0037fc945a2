// A queue in which taking the first does not move the others.

/** How many taken places are left lying before they are given back. */
const LAID_ASIDE = 64;

export class Fifo {
  #items = [];
  #start = 0;
  #bytes = 0;

  get length() { return this.#items.length - this.#start; }

  /** The sum over all. */
  get bytes() { return this.#bytes; }

  push(value, bytes) {
    this.#items.push({ value, bytes });
    this.#bytes += bytes;
  }

  /** The first, as `{ value, bytes }`; there has to be one. */
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

/** Whether one more message may wait in it; one of any size always may. */
function fits(fifo, bytes, limits) {
  return fifo.length === 0 || (fifo.length < limits.messages && fifo.bytes + bytes <= limits.bytes);
}

/**
 * Puts a message into a queue with limits.
 *
 * @param limits - `{ messages, bytes, overflow }`
 * @returns `null` if there was room; otherwise `dropped`, the messages that have none, and `failed`, whether that is
 *   not to be borne
 */
export function pushWithin(limits, fifo, value, bytes) {
  if (fits(fifo, bytes, limits)) {
    fifo.push(value, bytes);
    return null;
  }
  if (limits.overflow !== 'drop-oldest') return { dropped: [{ value, bytes }], failed: limits.overflow !== 'drop-newest' };
  const dropped = [];
  while (!fits(fifo, bytes, limits)) dropped.push(fifo.shift());
  fifo.push(value, bytes);
  return { dropped, failed: false };
}
