//! The server's half.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::exchange::{Duties, Exchange, Options, release};
use super::frame::{Answer, Frame, Hello, Key, Limits, Lost, Outcome, Verdict, Welcome, Why};
use super::received::Received;
use super::sent::Item;
use super::store::{Claim, Finish, Found, Identity, Opening, Question, Reply, Step, Ticket};
use super::types::{
    Ask, Delivery, Ended, Opened, Output, Payload, Rejected, Rejection, SendMode, Token,
};
use super::{close, limits};
use crate::Time;
use crate::control::Window;

/// The options of the server's half. All sessions of a server may share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerOptions {
    /// Those of both halves.
    pub both: Arc<Options>,
    /// How long a session outlives its connection, in milliseconds.
    pub window_ms: u64,
    /// At most so many milliseconds pass between two messages of the server, if it beats.
    pub beat_ms: Option<u64>,
    /// When to come back after a loss that may concern everybody.
    pub back: Option<Window>,
    /// How long the store has for an answer before it is asked again, in milliseconds.
    pub store_timeout_ms: u64,
}

impl Default for ServerOptions {
    /// The defaults of the specification, with 5 s for an answer of the store.
    fn default() -> Self {
        Self {
            both: Arc::default(),
            window_ms: limits::WINDOW_MS,
            beat_ms: None,
            back: None,
            store_timeout_ms: 5_000,
        }
    }
}

/// A half's tickets begin at a random number of 53 bits, with room for these behind it.
const TICKET_BITS: u32 = 11;

/// How often a store is asked the same before the session is given up here.
const STORE_TRIES: u32 = 3;

/// Identifies a connection. The driver never uses a number again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// A connection whose client has not been let in: it waits for the hello, and keeps what rides behind it.
///
/// The driver passes it each frame, then lets the client in or closes the connection, and then gives it to the
/// [`Server`] of the session.
#[derive(Debug, Clone)]
pub struct Arrival<P> {
    hello: Option<Hello>,
    riding: Vec<Frame<P>>,
    numbers: u64,
    bytes: u64,
    origin: u64,
    /// When the connection was made.
    made: Time,
}

impl<P: Payload> Arrival<P> {
    /// A connection that has just been made: the time is that of the handshake, before which no hello can have been sent.
    #[must_use]
    pub const fn new(now: Time, options: &Options) -> Self {
        Self {
            hello: None,
            riding: Vec::new(),
            numbers: 0,
            bytes: 0,
            origin: options.origin,
            made: now,
        }
    }

    /// The hello, once it has arrived. Its key names the session, and its credential says who the client is.
    #[must_use]
    pub const fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// When the connection is to be closed with [`close::NO_HELLO`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.hello {
            Some(_) => None,
            None => Some(self.made.after(limits::HELLO_MS)),
        }
    }

    /// A frame has arrived. Returns whether it is the hello.
    ///
    /// # Errors
    /// The code with which the connection is to be closed.
    pub fn receive(&mut self, frame: Frame<P>) -> Result<bool, u16> {
        match (frame, &self.hello) {
            (Frame::Control(_) | Frame::Unknown, _) => return Ok(false),
            (Frame::Hello(hello), None) => {
                self.hello = Some(*hello);
                return Ok(true);
            }
            (Frame::Hello(_) | Frame::Welcome(_), _) | (_, None) => return Err(close::NO_HELLO),
            (frame, Some(hello)) => {
                let may_ride = frame.numbers() > 0 || matches!(frame, Frame::Awaited(_));
                if hello.epoch != 0 || hello.sent != self.origin || !may_ride {
                    return Err(close::LIMIT);
                }
                let mut bytes = self.bytes;
                for size in payload_bytes(&frame) {
                    bytes = bytes.saturating_add(size);
                }
                let numbers = self.numbers.saturating_add(frame.numbers());
                let frames = self.riding.len() as u64;
                // Frames without numbers must not pile up either.
                let most = limits::RIDING_MESSAGES;
                if numbers > most
                    || bytes > limits::RIDING_BYTES
                    || frames >= most.saturating_mul(2)
                {
                    return Err(close::LIMIT);
                }
                (self.numbers, self.bytes) = (numbers, bytes);
                self.riding.push(frame);
            }
        }
        Ok(false)
    }
}

fn payload_bytes<P: Payload>(frame: &Frame<P>) -> impl Iterator<Item = u64> {
    let (one, many) = match frame {
        Frame::Message(payload)
        | Frame::AwaitedMessage(payload)
        | Frame::Request(payload)
        | Frame::Volatile(payload) => (Some(payload), &[][..]),
        Frame::Answer {
            answer: Answer::Response(payload) | Answer::Error(payload),
            ..
        } => (Some(payload), &[][..]),
        Frame::Batch { messages, .. } => (None, messages.as_slice()),
        _ => (None, &[][..]),
    };
    one.into_iter()
        .chain(many)
        .map(|payload| payload.bytes() as u64)
}

/// What the driver has to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEffect<P> {
    /// Send this frame.
    Transmit(Connection, Frame<P>),
    /// Close this connection with this code. Whatever else arrives on it means nothing.
    Close(Connection, u16),
    /// Ask the store, and pass its answer to [`Server::answered`].
    Ask(Ticket, Box<Question<P>>),
    /// Call [`Server::gathered`] when the program's turn of the event loop is over.
    Gather,
}

