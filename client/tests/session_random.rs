//! Sessions of the Rust API under random faults, on virtual time, against the server's real half. Each seed is a story of
//! its own; a failure names it.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use steady_socket::protocol::session::frame::{Answer, Refusal};
use steady_socket::protocol::session::{Delivery, End, close};
use steady_socket::testing::{Closing, Handshake, SessionServer, State, World};
use steady_socket::{
    Event, Handle, Json, Message, Options, Phase, Request, SendMode, Session, SessionEvent, Socket,
    Verdict,
};

type Chat = Socket<u32, u32, Json>;

const SEEDS: u64 = 1_500;
const STEPS: u64 = 60;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Ask(u32);

impl Request for Ask {
    type Response = u32;
    type Error = u32;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Handled,
    NotHandled,
    Unknown,
}

/// What the client sees and does.
#[derive(Default)]
struct Seen {
    handle: RefCell<Option<Handle<u32, Json>>>,
    /// Messages of the server's, in the order in which they were given.
    given: RefCell<Vec<u32>>,
    /// The ends of messages by `deliver`.
    ends: RefCell<BTreeMap<u32, Fate>>,
    /// Messages that came back, by an event.
    back: RefCell<Vec<(u32, Fate)>>,
    /// Requests that have ended, and whether with a response.
    answered: RefCell<BTreeMap<u32, bool>>,
    sent: Cell<u32>,
    calls: Cell<u64>,
    /// Where the order of events is: whether a connection is open.
    is_open: Cell<bool>,
    began: Cell<bool>,
}

fn number(message: &Message) -> u32 {
    match message {
        Message::Text(text) => text.trim_matches(['[', ']']).parse().unwrap(),
        Message::Binary(_) => panic!("bytes"),
    }
}

fn fate<P>(end: &End<P>) -> Fate {
    match end {
        End::NotHandled { .. } => Fate::NotHandled,
        End::Unknown { .. } => Fate::Unknown,
    }
}

impl Seen {
    /// What the program does inside of a handler.
    fn act_inside(&self, random: &RefCell<Random>) {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        let what = random.borrow_mut().below(60);
        let Some(handle) = self.handle.borrow().clone() else {
            return;
        };
        match what {
            0..4 => drop(self.send(&handle, SendMode::default())),
            4 => drop(handle.reconnect()),
            5 => drop(handle.close(None, "")),
            6 => drop(handle.suspend(None, "")),
            7 => drop(handle.resume()),
            _ => {}
        }
    }

    fn send(&self, handle: &Handle<u32, Json>, mode: SendMode) -> Option<u32> {
        let number = self.sent.get() + 1;
        self.sent.set(number);
        let sent = handle.try_send_with(number, mode);
        sent.is_ok().then_some(number)
    }

