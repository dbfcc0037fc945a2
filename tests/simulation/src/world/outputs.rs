//! The core's outputs to the application.

use steady_socket::Overflow;
use steady_socket::connection::{
    Cause, Closed, DropReason, Dropped, Event, Output, Phase, Tally, Time, Why,
};

use super::{Fate, Flow, Message, Violation, World};

impl World {
    pub(super) fn hand_out(&mut self) -> Result<(), Violation> {
        if self.telling {
            return Ok(());
        }
        self.telling = true;
        loop {
            if self.core.phase() == Phase::Open
                && let Flow::Opening { ready } = self.flow
            {
                self.flow = if self.settings.gate && !ready {
                    Flow::Gated
                } else {
                    Flow::Flowing
                };
            }
            let now = self.moment(self.core.messages_expire());
            let output = self.core.poll_output(now);
            self.carry_out()?;
            let Some(output) = output else {
                // The end of the `open` handler releases messages, and their fate may be an event.
                if self.core.has_output() {
                    continue;
                }
                break;
            };
            match output {
                Output::Message(id) => self.told_message(id)?,
                Output::Event(event) => self.told_event(event)?,
            }
            let mut commands = Vec::new();
            self.handlers.retain_mut(|(skip, command)| {
                if *skip == 0 {
                    commands.push(*command);
                    return false;
                }
                *skip -= 1;
                true
            });
            for command in commands {
                self.command(command)?;
            }
            self.carry_out()?;
        }
        self.telling = false;
        Ok(())
    }

    fn told_message(&mut self, id: u64) -> Result<(), Violation> {
        ensure!(
            self.told_open.is_some(),
            "a message is delivered while no connection is open"
        );
        ensure!(
            self.to_deliver.pop_front() == Some(id),
            "a message is delivered that was not to be"
        );
        Ok(())
    }

    fn told_event(&mut self, event: Event<u64>) -> Result<(), Violation> {
        if let Event::QueueChanged(queued) = event {
            ensure!(!self.told_error, "between error and close comes {event:?}");
            ensure!(
                queued != self.told_queue,
                "the same change of the queue is reported twice: {queued:?}"
            );
            self.told_queue = queued;
            return Ok(());
        }
        if self.told_final {
            // A late report is merged into one event with what a handler sends and drops after it.
            let late_report = matches!(&event, Event::Dropped(dropped)
                if dropped.reason == DropReason::Closed
                    || dropped.payloads.iter().any(|id| Some(*id) == self.came_back_late));
            let restart = matches!(&event, Event::State(change)
                if change.phase == Phase::Connecting || change.why == Why::TooManyAttempts);
            ensure!(
                late_report || restart,
                "after the final close comes {event:?}"
            );
            self.told_final = late_report;
        }
        if self.told_error {
            ensure!(
                matches!(&event, Event::Closed(_) | Event::Dropped(_)),
                "between error and close comes {event:?}"
            );
        }
        match event {
            Event::State(change) => {
                let shifts = matches!(change.why, Why::TooManyAttempts | Why::Woken);
                if change.phase == Phase::Waiting && !shifts {
                    let expected = self.expected.front();
                    ensure!(
                        expected.is_some_and(|expected| expected.retry_in == change.delay_ms
                            && expected.why == change.why),
                        "{change:?} for {expected:?}"
                    );
                }
                self.told = change.phase;
                self.told_until = change.delay_ms.map(|delay| self.now.saturating_add(delay));
            }
            Event::Open {
                generation,
                reconnected,
                ..
            } => {
                ensure!(self.told == Phase::Open, "`open` in {:?}", self.told);
                ensure!(self.told_open.is_none(), "two connections open");
                ensure!(
                    reconnected == (self.told_opens > 0),
                    "`open` says reconnected: {reconnected}"
                );
                self.told_opens += 1;
                self.told_open = Some(generation.number());
                if generation.number() == self.generation()
                    && self.core.phase() == Phase::Open
                    && self.flow == Flow::Announcing
                {
                    self.flow = Flow::Opening { ready: false };
                }
            }
            Event::Error => self.told_error = true,
            Event::Closed(closed) => self.told_closed(&closed)?,
            Event::Dropped(dropped) => self.told_dropped(&dropped)?,
            Event::QueueChanged(_) => {}
            // There is no session.
            _ => {}
        }
        Ok(())
    }

