//! The consequences of a loss, per the documentation of the options and of the policy.

use steady_socket::connection::{
    Cause, CloseFrame, ClosePolicy, Loss, Phase, Verdict, Why, close_policy,
};

use super::far_end::FarEnd;
use super::{Ending, Expected, World};

/// A loss this soon after a sleep or a change of the network, in milliseconds, is not the server's doing.
const LOCAL: u64 = 5_000;

impl World {
    /// An attempt is due: returns whether it can be made now. If not, the account waits for the next one.
    pub(super) fn expect_attempt(&mut self) -> bool {
        let token = self.next_token();
        let now = token <= self.now;
        if !now {
            self.wait_until = token;
            self.firm = false;
        }
        now
    }

    /// When one more attempt is allowed.
    pub(super) fn next_token(&self) -> u64 {
        let price = self.settings.attempt_interval;
        self.now + price.saturating_sub(self.credit_now())
    }

    /// Milliseconds of attempts saved up.
    pub(super) fn credit_now(&self) -> u64 {
        let (credit, at) = self.credit;
        let most = u64::from(self.settings.attempt_burst) * self.settings.attempt_interval;
        (credit + (self.now - at)).min(most)
    }

    pub(super) fn forget_failures_if_stable(&mut self) {
        if self.core.phase() == Phase::Open && self.now - self.since >= self.settings.stable_after {
            self.failures = 0;
            self.refusals = 0;
        }
    }

    /// The consequences of a loss, per the documentation of the options and of the policy.
    pub(super) fn expect_loss(&mut self, ending: Ending) -> Option<u64> {
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
        // An earlier announcement takes precedence over the reason of the Close.
        let announced = self.window.filter(|_| loss.was_open).or(window);
        let by_code = match policy {
            ClosePolicy::RetryWithin(window) => Some((window.min_ms, window.max_ms)),
            _ => None,
        };
        let asked_for = announced.or(by_code);
        let (mut retry_in, mut why) = match (self.step.verdict, policy) {
            _ if !settings.reconnect => (None, Why::ReconnectOff),
            (Some(Verdict::Stop), _) => (None, Why::PredicateStops),
            (Some(Verdict::Retry), _) => (Some(backoff), Why::PredicateRetries),
            (Some(Verdict::RetryAfterMs(millis)), _) => (Some(millis), Why::PredicateRetries),
            (None, ClosePolicy::Stop) => (None, Why::PolicyStops),
            (None, ClosePolicy::RetryOnce) if refused_before => (None, Why::RefusedTwice),
            (None, _) if asked_for.is_some() => {
                let cap = settings.announced_delay_max;
                let (min_ms, max_ms) = asked_for.unwrap_or_default();
                let asked = between(min_ms.min(cap) as f64, max_ms.min(cap) as f64) as u64;
                // Never sooner than without the window, once attempts have failed.
                let least = if self.failures == 0 { 0 } else { backoff };
                let why = if announced.is_some() {
                    Why::ServerAsks
                } else {
                    Why::LaterByCode
                };
                (Some(asked.max(least)), why)
            }
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
            self.firm = matches!(why, Why::ServerAsks | Why::LaterByCode);
        }
        self.expect(loss, retry_in, why);
        retry_in
    }

    /// Whether a loss is local, so that no crowd returns with it.
    fn is_local(&self, loss: &Loss) -> bool {
        let woken = self.woken.is_some_and(|at| self.now - at <= LOCAL);
        loss.was_open && (woken || loss.cause == Cause::ProbeTimeout)
    }

    pub(super) fn expect_end(
        &mut self,
        close: CloseFrame,
        cause: Cause,
        was_open: bool,
        error: Option<String>,
    ) {
        let loss = Loss {
            close,
            cause,
            was_open,
            error,
        };
        self.expect(loss, None, Why::Requested);
    }

    /// The consequences for a connection or an attempt that the application suspends.
    pub(super) fn expect_suspended(&mut self, close: CloseFrame, was_open: bool) {
        let loss = Loss {
            close,
            cause: Cause::Suspended,
            was_open,
            error: None,
        };
        self.expect(loss, None, Why::Suspended);
    }

    pub(super) fn expect(&mut self, loss: Loss, retry_in: Option<u64>, why: Why) {
        let generation = self.generation();
        self.turning = None;
        let far_end = self
            .socket(generation)
            .filter(|_| loss.was_open)
            .map(|socket| &socket.far_end);
        let unconfirmed = far_end.map(FarEnd::unconfirmed).unwrap_or_default();
        let at_least = far_end.is_some_and(|far_end| far_end.crowded);
        let lost = far_end.map_or(0, FarEnd::lost);
        self.unconfirmed.messages += unconfirmed.messages;
        self.unconfirmed.bytes += unconfirmed.bytes;
        self.expected.push_back(Expected {
            generation,
            loss,
            retry_in,
            why,
            unconfirmed,
            at_least,
            lost,
        });
    }
}
