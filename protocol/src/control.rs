//! Control messages: what the two ends exchange beside the application's messages.
//!
//! A browser's script cannot send or see protocol pings, and nothing announces that a server is going away,
//! so both travel as messages. They are used only on a connection whose sub-protocol ends with [`SUFFIX`],
//! which the client offers beside the plain name; a client or server that knows nothing of them is
//! unaffected.
//! A control message is a text message that starts with one `~`:
//!
//! | text | from | meaning |
//! |---|---|---|
//! | `~beat 20000` | server | alive; the next beat follows within this many milliseconds |
//! | `~ping` | client | asks for a `~beat` now |
//! | `~ping 7` | client | asks for a `~beat` and a `~pong 7` now; sent only after `~pong 0` has arrived |
//! | `~pong 7` | server | everything sent before `~ping 7` has been received |
//! | `~pong 0` | server | numbered pings are supported; sent with the first `~beat` |
//! | `~reconnect 5000-30000` | server | when this connection ends, reconnect after a delay drawn from this window, in milliseconds |
//!
//! An application's text that starts with `~` is sent with one more `~` in front, in both directions, so that
//! it is never mistaken for a control message: [`escape`] adds it, and [`heard`] removes it. A server needs
//! nothing else:
//!
//! ```
//! use steady_socket_protocol::control::{Control, Heard, escape, heard};
//!
//! assert_eq!(heard("~ping 7"), Heard::Control(Control::Ping { number: Some(7) }));
//! assert_eq!(heard("Ada"), Heard::Application("Ada"));
//! assert_eq!(heard(&escape("~ping 7")), Heard::Application("~ping 7"));
//! ```
//!
//! A server that does not support control messages can still announce the window, in the reason of its Close:
//! see [`Window::in_reason`].

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

#[cfg(feature = "std")]
use crate::Message;

/// The suffix of a sub-protocol's name that turns on control messages (version 1).
pub const SUFFIX: &str = "~1";

/// The character that starts a control message and escapes an application's text that starts with it.
pub const MARK: char = '~';

/// The meaning of a text message on a connection with control messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A text of the application, unescaped.
    Application(&'a str),
    /// A control message.
    Control(Control),
    /// A control message that this version does not know, to be ignored.
    Unknown,
}

/// Classifies a text message received on a connection with control messages.
#[must_use]
pub fn heard(text: &str) -> Heard<'_> {
    match text.strip_prefix(MARK) {
        None => Heard::Application(text),
        Some(rest) if rest.starts_with(MARK) => Heard::Application(rest),
        Some(_) => Control::parse(text).map_or(Heard::Unknown, Heard::Control),
    }
}

/// Escapes a text of the application for sending on such a connection: one more [`MARK`] in front if it
/// starts with one; otherwise unchanged, without a copy.
#[must_use]
pub fn escape<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    if text.starts_with(MARK) {
        Cow::Owned(escaped(&text))
    } else {
        text
    }
}

/// `text` with one more [`MARK`] in front, whatever it starts with.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + MARK.len_utf8());
    escaped.push(MARK);
    escaped.push_str(text);
    escaped
}

/// The meaning of a message on a connection with control messages.
#[cfg(feature = "std")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message of the application, unescaped.
    Application(Message),
    /// A control message.
    Control(Control),
    /// A control message that this version does not know, to be ignored.
    Unknown,
}

/// Classifies a message as [`heard`] does. A binary message is always the application's and stays unchanged.
#[cfg(feature = "std")]
#[must_use]
pub fn incoming(message: Message) -> Incoming {
    let Message::Text(mut text) = message else {
        return Incoming::Application(message);
    };
    match heard(&text) {
        Heard::Control(control) => Incoming::Control(control),
        Heard::Unknown => Incoming::Unknown,
        Heard::Application(inner) => {
            if inner.len() < text.len() {
                text.remove(0);
            }
            Incoming::Application(text.into())
        }
    }
}

/// Escapes a message of the application as [`escape`] does. A binary message stays unchanged.
#[cfg(feature = "std")]
#[must_use]
pub fn outgoing(message: Message) -> Message {
    match message {
        Message::Text(text) => escape(text).into_owned().into(),
        Message::Binary(_) => message,
    }
}

