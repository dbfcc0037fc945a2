//! Whether the other end of an open connection still lives.
//!
//! Any frame is a sign of life. Deadlines are moments, not counts of ticks, so that a timer that comes
//! late does no harm; one that comes very late shows that the page slept, and then the server is asked
//! once more before the connection is given up.

use super::queue::earliest;
use super::time::Time;

/// A timer that comes this late, in milliseconds, tells nothing about the server: the page slept. A
/// hidden page's timers come up to a second late.
const STALE_MS: u64 = 2_000;

/// What is known of the other end.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Liveness {
    /// When something last arrived.
    heard: Time,
    /// How long the server may be silent, in milliseconds; `None` when it need not say anything.
    interval: Option<u64>,
    /// How much longer, before it is given up.
    grace: u64,
    probe_timeout: u64,
    /// The server answers pings.
    pings: bool,
    /// A ping was sent since something last arrived.
    pinged: bool,
    /// Something has to arrive by then.
    probe: Option<Time>,
    /// In this silence a sleep was already held to the server's credit. Once is enough: a page whose timers
    /// tick once a minute looks as if it slept each time.
    excused: bool,
}

/// What the present moment means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing to do.
    Fine,
    /// It is time to ping.
    Ping,
    /// The deadline is long past: the page slept.
    Stale,
    /// Silent for too long.
    Silent,
    /// It was asked, and did not answer.
    Unanswered,
}

impl Liveness {
    pub(super) fn new(now: Time, interval: Option<u64>, grace: u64, probe_timeout: u64) -> Self {
        Self {
            heard: now,
            interval,
            grace,
            probe_timeout,
            ..Self::default()
        }
    }

    pub(super) const fn answers_pings(&mut self) {
        self.pings = true;
    }

    /// The server, which is heard now, promises to be heard within so many milliseconds.
    pub(super) const fn expect(&mut self, now: Time, interval: u64) {
        self.heard = now;
        self.interval = Some(interval);
    }

    /// Whether it matters when something arrives.
    pub(super) const fn is_timed(&self) -> bool {
        self.interval.is_some()
    }

    pub(super) const fn heard(&mut self, now: Time) {
        self.heard = now;
        self.pinged = false;
        self.probe = None;
        self.excused = false;
    }

    /// The page is known to have slept: what comes late may be held to the server's credit again.
    pub(super) const fn slept(&mut self) {
        self.excused = false;
    }

    /// When to ping, if a ping is still to be sent in this silence.
    fn ping_at(&self) -> Option<Time> {
        let interval = self.interval.filter(|_| self.pings && !self.pinged)?;
        Some(self.heard.after(interval))
    }

    /// When the silence has lasted too long.
    fn dead_at(&self) -> Option<Time> {
        Some(self.heard.after(self.interval?.saturating_add(self.grace)))
    }

    pub(super) fn next_timer(&self) -> Option<Time> {
        match self.probe {
            // It decides alone: the silence before it was asked does not count.
            Some(probe) => Some(probe),
            None => earliest(self.ping_at(), self.dead_at()),
        }
    }

    pub(super) fn judge(&self, now: Time) -> Life {
        let due = |moment: Option<Time>| moment.is_some_and(|moment| moment <= now);
        let slept = |moment: Option<Time>| {
            !self.excused && moment.is_some_and(|at| now.since(at) > STALE_MS)
        };
        if self.probe.is_some() {
            return match (due(self.probe), slept(self.probe)) {
                (false, _) => Life::Fine,
                (true, false) => Life::Unanswered,
                (true, true) => Life::Stale,
            };
        }
        match (due(self.dead_at()), slept(self.dead_at())) {
            (true, false) => Life::Silent,
            (true, true) => Life::Stale,
            (false, _) if due(self.ping_at()) => Life::Ping,
            (false, _) => Life::Fine,
        }
    }

    /// A ping goes out because of the silence.
    pub(super) const fn pinged(&mut self) {
        self.pinged = true;
    }

    /// Asks the server, within the probe's timeout; returns whether a ping is to be sent. A server that
    /// does not answer pings can only be waited for, if it promised to be heard at all.
    pub(super) fn probe(&mut self, now: Time) -> bool {
        if self.pings {
            // One that is under way goes on: its deadline must not move.
            if self.probe.is_none_or(|probe| now.since(probe) > STALE_MS) {
                self.probe = Some(now.after(self.probe_timeout));
            }
            self.pinged = true;
        }
        self.pings
    }

    /// After a sleep: the server gets as long as a probe takes, whether or not it can be asked.
    pub(super) fn wait_again(&mut self, now: Time) {
        self.probe = Some(now.after(self.probe_timeout));
        self.excused = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn listening(interval: Option<u64>) -> Liveness {
        Liveness::new(at(0), interval, 10, 5)
    }

    #[test]
    fn without_a_heartbeat_nothing_is_judged() {
        let life = listening(None);
        assert_eq!(life.next_timer(), None);
        assert_eq!(life.judge(at(u64::MAX)), Life::Fine);
    }

    // [R1]
    #[test]
    fn a_server_that_promised_to_be_heard_is_waited_for() {
        let mut life = listening(Some(20));
        assert_eq!(life.next_timer(), Some(at(30)));
        assert_eq!(life.judge(at(29)), Life::Fine);
        assert_eq!(life.judge(at(30)), Life::Silent);
        life.heard(at(25));
        assert_eq!(life.judge(at(30)), Life::Fine);
        assert_eq!(life.next_timer(), Some(at(55)));
    }

    #[test]
    fn a_server_that_answers_pings_is_asked_first() {
        let mut life = listening(Some(20));
        life.answers_pings();
        assert_eq!(life.judge(at(20)), Life::Ping);
        life.pinged();
        assert_eq!(life.judge(at(29)), Life::Fine);
        assert_eq!(life.judge(at(30)), Life::Silent);
        life.heard(at(29));
        assert_eq!(life.next_timer(), Some(at(49)));
    }

    #[test]
    fn a_probe_has_a_deadline_of_its_own_that_does_not_move() {
        let mut life = listening(Some(20));
        assert!(!life.probe(at(1)), "it cannot be asked");
        life.answers_pings();
        assert!(life.probe(at(1)));
        assert!(life.probe(at(4)));
        assert_eq!(life.next_timer(), Some(at(6)));
        assert_eq!(life.judge(at(5)), Life::Fine);
        assert_eq!(life.judge(at(6)), Life::Unanswered);
        life.heard(at(5));
        assert_eq!(life.judge(at(6)), Life::Fine);
    }

    // [R22]
    #[test]
    fn a_deadline_long_past_means_that_the_page_slept() {
        let mut life = listening(Some(20));
        assert_eq!(life.judge(at(30 + STALE_MS)), Life::Silent);
        assert_eq!(life.judge(at(31 + STALE_MS)), Life::Stale);
        life.wait_again(at(5_000));
        assert_eq!(life.next_timer(), Some(at(5_005)));
        assert_eq!(life.judge(at(5_005)), Life::Unanswered);
    }

    #[test]
    fn a_sleep_excuses_one_silence_once() {
        let mut life = listening(Some(20));
        life.answers_pings();
        // Timers that tick once a minute.
        assert_eq!(life.judge(at(60_000)), Life::Stale);
        life.probe(at(60_000));
        life.wait_again(at(60_000));
        assert_eq!(life.judge(at(120_000)), Life::Unanswered);
        life.slept();
        assert_eq!(life.judge(at(120_000)), Life::Stale);
        life.heard(at(120_000));
        assert_eq!(life.judge(at(180_000)), Life::Stale);
    }
}
