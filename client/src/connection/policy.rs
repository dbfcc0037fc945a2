//! How a close code decides about retrying.

use core::fmt;

use steady_socket_protocol::control::Window;

use crate::limits::{LONGEST_REASON, is_close_code};

/// What to do after a connection was closed with a given code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosePolicy {
    /// Retry with the ordinary backoff.
    Retry,
    /// Retry after a wait drawn from this window.
    RetryWithin(Window),
    /// Retry once; give up if it happens again without a stable connection in between.
    RetryOnce,
    /// Do not retry.
    Stop,
}

/// The window in which clients return to a server that restarts (1012) or is overloaded (1013): 5 to 30 s, as the
/// registration of 1012 recommends.
pub const RESTART_WINDOW: Window = Window {
    min_ms: 5_000,
    max_ms: 30_000,
};

/// A row of the table of close codes.
#[derive(Clone, Copy, Debug)]
pub struct CloseCodes {
    /// The first and the last of each range; empty in the last row, which covers all others.
    pub ranges: &'static [(u16, u16)],
    /// What they mean.
    pub meaning: &'static str,
    /// What follows, as text.
    pub follows: &'static str,
}

#[cfg(feature = "std")]
impl CloseCodes {
    /// The codes as text, such as `1000, 3500–3999`.
    #[must_use]
    pub fn codes(&self) -> String {
        if self.ranges.is_empty() {
            return "every other".to_owned();
        }
        let range = |&(first, last): &(u16, u16)| match first == last {
            true => first.to_string(),
            false => format!("{first}–{last}"),
        };
        self.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
    }
}

/// The table of close codes, from which all its documentation is generated. [`close_policy`] follows it.
pub const CLOSE_CODES: &[CloseCodes] = &[
    CloseCodes {
        ranges: &[(1000, 1000)],
        meaning: "normal closure",
        follows: "gives up",
    },
    CloseCodes {
        ranges: &[
            (1008, 1008),
            (3000, 3000),
            (3003, 3003),
            (4401, 4401),
            (4403, 4403),
        ],
        meaning: "the server refuses this client: policy violation, unauthorized, forbidden",
        follows: "gives up",
    },
    CloseCodes {
        ranges: &[(3500, 3999), (4500, 4999)],
        meaning: "final codes of libraries and applications",
        follows: "gives up",
    },
    CloseCodes {
        ranges: &[(1002, 1003), (1007, 1007), (1009, 1009)],
        meaning: "the server could not process what it was sent",
        follows: "retries once; gives up if it happens again without a stable connection in between",
    },
    CloseCodes {
        ranges: &[(1012, 1013)],
        meaning: "the server restarts or is overloaded",
        follows: "retries after 5 to 30 s",
    },
    CloseCodes {
        ranges: &[],
        meaning: "going away, connection lost, internal error, and the application's own codes",
        follows: "retries",
    },
];

/// The policy for a close code. Every code has one, since a server can send any number:
///
/// | code | meaning | what follows |
/// |---|---|---|
/// | 1000 | normal closure | gives up |
/// | 1008, 3000, 3003, 4401, 4403 | the server refuses this client: policy violation, unauthorized, forbidden | gives up |
/// | 3500–3999, 4500–4999 | final codes of libraries and applications | gives up |
/// | 1002–1003, 1007, 1009 | the server could not process what it was sent | retries once; gives up if it happens again without a stable connection in between |
/// | 1012–1013 | the server restarts or is overloaded | retries after 5 to 30 s |
/// | every other | going away, connection lost, internal error, and the application's own codes | retries |
///
/// A window that the server announced replaces the wait, and the option `announced_delay_max` limits both it and the
/// 5 to 30 s. 4401 and 4403 are codes with which servers repeat an HTTP status. The application's predicate has the
/// last word.
///
/// ```
/// use std::time::Duration;
/// use steady_socket::connection::{ClosePolicy, close_policy};
///
/// assert_eq!(close_policy(1006), ClosePolicy::Retry);
/// assert_eq!(close_policy(4500), ClosePolicy::Stop);
/// let ClosePolicy::RetryWithin(window) = close_policy(1012) else { panic!() };
/// assert_eq!(window.max(), Duration::from_secs(30));
/// ```
#[must_use]
pub const fn close_policy(code: u16) -> ClosePolicy {
    match code {
        1000 | 1008 | 3000 | 3003 | 3500..=3999 | 4401 | 4403 | 4500..=4999 => ClosePolicy::Stop,
        1002 | 1003 | 1007 | 1009 => ClosePolicy::RetryOnce,
        1012 | 1013 => ClosePolicy::RetryWithin(RESTART_WINDOW),
        _ => ClosePolicy::Retry,
    }
}

