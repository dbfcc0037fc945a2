//! Cases that hold for the store in memory and for a real Redis alike.

#[path = "../../tests/redis/redis_server.rs"]
#[expect(dead_code, reason = "other tests do more with it")]
mod redis_server;

use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use steady_socket_protocol::session::frame::{Answer, Data, Lost, Secret, Verdict, Why};
use steady_socket_protocol::session::store::{
    Claim, Finish, Found, Identity, Opening, Question, Reply, Step, Store as _, Ticket,
};
use steady_socket_protocol::session::{Item, MemoryOptions, MemoryStore, Time, limits};

use self::redis_server::RedisServer;
use super::Store;
use super::redis::Redis;
use crate::body::Body;
use crate::log::StepLogs;
use crate::session::lock;

/// When the stores begin. Sessions have begun before.
const BEGAN: u64 = 1 << 40;

/// A store, asked as the halves do.
struct Asked {
    store: Store,
    tickets: Mutex<u64>,
}

impl Asked {
    fn memory(options: MemoryOptions) -> Self {
        let store = MemoryStore::new(Time::from_millis(BEGAN), options);
        Self::new(Store::Memory(Mutex::new(store)))
    }

    fn redis(server: &RedisServer, prefix: &str, options: MemoryOptions) -> Self {
        let redis = Redis::new(&server.url()).unwrap().prefix(prefix);
        let logs = crate::Options::default().logs();
        Self::new(Store::Redis(redis.share(
            options,
            logs,
            Duration::from_secs(60),
        )))
    }

    fn new(store: Store) -> Self {
        let tickets = Mutex::new(0);
        Self { store, tickets }
    }

    async fn ask(&self, after: u64, question: Question<Body>) -> Reply<Body> {
        let ticket = {
            let mut tickets = lock(&self.tickets);
            *tickets += 1;
            Ticket(*tickets)
        };
        self.ask_as(ticket, after, question).await
    }

    /// Asks `after` so many milliseconds.
    async fn ask_as(&self, ticket: Ticket, after: u64, question: Question<Body>) -> Reply<Body> {
        let now = Time::from_millis(BEGAN + after);
        match &self.store {
            Store::Memory(store) => {
                let mut store = lock(store);
                store.ask(now, ticket, question);
                store.poll().unwrap().1
            }
            Store::Redis(store) => {
                store.set_clock(now);
                let with = StepLogs::default();
                store.ask(now, ticket, &question, &with).await.unwrap()
            }
        }
    }

    async fn open(&self, after: u64, claim: Claim) -> Opening<Body> {
        match self.ask(after, Question::Open(claim)).await {
            Reply::Opened(opening) => *opening,
            reply => panic!("{reply:?}"),
        }
    }
}

/// Runs a case against both stores.
fn in_both(options: MemoryOptions, case: impl AsyncFn(Asked)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    runtime.block_on(async {
        case(Asked::memory(options)).await;
        case(Asked::redis(&server, "case", options)).await;
    });
}

fn claim(letter: u8, attempt: u64) -> Claim {
    Claim {
        key: Secret::new([letter; 16]).key(),
        identity: Identity("ann".to_owned()),
        may_resume: true,
        attempt,
        epoch: 0,
        has_sent: false,
        began: Time::from_millis(BEGAN),
        owner: None,
        new_epoch: u64::from(letter) + 100,
        lost: None,
    }
}

fn text(text: &str) -> Item<Body> {
    Item::Message {
        payload: Body::new(Data::from(text)),
        delivery: None,
        awaited: false,
    }
}

fn step(letter: u8, owner: u64, number: u64, sends: Vec<Item<Body>>) -> Step<Body> {
    Step {
        key: Secret::new([letter; 16]).key(),
        owner,
        number,
        handled: 0,
        also: vec![],
        acknowledged: 0,
        got: 0,
        freed: vec![],
        sends,
        confirmed: false,
    }
}

fn finish(letter: u8, owner: u64, why: Option<Why>) -> Question<Body> {
    Question::Finish(Finish {
        key: Secret::new([letter; 16]).key(),
        owner,
        why,
        verdict: Some(Verdict::default()),
        confirmed: false,
    })
}

