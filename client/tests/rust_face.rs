//! The Rust API on a hand-written platform.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use futures_util::{FutureExt, SinkExt, StreamExt};
use steady_socket::connection::Time;
use steady_socket::platform::{
    LocalFuture, Platform, RawSocket, Refused, Runtime, SocketEvent, SocketListener, Target,
};
use steady_socket::protocol::hello::{ClientMessage, Hello};
use steady_socket::protocol::{Json, MsgPack, PlainText};
use steady_socket::testing::{State, World};
use steady_socket::{
    Attempt, Builder, Cause, ConnectError, DropReason, Event, Events, Hint, InboxLimits,
    InboxOverflow, Message, Options, Overflow, Phase, SendError, SendMode, Sent, Socket, Source,
    Verdict, Why, endpoint,
};

type Text = Socket<String, String, PlainText>;

fn builder(world: &World) -> Builder<String, String, PlainText> {
    Text::builder("ws://example.org/").platform(world.platform())
}

fn connect(world: &World) -> Text {
    builder(world)
        .connect()
        .expect("the URL and the options are right")
}

/// The events that have not been read yet.
fn drain(events: &mut Events) -> Vec<Event<Message>> {
    core::iter::from_fn(|| events.next().now_or_never().flatten()).collect()
}

/// The causes of the losses that have not been read yet.
fn causes(events: &mut Events) -> Vec<Cause> {
    let cause = |event| match event {
        Event::Closed(closed) => Some(closed.loss.cause),
        _ => None,
    };
    drain(events).into_iter().filter_map(cause).collect()
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages
        .into_iter()
        .map(|message| match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => panic!("{} bytes of binary", bytes.len()),
        })
        .collect()
}

fn text(message: &str) -> String {
    message.to_owned()
}

#[test]
fn a_stream_of_what_the_server_sends() {
    let world = World::new();
    let mut socket = connect(&world);
    assert!(socket.next().now_or_never().is_none());
    world.connection(0).open();
    for message in ["one", "two"] {
        world.connection(0).send(message);
    }
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("one")))));
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("two")))));
    assert!(socket.next().now_or_never().is_none());
}

#[test]
fn a_handler_is_given_what_the_server_sends_and_the_stream_is_not() {
    let world = World::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let mut socket = Socket::<u32, u32, Json>::builder("ws://example.org/")
        .platform(world.platform())
        // Nothing waits to be read.
        .inbox(InboxLimits {
            messages: 1,
            overflow: InboxOverflow::Close,
            ..InboxLimits::default()
        })
        .on_message(move |_, message| noted.borrow_mut().push(message.ok()))
        .connect()
        .unwrap();
    world.connection(0).open();
    for message in ["1", "two", "3"] {
        world.connection(0).send(message);
    }
    assert_eq!(*seen.borrow(), [Some(1), None, Some(3)]);
    assert!(socket.next().now_or_never().is_none());

    world.connection(0).cut();
    world.advance(Duration::from_secs(5));
    world.connection(1).open();
    world.connection(1).send("4");
    assert_eq!(*seen.borrow(), [Some(1), None, Some(3), Some(4)]);

    socket.handle().close(None, "").unwrap();
    world.connection(1).close(1000, "");
    world.run();
    assert_eq!(socket.next().now_or_never(), Some(None));
}

// [R23]
#[test]
fn a_handler_of_messages_may_send_and_drop_the_socket() {
    let world = World::new();
    let place = Rc::new(RefCell::new(None::<Text>));
    let held = Rc::clone(&place);
    let mut count = 0;
    let socket = builder(&world)
        .on_message(move |handle, message| {
            count += 1;
            let answer = format!("{count}: {}", message.unwrap());
            assert_eq!(handle.try_send(&answer), Ok(Sent::Now));
            if count == 2 {
                let socket = held.take();
                drop(socket);
                assert_eq!(handle.try_send(&answer), Err(SendError::Closed));
            }
        })
        .connect()
        .unwrap();
    *place.borrow_mut() = Some(socket);
    world.connection(0).open();
    for message in ["a", "b", "c"] {
        world.connection(0).send(message);
    }
    world.run();
    assert_eq!(texts(world.connection(0).received()), ["1: a", "2: b"]);
    assert!(place.borrow().is_none());
    assert!(!world.connection(0).is_listened_to());
    assert_eq!(world.timer_count(), 0);
}

#[test]
fn a_message_that_comes_inside_of_the_handler_comes_after_it() {
    let world = World::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (noted, inside) = (Rc::clone(&seen), world.clone());
    let _socket = builder(&world)
        .on_message(move |_, message| {
            let message = message.unwrap();
            noted.borrow_mut().push(format!("{message} begins"));
            if message == "a" {
                for next in ["b", "c"] {
                    inside.connection(0).send(next);
                }
            }
            noted.borrow_mut().push(format!("{message} ends"));
        })
        .connect()
        .unwrap();
    world.connection(0).open();
    world.connection(0).send("a");
    let expected = [
        "a begins", "a ends", "b begins", "b ends", "c begins", "c ends",
    ];
    assert_eq!(*seen.borrow(), expected);
}

// [R25]
#[test]
fn what_is_sent_while_down_goes_out_in_order_after_the_open_handler() {
    let world = World::new();
    let seen = Rc::new(Cell::new(0));
    let noted = Rc::clone(&seen);
    let mut socket = builder(&world)
        .on_open(move |opening| {
            noted.set(noted.get() + 1);
            assert_eq!(opening.reconnected(), noted.get() > 1);
            let handle = opening.handle();
            assert_eq!(handle.phase(), Phase::Open);
            assert_eq!(handle.try_send("token"), Ok(Sent::Now));
        })
        .connect()
        .unwrap();
    for message in ["a", "b"] {
        assert_eq!(socket.send(text(message)).now_or_never(), Some(Ok(())));
    }
    world.connection(0).open();
    assert_eq!(texts(world.connection(0).received()), ["token", "a", "b"]);

    world.connection(0).cut();
    socket.send(text("c")).now_or_never().unwrap().unwrap();
    world.advance(Duration::from_secs(5));
    world.connection(1).open();
    assert_eq!(texts(world.connection(1).received()), ["token", "c"]);
    assert_eq!(seen.get(), 2);
}

#[test]
fn send_waits_for_room() {
    let world = World::new();
    let mut socket = builder(&world)
        .options(Options::default().max_queued_messages(2))
        .connect()
        .unwrap();
    for message in ["a", "b"] {
        assert_eq!(socket.send(text(message)).now_or_never(), Some(Ok(())));
    }
    assert_eq!(socket.handle().try_send("no"), Err(SendError::Full));
    let handle = socket.handle();
    let message = text("d");
    let mut later = Box::pin(handle.send(&message));
    assert!(later.as_mut().now_or_never().is_none());
    {
        let mut send = SinkExt::send(&mut socket, text("c"));
        assert!((&mut send).now_or_never().is_none());
        world.connection(0).open();
        assert_eq!((&mut send).now_or_never(), Some(Ok(())));
    }
    assert_eq!(later.now_or_never(), Some(Ok(())));
    assert_eq!(texts(world.connection(0).received()), ["a", "b", "c", "d"]);
}

// [F21]
#[test]
fn a_message_larger_than_the_queue_waits_for_the_connection() {
    let world = World::new();
    let mut socket = builder(&world)
        .options(Options::default().max_queued_bytes(3))
        .connect()
        .unwrap();
    let mut send = SinkExt::send(&mut socket, text("four"));
    assert!((&mut send).now_or_never().is_none());
    world.connection(0).open();
    assert_eq!((&mut send).now_or_never(), Some(Ok(())));
    assert_eq!(texts(world.connection(0).received()), ["four"]);
}

// [R26]
#[test]
fn the_browser_is_not_given_more_than_the_high_water_mark() {
    let world = World::new();
    let options = Options::default().high_water_mark(10).low_water_mark(5);
    let socket = builder(&world).options(options).connect().unwrap();
    let handle = socket.handle();
    world.connection(0).open();
    world.connection(0).set_buffered(12);
    assert_eq!(handle.try_send("123456789012"), Ok(Sent::Now));
    assert_eq!(handle.try_send("later"), Ok(Sent::Queued));
    assert_eq!(handle.buffered_amount(), Ok(17));
    world.connection(0).set_buffered(6);
    world.advance(Duration::from_secs(1));
    assert_eq!(
        world.connection(0).received().len(),
        1,
        "above the low-water mark"
    );
    world.connection(0).set_buffered(5);
    world.advance(Duration::from_secs(1));
    assert_eq!(
        texts(world.connection(0).received()),
        ["123456789012", "later"]
    );
    assert_eq!(world.timer_count(), 0);
}

// [R25][F31]
#[test]
fn overflow_and_volatile_and_expired_messages_are_reported_with_their_payload() {
    let world = World::new();
    let options = Options::default()
        .max_queued_messages(2)
        .overflow(Overflow::DropOldest)
        .message_ttl(Some(Duration::from_secs(3)));
    let socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    let handle = socket.handle();
    for message in ["a", "b", "c"] {
        assert_eq!(handle.try_send(message), Ok(Sent::Queued));
    }
    let volatile = SendMode {
        volatile: true,
        ..SendMode::default()
    };
    assert_eq!(handle.try_send_with("v", volatile), Ok(Sent::Dropped));
    world.advance(Duration::from_secs(4));
    let dropped: Vec<_> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::Dropped(dropped) => Some((dropped.reason.name(), texts(dropped.payloads))),
            _ => None,
        })
        .collect();
    assert_eq!(
        dropped,
        [
            ("overflow", vec![text("a")]),
            ("volatile", vec![text("v")]),
            ("expired", vec![text("b"), text("c")]),
        ]
    );
    assert_eq!(handle.snapshot().unwrap().dropped.messages, 4);
}

#[test]
fn events_tell_the_whole_story_in_order() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).open();
    socket.handle().try_send("lost?").unwrap();
    world.connection(0).cut();
    world.advance(Duration::from_secs(5));
    world.connection(1).open();
    world.connection(1).close(1000, "bye");
    let story: Vec<String> = drain(&mut events)
        .iter()
        .map(std::string::ToString::to_string)
        .collect();
    assert_eq!(
        story,
        [
            "connecting (attempt 1): the application asked for it",
            "open (attempt 1): the handshake succeeded",
            "socket 1 connected",
            "waiting (attempt 2, in 5000 ms): the policy for such a loss is to retry",
            "socket 1 closed: socket, code 1006, clean false, unconfirmed messages 1; the policy \
             for such a loss is to retry",
            "connecting (attempt 2): the wait is over",
            "open (attempt 2): the handshake succeeded",
            "socket 2 reconnected",
            "closed (attempt 2): the policy for the close code is to stop",
            "socket 2 closed: socket, code 1000, clean true, unconfirmed messages 0; the policy \
             for the close code is to stop",
        ]
    );
}

/// Runs a task that does this for each event, and panics if the world does not come to rest.
fn for_each_event(
    world: &World,
    socket: &Socket<String, String, PlainText>,
    mut act: impl FnMut(Event<Message>) + 'static,
) -> Rc<Cell<u32>> {
    let mut events = socket.events();
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    world.platform().spawn(Box::pin(async move {
        while let Some(event) = events.next().await {
            counted.set(counted.get() + 1);
            assert!(counted.get() < 100_000, "the page never gets its turn");
            act(event);
        }
    }));
    count
}

