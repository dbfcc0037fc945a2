//! When the timer must end something, and what a silence means.

use steady_socket::connection::{Cause, Generation, Phase, Report};

use super::{Ending, Turn, Upload, Violation, World};

/// A timer later than this, in milliseconds, says nothing about the server.
pub(super) const ASLEEP: u64 = 2_000;

/// How long the core waits for a requested turn of the event loop before it asks again, in milliseconds.
pub(super) const AGAIN: u64 = 5_000;

/// An upload of this many bytes counts even if nobody sees a part of it leave.
const LARGE: u64 = 65_536;

/// How often a dead connection may be given more time, once nothing suggests that it is alive: if it is asked late,
/// after an apparent sleep, and because a timer was late again.
const STAGES: u32 = 3;

impl World {
    /// The timer is about to be reported: records the consequences.
    pub(super) fn timer_is_told(&mut self) {
        let now = self.now;
        match self.core.phase() {
            Phase::Connecting if now.saturating_sub(self.deadline) > ASLEEP && !self.late => {
                self.deadline = now + ASLEEP;
                self.late = true;
            }
            Phase::Open => {
                if let (Some(at), Some(interval)) =
                    (self.life.keepalive, self.settings.keepalive_interval)
                    && at <= now
                {
                    let missed = (now - at) / interval;
                    self.life.keepalive = Some(at + (missed + 1) * interval);
                    self.life.keepalive_due = true;
                }
                self.life.judging = self.life_due().is_some_and(|at| at <= now);
                if !self.life.judging {
                    self.question_may_be_due();
                }
            }
            _ => {}
        }
    }

    /// After a timer that was due: everything past its deadline has requested a turn of the event loop.
    pub(super) fn check_deadlines(
        &self,
        was: (Phase, u64),
        least_before: Option<(u64, u64)>,
    ) -> Result<(), Violation> {
        if (self.core.phase(), self.generation()) != was {
            return Ok(());
        }
        let overdue = match was.0 {
            Phase::Closing | Phase::Suspended
                if was.0 == Phase::Closing || self.is_suspending() =>
            {
                let least = self.socket(was.1).and_then(|socket| socket.least_buffered);
                least == least_before
                    && least.is_some_and(|(_, at)| self.now >= at + self.settings.close_timeout)
            }
            _ => self.overdue().is_some(),
        };
        ensure!(
            !overdue || self.turning.is_some(),
            "{:?} goes on beyond its deadline",
            was.0
        );
        Ok(())
    }

    /// What would be lost now if nothing more arrived, and since when. Not for a closing handshake.
    fn overdue(&self) -> Option<(u64, Ending)> {
        match self.core.phase() {
            Phase::Connecting => {
                let cause = if self.provider.is_some() {
                    Cause::ProviderTimeout
                } else {
                    Cause::ConnectTimeout
                };
                (self.deadline <= self.now).then(|| (self.deadline, Ending::abnormal(cause, false)))
            }
            Phase::Open => {
                let (by, probe) = self.life.by.filter(|(by, _)| *by <= self.now)?;
                let cause = if probe {
                    Cause::ProbeTimeout
                } else {
                    Cause::HeartbeatTimeout
                };
                let slept = !self.life.excused && self.now - by > ASLEEP;
                (!slept).then(|| (by, Ending::abnormal(cause, true)))
            }
            _ => None,
        }
    }

    /// The deadline `at`, or when the core asks again for the turn of the event loop that it has caused.
    pub(super) fn unless_turning(&self, at: u64) -> u64 {
        match self.turning {
            Some((_, deadline, again)) if deadline == at => again,
            _ => at,
        }
    }

    /// It is time to ask what the server has received, unless it is asked anyway: one ping does for both.
    pub(super) fn question_may_be_due(&mut self) {
        let due = self.question_due().is_some_and(|at| at <= self.now);
        self.life.question_due = due && !self.life.ping_due;
    }

