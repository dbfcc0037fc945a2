//! A program that depends on `steady-socket` alone exports nothing of the JavaScript face.
#![cfg(target_family = "wasm")]

mod exports;

use steady_socket::{Options, Socket, protocol::PlainText};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn a_program_in_rust_exports_nothing_of_its_own() {
    // Something of the library, so that it is linked.
    let socket = Socket::<String, String, PlainText>::builder("ws://127.0.0.1:9/")
        .options(Options::default().start_closed(true))
        .connect();
    assert!(socket.is_ok());
    assert_eq!(exports::of_the_face(), Vec::<String>::new());
}
