//! Inputs to the core from the browser, the provider and the world.

use steady_socket::TOO_BIG;
use steady_socket::connection::{
    Cause, CloseFrame, Context, Control, Generation, Hint, Input, Loss, Phase, Pings, Report, Time,
};

use crate::coverage::Kind;
use crate::op::Reason;

use super::{Ending, Flow, Life, News, Violation, WORDS, World};

/// Numbers of messages from the server start here, to distinguish them from the application's own.
const FROM_SERVER: u64 = 1 << 40;

impl World {
    pub(super) fn generation_of(&self, number: u64) -> Option<Generation> {
        self.generations
            .get(number.checked_sub(1)? as usize)
            .copied()
    }

    pub(super) fn provided(&mut self, number: u64, ok: bool) -> Result<(), Violation> {
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        let expected = self.provider == Some(number);
        let (input, ending) = if ok {
            (Report::Resolved.of(generation), None)
        } else {
            let ending = expected.then(|| Ending::abnormal(Cause::Provider, false));
            let error = Some(WORDS.to_owned());
            (Report::ResolveFailed(error).of(generation), ending)
        };
        self.tell_end(input, ending)?;
        if expected {
            self.provider = None;
        }
        Ok(())
    }

    pub(super) fn socket_opens(&mut self, number: u64, pings: Pings) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let opens = socket.is_live() && !socket.opened;
        if !socket.closed {
            socket.opened = true;
        }
        if opens {
            socket.far_end.pings = pings;
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell(Report::Opened(pings).of(generation))?;
        if opens && newest && phase == Phase::Connecting {
            ensure!(
                self.core.phase() == Phase::Open,
                "the socket is open, the core says {:?}",
                self.core.phase()
            );
            self.opens += 1;
            self.since = self.now;
            self.flow = Flow::Announcing;
            self.estimate = 0;
            self.blocked = false;
            self.measured_at = self.now;
            self.window = None;
            let gated = self.settings.gate;
            let keepalive = self.settings.keepalive_interval.filter(|_| !gated);
            self.life = Life {
                heard: self.now,
                quiet: self.now,
                interval: self.settings.heartbeat_interval,
                answers: pings != Pings::None,
                gated,
                keepalive: keepalive.map(|interval| self.now + interval),
                ..Life::default()
            };
            self.news.push(News::Open);
        }
        Ok(())
    }

    /// Whether this is the newest attempt and its socket is open for the core, though it may be closing.
    pub(super) fn is_connected(&self, number: u64) -> bool {
        let connected = matches!(self.core.phase(), Phase::Open | Phase::Closing);
        let lost = self.core.lost().is_some();
        number == self.generation() && !lost && (connected || self.is_suspending())
    }

    /// Whether the ends of this socket exchange control messages.
    pub(super) fn uses_control(&self, number: u64) -> bool {
        self.socket(number)
            .is_some_and(|socket| socket.far_end.pings == Pings::Control)
    }

    pub(super) fn hint(&mut self, hint: Hint) -> Result<(), Violation> {
        if hint != Hint::Offline {
            self.woken = Some(self.now);
        }
        if matches!(hint, Hint::Resumed | Hint::Slept { .. }) {
            self.life.excused = false;
            self.life.overdue = None;
        }
        let before = self.generation();
        let mut attempt = false;
        if self.core.phase() == Phase::Waiting {
            let at = match hint {
                Hint::Offline => None,
                // Nothing shortens the server's wait.
                _ if self.firm => None,
                Hint::Online => {
                    let delay = 200.0 + 1_800.0 * self.step.chance;
                    Some(self.now + delay as u64)
                }
                Hint::Visible | Hint::Resumed | Hint::Slept { .. } => Some(self.now),
            };
            match at {
                Some(at) if at <= self.now => attempt = self.expect_attempt(),
                // Not before one more attempt is allowed.
                Some(at) => self.wait_until = self.wait_until.min(at.max(self.next_token())),
                None => {}
            }
        }
        if self.core.phase() == Phase::Open && self.life.answers {
            self.ask_because_of_a_hint();
        }
        self.tell(Input::Hint(hint))?;
        self.carry_out()?;
        ensure!(
            !attempt || self.generation() > before,
            "{hint:?} in a wait started no attempt"
        );
        Ok(())
    }

