//! Codecs: how a typed value becomes a WebSocket message and back.

#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
mod plain;

#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "json")]
pub(crate) use json::reason_of;
#[cfg(feature = "msgpack")]
pub use msgpack::MsgPack;
pub use plain::{PlainBytes, PlainText};

use crate::{DecodeError, EncodeError, Message, MessageKind};

/// The deepest nesting of lists and maps that [`Json`](crate::Json) and [`MsgPack`](crate::MsgPack) decode,
/// so that a message from the peer cannot exhaust the stack.
pub const MAX_DEPTH: usize = 127;

/// A message format. Codec types are never instantiated; they only name functions.
pub trait Codec: 'static {
    /// A short name for logs and errors, such as `json`.
    const NAME: &'static str;
    /// The kind of every message that it produces, and the only kind that it reads.
    const KIND: MessageKind;
}

/// A codec that can write a `T`.
#[diagnostic::on_unimplemented(
    message = "the codec `{Self}` cannot write `{T}`",
    label = "`{T}` cannot be sent with this codec",
    note = "`Json` and `MsgPack` write every type with `#[derive(serde::Serialize)]`, `PlainText` writes `String`, \
            `PlainBytes` writes `Vec<u8>`"
)]
pub trait Encode<T: ?Sized>: Codec {
    /// Encodes `value` as a message of the kind [`Codec::KIND`].
    ///
    /// # Errors
    ///
    /// If the format cannot represent the value.
    fn encode(value: &T) -> Result<Message, EncodeError>;
}

/// A codec that can read a `T`.
#[diagnostic::on_unimplemented(
    message = "the codec `{Self}` cannot read `{T}`",
    label = "`{T}` cannot be received with this codec",
    note = "`Json` and `MsgPack` read every type with `#[derive(serde::Deserialize)]`, `PlainText` reads `String`, \
            `PlainBytes` reads `Vec<u8>`"
)]
pub trait Decode<T>: Codec {
    /// Decodes a value from `message`, which is taken by value so that plain text and bytes move without a
    /// copy.
    ///
    /// # Errors
    ///
    /// If the message is of the wrong kind or does not hold a `T`.
    fn decode(message: Message) -> Result<T, DecodeError>;
}
