//! Sequences of inputs to the connection core, from a driver that keeps no rule but the order of time.
//!
//! The simulation is a plausible world with an exact account of every message. Here there is no such account: late,
//! repeated and contradictory inputs of any attempt come at any moment, under any options. Fewer properties hold even
//! then; they are checked after every step.

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use steady_socket::connection::{
    Accepted, CloseFrame, Connection, Context, Control, Effect, Generation, Hint, Input, Output,
    Phase, Pings, Report, SendMode, SendRejected, Time, Verdict, Window, check_close,
};
use steady_socket::options::{OPTIONS, Options};

/// The largest message, in bytes, so that no total overflows a counter that the model keeps.
const LARGEST: usize = u16::MAX as usize;

/// How many messages the queue can hold above its limit: the browser returned one of each lane after the queue had
/// filled up again.
const GIVEN_BACK: u64 = 2;

/// How many consecutive timers may be due at one moment: the end of an attempt, of a zero wait, and
/// what follows. A core that needs more would spin.
const TIMERS_AT_ONCE: u32 = 8;

/// One run: options, and what happens.
#[derive(Arbitrary, Debug)]
pub struct Run {
    /// Rows of the table of options, by index, and values as fractions of their range, in 65,535ths.
    options: Vec<(u8, Value)>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value {
    Part(u16),
    Small(u8),
    Unlimited,
}

#[derive(Arbitrary, Debug)]
struct Step {
    /// Milliseconds since the previous step.
    after: u16,
    chance: u8,
    verdict: Option<bool>,
    what: What,
}

#[derive(Arbitrary, Debug)]
enum What {
    Handle(AnyInput),
    /// The next timer, when it is due.
    Timer,
    Send {
        bytes: u16,
        first: bool,
        volatile: bool,
        ttl: Option<u16>,
    },
    /// The browser stops accepting messages, or accepts them again.
    FailSends(bool),
    /// What the browser claims to hold.
    Buffer(u32),
    /// A command from inside the next handler.
    InHandler(AnyInput),
    /// A command from inside the next call of the predicate.
    InPredicate(AnyInput),
}

/// An input; the `u8` selects the attempt, counted back from the newest.
#[derive(Arbitrary, Clone, Debug)]
enum AnyInput {
    Start,
    Close(Option<u16>, String),
    Reconnect(Option<u16>, String),
    Suspend(Option<u16>, String),
    Resume,
    Ready,
    Resolved(u8),
    ResolveFailed(u8, Option<String>),
    OpenFailed(u8, Option<String>),
    Opened(u8, u8),
    Message(u8, u16),
    TooBig(u8),
    SocketError(u8, Option<String>),
    SocketClosed(u8, u16, String, bool),
    Transmitted(u8),
    TransmitFailed(u8),
    Buffered(u8, u64),
    Pinged(u8),
    Answered(u8),
    Pong(u8, u8),
    Beat(u8, u64),
    Alive(u8),
    Window(u8, u64, u64),
    Hint(u8, u64),
    Timer,
    /// The predicate's verdict.
    Verdict(u8, Option<bool>),
    /// The event loop has turned, for the oldest request.
    Turned,
    /// The same, of any number.
    SomeTurn(u8, u8),
}

struct Driver {
    core: Connection<u32>,
    /// The limits of the queue, in messages and bytes.
    max_queued: (u64, u64),
    now: Time,
    chance: f64,
    verdict: Option<bool>,
    /// Every attempt that the core has started, oldest first.
    generations: Vec<Generation>,
    /// Sockets that were made and neither given up nor closed.
    live: Vec<Generation>,
    fail_sends: bool,
    buffer: u64,
    in_handler: Vec<AnyInput>,
    in_predicate: Vec<AnyInput>,
    /// Requested turns of the event loop.
    turns: VecDeque<(Generation, u32)>,
    /// Messages that the core has accepted.
    accepted: u64,
}

impl Run {
    /// The options, and the resulting limits of the queue, in messages and bytes.
    fn options(&self) -> (Options, (u64, u64)) {
        let mut options = Options::default();
        let mut values: Vec<f64> = OPTIONS.iter().map(|spec| spec.default).collect();
        for (index, value) in &self.options {
            let index = usize::from(*index) % OPTIONS.len();
            let spec = &OPTIONS[index];
            let number = match value {
                Value::Part(part) => {
                    let part = f64::from(*part) / f64::from(u16::MAX);
                    (spec.min + (spec.max - spec.min) * part).floor()
                }
                Value::Small(small) => spec.min + f64::from(*small),
                Value::Unlimited => f64::INFINITY,
            };
            // A value that the row rejects leaves the old one.
            if options.set(index, number).is_ok() {
                values[index] = number;
            }
        }
        let value = |name: &str| {
            let index = OPTIONS.iter().position(|spec| spec.name == name);
            values[index.expect("the table has the option")] as u64
        };
        let max_queued = (value("max_queued_messages"), value("max_queued_bytes"));
        (options, max_queued)
    }

