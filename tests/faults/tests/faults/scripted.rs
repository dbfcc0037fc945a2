use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{start, within};

/// A frame as a client sends it, masked with zeros.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0][..], payload].concat()
}

#[tokio::test]
async fn without_a_rule_it_is_the_hello_server() {
    let server = start().await;
    let mut plain = server.connect("/").await.unwrap();
    assert_eq!(plain.ask("Ada").await, Message::from("Hello Ada!"));
    let mut typed = server.connect("/hello?id=a").await.unwrap();
    let answer = typed.ask(r#"{"type":"hello","name":"Ada"}"#).await;
    assert!(answer.to_text().unwrap().contains("Hello Ada!"));
    let mut echo = server.connect("/echo").await.unwrap();
    let large = "x".repeat(60_000);
    assert_eq!(echo.ask(&large).await, Message::from(large));
    match server.connect("/nowhere").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 404),
        _ => panic!("there is no such endpoint"),
    }
}

#[tokio::test]
async fn a_handshake_is_refused_with_a_status() {
    let server = start().await;
    server
        .fault(r#"{"type":"refuse","status":503,"body":"later","retryAfter":7}"#)
        .await;
    let Err(Error::Http(response)) = server.connect("/echo").await else {
        panic!("not refused")
    };
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.body().as_deref(), Some(&b"later"[..]));
}

