// What stands in for the core until the WebAssembly module is there: it keeps what was asked for, within the
// limits of the options, and replays it.

import { rowOf } from './convert.js';
import { contentOf } from './lent.js';
import { OPTIONS } from './options.js';
import { COUNTERS, WHYS } from './names.js';
import { now } from './ring.js';

/** What `send` of the core says became of a message. */
export const TAKEN = 0;
export const FULL = 1;
export const CLOSED = 2;

const [REQUESTED, SUSPENDED] = WHYS;

const [MAX_MESSAGES, MAX_BYTES, OVERFLOW, TTL] = ['maxQueuedMessages', 'maxQueuedBytes', 'overflow', 'messageTtl'].map(rowOf);
const OVERFLOWS = OPTIONS[OVERFLOW].choices;

/** The most milliseconds that a timer takes: as long as a message may wait, which rounding must not exceed. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** How an attempt ended that was none yet. */
function lostBefore(cause) {
  return Object.freeze({ code: 1006, reason: '', wasClean: false, wasOpen: false, cause });
}

/**
 * How many events one task tells at most, and how many dropped messages and bytes are kept for one at least where no
 * more may wait. The same numbers stand in Rust, in `client/src/driver.rs` and `client/src/connection/dropped.rs`.
 */
const TURN = 512;
const LEAST_KEPT = 256;
const LEAST_BYTES = 65_536;

/** Has the interface of the core, as far as `ReconnectingWebSocket` uses it. */
export class WaitingRoom {
  /** `idle`, `connecting`, `suspended` or `closed`. */
  state = 'idle';
  #host;
  #options;
  /** `{ data, bytes, first, ttl, expires }`, in the order in which they came. */
  #queue = [];
  #bytes = 0;
  #dropped = [0, 0];
  /** By reason, what was dropped and is not yet told: `{ messages, held, bytes, omitted }`. */
  #untold = new Map();
  /** What there is to tell, and how much of it this task may. */
  #tells = [];
  #left = TURN;
  /** Whether the end still has to be told. */
  #telling = false;
  /** Runs while a message can expire: `{ id, at }`, `at` being when the first of them does. */
  #timer = null;
  #owner;

  /**
   * @param host - what the core calls back on
   * @param options - the number for each row of the table
   * @param owner - what the host tells, and does not itself keep: the timer keeps it, so that a message that
   *   expires is reported
   */
  constructor(host, options, owner) {
    this.#host = host;
    this.#options = options;
    this.#owner = owner;
  }

  get readyState() {
    if (this.state === 'connecting' || this.state === 'suspended') return 0;
    return this.#telling ? 2 : 3;
  }

  get bufferedAmount() { return this.#bytes; }

  start() {
    this.state = 'connecting';
  }

  reconnect() {
    this.state = 'connecting';
  }

  // Each connection asks anew, and there is none yet.
  ready() {}

  wake() {}

  counters() {
    const counts = { attempt: 1, queuedMessages: this.#queue.length, queuedBytes: this.#bytes };
    [counts.droppedMessages, counts.droppedBytes] = this.#dropped;
    return COUNTERS.map((name) => counts[name] ?? 0);
  }

  send(data, bytes, first, volatile, ttl) {
    if (this.state === 'closed') return CLOSED;
    const message = { data, bytes, first, ttl, expires: now() + (ttl ?? this.#options[TTL]) };
    if (volatile) {
      this.#dropAndTell('volatile', [message]);
      return TAKEN;
    }
    this.#expire();
    if (!this.#fits(bytes)) {
      const overflow = OVERFLOWS[this.#options[OVERFLOW]];
      if (overflow === 'reject') return FULL;
      const fitsAlone = this.#options[MAX_MESSAGES] > 0 && bytes <= this.#options[MAX_BYTES];
      if (overflow === 'drop-newest' || !fitsAlone) {
        this.#dropAndTell('overflow', [message]);
        return TAKEN;
      }
      const oldest = [];
      while (!this.#fits(bytes)) oldest.push(this.#removeOldest());
      this.#dropAndTell('overflow', oldest);
    }
    this.#queue.push(message);
    this.#bytes += bytes;
    this.#arm();
    return TAKEN;
  }

  /** Nothing has been sent that a code could go with. */
  suspend() {
    if (this.state !== 'connecting') return;
    this.state = 'suspended';
    this.#tellSoon(() => {
      this.#host.log?.('suspended (attempt 1)');
      this.#host.stateChanged('suspended', 1, undefined, SUSPENDED);
      this.#host.closed(lostBefore('suspended'), undefined, SUSPENDED, 0, 0);
    });
  }

  close() {
    if (this.readyState === 0) this.end('closed', REQUESTED);
    else this.#dropAndTell('closed', this.#empty());
  }

  /** It is over, before there was an attempt. */
  end(cause, why) {
    this.state = 'closed';
    this.#telling = true;
    this.#drop('closed', this.#empty());
    this.#tellSoon(() => {
      this.#telling = false;
      // Without the explanation, which may quote a URL.
      this.#host.log?.(`closed (attempt 1): ${cause}`);
      this.#host.stateChanged('closed', 1, undefined, why);
      this.#tellDropped('closed');
      this.#host.failed();
      this.#host.closed(lostBefore(cause), undefined, why, 0, 0);
    });
  }

  /** Gives the core what is queued. */
  moveInto(core) {
    this.#expire();
    const time = now();
    // The core puts what goes first before the others, and has the same limits.
    for (const { data, bytes, first, ttl, expires } of this.#queue.splice(0)) {
      core.send(data, bytes, first, false, expires === Infinity ? ttl : Math.ceil(expires - time));
    }
    this.#bytes = 0;
    this.#arm();
  }

  #fits(bytes) {
    return this.#queue.length < this.#options[MAX_MESSAGES] && this.#bytes + bytes <= this.#options[MAX_BYTES];
  }

  /** Takes out the message that makes room: the oldest, of those that do not go first if there are any. */
  #removeOldest() {
    const ordinary = this.#queue.findIndex(({ first }) => !first);
    const [message] = this.#queue.splice(Math.max(ordinary, 0), 1);
    this.#bytes -= message.bytes;
    return message;
  }

