//! What travels in a session: every frame, and how it is read and written.
//!
//! A frame is a WebSocket message. [`read`] takes any text or bytes and never panics; [`write()`] is its inverse. The
//! halves know frames only as values of [`Frame`], generic over the payload, so they never see bytes.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::limits::CREDENTIAL_BYTES;
use sha2::{Digest as _, Sha256};

use super::{MAX_NUMBER, json};
use crate::control::{Control, MARK, Window};

/// The first byte of a binary frame of the protocol; MessagePack never starts with it.
pub const BINARY_MARK: u8 = 0xC1;

/// The kind of a frame's WebSocket message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    Text,
    /// Bytes.
    Binary,
}

/// A WebSocket message's data, or a payload in it; borrowed where that is possible.
#[derive(Clone, PartialEq, Eq)]
pub enum Data<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
}

impl Data<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Its length in bytes; of a text, in UTF-8.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> Data<'static> {
        match self {
            Self::Text(text) => Data::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Data::Binary(Cow::Owned(bytes.into_owned())),
        }
    }
}

/// Shows kind and length, never the content.
impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind(), self.len())
    }
}

impl<'a> From<&'a str> for Data<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(Cow::Borrowed(bytes))
    }
}

#[cfg(feature = "std")]
impl From<crate::Message> for Data<'static> {
    fn from(message: crate::Message) -> Self {
        match message {
            crate::Message::Text(text) => Self::Text(Cow::Owned(text)),
            crate::Message::Binary(bytes) => Self::Binary(Cow::Owned(bytes)),
        }
    }
}

#[cfg(feature = "std")]
impl From<Data<'_>> for crate::Message {
    fn from(data: Data<'_>) -> Self {
        match data {
            Data::Text(text) => Self::Text(text.into_owned()),
            Data::Binary(bytes) => Self::Binary(bytes.into_owned()),
        }
    }
}

/// One frame. The [specification](https://github.com/steady-socket/steady-socket/blob/main/docs/sessions-protocol.md)
/// says what each means and who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<P> {
    /// A message of the application, alone: the very message that it would be without a session. Numbered.
    Message(P),
    /// Several messages of one kind. Each is numbered.
    Batch {
        /// The number of the first.
        first: u64,
        /// An acknowledgement that rides on it.
        handled: Option<u64>,
        /// The messages, at least one.
        messages: Vec<P>,
    },
    /// So many numbers that stand for nothing any more.
    Skip(u64),
    /// A request. Numbered, and known by its number.
    Request(P),
    /// The end of a request. Numbered.
    Answer {
        /// The request's number.
        request: u64,
        /// An acknowledgement that rides on it.
        handled: u64,
        /// The answer.
        answer: Answer<P>,
    },
    /// The asker no longer wants the answer. Numbered.
    Cancel {
        /// The request's number.
        request: u64,
    },
    /// A message, whose sender asks for an acknowledgement as soon as it is handled. Numbered.
    AwaitedMessage(P),
    /// A message that is neither counted, kept nor replayed.
    Volatile(P),
    /// How far the sender is, with what it received and with what it sent.
    Ack(Counts),
    /// Everything up to this number has been received. Sent when [`Frame::Ack`] cannot say it.
    Got(u64),
    /// Asks for an acknowledgement as soon as everything up to this number is handled.
    Awaited(u64),
    /// The handler of the message of this number has been running for long.
    Stalled(u64),
    /// A fresh credential, during a connection.
    Credential(Credential),
    /// The first frame of a connection, from the client.
    Hello(Box<Hello>),
    /// The answer to it, from the server.
    Welcome(Box<Welcome>),
    /// The sender has ended the session, and a Close follows.
    End {
        /// What became of the messages that it received.
        verdict: Verdict,
        /// The number of its last message on this connection.
        sent: u64,
    },
    /// A control message; always text.
    Control(Control),
    /// One of ours that this version does not know, to be ignored.
    Unknown,
}

impl<P> Frame<P> {
    /// How many numbers the frame takes.
    #[must_use]
    pub fn numbers(&self) -> u64 {
        match self {
            Self::Message(_)
            | Self::AwaitedMessage(_)
            | Self::Request(_)
            | Self::Answer { .. }
            | Self::Cancel { .. } => 1,
            Self::Batch { messages, .. } => messages.len() as u64,
            Self::Skip(count) => *count,
            _ => 0,
        }
    }

