//! The world: it acts as the driver, and keeps its own account beside the core.
//!
//! The account is independent of the core's: it tracks what was sent, what the sockets saw and what the application
//! received, and derives the consequences, including which inputs are losses. It asks the core only for its phase, and
//! checks that against the sockets.

/// Ends a check with a violation, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

mod commands;
mod deadlines;
mod effects;
mod far_end;
mod inputs;
mod invariants;
mod losses;
mod outputs;

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;
use std::hash::DefaultHasher;

use steady_socket::connection::{
    BEAT_MS, Cause, CloseFrame, Connection, Control, DropReason, Generation, Input, Loss, Phase,
    Report, Tally, Time, Verdict, Why, Window,
};

use crate::coverage::{Coverage, Place};
use far_end::FarEnd;

use crate::op::{Command, Op, Provider, Settings, Step};

/// A violation found by a step.
pub type Violation = String;

/// The number of a message that nobody ever sent.
const NOBODYS: u64 = u64::MAX;

/// What became of a message that the core accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Queued,
    /// The core has reported its drop internally, and must report it to the application.
    ToBeReported(DropReason),
    Taken,
    Dropped,
    /// It was never accepted.
    Refused,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Message {
    bytes: usize,
    first: bool,
    volatile: bool,
    expires: Option<u64>,
    /// A connection was given up for it.
    refused: bool,
    /// The browser never accepts it.
    poison: bool,
    /// The connection was closed for good while it waited.
    ended: bool,
    fate: Fate,
}

/// A socket of the browser.
#[derive(Clone, Debug, Default, Hash)]
struct Socket {
    made_at: u64,
    opened: bool,
    /// The browser reported an error on it.
    failed: bool,
    /// The core requested its close, with this code.
    close_called: Option<Option<u16>>,
    abandoned: bool,
    closed: bool,
    /// Bytes of messages that it was given.
    handed: u64,
    buffered: u64,
    far_end: FarEnd,
    /// While closing: the least that the browser was seen to hold, and when.
    least_buffered: Option<(u64, u64)>,
}

impl Socket {
    /// Whether it counts as a connection of this client.
    const fn is_live(&self) -> bool {
        self.close_called.is_none() && !self.abandoned && !self.closed
    }
}

/// What the account knows of the server at the other end of the open connection.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Life {
    heard: u64,
    /// When something was last heard, or a large upload last made progress.
    quiet: u64,
    interval: Option<u64>,
    answers: bool,
    /// It has announced how often it will send something.
    beats: bool,
    /// The application has not opened the gate.
    gated: bool,
    /// A hint came meanwhile.
    owed: bool,
    /// A ping must be sent now.
    ping_due: bool,
    /// The server must be asked now what it has received.
    question_due: bool,
    /// The next measurement decides about the silence, or determines what precedes a ping.
    judging: bool,
    asking: bool,
    /// The end of the wait for something to arrive, once it has begun, and whether a hint or a sleep began it.
    by: Option<(u64, bool)>,
    /// When the server was last pinged because of a hint.
    asked: Option<u64>,
    /// When the timer fired with every deadline past since the page was last known to wake, and how often it was given
    /// more time.
    overdue: Option<(u64, u32)>,
    /// A late timer was already excused in this silence.
    excused: bool,
    upload: Option<Upload>,
    /// When the next keepalive is due, and whether one must be sent now.
    keepalive: Option<u64>,
    keepalive_due: bool,
}

/// What the browser held when the server was first pinged in a silence, or would have been.
#[derive(Clone, Copy, Debug, Hash)]
struct Upload {
    /// How many bytes must leave the browser, counted from the first of the connection.
    end: u64,
    /// How much had left it at the last measurement.
    left: u64,
    /// Whether it held very much, or only a part of it had left at a later measurement.
    counts: bool,
}

/// A turn of the event loop that the core has requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Turn {
    generation: u64,
    number: u32,
}

/// How far the application has let the queue flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    Announcing,
    Opening { ready: bool },
    Gated,
    Flowing,
}

