//! Sessions in a Redis server, which outlive this process, and which several processes share.
//!
//! A session is a hash and, while anything of it is not acknowledged, a stream. Each [`Question`] is one Lua script, which
//! checks the owner's generation and the step's number before it writes anything: an owner that lost a session can write
//! nothing more to it, and a step that is asked again is answered as it was the first time. So a question whose answer was
//! lost with a connection is simply asked again.
//!
//! A shared log is a hash and a stream, too. What a session appends is part of its step, and so is how far in its logs the
//! messages have come that the step numbers: a new owner goes on behind them.

mod text;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, ErrorKind, RedisError, Script, Value};
use steady_socket_protocol::session::frame::Key;
use steady_socket_protocol::session::store::{Claim, Finish, Question, Reply, Step, Ticket};
use steady_socket_protocol::session::{MemoryOptions, Time};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use crate::body::Body;
use crate::log::{Appended, Entry, LogLimits, Read, StepLogs};
use crate::observe;
use crate::session::millis;

macro_rules! script {
    ($($name:literal),+) => {
        LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), $(include_str!($name)),+)))
    };
}

static OPEN: LazyLock<Script> = script!("open.lua");
static STEP: LazyLock<Script> = script!("logs.lua", "step.lua");
static FINISH: LazyLock<Script> = script!("finish.lua");
static APPEND: LazyLock<Script> = script!("logs.lua", "append.lua");
static JOIN: LazyLock<Script> = script!("logs.lua", "join.lua");
static READ: LazyLock<Script> = script!("logs.lua", "read.lua");

/// How long one attempt may take: to connect, and to get an answer.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to wait before the second attempt; twice as long before each further one, up to the most.
const LEAST_WAIT: Duration = Duration::from_millis(20);
const MOST_WAIT: Duration = Duration::from_millis(500);

/// A Redis server that keeps sessions, so that they outlive this process: for
/// [`ServerBuilder::store`](crate::ServerBuilder::store). Redis 6.2 or newer.
///
/// ```
/// # #[cfg(feature = "json")] {
/// # use steady_socket_server::{Json, Redis, Server, endpoint};
/// # endpoint! { pub Chat at "/chat" { client: String, server: String, "chat.json" => Json } }
/// let server = Server::<Chat>::builder()
///     .store(Redis::new("redis://127.0.0.1/")?)
///     .build(async |mut peer| while peer.next().await.is_some() {});
/// # }
/// # Ok::<(), steady_socket_server::InvalidRedis>(())
/// ```
#[derive(Clone)]
pub struct Redis {
    client: Client,
    prefix: String,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The URL of a Redis server is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRedis(String);

impl fmt::Display for InvalidRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected the URL of a Redis server, such as redis://127.0.0.1:6379/0: {}",
            self.0
        )
    }
}

impl std::error::Error for InvalidRedis {}

impl Redis {
    /// The Redis server of this URL: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`. Nothing is connected yet: while
    /// there is no connection, sessions wait.
    ///
    /// # Errors
    /// If that is no such URL.
    pub fn new(url: &str) -> Result<Self, InvalidRedis> {
        let client = Client::open(url).map_err(|error| InvalidRedis(error.to_string()))?;
        Ok(Self {
            client,
            prefix: "steady-socket".to_owned(),
        })
    }

    /// What its keys begin with; `steady-socket` by default. Servers with the same prefix share their sessions, and with
    /// them the options `max_sessions` and `max_session_bytes`. It is a hash tag, so that all keys have one slot.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Connects in the background, when it is asked for the first time.
    pub(crate) fn share(
        self,
        options: MemoryOptions,
        logs: LogLimits,
        patience: Duration,
    ) -> Shared {
        Shared(Arc::new(Inner {
            client: self.client,
            manager: OnceCell::new(),
            runtime: OnceLock::new(),
            prefix: format!("{{{}}}:", self.prefix),
            options,
            logs,
            patience,
            #[cfg(test)]
            clock: std::sync::Mutex::new(None),
        }))
    }
}

