//! A room over several processes: a shared log that sessions in all of them have joined.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use steady_socket_protocol::session::{End, Ended, Opened};
use steady_socket_server::{
    Commit, Endpoint as _, Options, Peer, PlainText, Redis, Server, endpoint,
};
use tokio::net::TcpListener;

use crate::caller::{Caller, Command, Happened};
use crate::kill::{Process, SERVES};
use crate::redis_server::RedisServer;
use crate::switch::Switch;

endpoint! {
    /// What one says, all hear.
    pub Room at "/room" {
        client: String,
        server: String,
        "room" => PlainText,
    }
}

const SESSION: &str = "room~2";
const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

fn server(redis: Option<&str>, options: Options) -> Server<Room> {
    let builder = Server::builder().options(options);
    let builder = match redis {
        Some(redis) => builder.store(Redis::new(redis).unwrap()),
        None => builder,
    };
    builder.build(talk).unwrap()
}

/// `room TEXT` says it in that room, `join ROOM N` joins one with so many of the last entries, and `both TEXT` says it in
/// the room `all` and answers, too.
async fn talk(mut peer: Peer<Room>) {
    let Ok(()) = peer.join("all", 0).await else {
        return;
    };
    while let Some(Ok(text)) = peer.next().await {
        let mut words = text.splitn(3, ' ');
        let commit = match (words.next(), words.next(), words.next()) {
            (Some("join"), Some(room), Some(history)) => {
                if peer.join(room, history.parse().unwrap()).await.is_err() {
                    return;
                }
                Commit::new().send("joined".to_owned())
            }
            (Some("in"), Some(room), Some(said)) => Commit::new().append(room, said.to_owned()),
            (Some("both"), Some(said), None) => Commit::new()
                .append("all", said.to_owned())
                .send(format!("said {said}"))
                .send(format!("yes, {said}")),
            _ => Commit::new().append("all", text),
        };
        if peer.commit(commit).await.is_err() {
            return;
        }
    }
}

async fn serve(server: &Server<Room>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = steady_socket_server::axum::route(server);
    let routes = axum::Router::new().route(Room::PATH, route);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn enter(address: SocketAddr, secret: u8) -> Caller {
    let mut caller = Caller::new(address, Room::PATH, SESSION, secret);
    assert_eq!(crate::opened(&mut caller).await, Opened::Fresh);
    // Whoever is answered has joined. The acknowledgement comes with the answer, or soon after it.
    caller.send("join all 0");
    let (mut is_handled, mut has_joined) = (false, false);
    while !(is_handled && has_joined) {
        match caller.next().await {
            Happened::Handled => is_handled = true,
            Happened::Given(text) => {
                assert_eq!(text, "joined");
                has_joined = true;
            }
            other => panic!("{other:?}"),
        }
    }
    caller
}

async fn given(caller: &mut Caller, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(caller.given().await);
    }
    all
}

/// Runs a case with two servers: on one Redis, and as one server in memory.
async fn in_both(options: Options, case: impl AsyncFn(&Server<Room>, &Server<Room>)) {
    let memory = server(None, options.clone());
    case(&memory, &memory).await;
    let redis = RedisServer::start();
    let url = redis.url();
    case(
        &server(Some(&url), options.clone()),
        &server(Some(&url), options),
    )
    .await;
}

