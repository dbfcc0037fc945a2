// Invalid options, for every row of the table, and names that no option has; the page and the test generate the same
// ones.

/** Values, by the name that the test prints. Few of them are valid for any option. */
const VALUES = {
  null: () => null,
  'a string': () => 'hunter2',
  'a bigint': () => 10n,
  'an array': () => [1],
  'an object': () => ({}),
  'a function': () => () => {},
  'a symbol': () => Symbol('hunter2'),
  'a promise': () => Promise.resolve(1),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  true: () => true,
  NaN: () => NaN,
  '-Infinity': () => -Infinity,
  Infinity: () => Infinity,
  '-1': () => -1,
  '-0.5': () => -0.5,
  0: () => 0,
  0.5: () => 0.5,
  '2 ** 31': () => 2 ** 31,
  '1e21': () => 1e21,
};

/** What no option is called, though some come near. */
const OTHER_NAMES = [
  'hunter2',
  'maxRetry',
  'conectTimeout',
  'timeoutConnect',
  'delay',
  'MAXDELAY',
  'reconnectionDelay',
];

/** Every option with every value, contradictory options, and unknown ones: `[name of the case, options]`. */
export function optionCases(names) {
  const single = names.flatMap((name) =>
    Object.entries(VALUES).map(([value, make]) => [`${name}: ${value}`, { startClosed: true, [name]: make() }]),
  );
  return [
    ...single,
    ['minDelay above maxDelay', { minDelay: 5, maxDelay: 4, baseDelay: 1 }],
    ['baseDelay above maxDelay', { minDelay: 0, maxDelay: 4, baseDelay: 5 }],
    ...OTHER_NAMES.map((name) => [name, { [name]: 1 }]),
    ['lowWaterMark above highWaterMark', { lowWaterMark: 2, highWaterMark: 1 }],
  ];
}
