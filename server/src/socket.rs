//! WebSockets of any framework.

use futures_core::Stream;
use futures_sink::Sink;

/// A frame of a WebSocket, as this crate reads and writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping. The framework answers it.
    Ping,
    /// The answer to a ping, or anything else that only shows that the client is alive.
    Pong,
    /// A Close, with the code and the reason if it has them.
    Close(Option<(u16, String)>),
}

/// The message type of a framework's WebSocket. Implement it to use a framework that has no feature here.
pub trait SocketMessage: Sized + Send + 'static {
    /// The error of the framework's WebSocket.
    type Error: Send;

    /// The frame that this message is.
    fn into_frame(self) -> Frame;

    /// The message for a frame.
    fn from_frame(frame: Frame) -> Self;

    /// The close code (RFC 6455 §7.4.1) for what the client did, if the error says that it broke a rule: 1002, 1007 or
    /// 1009. `None` if the connection failed.
    fn close_code(error: &Self::Error) -> Option<u16>;
}

/// An accepted WebSocket: a `Stream` and `Sink` of a framework's messages.
pub trait Socket:
    Stream<Item = Result<Self::Message, <Self::Message as SocketMessage>::Error>>
    + Sink<Self::Message, Error = <Self::Message as SocketMessage>::Error>
    + Unpin
    + Send
    + 'static
{
    /// The messages of the framework.
    type Message: SocketMessage;
}

impl<S, M> Socket for S
where
    S: Stream<Item = Result<M, M::Error>> + Sink<M, Error = M::Error> + Unpin + Send + 'static,
    M: SocketMessage,
{
    type Message = M;
}
