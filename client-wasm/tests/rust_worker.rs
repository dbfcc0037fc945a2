//! The Rust API in a dedicated worker, against the real server.
#![cfg(target_family = "wasm")]

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod rust_face;
