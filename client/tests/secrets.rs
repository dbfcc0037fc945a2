//! What the application trusts the library with is in nothing that programs write down by habit: the
//! debug log, and `Display` and `Debug` of errors and of what the library hands out. The test runs a
//! connection through everything that goes wrong, collects all of that and looks for the secret.

use core::fmt;
use core::fmt::Write as _;
use core::time::Duration;
use std::sync::Mutex;

use futures_util::{FutureExt, StreamExt};
use log::{LevelFilter, Log, Metadata, Record};
use steady_socket::platform::SocketEvent;
use steady_socket::protocol::hello::{ClientMessage, Hello};
use steady_socket::protocol::{Json, MsgPack, PlainText};
use steady_socket::testing::{Handshake, World};
use steady_socket::{
    Attempt, ConnectError, Event, Message, Options, SendMode, Socket, Source, TOO_BIG, endpoint,
};

/// Stands for a token. It is in the URL, in a sub-protocol, in messages and in reasons, and can be told
/// from everything that the library may say of itself.
const SECRET: &str = "hunter2-Zq7";

/// Every line of the debug log, from whichever thread.
static LOG: Mutex<String> = Mutex::new(String::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut log = LOG.lock().expect("no test panics while it writes");
        writeln!(log, "{}: {}", record.target(), record.args()).expect("a String takes all");
    }

    fn flush(&self) {}
}

/// What a program logs of a value: both forms, and those of its sources.
#[derive(Default)]
struct Seen(String);

impl Seen {
    fn error(&mut self, error: &dyn core::error::Error) {
        let mut next = Some(error);
        while let Some(error) = next {
            writeln!(self.0, "{error} {error:?} {error:#?}").expect("a String takes all");
            next = error.source();
        }
    }

    fn debug(&mut self, value: &dyn fmt::Debug) {
        writeln!(self.0, "{value:?} {value:#?}").expect("a String takes all");
    }
}

fn no_secret_in(what: &str, text: &str) {
    for line in text.lines() {
        assert!(!line.contains(SECRET), "{what}: {line}");
    }
    // Bytes are shown in hexadecimal or as a list.
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{:?}", SECRET.as_bytes());
    let list = list.trim_matches(['[', ']']);
    assert!(!text.contains(&hex) && !text.contains(list), "{what}");
}

fn url() -> String {
    format!("wss://user:{SECRET}@example.org/{SECRET}?token={SECRET}")
}

// [R32]
#[test]
fn nothing_that_a_program_logs_shows_a_secret() {
    log::set_logger(&Collector).expect("no other test of this binary has a logger");
    log::set_max_level(LevelFilter::Trace);
    let mut seen = Seen::default();

    connections(&mut seen);
    refused_connections(&mut seen);
    typed_messages(&mut seen);

    let log = LOG.lock().expect("nobody has panicked");
    assert!(log.contains("steady_socket: "), "the log was on: {log}");
    for word in ["connected", "closed: socket", "provider", "dropped"] {
        assert!(log.contains(word), "the log tells of `{word}`: {log}");
    }
    no_secret_in("the log", &log);
    no_secret_in("what is shown", &seen.0);
}

