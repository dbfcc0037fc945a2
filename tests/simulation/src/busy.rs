//! One connection in a page that is busy at random, for up to half a minute: its timers fire late, before or after
//! waiting frames. Here, unlike in the core, it is known what the server really does. So two properties can be checked
//! that must hold whatever the timers do:
//!
//! * a living server is never given up: one that answers, or sends, in time by its own clock;
//! * a dead one always is, within a bound.
//!
//! Since everything is modelled, this also checks that large uploads drain slowly, nothing passes the gate before it is
//! open, a keepalive goes out whenever the page is free to send it, and a handshake or a close that was answered in
//! time counts.

use std::collections::VecDeque;
use std::time::Duration;

use steady_socket::Options;
use steady_socket::connection::{
    Accepted, CloseFrame, Connection, Context, Control, Effect, Event, Generation, Hint, Input,
    Output, Phase, Pings, Report, SendMode, Time,
};

use crate::rng::Rng;

/// The longest uninterrupted work of the page itself, in milliseconds.
const LONGEST_TASK: u64 = 30_000;

/// The duration of a run, in milliseconds, unless the connection is lost before.
const RUN: u64 = 1_200_000;

/// How often the page can delay a loss: it is late for the ping, for the answer, and once more for an apparent sleep;
/// the turn of the event loop is late, too, and so may the delivery of the last events have been.
const DELAYS: u64 = 6;

/// More turns of the page than this within one millisecond are an endless loop.
const TURNS_AT_ONCE: u32 = 10_000;

/// The most that may wait while the page does its own work.
const BACKLOG: usize = 3;

/// What a browser may hold without it counting as a large upload, in bytes.
const UNSEEN: u64 = 65_536;

/// What waits in the event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Opened,
    Frame,
    Beat,
    Turn(Generation, u32),
    Closed,
}

/// The properties of this world.
#[derive(Clone, Copy, Debug)]
struct Climate {
    interval: Option<u64>,
    grace: u64,
    probe_timeout: u64,
    connect_timeout: u64,
    close_timeout: u64,
    keepalive: Option<u64>,
    /// When the application opens the gate, after `open`.
    gate: Option<u64>,
    /// The server answers pings, this long after they reach it.
    answers: Option<u64>,
    /// How often the server sends something unasked, and whether it announced that in a control message.
    speaks: Option<(u64, bool)>,
    /// How fast the link accepts data, in bytes a millisecond, and how much it holds out of the browser's sight.
    rate: u64,
    hidden_bytes: u64,
    uploads: bool,
    /// From then on, the server sends nothing more, and the link accepts nothing.
    dies_at: u64,
    /// One in this many tasks is a long one of the page's own.
    busy_one_in: u64,
    /// Timers fire at multiples of this.
    tick: u64,
    /// How often, in percent, a due timer fires before what waits.
    timers_first: u64,
    hints: bool,
}

