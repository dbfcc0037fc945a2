//! Sessions of the Rust API, on virtual time, against the server's real half.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use futures_util::FutureExt;
use steady_socket::protocol::session::frame::{Answer, Refusal, Why};
use steady_socket::protocol::session::{AskEnd, End, Ended, NotHandled};
use steady_socket::testing::{Closing, Handshake, SessionServer, World};
use steady_socket::{
    Builder, ConnectError, Event, Events, Json, Message, Options, Phase, PlainText, Request,
    RequestError, SendError, Session, SessionEvent, Socket, Unwelcomed,
};

type Chat = Socket<String, String, Json>;

const SECOND: Duration = Duration::from_secs(1);

/// A world with a server that speaks sessions, and waits that are as short as possible.
fn world() -> (World, SessionServer) {
    let world = World::new();
    world.set_chance(0.0);
    world.set_handshake(Handshake::Open);
    world.set_closing(Closing::Answer);
    let server = SessionServer::start::<Json>(&world);
    (world, server)
}

fn builder(world: &World) -> Builder<String, String, Json> {
    Chat::builder("wss://example.org/chat")
        .platform(world.platform())
        .protocols(["chat.json"])
        .session(Session::required())
}

fn chat(world: &World) -> Chat {
    let socket = builder(world).connect().unwrap();
    world.run();
    socket
}

/// What happened since the last call, as text.
fn log(events: &mut Events) -> Vec<String> {
    let mut log = Vec::new();
    while let Some(Some(event)) = events.recv().now_or_never() {
        log.push(event.to_string());
    }
    log
}

fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| match message {
        Message::Text(text) => text.clone(),
        Message::Binary(bytes) => format!("{bytes:?}"),
    };
    messages.iter().map(text).collect()
}

fn json(text: &str) -> Message {
    format!("{text:?}").into()
}

/// Cuts the connection, and lets the client come back.
fn cut(world: &World) {
    world.last().cut();
    world.advance(SECOND);
}

#[test]
fn nothing_is_lost_when_the_connection_breaks() {
    let (world, server) = world();
    let mut socket = chat(&world);
    let mut events = socket.events();
    assert_eq!(
        world.last().offered_protocols(),
        ["chat.json~2", "chat.json"]
    );
    socket.try_send("one").unwrap();
    world.last().half_open();
    for text in ["two", "three"] {
        socket.try_send(text).unwrap();
        server.send(json(text));
    }
    assert!(socket.recv().now_or_never().is_none());
    cut(&world);
    socket.try_send("four").unwrap();
    world.advance(SECOND);
    assert_eq!(
        texts(&server.received()),
        ["\"one\"", "\"two\"", "\"three\"", "\"four\""]
    );
    let mut read = Vec::new();
    while let Some(Some(Ok(text))) = socket.recv().now_or_never() {
        read.push(text);
    }
    assert_eq!(read, ["two", "three"]);
    world.advance(SECOND * 2);
    assert_eq!(
        server
            .ends()
            .iter()
            .filter(|(_, end)| end.is_none())
            .count(),
        2
    );
    assert!(log(&mut events).contains(&"session resumed, 2 replayed".to_owned()));
    assert_eq!(world.connection_count(), 2);
}

#[test]
fn an_unread_message_is_not_handled() {
    let (world, server) = world();
    let mut socket = chat(&world);
    server.send(json("one"));
    server.send(json("two"));
    assert_eq!(
        socket.recv().now_or_never(),
        Some(Some(Ok("one".to_owned())))
    );
    world.advance(SECOND * 3);
    assert_eq!(server.ends(), []);
    // Who asks for the next is done with the one before.
    assert_eq!(
        socket.recv().now_or_never(),
        Some(Some(Ok("two".to_owned())))
    );
    world.advance(SECOND * 3);
    assert_eq!(server.ends().len(), 1);
    assert_eq!(socket.recv().now_or_never(), None);
    world.advance(SECOND * 3);
    assert_eq!(server.ends().len(), 2);
}

#[test]
fn a_handler_that_has_returned_has_handled() {
    let (world, server) = world();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = Rc::clone(&seen);
    let _socket = builder(&world)
        .on_message(move |handle, message| {
            let message = message.unwrap();
            handle.try_send(&message).unwrap();
            kept.borrow_mut().push(message);
        })
        .connect()
        .unwrap();
    world.run();
    server.send(json("one"));
    cut(&world);
    server.send(json("two"));
    world.advance(SECOND * 2);
    assert_eq!(*seen.borrow(), ["one", "two"]);
    assert_eq!(texts(&server.received()), ["\"one\"", "\"two\""]);
    assert_eq!(server.ends().len(), 2);
}