// [R23][R26]
#[test]
fn events_that_bring_events_leave_the_page_its_turn() {
    let volatile = SendMode {
        volatile: true,
        ..SendMode::default()
    };
    let options = || {
        Options::default()
            .max_queued_messages(1)
            .overflow(Overflow::DropOldest)
            .attempt_interval(Duration::ZERO)
    };
    // What is dropped is sent again.
    for mode in [SendMode::default(), volatile] {
        let world = World::new();
        let socket = builder(&world).options(options()).connect().unwrap();
        let handle = socket.handle();
        let count = for_each_event(&world, &socket, move |event| {
            if let Event::Dropped(dropped) = event {
                for payload in texts(dropped.payloads) {
                    handle.try_send_with(&payload, mode).unwrap();
                }
            }
        });
        for message in ["a", "b"] {
            socket.handle().try_send_with(message, mode).unwrap();
        }
        world.run();
        let first = count.get();
        assert!((100..=1_000).contains(&first), "{first} in one task");
        // It continues in the next, and sockets still open.
        world.last().open();
        world.advance(Duration::from_millis(1));
        assert_eq!(socket.handle().phase(), Phase::Open);
        assert!(count.get() > first, "{} in the next", count.get() - first);
    }
    // A program that alternately connects and closes.
    let world = World::new();
    let socket = builder(&world).options(options()).connect().unwrap();
    let handle = socket.handle();
    let count = for_each_event(&world, &socket, move |event| {
        if let Event::State(change) = event {
            match change.phase {
                Phase::Closed => handle.reconnect().unwrap(),
                _ => handle.close(None, "").unwrap(),
            }
        }
    });
    world.run();
    assert!((100..=2_000).contains(&count.get()), "{}", count.get());
}

// [R26]
#[test]
fn events_of_many_tasks_are_all_handed_out_in_their_own() {
    let world = World::new();
    let socket = builder(&world)
        .options(Options::default().max_queued_messages(0))
        .connect()
        .unwrap();
    let mut events = socket.events();
    let volatile = SendMode {
        volatile: true,
        ..SendMode::default()
    };
    world.run();
    drain(&mut events);
    // The program's own tasks, in which nothing happens to the connection.
    for _ in 0..2_000 {
        socket.handle().try_send_with("a", volatile).unwrap();
        world.run();
        assert_eq!(drain(&mut events).len(), 1);
        world.advance(Duration::from_micros(1));
    }
}

#[test]
fn a_stream_of_events_that_nobody_reads_is_bounded() {
    let world = World::new();
    let options = Options::default().attempt_interval(Duration::ZERO);
    let socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    for _ in 0..300 {
        socket.handle().reconnect().unwrap();
    }
    world.run();
    assert_eq!(drain(&mut events).len(), 256);
    assert_eq!(events.missed(), 301 - 256);
}

// [R25]
#[test]
fn every_drop_is_counted_whatever_the_reader_does() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let world = World::new();
        let seen = Rc::new(Cell::new((0, 0)));
        let told = Rc::clone(&seen);
        let options = Options::default()
            .max_queued_messages(10)
            .overflow(overflow);
        let socket = builder(&world)
            .options(options)
            .on_event(move |event| {
                if let Event::Dropped(dropped) = event {
                    let (messages, bytes) = told.get();
                    told.set((messages + dropped.messages(), bytes + dropped.bytes));
                }
            })
            .connect()
            .unwrap();
        let mut events = socket.events();
        for number in 0..1_000 {
            let message = format!("{number:04}");
            socket.handle().try_send(&message).unwrap();
        }
        world.run();
        let (mut messages, mut bytes) = (0, 0);
        for event in drain(&mut events) {
            if let Event::Dropped(dropped) = event {
                messages += dropped.messages();
                bytes += dropped.bytes;
            }
        }
        assert_eq!((messages, bytes, events.missed()), (990, 3_960, 0));
        assert_eq!(seen.get(), (990, 3_960), "of the handler");
        let snapshot = socket.handle().snapshot().unwrap();
        assert_eq!(snapshot.dropped.messages, 990);
    }
}

// [R25]
#[test]
fn every_unread_message_that_makes_room_is_counted() {
    let world = World::new();
    let limits = InboxLimits {
        messages: 2,
        ..InboxLimits::default()
    };
    let socket = builder(&world).inbox(limits).connect().unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    for _ in 0..1_000 {
        world.connection(0).send("x");
    }
    let dropped: u64 = drain(&mut events)
        .iter()
        .map(|event| match event {
            Event::Dropped(dropped) => dropped.messages(),
            _ => 0,
        })
        .sum();
    assert_eq!((dropped, events.missed()), (998, 0));
}

#[test]
fn a_handler_of_events_misses_none() {
    let world = World::new();
    let options = Options::default().attempt_interval(Duration::ZERO);
    let seen = Rc::new(Cell::new(0));
    let told = Rc::clone(&seen);
    let socket = builder(&world)
        .options(options)
        .on_event(move |_| told.set(told.get() + 1))
        .connect()
        .unwrap();
    for _ in 0..300 {
        socket.handle().reconnect().unwrap();
    }
    world.run();
    assert_eq!(seen.get(), 301);
}

/// A task that counts the references to it.
struct Task;

impl std::task::Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {}
}

// [R25]
#[test]
fn dropped_futures_of_send_hold_nothing_and_are_not_sent() {
    let world = World::new();
    let options = Options::default().max_queued_messages(1);
    let mut socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    let handle = socket.handle();
    handle.try_send("first").unwrap();
    let task = std::sync::Arc::new(Task);
    let waker = core::task::Waker::from(std::sync::Arc::clone(&task));
    let mut context = core::task::Context::from_waker(&waker);
    let message = text("never");
    // One after the other, and all together.
    for _ in 0..100_000 {
        let mut sending = Box::pin(handle.send(&message));
        assert!(sending.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(std::sync::Arc::strong_count(&task), 2);
    let mut sending: Vec<_> = (0..100_000)
        .map(|_| Box::pin(handle.send(&message)))
        .collect();
    for future in &mut sending {
        // Polling again keeps the same slot.
        for _ in 0..2 {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
    }
    assert_eq!(std::sync::Arc::strong_count(&task), 100_002);
    drop(sending);
    assert_eq!(std::sync::Arc::strong_count(&task), 2);
    // The sink has one slot, however often it is polled, which goes with the socket.
    socket.feed(text("second")).now_or_never().unwrap().unwrap();
    for _ in 0..10 {
        assert!(socket.poll_flush_unpin(&mut context).is_pending());
    }
    assert_eq!(std::sync::Arc::strong_count(&task), 3);
    world.connection(0).open();
    assert_eq!(socket.flush().now_or_never(), Some(Ok(())));
    assert_eq!(std::sync::Arc::strong_count(&task), 2);
    assert_eq!(texts(world.connection(0).received()), ["first", "second"]);
    let dropped = |event: &Event<Message>| matches!(event, Event::Dropped(_));
    assert!(
        !drain(&mut events).iter().any(dropped),
        "they are reported nowhere"
    );
    drop(socket);
}

// [R27]
#[test]
fn the_predicate_sees_why_the_provider_failed_and_may_end_it() {
    for (status, ends) in [("401", true), ("offline", false)] {
        let world = World::new();
        let source =
            Source::provider(async move |_| Err::<String, _>(format!("the ticket: {status}")));
        let socket = Text::builder(source)
            .platform(world.platform())
            .should_reconnect(|loss| {
                assert_eq!(loss.cause, Cause::Provider);
                let refused = loss
                    .error
                    .as_ref()
                    .is_some_and(|error| error.contains("401"));
                refused.then_some(Verdict::Stop)
            })
            .connect()
            .unwrap();
        let mut events = socket.events();
        world.run();
        let phase = if ends { Phase::Closed } else { Phase::Waiting };
        assert_eq!(socket.handle().phase(), phase);
        let error = drain(&mut events)
            .into_iter()
            .find_map(|event| match event {
                Event::Closed(closed) => closed.loss.error,
                _ => None,
            });
        assert_eq!(error, Some(format!("the ticket: {status}")));
    }
}

#[test]
fn what_the_platform_says_of_an_error_is_passed_on() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    let words = "connect ECONNREFUSED".to_owned();
    world
        .connection(0)
        .report(SocketEvent::Error(Some(words.clone())));
    world.connection(0).cut();
    let lost = drain(&mut events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(closed) => Some(closed.loss),
            _ => None,
        });
    let lost = lost.unwrap();
    assert_eq!(lost.error, Some(words));
    assert!(
        !format!("{lost:?}").contains("ECONNREFUSED"),
        "not in a log"
    );
}

#[test]
fn reconnecting_with_a_code_tells_the_server_and_the_program() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    world.connection(0).open();
    handle.reconnect_with(Some(4_321), "new token").unwrap();
    let closed = (Some(4_321), text("new token"));
    assert_eq!(world.connection(0).closed_with(), Some(closed));
    world.run();
    let lost = drain(&mut events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(closed) => Some((closed.loss.close.code, closed.loss.close.reason)),
            _ => None,
        });
    assert_eq!(lost, Some((4_321, text("new token"))));
    assert!(handle.reconnect_with(Some(1_001), "").is_err());
    assert!(handle.reconnect_with(None, &"x".repeat(124)).is_err());
    drop(socket);
    assert!(handle.reconnect_with(None, "").is_err());
}

#[test]
fn the_time_of_the_next_attempt_and_the_queue_can_be_followed() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    assert_eq!(handle.snapshot().unwrap().next_attempt_in, None);
    world.connection(0).open();
    world.connection(0).cut();
    drain(&mut events);
    assert_eq!(
        handle.snapshot().unwrap().next_attempt_in,
        Some(Duration::from_secs(5))
    );
    world.advance(Duration::from_secs(2));
    assert_eq!(
        handle.snapshot().unwrap().next_attempt_in,
        Some(Duration::from_secs(3))
    );
    for message in ["one", "two"] {
        handle.try_send(message).unwrap();
    }
    world.run();
    let queue = drain(&mut events);
    let queued = steady_socket::Tally {
        messages: 2,
        bytes: 6,
    };
    assert_eq!(queue, [Event::QueueChanged(queued)]);
}

#[test]
fn delays_that_were_not_given_follow_the_cap() {
    let world = World::new();
    let options = Options::default().max_delay(Duration::from_secs(2));
    let socket = builder(&world).options(options).connect().unwrap();
    for _ in 0..5 {
        world.last().cut();
        let wait = socket.handle().snapshot().unwrap().next_attempt_in;
        assert_eq!(wait, Some(Duration::from_secs(2)));
        world.advance(Duration::from_secs(2));
    }
    let options = Options::default()
        .max_delay(Duration::from_secs(2))
        .base_delay(Duration::from_secs(3));
    assert!(builder(&world).options(options).connect().is_err());
}

// [R8]
#[test]
fn dropping_the_socket_hands_over_the_queue_closes_and_frees_everything() {
    let world = World::new();
    let options = Options::default().high_water_mark(1).low_water_mark(0);
    let mut socket = builder(&world).options(options).connect().unwrap();
    let handle = socket.handle();
    let mut events = socket.events();
    world.connection(0).open();
    world.connection(0).set_buffered(1);
    for message in ["a", "b"] {
        socket.feed(text(message)).now_or_never().unwrap().unwrap();
    }
    assert_eq!(world.timer_count(), 1);
    drop(socket);
    assert_eq!(texts(world.connection(0).received()), ["a", "b"]);
    assert_eq!(
        world.connection(0).closed_with(),
        Some((None, String::new()))
    );
    assert!(!world.connection(0).is_listened_to());
    world.run();
    assert_eq!(world.timer_count(), 0);

    assert_eq!(handle.try_send("c"), Err(SendError::Closed));
    assert_eq!(
        handle.send(&text("c")).now_or_never(),
        Some(Err(SendError::Closed))
    );
    assert!(handle.reconnect().is_err() && handle.ready().is_err() && handle.snapshot().is_err());
    assert_eq!(handle.phase(), Phase::Closed);
    assert_eq!(handle.close(None, ""), Ok(()));
    drain(&mut events);
    assert_eq!(events.next().now_or_never(), Some(None), "the events end");
}

// [R8]
#[test]
fn dropping_it_while_connecting_or_waiting_leaves_nothing_behind() {
    let world = World::new();
    drop(connect(&world));
    assert_eq!(world.connection(0).state(), State::Closing);
    let socket = connect(&world);
    world.connection(1).cut();
    assert_eq!(world.timer_count(), 1);
    drop(socket);
    world.run();
    assert_eq!((world.timer_count(), world.connection_count()), (0, 2));
}

