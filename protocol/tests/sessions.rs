//! `docs/sessions-protocol.md` and `vectors.json` match the code.

#![cfg(feature = "json")]

use std::fmt::Write as _;

use serde_json::{Value, json};
use steady_socket_protocol::session::frame::{
    Answer, Data, Frame, Kind, Limits, Outcome, Style, Verdict, read, write,
};
use steady_socket_protocol::session::{MAX_NUMBER, PLAIN_NAME, SUFFIX, close, limits};

const DOCUMENT: &str = include_str!("../../docs/sessions-protocol.md");
const VECTORS: &str = include_str!("../vectors.json");

/// The lines of the blocks marked as frames: who sends it, and the frame.
fn examples() -> Vec<(&'static str, Data<'static>)> {
    let mut examples = Vec::new();
    let mut lines = DOCUMENT.lines();
    while lines.by_ref().any(|line| line == "```frames") {
        for line in lines.by_ref().take_while(|line| *line != "```") {
            let (end, frame) = line.split_once(": ").expect("`client: FRAME`");
            let data = match frame.strip_prefix("bytes ") {
                Some(hex) => Data::Binary(bytes(&hex.replace(' ', "")).into()),
                None => Data::from(frame),
            };
            examples.push((end, data));
        }
    }
    examples
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// How an end writes that sends such frames: bytes for bytes, and texts without JSON where a batch says so.
fn style_of(data: &Data<'_>) -> Style {
    match data {
        Data::Binary(_) => Style::BINARY,
        Data::Text(text) if text.starts_with("~s") || text.starts_with("~S") => Style::TEXT,
        Data::Text(_) => Style::JSON,
    }
}

#[test]
fn every_example_is_read_and_written_as_it_stands() {
    let examples = examples();
    assert!(examples.len() > 30, "{}", examples.len());
    for (end, data) in &examples {
        let frame = read(data.clone()).unwrap_or_else(|error| panic!("{data:?}: {error}"));
        assert_ne!(frame, Frame::Unknown, "{data:?}");
        let only = match &frame {
            Frame::Hello(_) | Frame::Credential(_) => "client",
            Frame::Welcome(_) => "server",
            _ => end,
        };
        assert_eq!(*end, only, "{data:?}");
        // As a person reads it: a text shows where they differ.
        let written = write(frame, style_of(data)).unwrap();
        assert_eq!(&shown(&written), &shown(data));
    }
    // Every word of the table of frames has an example.
    let words = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` "))
        .filter(|(_, rest)| {
            rest.contains("| both |") || rest.contains("| client |") || rest.contains("| server |")
        })
        .map(|(head, _)| head.split(' ').next().unwrap());
    let mut count = 0;
    for word in words.filter(|word| word.parse::<u16>().is_err()) {
        count += 1;
        let has = |mark: &str| {
            examples.iter().any(|(_, data)| {
                let shown = shown(data);
                shown
                    .strip_prefix(mark)
                    .is_some_and(|rest| rest == word || rest.starts_with(&format!("{word} ")))
            })
        };
        // A skip is in the vectors.
        assert!(has("~") || word == "skip", "no example of {word}");
    }
    assert_eq!(count, 20);
}

fn shown(data: &Data<'_>) -> String {
    match data {
        Data::Text(text) => text.to_string(),
        Data::Binary(bytes) => bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

/// The rows of the table with this header, each as its cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let mut lines = DOCUMENT.lines();
    assert!(lines.any(|line| line == head), "{head}");
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn the_limits_are_those_of_the_code() {
    let values = [
        limits::MESSAGES,
        limits::BYTES,
        limits::MESSAGE_BYTES,
        limits::REQUESTS,
        limits::RIDING_MESSAGES,
        limits::RIDING_BYTES,
        limits::BATCH_MESSAGES as u64,
        limits::BATCH_BYTES as u64,
        limits::BATCH_HALVINGS.into(),
        limits::UNCONFIRMED,
        limits::GOT_AFTER,
        limits::CREDENTIAL_BYTES as u64,
        limits::ACK_DELAY_MS,
        limits::ACK_MESSAGES,
        limits::STALLED_MS,
        limits::HELLO_MS,
        limits::YOUNG_MS,
        limits::WINDOW_MS,
        limits::SKEW_MS,
        limits::ALONE_MS,
        u64::from(limits::ALONE_DOUBLINGS),
        u64::from(limits::ALONE),
        limits::CLOSED_TOMBSTONE_MS,
        limits::EXPIRED_TOMBSTONE_MS,
        limits::QUEUE_MESSAGES as u64,
        limits::QUEUE_BYTES as u64,
    ];
    let rows = table("| limit | default | enforced by |");
    let written: Vec<u64> = rows.iter().map(|row| row[1].parse().unwrap()).collect();
    assert_eq!(written, values);
    assert!(DOCUMENT.contains(&MAX_NUMBER.to_string()));
    assert!(DOCUMENT.contains(&format!("`NAME{SUFFIX}`")));
    assert!(DOCUMENT.contains(&format!("`{PLAIN_NAME}`")));
}

#[test]
fn the_close_codes_are_those_of_the_code() {
    let rows = table("| code | from | meaning | the client |");
    let codes: Vec<u16> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(codes, close::ALL);
    for row in rows {
        let code = row[0].parse().unwrap();
        let gives_up = matches!(row[3], "gives up" | "does not come back");
        assert_eq!(close::ends_session(code), gives_up, "{code}");
        if (3_000..4_000).contains(&code) {
            assert_eq!(gives_up, code >= 3_500, "{code} is of the wrong range");
        }
    }
}

// ----- vectors

/// A payload as JSON: a text, or bytes in hexadecimal.
fn payload(data: &Data<'_>) -> Value {
    match data.kind() {
        Kind::Text => json!({ "text": shown(data) }),
        Kind::Binary => json!({ "hex": shown(data) }),
    }
}

fn limits_of(limits: &Limits) -> Value {
    json!({
        "messages": limits.messages,
        "bytes": limits.bytes,
        "message": limits.message_bytes,
        "requests": limits.requests,
    })
}

fn verdict_of(verdict: &Verdict) -> Value {
    json!({
        "handled": verdict.handled,
        "also": verdict.also,
        "given": verdict.given,
        "received": verdict.received,
    })
}

/// What a frame means, as JSON.
fn meaning(frame: &Frame<Data<'_>>) -> Value {
    match frame {
        Frame::Message(data) => json!({ "kind": "message", "payload": payload(data) }),
        Frame::Batch {
            first,
            handled,
            messages,
        } => json!({
            "kind": "batch",
            "first": first,
            "handled": handled,
            "messages": messages.iter().map(payload).collect::<Vec<_>>(),
        }),
        Frame::Skip(count) => json!({ "kind": "skip", "count": count }),
        Frame::Request(data) => json!({ "kind": "request", "payload": payload(data) }),
        Frame::Answer {
            request,
            handled,
            answer,
        } => match answer {
            Answer::Response(data) => {
                json!({ "kind": "response", "request": request, "handled": handled, "payload": payload(data) })
            }
            Answer::Error(data) => {
                json!({ "kind": "error", "request": request, "handled": handled, "payload": payload(data) })
            }
            Answer::Refused(why) => {
                json!({ "kind": "refused", "request": request, "handled": handled, "why": why.word() })
            }
        },
        Frame::Cancel { request } => json!({ "kind": "cancel", "request": request }),
        Frame::AwaitedMessage(data) => {
            json!({ "kind": "awaited-message", "payload": payload(data) })
        }
        Frame::Volatile(data) => json!({ "kind": "volatile", "payload": payload(data) }),
        Frame::Ack(counts) => {
            json!({ "kind": "ack", "handled": counts.handled, "sent": counts.sent })
        }
        Frame::Got(number) => json!({ "kind": "got", "number": number }),
        Frame::Awaited(number) => json!({ "kind": "awaited", "number": number }),
        Frame::Stalled(number) => json!({ "kind": "stalled", "number": number }),
        Frame::Credential(credential) => {
            json!({ "kind": "credential", "value": credential.as_str() })
        }
        Frame::Hello(hello) => json!({
            "kind": "hello",
            "secret": hello.secret.as_str(),
            "attempt": hello.attempt,
            "epoch": hello.epoch,
            "received": hello.received,
            "handled": hello.handled,
            "first": hello.first,
            "sent": hello.sent,
            "limits": limits_of(&hello.limits),
            "age": hello.age_ms,
            "credential": hello.credential.as_ref().map(|credential| credential.as_str()),
        }),
        Frame::Welcome(welcome) => json!({
            "kind": "welcome",
            "outcome": match &welcome.outcome {
                Outcome::Fresh => json!("fresh"),
                Outcome::Continued => json!("continued"),
                Outcome::Replayed(count) => json!({ "replayed": count }),
                Outcome::Lost(lost) => json!({
                    "lost": lost.why.word(),
                    "verdict": lost.verdict.as_ref().map(verdict_of),
                }),
            },
            "epoch": welcome.epoch,
            "owner": welcome.owner,
            "received": welcome.received,
            "handled": welcome.handled,
            "first": welcome.first,
            "sent": welcome.sent,
            "limits": limits_of(&welcome.limits),
            "window": welcome.window_ms,
            "beat": welcome.beat_ms,
            "return": welcome.back.map(|window| [window.min_ms, window.max_ms]),
        }),
        Frame::End { verdict, sent } => {
            json!({ "kind": "end", "verdict": verdict_of(verdict), "sent": sent })
        }
        Frame::Control(control) => json!({ "kind": "control", "text": control.to_string() }),
        _ => json!({ "kind": "unknown" }),
    }
}

/// What is in the vectors beside the examples of the document.
const MORE: &[&str] = &[
    "",
    "~~",
    "~~~",
    "~~a 1 2",
    "~",
    "~ a 1 2",
    "~beat 20000",
    "~ping 7",
    "~ping x",
    "~later 1 2",
    "~A 1 2",
    "~skip 1",
    "~skip 250",
    "~a 9007199254740991 9007199254740991",
    "~d ",
    "~v ",
    "~v ~~x",
    "~q ",
    "~x 3 0 limit",
    "~x 3 0 cancelled",
    "~x 3 0 failed",
    "~x 3 0 tired",
    "~b 1[1]",
    "~b 1[ 1 , [2,3] , \"a,\\\"]\" ]",
    "~b 1[tru,2]",
    "~b 9007199254740990[1,2]",
    "~s 1[\"\\u00e9\\ud83d\\ude00\\n\"]",
    "~welcome later=1 outcome=lost why=tired epoch=1 owner=0 received=0 handled=0 first=1 sent=0 messages=1 bytes=1 message=1 requests=0 window=0",
    "hex c1",
    "hex c1c1",
    "hex 00",
    "hex c162203120ac02{300}",
    "hex c1762000",
    "hex c1686920",
];

const MALFORMED: &[&str] = &[
    "~a",
    "~a 1",
    "~a 01 2",
    "~a 1 2 ",
    "~a 1 2 3",
    "~a  1 2",
    "~a -1 2",
    "~a 1 9007199254740992",
    "~skip",
    "~skip 0",
    "~g 0",
    "~w x",
    "~c 0",
    "~c 1 ",
    "~q",
    "~r 0 0 x",
    "~r 1 x",
    "~x 1 0",
    "~d",
    "~v",
    "~b 1",
    "~b 1[]",
    "~b 1 [1]",
    "~b 0[1]",
    "~b 1[1,]",
    "~b 1[1",
    "~b 1[\"a]",
    "~b 1[1]]",
    "~b 9007199254740991[1,2]",
    "~B 1[1]",
    "~s 1[1]",
    "~s 1[\"\\ud83d\"]",
    "~credential",
    "~credential a b",
    "~hello",
    "~hello secret=short attempt=1 epoch=0 received=0 handled=0 first=1 sent=0 messages=1 bytes=1 message=1 requests=0 age=0",
    "~hello secret=AAECAwQFBgcICQoLDA0ODw attempt=0 epoch=0 received=0 handled=0 first=1 sent=0 messages=1 bytes=1 message=1 requests=0 age=0",
    "~hello secret=AAECAwQFBgcICQoLDA0ODw attempt=1 attempt=2 epoch=0 received=0 handled=0 first=1 sent=0 messages=1 bytes=1 message=1 requests=0 age=0",
    "~welcome outcome=perhaps",
    "~end sent=1",
    "~end sent=1 was-handled=5 was-also=5 was-given=6 was-received=6",
    "hex c16120",
    "hex c1622031",
    "hex c162203120",
    "hex c1622031200261",
    "hex c16220312080",
    "hex c1622031208000",
    "hex c162203120ffffffff7f",
    "hex c173203120015b",
    "hex c168656c6c6f20ff",
];

fn data_of(line: &str) -> Data<'static> {
    match line.strip_prefix("hex ") {
        None => Data::Text(line.to_owned().into()),
        // Three hundred bytes need not be written out.
        Some(hex) => Data::Binary(bytes(&hex.replace("{300}", &"78".repeat(300))).into()),
    }
}

#[test]
fn the_vectors_are_what_the_code_reads_and_writes() {
    let mut good = Vec::new();
    let examples = examples().into_iter().map(|(_, data)| data);
    for data in examples.chain(MORE.iter().map(|line| data_of(line))) {
        let frame = read(data.clone()).unwrap_or_else(|error| panic!("{}: {error}", shown(&data)));
        let written = write(frame.clone(), style_of(&data)).unwrap();
        good.push(json!({
            "wire": payload(&data),
            "frame": meaning(&frame),
            // Whether a sender writes it exactly so.
            "canonical": shown(&written) == shown(&data) && frame != Frame::Unknown,
        }));
    }
    let bad = MALFORMED.iter().map(|line| {
        let data = data_of(line);
        let error = read(data.clone()).expect_err(line);
        json!({ "wire": payload(&data), "kind": error.kind, "because": error.to_string() })
    });
    let lines = |name: &str, values: Vec<Value>| {
        let lines: Vec<String> = values.iter().map(|value| format!("    {value}")).collect();
        format!("  \"{name}\": [\n{}\n  ]", lines.join(",\n"))
    };
    let text = format!(
        "{{\n{},\n{}\n}}\n",
        lines("frames", good),
        lines("malformed", bad.collect())
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    // As values: the order of the keys depends on how serde_json was built.
    let value = |text| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        value(VECTORS),
        value(&text),
        "UPDATE=1 writes the file anew"
    );
}
