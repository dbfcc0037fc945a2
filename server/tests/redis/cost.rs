//! What a session costs in Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use steady_socket_protocol::session::Opened;
use tokio::time::sleep;

use crate::redis_server::RedisServer;
use crate::{caller, exchange, opened, serve, server};

async fn text(redis: &mut MultiplexedConnection, command: &[&str]) -> String {
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    asked.query_async(redis).await.unwrap()
}

/// How often each command was called so far, those in scripts included.
async fn calls(redis: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let stats = text(redis, &["INFO", "commandstats"]).await;
    let lines = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let (calls, _) = rest.split_once(',')?;
        Some((name.to_owned(), calls.parse().ok()?))
    });
    lines.collect()
}

#[tokio::test]
async fn an_idle_session_takes_less_than_a_kibibyte_and_a_message_few_commands() {
    let server_of_redis = RedisServer::start();
    let client = redis::Client::open(server_of_redis.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let mut caller = caller(serve(&server(&server_of_redis.url())).await, 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    // One after another, so that no two share a step.
    exchange(&mut caller, 1..=1).await;
    let before = calls(&mut redis).await;
    const MESSAGES: u64 = 200;
    for number in 2..=MESSAGES + 1 {
        exchange(&mut caller, number..=number).await;
    }
    let mut total = 0;
    for (name, count) in calls(&mut redis).await {
        let count = count - before.get(&name).copied().unwrap_or(0);
        if count > 0 {
            println!(
                "{name}: {:.2} a message and its answer",
                count as f64 / MESSAGES as f64
            );
            total += count;
        }
    }
    // Its own two, and those of the scripts. A ceiling against a loop, not a figure.
    let a_message = total as f64 / MESSAGES as f64;
    println!("{a_message:.1} commands a message and its answer, each alone");
    assert!(a_message < 100.0, "{a_message}");
    // Until its client has acknowledged the last answer.
    let keys = crate::caller::within(async {
        loop {
            let mut all = redis::cmd("KEYS");
            let keys: Vec<String> = all.arg("*").query_async(&mut redis).await.unwrap();
            if !keys.iter().any(|key| key.ends_with(":sent")) {
                return keys;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let mut bytes = 0;
    for key in &keys {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key);
        let size: u64 = usage.query_async(&mut redis).await.unwrap();
        println!("{size} bytes: {key}");
        bytes += size;
    }
    // With the keys that all sessions share.
    println!("{bytes} bytes an idle session");
    assert!(bytes <= 1_024, "{bytes} bytes in {keys:?}");
}