  #expire() {
    const time = now();
    const expired = this.#queue.filter(({ expires }) => expires <= time);
    if (expired.length === 0) return;
    this.#queue = this.#queue.filter(({ expires }) => expires > time);
    for (const { bytes } of expired) this.#bytes -= bytes;
    this.#dropAndTell('expired', expired);
  }

  /** Has the timer run until the next message expires, and not at all if none will. */
  #arm() {
    const at = this.#queue.reduce((earliest, { expires }) => Math.min(earliest, expires), Infinity);
    if (at === (this.#timer?.at ?? Infinity)) return;
    clearTimeout(this.#timer?.id);
    this.#timer = at === Infinity ? null : { at, id: setTimeout(() => this.#ring(), Math.min(Math.ceil(at - now()), LONGEST_TIMER)) };
  }

  #ring() {
    this.#timer = null;
    this.#expire();
    // For the next message, or again for this one: a timer may run a little early.
    this.#arm();
  }

  #empty() {
    const messages = this.#queue.splice(0).sort((one, other) => other.first - one.first);
    this.#bytes = 0;
    this.#arm();
    return messages;
  }

  /** Counts messages that are dropped, and keeps as many of the newest as might wait, until they are told. */
  #drop(reason, messages) {
    const untold = this.#untold.get(reason) ?? { messages: [], held: 0, bytes: 0, omitted: 0 };
    const [most, mostBytes] = [Math.max(this.#options[MAX_MESSAGES], LEAST_KEPT), Math.max(this.#options[MAX_BYTES], LEAST_BYTES)];
    for (const message of messages) {
      this.#dropped[0] += 1;
      this.#dropped[1] += message.bytes;
      untold.bytes += message.bytes;
      untold.held += message.bytes;
      untold.messages.push(message);
      // The newest of any size.
      while (untold.messages.length > 1 && (untold.messages.length > most || untold.held > mostBytes)) {
        untold.held -= untold.messages.shift().bytes;
        untold.omitted += 1;
      }
    }
    if (untold.messages.length > 0) this.#untold.set(reason, untold);
  }

  #dropAndTell(reason, messages) {
    const isNew = !this.#untold.has(reason);
    this.#drop(reason, messages);
    if (isNew) this.#tellSoon(() => this.#tellDropped(reason));
  }

  #tellDropped(reason) {
    const untold = this.#untold.get(reason);
    if (!untold) return;
    this.#untold.delete(reason);
    this.#host.dropped(reason, untold.messages.map(({ data }) => contentOf(data)), untold.bytes, untold.omitted);
  }

  /** As the core does: after the code that is running, and no more in one task than the page can bear. */
  #tellSoon(tell) {
    this.#tells.push(tell);
    queueMicrotask(() => this.#tellAll());
  }

  #tellAll() {
    while (this.#tells.length > 0 && this.#left > 0) {
      this.#left -= 1;
      // The next task begins anew, whether something is left for it by then or not.
      if (this.#left === TURN / 2) {
        setTimeout(() => {
          this.#left = TURN;
          this.#tellAll();
        });
      }
      this.#tells.shift()();
    }
  }
}
