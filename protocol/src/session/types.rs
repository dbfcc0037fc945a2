//! What both halves take and hand out.

use super::frame::{Credential, Kind, Refusal, Why};
use crate::Time;

/// What an application sends. A half keeps a clone until it is acknowledged, so a clone should be cheap: wrap large data
/// in an `Rc` or `Arc`.
pub trait Payload: Clone {
    /// The length in bytes; of a text, in UTF-8. The same at both ends.
    fn bytes(&self) -> usize;
    /// The kind of its WebSocket message. A batch ends where it changes.
    fn kind(&self) -> Kind;
}

impl Payload for super::frame::Data<'static> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn kind(&self) -> Kind {
        Self::kind(self)
    }
}

#[cfg(feature = "std")]
impl Payload for crate::Message {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }
}

/// Identifies a message that the application has sent. The numbers rise, and are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery(pub u64);

/// Messages that the application has sent one after the other, by what identifies each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deliveries {
    /// The first.
    pub first: Delivery,
    /// The last: all between have these numbers, too.
    pub last: Delivery,
}

impl Deliveries {
    pub(super) const fn one(delivery: Delivery) -> Self {
        Self {
            first: delivery,
            last: delivery,
        }
    }

    /// One more joins the run, if it is the next. Otherwise it begins another; the one before it is returned.
    pub(super) const fn follow(run: &mut Option<Self>, delivery: Delivery) -> Option<Self> {
        if let Some(run) = run
            && run.last.0.saturating_add(1) == delivery.0
        {
            run.last = delivery;
            return None;
        }
        run.replace(Self::one(delivery))
    }
}

impl IntoIterator for Deliveries {
    type Item = Delivery;
    type IntoIter = core::iter::Map<core::ops::RangeInclusive<u64>, fn(u64) -> Delivery>;

    fn into_iter(self) -> Self::IntoIter {
        (self.first.0..=self.last.0).map(Delivery)
    }
}

/// Identifies a request that the application has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask(pub u64);

/// Identifies a message or request that the application was given. It is bound to its epoch and to the half's time as
/// owner: later it means nothing, and does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// Rises each time the half begins an epoch.
    pub(super) era: u64,
    pub(super) number: u64,
}

impl Token {
    /// The message's number in its epoch. With the session it makes a stable id for side effects.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// How a message is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendMode {
    /// It goes ahead of what waits and does not have this mark.
    pub first: bool,
    /// Somebody waits for its end: the other end acknowledges it as soon as it is handled.
    pub awaited: bool,
    /// It is not sent any more from here on, if it still has no number.
    pub expires: Option<Time>,
}

/// Why a message or request was not accepted. It comes back, and nothing else of it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected<P> {
    /// The payload.
    pub payload: P,
    /// Why.
    pub why: Rejection,
}

/// Why something was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The queue holds as many messages or bytes as it may.
    Full,
    /// It is larger than the other end takes.
    TooLarge,
    /// As many requests are open as the other end takes.
    TooManyRequests,
    /// The session is over, or is being closed.
    Closed,
    /// All numbers of the session are used up.
    Exhausted,
}

impl Rejection {
    /// Why, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Full => "the queue is full; it takes more when some of it has been sent",
            Self::TooLarge => "the message is larger than the other end takes",
            Self::TooManyRequests => {
                "too many requests are unanswered; it takes more when one is answered"
            }
            Self::Closed => "the session is over",
            Self::Exhausted => {
                "the session has used up all its numbers; only a new session sends more"
            }
        }
    }
}

impl core::fmt::Display for Rejection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Rejection {}

/// How a message ended that is not known to be handled. Every message that was accepted ends once: so or with
/// [`Output::Handled`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum End<P> {
    /// The other application was never given it.
    NotHandled {
        /// The message.
        payload: P,
        /// Why.
        why: NotHandled,
    },
    /// It was given and not finished when the session ended, or nobody can tell.
    Unknown {
        /// The message.
        payload: P,
        /// Why.
        why: Ended,
    },
}

impl<P> End<P> {
    /// The same end with the message in another form, such as that in which the application gave it.
    #[must_use]
    pub fn with<T>(self, payload: T) -> End<T> {
        match self {
            Self::NotHandled { why, .. } => End::NotHandled { payload, why },
            Self::Unknown { why, .. } => End::Unknown { payload, why },
        }
    }
}

/// Why a message was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotHandled {
    /// Its time was over before it had a number.
    TimeToLive,
    /// Newer messages took its place in the queue.
    Overflow,
    /// It is larger than the other end takes, which was not known when it was sent.
    TooLarge,
    /// The session ended like this, before the message was given.
    Session(Ended),
}

