//! What happens in the world of a seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use steady_socket_protocol::session::frame::{Counts, Frame, Kind, Limits};
use steady_socket_protocol::session::{
    MAX_NUMBER, MemoryOptions, Options, Overflow, Phase, SendMode, Time,
};

use super::account::Side;
use super::coverage::Coverage;
use super::word::{Fatal, Word};
use super::world::{Settings, Treat, Violation, World};
use crate::rng::Rng;

/// Steps of a seed, before everything works again.
pub const STEPS: usize = 300;

/// What may go wrong in a world.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// Time passes that is longer than the window.
    expiry: bool,
    restart_with_store: bool,
    restart_without_store: bool,
    /// The store answers late, twice, or not at all.
    late_store: bool,
    silent_store: bool,
    /// Times to live, small queues, messages that are too large.
    misuse: bool,
    fatal: bool,
    /// `close()`, a failing module, the server's application ends sessions.
    ends: bool,
    imposters: bool,
    refusals: bool,
    /// A frame is lost, forged or garbled.
    broken_peer: bool,
}

impl Faults {
    fn draw(rng: &mut Rng) -> Self {
        let mut faults = Self {
            late_store: rng.one_in(2),
            ..Self::default()
        };
        if rng.one_in(3) {
            return faults;
        }
        let mut some = |times| rng.one_in(times);
        faults.restart_with_store = some(2);
        if some(4) {
            return faults;
        }
        faults.expiry = some(2);
        faults.restart_without_store = some(3);
        faults.silent_store = some(4);
        faults.misuse = some(2);
        faults.fatal = some(3);
        faults.ends = some(2);
        faults.imposters = some(5);
        faults.refusals = some(5);
        faults.broken_peer = some(5);
        faults
    }

    /// Whether nothing may be lost.
    const fn is_calm(&self) -> bool {
        !(self.expiry
            || self.restart_without_store
            || self.silent_store
            || self.misuse
            || self.fatal
            || self.ends
            || self.imposters
            || self.refusals
            || self.broken_peer)
    }
}

/// A run that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The step at which it showed.
    pub step: usize,
    /// The last steps before.
    pub steps: Vec<String>,
    /// The promise.
    pub violation: Violation,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "seed {}, step {}: {}",
            self.seed, self.step, self.violation
        )?;
        for step in &self.steps {
            writeln!(f, "    {step}")?;
        }
        Ok(())
    }
}

/// Runs the worlds of these seeds.
///
/// # Errors
/// The first broken promise.
pub fn run_seeds(first: u64, count: u64, threads: u64) -> Result<Coverage, Box<Failure>> {
    let is_over = AtomicBool::new(false);
    let worker = &|thread: u64| {
        let mut coverage = Coverage::default();
        for seed in (first..first + count).filter(|seed| seed % threads == thread) {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            coverage
                .merge(&run_seed(seed).inspect_err(|_| is_over.store(true, Ordering::Relaxed))?);
        }
        Ok(coverage)
    };
    let results: Vec<Result<Coverage, Box<Failure>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || worker(thread)))
            .collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().expect("a worker panicked")
        };
        workers.into_iter().map(join).collect()
    });
    let mut all = Coverage::default();
    for result in results {
        all.merge(&result?);
    }
    Ok(all)
}

/// Runs the world of `seed`.
///
/// # Errors
/// The first broken promise.
pub fn run_seed(seed: u64) -> Result<Coverage, Box<Failure>> {
    run_traced(seed, false)
}

/// The same, and prints what the halves do.
///
/// # Errors
/// The first broken promise.
pub fn run_traced(seed: u64, trace: bool) -> Result<Coverage, Box<Failure>> {
    let mut script = Script::new(seed);
    script.world.trace = trace;
    let result = catch_unwind(AssertUnwindSafe(|| script.run()));
    let result = result.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("no message")))
    });
    match result {
        Ok(()) => Ok(script.world.coverage),
        Err(violation) => Err(Box::new(Failure {
            seed,
            step: script.step,
            steps: script.steps,
            violation,
        })),
    }
}

