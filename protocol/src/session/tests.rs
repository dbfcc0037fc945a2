//! Both halves against each other, frame by frame, through the codec.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::frame::{
    Answer, Counts, Data, Frame, Limits, Outcome, Secret, Style, Verdict, Welcome, read, write,
};
use super::store::{Claim, Finish, Found, Identity, Question, Reply, Step, Store, Ticket};
use super::*;

type Text = Data<'static>;

/// Both ends and a network that delivers when it is told to.
struct Pair {
    now: Time,
    client: Client<Text>,
    server: Option<Server<Text>>,
    store: MemoryStore<Text>,
    /// The store answers at once.
    prompt: bool,
    questions: Vec<(Ticket, Question<Text>)>,
    arrival: Option<Arrival<Text>>,
    connection: Connection,
    /// Frames on their way, as they are on the wire.
    to_server: Vec<String>,
    to_client: Vec<String>,
    /// Close codes, of the client and of the server.
    closed: (Vec<u16>, Vec<u16>),
    gather: bool,
    options: Options,
}

impl Pair {
    fn with(options: Options) -> Self {
        Self {
            now: Time::from_millis(1_000_000),
            client: Client::new(options, [0; 16]),
            server: None,
            store: MemoryStore::new(
                Time::default(),
                MemoryOptions {
                    origin: options.origin,
                    ..MemoryOptions::default()
                },
            ),
            prompt: true,
            questions: vec![],
            arrival: None,
            connection: Connection(0),
            to_server: vec![],
            to_client: vec![],
            closed: (vec![], vec![]),
            gather: false,
            options,
        }
    }

    /// A pair that is connected, with nothing on its way.
    fn connected() -> Self {
        Self::connected_with(Options::default())
    }

    fn connected_with(options: Options) -> Self {
        let mut pair = Self::with(options);
        pair.connect();
        pair.arrive();
        pair
    }

    fn connect(&mut self) {
        self.connection.0 += 1;
        self.arrival = Some(Arrival::new(self.now, &self.options));
        self.client.opened(self.now, [9; 16], None);
        self.settle();
    }

    fn cut(&mut self) {
        self.to_server.clear();
        self.to_client.clear();
        self.client.closed(self.now, 1006);
        let (now, connection) = (self.now, self.connection);
        self.server().closed(now, connection, 1006);
        self.settle();
    }

    fn server(&mut self) -> &mut Server<Text> {
        self.server.as_mut().unwrap()
    }

    fn settle(&mut self) {
        while let Some(frame) = self.client.poll_frame() {
            self.to_server.push(wire(frame));
        }
        while let Some(effect) = self.client.poll_effect() {
            match effect {
                ClientEffect::Close(code) => self.closed.0.push(code),
                ClientEffect::Gather => self.gather = true,
                ClientEffect::GiveUp => {}
            }
        }
        while let Some(server) = &mut self.server
            && let Some(effect) = server.poll_effect()
        {
            match effect {
                ServerEffect::Transmit(_, frame) => self.to_client.push(wire(frame)),
                ServerEffect::Close(_, code) => self.closed.1.push(code),
                ServerEffect::Ask(ticket, question) => self.questions.push((ticket, *question)),
                ServerEffect::Gather => {}
            }
            if self.prompt {
                self.answer_all();
            }
        }
    }

    fn answer_all(&mut self) {
        for (ticket, question) in core::mem::take(&mut self.questions) {
            self.store.ask(self.now, ticket, question);
            while let Some((ticket, reply)) = self.store.poll() {
                let now = self.now;
                self.server().answered(now, ticket, reply);
            }
        }
    }

    fn reach_server(&mut self) {
        for text in core::mem::take(&mut self.to_server) {
            let frame = read(Data::Text(text.into())).unwrap();
            match &mut self.arrival {
                Some(arrival) => {
                    if arrival.receive(frame).unwrap() {
                        let key = arrival.hello().unwrap().secret.key();
                        let options = ServerOptions {
                            both: self.options.into(),
                            ..ServerOptions::default()
                        };
                        let arrival = self.arrival.take().unwrap();
                        let server = self.server.get_or_insert_with(|| Server::new(key, options));
                        let identity = Identity("Ada".to_owned());
                        // No two epochs are the same.
                        let epoch = 76 + self.connection.0;
                        server.attach(self.now, self.connection, arrival, identity, true, epoch);
                    }
                }
                None => {
                    let (now, connection) = (self.now, self.connection);
                    self.server().receive(now, connection, frame);
                }
            }
            self.settle();
        }
    }

    fn reach_client(&mut self) {
        for text in core::mem::take(&mut self.to_client) {
            self.client
                .receive(self.now, read(Data::Text(text.into())).unwrap());
            self.settle();
        }
    }

    fn arrive(&mut self) {
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            self.reach_server();
            self.reach_client();
        }
    }

    fn pass(&mut self, millis: u64) {
        let now = self.now.after(millis);
        self.now = now;
        self.client.timer(now);
        if let Some(server) = &mut self.server {
            server.timer(now);
        }
        self.settle();
    }

    fn send(&mut self, text: &str, mode: SendMode) -> Delivery {
        let data = Data::Text(text.to_owned().into());
        let sent = self.client.send(self.now, data, mode).unwrap();
        self.settle();
        sent
    }

    fn gathered(&mut self) {
        assert!(core::mem::take(&mut self.gather), "the half asked for it");
        self.client.gathered(self.now);
        self.settle();
    }

    /// What the server's application gets.
    fn at_server(&mut self) -> Vec<Output<Text>> {
        let now = self.now;
        let server = self.server();
        core::iter::from_fn(|| server.poll_output(now)).collect()
    }

    fn at_client(&mut self) -> Vec<Output<Text>> {
        let now = self.now;
        core::iter::from_fn(|| self.client.poll_output(now)).collect()
    }

    /// The server's application takes messages and is done with them.
    fn handle_at_server(&mut self) -> usize {
        let now = self.now;
        let mut count = 0;
        for output in self.at_server() {
            if let Output::Message { token, .. } = output {
                self.server().handled(now, token);
                count += 1;
            }
        }
        self.settle();
        count
    }
}

fn wire(frame: Frame<Text>) -> String {
    match write(frame, Style::JSON).unwrap() {
        Data::Text(text) => text.into_owned(),
        Data::Binary(bytes) => format!("bytes {bytes:?}"),
    }
}

fn first() -> SendMode {
    SendMode {
        first: true,
        ..SendMode::default()
    }
}

fn awaited() -> SendMode {
    SendMode {
        awaited: true,
        ..SendMode::default()
    }
}

const PLAIN: SendMode = SendMode {
    first: false,
    awaited: false,
    expires: None,
};

fn narrow(messages: u64) -> Options {
    let mut options = Options::default();
    options.limits.messages = messages;
    options
}

