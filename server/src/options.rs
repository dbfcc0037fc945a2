//! What a server can be told, with every default and range.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use steady_socket_protocol::session::{
    MemoryOptions, Options as HalfOptions, ServerOptions, limits,
};

use crate::Origin;
use crate::log::LogLimits;

/// The options of a [`Server`](crate::Server).
///
/// ```
/// use std::time::Duration;
/// use steady_socket_server::Options;
///
/// let options = Options {
///     allow_origins: vec!["https://chat.example".parse()?],
///     ping_interval: Duration::from_secs(10),
///     ..Options::default()
/// };
/// # Ok::<(), steady_socket_server::InvalidOrigin>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose pages may connect, besides those that this server serves itself at an IP address or `localhost`. Empty by
    /// default, so a server with a name of its own has to list its own origin, too.
    pub allow_origins: Vec<Origin>,
    /// Whether clients without an `Origin` are refused, as programs other than browsers are. Off by default.
    pub require_origin: bool,
    /// Whether pages reach this server by `https`, so that its own origin has that scheme. Off by default.
    pub secure: bool,
    /// Which clients are served: with a session, without, or both, which is the default.
    pub sessions: Sessions,
    /// The largest message to take, in bytes, from 125; 1 MiB by default. A larger one ends the connection with 1009.
    pub max_message_bytes: usize,
    /// How many connections may be open, from 1; 10,000 by default. Further handshakes are answered with 503.
    pub max_connections: usize,
    /// How many of them may come from one address; no limit by default. Further handshakes are answered with 429. It needs
    /// to know the address; see [`Handshake::address`](crate::Handshake::address). The addresses of an IPv6 network of 64
    /// bits count as one, since a client has them all.
    pub max_connections_per_address: Option<usize>,
    /// How much each client may send, on average: over all connections of its session, or without a session over its
    /// connection. No limit by default. Who sends more is disconnected with 1008.
    pub rate: Option<Rate>,
    /// How much all connections from one address may send together. Likewise; it needs to know the address, too.
    pub rate_per_address: Option<Rate>,
    /// How many messages and how many bytes, each from 1, may wait for a client without a session that does not read; 1,000
    /// and 1 MiB by default. One message may be larger. Who sends more waits, or is told
    /// [`SendError::Full`](crate::SendError::Full).
    pub queue_limits: (u32, u32),
    /// The time between the server's pings and beats, more than 0; 20 s by default. Shorter than `idle_timeout`.
    pub ping_interval: Duration,
    /// A connection on which no frame arrives for this long is closed with 1001; 50 s by default. The answer to the
    /// server's own ping is a frame.
    pub idle_timeout: Duration,
    /// How long to wait for a client's Close after the server has sent one; 2 s by default.
    pub close_timeout: Duration,
    /// How long a check of a credential may take; 10 s by default.
    pub authentication_timeout: Duration,
    /// How long a session outlives its connection, from 1 s; 2 minutes by default.
    pub session_window: Duration,
    /// How many messages, from 1, and how many bytes may be unhandled in one direction of a session; 1,000 and 1 MiB by
    /// default. A client may state less.
    pub session_limits: (u32, u32),
    /// How many requests of a client may be unanswered; 64 by default. More are refused.
    pub max_requests: u32,
    /// How many sessions there may be, from 1, connected or not; 10,000 by default. A client beyond is told to come back.
    pub max_sessions: usize,
    /// How many of them may have begun at one address; no limit by default. Likewise. It needs to know the address, as
    /// [`max_connections_per_address`](Self::max_connections_per_address) does, which limits how many are connected: a
    /// session counts until its end, so also while its client is away.
    pub max_sessions_per_address: Option<usize>,
    /// How many bytes of unacknowledged messages all sessions may keep together; 64 MiB by default.
    pub max_session_bytes: u64,
    /// How many entries a shared log keeps, from 1; 10,000 by default. A session that has not been given the oldest when it
    /// goes is lost, which its client learns.
    pub log_entries: usize,
    /// How many bytes of entries a shared log keeps beside the newest; 4 MiB by default.
    pub log_bytes: u64,
    /// How long a shared log stays that nobody appends to and no session has joined, from twice `session_window`; 1 day by
    /// default.
    pub log_life: Duration,
    /// How many handshakes this process can take in a second, from 1; 1,000 by default. Clients that speak control messages or
    /// have a session are told to spread their return over the time in which all of them fit, 30 s at most: ten come back
    /// within 10 ms, ten thousand within 10 s. A client that is told nothing spreads its return over 5 s.
    pub handshakes_per_second: u32,
}