impl NotHandled {
    /// Why, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TimeToLive => "its time was over before it was sent",
            Self::Overflow => "newer messages took its place in the queue",
            Self::TooLarge => "it is larger than the other end takes",
            Self::Session(ended) => ended.text(),
        }
    }
}

impl core::fmt::Display for NotHandled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ended {
    /// This end closed it.
    Closed,
    /// The other end ended it.
    ByPeer,
    /// It was lost.
    Lost(Why),
    /// A newer connection, of a twin with the same secret, has it.
    Superseded,
    /// The server has seen a higher attempt: a twin with the same secret has the session.
    Stale,
    /// The server does not let this client in.
    Refused,
    /// The message was set aside: it was alone on its way when three connections in a row failed.
    SetAside,
    /// The driver gave it up, for example because its module failed.
    Aborted,
    /// The server speaks no sessions.
    NotSpoken,
    /// The store gave no answer.
    Store,
    /// Another process has taken the session over.
    TakenOver,
    /// All numbers are used up.
    Exhausted,
}

impl Ended {
    /// How, in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Closed => "the session was closed at this end",
            Self::ByPeer => "the other end ended the session",
            Self::Lost(Why::Expired) => {
                "the session was lost: the client came back after its window"
            }
            Self::Lost(Why::Unknown) => "the session was lost: the server does not remember it",
            Self::Lost(Why::Full) => {
                "the session was lost: more waited for the client than the server keeps"
            }
            Self::Lost(Why::Refused) => "the session was lost: this client may not resume it",
            Self::Lost(Why::OutOfStep) => "the session was lost: the two ends count differently",
            Self::Lost(Why::Other) => {
                "the session was lost, for a reason that this version does not know"
            }
            Self::Superseded | Self::Stale => {
                "another client has the session: its secret was copied"
            }
            Self::Refused => "the server does not let this client in",
            Self::SetAside => {
                "three connections in a row failed while the message was alone on its way"
            }
            Self::Aborted => "the session was given up at this end",
            Self::NotSpoken => "the server speaks no sessions",
            Self::Store => "the server's store did not answer",
            Self::TakenOver => "another process has taken the session over",
            Self::Exhausted => "the session has used up all its numbers",
        }
    }
}

impl core::fmt::Display for Ended {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

/// How a request ended. Every request that was accepted ends once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskEnd<P> {
    /// The response.
    Response(P),
    /// An error of the other application's own.
    Error(P),
    /// The other end has no response.
    Refused(Refusal),
    /// It was cancelled at this end.
    Cancelled,
    /// Its time was over.
    TimedOut,
    /// The other application was never given it.
    NotHandled(NotHandled),
    /// The session ended over it, or the other end cannot be asked.
    Unknown(Ended),
}

/// What the application gets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output<P> {
    /// The connection has a session: a welcome has arrived, or was sent.
    Open(Opened),
    /// The session is over, and a fresh one begins.
    Lost(Why),
    /// The session is over for good. Nothing follows but the ends of what was sent.
    Ended(Ended),
    /// A message. It is given from here on; say [`handled`](super::Client::handled) when the application is done.
    Message {
        /// Identifies it.
        token: Token,
        /// The message.
        payload: P,
    },
    /// A request, to be answered once.
    Request {
        /// Identifies it.
        token: Token,
        /// What is asked.
        payload: P,
    },
    /// The asker of a request no longer wants the answer. It is to be answered all the same.
    Withdrawn(Token),
    /// A message that is neither counted nor repeated.
    Volatile(P),
    /// So many messages and requests had arrived in sessions that were lost before the last one, and nobody has read them:
    /// they are not given any more. Their sender knows that nobody can tell what became of them.
    Dropped(u64),
    /// The other application is done with these messages that were sent. One acknowledgement covers many: they are told
    /// in runs and not one by one.
    Handled(Deliveries),
    /// A message that was sent has ended otherwise.
    Settled(Delivery, End<P>),
    /// A request that was made has ended.
    Answered(Ask, AskEnd<P>),
    /// The handler of a message of the other end's has been running for 30 s.
    StalledHere(Token),
    /// The other end says the same of a message of this end's; its number.
    StalledThere(u64),
    /// The client has a fresh credential. If it is not good, the driver ends the connection.
    Credential(Credential),
}

/// What an open connection means for the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opened {
    /// The session is new: subscribe to what is wanted.
    Fresh,
    /// The session goes on. So many numbers of the other end's follow that it repeats.
    Resumed {
        /// The count.
        replayed: u64,
    },
    /// The session was lost; [`Output::Lost`] follows.
    Anew,
}