    fn told_closed(&mut self, closed: &Closed) -> Result<(), Violation> {
        let Some(expected) = self.expected.pop_front() else {
            return Err(format!("{closed:?} for no loss"));
        };
        let as_expected = closed.generation.number() == expected.generation
            && closed.loss == expected.loss
            && closed.retry_in_ms == expected.retry_in
            && closed.why == expected.why;
        ensure!(as_expected, "{closed:?} for {expected:?}");
        ensure!(
            closed.unconfirmed.messages >= expected.lost,
            "the server never had {} messages, unconfirmed are {:?}",
            expected.lost,
            closed.unconfirmed
        );
        let more = closed
            .unconfirmed
            .messages
            .saturating_sub(expected.unconfirmed.messages);
        if expected.at_least && more > 0 {
            self.unconfirmed.messages += more;
            self.unconfirmed.bytes += closed.unconfirmed.bytes - expected.unconfirmed.bytes;
        } else {
            ensure!(
                closed.unconfirmed == expected.unconfirmed,
                "unconfirmed are {:?}, reported as {:?}",
                expected.unconfirmed,
                closed.unconfirmed
            );
        }
        if closed.loss.was_open {
            ensure!(
                self.told_open.take() == Some(closed.generation.number()),
                "a connection is closed that was not open"
            );
        } else {
            ensure!(self.told_open.is_none(), "another connection is open");
        }
        let told = match closed.retry_in_ms {
            None if closed.loss.cause == Cause::Suspended => Phase::Suspended,
            None => Phase::Closed,
            Some(_) if closed.why == Why::Requested => Phase::Connecting,
            Some(_) => Phase::Waiting,
        };
        ensure!(
            self.told == told,
            "a close with {told:?} in {:?}",
            self.told
        );
        if closed.loss.cause != Cause::Reconnect {
            let failed = self
                .socket(closed.generation.number())
                .is_some_and(|socket| socket.failed);
            // A suspension does not count as a failure of the attempt.
            let fails = if closed.loss.cause == Cause::Suspended {
                closed.loss.was_open && failed
            } else {
                !closed.loss.was_open || failed
            };
            ensure!(
                self.told_error == fails,
                "`error` before it: {}, {closed:?}",
                self.told_error
            );
        }
        self.told_error = false;
        self.told_final = told == Phase::Closed;
        ensure!(
            closed.is_final() == self.told_final,
            "is_final is wrong: {closed:?}"
        );
        if self.told_final && self.core.phase() == Phase::Closed && !self.core.has_output() {
            ensure!(
                self.core.ready_state() == 3,
                "in the final close readyState is {}",
                self.core.ready_state()
            );
        }
        Ok(())
    }

    fn told_dropped(&mut self, dropped: &Dropped<u64>) -> Result<(), Violation> {
        let mut tally = Tally::default();
        ensure!(
            dropped.omitted == 0,
            "so few messages, and {} are not kept",
            dropped.omitted
        );
        if dropped.reason == DropReason::Overflow && self.settings.overflow == Overflow::DropOldest
        {
            self.check_oldest(&dropped.payloads)?;
        }
        for id in &dropped.payloads {
            let Some(message) = self.messages.get_mut(*id as usize) else {
                return Err("a message is reported that nobody sent".into());
            };
            let allowed = may_be_dropped(message, dropped.reason, self.settings.overflow, self.now);
            ensure!(
                allowed,
                "message {id} is {:?} and reported as {:?}",
                message.fate,
                dropped.reason
            );
            message.fate = Fate::Dropped;
            tally.messages += 1;
            tally.bytes += message.bytes as u64;
        }
        ensure!(
            (dropped.messages(), dropped.bytes) == (tally.messages, tally.bytes),
            "{} messages, {} bytes reported; dropped were {tally:?}",
            dropped.messages(),
            dropped.bytes
        );
        self.waiting
            .retain(|id| self.messages[*id as usize].fate != Fate::Dropped);
        self.dropped.messages += tally.messages;
        self.dropped.bytes += tally.bytes;
        Ok(())
    }

    /// The oldest ordinary messages make room.
    fn check_oldest(&self, dropped: &[u64]) -> Result<(), Violation> {
        let queued = |id: &u64| {
            let message = self.messages.get(*id as usize)?;
            (message.fate == Fate::Queued && !message.first).then_some(*id)
        };
        // If more have left the queue for reasons that are not reported yet, nothing can be said of their order.
        let stayed = self.waiting.iter().filter(|id| {
            self.messages[**id as usize].fate == Fate::Queued
                && !dropped.contains(id)
                && self.in_hand != Some(**id)
        });
        if stayed.count() as u64 != self.core.snapshot(Time::default()).queued.messages {
            return Ok(());
        }
        let newest_dropped = dropped.iter().filter_map(queued).max();
        let oldest_kept = self
            .waiting
            .iter()
            .filter(|id| !dropped.contains(id) && self.in_hand != Some(**id))
            .filter_map(queued)
            .min();
        ensure!(
            newest_dropped.is_none() || oldest_kept.is_none_or(|kept| Some(kept) > newest_dropped),
            "{dropped:?} made room, {oldest_kept:?} stayed"
        );
        Ok(())
    }
}

/// Whether a sent message may be reported as dropped for this reason.
fn may_be_dropped(message: &Message, reason: DropReason, overflow: Overflow, now: u64) -> bool {
    match (message.fate, reason) {
        (Fate::ToBeReported(reason), reported) => reason == reported,
        (Fate::Queued, DropReason::Expired) => {
            message.expires.is_some_and(|expires| expires <= now)
        }
        (Fate::Queued, DropReason::Overflow) => overflow == Overflow::DropOldest,
        (Fate::Queued, DropReason::Closed) => message.ended,
        _ => false,
    }
}
