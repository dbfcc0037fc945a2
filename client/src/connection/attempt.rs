//! The life of an attempt: from its start to its loss, and what follows.

use steady_socket_protocol::control::Window;

use super::backoff::{backoff, draw};
use super::liveness::{Life, Liveness};
use super::totals::Count;
use alloc::boxed::Box;
use alloc::string::String;

use super::{
    Cause, CloseFrame, ClosePolicy, Connection, Context, Effect, Event, Generation, Hint, Latest,
    Loss, Open, Pending, Phase, Pings, State, Time, Verdict, Why, close_policy,
};
use crate::limits::ONLINE_MS;

/// A loss within this time after the page woke or the network changed, in milliseconds, is local: no crowd returns
/// with it.
const LOCAL_MS: u64 = 5_000;

impl<P> Connection<P> {
    /// Starts an attempt with a new generation, or waits until one more is allowed.
    #[inline(never)]
    pub(super) fn begin(&mut self, now: Time, why: Why) {
        let wait = self.bucket.take(now);
        if wait > 0 {
            let until = now.after(wait);
            let told =
                matches!(self.state, State::Waiting { until: already, .. } if already == until);
            self.state = State::Waiting { until, firm: false };
            if !told {
                self.announce(Phase::Waiting, Some(wait), Why::TooManyAttempts);
            }
            return;
        }
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.totals.one(Count::Attempts);
        self.latest = Latest::default();
        let deadline = now.after(self.options.values().provider_timeout);
        self.state = State::Resolving { deadline };
        self.announce(Phase::Connecting, None, why);
        self.effects.push_back(Effect::Resolve {
            generation: self.generation,
        });
    }

    pub(super) fn opened(&mut self, now: Time, pings: Pings) {
        let values = self.options.values();
        let liveness = Liveness::new(
            now,
            values.heartbeat_interval,
            values.heartbeat_grace,
            values.probe_timeout,
            pings != Pings::None,
            values.gate,
        );
        self.state = State::Open(Open::new(now, pings, liveness));
        let reconnected = self.totals.of(Count::Opens) > 0;
        self.totals.one(Count::Opens);
        if !self.options.values().gate {
            self.start_keepalive(now);
        }
        self.announce(Phase::Open, None, Why::HandshakeDone);
        let attempt = self.attempt();
        self.tell(Event::Open {
            generation: self.generation,
            reconnected,
            attempt,
        });
    }

    /// The browser closed the socket.
    pub(super) fn socket_closed(&mut self, now: Time, close: CloseFrame) {
        let error = self.latest.error.take();
        if self.is_open() || matches!(self.state, State::Connecting { .. }) {
            self.lose_with(now, close, Cause::Socket, error);
        } else {
            // Even a Close that looks like the answer to ours may have crossed it, and proves nothing.
            self.end_closing(close, Cause::Socket, error);
        }
    }

    /// Ends the attempt without a close frame.
    #[inline(never)]
    pub(super) fn lose(&mut self, now: Time, cause: Cause, error: Option<String>) {
        self.lose_with(now, CloseFrame::abnormal(), cause, error);
    }

    /// Ends the attempt, and asks the application's predicate what follows.
    fn lose_with(&mut self, now: Time, close: CloseFrame, cause: Cause, error: Option<String>) {
        let loss = Loss {
            close,
            cause,
            was_open: self.is_open(),
            error,
        };
        let asks = self.options.values().reconnect;
        if asks {
            let generation = self.generation;
            self.effects.push_back(Effect::Judge { generation });
        }
        self.let_go(&loss);
        self.settle_failures(now);
        if asks {
            self.state = State::Lost(Box::new(loss));
        } else {
            self.end(loss, Why::ReconnectOff);
        }
    }