/// The text of an error, from whoever provides one.
const WORDS: &str = "it went wrong";

/// A connection or an attempt that an input ends, per the account.
#[derive(Clone, Debug)]
struct Ending {
    loss: Loss,
    /// The window in the server's reason.
    window: Option<(u64, u64)>,
}

impl Ending {
    /// One without a close frame.
    fn abnormal(cause: Cause, was_open: bool) -> Self {
        let in_words = matches!(cause, Cause::Provider | Cause::Refused | Cause::SendFailed);
        Self {
            loss: Loss {
                close: CloseFrame::abnormal(),
                cause,
                was_open,
                error: in_words.then(|| WORDS.to_owned()),
            },
            window: None,
        }
    }
}

/// A loss that must be reported to the application.
#[derive(Clone, Debug)]
struct Expected {
    generation: u64,
    loss: Loss,
    retry_in: Option<u64>,
    why: Why,
    unconfirmed: Tally,
    /// The core may report more.
    at_least: bool,
    /// What the server never received.
    lost: u64,
}

/// Something to which the script of a run may react.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A provider was called.
    Asked,
    /// A socket was made.
    Made,
    /// A socket is open for the core too.
    Open,
    /// A closing handshake was started on the newest socket, with this code.
    ClosingHandshake(Option<u16>),
    /// The newest socket or the search for its URL was given up.
    GivenUp,
}

/// The world of one connection.
#[derive(Clone, Debug)]
pub struct World {
    settings: Settings,
    core: Connection<u64>,
    now: u64,
    step: Step,
    coverage: Coverage,
    news: Vec<News>,

    // The browser.
    /// By generation, from 1; `None` for an attempt without a socket.
    sockets: Vec<Option<Socket>>,
    /// The core's own names for them, which nobody else can construct.
    generations: Vec<Generation>,
    live: usize,
    provider: Option<u64>,
    asked_at: u64,
    provider_mode: Provider,
    refuse_open: bool,
    /// Whether the next `send` throws, and whether every later one of its message does.
    fail_send: Option<bool>,
    close_in_send: Option<u16>,
    abandoned: u64,

    // The application.
    telling: bool,
    handlers: Vec<(u8, Command)>,

    // The account of messages.
    messages: Vec<Message>,
    /// The ones that wait, or whose drop has not been reported.
    waiting: Vec<u64>,
    last_taken: [Option<u64>; 2],
    /// Messages of the first lane that an ordinary one overtook: each must turn out to be dropped.
    overtaken: Vec<u64>,
    in_hand: Option<u64>,
    /// The message being passed to the browser, which may go out although it expires at that moment.
    handed_over: Option<u64>,
    /// The last message of each lane that the browser returned. It goes back into the queue even if that has filled up,
    /// or never had room for it.
    came_back: [Option<u64>; 2],
    /// The same, if its connection had ended by then.
    came_back_late: Option<u64>,
    sent: Tally,
    dropped: Tally,
    unconfirmed: Tally,
    received: Tally,
    from_server: u64,
    to_deliver: VecDeque<u64>,

