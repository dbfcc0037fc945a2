//! Everything that a connection waits for.

use super::liveness::{Life, STALE_MS};
use super::{CLOSE_DEADLINE, Cause, Connection, Effect, Flow, Phase, State, Time, Turning, Why};

/// How long the turn of the event loop before a loss may take before another is requested, in milliseconds.
const TURN_MS: u64 = 5_000;

/// Later than every deadline.
const NEVER: Time = Time::from_millis(u64::MAX);

/// A deadline. A connection has at most one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Fires when a queued message expires.
    Expiry,
    /// Fires when the URL or the sub-protocols have taken too long.
    Resolve,
    /// Fires when the handshake has taken too long.
    Connect,
    /// Fires when the next keepalive is due, whatever the server sends.
    KeepAlive,
    /// Fires when the server has been silent for so long that it is pinged, or given up.
    Silence,
    /// Fires when the browser's buffer is to be measured again.
    Look,
    /// Fires when the server is to be asked what it has received.
    Question,
    /// Fires when a closing handshake has made no progress for too long.
    Close,
    /// Fires when the wait before the next attempt is over.
    Retry,
}

impl Timer {
    /// All of them, in the order in which they fire if several are due.
    const ALL: [Self; 9] = [
        Self::Expiry,
        Self::Resolve,
        Self::Connect,
        Self::KeepAlive,
        Self::Silence,
        Self::Look,
        Self::Question,
        Self::Close,
        Self::Retry,
    ];

    /// Whether it gives something up, which what waits in the event loop may prevent.
    const fn gives_up(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect | Self::Silence)
    }

    const fn bit(self) -> u32 {
        1_u32.wrapping_shl(self as u32)
    }
}

/// What comes next, once the effects are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// When to measure the browser's buffer. If the platform slows down timers that arm each other, the driver keeps a
    /// separate timer for this, so that these frequent measurements do not delay a deadline.
    pub look: Option<Time>,
    /// When a timer must fire for anything else.
    pub deadline: Option<Time>,
    /// Whether the connection is wanted: then the driver reports what happens to the page and the network.
    pub is_wanted: bool,
    /// Whether anything other than a change of the queue waits to be delivered.
    pub has_events: bool,
    /// Whether a change of the queue waits to be delivered.
    pub queue_has_changed: bool,
    /// Which deadlines have passed: the sum of their [`Timer::bit`]s.
    due: u32,
}

impl Upcoming {
    /// Whether anything waits to be delivered.
    #[must_use]
    pub const fn has_output(&self) -> bool {
        self.has_events || self.queue_has_changed
    }
}

