//! What an operator counts, with the labels that docs/operations.md names.
//!
//! In a process of its own, since the recorder is that of all threads.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use steady_socket_server::{Endpoint as _, Options, Peer, Redis, Server};

#[path = "server/caller.rs"]
#[expect(dead_code, reason = "other tests use all of it")]
mod caller;
#[path = "server/support.rs"]
mod support;

use caller::{Caller, Command, Happened, within};
use support::{Numbers, SESSION, connect, refusal, start};

/// The counters since the last time, by name and label.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let counter = |(key, _, _, value)| {
        let key: metrics_util::CompositeKey = key;
        let labels = key
            .key()
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.key().name(), labels.collect::<String>());
        match value {
            DebugValue::Counter(count) => (name, count),
            other => panic!("{name} is {other:?}"),
        }
    };
    snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(counter)
        .collect()
}

#[tokio::test]
async fn the_counters_tell_what_has_happened() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let server = Server::<Numbers>::builder()
        .options(Options {
            session_window: Duration::from_secs(1),
            ..Options::default()
        })
        .build(async |mut peer: Peer<Numbers>| {
            while let Some(Ok(number)) = peer.next().await {
                assert_ne!(number, 13, "on purpose");
                let _ = peer.send(&number).await;
            }
        })
        .unwrap();
    let address = start(&server).await;
    let mut seen = BTreeMap::new();
    let mut find = async |wanted: &[(&str, u64)]| {
        within(async {
            while !wanted
                .iter()
                .all(|(name, count)| seen.get(*name) == Some(count))
            {
                for (name, count) in counted(&snapshotter) {
                    *seen.entry(name).or_default() += count;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };

    let (status, _) = refusal(address, &[("origin", "https://elsewhere.example")]).await;
    assert_eq!(status, 403);
    find(&[("steady_socket_handshakes_refused_total status=403", 1)]).await;

    drop(connect(address, &[]).await.unwrap());
    find(&[
        ("steady_socket_connections_total session=no", 1),
        ("steady_socket_gone_total", 1),
    ])
    .await;

    let mut caller = Caller::new(address, Numbers::PATH, SESSION, 1);
    caller.send("1");
    assert_eq!(caller.given().await, "1");
    find(&[("steady_socket_sessions_total anew=no", 1)]).await;
    caller.tell(Command::Cut(Duration::from_secs(3)));
    caller
        .find(|happened| (happened == Happened::Lost).then_some(()))
        .await;
    find(&[
        ("steady_socket_sessions_ended_total why=expired", 1),
        ("steady_socket_sessions_total anew=yes", 1),
    ])
    .await;
    caller.send("13");
    find(&[("steady_socket_panics_total", 1)]).await;

    // Nobody listens there.
    let nowhere = Redis::new("redis://127.0.0.1:1/").unwrap();
    let server = Server::<Numbers>::builder().store(nowhere);
    let server = server.build(async |_: Peer<Numbers>| {}).unwrap();
    let _caller = Caller::new(start(&server).await, Numbers::PATH, SESSION, 2);
    find(&[("steady_socket_store_failed_total", 1)]).await;
}
