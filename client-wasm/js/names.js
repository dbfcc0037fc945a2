// Generated from Rust by tests/generated.rs, which also says how to do it again: what the numbers mean by
// which the core tells of itself.

/** States. */
export const STATES = [
  'idle',
  'connecting',
  'open',
  'waiting',
  'closing',
  'closed',
  'suspended',
];

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
];

/** Why a message was not sent. */
export const DROP_REASONS = [
  'overflow',
  'expired',
  'volatile',
  'refused',
  'closed',
  'inbox-full',
];

/** Why a connection is in its state, or will or will not be tried again. */
export const WHYS = [
  'the application asked for it',
  'the application suspended it, and may resume it',
  'the wait is over',
  'the handshake succeeded',
  'the policy for such a loss is to retry',
  "the application's predicate says to retry",
  'the page came back or the network changed',
  'the server announced when to come back',
  'the close code asks to come back later',
  'the page or the network came back',
  'too many attempts were made in a short time',
  'the policy for the close code is to stop',
  "the application's predicate says to stop",
  'one side refused what the other sent, twice without a stable connection in between',
  'no retry is left',
  'the option reconnect is false',
];

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
