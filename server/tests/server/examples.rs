//! The examples, run, and how much a user writes.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::SinkExt as _;
use steady_socket_protocol::session::AskEnd;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::caller::{Caller, Command, Happened, within};
use crate::{connect_to, receive};

#[path = "../../examples/axum.rs"]
#[expect(dead_code, reason = "a program of its own")]
mod axum_example;
#[path = "../../examples/axum-sessions.rs"]
#[expect(dead_code, reason = "a program of its own")]
mod axum_sessions;
#[path = "../../examples/tungstenite.rs"]
#[expect(dead_code, reason = "a program of its own")]
mod tungstenite_example;
#[path = "../../examples/warp.rs"]
#[expect(dead_code, reason = "a program of its own")]
mod warp_example;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends a text, and expects another.
async fn exchange(address: SocketAddr, path: &str, said: &'static str, answer: &'static str) {
    let mut socket = connect_to(address, path, &[]).await.unwrap();
    socket.send(Message::text(said)).await.unwrap();
    assert_eq!(receive(&mut socket).await, Message::text(answer));
}

#[tokio::test]
async fn the_examples_answer() {
    let (on_axum, axum) = listener().await;
    tokio::spawn(axum_example::serve(on_axum));
    let hello = (r#"{"name":"Ada"}"#, r#"{"text":"Hello Ada!"}"#);
    exchange(axum, "/greeter", hello.0, hello.1).await;
    let (on_warp, warp) = listener().await;
    tokio::spawn(warp_example::serve(on_warp));
    exchange(warp, "/double", "21", "42").await;
    let (alone, tcp) = listener().await;
    tokio::spawn(tungstenite_example::serve(alone));
    exchange(tcp, "/", "21", "42").await;
}

#[tokio::test]
async fn the_example_with_sessions_lets_in_and_passes_on_and_stops() {
    let (listener, address) = listener().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let server = axum_sessions::server().unwrap();
    let served = tokio::spawn(axum_sessions::serve(listener, server, stopped));
    let enter = |secret, token| Caller::with(address, "/chat", "chat.json~2", secret, token);
    let ended = |happened| matches!(happened, Happened::Ended(_)).then_some(());
    enter(1, None).find(ended).await;
    let mut ada = enter(2, Some("token-of-ada"));
    let mut grace = enter(3, Some("token-of-grace"));
    loop {
        grace.tell(Command::Ask("{}".to_owned()));
        if grace.answered().await == AskEnd::Response("2".to_owned()) {
            break;
        }
    }
    grace.tell(Command::Cut(Duration::from_millis(20)));
    ada.send(r#"{"text":"Hello"}"#);
    let said = r#"{"who":"Ada","text":"Hello"}"#;
    assert_eq!(ada.given().await, said);
    assert_eq!(grace.given().await, said);
    stop.send(()).unwrap();
    let closed = |happened| match happened {
        Happened::Closed(code) => Some(code),
        _ => None,
    };
    assert_eq!(ada.find(closed).await, 1012);
    drop((ada, grace));
    within(served).await.unwrap().unwrap();
}

#[test]
fn a_typed_endpoint_on_axum_takes_at_most_15_lines() {
    let example = include_str!("../../examples/axum.rs");
    let (_, rest) = example.split_once("// counted: from here\n").unwrap();
    let (counted, _) = rest.split_once("// counted: to here\n").unwrap();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    let lines = counted.lines().filter(is_code).count();
    println!("MEASURED lines of a typed endpoint on axum beside its handler: {lines}");
    assert!(lines <= 15, "{lines} lines");
    // What is left is the messages, the handler and the program around.
    assert!(counted.contains("endpoint!") && counted.contains("route(&server)"));
}
