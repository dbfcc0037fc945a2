use test_server::Config;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Running, config, start};

const OTHER: &str = "http://127.0.0.1:3000";

async fn with_control() -> Running {
    let allow_origins = vec![OTHER.parse().unwrap()];
    start(Config {
        demo_control: true,
        allow_origins,
        ..config()
    })
    .await
}

#[tokio::test]
async fn it_is_off_by_default() {
    let server = start(config()).await;
    let mut client = server.connect("/?id=a").await;
    for method in ["POST", "OPTIONS", "GET"] {
        for path in ["/control/cut?id=a", "/control/cut"] {
            let answer = server.http(method, path, &[]).await;
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
            assert!(answer.contains("--demo-control"), "{answer}");
        }
    }
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
}

#[tokio::test]
async fn a_cut_ends_the_named_connections_with_no_close_frame() {
    let server = with_control().await;
    let first = server.connect("/?id=mine").await;
    let second = server.connect("/hello?token=x&id=mine").await;
    let mut other = server.connect("/?id=other").await;
    let mut nameless = server.connect("/").await;
    let answer = server.http("POST", "/control/cut?id=mine", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with(r#"{"connections":2}"#), "{answer}");
    first.cut().await;
    second.cut().await;
    for client in [&mut other, &mut nameless] {
        assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
    }
    let mut again = server.connect("/?id=mine").await;
    assert_eq!(
        again.ask("Ada").await,
        Message::from("Hello Ada!"),
        "reconnecting works"
    );
    let answer = server.http("POST", "/control/cut?id=nobody", &[]).await;
    assert!(answer.ends_with(r#"{"connections":0}"#), "{answer}");
}

#[tokio::test]
async fn with_a_code_it_closes_politely() {
    let server = with_control().await;
    let client = server.connect("/echo?id=a").await;
    let path = "/control/cut?id=a&code=4000&reason=see%20you%20%C3%A9";
    assert!(
        server
            .http("POST", path, &[])
            .await
            .ends_with(r#"{"connections":1}"#)
    );
    assert_eq!(client.closed().await, (4000, "see you é".to_owned()));
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let server = with_control().await;
    let _client = server.connect("/?id=a").await;
    let long = format!("/control/cut?id=a&code=1000&reason={}", "x".repeat(124));
    let cases = [
        "/control/cut",
        "/control/cut?id=",
        "/control/cut?id=a&id=b",
        "/control/cut?id=a%20b",
        "/control/cut?id=a&code=1006",
        "/control/cut?id=a&code=99999",
        "/control/cut?id=a&reason=x",
        &long,
    ];
    for path in cases {
        let answer = server.http("POST", path, &[]).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
    }
    let answer = server.http("GET", "/control/cut?id=a", &[]).await;
    assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (status, body) = server.refusal("/?id=a%20b", &[]).await;
    assert_eq!(status, 400);
    assert!(body.contains("an id is 1 to 64"), "{body}");
}

#[tokio::test]
async fn only_allowed_origins_may_use_it_and_read_the_answer() {
    let server = with_control().await;
    let path = "/control/cut?id=a";
    let allow = format!("access-control-allow-origin: {OTHER}\r\n");

    let own = format!("http://{}", server.address);
    let answer = server.http("POST", path, &[("Origin", &own)]).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("access-control-allow-origin"), "{answer}");

    let answer = server.http("POST", path, &[("Origin", OTHER)]).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains(&allow),
        "{answer}"
    );
    let preflight = [("Origin", OTHER), ("Access-Control-Request-Method", "POST")];
    let answer = server.http("OPTIONS", path, &preflight).await;
    assert!(
        answer.starts_with("HTTP/1.1 204 ") && answer.contains(&allow),
        "{answer}"
    );
    assert!(
        answer.contains("access-control-allow-methods: POST\r\n"),
        "{answer}"
    );

    let mut client = server.connect("/?id=a").await;
    for method in ["POST", "OPTIONS"] {
        let answer = server
            .http(method, path, &[("Origin", "http://evil.example")])
            .await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(!answer.contains("access-control"), "{answer}");
    }
    assert_eq!(
        client.ask("Ada").await,
        Message::from("Hello Ada!"),
        "it was not cut"
    );
}
