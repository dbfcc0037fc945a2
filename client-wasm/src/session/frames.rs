//! The frames of a session, whose text `js/frames.js` reads and writes: across the boundary each is a number and what it
//! consists of.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use steady_socket::protocol::control::Window;
use steady_socket::protocol::session::frame::{
    Answer, Counts, Credential, Frame, Kind, Limits, Lost, Outcome, Refusal, Verdict, Welcome, Why,
};
use wasm_bindgen::prelude::*;

use super::Parcel;
use crate::host::Host;

#[wasm_bindgen(module = "/js/frames.js")]
extern "C" {
    /// Sorts what has arrived: returns a number of [`sorts`].
    #[wasm_bindgen(js_name = sortFrame)]
    fn sort_frame(host: &Host, data: &JsValue) -> i32;

    /// Of what was sorted last: a number by its index. NaN where there is none.
    #[wasm_bindgen(js_name = partOf)]
    fn part_of(index: u32) -> f64;

    /// Of what was sorted last: a message.
    #[wasm_bindgen(js_name = messageAt)]
    fn message_at(index: u32) -> JsValue;

    /// A message as it travels alone.
    #[wasm_bindgen(js_name = loneFrame)]
    fn lone_frame(host: &Host, message: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = batchAdd)]
    fn batch_add(host: &Host, message: &JsValue);

    /// A number of the frame that is being written.
    #[wasm_bindgen(js_name = addNumber)]
    fn add_number(number: f64);

    /// The batch of the messages that were added.
    #[wasm_bindgen(js_name = batchFrame)]
    fn batch_frame(host: &Host) -> JsValue;

    /// A frame of the numbers that were added, of a kind of [`kinds`].
    #[wasm_bindgen(js_name = writeFrame)]
    fn write_frame(host: &Host, kind: i32, text: &JsValue, payload: &JsValue) -> JsValue;
}

/// The results of [`sort_frame`].
mod sorts {
    pub(super) const MALFORMED: i32 = -1;
    /// A message that is [`message_at`](super::message_at) 0. The value itself is one if the result is less than
    /// [`MALFORMED`]: −2 or, for bytes, −3, and less by twice its size.
    pub(super) const ESCAPED: i32 = 0;
    /// Of texts.
    pub(super) const BATCH: i32 = 1;
    /// Of bytes.
    pub(super) const BYTES: i32 = 2;
    pub(super) const UNKNOWN: i32 = 3;
    /// From here on, the [`kinds`](super::kinds).
    pub(super) const FRAMES: i32 = 4;
}

/// The frames, by the index of their words in `frames.js`.
mod kinds {
    pub(super) const SKIP: i32 = 0;
    pub(super) const REQUEST: i32 = 1;
    pub(super) const RESPONSE: i32 = 2;
    pub(super) const ERROR: i32 = 3;
    pub(super) const REFUSED: i32 = 4;
    pub(super) const CANCEL: i32 = 5;
    pub(super) const AWAITED_MESSAGE: i32 = 6;
    pub(super) const VOLATILE: i32 = 7;
    pub(super) const ACK: i32 = 8;
    pub(super) const GOT: i32 = 9;
    pub(super) const AWAITED: i32 = 10;
    pub(super) const STALLED: i32 = 11;
    pub(super) const CREDENTIAL: i32 = 12;
    pub(super) const HELLO: i32 = 13;
    pub(super) const WELCOME: i32 = 14;
    pub(super) const END: i32 = 15;
}

/// The reasons by which a request is refused and a session lost, in the order of `frames.js`.
pub(super) const REASONS: [Refusal; 5] = [
    Refusal::NoHandler,
    Refusal::Limit,
    Refusal::Cancelled,
    Refusal::Failed,
    Refusal::Other,
];
const LOSSES: [Why; 6] = [
    Why::Expired,
    Why::Unknown,
    Why::Full,
    Why::Refused,
    Why::OutOfStep,
    Why::Other,
];

