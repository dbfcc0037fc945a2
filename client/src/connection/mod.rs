//! The connection itself, as a state machine without a socket, a clock, randomness or a callback.
//!
//! Everything that happens is an [`Input`]; everything that has to be done is an [`Effect`], and
//! everything that the application gets is an [`Output`]. Time and random numbers come with the
//! input, so that a test can run years in a second and repeat them exactly. It is generic over the
//! message, so that a JavaScript value passes through untouched and a simulation can send numbers.
//!
//! # The contract with the ring above
//!
//! > One mutation, then drain the effects, then hand out the outputs, then arm one timer.
//!
//! 1. Tell what happened: [`Connection::handle`] or [`Connection::send`].
//! 2. Carry out [`Connection::poll_effect`] until it is empty. An effect that is answered by an input
//!    ([`Effect::Transmit`], [`Effect::Measure`]) is answered before the next effect is taken.
//! 3. Take [`Connection::poll_output`], call the application's handler, carry out the effects that this
//!    brought, and repeat until there is none. Inside the handler the application may call
//!    anything: the state has settled, and its commands do steps 1 and 2 at once. Asking for the next
//!    output tells the core that the handler of the one before has returned.
//! 4. Arm one timer for [`Connection::next_timer`], and report it as [`Input::Timer`].
//!
//! Inputs that come too late, twice or for an earlier socket change nothing. The machine is driven by
//! the socket's `close`, never by its `error`.

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

mod backoff;
mod bucket;
mod event;
mod liveness;
mod policy;
mod queue;
#[cfg(test)]
mod tests;
mod time;
mod unconfirmed;

use core::hash::{Hash, Hasher};
use std::collections::VecDeque;

use steady_socket_protocol::control::Window;

use crate::options::{Options, Overflow};

pub use event::{
    Cause, CloseFrame, Closed, Context, DropReason, Dropped, Effect, Event, Generation, Hint,
    Input, Loss, Output, Phase, SendMode, SendRejected, Sent, Snapshot, StateChange, Why,
};
pub use policy::{CloseError, ClosePolicy, RESTART_WINDOW_MS, Verdict, check_close, close_policy};
pub use time::Time;
pub use unconfirmed::Tally;

use backoff::{backoff, draw};
use bucket::Bucket;
use liveness::{Life, Liveness};
use queue::{Lane, Queue, Queued, earliest};
use unconfirmed::Unconfirmed;

/// How often the browser's buffer is looked at while it is above the high-water mark, in milliseconds.
/// There is no event for it.
const DRAIN_POLL_MS: u64 = 50;

/// The least and the longest heartbeat that a server may announce, in milliseconds: it must neither spin
/// the client nor make a dead connection last.
pub const BEAT_MS: (u64, u64) = (5_000, 120_000);

/// A loss within this time after the page woke or the network changed comes from this side, so no crowd
/// returns with it, in milliseconds.
const LOCAL_MS: u64 = 5_000;

/// How soon after the browser says that there is a network again an attempt is made, in milliseconds.
/// It says so before packets flow.
const ONLINE_MS: (f64, f64) = (200.0, 2_000.0);

/// What the connection is doing, with what only that state needs.
#[derive(Clone, Debug, Hash)]
enum State {
    Idle,
    Resolving {
        deadline: Time,
    },
    Connecting {
        deadline: Time,
    },
    Open {
        since: Time,
        flow: Flow,
    },
    Waiting {
        until: Time,
        /// The server asked for the wait: nothing shortens it.
        firm: bool,
    },
    Closing(Closing),
    Closed,
}

/// How far the queue may flow on an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flow {
    /// `open` has not been handed out yet.
    Announcing,
    /// The application's handler of `open` is running: what it sends goes ahead of the queue.
    Opening {
        /// It has already said that it is ready.
        ready: bool,
    },
    /// The application has not yet said that it is ready.
    Gated,
    /// Everything flows.
    Flowing,
}

/// A closing handshake that the application asked for.
#[derive(Clone, Debug, Hash)]
struct Closing {
    code: Option<u16>,
    reason: String,
    /// Whether messages of the ordinary lane still go out, or the gate was shut.
    gated: bool,
    /// Whether the browser's `close` was called; before, the queue is handed over.
    handshake: bool,
    deadline: Time,
    /// What the browser held when it was last looked at.
    buffered: u64,
    /// The deadline has come; the answer to a measurement decides.
    judging: bool,
}

/// What is known of the socket that is open now.
#[derive(Clone, Debug, Default, Hash)]
struct Wire {
    /// At least what the browser holds.
    buffered: u64,
    /// Between the marks: at the high one until the browser is down to the low one.
    blocked: bool,
    /// When to look at the browser's buffer again.
    measure_at: Option<Time>,
    /// A measurement was asked for and not yet answered.
    measuring: bool,
    /// A frame arrived since the last measurement.
    alive: bool,
    /// The browser reported an error.
    failed: bool,
    unconfirmed: Unconfirmed,
    liveness: Liveness,
    /// When the server wants its clients back.
    window: Option<Window>,
}

/// The message that the browser is being handed.
#[derive(Clone, Debug, Hash)]
struct InHand {
    generation: Generation,
    lane: Lane,
    bytes: usize,
    expires: Option<Time>,
    volatile: bool,
    /// An earlier connection was given up for it.
    refused: bool,
}

