//! The server end of steady-socket: typed endpoints, and sessions that lose nothing when a connection breaks.
//!
//! * [`endpoint!`] declares a path, the messages of both ends and their codecs, in a crate that the client shares.
//! * [`Server`] is an endpoint with all its clients. Its handler gets a [`Peer`] for each: once for a session, however many
//!   connections that takes, and once for each connection of a client without a session.
//! * [`Handle`] sends to a client from anywhere in the process; [`Group`] sends to many, in one order.
//! * [`Options`] has every limit and time, with its default.
//!
//! Pings and beats, control messages, the choice of the sub-protocol, the check of the `Origin`, limits and closing are the
//! crate's business. It takes the accepted WebSocket of any framework: with the feature `axum` a [route](mod@axum), with
//! `warp` [another](mod@warp), with `tungstenite` a [TCP stream](mod@tungstenite), and otherwise whatever is a `Stream` and `Sink` of messages
//! ([`SocketMessage`], [`Handshake`]).
//!
//! A chat on axum:
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "json"))] {
//! use serde::{Deserialize, Serialize};
//! use steady_socket_server::{Endpoint as _, Group, Json, Peer, Server, endpoint};
//!
//! #[derive(Serialize, Deserialize)]
//! pub struct Said { text: String }
//!
//! endpoint! {
//!     /// What one says, all hear.
//!     pub Chat at "/chat" {
//!         client: Said,
//!         server: Said,
//!         "chat.json" => Json,
//!     }
//! }
//!
//! let room = Group::new();
//! let server = Server::<Chat>::new(move |mut peer: Peer<Chat>| {
//!     let room = room.clone();
//!     async move {
//!         let _membership = room.join(&peer);
//!         while let Some(Ok(said)) = peer.next().await {
//!             let _ = room.send(&said);
//!         }
//!     }
//! });
//! let routes = axum::Router::<()>::new().route(Chat::PATH, steady_socket_server::axum::route(&server));
//! # }
//! ```
//!
//! # What is promised
//!
//! Without a session, a message is sent to the client's connection, and may be lost with it. With a session, every message is
//! given to the other program once and in order, in both directions, over any number of connections inside the session's
//! window; outside it, each end learns what was handled, what was not, and what nobody can know. The sessions live in this
//! process's memory: they end with it, which the client learns when it comes back. With the feature `redis` they can live in a
//! Redis server, and outlive the process.
//! [docs/sessions.md](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions.md) has the whole of it.
//!
//! # Logs and counters
//!
//! Log lines go through `tracing`, without messages, credentials and identities; a handshake that is refused for its
//! `Origin` is logged with what to set. With the feature `metrics`, these counters go through that crate:
//! `steady_socket_connections_total` (label `session`), `steady_socket_handshakes_refused_total` (`status`),
//! `steady_socket_closed_total` and, of these, `steady_socket_limited_total` (`code`), `steady_socket_gone_total`, `steady_socket_sessions_total` (`anew`: in place of one that
//! is lost),
//! `steady_socket_sessions_ended_total` (`why`), `steady_socket_credentials_denied_total`, `steady_socket_stalled_total`,
//! `steady_socket_lost_full_total`, `steady_socket_panics_total`, `steady_socket_store_failed_total`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod axum;
mod body;
mod errors;
mod group;
mod handshake;
mod log;
mod observe;
mod options;
mod origin;
mod peer;
mod plain;
mod server;
mod session;
mod socket;
mod stop;
mod store;
#[cfg(feature = "tungstenite")]
pub mod tungstenite;
mod turn;
#[cfg(feature = "warp")]
pub mod warp;
mod wire;

pub use errors::{RequestError, SendError};
pub use group::{Group, Membership};
pub use handshake::{Handshake, Refused};
pub use log::{Commit, Log};
pub use options::{InvalidOptions, Options, Rate, Sessions};
pub use origin::{InvalidOrigin, Origin, OriginRefused, Origins};
pub use peer::{Handle, Peer};
pub use server::{Admission, Denied, Server, ServerBuilder};
pub use socket::{Frame, Socket, SocketMessage};
#[cfg(feature = "redis")]
pub use store::redis::{InvalidRedis, Redis};

#[cfg(feature = "json")]
pub use steady_socket_protocol::Json;
#[cfg(feature = "msgpack")]
pub use steady_socket_protocol::MsgPack;
pub use steady_socket_protocol::control::Window;
pub use steady_socket_protocol::session::frame::{Credential, Refusal};
pub use steady_socket_protocol::session::store::Identity;
pub use steady_socket_protocol::session::{End, Ended, NotHandled};
pub use steady_socket_protocol::{
    DecodeError, Decodes, EncodeError, Encodes, Endpoint, Message, PlainBytes, PlainText, Request,
    endpoint,
};

/// How much to read from a WebSocket at once, in bytes; a longer message takes several reads. The frameworks' 128 KiB would
/// be nine tenths of a connection's memory, and every read clears the whole buffer first.
#[cfg(feature = "tungstenite")]
const READ_BYTES: usize = 4 * 1024;

/// The programs of the guide, compiled, and run if they end.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "json",
    feature = "redis",
    feature = "warp"
))]
#[doc = include_str!("../../docs/server.md")]
struct Guide;

/// Those of this crate's readme.
#[cfg(all(doctest, feature = "axum", feature = "json"))]
#[doc = include_str!("../README.md")]
struct Readme;
