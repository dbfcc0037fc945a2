//! Sessions in a real Redis, over real sockets: they outlive the server that began them.

#[path = "../server/caller.rs"]
#[expect(dead_code, reason = "the tests of the other file do more with it")]
mod caller;
mod cost;
mod kill;
mod redis_server;
mod room;
mod switch;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use caller::{Caller, Command, Happened};
use redis_server::RedisServer;
use steady_socket_protocol::session::{End, Opened};
use steady_socket_server::{Endpoint as _, Json, Options, Peer, Redis, Server, endpoint};
use switch::Switch;
use tokio::net::TcpListener;

endpoint! {
    /// Numbers, back and forth.
    pub Numbers at "/numbers" {
        client: u64,
        server: u64,
        "numbers.json" => Json,
    }
}

const SESSION: &str = "numbers.json~2";

/// A server whose sessions are in this Redis. What a client says it sends back.
fn server(redis: &str) -> Server<Numbers> {
    Server::builder()
        .store(Redis::new(redis).unwrap())
        .build(echoes)
        .unwrap()
}

async fn echoes(mut peer: Peer<Numbers>) {
    while let Some(Ok(number)) = peer.next().await {
        if peer.send(&number).await.is_err() {
            return;
        }
    }
}

async fn serve(server: &Server<Numbers>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = steady_socket_server::axum::route(server);
    let routes = axum::Router::new().route(Numbers::PATH, route);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn caller(address: SocketAddr, secret: u8) -> Caller {
    Caller::new(address, Numbers::PATH, SESSION, secret)
}

async fn opened(caller: &mut Caller) -> Opened {
    caller
        .find(|happened| match happened {
            Happened::Opened(opened) => Some(opened),
            _ => None,
        })
        .await
}

/// Sends numbers, and waits until they have come back, once and in order, and are handled for good.
async fn exchange(caller: &mut Caller, numbers: RangeInclusive<u64>) {
    for number in numbers.clone() {
        caller.send(number.to_string());
    }
    settle(caller, numbers).await;
}

/// The second half of [`exchange`]. The connection may be lost in between.
async fn settle(caller: &mut Caller, numbers: RangeInclusive<u64>) {
    let (mut given, mut handled) = (Vec::new(), 0);
    let count = numbers.clone().count();
    while given.len() < count || handled < count {
        match caller.next().await {
            Happened::Given(text) => given.push(text),
            Happened::Handled => handled += 1,
            Happened::Closed(_) | Happened::Opened(Opened::Resumed { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<String> = numbers.map(|number| number.to_string()).collect();
    assert_eq!(given, expected);
}

#[tokio::test]
async fn a_session_goes_on_at_another_server() {
    let redis = RedisServer::start();
    let (one, two) = (server(&redis.url()), server(&redis.url()));
    let switch = Switch::start(serve(&one).await).await;
    let mut caller = caller(switch.address(), 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    exchange(&mut caller, 1..=100).await;
    switch.turn_to(serve(&two).await);
    assert_eq!(opened(&mut caller).await, Opened::Resumed { replayed: 0 });
    exchange(&mut caller, 101..=200).await;
    // And back, to a server that still has its half.
    switch.turn_to(serve(&one).await);
    assert_eq!(opened(&mut caller).await, Opened::Resumed { replayed: 0 });
    exchange(&mut caller, 201..=300).await;
}

#[tokio::test]
async fn the_owner_that_a_session_has_left_ends_its_handler_and_writes_nothing_more() {
    let redis = RedisServer::start();
    let (gone, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let one = Server::<Numbers>::builder()
        .store(Redis::new(&redis.url()).unwrap())
        .options(Options {
            // It looks after its session every half of that.
            session_window: Duration::from_secs(2),
            ..Options::default()
        })
        .build(move |mut peer: Peer<Numbers>| {
            let gone = gone.clone();
            async move {
                while let Some(Ok(number)) = peer.next().await {
                    let _ = peer.send(&number).await;
                }
                let end = peer.try_send(&13);
                gone.send(end.is_err()).unwrap();
            }
        })
        .unwrap();
    let two = server(&redis.url());
    let switch = Switch::start(serve(&one).await).await;
    let mut caller = caller(switch.address(), 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    exchange(&mut caller, 1..=10).await;
    switch.turn_to(serve(&two).await);
    assert_eq!(opened(&mut caller).await, Opened::Resumed { replayed: 0 });
    let cannot_send = caller::within(ends.recv()).await.unwrap();
    assert!(cannot_send);
    caller::within(async {
        while (one.sessions(), two.sessions()) != (0, 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    exchange(&mut caller, 11..=20).await;
}

#[tokio::test]
async fn nothing_is_lost_when_redis_restarts_with_its_append_only_file() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut caller = caller(serve(&server(&redis.url())).await, 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    exchange(&mut caller, 1..=100).await;
    for _ in 0..3 {
        for number in 101..=200 {
            caller.send(number.to_string());
        }
        redis.kill();
        // Meanwhile the session waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        redis.restart();
        settle(&mut caller, 101..=200).await;
    }
}

#[tokio::test]
async fn both_ends_learn_it_when_redis_has_lost_its_keys() {
    let (gone, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let server = Server::<Numbers>::builder()
        .store(Redis::new(&redis.url()).unwrap())
        .build(move |peer| {
            let gone = gone.clone();
            async move {
                echoes(peer).await;
                gone.send(()).unwrap();
            }
        })
        .unwrap();
    let mut caller = caller(serve(&server).await, 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    exchange(&mut caller, 1..=100).await;
    redis.kill();
    redis.remove_files();
    for number in 101..=200 {
        caller.send(number.to_string());
    }
    redis.restart();
    // None of them is acknowledged, since nothing could be stored; which of them were given, nobody knows.
    let (mut unknown, mut is_lost) = (0, false);
    while unknown < 100 || !is_lost {
        match caller.next().await {
            Happened::Settled(End::Unknown { payload, .. }) => {
                unknown += 1;
                assert_eq!(payload, (100 + unknown).to_string());
            }
            Happened::Lost => is_lost = true,
            Happened::Opened(opened) => assert_eq!(opened, Opened::Anew),
            Happened::Closed(_) | Happened::Unacknowledged(_) => {}
            other => panic!("{other:?}"),
        }
    }
    // The handler of the old session has ended, and the new one goes on.
    caller::within(ends.recv()).await.unwrap();
    exchange(&mut caller, 1..=100).await;
}

#[tokio::test]
async fn without_memory_a_session_is_lost_with_the_reason_and_who_comes_back_is_let_in() {
    let redis = RedisServer::start();
    let set_memory = async |bytes: u32| {
        let client = ::redis::Client::open(redis.url()).unwrap();
        let mut redis = client.get_multiplexed_async_connection().await.unwrap();
        let mut set = ::redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes);
        let () = set.query_async(&mut redis).await.unwrap();
    };
    let address = serve(&server(&redis.url())).await;
    let mut rests = caller(address, 1);
    let mut talks = caller(address, 2);
    for caller in [&mut rests, &mut talks] {
        assert_eq!(opened(caller).await, Opened::Fresh);
        exchange(caller, 1..=10).await;
    }
    set_memory(1).await;
    // One that asks for no memory goes on.
    rests.tell(Command::Cut(Duration::ZERO));
    assert_eq!(opened(&mut rests).await, Opened::Resumed { replayed: 0 });
    // The answer to this has no place.
    talks.send("11");
    let is_lost = |happened| matches!(happened, Happened::Lost).then_some(());
    talks
        .find(|happened| match happened {
            Happened::Closed(1013 | 3476) => Some(()),
            Happened::Unacknowledged(1) => None,
            other => panic!("{other:?}"),
        })
        .await;
    set_memory(0).await;
    talks.find(is_lost).await;
    exchange(&mut rests, 11..=20).await;
}

#[tokio::test]
async fn sessions_begin_when_redis_comes() {
    let mut redis = RedisServer::start();
    redis.kill();
    let mut caller = caller(serve(&server(&redis.url())).await, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    redis.restart();
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    exchange(&mut caller, 1..=10).await;
}
