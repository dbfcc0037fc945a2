//! What a native socket reports, and what it sends: as a browser's would.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use steady_socket::Message;
use steady_socket::native::{Native, run};
use steady_socket::platform::{
    FaceSocket, Platform, Refused, Runtime, SocketEvent, SocketListener, Target,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Wire;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::server::{sleep, soon};

/// What a socket has reported, in words.
#[derive(Default)]
struct Reports {
    words: RefCell<Vec<String>>,
    changed: Notify,
}

impl Reports {
    fn note(&self, word: String) {
        self.words.borrow_mut().push(word);
        self.changed.notify_one();
    }

    /// Waits until something has been reported.
    async fn wait_for(&self, word: &str) {
        soon(word, async {
            while !self.words.borrow().iter().any(|known| known == word) {
                self.changed.notified().await;
            }
        })
        .await;
    }

    /// Everything until the end.
    async fn all(&self) -> String {
        soon("the end", async {
            while !self
                .words
                .borrow()
                .iter()
                .any(|word| word.starts_with("close"))
            {
                self.changed.notified().await;
            }
        })
        .await;
        // Nothing may follow.
        sleep(Duration::from_millis(20)).await;
        self.words.borrow().join(", ")
    }
}

impl SocketListener<Message> for Reports {
    fn message(&self, payload: Message, bytes: usize) {
        self.note(match payload {
            Message::Text(text) => format!("{text:?} of {bytes}"),
            Message::Binary(binary) => format!("{binary:?} of {bytes}"),
        });
    }

    fn event(&self, event: SocketEvent) {
        self.note(match event {
            SocketEvent::Opened => "open".to_owned(),
            SocketEvent::TooBig => "too big".to_owned(),
            SocketEvent::Error(None) => "error".to_owned(),
            SocketEvent::Error(Some(text)) => format!("error ({text})"),
            SocketEvent::Closed(close) => {
                let clean = if close.clean { " clean" } else { "" };
                let reason = Some(close.reason).filter(|reason| !reason.is_empty());
                let reason = reason.map_or(String::new(), |reason| format!(" {reason}"));
                format!("close {}{clean}{reason}", close.code)
            }
        });
    }
}

/// A server, and a client's socket that connects to it.
struct Bench {
    server: TcpListener,
    socket: Rc<FaceSocket>,
    reports: Rc<Reports>,
}

impl Bench {
    async fn new(native: Native, protocols: &[&str], max: Option<u32>) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            url: format!("ws://{}/path?query", server.local_addr().unwrap()),
            protocols: protocols.iter().map(|&name| name.to_owned()).collect(),
        };
        let reports = Rc::new(Reports::default());
        assert!(native.is_ready());
        let socket = native.connect(&target, max, reports.clone()).unwrap();
        assert!(reports.words.borrow().is_empty(), "told before it returned");
        Self {
            server,
            socket,
            reports,
        }
    }

    async fn accept(&self) -> TcpStream {
        soon("a connection", self.server.accept()).await.unwrap().0
    }

    /// Its connection, open.
    async fn open(&self) -> WebSocketStream<TcpStream> {
        let open = tokio_tungstenite::accept_async(self.accept().await);
        let open = soon("a handshake", open).await.unwrap();
        self.reports.wait_for("open").await;
        open
    }

    async fn raw(&self) -> TcpStream {
        self.open().await.into_inner()
    }
}

async fn bench() -> Bench {
    Bench::new(Native::new(), &[], None).await
}

fn close(code: u16, reason: &'static str) -> Wire {
    Wire::Close(Some(CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }))
}

#[test]
fn messages_arrive_in_order_with_their_sizes() {
    run(async {
        let bench = bench().await;
        let mut server = bench.open().await;
        for message in [
            Wire::text("a"),
            Wire::text(""),
            Wire::text("€🦀"),
            Wire::binary(vec![1, 2]),
        ] {
            server.send(message).await.unwrap();
        }
        server.send(close(4001, "bye")).await.unwrap();
        assert_eq!(
            bench.reports.all().await,
            "open, \"a\" of 1, \"\" of 0, \"€🦀\" of 3, [1, 2] of 2, close 4001 clean bye"
        );
    })
    .unwrap();
}

#[test]
fn every_way_to_end_is_told_as_a_browser_does() {
    run(async {
        let cut = bench().await;
        drop(cut.open().await);
        assert_eq!(cut.reports.all().await, "open, close 1006");

        let reset = bench().await;
        let stream = reset.raw().await;
        stream.set_zero_linger().unwrap();
        drop(stream);
        let told = reset.reports.all().await;
        assert!(
            told.starts_with("open, error (") && told.ends_with("), close 1006"),
            "{told}"
        );

        let without_code = bench().await;
        let mut server = without_code.open().await;
        server.send(Wire::Close(None)).await.unwrap();
        assert_eq!(without_code.reports.all().await, "open, close 1005 clean");

        // A server that answers and does not end the connection is not waited for for long.
        let lazy = bench().await;
        let mut server = lazy.raw().await;
        server.write_all(b"\x88\x02\x0f\xa0").await.unwrap();
        assert_eq!(lazy.reports.all().await, "open, close 4000 clean");
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.unwrap();
        assert_eq!(&answer[..2], b"\x88\x82", "a close frame of two bytes");
    })
    .unwrap();
}

