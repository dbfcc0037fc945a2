//! The natively measured steps: of the connection core, as the driver takes them, and of the codecs.

mod session;

pub use session::idle_session_bytes;

use std::hint::black_box;
use std::time::{Duration, Instant};

use messages::{Book, Chat, Line, Typed};
use steady_socket::SendMode;
use steady_socket::connection::{
    Accepted, Connection, Context, Effect, Generation, Input, Output, Pings, Report, Time,
};
use steady_socket::options::Options;
use steady_socket::protocol::{Decode, Encode, Json, Message, MsgPack};

/// A measured step.
pub struct Case {
    /// Its name in the results.
    pub name: &'static str,
    /// Takes the step this many times, and returns how long that took, without the preparation.
    pub run: fn(u64) -> Duration,
}

/// All steps.
pub const CASES: [Case; 18] = [
    Case {
        name: "core step for a received frame",
        run: receive,
    },
    Case {
        name: "core step for a sent message",
        run: send,
    },
    Case {
        name: "core steps for a sent message and the frame that confirms it",
        run: confirm,
    },
    Case {
        name: "core step for a timer",
        run: timer,
    },
    Case {
        name: "session: the client's half sends a message",
        run: session::client_sends,
    },
    Case {
        name: "session: the client's half receives a message",
        run: session::client_receives,
    },
    Case {
        name: "session: the client's half sends a message in a batch of 20",
        run: session::client_sends_batches,
    },
    Case {
        name: "session: the client's half receives a message in a batch of 20",
        run: session::client_receives_batches,
    },
    Case {
        name: "session: the server's half sends a message, with the memory store",
        run: session::server_sends,
    },
    Case {
        name: "session: the server's half receives a message, with the memory store",
        run: session::server_receives,
    },
    Case {
        name: "JSON decode book-100",
        run: |count| decode::<Json, Book>(count, &book(1)),
    },
    Case {
        name: "JSON decode book-1024",
        run: |count| decode::<Json, Book>(count, &book(33)),
    },
    Case {
        name: "JSON decode chat-1024",
        run: |count| decode::<Json, Chat>(count, &chat(11)),
    },
    Case {
        name: "JSON encode book-1024",
        run: |count| encode::<Json, Book>(count, &book(33)),
    },
    Case {
        name: "JSON encode chat-1024",
        run: |count| encode::<Json, Chat>(count, &chat(11)),
    },
    Case {
        name: "MessagePack decode book-1024",
        run: |count| decode::<MsgPack, Book>(count, &book(33)),
    },
    Case {
        name: "MessagePack decode chat-1024",
        run: |count| decode::<MsgPack, Chat>(count, &chat(11)),
    },
    Case {
        name: "MessagePack encode chat-1024",
        run: |count| encode::<MsgPack, Chat>(count, &chat(11)),
    },
];

fn repeat(count: u64, mut step: impl FnMut(u64)) -> Duration {
    let started = Instant::now();
    for turn in 0..count {
        step(turn);
    }
    started.elapsed()
}

// ----- the core

/// Messages are one word, like a JavaScript value.
type Core = Connection<usize>;

fn context(now: u64) -> Context {
    Context {
        now: Time::from_millis(now),
        chance: 0.5,
    }
}

/// An idle open connection, and its generation.
fn open() -> (Core, Generation) {
    let mut core = Core::new(Options::default());
    core.handle(context(0), Input::Start);
    let generation = core.generation();
    for input in [
        Report::Resolved.of(generation),
        Report::Opened(Pings::None).of(generation),
    ] {
        core.handle(context(0), input);
        while core.poll_effect().is_some() {}
        while core.poll_output(Time::from_millis(0)).is_some() {}
    }
    (core, generation)
}

/// The driver's queries after each input: outputs, and when the timers must fire.
#[inline(always)]
fn settle(core: &mut Core, now: u64) {
    while let Some(output) = core.poll_output(Time::from_millis(now)) {
        black_box(core.poll_effect().is_some());
        if let Output::Message(payload) = output {
            black_box(payload);
        }
        black_box(core.poll_effect().is_some());
    }
    black_box(core.upcoming());
}

