//! The connection itself, as a state machine without a socket, a clock, randomness or a callback.
//!
//! Everything that happens is an [`Input`]; everything to be done is an [`Effect`], and everything that the
//! application receives is an [`Output`]. Time and random numbers come with the input, so that a test can run years
//! in a second and repeat them exactly. The connection is generic over the message, so that a JavaScript value passes
//! through untouched and a simulation can send numbers.
//!
//! # The contract with the driver
//!
//! > One mutation, then drain the effects, then hand out the outputs, then arm a timer.
//!
//! 1. Report what happened: [`Connection::handle`], or one of the shortcuts below.
//! 2. Carry out [`Connection::poll_effect`] until it is empty. An effect that is answered ([`Effect::Transmit`],
//!    [`Effect::Measure`], [`Effect::Judge`], a ping) is answered before the next effect is taken; [`Effect::Turn`] is answered
//!    in a later task.
//! 3. Take [`Connection::poll_output`], call the application's handler, carry out the resulting effects, and repeat
//!    until there is none. Inside the handler, the application may call anything: the state has settled, and its
//!    commands do steps 1 and 2 at once. Polling for the next output tells the core that the previous handler has
//!    returned.
//! 4. Arm a timer for [`Connection::next_timer`], and report it as [`Input::Timer`]; or two, for
//!    [`Connection::upcoming`], if the platform slows down timers that arm each other.
//!
//! Late or duplicate inputs change nothing, nor do reports of an earlier socket. The machine is driven by the socket's
//! `close`, never by its `error`.
//!
//! A whole driver, on a platform whose server echoes everything at once:
//!
//! ```
//! use steady_socket::Options;
//! use steady_socket::connection::{
//!     Accepted, Connection, Context, Effect, Generation, Input, Output, Phase, Pings, Report, SendMode,
//!     Time,
//! };
//!
//! struct Driver {
//!     core: Connection<String>,
//!     now: Time,
//!     /// What the network has not delivered yet.
//!     arriving: Vec<Input<String>>,
//!     log: Vec<String>,
//! }
//!
//! impl Driver {
//!     /// Something happened. Returns when a timer must fire.
//!     fn happens(&mut self, input: Input<String>) -> Option<Time> {
//!         self.handle(input);
//!         self.settle()
//!     }
//!
//!     fn send(&mut self, message: &str) -> Option<Time> {
//!         let mode = SendMode::default();
//!         let sent = self.core.send(self.now, message.to_owned(), message.len(), mode);
//!         if let Ok(Accepted::Transmit { generation, payload }) = sent {
//!             self.transmit(generation, payload);
//!         }
//!         self.settle()
//!     }
//!
//!     fn handle(&mut self, input: Input<String>) {
//!         let context = Context { now: self.now, chance: 0.5 };
//!         self.core.handle(context, input);
//!     }
//!
//!     fn settle(&mut self) -> Option<Time> {
//!         self.carry_out();
//!         loop {
//!             let output = self.core.poll_output(self.now);
//!             self.carry_out();
//!             match output {
//!                 Some(Output::Message(message)) => self.log.push(format!("message: {message}")),
//!                 Some(Output::Event(event)) => self.log.push(event.to_string()),
//!                 // Carrying out may have brought more.
//!                 None if self.core.has_output() => {}
//!                 None => return self.core.next_timer(),
//!             }
//!         }
//!     }
//!
//!     fn carry_out(&mut self) {
//!         while let Some(effect) = self.core.poll_effect() {
//!             match effect {
//!                 Effect::Resolve { generation } => self.handle(Report::Resolved.of(generation)),
//!                 Effect::Open { generation } => {
//!                     self.arriving.push(Report::Opened(Pings::None).of(generation));
//!                 }
//!                 Effect::Transmit { generation, payload } => self.transmit(generation, payload),
//!                 Effect::Measure { generation } => self.handle(Report::Buffered(0).of(generation)),
//!                 Effect::Judge { generation } => self.handle(Report::Verdict(None).of(generation)),
//!                 // Nothing waits behind the timer here.
//!                 Effect::Turn { generation, turn } => self.handle(Report::Turned(turn).of(generation)),
//!                 // This platform has no search to cancel, no server to ping, and no socket to close.
//!                 _ => {}
//!             }
//!         }
//!     }
//!
//!     fn transmit(&mut self, generation: Generation, payload: String) {
//!         self.core.transmitted(self.now, generation);
//!         let bytes = payload.len();
//!         self.arriving.push(Report::Message { payload, bytes }.of(generation));
//!     }
//! }
//!
//! let mut driver = Driver {
//!     core: Connection::new(Options::default()),
//!     now: Time::from_millis(0),
//!     arriving: Vec::new(),
//!     log: Vec::new(),
//! };
//! driver.happens(Input::Start);
//! driver.send("sent before it is open");
//! while !driver.arriving.is_empty() {
//!     let input = driver.arriving.remove(0);
//!     driver.happens(input);
//! }
//! assert_eq!(driver.core.phase(), Phase::Open);
//! assert!(driver.log.iter().any(|line| line == "message: sent before it is open"));
//! ```

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod attempt;
mod backoff;
mod bucket;
mod closing;
mod dropped;
mod event;
mod line;
mod liveness;
mod open;
mod policy;
mod queue;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;
mod timer;
mod totals;
mod unconfirmed;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

