//! A kit for native tests: a server and sockets that the test controls, time that moves only on request, and chosen
//! random numbers. An application's own behaviour when connections come and go then becomes a unit test, without a
//! browser and without waiting.
//!
//! In `Cargo.toml`:
//!
//! ```toml
//! [dev-dependencies]
//! steady-socket = { version = "0.1", features = ["testing"] }
//! ```
//!
//! The application accepts its platform, or a [`Builder`](crate::Builder) that has one, as a parameter:
//!
//! ```
//! use core::cell::RefCell;
//! use core::time::Duration;
//!
//! use futures_util::{FutureExt, StreamExt};
//! use steady_socket::protocol::PlainText;
//! use steady_socket::testing::{Closing, Handshake, World};
//! use steady_socket::{Builder, Event, Events, Options, Phase, Socket, Verdict};
//!
//! type Text = Socket<String, String, PlainText>;
//!
//! // ----- the application
//!
//! /// Resubscribes on every connection, detects a dead one, and gives up when its session has ended.
//! struct Feed {
//!     _socket: Text, // dropping it closes the connection
//!     events: RefCell<Events>,
//!     status: RefCell<String>,
//! }
//!
//! impl Feed {
//!     fn start(builder: Builder<String, String, PlainText>) -> Self {
//!         let options = Options::default()
//!             .heartbeat_interval(Some(Duration::from_secs(20)))
//!             .heartbeat_grace(Duration::from_secs(5));
//!         let socket = builder
//!             .options(options)
//!             .heartbeat("ping".into(), |message| *message == "pong".into())
//!             .should_reconnect(|loss| (loss.close.code == 4003).then_some(Verdict::Stop))
//!             .on_open(|opening| {
//!                 let handle = opening.handle();
//!                 let _ = handle.try_send("subscribe weather");
//!             })
//!             .connect()
//!             .expect("the URL and the options are right");
//!         let events = RefCell::new(socket.events());
//!         Self { _socket: socket, events, status: RefCell::default() }
//!     }
//!
//!     /// What the user sees. In a page, a task awaits the events; a test calls this when it wants to know.
//!     fn status(&self) -> String {
//!         while let Some(Some(event)) = self.events.borrow_mut().next().now_or_never() {
//!             if let Event::State(change) = event {
//!                 *self.status.borrow_mut() = match (change.phase, change.next_attempt_in()) {
//!                     (Phase::Waiting, Some(wait)) => format!("reconnecting in {} s", wait.as_secs()),
//!                     (phase, _) => phase.name().to_owned(),
//!                 };
//!             }
//!         }
//!         self.status.borrow().clone()
//!     }
//! }
//!
//! // ----- its test
//!
//! let seconds = Duration::from_secs;
//! let world = World::new(); // waits are as long as they can be
//! let feed = Feed::start(Text::builder("wss://example.org/feed").platform(world.platform()));
//!
//! // Stalled: a handshake without an answer is given up after 15 s.
//! world.advance(seconds(15));
//! assert_eq!(feed.status(), "reconnecting in 5 s");
//!
//! // Open: it subscribes.
//! world.advance(seconds(5));
//! world.last().open();
//! world.last().expect("subscribe weather");
//! assert_eq!(feed.status(), "open");
//!
//! // Cut: it reconnects and resubscribes.
//! world.last().cut();
//! assert_eq!(feed.status(), "reconnecting in 10 s");
//! world.set_handshake(Handshake::Open);
//! world.advance(seconds(10));
//! world.last().expect("subscribe weather");
//!
//! // Half-open: it looks open, and is found dead 5 s after the unanswered ping.
//! world.last().half_open();
//! world.advance(Duration::from_millis(24_999));
//! assert_eq!(feed.status(), "open");
//! assert_eq!(world.last().buffered_amount(), "ping".len() as u64);
//! world.advance(Duration::from_millis(1));
//! assert_eq!(feed.status(), "reconnecting in 5 s");
//!
//! // Closed with 4003: it gives up, and nothing is left.
//! world.advance(seconds(5));
//! world.last().close(4003, "session over");
//! assert_eq!(feed.status(), "closed");
//! world.advance(seconds(3_600));
//! assert_eq!(world.connection_count(), 4);
//! drop(feed);
//! world.set_closing(Closing::Answer);
//! world.assert_idle();
//! ```
//!
//! Nothing happens by itself: handshakes and closes wait for the test, or follow [`World::set_handshake`] and
//! [`World::set_closing`]; time stands still except for [`World::advance`]; and every wait is the longest possible
//! unless [`World::set_chance`] says otherwise. The world can run the application's own tasks, too:
//! `world.platform().spawn(…)`, then [`World::run`].
pub use connection::{CloseCall, Closing, End, FakeConnection, Handshake, State};
#[cfg(feature = "session")]
#[doc(hidden)]
pub use play::{Play, Step};
#[cfg(feature = "session")]
pub use session::SessionServer;
pub use world::World;

mod connection;
mod page;
#[cfg(feature = "session")]
mod play;
#[cfg(feature = "session")]
mod session;
mod url;
mod world;
