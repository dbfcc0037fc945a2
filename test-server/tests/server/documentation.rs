//! `docs/protocol.md` matches the code.

use std::time::Duration;

use serde_json::Value;
use steady_socket_protocol::control::{Control, Heard, escape, heard};
use steady_socket_protocol::hello::{ClientMessage, MAX_NAME_CHARS, ServerMessage};
use steady_socket_protocol::{Decode, Encode, Endpoint, Json, MAX_DEPTH, hello::Hello};
use test_server::Config;

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

/// The lines of the code blocks marked as JSON, block by block.
fn blocks() -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = DOCUMENT.lines();
    while lines.by_ref().any(|line| line == "```json") {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
    }
    blocks
}

/// Checks that `json` is a `T`, and that a `T` is serialized like that.
fn assert_form<T>(json: &str)
where
    Json: Decode<T> + Encode<T>,
{
    let value: T = Json::decode(json.into()).unwrap();
    assert_eq!(Json::encode(&value).unwrap(), json.into());
}

#[test]
fn the_examples_are_messages() {
    let [client, server, control] = &blocks()[..] else {
        panic!("three blocks")
    };
    client
        .iter()
        .for_each(|json| assert_form::<ClientMessage>(json));
    server
        .iter()
        .for_each(|json| assert_form::<ServerMessage>(json));
    control.iter().for_each(|json| assert_form::<Value>(json));
    let error = <Json as Decode<ClientMessage>>::decode(r#"{"type":"#.into()).unwrap_err();
    // Only the column depends on the example.
    let sentence = error.to_string();
    let sentence = sentence.split_once(" (at").unwrap().0;
    assert!(DOCUMENT.contains(sentence), "{sentence}");
}

/// The rows of the table with this header, each as the code in its cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let mut lines = DOCUMENT.lines();
    assert!(lines.any(|line| line == head), "{head}");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.split(" | ").map(|cell| cell.trim_matches([' ', '|']));
            cells.map(|cell| cell.trim_matches('`')).collect()
        })
        .collect()
}

// [R35]
#[test]
fn control_messages_and_escapes_are_as_the_tables_say() {
    let messages = table("| text | from | meaning |");
    assert_eq!(messages.len(), 7);
    for row in messages {
        let control = Control::parse(row[0]).unwrap();
        assert_eq!(control.to_string(), row[0]);
        assert_eq!(heard(row[0]), Heard::Control(control));
    }
    let texts = table("| the application's text | on the wire |");
    assert_eq!(texts.len(), 5);
    for row in texts {
        assert_eq!(escape(row[0]), row[1]);
        assert_eq!(heard(row[1]), Heard::Application(row[0]));
    }
}

#[test]
fn the_numbers_are_the_defaults() {
    let config = Config::default();
    let seconds = |duration: Duration| format!("{} s", duration.as_secs_f64());
    let rows = [
        (
            "size of a message, and of a frame",
            format!("{} bytes", config.max_message_bytes),
        ),
        (
            "open WebSocket connections",
            config.max_connections.to_string(),
        ),
        (
            "time for a client to send its request",
            seconds(config.handshake_timeout),
        ),
        (
            "time for a client to take some more of an answer over HTTP",
            seconds(config.handshake_timeout),
        ),
        (
            "time for a connection to become a WebSocket",
            seconds(Config::HTTP_TIME),
        ),
        (
            "time without any frame from the client",
            seconds(config.idle_timeout),
        ),
        (
            "time between the server's pings",
            seconds(config.ping_interval),
        ),
        (
            "time for a client to answer a Close",
            seconds(config.close_timeout),
        ),
        (
            "time for all clients to leave when the server stops",
            seconds(config.shutdown_timeout),
        ),
    ];
    for (name, value) in rows {
        assert!(
            DOCUMENT.contains(&format!("\n| {name} | {value} |\n")),
            "{name}: {value}"
        );
    }
    assert!(DOCUMENT.contains(&format!("A name has 1 to {MAX_NAME_CHARS} characters")));
    assert!(DOCUMENT.contains(&format!("nested deeper than {MAX_DEPTH} levels")));
    for subprotocol in Hello::SUBPROTOCOLS {
        assert!(
            DOCUMENT.contains(&format!("`{}`", subprotocol.name)),
            "{}",
            subprotocol.name
        );
    }
}
