//! Sessions in a Redis server, which outlive this process, and which several processes share.
//!
//! A session is a hash and, while anything of it is not acknowledged, a stream. Each [`Question`] is one Lua script, which
//! checks the owner's generation and the step's number before it writes anything: an owner that lost a session can write
//! nothing more to it, and a step that is asked again is answered as it was the first time. So a question whose answer was
//! lost with a connection is simply asked again.

mod text;

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError, Script, Value};
use steady_socket_protocol::session::frame::Key;
use steady_socket_protocol::session::store::{Claim, Finish, Question, Reply, Step, Ticket};
use steady_socket_protocol::session::{MemoryOptions, Time};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::body::Body;
use crate::observe;

macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), include_str!($name))))
    };
}

static OPEN: LazyLock<Script> = script!("open.lua");
static STEP: LazyLock<Script> = script!("step.lua");
static FINISH: LazyLock<Script> = script!("finish.lua");

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
    pub(crate) fn share(self, options: MemoryOptions, patience: Duration) -> Shared {
        Shared(Arc::new(Inner {
            client: self.client,
            manager: OnceCell::new(),
            runtime: OnceLock::new(),
            prefix: format!("{{{}}}:", self.prefix),
            options,
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
        answered: impl FnOnce(Reply<Body>) + Send + 'static,
    ) {
        let store = self.clone();
        let runtime = self.0.runtime.get_or_init(Handle::current);
        runtime.spawn(async move {
            if let Some(reply) = store.ask(now, ticket, &question).await {
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
    ) -> Option<Reply<Body>> {
        let until = Instant::now() + self.0.patience;
        let mut wait = LEAST_WAIT;
        let mut has_failed = false;
        loop {
            match self.ask_once(now, ticket, question).await {
                Ok(reply) => return Some(reply),
                Err(error) if is_out_of_memory(&error) => match question {
                    Question::Open(_) => return Some(Reply::NoRoom),
                    Question::Step(step) if !step.sends.is_empty() => return Some(Reply::Full),
                    _ => {}
                },
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
    ) -> Result<Reply<Body>, RedisError> {
        let mut manager = self.manager().await?;
        let answer: Value = match question {
            Question::Open(claim) => {
                let mut invocation = self.invocation(&OPEN, claim.key);
                write_claim(&mut invocation, claim, now, ticket, self.0.options.origin);
                invocation.invoke_async(&mut manager).await?
            }
            Question::Step(step) => {
                let mut invocation = self.invocation(&STEP, step.key);
                write_step(&mut invocation, step);
                invocation.invoke_async(&mut manager).await?
            }
            Question::Finish(finish) => {
                let mut invocation = self.invocation(&FINISH, finish.key);
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

    /// What all scripts take.
    fn invocation<'a>(&self, script: &'a Script, key: Key) -> redis::ScriptInvocation<'a> {
        let prefix = &self.0.prefix;
        let name = text::hex(&key.0);
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

fn write_step(invocation: &mut redis::ScriptInvocation<'_>, step: &Step<Body>) {
    invocation
        .arg(step.owner)
        .arg(step.number)
        .arg(step.handled)
        .arg(text::ranges(&step.also))
        .arg(step.acknowledged)
        .arg(step.got)
        .arg(text::numbers(&step.freed))
        .arg(u8::from(step.confirmed));
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
