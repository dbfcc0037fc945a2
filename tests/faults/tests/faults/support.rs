//! A fault server in this process, and clients for its control.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use faults::{Config, FaultServer};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far longer than anything here takes: a test that hangs fails instead.
const CEILING: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(CEILING, future)
        .await
        .expect("this takes no time")
}

/// A running server; it stops on drop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

pub(crate) const ALLOWED: &str = "http://127.0.0.1:3000";

pub(crate) async fn start() -> Running {
    let server = FaultServer::bind(Config {
        allow_origins: vec![ALLOWED.parse().unwrap()],
        ..Config::default()
    })
    .await
    .unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        _stop: stop,
    }
}

impl Running {
    /// Sends a request to the control; returns the status and the text of the response.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_from(method, path, body, "").await
    }

    /// Likewise, with additional header lines.
    pub(crate) async fn ask_from(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &str,
    ) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}",
            self.address
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        let status = answer[9..12].parse().unwrap();
        (status, answer)
    }

    /// Sends a request that succeeds; returns the JSON of the response.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Sets a rule for all connections.
    pub(crate) async fn fault(&self, action: &str) {
        self.rule(&format!(r#"{{"action":{action}}}"#)).await;
    }

    pub(crate) async fn rule(&self, rule: &str) {
        self.json("POST", "/faults/rules", rule).await;
    }

    /// The names of the logged events, of those in `wanted`.
    pub(crate) async fn events(&self, wanted: &[&str]) -> Vec<Value> {
        let log = self.json("GET", "/faults/log", "").await;
        let events = log["events"].as_array().unwrap().clone();
        let is_wanted = |event: &Value| wanted.contains(&event["event"].as_str().unwrap());
        events.into_iter().filter(is_wanted).collect()
    }

    /// Waits until the log has an event for which `wanted` holds.
    pub(crate) async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut since = 0;
        within(async {
            loop {
                let path = format!("/faults/log?since={since}&waitMs=1000");
                let log = self.json("GET", &path, "").await;
                let mut events = log["events"].as_array().unwrap().iter();
                if let Some(event) = events.find(|event| wanted(event)) {
                    return event.clone();
                }
                since = log["last"].as_u64().unwrap();
            }
        })
        .await
    }

    pub(crate) async fn connect(&self, path: &str) -> Result<Client, Error> {
        connect(self.address, path).await
    }

    /// Makes a handshake by hand, leaving what follows it to be read.
    pub(crate) async fn raw(&self, path: &str) -> TcpStream {
        let mut stream = self.raw_request(path).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }

    /// Only the request of a handshake.
    pub(crate) async fn raw_request(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

pub(crate) async fn connect(address: SocketAddr, path: &str) -> Result<Client, Error> {
    let (socket, _) = within(connect_async(format!("ws://{address}{path}"))).await?;
    Ok(Client(socket))
}

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        within(self.0.send(message.into())).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        within(self.0.next()).await
    }

    /// The next message, which must arrive.
    pub(crate) async fn receive(&mut self) -> Message {
        self.next().await.expect("the connection is open").unwrap()
    }

    pub(crate) async fn ask(&mut self, message: &str) -> Message {
        self.send(message).await;
        self.receive().await
    }

    /// Whether nothing arrives for a while.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let while_ = Duration::from_millis(200);
        tokio::time::timeout(while_, self.0.next()).await.is_err()
    }

    /// The client's error about what comes next, which is invalid.
    pub(crate) async fn error(&mut self) -> String {
        self.next().await.unwrap().unwrap_err().to_string()
    }
}