    /// Plays the run.
    ///
    /// # Panics
    ///
    /// If the core breaks a promise.
    pub fn play(&self) {
        let (options, max_queued) = self.options();
        if options.check().is_err() {
            return;
        }
        let mut driver = Driver {
            core: Connection::new(options),
            max_queued,
            now: Time::default(),
            chance: 0.0,
            verdict: None,
            generations: vec![Generation::default()],
            live: Vec::new(),
            fail_sends: false,
            buffer: 0,
            in_handler: Vec::new(),
            in_predicate: Vec::new(),
            turns: VecDeque::new(),
            accepted: 0,
        };
        for step in &self.steps {
            driver.now = driver.now.after(u64::from(step.after));
            driver.chance = f64::from(step.chance) / 256.0;
            driver.verdict = step.verdict;
            driver.step(&step.what);
            driver.check();
        }
    }
}

impl Driver {
    fn step(&mut self, what: &What) {
        match what {
            What::Handle(input) => self.handle(input.clone()),
            What::Timer => {
                if let Some(at) = self.core.next_timer() {
                    self.now = self.now.max(at);
                }
                self.handle(AnyInput::Timer);
            }
            What::Send {
                bytes,
                first,
                volatile,
                ttl,
            } => {
                let mode = SendMode {
                    first: *first,
                    volatile: *volatile,
                    ttl_ms: ttl.map(u64::from),
                };
                match self.core.send(self.now, 0, usize::from(*bytes), mode) {
                    Ok(accepted) => {
                        self.accepted += 1;
                        if let Accepted::Transmit { generation, .. } = accepted {
                            self.transmit(generation);
                        }
                    }
                    Err(SendRejected::Full(_) | SendRejected::Closed(_)) => {}
                }
            }
            What::FailSends(fail) => self.fail_sends = *fail,
            What::Buffer(bytes) => self.buffer = u64::from(*bytes),
            What::InHandler(input) => self.in_handler.push(input.clone()),
            What::InPredicate(input) => self.in_predicate.push(input.clone()),
        }
        self.settle();
    }

    fn attempt(&self, back: u8) -> Generation {
        let last = self.generations.len().saturating_sub(1);
        self.generations[last.saturating_sub(usize::from(back))]
    }

    fn handle(&mut self, input: AnyInput) {
        let input = match input {
            AnyInput::Start => Input::Start,
            AnyInput::Close(code, reason) => {
                // The caller checks them, as the core requires.
                if check_close(code, &reason).is_err() {
                    return;
                }
                Input::Close { code, reason }
            }
            AnyInput::Reconnect(code, reason) => {
                if check_close(code, &reason).is_err() {
                    return;
                }
                Input::Reconnect { code, reason }
            }
            AnyInput::Suspend(code, reason) => {
                if check_close(code, &reason).is_err() {
                    return;
                }
                Input::Suspend { code, reason }
            }
            AnyInput::Resume => Input::Resume,
            AnyInput::Ready => Input::Ready,
            AnyInput::Resolved(back) => Report::Resolved.of(self.attempt(back)),
            AnyInput::ResolveFailed(back, error) => {
                Report::ResolveFailed(error).of(self.attempt(back))
            }
            AnyInput::OpenFailed(back, error) => {
                let generation = self.attempt(back);
                self.live.retain(|live| *live != generation);
                Report::OpenFailed(error).of(generation)
            }
            AnyInput::Opened(back, pings) => {
                let pings = match pings % 3 {
                    0 => Pings::None,
                    1 => Pings::Application,
                    _ => Pings::Control,
                };
                Report::Opened(pings).of(self.attempt(back))
            }
            AnyInput::Message(back, bytes) => Report::Message {
                payload: 0,
                bytes: usize::from(bytes),
            }
            .of(self.attempt(back)),
            AnyInput::TooBig(back) => Report::TooBig.of(self.attempt(back)),
            AnyInput::SocketError(back, error) => Report::Error(error).of(self.attempt(back)),
            AnyInput::SocketClosed(back, code, reason, clean) => {
                let generation = self.attempt(back);
                self.live.retain(|live| *live != generation);
                let close = CloseFrame {
                    code,
                    reason,
                    clean,
                };
                Report::Closed(close).of(generation)
            }
            AnyInput::Transmitted(back) => {
                let generation = self.attempt(back);
                return self.core.transmitted(self.now, generation);
            }
            AnyInput::TransmitFailed(back) => Input::TransmitFailed {
                generation: self.attempt(back),
                payload: 0,
                error: None,
            },
            AnyInput::Buffered(back, bytes) => Report::Buffered(bytes).of(self.attempt(back)),
            AnyInput::Pinged(back) => Report::Pinged.of(self.attempt(back)),
            AnyInput::Answered(back) => Report::Answered.of(self.attempt(back)),
            AnyInput::Pong(back, number) => {
                let number = u64::from(number);
                Report::Control(Control::Pong { number }).of(self.attempt(back))
            }
            AnyInput::Beat(back, interval_ms) => {
                Report::Control(Control::Beat { interval_ms }).of(self.attempt(back))
            }
            AnyInput::Alive(back) => Report::Alive.of(self.attempt(back)),
            AnyInput::Window(back, min_ms, max_ms) => {
                let window = Window { min_ms, max_ms };
                Report::Control(Control::Reconnect(window)).of(self.attempt(back))
            }
            AnyInput::Hint(which, millis) => Input::Hint(match which % 5 {
                0 => Hint::Online,
                1 => Hint::Offline,
                2 => Hint::Visible,
                3 => Hint::Resumed,
                _ => Hint::Slept { millis },
            }),
            AnyInput::Timer => Input::Timer,
            AnyInput::Verdict(back, verdict) => {
                let verdict = verdict.map(|retry| match retry {
                    true => Verdict::Retry,
                    false => Verdict::Stop,
                });
                Report::Verdict(verdict).of(self.attempt(back))
            }
            AnyInput::Turned => {
                let Some((generation, turn)) = self.turns.pop_front() else {
                    return;
                };
                Report::Turned(turn).of(generation)
            }
            AnyInput::SomeTurn(back, turn) => {
                Report::Turned(u32::from(turn)).of(self.attempt(back))
            }
        };
        let context = Context {
            now: self.now,
            chance: self.chance,
        };
        self.core.handle(context, input);
    }

