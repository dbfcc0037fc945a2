//! The fuzz targets: each function takes libFuzzer's input and panics if a promise is broken. They are an ordinary
//! library, so that they are compiled and linted with everything else; the tests run them over the seeds in
//! `corpus/`.

pub mod core;
pub mod session;

use steady_socket_protocol::control::{
    Control, Heard, Incoming, MARK, SUFFIX, Window, heard, incoming, outgoing,
};
use steady_socket_protocol::hello::{
    ClientMessage, Hello, InvalidName, MAX_NAME_CHARS, ServerMessage, greeting, validate_name,
};
use steady_socket_protocol::{
    Codec, Decode, DecodeError, Encode, Endpoint, Json, Message, MsgPack, PlainText, negotiate,
};

/// The longest [`DecodeError::excerpt`], with each character escaped to ten (`\u{10ffff}`), and `…`.
const EXCERPT_CHARS: usize = 80 * 10 + 1;

/// Decodes messages of the hello endpoint from JSON, and the same bytes as a message of the wrong kind.
pub fn json(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    decodes::<Json, ClientMessage>(text.clone().into());
    decodes::<Json, ServerMessage>(text.into());
    decodes::<Json, ClientMessage>(data.into());
}

/// Decodes messages of the hello endpoint from MessagePack, and the same bytes as a message of the wrong kind.
pub fn msgpack(data: &[u8]) {
    decodes::<MsgPack, ClientMessage>(data.into());
    decodes::<MsgPack, ServerMessage>(data.into());
    decodes::<MsgPack, ClientMessage>(String::from_utf8_lossy(data).into_owned().into());
}

/// Decodes plain text, and the same bytes as a message of the wrong kind.
pub fn plain_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    assert_eq!(PlainText::decode(text.clone().into()).as_ref(), Ok(&text));
    decodes::<PlainText, String>(text.into());
    decodes::<PlainText, String>(data.into());
}

/// A decoded value is unchanged after encoding and decoding it again; anything else is rejected with a bounded error.
fn decodes<C, T>(message: Message)
where
    C: Codec + Encode<T> + Decode<T>,
    T: PartialEq + std::fmt::Debug,
{
    match C::decode(message) {
        Ok(value) => {
            let again = C::encode(&value).expect("a decoded value can be encoded");
            assert_eq!(again.kind(), C::KIND);
            assert_eq!(C::decode(again), Ok(value));
        }
        Err(error) => is_bounded(&error),
    }
}

fn is_bounded(error: &DecodeError) {
    for shown in [error.excerpt(), error.detail()].into_iter().flatten() {
        assert!(shown.chars().count() <= EXCERPT_CHARS, "{shown}");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    // Only the accessors quote what was received, so everything else is bounded.
    assert!(error.to_string().len() < 200, "{error}");
}

/// Parses a text message as a control message, also with the mark in front, and sends it as a text of the
/// application.
pub fn control(text: &str) {
    for text in [text.to_owned(), format!("{MARK}{text}")] {
        let message = Message::from(text.as_str());
        assert_eq!(
            incoming(outgoing(message.clone())),
            Incoming::Application(message)
        );
        let is_control = !matches!(heard(&text), Heard::Application(_));
        assert_eq!(
            is_control,
            text.starts_with(MARK) && !text[1..].starts_with(MARK)
        );
        if let Some(control) = Control::parse(&text) {
            assert!(text.starts_with(MARK));
            assert_eq!(Control::parse(&control.to_string()), Some(control));
            if let Control::Reconnect(window) = control {
                assert!(window.min_ms <= window.max_ms, "{window:?}");
            }
        }
    }
}

/// Looks for a reconnect window in the reason of a Close.
pub fn window(reason: &str) {
    if let Some(window) = Window::in_reason(reason) {
        assert!(window.min_ms <= window.max_ms, "{window:?}");
        assert_eq!(Window::in_reason(&window.as_reason()), Some(window));
        // A Close holds at most 123 bytes.
        assert!(window.as_reason().len() <= 123);
    }
}

/// Negotiates a sub-protocol from what a client offers.
pub fn negotiate_offer(offered: &str) {
    match negotiate::<Hello>(Some(offered)) {
        Ok(chosen) => {
            let known = Hello::SUBPROTOCOLS
                .iter()
                .any(|known| known.name == chosen.subprotocol.name);
            assert!(known, "{}", chosen.subprotocol.name);
            if let Some(answer) = chosen.answer {
                // The choice goes into a header: it must be one of the client's offers, and one of ours.
                let words = offered.split(',');
                assert!(words.map(str::trim).any(|word| word == answer), "{answer}");
                let plain = answer.strip_suffix(SUFFIX).unwrap_or(&answer);
                assert_eq!(plain, chosen.subprotocol.name);
                assert_eq!(chosen.controls, plain != answer);
            }
        }
        Err(error) => assert!(error.to_string().len() < 500, "{error}"),
    }
}

/// Validates a name, and greets a valid one.
pub fn name(name: &str) {
    let length = name.chars().count();
    match validate_name(name) {
        Ok(()) => {
            assert!((1..=MAX_NAME_CHARS as usize).contains(&length));
            assert!(!name.chars().any(char::is_control));
            assert_eq!(greeting(name), format!("Hello {name}!"));
        }
        Err(error) => {
            // It is sent as the reason of a Close.
            assert!(error.to_string().len() <= 123, "{error}");
            if let InvalidName::ControlCharacter { position } = error {
                let found = name.chars().nth(position as usize);
                assert!(found.is_some_and(char::is_control), "{error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use arbitrary::{Arbitrary, Unstructured};

    use super::*;

    /// Runs a target over its seeds.
    fn over(target: &str, run: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        let mut seeds = 0;
        for entry in fs::read_dir(&folder).expect("there is a corpus") {
            let path = entry.expect("it can be read").path();
            println!("{}", path.display());
            run(&fs::read(path).expect("a seed can be read"));
            seeds += 1;
        }
        assert!(seeds > 0, "{} is empty", folder.display());
    }

    fn over_text(target: &str, run: impl Fn(&str)) {
        over(target, |data| run(&String::from_utf8_lossy(data)));
    }

    #[test]
    fn the_seeds_keep_the_promises() {
        over("json", json);
        over("msgpack", msgpack);
        over("plain_text", plain_text);
        over_text("control", control);
        over_text("window", window);
        over_text("negotiate", negotiate_offer);
        over_text("name", name);
        over("session_frame", session::frame);
        over("session_dialogue", |data| {
            let run = session::Run::arbitrary_take_rest(Unstructured::new(data));
            run.expect("any bytes make a run").play();
        });
        over("core", |data| {
            let run = core::Run::arbitrary_take_rest(Unstructured::new(data));
            run.expect("any bytes make a run").play();
        });
    }
}
