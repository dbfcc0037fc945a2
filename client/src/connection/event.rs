//! The inputs and outputs of the core.

use alloc::string::String;
#[cfg(feature = "session")]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use steady_socket_protocol::control::Control;
use steady_socket_protocol::session::{End, Ended};

use super::Time;
use super::policy::Verdict;
use super::totals::{Counters, NONE};
use super::unconfirmed::Tally;

/// The attempt that a socket belongs to. Every attempt has its own generation, so that a late event of an earlier
/// socket matches nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(super) u64);

impl Generation {
    /// Its number, 1 for the first attempt.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The time of an input, and what only the driver can know.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The current time; never earlier than that of the previous input.
    pub now: Time,
    /// A random number in [0, 1), from which a wait is drawn if [`Input::draws`] says so.
    pub chance: f64,
}

/// How a socket was closed, as reported by the browser's `close` event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseFrame {
    /// The close code; 1006 without a close frame, 1005 if the frame had no code.
    pub code: u16,
    /// The server's reason: at most 123 bytes of text chosen by the server.
    pub reason: String,
    /// Whether the closing handshake was completed.
    pub clean: bool,
}

impl CloseFrame {
    /// The report of a socket that ended without a closing handshake.
    #[must_use]
    pub const fn abnormal() -> Self {
        Self {
            code: 1006,
            reason: String::new(),
            clean: false,
        }
    }
}

/// Something that happened, as an input to the core.
#[derive(Debug)]
pub enum Input<P> {
    /// The application asks to connect for the first time.
    Start,
    /// The application closes for good. Code and reason have passed
    /// [`check_close`](super::check_close).
    Close {
        /// The close code to send, if any.
        code: Option<u16>,
        /// The reason to send.
        reason: String,
    },
    /// The application wants a new connection now. Code and reason have passed
    /// [`check_close`](super::check_close).
    Reconnect {
        /// The close code for the replaced connection, if any.
        code: Option<u16>,
        /// The reason to send with it.
        reason: String,
    },
    /// The application pauses: this closes the connection, opens no other until [`Input::Resume`], and keeps the
    /// queue. It has no effect before the start, while closing and when closed. Code and reason have passed
    /// [`check_close`](super::check_close).
    Suspend {
        /// The close code to send, 1000 if none is given.
        code: Option<u16>,
        /// The reason to send.
        reason: String,
    },
    /// The application resumes after [`Input::Suspend`]; no effect otherwise.
    Resume,
    /// The application lets the queue flow on this connection.
    Ready,
    /// Something happened to an attempt or its socket, or an effect for it is answered. If that attempt has ended, this
    /// changes nothing.
    Socket {
        /// The attempt.
        generation: Generation,
        /// What happened.
        report: Report<P>,
    },
    /// The browser's `send` threw; the message comes back, even if its attempt has ended. The connection is given up,
    /// unless an earlier one was given up for the same message: then the message is at fault, and is dropped.
    TransmitFailed {
        /// The attempt.
        generation: Generation,
        /// The message.
        payload: P,
        /// What went wrong, as text, if known.
        error: Option<String>,
    },
    /// The world around the page has changed.
    Hint(Hint),
    /// The timer fired. Early, late and spurious calls are harmless.
    Timer,
}

impl<P> Input<P> {
    /// Whether a wait may be drawn from [`Context::chance`]. If not, any number will do.
    #[must_use]
    pub const fn draws(&self) -> bool {
        matches!(
            self,
            Self::Hint(_)
                | Self::Socket {
                    report: Report::Verdict(_),
                    ..
                }
        )
    }
}

