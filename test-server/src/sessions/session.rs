//! One session: the server's half of the protocol, in a task of its own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use steady_socket_protocol::session::frame::{Answer, Data, Frame, Key, Refusal, write};
use steady_socket_protocol::session::store::{Identity, Store as _};
use steady_socket_protocol::session::{
    Arrival, Connection, Output, Rejection, SendMode, Server, ServerEffect, ServerOptions, Token,
    close,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::application::Progress;
use super::{Application, Body, Endpoint, Sessions, lock};
use crate::Config;

/// How many bytes may wait for a client's socket before the half is told to wait, and when it may go on.
const HIGH_BYTES: usize = 64 * 1024;
const LOW_BYTES: usize = 16 * 1024;

/// How many events of its connections may wait for a session. Beyond that, its connections are not read.
const EVENTS: usize = 64;

/// What a session hears from its connections.
pub(super) enum Event {
    /// A client was let in.
    Attach {
        connection: Connection,
        arrival: Arrival<Body>,
        identity: Identity,
        new_epoch: u64,
        line: Line,
    },
    /// A frame has arrived.
    Frame(Connection, Frame<Body>),
    /// Something has arrived that is no frame.
    Malformed(Connection),
    /// The client's socket takes more.
    Writable(Connection),
    /// The connection has ended with this code.
    Closed(Connection, u16),
}

/// What a session says to a connection.
pub(super) enum Order {
    /// Send this.
    Send(Data<'static>),
    /// Close with this code.
    Close(u16),
}

/// The way from a session to a connection. It has no bound of its own: the half stops at [`HIGH_BYTES`].
#[derive(Clone)]
pub(super) struct Line {
    orders: mpsc::UnboundedSender<Order>,
    waiting: Arc<AtomicUsize>,
}

impl Line {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::default();
        (Self { orders, waiting }, receiver)
    }

    /// Returns whether the half has to wait now.
    fn send(&self, data: Data<'static>) -> bool {
        let bytes = data.len();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // A connection that has ended reports that itself.
        let _ = self.orders.send(Order::Send(data));
        before < HIGH_BYTES && before + bytes >= HIGH_BYTES
    }

    fn close(&self, code: u16) {
        let _ = self.orders.send(Order::Close(code));
    }

    /// The socket has taken this much. Returns whether the half may go on.
    pub(super) fn sent(&self, bytes: usize) -> bool {
        let before = self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        before >= LOW_BYTES && before - bytes < LOW_BYTES
    }
}

/// Passes an event to the session of this key, which begins if there is none.
pub(super) async fn attach(
    sessions: &Arc<Sessions>,
    config: &Arc<Config>,
    endpoint: Endpoint,
    key: Key,
    event: Event,
) -> mpsc::Sender<Event> {
    let mut event = event;
    loop {
        let sender = {
            let mut open = lock(&sessions.open);
            open.retain(|_, sender| !sender.is_closed());
            open.entry(key)
                .or_insert_with(|| {
                    let (sender, events) = mpsc::channel(EVENTS);
                    let session =
                        Session::new(Arc::clone(sessions), Arc::clone(config), endpoint, key);
                    tokio::spawn(session.run(events));
                    sender
                })
                .clone()
        };
        match sender.send(event).await {
            Ok(()) => return sender,
            // It was over at that moment.
            Err(back) => event = back.0,
        }
    }
}

/// Waits for a moment, or forever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Session {
    sessions: Arc<Sessions>,
    config: Arc<Config>,
    endpoint: Endpoint,
    key: Key,
    server: Server<Body>,
    lines: HashMap<Connection, Line>,
    /// Call `gathered` at the end of this turn.
    gathers: bool,
    /// The message whose replies find the queue full, and those replies: nothing more is taken until they fit.
    owed: Option<(Token, VecDeque<Body>)>,
    progress: Progress,
}