impl<P> Connection<P> {
    /// When a timer must fire, if at all.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        let Upcoming { look, deadline, .. } = self.upcoming();
        Time::earliest(look, deadline)
    }

    /// What comes next: for the driver, once it has carried out the effects.
    #[must_use]
    #[inline]
    pub fn upcoming(&self) -> Upcoming {
        self.upcoming_at(Time::default())
    }

    /// The same, with the deadlines that have passed.
    #[inline(never)]
    fn upcoming_at(&self, now: Time) -> Upcoming {
        let (mut look, mut deadline, mut due) = (NEVER, NEVER, 0);
        let mut set = |timer: Timer, at: Time| {
            if at <= now {
                due |= timer.bit();
            }
            // Once the event loop was asked to turn before it, until that is asked again.
            let at = match self.latest.turning {
                Some(turning) if turning.deadline == at && timer.gives_up() => turning.again,
                _ => at,
            };
            if timer == Timer::Look {
                look = at;
            } else if at < deadline {
                deadline = at;
            }
        };
        if let Some(at) = self.queue.next_expiry() {
            set(Timer::Expiry, at);
        }
        match &self.state {
            State::Resolving { deadline } => set(Timer::Resolve, *deadline),
            State::Connecting { deadline } => set(Timer::Connect, *deadline),
            State::Open(open) => match &open.flow {
                Flow::Closing(closing) | Flow::Suspending(closing) => {
                    set(Timer::Close, closing.deadline);
                }
                flow => {
                    if let Some(at) = open.liveness.next_timer() {
                        set(Timer::Silence, at);
                    }
                    if let Some(at) = open.keepalive_at {
                        set(Timer::KeepAlive, at);
                    }
                    if let Some(at) = open.measure_at {
                        set(Timer::Look, at);
                    }
                    // Nothing may be asked before the application is ready.
                    if let (Flow::Flowing, Some(at)) = (flow, open.question_at) {
                        set(Timer::Question, at);
                    }
                }
            },
            State::Waiting { until, .. } => set(Timer::Retry, *until),
            State::Idle | State::Lost(_) | State::Closed | State::Suspended => {}
        }
        Upcoming {
            look: (look != NEVER).then_some(look),
            deadline: (deadline != NEVER).then_some(deadline),
            is_wanted: !matches!(self.phase(), Phase::Idle | Phase::Closed | Phase::Suspended),
            has_events: !self.outputs.is_empty(),
            queue_has_changed: self.queue.has_changed(),
            due,
        }
    }

    /// The timer has fired, perhaps early or late.
    pub(super) fn timer(&mut self, now: Time) {
        let mut due = self.upcoming_at(now).due;
        for timer in Timer::ALL {
            if due & timer.bit() == 0 {
                continue;
            }
            match timer {
                Timer::Expiry => self.expire(now),
                Timer::Resolve | Timer::Connect => self.attempt_is_slow(now),
                Timer::KeepAlive => self.keep_alive(now),
                // What the browser holds says whether the server is silent, or busy with what it receives.
                // One ping does for both.
                Timer::Silence => due = due & !Timer::Question.bit() | Timer::Look.bit(),
                Timer::Look => self.look_at_buffer(now, due & Timer::Silence.bit() != 0),
                Timer::Question => self.ping(),
                Timer::Close => self.closing_is_slow(now),
                Timer::Retry => self.begin(now, Why::WaitOver),
            }
        }
    }

    /// Asks the server what it has received, if that is due.
    pub(super) fn ask_if_due(&mut self, now: Time) {
        if self.upcoming_at(now).due & Timer::Question.bit() != 0 {
            self.ping();
        }
    }

    fn attempt_is_slow(&mut self, now: Time) {
        let (State::Resolving { deadline } | State::Connecting { deadline }) = &mut self.state
        else {
            return;
        };
        if now.since(*deadline) > STALE_MS && !core::mem::replace(&mut self.latest.late, true) {
            // The page was busy, and so was what it waits for.
            *deadline = now.after(STALE_MS);
            return;
        }
        let deadline = *deadline;
        self.let_arrive(now, deadline);
    }

    fn closing_is_slow(&mut self, now: Time) {
        if let State::Open(open) = &mut self.state
            && let Flow::Closing(closing) | Flow::Suspending(closing) = &mut open.flow
        {
            // If the measurement is not answered, this stands.
            closing.deadline = now.after(self.options.values().close_timeout);
            closing.judging = true;
            open.measuring = false;
            self.measure();
        }
    }

    /// Something would be given up now. But what arrived in time may still wait in the event loop, behind the timer:
    /// this gives it a chance first.
    #[inline(never)]
    pub(super) fn let_arrive(&mut self, now: Time, deadline: Time) {
        let latest = &mut self.latest;
        match latest.turning {
            Some(turning) if turning.deadline == deadline => {
                if now < turning.again {
                    return;
                }
                // Any answer will do; otherwise, timers that fire before it would put it off forever.
            }
            _ => latest.turn = latest.turn.wrapping_add(1),
        }
        latest.turning = Some(Turning {
            deadline,
            again: now.after(TURN_MS),
        });
        self.effects.push_back(Effect::Turn {
            generation: self.generation,
            turn: self.latest.turn,
        });
    }

    /// Whether this answers the last [`Effect::Turn`], and its question is still undecided.
    fn awaits(&self, turn: u32) -> bool {
        let deadline = match &self.state {
            State::Open(open) if open.closing().is_some() => Some(CLOSE_DEADLINE),
            State::Open(open) => open.liveness.next_timer(),
            State::Resolving { deadline } | State::Connecting { deadline } => Some(*deadline),
            _ => None,
        };
        let turning = self.latest.turning.filter(|_| turn == self.latest.turn);
        turning.is_some_and(|turning| deadline == Some(turning.deadline))
    }

    /// Everything waiting has arrived: what is overdue now is given up. No timer ends anything by itself.
    pub(super) fn turned(&mut self, now: Time, turn: u32) {
        if !self.awaits(turn) {
            return;
        }
        self.latest.turning = None;
        match &self.state {
            State::Resolving { deadline } if *deadline <= now => {
                self.lose(now, Cause::ProviderTimeout, None);
            }
            State::Connecting { deadline } if *deadline <= now => {
                self.lose(now, Cause::ConnectTimeout, None);
            }
            State::Open(open) => match (open.closing(), open.liveness.judge(now)) {
                (Some(closing), _) => {
                    if closing.judging {
                        self.abandon_closing(Cause::CloseTimeout, None);
                    }
                }
                (None, Life::Silent) => self.lose(now, Cause::HeartbeatTimeout, None),
                (None, Life::Unanswered) => self.lose(now, Cause::ProbeTimeout, None),
                (None, _) => self.look_for_life(now),
            },
            _ => {}
        }
    }
}