impl InHand {
    /// As it was in the queue.
    const fn back<P>(self, payload: P) -> Queued<P> {
        Queued {
            payload,
            bytes: self.bytes,
            expires: self.expires,
            refused: self.refused,
        }
    }
}

/// Something that waits to be handed out.
#[derive(Clone, Debug, Hash)]
enum Pending<P> {
    Output(Output<P>),
    /// From here on `readyState` is 3.
    Over,
}

/// Counters that only grow.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    attempts: u64,
    opens: u64,
    sent: Tally,
    received: Tally,
    dropped: Tally,
    unconfirmed: Tally,
    abandoned: u64,
}

/// A connection that is made again when it is lost. See the [module](self) for how it is driven.
///
/// Methods come in four kinds: inputs ([`handle`](Self::handle), [`send`](Self::send)), outputs
/// ([`poll_effect`](Self::poll_effect), [`poll_output`](Self::poll_output),
/// [`next_timer`](Self::next_timer)), a preview of an input ([`loss`](Self::loss)), and questions.
#[derive(Clone, Debug)]
pub struct Connection<P> {
    options: Options,
    state: State,
    generation: Generation,
    /// Losses in a row without a stable connection between them.
    failures: u32,
    /// Losses in a row whose code says that the server refused what it was sent.
    refusals: u32,
    queue: Queue<P>,
    wire: Wire,
    in_hand: Option<InHand>,
    last_loss: Option<Loss>,
    bucket: Bucket,
    /// When the page last woke or the network last changed.
    woken: Option<Time>,
    effects: VecDeque<Effect<P>>,
    outputs: VecDeque<Pending<P>>,
    totals: Totals,
}

/// Milliseconds of an option.
fn millis(duration: core::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Two connections with the same options and an equal hash react alike to whatever comes. What only answers
/// questions, as the counters do, is left out.
impl<P: Hash> Hash for Connection<P> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            options: _,
            state,
            generation,
            failures,
            refusals,
            queue,
            wire,
            in_hand,
            last_loss: _,
            bucket,
            woken,
            effects,
            outputs,
            totals,
        } = self;
        (state, generation, failures, refusals).hash(hasher);
        (queue, wire, in_hand).hash(hasher);
        (bucket, woken).hash(hasher);
        (effects, outputs).hash(hasher);
        // Whether the next one is a reconnection.
        (totals.opens > 0).hash(hasher);
    }
}

impl<P> Connection<P> {
    /// A connection that waits for [`Input::Start`] or [`Input::Reconnect`]. The options have passed
    /// [`Options::check`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            state: State::Idle,
            generation: Generation::default(),
            failures: 0,
            refusals: 0,
            queue: Queue::new(),
            wire: Wire::default(),
            in_hand: None,
            last_loss: None,
            bucket: Bucket::new(options.attempt_burst, millis(options.attempt_interval)),
            woken: None,
            effects: VecDeque::new(),
            outputs: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    // ----- questions