pub use steady_socket_protocol::control::{Control, Window};

use crate::options::Options;

pub use event::{
    Accepted, Cause, CloseFrame, Closed, Context, DropReason, Dropped, Effect, Event, Generation,
    Hint, Input, Loss, Output, Phase, Pings, Report, SendMode, SendRejected, Sent, SessionEvent,
    SessionLoss, Snapshot, StateChange, Unwelcomed, Why,
};
pub use policy::{
    CLOSE_CODES, CloseCodes, CloseError, ClosePolicy, RESTART_WINDOW, Verdict, check_close,
    close_policy,
};
#[doc(hidden)]
pub use receiving::BEAT_MS;
pub use receiving::ControlPing;
pub use steady_socket_protocol::Time;
pub use timer::Upcoming;
pub use totals::{Counters, NONE};
pub use unconfirmed::Tally;

use bucket::Bucket;
use dropped::Drops;
use line::Line;
use open::{Flow, Open};
use queue::{Queue, Queued};
use sending::InHand;
use totals::{Count, Totals};

/// Identifies a turn of the event loop while closing, whose deadline moves until the turn is answered.
const CLOSE_DEADLINE: Time = Time::from_millis(0);

/// The connection's state, with what only that state needs.
#[derive(Clone, Debug, Hash)]
#[expect(
    clippy::large_enum_variant,
    reason = "a connection has one state, and a message need not follow a pointer to it"
)]
enum State {
    Idle,
    Resolving {
        deadline: Time,
    },
    Connecting {
        deadline: Time,
    },
    /// Includes the closing handshake.
    Open(Open),
    Waiting {
        until: Time,
        /// The server requested the wait: nothing shortens it.
        firm: bool,
    },
    /// The attempt or the connection has ended, and the application's predicate is asked what follows. Until it answers,
    /// `ready_state` stays as it was.
    Lost(Box<Loss>),
    Closed,
    Suspended,
}

/// A turn of the event loop that was requested before giving something up.
#[derive(Clone, Copy, Debug, Hash)]
struct Turning {
    /// The deadline that has passed.
    deadline: Time,
    /// When to ask again if no answer comes.
    again: Time,
}

/// What is known of the latest attempt, whatever became of it.
#[derive(Clone, Debug, Default, Hash)]
struct Latest {
    /// The number of the last requested turn of the event loop.
    turn: u32,
    turning: Option<Turning>,
    /// Whether a late timer was already excused before the socket was open.
    late: bool,
    /// The browser reported an error.
    failed: bool,
    /// The text of that error.
    error: Option<String>,
    /// When the server wants its clients to reconnect.
    window: Option<Window>,
    /// What was unconfirmed when its socket ended.
    unconfirmed: Tally,
}