#[test]
fn a_delivery_says_how_it_ended() {
    let (world, server) = world();
    let socket = chat(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    server.hold(true);
    let mut one = handle.deliver("one").unwrap();
    let mut two = handle.deliver("two".to_owned()).unwrap();
    world.run();
    assert!((&mut one).now_or_never().is_none());
    server.hold(false);
    world.run();
    assert_eq!((&mut one).now_or_never(), Some(Ok(())));
    assert_eq!((&mut two).now_or_never(), Some(Ok(())));
    // The server forgets everything while one is with its application and one is on its way.
    server.hold(true);
    let given = handle.deliver("three").unwrap();
    handle.try_send("not awaited").unwrap();
    // Nor this, any more. So the event reports both.
    drop(handle.deliver("alone").unwrap());
    world.run();
    world.last().half_open();
    let unsent = handle.deliver("four").unwrap();
    server.forget();
    server.hold(false);
    world.advance(SECOND);
    assert!(matches!(
        given.now_or_never(),
        Some(Err(End::Unknown {
            payload: "three",
            why: Ended::Lost(_)
        }))
    ));
    assert!(matches!(
        unsent.now_or_never(),
        Some(Err(End::Unknown {
            payload: "four",
            ..
        }))
    ));
    let log = log(&mut events);
    assert!(
        log.contains(
            &"session lost: the session was lost: the server does not remember it; messages handled 0, \
              not handled 0, unknown 2"
                .to_owned()
        ),
        "{log:#?}"
    );
    // The fresh session works.
    let five = handle.deliver("five").unwrap();
    world.run();
    assert_eq!(five.now_or_never(), Some(Ok(())));
}

#[test]
fn what_was_not_given_comes_back_when_the_session_expires() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    server.hold(true);
    let given = handle.deliver("given").unwrap();
    world.run();
    world.last().half_open();
    let lost = handle.deliver("lost").unwrap();
    world.set_handshake(Handshake::Refuse);
    world.last().cut();
    world.advance(Duration::from_secs(200));
    // It had no number, so it goes into the fresh session.
    let queued = handle.deliver("queued").unwrap();
    server.hold(false);
    world.set_handshake(Handshake::Open);
    world.advance(Duration::from_secs(60));
    assert!(matches!(
        given.now_or_never(),
        Some(Err(End::Unknown {
            payload: "given",
            ..
        }))
    ));
    assert_eq!(
        lost.now_or_never(),
        Some(Err(End::NotHandled {
            payload: "lost",
            why: NotHandled::Session(Ended::Lost(
                steady_socket::protocol::session::frame::Why::Expired
            )),
        }))
    );
    assert_eq!(queued.now_or_never(), Some(Ok(())));
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Add(u32, u32);

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum AddError {
    TooLarge,
}

impl Request for Add {
    type Response = u32;
    type Error = AddError;
}

#[test]
fn a_request_has_one_answer_over_any_number_of_connections() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    let mut asking = handle.request(Add(1, 2));
    let wrong = handle.request(Add(3, 4));
    let refused = handle.request(Add(5, 6));
    world.run();
    let requests = server.requests();
    assert_eq!(requests[0].1, "[1,2]".into());
    cut(&world);
    world.last().half_open();
    server.answer(requests[0].0, Answer::Response("3".into()));
    assert!((&mut asking).now_or_never().is_none());
    cut(&world);
    server.answer(requests[1].0, Answer::Error("\"TooLarge\"".into()));
    server.answer(requests[2].0, Answer::Refused(Refusal::NoHandler));
    world.run();
    assert_eq!(asking.now_or_never(), Some(Ok(3)));
    assert_eq!(
        wrong.now_or_never(),
        Some(Err(RequestError::Application(AddError::TooLarge)))
    );
    assert_eq!(
        refused.now_or_never(),
        Some(Err(RequestError::Refused(Refusal::NoHandler)))
    );
    assert_eq!(server.requests(), []);
}

#[test]
fn a_request_that_is_dropped_or_late_is_cancelled() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    let late = handle.request_within(Add(1, 2), SECOND);
    let dropped = handle.request(Add(3, 4));
    world.run();
    assert_eq!(server.requests().len(), 2);
    drop(dropped);
    world.run();
    assert_eq!(server.requests().len(), 1);
    world.advance(SECOND);
    assert_eq!(late.now_or_never(), Some(Err(RequestError::TimedOut)));
    assert_eq!(server.requests(), []);
}

