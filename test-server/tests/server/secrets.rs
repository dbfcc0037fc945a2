//! Nothing that clients trust the server with appears in its output, except in the two lines of a greeting.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Killed, program, within};

/// Stands for a token; it has nothing in common with the server's own output.
const SECRET: &str = "hunter2-Zq7";

type Client =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A handshake that offers sub-protocols, one of which is the secret.
async fn connect(address: &str, path: &str, known: &str) -> Result<Client, Error> {
    let url = format!("ws://{address}{path}?token={SECRET}");
    let mut request = url.into_client_request().unwrap();
    let offered = format!("{known}{SECRET}");
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", offered.parse().unwrap());
    let bearer = format!("Bearer {SECRET}");
    headers.insert("Authorization", HeaderValue::from_str(&bearer).unwrap());
    within(connect_async(request))
        .await
        .map(|(client, _)| client)
}

/// Sends one message, reads until a reply or the end, and closes with the secret in the reason.
async fn say(mut client: Client, message: Message) -> Option<Message> {
    client.send(message).await.unwrap();
    let answer = within(client.next()).await.and_then(Result::ok);
    let close = CloseFrame {
        code: CloseCode::Library(4001),
        reason: SECRET.into(),
    };
    // The server may have closed first.
    let _ = within(client.close(Some(close))).await;
    while let Some(Ok(_)) = within(client.next()).await {}
    answer
}

// [R32]
#[cfg(unix)]
#[tokio::test]
async fn the_output_has_a_greeting_s_two_lines_and_no_secret_elsewhere() {
    let options = ["--port", "0", "--demo-control"];
    let mut process = Killed(program(&options).spawn().unwrap());
    let mut stderr = BufReader::new(process.0.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    let (_, address) = first.trim_end().split_once("http://").unwrap();
    let address = address.trim_end_matches('/');

    // Messages that the plain endpoint refuses: invalid names, bytes.
    for name in [String::new(), format!("{SECRET}\n"), SECRET.repeat(100)] {
        let client = connect(address, "/", "").await;
        // It has no sub-protocols, which the client may learn or not; either way nothing is logged.
        if let Ok(client) = client {
            say(client, name.into()).await;
        }
    }
    let url = format!("ws://{address}/?id={SECRET}");
    for message in [
        Message::from(SECRET.as_bytes().to_vec()),
        Message::from(format!("{SECRET}\u{1b}[31m")),
    ] {
        let (client, _) = within(connect_async(url.as_str())).await.unwrap();
        say(client, message).await;
    }

    // Messages that the typed endpoint cannot decode, and names that it refuses.
    for (known, message) in [
        (
            "hello.json, ",
            Message::from(format!("{SECRET} is no JSON")),
        ),
        ("hello.json, ", format!(r#"{{"type":"{SECRET}"}}"#).into()),
        ("hello.json, ", SECRET.as_bytes().to_vec().into()),
        (
            "hello.json, ",
            format!(r#"{{"type":"hello","name":"{SECRET}\n"}}"#).into(),
        ),
        ("hello.msgpack, ", SECRET.as_bytes().to_vec().into()),
        ("hello.json~1, ", format!("~reconnect {SECRET}").into()),
    ] {
        let client = connect(address, "/hello", known).await.unwrap();
        say(client, message).await;
    }
    // The echo replies but logs nothing; a message beyond the limit ends it.
    let url = format!("ws://{address}/echo?{SECRET}");
    for text in [SECRET.to_owned(), SECRET.repeat(10_000)] {
        let (client, _) = within(connect_async(url.as_str())).await.unwrap();
        say(client, text.into()).await;
    }

    // Refused handshakes: an unknown endpoint, unknown sub-protocols, a foreign origin.
    assert!(connect(address, &format!("/{SECRET}"), "").await.is_err());
    assert!(connect(address, "/hello", "").await.is_err());
    let mut foreign = url.as_str().into_client_request().unwrap();
    let origin = format!("https://{SECRET}.example");
    foreign
        .headers_mut()
        .insert("Origin", origin.parse().unwrap());
    assert!(within(connect_async(foreign)).await.is_err());

    // A greeting is logged, and nothing else.
    let (client, _) = within(connect_async(format!("ws://{address}/")))
        .await
        .unwrap();
    let answer = say(client, Message::from("Ada")).await;
    assert_eq!(answer, Some(Message::from("Hello Ada!")));

    let pid = process.0.id().to_string();
    let stopped = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(stopped.unwrap().success());
    let mut stdout = String::new();
    let output = process.0.stdout.take();
    output.unwrap().read_to_string(&mut stdout).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(process.0.wait().unwrap().success());

    for line in stdout.lines().chain(rest.lines()).chain([first.as_str()]) {
        assert!(!line.contains(SECRET), "{line}");
    }
    assert_eq!(stdout, "< Ada\n> Hello Ada!\n");
    assert!(rest.ends_with("stopped\n"), "{rest}");
}
