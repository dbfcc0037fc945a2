//! The kit for users' native tests: every fault, what is left, and what its panics say.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use futures_util::{FutureExt, StreamExt};
use steady_socket::platform::{
    Platform as _, RawSocket, Refused, SocketEvent, SocketListener, Target,
};
use steady_socket::protocol::hello::{ClientMessage, Hello};
use steady_socket::protocol::{Json, PlainText};
use steady_socket::testing::{Closing, Handshake, State, World};
use steady_socket::{Message, Options, Phase, Socket, endpoint};

type Text = Socket<String, String, PlainText>;

fn connect(world: &World) -> Text {
    Text::builder("ws://example.org/chat")
        .platform(world.platform())
        .connect()
        .expect("the URL and the options are right")
}

/// An open connection.
fn open() -> (World, Text) {
    let world = World::new();
    let socket = connect(&world);
    world.last().open();
    (world, socket)
}

fn send(socket: &Text, message: &str) {
    let sent = socket.handle().try_send(message);
    sent.expect("there is room");
}

/// The panic message of a failed test.
#[track_caller]
fn told(act: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(act)).expect_err("it has to panic");
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*panic.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

#[test]
fn handshakes_are_answered_as_the_world_says() {
    let world = World::new();
    let socket = connect(&world);
    world.run();
    assert_eq!(world.last().state(), State::Connecting);
    world.last().refuse();
    assert_eq!(
        world.last().end().map(|end| (end.code, end.clean)),
        Some((1006, false))
    );

    world.set_handshake(Handshake::Refuse);
    world.advance(Duration::from_secs(60));
    assert!(world.connection_count() > 2);
    assert_eq!(socket.handle().phase(), Phase::Waiting);

    world.set_handshake(Handshake::Open);
    world.advance(Duration::from_secs(30));
    assert_eq!(socket.handle().phase(), Phase::Open);
}

#[test]
fn the_first_sub_protocol_is_selected() {
    for handshake in [Handshake::Open, Handshake::Stall] {
        let world = World::new();
        world.set_handshake(handshake);
        let socket = endpoint::<Hello, Json>("ws://example.org")
            .platform(world.platform())
            .connect()
            .unwrap();
        world.run();
        // The test answers what would otherwise stay unanswered.
        if handshake == Handshake::Stall {
            world.last().open();
        }
        let offered = world.last().offered_protocols();
        assert_eq!(socket.handle().protocol().as_ref(), Ok(&offered[0]));
    }
}