/// A control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The server is alive and will send the next beat within this time. [`Control::beat`] makes one, and
    /// [`next_beat`](Control::next_beat) reads it.
    Beat {
        /// [`next_beat`](Control::next_beat), in milliseconds.
        #[doc(hidden)]
        interval_ms: u64,
    },
    /// The client asks for a beat now and, if the ping is numbered, for a pong of the same number.
    Ping {
        /// The ping's number on this connection, from 1.
        number: Option<u64>,
    },
    /// The server has received the ping of this number, and thus everything before it. The number 0 means
    /// that it supports numbered pings.
    Pong {
        /// The number.
        number: u64,
    },
    /// The server announces when to reconnect once this connection has ended.
    Reconnect(Window),
    /// The server says for how long its clients are to spread themselves after a loss that may concern all of them.
    /// [`Control::spread`] makes one, and [`spread_over`](Control::spread_over) reads it.
    Spread {
        /// [`spread_over`](Control::spread_over), in milliseconds.
        #[doc(hidden)]
        max_ms: u64,
    },
}

impl Control {
    /// A [`Control::Beat`]: the next one follows within this time.
    #[must_use]
    pub fn beat(interval: Duration) -> Self {
        Self::Beat {
            interval_ms: millis(interval),
        }
    }

    /// How long until the next beat, at most, if this is one.
    #[must_use]
    pub const fn next_beat(self) -> Option<Duration> {
        match self {
            Self::Beat { interval_ms } => Some(Duration::from_millis(interval_ms)),
            _ => None,
        }
    }

    /// The longest text of a control message of this version, in bytes: `~reconnect` with a window of the two largest
    /// numbers.
    pub const LONGEST: usize = 52;

    /// The text of a [`Control::Ping`] without a number.
    pub const PING: &str = "~ping";

    /// The text of a [`Control::Ping`], built without `fmt`, whose code is many times larger.
    #[must_use]
    pub fn ping(number: Option<u64>) -> String {
        fn write(text: &mut String, number: u64) {
            if number >= 10 {
                write(text, number / 10);
            }
            text.push(char::from(b'0' + (number % 10) as u8));
        }
        let mut text = String::from(Self::PING);
        if let Some(number) = number {
            text.push(' ');
            write(&mut text, number);
        }
        text
    }

    /// Parses a text message; `None` if it is not a control message that this version knows. [`heard`] tells
    /// an unknown control message from a text of the application.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes().strip_prefix(&[MARK as u8])?;
        let (name, argument) = head(text, b' ');
        match (name, argument) {
            (b"beat", Some(interval)) => Some(Self::Beat {
                interval_ms: digits(interval)?,
            }),
            (b"ping", None) => Some(Self::Ping { number: None }),
            (b"ping", Some(number)) => Some(Self::Ping {
                number: Some(digits(number)?),
            }),
            (b"pong", Some(number)) => Some(Self::Pong {
                number: digits(number)?,
            }),
            (b"reconnect", Some(window)) => Window::parse(window).map(Self::Reconnect),
            (b"spread", Some(time)) => Some(Self::Spread {
                max_ms: digits(time)?,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Control {
    /// The text of the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beat { interval_ms } => write!(f, "{MARK}beat {interval_ms}"),
            Self::Ping { number } => f.write_str(&Self::ping(*number)),
            Self::Pong { number } => write!(f, "{MARK}pong {number}"),
            Self::Reconnect(window) => write!(f, "{MARK}reconnect {window}"),
            Self::Spread { max_ms } => write!(f, "{MARK}spread {max_ms}"),
        }
    }
}

/// In whole milliseconds, rounded up: a positive time never becomes zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// When the clients of a departing server should reconnect, each at a random time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// [`min`](Self::min), in milliseconds.
    #[doc(hidden)]
    pub min_ms: u64,
    /// [`max`](Self::max), in milliseconds; not less than `min_ms`.
    #[doc(hidden)]
    pub max_ms: u64,
}

impl Window {
    /// The window from the shortest delay to the longest, in whole milliseconds. A longest delay that is shorter than the
    /// other counts as equal to it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steady_socket_protocol::control::{Control, Window};
    ///
    /// let window = Window::between(Duration::from_secs(5), Duration::from_secs(30));
    /// assert_eq!(Control::Reconnect(window).to_string(), "~reconnect 5000-30000");
    /// ```
    #[must_use]
    pub fn between(min: Duration, max: Duration) -> Self {
        let min_ms = millis(min);
        Self {
            min_ms,
            max_ms: millis(max).max(min_ms),
        }
    }

    /// The shortest delay.
    #[must_use]
    pub const fn min(self) -> Duration {
        Duration::from_millis(self.min_ms)
    }

    /// The longest delay.
    #[must_use]
    pub const fn max(self) -> Duration {
        Duration::from_millis(self.max_ms)
    }

    /// The prefix of the window in the reason of a Close.
    const IN_REASON: &str = "reconnect=";

    fn parse(text: &[u8]) -> Option<Self> {
        let (min, max) = head(text, b'-');
        let (min_ms, max_ms) = (digits(min)?, digits(max?)?);
        (min_ms <= max_ms).then_some(Self { min_ms, max_ms })
    }