    /// The core requests a turn of the event loop.
    pub(super) fn turn_is_wanted(
        &mut self,
        generation: Generation,
        number: u32,
    ) -> Result<(), Violation> {
        let turn = Turn {
            generation: generation.number(),
            number,
        };
        if turn.generation != self.generation()
            || self.core.lost().is_some()
            || matches!(self.core.phase(), Phase::Waiting | Phase::Closed)
        {
            // It was lost through what was done just before this.
            self.turns.push_back(turn);
            return Ok(());
        }
        let deadline = match self.core.phase() {
            Phase::Closing | Phase::Suspended => {
                let least = self
                    .socket(turn.generation)
                    .and_then(|socket| socket.least_buffered);
                let ended = least.map(|(_, at)| at + self.settings.close_timeout);
                ended.filter(|at| *at <= self.now)
            }
            _ => self.overdue().map(|(deadline, _)| deadline),
        };
        let Some(deadline) = deadline else {
            return Err("the event loop is to turn before nothing".into());
        };
        if let Some((earlier, earlier_deadline, again)) = self.turning
            && earlier_deadline == deadline
        {
            ensure!(
                again <= self.now && earlier == turn,
                "the event loop is to turn twice for {deadline}"
            );
        } else {
            ensure!(!self.turns.contains(&turn), "{turn:?} for another deadline");
        }
        self.turning = Some((turn, deadline, self.now + AGAIN));
        self.turns.push_back(turn);
        Ok(())
    }

    /// The event loop has turned: of the newest attempt for the oldest request.
    pub(super) fn event_loop_turns(&mut self, number: u64) -> Result<(), Violation> {
        let newest = number == self.generation();
        let wanted = newest.then(|| self.turns.pop_front()).flatten();
        let turn = wanted.unwrap_or(Turn {
            generation: number,
            number: 1,
        });
        let Some(generation) = self.generation_of(turn.generation) else {
            return Ok(());
        };
        let input = Report::Turned(turn.number).of(generation);
        let was = self.core.phase();
        let due = match was {
            Phase::Connecting => Some(self.deadline),
            Phase::Open => self.life_due(),
            _ => self.turning.map(|(_, deadline, _)| deadline),
        };
        let last = self
            .turning
            .filter(|(last, ..)| *last == turn && turn.generation == self.generation());
        if last.is_none_or(|(_, deadline, _)| Some(deadline) != due) {
            return self.tell(input);
        }
        self.turning = None;
        let ending = self.overdue().map(|(_, ending)| ending);
        if ending.is_none() && was == Phase::Open {
            self.act_on_silence();
        }
        let ends = ending.is_some();
        self.tell_end(input, ending)?;
        self.carry_out()?;
        ensure!(
            !ends || self.core.phase() != was,
            "{was:?} goes on although nothing came in time"
        );
        Ok(())
    }

    pub(super) const fn hear(&mut self) {
        self.life.heard = self.now;
        self.life.quiet = self.now;
        self.life.by = None;
        self.life.excused = false;
        self.life.upload = None;
        self.life.asked = None;
        self.life.overdue = None;
    }

    /// When the account says that the core must check the server.
    pub(super) fn life_due(&self) -> Option<u64> {
        let life = self.life;
        if let Some((by, _)) = life.by {
            return Some(by);
        }
        // Before the gate is open, a server that answers pings can only be judged by its own beats.
        let judged = !life.gated || !life.answers || life.beats;
        life.interval
            .filter(|_| judged)
            .map(|interval| life.quiet + interval)
    }

    /// The browser's buffer was measured because the silence is due: applies the consequences.
    pub(super) fn act_on_silence(&mut self) {
        let (now, grace) = (self.now, self.settings.heartbeat_grace);
        let Some(due) = self.life_due().filter(|due| *due <= now) else {
            return;
        };
        let asks = self.life.answers && !self.life.gated;
        let begins = self.life.by.is_none();
        let dead = if begins { due + grace } else { due };
        if !self.life.excused && now.saturating_sub(dead) > ASLEEP {
            self.life.excused = true;
            self.woken = Some(now);
            let time = if asks {
                self.settings.probe_timeout.max(grace)
            } else {
                self.settings.probe_timeout
            };
            self.life.by = Some((now + time, true));
            self.life.ping_due = asks;
        } else if begins {
            let moves = self.life.upload.is_some_and(|upload| upload.end > 0);
            let start = if asks || moves { now } else { due };
            self.life.by = Some((start + grace, false));
            self.life.ping_due = asks;
        }
    }

