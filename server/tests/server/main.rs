//! A server on axum, over real sockets, with clients with and without sessions.

mod caller;
mod examples;
mod support;
mod turns;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use caller::{Caller, Command, Happened, within};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use steady_socket_protocol::session::frame::Answer;
use steady_socket_protocol::session::{AskEnd, End, Ended, Opened};
use steady_socket_server::{
    Credential, Denied, Endpoint as _, Group, Handle, Identity, Options, Peer, Rate, Refusal,
    Refused, Request, RequestError, SendError, Server, Sessions, Window,
};
use support::{Numbers, Plain, SESSION, connect, connect_to, refusal, start};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

#[derive(Serialize, Deserialize)]
struct Double(u64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TooMuch;

impl Request for Double {
    type Response = u64;
    type Error = TooMuch;
}

fn echo() -> Server<Numbers> {
    Server::new(echoes)
}

async fn echoes(mut peer: Peer<Numbers>) {
    while let Some(Ok(number)) = peer.next().await {
        if peer.send(&number).await.is_err() {
            return;
        }
    }
}

fn with(options: Options) -> Server<Numbers> {
    Server::builder().options(options).build(echoes).unwrap()
}

/// The next message that is not a ping.
async fn receive(socket: &mut Plain) -> Message {
    within(async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return message,
                other => panic!("{other:?}"),
            }
        }
    })
    .await
}

