//! What a message costs in the two halves of a session, without its frame's bytes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use steady_socket::protocol::session::frame::{Counts, Frame, Kind, Outcome, Welcome};
use steady_socket::protocol::session::store::{Identity, Store as _};
use steady_socket::protocol::session::{
    Arrival, Client, ClientEffect, Connection, MemoryOptions, MemoryStore, Options, Output,
    Payload, SendMode, Server, ServerEffect, ServerOptions, Time, limits,
};

use crate::repeat;

/// A message is one word, like a JavaScript value.
#[derive(Clone)]
struct Word(u64);

impl Payload for Word {
    fn bytes(&self) -> usize {
        16
    }

    fn kind(&self) -> Kind {
        Kind::Text
    }
}

/// How many messages go out in one turn, and in one frame.
const BATCH: u64 = 20;

/// How many messages the other end acknowledges at once, as it does by itself.
const AT_ONCE: u64 = limits::ACK_MESSAGES;

/// The moment of a turn: one message a millisecond.
const fn at(turn: u64) -> Time {
    Time::from_millis(turn)
}

/// The client's half after its welcome.
fn client() -> Client<Word> {
    let mut client = Client::new(Options::default(), [1; 16]);
    client.opened(at(0), [2; 16], None);
    let welcome = Welcome {
        outcome: Outcome::Fresh,
        epoch: 1,
        owner: 1,
        received: 0,
        handled: 0,
        first: 1,
        sent: 0,
        limits: Options::default().limits,
        window_ms: limits::WINDOW_MS,
        beat_ms: None,
        back: None,
    };
    client.receive(at(0), Frame::Welcome(welcome.into()));
    settle(&mut client, 0);
    client
}

/// The driver's work after each input. Returns how many messages the application was given. What the driver gets is looked
/// at where it is: to carry it elsewhere is no work of the half's.
#[inline(always)]
fn settle(client: &mut Client<Word>, turn: u64) -> u64 {
    let mut given = 0;
    loop {
        while let Some(frame) = client.poll_frame() {
            black_box(&frame);
        }
        match client.poll_effect() {
            Some(ClientEffect::Gather) => client.gathered(at(turn)),
            Some(effect) => {
                black_box(&effect);
            }
            None => break,
        }
    }
    while let Some(output) = client.poll_output(at(turn)) {
        match output {
            Output::Message { token, payload } => {
                black_box(payload.0);
                given += 1;
                client.handled(at(turn), token);
            }
            output => {
                black_box(&output);
            }
        }
        while let Some(frame) = client.poll_frame() {
            black_box(&frame);
        }
        while let Some(effect) = client.poll_effect() {
            black_box(&effect);
        }
    }
    black_box(client.next_timer());
    given
}

pub(crate) fn client_sends(count: u64) -> Duration {
    let mut client = client();
    repeat(count, |turn| {
        let sent = client.send(at(turn), Word(turn), SendMode::default());
        assert!(sent.is_ok(), "there is room");
        settle(&mut client, turn);
        if (turn + 1).is_multiple_of(AT_ONCE) {
            let handled = turn + 1;
            client.receive(at(turn), Frame::Ack(Counts { handled, sent: 0 }));
            settle(&mut client, turn);
        }
    })
}

/// The same when the program sends several in a turn; `count` messages, less what does not fill a batch.
pub(crate) fn client_sends_batches(count: u64) -> Duration {
    let mut client = client();
    let mut acknowledged = 0;
    repeat(count / BATCH, |turn| {
        for word in 0..BATCH {
            let sent = client.send(at(turn), Word(word), SendMode::default());
            assert!(sent.is_ok(), "there is room");
        }
        settle(&mut client, turn);
        let handled = (turn + 1) * BATCH;
        if handled >= acknowledged + AT_ONCE {
            acknowledged = handled;
            client.receive(at(turn), Frame::Ack(Counts { handled, sent: 0 }));
            settle(&mut client, turn);
        }
    })
}

pub(crate) fn client_receives_batches(count: u64) -> Duration {
    let mut client = client();
    repeat(count / BATCH, |turn| {
        let batch = Frame::Batch {
            first: turn * BATCH + 1,
            handled: None,
            messages: (0..BATCH).map(Word).collect(),
        };
        client.receive(at(turn), batch);
        let given = settle(&mut client, turn);
        assert_eq!(given, BATCH, "they are given");
    })
}

pub(crate) fn client_receives(count: u64) -> Duration {
    let mut client = client();
    repeat(count, |turn| {
        client.receive(at(turn), Frame::Message(Word(turn)));
        let given = settle(&mut client, turn);
        assert_eq!(given, 1, "it is given");
    })
}

/// The server's half of one session.
struct Session {
    server: Server<Word>,
}

/// A session after its hello, with its store.
struct Place {
    session: Session,
    store: MemoryStore<Word>,
}

const LINE: Connection = Connection(1);

fn store() -> MemoryStore<Word> {
    MemoryStore::new(at(0), MemoryOptions::default())
}

