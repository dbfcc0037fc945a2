use super::{Codec, Decode, Encode};
use crate::{DecodeError, EncodeError, Message, MessageKind};

/// Plain text: `String` to text message and back, without a copy when decoding.
#[derive(Debug, Clone, Copy)]
pub enum PlainText {}

impl Codec for PlainText {
    const NAME: &'static str = "text";
    const KIND: MessageKind = MessageKind::Text;
}

impl Encode<str> for PlainText {
    fn encode(value: &str) -> Result<Message, EncodeError> {
        Ok(value.into())
    }
}

impl Encode<String> for PlainText {
    fn encode(value: &String) -> Result<Message, EncodeError> {
        Self::encode(value.as_str())
    }
}

impl Decode<String> for PlainText {
    fn decode(message: Message) -> Result<String, DecodeError> {
        match message {
            Message::Text(text) => Ok(text),
            other => Err(DecodeError::wrong_kind(Self::NAME, Self::KIND, &other)),
        }
    }
}

/// Plain bytes: `Vec<u8>` to binary message and back, without a copy when decoding.
#[derive(Debug, Clone, Copy)]
pub enum PlainBytes {}

impl Codec for PlainBytes {
    const NAME: &'static str = "bytes";
    const KIND: MessageKind = MessageKind::Binary;
}

impl Encode<[u8]> for PlainBytes {
    fn encode(value: &[u8]) -> Result<Message, EncodeError> {
        Ok(value.into())
    }
}

impl Encode<Vec<u8>> for PlainBytes {
    fn encode(value: &Vec<u8>) -> Result<Message, EncodeError> {
        Self::encode(value.as_slice())
    }
}

impl Decode<Vec<u8>> for PlainBytes {
    fn decode(message: Message) -> Result<Vec<u8>, DecodeError> {
        match message {
            Message::Binary(bytes) => Ok(bytes),
            other => Err(DecodeError::wrong_kind(Self::NAME, Self::KIND, &other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeReason;

    #[test]
    fn text_and_bytes_come_back_as_they_went() {
        let text = "Grüße, 世界".to_owned();
        assert_eq!(
            PlainText::decode(PlainText::encode(&text).unwrap()).unwrap(),
            text
        );
        let bytes = vec![0, 255, 128];
        assert_eq!(
            PlainBytes::decode(PlainBytes::encode(&bytes).unwrap()).unwrap(),
            bytes
        );
    }

    #[test]
    fn text_moves_without_a_copy() {
        let text = "moved".to_owned();
        let address = text.as_ptr();
        let decoded = PlainText::decode(text.into()).unwrap();
        assert_eq!(decoded.as_ptr(), address);
    }

    #[test]
    fn the_other_kind_is_refused() {
        let error = PlainText::decode(vec![1_u8].into()).unwrap_err();
        let expected = DecodeReason::WrongKind {
            expected: MessageKind::Text,
            received: MessageKind::Binary,
        };
        assert_eq!(error.reason(), expected);
        assert!(PlainBytes::decode("x".into()).is_err());
    }
}