    pub(super) fn message_arrives(&mut self, number: u64, bytes: usize) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let suspending = self.is_suspending();
        let payload = FROM_SERVER + self.from_server;
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let counts = newest && socket.opened && !socket.closed && !socket.abandoned;
        let closing = phase == Phase::Closing || suspending;
        let connected = counts && (phase == Phase::Open || closing);
        if connected {
            self.hear();
        }
        let most = self.settings.max_message_bytes;
        if connected && !closing && most.is_some_and(|most| bytes > most as usize) {
            return self.too_big(number, Report::Message { payload, bytes });
        }
        if counts && phase == Phase::Open {
            self.from_server += 1;
            self.received.messages += 1;
            self.received.bytes += bytes as u64;
            self.to_deliver.push_back(payload);
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell(Report::Message { payload, bytes }.of(generation))
    }

    /// A message exceeds the application's limit: it is reported as such, or as a message.
    pub(super) fn too_big(&mut self, number: u64, report: Report<u64>) -> Result<(), Violation> {
        let open = self.is_connected(number) && self.core.phase() == Phase::Open;
        if let Some(generation) = self.generation_of(number) {
            if open {
                self.closing_with = Some((Some(TOO_BIG), "message too big"));
            }
            let ending = open.then(|| Ending::abnormal(Cause::MessageTooBig, true));
            self.tell_end(report.of(generation), ending)?;
        }
        ensure!(
            !open || self.core.phase() != Phase::Open,
            "the connection goes on after a message that was too big"
        );
        Ok(())
    }

    pub(super) fn socket_fails(&mut self, number: u64) -> Result<(), Violation> {
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        if !socket.closed && !socket.abandoned {
            socket.failed = true;
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        let error = Some(WORDS.to_owned());
        self.tell(Report::Error(error).of(generation))
    }

    pub(super) fn socket_closes(
        &mut self,
        number: u64,
        code: u16,
        clean: bool,
        reason: Reason,
    ) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let suspending = self.is_suspending();
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let was_live = socket.is_live();
        let failed = socket.failed;
        let ends = newest && !socket.closed && !socket.abandoned;
        socket.closed = true;
        if was_live {
            self.live -= 1;
        }
        let close = CloseFrame {
            code,
            reason: reason.text(),
            clean,
        };
        let error = failed.then(|| WORDS.to_owned());
        if ends && phase == Phase::Closing {
            self.expect_end(close.clone(), Cause::Socket, true, error.clone());
        }
        if ends && suspending {
            self.expect_suspended(close.clone(), true);
        }
        let lost = ends && matches!(phase, Phase::Connecting | Phase::Open);
        let ending = lost.then(|| Ending {
            loss: Loss {
                close: close.clone(),
                cause: Cause::Socket,
                was_open: phase == Phase::Open,
                error,
            },
            window: reason.window(),
        });
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell_end(Report::Closed(close).of(generation), ending)?;
        if ends {
            self.suspending = false;
            ensure!(
                !matches!(
                    self.core.phase(),
                    Phase::Open | Phase::Connecting | Phase::Closing
                ) || number != self.generation(),
                "the socket is closed, the core says {:?}",
                self.core.phase()
            );
        }
        Ok(())
    }

    pub(super) fn count(&mut self, input: &Input<u64>) {
        let place = self.place();
        let newest = self.generation();
        let late = |generation: &Generation, kind, late_kind| {
            if generation.number() == newest {
                kind
            } else {
                late_kind
            }
        };
        let kind = match input {
            Input::Start => Kind::Start,
            Input::Close { .. } => Kind::Close,
            Input::Reconnect { .. } => Kind::Reconnect,
            Input::Suspend { .. } => Kind::Suspend,
            Input::Resume => Kind::Resume,
            Input::Ready => Kind::Ready,
            Input::TransmitFailed { generation, .. } => {
                late(generation, Kind::TransmitFailed, Kind::LateTransmitFailed)
            }
            Input::Socket { generation, report } => {
                let (kind, late_kind) = match report {
                    Report::Resolved => (Kind::Resolved, Kind::LateResolved),
                    Report::ResolveFailed(_) => (Kind::ResolveFailed, Kind::LateResolveFailed),
                    Report::OpenFailed(_) => (Kind::OpenFailed, Kind::OpenFailed),
                    Report::Opened(_) => (Kind::Opened, Kind::LateOpened),
                    Report::Message { .. } => (Kind::Message, Kind::LateMessage),
                    Report::TooBig => (Kind::TooBig, Kind::LateTooBig),
                    Report::Error(_) => (Kind::SocketError, Kind::LateSocketError),
                    Report::Closed(_) => (Kind::SocketClosed, Kind::LateSocketClosed),
                    Report::Alive => (Kind::Alive, Kind::LateAlive),
                    Report::Pinged => (Kind::Pinged, Kind::Pinged),
                    Report::Answered => (Kind::Answered, Kind::LateAnswered),
                    Report::Control(Control::Pong { .. }) => (Kind::Pong, Kind::LatePong),
                    Report::Control(Control::Reconnect(_)) => (Kind::Window, Kind::LateWindow),
                    Report::Control(_) => (Kind::Beats, Kind::LateBeats),
                    Report::Buffered(_) => (Kind::Buffered, Kind::LateBuffered),
                    Report::Turned(_) => (Kind::Turned, Kind::LateTurned),
                    Report::Verdict(_) => (Kind::Verdict, Kind::LateVerdict),
                };
                late(generation, kind, late_kind)
            }
            Input::Hint(_) => Kind::Hint,
            Input::Timer => {
                if self.timer().is_some_and(|at| at <= self.now) {
                    Kind::TimerDue
                } else {
                    Kind::TimerEarly
                }
            }
        };
        self.coverage.count(place, kind);
    }