/// Something waiting to be delivered.
#[derive(Clone, Debug, Hash)]
enum Pending<P> {
    Output(Output<P>),
    /// Dropped messages: one entry per reason, to which later ones are added.
    Dropped(Drops<P>),
    /// From here on, `readyState` is 3.
    Over,
}

/// A connection that is replaced when it is lost. The [module](self) describes how to drive it.
///
/// Methods come in three kinds: inputs ([`handle`](Self::handle), [`send`](Self::send)), outputs
/// ([`poll_effect`](Self::poll_effect), [`poll_output`](Self::poll_output), [`next_timer`](Self::next_timer)), and
/// questions.
///
/// What happens with every message has a shortcut past the queues of effects and outputs: [`send`](Self::send) returns a
/// message that may go to the browser at once, [`transmitted`](Self::transmitted) says that the browser accepted it, and
/// [`receive`](Self::receive) returns a message that is next to deliver. Before each of them, the core says whether the
/// time matters ([`messages_expire`](Self::messages_expire),
/// [`transmissions_are_timed`](Self::transmissions_are_timed), [`messages_are_timed`](Self::messages_are_timed)): reading
/// a browser's clock takes longer than all of this.
#[derive(Clone, Debug)]
pub struct Connection<P> {
    options: Options,
    state: State,
    generation: Generation,
    /// Consecutive losses without a stable connection in between.
    failures: u32,
    /// Consecutive losses whose code says that the server refused what it was sent.
    refusals: u32,
    queue: Queue<P>,
    latest: Latest,
    in_hand: Option<InHand>,
    last_loss: Option<Loss>,
    bucket: Bucket,
    /// When the page last woke or the network last changed.
    woken: Option<Time>,
    /// Whether the server also sends, unasked, what would be an answer to a ping without a number.
    distrusts: bool,
    effects: Line<Effect<P>>,
    outputs: Line<Pending<P>>,
    totals: Totals,
}

/// Two connections with the same options and an equal hash react identically to all inputs. State that only answers
/// queries, such as the counters, is left out.
impl<P: Hash> Hash for Connection<P> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            options: _,
            state,
            generation,
            failures,
            refusals,
            queue,
            latest,
            in_hand,
            last_loss: _,
            bucket,
            woken,
            distrusts,
            effects,
            outputs,
            totals,
        } = self;
        (state, generation, failures, refusals).hash(hasher);
        (queue, latest, in_hand).hash(hasher);
        (bucket, woken, distrusts).hash(hasher);
        (effects, outputs).hash(hasher);
        // Whether the next `open` is a reconnection.
        (totals.of(Count::Opens) > 0).hash(hasher);
    }
}

