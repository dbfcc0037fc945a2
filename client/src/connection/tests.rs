//! Tests of the machine as a whole. Its parts have their own tests.

use core::hash::{BuildHasher, BuildHasherDefault};
use core::time::Duration;
use std::hash::DefaultHasher;

use proptest::prelude::*;

use super::*;
use crate::options::{Options, Overflow};

/// A connection whose driver carries out every effect, and a browser that accepts every message.
struct Rig {
    core: Connection<u32>,
    now: u64,
    chance: f64,
    verdict: Option<Verdict>,
    /// How the server can be pinged.
    pings: Pings,
    /// What the browser claims to hold.
    buffered: u64,
    refuse_sends: bool,
    /// A message that the browser never accepts.
    poison: Option<u32>,
    /// Requested turns of the event loop.
    turns: Vec<(Generation, u32)>,
    done: Vec<String>,
    sent: Vec<u32>,
    told: Vec<String>,
    /// The reported numbers of messages in the queue.
    queued: Vec<u64>,
    /// The cause of each loss.
    whys: Vec<Why>,
    /// The losses about which the predicate was asked.
    judged: Vec<Loss>,
    /// Commands from inside the predicate.
    in_predicate: Vec<Act>,
    /// Called with the name of each event, inside its handler.
    in_handler: Vec<(&'static str, Act)>,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Send(u32),
    Ready,
    Close,
    Reconnect,
    Suspend,
    Resume,
}

const FIRST: SendMode = SendMode {
    first: true,
    volatile: false,
    ttl_ms: None,
};

const VOLATILE: SendMode = SendMode {
    first: false,
    volatile: true,
    ttl_ms: None,
};

const RECONNECT: Input<u32> = Input::Reconnect {
    code: None,
    reason: String::new(),
};

/// No waits except those that a test requests.
fn options() -> Options {
    Options::default()
        .attempt_interval(Duration::ZERO)
        .high_water_mark(100)
        .low_water_mark(40)
}

impl Rig {
    fn new(options: Options) -> Self {
        options.check().unwrap();
        Self {
            core: Connection::new(options),
            now: 0,
            chance: 0.5,
            verdict: None,
            pings: Pings::None,
            buffered: 0,
            refuse_sends: false,
            poison: None,
            turns: Vec::new(),
            done: Vec::new(),
            sent: Vec::new(),
            told: Vec::new(),
            queued: Vec::new(),
            whys: Vec::new(),
            judged: Vec::new(),
            in_predicate: Vec::new(),
            in_handler: Vec::new(),
        }
    }

    fn connecting(options: Options) -> Self {
        let mut rig = Self::new(options);
        rig.tell(Input::Start);
        let generation = rig.core.generation();
        rig.tell(Report::Resolved.of(generation));
        rig
    }

    fn open(options: Options) -> Self {
        Self::open_to(options, Pings::None)
    }

    /// A connection to a server that can be pinged like this.
    fn open_to(options: Options, pings: Pings) -> Self {
        let mut rig = Self::connecting(options);
        rig.pings = pings;
        rig.opens();
        rig.done.clear();
        rig.told.clear();
        rig
    }

    fn waiting(options: Options) -> Self {
        let mut rig = Self::connecting(options);
        rig.closes(1006);
        rig.done.clear();
        rig.told.clear();
        rig
    }

    fn closed(options: Options) -> Self {
        let mut rig = Self::open(options);
        rig.closes(1000);
        rig.done.clear();
        rig.told.clear();
        rig
    }

    /// Suspended while open; the server has not answered yet.
    fn suspending(options: Options) -> Self {
        let mut rig = Self::open(options);
        rig.tell(suspend());
        rig.done.clear();
        rig.told.clear();
        rig
    }

    fn suspended(options: Options) -> Self {
        let mut rig = Self::suspending(options);
        rig.closes(1000);
        rig.told.clear();
        rig
    }

    fn closing(options: Options) -> Self {
        let mut rig = Self::open(options);
        rig.close();
        rig.done.clear();
        rig.told.clear();
        rig
    }

    fn context(&self) -> Context {
        Context {
            now: Time::from_millis(self.now),
            chance: self.chance,
        }
    }

    fn tell(&mut self, input: Input<u32>) {
        self.core.handle(self.context(), input);
        self.settle();
    }

    fn send(&mut self, id: u32, mode: SendMode) -> Result<Sent, SendRejected<u32>> {
        let sent = self.hand_over(id, mode);
        self.settle();
        sent
    }

    /// Sends a message and, if it may go at once, passes it to the browser.
    fn hand_over(&mut self, id: u32, mode: SendMode) -> Result<Sent, SendRejected<u32>> {
        let accepted = self.core.send(Time::from_millis(self.now), id, 10, mode)?;
        Ok(match accepted {
            Accepted::Transmit {
                generation,
                payload,
            } => {
                self.transmit(generation, payload);
                Sent::Now
            }
            Accepted::Sent(sent) => sent,
        })
    }

    fn transmit(&mut self, generation: Generation, payload: u32) {
        if self.refuse_sends || self.poison == Some(payload) {
            let failed = Input::TransmitFailed {
                generation,
                payload,
                error: None,
            };
            self.core.handle(self.context(), failed);
            return;
        }
        self.sent.push(payload);
        self.buffered += 10;
        let now = Time::from_millis(self.now);
        self.core.transmitted(now, generation);
    }

    fn close(&mut self) {
        self.tell(Input::Close {
            code: Some(4_001),
            reason: "enough".into(),
        });
    }

    fn opens(&mut self) {
        let generation = self.core.generation();
        self.tell(Report::Opened(self.pings).of(generation));
    }

    fn closes(&mut self, code: u16) {
        let generation = self.core.generation();
        let close = CloseFrame {
            code,
            reason: String::new(),
            clean: code != 1006,
        };
        self.tell(Report::Closed(close).of(generation));
    }

    fn hears(&mut self, payload: u32) {
        let generation = self.core.generation();
        self.tell(message(generation, payload));
    }

    /// The control message that would be sent now.
    fn ping(&self) -> Option<String> {
        self.core.control_ping().map(|control| control.text)
    }

    fn hears_bytes(&mut self, bytes: usize) {
        let generation = self.core.generation();
        let payload = 7;
        self.tell(Report::Message { payload, bytes }.of(generation));
    }

    /// Fires the timer whenever it is due, until `millis` have passed.
    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(at) = self
            .core
            .next_timer()
            .map(Time::as_millis)
            .filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.timer();
        }
        self.now = end;
    }

    /// Fires the timer and turns the event loop.
    fn timer(&mut self) {
        self.tell(Input::Timer);
        self.turn();
    }

    /// Turns the event loop.
    fn turn(&mut self) {
        for (generation, turn) in core::mem::take(&mut self.turns) {
            self.tell(Report::Turned(turn).of(generation));
        }
    }

    /// From a wait to the next open connection.
    fn comes_back(&mut self) {
        while self.core.phase() == Phase::Waiting {
            self.now = self.core.next_timer().unwrap().as_millis();
            self.timer();
        }
        let generation = self.core.generation();
        self.tell(Report::Resolved.of(generation));
        self.opens();
    }

    fn settle(&mut self) {
        self.carry_out();
        loop {
            let output = self.core.poll_output(Time::from_millis(self.now));
            self.carry_out();
            let Some(output) = output else {
                if self.core.has_output() {
                    continue;
                }
                return;
            };
            if let Output::Event(Event::Closed(closed)) = &output {
                self.whys.push(closed.why);
            }
            let name = match output {
                Output::Message(id) => format!("message {id}"),
                Output::Event(Event::State(change)) => change.phase.name().into(),
                Output::Event(Event::Open { reconnected, .. }) => {
                    if reconnected { "reopen" } else { "open" }.into()
                }
                Output::Event(Event::Error) => "error".into(),
                Output::Event(Event::Closed(closed)) => format!(
                    "close {} {} ({}, {} unconfirmed)",
                    closed.loss.close.code,
                    match closed.retry_in_ms {
                        Some(wait) => format!("in {wait}"),
                        None if closed.is_final() => "for good".into(),
                        None => "until resumed".into(),
                    },
                    closed.loss.cause.name(),
                    closed.unconfirmed.messages
                ),
                Output::Event(Event::Dropped(dropped)) => {
                    format!("{} {:?}", dropped.reason.name(), dropped.payloads)
                }
                Output::Event(Event::QueueChanged(queued)) => {
                    self.queued.push(queued.messages);
                    continue;
                }
                Output::Event(Event::Session(event)) => event.to_string(),
            };
            self.told
                .push(format!("{name} @{}", self.core.ready_state()));
            let due: Vec<Act> = self
                .in_handler
                .iter()
                .filter(|(event, _)| name.starts_with(event))
                .map(|(_, act)| *act)
                .collect();
            self.in_handler
                .retain(|(event, _)| !name.starts_with(event));
            for act in due {
                self.act(act);
            }
        }
    }

    /// A command from inside a handler.
    fn act(&mut self, act: Act) {
        let context = self.context();
        match act {
            Act::Send(id) => {
                self.hand_over(id, SendMode::default()).unwrap();
            }
            Act::Ready => self.core.handle(context, Input::Ready),
            Act::Reconnect => self.core.handle(context, RECONNECT),
            Act::Suspend => self.core.handle(context, suspend()),
            Act::Resume => self.core.handle(context, Input::Resume),
            Act::Close => self.core.handle(
                context,
                Input::Close {
                    code: None,
                    reason: String::new(),
                },
            ),
        }
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            let (done, answer) = match effect {
                Effect::Resolve { generation } => (format!("resolve {}", generation.0), None),
                Effect::CancelResolve { generation } => (format!("cancel {}", generation.0), None),
                Effect::Open { generation } => (format!("open {}", generation.0), None),
                Effect::Ping { generation } => {
                    let control = self.core.control_ping();
                    let asks = control.is_none_or(|control| control.is_question);
                    let pinged = asks.then(|| Report::Pinged.of(generation));
                    (format!("ping {}", generation.0), pinged)
                }
                Effect::KeepAlive { generation } => {
                    let control = self.core.control_ping();
                    let asks = control.is_some_and(|control| control.is_question);
                    let pinged = asks.then(|| Report::Pinged.of(generation));
                    (format!("keepalive {}", generation.0), pinged)
                }
                Effect::Turn { generation, turn } => {
                    self.turns.push((generation, turn));
                    (String::new(), None)
                }
                Effect::Close {
                    generation, code, ..
                } => (format!("close {} {code:?}", generation.0), None),
                Effect::Abandon { generation, .. } => (format!("abandon {}", generation.0), None),
                Effect::Measure { generation } => {
                    let bytes = self.buffered;
                    let answer = Report::Buffered(bytes).of(generation);
                    (String::new(), Some(answer))
                }
                Effect::Transmit {
                    generation,
                    payload,
                } => {
                    self.transmit(generation, payload);
                    (String::new(), None)
                }
                Effect::Judge { generation } => {
                    let loss = self.core.lost().expect("something was lost");
                    self.judged.push(loss.clone());
                    for act in core::mem::take(&mut self.in_predicate) {
                        self.act(act);
                    }
                    let verdict = Report::Verdict(self.verdict);
                    (String::new(), Some(verdict.of(generation)))
                }
            };
            if !done.is_empty() {
                self.done.push(done);
            }
            if let Some(answer) = answer {
                self.core.handle(self.context(), answer);
            }
        }
    }

    fn wait(&self) -> u64 {
        assert_eq!(self.core.phase(), Phase::Waiting);
        self.core.next_timer().unwrap().as_millis() - self.now
    }
}

// ----- every input in every state

