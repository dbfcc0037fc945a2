//! An open socket, with everything that belongs to it: how far messages flow, what is in the browser's hands, and what
//! is known of the server. When the socket ends, all of it goes.

use alloc::string::String;

use super::Time;
use super::event::Pings;
use super::liveness::Liveness;
use super::unconfirmed::Unconfirmed;

/// How long after a message the server is asked whether it received it, in milliseconds, if it answers numbered
/// pings. One question is pending at a time: a connection that sends continuously asks once per this time plus a
/// round trip.
const CONFIRM_MS: u64 = 1_000;

/// An open socket, until it has ended.
#[derive(Clone, Debug, Hash)]
pub(super) struct Open {
    pub(super) since: Time,
    pub(super) flow: Flow,
    /// The pending measurement decides about the silence.
    pub(super) judging: bool,
    /// The pending measurement determines what precedes a ping.
    pub(super) asking: bool,
    /// When the next keepalive is due, whatever the server sends.
    pub(super) keepalive_at: Option<Time>,
    /// Bytes of messages that the browser accepted.
    pub(super) handed: u64,
    /// A lower bound on what the browser holds.
    pub(super) buffered: u64,
    /// Between the marks: set at the high mark until the browser is down to the low one.
    pub(super) blocked: bool,
    /// When to measure the browser's buffer again.
    pub(super) measure_at: Option<Time>,
    /// A measurement was requested and not yet answered.
    pub(super) measuring: bool,
    pub(super) unconfirmed: Unconfirmed,
    /// The server has announced that it answers numbered pings.
    pub(super) numbered: bool,
    /// When to ask what the server has received.
    pub(super) question_at: Option<Time>,
    pub(super) liveness: Liveness,
    pub(super) pings: Pings,
}

/// How far messages flow.
#[derive(Clone, Debug, Hash)]
pub(super) enum Flow {
    /// `open` has not been delivered yet.
    Announcing,
    /// The application's `open` handler is running: what it sends goes ahead of the queue.
    Opening {
        /// It has already opened the gate.
        ready: bool,
    },
    /// The application has not opened the gate yet.
    Gated,
    /// Everything flows.
    Flowing,
    /// The application closes for good: what the gate lets pass is handed over.
    Closing(Closing),
    /// The application suspends the connection.
    Suspending(Closing),
}

/// A closing handshake that the application requested.
#[derive(Clone, Debug, Hash)]
pub(super) struct Closing {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
    /// Whether messages of the ordinary lane still go out, or the gate was closed.
    pub(super) gated: bool,
    /// Whether the browser's `close` was called; before that, the queue is handed over.
    pub(super) handshake: bool,
    pub(super) deadline: Time,
    /// What the browser held at the last measurement.
    pub(super) buffered: u64,
    /// The deadline has passed; the answer to a measurement decides.
    pub(super) judging: bool,
}

impl Open {
    pub(super) fn new(since: Time, pings: Pings, liveness: Liveness) -> Self {
        Self {
            since,
            flow: Flow::Announcing,
            judging: false,
            asking: false,
            keepalive_at: None,
            handed: 0,
            buffered: 0,
            blocked: false,
            measure_at: None,
            measuring: false,
            unconfirmed: Unconfirmed::default(),
            numbered: false,
            question_at: None,
            liveness,
            pings,
        }
    }

    /// The closing handshake that the application requested, if any.
    pub(super) const fn closing(&self) -> Option<&Closing> {
        match &self.flow {
            Flow::Closing(closing) | Flow::Suspending(closing) => Some(closing),
            _ => None,
        }
    }

    /// Whether the browser may get more, judging by what is known of its buffer.
    pub(super) const fn has_window(&self) -> bool {
        !self.blocked && !self.measuring
    }

    /// Whether the next message needs a question, and its time is not yet known.
    pub(super) const fn may_plan_question(&self) -> bool {
        self.numbered && self.question_at.is_none() && !self.unconfirmed.awaits_answer()
    }

    /// Never inlined: most messages find it already scheduled.
    #[inline(never)]
    pub(super) fn plan_question(&mut self, now: Time) {
        self.question_at = Some(now.after(CONFIRM_MS));
    }
}
