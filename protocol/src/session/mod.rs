//! Sessions: one dialogue over any number of connections, without loss.
//!
//! Both halves are state machines without a socket, a clock, randomness or a callback: [`Client`] is the client's half,
//! [`Server`] the server's, for one session. [`frame`] reads and writes what they exchange, and a [`store`] keeps what
//! the server's half must not forget. The
//! [specification](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions-protocol.md) says what goes
//! over the wire and why; here is how a driver works with the halves.
//!
//! # The contract with the driver
//!
//! > One input, then drain the effects, then hand out the outputs, then arm a timer.
//!
//! 1. Report what happened, with the time: a connection that opened or closed, a frame, a timer, an answer of the store, or
//!    what the application does. Time never falls, and goes on while the machine sleeps.
//! 2. Carry out `poll_effect` until it is empty, in order. Effects of an earlier input must not be left over. The client's
//!    half has `poll_frame` beside it: what there is to send goes first.
//! 3. Take `poll_output`, and call the application. A message is *given* by being taken, so a driver takes the next one
//!    only when the application is ready for it: what is not taken waits in the half, within the window. Inside its handler
//!    the application may call anything, which is a new input. When it is done with a message, it says `handled`.
//! 4. Arm a timer for `next_timer`. It may fire early, late, twice or never: then acknowledgements go with other frames,
//!    and deadlines pass later.
//!
//! The driver of a server also lets clients in. It passes the frames of a new connection to an [`Arrival`] until the hello is
//! there, checks the hello's credential, and then gives the arrival to the [`Server`] of the session's [key](frame::Key),
//! which it makes if there is none, and drops when it [is over](Server::is_over).
//!
//! Late and repeated inputs change nothing. Memory is bounded by the limits of both ends. A payload is cloned when it is
//! sent, so a clone should be cheap ([`Payload`]).
//!
//! Both ends, with a network that loses a connection, and a server that echoes:
//!
//! ```
//! use steady_socket_protocol::session::frame::{Data, Frame, Style, read, write};
//! use steady_socket_protocol::session::store::{Identity, Store};
//! use steady_socket_protocol::session::{
//!     Arrival, Client, ClientEffect, Connection, MemoryOptions, MemoryStore, Options, Output, SendMode, Server,
//!     ServerEffect, ServerOptions, Time,
//! };
//!
//! type Payload = Data<'static>;
//!
//! struct World {
//!     now: Time,
//!     client: Client<Payload>,
//!     server: Option<Server<Payload>>,
//!     store: MemoryStore<Payload>,
//!     arrival: Option<Arrival<Payload>>,
//!     connection: Connection,
//!     to_client: Vec<Data<'static>>,
//!     to_server: Vec<Data<'static>>,
//!     log: Vec<String>,
//! }
//!
//! impl World {
//!     fn connect(&mut self) {
//!         self.connection.0 += 1;
//!         self.arrival = Some(Arrival::new(self.now, &Options::default()));
//!         // The random bytes have to come from the platform's cryptographic source.
//!         self.client.opened(self.now, [7; 16], None);
//!         self.settle();
//!     }
//!
//!     fn cut(&mut self) {
//!         self.to_client.clear();
//!         self.to_server.clear();
//!         self.client.closed(self.now, 1006);
//!         if let Some(server) = &mut self.server {
//!             server.closed(self.now, self.connection, 1006);
//!         }
//!         self.settle();
//!     }
//!
//!     fn send(&mut self, text: &'static str) {
//!         self.client.send(self.now, text.into(), SendMode::default()).unwrap();
//!         self.settle();
//!     }
//!
//!     /// Carries out effects and hands out outputs.
//!     fn settle(&mut self) {
//!         loop {
//!             while let Some(frame) = self.client.poll_frame() {
//!                 self.to_server.push(write(frame, Style::TEXT).unwrap());
//!             }
//!             match self.client.poll_effect() {
//!                 // Here every turn of the event loop is over at once.
//!                 Some(ClientEffect::Gather) => self.client.gathered(self.now),
//!                 Some(_) => {}
//!                 None => break,
//!             }
//!         }
//!         while let Some(output) = self.client.poll_output(self.now) {
//!             match output {
//!                 Output::Message { token, payload: Data::Text(text) } => {
//!                     self.log.push(format!("client was given: {text}"));
//!                     self.client.handled(self.now, token);
//!                 }
//!                 Output::Handled(run) => self.log.extend(run.into_iter().map(|_| "handled".to_owned())),
//!                 _ => {}
//!             }
//!         }
//!         let Some(server) = &mut self.server else { return };
//!         loop {
//!             while let Some(effect) = server.poll_effect() {
//!                 match effect {
//!                     ServerEffect::Transmit(_, frame) => self.to_client.push(write(frame, Style::TEXT).unwrap()),
//!                     ServerEffect::Ask(ticket, question) => self.store.ask(self.now, ticket, *question),
//!                     ServerEffect::Gather => server.gathered(self.now),
//!                     _ => {}
//!                 }
//!                 while let Some((ticket, reply)) = self.store.poll() {
//!                     server.answered(self.now, ticket, reply);
//!                 }
//!             }
//!             match server.poll_output(self.now) {
//!                 Some(Output::Message { token, payload }) => {
//!                     server.send(self.now, payload, SendMode::default()).unwrap();
//!                     server.handled(self.now, token);
//!                 }
//!                 Some(_) => {}
//!                 None => return,
//!             }
//!         }
//!     }
//!
//!     /// Delivers everything that is on its way, and lets a second pass.
//!     fn deliver(&mut self) {
//!         while !self.to_server.is_empty() || !self.to_client.is_empty() {
//!             for data in std::mem::take(&mut self.to_server) {
//!                 let frame = read(data).unwrap();
//!                 match (&mut self.arrival, &mut self.server) {
//!                     // A real server looks at the credential here, and lets the client in or not.
//!                     (Some(arrival), server) => {
//!                         if arrival.receive(frame).unwrap() {
//!                             let key = arrival.hello().unwrap().secret.key();
//!                             let server = server.get_or_insert_with(|| Server::new(key, ServerOptions::default()));
//!                             let arrival = self.arrival.take().unwrap();
//!                             let identity = Identity("Ada".to_owned());
//!                             server.attach(self.now, self.connection, arrival, identity, true, 12_345);
//!                         }
//!                     }
//!                     (None, Some(server)) => server.receive(self.now, self.connection, frame),
//!                     (None, None) => {}
//!                 }
//!                 self.settle();
//!             }
//!             for data in std::mem::take(&mut self.to_client) {
//!                 self.client.receive(self.now, read(data).unwrap());
//!                 self.settle();
//!             }
//!             // Acknowledgements are due after a second.
//!             self.now = self.now.after(1_000);
//!             self.client.timer(self.now);
//!             self.server.as_mut().unwrap().timer(self.now);
//!             self.settle();
//!         }
//!     }
//! }
//!
//! let mut world = World {
//!     now: Time::default(),
//!     client: Client::new(Options::default(), [1; 16]),
//!     server: None,
//!     store: MemoryStore::new(Time::default(), MemoryOptions::default()),
//!     arrival: None,
//!     connection: Connection(0),
//!     to_client: Vec::new(),
//!     to_server: Vec::new(),
//!     log: Vec::new(),
//! };
//! world.connect();
//! world.deliver();
//! world.send("one");
//! world.cut(); // with "one" on its way
//! world.send("two");
//! world.connect();
//! world.deliver();
//! world.log.sort();
//! assert_eq!(world.log, ["client was given: one", "client was given: two", "handled", "handled"]);
//! ```

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod ascending;
mod client;
mod exchange;
pub mod frame;
mod json;
mod memory;
mod queue;
mod received;
mod sent;
mod server;
pub mod store;
#[cfg(test)]
mod tests;
mod types;

