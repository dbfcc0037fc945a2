// What stands in for the core while there is no instance of the WebAssembly module: it keeps what was asked for, within
// the limits of the options, and replays it. A module that cannot be loaded, and one that has failed, are losses: what
// follows from a loss is decided here as `client/src/connection/attempt.rs` does, and a test holds the waits against it.

import { rowOf } from './convert.js';
import { contentOf } from './lent.js';
import { OPTIONS } from './options.js';
import { COUNTERS, WHYS } from './names.js';
import { RETRY, STOP, chance, hear, now, verdictOf } from './ring.js';

/** What `send` of the core says became of a message. */
export const TAKEN = 0;
export const FULL = 1;
export const CLOSED = 2;

const [
  REQUESTED, SUSPENDED, WAIT_OVER, , POLICY_RETRIES, PREDICATE_RETRIES, , SERVER_ASKS, LATER_BY_CODE, WOKEN,
  TOO_MANY_ATTEMPTS, ,
  PREDICATE_STOPS, , RETRIES_EXHAUSTED, RECONNECT_OFF,
] = WHYS;

const [
  MAX_MESSAGES, MAX_BYTES, OVERFLOW, TTL, FIRST_DELAY_MAX, MIN_DELAY, BASE_DELAY, GROWTH_FACTOR, MAX_DELAY, MAX_RETRIES,
  RECONNECT, ATTEMPT_BURST, ATTEMPT_INTERVAL,
] = [
  'maxQueuedMessages', 'maxQueuedBytes', 'overflow', 'messageTtl', 'firstDelayMax', 'minDelay', 'baseDelay', 'growthFactor',
  'maxDelay', 'maxRetries', 'reconnect', 'attemptBurst', 'attemptInterval',
].map(rowOf);
const OVERFLOWS = OPTIONS[OVERFLOW].choices;

/** The places of the counters. */
const [ATTEMPT, ATTEMPTS, , , , , , QUEUED, QUEUED_BYTES, DROPPED, DROPPED_BYTES, UNCONFIRMED, UNCONFIRMED_BYTES, , NEXT_ATTEMPT_IN] = COUNTERS.keys();

/** The most milliseconds that a timer takes: as long as a message may wait, which rounding must not exceed. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** As in the core: how soon after the browser says that there is a network again an attempt is made, in milliseconds. */
const ONLINE = [200, 2_000];

/** What the page and the network tell, by number, as in `HINTS` of `src/ring.rs`. */
const IS_ONLINE = 0;
const IS_OFFLINE = 1;
const IS_VISIBLE = 2;

function draw(min, max, part) {
  return Math.floor(min + Math.max(max - min, 0) * part);
}