#[test]
fn after_a_split_the_last_half_closes() {
    let world = World::new();
    let (sink, stream) = connect(&world).split();
    world.connection(0).open();
    drop(sink);
    assert_eq!(world.connection(0).closed_with(), None);
    drop(stream);
    assert!(world.connection(0).closed_with().is_some());
}

// [R23][F51]
#[test]
fn dropping_it_inside_a_handler_is_safe() {
    let world = World::new();
    let slot: Rc<RefCell<Option<Text>>> = Rc::default();
    let inside = Rc::clone(&slot);
    let socket = builder(&world)
        .on_open(move |_| {
            let socket = inside.borrow_mut().take();
            drop(socket);
        })
        .connect()
        .unwrap();
    *slot.borrow_mut() = Some(socket);
    world.connection(0).open();
    assert!(world.connection(0).closed_with().is_some());
    world.advance(Duration::from_secs(60));
    assert_eq!((world.timer_count(), world.connection_count()), (0, 1));
}

#[test]
fn closing_the_sink_waits_for_the_end() {
    let world = World::new();
    let mut socket = connect(&world);
    world.connection(0).open();
    socket.send(text("last")).now_or_never().unwrap().unwrap();
    {
        let mut close = SinkExt::close(&mut socket);
        assert!((&mut close).now_or_never().is_none());
        assert_eq!(
            world.connection(0).closed_with(),
            Some((None, String::new()))
        );
        world.connection(0).finish_close();
        assert_eq!(close.now_or_never(), Some(Ok(())));
    }
    assert_eq!(socket.next().now_or_never(), Some(None));
    assert_eq!(
        socket.send(text("late")).now_or_never(),
        Some(Err(SendError::Closed))
    );
}

#[test]
fn a_stream_that_has_ended_goes_on_after_reconnect() {
    let world = World::new();
    let mut socket = connect(&world);
    world.connection(0).open();
    world.connection(0).close(1000, "");
    assert_eq!(socket.next().now_or_never(), Some(None));
    socket.handle().reconnect().unwrap();
    world.connection(1).open();
    world.connection(1).send("again");
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("again")))));
}

// [R17]
#[test]
fn a_close_that_the_server_does_not_answer_ends_by_itself() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).open();
    socket.handle().close(Some(4001), "enough").unwrap();
    assert_eq!(socket.handle().phase(), Phase::Closing);
    assert_eq!(
        world.connection(0).closed_with(),
        Some((Some(4001), text("enough")))
    );
    world.advance(Duration::from_secs(5));
    let is_close = |event: &Event<Message>| matches!(event, Event::Closed(_));
    let Some(Event::Closed(closed)) = drain(&mut events).into_iter().rfind(is_close) else {
        panic!("a close is reported");
    };
    assert_eq!(
        (closed.loss.cause, closed.loss.close.code),
        (Cause::CloseTimeout, 1006)
    );
    assert_eq!(closed.next_attempt_in(), None);
}

#[test]
fn a_bad_close_code_is_an_error_and_closes_nothing() {
    let world = World::new();
    let socket = connect(&world);
    assert!(socket.handle().close(Some(1001), "").is_err());
    assert!(socket.handle().close(None, &"x".repeat(124)).is_err());
    assert_eq!(socket.handle().phase(), Phase::Connecting);
}

// [R28][F24]
#[test]
fn a_message_that_cannot_be_decoded_is_an_item_and_the_stream_goes_on() {
    let world = World::new();
    let mut socket = endpoint::<Hello, Json>("ws://example.org")
        .platform(world.platform())
        .connect()
        .unwrap();
    assert_eq!(world.connection(0).url(), "ws://example.org/hello");
    assert_eq!(
        world.connection(0).offered_protocols(),
        ["hello.json~1", "hello.json"]
    );
    world.connection(0).open_with_protocol("hello.json");
    assert_eq!(socket.handle().protocol(), Ok(text("hello.json")));
    world.connection(0).send("{\"type\":\"secret\"}");
    world.connection(0).send(Message::Binary(vec![1, 2]));
    world
        .connection(0)
        .send("{\"type\":\"greeting\",\"text\":\"Hello Ada!\"}");

    let error = socket.next().now_or_never().flatten().unwrap().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    assert!(error.excerpt().unwrap().contains("secret"));
    let error = socket.next().now_or_never().flatten().unwrap().unwrap_err();
    assert!(error.to_string().contains("binary"), "{error}");
    assert!(socket.next().now_or_never().flatten().unwrap().is_ok());
}

#[test]
fn the_path_of_an_endpoint_stands_before_the_query_of_its_base() {
    for (base, url) in [
        ("wss://example.org", "wss://example.org/hello"),
        ("wss://example.org/", "wss://example.org/hello"),
        ("wss://example.org?id=1", "wss://example.org/hello?id=1"),
        (
            "wss://example.org/a/?to=/b/",
            "wss://example.org/a/hello?to=/b/",
        ),
    ] {
        let world = World::new();
        let _socket = endpoint::<Hello, Json>(base)
            .platform(world.platform())
            .connect()
            .unwrap();
        assert_eq!(world.connection(0).url(), url);
    }
}

#[test]
fn an_endpoint_takes_what_a_builder_takes_as_its_url() {
    async fn ticket(attempt: Attempt) -> Result<String, String> {
        match attempt.number {
            1 => Err(text("no ticket yet")),
            number => Ok(format!("wss://example.org/a/?ticket={number}")),
        }
    }
    let server = text("wss://example.org/a/");
    let sources: [Source<String>; 3] = [
        ticket.into(),
        // The type of its argument is known, and it may borrow what it has captured.
        Source::provider(async move |attempt| match attempt.number {
            1 => Err("no ticket yet"),
            number => Ok(format!("{}?ticket={number}", &server)),
        }),
        Source::from(|attempt: Attempt| ticket(attempt)),
    ];
    for source in sources {
        let world = World::new();
        let socket = endpoint::<Hello, Json>(source)
            .platform(world.platform())
            .connect()
            .unwrap();
        let mut events = socket.events();
        world.run();
        assert_eq!(world.connection_count(), 0);
        let failed = first_loss(&mut events).unwrap();
        assert_eq!(failed.cause, Cause::Provider);
        assert_eq!(failed.error.as_deref(), Some("no ticket yet"));
        world.advance(Duration::from_secs(5));
        assert_eq!(
            world.connection(0).url(),
            "wss://example.org/a/hello?ticket=2"
        );
        assert_eq!(
            world.connection(0).offered_protocols(),
            ["hello.json~1", "hello.json"]
        );
    }
}

#[test]
fn the_url_of_a_builder_can_be_replaced() {
    let world = World::new();
    let _plain = builder(&world).url("ws://other.org/").connect().unwrap();
    let _endpoint = endpoint::<Hello, Json>("ws://example.org")
        .url("ws://other.org")
        .platform(world.platform())
        .connect()
        .unwrap();
    assert_eq!(world.connection(0).url(), "ws://other.org/");
    assert_eq!(world.connection(1).url(), "ws://other.org/hello");
}

#[test]
fn an_endpoint_declines_control_messages_if_asked_to() {
    for (declines, offers) in [
        (Some(false), &["hello.json"][..]),
        (Some(true), &["hello.json~1", "hello.json"][..]),
        (None, &["hello.json~1", "hello.json"][..]),
    ] {
        let world = World::new();
        let options = match declines {
            Some(value) => Options::default().control_messages(value),
            None => Options::default(),
        };
        let _socket = endpoint::<Hello, Json>("ws://example.org")
            .options(options)
            .platform(world.platform())
            .connect()
            .unwrap();
        assert_eq!(world.connection(0).offered_protocols(), offers);
    }
}

#[test]
fn an_opening_sends_what_its_socket_sends() {
    let world = World::new();
    let hello = |name: &str| ClientMessage::Hello { name: text(name) };
    let _socket = endpoint::<Hello, Json>("ws://example.org")
        .on_open(move |opening| {
            assert_eq!(opening.handle().try_send(hello("Ada")), Ok(Sent::Now));
            assert_eq!(opening.handle().try_send(hello("Bo")), Ok(Sent::Now));
        })
        .platform(world.platform())
        .connect()
        .unwrap();
    world.connection(0).open();
    let sent = texts(world.connection(0).received());
    let json = |name| format!(r#"{{"type":"hello","name":"{name}"}}"#);
    assert_eq!(sent, [json("Ada"), json("Bo")]);
}

#[test]
fn a_socket_and_its_handle_take_the_same() {
    let world = World::new();
    let mut socket = connect(&world);
    let handle = socket.handle();
    let owned = || text("owned");
    let message = owned();
    for sent in [
        socket.send("text").now_or_never(),
        socket.send(owned()).now_or_never(),
        socket.send(&owned()).now_or_never(),
        handle.send("text").now_or_never(),
        handle.send(owned()).now_or_never(),
        handle.send(&owned()).now_or_never(),
    ] {
        assert_eq!(sent, Some(Ok(())));
    }
    for sent in [
        socket.try_send("text"),
        socket.try_send(owned()),
        socket.try_send(&message),
        handle.try_send("text"),
        handle.try_send(owned()),
        handle.try_send(&message),
        handle.try_send_with("text", SendMode::default()),
    ] {
        assert_eq!(sent, Ok(Sent::Queued));
    }
    world.connection(0).open();
    assert_eq!(world.connection(0).received().len(), 13);
    // Through a mutable reference, too, although `SinkExt` is in scope.
    let borrowed = &mut socket;
    assert_eq!(borrowed.send("text").now_or_never(), Some(Ok(())));
    world.connection(0).send("answer");
    assert_eq!(
        borrowed.recv().now_or_never(),
        Some(Some(Ok(text("answer"))))
    );
    assert!(borrowed.close(Some(1), "").is_err());
    assert_eq!(borrowed.close(Some(4000), "bye"), Ok(()));
    world.connection(0).close(4000, "bye");
    world.run();
    assert_eq!(socket.recv().now_or_never(), Some(None));
}

#[test]
fn what_the_sink_has_accepted_goes_before_what_is_sent() {
    let world = World::new();
    let options = Options::default().max_queued_messages(1);
    let mut socket = builder(&world).options(options).connect().unwrap();
    socket.try_send("first").unwrap();
    socket.feed(text("second")).now_or_never().unwrap().unwrap();
    assert_eq!(socket.try_send("never"), Err(SendError::Full));
    assert_eq!(socket.send("never").now_or_never(), None);
    world.connection(0).open();
    assert_eq!(socket.send("third").now_or_never(), Some(Ok(())));
    let sent = texts(world.connection(0).received());
    assert_eq!(sent, ["first", "second", "third"]);
}

#[test]
fn futures_that_are_dropped_early_lose_nothing() {
    let world = World::new();
    let options = Options::default().max_queued_messages(1);
    let mut socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    world.run();
    assert!(!drain(&mut events).is_empty());

    // `send` of the socket and of the handle: not sent, before or after others.
    socket.try_send("first").unwrap();
    let handle = socket.handle();
    assert_eq!(socket.send("never").now_or_never(), None);
    assert_eq!(handle.send("never").now_or_never(), None);
    // The sink's own `send` may have handed its message over: it is sent later.
    let sent = SinkExt::send(&mut socket, text("second")).now_or_never();
    assert_eq!(sent, None);

    // `recv` and `next`: what arrives later is not lost.
    assert_eq!(socket.recv().now_or_never(), None);
    assert_eq!(socket.next().now_or_never(), None);
    assert_eq!(events.next().now_or_never(), None);
    world.connection(0).open();
    world.connection(0).send("one");
    world.connection(0).send("two");
    assert_eq!(socket.recv().now_or_never(), Some(Some(Ok(text("one")))));
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("two")))));
    let opened = |event: &Event<Message>| matches!(event, Event::Open { .. });
    assert!(drain(&mut events).iter().any(opened));
    assert_eq!(socket.flush().now_or_never(), Some(Ok(())));
    let sent = texts(world.connection(0).received());
    assert_eq!(sent, ["first", "second"]);

    // The sink's `close` has begun to close.
    assert_eq!(SinkExt::close(&mut socket).now_or_never(), None);
    assert_eq!(handle.phase(), Phase::Closing);
    world.connection(0).close(1000, "");
    assert_eq!(SinkExt::close(&mut socket).now_or_never(), Some(Ok(())));
}