/// A [`Redis`] that all sessions of a server share, with one connection.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    client: Client,
    manager: OnceCell<ConnectionManager>,
    /// The runtime of the first question. Later ones may come from any thread that sends.
    runtime: OnceLock<Handle>,
    prefix: String,
    options: MemoryOptions,
    logs: LogLimits,
    /// How long to try for an answer. The half asks again then, or gives up.
    patience: Duration,
    /// For tests: the time that the scripts take for Redis' own.
    #[cfg(test)]
    clock: std::sync::Mutex<Option<Time>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Asks a question in a task of its own, and passes on the answer if there is one.
    pub(crate) fn ask_in_background(
        &self,
        now: Time,
        ticket: Ticket,
        question: Question<Body>,
        with: StepLogs,
        answered: impl FnOnce(Reply<Body>) + Send + 'static,
    ) {
        let store = self.clone();
        let runtime = self.0.runtime.get_or_init(Handle::current);
        runtime.spawn(async move {
            if let Some(reply) = store.ask(now, ticket, &question, &with).await {
                answered(reply);
            }
        });
    }

    /// Asks a question; `now` is the half's time. `None` if Redis does not answer.
    pub(crate) async fn ask(
        &self,
        now: Time,
        ticket: Ticket,
        question: &Question<Body>,
        with: &StepLogs,
    ) -> Option<Reply<Body>> {
        let full = match question {
            Question::Open(_) => Some(Reply::NoRoom),
            Question::Step(step) if !step.sends.is_empty() || !with.appends.is_empty() => {
                Some(Reply::Full)
            }
            _ => None,
        };
        self.patiently(full, || self.ask_once(now, ticket, question, with))
            .await
    }

    /// Asks again until there is an answer or it is too late. Out of memory, `full` is the answer, if there is one.
    async fn patiently<T, F>(&self, mut full: Option<T>, ask: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, RedisError>>,
    {
        let until = Instant::now() + self.0.patience;
        let mut wait = LEAST_WAIT;
        let mut has_failed = false;
        loop {
            match ask().await {
                Ok(reply) => return Some(reply),
                Err(error) if full.is_some() && is_out_of_memory(&error) => return full.take(),
                // One line a question is enough.
                Err(error) if !has_failed => {
                    has_failed = true;
                    observe::store_failed(&error.to_string());
                }
                Err(_) => {}
            }
            if Instant::now() + wait >= until {
                return None;
            }
            sleep(wait).await;
            wait = (wait * 2).min(MOST_WAIT);
        }
    }

    async fn ask_once(
        &self,
        now: Time,
        ticket: Ticket,
        question: &Question<Body>,
        with: &StepLogs,
    ) -> Result<Reply<Body>, RedisError> {
        let mut manager = self.manager().await?;
        let answer: Value = match question {
            Question::Open(claim) => {
                let mut invocation = self.invocation(&OPEN, &text::hex(&claim.key.0));
                write_claim(&mut invocation, claim, now, ticket, self.0.options.origin);
                invocation.invoke_async(&mut manager).await?
            }
            Question::Step(step) => {
                let mut invocation = self.invocation(&STEP, &text::hex(&step.key.0));
                write_step(&mut invocation, step, with, &self.0.logs);
                invocation.invoke_async(&mut manager).await?
            }
            Question::Finish(finish) => {
                let mut invocation = self.invocation(&FINISH, &text::hex(&finish.key.0));
                write_finish(&mut invocation, finish);
                invocation.invoke_async(&mut manager).await?
            }
            // A question of a later version.
            _ => return Err(unreadable()),
        };
        text::reply(answer).ok_or_else(unreadable)
    }

    async fn manager(&self) -> Result<ConnectionManager, RedisError> {
        let make = || async {
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(ATTEMPT))
                .set_response_timeout(Some(ATTEMPT))
                .set_min_delay(LEAST_WAIT)
                .set_max_delay(MOST_WAIT);
            ConnectionManager::new_lazy_with_config(self.0.client.clone(), config)
        };
        self.0.manager.get_or_try_init(make).await.cloned()
    }

    // ----- shared logs

    /// Appends to a log. `None` if Redis does not answer, and [`Appended::Full`] if it has no memory left.
    pub(crate) async fn append(&self, log: &str, entry: &Entry, once: &str) -> Option<Appended> {
        let logs = &self.0.logs;
        let append = || async {
            let mut manager = self.manager().await?;
            let mut invocation = self.invocation(&APPEND, "");
            invocation
                .arg(log)
                .arg(text::entry(entry))
                .arg(logs.entries)
                .arg(logs.bytes)
                .arg(millis(logs.life))
                .arg(once);
            let answer = invocation.invoke_async(&mut manager).await?;
            let number = text::appended(&answer).ok_or_else(unreadable)?;
            Ok(Appended::At(number))
        };
        self.patiently(Some(Appended::Full), append).await
    }

    /// A session joins a log. Returns the number of the last entry that it has, or `None` if the session is no longer this
    /// owner's, or Redis does not answer.
    pub(crate) async fn join(
        &self,
        key: Key,
        owner: u64,
        log: &str,
        history: u64,
    ) -> Option<Option<u64>> {
        let join = || async {
            let mut manager = self.manager().await?;
            let mut invocation = self.invocation(&JOIN, &text::hex(&key.0));
            invocation
                .arg(owner)
                .arg(log)
                .arg(history)
                .arg(millis(self.0.logs.life));
            let answer = invocation.invoke_async(&mut manager).await?;
            text::joined(&answer).ok_or_else(unreadable)
        };
        self.patiently(None, join).await
    }

    /// At most so many entries of a log, behind one of them.
    pub(crate) async fn read(&self, log: &str, after: u64, most: usize) -> Option<Read> {
        let read = || async {
            let mut manager = self.manager().await?;
            let mut invocation = self.invocation(&READ, "");
            invocation
                .arg(log)
                .arg(after)
                .arg(most)
                .arg(millis(self.0.logs.life));
            let answer = invocation.invoke_async(&mut manager).await?;
            text::read(answer, after).ok_or_else(unreadable)
        };
        self.patiently(None, read).await
    }

    /// A connection of its own that is told of new entries, and the name of a log's channel on it.
    pub(crate) async fn pubsub(&self) -> Result<PubSub, RedisError> {
        timeout(ATTEMPT, self.0.client.get_async_pubsub())
            .await
            .unwrap_or_else(|_| Err((ErrorKind::Io, "Redis does not answer").into()))
    }

    pub(crate) fn channel(&self, log: &str) -> String {
        format!("{}log:{log}", self.0.prefix)
    }

    /// What all scripts take.
    fn invocation<'a>(&self, script: &'a Script, name: &str) -> redis::ScriptInvocation<'a> {
        let prefix = &self.0.prefix;
        let options = &self.0.options;
        let mut invocation = script.key(format!("{prefix}{name}"));
        invocation
            .key(format!("{prefix}{name}:sent"))
            .key(format!("{prefix}meta"))
            .key(format!("{prefix}sessions"))
            .key(format!("{prefix}graves"))
            .arg(self.clock())
            .arg(prefix)
            .arg(name)
            .arg(options.lease_ms)
            .arg(options.sessions)
            .arg(options.tombstones)
            .arg(options.bytes);
        invocation
    }

    #[cfg(not(test))]
    const fn clock(&self) -> &'static str {
        ""
    }

    #[cfg(test)]
    fn clock(&self) -> String {
        let clock = crate::session::lock(&self.0.clock);
        clock.map_or_else(String::new, |time| time.as_millis().to_string())
    }

    #[cfg(test)]
    pub(super) fn set_clock(&self, time: Time) {
        *crate::session::lock(&self.0.clock) = Some(time);
    }
}