impl Climate {
    fn draw(rng: &mut Rng) -> Self {
        let answers = rng.one_in(2);
        let grace = rng.pick(&[1_000, 2_000, 10_000]);
        let probe_timeout: u64 = rng.pick(&[1_000, 5_000]);
        // The answer to a ping that has left the browser arrives in time.
        let rate = rng.pick(&[200, 4_000, 50_000]);
        let hidden_bytes = rng.pick(&[0, 50_000, 100_000]);
        let on_the_way = (UNSEEN + hidden_bytes) / rate + 10;
        let time = probe_timeout.min(grace).saturating_sub(on_the_way);
        let answers = answers.then(|| rng.below(time.max(1)));
        let (rate, hidden_bytes) = if time == 0 {
            (50_000, 0)
        } else {
            (rate, hidden_bytes)
        };
        let interval = rng.pick(&[Some(1_000), Some(3_000), Some(20_000), None]);
        // Within its interval, with rare exceptions.
        let speaks = rng.one_in(3).then(|| {
            let control = rng.one_in(2);
            let least = if control {
                5_000
            } else {
                interval.unwrap_or(100_000)
            };
            (rng.between(100.min(least), least), control)
        });
        // One that sends control messages answers them, too.
        let controls = speaks.is_some_and(|(_, control)| control);
        let answers = answers.or_else(|| controls.then(|| rng.below(time.max(1))));
        // A server that can neither be pinged nor promises to send anything is not judged.
        let interval = interval.filter(|_| answers.is_some() || speaks.is_some());
        Self {
            interval,
            grace,
            probe_timeout,
            connect_timeout: rng.pick(&[1_000, 15_000]),
            close_timeout: rng.pick(&[500, 5_000]),
            keepalive: rng.pick(&[None, Some(700), Some(20_000)]),
            gate: rng.pick(&[None, None, Some(1), Some(600), Some(60_000)]),
            answers,
            speaks,
            rate,
            hidden_bytes,
            uploads: rng.one_in(3),
            dies_at: rng.pick(&[u64::MAX, u64::MAX, 10_000, 100_000, 300_000]),
            busy_one_in: rng.pick(&[2, 5, 50, 1_000]),
            tick: rng.pick(&[1, 16, 1_000, 60_000]),
            timers_first: rng.pick(&[0, 50, 100]),
            hints: rng.one_in(3),
        }
    }

    fn options(&self) -> Options {
        let millis = |millis| Duration::from_millis(millis);
        Options::default()
            .heartbeat_interval(self.interval.map(millis))
            .heartbeat_grace(millis(self.grace))
            .probe_timeout(millis(self.probe_timeout))
            .connect_timeout(millis(self.connect_timeout))
            .close_timeout(millis(self.close_timeout))
            .keepalive_interval(self.keepalive.map(millis))
            .gate(self.gate.is_some())
    }
}

struct Page {
    climate: Climate,
    rng: Rng,
    core: Connection<u64>,
    now: u64,
    /// How many turns the page has had since then.
    turns: u32,
    /// Arrivals at the machine, by time.
    arriving: Vec<(u64, Waiting)>,
    /// What has arrived or was deferred, in order.
    waiting: VecDeque<Waiting>,
    /// All bytes ever sent, and those that have reached the server at `drained_at`.
    sent: u64,
    drained: u64,
    drained_at: u64,
    /// When the server next sends something unasked.
    beat_at: Option<u64>,
    gate_at: Option<u64>,
    last_keepalive: u64,
    /// Milliseconds of long tasks since then.
    busy: u64,
    /// When something last looked like a sign of life, or the server was pinged because of a hint.
    last_sign: u64,
    done: Option<String>,
}

/// Runs the world of `seed`.
///
/// # Errors
/// The violation.
pub fn run_seed(seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed ^ 0xb057);
    let climate = Climate::draw(&mut rng);
    let page = Page {
        core: Connection::new(climate.options()),
        climate,
        rng,
        now: 0,
        turns: 0,
        arriving: Vec::new(),
        waiting: VecDeque::new(),
        sent: 0,
        drained: 0,
        drained_at: 0,
        beat_at: None,
        gate_at: None,
        last_keepalive: 0,
        busy: 0,
        last_sign: 0,
        done: None,
    };
    page.run().map_err(|wrong| format!("{wrong}\n{climate:?}"))
}

/// Runs `count` seeds from `first` on.
///
/// # Errors
/// The first seed that found something, and its finding.
pub fn run_seeds(first: u64, count: u64) -> Result<(), String> {
    for seed in first..first.saturating_add(count) {
        run_seed(seed).map_err(|wrong| format!("busy page, seed {seed}: {wrong}"))?;
    }
    Ok(())
}

impl Page {
    const fn is_dead(&self) -> bool {
        self.now >= self.climate.dies_at
    }

