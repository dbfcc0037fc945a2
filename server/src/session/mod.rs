//! Sessions: a dialogue that outlives its connections.
//!
//! Each connection has a task of its own ([`connection`]), which reads and writes frames. Each session has one that runs its
//! handler and its timer ([`Session::run`]). They, and whoever sends, share the session's half of the protocol behind a lock
//! ([`half`]).

mod connection;
mod half;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steady_socket_protocol::session::frame::{Key, Style};
use steady_socket_protocol::session::{Connection, MAX_NUMBER, MemoryStore, ServerOptions, Time};
use tokio::time::Instant;

pub(crate) use connection::{Host, serve};
pub(crate) use half::{Finished, Job, Life, Session};

use crate::body::Body;
use crate::options::Options;

/// All sessions of an endpoint.
pub(crate) struct Sessions {
    options: Arc<ServerOptions>,
    whole: Arc<Options>,
    began: Instant,
    connections: AtomicU64,
    ids: AtomicU64,
    store: Mutex<MemoryStore<Body>>,
    open: Mutex<HashMap<Key, Arc<Session>>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &self.open().len())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) fn new(options: &Arc<Options>) -> Self {
        Self {
            options: Arc::new(options.half()),
            whole: Arc::clone(options),
            began: Instant::now(),
            connections: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            store: Mutex::new(MemoryStore::new(Time::default(), options.memory())),
            open: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_millis(self.began.elapsed().as_millis() as u64)
    }

    /// The moment of the runtime's clock.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.began + std::time::Duration::from_millis(time.as_millis())
    }

    fn next_connection(&self) -> Connection {
        Connection(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number that no other client has.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, HashMap<Key, Arc<Session>>> {
        lock(&self.open)
    }

    /// The session of this key, and whether it is new: then the caller runs it.
    fn of(
        self: &Arc<Self>,
        key: Key,
        subprotocol: &'static str,
        style: Style,
    ) -> (Arc<Session>, bool) {
        let mut open = self.open();
        if let Some(session) = open.get(&key) {
            return (Arc::clone(session), false);
        }
        let session = Arc::new(Session::new(Arc::clone(self), key, subprotocol, style));
        open.insert(key, Arc::clone(&session));
        (session, true)
    }

    /// This session is over.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        let mut open = self.open();
        if open
            .get(&session.key())
            .is_some_and(|known| Arc::ptr_eq(known, session))
        {
            open.remove(&session.key());
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A random number from 1 to [`MAX_NUMBER`].
fn new_epoch() -> Result<u64, getrandom::Error> {
    Ok(getrandom::u64()? % MAX_NUMBER + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_numbers_that_javascript_can_hold() {
        for _ in 0..1_000 {
            assert!((1..=MAX_NUMBER).contains(&new_epoch().unwrap()));
        }
    }
}
