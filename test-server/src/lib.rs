//! The hello server: a WebSocket server that greets, on warp.
//!
//! It is the other end of steady-socket's demo page and tests, and a small example of what a WebSocket server
//! owes its clients: an origin check before the upgrade, negotiated sub-protocols, limits on everything,
//! pings, orderly closing, and a graceful stop.
//!
//! | path | protocol |
//! |---|---|
//! | `/` | plain hello: a text message is a name, the reply is `Hello NAME!` |
//! | `/hello` | typed hello, see [`steady_socket_protocol::hello`] |
//! | `/echo` | returns every message, text as text and bytes as bytes |
//! | `/session/echo`, `/session/hello` | the same in a session, see [`steady_socket_protocol::session`] |
//! | `/session/room` | what one client says, all receive, in one order |
//! | `/session/burst` | bursts in one direction, for measurements |
//!
//! A GET of `/` that is not a WebSocket handshake returns the demo page.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), test_server::StartError> {
//! use test_server::{Config, Server};
//!
//! let server = Server::bind(Config { port: 0, ..Config::default() }).await?;
//! println!("listening on {}", server.local_addr());
//! server.run(async { /* until this future is ready */ }).await;
//! # Ok(())
//! # }
//! ```

mod config;
mod control;
mod endpoints;
mod guests;
mod handshake;
pub mod origin;
mod page;
pub mod program;
mod registry;
mod server;
mod state;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use config::{Certificate, Config, Fingerprint, InvalidConfig, Transcript};
pub use server::{InvalidCertificate, Server, StartError, Stopped};
pub use steady_socket_server::{InvalidOrigin, Origin, OriginRefused, Origins};
