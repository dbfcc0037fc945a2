//! The server's end of a session, in a world.

use core::any::Any;
use core::cell::{Cell, RefCell};
use core::fmt;
use std::collections::BTreeMap;
use std::rc::Rc;

use steady_socket_protocol::session::frame::{Answer, Data, Key, Refusal, Style, read, write};
use steady_socket_protocol::session::store::{Identity, Store};
use steady_socket_protocol::session::{
    Arrival, Ask, AskEnd, Connection, Delivery, End, Ended, MemoryOptions, MemoryStore, Output,
    SendMode, Server, ServerEffect, ServerOptions, Time, Token, close,
};
use steady_socket_protocol::{Codec, Message};

use super::connection::{FakeConnection, State};
use super::world::World;
use crate::platform::Platform;

/// The server's end of a session: the real half of the protocol, with an application that the test plays.
///
/// It answers hellos, keeps what it sends until it is acknowledged, and repeats it after a reconnect. Messages of the client
/// are recorded and handled at once, unless the test [holds](Self::hold) them. Handshakes are the [`World`]'s affair.
/// Clones are the same server.
#[derive(Clone)]
pub struct SessionServer(Rc<Play>);

struct Play {
    world: World,
    style: Style,
    options: ServerOptions,
    store: RefCell<MemoryStore<Message>>,
    half: RefCell<Option<(Key, Server<Message>)>>,
    lines: RefCell<BTreeMap<Connection, Line>>,
    epochs: Cell<u64>,
    refuses: Cell<bool>,
    holds: Cell<bool>,
    held: RefCell<Vec<Token>>,
    received: RefCell<Vec<Message>>,
    ends: RefCell<Vec<(Delivery, Option<End<Message>>)>>,
    answers: RefCell<Vec<(Ask, AskEnd<Message>)>>,
    requests: RefCell<Vec<(Token, Message)>>,
    credentials: RefCell<Vec<Option<String>>>,
    ended: Cell<Option<Ended>>,
    gathers: Cell<bool>,
    settling: Cell<bool>,
    timer: RefCell<Option<Box<dyn Any>>>,
}

/// A connection as the server knows it.
struct Line {
    connection: FakeConnection,
    arrival: Option<Arrival<Message>>,
}

impl fmt::Debug for SessionServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionServer").finish_non_exhaustive()
    }
}

impl SessionServer {
    /// Plays the server in `world` from now on, in place of [`World::on_message`], for clients with the codec `C`.
    #[must_use]
    pub fn start<C: Codec>(world: &World) -> Self {
        Self::with_options::<C>(world, ServerOptions::default())
    }

    /// Likewise, with other limits and another window than the defaults.
    #[must_use]
    pub fn with_options<C: Codec>(world: &World, options: ServerOptions) -> Self {
        // As if it had been running for an hour: it knows every client that was here.
        let began = Time::default();
        let server = Self(Rc::new(Play {
            world: world.clone(),
            style: Style::of::<C>(),
            options,
            store: RefCell::new(MemoryStore::new(began, MemoryOptions::default())),
            half: RefCell::default(),
            lines: RefCell::default(),
            epochs: Cell::new(0),
            refuses: Cell::default(),
            holds: Cell::default(),
            held: RefCell::default(),
            received: RefCell::default(),
            ends: RefCell::default(),
            answers: RefCell::default(),
            requests: RefCell::default(),
            credentials: RefCell::default(),
            ended: Cell::default(),
            gathers: Cell::default(),
            settling: Cell::default(),
            timer: RefCell::default(),
        }));
        let play = Rc::downgrade(&server.0);
        world.on_message(move |connection, message| {
            if let Some(play) = play.upgrade() {
                Self(play).arrived(connection, message);
            }
        });
        server
    }

    // ----- what the test sees

