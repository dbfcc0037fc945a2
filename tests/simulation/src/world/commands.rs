//! The application's commands.

use steady_socket::Overflow;
use steady_socket::connection::{
    Accepted, Cause, CloseFrame, DropReason, Input, Loss, Phase, SendMode, SendRejected, Sent, Why,
};

use crate::coverage::Kind;
use crate::op::Command;

use super::{Fate, Flow, Message, Violation, World};

impl World {
    /// Passes a command of the application to the core and carries out the effects at once.
    pub(super) fn command(&mut self, command: Command) -> Result<(), Violation> {
        let phase = self.core.phase();
        match command {
            Command::Start => self.tell(Input::Start)?,
            Command::Close { code, reason } => {
                self.forget_failures_if_stable();
                let suspending = self.is_suspending();
                match phase {
                    Phase::Suspended if suspending => {}
                    Phase::Connecting | Phase::Waiting | Phase::Suspended => {
                        self.expect_end(CloseFrame::abnormal(), Cause::Closed, false, None);
                    }
                    Phase::Open => {
                        self.closing_with = Some((code, reason));
                        self.closing_gated = match self.flow {
                            Flow::Gated => true,
                            Flow::Announcing | Flow::Opening { ready: false } => self.settings.gate,
                            Flow::Opening { ready: true } | Flow::Flowing => false,
                        };
                    }
                    _ => {}
                }
                // The queue that it hands over may coincide with the end of the connection.
                let disturbed = self.close_in_send.is_some();
                self.tell(Input::Close {
                    code,
                    reason: reason.into(),
                })?;
                self.carry_out()?;
                if matches!(
                    phase,
                    Phase::Connecting | Phase::Waiting | Phase::Open | Phase::Suspended
                ) {
                    ensure!(
                        self.core.ready_state() == 2 || disturbed,
                        "after close() readyState is {}",
                        self.core.ready_state()
                    );
                }
            }
            Command::Suspend { code, reason } => {
                match phase {
                    Phase::Connecting => {
                        let close = CloseFrame::abnormal();
                        self.expect_suspended(close, false);
                    }
                    Phase::Open => self.closing_with = Some((code.or(Some(1_000)), reason)),
                    _ => {}
                }
                self.tell(Input::Suspend {
                    code,
                    reason: reason.into(),
                })?;
                let acts = matches!(phase, Phase::Connecting | Phase::Waiting | Phase::Open);
                let expected = if acts { Phase::Suspended } else { phase };
                ensure!(
                    self.core.phase() == expected,
                    "suspended in {phase:?}, it is {:?}",
                    self.core.phase()
                );
            }
            Command::Resume if phase != Phase::Suspended => {
                self.tell(Input::Resume)?;
                ensure!(
                    self.core.phase() == phase,
                    "resumed in {phase:?}, it is {:?}",
                    self.core.phase()
                );
            }
            Command::Reconnect | Command::Resume => {
                // With a code every other time.
                let replaces = command == Command::Reconnect && phase != Phase::Suspended;
                let code = (replaces && self.generation().is_multiple_of(2)).then_some(4_321);
                let reason = code.map_or_else(String::new, |_| "again".to_owned());
                if matches!(phase, Phase::Idle | Phase::Closed | Phase::Suspended) {
                    self.failures = 0;
                    self.refusals = 0;
                }
                if self.is_suspending() {
                    self.expect_suspended(CloseFrame::abnormal(), true);
                }
                self.forget_failures_if_stable();
                let attempt = self.expect_attempt();
                if matches!(phase, Phase::Open | Phase::Closing) {
                    let begun = self
                        .socket(self.generation())
                        .is_some_and(|socket| socket.close_called.is_some());
                    let close = match code {
                        Some(code) if !begun => CloseFrame {
                            code,
                            reason: reason.clone(),
                            clean: false,
                        },
                        _ => CloseFrame::abnormal(),
                    };
                    let loss = Loss {
                        close,
                        cause: Cause::Reconnect,
                        was_open: true,
                        error: None,
                    };
                    if attempt {
                        self.expect(loss, Some(0), Why::Requested);
                    } else {
                        let wait = self.wait_until - self.now;
                        self.expect(loss, Some(wait), Why::TooManyAttempts);
                    }
                }
                let before = self.generation();
                self.tell(match command {
                    Command::Resume => Input::Resume,
                    _ => Input::Reconnect {
                        code,
                        reason: reason.clone(),
                    },
                })?;
                self.replacing = Some((code, reason));
                if !attempt {
                    ensure!(
                        self.core.phase() == Phase::Waiting && self.core.ready_state() == 0,
                        "reconnect() in {phase:?} leads to {:?}",
                        self.core.phase()
                    );
                }
                self.carry_out()?;
                self.replacing = None;
                ensure!(
                    !attempt || self.generation() > before,
                    "reconnect() in {phase:?} started no attempt"
                );
            }
            Command::Ready => {
                self.count(&Input::Ready);
                let opens = match &mut self.flow {
                    _ if phase != Phase::Open => false,
                    Flow::Opening { ready } => {
                        *ready = true;
                        true
                    }
                    flow @ Flow::Gated => {
                        *flow = Flow::Flowing;
                        true
                    }
                    Flow::Announcing | Flow::Flowing => false,
                };
                if opens {
                    self.gate_opens();
                }
                self.tell_uncounted(Input::Ready, None)?;
            }
            Command::Send { bytes, mode } => self.send(bytes, mode)?,
        }
        self.carry_out()
    }

