//! What can happen to a connection, as plain data: a list of it is a whole run, which can be repeated,
//! cut down and printed.

use steady_socket::connection::{Hint, SendMode, Verdict};

/// A command of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Connect for the first time.
    Start,
    /// Close for good.
    Close {
        /// The code to send.
        code: Option<u16>,
        /// The reason to send.
        reason: &'static str,
    },
    /// A new connection now.
    Reconnect,
    /// Pause.
    Suspend {
        /// The code to send.
        code: Option<u16>,
        /// The reason to send.
        reason: &'static str,
    },
    /// Go on after that.
    Resume,
    /// Let the queue flow.
    Ready,
    /// Hand over a message.
    Send {
        /// Its size.
        bytes: usize,
        /// How.
        mode: SendMode,
    },
}

/// What a server's Close gives as its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing.
    None,
    /// Words that mean nothing to a client.
    Words,
    /// When to come back.
    Window {
        /// The least wait, in milliseconds.
        min_ms: u64,
        /// The longest wait, in milliseconds.
        max_ms: u64,
    },
    /// A window that is none, and another behind it that does not count.
    Malformed,
}

impl Reason {
    /// As it comes over the wire.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Words => "see you soon".into(),
            Self::Window { min_ms, max_ms } => format!("restart reconnect={min_ms}-{max_ms} bye"),
            Self::Malformed => "reconnect=soon reconnect=1-2".into(),
        }
    }

    /// The window that a client has to find in it, by docs/protocol.md.
    #[must_use]
    pub const fn window(self) -> Option<(u64, u64)> {
        match self {
            Self::Window { min_ms, max_ms } if min_ms <= max_ms => Some((min_ms, max_ms)),
            _ => None,
        }
    }
}

/// How the function behaves that provides the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// It answers later, or never: see [`Op::Provided`].
    Later,
    /// It answers at once.
    Now,
    /// It throws.
    Throws,
}

/// What comes from the server that is, or could be taken for, the answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It says that it answers numbered pings.
    Knows,
    /// Its answer to the next ping that it has read.
    Next,
    /// That answer does not come.
    Lost,
    /// A number that is no answer, or that of an earlier one.
    Stray(u64),
    /// What would be an answer without a number, unasked.
    Unasked,
}

/// One thing that happens. `age` says to which attempt: 0 the newest, 1 the one before, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Time passes; a timer that becomes due is late until [`Op::Timer`].
    Advance(u64),
    /// The timer goes off, due or not.
    Timer,
    /// The event loop has turned: of the newest attempt for the oldest turn that was asked for, or for none.
    Turned {
        /// Which attempt.
        age: u8,
    },
    /// A command from outside of any handler.
    Command {
        /// What.
        command: Command,
        /// More follows before the events are handed out.
        same_task: bool,
    },
    /// A command from inside a handler.
    InHandler {
        /// The handler: that of the next output, or so many later.
        skip: u8,
        /// What.
        command: Command,
    },
    /// From now on the provider behaves like this.
    SetProvider(Provider),
    /// A provider's answer.
    Provided {
        /// Which attempt.
        age: u8,
        /// Whether it is a URL.
        ok: bool,
    },
    /// The browser will refuse to make the next socket.
    RefuseOpen,
    /// The browser's next `send` throws.
    FailSend {
        /// And every later one of the same message, too.
        always: bool,
    },
    /// A socket opens.
    Opened {
        /// Which attempt.
        age: u8,
        /// It is known at once that the server answers pings.
        answers: bool,
    },
    /// A message arrives.
    Message {
        /// Which attempt.
        age: u8,
        /// Its size.
        bytes: usize,
    },
    /// Something arrives that is not for the application.
    Alive {
        /// Which attempt.
        age: u8,
    },
    /// The server reads so many messages and pings, of what has left the browser.
    Reads(u8),
    /// Something arrives that is, or could be taken for, the answer to a ping.
    Answers {
        /// Which attempt.
        age: u8,
        /// What.
        answer: Answer,
    },
    /// The server is known to answer pings.
    AnswersPings {
        /// Which attempt.
        age: u8,
    },
    /// The server promises a sign of life again and again.
    Beats {
        /// Which attempt.
        age: u8,
        /// How often, in milliseconds.
        interval_ms: u64,
    },
    /// The server announces when to come back.
    Window {
        /// Which attempt.
        age: u8,
        /// The least wait, in milliseconds.
        min_ms: u64,
        /// The longest wait, in milliseconds.
        max_ms: u64,
    },
    /// The world around the page changes.
    Hint(Hint),
    /// A message arrives that is larger than the application takes.
    TooBig {
        /// Which attempt.
        age: u8,
    },
    /// The browser reports an error.
    Error {
        /// Which attempt.
        age: u8,
    },
    /// The browser closes a socket.
    Closed {
        /// Which attempt.
        age: u8,
        /// The close code.
        code: u16,
        /// Whether the closing handshake was completed.
        clean: bool,
        /// What the server gives as its reason.
        reason: Reason,
    },
    /// A socket is closed from inside the browser's next `send`, as some stand-ins for it do.
    ClosedInSend {
        /// The close code.
        code: u16,
    },
    /// The newest socket sends this much of what it holds.
    Drain(u64),
    /// The answer to a transmission that was answered before.
    Transmitted {
        /// Which attempt.
        age: u8,
        /// Whether the browser had taken the message.
        ok: bool,
    },
    /// The answer to a measurement that was not asked for.
    Buffered {
        /// Which attempt.
        age: u8,
    },
}