    /// Passes an input to the core that ends nothing but a closing handshake.
    pub(super) fn tell(&mut self, input: Input<u64>) -> Result<(), Violation> {
        self.tell_end(input, None)
    }

    /// Passes an input to the core; if it ends something, works out the consequences.
    pub(super) fn tell_end(
        &mut self,
        input: Input<u64>,
        ending: Option<Ending>,
    ) -> Result<(), Violation> {
        self.count(&input);
        self.tell_uncounted(input, ending)
    }

    /// The core has taken an input. Nothing but an end for good may drop what waits.
    fn note_end(&mut self, closes: bool) {
        if closes || matches!(self.core.phase(), Phase::Closing | Phase::Closed) {
            for id in &self.waiting {
                self.messages[*id as usize].ended = true;
            }
        }
    }

    pub(super) fn tell_uncounted(
        &mut self,
        input: Input<u64>,
        ending: Option<Ending>,
    ) -> Result<(), Violation> {
        let closes = matches!(input, Input::Close { .. });
        let Some(ending) = ending else {
            let context = Context {
                now: self.moment(self.core.heeds_time(&input)),
                chance: self.step.chance,
            };
            let was = self.core.phase();
            let turned = matches!(
                input,
                Input::Socket {
                    report: Report::Turned(_),
                    ..
                }
            );
            let may_time_out = turned && matches!(was, Phase::Closing | Phase::Suspended);
            let lost = self.core.lost().cloned();
            self.core.handle(context, input);
            ensure!(
                self.core
                    .lost()
                    .is_none_or(|loss| Some(loss) == lost.as_ref()),
                "{:?} is lost for nothing",
                self.core.lost()
            );
            self.note_end(closes);
            if may_time_out && self.core.snapshot(Time::default()).abandoned > self.abandoned {
                self.closing_timed_out(was)?;
            }
            return Ok(());
        };
        let loss = self.settings.reconnect.then(|| ending.loss.clone());
        let retry = self.expect_loss(ending);
        let context = Context {
            now: self.time(),
            chance: self.step.chance,
        };
        self.core.handle(context, input);
        ensure!(
            self.core.lost() == loss.as_ref(),
            "{:?} is lost, it should be {loss:?}",
            self.core.lost()
        );
        // The predicate is asked, unless nothing may follow anyway.
        self.carry_out()?;
        self.note_end(closes);
        let phase = self.core.phase();
        if retry.is_some() {
            ensure!(
                phase == Phase::Waiting,
                "a retry is due, the core says {phase:?}"
            );
            ensure!(
                self.core.attempt() == self.failures + 1,
                "attempt {} comes, the core says {}",
                self.failures + 1,
                self.core.attempt()
            );
        } else {
            ensure!(
                phase == Phase::Closed,
                "it is over, the core says {phase:?}"
            );
        }
        Ok(())
    }

    /// The core asks the predicate.
    pub(super) fn judge(&mut self, generation: Generation) -> Result<(), Violation> {
        ensure!(
            self.core.lost().is_some() && generation.number() == self.generation(),
            "the predicate is asked about nothing"
        );
        let verdict = Report::Verdict(self.step.verdict).of(generation);
        self.tell(verdict)
    }

    fn closing_timed_out(&mut self, was: Phase) -> Result<(), Violation> {
        let least = self
            .socket(self.generation())
            .and_then(|socket| socket.least_buffered);
        let Some((_, at)) = least else {
            return Err("a closing handshake ended before it began".into());
        };
        ensure!(
            self.now >= at + self.settings.close_timeout,
            "the closing handshake was given up {} ms after the buffer shrank",
            self.now - at
        );
        let close = CloseFrame::abnormal();
        if was == Phase::Suspended {
            self.expect_suspended(close, true);
        } else {
            self.expect_end(close, Cause::CloseTimeout, true, None);
        }
        Ok(())
    }
}