#[test]
fn the_server_asks_and_may_cancel() {
    let (world, server) = world();
    let _socket = builder(&world)
        .on_request(async |Add(a, b): Add| match (a, b) {
            (0, _) => core::future::pending().await,
            (1, _) => Err(AddError::TooLarge),
            _ => Ok(a + b),
        })
        .connect()
        .unwrap();
    world.run();
    let sum = server.ask("[2,3]");
    let error = server.ask("[1,1]");
    let never = server.ask("[0,0]");
    let malformed = server.ask("\"what\"");
    cut(&world);
    server.cancel(never);
    world.run();
    let mut answers = server.answers();
    answers.sort_by_key(|(ask, _)| *ask);
    assert_eq!(
        answers,
        [
            (sum, AskEnd::Response("5".into())),
            (error, AskEnd::Error("\"TooLarge\"".into())),
            (never, AskEnd::Cancelled),
            (malformed, AskEnd::Refused(Refusal::NoHandler)),
        ]
    );
}

#[test]
fn a_program_without_a_handler_refuses_requests() {
    let (world, server) = world();
    let _socket = chat(&world);
    let ask = server.ask("1");
    world.run();
    assert_eq!(
        server.answers(),
        [(ask, AskEnd::Refused(Refusal::NoHandler))]
    );
}

#[test]
fn closing_waits_until_everything_is_handled() {
    let (world, server) = world();
    let socket = chat(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    server.hold(true);
    let one = handle.deliver("one").unwrap();
    world.run();
    handle.close(Some(4001), "bye").unwrap();
    assert_eq!(handle.try_send("two"), Err(SendError::Closed));
    assert_eq!(handle.phase(), Phase::Closing);
    world.advance(SECOND);
    // It comes back for what is not handled, and the program sees none of that.
    handle.suspend(None, "").unwrap();
    cut(&world);
    assert_eq!(world.connection_count(), 2);
    assert_eq!(handle.phase(), Phase::Closing);
    server.hold(false);
    world.advance(SECOND);
    assert_eq!(one.now_or_never(), Some(Ok(())));
    assert_eq!(handle.phase(), Phase::Closed);
    assert_eq!(
        world.last().closed_with(),
        Some((Some(4001), "bye".to_owned()))
    );
    assert_eq!(server.ended(), Some(Ended::ByPeer));
    let log = log(&mut events);
    let begin = |line: &&String| {
        [
            "closing",
            "closed",
            "session ended",
            "waiting",
            "open",
            "connecting",
            "socket",
        ]
        .iter()
        .any(|begin| line.starts_with(begin))
    };
    let seen: Vec<_> = log
        .iter()
        .filter(begin)
        .map(|line| line.split([' ', ':']).next())
        .collect();
    assert_eq!(
        seen,
        [
            Some("closing"),
            Some("session"),
            Some("closed"),
            Some("socket")
        ],
        "{log:#?}"
    );
    assert!(
        log.iter()
            .any(|line| line.starts_with("session ended: the session was closed"))
    );
    // A reconnect begins another session.
    handle.reconnect().unwrap();
    world.run();
    let again = handle.deliver("again").unwrap();
    world.run();
    assert_eq!(again.now_or_never(), Some(Ok(())));
    drop(socket);
    drop(server);
    world.assert_idle();
}

#[test]
fn closing_does_not_wait_longer_than_the_timeout() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    server.hold(true);
    let given = handle.deliver("given").unwrap();
    world.run();
    world.last().half_open();
    let lost = handle.deliver("lost").unwrap();
    handle.close(None, "").unwrap();
    world.advance(SECOND * 20);
    assert_eq!(handle.phase(), Phase::Closed);
    for end in [given.now_or_never(), lost.now_or_never()] {
        assert!(
            matches!(
                end,
                Some(Err(End::Unknown {
                    why: Ended::Closed,
                    ..
                }))
            ),
            "{end:?}"
        );
    }
}

