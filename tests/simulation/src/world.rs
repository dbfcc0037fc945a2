//! The world: it does what the ring above the core does, and keeps its own account beside it.
//!
//! The account is independent of the core's: it follows what was handed over, what the sockets saw and
//! what the application was told, and says what must come of it, also which inputs are losses. It asks the
//! core only for its phase, and checks that against the sockets.

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;
use std::hash::DefaultHasher;

use steady_socket::Overflow;
use steady_socket::connection::{
    BEAT_MS, Cause, CloseFrame, ClosePolicy, Closed, Connection, Context, DropReason, Dropped,
    Effect, Event, Generation, Hint, Input, Loss, Output, Phase, SendRejected, Sent, Tally, Time,
    Verdict, Why, close_policy,
};

use crate::coverage::{Coverage, Kind, Place};
use crate::op::{Command, Op, Provider, Reason, Settings, Step};

/// What a step found wrong.
pub type Violation = String;

/// Numbers of messages from the server start here, to be told from the application's own.
const FROM_SERVER: u64 = 1 << 40;

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
    handed: u64,
    buffered: u64,
    /// What is not confirmed: where its last byte stands, and its size.
    unconfirmed: VecDeque<(u64, usize)>,
    /// While closing: the least that the browser was seen to hold, and when that was seen.
    least_buffered: Option<(u64, u64)>,
}

impl Socket {
    /// Whether it counts as a connection of this client.
    const fn is_live(&self) -> bool {
        self.close_called.is_none() && !self.abandoned && !self.closed
    }

    /// A frame arrived: what had left the browser before counts as confirmed.
    fn sign_of_life(&mut self) {
        let left = self.handed.saturating_sub(self.buffered);
        while self
            .unconfirmed
            .front()
            .is_some_and(|(end, _)| *end <= left)
        {
            self.unconfirmed.pop_front();
        }
    }

    fn tally(&self) -> Tally {
        Tally {
            messages: self.unconfirmed.len() as u64,
            bytes: self
                .unconfirmed
                .iter()
                .map(|(_, bytes)| *bytes as u64)
                .sum(),
        }
    }
}

/// What the account knows of the other end of the open connection.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Life {
    heard: u64,
    interval: Option<u64>,
    answers: bool,
    /// A ping was sent in this silence.
    pinged: bool,
    /// A ping has to be sent now.
    ping_due: bool,
    /// When the server was last asked because of a hint.
    asked: Option<u64>,
    /// When the timer first went off with every deadline past and nothing to excuse the silence but a sleep.
    overdue: Option<u64>,
    /// An answer is due by then.
    probe: Option<u64>,
    /// A sleep was already held to the server's credit in this silence.
    excused: bool,
}

/// A timer later than this, in milliseconds, tells nothing about the server.
const ASLEEP: u64 = 2_000;

/// A loss so soon after a sleep or a change of the network, in milliseconds, is no server's doing.
const LOCAL: u64 = 5_000;

/// How far the application has let the queue flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    Announcing,
    Opening { ready: bool },
    Gated,
    Flowing,
}

/// A connection or an attempt that an input ends, by the account.
#[derive(Clone, Debug)]
struct Ending {
    loss: Loss,
    /// The window in the server's reason.
    window: Option<(u64, u64)>,
}

impl Ending {
    /// One without a close frame.
    const fn abnormal(cause: Cause, was_open: bool) -> Self {
        Self {
            loss: Loss {
                close: CloseFrame::abnormal(),
                cause,
                was_open,
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
    /// What the server announced on the newest socket.
    window: Option<(u64, u64)>,
    life: Life,
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
}

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
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
            window: None,
            life: Life::default(),
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
        }
    }

    // ----- questions

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

