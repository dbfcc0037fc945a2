// The entry of the package. The WebAssembly module is loaded by the first socket that needs it, or by
// `load()`; importing this loads nothing and touches nothing of a browser.

import init, { setLoader } from './wasm/steady_socket_wasm.js';

export const { ReconnectingWebSocket, load } = setLoader(() => init());