    /// The same frame with another type of payload.
    pub fn map<Q>(self, mut f: impl FnMut(P) -> Q) -> Frame<Q> {
        match self {
            Self::Message(payload) => Frame::Message(f(payload)),
            Self::Batch {
                first,
                handled,
                messages,
            } => Frame::Batch {
                first,
                handled,
                messages: messages.into_iter().map(f).collect(),
            },
            Self::Skip(count) => Frame::Skip(count),
            Self::Request(payload) => Frame::Request(f(payload)),
            Self::Answer {
                request,
                handled,
                answer,
            } => Frame::Answer {
                request,
                handled,
                answer: match answer {
                    Answer::Response(payload) => Answer::Response(f(payload)),
                    Answer::Error(payload) => Answer::Error(f(payload)),
                    Answer::Refused(why) => Answer::Refused(why),
                },
            },
            Self::Cancel { request } => Frame::Cancel { request },
            Self::AwaitedMessage(payload) => Frame::AwaitedMessage(f(payload)),
            Self::Volatile(payload) => Frame::Volatile(f(payload)),
            Self::Ack(counts) => Frame::Ack(counts),
            Self::Got(number) => Frame::Got(number),
            Self::Awaited(number) => Frame::Awaited(number),
            Self::Stalled(number) => Frame::Stalled(number),
            Self::Credential(credential) => Frame::Credential(credential),
            Self::Hello(hello) => Frame::Hello(hello),
            Self::Welcome(welcome) => Frame::Welcome(welcome),
            Self::End { verdict, sent } => Frame::End { verdict, sent },
            Self::Control(control) => Frame::Control(control),
            Self::Unknown => Frame::Unknown,
        }
    }
}

/// How far one end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts {
    /// Everything up to this number of the other end's is handled.
    pub handled: u64,
    /// The number of the last message that went before this frame on this connection.
    pub sent: u64,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer<P> {
    /// The response.
    Response(P),
    /// An error that the application defines.
    Error(P),
    /// The one asked has no response.
    Refused(Refusal),
}

/// Why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Nothing there answers such requests.
    NoHandler,
    /// More requests were unanswered than the one asked allows.
    Limit,
    /// The asker cancelled it before it was answered.
    Cancelled,
    /// The handler failed without an error of its own, for example by throwing.
    Failed,
    /// A reason that this version does not know.
    Other,
}

impl Refusal {
    const ALL: [(Self, &'static str); 5] = [
        (Self::NoHandler, "handler"),
        (Self::Limit, "limit"),
        (Self::Cancelled, "cancelled"),
        (Self::Failed, "failed"),
        (Self::Other, "other"),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        word_of(&Self::ALL, self)
    }

    /// The opposite; [`Other`](Self::Other) for a word that this version does not know.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        of_word(&Self::ALL, word, Self::Other)
    }
}

/// What only the owner of a session knows. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// The alphabet of base64url (RFC 4648, section 5).
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// The secret of 128 random bits.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(random);
        let digits = (0..22_u32).map(|at| {
            // 128 bits are 21 digits of 6 bits and one of 2.
            let rest = number.checked_shr(122_u32.saturating_sub(at.saturating_mul(6)));
            let digit = if at == 21 {
                (number & 3) << 4
            } else {
                rest.unwrap_or(0) & 63
            };
            let letter = Self::ALPHABET.get(usize::try_from(digit).unwrap_or(0));
            char::from(*letter.unwrap_or(&b'A'))
        });
        Self(digits.collect())
    }

    /// The secret of 22 to 86 letters of base64url; `None` otherwise.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((22..=86).contains(&text.len()) && text.bytes().all(is_letter)).then(|| Self(text.into()))
    }

    /// As it is written. It belongs into a hello and nowhere else: neither into a log nor into a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which a store keeps the session: the SHA-256 of the letters.
    #[must_use]
    pub fn key(&self) -> Key {
        Key(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Names a session at a server: the SHA-256 of its [`Secret`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 32]);

/// Shows the first four bytes, enough to tell sessions apart in a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Key({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What a client shows to be let in, such as a token: 1 to [`CREDENTIAL_BYTES`] printable ASCII characters without
/// a space. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credential(String);

impl Credential {
    /// Checks a credential; `None` if a character or the length is not allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = (1..=CREDENTIAL_BYTES).contains(&text.len());
        (allowed && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// As it is written. It does not belong into a log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// How much an end takes. Each end states its own and enforces it; the other keeps to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Messages sent and not yet handled, from 1.
    pub messages: u64,
    /// Their bytes, from 1.
    pub bytes: u64,
    /// The bytes of one message, from 1.
    pub message_bytes: u64,
    /// Requests not yet answered.
    pub requests: u64,
}

/// The client's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Names the session.
    pub secret: Secret,
    /// Rises with every hello of this secret, from 1.
    pub attempt: u64,
    /// The epoch to which the counts belong; 0 before the first welcome.
    pub epoch: u64,
    /// The last number that arrived from the server.
    pub received: u64,
    /// Everything up to this number of the server's is handled.
    pub handled: u64,
    /// The first number that the client can still send again.
    pub first: u64,
    /// The last number that the client has given to a message.
    pub sent: u64,
    /// How much the client takes.
    pub limits: Limits,
    /// How long ago the first hello of this secret was sent, in milliseconds. Includes the time that the machine slept.
    pub age_ms: u64,
    /// What lets the client in.
    pub credential: Option<Credential>,
}

/// The server's answer to a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// What became of the session.
    pub outcome: Outcome,
    /// The epoch from here on, from 1.
    pub epoch: u64,
    /// Rises when another process takes the session over.
    pub owner: u64,
    /// The last number that arrived from the client.
    pub received: u64,
    /// Everything up to this number of the client's is handled.
    pub handled: u64,
    /// The first number that the server can still send again.
    pub first: u64,
    /// The last number that the server has given to a message.
    pub sent: u64,
    /// How much the server takes.
    pub limits: Limits,
    /// How long the server keeps the session after it noticed the loss, in milliseconds.
    pub window_ms: u64,
    /// At most so many milliseconds pass between two messages of the server.
    pub beat_ms: Option<u64>,
    /// When to come back after a loss.
    pub back: Option<Window>,
}

