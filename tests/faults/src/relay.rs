//! One WebSocket connection between a client and the inner server, with its faults.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::frames::{self, BINARY, CLOSE, Frame, Frames, Part, Splitter, TEXT};
use crate::head::{self, Head};
use crate::log::Log;
use crate::rules::{Action, Planned, When};

/// How long a client may take to answer a Close.
const CLOSE_TIME: Duration = Duration::from_secs(10);

/// How many of the server's frames may wait to be sent later.
const WAITING: usize = 256;

/// How much of a huge message to write at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client ended it.
    Client,
    /// The inner server ended it.
    Server,
    /// A fault ended it, with a FIN.
    Cut,
    /// A fault ended it, with a RST.
    Reset,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Cut => "cut",
            Self::Reset => "reset",
        }
    }
}

/// A connection in the log.
pub(crate) struct Story {
    log: Arc<Log>,
    connection: u64,
    path: String,
    id: Option<String>,
}

impl Story {
    pub(crate) fn new(log: Arc<Log>, connection: u64, head: &Head) -> Self {
        Self {
            log,
            connection,
            path: head.path.clone(),
            id: head.id.clone(),
        }
    }

    fn tell(&self, event: &'static str, details: Value) {
        let mut all = Map::new();
        all.insert("connection".to_owned(), self.connection.into());
        all.insert("path".to_owned(), self.path.as_str().into());
        if let Some(id) = &self.id {
            all.insert("id".to_owned(), id.as_str().into());
        }
        if let Value::Object(details) = details {
            all.extend(details);
        }
        self.log.add(event, Value::Object(all));
    }

    fn fault(&self, rule: Option<u64>, action: &Action) {
        let mut details = json!({ "action": action.word() });
        if let Some(rule) = rule {
            details["rule"] = rule.into();
        }
        self.tell("fault", details);
    }
}

/// Lasting effects of actions.
#[derive(Debug, Clone, Copy, Default)]
struct Conditions {
    reading_stopped: bool,
    writing_stopped: bool,
    close_ignored: bool,
    /// How many more messages to send as the other kind.
    wrong_kind: u64,
    /// How many more messages to send twice.
    duplicate: u64,
    delay: Duration,
    /// Whether the client has sent a Close.
    client_closed: bool,
}

/// What is written besides the server's own frames.
#[derive(Debug)]
enum Emission {
    Bytes(Vec<u8>),
    /// A Close; the connection ends once it is answered.
    Close(Vec<u8>),
    Huge {
        first: u8,
        claimed: u64,
        sent: u64,
    },
}

/// Serves one client.
pub(crate) async fn serve(
    mut client: TcpStream,
    head: Head,
    server: std::net::SocketAddr,
    planned: Vec<Planned>,
    mut orders: mpsc::UnboundedReceiver<Action>,
    story: Story,
) {
    story.tell("handshake", json!({}));
    let end = converse(&mut client, head, server, planned, &mut orders, &story).await;
    // A failure here means that the client has already gone.
    let end = end.unwrap_or(End::Client);
    story.tell("end", json!({ "by": end.word() }));
    finish(client, end == End::Reset).await;
}

/// Ends a TCP connection: with a RST, or with a FIN, after which incoming data is read for a while, because a socket
/// closed with unread bytes would send a RST, too.
pub(crate) async fn finish(mut stream: TcpStream, reset: bool) {
    if reset {
        let _ = stream.set_zero_linger();
        return;
    }
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(1 << 20), &mut tokio::io::sink()).await
    };
    let _ = timeout(Duration::from_secs(1), drain).await;
}