#[test]
fn what_no_server_may_send_fails_the_connection_with_a_code_that_says_so() {
    run(async {
        for (bytes, code) in [
            // Reserved bits, an unknown kind, a mask, a text that is not UTF-8, a fragmented ping.
            (&b"\xf1\x00"[..], 1002),
            (b"\x83\x00", 1002),
            (b"\x81\x80\0\0\0\0", 1002),
            (b"\x81\x01\xff", 1007),
            (b"\x09\x00", 1002),
        ] {
            let bench = bench().await;
            let mut server = bench.raw().await;
            server.write_all(bytes).await.unwrap();
            let told = bench.reports.all().await;
            assert!(
                told.starts_with("open, error (") && told.ends_with("), close 1006"),
                "{bytes:?}: {told}"
            );
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await.unwrap();
            let [0x88, 0x82, mask @ .., a, b] = &answer[..] else {
                panic!("{bytes:?}: {answer:?}");
            };
            assert_eq!(
                u16::from_be_bytes([a ^ mask[0], b ^ mask[1]]),
                code,
                "{bytes:?}"
            );
        }
    })
    .unwrap();
}

#[test]
fn a_handshake_that_fails_is_an_error_and_an_end() {
    run(async {
        for (answer, says) in [
            (
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
                "status 401",
            ),
            (
                "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
                "status 302",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "status 200"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "handshake"),
            ("no HTTP\r\n\r\n", "handshake"),
            ("", "handshake"),
        ] {
            let bench = bench().await;
            let mut server = bench.accept().await;
            let mut request = [0; 4096];
            let read = server.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /path?query HTTP/1.1\r\n"));
            server.write_all(answer.as_bytes()).await.unwrap();
            drop(server);
            let told = bench.reports.all().await;
            assert!(
                told.starts_with("error (") && told.ends_with("), close 1006"),
                "{told}"
            );
            assert!(told.contains(says), "{answer}: {told}");
            assert!(!told.contains("query"), "{told}");
        }
    })
    .unwrap();
}

#[test]
fn a_sub_protocol_is_one_of_those_offered() {
    run(async {
        let choose = async |offers: &[&str], choice: Option<&'static str>| {
            let bench = Bench::new(Native::new(), offers, None).await;
            let stream = bench.accept().await;
            let mut offered = String::new();
            #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
            let answer = |request: &Request, mut response: Response| {
                let name = "sec-websocket-protocol";
                if let Some(names) = request.headers().get(name) {
                    names.to_str().unwrap().clone_into(&mut offered);
                }
                if let Some(choice) = choice {
                    response.headers_mut().insert(name, choice.parse().unwrap());
                }
                Ok(response)
            };
            let server = tokio_tungstenite::accept_hdr_async(stream, answer).await;
            let protocol = {
                sleep(Duration::from_millis(50)).await;
                bench.socket.protocol()
            };
            drop(server);
            (offered, protocol, bench.reports.all().await)
        };
        let (offered, protocol, told) = choose(&["chat", "news"], Some("news")).await;
        assert_eq!(
            (offered.as_str(), protocol.as_str()),
            ("chat, news", "news")
        );
        assert_eq!(told, "open, close 1006");
        // Browsers fail these three, too.
        for (offers, choice) in [
            (&["chat"][..], Some("news")),
            (&["chat"], None),
            (&[], Some("chat")),
        ] {
            let (_, protocol, told) = choose(offers, choice).await;
            assert_eq!(protocol, "");
            assert!(told.starts_with("error ("), "{offers:?}: {told}");
        }
    })
    .unwrap();
}