/// The outcome of an input: the new phase, and the effects that are not answered at once.
fn outcome(mut rig: Rig, input: fn(Generation) -> Input<u32>) -> String {
    let generation = rig.core.generation();
    rig.tell(input(generation));
    let mut outcome = rig.core.phase().name().to_owned();
    for done in &rig.done {
        outcome.push_str(", ");
        outcome.push_str(done);
    }
    outcome
}

type MakeRig = fn() -> Rig;

const STATES: [(&str, MakeRig); 9] = [
    ("idle", || Rig::new(options())),
    ("resolving", || {
        let mut rig = Rig::new(options());
        rig.tell(Input::Start);
        rig.done.clear();
        rig
    }),
    ("connecting", || {
        let mut rig = Rig::connecting(options());
        rig.done.clear();
        rig
    }),
    ("open", || Rig::open(options())),
    ("waiting", || Rig::waiting(options())),
    ("closing", || Rig::closing(options())),
    ("closed", || Rig::closed(options())),
    ("suspending", || Rig::suspending(options())),
    ("suspended", || Rig::suspended(options())),
];

// [R29]
#[test]
fn every_input_is_defined_in_every_state() {
    let lost = |generation| Report::Closed(CloseFrame::abnormal()).of(generation);
    let close = |_| Input::Close {
        code: None,
        reason: String::new(),
    };
    let message = |generation| {
        Report::Message {
            payload: 7,
            bytes: 1,
        }
        .of(generation)
    };
    let buffered = |generation| Report::Buffered(0).of(generation);
    let untaken = |generation| Input::TransmitFailed {
        generation,
        payload: 7,
        error: None,
    };
    let beat = |generation| Report::Control(Control::Beat { interval_ms: 9_000 }).of(generation);
    let pong = |generation| Report::Control(Control::Pong { number: 1 }).of(generation);
    let window = |generation| {
        Report::Control(Control::Reconnect(Window {
            min_ms: 1,
            max_ms: 2,
        }))
        .of(generation)
    };
    type Row = (
        &'static str,
        fn(Generation) -> Input<u32>,
        [&'static str; 9],
    );
    // In the order of `STATES`; "" means that nothing happens.
    #[rustfmt::skip]
    let table: [Row; 25] = [
        ("start", |_| Input::Start, ["connecting, resolve 1", "", "", "", "", "", "", "", ""]),
        ("close", close, [
            "", "closed, cancel 1", "closed, abandon 1", "closing, close 1 None", "closed", "", "", "closing", "closed",
        ]),
        ("reconnect", |_| RECONNECT, [
            "connecting, resolve 1", "connecting, cancel 1, resolve 2", "connecting, abandon 1, resolve 2",
            "connecting, abandon 1, resolve 2", "connecting, resolve 2", "connecting, abandon 1, resolve 2",
            "connecting, resolve 2", "connecting, abandon 1, resolve 2", "connecting, resolve 2",
        ]),
        ("suspend", |_| suspend(), [
            "", "suspended, cancel 1", "suspended, abandon 1", "suspended, close 1 Some(1000)", "suspended", "", "", "", "",
        ]),
        ("resume", |_| Input::Resume, [
            "", "", "", "", "", "", "", "connecting, abandon 1, resolve 2", "connecting, resolve 2",
        ]),
        ("ready", |_| Input::Ready, [""; 9]),
        ("resolved", |generation| Report::Resolved.of(generation), ["", "connecting, open 1", "", "", "", "", "", "", ""]),
        ("resolve failed", |generation| Report::ResolveFailed(None).of(generation), ["", "waiting", "", "", "", "", "", "", ""]),
        ("open failed", |generation| Report::OpenFailed(None).of(generation), ["", "", "waiting", "", "", "", "", "", ""]),
        ("opened", |generation| Report::Opened(Pings::None).of(generation), ["", "", "open", "", "", "", "", "", ""]),
        ("message", message, [""; 9]),
        ("error", |generation| Report::Error(None).of(generation), [""; 9]),
        ("lost", lost, ["", "", "waiting", "waiting", "", "closed", "", "", ""]),
        ("not taken", untaken, [""; 9]),
        ("buffered", buffered, [""; 9]),
        ("pinged", |generation| Report::Pinged.of(generation), [""; 9]),
        ("answered", |generation| Report::Answered.of(generation), [""; 9]),
        ("alive", |generation| Report::Alive.of(generation), [""; 9]),
        ("beat", beat, [""; 9]),
        ("pong", pong, [""; 9]),
        ("window", window, [""; 9]),
        ("timer", |_| Input::Timer, [""; 9]),
        ("too big", |generation| Report::TooBig.of(generation), [
            "", "", "", "waiting, close 1 Some(4009), abandon 1", "", "", "", "", "",
        ]),
        ("verdict", |generation| Report::Verdict(Some(Verdict::Stop)).of(generation), [""; 9]),
        ("turned", |generation| Report::Turned(0).of(generation), [""; 9]),
    ];
    for (name, input, row) in table {
        for ((state, rig), expected) in STATES.iter().zip(row) {
            let before = rig().core.phase().name();
            let expected = if expected.is_empty() {
                before
            } else {
                expected
            };
            assert_eq!(outcome(rig(), input), expected, "{name} in {state}");
        }
        // Inside the predicate, which then leaves the decision to the close code.
        let mut asked = Rig::open(options());
        let generation = asked.core.generation();
        asked.core.handle(asked.context(), lost(generation));
        while !matches!(asked.core.poll_effect(), None | Some(Effect::Judge { .. })) {}
        asked.tell(input(generation));
        let verdict: fn(Generation) -> Input<u32> = |_| Report::Verdict(None).of(Generation(1));
        let expected = match name {
            "close" | "verdict" => "closed",
            "reconnect" => "connecting, resolve 2",
            "suspend" => "suspended",
            _ => "waiting",
        };
        assert_eq!(
            outcome(asked, verdict),
            expected,
            "{name} inside the predicate"
        );
    }
    for (state, rig) in STATES {
        let mut rig = rig();
        let before = rig.core.phase();
        rig.core.transmitted(Time::default(), rig.core.generation());
        rig.settle();
        assert_eq!((rig.core.phase(), rig.done.len()), (before, 0), "{state}");
    }
}

// [R6]
#[test]
fn an_event_of_an_earlier_socket_changes_nothing() {
    let mut rig = Rig::open(options());
    let old = rig.core.generation();
    rig.tell(RECONNECT);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    rig.done.clear();
    rig.told.clear();
    rig.tell(Report::Opened(Pings::None).of(old));
    rig.tell(
        Report::Message {
            payload: 1,
            bytes: 1,
        }
        .of(old),
    );
    rig.tell(Report::Error(None).of(old));
    rig.tell(
        Report::Control(Control::Reconnect(Window {
            min_ms: 1,
            max_ms: 2,
        }))
        .of(old),
    );
    rig.tell(Report::Closed(CloseFrame::abnormal()).of(old));
    assert_eq!(rig.core.phase(), Phase::Open);
    assert_eq!((rig.done.len(), rig.told.len()), (0, 0));
}

#[test]
fn every_attempt_has_a_number_of_its_own() {
    let mut rig = Rig::new(options());
    for expected in 1..5 {
        rig.tell(RECONNECT);
        assert_eq!(rig.core.generation().number(), expected);
    }
}

// ----- suspend and resume

// [R36]
#[test]
fn a_suspended_connection_keeps_its_queue_and_does_nothing_until_it_is_resumed() {
    let mut rig = Rig::open(options().high_water_mark(20).low_water_mark(0));
    rig.send(1, SendMode::default()).unwrap();
    rig.send(2, SendMode::default()).unwrap();
    assert_eq!(rig.send(3, SendMode::default()), Ok(Sent::Queued));
    rig.tell(suspend());
    assert_eq!(rig.done, ["close 1 Some(1000)"]);
    assert_eq!(rig.told, ["suspended @0"]);
    assert_eq!(rig.send(4, SendMode::default()), Ok(Sent::Queued));
    // Nothing more is delivered, as after a close for good.
    rig.hears(9);
    rig.closes(1000);
    assert_eq!(
        rig.told,
        [
            "suspended @0",
            "close 1000 until resumed (suspended, 2 unconfirmed) @0"
        ]
    );
    assert_eq!(rig.whys.last().copied(), Some(Why::Suspended));
    assert_eq!(rig.core.next_timer(), None);
    rig.tell(Input::Hint(Hint::Resumed));
    rig.pass(86_400_000);
    rig.tell(suspend());
    rig.tell(Input::Start);
    assert_eq!((rig.done.len(), rig.told.len()), (1, 2));
    assert_eq!(
        (rig.sent.as_slice(), rig.core.queued_bytes()),
        (&[1, 2][..], 20)
    );

    rig.buffered = 0;
    rig.tell(Input::Resume);
    assert_eq!(rig.done[1..], ["resolve 2"]);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    assert_eq!(rig.told[2..], ["connecting @0", "open @1", "reopen @1"]);
    assert_eq!(rig.sent, [1, 2, 3, 4]);
}

// [R36]
#[test]
fn what_the_browser_had_taken_is_unconfirmed_whatever_ends_the_suspended_connection() {
    type End = fn(&mut Rig);
    let ending: [(&str, End); 4] = [
        (
            "close 1000 until resumed (suspended, 1 unconfirmed) @0",
            |rig| rig.closes(1000),
        ),
        (
            "close 4000 until resumed (suspended, 1 unconfirmed) @0",
            |rig| rig.closes(4000),
        ),
        (
            "close 1006 until resumed (suspended, 1 unconfirmed) @0",
            |rig| rig.closes(1006),
        ),
        // No answer within the close timeout.
        (
            "close 1006 until resumed (suspended, 1 unconfirmed) @0",
            |rig| rig.pass(10_000),
        ),
    ];
    for (told, end) in ending {
        let mut rig = Rig::open(options());
        rig.send(1, SendMode::default()).unwrap();
        rig.tell(suspend());
        rig.told.clear();
        end(&mut rig);
        assert_eq!(rig.told, [told]);
        assert_eq!(
            (rig.core.phase(), rig.core.next_timer()),
            (Phase::Suspended, None)
        );
    }
}

// [R6][R36]
#[test]
fn resuming_does_not_wait_for_the_server_to_answer_the_suspension() {
    for again in [Input::Resume, RECONNECT] {
        let mut rig = Rig::open(options());
        rig.send(1, SendMode::default()).unwrap();
        rig.tell(suspend());
        let old = rig.core.generation();
        rig.tell(again);
        assert_eq!(rig.done, ["close 1 Some(1000)", "abandon 1", "resolve 2"]);
        assert_eq!(
            rig.told,
            [
                "suspended @0",
                "close 1006 until resumed (suspended, 1 unconfirmed) @0",
                "connecting @0"
            ]
        );
        rig.tell(Report::Closed(CloseFrame::abnormal()).of(old));
        assert_eq!((rig.core.phase(), rig.told.len()), (Phase::Connecting, 3));
    }
}

// [R36]
#[test]
fn suspending_before_it_is_open_ends_the_attempt_or_the_wait() {
    let mut rig = Rig::connecting(options());
    rig.told.clear();
    rig.tell(suspend());
    assert_eq!(
        rig.told,
        [
            "suspended @0",
            "close 1006 until resumed (suspended, 0 unconfirmed) @0"
        ],
        "nothing has failed, so there is no error"
    );
    let generation = rig.core.generation();
    rig.tell(Report::Opened(Pings::None).of(generation));
    rig.closes(1006);
    assert_eq!((rig.core.phase(), rig.told.len()), (Phase::Suspended, 2));

    // The loss before the wait was already reported.
    let mut rig = Rig::waiting(options());
    rig.tell(suspend());
    assert_eq!(rig.told, ["suspended @0"]);
    assert_eq!(rig.core.next_timer(), None);
}

// [R36]
#[test]
fn closing_while_suspended_is_final_once_and_reports_the_queue() {
    let close_for_good = |mut rig: Rig| {
        rig.send(7, SendMode::default()).unwrap();
        rig.close();
        rig
    };
    let rig = close_for_good(Rig::suspended(options()));
    assert_eq!(
        rig.told,
        [
            "closed @3",
            "error @3",
            "closed [7] @3",
            "close 1006 for good (closed, 0 unconfirmed) @3"
        ]
    );

    // While the server has not yet answered, its answer is the end.
    let mut rig = close_for_good(Rig::suspending(options()));
    assert_eq!(rig.done, [""; 0], "no second closing handshake");
    rig.closes(1000);
    assert_eq!(
        rig.told,
        [
            "closing @2",
            "closed [7] @2",
            "closed @3",
            "close 1000 for good (socket, 0 unconfirmed) @3"
        ]
    );
    rig.tell(Input::Resume);
    assert_eq!(rig.core.phase(), Phase::Closed);
}

// [R36]
#[test]
fn commands_of_suspension_inside_handlers_take_effect_at_once() {
    // At each event of a connection that is suspended and resumed inside its handlers.
    for event in ["connecting", "open", "waiting", "message", "close"] {
        let mut rig = Rig::new(options());
        rig.in_handler.push((event, Act::Suspend));
        rig.in_handler.push(("suspended", Act::Resume));
        rig.tell(Input::Start);
        let generation = rig.core.generation();
        rig.tell(Report::Resolved.of(generation));
        rig.opens();
        rig.hears(1);
        rig.closes(1006);
        let suspended = rig.told.iter().filter(|told| told.starts_with("suspended"));
        assert_eq!(suspended.count(), 1, "{event}: {:?}", rig.told);
        assert_ne!(rig.core.phase(), Phase::Suspended, "{event}");
        assert!(!rig.core.has_output(), "{event}");
    }
    let mut rig = Rig::open(options());
    rig.in_handler.push(("suspended", Act::Close));
    rig.tell(suspend());
    assert_eq!(rig.told, ["suspended @0", "closing @2"]);
    rig.closes(1000);
    assert_eq!(rig.told.len(), 4, "{:?}", rig.told);

    // What an `open` handler sends after suspending waits like everything else.
    let mut rig = Rig::open(options());
    rig.closes(1006);
    rig.in_handler.push(("reopen", Act::Ready));
    rig.in_handler.push(("reopen", Act::Suspend));
    rig.in_handler.push(("reopen", Act::Send(5)));
    rig.comes_back();
    assert_eq!((rig.sent.len(), rig.core.queued_bytes()), (0, 10));
    assert_eq!(rig.core.phase(), Phase::Suspended);
}

// [R36]
#[test]
fn messages_expire_while_suspended() {
    let mut rig = Rig::suspended(options().message_ttl(Some(Duration::from_secs(1))));
    rig.send(1, SendMode::default()).unwrap();
    rig.pass(999);
    assert_eq!(rig.told.len(), 0);
    rig.pass(1);
    assert_eq!(rig.told, ["expired [1] @0"]);
    assert_eq!(rig.core.next_timer(), None);
    assert_eq!(rig.send(2, VOLATILE), Ok(Sent::Dropped));
}

// [R21][R36]
#[test]
fn a_loop_of_suspend_and_resume_is_within_the_budget_of_attempts() {
    let interval = Duration::from_secs(20);
    let mut rig = Rig::open(options().attempt_burst(3).attempt_interval(interval));
    for _ in 0..100 {
        rig.tell(suspend());
        rig.tell(Input::Resume);
    }
    let attempts = rig.done.iter().filter(|done| done.starts_with("resolve"));
    assert_eq!(attempts.count(), 2);
    assert_eq!((rig.core.phase(), rig.wait()), (Phase::Waiting, 20_000));
}

// [R36]
#[test]
fn failures_before_a_suspension_do_not_count_after_it() {
    let mut rig = Rig::connecting(options().max_retries(Some(1)));
    rig.closes(1006);
    assert_eq!(rig.core.attempt(), 2);
    rig.tell(suspend());
    rig.tell(Input::Resume);
    assert_eq!(rig.core.attempt(), 1);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.closes(1006);
    assert_eq!(rig.core.phase(), Phase::Waiting);
}

// [R25][R36]
#[test]
fn a_message_in_hand_while_it_is_suspended_is_sent_once_or_kept() {
    for taken in [true, false] {
        let mut rig = Rig::open(options());
        let context = rig.context();
        let generation = rig.core.generation();
        let payload = 1;
        assert_eq!(
            rig.core.send(context.now, payload, 10, SendMode::default()),
            Ok(Accepted::Transmit {
                generation,
                payload
            })
        );
        // From inside the browser's `send`.
        rig.core.handle(context, suspend());
        rig.settle();
        if taken {
            rig.core.transmitted(context.now, generation);
            rig.settle();
        } else {
            rig.tell(Input::TransmitFailed {
                generation,
                payload,
                error: None,
            });
        }
        assert_eq!(rig.core.phase(), Phase::Suspended);
        let snapshot = rig.core.snapshot(Time::default());
        let (sent, queued) = (snapshot.sent.messages, snapshot.queued.messages);
        assert_eq!((sent, queued), if taken { (1, 0) } else { (0, 1) });
        rig.closes(1006);
        assert_eq!(
            rig.core.snapshot(Time::default()).unconfirmed.messages,
            sent
        );
    }
    // One that is to be passed to the browser next stays in the queue.
    let mut rig = Rig::open(options());
    let context = rig.context();
    for payload in [0, 1] {
        let sent = rig.core.send(context.now, payload, 10, SendMode::default());
        assert!(sent.is_ok());
    }
    rig.core.transmitted(context.now, rig.core.generation());
    rig.core.handle(context, suspend());
    rig.settle();
    assert_eq!((rig.sent.len(), rig.core.queued_bytes()), (0, 10));
}

// ----- waits

// [R7]
#[test]
fn the_first_wait_is_spread_over_five_seconds() {
    for (chance, wait) in [(0.0, 0), (0.5, 2_500), (0.999, 4_995)] {
        let mut rig = Rig::open(options());
        rig.chance = chance;
        rig.closes(1006);
        assert_eq!(rig.wait(), wait);
    }
}

// [R18]
#[test]
fn a_crash_loop_never_resets_the_backoff() {
    let mut rig = Rig::connecting(options());
    rig.chance = 0.999_999;
    let mut waits = Vec::new();
    for _ in 0..5 {
        rig.opens();
        rig.now += 4_999;
        rig.closes(1006);
        waits.push(rig.wait());
        rig.now = rig.core.next_timer().unwrap().as_millis();
        rig.tell(Input::Timer);
        let generation = rig.core.generation();
        rig.tell(Report::Resolved.of(generation));
    }
    assert_eq!(waits, [4_999, 9_999, 19_999, 29_999, 29_999]);
    assert_eq!(rig.core.attempt(), 6);
}

// [R18]
#[test]
fn a_stable_connection_resets_the_backoff() {
    let mut rig = Rig::waiting(options());
    assert_eq!(rig.core.attempt(), 2);
    rig.comes_back();
    rig.now += 5_000;
    rig.closes(1006);
    assert_eq!((rig.wait(), rig.core.attempt()), (2_500, 2));
}

// [R12]
#[test]
fn a_plain_1012_is_no_announcement_and_bounded_like_one() {
    for code in [1012, 1013] {
        for (cap, waits) in [
            (60, (5_000, 30_000)),
            (8, (5_000, 8_000)),
            (2, (2_000, 2_000)),
        ] {
            for (chance, wait) in [(0.0, waits.0), (1.0, waits.1)] {
                let cap = Duration::from_secs(cap);
                let mut rig = Rig::connecting(options().announced_delay_max(cap));
                rig.opens();
                rig.chance = chance;
                rig.closes(code);
                assert_eq!(rig.wait(), wait);
                assert_eq!(rig.whys.last(), Some(&Why::LaterByCode));
                // The server's request still holds.
                rig.tell(Input::Hint(Hint::Online));
                assert_eq!(rig.wait(), wait);
            }
        }
    }
    // With a time, it is one.
    let mut rig = Rig::open_to(options(), Pings::Control);
    let generation = rig.core.generation();
    rig.tell(
        Report::Control(Control::Reconnect(Window {
            min_ms: 7_000,
            max_ms: 7_000,
        }))
        .of(generation),
    );
    rig.closes(1012);
    assert_eq!(
        (rig.wait(), rig.whys.last()),
        (7_000, Some(&Why::ServerAsks))
    );
}

#[test]
fn a_server_says_how_long_the_first_wait_may_be_unless_the_program_has_said_it() {
    let spread = |rig: &mut Rig, max_ms| {
        let generation = rig.core.generation();
        rig.tell(Report::Control(Control::Spread { max_ms }).of(generation));
    };
    let mut rig = Rig::open_to(options(), Pings::Control);
    rig.chance = 1.0;
    spread(&mut rig, 1);
    spread(&mut rig, 20);
    rig.closes(1006);
    assert_eq!(
        (rig.wait(), rig.whys.last()),
        (20, Some(&Why::PolicyRetries))
    );
    // Only the first one.
    rig.pass(20);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.closes(1006);
    assert_eq!(rig.wait(), 10_000);
    // It stands, whatever server comes next.
    rig.comes_back();
    rig.now += 5_000;
    rig.closes(1006);
    assert_eq!(rig.wait(), 20);

    // It is no announcement, but bounded like one.
    let mut rig = Rig::open_to(
        options().announced_delay_max(Duration::from_secs(7)),
        Pings::Control,
    );
    rig.chance = 1.0;
    spread(&mut rig, 30_000);
    rig.closes(1006);
    assert_eq!(rig.wait(), 7_000);

    let chosen = options().first_delay_max(Duration::from_secs(3));
    let mut rig = Rig::open_to(chosen, Pings::Control);
    rig.chance = 1.0;
    spread(&mut rig, 20);
    rig.closes(1006);
    assert_eq!(rig.wait(), 3_000);
}

#[test]
fn a_server_that_keeps_asking_to_come_back_later_cannot_be_asked_in_a_loop() {
    let mut rig = Rig::connecting(options().announced_delay_max(Duration::ZERO));
    let mut waits = Vec::new();
    for _ in 0..4 {
        rig.opens();
        rig.chance = 1.0;
        rig.closes(1012);
        waits.push(rig.wait());
        rig.now = rig.core.next_timer().unwrap().as_millis();
        rig.tell(Input::Timer);
        let generation = rig.core.generation();
        rig.tell(Report::Resolved.of(generation));
    }
    assert_eq!(waits, [0, 10_000, 20_000, 30_000]);
}

// [R11]
#[test]
fn a_refusal_is_counted_over_other_losses() {
    let mut rig = Rig::open(options());
    for code in [1009, 1006] {
        rig.closes(code);
        rig.comes_back();
    }
    rig.closes(1007);
    assert_eq!(rig.core.phase(), Phase::Closed);
    assert_eq!(rig.whys.last(), Some(&Why::RefusedTwice));
}

#[test]
fn a_replaced_connection_is_closed_with_the_code_that_was_given() {
    let replace = |code, reason: &str| Input::Reconnect {
        code,
        reason: reason.to_owned(),
    };
    for (code, reason, told) in [
        (Some(4_321), "again", 4_321),
        (None, "again", 1_000),
        (None, "", 1_006),
    ] {
        let mut rig = Rig::open(options());
        rig.core.handle(rig.context(), replace(code, reason));
        let abandoned = rig.core.poll_effect();
        assert!(
            matches!(&abandoned, Some(Effect::Abandon { code: sent, reason: why, .. })
                if *sent == code && why == reason),
            "{abandoned:?}"
        );
        rig.settle();
        assert_eq!(
            rig.told[1],
            format!("close {told} in 0 (reconnect, 0 unconfirmed) @0")
        );
        assert_eq!(rig.core.phase(), Phase::Connecting);
        let last = rig.core.last_loss().unwrap();
        let reported = if told == 1_006 { "" } else { reason };
        assert_eq!((&*last.close.reason, last.close.clean), (reported, false));
    }
    // The server was sent another code by then.
    let mut rig = Rig::closing(options());
    rig.tell(replace(Some(4_321), "again"));
    assert_eq!(rig.core.last_loss().unwrap().close.code, 1_006);
}

// [R27]
#[test]
fn a_loss_says_what_went_wrong() {
    let error = || Some("it went wrong".to_owned());
    let asked = |rig: &Rig| rig.judged.last().and_then(|loss| loss.error.clone());
    let mut rig = Rig::new(options());
    rig.tell(Input::Start);
    let generation = rig.core.generation();
    rig.tell(Report::ResolveFailed(error()).of(generation));
    assert_eq!(asked(&rig), error());
    assert_eq!(rig.core.last_loss().unwrap().error, error());

    let mut rig = Rig::connecting(options());
    rig.tell(Report::OpenFailed(error()).of(rig.core.generation()));
    assert_eq!(asked(&rig), error());

    // By the error before the close, and only on that connection.
    let mut rig = Rig::connecting(options());
    let generation = rig.core.generation();
    rig.tell(Report::Error(error()).of(generation));
    rig.tell(Report::Error(None).of(generation));
    rig.closes(1006);
    assert_eq!(rig.core.last_loss().unwrap().error, error());
    rig.comes_back();
    rig.closes(1006);
    assert_eq!(rig.core.last_loss().unwrap().error, None);
}

// [R25]
#[test]
fn a_change_of_the_queue_is_reported_once_a_turn() {
    let mut rig = Rig::waiting(options().message_ttl(Some(Duration::from_secs(40))));
    let now = Time::from_millis(0);
    for id in 0..100 {
        rig.core.send(now, id, 10, SendMode::default()).unwrap();
    }
    assert!(rig.core.has_output());
    rig.settle();
    assert_eq!(rig.queued, [100]);
    rig.comes_back();
    rig.buffered = 0;
    rig.pass(1_000);
    assert!(rig.queued.is_sorted_by(|a, b| a > b), "{:?}", rig.queued);
    // All that goes out with `open` is one change.
    let mut rig = Rig::waiting(options());
    for id in 0..3 {
        rig.send(id, SendMode::default()).unwrap();
    }
    rig.comes_back();
    assert_eq!(rig.queued, [1, 2, 3, 0]);
    // A message that goes out at once does not change the queue.
    let mut rig = Rig::open(options());
    for id in 0..3 {
        rig.send(id, SendMode::default()).unwrap();
    }
    assert_eq!(rig.queued, [0; 0]);
    // A message that comes and goes in one turn is not a change.
    let mut rig = Rig::waiting(options().message_ttl(Some(Duration::from_millis(1))));
    rig.core.send(now, 1, 10, SendMode::default()).unwrap();
    rig.core.handle(
        Context {
            now: Time::from_millis(1),
            ..rig.context()
        },
        Input::Timer,
    );
    rig.settle();
    assert_eq!(rig.queued, [0; 0]);
}

// [R25]
#[test]
fn an_end_is_told_in_one_order() {
    // While it waits, while it connects, and through a gate.
    for make in [Rig::waiting as fn(Options) -> Rig, Rig::connecting] {
        let mut rig = make(options());
        rig.send(1, SendMode::default()).unwrap();
        rig.told.clear();
        rig.close();
        let close = "close 1006 for good (closed, 0 unconfirmed) @3";
        assert_eq!(rig.told, ["closed @3", "error @3", "closed [1] @3", close]);
    }
}

#[test]
fn the_time_of_the_next_attempt_is_known_while_it_waits() {
    let mut rig = Rig::waiting(options());
    let wait = Duration::from_millis(rig.wait());
    let asked = |rig: &Rig| {
        let now = Time::from_millis(rig.now);
        rig.core.snapshot(now).next_attempt_in
    };
    assert_eq!(asked(&rig), Some(wait));
    rig.now += 1_000;
    assert_eq!(asked(&rig), Some(wait - Duration::from_secs(1)));
    rig.comes_back();
    assert_eq!(asked(&rig), None);
}

// [R12]
#[test]
fn a_restarting_server_is_left_alone_for_its_window() {
    for code in [1012, 1013] {
        for (chance, wait) in [(0.0, 5_000), (0.5, 17_500)] {
            let mut rig = Rig::open(options());
            rig.chance = chance;
            rig.closes(code);
            assert_eq!(rig.wait(), wait);
        }
    }
}

// [R11][F13]
#[test]
fn a_refusal_is_tried_once_more() {
    let mut rig = Rig::open(options());
    rig.closes(1002);
    rig.comes_back();
    rig.closes(1009);
    assert_eq!(rig.core.phase(), Phase::Closed);

    let mut rig = Rig::open(options());
    rig.closes(1002);
    rig.comes_back();
    rig.now += 5_000;
    rig.closes(1002);
    assert_eq!(rig.core.phase(), Phase::Waiting, "it was stable in between");
}

// [R11]
#[test]
fn the_predicate_overrides_the_policy() {
    let mut rig = Rig::open(options());
    rig.verdict = Some(Verdict::Retry);
    rig.closes(1000);
    assert_eq!(rig.wait(), 2_500);

    let mut rig = Rig::open(options());
    rig.verdict = Some(Verdict::RetryAfterMs(7));
    rig.closes(1012);
    assert_eq!(rig.wait(), 7);

    let mut rig = Rig::open(options());
    rig.verdict = Some(Verdict::Stop);
    rig.closes(1006);
    assert_eq!(rig.core.phase(), Phase::Closed);
}

/// The limit is for what the application gets: a platform may let an escaped text pass that is one byte larger.
// [R16]
#[test]
fn a_message_above_the_limit_gives_the_connection_up_with_a_code_that_says_so() {
    let limited = || Rig::open(options().control_messages(true).max_message_bytes(Some(10)));
    assert_eq!(limited().core.max_escaped_bytes(), Some(11));
    let mut rig = limited();
    rig.hears_bytes(10);
    assert_eq!(
        (&*rig.told, &*rig.done),
        (&["message 7 @1".to_owned()][..], &[][..])
    );
    rig.hears_bytes(11);
    assert_eq!(rig.done, ["close 1 Some(4009)", "abandon 1"]);
    assert_eq!(rig.core.phase(), Phase::Waiting);
    assert_eq!(rig.core.snapshot(Time::default()).received.bytes, 10);
    // What arrives after `close()` is nobody's, whatever its size.
    let mut rig = limited();
    rig.close();
    rig.done.clear();
    rig.hears_bytes(11);
    assert_eq!((&*rig.done, rig.core.phase()), (&[][..], Phase::Closing));
}

/// A command inside the predicate takes effect at once, and leaves the verdict without one.
// [R11]
#[test]
fn a_command_inside_the_predicate_wins_over_its_verdict() {
    let lost = |rig: &mut Rig| rig.closes(1012);
    let too_big = |rig: &mut Rig| rig.tell(Report::TooBig.of(rig.core.generation()));
    type Case = (MakeRig, fn(&mut Rig), Act, &'static str, &'static str);
    let (connecting, open): (MakeRig, MakeRig) =
        (|| Rig::connecting(options()), || Rig::open(options()));
    #[rustfmt::skip]
    let cases: [Case; 8] = [
        (open, lost, Act::Close, "closed @3, close 1012 for good (socket, 0 unconfirmed) @3", ""),
        (open, lost, Act::Reconnect, "connecting @0, close 1012 in 0 (socket, 0 unconfirmed) @0", "resolve 2"),
        (open, lost, Act::Suspend, "suspended @0, close 1012 until resumed (suspended, 0 unconfirmed) @0", ""),
        (connecting, lost, Act::Close, "closed @3, error @3, close 1012 for good (socket, 0 unconfirmed) @3", ""),
        (connecting, lost, Act::Reconnect,
            "connecting @0, error @0, close 1012 in 0 (socket, 0 unconfirmed) @0", "resolve 2"),
        (connecting, lost, Act::Suspend,
            "suspended @0, error @0, close 1012 until resumed (suspended, 0 unconfirmed) @0", ""),
        (open, too_big, Act::Close, "closed @3, close 1006 for good (message-too-big, 0 unconfirmed) @3", "close 1 Some(4009), abandon 1"),
        (open, too_big, Act::Reconnect,
            "connecting @0, close 1006 in 0 (message-too-big, 0 unconfirmed) @0",
            "close 1 Some(4009), abandon 1, resolve 2"),
    ];
    for (make, lose, act, told, done) in cases {
        for verdict in [None, Some(Verdict::Retry), Some(Verdict::Stop)] {
            let mut rig = make();
            rig.done.clear();
            rig.told.clear();
            rig.verdict = verdict;
            rig.in_predicate.push(act);
            lose(&mut rig);
            let happened = (rig.told.join(", "), rig.done.join(", "));
            assert_eq!(happened, (told.into(), done.into()), "{act:?}, {verdict:?}");
        }
    }
}

/// The socket has been given up, but is still open.
// [R11]
#[test]
fn a_command_inside_the_predicate_says_how_the_socket_is_closed() {
    let (code, reason) = (Some(4001), "bye");
    let close = |code, reason: &str| Input::Close {
        code,
        reason: reason.into(),
    };
    let reconnect = |code, reason: &str| Input::Reconnect {
        code,
        reason: reason.into(),
    };
    let suspend = |code, reason: &str| Input::Suspend {
        code,
        reason: reason.into(),
    };
    for (command, expected) in [
        (close(code, reason), (code, reason)),
        (reconnect(code, reason), (code, reason)),
        (suspend(code, reason), (code, reason)),
        (suspend(None, ""), (Some(1000), "")),
        (close(None, ""), (None, "")),
    ] {
        let mut rig = Rig::open(options());
        let generation = rig.core.generation();
        rig.core
            .handle(rig.context(), Report::TooBig.of(generation));
        let shown = format!("{command:?}");
        rig.core.handle(rig.context(), command);
        let mut closed = None;
        while let Some(effect) = rig.core.poll_effect() {
            if let Effect::Abandon {
                generation: of,
                code,
                reason,
            } = effect
                && of == generation
            {
                closed = Some((code, reason));
            }
        }
        let (code, reason) = expected;
        assert_eq!(closed, Some((code, reason.to_owned())), "{shown}");
    }
}

// [R11]
#[test]
fn until_the_predicate_has_returned_the_connection_looks_as_before() {
    for (make, ready_state) in [
        ((|| Rig::open(options())) as MakeRig, 1),
        (|| Rig::connecting(options()), 0),
    ] {
        let mut rig = make();
        let (now, generation) = (Time::from_millis(rig.now), rig.core.generation());
        rig.core.handle(
            rig.context(),
            Report::Closed(CloseFrame::abnormal()).of(generation),
        );
        assert_eq!(rig.core.ready_state(), ready_state);
        let cause = rig.core.lost().map(|loss| loss.cause);
        assert_eq!(cause, Some(Cause::Socket));
        assert_eq!(rig.core.next_timer(), None);
        // The socket is gone: a message waits for the next connection, and nothing else arrives.
        let sent = rig.core.send(now, 1, 10, SendMode::default());
        assert_eq!(sent, Ok(Accepted::Sent(Sent::Queued)));
        assert_eq!(rig.core.receive(now, generation, 2, 10), None);
        rig.core.handle(rig.context(), Input::Timer);
        let wakes = Input::Hint(Hint::Visible);
        rig.core.handle(rig.context(), wakes);
        let mut closing = rig.core.clone();
        let (code, reason) = (None, String::new());
        closing.handle(rig.context(), Input::Close { code, reason });
        assert_eq!(closing.ready_state(), 2);
        rig.settle();
        assert_eq!(rig.core.phase(), Phase::Waiting);
        rig.comes_back();
        assert_eq!(rig.sent, [1]);
    }
}

// [R14]
#[test]
fn an_exhausted_budget_marks_its_last_close_as_the_final_one() {
    let mut rig = Rig::connecting(options().max_retries(Some(1)));
    rig.closes(1006);
    rig.told.clear();
    rig.now += 60_000;
    rig.tell(Input::Timer);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.closes(1006);
    assert_eq!(
        rig.told,
        [
            "connecting @0",
            "closed @3",
            "error @3",
            "close 1006 for good (socket, 0 unconfirmed) @3"
        ]
    );
    assert_eq!(rig.core.attempt(), 2);
    assert_eq!(rig.core.next_timer(), None);
}

#[test]
fn no_budget_at_all_means_one_attempt() {
    let mut rig = Rig::connecting(options().max_retries(Some(0)));
    rig.closes(1006);
    assert_eq!((rig.core.phase(), rig.core.attempt()), (Phase::Closed, 1));
}

// [R14]
#[test]
fn with_reconnect_off_the_first_end_is_final_whatever_else_says() {
    let off = || options().reconnect(false);
    let ended = |rig: &Rig, how: &str| {
        assert_eq!(rig.told.last().unwrap(), how);
        assert_eq!(rig.whys.last().copied(), Some(Why::ReconnectOff));
        assert_eq!(rig.core.phase(), Phase::Closed);
        assert_eq!(rig.core.next_timer(), None);
    };
    // An attempt that fails, at each of its steps.
    let mut rig = Rig::connecting(off());
    rig.closes(1006);
    ended(&rig, "close 1006 for good (socket, 0 unconfirmed) @3");
    let mut rig = Rig::connecting(off());
    rig.pass(15_000);
    ended(
        &rig,
        "close 1006 for good (connect-timeout, 0 unconfirmed) @3",
    );
    let mut rig = Rig::new(off());
    rig.tell(Input::Start);
    let generation = rig.core.generation();
    rig.tell(Report::ResolveFailed(None).of(generation));
    ended(&rig, "close 1006 for good (provider, 0 unconfirmed) @3");
    // A loss, whatever the code, the server's window, the predicate, a sleep and the retry limit say.
    for code in [1000, 1002, 1006, 1012, 4000] {
        for verdict in [None, Some(Verdict::Retry), Some(Verdict::RetryAfterMs(1))] {
            let mut rig = Rig::open_to(off().max_retries(Some(9)), Pings::Control);
            rig.tell(Input::Hint(Hint::Resumed));
            let generation = rig.core.generation();
            rig.tell(
                Report::Control(Control::Reconnect(Window {
                    min_ms: 1,
                    max_ms: 2,
                }))
                .of(generation),
            );
            rig.verdict = verdict;
            rig.pass(60_000);
            rig.closes(code);
            ended(
                &rig,
                &format!("close {code} for good (socket, 0 unconfirmed) @3"),
            );
        }
    }
    // The program itself may request another, which is again the only one.
    rig.tell(RECONNECT);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    rig.tell(RECONNECT);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.closes(1006);
    ended(&rig, "close 1006 for good (socket, 0 unconfirmed) @3");
}

// [R13][R27]
#[test]
fn each_step_of_an_attempt_has_its_timeout() {
    let mut rig = Rig::new(options());
    rig.tell(Input::Start);
    rig.pass(9_999);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    rig.pass(1);
    assert_eq!(rig.done, ["resolve 1", "cancel 1"]);
    assert_eq!(
        rig.told.last().unwrap(),
        "close 1006 in 2500 (provider-timeout, 0 unconfirmed) @0"
    );

    let mut rig = Rig::connecting(options());
    rig.pass(14_999);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    rig.pass(1);
    assert_eq!(rig.done.last().unwrap(), "abandon 1");
    assert_eq!(
        rig.told.last().unwrap(),
        "close 1006 in 2500 (connect-timeout, 0 unconfirmed) @0"
    );
    assert_eq!(rig.core.snapshot(Time::default()).abandoned, 1);
}

// [R21]
#[test]
fn an_attempt_is_announced_for_a_moment_at_which_it_can_be_made() {
    let interval = Duration::from_secs(20);
    let mut rig = Rig::connecting(options().attempt_burst(1).attempt_interval(interval));
    rig.closes(1006);
    assert_eq!(
        rig.told.last().unwrap(),
        "close 1006 in 20000 (socket, 0 unconfirmed) @0"
    );
    rig.told.clear();
    for hint in [Hint::Online, Hint::Visible] {
        rig.tell(Input::Hint(hint));
    }
    assert!(rig.told.is_empty(), "{:?}", rig.told);
    rig.pass(19_999);
    assert_eq!(rig.core.phase(), Phase::Waiting);
    rig.pass(1);
    assert_eq!(rig.core.phase(), Phase::Connecting);
}

// [R12]
#[test]
fn a_wait_that_the_server_asked_for_is_shortened_by_no_clock_that_is_set() {
    let interval = Duration::from_secs(20);
    let mut rig = Rig::connecting(options().attempt_burst(1).attempt_interval(interval));
    rig.chance = 0.9;
    rig.closes(1012);
    for millis in [10_000, 60_000, u64::MAX] {
        rig.tell(Input::Hint(Hint::Slept { millis }));
        assert_eq!(rig.wait(), 27_500);
    }
    rig.pass(27_500);
    assert_eq!(rig.core.phase(), Phase::Connecting);

    // A wait for one more attempt is not the server's.
    rig.closes(1006);
    rig.tell(RECONNECT);
    rig.tell(Input::Hint(Hint::Slept { millis: 10_000 }));
    assert_eq!(rig.wait(), 20_000);
}

/// Before anything ends, the event loop turns once, so that what arrived in time can still be processed.
// [R20]
#[test]
fn what_waits_in_the_event_loop_counts_before_anything_is_given_up() {
    let heard = options().heartbeat_interval(Some(Duration::from_secs(20)));
    let closing = |close: fn(&mut Rig)| {
        let mut rig = Rig::closing(options());
        rig.now = 5_000;
        rig.tell(Input::Timer);
        close(&mut rig);
        rig
    };
    // An open connection that cannot be pinged.
    for (comes, phase) in [(true, Phase::Open), (false, Phase::Waiting)] {
        let mut rig = Rig::open(heard);
        rig.now = 30_000;
        rig.tell(Input::Timer);
        assert_eq!((rig.core.phase(), rig.turns.len()), (Phase::Open, 1));
        if comes {
            rig.hears(1);
        }
        rig.turn();
        assert_eq!(rig.core.phase(), phase);
    }
    // A handshake that was answered in time.
    for (comes, phase) in [(true, Phase::Open), (false, Phase::Waiting)] {
        let mut rig = Rig::connecting(options());
        rig.now = 15_000;
        rig.tell(Input::Timer);
        assert_eq!(rig.core.phase(), Phase::Connecting);
        if comes {
            rig.opens();
        }
        rig.turn();
        assert_eq!(rig.core.phase(), phase);
    }
    // A URL that was found in time.
    let mut rig = Rig::new(options());
    rig.tell(Input::Start);
    rig.now = 10_000;
    rig.tell(Input::Timer);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.turn();
    assert_eq!((rig.core.phase(), rig.told.len()), (Phase::Connecting, 1));
    // A close that was answered in time.
    let mut rig = closing(|rig| rig.closes(4_001));
    rig.turn();
    assert_eq!(
        rig.told.last().unwrap(),
        "close 4001 for good (socket, 0 unconfirmed) @3"
    );
    let mut rig = closing(|_| {});
    assert_eq!(rig.core.phase(), Phase::Closing);
    rig.turn();
    assert_eq!(
        rig.told.last().unwrap(),
        "close 1006 for good (close-timeout, 0 unconfirmed) @3"
    );
}

// [R20]
#[test]
fn the_turn_of_an_earlier_deadline_decides_nothing() {
    let mut rig = Rig::open(options().heartbeat_interval(Some(Duration::from_secs(20))));
    rig.now = 30_000;
    rig.tell(Input::Timer);
    let early = core::mem::take(&mut rig.turns);
    rig.hears(1);
    // The page is busy, and the same again before the first turn.
    rig.now = 60_000;
    rig.tell(Input::Timer);
    for (generation, turn) in early {
        rig.tell(Report::Turned(turn).of(generation));
    }
    assert_eq!((rig.core.phase(), rig.turns.len()), (Phase::Open, 1));
    rig.turn();
    assert_eq!(rig.core.phase(), Phase::Waiting);
}

// [R20]
#[test]
fn a_turn_that_never_comes_is_asked_for_again() {
    let mut rig = Rig::open(options().heartbeat_interval(Some(Duration::from_secs(20))));
    rig.now = 30_000;
    rig.tell(Input::Timer);
    rig.turns.clear();
    assert_eq!(rig.core.next_timer(), Some(Time::from_millis(35_000)));
    rig.now = 32_000;
    rig.tell(Input::Timer);
    assert_eq!(rig.turns.len(), 0);
    // By now the page seems to have slept, and something else is waited for.
    rig.pass(10_000);
    assert_ne!(rig.core.phase(), Phase::Open);
}

/// For a while, delays caused by the page's own work do not count against a URL function or a handshake.
// [R20]
#[test]
fn an_attempt_that_a_busy_page_held_up_has_two_seconds_more_and_no_longer() {
    let mut rig = Rig::new(options());
    rig.tell(Input::Start);
    rig.now = 60_000;
    rig.timer();
    rig.now = 61_000;
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    assert_eq!(rig.core.phase(), Phase::Connecting);
    rig.now = 120_000;
    rig.timer();
    assert_eq!(rig.core.phase(), Phase::Waiting, "it has had its time");
    let mut rig = Rig::connecting(options());
    rig.now = 60_000;
    rig.timer();
    rig.pass(1_999);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    rig.pass(1);
    assert_eq!(rig.core.phase(), Phase::Waiting);
}

fn with_keepalive(options: Options) -> Options {
    options.keepalive_interval(Some(Duration::from_secs(1)))
}

// [R34]
#[test]
fn a_keepalive_goes_out_at_its_interval_whatever_arrives() {
    let mut rig = Rig::open(with_keepalive(options()));
    for moment in 1..=30 {
        rig.pass(100);
        rig.hears(moment);
    }
    assert_eq!(rig.done, ["keepalive 1"; 3]);
    // Timers that are rounded up to the next second do not halve the rate, and no missed one is made up for.
    rig.done.clear();
    for second in 4..9 {
        let due = rig.core.next_timer().unwrap().as_millis();
        rig.now = due.next_multiple_of(1_000) + 3;
        rig.tell(Input::Timer);
        assert_eq!(
            (rig.now, rig.done.len() as u64),
            (second * 1_000 + 3, second - 3)
        );
    }
    rig.now += 60_000;
    rig.tell(Input::Timer);
    assert_eq!(rig.done.len(), 6);
    // No conclusion is drawn from it, and it ends with the connection.
    rig.pass(600_000);
    assert_eq!(rig.core.phase(), Phase::Open);
    rig.done.clear();
    rig.close();
    rig.pass(10_000);
    rig.tell(RECONNECT);
    assert!(!rig.done.iter().any(|done| done.starts_with("keepalive")));
    assert!(
        rig.core
            .next_timer()
            .is_some_and(|at| at.as_millis() >= rig.now + 10_000)
    );
}

// [R34]
#[test]
fn nothing_of_ours_passes_the_gate_before_it_is_open() {
    let options =
        with_keepalive(options().gate(true)).heartbeat_interval(Some(Duration::from_millis(300)));
    let mut rig = Rig::open_to(options, Pings::Application);
    rig.pass(600_000);
    for hint in [
        Hint::Online,
        Hint::Visible,
        Hint::Resumed,
        Hint::Slept { millis: 9_000 },
    ] {
        rig.tell(Input::Hint(hint));
    }
    rig.pass(600_000);
    assert_eq!(rig.done, [""; 0]);
    assert_eq!(rig.send(1, FIRST), Ok(Sent::Now));
    rig.tell(Input::Ready);
    assert_eq!(rig.done, ["ping 1"], "what the hints asked for");
    rig.hears(1);
    rig.done.clear();
    rig.pass(1_000);
    assert_eq!(rig.done, ["ping 1", "keepalive 1"]);
    // One that opens the gate in its handler is ready at once, and only once.
    rig.in_handler.push(("open", Act::Ready));
    rig.in_handler.push(("reopen", Act::Ready));
    rig.pings = Pings::None;
    rig.tell(RECONNECT);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    rig.done.clear();
    rig.pass(999);
    rig.tell(Input::Ready);
    assert_eq!(rig.done, [""; 0]);
    rig.pass(1);
    assert_eq!(rig.done, ["keepalive 2"]);
}

// [R34]
#[test]
fn before_the_gate_is_open_a_server_is_judged_by_its_beats_alone() {
    let options = options().gate(true).heartbeat_grace(Duration::from_secs(1));
    let beats = |rig: &mut Rig| {
        let generation = rig.core.generation();
        let interval_ms = 20_000;
        rig.tell(Report::Control(Control::Beat { interval_ms }).of(generation));
    };
    let mut rig = Rig::open_to(options, Pings::Control);
    beats(&mut rig);
    rig.pass(20_999);
    assert_eq!(rig.core.phase(), Phase::Open);
    rig.pass(1);
    assert_eq!(rig.core.phase(), Phase::Waiting);
    assert_eq!(rig.done, ["abandon 1"]);
}

// [R1]
#[test]
fn an_upload_that_goes_on_keeps_its_connection_and_one_that_stops_does_not() {
    let options = options()
        .high_water_mark(1_000_000)
        .heartbeat_interval(Some(Duration::from_secs(3)))
        .heartbeat_grace(Duration::from_secs(2));
    for pings in [Pings::Application, Pings::Control, Pings::None] {
        let mut rig = Rig::open_to(options, pings);
        let generation = rig.core.generation();
        // 40 MB, of which 4 MB leave in a second.
        let sent = rig
            .core
            .send(Time::default(), 1, 40_000_000, SendMode::default());
        assert!(matches!(sent, Ok(Accepted::Transmit { .. })));
        rig.core.transmitted(Time::default(), generation);
        rig.buffered = 40_000_000;
        rig.settle();
        for _ in 0..100 {
            rig.pass(100);
            rig.buffered -= 400_000;
        }
        assert_eq!(rig.core.phase(), Phase::Open, "{pings:?}");
        rig.pass(4_900);
        assert_eq!(rig.core.phase(), Phase::Open);
        rig.pass(200);
        assert_eq!(rig.core.phase(), Phase::Waiting, "{pings:?}");
    }
}

// ----- the queue

// [R25]
#[test]
fn the_queue_flows_in_order_once_open_was_handled() {
    let mut rig = Rig::connecting(options());
    for id in [1, 2, 3] {
        assert_eq!(rig.send(id, SendMode::default()), Ok(Sent::Queued));
    }
    rig.core.handle(
        rig.context(),
        Report::Opened(Pings::None).of(rig.core.generation()),
    );
    assert!(
        rig.sent.is_empty(),
        "nothing goes before `open` is handed out"
    );
    let _state = rig.core.poll_output(Time::from_millis(0));
    let _open = rig.core.poll_output(Time::from_millis(0));
    rig.act(Act::Send(9));
    assert_eq!(rig.sent, [9], "what is sent in the handler goes first");
    rig.settle();
    assert_eq!(rig.sent, [9, 1, 2, 3]);
}

#[test]
fn the_gate_holds_the_queue_until_ready() {
    let mut rig = Rig::connecting(options().gate(true));
    rig.send(1, SendMode::default()).unwrap();
    rig.opens();
    assert_eq!(rig.send(2, SendMode::default()), Ok(Sent::Queued));
    assert_eq!(rig.send(3, FIRST), Ok(Sent::Now));
    assert_eq!(rig.send(4, VOLATILE), Ok(Sent::Dropped));
    assert_eq!(rig.sent, [3]);
    rig.tell(Input::Ready);
    assert_eq!(rig.sent, [3, 1, 2]);
    // Each connection has its own gate.
    rig.closes(1006);
    rig.send(5, SendMode::default()).unwrap();
    rig.comes_back();
    assert_eq!(rig.sent, [3, 1, 2]);
    rig.tell(Input::Ready);
    assert_eq!(rig.sent, [3, 1, 2, 5]);
}

#[test]
fn a_volatile_message_goes_now_or_not_at_all() {
    let mut rig = Rig::waiting(options());
    assert_eq!(rig.send(1, VOLATILE), Ok(Sent::Dropped));
    assert_eq!(rig.told, ["volatile [1] @0"]);
    rig.comes_back();
    assert_eq!(rig.send(2, VOLATILE), Ok(Sent::Now));
    rig.refuse_sends = true;
    rig.told.clear();
    assert_eq!(rig.send(3, VOLATILE), Ok(Sent::Now));
    rig.refuse_sends = false;
    assert_eq!(rig.told[0], "volatile [3] @0");
    rig.comes_back();
    assert_eq!(rig.sent, [2]);
}

#[test]
fn what_the_browser_refuses_is_sent_on_the_next_connection() {
    let mut rig = Rig::open(options());
    rig.refuse_sends = true;
    rig.send(1, SendMode::default()).unwrap();
    rig.send(2, SendMode::default()).unwrap();
    assert_eq!(rig.done, ["abandon 1"]);
    rig.refuse_sends = false;
    rig.comes_back();
    assert_eq!(rig.sent, [1, 2]);
}

// [R25][F22][F32]
#[test]
fn a_message_that_is_refused_again_is_reported_and_the_rest_flows() {
    let mut rig = Rig::open(options());
    rig.poison = Some(1);
    for id in [1, 2] {
        rig.send(id, SendMode::default()).unwrap();
    }
    assert_eq!(rig.done, ["abandon 1"]);
    rig.told.clear();
    rig.comes_back();
    assert_eq!(rig.told.last().unwrap(), "refused [1] @1");
    assert_eq!(rig.sent, [2]);
    let snapshot = rig.core.snapshot(Time::default());
    assert_eq!((snapshot.phase, snapshot.opens), (Phase::Open, 2));
    assert_eq!(
        (snapshot.dropped.messages, snapshot.queued.messages),
        (1, 0)
    );
}

#[test]
fn a_message_that_is_refused_again_does_not_cut_a_close_short() {
    let mut rig = Rig::open(options());
    rig.poison = Some(1);
    for id in [1, 2] {
        rig.send(id, SendMode::default()).unwrap();
    }
    rig.done.clear();
    rig.in_handler = vec![("reopen", Act::Close)];
    rig.comes_back();
    assert_eq!(rig.sent, [2]);
    assert_eq!(rig.done.last().unwrap(), "close 2 None");
    assert_eq!(rig.told.last().unwrap(), "refused [1] @2");
}

#[test]
fn a_socket_that_refuses_everything_costs_one_message_at_most() {
    let mut rig = Rig::open(options());
    rig.refuse_sends = true;
    for id in [1, 2] {
        rig.send(id, SendMode::default()).unwrap();
    }
    rig.comes_back();
    assert_eq!(rig.core.phase(), Phase::Waiting);
    let snapshot = rig.core.snapshot(Time::default());
    assert_eq!(
        (snapshot.dropped.messages, snapshot.queued.messages),
        (1, 1)
    );
    rig.refuse_sends = false;
    rig.comes_back();
    assert_eq!(rig.sent, [2]);
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut rig = Rig::open(options());
    let generation = rig.core.generation();
    rig.tell(Input::TransmitFailed {
        generation,
        payload: 77,
        error: None,
    });
    rig.core.transmitted(Time::default(), generation);
    rig.settle();
    assert_eq!(rig.core.phase(), Phase::Open);
    assert_eq!(rig.core.snapshot(Time::default()).sent, Tally::default());
    assert_eq!(rig.core.snapshot(Time::default()).queued, Tally::default());
}

#[test]
fn a_message_expires_when_its_time_is_over() {
    let mut rig = Rig::waiting(options());
    rig.verdict = Some(Verdict::RetryAfterMs(60_000));
    let brief = SendMode {
        ttl_ms: Some(100),
        ..SendMode::default()
    };
    rig.send(1, brief).unwrap();
    rig.send(2, SendMode::default()).unwrap();
    rig.pass(99);
    assert!(rig.told.is_empty());
    rig.pass(1);
    assert_eq!(rig.told, ["expired [1] @0"]);
    assert_eq!(rig.core.snapshot(Time::default()).queued.messages, 1);
}

// [R25]
#[test]
fn a_message_whose_time_is_over_is_not_sent_although_the_timer_is_late() {
    let mut rig = Rig::connecting(options());
    let brief = SendMode {
        ttl_ms: Some(100),
        ..SendMode::default()
    };
    rig.send(1, brief).unwrap();
    rig.send(2, SendMode::default()).unwrap();
    rig.now += 100;
    rig.opens();
    assert_eq!(rig.sent, [2]);
    assert_eq!(rig.told.last().unwrap(), "expired [1] @1");
}

// [R25][R26]
#[test]
fn what_one_task_drops_is_counted_and_the_newest_kept_within_the_queue_s_bounds() {
    let mut core = Connection::<u32>::new(
        options()
            .max_queued_bytes(100_000)
            .max_queued_messages(1_000)
            .overflow(Overflow::DropOldest),
    );
    let now = Time::default();
    let context = Context { now, chance: 0.0 };
    core.handle(context, Input::Start);
    // Nothing is delivered meanwhile: the program's loop does not yield.
    for id in 0..1_000 {
        let mode = if id % 2 == 0 {
            SendMode::default()
        } else {
            VOLATILE
        };
        core.send(now, id, 1_000, mode).unwrap();
    }
    // One larger than the whole queue.
    core.send(now, 1_000, 500_000, VOLATILE).unwrap();
    core.send(now, 1_001, 500_000, SendMode::default()).unwrap();
    let mut reports = Vec::new();
    while let Some(output) = core.poll_output(now) {
        if let Output::Event(Event::Dropped(dropped)) = output {
            reports.push(dropped);
        }
    }
    let [volatile, overflow] = reports.try_into().expect("one report for each reason");
    assert_eq!(volatile.reason, DropReason::Volatile);
    assert_eq!(volatile.payloads, [1_000], "the newest, whatever its size");
    assert_eq!((volatile.omitted, volatile.bytes), (500, 1_000_000));
    // The last 100 of the 500 are queued, and the one that does not fit was dropped after all.
    assert_eq!(overflow.reason, DropReason::Overflow);
    assert_eq!(overflow.payloads, [1_001]);
    assert_eq!((overflow.omitted, overflow.bytes), (400, 900_000));
    let Snapshot {
        dropped, queued, ..
    } = core.snapshot(Time::default());
    assert_eq!((dropped.messages, dropped.bytes), (902, 1_900_000));
    assert_eq!((queued.messages, queued.bytes), (100, 100_000));

    // As many as may wait are kept.
    for id in 0..150 {
        core.send(now, id, 1_000, VOLATILE).unwrap();
    }
    let Some(Output::Event(Event::Dropped(dropped))) = core.poll_output(now) else {
        panic!("a report");
    };
    assert_eq!(dropped.payloads, (50..150).collect::<Vec<u32>>());
    assert_eq!(dropped.omitted, 50);
}

// [R26]
#[test]
fn a_full_queue_does_as_its_policy_says() {
    let full = |overflow| {
        let mut rig = Rig::waiting(options().max_queued_bytes(25).overflow(overflow));
        for id in [1, 2] {
            rig.send(id, SendMode::default()).unwrap();
        }
        rig
    };
    let mut rig = full(Overflow::Reject);
    assert!(!rig.core.has_room(10));
    assert_eq!(rig.send(3, SendMode::default()), Err(SendRejected::Full(3)));
    let mut rig = full(Overflow::DropNewest);
    assert_eq!(rig.send(3, SendMode::default()), Ok(Sent::Dropped));
    assert_eq!(rig.told, ["overflow [3] @0"]);
    let mut rig = full(Overflow::DropOldest);
    assert_eq!(rig.send(3, SendMode::default()), Ok(Sent::Queued));
    assert_eq!(rig.told, ["overflow [1] @0"]);
    rig.comes_back();
    assert_eq!(rig.sent, [2, 3]);
}

// [R26]
#[test]
fn the_queue_stops_at_the_high_mark_and_flows_again_at_the_low_one() {
    let mut rig = Rig::open(options());
    for id in 0..12 {
        rig.send(id, SendMode::default()).unwrap();
    }
    assert_eq!(rig.sent.len(), 10, "the high mark is 100 bytes");
    assert_eq!(rig.send(12, FIRST), Ok(Sent::Queued), "it holds for all");
    rig.buffered = 41;
    rig.pass(1_000);
    assert_eq!(rig.sent.len(), 10, "the low mark is 40 bytes");
    rig.buffered = 40;
    rig.pass(50);
    assert_eq!(rig.sent.split_off(10), [12, 10, 11]);
    assert_eq!(rig.core.next_timer(), None, "nobody looks any more");
}

// ----- what the server may not have received

// [R25]
#[test]
fn what_the_server_says_by_itself_confirms_nothing() {
    let mut rig = Rig::open(options());
    rig.send(1, SendMode::default()).unwrap();
    rig.send(2, SendMode::default()).unwrap();
    rig.buffered = 0;
    let generation = rig.core.generation();
    for _ in 0..100 {
        rig.hears(5);
        rig.tell(Report::Alive.of(generation));
        rig.tell(Report::Buffered(0).of(generation));
        rig.pass(5);
    }
    rig.told.clear();
    rig.closes(1006);
    assert_eq!(
        rig.told,
        [
            "waiting @0",
            "close 1006 in 2500 (socket, 2 unconfirmed) @0"
        ]
    );
    assert_eq!(rig.core.snapshot(Time::default()).unconfirmed.bytes, 20);
}

/// An open connection to a server that answers numbered pings.
fn numbered(options: Options) -> Rig {
    let mut rig = Rig::open_to(options, Pings::Control);
    answers(&mut rig, 0);
    rig
}

/// The server answers the control message of this number.
fn answers(rig: &mut Rig, number: u64) {
    let generation = rig.core.generation();
    rig.tell(Report::Control(Control::Pong { number }).of(generation));
}

/// The server answers a ping of the application's.
fn answers_the_application(rig: &mut Rig) {
    let generation = rig.core.generation();
    rig.tell(Report::Answered.of(generation));
}

/// How many messages are unconfirmed when the connection is lost now.
fn unconfirmed(rig: &Rig) -> u64 {
    let mut core = rig.core.clone();
    let before = core.snapshot(Time::default()).unconfirmed.messages;
    let generation = core.generation();
    let close = CloseFrame::abnormal();
    core.handle(rig.context(), Report::Closed(close).of(generation));
    core.handle(rig.context(), Report::Verdict(None).of(generation));
    core.snapshot(Time::default()).unconfirmed.messages - before
}

// [R25]
#[test]
fn a_server_that_answers_numbered_pings_is_asked_what_it_has_had() {
    let mut rig = numbered(options());
    rig.pass(60_000);
    assert_eq!(rig.done, [""; 0], "there is nothing to ask about");
    for id in 1..=3 {
        rig.send(id, SendMode::default()).unwrap();
    }
    rig.pass(999);
    assert_eq!(rig.done, [""; 0]);
    rig.pass(1);
    assert_eq!(
        (&*rig.done, rig.ping()),
        (&["ping 1".to_owned()][..], Some("~ping 2".to_owned()))
    );

    // One question at a time, however much is sent and however long the answer takes.
    rig.send(4, SendMode::default()).unwrap();
    rig.pass(60_000);
    assert_eq!(rig.done, ["ping 1"]);
    answers(&mut rig, 1);
    rig.pass(999);
    assert_eq!(rig.done, ["ping 1"]);
    rig.pass(1);
    assert_eq!(rig.done, ["ping 1", "ping 1"]);
    // Late, twice, unknown, or without a number: none is the answer to this one.
    for number in [1, 0, 3, u64::MAX] {
        answers(&mut rig, number);
    }
    answers_the_application(&mut rig);
    rig.pass(60_000);
    assert_eq!(rig.done.len(), 2);
    answers(&mut rig, 2);
    rig.pass(60_000);
    assert_eq!(rig.done.len(), 2);
    assert_eq!(unconfirmed(&rig), 0);
}

// [R25]
#[test]
fn an_answer_confirms_nothing_that_was_sent_after_its_ping() {
    let mut rig = numbered(options());
    rig.send(1, SendMode::default()).unwrap();
    rig.pass(1_000);
    rig.send(2, SendMode::default()).unwrap();
    answers(&mut rig, 1);
    assert_eq!(unconfirmed(&rig), 1);
}

// [R25]
#[test]
fn what_was_sent_before_the_server_said_that_it_knows_numbers_is_asked_about_too() {
    let mut rig = Rig::open_to(options(), Pings::Control);
    rig.send(1, SendMode::default()).unwrap();
    rig.pass(60_000);
    assert_eq!(rig.done, [""; 0]);
    answers(&mut rig, 0);
    rig.pass(1_000);
    answers(&mut rig, 1);
    assert_eq!((rig.done.len(), unconfirmed(&rig)), (1, 0));
}

// [R25]
#[test]
fn an_answer_on_another_connection_confirms_nothing() {
    let mut rig = numbered(options());
    let first = rig.core.generation();
    rig.send(1, SendMode::default()).unwrap();
    rig.pass(1_000);
    rig.tell(RECONNECT);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    rig.send(2, SendMode::default()).unwrap();
    for number in [0, 1] {
        rig.tell(Report::Control(Control::Pong { number }).of(first));
    }
    rig.tell(Report::Answered.of(first));
    // Numbers, and what is known of the server, belong to the connection.
    answers(&mut rig, 1);
    assert_eq!(rig.ping().as_deref(), Some("~ping"));
    assert_eq!(unconfirmed(&rig), 1);
}

// [R25]
#[test]
fn nothing_is_asked_before_the_application_is_ready() {
    let mut rig = numbered(options().gate(true));
    let first = SendMode {
        first: true,
        ..SendMode::default()
    };
    rig.send(1, first).unwrap();
    rig.pass(60_000);
    assert_eq!((&*rig.done, rig.core.next_timer()), (&[][..], None));
    rig.tell(Input::Ready);
    rig.pass(0);
    assert_eq!(rig.done, ["ping 1"]);
}

/// The server promises a beat after a ping anyway, and sends one at any time.
// [R25]
#[test]
fn before_the_server_knows_numbers_no_answer_to_a_control_message_confirms_anything() {
    let mut rig = Rig::open_to(options(), Pings::Control);
    rig.send(1, SendMode::default()).unwrap();
    rig.tell(Input::Hint(Hint::Visible));
    assert_eq!(rig.done, ["ping 1"]);
    answers(&mut rig, 1);
    answers_the_application(&mut rig);
    assert_eq!(unconfirmed(&rig), 1);
    assert_eq!(rig.ping().as_deref(), Some("~ping"));
    // The first number is that of the first ping that bears one.
    answers(&mut rig, 0);
    assert_eq!(rig.ping().as_deref(), Some("~ping 1"));
}

/// With control messages, a keepalive is a ping like any other.
// [R25][R34]
#[test]
fn a_keepalive_with_a_number_is_a_question_too() {
    let mut rig = numbered(with_keepalive(options()));
    rig.pass(500);
    rig.send(1, SendMode::default()).unwrap();
    rig.pass(500);
    assert_eq!(rig.done, ["keepalive 1"]);
    answers(&mut rig, 1);
    assert_eq!(unconfirmed(&rig), 0);
}

// [R25]
#[test]
fn heartbeats_that_the_server_also_sends_by_itself_confirm_nothing() {
    let mut rig = Rig::open_to(options(), Pings::Application);
    rig.send(1, SendMode::default()).unwrap();
    rig.tell(Input::Hint(Hint::Visible));
    answers_the_application(&mut rig);
    assert_eq!(unconfirmed(&rig), 0);
    // One more answer than pings: any of them may be unasked.
    answers_the_application(&mut rig);
    assert_eq!(unconfirmed(&rig), 1);
    // It is the same server on the next connection.
    rig.closes(1006);
    rig.pass(2_500);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    rig.send(2, SendMode::default()).unwrap();
    rig.tell(Input::Hint(Hint::Visible));
    answers_the_application(&mut rig);
    assert_eq!(unconfirmed(&rig), 1);
}

#[test]
fn a_message_taken_by_a_socket_that_is_gone_is_unconfirmed() {
    let mut rig = Rig::open(options());
    let generation = rig.core.generation();
    rig.core
        .send(Time::from_millis(0), 1, 10, SendMode::default())
        .unwrap();
    // Some substitutes for a browser's socket close inside `send`.
    rig.closes(1006);
    rig.core.transmitted(Time::default(), generation);
    assert_eq!(rig.core.snapshot(Time::default()).unconfirmed.messages, 1);
}

#[test]
fn a_message_that_comes_back_after_the_end_is_reported() {
    let mut rig = Rig::open(options());
    let generation = rig.core.generation();
    rig.core
        .send(Time::from_millis(0), 1, 10, SendMode::default())
        .unwrap();
    rig.closes(1000);
    rig.tell(Input::TransmitFailed {
        generation,
        payload: 1,
        error: None,
    });
    assert_eq!(rig.told.last().unwrap(), "closed [1] @3");
    assert_eq!(rig.core.snapshot(Time::default()).queued, Tally::default());
}

// [R25]
#[test]
fn a_close_confirms_nothing_since_it_may_have_crossed_ours() {
    for code in [4_001, 1001] {
        let mut rig = Rig::open(options());
        rig.send(1, SendMode::default()).unwrap();
        rig.close();
        rig.closes(code);
        assert_eq!(rig.core.snapshot(Time::default()).unconfirmed.messages, 1);
    }
}

// ----- close and reconnect

#[test]
fn close_hands_over_the_queue_first() {
    let mut rig = Rig::open(options());
    for id in 0..15 {
        rig.send(id, SendMode::default()).unwrap();
    }
    assert_eq!(rig.sent.len(), 10);
    rig.close();
    assert_eq!(rig.sent.len(), 15, "the marks do not matter any more");
    assert_eq!(rig.done, ["close 1 Some(4001)"]);
    assert_eq!(rig.send(20, FIRST), Err(SendRejected::Closed(20)));
}

#[test]
fn close_before_ready_reports_what_the_gate_held_back() {
    let mut rig = Rig::open(options().gate(true));
    rig.send(1, SendMode::default()).unwrap();
    rig.close();
    assert_eq!(rig.told, ["closing @2", "closed [1] @2"]);
    assert!(rig.sent.is_empty());
}

#[test]
fn close_before_open_is_one_final_close_at_once() {
    for (state, rig) in STATES
        .iter()
        .filter(|(state, _)| ["resolving", "connecting", "waiting"].contains(state))
    {
        let mut rig = rig();
        rig.send(1, SendMode::default()).unwrap();
        rig.told.clear();
        rig.core.handle(
            rig.context(),
            Input::Close {
                code: None,
                reason: String::new(),
            },
        );
        assert_eq!(rig.core.ready_state(), 2, "{state}");
        rig.settle();
        assert_eq!(
            rig.told,
            [
                "closed @3",
                "error @3",
                "closed [1] @3",
                "close 1006 for good (closed, 0 unconfirmed) @3"
            ],
            "{state}"
        );
        rig.told.clear();
        rig.close();
        rig.closes(1006);
        rig.pass(100_000);
        assert!(
            rig.told.is_empty(),
            "nothing after the final close: {state}"
        );
    }
}

// [R17]
#[test]
fn a_closing_handshake_has_time_while_the_buffer_shrinks() {
    let mut rig = Rig::open(options());
    rig.buffered = 1_000;
    rig.close();
    for _ in 0..10 {
        rig.buffered -= 1;
        rig.pass(5_000);
        assert_eq!(rig.core.phase(), Phase::Closing);
    }
    rig.pass(5_000);
    assert_eq!(rig.core.phase(), Phase::Closed);
    assert_eq!(rig.done.last().unwrap(), "abandon 1");
}

// [R6]
#[test]
fn reconnect_while_open_does_not_wait_for_the_old_socket() {
    let mut rig = Rig::open(options());
    rig.send(1, SendMode::default()).unwrap();
    rig.tell(RECONNECT);
    assert_eq!(rig.done, ["abandon 1", "resolve 2"]);
    assert_eq!(
        rig.told,
        [
            "connecting @0",
            "close 1006 in 0 (reconnect, 1 unconfirmed) @0"
        ]
    );
}

#[test]
fn reconnect_after_the_end_starts_afresh() {
    let mut rig = Rig::closed(options());
    assert_eq!(rig.core.ready_state(), 3);
    rig.core.handle(rig.context(), RECONNECT);
    assert_eq!((rig.core.ready_state(), rig.core.attempt()), (0, 1));
}

#[test]
fn reconnect_while_closing_forgets_the_failures_before_a_stable_connection() {
    let mut rig = Rig::waiting(options());
    rig.comes_back();
    rig.now += 5_000;
    rig.close();
    rig.tell(RECONNECT);
    assert_eq!(rig.core.attempt(), 1);
}

// [R23]
#[test]
fn commands_inside_handlers_take_effect_at_once() {
    let mut rig = Rig::connecting(options());
    rig.send(1, SendMode::default()).unwrap();
    // The first event of this name is the state's.
    rig.in_handler.push(("open", Act::Close));
    rig.opens();
    assert_eq!(
        rig.told,
        ["connecting @0", "open @1", "open @2", "closing @2"],
        "after close() in a handler readyState is 2"
    );
    assert_eq!(rig.sent, [1]);

    let mut rig = Rig::open(options());
    rig.in_handler.push(("waiting", Act::Reconnect));
    rig.closes(1006);
    assert_eq!(rig.core.phase(), Phase::Connecting);
    assert_eq!(rig.core.generation().number(), 2);

    let mut rig = Rig::connecting(options().gate(true));
    rig.send(1, SendMode::default()).unwrap();
    rig.opens();
    rig.in_handler.push(("message", Act::Ready));
    rig.hears(5);
    assert_eq!(rig.sent, [1]);
}

#[test]
fn start_closed_waits_for_reconnect() {
    let mut rig = Rig::new(options());
    assert_eq!(rig.core.ready_state(), 3);
    assert_eq!(rig.core.next_timer(), None);
    assert_eq!(rig.send(1, SendMode::default()), Ok(Sent::Queued));
    rig.tell(RECONNECT);
    assert_eq!(rig.core.phase(), Phase::Connecting);
}

#[test]
fn a_message_that_is_all_there_is_to_tell_is_given_back() {
    let mut rig = Rig::open(options());
    let (now, generation) = (Time::from_millis(rig.now), rig.core.generation());
    assert_eq!(rig.core.receive(now, generation, 1, 10), Some(1));
    assert!(rig.core.is_settled());
    assert_eq!(rig.core.snapshot(Time::default()).received.bytes, 10);

    // After what is still to be delivered.
    let context = rig.context();
    rig.core.handle(context, message(generation, 2));
    assert_eq!(rig.core.receive(now, generation, 3, 10), None);
    rig.told.clear();
    rig.settle();
    assert_eq!(rig.told, ["message 2 @1", "message 3 @1"]);

    // Not before the handler of `open` has returned.
    let mut rig = Rig::connecting(options());
    let generation = rig.core.generation();
    rig.core
        .handle(rig.context(), Report::Opened(Pings::None).of(generation));
    while let Some(output) = rig.core.poll_output(now) {
        if matches!(output, Output::Event(Event::Open { .. })) {
            break;
        }
    }
    assert_eq!(rig.core.receive(now, generation, 4, 10), None);
    rig.told.clear();
    rig.settle();
    assert_eq!(rig.told, ["message 4 @1"]);
}

#[test]
fn a_message_that_may_go_is_given_back_unless_something_is_to_be_done_before() {
    let mut rig = Rig::open_to(options(), Pings::Application);
    let (now, generation) = (Time::from_millis(rig.now), rig.core.generation());
    let send =
        |core: &mut Connection<u32>, payload| core.send(now, payload, 10, SendMode::default());
    let payload = 1;
    assert_eq!(
        send(&mut rig.core, payload),
        Ok(Accepted::Transmit {
            generation,
            payload
        })
    );
    // One at a time.
    assert_eq!(send(&mut rig.core, 2), Ok(Accepted::Sent(Sent::Queued)));
    assert_eq!(rig.core.poll_effect(), None);
    rig.core.transmitted(now, generation);
    rig.settle();
    assert_eq!(
        (&*rig.sent, rig.core.snapshot(Time::default()).sent.messages),
        (&[2][..], 2)
    );

    rig.core.handle(rig.context(), Input::Hint(Hint::Online));
    // What the browser holds lies before the ping.
    assert_eq!(rig.core.poll_effect(), Some(Effect::Measure { generation }));
    let bytes = 0;
    rig.core
        .handle(rig.context(), Report::Buffered(bytes).of(generation));
    assert_eq!(send(&mut rig.core, 3), Ok(Accepted::Sent(Sent::Now)));
    let payload = 3;
    let effects = [
        Effect::Ping { generation },
        Effect::Transmit {
            generation,
            payload,
        },
    ];
    for effect in effects {
        assert_eq!(rig.core.poll_effect(), Some(effect));
    }
}

// ----- anything at all

/// Receives a message in both ways, which must have the same effect.
fn hears_in_both_ways(rig: &Rig, payload: u32) -> Result<(), TestCaseError> {
    let (mut at_once, mut queued) = (rig.core.clone(), rig.core.clone());
    let (context, generation) = (rig.context(), rig.core.generation());
    queued.handle(context, message(generation, payload));
    if let Some(received) = at_once.receive(context.now, generation, payload, 1) {
        prop_assert_eq!(received, payload);
        let output = queued.poll_output(context.now);
        prop_assert!(matches!(output, Some(Output::Message(told)) if told == payload));
    }
    prop_assert_eq!(hash_of(&at_once), hash_of(&queued));
    prop_assert_eq!(
        at_once.snapshot(Time::default()),
        queued.snapshot(Time::default())
    );
    Ok(())
}

fn hash_of(core: &Connection<u32>) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(core)
}