    // The account of the connection.
    flow: Flow,
    closing_gated: bool,
    /// The closing handshake of a suspension is in progress.
    suspending: bool,
    /// The arguments of the application's close.
    closing_with: Option<(Option<u16>, &'static str)>,
    since: u64,
    failures: u32,
    refusals: u32,
    opens: u64,
    wait_until: u64,
    /// The server requested the wait.
    firm: bool,
    /// Milliseconds of attempts saved up, and as of when.
    credit: (u64, u64),
    /// When the page last woke or the network last changed.
    woken: Option<u64>,
    /// Whether the server also sends, unasked, what would be an answer to a ping without a number.
    distrusts: bool,
    /// The server's announcement on the newest socket.
    window: Option<(u64, u64)>,
    life: Life,
    /// When, before the current step, an open connection had to end.
    deadline: u64,
    /// Whether that was deferred because the timer came very late.
    late: bool,
    /// Requested turns that have not come.
    turns: VecDeque<Turn>,
    /// The one that will decide, for which deadline, and when it is requested again.
    turning: Option<(Turn, u64, u64)>,
    /// What the browser holds, as far as the core can know.
    estimate: u64,
    blocked: bool,
    measured_at: u64,

    // The account of reports.
    expected: VecDeque<Expected>,
    told: Phase,
    /// The time of the next attempt, as last reported.
    told_until: Option<u64>,
    told_open: Option<u64>,
    told_error: bool,
    told_opens: u64,
    told_final: bool,
    /// What `reconnect()` is closing a connection with.
    replacing: Option<(Option<u16>, String)>,
    /// The contents of the queue, as last reported.
    told_queue: Tally,
}

impl World {
    /// A connection that has not started.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            core: Connection::new(settings.options()),
            settings,
            now: 0,
            step: Step::from(Op::Timer),
            coverage: Coverage::default(),
            news: Vec::new(),
            sockets: Vec::new(),
            generations: Vec::new(),
            live: 0,
            provider: None,
            asked_at: 0,
            provider_mode: Provider::Later,
            refuse_open: false,
            fail_send: None,
            close_in_send: None,
            abandoned: 0,
            telling: false,
            handlers: Vec::new(),
            messages: Vec::new(),
            waiting: Vec::new(),
            last_taken: [None; 2],
            overtaken: Vec::new(),
            in_hand: None,
            handed_over: None,
            came_back: [None; 2],
            came_back_late: None,
            sent: Tally::default(),
            dropped: Tally::default(),
            unconfirmed: Tally::default(),
            received: Tally::default(),
            from_server: 0,
            to_deliver: VecDeque::new(),
            flow: Flow::Announcing,
            closing_gated: false,
            suspending: false,
            closing_with: None,
            since: 0,
            failures: 0,
            refusals: 0,
            opens: 0,
            wait_until: 0,
            firm: false,
            credit: (
                u64::from(settings.attempt_burst) * settings.attempt_interval,
                0,
            ),
            woken: None,
            distrusts: false,
            window: None,
            life: Life::default(),
            deadline: 0,
            late: false,
            turns: VecDeque::new(),
            turning: None,
            estimate: 0,
            blocked: false,
            measured_at: 0,
            expected: VecDeque::new(),
            told: Phase::Idle,
            told_until: None,
            told_open: None,
            told_error: false,
            told_opens: 0,
            told_final: false,
            replacing: None,
            told_queue: Tally::default(),
        }
    }

    /// Milliseconds since the start.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// When the core wants its timer, in milliseconds since the start.
    #[must_use]
    pub fn timer(&self) -> Option<u64> {
        self.core.next_timer().map(Time::as_millis)
    }

    /// The connection's state.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.core.phase()
    }

    /// The number of the newest attempt.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.sockets.len() as u64
    }

    /// Whether it is suspended, with the closing handshake of its last connection in progress.
    fn is_suspending(&self) -> bool {
        self.core.phase() == Phase::Suspended && self.suspending
    }

    /// What the newest socket holds and has not sent.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        self.socket(self.generation())
            .map_or(0, |socket| socket.buffered)
    }

    /// Whether the core has requested a turn of the event loop that has not come.
    #[must_use]
    pub fn awaits_turn(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Which inputs were tried in which states since the last call.
    pub fn take_coverage(&mut self) -> Coverage {
        core::mem::take(&mut self.coverage)
    }

    /// A number that is equal for worlds with the same options in which every input has the same consequences. It omits
    /// what can no longer matter: counters, which have been checked, and the fate of messages and sockets that are
    /// gone.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let hasher = &mut DefaultHasher::new();
        (&self.core, self.now, self.told, self.told_until).hash(hasher);
        (self.told_open, self.told_final, self.told_opens > 0).hash(hasher);
        let asked_at = self.provider.map(|_| self.asked_at);
        (self.provider_mode, asked_at, self.refuse_open).hash(hasher);
        (self.fail_send, self.close_in_send, &self.handlers).hash(hasher);
        for id in &self.waiting {
            (id, &self.messages[*id as usize]).hash(hasher);
        }
        let bytes = |id| self.messages.get(id as usize).map(|message| message.bytes);
        let came_back = self.came_back.map(|id| id.and_then(bytes));
        (
            self.messages.len(),
            self.last_taken,
            came_back,
            self.came_back_late,
        )
            .hash(hasher);
        (self.failures, self.refusals, self.credit, self.woken).hash(hasher);
        self.distrusts.hash(hasher);
        (self.closing_gated, self.closing_with).hash(hasher);
        (self.deadline, self.late, &self.turns, self.turning).hash(hasher);
        match self.core.phase() {
            Phase::Waiting => (self.wait_until, self.firm).hash(hasher),
            Phase::Open => {
                (self.flow, self.since, self.window, &self.life).hash(hasher);
                (self.estimate, self.blocked, self.measured_at).hash(hasher);
            }
            _ => {}
        }
        let newest = self.generation();
        let earlier = newest.checked_sub(1).and_then(|number| self.socket(number));
        (self.socket(newest), earlier.is_some()).hash(hasher);
        hasher.finish()
    }

    /// Takes the events in the browser since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        core::mem::take(&mut self.news)
    }

    fn socket(&self, generation: u64) -> Option<&Socket> {
        let index = generation.checked_sub(1)? as usize;
        self.sockets.get(index)?.as_ref()
    }

    fn socket_mut(&mut self, generation: u64) -> Option<&mut Socket> {
        let index = generation.checked_sub(1)? as usize;
        self.sockets.get_mut(index)?.as_mut()
    }

    const fn time(&self) -> Time {
        Time::from_millis(self.now)
    }

    /// The current time, or the earliest possible if the core says that it does not heed it.
    fn moment(&self, heeded: bool) -> Time {
        if heeded { self.time() } else { Time::default() }
    }

    fn place(&self) -> Place {
        match self.core.phase() {
            Phase::Idle => Place::Idle,
            Phase::Connecting if self.provider.is_some() => Place::Resolving,
            Phase::Connecting => Place::Connecting,
            Phase::Open => match self.flow {
                Flow::Announcing => Place::Announcing,
                Flow::Opening { .. } => Place::Opening,
                _ if self.blocked => Place::Blocked,
                Flow::Gated => Place::Gated,
                Flow::Flowing => Place::Flowing,
            },
            Phase::Waiting => Place::Waiting,
            Phase::Closing => Place::Closing,
            Phase::Closed => Place::Closed,
            Phase::Suspended if self.is_suspending() => Place::Suspending,
            Phase::Suspended => Place::Suspended,
        }
    }

    /// Does one step and checks everything.
    ///
    /// # Errors
    /// The violation. Do not use the world after that.
    pub fn step(&mut self, step: Step) -> Result<(), Violation> {
        self.step = step;
        if !matches!(step.op, Op::Command { .. }) && self.core.has_output() {
            // The task that delivers events precedes any other.
            self.hand_out()?;
        }
        let generation = |age: u8| (self.sockets.len() as u64).saturating_sub(u64::from(age));
        match step.op {
            Op::Advance(millis) => self.now = self.now.saturating_add(millis),
            Op::Timer => return self.timer_fires(),
            Op::Turned { age } => self.event_loop_turns(generation(age))?,
            Op::Command { command, same_task } => {
                self.command(command)?;
                if same_task {
                    return Ok(());
                }
            }
            Op::InHandler { skip, command } => self.handlers.push((skip, command)),
            Op::SetProvider(mode) => self.provider_mode = mode,
            Op::Provided { age, ok } => self.provided(generation(age), ok)?,
            Op::RefuseOpen => self.refuse_open = true,
            Op::FailSend { always } => self.fail_send = Some(always),
            Op::ClosedInSend { code } => self.close_in_send = Some(code),
            Op::Opened { age, pings } => self.socket_opens(generation(age), pings)?,
            Op::Message { age, bytes } => self.message_arrives(generation(age), bytes)?,
            Op::Alive { age } => {
                let number = generation(age);
                if self.is_connected(number) {
                    self.hear();
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Report::Alive.of(generation))?;
                }
            }
            Op::Reads(items) => self.server_reads(items),
            Op::Answers { age, answer } => self.answer(generation(age), answer)?,
            Op::Beats { age, interval_ms } => {
                let number = generation(age);
                if self.is_connected(number) {
                    if self.uses_control(number) {
                        self.life.beats = true;
                        self.life.interval = Some(interval_ms.clamp(BEAT_MS.0, BEAT_MS.1));
                    }
                    self.hear();
                }
                if let Some(generation) = self.generation_of(number) {
                    let beat = Control::Beat { interval_ms };
                    self.tell(Report::Control(beat).of(generation))?;
                }
            }
            Op::Window {
                age,
                min_ms,
                max_ms,
            } => {
                let number = generation(age);
                if self.is_connected(number) {
                    if self.uses_control(number) && min_ms <= max_ms {
                        self.window = Some((min_ms, max_ms));
                    }
                    self.hear();
                }
                if let Some(generation) = self.generation_of(number) {
                    let window = Control::Reconnect(Window { min_ms, max_ms });
                    self.tell(Report::Control(window).of(generation))?;
                }
            }
            Op::TooBig { age } => self.too_big(generation(age), Report::TooBig)?,
            Op::Hint(hint) => self.hint(hint)?,
            Op::Error { age } => self.socket_fails(generation(age))?,
            Op::Closed {
                age,
                code,
                clean,
                reason,
            } => self.socket_closes(generation(age), code, clean, reason)?,
            Op::Drain(bytes) => {
                let newest = self.generation();
                if let Some(socket) = self.socket_mut(newest) {
                    socket.buffered = socket.buffered.saturating_sub(bytes);
                }
            }
            Op::Transmitted { age, ok } => {
                if let Some(generation) = self.generation_of(generation(age)) {
                    if ok {
                        self.transmitted(generation);
                    } else {
                        self.tell(Input::TransmitFailed {
                            generation,
                            payload: NOBODYS,
                            error: None,
                        })?;
                    }
                }
            }
            Op::Verdict { age } => {
                if let Some(generation) = self.generation_of(generation(age)) {
                    self.tell(Report::Verdict(Some(Verdict::Stop)).of(generation))?;
                }
            }
            Op::Buffered { age } => {
                let number = generation(age);
                let bytes = self.socket(number).map_or(0, |socket| socket.buffered);
                if let Some(generation) = self.generation_of(number) {
                    self.measured(number, bytes);
                    self.tell(Report::Buffered(bytes).of(generation))?;
                }
            }
        }
        self.settle()
    }

    /// Carries out the effects, delivers the outputs and checks.
    fn settle(&mut self) -> Result<(), Violation> {
        self.carry_out()?;
        self.hand_out()?;
        self.check()
    }

    fn timer_fires(&mut self) -> Result<(), Violation> {
        // Each round may start something that is due at once, but not forever.
        for _ in 0..6 {
            let due = self.timer().is_some_and(|at| at <= self.now);
            let was = (self.core.phase(), self.generation());
            let shrunk_before = self.socket(was.1).and_then(|socket| socket.least_buffered);
            let attempt =
                was.0 == Phase::Waiting && self.now >= self.wait_until && self.expect_attempt();
            self.timer_is_told();
            self.tell(Input::Timer)?;
            self.settle()?;
            self.check_silence()?;
            ensure!(
                !attempt || self.generation() > was.1,
                "the wait is over, but there is no attempt"
            );
            if !due {
                return Ok(());
            }
            self.check_deadlines(was, shrunk_before)?;
            if self.timer().is_none_or(|at| at > self.now) {
                return Ok(());
            }
        }
        Err(format!(
            "the timer is due again and again at {}: {:?}",
            self.now,
            self.core.phase()
        ))
    }
}
