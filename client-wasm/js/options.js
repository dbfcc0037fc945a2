// Generated from the Rust options by tests/generated.rs, which also says how to do it again.

/** Every option that a number stands for, in the order in which Rust has them. */
export const OPTIONS = [
  { name: 'connectTimeout', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 15000 },
  { name: 'providerTimeout', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 10000 },
  { name: 'closeTimeout', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'firstDelayMax', kind: 'whole', unit: ' ms', min: 0, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'minDelay', kind: 'whole', unit: ' ms', min: 0, max: 2147483647, unlimited: false, default: 1000 },
  { name: 'baseDelay', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'growthFactor', kind: 'number', unit: '', min: 1, max: 100, unlimited: false, default: 2 },
  { name: 'maxDelay', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 30000 },
  { name: 'stableAfter', kind: 'whole', unit: ' ms', min: 0, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'maxRetries', kind: 'whole', unit: '', min: 0, max: 2147483647, unlimited: true, default: Infinity },
  { name: 'attemptBurst', kind: 'whole', unit: '', min: 1, max: 2147483647, unlimited: false, default: 10 },
  { name: 'attemptInterval', kind: 'whole', unit: ' ms', min: 0, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'announcedDelayMax', kind: 'whole', unit: ' ms', min: 0, max: 2147483647, unlimited: false, default: 60000 },
  { name: 'heartbeatInterval', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: true, default: Infinity },
  { name: 'heartbeatGrace', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 10000 },
  { name: 'controlMessages', kind: 'flag', default: 0 },
  { name: 'probeTimeout', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: false, default: 5000 },
  { name: 'maxQueuedMessages', kind: 'whole', unit: '', min: 0, max: 2147483647, unlimited: false, default: 1000 },
  { name: 'maxQueuedBytes', kind: 'whole', unit: ' bytes', min: 0, max: 2147483647, unlimited: false, default: 16777216 },
  { name: 'overflow', kind: 'choice', choices: ['reject', 'drop-oldest', 'drop-newest'], default: 0 },
  { name: 'messageTtl', kind: 'whole', unit: ' ms', min: 1, max: 2147483647, unlimited: true, default: Infinity },
  { name: 'highWaterMark', kind: 'whole', unit: ' bytes', min: 1, max: 2147483647, unlimited: false, default: 1048576 },
  { name: 'lowWaterMark', kind: 'whole', unit: ' bytes', min: 0, max: 2147483647, unlimited: false, default: 262144 },
  { name: 'maxMessageBytes', kind: 'whole', unit: ' bytes', min: 1, max: 2147483647, unlimited: true, default: 67108864 },
  { name: 'allowInsecure', kind: 'flag', default: 0 },
  { name: 'gate', kind: 'flag', default: 0 },
  { name: 'startClosed', kind: 'flag', default: 0 },
];

/** Pairs of them, by their place, of which the first may not be greater than the second. */
export const ORDERED = [[4, 7], [5, 7], [22, 21]];