#[test]
fn dropping_the_socket_settles_everything() {
    let (world, server) = world();
    let socket = chat(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    server.hold(true);
    let delivery = handle.deliver("one").unwrap();
    let request = handle.request(Add(1, 2));
    world.run();
    drop(socket);
    world.run();
    assert!(matches!(
        delivery.now_or_never(),
        Some(Err(End::Unknown { .. }))
    ));
    assert_eq!(
        request.now_or_never(),
        Some(Err(RequestError::Unknown(Ended::Closed)))
    );
    assert!(
        log(&mut events)
            .iter()
            .any(|line| line.starts_with("session ended"))
    );
    assert_eq!(server.ended(), Some(Ended::ByPeer));
    drop(server);
    world.assert_idle();
}

#[test]
fn a_final_loss_of_the_connection_settles_everything() {
    let (world, _server) = world();
    let options = Options::default().max_retries(Some(0));
    let socket = builder(&world).options(options).connect().unwrap();
    world.run();
    let handle = socket.handle();
    world.last().half_open();
    let delivery = handle.deliver("one").unwrap();
    world.last().cut();
    world.run();
    assert_eq!(handle.phase(), Phase::Closed);
    assert!(matches!(
        delivery.now_or_never(),
        Some(Err(End::Unknown {
            payload: "one",
            why: Ended::Aborted
        }))
    ));
}

#[test]
fn a_server_without_sessions_ends_a_program_that_needs_one() {
    let world = World::new();
    let socket = builder(&world).connect().unwrap();
    let mut events = socket.events();
    let handle = socket.handle();
    let delivery = handle.deliver("one").unwrap();
    world.run();
    world.last().open_with_protocol("chat.json");
    world.set_closing(Closing::Answer);
    world.run();
    world.advance(SECOND * 60);
    assert_eq!(handle.phase(), Phase::Closed);
    assert_eq!(world.connection_count(), 1);
    assert_eq!(
        delivery.now_or_never(),
        Some(Err(End::NotHandled {
            payload: "one",
            why: NotHandled::Session(Ended::NotSpoken)
        }))
    );
    let log = log(&mut events);
    assert!(
        log.iter()
            .any(|line| line.starts_with("session ended: the server speaks no sessions")),
        "{log:#?}"
    );
    assert!(
        !log.iter().any(|line| line.contains("connected")),
        "{log:#?}"
    );
}

#[test]
fn a_program_that_can_do_without_a_session_goes_on_plain() {
    let world = World::new();
    let socket = Chat::builder("wss://example.org/chat")
        .platform(world.platform())
        .protocols(["chat.json~1", "chat.json"])
        .session(Session::optional())
        .connect()
        .unwrap();
    let mut socket = socket;
    let mut events = socket.events();
    socket.try_send("~one").unwrap();
    let delivery = socket.handle().deliver("two").unwrap();
    world.run();
    assert_eq!(
        world.last().offered_protocols(),
        ["chat.json~2", "chat.json~1", "chat.json"]
    );
    world.last().open_with_protocol("chat.json~1");
    world.run();
    world.last().expect(json("~one"));
    world.last().send(json("~hello"));
    assert_eq!(
        socket.recv().now_or_never(),
        Some(Some(Ok("~hello".to_owned())))
    );
    assert!(matches!(
        delivery.now_or_never(),
        Some(Err(End::NotHandled { .. }))
    ));
    assert!(matches!(
        socket.handle().deliver("three"),
        Err(SendError::NoSession)
    ));
    // It stays so.
    world.last().cut();
    world.advance(SECOND * 60);
    assert_eq!(
        world.last().offered_protocols(),
        ["chat.json~1", "chat.json"]
    );
    assert!(log(&mut events).contains(&"the server speaks no sessions".to_owned()));
}

#[test]
fn without_a_name_the_offer_itself_may_be_what_fails() {
    let world = World::new();
    world.set_chance(0.0);
    let socket = Socket::<String, String, PlainText>::builder("wss://example.org/chat")
        .platform(world.platform())
        .session(Session::optional())
        .connect()
        .unwrap();
    world.run();
    assert_eq!(world.last().offered_protocols(), ["steady~2"]);
    world.last().refuse();
    world.advance(Duration::from_millis(1));
    assert_eq!(world.connection_count(), 2);
    assert!(world.last().offered_protocols().is_empty());
    // That fails as well, so the server may be down.
    world.last().refuse();
    world.advance(SECOND * 10);
    assert_eq!(world.last().offered_protocols(), ["steady~2"]);
    world.last().refuse();
    world.advance(Duration::from_millis(1));
    world.last().open();
    socket.try_send("plain").unwrap();
    world.last().expect("plain");
}

#[test]
fn a_credential_is_shown_on_every_connection() {
    let (world, server) = world();
    let count = Rc::new(RefCell::new(0));
    let kept = Rc::clone(&count);
    let ticket = steady_socket::Source::provider(async move |_| {
        *kept.borrow_mut() += 1;
        Ok::<_, String>(format!("ticket-{}", kept.borrow()))
    });
    let _socket = builder(&world)
        .session(Session::required().credential(ticket))
        .connect()
        .unwrap();
    world.run();
    cut(&world);
    let shown: Vec<_> = server.credentials().into_iter().flatten().collect();
    assert_eq!(shown, ["ticket-1", "ticket-2"]);
}

#[test]
fn a_client_that_is_not_let_in_ends() {
    let (world, server) = world();
    server.refuse(true);
    let socket = chat(&world);
    let mut events = socket.events();
    world.advance(SECOND * 60);
    assert_eq!(socket.handle().phase(), Phase::Closed);
    assert_eq!(world.connection_count(), 1);
    drop(events.recv());
    assert!(socket.handle().try_send("one").is_err());
}

#[test]
fn a_connection_without_a_welcome_is_given_up() {
    let world = World::new();
    world.set_handshake(Handshake::Open);
    world.set_closing(Closing::Answer);
    let socket = builder(&world).connect().unwrap();
    let mut events = socket.events();
    world.advance(Duration::from_millis(14_999));
    assert_eq!(socket.handle().phase(), Phase::Connecting);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.last().closed_with().unwrap().0, Some(3473));
    let log = log(&mut events);
    assert!(!log.iter().any(|line| line.starts_with("open")), "{log:#?}");
    assert!(log.iter().any(|line| line.starts_with("error")), "{log:#?}");
}

