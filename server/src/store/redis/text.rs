//! What the scripts take and give, as text.

use std::borrow::Cow;
use std::fmt::Write as _;

use redis::Value;
use steady_socket_protocol::session::frame::{Answer, Data, Kind, Lost, Refusal, Verdict, Why};
use steady_socket_protocol::session::store::{Found, Opening, Reply, Snapshot};
use steady_socket_protocol::session::{Item, Payload as _};

use crate::body::Body;
use crate::log::{Entry, Read};

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn numbers(numbers: &[u64]) -> String {
    let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    texts.join(",")
}

pub(super) fn ranges(ranges: &[(u64, u64)]) -> String {
    let texts: Vec<String> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
    texts.join(",")
}

pub(super) fn lost(lost: &Lost) -> String {
    lost_as(lost.why, lost.verdict.as_ref())
}

/// `WHY`, or `WHY HANDLED GIVEN RECEIVED ALSO`.
pub(super) fn lost_as(why: Why, verdict: Option<&Verdict>) -> String {
    let word = why.word();
    match verdict {
        None => word.to_owned(),
        Some(Verdict {
            handled,
            also,
            given,
            received,
        }) => format!("{word} {handled} {given} {received} {}", ranges(also)),
    }
}

/// What it is, in one character, and then what is in it. The capital is the binary one, but for messages, whose capital is
/// awaited.
pub(super) fn item(item: &Item<Body>) -> Vec<u8> {
    match item {
        Item::Message {
            payload, awaited, ..
        } => tagged(
            match (payload.kind(), awaited) {
                (Kind::Text, false) => 't',
                (Kind::Text, true) => 'T',
                (Kind::Binary, false) => 'b',
                (Kind::Binary, true) => 'B',
            },
            "",
            Some(payload),
        ),
        Item::Request { payload, .. } => {
            let tag = of_kind(payload, 'q', 'Q');
            tagged(tag, "", Some(payload))
        }
        Item::Answer { request, answer } => {
            let request = format!("{request} ");
            match answer {
                Answer::Response(payload) => {
                    tagged(of_kind(payload, 'r', 'R'), &request, Some(payload))
                }
                Answer::Error(payload) => {
                    tagged(of_kind(payload, 'e', 'E'), &request, Some(payload))
                }
                Answer::Refused(why) => tagged('f', &format!("{request}{}", why.word()), None),
            }
        }
        Item::Cancel { request } => tagged('c', &request.to_string(), None),
        Item::Free => tagged('x', "", None),
    }
}

fn of_kind(payload: &Body, text: char, binary: char) -> char {
    match payload.kind() {
        Kind::Text => text,
        Kind::Binary => binary,
    }
}