    /// Carries out the effects and delivers the outputs, until nothing is left.
    fn settle(&mut self) {
        self.carry_out();
        loop {
            let output = self.core.poll_output(self.now);
            self.carry_out();
            match output {
                // Carrying out may have brought more: a send that failed.
                None if self.core.has_output() => {}
                None => return,
                Some(Output::Message(_)) => {}
                Some(Output::Event(_)) => {
                    if let Some(input) = self.in_handler.pop() {
                        self.handle(input);
                        self.carry_out();
                    }
                }
            }
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Resolve { generation } => {
                    let last = self.generations.last();
                    assert!(last.is_none_or(|last| *last < generation), "an old attempt");
                    self.generations.push(generation);
                }
                Effect::Open { generation } => {
                    assert_eq!(generation, self.core.generation());
                    assert_eq!(self.live, [], "another socket is alive beside the new one");
                    self.live.push(generation);
                }
                Effect::Close { generation, .. } | Effect::Abandon { generation, .. } => {
                    self.live.retain(|live| *live != generation);
                }
                Effect::Transmit { generation, .. } => self.transmit(generation),
                Effect::Judge { generation } => {
                    if let Some(input) = self.in_predicate.pop() {
                        self.handle(input);
                    }
                    let back = self.back(generation);
                    self.handle(AnyInput::Verdict(back, self.verdict));
                }
                Effect::Measure { generation } => {
                    let back = self.back(generation);
                    self.handle(AnyInput::Buffered(back, self.buffer));
                }
                Effect::Ping { generation } => {
                    let back = self.back(generation);
                    self.handle(AnyInput::Pinged(back));
                }
                Effect::Turn { generation, turn } => self.turns.push_back((generation, turn)),
                Effect::CancelResolve { .. } | Effect::KeepAlive { .. } => {}
            }
        }
    }

    fn transmit(&mut self, generation: Generation) {
        let back = self.back(generation);
        self.handle(match self.fail_sends {
            true => AnyInput::TransmitFailed(back),
            false => AnyInput::Transmitted(back),
        });
    }

    fn back(&self, generation: Generation) -> u8 {
        let newer = self.generations.iter().rev();
        let back = newer.take_while(|&&other| other != generation).count();
        u8::try_from(back).expect("an effect is of the newest attempts")
    }

    fn check(&mut self) {
        let core = &self.core;
        let (phase, state) = (core.phase(), core.ready_state());
        let fits = match phase {
            Phase::Idle | Phase::Closed => state == 3,
            Phase::Connecting | Phase::Waiting | Phase::Suspended => state == 0,
            Phase::Open => state == 1,
            Phase::Closing => state == 2,
        };
        assert!(fits, "readyState is {state} in {phase:?}");

        let snapshot = core.snapshot(self.now);
        let queued = snapshot.queued;
        let most = self.max_queued.0 + GIVEN_BACK;
        assert!(queued.messages <= most, "{queued:?} in the queue");
        let most = self.max_queued.1 + GIVEN_BACK * LARGEST as u64;
        assert!(queued.bytes <= most, "{queued:?} in the queue");
        assert_eq!(queued.bytes, core.queued_bytes() as u64);
        assert_eq!(
            self.accepted,
            snapshot.sent.messages + snapshot.dropped.messages + queued.messages,
            "every message was sent, dropped or waits: {snapshot:?}"
        );

        let timer = core.next_timer();
        match phase {
            Phase::Connecting | Phase::Waiting | Phase::Closing => {
                assert!(timer.is_some(), "no timer in {phase:?}");
            }
            Phase::Closed => assert_eq!((timer, queued.messages), (None, 0)),
            Phase::Idle | Phase::Open | Phase::Suspended => {}
        }
        for _ in 0..TIMERS_AT_ONCE {
            if self.core.next_timer().is_none_or(|at| at > self.now) {
                return;
            }
            self.handle(AnyInput::Timer);
            self.settle();
        }
        panic!("timers are due without end");
    }
}
