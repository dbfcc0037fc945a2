//! Shared logs: what is appended to one, every session that has joined it is given, in the log's order.
//!
//! A log is in the store of the sessions. A session that has joined one has a task here ([`feed`]) that reads it and sends
//! its entries to the session as messages. How far it has come is told to the store with the step that numbers them
//! ([`StepLogs`]), so another owner goes on exactly behind them.

#![cfg_attr(
    not(feature = "redis"),
    allow(dead_code, unused_imports, reason = "memory needs less than Redis")
)]

mod feed;
mod memory;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use steady_socket_protocol::session::Payload as _;
use steady_socket_protocol::{EncodeError, Endpoint};
use tokio::sync::watch;

use self::memory::MemoryLogs;
use crate::body::Body;
use crate::errors::SendError;
use crate::session::lock;

pub(crate) use feed::feed;

/// How many entries are read at once.
const CHUNK: usize = 256;
/// How many entries of a log a process keeps for all its sessions that have joined, and their bytes.
const RECENT: usize = 1_024;
const RECENT_BYTES: usize = 1 << 20;

/// What a log holds at most, and how long it stays after it was last used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogLimits {
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    pub(crate) life: Duration,
}

/// An entry, as one sub-protocol encodes it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) subprotocol: Arc<str>,
    pub(crate) body: Body,
}

impl Entry {
    /// As the endpoint's first sub-protocol encodes it.
    pub(crate) fn of<E: Endpoint>(message: &E::ServerMessage) -> Result<Self, EncodeError> {
        let subprotocol = &E::SUBPROTOCOLS[0];
        Ok(Self {
            subprotocol: subprotocol.name.into(),
            body: (subprotocol.encode_server)(message)?.into(),
        })
    }

    /// As this sub-protocol encodes it; `None` if the endpoint does not know the entry.
    pub(crate) fn body_for<E: Endpoint>(&self, subprotocol: &str) -> Option<Body> {
        if *self.subprotocol == *subprotocol {
            return Some(self.body.clone());
        }
        let of = |name: &str| E::SUBPROTOCOLS.iter().find(|it| it.name == name);
        let message = (of(&self.subprotocol)?.decode_server)(self.body.clone().into_message());
        let encoded = (of(subprotocol)?.encode_server)(&message.ok()?);
        encoded.ok().map(Body::from)
    }
}

/// What a step does with logs.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepLogs {
    /// The logs that messages of this step come from, each with the number of the last entry among them.
    pub(crate) cursors: Vec<(Arc<str>, u64)>,
    /// What the messages that this step says are handled have led to.
    pub(crate) appends: Vec<(Arc<str>, Entry)>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Appended {
    At(u64),
    /// The store has no memory left.
    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "Redis' own limit"))]
    Full,
}

/// What is in a log behind an entry.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    Entries(Vec<Entry>),
    /// The next entries are gone.
    Behind,
    /// There is no such log any more.
    Gone,
}

/// The logs of an endpoint.
#[derive(Debug)]
pub(crate) struct Logs {
    place: Place,
    limits: LogLimits,
    /// Those that a session of this process has joined.
    tails: Mutex<HashMap<Arc<str>, Arc<Tail>>>,
    /// Names what is appended from outside, so that it is known when Redis is asked again.
    appends: AtomicU64,
    /// Wakes the task that listens for news.
    #[cfg(feature = "redis")]
    wanted: tokio::sync::Notify,
    #[cfg(feature = "redis")]
    listens: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
enum Place {
    Memory(Mutex<MemoryLogs>),
    #[cfg(feature = "redis")]
    Redis(crate::store::redis::Shared),
}

/// The end of a log, for all sessions of this process that have joined.
#[derive(Debug)]
pub(crate) struct Tail {
    news: watch::Sender<News>,
    recent: tokio::sync::Mutex<Recent>,
}

/// What is known of new entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    /// There is an entry of this number.
    last: u64,
    /// Rises when there may be more.
    stirs: u64,
}

/// The newest entries that were read.
#[derive(Debug, Default)]
struct Recent {
    /// The number of the entry before the first of them.
    before: u64,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The log was read to its end at [`News::stirs`].
    checked: u64,
}

impl Recent {
    fn last(&self) -> u64 {
        self.before + self.entries.len() as u64
    }

    /// What there is behind an entry; `None` if the log has to be asked.
    fn behind(&self, after: u64) -> Option<Vec<Entry>> {
        let from = after.checked_sub(self.before)? as usize;
        (from < self.entries.len())
            .then(|| self.entries.range(from..).take(CHUNK).cloned().collect())
    }

