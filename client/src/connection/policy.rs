//! What a close code says about trying again.

use core::fmt;

/// What to do after a connection was closed with some code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosePolicy {
    /// Try again with the ordinary backoff.
    Retry,
    /// Try again after a wait drawn from this window, in milliseconds.
    RetryWithin {
        /// The least wait.
        min_ms: u64,
        /// The longest wait.
        max_ms: u64,
    },
    /// Try again once; if the next connection ends like this too before it was stable, give up.
    RetryOnce,
    /// Do not try again.
    Stop,
}

/// The window after which clients return to a server that restarts (1012) or is overloaded (1013):
/// 5 to 30 s, as the registration of 1012 asks.
pub const RESTART_WINDOW_MS: (u64, u64) = (5_000, 30_000);

/// The policy for a close code. Every code has one, since a server can send any number:
///
/// | code | meaning | policy |
/// |---|---|---|
/// | 1000 | the server said goodbye | stop |
/// | 1002, 1003, 1007, 1009 | something that we sent was wrong for the server | retry once |
/// | 1008, 3000, 3003 | policy violation, unauthorized, forbidden | stop |
/// | 1012, 1013 | service restart, try again later | retry within 5 to 30 s |
/// | 3500–3999, 4500–4999 | the application's or a library's terminal codes | stop |
/// | every other | going away, lost, internal error, unknown | retry |
///
/// ```
/// use steady_socket::connection::{ClosePolicy, close_policy};
///
/// assert_eq!(close_policy(1006), ClosePolicy::Retry);
/// assert_eq!(close_policy(4500), ClosePolicy::Stop);
/// ```
#[must_use]
pub const fn close_policy(code: u16) -> ClosePolicy {
    match code {
        1000 | 1008 | 3000 | 3003 | 3500..=3999 | 4500..=4999 => ClosePolicy::Stop,
        1002 | 1003 | 1007 | 1009 => ClosePolicy::RetryOnce,
        1012 | 1013 => {
            let (min_ms, max_ms) = RESTART_WINDOW_MS;
            ClosePolicy::RetryWithin { min_ms, max_ms }
        }
        _ => ClosePolicy::Retry,
    }
}

/// The verdict of the application's own predicate, which overrides the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again with the ordinary backoff.
    Retry,
    /// Try again after this many milliseconds.
    RetryAfter(u64),
    /// Do not try again.
    Stop,
}

/// A close code or reason that the WebSocket standard does not let a script send.
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

/// Checks what `close(code, reason)` may be given (WebSockets standard, `close()` method).
///
/// # Errors
/// What is not allowed.
pub const fn check_close(code: Option<u16>, reason: &str) -> Result<(), CloseError> {
    match code {
        None | Some(1000 | 3000..=4999) => {}
        Some(code) => return Err(CloseError::Code(code)),
    }
    if reason.len() > 123 {
        return Err(CloseError::Reason {
            bytes: reason.len(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // [R11]
    #[test]
    fn every_code_has_its_policy() {
        for code in 0..=u16::MAX {
            let expected = match code {
                1000 | 1008 | 3000 | 3003 => ClosePolicy::Stop,
                1002 | 1003 | 1007 | 1009 => ClosePolicy::RetryOnce,
                1012 | 1013 => ClosePolicy::RetryWithin {
                    min_ms: 5_000,
                    max_ms: 30_000,
                },
                code if (3500..4000).contains(&code) => ClosePolicy::Stop,
                code if (4500..5000).contains(&code) => ClosePolicy::Stop,
                _ => ClosePolicy::Retry,
            };
            assert_eq!(close_policy(code), expected, "{code}");
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
