//! Sessions over real sockets, driven by the client's half of the protocol.

use std::time::Duration;

use steady_socket_protocol::hello::{ClientMessage, ServerMessage};
use steady_socket_protocol::session::frame::{
    Credential, Data, Frame, Outcome, Refusal, Style, read, write,
};
use steady_socket_protocol::session::{
    AskEnd, Client, ClientEffect, Opened, Options, Output, Phase, SendMode, Time,
};
use steady_socket_protocol::{Decode, Encode, Json, Message as Payload};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{self, Running, config, start, within};

type Body = Data<'static>;

/// A client with a session, in this test's hands: nothing happens but what it asks for.
struct Caller<'a> {
    server: &'a Running,
    path: &'static str,
    offer: &'static str,
    style: Style,
    client: Client<Body>,
    socket: Option<support::Client>,
    began: Instant,
    credential: Option<Credential>,
    /// What it was given, in order.
    given: Vec<Body>,
    handled: usize,
    opened: Vec<Opened>,
    answers: Vec<AskEnd<Body>>,
    /// The code of the last Close.
    code: u16,
}

impl<'a> Caller<'a> {
    fn new(server: &'a Running, path: &'static str, offer: &'static str, secret: u8) -> Self {
        let style = match offer {
            _ if offer.contains("json") => Style::JSON,
            _ if offer.contains("msgpack") => Style::BINARY,
            _ => Style::TEXT,
        };
        Self {
            server,
            path,
            offer,
            style,
            client: Client::new(Options::default(), [secret; 16]),
            socket: None,
            began: Instant::now(),
            credential: None,
            given: Vec::new(),
            handled: 0,
            opened: Vec::new(),
            answers: Vec::new(),
            code: 0,
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(self.began.elapsed().as_millis() as u64)
    }

    async fn connect(&mut self) {
        let headers = [("Sec-WebSocket-Protocol", self.offer)];
        let (socket, response) = self.server.connect_with(self.path, &headers).await.unwrap();
        let chosen = &response.headers()["sec-websocket-protocol"];
        assert_eq!(chosen, self.offer);
        self.socket = Some(socket);
        let now = self.now();
        self.client.opened(now, [9; 16], self.credential.clone());
        self.settle().await;
    }

    /// Drops the TCP connection, whatever is on its way.
    async fn cut(&mut self) {
        self.socket = None;
        self.client.closed(self.now(), 1006);
        self.settle().await;
    }

    async fn send(&mut self, body: Body) {
        self.client
            .send(self.now(), body, SendMode::default())
            .unwrap();
        self.settle().await;
    }

    async fn settle(&mut self) {
        loop {
            let mut idle = true;
            let mut gathers = false;
            while let Some(frame) = self.client.poll_frame() {
                idle = false;
                let message = match write(frame, self.style).unwrap() {
                    Data::Text(text) => Message::text(text.into_owned()),
                    Data::Binary(bytes) => Message::binary(bytes.into_owned()),
                };
                if let Some(socket) = &mut self.socket {
                    socket.send(message).await;
                }
            }
            while let Some(effect) = self.client.poll_effect() {
                idle = false;
                match effect {
                    ClientEffect::Gather => gathers = true,
                    ClientEffect::Close(_) | ClientEffect::GiveUp => self.socket = None,
                    _ => {}
                }
            }
            let now = self.now();
            while let Some(output) = self.client.poll_output(now) {
                idle = false;
                match output {
                    Output::Message { token, payload } => {
                        self.given.push(payload);
                        self.client.handled(now, token);
                    }
                    Output::Handled(run) => self.handled += run.into_iter().count(),
                    Output::Open(opened) => self.opened.push(opened),
                    Output::Answered(_, end) => self.answers.push(end),
                    _ => {}
                }
            }
            if gathers {
                self.client.gathered(now);
            } else if idle {
                return;
            }
        }
    }

    /// Takes in what arrives within this time at most, or until the connection ends. Returns whether anything arrived.
    async fn listen(&mut self, wait: Duration) -> bool {
        let Some(socket) = &mut self.socket else {
            return false;
        };
        let Ok(next) = timeout(wait, socket.next()).await else {
            self.client.timer(self.now());
            self.settle().await;
            return false;
        };
        let data = match next {
            Some(Ok(Message::Text(text))) => Data::Text(text.as_str().to_owned().into()),
            Some(Ok(Message::Binary(bytes))) => Data::Binary(Vec::from(bytes).into()),
            Some(Ok(Message::Close(frame))) => {
                self.code = frame.map_or(1005, |frame| frame.code.into());
                return true;
            }
            Some(Ok(_)) => return true,
            Some(Err(_)) | None => {
                self.socket = None;
                self.client.closed(self.now(), self.code);
                self.settle().await;
                return true;
            }
        };
        let frame = read(data).unwrap().map(Data::into_owned);
        self.client.receive(self.now(), frame);
        self.settle().await;
        true
    }

    /// Listens until it holds.
    async fn until(&mut self, what: impl Fn(&Self) -> bool) {
        within(async {
            while !what(self) {
                self.listen(Duration::from_millis(100)).await;
            }
        })
        .await;
    }
}

fn text(text: impl Into<String>) -> Body {
    Data::Text(text.into().into())
}

/// Each cut falls somewhere else: before the welcome, among messages on their way, with some unread.
async fn echoes_through_cuts(offer: &'static str, secret: u8, message: impl Fn(usize) -> Body) {
    const MESSAGES: usize = 600;
    let server = start(config()).await;
    let mut caller = Caller::new(&server, "/session/echo", offer, secret);
    let mut dice = u64::from(secret);
    let mut cuts = 0;
    let mut cuts_before_the_welcome = 0;
    caller.connect().await;
    for number in 0..MESSAGES {
        caller.send(message(number)).await;
        // Every so often it reads, or loses the connection.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let side = (dice >> 33) % 20;
        if side < 3 {
            for _ in 0..side {
                caller.listen(Duration::from_millis(5)).await;
            }
        } else if side < 6 {
            caller.cut().await;
            cuts += 1;
            caller.connect().await;
            if side == 5 {
                cuts_before_the_welcome += usize::from(caller.client.phase() == Phase::Greeting);
                caller.cut().await;
                caller.connect().await;
            }
        }
    }
    caller
        .until(|caller| caller.given.len() >= MESSAGES && caller.handled >= MESSAGES)
        .await;
    let expected: Vec<Body> = (0..MESSAGES).map(message).collect();
    assert!(caller.given == expected, "lost, repeated or out of order");
    assert_eq!(caller.handled, MESSAGES);
    assert!(
        cuts > 40 && cuts_before_the_welcome > 10,
        "{cuts}, {cuts_before_the_welcome}"
    );
    // How many there are depends on the machine. The dialogues of `tests/interop` go on until there are enough.
    let replays = caller
        .opened
        .iter()
        .filter(|opened| matches!(opened, Opened::Resumed { replayed } if *replayed > 0));
    println!(
        "MEASURED resumes with something to replay: {}",
        replays.count()
    );
    // The first welcome may be among what was cut.
    let fresh = |opened: &&Opened| !matches!(opened, Opened::Resumed { .. });
    assert!(
        caller.opened.iter().filter(fresh).count() <= 1,
        "{:?}",
        caller.opened
    );
    assert!(!caller.opened.contains(&Opened::Anew));
}

#[tokio::test]
async fn every_message_comes_back_once_and_in_order_through_any_number_of_cuts() {
    echoes_through_cuts("echo.json~2", 1, |number| {
        text(format!("{{\"n\":{number}}}"))
    })
    .await;
}

#[tokio::test]
async fn so_do_texts_that_are_not_json() {
    let odd = ["~ping 1", "a \"quoted\"\n text", "", "~~", "[", "\u{1F980}"];
    echoes_through_cuts("steady~2", 2, |number| {
        text(format!("{}{number}", odd[number % odd.len()]))
    })
    .await;
}

#[tokio::test]
async fn so_do_bytes() {
    echoes_through_cuts("echo.msgpack~2", 3, |number| {
        let mut bytes = number.to_le_bytes().to_vec();
        if number % 3 == 0 {
            bytes.insert(0, 0xC1);
        }
        Data::Binary(bytes.into())
    })
    .await;
}

#[tokio::test]
async fn a_session_greets_and_answers_requests() {
    let server = start(config()).await;
    let mut caller = Caller::new(&server, "/session/hello", "hello.json~2", 4);
    caller.connect().await;
    let hello = |name: &str| {
        let message = ClientMessage::Hello {
            name: name.to_owned(),
        };
        let Payload::Text(json) = Json::encode(&message).unwrap() else {
            panic!("JSON is text");
        };
        text(json)
    };
    caller.send(hello("Ada")).await;
    caller
        .client
        .ask(caller.now(), hello("Grace"), None)
        .unwrap();
    caller.settle().await;
    caller
        .until(|caller| caller.given.len() == 1 && caller.answers.len() == 1)
        .await;
    let greeting = |body: &Body| -> ServerMessage {
        let Data::Text(json) = body else {
            panic!("JSON is text");
        };
        Json::decode(Payload::Text(json.to_string())).unwrap()
    };
    let greets = |name| ServerMessage::Greeting {
        text: format!("Hello {name}!"),
    };
    assert_eq!(greeting(&caller.given[0]), greets("Ada"));
    let AskEnd::Response(response) = &caller.answers[0] else {
        panic!("{:?}", caller.answers);
    };
    assert_eq!(greeting(response), greets("Grace"));
    assert!(server.transcript().contains("Hello Grace!"));
}

#[tokio::test]
async fn all_in_the_room_hear_the_same_in_one_order_also_what_was_said_while_they_were_away() {
    let server = start(config()).await;
    let mut callers: Vec<Caller<'_>> = (10..13)
        .map(|secret| Caller::new(&server, "/session/room", "room.json~2", secret))
        .collect();
    for caller in &mut callers {
        caller.connect().await;
        caller
            .until(|caller| caller.client.phase() == Phase::Up)
            .await;
    }
    for round in 0..30 {
        for (who, caller) in callers.iter_mut().enumerate() {
            caller.send(text(format!("[{who},{round}]"))).await;
        }
        // One of them is away for a while.
        let away = &mut callers[round % 3];
        match round % 6 {
            0..3 => away.cut().await,
            _ if away.socket.is_none() => away.connect().await,
            _ => {}
        }
    }
    for caller in &mut callers {
        if caller.socket.is_none() {
            caller.connect().await;
        }
    }
    within(async {
        while callers.iter().any(|caller| caller.given.len() < 90) {
            for caller in &mut callers {
                caller.listen(Duration::from_millis(5)).await;
            }
        }
    })
    .await;
    assert_eq!(callers[0].given.len(), 90);
    for caller in &callers[1..] {
        assert!(caller.given == callers[0].given, "another order");
    }
}

/// Sends frames as they are, and returns the server's Close.
async fn closed_after(server: &Running, frames: &[&str]) -> (u16, String) {
    let headers = [("Sec-WebSocket-Protocol", "steady~2")];
    let (mut client, _) = server
        .connect_with("/session/echo", &headers)
        .await
        .unwrap();
    for frame in frames {
        client.send(*frame).await;
    }
    loop {
        match client.receive().await {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn hello(secret: char, attempt: u64, more: &str) -> String {
    let secret = String::from(secret).repeat(22);
    format!(
        "~hello secret={secret} attempt={attempt} epoch=0 received=0 handled=0 first=1 sent=0 \
         messages=1000 bytes=1048576 message=1048576 requests=64 age=0{more}"
    )
}

#[tokio::test]
async fn what_the_protocol_forbids_ends_the_connection_with_the_code_that_says_so() {
    let server = start(config()).await;
    let once = hello('a', 1, "");
    for (frames, code) in [
        (vec!["Ada"], 3472),
        (vec!["~a 0 0"], 3472),
        (vec![&*once, &once], 3472),
        (vec!["~hello secret=short"], 3471),
        (vec![&*hello('b', 1, ""), "~a x 0"], 3471),
        (vec![&*hello('c', 1, ""), "~a 7 0"], 3470),
        (vec![&*hello('d', 1, ""), "~a 0 0", "~b 5[1,2]"], 3470),
    ] {
        let (closed, reason) = closed_after(&server, &frames).await;
        assert_eq!(closed, code, "{frames:?}: {reason}");
        assert!(!reason.is_empty());
    }
}

#[tokio::test]
async fn a_session_belongs_to_one_name_and_to_its_highest_attempt() {
    let server = start(config()).await;
    let headers = [("Sec-WebSocket-Protocol", "steady~2")];
    let (mut first, _) = server
        .connect_with("/session/echo", &headers)
        .await
        .unwrap();
    first.send(hello('e', 2, " credential=Ada")).await;
    let welcome = loop {
        let Message::Text(text) = first.receive().await else {
            panic!("no welcome");
        };
        if let Frame::Welcome(welcome) = read(Data::from(text.as_str())).unwrap() {
            break welcome;
        }
    };
    assert_eq!(welcome.outcome, Outcome::Fresh);
    let stranger = hello('e', 9, " credential=Mallory");
    assert_eq!(closed_after(&server, &[&stranger]).await.0, 3972);
    let late = hello('e', 1, " credential=Ada");
    assert_eq!(closed_after(&server, &[&late]).await.0, 3971);
    // Neither has changed anything.
    first.send("~a 0 0").await;
    first.send("still here").await;
    loop {
        match first.receive().await {
            Message::Text(text) if text.as_str() == "still here" => break,
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let (mut newer, _) = server
        .connect_with("/session/echo", &headers)
        .await
        .unwrap();
    let resumes = hello('e', 3, " credential=Ada")
        .replace("epoch=0", &format!("epoch={}", welcome.epoch))
        .replace("received=0", "received=1")
        .replace("first=1 sent=0", "first=2 sent=1");
    newer.send(resumes).await;
    loop {
        if let Message::Close(Some(frame)) = first.receive().await {
            assert_eq!(u16::from(frame.code), 3970);
            break;
        }
    }
}

#[tokio::test]
async fn a_path_or_offer_without_sessions_is_refused_and_says_what_to_offer() {
    let server = start(config()).await;
    let (status, text) = server.refusal("/session/echo", &[]).await;
    assert_eq!(status, 400);
    assert!(text.contains("echo.json~2"), "{text}");
    let headers = [("Sec-WebSocket-Protocol", "echo.json")];
    assert_eq!(server.refusal("/session/echo", &headers).await.0, 400);
    let headers = [("Sec-WebSocket-Protocol", "steady~2")];
    assert_eq!(server.refusal("/session/other", &headers).await.0, 404);
}

#[tokio::test]
async fn the_room_answers_no_requests() {
    let server = start(config()).await;
    let mut caller = Caller::new(&server, "/session/room", "steady~2", 20);
    caller.connect().await;
    caller
        .client
        .ask(caller.now(), text("anybody?"), None)
        .unwrap();
    caller.settle().await;
    caller.until(|caller| !caller.answers.is_empty()).await;
    assert_eq!(caller.answers, [AskEnd::Refused(Refusal::NoHandler)]);
}
