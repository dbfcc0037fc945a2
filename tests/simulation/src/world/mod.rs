//! The world: it does what the ring above the core does, and keeps its own account beside it.
//!
//! The account is independent of the core's: it follows what was handed over, what the sockets saw and
//! what the application was told, and says what must come of it, also which inputs are losses. It asks the
//! core only for its phase, and checks that against the sockets.

/// Ends a check with what was found wrong, unless the condition holds.
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
    BEAT_MS, Cause, CloseFrame, Connection, DropReason, Generation, Input, Loss, Phase, Tally,
    Time, Why,
};

use crate::coverage::{Coverage, Place};
use far_end::FarEnd;

use crate::op::{Command, Op, Provider, Settings, Step};

/// What a step found wrong.
pub type Violation = String;

/// The number of a message that nobody ever sent.
const NOBODYS: u64 = u64::MAX;

/// What became of a message that the core accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Queued,
    /// The core has said that it dropped it, and has to report it.
    ToBeReported(DropReason),
    Taken,
    Dropped,
    /// It never was accepted.
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
    /// The browser never takes it.
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
    /// The core asked to close it, with this code.
    close_called: Option<Option<u16>>,
    abandoned: bool,
    closed: bool,
    /// Bytes of messages that it was handed.
    handed: u64,
    buffered: u64,
    far_end: FarEnd,
    /// While closing: the least that the browser was seen to hold, and when that was seen.
    least_buffered: Option<(u64, u64)>,
}

impl Socket {
    /// Whether it counts as a connection of this client.
    const fn is_live(&self) -> bool {
        self.close_called.is_none() && !self.abandoned && !self.closed
    }
}

/// What the account knows of the other end of the open connection.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Life {
    heard: u64,
    /// When something was last heard, or a large upload last seen to go on.
    quiet: u64,
    interval: Option<u64>,
    answers: bool,
    /// It said itself how often it will be heard.
    beats: bool,
    /// The application has not let anything pass.
    gated: bool,
    /// A hint came meanwhile.
    owed: bool,
    /// A ping has to be sent now.
    ping_due: bool,
    /// The server has to be asked now what it has had.
    question_due: bool,
    /// The next measurement decides about the silence, or shows what lies before a ping.
    judging: bool,
    asking: bool,
    /// The end of the wait for something to arrive, once it has begun, and whether a hint or a sleep began it.
    by: Option<(u64, bool)>,
    /// When the server was last asked because of a hint.
    asked: Option<u64>,
    /// When the timer went off with every deadline past, since the page was last known to wake, and how often it
    /// was given more time.
    overdue: Option<(u64, u32)>,
    /// A late timer was already held to the server's credit in this silence.
    excused: bool,
    upload: Option<Upload>,
    /// When the next keepalive is due, and whether one has to be sent now.
    keepalive: Option<u64>,
    keepalive_due: bool,
}

/// What the browser held when the server was first asked in a silence, or would have been.
#[derive(Clone, Copy, Debug, Hash)]
struct Upload {
    /// Bytes of it that have to leave the browser, counted from the first of the connection.
    end: u64,
    /// What had left it at the last look.
    left: u64,
    /// It held very much, or only a part of it had left at a later look.
    counts: bool,
}

/// A turn of the event loop that the core has asked for.
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

/// What went wrong, where somebody says so.
const WORDS: &str = "it went wrong";

/// A connection or an attempt that an input ends, by the account.
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

/// A loss of which the application has to be told.
#[derive(Clone, Debug)]
struct Expected {
    generation: u64,
    loss: Loss,
    retry_in: Option<u64>,
    why: Why,
    unconfirmed: Tally,
    /// The core may report more.
    at_least: bool,
    /// What the server never had.
    lost: u64,
}