    fn add(&mut self, after: u64, entries: &[Entry]) {
        if after > self.last() || self.entries.is_empty() {
            self.entries.clear();
            (self.before, self.bytes) = (after, 0);
        }
        // An older part of the log, for a session that is behind.
        if after != self.last() {
            return;
        }
        for entry in entries {
            self.bytes += entry.body.bytes();
            self.entries.push_back(entry.clone());
        }
        while self.entries.len() > RECENT || self.bytes > RECENT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.body.bytes();
            self.before += 1;
        }
    }
}

impl Tail {
    fn new() -> Self {
        Self {
            news: watch::Sender::new(News { last: 0, stirs: 1 }),
            recent: tokio::sync::Mutex::default(),
        }
    }

    fn has(&self, number: u64) {
        self.news
            .send_modify(|news| news.last = news.last.max(number));
    }

    /// There may be more.
    pub(crate) fn stir(&self) {
        self.news.send_modify(|news| news.stirs += 1);
    }
}

impl Logs {
    pub(crate) fn in_memory(limits: LogLimits) -> Self {
        Self::new(Place::Memory(Mutex::default()), limits)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn in_redis(redis: crate::store::redis::Shared, limits: LogLimits) -> Self {
        Self::new(Place::Redis(redis), limits)
    }

    fn new(place: Place, limits: LogLimits) -> Self {
        Self {
            place,
            limits,
            tails: Mutex::default(),
            appends: AtomicU64::new(0),
            #[cfg(feature = "redis")]
            wanted: tokio::sync::Notify::new(),
            #[cfg(feature = "redis")]
            listens: false.into(),
        }
    }

    /// Appends at once, to a log in memory.
    pub(crate) fn append_in_memory(&self, log: &Arc<str>, entry: Entry) -> u64 {
        let number = match &self.place {
            Place::Memory(logs) => {
                let mut logs = lock(logs);
                let tails = lock(&self.tails);
                logs.append(log, entry, &self.limits, |log| tails.contains_key(log))
            }
            #[cfg(feature = "redis")]
            Place::Redis(_) => 0,
        };
        if let Some(tail) = lock(&self.tails).get(log) {
            tail.has(number);
        }
        number
    }

    /// Appends from outside a session's steps.
    pub(crate) async fn append(&self, log: &Arc<str>, entry: Entry) -> Result<u64, SendError> {
        match &self.place {
            Place::Memory(_) => Ok(self.append_in_memory(log, entry)),
            #[cfg(feature = "redis")]
            Place::Redis(redis) => {
                let process = random().map_err(|_| SendError::Store)?;
                let count = self.appends.fetch_add(1, Ordering::Relaxed);
                let once = format!("{process:x}-{count:x}");
                match redis.append(log, &entry, &once).await {
                    Some(Appended::At(number)) => Ok(number),
                    Some(Appended::Full) => Err(SendError::Full),
                    None => Err(SendError::Store),
                }
            }
        }
    }

    /// A session that has not joined this log yet joins it. Returns the number of the last entry that it has.
    pub(crate) async fn join(
        &self,
        session: &crate::session::Session,
        owner: u64,
        log: &Arc<str>,
        history: u64,
    ) -> Result<u64, SendError> {
        match &self.place {
            Place::Memory(logs) => {
                let _ = (session, owner);
                Ok(lock(logs).join(log, history))
            }
            #[cfg(feature = "redis")]
            Place::Redis(redis) => redis
                .join(session.key(), owner, log, history)
                .await
                .ok_or(SendError::Store)?
                .ok_or(SendError::Closed),
        }
    }

    /// The end of a log, which is watched as long as somebody does.
    pub(crate) fn tail(self: &Arc<Self>, log: &Arc<str>) -> (Arc<Tail>, watch::Receiver<News>) {
        let mut tails = self.retained();
        let tail = tails
            .entry(Arc::clone(log))
            .or_insert_with(|| Arc::new(Tail::new()));
        let (tail, news) = (Arc::clone(tail), tail.news.subscribe());
        drop(tails);
        #[cfg(feature = "redis")]
        if let Place::Redis(redis) = &self.place {
            if !self.listens.swap(true, Ordering::Relaxed) {
                tokio::spawn(listen::listen(Arc::downgrade(self), redis.clone()));
            }
            self.wanted.notify_one();
        }
        (tail, news)
    }

    /// Those that somebody watches.
    fn retained(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Tail>>> {
        let mut tails = lock(&self.tails);
        tails.retain(|_, tail| tail.news.receiver_count() > 0);
        tails
    }

    #[cfg(feature = "redis")]
    fn watched(&self) -> Vec<(Arc<str>, Arc<Tail>)> {
        let tails = self.retained();
        let pairs = tails.iter();
        pairs
            .map(|(log, tail)| (Arc::clone(log), Arc::clone(tail)))
            .collect()
    }

    /// What a log has behind an entry; `None` if the store does not answer.
    async fn read(&self, log: &str, tail: &Tail, after: u64) -> Option<Read> {
        match &self.place {
            Place::Memory(logs) => {
                let _ = tail;
                Some(lock(logs).read(log, after, CHUNK))
            }
            #[cfg(feature = "redis")]
            Place::Redis(redis) => {
                // The others wait meanwhile, and find what was read.
                let mut recent = tail.recent.lock().await;
                if let Some(entries) = recent.behind(after) {
                    return Some(Read::Entries(entries));
                }
                let news = *tail.news.borrow();
                if after >= news.last && recent.checked >= news.stirs {
                    return Some(Read::Entries(Vec::new()));
                }
                let read = redis.read(log, after, CHUNK).await?;
                if let Read::Entries(entries) = &read {
                    if entries.len() < CHUNK {
                        recent.checked = news.stirs;
                    }
                    recent.add(after, entries);
                }
                Some(read)
            }
        }
    }
}

#[cfg(feature = "redis")]
fn random() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

#[cfg(feature = "redis")]
mod listen;

/// A shared log: every session that has [joined](crate::Peer::join) it is given each of its entries once, in the log's one
/// order. It is where the sessions are: in this process, or in Redis, where all processes with the same endpoint and Redis
/// share it. Cheap to clone.
pub struct Log<E: Endpoint> {
    name: Arc<str>,
    logs: Arc<Logs>,
    endpoint: PhantomData<fn(E)>,
}

impl<E: Endpoint> Clone for Log<E> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.name), Arc::clone(&self.logs))
    }
}

