//! Whether the server at the other end of an open connection is still alive.
//!
//! Any frame is a sign of life, and so is progress on a large upload. Deadlines are moments, not counts of ticks. A
//! timer may fire late, before frames that already wait, or after a sleep. So a server that answers pings is pinged
//! before it is judged, its time to answer starts when the ping goes out, and the connection lets the event loop turn
//! once before it gives up (see [`Effect::Turn`](super::Effect::Turn)).

use super::Time;

/// A timer this late, in milliseconds, says nothing about the server: the page slept or was busy. A hidden page's
/// timers are up to a second late.
pub(super) const STALE_MS: u64 = 2_000;

/// How many bytes the browser may hold for a moment, on the way to the network. Anything beyond waits for the
/// network.
const LARGE_BYTES: u64 = 65_536;

/// What is known about the server.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Liveness {
    /// The start of the silence: when something last arrived, or a large upload last made progress.
    quiet: Time,
    /// How long the server may be silent, in milliseconds; `None` if it need not send anything.
    interval: Option<u64>,
    /// How long it may then take to answer or to send something.
    grace: u64,
    probe_timeout: u64,
    /// The server answers pings.
    pings: bool,
    /// The server has announced how often it will send something.
    beats: bool,
    /// The application has not opened the gate yet, so no pings may go out either.
    gated: bool,
    /// Meanwhile something happened for which the server would have been pinged.
    owed: bool,
    /// Whether `silence` differs from its default. If not, a message need not touch it.
    broken: bool,
    silence: Silence,
}

/// The state of the current silence.
#[derive(Clone, Debug, Default, Hash)]
struct Silence {
    /// When something must arrive, once the silence has lasted for the interval or the server was pinged.
    by: Option<Time>,
    /// Whether that is because the page woke or the network changed.
    probe: bool,
    /// Whether a late timer was already excused. Once is enough: a page whose timers tick once a minute looks as if
    /// it slept each time.
    excused: bool,
    upload: Upload,
}

/// What the browser held when the server was first pinged in this silence, or would have been: the answer comes after
/// it. Later messages do not count, so that this ends.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Upload {
    /// Where its end is in everything handed over; 0 before there is one, [`Upload::OVER`] once it has left.
    mark: u64,
    /// How much had left the browser at the last measurement.
    left: u64,
    /// Whether it is large, or was seen to leave in parts. A small one may only have been passing through.
    counts: bool,
}

impl Upload {
    const OVER: u64 = 1;
}

/// What to do at the current time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing to do.
    Fine,
    /// It is time to ping.
    Ask,
    /// The deadline passed long ago: the page slept or was busy.
    Stale,
    /// Silent for too long.
    Silent,
    /// The server was pinged because the page woke or the network changed, and did not answer.
    Unanswered,
}

impl Liveness {
    pub(super) fn new(
        now: Time,
        interval: Option<u64>,
        grace: u64,
        probe_timeout: u64,
        pings: bool,
        gated: bool,
    ) -> Self {
        Self {
            quiet: now,
            interval,
            grace,
            probe_timeout,
            pings,
            gated,
            ..Self::default()
        }
    }

    /// The server, which was just heard, promises to send something every so many milliseconds.
    pub(super) const fn expect(&mut self, now: Time, interval: u64) {
        self.quiet = now;
        self.interval = Some(interval);
        self.beats = true;
    }

    /// Whether it matters when something arrives.
    pub(super) const fn is_timed(&self) -> bool {
        self.interval.is_some()
    }

    pub(super) fn sign_of_life(&mut self, now: Time) {
        self.quiet = now;
        if core::mem::take(&mut self.broken) {
            self.silence = Silence::default();
        }
    }

    /// The page is known to have slept: a late timer may be excused again.
    pub(super) const fn slept(&mut self) {
        self.silence.excused = false;
    }

    /// The application opens the gate. Returns whether to send a ping.
    pub(super) fn pass(&mut self, now: Time) -> bool {
        self.gated = false;
        if self.pings {
            // Whatever was awaited, it was not asked for.
            self.silence.by = None;
        }
        core::mem::take(&mut self.owed) && self.probe(now)
    }