/// What became of the session that a hello names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Fresh,
    /// It goes on, and the server has nothing to repeat.
    Continued,
    /// It goes on, and so many numbers of the server's follow that the client may have missed.
    Replayed(u64),
    /// It is over, and a fresh one begins.
    Lost(Lost),
}

/// How a session was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Why.
    pub why: Why,
    /// What became of the client's messages; `None` if nobody knows.
    pub verdict: Option<Verdict>,
}

/// Why a session was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The client came back after the window.
    Expired,
    /// The server has no record of it.
    Unknown,
    /// More waited for the client than the server keeps.
    Full,
    /// The server does not let this client resume it.
    Refused,
    /// The counts of the two ends do not fit together.
    OutOfStep,
    /// A reason that this version does not know.
    Other,
}

impl Why {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Expired, "expired"),
        (Self::Unknown, "unknown"),
        (Self::Full, "full"),
        (Self::Refused, "refused"),
        (Self::OutOfStep, "out-of-step"),
        (Self::Other, "other"),
    ];

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        word_of(&Self::ALL, self)
    }

    /// The opposite; [`Other`](Self::Other) for a word that this version does not know.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        of_word(&Self::ALL, word, Self::Other)
    }
}

/// What became of the messages that one end received in a session that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Verdict {
    /// Everything up to this number was handled.
    pub handled: u64,
    /// Ranges beyond it that were handled as well, rising, both ends included.
    pub also: Vec<(u64, u64)>,
    /// The last message that was given to the application.
    pub given: u64,
    /// The last number that arrived.
    pub received: u64,
}

impl Verdict {
    /// Whether the message of this number was handled.
    #[must_use]
    pub fn was_handled(&self, number: u64) -> bool {
        let also = |(first, last): &(u64, u64)| (*first..=*last).contains(&number);
        number <= self.handled || self.also.iter().any(also)
    }
}

