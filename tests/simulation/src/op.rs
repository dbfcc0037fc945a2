//! Everything that can happen to a connection, as plain data: a list of steps is a whole run, which can be repeated,
//! cut down and printed.

use steady_socket::connection::{Hint, Pings, SendMode, Verdict};

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
    /// Reconnect now.
    Reconnect,
    /// Pause.
    Suspend {
        /// The code to send.
        code: Option<u16>,
        /// The reason to send.
        reason: &'static str,
    },
    /// Resume after that.
    Resume,
    /// Let the queue flow.
    Ready,
    /// Send a message.
    Send {
        /// Its size.
        bytes: usize,
        /// How to send it.
        mode: SendMode,
    },
}

/// The reason in a server's Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing.
    None,
    /// Text without meaning for a client.
    Words,
    /// A reconnect window.
    Window {
        /// The shortest wait, in milliseconds.
        min_ms: u64,
        /// The longest wait, in milliseconds.
        max_ms: u64,
    },
    /// An invalid window, followed by another one, which does not count.
    Malformed,
}

impl Reason {
    /// Its form on the wire.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Words => "see you soon".into(),
            Self::Window { min_ms, max_ms } => format!("restart reconnect={min_ms}-{max_ms} bye"),
            Self::Malformed => "reconnect=soon reconnect=1-2".into(),
        }
    }

    /// The window that a client must find in it, per docs/protocol.md.
    #[must_use]
    pub const fn window(self) -> Option<(u64, u64)> {
        match self {
            Self::Window { min_ms, max_ms } if min_ms <= max_ms => Some((min_ms, max_ms)),
            _ => None,
        }
    }
}

/// How the URL provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// It answers later, or never: see [`Op::Provided`].
    Later,
    /// It answers at once.
    Now,
    /// It throws.
    Throws,
}

/// A message from the server that is, or could be taken for, the answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The announcement that it answers numbered pings.
    Knows,
    /// The answer to the next ping that it has read.
    Next,
    /// That answer is lost.
    Lost,
    /// A number that answers nothing, or that of an earlier one.
    Stray(u64),
    /// What would be an answer without a number, unasked.
    Unasked,
}

/// One event. `age` selects the attempt: 0 the newest, 1 the previous one, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Time passes; a timer that becomes due is late until [`Op::Timer`].
    Advance(u64),
    /// The timer fires, due or not.
    Timer,
    /// The event loop has turned: of the newest attempt for the oldest requested turn, or for none.
    Turned {
        /// Which attempt.
        age: u8,
    },
    /// A command from outside any handler.
    Command {
        /// The command.
        command: Command,
        /// Whether more follows before the events are delivered.
        same_task: bool,
    },
    /// A command from inside a handler.
    InHandler {
        /// The handler: that of the next output, or this many later.
        skip: u8,
        /// The command.
        command: Command,
    },
    /// From now on, the provider behaves like this.
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
        /// How its server can be pinged.
        pings: Pings,
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
    /// The server reads this many messages and pings, of what has left the browser.
    Reads(u8),
    /// Something arrives that is, or could be taken for, the answer to a ping.
    Answers {
        /// Which attempt.
        age: u8,
        /// The answer.
        answer: Answer,
    },
    /// The server promises regular signs of life.
    Beats {
        /// Which attempt.
        age: u8,
        /// How often, in milliseconds.
        interval_ms: u64,
    },
    /// The server announces when to reconnect.
    Window {
        /// Which attempt.
        age: u8,
        /// The shortest wait, in milliseconds.
        min_ms: u64,
        /// The longest wait, in milliseconds.
        max_ms: u64,
    },
    /// The world around the page changes.
    Hint(Hint),
    /// A message arrives that exceeds the application's limit.
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
        /// The server's reason.
        reason: Reason,
    },
    /// A socket closes from inside the browser's next `send`, as some substitutes for it do.
    ClosedInSend {
        /// The close code.
        code: u16,
    },
    /// The newest socket sends this much of what it holds.
    Drain(u64),
    /// A second answer to an answered transmission.
    Transmitted {
        /// Which attempt.
        age: u8,
        /// Whether the browser had accepted the message.
        ok: bool,
    },
    /// The answer to a measurement that was not requested.
    Buffered {
        /// Which attempt.
        age: u8,
    },
    /// A verdict for which nobody asked.
    Verdict {
        /// Which attempt.
        age: u8,
    },
}

/// One event, with its random number and the predicate's verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What happens.
    pub op: Op,
    /// The random number from which a wait is drawn.
    pub chance: f64,
    /// The predicate's verdict, if it is called.
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
    pub max_message_bytes: Option<u32>,
    pub high_water_mark: u32,
    pub low_water_mark: u32,
    pub gate: bool,
}

impl Settings {
    /// The same options in the library's form.
    ///
    /// # Panics
    /// If the library rejects them, which is a bug of the simulation.
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
            .max_message_bytes(self.max_message_bytes)
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
            max_message_bytes: limit("max_message_bytes").map(|number| number as u32),
            high_water_mark: number("high_water_mark") as u32,
            low_water_mark: number("low_water_mark") as u32,
            gate: number("gate") != 0.0,
        }
    }
}
