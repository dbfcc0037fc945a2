//! A WebSocket client for browsers that stays connected.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod browser;
pub mod connection;
pub mod driver;
pub mod options;
pub mod platform;

pub use options::{OptionError, Options, Overflow};
pub use steady_socket_protocol as protocol;
pub use steady_socket_protocol::Message;