#[test]
fn events_come_in_order() {
    let (world, server) = world();
    let order = Rc::new(RefCell::new(Vec::new()));
    let (on_event, on_message) = (Rc::clone(&order), Rc::clone(&order));
    let socket = builder(&world)
        .on_event(move |event| {
            let counts = match event {
                Event::QueueChanged(_) => true,
                Event::Session(event) => matches!(**event, SessionEvent::Unacknowledged(_)),
                _ => false,
            };
            if !counts {
                on_event.borrow_mut().push(event.to_string());
            }
        })
        .on_message(move |_, message| on_message.borrow_mut().push(message.unwrap()))
        .connect()
        .unwrap();
    world.run();
    world.last().half_open();
    server.send(json("missed"));
    order.borrow_mut().clear();
    cut(&world);
    let expected = [
        "waiting (attempt 2, in 0 ms): the policy for such a loss is to retry",
        "socket 1 closed: socket, code 1006, clean false, unconfirmed messages 0; the policy for such a loss is to retry",
        "connecting (attempt 2): the wait is over",
        "open (attempt 2): the handshake succeeded",
        "socket 2 reconnected",
        "session resumed, 1 replayed",
        "missed",
    ];
    assert_eq!(*order.borrow(), expected);
    drop(socket);
}

#[test]
fn what_waits_is_counted() {
    let (world, server) = world();
    let socket = chat(&world);
    server.hold(true);
    let handle = socket.handle();
    handle.try_send("one").unwrap();
    world.run();
    let snapshot = handle.snapshot().unwrap();
    assert_eq!(
        (snapshot.queued.messages, snapshot.unacknowledged.messages),
        (0, 1)
    );
    world.last().cut();
    handle.try_send("two").unwrap();
    let snapshot = handle.snapshot().unwrap();
    assert_eq!(
        (snapshot.queued.messages, snapshot.unacknowledged.messages),
        (1, 1)
    );
    assert_eq!(handle.buffered_amount(), Ok(5));
    world.advance(SECOND);
    server.hold(false);
    world.advance(SECOND * 2);
    let snapshot = handle.snapshot().unwrap();
    assert_eq!(
        (snapshot.queued.messages, snapshot.unacknowledged.messages),
        (0, 0)
    );
}

#[test]
fn a_full_window_stops_the_sender_and_wakes_it_again() {
    let (world, server) = world();
    let options = Options::default().max_queued_messages(2);
    let socket = builder(&world).options(options).connect().unwrap();
    world.run();
    server.hold(true);
    let handle = socket.handle();
    let mut sent = 0;
    while handle.try_send("x").is_ok() {
        sent += 1;
        assert!(sent < 2_000);
    }
    assert_eq!(sent, 1_002);
    let done = Rc::new(RefCell::new(false));
    let kept = Rc::clone(&done);
    let waiting = handle.clone();
    world.platform().spawn(Box::pin(async move {
        waiting.send("last").await.unwrap();
        *kept.borrow_mut() = true;
    }));
    world.run();
    assert!(!*done.borrow());
    server.hold(false);
    world.advance(SECOND * 2);
    assert!(*done.borrow());
    assert_eq!(server.received().len(), 1_003);
}

#[test]
fn what_excludes_a_session_is_an_error() {
    let (world, _server) = world();
    for options in [
        Options::default().gate(true),
        Options::default().reconnect(false),
    ] {
        let error = builder(&world).options(options).connect().unwrap_err();
        assert!(matches!(error, ConnectError::Session(_)), "{error}");
    }
    let error = builder(&world)
        .session(Session::required().credential("has a space"))
        .connect()
        .unwrap_err();
    assert!(error.to_string().contains("printable ASCII"), "{error}");
    let plain = Chat::builder("wss://example.org/")
        .platform(world.platform())
        .connect()
        .unwrap();
    assert!(matches!(
        plain.handle().deliver("one"),
        Err(SendError::NoSession)
    ));
}

