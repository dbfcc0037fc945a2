use std::time::Duration;

use test_server::Config;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Running, config, start};

const LIMIT: usize = 64 * 1024;

/// A frame as a client sends it, masked with zeros, so that the payload stays readable.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

async fn code_for(server: &Running, bytes: &[u8]) -> (u16, String) {
    let mut client = server.connect("/echo").await;
    // The server may have gone before everything is written.
    let _ = client.tcp().write_all(bytes).await;
    client.closed().await
}

#[tokio::test]
async fn a_message_may_have_64_kib_and_no_more() {
    let server = start(config()).await;
    let mut client = server.connect("/echo").await;
    let largest = Message::from(vec![7_u8; LIMIT]);
    assert_eq!(client.ask(largest.clone()).await, largest);

    let whole = frame(0x82, &vec![7; LIMIT + 1]);
    let in_two = [frame(0x02, &vec![7; LIMIT]), frame(0x80, &[7])].concat();
    let huge_claim = [&[0x82, 0xff][..], &(1_u64 << 62).to_be_bytes(), &[0; 4]].concat();
    let much_behind = frame(0x82, &vec![7; 900_000]);
    for bytes in [whole, in_two, huge_claim, much_behind] {
        let expected = (1009, "messages are limited to 65536 bytes".to_owned());
        assert_eq!(code_for(&server, &bytes).await, expected);
    }
}

#[tokio::test]
async fn the_limit_can_be_set() {
    let server = start(Config {
        max_message_bytes: 128,
        ..config()
    })
    .await;
    let mut client = server.connect("/echo").await;
    assert_eq!(client.ask("x".repeat(128)).await.len(), 128);
    client.send(Message::Ping(vec![1; 125].into())).await;
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Pong(vec![1; 125].into())
    );
    client.send("x".repeat(129)).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn broken_frames_are_told_apart() {
    let server = start(config()).await;
    let cases = [
        (frame(0x81, &[0xff]), 1007),
        // Unmasked, a reserved bit, an unknown opcode, a continuation of nothing.
        (vec![0x81, 1, b'x'], 1002),
        (frame(0xc1, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
    ];
    for (bytes, expected) in cases {
        assert_eq!(code_for(&server, &bytes).await.0, expected, "{bytes:02x?}");
    }
    server.connect("/").await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_later() {
    let server = start(Config {
        max_connections: 2,
        ..config()
    })
    .await;
    let first = server.connect("/").await;
    let mut second = server.connect("/hello").await;
    let (status, body) = server.refusal("/echo", &[]).await;
    assert_eq!(status, 503);
    assert!(body.contains("try again later"), "{body}");
    assert!(
        server
            .http("GET", "/", &[])
            .await
            .contains("cargo xtask demo"),
        "the page is still served"
    );

    first.leave().await;
    let mut third = loop {
        // The place is free once the server has seen the end, too.
        if let Ok((client, _)) = server.connect_with("/", &[]).await {
            break client;
        }
    };
    assert_eq!(third.ask("Ada").await, Message::from("Hello Ada!"));
    assert!(second.ask("x").await.is_text());
}

/// Clients that each hold a place with nothing but HTTP, each in another way, until dropped.
struct Hogs(Vec<tokio::task::JoinHandle<()>>);

impl Hogs {
    /// At least as many as there are places for connections other than WebSockets.
    fn come(server: &Running) -> Self {
        let address = server.address;
        let hog = |index: usize| async move {
            loop {
                let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
                    continue;
                };
                let (request, pause) = match index % 4 {
                    // Sends requests and reads nothing.
                    0 | 1 => ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
                    // Sends its head byte by byte.
                    2 => ("G", 50),
                    // Sends nothing.
                    _ => ("", 50),
                };
                while stream.write_all(request.as_bytes()).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        };
        Self((0..160).map(|index| tokio::spawn(hog(index))).collect())
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn clients_that_ask_and_never_read_keep_nobody_out() {
    let server = start(Config {
        max_connections: 2,
        demo_control: true,
        ..config()
    })
    .await;
    // An existing WebSocket stays.
    let mut early = server.connect("/?id=early").await;
    let hogs = Hogs::come(&server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..3 {
        let mut client = server.connect("/").await;
        assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
        client.leave().await;
        let page = server.http("GET", "/", &[]).await;
        assert!(page.contains("cargo xtask demo"), "{page}");
    }
    assert_eq!(early.ask("Bob").await, Message::from("Hello Bob!"));
    let done = server.http("POST", "/control/cut?id=early", &[]).await;
    assert!(done.contains(r#"{"connections":1}"#), "{done}");
    early.cut().await;
    drop(hogs);
}

#[tokio::test]
async fn a_client_that_takes_no_more_of_an_answer_is_left() {
    let server = start(Config {
        handshake_timeout: Duration::from_millis(300),
        ..config()
    })
    .await;
    let mut client = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    // The server stops reading when its responses are not read, and eventually gives the client up.
    let mut written = 0;
    while crate::support::within(client.write_all(&request))
        .await
        .is_ok()
    {
        written += request.len();
        assert!(written < 1 << 30, "something buffers all of it");
    }
}

#[tokio::test]
async fn a_connection_that_vanishes_frees_its_place() {
    let server = start(Config {
        max_connections: 1,
        ..config()
    })
    .await;
    drop(server.connect("/").await);
    while server.connect_with("/", &[]).await.is_err() {}
}

#[tokio::test]
async fn a_silent_client_is_closed_with_1001() {
    let server = start(Config {
        idle_timeout: Duration::from_millis(300),
        ping_interval: Duration::from_millis(200),
        ..config()
    })
    .await;
    let mut silent = server.connect("/").await;
    // Answers no pings, because it does not read, until the time is up.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let close = loop {
        match silent.next().await.unwrap().unwrap() {
            // How many arrive depends on how busy the machine is.
            Message::Ping(_) => {}
            other => break other,
        }
    };
    let Message::Close(Some(close)) = close else {
        panic!("{close:?}")
    };
    assert_eq!(
        (u16::from(close.code), close.reason.as_str()),
        (1001, "no frame came for 0.3 s")
    );
}

#[tokio::test]
async fn a_client_that_only_answers_pings_stays() {
    let server = start(Config {
        idle_timeout: Duration::from_secs(5),
        ping_interval: Duration::from_millis(200),
        ..config()
    })
    .await;
    let mut client = server.connect("/").await;
    // More pings than fit in the idle timeout.
    for _ in 0..30 {
        assert!(matches!(client.next().await, Some(Ok(Message::Ping(_)))));
    }
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_fill_the_memory() {
    let server = start(Config {
        idle_timeout: Duration::from_millis(400),
        ping_interval: Duration::from_millis(100),
        ..config()
    })
    .await;
    let mut client = server.connect("/echo").await;
    let message = frame(0x82, &vec![7; LIMIT]);
    // The server stops reading when its replies are not read, so that this stops too, and eventually gives
    // the client up.
    let mut written = 0;
    while client.tcp().write_all(&message).await.is_ok() {
        written += message.len();
        assert!(written < 1 << 30, "something buffers all of it");
    }
}
