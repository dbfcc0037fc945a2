// Steps that may each take time. As long as none does, all is done before the call returns, so that programs whose
// codecs and schemas answer at once see no delay and no change of order.

/** Whether it is a promise, or what behaves like one. */
export function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

/** Runs steps, each with what the one before gave; the last one's result, or a promise of it if one gave a promise. */
export function pipe(value, steps) {
  let result = value;
  for (const [index, step] of steps.entries()) {
    result = step(result);
    if (isThenable(result)) return continueLater(result, steps.slice(index + 1));
  }
  return result;
}

async function continueLater(value, steps) {
  let result = await value;
  for (const step of steps) result = await step(result);
  return result;
}

/** What `run` gives; what it throws, or what its promise rejects with, goes through `toError`. */
export function translate(run, toError) {
  const fail = (thrown) => { throw toError(thrown); };
  try {
    const result = run();
    return isThenable(result) ? Promise.resolve(result).catch(fail) : result;
  } catch (thrown) {
    return fail(thrown);
  }
}