pub use crate::Time;
pub use client::{Client, ClientEffect, Phase};
pub use exchange::{Options, Overflow};
pub use memory::{MemoryOptions, MemoryStore};
pub use sent::Item;
pub use server::{Arrival, Connection, Server, ServerEffect, ServerOptions};
pub use types::{
    Ask, AskEnd, Deliveries, Delivery, End, Ended, NotHandled, Opened, Output, Payload, Rejected,
    Rejection, SendMode, Token,
};

/// The suffix of a sub-protocol's name that asks for a session, which includes control messages.
pub const SUFFIX: &str = "~2";

/// The sub-protocol that a client without a name of its own offers for a session.
pub const PLAIN_NAME: &str = "steady~2";

/// The largest number of a message, of an id and of a count: the largest integer that a JavaScript number holds
/// exactly, 2^53 − 1.
pub const MAX_NUMBER: u64 = 9_007_199_254_740_991;

/// The limits and times of the specification, with their defaults.
///
/// Those of the other end may be narrower: hello and welcome state them.
pub mod limits {
    /// Messages unhandled in one direction.
    pub const MESSAGES: u64 = 1_000;
    /// Bytes unhandled in one direction: 1 MiB.
    pub const BYTES: u64 = 1_048_576;
    /// Bytes of a message: 1 MiB.
    pub const MESSAGE_BYTES: u64 = 1_048_576;
    /// Unanswered requests in one direction.
    pub const REQUESTS: u64 = 64;
    /// Numbered frames that may ride behind the first hello.
    pub const RIDING_MESSAGES: u64 = 64;
    /// Bytes in them: 64 KiB.
    pub const RIDING_BYTES: u64 = 65_536;
    /// Messages in a batch.
    pub const BATCH_MESSAGES: usize = 256;
    /// Bytes in a batch of several: 64 KiB, above which a browser gains nothing from fewer frames.
    pub const BATCH_BYTES: usize = 65_536;
    /// How often a batch is halved while connections end before one is through: after so many a message goes by itself.
    pub const BATCH_HALVINGS: u8 = 8;
    /// Answers and cancellations that the other end has not confirmed, before further ones wait.
    pub const UNCONFIRMED: u64 = 256;
    /// Answers and cancellations beyond the handled prefix, before the receiver says that it has them.
    pub const GOT_AFTER: u64 = 64;
    /// Bytes of a credential: the headers of common servers allow no longer ones.
    pub const CREDENTIAL_BYTES: usize = 4_096;
    /// Milliseconds until an acknowledgement.
    pub const ACK_DELAY_MS: u64 = 1_000;
    /// Messages until an acknowledgement.
    pub const ACK_MESSAGES: u64 = 300;
    /// Milliseconds until a handler is reported as stalled.
    pub const STALLED_MS: u64 = 30_000;
    /// Milliseconds for a hello to arrive.
    pub const HELLO_MS: u64 = 10_000;
    /// Milliseconds of a server's memory in which what rides is given only when the client has acknowledged the welcome:
    /// the longest that a hello may be on its way.
    pub const YOUNG_MS: u64 = 60_000;
    /// Milliseconds that a session outlives its connection.
    pub const WINDOW_MS: u64 = 120_000;
    /// Milliseconds by which two clocks may differ in measuring the age of a session, beside a thousandth of it.
    pub const SKEW_MS: u64 = 1_000;
    /// Milliseconds that a replay alone waits for its acknowledgement, before the next goes: its handler may wait for an
    /// answer that stands behind it.
    pub const ALONE_MS: u64 = 5_000;
    /// How often that time doubles, each time that something beside what was alone may have ended the connection: to 80 s.
    pub const ALONE_DOUBLINGS: u8 = 4;
    /// Replays alone that end a connection, until a message is set aside.
    pub const ALONE: u8 = 3;
    /// Milliseconds that a tombstone of a closed session stays: 10 minutes.
    pub const CLOSED_TOMBSTONE_MS: u64 = 600_000;
    /// Milliseconds that a tombstone of an expired session stays: 24 hours.
    pub const EXPIRED_TOMBSTONE_MS: u64 = 86_400_000;
    /// Messages that wait without a number.
    pub const QUEUE_MESSAGES: usize = 1_000;
    /// Bytes in them: 1 MiB.
    pub const QUEUE_BYTES: usize = 1_048_576;
}

