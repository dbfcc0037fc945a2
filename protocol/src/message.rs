//! One WebSocket message.

use std::fmt;

/// One WebSocket message, as an application sends and receives it.
///
/// Its `Debug` form shows the kind and the length but never the payload, so that logging a message does not
/// leak its content.
///
/// ```
/// use steady_socket_protocol::Message;
///
/// assert_eq!(format!("{:?}", Message::from("secret")), "Text(6 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
}

/// The kind of a WebSocket message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl Message {
    /// The payload's length in bytes; for text, in UTF-8.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Message::Text(text) => text.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether the payload is empty. Empty messages are valid and delivered like any other.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message's kind.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Message::Text(_) => MessageKind::Text,
            Message::Binary(_) => MessageKind::Binary,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind(), self.len())
    }
}

impl fmt::Display for MessageKind {
    /// `text` or `binary`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MessageKind::Text => "text",
            MessageKind::Binary => "binary",
        })
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Message::Binary(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_in_bytes() {
        assert_eq!(Message::from("é").len(), 2);
        assert_eq!(Message::from(vec![0, 1, 2]).len(), 3);
        assert!(Message::from("").is_empty());
        assert!(!Message::from(&[0_u8][..]).is_empty());
    }

    #[test]
    fn debug_hides_the_payload() {
        assert_eq!(format!("{:?}", Message::from("hunter2")), "Text(7 bytes)");
        assert_eq!(
            format!("{:?}", Message::from(vec![7; 3])),
            "Binary(3 bytes)"
        );
    }
}