fn word_of<T: PartialEq>(all: &[(T, &'static str)], value: T) -> &'static str {
    let found = all.iter().find(|(known, _)| *known == value);
    found.map_or("other", |(_, word)| word)
}

fn of_word<T: Copy>(all: &[(T, &'static str)], word: &str, other: T) -> T {
    let found = all.iter().find(|(_, known)| *known == word);
    found.map_or(other, |(value, _)| *value)
}

/// A frame of a known kind that is not as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameError {
    /// The kind, as its word.
    pub kind: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A number is missing or malformed, in the field of this name.
    Number(&'static str),
    /// A number is 0 that counts from 1, in the field of this name.
    Zero(&'static str),
    /// The field of this name is missing.
    Missing(&'static str),
    /// The field of this name is there twice.
    Twice(&'static str),
    /// The field of this name has a value that is not allowed.
    Value(&'static str),
    /// More follows than the frame has.
    Excess,
    /// A batch is no array, is empty, or an element of it has no end.
    Array,
    /// An element of a batch of texts is no JSON string.
    Text,
    /// A length in a batch of bytes is malformed or goes beyond the frame.
    Length,
    /// The numbers of a batch or a skip go beyond the largest number.
    Range,
    /// A frame of bytes has a head that is not ASCII.
    Head,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of the kind `{}` is malformed: ", self.kind)?;
        match self.problem {
            Problem::Number(field) => write!(
                f,
                "`{field}` takes 1 to 16 decimal digits, from 0 to {MAX_NUMBER}, without a leading zero"
            ),
            Problem::Zero(field) => write!(f, "`{field}` is 0; it counts from 1"),
            Problem::Missing(field) => write!(f, "`{field}` is missing"),
            Problem::Twice(field) => write!(f, "`{field}` is there twice; it takes one"),
            Problem::Value("secret") => {
                f.write_str("`secret` takes 22 to 86 letters of base64url")
            }
            Problem::Value("credential") => write!(
                f,
                "`credential` takes 1 to {CREDENTIAL_BYTES} printable ASCII characters, without a space"
            ),
            Problem::Value("was-also") => f.write_str(
                "`was-also` takes rising numbers and ranges such as `14,16-17`, beyond `was-handled`",
            ),
            Problem::Value("return") => {
                f.write_str("`return` takes a window in milliseconds, such as `0-5000`")
            }
            Problem::Value(field) => {
                write!(f, "`{field}` has a value that is not allowed")
            }
            Problem::Excess => f.write_str("something follows its last field"),
            Problem::Array => f.write_str("it takes an array of one element or more"),
            Problem::Text => f.write_str("each element has to be a JSON string"),
            Problem::Length => f.write_str(
                "each message takes its length in 1 to 5 bytes (LEB128), and then so many bytes",
            ),
            Problem::Range => write!(f, "its numbers go beyond {MAX_NUMBER}"),
            Problem::Head => f.write_str("its head has to be ASCII"),
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame that cannot be written. The halves make none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// A batch has no message.
    EmptyBatch,
    /// A batch has texts and bytes.
    MixedBatch,
    /// A message in a batch of bytes has 4 GiB or more.
    TooLong,
    /// A number is beyond the largest.
    Number,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyBatch => f.write_str("a batch takes at least one message"),
            Self::MixedBatch => f.write_str("a batch takes either texts or bytes, not both"),
            Self::TooLong => f.write_str("a message in a batch takes less than 4 GiB"),
            Self::Number => write!(f, "numbers go from 0 to {MAX_NUMBER}"),
        }
    }
}

impl core::error::Error for WriteError {}

// ----- reading

/// Reads a WebSocket message of a session. A frame of an unknown kind is [`Frame::Unknown`].
///
/// # Errors
/// If a frame of a known kind is malformed. Nothing of it counts.
pub fn read(data: Data<'_>) -> Result<Frame<Data<'_>>, FrameError> {
    match data {
        Data::Text(text) => match text.strip_prefix(MARK) {
            None => Ok(Frame::Message(Data::Text(text))),
            Some(rest) if rest.starts_with(MARK) => Ok(Frame::Message(Data::Text(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.get(1..).unwrap_or_default()),
                Cow::Owned(mut text) => {
                    text.remove(0);
                    Cow::Owned(text)
                }
            }))),
            Some(_) => match (Control::parse(&text), text) {
                (Some(control), _) => Ok(Frame::Control(control)),
                (None, Cow::Borrowed(text)) => {
                    read_ours(Body::Text(text.get(1..).unwrap_or_default()))
                }
                (None, Cow::Owned(text)) => {
                    let frame = read_ours(Body::Text(text.get(1..).unwrap_or_default()))?;
                    Ok(frame.map(Data::into_owned))
                }
            },
        },
        Data::Binary(bytes) => match bytes.strip_prefix(&[BINARY_MARK]) {
            None => Ok(Frame::Message(Data::Binary(bytes))),
            Some([BINARY_MARK, ..]) => Ok(Frame::Message(Data::Binary(match bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(1..).unwrap_or_default()),
                Cow::Owned(mut bytes) => {
                    bytes.remove(0);
                    Cow::Owned(bytes)
                }
            }))),
            Some(_) => match bytes {
                Cow::Borrowed(bytes) => read_ours(Body::Binary(bytes.get(1..).unwrap_or_default())),
                Cow::Owned(bytes) => {
                    let frame = read_ours(Body::Binary(bytes.get(1..).unwrap_or_default()))?;
                    Ok(frame.map(Data::into_owned))
                }
            },
        },
    }
}

/// What follows the mark.
#[derive(Clone, Copy)]
enum Body<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl<'a> Body<'a> {
    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    fn from(self, at: usize) -> Data<'a> {
        match self {
            Self::Text(text) => Data::from(text.get(at..).unwrap_or_default()),
            Self::Binary(bytes) => Data::from(bytes.get(at..).unwrap_or_default()),
        }
    }
}

/// The kinds that this version knows.
const KINDS: [&str; 20] = [
    "b",
    "B",
    "s",
    "S",
    "skip",
    "q",
    "r",
    "e",
    "x",
    "c",
    "d",
    "v",
    "a",
    "g",
    "w",
    "stalled",
    "credential",
    "hello",
    "welcome",
    "end",
];

/// Reads a head from the left.
struct Fields<'a> {
    kind: &'static str,
    body: Body<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    const fn error(&self, problem: Problem) -> FrameError {
        FrameError {
            kind: self.kind,
            problem,
        }
    }

    /// A space, and then a number that ends at a byte which is no digit.
    fn number(&mut self, field: &'static str) -> Result<u64, FrameError> {
        let error = self.error(Problem::Number(field));
        let rest = self.body.bytes().get(self.at..).unwrap_or_default();
        let rest = rest.strip_prefix(b" ").ok_or(error)?;
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = number(rest.get(..length).unwrap_or_default()).ok_or(error)?;
        self.at = self.at.saturating_add(length).saturating_add(1);
        Ok(number)
    }

    /// A number from 1.
    fn positive(&mut self, field: &'static str) -> Result<u64, FrameError> {
        match self.number(field)? {
            0 => Err(self.error(Problem::Zero(field))),
            number => Ok(number),
        }
    }

    fn end(&self) -> Result<(), FrameError> {
        if self.body.bytes().len() == self.at {
            Ok(())
        } else {
            Err(self.error(Problem::Excess))
        }
    }

    /// A space, and then all the rest.
    fn payload(&self) -> Result<Data<'a>, FrameError> {
        match self.body.bytes().get(self.at) {
            Some(b' ') => Ok(self.body.from(self.at.saturating_add(1))),
            _ => Err(self.error(Problem::Missing("payload"))),
        }
    }
}

/// A number of 1 to 16 decimal digits without a leading zero.
fn number(digits: &[u8]) -> Option<u64> {
    if !(1..=16).contains(&digits.len()) || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'))?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    (number <= MAX_NUMBER).then_some(number)
}

fn read_ours(body: Body<'_>) -> Result<Frame<Data<'_>>, FrameError> {
    let bytes = body.bytes();
    let length = bytes.iter().position(|byte| *byte == b' ');
    let length = length.unwrap_or(bytes.len());
    let word = bytes.get(..length).unwrap_or_default();
    let Some(kind) = KINDS.into_iter().find(|kind| kind.as_bytes() == word) else {
        return Ok(Frame::Unknown);
    };
    let mut fields = Fields {
        kind,
        body,
        at: length,
    };
    let frame = match kind {
        "b" | "B" | "s" | "S" => return read_batch(fields),
        "skip" => {
            let count = fields.positive("count")?;
            fields.end()?;
            Frame::Skip(count)
        }
        "q" => Frame::Request(fields.payload()?),
        "r" | "e" | "x" => {
            let (request, handled) = (fields.positive("request")?, fields.number("handled")?);
            let payload = fields.payload()?;
            let answer = match kind {
                "r" => Answer::Response(payload),
                "e" => Answer::Error(payload),
                _ => {
                    let word = match &payload {
                        Data::Text(text) => text.as_ref(),
                        Data::Binary(bytes) => core::str::from_utf8(bytes).unwrap_or_default(),
                    };
                    Answer::Refused(Refusal::of_word(word))
                }
            };
            Frame::Answer {
                request,
                handled,
                answer,
            }
        }
        "c" => {
            let request = fields.positive("request")?;
            fields.end()?;
            Frame::Cancel { request }
        }
        "d" => Frame::AwaitedMessage(fields.payload()?),
        "v" => Frame::Volatile(fields.payload()?),
        "a" => {
            let (handled, sent) = (fields.number("handled")?, fields.number("sent")?);
            fields.end()?;
            Frame::Ack(Counts { handled, sent })
        }
        "g" | "w" | "stalled" => {
            let number = fields.positive("number")?;
            fields.end()?;
            match kind {
                "g" => Frame::Got(number),
                "w" => Frame::Awaited(number),
                _ => Frame::Stalled(number),
            }
        }
        "credential" => {
            let payload = fields.payload()?;
            let text = match &payload {
                Data::Text(text) => Some(text.as_ref()),
                Data::Binary(bytes) => core::str::from_utf8(bytes).ok(),
            };
            let credential = text.and_then(Credential::parse);
            Frame::Credential(credential.ok_or(fields.error(Problem::Value("credential")))?)
        }
        "hello" | "welcome" | "end" => {
            let text = match body {
                Body::Text(text) => Some(text),
                Body::Binary(bytes) => core::str::from_utf8(bytes).ok(),
            };
            let text = text.filter(|text| text.is_ascii());
            let text = text.ok_or(fields.error(Problem::Head))?;
            let named = Named {
                kind,
                text: text.get(length..).unwrap_or_default(),
            };
            match kind {
                "hello" => Frame::Hello(Box::new(named.hello()?)),
                "welcome" => Frame::Welcome(Box::new(named.welcome()?)),
                _ => Frame::End {
                    verdict: named
                        .verdict()?
                        .ok_or(fields.error(Problem::Missing("was-handled")))?,
                    sent: named.number("sent")?,
                },
            }
        }
        _ => Frame::Unknown,
    };
    Ok(frame)
}

fn read_batch(mut fields: Fields<'_>) -> Result<Frame<Data<'_>>, FrameError> {
    let kind = fields.kind;
    let first = fields.positive("first")?;
    let handled = match kind {
        "B" | "S" => Some(fields.number("handled")?),
        _ => None,
    };
    let messages = match fields.body {
        Body::Text(text) => {
            let array = text.get(fields.at..).unwrap_or_default();
            let elements = json::elements(array).ok_or(fields.error(Problem::Array))?;
            let is_raw = matches!(kind, "b" | "B");
            let text = |element| {
                if is_raw {
                    return Some(Data::from(element));
                }
                json::read_string(element).map(|text| Data::Text(Cow::Owned(text)))
            };
            let messages: Option<Vec<_>> = elements.into_iter().map(text).collect();
            messages.ok_or(fields.error(Problem::Text))?
        }
        Body::Binary(_) if matches!(kind, "s" | "S") => {
            return Err(fields.error(Problem::Array));
        }
        Body::Binary(bytes) => {
            let start = fields.at.saturating_add(1);
            if bytes.get(fields.at) != Some(&b' ') {
                return Err(fields.error(Problem::Missing("payload")));
            }
            let mut rest = bytes.get(start..).unwrap_or_default();
            let mut messages = Vec::new();
            while !rest.is_empty() {
                let error = fields.error(Problem::Length);
                let (length, after) = read_length(rest).ok_or(error)?;
                let (message, after) = after.split_at_checked(length).ok_or(error)?;
                messages.push(Data::from(message));
                rest = after;
            }
            if messages.is_empty() {
                return Err(fields.error(Problem::Array));
            }
            messages
        }
    };
    let last = first.checked_add(messages.len() as u64);
    if last.is_none_or(|end| end > MAX_NUMBER.saturating_add(1)) {
        return Err(fields.error(Problem::Range));
    }
    Ok(Frame::Batch {
        first,
        handled,
        messages,
    })
}

/// A length in LEB128, seven bits a byte, the lowest first, as short as it can be.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        let shift = u32::try_from(at).ok()?.checked_mul(7)?;
        length |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            if *byte == 0 && at > 0 {
                return None;
            }
            let length = u32::try_from(length).ok()?;
            let rest = bytes.get(at.checked_add(1)?..)?;
            return Some((usize::try_from(length).ok()?, rest));
        }
    }
    None
}

/// The fields of a frame whose fields have names: words `name=value` after single spaces, in any order.
struct Named<'a> {
    kind: &'static str,
    text: &'a str,
}

