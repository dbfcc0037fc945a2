//! See `steady_socket_fuzz::window`.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| steady_socket_fuzz::window(text));