impl<E: Endpoint> fmt::Debug for Log<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").field(&self.name).finish()
    }
}

impl<E: Endpoint> Log<E> {
    pub(crate) const fn new(name: Arc<str>, logs: Arc<Logs>) -> Self {
        let endpoint = PhantomData;
        Self {
            name,
            logs,
            endpoint,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends an entry, from outside all sessions. What the handling of a message leads to belongs into a
    /// [`Commit`](crate::Commit) instead, so that it happens once. Returns the entry's number; those of a log rise by one.
    ///
    /// # Errors
    /// [`SendError::Encode`], [`SendError::Full`] if the store has no memory left, and [`SendError::Store`] if it does not
    /// answer: then the entry may have been appended.
    pub async fn append(&self, entry: &E::ServerMessage) -> Result<u64, SendError> {
        let entry = Entry::of::<E>(entry).map_err(SendError::Encode)?;
        self.logs.append(&self.name, entry).await
    }
}

/// What the handling of a message leads to, for [`Peer::commit`](crate::Peer::commit).
///
/// ```
/// use steady_socket_server::{Commit, PlainText, endpoint};
///
/// endpoint! { pub Chat at "/chat" { client: String, server: String, "chat" => PlainText } }
///
/// let commit = Commit::<Chat>::new()
///     .append("room", "Ada: Hello!".to_owned())
///     .send("said".to_owned());
/// # let _ = commit;
/// ```
pub struct Commit<E: Endpoint> {
    pub(crate) sends: Vec<E::ServerMessage>,
    pub(crate) appends: Vec<(Arc<str>, E::ServerMessage)>,
}

impl<E: Endpoint> Default for Commit<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Endpoint> fmt::Debug for Commit<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("sends", &self.sends.len())
            .field("appends", &self.appends.len())
            .finish()
    }
}

impl<E: Endpoint> Commit<E> {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            sends: Vec::new(),
            appends: Vec::new(),
        }
    }

    /// Sends a message to this client.
    #[must_use]
    pub fn send(mut self, message: E::ServerMessage) -> Self {
        self.sends.push(message);
        self
    }

    /// Appends an entry to the log of this name.
    #[must_use]
    pub fn append(mut self, log: &str, entry: E::ServerMessage) -> Self {
        self.appends.push((log.into(), entry));
        self
    }
}