#[test]
fn a_step_is_done_once_and_only_by_the_owner() {
    in_both(MemoryOptions::default(), async |store| {
        let owner = store.open(1, claim(1, 1)).await.owner;
        for _ in 0..2 {
            let sends = vec![text("a"), text("b")];
            let reply = store.ask(2, Question::Step(step(1, owner, 1, sends))).await;
            assert!(matches!(reply, Reply::Stepped { first: 1 }), "{reply:?}");
        }
        let third = Question::Step(step(1, owner, 2, vec![text("c")]));
        let reply = store.ask(2, third).await;
        assert!(matches!(reply, Reply::Stepped { first: 3 }), "{reply:?}");
        // Another owner takes over, and has what was not acknowledged.
        let mut again = claim(1, 2);
        again.epoch = 101;
        let opening = store.open(3, again).await;
        assert!(opening.owner != owner && opening.found == Found::Continued);
        let snapshot = format!("{:?}", opening.snapshot.unwrap());
        assert!(snapshot.contains("messages: 3"), "{snapshot}");
        let late = Question::Step(step(1, owner, 3, vec![text("d")]));
        let reply = store.ask(4, late).await;
        assert!(matches!(reply, Reply::Fenced), "{reply:?}");
        let reply = store.ask(4, finish(1, owner, None)).await;
        assert!(matches!(reply, Reply::Fenced), "{reply:?}");
    });
}

#[test]
fn no_room_and_full() {
    let options = MemoryOptions {
        sessions: 2,
        bytes: 7,
        ..MemoryOptions::default()
    };
    in_both(options, async |store| {
        let owners = [
            store.open(1, claim(1, 1)).await.owner,
            store.open(1, claim(2, 1)).await.owner,
        ];
        let reply = store.ask(1, Question::Open(claim(3, 1))).await;
        assert!(matches!(reply, Reply::NoRoom), "{reply:?}");
        let ask = async |letter: u8, number, sent: &str| {
            let owner = owners[usize::from(letter) - 1];
            let question = Question::Step(step(letter, owner, number, vec![text(sent)]));
            matches!(store.ask(1, question).await, Reply::Stepped { .. })
        };
        assert!(ask(1, 1, "abcd").await);
        assert!(!ask(1, 2, "e").await);
        // But one has its share, and no more.
        assert!(ask(2, 1, "f").await);
        assert!(!ask(2, 2, "g").await);
        store.ask(1, finish(1, owners[0], None)).await;
        assert!(ask(2, 2, "g").await, "there is room again");
        store.open(1, claim(3, 1)).await;
    });
}

#[test]
fn a_message_that_was_set_aside_gives_its_room_back() {
    let options = MemoryOptions {
        sessions: 1,
        bytes: 8,
        ..MemoryOptions::default()
    };
    in_both(options, async |store| {
        let owner = store.open(1, claim(1, 1)).await.owner;
        let sends = vec![text("ab"), text("cd")];
        store.ask(1, Question::Step(step(1, owner, 1, sends))).await;
        // The one before it is still there.
        let mut freeing = step(1, owner, 2, vec![]);
        freeing.freed = vec![2];
        store.ask(1, Question::Step(freeing)).await;
        let more = Question::Step(step(1, owner, 3, vec![text("ef")]));
        let reply = store.ask(1, more).await;
        assert!(matches!(reply, Reply::Stepped { first: 3 }), "{reply:?}");
        // It does so once.
        let mut acknowledging = step(1, owner, 4, vec![]);
        acknowledging.acknowledged = 2;
        store.ask(1, Question::Step(acknowledging)).await;
        for (number, sent) in [(5, "gh"), (6, "i")] {
            let question = Question::Step(step(1, owner, number, vec![text(sent)]));
            let reply = store.ask(1, question).await;
            let fits = matches!(reply, Reply::Stepped { .. });
            assert_eq!(fits, number == 5, "{number}: {reply:?}");
        }
    });
}

#[test]
fn a_tombstone_that_is_gone_makes_the_memory_younger() {
    let options = MemoryOptions {
        tombstones: 1,
        ..MemoryOptions::default()
    };
    in_both(options, async |store| {
        let first = store.open(100_000, claim(1, 1)).await.owner;
        let lost = finish(1, first, Some(Why::Expired));
        store.ask(100_000, lost).await;
        // Another tombstone takes its place.
        let second = store.open(100_001, claim(2, 1)).await.owner;
        store.ask(100_001, finish(2, second, None)).await;
        let found = async |letter: u8, began: u64| {
            let mut again = claim(letter, 2);
            again.has_sent = true;
            again.began = Time::from_millis(BEGAN + began);
            store.open(200_000, again).await.found
        };
        let lost = Found::Lost(Lost {
            why: Why::Unknown,
            verdict: None,
        });
        assert_eq!(
            found(1, 100_001).await,
            lost,
            "it may be what was forgotten"
        );
        assert_eq!(found(3, 100_001 + limits::YOUNG_MS).await, lost);
        assert_eq!(found(4, 100_002 + limits::YOUNG_MS).await, Found::Fresh);
    });
}

