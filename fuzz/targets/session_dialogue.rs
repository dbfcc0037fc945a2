//! See `steady_socket_fuzz::session`.
#![no_main]
libfuzzer_sys::fuzz_target!(|run: steady_socket_fuzz::session::Run| run.play());
