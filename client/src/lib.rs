//! A WebSocket client for browsers that stays connected.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod browser;
pub mod connection;
pub mod driver;
mod events;
#[cfg(feature = "gloo-net")]
mod fetch;
pub mod options;
pub mod platform;
mod socket;
mod source;
#[cfg(feature = "testing")]
pub mod testing;

pub use connection::{
    Cause, CloseError, CloseFrame, Closed, DropReason, Dropped, Event, Loss, Phase, SendMode, Sent,
    Snapshot, StateChange, Tally, Verdict, Why,
};
pub use driver::Attempt;
pub use events::Events;
#[cfg(feature = "gloo-net")]
pub use fetch::{FetchError, fetch_text};
pub use options::{OptionError, Options, Overflow};
pub use socket::{
    Builder, ConnectError, EndpointSocket, Gone, Handle, Opening, SendError, Socket, endpoint,
};
pub use source::Source;
pub use steady_socket_protocol as protocol;
pub use steady_socket_protocol::Message;