#[test]
fn what_the_client_closes_with_arrives_and_nothing_is_told_in_between() {
    run(async {
        for (code, reason, arrives, told) in [
            (
                Some(4000),
                "bye",
                Some((4000, "bye")),
                "close 4000 clean bye",
            ),
            (Some(1000), "", Some((1000, "")), "close 1000 clean"),
            (None, "", None, "close 1005 clean"),
            (None, "why", Some((1000, "why")), "close 1000 clean why"),
        ] {
            let bench = bench().await;
            let mut server = bench.open().await;
            // What was sent before goes out first.
            bench.socket.send(&"first".into()).unwrap();
            bench.socket.close(code, reason);
            bench.socket.close(Some(4999), "once is enough");
            // In a browser, it is not sent, and not refused.
            bench.socket.send(&"late".into()).unwrap();
            server.send(Wire::text("late")).await.unwrap();
            let first = soon("a message", server.next()).await.unwrap().unwrap();
            assert_eq!(first, Wire::text("first"));
            let Wire::Close(frame) = soon("a close", server.next()).await.unwrap().unwrap() else {
                panic!("no close frame");
            };
            let frame = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
            assert_eq!(
                frame,
                arrives.map(|(code, reason)| (code, reason.to_owned()))
            );
            // The library sends the answer.
            assert!(server.next().await.is_none());
            drop(server);
            assert_eq!(bench.reports.all().await, format!("open, {told}"));
            assert_eq!(bench.socket.buffered_amount(), 4, "what came too late");
        }
    })
    .unwrap();
}

#[test]
fn a_socket_that_is_closed_while_it_connects_fails() {
    run(async {
        let bench = bench().await;
        assert!(bench.socket.send(&"early".into()).is_err());
        bench.socket.close(Some(4000), "");
        assert!(bench.reports.words.borrow().is_empty(), "told inside");
        assert_eq!(bench.reports.all().await, "error, close 1006");
    })
    .unwrap();
}

#[test]
fn a_socket_that_is_detached_tells_nothing_more_and_closes_in_peace() {
    run(async {
        let bench = bench().await;
        let mut server = bench.open().await;
        bench.socket.send(&"last".into()).unwrap();
        bench.socket.detach();
        bench.socket.close(Some(4000), "");
        drop(bench.socket);
        let last = soon("a message", server.next()).await.unwrap().unwrap();
        assert_eq!(last, Wire::text("last"));
        let end = soon("a close", server.next()).await.unwrap().unwrap();
        assert_eq!(end, close(4000, ""));
        assert_eq!(*bench.reports.words.borrow(), ["open"]);
    })
    .unwrap();
}

#[test]
fn a_socket_that_is_dropped_ends_without_a_farewell() {
    run(async {
        let bench = bench().await;
        let mut server = bench.raw().await;
        drop(bench.socket);
        let mut rest = Vec::new();
        soon("the end", server.read_to_end(&mut rest))
            .await
            .unwrap();
        assert_eq!(rest, b"", "not even a close frame");
        assert_eq!(*bench.reports.words.borrow(), ["open"]);

        let connecting = self::bench().await;
        let mut server = connecting.accept().await;
        drop(connecting.socket);
        soon("the end", server.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(connecting.reports.words.borrow().is_empty());
    })
    .unwrap();
}

#[test]
fn a_place_waits_for_what_its_sockets_still_have_to_say() {
    const MESSAGES: usize = 20_000;
    let (tell, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        run(async {
            let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(server.local_addr().unwrap()).unwrap();
            let (stream, _) = server.accept().await.unwrap();
            let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
            let mut count = 0;
            while let Some(Ok(Wire::Text(_))) = server.next().await {
                count += 1;
            }
            count
        })
        .unwrap()
    });
    let url = format!("ws://{}/", address.recv().unwrap());
    run(async {
        type Text = steady_socket::Socket<String, String, steady_socket::PlainText>;
        let mut socket = Text::connect(url).unwrap();
        for number in 0..MESSAGES {
            soon("room", socket.send(format!("{number:0100}")))
                .await
                .unwrap();
        }
    })
    .unwrap();
    assert_eq!(server.join().unwrap(), MESSAGES);
}

#[test]
fn a_message_larger_than_the_limit_is_told_and_none_of_it_kept() {
    run(async {
        // By a little, which is seen when it is there; and by much, of which no more is read.
        for excess in [1, 1_000_000] {
            let bench = Bench::new(Native::new(), &[], Some(1_000)).await;
            let mut server = bench.open().await;
            let most = "a".repeat(1_000);
            server.send(Wire::text(most.clone())).await.unwrap();
            bench.reports.wait_for(&format!("{most:?} of 1000")).await;
            server
                .send(Wire::binary(vec![0; 1_000 + excess]))
                .await
                .unwrap();
            bench.reports.wait_for("too big").await;
            bench.socket.close(Some(4009), "message too big");
            let end = soon("a close", server.next()).await.unwrap().unwrap();
            assert_eq!(end, close(4009, "message too big"), "{excess}");
        }
        // In units of UTF-16, as in a browser.
        let bench = Bench::new(Native::new(), &[], Some(1_000)).await;
        let mut server = bench.open().await;
        server.send(Wire::text("€".repeat(1_000))).await.unwrap();
        server.send(Wire::text("🦀".repeat(501))).await.unwrap();
        bench.reports.wait_for("too big").await;
        let told = bench.reports.words.borrow().len();
        assert_eq!(told, 3, "open, a message, too big");
    })
    .unwrap();
}