fn suspend() -> Input<u32> {
    Input::Suspend {
        code: None,
        reason: String::new(),
    }
}

fn message(generation: Generation, payload: u32) -> Input<u32> {
    Report::Message { payload, bytes: 1 }.of(generation)
}

/// Inputs that a browser and an application can cause, in any order.
fn any_input() -> impl Strategy<Value = u8> {
    0..18_u8
}

proptest! {
    #[test]
    fn whatever_happens_the_account_is_right(
        steps in proptest::collection::vec((any_input(), 0.0..1.0_f64), 1..200),
        gate: bool,
        max_retries in proptest::option::of(0..4_u32),
    ) {
        let mut rig = Rig::new(
            options()
                .gate(gate)
                .max_retries(max_retries)
                .max_queued_messages(5)
                .overflow(Overflow::DropOldest),
        );
        let mut accepted = 0;
        for (id, (step, chance)) in (0_u32..).zip(steps) {
            rig.chance = chance;
            let generation = rig.core.generation();
            match step {
                0 => rig.tell(Input::Start),
                1 => rig.close(),
                2 => rig.tell(RECONNECT),
                3 => rig.tell(Input::Ready),
                4 => rig.tell(Report::Resolved.of(generation)),
                5 => rig.tell(Report::ResolveFailed(None).of(generation)),
                6 => rig.opens(),
                7 => {
                    hears_in_both_ways(&rig, id)?;
                    rig.hears(id);
                }
                8 => rig.closes(1006),
                9 => rig.closes(1012),
                10 => rig.pass((chance * 20_000.0) as u64),
                11 => rig.buffered = 0,
                12 => rig.refuse_sends = !rig.refuse_sends,
                16 => rig.tell(suspend()),
                17 => rig.tell(Input::Resume),
                _ => {
                    let mode = if step == 13 { FIRST } else { SendMode::default() };
                    accepted += u64::from(rig.send(id, mode).is_ok());
                }
            }
            let snapshot = rig.core.snapshot(Time::default());
            prop_assert_eq!(
                accepted,
                snapshot.sent.messages + snapshot.dropped.messages + snapshot.queued.messages
            );
            prop_assert_eq!(snapshot.sent.messages, rig.sent.len() as u64);
            prop_assert!(snapshot.unconfirmed.messages <= snapshot.sent.messages);
            // One more than its limit: a message that the browser returned.
            prop_assert!(snapshot.queued.messages <= 7);
            let waits = matches!(
                snapshot.phase,
                Phase::Connecting | Phase::Waiting | Phase::Closing
            );
            prop_assert!(!waits || rig.core.next_timer().is_some());
            prop_assert!(snapshot.phase != Phase::Closed || rig.core.next_timer().is_none());
            prop_assert!(snapshot.phase != Phase::Suspended || rig.core.ready_state() == 0);
            prop_assert!(!rig.core.has_output());
        }
        // No message twice.
        let mut sent = rig.sent.clone();
        sent.sort_unstable();
        sent.dedup();
        prop_assert_eq!(sent.len(), rig.sent.len());
    }
}