    fn event(&self, event: &Event<Message>) {
        match event {
            Event::Open { .. } => {
                assert!(!self.is_open.replace(true), "open twice");
                self.began.set(false);
            }
            Event::Closed(_) => {
                self.is_open.set(false);
            }
            Event::Dropped(dropped) => {
                let mut back = self.back.borrow_mut();
                back.extend(
                    dropped
                        .payloads
                        .iter()
                        .map(|message| (number(message), Fate::NotHandled)),
                );
            }
            Event::Session(event) => match &**event {
                SessionEvent::Began | SessionEvent::Resumed { .. } => {
                    assert!(self.is_open.get(), "{event}");
                    assert!(!self.began.replace(true), "{event} twice");
                }
                SessionEvent::Lost(loss) | SessionEvent::Ended(loss) => {
                    let mut back = self.back.borrow_mut();
                    back.extend(
                        loss.not_handled
                            .iter()
                            .map(|m| (number(m), Fate::NotHandled)),
                    );
                    back.extend(loss.unknown.iter().map(|m| (number(m), Fate::Unknown)));
                }
                SessionEvent::Undelivered(end) => {
                    let (End::NotHandled { payload, .. } | End::Unknown { payload, .. }) = end;
                    self.back.borrow_mut().push((number(payload), fate(end)));
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Rises, without one number twice.
fn assert_rising(numbers: &[u32], skip: &BTreeSet<u32>, what: &str) {
    let kept: Vec<_> = numbers.iter().filter(|n| !skip.contains(n)).collect();
    assert!(
        kept.is_sorted_by(|a, b| a < b),
        "{what} out of order or twice: {numbers:?}"
    );
    let all: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(all.len(), numbers.len(), "{what} twice: {numbers:?}");
}

const CODES: &[u16] = &[1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 4009, 4401];

struct Story {
    world: World,
    server: SessionServer,
    seen: Rc<Seen>,
    random: Rc<RefCell<Random>>,
    /// Messages that may come in another order, or not at all.
    loose: BTreeSet<u32>,
    /// Accepted messages that have to end.
    accepted: BTreeSet<u32>,
    awaited: BTreeSet<u32>,
    asked: BTreeSet<u32>,
    dropped_asks: BTreeSet<u32>,
    server_sent: BTreeMap<Delivery, u32>,
    server_asked: u64,
    next: u32,
    /// The number of the first session that is not known to be lost.
    reads: bool,
}

impl Story {
    fn below(&self, bound: u64) -> u64 {
        self.random.borrow_mut().below(bound)
    }

    fn has_session(&self) -> bool {
        self.server.has_session()
    }

    fn last_is(&self, states: &[State]) -> bool {
        self.world.connection_count() > 0 && states.contains(&self.world.last().state())
    }

    fn step(&mut self, socket: &mut Chat) {
        let handle = socket.handle();
        let (world, server) = (&self.world, &self.server);
        match self.below(40) {
            0..6 => {
                let mut mode = SendMode::default();
                match self.below(6) {
                    0 => mode.first = true,
                    1 => mode.volatile = true,
                    2 => mode = mode.ttl(Duration::from_millis(self.below(3_000) + 1)),
                    _ => {}
                }
                let loose = mode.first || mode.volatile;
                if let Some(number) = self.seen.send(&handle, mode) {
                    if loose {
                        self.loose.insert(number);
                    }
                    if !mode.volatile {
                        self.accepted.insert(number);
                    }
                }
            }
            6..11 => {
                let number = self.seen.sent.get() + 1;
                self.seen.sent.set(number);
                if let Ok(delivering) = handle.deliver(number) {
                    self.accepted.insert(number);
                    if self.below(8) == 0 {
                        drop(delivering);
                    } else {
                        self.awaited.insert(number);
                        let seen = Rc::clone(&self.seen);
                        world.platform().spawn(Box::pin(async move {
                            let fate = match delivering.await {
                                Ok(()) => Fate::Handled,
                                Err(end) => fate(&end),
                            };
                            let earlier = seen.ends.borrow_mut().insert(number, fate);
                            assert_eq!(earlier, None);
                        }));
                    }
                }
            }
            11..14 => {
                let number = 1_000_000 + self.asked.len() as u32;
                self.asked.insert(number);
                let asking = match self.below(3) {
                    0 => handle
                        .request_within(Ask(number), Duration::from_millis(self.below(5_000) + 1)),
                    _ => handle.request(Ask(number)),
                };
                let seen = Rc::clone(&self.seen);
                let drops = (self.below(4) == 0).then(|| self.below(3));
                if drops.is_some() {
                    self.dropped_asks.insert(number);
                }
                world.platform().spawn(Box::pin(async move {
                    let mut asking = pin!(asking);
                    let mut polls = 0;
                    let end = core::future::poll_fn(|task| {
                        polls += 1;
                        match asking.as_mut().poll(task) {
                            Poll::Ready(end) => Poll::Ready(Some(end)),
                            Poll::Pending if drops.is_some_and(|at| polls > at) => {
                                Poll::Ready(None)
                            }
                            Poll::Pending => Poll::Pending,
                        }
                    })
                    .await;
                    let earlier = seen
                        .answered
                        .borrow_mut()
                        .insert(number, matches!(end, Some(Ok(n)) if n == number));
                    assert_eq!(earlier, None);
                    if let Some(Ok(answer)) = end {
                        assert_eq!(answer, number);
                    }
                }));
            }
            14..17 => {
                if self.has_session() {
                    self.next += 1;
                    let delivery = server.send(self.next.to_string());
                    self.server_sent.insert(delivery, self.next);
                }
            }
            17 => {
                if self.has_session() && self.server_asked < 40 {
                    self.server_asked += 1;
                    let ask = server.ask(format!("{}", self.below(4)));
                    if self.below(3) == 0 {
                        world.run();
                        server.cancel(ask);
                    }
                }
            }
            18 | 19 => {
                let requests = server.requests();
                if !requests.is_empty() {
                    let (token, payload) = &requests[self.below(requests.len() as u64) as usize];
                    let answer = match self.below(4) {
                        0 => Answer::Error("1".into()),
                        1 => Answer::Refused(Refusal::Failed),
                        _ => Answer::Response(payload.clone()),
                    };
                    server.answer(*token, answer);
                }
            }
            20 | 21 => {
                if self.reads {
                    self.read(socket);
                }
            }
            22 | 23 => {
                if self.last_is(&[State::Connecting, State::Open, State::Closing]) {
                    world.last().cut();
                }
            }
            24 => {
                if self.last_is(&[State::Open]) {
                    match self.below(3) {
                        0 => world.last().half_open(),
                        1 => world.last().hold(),
                        _ => world.last().resume(),
                    }
                }
            }
            25 => {
                if self.last_is(&[State::Open]) {
                    let at = self.below((close::ALL.len() + CODES.len()) as u64) as usize;
                    let code = close::ALL.iter().chain(CODES).nth(at).unwrap();
                    world.last().close(*code, "");
                }
            }
            26 => {
                if self.last_is(&[State::Open]) {
                    world.last().fail_sends(self.below(2) == 0);
                }
            }
            27 => match self.below(6) {
                0 => server.forget(),
                1 if self.has_session() => server.lose(),
                2 if self.has_session() => server.end(),
                3 => server.refuse(true),
                _ => server.refuse(false),
            },
            28 => world.advance(Duration::from_secs(self.below(200))),
            29 => world.advance_throttled(Duration::from_secs(self.below(70))),
            30 => {
                let time = Duration::from_millis(self.below(20_000));
                let (cut, text) = (self.below(2) == 0, self.next + 1);
                let is_open = self.last_is(&[State::Open]);
                let mut sent = None;
                let sends = self.has_session();
                world.busy(time, || {
                    if sends {
                        sent = Some(server.send(text.to_string()));
                    }
                    if cut && is_open {
                        world.last().cut();
                    }
                });
                if let Some(delivery) = sent {
                    self.next += 1;
                    self.server_sent.insert(delivery, self.next);
                }
            }
            31 => world.sleep(Duration::from_secs(self.below(300))),
            32 => drop(handle.suspend(None, "")),
            33 => drop(handle.resume()),
            34 => drop(handle.reconnect()),
            35 => {
                if self.below(4) == 0 {
                    let _ = handle.close(Some(4001), "bye");
                }
            }
            36 => server.hold(self.below(2) == 0),
            37 => world.set_handshake(match self.below(3) {
                0 => Handshake::Refuse,
                _ => Handshake::Open,
            }),
            _ => world.advance(Duration::from_millis(self.below(3_000))),
        }
        if self.below(2) == 0 {
            world_runs(&self.world);
        }
    }

    fn read(&self, socket: &mut Chat) {
        let mut task = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(message)) = pin!(socket.recv()).poll(&mut task) {
            self.seen.given.borrow_mut().push(message.unwrap());
        }
    }

    /// What has to be true when everything is over.
    fn judge(&self) {
        let got: Vec<_> = self.server.received().iter().map(number).collect();
        assert_rising(&got, &self.loose, "the server's messages");
        let given = self.seen.given.borrow();
        assert_rising(&given, &BTreeSet::new(), "the client's messages");
        let at_server: BTreeSet<_> = got.iter().copied().collect();
        let ends = self.seen.ends.borrow();
        for number in &self.awaited {
            let end = ends.get(number);
            let end = end.unwrap_or_else(|| panic!("the delivery of {number} has no end"));
            match end {
                Fate::Handled => assert!(at_server.contains(number), "{number} was not handled"),
                Fate::NotHandled => assert!(!at_server.contains(number), "{number} was given"),
                Fate::Unknown => {}
            }
        }
        let mut back = BTreeMap::new();
        for (number, fate) in &*self.seen.back.borrow() {
            assert_eq!(
                back.insert(*number, *fate),
                None,
                "{number} came back twice"
            );
            if *fate == Fate::NotHandled {
                assert!(
                    !at_server.contains(number),
                    "{number} came back and was given"
                );
            }
        }
        for number in &self.accepted {
            let ended = at_server.contains(number)
                || back.contains_key(number)
                || ends.contains_key(number);
            assert!(ended, "nobody knows of {number}");
        }
        let answered = self.seen.answered.borrow();
        for number in &self.asked {
            assert!(answered.contains_key(number), "request {number} has no end");
        }
        let to_client: BTreeSet<_> = given.iter().copied().collect();
        for (_, end) in self.server.ends() {
            if let Some(End::NotHandled { payload, .. }) = end {
                let number = number(&payload);
                assert!(
                    !to_client.contains(&number),
                    "the client was given {number}"
                );
            }
        }
    }
}

fn world_runs(world: &World) {
    world.run();
}

fn story(seed: u64) {
    let random = Rc::new(RefCell::new(Random(seed)));
    let world = World::new();
    world.set_chance((seed % 3) as f64 / 2.0);
    world.set_handshake(Handshake::Open);
    world.set_closing(Closing::Answer);
    let server = SessionServer::start::<Json>(&world);
    let seen = Rc::new(Seen::default());
    let reads = random.borrow_mut().one_in(2);
    let mut builder = Chat::builder("wss://example.org/chat")
        .platform(world.platform())
        .protocols(["chat.json"])
        .session(Session::required())
        .on_request(async |Ask(number): Ask| match number {
            0 => core::future::pending().await,
            1 => Err(1),
            _ => Ok(number),
        })
        .on_event({
            let (seen, random) = (Rc::clone(&seen), Rc::clone(&random));
            move |event| {
                seen.event(event);
                seen.act_inside(&random);
            }
        });
    let mut options = Options::default();
    if random.borrow_mut().one_in(3) {
        options = options.max_queued_messages(3);
    }
    if random.borrow_mut().one_in(4) {
        options = options.max_retries(Some(2));
    }
    builder = builder.options(options);
    if random.borrow_mut().one_in(4) {
        let random = Rc::clone(&random);
        builder = builder.should_reconnect(move |_| match random.borrow_mut().below(6) {
            0 => Some(Verdict::Stop),
            1 => Some(Verdict::Retry),
            _ => None,
        });
    }
    if !reads {
        let (seen, random) = (Rc::clone(&seen), Rc::clone(&random));
        builder = builder.on_message(move |_, message| {
            seen.given.borrow_mut().push(message.unwrap());
            seen.act_inside(&random);
        });
    }
    let mut socket = builder.connect().unwrap();
    *seen.handle.borrow_mut() = Some(socket.handle());
    let mut story = Story {
        world: world.clone(),
        server,
        seen: Rc::clone(&seen),
        random,
        loose: BTreeSet::new(),
        accepted: BTreeSet::new(),
        awaited: BTreeSet::new(),
        asked: BTreeSet::new(),
        dropped_asks: BTreeSet::new(),
        server_sent: BTreeMap::new(),
        server_asked: 0,
        next: 0,
        reads,
    };
    for _ in 0..STEPS {
        story.step(&mut socket);
    }
    // Everything may end well, or the socket is dropped in the middle.
    if story.below(3) > 0 {
        seen.handle.borrow_mut().take();
        story.server.refuse(false);
        world.set_handshake(Handshake::Open);
        story.server.hold(false);
        if story.last_is(&[State::Open]) {
            world.last().fail_sends(false);
            world.last().resume();
        }
        let _ = socket.handle().resume();
        for _ in 0..40 {
            world.advance(Duration::from_secs(10));
            if story.reads {
                story.read(&mut socket);
            }
            for (token, payload) in story.server.requests() {
                story.server.answer(token, Answer::Response(payload));
            }
        }
        if socket.handle().phase() != Phase::Closed {
            let snapshot = socket.handle().snapshot().unwrap();
            assert_eq!(snapshot.queued.messages, 0, "{snapshot:?}");
            assert_eq!(snapshot.unacknowledged.messages, 0, "{snapshot:?}");
        }
    }
    drop(socket);
    seen.handle.borrow_mut().take();
    world.run();
    story.judge();
    let Story { server, .. } = story;
    drop(server);
    world.assert_idle();
}

#[test]
fn nothing_is_lost_repeated_or_left_in_any_story() {
    let only = std::env::var("SESSION_SEED").ok();
    let seeds = match only.and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    for seed in seeds {
        let told = std::panic::catch_unwind(|| story(seed));
        assert!(told.is_ok(), "seed {seed}: run with SESSION_SEED={seed}");
    }
}
