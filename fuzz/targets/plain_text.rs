//! See `steady_socket_fuzz::plain_text`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steady_socket_fuzz::plain_text(data));