    /// The loss about which the predicate is being asked, if any. The state is then [`State::Closed`], until the
    /// caller decides.
    pub(super) fn take_lost(&mut self) -> Option<Loss> {
        if !matches!(self.state, State::Lost(_)) {
            return None;
        }
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Lost(loss) => Some(*loss),
            _ => None,
        }
    }

    /// A command inside the predicate, or in what runs before it, says how a socket that is still open is closed, by the
    /// [`Effect::Abandon`] that comes next.
    #[inline(never)]
    pub(super) fn abandon_with(&mut self, code: Option<u16>, reason: String) {
        if let Some(Effect::Abandon {
            code: sent,
            reason: why,
            ..
        }) = self.effects.back_mut()
        {
            (*sent, *why) = (code, reason);
        }
    }

    /// The predicate has returned: reports the loss, and waits for the next attempt or gives up.
    pub(super) fn judged(&mut self, context: &Context, verdict: Option<Verdict>) {
        let Some(loss) = self.take_lost() else {
            return;
        };
        match self.decide(context, verdict, &loss) {
            Ok((delay, why)) => {
                self.failures = self.failures.saturating_add(1);
                let token = self.bucket.wait(context.now);
                let (delay, why) = if token > delay {
                    (token, Why::TooManyAttempts)
                } else {
                    (delay, why)
                };
                let firm = matches!(why, Why::ServerAsks | Why::LaterByCode);
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

    /// Forgets failures that precede a stable connection. Of one that carries a session, the session says whether it is.
    #[inline(never)]
    pub(super) fn settle_failures(&mut self, now: Time) {
        if let State::Open(open) = &self.state
            && open.closing().is_none()
            && open.pings != Pings::Session
            && now.since(open.since) >= self.options.values().stable_after
        {
            self.forget_failures();
        }
    }

    /// The connection counts as stable, whatever its age. A session says so of one on which it was welcomed.
    pub const fn forget_failures(&mut self) {
        self.failures = 0;
        self.refusals = 0;
    }

    /// What the application makes of the messages shows that the connection is of no use: it is lost, and closed with this
    /// code, 1000 or one of 3000–4999. A session says so of a server that does not keep to its protocol.
    pub fn fail(&mut self, now: Time, code: u16) {
        if self.is_open() {
            // Before the predicate is asked, whose commands might give another code.
            self.effects.push_back(Effect::Close {
                generation: self.generation,
                code: Some(code),
                reason: String::new(),
            });
            let close = CloseFrame {
                code,
                ..CloseFrame::abnormal()
            };
            self.lose_with(now, close, Cause::Session, None);
        }
    }

    /// The wait before the next attempt, or why there will be none.
    fn decide(
        &mut self,
        context: &Context,
        verdict: Option<Verdict>,
        loss: &Loss,
    ) -> Result<(u64, Why), Why> {
        let policy = match loss.cause {
            // As if the server had refused it with 1009: the next message may be as large.
            Cause::MessageTooBig => ClosePolicy::RetryOnce,
            _ => close_policy(loss.close.code),
        };
        let refused_before = self.refusals > 0;
        if policy == ClosePolicy::RetryOnce {
            self.refusals = self.refusals.saturating_add(1);
        }
        let (delay, why) = match (verdict, policy) {
            (Some(Verdict::Stop), _) => return Err(Why::PredicateStops),
            (Some(Verdict::RetryAfterMs(delay)), _) => (delay, Why::PredicateRetries),
            (Some(Verdict::Retry), _) => (self.backoff(context), Why::PredicateRetries),
            (None, ClosePolicy::Stop) => return Err(Why::PolicyStops),
            (None, ClosePolicy::RetryOnce) if refused_before => return Err(Why::RefusedTwice),
            (None, _) => self.wait(context, loss, policy),
        };
        match self.options.values().max_retries {
            Some(max) if self.failures >= max => Err(Why::RetriesExhausted),
            _ => Ok((delay, why)),
        }
    }

    /// How long to wait if the policy is to retry.
    fn wait(&self, context: &Context, loss: &Loss, policy: ClosePolicy) -> (u64, Why) {
        let within = |min_ms: u64, max_ms: u64| draw(min_ms as f64, max_ms as f64, context.chance);
        let announced = self
            .latest
            .window
            .or_else(|| Window::in_reason(&loss.close.reason));
        let asked = match (announced, policy) {
            (Some(window), _) => Some((window, Why::ServerAsks)),
            (None, ClosePolicy::RetryWithin(window)) => Some((window, Why::LaterByCode)),
            (None, _) => None,
        };
        if let Some((Window { min_ms, max_ms }, why)) = asked {
            let cap = self.options.values().announced_delay_max;
            let asked = within(min_ms.min(cap), max_ms.min(cap));
            // A server that keeps failing cannot make its clients return sooner than they otherwise would.
            let least = match self.failures {
                0 => 0,
                _ => self.backoff(context),
            };
            return (asked.max(least), why);
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

    #[inline(never)]
    fn backoff(&self, context: &Context) -> u64 {
        backoff(&self.options, self.failures, context.chance)
    }

    /// Releases the socket, or the search for its URL, that `loss` ends.
    pub(super) fn let_go(&mut self, loss: &Loss) {
        self.let_go_with(loss, None, String::new());
    }

    /// Like [`let_go`](Self::let_go), with the code and reason for the close.
    #[inline(never)]
    fn let_go_with(&mut self, loss: &Loss, code: Option<u16>, reason: String) {
        let generation = self.generation;
        self.latest.turning = None;
        if let State::Open(open) = &self.state {
            self.latest.unconfirmed = open.unconfirmed.tally();
        }
        match (&self.state, loss.cause) {
            // The search has ended by itself, or the browser closed or never made the socket.
            (_, Cause::Provider | Cause::Socket | Cause::Refused) => {}
            (State::Resolving { .. }, _) => {
                self.effects.push_back(Effect::CancelResolve { generation });
            }
            (State::Connecting { .. } | State::Open(_), _) => {
                self.totals.one(Count::Abandoned);
                let given_up = Effect::Abandon {
                    generation,
                    code,
                    reason,
                };
                self.effects.push_back(given_up);
            }
            _ => {}
        }
        self.reclaim();
    }

    /// Final: reports what was not sent, and marks this close as the final one.
    #[inline(never)]
    pub(super) fn end(&mut self, loss: Loss, why: Why) {
        self.state = State::Closed;
        self.outputs.push_back(Pending::Over);
        self.announce(Phase::Closed, None, why);
        self.tell_error(&loss);
        self.drop_queue();
        self.tell_closed(loss, None, why);
    }

    pub(super) fn reconnect(&mut self, now: Time, code: Option<u16>, reason: String) {
        if self.is_suspended() {
            return self.resume(now);
        }
        if matches!(self.state, State::Idle | State::Closed) {
            self.failures = 0;
            self.refusals = 0;
        }
        // What the predicate is being asked about is reported as it was, with its error.
        let asked = self.take_lost();
        let overrules = asked.is_some();
        let loss = match asked {
            Some(loss) => {
                self.abandon_with(code, reason);
                loss
            }
            None => self.replace(now, code, reason),
        };
        let failed = overrules && self.has_error(&loss);
        let lost = (overrules || loss.was_open).then(|| self.closed(loss, Some(0), Why::Requested));
        self.begin(now, Why::Requested);
        if failed {
            self.tell(Event::Error);
        }
        if let Some(mut closed) = lost {
            if let State::Waiting { until, .. } = self.state {
                closed.retry_in_ms = Some(until.since(now));
                closed.why = Why::TooManyAttempts;
            }
            self.tell(Event::Closed(closed));
        }
    }

    /// Ends the attempt or the connection for one that the application wants now.
    fn replace(&mut self, now: Time, code: Option<u16>, reason: String) -> Loss {
        // If the closing handshake has begun, the server was already sent another code.
        let closing = match &self.state {
            State::Open(open) => open.closing(),
            _ => None,
        };
        let has_begun = closing.is_some_and(|closing| closing.handshake);
        let close = match code {
            // A reason without a code is sent with 1000.
            None if reason.is_empty() => CloseFrame::abnormal(),
            _ if has_begun => CloseFrame::abnormal(),
            _ => CloseFrame {
                code: code.unwrap_or(1000),
                reason: reason.clone(),
                clean: false,
            },
        };
        let loss = Loss {
            close,
            cause: Cause::Reconnect,
            was_open: matches!(self.state, State::Open(_)),
            error: None,
        };
        self.let_go_with(&loss, code, reason);
        self.settle_failures(now);
        loss
    }

    /// Checks the connection because the world around it may have changed.
    pub(super) fn hint(&mut self, context: &Context, hint: Hint) {
        let now = context.now;
        if hint != Hint::Offline {
            self.woken = Some(now);
        }
        match &mut self.state {
            &mut State::Waiting { until, firm } => {
                let at = match hint {
                    Hint::Offline => return,
                    // Not for a sleep, either: a wall clock that is set forward looks the same.
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
                // Too early if the attempts are used up: then it would be put off again.
                let at = at.max(now.after(self.bucket.wait(now)));
                if at < until {
                    self.state = State::Waiting { until: at, firm };
                    self.announce(Phase::Waiting, Some(at.since(now)), Why::Woken);
                }
            }
            State::Open(open) if open.closing().is_none() => {
                if matches!(hint, Hint::Resumed | Hint::Slept { .. }) {
                    open.liveness.slept();
                }
                if open.liveness.probe(now) {
                    self.look_and_ping();
                }
            }
            _ => {}
        }
    }

    #[inline(never)]
    fn look_and_ping(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.asking = true;
            open.measuring = false;
        }
        self.measure();
        self.ping();
    }

    #[inline(never)]
    pub(super) fn ping(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.question_at = None;
        }
        self.effects.push_back(Effect::Ping {
            generation: self.generation,
        });
    }

    /// The browser's buffer was measured: does what the silence requires.
    #[inline(never)]
    pub(super) fn look_for_life(&mut self, now: Time) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        let liveness = &mut open.liveness;
        let mut life = liveness.judge(now);
        if life == Life::Ask {
            if liveness.ask(now) {
                self.ping();
                return;
            }
            life = liveness.judge(now);
        }
        match life {
            Life::Stale => {
                // What was lost in the sleep was lost on this side.
                self.woken = Some(now);
                if liveness.wait_again(now) {
                    self.ping();
                }
            }
            Life::Silent | Life::Unanswered => {
                if let Some(deadline) = liveness.next_timer() {
                    self.let_arrive(now, deadline);
                }
            }
            Life::Ask | Life::Fine => {}
        }
    }

    /// The application opens the gate: now the server may be pinged, and hears from this client.
    pub(super) fn gate_opens(&mut self, now: Time) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        let is_started = open.keepalive_at.is_some();
        if open.liveness.pass(now) {
            self.look_and_ping();
        }
        if !is_started {
            self.start_keepalive(now);
        }
    }

    fn start_keepalive(&mut self, now: Time) {
        let interval = self.options.values().keepalive_interval;
        if let State::Open(open) = &mut self.state {
            open.keepalive_at = interval.map(|interval| now.after(interval));
        }
    }

    pub(super) fn keep_alive(&mut self, now: Time) {
        let interval = self.options.values().keepalive_interval.unwrap_or(1);
        let State::Open(Open {
            keepalive_at: Some(at),
            ..
        }) = &mut self.state
        else {
            return;
        };
        // The next one is due where it would be without late timers, so that browsers which round every timer up to
        // the next second do not halve the rate.
        let late = now.since(*at).checked_rem(interval).unwrap_or(0);
        *at = now.after(interval.saturating_sub(late));
        self.effects.push_back(Effect::KeepAlive {
            generation: self.generation,
        });
    }
}
