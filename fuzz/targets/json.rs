//! See `steady_socket_fuzz::json`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steady_socket_fuzz::json(data));
