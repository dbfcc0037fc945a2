//! Why a value could not be encoded or a message could not be decoded.
//!
//! Messages carry what users write, so nothing that programs log by habit (`Display`, `Debug`, the error of
//! an `expect`) quotes them. The payload is available only on request.

use std::fmt;
#[cfg(feature = "json")]
use std::sync::Arc;

use crate::{Message, MessageKind};

/// The length limit of an excerpt: this many characters of text, or half as many bytes in hexadecimal.
const EXCERPT: usize = 80;

// Text that only the accessors show is formatted when they are called, so that a program that never calls
// them is built without the escape tables and without serde_json's messages.

/// A message could not be decoded. The connection is unaffected.
///
/// `Display` and `Debug` show no payload; [`excerpt`](Self::excerpt) and [`detail`](Self::detail) may.
#[derive(Clone)]
pub struct DecodeError {
    codec: &'static str,
    failure: Failure,
    beginning: Beginning,
}

/// Why a message could not be decoded, and the decoder's own message.
#[derive(Clone)]
enum Failure {
    Told(DecodeReason, Option<Words>),
    #[cfg(feature = "json")]
    Json(Arc<serde_json::Error>),
}

/// Why a message could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// A text message arrived where the codec expects a binary one, or vice versa.
    WrongKind {
        /// The kind that the codec expects.
        expected: MessageKind,
        /// The kind that arrived.
        received: MessageKind,
    },
    /// The message has the right kind but the wrong content.
    Malformed {
        /// What was wrong with it.
        fault: Fault,
        /// Where, if the codec knows.
        at: Option<Position>,
    },
}

/// What was wrong with a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It is not valid in the codec's format, or has trailing data.
    Syntax,
    /// It is valid, but not a value of the expected type: a field is missing, a variant is unknown, a number
    /// is out of range.
    Mismatch,
    /// It ends in the middle of a value.
    Truncated,
    /// It is nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
}

/// A place in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// In text: line and column, in bytes of the line, both counted from 1. Column 0 means the line's start.
    Line {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In bytes: the offset from the start of the message, counted from 0.
    Byte(usize),
}

impl DecodeError {
    /// For codec authors: `message` is not of the kind that `codec` expects.
    #[must_use]
    pub fn wrong_kind(codec: &'static str, expected: MessageKind, message: &Message) -> Self {
        let received = message.kind();
        let reason = DecodeReason::WrongKind { expected, received };
        Self {
            codec,
            failure: Failure::Told(reason, None),
            beginning: Beginning::of(message),
        }
    }

    /// For codec authors: `message` could not be decoded because of `fault`.
    ///
    /// `detail` is the decoder's own message. It may quote the payload, so only [`detail`](Self::detail)
    /// shows it.
    #[must_use]
    pub fn malformed(
        codec: &'static str,
        fault: Fault,
        at: Option<Position>,
        message: &Message,
        detail: Option<&str>,
    ) -> Self {
        let reason = DecodeReason::Malformed { fault, at };
        Self {
            codec,
            failure: Failure::Told(reason, detail.map(Words::of)),
            beginning: Beginning::of(message),
        }
    }

    /// Like [`malformed`](Self::malformed), with serde_json's message.
    #[cfg(feature = "json")]
    pub(crate) fn json(codec: &'static str, error: serde_json::Error, message: &Message) -> Self {
        Self {
            codec,
            failure: Failure::Json(Arc::new(error)),
            beginning: Beginning::of(message),
        }
    }

    /// The name of the codec that rejected the message: [`Codec::NAME`](crate::Codec::NAME).
    #[must_use]
    pub fn codec(&self) -> &'static str {
        self.codec
    }

    /// Why the message was rejected.
    #[must_use]
    pub fn reason(&self) -> DecodeReason {
        match &self.failure {
            Failure::Told(reason, _) => *reason,
            #[cfg(feature = "json")]
            Failure::Json(error) => crate::codec::reason_of(error),
        }
    }

    /// The beginning of the message: **payload**, so show it with care. Text is cut to 80 characters and
    /// escaped as by [`char::escape_debug`]; of bytes, it is the first 40 in hexadecimal. A final `…` marks a
    /// cut. `None` if the message was empty.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        self.beginning.shown()
    }

    /// The decoder's own message, such as the name of a missing field, cut and escaped like the excerpt. It
    /// may quote the **payload**.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match &self.failure {
            Failure::Told(_, words) => words.as_ref().map(Words::shown),
            #[cfg(feature = "json")]
            Failure::Json(error) => Some(Words::of(&error.to_string()).shown()),
        }
    }
}

impl PartialEq for DecodeError {
    /// Whether both show the same.
    fn eq(&self, other: &Self) -> bool {
        self.codec == other.codec
            && self.reason() == other.reason()
            && self.beginning == other.beginning
            && self.detail() == other.detail()
    }
}

impl Eq for DecodeError {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.codec, self.reason())
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("codec", &self.codec)
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

