//! See `steady_socket_fuzz::negotiate_offer`.
#![no_main]
libfuzzer_sys::fuzz_target!(|text: &str| steady_socket_fuzz::negotiate_offer(text));