fn tagged(tag: char, head: &str, payload: Option<&Body>) -> Vec<u8> {
    let payload = payload.map_or(&[][..], Body::as_bytes);
    let mut bytes = Vec::with_capacity(1 + head.len() + payload.len());
    bytes.push(tag as u8);
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The sub-protocol, a space, `t` for text or `b` for binary, and the message.
pub(super) fn entry(entry: &Entry) -> Vec<u8> {
    let kind = of_kind(&entry.body, 't', 'b');
    let mut bytes = format!("{} {kind}", entry.subprotocol).into_bytes();
    bytes.extend_from_slice(entry.body.as_bytes());
    bytes
}

/// The opposite of [`entry`].
fn entry_of(bytes: &[u8]) -> Option<Entry> {
    let end = bytes.iter().position(|byte| *byte == b' ')?;
    let (subprotocol, rest) = bytes.split_at(end);
    let [_, kind, message @ ..] = rest else {
        return None;
    };
    Some(Entry {
        subprotocol: std::str::from_utf8(subprotocol).ok()?.into(),
        body: body(message, *kind == b'b')?,
    })
}

/// The number of an entry that was appended.
pub(super) fn appended(answer: &Value) -> Option<u64> {
    match answer {
        Value::Array(fields) if text_of(fields.first()?)? == "appended" => {
            number_of(fields.get(1)?)
        }
        _ => None,
    }
}

/// Where a session is in a log that it has joined; `Some(None)` if it is another owner's.
pub(super) fn joined(answer: &Value) -> Option<Option<u64>> {
    let Value::Array(fields) = answer else {
        return None;
    };
    match text_of(fields.first()?)? {
        "joined" => Some(Some(number_of(fields.get(1)?)?)),
        "fenced" | "gone" => Some(None),
        _ => None,
    }
}

/// The entries of a log behind this one.
pub(super) fn read(answer: Value, after: u64) -> Option<Read> {
    let Value::Array(fields) = answer else {
        return None;
    };
    if text_of(fields.first()?)? == "gone" {
        return Some(Read::Gone);
    }
    let [_, first, Value::Array(found)] = fields.as_slice() else {
        return None;
    };
    if number_of(first)? > after.saturating_add(1) {
        return Some(Read::Behind);
    }
    let mut entries = Vec::with_capacity(found.len());
    for (expected, found) in (after.saturating_add(1)..).zip(found) {
        let Value::Array(found) = found else {
            return None;
        };
        let [id, Value::Array(fields)] = found.as_slice() else {
            return None;
        };
        let [_, Value::BulkString(data)] = fields.as_slice() else {
            return None;
        };
        let number: u64 = text_of(id)?.strip_suffix("-0")?.parse().ok()?;
        // Whoever took entries away, nobody goes on with a gap.
        if number != expected {
            return Some(Read::Behind);
        }
        entries.push(entry_of(data)?);
    }
    Some(Read::Entries(entries))
}

/// The opposite of [`item`].
fn item_of(bytes: &[u8]) -> Option<Item<Body>> {
    let (tag, rest) = bytes.split_first()?;
    let message = |binary, awaited| {
        Some(Item::Message {
            payload: body(rest, binary)?,
            delivery: None,
            awaited,
        })
    };
    let request = |binary| {
        Some(Item::Request {
            payload: body(rest, binary)?,
            ask: None,
        })
    };
    let answer = |answer: &dyn Fn(&[u8]) -> Option<Answer<Body>>| {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let (number, payload) = rest.split_at(end);
        Some(Item::Answer {
            request: std::str::from_utf8(number).ok()?.parse().ok()?,
            answer: answer(payload.get(1..)?)?,
        })
    };
    match tag {
        b't' => message(false, false),
        b'T' => message(false, true),
        b'b' => message(true, false),
        b'B' => message(true, true),
        b'q' => request(false),
        b'Q' => request(true),
        b'r' => answer(&|payload| Some(Answer::Response(body(payload, false)?))),
        b'R' => answer(&|payload| Some(Answer::Response(body(payload, true)?))),
        b'e' => answer(&|payload| Some(Answer::Error(body(payload, false)?))),
        b'E' => answer(&|payload| Some(Answer::Error(body(payload, true)?))),
        b'f' => answer(&|word| {
            let word = std::str::from_utf8(word).ok()?;
            Some(Answer::Refused(Refusal::of_word(word)))
        }),
        b'c' => Some(Item::Cancel {
            request: std::str::from_utf8(rest).ok()?.parse().ok()?,
        }),
        b'x' => Some(Item::Free),
        _ => None,
    }
}

fn body(bytes: &[u8], binary: bool) -> Option<Body> {
    Some(Body::new(match binary {
        true => Data::Binary(Cow::Owned(bytes.to_vec())),
        false => Data::Text(Cow::Owned(String::from_utf8(bytes.to_vec()).ok()?)),
    }))
}

/// What a script has answered; `None` if it makes no sense.
pub(super) fn reply(answer: Value) -> Option<Reply<Body>> {
    let Value::Array(fields) = answer else {
        return None;
    };
    let (kind, rest) = fields.split_first()?;
    Some(match text_of(kind)? {
        "opened" => Reply::Opened(Box::new(opening(rest)?)),
        "stale" => Reply::Stale,
        "over" => Reply::Over,
        "refused" => Reply::Refused,
        "no room" => Reply::NoRoom,
        "stepped" => Reply::Stepped {
            first: number_of(rest.first()?)?,
        },
        "full" => Reply::Full,
        "finished" => Reply::Finished,
        "fenced" => Reply::Fenced,
        "gone" => Reply::Gone,
        _ => return None,
    })
}

fn opening(fields: &[Value]) -> Option<Opening<Body>> {
    let [epoch, owner, owner_in_epoch, found, doubtful, rest @ ..] = fields else {
        return None;
    };
    let found = match text_of(found)? {
        "fresh" => Found::Fresh,
        "continued" => Found::Continued,
        text => Found::Lost(lost_of(text.strip_prefix("lost ")?)?),
    };
    Some(Opening {
        epoch: number_of(epoch)?,
        owner: number_of(owner)?,
        owner_in_epoch: number_of(owner_in_epoch)?,
        found,
        snapshot: match rest {
            [] => None,
            rest => Some(snapshot(rest)?),
        },
        doubtful: text_of(doubtful)? == "1",
    })
}

fn snapshot(fields: &[Value]) -> Option<Snapshot<Body>> {
    let [handled, also, base, last, asked, Value::Array(entries)] = fields else {
        return None;
    };
    let (base, last) = (number_of(base)?, number_of(last)?);
    let mut items = Vec::with_capacity(entries.len());
    // What is missing in the stream is free.
    let free = |items: &mut Vec<(Item<Body>, u64)>, count: u64| {
        if count > 0 {
            items.push((Item::Free, count));
        }
    };
    let mut before = base;
    for entry in entries {
        let Value::Array(entry) = entry else {
            return None;
        };
        let [id, Value::Array(fields)] = entry.as_slice() else {
            return None;
        };
        let [_, _, _, Value::BulkString(data)] = fields.as_slice() else {
            return None;
        };
        let number: u64 = text_of(id)?.strip_suffix("-0")?.parse().ok()?;
        free(&mut items, number.checked_sub(before)?.checked_sub(1)?);
        items.push((item_of(data)?, 1));
        before = number;
    }
    free(&mut items, last.checked_sub(before)?);
    Some(Snapshot::new(
        number_of(handled)?,
        ranges_of(text_of(also)?)?,
        base,
        items,
        numbers_of(text_of(asked)?)?,
    ))
}

fn lost_of(text: &str) -> Option<Lost> {
    let mut parts = text.split(' ');
    let why = Why::of_word(parts.next()?);
    let verdict = match parts.next() {
        None => None,
        Some(handled) => Some(Verdict {
            handled: handled.parse().ok()?,
            given: parts.next()?.parse().ok()?,
            received: parts.next()?.parse().ok()?,
            also: ranges_of(parts.next()?)?,
        }),
    };
    Some(Lost { why, verdict })
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<u64> {
    text_of(value)?.parse().ok()
}

fn numbers_of(list: &str) -> Option<Vec<u64>> {
    let parts = list.split(',').filter(|part| !part.is_empty());
    parts.map(|number| number.parse().ok()).collect()
}

fn ranges_of(list: &str) -> Option<Vec<(u64, u64)>> {
    let parts = list.split(',').filter(|part| !part.is_empty());
    parts
        .map(|range| {
            let (from, to) = range.split_once('-')?;
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .collect()
}
