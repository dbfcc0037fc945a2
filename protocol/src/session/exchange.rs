//! What both halves have in common: both directions of one epoch after another.
//!
//! The half above it makes and answers hellos, and decides when an epoch begins and ends. The server's half also commits:
//! it takes the items to be numbered with [`Exchange::take`] and numbers them when its store has them, and nothing is
//! acknowledged that is not [`committed`](Exchange::committed). The client's half does both at once.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ascending::Ascending;
use super::frame::{Answer, Counts, Credential, Frame, Limits, Refusal, Verdict};
use super::queue::{Queue, Waiting};
use super::received::{Arrival, Received};
use super::sent::{Entry, Item, Sent};
use super::types::{
    Ask, AskEnd, Deliveries, Delivery, End, Ended, NotHandled, Opened, Output, Payload, Rejected,
    Rejection, SendMode, Token,
};
use super::{MAX_NUMBER, close, limits};
use crate::Time;

/// What happens to a message that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// It is rejected.
    #[default]
    Reject,
    /// The oldest messages of the queue end as not handled.
    DropOldest,
}

/// The options that both halves have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// What this end takes.
    pub limits: Limits,
    /// How many messages may wait without a number, from 1.
    pub queue_messages: usize,
    /// How many bytes in them, from 1. One message that is larger fits into an empty queue.
    pub queue_bytes: usize,
    /// What happens to a message that finds the queue full.
    pub overflow: Overflow,
    /// The number before the first of each epoch: 0, but for tests of large numbers, at both ends alike.
    #[doc(hidden)]
    pub origin: u64,
}

impl Default for Options {
    /// The defaults of the specification.
    fn default() -> Self {
        Self {
            limits: Limits {
                messages: limits::MESSAGES,
                bytes: limits::BYTES,
                message_bytes: limits::MESSAGE_BYTES,
                requests: limits::REQUESTS,
            },
            queue_messages: limits::QUEUE_MESSAGES,
            queue_bytes: limits::QUEUE_BYTES,
            overflow: Overflow::Reject,
            origin: 0,
        }
    }
}

/// What waits to be numbered and does not wait for the window.
#[derive(Debug, Clone)]
enum Urgent<P> {
    Request(Ask),
    /// `behind` is the last message that was sent before it.
    Answer {
        request: u64,
        answer: Answer<P>,
        behind: u64,
    },
    Cancel {
        request: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It has no number.
    Waiting,
    /// It has been taken to be numbered.
    Taken,
    Numbered(u64),
}

/// What was taken to be numbered, and has no number yet.
#[derive(Debug, Default)]
pub(super) struct Taken {
    items: u64,
    messages: u64,
    bytes: u64,
    unconfirmed: u64,
}

impl Taken {
    fn add<P: Payload>(&mut self, item: &Item<P>) {
        let [messages, bytes, unconfirmed] = item.counts();
        self.items = self.items.saturating_add(1);
        self.messages = self.messages.saturating_add(messages);
        self.bytes = self.bytes.saturating_add(bytes);
        self.unconfirmed = self.unconfirmed.saturating_add(unconfirmed);
    }
}

/// A request that was made.
#[derive(Debug, Clone)]
struct Asked<P> {
    /// `None` if an earlier owner has made it.
    payload: Option<P>,
    place: Place,
    deadline: Option<Time>,
    /// The last message that was sent before it.
    behind: u64,
    /// For the application it has ended; its place is free when the answer comes.
    over: bool,
    /// A process that is gone may have been given it.
    again: bool,
}

/// The connection, as far as frames may go out on it.
#[derive(Debug, Clone)]
struct Line {
    /// What may still go before the welcome: numbers and bytes.
    riding: Option<(u32, u32)>,
    /// The number of what is alone on its way, and until when it stays so.
    alone: Option<(u64, Time)>,
    /// Something went out beside it: what ends the connection from here on may be either.
    crowded: bool,
    /// An acknowledgement of this number was asked for, to have room behind it.
    asked_room: u64,
}

impl Line {
    const fn new(riding: Option<(u32, u32)>) -> Self {
        Self {
            riding,
            alone: None,
            crowded: false,
            asked_room: 0,
        }
    }
}

/// What may be to blame for the end of a connection.
#[derive(Debug, Clone, Copy)]
struct Carried {
    /// Everything up to this number went out on it.
    position: u64,
    alone: Alone,
}

/// What was alone on its way.
#[derive(Debug, Clone, Copy)]
enum Alone {
    Nothing,
    One(u64),
    /// Something went out beside it.
    Crowded,
}

/// How far the other end knows what is handled here, and when it is to be told more. Only what it is told or asks for moves
/// these thresholds, so that a message that is handled is compared with them and no more.
#[derive(Debug, Clone)]
struct Told {
    handled: u64,
    /// An acknowledgement of this number, or a higher one, is due at once.
    due_from: u64,
    /// How many bytes are still to be handled until one is due.
    bytes_left: u64,
    /// When one is due, since more is handled than the other end knows.
    due_at: Option<Time>,
    /// The other end awaits an acknowledgement of this number.
    awaited: u64,
    /// Answers and cancellations that have arrived since the other end was last told.
    beyond: u32,
    /// Anything was numbered, given or handled since the last counts.
    news: bool,
}

impl Told {
    fn new(handled: u64, own: &Limits) -> Self {
        let mut told = Self {
            handled,
            due_from: handled,
            bytes_left: 0,
            due_at: None,
            awaited: 0,
            beyond: 0,
            news: false,
        };
        told.tell(handled, own);
        told
    }

    /// The other end knows so much from here on.
    fn tell(&mut self, handled: u64, own: &Limits) {
        self.handled = handled;
        self.due_at = None;
        self.bytes_left = own.bytes.div_ceil(2);
        let messages = own.messages.div_ceil(2).clamp(1, limits::ACK_MESSAGES);
        self.due_from = handled.saturating_add(messages);
        self.awaits(0);
    }

    fn awaits(&mut self, number: u64) {
        self.awaited = self.awaited.max(number);
        if self.awaited > self.handled {
            self.due_from = self.due_from.min(self.awaited);
        }
    }

    const fn handled_bytes(&mut self, bytes: u64) {
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        if self.bytes_left == 0 {
            // The next number is due.
            self.due_from = self.handled.saturating_add(1);
        }
    }

    /// Whether an acknowledgement is due, when so much is handled.
    fn is_due(&self, handled: u64, now: Time) -> bool {
        handled >= self.due_from || self.due_at.is_some_and(|at| at <= now)
    }
}

fn volatile_bytes(payload: &impl Payload) -> u32 {
    u32::try_from(payload.bytes()).unwrap_or(u32::MAX)
}

/// The end of a request without an answer. Nobody can know what became of one that may have been given.
const fn unanswered<P>(may_have_been_given: bool, why: NotHandled, unknown: Ended) -> AskEnd<P> {
    match may_have_been_given {
        true => AskEnd::Unknown(unknown),
        false => AskEnd::NotHandled(why),
    }
}

/// Frees an empty queue's memory.
pub(super) fn release<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
}

/// What the driver has to do beside sending. Almost always it is nothing, which one look shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Duties(u8);

impl Duties {
    /// To say when the program's turn is over.
    pub(super) const GATHER: u8 = 1;
    /// To close the connection.
    pub(super) const CLOSE: u8 = 2;
    /// To make no more connections.
    pub(super) const GIVE_UP: u8 = 4;

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn add(&mut self, what: u8) {
        self.0 |= what;
    }

    /// Whether this is to be done. It is not asked for again.
    pub(super) const fn take(&mut self, what: u8) -> bool {
        let asked = self.0 & what != 0;
        self.0 &= !what;
        asked
    }
}