#[test]
fn the_first_message_of_a_fresh_session_costs_one_frame_and_no_round_trip() {
    let mut pair = Pair::with(Options::default());
    pair.send("[1]", PLAIN);
    pair.connect();
    assert_eq!(pair.to_server.len(), 2);
    assert!(pair.to_server[0].starts_with("~hello secret="));
    assert_eq!(pair.to_server[1], "[1]");
    pair.reach_server();
    let given = pair.at_server();
    assert!(matches!(given[0], Output::Open(Opened::Fresh)));
    assert!(
        matches!(given[1], Output::Message { .. }),
        "without an answer before it"
    );
}

#[test]
fn a_resume_costs_one_round_trip_and_goes_in_one_order() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.arrive();
    pair.gathered();
    pair.handle_at_server();
    pair.send("[2]", PLAIN);
    pair.send("[3]", PLAIN);
    pair.gathered();
    let now = pair.now;
    pair.server().send(now, Data::from("[10]"), PLAIN).unwrap();
    pair.settle();
    // All of it is lost, and meanwhile more is sent.
    pair.cut();
    pair.send("[4]", PLAIN);
    pair.client.ask(pair.now, Data::from("[5]"), None).unwrap();
    pair.send("[6]", first());
    pair.connect();
    assert_eq!(
        pair.to_server.len(),
        1,
        "nothing goes behind this hello: {:?}",
        pair.to_server
    );
    assert!(pair.to_server[0].contains(" epoch=77 received=0 handled=0 first=1 sent=3 "));
    pair.reach_server();
    assert!(pair.to_client[0].starts_with(
        "~welcome outcome=replayed replay=1 epoch=77 owner=1 received=1 handled=1 first=1 sent=1 "
    ));
    assert_eq!(pair.to_client[1..], ["[10]"]);
    pair.reach_client();
    // The acknowledgement, what is repeated, what goes first, and the rest as it was sent.
    assert_eq!(
        pair.to_server,
        ["~a 0 1", "~b 2[[2],[3],[6],[4]]", "~q [5]"]
    );
    let given = pair.at_client();
    assert!(matches!(given[0], Output::Open(Opened::Fresh)));
    assert!(matches!(
        given[1],
        Output::Open(Opened::Resumed { replayed: 1 })
    ));
    assert_eq!(given[2], Output::Handled(Deliveries::one(Delivery(1))));
    assert!(matches!(given[3], Output::Message { .. }));
    assert_eq!(given.len(), 4);
}

#[test]
fn the_first_message_of_a_turn_goes_alone_and_the_rest_of_it_in_batches() {
    let mut pair = Pair::connected();
    for text in ["[1]", "[2]", "[3]"] {
        pair.send(text, PLAIN);
    }
    let bytes = Data::Binary(vec![1].into());
    pair.client.send(pair.now, bytes, PLAIN).unwrap();
    pair.send("[4]", PLAIN);
    assert_eq!(pair.to_server, ["[1]"]);
    pair.gathered();
    assert_eq!(pair.to_server, ["[1]", "~b 2[[2],[3]]", "bytes [1]", "[4]"]);
    // Where a batch is full.
    pair.to_server.clear();
    pair.send("[0]", PLAIN);
    for _ in 0..limits::BATCH_MESSAGES + 1 {
        pair.send("[1]", PLAIN);
    }
    let large = "1".repeat(limits::BATCH_BYTES - 1);
    pair.send(&large, PLAIN);
    pair.send(&large, PLAIN);
    pair.gathered();
    let numbers: Vec<usize> = pair
        .to_server
        .iter()
        .map(|frame| frame.matches(',').count() + 1)
        .collect();
    // 257 messages, of which the last would make the next batch too large with it.
    assert_eq!(numbers, [1, limits::BATCH_MESSAGES, 1, 1, 1]);
}

#[test]
fn frames_go_in_the_order_in_which_they_were_made_and_a_close_behind_them() {
    let mut pair = Pair::connected();
    let (now, client) = (pair.now, &mut pair.client);
    assert!(client.send_volatile(now, "beside".into()));
    client.send(now, "first".into(), awaited()).unwrap();
    client.give_up(Ended::Aborted);
    let frames: Vec<String> = core::iter::from_fn(|| client.poll_frame())
        .map(wire)
        .collect();
    assert_eq!(frames, ["~v beside", "~d first"]);
    let effects: Vec<ClientEffect> = core::iter::from_fn(|| client.poll_effect()).collect();
    assert_eq!(
        effects,
        [ClientEffect::Close(close::NORMAL), ClientEffect::GiveUp]
    );
    // Nothing is left over for another connection.
    let mut pair = Pair::connected();
    let (now, client) = (pair.now, &mut pair.client);
    client.send(now, "first".into(), awaited()).unwrap();
    client.closed(now, 1_006);
    assert_eq!(client.poll_frame(), None);
    client.opened(now, [9; 16], None);
    assert!(matches!(client.poll_frame(), Some(Frame::Hello(_))));
    assert_eq!((client.poll_frame(), client.poll_effect()), (None, None));
}

#[test]
fn messages_requests_and_answers_go_in_the_order_of_the_calls() {
    let ask = |pair: &mut Pair, text: &'static str| {
        pair.client.ask(pair.now, Data::from(text), None).unwrap();
        pair.settle();
    };
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.send("[2]", PLAIN);
    ask(&mut pair, "[3]");
    ask(&mut pair, "[4]");
    pair.send("[5]", PLAIN);
    // What is cancelled before it has gone holds nobody up.
    let cancelled = pair.client.ask(pair.now, Data::from("[6]"), None).unwrap();
    ask(&mut pair, "[7]");
    pair.client.cancel(pair.now, cancelled);
    pair.gathered();
    assert_eq!(
        pair.to_server,
        ["[1]", "[2]", "~q [3]", "~q [4]", "[5]", "~q [7]"]
    );
    // Behind nothing, a request does not wait for the end of the turn.
    pair.arrive();
    pair.send("[8]", PLAIN);
    ask(&mut pair, "[9]");
    assert_eq!(pair.to_server, ["[8]", "~q [9]"]);
    pair.gathered();

    // Before the first welcome, too, as far as it may ride.
    let mut pair = Pair::with(Options::default());
    pair.send("[1]", PLAIN);
    ask(&mut pair, "[2]");
    pair.send("[3]", PLAIN);
    pair.connect();
    assert_eq!(pair.to_server[1..], ["[1]", "~q [2]", "[3]"]);
    let mut pair = Pair::with(Options::default());
    pair.send(&"1".repeat(limits::RIDING_BYTES as usize + 1), PLAIN);
    ask(&mut pair, "[2]");
    pair.connect();
    assert_eq!(
        pair.to_server.len(),
        1,
        "the request is not alone in riding"
    );
    pair.arrive();
    assert_eq!(pair.at_server().len(), 3);

    // An answer goes behind what its handler has sent.
    let mut pair = Pair::connected();
    ask(&mut pair, "[1]");
    pair.arrive();
    let given = pair.at_server();
    let Some(Output::Request { token, .. }) = given.last() else {
        panic!("{given:?}");
    };
    let now = pair.now;
    for text in ["[2]", "[3]"] {
        pair.server().send(now, Data::from(text), PLAIN).unwrap();
    }
    let answer = Answer::Response(Data::from("[4]"));
    pair.server().answer(now, *token, answer).unwrap();
    pair.server().gathered(now);
    pair.settle();
    let order: Vec<_> = pair
        .to_client
        .iter()
        .filter(|frame| !frame.starts_with("~a"))
        .collect();
    assert_eq!(order, ["[2]", "[3]", "~r 1 1 [4]"]);
}

