//! What a message costs in the two halves of a session, without its frame's bytes.

use std::hint::black_box;
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
    client.receive(at(0), Frame::Welcome(welcome));
    settle(&mut client, 0);
    client
}

/// The driver's work after each input.
fn settle(client: &mut Client<Word>, turn: u64) {
    while let Some(effect) = client.poll_effect() {
        if let ClientEffect::Gather = effect {
            client.gathered(at(turn));
        } else {
            black_box(effect);
        }
    }
    while let Some(output) = client.poll_output(at(turn)) {
        match output {
            Output::Message { token, payload } => {
                black_box(payload.0);
                client.handled(at(turn), token);
            }
            output => drop(black_box(output)),
        }
        while let Some(effect) = client.poll_effect() {
            black_box(effect);
        }
    }
    black_box(client.next_timer());
}

pub(crate) fn client_sends(count: u64) -> Duration {
    let mut client = client();
    repeat(count, |turn| {
        let sent = client.send(at(turn), Word(turn), SendMode::default());
        assert!(black_box(sent).is_ok(), "there is room");
        settle(&mut client, turn);
        if (turn + 1).is_multiple_of(AT_ONCE) {
            let handled = turn + 1;
            client.receive(at(turn), Frame::Ack(Counts { handled, sent: 0 }));
            settle(&mut client, turn);
        }
    })
}

pub(crate) fn client_receives(count: u64) -> Duration {
    let mut client = client();
    repeat(count, |turn| {
        client.receive(at(turn), Frame::Message(Word(turn)));
        settle(&mut client, turn);
    })
}

/// The server's half after its hello, with its store.
struct Place {
    server: Server<Word>,
    store: MemoryStore<Word>,
}

const LINE: Connection = Connection(1);

impl Place {
    fn open() -> Self {
        let mut client = Client::<Word>::new(Options::default(), [1; 16]);
        client.opened(at(0), [2; 16], None);
        let mut arrival = Arrival::new(at(0), &Options::default());
        while let Some(effect) = client.poll_effect() {
            if let ClientEffect::Transmit(frame) = effect {
                arrival.receive(frame).expect("the hello is good");
            }
        }
        let key = arrival.hello().expect("it has arrived").secret.key();
        let mut place = Self {
            server: Server::new(key, ServerOptions::default()),
            store: MemoryStore::new(at(0), MemoryOptions::default()),
        };
        let identity = Identity(String::new());
        place.server.attach(at(0), LINE, arrival, identity, true, 1);
        place.settle(0);
        assert!(place.server.is_connected());
        place
    }

    fn settle(&mut self, turn: u64) {
        loop {
            while let Some(effect) = self.server.poll_effect() {
                match effect {
                    ServerEffect::Ask(ticket, question) => {
                        self.store.ask(at(turn), ticket, question);
                        while let Some((ticket, reply)) = self.store.poll() {
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
                    self.server.handled(at(turn), token);
                }
                Some(output) => drop(black_box(output)),
                None => break,
            }
        }
        black_box(self.server.next_timer());
    }
}

pub(crate) fn server_sends(count: u64) -> Duration {
    let mut place = Place::open();
    repeat(count, |turn| {
        let sent = place.server.send(at(turn), Word(turn), SendMode::default());
        assert!(black_box(sent).is_ok(), "there is room");
        place.settle(turn);
        if (turn + 1).is_multiple_of(AT_ONCE) {
            let handled = turn + 1;
            let counts = Counts { handled, sent: 0 };
            place.server.receive(at(turn), LINE, Frame::Ack(counts));
            place.settle(turn);
        }
    })
}

pub(crate) fn server_receives(count: u64) -> Duration {
    let mut place = Place::open();
    repeat(count, |turn| {
        place
            .server
            .receive(at(turn), LINE, Frame::Message(Word(turn)));
        place.settle(turn);
    })
}
