//! TCP connections that have not become a WebSocket.
//!
//! Places for them are few, and a client that sends requests but never reads could hold one forever. So each
//! has a time limit, and when all places are taken, the one that has stayed longest makes room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long a guest may always stay. A handshake takes less, unless somebody stalls it.
const LEAST_STAY: Duration = Duration::from_secs(1);

/// All guests, in order of arrival. There are never more than places.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<Seats>);

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    seats: BTreeMap<u64, (Instant, Arc<Stay>)>,
}

/// State shared by a guest and its connection.
#[derive(Debug, Default)]
pub(crate) struct Stay {
    told_to_go: Notify,
    is_sent_away: AtomicBool,
    is_over: AtomicBool,
}

impl Stay {
    /// Waits until the place is needed.
    pub(crate) async fn told_to_go(&self) {
        self.told_to_go.notified().await;
    }

    /// Whether the guest must leave at once.
    pub(crate) fn is_sent_away(&self) -> bool {
        self.is_sent_away.load(Ordering::Relaxed)
    }

    /// Whether it has become a WebSocket, which has its own time limits.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A connection's entry, removed on drop.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Arc<Guests>,
    key: u64,
    pub(crate) stay: Arc<Stay>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stay.is_over.store(true, Ordering::Relaxed);
        self.guests.seats().seats.remove(&self.key);
    }
}

impl Guests {
    pub(crate) fn enter(self: &Arc<Self>) -> Guest {
        let stay = Arc::<Stay>::default();
        let mut seats = self.seats();
        let key = seats.next;
        seats.next += 1;
        seats.seats.insert(key, (Instant::now(), Arc::clone(&stay)));
        Guest {
            guests: Arc::clone(self),
            key,
            stay,
        }
    }

    /// Takes a place, for which a guest must leave if none is free. `None` if `places` is closed.
    pub(crate) async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(place);
        }
        loop {
            let wait = self.make_room();
            if let Ok(place) = timeout(wait, Arc::clone(places).acquire_owned()).await {
                return place.ok();
            }
        }
    }

    /// Sends away the guest that has stayed longest, if that is long enough; returns when to look again.
    fn make_room(&self) -> Duration {
        let mut seats = self.seats();
        let Some(first) = seats.seats.first_entry() else {
            return LEAST_STAY;
        };
        let stayed = first.get().0.elapsed();
        if stayed < LEAST_STAY {
            return LEAST_STAY - stayed;
        }
        let (_, stay) = first.remove();
        stay.is_sent_away.store(true, Ordering::Relaxed);
        stay.told_to_go.notify_one();
        LEAST_STAY
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