#[test]
fn times_are_durations() {
    let world = World::new();
    let socket = builder(&world)
        .should_reconnect(|_| Some(Verdict::retry_after(Duration::from_micros(2_999_001))))
        .connect()
        .unwrap();
    let mut events = socket.events();
    let mode = SendMode::default().ttl(Duration::from_secs(2));
    socket.handle().try_send_with("expires", mode).unwrap();
    world.connection(0).cut();
    world.run();
    let wait = Some(Duration::from_secs(3));
    let (mut closed, mut waiting) = (None, None);
    for event in drain(&mut events) {
        match event {
            Event::Closed(event) => closed = event.next_attempt_in(),
            Event::State(change) => waiting = change.next_attempt_in(),
            _ => {}
        }
    }
    assert_eq!((closed, waiting), (wait, wait));
    world.advance(Duration::from_millis(1_999));
    let dropped = |event: &Event<Message>| matches!(event, Event::Dropped(_));
    assert!(!drain(&mut events).iter().any(dropped));
    world.advance(Duration::from_millis(1));
    assert!(drain(&mut events).iter().any(dropped));
    let mode = SendMode::default().volatile();
    let sent = socket.handle().try_send_with("now or never", mode);
    assert_eq!(sent, Ok(Sent::Dropped));
    let slept = Hint::Slept { millis: 5 };
    assert_eq!(slept.slept(), Some(Duration::from_millis(5)));
    assert_eq!(Hint::Online.slept(), None);
}

/// The first loss among the events that have not been read yet.
fn first_loss(events: &mut Events) -> Option<steady_socket::Loss> {
    drain(events).into_iter().find_map(|event| match event {
        Event::Closed(closed) => Some(closed.loss),
        _ => None,
    })
}

/// Is ready when it is polled again.
async fn yield_once() {
    let mut yielded = false;
    core::future::poll_fn(|task| {
        if core::mem::replace(&mut yielded, true) {
            return core::task::Poll::Ready(());
        }
        task.waker().wake_by_ref();
        core::task::Poll::Pending
    })
    .await;
}

#[test]
fn each_codec_sends_what_it_says() {
    let world = World::new();
    let hello = || ClientMessage::Hello { name: text("Ada") };
    let mut json = endpoint::<Hello, Json>("ws://example.org/")
        .platform(world.platform())
        .connect()
        .unwrap();
    let mut pack = endpoint::<Hello, MsgPack>("ws://example.org")
        .platform(world.platform())
        .connect()
        .unwrap();
    json.send(hello()).now_or_never().unwrap().unwrap();
    pack.send(hello()).now_or_never().unwrap().unwrap();
    world.connection(0).open();
    world.connection(1).open();
    assert_eq!(
        world.connection(1).offered_protocols(),
        ["hello.msgpack~1", "hello.msgpack"]
    );
    assert!(matches!(
        &world.connection(0).received()[..],
        [Message::Text(_)]
    ));
    assert!(matches!(
        &world.connection(1).received()[..],
        [Message::Binary(_)]
    ));
}

#[test]
fn a_provider_is_asked_afresh_for_every_attempt() {
    let world = World::new();
    let url = Source::provider(|attempt: Attempt| {
        let number = attempt.number;
        let code = attempt.last_loss.as_ref().map(|loss| loss.close.code);
        async move {
            match number {
                2 => Err("no token"),
                _ => Ok(format!("ws://example.org/{number}/{code:?}")),
            }
        }
    });
    let socket = Text::builder(url)
        .platform(world.platform())
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.run();
    assert_eq!(world.connection(0).url(), "ws://example.org/1/None");
    world.connection(0).refuse();
    world.advance(Duration::from_secs(5));
    assert_eq!(
        world.connection_count(),
        1,
        "the second attempt failed in the provider"
    );
    world.advance(Duration::from_secs(10));
    assert_eq!(world.connection(1).url(), "ws://example.org/3/Some(1006)");
    let causes = causes(&mut events);
    assert_eq!(causes, [Cause::Socket, Cause::Provider]);
}

// [R27]
#[test]
fn a_provider_that_never_settles_is_a_failed_attempt_and_its_future_is_dropped() {
    struct Flag(Rc<Cell<u32>>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let world = World::new();
    let dropped = Rc::new(Cell::new(0));
    let counter = Rc::clone(&dropped);
    let url = Source::provider(move |_| {
        let flag = Flag(Rc::clone(&counter));
        async move {
            core::future::pending::<()>().await;
            drop(flag);
            Ok::<_, String>(String::new())
        }
    });
    let socket = Text::builder(url)
        .platform(world.platform())
        .connect()
        .unwrap();
    world.advance(Duration::from_millis(9_999));
    assert_eq!(
        (dropped.get(), socket.handle().phase()),
        (0, Phase::Connecting)
    );
    world.advance(Duration::from_millis(1));
    assert_eq!(
        (dropped.get(), socket.handle().phase()),
        (1, Phase::Waiting)
    );
    world.advance(Duration::from_secs(5));
    assert_eq!(socket.handle().phase(), Phase::Connecting);
    socket.handle().close(None, "").unwrap();
    world.run();
    assert_eq!((dropped.get(), socket.handle().phase()), (2, Phase::Closed));
}

// [R27]
#[test]
fn a_bad_url_from_a_provider_is_a_failed_attempt_and_from_the_program_an_error() {
    let world = World::new();
    let url = Source::provider(async |_| Ok::<_, String>(text("ftp://example.org/")));
    let socket = Text::builder(url)
        .platform(world.platform())
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.run();
    let refused = first_loss(&mut events).unwrap();
    assert_eq!(refused.cause, Cause::Provider);
    assert!(refused.error.unwrap().contains("scheme is ftp:"));
    assert_eq!(
        (socket.handle().phase(), world.connection_count()),
        (Phase::Waiting, 0)
    );

    let error = Text::builder("ftp://example.org")
        .platform(world.platform())
        .connect();
    assert!(matches!(error, Err(ConnectError::Url(_))));
    let error = builder(&world).protocols(["a", "a"]).connect();
    assert!(matches!(error, Err(ConnectError::Protocols(_))));
    let error = builder(&world)
        .options(Options::default().growth_factor(f64::NAN))
        .connect();
    assert!(matches!(error, Err(ConnectError::Option(_))));
    assert!(matches!(
        Text::connect("ws://example.org"),
        Err(ConnectError::NoRuntime)
    ));
}

#[test]
fn the_predicate_has_the_last_word() {
    let world = World::new();
    let socket = builder(&world)
        .should_reconnect(|loss| match loss.close.code {
            1000 => Some(Verdict::retry_after(Duration::from_millis(7))),
            4000 => Some(Verdict::Stop),
            _ => None,
        })
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    world.connection(0).close(1000, "");
    world.advance(Duration::from_millis(7));
    world.connection(1).open();
    world.connection(1).close(4000, "");
    let is_close = |event: &Event<Message>| matches!(event, Event::Closed(_));
    let Some(Event::Closed(closed)) = drain(&mut events).into_iter().rfind(is_close) else {
        panic!("a close is reported");
    };
    assert_eq!(
        (closed.why, closed.next_attempt_in()),
        (Why::PredicateStops, None)
    );
}

#[test]
fn a_predicate_that_closes_gets_one_final_close() {
    let world = World::new();
    let slot: Rc<RefCell<Option<steady_socket::Handle<String, PlainText>>>> = Rc::default();
    let inside = Rc::clone(&slot);
    let socket = builder(&world)
        .should_reconnect(move |_| {
            if let Some(handle) = &*inside.borrow() {
                handle.close(None, "").unwrap();
            }
            None
        })
        .connect()
        .unwrap();
    *slot.borrow_mut() = Some(socket.handle());
    let mut events = socket.events();
    world.connection(0).cut();
    world.advance(Duration::from_secs(60));
    let closes = drain(&mut events)
        .iter()
        .filter(|event| matches!(event, Event::Closed(_)))
        .count();
    assert_eq!((closes, socket.handle().phase()), (1, Phase::Closed));
    assert_eq!(world.connection_count(), 1);
}

// [R23]
#[test]
fn a_predicate_that_always_asks_for_another_attempt_leaves_the_page_its_turn() {
    type Commands = fn(&steady_socket::Handle<String, PlainText>);
    let once: Commands = |handle| handle.reconnect().unwrap();
    let twice: Commands = |handle| {
        handle.reconnect().unwrap();
        handle.reconnect().unwrap();
    };
    let after_a_close: Commands = |handle| {
        handle.close(None, "").unwrap();
        handle.reconnect().unwrap();
    };
    for commands in [once, twice, after_a_close] {
        let world = World::new();
        let slot: Rc<RefCell<Option<steady_socket::Handle<String, PlainText>>>> = Rc::default();
        let asked = Rc::new(Cell::new(0));
        let (inside, count) = (Rc::clone(&slot), Rc::clone(&asked));
        let socket = builder(&world)
            .options(Options::default().attempt_interval(Duration::ZERO))
            .should_reconnect(move |_| {
                count.set(count.get() + 1);
                let handle = inside.borrow().clone();
                // Without an end, the stack would have one.
                if let Some(handle) = handle.filter(|_| count.get() < 100) {
                    commands(&handle);
                }
                None
            })
            .connect()
            .unwrap();
        *slot.borrow_mut() = Some(socket.handle());
        let mut events = socket.events();
        world.last().open();
        world.refuse_sockets(true);
        world.last().cut();
        let first = asked.get();
        assert!((2..=50).contains(&first), "{first} in one task");
        // Each loss is reported, and the next attempt is made in the next task.
        let causes = causes(&mut events);
        let (cut, refused) = causes.split_first().unwrap();
        assert_eq!((*cut, causes.len()), (Cause::Socket, first));
        assert!(refused.iter().all(|cause| *cause == Cause::Refused));
        world.refuse_sockets(false);
        world.advance(Duration::ZERO);
        world.last().open();
        assert_eq!((asked.get(), socket.handle().phase()), (first, Phase::Open));
    }
}

// [R14]
#[test]
fn with_reconnect_off_the_predicate_is_not_asked_and_nothing_stays() {
    let world = World::new();
    let asked = Rc::new(Cell::new(0));
    let counted = Rc::clone(&asked);
    let mut socket = builder(&world)
        .options(Options::default().reconnect(false))
        .should_reconnect(move |_| {
            counted.set(counted.get() + 1);
            Some(Verdict::Retry)
        })
        .connect()
        .unwrap();
    let mut events = socket.events();
    let handle = socket.handle();
    world.last().open();
    world.last().cut();
    let is_close = |event: &Event<Message>| matches!(event, Event::Closed(_));
    let Some(Event::Closed(closed)) = drain(&mut events).into_iter().rfind(is_close) else {
        panic!("a close is reported");
    };
    assert_eq!(
        (closed.why, closed.next_attempt_in()),
        (Why::ReconnectOff, None)
    );
    assert_eq!(socket.next().now_or_never(), Some(None), "it has ended");
    world.advance(Duration::from_secs(600));
    assert_eq!((world.connection_count(), asked.get()), (1, 0));
    world.assert_idle();
    // The program's own request is a different matter.
    handle.reconnect().unwrap();
    world.last().refuse();
    world.advance(Duration::from_secs(600));
    assert_eq!((world.connection_count(), asked.get()), (2, 0));
    assert_eq!(handle.phase(), Phase::Closed);
    world.assert_idle();
}

// [R14]
#[test]
fn a_socket_that_the_browser_refuses_is_a_failed_attempt() {
    let world = World::new();
    world.refuse_sockets(true);
    let socket = connect(&world);
    let mut events = socket.events();
    assert_eq!(socket.handle().phase(), Phase::Waiting);
    world.run();
    let refused = first_loss(&mut events).unwrap();
    assert_eq!(refused.cause, Cause::Refused);
    assert!(refused.error.is_some_and(|error| !error.is_empty()));
    world.refuse_sockets(false);
    world.advance(Duration::from_secs(5));
    world.connection(0).open();
    assert_eq!(socket.handle().phase(), Phase::Open);
}

// [R25][F32]
#[test]
fn a_send_that_throws_loses_the_connection_and_not_the_message() {
    let world = World::new();
    let socket = connect(&world);
    world.connection(0).open();
    world.connection(0).fail_sends(true);
    socket.handle().try_send("kept").unwrap();
    assert_eq!(socket.handle().phase(), Phase::Waiting);
    assert!(world.connection(0).closed_with().is_some());
    world.advance(Duration::from_secs(5));
    world.connection(1).open();
    assert_eq!(texts(world.connection(1).received()), ["kept"]);
}

#[test]
fn a_gate_holds_the_queue_until_the_application_is_ready() {
    let world = World::new();
    let options = Options::default().gate(true);
    let socket = builder(&world).options(options).connect().unwrap();
    let handle = socket.handle();
    handle.try_send("waits").unwrap();
    world.connection(0).open();
    let first = SendMode {
        first: true,
        ..SendMode::default()
    };
    handle.try_send_with("login", first).unwrap();
    assert_eq!(texts(world.connection(0).received()), ["login"]);
    handle.ready().unwrap();
    assert_eq!(texts(world.connection(0).received()), ["login", "waits"]);
}

#[test]
fn start_closed_waits_for_reconnect() {
    let world = World::new();
    let options = Options::default().start_closed(true);
    let mut socket = builder(&world).options(options).connect().unwrap();
    world.advance(Duration::from_secs(60));
    assert_eq!(
        (world.connection_count(), socket.handle().phase()),
        (0, Phase::Idle)
    );
    assert!(
        socket.next().now_or_never().is_none(),
        "it has not ended: it has not begun"
    );
    socket.handle().reconnect().unwrap();
    assert_eq!(world.connection_count(), 1);
}

/// How long until the next attempt, and why, after the events so far.
fn last_wait(events: &mut Events) -> Option<(u64, Why)> {
    drain(events)
        .into_iter()
        .filter_map(|event| match event {
            Event::Closed(closed) => Some((closed.next_attempt_in()?, closed.why)),
            Event::State(change) => Some((change.next_attempt_in()?, change.why)),
            _ => None,
        })
        .next_back()
        .map(|(wait, why)| (wait.as_millis() as u64, why))
}

/// A connection whose server answers `ping` with `pong`, asked after 20 s of silence.
fn with_heartbeat(world: &World) -> Text {
    builder(world)
        .options(Options::default().heartbeat_interval(Some(Duration::from_secs(20))))
        .heartbeat("ping".into(), |message| *message == Message::from("pong"))
        .connect()
        .unwrap()
}

// [R1]
#[test]
fn a_silent_server_is_asked_and_then_given_up_at_once() {
    let world = World::new();
    let mut socket = with_heartbeat(&world);
    let mut events = socket.events();
    world.connection(0).open();
    world.advance(Duration::from_secs(19));
    assert!(world.connection(0).received().is_empty());
    world.advance(Duration::from_secs(1));
    assert_eq!(texts(world.connection(0).received()), ["ping"]);
    world.connection(0).send("pong");
    assert!(
        socket.next().now_or_never().is_none(),
        "the answer is not for the application"
    );

    world.advance(Duration::from_millis(29_999));
    assert_eq!(socket.handle().phase(), Phase::Open);
    assert_eq!(texts(world.connection(0).received()), ["ping", "ping"]);
    world.advance(Duration::from_millis(1));
    assert_eq!(socket.handle().phase(), Phase::Waiting);
    let cause = drain(&mut events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(closed) => Some((closed.loss.cause, closed.loss.close.code)),
            _ => None,
        });
    assert_eq!(cause, Some((Cause::HeartbeatTimeout, 1006)));
    assert!(world.connection(0).closed_with().is_some() && !world.connection(0).is_listened_to());
}

