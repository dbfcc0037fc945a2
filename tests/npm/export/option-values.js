// Invalid options, for every row of the table; the page and the test generate the same ones.

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

/** Every option with every value, and contradictory options: `[name of the case, options]`. */
export function optionCases(names) {
  const single = names.flatMap((name) =>
    Object.entries(VALUES).map(([value, make]) => [`${name}: ${value}`, { startClosed: true, [name]: make() }]),
  );
  return [
    ...single,
    ['minDelay above maxDelay', { minDelay: 5, maxDelay: 4, baseDelay: 1 }],
    ['baseDelay above maxDelay', { minDelay: 0, maxDelay: 4, baseDelay: 5 }],
    ['lowWaterMark above highWaterMark', { lowWaterMark: 2, highWaterMark: 1 }],
  ];
}
