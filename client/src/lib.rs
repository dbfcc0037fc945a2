//! A WebSocket client for browsers that stays connected.
//!
//! Three rings, each of which knows only the one inside it:
//!
//! * [`connection`]: the pure core, a state machine without a socket, a clock, randomness or a callback;
//! * [`driver`] and [`browser`]: the core at work on a [`platform`], of which the browser is one and
//!   `testing` (behind the feature of that name) another;
//! * the face: [`Socket`], a typed stream and sink, with its [`Handle`]s and [`Events`].
//!
//! Start at [`Socket::connect`], or at [`endpoint`] if client and server share a crate of messages.

pub mod browser;
pub mod connection;
pub mod driver;
mod events;
#[cfg(feature = "gloo-net")]
mod fetch;
mod inbox;
pub mod options;
pub mod platform;
mod search;
mod socket;
mod source;
#[cfg(feature = "testing")]
pub mod testing;

pub use browser::close_sockets_on_panic;
pub use connection::{
    Cause, CloseError, CloseFrame, Closed, DropReason, Dropped, Event, Hint, Loss, Phase, SendMode,
    Sent, Snapshot, StateChange, Tally, Verdict, Why,
};
pub use driver::{Attempt, TOO_BIG};
pub use events::Events;
#[cfg(feature = "gloo-net")]
pub use fetch::{Diagnosis, FetchError, diagnose, fetch_text};
pub use inbox::{INBOX_FULL, InboxLimits, InboxOverflow};
pub use options::{OptionError, Options, Overflow};
pub use socket::{
    Builder, ConnectError, EndpointSocket, Gone, Handle, Opening, SendError, Socket, endpoint,
};
pub use source::Source;
pub use steady_socket_protocol as protocol;
#[cfg(feature = "json")]
pub use steady_socket_protocol::Json;
#[cfg(feature = "msgpack")]
pub use steady_socket_protocol::MsgPack;
pub use steady_socket_protocol::{Message, PlainBytes, PlainText};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The example of the guide to testing, run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct GuideToTesting;