#[test]
fn an_answer_for_which_no_number_is_left_ends_the_session_at_once() {
    let mut pair = Pair::connected_with(Options {
        origin: MAX_NUMBER - 1,
        ..Options::default()
    });
    let now = pair.now;
    let ask = pair.client.ask(now, Data::from("[1]"), None).unwrap();
    pair.settle();
    pair.arrive();
    let given = pair.at_server();
    let Some(Output::Request { token, .. }) = given.last() else {
        panic!("{given:?}");
    };
    pair.server().send(now, Data::from("[2]"), PLAIN).unwrap();
    pair.server().gathered(now);
    pair.settle();
    let answer = Answer::Response(Data::from("[3]"));
    pair.server().answer(now, *token, answer).unwrap();
    pair.settle();
    let outputs = pair.at_server();
    assert!(
        outputs.contains(&Output::Ended(Ended::Exhausted)),
        "{outputs:?} {:?}",
        pair.to_client
    );
    pair.arrive();
    let outputs = pair.at_client();
    let unknown = AskEnd::Unknown(Ended::ByPeer);
    assert!(
        outputs.contains(&Output::Answered(ask, unknown)),
        "{outputs:?}"
    );
}

#[test]
fn a_request_does_not_wait_for_the_window() {
    let mut pair = Pair::connected_with(narrow(1));
    for text in ["[1]", "[2]"] {
        pair.send(text, PLAIN);
    }
    pair.client.ask(pair.now, Data::from("[3]"), None).unwrap();
    pair.send("[4]", PLAIN);
    pair.gathered();
    assert_eq!(pair.to_server, ["[1]", "~q [3]", "~w 2"]);
}

#[test]
fn connections_that_are_shorter_than_a_batch_get_smaller_ones() {
    const MESSAGES: usize = 600;
    let text = |number: usize| format!("[{number},\"{}\"]", ".".repeat(100));
    let send = |pair: &mut Pair, from_client, number| {
        let (now, data) = (pair.now, Data::Text(text(number).into()));
        match from_client {
            true => pair.client.send(now, data, PLAIN).unwrap(),
            false => pair.server().send(now, data, PLAIN).unwrap(),
        };
    };
    let gathered = |pair: &mut Pair| {
        let now = pair.now;
        pair.client.gathered(now);
        pair.server().gathered(now);
        pair.settle();
    };
    // What is there, and handled.
    let take = |pair: &mut Pair, from_client| {
        let now = pair.now;
        let mut payloads = vec![];
        while let Some(output) = match from_client {
            true => pair.server().poll_output(now),
            false => pair.client.poll_output(now),
        } {
            let Output::Message { token, payload } = output else {
                continue;
            };
            match from_client {
                true => pair.server().handled(now, token),
                false => pair.client.handled(now, token),
            }
            payloads.push(payload);
        }
        pair.settle();
        payloads
    };
    // How many bytes of messages a connection lives for.
    let cut_after = |life: usize, frames: &mut Vec<String>| {
        let mut left = life;
        frames.retain(|frame| {
            if frame.starts_with("~b") || frame.starts_with('[') {
                left = left.saturating_sub(frame.len());
            }
            left > 0
        });
    };
    for (life, from_client) in [150, 1_000, 10_000]
        .into_iter()
        .flat_map(|life| [(life, true), (life, false)])
    {
        let mut pair = Pair::connected();
        pair.cut();
        for number in 0..MESSAGES {
            send(&mut pair, from_client, number);
        }
        let (mut given, mut resumes) = (0, 0);
        while given < MESSAGES {
            resumes += 1;
            pair.connect();
            pair.reach_server();
            cut_after(life, &mut pair.to_client);
            pair.reach_client();
            cut_after(life, &mut pair.to_server);
            pair.reach_server();
            for payload in take(&mut pair, from_client) {
                assert_eq!(payload, Data::Text(text(given).into()));
                given += 1;
            }
            pair.cut();
            let most = 10 + 3 * MESSAGES * text(MESSAGES).len() / life;
            assert!(
                resumes <= most,
                "{given} messages through {resumes} resumes that live for {life} bytes"
            );
        }
        // On a connection that lives they grow again.
        pair.connect();
        pair.arrive();
        for _ in 0..limits::BATCH_HALVINGS {
            send(&mut pair, from_client, 0);
            gathered(&mut pair);
            pair.arrive();
            take(&mut pair, from_client);
            pair.pass(2_000);
            pair.arrive();
        }
        for number in 0..100 {
            send(&mut pair, from_client, number);
        }
        gathered(&mut pair);
        let frames = match from_client {
            true => &pair.to_server,
            false => &pair.to_client,
        };
        assert_eq!(frames.len(), 2, "one alone, and the others together");
    }
}

#[test]
fn a_message_can_be_taken_back_until_it_has_a_number() {
    let mut pair = Pair::connected();
    let now = pair.now;
    let send = |pair: &mut Pair, text| pair.client.send(now, text, awaited()).unwrap();
    let numbered = send(&mut pair, "numbered".into());
    pair.settle();
    assert_eq!(pair.client.withdraw(numbered), None);
    pair.cut();
    let [one, two, three] = ["one", "two", "three"].map(|text| send(&mut pair, text.into()));
    assert_eq!(pair.client.withdraw(two), Some("two".into()));
    assert_eq!(pair.client.withdraw(two), None);
    assert_eq!(pair.client.queued(), (2, 8));
    pair.connect();
    pair.arrive();
    let mut given = vec![];
    while let Some(output) = pair.server().poll_output(now) {
        if let Output::Message { payload, .. } = output {
            given.push(payload);
        }
    }
    assert_eq!(given, ["numbered".into(), "one".into(), "three".into()]);
    for late in [one, three] {
        assert_eq!(pair.client.withdraw(late), None);
    }
}

