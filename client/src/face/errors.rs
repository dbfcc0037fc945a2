//! The errors of the Rust API.

use core::fmt;

use steady_socket_protocol::EncodeError;

#[cfg(doc)]
use super::builder::Builder;
#[cfg(doc)]
use super::handle::Handle;
#[cfg(doc)]
use super::socket::Socket;
use crate::connection::CloseError;
use crate::options::OptionError;
use crate::platform::Refused;

/// Why a socket could not be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConnectError {
    /// An option's value is out of range.
    Option(OptionError),
    /// The URL is not a valid WebSocket URL.
    Url(Refused),
    /// The page was loaded over https, and the URL is not secure (see the option `allow_insecure`).
    Insecure(Refused),
    /// The sub-protocols are invalid.
    Protocols(Refused),
    /// A session sends its own first message on every connection, so it cannot be combined with the option `gate`, nor,
    /// since it survives a loss, with `reconnect` set to `false`; and a fixed credential has to be valid.
    Session(Refused),
    /// The option `keepalive_interval` is set, but there is nothing to send: see [`Builder::keepalive`].
    Keepalive,
    /// There is no browser: enable the feature `native`, or `testing` and set a platform with [`Builder::platform`].
    NoBrowser,
    /// Natively: this is no place where sockets run. See the module `native`.
    #[cfg(not(target_family = "wasm"))]
    NoRuntime,
    /// The program has panicked (see [`close_sockets_on_panic`](crate::close_sockets_on_panic)).
    Panicked,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(error) => error.fmt(f),
            Self::Url(error)
            | Self::Insecure(error)
            | Self::Protocols(error)
            | Self::Session(error) => error.fmt(f),
            Self::Keepalive => f.write_str(
                "option keepalive_interval has nothing to send; give the builder a keepalive or a \
                 heartbeat, or set option control_messages",
            ),
            #[cfg(target_family = "wasm")]
            Self::NoBrowser => f.write_str(
                "not running in a browser; give the builder a platform (feature `testing`)",
            ),
            #[cfg(not(target_family = "wasm"))]
            Self::NoBrowser => f.write_str(
                "not running in a browser; enable the feature `native`, or give the builder a platform (feature \
                 `testing`)",
            ),
            #[cfg(not(target_family = "wasm"))]
            Self::NoRuntime => f.write_str(
                "sockets do not run here; connect inside of `native::run`, `native::scope` or a `SocketThread`",
            ),
            Self::Panicked => {
                f.write_str("the program has panicked and will not connect until it is reloaded")
            }
        }
    }
}

impl core::error::Error for ConnectError {}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is full.
    Full,
    /// The connection is closing or closed for good, or its [`Socket`] was dropped.
    Closed,
    /// The message could not be encoded.
    Encode(EncodeError),
    /// It is larger than the server takes. Only in a session.
    TooLarge,
    /// As many requests are unanswered as the server takes.
    TooManyRequests,
    /// The session has used up all its numbers.
    Exhausted,
    /// It needs a session, and there is none: the program has not asked for one, or the server speaks no sessions.
    NoSession,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Encode(error) => error.fmt(f),
            Self::TooLarge => f.write_str("the message is larger than the server takes"),
            Self::TooManyRequests => f.write_str(
                "too many requests are unanswered; another is taken when one is answered",
            ),
            Self::Exhausted => f.write_str("the session has used up all its numbers"),
            Self::NoSession => f.write_str(
                "there is no session; ask for one with the builder's `session`, from a server that speaks them",
            ),
        }
    }
}

impl core::error::Error for SendError {}

/// The socket is gone: it was dropped, or the program has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the socket was dropped, or the program has panicked")
    }
}

impl core::error::Error for Gone {}

/// Why [`Handle::reconnect_with`] did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconnectError {
    /// The code or the reason must not be sent.
    Close(CloseError),
    /// The socket is gone.
    Gone(Gone),
}

impl fmt::Display for ReconnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(error) => error.fmt(f),
            Self::Gone(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReconnectError {}
