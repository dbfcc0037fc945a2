//! What arrives from the server: messages for the application, and messages between the two ends.

use alloc::string::{String, ToString as _};

use super::totals::Count;
use super::{
    Cause, Connection, Control, Effect, Generation, Output, Pending, Pings, Report, State, Time,
};
use crate::limits::TOO_BIG;

/// A control message that asks the server for a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPing {
    /// The message.
    pub text: String,
    /// Whether it has a number, so that its answer can be distinguished from what the server sends unasked. Only then is
    /// it reported by [`Report::Pinged`].
    pub is_question: bool,
}

/// The shortest and the longest heartbeat that a server may announce, in milliseconds: it must neither keep the
/// client busy nor keep a dead connection for long.
pub const BEAT_MS: (u64, u64) = (5_000, 120_000);

impl<P> Connection<P> {
    /// Whether the client offers to exchange control messages.
    #[must_use]
    pub fn offers_control_messages(&self) -> bool {
        self.options.values().control_messages
    }

    /// Whether the two ends of the current connection exchange control messages. If so, a text that starts with
    /// [`MARK`](steady_socket_protocol::control::MARK) is one, or an escaped text of the application, in both
    /// directions.
    #[must_use]
    pub const fn uses_control_messages(&self) -> bool {
        matches!(&self.state, State::Open(open) if matches!(open.pings, Pings::Control))
    }

    /// Whether the current connection carries a session.
    #[must_use]
    pub const fn carries_session(&self) -> bool {
        matches!(&self.state, State::Open(open) if matches!(open.pings, Pings::Session))
    }

    /// The control message to ping with now; `None` if the two ends do not exchange control messages.
    #[must_use]
    pub fn control_ping(&self) -> Option<ControlPing> {
        match &self.state {
            State::Open(open) if matches!(open.pings, Pings::Control | Pings::Session) => {
                let number = open.numbered.then(|| open.unconfirmed.next_question());
                Some(ControlPing {
                    text: Control::ping(number),
                    is_question: number.is_some(),
                })
            }
            _ => None,
        }
    }

    /// The largest message that a socket must accept: the option `max_message_bytes`, and the escape of a text.
    #[must_use]
    pub fn max_escaped_bytes(&self) -> Option<u32> {
        let escape = u32::from(self.offers_control_messages());
        let most = self.options.values().max_message_bytes;
        most.map(|most| most.saturating_add(escape))
    }

    /// Like [`heeds_time`](Self::heeds_time), for a message of this size that arrives.
    #[must_use]
    pub fn messages_are_timed(&self, bytes: usize) -> bool {
        self.signs_of_life_are_timed() || self.is_too_big(bytes)
    }

    /// Likewise, for what is not for the application.
    pub(super) const fn signs_of_life_are_timed(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.liveness.is_timed())
    }

    fn is_too_big(&self, bytes: usize) -> bool {
        let most = self.options.values().max_message_bytes;
        most.is_some_and(|most| bytes > most as usize)
    }

    /// Processes a message like [`handle`](Self::handle) does a [`Report::Message`], and returns it if it is next to
    /// deliver: deliver it now. Otherwise it becomes an [`Output::Message`], after what precedes it.
    #[inline]
    pub fn receive(
        &mut self,
        now: Time,
        generation: Generation,
        payload: P,
        bytes: usize,
    ) -> Option<P> {
        if !self.is_current(generation) {
            return None;
        }
        let State::Open(open) = &mut self.state else {
            return None;
        };
        open.liveness.sign_of_life(now);
        // The standard delivers nothing after `close()` was called.
        if open.closing().is_some() {
            return None;
        }
        if self.is_too_big(bytes) {
            self.too_big(now);
            return None;
        }
        self.totals.message(Count::Received, bytes);
        if self.is_settled_but_for_the_queue() {
            return Some(payload);
        }
        self.output_message(payload);
        None
    }

    /// Delivers a message after what precedes it.
    pub(super) fn output_message(&mut self, payload: P) {
        let output = Output::Message(payload);
        self.outputs.push_back(Pending::Output(output));
    }

    /// A message exceeds the limit: the connection is given up, with a code that says so.
    #[inline(never)]
    fn too_big(&mut self, now: Time) {
        if self.is_open() {
            // Before the predicate is asked, whose commands might give another code.
            self.effects.push_back(Effect::Close {
                generation: self.generation,
                code: Some(TOO_BIG),
                reason: "message too big".to_string(),
            });
            self.lose(now, Cause::MessageTooBig, None);
        }
    }

    /// What is only reported of an open socket.
    pub(super) fn reported_while_open(&mut self, now: Time, report: Report<P>) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        match report {
            Report::TooBig => return self.too_big(now),
            Report::Pinged => {
                open.unconfirmed.asked();
                // Also if a message was accepted after the ping was requested.
                open.question_at = None;
                return;
            }
            Report::Control(control) => self.controlled(now, control),
            Report::Answered => self.answered(),
            Report::Alive => {}
            _ => return,
        }
        if let State::Open(open) = &mut self.state {
            open.liveness.sign_of_life(now);
        }
    }

    /// The server has sent a control message.
    fn controlled(&mut self, now: Time, control: Control) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        if !matches!(open.pings, Pings::Control | Pings::Session) {
            return;
        }
        match control {
            Control::Beat { interval_ms } => {
                let (min, max) = BEAT_MS;
                open.liveness.expect(now, interval_ms.clamp(min, max));
            }
            // A session knows by its acknowledgements what has arrived.
            Control::Pong { number: 0 } => open.numbered = open.pings == Pings::Control,
            Control::Pong { number } if open.numbered => open.unconfirmed.answered(number),
            Control::Reconnect(window) if window.min_ms <= window.max_ms => {
                self.latest.window = Some(window);
            }
            Control::Spread { max_ms } => self.options.spread_first_wait(max_ms),
            // From a later version, or not meant for a client.
            _ => {}
        }
        // What the answer did not confirm needs another question.
        if !open.unconfirmed.is_empty() && open.may_plan_question() {
            open.plan_question(now);
        }
    }

    /// The server has answered one of the application's pings, or sends the same unasked.
    fn answered(&mut self) {
        if let State::Open(open) = &mut self.state
            && open.pings != Pings::Control
            && !self.distrusts
            && !open.unconfirmed.answered_one()
        {
            self.distrusts = true;
            open.unconfirmed.distrust();
        }
    }
}
