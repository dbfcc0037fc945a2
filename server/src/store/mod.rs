//! Where a server keeps its sessions.

#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(all(test, feature = "redis"))]
mod tests;

use std::sync::Mutex;

use steady_socket_protocol::session::{MemoryStore, Time};

use crate::body::Body;
use crate::options::Options;

/// A store, as the driver of the sessions sees it.
#[derive(Debug)]
pub(crate) enum Store {
    /// In this process: it answers at once, and ends with the process.
    Memory(Mutex<MemoryStore<Body>>),
    /// In a Redis server: it answers later, or not at all.
    #[cfg(feature = "redis")]
    Redis(redis::Shared),
}

impl Store {
    pub(crate) fn memory(now: Time, options: &Options) -> Self {
        Self::Memory(Mutex::new(MemoryStore::new(now, options.memory())))
    }
}