async fn converse(
    client: &mut TcpStream,
    head: Head,
    server: std::net::SocketAddr,
    planned: Vec<Planned>,
    orders: &mut mpsc::UnboundedReceiver<Action>,
    story: &Story,
) -> io::Result<End> {
    let (before, script): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .partition(|planned| planned.when == When::Handshake);
    let mut orders_for_later = Vec::new();
    for Planned { rule, action, .. } in before {
        story.fault(Some(rule), &action);
        let instead = instead_of_answer(client, &action);
        tokio::pin!(instead);
        let end = loop {
            tokio::select! {
                end = &mut instead => break end?,
                Some(order) = orders.recv() => match order {
                    Action::Cut {} => break Some(End::Cut),
                    Action::Reset {} => break Some(End::Reset),
                    other => orders_for_later.push(other),
                },
            }
        };
        if let Some(end) = end {
            return Ok(end);
        }
    }

    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    server.write_all(&head.bytes).await?;
    let (mut answer, length) = head::until_blank_line(&mut server).await?;
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        let status = String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned();
        story.tell("refused", json!({ "status": status }));
        client.write_all(&answer).await?;
        // The server keeps the connection for another request; here it ends.
        server.shutdown().await?;
        tokio::io::copy(&mut server, client).await?;
        return Ok(End::Server);
    }
    let behind = answer.split_off(length);
    client.write_all(&answer).await?;
    story.tell("open", json!({}));
    let (conditions, _) = watch::channel(Conditions::default());
    let (emissions, to_emit) = mpsc::unbounded_channel();
    let connection = Connection {
        story,
        conditions,
        emissions,
    };
    for order in orders_for_later {
        if let Some(end) = connection.perform(None, &order) {
            return Ok(end);
        }
    }
    connection
        .run(client, &mut server, behind, script, to_emit, orders)
        .await
}

/// Applies to a handshake the actions that replace its response; `None` if the response still comes.
async fn instead_of_answer(client: &mut TcpStream, action: &Action) -> io::Result<Option<End>> {
    match action {
        Action::Refuse {
            status,
            body,
            retry_after,
        } => {
            let later = retry_after
                .map(|seconds| format!("Retry-After: {seconds}\r\n"))
                .unwrap_or_default();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} As asked\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n{later}\r\n{body}"
            );
            client.write_all(answer.as_bytes()).await?;
            Ok(Some(End::Cut))
        }
        Action::DelayHandshake { ms } => {
            let over = Instant::now() + Duration::from_millis(*ms);
            tokio::select! {
                () = sleep_until(over) => Ok(None),
                () = gone(client) => Ok(Some(End::Client)),
            }
        }
        Action::NeverAnswer {} => {
            gone(client).await;
            Ok(Some(End::Client))
        }
        Action::Reset {} => Ok(Some(End::Reset)),
        Action::Garbage { bytes } => {
            client.write_all(&vec![0xff; *bytes]).await?;
            Ok(Some(End::Cut))
        }
        _ => Ok(Some(End::Cut)),
    }
}

/// Waits until the client has gone. What it sends before the response is lost.
async fn gone(client: &mut TcpStream) {
    let mut early = [0; 1024];
    while client.read(&mut early).await.is_ok_and(|length| length > 0) {}
}

/// An open connection.
struct Connection<'a> {
    story: &'a Story,
    conditions: watch::Sender<Conditions>,
    emissions: mpsc::UnboundedSender<Emission>,
}

