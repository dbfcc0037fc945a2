//! The server's replies, message by message, independent of sockets.

use steady_socket_protocol::hello::{ClientMessage, ServerMessage, greeting, validate_name};
use steady_socket_protocol::{Message, Subprotocol};

use crate::Transcript;

/// The service on a connection.
pub(crate) enum Service {
    /// A text message is a name, the reply is its greeting.
    Plain,
    /// The typed hello, in the negotiated sub-protocol.
    Typed(Subprotocol<ClientMessage, ServerMessage>),
    /// Returns every message.
    Echo,
}

/// How to respond to a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Send(Message),
    Close(u16, String),
}

impl Service {
    pub(crate) fn answer(&self, message: Message, transcript: &Transcript) -> Answer {
        match self {
            Self::Plain => plain(message, transcript),
            Self::Typed(subprotocol) => typed(subprotocol, message, transcript),
            Self::Echo => Answer::Send(message),
        }
    }
}

fn plain(message: Message, transcript: &Transcript) -> Answer {
    match message {
        Message::Text(name) => match greet(&name, transcript) {
            Ok(text) => Answer::Send(text.into()),
            Err(invalid) => Answer::Close(1008, invalid.to_string()),
        },
        Message::Binary(_) => {
            Answer::Close(1003, "this endpoint accepts only text messages".to_owned())
        }
    }
}

fn typed(
    subprotocol: &Subprotocol<ClientMessage, ServerMessage>,
    message: Message,
    transcript: &Transcript,
) -> Answer {
    let answer = match (subprotocol.decode_client)(message) {
        Ok(ClientMessage::Hello { name }) => match greet(&name, transcript) {
            Ok(text) => ServerMessage::Greeting { text },
            Err(reason) => ServerMessage::Invalid { reason },
        },
        Err(error) => ServerMessage::Malformed {
            text: error.to_string(),
        },
    };
    match (subprotocol.encode_server)(&answer) {
        Ok(message) => Answer::Send(message),
        Err(error) => Answer::Close(1011, error.to_string()),
    }
}

fn greet(
    name: &str,
    transcript: &Transcript,
) -> Result<String, steady_socket_protocol::hello::InvalidName> {
    validate_name(name)?;
    let text = greeting(name);
    transcript.exchange(name, &text);
    Ok(text)
}