/// Messages that wait for the last of what they have led to.
#[derive(Debug, Clone, Default)]
struct Ties(VecDeque<(Delivery, Token)>);

/// A client that was let in, and wants the session.
#[derive(Debug, Clone)]
struct Claiming<P> {
    connection: Connection,
    arrival: Arrival<P>,
    hello: Hello,
    identity: Identity,
    may_resume: bool,
    new_epoch: u64,
    /// Its connection has ended.
    gone: bool,
}

/// A question to the store that is not answered.
#[derive(Debug, Clone)]
struct Pending<P> {
    ticket: Ticket,
    question: Question<P>,
    deadline: Time,
    tries: u32,
}

/// What the store has been told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    handled: u64,
    also: Vec<(u64, u64)>,
    acknowledged: u64,
    got: u64,
}

impl Told {
    /// Of an epoch that has just begun.
    const fn new(origin: u64) -> Self {
        Self {
            handled: origin,
            also: Vec::new(),
            acknowledged: origin,
            got: 0,
        }
    }
}

/// The server's half of one session, for as long as its process owns it. The [module](super) describes how to drive it.
#[derive(Debug, Clone)]
pub struct Server<P> {
    options: Arc<ServerOptions>,
    key: Key,
    exchange: Exchange<P>,
    epoch: u64,
    /// The generation in which this half owns the session.
    owner: Option<u64>,
    owner_in_epoch: u64,
    line: Option<Connection>,
    /// The last connection that this half has closed for what arrived on it.
    failed: Option<Connection>,
    /// When the connection was lost.
    lost_at: Option<Time>,
    // In boxes, since an idle session has none of them.
    claim: Option<Box<Claiming<P>>>,
    next: Option<Box<Claiming<P>>>,
    pending: Option<Box<Pending<P>>>,
    tickets: u64,
    steps: u64,
    told: Told,
    /// When the store was last told anything.
    renewed: Time,
    /// Something of the epoch has arrived, and the store has not been told.
    confirmed: Option<bool>,
    /// The session is over, and the store is to be told.
    finish: Option<Box<(Option<Why>, Option<Verdict>)>>,
    /// What rode behind a hello that may be older than the server's memory, until its client acknowledges the welcome.
    held: Option<Box<Arrival<P>>>,
    /// Messages that are handled when what they have led to is numbered: that is up to this one of this end's.
    ties: Option<Box<Ties>>,
    /// This half is of no more use.
    over: bool,
    effects: VecDeque<ServerEffect<P>>,
}

impl<P: Payload> Server<P> {
    /// The half of the session that this key names. It begins with the first [`attach`](Self::attach).
    #[must_use]
    pub fn new(key: Key, options: impl Into<Arc<ServerOptions>>) -> Self {
        let options = options.into();
        let origin = options.both.origin;
        Self {
            key,
            exchange: Exchange::new(Arc::clone(&options.both)),
            options,
            epoch: 0,
            owner: None,
            owner_in_epoch: 0,
            line: None,
            failed: None,
            lost_at: None,
            claim: None,
            next: None,
            pending: None,
            tickets: 0,
            steps: 0,
            told: Told::new(origin),
            renewed: Time::default(),
            confirmed: None,
            finish: None,
            held: None,
            ties: None,
            over: false,
            effects: VecDeque::new(),
        }
    }

    // ----- questions

    /// The session's key.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// The generation in which this half owns the session, if it does.
    #[must_use]
    pub const fn owner(&self) -> Option<u64> {
        self.owner
    }

