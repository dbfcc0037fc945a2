//! The Rust API's promises, in a browser, on real sockets: every case over `ws:`, and over `wss:` if there is such a
//! server.

mod over_ws;
#[cfg(feature = "wss-tests")]
mod over_wss;
mod own_sockets;
pub(crate) mod server;
