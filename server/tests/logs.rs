//! What an operator reads: each limit and refusal writes a line that says what to do, and none names a secret.
//!
//! In a process of its own, since the subscriber is that of all threads.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::SinkExt as _;
use steady_socket_server::{
    Credential, Denied, Endpoint as _, Identity, Options, Peer, Rate, Refused, Server,
};
use tokio_tungstenite::tungstenite::Message;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[path = "server/caller.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod caller;
#[path = "server/support.rs"]
mod support;

use caller::{Caller, Happened, within};
use support::{Numbers, SESSION, connect, connect_to, refusal, start};

/// Every line, as a subscriber would write it.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if metadata.target().starts_with("steady_socket_server") {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push((*metadata.level(), line.0));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Lines {
    /// Waits for a line with these words.
    async fn find(&self, level: Level, words: &[&str]) {
        let found = || {
            let lines = self.0.lock().unwrap();
            let has = |line: &str| words.iter().all(|word| line.contains(word));
            lines.iter().any(|(at, line)| *at == level && has(line))
        };
        within(async {
            while !found() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn each_limit_and_refusal_writes_a_line_and_none_names_a_secret() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let server = Server::<Numbers>::builder()
        .options(Options {
            allow_origins: vec!["https://chat.example".parse().unwrap()],
            max_connections_per_address: Some(1),
            max_message_bytes: 125,
            rate: Some(Rate {
                frames: 1,
                bytes: 1_000,
            }),
            ..Options::default()
        })
        .check_handshake(|handshake| {
            let ticket = handshake.query("ticket");
            async move {
                match ticket.as_deref() {
                    Some("secret-of-mallory") => Err(Refused::Forbidden),
                    _ => Ok(Identity("secret-name".to_owned())),
                }
            }
        })
        .authenticate(async |_: Option<Credential>| Err(Denied))
        .build(async |mut peer: Peer<Numbers>| while let Some(Ok(_)) = peer.next().await {})
        .unwrap();
    let address = start(&server).await;

    let evil = [("Origin", "https://evil.example")];
    assert_eq!(refusal(address, &evil).await.0, 403);
    let advice = ["https://evil.example", "allow_origins"];
    lines.find(Level::WARN, &advice).await;

    let path = format!("{}?ticket=secret-of-mallory", Numbers::PATH);
    assert!(connect_to(address, &path, &[]).await.is_err());
    lines.find(Level::INFO, &["may not connect"]).await;

    let mut first = connect(address, &[]).await.unwrap();
    assert_eq!(refusal(address, &[]).await.0, 429);
    lines.find(Level::INFO, &["from this address"]).await;

    let large = Message::text("9".repeat(126));
    first.send(large).await.unwrap();
    let words = ["1009", "a limit has closed", "125 bytes"];
    lines.find(Level::INFO, &words).await;
    drop(first);

    let mut second = within(async {
        loop {
            if let Ok(socket) = connect(address, &[]).await {
                return socket;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for _ in 0..12 {
        let _ = second.send(Message::text("987654321")).await;
    }
    let words = ["1008", "a limit has closed", "1 messages"];
    lines.find(Level::INFO, &words).await;
    drop(second);

    let token = Some("secret-token");
    let mut stranger = Caller::with(address, Numbers::PATH, SESSION, 70, token);
    let ended = |happened| matches!(happened, Happened::Ended(_)).then_some(());
    stranger.find(ended).await;
    lines.find(Level::INFO, &["refused a credential"]).await;

    let few = Server::<Numbers>::builder()
        .options(Options {
            max_sessions_per_address: Some(1),
            ..Options::default()
        })
        .build(async |mut peer: Peer<Numbers>| while let Some(Ok(_)) = peer.next().await {})
        .unwrap();
    let address = start(&few).await;
    let callers = [71, 72].map(|secret| Caller::new(address, Numbers::PATH, SESSION, secret));
    let words = ["1013", "a limit has closed", "from this address"];
    lines.find(Level::INFO, &words).await;
    drop(callers);

    for (_, line) in lines.0.lock().unwrap().iter() {
        assert!(!line.contains("secret"), "{line}");
        assert!(!line.contains("987654321"), "{line}");
    }
}
