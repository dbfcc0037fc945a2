//! Encoded messages.

use std::sync::Arc;

use steady_socket_protocol::Message;
use steady_socket_protocol::session::Payload;
use steady_socket_protocol::session::frame::{Data, Kind};

use crate::Frame;

/// An encoded message that is cheap to clone: a session keeps one until it is acknowledged, and a group sends the same to
/// all.
#[derive(Debug, Clone)]
pub(crate) struct Body(Arc<Data<'static>>);

impl Body {
    pub(crate) fn new(data: Data<'_>) -> Self {
        Self(Arc::new(data.into_owned()))
    }

    /// The data; copied, unless this is the last clone.
    pub(crate) fn into_data(self) -> Data<'static> {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| Data::clone(&shared))
    }

    /// The bytes of the text, or of the binary data.
    #[cfg(feature = "redis")]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &*self.0 {
            Data::Text(text) => text.as_bytes(),
            Data::Binary(bytes) => bytes,
        }
    }

    pub(crate) fn into_message(self) -> Message {
        match self.into_data() {
            Data::Text(text) => Message::Text(text.into_owned()),
            Data::Binary(bytes) => Message::Binary(bytes.into_owned()),
        }
    }
}

impl From<Message> for Body {
    fn from(message: Message) -> Self {
        Self::new(match message {
            Message::Text(text) => Data::Text(text.into()),
            Message::Binary(bytes) => Data::Binary(bytes.into()),
        })
    }
}

impl Payload for Body {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}

impl From<Data<'static>> for Frame {
    fn from(data: Data<'static>) -> Self {
        match data {
            Data::Text(text) => Self::Text(text.into_owned()),
            Data::Binary(bytes) => Self::Binary(bytes.into_owned()),
        }
    }
}
