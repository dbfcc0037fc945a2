use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{ALLOWED, start};

#[tokio::test]
async fn the_log_tells_what_happened_without_what_was_said() {
    let server = start().await;
    server
        .rule(r#"{"action":{"type":"close","code":4000,"reason":"bye"},"when":{"messages":1}}"#)
        .await;
    let mut client = server.connect("/echo?id=a&token=secret").await.unwrap();
    assert_eq!(client.ask("payload").await, Message::from("payload"));
    while client.next().await.is_some_and(|next| next.is_ok()) {}
    server.until(|event| event["event"] == "end").await;

    let log = server.json("GET", "/faults/log", "").await;
    assert!(!log.to_string().contains("secret") && !log.to_string().contains("payload"));
    assert_eq!(log["forgotten"], 0);
    let mut last = 0;
    let mut told = Vec::new();
    for event in log["events"].as_array().unwrap() {
        let mut event = event.as_object().unwrap().clone();
        last += 1;
        assert_eq!(event.remove("seq"), Some(json!(last)));
        assert!(event.remove("ms").unwrap().is_u64());
        for (key, value) in [
            ("connection", json!(1)),
            ("path", json!("/echo")),
            ("id", json!("a")),
        ] {
            assert_eq!(event.remove(key), Some(value));
        }
        told.push(event);
    }
    let closing = &told[5..];
    assert!(
        closing
            .iter()
            .any(|event| event["event"] == "closeIn" && event["code"] == 4000),
        "{closing:?}"
    );
    assert_eq!(
        json!(told[..6]),
        json!([
            {"event": "handshake"},
            {"event": "open"},
            {"event": "messageIn", "kind": "text", "bytes": 7},
            {"event": "messageOut", "kind": "text", "bytes": 7},
            {"event": "fault", "rule": 1, "action": "close"},
            {"event": "closeOut", "code": 4000, "reason": "bye"},
        ])
    );
    assert_eq!(log["last"], json!(last));
    let rest = server
        .json("GET", &format!("/faults/log?since={}", last - 1), "")
        .await;
    assert_eq!(rest["events"].as_array().unwrap().len(), 1);
    assert_eq!(rest["events"][0]["event"], "end");
}

#[tokio::test]
async fn rules_can_be_taken_back() {
    let server = start().await;
    for _ in 0..3 {
        server.fault(r#"{"type":"refuse","status":500}"#).await;
    }
    assert_eq!(
        server.json("DELETE", "/faults/rules/2", "").await,
        json!({"removed": 1})
    );
    assert_eq!(server.ask("DELETE", "/faults/rules/2", "").await.0, 404);
    assert_eq!(server.ask("DELETE", "/faults/rules/x", "").await.0, 400);
    assert_eq!(
        server.json("DELETE", "/faults/rules", "").await,
        json!({"removed": 2})
    );
    assert!(server.connect("/").await.is_ok());
}

#[tokio::test]
async fn plain_requests_are_refused_as_handshakes_are() {
    let server = start().await;
    for rule in [
        r#"{"match":{"id":"a"},"action":{"type":"refuse","status":401,"body":"who?","retryAfter":7},"times":1}"#,
        r#"{"match":{"id":"b","nth":1},"action":{"type":"refuse","status":403}}"#,
        r#"{"match":{"id":"c"},"action":{"type":"cut"}}"#,
    ] {
        server.rule(rule).await;
    }
    let from = format!("Origin: {ALLOWED}\r\n");
    for _ in 0..2 {
        let (status, answer) = server.ask_from("GET", "/echo?x=1&id=a", "", &from).await;
        assert_eq!(status, 401);
        for part in ["who?", "retry-after: 7\r\n", "access-control-allow-origin"] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
    }
    for id in ["b", "c", "d"] {
        let (status, _) = server.ask("GET", &format!("/echo?id={id}"), "").await;
        assert_eq!(status, 404, "{id}");
    }
    assert!(
        server.connect("/echo?id=a").await.is_err(),
        "it was not counted"
    );
    let (status, _) = server.ask("GET", "/echo?id=a", "").await;
    assert_eq!(status, 404, "the rule is used up");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_explained() {
    let server = start().await;
    let cases = [
        ("POST", "/faults/rules", "", 400, "EOF"),
        ("POST", "/faults/rules", "{}", 400, "missing field `action`"),
        (
            "POST",
            "/faults/now",
            r#"{"action":{"type":"neverAnswer"}}"#,
            400,
            "at the handshake",
        ),
        (
            "POST",
            "/faults/now",
            r#"{"match":{"nth":1},"action":{"type":"cut"}}"#,
            400,
            "nth",
        ),
        (
            "GET",
            "/faults/log?since=x",
            "",
            400,
            "since takes a number",
        ),
        (
            "GET",
            "/faults/log?waitMs=60001",
            "",
            400,
            "from 0 to 60000",
        ),
        (
            "POST",
            "/faults/proxies",
            r#"{"name":"a b","upstream":"127.0.0.1:1"}"#,
            400,
            "1 to 64",
        ),
        (
            "POST",
            "/faults/proxies",
            r#"{"name":"a","upstream":"192.0.2.1:80"}"#,
            400,
            "loopback",
        ),
        (
            "POST",
            "/faults/proxies",
            r#"{"name":"a","upstream":"127.0.0.1:1","listen":"0.0.0.0:0"}"#,
            400,
            "loopback",
        ),
        (
            "POST",
            "/faults/proxies/none/toxics",
            r#"{"type":"down"}"#,
            404,
            "/faults/proxies",
        ),
        ("PUT", "/faults/rules", "", 404, "/faults/rules"),
        ("GET", "/", "", 404, "This is the fault server"),
    ];
    for (method, path, body, status, expected) in cases {
        let (answered, text) = server.ask(method, path, body).await;
        assert_eq!(answered, status, "{path} {body}: {text}");
        assert!(text.contains(expected), "{path} {body}: {text}");
    }
}

#[tokio::test]
async fn only_pages_of_known_origins_may_use_it() {
    let server = start().await;
    let body = r#"{"action":{"type":"cut"}}"#;
    let from = |origin: &str| format!("Origin: {origin}\r\n");
    let (status, answer) = server
        .ask_from("POST", "/faults/rules", body, &from(ALLOWED))
        .await;
    assert_eq!(status, 201);
    assert!(
        answer.contains(&format!("access-control-allow-origin: {ALLOWED}\r\n")),
        "{answer}"
    );
    let (status, answer) = server
        .ask_from("OPTIONS", "/faults/rules", "", &from(ALLOWED))
        .await;
    assert_eq!(status, 204);
    assert!(
        answer.contains("access-control-allow-methods: GET, POST, DELETE\r\n"),
        "{answer}"
    );
    for method in ["POST", "OPTIONS"] {
        let (status, answer) = server
            .ask_from(
                method,
                "/faults/rules",
                body,
                &from("http://127.0.0.1:3001"),
            )
            .await;
        assert_eq!(status, 403);
        assert!(!answer.contains("access-control"), "{answer}");
    }
    let rules = server.json("GET", "/faults/rules", "").await;
    assert_eq!(
        rules["rules"].as_array().unwrap().len(),
        1,
        "nothing was done"
    );
}
