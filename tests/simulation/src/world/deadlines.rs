//! When the timer must end something, and what a silence means.

use steady_socket::connection::{Cause, Phase};

use super::{Ending, Violation, World};

/// A timer later than this, in milliseconds, tells nothing about the server.
pub(super) const ASLEEP: u64 = 2_000;

impl World {
    pub(super) fn check_deadlines(
        &self,
        was: (Phase, u64),
        least_before: Option<(u64, u64)>,
    ) -> Result<(), Violation> {
        if (self.core.phase(), self.generation()) != was {
            return Ok(());
        }
        let overdue = match was.0 {
            Phase::Connecting if self.provider.is_some() => {
                self.now >= self.asked_at + self.settings.provider_timeout
            }
            Phase::Connecting => self
                .socket(was.1)
                .is_some_and(|socket| self.now >= socket.made_at + self.settings.connect_timeout),
            Phase::Closing | Phase::Suspended
                if was.0 == Phase::Closing || self.is_suspending() =>
            {
                let least = self.socket(was.1).and_then(|socket| socket.least_buffered);
                least == least_before
                    && least.is_some_and(|(_, at)| self.now >= at + self.settings.close_timeout)
            }
            _ => false,
        };
        ensure!(!overdue, "{:?} goes on beyond its deadline", was.0);
        Ok(())
    }

    pub(super) const fn hear(&mut self) {
        self.life.heard = self.now;
        self.life.pinged = false;
        self.life.probe = None;
        self.life.excused = false;
        self.life.asked = None;
        self.life.overdue = None;
    }

    /// When the account says that the core must look at the other end.
    pub(super) fn life_due(&self) -> Option<u64> {
        let life = self.life;
        let interval = life.interval;
        life.probe.or_else(|| {
            if life.answers && !life.pinged {
                interval.map(|interval| life.heard + interval)
            } else {
                interval.map(|interval| life.heard + interval + self.settings.heartbeat_grace)
            }
        })
    }

    /// What the silence means at this moment: the loss that it is, if it is one. Takes note of pings and
    /// of a sleep.
    fn judge_silence(&mut self) -> Option<Cause> {
        let now = self.now;
        let dead_at = self
            .life
            .interval
            .map(|interval| self.life.heard + interval + self.settings.heartbeat_grace);
        let deadline = self.life.probe.or(dead_at);
        if deadline.is_none_or(|at| at > now) {
            if self.life_due().is_some_and(|at| at <= now) {
                self.life.pinged = true;
                self.life.ping_due = true;
            }
            return None;
        }
        if !self.life.excused && deadline.is_some_and(|at| now - at > ASLEEP) {
            self.life.excused = true;
            self.woken = Some(now);
            self.life.probe = Some(now + self.settings.probe_timeout);
            self.life.pinged |= self.life.answers;
            self.life.ping_due = self.life.answers;
            return None;
        }
        Some(if self.life.probe.is_some() {
            Cause::ProbeTimeout
        } else {
            Cause::HeartbeatTimeout
        })
    }

    /// What the timer ends at this moment, by the deadlines of the options.
    pub(super) fn overdue_step(&mut self) -> Option<Ending> {
        let number = self.generation();
        if self.core.phase() == Phase::Open {
            let silence = self.judge_silence()?;
            return Some(Ending::abnormal(silence, true));
        }
        if self.provider.is_some() {
            let due = self.now >= self.asked_at + self.settings.provider_timeout;
            return due.then(|| Ending::abnormal(Cause::ProviderTimeout, false));
        }
        let socket = self
            .socket(number)
            .filter(|socket| socket.is_live() && !socket.opened)?;
        let due = self.now >= socket.made_at + self.settings.connect_timeout;
        due.then(|| Ending::abnormal(Cause::ConnectTimeout, false))
    }

    /// After a timer: whether a silent connection is kept for too long, however sleeps, probes and late timers
    /// may have excused it. A plain bound, which knows nothing of how the silence is judged.
    pub(super) fn check_silence(&mut self) -> Result<(), Violation> {
        if self.core.phase() != Phase::Open {
            return Ok(());
        }
        let (now, settings) = (self.now, self.settings);
        let life = &mut self.life;
        let silent = life
            .interval
            .map(|interval| life.heard + interval + settings.heartbeat_grace);
        let asked = life.asked.map(|asked| asked + settings.probe_timeout);
        if silent.max(asked).is_none_or(|at| now < at) {
            return Ok(());
        }
        let overdue = *life.overdue.get_or_insert(now);
        ensure!(
            now < overdue + settings.probe_timeout,
            "nothing was heard since {}, the deadline was seen to be past at {overdue}, and the connection is \
             kept at {now}",
            life.heard
        );
        Ok(())
    }
}