    fn run(mut self) -> Result<(), String> {
        self.tell(Input::Start)?;
        let handshake = self.rng.below(self.climate.connect_timeout);
        self.arriving.push((self.now + handshake, Waiting::Opened));
        while self.core.phase() == Phase::Connecting && self.now < RUN {
            self.turn()?;
        }
        if self.core.phase() != Phase::Open {
            return Err("a handshake that was answered in time was given up".into());
        }
        while self.done.is_none() && self.now < RUN {
            self.turn()?;
            self.check_bound()?;
        }
        if self.core.phase() != Phase::Open {
            return Ok(());
        }
        // A close that is answered in time ends with that answer.
        self.climate.uploads = false;
        let dead = self.is_dead();
        self.tell(Input::Close {
            code: Some(4_000),
            reason: String::new(),
        })?;
        // What is still on its way to a living server goes first.
        let on_the_way = if dead { 0 } else { RUN };
        let delays = DELAYS * (LONGEST_TASK + self.climate.tick);
        let limit = self.now + on_the_way + self.climate.close_timeout + delays;
        while self.core.phase() == Phase::Closing && self.now < limit {
            self.turn()?;
        }
        match self.done.as_deref() {
            Some("socket") if !dead => Ok(()),
            Some("close-timeout") if dead => Ok(()),
            done => Err(format!("closing ended with {done:?}, dead: {dead}")),
        }
    }

    /// The page's next step: a timer, something that waits, or idling until there is something; and occasionally its
    /// own long work.
    fn turn(&mut self) -> Result<(), String> {
        let before = self.now;
        self.take_turn()?;
        self.turns = if self.now == before {
            self.turns + 1
        } else {
            0
        };
        if self.turns > TURNS_AT_ONCE {
            return Err(format!("the page has no end of turns at {before}"));
        }
        Ok(())
    }

    fn take_turn(&mut self) -> Result<(), String> {
        let climate = self.climate;
        self.take_in();
        // What waits is eventually processed.
        if self.waiting.len() <= BACKLOG && self.rng.one_in(climate.busy_one_in) {
            let task = self.rng.below(LONGEST_TASK);
            self.busy += task;
            self.now += task;
            self.take_in();
        }
        if climate.hints && self.rng.one_in(50) {
            let hint = self.rng.pick(&[Hint::Online, Hint::Offline, Hint::Visible]);
            if climate.answers.is_some() {
                self.last_sign = self.now;
            }
            return self.tell(Input::Hint(hint));
        }
        if self.gate_at.is_some_and(|at| at <= self.now) {
            self.gate_at = None;
            self.last_sign = self.now;
            self.last_keepalive = self.now;
            self.busy = 0;
            return self.tell(Input::Ready);
        }
        if climate.uploads && self.rng.one_in(20) && self.core.phase() == Phase::Open {
            let bytes = self.rng.pick(&[100, 60_000, 1_000_000, 40_000_000]);
            let time = Time::from_millis(self.now);
            // If full, it accepts nothing.
            let sent = self.core.send(time, 1, bytes as usize, SendMode::default());
            if let Ok(Accepted::Transmit { generation, .. }) = sent {
                self.transmit(generation);
            }
            return self.settle();
        }
        let timer = self.core.next_timer().map(Time::as_millis);
        let timer = timer.map(|at| at.max(1).next_multiple_of(climate.tick));
        let due = timer.is_some_and(|at| at <= self.now);
        let first = self.waiting.is_empty() || self.rng.below(100) < climate.timers_first;
        if due && first {
            return self.tell(Input::Timer);
        }
        if let Some(waiting) = self.waiting.pop_front() {
            return self.arrives(waiting);
        }
        let next = self.arriving.iter().map(|(at, _)| *at).min();
        let until = [timer, next, self.beat_at, self.gate_at]
            .into_iter()
            .flatten()
            .min();
        self.now = until
            .unwrap_or(RUN)
            .max(self.now + 1)
            .min(RUN.max(self.now + 1));
        Ok(())
    }

