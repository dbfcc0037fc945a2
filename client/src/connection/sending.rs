//! What the application sends: on its way to the browser.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::options::Overflow;

use super::queue::{Lane, Queued};
use super::totals::Count;
use super::{
    Accepted, CLOSE_DEADLINE, Cause, Connection, DropReason, Effect, Flow, Generation, Open,
    SendMode, SendRejected, Sent, State, Time,
};

/// How often the browser's buffer is measured while it is above the high-water mark, in milliseconds. There is no
/// event for it.
const DRAIN_POLL_MS: u64 = 50;

/// The message being passed to the browser.
#[derive(Clone, Debug, Hash)]
pub(super) struct InHand {
    generation: Generation,
    lane: Lane,
    bytes: usize,
    expires: Option<Time>,
    volatile: bool,
    /// An earlier connection was given up for it.
    refused: bool,
}

impl InHand {
    /// Its form in the queue.
    const fn back<P>(self, payload: P) -> Queued<P> {
        Queued {
            payload,
            bytes: self.bytes,
            expires: self.expires,
            refused: self.refused,
        }
    }
}

impl<P> Connection<P> {
    /// Whether an ordinary message of this size would be accepted now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        match self.state {
            State::Closed => false,
            _ if self.is_closing() => false,
            _ => self.may_transmit(Lane::Ordinary) || self.fits(bytes),
        }
    }

    /// Accepts a message of `bytes` bytes, or returns it. If nothing precedes it, it comes back as
    /// [`Accepted::Transmit`], to be passed to the browser at once; otherwise it follows as an [`Effect::Transmit`].
    /// Then carry out the effects, deliver the events and arm the timer (see the [module](super)).
    ///
    /// # Errors
    /// [`SendRejected::Full`] if it does not fit and the option `overflow` is to reject; [`SendRejected::Closed`] if
    /// the connection is closing or closed.
    pub fn send(
        &mut self,
        now: Time,
        payload: P,
        bytes: usize,
        mode: SendMode,
    ) -> Result<Accepted<P>, SendRejected<P>> {
        let opening = match self.state {
            State::Closed
            | State::Open(Open {
                flow: Flow::Closing(_),
                ..
            }) => return Err(SendRejected::Closed(payload)),
            State::Open(Open {
                flow: Flow::Opening { .. },
                ..
            }) => true,
            _ => false,
        };
        let lane = if mode.first || opening {
            Lane::First
        } else {
            Lane::Ordinary
        };
        let ttl = mode.ttl_ms.or(self.options.values().message_ttl);
        let message = Queued {
            payload,
            bytes,
            expires: ttl.map(|ttl| now.after(ttl)),
            refused: false,
        };
        if self.may_transmit(lane) {
            let generation = self.generation;
            let payload = self.take_in_hand(lane, message, mode.volatile);
            if self.effects.is_empty() {
                return Ok(Accepted::Transmit {
                    generation,
                    payload,
                });
            }
            self.transmit(generation, payload);
            return Ok(Accepted::Sent(Sent::Now));
        }
        self.enqueue(now, lane, message, mode).map(Accepted::Sent)
    }

    /// Accepts a frame of a session, which belongs to the current connection: ahead of the queue, and beyond its limits. When
    /// the connection has ended, [`forget_frames`](Self::forget_frames) removes what is left. The rest is as for
    /// [`send`](Self::send); `None` if no connection is open.
    pub fn send_frame(&mut self, payload: P, bytes: usize) -> Option<Accepted<P>> {
        if !self.is_open() {
            return None;
        }
        let message = Queued {
            payload,
            bytes,
            expires: None,
            refused: false,
        };
        if !self.may_transmit(Lane::First) {
            self.queue.push(Lane::First, message);
            return Some(Accepted::Sent(Sent::Queued));
        }
        let generation = self.generation;
        let payload = self.take_in_hand(Lane::First, message, false);
        if self.effects.is_empty() {
            return Some(Accepted::Transmit {
                generation,
                payload,
            });
        }
        self.transmit(generation, payload);
        Some(Accepted::Sent(Sent::Now))
    }

    /// Forgets the frames for a connection that has ended. Nothing else is in the queue of one that carries a session.
    pub fn forget_frames(&mut self) {
        drop(self.queue.take_all());
    }

    /// Whether the next message goes to the browser at once, ahead of the queue.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.may_transmit(Lane::First)
    }

    /// Reports a message that [`send`](Self::send) returned because the connection is closing or closed, for an API
    /// whose `send` does not fail then. Then deliver the events.
    pub fn discard(&mut self, payload: P, bytes: usize) {
        let message = Queued {
            payload,
            bytes,
            expires: None,
            refused: false,
        };
        self.report_dropped(DropReason::Closed, vec![message]);
    }

    /// Keeps a message that cannot go out now, or drops it.
    #[inline(never)]
    fn enqueue(
        &mut self,
        now: Time,
        lane: Lane,
        message: Queued<P>,
        mode: SendMode,
    ) -> Result<Sent, SendRejected<P>> {
        let bytes = message.bytes;
        if mode.volatile {
            self.report_dropped(DropReason::Volatile, vec![message]);
            return Ok(Sent::Dropped);
        }
        self.expire(now);
        if !self.fits(bytes) {
            match self.options.values().overflow {
                Overflow::Reject => return Err(SendRejected::Full(message.payload)),
                Overflow::DropOldest if self.could_fit(bytes) => self.make_room(bytes),
                Overflow::DropOldest | Overflow::DropNewest => {
                    self.report_dropped(DropReason::Overflow, vec![message]);
                    return Ok(Sent::Dropped);
                }
            }
        }
        self.queue.push(lane, message);
        self.pump(now);
        Ok(Sent::Queued)
    }

    /// Takes back what was to be done with a socket that is gone or suspended: a message that was being sent, and questions.
    pub(super) fn reclaim(&mut self) {
        // One full rotation restores the order of what stays.
        for _ in 0..self.effects.len() {
            match self.effects.pop_front() {
                Some(Effect::Transmit { payload, .. }) => self.take_back(payload, false),
                Some(
                    Effect::Ping { .. }
                    | Effect::KeepAlive { .. }
                    | Effect::Measure { .. }
                    | Effect::Turn { .. },
                ) => {}
                Some(effect) => self.effects.push_back(effect),
                None => return,
            }
        }
    }

    /// Whether a message is being passed to the socket of this attempt.
    fn is_in_hand(&self, generation: Generation) -> bool {
        self.in_hand
            .as_ref()
            .is_some_and(|in_hand| in_hand.generation == generation)
    }

    /// Whether an earlier connection was given up for the message in hand.
    fn refuses_again(&self) -> bool {
        self.in_hand.as_ref().is_some_and(|in_hand| in_hand.refused)
    }

    /// Puts the message in hand back where it came from; a volatile one is dropped. `refused` says that the
    /// connection is given up for it.
    #[inline(never)]
    pub(super) fn take_back(&mut self, payload: P, refused: bool) {
        if let Some(in_hand) = self.in_hand.take() {
            let InHand { lane, volatile, .. } = in_hand;
            let mut message = in_hand.back(payload);
            message.refused |= refused;
            if volatile {
                self.report_dropped(DropReason::Volatile, vec![message]);
            } else {
                self.queue.put_back(lane, message);
            }
        }
    }

    pub(super) fn ready(&mut self, now: Time) {
        if let State::Open(open) = &mut self.state {
            match &mut open.flow {
                Flow::Opening { ready } => *ready = true,
                Flow::Gated => {
                    open.flow = Flow::Flowing;
                    self.pump(now);
                }
                _ => return,
            }
            self.gate_opens(now);
        }
    }

    /// Whether a message of this lane may go to the browser now: ahead of the queue, or because the queue is empty.
    fn may_transmit(&self, lane: Lane) -> bool {
        if self.in_hand.is_some() || self.queue.has_first() {
            return false;
        }
        let State::Open(open) = &self.state else {
            return false;
        };
        let passes = match open.flow {
            Flow::Opening { .. } | Flow::Gated => lane == Lane::First,
            Flow::Flowing => lane == Lane::First || self.queue.is_empty(),
            _ => false,
        };
        passes && open.has_window()
    }

    fn fits(&self, bytes: usize) -> bool {
        self.could_fit(bytes)
            && self.queue.len() < self.options.values().max_queued_messages as usize
            && self.queue.bytes().saturating_add(bytes)
                <= self.options.values().max_queued_bytes as usize
    }

    /// Whether a message of this size would fit into an empty queue.
    fn could_fit(&self, bytes: usize) -> bool {
        self.options.values().max_queued_messages > 0
            && bytes <= self.options.values().max_queued_bytes as usize
    }

    fn make_room(&mut self, bytes: usize) {
        let mut dropped = Vec::new();
        while !self.fits(bytes)
            && let Some(oldest) = self.queue.pop_oldest()
        {
            dropped.push(oldest);
        }
        self.report_dropped(DropReason::Overflow, dropped);
    }

    /// Records the message being passed to the browser.
    fn take_in_hand(&mut self, lane: Lane, message: Queued<P>, volatile: bool) -> P {
        let Queued {
            payload,
            bytes,
            expires,
            refused,
        } = message;
        self.in_hand = Some(InHand {
            generation: self.generation,
            lane,
            bytes,
            expires,
            volatile,
            refused,
        });
        payload
    }

    /// Emits the effect that passes the message in hand to the browser, after the effects before it.
    fn transmit(&mut self, generation: Generation, payload: P) {
        self.effects.push_back(Effect::Transmit {
            generation,
            payload,
        });
    }

    /// Passes the next message of the queue to the browser, if allowed.
    #[inline(never)]
    pub(super) fn pump(&mut self, now: Time) {
        if self.in_hand.is_some() {
            return;
        }
        let State::Open(open) = &self.state else {
            return;
        };
        // Closing hands over everything that is left: nobody will look at the marks any more.
        let (only_first, closing) = match &open.flow {
            Flow::Flowing => (false, false),
            Flow::Opening { .. } | Flow::Gated => (true, false),
            Flow::Closing(closing) if !closing.handshake => (closing.gated, true),
            _ => return,
        };
        let passes = closing || open.has_window();
        self.expire(now);
        if passes {
            match self.queue.pop(only_first) {
                Some((lane, message)) => {
                    let payload = self.take_in_hand(lane, message, false);
                    self.transmit(self.generation, payload);
                }
                None if closing => self.start_handshake(),
                None => {}
            }
        }
    }

    /// The browser accepted the message that it was passed.
    pub fn transmitted(&mut self, now: Time, generation: Generation) {
        let Some(InHand { bytes, .. }) = self
            .in_hand
            .take_if(|in_hand| in_hand.generation == generation)
        else {
            return;
        };
        self.totals.message(Count::Sent, bytes);
        let is_current = self.is_current(generation);
        let open = match &mut self.state {
            State::Open(open) if is_current => open,
            _ => {
                // Its socket was lost while the browser accepted it.
                self.totals.message(Count::Unconfirmed, bytes);
                return;
            }
        };
        open.unconfirmed.handed_over(bytes);
        if open.may_plan_question() {
            open.plan_question(now);
        }
        open.handed = open.handed.saturating_add(bytes as u64);
        open.buffered = open.buffered.saturating_add(bytes as u64);
        if open.buffered >= u64::from(self.options.values().high_water_mark) {
            self.measure();
        }
        self.pump(now);
    }

    /// The browser's `send` threw.
    pub(super) fn transmit_failed(
        &mut self,
        now: Time,
        generation: Generation,
        payload: P,
        error: Option<String>,
    ) {
        if !self.is_in_hand(generation) {
            return;
        }
        // A connection that was suspended meanwhile is not given up for the message.
        let connected = self.is_current(generation) && (self.is_open() || self.is_closing());
        if connected && self.refuses_again() {
            self.drop_refused(payload);
            self.pump(now);
            return;
        }
        self.take_back(payload, connected);
        match self.state {
            State::Open(_) if connected && self.is_closing() => {
                self.abandon_closing(Cause::SendFailed, error);
            }
            State::Open(_) if connected => self.lose(now, Cause::SendFailed, error),
            // It had ended before the browser returned the message.
            State::Closed => self.drop_queue(),
            _ => {}
        }
    }

    /// Drops the message in hand, so that it does not end one connection after the other.
    fn drop_refused(&mut self, payload: P) {
        if let Some(in_hand) = self.in_hand.take() {
            let message = in_hand.back(payload);
            self.report_dropped(DropReason::Refused, vec![message]);
        }
    }

    #[inline(never)]
    pub(super) fn measure(&mut self) {
        if let State::Open(open) = &mut self.state
            && !core::mem::replace(&mut open.measuring, true)
        {
            self.effects.push_back(Effect::Measure {
                generation: self.generation,
            });
        }
    }

    pub(super) fn buffered(&mut self, now: Time, bytes: u64) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.measuring = false;
        open.buffered = bytes;
        if let Flow::Closing(closing) | Flow::Suspending(closing) = &mut open.flow {
            let shrinks = bytes < closing.buffered;
            if !closing.handshake {
                return;
            }
            closing.buffered = bytes;
            if shrinks {
                closing.deadline = now.after(self.options.values().close_timeout);
                closing.judging = false;
                self.latest.turning = None;
            } else if closing.judging {
                self.let_arrive(now, CLOSE_DEADLINE);
            }
            return;
        }
        let mark = if open.blocked {
            // At the low mark itself, they flow again.
            u64::from(self.options.values().low_water_mark).saturating_add(1)
        } else {
            u64::from(self.options.values().high_water_mark)
        };
        open.blocked = bytes >= mark;
        let left = open.handed.saturating_sub(bytes);
        let judges = core::mem::take(&mut open.judging);
        let asks = core::mem::take(&mut open.asking) || judges && open.liveness.begins(now);
        open.liveness.look(now, left, bytes, asks);
        let watches = open.blocked || open.liveness.is_watching();
        open.measure_at = watches.then(|| now.after(DRAIN_POLL_MS));
        if judges {
            // Its ping precedes what remains in the queue.
            self.look_for_life(now);
            self.ask_if_due(now);
        }
        self.pump(now);
    }

    /// Measures the browser's buffer; `judges` says that the answer decides about the silence.
    pub(super) fn look_at_buffer(&mut self, now: Time, judges: bool) {
        if let State::Open(open) = &mut self.state {
            open.judging |= judges;
            open.measure_at = Some(now.after(DRAIN_POLL_MS));
            open.measuring = false;
            self.measure();
        }
    }

    pub(super) fn expire(&mut self, now: Time) {
        if self.queue.next_expiry().is_some_and(|at| at <= now) {
            self.drop_expired(now);
        }
    }

    #[inline(never)]
    fn drop_expired(&mut self, now: Time) {
        let expired = self.queue.take_expired(now);
        self.report_dropped(DropReason::Expired, expired);
    }

    #[inline(never)]
    pub(super) fn drop_queue(&mut self) {
        let unsent = self.queue.take_all();
        self.report_dropped(DropReason::Closed, unsent);
    }
}