#[derive(Debug, Clone)]
pub(super) struct Exchange<P> {
    pub(super) options: Arc<Options>,
    peer: Limits,
    era: u64,
    deliveries: u64,
    queue: Queue<P>,
    urgent: VecDeque<Urgent<P>>,
    asks: Ascending<Ask, Asked<P>>,
    last_ask: u64,
    /// When the time of the next request is over, or earlier.
    next_deadline: Option<Time>,
    by_number: Ascending<u64, Ask>,
    /// Requests of the other end's that are not answered, and whether they are withdrawn.
    incoming: Ascending<u64, bool>,
    pub(super) sent: Sent<P>,
    pub(super) received: Received<P>,
    committed: u64,
    told: Told,
    line: Option<Line>,
    /// The last connection, until it is known whether what it carried is to blame for its end.
    ended: Option<Carried>,
    /// How often in a row something beside what was alone may have been to blame.
    patience: u8,
    /// Everything up to this number may have ended a connection.
    suspects: u64,
    /// What is sent waits for the end of the program's turn.
    gathering: bool,
    /// What the driver has not been told.
    pub(super) duties: Duties,
    /// What waits has no room in the other end's window.
    lacks_room: bool,
    writable: bool,
    /// Up to this number the other end may have sent to an earlier owner.
    repeats_to: u64,
    /// What the other end had when the last connection began.
    had: u64,
    /// How often batches were halved, since connections are too short for them.
    halved: u8,
    /// Something waits for a number, and there are none left.
    exhausted: bool,
    pub(super) frames: VecDeque<Frame<P>>,
    /// What is for the application, beside the messages that wait in `received`. Each comes behind the messages up to this
    /// number.
    outputs: VecDeque<(u64, Output<P>)>,
    /// Messages in `outputs`: volatile ones, and those of an earlier epoch.
    inbox: u32,
    /// Bytes of volatile messages in them.
    volatile_bytes: u32,
    volatile_dropped: u64,
    /// Numbers that need not be sent again, since they were set aside or answered, for the store.
    pub(super) replaced: Vec<u64>,
    /// Everything up to this number is there, for the store.
    pub(super) got: u64,
}

/// What the other end is taken to take before the first welcome.
const BEFORE_WELCOME: Limits = Limits {
    messages: limits::RIDING_MESSAGES,
    bytes: limits::RIDING_BYTES,
    message_bytes: limits::MESSAGE_BYTES,
    requests: limits::REQUESTS,
};

impl<P: Payload> Exchange<P> {
    pub(super) fn new(options: Arc<Options>) -> Self {
        Self {
            peer: BEFORE_WELCOME,
            era: 1,
            deliveries: 0,
            queue: Queue::new(),
            urgent: VecDeque::new(),
            asks: Ascending::new(),
            last_ask: 0,
            next_deadline: None,
            by_number: Ascending::new(),
            incoming: Ascending::new(),
            sent: Sent::new(options.origin),
            received: Received::new(options.origin, Vec::new()),
            committed: options.origin,
            told: Told::new(options.origin, &options.limits),
            line: None,
            ended: None,
            patience: 0,
            suspects: 0,
            gathering: false,
            duties: Duties::default(),
            lacks_room: false,
            writable: true,
            repeats_to: 0,
            had: options.origin,
            halved: 0,
            exhausted: false,
            frames: VecDeque::new(),
            outputs: VecDeque::new(),
            inbox: 0,
            volatile_bytes: 0,
            volatile_dropped: 0,
            replaced: Vec::new(),
            got: 0,
            options,
        }
    }

    // ----- questions

    /// Everything up to this number may be acknowledged.
    pub(super) const fn committed(&self) -> u64 {
        self.committed
    }

    /// Whether nothing waits, and everything that was sent has ended.
    pub(super) fn is_drained(&self) -> bool {
        let asked = |ask: &Asked<P>| !ask.over;
        !self.has_waiting()
            && self.sent.messages() == 0
            && self.sent.unconfirmed() == 0
            && !self.asks.values().any(asked)
    }

    pub(super) const fn volatile_dropped(&self) -> u64 {
        self.volatile_dropped
    }

