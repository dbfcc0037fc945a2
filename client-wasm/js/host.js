// What the core asks about a connection and reports to it, called from Rust as `src/host.rs` says. Only numbers and values
// cross the boundary; here numbers get their names. A host is what `ReconnectingWebSocket` makes for its core. Messages need
// no names: the class receives them itself.

import { alive } from './failure.js';
import {
  ATTEMPT,
  ATTEMPTS,
  BYTES_SENT,
  CAUSES,
  CONNECTING,
  DROPPED_BYTES,
  DROPPED_MESSAGES,
  DROP_REASONS,
  MESSAGES_SENT,
  NO_VERDICT,
  OPENS,
  RETRY,
  STATES,
  STOP,
  UNCONFIRMED_BYTES,
  UNCONFIRMED_MESSAGES,
  WHYS,
} from './names.js';
import { callBackLast, dataOf, now, register, unregister } from './platform.js';

/** The causes with an exception: from the program's functions, the socket's constructor, or its `send`. */
const HAVE_ERRORS = ['provider', 'refused', 'send-failed'];

/** Creates a core that reports to `host`. */
export function createCore(host) {
  return alive()(-1, 0, 0, host);
}

// --- Questions ------------------------------------------------------------------------------------------------

export function optionOf(host, row) {
  return host.numbers[row];
}

export function countOf(host, counter) {
  return host.counts[counter];
}

export function questionsOf(host) {
  return host.questions;
}

export function pingOf(host, keepalive) {
  return host.ping(keepalive);
}

export function isHeartbeat(host, message) {
  return host.isHeartbeat(host.takesData ? message : dataOf(message)) ? 1 : 0;
}

export function search(host, id, attempt, last) {
  const controller = new AbortController();
  const entry = register(id, { controller });
  const found = (yes) => {
    if (!entry.isLive) return;
    callBackLast(entry, yes);
  };
  // An object that is gone gives no answer.
  host.resolve(attempt, last, controller.signal)?.then(
    (target) => {
      if (entry.isLive) host.target = target;
      found(1);
    },
    () => found(0),
  );
}

export function callOff(id) {
  unregister(id)?.controller.abort();
}

export function verdictOf(host, lost) {
  host.saidOfLost ??= host.said;
  const verdict = host.verdict(lost);
  if (typeof verdict === 'number') return Math.ceil(verdict);
  if (verdict === undefined) return NO_VERDICT;
  return verdict ? RETRY : STOP;
}

// --- Reports ----------------------------------------------------------------------------------------------------

/** How a connection ended, as `LostConnection` in the declarations. */
export function lostConnection(host, code, reason, clean, wasOpen, index) {
  const cause = CAUSES[index];
  let error;
  if (cause === 'socket') error = saidOf(host)?.error;
  else if (HAVE_ERRORS.includes(cause)) error = host.refusal;
  return howLost(code, reason, clean === 1, wasOpen === 1, cause, error);
}

export function howLost(code, reason, wasClean, wasOpen, cause, error) {
  return Object.freeze({ code, reason, wasClean, wasOpen, cause, error });
}

export function opened(host, socket, attempt, reconnected) {
  alive();
  host.log?.(`socket ${socket} ${reconnected ? 'reconnected' : 'connected'}`);
  const { counts } = host;
  counts[OPENS] += 1;
  host.openedAt = now();
  host.before = [counts[MESSAGES_SENT], counts[BYTES_SENT]];
  host.opened(reconnected === 1, attempt);
}

export function failed(host) {
  alive();
  host.log?.('error');
  reportFailed(host);
}

export function closed(host, socket, lost, retryIn, why, messages, bytes) {
  alive();
  const { cause, code, wasClean } = lost;
  host.log?.(
    `socket ${socket} closed: ${cause}, code ${code}, clean ${wasClean}, unconfirmed messages ${messages}; ${WHYS[why]}`,
  );
  reportClosed(host, lost, orNothing(retryIn), WHYS[why], messages, bytes);
}

export function reportClosed(host, lost, delay, why, messages, bytes) {
  host.counts[UNCONFIRMED_MESSAGES] += messages;
  host.counts[UNCONFIRMED_BYTES] += bytes;
  host.before = null;
  host.closed(lost, delay, why, messages, bytes);
  host.saidOfLost = null;
}

export function stateChanged(host, state, attempt, delay, why) {
  alive();
  // For an attempt that began before the module was loaded.
  const reason = host.begunBy ?? WHYS[why];
  host.begunBy = null;
  host.phase = state;
  host.wait = { until: now() + delay, why: reason };
  host.counts[ATTEMPT] = attempt;
  if (state === CONNECTING) host.counts[ATTEMPTS] += 1;
  reportState(host, state, attempt, orNothing(delay), reason);
}

export function reportState(host, index, attempt, delay, reason) {
  const state = STATES[index];
  host.log?.(`${state} (attempt ${attempt}${delay === null ? '' : `, in ${delay} ms`}): ${reason}`);
  host.emit('statechange', { state, attempt, delay, reason });
}

/** Passes on the details that the socket gave. */
export function reportFailed(host) {
  host.emit('error', saidOf(host) ?? {});
}

/** The details that the socket gave of the loss that is reported next; `null` if there are none. */
export function saidOf(host) {
  return host.saidOfLost ?? host.said;
}

export function dropping(host, message) {
  alive();
  host.dropping.push(message.content);
}

export function dropped(host, reason, bytes, omitted) {
  alive();
  const messages = host.dropping.splice(0);
  host.counts[DROPPED_MESSAGES] += messages.length + omitted;
  host.counts[DROPPED_BYTES] += bytes;
  reportDropped(host, DROP_REASONS[reason], messages, bytes, omitted);
}

export function reportDropped(host, reason, messages, bytes, omitted) {
  host.log?.(`${messages.length + omitted} messages dropped (${bytes} bytes): ${reason}`);
  host.emit('dropped', { reason, messages: Object.freeze(messages), bytes, omitted });
}

export function queueChanged(host, messages, bytes) {
  alive();
  host.queueChanged(messages, bytes);
}

function orNothing(millis) {
  return millis < 0 ? null : millis;
}