struct Script {
    rng: Rng,
    world: World,
    faults: Faults,
    identity: u64,
    step: usize,
    /// The last steps, for people.
    steps: Vec<String>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let faults = Faults::draw(&mut rng);
        let origin = match rng.below(8) {
            0 => (1 << 32) - rng.between(1, 40),
            1 if faults.misuse => MAX_NUMBER - rng.between(1, 60),
            1 => MAX_NUMBER - 5_000,
            _ => 0,
        };
        // An end learns the other's limit for a message only from a hello or welcome, so nobody sends more than the smaller.
        let mut end = || {
            let limits = Limits {
                messages: if rng.one_in(2) {
                    rng.between(1, 20)
                } else {
                    1_000
                },
                bytes: if rng.one_in(2) {
                    rng.between(50, 2_000)
                } else {
                    1 << 20
                },
                message_bytes: rng.pick(&[200, 1_000, 70_000]),
                requests: rng.pick(&[1, 2, 8, 64]),
            };
            let tight = faults.misuse && rng.one_in(2);
            Options {
                limits,
                queue_messages: if tight {
                    rng.between(1, 8) as usize
                } else {
                    1_000
                },
                queue_bytes: if tight { 500 } else { 1 << 22 },
                overflow: rng.pick(&[Overflow::Reject, Overflow::DropOldest]),
                origin,
            }
        };
        let ends = [end(), end()];
        let window_ms = if faults.expiry { 120_000 } else { 1 << 40 };
        let settings = Settings {
            ends,
            window_ms,
            store: MemoryOptions {
                sessions: if faults.misuse && faults.expiry && rng.one_in(3) {
                    1
                } else {
                    100
                },
                bytes: if faults.misuse && rng.one_in(3) {
                    300
                } else {
                    1 << 30
                },
                tombstones: if rng.one_in(4) { 1 } else { 100 },
                lease_ms: window_ms * 2,
                origin,
            },
            store_timeout_ms: if faults.silent_store { 5_000 } else { 1 << 40 },
            serial: [rng.one_in(2), rng.one_in(2)],
            slow_clock: rng.one_in(2),
        };
        let mut world = World::new(settings);
        world.fatal_answers = faults.fatal;
        Self {
            rng,
            world,
            faults,
            identity: 1,
            step: 0,
            steps: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), Violation> {
        while self.step < STEPS {
            self.step += 1;
            self.one();
            self.world.check()?;
        }
        self.note("everything works".to_owned());
        self.world.come_to_rest(self.identity)?;
        if self.faults.is_calm() {
            let owners_stay = !self.faults.restart_with_store;
            self.world.everything_is_handled(owners_stay)?;
        }
        self.note("close".to_owned());
        self.world.come_to_an_end(self.identity)
    }

    fn note(&mut self, what: String) {
        if self.world.trace {
            println!("{} {what}", self.step);
        }
        if self.steps.len() >= 60 {
            self.steps.remove(0);
        }
        self.steps.push(what);
    }

    fn side(&mut self) -> Side {
        self.rng.pick(&[Side::Client, Side::Server])
    }

