//! The Rust API's promises with the server `super::SERVER`: on real sockets in a browser and natively, and on the test kit.
//!
//! Outside browsers, the list at the end makes them tests. The compiler reports one that is missing there.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::Rc;

use futures_util::{StreamExt, future::join};
#[cfg(target_family = "wasm")]
use steady_socket::browser::Browser;
#[cfg(target_family = "wasm")]
use steady_socket::platform::Runtime;
use steady_socket::protocol::hello::{ClientMessage, Hello, ServerMessage};
use steady_socket::protocol::{
    Codec, Decode, Encode, Json, MsgPack, Offers, PlainBytes, PlainText,
};
use steady_socket::{
    Builder, Cause, Event, Events, Handle, Message, Options, Phase, SendError, SendMode, Sent,
    Session, SessionEvent, Socket, Source, endpoint,
};
#[cfg(target_family = "wasm")]
use steady_socket::{ConnectError, Diagnosis, FetchError, diagnose, fetch_text};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test;

use super::super::server::{new_id, sleep, soon};
use super::SERVER;

type Text = Socket<String, String, PlainText>;

/// Retries soon, so that a test need not sit out a wait that is meant for a crowd.
fn eager() -> Options {
    let soon = Duration::from_millis(50);
    Options::default()
        .first_delay_max(soon)
        .min_delay(soon)
        .base_delay(soon)
        .max_delay(soon)
}

/// A connection to the plain hello server, with a name of its own.
async fn hello() -> (Builder<String, String, PlainText>, String) {
    let id = new_id();
    let url = format!("{}/?id={id}", SERVER.address().await);
    (SERVER.on_platform(Text::builder(url)).options(eager()), id)
}

async fn next(socket: &mut Text) -> String {
    let message = soon("a message", socket.next()).await;
    message.expect("the stream goes on").expect("text")
}

async fn send(socket: &mut Text, message: &str) {
    soon("room to send", socket.send(message.to_owned()))
        .await
        .expect("it is accepted");
}

/// The next event that `pick` accepts.
async fn wait_for<T>(
    what: &str,
    events: &mut Events,
    mut pick: impl FnMut(Event<Message>) -> Option<T>,
) -> T {
    soon(what, async {
        loop {
            let event = events.next().await.expect("events go on");
            if let Some(found) = pick(event) {
                return found;
            }
        }
    })
    .await
}

async fn opened(events: &mut Events) -> bool {
    wait_for("open", events, |event| match event {
        Event::Open { reconnected, .. } => Some(reconnected),
        _ => None,
    })
    .await
}