impl Connection<'_> {
    /// Carries out an action, or passes it to the future that it concerns.
    fn perform(&self, rule: Option<u64>, action: &Action) -> Option<End> {
        self.story.fault(rule, action);
        let all = |count: &Option<u64>| count.unwrap_or(u64::MAX);
        let lasting = |change: &dyn Fn(&mut Conditions)| {
            self.conditions.send_modify(change);
            None
        };
        match action {
            Action::Cut {} => Some(End::Cut),
            Action::Reset {} => Some(End::Reset),
            Action::StopReading {} => lasting(&|c| c.reading_stopped = true),
            Action::StopWriting {} => lasting(&|c| c.writing_stopped = true),
            Action::IgnoreClose {} => lasting(&|c| c.close_ignored = true),
            Action::WrongKind { count } => lasting(&|c| c.wrong_kind = all(count)),
            Action::Duplicate { count } => lasting(&|c| c.duplicate = all(count)),
            Action::DelayMessages { ms } => lasting(&|c| c.delay = Duration::from_millis(*ms)),
            Action::Huge {
                bytes,
                sent,
                binary,
            } => self.emit(Emission::Huge {
                first: Action::huge_first(*binary),
                claimed: *bytes,
                sent: sent.unwrap_or(*bytes),
            }),
            Action::Close { .. } => action
                .bytes()
                .and_then(|bytes| self.emit(Emission::Close(bytes))),
            other => other
                .bytes()
                .and_then(|bytes| self.emit(Emission::Bytes(bytes))),
        }
    }

    fn emit(&self, emission: Emission) -> Option<End> {
        // Its receiver lives as long as the connection.
        let _ = self.emissions.send(emission);
        None
    }

    async fn run(
        &self,
        client: &mut TcpStream,
        server: &mut TcpStream,
        behind: Vec<u8>,
        script: Vec<Planned>,
        to_emit: mpsc::UnboundedReceiver<Emission>,
        orders: &mut mpsc::UnboundedReceiver<Action>,
    ) -> io::Result<End> {
        let opened = Instant::now();
        let (timed, counted): (Vec<_>, Vec<_>) = script
            .into_iter()
            .partition(|planned| planned.after().is_some());
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (frames, waiting) = mpsc::channel(WAITING);
        tokio::select! {
            end = self.pass_up(from_client, to_server) => end,
            end = self.fetch(Frames::new(from_server, behind), frames) => end,
            end = self.pass_down(to_client, waiting, counted, to_emit) => end,
            end = self.timed(opened, timed) => Ok(end),
            end = self.ordered(orders) => Ok(end),
        }
    }

    /// Forwards what the client sends.
    async fn pass_up(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<End> {
        let mut conditions = self.conditions.subscribe();
        let mut splitter = Splitter::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = tokio::select! {
                biased;
                // From here on, nothing is read any more.
                () = wait_for(&mut conditions, |c| c.reading_stopped) => {
                    std::future::pending().await
                }
                length = from.read(&mut buffer) => length?,
            };
            if length == 0 {
                return Ok(End::Client);
            }
            for part in splitter.feed(&buffer[..length]) {
                match part {
                    Part::Bytes(bytes) => self.pass(&mut to, &bytes).await?,
                    Part::MessageEnd { opcode, bytes } => self.message("messageIn", opcode, bytes),
                    Part::Control {
                        opcode: CLOSE,
                        frame,
                        payload,
                    } => {
                        self.close("closeIn", &payload);
                        self.conditions.send_modify(|c| c.client_closed = true);
                        if !self.conditions.borrow().close_ignored {
                            self.pass(&mut to, &frame).await?;
                        }
                    }
                    Part::Control { frame, .. } => self.pass(&mut to, &frame).await?,
                }
            }
        }
    }

    /// Writes to the inner server. If that has ended, the client's remaining data is discarded, and how the
    /// connection ends is not decided here.
    async fn pass(&self, to: &mut WriteHalf<'_>, bytes: &[u8]) -> io::Result<()> {
        let _ = to.write_all(bytes).await;
        Ok(())
    }

    /// Reads the server's frames as they arrive, so that a delay does not spread them out.
    async fn fetch(
        &self,
        mut frames: Frames<ReadHalf<'_>>,
        waiting: mpsc::Sender<(Instant, Frame)>,
    ) -> io::Result<End> {
        while let Ok(Some(frame)) = frames.next().await {
            if waiting.send((Instant::now(), frame)).await.is_err() {
                break;
            }
        }
        drop(waiting);
        // The writer ends the connection after writing what is waiting.
        std::future::pending().await
    }

    /// Forwards what the inner server sends, and adds what it does not.
    async fn pass_down(
        &self,
        mut to: WriteHalf<'_>,
        mut waiting: mpsc::Receiver<(Instant, Frame)>,
        script: Vec<Planned>,
        mut to_emit: mpsc::UnboundedReceiver<Emission>,
    ) -> io::Result<End> {
        let due = |messages: u64| {
            script.iter().filter(move |planned| match planned.when {
                When::Open => messages == 0,
                When::Messages(count) => messages == count,
                When::Handshake | When::Ms(_) => false,
            })
        };
        for planned in due(0) {
            if let Some(end) = self.perform(Some(planned.rule), &planned.action) {
                return Ok(end);
            }
        }
        let mut messages = 0;
        let mut next: Option<(Instant, Frame)> = None;
        loop {
            let ready = next
                .as_ref()
                .map_or_else(Instant::now, |(arrived, _)| *arrived + self.now().delay);
            tokio::select! {
                biased;
                Some(emission) = to_emit.recv() => {
                    if let Some(end) = self.write_emission(&mut to, emission).await? {
                        return Ok(end);
                    }
                }
                frame = waiting.recv(), if next.is_none() => match frame {
                    Some(frame) => next = Some(frame),
                    None if self.now().writing_stopped => std::future::pending().await,
                    None => return Ok(End::Server),
                },
                () = sleep_until(ready), if next.is_some() => {
                    let Some((_, frame)) = next.take() else { continue };
                    if self.now().writing_stopped {
                        continue;
                    }
                    let is_message = frame.is_message();
                    self.write_frame(&mut to, frame).await?;
                    if is_message {
                        messages += 1;
                        for planned in due(messages) {
                            if let Some(end) = self.perform(Some(planned.rule), &planned.action) {
                                return Ok(end);
                            }
                        }
                    }
                }
            }
        }
    }

    async fn write_frame(&self, to: &mut WriteHalf<'_>, mut frame: Frame) -> io::Result<()> {
        let mut times = 1;
        if frame.is_message() {
            self.conditions.send_if_modified(|conditions| {
                if take_one(&mut conditions.wrong_kind) {
                    frame.first ^= TEXT ^ BINARY;
                }
                if take_one(&mut conditions.duplicate) {
                    times = 2;
                }
                false
            });
        }
        let bytes = frame.bytes();
        for _ in 0..times {
            to.write_all(&bytes).await?;
            if frame.is_message() {
                let length = frame.payload.len() as u64;
                self.message("messageOut", frame.opcode(), length);
            } else if frame.opcode() == CLOSE {
                self.close("closeOut", &frame.payload);
            }
        }
        Ok(())
    }

    async fn write_emission(
        &self,
        to: &mut WriteHalf<'_>,
        emission: Emission,
    ) -> io::Result<Option<End>> {
        if self.now().writing_stopped {
            return Ok(None);
        }
        match emission {
            Emission::Bytes(bytes) => to.write_all(&bytes).await?,
            Emission::Huge {
                first,
                claimed,
                sent,
            } => {
                to.write_all(&frames::head(first, claimed)).await?;
                let piece = vec![b'x'; PIECE];
                let mut missing = sent;
                while missing > 0 {
                    let now = usize::try_from(missing).map_or(PIECE, |missing| missing.min(PIECE));
                    to.write_all(&piece[..now]).await?;
                    missing -= now as u64;
                }
                self.message("messageOut", first & 0x0f, sent);
            }
            Emission::Close(bytes) => {
                to.write_all(&bytes).await?;
                self.close("closeOut", &bytes[2..]);
                let mut conditions = self.conditions.subscribe();
                let answered = wait_for(&mut conditions, |c| c.client_closed && !c.close_ignored);
                let _ = timeout(CLOSE_TIME, answered).await;
                return Ok(Some(End::Cut));
            }
        }
        Ok(None)
    }

    /// Carries out actions that are due.
    async fn timed(&self, opened: Instant, mut script: Vec<Planned>) -> End {
        script.sort_by_key(Planned::after);
        for planned in script {
            sleep_until(opened + planned.after().unwrap_or_default()).await;
            if let Some(end) = self.perform(Some(planned.rule), &planned.action) {
                return end;
            }
        }
        std::future::pending().await
    }

    /// Carries out actions ordered from outside.
    async fn ordered(&self, orders: &mut mpsc::UnboundedReceiver<Action>) -> End {
        while let Some(action) = orders.recv().await {
            if let Some(end) = self.perform(None, &action) {
                return end;
            }
        }
        std::future::pending().await
    }

    fn now(&self) -> Conditions {
        *self.conditions.borrow()
    }

    fn message(&self, event: &'static str, opcode: u8, bytes: u64) {
        let kind = match opcode {
            TEXT => "text",
            BINARY => "binary",
            _ => "unknown",
        };
        self.story
            .tell(event, json!({ "kind": kind, "bytes": bytes }));
    }

    fn close(&self, event: &'static str, payload: &[u8]) {
        let details = match payload {
            [a, b, reason @ ..] => json!({
                "code": u16::from_be_bytes([*a, *b]),
                "reason": String::from_utf8_lossy(reason),
            }),
            _ => json!({}),
        };
        self.story.tell(event, details);
    }
}

async fn wait_for(
    conditions: &mut watch::Receiver<Conditions>,
    wanted: impl FnMut(&Conditions) -> bool,
) {
    // The sender lives as long as the connection.
    let _ = conditions.wait_for(wanted).await;
}

/// Uses up one of `count`; the largest number means "all".
fn take_one(count: &mut u64) -> bool {
    let is_left = *count > 0;
    if is_left && *count < u64::MAX {
        *count -= 1;
    }
    is_left
}
