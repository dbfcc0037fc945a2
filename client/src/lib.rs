//! A WebSocket client for browsers that stays connected.
//!
//! Three layers, each of which knows only the one below it:
//!
//! * [`connection`]: the pure core, a state machine without a socket, a clock, randomness or a callback;
//! * [`driver`] and [`browser`]: run the core on a [`platform`], such as the browser or `testing` (behind the feature
//!   of that name);
//! * the Rust API: [`Socket`], a typed stream and sink, with its [`Handle`]s and [`Events`].
//!
//! Start with [`Socket::connect`], or with [`endpoint`] if client and server share a crate of messages.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod browser;
#[doc(hidden)]
pub mod cell;
pub mod connection;
pub mod driver;
#[cfg(feature = "std")]
mod face;
#[cfg(feature = "gloo-net")]
mod fetch;
#[doc(hidden)]
pub mod limits;
pub mod options;
pub mod platform;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "std")]
pub use browser::close_sockets_on_panic;
pub use connection::{
    Cause, CloseError, CloseFrame, Closed, DropReason, Dropped, Event, Hint, Loss, Phase, SendMode,
    Sent, Snapshot, StateChange, Tally, Verdict, Why,
};
pub use driver::Attempt;
#[cfg(feature = "std")]
pub use face::{
    Builder, ConnectError, EndpointSocket, Events, Gone, Handle, InboxLimits, InboxOverflow,
    Opening, Outgoing, ReconnectError, SendError, Socket, Source, endpoint,
};
#[cfg(feature = "gloo-net")]
pub use fetch::{Diagnosis, FetchError, diagnose, fetch_text};
pub use limits::{INBOX_FULL, TOO_BIG};
pub use options::{OptionError, Options, Overflow};
pub use steady_socket_protocol as protocol;
#[cfg(feature = "json")]
pub use steady_socket_protocol::Json;
#[cfg(feature = "msgpack")]
pub use steady_socket_protocol::MsgPack;
#[cfg(feature = "std")]
pub use steady_socket_protocol::{Message, PlainBytes, PlainText};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The example of the guide to testing, run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct GuideToTesting;
