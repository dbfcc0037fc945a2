// Generated from the Rust options by tests/generated.rs, which also says how to regenerate it.

/** The indices of the options. */
export const CONNECT_TIMEOUT = 0;
export const PROVIDER_TIMEOUT = 1;
export const CLOSE_TIMEOUT = 2;
export const FIRST_DELAY_MAX = 3;
export const MIN_DELAY = 4;
export const BASE_DELAY = 5;
export const GROWTH_FACTOR = 6;
export const MAX_DELAY = 7;
export const STABLE_AFTER = 8;
export const MAX_RETRIES = 9;
export const RECONNECT = 10;
export const ATTEMPT_BURST = 11;
export const ATTEMPT_INTERVAL = 12;
export const ANNOUNCED_DELAY_MAX = 13;
export const HEARTBEAT_INTERVAL = 14;
export const HEARTBEAT_GRACE = 15;
export const KEEPALIVE_INTERVAL = 16;
export const CONTROL_MESSAGES = 17;
export const PROBE_TIMEOUT = 18;
export const MAX_QUEUED_MESSAGES = 19;
export const MAX_QUEUED_BYTES = 20;
export const OVERFLOW = 21;
export const MESSAGE_TTL = 22;
export const HIGH_WATER_MARK = 23;
export const LOW_WATER_MARK = 24;
export const MAX_MESSAGE_BYTES = 25;
export const ALLOW_INSECURE = 26;
export const GATE = 27;
export const START_CLOSED = 28;

/** The values of the option `overflow`. */
export const REJECT = 0;
export const DROP_OLDEST = 1;
export const DROP_NEWEST = 2;

/** The longest time, which is also the longest delay of a timer, and the largest count. */
export const MAX = 2147483647;

function row(name, kind, unit, min, max, unlimited, otherwise) {
  return { name, kind, unit, min, max, unlimited, default: otherwise };
}

function millis(name, min, otherwise, unlimited = otherwise === Infinity) {
  return row(name, 'whole', ' ms', min, MAX, unlimited, otherwise);
}

function count(name, min, otherwise, unlimited = otherwise === Infinity) {
  return row(name, 'whole', '', min, MAX, unlimited, otherwise);
}

function bytes(name, min, otherwise, unlimited = false) {
  return row(name, 'whole', ' bytes', min, MAX, unlimited, otherwise);
}

function flag(name, otherwise) {
  return { name, kind: 'flag', default: otherwise };
}

/** Every option that a number represents, in the order of Rust. */
export const OPTIONS = [
  millis('connectTimeout', 1, 15000),
  millis('providerTimeout', 1, 10000),
  millis('closeTimeout', 1, 5000),
  millis('firstDelayMax', 0, 5000),
  millis('minDelay', 0, 1000),
  millis('baseDelay', 1, 5000),
  row('growthFactor', 'number', '', 1, 100, false, 2),
  millis('maxDelay', 1, 30000),
  millis('stableAfter', 0, 5000),
  count('maxRetries', 0, Infinity),
  flag('reconnect', 1),
  count('attemptBurst', 1, 10),
  millis('attemptInterval', 0, 5000),
  millis('announcedDelayMax', 0, 60000),
  millis('heartbeatInterval', 1, Infinity),
  millis('heartbeatGrace', 1, 10000),
  millis('keepaliveInterval', 1, Infinity),
  flag('controlMessages', 0),
  millis('probeTimeout', 1, 5000),
  count('maxQueuedMessages', 0, 1000),
  bytes('maxQueuedBytes', 0, 16777216),
  { name: 'overflow', kind: 'choice', choices: ['reject', 'drop-oldest', 'drop-newest'], default: 0 },
  millis('messageTtl', 1, Infinity),
  bytes('highWaterMark', 1, 1048576),
  bytes('lowWaterMark', 0, 262144),
  bytes('maxMessageBytes', 1, 67108864, true),
  flag('allowInsecure', 0),
  flag('gate', 0),
  flag('startClosed', 0),
];

/** Pairs of them, by index, of which the first must not exceed the second. */
export const ORDERED = [
  [3, 7],
  [4, 7],
  [5, 7],
  [24, 23],
];

/** Other clients' names for them. */
export const THEIR_NAMES = {
  stableAfter: 'minUptime stableTimeout',
  growthFactor: 'reconnectionDelayGrowFactor reconnectDecay',
  baseDelay: 'reconnectionDelay reconnectInterval timeout',
  maxDelay: 'maxReconnectInterval reconnectionDelayMax',
  maxRetries: 'maxAttempts maxReconnectAttempts reconnectAttempts reconnectionAttempts',
  connectTimeout: 'timeout timeoutInterval',
  startClosed: 'autoConnect automaticOpen',
  heartbeatInterval: 'pingInterval keepAlive',
};