#[test]
fn acknowledgements_go_when_they_are_due() {
    // After a second.
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.reach_server();
    pair.handle_at_server();
    assert!(pair.to_client.is_empty());
    pair.pass(limits::ACK_DELAY_MS - 1);
    assert!(pair.to_client.is_empty());
    pair.pass(1);
    assert_eq!(pair.to_client, ["~a 1 0"]);
    // At half the window.
    let mut pair = Pair::connected_with(narrow(10));
    for _ in 0..5 {
        assert!(pair.to_client.is_empty());
        pair.send("[1]", PLAIN);
        pair.gathered();
        pair.reach_server();
        pair.handle_at_server();
    }
    assert_eq!(pair.to_client, ["~a 5 0"]);
    // At 300 messages.
    let mut pair = Pair::connected();
    for _ in 0..300 {
        assert!(pair.to_client.is_empty());
        pair.send("[1]", PLAIN);
        pair.gathered();
        pair.reach_server();
        pair.handle_at_server();
    }
    assert_eq!(pair.to_client, ["~a 300 0"]);
    // At once, when it is awaited.
    let mut pair = Pair::connected();
    pair.send("[1]", awaited());
    assert_eq!(pair.to_server, ["~d [1]"]);
    pair.reach_server();
    pair.handle_at_server();
    assert_eq!(pair.to_client, ["~a 1 0"]);
    // Likewise behind a batch.
    let mut pair = Pair::connected();
    for text in ["[1]", "[2]", "[3]"] {
        pair.send(text, awaited());
    }
    pair.gathered();
    assert_eq!(pair.to_server, ["~d [1]", "~b 2[[2],[3]]", "~w 3"]);
    pair.reach_server();
    pair.handle_at_server();
    assert_eq!(pair.to_client, ["~a 1 0", "~a 3 0"]);
    // On a batch, and never twice.
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    pair.reach_server();
    pair.handle_at_server();
    let now = pair.now;
    for text in ["[7]", "[8]", "[9]"] {
        pair.server().send(now, Data::from(text), PLAIN).unwrap();
    }
    pair.server().gathered(now);
    pair.settle();
    assert_eq!(pair.to_client, ["[7]", "~B 2 1[[8],[9]]"]);
    pair.pass(5_000);
    assert_eq!(pair.to_client.len(), 2);
    // When the page is hidden, if there is news.
    pair.reach_client();
    pair.client.flush(pair.now);
    pair.settle();
    pair.client.flush(pair.now);
    pair.settle();
    assert_eq!(pair.to_server, ["~a 0 1"]);
}

#[test]
fn the_answer_to_an_awaited_message_travels_with_its_acknowledgement() {
    let mut pair = Pair::connected();
    pair.send("[1]", awaited());
    pair.reach_server();
    let now = pair.now;
    pair.server().send(now, Data::from("[2]"), PLAIN).unwrap();
    pair.handle_at_server();
    assert!(pair.to_client.is_empty(), "{:?}", pair.to_client);
    pair.server().gathered(now);
    pair.settle();
    assert_eq!(pair.to_client, ["~B 1 1[[2]]"]);
    // So does the client's.
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.server()
        .send(now, Data::from("[2]"), awaited())
        .unwrap();
    pair.settle();
    assert_eq!(pair.to_client, ["~d [2]"]);
    pair.reach_client();
    let tokens: Vec<Token> = pair.at_client().iter().filter_map(token_of).collect();
    pair.send("[3]", PLAIN);
    for token in tokens {
        pair.client.handled(pair.now, token);
    }
    pair.settle();
    assert!(pair.to_server.is_empty(), "{:?}", pair.to_server);
    pair.gathered();
    assert_eq!(pair.to_server, ["~B 1 1[[3]]"]);
    // An acknowledgement waits for nothing that cannot go.
    let mut pair = Pair::connected_with(narrow(1));
    let now = pair.now;
    pair.server().send(now, Data::from("[1]"), PLAIN).unwrap();
    pair.send("[1]", awaited());
    pair.reach_server();
    pair.server().send(now, Data::from("[2]"), PLAIN).unwrap();
    pair.handle_at_server();
    pair.server().gathered(now);
    pair.settle();
    assert_eq!(pair.to_client, ["[1]", "~a 1 1", "~w 1"]);
    // Nor does a message wait for a handler that takes its time.
    let mut pair = Pair::connected();
    let now = pair.now;
    pair.send("[1]", awaited());
    pair.reach_server();
    pair.server().send(now, Data::from("[2]"), PLAIN).unwrap();
    pair.server().gathered(now);
    pair.settle();
    assert_eq!(pair.to_client, ["[2]"]);
    pair.handle_at_server();
    assert_eq!(pair.to_client, ["[2]", "~a 1 1"]);
}

const fn token_of(output: &Output<Text>) -> Option<Token> {
    match output {
        Output::Message { token, .. } => Some(*token),
        _ => None,
    }
}

#[test]
fn nothing_is_sent_before_its_step_is_in_the_store() {
    let mut pair = Pair::connected();
    pair.prompt = false;
    pair.send("[1]", awaited());
    pair.reach_server();
    pair.answer_all();
    pair.settle();
    pair.handle_at_server();
    assert!(pair.to_client.is_empty(), "{:?}", pair.to_client);
    pair.answer_all();
    pair.settle();
    assert_eq!(pair.to_client, ["~a 1 0"]);
    pair.to_client.clear();
    pair.answer_all();
    let now = pair.now;
    pair.server().gathered(now);
    assert!(pair.server().is_drained());
    pair.server().send(now, Data::from("[2]"), PLAIN).unwrap();
    pair.settle();
    assert!(pair.to_client.is_empty());
    assert!(!pair.server().is_drained());
    let [(ticket, question)] = &pair.questions[..] else {
        panic!("one step: {:?}", pair.questions);
    };
    // An answer to another question means nothing, and the second to this one neither.
    let (ticket, question) = (*ticket, question.clone());
    pair.server()
        .answered(now, Ticket(ticket.0 + 1), Reply::Stepped { first: 1 });
    pair.server()
        .answered(now, Ticket(ticket.0 - 1), Reply::Fenced);
    pair.settle();
    assert!(pair.to_client.is_empty());
    // No answer comes in time: the same is asked again, and done once.
    pair.store.ask(now, ticket, question);
    pair.store.poll();
    pair.questions.clear();
    pair.pass(5_000);
    pair.answer_all();
    pair.settle();
    assert_eq!(pair.to_client, ["[2]"]);
    let now = pair.now;
    pair.server()
        .answered(now, ticket, Reply::Stepped { first: 1 });
    pair.settle();
    assert_eq!(pair.to_client, ["[2]"]);
}

/// The step that the half has asked for: what it numbers, and what it says is handled.
fn asked_step(pair: &Pair) -> (usize, u64) {
    match &pair.questions[..] {
        [(_, Question::Step(step))] => (step.sends.len(), step.handled),
        questions => panic!("one step: {questions:?}"),
    }
}