/// The verdict of the application's own predicate, which overrides the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Retry with the ordinary backoff.
    Retry,
    /// Retry after this many milliseconds: see [`retry_after`](Self::retry_after).
    #[doc(hidden)]
    RetryAfterMs(u64),
    /// Do not retry.
    Stop,
}

/// A close code or reason that the WebSocket standard does not allow scripts to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseError {
    /// The code is neither 1000 nor in 3000–4999.
    Code(u16),
    /// The reason is longer than 123 bytes in UTF-8.
    Reason {
        /// Its length in bytes.
        bytes: usize,
    },
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => {
                write!(
                    f,
                    "close code {code} is not allowed; it takes 1000 or 3000 to 4999"
                )
            }
            Self::Reason { bytes } => {
                write!(
                    f,
                    "the close reason has {bytes} bytes of UTF-8; it takes at most 123"
                )
            }
        }
    }
}

impl core::error::Error for CloseError {}

/// Checks the arguments of `close(code, reason)` (WebSockets standard, `close()` method).
///
/// # Errors
/// What is not allowed.
pub const fn check_close(code: Option<u16>, reason: &str) -> Result<(), CloseError> {
    match code {
        Some(code) if !is_close_code(code) => return Err(CloseError::Code(code)),
        _ => {}
    }
    if reason.len() > LONGEST_REASON {
        return Err(CloseError::Reason {
            bytes: reason.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    // [R11][F12][F14]
    #[test]
    fn every_code_has_its_policy() {
        for code in 0..=u16::MAX {
            let expected = match code {
                1000 | 1008 | 3000 | 3003 | 4401 | 4403 => ClosePolicy::Stop,
                1002 | 1003 | 1007 | 1009 => ClosePolicy::RetryOnce,
                1012 | 1013 => ClosePolicy::RetryWithin(Window::between(
                    Duration::from_secs(5),
                    Duration::from_secs(30),
                )),
                code if (3500..4000).contains(&code) => ClosePolicy::Stop,
                code if (4500..5000).contains(&code) => ClosePolicy::Stop,
                _ => ClosePolicy::Retry,
            };
            assert_eq!(close_policy(code), expected, "{code}");
        }
    }

    // [R11]
    #[test]
    fn the_table_says_what_the_policy_does() {
        let (last, rows) = CLOSE_CODES.split_last().unwrap();
        assert!(last.ranges.is_empty());
        for code in 0..=u16::MAX {
            let is_of = |row: &&CloseCodes| {
                let mut ranges = row.ranges.iter();
                ranges.any(|(first, last)| (*first..=*last).contains(&code))
            };
            let rows: Vec<_> = rows.iter().filter(is_of).collect();
            assert!(rows.len() < 2, "{code} is in two rows");
            let (min, max) = (
                RESTART_WINDOW.min().as_secs(),
                RESTART_WINDOW.max().as_secs(),
            );
            let follows = rows.first().map_or(last.follows, |row| row.follows);
            let expected = match close_policy(code) {
                ClosePolicy::Stop => "gives up".to_owned(),
                ClosePolicy::RetryOnce => {
                    "retries once; gives up if it happens again without a stable connection in between"
                        .to_owned()
                }
                ClosePolicy::RetryWithin(_) => format!("retries after {min} to {max} s"),
                ClosePolicy::Retry => "retries".to_owned(),
            };
            assert_eq!(follows, expected, "{code}");
        }
        // And so does the documentation above.
        let source = include_str!("policy.rs");
        for row in CLOSE_CODES {
            let line = format!(
                "/// | {} | {} | {} |\n",
                row.codes(),
                row.meaning,
                row.follows
            );
            assert!(source.contains(&line), "no {line}");
        }
    }

    #[test]
    fn only_the_codes_of_the_standard_may_be_sent() {
        for code in 0..=u16::MAX {
            let allowed = code == 1000 || (3000..5000).contains(&code);
            assert_eq!(check_close(Some(code), "").is_ok(), allowed, "{code}");
        }
        assert_eq!(check_close(None, ""), Ok(()));
    }

    #[test]
    fn a_reason_is_measured_in_bytes() {
        assert_eq!(check_close(None, &"a".repeat(123)), Ok(()));
        assert_eq!(
            check_close(None, &"é".repeat(62)),
            Err(CloseError::Reason { bytes: 124 })
        );
    }
}
