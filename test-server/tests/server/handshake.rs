use std::time::Duration;

use test_server::Config;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Folder, config, start};

const PROTOCOL: &str = "sec-websocket-protocol";

#[tokio::test]
async fn the_first_known_subprotocol_is_answered() {
    let server = start(config()).await;
    let cases: [(&[&str], Option<&str>); 6] = [
        (&[], None),
        (&["hello.json"], Some("hello.json")),
        (&["hello.msgpack, hello.json"], Some("hello.msgpack")),
        (&["other,\thello.json"], Some("hello.json")),
        (
            &["other", "hello.msgpack", "hello.json"],
            Some("hello.msgpack"),
        ),
        (&["hello.json, hello.json"], Some("hello.json")),
    ];
    for (offers, expected) in cases {
        let headers: Vec<_> = offers.iter().map(|offer| (PROTOCOL, *offer)).collect();
        // A typical client would check the response itself; here it is inspected.
        let request = handshake("/hello", &headers);
        let answer = server.raw_head(&request).await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert_eq!(header(&answer, PROTOCOL), expected, "{offers:?}");
    }
}

#[tokio::test]
async fn control_messages_are_spoken_where_they_were_negotiated() {
    let server = start(config()).await;
    let offer = [(PROTOCOL, "hello.json~1, hello.json")];
    let (mut client, response) = server.connect_with("/hello", &offer).await.unwrap();
    assert_eq!(response.headers()[PROTOCOL], "hello.json~1");
    let beat = client.receive().await;
    assert!(beat.to_text().unwrap().starts_with("~beat "), "{beat}");
    // It supports numbered pings, and says so at once.
    assert_eq!(client.receive().await, Message::from("~pong 0"));
    // A thousand come back in a second, and this one is alone.
    assert_eq!(client.receive().await, Message::from("~spread 1"));
    assert_eq!(client.ask("~ping").await, beat);
    assert_eq!(client.ask("~ping 17").await, beat);
    assert_eq!(client.receive().await, Message::from("~pong 17"));
    // Anything else is ignored.
    for unknown in ["~", "~ping 1 2", "~beat 1", "~pong 0", "~later"] {
        client.send(unknown).await;
    }
    let greeting = client.ask(r#"{"type":"hello","name":"Ada"}"#).await;
    assert!(
        greeting.to_text().unwrap().contains("Hello Ada!"),
        "{greeting}"
    );

    let offer = [(PROTOCOL, "hello.json")];
    let (mut plain, _) = server.connect_with("/hello", &offer).await.unwrap();
    let answer = plain.ask("~ping").await;
    assert!(answer.to_text().unwrap().contains("malformed"), "{answer}");
}

// [R35]
#[tokio::test]
async fn a_text_that_starts_like_a_control_message_is_the_application_s_when_it_is_escaped() {
    let server = start(Config {
        max_message_bytes: 128,
        ..config()
    })
    .await;
    let offer = [(PROTOCOL, "hello.json~1")];
    let (mut client, _) = server.connect_with("/hello", &offer).await.unwrap();
    for _ in ["beat", "pong", "spread"] {
        client.receive().await;
    }
    for text in ["~~ping", "~~", "~~~reconnect 1-2"] {
        let answer = client.ask(text).await;
        assert!(answer.to_text().unwrap().contains("malformed"), "{answer}");
    }
    // The server escapes what it sends, too.
    let offer = [(PROTOCOL, "echo~1, echo")];
    let (mut echo, response) = server.connect_with("/echo", &offer).await.unwrap();
    assert_eq!(response.headers()[PROTOCOL], "echo~1");
    for _ in ["beat", "pong", "spread"] {
        echo.receive().await;
    }
    for text in ["~~reconnect 60000-60000", "~~", "~~~ping", "plain"] {
        assert_eq!(echo.ask(text).await, Message::from(text));
    }
    let bytes = Message::from(b"~ping".to_vec());
    assert_eq!(echo.ask(bytes.clone()).await, bytes);
    // Without control messages, nothing is changed.
    let (mut plain, _) = server
        .connect_with("/echo", &[(PROTOCOL, "echo")])
        .await
        .unwrap();
    for text in ["~ping", "~~", "~beat 1"] {
        assert_eq!(plain.ask(text).await, Message::from(text));
    }
    // The escape does not count: 128 bytes are the application's, and one more is too many.
    for (bytes, is_taken) in [(128, true), (129, false)] {
        let text = format!("~~{}", "x".repeat(bytes - 1));
        let answer = client.ask(text).await;
        assert_eq!(answer.is_text(), is_taken, "{bytes}: {answer}");
    }
}

#[tokio::test]
async fn beats_come_with_the_pings() {
    let server = start(Config {
        ping_interval: Duration::from_millis(20),
        ..config()
    })
    .await;
    let offer = [(PROTOCOL, "hello.msgpack~1")];
    let (mut client, _) = server.connect_with("/hello", &offer).await.unwrap();
    for expected in ["~beat 20", "~pong 0", "~spread 1", "~beat 20", "~beat 20"] {
        assert_eq!(client.receive().await.to_text().unwrap(), expected);
    }
}

#[tokio::test]
async fn unknown_subprotocols_are_refused_with_the_known_ones() {
    let server = start(config()).await;
    let (status, body) = server
        .refusal("/hello", &[(PROTOCOL, "other, Hello.Json")])
        .await;
    assert_eq!(status, 400);
    assert!(body.contains("hello.json or hello.msgpack"), "{body}");
    for (path, accepted) in [("/", "offer none"), ("/echo", "offer echo")] {
        let (status, body) = server.refusal(path, &[(PROTOCOL, "hello.json")]).await;
        assert_eq!(status, 400);
        assert!(body.contains(accepted), "{body}");
    }
}

#[tokio::test]
async fn unknown_paths_are_refused_with_the_known_ones() {
    let server = start(config()).await;
    for path in ["/nowhere", "/hello/", "/echo/x", "//"] {
        let (status, body) = server.refusal(path, &[]).await;
        assert_eq!(status, 404, "{path}");
        assert!(body.contains("/hello"), "{body}");
    }
}

#[tokio::test]
async fn compression_is_never_agreed_to() {
    let server = start(config()).await;
    let offer = (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    );
    let answer = server.raw_head(&handshake("/echo", &[offer])).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(header(&answer, "sec-websocket-extensions"), None);
}

#[tokio::test]
async fn origins_are_checked_before_the_upgrade() {
    let allowed = "http://127.0.0.1:3000";
    let server = start(Config {
        allow_origins: vec![allowed.parse().unwrap()],
        ..config()
    })
    .await;
    let own = format!("http://{}", server.address);
    for origin in [own.as_str(), allowed] {
        for path in ["/", "/hello", "/echo"] {
            assert!(
                server
                    .connect_with(path, &[("origin", origin)])
                    .await
                    .is_ok(),
                "{origin}"
            );
        }
    }
    let secure = format!("https://{}", server.address);
    for origin in [
        "http://127.0.0.1:3001",
        "http://evil.example",
        "null",
        "",
        &secure,
    ] {
        for path in ["/", "/hello", "/echo", "/nowhere"] {
            let (status, body) = server.refusal(path, &[("origin", origin)]).await;
            assert_eq!(status, 403, "{origin} {path}");
            assert!(body.contains("--allow-origin"), "{body}");
        }
    }
    let twice = [("origin", allowed), ("origin", allowed)];
    assert_eq!(server.refusal("/", &twice).await.0, 403);
}

#[tokio::test]
async fn a_missing_origin_passes_unless_it_is_required() {
    let server = start(config()).await;
    assert!(server.connect_with("/", &[]).await.is_ok());
    let strict = start(Config {
        require_origin: true,
        ..config()
    })
    .await;
    let (status, body) = strict.refusal("/", &[]).await;
    assert_eq!(
        (status, body.as_str()),
        (403, "this server requires an Origin header\n")
    );
    let own = format!("http://{}", strict.address);
    assert!(strict.connect_with("/", &[("origin", &own)]).await.is_ok());
}

#[tokio::test]
async fn a_wrong_handshake_is_refused_and_never_shown_the_page() {
    let www = Folder::new("handshake");
    www.write("index.html", "page");
    let server = start(Config {
        www: www.path(),
        ..config()
    })
    .await;
    let right = handshake("/", &[("connection", "close")]);
    let cases = [
        right.replace("Sec-WebSocket-Key", "X-Key"),
        right.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        right.replace("Version: 13", "Version: 8"),
        right.replace("Connection: Upgrade\r\n", ""),
        right.replace("GET", "POST"),
        right.replace("HTTP/1.1", "HTTP/1.0"),
    ];
    for request in cases {
        let answer = server.raw(&request).await;
        let status: u16 = answer[9..12].parse().unwrap();
        assert!((400..500).contains(&status), "{request}{answer}");
        assert!(!answer.contains("page"), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_is_dropped() {
    let server = start(Config {
        // Enough for the handshake at the end, however busy the machine is.
        handshake_timeout: Duration::from_secs(3),
        ..config()
    })
    .await;
    let half = &handshake("/", &[])[..40];
    // Each returns only after the server has ended the connection.
    let (nothing, one, half) = tokio::join!(server.raw(""), server.raw("G"), server.raw(half));
    for answer in [nothing, one, half] {
        assert!(!answer.contains("101"), "{answer}");
    }
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(64 * 1024));
    let answer = server.raw(&endless).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.connect("/").await;
}

fn handshake(path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request + "\r\n"
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut values = answer.lines().filter_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} comes once");
    value
}
