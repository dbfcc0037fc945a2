//! The server under load: many clients, and clients that misbehave. Its limits hold, its memory stays
//! bounded, and it serves the others meanwhile.
//!
//! The server is its own process, so that its memory can be told from that of the clients. Measurements are
//! printed (`--nocapture` shows them); the bounds are several times the values seen. `bench/load` compares
//! its speed with that of other servers.

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use load::process::{memory, raise_descriptor_limit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio_tungstenite::tungstenite::Message;

/// Far longer than anything here takes: a test that hangs fails instead.
const CEILING: Duration = Duration::from_secs(300);

/// How many handshakes run at once.
const AT_ONCE: usize = 100;

/// The largest message that the server accepts, in bytes.
const LARGEST: usize = 64 * 1024;

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(CEILING, future)
        .await
        .expect("this takes no time")
}

/// A server under test, killed even if the test fails.
struct Server {
    process: Child,
    address: SocketAddr,
    /// These tests measure, so they run one after the other.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::const_new(());

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts a server for this many connections, which need as many file descriptors in its process and in
    /// this one.
    async fn start(connections: usize, arguments: &[&str]) -> Self {
        let alone = ALONE.lock().await;
        raise_descriptor_limit(connections as u64 + 500).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_test-server"))
            .args(["--port", "0", "--max-connections", &connections.to_string()])
            .args(arguments)
            .env_remove("TEST_SERVER_ALLOW_ORIGIN")
            .env_remove("TEST_SERVER_DEMO_CONTROL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix("/\n"))
            .unwrap_or_else(|| panic!("{line}"))
            .parse()
            .unwrap();
        Self {
            process,
            address,
            _alone: alone,
        }
    }

    /// A client that does nothing by itself, not even answer pings.
    async fn connect(&self, path: &str) -> std::io::Result<Client> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(std::io::Error::other(
                String::from_utf8_lossy(&head).into_owned(),
            ));
        }
        Ok(Client(stream))
    }

    async fn connect_all(&self, count: usize, path: &str) -> Vec<Client> {
        let clients = stream::iter(0..count).map(|_| self.connect(path));
        within(clients.buffer_unordered(AT_ONCE).try_collect())
            .await
            .unwrap()
    }

    /// Greets a newcomer on a new connection and returns how long that took.
    async fn greet_a_newcomer(&self) -> Duration {
        let before = Instant::now();
        let mut client = within(self.connect("/")).await.unwrap();
        client.is_greeted().await;
        before.elapsed()
    }

    /// The memory of the server, in KiB.
    fn memory(&self) -> i64 {
        memory(self.process.id()).unwrap().cast_signed()
    }
}

struct Client(TcpStream);

impl Client {
    async fn is_greeted(&mut self) {
        let name = b"\x81\x83\0\0\0\0Ada";
        let greeting = b"\x81\x0aHello Ada!";
        self.0.write_all(name).await.unwrap();
        let mut answer = [0; 12];
        within(self.0.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, greeting);
    }

    /// Writes until the peer accepts no more.
    async fn fill(&mut self, message: &[u8]) {
        let patience = Duration::from_millis(500);
        while tokio::time::timeout(patience, self.0.write_all(message))
            .await
            .is_ok_and(|written| written.is_ok())
        {}
    }
}

/// A binary message as a client sends it, masked with zeros.
fn message(length: usize) -> Vec<u8> {
    let mut message = vec![0x82, 0x80 | 127];
    message.extend((length as u64).to_be_bytes());
    message.extend([0; 4]);
    message.resize(message.len() + length, 7);
    message
}

#[tokio::test]
async fn five_thousand_are_open_and_each_is_greeted() {
    const COUNT: usize = 5000;
    let server = Server::start(COUNT, &[]).await;
    server.greet_a_newcomer().await;
    let before = server.memory();
    let start = Instant::now();
    // The newcomer's place may become free a little later.
    let mut clients = server.connect_all(COUNT - 1, "/").await;
    clients.push(
        within(async {
            loop {
                if let Ok(client) = server.connect("/").await {
                    break client;
                }
            }
        })
        .await,
    );
    let opened = start.elapsed();
    let each = (server.memory() - before) / COUNT as i64;

    let start = Instant::now();
    clients[COUNT / 2].is_greeted().await;
    let greeted = start.elapsed();
    let refused = within(server.connect("/")).await.err().unwrap();
    assert!(refused.to_string().contains("503"), "{refused}");
    for client in &mut clients {
        client.is_greeted().await;
    }
    let each_greeted = (server.memory() - before) / COUNT as i64;
    println!(
        "{COUNT} connections: opened in {opened:.1?}, {each} KiB each, {each_greeted} KiB each when \
         all were greeted; one greeted among them in {greeted:.1?}"
    );
    assert!(each_greeted <= 32, "{each_greeted} KiB each");
    drop(clients);
    within(async { while server.connect("/").await.is_err() {} }).await;
}