#[test]
fn values_pass_through_a_codec() {
    let world = World::new();
    let mut socket = endpoint::<Hello, Json>("ws://example.org")
        .platform(world.platform())
        .connect()
        .unwrap();
    world.last().open();
    let hello = ClientMessage::Hello { name: "Ada".into() };
    socket.handle().try_send(&hello).unwrap();
    assert_eq!(world.last().receive_value::<Json, ClientMessage>(), hello);
    world
        .last()
        .send(r#"{"type":"greeting","text":"Hello Ada!"}"#);
    let greeting = socket.next().now_or_never().flatten().unwrap().unwrap();
    world.last().send_value::<Json, _>(&greeting);
    assert_eq!(socket.next().now_or_never().flatten(), Some(Ok(greeting)));
    let said = told(|| {
        socket.handle().try_send(&hello).unwrap();
        let _ = world.last().receive_value::<Json, u32>();
    });
    assert!(said.contains("message 2 is \"{"), "{said}");
}

#[test]
fn the_server_answers_messages() {
    let (world, mut socket) = open();
    world.on_message(|connection, message| connection.send(message));
    send(&socket, "echo");
    assert_eq!(socket.next().now_or_never(), None, "not inside of the send");
    world.run();
    assert_eq!(
        socket.next().now_or_never(),
        Some(Some(Ok("echo".to_owned())))
    );
}

#[test]
fn what_is_expected_and_what_came_is_told() {
    let (world, socket) = open();
    send(&socket, "one");
    send(&socket, "two");
    world.last().expect("one");
    let said = told(|| world.last().expect("three"));
    assert_eq!(
        said,
        "connection 0 to ws://example.org/chat: expected message 2 to be \"three\", but it is \"two\""
    );
    let said = told(|| drop(world.last().receive()));
    assert_eq!(
        said,
        "connection 0 to ws://example.org/chat: expected message 3, which did not come. It is open; 2 messages \
         came: \"one\", \"two\""
    );
    world.last().close(1001, "away");
    for (what, said) in [
        ("send", told(|| world.last().send("late"))),
        ("cut", told(|| world.last().cut())),
        ("half_open", told(|| world.last().half_open())),
        ("finish_close", told(|| world.last().finish_close())),
    ] {
        assert!(
            said.contains(&format!("{what}: it is closed; this takes one that is")),
            "{said}"
        );
    }
    assert!(told(|| drop(world.connection(7))).contains("there is no connection 7; there are 1"));
}

#[test]
fn every_code_that_a_frame_can_carry() {
    for code in [1000, 1003, 1007, 1012, 1014, 3000, 4999] {
        let (world, _socket) = open();
        world.last().close(code, "");
        assert_eq!(world.last().end().map(|end| end.code), Some(code));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let (world, _socket) = open();
        let said = told(|| world.last().close(code, ""));
        assert!(
            said.contains("cannot be in a Close frame; it takes 1000 to 1014"),
            "{said}"
        );
    }
    let (world, _socket) = open();
    assert!(told(|| world.last().close(1000, &"x".repeat(124))).contains("has 124 bytes"));
    world.last().close_without_code();
    assert_eq!(
        world.last().end().map(|end| (end.code, end.clean)),
        Some((1005, true))
    );
}

#[test]
fn a_half_open_connection_looks_open_and_passes_nothing() {
    let (world, mut socket) = open();
    world.last().half_open();
    send(&socket, "lost?");
    world.last().send("held back");
    assert_eq!(socket.next().now_or_never(), None);
    assert_eq!(world.last().received(), []);
    assert_eq!(socket.handle().buffered_amount(), Ok(5));
    assert_eq!(socket.handle().phase(), Phase::Open);
    assert!(told(|| world.last().drain(1)).contains("nothing passes before resume()"));
    world.last().resume();
    world.last().expect("lost?");
    assert_eq!(
        socket.next().now_or_never(),
        Some(Some(Ok("held back".to_owned())))
    );

    world.last().half_open();
    socket.handle().close(None, "").unwrap();
    world.set_closing(Closing::Answer);
    world.run();
    assert_eq!(
        world.last().closed_with(),
        None,
        "the close does not arrive, either"
    );
    world.advance(Duration::from_secs(5));
    assert_eq!(socket.handle().phase(), Phase::Closed);
}

#[test]
fn a_held_connection_has_backpressure_until_it_is_drained() {
    let (world, socket) = open();
    world.last().hold();
    send(&socket, "1234");
    send(&socket, "56");
    assert_eq!(world.last().buffered_amount(), 6);
    world.last().drain(3);
    assert_eq!(
        (
            world.last().buffered_amount(),
            world.last().received().len()
        ),
        (3, 0)
    );
    world.last().drain(1);
    world.last().expect("1234");
    world.last().drain(u64::MAX);
    world.last().expect("56");
    send(&socket, "held again");
    assert_eq!(world.last().received().len(), 2);
    world.last().resume();
    world.last().expect("held again");
}

#[test]
fn closes_are_answered_as_the_world_says() {
    let (world, socket) = open();
    socket.handle().close(Some(4000), "done").unwrap();
    world.run();
    assert_eq!(world.last().state(), State::Closing);
    assert_eq!(
        world.last().closed_with(),
        Some((Some(4000), "done".to_owned()))
    );
    world.last().finish_close();
    assert_eq!(world.last().end().map(|end| end.code), Some(4000));

    let world = World::new();
    world.set_closing(Closing::Answer);
    for handshake in [Handshake::Open, Handshake::Stall] {
        world.set_handshake(handshake);
        let socket = connect(&world);
        world.run();
        socket.handle().close(None, "").unwrap();
        world.run();
        assert_eq!(socket.handle().phase(), Phase::Closed, "{handshake:?}");
    }
}

#[test]
fn a_world_that_is_not_idle_tells_what_is_left() {
    let world = World::new();
    world.assert_idle();
    world.set_handshake(Handshake::Open);
    let options = Options::default().heartbeat_interval(Some(Duration::from_secs(20)));
    let socket = Text::builder("ws://example.org/chat")
        .platform(world.platform())
        .options(options)
        .heartbeat(Message::from("ping"), |message| {
            *message == Message::from("pong")
        })
        .connect()
        .unwrap();
    let said = told(|| world.assert_idle());
    assert_eq!(
        said,
        "the world is not idle:\n- connection 0 to ws://example.org/chat is open: its client did not close it\
         \n- 1 timer(s) armed\n- 1 listener(s) to the page"
    );
    drop(socket);
    world.assert_idle();
}

#[test]
fn tasks_that_make_each_other_ready_all_run() {
    /// A baton that one task awaits and another passes on.
    #[derive(Default)]
    struct Baton(Cell<bool>, RefCell<Option<Waker>>);

    impl Baton {
        fn give(&self) {
            self.0.set(true);
            let waiting = self.1.borrow_mut().take();
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    let world = World::new();
    let batons: Vec<_> = (0..5).map(|_| Rc::new(Baton::default())).collect();
    // Each task waits for the baton of the one after it, so that every pass over them moves it by one; none ends.
    for pair in batons.windows(2) {
        let [to, from] = [&pair[0], &pair[1]].map(Rc::clone);
        world.platform().spawn(Box::pin(poll_fn(move |context| {
            if from.0.take() {
                to.give();
            }
            *from.1.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })));
    }
    world.run();
    batons[4].give();
    world.run();
    assert!(batons[0].0.get());
}

#[test]
fn a_chance_that_is_none_is_refused() {
    for chance in [-0.1, 1.1, f64::NAN] {
        let said = told(|| World::new().set_chance(chance));
        assert_eq!(
            said,
            format!("set_chance: it takes a number from 0 to 1, and got {chance}")
        );
    }
}

#[test]
fn urls_are_refused_as_a_browser_refuses_them() {
    let world = World::new();
    let connects = |url: &str| {
        let made = Text::builder(url).platform(world.platform()).connect();
        made.map(drop).map_err(|error| error.to_string())
    };
    for url in [
        "ws://example.org",
        "WSS://example.org:443/x?y=:80",
        "http://127.0.0.1:8765/",
        "ws://[::1]:80/",
        "ws://user:pass@example.org/",
        "ws:example.org",
        "//example.org/chat",
        "/chat",
        "chat",
        "chat/a:b",
        "?room=a:b",
        " /chat ",
    ] {
        assert_eq!(connects(url), Ok(()), "{url}");
    }
    for (url, why) in [
        // The part before the colon is a scheme.
        ("localhost:80", "localhost:"),
        ("localhost:8765/chat", "localhost:"),
        ("example.org:443", "example.org:"),
        ("ftp://example.org/", "ftp:"),
        ("mailto:a@example.org", "mailto:"),
        ("ws://", "parsed"),
        ("ws:///", "parsed"),
        ("ws://:80/", "parsed"),
        ("ws://example.org:port/", "parsed"),
        ("ws://example.org:65536/", "parsed"),
        ("ws://exa mple.org/", "parsed"),
        ("ws://example.org/#here", "fragment"),
        ("/chat#here", "fragment"),
    ] {
        let error = connects(url).expect_err(url);
        assert!(error.contains(why), "{url}: {error}");
    }
}

/// One case of the table that the tests of both kits run.
struct Case {
    title: &'static str,
    world: World,
    socket: Option<Rc<dyn RawSocket<Message>>>,
    offers: Vec<String>,
    /// What the socket has emitted since the last step.
    events: Rc<RefCell<Vec<String>>>,
}

impl Case {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            world: World::new(),
            socket: None,
            offers: Vec::new(),
            events: Rc::default(),
        }
    }

    fn with(&mut self, settings: &str) {
        match settings.split_once(' ').expect("a setting") {
            ("offers", names) => self.offers = names.split(' ').map(str::to_owned).collect(),
            ("handshake", "open") => self.world.set_handshake(Handshake::Open),
            ("handshake", "refuse") => self.world.set_handshake(Handshake::Refuse),
            ("closing", "answer") => self.world.set_closing(Closing::Answer),
            other => panic!("unknown setting {other:?}"),
        }
    }

    /// The client's end, which is made by the first step.
    fn socket(&mut self) -> Rc<dyn RawSocket<Message>> {
        let Self { world, events, .. } = self;
        let socket = self.socket.get_or_insert_with(|| {
            let target = Target {
                url: "ws://example.org/chat".to_owned(),
                protocols: self.offers.clone(),
            };
            let listener = Log(Rc::clone(events));
            world
                .connect(&target, None, Rc::new(listener))
                .expect("the world makes sockets")
        });
        Rc::clone(socket)
    }

    fn query(&self, what: &str) -> Option<String> {
        let connection = self.world.last();
        let or_nothing = |text: String| match text.as_str() {
            "" => "nothing".to_owned(),
            _ => text,
        };
        Some(match what {
            "received" => {
                let received = connection.received();
                let texts: Vec<_> = received.iter().map(text_of).collect();
                or_nothing(texts.join(" "))
            }
            "protocol" => or_nothing(self.socket.as_ref()?.protocol()),
            "buffered" => connection.buffered_amount().to_string(),
            "closed with" => match connection.closed_with() {
                None => "nothing".to_owned(),
                Some((None, _)) => "no code".to_owned(),
                Some((Some(code), reason)) => format!("{code} {reason}").trim().to_owned(),
            },
            _ => return None,
        })
    }

    /// Does what a step says; fails or panics if that is impossible.
    fn act(&mut self, action: &str) -> Result<(), Refused> {
        let socket = self.socket();
        let connection = self.world.last();
        let words: Vec<_> = action.split(' ').collect();
        let code = |code: &&str| code.parse::<u16>().expect("a code");
        match words[..] {
            ["settle"] => self.world.run(),
            ["client", "close"] => socket.close(None, ""),
            ["client", "close", ref rest @ ..] => {
                socket.close(rest.first().map(code), rest.get(1).unwrap_or(&""));
            }
            ["client", "send", text] => return socket.send(&text.into()),
            ["open"] => connection.open(),
            ["open", protocol] => connection.open_with_protocol(protocol),
            ["refuse"] => connection.refuse(),
            ["send", text] => connection.send(text),
            ["close"] => connection.close_without_code(),
            ["close", ref rest @ ..] => {
                connection.close(code(&rest[0]), rest.get(1).unwrap_or(&""));
            }
            ["finish", "close"] => connection.finish_close(),
            ["cut"] => connection.cut(),
            ["cut", "with", "error"] => connection.cut_with_error(),
            ["half-open"] => connection.half_open(),
            ["hold"] => connection.hold(),
            ["drain", bytes] => connection.drain(bytes.parse().expect("a number")),
            ["resume"] => connection.resume(),
            _ => panic!("unknown action {action}"),
        }
        Ok(())
    }

    fn step(&mut self, line: &str) {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        // It is made by the first step.
        self.socket();
        if let Some(found) = self.query(columns[0]) {
            assert_eq!(found, columns[1], "{}: {line}", self.title);
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| {
            columns[0]
                .split(", ")
                .try_for_each(|action| self.act(action))
        }));
        if columns[1] == "impossible" {
            let is_impossible = matches!(done, Err(_) | Ok(Err(_)));
            assert!(is_impossible, "{}: {line}", self.title);
            return;
        }
        assert!(matches!(done, Ok(Ok(()))), "{}: {line}", self.title);
        let state = self.world.last().state().to_string();
        let events = self.events.take().join(", ");
        let expected = [columns[1], columns[2]];
        assert_eq!(
            [state.as_str(), events.as_str()],
            expected,
            "{}: {line}",
            self.title
        );
    }
}