    /// What the connection is doing.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Idle => Phase::Idle,
            State::Resolving { .. } | State::Connecting { .. } => Phase::Connecting,
            State::Open { .. } => Phase::Open,
            State::Waiting { .. } => Phase::Waiting,
            State::Closing(_) => Phase::Closing,
            State::Closed => Phase::Closed,
        }
    }

    /// The `readyState` of the WebSocket interface: 0 during every attempt and wait, 1 open, 2 from
    /// `close()` until the application is told that it is over, 3 when it is.
    #[must_use]
    pub fn ready_state(&self) -> u16 {
        match self.phase() {
            Phase::Connecting | Phase::Waiting => 0,
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

    /// The attempt that is under way, or the last one.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The number of the attempt under way or coming, 1 for the first since the last stable
    /// connection.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// Whether this attempt waits for its socket to open.
    #[must_use]
    pub fn wants_socket(&self, generation: Generation) -> bool {
        generation == self.generation && matches!(self.state, State::Connecting { .. })
    }

    /// Whether this attempt waits for its URL and sub-protocols.
    #[must_use]
    pub fn wants_target(&self, generation: Generation) -> bool {
        generation == self.generation && matches!(self.state, State::Resolving { .. })
    }

    /// How the last connection or attempt ended.
    #[must_use]
    pub const fn last_loss(&self) -> Option<&Loss> {
        self.last_loss.as_ref()
    }

    /// Bytes in the queue.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Whether an ordinary message of this size would be accepted now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        match self.state {
            State::Closing(_) | State::Closed => false,
            _ => self.may_transmit(Lane::Ordinary) || self.fits(bytes),
        }
    }

    /// The counters.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase: self.phase(),
            attempt: self.attempt(),
            attempts: self.totals.attempts,
            opens: self.totals.opens,
            sent: self.totals.sent,
            received: self.totals.received,
            queued: Tally {
                messages: self.queue.len() as u64,
                bytes: self.queue.bytes() as u64,
            },
            dropped: self.totals.dropped,
            unconfirmed: self.totals.unconfirmed,
            abandoned: self.totals.abandoned,
        }
    }

    /// The loss that `input` would cause at `now` and about which the application's predicate may be
    /// asked; its verdict goes into the [`Context`] of that input.
    #[must_use]
    pub fn loss(&self, now: Time, input: &Input<P>) -> Option<Loss> {
        let lost = |cause| {
            Some(Loss {
                close: CloseFrame::abnormal(),
                cause,
                was_open: self.is_open(),
            })
        };
        match (input, &self.state) {
            (Input::ResolveFailed { generation }, State::Resolving { .. })
                if *generation == self.generation =>
            {
                lost(Cause::Provider)
            }
            (Input::OpenFailed { generation }, State::Connecting { .. })
                if *generation == self.generation =>
            {
                lost(Cause::Refused)
            }
            (
                Input::SocketClosed { generation, close },
                State::Connecting { .. } | State::Open { .. },
            ) if *generation == self.generation => Some(Loss {
                close: close.clone(),
                cause: Cause::Socket,
                was_open: self.is_open(),
            }),
            (Input::TransmitFailed { generation, .. }, State::Open { .. })
                if *generation == self.generation
                    && self.is_in_hand(*generation)
                    && !self.refuses_again() =>
            {
                lost(Cause::SendFailed)
            }
            (Input::TooBig { generation }, State::Open { .. })
                if *generation == self.generation =>
            {
                lost(Cause::MessageTooBig)
            }
            (Input::Timer, State::Resolving { deadline }) if *deadline <= now => {
                lost(Cause::ProviderTimeout)
            }
            (Input::Timer, State::Connecting { deadline }) if *deadline <= now => {
                lost(Cause::ConnectTimeout)
            }
            (Input::Timer, State::Open { .. }) => match self.wire.liveness.judge(now) {
                Life::Silent => lost(Cause::HeartbeatTimeout),
                Life::Unanswered => lost(Cause::ProbeTimeout),
                Life::Fine | Life::Ping | Life::Stale => None,
            },
            _ => None,
        }
    }

    // ----- inputs

    /// Takes note of something that happened. After calling this, carry out the effects, hand out the
    /// events and arm the timer (see the [module](self)).
    pub fn handle(&mut self, context: Context, input: Input<P>) {
        if let Some(loss) = self.loss(context.now, &input) {
            if let Input::TransmitFailed { payload, .. } = input {
                self.take_back(payload, true);
            }
            self.lose(context, loss);
            return;
        }
        match input {
            Input::Start => {
                if matches!(self.state, State::Idle) {
                    self.begin(context.now, Why::Requested);
                }
            }
            Input::Close { code, reason } => self.close(context.now, code, reason),
            Input::Reconnect => self.reconnect(context.now),
            Input::Ready => self.ready(context.now),
            Input::Resolved { generation } => {
                if generation == self.generation && matches!(self.state, State::Resolving { .. }) {
                    let deadline = context.now.after(millis(self.options.connect_timeout));
                    self.state = State::Connecting { deadline };
                    self.effects.push_back(Effect::Open { generation });
                }
            }
            Input::Opened { generation } => self.opened(context.now, generation),
            Input::Message {
                generation,
                payload,
                bytes,
            } => {
                self.received(context.now, generation, payload, bytes);
            }
            Input::Alive { generation } => {
                if self.is_connected(generation) {
                    self.sign_of_life(context.now);
                }
            }
            Input::AnswersPings { generation } => {
                if self.is_connected(generation) {
                    self.wire.liveness.answers_pings();
                }
            }
            Input::Beats {
                generation,
                interval_ms,
            } => {
                if self.is_connected(generation) {
                    let (min, max) = BEAT_MS;
                    self.wire.liveness.expect(interval_ms.clamp(min, max));
                }
            }
            Input::Window {
                generation,
                min_ms,
                max_ms,
            } => {
                if self.is_connected(generation) && min_ms <= max_ms {
                    self.wire.window = Some(Window { min_ms, max_ms });
                }
            }
            Input::Hint(hint) => self.hint(context, hint),
            Input::SocketError { generation } => {
                if generation == self.generation {
                    self.wire.failed = true;
                }
            }
            Input::SocketClosed { generation, close } => {
                if generation == self.generation && matches!(self.state, State::Closing(_)) {
                    self.closed_as_asked(close);
                }
            }
            Input::Transmitted { generation } => self.transmitted(context.now, generation),
            Input::TransmitFailed {
                generation,
                payload,
            } => self.transmit_failed(context.now, generation, payload),
            Input::Buffered { generation, bytes } => self.buffered(context.now, generation, bytes),
            Input::Timer => self.timer(context.now),
            // Too late: the attempt is over.
            Input::ResolveFailed { .. } | Input::OpenFailed { .. } | Input::TooBig { .. } => {}
        }
    }

    /// Accepts a message of `bytes` bytes, or hands it back. After calling this, carry out the effects,
    /// hand out the events and arm the timer (see the [module](self)).
    ///
    /// # Errors
    /// [`SendRejected::Full`] when it does not fit and the option `overflow` is to reject;
    /// [`SendRejected::Closed`] when the connection is closing or closed.
    pub fn send(
        &mut self,
        now: Time,
        payload: P,
        bytes: usize,
        mode: SendMode,
    ) -> Result<Sent, SendRejected<P>> {
        let opening = match self.state {
            State::Closing(_) | State::Closed => return Err(SendRejected::Closed(payload)),
            State::Open {
                flow: Flow::Opening { .. },
                ..
            } => true,
            _ => false,
        };
        let lane = if mode.first || opening {
            Lane::First
        } else {
            Lane::Ordinary
        };
        let ttl = mode.ttl_ms.or_else(|| self.options.message_ttl.map(millis));
        let message = Queued {
            payload,
            bytes,
            expires: ttl.map(|ttl| now.after(ttl)),
            refused: false,
        };
        if self.may_transmit(lane) {
            self.transmit(lane, message, mode.volatile);
            return Ok(Sent::Now);
        }
        if mode.volatile {
            self.report_dropped(DropReason::Volatile, vec![message]);
            return Ok(Sent::Dropped);
        }
        self.expire(now);
        if !self.fits(bytes) {
            match self.options.overflow {
                Overflow::Reject => return Err(SendRejected::Full(message.payload)),
                Overflow::DropOldest if self.could_fit(bytes) => self.make_room(bytes),
                Overflow::DropOldest | Overflow::DropNewest => {
                    self.report_dropped(DropReason::Overflow, vec![message]);
                    return Ok(Sent::Dropped);
                }
            }
        }
        self.queue.push(lane, message);
        self.pump(now);
        Ok(Sent::Queued)
    }

    // ----- outputs

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect<P>> {
        self.effects.pop_front()
    }

    /// The next thing to tell the application. Asking for it says that the handler of the event before
    /// has returned, so effects may follow.
    pub fn poll_output(&mut self, now: Time) -> Option<Output<P>> {
        if let State::Open { flow, .. } = &mut self.state
            && let Flow::Opening { ready } = *flow
        {
            *flow = if self.options.gate && !ready {
                Flow::Gated
            } else {
                Flow::Flowing
            };
            self.pump(now);
        }
        loop {
            match self.outputs.pop_front()? {
                Pending::Over => {}
                Pending::Output(output) => {
                    if let Output::Event(Event::Open { generation, .. }) = output
                        && generation == self.generation
                        && let State::Open {
                            flow: flow @ Flow::Announcing,
                            ..
                        } = &mut self.state
                    {
                        *flow = Flow::Opening { ready: false };
                    }
                    return Some(output);
                }
            }
        }
    }

    /// Whether something waits to be handed out.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When the timer has to go off for anything but a look at the browser's buffer. A ring above whose
    /// timers are slowed down when one arms the next keeps a second timer for this, so that the frequent
    /// looks at the buffer do not make it late.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let deadline = match &self.state {
            State::Resolving { deadline } | State::Connecting { deadline } => Some(*deadline),
            State::Waiting { until, .. } => Some(*until),
            State::Closing(closing) => Some(closing.deadline),
            State::Open { .. } => self.wire.liveness.next_timer(),
            State::Idle | State::Closed => None,
        };
        earliest(deadline, self.queue.next_expiry())
    }

    /// When the timer has to go off, if at all.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        let measure_at = match self.state {
            State::Open { .. } => self.wire.measure_at,
            _ => None,
        };
        earliest(measure_at, self.next_deadline())
    }

    // ----- the life of an attempt

    const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether this attempt has become the connection that is open or closing.
    fn is_connected(&self, generation: Generation) -> bool {
        generation == self.generation
            && matches!(self.state, State::Open { .. } | State::Closing(_))
    }

    /// Starts an attempt of a generation of its own, or waits until one more may be made.
    fn begin(&mut self, now: Time, why: Why) {
        let wait = self.bucket.take(now);
        if wait > 0 {
            let until = now.after(wait);
            if !matches!(self.state, State::Waiting { until: already, .. } if already == until) {
                self.state = State::Waiting { until, firm: false };
                self.announce(Phase::Waiting, Some(wait), Why::TooManyAttempts);
            }
            return;
        }
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.totals.attempts = self.totals.attempts.saturating_add(1);
        self.wire = Wire::default();
        let deadline = now.after(millis(self.options.provider_timeout));
        self.state = State::Resolving { deadline };
        self.announce(Phase::Connecting, None, why);
        self.effects.push_back(Effect::Resolve {
            generation: self.generation,
        });
    }

    fn opened(&mut self, now: Time, generation: Generation) {
        if generation != self.generation || !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        self.state = State::Open {
            since: now,
            flow: Flow::Announcing,
        };
        let reconnected = self.totals.opens > 0;
        self.totals.opens = self.totals.opens.saturating_add(1);
        self.wire.liveness = Liveness::new(
            now,
            self.options.heartbeat_interval.map(millis),
            millis(self.options.heartbeat_grace),
            millis(self.options.probe_timeout),
        );
        self.announce(Phase::Open, None, Why::HandshakeDone);
        let attempt = self.attempt();
        self.tell(Event::Open {
            generation,
            reconnected,
            attempt,
        });
    }

    fn received(&mut self, now: Time, generation: Generation, payload: P, bytes: usize) {
        if !self.is_connected(generation) {
            return;
        }
        self.sign_of_life(now);
        // The standard delivers nothing after `close()` was called.
        if self.is_open() {
            self.totals.received.add_one(bytes);
            self.outputs
                .push_back(Pending::Output(Output::Message(payload)));
        }
    }

    /// Something arrived.
    fn sign_of_life(&mut self, now: Time) {
        self.wire.liveness.heard(now);
        if !self.wire.unconfirmed.is_empty() {
            self.wire.alive = true;
            self.measure();
        }
    }

    /// Ends the attempt: tells the application, and waits for the next one or gives up.
    fn lose(&mut self, context: Context, loss: Loss) {
        self.let_go(&loss);
        self.settle_failures(context.now);
        match self.decide(&context, &loss) {
            Ok((delay, why)) => {
                self.failures = self.failures.saturating_add(1);
                let token = self.bucket.wait(context.now);
                let (delay, why) = if token > delay {
                    (token, Why::TooManyAttempts)
                } else {
                    (delay, why)
                };
                let firm = why == Why::ServerAsks;
                self.state = State::Waiting {
                    until: context.now.after(delay),
                    firm,
                };
                self.announce(Phase::Waiting, Some(delay), why);
                self.tell_error(&loss);
                self.tell_closed(loss, Some(delay), why);
            }
            Err(why) => self.end(loss, why),
        }
    }

    /// Forgets the failures before a connection that was stable.
    fn settle_failures(&mut self, now: Time) {
        if let State::Open { since, .. } = self.state
            && now.since(since) >= millis(self.options.stable_after)
        {
            self.failures = 0;
            self.refusals = 0;
        }
    }

    /// The wait before the next attempt, or why there is none.
    fn decide(&mut self, context: &Context, loss: &Loss) -> Result<(u64, Why), Why> {
        let policy = match loss.cause {
            // As if it had been refused with 1009: the next one may be as large.
            Cause::MessageTooBig => ClosePolicy::RetryOnce,
            _ => close_policy(loss.close.code),
        };
        let refused_before = self.refusals > 0;
        if policy == ClosePolicy::RetryOnce {
            self.refusals = self.refusals.saturating_add(1);
        }
        let (delay, why) = match (context.verdict, policy) {
            (Some(Verdict::Stop), _) => return Err(Why::PredicateStops),
            (Some(Verdict::RetryAfter(delay)), _) => (delay, Why::PredicateRetries),
            (Some(Verdict::Retry), _) => (self.backoff(context), Why::PredicateRetries),
            (None, ClosePolicy::Stop) => return Err(Why::PolicyStops),
            (None, ClosePolicy::RetryOnce) if refused_before => return Err(Why::RefusedTwice),
            (None, _) => self.wait(context, loss, policy),
        };
        match self.options.max_retries {
            Some(max) if self.failures >= max => Err(Why::RetriesExhausted),
            _ => Ok((delay, why)),
        }
    }

    /// How long to wait when the policy is to retry.
    fn wait(&self, context: &Context, loss: &Loss, policy: ClosePolicy) -> (u64, Why) {
        let within = |min_ms: u64, max_ms: u64| draw(min_ms as f64, max_ms as f64, context.chance);
        let announced = self
            .wire
            .window
            .or_else(|| Window::in_reason(&loss.close.reason));
        if let Some(Window { min_ms, max_ms }) = announced {
            let cap = millis(self.options.announced_delay_max);
            let asked = within(min_ms.min(cap), max_ms.min(cap));
            // A server that keeps failing cannot make its clients come more often than they would.
            let least = match self.failures {
                0 => 0,
                _ => self.backoff(context),
            };
            return (asked.max(least), Why::ServerAsks);
        }
        if let ClosePolicy::RetryWithin { min_ms, max_ms } = policy {
            return (within(min_ms, max_ms), Why::ServerAsks);
        }
        let woken = self
            .woken
            .is_some_and(|woken| context.now.since(woken) <= LOCAL_MS);
        let local = loss.was_open && (woken || loss.cause == Cause::ProbeTimeout);
        if local && self.failures == 0 {
            return (0, Why::LocalLoss);
        }
        (self.backoff(context), Why::PolicyRetries)
    }

    fn backoff(&self, context: &Context) -> u64 {
        backoff(&self.options, self.failures, context.chance)
    }

    /// Lets go of the socket, or of the search for its URL, that `loss` ends.
    fn let_go(&mut self, loss: &Loss) {
        let generation = self.generation;
        match (&self.state, loss.cause) {
            // The search has ended by itself, the browser has closed the socket, or never made it.
            (_, Cause::Provider | Cause::Socket | Cause::Refused) => {}
            (State::Resolving { .. }, _) => {
                self.effects.push_back(Effect::CancelResolve { generation });
            }
            (State::Connecting { .. } | State::Open { .. } | State::Closing(_), _) => {
                self.totals.abandoned = self.totals.abandoned.saturating_add(1);
                self.effects.push_back(Effect::Abandon { generation });
            }
            _ => {}
        }
        self.reclaim();
    }

    /// Takes back a message that was on its way to a socket that is gone.
    fn reclaim(&mut self) {
        let on_its_way = |effect: &Effect<P>| matches!(effect, Effect::Transmit { .. });
        if let Some(position) = self.effects.iter().position(on_its_way)
            && let Some(Effect::Transmit { payload, .. }) = self.effects.remove(position)
        {
            self.take_back(payload, false);
        }
    }

    /// Whether the browser is being handed a message for the socket of this attempt.
    fn is_in_hand(&self, generation: Generation) -> bool {
        self.in_hand
            .as_ref()
            .is_some_and(|in_hand| in_hand.generation == generation)
    }

    /// Whether an earlier connection was given up for the message in hand.
    fn refuses_again(&self) -> bool {
        self.in_hand.as_ref().is_some_and(|in_hand| in_hand.refused)
    }

    /// Puts the message in hand back where it came from; one that was to be sent at once or not at all
    /// will not be. `refused` says that the connection is given up for it.
    fn take_back(&mut self, payload: P, refused: bool) {
        if let Some(in_hand) = self.in_hand.take() {
            let InHand { lane, volatile, .. } = in_hand;
            let mut message = in_hand.back(payload);
            message.refused |= refused;
            if volatile {
                self.report_dropped(DropReason::Volatile, vec![message]);
            } else {
                self.queue.put_back(lane, message);
            }
        }
    }

    /// It is over: reports what was not sent, and marks this close as the final one.
    fn end(&mut self, loss: Loss, why: Why) {
        self.state = State::Closed;
        self.outputs.push_back(Pending::Over);
        self.announce(Phase::Closed, None, why);
        self.tell_error(&loss);
        self.drop_queue();
        self.tell_closed(loss, None, why);
    }

    // ----- commands

    fn close(&mut self, now: Time, code: Option<u16>, reason: String) {
        let State::Open { flow, .. } = self.state else {
            match self.state {
                State::Closing(_) | State::Closed => {}
                State::Idle => self.drop_queue(),
                _ => {
                    let loss = Loss {
                        close: CloseFrame::abnormal(),
                        cause: Cause::Closed,
                        was_open: false,
                    };
                    self.let_go(&loss);
                    self.end(loss, Why::Requested);
                }
            }
            return;
        };
        let gated = match flow {
            Flow::Gated => true,
            Flow::Announcing | Flow::Opening { ready: false } => self.options.gate,
            Flow::Opening { ready: true } | Flow::Flowing => false,
        };
        // A `reconnect()` before the handshake ends goes on from here.
        self.settle_failures(now);
        self.state = State::Closing(Closing {
            code,
            reason,
            gated,
            handshake: false,
            deadline: now.after(millis(self.options.close_timeout)),
            buffered: u64::MAX,
            judging: false,
        });
        self.announce(Phase::Closing, None, Why::Requested);
        self.pump(now);
    }

    fn reconnect(&mut self, now: Time) {
        let was_open = matches!(self.state, State::Open { .. } | State::Closing(_));
        if matches!(self.state, State::Idle | State::Closed) {
            self.failures = 0;
            self.refusals = 0;
        }
        let loss = Loss {
            close: CloseFrame::abnormal(),
            cause: Cause::Reconnect,
            was_open,
        };
        self.let_go(&loss);
        self.settle_failures(now);
        let lost = was_open.then(|| self.closed(loss, Some(0), Why::Requested));
        self.begin(now, Why::Requested);
        if let Some(mut closed) = lost {
            if let State::Waiting { until, .. } = self.state {
                closed.retry_in = Some(until.since(now));
                closed.why = Why::TooManyAttempts;
            }
            self.tell(Event::Closed(closed));
        }
    }

    /// Looks after the connection because the world around it may have changed.
    fn hint(&mut self, context: Context, hint: Hint) {
        let now = context.now;
        if hint != Hint::Offline {
            self.woken = Some(now);
        }
        if matches!(hint, Hint::Resumed | Hint::Slept { .. }) {
            self.wire.liveness.slept();
        }
        match self.state {
            State::Waiting { until, firm } => {
                let at = match hint {
                    Hint::Offline => return,
                    // Time that passed in the sleep counts for the server, too.
                    Hint::Slept { millis } if firm => {
                        Time::from_millis(until.as_millis().saturating_sub(millis))
                    }
                    _ if firm => return,
                    Hint::Online => {
                        let (min, max) = ONLINE_MS;
                        now.after(draw(min, max, context.chance))
                    }
                    Hint::Visible | Hint::Resumed | Hint::Slept { .. } => now,
                };
                if at <= now {
                    self.begin(now, Why::Woken);
                    return;
                }
                // Too early where attempts are used up: then it would be put off again.
                let at = at.max(now.after(self.bucket.wait(now)));
                if at < until {
                    self.state = State::Waiting { until: at, firm };
                    self.announce(Phase::Waiting, Some(at.since(now)), Why::Woken);
                }
            }
            State::Open { .. } if self.wire.liveness.probe(now) => self.ping(),
            _ => {}
        }
    }

    fn ping(&mut self) {
        self.effects.push_back(Effect::Ping {
            generation: self.generation,
        });
    }

    fn ready(&mut self, now: Time) {
        if let State::Open { flow, .. } = &mut self.state {
            match flow {
                Flow::Opening { ready } => *ready = true,
                Flow::Gated => {
                    *flow = Flow::Flowing;
                    self.pump(now);
                }
                Flow::Announcing | Flow::Flowing => {}
            }
        }
    }

    // ----- sending

    /// Whether a message of this lane may go to the browser now, ahead of the queue or past it empty.
    fn may_transmit(&self, lane: Lane) -> bool {
        if self.in_hand.is_some() || self.queue.has_first() {
            return false;
        }
        match self.state {
            State::Open {
                flow: Flow::Opening { .. } | Flow::Gated,
                ..
            } => lane == Lane::First && self.has_window(),
            State::Open {
                flow: Flow::Flowing,
                ..
            } => (lane == Lane::First || self.queue.is_empty()) && self.has_window(),
            _ => false,
        }
    }

    /// Whether the browser may be given more, by what is known of its buffer.
    const fn has_window(&self) -> bool {
        !self.wire.blocked && !self.wire.measuring
    }

    fn fits(&self, bytes: usize) -> bool {
        self.could_fit(bytes)
            && self.queue.len() < self.options.max_queued_messages as usize
            && self.queue.bytes().saturating_add(bytes) <= self.options.max_queued_bytes as usize
    }

    /// Whether a message of this size would fit into an empty queue.
    const fn could_fit(&self, bytes: usize) -> bool {
        self.options.max_queued_messages > 0 && bytes <= self.options.max_queued_bytes as usize
    }

    fn make_room(&mut self, bytes: usize) {
        let mut dropped = Vec::new();
        while !self.fits(bytes)
            && let Some(oldest) = self.queue.pop_oldest()
        {
            dropped.push(oldest);
        }
        self.report_dropped(DropReason::Overflow, dropped);
    }

    fn transmit(&mut self, lane: Lane, message: Queued<P>, volatile: bool) {
        let Queued {
            payload,
            bytes,
            expires,
            refused,
        } = message;
        let generation = self.generation;
        self.in_hand = Some(InHand {
            generation,
            lane,
            bytes,
            expires,
            volatile,
            refused,
        });
        self.effects.push_back(Effect::Transmit {
            generation,
            payload,
        });
    }

    /// Hands the browser the next message of the queue, if it may have one.
    fn pump(&mut self, now: Time) {
        if self.in_hand.is_some() {
            return;
        }
        let only_first = match &self.state {
            State::Open {
                flow: Flow::Flowing,
                ..
            } => false,
            State::Open {
                flow: Flow::Opening { .. } | Flow::Gated,
                ..
            } => true,
            State::Closing(closing) if !closing.handshake => closing.gated,
            _ => return,
        };
        self.expire(now);
        // Closing hands over everything that is left: nobody will look at the marks any more.
        let closing = matches!(self.state, State::Closing(_));
        if closing || self.has_window() {
            match self.queue.pop(only_first) {
                Some((lane, message)) => self.transmit(lane, message, false),
                None if closing => self.start_handshake(),
                None => {}
            }
        }
    }

    fn transmitted(&mut self, now: Time, generation: Generation) {
        let Some(InHand {
            generation: current,
            bytes,
            ..
        }) = self
            .in_hand
            .take_if(|in_hand| in_hand.generation == generation)
        else {
            return;
        };
        self.totals.sent.add_one(bytes);
        if !self.is_connected(current) {
            // Its socket was lost while the browser took it.
            self.totals.unconfirmed.add_one(bytes);
            return;
        }
        self.wire.unconfirmed.handed_over(bytes);
        self.wire.buffered = self.wire.buffered.saturating_add(bytes as u64);
        if self.wire.buffered >= u64::from(self.options.high_water_mark) {
            self.measure();
        }
        self.pump(now);
    }

    /// The browser's `send` threw, and the connection is not given up for it by now.
    fn transmit_failed(&mut self, now: Time, generation: Generation, payload: P) {
        if !self.is_in_hand(generation) {
            return;
        }
        let connected = self.is_connected(generation);
        if connected && self.refuses_again() {
            self.drop_refused(payload);
            self.pump(now);
            return;
        }
        self.take_back(payload, connected);
        match self.state {
            State::Closing(_) if connected => self.abandon_closing(Cause::SendFailed),
            // It was over before the browser gave the message back.
            State::Closed => self.drop_queue(),
            _ => {}
        }
    }

    /// Gives up the message in hand, so that it does not end one connection after the other.
    fn drop_refused(&mut self, payload: P) {
        if let Some(in_hand) = self.in_hand.take() {
            let message = in_hand.back(payload);
            self.report_dropped(DropReason::Refused, vec![message]);
        }
    }

    fn measure(&mut self) {
        if !self.wire.measuring {
            self.wire.measuring = true;
            self.effects.push_back(Effect::Measure {
                generation: self.generation,
            });
        }
    }

    fn buffered(&mut self, now: Time, generation: Generation, bytes: u64) {
        if generation != self.generation {
            return;
        }
        let wire = &mut self.wire;
        wire.measuring = false;
        wire.buffered = bytes;
        if core::mem::take(&mut wire.alive) {
            wire.unconfirmed.sign_of_life(bytes);
        }
        match &mut self.state {
            State::Open { .. } => {
                let mark = if wire.blocked {
                    // At the low mark itself they flow again.
                    u64::from(self.options.low_water_mark).saturating_add(1)
                } else {
                    u64::from(self.options.high_water_mark)
                };
                wire.blocked = bytes >= mark;
                wire.measure_at = wire.blocked.then(|| now.after(DRAIN_POLL_MS));
                self.pump(now);
            }
            State::Closing(closing) if closing.handshake => {
                let shrinks = bytes < closing.buffered;
                closing.buffered = bytes;
                if shrinks {
                    closing.deadline = now.after(millis(self.options.close_timeout));
                    closing.judging = false;
                } else if closing.judging {
                    self.abandon_closing(Cause::CloseTimeout);
                }
            }
            _ => {}
        }
    }

    // ----- closing

    /// All is handed over: starts the closing handshake.
    fn start_handshake(&mut self) {
        let State::Closing(closing) = &mut self.state else {
            return;
        };
        closing.handshake = true;
        let (code, reason) = (closing.code, closing.reason.clone());
        self.effects.push_back(Effect::Close {
            generation: self.generation,
            code,
            reason,
        });
        self.wire.measuring = false;
        self.measure();
        // What the gate held back.
        self.drop_queue();
    }

    /// The closing handshake that the application asked for has ended, or the connection was lost in it.
    fn closed_as_asked(&mut self, close: CloseFrame) {
        if let State::Closing(Closing { code, .. }) = &self.state {
            // The server's answer to our close frame shows that it had all that came before. Another
            // code shows a close of its own, which may have crossed ours.
            if close.clean && close.code == code.unwrap_or(1005) {
                self.wire.unconfirmed = Unconfirmed::default();
            }
        }
        let loss = Loss {
            close,
            cause: Cause::Socket,
            was_open: true,
        };
        self.let_go(&loss);
        self.end(loss, Why::Requested);
    }

    fn abandon_closing(&mut self, cause: Cause) {
        let loss = Loss {
            close: CloseFrame::abnormal(),
            cause,
            was_open: true,
        };
        self.let_go(&loss);
        self.end(loss, Why::Requested);
    }

    // ----- time

    fn timer(&mut self, now: Time) {
        self.expire(now);
        match &mut self.state {
            State::Waiting { until, .. } if *until <= now => self.begin(now, Why::WaitOver),
            State::Closing(closing) if closing.deadline <= now => {
                // If the measurement is not answered, this stands.
                closing.deadline = now.after(millis(self.options.close_timeout));
                closing.judging = true;
                self.wire.measuring = false;
                self.measure();
            }
            State::Open { .. } => {
                self.look_at_buffer(now);
                self.look_for_life(now);
            }
            _ => {}
        }
    }

    fn look_at_buffer(&mut self, now: Time) {
        if self.wire.measure_at.is_some_and(|at| at <= now) {
            self.wire.measure_at = Some(now.after(DRAIN_POLL_MS));
            self.wire.measuring = false;
            self.measure();
        }
    }

    fn look_for_life(&mut self, now: Time) {
        let liveness = &mut self.wire.liveness;
        match liveness.judge(now) {
            Life::Ping => {
                liveness.pinged();
                self.ping();
            }
            Life::Stale => {
                // What was lost in the sleep was lost on this side.
                self.woken = Some(now);
                let pings = liveness.probe(now);
                liveness.wait_again(now);
                if pings {
                    self.ping();
                }
            }
            // The loss was reported before this.
            Life::Silent | Life::Unanswered | Life::Fine => {}
        }
    }

    fn expire(&mut self, now: Time) {
        let expired = self.queue.take_expired(now);
        self.report_dropped(DropReason::Expired, expired);
    }

    // ----- telling the application

    fn tell(&mut self, event: Event<P>) {
        self.outputs
            .push_back(Pending::Output(Output::Event(event)));
    }

    fn announce(&mut self, phase: Phase, delay: Option<u64>, why: Why) {
        let attempt = self.attempt();
        self.tell(Event::State(StateChange {
            phase,
            attempt,
            delay,
            why,
        }));
    }

    /// The report of a loss; closes the account of what is unconfirmed.
    fn closed(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) -> Closed {
        let unconfirmed = core::mem::take(&mut self.wire.unconfirmed).tally();
        self.totals.unconfirmed.add(unconfirmed);
        self.last_loss = Some(loss.clone());
        Closed {
            generation: self.generation,
            loss,
            retry_in,
            why,
            unconfirmed,
        }
    }

    /// As the browser does, before the close: when there was no connection, or something broke it.
    fn tell_error(&mut self, loss: &Loss) {
        if !loss.was_open || self.wire.failed {
            self.tell(Event::Error);
        }
    }

    fn tell_closed(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) {
        let closed = self.closed(loss, retry_in, why);
        self.tell(Event::Closed(closed));
    }

    fn drop_queue(&mut self) {
        let unsent = self.queue.take_all();
        self.report_dropped(DropReason::Closed, unsent);
    }

    fn report_dropped(&mut self, reason: DropReason, messages: Vec<Queued<P>>) {
        if messages.is_empty() {
            return;
        }
        let mut tally = Tally::default();
        let mut payloads = Vec::with_capacity(messages.len());
        for message in messages {
            tally.add_one(message.bytes);
            payloads.push(message.payload);
        }
        self.totals.dropped.add(tally);
        self.tell(Event::Dropped(Dropped {
            reason,
            payloads,
            bytes: tally.bytes,
        }));
    }
}