#[test]
fn pings_are_answered_also_when_nothing_is_sent() {
    run(async {
        let bench = bench().await;
        let mut server = bench.open().await;
        for number in 0..3 {
            server.send(Wire::Ping(vec![number].into())).await.unwrap();
            let pong = soon("a pong", server.next()).await.unwrap().unwrap();
            assert_eq!(pong, Wire::Pong(vec![number].into()));
        }
    })
    .unwrap();
}

#[test]
fn what_a_server_does_not_read_is_counted() {
    run(async {
        let bench = bench().await;
        let mut server = bench.open().await;
        assert_eq!(bench.socket.buffered_amount(), 0);
        let message = Message::Binary(vec![0; 1 << 20]);
        // More than a system's buffers hold.
        for _ in 0..64 {
            bench.socket.send(&message).unwrap();
        }
        sleep(Duration::from_millis(100)).await;
        let held = bench.socket.buffered_amount();
        assert!((32 << 20..=64 << 20).contains(&held), "{held}");
        for _ in 0..64 {
            soon("a message", server.next()).await.unwrap().unwrap();
        }
        soon("it is sent", async {
            while bench.socket.buffered_amount() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    })
    .unwrap();
}

#[test]
fn a_busy_socket_leaves_others_their_turn() {
    run(async {
        let bench = bench().await;
        let mut server = bench.open().await;
        for number in 0..10_000 {
            server.feed(Wire::text(number.to_string())).await.unwrap();
        }
        let fed = tokio::task::spawn_local(async move {
            server.flush().await.unwrap();
            server
        });
        // While there is more to read: a task that is ready has its turn before all of it is there.
        let mut turns = 0;
        soon("all messages", async {
            while bench.reports.words.borrow().len() < 10_001 {
                turns += 1;
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(turns > 10, "{turns}");
        drop(fed.await.unwrap());
    })
    .unwrap();
}

#[test]
fn headers_of_ones_own_go_with_every_handshake() {
    run(async {
        let fresh = Rc::new(core::cell::Cell::new(0));
        let count = Rc::clone(&fresh);
        let native = Native::new()
            .header("Authorization", "Bearer token")
            .and_then(|native| native.header("Cookie", "a=b"))
            .and_then(|native| native.header("Cookie", "c=d"))
            .and_then(|native| native.header("Host", "example.org"))
            .and_then(|native| {
                native.header_from("X-Attempt", move || {
                    count.set(count.get() + 1);
                    count.get().to_string()
                })
            })
            .unwrap();
        assert!(!format!("{native:?}").contains("token"));
        for attempt in 1..=2 {
            let bench = Bench::new(native.clone(), &[], None).await;
            let mut server = bench.accept().await;
            let mut request = vec![0; 4096];
            let read = server.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
            for line in [
                "authorization: bearer token",
                "cookie: a=b",
                "cookie: c=d",
                "host: example.org",
                &format!("x-attempt: {attempt}"),
            ] {
                let lines = request.lines().filter(|known| *known == line).count();
                assert_eq!(lines, 1, "{line} in {request}");
            }
            let hosts = request.lines().filter(|line| line.starts_with("host:"));
            assert_eq!(hosts.count(), 1);
        }
        // One that cannot be sent fails the attempt.
        let wrong = Native::new().header_from("X-Wrong", || "a\nb".to_owned());
        let bench = Bench::new(wrong.unwrap(), &[], None).await;
        let told = bench.reports.all().await;
        assert!(told.starts_with("error (the value of a header"), "{told}");
    })
    .unwrap();
}

#[test]
fn a_server_with_a_foreign_certificate_is_not_spoken_to() {
    run(async {
        let address = super::server::WSS.socket_address();
        let told = async |native: Native, host: &str| {
            let target = Target {
                url: format!("wss://{host}:{}/", address.port()),
                protocols: Vec::new(),
            };
            let reports = Rc::new(Reports::default());
            assert!(native.is_ready());
            let socket = native.connect(&target, None, reports.clone());
            let socket: Result<_, Refused> = socket;
            soon("something", reports.changed.notified()).await;
            drop(socket);
            reports.words.take().swap_remove(0)
        };
        let own = || {
            let certificate = super::server::CERTIFICATE.as_bytes();
            Native::new().roots(certificate).unwrap()
        };
        assert_eq!(told(own(), "127.0.0.1").await, "open");
        // Neither the system's roots nor another name.
        let foreign = told(Native::new(), "127.0.0.1").await;
        assert!(foreign.starts_with("error ("), "{foreign}");
        let other = told(own(), "localhost").await;
        assert!(other.starts_with("error (TLS failed"), "{other}");
    })
    .unwrap();
}
