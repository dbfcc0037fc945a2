// Generated from Rust by tests/generated.rs, which also says how to regenerate it: the meanings of the numbers
// in the core's reports.

/** The indices of the counters and the other readings. */
export const ATTEMPT = 0;
export const ATTEMPTS = 1;
export const OPENS = 2;
export const MESSAGES_SENT = 3;
export const BYTES_SENT = 4;
export const MESSAGES_RECEIVED = 5;
export const BYTES_RECEIVED = 6;
export const QUEUED_MESSAGES = 7;
export const QUEUED_BYTES = 8;
export const DROPPED_MESSAGES = 9;
export const DROPPED_BYTES = 10;
export const UNCONFIRMED_MESSAGES = 11;
export const UNCONFIRMED_BYTES = 12;
export const ABANDONED = 13;
export const NEXT_ATTEMPT_IN = 14;
export const STATE = 15;
export const READY_STATE = 16;
export const BUFFERED_AMOUNT = 17;

/** The indices of the states. */
export const IDLE = 0;
export const CONNECTING = 1;
export const OPEN = 2;
export const WAITING = 3;
export const CLOSING = 4;
export const CLOSED = 5;
export const SUSPENDED = 6;

/** Commands. */
export const START = 0;
export const RECONNECT = 1;
export const RESUME = 2;
export const READY = 3;
export const WAKE = 4;
export const SUSPEND = 5;
export const CLOSE = 6;

/** Events of a socket. */
export const SOCKET_OPENED = 0;
export const SOCKET_MESSAGE = 1;
export const SOCKET_TOO_BIG = 2;
export const SOCKET_ERROR = 3;
export const SOCKET_CLOSED = 4;
export const SOCKET_CLOSED_CLEANLY = 5;

/** Hints about the page and the network. */
export const HINT_ONLINE = 0;
export const HINT_OFFLINE = 1;
export const HINT_VISIBLE = 2;
export const HINT_RESUMED = 3;

/** The questions that a host answers, as a sum. */
export const ASK_TARGET = 1;
export const ASK_VERDICT = 2;
export const ASK_PING = 4;
export const ASK_MATCHER = 8;

/** Verdicts that are not waits. */
export const RETRY = -1;
export const STOP = -2;
export const NO_VERDICT = -3;

/** What became of a message to send. */
export const TAKEN = 0;
export const FULL = 1;
export const TOO_LATE = 2;
export const REFUSED = 3;

/** States. */
export const STATES = ['idle', 'connecting', 'open', 'waiting', 'closing', 'closed', 'suspended'];

/** What ended a connection or an attempt. */
export const CAUSES = [
  'socket',
  'refused',
  'connect-timeout',
  'provider',
  'provider-timeout',
  'send-failed',
  'close-timeout',
  'heartbeat-timeout',
  'probe-timeout',
  'message-too-big',
  'reconnect',
  'closed',
  'suspended',
  'session',
];

/** Why a message was not sent. */
export const DROP_REASONS = ['overflow', 'expired', 'volatile', 'refused', 'closed', 'inbox-full'];

/** The counters of a snapshot. */
export const COUNTERS = [
  'attempt',
  'attempts',
  'opens',
  'messagesSent',
  'bytesSent',
  'messagesReceived',
  'bytesReceived',
  'queuedMessages',
  'queuedBytes',
  'droppedMessages',
  'droppedBytes',
  'unconfirmedMessages',
  'unconfirmedBytes',
  'abandoned',
  'nextAttemptIn',
];

/** Why a connection is in its state, or will or will not retry. */
export const WHY_REQUESTED = 'the application asked for it';
export const WHY_SUSPENDED = 'the application suspended it, and may resume it';
export const WHY_WAIT_OVER = 'the wait is over';
export const WHY_HANDSHAKE_DONE = 'the handshake succeeded';
export const WHY_POLICY_RETRIES = 'the policy for such a loss is to retry';
export const WHY_PREDICATE_RETRIES = "the application's predicate says to retry";
export const WHY_LOCAL_LOSS = 'the page came back or the network changed';
export const WHY_SERVER_ASKS = 'the server announced when to come back';
export const WHY_LATER_BY_CODE = 'the close code asks to come back later';
export const WHY_WOKEN = 'the page or the network came back';
export const WHY_TOO_MANY_ATTEMPTS = 'too many attempts were made in a short time';
export const WHY_POLICY_STOPS = 'the policy for the close code is to stop';
export const WHY_PREDICATE_STOPS = "the application's predicate says to stop";
export const WHY_REFUSED_TWICE = 'one side refused what the other sent, twice without a stable connection in between';
export const WHY_RETRIES_EXHAUSTED = 'no retry is left';
export const WHY_RECONNECT_OFF = 'the option reconnect is false';

/** By their numbers. */
export const WHYS = [
  WHY_REQUESTED,
  WHY_SUSPENDED,
  WHY_WAIT_OVER,
  WHY_HANDSHAKE_DONE,
  WHY_POLICY_RETRIES,
  WHY_PREDICATE_RETRIES,
  WHY_LOCAL_LOSS,
  WHY_SERVER_ASKS,
  WHY_LATER_BY_CODE,
  WHY_WOKEN,
  WHY_TOO_MANY_ATTEMPTS,
  WHY_POLICY_STOPS,
  WHY_PREDICATE_STOPS,
  WHY_REFUSED_TWICE,
  WHY_RETRIES_EXHAUSTED,
  WHY_RECONNECT_OFF,
];