    const fn can_ask(&self) -> bool {
        self.pings && !self.gated
    }

    pub(super) fn next_timer(&self) -> Option<Time> {
        if let Some(by) = self.silence.by {
            return Some(by);
        }
        // Until it may be pinged, a server that answers pings is judged by its own beats or not at all.
        let interval = self
            .interval
            .filter(|_| !self.pings || !self.gated || self.beats)?;
        Some(self.quiet.after(interval))
    }

    /// Whether it is time to measure the browser's buffer, and then to [`judge`](Self::judge).
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next_timer().is_some_and(|at| at <= now)
    }

    pub(super) fn judge(&self, now: Time) -> Life {
        let Some(at) = self.next_timer().filter(|at| *at <= now) else {
            return Life::Fine;
        };
        let asks = self.silence.by.is_none();
        let dead = if asks { at.after(self.grace) } else { at };
        if !self.silence.excused && now.since(dead) > STALE_MS {
            Life::Stale
        } else if asks {
            Life::Ask
        } else if self.silence.probe {
            Life::Unanswered
        } else {
            Life::Silent
        }
    }

    /// The silence has lasted for the interval. Returns whether to send a ping; a server that cannot be pinged is
    /// awaited.
    pub(super) fn ask(&mut self, now: Time) -> bool {
        let asks = self.can_ask();
        // Progress must be visible for as long, too.
        let starts = if asks || self.silence.upload.mark > Upload::OVER {
            now
        } else {
            self.next_timer().unwrap_or(now)
        };
        self.wait_until(starts.after(self.grace), false);
        asks
    }

    /// Starts a probe with its own timeout; returns whether to send a ping. A server that does not answer pings
    /// can only be awaited, if it promised to send something at all.
    pub(super) fn probe(&mut self, now: Time) -> bool {
        if !self.can_ask() {
            self.owed = self.pings;
            return false;
        }
        let Silence {
            by, probe, excused, ..
        } = self.silence;
        // A probe in progress continues: its deadline must not move.
        let given_up = |by: Time| !probe || (!excused && now.since(by) > STALE_MS);
        if by.is_none_or(given_up) {
            self.silence.excused |= by.is_some_and(|by| now.since(by) > STALE_MS);
            self.wait_until(now.after(self.probe_timeout), true);
        }
        true
    }

    /// After a sleep, or what looks like one: the server is pinged, if possible, and gets time. Returns whether to
    /// send a ping.
    pub(super) fn wait_again(&mut self, now: Time) -> bool {
        let asks = self.can_ask();
        let time = if asks {
            self.probe_timeout.max(self.grace)
        } else {
            self.probe_timeout
        };
        self.wait_until(now.after(time), true);
        self.silence.excused = true;
        asks
    }

    const fn wait_until(&mut self, by: Time, probe: bool) {
        self.silence.by = Some(by);
        self.silence.probe = probe;
        self.broken = true;
    }

    /// Whether to measure the browser's buffer periodically.
    pub(super) const fn is_watching(&self) -> bool {
        self.silence.upload.mark > Upload::OVER
    }

    /// Whether the silence has lasted for the interval, and nothing has been done about it.
    pub(super) fn begins(&self, now: Time) -> bool {
        self.silence.by.is_none() && self.is_due(now)
    }

    /// The browser holds `held` bytes, and `left` bytes have left it on this connection. If bytes leave that it held
    /// when it `asks`, the silence starts anew.
    pub(super) fn look(&mut self, now: Time, left: u64, held: u64, asks: bool) {
        let upload = &mut self.silence.upload;
        if upload.mark == 0 {
            if asks && held > 0 {
                *upload = Upload {
                    mark: left.saturating_add(held).max(2),
                    left,
                    counts: held >= LARGE_BYTES,
                };
                self.broken = true;
            }
            return;
        }
        let moves = left > upload.left;
        let is_over = left >= upload.mark;
        upload.left = left.max(upload.left);
        upload.counts |= moves && !is_over;
        let progress = moves && upload.counts;
        if is_over {
            upload.mark = Upload::OVER;
            upload.counts = false;
        }
        if progress {
            match self.silence.by {
                Some(by) if self.silence.probe => {
                    self.silence.by = Some(by.max(now.after(self.probe_timeout)));
                }
                _ => {
                    self.quiet = now;
                    self.silence.by = None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn listening(interval: Option<u64>) -> Liveness {
        Liveness::new(at(0), interval, 10, 5, false, false)
    }

    /// Likewise, of a server that answers pings.
    fn pinging(interval: Option<u64>) -> Liveness {
        Liveness::new(at(0), interval, 10, 5, true, false)
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
        assert_eq!(life.next_timer(), Some(at(20)));
        assert_eq!(life.judge(at(20)), Life::Ask);
        assert!(!life.ask(at(20)), "it cannot be asked");
        assert_eq!(life.next_timer(), Some(at(30)));
        assert_eq!(life.judge(at(29)), Life::Fine);
        assert_eq!(life.judge(at(30)), Life::Silent);
        life.sign_of_life(at(25));
        assert_eq!(life.judge(at(30)), Life::Fine);
        assert_eq!(life.next_timer(), Some(at(45)));
        // A late measurement moves nothing.
        assert!(!life.ask(at(50)));
        assert_eq!(life.next_timer(), Some(at(55)));
    }

    // [R1][R20]
    #[test]
    fn a_server_that_answers_pings_is_never_judged_before_it_had_its_time_to_answer() {
        let life = pinging(Some(20));
        for asked in [20, 29, 30, 1_000, 30 + STALE_MS] {
            assert_eq!(life.judge(at(asked)), Life::Ask, "at {asked}");
            let mut life = life.clone();
            assert!(life.ask(at(asked)));
            assert_eq!(life.judge(at(asked + 9)), Life::Fine);
            assert_eq!(life.judge(at(asked + 10)), Life::Silent);
            life.sign_of_life(at(asked + 9));
            assert_eq!(life.next_timer(), Some(at(asked + 29)));
        }
    }

    #[test]
    fn a_probe_has_a_deadline_of_its_own_that_does_not_move() {
        assert!(!listening(Some(20)).probe(at(1)), "it cannot be asked");
        let mut life = pinging(Some(20));
        assert!(life.probe(at(1)));
        assert!(life.probe(at(4)));
        assert_eq!(life.next_timer(), Some(at(6)));
        assert_eq!(life.judge(at(5)), Life::Fine);
        assert_eq!(life.judge(at(6)), Life::Unanswered);
        life.sign_of_life(at(5));
        assert_eq!(life.judge(at(6)), Life::Fine);
    }

    // [R22][F33]
    #[test]
    fn a_deadline_long_past_means_that_the_page_slept() {
        let mut life = listening(Some(20));
        life.ask(at(20));
        assert_eq!(life.judge(at(30 + STALE_MS)), Life::Silent);
        assert_eq!(life.judge(at(31 + STALE_MS)), Life::Stale);
        assert!(!life.wait_again(at(5_000)));
        assert_eq!(life.next_timer(), Some(at(5_005)));
        assert_eq!(life.judge(at(5_005)), Life::Unanswered);
        // A server that can be pinged has as long as ever.
        let mut life = pinging(Some(20));
        assert!(life.wait_again(at(6_000)));
        assert_eq!(life.next_timer(), Some(at(6_010)));
    }

    #[test]
    fn a_sleep_excuses_one_silence_once() {
        let mut life = pinging(Some(20));
        // Timers that tick once a minute.
        assert_eq!(life.judge(at(60_000)), Life::Stale);
        life.wait_again(at(60_000));
        assert_eq!(life.judge(at(120_000)), Life::Unanswered);
        life.slept();
        assert_eq!(life.judge(at(120_000)), Life::Stale);
        life.sign_of_life(at(120_000));
        assert_eq!(life.judge(at(180_000)), Life::Stale);
    }

    // [R20]
    #[test]
    fn hints_do_not_put_a_loss_off_for_ever() {
        let mut life = pinging(None);
        assert!(life.probe(at(0)));
        // Each arrives before the timer, in a page that is repeatedly busy.
        let kept = (1..10).take_while(|turn| {
            let now = at(turn * 10_000);
            life.probe(now);
            life.judge(now) != Life::Unanswered
        });
        assert!(kept.count() <= 2);
    }

    // [R34]
    #[test]
    fn before_the_gate_is_open_nobody_is_asked() {
        let mut life = Liveness::new(at(0), Some(20), 10, 5, true, true);
        assert_eq!(life.next_timer(), None);
        assert!(!life.probe(at(50)));
        // The deferred ping goes out now.
        assert!(life.pass(at(100)));
        assert_eq!(life.next_timer(), Some(at(105)));

        let mut life = Liveness::new(at(0), Some(20), 10, 5, true, true);
        assert!(!life.pass(at(100)));
        assert_eq!(life.judge(at(100)), Life::Ask);

        // Its own beats can be judged throughout, and are no reason to give it up later without a ping.
        let mut life = Liveness::new(at(0), None, 10, 5, true, true);
        life.expect(at(0), 20);
        assert_eq!(life.judge(at(20)), Life::Ask);
        assert!(!life.ask(at(20)));
        assert!(!life.pass(at(30)));
        assert_eq!(life.judge(at(30)), Life::Ask);
    }

    /// Simulates a large upload leaving the browser, with measurements of the bytes that it still holds.
    fn looks(life: &mut Liveness, handed: u64, looks: &[(u64, u64)]) {
        for (now, held) in looks {
            let asks = life.begins(at(*now));
            life.look(at(*now), handed - held, *held, asks);
        }
    }

    // [R1]
    #[test]
    fn a_large_upload_that_goes_on_is_a_sign_of_life_and_one_that_stands_still_is_not() {
        const HANDED: u64 = 40_000_000;
        let mut life = pinging(Some(20));
        looks(&mut life, HANDED, &[(5, 30_000_000)]);
        assert_eq!(life.next_timer(), Some(at(20)), "nothing is judged yet");
        looks(&mut life, HANDED, &[(20, 20_000_000)]);
        assert!(life.ask(at(20)));
        assert!(life.is_watching());
        looks(&mut life, HANDED, &[(25, 20_000_000)]);
        assert_eq!(life.next_timer(), Some(at(30)), "it stands still");
        looks(&mut life, HANDED, &[(28, 19_000_000)]);
        assert_eq!(life.next_timer(), Some(at(48)));
        // Messages sent meanwhile do not count.
        looks(&mut life, 2 * HANDED, &[(48, HANDED + 10)]);
        assert_eq!(life.next_timer(), Some(at(68)));
        looks(&mut life, 2 * HANDED, &[(60, HANDED), (70, HANDED - 1)]);
        assert!(!life.is_watching());
        assert_eq!(life.next_timer(), Some(at(80)));
        looks(&mut life, 2 * HANDED, &[(80, 0), (81, 0)]);
        assert_eq!(life.next_timer(), Some(at(80)), "no more than once");
    }

    #[test]
    fn a_few_bytes_that_pass_through_the_browser_are_no_sign_of_life() {
        let mut life = pinging(Some(20));
        looks(&mut life, 1_000, &[(20, 1_000)]);
        life.ask(at(20));
        looks(&mut life, 1_000, &[(21, 0)]);
        assert_eq!(life.next_timer(), Some(at(30)));
        // But they do if they are seen to leave in parts.
        life.sign_of_life(at(100));
        looks(&mut life, 2_000, &[(120, 1_000), (121, 500), (122, 0)]);
        assert_eq!(life.next_timer(), Some(at(142)));
    }

    // [R1]
    #[test]
    fn an_upload_gives_time_to_a_server_that_cannot_be_asked_and_to_a_probe() {
        let mut life = listening(Some(20));
        looks(&mut life, 9_000_000, &[(20, 8_000_000)]);
        assert!(!life.ask(at(20)));
        looks(&mut life, 9_000_000, &[(30, 7_000_000)]);
        assert_eq!(life.next_timer(), Some(at(50)));

        let mut life = pinging(Some(20));
        life.sign_of_life(at(50));
        life.look(at(50), 2_000_000, 7_000_000, true);
        assert!(life.probe(at(50)));
        looks(&mut life, 9_000_000, &[(54, 6_000_000)]);
        assert_eq!(life.next_timer(), Some(at(59)));
    }
}