/// What is reported of an attempt and its socket.
#[derive(Debug)]
pub enum Report<P> {
    /// The URL and the sub-protocols are known.
    Resolved,
    /// The URL or the sub-protocols could not be obtained, with what went wrong, as text, if known.
    ResolveFailed(Option<String>),
    /// The browser refused to make the socket, with what went wrong, as text, if known.
    OpenFailed(Option<String>),
    /// The socket is open, and its server can be pinged like this.
    Opened(Pings),
    /// A message arrived. One that exceeds the option `max_message_bytes` ends the connection.
    Message {
        /// The message.
        payload: P,
        /// Its size.
        bytes: usize,
    },
    /// A message arrived that exceeds [`max_escaped_bytes`](super::Connection::max_escaped_bytes); it was not copied.
    TooBig,
    /// The browser reported an error, with text if the platform provides it; browsers do not. It decides nothing,
    /// because a `close` follows.
    Error(Option<String>),
    /// The browser closed the socket.
    Closed(CloseFrame),
    /// The server has sent a control message.
    Control(Control),
    /// The server has sent the answer to the application's own ping, which has no number.
    Answered,
    /// Something arrived that is not for the application: a sign of life.
    Alive,
    /// The browser accepted the ping of the last [`Effect::Ping`] or [`Effect::KeepAlive`], whose answer can be recognised.
    /// This comes before anything else is sent.
    Pinged,
    /// The answer to [`Effect::Measure`]: the browser's `bufferedAmount`.
    Buffered(u64),
    /// The answer to the [`Effect::Turn`] with this number: everything waiting in the event loop has arrived.
    Turned(u32),
    /// The answer to [`Effect::Judge`]: the predicate's verdict; `None` leaves the decision to the policy.
    Verdict(Option<Verdict>),
}

impl<P> Report<P> {
    /// The input that reports this of an attempt.
    #[must_use]
    pub const fn of(self, generation: Generation) -> Input<P> {
        Input::Socket {
            generation,
            report: self,
        }
    }
}

/// How the server of a connection can be pinged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pings {
    /// Not at all.
    #[default]
    None,
    /// By a message of the application's that it is known to answer.
    Application,
    /// By a control message. The two ends have agreed on control messages.
    Control,
    /// Likewise, and on a session: the application reads and writes texts that start with the mark itself, but for control
    /// messages.
    Session,
}

/// Something that may have happened to the network or the page: a reason to check, never a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The browser reports that there is a network again. It tends to do so too early.
    Online,
    /// The browser reports that there is no network.
    Offline,
    /// The page is visible again.
    Visible,
    /// The page was frozen or cached, and resumes.
    Resumed,
    /// The wall clock ran ahead of the monotonic one by this much: the machine slept, or the wall clock was set
    /// forward. The two cannot be distinguished.
    Slept {
        /// [`slept`](Self::slept), in milliseconds.
        #[doc(hidden)]
        millis: u64,
    },
}

/// An action for the driver, to be carried out in order before the next event is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<P> {
    /// Find the URL and the sub-protocols, and answer with [`Report::Resolved`] or [`Report::ResolveFailed`].
    Resolve {
        /// The attempt.
        generation: Generation,
    },
    /// The result of [`Effect::Resolve`] is no longer needed.
    CancelResolve {
        /// The attempt.
        generation: Generation,
    },
    /// Make a socket, or answer with [`Report::OpenFailed`].
    Open {
        /// The attempt.
        generation: Generation,
    },
    /// Hand a message to the browser's `send`, and answer with
    /// [`Connection::transmitted`](super::Connection::transmitted) or [`Input::TransmitFailed`] before anything else.
    Transmit {
        /// The attempt.
        generation: Generation,
        /// The message.
        payload: P,
    },
    /// Send the message that the server is known to reply to, which is that of
    /// [`Connection::control_ping`](super::Connection::control_ping), if there is one, or else the application's. It
    /// bypasses the queue. If the answer can be recognised, report with [`Report::Pinged`] that the browser accepted it.
    Ping {
        /// The attempt.
        generation: Generation,
    },
    /// Likewise, or send any message of the application's that shows the server that this client is alive. Such a
    /// message needs no answer, and no report.
    KeepAlive {
        /// The attempt.
        generation: Generation,
    },
    /// Something will be given up unless an event that already waits in the event loop, behind the timer, shows
    /// otherwise. Answer with [`Report::Turned`] in a task that comes after the socket events waiting now and that is
    /// not delayed in hidden pages.
    Turn {
        /// The attempt.
        generation: Generation,
        /// The number of the turn.
        turn: u32,
    },
    /// Read `bufferedAmount` and answer with [`Report::Buffered`].
    Measure {
        /// The attempt.
        generation: Generation,
    },
    /// Ask the application's predicate about [`Connection::lost`](super::Connection::lost), and answer with
    /// [`Report::Verdict`]. Commands inside the predicate take effect at once, and leave the verdict without one.
    Judge {
        /// The attempt.
        generation: Generation,
    },
    /// Start the closing handshake; keep listening.
    Close {
        /// The attempt.
        generation: Generation,
        /// The code to send, if any.
        code: Option<u16>,
        /// The reason to send.
        reason: String,
    },
    /// Stop listening to the socket and close it. Nothing more is expected from it.
    Abandon {
        /// The attempt.
        generation: Generation,
        /// The code to close it with, if any.
        code: Option<u16>,
        /// The reason to send with it.
        reason: String,
    },
}

