//! The client's half.

use alloc::sync::Arc;

use super::exchange::{Duties, Exchange, Options, Taken};
use super::frame::{
    Answer, Credential, Frame, Hello, Limits, Outcome, Secret, Verdict, Welcome, Why,
};
use super::types::{
    Ask, Delivery, Ended, Opened, Output, Payload, Rejected, Rejection, SendMode, Token,
};
use super::{MAX_NUMBER, close};
use crate::Time;

/// What the driver has to do, when no frame is left to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEffect {
    /// Close the current connection with this code. Whatever else arrives on it means nothing.
    Close(u16),
    /// Call [`Client::gathered`] when the program's turn of the event loop is over.
    Gather,
    /// The session is over: make no more connections for it.
    GiveUp,
}

/// Where the client's half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// There is no connection.
    Down,
    /// The hello is on its way.
    Greeting,
    /// The welcome has arrived.
    Up,
    /// The session is over for good.
    Ended,
}

/// The client's half of a session. The [module](super) describes how to drive it.
#[derive(Debug, Clone)]
pub struct Client<P> {
    exchange: Exchange<P>,
    secret: Secret,
    attempt: u64,
    epoch: u64,
    /// The owner of the last welcome. Before the first it is the one that makes the session: messages may ride to it.
    owner: u64,
    first_hello: Option<Time>,
    /// For the next secret, if this one has to be given up.
    random: [u8; 16],
    phase: Phase,
    riding: bool,
    /// Since when the application closes: until when what waits is sent.
    closing: Option<Time>,
    welcome: Option<Welcome>,
    /// A message that goes out before the frames of the exchange. Almost always it is the only one, and needs no queue.
    lone: Option<P>,
    /// The code for a close that the driver is asked for.
    close: u16,
}

impl<P: Payload> Client<P> {
    /// A session of its own, named by a secret of 128 random bits. They have to come from the platform's cryptographic
    /// source.
    #[must_use]
    pub fn new(options: impl Into<Arc<Options>>, random: [u8; 16]) -> Self {
        Self {
            exchange: Exchange::new(options.into()),
            secret: Secret::new(random),
            attempt: 0,
            epoch: 0,
            owner: 1,
            first_hello: None,
            random,
            phase: Phase::Down,
            riding: false,
            closing: None,
            welcome: None,
            lone: None,
            close: 0,
        }
    }

    // ----- questions

    /// Where it is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The last welcome: its limits, its heartbeat and when to come back.
    #[must_use]
    pub const fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
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

    /// Volatile messages that were dropped, in both directions.
    #[must_use]
    pub const fn volatile_dropped(&self) -> u64 {
        self.exchange.volatile_dropped()
    }

    /// Everything that is kept, for tests of its bounds.
    #[doc(hidden)]
    #[must_use]
    pub fn kept(&self) -> usize {
        let lone = usize::from(self.lone.is_some());
        self.exchange.kept().saturating_add(lone)
    }

    /// Whether to come back after a connection has ended with this code, although a rule for connections would give up:
    /// a message may have been its end, and that is for the session to find out; or it was closed as if all were done,
    /// and the session is not over.
    #[must_use]
    pub fn insists_on_retry(&self, code: u16) -> bool {
        match code {
            close::NORMAL => self.phase != Phase::Ended,
            code => close::blames_messages(code) && self.exchange.has_unacknowledged(),
        }
    }

