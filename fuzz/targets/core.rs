//! See `steady_socket_fuzz::core`.
#![no_main]
libfuzzer_sys::fuzz_target!(|run: steady_socket_fuzz::core::Run| run.play());