#[test]
fn a_message_is_handled_in_the_step_that_numbers_all_that_it_has_led_to() {
    // The client takes two messages that it has not handled.
    let mut pair = Pair::connected_with(narrow(2));
    for text in ["[1]", "[2]"] {
        pair.send(text, PLAIN);
    }
    pair.gathered();
    pair.arrive();
    pair.prompt = false;
    let tokens = pair
        .at_server()
        .into_iter()
        .filter_map(|output| match output {
            Output::Message { token, .. } => Some(token),
            _ => None,
        });
    let tokens: Vec<Token> = tokens.collect();
    let now = pair.now;
    pair.server().send(now, Data::from("[0]"), PLAIN).unwrap();
    pair.settle();
    assert_eq!(asked_step(&pair), (1, 0));
    // There is no room for both, so neither goes, and the message is not handled.
    let two = vec![Data::from("[1]"), Data::from("[2]")];
    pair.server().commit(now, tokens[0], two).unwrap();
    // What is committed later is no earlier.
    pair.server().commit(now, tokens[1], vec![]).unwrap();
    pair.server().gathered(now);
    pair.answer_all();
    pair.settle();
    assert!(pair.questions.is_empty(), "{:?}", pair.questions);
    // The client handles what it has, which makes room.
    pair.reach_client();
    for output in pair.at_client() {
        if let Output::Message { token, .. } = output {
            pair.client.handled(now, token);
        }
    }
    pair.pass(1_000);
    pair.reach_server();
    assert_eq!(asked_step(&pair), (2, 2));
    // More than the client takes at all is refused, and the message stays.
    let three = vec![Data::from("[1]"); 3];
    let refused = pair.server().commit(now, tokens[1], three).unwrap_err();
    assert_eq!(refused.why, Rejection::TooLarge);
}

#[test]
fn a_message_that_led_to_nothing_for_its_client_is_handled_while_that_is_away() {
    let mut pair = Pair::connected();
    for text in ["[1]", "[2]"] {
        pair.send(text, PLAIN);
    }
    pair.gathered();
    pair.arrive();
    pair.prompt = false;
    pair.cut();
    let now = pair.now;
    let tokens = pair
        .at_server()
        .into_iter()
        .filter_map(|output| match output {
            Output::Message { token, .. } => Some(token),
            _ => None,
        });
    let tokens: Vec<Token> = tokens.collect();
    pair.questions.clear();
    pair.server().commit(now, tokens[0], vec![]).unwrap();
    pair.settle();
    assert_eq!(asked_step(&pair), (0, 1));
    pair.answer_all();
    pair.settle();
    // An answer has no number yet, so what it answers is not handled: another owner may have to answer it.
    let answer = vec![Data::from("[3]")];
    pair.server().commit(now, tokens[1], answer).unwrap();
    pair.settle();
    assert!(pair.questions.is_empty(), "{:?}", pair.questions);
}

#[test]
fn an_idle_session_gives_its_store_a_sign_of_life_twice_a_window() {
    let mut pair = Pair::connected();
    pair.prompt = false;
    pair.pass(limits::WINDOW_MS / 2);
    assert!(
        matches!(&pair.questions[..], [(_, Question::Step(_))]),
        "{:?}",
        pair.questions
    );
}

#[test]
fn counts_that_are_too_small_or_beyond_the_largest_number_are_out_of_step() {
    let wrong: [fn() -> Frame<Text>; 2] = [
        || {
            Frame::Ack(Counts {
                handled: 0,
                sent: 0,
            })
        },
        || Frame::Skip(MAX_NUMBER),
    ];
    for frame in wrong {
        let mut pair = Pair::connected();
        pair.send("[1]", PLAIN);
        pair.reach_server();
        let (now, connection) = (pair.now, pair.connection);
        pair.server().receive(now, connection, frame());
        pair.settle();
        assert_eq!(pair.closed.1, [close::OUT_OF_STEP], "{:?}", frame());
    }
}

#[test]
fn what_a_store_refuses_is_not_handled() {
    let mut pair = Pair::connected();
    pair.prompt = false;
    pair.questions.clear();
    let now = pair.now;
    let asked = pair.server().ask(now, Data::from("[2]"), None).unwrap();
    pair.settle();
    let (ticket, _) = pair.questions[0];
    pair.server().answered(now, ticket, Reply::Full);
    pair.settle();
    let why = NotHandled::Session(Ended::Lost(frame::Why::Full));
    let end = Output::Answered(asked, AskEnd::NotHandled(why));
    assert!(pair.at_server().contains(&end));
}

#[test]
fn an_acknowledgement_of_what_has_not_gone_out_is_out_of_step() {
    let mut pair = Pair::connected();
    pair.send("[1]", PLAIN);
    // On the next connection it has a number, and waits.
    pair.cut();
    pair.connect();
    pair.client.set_writable(pair.now, false);
    pair.arrive();
    assert_eq!(pair.client.unacknowledged().0, 1);
    let early = Frame::Ack(Counts {
        handled: 1,
        sent: 0,
    });
    pair.client.receive(pair.now, early);
    pair.settle();
    assert_eq!(pair.closed.0, [close::OUT_OF_STEP]);
}

#[test]
fn a_store_that_never_answers_costs_the_connection_and_not_the_session() {
    let mut pair = Pair::connected();
    pair.prompt = false;
    pair.questions.clear();
    let now = pair.now;
    pair.server().send(now, Data::from("[1]"), PLAIN).unwrap();
    pair.settle();
    for _ in 0..3 {
        assert!(pair.closed.1.is_empty());
        pair.pass(5_000);
    }
    assert_eq!(pair.closed.1, [close::STORE]);
    let outputs = pair.at_server();
    assert!(
        outputs.contains(&Output::Ended(Ended::Store)),
        "{outputs:?}"
    );
    let unknown = |output: &Output<Text>| {
        matches!(
            output,
            Output::Settled(
                _,
                End::Unknown {
                    why: Ended::Store,
                    ..
                }
            )
        )
    };
    assert_eq!(outputs.iter().filter(|output| unknown(output)).count(), 1);
    assert!(pair.server().is_over());
}

#[test]
fn no_more_than_64_messages_and_64_kib_ride() {
    let mut pair = Pair::with(Options::default());
    for _ in 0..70 {
        pair.send("[1]", PLAIN);
    }
    pair.connect();
    assert_eq!(pair.to_server.len(), 2);
    assert_eq!(pair.to_server[1].matches("[1]").count(), 64);
    pair.arrive();
    assert_eq!(pair.handle_at_server(), 70);
    let mut pair = Pair::with(Options::default());
    let large = "1".repeat(40_000);
    pair.send(&large, PLAIN);
    pair.send(&large, PLAIN);
    pair.connect();
    assert_eq!(pair.to_server.len(), 2);
    pair.arrive();
    assert_eq!(pair.handle_at_server(), 2);
    // A server closes if more comes.
    let mut arrival = Arrival::<Text>::new(Time::default(), &Options::default());
    assert_eq!(
        arrival.receive(Frame::Message(Data::from("1"))),
        Err(close::NO_HELLO)
    );
    let Ok(Frame::Hello(hello)) = read(Data::Text(
        "~hello secret=AAAAAAAAAAAAAAAAAAAAAA attempt=1 epoch=0 received=0 handled=0 first=1 sent=0 messages=1 \
         bytes=1 message=1 requests=1 age=0"
            .into(),
    )) else {
        panic!("a hello");
    };
    assert_eq!(arrival.receive(Frame::Hello(hello.clone())), Ok(true));
    for _ in 0..64 {
        assert_eq!(arrival.receive(Frame::Message(Data::from("1"))), Ok(false));
    }
    assert_eq!(
        arrival.receive(Frame::Message(Data::from("1"))),
        Err(close::LIMIT)
    );
    assert_eq!(
        arrival.receive(Frame::Hello(hello.clone())),
        Err(close::NO_HELLO)
    );
    // Behind a hello that resumes, nothing may ride.
    let mut arrival = Arrival::<Text>::new(Time::default(), &Options::default());
    let resumes = frame::Hello { epoch: 5, ..*hello };
    arrival.receive(Frame::Hello(resumes.into())).unwrap();
    assert_eq!(
        arrival.receive(Frame::Message(Data::from("1"))),
        Err(close::LIMIT)
    );
}