    /// A hint says that the world has changed.
    pub(super) fn ask_because_of_a_hint(&mut self) {
        let now = self.now;
        let life = &mut self.life;
        if life.gated {
            life.owed = true;
            return;
        }
        let past = life
            .by
            .is_some_and(|(by, _)| now.saturating_sub(by) > ASLEEP);
        let goes_on = life
            .by
            .is_some_and(|(_, probe)| probe && (life.excused || !past));
        if !goes_on {
            life.excused |= past;
            life.by = Some((now + self.settings.probe_timeout, true));
        }
        life.ping_due = true;
        life.asking = true;
        life.asked = Some(now);
        life.overdue = None;
    }

    /// The application opens the gate.
    pub(super) fn gate_opens(&mut self) {
        self.life.gated = false;
        if self.life.answers {
            self.life.by = None;
            if core::mem::take(&mut self.life.owed) {
                self.ask_because_of_a_hint();
            }
        }
        if self.life.keepalive.is_none() {
            let interval = self.settings.keepalive_interval;
            self.life.keepalive = interval.map(|interval| self.now + interval);
        }
    }

    /// The browser holds this many bytes of those that it was given.
    pub(super) fn look_at_upload(&mut self, handed: u64, held: u64) {
        let now = self.now;
        let left = handed.saturating_sub(held);
        let due = self.life_due().is_some_and(|due| due <= now);
        let begins = self.life.judging && self.life.by.is_none() && due;
        let asks = core::mem::take(&mut self.life.asking) || begins;
        let probe_timeout = self.settings.probe_timeout;
        let life = &mut self.life;
        let Some(upload) = &mut life.upload else {
            if asks && held > 0 {
                life.upload = Some(Upload {
                    end: (left + held).max(2),
                    left,
                    counts: held >= LARGE,
                });
            }
            return;
        };
        if upload.end == 0 {
            return;
        }
        let moves = left > upload.left;
        let over = left >= upload.end;
        upload.left = upload.left.max(left);
        upload.counts |= moves && !over;
        let goes_on = moves && upload.counts;
        if over {
            upload.end = 0;
        }
        if goes_on {
            life.overdue = None;
            match &mut life.by {
                Some((by, true)) => *by = (*by).max(now + probe_timeout),
                by => {
                    *by = None;
                    life.quiet = now;
                }
            }
        }
    }

    /// After a timer: whether a silent connection is kept for too long, however sleeps, probes and late timers may have
    /// excused it. A simple bound that knows nothing of how the silence is judged.
    pub(super) fn check_silence(&mut self) -> Result<(), Violation> {
        if self.core.phase() != Phase::Open {
            return Ok(());
        }
        let (now, settings) = (self.now, self.settings);
        let life = &mut self.life;
        let silent = life
            .interval
            .filter(|_| !life.gated || !life.answers || life.beats)
            .map(|interval| life.quiet + interval + settings.heartbeat_grace);
        let asked = life.asked.map(|asked| asked + settings.probe_timeout);
        if silent.max(asked).is_none_or(|at| now < at) {
            return Ok(());
        }
        let longest = settings.probe_timeout.max(settings.heartbeat_grace);
        let (since, stages) = life.overdue.get_or_insert((now, 0));
        if now >= *since + longest {
            (*since, *stages) = (now, *stages + 1);
        }
        ensure!(
            *stages < STAGES || self.turning.is_some(),
            "nothing was heard since {}, and the connection is kept at {now}",
            life.heard
        );
        Ok(())
    }
}
