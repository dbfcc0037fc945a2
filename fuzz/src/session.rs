//! Sessions: single frames, and whole dialogues in which frames are lost, repeated and forged.

use std::collections::{BTreeSet, VecDeque};

use arbitrary::Arbitrary;
use steady_socket_protocol::session::frame::{Answer, Data, Frame, Refusal, Style, read, write};
use steady_socket_protocol::session::store::{Identity, Store as _};
use steady_socket_protocol::session::{
    Arrival, Client, ClientEffect, Connection, MemoryOptions, MemoryStore, Options, Output,
    SendMode, Server, ServerEffect, ServerOptions, Time, limits,
};

type Body = Data<'static>;

/// Everything that a half may keep, by its limits and with room for its own frames.
const MOST_KEPT: usize = 20_000;

/// Reads data as both kinds of frame, and what is read again after writing.
///
/// # Panics
///
/// If a frame does not come back as it was.
pub fn frame(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for data in [Data::Text(text), Data::Binary(data.into())] {
        match read(data) {
            Ok(Frame::Unknown) => {}
            Ok(frame) => {
                for style in [Style::JSON, Style::TEXT, Style::BINARY] {
                    let written = write(frame.clone(), style).expect("it was read");
                    assert_eq!(read(written).as_ref(), Ok(&frame), "{style:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// One run of a dialogue.
#[derive(Arbitrary, Debug)]
pub struct Run {
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    /// Time passes.
    Pass(u16),
    /// So much time that a session may expire.
    PassLong,
    /// The connection is made again; the earlier one is cut.
    Connect,
    Cut(u16),
    /// So many frames arrive that are on their way.
    ToServer(u8),
    ToClient(u8),
    /// A frame arrives that nobody has sent.
    Forged {
        to_server: bool,
        text: bool,
        data: Vec<u8>,
    },
    ClientSends(u8),
    ServerSends(u8),
    ClientAsks(u8),
    ServerAsks(u8),
    /// The applications take what is there, and are done with it or not.
    ClientTakes(u8, bool),
    ServerTakes(u8, bool),
    ServerEnds,
    ClientCloses,
}

struct World {
    now: Time,
    client: Client<Body>,
    server: Option<Server<Body>>,
    store: MemoryStore<Body>,
    arrival: Option<Arrival<Body>>,
    connection: Connection,
    is_up: bool,
    to_client: VecDeque<Body>,
    to_server: VecDeque<Body>,
    /// Deliveries and requests of the client's that have ended.
    ended: BTreeSet<u64>,
    answered: BTreeSet<u64>,
}

impl Run {
    /// Plays the run.
    ///
    /// # Panics
    ///
    /// If a half breaks a promise.
    pub fn play(&self) {
        let mut world = World {
            now: Time::default(),
            client: Client::new(Options::default(), [1; 16]),
            server: None,
            store: MemoryStore::new(Time::default(), MemoryOptions::default()),
            arrival: None,
            connection: Connection(0),
            is_up: false,
            to_client: VecDeque::new(),
            to_server: VecDeque::new(),
            ended: BTreeSet::new(),
            answered: BTreeSet::new(),
        };
        for step in &self.steps {
            world.step(step);
            world.settle();
            let server = world.server.as_ref().map_or(0, Server::kept);
            assert!(world.client.kept() < MOST_KEPT, "{}", world.client.kept());
            assert!(server < MOST_KEPT, "{server}");
        }
    }
}

impl World {
    fn step(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Pass(millis) => self.pass(u64::from(*millis)),
            Step::PassLong => self.pass(limits::WINDOW_MS + 1),
            Step::Connect => {
                self.cut(1006);
                self.connection.0 += 1;
                self.arrival = Some(Arrival::new(now, &Options::default()));
                self.is_up = true;
                self.client.opened(now, [7; 16], None);
            }
            Step::Cut(code) => self.cut(*code),
            Step::ToServer(count) => {
                for _ in 0..*count {
                    let Some(data) = self.to_server.pop_front() else {
                        return;
                    };
                    self.server_hears(data);
                    self.settle();
                }
            }
            Step::ToClient(count) => {
                for _ in 0..*count {
                    let Some(data) = self.to_client.pop_front() else {
                        return;
                    };
                    self.client_hears(data);
                    self.settle();
                }
            }
            Step::Forged {
                to_server,
                text,
                data,
            } => {
                let data = match text {
                    true => Data::Text(String::from_utf8_lossy(data).into_owned().into()),
                    false => Data::Binary(data.clone().into()),
                };
                match to_server {
                    true => self.server_hears(data),
                    false => self.client_hears(data),
                }
            }
            Step::ClientSends(count) => {
                for number in 0..*count {
                    let _ = self.client.send(now, body(number), mode(number));
                }
            }
            Step::ServerSends(count) => {
                if let Some(server) = &mut self.server {
                    for number in 0..*count {
                        let _ = server.send(now, body(number), mode(number));
                    }
                }
            }
            Step::ClientAsks(number) => {
                let _ = self.client.ask(now, body(*number), None);
            }
            Step::ServerAsks(number) => {
                if let Some(server) = &mut self.server {
                    let _ = server.ask(now, body(*number), None);
                }
            }
            Step::ClientTakes(count, done) => {
                for _ in 0..*count {
                    let Some(output) = self.client.poll_output(now) else {
                        return;
                    };
                    match output {
                        Output::Message { token, .. } if *done => self.client.handled(now, token),
                        Output::Request { token, payload } => {
                            let answer = Answer::Response(payload);
                            let _ = self.client.answer(now, token, answer);
                        }
                        Output::Handled(run) => {
                            for delivery in run {
                                assert!(self.ended.insert(delivery.0), "{delivery:?} ends twice");
                            }
                        }
                        Output::Settled(delivery, _) => {
                            assert!(self.ended.insert(delivery.0), "{delivery:?} ends twice");
                        }
                        Output::Answered(ask, _) => {
                            assert!(self.answered.insert(ask.0), "{ask:?} ends twice");
                        }
                        _ => {}
                    }
                }
            }
            Step::ServerTakes(count, done) => {
                for _ in 0..*count {
                    let Some(server) = &mut self.server else {
                        return;
                    };
                    match server.poll_output(now) {
                        None => return,
                        Some(Output::Message { token, .. }) if *done => server.handled(now, token),
                        Some(Output::Request { token, .. }) => {
                            let answer = Answer::Refused(Refusal::NoHandler);
                            let _ = server.answer(now, token, answer);
                        }
                        Some(_) => {}
                    }
                }
            }
            Step::ServerEnds => {
                if let Some(server) = &mut self.server {
                    server.end_session(now);
                }
            }
            Step::ClientCloses => self.client.close(now, now.after(1_000)),
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.after(millis);
        self.client.timer(self.now);
        if let Some(server) = &mut self.server {
            server.timer(self.now);
        }
    }

    fn cut(&mut self, code: u16) {
        self.arrival = None;
        self.to_client.clear();
        self.to_server.clear();
        if std::mem::take(&mut self.is_up) {
            self.client.closed(self.now, code);
            if let Some(server) = &mut self.server {
                server.closed(self.now, self.connection, code);
            }
        }
    }

    fn client_hears(&mut self, data: Body) {
        match read(data) {
            Ok(frame) => self.client.receive(self.now, frame.map(Data::into_owned)),
            Err(_) => self.client.receive_malformed(self.now),
        }
    }

    fn server_hears(&mut self, data: Body) {
        let (now, connection) = (self.now, self.connection);
        let frame = read(data).map(|frame| frame.map(Data::into_owned));
        let Some(mut arrival) = self.arrival.take() else {
            match (&mut self.server, frame) {
                (Some(server), Ok(frame)) => server.receive(now, connection, frame),
                (Some(server), Err(_)) => server.receive_malformed(now, connection),
                (None, _) => {}
            }
            return;
        };
        match frame
            .map_err(|_| 3471)
            .and_then(|frame| arrival.receive(frame))
        {
            Err(code) => self.cut(code),
            Ok(false) => self.arrival = Some(arrival),
            Ok(true) => {
                let hello = arrival.hello().expect("it has arrived");
                let key = hello.secret.key();
                // A forged hello of another secret is another session, which this world does not have.
                if self
                    .server
                    .as_ref()
                    .is_some_and(|server| server.key() != key)
                {
                    return self.cut(1006);
                }
                let server = self
                    .server
                    .get_or_insert_with(|| Server::new(key, ServerOptions::default()));
                let identity = Identity(String::new());
                server.attach(now, connection, arrival, identity, true, connection.0 + 1);
            }
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(frame) = self.client.poll_frame() {
                let data = write(frame, Style::TEXT).expect("the half writes good frames");
                self.to_server.push_back(data);
            }
            match self.client.poll_effect() {
                Some(ClientEffect::Gather) => self.client.gathered(self.now),
                Some(ClientEffect::Close(code)) => self.cut(code),
                Some(_) => {}
                None => break,
            }
        }
        while let Some(effect) = self.server.as_mut().and_then(Server::poll_effect) {
            let Some(server) = &mut self.server else {
                return;
            };
            match effect {
                ServerEffect::Transmit(connection, frame) if connection == self.connection => {
                    let data = write(frame, Style::TEXT).expect("the half writes good frames");
                    self.to_client.push_back(data);
                }
                ServerEffect::Ask(ticket, question) => {
                    self.store.ask(self.now, ticket, *question);
                    while let Some((ticket, reply)) = self.store.poll() {
                        server.answered(self.now, ticket, reply);
                    }
                }
                ServerEffect::Gather => server.gathered(self.now),
                ServerEffect::Close(connection, code) if connection == self.connection => {
                    self.cut(code);
                }
                _ => {}
            }
        }
        if self.server.as_ref().is_some_and(Server::is_over) {
            self.server = None;
        }
    }
}

fn body(number: u8) -> Body {
    Data::Text("x".repeat(usize::from(number)).into())
}

fn mode(number: u8) -> SendMode {
    SendMode {
        first: number.is_multiple_of(7),
        awaited: number.is_multiple_of(3),
        expires: None,
    }
}