    /// What the newest socket holds and has not sent.
    #[must_use]
    pub fn buffered(&self) -> u64 {
        self.socket(self.generation())
            .map_or(0, |socket| socket.buffered)
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
        (self.closing_gated, self.closing_with).hash(hasher);
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
        }
    }

    // ----- steps

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
                    if let Some(socket) = self.socket_mut(number) {
                        socket.sign_of_life();
                    }
                }
                if let Some(generation) = self.generation_of(number) {
                    self.tell(Input::Alive { generation })?;
                }
            }
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
            let ending = self.overdue_step();
            self.tell_end(Input::Timer, ending)?;
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

    fn check_deadlines(
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
            Phase::Closing => {
                let least = self.socket(was.1).and_then(|socket| socket.least_buffered);
                least == least_before
                    && least.is_some_and(|(_, at)| self.now >= at + self.settings.close_timeout)
            }
            _ => false,
        };
        ensure!(!overdue, "{:?} goes on beyond its deadline", was.0);
        Ok(())
    }

    fn generation_of(&self, number: u64) -> Option<Generation> {
        self.generations
            .get(number.checked_sub(1)? as usize)
            .copied()
    }

    fn provided(&mut self, number: u64, ok: bool) -> Result<(), Violation> {
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        let expected = self.provider == Some(number);
        let (input, ending) = if ok {
            (Input::Resolved { generation }, None)
        } else {
            let ending = expected.then(|| Ending::abnormal(Cause::Provider, false));
            (Input::ResolveFailed { generation }, ending)
        };
        self.tell_end(input, ending)?;
        if expected {
            self.provider = None;
        }
        Ok(())
    }

    fn socket_opens(&mut self, number: u64, answers: bool) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let opens = socket.is_live() && !socket.opened;
        if !socket.closed {
            socket.opened = true;
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell(Input::Opened { generation })?;
        if opens && newest && phase == Phase::Connecting {
            ensure!(
                self.core.phase() == Phase::Open,
                "the socket is open, the core says {:?}",
                self.core.phase()
            );
            self.opens += 1;
            self.since = self.now;
            self.flow = Flow::Announcing;
            self.estimate = 0;
            self.blocked = false;
            self.measured_at = self.now;
            self.window = None;
            self.life = Life {
                heard: self.now,
                interval: self.settings.heartbeat_interval,
                answers,
                ..Life::default()
            };
            self.news.push(News::Open);
            if answers {
                self.tell(Input::AnswersPings { generation })?;
            }
        }
        Ok(())
    }

    /// Whether this is the newest attempt and its socket is open for the core, though it may be closing.
    fn is_connected(&self, number: u64) -> bool {
        number == self.generation() && matches!(self.core.phase(), Phase::Open | Phase::Closing)
    }

    const fn hear(&mut self) {
        self.life.heard = self.now;
        self.life.pinged = false;
        self.life.probe = None;
        self.life.excused = false;
        self.life.asked = None;
        self.life.overdue = None;
    }

    fn hint(&mut self, hint: Hint) -> Result<(), Violation> {
        if hint != Hint::Offline {
            self.woken = Some(self.now);
        }
        if matches!(hint, Hint::Resumed | Hint::Slept { .. }) {
            self.life.excused = false;
        }
        let before = self.generation();
        let mut attempt = false;
        if self.core.phase() == Phase::Waiting {
            let at = match hint {
                Hint::Offline => None,
                // The server's wait goes on in the sleep, and nothing else shortens it.
                Hint::Slept { millis } if self.firm => Some(self.wait_until.saturating_sub(millis)),
                _ if self.firm => None,
                Hint::Online => {
                    let delay = 200.0 + 1_800.0 * self.step.chance;
                    Some(self.now + delay as u64)
                }
                Hint::Visible | Hint::Resumed | Hint::Slept { .. } => Some(self.now),
            };
            match at {
                Some(at) if at <= self.now => attempt = self.expect_attempt(),
                // Not before one more attempt may be made.
                Some(at) => self.wait_until = self.wait_until.min(at.max(self.next_token())),
                None => {}
            }
        }
        if self.core.phase() == Phase::Open && self.life.answers {
            let given_up = |probe| self.now.saturating_sub(probe) > ASLEEP;
            if self.life.probe.is_none_or(given_up) {
                self.life.probe = Some(self.now + self.settings.probe_timeout);
            }
            self.life.pinged = true;
            self.life.ping_due = true;
            self.life.asked = Some(self.now);
            self.life.overdue = None;
        }
        self.tell(Input::Hint(hint))?;
        self.carry_out()?;
        ensure!(
            !attempt || self.generation() > before,
            "{hint:?} in a wait started no attempt"
        );
        Ok(())
    }

    /// An attempt is due: whether it can be made now. If not, the account waits for the next one.
    fn expect_attempt(&mut self) -> bool {
        let token = self.next_token();
        let now = token <= self.now;
        if !now {
            self.wait_until = token;
            self.firm = false;
        }
        now
    }

    /// When one more attempt may be made.
    fn next_token(&self) -> u64 {
        let price = self.settings.attempt_interval;
        self.now + price.saturating_sub(self.credit_now())
    }

    /// Milliseconds of attempts that are saved up.
    fn credit_now(&self) -> u64 {
        let (credit, at) = self.credit;
        let most = u64::from(self.settings.attempt_burst) * self.settings.attempt_interval;
        (credit + (self.now - at)).min(most)
    }

    /// When the account says that the core must look at the other end.
    fn life_due(&self) -> Option<u64> {
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
    fn overdue_step(&mut self) -> Option<Ending> {
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
    fn check_silence(&mut self) -> Result<(), Violation> {
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

    fn message_arrives(&mut self, number: u64, bytes: usize) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let payload = FROM_SERVER + self.from_server;
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let counts = newest && socket.opened && !socket.closed && !socket.abandoned;
        let connected = counts && matches!(phase, Phase::Open | Phase::Closing);
        if connected {
            socket.sign_of_life();
            self.hear();
        }
        if counts && phase == Phase::Open {
            self.from_server += 1;
            self.received.messages += 1;
            self.received.bytes += bytes as u64;
            self.to_deliver.push_back(payload);
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell(Input::Message {
            generation,
            payload,
            bytes,
        })
    }

    fn socket_fails(&mut self, number: u64) -> Result<(), Violation> {
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        if !socket.closed && !socket.abandoned {
            socket.failed = true;
        }
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell(Input::SocketError { generation })
    }

    fn socket_closes(
        &mut self,
        number: u64,
        code: u16,
        clean: bool,
        reason: Reason,
    ) -> Result<(), Violation> {
        let phase = self.core.phase();
        let newest = number == self.generation();
        let Some(socket) = self.socket_mut(number) else {
            return Ok(());
        };
        let was_live = socket.is_live();
        let ends = newest && !socket.closed && !socket.abandoned;
        socket.closed = true;
        if ends
            && clean
            && phase == Phase::Closing
            && let Some(asked) = socket.close_called
            && code == asked.unwrap_or(1005)
        {
            // The server answered our close frame, so it had all that came before.
            socket.unconfirmed.clear();
        }
        if was_live {
            self.live -= 1;
        }
        let close = CloseFrame {
            code,
            reason: reason.text(),
            clean,
        };
        if ends && phase == Phase::Closing {
            self.expect_end(close.clone(), Cause::Socket, true);
        }
        let lost = ends && matches!(phase, Phase::Connecting | Phase::Open);
        let ending = lost.then(|| Ending {
            loss: Loss {
                close: close.clone(),
                cause: Cause::Socket,
                was_open: phase == Phase::Open,
            },
            window: reason.window(),
        });
        let Some(generation) = self.generation_of(number) else {
            return Ok(());
        };
        self.tell_end(Input::SocketClosed { generation, close }, ending)?;
        if ends {
            ensure!(
                !matches!(
                    self.core.phase(),
                    Phase::Open | Phase::Connecting | Phase::Closing
                ) || number != self.generation(),
                "the socket is closed, the core says {:?}",
                self.core.phase()
            );
        }
        Ok(())
    }

    // ----- inputs

    fn count(&mut self, input: &Input<u64>) {
        let place = self.place();
        let newest = self.generation();
        let late = |generation: &Generation, kind, late_kind| {
            if generation.number() == newest {
                kind
            } else {
                late_kind
            }
        };
        let kind = match input {
            Input::Start => Kind::Start,
            Input::Close { .. } => Kind::Close,
            Input::Reconnect => Kind::Reconnect,
            Input::Ready => Kind::Ready,
            Input::Resolved { generation } => late(generation, Kind::Resolved, Kind::LateResolved),
            Input::ResolveFailed { generation } => {
                late(generation, Kind::ResolveFailed, Kind::LateResolveFailed)
            }
            Input::OpenFailed { .. } => Kind::OpenFailed,
            Input::Opened { generation } => late(generation, Kind::Opened, Kind::LateOpened),
            Input::Message { generation, .. } => late(generation, Kind::Message, Kind::LateMessage),
            Input::SocketError { generation } => {
                late(generation, Kind::SocketError, Kind::LateSocketError)
            }
            Input::SocketClosed { generation, .. } => {
                late(generation, Kind::SocketClosed, Kind::LateSocketClosed)
            }
            Input::Transmitted { generation } => {
                late(generation, Kind::Transmitted, Kind::LateTransmitted)
            }
            Input::TransmitFailed { generation, .. } => {
                late(generation, Kind::TransmitFailed, Kind::LateTransmitFailed)
            }
            Input::Buffered { generation, .. } => {
                late(generation, Kind::Buffered, Kind::LateBuffered)
            }
            Input::Hint(_) => Kind::Hint,
            Input::TooBig { generation } => late(generation, Kind::TooBig, Kind::LateTooBig),
            Input::Alive { generation } => late(generation, Kind::Alive, Kind::LateAlive),
            Input::AnswersPings { generation } => {
                late(generation, Kind::AnswersPings, Kind::LateAnswersPings)
            }
            Input::Beats { generation, .. } => late(generation, Kind::Beats, Kind::LateBeats),
            Input::Window { generation, .. } => late(generation, Kind::Window, Kind::LateWindow),
            Input::Timer => {
                if self.timer().is_some_and(|at| at <= self.now) {
                    Kind::TimerDue
                } else {
                    Kind::TimerEarly
                }
            }
        };
        self.coverage.count(place, kind);
    }

    /// Gives the core an input that ends nothing but a closing handshake.
    fn tell(&mut self, input: Input<u64>) -> Result<(), Violation> {
        self.tell_end(input, None)
    }

    /// Gives the core an input; if it ends something, works out what must come of that.
    fn tell_end(&mut self, input: Input<u64>, ending: Option<Ending>) -> Result<(), Violation> {
        self.count(&input);
        self.tell_uncounted(input, ending)
    }

    fn tell_uncounted(
        &mut self,
        input: Input<u64>,
        ending: Option<Ending>,
    ) -> Result<(), Violation> {
        let previewed = self.core.loss(self.time(), &input);
        ensure!(
            previewed.as_ref() == ending.as_ref().map(|ending| &ending.loss),
            "the core expects {previewed:?} of {input:?}, it is {ending:?}"
        );
        let Some(ending) = ending else {
            let context = Context {
                now: self.time(),
                chance: self.step.chance,
                verdict: None,
            };
            let closing_times_out = matches!(input, Input::Timer | Input::Buffered { .. })
                && self.core.phase() == Phase::Closing;
            self.core.handle(context, input);
            if closing_times_out && self.core.phase() == Phase::Closed {
                self.closing_timed_out()?;
            }
            return Ok(());
        };
        let retry = self.expect_loss(ending);
        let context = Context {
            now: self.time(),
            chance: self.step.chance,
            verdict: self.step.verdict,
        };
        self.core.handle(context, input);
        let phase = self.core.phase();
        if retry.is_some() {
            ensure!(
                phase == Phase::Waiting,
                "a retry is due, the core says {phase:?}"
            );
            ensure!(
                self.core.attempt() == self.failures + 1,
                "attempt {} comes, the core says {}",
                self.failures + 1,
                self.core.attempt()
            );
        } else {
            ensure!(
                phase == Phase::Closed,
                "it is over, the core says {phase:?}"
            );
        }
        Ok(())
    }

    fn closing_timed_out(&mut self) -> Result<(), Violation> {
        let least = self
            .socket(self.generation())
            .and_then(|socket| socket.least_buffered);
        let Some((_, at)) = least else {
            return Err("a closing handshake ended before it began".into());
        };
        ensure!(
            self.now >= at + self.settings.close_timeout,
            "the closing handshake was given up {} ms after the buffer shrank",
            self.now - at
        );
        self.expect_end(CloseFrame::abnormal(), Cause::CloseTimeout, true);
        Ok(())
    }

    fn forget_failures_if_stable(&mut self) {
        if self.core.phase() == Phase::Open && self.now - self.since >= self.settings.stable_after {
            self.failures = 0;
            self.refusals = 0;
        }
    }

    /// What a loss must lead to, by the documentation of the options and of the policy.
    fn expect_loss(&mut self, ending: Ending) -> Option<u64> {
        let Ending { loss, window } = ending;
        self.forget_failures_if_stable();
        let settings = self.settings;
        let policy = if loss.cause == Cause::MessageTooBig {
            ClosePolicy::RetryOnce
        } else {
            close_policy(loss.close.code)
        };
        let refused_before = self.refusals > 0;
        if policy == ClosePolicy::RetryOnce {
            self.refusals += 1;
        }
        let between = |low: f64, high: f64| low + (high - low).max(0.0) * self.step.chance;
        let backoff = if self.failures == 0 {
            between(0.0, settings.first_delay_max as f64)
        } else {
            let ceiling = settings.base_delay as f64
                * settings
                    .growth_factor
                    .powf(f64::from(self.failures.min(64)));
            let low = settings.min_delay as f64;
            between(low, ceiling.min(settings.max_delay as f64))
        } as u64;
        // What was said in time counts before what the Close says.
        let announced = self.window.filter(|_| loss.was_open).or(window);
        let (mut retry_in, mut why) = match (self.step.verdict, policy) {
            (Some(Verdict::Stop), _) => (None, Why::PredicateStops),
            (Some(Verdict::Retry), _) => (Some(backoff), Why::PredicateRetries),
            (Some(Verdict::RetryAfter(millis)), _) => (Some(millis), Why::PredicateRetries),
            (None, ClosePolicy::Stop) => (None, Why::PolicyStops),
            (None, ClosePolicy::RetryOnce) if refused_before => (None, Why::RefusedTwice),
            (None, _) if announced.is_some() => {
                let cap = settings.announced_delay_max;
                let (min_ms, max_ms) = announced.unwrap_or_default();
                let asked = between(min_ms.min(cap) as f64, max_ms.min(cap) as f64) as u64;
                // Never sooner than without the window, once attempts have failed.
                let least = if self.failures == 0 { 0 } else { backoff };
                (Some(asked.max(least)), Why::ServerAsks)
            }
            (None, ClosePolicy::RetryWithin { min_ms, max_ms }) => (
                Some(between(min_ms as f64, max_ms as f64) as u64),
                Why::ServerAsks,
            ),
            (None, _) if self.failures == 0 && self.is_local(&loss) => (Some(0), Why::LocalLoss),
            (None, _) => (Some(backoff), Why::PolicyRetries),
        };
        if retry_in.is_some() && settings.max_retries.is_some_and(|max| self.failures >= max) {
            (retry_in, why) = (None, Why::RetriesExhausted);
        }
        let token = self.next_token() - self.now;
        if retry_in.is_some_and(|delay| delay < token) {
            (retry_in, why) = (Some(token), Why::TooManyAttempts);
        }
        if let Some(delay) = retry_in {
            self.failures += 1;
            self.wait_until = self.now.saturating_add(delay);
            self.firm = why == Why::ServerAsks;
        }
        self.expect(loss, retry_in, why);
        retry_in
    }

    /// Whether a loss comes from this side, so that no crowd comes back with it.
    fn is_local(&self, loss: &Loss) -> bool {
        let woken = self.woken.is_some_and(|at| self.now - at <= LOCAL);
        loss.was_open && (woken || loss.cause == Cause::ProbeTimeout)
    }

    fn expect_end(&mut self, close: CloseFrame, cause: Cause, was_open: bool) {
        let loss = Loss {
            close,
            cause,
            was_open,
        };
        self.expect(loss, None, Why::Requested);
    }

    fn expect(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) {
        let generation = self.generation();
        let unconfirmed = if loss.was_open {
            self.socket(generation)
                .map(Socket::tally)
                .unwrap_or_default()
        } else {
            Tally::default()
        };
        self.unconfirmed.messages += unconfirmed.messages;
        self.unconfirmed.bytes += unconfirmed.bytes;
        self.expected.push_back(Expected {
            generation,
            loss,
            retry_in,
            why,
            unconfirmed,
        });
    }

    // ----- commands

    /// Gives the core a command of the application and carries out what follows from it at once.
    fn command(&mut self, command: Command) -> Result<(), Violation> {
        let phase = self.core.phase();
        match command {
            Command::Start => self.tell(Input::Start)?,
            Command::Close { code, reason } => {
                self.forget_failures_if_stable();
                match phase {
                    Phase::Connecting | Phase::Waiting => {
                        self.expect_end(CloseFrame::abnormal(), Cause::Closed, false);
                    }
                    Phase::Open => {
                        self.closing_with = Some((code, reason));
                        self.closing_gated = match self.flow {
                            Flow::Gated => true,
                            Flow::Announcing | Flow::Opening { ready: false } => self.settings.gate,
                            Flow::Opening { ready: true } | Flow::Flowing => false,
                        };
                    }
                    _ => {}
                }
                // The queue that it hands over may meet with the end of the connection.
                let disturbed = self.close_in_send.is_some();
                self.tell(Input::Close {
                    code,
                    reason: reason.into(),
                })?;
                self.carry_out()?;
                if matches!(phase, Phase::Connecting | Phase::Waiting | Phase::Open) {
                    ensure!(
                        self.core.ready_state() == 2 || disturbed,
                        "after close() readyState is {}",
                        self.core.ready_state()
                    );
                }
            }
            Command::Reconnect => {
                if matches!(phase, Phase::Idle | Phase::Closed) {
                    self.failures = 0;
                    self.refusals = 0;
                }
                self.forget_failures_if_stable();
                let attempt = self.expect_attempt();
                if matches!(phase, Phase::Open | Phase::Closing) {
                    let loss = Loss {
                        close: CloseFrame::abnormal(),
                        cause: Cause::Reconnect,
                        was_open: true,
                    };
                    if attempt {
                        self.expect(loss, Some(0), Why::Requested);
                    } else {
                        let wait = self.wait_until - self.now;
                        self.expect(loss, Some(wait), Why::TooManyAttempts);
                    }
                }
                let before = self.generation();
                self.tell(Input::Reconnect)?;
                if !attempt {
                    ensure!(
                        self.core.phase() == Phase::Waiting && self.core.ready_state() == 0,
                        "reconnect() in {phase:?} leads to {:?}",
                        self.core.phase()
                    );
                }
                self.carry_out()?;
                ensure!(
                    !attempt || self.generation() > before,
                    "reconnect() in {phase:?} started no attempt"
                );
            }
            Command::Ready => {
                self.count(&Input::Ready);
                match &mut self.flow {
                    _ if phase != Phase::Open => {}
                    Flow::Opening { ready } => *ready = true,
                    flow @ Flow::Gated => *flow = Flow::Flowing,
                    Flow::Announcing | Flow::Flowing => {}
                }
                self.tell_uncounted(Input::Ready, None)?;
            }
            Command::Send { bytes, mode } => self.send(bytes, mode)?,
        }
        self.carry_out()
    }

    fn send(
        &mut self,
        bytes: usize,
        mode: steady_socket::connection::SendMode,
    ) -> Result<(), Violation> {
        let place = self.place();
        self.coverage.count(
            place,
            match (mode.volatile, mode.first) {
                (true, _) => Kind::SendVolatile,
                (false, true) => Kind::SendFirst,
                (false, false) => Kind::Send,
            },
        );
        let phase = self.core.phase();
        let over = matches!(phase, Phase::Closing | Phase::Closed);
        let id = self.messages.len() as u64;
        let opening = phase == Phase::Open && matches!(self.flow, Flow::Opening { .. });
        let ttl = mode.ttl_ms.or(self.settings.message_ttl);
        let settled = !self.core.has_output();
        self.messages.push(Message {
            bytes,
            first: mode.first || opening,
            volatile: mode.volatile,
            expires: ttl.map(|ttl| self.now.saturating_add(ttl)),
            refused: false,
            poison: false,
            fate: Fate::Queued,
        });
        let has_room = self.core.has_room(bytes);
        let ordinary = !mode.volatile && !mode.first;
        let full = self.waiting.len() >= self.settings.max_queued_messages as usize
            || self.waiting_bytes() + bytes as u64 > u64::from(self.settings.max_queued_bytes);
        ensure!(
            !over || !has_room,
            "there is room for a message in {phase:?}"
        );
        ensure!(
            has_room || over || full || !settled,
            "there is no room for a message in an empty place"
        );
        let sent = self.core.send(self.time(), id, bytes, mode);
        ensure!(
            !has_room || !ordinary || matches!(sent, Ok(Sent::Now | Sent::Queued)),
            "there is room for a message, and it becomes {sent:?}"
        );
        match sent {
            Ok(result) => {
                ensure!(!over, "a message was accepted in {phase:?}");
                match result {
                    Sent::Now => {
                        self.waiting.push(id);
                        self.handed_over = Some(id);
                        self.carry_out()?;
                        self.handed_over = None;
                        ensure!(
                            self.messages[id as usize].fate == Fate::Taken
                                || self.core.phase() != phase,
                            "a message that was to be sent now was not"
                        );
                    }
                    Sent::Queued => {
                        ensure!(!mode.volatile, "a volatile message was queued");
                        self.waiting.push(id);
                    }
                    Sent::Dropped => {
                        let reason = if mode.volatile {
                            DropReason::Volatile
                        } else {
                            ensure!(
                                self.settings.overflow != Overflow::Reject,
                                "a message was dropped, not refused"
                            );
                            ensure!(full || !settled, "a message was dropped with room for it");
                            DropReason::Overflow
                        };
                        self.messages[id as usize].fate = Fate::ToBeReported(reason);
                        self.waiting.push(id);
                    }
                }
            }
            Err(SendRejected::Closed(payload)) => {
                ensure!(payload == id, "another message came back");
                ensure!(over, "a message was refused in {phase:?}");
                self.messages[id as usize].fate = Fate::Refused;
            }
            Err(SendRejected::Full(payload)) => {
                ensure!(payload == id, "another message came back");
                ensure!(
                    self.settings.overflow == Overflow::Reject,
                    "a message was refused, not dropped"
                );
                ensure!(full || !settled, "a message was refused with room for it");
                self.messages[id as usize].fate = Fate::Refused;
            }
        }
        Ok(())
    }

    fn waiting_bytes(&self) -> u64 {
        self.waiting
            .iter()
            .map(|id| self.messages[*id as usize].bytes as u64)
            .sum()
    }

    // ----- effects

    fn carry_out(&mut self) -> Result<(), Violation> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Resolve { generation } => self.resolve(generation)?,
                Effect::CancelResolve { generation } => {
                    ensure!(
                        self.provider == Some(generation.number()),
                        "a search that does not run was called off"
                    );
                    self.provider = None;
                    self.news.push(News::GivenUp);
                }
                Effect::Open { generation } => self.open(generation)?,
                Effect::Transmit {
                    generation,
                    payload,
                } => self.transmit(generation, payload)?,
                Effect::Ping { generation } => {
                    ensure!(
                        self.life.answers && generation.number() == self.generation(),
                        "a ping for a server that does not answer it"
                    );
                    ensure!(
                        core::mem::take(&mut self.life.ping_due),
                        "a ping that is not due"
                    );
                    // It lies in the browser's buffer like any message.
                    if let Some(socket) = self.socket_mut(generation.number()) {
                        socket.buffered += 5;
                    }
                }
                Effect::Measure { generation } => {
                    let number = generation.number();
                    let bytes = self
                        .socket(number)
                        .filter(|socket| !socket.abandoned)
                        .map_or(0, |socket| socket.buffered);
                    self.measured(number, bytes);
                    self.tell(Input::Buffered { generation, bytes })?;
                }
                Effect::Close {
                    generation,
                    code,
                    reason,
                } => {
                    let asked = self.closing_with.take();
                    ensure!(
                        asked == Some((code, reason.as_str())),
                        "a close with {code:?} {reason:?}, asked was {asked:?}"
                    );
                    let now = self.now;
                    let number = generation.number();
                    let Some(socket) = self.socket_mut(number) else {
                        return Err("a socket was closed that there is not".into());
                    };
                    ensure!(
                        socket.opened && socket.close_called.is_none() && !socket.abandoned,
                        "a socket was closed that is not open"
                    );
                    let was_live = socket.is_live();
                    socket.close_called = Some(code);
                    socket.least_buffered = Some((u64::MAX, now));
                    if was_live {
                        self.live -= 1;
                    }
                    self.news.push(News::ClosingHandshake(code));
                }
                Effect::Abandon { generation } => {
                    let Some(socket) = self.socket_mut(generation.number()) else {
                        return Err("a socket was abandoned that there is not".into());
                    };
                    ensure!(!socket.abandoned, "a socket was abandoned twice");
                    let was_live = socket.is_live();
                    socket.abandoned = true;
                    if was_live {
                        self.live -= 1;
                    }
                    self.abandoned += 1;
                    self.news.push(News::GivenUp);
                }
            }
        }
        Ok(())
    }

    fn resolve(&mut self, generation: Generation) -> Result<(), Violation> {
        ensure!(
            generation.number() == self.generation() + 1,
            "attempt {} follows attempt {}",
            generation.number(),
            self.generation()
        );
        ensure!(self.provider.is_none(), "two searches for a URL at once");
        let Some(credit) = self
            .credit_now()
            .checked_sub(self.settings.attempt_interval)
        else {
            return Err("too many attempts in a short time".into());
        };
        self.credit = (credit, self.now);
        self.sockets.push(None);
        self.generations.push(generation);
        self.provider = Some(generation.number());
        self.asked_at = self.now;
        self.news.push(News::Asked);
        match self.provider_mode {
            Provider::Later => Ok(()),
            Provider::Now => self.provided(generation.number(), true),
            Provider::Throws => self.provided(generation.number(), false),
        }
    }

    fn open(&mut self, generation: Generation) -> Result<(), Violation> {
        let number = generation.number();
        ensure!(
            number == self.generation(),
            "a socket is wanted for an attempt that is over"
        );
        if core::mem::take(&mut self.refuse_open) {
            let ending = Ending::abnormal(Cause::Refused, false);
            return self.tell_end(Input::OpenFailed { generation }, Some(ending));
        }
        let made_at = self.now;
        let slot = &mut self.sockets[number as usize - 1];
        ensure!(slot.is_none(), "two sockets of one attempt");
        *slot = Some(Socket {
            made_at,
            ..Socket::default()
        });
        self.live += 1;
        ensure!(self.live <= 1, "{} live sockets", self.live);
        self.news.push(News::Made);
        Ok(())
    }

    fn transmit(&mut self, generation: Generation, id: u64) -> Result<(), Violation> {
        let number = generation.number();
        let phase = self.core.phase();
        ensure!(
            number == self.generation(),
            "a message for an earlier socket"
        );
        let Some(socket) = self.socket(number) else {
            return Err("a message for a socket that there is not".into());
        };
        ensure!(
            socket.opened && socket.is_live(),
            "a message for a socket that is not open"
        );
        let Some(message) = self.messages.get(id as usize).copied() else {
            return Err("a message that nobody sent".into());
        };
        ensure!(
            message.fate == Fate::Queued,
            "message {id} is sent although it is {:?}",
            message.fate
        );
        ensure!(
            self.handed_over == Some(id) || message.expires.is_none_or(|at| at > self.now),
            "message {id} is sent although its time was over"
        );
        ensure!(self.in_hand.is_none(), "two messages in hand");
        let all_lanes = match (phase, self.flow) {
            (Phase::Open, Flow::Announcing) => {
                return Err("a message is sent before the application knows of `open`".into());
            }
            (Phase::Open, Flow::Opening { .. } | Flow::Gated) => false,
            (Phase::Open, Flow::Flowing) => true,
            (Phase::Closing, _) => !self.closing_gated,
            _ => return Err(format!("a message is sent in {phase:?}")),
        };
        ensure!(
            message.first || all_lanes,
            "a message passes before the application is ready"
        );
        if phase == Phase::Open {
            ensure!(
                !self.blocked && self.estimate < u64::from(self.settings.high_water_mark),
                "a message passes above the mark"
            );
        }
        if !message.first {
            let first = self
                .waiting
                .iter()
                .filter(|id| self.messages[**id as usize].first);
            self.overtaken.extend(first);
        }
        self.in_hand = Some(id);
        if let Some(code) = self.close_in_send.take() {
            self.socket_closes(number, code, false, Reason::None)?;
            self.carry_out()?;
            self.hand_out()?;
        }
        self.in_hand = None;
        if let Some(always) = self.fail_send.take() {
            self.messages[id as usize].poison |= always;
            return self.send_throws(generation, id, phase);
        }
        if message.poison {
            return self.send_throws(generation, id, phase);
        }
        let lane = &mut self.last_taken[usize::from(message.first)];
        ensure!(
            lane.is_none_or(|last| last < id),
            "message {id} comes after {lane:?} of its lane"
        );
        *lane = Some(id);
        self.messages[id as usize].fate = Fate::Taken;
        self.waiting.retain(|waiting| *waiting != id);
        self.sent.messages += 1;
        self.sent.bytes += message.bytes as u64;
        let bytes = message.bytes as u64;
        let lost = self.core.phase() != phase || number != self.generation();
        if lost {
            self.unconfirmed.messages += 1;
            self.unconfirmed.bytes += bytes;
        } else {
            self.estimate += bytes;
            if let Some(socket) = self.socket_mut(number) {
                socket.handed += bytes;
                socket.buffered += bytes;
                socket.unconfirmed.push_back((socket.handed, message.bytes));
            }
        }
        self.tell(Input::Transmitted { generation })
    }

    /// The browser's `send` throws: the connection is given up, unless one was given up for this message
    /// before. `phase` is that in which it was called.
    fn send_throws(
        &mut self,
        generation: Generation,
        id: u64,
        phase: Phase,
    ) -> Result<(), Violation> {
        let number = generation.number();
        let connected = self.is_connected(number);
        let input = Input::TransmitFailed {
            generation,
            payload: id,
        };
        let message = &mut self.messages[id as usize];
        if connected && message.refused {
            message.fate = Fate::ToBeReported(DropReason::Refused);
            self.tell(input)?;
            ensure!(
                self.core.phase() == phase && number == self.generation(),
                "a connection is given up for a message that cost one before"
            );
            return Ok(());
        }
        message.refused |= connected;
        self.came_back[usize::from(message.first)] = Some(id);
        if message.volatile {
            message.fate = Fate::ToBeReported(DropReason::Volatile);
        }
        if self.core.phase() != phase {
            self.came_back_late = Some(id);
        }
        if connected && self.core.phase() == Phase::Closing {
            self.expect_end(CloseFrame::abnormal(), Cause::SendFailed, true);
        }
        let open = connected && self.core.phase() == Phase::Open;
        self.tell_end(
            input,
            open.then(|| Ending::abnormal(Cause::SendFailed, true)),
        )
    }

    /// The core learns what the browser holds.
    fn measured(&mut self, number: u64, bytes: u64) {
        let now = self.now;
        if number != self.generation() {
            return;
        }
        if self.core.phase() == Phase::Open {
            self.estimate = bytes;
            self.measured_at = now;
            self.blocked = if self.blocked {
                bytes > u64::from(self.settings.low_water_mark)
            } else {
                bytes >= u64::from(self.settings.high_water_mark)
            };
        }
        if let Some(socket) = self.socket_mut(number)
            && let Some((least, at)) = &mut socket.least_buffered
            && bytes < *least
        {
            (*least, *at) = (bytes, now);
        }
    }

    // ----- outputs

    fn hand_out(&mut self) -> Result<(), Violation> {
        if self.telling {
            return Ok(());
        }
        self.telling = true;
        loop {
            if self.core.phase() == Phase::Open
                && let Flow::Opening { ready } = self.flow
            {
                self.flow = if self.settings.gate && !ready {
                    Flow::Gated
                } else {
                    Flow::Flowing
                };
            }
            let output = self.core.poll_output(self.time());
            self.carry_out()?;
            let Some(output) = output else {
                // The end of the handler of `open` lets messages go, and their fate may be an event.
                if self.core.has_output() {
                    continue;
                }
                break;
            };
            match output {
                Output::Message(id) => self.told_message(id)?,
                Output::Event(event) => self.told_event(event)?,
            }
            let mut commands = Vec::new();
            self.handlers.retain_mut(|(skip, command)| {
                if *skip == 0 {
                    commands.push(*command);
                    return false;
                }
                *skip -= 1;
                true
            });
            for command in commands {
                self.command(command)?;
            }
            self.carry_out()?;
        }
        self.telling = false;
        Ok(())
    }

    fn told_message(&mut self, id: u64) -> Result<(), Violation> {
        ensure!(
            self.told_open.is_some(),
            "a message is delivered while no connection is open"
        );
        ensure!(
            self.to_deliver.pop_front() == Some(id),
            "a message is delivered that was not to be"
        );
        Ok(())
    }

    fn told_event(&mut self, event: Event<u64>) -> Result<(), Violation> {
        if self.told_final {
            let late_report = matches!(&event, Event::Dropped(dropped)
                if dropped.payloads.iter().all(|id| Some(*id) == self.came_back_late));
            let restart = matches!(&event, Event::State(change)
                if change.phase == Phase::Connecting || change.why == Why::TooManyAttempts);
            ensure!(
                late_report || restart,
                "after the final close comes {event:?}"
            );
            self.told_final = late_report;
        }
        if self.told_error {
            ensure!(
                matches!(&event, Event::Closed(_) | Event::Dropped(_)),
                "between error and close comes {event:?}"
            );
        }
        match event {
            Event::State(change) => {
                let shifts = matches!(change.why, Why::TooManyAttempts | Why::Woken);
                if change.phase == Phase::Waiting && !shifts {
                    let expected = self.expected.front();
                    ensure!(
                        expected.is_some_and(|expected| expected.retry_in == change.delay
                            && expected.why == change.why),
                        "{change:?} for {expected:?}"
                    );
                }
                self.told = change.phase;
                self.told_until = change.delay.map(|delay| self.now.saturating_add(delay));
            }
            Event::Open {
                generation,
                reconnected,
                ..
            } => {
                ensure!(self.told == Phase::Open, "`open` in {:?}", self.told);
                ensure!(self.told_open.is_none(), "two connections open");
                ensure!(
                    reconnected == (self.told_opens > 0),
                    "`open` says reconnected: {reconnected}"
                );
                self.told_opens += 1;
                self.told_open = Some(generation.number());
                if generation.number() == self.generation()
                    && self.core.phase() == Phase::Open
                    && self.flow == Flow::Announcing
                {
                    self.flow = Flow::Opening { ready: false };
                }
            }
            Event::Error => self.told_error = true,
            Event::Closed(closed) => self.told_closed(&closed)?,
            Event::Dropped(dropped) => self.told_dropped(&dropped)?,
        }
        Ok(())
    }

    fn told_closed(&mut self, closed: &Closed) -> Result<(), Violation> {
        let Some(expected) = self.expected.pop_front() else {
            return Err(format!("{closed:?} for no loss"));
        };
        let as_expected = closed.generation.number() == expected.generation
            && closed.loss == expected.loss
            && closed.retry_in == expected.retry_in
            && closed.why == expected.why;
        ensure!(as_expected, "{closed:?} for {expected:?}");
        ensure!(
            closed.unconfirmed == expected.unconfirmed,
            "unconfirmed are {:?}, reported as {:?}",
            expected.unconfirmed,
            closed.unconfirmed
        );
        if closed.loss.was_open {
            ensure!(
                self.told_open.take() == Some(closed.generation.number()),
                "a connection is closed that was not open"
            );
        } else {
            ensure!(self.told_open.is_none(), "another connection is open");
        }
        let told = match closed.retry_in {
            None => Phase::Closed,
            Some(_) if closed.why == Why::Requested => Phase::Connecting,
            Some(_) => Phase::Waiting,
        };
        ensure!(
            self.told == told,
            "a close with {told:?} in {:?}",
            self.told
        );
        if closed.loss.cause != Cause::Reconnect {
            let failed = self
                .socket(closed.generation.number())
                .is_some_and(|socket| socket.failed);
            ensure!(
                self.told_error == (!closed.loss.was_open || failed),
                "`error` before it: {}, {closed:?}",
                self.told_error
            );
        }
        self.told_error = false;
        self.told_final = closed.retry_in.is_none();
        if self.told_final && self.core.phase() == Phase::Closed && !self.core.has_output() {
            ensure!(
                self.core.ready_state() == 3,
                "in the final close readyState is {}",
                self.core.ready_state()
            );
        }
        Ok(())
    }

    fn told_dropped(&mut self, dropped: &Dropped<u64>) -> Result<(), Violation> {
        let mut tally = Tally::default();
        let mut last = None;
        if dropped.reason == DropReason::Overflow && self.settings.overflow == Overflow::DropOldest
        {
            self.check_oldest(&dropped.payloads)?;
        }
        for id in &dropped.payloads {
            let Some(message) = self.messages.get_mut(*id as usize) else {
                return Err("a message is reported that nobody sent".into());
            };
            let allowed = match (message.fate, dropped.reason) {
                (Fate::ToBeReported(reason), reported) => reason == reported,
                (Fate::Queued, DropReason::Expired) => {
                    message.expires.is_some_and(|expires| expires <= self.now)
                }
                (Fate::Queued, DropReason::Overflow) => {
                    self.settings.overflow == Overflow::DropOldest
                }
                (Fate::Queued, DropReason::Closed) => true,
                _ => false,
            };
            ensure!(
                allowed,
                "message {id} is {:?} and reported as {:?}",
                message.fate,
                dropped.reason
            );
            message.fate = Fate::Dropped;
            tally.messages += 1;
            tally.bytes += message.bytes as u64;
            let rank = (!message.first, *id);
            ensure!(
                dropped.reason == DropReason::Overflow || last.is_none_or(|last| last < rank),
                "dropped messages are reported out of order: {:?}",
                dropped.payloads
            );
            last = Some(rank);
        }
        ensure!(
            dropped.bytes == tally.bytes,
            "{} bytes reported, {} dropped",
            dropped.bytes,
            tally.bytes
        );
        self.waiting
            .retain(|id| self.messages[*id as usize].fate != Fate::Dropped);
        self.dropped.messages += tally.messages;
        self.dropped.bytes += tally.bytes;
        Ok(())
    }

    /// Room is made by the oldest of the ordinary messages.
    fn check_oldest(&self, dropped: &[u64]) -> Result<(), Violation> {
        let queued = |id: &u64| {
            let message = self.messages.get(*id as usize)?;
            (message.fate == Fate::Queued && !message.first).then_some(*id)
        };
        let newest_dropped = dropped.iter().filter_map(queued).max();
        let oldest_kept = self
            .waiting
            .iter()
            .filter(|id| !dropped.contains(id) && self.in_hand != Some(**id))
            .filter_map(queued)
            .min();
        ensure!(
            newest_dropped.is_none() || oldest_kept.is_none_or(|kept| Some(kept) > newest_dropped),
            "{dropped:?} made room, {oldest_kept:?} stayed"
        );
        Ok(())
    }

    // ----- invariants

    /// Checks what must be true whenever everything has been carried out and handed out.
    fn check(&mut self) -> Result<(), Violation> {
        if self.telling {
            return Ok(());
        }
        self.check_sockets()?;
        self.check_timer()?;
        self.check_messages()?;
        let ready_state = match self.core.phase() {
            Phase::Connecting | Phase::Waiting => 0,
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
            "the next attempt was told for {:?}, it is due at {}",
            self.told_until,
            self.wait_until
        );
        ensure!(!self.life.ping_due, "a ping is due, and none was sent");
        ensure!(
            self.expected.is_empty(),
            "not told: {:?}",
            self.expected.front()
        );
        ensure!(self.to_deliver.is_empty(), "a message was not delivered");
        ensure!(!self.told_error, "an error without a close");
        ensure!(
            self.told_final == (self.core.phase() == Phase::Closed),
            "the final close was told: {}, in {:?}",
            self.told_final,
            self.core.phase()
        );
        let snapshot = self.core.snapshot();
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
            Phase::Idle | Phase::Waiting | Phase::Closed => !live && !searching,
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
            Phase::Connecting if self.provider.is_some() => {
                Some(self.asked_at + settings.provider_timeout)
            }
            Phase::Connecting => self
                .socket(self.generation())
                .map(|socket| socket.made_at + settings.connect_timeout),
            Phase::Closing => Some(self.now.saturating_add(settings.close_timeout)),
            // Looked at again within a second.
            Phase::Open => {
                let drain = self.blocked.then_some(self.measured_at + 1_000);
                self.life_due().into_iter().chain(drain).min()
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
            ensure!(
                timer.is_none(),
                "in {:?} a timer is armed for nothing",
                self.core.phase()
            );
        }
        Ok(())
    }

    fn check_messages(&mut self) -> Result<(), Violation> {
        let queued = self.core.snapshot().queued;
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
