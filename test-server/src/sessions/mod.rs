//! Sessions at `/session/echo`, `/session/hello`, `/session/room` and, for measurements, `/session/burst`: a dialogue
//! outlives its connections.
//!
//! A task per connection ([`connection`]) reads and writes frames. A task per session ([`session`]) owns the server's
//! half of the protocol, and what the endpoint does with its messages ([`application`]). They find each other here.

mod application;
mod connection;
mod session;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use steady_socket_protocol::session::frame::{Data, Key, Kind, Style};
use steady_socket_protocol::session::{
    Connection, MemoryOptions, MemoryStore, Options, PLAIN_NAME, Payload, SUFFIX, Time, limits,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) use application::Application;
pub(crate) use connection::serve;

use crate::Config;
use session::Event;

/// A message that is cheap to clone, because the half keeps one until it is acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Body(Arc<Data<'static>>);

impl Body {
    fn new(data: Data<'_>) -> Self {
        Self(Arc::new(data.into_owned()))
    }

    /// A copy of the data.
    fn data(&self) -> Data<'static> {
        Data::clone(&self.0)
    }
}

impl Payload for Body {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

/// An endpoint with sessions, in the codec that was negotiated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) application: Application,
    pub(crate) codec: Codec,
}

/// What the application's messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Json,
    MsgPack,
    Text,
}

impl Codec {
    const fn style(self) -> Style {
        match self {
            Self::Json => Style::JSON,
            Self::MsgPack => Style::BINARY,
            Self::Text => Style::TEXT,
        }
    }
}

/// What the query of an address says to the endpoint `burst`: `way=in` or `way=out`, and two numbers.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    way: Option<String>,
    count: Option<String>,
    pool: Option<String>,
}

/// The endpoint at a path, and the sub-protocol to answer: the first known one of those `offered`. `None` if the path has
/// no sessions.
///
/// # Errors
///
/// What to offer instead.
pub(crate) fn choose(
    path: &str,
    query: &Query,
    offered: Option<&str>,
) -> Option<Result<(Endpoint, String), String>> {
    let name = path.strip_prefix("/session/")?;
    let application = Application::named(name, query)?;
    let codec = |offer: &str| {
        if offer == PLAIN_NAME {
            return Some(Codec::Text);
        }
        match offer.strip_suffix(SUFFIX)?.strip_prefix(name)? {
            ".json" => Some(Codec::Json),
            ".msgpack" => Some(Codec::MsgPack),
            _ => None,
        }
    };
    let chosen = offered
        .unwrap_or_default()
        .split(',')
        .map(|offer| offer.trim_matches([' ', '\t']))
        .find_map(|offer| {
            Some((
                Endpoint {
                    application,
                    codec: codec(offer)?,
                },
                offer.to_owned(),
            ))
        });
    Some(chosen.ok_or_else(|| {
        format!(
            "this endpoint takes sessions only: offer {name}.json{SUFFIX}, {name}.msgpack{SUFFIX} or {PLAIN_NAME}"
        )
    }))
}

/// The options of the half of a session, within the limits of this server.
fn options(config: &Config) -> Options {
    let mut options = Options::default();
    options.limits.message_bytes = config.max_message_bytes as u64;
    options
}

/// The longest frame to read, in bytes: that of the largest message, or of a full batch, with its head.
pub(crate) fn longest_frame(config: &Config) -> usize {
    let payload = config.max_message_bytes.max(limits::BATCH_BYTES);
    // A text in a batch may double by JSON's escapes, and each has a comma and two quotes.
    payload * 2 + limits::BATCH_MESSAGES * 3 + 64
}

/// All sessions of a server, and the room.
pub(crate) struct Sessions {
    began: Instant,
    connections: AtomicU64,
    store: Mutex<MemoryStore<Body>>,
    /// The task of each session.
    open: Mutex<HashMap<Key, mpsc::Sender<Event>>>,
    /// Where to pass on what is said in the room, in one order for all.
    room: Mutex<Vec<(Key, mpsc::UnboundedSender<Body>)>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &lock(&self.open).len())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            connections: AtomicU64::new(0),
            store: Mutex::new(MemoryStore::new(Time::default(), MemoryOptions::default())),
            open: Mutex::default(),
            room: Mutex::default(),
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(self.began.elapsed().as_millis() as u64)
    }

    /// The moment of the runtime's clock.
    fn instant(&self, time: Time) -> Instant {
        self.began + std::time::Duration::from_millis(time.as_millis())
    }

    fn next_connection(&self) -> Connection {
        Connection(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn enter_room(&self, key: Key) -> mpsc::UnboundedReceiver<Body> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut room = lock(&self.room);
        room.retain(|(other, _)| *other != key);
        room.push((key, sender));
        receiver
    }

    fn leave_room(&self, key: Key) {
        lock(&self.room).retain(|(other, sender)| *other != key && !sender.is_closed());
    }

    /// Passes on what one client says to all of them, itself included.
    fn say(&self, body: &Body) {
        // One caller at a time, so that everybody gets everything in the same order.
        for (_, sender) in lock(&self.room).iter() {
            // Who has left does not listen.
            let _ = sender.send(body.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_chosen_by_path_and_offer() {
        let query = Query::default();
        let chosen = |path, offered| {
            let (endpoint, answer) = choose(path, &query, offered)?.ok()?;
            Some((endpoint.codec, answer))
        };
        let json = Some((Codec::Json, "echo.json~2".to_owned()));
        assert_eq!(
            chosen("/session/echo", Some("echo.json~2, echo.json")),
            json
        );
        assert_eq!(
            chosen("/session/echo", Some("other, echo.json~2,steady~2")),
            json
        );
        let text = Some((Codec::Text, "steady~2".to_owned()));
        assert_eq!(chosen("/session/room", Some("steady~2")), text);
        let burst = |way: &str| Query {
            way: Some(way.to_owned()),
            count: Some("2".to_owned()),
            pool: Some("1".to_owned()),
        };
        let at_burst = |query| choose("/session/burst", &query, Some("steady~2")).is_some();
        assert!(at_burst(burst("in")) && at_burst(burst("out")));
        assert!(!at_burst(burst("up")) && !at_burst(Query::default()));
        for path in ["/session/none", "/session/", "/session", "/echo", "/"] {
            assert!(choose(path, &query, Some("steady~2")).is_none(), "{path}");
        }
        for offered in [
            None,
            Some(""),
            Some("echo.json"),
            Some("hello.json~2"),
            Some("echo.json~1"),
        ] {
            let Some(Err(what)) = choose("/session/echo", &query, offered) else {
                panic!("{offered:?} is accepted");
            };
            assert!(what.contains("echo.json~2"), "{what}");
        }
    }
}
