// Loads the WebAssembly module for the entries of the package. It is loaded by the first socket that needs it, or
// by `load()`; importing this loads nothing and touches nothing of a browser.

import init, { setLoader } from './wasm/steady_socket_wasm.js';

/** Fetched here rather than by `init`, which cannot be told to give up. */
function loadModule(signal) {
  const file = new URL('./wasm/steady_socket_wasm_bg.wasm', import.meta.url);
  const answer = fetch(file, { signal });
  // It is left lying where the program has called `init` itself.
  answer.catch(() => {});
  return init({ module_or_path: answer });
}

export const { ReconnectingWebSocket, load, shared } = setLoader(loadModule);