/// The close codes of sessions. 3000 to 3499 let a client come back, 3500 to 3999 do not.
pub mod close {
    /// The session was closed or ended, behind an `end`. Without one it is a loss like any other.
    pub const NORMAL: u16 = 1_000;
    /// A message is larger than the server takes.
    pub const TOO_LARGE: u16 = 1_009;
    /// No room for another session.
    pub const NO_ROOM: u16 = 1_013;
    /// The counts of the two ends differ.
    pub const OUT_OF_STEP: u16 = 3_470;
    /// A malformed frame.
    pub const MALFORMED: u16 = 3_471;
    /// The first frame was no hello, none came, or a second one came.
    pub const NO_HELLO: u16 = 3_472;
    /// No welcome came in time.
    pub const NO_WELCOME: u16 = 3_473;
    /// The other end exceeded a limit.
    pub const LIMIT: u16 = 3_474;
    /// The session's store does not answer.
    pub const STORE: u16 = 3_475;
    /// The session is lost; the next welcome says why.
    pub const LOST: u16 = 3_476;
    /// A newer connection has the session.
    pub const SUPERSEDED: u16 = 3_970;
    /// A late hello: the session has seen a higher attempt.
    pub const STALE: u16 = 3_971;
    /// The client is not let in.
    pub const REFUSED: u16 = 3_972;
    /// The session was closed or ended.
    pub const OVER: u16 = 3_973;
    /// A message is larger than the client takes. A browser cannot send 1009.
    pub const TOO_LARGE_FOR_CLIENT: u16 = 4_009;

    /// All of them.
    pub const ALL: [u16; 15] = [
        NORMAL,
        TOO_LARGE,
        NO_ROOM,
        OUT_OF_STEP,
        MALFORMED,
        NO_HELLO,
        NO_WELCOME,
        LIMIT,
        STORE,
        LOST,
        SUPERSEDED,
        STALE,
        REFUSED,
        OVER,
        TOO_LARGE_FOR_CLIENT,
    ];

    /// Whether a client that receives this code gives its session up.
    #[must_use]
    pub const fn ends_session(code: u16) -> bool {
        matches!(code, SUPERSEDED | STALE | REFUSED | OVER)
    }

    /// Whether a connection that ends with this code may have been ended by what it carried.
    #[must_use]
    pub const fn blames_messages(code: u16) -> bool {
        matches!(
            code,
            1_002 | 1_003 | 1_007 | TOO_LARGE | TOO_LARGE_FOR_CLIENT | MALFORMED | LIMIT
        )
    }

    /// Whether a client waits as after a failed attempt when a connection has ended with this code, and nothing new was
    /// given or acknowledged on it: each time longer, so that a fault that stays is not met without a pause. For 1000 that
    /// holds without an `end`.
    #[must_use]
    pub const fn is_fault(code: u16) -> bool {
        matches!(code, NORMAL | OUT_OF_STEP..=LOST) || blames_messages(code)
    }
}
