// Stands in for the core while there is no instance of the WebAssembly module: it stores commands and messages, within
// the limits of the options, and replays them. A module that failed to load, or that crashed, counts as a loss: what
// follows from it is decided here as in `client/src/connection/attempt.rs`, and a test compares the waits with those of
// the core.

import { createCore, howLost, reportClosed, reportDropped, reportFailed, reportState, verdictOf } from './host.js';
import { ABNORMAL, LEAST_KEPT_BYTES, LEAST_KEPT_MESSAGES, ONLINE_MAX, ONLINE_MIN, TURN } from './limits.js';
import { Message } from './message.js';
import {
  ASK_VERDICT,
  ATTEMPT,
  ATTEMPTS,
  BUFFERED_AMOUNT,
  CLOSE,
  CLOSED,
  CONNECTING,
  DROPPED_BYTES,
  DROPPED_MESSAGES,
  FULL,
  HINT_OFFLINE,
  HINT_ONLINE,
  IDLE,
  MESSAGES_SENT,
  NEXT_ATTEMPT_IN,
  QUEUED_BYTES,
  QUEUED_MESSAGES,
  READY_STATE,
  RECONNECT,
  RESUME,
  RETRY,
  START,
  STATE,
  STOP,
  SUSPEND,
  SUSPENDED,
  TAKEN,
  TOO_LATE,
  WAITING,
  WAKE,
  WHY_LATER_BY_CODE,
  WHY_POLICY_RETRIES,
  WHY_PREDICATE_RETRIES,
  WHY_PREDICATE_STOPS,
  WHY_RECONNECT_OFF,
  WHY_REQUESTED,
  WHY_RETRIES_EXHAUSTED,
  WHY_SERVER_ASKS,
  WHY_SUSPENDED,
  WHY_TOO_MANY_ATTEMPTS,
  WHY_WAIT_OVER,
  WHY_WOKEN,
} from './names.js';
import {
  ATTEMPT_BURST,
  ATTEMPT_INTERVAL,
  BASE_DELAY,
  DROP_NEWEST,
  FIRST_DELAY_MAX,
  GROWTH_FACTOR,
  MAX,
  MAX_DELAY,
  MAX_QUEUED_BYTES,
  MAX_QUEUED_MESSAGES,
  MAX_RETRIES,
  MESSAGE_TTL,
  MIN_DELAY,
  OVERFLOW,
  RECONNECT as MAY_RECONNECT,
  REJECT,
} from './options.js';
import { chance, dropEarly, now, watchPage } from './platform.js';

function draw(min, max, part) {
  return Math.floor(min + Math.max(max - min, 0) * part);
}

/** The wait before retry number `retry`, in milliseconds, as `client/src/connection/backoff.rs` computes it. */
export function backoff(numbers, retry, part) {
  if (retry === 0) return draw(0, numbers[FIRST_DELAY_MAX], part);
  const ceiling = numbers[BASE_DELAY] * numbers[GROWTH_FACTOR] ** Math.min(retry, 64);
  return draw(numbers[MIN_DELAY], Math.max(Math.min(ceiling, numbers[MAX_DELAY]), numbers[MIN_DELAY]), part);
}

/** Messages within limits, in order of arrival. */
class Queue {
  messages = [];
  bytes = 0;
  #most;
  #mostBytes;
  #overflow;

  /** @param numbers - the values of the options */
  constructor(numbers, least = 0, leastBytes = 0) {
    this.#most = Math.max(numbers[MAX_QUEUED_MESSAGES], least);
    this.#mostBytes = Math.max(numbers[MAX_QUEUED_BYTES], leastBytes);
    this.#overflow = numbers[OVERFLOW];
  }