    fn send(&mut self, bytes: usize, mode: SendMode) -> Result<(), Violation> {
        let place = self.place();
        self.coverage.count(
            place,
            match (mode.volatile, mode.first) {
                (true, _) => Kind::SendVolatile,
                (false, true) => Kind::SendFirst,
                (false, false) => Kind::Send,
            },
        );
        let phase = self.core.phase();
        let over = matches!(phase, Phase::Closing | Phase::Closed);
        let id = self.messages.len() as u64;
        let opening = phase == Phase::Open && matches!(self.flow, Flow::Opening { .. });
        let ttl = mode.ttl_ms.or(self.settings.message_ttl);
        let settled = !self.core.has_output();
        self.messages.push(Message {
            bytes,
            first: mode.first || opening,
            volatile: mode.volatile,
            expires: ttl.map(|ttl| self.now.saturating_add(ttl)),
            refused: false,
            poison: false,
            ended: false,
            fate: Fate::Queued,
        });
        let has_room = self.core.has_room(bytes);
        let ordinary = !mode.volatile && !mode.first;
        let full = self.waiting.len() >= self.settings.max_queued_messages as usize
            || self.waiting_bytes() + bytes as u64 > u64::from(self.settings.max_queued_bytes);
        ensure!(
            !over || !has_room,
            "there is room for a message in {phase:?}"
        );
        ensure!(
            has_room || over || full || !settled,
            "there is no room for a message in an empty place"
        );
        let may_expire = mode.ttl_ms.is_some() || self.core.messages_expire();
        let now = self.moment(may_expire);
        // Like the driver: what may go at once takes no queue of effects.
        let (sent, at_once) = match self.core.send(now, id, bytes, mode) {
            Ok(Accepted::Transmit {
                generation,
                payload,
            }) => (Ok(Sent::Now), Some((generation, payload))),
            Ok(Accepted::Sent(sent)) => (Ok(sent), None),
            Err(rejected) => (Err(rejected), None),
        };
        ensure!(
            !has_room || !ordinary || matches!(sent, Ok(Sent::Now | Sent::Queued)),
            "there is room for a message, and it becomes {sent:?}"
        );
        match sent {
            Ok(result) => {
                ensure!(!over, "a message was accepted in {phase:?}");
                match result {
                    Sent::Now => {
                        self.waiting.push(id);
                        self.handed_over = Some(id);
                        if let Some((generation, payload)) = at_once {
                            self.transmit(generation, payload)?;
                        }
                        self.carry_out()?;
                        self.handed_over = None;
                        ensure!(
                            self.messages[id as usize].fate == Fate::Taken
                                || self.core.phase() != phase,
                            "a message that was to be sent now was not"
                        );
                    }
                    Sent::Queued => {
                        ensure!(!mode.volatile, "a volatile message was queued");
                        self.waiting.push(id);
                    }
                    Sent::Dropped => {
                        let reason = if mode.volatile {
                            DropReason::Volatile
                        } else {
                            ensure!(
                                self.settings.overflow != Overflow::Reject,
                                "a message was dropped, not refused"
                            );
                            ensure!(full || !settled, "a message was dropped with room for it");
                            DropReason::Overflow
                        };
                        self.messages[id as usize].fate = Fate::ToBeReported(reason);
                        self.waiting.push(id);
                    }
                }
            }
            Err(SendRejected::Closed(payload)) => {
                ensure!(payload == id, "another message came back");
                ensure!(over, "a message was refused in {phase:?}");
                // An API whose `send` does not throw has it reported.
                if id.is_multiple_of(2) {
                    self.messages[id as usize].fate = Fate::ToBeReported(DropReason::Closed);
                    self.waiting.push(id);
                    self.core.discard(id, bytes);
                } else {
                    self.messages[id as usize].fate = Fate::Refused;
                }
            }
            Err(SendRejected::Full(payload)) => {
                ensure!(payload == id, "another message came back");
                ensure!(
                    self.settings.overflow == Overflow::Reject,
                    "a message was refused, not dropped"
                );
                ensure!(full || !settled, "a message was refused with room for it");
                self.messages[id as usize].fate = Fate::Refused;
            }
        }
        Ok(())
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting
            .iter()
            .map(|id| self.messages[*id as usize].bytes as u64)
            .sum()
    }
}