#[test]
fn a_session_that_begins_after_another_settles_that_first() {
    let (world, server) = world();
    let mut socket = chat(&world);
    let handle = socket.handle();
    server.hold(true);
    server.send(json("read"));
    assert!(socket.recv().now_or_never().is_some());
    let given = handle.deliver("given").unwrap();
    let request = handle.request(Add(1, 2));
    world.run();
    world.last().cut();
    let queued = handle.deliver("queued").unwrap();
    // In one turn: the events of the end have no time to come.
    handle.close(None, "").unwrap();
    handle.reconnect().unwrap();
    let again = handle.deliver("again").unwrap();
    let other = handle.request(Add(3, 4));
    server.hold(false);
    world.advance(SECOND * 2);
    assert!(matches!(
        given.now_or_never(),
        Some(Err(End::Unknown {
            why: Ended::Closed,
            ..
        }))
    ));
    assert!(matches!(
        queued.now_or_never(),
        Some(Err(End::NotHandled { .. }))
    ));
    assert_eq!(
        request.now_or_never(),
        Some(Err(RequestError::Unknown(Ended::Closed)))
    );
    assert_eq!(again.now_or_never(), Some(Ok(())));
    let (token, payload) = server.requests().pop().unwrap();
    assert_eq!(payload, "[3,4]".into());
    server.answer(token, Answer::Response("7".into()));
    world.run();
    assert_eq!(other.now_or_never(), Some(Ok(7)));
    // What was read in the session before is none of this one's messages.
    server.send(json("unread"));
    assert!(socket.recv().now_or_never().is_some());
    world.advance(SECOND * 3);
    assert_eq!(server.ends(), []);
    assert_eq!(handle.phase(), Phase::Open);
}

#[test]
fn a_reconnect_while_closing_begins_another_session() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    let mut events = socket.events();
    server.hold(true);
    let given = handle.deliver("given").unwrap();
    handle.try_send("sent").unwrap();
    world.run();
    handle.close(None, "").unwrap();
    world.run();
    handle.reconnect().unwrap();
    let again = handle.deliver("again").unwrap();
    server.hold(false);
    world.advance(SECOND * 60);
    assert!(matches!(
        given.now_or_never(),
        Some(Err(End::Unknown { .. }))
    ));
    assert_eq!(again.now_or_never(), Some(Ok(())));
    assert_eq!(handle.phase(), Phase::Open);
    let log = log(&mut events);
    let of_session: Vec<_> = log
        .iter()
        .filter(|line| line.starts_with("session"))
        .collect();
    assert_eq!(
        log.iter()
            .filter(|line| line.starts_with("closing"))
            .count(),
        1,
        "{log:#?}"
    );
    assert_eq!(
        of_session,
        [
            "session ended: the session was closed at this end; messages handled 0, not handled 0, unknown 1",
            "session began"
        ],
        "{log:#?}"
    );
}

#[test]
fn messages_and_requests_go_in_the_order_of_the_calls() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    for text in ["one", "two", "three"] {
        handle.try_send(text).unwrap();
    }
    let sum = handle.request(Add(2, 3));
    handle.try_send("four").unwrap();
    world.run();
    let frames: Vec<_> = texts(&world.last().received());
    let of = |part: &str| {
        frames
            .iter()
            .position(|frame| frame.contains(part))
            .unwrap()
    };
    assert!(of("three") < of("~q"), "{frames:#?}");
    assert!(of("~q") < of("four"), "{frames:#?}");
    let (token, _) = server.requests().pop().unwrap();
    server.answer(token, Answer::Response("5".to_owned().into()));
    world.run();
    assert_eq!(sum.now_or_never(), Some(Ok(5)));
}

#[test]
fn a_program_learns_why_there_is_no_session_yet() {
    // What it may be is told of each attempt.
    let world = World::new();
    world.set_chance(0.0);
    world.set_handshake(Handshake::Refuse);
    world.set_closing(Closing::Answer);
    let socket = builder(&world).connect().unwrap();
    let handle = socket.handle();
    let mut events = socket.events();
    assert_eq!(handle.snapshot().unwrap().unwelcomed, None);
    world.advance(SECOND);
    assert_eq!(
        handle.snapshot().unwrap().unwelcomed,
        Some(Unwelcomed::NotOpened)
    );
    assert!(
        log(&mut events)
            .iter()
            .any(|line| line.starts_with("no session yet: the connection did not open"))
    );
    // A server that is silent.
    world.set_handshake(Handshake::Open);
    world.advance(SECOND * 40);
    assert_eq!(
        handle.snapshot().unwrap().unwelcomed,
        Some(Unwelcomed::Silent)
    );
    // One that closes.
    world.last().close(4000, "");
    world.run();
    assert_eq!(
        handle.snapshot().unwrap().unwelcomed,
        Some(Unwelcomed::Closed(4000))
    );
    // And one that speaks sessions.
    let server = SessionServer::start::<Json>(&world);
    world.advance(SECOND * 120);
    assert_eq!(handle.phase(), Phase::Open);
    assert_eq!(handle.snapshot().unwrap().unwelcomed, None);
    log(&mut events);
    world.set_handshake(Handshake::Refuse);
    cut(&world);
    assert_eq!(handle.snapshot().unwrap().unwelcomed, None);
    assert!(
        !log(&mut events)
            .iter()
            .any(|line| line.starts_with("no session yet"))
    );
    drop(server);
}

