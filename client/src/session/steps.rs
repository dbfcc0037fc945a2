//! What follows from events and outputs for the program, whatever its language.

use alloc::string::String;
use alloc::vec;

use steady_socket_protocol::session::frame::{Answer, Refusal};
use steady_socket_protocol::session::{
    Client, Deliveries, Delivery, End, Ended, NotHandled, Opened, Output, Payload as _, Token,
    close,
};

use super::face::{News, Over, SessionFace};
use super::{Closing, SessionDriver};
use crate::connection::{
    Cause, Closed, DropReason, Dropped, Event, Input, Loss, Phase as LinePhase, Tally, Verdict,
};

/// A session that is over, whose messages are being settled.
#[derive(Clone, Copy)]
pub(super) struct Losing {
    is_final: bool,
    why: Ended,
    handled: u64,
}

impl<F: SessionFace> SessionDriver<F> {
    /// Whether this goes on without a session.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.plain.get()
    }

    // ----- the connection

    /// Something happened to the connection.
    pub fn event(&self, face: &F, event: Event<F::Message>) {
        self.tell_closing(face);
        match event {
            Event::Open { .. } => self.line_opened(face, event),
            Event::Closed(closed) => self.line_closed(face, closed),
            Event::State(change) if change.phase == LinePhase::Open => {
                self.held.borrow_mut().push(event);
            }
            // What the connection holds are frames of the session.
            Event::Dropped(_) | Event::QueueChanged(_) if !self.is_plain() => {}
            event => self.pass_on(face, event),
        }
    }

    /// Tells the program of an event of the connection, as a plain socket does.
    fn pass_on(&self, face: &F, event: Event<F::Message>) {
        if !self.conceals(&event) {
            face.tell(event);
        }
    }

    /// A connection is open. Whether it carries a session, its sub-protocol says.
    fn line_opened(&self, face: &F, event: Event<F::Message>) {
        self.held.borrow_mut().push(event);
        let carries = self
            .connection()
            .is_some_and(|connection| connection.ask(|connection| connection.carries_session()));
        if self.is_plain() {
            self.announce(face);
            self.command(Input::Ready);
        } else if carries {
            self.opened(face);
        } else if self.start.optional && !self.was_welcomed.get() {
            // For good: what waits in the queue of a plain connection cannot go into a session.
            face.offer_session(false);
            self.plain.set(true);
            // What waits goes before what the program sends when it is told of the connection.
            self.give_up(Ended::NotSpoken);
            self.command(Input::Ready);
        } else {
            self.held.borrow_mut().clear();
            // Another attempt would find the same server.
            self.give_up(Ended::NotSpoken);
        }
    }

    /// Tells the program that the connection is open.
    fn announce(&self, face: &F) {
        self.is_announced.set(true);
        let held = core::mem::take(&mut *self.held.borrow_mut());
        for event in held {
            self.pass_on(face, event);
        }
    }

    /// The connection has ended, or an attempt.
    fn line_closed(&self, face: &F, mut closed: Closed) {
        self.held.borrow_mut().clear();
        if !self.is_plain() {
            if let Some(connection) = self.connection() {
                connection.forget_frames();
            }
            self.closed(&closed.loss);
            if let Some(why) = self.unwelcomed()
                && self.closing.get() != Closing::Told
            {
                face.tell_news(News::Unwelcomed(why));
            }
            // The session knows better, and says so.
            closed.unconfirmed = Tally::default();
        }
        if !self.is_announced.replace(false) && core::mem::take(&mut closed.loss.was_open) {
            // For the program there was no connection.
            self.pass_on(face, Event::Error);
        }
        // Unless the program has asked for another connection already.
        let is_over = || matches!(self.line_phase(), None | Some(LinePhase::Closed));
        if closed.is_final() && !self.is_plain() && is_over() {
            // Nothing more can become of what was sent. A handler of this event may begin another session.
            self.give_up(Ended::Aborted);
        }
        self.pass_on(face, Event::Closed(closed));
    }

    fn line_phase(&self) -> Option<LinePhase> {
        let connection = self.connection()?;
        Some(connection.ask(|connection| connection.phase()))
    }

    /// What follows a loss, if the session knows better than the policy.
    pub fn verdict(&self, face: &F, loss: &Loss) -> Option<Verdict> {
        if self.is_plain() {
            return None;
        }
        let verdict = self.judge(loss);
        // An attempt may have failed because the server answers none of the offered sub-protocols: then a browser fails the
        // handshake without a reason. A program that can do without a session tries at once whether it does without the
        // offer.
        let may_be_the_offer = self.start.optional
            && !loss.was_open
            && !self.was_welcomed.get()
            && loss.cause == Cause::Socket
            && face.offers_only_session();
        if may_be_the_offer && face.offer_session(false) {
            return Some(Verdict::RetryAfterMs(0));
        }
        face.offer_session(true);
        verdict
    }

    /// The session is over, and so is the connection: closes it for good.
    pub(super) fn stop(&self) {
        if self.is_plain() {
            return;
        }
        let asked = self.farewell.borrow_mut().take();
        let (code, reason) = asked.unwrap_or((Some(close::NORMAL), String::new()));
        self.command(Input::Close { code, reason });
    }

    // ----- the application

    /// Closes for good when everything is handled, or when the time for that is over.
    pub fn close(&self, code: Option<u16>, reason: String) {
        if self.is_plain() {
            return self.command(Input::Close { code, reason });
        }
        // The first one stands.
        self.farewell.borrow_mut().get_or_insert((code, reason));
        self.end_within(match self.line_phase() {
            // There will be no connection.
            Some(LinePhase::Idle | LinePhase::Suspended) => 0,
            _ => self.start.close_timeout,
        });
    }

    /// Closes for good without waiting.
    pub fn close_now(&self) {
        if self.is_plain() {
            return self.close(None, String::new());
        }
        self.end_within(0);
        self.deliver_now();
    }

    /// Answers a request of the server's. An answer that is larger than the server takes becomes a refusal.
    pub fn reply(&self, token: Token, answer: Answer<F::Payload>) {
        if self.answer(token, answer).is_err() {
            let _ = self.answer(token, Answer::Refused(Refusal::Failed));
        }
    }

    /// A message is dropped in the program's own call. The program is told after it.
    pub fn drop_new(&self, reason: DropReason, payload: F::Payload) {
        self.dropped.borrow_mut().push((reason, payload));
        self.commanded();
    }

    // ----- questions

    /// The messages in the queue and their bytes, and those that are sent and not acknowledged and theirs.
    #[must_use]
    pub fn pending(&self) -> [u64; 4] {
        let (messages, bytes) = self.ask_half(Client::queued);
        let (sent, sent_bytes) = self.ask_half(Client::unacknowledged);
        [messages as u64, bytes as u64, sent, sent_bytes]
    }

    // ----- to the program

    /// Delivers an output. When this returns, its handlers have returned. Returns whether the program takes a message now, if
    /// it has said so.
    pub(super) fn output(&self, face: &F, output: Output<F::Payload>) -> Option<bool> {
        // A loss is followed by the ends of what it concerns.
        if !matches!(
            output,
            Output::Handled(_) | Output::Settled(..) | Output::Answered(..)
        ) {
            self.finish_losing(face);
        }
        self.tell_closing(face);
        match output {
            Output::Open(opened) => {
                self.announce(face);
                match opened {
                    _ if self.closing.get() == Closing::Told => {}
                    Opened::Fresh => face.tell_news(News::Began),
                    Opened::Resumed { replayed } => face.tell_news(News::Resumed(replayed)),
                    // The loss is reported when it is known what became of the messages.
                    Opened::Anew => {}
                }
            }
            Output::Lost(why) => self.lose(face, Ended::Lost(why), false),
            Output::Ended(why) => self.lose(face, why, true),
            Output::Message { token, payload } => return face.give(Some(token), payload),
            Output::Volatile(payload) => return face.give(None, payload),
            Output::Handled(run) => self.were_handled(face, run),
            Output::Settled(delivery, end) => self.message_ended(face, delivery, end),
            Output::Dropped(count) => face.tell_news(News::Discarded(count)),
            Output::Answered(ask, end) => face.answered(ask, end),
            Output::Request { token, payload } => face.asked(token, payload),
            Output::Withdrawn(token) => face.withdrawn(token),
            Output::StalledHere(_) => face.tell_news(News::StalledHere),
            Output::StalledThere(_) => face.tell_news(News::StalledThere),
            // For a server.
            _ => {}
        }
        None
    }

    fn lose(&self, face: &F, why: Ended, is_final: bool) {
        self.losing.set(Some(Losing {
            is_final,
            why,
            handled: 0,
        }));
        face.losing();
    }

    /// The server's application is done with messages.
    fn were_handled(&self, face: &F, run: Deliveries) {
        if let Some(losing) = self.losing.get() {
            let count = run.last.0.saturating_sub(run.first.0).saturating_add(1);
            let handled = losing.handled.saturating_add(count);
            self.losing.set(Some(Losing { handled, ..losing }));
        }
        face.handled(run);
    }

    /// A message that was sent has ended without being handled, as far as anybody knows.
    fn message_ended(&self, face: &F, delivery: Delivery, end: End<F::Payload>) {
        // Each end is reported in one place: to who awaits it, or by an event.
        let Some(end) = face.settle(delivery, end) else {
            return;
        };
        if self.losing.get().is_some() {
            return face.keep(end);
        }
        // As on a plain connection.
        match end {
            End::NotHandled {
                payload,
                why: NotHandled::TimeToLive,
            } => tell_dropped(face, DropReason::Expired, payload),
            End::NotHandled {
                payload,
                why: NotHandled::Overflow,
            } => tell_dropped(face, DropReason::Overflow, payload),
            end => face.undelivered(end),
        }
    }

    /// Everything is known of a session that is over.
    fn finish_losing(&self, face: &F) {
        let Some(losing) = self.losing.take() else {
            return;
        };
        let over = match losing.is_final {
            _ if self.is_plain() => Over::Plain,
            true => Over::Ended,
            false => Over::Lost,
        };
        if over == Over::Plain {
            face.resend();
            self.announce(face);
        }
        face.over(over, losing.why, losing.handled);
    }

    /// Whether there is something to tell in [`Self::report`].
    pub(super) fn has_news(&self) -> bool {
        self.closing.get() == Closing::Due
            || self.losing.get().is_some()
            || !self.dropped.borrow().is_empty()
            || (!self.is_plain() && self.told.get() != self.pending())
    }

    /// The outputs have been delivered: tells what follows from them, and from the program's calls. Never within a call.
    pub(super) fn report(&self, face: &F) {
        self.tell_closing(face);
        self.finish_losing(face);
        let dropped = core::mem::take(&mut *self.dropped.borrow_mut());
        for (reason, payload) in dropped {
            tell_dropped(face, reason, payload);
        }
        if self.is_plain() {
            return;
        }
        let [queued, queued_bytes, sent, sent_bytes] = self.pending();
        let [told, told_bytes, told_sent, told_sent_bytes] =
            self.told.replace([queued, queued_bytes, sent, sent_bytes]);
        if (told, told_bytes) != (queued, queued_bytes) {
            face.tell(Event::QueueChanged(tally(queued, queued_bytes)));
        }
        if (told_sent, told_sent_bytes) != (sent, sent_bytes) {
            face.tell_news(News::Unacknowledged(tally(sent, sent_bytes)));
        }
    }
}

const fn tally(messages: u64, bytes: u64) -> Tally {
    Tally { messages, bytes }
}

fn tell_dropped<F: SessionFace>(face: &F, reason: DropReason, payload: F::Payload) {
    face.tell(Event::Dropped(Dropped {
        reason,
        bytes: payload.bytes() as u64,
        payloads: vec![F::message_of(payload)],
        omitted: 0,
    }));
}