impl<'a> Named<'a> {
    const fn error(&self, problem: Problem) -> FrameError {
        FrameError {
            kind: self.kind,
            problem,
        }
    }

    fn words(&self) -> impl Iterator<Item = &'a str> {
        self.text.split(' ').filter(|word| !word.is_empty())
    }

    fn find(&self, name: &'static str) -> Result<Option<&'a str>, FrameError> {
        let mut values = self.words().filter_map(|word| {
            let (key, value) = word.split_once('=')?;
            (key == name).then_some(value)
        });
        let value = values.next();
        match values.next() {
            Some(_) => Err(self.error(Problem::Twice(name))),
            None => Ok(value),
        }
    }

    fn optional(&self, name: &'static str) -> Result<Option<u64>, FrameError> {
        let Some(value) = self.find(name)? else {
            return Ok(None);
        };
        match number(value.as_bytes()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.error(Problem::Number(name))),
        }
    }

    fn number(&self, name: &'static str) -> Result<u64, FrameError> {
        let number = self.optional(name)?;
        number.ok_or(self.error(Problem::Missing(name)))
    }

    fn positive(&self, name: &'static str) -> Result<u64, FrameError> {
        match self.number(name)? {
            0 => Err(self.error(Problem::Zero(name))),
            number => Ok(number),
        }
    }

    fn limits(&self) -> Result<Limits, FrameError> {
        Ok(Limits {
            messages: self.positive("messages")?,
            bytes: self.positive("bytes")?,
            message_bytes: self.positive("message")?,
            requests: self.number("requests")?,
        })
    }

    fn hello(&self) -> Result<Hello, FrameError> {
        let secret = self.find("secret")?;
        let secret = secret.ok_or(self.error(Problem::Missing("secret")))?;
        let credential = match self.find("credential")? {
            None => None,
            Some(text) => {
                let credential = Credential::parse(text);
                Some(credential.ok_or(self.error(Problem::Value("credential")))?)
            }
        };
        Ok(Hello {
            secret: Secret::parse(secret).ok_or(self.error(Problem::Value("secret")))?,
            attempt: self.positive("attempt")?,
            epoch: self.number("epoch")?,
            received: self.number("received")?,
            handled: self.number("handled")?,
            first: self.positive("first")?,
            sent: self.number("sent")?,
            limits: self.limits()?,
            age_ms: self.number("age")?,
            credential,
        })
    }

    fn welcome(&self) -> Result<Welcome, FrameError> {
        let outcome = match self.find("outcome")? {
            Some("fresh") => Outcome::Fresh,
            Some("continued") => Outcome::Continued,
            Some("replayed") => Outcome::Replayed(self.positive("replay")?),
            Some("lost") => Outcome::Lost(Lost {
                why: match self.find("why")? {
                    Some(word) => Why::of_word(word),
                    None => return Err(self.error(Problem::Missing("why"))),
                },
                verdict: self.verdict()?,
            }),
            Some(_) => return Err(self.error(Problem::Value("outcome"))),
            None => return Err(self.error(Problem::Missing("outcome"))),
        };
        let back = match self.find("return")? {
            None => None,
            Some(window) => {
                let window = window.split_once('-').and_then(|(min, max)| {
                    let (min_ms, max_ms) = (number(min.as_bytes())?, number(max.as_bytes())?);
                    (min_ms <= max_ms).then_some(Window { min_ms, max_ms })
                });
                Some(window.ok_or(self.error(Problem::Value("return")))?)
            }
        };
        Ok(Welcome {
            outcome,
            epoch: self.positive("epoch")?,
            owner: self.number("owner")?,
            received: self.number("received")?,
            handled: self.number("handled")?,
            first: self.positive("first")?,
            sent: self.number("sent")?,
            limits: self.limits()?,
            window_ms: self.number("window")?,
            beat_ms: self.optional("beat")?,
            back,
        })
    }

    fn verdict(&self) -> Result<Option<Verdict>, FrameError> {
        let Some(handled) = self.optional("was-handled")? else {
            return Ok(None);
        };
        let mut also = Vec::new();
        if let Some(list) = self.find("was-also")? {
            let mut last = handled;
            for item in list.split(',') {
                let (from, to) = item.split_once('-').unwrap_or((item, item));
                let range = number(from.as_bytes()).zip(number(to.as_bytes()));
                match range {
                    Some((from, to)) if from > last && to >= from => {
                        last = to;
                        also.push((from, to));
                    }
                    _ => return Err(self.error(Problem::Value("was-also"))),
                }
            }
        }
        Ok(Some(Verdict {
            handled,
            also,
            given: self.number("was-given")?,
            received: self.number("was-received")?,
        }))
    }
}