fn close_of(message: Message) -> (u16, String) {
    match message {
        Message::Close(Some(CloseFrame { code, reason })) => (code.into(), reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_without_a_session_is_answered() {
    let address = start(&echo()).await;
    let mut socket = connect(address, &[]).await.unwrap();
    socket.send(Message::text("7")).await.unwrap();
    assert_eq!(receive(&mut socket).await, Message::text("7"));
}

#[tokio::test]
async fn control_messages_are_answered_and_never_reach_the_program() {
    let address = start(&echo()).await;
    let offer = [("Sec-WebSocket-Protocol", "numbers.json~1, numbers.json")];
    let mut socket = connect(address, &offer).await.unwrap();
    assert_eq!(receive(&mut socket).await, Message::text("~beat 20000"));
    assert_eq!(receive(&mut socket).await, Message::text("~pong 0"));
    // A thousand clients come back in a second, and this one is alone.
    assert_eq!(receive(&mut socket).await, Message::text("~spread 1"));
    for text in ["~ping 7", "~future", "7"] {
        socket.send(Message::text(text)).await.unwrap();
    }
    assert_eq!(receive(&mut socket).await, Message::text("~beat 20000"));
    assert_eq!(receive(&mut socket).await, Message::text("~pong 7"));
    assert_eq!(receive(&mut socket).await, Message::text("7"));
}

#[tokio::test]
async fn a_message_that_cannot_be_decoded_ends_the_conversation_with_1007() {
    let address = start(&echo()).await;
    let mut socket = connect(address, &[]).await.unwrap();
    socket.send(Message::text("seven")).await.unwrap();
    assert_eq!(close_of(receive(&mut socket).await).0, 1007);
}

#[tokio::test]
async fn a_program_may_go_on_behind_one() {
    let server = Server::<Numbers>::new(async |mut peer| {
        while let Some(number) = peer.next().await {
            let _ = peer.send(&number.unwrap_or(404)).await;
        }
    });
    let address = start(&server).await;
    let mut socket = connect(address, &[]).await.unwrap();
    socket.send(Message::text("seven")).await.unwrap();
    socket.send(Message::text("7")).await.unwrap();
    assert_eq!(receive(&mut socket).await, Message::text("404"));
    assert_eq!(receive(&mut socket).await, Message::text("7"));
}

#[tokio::test]
async fn what_a_handler_sent_last_arrives_before_the_close() {
    let server = Server::<Numbers>::new(async |mut peer: Peer<Numbers>| {
        let _ = peer.next().await;
        for number in 0..100 {
            let _ = peer.try_send(&number);
        }
    });
    let address = start(&server).await;
    let mut socket = connect(address, &[]).await.unwrap();
    socket.send(Message::text("1")).await.unwrap();
    for number in 0..100 {
        assert_eq!(
            receive(&mut socket).await,
            Message::text(number.to_string())
        );
    }
    assert_eq!(close_of(receive(&mut socket).await), (1000, String::new()));
    let mut session = Caller::new(address, Numbers::PATH, SESSION, 1);
    session.send("1");
    for number in 0..100 {
        assert_eq!(session.given().await, number.to_string());
    }
    let ended = |happened| matches!(happened, Happened::Ended(Ended::ByPeer)).then_some(());
    session.find(ended).await;
}

#[tokio::test]
async fn a_handler_that_panics_disconnects_its_client_only() {
    let server = Server::<Numbers>::new(async |mut peer: Peer<Numbers>| {
        while let Some(Ok(number)) = peer.next().await {
            assert_ne!(number, 13, "as planned");
            let _ = peer.send(&number).await;
        }
    });
    let address = start(&server).await;
    let mut unlucky = connect(address, &[]).await.unwrap();
    let mut lucky = connect(address, &[]).await.unwrap();
    unlucky.send(Message::text("13")).await.unwrap();
    assert_eq!(close_of(receive(&mut unlucky).await).0, 1011);
    lucky.send(Message::text("7")).await.unwrap();
    assert_eq!(receive(&mut lucky).await, Message::text("7"));
    // What the panic has interrupted was not handled.
    let mut session = Caller::new(address, Numbers::PATH, SESSION, 2);
    session.send("13");
    let settled = session
        .find(|happened| match happened {
            Happened::Settled(end) => Some(end),
            Happened::Handled => panic!("handled"),
            _ => None,
        })
        .await;
    assert!(matches!(settled, End::Unknown { .. }), "{settled:?}");
}

#[tokio::test]
async fn a_handler_that_is_slow_is_not_flooded_and_nothing_is_lost() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let server = Server::<Numbers>::new({
        let gate = Arc::clone(&gate);
        move |mut peer: Peer<Numbers>| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                let mut expected = 0;
                while let Some(Ok(number)) = peer.next().await {
                    assert_eq!(number, expected);
                    expected += 1;
                    if expected == 5_000 {
                        let _ = peer.send(&expected).await;
                    }
                }
            }
        }
    });
    let address = start(&server).await;
    let mut socket = connect(address, &[]).await.unwrap();
    for number in 0..5_000 {
        socket
            .feed(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    socket.flush().await.unwrap();
    gate.notify_one();
    assert_eq!(receive(&mut socket).await, Message::text("5000"));
}

#[tokio::test]
async fn send_waits_for_a_client_that_does_not_read() {
    let (sent, mut sents) = mpsc::unbounded_channel();
    let server = Server::<Numbers>::new(move |peer: Peer<Numbers>| {
        let sent = sent.clone();
        async move {
            let mut full = 0;
            for number in 0..300_000_u64 {
                match peer.try_send(&number) {
                    Ok(()) => {}
                    Err(SendError::Full) => {
                        full += 1;
                        peer.send(&number).await.unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            let _ = sent.send(full);
        }
    });
    let address = start(&server).await;
    let mut socket = connect(address, &[]).await.unwrap();
    for number in 0..300_000_u64 {
        assert_eq!(
            receive(&mut socket).await,
            Message::text(number.to_string())
        );
    }
    assert!(within(sents.recv()).await.unwrap() > 0, "it was never full");
}

#[tokio::test]
async fn a_session_loses_nothing_through_cuts_in_both_directions() {
    const MESSAGES: u64 = 2_000;
    let begun = Arc::new(AtomicUsize::new(0));
    let server = Server::<Numbers>::new({
        let begun = Arc::clone(&begun);
        move |mut peer: Peer<Numbers>| {
            begun.fetch_add(1, Ordering::Relaxed);
            async move {
                let handle = peer.handle();
                // From elsewhere in the process, at the same time.
                tokio::spawn(async move {
                    for number in 1_000_000..1_000_000 + MESSAGES {
                        handle.send(&number).await.unwrap();
                        if number % 50 == 0 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                });
                while let Some(Ok(number)) = peer.next().await {
                    peer.send(&number).await.unwrap();
                }
            }
        }
    });
    let address = start(&server).await;
    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 3);
    for number in 0..MESSAGES {
        caller.send(number.to_string());
        if number % 40 == 20 {
            caller.tell(Command::Cut(Duration::ZERO));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let (mut echoed, mut pushed, mut handled, mut resumed) = (0, 1_000_000, 0, 0);
    while echoed < MESSAGES || pushed < 1_000_000 + MESSAGES || handled < MESSAGES {
        match caller.next().await {
            Happened::Given(text) => {
                let number: u64 = text.parse().unwrap();
                let expected = match number < 1_000_000 {
                    true => &mut echoed,
                    false => &mut pushed,
                };
                assert_eq!(number, *expected);
                *expected += 1;
            }
            Happened::Handled => handled += 1,
            Happened::Opened(Opened::Resumed { .. }) => resumed += 1,
            Happened::Opened(Opened::Fresh) | Happened::Closed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    // How many there are depends on the machine.
    println!("MEASURED resumes: {resumed}");
    assert!(resumed > 0);
    assert_eq!(begun.load(Ordering::Relaxed), 1, "the handler runs once");
    assert_eq!(server.sessions(), 1);
}

#[tokio::test]
async fn a_client_that_comes_back_too_late_has_a_new_session_and_a_new_handler() {
    let begun = Arc::new(AtomicUsize::new(0));
    let options = Options {
        session_window: Duration::from_secs(1),
        ..Options::default()
    };
    let (ends, mut ended) = mpsc::unbounded_channel();
    let server = Server::<Numbers>::builder()
        .options(options)
        .build({
            let begun = Arc::clone(&begun);
            move |mut peer: Peer<Numbers>| {
                begun.fetch_add(1, Ordering::Relaxed);
                let ends = ends.clone();
                async move {
                    while let Some(Ok(number)) = peer.next().await {
                        let _ = peer.send(&number).await;
                    }
                    let _ = ends.send((peer.is_closed(), peer.try_send(&1)));
                }
            }
        })
        .unwrap();
    let address = start(&server).await;
    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 4);
    caller.send("1");
    assert_eq!(caller.given().await, "1");
    caller.tell(Command::Cut(Duration::from_secs(3)));
    let lost = |happened| (happened == Happened::Lost).then_some(());
    caller.find(lost).await;
    let end = within(ended.recv()).await.unwrap();
    assert_eq!(end, (true, Err(SendError::Closed)));
    caller.send("2");
    assert_eq!(caller.given().await, "2");
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_delivery_says_what_became_of_the_message() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let server = Server::<Numbers>::new(move |mut peer: Peer<Numbers>| {
        let ends = ends.clone();
        async move {
            let end = match peer.deliver(1) {
                Ok(end) => Ok(end.await),
                Err(error) => Err(error),
            };
            let _ = ends.send(end);
            while peer.next().await.is_some() {}
        }
    });
    let address = start(&server).await;
    let _caller = Caller::new(address, Numbers::PATH, SESSION, 5);
    assert_eq!(within(ended.recv()).await, Some(Ok(Ok(()))));
    let _plain = connect(address, &[]).await.unwrap();
    let end = within(ended.recv()).await;
    assert_eq!(end, Some(Err(SendError::NoSession)));
}

#[tokio::test]
async fn requests_are_answered_in_both_directions() {
    let (asked, mut answers) = mpsc::unbounded_channel();
    let server = Server::<Numbers>::builder()
        .on_request(async |_: Handle<Numbers>, Double(number)| match number {
            1_000 => {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
                Ok(0)
            }
            13 => panic!("as planned"),
            100.. => Err(TooMuch),
            _ => Ok(number * 2),
        })
        .build(move |mut peer: Peer<Numbers>| {
            let asked = asked.clone();
            async move {
                while let Some(Ok(number)) = peer.next().await {
                    let answer = peer
                        .request_within(&Double(number), Duration::from_millis(500))
                        .await;
                    let _ = asked.send(answer);
                }
            }
        })
        .unwrap();
    let address = start(&server).await;
    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 6);
    caller.tell(Command::Ask("4".to_owned()));
    assert_eq!(caller.answered().await, AskEnd::Response("8".to_owned()));
    caller.tell(Command::Ask("100".to_owned()));
    assert_eq!(caller.answered().await, AskEnd::Error("null".to_owned()));
    caller.tell(Command::Ask("\"four\"".to_owned()));
    let refused = AskEnd::Refused(Refusal::NoHandler);
    assert_eq!(caller.answered().await, refused);
    caller.tell(Command::Ask("13".to_owned()));
    let failed = AskEnd::Refused(Refusal::Failed);
    assert_eq!(caller.answered().await, failed);
    // It cannot be answered while it waits, and must not hold up another.
    caller.tell(Command::Ask("1000".to_owned()));
    caller.tell(Command::Ask("5".to_owned()));
    assert_eq!(caller.answered().await, AskEnd::Response("10".to_owned()));

    caller.send("7");
    assert_eq!(
        within(answers.recv()).await,
        Some(Err(RequestError::TimedOut))
    );
    caller.tell(Command::Answer(Answer::Response(String::new())));
    caller.send("8");
    assert_eq!(within(answers.recv()).await, Some(Ok(8)));
    caller.tell(Command::Answer(Answer::Error("null".to_owned())));
    caller.send("9");
    let error = RequestError::Application(TooMuch);
    assert_eq!(within(answers.recv()).await, Some(Err(error)));
}

#[tokio::test]
async fn all_in_a_group_hear_the_same_in_one_order() {
    let room = Group::new();
    let server = Server::<Numbers>::new({
        let room = room.clone();
        move |mut peer: Peer<Numbers>| {
            let room = room.clone();
            async move {
                let _membership = room.join(&peer);
                while let Some(Ok(number)) = peer.next().await {
                    room.send(&number).unwrap();
                }
            }
        }
    });
    let address = start(&server).await;
    let mut callers: Vec<Caller> = (10..13)
        .map(|secret| Caller::new(address, Numbers::PATH, SESSION, secret))
        .collect();
    within(async {
        while room.len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for number in 0..100 {
        for (who, caller) in callers.iter().enumerate() {
            caller.send((who * 1_000 + number).to_string());
            if number % 20 == who * 5 {
                caller.tell(Command::Cut(Duration::from_millis(5)));
            }
        }
    }
    let mut heard = Vec::new();
    for caller in &mut callers {
        let mut all = Vec::new();
        while all.len() < 300 {
            all.push(caller.given().await);
        }
        heard.push(all);
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[0], heard[2]);
}

#[tokio::test]
async fn a_session_belongs_to_who_began_it_and_a_credential_is_checked_each_time() {
    let server = Server::<Numbers>::builder()
        .authenticate(async |credential: Option<Credential>| {
            match credential.as_ref().map(Credential::as_str) {
                Some(name @ ("Ada" | "Grace")) => Ok(Identity(name.to_owned())),
                Some("slow") => {
                    std::future::pending::<()>().await;
                    Err(Denied)
                }
                Some("panic") => panic!("as planned"),
                _ => Err(Denied),
            }
        })
        .options(Options {
            authentication_timeout: Duration::from_millis(200),
            ..Options::default()
        })
        .build(async |mut peer: Peer<Numbers>| {
            assert_eq!(peer.identity(), Some(&Identity("Ada".to_owned())));
            while let Some(Ok(number)) = peer.next().await {
                let _ = peer.send(&number).await;
            }
        })
        .unwrap();
    let address = start(&server).await;
    let ended = |happened| match happened {
        Happened::Ended(why) => Some(why),
        _ => None,
    };
    for wrong in [None, Some("Mallory"), Some("slow"), Some("panic")] {
        let mut stranger = Caller::with(address, Numbers::PATH, SESSION, 20, wrong);
        assert_eq!(stranger.find(ended).await, Ended::Refused, "{wrong:?}");
    }
    let mut ada = Caller::with(address, Numbers::PATH, SESSION, 21, Some("Ada"));
    ada.send("1");
    assert_eq!(ada.given().await, "1");
    // Somebody who knows the secret, and is let in by another name.
    let mut grace = Caller::with(address, Numbers::PATH, SESSION, 21, Some("Grace"));
    assert_eq!(grace.find(ended).await, Ended::Refused);
    ada.tell(Command::SendCredential("Ada"));
    ada.send("2");
    assert_eq!(ada.given().await, "2");
    ada.tell(Command::SendCredential("expired"));
    assert_eq!(ada.find(ended).await, Ended::Refused);
}

#[tokio::test]
async fn handshakes_are_refused_with_what_is_accepted() {
    let address = start(&with(Options {
        sessions: Sessions::Required,
        max_connections: 2,
        max_connections_per_address: Some(1),
        allow_origins: vec!["https://chat.example".parse().unwrap()],
        ..Options::default()
    }))
    .await;
    let (status, text) = refusal(address, &[]).await;
    assert!(status == 400 && text.contains("numbers.json~2"), "{text}");
    let offer = ("Sec-WebSocket-Protocol", SESSION);
    let evil = ("Origin", "https://evil.example");
    assert_eq!(refusal(address, &[offer, evil]).await.0, 403);
    let own = ("Origin", "https://chat.example");
    let socket = connect(address, &[offer, own]).await.unwrap();
    assert_eq!(refusal(address, &[offer, own]).await.0, 429);
    drop(socket);
    // Its place is free when the server has noticed.
    within(async {
        while connect(address, &[offer, own]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_sends_too_much_or_too_large_or_too_fast_is_disconnected() {
    let address = start(&with(Options {
        max_message_bytes: 125,
        rate: Some(Rate {
            frames: 5,
            bytes: 1_000,
        }),
        ..Options::default()
    }))
    .await;
    for offer in ["numbers.json", "numbers.json~1"] {
        let offer = [("Sec-WebSocket-Protocol", offer)];
        let mut socket = connect(address, &offer).await.unwrap();
        let _ = socket.send(Message::text("1".repeat(127))).await;
        let close = loop {
            if let message @ Message::Close(_) = receive(&mut socket).await {
                break close_of(message);
            }
        };
        assert_eq!(close.0, 1009);
        assert!(close.1.contains("125"), "{}", close.1);
    }
    let mut socket = connect(address, &[]).await.unwrap();
    for _ in 0..51 {
        let _ = socket.feed(Message::text("1")).await;
    }
    let _ = socket.flush().await;
    let close = loop {
        if let message @ Message::Close(_) = receive(&mut socket).await {
            break close_of(message);
        }
    };
    assert_eq!(close.0, 1008);
    assert!(close.1.contains("5 messages"), "{}", close.1);
}

#[tokio::test]
async fn a_handshake_is_checked_and_refused_with_its_status() {
    let server = Server::<Numbers>::builder()
        .check_handshake(|handshake| {
            let name = handshake.query("name");
            let team = handshake.cookie("team").map(str::to_owned);
            assert_ne!(name.as_deref(), Some("panic"), "as planned");
            async move {
                if name.as_deref() == Some("slow") {
                    std::future::pending::<()>().await;
                }
                match (name, team.as_deref()) {
                    (Some(name), Some("red")) => Ok(Identity(name)),
                    (Some(_), _) => Err(Refused::Forbidden),
                    (None, _) => Err(Refused::Unauthenticated),
                }
            }
        })
        .options(Options {
            authentication_timeout: Duration::from_millis(200),
            max_connections: 2,
            ..Options::default()
        })
        .build(async |mut peer: Peer<Numbers>| {
            assert_eq!(peer.identity(), Some(&Identity("Ada".to_owned())));
            while let Some(Ok(number)) = peer.next().await {
                let _ = peer.send(&number).await;
            }
        })
        .unwrap();
    for address in [
        start(&server).await,
        on_warp(&server).await,
        on_tcp(&server).await,
    ] {
        let red = [("Cookie", "team=red")];
        let at = |query: &str| format!("{}{query}", Numbers::PATH);
        for (path, headers, status) in [
            (at(""), &red[..], 401),
            (at("?name=Ada"), &[], 403),
            (at("?name=slow"), &red, 503),
            (at("?name=panic"), &red, 503),
        ] {
            match within(connect_to(address, &path, headers)).await {
                Err(Error::Http(response)) => assert_eq!(response.status(), status, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        let mut socket = connect_to(address, &at("?name=Ada"), &red).await.unwrap();
        socket.send(Message::text("7")).await.unwrap();
        assert_eq!(receive(&mut socket).await, Message::text("7"));
    }
}

#[tokio::test]
async fn the_rate_of_a_session_holds_over_its_connections() {
    let address = start(&with(Options {
        rate: Some(Rate {
            frames: 2,
            bytes: 100_000,
        }),
        ..Options::default()
    }))
    .await;
    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 60);
    let mut close = None;
    for number in 0..40 {
        caller.send(number.to_string());
        let happened = caller.next_within(Duration::from_millis(50)).await;
        if let Some(Happened::Closed(code)) = happened {
            close = Some(code);
        }
        if number % 5 == 4 {
            caller.tell(Command::Cut(Duration::ZERO));
        }
    }
    while close.is_none() {
        if let Happened::Closed(code) = caller.next().await {
            close = Some(code);
        }
    }
    assert_eq!(close, Some(1008));
}

#[tokio::test]
async fn the_rate_of_an_address_holds_for_all_its_connections_and_who_comes_back() {
    let address = start(&with(Options {
        rate_per_address: Some(Rate {
            frames: 1,
            bytes: 100_000,
        }),
        ..Options::default()
    }))
    .await;
    let mut refused = 0;
    for _ in 0..5 {
        let mut socket = connect(address, &[]).await.unwrap();
        for _ in 0..4 {
            let _ = socket.send(Message::text("1")).await;
        }
        // The last one answers, or tells why not.
        for _ in 0..4 {
            if let message @ Message::Close(_) = receive(&mut socket).await {
                let (code, reason) = close_of(message);
                assert_eq!(code, 1008);
                assert!(reason.contains("from an address"), "{reason}");
                refused += 1;
                break;
            }
        }
    }
    assert!(refused > 0);
}

/// Serves on a free port, on warp.
async fn on_warp(server: &Server<Numbers>) -> SocketAddr {
    let routes = steady_socket_server::warp::route(server);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    address
}

/// Serves on a free port, on tokio-tungstenite alone.
async fn on_tcp(server: &Server<Numbers>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server.clone();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let server = server.clone();
            tokio::spawn(async move {
                let address = Some(peer.ip());
                steady_socket_server::tungstenite::accept_from(&server, stream, address).await
            });
        }
    });
    address
}

#[tokio::test]
async fn the_same_on_warp_and_on_a_tcp_stream() {
    let server = with(Options {
        sessions: Sessions::Required,
        max_message_bytes: 200_000,
        ..Options::default()
    });
    for (address, secret) in [(on_warp(&server).await, 40), (on_tcp(&server).await, 41)] {
        let mut caller = Caller::new(address, Numbers::PATH, SESSION, secret);
        for number in 0..200 {
            caller.send(number.to_string());
            if number % 50 == 25 {
                caller.tell(Command::Cut(Duration::ZERO));
            }
        }
        for number in 0..200 {
            assert_eq!(caller.given().await, number.to_string());
        }
        let (status, text) = refusal(address, &[]).await;
        assert_eq!(status, 400);
        assert!(text.contains(SESSION), "{text}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_answered() {
    let server = echo();
    for address in [
        start(&server).await,
        on_warp(&server).await,
        on_tcp(&server).await,
    ] {
        let answer = raw(address, "Connection: close").await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}

/// The answer to a request with these headers.
async fn raw(address: SocketAddr, headers: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let path = Numbers::PATH;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let server = echo();
    for address in [on_warp(&server).await, on_tcp(&server).await] {
        let headers = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: short";
        let answer = raw(address, headers).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.to_lowercase().contains("sec-websocket-key"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn one_session_too_many_is_told_to_come_back_and_has_room_later() {
    let address = start(&with(Options {
        max_sessions: 1,
        session_window: Duration::from_secs(1),
        ..Options::default()
    }))
    .await;
    let mut first = Caller::new(address, Numbers::PATH, SESSION, 80);
    first.send("1");
    assert_eq!(first.given().await, "1");
    let mut second = Caller::new(address, Numbers::PATH, SESSION, 81);
    let closed = |happened| match happened {
        Happened::Closed(code) => Some(code),
        _ => None,
    };
    assert_eq!(second.find(closed).await, 1013);
    drop(first);
    // Whether that is a session of its own or one that was lost, a young server cannot tell.
    let opened = |happened| matches!(happened, Happened::Opened(_)).then_some(());
    second.find(opened).await;
    second.send("2");
    assert_eq!(second.given().await, "2");
}

#[tokio::test]
async fn so_much_waits_for_a_client_and_no_more() {
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::<Numbers>::builder()
        .options(Options {
            queue_limits: (3, 4),
            ..Options::default()
        })
        .build(move |mut peer: Peer<Numbers>| {
            let told = told.clone();
            async move {
                while let Some(Ok(number)) = peer.next().await {
                    // Nothing is sent before this handler waits.
                    let sent = (0..9)
                        .take_while(|_| peer.try_send(&number).is_ok())
                        .count();
                    let _ = told.send(sent);
                }
            }
        })
        .unwrap();
    let (address, mut heard) = (start(&server).await, heard);
    let mut socket = connect(address, &[]).await.unwrap();
    for (number, sent) in [("1", 3), ("123", 2), ("12345", 1)] {
        socket.send(Message::text(number)).await.unwrap();
        assert_eq!(within(heard.recv()).await, Some(sent), "{number}");
        for _ in 0..sent {
            assert_eq!(receive(&mut socket).await, Message::text(number));
        }
    }
}

#[tokio::test]
async fn an_address_has_only_so_many_sessions() {
    let address = start(&with(Options {
        max_sessions_per_address: Some(1),
        session_window: Duration::from_secs(1),
        ..Options::default()
    }))
    .await;
    let mut first = Caller::new(address, Numbers::PATH, SESSION, 90);
    first.send("1");
    assert_eq!(first.given().await, "1");
    let closed = |happened| match happened {
        Happened::Closed(code) => Some(code),
        _ => None,
    };
    let mut second = Caller::new(address, Numbers::PATH, SESSION, 91);
    assert_eq!(second.find(closed).await, 1013);
    // A resumed session is no new one, and clients without a session are another limit's.
    first.tell(Command::Cut(Duration::ZERO));
    first.send("2");
    assert_eq!(first.given().await, "2");
    let _plain = connect(address, &[]).await.unwrap();
    let other = IpAddr::from([127, 0, 0, 2]);
    let mut elsewhere = Caller::from(other, address, Numbers::PATH, SESSION, 92);
    elsewhere.send("3");
    assert_eq!(elsewhere.given().await, "3");
    // When the first one is over, there is room.
    drop(first);
    let opened = |happened| matches!(happened, Happened::Opened(_)).then_some(());
    second.find(opened).await;
    second.send("4");
    assert_eq!(second.given().await, "4");
}

#[tokio::test]
async fn behind_a_proxy_a_layer_says_whose_address_it_is() {
    use axum::extract::Request;
    use axum::middleware::{Next, from_fn};
    let server = with(Options {
        max_connections_per_address: Some(1),
        ..Options::default()
    });
    let by_header = async |mut request: Request, next: Next| {
        let header = request.headers().get("x-real-ip").unwrap();
        let address: IpAddr = header.to_str().unwrap().parse().unwrap();
        request.extensions_mut().insert(address);
        next.run(request).await
    };
    let route = steady_socket_server::axum::route(&server);
    let routes = axum::Router::new().route(Numbers::PATH, route);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = routes
        .layer(from_fn(by_header))
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let from = |address| [("x-real-ip", address)];
    let _first = connect(address, &from("192.0.2.1")).await.unwrap();
    let _second = connect(address, &from("192.0.2.2")).await.unwrap();
    assert_eq!(refusal(address, &from("192.0.2.1")).await.0, 429);
    // A client has all addresses of its network.
    let _third = connect(address, &from("2001:db8::1")).await.unwrap();
    assert_eq!(refusal(address, &from("2001:db8::2")).await.0, 429);
    assert_eq!(refusal(address, &from("::ffff:192.0.2.2")).await.0, 429);
    let _fourth = connect(address, &from("2001:db8:0:1::1")).await.unwrap();
}

#[tokio::test]
async fn who_is_silent_is_disconnected_with_1001() {
    let address = start(&with(Options {
        ping_interval: Duration::from_millis(20),
        idle_timeout: Duration::from_millis(60),
        ..Options::default()
    }))
    .await;
    // A raw connection that never answers a ping.
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        Numbers::PATH
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    within(stream.read_to_end(&mut read)).await.unwrap();
    let close = [&[0x88, 0x15, 0x03, 0xe9][..], b"no frame came"].concat();
    assert!(
        read.windows(15).any(|window| window[2..] == close[2..15]),
        "{:?}",
        String::from_utf8_lossy(&read)
    );
}

#[tokio::test]
async fn a_stop_announces_the_window_and_closes_with_1012() {
    let server = echo();
    let address = start(&server).await;
    let offer = [("Sec-WebSocket-Protocol", "numbers.json~1")];
    let mut socket = connect(address, &offer).await.unwrap();
    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 30);
    caller.send("1");
    assert_eq!(caller.given().await, "1");
    let window = Window::between(Duration::from_millis(10), Duration::from_secs(3));
    let stopping = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown(window, Duration::from_secs(60)).await }
    });
    let mut texts = Vec::new();
    let close = loop {
        match receive(&mut socket).await {
            Message::Text(text) => texts.push(text.to_string()),
            message => break close_of(message),
        }
    };
    assert_eq!(
        texts,
        ["~beat 20000", "~pong 0", "~spread 1", "~reconnect 10-3000"]
    );
    assert_eq!(close.0, 1012);
    assert_eq!(Window::in_reason(&close.1), Some(window));
    // It learns what was handled first: another process could not say that.
    let told = async |caller: &mut Caller| {
        let told = |happened| match happened {
            Happened::Handled | Happened::Closed(_) => Some(happened),
            _ => None,
        };
        caller.find(told).await
    };
    assert_eq!(told(&mut caller).await, Happened::Handled);
    assert_eq!(told(&mut caller).await, Happened::Closed(1012));
    drop(socket);
    within(stopping).await.unwrap();
    assert_eq!(refusal(address, &[]).await.0, 503);
}
