//! See `steady_socket_fuzz::msgpack`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| steady_socket_fuzz::msgpack(data));