// [R1]
#[test]
fn without_a_ping_a_server_is_given_up_when_it_is_silent_for_too_long() {
    let world = World::new();
    let mut socket = builder(&world)
        .options(Options::default().heartbeat_interval(Some(Duration::from_secs(20))))
        .connect()
        .unwrap();
    world.connection(0).open();
    for _ in 0..3 {
        world.advance(Duration::from_millis(29_999));
        assert_eq!(socket.handle().phase(), Phase::Open);
        world.connection(0).send("news");
        assert!(socket.next().now_or_never().is_some());
    }
    world.advance(Duration::from_secs(30));
    assert_eq!(socket.handle().phase(), Phase::Waiting);
    assert!(world.connection(0).received().is_empty());
}

// [R1]
#[test]
fn any_message_is_life() {
    let world = World::new();
    let mut socket = with_heartbeat(&world);
    world.connection(0).open();
    for _ in 0..10 {
        world.advance(Duration::from_secs(15));
        world.connection(0).send("news");
        assert!(socket.next().now_or_never().is_some());
    }
    assert!(
        world.connection(0).received().is_empty(),
        "no ping was needed"
    );
    assert_eq!(socket.handle().phase(), Phase::Open);
}

#[test]
fn a_server_that_is_not_known_to_answer_is_never_asked_nor_judged() {
    let world = World::new();
    let socket = connect(&world);
    world.connection(0).open();
    for hint in [Hint::Online, Hint::Offline, Hint::Visible, Hint::Resumed] {
        world.hint(hint);
    }
    world.advance(Duration::from_secs(3600));
    assert!(world.connection(0).received().is_empty());
    assert_eq!(
        (socket.handle().phase(), world.timer_count()),
        (Phase::Open, 0)
    );
}

// [R4][F38]
#[test]
fn a_page_that_wakes_asks_and_a_dead_connection_is_replaced_without_a_wait() {
    let world = World::new();
    let socket = with_heartbeat(&world);
    let mut events = socket.events();
    world.connection(0).open();
    world.hint(Hint::Visible);
    assert_eq!(texts(world.connection(0).received()), ["ping"]);
    world.connection(0).send("pong");
    world.advance(Duration::from_secs(6));
    assert_eq!(socket.handle().phase(), Phase::Open, "a healthy one stays");

    world.hint(Hint::Resumed);
    world.advance(Duration::from_secs(5));
    assert_eq!(last_wait(&mut events), Some((0, Why::LocalLoss)));
    world.advance(Duration::ZERO);
    assert_eq!(world.connection_count(), 2);
}

// [R4]
#[test]
fn a_loss_right_after_waking_is_local_and_one_later_is_not() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).open();
    world.advance(Duration::from_secs(60));
    world.hint(Hint::Resumed);
    world.connection(0).cut();
    assert_eq!(last_wait(&mut events), Some((0, Why::LocalLoss)));
    world.advance(Duration::ZERO);
    world.connection(1).open();
    world.advance(Duration::from_secs(60));
    world.connection(1).cut();
    assert_eq!(last_wait(&mut events), Some((5_000, Why::PolicyRetries)));
}

// [R3][R4]
#[test]
fn waking_ends_a_wait_and_the_network_ends_it_soon() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).cut();
    world.hint(Hint::Offline);
    assert_eq!(
        (world.connection_count(), socket.handle().phase()),
        (1, Phase::Waiting)
    );
    world.hint(Hint::Online);
    assert_eq!(last_wait(&mut events), Some((2_000, Why::Woken)));
    world.hint(Hint::Visible);
    assert_eq!(world.connection_count(), 2);
}

// [R22][F33]
#[test]
fn a_machine_that_slept_does_not_wait_on() {
    let world = World::new();
    let _socket = connect(&world);
    world.connection(0).cut();
    world.sleep(Duration::from_secs(3600));
    world.hint(Hint::Offline);
    assert_eq!(world.connection_count(), 2, "the clocks tell");
}

// [R12]
#[test]
fn the_window_that_a_server_announces_is_kept_and_clamped() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).open();
    world
        .connection(0)
        .close(1001, "deploying reconnect=0-20000");
    assert_eq!(last_wait(&mut events), Some((20_000, Why::ServerAsks)));
    world.hint(Hint::Visible);
    assert_eq!(world.connection_count(), 1, "nothing shortens it");
    world.advance(Duration::from_secs(20));
    world.connection(1).open();
    world.connection(1).close(1012, "");
    assert_eq!(last_wait(&mut events), Some((30_000, Why::LaterByCode)));
    world.advance(Duration::from_secs(30));
    world.connection(2).open();
    world.connection(2).close(1001, "reconnect=0-9999999999");
    assert_eq!(last_wait(&mut events), Some((60_000, Why::ServerAsks)));
}

#[test]
fn control_messages_are_spoken_where_they_were_negotiated() {
    let world = World::new();
    let options = Options::default().control_messages(true);
    let mut socket = builder(&world)
        .protocols(vec![text("chat~1"), text("chat")])
        .options(options)
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.connection(0).open_with_protocol("chat~1");
    world.connection(0).send("~beat 20000");
    world.connection(0).send("~reconnect 1000-7000");
    world.connection(0).send("~unknown");
    assert!(
        socket.next().now_or_never().is_none(),
        "none is for the application"
    );
    world.hint(Hint::Visible);
    assert_eq!(texts(world.connection(0).received()), ["~ping"]);
    world.connection(0).send("~beat 20000");
    world.advance(Duration::from_secs(30));
    assert_eq!(last_wait(&mut events), Some((7_000, Why::ServerAsks)));

    world.advance(Duration::from_secs(7));
    world.connection(1).open_with_protocol("chat");
    world.connection(1).send("~beat 20000");
    assert!(
        socket.next().now_or_never().is_some(),
        "an ordinary message here"
    );
    world.advance(Duration::from_secs(600));
    assert_eq!(socket.handle().phase(), Phase::Open);
}

const MARKED: [&str; 5] = [
    "~reconnect 60000-60000",
    "~5 minutes left",
    "~",
    "~~ping",
    "~beat 5000",
];

/// How many messages were unconfirmed at the last loss.
fn last_unconfirmed(events: &mut Events) -> Option<u64> {
    drain(events)
        .into_iter()
        .rev()
        .find_map(|event| match event {
            Event::Closed(closed) => Some(closed.unconfirmed.messages),
            _ => None,
        })
}

// [R25]
#[test]
fn what_the_server_says_by_itself_confirms_nothing() {
    for subprotocol in ["chat~1", "chat"] {
        let world = World::new();
        let socket = builder(&world)
            .protocols(vec![subprotocol.to_owned()])
            .options(Options::default().control_messages(true))
            .heartbeat(Message::from("ping"), |message| *message == "pong".into())
            .connect()
            .unwrap();
        let mut events = socket.events();
        world.connection(0).open_with_protocol(subprotocol);
        world.connection(0).send("~beat 20000");
        world.connection(0).send("~pong 0");
        world.connection(0).hold();
        for _ in 0..10 {
            socket.handle().try_send("into a hole").unwrap();
        }
        for _ in 0..1_000 {
            for said in ["tick", "~beat 20000", "~pong 0", "~pong 9", "pong"] {
                world.connection(0).send(said);
            }
            world.advance(Duration::from_millis(5));
        }
        world.connection(0).cut();
        assert_eq!(last_unconfirmed(&mut events), Some(10), "{subprotocol}");
    }
}