/// Which clients a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sessions {
    /// Only those without a session.
    Never,
    /// Those with a session, and those without.
    #[default]
    Optional,
    /// Only those with a session.
    Required,
}

/// How much a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Frames a second, from 1. A burst of ten seconds' worth is taken.
    pub frames: u32,
    /// Bytes a second, from 1. Likewise.
    pub bytes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_origins: Vec::new(),
            require_origin: false,
            secure: false,
            sessions: Sessions::default(),
            max_message_bytes: limits::MESSAGE_BYTES as usize,
            max_connections: 10_000,
            max_connections_per_address: None,
            rate: None,
            rate_per_address: None,
            queue_limits: (1_000, 1 << 20),
            ping_interval: Duration::from_secs(20),
            // Two and a half times the interval: a busy browser may lose or delay two pings.
            idle_timeout: Duration::from_secs(50),
            close_timeout: Duration::from_secs(2),
            authentication_timeout: Duration::from_secs(10),
            session_window: Duration::from_millis(limits::WINDOW_MS),
            session_limits: (limits::MESSAGES as u32, limits::BYTES as u32),
            max_requests: limits::REQUESTS as u32,
            max_sessions: 10_000,
            max_sessions_per_address: None,
            max_session_bytes: 64 << 20,
            log_entries: 10_000,
            log_bytes: 4 << 20,
            log_life: Duration::from_secs(24 * 3600),
            handshakes_per_second: 1_000,
        }
    }
}

impl Options {
    /// The least of `max_message_bytes`: a ping may have so many.
    const LEAST_MESSAGE_BYTES: usize = 125;
    /// The longest of each time: a week.
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Checks what the types do not guarantee.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        let wrong = |option, expected| Err(InvalidOptions { option, expected });
        if self.max_message_bytes < Self::LEAST_MESSAGE_BYTES {
            return wrong("max_message_bytes", "at least 125");
        }
        let least = |rate: Option<Rate>| rate.map_or(1, |it| it.frames.min(it.bytes) as usize);
        let both = |(messages, bytes): (u32, u32)| messages.min(bytes) as usize;
        let counts = [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address.unwrap_or(1),
            ),
            ("max_sessions", self.max_sessions),
            (
                "max_sessions_per_address",
                self.max_sessions_per_address.unwrap_or(1),
            ),
            ("log_entries", self.log_entries),
            ("handshakes_per_second", self.handshakes_per_second as usize),
            ("session_limits", both(self.session_limits)),
            ("queue_limits", both(self.queue_limits)),
            ("rate", least(self.rate)),
            ("rate_per_address", least(self.rate_per_address)),
        ];
        if let Some((option, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return wrong(option, "at least 1");
        }
        let times = [
            ("ping_interval", self.ping_interval),
            ("idle_timeout", self.idle_timeout),
            ("close_timeout", self.close_timeout),
            ("authentication_timeout", self.authentication_timeout),
        ];
        for (option, time) in times {
            if time.is_zero() || time > Self::LONGEST {
                return wrong(option, "more than 0 and at most 7 days");
            }
        }
        if self.session_window < Duration::from_secs(1) || self.session_window > Self::LONGEST {
            return wrong("session_window", "1 s to 7 days");
        }
        let least = self.session_window.saturating_mul(2);
        if self.log_life < least || self.log_life > Self::LONGEST.saturating_mul(52) {
            return wrong("log_life", "from twice session_window to 52 weeks");
        }
        if self.ping_interval >= self.idle_timeout {
            return wrong("ping_interval", "shorter than idle_timeout");
        }
        Ok(())
    }

    /// Those of the halves of all sessions.
    pub(crate) fn half(&self) -> ServerOptions {
        let mut both = HalfOptions::default();
        let (messages, bytes) = self.session_limits;
        both.limits.messages = u64::from(messages);
        both.limits.bytes = u64::from(bytes);
        both.limits.requests = u64::from(self.max_requests);
        both.limits.message_bytes = self.max_message_bytes as u64;
        ServerOptions {
            both: Arc::new(both),
            window_ms: self.session_window.as_millis() as u64,
            beat_ms: Some((self.ping_interval.as_millis() as u64).max(1)),
            ..ServerOptions::default()
        }
    }

    /// Those of the store in memory.
    pub(crate) fn memory(&self) -> MemoryOptions {
        MemoryOptions {
            sessions: self.max_sessions,
            bytes: self.max_session_bytes,
            tombstones: self.max_sessions.saturating_mul(2),
            lease_ms: (self.session_window.as_millis() as u64).saturating_mul(2),
            ..MemoryOptions::default()
        }
    }

    pub(crate) const fn logs(&self) -> LogLimits {
        LogLimits {
            entries: self.log_entries,
            bytes: self.log_bytes,
            life: self.log_life,
        }
    }

    /// The longest frame to read, in bytes: that of the largest message, or of a full batch, with its head.
    pub(crate) fn longest_frame(&self) -> usize {
        let most = self.max_message_bytes;
        match self.sessions {
            // An escape.
            Sessions::Never => most.saturating_add(1),
            // A text in a batch may double by JSON's escapes, and each has a comma and two quotes.
            Sessions::Optional | Sessions::Required => most
                .max(limits::BATCH_BYTES)
                .saturating_mul(2)
                .saturating_add(limits::BATCH_MESSAGES * 3 + 64),
        }
    }
}