fn receive(count: u64) -> Duration {
    let (mut core, generation) = open();
    let duration = repeat(count, |turn| {
        let core = black_box(&mut core);
        let now = Time::from_millis(turn);
        black_box(core.messages_are_timed(100));
        let received = core.receive(now, generation, black_box(7), 16);
        black_box(received.expect("there is nothing else to tell"));
        black_box(core.is_settled());
        black_box(core.upcoming());
    });
    assert_eq!(core.snapshot(Time::default()).received.messages, count);
    duration
}

/// A frame after a sent message that waits for confirmation.
fn confirm(count: u64) -> Duration {
    let (mut core, generation) = open();
    let duration = repeat(count, |turn| {
        let core = black_box(&mut core);
        let now = Time::from_millis(turn);
        hand_over(core, turn);
        settle(core, turn);
        black_box(core.messages_are_timed(100));
        let received = core.receive(now, generation, black_box(7), 16);
        let payload = received.expect("there is nothing else to tell");
        black_box(payload);
        black_box(core.is_settled());
        black_box(core.upcoming());
    });
    assert_eq!(core.snapshot(Time::default()).received.messages, count);
    duration
}

/// Sends a message, which goes to the browser at once.
#[inline(always)]
fn hand_over(core: &mut Core, turn: u64) {
    let now = Time::from_millis(turn);
    black_box(core.messages_expire());
    let accepted = core.send(now, black_box(7), 16, SendMode::default());
    let Ok(Accepted::Transmit {
        generation,
        payload,
    }) = accepted
    else {
        panic!("the browser takes it at once");
    };
    black_box(payload);
    black_box(core.messages_expire());
    core.transmitted(now, generation);
    carry_out(core, generation, turn);
}

/// The effects of a message, with an empty browser buffer.
#[inline(always)]
fn carry_out(core: &mut Core, generation: Generation, turn: u64) {
    let now = Time::from_millis(turn);
    while let Some(effect) = core.poll_effect() {
        if let Effect::Transmit { payload, .. } = effect {
            black_box(payload);
            core.transmitted(now, generation);
        } else {
            core.handle(context(turn), Report::Buffered(0).of(generation));
        }
    }
}

fn send(count: u64) -> Duration {
    let (mut core, _) = open();
    let duration = repeat(count, |turn| {
        hand_over(&mut core, turn);
        settle(&mut core, turn);
    });
    assert_eq!(core.snapshot(Time::default()).sent.messages, count);
    duration
}

fn timer(count: u64) -> Duration {
    let (mut core, _) = open();
    repeat(count, |turn| {
        core.handle(context(turn), Input::Timer);
        black_box(core.poll_effect().is_some());
        settle(&mut core, turn);
    })
}

// ----- the codecs

fn book(levels: u32) -> Book {
    let side = |step: f64| {
        (0..levels)
            .map(|at| (64_210.0 + step * (f64::from(at) + 0.5), 1 + (at * 13) % 900))
            .collect()
    };
    Book {
        r#type: "book".into(),
        symbol: "BTC-EUR".into(),
        sequence: 10_000,
        bids: side(-1.0),
        asks: side(1.0),
    }
}

fn chat(lines: u32) -> Chat {
    let line = |at| Line {
        id: 1_000 + at,
        from: "Grace".into(),
        text: "when the tide was out we walked".into(),
        likes: at % 10,
        tags: Vec::new(),
    };
    Chat {
        r#type: "page".into(),
        room: "general".into(),
        messages: (0..lines).map(line).collect(),
    }
}

fn decode<C: Encode<T> + Decode<T>, T: Typed>(count: u64, value: &T) -> Duration {
    let message = C::encode(value).expect("it has a form in every format");
    // A plain copy, as from a page; it is a small part of the cost.
    let copy = || -> Message { black_box(&message).clone() };
    let decoded = C::decode(copy()).expect("it was encoded by the same codec");
    assert_eq!(decoded.value(), value.value());
    repeat(count, |_| drop(black_box(C::decode(copy()))))
}

fn encode<C: Encode<T>, T: Typed>(count: u64, value: &T) -> Duration {
    repeat(count, |_| drop(black_box(C::encode(black_box(value)))))
}
