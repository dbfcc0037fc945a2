//! One of the two servers: this program again, as a process of its own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::RangeInclusive;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use load::Result;
use steady_socket_server::tungstenite::accept_from;
use steady_socket_server::{Options, Peer, PlainText, Server, Sessions, Window, endpoint};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

endpoint! {
    /// Every message comes back to its sender.
    pub(super) Echo at "/" {
        client: String,
        server: String,
        "echo.text" => PlainText,
    }
}

/// How long a stop waits for the clients.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How long a process may take for what it is told. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many messages of each client a server has given to its handler: the numbers from 0.
pub(super) type Given = HashMap<usize, u64>;

/// The options of either server.
pub(super) fn options() -> Options {
    Options {
        sessions: Sessions::Required,
        ..Options::default()
    }
}

/// What a client sends: who it is, and its next number.
pub(super) fn message(client: usize, number: u64) -> String {
    format!("{client} {number}")
}

/// The reverse of [`message`].
pub(super) fn numbers(text: &str) -> Option<(usize, u64)> {
    let (client, number) = text.split_once(' ')?;
    Some((client.parse().ok()?, number.parse().ok()?))
}

/// Serves until the standard input says `stop MIN MAX`, in milliseconds, or ends. Prints the port; after a stop, a line
/// for each client with what its handler was given, and an empty one.
pub(super) fn serve(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let given = Arc::<Mutex<Given>>::default();
        let counted = Arc::clone(&given);
        let server = Server::<Echo>::builder()
            .options(options())
            .build(move |peer| echo(peer, Arc::clone(&counted)))?;
        let listener = TcpListener::bind(("0.0.0.0", port)).await?;
        println!("{}", listener.local_addr()?.port());

        let (told, stop) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // Without a stop, whoever started this has gone.
            let _ = std::io::stdin().read_line(&mut line);
            let _ = told.send(line);
        });
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, address)) = listener.accept().await else {
                    // Out of descriptors.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let server = accepting.clone();
                // A handshake that fails is the client's to report.
                tokio::spawn(async move { accept_from(&server, stream, Some(address.ip())).await });
            }
        });
        let Some(window) = window(&stop.await?) else {
            return Ok(());
        };
        server.shutdown(window, STOP_TIME).await;
        let given = given.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = String::new();
        for (client, count) in given.iter() {
            lines += &format!("{client} {count}\n");
        }
        lines.push('\n');
        std::io::stdout().write_all(lines.as_bytes())?;
        Ok(())
    })
}

fn window(line: &str) -> Option<Window> {
    let mut times = line
        .trim()
        .strip_prefix("stop ")?
        .split(' ')
        .map(str::parse);
    let mut next = || times.next()?.ok().map(Duration::from_millis);
    Some(Window::between(next()?, next()?))
}

async fn echo(mut peer: Peer<Echo>, given: Arc<Mutex<Given>>) {
    while let Some(Ok(text)) = peer.next().await {
        if let Some((client, number)) = numbers(&text) {
            let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
            given.insert(client, number + 1);
        }
        if peer.send(&text).await.is_err() {
            return;
        }
    }
}

/// A server's process; dropping this ends it.
pub(super) struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
    port: u16,
}

impl Process {
    /// Starts a server on this port, or on a free one if it is 0.
    pub(super) async fn start(port: u16) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child
            .stdin
            .take()
            .ok_or("the server's input is not piped")?;
        let output = child
            .stdout
            .take()
            .ok_or("the server's output is not piped")?;
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
                let _ = sender.send(line);
            }
        });
        let mut process = Self {
            child,
            input,
            lines,
            port,
        };
        process.port = process.line().await?.parse()?;
        Ok(process)
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    async fn line(&mut self) -> Result<String> {
        let line = timeout(PATIENCE, self.lines.recv()).await;
        let line = line.map_err(|_| format!("a server said nothing for {PATIENCE:?}"))?;
        Ok(line.ok_or("a server has ended too early")?)
    }

    /// Tells the process to stop, and its clients to come back within this window.
    pub(super) fn stop(&mut self, window: &RangeInclusive<Duration>) -> Result<()> {
        let (least, most) = (window.start().as_millis(), window.end().as_millis());
        self.input
            .write_all(format!("stop {least} {most}\n").as_bytes())?;
        Ok(self.input.flush()?)
    }

    /// Waits until the process has ended. Returns what its handlers were given.
    pub(super) async fn ended(&mut self) -> Result<Given> {
        let mut given = Given::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (client, count) = numbers(&line).ok_or("a server counts in other words")?;
            given.insert(client, count);
        }
        // It has nothing left to do.
        self.child.wait()?;
        Ok(given)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose, and its clients are gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_windows_are_read_as_they_are_written() {
        assert_eq!(numbers(&message(7, 42)), Some((7, 42)));
        assert_eq!(numbers("7"), None);
        let expected = Window::between(Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(window("stop 1000 3000\n"), Some(expected));
        for wrong in ["", "stop\n", "stop 1000\n", "stop a b\n"] {
            assert_eq!(window(wrong), None, "{wrong:?}");
        }
    }
}