impl Place {
    fn open() -> Self {
        let mut store = store();
        let session = Session::open(&mut store, &Arc::default(), 1);
        Self { session, store }
    }

    fn settle(&mut self, turn: u64) -> u64 {
        self.session.settle(&mut self.store, turn)
    }
}

impl Session {
    fn open(store: &mut MemoryStore<Word>, options: &Arc<ServerOptions>, number: u64) -> Self {
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&number.to_le_bytes());
        let mut client = Client::<Word>::new(Options::default(), secret);
        client.opened(at(0), [2; 16], None);
        let mut arrival = Arrival::new(at(0), &Options::default());
        while let Some(frame) = client.poll_frame() {
            arrival.receive(frame).expect("the hello is good");
        }
        let key = arrival.hello().expect("it has arrived").secret.key();
        let mut session = Self {
            server: Server::new(key, Arc::clone(options)),
        };
        let identity = Identity(format!("user {number}"));
        let epoch = number;
        session
            .server
            .attach(at(0), LINE, arrival, identity, true, epoch);
        session.settle(store, 0);
        assert!(session.server.is_connected());
        // What would ride waits for this.
        session.acknowledge(0, 0);
        session.settle(store, 0);
        session
    }

    fn acknowledge(&mut self, handled: u64, sent: u64) {
        let acknowledgement = Frame::Ack(Counts { handled, sent });
        self.server.receive(at(0), LINE, acknowledgement);
    }

    /// Does what a driver does after each input. Returns how many messages the application was given.
    fn settle(&mut self, store: &mut MemoryStore<Word>, turn: u64) -> u64 {
        let mut given = 0;
        loop {
            while let Some(effect) = self.server.poll_effect() {
                match effect {
                    ServerEffect::Ask(ticket, question) => {
                        store.ask(at(turn), ticket, *question);
                        while let Some((ticket, reply)) = store.poll() {
                            self.server.answered(at(turn), ticket, reply);
                        }
                    }
                    ServerEffect::Gather => self.server.gathered(at(turn)),
                    effect => drop(black_box(effect)),
                }
            }
            match self.server.poll_output(at(turn)) {
                Some(Output::Message { token, payload }) => {
                    black_box(payload.0);
                    given += 1;
                    self.server.handled(at(turn), token);
                }
                Some(output) => drop(black_box(output)),
                None => break,
            }
        }
        black_box(self.server.next_timer());
        given
    }
}

pub(crate) fn server_sends(count: u64) -> Duration {
    let mut place = Place::open();
    repeat(count, |turn| {
        let sent = place
            .session
            .server
            .send(at(turn), Word(turn), SendMode::default());
        assert!(black_box(sent).is_ok(), "there is room");
        place.settle(turn);
        if (turn + 1).is_multiple_of(AT_ONCE) {
            let handled = turn + 1;
            let counts = Counts { handled, sent: 0 };
            place
                .session
                .server
                .receive(at(turn), LINE, Frame::Ack(counts));
            place.settle(turn);
        }
    })
}

pub(crate) fn server_receives(count: u64) -> Duration {
    let mut place = Place::open();
    repeat(count, |turn| {
        let message = Frame::Message(Word(turn));
        place.session.server.receive(at(turn), LINE, message);
        let given = place.settle(turn);
        assert_eq!(given, 1, "it is given");
    })
}

/// The bytes that an idle session takes in the server's half, if wanted with its record in the memory store: this
/// process's memory with `count` sessions, less that without. Each is connected, has had a message each way, and a beat
/// on which nothing was new.
///
/// Once in a process: freed memory may stay with it.
#[must_use]
pub fn idle_session_bytes(count: u64, with_record: bool) -> u64 {
    let options = Arc::new(ServerOptions::default());
    let mut common = store();
    let mut sessions = Vec::with_capacity(usize::try_from(count).expect("it is small"));
    let before = proportional_bytes();
    for number in 1..=count {
        let mut own = store();
        let store = if with_record { &mut common } else { &mut own };
        sessions.push(idle(store, &options, number));
    }
    let after = proportional_bytes();
    drop(black_box((sessions, common)));
    (after - before) / count
}

fn idle(store: &mut MemoryStore<Word>, options: &Arc<ServerOptions>, number: u64) -> Session {
    let mut session = Session::open(store, options, number);
    let server = &mut session.server;
    server.receive(at(0), LINE, Frame::Message(Word(1)));
    let sent = server.send(at(0), Word(2), SendMode::default());
    assert!(sent.is_ok(), "there is room");
    session.settle(store, 0);
    session.acknowledge(1, 1);
    for _ in 0..2 {
        session.server.flush(at(0));
        session.settle(store, 0);
    }
    let server = &session.server;
    assert!(server.is_connected() && server.unacknowledged() == (0, 0));
    session
}

/// The proportional share of this process in the memory, in bytes.
fn proportional_bytes() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("this is Linux");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = number.and_then(|it| it.parse().ok()).expect("a number");
    kib * 1024
}