// [R25]
#[test]
fn the_answer_to_a_numbered_ping_confirms_what_went_before_it() {
    let world = World::new();
    let socket = builder(&world)
        .protocols(vec!["chat~1".to_owned()])
        .options(Options::default().control_messages(true))
        .connect()
        .unwrap();
    let mut events = socket.events();
    let sent = |index: usize| texts(world.connection(index).received());
    world.connection(0).open_with_protocol("chat~1");
    world.connection(0).send("~beat 20000");
    socket.handle().try_send("before").unwrap();
    world.advance(Duration::from_secs(5));
    assert_eq!(sent(0), ["before"], "it is not known to answer");
    world.connection(0).send("~pong 0");
    world.advance(Duration::from_secs(1));
    assert_eq!(sent(0), ["before", "~ping 1"]);
    socket.handle().try_send("after").unwrap();
    world.connection(0).send("~beat 20000");
    world.connection(0).send("~pong 1");
    world.connection(0).cut();
    assert_eq!(last_unconfirmed(&mut events), Some(1));

    // A server that does not know numbers gets a plain ping, whose answer confirms nothing.
    world.advance(Duration::from_secs(5));
    world.connection(1).open_with_protocol("chat~1");
    world.connection(1).send("~beat 20000");
    socket.handle().try_send("more").unwrap();
    world.hint(Hint::Visible);
    assert_eq!(sent(1), ["more", "~ping"]);
    world.connection(1).send("~beat 20000");
    world.connection(1).send("~pong 1");
    world.connection(1).cut();
    assert_eq!(last_unconfirmed(&mut events), Some(1));
}

// [R25]
#[test]
fn the_answer_to_a_heartbeat_of_the_application_confirms_what_went_before_it() {
    let world = World::new();
    let socket = builder(&world)
        .heartbeat(Message::from("ping"), |message| *message == "pong".into())
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    socket.handle().try_send("one").unwrap();
    world.hint(Hint::Visible);
    socket.handle().try_send("two").unwrap();
    world.hint(Hint::Visible);
    socket.handle().try_send("three").unwrap();
    // It may answer either ping, so only the first is certain.
    world.connection(0).send("pong");
    world.connection(0).cut();
    assert_eq!(last_unconfirmed(&mut events), Some(2));
}

// [R35]
#[test]
fn a_text_of_the_application_is_never_taken_for_a_control_message() {
    let world = World::new();
    let mut socket = builder(&world)
        .protocols(vec![text("chat~1"), text("chat")])
        .options(
            Options::default()
                .control_messages(true)
                .max_message_bytes(Some(22)),
        )
        .connect()
        .unwrap();
    let mut events = socket.events();
    let handle = socket.handle();
    for marked in MARKED {
        handle.try_send(marked).unwrap();
    }
    world.connection(0).open_with_protocol("chat~1");
    handle.try_send("plain").unwrap();
    let sent = MARKED.map(|marked| format!("~{marked}"));
    assert_eq!(texts(world.connection(0).received())[..5], sent);
    assert_eq!(texts(world.connection(0).received())[5..], ["plain"]);
    // Counted as the application gave them.
    let bytes = MARKED.concat().len() + 5;
    assert_eq!(handle.snapshot().unwrap().sent.bytes, bytes as u64);

    for text in sent {
        world.connection(0).send(text.as_str());
    }
    let mut received = Vec::new();
    while let Some(item) = socket.next().now_or_never() {
        received.push(item.unwrap().unwrap());
    }
    assert_eq!(received, MARKED);
    let bytes = MARKED.concat().len() as u64;
    assert_eq!(handle.snapshot().unwrap().received.bytes, bytes);
    world.connection(0).cut();
    assert_eq!(last_wait(&mut events), Some((5_000, Why::PolicyRetries)));

    // Without control messages, nothing is changed.
    world.advance(Duration::from_secs(5));
    world.connection(1).open_with_protocol("chat");
    for marked in MARKED {
        handle.try_send(marked).unwrap();
        world.connection(1).send(marked);
        let received = socket.next().now_or_never();
        assert_eq!(received.unwrap().unwrap().unwrap(), marked);
    }
    assert_eq!(texts(world.connection(1).received()), MARKED);

    // Unsent messages come back unchanged, and what a drop sends is escaped, too.
    world.connection(1).cut();
    world.hint(Hint::Visible);
    world.connection(2).open_with_protocol("chat~1");
    let much = 4 * 1024 * 1024;
    world.connection(2).set_buffered(much as u64);
    handle.try_send("x".repeat(much)).unwrap();
    assert_eq!(handle.try_send("~last"), Ok(Sent::Queued));
    drop(socket);
    assert_eq!(
        texts(world.connection(2).received()).last().unwrap(),
        "~~last"
    );
}

// [R16][R35]
#[test]
fn the_escape_of_a_text_does_not_count_for_its_size() {
    for (text, is_taken) in [
        ("~~3456", true),
        ("~~34567", false),
        ("12345", true),
        ("123456", false),
    ] {
        let world = World::new();
        let socket = builder(&world)
            .protocols(vec!["chat~1".to_owned()])
            .options(
                Options::default()
                    .control_messages(true)
                    .max_message_bytes(Some(5)),
            )
            .connect()
            .unwrap();
        world.connection(0).open_with_protocol("chat~1");
        world.connection(0).send(text);
        let is_open = socket.handle().phase() == Phase::Open;
        assert_eq!(is_open, is_taken, "{text}");
    }
}

// [R21][F18]
#[test]
fn a_loop_of_reconnects_is_slowed_down() {
    let world = World::new();
    let socket = builder(&world)
        .on_open(|opening| opening.handle().reconnect().unwrap())
        .connect()
        .unwrap();
    let mut events = socket.events();
    for index in 0..10 {
        world.connection(index).open();
    }
    assert_eq!(world.connection_count(), 10);
    assert_eq!(last_wait(&mut events), Some((5_000, Why::TooManyAttempts)));
    socket.handle().reconnect().unwrap();
    assert_eq!(world.connection_count(), 10);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.connection_count(), 11);
}

// [R8]
#[test]
fn the_page_is_listened_to_only_while_a_connection_is_wanted() {
    let world = World::new();
    let socket = builder(&world)
        .options(Options::default().start_closed(true))
        .connect()
        .unwrap();
    assert_eq!(world.watch_count(), 0);
    socket.handle().reconnect().unwrap();
    assert_eq!(world.watch_count(), 1);
    world.connection(0).open();
    world.connection(0).close(1000, "");
    assert_eq!(world.watch_count(), 0);
    socket.handle().reconnect().unwrap();
    assert_eq!(world.watch_count(), 1);
    drop(socket);
    world.run();
    assert_eq!(world.watch_count(), 0);
}

// [R16]
#[test]
fn a_message_that_is_too_big_ends_the_connection_and_is_forgiven_once() {
    let world = World::new();
    let options = Options::default().max_message_bytes(Some(3));
    let mut socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    world.connection(0).send("yes");
    world.connection(0).send("four");
    assert_eq!(
        world.connection(0).closed_with(),
        Some((Some(4009), text("message too big")))
    );
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("yes")))));
    assert_eq!(last_wait(&mut events), Some((5_000, Why::PolicyRetries)));
    world.advance(Duration::from_secs(5));
    world.connection(1).open();
    world.connection(1).send("again");
    let is_close = |event: &Event<Message>| matches!(event, Event::Closed(_));
    let Some(Event::Closed(closed)) = drain(&mut events).into_iter().rfind(is_close) else {
        panic!("a close is reported");
    };
    assert_eq!(
        (closed.loss.cause, closed.why),
        (Cause::MessageTooBig, Why::RefusedTwice)
    );
}

// [R26]
#[test]
fn what_is_not_read_in_time_is_bounded_and_reported() {
    let world = World::new();
    let limits = |overflow| InboxLimits {
        messages: 2,
        bytes: 100,
        overflow,
    };
    let mut socket = builder(&world)
        .inbox(limits(InboxOverflow::DropOldest))
        .connect()
        .unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    for message in ["a", "b", "c"] {
        world.connection(0).send(message);
    }
    let Some(Event::Dropped(dropped)) = drain(&mut events).pop() else {
        panic!("the last event tells what was dropped");
    };
    assert_eq!(
        (dropped.reason.name(), texts(dropped.payloads)),
        ("inbox-full", vec![text("a")])
    );
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("b")))));

    let _closing = builder(&world)
        .inbox(limits(InboxOverflow::Close))
        .connect()
        .unwrap();
    world.connection(1).open();
    for message in ["a", "b", "c"] {
        world.connection(1).send(message);
    }
    assert_eq!(
        world.connection(1).closed_with(),
        Some((Some(4008), text("inbox full")))
    );
}

// [R30]
#[test]
fn a_secure_page_refuses_an_insecure_connection_unless_told_otherwise() {
    let world = World::new();
    world.set_secure(true);
    let Err(ConnectError::Insecure(refused)) = builder(&world).connect() else {
        panic!("it is refused");
    };
    assert!(refused.to_string().contains("https") && !refused.to_string().contains("example"));
    let options = Options::default().allow_insecure(true);
    assert!(builder(&world).options(options).connect().is_ok());
}

// [R25]
#[test]
fn a_message_that_two_sockets_refuse_comes_back() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    world.connection(0).open();
    world.connection(0).fail_sends(true);
    socket.handle().try_send("poison").unwrap();
    world.advance(Duration::from_secs(5));
    world.connection(1).fail_sends(true);
    world.connection(1).open();
    let dropped: Vec<_> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            Event::Dropped(dropped) => Some((dropped.reason, texts(dropped.payloads))),
            _ => None,
        })
        .collect();
    assert_eq!(dropped, [(DropReason::Refused, vec![text("poison")])]);
    assert_eq!(
        (socket.handle().phase(), world.connection_count()),
        (Phase::Open, 2)
    );
}

#[test]
fn a_send_that_throws_after_the_open_handler_is_told_at_once() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    socket.handle().try_send("queued").unwrap();
    world.connection(0).fail_sends(true);
    world.connection(0).open();
    let told = drain(&mut events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(closed) => Some(closed.loss.cause),
            _ => None,
        });
    assert_eq!(told, Some(Cause::SendFailed));
}

#[test]
fn a_provider_that_closes_its_own_socket_is_not_waited_for() {
    let world = World::new();
    let slot: Rc<RefCell<Option<steady_socket::Handle<String, PlainText>>>> = Rc::default();
    let inside = Rc::clone(&slot);
    let polled = Rc::new(Cell::new(false));
    let watched = Rc::clone(&polled);
    let url = Source::provider(move |_| {
        if let Some(handle) = &*inside.borrow() {
            handle.close(None, "").unwrap();
        }
        let polled = Rc::clone(&watched);
        async move {
            yield_once().await;
            polled.set(true);
            Ok::<_, String>(text("ws://example.org/"))
        }
    });
    let options = Options::default().start_closed(true);
    let socket = Text::builder(url)
        .options(options)
        .platform(world.platform())
        .connect()
        .unwrap();
    *slot.borrow_mut() = Some(socket.handle());
    socket.handle().reconnect().unwrap();
    world.run();
    assert_eq!(
        (socket.handle().phase(), world.connection_count()),
        (Phase::Closed, 0)
    );
    assert!(!polled.get(), "its future was dropped");
}

#[test]
fn a_sub_protocol_of_the_users_own_is_left_alone() {
    let world = World::new();
    let mut socket = builder(&world)
        .protocols(vec![text("mine~1")])
        .connect()
        .unwrap();
    world.connection(0).open_with_protocol("mine~1");
    world.connection(0).send("~/home");
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("~/home")))));
    world.hint(Hint::Visible);
    assert!(world.connection(0).received().is_empty());
}

#[test]
fn a_sender_that_waits_is_woken_when_the_gate_opens() {
    let world = World::new();
    let options = Options::default().gate(true).max_queued_messages(1);
    let socket = builder(&world).options(options).connect().unwrap();
    let handle = socket.handle();
    handle.try_send("a").unwrap();
    world.connection(0).open();
    let message = text("b");
    let mut waiting = Box::pin(handle.send(&message));
    let (waker, count) = futures_test_waker();
    let mut task = core::task::Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut task).is_pending());
    handle.ready().unwrap();
    assert_eq!(count.load(core::sync::atomic::Ordering::Relaxed), 1);
    assert!(waiting.as_mut().poll(&mut task).is_ready());
    assert_eq!(texts(world.connection(0).received()), ["a", "b"]);
}

/// A waker, and how often it was called.
fn futures_test_waker() -> (
    core::task::Waker,
    std::sync::Arc<core::sync::atomic::AtomicUsize>,
) {
    struct Counter(std::sync::Arc<core::sync::atomic::AtomicUsize>);
    impl std::task::Wake for Counter {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        }
    }
    let count = std::sync::Arc::default();
    (
        std::sync::Arc::new(Counter(std::sync::Arc::clone(&count))).into(),
        count,
    )
}