#[tokio::test]
async fn a_handshake_is_answered_late() {
    let server = start().await;
    server.fault(r#"{"type":"delayHandshake","ms":300}"#).await;
    let before = Instant::now();
    let mut client = server.connect("/echo").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!(client.ask("x").await, Message::from("x"));
}

#[tokio::test]
async fn a_handshake_is_never_answered() {
    let server = start().await;
    server.fault(r#"{"type":"neverAnswer"}"#).await;
    let mut stream = server.raw_request("/echo").await;
    let answer = timeout(Duration::from_millis(300), stream.read_u8()).await;
    assert!(answer.is_err(), "{answer:?}");
    drop(stream);
    let end = server.until(|event| event["event"] == "end").await;
    assert_eq!(end["by"], "client");
}

#[tokio::test]
async fn a_handshake_is_cut_reset_or_answered_with_garbage() {
    for (word, expected) in [
        ("cut", Ok(0)),
        ("reset", Err(ErrorKind::ConnectionReset)),
        ("garbage", Ok(64)),
    ] {
        let server = start().await;
        server
            .rule(&format!(
                r#"{{"action":{{"type":"{word}"}},"when":"handshake"}}"#
            ))
            .await;
        let mut stream = server.raw_request("/echo").await;
        let mut answer = Vec::new();
        let result = within(stream.read_to_end(&mut answer)).await;
        assert_eq!(result.map_err(|error| error.kind()), expected, "{word}");
    }
}

#[tokio::test]
async fn a_connection_is_closed_with_any_code() {
    for code in [
        0_u16,
        999,
        1000,
        1005,
        1006,
        1012,
        1015,
        2999,
        4000,
        5000,
        u16::MAX,
    ] {
        let server = start().await;
        server
            .fault(&format!(r#"{{"type":"close","code":{code},"reason":"é"}}"#))
            .await;
        let mut stream = server.raw("/echo").await;
        let mut frame = [0; 6];
        within(stream.read_exact(&mut frame)).await.unwrap();
        let [high, low] = code.to_be_bytes();
        assert_eq!(frame, [0x88, 4, high, low, 0xc3, 0xa9]);
        stream
            .write_all(&client_frame(0x88, &[3, 0xe8]))
            .await
            .unwrap();
        let mut rest = Vec::new();
        assert_eq!(within(stream.read_to_end(&mut rest)).await.unwrap(), 0);
        let answer = server.until(|event| event["event"] == "closeIn").await;
        assert_eq!(answer["code"], 1000);
    }
    let server = start().await;
    server.fault(r#"{"type":"close"}"#).await;
    let mut client = server.connect("/echo").await.unwrap();
    assert_eq!(client.receive().await, Message::Close(None));
}

#[tokio::test]
async fn a_connection_is_cut_or_reset_after_so_many_messages() {
    for (word, expected) in [("cut", Ok(0)), ("reset", Err(ErrorKind::ConnectionReset))] {
        let server = start().await;
        server
            .rule(&format!(
                r#"{{"action":{{"type":"{word}"}},"when":{{"messages":2}}}}"#
            ))
            .await;
        let mut stream = server.raw("/echo").await;
        let frames = client_frame(0x81, b"x").repeat(2);
        stream.write_all(&frames).await.unwrap();
        let mut answers = [0; 6];
        within(stream.read_exact(&mut answers)).await.unwrap();
        assert_eq!(answers, *b"\x81\x01x\x81\x01x");
        let mut rest = Vec::new();
        let end = within(stream.read_to_end(&mut rest)).await;
        assert_eq!(end.map_err(|error| error.kind()), expected, "{word}");
        let end = server.until(|event| event["event"] == "end").await;
        assert_eq!(end["by"], word);
    }
}

#[tokio::test]
async fn reading_stops() {
    let server = start().await;
    server.fault(r#"{"type":"stopReading"}"#).await;
    let mut stream = server.raw("/echo").await;
    server.until(|event| event["action"] == "stopReading").await;
    // The kernels' buffers accept some, and then nothing accepts more.
    let data = vec![0; 1 << 20];
    let fill = async { while stream.write_all(&data).await.is_ok() {} };
    assert!(timeout(Duration::from_millis(500), fill).await.is_err());
    assert!(server.events(&["messageIn", "end"]).await.is_empty());
}

#[tokio::test]
async fn writing_stops_and_reading_goes_on() {
    let server = start().await;
    server
        .rule(r#"{"action":{"type":"stopWriting"},"when":{"messages":1}}"#)
        .await;
    let mut client = server.connect("/echo").await.unwrap();
    assert_eq!(client.ask("a").await, Message::from("a"));
    client.send("bb").await;
    assert!(client.is_quiet().await);
    server
        .until(|event| event["event"] == "messageIn" && event["bytes"] == 2)
        .await;
    // Not even the answer to a Close comes, nor an end.
    client.send(Message::Close(None)).await;
    server.until(|event| event["event"] == "closeIn").await;
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn a_close_is_ignored() {
    let server = start().await;
    server.fault(r#"{"type":"ignoreClose"}"#).await;
    let mut stream = server.raw("/echo").await;
    server.until(|event| event["action"] == "ignoreClose").await;
    stream
        .write_all(&client_frame(0x88, &[3, 0xe8]))
        .await
        .unwrap();
    stream.write_all(&client_frame(0x81, b"x")).await.unwrap();
    let mut answer = [0; 3];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, *b"\x81\x01x");
    let end = timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn messages_come_as_the_other_kind_twice_or_late() {
    let server = start().await;
    server
        .rule(r#"{"match":{"id":"kind"},"action":{"type":"wrongKind","count":1}}"#)
        .await;
    server
        .rule(r#"{"match":{"id":"twice"},"action":{"type":"duplicate","count":1}}"#)
        .await;
    server
        .rule(r#"{"match":{"id":"late"},"action":{"type":"delayMessages","ms":300}}"#)
        .await;

    let mut kind = server.connect("/echo?id=kind").await.unwrap();
    assert_eq!(kind.ask("a").await, Message::from(b"a".to_vec()));
    assert_eq!(kind.ask("b").await, Message::from("b"));

    let mut twice = server.connect("/echo?id=twice").await.unwrap();
    assert_eq!(twice.ask("a").await, Message::from("a"));
    assert_eq!(twice.ask("b").await, Message::from("a"));
    assert_eq!(twice.receive().await, Message::from("b"));
    assert!(twice.is_quiet().await);

    let mut late = server.connect("/echo?id=late").await.unwrap();
    let before = Instant::now();
    for text in ["a", "b", "c"] {
        late.send(text).await;
    }
    for text in ["a", "b", "c"] {
        assert_eq!(late.receive().await, Message::from(text));
    }
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn what_no_server_should_send_is_sent() {
    let cases = [
        (r#"{"type":"invalidUtf8"}"#, "UTF-8"),
        (r#"{"type":"reservedBits"}"#, "Reserved bits"),
        (r#"{"type":"unknownOpcode"}"#, "opcode"),
        (r#"{"type":"oversizedControl"}"#, "Control frame too big"),
        (r#"{"type":"frame","masked":true,"text":"x"}"#, "masked"),
        (
            r#"{"type":"frame","opcode":9,"fin":false}"#,
            "Fragmented control",
        ),
        (r#"{"type":"frame","opcode":0}"#, "Continue frame"),
        (r#"{"type":"garbage"}"#, "invalid opcode"),
    ];
    for (action, expected) in cases {
        let server = start().await;
        server.fault(action).await;
        let mut client = server.connect("/echo").await.unwrap();
        let error = client.error().await;
        let found = error.to_lowercase().contains(&expected.to_lowercase());
        assert!(found, "{action}: {error}");
    }
    let server = start().await;
    server
        .fault(r#"{"type":"frame","opcode":2,"bytes":[1,2]}"#)
        .await;
    let mut client = server.connect("/echo").await.unwrap();
    assert_eq!(client.receive().await, Message::from(vec![1, 2]));
    assert_eq!(client.ask("x").await, Message::from("x"), "it goes on");
}

#[tokio::test]
async fn a_huge_message_has_the_size_that_was_asked_for() {
    let server = start().await;
    server.fault(r#"{"type":"huge","bytes":3000000}"#).await;
    let mut client = server.connect("/echo").await.unwrap();
    assert_eq!(client.receive().await.len(), 3_000_000);

    let server = start().await;
    let bytes = 1_u64 << 62;
    server
        .fault(&format!(
            r#"{{"type":"huge","bytes":{bytes},"sent":1,"binary":true}}"#
        ))
        .await;
    let mut stream = server.raw("/echo").await;
    let mut frame = [0; 11];
    within(stream.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[..2], [0x82, 127]);
    assert_eq!(frame[2..10], bytes.to_be_bytes());
    let rest = timeout(Duration::from_millis(200), stream.read_u8()).await;
    assert!(rest.is_err(), "{rest:?}");
}

#[tokio::test]
async fn a_fault_comes_at_its_time() {
    let server = start().await;
    server
        .rule(r#"{"action":{"type":"close","code":1012,"reason":"x"},"when":{"ms":300}}"#)
        .await;
    let before = Instant::now();
    let mut client = server.connect("/echo").await.unwrap();
    assert_eq!(client.ask("x").await, Message::from("x"));
    let Message::Close(Some(close)) = client.receive().await else {
        panic!("no close")
    };
    assert_eq!(u16::from(close.code), 1012);
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn rules_are_for_the_connections_that_they_name() {
    let server = start().await;
    server
        .rule(r#"{"match":{"path":"/echo","id":"a","nth":2},"action":{"type":"refuse","status":401}}"#)
        .await;
    server
        .rule(r#"{"match":{"path":"/"},"action":{"type":"refuse","status":403},"times":2,"comment":"x"}"#)
        .await;
    let mut refused = Vec::new();
    for path in [
        "/echo?id=a",
        "/echo?x=1&id=a",
        "/echo?id=a",
        "/echo",
        "/hello?id=a",
        "/",
        "/",
        "/",
    ] {
        refused.push(server.connect(path).await.is_err());
    }
    assert_eq!(
        refused,
        [false, true, false, false, false, true, true, false]
    );
    let rules = server.json("GET", "/faults/rules", "").await;
    assert_eq!(rules["rules"][1]["applied"], 2);
    assert_eq!(rules["rules"][1]["seen"], 3);
    assert_eq!(rules["rules"][1]["comment"], "x");
}

#[tokio::test]
async fn open_connections_are_reached_at_once() {
    let server = start().await;
    let mut first = server.connect("/echo?id=first").await.unwrap();
    let mut second = server.connect("/echo?id=second").await.unwrap();
    let now = |id: &str, action: &str| {
        format!(r#"{{"match":{{"id":"{id}"}},"action":{{"type":"{action}"}}}}"#)
    };
    let done = server
        .json("POST", "/faults/now", &now("first", "cut"))
        .await;
    assert_eq!(done["connections"], 1);
    assert!(first.error().await.contains("without closing handshake"));
    assert_eq!(second.ask("x").await, Message::from("x"));
    server
        .json("POST", "/faults/now", &now("second", "invalidUtf8"))
        .await;
    assert!(second.error().await.contains("UTF-8"));

    // Also in a handshake that is never answered.
    server.fault(r#"{"type":"neverAnswer"}"#).await;
    let mut third = server.raw_request("/echo?id=third").await;
    server
        .until(|event| event["id"] == "third" && event["event"] == "fault")
        .await;
    server
        .json("POST", "/faults/now", &now("third", "reset"))
        .await;
    assert!(within(third.read_u8()).await.is_err());
}
