// Steps that may each take time. As long as none does, all is done before the call returns, so that programs whose
// codecs and schemas answer at once see no delay and no change of order.

/** Whether it is a promise, or what behaves like one. */
export function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

/** What a promise gives; what it rejects with goes through `toError`. */
export function rejectAs(promise, toError) {
  return Promise.resolve(promise).catch((thrown) => { throw toError(thrown); });
}
