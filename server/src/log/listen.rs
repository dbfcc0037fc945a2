//! How a process learns of new entries in Redis.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::RedisError;
use tokio::time::{interval, sleep, timeout};

use super::{Logs, Tail};
use crate::store::redis::Shared;

/// How often a log is read without news, in case that some were lost, and how long a subscription may take.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait before the next connection.
const AGAIN: Duration = Duration::from_millis(200);

/// Watches the logs that sessions of this process have joined, on a connection of its own, as long as there are such logs.
pub(super) async fn listen(logs: Weak<Logs>, redis: Shared) {
    while logs.strong_count() > 0 {
        // Whoever reads a log meanwhile says that Redis does not answer.
        let _ = listen_once(&logs, &redis).await;
        sleep(AGAIN).await;
    }
}

/// Until the connection or the last of the logs has ended.
async fn listen_once(logs: &Weak<Logs>, redis: &Shared) -> Result<(), RedisError> {
    let (mut sink, mut news) = redis.pubsub().await?.split();
    let mut watched: HashMap<String, Arc<Tail>> = HashMap::new();
    let mut look = interval(LOOK);
    while let Some(logs) = logs.upgrade() {
        let tails: HashMap<String, Arc<Tail>> = logs
            .watched()
            .into_iter()
            .map(|(log, tail)| (redis.channel(&log), tail))
            .collect();
        for (channel, tail) in &tails {
            let known = watched.insert(channel.clone(), Arc::clone(tail));
            if known.is_none() {
                match timeout(LOOK, sink.subscribe(channel)).await {
                    Ok(subscribed) => subscribed?,
                    Err(_) => return Ok(()),
                }
            }
            // What came before this is not told.
            if !known.is_some_and(|known| Arc::ptr_eq(&known, tail)) {
                tail.stir();
            }
        }
        let gone: Vec<String> = watched
            .keys()
            .filter(|channel| !tails.contains_key(*channel))
            .cloned()
            .collect();
        for channel in gone {
            watched.remove(&channel);
            sink.unsubscribe(channel).await?;
        }
        loop {
            tokio::select! {
                message = news.next() => {
                    let Some(message) = message else { return Ok(()) };
                    let tail = watched.get(message.get_channel_name());
                    if let (Some(tail), Ok(number)) = (tail, message.get_payload()) {
                        tail.has(number);
                    }
                }
                () = logs.wanted.notified() => break,
                _ = look.tick() => {
                    watched.values().for_each(|tail| tail.stir());
                    break;
                }
            }
        }
    }
    Ok(())
}
