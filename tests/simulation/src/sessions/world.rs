//! The driver of both halves, the network, the server's process and its store, and the two applications.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use steady_socket_protocol::session::frame::{
    Answer, Credential, Data, Frame, Hello, Key, Kind, Limits, Lost, Outcome, Refusal, Secret,
    Style, Why, read, write,
};
use steady_socket_protocol::session::store::{Claim, Identity, Question, Reply, Store, Ticket};
use steady_socket_protocol::session::{
    Arrival, Ask, AskEnd, Client, ClientEffect, Connection, Delivery, End, Ended, Item, MAX_NUMBER,
    MemoryOptions, MemoryStore, Opened, Options, Output, Phase, Rejection, SendMode, Server,
    ServerEffect, ServerOptions, Time, Token, limits,
};

use super::account::{Account, Side, Told};
use super::coverage::Coverage;
use super::word::{Fatal, Word};
use crate::rng::Rng;

/// A broken promise.
pub type Violation = String;

/// The time at which a world begins.
const START: u64 = 1_000_000;

/// What has no place in the account: volatile messages, and those that a client with a bug has sent.
const NOBODY: usize = usize::MAX;

/// What a world is like.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The options of the client's half and of the server's. They need not be the same; only `origin` has to.
    pub ends: [Options; 2],
    /// How long a session outlives its connection.
    pub window_ms: u64,
    /// The store's options.
    pub store: MemoryOptions,
    /// How long the store has for an answer.
    pub store_timeout_ms: u64,
    /// Handlers of each side run one after the other.
    pub serial: [bool; 2],
    /// The client's clock is slower than the server's by a thousandth, which is as much as the protocol allows.
    pub slow_clock: bool,
}

impl Settings {
    /// The options of an end.
    #[must_use]
    pub const fn of(&self, side: Side) -> &Options {
        match side {
            Side::Client => &self.ends[0],
            Side::Server => &self.ends[1],
        }
    }
}

/// What is on its way to an end.
#[derive(Clone, Debug)]
pub enum Arriving {
    /// A frame.
    Frame(Frame<Word>),
    /// Something that cannot be read.
    Malformed,
    /// What the protocol forbids wherever it stands, and the code with which the receiver has to close.
    Forbidden(Frame<Word>, u16),
}

/// Who reads a connection at the server.
#[derive(Clone, Debug)]
enum Reader {
    /// The hello has not arrived.
    Arriving(Arrival<Word>),
    /// Somebody looks at the credential.
    Authorising(Arrival<Word>),
    /// The half of this key.
    Attached(Key),
    Nobody,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Conn {
    to_server: VecDeque<Arriving>,
    to_client: VecDeque<Arriving>,
    /// The client still has it.
    client: bool,
    reader: Reader,
    /// How it ends for the server, behind what is on its way.
    end_to_server: Option<u16>,
    /// How it ends for the client, behind what is on its way.
    end_to_client: Option<u16>,
    identity: u64,
    attempt: u64,
    /// That of its hello.
    epoch: u64,
    /// What its hello acknowledges.
    acknowledged: u64,
    /// How many frames the server has kept of it: before its welcome, and behind that while it holds them back.
    kept: u64,
    kept_numbers: u64,
    kept_bytes: u64,
    /// The code for the first of them that is wrong. The server looks at them when it holds them back no longer.
    kept_wrong: Option<u16>,
    /// Its client may have a session that is there already.
    may_resume: bool,
    /// The server has answered its hello.
    answered: bool,
    /// The answer holds a verdict.
    lost: bool,
    welcomed: bool,
}

impl Conn {
    /// The server keeps this frame until it knows that the client is let in, and there.
    fn keep(&mut self, frame: &Frame<Word>, options: &Options) {
        let last = options.origin + self.kept_numbers;
        let is_wrong = match frame {
            Frame::Awaited(number) => *number > last,
            Frame::Batch { first, .. } => *first != last + 1,
            _ => false,
        };
        let is_large = |word: &Word| word.bytes as u64 > options.limits.message_bytes;
        let code = match () {
            () if is_wrong => Some(3_470),
            () if words_of(frame).iter().any(is_large) => Some(1_009),
            () => None,
        };
        self.kept_wrong = self.kept_wrong.or(code);
        self.kept += 1;
        self.kept_numbers += frame.numbers();
        self.kept_bytes += bytes_of(frame);
    }

    /// Whether the server still has to keep this frame.
    fn may_keep(&self, frame: &Frame<Word>) -> bool {
        let rides = frame.numbers() > 0 || matches!(frame, Frame::Awaited(_));
        rides
            && self.kept < 2 * limits::RIDING_MESSAGES
            && self.kept_numbers + frame.numbers() <= limits::RIDING_MESSAGES
            && self.kept_bytes + bytes_of(frame) <= limits::RIDING_BYTES
    }
}

fn words_of(frame: &Frame<Word>) -> &[Word] {
    match frame {
        Frame::Message(word)
        | Frame::AwaitedMessage(word)
        | Frame::Request(word)
        | Frame::Volatile(word) => std::slice::from_ref(word),
        Frame::Batch { messages, .. } => messages,
        _ => &[],
    }
}

fn bytes_of(frame: &Frame<Word>) -> u64 {
    words_of(frame).iter().map(|word| word.bytes as u64).sum()
}

/// A handler that runs.
#[derive(Clone, Copy, Debug)]
struct Running {
    token: Token,
    id: usize,
    bytes: usize,
    request: bool,
    withdrawn: bool,
    /// The epoch in which it was given.
    epoch: u64,
}

/// A server's half and its application.
#[derive(Clone, Debug)]
struct Half {
    server: Server<Word>,
    /// Who sends there.
    who: u64,
    /// Who receives there: another number after each end of a session, since what was given before may be given again.
    receiver: u64,
    /// The session was resumed.
    resumed: bool,
    running: Vec<Running>,
    deliveries: BTreeMap<Delivery, usize>,
    asks: BTreeMap<Ask, usize>,
}

/// How the store treats a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treat {
    /// It answers.
    Answer,
    /// It answers twice.
    Twice,
    /// It does what is asked, and the answer is lost.
    NoAnswer,
    /// The question is lost.
    NoQuestion,
}

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    /// What it is like.
    pub settings: Settings,
    /// What the server's process takes.
    server_limits: Limits,
    /// Milliseconds since its beginning.
    pub now: u64,
    /// The client's half. It may be followed by another, on another page.
    pub client: Client<Word>,
    page: u64,
    random: [u8; 16],
    secrets: u64,
    running: Vec<Running>,
    deliveries: BTreeMap<Delivery, usize>,
    asks: BTreeMap<Ask, usize>,
    /// The client makes no more connections.
    pub gave_up: bool,
    gathering: bool,
    /// All connections that are not over, by number.
    pub conns: BTreeMap<u64, Conn>,
    current: Option<u64>,
    next_conn: u64,
    halves: BTreeMap<Key, Half>,
    gather_at_server: Vec<Key>,
    store: MemoryStore<Word>,
    /// What the store was asked, by which half and in which epoch.
    questions: VecDeque<(Key, u64, Ticket, Question<Word>)>,
    late: VecDeque<(Key, Ticket, Reply<Word>)>,
    /// Questions wait until the script lets the store work.
    pub store_waits: bool,
    /// Outputs wait until the script lets the applications take them.
    pub lazy: [bool; 2],
    people: u64,
    epochs: u64,
    /// What the applications really had.
    pub account: Account,
    /// How often each outcome occurred.
    pub coverage: Coverage,
    verdicts: BTreeMap<u64, (u64, Lost)>,
    losses_while_greeting: u32,
    violation: Option<Violation>,
    /// Something that no end has sent was on its way, or something that one has sent got lost there.
    tampered: bool,
    /// Who has connected.
    identities: BTreeSet<u64>,
    /// Whether the connections take more at the moment.
    writable: [bool; 2],
    /// The store has kept an answer to itself.
    store_was_silent: bool,
    /// Now and then an answer ends the connection on which it travels.
    pub fatal_answers: bool,
    /// The server may not remember every session.
    forgot: bool,
    /// Whether any session was closed or ended.
    closed: bool,
    /// Somebody has a copy of the secret, and is the same person.
    twin: bool,
    /// The epochs of which anything but a hello has reached the server. Of another it remembers only that before it.
    heard: BTreeSet<u64>,
    /// The epoch of the client's last hello.
    epoch: u64,
    /// Something without a number was lost on the way: it is said again on the next connection only.
    counts_lost: bool,
    /// Prints what the halves do.
    pub trace: bool,
}

