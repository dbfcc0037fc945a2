//! See `steady_socket_fuzz::name`.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| steady_socket_fuzz::name(text));
