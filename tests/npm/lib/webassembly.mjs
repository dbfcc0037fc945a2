// Compiling and starting a module take real time, on threads of their own, however much time a test's clock says has
// passed. On a busy machine that is longer than any number of turns of the event loop.

/** Watches everything that `WebAssembly` is asked to do from now on. */
export function watchWebAssembly() {
  // A test may take it away.
  const host = WebAssembly;
  const originals = {};
  const pending = new Set();
  for (const name of ['compile', 'compileStreaming', 'instantiate']) {
    const original = host[name];
    originals[name] = original;
    host[name] = (...given) => {
      const result = Reflect.apply(original, host, given);
      const over = () => pending.delete(result);
      pending.add(result);
      result.then(over, over);
      return result;
    };
  }
  return {
    /** Waits until nothing is being done, and returns whether anything was. */
    async finished() {
      const was = pending.size > 0;
      while (pending.size > 0) await Promise.allSettled(pending);
      return was;
    },
    restore: () => Object.assign(host, originals),
  };
}