#[test]
fn dropping_the_socket_tells_its_events_what_was_not_sent() {
    let world = World::new();
    let options = Options::default().max_queued_messages(1);
    let mut socket = builder(&world).options(options).connect().unwrap();
    let mut events = socket.events();
    socket.feed(text("queued")).now_or_never().unwrap().unwrap();
    socket
        .feed(text("in hand"))
        .now_or_never()
        .unwrap()
        .unwrap();
    drop(socket);
    let story = drain(&mut events);
    let dropped: Vec<String> = story
        .iter()
        .filter_map(|event| match event {
            Event::Dropped(dropped) => Some(texts(dropped.payloads.clone())),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(dropped, ["in hand", "queued"]);
    assert!(
        matches!(story.last(), Some(Event::Closed(closed)) if closed.next_attempt_in().is_none())
    );
    assert_eq!(events.next().now_or_never(), Some(None));
}

#[test]
fn a_relative_url_is_relative_to_the_page() {
    let world = World::new();
    let _one = Text::builder("/chat")
        .platform(world.platform())
        .connect()
        .unwrap();
    let _two = endpoint::<Hello, Json>("")
        .platform(world.platform())
        .connect()
        .unwrap();
    assert_eq!(world.connection(0).url(), "ws://page.test/chat");
    assert_eq!(world.connection(1).url(), "ws://page.test/hello");
}

#[test]
fn senders_that_wait_do_not_wake_each_other() {
    let world = World::new();
    let options = Options::default().max_queued_bytes(10);
    let socket = builder(&world).options(options).connect().unwrap();
    let handle = socket.handle();
    handle.try_send("12345").unwrap();
    let message = text("1234567");
    let (waker, count) = futures_test_waker();
    let mut task = core::task::Context::from_waker(&waker);
    let (other, other_count) = futures_test_waker();
    let mut other_task = core::task::Context::from_waker(&other);
    let mut one = Box::pin(handle.send(&message));
    let mut two = Box::pin(handle.send(&message));
    for _ in 0..3 {
        assert!(one.as_mut().poll(&mut task).is_pending());
        assert!(two.as_mut().poll(&mut other_task).is_pending());
    }
    let counts =
        || [&count, &other_count].map(|count| count.load(core::sync::atomic::Ordering::Relaxed));
    assert_eq!(counts(), [0, 0]);
    world.connection(0).open();
    assert_eq!(counts(), [1, 1]);
    assert!(one.as_mut().poll(&mut task).is_ready());
    assert!(two.as_mut().poll(&mut other_task).is_ready());
}

#[test]
fn events_that_hold_much_that_was_dropped_are_bounded_in_bytes() {
    let world = World::new();
    let limits = InboxLimits {
        messages: 1,
        bytes: 1 << 30,
        overflow: InboxOverflow::DropNewest,
    };
    let socket = builder(&world).inbox(limits).connect().unwrap();
    let mut events = socket.events();
    world.connection(0).open();
    for _ in 0..20 {
        world.connection(0).send(Message::Binary(vec![0; 500_000]));
    }
    let (mut held, mut dropped) = (0, 0);
    for event in drain(&mut events) {
        if let Event::Dropped(report) = event {
            held += report.payloads.iter().map(Message::len).sum::<usize>();
            dropped += report.bytes;
        }
    }
    assert!((500_000..=1_500_000).contains(&held), "{held}");
    assert_eq!((dropped, events.missed()), (19 * 500_000, 0));
}

// [F34]
#[test]
fn a_dead_connection_is_noticed_although_timers_tick_once_a_minute() {
    let world = World::new();
    let socket = with_heartbeat(&world);
    world.connection(0).open();
    // The page's timers are always late, as if it slept.
    for _ in 0..3 {
        world.advance_throttled(Duration::from_secs(60));
    }
    assert_ne!(socket.handle().phase(), Phase::Open);
}

// [R2]
#[test]
fn a_hidden_page_with_a_full_buffer_is_back_as_soon_as_others() {
    let (world, platform, socket) = with_a_full_buffer(Duration::ZERO);
    // The measurements of the browser's buffer become a deep chain.
    world.advance(Duration::from_secs(1));
    platform.hidden.set(true);
    let until_given_up = (0..60)
        .find(|_| {
            world.advance(Duration::from_secs(1));
            socket.handle().phase() == Phase::Waiting
        })
        .expect("the silence is noticed");
    let until_back = (0..60).find(|_| {
        world.advance(Duration::from_secs(1));
        world.connection_count() == 2
    });
    assert!(until_given_up <= 32, "given up after {until_given_up} s");
    assert!(
        until_back.is_some_and(|seconds| seconds <= 6),
        "{until_back:?}"
    );
}

// [R2]
#[test]
fn a_look_at_a_full_buffer_just_before_a_deadline_does_not_make_it_late() {
    // Between two measurements, which are 100 ms apart.
    let (world, platform, socket) = with_a_full_buffer(Duration::from_millis(50));
    // The ping goes out after 20 s, and its answer has 10 s.
    world.advance(Duration::from_millis(29_850));
    platform.hidden.set(true);
    world.advance(Duration::from_millis(99));
    assert_eq!(socket.handle().phase(), Phase::Open);
    world.advance(Duration::from_millis(1));
    assert_eq!(socket.handle().phase(), Phase::Waiting);
}

/// A socket with a heartbeat whose browser's buffer is full from some time after it opened on.
fn with_a_full_buffer(after: Duration) -> (World, Rc<Injected>, Text) {
    let world = World::new();
    let platform = Injected::new(&world);
    let options = Options::default()
        .heartbeat_interval(Some(Duration::from_secs(20)))
        .high_water_mark(1)
        .low_water_mark(0);
    let socket: Text = Socket::builder("ws://server.test/")
        .options(options)
        .heartbeat("ping".into(), |message| *message == Message::from("pong"))
        .platform(platform.clone())
        .connect()
        .unwrap();
    world.connection(0).open();
    world.advance(after);
    world.connection(0).set_buffered(1);
    for text in ["fills", "waits"] {
        socket.handle().try_send(text).unwrap();
    }
    (world, platform, socket)
}

const BUSY: [u64; 7] = [900, 1_500, 2_500, 4_500, 9_000, 30_000, 90_000];

/// A socket that answers to silence after a second, with a grace of another.
fn impatient(world: &World) -> Builder<String, String, PlainText> {
    builder(world).options(
        Options::default()
            .heartbeat_interval(Some(Duration::from_secs(1)))
            .heartbeat_grace(Duration::from_secs(1)),
    )
}

fn answers_pings(world: &World) {
    world.on_message(|connection, message| {
        if message == Message::from("ping") {
            connection.send("pong");
        }
    });
}

/// From here on the server is silent, and the page is busy for so many milliseconds at a time.
fn is_given_up_soon(world: &World, socket: &Text, busy: u64) {
    let until = (0..20).find(|_| {
        world.busy(Duration::from_millis(busy), || {});
        socket.handle().phase() != Phase::Open
    });
    assert!(
        until.is_some_and(|times| times < 6),
        "{until:?} times {busy} ms"
    );
}

// [R1][R20]
#[test]
fn a_busy_page_never_gives_up_a_server_that_answers() {
    for busy in BUSY {
        let world = World::new();
        answers_pings(&world);
        let socket = impatient(&world)
            .heartbeat("ping".into(), |message| *message == "pong".into())
            .connect()
            .unwrap();
        world.connection(0).open();
        world.advance(Duration::from_millis(100));
        for _ in 0..20 {
            world.busy(Duration::from_millis(busy), || {});
            assert_eq!(socket.handle().phase(), Phase::Open, "busy for {busy} ms");
        }
        world.connection(0).expect("ping");

        // And a dead server is given up soon, however busy the page is.
        world.connection(0).half_open();
        is_given_up_soon(&world, &socket, busy);
    }
}

// [R1][R20]
#[test]
fn a_busy_page_never_gives_up_a_server_whose_messages_wait() {
    for busy in BUSY {
        let world = World::new();
        let socket = impatient(&world).connect().unwrap();
        let server = world.connection(0);
        server.open();
        for _ in 0..20 {
            world.busy(Duration::from_millis(busy), || server.send("tick"));
            assert_eq!(socket.handle().phase(), Phase::Open, "busy for {busy} ms");
        }
        is_given_up_soon(&world, &socket, busy);
    }
}

// [R13][R17][R20]
#[test]
fn what_was_answered_while_the_page_was_busy_counts() {
    // A handshake.
    let world = World::new();
    let socket = connect(&world);
    world.busy(Duration::from_secs(16), || world.connection(0).open());
    assert_eq!(socket.handle().phase(), Phase::Open);
    // A close.
    let mut events = socket.events();
    socket.handle().close(Some(4_000), "bye").unwrap();
    world.busy(Duration::from_secs(6), || {
        world.connection(0).finish_close()
    });
    let closed = drain(&mut events)
        .into_iter()
        .find_map(|event| match event {
            Event::Closed(closed) => Some(closed.loss),
            _ => None,
        })
        .expect("the end");
    assert_eq!((closed.cause, closed.close.code), (Cause::Socket, 4_000));
}

/// A hidden page that hears its server regularly: its timers fire, find that it is not yet time, and arm the
/// next one, again and again.
// [R2]
#[test]
fn a_timer_deep_in_a_chain_is_not_kept_when_something_arrives() {
    for every in [6, 11, 19] {
        let world = World::new();
        let platform = Injected::new(&world);
        let socket: Text = Socket::builder("ws://server.test/")
            .options(Options::default().heartbeat_interval(Some(Duration::from_secs(20))))
            .heartbeat("ping".into(), |message| *message == Message::from("pong"))
            .platform(platform.clone())
            .connect()
            .unwrap();
        world.connection(0).open();
        platform.hidden.set(true);
        for _ in 0..60 {
            world.advance(Duration::from_secs(every));
            world.connection(0).send("tick");
        }
        assert_eq!(socket.handle().phase(), Phase::Open);
        world.connection(0).half_open();
        // Its interval of 20 s and its grace of 10 s, and 2 s more than in the foreground.
        world.advance(Duration::from_secs(32));
        assert_eq!(socket.handle().phase(), Phase::Waiting, "every {every} s");
    }
}

// [R34]
#[test]
fn a_keepalive_goes_out_in_a_hidden_page_in_time() {
    let world = World::new();
    let platform = Injected::new(&world);
    let _socket: Text = Socket::builder("ws://server.test/")
        .options(Options::default().keepalive_interval(Some(Duration::from_secs(10))))
        .keepalive("alive".into())
        .platform(platform.clone())
        .connect()
        .unwrap();
    world.connection(0).open();
    platform.hidden.set(true);
    world.advance(Duration::from_secs(605));
    assert_eq!(texts(world.connection(0).received()), ["alive"; 60]);
}

// [R34]
#[test]
fn a_keepalive_needs_no_server_that_answers_and_judges_nothing() {
    let world = World::new();
    let options = Options::default().keepalive_interval(Some(Duration::from_secs(1)));
    let error = builder(&world).options(options).connect().unwrap_err();
    assert_eq!(error, ConnectError::Keepalive);
    assert!(error.to_string().contains("keepalive_interval"), "{error}");

    let socket = builder(&world)
        .options(options)
        .keepalive("alive".into())
        .connect()
        .unwrap();
    world.connection(0).open();
    world.hint(Hint::Visible);
    for _ in 0..35 {
        world.connection(0).send("tick");
        world.advance(Duration::from_millis(100));
    }
    assert_eq!(texts(world.connection(0).received()), ["alive"; 3]);
    world.connection(0).half_open();
    world.advance(Duration::from_secs(3_600));
    assert_eq!(socket.handle().phase(), Phase::Open);

    // The ping serves, too; with control messages, it is theirs.
    let world = World::new();
    let _socket = builder(&world)
        .options(options)
        .heartbeat("ping".into(), |message| *message == "pong".into())
        .connect()
        .unwrap();
    world.connection(0).open();
    world.advance(Duration::from_secs(1));
    world.connection(0).expect("ping");
    let world = World::new();
    let _socket = builder(&world)
        .options(options.control_messages(true))
        .protocols(["chat~1"])
        .keepalive("alive".into())
        .connect()
        .unwrap();
    world.connection(0).open();
    world.advance(Duration::from_secs(1));
    world.connection(0).expect("~ping");
}

// [R34]
#[test]
fn no_ping_passes_the_gate_before_it_is_open() {
    for controls in [true, false] {
        let world = World::new();
        let options = Options::default()
            .gate(true)
            .control_messages(controls)
            .heartbeat_interval(Some(Duration::from_millis(300)))
            .keepalive_interval(Some(Duration::from_millis(100)));
        let socket = builder(&world)
            .options(options)
            .protocols(["chat~1"])
            .heartbeat("ping".into(), |message| *message == "pong".into())
            .connect()
            .unwrap();
        world.connection(0).open();
        let first = SendMode {
            first: true,
            ..SendMode::default()
        };
        socket.handle().try_send_with("token", first).unwrap();
        world.advance(Duration::from_secs(60));
        for hint in [Hint::Online, Hint::Visible, Hint::Resumed] {
            world.hint(hint);
        }
        world.sleep(Duration::from_secs(60));
        world.advance(Duration::from_secs(60));
        assert_eq!(texts(world.connection(0).received()), ["token"]);
        assert_eq!(socket.handle().phase(), Phase::Open);
        socket.handle().ready().unwrap();
        let ping = if controls { "~ping" } else { "ping" };
        assert_eq!(texts(world.connection(0).received()), ["token", ping]);
    }
}

// [R12]
#[test]
fn a_clock_that_is_set_forward_shortens_no_wait_that_a_server_asked_for() {
    let world = World::new();
    let _socket = connect(&world);
    world.connection(0).open();
    world.connection(0).close(1012, "reconnect=30000-30000");
    for _ in 0..29 {
        world.advance(Duration::from_secs(1));
        world.sleep(Duration::from_secs(3_600));
        world.hint(Hint::Visible);
    }
    assert_eq!(world.connection_count(), 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.connection_count(), 2);
}

#[test]
fn a_server_that_keeps_failing_cannot_call_its_clients_back_at_once() {
    let world = World::new();
    let socket = connect(&world);
    let mut events = socket.events();
    for index in 0..2 {
        world.connection(index).open();
        world.connection(index).close(1001, "reconnect=0-0");
        world.advance(Duration::ZERO);
    }
    assert_eq!(last_wait(&mut events), Some((10_000, Why::ServerAsks)));
}

/// A platform with the application's own socket constructor, which may do anything, and which
/// can be hidden.
struct Injected {
    world: Rc<dyn Runtime>,
    /// Deep chains of timers fire once a minute, as in a hidden tab of Chromium.
    hidden: Cell<bool>,
    /// The depth of the timer chain that is firing.
    depth: Rc<Cell<u32>>,
    constructor: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Injected {
    fn new(world: &World) -> Rc<Self> {
        Rc::new(Self {
            world: world.platform(),
            hidden: Cell::new(false),
            depth: Rc::default(),
            constructor: RefCell::default(),
        })
    }

    /// What happens inside the next construction.
    fn inside(&self, constructor: impl FnOnce() + 'static) {
        *self.constructor.borrow_mut() = Some(Box::new(constructor));
    }
}

impl Platform<Message> for Injected {
    type Target = Target;
    type Socket = dyn RawSocket<Message>;
    type Watch = Box<dyn Any>;
    type Timer = Box<dyn Any>;

    fn connect(
        &self,
        target: &Target,
        max_message_bytes: Option<u32>,
        listener: Rc<dyn SocketListener<Message>>,
    ) -> Result<Rc<dyn RawSocket<Message>>, Refused> {
        let constructor = self.constructor.borrow_mut().take();
        if let Some(constructor) = constructor {
            constructor();
        }
        self.world.connect(target, max_message_bytes, listener)
    }

    fn now(&self) -> Time {
        self.world.now()
    }

    fn wall_clock(&self) -> u64 {
        self.world.wall_clock()
    }

    fn watch(&self, tell: Rc<dyn Fn(Hint)>) -> Box<dyn Any> {
        self.world.watch(tell)
    }

    fn text_marked(&self, payload: &Message, mark: char) -> Option<String> {
        self.world.text_marked(payload, mark)
    }

    fn without_mark(&self, payload: Message) -> Message {
        self.world.without_mark(payload)
    }

    fn message(&self, text: &str) -> Message {
        self.world.message(text)
    }

    fn chance(&self) -> f64 {
        self.world.chance()
    }

    fn set_timer(&self, millis: u64, fire: Box<dyn FnOnce()>) -> Box<dyn Any> {
        // https://developer.chrome.com/blog/timer-throttling-in-chrome-88
        const DEEP: u32 = 5;
        let depth = self.depth.get();
        let slow = self.hidden.get() && depth >= DEEP;
        let millis = if slow { millis.max(60_000) } else { millis };
        let going_off = Rc::clone(&self.depth);
        let fire = Box::new(move || {
            going_off.set(depth + 1);
            fire();
            going_off.set(0);
        });
        self.world.set_timer(millis, fire)
    }

    fn defer(&self, task: Box<dyn FnOnce()>) {
        self.world.defer(task);
    }

    fn turn(&self, task: Box<dyn FnOnce()>) -> bool {
        self.world.turn(task)
    }
}

impl Runtime for Injected {
    fn random_bytes(&self) -> Option<[u8; 16]> {
        None
    }

    fn spawn(&self, task: LocalFuture<()>) {
        self.world.spawn(task);
    }

    #[cfg(feature = "session")]
    fn watch_hiding(&self, hiding: Rc<dyn Fn()>) -> Box<dyn Any> {
        self.world.watch_hiding(hiding)
    }

    fn page_is_secure(&self) -> bool {
        self.world.page_is_secure()
    }

    fn parse_url(&self, url: &str) -> Result<String, Refused> {
        self.world.parse_url(url)
    }
}

/// A socket that has not started, and its platform.
fn injected(world: &World) -> (Rc<Injected>, Text) {
    let platform = Injected::new(world);
    let socket = Text::builder("ws://example.org/")
        .options(Options::default().start_closed(true))
        .platform(Rc::clone(&platform) as Rc<dyn Runtime>)
        .connect()
        .unwrap();
    (platform, socket)
}

/// The final closes among what has happened.
fn final_closes(events: &mut Events) -> usize {
    drain(events)
        .iter()
        .filter(
            |event| matches!(event, Event::Closed(closed) if closed.next_attempt_in().is_none()),
        )
        .count()
}

// [R23]
#[test]
fn a_constructor_that_closes_leaves_no_socket_behind() {
    let world = World::new();
    let (platform, socket) = injected(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    platform.inside(move || handle.close(Some(4_000), "changed my mind").unwrap());
    socket.handle().reconnect().unwrap();
    world.run();
    let made = world.connection(0);
    assert!(!made.is_listened_to());
    assert_eq!(made.state(), State::Closed);
    made.report(SocketEvent::Opened);
    world.run();
    assert_eq!(socket.handle().phase(), Phase::Closed);
    assert_eq!((final_closes(&mut events), world.timer_count()), (1, 0));
}

// [R6][R23]
#[test]
fn a_constructor_that_asks_for_another_connection_leaves_one_socket() {
    let world = World::new();
    let (platform, socket) = injected(&world);
    let handle = socket.handle();
    platform.inside(move || {
        handle.try_send("from inside").unwrap();
        handle.reconnect().unwrap();
    });
    socket.handle().reconnect().unwrap();
    world.run();
    let sockets: Vec<_> = (0..world.connection_count())
        .map(|index| world.connection(index))
        .collect();
    let (living, dead): (Vec<_>, Vec<_>) =
        sockets.iter().partition(|socket| socket.is_listened_to());
    assert_eq!((living.len(), dead.len()), (1, 1));
    assert_eq!(dead[0].state(), State::Closed);
    dead[0].report(SocketEvent::Opened);
    assert_eq!(socket.handle().phase(), Phase::Connecting);
    living[0].open();
    assert_eq!(texts(living[0].received()), ["from inside"]);
    assert!(dead[0].received().is_empty());
}

// [R23]
#[test]
fn a_constructor_that_closes_and_throws_gets_one_final_close() {
    let world = World::new();
    let (platform, socket) = injected(&world);
    let mut events = socket.events();
    let handle = socket.handle();
    world.refuse_sockets(true);
    platform.inside(move || handle.close(None, "").unwrap());
    socket.handle().reconnect().unwrap();
    world.advance(Duration::from_secs(60));
    assert_eq!(
        (socket.handle().phase(), world.connection_count()),
        (Phase::Closed, 0)
    );
    assert_eq!(final_closes(&mut events), 1);
}

// [R36]
#[test]
fn a_suspended_socket_leaves_nothing_running_and_goes_on_when_resumed() {
    let world = World::new();
    let mut socket = builder(&world)
        .should_reconnect(|loss| panic!("asked about {loss:?}"))
        .connect()
        .unwrap();
    let handle = socket.handle();
    let mut events = socket.events();
    world.last().open();
    handle.suspend(Some(4001), "out of sight").unwrap();
    let asked = world.last().closed_with().expect("a close");
    assert_eq!((asked.0, asked.1.as_str()), (Some(4001), "out of sight"));
    assert_eq!(handle.phase(), Phase::Suspended);
    assert_eq!(handle.try_send("kept"), Ok(Sent::Queued));
    world.last().finish_close();
    let is_close = |event: &Event<Message>| matches!(event, Event::Closed(_));
    let Some(Event::Closed(closed)) = drain(&mut events).into_iter().rfind(is_close) else {
        panic!("a close is reported");
    };
    assert_eq!(
        (closed.loss.cause, closed.loss.close.code, closed.why),
        (Cause::Suspended, 4001, Why::Suspended)
    );
    assert!(!closed.is_final());
    // Neither timers nor listeners, whatever the page reports.
    world.assert_idle();
    world.hint(Hint::Online);
    world.advance(Duration::from_secs(86_400));
    assert_eq!(world.connection_count(), 1);
    assert!(socket.next().now_or_never().is_none(), "the stream goes on");

    handle.resume().unwrap();
    world.last().open();
    assert_eq!(texts(world.last().received()), ["kept"]);
    world.last().send("hello");
    assert_eq!(socket.next().now_or_never(), Some(Some(Ok(text("hello")))));

    // Dropping it while it is suspended leaves nothing, also before the server has answered.
    handle.suspend(None, "").unwrap();
    drop(socket);
    assert_eq!(world.last().closed_with().expect("a close").0, Some(1000));
    world.assert_idle();
    assert!(handle.resume().is_err());
    assert!(handle.suspend(Some(1001), "").is_err());
}

/// One byte above the limit passes the socket, which leaves room for the escape of a text.
// [R16]
#[test]
fn a_message_that_is_too_big_by_one_is_forgiven_by_an_hour_as_any_other() {
    for message in ["1234", "12345"] {
        let world = World::new();
        let options = Options::default()
            .control_messages(true)
            .max_message_bytes(Some(3));
        let socket = builder(&world)
            .protocols(vec!["chat~1".to_owned()])
            .options(options)
            .connect()
            .unwrap();
        let mut events = socket.events();
        for index in 0..2 {
            world.connection(index).open();
            world.advance(Duration::from_secs(3_600));
            world.connection(index).send(message);
            world.advance(Duration::from_secs(10));
        }
        let losses: Vec<_> = drain(&mut events)
            .into_iter()
            .filter_map(|event| match event {
                Event::Closed(closed) => Some((closed.why, closed.loss.cause)),
                _ => None,
            })
            .collect();
        let forgiven = (Why::PolicyRetries, Cause::MessageTooBig);
        assert_eq!(losses, [forgiven; 2], "{message}");
    }
}