#[test]
fn what_is_out_of_place_costs_the_connection() {
    // A message before the welcome.
    let mut pair = Pair::with(Options::default());
    pair.connect();
    pair.client
        .receive(pair.now, Frame::Message(Data::from("1")));
    pair.settle();
    assert_eq!(pair.closed.0, [close::NO_HELLO]);
    assert_eq!(pair.client.phase(), Phase::Down);
    // A second hello, and something unreadable.
    let mut pair = Pair::connected();
    let (now, connection) = (pair.now, pair.connection);
    pair.client.closed(now, 1006);
    pair.client.opened(now, [9; 16], None);
    let hello = pair.client.poll_frame().unwrap();
    pair.server().receive(now, connection, hello);
    pair.settle();
    assert_eq!(pair.closed.1, [close::NO_HELLO]);
    let mut pair = Pair::connected();
    let (now, connection) = (pair.now, pair.connection);
    pair.server().receive_malformed(now, connection);
    pair.settle();
    assert_eq!(pair.closed.1, [close::MALFORMED]);
    // More than the window.
    let mut pair = Pair::connected_with(narrow(70));
    let (now, connection) = (pair.now, pair.connection);
    for _ in 0..71 {
        pair.server()
            .receive(now, connection, Frame::Message(Data::from("1")));
    }
    pair.settle();
    assert_eq!(pair.closed.1, [close::LIMIT]);
    // More than a message may have.
    let mut options = Options::default();
    options.limits.message_bytes = 3;
    let mut pair = Pair::connected_with(options);
    let (now, connection) = (pair.now, pair.connection);
    pair.server()
        .receive(now, connection, Frame::Message(Data::from("1234")));
    pair.settle();
    assert_eq!(pair.closed.1, [close::TOO_LARGE]);
}

#[test]
fn what_is_out_of_step_loses_the_session_and_never_goes_on_with_a_gap() {
    let wrong: [fn() -> Frame<Text>; 5] = [
        || Frame::Batch {
            first: 2,
            handled: None,
            messages: vec![Data::from("1")],
        },
        || {
            Frame::Ack(Counts {
                handled: 0,
                sent: 1,
            })
        },
        || {
            Frame::Ack(Counts {
                handled: 1,
                sent: 0,
            })
        },
        || Frame::Got(1),
        || Frame::Awaited(1),
    ];
    for frame in wrong {
        let mut pair = Pair::connected();
        let id = pair.send("[1]", PLAIN);
        // It is lost on the way, and something else arrives.
        pair.to_server.clear();
        let (now, connection) = (pair.now, pair.connection);
        pair.server().receive(now, connection, frame());
        pair.settle();
        assert_eq!(pair.closed.1, [close::OUT_OF_STEP], "{:?}", frame());
        assert!(
            pair.at_server()
                .contains(&Output::Ended(Ended::Lost(frame::Why::OutOfStep)))
        );
        pair.client.closed(pair.now, close::OUT_OF_STEP);
        pair.connect();
        pair.arrive();
        let outputs = pair.at_client();
        assert!(outputs.contains(&Output::Lost(frame::Why::OutOfStep)));
        let ends: Vec<_> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Settled(delivery, End::Unknown { .. }) => Some(*delivery),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [id]);
        // And the same at the client, which goes on with another secret.
        let mut pair = Pair::connected();
        pair.client.receive(pair.now, frame());
        pair.settle();
        assert_eq!(pair.closed.0, [close::OUT_OF_STEP]);
        pair.server = None;
        pair.connect();
        let secret = Secret::new([9; 16]);
        assert!(
            pair.to_server[0].contains(secret.as_str()),
            "another secret"
        );
        assert!(pair.to_server[0].contains(" attempt=1 epoch=0 "));
    }
}

#[test]
fn a_welcome_that_makes_no_sense_ends_the_use_of_the_secret() {
    let welcome = |outcome, epoch, received, first, sent| Welcome {
        outcome,
        epoch,
        owner: 1,
        received,
        handled: 0,
        first,
        sent,
        limits: Limits {
            messages: 10,
            bytes: 10,
            message_bytes: 10,
            requests: 1,
        },
        window_ms: 1,
        beat_ms: None,
        back: None,
    };
    for welcome in [
        // Another epoch, more than was sent, less than was acknowledged, less than was received, a gap, fresh.
        welcome(Outcome::Continued, 78, 1, 1, 0),
        welcome(Outcome::Continued, 77, 2, 1, 0),
        welcome(Outcome::Continued, 77, 0, 1, 0),
        welcome(Outcome::Replayed(3), 77, 1, 2, 4),
        welcome(Outcome::Fresh, 77, 1, 1, 0),
    ] {
        let mut pair = Pair::connected();
        pair.send("[1]", awaited());
        pair.reach_server();
        pair.handle_at_server();
        pair.arrive();
        pair.cut();
        pair.connect();
        pair.client
            .receive(pair.now, Frame::Welcome(welcome.clone().into()));
        pair.settle();
        assert_eq!(pair.closed.0, [close::OUT_OF_STEP], "{welcome:?}");
        assert!(
            pair.at_client()
                .contains(&Output::Lost(frame::Why::OutOfStep))
        );
    }
}

