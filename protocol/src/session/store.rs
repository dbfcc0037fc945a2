//! Where a server keeps its sessions.
//!
//! A [`Server`](super::Server) asks its store one question at a time, as an effect. The answer may come later, once,
//! twice or never: the half waits for the answer to its last question, passes over any other, and asks again when its
//! time is over. A store answers a step that it has done before with what it answered then. Nothing is sent before its
//! step is answered, acknowledgements included.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::frame::{Key, Lost, Verdict, Why};
use super::sent::{Item, Sent};
use super::types::Payload;
use crate::Time;

/// Who a client is, as the server has found out. Only equality matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(pub String);

/// Identifies a question. Two halves have different ones, also if one takes the place of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a half asks its store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Question<P> {
    /// A client has said hello.
    Open(Claim),
    /// Something happened in an open session.
    Step(Step<P>),
    /// The session is over.
    Finish(Finish),
}

/// A hello of a client that was let in.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The session.
    pub key: Key,
    /// Who the client is.
    pub identity: Identity,
    /// Whether it may resume a session. If it may not, a half that owns the session ends it itself, by asking again with
    /// `lost`; otherwise the store does.
    pub may_resume: bool,
    /// From the hello.
    pub attempt: u64,
    /// From the hello.
    pub epoch: u64,
    /// Whether the client has sent anything in this epoch.
    pub has_sent: bool,
    /// The first hello of this secret was sent after this moment. It is a moment and no age, since a question may wait: a
    /// store with another clock turns it into one of its own when it is asked.
    pub began: Time,
    /// The generation in which this half owns the session, if it does.
    pub owner: Option<u64>,
    /// The epoch to begin, if one begins.
    pub new_epoch: u64,
    /// The half that owns the session has found it lost. Then the attempt may be the one that was seen last.
    pub lost: Option<Lost>,
}

impl Claim {
    /// Whether its client has nothing to lose: it has had no welcome, and has sent nothing.
    #[must_use]
    pub const fn begins(&self) -> bool {
        self.epoch == 0 && !self.has_sent
    }
}

/// What happened since the last step.
#[derive(Debug, Clone)]
pub struct Step<P> {
    /// The session.
    pub key: Key,
    /// The generation of the half that asks. Another one can no longer write.
    pub owner: u64,
    /// The step's own number in this generation, from 1. The same again is the same step.
    pub number: u64,
    /// Everything up to this number of the client's is handled.
    pub handled: u64,
    /// And these ranges beyond it.
    pub also: Vec<(u64, u64)>,
    /// The client has acknowledged everything up to this number.
    pub acknowledged: u64,
    /// The client has everything up to this number.
    pub got: u64,
    /// These numbers need not be sent again: they were set aside, or are requests that are answered.
    pub freed: Vec<u64>,
    /// These are to be numbered, in this order.
    pub sends: Vec<Item<P>>,
    /// Something of this epoch has arrived: an earlier verdict need not be kept.
    pub confirmed: bool,
}

/// The end of a session.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The session.
    pub key: Key,
    /// The generation of the half that asks.
    pub owner: u64,
    /// Why it was lost; `None` if it was closed or ended.
    pub why: Option<Why>,
    /// What became of the client's messages, if that is known.
    pub verdict: Option<Verdict>,
    /// Something of this epoch has arrived: an earlier verdict need not be kept, also if no step has said so.
    pub confirmed: bool,
}

/// What a store answers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reply<P> {
    /// The client's session, and this half owns it. In a box, since most answers are about steps.
    Opened(Box<Opening<P>>),
    /// The hello is late.
    Stale,
    /// The session was closed or ended.
    Over,
    /// The session is somebody else's.
    Refused,
    /// There is no room for another session.
    NoRoom,
    /// The step is done; what it sends has the numbers from this one on.
    Stepped {
        /// The number of the first.
        first: u64,
    },
    /// The step was not done: there is no room for what it sends.
    Full,
    /// The session is over.
    Finished,
    /// Nothing was done: another half owns the session.
    Fenced,
    /// Nothing was done: there is no such session any more. The half's lease has run out.
    Gone,
}

/// A session that was found or made.
#[derive(Debug, Clone)]
pub struct Opening<P> {
    /// Its epoch.
    pub epoch: u64,
    /// The generation of the half that owns it now. No other half ever has the same for this key, also if there is nothing
    /// left of an earlier session: a half that has slept for days must not write into another's.
    pub owner: u64,
    /// The same counted in this epoch, as the welcome states it: from 1 for the owner that made it, or the last that took
    /// it over with a claim of epoch 0 that had sent nothing.
    pub owner_in_epoch: u64,
    /// What became of the session that the hello meant.
    pub found: Found,
    /// What is in it, if the half does not own it already.
    pub snapshot: Option<Snapshot<P>>,
    /// The claim's hello may be older than the store's memory, so another session may have had what rides behind it: the
    /// half gives it when the client has acknowledged the welcome.
    pub doubtful: bool,
}

/// What became of the session that a hello meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is new.
    Fresh,
    /// It goes on.
    Continued,
    /// It is over, and another one has begun.
    Lost(Lost),
}

/// What a session holds, for a new owner.
#[derive(Debug, Clone)]
pub struct Snapshot<P> {
    pub(super) handled: u64,
    pub(super) also: Vec<(u64, u64)>,
    pub(super) sent: Sent<P>,
    pub(super) asked: Vec<u64>,
}

impl<P: Payload> Snapshot<P> {
    /// Everything up to `handled` of the client's is handled, and the ranges `also` beyond it. Of the server's, what
    /// follows the number `acknowledged` is not acknowledged: these items with their counts of numbers, which are 1 for
    /// all but [`Item::Free`]. `asked` are the numbers of all requests that steps have sent and not freed: one that is
    /// acknowledged may still be unanswered.
    #[must_use]
    pub fn new(
        handled: u64,
        also: Vec<(u64, u64)>,
        acknowledged: u64,
        items: Vec<(Item<P>, u64)>,
        asked: Vec<u64>,
    ) -> Self {
        let mut sent = Sent::new(acknowledged);
        for (item, count) in items {
            // Whoever waited for its end was in another process.
            match item {
                Item::Free => sent.push_free(count),
                Item::Message {
                    payload, awaited, ..
                } => {
                    sent.push(Item::Message {
                        payload,
                        delivery: None,
                        awaited,
                    });
                }
                Item::Request { payload, .. } => {
                    sent.push(Item::Request { payload, ask: None });
                }
                item => {
                    sent.push(item);
                }
            }
        }
        Self {
            handled,
            also,
            sent,
            asked,
        }
    }
}

/// Keeps sessions.
pub trait Store<P> {
    /// Asks a question. The answer comes from [`poll`](Self::poll), sooner or later.
    fn ask(&mut self, now: Time, ticket: Ticket, question: Question<P>);

    /// The next answer.
    fn poll(&mut self) -> Option<(Ticket, Reply<P>)>;
}

/// Answers that wait to be polled.
pub(super) type Replies<P> = VecDeque<(Ticket, Reply<P>)>;
