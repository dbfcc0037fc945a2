//! Control messages: what the two ends tell each other beside the application's messages.
//!
//! A browser's script sees no protocol ping, cannot send one, and is told nothing by a server that
//! goes away, so both have to be said in messages. They are spoken only on a connection whose
//! sub-protocol ends with [`SUFFIX`], which the client offers beside the plain name; a client or a
//! server that knows nothing of them is not disturbed.
//!
//! A control message is a text message that starts with `~`:
//!
//! | text | from | meaning |
//! |---|---|---|
//! | `~beat 20000` | server | alive; the next one follows within so many milliseconds |
//! | `~ping` | client | asks for a `~beat` now |
//! | `~reconnect 5000-30000` | server | when this connection ends, come back after a time drawn from this window, in milliseconds |
//!
//! A server that speaks no control messages can still announce the window, in the reason of its
//! Close: see [`Window::in_reason`].

use alloc::format;
use alloc::string::String;
use core::fmt;

/// What a sub-protocol's name ends with when control messages (version 1) are spoken.
pub const SUFFIX: &str = "~1";

/// What a control message starts with.
pub const MARK: char = '~';

/// A control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The server is alive and says so again within `interval_ms` milliseconds.
    Beat {
        /// Milliseconds until the next one, at the latest.
        interval_ms: u64,
    },
    /// The client asks for a beat now.
    Ping,
    /// The server says when to come back once this connection has ended.
    Reconnect(Window),
}

impl Control {
    /// The text of [`Control::Ping`].
    pub const PING: &str = "~ping";

    /// Reads a text message; `None` if it is not a control message that this version knows. One that
    /// starts with [`MARK`] and is unknown is passed over, not handed to the application.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(MARK)?;
        let (name, argument) = head(text, b' ');
        match (name, argument) {
            ("beat", Some(interval)) => Some(Self::Beat {
                interval_ms: millis(interval)?,
            }),
            ("ping", None) => Some(Self::Ping),
            ("reconnect", Some(window)) => Window::parse(window).map(Self::Reconnect),
            _ => None,
        }
    }
}

impl fmt::Display for Control {
    /// The text of the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beat { interval_ms } => write!(f, "{MARK}beat {interval_ms}"),
            Self::Ping => f.write_str(Self::PING),
            Self::Reconnect(window) => write!(f, "{MARK}reconnect {window}"),
        }
    }
}

/// When the clients of a server that goes away are to come back, each at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The least wait, in milliseconds.
    pub min_ms: u64,
    /// The longest wait, in milliseconds; not less than `min_ms`.
    pub max_ms: u64,
}

impl Window {
    /// What the window starts with in the reason of a Close.
    const IN_REASON: &str = "reconnect=";

    fn parse(text: &str) -> Option<Self> {
        let (min, max) = head(text, b'-');
        let (min_ms, max_ms) = (millis(min)?, millis(max?)?);
        (min_ms <= max_ms).then_some(Self { min_ms, max_ms })
    }

    /// The window in the reason of a Close: a word `reconnect=5000-30000` anywhere in it, in
    /// milliseconds. The first such word counts, and a malformed one means nothing.
    ///
    /// ```
    /// use steady_socket_protocol::control::Window;
    ///
    /// let window = Window::in_reason("deploying reconnect=0-20000");
    /// assert_eq!(window, Some(Window { min_ms: 0, max_ms: 20_000 }));
    /// ```
    #[must_use]
    pub fn in_reason(reason: &str) -> Option<Self> {
        let mut rest = Some(reason);
        while let Some(text) = rest {
            let (word, more) = head(text, b' ');
            if let Some(window) = word.strip_prefix(Self::IN_REASON) {
                return Self::parse(window);
            }
            rest = more;
        }
        None
    }

    /// The word that announces it in the reason of a Close.
    #[must_use]
    pub fn as_reason(&self) -> String {
        format!("{}{self}", Self::IN_REASON)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min_ms, self.max_ms)
    }
}

/// Whole milliseconds in decimal digits, at most ten of them: no sign, no space.
fn millis(text: &str) -> Option<u64> {
    if !(1..=10).contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0, |number: u64, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// What stands before the first `mark`, which is ASCII, and what follows it if there is one. A search for a
/// character, as `str` has it, is many times the size.
fn head(text: &str, mark: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == mark) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_message_is_read_as_it_is_written() {
        let window = Window {
            min_ms: 5_000,
            max_ms: 30_000,
        };
        for (control, text) in [
            (
                Control::Beat {
                    interval_ms: 20_000,
                },
                "~beat 20000",
            ),
            (Control::Ping, "~ping"),
            (Control::Reconnect(window), "~reconnect 5000-30000"),
        ] {
            assert_eq!(control.to_string(), text);
            assert_eq!(Control::parse(text), Some(control));
        }
        assert_eq!(Window::in_reason(&window.as_reason()), Some(window));
    }

    #[test]
    fn what_is_malformed_means_nothing() {
        for text in [
            "",
            "~",
            "beat 1",
            "~beat",
            "~beat ",
            "~beat -1",
            "~beat 1 ",
            "~beat +1",
            "~beat 12345678901",
            "~ping 1",
            "~reconnect 5",
            "~reconnect 6-5",
            "~reconnect 5-",
            "~later 1",
        ] {
            assert_eq!(Control::parse(text), None, "{text:?}");
        }
        for reason in [
            "",
            "reconnect",
            "reconnect=",
            "reconnect=5",
            "xreconnect=1-2",
            "reconnect=2-1",
        ] {
            assert_eq!(Window::in_reason(reason), None, "{reason:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_peer_sends_does_harm(text: String) {
            let _ = Control::parse(&text);
            let _ = Control::parse(&format!("~{text}"));
            let _ = Window::in_reason(&text);
        }
    }
}
