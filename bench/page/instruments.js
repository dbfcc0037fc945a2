// Runs before everything else in a page: counts what the browser does not expose.

(() => {
  /** Ids of pending timers. */
  const timers = new Set();
  const memories = [];

  const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
  globalThis.setTimeout = (run, delay, ...given) => {
    const id = setTimeout(
      (...passed) => {
        timers.delete(id);
        run(...passed);
      },
      delay,
      ...given,
    );
    timers.add(id);
    return id;
  };
  globalThis.setInterval = (...given) => {
    const id = setInterval(...given);
    timers.add(id);
    return id;
  };
  globalThis.clearTimeout = (id) => {
    timers.delete(id);
    clearTimeout(id);
  };
  globalThis.clearInterval = (id) => {
    timers.delete(id);
    clearInterval(id);
  };

  /** Keeps a reference to the memory of every instance. */
  function note(result) {
    const { exports } = result.instance ?? result;
    for (const value of Object.values(exports)) {
      if (value instanceof WebAssembly.Memory) memories.push(value);
    }
    return result;
  }
  for (const name of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[name];
    WebAssembly[name] = (...given) => original.apply(WebAssembly, given).then(note);
  }

  globalThis.instruments = {
    timers: () => timers.size,
    wasmMemory: () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0),
  };
})();
