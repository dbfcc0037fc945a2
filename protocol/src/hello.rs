//! The messages of the hello server's typed endpoint, and the rules for a name.
//!
//! The plain endpoint at `/` is untyped: a text message is a name, and the reply is its [`greeting`]. The
//! rules for a name apply to both.

use std::fmt;

use serde::{Deserialize, Serialize};

#[cfg(feature = "json")]
use crate::Json;
#[cfg(feature = "msgpack")]
use crate::MsgPack;

/// The maximum length of a name, in characters (Unicode scalar values, not bytes).
pub const MAX_NAME_CHARS: u32 = 256;

#[cfg(any(feature = "json", feature = "msgpack"))]
crate::endpoint! {
    /// The typed hello: a client sends names, the server greets them.
    pub Hello at "/hello" {
        client: ClientMessage,
        server: ServerMessage,
        #[cfg(feature = "json")]
        "hello.json" => Json,
        #[cfg(feature = "msgpack")]
        "hello.msgpack" => MsgPack,
    }
}

/// What a client sends to [`Hello`].
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ClientMessage {
    /// `{"type":"hello","name":"Ada"}`: asks for a greeting.
    Hello {
        /// Whom to greet; see [`validate_name`].
        name: String,
    },
}

/// The server's replies: one for each message, in order, valid or not.
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ServerMessage {
    /// `{"type":"greeting","text":"Hello Ada!"}`
    Greeting {
        /// The [`greeting`].
        text: String,
    },
    /// `{"type":"invalid","reason":{"problem":"empty"}}`: the name breaks a rule. The connection stays open.
    Invalid {
        /// The broken rule.
        reason: InvalidName,
    },
    /// `{"type":"malformed","text":"json: …"}`: the message was not a [`ClientMessage`]. The connection stays
    /// open.
    Malformed {
        /// What was wrong, as a sentence that quotes nothing of the message.
        text: String,
    },
}

/// The rule that a name breaks. `Display` formats it as a sentence for people.
#[cfg_attr(feature = "typescript", derive(tsify::Tsify))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "camelCase")]
#[non_exhaustive]
pub enum InvalidName {
    /// `{"problem":"empty"}`: the name is empty or only white space.
    Empty,
    /// `{"problem":"tooLong","length":300,"max":256}`
    TooLong {
        /// The number of characters in the name.
        length: u32,
        /// The maximum: [`MAX_NAME_CHARS`].
        max: u32,
    },
    /// `{"problem":"controlCharacter","position":3}`: the name has a line break, a tab, an escape or another
    /// control character.
    ControlCharacter {
        /// The position of the first one: the number of characters before it. `Display` counts from 1.
        position: u32,
    },
}

/// Checks that a name is not empty or only white space, has at most [`MAX_NAME_CHARS`] characters, and has no
/// control characters ([`char::is_control`]). White space around a name is part of it.
///
/// # Errors
///
/// The first broken rule, in that order.
pub fn validate_name(name: &str) -> Result<(), InvalidName> {
    let position_of_control = name.chars().position(char::is_control);
    // The order matters to whoever reads the reply: a lone line break is "empty", not "has a control
    // character".
    if name.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    let length = saturated(name.chars().count());
    if length > MAX_NAME_CHARS {
        return Err(InvalidName::TooLong {
            length,
            max: MAX_NAME_CHARS,
        });
    }
    match position_of_control {
        Some(position) => Err(InvalidName::ControlCharacter {
            position: saturated(position),
        }),
        None => Ok(()),
    }
}

/// The reply to a valid name: `Hello NAME!`.
#[must_use]
pub fn greeting(name: &str) -> String {
    format!("Hello {name}!")
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl fmt::Display for InvalidName {
    /// A sentence of at most 123 bytes, so that it fits in a WebSocket close reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidName::Empty => {
                write!(
                    f,
                    "the name is empty: send 1 to {MAX_NAME_CHARS} characters"
                )
            }
            InvalidName::TooLong { length, max } => {
                write!(f, "the name has {length} characters: send at most {max}")
            }
            InvalidName::ControlCharacter { position } => write!(
                f,
                "character {} of the name is a control character: send printable characters only",
                // People count from 1.
                u64::from(*position) + 1
            ),
        }
    }
}