/// A connection with everything that can end or disturb it.
fn connections(seen: &mut Seen) {
    let world = World::new();
    let asked = |attempt: Attempt| {
        let fails = attempt.number == 2;
        async move {
            match fails {
                true => Err(format!("no ticket for {SECRET}")),
                false => Ok(url()),
            }
        }
    };
    let source = Source::provider(asked);
    seen.debug(&source);
    let options = Options::default()
        .max_queued_messages(1)
        .max_message_bytes(Some(1_000));
    let builder = Socket::<String, String, PlainText>::builder(source)
        .protocols([SECRET])
        .options(options)
        .heartbeat(format!("ping {SECRET}").into(), |message| {
            *message == Message::from(SECRET)
        })
        .platform(world.platform());
    seen.debug(&builder);
    let mut socket = builder.connect().expect("it is all in order");
    let mut events = socket.events();
    let handle = socket.handle();
    seen.debug(&socket);
    seen.debug(&handle);
    world.run();

    // Queued, refused, dropped, sent.
    let secret = format!("secret: {SECRET}");
    seen.debug(&handle.try_send(&secret));
    seen.error(&handle.try_send(&secret).expect_err("the queue is full"));
    let volatile = SendMode {
        volatile: true,
        ..SendMode::default()
    };
    seen.debug(&handle.try_send_with(&secret, volatile));
    world.connection(0).open_with_protocol(SECRET);
    seen.debug(&handle.try_send(&secret));
    world.connection(0).send(secret.as_str());
    let received = socket.next().now_or_never().flatten();
    assert_eq!(received, Some(Ok(secret.clone())));

    // A message of the wrong kind, and one that is too big.
    world.connection(0).send(SECRET.as_bytes());
    let error = socket.next().now_or_never().flatten();
    seen.error(&error.expect("an item").expect_err("of the wrong kind"));
    world.connection(0).send(SECRET.repeat(1_000).as_str());
    assert_eq!(handle.phase(), steady_socket::Phase::Waiting, "{TOO_BIG:?}");

    // The provider fails, the server closes with the secret in its reason, the browser's send fails.
    world.advance(Duration::from_secs(60));
    let newest = world.last();
    newest.open();
    newest.report(SocketEvent::Error(Some(format!("{SECRET} is down"))));
    newest.close(4001, SECRET);
    world.set_handshake(Handshake::Open);
    world.advance(Duration::from_secs(60));
    world.last().fail_sends(true);
    seen.debug(&handle.try_send(&secret));
    world.refuse_sockets(true);
    world.advance(Duration::from_secs(60));

    let error = handle.close(Some(1), SECRET);
    seen.error(&error.expect_err("the code is none for applications"));
    let error = handle.close(Some(4000), &SECRET.repeat(20));
    seen.error(&error.expect_err("the reason is too long"));
    handle.close(Some(4000), SECRET).expect("this one is right");
    world.advance(Duration::from_secs(60));
    seen.error(&handle.try_send(&secret).expect_err("it is closed"));

    let events: Vec<_> = core::iter::from_fn(|| events.next().now_or_never().flatten()).collect();
    let reasons = |event: &Event<Message>| match event {
        Event::Closed(closed) => closed.loss.close.reason == SECRET,
        _ => false,
    };
    assert!(
        events.iter().any(reasons),
        "the application gets the reason"
    );
    for event in &events {
        writeln!(seen.0, "{event}").expect("a String takes all");
        // The reason is the server's text for the application: the event has it, and so has its
        // `Debug`. Nothing else does.
        if !reasons(event) {
            seen.debug(event);
        }
    }
    drop(socket);
    seen.error(&handle.reconnect().expect_err("it was dropped"));
    seen.debug(&handle);
    seen.debug(&world);
}

/// Invalid settings.
fn refused_connections(seen: &mut Seen) {
    let world = World::new();
    world.set_secure(true);
    let connect = |url: String, protocols: &[&str]| -> ConnectError {
        let protocols: Vec<String> = protocols.iter().map(|&name| name.to_owned()).collect();
        Socket::<String, String, PlainText>::builder(url)
            .protocols(Source::from(protocols))
            .platform(world.platform())
            .connect()
            .map(drop)
            .expect_err("it is refused")
    };
    seen.error(&connect(format!("ftp://example.org/{SECRET}"), &[]));
    seen.error(&connect(format!("{}#{SECRET}", url()), &[]));
    // On a secure page.
    seen.error(&connect(format!("ws://example.org/?{SECRET}"), &[]));
    seen.error(&connect(url(), &[&format!("{SECRET} with spaces")]));
    seen.error(&connect(url(), &[SECRET, SECRET]));
    let options = Options::default().growth_factor(0.0);
    let refused = Socket::<String, String, PlainText>::builder(url())
        .options(options)
        .platform(world.platform())
        .connect();
    seen.error(&refused.map(drop).expect_err("the option is out of range"));
    // Natively there is no browser.
    let refused = Socket::<String, String, PlainText>::connect(url());
    seen.error(&refused.map(drop).expect_err("there is no browser"));
}

/// Messages that cannot be decoded.
fn typed_messages(seen: &mut Seen) {
    let world = World::new();
    let base = format!("wss://example.org/{SECRET}");
    let mut json = endpoint::<Hello, Json>(&base)
        .platform(world.platform())
        .connect()
        .expect("it is all in order");
    let hello = ClientMessage::Hello {
        name: SECRET.to_owned(),
    };
    json.handle().try_send(&hello).expect("there is room");
    world.connection(0).open();
    for text in [
        format!("{SECRET} is no JSON"),
        format!(r#"{{"type":"{SECRET}"}}"#),
        format!(r#"{{"type":"greeting","text":["{SECRET}"]}}"#),
        format!(r#"{{"type":"greeting","text":"{SECRET}"#),
    ] {
        world.connection(0).send(text.as_str());
        let item = json.next().now_or_never().flatten().expect("an item");
        let error = item.expect_err("it cannot be decoded");
        let excerpt = error.excerpt().expect("there was something in it");
        assert!(excerpt.contains(SECRET), "the accessor has it: {excerpt}");
        seen.error(&error);
    }

    let mut msgpack = endpoint::<Hello, MsgPack>(&base)
        .platform(world.platform())
        .connect()
        .expect("it is all in order");
    world.connection(1).open();
    let secret = SECRET.as_bytes();
    let text = [&[0xa0 | secret.len() as u8], secret].concat();
    for bytes in [secret.to_vec(), [&[0xc1], secret].concat(), text] {
        world.connection(1).send(bytes);
        let item = msgpack.next().now_or_never().flatten().expect("an item");
        seen.error(&item.expect_err("it cannot be decoded"));
    }
}