/// An option is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOptions {
    /// The option's name.
    pub option: &'static str,
    /// What is accepted.
    pub expected: &'static str,
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the option {} must be {}", self.option, self.expected)
    }
}

impl std::error::Error for InvalidOptions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range_and_each_option_out_of_it_is_named() {
        let default = Options::default;
        assert_eq!(default().validate(), Ok(()));
        let zero = Duration::ZERO;
        let wrong = [
            (
                "max_message_bytes",
                Options {
                    max_message_bytes: 124,
                    ..default()
                },
            ),
            (
                "max_connections",
                Options {
                    max_connections: 0,
                    ..default()
                },
            ),
            (
                "max_connections_per_address",
                Options {
                    max_connections_per_address: Some(0),
                    ..default()
                },
            ),
            (
                "max_sessions",
                Options {
                    max_sessions: 0,
                    ..default()
                },
            ),
            (
                "max_sessions_per_address",
                Options {
                    max_sessions_per_address: Some(0),
                    ..default()
                },
            ),
            (
                "session_limits",
                Options {
                    session_limits: (0, 1),
                    ..default()
                },
            ),
            (
                "session_limits",
                Options {
                    session_limits: (1, 0),
                    ..default()
                },
            ),
            (
                "queue_limits",
                Options {
                    queue_limits: (0, 1),
                    ..default()
                },
            ),
            (
                "rate",
                Options {
                    rate: Some(Rate {
                        frames: 0,
                        bytes: 1,
                    }),
                    ..default()
                },
            ),
            (
                "ping_interval",
                Options {
                    ping_interval: zero,
                    ..default()
                },
            ),
            (
                "ping_interval",
                Options {
                    ping_interval: Duration::from_secs(50),
                    ..default()
                },
            ),
            (
                "idle_timeout",
                Options {
                    idle_timeout: Duration::MAX,
                    ..default()
                },
            ),
            (
                "close_timeout",
                Options {
                    close_timeout: zero,
                    ..default()
                },
            ),
            (
                "authentication_timeout",
                Options {
                    authentication_timeout: zero,
                    ..default()
                },
            ),
            (
                "session_window",
                Options {
                    session_window: Duration::from_millis(999),
                    ..default()
                },
            ),
        ];
        for (option, options) in wrong {
            let error = options.validate().unwrap_err();
            assert_eq!(error.option, option);
            assert!(error.to_string().contains(option), "{error}");
        }
    }
}