impl std::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        let long = |count: usize| "é".repeat(count);
        let too_long = |length| Err(InvalidName::TooLong { length, max: 256 });
        let control = |position| Err(InvalidName::ControlCharacter { position });
        let cases = [
            ("Ada".to_owned(), Ok(())),
            (" Ada ".to_owned(), Ok(())),
            ("José Ñandú 世界 👩‍🚀".to_owned(), Ok(())),
            ("<b>&\"'".to_owned(), Ok(())),
            (long(256), Ok(())),
            (String::new(), Err(InvalidName::Empty)),
            (" \u{3000}\u{a0}".to_owned(), Err(InvalidName::Empty)),
            ("\r\n".to_owned(), Err(InvalidName::Empty)),
            (long(257), too_long(257)),
            (long(65536), too_long(65536)),
            ("a\nb".to_owned(), control(1)),
            ("\u{1b}[31m".to_owned(), control(0)),
            ("é\u{0}".to_owned(), control(1)),
            ("x\u{7f}".to_owned(), control(1)),
            ("x\u{85}y".to_owned(), control(1)),
        ];
        for (name, expected) in cases {
            assert_eq!(validate_name(&name), expected, "{name:?}");
        }
    }

    #[test]
    fn sentences_fit_into_a_close_reason() {
        let reasons = [
            InvalidName::Empty,
            InvalidName::TooLong {
                length: u32::MAX,
                max: u32::MAX,
            },
            InvalidName::ControlCharacter { position: u32::MAX },
        ];
        for reason in reasons {
            assert!(reason.to_string().len() <= 123, "{reason}");
        }
    }

    #[test]
    fn the_greeting_keeps_the_name_as_it_is() {
        assert_eq!(greeting(" Ada "), "Hello  Ada !");
    }

    #[cfg(feature = "json")]
    #[test]
    fn the_wire_form_is_as_documented() {
        use crate::{Decode, Encode};

        let cases = [
            (
                ServerMessage::Greeting {
                    text: greeting("Ada"),
                },
                r#"{"type":"greeting","text":"Hello Ada!"}"#,
            ),
            (
                ServerMessage::Invalid {
                    reason: InvalidName::Empty,
                },
                r#"{"type":"invalid","reason":{"problem":"empty"}}"#,
            ),
            (
                ServerMessage::Invalid {
                    reason: InvalidName::TooLong {
                        length: 300,
                        max: 256,
                    },
                },
                r#"{"type":"invalid","reason":{"problem":"tooLong","length":300,"max":256}}"#,
            ),
            (
                ServerMessage::Invalid {
                    reason: InvalidName::ControlCharacter { position: 3 },
                },
                r#"{"type":"invalid","reason":{"problem":"controlCharacter","position":3}}"#,
            ),
            (
                ServerMessage::Malformed {
                    text: "json: …".into(),
                },
                r#"{"type":"malformed","text":"json: …"}"#,
            ),
        ];
        for (message, json) in cases {
            assert_eq!(Json::encode(&message).unwrap(), json.into());
            assert_eq!(
                <Json as Decode<ServerMessage>>::decode(json.into()).unwrap(),
                message
            );
        }
        let hello = ClientMessage::Hello { name: "Ada".into() };
        assert_eq!(
            Json::encode(&hello).unwrap(),
            r#"{"type":"hello","name":"Ada"}"#.into()
        );
    }

    #[cfg(all(feature = "json", feature = "msgpack"))]
    mod codecs {
        use proptest::prelude::*;

        use super::*;
        use crate::{Decode, Encode, Endpoint};

        fn client_message() -> impl Strategy<Value = ClientMessage> {
            any::<String>().prop_map(|name| ClientMessage::Hello { name })
        }

        fn server_message() -> impl Strategy<Value = ServerMessage> {
            let reason = prop_oneof![
                Just(InvalidName::Empty),
                any::<(u32, u32)>().prop_map(|(length, max)| InvalidName::TooLong { length, max }),
                any::<u32>().prop_map(|position| InvalidName::ControlCharacter { position }),
            ];
            prop_oneof![
                any::<String>().prop_map(|text| ServerMessage::Greeting { text }),
                reason.prop_map(|reason| ServerMessage::Invalid { reason }),
                any::<String>().prop_map(|text| ServerMessage::Malformed { text }),
            ]
        }

        proptest! {
            #[test]
            fn every_message_comes_back(client in client_message(), server in server_message()) {
                for subprotocol in Hello::SUBPROTOCOLS {
                    let message = (subprotocol.encode_client)(&client).unwrap();
                    prop_assert_eq!(message.kind(), subprotocol.kind);
                    prop_assert_eq!(&(subprotocol.decode_client)(message).unwrap(), &client);
                    let message = (subprotocol.encode_server)(&server).unwrap();
                    prop_assert_eq!(&(subprotocol.decode_server)(message).unwrap(), &server);
                }
            }

            #[test]
            fn both_codecs_have_one_shape(server in server_message()) {
                let packed: serde_json::Value =
                    MsgPack::decode(MsgPack::encode(&server).unwrap()).unwrap();
                let json: serde_json::Value = Json::decode(Json::encode(&server).unwrap()).unwrap();
                prop_assert_eq!(packed, json);
            }

            #[test]
            fn whatever_comes_is_an_answer_or_an_error(text: String, bytes: Vec<u8>) {
                for subprotocol in Hello::SUBPROTOCOLS {
                    let _ = (subprotocol.decode_client)(text.clone().into());
                    let _ = (subprotocol.decode_client)(bytes.clone().into());
                }
            }

            #[test]
            fn a_valid_name_is_bounded_and_printable(name: String) {
                if validate_name(&name).is_ok() {
                    prop_assert!(name.chars().count() <= 256);
                    prop_assert!(!name.chars().any(char::is_control));
                    prop_assert!(!name.trim().is_empty());
                }
            }
        }
    }
}