/// The connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not started yet.
    Idle,
    /// Obtaining the URL, or in the handshake.
    Connecting,
    /// Open.
    Open,
    /// Waiting for the next attempt.
    Waiting,
    /// In the closing handshake that the application requested.
    Closing,
    /// Closed, until the application requests a new connection.
    Closed,
    /// Paused by the application, until it resumes. The closing handshake of its last connection may still be in
    /// progress.
    Suspended,
}

impl Phase {
    /// All phases, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Connecting,
        Self::Open,
        Self::Waiting,
        Self::Closing,
        Self::Closed,
        Self::Suspended,
    ];

    /// Its index in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// Its name, as in the JavaScript API and the logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Suspended => "suspended",
        }
    }
}

/// What ended a connection or an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The browser's socket closed.
    Socket,
    /// The browser refused to make the socket.
    Refused,
    /// No handshake response within the connect timeout.
    ConnectTimeout,
    /// The function that provides the URL or the sub-protocols failed.
    Provider,
    /// It did not settle within its timeout.
    ProviderTimeout,
    /// The browser's `send` threw.
    SendFailed,
    /// The closing handshake did not end within its timeout.
    CloseTimeout,
    /// The server was silent for longer than the heartbeat allows.
    HeartbeatTimeout,
    /// The server did not answer when asked whether the connection is still alive.
    ProbeTimeout,
    /// The server sent a message larger than the option `max_message_bytes` allows.
    MessageTooBig,
    /// The application requested a new connection.
    Reconnect,
    /// The application closed the connection before it was open.
    Closed,
    /// The application suspended the connection.
    Suspended,
    /// The server did not keep to the protocol of sessions, or did not welcome this client in time.
    Session,
}

impl Cause {
    /// All causes, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Socket,
        Self::Refused,
        Self::ConnectTimeout,
        Self::Provider,
        Self::ProviderTimeout,
        Self::SendFailed,
        Self::CloseTimeout,
        Self::HeartbeatTimeout,
        Self::ProbeTimeout,
        Self::MessageTooBig,
        Self::Reconnect,
        Self::Closed,
        Self::Suspended,
        Self::Session,
    ];

    /// Its index in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// Its name, as in the JavaScript API and the logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Provider => "provider",
            Self::ProviderTimeout => "provider-timeout",
            Self::SendFailed => "send-failed",
            Self::CloseTimeout => "close-timeout",
            Self::HeartbeatTimeout => "heartbeat-timeout",
            Self::ProbeTimeout => "probe-timeout",
            Self::MessageTooBig => "message-too-big",
            Self::Reconnect => "reconnect",
            Self::Closed => "closed",
            Self::Suspended => "suspended",
            Self::Session => "session",
        }
    }
}

