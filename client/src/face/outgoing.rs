//! What can be sent.

use steady_socket_protocol::{Encode, EncodeError, Message};

/// A message that `send` and `try_send` take: an `Out`, a reference to one, or a `&str` where messages are
/// [`String`]s.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message of this socket, which sends `{Out}` with the codec `{C}`",
    label = "cannot be sent on this socket",
    note = "it sends `{Out}`, `&{Out}`, and `&str` where messages are `String`s"
)]
pub trait Outgoing<Out, C> {
    /// Encodes it.
    ///
    /// # Errors
    /// If the codec cannot represent it.
    fn to_message(&self) -> Result<Message, EncodeError>;
}

impl<Out, C: Encode<Out>> Outgoing<Out, C> for Out {
    fn to_message(&self) -> Result<Message, EncodeError> {
        C::encode(self)
    }
}

impl<Out, C: Encode<Out>> Outgoing<Out, C> for &Out {
    fn to_message(&self) -> Result<Message, EncodeError> {
        C::encode(self)
    }
}

impl<C: Encode<str>> Outgoing<String, C> for &str {
    fn to_message(&self) -> Result<Message, EncodeError> {
        C::encode(self)
    }
}