// [R31]
#[test]
fn a_connection_goes_on_where_another_ended() {
    let mut earlier = Rig::open(options());
    earlier.send(1, SendMode::default()).unwrap();
    for _ in 0..3 {
        earlier.closes(1006);
        earlier.comes_back();
    }
    let before = earlier.core.snapshot(Time::default());
    let mut rig = Rig::new(options().max_retries(Some(u64::from(before.attempt) as u32)));
    let counters = earlier.core.counters(Time::default());
    rig.core.go_on_from(&|place| counters[place]);
    assert_eq!(rig.core.counters(Time::default()), counters);
    assert_eq!(
        Snapshot {
            phase: before.phase,
            ..rig.core.snapshot(Time::default())
        },
        before
    );
    rig.tell(Input::Start);
    let generation = rig.core.generation();
    rig.tell(Report::Resolved.of(generation));
    rig.opens();
    let reconnected = rig.told.iter().any(|told| told.starts_with("reopen"));
    assert!(reconnected, "{:?}", rig.told);
    // The count of attempts continues: one retry is left.
    rig.closes(1006);
    assert_eq!(rig.core.phase(), Phase::Waiting);
    rig.comes_back();
    rig.closes(1006);
    assert_eq!(rig.core.phase(), Phase::Closed);
}