#[test]
fn closing_drains_and_says_what_became_of_the_other_end_s_messages() {
    let mut pair = Pair::connected();
    let now = pair.now;
    for text in ["[7]", "[8]"] {
        pair.server().send(now, Data::from(text), PLAIN).unwrap();
    }
    pair.server().gathered(now);
    pair.settle();
    pair.reach_client();
    // Its application takes the first and is done with it; the second waits.
    let token = loop {
        match pair.client.poll_output(now) {
            Some(Output::Message { token, .. }) => break token,
            Some(_) => {}
            None => panic!("two messages"),
        }
    };
    pair.client.handled(now, token);
    let last = pair.send("[1]", PLAIN);
    pair.reach_server();
    pair.client.close(now, now.after(500));
    pair.settle();
    assert_eq!(
        pair.client
            .send(now, Data::from("2"), PLAIN)
            .unwrap_err()
            .why,
        Rejection::Closed
    );
    assert!(pair.closed.0.is_empty(), "it waits for an acknowledgement");
    pair.pass(500);
    assert_eq!(pair.closed.0, [close::NORMAL]);
    let end = pair.to_server.last().unwrap();
    assert_eq!(end, "~end sent=1 was-handled=1 was-given=1 was-received=2");
    let outputs = pair.at_client();
    assert!(
        matches!(
            &outputs[..],
            [Output::Ended(Ended::Closed), Output::Settled(delivery, End::Unknown { .. })] if *delivery == last
        ),
        "{outputs:?}"
    );
    pair.reach_server();
    let ends: Vec<String> = pair
        .at_server()
        .iter()
        .filter_map(|output| match output {
            Output::Handled(run) => Some(format!("{}-{} handled", run.first.0, run.last.0)),
            Output::Settled(delivery, End::NotHandled { .. }) => {
                Some(format!("{} not", delivery.0))
            }
            Output::Ended(why) => Some(format!("{why:?}")),
            _ => None,
        })
        .collect();
    assert_eq!(ends, ["ByPeer", "1-1 handled", "2 not"]);
    assert!(pair.server().is_over());
}

#[test]
fn volatile_messages_go_at_once_or_not_at_all() {
    let mut pair = Pair::with(Options::default());
    assert!(!pair.client.send_volatile(pair.now, Data::from("1")));
    pair.connect();
    assert!(
        !pair.client.send_volatile(pair.now, Data::from("2")),
        "before the welcome"
    );
    pair.arrive();
    assert!(pair.client.send_volatile(pair.now, Data::from("3")));
    pair.settle();
    assert_eq!(pair.to_server, ["~v 3"]);
    pair.client.set_writable(pair.now, false);
    assert!(!pair.client.send_volatile(pair.now, Data::from("4")));
    assert_eq!(pair.client.volatile_dropped(), 3);
}

#[test]
fn a_connection_that_takes_no_more_holds_everything_back() {
    let mut pair = Pair::connected();
    pair.client.set_writable(pair.now, false);
    pair.send("[1]", PLAIN);
    pair.send("[2]", PLAIN);
    pair.gathered();
    assert!(pair.to_server.is_empty());
    pair.client.set_writable(pair.now, true);
    pair.settle();
    assert_eq!(pair.to_server, ["~b 1[[1],[2]]"]);
}

#[test]
fn a_request_is_answered_once_whatever_is_cancelled_and_late() {
    let mut pair = Pair::connected();
    let now = pair.now;
    let answered = pair.client.ask(now, Data::from("[1]"), None).unwrap();
    let cancelled = pair.client.ask(now, Data::from("[2]"), None).unwrap();
    let late = pair
        .client
        .ask(now, Data::from("[3]"), Some(now.after(10)))
        .unwrap();
    pair.settle();
    assert_eq!(pair.to_server, ["~q [1]", "~q [2]", "~q [3]"]);
    pair.reach_server();
    pair.client.cancel(now, cancelled);
    pair.pass(10);
    assert_eq!(pair.to_server, ["~c 2", "~c 3"]);
    pair.reach_server();
    let outputs = pair.at_server();
    let tokens: Vec<Token> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Request { token, .. } => Some(*token),
            _ => None,
        })
        .collect();
    let withdrawn = outputs
        .iter()
        .filter(|output| matches!(output, Output::Withdrawn(_)));
    assert_eq!((tokens.len(), withdrawn.count()), (3, 2));
    let now = pair.now;
    for token in tokens.iter().chain(&tokens) {
        pair.server()
            .answer(now, *token, Answer::Response(Data::from("[4]")))
            .unwrap();
    }
    pair.settle();
    assert_eq!(pair.to_client, ["~r 1 5 [4]", "~r 2 5 [4]", "~r 3 5 [4]"]);
    pair.reach_client();
    let ends: Vec<Output<Text>> = pair.at_client().into_iter().skip(1).collect();
    let expected = [
        Output::Answered(cancelled, AskEnd::Cancelled),
        Output::Answered(late, AskEnd::TimedOut),
        Output::Answered(answered, AskEnd::Response(Data::from("[4]"))),
    ];
    assert_eq!(ends, expected);
}

// ----- the memory store

fn claim(letter: u8, attempt: u64) -> Claim {
    Claim {
        key: Secret::new([letter; 16]).key(),
        identity: Identity("Ada".to_owned()),
        may_resume: true,
        attempt,
        epoch: 0,
        has_sent: false,
        began: Time::default(),
        owner: None,
        new_epoch: u64::from(letter) + 100,
        lost: None,
    }
}

fn ask(store: &mut MemoryStore<Text>, now: u64, question: Question<Text>) -> Reply<Text> {
    store.ask(Time::from_millis(now), Ticket(1), question);
    store.poll().unwrap().1
}

fn step(letter: u8, number: u64, sends: &[&'static str]) -> Step<Text> {
    let message = |text: &&'static str| Item::Message {
        payload: Data::from(*text),
        delivery: None,
        awaited: false,
    };
    Step {
        key: Secret::new([letter; 16]).key(),
        // The sessions are opened in this order.
        owner: u64::from(letter),
        number,
        handled: 0,
        also: vec![],
        acknowledged: 0,
        got: 0,
        freed: vec![],
        sends: sends.iter().map(message).collect(),
        confirmed: false,
    }
}

fn finish(letter: u8, why: Option<frame::Why>) -> Question<Text> {
    Question::Finish(Finish {
        key: Secret::new([letter; 16]).key(),
        owner: u64::from(letter),
        why,
        verdict: Some(Verdict::default()),
        confirmed: false,
    })
}

#[test]
fn a_step_is_done_once_and_only_by_the_owner() {
    let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
    ask(&mut store, 1, Question::Open(claim(1, 1)));
    for _ in 0..2 {
        let reply = ask(&mut store, 2, Question::Step(step(1, 1, &["a", "b"])));
        assert!(matches!(reply, Reply::Stepped { first: 1 }));
        assert_eq!(store.bytes(), 2);
    }
    let reply = ask(&mut store, 2, Question::Step(step(1, 2, &["c"])));
    assert!(matches!(reply, Reply::Stepped { first: 3 }));
    // Another owner takes over, and has what was not acknowledged.
    let mut again = claim(1, 2);
    again.epoch = 101;
    let Reply::Opened(opening) = ask(&mut store, 3, Question::Open(again)) else {
        panic!("it is there");
    };
    assert_eq!((opening.owner, opening.found), (2, Found::Continued));
    assert_eq!(opening.snapshot.unwrap().sent.messages(), 3);
    let reply = ask(&mut store, 4, Question::Step(step(1, 3, &["d"])));
    assert!(matches!(reply, Reply::Fenced));
    let reply = ask(&mut store, 4, finish(1, None));
    assert!(matches!(reply, Reply::Fenced));
}