#[test]
fn every_kind_of_item_comes_back_as_it_was() {
    in_both(MemoryOptions::default(), async |store| {
        let owner = store.open(1, claim(1, 1)).await.owner;
        let binary = || Body::new(Data::Binary(vec![0, 255, b' '].into()));
        let answers = [
            Answer::Response(Body::new(Data::from("yes no"))),
            Answer::Error(binary()),
            Answer::Refused(steady_socket_protocol::session::frame::Refusal::Limit),
        ];
        let mut sends = vec![
            text(""),
            Item::Message {
                payload: binary(),
                delivery: None,
                awaited: true,
            },
            Item::Request {
                payload: Body::new(Data::from("what?")),
                ask: None,
            },
            Item::Cancel { request: 7 },
        ];
        sends.extend(answers.map(|answer| Item::Answer { request: 8, answer }));
        let expected = format!("{sends:?}");
        let reply = store.ask(2, Question::Step(step(1, owner, 1, sends))).await;
        assert!(matches!(reply, Reply::Stepped { first: 1 }), "{reply:?}");
        let mut again = claim(1, 2);
        again.epoch = 101;
        let snapshot = store.open(3, again).await.snapshot.unwrap();
        let snapshot = format!("{snapshot:?}");
        for item in expected.trim_matches(['[', ']']).split("}, ") {
            assert!(
                snapshot.contains(item.trim_end_matches('}')),
                "{item} in {snapshot}"
            );
        }
        assert!(snapshot.contains("asked: [3]"), "{snapshot}");
    });
}

#[test]
fn a_hello_that_was_answered_and_asked_again_is_answered_the_same() {
    // Only a store behind a network has to know the question again: one in memory never loses an answer.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let store = Asked::redis(&server, "case", MemoryOptions::default());
    runtime.block_on(async {
        let ask = async |ticket, claim: &Claim| {
            let question = Question::Open(claim.clone());
            format!("{:?}", store.ask_as(Ticket(ticket), 1, question).await)
        };
        let first = claim(1, 1);
        let fresh = ask(10, &first).await;
        assert!(fresh.contains("Fresh"), "{fresh}");
        assert_eq!(ask(10, &first).await, fresh);
        let mut again = claim(1, 2);
        again.epoch = 101;
        let continued = ask(11, &again).await;
        assert!(continued.contains("Some(Snapshot"), "{continued}");
        assert_eq!(ask(11, &again).await, continued);
        assert_eq!(ask(12, &again).await, "Stale");
    });
}

#[test]
fn keys_that_are_gone_are_never_a_gap() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let client = ::redis::Client::open(server.url()).unwrap();
    runtime.block_on(async {
        let store = Asked::redis(&server, "case", MemoryOptions::default());
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let owner = store.open(1, claim(1, 1)).await.owner;
        let sends = vec![text("a"), text("b")];
        store.ask(2, Question::Step(step(1, owner, 1, sends))).await;
        let keys: Vec<String> = ::redis::cmd("KEYS")
            .arg("*:sent")
            .query_async(&mut redis)
            .await
            .unwrap();
        let () = ::redis::cmd("DEL")
            .arg(keys)
            .query_async(&mut redis)
            .await
            .unwrap();
        let mut again = claim(1, 2);
        (again.epoch, again.has_sent) = (101, true);
        let lost = Found::Lost(Lost {
            why: Why::Unknown,
            verdict: None,
        });
        assert_eq!(store.open(3, again.clone()).await.found, lost);
        // And with all keys, the generations do not begin anew.
        let () = ::redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .unwrap();
        let reply = store
            .ask(4, Question::Step(step(1, owner, 2, vec![])))
            .await;
        assert!(matches!(reply, Reply::Gone), "{reply:?}");
        again.attempt = 3;
        let opening = store.open(5, again).await;
        assert_eq!(opening.found, lost);
        assert!(opening.owner > owner);
        let reply = store
            .ask(6, Question::Step(step(1, owner, 1, vec![])))
            .await;
        assert!(matches!(reply, Reply::Fenced), "{reply:?}");
    });
}

