//! A server in this process, and clients for it.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use test_server::{Config, Server, Stopped, Transcript};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far longer than anything here takes: a test that hangs fails instead.
const CEILING: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(CEILING, future)
        .await
        .expect("this takes no time")
}

/// A configuration for tests: a free port, and a short shutdown timeout.
pub(crate) fn config() -> Config {
    Config {
        port: 0,
        www: "does/not/exist".into(),
        shutdown_timeout: Duration::from_millis(500),
        ..Config::default()
    }
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
    transcript: Arc<Mutex<Vec<u8>>>,
}

#[derive(Clone)]
struct Recorder(Arc<Mutex<Vec<u8>>>);

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) async fn start(config: Config) -> Running {
    let transcript = Arc::default();
    let recorder = Recorder(Arc::clone(&transcript));
    let server = Server::bind(Config {
        transcript: Transcript::to(recorder),
        ..config
    })
    .await
    .unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running {
        address,
        stop,
        task,
        transcript,
    }
}

impl Running {
    pub(crate) async fn connect(&self, path: &str) -> Client {
        self.connect_with(path, &[]).await.unwrap().0
    }

    pub(crate) async fn connect_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Client, Response<Option<Vec<u8>>>), Error> {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_str(value).unwrap());
        }
        let (socket, response) = within(connect_async(request)).await?;
        Ok((Client(socket), response))
    }

    /// The status and the body of the response to a refused handshake.
    pub(crate) async fn refusal(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        match self.connect_with(path, headers).await.map(drop) {
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Sends raw text over TCP and reads until the server ends the connection.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut stream = within(TcpStream::connect(self.address)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends raw text over TCP and reads the head of the response.
    pub(crate) async fn raw_head(&self, request: &str) -> String {
        let mut stream = within(TcpStream::connect(self.address)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// An HTTP request without a body, on a connection of its own.
    pub(crate) async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        self.raw(&(request + "\r\n")).await
    }

    pub(crate) fn transcript(&self) -> String {
        String::from_utf8(self.transcript.lock().unwrap().clone()).unwrap()
    }

    /// Asks the server to stop and returns a handle to wait for it.
    pub(crate) fn stop(self) -> JoinHandle<Stopped> {
        self.stop.send(()).unwrap();
        self.task
    }

    /// Drops the future that runs the server.
    pub(crate) fn abort(self) {
        self.task.abort();
    }
}

pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        within(self.0.send(message.into())).await.unwrap();
    }

    /// The next frame, unchanged.
    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        within(self.0.next()).await
    }

    /// The next message, skipping pings and pongs.
    pub(crate) async fn receive(&mut self) -> Message {
        loop {
            match self.next().await.expect("the connection is open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn ask(&mut self, message: impl Into<Message>) -> Message {
        self.send(message).await;
        self.receive().await
    }

    /// Waits for the server's Close and checks that the connection then ends cleanly.
    pub(crate) async fn closed(mut self) -> (u16, String) {
        let Message::Close(Some(frame)) = self.receive().await else {
            panic!("no close frame")
        };
        let end = self.next().await;
        assert!(
            matches!(end, None | Some(Err(Error::ConnectionClosed))),
            "unclean: {end:?}"
        );
        (frame.code.into(), frame.reason.to_string())
    }

    /// Waits for the end of the connection and checks that no Close frame precedes it.
    pub(crate) async fn cut(mut self) {
        loop {
            match self.next().await {
                None | Some(Err(_)) => return,
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => panic!("{message:?}"),
            }
        }
    }

    pub(crate) async fn leave(mut self) {
        within(self.0.close(None)).await.unwrap();
        while let Some(Ok(_)) = self.next().await {}
    }

    /// The TCP connection itself, to write what a well-behaved client cannot.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self.0.get_mut() {
            MaybeTlsStream::Plain(stream) => stream,
            _ => unreachable!("there is no TLS here"),
        }
    }
}

/// A folder for the page's files, inside this test's own folder; deleted on drop.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let own = format!("{test}-{}", std::process::id());
        let folder = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(own));
        std::fs::create_dir_all(folder.path()).unwrap();
        folder
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("www")
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, ready to start.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-server"));
    // `cargo test` sets these for other tests.
    command.env_remove("TEST_SERVER_ALLOW_ORIGIN");
    command.env_remove("TEST_SERVER_DEMO_CONTROL");
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(Stdio::null());
    command
}

/// Kills the process even if the test fails.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
