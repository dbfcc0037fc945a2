// The WebAssembly module as a file next to this one. Bundlers recognise the expression below: they copy the file into
// their output, and put its address here.

import { provide } from './loader.js';

provide('file', () => {
  let url;
  try {
    url = new URL('./steady-socket.wasm', import.meta.url).href;
  } catch (cause) {
    // As in a bundle that is not a module.
    throw new Error('the address of this script is not known; give load({ module }), or import steady-socket/inline', {
      cause,
    });
  }
  // From a bundler for pages whose output runs on a server.
  if (!url.includes(':') && !globalThis.location) {
    throw new Error(
      `the bundler has put the file at ${url}, where only a page can find it; on a server import steady-socket/inline, or keep this package out of the bundle (in Next: serverExternalPackages)`,
    );
  }
  return url;
});
