//! Processes that are killed in the middle of a conversation.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use steady_socket_protocol::session::Opened;

use crate::caller::Happened;
use crate::redis_server::RedisServer;
use crate::switch::Switch;
use crate::{caller, opened, serve, server};

/// Set for a process that is to serve, to the URL of its Redis.
pub(crate) const SERVES: &str = "STEADY_SOCKET_TEST_SERVES";
const NAME: &str = "kill::no_message_is_missing_when_processes_are_killed";

/// A process of this same program that serves.
pub(crate) struct Process(Child);

impl Process {
    /// Starts one that serves in the test of this name; returns when it listens.
    pub(crate) fn start(test: &str, redis: &str) -> (Self, SocketAddr) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(SERVES, redis)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("listens at ")?;
            address.parse().ok()
        });
        (Self(child), address.expect("it says where it listens"))
    }
}

impl Process {
    /// With SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
async fn no_message_is_missing_when_processes_are_killed() {
    if let Ok(redis) = std::env::var(SERVES) {
        println!("listens at {}", serve(&server(&redis)).await);
        return std::future::pending().await;
    }
    const KILLS: u64 = 10;
    const BURST: u64 = 100;
    let redis = RedisServer::start();
    let (mut process, address) = Process::start(NAME, &redis.url());
    let switch = Switch::start(address).await;
    let mut caller = caller(switch.address(), 1);
    assert_eq!(opened(&mut caller).await, Opened::Fresh);
    let (mut highest, mut handled, mut repeats) = (0, 0, 0);
    for kill in 0..=KILLS {
        let until = (kill + 1) * BURST;
        for number in kill * BURST + 1..=until {
            caller.send(number.to_string());
        }
        // Somewhere in the middle.
        let mut dies_at = (kill < KILLS).then_some(kill * BURST + 7 * kill + 3);
        while highest < until || handled < until {
            match caller.next().await {
                Happened::Given(text) => {
                    let number: u64 = text.parse().unwrap();
                    // In order, and nothing left out. What the process had sent and not finished, the next one sends again.
                    assert!(number <= highest + 1, "{number} after {highest}");
                    repeats += u64::from(number <= highest);
                    highest = highest.max(number);
                }
                Happened::Handled => handled += 1,
                Happened::Closed(_) => {}
                Happened::Opened(opened) => {
                    assert!(matches!(opened, Opened::Resumed { .. }), "{opened:?}");
                }
                other => panic!("{other:?}"),
            }
            if dies_at.is_some_and(|at| highest >= at) {
                dies_at = None;
                drop(process);
                let address;
                (process, address) = Process::start(NAME, &redis.url());
                switch.turn_to(address);
            }
        }
    }
    assert_eq!(
        (highest, handled),
        ((KILLS + 1) * BURST, (KILLS + 1) * BURST)
    );
    println!("{KILLS} kills, {highest} messages, {repeats} handled again by the next process");
}