#[test]
fn an_owner_of_one_epoch_is_fenced_in_the_next() {
    let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
    ask(&mut store, 1, Question::Open(claim(1, 1)));
    let mut again = claim(1, 2);
    (again.epoch, again.has_sent, again.may_resume) = (101, true, false);
    let Reply::Opened(opening) = ask(&mut store, 2, Question::Open(again)) else {
        panic!("it begins anew");
    };
    assert_eq!((opening.owner, opening.owner_in_epoch), (2, 1));
    let reply = ask(&mut store, 3, Question::Step(step(1, 1, &["a"])));
    assert!(matches!(reply, Reply::Fenced));
}

#[test]
fn a_full_store_evicts_no_living_session() {
    let options = MemoryOptions {
        sessions: 2,
        bytes: 7,
        ..MemoryOptions::default()
    };
    let mut store = MemoryStore::new(Time::default(), options);
    for letter in 1..=2 {
        let reply = ask(&mut store, 1, Question::Open(claim(letter, 1)));
        assert!(matches!(reply, Reply::Opened(_)));
    }
    assert!(matches!(
        ask(&mut store, 1, Question::Open(claim(3, 1))),
        Reply::NoRoom
    ));
    assert_eq!(store.sessions(), 2);
    let reply = ask(&mut store, 1, Question::Step(step(1, 1, &["abcd"])));
    assert!(matches!(reply, Reply::Stepped { .. }));
    let reply = ask(&mut store, 1, Question::Step(step(1, 2, &["e"])));
    assert!(matches!(reply, Reply::Full));
    // But one has its share, and no more.
    let reply = ask(&mut store, 1, Question::Step(step(2, 1, &["f"])));
    assert!(matches!(reply, Reply::Stepped { .. }));
    let reply = ask(&mut store, 1, Question::Step(step(2, 2, &["g"])));
    assert!(matches!(reply, Reply::Full));
    assert_eq!(store.bytes(), 5);
    ask(&mut store, 1, finish(1, None));
    assert_eq!(
        (store.bytes(), store.sessions(), store.tombstones()),
        (1, 1, 1)
    );
    assert!(matches!(
        ask(&mut store, 1, Question::Open(claim(3, 1))),
        Reply::Opened(_)
    ));
}

#[test]
fn a_tombstone_that_is_gone_makes_the_memory_younger() {
    let options = MemoryOptions {
        tombstones: 1,
        ..MemoryOptions::default()
    };
    let hello = |began: u64| {
        let mut store = MemoryStore::new(Time::default(), options);
        ask(&mut store, 100_000, Question::Open(claim(1, 1)));
        ask(&mut store, 100_000, finish(1, Some(frame::Why::Expired)));
        // Another tombstone takes its place.
        ask(&mut store, 100_001, Question::Open(claim(2, 1)));
        ask(&mut store, 100_001, finish(2, None));
        assert_eq!(store.tombstones(), 1);
        let mut again = claim(1, 2);
        again.has_sent = true;
        again.began = Time::from_millis(began);
        match ask(&mut store, 200_000, Question::Open(again)) {
            Reply::Opened(opening) => opening.found,
            reply => panic!("{reply:?}"),
        }
    };
    assert!(
        matches!(hello(100_001), Found::Lost(_)),
        "it may be the session that was forgotten"
    );
    assert!(matches!(
        hello(100_002 + limits::YOUNG_MS - 1),
        Found::Lost(_)
    ));
    assert_eq!(hello(100_002 + limits::YOUNG_MS), Found::Fresh);
}

#[test]
fn no_two_owners_of_a_session_have_the_same_generation() {
    let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
    ask(&mut store, 1, Question::Open(claim(1, 1)));
    // Its owner sleeps until its lease has run out, and even its tombstone. Another process makes a session.
    let late = limits::WINDOW_MS * 2 + limits::EXPIRED_TOMBSTONE_MS + 2;
    ask(
        &mut store,
        limits::WINDOW_MS * 2 + 1,
        Question::Open(claim(9, 1)),
    );
    assert!(matches!(
        ask(
            &mut store,
            limits::WINDOW_MS * 2 + 2,
            Question::Step(step(1, 1, &["a"]))
        ),
        Reply::Gone
    ));
    ask(&mut store, late, Question::Open(claim(1, 9)));
    let reply = ask(&mut store, late, Question::Step(step(1, 1, &["a"])));
    assert!(matches!(reply, Reply::Fenced), "{reply:?}");
    assert!(matches!(
        ask(&mut store, late, finish(1, None)),
        Reply::Fenced
    ));
}

#[test]
fn a_tombstone_has_both_verdicts_if_the_client_may_not_know_of_the_last_epoch() {
    let found = |epoch: u64, confirmed: bool| {
        let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
        // A session of epoch 5 that nobody knows: the client is told so, and epoch 101 begins.
        let mut first = claim(1, 1);
        (first.epoch, first.has_sent) = (5, true);
        ask(&mut store, 1, Question::Open(first));
        let mut end = finish(1, Some(frame::Why::Full));
        if let Question::Finish(finish) = &mut end {
            finish.confirmed = confirmed;
        }
        ask(&mut store, 2, end);
        let mut again = claim(1, 2);
        (again.epoch, again.has_sent) = (epoch, true);
        match ask(&mut store, 3, Question::Open(again)) {
            Reply::Opened(opening) => match opening.found {
                Found::Lost(lost) => (lost.why, lost.verdict.is_some()),
                found => panic!("{found:?}"),
            },
            reply => panic!("{reply:?}"),
        }
    };
    use frame::Why;
    // The welcome was lost, or what the client said then.
    assert_eq!(found(5, false), (Why::Unknown, false));
    assert_eq!(found(101, false), (Why::Full, true));
    assert_eq!(found(101, true), (Why::Full, true));
    assert_eq!(found(6, false), (Why::Unknown, false));
}

#[test]
fn a_closed_session_answers_no_hello_for_ten_minutes() {
    let mut store = MemoryStore::new(Time::default(), MemoryOptions::default());
    ask(&mut store, 1, Question::Open(claim(1, 1)));
    ask(&mut store, 1, finish(1, None));
    let late = ask(
        &mut store,
        limits::CLOSED_TOMBSTONE_MS,
        Question::Open(claim(1, 9)),
    );
    assert!(matches!(late, Reply::Over));
    let later = ask(
        &mut store,
        limits::CLOSED_TOMBSTONE_MS + 1,
        Question::Open(claim(1, 9)),
    );
    assert!(matches!(later, Reply::Opened(_)));
}

#[test]
fn a_half_stays_small() {
    // Without what it holds on the heap. It has to be looked at if it grows, since a server has many.
    let sizes = (size_of::<Client<Text>>(), size_of::<Server<Text>>());
    assert!(sizes.0 <= 1_100 && sizes.1 <= 1_000, "{sizes:?}");
}

mod hostile;
