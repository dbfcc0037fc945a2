//! The part of steady-socket that both ends of a connection share.
//!
//! * [`Message`]: one WebSocket message, text or bytes.
//! * [`Codec`], [`Encode`], [`Decode`]: how a typed value becomes a message and back; the codecs are
//!   [`Json`], [`MsgPack`], [`PlainText`] and [`PlainBytes`].
//! * [`Endpoint`] and [`endpoint!`]: a path, the messages of both sides and the sub-protocols, declared once,
//!   so that a client and a server that disagree do not compile.
//! * [`negotiate`]: the server's choice among the sub-protocols that a client offers.
//! * [`control`]: heartbeats, and when to reconnect.
//! * [`hello`]: the messages of the hello server, and the rules for a name.
//!
//! The crate does no I/O and knows no browser, so that both ends and all tests can use it.
//!
//! ```
//! use steady_socket_protocol::hello::{ClientMessage, ServerMessage};
//! # #[cfg(feature = "json")] {
//! use steady_socket_protocol::{Decode, Encode, Json, Message};
//!
//! let message = Json::encode(&ClientMessage::Hello { name: "Ada".into() })?;
//! assert_eq!(message, Message::from(r#"{"type":"hello","name":"Ada"}"#));
//!
//! let answer: ServerMessage = Json::decode(r#"{"type":"greeting","text":"Hello Ada!"}"#.into())?;
//! assert_eq!(answer, ServerMessage::Greeting { text: "Hello Ada!".into() });
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! `json` and `msgpack`, both on by default, add the codec of that name. A client that uses only one can
//! leave the other out of its build. `typescript`, off by default, declares the hello messages in TypeScript;
//! it depends on `wasm-bindgen`, which a server does not need. Each of them enables `std`, without which only
//! [`control`] is available.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
mod codec;
pub mod control;
#[cfg(feature = "std")]
mod endpoint;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "gloo-net")]
mod gloo;
#[cfg(feature = "std")]
pub mod hello;
#[cfg(feature = "std")]
mod message;
mod request;
pub mod session;
mod time;

#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "msgpack")]
pub use codec::MsgPack;
#[cfg(feature = "std")]
pub use codec::{Codec, Decode, Encode, MAX_DEPTH, PlainBytes, PlainText};
#[cfg(feature = "std")]
pub use endpoint::{Decodes, Encodes, Endpoint, Offers, Subprotocol};
#[cfg(feature = "json")]
pub use endpoint::{Negotiated, UnknownSubprotocols, negotiate};
#[cfg(feature = "std")]
#[doc(hidden)]
pub use endpoint::{is_token, no_such_subprotocol};
#[cfg(feature = "std")]
pub use error::{DecodeError, DecodeReason, EncodeError, Fault, Position};
#[cfg(feature = "std")]
pub use message::{Message, MessageKind};
pub use request::Request;
pub use time::Time;