fn write_claim(
    invocation: &mut redis::ScriptInvocation<'_>,
    claim: &Claim,
    now: Time,
    ticket: Ticket,
    origin: u64,
) {
    // Redis has a clock of its own.
    let age = now.as_millis().saturating_sub(claim.began.as_millis());
    invocation
        .arg(&claim.identity.0)
        .arg(u8::from(claim.may_resume))
        .arg(claim.attempt)
        .arg(claim.epoch)
        .arg(u8::from(claim.has_sent))
        .arg(age)
        .arg(claim.owner.map_or_else(String::new, |it| it.to_string()))
        .arg(claim.new_epoch)
        .arg(claim.lost.as_ref().map_or_else(String::new, text::lost))
        .arg(origin)
        .arg(ticket.0);
}

fn write_step(
    invocation: &mut redis::ScriptInvocation<'_>,
    step: &Step<Body>,
    with: &StepLogs,
    logs: &LogLimits,
) {
    invocation
        .arg(step.owner)
        .arg(step.number)
        .arg(step.handled)
        .arg(text::ranges(&step.also))
        .arg(step.acknowledged)
        .arg(step.got)
        .arg(text::numbers(&step.freed))
        .arg(u8::from(step.confirmed))
        .arg(logs.entries)
        .arg(logs.bytes)
        .arg(millis(logs.life))
        .arg(with.cursors.len());
    for (log, number) in &with.cursors {
        invocation.arg(&**log).arg(number);
    }
    invocation.arg(with.appends.len());
    for (log, entry) in &with.appends {
        invocation.arg(&**log).arg(text::entry(entry));
    }
    for item in &step.sends {
        invocation.arg(text::item(item));
    }
}

fn write_finish(invocation: &mut redis::ScriptInvocation<'_>, finish: &Finish) {
    let lost = finish.why.map_or_else(String::new, |why| {
        text::lost_as(why, finish.verdict.as_ref())
    });
    invocation
        .arg(finish.owner)
        .arg(lost)
        .arg(u8::from(finish.confirmed));
}

fn unreadable() -> RedisError {
    (
        ErrorKind::UnexpectedReturnType,
        "an unreadable answer of a script",
    )
        .into()
}

/// Redis 6 wraps the error in one of the script's.
fn is_out_of_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.detail().is_some_and(|detail| detail.contains("OOM "))
}