async fn closed(events: &mut Events) -> steady_socket::Closed {
    wait_for("close", events, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn it_is_greeted() {
    let (builder, _) = hello().await;
    let mut socket = builder.connect().unwrap();
    for name in ["Ada", "Grace", "Łukasz 🦀"] {
        send(&mut socket, name).await;
        assert_eq!(next(&mut socket).await, format!("Hello {name}!"));
    }
}

async fn is_greeted_by<C>()
where
    C: Codec + Encode<ClientMessage> + Decode<ServerMessage>,
    Hello: Offers<C>,
{
    let mut socket = SERVER
        .on_platform(endpoint::<Hello, C>(SERVER.address().await))
        .connect()
        .unwrap();
    socket
        .send(ClientMessage::Hello {
            name: "Ada".to_owned(),
        })
        .await
        .unwrap();
    let answer = soon("an answer", socket.next()).await.unwrap().unwrap();
    assert_eq!(
        answer,
        ServerMessage::Greeting {
            text: "Hello Ada!".to_owned()
        }
    );
    let spoken = socket.handle().protocol().unwrap();
    assert_eq!(spoken, format!("{}~1", <Hello as Offers<C>>::SUBPROTOCOL));

    // A refused name ends nothing.
    socket
        .send(ClientMessage::Hello {
            name: String::new(),
        })
        .await
        .unwrap();
    let answer = soon("an answer", socket.next()).await.unwrap().unwrap();
    assert!(
        matches!(answer, ServerMessage::Invalid { .. }),
        "{answer:?}"
    );
    assert_eq!(socket.handle().phase(), Phase::Open);
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn it_is_greeted_in_json() {
    is_greeted_by::<Json>().await;
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn it_is_greeted_in_messagepack() {
    is_greeted_by::<MsgPack>().await;
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn bytes_come_back_as_they_went() {
    let url = format!("{}/echo", SERVER.address().await);
    let builder = Socket::<Vec<u8>, Vec<u8>, PlainBytes>::builder(url);
    let mut socket = SERVER.on_platform(builder).connect().unwrap();
    for size in [0, 1, 60_000] {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        socket.send(bytes.clone()).await.unwrap();
        assert_eq!(
            soon("the echo", socket.next()).await.unwrap().unwrap(),
            bytes
        );
    }
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn text_of_any_length_comes_back_as_it_went() {
    let url = format!("{}/echo", SERVER.address().await);
    let mut socket = SERVER.on_platform(Text::builder(url)).connect().unwrap();
    // In one byte of UTF-8, two, three and four; of one UTF-16 code unit and two.
    for alphabet in ["a", "ł", "€", "🦀", "aa🦀ł€", "a€"] {
        let units = alphabet.encode_utf16().count();
        // Around the lengths where another path is taken, and where the server's limit is.
        for length in [0, 1, 198, 199, 200, 201, 202, 1_000, 16_384, 16_386, 60_000] {
            let most = 65_000 / alphabet.len();
            let text = alphabet.repeat((length / units).min(most));
            send(&mut socket, &text).await;
            assert!(
                next(&mut socket).await == text,
                "{length} units of {alphabet}"
            );
        }
    }
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_handler_is_given_what_the_server_sends() {
    let (builder, _) = hello().await;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&seen);
    let mut socket = builder
        .on_message(move |_, message| noted.borrow_mut().push(message.unwrap()))
        .connect()
        .unwrap();
    for name in ["Ada", "Grace"] {
        send(&mut socket, name).await;
    }
    while seen.borrow().len() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(*seen.borrow(), ["Hello Ada!", "Hello Grace!"]);
}

// [R28][F24]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_message_of_the_wrong_kind_is_an_item_and_the_stream_goes_on() {
    let url = format!("{}/echo", SERVER.address().await);
    let builder = Socket::<String, Vec<u8>, TextOutBytesIn>::builder(url);
    let mut socket = SERVER.on_platform(builder).connect().unwrap();
    socket.send("text".to_owned()).await.unwrap();
    let error = soon("an item", socket.next()).await.unwrap().unwrap_err();
    assert!(!error.to_string().is_empty());
    assert_eq!(socket.handle().phase(), Phase::Open);
}

/// A codec that does not match what the echo sends back.
enum TextOutBytesIn {}

impl Codec for TextOutBytesIn {
    const NAME: &'static str = "text out, bytes in";
    const KIND: steady_socket::protocol::MessageKind = PlainBytes::KIND;
}

impl Encode<String> for TextOutBytesIn {
    fn encode(value: &String) -> Result<Message, steady_socket::protocol::EncodeError> {
        PlainText::encode(value)
    }
}

impl Decode<Vec<u8>> for TextOutBytesIn {
    fn decode(message: Message) -> Result<Vec<u8>, steady_socket::protocol::DecodeError> {
        PlainBytes::decode(message)
    }
}

// [R10]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn it_comes_back_when_the_server_cuts_it() {
    let (builder, id) = hello().await;
    let mut socket = builder.connect().unwrap();
    let mut events = socket.events();
    assert!(!opened(&mut events).await);
    for round in 0..3 {
        send(&mut socket, "Ada").await;
        assert_eq!(next(&mut socket).await, "Hello Ada!", "round {round}");
        SERVER.cut(&id, None).await;
        let closed = closed(&mut events).await;
        assert_eq!(
            (closed.loss.close.code, closed.loss.close.clean),
            (1006, false)
        );
        assert!(closed.next_attempt_in().is_some());
        assert!(opened(&mut events).await);
    }
    let snapshot = socket.handle().snapshot().unwrap();
    assert_eq!(
        (
            snapshot.opens,
            snapshot.sent.messages,
            snapshot.received.messages
        ),
        (4, 3, 3)
    );
}

// [R11][F11]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn it_comes_back_after_a_close_that_allows_it_and_not_after_a_goodbye() {
    let (builder, id) = hello().await;
    let mut socket = builder.connect().unwrap();
    let mut events = socket.events();
    opened(&mut events).await;
    SERVER.cut(&id, Some(4000)).await;
    let first = closed(&mut events).await;
    assert_eq!(
        (first.loss.close.code, first.loss.close.reason.as_str()),
        (4000, "test")
    );
    assert!(first.loss.close.clean);
    opened(&mut events).await;
    SERVER.cut(&id, Some(1000)).await;
    let last = closed(&mut events).await;
    assert_eq!((last.loss.close.code, last.next_attempt_in()), (1000, None));
    assert_eq!(soon("the end", socket.next()).await, None);

    socket.handle().reconnect().unwrap();
    assert!(opened(&mut events).await);
    send(&mut socket, "Ada").await;
    assert_eq!(next(&mut socket).await, "Hello Ada!");
}

// [R25]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn what_is_sent_during_an_outage_arrives_once_and_in_order() {
    let (builder, id) = hello().await;
    let mut socket = builder.connect().unwrap();
    let mut events = socket.events();
    opened(&mut events).await;
    SERVER.cut(&id, None).await;
    closed(&mut events).await;
    for number in 0..20 {
        send(&mut socket, &format!("{number}")).await;
    }
    for number in 0..20 {
        assert_eq!(next(&mut socket).await, format!("Hello {number}!"));
    }
    send(&mut socket, "end").await;
    assert_eq!(next(&mut socket).await, "Hello end!", "nothing came twice");
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn what_the_open_handler_sends_goes_ahead_of_the_queue() {
    let (builder, _) = hello().await;
    let mut socket = builder
        .on_open(|opening| {
            let sent = opening.handle().try_send("token");
            assert_eq!(sent, Ok(Sent::Now));
        })
        .connect()
        .unwrap();
    send(&mut socket, "queued").await;
    assert_eq!(next(&mut socket).await, "Hello token!");
    assert_eq!(next(&mut socket).await, "Hello queued!");
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_provider_is_asked_for_every_attempt_and_may_fail() {
    let server = SERVER.address().await;
    let id = new_id();
    let name = id.clone();
    let url = Source::provider(async move |attempt| {
        sleep(Duration::from_millis(5)).await;
        match attempt.number {
            1 => Err("no token yet"),
            _ => Ok(format!("{server}/?id={name}")),
        }
    });
    let mut socket = SERVER
        .on_platform(Text::builder(url))
        .options(eager())
        .connect()
        .unwrap();
    let mut events = socket.events();
    assert_eq!(closed(&mut events).await.loss.cause, Cause::Provider);
    send(&mut socket, "Ada").await;
    assert_eq!(next(&mut socket).await, "Hello Ada!");
}

#[cfg(target_family = "wasm")]
#[wasm_bindgen_test]
async fn a_ticket_can_be_fetched_and_a_refusal_tells_its_status() {
    SERVER.address().await;
    // A path of the tests' own page, so that no cross-origin rule interferes.
    let answer = soon("an answer", fetch_text("/there/is/no/such/page")).await;
    assert_eq!(answer, Err(FetchError::Status(404)));
    let nobody = soon("an answer", fetch_text("http://127.0.0.1:9/")).await;
    assert_eq!(nobody, Err(FetchError::Unreachable));
}

// [R33]
#[cfg(target_family = "wasm")]
#[wasm_bindgen_test]
async fn a_server_is_asked_over_http_why_handshakes_fail() {
    let server = SERVER.address().await;
    let found = soon("an answer", diagnose("/there/is/no/such/page")).await;
    assert_eq!(found, Diagnosis::Status(404));
    // Another origin that cannot be read or does not answer: the browser reports the same.
    for url in [
        &format!("{server}/nothing"),
        "ws://127.0.0.1:9/",
        "http://[",
    ] {
        let found = soon("an answer", diagnose(url)).await;
        assert_eq!(found, Diagnosis::Unknown, "{url}");
    }
}

// [R14]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn an_address_where_nobody_listens_is_tried_until_it_is_closed() {
    SERVER.address().await;
    let socket = SERVER
        .on_platform(Text::builder("ws://127.0.0.1:9/"))
        .options(eager())
        .connect()
        .unwrap();
    let mut events = socket.events();
    for attempt in 1..=3 {
        let closed = closed(&mut events).await;
        assert_eq!(
            (closed.loss.close.code, closed.loss.was_open),
            (1006, false),
            "{attempt}"
        );
    }
    socket.handle().close(None, "").unwrap();
    let last = closed(&mut events).await;
    assert_eq!(
        (
            last.loss.close.code,
            last.loss.close.clean,
            last.next_attempt_in()
        ),
        (1006, false, None)
    );
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn the_last_retry_that_fails_is_the_end() {
    SERVER.address().await;
    let options = eager().max_retries(Some(1));
    let mut socket = SERVER
        .on_platform(Text::builder("ws://127.0.0.1:9/"))
        .options(options)
        .connect()
        .unwrap();
    let mut events = socket.events();
    assert!(closed(&mut events).await.next_attempt_in().is_some());
    assert!(closed(&mut events).await.next_attempt_in().is_none());
    assert_eq!(soon("the end", socket.next()).await, None);
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn closing_in_each_state_gives_one_final_close() {
    let (builder, _) = hello().await;
    let socket = builder.connect().unwrap();
    let mut events = socket.events();
    socket.handle().close(None, "").unwrap();
    let connecting = closed(&mut events).await;
    assert_eq!(
        (connecting.loss.cause, connecting.loss.close.code),
        (Cause::Closed, 1006)
    );

    let (builder, _) = hello().await;
    let socket = builder.connect().unwrap();
    let mut events = socket.events();
    opened(&mut events).await;
    socket.handle().close(Some(4002), "done").unwrap();
    assert_eq!(socket.handle().phase(), Phase::Closing);
    let open = closed(&mut events).await;
    assert_eq!(
        (open.loss.cause, open.loss.close.clean),
        (Cause::Socket, true)
    );
    assert_eq!(open.loss.close.code, 4002);

    let pending = Source::provider(|_| core::future::pending::<Result<String, String>>());
    let socket = SERVER
        .on_platform(Text::builder(pending))
        .connect()
        .unwrap();
    let mut events = socket.events();
    sleep(Duration::from_millis(10)).await;
    socket.handle().close(None, "").unwrap();
    assert_eq!(closed(&mut events).await.loss.close.code, 1006);
    sleep(Duration::from_millis(100)).await;
    drop(socket);
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Closed(_)), "a second close");
    }
}

// [R23][F50]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn commands_inside_a_handler_take_effect_at_once() {
    let (builder, _) = hello().await;
    let seen = Rc::new(Cell::new(None));
    let inside = Rc::clone(&seen);
    let socket = builder
        .on_open(move |opening| {
            let handle = opening.handle();
            handle.close(Some(4003), "").unwrap();
            let late = handle.try_send("late");
            inside.set(Some((handle.phase(), late == Err(SendError::Closed))));
        })
        .connect()
        .unwrap();
    let mut events = socket.events();
    assert_eq!(closed(&mut events).await.loss.close.code, 4003);
    assert_eq!(seen.get(), Some((Phase::Closing, true)));

    let (builder, _) = hello().await;
    let rounds = Rc::new(Cell::new(0));
    let inside = Rc::clone(&rounds);
    let mut socket = builder
        .on_open(move |opening| {
            inside.set(inside.get() + 1);
            if inside.get() < 4 {
                opening.handle().reconnect().unwrap();
            }
        })
        .connect()
        .unwrap();
    send(&mut socket, "Ada").await;
    assert_eq!(next(&mut socket).await, "Hello Ada!");
    assert_eq!(rounds.get(), 4);
    assert_eq!(socket.handle().snapshot().unwrap().abandoned, 3);
}

// [R6]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn reconnect_makes_a_new_connection_without_waiting_for_the_old_one() {
    let (builder, _) = hello().await;
    let mut socket = builder.connect().unwrap();
    let mut events = socket.events();
    opened(&mut events).await;
    socket.handle().reconnect().unwrap();
    assert_eq!(socket.handle().phase(), Phase::Connecting);
    assert_eq!(closed(&mut events).await.loss.cause, Cause::Reconnect);
    assert!(opened(&mut events).await);
    send(&mut socket, "Ada").await;
    assert_eq!(next(&mut socket).await, "Hello Ada!");
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn dropping_it_closes_the_connection_and_its_handles_say_so() {
    let (builder, id) = hello().await;
    let mut socket = builder.connect().unwrap();
    send(&mut socket, "Ada").await;
    next(&mut socket).await;
    let handle: Handle<String, PlainText> = socket.handle();
    drop(socket);
    assert_eq!(handle.try_send("late"), Err(SendError::Closed));
    assert!(handle.reconnect().is_err());

    // The name is free again, which shows that the server saw the connection go: the control finds only the second
    // one.
    let url = format!("{}/?id={id}", SERVER.address().await);
    let mut second = SERVER
        .on_platform(Text::builder(url))
        .options(eager())
        .connect()
        .unwrap();
    let mut events = second.events();
    send(&mut second, "Grace").await;
    assert_eq!(next(&mut second).await, "Hello Grace!");
    SERVER.cut(&id, None).await;
    closed(&mut events).await;
}

// [R23][F51]
#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn dropping_it_in_its_own_handler_is_safe() {
    let (builder, _) = hello().await;
    let slot: Rc<RefCell<Option<Text>>> = Rc::default();
    let inside = Rc::clone(&slot);
    let socket = builder
        .on_open(move |_| {
            let socket = inside.borrow_mut().take();
            drop(socket);
        })
        .connect()
        .unwrap();
    let mut events = socket.events();
    *slot.borrow_mut() = Some(socket);
    soon("the events end", async {
        while events.next().await.is_some() {}
    })
    .await;
    sleep(Duration::from_millis(50)).await;
    assert!(slot.borrow().is_none());
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_volatile_message_is_not_kept() {
    let (builder, _) = hello().await;
    let mut socket = builder.connect().unwrap();
    let volatile = SendMode {
        volatile: true,
        ..SendMode::default()
    };
    let sent = socket.handle().try_send_with("lost", volatile);
    assert_eq!(sent, Ok(Sent::Dropped));
    send(&mut socket, "kept").await;
    assert_eq!(next(&mut socket).await, "Hello kept!");
}

#[cfg(target_family = "wasm")]
#[wasm_bindgen_test]
async fn urls_are_parsed_as_the_standard_says() {
    let parse = |url: &str| Runtime::parse_url(&Browser::new(), url);
    assert_eq!(
        parse("http://example.org/a b").unwrap(),
        "ws://example.org/a%20b"
    );
    assert_eq!(parse("HTTPS://example.org").unwrap(), "wss://example.org/");
    assert_eq!(
        parse("wss://example.org:443/x?y").unwrap(),
        "wss://example.org/x?y"
    );
    let relative = parse("/chat?id=1").unwrap();
    assert!(relative.starts_with("ws://127.0.0.1:") && relative.ends_with("/chat?id=1"));
    for (bad, says) in [
        ("ws://example.org/#", "fragment"),
        ("ws://example.org/#x", "fragment"),
        ("ftp://example.org/", "ftp:"),
        ("ws://", "cannot be parsed"),
    ] {
        let error = parse(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{bad}: {error}");
    }
    assert!(matches!(
        Text::connect("mailto:a@example.org"),
        Err(ConnectError::Url(_))
    ));
}

/// Numbers go to the server and come back, while it cuts the connection again and again.
async fn a_session_loses_nothing<C>(protocol: Option<&str>)
where
    C: Codec + Encode<String> + Decode<String>,
{
    const COUNT: usize = 600;
    const CUT_EVERY: usize = 30;
    let id = new_id();
    let url = format!("{}/session/echo?id={id}", SERVER.address().await);
    let mut builder = SERVER
        .on_platform(Socket::<String, String, C>::builder(url))
        .options(eager().attempt_interval(Duration::ZERO))
        .session(Session::required());
    if let Some(protocol) = protocol {
        builder = builder.protocols([protocol]);
    }
    let mut socket = builder.connect().unwrap();
    let (handle, mut events) = (socket.handle(), socket.events());
    let sends = async {
        for number in 0..COUNT {
            handle.send(number.to_string()).await.unwrap();
            if number % CUT_EVERY == 0 {
                while handle.phase() != Phase::Open {
                    sleep(Duration::from_millis(5)).await;
                }
                SERVER.cut_all(&id, None).await;
            }
        }
    };
    let reads = async {
        for number in 0..COUNT {
            let message = socket.next().await.unwrap().unwrap();
            assert_eq!(message, number.to_string());
        }
    };
    soon("all numbers", join(sends, reads)).await;
    let last = handle.deliver("the last".to_owned()).unwrap();
    assert_eq!(soon("its end", last).await, Ok(()));
    let mut resumed = 0;
    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.next()) {
        let Event::Session(event) = event else {
            continue;
        };
        match *event {
            SessionEvent::Resumed { .. } => resumed += 1,
            SessionEvent::Lost(_) | SessionEvent::Ended(_) => panic!("{event}"),
            _ => {}
        }
    }
    assert!(resumed > 0, "nothing was cut");
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_session_in_json_loses_nothing() {
    a_session_loses_nothing::<Json>(Some("echo.json")).await;
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_session_in_messagepack_loses_nothing() {
    a_session_loses_nothing::<MsgPack>(Some("echo.msgpack")).await;
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_session_in_plain_text_loses_nothing() {
    a_session_loses_nothing::<PlainText>(None).await;
}

#[cfg_attr(target_family = "wasm", wasm_bindgen_test)]
async fn a_server_without_sessions_ends_a_program_that_needs_one() {
    let url = format!("{}/echo", SERVER.address().await);
    let socket = SERVER
        .on_platform(Text::builder(url))
        .options(eager())
        .session(Session::required())
        .connect()
        .unwrap();
    let delivery = socket.handle().deliver("lost").unwrap();
    // The browser fails each handshake, since the server answers no sub-protocol; a program that can do without goes on.
    let optional = Text::builder(format!("{}/echo", SERVER.address().await));
    let optional = SERVER
        .on_platform(optional)
        .options(eager())
        .session(Session::optional())
        .connect()
        .unwrap();
    let mut optional = optional;
    send(&mut optional, "plain").await;
    assert_eq!(next(&mut optional).await, "plain");
    socket.handle().close(None, "").unwrap();
    drop(socket);
    let end = soon("its end", delivery).await;
    assert!(
        matches!(
            end,
            Err(steady_socket::protocol::session::End::NotHandled { .. })
        ),
        "{end:?}"
    );
}

#[cfg(not(target_family = "wasm"))]
super::super::natively! {
    it_is_greeted,
    it_is_greeted_in_json,
    it_is_greeted_in_messagepack,
    bytes_come_back_as_they_went,
    text_of_any_length_comes_back_as_it_went,
    a_handler_is_given_what_the_server_sends,
    a_message_of_the_wrong_kind_is_an_item_and_the_stream_goes_on,
    it_comes_back_when_the_server_cuts_it,
    it_comes_back_after_a_close_that_allows_it_and_not_after_a_goodbye,
    what_is_sent_during_an_outage_arrives_once_and_in_order,
    what_the_open_handler_sends_goes_ahead_of_the_queue,
    a_provider_is_asked_for_every_attempt_and_may_fail,
    an_address_where_nobody_listens_is_tried_until_it_is_closed,
    the_last_retry_that_fails_is_the_end,
    closing_in_each_state_gives_one_final_close,
    commands_inside_a_handler_take_effect_at_once,
    reconnect_makes_a_new_connection_without_waiting_for_the_old_one,
    dropping_it_closes_the_connection_and_its_handles_say_so,
    dropping_it_in_its_own_handler_is_safe,
    a_volatile_message_is_not_kept,
    a_session_in_json_loses_nothing,
    a_session_in_messagepack_loses_nothing,
    a_session_in_plain_text_loses_nothing,
    a_server_without_sessions_ends_a_program_that_needs_one,
}