#[tokio::test]
async fn all_who_have_joined_are_given_each_entry_once_and_in_one_order() {
    in_both(Options::default(), async |one, two| {
        let mut ada = enter(serve(one).await, 1).await;
        let mut bob = enter(serve(two).await, 2).await;
        for number in 0..100 {
            ada.send(format!("ada-{number}"));
            bob.send(format!("bob-{number}"));
        }
        for number in 0..20 {
            one.log("all")
                .append(&format!("one-{number}"))
                .await
                .unwrap();
            two.log("all")
                .append(&format!("two-{number}"))
                .await
                .unwrap();
        }
        let heard = given(&mut ada, 240).await;
        assert_eq!(given(&mut bob, 240).await, heard);
        for (name, count) in [("ada", 100), ("bob", 100), ("one", 20), ("two", 20)] {
            let theirs: Vec<_> = heard.iter().filter(|it| it.starts_with(name)).collect();
            let expected: Vec<_> = (0..count)
                .map(|number| format!("{name}-{number}"))
                .collect();
            assert_eq!(theirs, expected.iter().collect::<Vec<_>>());
        }
        // Whoever joins later gets as many as were asked for, and then what is new.
        let mut eve = Caller::new(serve(two).await, Room::PATH, SESSION, 3);
        eve.send("join other 0");
        eve.send("in all last");
        let late = given(&mut eve, 2).await;
        assert!(late.contains(&"last".to_owned()), "{late:?}");
        eve.send("in history a");
        eve.send("in history b");
        eve.send("in history c");
        eve.send("join history 2");
        let mut history = given(&mut eve, 3).await;
        history.retain(|text| text != "joined");
        assert_eq!(history, ["b", "c"]);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_a_log_has_left_behind_is_lost_with_the_reason() {
    let options = Options {
        log_entries: 10,
        ..Options::default()
    };
    in_both(options, async |one, two| {
        let address = serve(one).await;
        let switch = Switch::start(address).await;
        let mut ada = enter(switch.address(), 1).await;
        // Nobody is there.
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let nowhere = closed.local_addr().unwrap();
        drop(closed);
        switch.turn_to(nowhere);
        // More than may wait for her, and more than the log keeps.
        for number in 0..3_000 {
            two.log("all").append(&number.to_string()).await.unwrap();
        }
        switch.turn_to(address);
        let mut expected = 0;
        loop {
            match ada.next().await {
                // In order, as far as it came before.
                Happened::Given(text) => {
                    assert_eq!(text, expected.to_string());
                    expected += 1;
                }
                Happened::Lost => break,
                Happened::Ended(ended) => {
                    assert_eq!(
                        ended,
                        Ended::Lost(steady_socket_protocol::session::frame::Why::Full)
                    );
                }
                _ => {}
            }
        }
        assert!(expected < 3_000);
    })
    .await;
}

#[tokio::test]
async fn what_a_message_has_led_to_is_one_step_also_if_it_is_more_than_one_message() {
    in_both(Options::default(), async |one, _| {
        let mut ada = enter(serve(one).await, 1).await;
        for number in 0..50 {
            ada.send(format!("both {number}"));
        }
        let mut heard = HashMap::<String, u32>::new();
        for text in given(&mut ada, 150).await {
            *heard.entry(text).or_default() += 1;
        }
        for number in 0..50 {
            for text in [
                format!("{number}"),
                format!("said {number}"),
                format!("yes, {number}"),
            ] {
                assert_eq!(heard.get(&text), Some(&1), "{text}");
            }
        }
    })
    .await;
}

const NAME: &str =
    "room::nothing_in_a_room_is_missing_repeated_or_out_of_order_when_processes_are_killed";

/// What one of the two has seen.
struct Side {
    name: &'static str,
    caller: Caller,
    heard: Vec<String>,
    handled: u64,
    /// When its process was killed, until it is back and given something; and whether it is back.
    away: Option<(Instant, bool)>,
    waits: Vec<Duration>,
    /// How many of its messages were not acknowledged when its process was killed.
    unhandled: Vec<u64>,
}

impl Side {
    async fn enter(name: &'static str, secret: u8, address: SocketAddr) -> Self {
        Self {
            name,
            caller: enter(address, secret).await,
            heard: Vec::new(),
            handled: 0,
            away: None,
            waits: Vec::new(),
            unhandled: Vec::new(),
        }
    }

    fn say(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.caller.send(format!("{}-{number}", self.name));
        }
    }

    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Given(text) => {
                self.heard.push(text);
                if let Some((since, _)) = self.away.take_if(|(_, is_back)| *is_back) {
                    self.waits.push(since.elapsed());
                }
            }
            Happened::Handled => self.handled += 1,
            Happened::Closed(_) => {}
            Happened::Opened(Opened::Resumed { .. }) => {
                if let Some((_, is_back)) = &mut self.away {
                    *is_back = true;
                }
            }
            other => panic!("{}: {other:?}", self.name),
        }
    }
}

/// Until both have heard so many entries, and so many of their own messages are handled. `meanwhile` is called after each, and
/// every millisecond.
async fn settle(
    sides: &mut [Side; 2],
    heard: u64,
    handled: u64,
    mut meanwhile: impl AsyncFnMut(&mut [Side; 2]),
) {
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut last = Instant::now();
    let is_done = |side: &Side| side.heard.len() as u64 >= heard && side.handled >= handled;
    while !sides.iter().all(is_done) {
        let [one, two] = sides;
        let happened = tokio::select! {
            biased;
            _ = tick.tick() => None,
            happened = one.caller.next() => Some((0, happened)),
            happened = two.caller.next() => Some((1, happened)),
        };
        if let Some((at, happened)) = happened {
            sides[at].take(happened);
            last = Instant::now();
        }
        assert!(
            last.elapsed() < Duration::from_secs(60),
            "it takes too long for {heard} heard and {handled} handled: {:?}",
            sides
                .each_ref()
                .map(|side| (side.heard.len(), side.handled))
        );
        meanwhile(sides).await;
    }
}

/// Once each, those of one side in order, and both sides alike.
fn check(sides: &[Side; 2], each: u64) {
    assert_eq!(sides[0].heard.len() as u64, 2 * each);
    assert!(sides[0].heard == sides[1].heard, "one order");
    for name in ["ada", "bob"] {
        let theirs = sides[0].heard.iter().filter(|text| text.starts_with(name));
        let expected = (1..=each).map(|number| format!("{name}-{number}"));
        assert!(
            theirs.cloned().eq(expected),
            "{name}: each once and in order"
        );
    }
}