/** The wait before retry number `retry`, in milliseconds, as `client/src/connection/backoff.rs` draws it. */
export function backoff(numbers, retry, part) {
  if (retry === 0) return draw(0, numbers[FIRST_DELAY_MAX], part);
  const ceiling = numbers[BASE_DELAY] * numbers[GROWTH_FACTOR] ** Math.min(retry, 64);
  return draw(numbers[MIN_DELAY], Math.max(Math.min(ceiling, numbers[MAX_DELAY]), numbers[MIN_DELAY]), part);
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
  /** `idle`, `connecting`, `waiting`, `suspended` or `closed`. */
  state = 'idle';
  #host;
  #options;
  /** `{ data, bytes, first, expires }`, in the order in which they came. */
  #queue = [];
  #bytes = 0;
  /** By reason, what was dropped and is not yet told: `{ messages, held, bytes, omitted }`. */
  #untold = new Map();
  /** What there is to tell, and how much of it this task may. */
  #tells = [];
  #left = TURN;
  /** Whether the end still has to be told. */
  #telling = false;
  /** Runs while a message can expire: `{ id, at }`, `at` being when the first of them does. */
  #timer = null;
  /** The wait for the next attempt: `{ id, until, isFirm }`. */
  #wait = null;
  /** Tells of the attempt that has begun. The core does so itself, where the module comes at once. */
  #begun = null;
  /** Ends listening to the page. */
  #unhear = () => {};
  /** Attempts that may be made, in the milliseconds that they take to come back, and when that was so. */
  #credit;
  #creditAt = now();
  /** A change of the queue is to be told. */
  #isToTell = false;
  #isMoved = false;
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
    this.#credit = options[ATTEMPT_BURST] * options[ATTEMPT_INTERVAL];
  }

  get readyState() {
    if (['connecting', 'waiting', 'suspended'].includes(this.state)) return 0;
    return this.#telling ? 2 : 3;
  }

  get bufferedAmount() { return this.#bytes; }

  start() {
    if (this.state === 'idle' || this.state === 'suspended') this.#begin(REQUESTED);
  }

  reconnect() {
    if (this.state === 'connecting') return;
    if (this.state !== 'waiting') this.#host.counts[ATTEMPT] = 1;
    this.#begin(REQUESTED);
  }

  // Each connection asks anew, and there is none yet.
  ready() {}

  wake() {
    if (this.state === 'waiting') this.#hint(IS_VISIBLE);
  }

  counter(index) {
    if (index === QUEUED) return this.#queue.length;
    if (index === NEXT_ATTEMPT_IN) return this.#wait ? Math.max(Math.ceil(this.#wait.until - now()), 0) : NaN;
    return index === QUEUED_BYTES ? this.#bytes : this.#host.counts[index];
  }

  /** `ttl` is NaN where none was given, as for the core. */
  send(data, bytes, first, volatile, ttl) {
    const message = { data, bytes, first, expires: now() + (ttl >= 0 ? ttl : this.#options[TTL]) };
    if (this.state === 'closed') {
      this.#dropAndTell('closed', [message]);
      return CLOSED;
    }
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
    this.#push([message]);
    return TAKEN;
  }

  /**
   * @param isTold - whether the state was told before, by a core whose instance has failed
   * @param wasOpen - whether its connection was open
   */
  suspend(isTold = false, wasOpen = false) {
    if (this.state !== 'connecting' && this.state !== 'waiting') return;
    this.#stopWaiting();
    this.#begun = null;
    const waited = this.state === 'waiting';
    this.state = 'suspended';
    const attempt = this.#host.counts[ATTEMPT];
    this.#tellSoon(() => {
      if (isTold !== true) this.#tellState('suspended', attempt, undefined, SUSPENDED);
      if (isTold !== true ? !waited : wasOpen) this.#tellClosed(lostBy('suspended', wasOpen === true), undefined, SUSPENDED);
    });
  }

  resume() {
    this.start();
  }

  close() {
    if (this.state === 'idle') this.#dropAndTell('closed', this.#empty());
    else if (this.state !== 'closed') this.end('closed', REQUESTED);
  }

  /**
   * Takes over from a core whose instance has failed: what it held, and what it was doing.
   *
   * @param host - that of the core
   */
  takeOver({ held, untold: [messages, bytes] }) {
    this.state = 'connecting';
    this.#push(held);
    // Dropped by the core, which had not yet told it.
    if (messages === 0) return;
    const { counts } = this.#host;
    counts[DROPPED] += messages;
    counts[DROPPED_BYTES] += bytes;
    this.#tellSoon(() => this.#host.dropped('overflow', [], bytes, messages));
  }

  /**
   * An attempt has ended, or a connection, and not by the server.
   *
   * @param wait - that the core was in: `{ until, why }`
   */
  lose(cause, wait = undefined, wasOpen = false) {
    if (this.state !== 'connecting') return;
    const [host, options] = [this.#host, this.#options];
    const { counts } = host;
    const lost = lostBy(cause, wasOpen);
    // Where the core waits already, it was asked.
    const verdict = host.asks & 2 && !wait ? verdictOf(host, lost) : NaN;
    // Closed by the predicate itself.
    if (this.state !== 'connecting') return;
    const failures = counts[ATTEMPT] - 1;
    let why = verdict >= RETRY ? PREDICATE_RETRIES : POLICY_RETRIES;
    let delay = verdict >= 0 ? verdict : backoff(options, failures, chance());
    if (wait) {
      // A server may have asked for it.
      [delay, why] = [Math.max(wait.until - now(), 0), wait.why];
    } else if (!options[RECONNECT] || verdict === STOP || failures >= options[MAX_RETRIES]) {
      const end = verdict === STOP ? PREDICATE_STOPS : RETRIES_EXHAUSTED;
      this.end(cause, options[RECONNECT] ? end : RECONNECT_OFF, wasOpen);
      return;
    } else {
      counts[ATTEMPT] += 1;
    }
    const lack = this.#lack();
    if (lack > delay) [delay, why] = [lack, TOO_MANY_ATTEMPTS];
    const begun = this.#begun;
    this.#begun = null;
    const tell = this.#waitFor(Math.ceil(delay), why);
    this.#tellSoon(() => {
      begun?.();
      tell();
      host.failed();
      this.#tellClosed(lost, Math.ceil(delay), why);
    });
  }

  /** It is over. */
  end(cause, why, wasOpen = false) {
    this.state = 'closed';
    this.#begun = null;
    this.#telling = true;
    this.#stopWaiting();
    this.#drop('closed', this.#empty());
    const attempt = this.#host.counts[ATTEMPT];
    this.#tellSoon(() => {
      this.#telling = false;
      // Without the explanation, which may quote a URL.
      this.#host.log?.(`closed (attempt ${attempt}): ${cause}`);
      this.#host.stateChanged('closed', attempt, undefined, why);
      this.#host.failed();
      this.#tellDropped('closed');
      this.#tellClosed(lostBy(cause, wasOpen), undefined, why);
    });
  }

  /** Gives the core what is queued. */
  moveInto(core) {
    this.#expire();
    const [time, host] = [now(), this.#host];
    const { counts } = host;
    // An attempt that was told, and that the core begins and counts again.
    host.isTold = this.state === 'connecting' && this.#begun === null;
    core.goOnFrom(...counts.map((count, index) => (index === ATTEMPTS && host.isTold ? count - 1 : count)));
    for (const message of this.#queue) {
      const { data, bytes, first, expires } = message;
      host.held.push(message);
      host.heldBytes += bytes;
      // The core puts what goes first before the others, and has the same limits.
      core.send(data, bytes, first, false, expires === Infinity ? NaN : Math.ceil(expires - time));
    }
    this.#queue = [];
    this.#bytes = 0;
    // The core tells of its own queue, which is this.
    this.#isMoved = true;
    this.#arm();
    this.#stopWaiting();
  }

  // --- Attempts

  #begin(why) {
    this.#stopWaiting();
    const lack = this.#lack();
    if (lack > 0) {
      this.#tellSoon(this.#waitFor(lack, TOO_MANY_ATTEMPTS));
      return;
    }
    this.#credit -= this.#options[ATTEMPT_INTERVAL];
    this.state = 'connecting';
    const attempt = this.#host.counts[ATTEMPT];
    const begun = () => {
      if (this.#begun === begun) this.#begun = null;
      this.#host.counts[ATTEMPTS] += 1;
      this.#tellState('connecting', attempt, undefined, why);
    };
    this.#begun = begun;
    if (why !== REQUESTED) this.#tellSoon(() => { if (this.#begun === begun) begun(); });
    this.#host.load();
  }

  /** How many milliseconds there is no attempt to be made. */
  #lack() {
    const [time, price] = [now(), this.#options[ATTEMPT_INTERVAL]];
    this.#credit = Math.min(this.#credit + time - this.#creditAt, price * this.#options[ATTEMPT_BURST]);
    this.#creditAt = time;
    return Math.max(Math.ceil(price - this.#credit), 0);
  }

  /** Starts to wait; what it returns tells so. */
  #waitFor(delay, why) {
    this.#stopWaiting();
    this.state = 'waiting';
    this.#wait = { id: undefined, until: now() + delay, isFirm: why === SERVER_ASKS || why === LATER_BY_CODE };
    this.#sleep(delay);
    this.#unhear = hear((hint) => this.#hint(hint));
    const attempt = this.#host.counts[ATTEMPT];
    return () => this.#tellState('waiting', attempt, delay, why);
  }

  #sleep(delay) {
    this.#wait.id = setTimeout(() => {
      const rest = this.#wait.until - now();
      // A timer may run a little early.
      if (rest > 0) this.#sleep(rest);
      else this.#begin(WAIT_OVER);
    }, Math.min(Math.ceil(delay), LONGEST_TIMER));
  }

  #stopWaiting() {
    clearTimeout(this.#wait?.id);
    this.#wait = null;
    this.#unhear();
  }

  #hint(hint) {
    const { until, isFirm } = this.#wait;
    if (isFirm || hint === IS_OFFLINE) return;
    if (hint !== IS_ONLINE) {
      this.#begin(WOKEN);
      return;
    }
    const delay = Math.max(draw(...ONLINE, chance()), this.#lack());
    if (now() + delay < until) this.#waitFor(delay, WOKEN)();
  }

  // --- The queue

  #fits(bytes) {
    return this.#queue.length < this.#options[MAX_MESSAGES] && this.#bytes + bytes <= this.#options[MAX_BYTES];
  }

  #push(messages) {
    this.#queue.push(...messages);
    for (const { bytes } of messages) this.#bytes += bytes;
    this.#changed();
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
    this.#changed();
    this.#dropAndTell('expired', expired);
  }

  /** Has the queue reported, once and behind what else this turn brings. */
  #changed() {
    this.#arm();
    if (this.#isToTell) return;
    this.#isToTell = true;
    // Behind what is told soon.
    queueMicrotask(() => this.#tellSoon(() => {
      this.#isToTell = false;
      if (!this.#isMoved) this.#host.queueChanged(this.#queue.length, this.#bytes);
    }));
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
    this.#changed();
    return messages;
  }

  /** Counts messages that are dropped, and keeps as many of the newest as might wait, until they are told. */
  #drop(reason, messages) {
    const untold = this.#untold.get(reason) ?? { messages: [], held: 0, bytes: 0, omitted: 0 };
    const [most, mostBytes] = [Math.max(this.#options[MAX_MESSAGES], LEAST_KEPT), Math.max(this.#options[MAX_BYTES], LEAST_BYTES)];
    const { counts } = this.#host;
    for (const message of messages) {
      counts[DROPPED] += 1;
      counts[DROPPED_BYTES] += message.bytes;
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

  // --- Telling

  #tellDropped(reason) {
    const untold = this.#untold.get(reason);
    if (!untold) return;
    this.#untold.delete(reason);
    this.#host.dropped(reason, untold.messages.map(({ data }) => contentOf(data)), untold.bytes, untold.omitted);
  }

  #tellState(state, attempt, delay, why) {
    this.#host.log?.(`${state} (attempt ${attempt}${delay === undefined ? '' : `, in ${delay} ms`}): ${why}`);
    this.#host.stateChanged(state, attempt, delay, why);
  }

  /** What an instance that has failed handed to its socket, and nothing shows that the server had it, is counted here. */
  #tellClosed(lost, delay, why) {
    const { unconfirmed, counts } = this.#host;
    this.#host.unconfirmed = null;
    const [messages, bytes] = unconfirmed?.() ?? [0, 0];
    counts[UNCONFIRMED] += messages;
    counts[UNCONFIRMED_BYTES] += bytes;
    this.#host.closed(lost, delay, why, messages, bytes);
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

function lostBy(cause, wasOpen) {
  return Object.freeze({ code: 1006, reason: '', wasClean: false, wasOpen, cause, error: undefined });
}