/// Something that the script of a run may want to react to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A provider was asked.
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
    /// By generation, from 1; `None` where an attempt had no socket.
    sockets: Vec<Option<Socket>>,
    /// The core's own names of them, which nobody else can make.
    generations: Vec<Generation>,
    live: usize,
    provider: Option<u64>,
    asked_at: u64,
    provider_mode: Provider,
    refuse_open: bool,
    /// The next `send` throws, and whether every later one of its message does.
    fail_send: Option<bool>,
    close_in_send: Option<u16>,
    abandoned: u64,

    // The application.
    telling: bool,
    handlers: Vec<(u8, Command)>,

    // The account of messages.
    messages: Vec<Message>,
    /// Those that wait, or whose drop has not been reported.
    waiting: Vec<u64>,
    last_taken: [Option<u64>; 2],
    /// Messages of the first lane that an ordinary one overtook: each must turn out to be dropped.
    overtaken: Vec<u64>,
    in_hand: Option<u64>,
    /// The message that is being handed over, which may go out although its time is over at once.
    handed_over: Option<u64>,
    /// The last message of each lane that the browser gave back. It returns to the queue even where that
    /// has become full, or never had room for it.
    came_back: [Option<u64>; 2],
    /// The same, when its connection was over by then.
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
    /// The closing handshake of a suspension is under way.
    suspending: bool,
    /// What the application closed with.
    closing_with: Option<(Option<u16>, &'static str)>,
    since: u64,
    failures: u32,
    refusals: u32,
    opens: u64,
    wait_until: u64,
    /// The server asked for the wait.
    firm: bool,
    /// Milliseconds of attempts saved up, and when.
    credit: (u64, u64),
    /// When the page last woke or the network last changed.
    woken: Option<u64>,
    /// The server also says by itself what would be an answer to a ping without a number.
    distrusts: bool,
    /// What the server announced on the newest socket.
    window: Option<(u64, u64)>,
    life: Life,
    /// When the step that is under way before an open connection has to end.
    deadline: u64,
    /// That was put off because the timer came very late.
    late: bool,
    /// Turns that were asked for and have not come.
    turns: VecDeque<Turn>,
    /// The one that will decide, for which deadline, and when it is asked for again.
    turning: Option<(Turn, u64, u64)>,
    /// What the browser holds, as far as the core can know.
    estimate: u64,
    blocked: bool,
    measured_at: u64,

    // The account of what was told.
    expected: VecDeque<Expected>,
    told: Phase,
    /// The moment of the next attempt that was last told.
    told_until: Option<u64>,
    told_open: Option<u64>,
    told_error: bool,
    told_opens: u64,
    told_final: bool,
    /// What `reconnect()` is closing a connection with.
    replacing: Option<(Option<u16>, String)>,
    /// What the queue was last reported to hold.
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

    /// What the connection is doing.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.core.phase()
    }

    /// The number of the newest attempt.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.sockets.len() as u64
    }

    /// Whether it is suspended, and the closing handshake of its last connection is under way.
    fn is_suspending(&self) -> bool {
        self.core.phase() == Phase::Suspended && self.suspending
    }

    /// What the newest socket holds and has not sent.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        self.socket(self.generation())
            .map_or(0, |socket| socket.buffered)
    }

    /// Whether the core has asked for a turn of the event loop that has not come.
    #[must_use]
    pub fn awaits_turn(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Which inputs were tried in which states since this was last asked.
    pub fn take_coverage(&mut self) -> Coverage {
        core::mem::take(&mut self.coverage)
    }

    /// A number that is the same for worlds with the same options in which whatever comes has the same
    /// consequences. Left out is what cannot matter any more: counters, which have been checked, and what
    /// became of messages and sockets that are gone.
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

    /// Takes what happened to the browser's part since the last time.
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

    /// The present moment, or the earliest of all where the core says that it does not heed it.
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
    /// What was found wrong. The world is not to be used after that.
    pub fn step(&mut self, step: Step) -> Result<(), Violation> {
        self.step = step;
        if !matches!(step.op, Op::Command { .. }) && self.core.has_output() {
            // The task that hands out events comes before any other.
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
            Op::Opened { age, answers } => self.socket_opens(generation(age), answers)?,
            Op::Message { age, bytes } => self.message_arrives(generation(age), bytes)?,
            Op::Alive { age } => {
                let number = generation(age);
                if self.is_connected(number) {
                    self.hear();
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Input::Alive { generation })?;
                }
            }
            Op::Reads(items) => self.server_reads(items),
            Op::Answers { age, answer } => self.answer(generation(age), answer)?,
            Op::AnswersPings { age } => {
                let number = generation(age);
                if self.is_connected(number) {
                    self.life.answers = true;
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Input::AnswersPings { generation })?;
                }
            }
            Op::Beats { age, interval_ms } => {
                let number = generation(age);
                if self.is_connected(number) {
                    self.life.heard = self.now;
                    self.life.quiet = self.now;
                    self.life.beats = true;
                    self.life.interval = Some(interval_ms.clamp(BEAT_MS.0, BEAT_MS.1));
                    self.life.overdue = None;
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Input::Beats {
                        generation,
                        interval_ms,
                    })?;
                }
            }
            Op::Window {
                age,
                min_ms,
                max_ms,
            } => {
                let number = generation(age);
                if self.is_connected(number) && min_ms <= max_ms {
                    self.window = Some((min_ms, max_ms));
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Input::Window {
                        generation,
                        min_ms,
                        max_ms,
                    })?;
                }
            }
            Op::TooBig { age } => {
                let number = generation(age);
                let open = self.is_connected(number) && self.core.phase() == Phase::Open;
                if let Some(generation) = self.generation_of(number) {
                    let ending = open.then(|| Ending::abnormal(Cause::MessageTooBig, true));
                    self.tell_end(Input::TooBig { generation }, ending)?;
                }
                ensure!(
                    !open || self.core.phase() != Phase::Open,
                    "the connection goes on after a message that was too big"
                );
            }
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
                    self.tell(if ok {
                        Input::Transmitted { generation }
                    } else {
                        Input::TransmitFailed {
                            generation,
                            payload: NOBODYS,
                            error: None,
                        }
                    })?;
                }
            }
            Op::Buffered { age } => {
                let number = generation(age);
                let bytes = self.socket(number).map_or(0, |socket| socket.buffered);
                if let Some(generation) = self.generation_of(number) {
                    self.measured(number, bytes);
                    self.tell(Input::Buffered { generation, bytes })?;
                }
            }
        }
        self.settle()
    }

    /// Carries out the effects, hands out the outputs and checks.
    fn settle(&mut self) -> Result<(), Violation> {
        self.carry_out()?;
        self.hand_out()?;
        self.check()
    }

    fn timer_fires(&mut self) -> Result<(), Violation> {
        // Each round may start something that is due at once, but not for ever.
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