    fn one(&mut self) {
        let roll = self.rng.below(1_000);
        match roll {
            0..150 => self.send(),
            150..190 => {
                let (side, key) = (self.side(), self.world.some_key());
                let within = self.rng.one_in(4).then(|| self.rng.between(1, 3_000));
                self.note(format!("{} asks, within {within:?}", side.name()));
                let fatal = self.fatal(side);
                self.world.ask(side, key, within, fatal);
            }
            190..205 => {
                let (side, key, pick) = (self.side(), self.world.some_key(), self.rng.any());
                self.note(format!("{} cancels", side.name()));
                self.world.cancel(side, key, pick);
            }
            205..220 => {
                let (side, key) = (self.side(), self.world.some_key());
                for _ in 0..self.rng.pick(&[1, 1, 30]) {
                    self.world.send_volatile(side, key);
                }
            }
            220..400 => {
                let busy: Vec<u64> = self.world.busy_to_server().collect();
                if !busy.is_empty() {
                    let number = self.rng.pick(&busy);
                    let count = self.rng.between(1, 4);
                    self.note(format!("{count} to the server on {number}"));
                    for _ in 0..count {
                        self.world.deliver_to_server(number);
                    }
                }
            }
            400..560 => {
                let count = self.rng.between(1, 4);
                self.note(format!("{count} to the client"));
                for _ in 0..count {
                    self.world.deliver_to_client();
                }
            }
            560..680 => {
                let (side, key) = (self.side(), self.world.some_key());
                if self.world.running(side, key) > 0 {
                    let (pick, how) = (self.rng.any(), self.rng.any());
                    self.note(format!("{} finishes a handler", side.name()));
                    self.world.finish(side, key, pick, how);
                }
            }
            680..740 => self.let_in(),
            740..800 => {
                if self.world.may_connect() {
                    self.note(format!("connect as {}", self.identity));
                    self.world.connect(self.identity);
                } else if self.world.gave_up {
                    self.note("a new page".to_owned());
                    self.world.new_page();
                }
            }
            800..830 => {
                let arrives = self.rng.one_in(2).then(|| self.rng.below(4) as usize);
                self.note(format!("cut at the client, {arrives:?} arrive"));
                self.world.cut_at_client(arrives);
            }
            830..840 => {
                let numbers: Vec<u64> = self.world.conns.keys().copied().collect();
                if !numbers.is_empty() {
                    let (number, arrives) = (self.rng.pick(&numbers), self.rng.below(4) as usize);
                    self.note(format!("cut {number} at the server, {arrives} arrive"));
                    self.world.cut_at_server(number, arrives);
                }
            }
            840..880 => self.pass_time(),
            880..910 => {
                self.note("turns end".to_owned());
                self.world.end_turns();
            }
            910..935 => self.store(),
            935..950 => match self.rng.below(3) {
                0 => {
                    let side = self.side();
                    self.world.lazy[side as usize] = self.rng.one_in(2);
                    self.note(format!("lazy: {:?}", self.world.lazy));
                }
                1 => {
                    let (side, most) = (self.side(), self.rng.between(1, 5) as usize);
                    self.note(format!("{} takes {most}", side.name()));
                    self.world.take_outputs(side, most);
                }
                _ => {
                    let (side, writable) = (self.side(), !self.rng.one_in(3));
                    self.note(format!("{} is writable: {writable}", side.name()));
                    self.world.set_writable(side, writable);
                }
            },
            950..960 => {
                self.note("flush, credential".to_owned());
                self.world.flush();
                self.world.send_credential();
            }
            960..965 => {
                self.note("the welcome is late".to_owned());
                self.world.welcome_is_late();
            }
            965..970 => self.ask_in_bulk(),
            _ => self.fault(),
        }
    }

    fn send(&mut self) {
        let (side, key) = (self.side(), self.world.some_key());
        let kind = match self.rng.one_in(4) {
            true => Kind::Binary,
            false => Kind::Text,
        };
        let settings = self.world.settings;
        let most = Side::BOTH.map(|side| settings.of(side).limits.message_bytes as usize);
        // Who misuses it takes the larger limit for that of the other end.
        let most = match self.faults.misuse {
            true => most[0].max(most[1]),
            false => most[0].min(most[1]),
        };
        let count = if self.rng.one_in(3) {
            self.rng.between(2, 12)
        } else {
            1
        };
        let end = self.rng.one_in(2);
        self.note(format!("{} sends {count}", side.name()));
        for _ in 0..count {
            let mut bytes = World::word_size(&mut self.rng, most);
            if !self.faults.misuse {
                bytes = bytes.min(most).min(1_000);
            }
            let expires = (self.faults.misuse && self.rng.one_in(5))
                .then(|| Time::from_millis(self.world.now + self.rng.between(1, 5_000)));
            let mode = SendMode {
                first: self.rng.one_in(8),
                awaited: self.rng.one_in(6),
                expires,
            };
            let fatal = self.fatal(side);
            self.world.send(side, key, bytes, kind, mode, fatal);
        }
        if end {
            self.world.end_turns();
        }
    }