  #fits(bytes) {
    return this.messages.length < this.#most && this.bytes + bytes <= this.#mostBytes;
  }

  /** Adds a message by the core's rule. Returns the messages dropped, or `null` if the message is refused. */
  add(message) {
    if (message.isVolatile) return [message];
    if (!this.#fits(message.bytes)) {
      if (this.#overflow === REJECT) return null;
      if (this.#overflow === DROP_NEWEST || this.#most === 0 || message.bytes > this.#mostBytes) return [message];
    }
    return this.push(message);
  }

  /** Adds a message. The oldest make room for it, starting with those that do not go first; returns them. */
  push(message) {
    const dropped = [];
    while (this.messages.length > 0 && !this.#fits(message.bytes)) {
      const [oldest] = this.messages.splice(
        Math.max(
          this.messages.findIndex(({ first }) => !first),
          0,
        ),
        1,
      );
      this.bytes -= oldest.bytes;
      dropped.push(oldest);
    }
    this.messages.push(message);
    this.bytes += message.bytes;
    return dropped;
  }

  /** Removes and returns all messages that have expired by `time`. */
  takeOut(time) {
    const isOut = ({ expires }) => expires <= time;
    const out = this.messages.filter(isOut);
    this.messages = this.messages.filter((message) => !isOut(message));
    for (const { bytes } of out) this.bytes -= bytes;
    return out;
  }
}

/** Has the core's interface, as far as `ReconnectingWebSocket` uses it. */
export class WaitingRoom {
  /** `IDLE`, `CONNECTING`, `WAITING`, `SUSPENDED`, `CLOSED`, or `NaN` once there is a core. */
  state = IDLE;
  #host;
  #options;
  #queue;
  /** By reason, the dropped messages not reported yet: `{ kept, bytes, omitted }`. */
  #unreported = new Map();
  /** Pending events, and how many of them this task may still emit. */
  #reports = [];
  #left = TURN;
  /** Whether the end has not been reported yet. */
  #isEnding = false;
  /** The timer of the message that expires first. */
  #expiry;
  /** The timer of the next attempt, and whether nothing shortens the wait. */
  #timer;
  #isFirm = false;
  #until = NaN;
  /** The attempt in progress, `{ attempt, why }`. Once the module is loaded, the core reports it. */
  #begun = null;
  /** Stops listening to the page. */
  #unwatchPage = () => {};
  /** When the full number of attempts is available again. */
  #rested = 0;
  /** Whether a change of the queue is to be reported. */
  #isQueueReportDue = false;
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: it is kept, not read
  #owner;

  /**
   * @param host - what the core calls back
   * @param options - the value of each row of the table
   * @param owner - the object that the host reports to without keeping it alive: the timer does, so that an expired
   *   message is reported
   */
  constructor(host, options, owner) {
    this.#host = host;
    this.#options = options;
    this.#queue = new Queue(options);
    this.#owner = owner;
  }

  /** @param given - with `SUSPEND`, whether a core whose instance has failed had reported the state before */
  command(what, given = false) {
    const { state } = this;
    const isOnTheWay = state === CONNECTING || state === WAITING;
    switch (what) {
      case START:
      case RESUME:
        if (state === IDLE || state === SUSPENDED) this.#begin(WHY_REQUESTED);
        break;
      case RECONNECT:
        if (state === CONNECTING) return;
        if (state !== WAITING) this.#host.counts[ATTEMPT] = 1;
        this.#begin(WHY_REQUESTED);
        break;
      case WAKE:
        if (state === WAITING && !this.#isFirm) this.#begin(WHY_WOKEN);
        break;
      case SUSPEND:
        if (isOnTheWay) this.#suspend(given === true);
        break;
      case CLOSE:
        if (state === IDLE) this.#drop('closed', this.#empty());
        else if (state !== CLOSED) this.end('closed', WHY_REQUESTED);
        break;
      // `READY`: every connection waits for its own, and there is none yet.
    }
  }

  counter(index) {
    const { state } = this;
    switch (index) {
      case STATE:
        return state;
      case READY_STATE:
        return [CONNECTING, WAITING, SUSPENDED].includes(state) ? 0 : 3 - Number(this.#isEnding);
      case QUEUED_MESSAGES:
        return this.#queue.messages.length;
      case QUEUED_BYTES:
      case BUFFERED_AMOUNT:
        return this.#queue.bytes;
      case NEXT_ATTEMPT_IN:
        return state === WAITING ? Math.max(Math.ceil(this.#until - now()), 0) : NaN;
      default:
        return this.#host.counts[index];
    }
  }

  /** `ttl` is NaN if absent, as for the core. */
  send(message, _bytes, first, isVolatile, ttl) {
    message.wait(this.#host, first, isVolatile, now() + (ttl >= 0 ? ttl : this.#options[MESSAGE_TTL]));
    if (this.state === CLOSED) {
      this.#drop('closed', [message]);
      return TOO_LATE;
    }
    return this.#take(message);
  }

  #take(message) {
    this.#expire();
    const dropped = this.#queue.add(message);
    if (dropped === null) return FULL;
    this.#drop(message.isVolatile ? 'volatile' : 'overflow', dropped);
    this.#changed();
    return TAKEN;
  }

  #suspend(isReported) {
    const isLost = isReported ? this.#host.before !== null : this.state === CONNECTING;
    this.#leave(SUSPENDED, isLost && this.#lostBy('suspended'), WHY_SUSPENDED, null, isReported);
  }

  /**
   * Takes over from a core whose instance has failed.
   *
   * @param earlier - the core's host
   * @param held - everything that the instance held; its messages that no socket has accepted keep waiting
   */
  takeOver(earlier, held) {
    this.state = CONNECTING;
    this.#host.before = earlier.before;
    const messages = [...new Set(held)].filter((it) => it instanceof Message && it.host === earlier && !it.isSent);
    for (const message of messages.sort((one, other) => one.number - other.number)) {
      message.host = this.#host;
      if (this.#take(message) === FULL) this.#drop('overflow', [message]);
    }
    this.#expire();
  }

  /**
   * An attempt or a connection has ended, though not because of the server.
   *
   * @param wait - the wait that the core was in: `{ until, why }`
   */
  lose(cause, wait = undefined) {
    if (this.state !== CONNECTING) return;
    const [host, options] = [this.#host, this.#options];
    const { questions, counts } = host;
    const lost = this.#lostBy(cause);
    // If the core was waiting already, it has called the predicate.
    const verdict = questions & ASK_VERDICT && !wait ? verdictOf(host, lost) : NaN;
    // Closed by the predicate itself.
    if (this.state !== CONNECTING) return;
    const failures = counts[ATTEMPT] - 1;
    if (!wait && (!options[MAY_RECONNECT] || verdict === STOP || failures >= options[MAX_RETRIES])) {
      const end = verdict === STOP ? WHY_PREDICATE_STOPS : WHY_RETRIES_EXHAUSTED;
      this.end(cause, options[MAY_RECONNECT] ? end : WHY_RECONNECT_OFF);
      return;
    }
    let why = verdict >= RETRY ? WHY_PREDICATE_RETRIES : WHY_POLICY_RETRIES;
    let delay = verdict >= 0 ? verdict : backoff(options, failures, chance());
    // A server may have asked for this wait.
    if (wait) [delay, why] = [Math.max(wait.until - now(), 0), wait.why];
    else counts[ATTEMPT] += 1;
    this.#waitFor(delay, why, lost);
  }

  /** Ends for good. */
  end(cause, why) {
    this.#isEnding = true;
    this.#leave(CLOSED, this.#lostBy(cause), why);
    this.#drop('closed', this.#empty());
  }

  /** Creates a core, which continues the counters, and hands it the queue. */
  moveOut() {
    this.#expire();
    this.#host.begunBy = this.#begun?.why;
    const [core, time] = [createCore(this.#host), now()];
    for (const message of this.#queue.messages) {
      if (message.isWithdrawn) continue;
      const { bytes, first, expires } = message;
      // The core puts messages that go first ahead of the others, and has the same limits.
      core.send(message, bytes, first, false, expires === Infinity ? NaN : Math.ceil(expires - time));
    }
    this.#stopWaiting();
    clearTimeout(this.#expiry);
    // The core reports the queue.
    this.state = NaN;
    return core;
  }

  // --- Attempts

  #begin(why) {
    if (this.#lack() > 0) {
      this.#waitFor(0, why);
      return;
    }
    this.#stopWaiting();
    this.#rested = Math.max(this.#rested, now()) + this.#options[ATTEMPT_INTERVAL];
    this.state = CONNECTING;
    this.#begun = { attempt: this.#host.counts[ATTEMPT], why };
    this.#host.load();
  }

  /** How many milliseconds until an attempt is allowed. */
  #lack() {
    const { [ATTEMPT_BURST]: burst, [ATTEMPT_INTERVAL]: interval } = this.#options;
    return Math.max(Math.ceil(this.#rested - (burst - 1) * interval - now()), 0);
  }

  #waitFor(wanted, wish, lost) {
    const lack = this.#lack();
    const [delay, why] = lack > wanted ? [lack, WHY_TOO_MANY_ATTEMPTS] : [Math.ceil(wanted), wish];
    this.#leave(WAITING, lost, why, delay);
    this.#until = now() + delay;
    this.#isFirm = why === WHY_SERVER_ASKS || why === WHY_LATER_BY_CODE;
    this.#sleep();
    this.#unwatchPage = watchPage((hint) => this.#hint(hint));
  }

  #sleep() {
    this.#timer = setTimeout(
      () => {
        // A timer may fire a little early.
        if (now() < this.#until) this.#sleep();
        else this.#begin(WHY_WAIT_OVER);
      },
      Math.min(Math.ceil(this.#until - now()), MAX),
    );
  }

  #stopWaiting() {
    clearTimeout(this.#timer);
    this.#unwatchPage();
  }

  #hint(hint) {
    if (hint > HINT_OFFLINE) {
      this.command(WAKE);
    } else if (hint === HINT_ONLINE && !this.#isFirm) {
      const delay = draw(ONLINE_MIN, ONLINE_MAX, chance());
      if (now() + Math.max(delay, this.#lack()) < this.#until) this.#waitFor(delay, WHY_WOKEN);
    }
  }

  /** Enters a state without an attempt, and reports it, followed by what was `lost` with the earlier one. */
  #leave(state, lost, why, delay = null, isReported = false) {
    this.#stopWaiting();
    const [host, begun] = [this.#host, this.#begun];
    dropEarly(host);
    const { counts } = host;
    this.#begun = null;
    this.state = state;
    const attempt = counts[ATTEMPT];
    this.#reportSoon(() => {
      if (begun && lost?.cause === 'load-failed') {
        counts[ATTEMPTS] += 1;
        reportState(host, CONNECTING, begun.attempt, null, begun.why);
      }
      this.#isEnding = false;
      if (!isReported) reportState(host, state, attempt, delay, why);
      if (!lost) return;
      if (state !== SUSPENDED) reportFailed(host);
      this.#reportDropped('closed');
      // Messages that a failed instance handed to its socket, but the server never confirmed.
      const unconfirmed = host.before?.map((count, index) => counts[MESSAGES_SENT + index] - count) ?? [0, 0];
      reportClosed(host, lost, delay, why, ...unconfirmed);
    });
  }

  #lostBy(cause) {
    return howLost(ABNORMAL, '', false, this.#host.before !== null, cause);
  }

  // --- The queue

  #expire() {
    const time = now();
    const expired = this.#queue.takeOut(time);
    if (expired.length === 0) return;
    this.#drop('expired', expired);
    this.#changed();
  }

  #empty() {
    const messages = this.#queue.takeOut(Infinity);
    this.#changed();
    return messages.sort((one, other) => other.first - one.first);
  }

  /** Schedules one report of the queue, behind the other events of this turn, and a check when a message expires. */
  #changed() {
    const queue = this.#queue;
    clearTimeout(this.#expiry);
    const next = queue.messages.reduce((earliest, { expires }) => Math.min(earliest, expires), Infinity);
    if (next < Infinity) {
      this.#expiry = setTimeout(
        () => {
          this.#expire();
          // A timer may fire a little early.
          this.#changed();
        },
        Math.min(Math.ceil(next - now()), MAX),
      );
    }
    if (this.#isQueueReportDue) return;
    this.#isQueueReportDue = true;
    // Behind the events that are already scheduled.
    queueMicrotask(() =>
      this.#reportSoon(() => {
        this.#isQueueReportDue = false;
        if (this.state >= 0) this.#host.queueChanged(queue.messages.length, queue.bytes);
      }),
    );
  }

  /** Counts dropped messages, and keeps as many of the newest as might wait, until they are reported. */
  #drop(reason, dropped) {
    // Whoever awaits the end of a message in a session is told by that.
    const messages = dropped.filter((message) => !message.dropped?.(reason));
    if (messages.length === 0) return;
    const { counts } = this.#host;
    if (!this.#unreported.has(reason)) {
      this.#unreported.set(reason, {
        kept: new Queue(this.#options, LEAST_KEPT_MESSAGES, LEAST_KEPT_BYTES),
        bytes: 0,
        omitted: 0,
      });
      this.#reportSoon(() => this.#reportDropped(reason));
    }
    const unreported = this.#unreported.get(reason);
    for (const message of messages) {
      counts[DROPPED_MESSAGES] += 1;
      counts[DROPPED_BYTES] += message.bytes;
      unreported.bytes += message.bytes;
      unreported.omitted += unreported.kept.push(message).length;
    }
  }

  // --- Reporting

  #reportDropped(reason) {
    const unreported = this.#unreported.get(reason);
    if (!unreported) return;
    this.#unreported.delete(reason);
    reportDropped(
      this.#host,
      reason,
      unreported.kept.messages.map(({ content }) => content),
      unreported.bytes,
      unreported.omitted,
    );
  }

  /** As the core does: after the running code, and no more per task than the page can bear. */
  #reportSoon(report) {
    this.#reports.push(report);
    queueMicrotask(() => this.#reportAll());
  }

  #reportAll() {
    while (this.#reports.length > 0 && this.#left > 0) {
      this.#left -= 1;
      // The next task starts with a full allowance, whether or not anything is left for it.
      if (this.#left === TURN / 2) {
        setTimeout(() => {
          this.#left = TURN;
          this.#reportAll();
        });
      }
      this.#reports.shift()();
    }
  }
}