    pub(super) fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.bytes())
    }

    /// What is kept: numbered entries, messages that are not handled, requests, and what waits to go out.
    pub(super) fn kept(&self) -> usize {
        let parts = [
            self.sent.kept(),
            self.received.messages() as usize,
            self.asks.len(),
            self.incoming.len(),
            self.urgent.len(),
            self.frames.len(),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    pub(super) fn has_unacknowledged(&self) -> bool {
        self.sent.last() > self.sent.base()
    }

    /// When there is something to do at the latest. `closing` is a time of the half above.
    pub(super) fn next_timer(&self, closing: Option<Time>) -> Option<Time> {
        let ack = self.told.due_at.filter(|_| self.writable && self.is_up());
        let rests = self.sent.is_out()
            && !self.received.is_being_handled()
            && self.queue.next_expiry().is_none()
            && self.next_deadline.is_none()
            && closing.is_none();
        match rests {
            true => ack,
            false => Time::earliest(ack, Time::earliest(closing, self.next_busy_timer())),
        }
    }

    /// What has no time to keep while nothing is under way.
    #[inline(never)]
    fn next_busy_timer(&self) -> Option<Time> {
        let alone = match self.writable && !self.sent.is_out() {
            true => self.line.as_ref().and_then(|line| line.alone),
            false => None,
        };
        let alone = alone.filter(|(number, _)| *number > self.sent.base());
        let alone = alone.map(|(_, until)| until);
        let next = Time::earliest(self.next_deadline, alone);
        let next = Time::earliest(next, self.received.next_stall());
        Time::earliest(next, self.queue.next_expiry())
    }

    fn is_up(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.riding.is_none())
    }

    // ----- the application

    pub(super) fn send(&mut self, payload: P, mode: SendMode) -> Result<Delivery, Rejected<P>> {
        let bytes = payload.bytes();
        // Before the first welcome the other end's limit is not known, and taken to be the default.
        if bytes as u64 > self.peer.message_bytes {
            return Err(Rejected {
                payload,
                why: Rejection::TooLarge,
            });
        }
        // What waits is numbered before what comes now.
        let ahead = self.queue.len().saturating_add(self.urgent.len());
        if !self.sent.has_number(ahead as u64) {
            return Err(Rejected {
                payload,
                why: Rejection::Exhausted,
            });
        }
        if !self.fits_queue(bytes) && !self.make_room(bytes) {
            return Err(Rejected {
                payload,
                why: Rejection::Full,
            });
        }
        self.deliveries = self.deliveries.saturating_add(1);
        let delivery = Delivery(self.deliveries);
        self.queue.push(Waiting {
            delivery,
            payload,
            mode,
            follows: false,
        });
        Ok(delivery)
    }

    /// Takes messages that are to be numbered in one step. Returns the last of them, if there are any.
    pub(super) fn send_together(
        &mut self,
        payloads: Vec<P>,
    ) -> Result<Option<Delivery>, Rejected<Vec<P>>> {
        let count = payloads.len() as u64;
        let sizes = || payloads.iter().map(|payload| payload.bytes() as u64);
        let bytes = sizes().fold(0, u64::saturating_add);
        let largest = sizes().max().unwrap_or(0);
        let ahead = self.queue.len().saturating_add(self.urgent.len()) as u64;
        // A message that is larger than the window goes alone.
        let is_too_much = count > 1 && (count > self.peer.messages || bytes > self.peer.bytes);
        let why = if largest > self.peer.message_bytes || is_too_much {
            Some(Rejection::TooLarge)
        } else if !self.sent.has_number(ahead.saturating_add(count)) {
            Some(Rejection::Exhausted)
        } else if !self.queue.is_empty()
            && (self.queue.len().saturating_add(payloads.len()) > self.options.queue_messages
                || (self.queue.bytes() as u64).saturating_add(bytes)
                    > self.options.queue_bytes as u64)
        {
            Some(Rejection::Full)
        } else {
            None
        };
        if let Some(why) = why {
            let payload = payloads;
            return Err(Rejected { payload, why });
        }
        let mut last = None;
        for payload in payloads {
            self.deliveries = self.deliveries.saturating_add(1);
            let delivery = Delivery(self.deliveries);
            self.queue.push(Waiting {
                delivery,
                payload,
                mode: SendMode::default(),
                follows: last.is_some(),
            });
            last = Some(delivery);
        }
        Ok(last)
    }

    /// Whether this message, or one that was sent before it, waits for a number.
    pub(super) fn waits(&self, delivery: Delivery) -> bool {
        self.queue.oldest().is_some_and(|oldest| oldest <= delivery)
    }

    fn fits_queue(&self, bytes: usize) -> bool {
        let options = &self.options;
        self.queue
            .fits(options.queue_messages, options.queue_bytes, bytes)
    }

    /// Drops the oldest messages for one of so many bytes, if that is wanted and helps. Returns whether it fits then.
    #[inline(never)]
    fn make_room(&mut self, bytes: usize) -> bool {
        let drops = self.options.overflow == Overflow::DropOldest;
        if !drops || bytes > self.options.queue_bytes {
            return false;
        }
        while !self.fits_queue(bytes) {
            if let Some(oldest) = self.queue.pop_oldest() {
                self.come_back(oldest, NotHandled::Overflow);
            }
        }
        true
    }

    /// The straight way of a message when nothing is before it: it is numbered and put out at once, and never waits. It comes
    /// back if it has to, and otherwise leaves what is to go out in `lone`. Only for a half that needs no store to number it.
    pub(super) fn send_straight(
        &mut self,
        payload: P,
        lone: &mut Option<P>,
    ) -> Result<Delivery, P> {
        if lone.is_some() || !self.is_straight(payload.bytes() as u64) {
            return Err(payload);
        }
        self.deliveries = self.deliveries.saturating_add(1);
        let delivery = Delivery(self.deliveries);
        self.lacks_room = false;
        self.told.news = true;
        *lone = Some(payload.clone());
        self.sent.push_out(Item::Message {
            payload,
            delivery: Some(delivery),
            awaited: false,
        });
        // What the same turn adds waits for its end.
        self.gathering = true;
        self.duties.add(Duties::GATHER);
        Ok(delivery)
    }

    /// Whether a message of so many bytes would be the next to be numbered and to go out, at once and as it is.
    fn is_straight(&self, bytes: u64) -> bool {
        let Some(line) = &self.line else {
            return false;
        };
        let is_free = line.riding.is_none() && line.alone.is_none() && self.writable;
        is_free
            && !self.gathering
            && !self.has_waiting()
            && self.frames.is_empty()
            && self.sent.is_out()
            && self.sent.has_number(0)
            && bytes <= self.peer.message_bytes
            && self.sent.has_room(&self.peer, (0, 0), bytes)
    }

    /// Sends what has no number, if it can go at once. Returns whether it went.
    pub(super) fn volatile(&mut self, payload: P) -> bool {
        let fits = payload.bytes() as u64 <= self.peer.message_bytes;
        if !self.is_up() || !self.writable || !self.queue.is_empty() || !fits {
            self.volatile_dropped = self.volatile_dropped.saturating_add(1);
            return false;
        }
        self.send_beside(Frame::Volatile(payload));
        true
    }

    /// A fresh credential goes to the server.
    pub(super) fn push_credential(&mut self, credential: Credential) {
        self.send_beside(Frame::Credential(credential));
    }

    /// Sends what has no number. Whatever is alone on its way is so no more.
    fn send_beside(&mut self, frame: Frame<P>) {
        if let Some(line) = &mut self.line {
            line.crowded |= line.alone.is_some();
        }
        self.frames.push_back(frame);
    }

    pub(super) fn ask(&mut self, payload: P, deadline: Option<Time>) -> Result<Ask, Rejected<P>> {
        let why = if payload.bytes() as u64 > self.peer.message_bytes {
            Rejection::TooLarge
        } else if self.asks.len() as u64 >= self.peer.requests {
            Rejection::TooManyRequests
        } else if !self.sent.has_number(self.urgent.len() as u64) {
            Rejection::Exhausted
        } else {
            self.last_ask = self.last_ask.saturating_add(1);
            let ask = Ask(self.last_ask);
            let asked = Asked {
                payload: Some(payload),
                place: Place::Waiting,
                deadline,
                behind: self.deliveries,
                over: false,
                again: false,
            };
            self.asks.insert(ask, asked);
            self.next_deadline = Time::earliest(self.next_deadline, deadline);
            self.urgent.push_back(Urgent::Request(ask));
            return Ok(ask);
        };
        Err(Rejected { payload, why })
    }

    pub(super) fn cancel(&mut self, ask: Ask) {
        self.end_early(ask, AskEnd::Cancelled);
    }

    /// The application no longer waits for the answer.
    fn end_early(&mut self, ask: Ask, end: AskEnd<P>) {
        let Some(asked) = self.asks.get_mut(&ask).filter(|asked| !asked.over) else {
            return;
        };
        match asked.place {
            Place::Waiting => {
                self.asks.remove(&ask);
                let is_it =
                    |urgent: &Urgent<P>| matches!(urgent, Urgent::Request(other) if *other == ask);
                self.urgent.retain(|urgent| !is_it(urgent));
            }
            Place::Taken => asked.over = true,
            Place::Numbered(request) => {
                asked.over = true;
                self.urgent.push_back(Urgent::Cancel { request });
            }
        }
        self.put(Output::Answered(ask, end));
    }

    /// The application answers a request.
    pub(super) fn answer(
        &mut self,
        token: Token,
        answer: Answer<P>,
    ) -> Result<(), Rejected<Answer<P>>> {
        let bytes = match &answer {
            Answer::Response(payload) | Answer::Error(payload) => payload.bytes() as u64,
            Answer::Refused(_) => 0,
        };
        if bytes > self.peer.message_bytes {
            // The request stays open: the application answers something smaller.
            return Err(Rejected {
                payload: answer,
                why: Rejection::TooLarge,
            });
        }
        if token.era == self.era && self.incoming.remove(&token.number).is_some() {
            self.told.news = true;
            self.urgent.push_back(Urgent::Answer {
                request: token.number,
                answer,
                behind: self.deliveries,
            });
        }
        Ok(())
    }

    /// The application is done with a message. Returns whether that is news.
    pub(super) fn handled(&mut self, token: Token) -> bool {
        if token.era != self.era {
            return false;
        }
        let Some(bytes) = self.received.handle(token.number) else {
            return false;
        };
        self.told.handled_bytes(bytes);
        self.told.news = true;
        true
    }

    // ----- numbering

    /// The next that may have a number now. For the window it counts as [`Taken`] until it is
    /// [numbered](Self::number).
    pub(super) fn take(&mut self, taken: &Taken) -> Option<Item<P>> {
        self.lacks_room = false;
        match self.has_waiting() {
            true => self.take_waiting(taken),
            false => None,
        }
    }

    fn take_waiting(&mut self, taken: &Taken) -> Option<Item<P>> {
        while self.writable && self.line.is_some() {
            if !self.sent.has_number(taken.items) {
                self.exhausted = self.has_waiting();
                return None;
            }
            match self.urgent_bytes(taken.unconfirmed) {
                None => return self.take_message(taken),
                Some(bytes) if self.is_known_too_large(bytes) => self.refuse_urgent(),
                Some(_) if self.is_behind() && !self.overtakes(taken) => {
                    let message = self.take_message(taken);
                    // Without one, those before it may all have come back.
                    if message.is_some() || self.is_behind() {
                        return message;
                    }
                }
                Some(bytes) => {
                    self.take_ride(bytes)?;
                    let item = self.take_urgent();
                    if item.is_some() {
                        return item;
                    }
                }
            }
        }
        None
    }

    /// Whether messages wait that were sent before the first of what is urgent.
    fn is_behind(&self) -> bool {
        let behind = match self.urgent.front() {
            Some(Urgent::Request(ask)) => self.asks.get(ask).map_or(0, |asked| asked.behind),
            Some(Urgent::Answer { behind, .. }) => *behind,
            Some(Urgent::Cancel { .. }) | None => 0,
        };
        let oldest = self.queue.oldest();
        oldest.is_some_and(|oldest| oldest <= Delivery(behind))
    }

    /// Whether the next message waits for the window, for which what is urgent does not.
    fn overtakes(&self, taken: &Taken) -> bool {
        self.queue.peek().is_some_and(|waiting| {
            let bytes = waiting.payload.bytes() as u64;
            self.is_up() && !self.is_known_too_large(bytes) && !self.next_has_room(taken)
        })
    }

    /// Whether the window has room for the next message, and for those that go together with it.
    fn next_has_room(&self, taken: &Taken) -> bool {
        // It was given room with the first of them.
        if self.queue.peek().is_some_and(|next| next.follows) {
            return true;
        }
        let (messages, bytes) = self.queue.next_group();
        let is_first = taken.messages == 0 && self.sent.messages() == 0;
        let ahead = (
            taken.messages.saturating_add(messages).saturating_sub(1),
            taken.bytes,
        );
        is_first || self.sent.has_room(&self.peer, ahead, bytes)
    }

    fn take_message(&mut self, taken: &Taken) -> Option<Item<P>> {
        while !self.gathering {
            let bytes = self.queue.peek()?.payload.bytes() as u64;
            if self.is_known_too_large(bytes) {
                let waiting = self.queue.pop()?;
                self.come_back(waiting, NotHandled::TooLarge);
                continue;
            }
            if !self.next_has_room(taken) {
                self.lacks_room = true;
                return None;
            }
            self.take_ride(bytes)?;
            let waiting = self.queue.pop()?;
            return Some(Item::Message {
                payload: waiting.payload,
                delivery: Some(waiting.delivery),
                awaited: waiting.mode.awaited,
            });
        }
        None
    }

    /// The bytes of what is urgent and may go now, as far as the limit of what is unconfirmed goes.
    fn urgent_bytes(&self, taken: u64) -> Option<u64> {
        let payload = match self.urgent.front()? {
            Urgent::Request(ask) => {
                let payload = self.asks.get(ask)?.payload.as_ref();
                return Some(payload.map_or(0, |payload| payload.bytes() as u64));
            }
            Urgent::Answer {
                answer: Answer::Response(payload) | Answer::Error(payload),
                ..
            } => Some(payload),
            Urgent::Answer { .. } | Urgent::Cancel { .. } => None,
        };
        let unconfirmed = self.sent.unconfirmed().saturating_add(taken);
        let bytes = payload.map_or(0, |payload| payload.bytes() as u64);
        (unconfirmed < limits::UNCONFIRMED).then_some(bytes)
    }

    fn take_urgent(&mut self) -> Option<Item<P>> {
        Some(match self.urgent.pop_front()? {
            Urgent::Request(ask) => {
                let asked = self.asks.get_mut(&ask)?;
                asked.place = Place::Taken;
                Item::Request {
                    payload: asked.payload.clone()?,
                    ask: Some(ask),
                }
            }
            Urgent::Answer {
                request, answer, ..
            } => Item::Answer { request, answer },
            Urgent::Cancel { request } => Item::Cancel { request },
        })
    }

    /// Whether so many bytes are more than the other end takes. Before its welcome that is not known.
    fn is_known_too_large(&self, bytes: u64) -> bool {
        bytes > self.peer.message_bytes && self.is_up()
    }

    /// Something is to go out: what may ride before the welcome gets less. `None` if it may not.
    fn take_ride(&mut self, bytes: u64) -> Option<()> {
        if let Some((most, most_bytes)) = &mut self.line.as_mut()?.riding {
            let bytes = u32::try_from(bytes).ok()?;
            let rest = most.checked_sub(1).zip(most_bytes.checked_sub(bytes));
            (*most, *most_bytes) = rest?;
        }
        Some(())
    }

    /// All that may have a number now, in order.
    pub(super) fn take_all(&mut self) -> Vec<Item<P>> {
        let mut items = Vec::new();
        let mut taken = Taken::default();
        while let Some(item) = self.take(&taken) {
            taken.add(&item);
            items.push(item);
        }
        items
    }

    /// The first of what is urgent is larger than the other end takes.
    fn refuse_urgent(&mut self) {
        match self.urgent.pop_front() {
            Some(Urgent::Request(ask)) => {
                let again = self.asks.get(&ask).is_some_and(|asked| asked.again);
                let why = NotHandled::TooLarge;
                self.end_ask(ask, unanswered(again, why, Ended::TakenOver));
            }
            Some(Urgent::Answer { request, .. }) => {
                let answer = Answer::Refused(Refusal::Failed);
                self.urgent.push_front(Urgent::Answer {
                    request,
                    answer,
                    behind: 0,
                });
            }
            Some(Urgent::Cancel { .. }) | None => {}
        }
    }

    /// Numbers the messages of the queue that may have a number now, as far as nothing else is to be said of them. Only for
    /// a half that needs no store to number them.
    pub(super) fn number_queue(&mut self) {
        let may_go = self.writable && !self.gathering && self.is_up();
        if !may_go || !self.urgent.is_empty() {
            return;
        }
        while let Some(next) = self.queue.peek() {
            let bytes = next.payload.bytes() as u64;
            let fits = bytes <= self.peer.message_bytes
                && self.sent.has_room(&self.peer, (0, 0), bytes)
                && self.sent.has_number(0);
            // What becomes of one that does not fit is seen when it is taken by itself.
            let Some(waiting) = fits.then(|| self.queue.pop()).flatten() else {
                return;
            };
            self.told.news = true;
            self.sent.push(Item::Message {
                payload: waiting.payload,
                delivery: Some(waiting.delivery),
                awaited: waiting.mode.awaited,
            });
        }
    }

    /// Gives an item its number.
    pub(super) fn number(&mut self, item: Item<P>) {
        let ask = match &item {
            Item::Request { ask, .. } => *ask,
            _ => None,
        };
        let number = self.sent.push(item);
        self.told.news = true;
        let Some(ask) = ask else {
            return;
        };
        if let Some(asked) = self.asks.get_mut(&ask) {
            asked.place = Place::Numbered(number);
            self.by_number.insert(number, ask);
            if asked.over {
                self.urgent.push_back(Urgent::Cancel { request: number });
            }
        }
    }

    /// Everything up to `handled` may be acknowledged.
    pub(super) fn commit(&mut self, now: Time, handled: u64) {
        self.committed = self.committed.max(handled);
        if self.committed > self.told.handled && self.told.due_at.is_none() {
            self.told.due_at = Some(now.after(limits::ACK_DELAY_MS));
        }
    }

    /// Gives memory back that only waits for more to do.
    pub(super) fn release(&mut self) {
        self.sent.release();
        self.received.release();
        self.queue.release();
        release(&mut self.frames);
        release(&mut self.outputs);
        release(&mut self.urgent);
    }

    // ----- the connection

    /// A connection begins. Numbered frames may ride on it before the welcome.
    pub(super) fn ride(&mut self) {
        let riding = (limits::RIDING_MESSAGES as u32, limits::RIDING_BYTES as u32);
        self.line = Some(Line::new(Some(riding)));
    }

    /// The other end takes so much. This end uses no more of it than it takes itself: what is unacknowledged is kept here.
    pub(super) fn set_peer(&mut self, limits: Limits) {
        let own = self.options.limits;
        self.peer = Limits {
            messages: limits.messages.min(own.messages),
            bytes: limits.bytes.min(own.bytes),
            requests: limits.requests.min(own.requests),
            message_bytes: limits.message_bytes,
        };
    }

    /// A new owner takes what was sent to the one before, up to this number, though its own window may be smaller.
    pub(super) const fn take_again(&mut self, sent: u64) {
        self.repeats_to = sent;
    }

    /// Whether a connection can go on on which the other end has everything up to `received`, has sent up to `sent`, can
    /// send again from `first`, and acknowledges up to `handled`.
    pub(super) const fn fits(&self, received: u64, handled: u64, first: u64, sent: u64) -> bool {
        self.sent.base() <= received
            && received <= self.sent.last()
            && handled <= received
            && self.received.received() <= sent
            && first <= self.received.received().saturating_add(1)
    }

    /// The session goes on. With `received`, sending starts again behind that number; without, what rode goes on.
    pub(super) fn resume(&mut self, received: Option<u64>) {
        if let Some(received) = received {
            if received == self.had && received < self.sent.last() {
                self.halved = self.halved.saturating_add(1).min(limits::BATCH_HALVINGS);
            }
            self.had = received;
            // A `g` may have been lost with the last connection.
            self.sent.got(received);
            self.got = self.got.max(received);
            self.sent.rewind(received);
        }
        if let Some(Carried {
            alone: Alone::One(number),
            ..
        }) = self.ended.take()
            && let Some(entry) = self.sent.entry_mut(number)
        {
            // Nothing is blamed for that end, so those before it were not in a row.
            entry.alone = 0;
        }
        self.line = Some(Line::new(None));
    }

    /// The acknowledgement, whether anything is new or not.
    pub(super) fn push_ack(&mut self) {
        let counts = Counts {
            handled: self.committed,
            sent: self.sent.position(),
        };
        self.told();
        self.told.news = false;
        self.frames.push_back(Frame::Ack(counts));
    }

    /// Duties for acknowledgements again that were asked for on an earlier connection.
    pub(super) fn push_awaited(&mut self) {
        if let Some(number) = self.sent.last_awaited() {
            self.frames.push_back(Frame::Awaited(number));
        }
    }

    fn told(&mut self) {
        self.told.tell(self.committed, &self.options.limits);
        if self.committed >= self.received.received() {
            self.told.beyond = 0;
        }
    }

    /// A hello or welcome has told the other end what is handled.
    pub(super) fn has_told(&mut self) {
        self.told();
    }

    /// The connection is gone; `blamed` says that what it carried may have ended it. What is to go out on it still may, in
    /// front of a close.
    pub(super) fn line_ended(&mut self, blamed: bool) {
        self.gathered();
        self.writable = true;
        self.told.awaited = 0;
        let Some(line) = self.line.take() else {
            return;
        };
        let alone = match line.alone {
            _ if line.crowded => Alone::Crowded,
            Some((number, _)) => Alone::One(number),
            None => Alone::Nothing,
        };
        let position = self.sent.position();
        self.ended = Some(Carried { position, alone });
        if blamed {
            self.blame();
        }
    }

    /// What the last connection carried may have ended it.
    pub(super) fn blame(&mut self) {
        let Some(Carried { position, alone }) = self.ended.take() else {
            return;
        };
        if self.suspects <= self.sent.base() {
            self.patience = 0;
        }
        if position > self.sent.base() {
            self.suspects = self.suspects.max(position);
        }
        let number = match alone {
            Alone::One(number) if number > self.sent.base() => number,
            Alone::One(_) | Alone::Nothing => return,
            Alone::Crowded => {
                self.patience = self.patience.saturating_add(1).min(limits::ALONE_DOUBLINGS);
                return;
            }
        };
        let Some(entry) = self.sent.entry_mut(number) else {
            return;
        };
        entry.alone = entry.alone.saturating_add(1);
        if entry.alone >= limits::ALONE {
            self.set_aside(number);
        }
    }

    fn set_aside(&mut self, number: u64) {
        let instead = match self.sent.entry_mut(number).map(|entry| &entry.item) {
            // Its asker must not wait for ever.
            Some(Item::Answer { request, .. }) => Item::Answer {
                request: *request,
                answer: Answer::Refused(Refusal::Failed),
            },
            _ => Item::Free,
        };
        let old = self.sent.replace(number, instead);
        self.replaced.push(number);
        match old {
            Some(Item::Message {
                payload,
                delivery: Some(delivery),
                ..
            }) => {
                let why = Ended::SetAside;
                let end = End::Unknown { payload, why };
                self.put(Output::Settled(delivery, end));
            }
            Some(Item::Request { .. }) => {
                if let Some(ask) = self.by_number.remove(&number) {
                    self.end_ask(ask, AskEnd::Unknown(Ended::SetAside));
                }
            }
            _ => {}
        }
    }

    /// An earlier owner has made the requests with these numbers, and nobody has answered them. They keep their places, and
    /// since nobody waits for the answers any more, they are cancelled.
    pub(super) fn inherit(&mut self, requests: Vec<u64>) {
        for request in requests {
            self.last_ask = self.last_ask.saturating_add(1);
            let ask = Ask(self.last_ask);
            let asked = Asked {
                payload: None,
                place: Place::Numbered(request),
                deadline: None,
                behind: 0,
                over: true,
                again: false,
            };
            self.asks.insert(ask, asked);
            self.by_number.insert(request, ask);
            let is_cancelled = |entry: &Entry<P>| matches!(entry.item, Item::Cancel { request: of } if of == request);
            if !self.sent.upcoming().any(is_cancelled) {
                self.urgent.push_back(Urgent::Cancel { request });
            }
        }
    }

    /// The process that was asked is gone: asks again what is unanswered and will not be repeated.
    pub(super) fn ask_again(&mut self, received: u64) {
        let mut again = Vec::new();
        for (number, ask) in self.by_number.iter() {
            if *number <= received {
                again.push((*number, *ask));
            } else if self.asks.get(ask).is_some_and(|asked| asked.over) {
                // It is sent again. Its cancellation may not be, since the process that is gone may have confirmed it.
                let request = *number;
                self.urgent.push_back(Urgent::Cancel { request });
            }
        }
        for (number, ask) in again {
            self.by_number.remove(&number);
            self.sent.answered(number);
            match self.asks.get_mut(&ask) {
                Some(asked) if !asked.over => {
                    asked.again = true;
                    asked.place = Place::Waiting;
                    self.urgent.push_back(Urgent::Request(ask));
                }
                // Nobody waits for it.
                _ => {
                    self.asks.remove(&ask);
                }
            }
        }
        let numbers = &self.by_number;
        self.urgent.retain(
            |urgent| !matches!(urgent, Urgent::Cancel { request } if !numbers.contains_key(request)),
        );
    }

    pub(super) const fn set_writable(&mut self, writable: bool) {
        self.writable = writable;
    }

    /// From here on what is sent waits for [`gathered`](Self::gathered).
    pub(super) const fn gather(&mut self) {
        if self.line.is_some() && !self.gathering {
            self.gathering = true;
            self.duties.add(Duties::GATHER);
        }
    }

    /// The program's turn is over. Returns whether anything has waited for that.
    pub(super) fn gathered(&mut self) -> bool {
        self.gathering = false;
        self.duties.take(Duties::GATHER);
        self.has_waiting()
    }

    /// Whether anything waits for a number.
    fn has_waiting(&self) -> bool {
        !self.queue.is_empty() || !self.urgent.is_empty()
    }

    /// Whether anything waits for a number, and may get one if there is room.
    pub(super) fn may_take(&self) -> bool {
        self.has_waiting() && !self.gathering && self.writable
    }

    pub(super) const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    pub(super) const fn is_gathering(&self) -> bool {
        self.gathering
    }

    // ----- sending

    /// Puts out what has a number and has not gone out on this connection.
    pub(super) fn transmit(&mut self, now: Time) {
        if self.sent.position() < self.sent.last() || self.lacks_room {
            self.transmit_all(now);
        }
    }

    fn transmit_all(&mut self, now: Time) {
        let mut awaited = 0;
        while self.writable && self.transmit_one(now, &mut awaited) {}
        if awaited > 0 {
            self.push_awaited_up_to(awaited);
        }
        self.ask_for_room();
    }

    /// The other end is to acknowledge this number as soon as it can.
    fn push_awaited_up_to(&mut self, number: u64) {
        self.frames.push_back(Frame::Awaited(number));
        if let Some(line) = &mut self.line {
            line.asked_room = line.asked_room.max(number);
        }
    }

    /// The other end's own rules may acknowledge too late for what waits: it awaits all that is on its way, once.
    pub(super) fn ask_for_room(&mut self) {
        let last = self.sent.last();
        let all_out = self.sent.position() == last && last > self.sent.base();
        if let Some(line) = &mut self.line
            && self.lacks_room
            && all_out
            && line.riding.is_none()
            && line.asked_room < last
        {
            line.asked_room = last;
            self.frames.push_back(Frame::Awaited(last));
        }
    }

    fn transmit_one(&mut self, now: Time, awaited: &mut u64) -> bool {
        let Some(line) = &mut self.line else {
            return false;
        };
        let alone = line.alone.filter(|(number, _)| *number > self.sent.base());
        if alone.is_some_and(|(_, until)| now < until) {
            return false;
        }
        let Some(entry) = self.sent.next() else {
            return false;
        };
        // What has been alone for the longest time is not to blame for what follows.
        line.crowded |= alone.is_some() && self.patience < limits::ALONE_DOUBLINGS;
        line.alone = None;
        let first = self.sent.position().saturating_add(1);
        let suspect = first <= self.suspects && !matches!(entry.item, Item::Free);
        let mut more = 0;
        let frame = match &entry.item {
            Item::Free => Frame::Skip(entry.count),
            Item::Request { payload, .. } => Frame::Request(payload.clone()),
            Item::Answer { request, answer } => Frame::Answer {
                request: *request,
                handled: self.committed,
                answer: answer.clone(),
            },
            Item::Cancel { request } => Frame::Cancel { request: *request },
            Item::Message {
                payload,
                awaited: is_awaited,
                ..
            } => {
                let batch = if suspect {
                    1
                } else {
                    self.sent.batch(self.halved)
                };
                if batch > 1 {
                    let mut messages = Vec::with_capacity(batch);
                    for (number, entry) in (first..).zip(self.sent.upcoming().take(batch)) {
                        if let Item::Message {
                            payload,
                            awaited: is_awaited,
                            ..
                        } = &entry.item
                        {
                            if *is_awaited {
                                *awaited = number;
                            }
                            messages.push(payload.clone());
                        }
                    }
                    more = batch.saturating_sub(1);
                    let handled = (self.committed > self.told.handled).then_some(self.committed);
                    Frame::Batch {
                        first,
                        handled,
                        messages,
                    }
                } else if *is_awaited {
                    Frame::AwaitedMessage(payload.clone())
                } else if self.told.is_due(self.committed, now)
                    && !suspect
                    && payload.bytes() <= limits::BATCH_BYTES
                {
                    // One frame says what two would.
                    Frame::Batch {
                        first,
                        handled: Some(self.committed),
                        messages: Vec::from([payload.clone()]),
                    }
                } else {
                    Frame::Message(payload.clone())
                }
            }
        };
        self.sent.advance();
        self.sent.advance_messages(more);
        // Beside another it is not alone anyway, so it need not wait.
        if suspect && !line.crowded {
            let time = limits::ALONE_MS << self.patience.min(limits::ALONE_DOUBLINGS);
            line.alone = Some((first, now.after(time)));
            *awaited = first;
        }
        if matches!(
            frame,
            Frame::Answer { .. }
                | Frame::Batch {
                    handled: Some(_),
                    ..
                }
        ) {
            self.told();
        }
        self.frames.push_back(frame);
        true
    }

    /// Acknowledges what is due to be.
    pub(super) fn acknowledge(&mut self, now: Time) {
        if self.told.is_due(self.committed, now) {
            self.acknowledge_if_up();
        }
    }

    #[inline(never)]
    fn acknowledge_if_up(&mut self) {
        // What this turn sends takes the acknowledgement along.
        let follows = self.gathering && self.has_waiting();
        if self.writable && self.is_up() && !follows {
            self.push_ack();
        }
    }

    /// Says that answers and cancellations have arrived, when they are many.
    pub(super) fn confirm(&mut self) {
        if u64::from(self.told.beyond) >= limits::GOT_AFTER && self.writable && self.is_up() {
            self.told.beyond = 0;
            if self.committed >= self.received.received() {
                self.push_ack();
            } else {
                self.frames.push_back(Frame::Got(self.received.received()));
            }
        }
    }

    /// Acknowledges at once, if there is anything to say.
    pub(super) fn flush(&mut self) {
        if self.is_up() && (self.told.news || self.committed > self.told.handled) {
            self.push_ack();
        }
    }

    // ----- receiving

    /// A frame has arrived that is not for the half above.
    ///
    /// # Errors
    /// The code with which the connection is to be closed. Nothing of the frame counts.
    pub(super) fn receive(&mut self, frame: Frame<P>) -> Result<(), u16> {
        if let Frame::Message(payload) = frame {
            return self.receive_message(payload);
        }
        let next = self.received.received().saturating_add(1);
        let numbers = frame.numbers();
        if self.received.received().saturating_add(numbers) > MAX_NUMBER {
            return Err(close::OUT_OF_STEP);
        }
        if numbers > 0 {
            self.told.news = true;
        }
        match frame {
            Frame::Batch {
                first,
                handled,
                messages,
            } => {
                if first != next {
                    return Err(close::OUT_OF_STEP);
                }
                let mut bytes = 0_u64;
                for payload in &messages {
                    self.check_size(payload)?;
                    bytes = bytes.saturating_add(payload.bytes() as u64);
                }
                self.check_room(messages.len() as u64, bytes)?;
                if let Some(handled) = handled {
                    self.acknowledged(handled)?;
                }
                for payload in messages {
                    self.received.message(payload);
                }
            }
            Frame::AwaitedMessage(payload) => {
                self.receive_message(payload)?;
                self.told.awaits(self.received.received());
                // What the program sends in answer travels with the acknowledgement.
                self.gather();
            }
            Frame::Skip(count) => self.received.skip(count),
            Frame::Request(payload) => self.request(payload)?,
            Frame::Answer {
                request,
                handled,
                answer,
            } => {
                if let Answer::Response(payload) | Answer::Error(payload) = &answer {
                    self.check_size(payload)?;
                }
                self.acknowledged(handled)?;
                self.beyond();
                self.received.other();
                self.answered(request, answer);
            }
            Frame::Cancel { request } => {
                self.beyond();
                self.received.other();
                if let Some(withdrawn) = self.incoming.get_mut(&request)
                    && !core::mem::replace(withdrawn, true)
                {
                    self.put(Output::Withdrawn(Token {
                        era: self.era,
                        number: request,
                    }));
                }
            }
            Frame::Volatile(payload) => {
                self.check_size(&payload)?;
                let own = self.options.limits;
                let bytes = volatile_bytes(&payload);
                let all = self.volatile_bytes.saturating_add(bytes);
                let fits = self.volatile_bytes == 0 || u64::from(all) <= own.bytes;
                let waiting = self.received.waiting() as u64;
                let inbox = waiting.saturating_add(u64::from(self.inbox));
                if inbox >= own.messages || !fits {
                    self.volatile_dropped = self.volatile_dropped.saturating_add(1);
                } else {
                    self.inbox = self.inbox.saturating_add(1);
                    self.volatile_bytes = all;
                    self.put(Output::Volatile(payload));
                }
            }
            Frame::Ack(counts) => {
                if counts.sent != self.received.received() {
                    return Err(close::OUT_OF_STEP);
                }
                self.acknowledged(counts.handled)?;
            }
            Frame::Got(number) => {
                if number > self.sent.position() {
                    return Err(close::OUT_OF_STEP);
                }
                self.sent.got(number);
                self.got = self.got.max(number);
            }
            Frame::Awaited(number) => {
                if number > self.received.received() {
                    return Err(close::OUT_OF_STEP);
                }
                self.told.awaits(number);
            }
            Frame::Stalled(number) => {
                if number > self.sent.position() {
                    return Err(close::OUT_OF_STEP);
                }
                self.push(Output::StalledThere(number));
            }
            Frame::Credential(_)
            | Frame::Hello(_)
            | Frame::Welcome(_)
            | Frame::End { .. }
            | Frame::Control(_)
            | Frame::Message(_)
            | Frame::Unknown => {}
        }
        Ok(())
    }

    /// As [`receive`](Self::receive), for a message by itself.
    pub(super) fn receive_message(&mut self, payload: P) -> Result<(), u16> {
        if self.received.received() >= MAX_NUMBER {
            return Err(close::OUT_OF_STEP);
        }
        self.check_size(&payload)?;
        if self.received.messages() > 0 {
            self.check_room(1, payload.bytes() as u64)?;
        }
        self.told.news = true;
        self.received.message(payload);
        Ok(())
    }

    /// What an `end` of the other end's means: the code with which to close, and its verdict if that can be.
    pub(super) fn ended_by_peer<'a>(
        &self,
        verdict: &'a Verdict,
        sent: u64,
    ) -> (u16, Option<&'a Verdict>) {
        let sound = verdict.handled <= self.sent.position();
        let code = match sound && sent == self.received.received() {
            true => close::NORMAL,
            false => close::OUT_OF_STEP,
        };
        (code, sound.then_some(verdict))
    }

    fn check_size(&self, payload: &P) -> Result<(), u16> {
        if payload.bytes() as u64 > self.options.limits.message_bytes {
            return Err(close::TOO_LARGE);
        }
        Ok(())
    }

    /// Whether this end's window takes so many messages and bytes more. One message may be larger than the window, when no
    /// other is open.
    #[inline(never)]
    fn check_room(&self, messages: u64, bytes: u64) -> Result<(), u16> {
        let mut own = self.options.limits;
        let riding = self.options.origin.saturating_add(limits::RIDING_MESSAGES);
        if self.received.received() < riding {
            // What rides is sent before this end's window is known.
            own.messages = own.messages.max(limits::RIDING_MESSAGES);
            own.bytes = own.bytes.max(limits::RIDING_BYTES);
        }
        if self.received.received() < self.repeats_to {
            // What is repeated had a number when an earlier owner's window held.
            own.messages = own.messages.max(limits::MESSAGES);
            own.bytes = own.bytes.max(limits::BYTES);
        }
        let alone = messages == 1 && self.received.messages() == 0;
        let fits = self.received.messages().saturating_add(messages) <= own.messages
            && self.received.bytes().saturating_add(bytes) <= own.bytes;
        if alone || fits {
            Ok(())
        } else {
            Err(close::LIMIT)
        }
    }

    fn request(&mut self, payload: P) -> Result<(), u16> {
        self.check_size(&payload)?;
        let most = self.options.limits.requests;
        if self.incoming.len() as u64 >= most {
            let refusals = self.urgent.iter().filter(|urgent| {
                matches!(
                    urgent,
                    Urgent::Answer {
                        answer: Answer::Refused(Refusal::Limit),
                        ..
                    }
                )
            });
            if refusals.count() as u64 > limits::UNCONFIRMED {
                // It does not read the refusals.
                return Err(close::LIMIT);
            }
        }
        let number = match self.received.other() {
            Arrival::New(number) => number,
            // An earlier owner has had it. Its answer is on its way, or there is none.
            Arrival::Done(number) if self.sent.answers(number) => return Ok(()),
            Arrival::Done(number) => number,
        };
        {
            if self.incoming.len() as u64 >= most {
                let answer = Answer::Refused(Refusal::Limit);
                self.urgent.push_back(Urgent::Answer {
                    request: number,
                    answer,
                    behind: 0,
                });
            } else {
                self.incoming.insert(number, false);
                let token = Token {
                    era: self.era,
                    number,
                };
                self.put(Output::Request { token, payload });
            }
        }
        Ok(())
    }

    const fn beyond(&mut self) {
        self.told.beyond = self.told.beyond.saturating_add(1);
    }

    pub(super) fn acknowledged(&mut self, handled: u64) -> Result<(), u16> {
        if handled > self.sent.position() {
            return Err(close::OUT_OF_STEP);
        }
        // Only of what this connection has carried.
        if self.halved > 0 && handled > self.had.max(self.sent.base()) {
            self.halved = self.halved.saturating_sub(1);
        }
        let (outputs, mut run) = (&mut self.outputs, None);
        let after = self.received.received();
        self.sent.acknowledge(handled, |item| {
            if let Item::Message {
                delivery: Some(delivery),
                ..
            } = item
                && let Some(before) = Deliveries::follow(&mut run, *delivery)
            {
                outputs.push_back((after, Output::Handled(before)));
            }
        });
        outputs.extend(run.map(|run| (after, Output::Handled(run))));
        Ok(())
    }

    fn answered(&mut self, request: u64, answer: Answer<P>) {
        let Some(ask) = self.by_number.remove(&request) else {
            return;
        };
        self.sent.answered(request);
        self.replaced.push(request);
        let end = match answer {
            Answer::Response(payload) => AskEnd::Response(payload),
            Answer::Error(payload) => AskEnd::Error(payload),
            Answer::Refused(why) => AskEnd::Refused(why),
        };
        self.end_ask(ask, end);
    }

    fn end_ask(&mut self, ask: Ask, end: AskEnd<P>) {
        if let Some(asked) = self.asks.remove(&ask)
            && !asked.over
        {
            self.put(Output::Answered(ask, end));
        }
    }

    // ----- time

    pub(super) fn timer(&mut self, now: Time) {
        for expired in self.queue.take_expired(now) {
            self.come_back(expired, NotHandled::TimeToLive);
        }
        if self.next_deadline.is_some_and(|at| at <= now) {
            self.time_out(now);
        }
        while let Some(number) = self.received.stalled(now) {
            let token = Token {
                era: self.era,
                number,
            };
            self.put(Output::StalledHere(token));
            if self.is_up() {
                self.frames.push_back(Frame::Stalled(number));
            }
        }
    }

    fn time_out(&mut self, now: Time) {
        self.next_deadline = None;
        let mut late = Vec::new();
        for (ask, asked) in self.asks.iter() {
            match asked.deadline.filter(|_| !asked.over) {
                Some(at) if at <= now => late.push(*ask),
                deadline => self.next_deadline = Time::earliest(self.next_deadline, deadline),
            }
        }
        for ask in late {
            self.end_early(ask, AskEnd::TimedOut);
        }
    }

    #[inline(never)]
    fn come_back(&mut self, waiting: Waiting<P>, why: NotHandled) {
        let end = End::NotHandled {
            payload: waiting.payload,
            why,
        };
        self.put(Output::Settled(waiting.delivery, end));
    }

    // ----- the end of an epoch

    /// The epoch is over. What had a number ends by the verdict, or as unknown without one. What had none stays if
    /// `keep`, and otherwise comes back. A new epoch begins.
    pub(super) fn settle(&mut self, why: Ended, verdict: Option<&Verdict>, keep: bool) {
        for (number, item) in self.sent.take_all() {
            if let Item::Message {
                payload,
                delivery: Some(delivery),
                ..
            } = item
            {
                let end = match verdict {
                    Some(verdict) if verdict.was_handled(number) => {
                        let one = Deliveries::one(delivery);
                        self.put(Output::Handled(one));
                        continue;
                    }
                    Some(verdict) if number > verdict.given => End::NotHandled {
                        payload,
                        why: NotHandled::Session(why),
                    },
                    _ => End::Unknown { payload, why },
                };
                self.put(Output::Settled(delivery, end));
            }
        }
        let asks: Vec<(Ask, Place, bool)> = self
            .asks
            .iter()
            .map(|(ask, asked)| (*ask, asked.place, asked.again))
            .collect();
        for (ask, place, again) in asks {
            let was_given = match place {
                Place::Waiting if keep && !again => continue,
                Place::Waiting => false,
                Place::Numbered(number) => verdict.is_none_or(|verdict| number <= verdict.received),
                Place::Taken => true,
            };
            let end = unanswered(was_given || again, NotHandled::Session(why), why);
            self.end_ask(ask, end);
        }
        let asks = &self.asks;
        self.urgent
            .retain(|urgent| matches!(urgent, Urgent::Request(ask) if asks.contains_key(ask)));
        if !keep {
            while let Some(waiting) = self.queue.pop() {
                self.come_back(waiting, NotHandled::Session(why));
            }
        }
        let era = self.era;
        for (number, withdrawn) in self.incoming.take() {
            if !withdrawn {
                self.put(Output::Withdrawn(Token { era, number }));
            }
        }
        let origin = self.options.origin;
        self.begin(Sent::new(origin), Received::new(origin, Vec::new()));
    }

    /// Items that were taken have ended. If the store has refused them, they never had a number; otherwise nobody knows, and
    /// requests end with the session.
    pub(super) fn settle_taken(&mut self, items: Vec<Item<P>>, why: Ended, refused: bool) {
        let not = NotHandled::Session(why);
        for item in items {
            match item {
                Item::Message {
                    payload,
                    delivery: Some(delivery),
                    ..
                } => {
                    let end = match refused {
                        true => End::NotHandled { payload, why: not },
                        false => End::Unknown { payload, why },
                    };
                    self.put(Output::Settled(delivery, end));
                }
                Item::Request { ask: Some(ask), .. } if refused => {
                    self.end_ask(ask, AskEnd::NotHandled(not));
                }
                _ => {}
            }
        }
    }

    /// Goes on from here.
    pub(super) fn begin(&mut self, sent: Sent<P>, received: Received<P>) {
        self.give_first();
        self.era = self.era.saturating_add(1);
        self.by_number.clear();
        self.committed = received.handled();
        self.told = Told::new(self.committed, &self.options.limits);
        self.sent = sent;
        self.received = received;
        self.suspects = 0;
        self.ended = None;
        self.exhausted = false;
        self.repeats_to = 0;
        self.had = self.sent.base();
        self.replaced.clear();
        self.got = 0;
    }

    /// After the end of a session another one begins, perhaps with another server.
    pub(super) fn restart(&mut self) {
        self.peer = BEFORE_WELCOME;
        self.patience = 0;
        self.lacks_room = false;
    }

    /// What has arrived is given before anything of the next epoch.
    fn give_first(&mut self) {
        let waiting = u32::try_from(self.received.waiting()).unwrap_or(u32::MAX);
        let (inbox, bytes) = (self.inbox.saturating_add(waiting), self.volatile_bytes);
        let mut first = VecDeque::new();
        while let Some(output) = self.poll_output(Time::default()) {
            first.push_back((0, output));
        }
        (self.outputs, self.inbox, self.volatile_bytes) = (first, inbox, bytes);
    }

    /// What is said of this epoch when it is over. What was not given is not given any more, since the other end may be
    /// told so.
    pub(super) fn verdict(&mut self) -> Verdict {
        let mut verdict = self.received.verdict();
        let (era, incoming) = (self.era, &mut self.incoming);
        let floor = self.received.floor();
        self.received.withhold();
        self.outputs.retain(|(_, output)| match output {
            Output::Message { .. } | Output::Volatile(_) => false,
            Output::Request { token, .. } => {
                if token.era == era {
                    incoming.remove(&token.number);
                    let before = token.number.saturating_sub(1).max(floor);
                    verdict.received = verdict.received.min(before);
                }
                false
            }
            _ => true,
        });
        self.inbox = 0;
        self.volatile_bytes = 0;
        verdict
    }

    // ----- outputs

    /// What waits and means nothing any more beside it goes, so that nobody can pile it up.
    pub(super) fn push(&mut self, output: Output<P>) {
        let same = |(_, old): &&mut (u64, Output<P>)| {
            matches!(
                (old, &output),
                (Output::Credential(_), Output::Credential(_))
                    | (Output::StalledThere(_), Output::StalledThere(_))
            )
        };
        let waiting = self.received.last_waiting();
        let old = match output {
            Output::Open(Opened::Resumed { .. }) => {
                self.outputs.back_mut().filter(|(after, last)| {
                    let is_last = waiting.is_none_or(|waiting| waiting <= *after);
                    is_last && matches!(last, Output::Open(Opened::Resumed { .. }))
                })
            }
            Output::Credential(_) | Output::StalledThere(_) => self.outputs.iter_mut().find(same),
            Output::Dropped(more) => {
                let is_it = |(_, old): &&mut (u64, Output<P>)| matches!(old, Output::Dropped(_));
                if let Some((_, Output::Dropped(count))) = self.outputs.iter_mut().find(is_it) {
                    *count = count.saturating_add(more);
                    return;
                }
                None
            }
            _ => None,
        };
        match old {
            Some((_, old)) => *old = output,
            None => self.put(output),
        }
    }

    /// A session is lost. What the one before has left unread goes, or each loss would add a window to it.
    pub(super) fn drop_unread(&mut self) {
        let era = self.era;
        let (mut messages, mut requests) = (0_u32, Vec::new());
        self.outputs.retain(|(_, output)| match output {
            Output::Message { token, .. } if token.era < era => {
                messages = messages.saturating_add(1);
                false
            }
            Output::Request { token, .. } if token.era < era => {
                requests.push(*token);
                false
            }
            // It follows its request.
            Output::Withdrawn(token) => !requests.contains(token),
            _ => true,
        });
        self.inbox = self.inbox.saturating_sub(messages);
        let dropped = u64::from(messages).saturating_add(requests.len() as u64);
        if dropped > 0 {
            self.push(Output::Dropped(dropped));
        }
        // Of losses in a row one is enough.
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for output in core::mem::take(&mut self.outputs) {
            outputs.push(output);
            if let [
                ..,
                (_, Output::Lost(_)),
                (_, Output::Open(_)),
                (_, Output::Lost(_)),
            ] = outputs.as_slice()
            {
                outputs.truncate(outputs.len().saturating_sub(2));
            }
        }
        self.outputs = outputs.into();
    }

    /// Hands out behind all that has arrived.
    fn put(&mut self, output: Output<P>) {
        self.outputs.push_back((self.received.received(), output));
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outputs.is_empty() || self.received.waiting() > 0
    }

    /// The next for the application.
    pub(super) fn poll_output(&mut self, now: Time) -> Option<Output<P>> {
        if let Some((after, _)) = self.outputs.front()
            && self.received.next().is_none_or(|next| next > *after)
        {
            return self.poll_beside();
        }
        let (number, payload) = self.received.give(now)?;
        let era = self.era;
        let token = Token { era, number };
        Some(Output::Message { token, payload })
    }

    /// Takes a message back that still has no number.
    pub(super) fn withdraw(&mut self, delivery: Delivery) -> Option<P> {
        self.queue.remove(delivery).map(|waiting| waiting.payload)
    }

    pub(super) fn has_notice(&self) -> bool {
        self.outputs.len() > self.inbox as usize
    }

    /// The next for the application but messages, which stay.
    pub(super) fn poll_notice(&mut self) -> Option<Output<P>> {
        if !self.has_notice() {
            return None;
        }
        // Usually the first: messages that are not read are followed by few notices.
        let is_notice = |(_, output): &(u64, Output<P>)| !is_message(output);
        let at = self.outputs.iter().position(is_notice)?;
        let (_, output) = self.outputs.remove(at)?;
        Some(output)
    }

    /// The next for the application, if that is a message.
    pub(super) fn poll_message(&mut self, now: Time) -> Option<Output<P>> {
        let notice_is_next = self.outputs.front().is_some_and(|(after, output)| {
            !is_message(output) && self.received.next().is_none_or(|next| next > *after)
        });
        match notice_is_next {
            true => None,
            false => self.poll_output(now),
        }
    }

    #[inline(never)]
    fn poll_beside(&mut self) -> Option<Output<P>> {
        let (_, output) = self.outputs.pop_front()?;
        match &output {
            Output::Message { .. } => self.inbox = self.inbox.saturating_sub(1),
            Output::Volatile(payload) => {
                self.inbox = self.inbox.saturating_sub(1);
                let bytes = volatile_bytes(payload);
                self.volatile_bytes = self.volatile_bytes.saturating_sub(bytes);
            }
            _ => {}
        }
        Some(output)
    }
}

const fn is_message<P>(output: &Output<P>) -> bool {
    matches!(output, Output::Message { .. } | Output::Volatile(_))
}