#[tokio::test]
async fn clients_that_do_not_read_fill_no_memory_and_hinder_nobody() {
    const COUNT: usize = 50;
    let server = Server::start(1000, &[]).await;
    server.greet_a_newcomer().await;
    let before = server.memory();
    let mut slow = server.connect_all(COUNT, "/echo").await;
    let largest = message(LARGEST);
    let mut longest = Duration::ZERO;
    let fill = async {
        let fills = slow.iter_mut().map(|client| client.fill(&largest));
        within(stream::iter(fills).buffer_unordered(COUNT).collect::<()>()).await;
    };
    let others = async {
        loop {
            longest = longest.max(server.greet_a_newcomer().await);
        }
    };
    tokio::select! {
        () = fill => {}
        () = others => {}
    }
    longest = longest.max(server.greet_a_newcomer().await);
    let each = (server.memory() - before) / COUNT as i64;
    println!(
        "{COUNT} clients that do not read: {each} KiB each; others greeted within {longest:.1?}"
    );
    // One message, its echo, and what is read ahead: a few times the largest message.
    assert!(each <= 1024, "{each} KiB each");
}

#[tokio::test]
async fn a_flood_fills_no_memory_and_others_are_served() {
    const CLIENTS: usize = 8;
    const MESSAGES: usize = 10_000;
    let server = Server::start(1000, &[]).await;
    server.greet_a_newcomer().await;
    let before = server.memory();
    let start = Instant::now();
    let mut clients = server.connect_all(CLIENTS, "/echo").await;
    let many = b"\x82\x84\0\0\0\0data".repeat(MESSAGES);
    let echo = 2 + "data".len();
    let floods = clients.iter_mut().map(|Client(stream)| {
        let many = &many;
        async move {
            let (mut read, mut write) = stream.split();
            let mut echoes = vec![0; MESSAGES * echo];
            let (written, read) = tokio::join!(write.write_all(many), read.read_exact(&mut echoes));
            written.unwrap();
            read.unwrap();
        }
    });
    let flood = within(
        stream::iter(floods)
            .buffer_unordered(CLIENTS)
            .collect::<()>(),
    );
    let (mut longest, mut served) = (Duration::ZERO, 0);
    let others = async {
        loop {
            longest = longest.max(server.greet_a_newcomer().await);
            served += 1;
        }
    };
    tokio::select! {
        () = flood => {}
        () = others => {}
    }
    let rate = (CLIENTS * MESSAGES) as f64 / start.elapsed().as_secs_f64();
    let grown = server.memory() - before;
    println!(
        "a flood of {rate:.0} messages a second: {grown} KiB more; {served} others greeted meanwhile, \
         in {longest:.1?} at most"
    );
    assert!(served > 0, "nobody was served during the flood");
    assert!(grown <= 32 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn stalled_handshakes_end_and_others_are_served() {
    const PLACES: usize = 500;
    let server = Server::start(PLACES, &["--handshake-timeout", "3"]).await;
    let stalled = async |count: usize| {
        let mut stalled = Vec::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(b"GET / HT").await.unwrap();
            stalled.push(stream);
        }
        stalled
    };
    let mut first = stalled(PLACES).await;
    let beside = server.greet_a_newcomer().await;
    // Together they exceed the server's limit: newcomers wait until they are dropped.
    let start = Instant::now();
    let mut second = stalled(PLACES).await;
    server.greet_a_newcomer().await;
    let behind = start.elapsed();
    println!(
        "beside {PLACES} stalled handshakes others are greeted in {beside:.1?}; behind {PLACES} more, \
         when the first are dropped, in {behind:.1?}"
    );
    for stream in first.iter_mut().chain(&mut second) {
        // It ends, one way or another.
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains("101"));
    }
}

#[tokio::test]
async fn a_crowd_that_never_sends_is_closed_and_the_others_stay() {
    const COUNT: usize = 1000;
    let arguments = ["--idle-timeout", "4", "--ping-interval", "1"];
    let server = Server::start(COUNT + 1, &arguments).await;
    let url = format!("ws://{}/", server.address);
    let (mut lively, _) = within(tokio_tungstenite::connect_async(url)).await.unwrap();
    let mut start = Instant::now();
    let closed = async {
        let mut crowd = server.connect_all(COUNT, "/").await;
        start = Instant::now();
        for Client(stream) in &mut crowd {
            let mut frames = Vec::new();
            within(stream.read_to_end(&mut frames)).await.unwrap();
            let pings = frames.iter().take_while(|byte| **byte != 0x88).count();
            let close = &frames[pings..];
            assert_eq!(close[2..4], 1001_u16.to_be_bytes(), "{frames:02x?}");
        }
    };
    // It only answers pings, which it does when it is read.
    let lives = async { while let Some(Ok(Message::Ping(_))) = lively.next().await {} };
    tokio::select! {
        () = closed => {}
        () = lives => panic!("the server dropped the live client"),
    }
    println!(
        "{COUNT} silent clients were closed within {:.1?}",
        start.elapsed()
    );
    lively.send(Message::from("Ada")).await.unwrap();
    let answer = loop {
        match within(lively.next()).await.unwrap().unwrap() {
            Message::Ping(_) => {}
            other => break other,
        }
    };
    assert_eq!(answer, Message::from("Hello Ada!"));
    server.greet_a_newcomer().await;
}