/// A number of what was sorted last; 0 where there is none.
#[inline(never)]
fn number(index: u32) -> u64 {
    part_of(index) as u64
}

/// Likewise, where a negative number stands for none.
fn optional(index: u32) -> Option<u64> {
    (part_of(index) >= 0.0).then(|| number(index))
}

const fn kind_of(has_bytes: bool) -> Kind {
    match has_bytes {
        false => Kind::Text,
        true => Kind::Binary,
    }
}

#[inline(never)]
fn payload() -> Parcel {
    Parcel::of(message_at(0))
}

fn verdict(handled: u32, from: u32) -> Verdict {
    let mut also = Vec::new();
    let mut at = from.wrapping_add(2);
    while part_of(at) >= 0.0 {
        also.push((number(at), number(at.wrapping_add(1))));
        at = at.wrapping_add(2);
    }
    Verdict {
        handled: number(handled),
        also,
        given: number(from),
        received: number(from.wrapping_add(1)),
    }
}

fn welcome() -> Welcome {
    Welcome {
        outcome: match number(0) {
            0 => Outcome::Fresh,
            1 => Outcome::Continued,
            2 => Outcome::Replayed(number(15)),
            _ => Outcome::Lost(Lost {
                why: *LOSSES.get(number(15) as usize).unwrap_or(&Why::Other),
                verdict: optional(16).map(|_| verdict(16, 17)),
            }),
        },
        epoch: number(1),
        owner: number(2),
        received: number(3),
        handled: number(4),
        first: number(5),
        sent: number(6),
        limits: Limits {
            messages: number(7),
            bytes: number(8),
            message_bytes: number(9),
            requests: number(10),
        },
        window_ms: number(11),
        beat_ms: optional(12),
        back: optional(13).map(|min_ms| Window {
            min_ms,
            max_ms: number(14),
        }),
    }
}

/// Reads what has arrived; `None` if it is malformed.
pub(super) fn read(host: &Host, value: JsValue) -> Option<Frame<Parcel>> {
    let answer = |answer| Frame::Answer {
        request: number(0),
        handled: number(1),
        answer,
    };
    let kind = match sort_frame(host, &value) {
        sort if sort < sorts::MALFORMED => {
            let size = !sort - 1;
            return Some(Frame::Message(Parcel {
                value,
                bytes: (size >> 1) as usize,
                kind: kind_of(size & 1 != 0),
            }));
        }
        sorts::ESCAPED => return Some(Frame::Message(payload())),
        sort @ (sorts::BATCH | sorts::BYTES) => {
            let count = number(2) as u32;
            // The sizes of its messages are not known one by one; together they are at least as large.
            let bytes = (number(3) as u32).checked_div(count).unwrap_or(0) as usize;
            let kind = kind_of(sort == sorts::BYTES);
            let messages = (0..count).map(|index| Parcel {
                value: message_at(index),
                bytes,
                kind,
            });
            return Some(Frame::Batch {
                first: number(0),
                handled: optional(1),
                messages: messages.collect(),
            });
        }
        sorts::UNKNOWN => return Some(Frame::Unknown),
        sort => sort.wrapping_sub(sorts::FRAMES),
    };
    Some(match kind {
        kinds::SKIP => Frame::Skip(number(0)),
        kinds::REQUEST => Frame::Request(payload()),
        kinds::RESPONSE => answer(Answer::Response(payload())),
        kinds::ERROR => answer(Answer::Error(payload())),
        kinds::REFUSED => {
            let reason = REASONS.get(number(2) as usize);
            answer(Answer::Refused(*reason.unwrap_or(&Refusal::Other)))
        }
        kinds::CANCEL => Frame::Cancel { request: number(0) },
        kinds::AWAITED_MESSAGE => Frame::AwaitedMessage(payload()),
        kinds::VOLATILE => Frame::Volatile(payload()),
        kinds::ACK => Frame::Ack(Counts {
            handled: number(0),
            sent: number(1),
        }),
        kinds::GOT => Frame::Got(number(0)),
        kinds::AWAITED => Frame::Awaited(number(0)),
        kinds::STALLED => Frame::Stalled(number(0)),
        // Only a client sends these, so it is the same to one which of them it gets.
        kinds::CREDENTIAL | kinds::HELLO => Frame::Credential(Credential::parse("-")?),
        kinds::WELCOME => Frame::Welcome(Box::new(welcome())),
        kinds::END => Frame::End {
            verdict: verdict(1, 2),
            sent: number(0),
        },
        _ => return None,
    })
}