/// One thing that happens, with what chance and the application's predicate add.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What happens.
    pub op: Op,
    /// The random number that a wait is drawn from.
    pub chance: f64,
    /// What the predicate says if it is asked.
    pub verdict: Option<Verdict>,
}

impl From<Op> for Step {
    /// With a wait in the middle and no predicate.
    fn from(op: Op) -> Self {
        Self {
            op,
            chance: 0.5,
            verdict: None,
        }
    }
}

/// The options of a connection, readable by the model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    missing_docs,
    reason = "they are the library's options, documented there"
)]
pub struct Settings {
    pub connect_timeout: u64,
    pub provider_timeout: u64,
    pub close_timeout: u64,
    pub first_delay_max: u64,
    pub min_delay: u64,
    pub base_delay: u64,
    pub growth_factor: f64,
    pub max_delay: u64,
    pub stable_after: u64,
    pub max_retries: Option<u32>,
    pub reconnect: bool,
    pub attempt_burst: u32,
    pub attempt_interval: u64,
    pub announced_delay_max: u64,
    pub heartbeat_interval: Option<u64>,
    pub heartbeat_grace: u64,
    pub keepalive_interval: Option<u64>,
    pub probe_timeout: u64,
    pub max_queued_messages: u32,
    pub max_queued_bytes: u32,
    pub overflow: steady_socket::Overflow,
    pub message_ttl: Option<u64>,
    pub high_water_mark: u32,
    pub low_water_mark: u32,
    pub gate: bool,
}

impl Settings {
    /// The same as the library takes them.
    ///
    /// # Panics
    /// When the library would not take them: that is a mistake of the simulation.
    #[must_use]
    pub fn options(&self) -> steady_socket::Options {
        use core::time::Duration;
        let options = steady_socket::Options::default()
            .connect_timeout(Duration::from_millis(self.connect_timeout))
            .provider_timeout(Duration::from_millis(self.provider_timeout))
            .close_timeout(Duration::from_millis(self.close_timeout))
            .first_delay_max(Duration::from_millis(self.first_delay_max))
            .min_delay(Duration::from_millis(self.min_delay))
            .base_delay(Duration::from_millis(self.base_delay))
            .growth_factor(self.growth_factor)
            .max_delay(Duration::from_millis(self.max_delay))
            .stable_after(Duration::from_millis(self.stable_after))
            .max_retries(self.max_retries)
            .reconnect(self.reconnect)
            .attempt_burst(self.attempt_burst)
            .attempt_interval(Duration::from_millis(self.attempt_interval))
            .announced_delay_max(Duration::from_millis(self.announced_delay_max))
            .heartbeat_interval(self.heartbeat_interval.map(Duration::from_millis))
            .heartbeat_grace(Duration::from_millis(self.heartbeat_grace))
            .keepalive_interval(self.keepalive_interval.map(Duration::from_millis))
            .probe_timeout(Duration::from_millis(self.probe_timeout))
            .max_queued_messages(self.max_queued_messages)
            .max_queued_bytes(self.max_queued_bytes)
            .overflow(self.overflow)
            .message_ttl(self.message_ttl.map(Duration::from_millis))
            .high_water_mark(self.high_water_mark)
            .low_water_mark(self.low_water_mark)
            .gate(self.gate);
        if let Err(error) = options.check() {
            panic!("{error}");
        }
        options
    }
}

impl Default for Settings {
    /// The library's own defaults, from its table.
    fn default() -> Self {
        let number = |name: &str| {
            steady_socket::options::OPTIONS
                .iter()
                .find(|spec| spec.name == name)
                .map_or(f64::NAN, |spec| spec.default)
        };
        let whole = |name| number(name) as u64;
        let limit = |name| Some(number(name)).filter(|number| number.is_finite());
        Self {
            connect_timeout: whole("connect_timeout"),
            provider_timeout: whole("provider_timeout"),
            close_timeout: whole("close_timeout"),
            first_delay_max: whole("first_delay_max"),
            min_delay: whole("min_delay"),
            base_delay: whole("base_delay"),
            growth_factor: number("growth_factor"),
            max_delay: whole("max_delay"),
            stable_after: whole("stable_after"),
            max_retries: limit("max_retries").map(|number| number as u32),
            reconnect: number("reconnect") != 0.0,
            attempt_burst: number("attempt_burst") as u32,
            attempt_interval: whole("attempt_interval"),
            announced_delay_max: whole("announced_delay_max"),
            heartbeat_interval: limit("heartbeat_interval").map(|number| number as u64),
            heartbeat_grace: whole("heartbeat_grace"),
            keepalive_interval: limit("keepalive_interval").map(|number| number as u64),
            probe_timeout: whole("probe_timeout"),
            max_queued_messages: number("max_queued_messages") as u32,
            max_queued_bytes: number("max_queued_bytes") as u32,
            overflow: steady_socket::Overflow::default(),
            message_ttl: limit("message_ttl").map(|number| number as u64),
            high_water_mark: number("high_water_mark") as u32,
            low_water_mark: number("low_water_mark") as u32,
            gate: number("gate") != 0.0,
        }
    }
}