/// Why a connection is in its state, or will or will not retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The application requested it.
    Requested,
    /// The application suspended the connection; it reconnects when the application resumes.
    Suspended,
    /// The wait before the attempt is over.
    WaitOver,
    /// The handshake succeeded.
    HandshakeDone,
    /// The policy for this loss is to retry.
    PolicyRetries,
    /// The application's predicate decided to retry.
    PredicateRetries,
    /// The loss is local: the page was away and came back, or the network changed.
    LocalLoss,
    /// The server announced when to reconnect.
    ServerAsks,
    /// The close code (1012 or 1013) asks clients to reconnect later, and the server announced no time.
    LaterByCode,
    /// The page or the network came back during a wait.
    Woken,
    /// Too many attempts were made in a short time.
    TooManyAttempts,
    /// The policy for the close code is to stop.
    PolicyStops,
    /// The application's predicate decided to stop.
    PredicateStops,
    /// Twice, without a stable connection in between, the server refused what it was sent, or sent what was refused
    /// here.
    RefusedTwice,
    /// No retry is left.
    RetriesExhausted,
    /// The option `reconnect` is off: a lost connection is not replaced.
    ReconnectOff,
}

impl Why {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Requested,
        Self::Suspended,
        Self::WaitOver,
        Self::HandshakeDone,
        Self::PolicyRetries,
        Self::PredicateRetries,
        Self::LocalLoss,
        Self::ServerAsks,
        Self::LaterByCode,
        Self::Woken,
        Self::TooManyAttempts,
        Self::PolicyStops,
        Self::PredicateStops,
        Self::RefusedTwice,
        Self::RetriesExhausted,
        Self::ReconnectOff,
    ];

    /// Its index in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// The reason, as text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Requested => "the application asked for it",
            Self::Suspended => "the application suspended it, and may resume it",
            Self::WaitOver => "the wait is over",
            Self::HandshakeDone => "the handshake succeeded",
            Self::PolicyRetries => "the policy for such a loss is to retry",
            Self::PredicateRetries => "the application's predicate says to retry",
            Self::LocalLoss => "the page came back or the network changed",
            Self::ServerAsks => "the server announced when to come back",
            Self::LaterByCode => "the close code asks to come back later",
            Self::Woken => "the page or the network came back",
            Self::TooManyAttempts => "too many attempts were made in a short time",
            Self::PolicyStops => "the policy for the close code is to stop",
            Self::PredicateStops => "the application's predicate says to stop",
            Self::RefusedTwice => {
                "one side refused what the other sent, twice without a stable connection in between"
            }
            Self::RetriesExhausted => "no retry is left",
            Self::ReconnectOff => "the option reconnect is false",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A connection or an attempt that has ended.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Loss {
    /// How: the browser's code and reason, or 1006 without a close frame. A connection replaced by
    /// [`Input::Reconnect`] has the code and the reason of that input.
    pub close: CloseFrame,
    /// What ended it.
    pub cause: Cause,
    /// Whether it had been open.
    pub was_open: bool,
    /// What went wrong, as text: the error of the function that provides the URL or the sub-protocols
    /// ([`Cause::Provider`]), the name of the browser's exception ([`Cause::Refused`], [`Cause::SendFailed`]), or the
    /// message of the platform's error ([`Cause::Socket`]), which browsers do not provide. It may quote a URL: do not
    /// log it if that is secret.
    pub error: Option<String>,
}

impl fmt::Debug for Loss {
    /// Omits the text of the error, which may quote a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loss")
            .field("close", &self.close)
            .field("cause", &self.cause)
            .field("was_open", &self.was_open)
            .field("has_error", &self.error.is_some())
            .finish()
    }
}

/// A loss and its consequences.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Closed {
    /// The attempt that ended.
    pub generation: Generation,
    /// How it ended.
    pub loss: Loss,
    /// [`next_attempt_in`](Self::next_attempt_in), in milliseconds.
    #[doc(hidden)]
    pub retry_in_ms: Option<u64>,
    /// Why it will or will not retry.
    pub why: Why,
    /// Messages that the browser accepted but the server never confirmed, by answering a ping sent after them.
    pub unconfirmed: Tally,
}

impl Closed {
    /// Whether this is final: no attempt follows, and the connection is not suspended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.retry_in_ms.is_none() && self.loss.cause != Cause::Suspended
    }
}