fn add(numbers: &[u64]) {
    for number in numbers {
        add_number(*number as f64);
    }
}

/// Writes a frame; `None` if it is of a kind that no client sends.
pub(super) fn write(host: &Host, frame: Frame<Parcel>) -> Option<JsValue> {
    let (mut text, mut payload) = (JsValue::UNDEFINED, JsValue::UNDEFINED);
    let kind = match frame {
        Frame::Message(parcel) => return Some(lone_frame(host, &parcel.value)),
        Frame::Batch {
            first,
            handled,
            messages,
        } => {
            for parcel in &messages {
                batch_add(host, &parcel.value);
            }
            add(&[first]);
            add(handled.as_slice());
            return Some(batch_frame(host));
        }
        Frame::Skip(count) => {
            add(&[count]);
            kinds::SKIP
        }
        Frame::Request(parcel) => {
            payload = parcel.value;
            kinds::REQUEST
        }
        Frame::Answer {
            request,
            handled,
            answer,
        } => {
            add(&[request, handled]);
            match answer {
                Answer::Response(parcel) => {
                    payload = parcel.value;
                    kinds::RESPONSE
                }
                Answer::Error(parcel) => {
                    payload = parcel.value;
                    kinds::ERROR
                }
                Answer::Refused(why) => {
                    add(&[index_of(why) as u64]);
                    kinds::REFUSED
                }
            }
        }
        Frame::Cancel { request } => {
            add(&[request]);
            kinds::CANCEL
        }
        Frame::AwaitedMessage(parcel) => {
            payload = parcel.value;
            kinds::AWAITED_MESSAGE
        }
        Frame::Volatile(parcel) => {
            payload = parcel.value;
            kinds::VOLATILE
        }
        Frame::Ack(counts) => {
            add(&[counts.handled, counts.sent]);
            kinds::ACK
        }
        Frame::Got(number) => {
            add(&[number]);
            kinds::GOT
        }
        Frame::Awaited(number) => {
            add(&[number]);
            kinds::AWAITED
        }
        Frame::Stalled(number) => {
            add(&[number]);
            kinds::STALLED
        }
        Frame::Credential(credential) => {
            text = JsValue::from_str(credential.as_str());
            kinds::CREDENTIAL
        }
        Frame::Hello(hello) => {
            let mut words = String::from(hello.secret.as_str());
            if let Some(credential) = &hello.credential {
                words.push(' ');
                words.push_str(credential.as_str());
            }
            text = JsValue::from_str(&words);
            let limits = &hello.limits;
            add(&[
                hello.attempt,
                hello.epoch,
                hello.received,
                hello.handled,
                hello.first,
                hello.sent,
                limits.messages,
                limits.bytes,
                limits.message_bytes,
                limits.requests,
                hello.age_ms,
            ]);
            kinds::HELLO
        }
        Frame::End { verdict, sent } => {
            add(&[sent, verdict.handled, verdict.given, verdict.received]);
            for (first, last) in verdict.also {
                add(&[first, last]);
            }
            kinds::END
        }
        _ => return None,
    };
    Some(write_frame(host, kind, &text, &payload))
}

/// The index in [`REASONS`].
pub(super) fn index_of(why: Refusal) -> usize {
    let index = REASONS.iter().position(|reason| *reason == why);
    index.unwrap_or(REASONS.len().wrapping_sub(1))
}