    /// What the next message does to its receiver.
    fn fatal(&mut self, from: Side) -> Option<Fatal> {
        (self.faults.fatal && self.rng.one_in(30)).then(|| match from {
            Side::Client => {
                let code = self
                    .rng
                    .pick(&[1_002, 1_003, 1_007, 1_009, 3_471, 3_474, 4_009]);
                self.rng
                    .pick(&[Fatal::Close(code), Fatal::Close(code), Fatal::Kill])
            }
            Side::Server => Fatal::Close(self.rng.pick(&[1_002, 3_471, 4_009])),
        })
    }

    /// Many requests while a message is unfinished: their answers are freed all the same.
    fn ask_in_bulk(&mut self) {
        let (side, key) = (self.side(), self.world.some_key());
        self.note(format!("{} asks a hundred times", side.name()));
        for _ in 0..100 {
            self.world.ask(side, key, None, None);
            for _ in 0..3 {
                let busy: Vec<u64> = self.world.busy_to_server().collect();
                for number in busy {
                    self.world.deliver_to_server(number);
                }
                self.world.deliver_to_client();
            }
            let other = side.other();
            let running = self.world.running(other, key) as u64;
            if running > 0 {
                self.world.finish(other, key, running - 1, 7);
            }
        }
    }

    fn let_in(&mut self) {
        let waiting: Vec<u64> = self.world.waiting_to_be_let_in().collect();
        if !waiting.is_empty() {
            let number = self.rng.pick(&waiting);
            let allowed = !(self.faults.refusals && self.rng.one_in(10));
            let may_resume = !(self.faults.refusals && self.rng.one_in(4));
            self.note(format!("let in {number}: {allowed}, resume: {may_resume}"));
            self.world.let_in(number, allowed, may_resume);
        }
    }

    fn pass_time(&mut self) {
        let millis = match self.rng.below(8) {
            0 if self.faults.expiry => 130_000,
            1 if self.faults.expiry && self.rng.one_in(6) => {
                self.rng.pick(&[3_600_000, 90_000_000])
            }
            2 => self.rng.between(5_000, 40_000),
            3 => self.world.until_next_timer().unwrap_or(1).min(60_000),
            _ => self.rng.between(1, 1_500),
        };
        // Timers may be throttled.
        let timers = !self.rng.one_in(4);
        self.note(format!("{millis} ms pass, timers: {timers}"));
        self.world.advance(millis, timers);
    }

    fn store(&mut self) {
        if !self.faults.late_store && !self.faults.silent_store {
            return;
        }
        match self.rng.below(4) {
            0 => {
                self.world.store_waits = !self.rng.one_in(3);
                // The half may give up before the store does what it was asked.
                self.world.account.owners_vanish |= self.faults.silent_store;
                self.note(format!("the store waits: {}", self.world.store_waits));
            }
            1 => {
                self.note("the store's answer comes again".to_owned());
                self.world.answer_again();
            }
            _ => {
                let treat = match self.rng.below(5) {
                    0 => Treat::Twice,
                    1 if self.faults.silent_store => Treat::NoAnswer,
                    2 if self.faults.silent_store => Treat::NoQuestion,
                    _ => Treat::Answer,
                };
                if self.world.store_has_work() && self.world.store_waits {
                    self.world.coverage.count("a store answered late");
                }
                self.note(format!("the store works: {treat:?}"));
                self.world.work_at_store(treat);
            }
        }
    }

    /// A frame that the protocol forbids wherever it stands, and the code for it.
    fn forbidden(&mut self, to: Side) -> (Frame<Word>, u16) {
        let most = self.world.settings.of(to).limits.message_bytes as usize;
        let large = World::nobodys(most + 1);
        let too_large = match to {
            Side::Server => 1_009,
            Side::Client => 4_009,
        };
        let counts = |handled, sent| Frame::Ack(Counts { handled, sent });
        match self.rng.below(8) {
            0 => (counts(MAX_NUMBER, 0), 3_470),
            1 => (counts(0, MAX_NUMBER), 3_470),
            2 => (Frame::Got(MAX_NUMBER), 3_470),
            3 => (Frame::Awaited(MAX_NUMBER), 3_470),
            4 => (
                Frame::Batch {
                    first: MAX_NUMBER,
                    handled: None,
                    messages: vec![World::nobodys(1)],
                },
                3_470,
            ),
            5 => (Frame::Message(large), too_large),
            6 => (Frame::Request(large), too_large),
            _ => (Frame::Volatile(large), too_large),
        }
    }