impl World {
    /// A world at its beginning, some time after that of its server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let random = [0; 16];
        Self {
            settings,
            now: START,
            server_limits: settings.of(Side::Server).limits,
            client: Client::new(*settings.of(Side::Client), random),
            page: 1,
            random,
            secrets: 0,
            running: Vec::new(),
            deliveries: BTreeMap::new(),
            asks: BTreeMap::new(),
            gave_up: false,
            gathering: false,
            conns: BTreeMap::new(),
            current: None,
            next_conn: 0,
            halves: BTreeMap::new(),
            gather_at_server: Vec::new(),
            store: MemoryStore::new(Time::from_millis(0), settings.store),
            questions: VecDeque::new(),
            late: VecDeque::new(),
            store_waits: false,
            lazy: [false; 2],
            people: 1,
            epochs: 0,
            account: Account::default(),
            coverage: Coverage::default(),
            verdicts: BTreeMap::new(),
            losses_while_greeting: 0,
            violation: None,
            tampered: false,
            identities: BTreeSet::new(),
            writable: [true; 2],
            store_was_silent: false,
            fatal_answers: false,
            forgot: false,
            closed: settings.ends[0].origin > 1 << 40,
            twin: false,
            heard: BTreeSet::from([0]),
            epoch: 0,
            counts_lost: false,
            trace: false,
        }
    }

    fn time(&self) -> Time {
        Time::from_millis(self.now)
    }

    /// The time by the client's clock.
    fn client_time(&self) -> Time {
        let since = self.now - START;
        Time::from_millis(match self.settings.slow_clock {
            true => START + since - since.div_ceil(1_000),
            false => self.now,
        })
    }

    fn time_of(&self, side: Side) -> Time {
        match side {
            Side::Client => self.client_time(),
            Side::Server => self.time(),
        }
    }

    fn who(&mut self) -> u64 {
        self.people += 1;
        self.people
    }

    fn fresh_random(&mut self) -> [u8; 16] {
        self.secrets += 1;
        u128::from(self.secrets).to_be_bytes()
    }

    fn wrong(&mut self, what: Violation) {
        self.violation.get_or_insert(what);
    }

    /// A number for everything on which the rest of this world depends, and for nothing that is only counted.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        /// Far cheaper than the standard hasher, and nobody chooses what goes in.
        struct Hashed(u64);
        impl std::fmt::Write for Hashed {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for piece in text.as_bytes().chunks(8) {
                    let mut bytes = [0; 8];
                    bytes[..piece.len()].copy_from_slice(piece);
                    self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(bytes))
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                }
                Ok(())
            }
        }
        let mut hashed = Hashed(0);
        let client = (
            &self.client,
            &self.random,
            // The secret is not shown. It changes when a session is out of step.
            self.coverage.of("client: Lost(OutOfStep)"),
            &self.running,
            &self.deliveries,
            &self.asks,
            (self.page, self.gave_up, self.gathering),
        );
        let server = (
            &self.halves,
            &self.gather_at_server,
            &self.store,
            &self.questions,
            &self.late,
            self.epochs,
        );
        let between = (&self.conns, self.current, self.next_conn, self.now);
        let world = (self.store_waits, self.lazy, self.people, &self.account);
        let all = (client, server, between, world);
        write!(hashed, "{all:?}").expect("a hash takes any text");
        hashed.0
    }

    // ----- the client's side

    /// The client has a connection.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.current.is_some()
    }

    /// The client may make a connection.
    #[must_use]
    pub fn may_connect(&self) -> bool {
        self.current.is_none() && !self.gave_up
    }

    /// The client makes a connection, as this person.
    pub fn connect(&mut self, identity: u64) {
        self.identities.insert(identity);
        self.next_conn += 1;
        let arrival = Arrival::new(self.time(), self.settings.of(Side::Server));
        let conn = Conn {
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            client: true,
            reader: Reader::Arriving(arrival),
            end_to_server: None,
            end_to_client: None,
            identity,
            attempt: 0,
            epoch: 0,
            acknowledged: 0,
            kept: 0,
            kept_numbers: 0,
            kept_bytes: 0,
            kept_wrong: None,
            may_resume: true,
            answered: false,
            lost: false,
            welcomed: false,
        };
        self.conns.insert(self.next_conn, conn);
        self.current = Some(self.next_conn);
        self.writable = [true; 2];
        let random = self.fresh_random();
        let credential = Credential::parse("let-me-in");
        self.client.opened(self.client_time(), random, credential);
        self.settle();
    }

    /// Another page takes the place of one whose session has ended.
    pub fn new_page(&mut self) {
        self.take_outputs(Side::Client, usize::MAX);
        let open = self.account.open(Side::Client, self.page).next();
        if let Some(id) = open {
            self.wrong(format!("{id} has no end, and its session is over"));
        }
        self.random = self.fresh_random();
        self.client = Client::new(*self.settings.of(Side::Client), self.random);
        self.page = self.who();
        self.running.clear();
        self.deliveries.clear();
        self.asks.clear();
        self.gave_up = false;
        self.gathering = false;
        self.drop_current(Some(1_006));
    }

    /// The current connection is no longer the client's. What is on its way to the server may still arrive.
    fn drop_current(&mut self, end_to_server: Option<u16>) {
        if let Some(conn) = self
            .current
            .take()
            .and_then(|number| self.conns.get_mut(&number))
        {
            conn.client = false;
            conn.to_client.clear();
            if conn.end_to_server.is_none() {
                conn.end_to_server = end_to_server;
            }
        }
    }

    /// The client notices that its connection is gone. Of what is on its way, so much still arrives; `None` for all.
    pub fn cut_at_client(&mut self, arrives: Option<usize>) {
        let Some(number) = self.current else {
            return;
        };
        let conn = self.conns.get_mut(&number).expect("the current connection");
        if let Some(arrives) = arrives {
            conn.to_server.truncate(arrives);
        }
        if conn.welcomed {
            self.coverage.count("cut: up");
            self.losses_while_greeting = 0;
        } else {
            self.coverage.count("cut: between hello and welcome");
            self.losses_while_greeting += 1;
            if self.losses_while_greeting == 2 {
                self.coverage
                    .count("cut: two in a row between hello and welcome");
            }
        }
        self.drop_current(Some(1_006));
        self.client.closed(self.client_time(), 1_006);
        self.settle();
    }

    /// The server's end of a connection is closed with this code, by what lies on the way: nothing of what is on its way
    /// arrives.
    pub fn cut_at_server_with(&mut self, number: u64, code: u16) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.to_client.clear();
            conn.to_server.clear();
            conn.end_to_client.get_or_insert(code);
        }
        self.end_at_server(number, 1_006);
        self.settle();
    }

    /// The server notices that a connection is gone. Of what is on its way to the client, so much still arrives.
    pub fn cut_at_server(&mut self, number: u64, arrives: usize) {
        self.coverage.count("cut: the server noticed first");
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        conn.to_client.truncate(arrives);
        conn.to_server.clear();
        conn.end_to_client.get_or_insert(1_006);
        self.end_at_server(number, 1_006);
        self.settle();
    }

    fn end_at_server(&mut self, number: u64, code: u16) {
        let now = self.time();
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        if let Reader::Attached(key) = std::mem::replace(&mut conn.reader, Reader::Nobody)
            && let Some(half) = self.halves.get_mut(&key)
        {
            half.server.closed(now, Connection(number), code);
        }
    }

    // ----- the network

    /// Connections with something on its way to the server, or whose end it has to notice.
    pub fn busy_to_server(&self) -> impl Iterator<Item = u64> {
        self.conns.iter().filter_map(|(number, conn)| {
            let busy = !conn.to_server.is_empty() || conn.end_to_server.is_some();
            let reads = !matches!(conn.reader, Reader::Nobody);
            (busy && reads).then_some(*number)
        })
    }

    /// Whether something is on its way to the client.
    #[must_use]
    pub fn busy_to_client(&self) -> bool {
        let conn = self.current.and_then(|number| self.conns.get(&number));
        conn.is_some_and(|conn| !conn.to_client.is_empty() || conn.end_to_client.is_some())
    }

    /// Connections whose client waits to be let in.
    pub fn waiting_to_be_let_in(&self) -> impl Iterator<Item = u64> {
        self.conns.iter().filter_map(|(number, conn)| {
            matches!(conn.reader, Reader::Authorising(_)).then_some(*number)
        })
    }

    /// The next thing on this connection reaches the server.
    pub fn deliver_to_server(&mut self, number: u64) {
        let now = self.time();
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        let Some(arriving) = conn.to_server.pop_front() else {
            if let Some(code) = conn.end_to_server.take() {
                self.end_at_server(number, code);
                self.settle();
            }
            return;
        };
        let arriving = match arriving {
            Arriving::Forbidden(frame, code) => {
                self.forbidden_to_server(number, frame, code);
                return;
            }
            arriving => arriving,
        };
        let is_held = self.is_held(number);
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        if let Arriving::Frame(frame) = &arriving
            && let Some(fatal) = fatal_of(frame)
        {
            self.server_dies_of(number, fatal);
            return;
        }
        let waits = matches!(conn.reader, Reader::Authorising(_) | Reader::Attached(_));
        if let Arriving::Frame(frame) = &arriving
            && waits
            && (!conn.answered || is_held)
        {
            conn.keep(frame, self.settings.of(Side::Server));
        }
        match (&mut conn.reader, arriving) {
            (Reader::Nobody, _) => {}
            (Reader::Arriving(_), Arriving::Frame(frame)) => {
                if let Frame::Hello(hello) = &frame {
                    conn.attempt = hello.attempt;
                    conn.epoch = hello.epoch;
                    conn.acknowledged = hello.handled;
                    self.coverage.count("frame: Hello");
                    if number < self.next_conn
                        && self
                            .conns
                            .range(number + 1..)
                            .any(|(_, later)| later.attempt > 0)
                    {
                        self.coverage.count("a hello arrived after the next one's");
                    }
                    let open = self.conns.range(..number).any(|(_, earlier)| {
                        matches!(earlier.reader, Reader::Attached(_)) && earlier.welcomed
                    });
                    if open {
                        self.coverage.count("the old socket still looked open");
                    }
                }
                let conn = self.conns.get_mut(&number).expect("it was there");
                let Reader::Arriving(arrival_now) = &mut conn.reader else {
                    return;
                };
                match arrival_now.receive(frame) {
                    Ok(true) => {
                        let arrival = arrival_now.clone();
                        conn.reader = Reader::Authorising(arrival);
                    }
                    Ok(false) => {}
                    Err(code) => self.close_at_server(number, code),
                }
            }
            (Reader::Authorising(arrival), Arriving::Frame(frame)) => {
                if let Err(code) = arrival.receive(frame) {
                    self.close_at_server(number, code);
                }
            }
            (Reader::Attached(key), Arriving::Frame(frame)) => {
                if let Some(half) = self.halves.get_mut(key) {
                    if conn.answered {
                        self.heard.insert(half.server.epoch());
                        // Only a client with a bug sends this before it has read the verdict, which nobody keeps from here
                        // on. If it comes back without an epoch, it seems to have had the welcome's, so its numbers mean
                        // other messages.
                        let unread = conn.lost && !conn.welcomed && conn.epoch == 0;
                        self.account.shifted[Side::Client as usize] |= unread;
                    }
                    half.server.receive(now, Connection(number), frame);
                }
            }
            (Reader::Attached(key), Arriving::Malformed) => {
                if let Some(half) = self.halves.get_mut(key) {
                    half.server.receive_malformed(now, Connection(number));
                }
            }
            (_, Arriving::Malformed) => self.close_at_server(number, 3_471),
            (_, Arriving::Forbidden(..)) => {}
        }
        self.settle();
        if let Some(conn) = self.conns.get(&number)
            && !matches!(conn.reader, Reader::Nobody)
            && (conn.kept > 2 * limits::RIDING_MESSAGES || conn.kept_bytes > limits::RIDING_BYTES)
        {
            let (frames, bytes) = (conn.kept, conn.kept_bytes);
            self.wrong(format!(
                "{frames} frames with {bytes} bytes are kept before a welcome"
            ));
        }
    }

    /// The server holds back what arrives on this connection until its client acknowledges the welcome.
    fn is_held(&self, number: u64) -> bool {
        self.conns
            .get(&number)
            .is_some_and(|conn| match &conn.reader {
                Reader::Attached(key) if conn.answered => {
                    let half = self.halves.get(key);
                    half.is_some_and(|half| half.server.holds_back())
                }
                _ => false,
            })
    }

    /// What is forbidden costs the connection, with the right code, and nothing of it counts.
    fn forbidden_to_server(&mut self, number: u64, frame: Frame<Word>, code: u16) {
        let now = self.time();
        let is_held = self.is_held(number);
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        let Reader::Attached(key) = &conn.reader else {
            return;
        };
        let Some(half) = self.halves.get_mut(key) else {
            return;
        };
        if !conn.answered {
            return;
        }
        // Until the client has read the welcome, only what rides is allowed, and may wait. Then it is looked at in its
        // order.
        let (codes, may_wait) = match &frame {
            _ if !is_held => ([code, code], false),
            Frame::Ack(_) => ([conn.kept_wrong.unwrap_or(code); 2], false),
            frame if conn.may_keep(frame) => ([code, code], true),
            _ => ([code, 3_474], false),
        };
        if may_wait {
            conn.keep(&frame, self.settings.of(Side::Server));
        }
        let what = format!("{frame:?}");
        half.server.receive(now, Connection(number), frame);
        self.settle();
        let Some(conn) = self.conns.get(&number) else {
            return;
        };
        if !matches!(conn.reader, Reader::Nobody) && !may_wait {
            self.wrong(format!("the server takes {what}"));
        } else if let Some(said) = conn.end_to_client
            && !codes.contains(&said)
        {
            self.wrong(format!(
                "the server closes with {said} for {what}, not with {code}"
            ));
        }
    }

    fn server_dies_of(&mut self, number: u64, fatal: Fatal) {
        match fatal {
            Fatal::Close(code) => {
                let theirs = self.conns.get(&number).and_then(|conn| conn.end_to_server);
                self.end_at_server(number, theirs.unwrap_or(1_006));
                if let Some(conn) = self.conns.get_mut(&number) {
                    conn.to_server.clear();
                    conn.end_to_client.get_or_insert(code);
                }
                self.coverage.count(format!("close: {code}"));
                self.settle();
            }
            Fatal::Kill => self.restart(true),
        }
    }

    fn close_at_server(&mut self, number: u64, code: u16) {
        self.closes_with("server", code);
        let now = self.time();
        if let Some(conn) = self.conns.get_mut(&number) {
            let reader = std::mem::replace(&mut conn.reader, Reader::Nobody);
            conn.to_server.clear();
            conn.end_to_client.get_or_insert(code);
            // Both may have closed at the same time.
            if let (Reader::Attached(key), Some(theirs)) = (reader, conn.end_to_server)
                && let Some(half) = self.halves.get_mut(&key)
            {
                half.server.closed(now, Connection(number), theirs);
            }
        }
    }

    /// An end closes a connection. Two that keep to the protocol never find that the other does not.
    fn closes_with(&mut self, end: &str, code: u16) {
        self.coverage.count(format!("close: {code}"));
        if matches!(code, 3_470 | 3_471 | 3_474) && !self.tampered {
            self.wrong(format!(
                "the {end} closes with {code}, and nothing was wrong"
            ));
        }
    }

    /// The client of this connection is let in, or not.
    pub fn let_in(&mut self, number: u64, allowed: bool, may_resume: bool) {
        let now = self.time();
        let Some(conn) = self.conns.get_mut(&number) else {
            return;
        };
        let Reader::Authorising(arrival) = &conn.reader else {
            return;
        };
        if !allowed {
            self.close_at_server(number, 3_972);
            self.settle();
            return;
        }
        let arrival = arrival.clone();
        conn.may_resume = may_resume;
        let key = arrival.hello().expect("the hello has arrived").secret.key();
        conn.reader = Reader::Attached(key);
        let identity = Identity(format!("person {}", conn.identity));
        self.epochs += 1;
        let epoch = self.epochs;
        if !self.halves.contains_key(&key) {
            let options = ServerOptions {
                both: Options {
                    limits: self.server_limits,
                    ..*self.settings.of(Side::Server)
                }
                .into(),
                window_ms: self.settings.window_ms,
                store_timeout_ms: self.settings.store_timeout_ms,
                ..ServerOptions::default()
            };
            let who = self.who();
            let half = Half {
                server: Server::new(key, options),
                who,
                receiver: who,
                resumed: false,
                running: Vec::new(),
                deliveries: BTreeMap::new(),
                asks: BTreeMap::new(),
            };
            self.halves.insert(key, half);
        }
        if let Some(half) = self.halves.get_mut(&key) {
            half.server.attach(
                now,
                Connection(number),
                arrival,
                identity,
                may_resume,
                epoch,
            );
        }
        self.settle();
    }

    /// The next thing on the current connection reaches the client.
    pub fn deliver_to_client(&mut self) {
        let Some(number) = self.current else {
            return;
        };
        let now = self.client_time();
        let conn = self.conns.get_mut(&number).expect("the current connection");
        match conn.to_client.pop_front() {
            Some(Arriving::Frame(frame)) => {
                if let Some(Fatal::Close(code)) = fatal_of(&frame) {
                    // The browser closes. Its half learns no code, unless the server has closed as well.
                    let theirs = conn.end_to_client.unwrap_or(1_006);
                    self.drop_current(Some(code));
                    self.client.closed(now, theirs);
                    self.settle();
                    return;
                }
                if let Frame::Welcome(welcome) = &frame {
                    conn.welcomed = true;
                    self.losses_while_greeting = 0;
                    self.welcome(welcome.outcome.clone());
                }
                self.client.receive(now, frame);
            }
            Some(Arriving::Malformed) => self.client.receive_malformed(now),
            Some(Arriving::Forbidden(frame, code)) => {
                let was_up = self.client.phase() == Phase::Up;
                let what = format!("{frame:?}");
                self.client.receive(now, frame);
                if was_up && self.client.phase() == Phase::Up {
                    self.wrong(format!("the client takes {what}"));
                }
                let closes = format!("close: {code}");
                let before = self.coverage.of(&closes);
                self.settle();
                if was_up && self.coverage.of(&closes) == before {
                    self.wrong(format!("the client does not close with {code} for {what}"));
                }
            }
            None => {
                if let Some(code) = conn.end_to_client {
                    self.drop_current(None);
                    self.client.closed(now, code);
                }
            }
        }
        self.settle();
    }

    fn welcome(&mut self, outcome: Outcome) {
        self.coverage.count("frame: Welcome");
        let is_unknown = matches!(&outcome, Outcome::Lost(lost) if lost.why == Why::Unknown);
        if is_unknown && !self.forgot && self.heard.contains(&self.epoch) {
            self.wrong("a server that remembers everything knows nothing of a session".to_owned());
        }
        if let Outcome::Lost(lost) = outcome {
            self.coverage.count(match lost.verdict {
                Some(_) => "lost with a verdict",
                None => "lost without a verdict",
            });
        }
    }

    /// Something unreadable is on its way to an end.
    pub fn garble(&mut self, to: Side) {
        self.tampered = true;
        if let Some(conn) = self.current.and_then(|number| self.conns.get_mut(&number)) {
            match to {
                Side::Server => conn.to_server.push_back(Arriving::Malformed),
                Side::Client => conn.to_client.push_back(Arriving::Malformed),
            }
        }
    }

    /// A frame on its way is lost, although TCP should not lose one: a proxy with a bug.
    pub fn lose_a_frame(&mut self, to: Side) {
        self.tampered = true;
        if let Some(conn) = self.current.and_then(|number| self.conns.get_mut(&number)) {
            let lost = match to {
                Side::Server => conn.to_server.pop_front(),
                Side::Client => conn.to_client.pop_front(),
            };
            match lost {
                Some(Arriving::Frame(frame)) if frame.numbers() > 0 => {
                    self.account.shifted[to.other() as usize] = true;
                }
                Some(_) => self.counts_lost = true,
                None => {}
            }
        }
    }

    /// A frame that the protocol forbids is on its way to an end, which has to close with this code.
    pub fn forbid(&mut self, to: Side, frame: Frame<Word>, code: u16) {
        self.tampered = true;
        let forbidden = Arriving::Forbidden(frame, code);
        if let Some(conn) = self.current.and_then(|number| self.conns.get_mut(&number)) {
            match to {
                Side::Server if !matches!(conn.reader, Reader::Nobody) => {
                    conn.to_server.push_back(forbidden);
                }
                Side::Client if conn.end_to_client.is_none() => {
                    conn.to_client.push_back(forbidden);
                }
                _ => {}
            }
        }
    }

    /// A client with a bug sends these as well.
    pub fn forge(&mut self, frames: impl IntoIterator<Item = Frame<Word>>) {
        self.tampered = true;
        if let Some(conn) = self.current.and_then(|number| self.conns.get_mut(&number))
            && !matches!(conn.reader, Reader::Nobody)
        {
            for frame in frames {
                // What has a number makes numbers mean other messages.
                self.account.shifted[Side::Client as usize] |= frame.numbers() > 0;
                // It may come before the client has read of the epoch in which it counts.
                self.forgot = true;
                conn.to_server.push_back(Arriving::Frame(frame));
            }
        }
    }

    /// A message that has no place in the account.
    #[must_use]
    pub const fn nobodys(bytes: usize) -> Word {
        Word {
            id: NOBODY,
            bytes,
            kind: Kind::Text,
            fatal: None,
        }
    }

    /// Somebody with a copy of the client's secret says hello.
    pub fn imposter(&mut self, identity: u64) {
        let Some(welcome) = self.client.welcome() else {
            return;
        };
        // Its hello says what is not so. If it is let in, what the server is told is wrong.
        self.tampered = true;
        self.account.owners_vanish = true;
        let is_known = self.identities.contains(&identity);
        self.account.shifted[Side::Server as usize] |= is_known;
        self.forgot |= is_known;
        self.twin |= is_known;
        let hello = Hello {
            secret: Secret::new(self.random),
            attempt: 1_000_000,
            epoch: welcome.epoch,
            received: self.settings.ends[0].origin,
            handled: self.settings.ends[0].origin,
            first: 1,
            sent: self.settings.ends[0].origin,
            limits: self.settings.ends[0].limits,
            age_ms: 1,
            credential: None,
        };
        self.next_conn += 1;
        let conn = Conn {
            to_server: VecDeque::from([Arriving::Frame(Frame::Hello(hello.into()))]),
            to_client: VecDeque::new(),
            client: false,
            reader: Reader::Arriving(Arrival::new(self.time(), self.settings.of(Side::Server))),
            end_to_server: None,
            end_to_client: None,
            identity,
            attempt: 0,
            epoch: 0,
            acknowledged: 0,
            kept: 0,
            kept_numbers: 0,
            kept_bytes: 0,
            kept_wrong: None,
            may_resume: true,
            answered: false,
            lost: false,
            welcomed: false,
        };
        self.conns.insert(self.next_conn, conn);
    }

    // ----- the server's process

    /// The server's process dies without a store and starts again, behind a proxy that has answered the handshakes: what
    /// the proxy has of connections that the server has not seen still arrives.
    pub fn restart_behind_a_proxy(&mut self) {
        self.coverage
            .count("hellos were held up while the server restarted");
        let unseen = self.conns.iter();
        let unseen = unseen.filter(|(_, conn)| matches!(conn.reader, Reader::Arriving(_)));
        let unseen: Vec<(u64, Conn)> = unseen.map(|(at, conn)| (*at, conn.clone())).collect();
        self.restart(false);
        for (number, mut conn) in unseen {
            conn.reader =
                Reader::Arriving(Arrival::new(self.time(), self.settings.of(Side::Server)));
            self.conns.insert(number, conn);
        }
    }

    /// As above, and the proxy reaches the new process only after a while: its handshake with it is later.
    pub fn restart_behind_a_slow_proxy(&mut self, millis: u64) {
        self.restart_behind_a_proxy();
        self.now += millis;
        let made = self.time();
        for conn in self.conns.values_mut() {
            if matches!(conn.reader, Reader::Arriving(_)) {
                conn.reader = Reader::Arriving(Arrival::new(made, self.settings.of(Side::Server)));
            }
        }
    }

    /// A balancer moves a client to another process of the server, which takes the session over at the store they share and
    /// dies before it answers. Returns whether the session was there to be taken.
    pub fn take_over(&mut self, number: u64) -> bool {
        let Some(Reader::Authorising(arrival)) = self.conns.get(&number).map(|conn| &conn.reader)
        else {
            return false;
        };
        let hello = arrival.hello().expect("the hello has arrived").clone();
        let key = hello.secret.key();
        let half = self.halves.get(&key);
        if half.is_none_or(|half| half.server.epoch() == 0 || half.server.epoch() != hello.epoch) {
            return false;
        }
        let conn = self.conns.get_mut(&number).expect("it is there");
        conn.reader = Reader::Nobody;
        conn.to_server.clear();
        conn.end_to_client.get_or_insert(1_006);
        self.epochs += 1;
        let claim = Claim {
            key,
            identity: Identity(format!("person {}", conn.identity)),
            may_resume: true,
            attempt: hello.attempt,
            epoch: hello.epoch,
            has_sent: hello.sent != self.settings.of(Side::Server).origin,
            began: self.time(),
            owner: None,
            new_epoch: self.epochs,
            lost: None,
        };
        self.account.owners_vanish = true;
        self.coverage
            .count("another process took the session over, and died");
        // Its answer would be for the other process.
        let since = self.store.since();
        self.store
            .ask(self.time(), Ticket(0), Question::Open(claim));
        self.forgot |= self.store.since() != since;
        while self.store.poll().is_some() {}
        self.settle();
        true
    }

    /// The server's process dies, and starts again with its store and a smaller window.
    pub fn restart_smaller(&mut self, messages: u64, bytes: u64) {
        let limits = &mut self.server_limits;
        limits.messages = messages.clamp(1, limits.messages);
        limits.bytes = bytes.clamp(1, limits.bytes);
        self.coverage.count("the server's window shrank");
        self.restart(true);
    }

    /// The server's process dies and starts again.
    pub fn restart(&mut self, with_store: bool) {
        if with_store {
            self.what_is_done_is_stored();
        }
        self.account.owners_vanish = true;
        self.forgot |= !with_store;
        self.coverage.count(match with_store {
            true => "the server restarted with its store",
            false => "the server restarted without its store",
        });
        if with_store {
            while self.work_at_store(Treat::NoAnswer) {}
        }
        for half in std::mem::take(&mut self.halves).into_values() {
            let open: Vec<usize> = self.account.open(Side::Server, half.who).collect();
            for id in open {
                self.account.entries[id].orphan = true;
            }
        }
        for conn in self.conns.values_mut() {
            conn.reader = Reader::Nobody;
            conn.to_server.clear();
            conn.end_to_client.get_or_insert(1_006);
        }
        self.gather_at_server.clear();
        self.late.clear();
        self.questions.clear();
        if !with_store {
            self.store = MemoryStore::new(self.time(), self.settings.store);
        }
        self.settle();
    }

    /// The store does what it was asked first. Returns whether there was anything.
    pub fn work_at_store(&mut self, treat: Treat) -> bool {
        let Some((key, epoch, ticket, question)) = self.questions.pop_front() else {
            return false;
        };
        let is_silent = matches!(treat, Treat::NoQuestion | Treat::NoAnswer);
        self.account.owners_vanish |= is_silent;
        self.store_was_silent |= is_silent;
        if treat == Treat::NoQuestion {
            self.coverage.count("a store did not answer");
            return true;
        }
        let step = match &question {
            Question::Step(step) => {
                let freed = step.freed.iter().copied().max().unwrap_or(0);
                let numbers = freed.max(step.got);
                Some((step.handled, step.also.clone(), numbers))
            }
            _ => None,
        };
        let repeats = match &question {
            Question::Open(claim) => Some(claim.epoch),
            _ => None,
        };
        let sends: Vec<usize> = match &question {
            Question::Step(step) => {
                let words = step.sends.iter().filter_map(Item::payload);
                words.map(|word| word.id).collect()
            }
            _ => Vec::new(),
        };
        let since = self.store.since();
        self.store.ask(self.time(), ticket, question);
        // With a tombstone that is gone, the memory is younger. Their number does not show it: another may have come.
        self.forgot |= self.store.since() != since;
        while let Some((ticket, reply)) = self.store.poll() {
            if matches!(reply, Reply::Full) {
                for id in &sends {
                    if let Some(entry) = self.account.entries.get_mut(*id) {
                        entry.refused = true;
                    }
                }
            }
            if self.trace {
                println!("    store: {treat:?} {ticket:?} {reply:?}");
            }
            if let (Some((handled, also, numbers)), Reply::Stepped { first }) = (&step, &reply) {
                if numbers >= first {
                    self.wrong(format!(
                        "the store is told of {numbers}, and {first} is the next number"
                    ));
                }
                self.committed(epoch, *handled, also);
            }
            if let (Some(epoch), Reply::Opened(opening)) = (repeats, &reply)
                && let steady_socket_protocol::session::store::Found::Lost(lost) = &opening.found
            {
                // Its lease has run out: nobody has said what it was given.
                let verdict = lost.verdict.as_ref();
                self.account.owners_vanish |=
                    verdict.is_some_and(|verdict| verdict.given == MAX_NUMBER);
                let said = (epoch, lost.clone());
                let before = self.verdicts.insert(self.secrets_of(key), said.clone());
                if before == Some(said) {
                    self.coverage.count("the same verdict again");
                }
            }
            match treat {
                Treat::NoAnswer => {
                    self.coverage.count("a store did not answer");
                    continue;
                }
                Treat::Twice => {
                    self.coverage.count("a store answered twice");
                    self.late.push_back((key, ticket, reply.clone()));
                }
                _ => {}
            }
            if let Some(half) = self.halves.get_mut(&key) {
                half.server
                    .answered(Time::from_millis(self.now), ticket, reply);
            }
        }
        self.settle();
        true
    }

    fn secrets_of(&self, key: Key) -> u64 {
        let [a, b, c, d, ..] = key.0;
        u64::from(u32::from_be_bytes([a, b, c, d]))
    }

    fn committed(&mut self, epoch: u64, handled: u64, also: &[(u64, u64)]) {
        for entry in &mut self.account.entries {
            if entry.from != Side::Client || entry.request {
                continue;
            }
            if let Some((of, number)) = entry.place
                && of == epoch
                && (number <= handled
                    || also
                        .iter()
                        .any(|(from, to)| (*from..=*to).contains(&number)))
            {
                entry.committed = true;
            }
        }
    }

    /// An answer that the store has given arrives again, much later.
    pub fn answer_again(&mut self) {
        if let Some((key, ticket, reply)) = self.late.pop_front() {
            if let Some(half) = self.halves.get_mut(&key) {
                half.server
                    .answered(Time::from_millis(self.now), ticket, reply);
            }
            self.settle();
        }
    }

    /// Whether the store has something to do.
    #[must_use]
    pub fn store_has_work(&self) -> bool {
        !self.questions.is_empty()
    }

    // ----- time

    /// Time passes. Timers fire, unless they are throttled.
    pub fn advance(&mut self, millis: u64, timers: bool) {
        self.now += millis;
        // A process that sleeps for longer than a lease has gone without a word.
        self.account.owners_vanish |= millis >= self.settings.store.lease_ms;
        // Not even a tombstone stays for so long, and that of a session that was closed is gone sooner.
        let life = match self.closed {
            true => limits::CLOSED_TOMBSTONE_MS,
            false => limits::EXPIRED_TOMBSTONE_MS,
        };
        self.forgot |= self.now - START > life / 10 * 9;
        if !timers {
            return;
        }
        let now = self.time();
        // A driver does not know of any other time.
        let is_due = |at: Option<Time>, now| at.is_some_and(|at| at <= now);
        if is_due(self.client.next_timer(), self.client_time()) {
            self.client.timer(self.client_time());
        }
        let late: Vec<u64> = self
            .conns
            .iter()
            .filter(|(_, conn)| match &conn.reader {
                Reader::Arriving(arrival) => arrival.deadline().is_some_and(|at| at <= now),
                _ => false,
            })
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            self.close_at_server(number, 3_472);
        }
        for half in self.halves.values_mut() {
            if is_due(half.server.next_timer(), now) {
                half.server.timer(now);
            }
        }
        self.settle();
        self.whose_time_is_over_has_ended();
    }

    /// No request is open beyond its time, where timers fire and its asker listens.
    fn whose_time_is_over_has_ended(&mut self) {
        let late = self.account.entries.iter().position(|entry| {
            let over = |at| at <= self.time_of(entry.from).as_millis();
            entry.deadline.is_some_and(over)
                && entry.told.is_none()
                && !entry.orphan
                && !self.lazy[entry.from as usize]
        });
        if let Some(id) = late {
            self.wrong(format!("the time of {id} is over, and it has no end"));
        }
    }

    /// Milliseconds until the next timer.
    #[must_use]
    pub fn until_next_timer(&self) -> Option<u64> {
        let halves = self
            .halves
            .values()
            .filter_map(|half| half.server.next_timer());
        let server = halves
            .min()
            .map(|at| at.as_millis().saturating_sub(self.now));
        let client = self.client.next_timer().map(|at| {
            let wait = at
                .as_millis()
                .saturating_sub(self.client_time().as_millis());
            match self.settings.slow_clock {
                true => wait + wait.div_ceil(999),
                false => wait,
            }
        });
        [server, client].into_iter().flatten().min()
    }

    /// The client has waited for its welcome for too long.
    pub fn welcome_is_late(&mut self) {
        if self.client.phase() == Phase::Greeting {
            self.client.welcome_timed_out(self.client_time());
            self.settle();
        }
    }

    // ----- the applications

    /// The half that the client's session has at the server.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        let number = self.current?;
        match self.conns.get(&number)?.reader {
            Reader::Attached(key) => Some(key),
            _ => None,
        }
    }

    /// Any half, preferably that of the current connection.
    #[must_use]
    pub fn some_key(&self) -> Option<Key> {
        self.key()
            .or_else(|| self.halves.keys().next_back().copied())
    }

    /// An application sends a message.
    pub fn send(
        &mut self,
        from: Side,
        key: Option<Key>,
        bytes: usize,
        kind: Kind,
        mode: SendMode,
        fatal: Option<Fatal>,
    ) {
        let now = self.time_of(from);
        match from {
            Side::Client => {
                let id = self.account.add(from, self.page, false, mode);
                let word = Word {
                    id,
                    bytes,
                    kind,
                    fatal,
                };
                match self.client.send(now, word, mode) {
                    Ok(delivery) => {
                        self.deliveries.insert(delivery, id);
                    }
                    Err(rejected) => self.rejected(id, rejected.why),
                }
            }
            Side::Server => {
                let Some(half) = key.and_then(|key| self.halves.get_mut(&key)) else {
                    return;
                };
                let id = self.account.add(from, half.who, false, mode);
                let word = Word {
                    id,
                    bytes,
                    kind,
                    fatal,
                };
                match half.server.send(now, word, mode) {
                    Ok(delivery) => {
                        half.deliveries.insert(delivery, id);
                    }
                    Err(rejected) => self.rejected(id, rejected.why),
                }
            }
        }
        self.settle();
    }

    fn rejected(&mut self, id: usize, why: Rejection) {
        self.account.take_back(id);
        self.coverage.count(format!("rejected: {why:?}"));
    }

    /// An application sends what need not arrive.
    pub fn send_volatile(&mut self, from: Side, key: Option<Key>) {
        let now = self.time_of(from);
        let word = Self::nobodys(5);
        let (waiting, went) = match (from, key.and_then(|key| self.halves.get_mut(&key))) {
            (Side::Client, _) => {
                let waiting = self.client.queued().0;
                (waiting, self.client.send_volatile(now, word))
            }
            (Side::Server, Some(half)) => {
                let waiting = half.server.queued().0;
                (waiting, half.server.send_volatile(now, word))
            }
            (Side::Server, None) => return,
        };
        if went && waiting > 0 {
            self.wrong(format!("a volatile message overtakes {waiting} that wait"));
        }
        self.settle();
    }

    /// An application asks.
    pub fn ask(&mut self, from: Side, key: Option<Key>, within: Option<u64>, fatal: Option<Fatal>) {
        let now = self.time_of(from);
        let deadline = within.map(|millis| now.after(millis));
        let sender = match from {
            Side::Client => Some(self.page),
            Side::Server => key
                .and_then(|key| self.halves.get(&key))
                .map(|half| half.who),
        };
        let Some(sender) = sender else {
            return;
        };
        let id = self.account.add(from, sender, true, SendMode::default());
        self.account.entries[id].early = from == Side::Client && self.client.welcome().is_none();
        let word = Word {
            id,
            bytes: 20,
            kind: Kind::Text,
            fatal,
        };
        self.account.entries[id].deadline = deadline.map(Time::as_millis);
        let asked = match (from, key.and_then(|key| self.halves.get_mut(&key))) {
            (Side::Client, _) => self
                .client
                .ask(now, word, deadline)
                .map(|ask| self.asks.insert(ask, id)),
            (Side::Server, Some(half)) => half
                .server
                .ask(now, word, deadline)
                .map(|ask| half.asks.insert(ask, id)),
            (Side::Server, None) => return,
        };
        if let Err(rejected) = asked {
            self.rejected(id, rejected.why);
        }
        self.settle();
    }

    /// An application cancels one of its requests.
    pub fn cancel(&mut self, from: Side, key: Option<Key>, pick: u64) {
        let now = self.time_of(from);
        fn one(asks: &BTreeMap<Ask, usize>, pick: u64) -> Option<Ask> {
            let count = asks.len() as u64;
            (count > 0).then(|| asks.keys().nth((pick % count) as usize).copied())?
        }
        match (from, key.and_then(|key| self.halves.get_mut(&key))) {
            (Side::Client, _) => {
                if let Some(ask) = one(&self.asks, pick) {
                    self.client.cancel(now, ask);
                }
            }
            (Side::Server, Some(half)) => {
                if let Some(ask) = one(&half.asks, pick) {
                    half.server.cancel(now, ask);
                }
            }
            (Side::Server, None) => {}
        }
        self.settle();
    }

    /// How many handlers run at an end.
    #[must_use]
    pub fn running(&self, side: Side, key: Option<Key>) -> usize {
        match side {
            Side::Client => self.running.len(),
            Side::Server => key
                .and_then(|key| self.halves.get(&key))
                .map_or(0, |half| half.running.len()),
        }
    }

    /// A handler finishes: one of those that run, or the first if they are serial. `how` chooses the answer of a request.
    pub fn finish(&mut self, side: Side, key: Option<Key>, pick: u64, how: u64) {
        let now = self.time_of(side);
        let serial = self.settings.serial[side as usize];
        let half = key.and_then(|key| self.halves.get_mut(&key));
        let running = match (side, half) {
            (Side::Client, _) => &mut self.running,
            (Side::Server, Some(half)) => &mut half.running,
            (Side::Server, None) => return,
        };
        if running.is_empty() {
            return;
        }
        let at = if serial {
            0
        } else {
            (pick % running.len() as u64) as usize
        };
        let Running {
            token,
            id,
            request,
            withdrawn,
            ..
        } = running.remove(at);
        let answer = request.then(|| {
            let word = Word {
                id,
                bytes: 30,
                kind: Kind::Text,
                // Some answers are as fatal as some messages.
                fatal: (how % 97 == 5 && self.fatal_answers).then_some(Fatal::Close(1_009)),
            };
            match how % 8 {
                _ if withdrawn => Answer::Refused(Refusal::Cancelled),
                0 => Answer::Error(word),
                1 => Answer::Refused(Refusal::NoHandler),
                2 => Answer::Refused(Refusal::Failed),
                _ => Answer::Response(word),
            }
        });
        if let Some(entry) = self.account.entries.get_mut(id) {
            entry.done |= !matches!(answer, Some(Answer::Refused(_)));
        }
        match (side, key.and_then(|key| self.halves.get_mut(&key)), answer) {
            (Side::Client, _, None) => self.client.handled(now, token),
            (Side::Client, _, Some(answer)) => drop(self.client.answer(now, token, answer)),
            (Side::Server, Some(half), None) => half.server.handled(now, token),
            (Side::Server, Some(half), Some(answer)) => {
                drop(half.server.answer(now, token, answer))
            }
            (Side::Server, None, _) => {}
        }
        self.settle();
    }

    /// The server's application ends the session, or gives it up as full.
    pub fn end_at_application(&mut self, key: Option<Key>, full: bool) {
        let now = self.time();
        self.closed |= !full;
        if let Some(half) = key.and_then(|key| self.halves.get_mut(&key)) {
            match full {
                true => half.server.lose(now, Why::Full),
                false => half.server.end_session(now),
            }
            self.settle();
        }
    }

    /// The client's application closes.
    pub fn close(&mut self, within: u64) {
        let now = self.client_time();
        self.client.close(now, now.after(within));
        self.settle();
    }

    /// The client's module fails.
    pub fn abort(&mut self) {
        self.client.abort();
        self.settle();
    }

    /// The page is hidden, or a ping goes out.
    pub fn flush(&mut self) {
        let now = self.time();
        self.client.flush(self.client_time());
        if let Some(half) = self.some_key().and_then(|key| self.halves.get_mut(&key)) {
            half.server.flush(now);
        }
        self.settle();
    }

    /// A fresh credential.
    pub fn send_credential(&mut self) {
        if let Some(credential) = Credential::parse("fresh") {
            self.client.send_credential(credential);
            self.settle();
        }
    }

    /// A connection takes no more, or takes more again.
    pub fn set_writable(&mut self, side: Side, writable: bool) {
        let now = self.time();
        self.writable[side as usize] = writable;
        match side {
            Side::Client => self.client.set_writable(self.client_time(), writable),
            Side::Server => {
                if let (Some(key), Some(number)) = (self.key(), self.current)
                    && let Some(half) = self.halves.get_mut(&key)
                {
                    half.server.set_writable(now, Connection(number), writable);
                }
            }
        }
        self.settle();
    }

    /// The turns of both event loops are over.
    pub fn end_turns(&mut self) {
        let now = self.time();
        if std::mem::take(&mut self.gathering) {
            self.client.gathered(self.client_time());
        }
        for key in std::mem::take(&mut self.gather_at_server) {
            if let Some(half) = self.halves.get_mut(&key) {
                half.server.gathered(now);
            }
        }
        self.settle();
    }

    // ----- the driver

    /// Carries out all effects, and hands out what the applications take.
    fn settle(&mut self) {
        self.account.store_waited |= self.store_waits;
        loop {
            let mut busy = self.client_effects();
            let keys: Vec<Key> = self.halves.keys().copied().collect();
            for key in &keys {
                busy |= self.server_effects(*key);
            }
            if !self.store_waits && !self.questions.is_empty() {
                self.work_at_store(Treat::Answer);
                busy = true;
            }
            if !busy {
                for side in [Side::Client, Side::Server] {
                    if !self.lazy[side as usize] {
                        busy |= self.take_outputs(side, usize::MAX);
                    }
                }
            }
            if !busy {
                break;
            }
        }
        self.conns
            .retain(|_, conn| conn.client || !matches!(conn.reader, Reader::Nobody));
        let over: Vec<Key> = self
            .halves
            .iter()
            .filter(|(_, half)| half.server.is_over() && !half.server.has_output())
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            let Some(half) = self.halves.remove(&key) else {
                continue;
            };
            let open = self.account.open(Side::Server, half.who).next();
            if let Some(id) = open {
                self.wrong(format!("{id} has no end, and its server's half is over"));
            }
        }
    }

    fn client_effects(&mut self) -> bool {
        let mut busy = false;
        loop {
            if let Some(frame) = self.client.poll_frame() {
                busy = true;
                self.client_sends(frame);
                continue;
            }
            let Some(effect) = self.client.poll_effect() else {
                break;
            };
            busy = true;
            if self.trace {
                println!("    client: {effect:?}");
            }
            match effect {
                ClientEffect::Close(code) => {
                    self.closes_with("client", code);
                    let current = self.current.and_then(|number| self.conns.get(&number));
                    let theirs = current.and_then(|conn| conn.end_to_client);
                    self.drop_current(Some(code));
                    self.client
                        .closed(self.client_time(), theirs.unwrap_or(1_006));
                }
                ClientEffect::Gather => self.gathering = true,
                ClientEffect::GiveUp => {
                    self.gave_up = true;
                    self.drop_current(Some(1_006));
                }
                _ => {}
            }
        }
        busy
    }

    fn client_sends(&mut self, frame: Frame<Word>) {
        if self.trace {
            println!("    client: {frame:?}");
        }
        self.on_the_wire(&frame);
        if let Frame::Hello(hello) = &frame {
            self.epoch = hello.epoch;
        }
        match self.current.and_then(|number| self.conns.get_mut(&number)) {
            Some(conn) => {
                // What goes to a server that no longer reads is lost.
                if !matches!(conn.reader, Reader::Nobody) {
                    conn.to_server.push_back(Arriving::Frame(frame));
                }
            }
            None => self.wrong(format!("a frame without a connection: {frame:?}")),
        }
    }

    fn server_effects(&mut self, key: Key) -> bool {
        let mut busy = false;
        while let Some(effect) = self
            .halves
            .get_mut(&key)
            .and_then(|half| half.server.poll_effect())
        {
            busy = true;
            if self.trace {
                println!("    server: {effect:?}");
            }
            match effect {
                ServerEffect::Transmit(connection, frame) => {
                    self.on_the_wire(&frame);
                    if let Frame::Welcome(welcome) = &frame
                        && let Some(conn) = self.conns.get_mut(&connection.0)
                    {
                        conn.answered = true;
                        conn.lost = matches!(welcome.outcome, Outcome::Lost(_));
                        let goes_on =
                            matches!(welcome.outcome, Outcome::Continued | Outcome::Replayed(_));
                        if goes_on && !conn.may_resume {
                            self.wrong(format!("whoever may not resume does: {welcome:?}"));
                        } else if goes_on && welcome.first <= conn.acknowledged.min(MAX_NUMBER - 1)
                        {
                            let acknowledged = conn.acknowledged;
                            self.wrong(format!("a hello acknowledged {acknowledged}: {welcome:?}"));
                        }
                    }
                    if let Some(conn) = self.conns.get_mut(&connection.0)
                        && conn.client
                        && conn.end_to_client.is_none()
                    {
                        conn.to_client.push_back(Arriving::Frame(frame));
                    }
                }
                ServerEffect::Close(connection, code) => self.close_at_server(connection.0, code),
                ServerEffect::Ask(ticket, question) => {
                    let epoch = self.halves.get(&key).map_or(0, |half| half.server.epoch());
                    self.questions.push_back((key, epoch, ticket, *question));
                }
                ServerEffect::Gather => self.gather_at_server.push(key),
                _ => {}
            }
        }
        busy
    }

    /// Counts what is sent, and checks that it comes through.
    fn on_the_wire(&mut self, frame: &Frame<Word>) {
        self.count_frame(frame);
        self.closed |= matches!(frame, Frame::End { .. });
        // The codec has tests of its own, with payloads.
        let short = frame.clone().map(|_| Data::from("1"));
        let read = write(short.clone(), Style::JSON).map(read);
        if !matches!(&read, Ok(Ok(back)) if *back == short) {
            self.wrong(format!("{frame:?} is written so that it is {read:?}"));
        }
    }

    fn count_frame(&mut self, frame: &Frame<Word>) {
        let name = match frame {
            Frame::Message(_) => "Message",
            Frame::Batch { handled: None, .. } => "Batch",
            Frame::Batch { .. } => "Batch with acknowledgement",
            Frame::Skip(_) => "Skip",
            Frame::Request(_) => "Request",
            Frame::Answer { .. } => "Answer",
            Frame::Cancel { .. } => "Cancel",
            Frame::AwaitedMessage(_) => "AwaitedMessage",
            Frame::Volatile(_) => "Volatile",
            Frame::Ack(counts) => {
                if counts.sent > u64::from(u32::MAX) {
                    self.coverage.count("numbers beyond 2^32");
                }
                if counts.sent > MAX_NUMBER - 50 {
                    self.coverage.count("numbers beyond 2^53 - 50");
                }
                "Ack"
            }
            Frame::Got(_) => "Got",
            Frame::Awaited(_) => "Awaited",
            Frame::Stalled(_) => "Stalled",
            Frame::Credential(_) => "Credential",
            Frame::End { .. } => "End",
            _ => return,
        };
        self.coverage.count(format!("frame: {name}"));
    }

    /// An application takes so many outputs. Returns whether there was one.
    pub fn take_outputs(&mut self, side: Side, most: usize) -> bool {
        let now = self.time_of(side);
        let (mut taken, mut volatile) = (0, 0);
        let keys = self.halves.len().max(1) as u64;
        match side {
            Side::Client => {
                while taken < most
                    && let Some(output) = self.client.poll_output(now)
                {
                    taken += 1;
                    volatile += u64::from(matches!(output, Output::Volatile(_)));
                    self.client_output(output);
                    self.client_effects();
                }
            }
            Side::Server => {
                let keys: Vec<Key> = self.halves.keys().copied().collect();
                for key in keys {
                    while taken < most
                        && let Some(output) = self
                            .halves
                            .get_mut(&key)
                            .and_then(|half| half.server.poll_output(now))
                    {
                        taken += 1;
                        volatile += u64::from(matches!(output, Output::Volatile(_)));
                        self.server_output(key, output);
                    }
                }
            }
        }
        let room = self.settings.of(side).limits.messages * keys;
        if volatile > room {
            self.wrong(format!(
                "{volatile} volatile messages were in the {}'s inbox",
                side.name()
            ));
        }
        taken > 0
    }

    fn client_output(&mut self, output: Output<Word>) {
        let epoch = self.client.welcome().map_or(0, |welcome| welcome.epoch);
        let (page, side) = (self.page, Side::Client);
        match output {
            Output::Message { token, payload } => {
                self.give(side, page, &payload, (epoch, token.number()));
                self.running.push(running(token, &payload, false, epoch));
            }
            Output::Request { token, payload } => {
                self.give(side, page, &payload, (epoch, token.number()));
                self.running.push(running(token, &payload, true, epoch));
            }
            Output::Withdrawn(token) => {
                withdraw(&mut self.running, token);
                self.coverage.count("client: withdrawn");
            }
            Output::Handled(run) => {
                for delivery in run {
                    match self.deliveries.remove(&delivery) {
                        Some(id) => self.settled(side, id, None),
                        None => self.wrong(format!("{delivery:?} was handled, and was not open")),
                    }
                }
            }
            Output::Settled(delivery, end) => match self.deliveries.remove(&delivery) {
                Some(id) => self.settled(side, id, Some(&end)),
                None => self.wrong(format!("{delivery:?} ended, and was not open: {end:?}")),
            },
            Output::Answered(ask, end) => match self.asks.remove(&ask) {
                Some(id) => self.answered(side, id, &end),
                None => self.wrong(format!("{ask:?} ended, and was not open: {end:?}")),
            },
            output => self.event(side, &output),
        }
    }

    fn server_output(&mut self, key: Key, output: Output<Word>) {
        let side = Side::Server;
        let limits = self.settings.of(side).limits;
        let origin = self.settings.of(side).origin;
        let Some(half) = self.halves.get_mut(&key) else {
            return;
        };
        let (epoch, who) = (half.server.epoch(), half.receiver);
        match output {
            Output::Message { token, payload } => {
                half.running.push(running(token, &payload, false, epoch));
                let open = half.running.iter();
                let open = open.filter(|handler| !handler.request && handler.epoch == epoch);
                let (open, bytes) = (
                    open.clone().count() as u64,
                    open.map(|handler| handler.bytes).sum::<usize>(),
                );
                // What rides is sent before the window is known, and what is repeated may be from an owner with another.
                let mut most = (limits.messages, limits.bytes);
                if token.number() <= origin + limits::RIDING_MESSAGES {
                    most.0 = most.0.max(limits::RIDING_MESSAGES);
                    most.1 = most.1.max(limits::RIDING_BYTES);
                }
                if half.resumed {
                    most.0 = most.0.max(limits::MESSAGES);
                    most.1 = most.1.max(limits::BYTES);
                }
                if open > most.0 || (open > 1 && bytes as u64 > most.1) {
                    self.wrong(format!(
                        "the server's application has {open} messages with {bytes} bytes"
                    ));
                }
                self.give(side, who, &payload, (epoch, token.number()));
            }
            Output::Request { token, payload } => {
                half.running.push(running(token, &payload, true, epoch));
                let open = half.running.iter();
                let open = open
                    .filter(|handler| handler.request && !handler.withdrawn)
                    .count() as u64;
                if open > limits.requests {
                    self.wrong(format!("the server's application has {open} requests"));
                }
                self.give(side, who, &payload, (epoch, token.number()));
            }
            Output::Withdrawn(token) => {
                withdraw(&mut half.running, token);
                self.coverage.count("server: withdrawn");
            }
            Output::Handled(run) => {
                let half = &mut half.deliveries;
                let ids: Vec<_> = run.into_iter().map(|it| (it, half.remove(&it))).collect();
                for (delivery, id) in ids {
                    match id {
                        Some(id) => self.settled(side, id, None),
                        None => self.wrong(format!("{delivery:?} was handled, and was not open")),
                    }
                }
            }
            Output::Settled(delivery, end) => match half.deliveries.remove(&delivery) {
                Some(id) => self.settled(side, id, Some(&end)),
                None => self.wrong(format!("{delivery:?} ended, and was not open: {end:?}")),
            },
            Output::Answered(ask, end) => match half.asks.remove(&ask) {
                Some(id) => self.answered(side, id, &end),
                None => self.wrong(format!("{ask:?} ended, and was not open: {end:?}")),
            },
            output => {
                if let Output::Open(open) = &output {
                    half.resumed = matches!(open, Opened::Resumed { .. });
                }
                if matches!(output, Output::Ended(_)) {
                    half.receiver = self.people + 1;
                    self.people += 1;
                }
                self.event(side, &output);
            }
        }
    }

    fn give(&mut self, side: Side, who: u64, word: &Word, place: (u64, u64)) {
        if word.id == NOBODY {
            return;
        }
        match self.account.give(side, who, word, place) {
            Ok(true) => self.coverage.count("given again to a new owner"),
            Ok(false) => {}
            Err(wrong) => self.wrong(wrong),
        }
    }

    /// A sender is told how its message ended: handled, if not otherwise.
    fn settled(&mut self, side: Side, id: usize, end: Option<&End<Word>>) {
        let what = match end {
            None => "handled".to_owned(),
            Some(End::NotHandled { why, .. }) => format!("not handled: {why:?}"),
            Some(End::Unknown { why, .. }) => format!("unknown: {why:?}"),
        };
        self.coverage
            .count(format!("{}: message {what}", side.name()));
        // Where a session goes on, nobody says of it what its store does not know. At its end the verdict says more.
        let entry = &self.account.entries[id];
        let epoch = self.client.welcome().map(|welcome| welcome.epoch);
        let goes_on = self.client.phase() != Phase::Ended && entry.place.map(|(of, _)| of) == epoch;
        let is_early = goes_on && side == Side::Client && !entry.committed;
        if is_early && end.is_none() && self.account.shifted == [false; 2] {
            self.wrong(format!(
                "{id} is said to be handled, and its store does not know it"
            ));
        }
        if let Err(wrong) = self.account.settle(id, end) {
            self.wrong(format!("{wrong}, as {what}"));
        }
    }

    fn answered(&mut self, side: Side, id: usize, end: &AskEnd<Word>) {
        let what = match end {
            AskEnd::Response(_) => "response".to_owned(),
            AskEnd::Error(_) => "error".to_owned(),
            AskEnd::Refused(why) => format!("refused {why:?}"),
            AskEnd::Cancelled => "cancelled".to_owned(),
            AskEnd::TimedOut => "timed out".to_owned(),
            AskEnd::NotHandled(_) => "not handled".to_owned(),
            AskEnd::Unknown(_) => "unknown".to_owned(),
        };
        self.coverage
            .count(format!("{}: request: {what}", side.name()));
        if let Err(wrong) = self.account.answer(id, end) {
            self.wrong(format!("{wrong}, as {what}"));
        }
    }

    fn event(&mut self, side: Side, output: &Output<Word>) {
        let superseded = matches!(
            (side, output),
            (Side::Client, Output::Ended(Ended::Superseded))
        );
        if superseded && !self.twin && !self.account.owners_vanish {
            self.wrong("a client without a twin gives up for one".to_owned());
        }
        let what = match output {
            Output::Open(Opened::Resumed { replayed: 0 }) => {
                "Open(Resumed) without replay".to_owned()
            }
            Output::Open(Opened::Resumed { .. }) => "Open(Resumed) with replay".to_owned(),
            Output::StalledHere(_) => "stalled here".to_owned(),
            Output::StalledThere(_) => "stalled there".to_owned(),
            output => format!("{output:?}"),
        };
        self.coverage.count(format!("{}: {what}", side.name()));
    }

    // ----- checks

    /// Checks the bounds of memory, and what else holds between steps.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&mut self) -> Result<(), Violation> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        // Numbered and unacknowledged, arrived and unhandled, requests both ways, answers and cancellations.
        let [client, server] = Side::BOTH.map(|side| self.settings.of(side).limits);
        let (messages, requests) = (
            client.messages.max(server.messages),
            client.requests.max(server.requests),
        );
        let most = 3 * messages.max(64) + 10 * requests.max(64) + 2 * 256 + 64;
        let ends = [(Side::Client, self.client.kept(), self.client.queued())];
        let halves = self.halves.values();
        let halves = halves.map(|half| (Side::Server, half.server.kept(), half.server.queued()));
        for (side, kept, (messages, bytes)) in ends.into_iter().chain(halves) {
            let (name, options) = (side.name(), self.settings.of(side));
            if kept as u64 > most {
                return Err(format!("the {name} keeps {kept}, and {most} are allowed"));
            }
            let fits = match messages {
                0 => bytes == 0,
                1 => true,
                _ => messages <= options.queue_messages && bytes <= options.queue_bytes,
            };
            if !fits {
                return Err(format!(
                    "the {name}'s queue holds {messages} with {bytes} bytes"
                ));
            }
        }
        if self.store.sessions() == 0 && self.store.bytes() > 0 {
            return Err(format!(
                "the store holds {} bytes of no session",
                self.store.bytes()
            ));
        }
        if self.store.bytes() > self.settings.store.bytes
            || self.store.sessions() > self.settings.store.sessions
            || self.store.tombstones() > self.settings.store.tombstones
        {
            return Err(format!(
                "the store holds {} sessions, {} bytes, {} tombstones",
                self.store.sessions(),
                self.store.bytes(),
                self.store.tombstones()
            ));
        }
        Ok(())
    }

    /// Everything works from now on: the dialogue comes to its end, and then so does the session.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn come_to_rest(&mut self, identity: u64) -> Result<(), Violation> {
        self.store_waits = false;
        self.lazy = [false; 2];
        self.late.clear();
        // Whoever has a copy of the secret leaves.
        for conn in self.conns.values_mut().filter(|conn| !conn.client) {
            conn.end_to_server.get_or_insert(1_006);
        }
        for side in Side::BOTH {
            if !self.writable[side as usize] {
                self.set_writable(side, true);
            }
        }
        self.settle();
        self.what_is_done_is_stored();
        if self.counts_lost {
            self.cut_at_client(None);
        }
        self.whoever_cancelled_is_heard(identity)?;
        // Each round is a network that works, and a second.
        for round in 0.. {
            if round > 400 {
                return Err(format!(
                    "the dialogue goes on without an end: {}",
                    self.describe()
                ));
            }
            if self.may_connect() {
                self.connect(identity);
            }
            let mut moved = true;
            let mut steps = 0;
            while moved {
                moved = false;
                let waiting: Vec<u64> = self.waiting_to_be_let_in().collect();
                for number in waiting {
                    self.let_in(number, true, true);
                    moved = true;
                }
                let busy: Vec<u64> = self.busy_to_server().collect();
                for number in busy {
                    self.deliver_to_server(number);
                    moved = true;
                }
                while self.busy_to_client() {
                    self.deliver_to_client();
                    moved = true;
                }
                for side in [Side::Client, Side::Server] {
                    let keys: Vec<Option<Key>> = match side {
                        Side::Client => vec![None],
                        Side::Server => self.halves.keys().copied().map(Some).collect(),
                    };
                    for key in keys {
                        while self.running(side, key) > 0 {
                            self.finish(side, key, 0, 7);
                            moved = true;
                        }
                    }
                }
                self.end_turns();
                self.check()?;
                steps += 1;
                if steps > 10_000 {
                    return Err("the dialogue goes on within a moment without an end".to_owned());
                }
            }
            self.what_is_awaited_is_told();
            self.advance(1_000, true);
            self.check()?;
            let up = self.client.phase() == Phase::Up && !self.busy_to_client();
            let quiet = self.client.queued().0 == 0
                && self.client.unacknowledged().0 == 0
                // An answer that was lost in silence does not come.
                && (self.asks.is_empty() || self.account.shifted != [false; 2]);
            if self.gave_up
                || (up
                    && quiet
                    && self.busy_to_server().next().is_none()
                    && self.halves_are_quiet())
            {
                break;
            }
        }
        Ok(())
    }

    /// Lets everything on its way arrive, without the applications.
    fn arrive(&mut self, identity: u64) {
        if self.may_connect() {
            self.connect(identity);
        }
        for _ in 0..1_000 {
            let waiting: Vec<u64> = self.waiting_to_be_let_in().collect();
            let busy: Vec<u64> = self.busy_to_server().collect();
            if waiting.is_empty() && busy.is_empty() && !self.busy_to_client() {
                return;
            }
            for number in waiting {
                self.let_in(number, true, true);
            }
            for number in busy {
                self.deliver_to_server(number);
            }
            while self.busy_to_client() {
                self.deliver_to_client();
            }
            self.end_turns();
        }
    }

    /// A handler that runs although its asker has cancelled, or waits no longer.
    fn unheard(&self) -> Option<usize> {
        let half = self.key().and_then(|key| self.halves.get(&key))?;
        if self.client.phase() != Phase::Up || self.account.shifted != [false; 2] {
            return None;
        }
        let of = |running: &[Running], sender: u64| {
            running.iter().find_map(|handler| {
                let entry = self.account.entries.get(handler.id)?;
                let runs = handler.request && !handler.withdrawn;
                let given_up = entry.told == Some(Told::GivenUp);
                (runs && given_up && entry.sender == sender).then_some(handler.id)
            })
        };
        of(&half.running, self.page).or_else(|| of(&self.running, half.who))
    }

    /// Whoever is asked learns that the answer is not wanted any more.
    fn whoever_cancelled_is_heard(&mut self, identity: u64) -> Result<(), Violation> {
        // A message that is blamed may hold it up, and so may a store that is silent.
        for _ in 0..1_000 {
            if self.unheard().is_none() {
                return Ok(());
            }
            self.arrive(identity);
            self.advance(1_000, true);
            self.check()?;
        }
        match self.unheard() {
            Some(id) => Err(format!(
                "the handler of {id} runs, and its asker has cancelled"
            )),
            None => Ok(()),
        }
    }

    /// What its sender waits for is told without a delay: both ends are there, and nothing is on its way.
    fn what_is_awaited_is_told(&mut self) {
        if self.client.phase() != Phase::Up
            || self.store_was_silent
            || self.counts_lost
            || self.account.shifted != [false; 2]
        {
            return;
        }
        let Some(half) = self.key().and_then(|key| self.halves.get(&key)) else {
            return;
        };
        let (epoch, senders) = (half.server.epoch(), [self.page, half.who]);
        let late = self.account.entries.iter().position(|entry| {
            entry.awaited
                && entry.done
                && entry.told.is_none()
                && !entry.orphan
                && entry.place.is_some_and(|(of, _)| of == epoch)
                && senders.contains(&entry.sender)
        });
        if let Some(id) = late {
            self.wrong(format!(
                "{id} is awaited and done, and its sender does not learn it"
            ));
        }
    }

    /// Whatever the server's application is done with is in a store that has answered everything.
    fn what_is_done_is_stored(&mut self) {
        if self.account.owners_vanish
            || self.account.shifted != [false; 2]
            || !self.questions.is_empty()
        {
            return;
        }
        // What a client that has closed has left unread is still given, and no store has to know.
        let lives = |half: &&Half| half.server.epoch() != 0;
        let lost = self.halves.values().filter(lives).find_map(|half| {
            let epoch = half.server.epoch();
            self.account.entries.iter().position(|entry| {
                entry.from == Side::Client
                    && !entry.request
                    && entry.done
                    && !entry.committed
                    && entry.given.last() == Some(&half.receiver)
                    && entry.place.is_some_and(|(of, _)| of == epoch)
            })
        });
        if let Some(id) = lost {
            self.wrong(format!("{id} is done, and the store does not know it"));
        }
    }

    fn describe(&self) -> String {
        let half = self.some_key().and_then(|key| self.halves.get(&key));
        let half = half.map(|half| {
            let server = &half.server;
            format!(
                "connected {}, queued {:?}, unacknowledged {:?}, {} asks, {} run",
                server.is_connected(),
                server.queued(),
                server.unacknowledged(),
                half.asks.len(),
                half.running.len()
            )
        });
        format!(
            "client {:?}, queued {:?}, unacknowledged {:?}, {} asks, {} run; server {half:?}",
            self.client.phase(),
            self.client.queued(),
            self.client.unacknowledged(),
            self.asks.len(),
            self.running.len()
        )
    }

    fn halves_are_quiet(&self) -> bool {
        let Some(half) = self.key().and_then(|key| self.halves.get(&key)) else {
            return true;
        };
        half.server.queued().0 == 0
            && half.server.unacknowledged().0 == 0
            && (half.asks.is_empty() || self.account.shifted != [false; 2])
    }

    /// The client closes, the server's sessions expire, and everything has its end.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn come_to_an_end(&mut self, identity: u64) -> Result<(), Violation> {
        self.close(5_000);
        for _ in 0..20 {
            self.check()?;
            if self.gave_up {
                break;
            }
            self.come_to_rest(identity)?;
        }
        if !self.gave_up {
            return Err("close() does not end".to_owned());
        }
        for _ in 0..4 {
            let busy: Vec<u64> = self.conns.keys().copied().collect();
            for number in busy {
                while self.conns.get(&number).is_some_and(|conn| {
                    !matches!(conn.reader, Reader::Nobody)
                        && (!conn.to_server.is_empty() || conn.end_to_server.is_some())
                }) {
                    self.deliver_to_server(number);
                }
                self.end_at_server(number, 1_006);
            }
            self.advance(self.settings.window_ms + 1, true);
        }
        self.check()?;
        if let Some(half) = self.halves.values().next() {
            return Err(format!(
                "a server's half does not end: {:?}",
                half.server.key()
            ));
        }
        let open = self.account.entries.iter().enumerate();
        let open = open.filter(|(_, entry)| entry.told.is_none() && !entry.orphan);
        if let Some((id, entry)) = open.into_iter().next() {
            return Err(format!("{id} has no end: {entry:?}"));
        }
        Ok(())
    }

    /// Inside the window, with a store that keeps its word, everything is handled; and given once, if no server process
    /// dies.
    ///
    /// # Errors
    /// What is not.
    pub fn everything_is_handled(&self, owners_stay: bool) -> Result<(), Violation> {
        // A message that was alone on its way at the death of three owners in a row is set aside.
        let mut set_aside = self.coverage.of("client: message unknown: SetAside");
        // What the server has sent goes on with the session, and no owner that loses it learns of the end.
        let taken_over = self.coverage.of("server: Ended(TakenOver)") > 0;
        for (id, entry) in self.account.entries.iter().enumerate() {
            if entry.orphan || entry.told == Some(Told::GivenUp) {
                continue;
            }
            if entry.from == Side::Server && taken_over {
                continue;
            }
            if entry.told == Some(Told::Unknown) && !owners_stay && set_aside > 0 {
                set_aside -= 1;
                continue;
            }
            if entry.told != Some(Told::Handled) {
                return Err(format!("{id} was lost inside the window: {entry:?}"));
            }
            if entry.given.len() != 1 && !entry.request && owners_stay {
                return Err(format!("{id} was not given once: {entry:?}"));
            }
        }
        Ok(())
    }

    /// A random step for the applications' data.
    pub fn word_size(rng: &mut Rng, most: usize) -> usize {
        match rng.below(20) {
            0 => 0,
            1 => most,
            2 => most + 1,
            _ => rng.between(1, (most as u64).min(200)) as usize,
        }
    }
}

fn running(token: Token, word: &Word, request: bool, epoch: u64) -> Running {
    Running {
        epoch,
        bytes: word.bytes,
        token,
        id: word.id,
        request,
        withdrawn: false,
    }
}

fn withdraw(running: &mut [Running], token: Token) {
    for handler in running {
        if handler.token == token && handler.request {
            handler.withdrawn = true;
        }
    }
}

fn fatal_of(frame: &Frame<Word>) -> Option<Fatal> {
    match frame {
        Frame::Message(word) | Frame::Request(word) => word.fatal,
        Frame::Batch { messages, .. } => messages.iter().find_map(|word| word.fatal),
        Frame::Answer {
            answer: Answer::Response(word) | Answer::Error(word),
            ..
        } => word.fatal,
        _ => None,
    }
}