// ----- writing

/// How an end writes frames, which its sub-protocol's codec decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Style {
    /// The kind of frames that carry no payload.
    pub kind: Kind,
    /// Whether every text is a JSON value, so that a batch can hold it as it is.
    pub json: bool,
}

impl Style {
    /// For the codec JSON.
    pub const JSON: Self = Self {
        kind: Kind::Text,
        json: true,
    };
    /// For plain text, and where nothing is known.
    pub const TEXT: Self = Self {
        kind: Kind::Text,
        json: false,
    };
    /// For MessagePack and plain bytes.
    pub const BINARY: Self = Self {
        kind: Kind::Binary,
        json: false,
    };

    /// For a codec.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn of<C: crate::Codec>() -> Self {
        match C::KIND {
            crate::MessageKind::Binary => Self::BINARY,
            crate::MessageKind::Text if C::NAME == "json" => Self::JSON,
            crate::MessageKind::Text => Self::TEXT,
        }
    }
}

/// Writes a frame as a WebSocket message. A lone message passes without a copy unless it starts with the mark.
///
/// # Errors
/// If it cannot be written as it is; see [`WriteError`].
pub fn write<'a>(frame: Frame<Data<'a>>, style: Style) -> Result<Data<'a>, WriteError> {
    let mut head = Head {
        text: String::new(),
        sound: true,
    };
    let payload = match frame {
        Frame::Message(data) => return Ok(escape(data)),
        Frame::Batch {
            first,
            handled,
            messages,
        } => return write_batch(first, handled, &messages, style),
        Frame::Control(control) => return Ok(Data::Text(Cow::Owned(control.to_string()))),
        Frame::Skip(count) => {
            head.word("skip").number(count);
            None
        }
        Frame::Request(payload) => {
            head.word("q");
            Some(payload)
        }
        Frame::Answer {
            request,
            handled,
            answer,
        } => {
            let (word, payload) = match answer {
                Answer::Response(payload) => ("r", Some(payload)),
                Answer::Error(payload) => ("e", Some(payload)),
                Answer::Refused(why) => {
                    head.word("x")
                        .number(request)
                        .number(handled)
                        .text(why.word());
                    return head.finish(None, style.kind);
                }
            };
            head.word(word).number(request).number(handled);
            payload
        }
        Frame::Cancel { request } => {
            head.word("c").number(request);
            None
        }
        Frame::AwaitedMessage(payload) => {
            head.word("d");
            Some(payload)
        }
        Frame::Volatile(payload) => {
            head.word("v");
            Some(payload)
        }
        Frame::Ack(counts) => {
            head.word("a").number(counts.handled).number(counts.sent);
            None
        }
        Frame::Got(number) => {
            head.word("g").number(number);
            None
        }
        Frame::Awaited(number) => {
            head.word("w").number(number);
            None
        }
        Frame::Stalled(number) => {
            head.word("stalled").number(number);
            None
        }
        Frame::Credential(credential) => {
            head.word("credential").text(credential.as_str());
            None
        }
        Frame::Hello(hello) => {
            head.hello(&hello);
            None
        }
        Frame::Welcome(welcome) => {
            head.welcome(&welcome);
            None
        }
        Frame::End { verdict, sent } => {
            head.word("end").named("sent", sent).verdict(&verdict);
            None
        }
        Frame::Unknown => {
            head.word("unknown");
            None
        }
    };
    head.finish(payload, style.kind)
}