#[test]
fn what_is_handled_is_acknowledged_before_the_page_is_hidden() {
    let (world, server) = world();
    let mut socket = chat(&world);
    server.send(json("read"));
    world.run();
    assert_eq!(
        socket.recv().now_or_never(),
        Some(Some(Ok("read".to_owned())))
    );
    assert!(socket.recv().now_or_never().is_none());
    let sent = world.last().received().len();
    world.hide();
    assert_eq!(texts(&world.last().received())[sent..], ["~a 1 0"]);
    // What one turn has gathered does not wait for its end.
    for text in ["one", "two"] {
        socket.try_send(text).unwrap();
    }
    world.hide();
    let frames = texts(&world.last().received());
    assert!(
        frames.iter().any(|frame| frame.contains("two")),
        "{frames:#?}"
    );
    drop(socket);
    world.hide();
}

#[test]
fn a_handler_of_the_final_close_may_reconnect() {
    for of_session in [false, true] {
        let (world, _server) = world();
        let handle = Rc::new(RefCell::new(None::<steady_socket::Handle<String, Json>>));
        let kept = Rc::clone(&handle);
        let socket = builder(&world)
            .options(Options::default().max_retries(Some(0)))
            .on_event(move |event| {
                let is_final = match event {
                    Event::Closed(closed) => !of_session && closed.is_final(),
                    Event::Session(event) => {
                        of_session && matches!(**event, SessionEvent::Ended(_))
                    }
                    _ => false,
                };
                if is_final && let Some(handle) = &*kept.borrow() {
                    handle.reconnect().unwrap();
                }
            })
            .connect()
            .unwrap();
        *handle.borrow_mut() = Some(socket.handle());
        world.run();
        world.last().cut();
        world.advance(SECOND * 60);
        assert_eq!(socket.handle().phase(), Phase::Open, "{of_session}");
        let delivery = socket.handle().deliver("one").unwrap();
        world.run();
        assert_eq!(delivery.now_or_never(), Some(Ok(())));
        assert_eq!(world.connection_count(), 2);
    }
}

#[test]
fn a_reconnect_before_the_final_close_is_reported_stays() {
    let (world, _server) = world();
    let handle = Rc::new(RefCell::new(None::<steady_socket::Handle<String, Json>>));
    let kept = Rc::clone(&handle);
    let socket = builder(&world)
        .options(Options::default().max_retries(Some(0)))
        .on_event(move |event| {
            if matches!(event, Event::State(change) if change.phase == Phase::Closed)
                && let Some(handle) = &*kept.borrow()
            {
                handle.reconnect().unwrap();
            }
        })
        .connect()
        .unwrap();
    *handle.borrow_mut() = Some(socket.handle());
    world.run();
    world.last().half_open();
    let delivery = socket.handle().deliver("one").unwrap();
    world.last().cut();
    world.advance(SECOND * 60);
    assert_eq!(socket.handle().phase(), Phase::Open);
    assert_eq!(delivery.now_or_never(), Some(Ok(())));
}

#[test]
fn events_do_not_come_within_a_call() {
    let (world, _server) = world();
    let inside = Rc::new(core::cell::Cell::new(false));
    let log = Rc::new(RefCell::new(Vec::new()));
    let (is_inside, kept) = (Rc::clone(&inside), Rc::clone(&log));
    let socket = builder(&world)
        .on_event(move |event| {
            assert!(!is_inside.get(), "{event}");
            kept.borrow_mut().push(event.to_string());
        })
        .connect()
        .unwrap();
    let handle = socket.handle();
    inside.set(true);
    handle.try_send("one").unwrap();
    let volatile = steady_socket::SendMode {
        volatile: true,
        ..Default::default()
    };
    handle.try_send_with("two", volatile).unwrap();
    let delivery = handle.deliver("three").unwrap();
    drop(handle.request(Add(1, 2)));
    inside.set(false);
    world.advance(SECOND * 2);
    let log = log.borrow();
    assert!(
        log.iter().any(|line| line.contains("1 messages dropped")),
        "{log:#?}"
    );
    assert_eq!(delivery.now_or_never(), Some(Ok(())));
}