/// A change of [`Phase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateChange {
    /// The new state.
    pub phase: Phase,
    /// The current or next attempt, 1 for the first since the last stable connection.
    pub attempt: u32,
    /// [`next_attempt_in`](Self::next_attempt_in), in milliseconds.
    #[doc(hidden)]
    pub delay_ms: Option<u64>,
    /// Why.
    pub why: Why,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full.
    Overflow,
    /// Its time to live had passed.
    Expired,
    /// It was volatile, and could not be sent at once.
    Volatile,
    /// The browser's `send` refused it on two connections.
    Refused,
    /// The connection was closed for good first.
    Closed,
    /// It was received, and the application did not read it in time.
    InboxFull,
}

impl DropReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Overflow,
        Self::Expired,
        Self::Volatile,
        Self::Refused,
        Self::Closed,
        Self::InboxFull,
    ];

    /// Its index in [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> u8 {
        self as u8
    }

    /// Its name, as in the JavaScript API and the logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Expired => "expired",
            Self::Volatile => "volatile",
            Self::Refused => "refused",
            Self::InboxFull => "inbox-full",
            Self::Closed => "closed",
        }
    }
}

/// Messages that will not be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dropped<P> {
    /// Why.
    pub reason: DropReason,
    /// The messages, in the order in which they were dropped: all of them, or the newest if there are more than the
    /// queue may hold (options `max_queued_messages` and `max_queued_bytes`, or 256 and 64 KiB if those are less).
    pub payloads: Vec<P>,
    /// How many older messages were dropped with them but not kept.
    pub omitted: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

impl<P> Dropped<P> {
    /// How many messages were dropped, kept or not.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.omitted.saturating_add(self.payloads.len() as u64)
    }
}

/// What the application receives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<P> {
    /// A message arrived.
    Message(P),
    /// Something happened to the connection.
    Event(Event<P>),
}

/// Something that happened to the connection or to outgoing messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event<P> {
    /// The state has changed. This precedes the event that belongs to it.
    State(StateChange),
    /// A connection is open.
    Open {
        /// The attempt.
        generation: Generation,
        /// Whether an earlier connection was open.
        reconnected: bool,
        /// The number of attempts it took.
        attempt: u32,
    },
    /// An attempt failed or the browser reported an error; a [`Event::Closed`] follows.
    Error,
    /// A connection, or an attempt to make one, has ended.
    Closed(Closed),
    /// Messages will not be sent.
    Dropped(Dropped<P>),
    /// The queue holds more, fewer or other messages than last reported. Emitted once, after everything else in the
    /// same turn.
    QueueChanged(Tally),
    /// Something happened to the session. Only with one.
    #[cfg(feature = "session")]
    Session(Arc<SessionEvent<P>>),
}

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEvent<P> {
    /// A session has begun: this is the time to subscribe to what is wanted from the server. After
    /// [`Lost`](Self::Lost), a fresh one has begun as well.
    Began,
    /// The session goes on.
    Resumed {
        /// How many messages, requests and answers of the server's follow that may have been missed.
        replayed: u64,
    },
    /// The session was lost, and a fresh one has begun.
    Lost(SessionLoss<P>),
    /// The session is over for good. [`Handle::reconnect`](crate::Handle) begins another.
    Ended(SessionLoss<P>),
    /// An attempt has failed, and no server has welcomed this client yet. Another attempt follows, unless
    /// [`Event::Closed`] is final.
    Unwelcomed(Unwelcomed),
    /// The server speaks no sessions, and this program can do without: messages are sent as on a plain connection.
    Plain,
    /// A message that was sent will not be handled, or nobody knows, though the session goes on.
    Undelivered(End<P>),
    /// So many messages and bytes have been sent, and are not acknowledged as handled. Emitted once, after everything else
    /// in the same turn.
    Unacknowledged(Tally),
    /// So many messages and requests of sessions that were lost before the last one have never been read, and are gone.
    Discarded(u64),
    /// A handler of a message from the server has been running for 30 s. Messages that follow are given all the same, but
    /// nothing behind it is acknowledged.
    StalledHere,
    /// The server's handler of a message has been running for 30 s.
    StalledThere,
}

