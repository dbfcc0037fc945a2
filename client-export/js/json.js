// In JavaScript, since it looks at every property: each would cost a call from Rust.

/**
 * The JSON of a value; `undefined` if there is none, as for a function, and `null` if it has a number that is
 * not finite: that would become `null`, which may mean something else.
 *
 * @throws what the value's own getters and `toJSON` throw, and what the engine throws for a cycle or a BigInt
 */
export function exactJson(value) {
  const json = JSON.stringify(value);
  return json?.includes('null') && !allFinite(value) ? null : json;
}

/** Whether every number in a value that has a JSON is finite. */
function allFinite(value) {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  // What stands in for itself may hide a cycle.
  if (typeof value.toJSON === 'function') return allFinite(value.toJSON());
  return Object.values(value).every(allFinite);
}