    /// Every message that the server's application was given, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Message> {
        self.0.received.borrow().clone()
    }

    /// How every message ended that [`send`](Self::send) has sent; `None` if the client's application has handled it.
    #[must_use]
    pub fn ends(&self) -> Vec<(Delivery, Option<End<Message>>)> {
        self.0.ends.borrow().clone()
    }

    /// How every request ended that [`ask`](Self::ask) has made.
    #[must_use]
    pub fn answers(&self) -> Vec<(Ask, AskEnd<Message>)> {
        self.0.answers.borrow().clone()
    }

    /// The client's requests that are not answered, for [`answer`](Self::answer).
    #[must_use]
    pub fn requests(&self) -> Vec<(Token, Message)> {
        self.0.requests.borrow().clone()
    }

    /// The credential of every hello, in order.
    #[must_use]
    pub fn credentials(&self) -> Vec<Option<String>> {
        self.0.credentials.borrow().clone()
    }

    /// How the session ended at this end, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.0.ended.get()
    }

    // ----- what the test does

    /// Sends a message.
    ///
    /// # Panics
    /// If there is no session, or it does not accept the message.
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) -> Delivery {
        let now = self.now();
        let sent = self.with(|half| half.send(now, message.into(), SendMode::default()));
        self.settle();
        match sent {
            Some(Ok(delivery)) => delivery,
            Some(Err(rejected)) => panic!("send: {}", rejected.why),
            None => panic!("send: there is no session; the client has not said hello"),
        }
    }

    /// Asks the client.
    ///
    /// # Panics
    /// If there is no session, or it does not accept the request.
    #[track_caller]
    pub fn ask(&self, request: impl Into<Message>) -> Ask {
        let now = self.now();
        let asked = self.with(|half| half.ask(now, request.into(), None));
        self.settle();
        match asked {
            Some(Ok(ask)) => ask,
            Some(Err(rejected)) => panic!("ask: {}", rejected.why),
            None => panic!("ask: there is no session; the client has not said hello"),
        }
    }

    /// Cancels such a request.
    pub fn cancel(&self, ask: Ask) {
        let now = self.now();
        self.with(|half| half.cancel(now, ask));
        self.settle();
    }

    /// Answers a request of the client's.
    ///
    /// # Panics
    /// If the answer is larger than the client takes.
    #[track_caller]
    pub fn answer(&self, token: Token, answer: Answer<Message>) {
        let now = self.now();
        self.0
            .requests
            .borrow_mut()
            .retain(|(asked, _)| *asked != token);
        if let Some(Err(rejected)) = self.with(|half| half.answer(now, token, answer)) {
            panic!("answer: {}", rejected.why);
        }
        self.settle();
    }

    /// Whether the application keeps messages from now on without having handled them.
    pub fn hold(&self, holds: bool) {
        self.0.holds.set(holds);
        if !holds {
            let now = self.now();
            for token in self.0.held.take() {
                self.with(|half| half.handled(now, token));
            }
            self.settle();
        }
    }

    /// Whether hellos are refused from now on: the client is not let in.
    pub fn refuse(&self, refuses: bool) {
        self.0.refuses.set(refuses);
    }

    /// The server is restarted without its memory. Its connections are cut.
    pub fn forget(&self) {
        let memory = MemoryStore::new(self.now(), MemoryOptions::default());
        *self.0.store.borrow_mut() = memory;
        *self.0.half.borrow_mut() = None;
        self.0.held.take();
        self.0.requests.take();
        for (_, line) in self.0.lines.take() {
            if line.connection.state() == State::Open {
                line.connection.cut();
            }
        }
    }

    /// The server's application ends the session.
    pub fn end(&self) {
        let now = self.now();
        self.with(|half| half.end_session(now));
        self.settle();
    }

    /// The session is lost because too much waits for the client.
    pub fn lose(&self) {
        let now = self.now();
        self.with(|half| half.lose_full(now));
        self.settle();
    }

    // ----- inside

    fn now(&self) -> Time {
        // The store counts from its own beginning, an hour before the world's.
        self.0.world.now().after(3_600_000)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Server<Message>) -> T) -> Option<T> {
        let mut half = self.0.half.borrow_mut();
        half.as_mut().map(|(_, half)| act(half))
    }

    fn arrived(&self, connection: &FakeConnection, message: Message) {
        let now = self.now();
        let id = Connection(connection.number() as u64);
        let is_known = self.0.lines.borrow().contains_key(&id);
        if !is_known && connection.state() == State::Closed {
            return;
        }
        let frame = read(Data::from(message)).map(|frame| frame.map(Message::from));
        let mut lines = self.0.lines.borrow_mut();
        let line = lines.entry(id).or_insert_with(|| Line {
            connection: connection.clone(),
            arrival: Some(Arrival::new(now, &self.0.options.both)),
        });
        let Some(arrival) = &mut line.arrival else {
            drop(lines);
            match frame {
                Ok(frame) => self.with(|half| half.receive(now, id, frame)),
                Err(_) => self.with(|half| half.receive_malformed(now, id)),
            };
            self.settle();
            return;
        };
        let verdict = match frame {
            Ok(frame) => arrival.receive(frame),
            Err(_) => Err(close::MALFORMED),
        };
        match verdict {
            Ok(false) => {}
            Ok(true) => {
                let arrival = line.arrival.take();
                drop(lines);
                if let Some(arrival) = arrival {
                    self.let_in(id, arrival);
                }
            }
            Err(code) => {
                let connection = line.connection.clone();
                lines.remove(&id);
                drop(lines);
                connection.close(code, "");
            }
        }
    }

    fn let_in(&self, id: Connection, arrival: Arrival<Message>) {
        let Some(hello) = arrival.hello() else { return };
        let credential = hello.credential.as_ref();
        self.0
            .credentials
            .borrow_mut()
            .push(credential.map(|credential| credential.as_str().to_owned()));
        if self.0.refuses.get() {
            let line = self.0.lines.borrow_mut().remove(&id);
            if let Some(line) = line {
                line.connection.close(close::REFUSED, "");
            }
            return;
        }
        let key = hello.secret.key();
        let epoch = self.0.epochs.get() + 1;
        self.0.epochs.set(epoch);
        {
            let mut half = self.0.half.borrow_mut();
            if half.as_ref().is_none_or(|(known, _)| *known != key) {
                *half = Some((key, Server::new(key, self.0.options.clone())));
                self.0.ended.set(None);
                // Of the session before: its tokens mean nothing in this one.
                self.0.held.take();
                self.0.requests.take();
            }
        }
        let now = self.now();
        let identity = Identity(String::new());
        self.with(|half| half.attach(now, id, arrival, identity, true, epoch));
        self.settle();
    }

    /// Tells the half of connections that have ended.
    fn look_at_lines(&self) {
        let now = self.now();
        let ended: Vec<_> = self
            .0
            .lines
            .borrow()
            .iter()
            .filter(|(_, line)| line.connection.state() == State::Closed)
            .map(|(id, line)| {
                let closed = line.connection.closed_with();
                (*id, closed.and_then(|(code, _)| code).unwrap_or(1006))
            })
            .collect();
        for (id, code) in ended {
            self.0.lines.borrow_mut().remove(&id);
            self.with(|half| half.closed(now, id, code));
        }
    }

    fn settle(&self) {
        if self.0.settling.replace(true) {
            return;
        }
        self.look_at_lines();
        loop {
            self.carry_out();
            let now = self.now();
            let output = self.with(|half| half.poll_output(now)).flatten();
            if let Some(output) = output {
                self.give(now, output);
            } else if self.0.gathers.take() {
                self.with(|half| half.gathered(now));
            } else {
                break;
            }
        }
        self.0.settling.set(false);
        self.arm();
    }

    fn carry_out(&self) {
        loop {
            let effect = self.with(Server::poll_effect).flatten();
            match effect {
                None => return,
                Some(ServerEffect::Transmit(id, frame)) => {
                    let connection = self.connection(id);
                    if let (Some(connection), Ok(data)) =
                        (connection, write(frame.map(Data::from), self.0.style))
                    {
                        connection.send(Message::from(data));
                    }
                }
                Some(ServerEffect::Close(id, code)) => {
                    let connection = self.connection(id);
                    self.0.lines.borrow_mut().remove(&id);
                    if let Some(connection) = connection {
                        connection.close(code, "");
                    }
                }
                Some(ServerEffect::Ask(ticket, question)) => {
                    let now = self.now();
                    let mut store = self.0.store.borrow_mut();
                    store.ask(now, ticket, *question);
                    while let Some((ticket, reply)) = store.poll() {
                        self.with(|half| half.answered(now, ticket, reply));
                    }
                }
                Some(ServerEffect::Gather) => self.0.gathers.set(true),
                Some(_) => {}
            }
        }
    }

    /// The connection, if it has not ended.
    fn connection(&self, id: Connection) -> Option<FakeConnection> {
        let lines = self.0.lines.borrow();
        let connection = &lines.get(&id)?.connection;
        (connection.state() != State::Closed).then(|| connection.clone())
    }

    fn give(&self, now: Time, output: Output<Message>) {
        match output {
            Output::Message { token, payload } => {
                self.0.received.borrow_mut().push(payload);
                if self.0.holds.get() {
                    self.0.held.borrow_mut().push(token);
                } else {
                    self.with(|half| half.handled(now, token));
                }
            }
            Output::Volatile(payload) => self.0.received.borrow_mut().push(payload),
            Output::Request { token, payload } => {
                self.0.requests.borrow_mut().push((token, payload));
            }
            Output::Withdrawn(token) => {
                let refused = Answer::Refused(Refusal::Cancelled);
                self.0
                    .requests
                    .borrow_mut()
                    .retain(|(asked, _)| *asked != token);
                self.with(|half| half.answer(now, token, refused));
            }
            Output::Handled(run) => {
                let handled = run.into_iter().map(|delivery| (delivery, None));
                self.0.ends.borrow_mut().extend(handled);
            }
            Output::Settled(delivery, end) => {
                self.0.ends.borrow_mut().push((delivery, Some(end)));
            }
            Output::Answered(ask, end) => self.0.answers.borrow_mut().push((ask, end)),
            Output::Ended(why) => self.0.ended.set(Some(why)),
            _ => {}
        }
    }

    fn arm(&self) {
        let next = self.with(|half| half.next_timer()).flatten();
        let timer = next.map(|at| {
            let play = Rc::downgrade(&self.0);
            let fire = Box::new(move || {
                if let Some(play) = play.upgrade() {
                    let server = Self(play);
                    let now = server.now();
                    server.with(|half| half.timer(now));
                    server.settle();
                }
            });
            self.0.world.set_timer(at.since(self.now()), fire)
        });
        let earlier = self.0.timer.replace(timer);
        drop(earlier);
    }
}