/// Why no server has welcomed this client yet, as far as that can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unwelcomed {
    /// The connection did not open. A browser does not say why: there may be no server, or one that knows none of the
    /// sub-protocols it was offered.
    NotOpened,
    /// The server opened the connection, and closed it with this code in place of a welcome.
    Closed(u16),
    /// The server opened the connection, and sent no welcome within the option `connect_timeout`.
    Silent,
}

impl Unwelcomed {
    /// Why, in words: what stands before the code that the server closed with and behind it, if there is one.
    #[must_use]
    pub const fn words(self) -> (&'static str, Option<u16>, &'static str) {
        match self {
            Self::NotOpened => (
                "the connection did not open; if the server is there, it refuses this client or the sub-protocols of \
                 sessions",
                None,
                "",
            ),
            Self::Closed(code) => (
                "the server closed the connection with ",
                Some(code),
                " in place of a welcome",
            ),
            Self::Silent => (
                "the server opened the connection, and sent no welcome in time",
                None,
                "",
            ),
        }
    }
}

impl fmt::Display for Unwelcomed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, code, behind) = self.words();
        f.write_str(before)?;
        if let Some(code) = code {
            write!(f, "{code}{behind}")?;
        }
        Ok(())
    }
}

/// What became of the messages of a session that is over. Those whose [end](End) a program awaits are not among them: each
/// end is reported in one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionLoss<P> {
    /// Why it is over.
    pub why: Ended,
    /// How many messages that were not acknowledged were handled all the same.
    pub handled: u64,
    /// Messages that the server's application was never given.
    pub not_handled: Vec<P>,
    /// Messages of which nobody knows.
    pub unknown: Vec<P>,
}

impl<P> fmt::Display for Event<P> {
    /// One line for a log: no payload, no URL, and no text from the server.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(change) => {
                write!(f, "{} (attempt {}", change.phase.name(), change.attempt)?;
                if let Some(delay) = change.delay_ms {
                    write!(f, ", in {delay} ms")?;
                }
                write!(f, "): {}", change.why)
            }
            Self::Open {
                generation,
                reconnected,
                ..
            } => {
                let how = if *reconnected {
                    "reconnected"
                } else {
                    "connected"
                };
                write!(f, "socket {} {how}", generation.number())
            }
            Self::Error => f.write_str("error"),
            Self::Closed(closed) => write!(
                f,
                "socket {} closed: {}, code {}, clean {}, unconfirmed messages {}; {}",
                closed.generation.number(),
                closed.loss.cause.name(),
                closed.loss.close.code,
                closed.loss.close.clean,
                closed.unconfirmed.messages,
                closed.why,
            ),
            Self::Dropped(dropped) => write!(
                f,
                "{} messages dropped ({} bytes): {}",
                dropped.messages(),
                dropped.bytes,
                dropped.reason.name()
            ),
            Self::QueueChanged(queued) => write!(
                f,
                "{} messages queued ({} bytes)",
                queued.messages, queued.bytes
            ),
            #[cfg(feature = "session")]
            Self::Session(event) => event.fmt(f),
        }
    }
}