impl<P> Connection<P> {
    /// A connection that waits for [`Input::Start`] or [`Input::Reconnect`]. The options have passed
    /// [`Options::check`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        let values = options.values();
        Self {
            options,
            state: State::Idle,
            generation: Generation::default(),
            failures: 0,
            refusals: 0,
            queue: Queue::new(),
            latest: Latest::default(),
            in_hand: None,
            last_loss: None,
            bucket: Bucket::new(values.attempt_burst, values.attempt_interval),
            woken: None,
            distrusts: false,
            effects: Line::new(),
            outputs: Line::new(),
            totals: Totals::default(),
        }
    }

    /// Continues where another connection ended whose core is gone: takes over its [counters](Self::counters), given
    /// by their places, and its count of attempts, and makes the next `open` a reconnection if the other had been open. For a connection that is
    /// [`Phase::Idle`].
    pub fn go_on_from(&mut self, earlier: &dyn Fn(usize) -> u64) {
        self.queue.report_anew();
        self.totals.take_over(earlier);
        self.failures = (earlier(0) as u32).saturating_sub(1);
    }

    // ----- queries

    /// The connection's state.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match &self.state {
            State::Idle => Phase::Idle,
            State::Lost(loss) if loss.was_open => Phase::Open,
            State::Resolving { .. } | State::Connecting { .. } | State::Lost(_) => {
                Phase::Connecting
            }
            State::Open(open) => match open.flow {
                Flow::Closing(_) => Phase::Closing,
                Flow::Suspending(_) => Phase::Suspended,
                _ => Phase::Open,
            },
            State::Waiting { .. } => Phase::Waiting,
            State::Closed => Phase::Closed,
            State::Suspended => Phase::Suspended,
        }
    }

    /// The `readyState` of the WebSocket interface: 0 during every attempt and wait and while suspended, 1 when open,
    /// 2 from `close()` until the final close is delivered, 3 afterwards.
    #[must_use]
    pub fn ready_state(&self) -> u16 {
        match self.phase() {
            Phase::Connecting | Phase::Waiting | Phase::Suspended => 0,
            Phase::Open => 1,
            Phase::Closing => 2,
            Phase::Closed
                if self
                    .outputs
                    .iter()
                    .any(|output| matches!(output, Pending::Over)) =>
            {
                2
            }
            Phase::Closed | Phase::Idle => 3,
        }
    }

    /// The current attempt, or the last one.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The number of the current or next attempt, 1 for the first since the last stable connection.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// Whether this attempt waits for its socket to open.
    #[must_use]
    pub fn wants_socket(&self, generation: Generation) -> bool {
        self.is_current(generation) && matches!(self.state, State::Connecting { .. })
    }

    /// Whether this attempt waits for its URL and sub-protocols.
    #[must_use]
    pub fn wants_target(&self, generation: Generation) -> bool {
        self.is_current(generation) && matches!(self.state, State::Resolving { .. })
    }

    /// How the last connection or attempt ended.
    #[must_use]
    pub const fn last_loss(&self) -> Option<&Loss> {
        self.last_loss.as_ref()
    }

    /// The loss about which the application's predicate is being asked ([`Effect::Judge`]).
    #[must_use]
    pub const fn lost(&self) -> Option<&Loss> {
        match &self.state {
            State::Lost(loss) => Some(loss),
            _ => None,
        }
    }

    /// Bytes in the queue.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// The counters, and how long until the next attempt, counted from `now`.
    #[must_use]
    pub fn snapshot(&self, now: Time) -> Snapshot {
        Snapshot::new(self.phase(), self.counters(now))
    }

    /// Likewise, as numbers.
    #[must_use]
    pub fn counters(&self, now: Time) -> Counters {
        let queued = Tally {
            messages: self.queue.len() as u64,
            bytes: self.queue.bytes() as u64,
        };
        let next_attempt_in = match self.state {
            State::Waiting { until, .. } => until.since(now),
            _ => NONE,
        };
        self.totals.all(self.attempt(), queued, next_attempt_in)
    }

    /// Whether the time matters to `input` now. If not, any earlier time may be given instead, so that the driver
    /// need not read its clock for every message.
    #[must_use]
    pub fn heeds_time(&self, input: &Input<P>) -> bool {
        let (Input::Socket { report, .. }, State::Open(open)) = (input, &self.state) else {
            return true;
        };
        match report {
            Report::Message { bytes, .. } => self.messages_are_timed(*bytes),
            Report::Alive => self.signs_of_life_are_timed(),
            // Below both marks, nothing is deferred.
            Report::Buffered(bytes) => {
                let (high, low) = (
                    self.options.values().high_water_mark,
                    self.options.values().low_water_mark,
                );
                let little = *bytes < high as u64 && *bytes <= low as u64;
                let judges = open.judging || open.asking || open.liveness.is_watching();
                let closing = open.closing().is_some();
                closing || !little || judges || self.messages_expire()
            }
            _ => true,
        }
    }

    /// Whether messages may expire. If not, time does not matter to [`send`](Self::send) for a message without its
    /// own time to live, nor to [`poll_output`](Self::poll_output).
    #[must_use]
    pub fn messages_expire(&self) -> bool {
        self.options.values().message_ttl.is_some() || self.queue.next_expiry().is_some()
    }

    /// Like [`heeds_time`](Self::heeds_time), for a message that the browser accepted.
    #[must_use]
    pub fn transmissions_are_timed(&self) -> bool {
        self.messages_expire()
            || matches!(&self.state, State::Open(open) if open.may_plan_question())
    }

    // ----- inputs

    /// Processes something that happened. Then carry out the effects, deliver the events and arm the timer (see the
    /// [module](self)).
    #[inline(always)]
    pub fn handle(&mut self, context: Context, input: Input<P>) {
        // Most inputs by far are messages, and they are the least work.
        match input {
            Input::Socket {
                generation,
                report: Report::Message { payload, bytes },
            } => {
                let received = self.receive(context.now, generation, payload, bytes);
                if let Some(payload) = received {
                    self.output_message(payload);
                }
            }
            input => self.handle_other(context, input),
        }
    }

    /// Separate, so that a message does not pay for what it does not need.
    #[inline(never)]
    fn handle_other(&mut self, context: Context, input: Input<P>) {
        let now = context.now;
        match input {
            Input::Start => {
                if matches!(self.state, State::Idle) {
                    self.begin(now, Why::Requested);
                }
            }
            Input::Close { code, reason } => self.close(now, code, reason),
            Input::Suspend { code, reason } => self.suspend(now, code, reason),
            Input::Resume => self.resume(now),
            Input::Reconnect { code, reason } => self.reconnect(now, code, reason),
            Input::Ready => self.ready(now),
            Input::Socket { generation, report } => {
                if self.is_current(generation) {
                    self.reported(&context, report);
                }
            }
            Input::TransmitFailed {
                generation,
                payload,
                error,
            } => self.transmit_failed(context.now, generation, payload, error),
            Input::Hint(hint) => self.hint(&context, hint),
            Input::Timer => self.timer(now),
        }
    }

    /// Something happened to the current attempt.
    fn reported(&mut self, context: &Context, report: Report<P>) {
        let now = context.now;
        match (report, &self.state) {
            (Report::Resolved, State::Resolving { .. }) => {
                let deadline = now.after(self.options.values().connect_timeout);
                self.state = State::Connecting { deadline };
                self.effects.push_back(Effect::Open {
                    generation: self.generation,
                });
            }
            (Report::ResolveFailed(error), State::Resolving { .. }) => {
                self.lose(now, Cause::Provider, error);
            }
            (Report::OpenFailed(error), State::Connecting { .. }) => {
                self.lose(now, Cause::Refused, error);
            }
            (Report::Opened(pings), State::Connecting { .. }) => self.opened(now, pings),
            (Report::Error(error), _) => {
                self.latest.failed = true;
                self.latest.error = error.or(self.latest.error.take());
            }
            (Report::Closed(close), _) => self.socket_closed(now, close),
            (Report::Buffered(bytes), _) => self.buffered(now, bytes),
            (Report::Turned(turn), _) => self.turned(now, turn),
            (Report::Verdict(verdict), State::Lost(_)) => self.judged(context, verdict),
            (report, State::Open(_)) => self.reported_while_open(now, report),
            _ => {}
        }
    }

    // ----- outputs

    /// The next action to carry out.
    #[inline]
    pub fn poll_effect(&mut self) -> Option<Effect<P>> {
        self.effects.pop_front()
    }

    /// The next output for the application. Polling it says that the previous event's handler has returned, so
    /// effects may follow.
    pub fn poll_output(&mut self, now: Time) -> Option<Output<P>> {
        if let State::Open(open) = &mut self.state
            && let Flow::Opening { ready } = open.flow
        {
            open.flow = if self.options.values().gate && !ready {
                Flow::Gated
            } else {
                Flow::Flowing
            };
            self.pump(now);
        }
        loop {
            match self.outputs.pop_front() {
                None => {
                    if !self.effects.is_empty() {
                        // The effects may change it further.
                        return None;
                    }
                    let (messages, bytes) = self.queue.news()?;
                    return Some(Output::Event(Event::QueueChanged(Tally {
                        messages: messages as u64,
                        bytes: bytes as u64,
                    })));
                }
                Some(Pending::Over) => {}
                Some(Pending::Dropped(drops)) => {
                    return Some(Output::Event(Event::Dropped(drops.report())));
                }
                Some(Pending::Output(output)) => {
                    if let Output::Event(Event::Open { generation, .. }) = output
                        && generation == self.generation
                        && let State::Open(open) = &mut self.state
                        && let Flow::Announcing = open.flow
                    {
                        open.flow = Flow::Opening { ready: false };
                    }
                    return Some(output);
                }
            }
        }
    }

    /// Whether anything waits to be delivered.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty() || self.queue.has_changed()
    }

    /// Whether there is nothing to do and nothing to deliver, and no `open` handler is running.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_settled_but_for_the_queue() && !self.queue.has_changed()
    }

    /// Likewise, but the queue may have changed.
    fn is_settled_but_for_the_queue(&self) -> bool {
        self.effects.is_empty() && self.outputs.is_empty() && !self.is_opening()
    }

    /// Whether an `open` handler is running, or has run without a call of [`poll_output`](Self::poll_output) since.
    #[must_use]
    pub const fn is_opening(&self) -> bool {
        matches!(
            self.state,
            State::Open(Open {
                flow: Flow::Opening { .. },
                ..
            })
        )
    }

    const fn is_open(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.closing().is_none())
    }

    /// Whether the application has closed it for good.
    const fn is_closing(&self) -> bool {
        matches!(
            self.state,
            State::Open(Open {
                flow: Flow::Closing(_),
                ..
            })
        )
    }

    /// Whether the application has suspended it.
    const fn is_suspended(&self) -> bool {
        matches!(
            self.state,
            State::Suspended
                | State::Open(Open {
                    flow: Flow::Suspending(_),
                    ..
                })
        )
    }

    /// Whether this is the newest attempt. What is reported of an earlier one changes nothing.
    fn is_current(&self, generation: Generation) -> bool {
        generation == self.generation
    }

    // ----- reporting to the application

    #[inline(never)]
    fn tell(&mut self, event: Event<P>) {
        self.outputs
            .push_back(Pending::Output(Output::Event(event)));
    }

    #[inline(never)]
    fn announce(&mut self, phase: Phase, delay: Option<u64>, why: Why) {
        let attempt = self.attempt();
        self.tell(Event::State(StateChange {
            phase,
            attempt,
            delay_ms: delay,
            why,
        }));
    }

    /// Reports a loss and settles what is unconfirmed.
    fn closed(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) -> Closed {
        let unconfirmed = core::mem::take(&mut self.latest.unconfirmed);
        self.totals.messages(Count::Unconfirmed, unconfirmed);
        self.last_loss = Some(loss.clone());
        Closed {
            generation: self.generation,
            loss,
            retry_in_ms: retry_in,
            why,
            unconfirmed,
        }
    }

    /// Whether an error precedes the close, as in the browser: if there was no connection, or something broke it.
    fn has_error(&self, loss: &Loss) -> bool {
        !loss.was_open || self.latest.failed
    }

    fn tell_error(&mut self, loss: &Loss) {
        if self.has_error(loss) {
            self.tell(Event::Error);
        }
    }

    #[inline(never)]
    fn tell_closed(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) {
        let closed = self.closed(loss, retry_in, why);
        self.tell(Event::Closed(closed));
    }

    #[inline(never)]
    fn report_dropped(&mut self, reason: DropReason, messages: Vec<Queued<P>>) {
        if messages.is_empty() {
            return;
        }
        for message in &messages {
            self.totals.message(Count::Dropped, message.bytes);
        }
        let most = self.options.values().max_queued_messages as usize;
        let most_bytes = self.options.values().max_queued_bytes as usize;
        for output in self.outputs.iter_mut().rev() {
            if let Pending::Dropped(drops) = output
                && drops.reason == reason
            {
                return drops.add(messages, most, most_bytes);
            }
        }
        let mut drops = Drops::new(reason);
        drops.add(messages, most, most_bytes);
        self.outputs.push_back(Pending::Dropped(drops));
    }
}