/// Writes down what a socket reports.
struct Log(Rc<RefCell<Vec<String>>>);

impl SocketListener<Message> for Log {
    fn message(&self, payload: Message, _: usize) {
        let line = format!("message {}", text_of(&payload));
        self.0.borrow_mut().push(line);
    }

    fn event(&self, event: SocketEvent) {
        self.0.borrow_mut().push(named(event));
    }
}

fn named(event: SocketEvent) -> String {
    match event {
        SocketEvent::Opened => "open".to_owned(),
        SocketEvent::TooBig => "too big".to_owned(),
        SocketEvent::Error(_) => "error".to_owned(),
        SocketEvent::Closed(end) => {
            let clean = if end.clean { "clean" } else { "" };
            let parts = [&*end.code.to_string(), &*end.reason, clean];
            let parts = parts.iter().filter(|part| !part.is_empty());
            parts.fold("close".to_owned(), |text, part| text + " " + part)
        }
    }
}

fn text_of(message: &Message) -> String {
    match message {
        Message::Text(text) => text.clone(),
        Message::Binary(bytes) => format!("{bytes:?}"),
    }
}

#[test]
fn a_connection_does_what_the_table_of_both_kits_says() {
    let mut case: Option<Case> = None;
    let mut wrong = Vec::new();
    let mut has_failed = false;
    for line in include_str!("kit.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("case ") {
            case = Some(Case::new(title));
            has_failed = false;
            continue;
        }
        let case = case.as_mut().expect("a case");
        if let Some(settings) = line.strip_prefix("with ") {
            case.with(settings);
        } else if !has_failed {
            let step = catch_unwind(AssertUnwindSafe(|| case.step(line)));
            if let Err(panic) = step {
                has_failed = true;
                let text = panic.downcast_ref::<String>().cloned();
                wrong.push(text.unwrap_or_else(|| format!("{}: {line}", case.title)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