    /// Finds the window in the reason of a Close: a word `reconnect=5000-30000` anywhere in it, in
    /// milliseconds. Only the first such word counts; a malformed one is ignored.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steady_socket_protocol::control::Window;
    ///
    /// let window = Window::in_reason("deploying reconnect=0-20000").unwrap();
    /// assert_eq!((window.min(), window.max()), (Duration::ZERO, Duration::from_secs(20)));
    /// ```
    #[must_use]
    pub fn in_reason(reason: &str) -> Option<Self> {
        let mut rest = Some(reason.as_bytes());
        while let Some(text) = rest {
            let (word, more) = head(text, b' ');
            if let Some(window) = word.strip_prefix(Self::IN_REASON.as_bytes()) {
                return Self::parse(window);
            }
            rest = more;
        }
        None
    }

    /// The word that announces the window in the reason of a Close.
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

/// A whole number of at most ten decimal digits, without sign or space.
fn digits(text: &[u8]) -> Option<u64> {
    if !(1..=10).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |number: u64, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

/// Splits `text` at the first `mark` into what precedes and what follows it. The character search of `str` compiles to
/// many times the code.
fn head(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == mark) {
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
            (Control::Ping { number: None }, "~ping"),
            (Control::Ping { number: Some(0) }, "~ping 0"),
            (Control::Ping { number: Some(10) }, "~ping 10"),
            (
                Control::Ping {
                    number: Some(9_999_999_999),
                },
                "~ping 9999999999",
            ),
            (Control::Pong { number: 0 }, "~pong 0"),
            (Control::Pong { number: 407 }, "~pong 407"),
            (Control::Reconnect(window), "~reconnect 5000-30000"),
        ] {
            assert_eq!(control.to_string(), text);
            assert_eq!(Control::parse(text), Some(control));
        }
        assert_eq!(Window::in_reason(&window.as_reason()), Some(window));
    }

    #[test]
    fn times_are_durations_in_whole_milliseconds() {
        let (min, max) = (Duration::from_millis(5), Duration::from_secs(2));
        let window = Window::between(min, max);
        assert_eq!((window.min(), window.max()), (min, max));
        assert_eq!(Window::between(max, min).max(), max);
        let beat = Control::beat(Duration::from_micros(1_001));
        assert_eq!(beat.next_beat(), Some(Duration::from_millis(2)));
        assert_eq!(beat.to_string(), "~beat 2");
        assert_eq!(Control::Reconnect(window).next_beat(), None);
        let longest = Window::between(Duration::MAX, Duration::MAX);
        assert_eq!(longest.max(), Duration::from_millis(u64::MAX));
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
            "~ping ",
            "~ping x",
            "~ping 12345678901",
            "~pong",
            "~pong -1",
            "~~pong 1",
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

    // [R35]
    #[test]
    fn a_text_of_the_application_is_never_taken_for_a_control_message() {
        for (given, sent) in [
            ("", ""),
            ("Ada", "Ada"),
            ("a~b", "a~b"),
            ("~", "~~"),
            ("~~", "~~~"),
            ("~5 minutes left", "~~5 minutes left"),
            ("~reconnect 60000-60000", "~~reconnect 60000-60000"),
            ("~ping", "~~ping"),
            ("\u{fe0f}~", "\u{fe0f}~"),
        ] {
            assert_eq!(escape(given), sent);
            assert_eq!(heard(sent), Heard::Application(given));
        }
        assert!(matches!(escape("Ada"), Cow::Borrowed("Ada")), "no copy");
        assert_eq!(heard("~"), Heard::Unknown);
        assert_eq!(heard("~5 minutes left"), Heard::Unknown);
    }

    // [R35]
    #[cfg(feature = "std")]
    #[test]
    fn bytes_are_not_escaped() {
        let bytes = Message::from(b"~ping".as_slice());
        assert_eq!(outgoing(bytes.clone()), bytes);
        assert_eq!(incoming(bytes.clone()), Incoming::Application(bytes));
    }

    proptest! {
        // [R35]
        #[cfg(feature = "std")]
        #[test]
        fn every_text_comes_through_as_it_was_given(text in "~{0,3}.*") {
            let sent = outgoing(text.as_str().into());
            prop_assert_eq!(sent.len() - text.len(), usize::from(text.starts_with(MARK)));
            prop_assert_eq!(incoming(sent), Incoming::Application(text.into()));
        }

        #[test]
        fn nothing_that_a_peer_sends_does_harm(text: String) {
            let _ = heard(&text);
            let _ = heard(&format!("~{text}"));
            let _ = Window::in_reason(&text);
        }
    }
}