#[test]
fn a_handler_of_events_is_told_what_its_own_calls_cause() {
    let (world, _server) = world();
    let handle = Rc::new(RefCell::new(None::<steady_socket::Handle<String, Json>>));
    let log = Rc::new(RefCell::new(Vec::new()));
    let (kept, of_handler) = (Rc::clone(&handle), Rc::clone(&log));
    let socket = builder(&world)
        .on_event(move |event| {
            of_handler.borrow_mut().push(event.to_string());
            if matches!(event, Event::Closed(closed) if !closed.is_final())
                && let Some(handle) = &*kept.borrow()
            {
                let volatile = steady_socket::SendMode {
                    volatile: true,
                    ..Default::default()
                };
                handle.try_send("queued").unwrap();
                handle.try_send_with("dropped", volatile).unwrap();
            }
        })
        .connect()
        .unwrap();
    *handle.borrow_mut() = Some(socket.handle());
    let mut events = socket.events();
    world.run();
    world.set_handshake(Handshake::Stall);
    world.last().cut();
    world.run();
    let mut of_stream = Vec::new();
    while let Some(Some(event)) = events.recv().now_or_never() {
        of_stream.push(event.to_string());
    }
    assert_eq!(*log.borrow(), of_stream);
    assert!(
        of_stream
            .iter()
            .any(|line| line.contains("1 messages dropped"))
    );
    assert!(
        of_stream
            .iter()
            .any(|line| line.contains("1 messages queued"))
    );
}

#[test]
fn what_waits_goes_first_on_a_plain_connection() {
    let world = World::new();
    let socket = Chat::builder("wss://example.org/chat")
        .platform(world.platform())
        .options(Options::default().max_queued_messages(2))
        .protocols(["chat.json"])
        .session(Session::optional())
        .on_open(|opening| {
            opening.handle().try_send("on open").unwrap();
        })
        .connect()
        .unwrap();
    socket.try_send("early").unwrap();
    world.run();
    world.last().open_with_protocol("chat.json");
    world.run();
    world.last().expect(json("early"));
    world.last().expect(json("on open"));
    // The queue is that of the connection from here on.
    world.last().cut();
    let handle = socket.handle();
    for text in ["one", "two"] {
        handle.try_send(text).unwrap();
    }
    assert_eq!(handle.snapshot().unwrap().queued.messages, 2);
    assert_eq!(handle.try_send("three"), Err(SendError::Full));
    let waiting = handle.clone();
    world.platform().spawn(Box::pin(async move {
        waiting.send("three").await.unwrap();
    }));
    world.run();
    world.set_handshake(Handshake::Stall);
    world.advance(SECOND * 10);
    world.last().open_with_protocol("chat.json");
    world.run();
    assert_eq!(world.last().received().len(), 4);
}

#[test]
fn dropping_a_socket_that_closes_tells_the_server() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    server.hold(true);
    let given = handle.deliver("given").unwrap();
    world.run();
    handle.close(Some(4001), "bye").unwrap();
    world.run();
    drop(socket);
    world.run();
    assert!(matches!(
        given.now_or_never(),
        Some(Err(End::Unknown {
            why: Ended::Closed,
            ..
        }))
    ));
    assert_eq!(server.ended(), Some(Ended::ByPeer));
    drop(server);
    world.assert_idle();
}

#[test]
fn the_first_close_gives_the_code() {
    let (world, server) = world();
    let socket = chat(&world);
    let handle = socket.handle();
    server.hold(true);
    handle.try_send("one").unwrap();
    world.run();
    handle.close(Some(4001), "bye").unwrap();
    handle.close(None, "").unwrap();
    server.hold(false);
    world.advance(SECOND * 2);
    assert_eq!(
        world.last().closed_with(),
        Some((Some(4001), "bye".to_owned()))
    );
}

#[test]
fn what_is_sent_before_the_first_connection_rides() {
    let (world, server) = world();
    let socket = builder(&world).connect().unwrap();
    let delivery = socket.handle().deliver("one").unwrap();
    world.advance(SECOND * 2);
    assert_eq!(texts(&server.received()), ["\"one\""]);
    assert_eq!(delivery.now_or_never(), Some(Ok(())));
}

#[test]
fn a_session_is_lost_for_every_reason() {
    for why in [
        Why::Expired,
        Why::Unknown,
        Why::Full,
        Why::Refused,
        Why::OutOfStep,
    ] {
        let (world, server) = world();
        server.hold(true);
        let socket = chat(&world);
        world.run();
        let delivered = socket.handle().deliver("one".to_owned()).unwrap();
        world.run();
        assert_eq!(server.received().len(), 1);
        server.lose_because(why);
        world.advance(SECOND * 60);
        assert!(server.has_session(), "{why:?}: a fresh one");
        assert_eq!(
            delivered.now_or_never(),
            Some(Err(End::Unknown {
                payload: "one".to_owned(),
                why: Ended::Lost(why),
            }))
        );
    }
}

#[test]
fn a_client_is_refused_until_there_is_room() {
    let (world, server) = world();
    server.refuse_with(1013);
    let socket = chat(&world);
    world.run();
    assert_eq!(socket.handle().phase(), Phase::Waiting);
    server.refuse(false);
    world.advance(SECOND * 60);
    assert_eq!(socket.handle().phase(), Phase::Open);
}