/// A small generator of numbers, whose seed is told.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[tokio::test]
async fn nothing_in_a_room_is_missing_repeated_or_out_of_order_when_processes_are_killed() {
    if let Ok(redis) = std::env::var(SERVES) {
        let server = server(Some(&redis), Options::default());
        println!("listens at {}", serve(&server).await);
        return std::future::pending().await;
    }
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let kills: u64 = number("STEADY_SOCKET_KILLS").unwrap_or(20);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = number("STEADY_SOCKET_SEED").unwrap_or(now.unwrap().as_nanos() as u64 | 1);
    println!("seed {seed}, to be given in STEADY_SOCKET_SEED");
    let mut random = Random(seed);
    const BURST: u64 = 1_000;
    let mut redis = RedisServer::start_with(&ALWAYS);
    let start = |redis: &RedisServer| Process::start(NAME, &redis.url());
    let mut processes = [start(&redis), start(&redis)];
    let switches = [
        Switch::start(processes[0].1).await,
        Switch::start(processes[1].1).await,
    ];
    let mut sides = [
        Side::enter("ada", 1, switches[0].address()).await,
        Side::enter("bob", 2, switches[1].address()).await,
    ];
    // The two who have joined were answered.
    for side in &mut sides {
        side.caller.tell(Command::Cut(Duration::ZERO));
    }
    let mut each = 0;
    for kill in 0..=kills {
        for side in &sides {
            side.say(each + 1..=each + BURST);
        }
        let before = 2 * each;
        each += BURST;
        // While it commits what they say, or while it gives them what there is.
        let mut dies_at = (kill < kills).then(|| match random.below(2) {
            0 => (Duration::from_micros(random.below(100_000)), 0),
            _ => (Duration::ZERO, before + random.below(2 * BURST)),
        });
        let began = Instant::now();
        let victim = random.below(2) as usize;
        let moves = random.below(2) == 0;
        settle(&mut sides, 2 * each, each, async |sides| {
            if dies_at.is_some_and(|(after, heard)| {
                began.elapsed() >= after && sides[victim].heard.len() as u64 >= heard
            }) {
                dies_at = None;
                processes[victim].0.kill();
                let side = &mut sides[victim];
                side.away = Some((Instant::now(), false));
                side.unhandled.push(each - side.handled);
                if moves {
                    // To the other process, and back when there is one again.
                    switches[victim].turn_to(processes[1 - victim].1);
                }
                processes[victim] = start(&redis);
                if !moves {
                    switches[victim].turn_to(processes[victim].1);
                }
            }
        })
        .await;
        check(&sides, each);
        switches[victim].turn_to(processes[victim].1);
    }
    for side in &mut sides {
        let kills = side.unhandled.len();
        let amid = side.unhandled.iter().filter(|count| **count > 0).count();
        side.waits.sort_unstable();
        let wait = side.waits.get(side.waits.len() / 2).copied();
        let wait = wait.unwrap_or_default();
        println!(
            "{}: {kills} kills, {amid} of them with its messages unhandled; in the median {wait:?} to the next entry",
            side.name
        );
    }

    // Redis itself.
    for _ in 0..3 {
        for side in &sides {
            side.say(each + 1..=each + BURST);
        }
        let dies_at = 2 * each + random.below(2 * BURST);
        each += BURST;
        let mut dies = true;
        settle(&mut sides, 2 * each, each, async |sides| {
            if dies && sides[0].heard.len() as u64 >= dies_at {
                dies = false;
                redis.kill();
                tokio::time::sleep(Duration::from_millis(100)).await;
                redis.restart();
            }
        })
        .await;
        check(&sides, each);
    }
    println!(
        "{kills} kills, {} messages, each once and in one order on both sides",
        2 * each
    );

    // And without its file: both ends of both sessions are told exactly.
    redis.kill();
    redis.remove_files();
    for side in &sides {
        side.say(each + 1..=each + BURST);
    }
    redis.restart();
    for side in &mut sides {
        let (mut unknown, mut is_lost) = (0, false);
        while unknown < BURST || !is_lost {
            match side.caller.next().await {
                Happened::Settled(End::Unknown { payload, .. }) => {
                    unknown += 1;
                    assert_eq!(payload, format!("{}-{}", side.name, each + unknown));
                }
                Happened::Lost => is_lost = true,
                Happened::Opened(opened) => assert_eq!(opened, Opened::Anew),
                Happened::Closed(_) | Happened::Unacknowledged(_) => {}
                other => panic!("{}: {other:?}", side.name),
            }
        }
    }
    // And a new room goes on.
    for side in &sides {
        side.caller.send("join all 0");
    }
    for side in &mut sides {
        assert_eq!(side.caller.given().await, "joined");
    }
    sides[0].caller.send("still here");
    for side in &mut sides {
        assert_eq!(side.caller.given().await, "still here");
    }
}
