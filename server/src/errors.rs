//! Why something was not sent, or not answered.

use std::fmt;

use steady_socket_protocol::session::frame::Refusal;
use steady_socket_protocol::session::{Ended, NotHandled, Rejection};
use steady_socket_protocol::{DecodeError, EncodeError};

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// It cannot be encoded.
    Encode(EncodeError),
    /// As much waits for this client as may wait. [`send`](crate::Handle::send) waits for room instead.
    Full,
    /// The client takes no message of this size.
    TooLarge,
    /// The client has gone, or its session is over.
    Closed,
    /// This client has no session, which a delivery and a request need.
    NoSession,
    /// As many requests are unanswered as the client takes.
    TooManyRequests,
    /// The store of the sessions does not answer.
    Store,
}

impl From<Rejection> for SendError {
    fn from(why: Rejection) -> Self {
        match why {
            Rejection::Full => Self::Full,
            Rejection::TooLarge => Self::TooLarge,
            Rejection::TooManyRequests => Self::TooManyRequests,
            _ => Self::Closed,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::Full => f.write_str("too much waits for this client"),
            Self::TooLarge => f.write_str("the message is larger than the client takes"),
            Self::Closed => f.write_str("the client has gone"),
            Self::NoSession => f.write_str("the client has no session"),
            Self::TooManyRequests => {
                f.write_str("as many requests are unanswered as the client takes")
            }
            Self::Store => f.write_str("the store does not answer"),
        }
    }
}

impl std::error::Error for SendError {}

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RequestError<E> {
    /// The client's program has answered with an error of its own.
    Application(E),
    /// The client has refused it.
    Refused(Refusal),
    /// Its time was over. The client may have done what was asked.
    TimedOut,
    /// The client's program was never given it.
    NotHandled(NotHandled),
    /// The session ended over it, and nobody knows whether it was done.
    Unknown(Ended),
    /// The answer cannot be decoded.
    Decode(DecodeError),
    /// It was not sent.
    Unsent(SendError),
}

impl<E: fmt::Display> fmt::Display for RequestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(error) => error.fmt(f),
            Self::Refused(Refusal::NoHandler) => {
                f.write_str("the client has no handler for such requests")
            }
            Self::Refused(Refusal::Limit) => {
                f.write_str("the client has too many unanswered requests")
            }
            Self::Refused(Refusal::Cancelled) => f.write_str("the client has cancelled it"),
            Self::Refused(Refusal::Failed) => f.write_str("the client's handler failed"),
            Self::Refused(Refusal::Other) => f.write_str("the client has refused it"),
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::NotHandled(why) => write!(f, "it was not handled: {why}"),
            Self::Unknown(why) => write!(f, "nobody knows whether it was done: {why}"),
            Self::Decode(error) => write!(f, "the answer cannot be decoded: {error}"),
            Self::Unsent(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for RequestError<E> {}
