// The server's half of a session, compiled from Rust: the same as that of a real server. Compiled when it is first needed,
// and at once, since the test's actions take effect before the call returns.

import { BASE64 } from './module.js';
import * as glue from './server_half_bg.js';

/** Under this name the module imports wasm-bindgen's JavaScript. */
const GLUE = './server_half_bg.js';

let isStarted = false;

/** @param settings - the arguments of the constructor in `kit-wasm/src/lib.rs` */
export function serverHalf(...settings) {
  if (!isStarted) {
    const bytes = Uint8Array.from(atob(BASE64), (character) => character.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { [GLUE]: glue });
    glue.__wbg_set_wasm(exports);
    exports.__wbindgen_start?.();
    isStarted = true;
  }
  return new glue.ServerHalf(...settings);
}
