//! See `steady_socket_fuzz::session::frame`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steady_socket_fuzz::session::frame(data));
