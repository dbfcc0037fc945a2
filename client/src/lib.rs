//! A WebSocket client for browsers, and for native programs, that stays connected.
//!
//! ```no_run
//! use steady_socket::{PlainText, Socket};
//!
//! # async fn hello() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = Socket::<String, String, PlainText>::connect("ws://127.0.0.1:8765")?;
//! socket.send("Ada").await?; // sent when it is open
//! while let Some(greeting) = socket.recv().await {
//!     match greeting {
//!         Ok(greeting) => println!("{greeting}"),
//!         Err(error) => eprintln!("cannot be decoded: {error}"), // later messages may be
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Socket::connect`] takes the defaults, [`Socket::builder`] everything else: [`Options`], sub-protocols, handlers, a
//! heartbeat. If client and server share a crate of messages, declare an endpoint with [`endpoint!`] and connect with
//! [`endpoint()`]. A [`Handle`] sends, closes, suspends and reconnects from anywhere, and [`Events`] report what happens.
//!
//! # States
//!
//! A connection is in one [`Phase`] at a time. Every change is an [`Event::State`].
//!
//! ```text
//! idle       ─ connect() ────────────────────────────▶ connecting
//!            ─ reconnect() ──────────────────────────▶ connecting
//! connecting ─ the handshake succeeds ───────────────▶ open
//!            ─ it is lost ───────────────────────────▶ waiting
//!            ─ it is lost, and no retry may follow ──▶ closed
//!            ─ close() ──────────────────────────────▶ closed
//!            ─ suspend() ────────────────────────────▶ suspended
//!            ─ reconnect() ──────────────────────────▶ connecting
//! open       ─ it is lost ───────────────────────────▶ waiting
//!            ─ it is lost, and no retry may follow ──▶ closed
//!            ─ close() ──────────────────────────────▶ closing
//!            ─ suspend() ────────────────────────────▶ suspended
//!            ─ reconnect() ──────────────────────────▶ connecting
//! waiting    ─ the wait is over ─────────────────────▶ connecting
//!            ─ reconnect() ──────────────────────────▶ connecting
//!            ─ close() ──────────────────────────────▶ closed
//!            ─ suspend() ────────────────────────────▶ suspended
//! closing    ─ the server answers, or close_timeout ─▶ closed
//!            ─ reconnect() ──────────────────────────▶ connecting
//! closed     ─ reconnect() ──────────────────────────▶ connecting
//! suspended  ─ resume() ─────────────────────────────▶ connecting
//!            ─ reconnect() ──────────────────────────▶ connecting
//!            ─ close() ──────────────────────────────▶ closed
//! ```
//!
//! A command that a phase does not list has no effect there. `send` queues its message in every phase but `open`, where
//! it goes to the browser, and `closing` and `closed`, where it is an error.
//!
//! # The order of events
//!
//! Plain sockets and sessions have one order, which
//! [docs/sessions.md](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions.md#the-order-of-events) lists:
//! of an attempt first [`Event::State`], then [`Event::Open`] and the handler of [`Builder::on_open`], whose messages go out
//! before the queue, then messages; after a loss [`Event::State`], and last [`Event::Closed`], which says whether and when
//! the next attempt follows.
//!
//! [`Event::Dropped`] reports messages that will not be sent, [`Event::QueueChanged`] a change of the queue, after all
//! other events of the same turn. An event is never delivered inside a call of yours: it comes after the running
//! handler, or in a task of its own.
//!
//! # Guarantees
//!
//! * It reconnects after every loss, with random waits (full jitter) and a budget for attempts, unless the close code,
//!   the predicate of [`Builder::should_reconnect`] or [`Options::max_retries`] ends it.
//! * There is one connection at a time. Late events of an earlier one change nothing.
//! * Messages that wait are sent in order, and never twice. Each that is not sent is reported.
//! * Commands take effect at once, in every state and inside every handler.
//! * Every buffer is bounded: the queue by [`Options::max_queued_messages`] and [`Options::max_queued_bytes`], unread
//!   messages by [`Builder::inbox`], a message by [`Options::max_message_bytes`], unread events as [`Events`] says.
//! * Every future says whether it is cancel safe: `send` and `recv` of [`Socket`], `send` of [`Handle`] and `recv` of
//!   [`Events`] are.
//! * Dropping the [`Socket`] closes the connection and frees every listener and timer.
//!
//! # Limits
//!
//! * A WebSocket gives no receipt. [`Closed::unconfirmed`] counts the messages that the browser accepted but the server
//!   never confirmed.
//! * A half-open connection goes unnoticed unless the server answers something: see [`Builder::heartbeat`] and the
//!   [control messages](protocol::control) of an endpoint.
//! * Browsers hide protocol pings, the status of a refused handshake, and custom headers.
//! * A socket stays on its thread: a page, or one worker.
//!
//! # Features
//!
//! * `json` (default): the codec [`Json`], by serde_json.
//! * `msgpack`: the codec [`MsgPack`], by rmp-serde.
//! * `gloo-net`: [`fetch_text`] for a fresh ticket before each attempt, [`diagnose`] to find out why handshakes fail, and
//!   conversions from and to gloo-net's messages.
//! * `log`: debug lines without payloads or URLs.
//! * `session`: lossless sessions ([`Builder::session`]).
//! * `native`: sockets of the operating system, for the same API in a program that runs natively: the module `native`.
//! * `testing`: a fake server, fake sockets and a manual clock ([`testing`]).
//! * `std`: everything but the core, its driver and [`platform`], which need no standard library. Every other feature
//!   but `log` includes it.
//!
//! # Layers
//!
//! [`connection`] is the pure core, a state machine without a socket, a clock, randomness or a callback. [`driver`] runs
//! it on a [`platform`], such as the [`browser`] or the module `native`. The items of this page are the Rust API above them.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod application;
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
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub mod native;
pub mod options;
pub mod platform;
pub mod session;
mod sleep;
#[cfg(feature = "testing")]
pub mod testing;

pub use application::Attempt;
#[cfg(feature = "std")]
pub use browser::close_sockets_on_panic;
pub use connection::{
    Cause, CloseError, CloseFrame, Closed, DropReason, Dropped, Event, Hint, Loss, Phase, SendMode,
    Sent, SessionEvent, SessionLoss, Snapshot, StateChange, Tally, Unwelcomed, Verdict, Why,
};
#[cfg(feature = "session")]
pub use face::{Asking, Delivering, RequestError, Session};
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
pub use steady_socket_protocol::{
    Codec, Decode, DecodeError, Encode, EncodeError, Endpoint, Message, Offers, PlainBytes,
    PlainText, Request, endpoint,
};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "json"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples of this crate's readme, compiled.
#[cfg(all(doctest, feature = "json", feature = "session"))]
#[doc = include_str!("../README.md")]
struct ReadmeOfTheCrate;

/// The example of the guide to testing, run.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../docs/testing.md")]
struct GuideToTesting;

/// The examples of the page on sessions, compiled; the one with the kit is run.
#[cfg(all(doctest, feature = "json", feature = "session", feature = "testing"))]
#[doc = include_str!("../../docs/sessions.md")]
struct PageOnSessions;
