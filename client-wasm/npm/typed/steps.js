// Steps that may each take time. As long as none does, all finish before the call returns, so programs with synchronous
// codecs and schemas see no delay and no reordering.

/** Whether it is a promise or another thenable. */
export function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

/** The promise's value; a rejection goes through `toError`. */
export function rejectAs(promise, toError) {
  return Promise.resolve(promise).catch((thrown) => {
    throw toError(thrown);
  });
}