    /// When [`timer`](Self::timer) is to be called.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        if self.phase == Phase::Ended {
            return None;
        }
        self.exchange.next_timer(self.closing)
    }

    // ----- the connection

    /// A connection is open. `random` is for a new secret, if it comes to that. The clock must have gone on while the machine
    /// slept, since the hello says how old the session is.
    pub fn opened(&mut self, now: Time, random: [u8; 16], credential: Option<Credential>) {
        if self.phase == Phase::Ended {
            self.close_with(close::NORMAL);
            return;
        }
        if self.phase != Phase::Down {
            self.lose_line(false);
        }
        self.drop_frames();
        self.random = random;
        self.attempt = self.attempt.saturating_add(1).min(MAX_NUMBER);
        let first_hello = *self.first_hello.get_or_insert(now);
        let origin = self.exchange.options.origin;
        self.riding = self.epoch == 0 && self.exchange.sent.last() == origin;
        self.phase = Phase::Greeting;
        let hello = Hello {
            secret: self.secret.clone(),
            attempt: self.attempt,
            epoch: self.epoch,
            received: self.exchange.received.received(),
            handled: self.exchange.received.handled(),
            first: self.exchange.sent.base().saturating_add(1).min(MAX_NUMBER),
            sent: self.exchange.sent.last(),
            limits: self.exchange.options.limits,
            age_ms: now.since(first_hello),
            credential,
        };
        self.exchange.commit(now, hello.handled);
        self.exchange.has_told();
        self.exchange.frames.push_back(Frame::Hello(hello.into()));
        if self.riding {
            self.exchange.ride();
        }
        self.advance(now);
    }

    /// A frame has arrived on the current connection. Control messages are for the layer below; here they do nothing.
    pub fn receive(&mut self, now: Time, frame: Frame<P>) {
        match frame {
            Frame::Message(payload) if self.phase == Phase::Up => {
                match self.exchange.receive_message(payload) {
                    // By itself it gives this half nothing to do: that begins when it is handled.
                    Ok(()) => self.exchange.acknowledge(now),
                    Err(code) => self.refuse(now, code),
                }
            }
            frame => self.receive_other(now, frame),
        }
    }

    #[inline(never)]
    fn receive_other(&mut self, now: Time, frame: Frame<P>) {
        match (self.phase, frame) {
            (Phase::Down | Phase::Ended, _) | (_, Frame::Control(_) | Frame::Unknown) => {}
            (Phase::Greeting, Frame::Welcome(welcome)) => self.welcomed(*welcome),
            (Phase::Greeting, _)
            | (Phase::Up, Frame::Welcome(_) | Frame::Hello(_) | Frame::Credential(_)) => {
                self.fail(close::NO_HELLO);
            }
            (Phase::Up, Frame::End { verdict, sent }) => {
                let (code, verdict) = self.exchange.ended_by_peer(&verdict, sent);
                self.close_with(code);
                self.end(Ended::ByPeer, verdict);
            }
            (Phase::Up, frame) => {
                if let Err(code) = self.exchange.receive(frame) {
                    self.refuse(now, code);
                    return;
                }
                // This half has no store to be told.
                self.exchange.replaced.clear();
            }
        }
        self.advance(now);
    }

    /// What has arrived is not to be there: the connection ends with this code.
    #[cold]
    fn refuse(&mut self, now: Time, code: u16) {
        match code {
            // Which number belongs to which message, nobody knows any more.
            close::OUT_OF_STEP => self.renew(),
            close::TOO_LARGE => self.fail(close::TOO_LARGE_FOR_CLIENT),
            code => self.fail(code),
        }
        self.advance(now);
    }

    /// Something has arrived that [`read`](super::frame::read) refuses.
    pub fn receive_malformed(&mut self, now: Time) {
        if matches!(self.phase, Phase::Greeting | Phase::Up) {
            self.fail(close::MALFORMED);
            self.advance(now);
        }
    }

    /// No welcome has come within the time for a connection. The driver decides how long that is.
    pub fn welcome_timed_out(&mut self, now: Time) {
        if self.phase == Phase::Greeting {
            self.fail(close::NO_WELCOME);
            self.advance(now);
        }
    }

    /// The current connection has ended with the code of the other end's Close; 1006 if there was none.
    pub fn closed(&mut self, now: Time, code: u16) {
        let was_open = matches!(self.phase, Phase::Greeting | Phase::Up);
        self.drop_frames();
        if self.phase == Phase::Ended {
            return;
        }
        if was_open {
            self.lose_line(close::blames_messages(code));
        } else if close::blames_messages(code) {
            // This end has closed as well, for a reason of its own. The same code may be its echo, but both may have found
            // the same, and without blame they would find it again for ever.
            self.exchange.blame();
        }
        let ended = match code {
            // Also 1000: an `end` would have come before it, so something on the way has closed.
            close::SUPERSEDED => Some(Ended::Superseded),
            close::STALE => Some(Ended::Stale),
            close::REFUSED => Some(Ended::Refused),
            // Its `end` was lost.
            close::OVER => Some(Ended::ByPeer),
            _ => None,
        };
        if let Some(ended) = ended.filter(|_| was_open) {
            self.end(ended, None);
        }
        self.advance(now);
    }

    /// Whether the connection takes more at the moment.
    pub fn set_writable(&mut self, now: Time, writable: bool) {
        // A late report is about a connection that is gone.
        if matches!(self.phase, Phase::Greeting | Phase::Up) {
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

    /// The page is about to be hidden or frozen: sends what waits for the end of the program's turn, and tells the server how
    /// far this end is, if there is news.
    pub fn flush(&mut self, now: Time) {
        self.gathered(now);
        self.exchange.flush();
        self.advance(now);
    }

    /// A fresh credential goes to the server, if there is a session.
    pub fn send_credential(&mut self, credential: Credential) {
        if self.phase == Phase::Up {
            self.exchange.push_credential(credential);
        }
    }

    /// The time of [`next_timer`](Self::next_timer) has come. Calling it at any other time does no harm.
    pub fn timer(&mut self, now: Time) {
        self.exchange.timer(now);
        self.advance(now);
    }

    // ----- the application

    /// Sends a message.
    ///
    /// # Errors
    /// If it is not accepted. It comes back.
    pub fn send(&mut self, now: Time, payload: P, mode: SendMode) -> Result<Delivery, Rejected<P>> {
        if self.is_closing() {
            let why = Rejection::Closed;
            return Err(Rejected { payload, why });
        }
        if self.exchange.is_gathering() {
            return self.exchange.send(payload, mode);
        }
        self.send_first(now, payload, mode)
    }

    /// Sends the first message of a turn, which does not wait for the others.
    #[inline(never)]
    fn send_first(
        &mut self,
        now: Time,
        payload: P,
        mode: SendMode,
    ) -> Result<Delivery, Rejected<P>> {
        let mut payload = payload;
        if !mode.awaited {
            match self.exchange.send_straight(payload, &mut self.lone) {
                Ok(sent) => return Ok(sent),
                Err(back) => payload = back,
            }
        }
        let sent = self.exchange.send(payload, mode)?;
        self.advance(now);
        self.exchange.gather();
        Ok(sent)
    }

    /// Takes a message back that has no number yet: it is not sent, and nothing is told of its end. `None` if it is too late,
    /// and the message takes its course.
    pub fn withdraw(&mut self, delivery: Delivery) -> Option<P> {
        self.exchange.withdraw(delivery)
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
        if self.is_closing() {
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

    /// Answers a request of the server's. The second answer does nothing, nor does one to a session that is over.
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
            // Nothing can be sent now that could not be sent before.
            self.commit(now);
            self.exchange.acknowledge(now);
        }
    }

    /// Ends the session when everything is handled, at `deadline` at the latest; the earliest counts. Without a connection it goes on trying
    /// until then, so the driver keeps connecting.
    pub fn close(&mut self, now: Time, deadline: Time) {
        if self.phase != Phase::Ended && self.closing.is_none_or(|earlier| deadline < earlier) {
            self.exchange.gathered();
            self.closing = Some(deadline);
            self.advance(now);
        }
    }

    /// Begins a session of its own after one that is over for good. What that one has for the application comes first, and
    /// tokens, deliveries and requests of the two are never the same.
    pub fn restart(&mut self, random: [u8; 16]) {
        if self.phase != Phase::Ended {
            return;
        }
        self.exchange.duties.take(Duties::GIVE_UP);
        self.exchange.restart();
        self.random = random;
        self.take_new_secret();
        self.phase = Phase::Down;
        self.riding = false;
        self.closing = None;
        self.welcome = None;
    }

    /// Gives the session up at once.
    pub fn abort(&mut self) {
        self.give_up(Ended::Aborted);
    }

    /// Likewise, for a reason that the driver knows.
    pub fn give_up(&mut self, why: Ended) {
        if matches!(self.phase, Phase::Greeting | Phase::Up) {
            self.close_with(close::NORMAL);
        }
        if self.phase != Phase::Ended {
            self.end(why, None);
        }
    }

    /// Whether it is over, or is being closed.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing.is_some() || matches!(self.phase, Phase::Ended)
    }

    // ----- outputs

    /// The next frame for the current connection.
    pub fn poll_frame(&mut self) -> Option<Frame<P>> {
        if self.lone.is_some() {
            return self.lone.take().map(Frame::Message);
        }
        match self.exchange.frames.is_empty() {
            true => None,
            false => self.poll_queued_frame(),
        }
    }

    #[inline(never)]
    fn poll_queued_frame(&mut self) -> Option<Frame<P>> {
        self.exchange.frames.pop_front()
    }

    /// What the driver has to do besides, when [`poll_frame`](Self::poll_frame) has nothing more.
    pub fn poll_effect(&mut self) -> Option<ClientEffect> {
        let duties = &mut self.exchange.duties;
        if duties.is_empty() {
            None
        } else if duties.take(Duties::GATHER) {
            Some(ClientEffect::Gather)
        } else if duties.take(Duties::CLOSE) {
            Some(ClientEffect::Close(self.close))
        } else {
            duties.take(Duties::GIVE_UP).then_some(ClientEffect::GiveUp)
        }
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

    /// Whether there is anything for the application but messages.
    #[must_use]
    pub fn has_notice(&self) -> bool {
        self.exchange.has_notice()
    }

    /// Changes whenever anything is given or acknowledged, in either direction.
    #[must_use]
    pub fn progress(&self) -> u64 {
        let given = self.exchange.received.given();
        given.wrapping_add(self.exchange.sent.base())
    }

    /// Whether there is anything for the application.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.exchange.has_output()
    }

    // ----- inside

    fn advance(&mut self, now: Time) {
        if self.phase == Phase::Ended {
            return;
        }
        self.commit(now);
        self.exchange.number_queue();
        while let Some(item) = self.exchange.take(&Taken::default()) {
            self.exchange.number(item);
        }
        self.exchange.transmit(now);
        self.exchange.confirm();
        self.exchange.acknowledge(now);
        if self.exchange.is_exhausted() {
            self.finish(Ended::Exhausted);
        } else if let Some(deadline) = self.closing
            && (now >= deadline || (self.exchange.is_drained() && self.phase != Phase::Greeting))
        {
            self.finish(Ended::Closed);
        }
    }

    /// What is handled may be acknowledged.
    fn commit(&mut self, now: Time) {
        let handled = self.exchange.received.handled();
        self.exchange.commit(now, handled);
    }

    /// Closes the connection behind the frames that are to go out on it.
    const fn close_with(&mut self, code: u16) {
        self.close = code;
        self.exchange.duties.add(Duties::CLOSE);
    }

    /// The connection is gone, and with it what was to go out on it.
    fn drop_frames(&mut self) {
        self.lone = None;
        self.exchange.frames.clear();
        self.exchange.duties.take(Duties::CLOSE);
    }

    fn lose_line(&mut self, blamed: bool) {
        self.exchange.line_ended(blamed);
        self.phase = Phase::Down;
        self.riding = false;
    }

    /// The other end does not keep to the protocol.
    fn fail(&mut self, code: u16) {
        self.close_with(code);
        self.lose_line(false);
    }

    fn welcomed(&mut self, welcome: Welcome) {
        let riding = self.riding;
        let origin = self.exchange.options.origin;
        let fits = self.exchange.fits(
            welcome.received,
            welcome.handled,
            welcome.first,
            welcome.sent,
        );
        let open = match &welcome.outcome {
            Outcome::Lost(lost) if !riding && welcome.received == origin => {
                self.lose(&welcome, lost.why, lost.verdict.as_ref());
                return;
            }
            Outcome::Fresh if fits && self.epoch == 0 => Opened::Fresh,
            Outcome::Continued | Outcome::Replayed(_)
                if fits && (self.epoch == 0 || self.epoch == welcome.epoch) =>
            {
                let received = self.exchange.received.received();
                Opened::Resumed {
                    replayed: welcome.sent.saturating_sub(received),
                }
            }
            _ => {
                self.renew();
                return;
            }
        };
        let rose = welcome.owner > self.owner && open != Opened::Fresh;
        if rose {
            self.exchange.blame();
        }
        self.exchange.push(Output::Open(open));
        self.exchange.resume((!riding).then_some(welcome.received));
        if rose {
            self.exchange.ask_again(welcome.received);
        }
        if self.exchange.acknowledged(welcome.handled).is_err() {
            self.renew();
            return;
        }
        self.go_on(welcome);
    }

    fn lose(&mut self, welcome: &Welcome, why: Why, verdict: Option<&Verdict>) {
        self.exchange.drop_unread();
        self.exchange.push(Output::Open(Opened::Anew));
        self.exchange.push(Output::Lost(why));
        // A verdict on messages that were never sent is none.
        let verdict = verdict.filter(|verdict| verdict.handled <= self.exchange.sent.last());
        self.exchange.settle(Ended::Lost(why), verdict, true);
        self.exchange.resume(Some(self.exchange.options.origin));
        self.go_on(welcome.clone());
    }

    fn go_on(&mut self, welcome: Welcome) {
        self.phase = Phase::Up;
        self.riding = false;
        self.epoch = welcome.epoch;
        self.owner = welcome.owner;
        self.exchange.set_peer(welcome.limits);
        self.exchange.push_ack();
        self.exchange.push_awaited();
        self.welcome = Some(welcome);
    }

    /// The server's counts make no sense: this secret is not used again.
    fn renew(&mut self) {
        self.fail(close::OUT_OF_STEP);
        self.exchange.drop_unread();
        self.exchange.push(Output::Lost(Why::OutOfStep));
        self.exchange
            .settle(Ended::Lost(Why::OutOfStep), None, true);
        self.take_new_secret();
    }

    fn take_new_secret(&mut self) {
        self.secret = Secret::new(self.random);
        self.attempt = 0;
        self.epoch = 0;
        self.owner = 1;
        self.first_hello = None;
    }

    /// The application's time to close is over, nothing is left to wait for, or no number is left.
    fn finish(&mut self, why: Ended) {
        match self.phase {
            Phase::Up => {
                let verdict = self.exchange.verdict();
                let sent = self.exchange.sent.position();
                let end = Frame::End { verdict, sent };
                self.exchange.frames.push_back(end);
                self.close_with(close::NORMAL);
            }
            Phase::Greeting => self.close_with(close::NORMAL),
            Phase::Down | Phase::Ended => {}
        }
        self.end(why, None);
    }

    fn end(&mut self, why: Ended, verdict: Option<&Verdict>) {
        self.exchange.line_ended(false);
        self.exchange.push(Output::Ended(why));
        self.exchange.settle(why, verdict, false);
        self.exchange.duties.add(Duties::GIVE_UP);
        self.phase = Phase::Ended;
    }

    /// What this end takes.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.exchange.options.limits
    }
}
