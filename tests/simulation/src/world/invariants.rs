//! Invariants that hold whenever all effects are carried out and all outputs are delivered.

use steady_socket::TOO_BIG;
use steady_socket::connection::{Phase, Time};

use super::{Fate, Flow, Socket, Violation, World};

impl World {
    /// Checks the invariants.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        if self.telling {
            return Ok(());
        }
        self.check_sockets()?;
        self.check_timer()?;
        self.check_messages()?;
        let ready_state = match self.core.phase() {
            Phase::Connecting | Phase::Waiting | Phase::Suspended => 0,
            Phase::Open => 1,
            Phase::Closing => 2,
            Phase::Idle | Phase::Closed => 3,
        };
        ensure!(
            self.core.ready_state() == ready_state,
            "readyState is {} in {:?}",
            self.core.ready_state(),
            self.core.phase()
        );
        ensure!(
            self.told == self.core.phase(),
            "told {:?}, is {:?}",
            self.told,
            self.core.phase()
        );
        ensure!(
            self.told_until == (self.told == Phase::Waiting).then_some(self.wait_until),
            "the next attempt was reported for {:?}, but is due at {}",
            self.told_until,
            self.wait_until
        );
        ensure!(
            self.closing_with
                .is_none_or(|(code, _)| code != Some(TOO_BIG)),
            "a message was too big, and the socket was not closed for it"
        );
        // Nobody is asked on a socket that was lost before its turn came.
        let asked = matches!(self.core.phase(), Phase::Open | Phase::Closing);
        self.life.ping_due &= asked;
        self.life.question_due &= asked;
        self.life.keepalive_due &= asked;
        ensure!(
            !self.life.ping_due && !self.life.question_due,
            "a ping is due, and none was sent"
        );
        ensure!(
            !self.life.keepalive_due,
            "a keepalive is due, and none was sent"
        );
        ensure!(
            self.expected.is_empty(),
            "not reported: {:?}",
            self.expected.front()
        );
        ensure!(self.to_deliver.is_empty(), "a message was not delivered");
        ensure!(!self.told_error, "an error without a close");
        ensure!(
            self.told_final == (self.core.phase() == Phase::Closed),
            "the final close was reported: {}, in {:?}",
            self.told_final,
            self.core.phase()
        );
        let snapshot = self.core.snapshot(Time::from_millis(self.now));
        ensure!(
            snapshot.attempts == self.generation()
                && snapshot.opens == self.opens
                && snapshot.abandoned == self.abandoned
                && snapshot.sent == self.sent
                && snapshot.received == self.received
                && snapshot.dropped == self.dropped
                && snapshot.unconfirmed == self.unconfirmed,
            "counters: {snapshot:?}; sent {:?}, received {:?}, dropped {:?}, unconfirmed {:?}, \
             opens {}, abandoned {}",
            self.sent,
            self.received,
            self.dropped,
            self.unconfirmed,
            self.opens,
            self.abandoned
        );
        Ok(())
    }

    fn check_sockets(&self) -> Result<(), Violation> {
        ensure!(self.live <= 1, "{} live sockets", self.live);
        let socket = self.socket(self.generation());
        let live = socket.is_some_and(Socket::is_live);
        ensure!(
            self.live == usize::from(live),
            "an earlier socket is still live"
        );
        let searching = self.provider.is_some();
        let phase = self.core.phase();
        let agrees = match phase {
            Phase::Idle | Phase::Waiting | Phase::Closed | Phase::Suspended => !live && !searching,
            Phase::Connecting => live != searching && socket.is_none_or(|socket| !socket.opened),
            Phase::Open => live && !searching && socket.is_some_and(|socket| socket.opened),
            Phase::Closing => {
                !live
                    && !searching
                    && socket.is_some_and(|socket| {
                        socket.close_called.is_some() && !socket.closed && !socket.abandoned
                    })
            }
        };
        ensure!(
            agrees,
            "{phase:?} does not go with a provider that runs: {searching}, and the socket {socket:?}"
        );
        ensure!(
            self.provider
                .is_none_or(|number| number == self.generation()),
            "an earlier search still runs"
        );
        Ok(())
    }

    fn check_timer(&self) -> Result<(), Violation> {
        let timer = self.timer();
        let settings = &self.settings;
        let latest = match self.core.phase() {
            Phase::Idle | Phase::Closed => None,
            Phase::Waiting => Some(self.wait_until),
            Phase::Connecting => Some(self.unless_turning(self.deadline)),
            Phase::Suspended if !self.is_suspending() => None,
            Phase::Closing | Phase::Suspended => {
                Some(self.now.saturating_add(settings.close_timeout))
            }
            // Measured again within a second.
            Phase::Open => {
                let looks = self.blocked || self.life.upload.is_some_and(|upload| upload.end > 0);
                let drain = looks.then_some(self.measured_at + 1_000);
                let life = self.life_due().map(|due| self.unless_turning(due));
                life.into_iter()
                    .chain(drain)
                    .chain(self.life.keepalive)
                    .chain(self.question_due())
                    .min()
            }
        };
        if let Some(latest) = latest {
            ensure!(
                timer.is_some_and(|at| at <= latest),
                "in {:?} the timer is {timer:?}, it is wanted by {latest}",
                self.core.phase()
            );
        }
        let earliest_expiry = self
            .waiting
            .iter()
            .filter_map(|id| self.messages[*id as usize].expires)
            .min();
        if let Some(expiry) = earliest_expiry {
            ensure!(
                timer.is_some_and(|at| at <= expiry),
                "the timer is {timer:?}, a message expires at {expiry}"
            );
        }
        if latest.is_none() && self.waiting.is_empty() {
            // One more measurement, after an upload was watched and something has arrived.
            let last_look = self.core.phase() == Phase::Open
                && timer == self.core.upcoming().look.map(Time::as_millis);
            ensure!(
                timer.is_none() || last_look,
                "in {:?} a timer is armed for nothing",
                self.core.phase()
            );
        }
        Ok(())
    }

    fn check_messages(&mut self) -> Result<(), Violation> {
        let queued = self.core.snapshot(Time::from_millis(self.now)).queued;
        ensure!(
            queued == self.told_queue,
            "{queued:?} in the queue, reported were {:?}",
            self.told_queue
        );
        ensure!(
            queued.messages == self.waiting.len() as u64 && queued.bytes == self.waiting_bytes(),
            "{queued:?}, but {} messages with {} bytes were neither sent nor reported",
            self.waiting.len(),
            self.waiting_bytes()
        );
        let (mut extra, mut extra_bytes) = (0, 0);
        for id in self.came_back.into_iter().flatten() {
            extra += 1;
            extra_bytes += self.messages[id as usize].bytes as u64;
        }
        ensure!(
            queued.messages <= u64::from(self.settings.max_queued_messages) + extra
                && queued.bytes <= u64::from(self.settings.max_queued_bytes) + extra_bytes,
            "the queue holds {queued:?}"
        );
        for id in self.overtaken.drain(..) {
            ensure!(
                self.messages[id as usize].fate == Fate::Dropped,
                "message {id} of the first lane was overtaken"
            );
        }
        ensure!(
            self.core.phase() != Phase::Closed || self.waiting.is_empty(),
            "messages wait for a connection that is over"
        );
        if self.core.phase() == Phase::Open && !self.blocked {
            ensure!(
                !matches!(self.flow, Flow::Announcing | Flow::Opening { .. }),
                "`open` was not handed out"
            );
            let stuck = self.waiting.iter().any(|id| {
                let message = self.messages[*id as usize];
                message.first || self.flow == Flow::Flowing
            });
            ensure!(!stuck, "messages wait although they may flow");
        }
        Ok(())
    }
}