impl<P> fmt::Display for SessionEvent<P> {
    /// One line for a log, without a payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = |f: &mut fmt::Formatter<'_>, how, loss: &SessionLoss<P>| {
            write!(
                f,
                "session {how}: {}; messages handled {}, not handled {}, unknown {}",
                loss.why,
                loss.handled,
                loss.not_handled.len(),
                loss.unknown.len()
            )
        };
        match self {
            Self::Began => f.write_str("session began"),
            Self::Resumed { replayed } => write!(f, "session resumed, {replayed} replayed"),
            Self::Lost(loss) => over(f, "lost", loss),
            Self::Ended(loss) => over(f, "ended", loss),
            Self::Unwelcomed(why) => write!(f, "no session yet: {why}"),
            Self::Plain => f.write_str("the server speaks no sessions"),
            Self::Undelivered(End::NotHandled { why, .. }) => {
                write!(f, "a message was not handled: {why}")
            }
            Self::Undelivered(End::Unknown { why, .. }) => {
                write!(f, "nobody knows what became of a message: {why}")
            }
            Self::Unacknowledged(tally) => write!(
                f,
                "{} messages unacknowledged ({} bytes)",
                tally.messages, tally.bytes
            ),
            Self::Discarded(count) => {
                write!(f, "{count} unread messages of lost sessions are gone")
            }
            Self::StalledHere => f.write_str("a handler here has been running for 30 s"),
            Self::StalledThere => {
                f.write_str("a handler of the server's has been running for 30 s")
            }
        }
    }
}

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SendMode {
    /// Ahead of the queue, and without waiting for [`Input::Ready`].
    pub first: bool,
    /// Now or not at all.
    pub volatile: bool,
    /// How long it may wait, in milliseconds; `None` for the option `message_ttl`. [`ttl`](Self::ttl) sets it.
    #[doc(hidden)]
    pub ttl_ms: Option<u64>,
}

/// What became of an outgoing message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It goes to the browser now.
    Now,
    /// It waits in the queue.
    Queued,
    /// It was dropped, which an event reports.
    Dropped,
}

/// What becomes of a message accepted by [`Connection::send`](super::Connection::send).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted<P> {
    /// Pass it to the browser's `send` now, and answer as for an [`Effect::Transmit`].
    Transmit {
        /// The socket's attempt.
        generation: Generation,
        /// The message.
        payload: P,
    },
    /// It was sent behind the effects before it, queued or dropped.
    Sent(Sent),
}

/// A message that was not accepted and is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendRejected<P> {
    /// The queue is full, and the option `overflow` is to reject.
    Full(P),
    /// The connection is closing or closed.
    Closed(P),
}

/// Counters since the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state.
    pub phase: Phase,
    /// The current or next attempt, 1 for the first since the last stable connection.
    pub attempt: u32,
    /// Attempts made.
    pub attempts: u64,
    /// Connections that were open.
    pub opens: u64,
    /// Messages that the browser accepted.
    pub sent: Tally,
    /// Messages received.
    pub received: Tally,
    /// Messages in the queue.
    pub queued: Tally,
    /// Messages that were dropped, for any reason.
    pub dropped: Tally,
    /// Messages that were unconfirmed when their connection was lost.
    pub unconfirmed: Tally,
    /// In a session: messages that were sent and are not acknowledged as handled.
    pub unacknowledged: Tally,
    /// Of a socket with a session: why no server has welcomed it yet; `None` if one has, or no attempt has failed.
    pub unwelcomed: Option<Unwelcomed>,
    /// Sockets given up before their `close` event.
    pub abandoned: u64,
    /// How long until the next attempt; `None` if none is scheduled.
    pub next_attempt_in: Option<Duration>,
}

impl Snapshot {
    pub(super) fn new(phase: Phase, counters: Counters) -> Self {
        let [
            attempt,
            attempts,
            opens,
            sent,
            sent_bytes,
            received,
            received_bytes,
            queued,
            queued_bytes,
            dropped,
            dropped_bytes,
            unconfirmed,
            unconfirmed_bytes,
            abandoned,
            next_attempt_in,
        ] = counters;
        let tally = |messages, bytes| Tally { messages, bytes };
        Self {
            phase,
            attempt: attempt as u32,
            attempts,
            opens,
            sent: tally(sent, sent_bytes),
            received: tally(received, received_bytes),
            queued: tally(queued, queued_bytes),
            dropped: tally(dropped, dropped_bytes),
            unconfirmed: tally(unconfirmed, unconfirmed_bytes),
            unacknowledged: Tally::default(),
            unwelcomed: None,
            abandoned,
            next_attempt_in: (next_attempt_in != NONE)
                .then(|| Duration::from_millis(next_attempt_in)),
        }
    }
}