fn escape(data: Data<'_>) -> Data<'_> {
    match data {
        Data::Text(text) => Data::Text(crate::control::escape(text)),
        Data::Binary(bytes) if bytes.first() == Some(&BINARY_MARK) => {
            let mut escaped = Vec::with_capacity(bytes.len().saturating_add(1));
            escaped.push(BINARY_MARK);
            escaped.extend_from_slice(&bytes);
            Data::Binary(Cow::Owned(escaped))
        }
        data => data,
    }
}

fn write_batch(
    first: u64,
    handled: Option<u64>,
    messages: &[Data<'_>],
    style: Style,
) -> Result<Data<'static>, WriteError> {
    let kind = messages.first().ok_or(WriteError::EmptyBatch)?.kind();
    if messages.iter().any(|message| message.kind() != kind) {
        return Err(WriteError::MixedBatch);
    }
    let texts = || {
        messages.iter().filter_map(|message| match message {
            Data::Text(text) => Some(text),
            Data::Binary(_) => None,
        })
    };
    let raw = kind == Kind::Binary || (style.json && texts().all(|text| json::is_element(text)));
    let mut head = Head {
        text: String::new(),
        sound: true,
    };
    head.word(match (raw, handled) {
        (true, None) => "b",
        (true, Some(_)) => "B",
        (false, None) => "s",
        (false, Some(_)) => "S",
    });
    head.number(first);
    if let Some(handled) = handled {
        head.number(handled);
    }
    if !head.sound {
        return Err(WriteError::Number);
    }
    let mut text = head.text;
    if kind == Kind::Text {
        text.insert(0, MARK);
        text.push('[');
        for (at, message) in texts().enumerate() {
            if at > 0 {
                text.push(',');
            }
            if raw {
                text.push_str(message);
            } else {
                json::write_string(&mut text, message);
            }
        }
        text.push(']');
        return Ok(Data::Text(Cow::Owned(text)));
    }
    let mut bytes = Vec::with_capacity(text.len().saturating_add(2));
    bytes.push(BINARY_MARK);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b' ');
    for message in messages {
        if let Data::Binary(message) = message {
            let mut length = u32::try_from(message.len()).map_err(|_| WriteError::TooLong)?;
            while length >= 0x80 {
                bytes.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            bytes.push(length as u8);
            bytes.extend_from_slice(message);
        }
    }
    Ok(Data::Binary(Cow::Owned(bytes)))
}

/// Writes a head.
struct Head {
    text: String,
    /// No number was beyond the largest.
    sound: bool,
}

impl Head {
    fn word(&mut self, word: &str) -> &mut Self {
        self.text.push_str(word);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.text.push(' ');
        self.word(text)
    }

    fn digits(&mut self, number: u64) -> &mut Self {
        self.sound &= number <= MAX_NUMBER;
        let mut digits = [0_u8; 20];
        let mut rest = number;
        let mut used = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = usize::saturating_add(used, 1);
            if rest == 0 {
                break;
            }
        }
        let skipped = digits.len().saturating_sub(used);
        let digits = digits.iter().skip(skipped);
        self.text.extend(digits.map(|digit| char::from(*digit)));
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.text.push(' ');
        self.digits(number)
    }

    fn name(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.text.push('=');
        self
    }

    fn named(&mut self, name: &str, number: u64) -> &mut Self {
        self.name(name).digits(number)
    }

    fn limits(&mut self, limits: &Limits) {
        self.named("messages", limits.messages)
            .named("bytes", limits.bytes)
            .named("message", limits.message_bytes)
            .named("requests", limits.requests);
    }

    fn hello(&mut self, hello: &Hello) {
        self.word("hello")
            .name("secret")
            .word(hello.secret.as_str());
        self.named("attempt", hello.attempt)
            .named("epoch", hello.epoch)
            .named("received", hello.received)
            .named("handled", hello.handled)
            .named("first", hello.first)
            .named("sent", hello.sent)
            .limits(&hello.limits);
        self.named("age", hello.age_ms);
        if let Some(credential) = &hello.credential {
            self.name("credential").word(credential.as_str());
        }
    }

    fn welcome(&mut self, welcome: &Welcome) {
        self.word("welcome").name("outcome");
        match &welcome.outcome {
            Outcome::Fresh => {
                self.word("fresh");
            }
            Outcome::Continued => {
                self.word("continued");
            }
            Outcome::Replayed(count) => {
                self.word("replayed").named("replay", *count);
            }
            Outcome::Lost(lost) => {
                self.word("lost").name("why").word(lost.why.word());
                if let Some(verdict) = &lost.verdict {
                    self.verdict(verdict);
                }
            }
        }
        self.named("epoch", welcome.epoch)
            .named("owner", welcome.owner)
            .named("received", welcome.received)
            .named("handled", welcome.handled)
            .named("first", welcome.first)
            .named("sent", welcome.sent)
            .limits(&welcome.limits);
        self.named("window", welcome.window_ms);
        if let Some(beat) = welcome.beat_ms {
            self.named("beat", beat);
        }
        if let Some(back) = welcome.back {
            self.named("return", back.min_ms)
                .word("-")
                .digits(back.max_ms);
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> &mut Self {
        self.named("was-handled", verdict.handled);
        for (at, (from, to)) in verdict.also.iter().enumerate() {
            if at == 0 {
                self.name("was-also");
            } else {
                self.word(",");
            }
            self.digits(*from);
            if to > from {
                self.word("-").digits(*to);
            }
        }
        self.named("was-given", verdict.given)
            .named("was-received", verdict.received)
    }

    /// The frame of this head and payload; without a payload it is of the kind `kind`.
    fn finish(self, payload: Option<Data<'_>>, kind: Kind) -> Result<Data<'static>, WriteError> {
        if !self.sound {
            return Err(WriteError::Number);
        }
        let mut text = self.text;
        let kind = payload.as_ref().map_or(kind, Data::kind);
        match (kind, payload) {
            (Kind::Text, payload) => {
                text.insert(0, MARK);
                if let Some(Data::Text(payload)) = payload {
                    text.push(' ');
                    text.push_str(&payload);
                }
                Ok(Data::Text(Cow::Owned(text)))
            }
            (Kind::Binary, payload) => {
                let mut bytes = Vec::with_capacity(text.len().saturating_add(1));
                bytes.push(BINARY_MARK);
                bytes.extend_from_slice(text.as_bytes());
                if let Some(Data::Binary(payload)) = payload {
                    bytes.push(b' ');
                    bytes.extend_from_slice(&payload);
                }
                Ok(Data::Binary(Cow::Owned(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