    /// What has arrived at the machine waits for the page.
    fn take_in(&mut self) {
        let now = self.now;
        while let (Some(at), Some((every, _))) = (self.beat_at, self.climate.speaks)
            && at <= now
        {
            self.beat_at = Some(at + every).filter(|next| *next < self.climate.dies_at);
            self.arriving.push((at, Waiting::Beat));
        }
        self.arriving.sort_by_key(|(at, _)| *at);
        let here = self
            .arriving
            .iter()
            .take_while(|(at, _)| *at <= now)
            .count();
        self.waiting
            .extend(self.arriving.drain(..here).map(|(_, waiting)| waiting));
    }

    fn arrives(&mut self, waiting: Waiting) -> Result<(), String> {
        let generation = self.core.generation();
        if waiting != Waiting::Closed && !matches!(waiting, Waiting::Turn(..)) {
            self.last_sign = self.now;
        }
        match waiting {
            Waiting::Opened => {
                self.last_keepalive = self.now;
                self.gate_at = self.climate.gate.map(|after| self.now + after);
                self.beat_at = self.climate.speaks.map(|(every, _)| self.now + every);
                let pings = match (self.climate.answers, self.climate.speaks) {
                    (_, Some((_, true))) => Pings::Control,
                    (Some(_), _) => Pings::Application,
                    (None, _) => Pings::None,
                };
                self.tell(Report::Opened(pings).of(generation))?;
                if let Some((every, true)) = self.climate.speaks {
                    self.beats(every)?;
                }
                Ok(())
            }
            Waiting::Frame => self.tell(
                Report::Message {
                    payload: 0,
                    bytes: 1,
                }
                .of(generation),
            ),
            Waiting::Beat => match self.climate.speaks {
                Some((every, true)) => self.beats(every),
                _ => self.tell(
                    Report::Message {
                        payload: 0,
                        bytes: 1,
                    }
                    .of(generation),
                ),
            },
            Waiting::Turn(generation, turn) => self.tell(Report::Turned(turn).of(generation)),
            Waiting::Closed => self.tell(
                Report::Closed(CloseFrame {
                    code: 4_000,
                    reason: String::new(),
                    clean: true,
                })
                .of(generation),
            ),
        }
    }

    fn beats(&mut self, every: u64) -> Result<(), String> {
        let beat = Control::Beat { interval_ms: every };
        self.tell(Report::Control(beat).of(self.core.generation()))
    }

    // ----- the link

    /// How much has reached the server so far.
    fn drain(&mut self) {
        let until = self.now.min(self.climate.dies_at);
        let passed = until.saturating_sub(self.drained_at);
        self.drained = self.sent.min(self.drained + passed * self.climate.rate);
        self.drained_at = self.drained_at.max(until);
    }

    /// What the browser claims to hold.
    fn held(&mut self) -> u64 {
        self.drain();
        (self.sent - self.drained).saturating_sub(self.climate.hidden_bytes)
    }

    /// Sends something; returns when it reaches the server.
    fn send(&mut self, bytes: u64) -> u64 {
        self.drain();
        self.sent += bytes;
        self.now + (self.sent - self.drained).div_ceil(self.climate.rate)
    }

    // ----- the core

    fn tell(&mut self, input: Input<u64>) -> Result<(), String> {
        let context = self.context();
        self.core.handle(context, input);
        self.settle()
    }

    const fn context(&self) -> Context {
        Context {
            now: Time::from_millis(self.now),
            chance: 0.5,
        }
    }