    fn fault(&mut self) {
        let key = self.world.some_key();
        let roll = self.rng.below(12);
        match roll {
            0 if self.faults.restart_with_store => {
                let waiting = self.world.waiting_to_be_let_in().next();
                if self.rng.one_in(3) {
                    let (messages, bytes) = (self.rng.between(1, 20), self.rng.between(50, 2_000));
                    self.note(format!(
                        "restart with the store and a window of {messages} messages and {bytes} bytes"
                    ));
                    self.world.restart_smaller(messages, bytes);
                } else if let Some(number) = waiting
                    && self.rng.one_in(2)
                {
                    self.note(format!("another process takes {number}, and dies"));
                    self.world.take_over(number);
                } else {
                    self.note("restart with the store".to_owned());
                    self.world.restart(true);
                }
            }
            1 if self.faults.restart_without_store && self.rng.one_in(2) => {
                if self.rng.one_in(2) {
                    let millis = self.rng.pick(&[0, 0, 500, 5_000, 59_000]);
                    self.note(format!(
                        "restart without the store, behind a proxy that takes {millis} ms"
                    ));
                    self.world.restart_behind_a_slow_proxy(millis);
                } else {
                    self.note("restart without the store".to_owned());
                    self.world.restart(false);
                }
            }
            2 if self.faults.ends => {
                self.note("close()".to_owned());
                let within = self.rng.between(1, 10_000);
                self.world.close(within);
            }
            3 if self.faults.ends && self.rng.one_in(3) => {
                self.note("abort".to_owned());
                self.world.abort();
            }
            4 if self.faults.ends => {
                let full = self.rng.one_in(2);
                self.note(format!(
                    "the server's application ends the session, full: {full}"
                ));
                self.world.end_at_application(key, full);
            }
            5 if self.faults.imposters => {
                let identity = if self.rng.one_in(2) {
                    self.identity
                } else {
                    999
                };
                self.note(format!("somebody with the same secret, as {identity}"));
                self.world.imposter(identity);
            }
            6 if self.faults.refusals && self.rng.one_in(3) => {
                self.identity += 1;
                self.note(format!("the person is now {}", self.identity));
            }
            7 if self.faults.broken_peer => {
                let side = self.side();
                self.note(format!("a frame to the {} is lost", side.name()));
                self.world.lose_a_frame(side);
            }
            8 if self.faults.broken_peer => {
                let side = self.side();
                self.note(format!("garbage to the {}", side.name()));
                self.world.garble(side);
            }
            // The largest numbers may be right where numbers end.
            9 if self.faults.broken_peer && self.world.settings.ends[0].origin < 1 << 40 => {
                let side = self.side();
                let (frame, code) = self.forbidden(side);
                self.note(format!("forbidden, to the {}: {frame:?}", side.name()));
                self.world.forbid(side, frame, code);
            }
            10 if self.faults.broken_peer => {
                let one = Frame::Message(World::nobodys(1));
                let frames = match self.rng.below(5) {
                    0 => vec![Frame::Skip(self.rng.between(1, 9)); 1],
                    1 => vec![one; 1_100],
                    2 => vec![Frame::Message(World::nobodys(30_000)); 3],
                    3 => vec![Frame::Request(World::nobodys(1)); 70],
                    _ => vec![Frame::Awaited(1); 200],
                };
                self.note(format!("{} times {:?}", frames.len(), frames[0]));
                self.world.forge(frames);
            }
            _ => {
                if self.world.client.phase() == Phase::Up && self.rng.one_in(4) {
                    self.note("cut and connect".to_owned());
                    self.world.cut_at_client(None);
                    self.world.connect(self.identity);
                }
            }
        }
    }
}