    /// The epoch; 0 if there is no session.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a client is connected.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// Whether the driver can drop it: the session is over, and nobody asks for it. Its outputs are to be taken first.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over && self.claim.is_none() && self.next.is_none() && self.pending.is_none()
    }

    /// Messages that wait without a number, and their bytes.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        self.exchange.queued()
    }

    /// Messages that have a number and are not acknowledged, and their bytes.
    #[must_use]
    pub const fn unacknowledged(&self) -> (u64, u64) {
        (self.exchange.sent.messages(), self.exchange.sent.bytes())
    }

    /// Whether every message that was sent is acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.queued().0 == 0 && self.unacknowledged().0 == 0 && !self.is_being_numbered()
    }

    /// Whether the store is asked to number what is to be sent.
    fn is_being_numbered(&self) -> bool {
        self.pending.as_ref().is_some_and(
            |pending| matches!(&pending.question, Question::Step(step) if !step.sends.is_empty()),
        )
    }

    /// Whether what has arrived waits until the client acknowledges the welcome, for tests.
    #[doc(hidden)]
    #[must_use]
    pub const fn holds_back(&self) -> bool {
        self.held.is_some()
    }

    /// Everything that is kept, for tests of its bounds.
    #[doc(hidden)]
    #[must_use]
    pub fn kept(&self) -> usize {
        self.exchange.kept().saturating_add(self.effects.len())
    }

    /// When [`timer`](Self::timer) is to be called.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        let window = self.lost_at.map(|at| at.after(self.options.window_ms));
        let window = window.filter(|_| self.pending.is_none() && self.finish.is_none());
        let store = self.pending.as_ref().map(|pending| pending.deadline);
        let lease = self.lease();
        let lease = lease.filter(|_| self.pending.is_none());
        Time::earliest(
            Time::earliest(self.exchange.next_timer(None), window),
            Time::earliest(store, lease),
        )
    }

    /// When the store needs a sign of life.
    fn lease(&self) -> Option<Time> {
        let half = self.options.window_ms.div_ceil(2).max(1);
        let lives = self.owner.is_some() && self.epoch != 0 && self.finish.is_none();
        lives.then(|| self.renewed.after(half))
    }

    // ----- connections

    /// A client was let in that wants this session. `new_epoch` is a random number from 1 to
    /// [`MAX_NUMBER`](super::MAX_NUMBER). `may_resume` says whether it may have a session that is there already.
    pub fn attach(
        &mut self,
        now: Time,
        connection: Connection,
        arrival: Arrival<P>,
        identity: Identity,
        may_resume: bool,
        new_epoch: u64,
    ) {
        let Some(hello) = arrival.hello.clone() else {
            self.effects
                .push_back(ServerEffect::Close(connection, close::NO_HELLO));
            return;
        };
        let claiming = Box::new(Claiming {
            connection,
            arrival,
            hello,
            identity,
            may_resume,
            new_epoch: new_epoch.clamp(1, super::MAX_NUMBER),
            gone: false,
        });
        // Those of somebody else are not compared: the store refuses them.
        match &mut self.next {
            Some(waiting) if waiting.identity != claiming.identity => {
                let code = close::NO_ROOM;
                self.effects
                    .push_back(ServerEffect::Close(connection, code));
            }
            Some(waiting) if waiting.hello.attempt >= claiming.hello.attempt => {
                self.effects
                    .push_back(ServerEffect::Close(connection, close::STALE));
            }
            Some(waiting) => {
                let older = core::mem::replace(waiting, claiming);
                if !older.gone {
                    let code = close::SUPERSEDED;
                    self.effects
                        .push_back(ServerEffect::Close(older.connection, code));
                }
            }
            None => self.next = Some(claiming),
        }
        self.advance(now);
    }

    /// A frame has arrived on a connection that was attached. On one that no longer counts it does nothing.
    pub fn receive(&mut self, now: Time, connection: Connection, frame: Frame<P>) {
        if self.line == Some(connection) {
            self.receive_behind_held(connection, frame);
        } else {
            let claims = [&mut self.claim, &mut self.next];
            let claim = claims
                .into_iter()
                .flatten()
                .find(|claim| claim.connection == connection && !claim.gone);
            if let Some(claim) = claim
                && let Err(code) = claim.arrival.receive(frame)
            {
                claim.gone = true;
                self.effects
                    .push_back(ServerEffect::Close(connection, code));
            }
        }
        self.advance(now);
    }

    /// A client that is there acknowledges the welcome. A hello that was longer on its way than its client waited has
    /// none, and what rode behind it may have been given already.
    fn receive_behind_held(&mut self, connection: Connection, frame: Frame<P>) {
        if let Some(mut held) = self.held.take() {
            match frame {
                Frame::Ack(_) => self.receive_riding(connection, held.riding),
                Frame::End { .. } | Frame::Credential(_) => self.held = Some(held),
                frame => {
                    match held.receive(frame) {
                        Ok(_) => self.held = Some(held),
                        Err(code) => self.fail(connection, code),
                    }
                    return;
                }
            }
            if self.line != Some(connection) {
                return;
            }
        }
        self.receive_on_line(connection, frame);
    }

    fn receive_on_line(&mut self, connection: Connection, frame: Frame<P>) {
        match frame {
            Frame::Control(_) | Frame::Unknown => return,
            Frame::Hello(_) | Frame::Welcome(_) => {
                self.fail(connection, close::NO_HELLO);
                return;
            }
            Frame::Credential(credential) => self.exchange.push(Output::Credential(credential)),
            Frame::End { verdict, sent } => {
                let (code, verdict) = self.exchange.ended_by_peer(&verdict, sent);
                self.effects
                    .push_back(ServerEffect::Close(connection, code));
                self.end(None, Ended::ByPeer, verdict, None);
                return;
            }
            frame => {
                match self.exchange.receive(frame) {
                    Ok(()) => {}
                    Err(close::OUT_OF_STEP) => {
                        self.effects
                            .push_back(ServerEffect::Close(connection, close::OUT_OF_STEP));
                        // Which number belongs to which message, nobody knows any more.
                        self.exchange.verdict();
                        let why = Why::OutOfStep;
                        self.end(Some(why), Ended::Lost(why), None, None);
                        return;
                    }
                    Err(code) => {
                        self.fail(connection, code);
                        return;
                    }
                }
            }
        }
        self.confirmed.get_or_insert(true);
    }

    /// Something has arrived that [`read`](super::frame::read) refuses.
    pub fn receive_malformed(&mut self, now: Time, connection: Connection) {
        if self.line == Some(connection) {
            self.fail(connection, close::MALFORMED);
        } else {
            self.effects
                .push_back(ServerEffect::Close(connection, close::MALFORMED));
            self.claim_gone(connection);
        }
        self.advance_at(now, true);
    }

    /// A connection has ended with the code of the other end's Close; 1006 if there was none.
    pub fn closed(&mut self, now: Time, connection: Connection, code: u16) {
        if self.line == Some(connection) {
            self.lose_line(close::blames_messages(code));
        } else if self.line.is_none()
            && self.failed == Some(connection)
            && close::blames_messages(code)
        {
            // This end has closed as well, for a reason of its own. The same code may be its echo, but both may have found
            // the same, and without blame they would find it again for ever.
            self.exchange.blame();
        }
        self.claim_gone(connection);
        self.advance_at(now, true);
        self.release();
    }

    fn claim_gone(&mut self, connection: Connection) {
        for claim in [&mut self.claim, &mut self.next].into_iter().flatten() {
            if claim.connection == connection {
                claim.gone = true;
            }
        }
    }

    /// Whether the connection takes more at the moment.
    pub fn set_writable(&mut self, now: Time, connection: Connection, writable: bool) {
        if self.line == Some(connection) {
            self.exchange.set_writable(writable);
            self.advance(now);
        }
    }

    /// The program's turn of the event loop is over.
    pub fn gathered(&mut self, now: Time) {
        if self.exchange.gathered() {
            self.advance(now);
        }
    }

    /// A beat is about to be sent: tells the client how far this end is, if there is news.
    pub fn flush(&mut self, now: Time) {
        self.exchange.flush();
        self.advance(now);
        self.release();
    }

    /// Gives memory back that only waits for more to do.
    fn release(&mut self) {
        self.exchange.release();
        release(&mut self.effects);
    }

    /// The time of [`next_timer`](Self::next_timer) has come. Calling it at any other time does no harm.
    pub fn timer(&mut self, now: Time) {
        self.exchange.timer(now);
        self.advance_at(now, true);
        // Whoever is busy acknowledges before its time has come.
        self.release();
    }

    // ----- the application

    /// Sends a message. Without a connection it waits for one.
    ///
    /// # Errors
    /// If it is not accepted. It comes back.
    pub fn send(&mut self, now: Time, payload: P, mode: SendMode) -> Result<Delivery, Rejected<P>> {
        if self.epoch == 0 {
            let why = Rejection::Closed;
            return Err(Rejected { payload, why });
        }
        let sent = self.exchange.send(payload, mode)?;
        if !self.exchange.is_gathering() {
            self.advance(now);
            self.exchange.gather();
        }
        Ok(sent)
    }

    /// Sends a message that is dropped if it cannot go at once. Returns whether it went.
    pub fn send_volatile(&mut self, now: Time, payload: P) -> bool {
        let went = self.exchange.volatile(payload);
        self.advance(now);
        went
    }

    /// Makes a request, which ends as timed out at `deadline`.
    ///
    /// # Errors
    /// If it is not accepted. It comes back.
    pub fn ask(
        &mut self,
        now: Time,
        payload: P,
        deadline: Option<Time>,
    ) -> Result<Ask, Rejected<P>> {
        if self.epoch == 0 {
            let why = Rejection::Closed;
            return Err(Rejected { payload, why });
        }
        let ask = self.exchange.ask(payload, deadline)?;
        self.advance(now);
        Ok(ask)
    }

    /// The answer to a request is no longer wanted: it ends as cancelled, unless it has ended.
    pub fn cancel(&mut self, now: Time, ask: Ask) {
        self.exchange.cancel(ask);
        self.advance(now);
    }

    /// Answers a request of the client's. The second answer does nothing, nor does one to a session that is over.
    ///
    /// # Errors
    /// If the answer is larger than the other end takes. The request stays open.
    pub fn answer(
        &mut self,
        now: Time,
        token: Token,
        answer: Answer<P>,
    ) -> Result<(), Rejected<Answer<P>>> {
        self.exchange.answer(token, answer)?;
        self.advance(now);
        Ok(())
    }

    /// The application is done with a message. A second call does nothing, nor one for a session that is over.
    pub fn handled(&mut self, now: Time, token: Token) {
        if self.exchange.handled(token) {
            self.advance(now);
        }
    }

    /// The application is done with a message, and what it has led to is sent: both are one step of the store, so that
    /// another owner either has the answers, or the message. Until then the message counts as not handled.
    ///
    /// # Errors
    /// If what is sent is not accepted. It comes back, and the message is not handled.
    pub fn commit(
        &mut self,
        now: Time,
        token: Token,
        payloads: Vec<P>,
    ) -> Result<(), Rejected<Vec<P>>> {
        if self.epoch == 0 {
            return Err(Rejected {
                payload: payloads,
                why: Rejection::Closed,
            });
        }
        let last = self.exchange.send_together(payloads)?;
        // What was committed before goes before.
        let before = self.ties.as_ref().and_then(|ties| ties.0.back());
        match last.or(before.map(|(before, _)| *before)) {
            Some(last) => self.ties.get_or_insert_default().0.push_back((last, token)),
            None => {
                self.exchange.handled(token);
            }
        }
        if last.is_none() {
            self.advance(now);
        } else if !self.exchange.is_gathering() {
            self.advance(now);
            self.exchange.gather();
        }
        Ok(())
    }

    /// Those are handled whose answers have been taken to be numbered.
    fn handle_tied(&mut self) {
        let Some(ties) = &mut self.ties else {
            return;
        };
        while let Some((last, token)) = ties.0.front().copied() {
            if self.exchange.waits(last) {
                break;
            }
            ties.0.pop_front();
            self.exchange.handled(token);
        }
        if ties.0.is_empty() {
            self.ties = None;
        }
    }

    /// Ends the session at once. What is not acknowledged ends as unknown.
    pub fn end_session(&mut self, now: Time) {
        if self.epoch != 0 {
            self.end_here(Ended::Closed);
            self.advance(now);
        }
    }

    fn end_here(&mut self, why: Ended) {
        let verdict = self.exchange.verdict();
        if let Some(connection) = self.line {
            let sent = self.exchange.sent.position();
            let end = Frame::End {
                verdict: verdict.clone(),
                sent,
            };
            self.effects
                .push_back(ServerEffect::Transmit(connection, end));
            self.effects
                .push_back(ServerEffect::Close(connection, close::NORMAL));
        }
        self.end(None, why, None, Some(verdict));
    }

    /// Gives the session up, for example because more waits for its client than the application wants to keep
    /// ([`Why::Full`]). The client learns the reason when it comes back.
    pub fn lose(&mut self, now: Time, why: Why) {
        if self.epoch == 0 {
            return;
        }
        let verdict = self.exchange.verdict();
        if let Some(connection) = self.line {
            self.effects
                .push_back(ServerEffect::Close(connection, close::LOST));
        }
        self.end(Some(why), Ended::Lost(why), None, Some(verdict));
        self.advance(now);
    }

    // ----- outputs

    /// What the driver has to do next.
    pub fn poll_effect(&mut self) -> Option<ServerEffect<P>> {
        let effect = self.effects.pop_front();
        effect.or_else(|| {
            let gathers = self.exchange.duties.take(Duties::GATHER);
            gathers.then_some(ServerEffect::Gather)
        })
    }

    /// What the application gets next. A message is given by this call: whatever follows, it is not given again.
    pub fn poll_output(&mut self, now: Time) -> Option<Output<P>> {
        self.exchange.poll_output(now)
    }

    /// Likewise, but messages stay: for an application that reads them with [`poll_message`](Self::poll_message) when it is
    /// ready, and has to learn meanwhile what becomes of its own.
    pub fn poll_notice(&mut self) -> Option<Output<P>> {
        self.exchange.poll_notice()
    }

    /// The next message, a volatile one included, if no notice comes before it.
    pub fn poll_message(&mut self, now: Time) -> Option<Output<P>> {
        self.exchange.poll_message(now)
    }

    /// Whether there is anything for the application.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.exchange.has_output()
    }

    /// What this end takes.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.exchange.options.limits
    }

    // ----- the store

    /// The store has answered. An answer to anything but the last question does nothing.
    pub fn answered(&mut self, now: Time, ticket: Ticket, reply: Reply<P>) {
        let Some(pending) = self.pending.take_if(|pending| pending.ticket == ticket) else {
            return;
        };
        match pending.question {
            Question::Open(_) => self.opened(now, reply),
            Question::Step(step) => self.stepped(now, step, reply),
            Question::Finish(_) => {
                // Fenced, gone or finished: it is no longer this half's.
                self.finish = None;
                self.reset();
            }
        }
        self.advance_at(now, true);
    }

    fn ask_store(&mut self, now: Time, question: Question<P>, tries: u32) {
        self.tickets = self.tickets.saturating_add(1);
        let ticket = Ticket(self.tickets);
        self.renewed = now;
        self.pending = Some(Box::new(Pending {
            ticket,
            question: question.clone(),
            deadline: now.after(self.options.store_timeout_ms),
            tries,
        }));
        self.effects
            .push_back(ServerEffect::Ask(ticket, Box::new(question)));
    }

    fn store_is_late(&mut self, now: Time) {
        let Some(pending) = self.pending.take_if(|pending| pending.deadline <= now) else {
            return;
        };
        match pending.question {
            // The same hello would be stale now. The client comes back with another.
            Question::Open(question) => {
                self.close_claim(close::STORE);
                self.over |= self.epoch == 0;
                if let Some(lost) = question.lost.filter(|_| self.epoch != 0) {
                    // What had not been given is gone, so this session cannot go on.
                    self.end(Some(lost.why), Ended::Lost(lost.why), None, lost.verdict);
                }
            }
            question if pending.tries < STORE_TRIES => {
                self.ask_store(now, question, pending.tries.saturating_add(1));
            }
            Question::Finish(_) => {
                self.finish = None;
                self.reset();
            }
            Question::Step(step) => {
                if let Some(connection) = self.line {
                    self.effects
                        .push_back(ServerEffect::Close(connection, close::STORE));
                }
                self.give_up(step, Ended::Store);
            }
        }
    }

    fn close_claim(&mut self, code: u16) {
        if let Some(claim) = self.claim.take()
            && !claim.gone
        {
            self.effects
                .push_back(ServerEffect::Close(claim.connection, code));
        }
    }

    /// This half has the session no more, and whoever has it goes on from the store.
    fn give_up(&mut self, step: Step<P>, why: Ended) {
        self.leave_line(false);
        // The next owner is sent what was not given here.
        self.exchange.verdict();
        self.exchange.push(Output::Ended(why));
        self.exchange.settle_taken(step.sends, why, false);
        self.exchange.settle(why, None, false);
        self.reset();
    }

    /// There is no session here.
    fn reset(&mut self) {
        self.epoch = 0;
        self.held = None;
        self.owner = None;
        self.lost_at = None;
        self.confirmed = None;
        self.over = true;
        self.steps = 0;
        self.told = Told::new(self.exchange.options.origin);
    }

    fn stepped(&mut self, now: Time, step: Step<P>, reply: Reply<P>) {
        let next = self.exchange.sent.last().saturating_add(1);
        match reply {
            Reply::Stepped { first } if step.sends.is_empty() || first == next => {
                self.told = Told {
                    handled: step.handled,
                    also: step.also,
                    acknowledged: step.acknowledged,
                    got: step.got,
                };
                if step.confirmed {
                    self.confirmed = Some(false);
                }
                for item in step.sends {
                    self.exchange.number(item);
                }
                self.exchange.commit(now, step.handled);
            }
            Reply::Full => {
                self.exchange
                    .settle_taken(step.sends, Ended::Lost(Why::Full), true);
                self.lose(now, Why::Full);
            }
            _ => {
                let (code, why) = match reply {
                    // Its lease has run out, and its client has no other connection: it comes back, and learns the rest.
                    Reply::Gone => (close::LOST, Ended::Lost(Why::Expired)),
                    _ => (close::SUPERSEDED, Ended::TakenOver),
                };
                if let Some(connection) = self.line {
                    self.effects
                        .push_back(ServerEffect::Close(connection, code));
                }
                self.give_up(step, why);
            }
        }
    }

    fn opened(&mut self, now: Time, reply: Reply<P>) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let code = match reply {
            Reply::Opened(opening) => {
                self.bind(now, claim, *opening);
                return;
            }
            Reply::Stale => close::STALE,
            Reply::Over => close::OVER,
            Reply::Refused => close::REFUSED,
            Reply::NoRoom => close::NO_ROOM,
            _ => close::STORE,
        };
        if !claim.gone {
            self.effects
                .push_back(ServerEffect::Close(claim.connection, code));
        }
        self.over |= self.epoch == 0;
    }

    fn bind(&mut self, now: Time, claim: Box<Claiming<P>>, opening: Opening<P>) {
        let hello = &claim.hello;
        let origin = self.exchange.options.origin;
        let Opening {
            epoch,
            owner,
            owner_in_epoch,
            found,
            snapshot,
            doubtful,
        } = opening;
        self.held = None;
        self.owner_in_epoch = owner_in_epoch;
        let is_new = snapshot.is_some() || self.epoch != epoch;
        self.owner = Some(owner);
        self.over = false;
        if is_new {
            let known = hello.epoch == self.epoch
                && self
                    .exchange
                    .fits(hello.received, hello.handled, hello.first, hello.sent);
            self.leave(known.then_some(hello), &found);
            self.epoch = epoch;
            self.steps = 0;
            self.confirmed = None;
            if let Some(snapshot) = snapshot {
                self.told = Told {
                    handled: snapshot.handled,
                    also: snapshot.also.clone(),
                    acknowledged: snapshot.sent.base(),
                    got: 0,
                };
                let received = Received::new(snapshot.handled, snapshot.also);
                let sent = match &found {
                    Found::Continued => hello.sent,
                    // It counts in the epoch before.
                    Found::Fresh | Found::Lost(_) => origin,
                };
                let received = received.after_owner(sent);
                self.exchange.begin(snapshot.sent, received);
                self.exchange.inherit(snapshot.asked);
                self.exchange.take_again(sent);
            } else {
                self.told = Told::new(origin);
            }
        }
        let fits = self
            .exchange
            .fits(hello.received, hello.handled, hello.first, hello.sent);
        if found == Found::Continued && !(fits && claim.may_resume) {
            let why = if claim.may_resume {
                Why::OutOfStep
            } else {
                Why::Refused
            };
            self.cannot_resume(now, claim, why);
            return;
        }
        if let Some(older) = self.line {
            self.leave_line(false);
            self.effects
                .push_back(ServerEffect::Close(older, close::SUPERSEDED));
        }
        self.line = Some(claim.connection);
        self.lost_at = None;
        self.exchange.set_peer(hello.limits);
        let (open, received) = match &found {
            Found::Fresh => (Opened::Fresh, origin),
            Found::Lost(_) => (Opened::Anew, origin),
            Found::Continued => {
                let last = self.exchange.sent.last();
                let replayed = last.saturating_sub(hello.received);
                (Opened::Resumed { replayed }, hello.received)
            }
        };
        self.exchange.push(Output::Open(open));
        if let Found::Lost(lost) = &found {
            self.exchange.push(Output::Lost(lost.why));
        }
        self.exchange.resume(Some(received));
        if found == Found::Continued {
            // It fits, so this cannot fail.
            let _ = self.exchange.acknowledged(hello.handled);
        }
        let welcome = self.welcome(open, found);
        self.effects.push_back(ServerEffect::Transmit(
            claim.connection,
            Frame::Welcome(welcome.into()),
        ));
        self.exchange.has_told();
        self.exchange.push_awaited();
        if doubtful {
            self.held = Some(Box::new(claim.arrival));
        } else {
            self.receive_riding(claim.connection, claim.arrival.riding);
        }
        if claim.gone && self.line == Some(claim.connection) {
            self.lose_line(false);
        }
    }

    fn receive_riding(&mut self, connection: Connection, riding: Vec<Frame<P>>) {
        for frame in riding {
            // It may fail on the way.
            if self.line == Some(connection) {
                self.receive_on_line(connection, frame);
            }
        }
    }

    /// The epoch that this half has is over, or another owner had the session.
    fn leave(&mut self, hello: Option<&Hello>, found: &Found) {
        if self.epoch == 0 {
            return;
        }
        let why = match found {
            Found::Lost(lost) => Ended::Lost(lost.why),
            Found::Continued => Ended::TakenOver,
            Found::Fresh => Ended::Lost(Why::Unknown),
        };
        let verdict = hello.map(|hello| {
            let received = match found {
                // What this half has sent is in the store, and is sent again.
                Found::Continued => super::MAX_NUMBER,
                Found::Fresh | Found::Lost(_) => hello.received,
            };
            Verdict {
                handled: hello.handled,
                also: Vec::new(),
                given: received,
                received,
            }
        });
        self.exchange.verdict();
        if *found == Found::Continued {
            // What was given here may be given here again.
            self.exchange.push(Output::Ended(why));
        }
        self.exchange.settle(why, verdict.as_ref(), false);
    }

    /// The session is there, and this client cannot have it: it is over. From here on nothing more of it is given.
    fn cannot_resume(&mut self, now: Time, claim: Box<Claiming<P>>, why: Why) {
        if let Some(older) = self.line {
            // What arrives on it now would be given behind the verdict.
            self.effects
                .push_back(ServerEffect::Close(older, close::SUPERSEDED));
            self.lose_line(false);
        }
        let verdict = Some(self.exchange.verdict());
        let question = Self::claim_of(&claim, self.key, self.owner, Some(Lost { why, verdict }));
        self.claim = Some(claim);
        self.ask_store(now, Question::Open(question), 1);
    }

    fn claim_of(claim: &Claiming<P>, key: Key, owner: Option<u64>, lost: Option<Lost>) -> Claim {
        let hello = &claim.hello;
        // The hello was sent after the handshake; and its end's clock may be slower than this one.
        let skew = limits::SKEW_MS.saturating_add(hello.age_ms / 1_000);
        let age = hello.age_ms.saturating_add(skew);
        let began = Time::from_millis(claim.arrival.made.as_millis().saturating_sub(age));
        Claim {
            key,
            identity: claim.identity.clone(),
            may_resume: claim.may_resume,
            attempt: hello.attempt,
            epoch: hello.epoch,
            has_sent: hello.sent != claim.arrival.origin,
            began,
            owner,
            new_epoch: claim.new_epoch,
            lost,
        }
    }

    fn welcome(&self, open: Opened, found: Found) -> Welcome {
        let outcome = match (found, open) {
            (Found::Lost(lost), _) => Outcome::Lost(lost),
            (Found::Fresh, _) => Outcome::Fresh,
            (Found::Continued, Opened::Resumed { replayed: 1.. }) => {
                let sent = &self.exchange.sent;
                Outcome::Replayed(sent.last().saturating_sub(sent.position()))
            }
            (Found::Continued, _) => Outcome::Continued,
        };
        let (sent, received) = (&self.exchange.sent, &self.exchange.received);
        Welcome {
            outcome,
            epoch: self.epoch,
            owner: self.owner_in_epoch,
            received: received.received(),
            handled: self.exchange.committed(),
            first: sent.base().saturating_add(1).min(super::MAX_NUMBER),
            sent: sent.last(),
            limits: self.exchange.options.limits,
            window_ms: self.options.window_ms,
            beat_ms: self.options.beat_ms,
            back: self.options.back,
        }
    }

    // ----- inside

    fn fail(&mut self, connection: Connection, code: u16) {
        self.failed = Some(connection);
        self.effects
            .push_back(ServerEffect::Close(connection, code));
        self.lose_line(false);
    }

    /// Nothing more goes out on the connection.
    fn leave_line(&mut self, blamed: bool) {
        self.exchange.line_ended(blamed);
        self.exchange.frames.clear();
        self.line = None;
    }

    fn lose_line(&mut self, blamed: bool) {
        self.leave_line(blamed);
        self.held = None;
        // The window begins with the next look at the clock.
        self.lost_at = None;
    }

    fn end(
        &mut self,
        why: Option<Why>,
        ended: Ended,
        peer: Option<&Verdict>,
        own: Option<Verdict>,
    ) {
        self.leave_line(false);
        self.held = None;
        self.exchange.push(Output::Ended(ended));
        self.exchange.settle(ended, peer, false);
        match self.pending.take().map(|pending| pending.question) {
            // What it has taken would have ended after its answer.
            Some(Question::Step(step)) => self.exchange.settle_taken(step.sends, ended, false),
            // The same hello would be stale now.
            Some(Question::Open(_)) => {
                let code = if why.is_some() {
                    close::LOST
                } else {
                    close::OVER
                };
                self.close_claim(code);
            }
            Some(Question::Finish(_)) | None => {}
        }
        self.epoch = 0;
        self.lost_at = None;
        self.finish = Some(Box::new((why, own)));
    }

    fn advance(&mut self, now: Time) {
        self.advance_at(now, false);
    }

    /// Does whatever can be done now. A look at the clock also ends what is late.
    fn advance_at(&mut self, now: Time, look: bool) {
        if self.line.is_none() && self.epoch != 0 && self.lost_at.is_none() {
            self.lost_at = Some(now);
        }
        if look {
            self.store_is_late(now);
            let over = self.lost_at.map(|at| at.after(self.options.window_ms));
            if over.is_some_and(|at| at <= now)
                && self.pending.is_none()
                && self.claim.is_none()
                && self.next.is_none()
            {
                let verdict = self.exchange.verdict();
                let why = Why::Expired;
                self.end(Some(why), Ended::Lost(why), None, Some(verdict));
            }
        }
        if self.line.is_some() {
            self.exchange.transmit(now);
            self.exchange.confirm();
            if !self.sends_follow() {
                self.exchange.acknowledge(now);
            }
            self.put_out();
        }
        self.end_if_exhausted();
        if self.pending.is_some() {
            return;
        }
        if let (Some(finish), Some(owner)) = (&self.finish, self.owner) {
            let (why, verdict) = &**finish;
            let finish = Finish {
                key: self.key,
                owner,
                why: *why,
                verdict: verdict.clone(),
                confirmed: self.confirmed.is_some(),
            };
            self.ask_store(now, Question::Finish(finish), 1);
            return;
        }
        if let Some(claim) = self.next.take() {
            let question = Self::claim_of(&claim, self.key, self.owner, None);
            if self.tickets == 0 {
                // A late answer to an earlier half of this session must not fit a question of this one.
                self.tickets = claim.new_epoch << TICKET_BITS;
            }
            self.claim = Some(claim);
            self.ask_store(now, Question::Open(question), 1);
            return;
        }
        self.step(now);
        // Perhaps it had no number for what there is.
        if self.end_if_exhausted() {
            self.advance(now);
        }
    }

    /// Whether messages are about to get their numbers, which can take an acknowledgement along.
    fn sends_follow(&self) -> bool {
        self.is_being_numbered() || (self.pending.is_none() && self.exchange.may_take())
    }

    /// Ends the session if something waits for a number and none is left. Returns whether it has ended.
    fn end_if_exhausted(&mut self) -> bool {
        let ends = self.exchange.is_exhausted() && self.epoch != 0;
        if ends {
            self.end_here(Ended::Exhausted);
        }
        ends
    }

    fn put_out(&mut self) {
        if let Some(connection) = self.line {
            while let Some(frame) = self.exchange.frames.pop_front() {
                self.effects
                    .push_back(ServerEffect::Transmit(connection, frame));
            }
        }
    }

    fn step(&mut self, now: Time) {
        let Some(owner) = self.owner.filter(|_| self.epoch != 0) else {
            return;
        };
        let sends = match self.line {
            Some(_) => self.exchange.take_all(),
            None => Vec::new(),
        };
        self.handle_tied();
        if sends.is_empty() {
            self.exchange.acknowledge(now);
        }
        self.exchange.ask_for_room();
        self.put_out();
        let verdict = self.exchange.received.verdict();
        let told = Told {
            handled: verdict.handled,
            also: verdict.also,
            acknowledged: self.exchange.sent.base(),
            got: self.exchange.got,
        };
        let confirmed = self.confirmed == Some(true);
        let due = self.lease().is_some_and(|at| at <= now);
        let news = told != self.told || confirmed || due || !sends.is_empty();
        if !news && self.exchange.replaced.is_empty() {
            return;
        }
        self.steps = self.steps.saturating_add(1);
        let step = Step {
            key: self.key,
            owner,
            number: self.steps,
            handled: told.handled,
            also: told.also,
            acknowledged: told.acknowledged,
            got: told.got,
            freed: core::mem::take(&mut self.exchange.replaced),
            sends,
            confirmed,
        };
        self.ask_store(now, Question::Step(step), 1);
    }
}

/// What an item is, for the messages of the driver.
impl<P> Item<P> {
    /// The payload, if it has one.
    #[must_use]
    pub const fn payload(&self) -> Option<&P> {
        match self {
            Self::Message { payload, .. } | Self::Request { payload, .. } => Some(payload),
            Self::Answer {
                answer: Answer::Response(payload) | Answer::Error(payload),
                ..
            } => Some(payload),
            _ => None,
        }
    }
}
