//! See `steady_socket_fuzz::control`.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| steady_socket_fuzz::control(text));
