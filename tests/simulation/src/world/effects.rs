//! The core's effects.

use steady_socket::connection::{
    Cause, CloseFrame, DropReason, Effect, Generation, Input, Phase, Report,
};

use crate::coverage::Kind;
use crate::op::{Provider, Reason};

use super::{Ending, Fate, Flow, News, Socket, Violation, WORDS, World};

impl World {
    pub(super) fn carry_out(&mut self) -> Result<(), Violation> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Resolve { generation } => self.resolve(generation)?,
                Effect::CancelResolve { generation } => {
                    ensure!(
                        self.provider == Some(generation.number()),
                        "a search that is not running was cancelled"
                    );
                    self.provider = None;
                    self.news.push(News::GivenUp);
                }
                Effect::Open { generation } => self.open(generation)?,
                Effect::Transmit {
                    generation,
                    payload,
                } => self.transmit(generation, payload)?,
                Effect::Ping { generation } => {
                    let asks = core::mem::take(&mut self.life.question_due);
                    ensure!(
                        (asks || self.life.answers) && generation.number() == self.generation(),
                        "a ping for a server that does not answer it"
                    );
                    ensure!(
                        core::mem::take(&mut self.life.ping_due) || asks,
                        "a ping that is not due"
                    );
                    self.ping(generation.number())?;
                }
                Effect::KeepAlive { generation } => {
                    ensure!(
                        core::mem::take(&mut self.life.keepalive_due),
                        "a keepalive that is not due"
                    );
                    // With control messages, it is a ping like any other.
                    if self.core.uses_control_messages() {
                        self.ping(generation.number())?;
                    } else if let Some(socket) = self.socket_mut(generation.number()) {
                        socket.buffered += 5;
                    }
                }
                Effect::Judge { generation } => self.judge(generation)?,
                Effect::Turn { generation, turn } => self.turn_is_wanted(generation, turn)?,
                Effect::Measure { generation } => {
                    let number = generation.number();
                    let bytes = self
                        .socket(number)
                        .filter(|socket| !socket.abandoned)
                        .map_or(0, |socket| socket.buffered);
                    self.measured(number, bytes);
                    self.tell(Report::Buffered(bytes).of(generation))?;
                }
                Effect::Close {
                    generation,
                    code,
                    reason,
                } => {
                    let asked = self.closing_with.take();
                    ensure!(
                        asked == Some((code, reason.as_str())),
                        "a close with {code:?} {reason:?}, asked was {asked:?}"
                    );
                    let now = self.now;
                    let number = generation.number();
                    let Some(socket) = self.socket_mut(number) else {
                        return Err("a nonexistent socket was closed".into());
                    };
                    ensure!(
                        socket.opened && socket.close_called.is_none() && !socket.abandoned,
                        "a socket was closed that is not open"
                    );
                    let was_live = socket.is_live();
                    socket.close_called = Some(code);
                    socket.least_buffered = Some((u64::MAX, now));
                    if was_live {
                        self.live -= 1;
                    }
                    self.suspending = self.core.phase() == Phase::Suspended;
                    self.news.push(News::ClosingHandshake(code));
                }
                Effect::Abandon {
                    generation,
                    code,
                    reason,
                } => {
                    let (asked, why) = self.replacing.take().unwrap_or_default();
                    ensure!(
                        (code, &reason) == (asked, &why),
                        "a socket is closed with {code:?}, {reason:?} rather than {asked:?}, {why:?}"
                    );
                    let Some(socket) = self.socket_mut(generation.number()) else {
                        return Err("a nonexistent socket was abandoned".into());
                    };
                    ensure!(!socket.abandoned, "a socket was abandoned twice");
                    let was_live = socket.is_live();
                    socket.abandoned = true;
                    if was_live {
                        self.live -= 1;
                    }
                    self.abandoned += 1;
                    self.suspending = false;
                    self.news.push(News::GivenUp);
                }
            }
        }
        Ok(())
    }

    fn resolve(&mut self, generation: Generation) -> Result<(), Violation> {
        ensure!(
            generation.number() == self.generation() + 1,
            "attempt {} follows attempt {}",
            generation.number(),
            self.generation()
        );
        ensure!(self.provider.is_none(), "two searches for a URL at once");
        let Some(credit) = self
            .credit_now()
            .checked_sub(self.settings.attempt_interval)
        else {
            return Err("too many attempts in a short time".into());
        };
        self.credit = (credit, self.now);
        self.sockets.push(None);
        self.generations.push(generation);
        self.provider = Some(generation.number());
        self.asked_at = self.now;
        self.deadline = self.now + self.settings.provider_timeout;
        self.late = false;
        self.turning = None;
        self.news.push(News::Asked);
        match self.provider_mode {
            Provider::Later => Ok(()),
            Provider::Now => self.provided(generation.number(), true),
            Provider::Throws => self.provided(generation.number(), false),
        }
    }

    fn open(&mut self, generation: Generation) -> Result<(), Violation> {
        let number = generation.number();
        ensure!(
            number == self.generation(),
            "a socket is wanted for an attempt that is over"
        );
        if core::mem::take(&mut self.refuse_open) {
            let ending = Ending::abnormal(Cause::Refused, false);
            let error = Some(WORDS.to_owned());
            return self.tell_end(Report::OpenFailed(error).of(generation), Some(ending));
        }
        let made_at = self.now;
        self.deadline = made_at + self.settings.connect_timeout;
        let slot = &mut self.sockets[number as usize - 1];
        ensure!(slot.is_none(), "two sockets of one attempt");
        *slot = Some(Socket {
            made_at,
            ..Socket::default()
        });
        self.live += 1;
        ensure!(self.live <= 1, "{} live sockets", self.live);
        self.news.push(News::Made);
        Ok(())
    }

    pub(super) fn transmit(&mut self, generation: Generation, id: u64) -> Result<(), Violation> {
        let number = generation.number();
        let phase = self.core.phase();
        ensure!(
            number == self.generation(),
            "a message for an earlier socket"
        );
        let Some(socket) = self.socket(number) else {
            return Err("a message for a nonexistent socket".into());
        };
        ensure!(
            socket.opened && socket.is_live(),
            "a message for a socket that is not open"
        );
        let Some(message) = self.messages.get(id as usize).copied() else {
            return Err("a message that nobody sent".into());
        };
        ensure!(
            message.fate == Fate::Queued,
            "message {id} is sent although it is {:?}",
            message.fate
        );
        ensure!(
            self.handed_over == Some(id) || message.expires.is_none_or(|at| at > self.now),
            "message {id} is sent although its time was over"
        );
        ensure!(self.in_hand.is_none(), "two messages in hand");
        let all_lanes = match (phase, self.flow) {
            (Phase::Open, Flow::Announcing) => {
                return Err("a message is sent before `open` was delivered".into());
            }
            (Phase::Open, Flow::Opening { .. } | Flow::Gated) => false,
            (Phase::Open, Flow::Flowing) => true,
            (Phase::Closing, _) => !self.closing_gated,
            _ => return Err(format!("a message is sent in {phase:?}")),
        };
        ensure!(
            message.first || all_lanes,
            "a message passes before the application is ready"
        );
        if phase == Phase::Open {
            ensure!(
                !self.blocked && self.estimate < u64::from(self.settings.high_water_mark),
                "a message passes above the mark"
            );
        }
        if !message.first {
            let first = self
                .waiting
                .iter()
                .filter(|id| self.messages[**id as usize].first);
            self.overtaken.extend(first);
        }
        self.in_hand = Some(id);
        if let Some(code) = self.close_in_send.take() {
            self.socket_closes(number, code, false, Reason::None)?;
            self.carry_out()?;
            self.hand_out()?;
        }
        self.in_hand = None;
        if let Some(always) = self.fail_send.take() {
            self.messages[id as usize].poison |= always;
            return self.send_throws(generation, id, phase);
        }
        if message.poison {
            return self.send_throws(generation, id, phase);
        }
        let lane = &mut self.last_taken[usize::from(message.first)];
        ensure!(
            lane.is_none_or(|last| last < id),
            "message {id} comes after {lane:?} of its lane"
        );
        *lane = Some(id);
        self.messages[id as usize].fate = Fate::Taken;
        self.waiting.retain(|waiting| *waiting != id);
        self.sent.messages += 1;
        self.sent.bytes += message.bytes as u64;
        let bytes = message.bytes as u64;
        let lost = self.core.phase() != phase || number != self.generation();
        if lost {
            self.unconfirmed.messages += 1;
            self.unconfirmed.bytes += bytes;
        } else {
            self.estimate += bytes;
            self.taken(number, message.bytes);
        }
        self.transmitted(generation);
        Ok(())
    }

    /// The browser accepted a message.
    pub(super) fn transmitted(&mut self, generation: Generation) {
        let newest = generation.number() == self.generation();
        let kind = if newest {
            Kind::Transmitted
        } else {
            Kind::LateTransmitted
        };
        self.coverage.count(self.place(), kind);
        let now = self.moment(self.core.transmissions_are_timed());
        self.core.transmitted(now, generation);
    }

    /// The browser's `send` throws: the connection is given up, unless one was given up for this message before.
    /// `phase` is that of the call.
    fn send_throws(
        &mut self,
        generation: Generation,
        id: u64,
        phase: Phase,
    ) -> Result<(), Violation> {
        let number = generation.number();
        let connected = self.is_connected(number) && self.core.phase() != Phase::Suspended;
        let input = Input::TransmitFailed {
            generation,
            payload: id,
            error: Some(WORDS.to_owned()),
        };
        let message = &mut self.messages[id as usize];
        if connected && message.refused {
            message.fate = Fate::ToBeReported(DropReason::Refused);
            self.tell(input)?;
            ensure!(
                self.core.phase() == phase && number == self.generation(),
                "a connection is given up for a message that cost one before"
            );
            return Ok(());
        }
        message.refused |= connected;
        self.came_back[usize::from(message.first)] = Some(id);
        if message.volatile {
            message.fate = Fate::ToBeReported(DropReason::Volatile);
        }
        if self.core.phase() != phase {
            self.came_back_late = Some(id);
        }
        if connected && self.core.phase() == Phase::Closing {
            let error = Some(WORDS.to_owned());
            self.expect_end(CloseFrame::abnormal(), Cause::SendFailed, true, error);
        }
        let open = connected && self.core.phase() == Phase::Open;
        self.tell_end(
            input,
            open.then(|| Ending::abnormal(Cause::SendFailed, true)),
        )
    }

    /// The core learns how much the browser holds.
    pub(super) fn measured(&mut self, number: u64, bytes: u64) {
        let now = self.now;
        if number != self.generation() || self.core.lost().is_some() {
            return;
        }
        if self.core.phase() == Phase::Open {
            self.estimate = bytes;
            self.measured_at = now;
            self.blocked = if self.blocked {
                bytes > u64::from(self.settings.low_water_mark)
            } else {
                bytes >= u64::from(self.settings.high_water_mark)
            };
            let handed = self.socket(number).map_or(0, |socket| socket.handed);
            self.look_at_upload(handed, bytes);
            if core::mem::take(&mut self.life.judging) {
                self.act_on_silence();
                self.question_may_be_due();
            }
        }
        if let Some(socket) = self.socket_mut(number)
            && let Some((least, at)) = &mut socket.least_buffered
            && bytes < *least
        {
            (*least, *at) = (bytes, now);
            self.turning = None;
        }
    }
}
