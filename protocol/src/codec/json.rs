use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

use super::{Codec, Decode, Encode};
use crate::{DecodeError, DecodeReason, EncodeError, Fault, Message, MessageKind, Position};

/// JSON in text messages, via serde.
///
/// Numbers keep the precision of the Rust type, so a 64-bit integer survives between two Rust ends;
/// JavaScript's own parser would round one above 2⁵³. NaN and the infinities become `null`.
#[derive(Debug, Clone, Copy)]
pub enum Json {}

impl Codec for Json {
    const NAME: &'static str = "json";
    const KIND: MessageKind = MessageKind::Text;
}

impl<T: Serialize + ?Sized> Encode<T> for Json {
    fn encode(value: &T) -> Result<Message, EncodeError> {
        serde_json::to_string(value)
            .map(Message::Text)
            .map_err(|error| EncodeError::json(Self::NAME, error))
    }
}

impl<T: DeserializeOwned> Decode<T> for Json {
    fn decode(message: Message) -> Result<T, DecodeError> {
        let Message::Text(text) = &message else {
            return Err(DecodeError::wrong_kind(Self::NAME, Self::KIND, &message));
        };
        serde_json::from_str(text).map_err(|error| DecodeError::json(Self::NAME, error, &message))
    }
}

/// serde_json's diagnosis.
pub(crate) fn reason_of(error: &serde_json::Error) -> DecodeReason {
    let fault = match error.classify() {
        // The only fault that serde_json distinguishes by nothing but its message.
        Category::Syntax if error.to_string().starts_with("recursion limit exceeded") => {
            Fault::TooDeep
        }
        Category::Syntax | Category::Io => Fault::Syntax,
        Category::Data => Fault::Mismatch,
        Category::Eof => Fault::Truncated,
    };
    // Line 0 means "no position", as when an internally tagged enum is at fault.
    let at = (error.line() > 0).then(|| Position::Line {
        line: error.line(),
        column: error.column(),
    });
    DecodeReason::Malformed { fault, at }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::MAX_DEPTH;

    fn fault<T: DeserializeOwned>(text: &str) -> Fault {
        match <Json as Decode<T>>::decode(text.into())
            .map(drop)
            .unwrap_err()
            .reason()
        {
            DecodeReason::Malformed { fault, .. } => fault,
            other @ DecodeReason::WrongKind { .. } => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_fault_is_told_apart() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        let cases = [
            ("", Fault::Truncated),
            ("[1,", Fault::Truncated),
            ("nonsense", Fault::Syntax),
            ("[1] trailing", Fault::Syntax),
            ("{}", Fault::Mismatch),
            ("[300]", Fault::Mismatch),
        ];
        for (text, expected) in cases {
            assert_eq!(fault::<Vec<u8>>(text), expected, "{text}");
        }
        assert_eq!(fault::<Value>(&deep), Fault::TooDeep);
    }

    #[test]
    fn the_deepest_allowed_nesting_is_read() {
        let text = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
        assert!(<Json as Decode<Value>>::decode(text.into()).is_ok());
    }

    #[test]
    fn errors_place_the_fault_but_do_not_quote() {
        let error = <Json as Decode<Vec<u8>>>::decode(r#"["hunter2"]"#.into()).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("line 1, column 10"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            error
                .detail()
                .is_some_and(|detail| detail.contains("hunter2"))
        );
        assert_eq!(error.excerpt().as_deref(), Some(r#"[\"hunter2\"]"#));
    }

    #[test]
    fn a_map_with_lists_as_keys_has_no_form() {
        let value = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = Json::encode(&value).unwrap_err();
        assert_eq!(error.codec(), "json");
        assert!(
            error.detail().contains("key must be a string"),
            "{}",
            error.detail()
        );
    }

    #[test]
    fn binary_is_the_wrong_kind() {
        let error = <Json as Decode<Value>>::decode(b"{}"[..].into()).unwrap_err();
        assert!(matches!(error.reason(), DecodeReason::WrongKind { .. }));
        assert_eq!(error.excerpt().as_deref(), Some("7b7d"));
    }
}