impl Session {
    fn new(sessions: Arc<Sessions>, config: Arc<Config>, endpoint: Endpoint, key: Key) -> Self {
        let options = ServerOptions {
            both: super::options(&config).into(),
            beat_ms: Some(config.ping_interval.as_millis() as u64),
            ..ServerOptions::default()
        };
        Self {
            sessions,
            config,
            endpoint,
            key,
            server: Server::new(key, options),
            lines: HashMap::new(),
            gathers: false,
            owed: None,
            progress: Progress::default(),
        }
    }

    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut room = match self.endpoint.application {
            Application::Room => Some(self.sessions.enter_room(self.key)),
            _ => None,
        };
        while !self.server.is_over() || self.server.has_output() {
            let at = self.server.next_timer().map(|at| self.sessions.instant(at));
            let said = async {
                match &mut room {
                    Some(room) => room.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => {
                    // This map has a sender for as long as the session lives.
                    let Some(event) = event else { break };
                    self.handle(event);
                    // What waits belongs to the same turn, and travels together.
                    while let Ok(event) = events.try_recv() {
                        self.handle(event);
                    }
                }
                Some(body) = said => {
                    self.hear(body);
                    while let Some(Ok(body)) = room.as_mut().map(mpsc::UnboundedReceiver::try_recv) {
                        self.hear(body);
                    }
                }
                () = until(at) => self.server.timer(self.sessions.now()),
            }
            self.settle();
        }
        // Whoever finds it closed makes another.
        events.close();
        lock(&self.sessions.open).retain(|_, sender| !sender.is_closed());
        self.sessions.leave_room(self.key);
        while let Ok(event) = events.try_recv() {
            if let Event::Attach { line, .. } = event {
                line.close(close::NO_ROOM);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.sessions.now();
        match event {
            Event::Attach {
                connection,
                arrival,
                identity,
                new_epoch,
                line,
            } => {
                self.lines.insert(connection, line);
                self.server
                    .attach(now, connection, arrival, identity, true, new_epoch);
            }
            Event::Frame(connection, frame) => self.server.receive(now, connection, frame),
            Event::Malformed(connection) => self.server.receive_malformed(now, connection),
            Event::Writable(connection) => self.server.set_writable(now, connection, true),
            Event::Closed(connection, code) => {
                self.lines.remove(&connection);
                self.server.closed(now, connection, code);
            }
        }
        self.carry_out();
        self.deliver();
    }

    /// Somebody said something in the room.
    fn hear(&mut self, body: Body) {
        let now = self.sessions.now();
        let sent = self.server.send(now, body, SendMode::default());
        if sent.is_err_and(|rejected| rejected.why == Rejection::Full) {
            // It would miss something: better to say so than to go on with a gap.
            self.server.lose_full(now);
        }
        self.carry_out();
    }

    /// The turn is over.
    fn settle(&mut self) {
        loop {
            self.carry_out();
            self.deliver();
            if !core::mem::take(&mut self.gathers) {
                return;
            }
            self.server.gathered(self.sessions.now());
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.server.poll_effect() {
            match effect {
                ServerEffect::Transmit(connection, frame) => self.transmit(connection, frame),
                ServerEffect::Close(connection, code) => {
                    if let Some(line) = self.lines.remove(&connection) {
                        line.close(code);
                    }
                }
                ServerEffect::Ask(ticket, question) => {
                    let now = self.sessions.now();
                    let replies: Vec<_> = {
                        let mut store = lock(&self.sessions.store);
                        store.ask(now, ticket, *question);
                        std::iter::from_fn(|| store.poll()).collect()
                    };
                    for (ticket, reply) in replies {
                        self.server.answered(now, ticket, reply);
                    }
                }
                ServerEffect::Gather => self.gathers = true,
                _ => {}
            }
        }
    }

    fn transmit(&mut self, connection: Connection, frame: Frame<Body>) {
        let Some(line) = self.lines.get(&connection) else {
            return;
        };
        let style = self.endpoint.codec.style();
        // The one copy that the socket needs anyway.
        match write(frame.map(|body| body.data()), style) {
            Ok(data) => {
                if line.send(data) {
                    self.server
                        .set_writable(self.sessions.now(), connection, false);
                }
            }
            // The half writes no frame that cannot be written; if it did, the client must not go on with a gap.
            Err(_) => line.close(1011),
        }
    }

    /// Gives the application what it is ready for.
    fn deliver(&mut self) {
        loop {
            let now = self.sessions.now();
            if let Some((token, replies)) = self.owed.take()
                && !self.reply(token, replies)
            {
                return;
            }
            let Some(output) = self.server.poll_output(now) else {
                return;
            };
            let transcript = &self.config.transcript;
            match output {
                Output::Message { token, payload } => {
                    if self.endpoint.application == Application::Room {
                        self.sessions.say(&payload);
                    }
                    let replies = self
                        .endpoint
                        .replies(&mut self.progress, &payload, transcript);
                    self.owed = Some((token, replies));
                }
                Output::Request { token, payload } => {
                    let answer = self.endpoint.answer(&payload, transcript);
                    // One that is too large for the client is refused instead.
                    if self.server.answer(now, token, answer).is_err() {
                        let refused = Answer::Refused(Refusal::Failed);
                        // That fits always.
                        let _ = self.server.answer(now, token, refused);
                    }
                }
                Output::Volatile(payload) => {
                    if let Some(reply) = self.endpoint.reply(&payload, transcript) {
                        self.server.send_volatile(now, reply);
                    }
                }
                _ => {}
            }
            self.carry_out();
        }
    }

    /// Sends the replies to a message, which is handled then. Returns whether there was room.
    fn reply(&mut self, token: Token, mut replies: VecDeque<Body>) -> bool {
        let now = self.sessions.now();
        while let Some(reply) = replies.pop_front() {
            if let Err(rejected) = self.server.send(now, reply, SendMode::default())
                && rejected.why == Rejection::Full
            {
                replies.push_front(rejected.payload);
                self.owed = Some((token, replies));
                return false;
            }
            // Otherwise it was too large for the client, or the session is over: there is nobody to tell.
            self.carry_out();
        }
        self.server.handled(now, token);
        self.carry_out();
        true
    }
}
