//! Times as [`Duration`]s, which the core counts in whole milliseconds.

use core::time::Duration;

use crate::connection::{Closed, Hint, SendMode, StateChange, Verdict};
use crate::options::Number as _;

impl Closed {
    /// How long until the next attempt; `None` if there will be none or the connection is suspended (see
    /// [`is_final`](Self::is_final)).
    #[must_use]
    pub fn next_attempt_in(&self) -> Option<Duration> {
        self.retry_in_ms.map(Duration::from_millis)
    }
}

impl StateChange {
    /// In [`Phase::Waiting`](crate::Phase::Waiting): how long until the attempt.
    #[must_use]
    pub fn next_attempt_in(&self) -> Option<Duration> {
        self.delay_ms.map(Duration::from_millis)
    }
}

impl Verdict {
    /// Retry after this time.
    #[must_use]
    pub fn retry_after(time: Duration) -> Self {
        Self::RetryAfterMs(time.keep())
    }
}

impl SendMode {
    /// Ahead of the queue, and without waiting for [`Handle::ready`](crate::Handle::ready).
    #[must_use]
    pub const fn first(mut self) -> Self {
        self.first = true;
        self
    }

    /// Now or not at all.
    #[must_use]
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// For at most this time in the queue, instead of the option `message_ttl`.
    #[must_use]
    pub fn ttl(mut self, time: Duration) -> Self {
        self.ttl_ms = Some(time.keep());
        self
    }
}

impl Hint {
    /// How long the machine slept, if it did.
    #[must_use]
    pub const fn slept(self) -> Option<Duration> {
        match self {
            Self::Slept { millis } => Some(Duration::from_millis(millis)),
            _ => None,
        }
    }
}