impl std::error::Error for DecodeError {}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeReason::WrongKind { expected, received } => {
                write!(f, "expected a {expected} message, not a {received} one")
            }
            DecodeReason::Malformed { fault, at } => {
                write!(f, "{fault}")?;
                at.map_or(Ok(()), |at| write!(f, " (at {at})"))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Syntax => f.write_str("the message is not well-formed"),
            Fault::Mismatch => f.write_str("the message is not a value of the expected type"),
            Fault::Truncated => f.write_str("the message ends too early"),
            Fault::TooDeep => {
                write!(
                    f,
                    "the message is nested deeper than {} levels",
                    crate::MAX_DEPTH
                )
            }
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Line { line, column } => write!(f, "line {line}, column {column}"),
            Position::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// A value could not be encoded: its `Serialize` failed, or the format cannot represent it (JSON has no maps
/// with lists as keys).
///
/// `Display` and `Debug` never show the value; [`detail`](Self::detail) may.
#[derive(Clone)]
pub struct EncodeError {
    codec: &'static str,
    refusal: Refusal,
}

/// The encoder's own message.
#[derive(Clone)]
enum Refusal {
    Told(Words),
    #[cfg(feature = "json")]
    Json(Arc<serde_json::Error>),
}

impl EncodeError {
    /// For codec authors: `detail` is the encoder's own message, which may quote the value.
    #[must_use]
    pub fn new(codec: &'static str, detail: &str) -> Self {
        Self {
            codec,
            refusal: Refusal::Told(Words::of(detail)),
        }
    }

    /// Like [`new`](Self::new), with serde_json's message.
    #[cfg(feature = "json")]
    pub(crate) fn json(codec: &'static str, error: serde_json::Error) -> Self {
        Self {
            codec,
            refusal: Refusal::Json(Arc::new(error)),
        }
    }

    /// The name of the codec: [`Codec::NAME`](crate::Codec::NAME).
    #[must_use]
    pub fn codec(&self) -> &'static str {
        self.codec
    }

    /// The encoder's own message, cut to 80 characters and escaped. It may quote the **value**.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.refusal {
            Refusal::Told(words) => words.shown(),
            #[cfg(feature = "json")]
            Refusal::Json(error) => Words::of(&error.to_string()).shown(),
        }
    }
}

impl PartialEq for EncodeError {
    /// Whether both show the same.
    fn eq(&self, other: &Self) -> bool {
        self.codec == other.codec && self.detail() == other.detail()
    }
}

impl Eq for EncodeError {}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the value cannot be represented in this format",
            self.codec
        )
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodeError")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for EncodeError {}

/// The beginning of a text.
#[derive(Clone, PartialEq, Eq)]
struct Words {
    kept: Box<str>,
    /// Whether the text was cut.
    cut: bool,
}

impl Words {
    fn of(text: &str) -> Self {
        let end = text.char_indices().nth(EXCERPT).map(|(at, _)| at);
        Self {
            kept: end.and_then(|end| text.get(..end)).unwrap_or(text).into(),
            cut: end.is_some(),
        }
    }

    fn shown(&self) -> String {
        let mut shown: String = self.kept.chars().flat_map(char::escape_debug).collect();
        if self.cut {
            shown.push('…');
        }
        shown
    }
}

/// The beginning of a message.
#[derive(Clone, PartialEq, Eq)]
enum Beginning {
    Text(Words),
    Binary {
        kept: Box<[u8]>,
        /// Whether the bytes were cut.
        cut: bool,
    },
}

impl Beginning {
    fn of(message: &Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(Words::of(text)),
            Message::Binary(bytes) => {
                let start = bytes.get(..EXCERPT / 2);
                Self::Binary {
                    kept: start.unwrap_or(bytes).into(),
                    cut: bytes.len() > EXCERPT / 2,
                }
            }
        }
    }

    /// `None` if it is empty.
    fn shown(&self) -> Option<String> {
        let shown = match self {
            Self::Text(words) => words.shown(),
            Self::Binary { kept, cut } => {
                let mut hex: String = kept.iter().map(|byte| format!("{byte:02x}")).collect();
                if *cut {
                    hex.push('…');
                }
                hex
            }
        };
        (!shown.is_empty()).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(message: Message) -> DecodeError {
        DecodeError::malformed(
            "test",
            Fault::Syntax,
            None,
            &message,
            Some("near \u{1b}[31mhunter2"),
        )
    }

    #[test]
    fn only_the_accessors_show_the_payload() {
        let error = malformed("hunter2".into());
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(error.excerpt().as_deref(), Some("hunter2"));
        let detail = error.detail();
        assert_eq!(detail.as_deref(), Some("near \\u{1b}[31mhunter2"));

        let error = EncodeError::new("test", "hunter2");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(error.detail(), "hunter2");
    }

    #[test]
    fn excerpts_are_bounded_and_escaped() {
        let cases: [(Message, Option<String>); 6] = [
            ("".into(), None),
            (
                "a\n\u{7f}\u{202e}".into(),
                Some("a\\n\\u{7f}\\u{202e}".into()),
            ),
            ("é".repeat(80).into(), Some("é".repeat(80))),
            ("é".repeat(81).into(), Some("é".repeat(80) + "…")),
            (vec![0xab; 40].into(), Some("ab".repeat(40))),
            (vec![0xab; 41].into(), Some("ab".repeat(40) + "…")),
        ];
        for (message, expected) in cases {
            assert_eq!(malformed(message).excerpt(), expected);
        }
    }

    #[test]
    fn a_reason_reads_as_a_sentence() {
        let error = DecodeError::wrong_kind("json", MessageKind::Text, &vec![1].into());
        assert_eq!(
            error.to_string(),
            "json: expected a text message, not a binary one"
        );
        let at = Some(Position::Line { line: 1, column: 4 });
        let error = DecodeError::malformed("json", Fault::Mismatch, at, &"".into(), None);
        assert_eq!(
            error.to_string(),
            "json: the message is not a value of the expected type (at line 1, column 4)"
        );
    }
}
