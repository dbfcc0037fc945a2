//! Sessions: a dialogue that outlives its connections.
//!
//! Each connection has a task of its own ([`connection`]), which reads and writes frames. Each session has one that runs its
//! handler and its timer ([`Session::run`]). They, and whoever sends, share the session's half of the protocol behind a lock
//! ([`half`]).

mod connection;
mod half;
mod line;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steady_socket_protocol::session::frame::{Key, Style};
use steady_socket_protocol::session::{Connection, MAX_NUMBER, ServerOptions, Time};
use tokio::time::Instant;

pub(crate) use connection::{Host, serve};
#[cfg(feature = "redis")]
pub(crate) use half::millis;
pub(crate) use half::{Finished, Job, Life, Session, WaitingForRoom};

use crate::log::Logs;
use crate::options::Options;
use crate::store::Store;

/// What the clock of the halves shows when a server begins, in milliseconds. A session may have begun long before, and its
/// store may remember it, so there have to be moments before this one.
const BEGAN: Time = Time::from_millis(1 << 40);

/// All sessions of an endpoint.
pub(crate) struct Sessions {
    options: Arc<ServerOptions>,
    whole: Arc<Options>,
    began: Instant,
    connections: AtomicU64,
    ids: AtomicU64,
    store: Store,
    pub(crate) logs: Arc<Logs>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: HashMap<Key, Arc<Session>>,
    /// How many have begun at each address; only if there is a limit.
    by_address: HashMap<IpAddr, usize>,
}

impl Open {
    /// A session of this address is over.
    fn leave(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address
            && let Some(begun) = self.by_address.get_mut(&address)
        {
            *begun -= 1;
            if *begun == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

/// As many sessions have begun at an address as may.
pub(crate) struct FullForAddress;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &self.count())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// The sessions in a store that is made of when their clock begins and of the options of their halves, and the logs there.
    pub(crate) fn new(
        options: &Arc<Options>,
        store: impl FnOnce(Time, &ServerOptions) -> (Store, Logs),
    ) -> Self {
        let half = Arc::new(options.half());
        let (store, logs) = store(BEGAN, &half);
        Self {
            store,
            logs: Arc::new(logs),
            options: half,
            whole: Arc::clone(options),
            began: Instant::now(),
            connections: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        BEGAN.after(self.began.elapsed().as_millis() as u64)
    }

    /// The moment of the runtime's clock.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        let since = time.as_millis().saturating_sub(BEGAN.as_millis());
        self.began + Duration::from_millis(since)
    }

    fn next_connection(&self) -> Connection {
        Connection(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number that no other client has.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.open).sessions.len()
    }

    /// The session of this key, and whether it is new: then the caller runs it. A new one counts for the address.
    fn of(
        self: &Arc<Self>,
        key: Key,
        subprotocol: &'static str,
        style: Style,
        address: Option<IpAddr>,
    ) -> Result<(Arc<Session>, bool), FullForAddress> {
        let mut open = lock(&self.open);
        if let Some(session) = open.sessions.get(&key) {
            return Ok((Arc::clone(session), false));
        }
        let most = self.whole.max_sessions_per_address;
        let address = address.filter(|_| most.is_some());
        if let Some(address) = address {
            let begun = open.by_address.entry(address).or_default();
            if most.is_some_and(|most| *begun >= most) {
                return Err(FullForAddress);
            }
            *begun += 1;
        }
        let sessions = Arc::clone(self);
        let session = Arc::new_cyclic(|own| {
            Session::new(own.clone(), sessions, key, subprotocol, style, address)
        });
        open.sessions.insert(key, Arc::clone(&session));
        Ok((session, true))
    }

    /// This session is over.
    pub(crate) fn remove(&self, session: &Arc<Session>) {
        let mut open = lock(&self.open);
        let known = open.sessions.get(&session.key());
        if known.is_some_and(|known| Arc::ptr_eq(known, session)) {
            open.sessions.remove(&session.key());
            open.leave(session.address());
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