    fn settle(&mut self) -> Result<(), String> {
        self.carry_out()?;
        loop {
            let output = self.core.poll_output(Time::from_millis(self.now));
            self.carry_out()?;
            match output {
                None if self.core.has_output() => {}
                None => return Ok(()),
                Some(Output::Event(Event::Closed(closed))) => {
                    let cause = closed.loss.cause.name();
                    self.done = Some(cause.into());
                    if closed.loss.was_open && closed.retry_in_ms.is_some() && !self.is_dead() {
                        return Err(format!(
                            "a living server is given up at {}: {cause}",
                            self.now
                        ));
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn carry_out(&mut self) -> Result<(), String> {
        while let Some(effect) = self.core.poll_effect() {
            let answer = match effect {
                Effect::Resolve { generation } => Report::Resolved.of(generation),
                Effect::Transmit { generation, .. } => {
                    self.transmit(generation);
                    continue;
                }
                Effect::Judge { generation } => Report::Verdict(None).of(generation),
                Effect::Measure { generation } => {
                    let bytes = self.held();
                    Report::Buffered(bytes).of(generation)
                }
                Effect::Turn { generation, turn } => {
                    // Behind what has arrived so far.
                    self.take_in();
                    self.waiting.push_back(Waiting::Turn(generation, turn));
                    continue;
                }
                Effect::Ping { .. } => {
                    self.check_gate()?;
                    let reaches = self.send(5);
                    if let Some(after) = self.climate.answers
                        && reaches + after < self.climate.dies_at
                    {
                        self.arriving.push((reaches + after, Waiting::Frame));
                    }
                    continue;
                }
                Effect::KeepAlive { .. } => {
                    self.check_gate()?;
                    self.send(5);
                    let interval = self.climate.keepalive.unwrap_or_default();
                    let longest = interval + self.busy + 2 * self.climate.tick;
                    if self.now - self.last_keepalive > longest {
                        return Err(format!(
                            "no keepalive between {} and {}",
                            self.last_keepalive, self.now
                        ));
                    }
                    (self.last_keepalive, self.busy) = (self.now, 0);
                    continue;
                }
                Effect::Close { .. } => {
                    let reaches = self.send(5);
                    // In time, after what precedes it.
                    let answer = reaches.max(self.now + self.climate.close_timeout / 2);
                    if answer < self.climate.dies_at {
                        self.arriving.push((answer, Waiting::Closed));
                    }
                    continue;
                }
                Effect::Open { .. } | Effect::CancelResolve { .. } | Effect::Abandon { .. } => {
                    continue;
                }
            };
            self.core.handle(self.context(), answer);
        }
        Ok(())
    }

    /// The browser accepts a message.
    fn transmit(&mut self, generation: Generation) {
        let bytes = self.core.snapshot(Time::default()).sent.bytes;
        self.core
            .transmitted(Time::from_millis(self.now), generation);
        let bytes = self.core.snapshot(Time::default()).sent.bytes - bytes;
        self.send(bytes);
    }

    fn check_gate(&self) -> Result<(), String> {
        match self.gate_at {
            Some(at) => Err(format!(
                "something of ours passes at {}, the gate opens at {at}",
                self.now
            )),
            None => Ok(()),
        }
    }

    /// A dead server that can be recognised as dead is eventually given up.
    fn check_bound(&mut self) -> Result<(), String> {
        let climate = self.climate;
        let beats = matches!(climate.speaks, Some((_, true)));
        let interval = match climate.interval {
            // Instead, what it sends unasked counts, if it was heard.
            Some(interval) if beats => interval.max(5_000),
            Some(interval) => interval,
            None if beats => 5_000,
            None => return Ok(()),
        };
        if self.gate_at.is_some() && climate.answers.is_some() && !beats {
            return Ok(());
        }
        let waits = DELAYS * (LONGEST_TASK + climate.tick);
        let judged = 2 * interval + 3 * climate.grace.max(climate.probe_timeout);
        // What the browser held was seen to leave until then.
        let since = self.last_sign.max(climate.dies_at);
        if self.done.is_none() && self.now > since.saturating_add(waits + judged) {
            return Err(format!(
                "a server that died at {} is kept at {}",
                climate.dies_at, self.now
            ));
        }
        Ok(())
    }
}