/// One question, in words that mean the same in both stores.
#[derive(Debug, Clone)]
enum Event {
    Wait(u64),
    Open {
        letter: u8,
        /// Less than the last, the same, or more.
        attempt: u64,
        epoch: Epoch,
        has_sent: bool,
        may_resume: bool,
        began: u64,
        owner: Option<usize>,
        lost: bool,
        stranger: bool,
    },
    Step {
        letter: u8,
        owner: usize,
        repeats: bool,
        handled: u64,
        acknowledged: u64,
        got: u64,
        freed: Option<u64>,
        sends: Vec<u8>,
        confirmed: bool,
    },
    Finish {
        letter: u8,
        owner: usize,
        why: Option<Why>,
        confirmed: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Epoch {
    None,
    Last,
    BeforeLast,
    Foreign,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let letter = 1..=2_u8;
    let owner = prop_oneof![4 => Just(0_usize), 1 => 1..3_usize];
    let epoch = prop_oneof![
        3 => Just(Epoch::Last),
        1 => Just(Epoch::None),
        1 => Just(Epoch::BeforeLast),
        1 => Just(Epoch::Foreign),
    ];
    let claim = (
        (
            letter.clone(),
            prop_oneof![1 => 0..2_u64, 6 => 2..4_u64],
            epoch,
        ),
        (any::<bool>(), prop::bool::weighted(0.9), 0..200_000_u64),
        (
            prop::option::weighted(0.3, owner.clone()),
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.05),
        ),
    );
    let open = claim.prop_map(
        |((letter, attempt, epoch), (has_sent, may_resume, began), (owner, lost, stranger))| {
            Event::Open {
                letter,
                attempt,
                epoch,
                has_sent,
                may_resume,
                began,
                owner,
                lost,
                stranger,
            }
        },
    );
    let step = (
        (letter.clone(), owner.clone(), prop::bool::weighted(0.1)),
        (0..4_u64, 0..4_u64, 0..6_u64),
        (
            prop::option::weighted(0.2, 0..4_u64),
            prop::collection::vec(0..6_u8, 0..4),
            prop::bool::weighted(0.3),
        ),
    );
    let step = step.prop_map(
        |((letter, owner, repeats), (handled, acknowledged, got), (freed, sends, confirmed))| {
            Event::Step {
                letter,
                owner,
                repeats,
                handled,
                acknowledged,
                got,
                freed,
                sends,
                confirmed,
            }
        },
    );
    let why = prop_oneof![Just(None), Just(Some(Why::Full)), Just(Some(Why::Expired))];
    let finish = (letter, owner, why, any::<bool>()).prop_map(|(letter, owner, why, confirmed)| {
        Event::Finish {
            letter,
            owner,
            why,
            confirmed,
        }
    });
    let wait = prop_oneof![
        Just(1),
        Just(limits::WINDOW_MS),
        Just(limits::CLOSED_TOMBSTONE_MS),
        Just(limits::EXPIRED_TOMBSTONE_MS),
    ];
    let event = prop_oneof![
        4 => open,
        6 => step,
        1 => finish,
        1 => wait.prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 1..40)
}

/// What the halves of one letter know.
#[derive(Debug, Clone, Default)]
struct Known {
    attempt: u64,
    /// The last first, each with its steps.
    owners: Vec<(u64, u64)>,
    epochs: Vec<u64>,
    handled: u64,
    acknowledged: u64,
    sent: u64,
}

/// What a store says to all events, without what differs between stores.
async fn replies(store: &Asked, events: &[Event]) -> Vec<String> {
    let mut known = vec![Known::default(); 3];
    let mut now = 100_000;
    let mut replies = Vec::new();
    for (at, event) in events.iter().enumerate() {
        now += 1;
        let (letter, mut question) = match event.clone() {
            Event::Wait(time) => {
                now += time;
                continue;
            }
            Event::Open {
                letter,
                attempt,
                epoch,
                has_sent,
                may_resume,
                began,
                owner,
                lost,
                stranger,
            } => {
                let known = &known[usize::from(letter)];
                let mut claim = claim(letter, (known.attempt + attempt).saturating_sub(1));
                claim.epoch = match epoch {
                    Epoch::None => 0,
                    Epoch::Last => known.epochs.last().copied().unwrap_or(0),
                    Epoch::BeforeLast => known.epochs.iter().rev().nth(1).copied().unwrap_or(0),
                    Epoch::Foreign => 5,
                };
                claim.has_sent = has_sent;
                claim.may_resume = may_resume;
                claim.began = Time::from_millis((BEGAN + now).saturating_sub(began));
                claim.owner = owner.and_then(|at| known.owners.get(at)).map(|it| it.0);
                claim.new_epoch = 1_000 + at as u64;
                let verdict = Some(Verdict {
                    handled: known.handled,
                    also: vec![(known.handled + 2, known.handled + 3)],
                    given: known.handled + 9,
                    received: known.handled + 9,
                });
                let why = Why::OutOfStep;
                claim.lost = lost.then_some(Lost { why, verdict });
                if stranger {
                    claim.identity = Identity("bob".to_owned());
                }
                (letter, Question::Open(claim))
            }
            Event::Step {
                letter,
                owner,
                repeats,
                handled,
                acknowledged,
                got,
                freed,
                sends,
                confirmed,
            } => {
                let known = &known[usize::from(letter)];
                let Some((owner, steps)) = known.owners.get(owner).copied() else {
                    continue;
                };
                let number = if repeats { steps } else { steps + 1 };
                let sends = sends.iter().map(|kind| match kind {
                    0 => Item::Request {
                        payload: Body::new(Data::from("r")),
                        ask: None,
                    },
                    1 => Item::Cancel { request: 3 },
                    2 => Item::Answer {
                        request: 4,
                        answer: Answer::Response(Body::new(Data::from("an answer"))),
                    },
                    size => text(&"x".repeat(usize::from(*size))),
                });
                let mut step = step(letter, owner, number, sends.collect());
                step.handled = known.handled + handled;
                step.also = vec![(step.handled + 2, step.handled + 2)];
                step.acknowledged = (known.acknowledged + acknowledged).min(known.sent);
                step.got = (step.acknowledged + got).min(known.sent);
                // What is freed is a request or was set aside, and is no longer acknowledged otherwise.
                step.freed = freed
                    .map(|free| step.acknowledged + 1 + free)
                    .filter(|free| *free <= known.sent)
                    .into_iter()
                    .collect();
                step.confirmed = confirmed;
                (letter, Question::Step(step))
            }
            Event::Finish {
                letter,
                owner,
                why,
                confirmed,
            } => {
                let known = &known[usize::from(letter)];
                let Some((owner, _)) = known.owners.get(owner).copied() else {
                    continue;
                };
                let mut question = finish(letter, owner, why);
                if let Question::Finish(finish) = &mut question {
                    finish.confirmed = confirmed;
                }
                (letter, question)
            }
        };
        let mut reply = store.ask(now, question.clone()).await;
        let known = &mut known[usize::from(letter)];
        match (&mut reply, &mut question) {
            (Reply::Opened(opening), Question::Open(claim)) => {
                known.attempt = known.attempt.max(claim.attempt);
                if known.epochs.last() != Some(&opening.epoch) {
                    known.epochs.push(opening.epoch);
                    (known.handled, known.acknowledged, known.sent) = (0, 0, 0);
                }
                let rank = known.owners.iter().position(|it| it.0 == opening.owner);
                if rank.is_none() {
                    known.owners.insert(0, (opening.owner, 0));
                }
                opening.owner = rank.map_or(0, |rank| rank as u64 + 1);
            }
            (Reply::Stepped { .. }, Question::Step(step)) => {
                let owner = known.owners.iter_mut().find(|it| it.0 == step.owner);
                if let Some((_, steps)) = owner
                    && *steps < step.number
                {
                    *steps = step.number;
                    known.handled = step.handled;
                    known.acknowledged = step.acknowledged;
                    known.sent += step.sends.len() as u64;
                }
            }
            _ => {}
        }
        replies.push(format!("{at}: {reply:?}"));
    }
    replies
}

#[test]
fn whatever_is_asked_both_stores_say_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = RedisServer::start();
    let options = MemoryOptions {
        sessions: 2,
        bytes: 60,
        ..MemoryOptions::default()
    };
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let runs = std::cell::Cell::new(0_u32);
    proptest!(config, |(events in events())| {
        runs.set(runs.get() + 1);
        let prefix = runs.get().to_string();
        let (memory, redis) = runtime.block_on(async {
            let memory = Asked::memory(options);
            let redis = Asked::redis(&server, &prefix, options);
            // Both begin to remember now.
            let begin = Question::Open(claim(9, 1));
            for store in [&memory, &redis] {
                store.ask(0, begin.clone()).await;
            }
            (replies(&memory, &events).await, replies(&redis, &events).await)
        });
        prop_assert_eq!(memory, redis);
    });
}
