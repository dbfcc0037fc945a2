//! What Redis costs sessions, and how soon they go on when a process is killed. Needs `redis-server`.
//!
//! The servers are this program again: one with its sessions in memory, and others with them in one Redis.

#[path = "session-bench/clients.rs"]
mod clients;

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clients::Clients;
use lexopt::{Arg, ValueExt as _};
use load::Result;
use load::arguments::number;
use session_load::{Echo, FIRST, Note};
use steady_socket::{Event, Json, Phase, Session, Source, endpoint, native};
use steady_socket_server::{Endpoint as _, Options, Peer, Redis, Server};
use tokio::time::sleep;

const HELP: &str = "\
Measures what Redis costs sessions, beside sessions in memory, and how soon they go on when a process is killed.

  --rounds N    rates of each (1 to 1000, default 5)
  --clients N   how many send (1 to 1000, default 50)
  --kills N     how often a process is killed, every 5 s (1 to 1000, default 10)
  --help        this text
";

/// How many messages a client sends at once.
const BURST: u64 = 128;
/// How long a rate is measured.
const TIME: Duration = Duration::from_secs(2);
/// How long a connection lasts at least before its process is killed. A client that loses one sooner than 5 s takes it for a
/// failure, and waits for longer before each further attempt.
const STABLE: Duration = Duration::from_millis(5_200);
/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

struct Arguments {
    rounds: u32,
    clients: usize,
    kills: usize,
}

enum Role {
    Help,
    Measure(Arguments),
    /// Be a server, with sessions in memory or in the Redis of this URL.
    Serve(Option<String>),
}

fn parse(parser: &mut lexopt::Parser) -> Result<Role> {
    let (mut rounds, mut clients, mut kills) = (5, 50, 10);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Role::Help),
            Arg::Long("rounds") => rounds = number(parser, "--rounds", 1..=1_000)?,
            Arg::Long("clients") => clients = number(parser, "--clients", 1..=1_000)?,
            Arg::Long("kills") => kills = number(parser, "--kills", 1..=1_000)?,
            // This program starts itself with them.
            Arg::Long("serve-memory") => return Ok(Role::Serve(None)),
            Arg::Long("serve-redis") => return Ok(Role::Serve(Some(parser.value()?.string()?))),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Role::Measure(Arguments {
        rounds,
        clients,
        kills,
    }))
}

fn main() -> ExitCode {
    let done = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Role::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Role::Serve(redis)) => serve(redis.as_deref()),
        Ok(Role::Measure(arguments)) => {
            let run = || native::run(measure(&arguments))?;
            run()
        }
        Err(error) => {
            eprintln!("error: {error}\n--help lists the options.");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every message comes back. Prints the port.
fn serve(redis: Option<&str>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let builder = Server::<Echo>::builder().options(Options::default());
        let builder = match redis {
            Some(url) => builder.store(Redis::new(url)?),
            None => builder,
        };
        let server = builder.build(async |mut peer: Peer<Echo>| {
            while let Some(Ok(note)) = peer.next().await {
                if peer.send(&note).await.is_err() {
                    return;
                }
            }
        })?;
        let route = steady_socket_server::axum::route(&server);
        let routes = axum::Router::new().route(Echo::PATH, route);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", listener.local_addr()?.port());
        Ok(axum::serve(listener, routes).await?)
    })
}

/// A process, killed when this is dropped.
struct Process(Child);

impl Process {
    /// This program as a server; with its port.
    fn start(arguments: &[&str]) -> Result<(Self, u16)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("its output is piped")?;
        let process = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok((process, line.trim().parse()?))
    }

    /// A Redis server that keeps nothing on disk; with its URL.
    fn redis() -> Result<(Self, String)> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start redis-server: {error}"))?;
        let process = Self(child);
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > PATIENCE {
                return Err("redis-server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((process, format!("redis://127.0.0.1:{port}/")))
    }
}

/// With SIGKILL.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let (_redis, url) = Process::redis()?;
    let mut ratios = Vec::new();
    let mut rates = [Vec::new(), Vec::new()];
    for round in 1..=arguments.rounds {
        let mut seen = [0.0; 2];
        let kinds = [vec!["--serve-memory"], vec!["--serve-redis", &url]];
        for (seen, kind) in seen.iter_mut().zip(&kinds) {
            let (_server, port) = Process::start(kind)?;
            let address = format!("127.0.0.1:{port}");
            let clients = Clients::connect(&address, arguments.clients, true, BURST).await?;
            let (came, took) = clients.saturate(TIME, || Ok(())).await?;
            *seen = came as f64 / took.as_secs_f64();
        }
        eprintln!(
            "round {round}: {:.0} echoes a second in memory, {:.0} in Redis",
            seen[0], seen[1]
        );
        ratios.push(seen[1] / seen[0]);
        rates[0].push(seen[0]);
        rates[1].push(seen[1]);
    }
    let [memory, redis] = rates.map(median);
    println!(
        "echoes a second by one process, {} clients, bursts of {BURST}: {memory:.0} in memory, {redis:.0} in Redis; \
         median of the ratios {:.2}",
        arguments.clients,
        median(ratios)
    );
    let waits = kills(&url, arguments.kills).await?;
    let longest = waits.iter().copied().fold(0.0, f64::max);
    println!(
        "from kill -9 to the first replayed message at the client, {} kills: {:.0} ms in the median, {longest:.0} at most",
        arguments.kills,
        median(waits)
    );
    Ok(())
}

/// What a client of two processes has seen.
#[derive(Default)]
struct Seen {
    /// The index of the process that the next attempt goes to.
    next: Cell<usize>,
    sent: Cell<u64>,
    /// The highest that came back.
    came: Cell<u64>,
    killed: Cell<Option<Instant>>,
    /// Since it was killed, a connection was made.
    is_back: Cell<bool>,
    wait: Cell<Option<Duration>>,
}

/// A client talks all the time. The process that it is connected to is killed, and it goes to the other. Returns how many
/// milliseconds passed until it was given something again.
async fn kills(url: &str, count: usize) -> Result<Vec<f64>> {
    let mut processes = [
        Process::start(&["--serve-redis", url])?,
        Process::start(&["--serve-redis", url])?,
    ];
    let ports = Rc::new([Cell::new(processes[0].1), Cell::new(processes[1].1)]);
    let seen = Rc::new(Seen::default());
    let source = {
        let (ports, seen) = (Rc::clone(&ports), Rc::clone(&seen));
        Source::provider(async move |_| {
            let port = ports[seen.next.get()].get();
            Ok::<_, String>(format!("ws://127.0.0.1:{port}"))
        })
    };
    let (told, given) = (Rc::clone(&seen), Rc::clone(&seen));
    let socket = endpoint::<Echo, Json>(source)
        .session(Session::required())
        .on_event(move |event| {
            if matches!(event, Event::Open { .. }) {
                told.is_back.set(true);
            }
        })
        .on_message(move |_, note| {
            let Ok(note) = note else { return };
            given.came.set(given.came.get().max(note.number));
            if given.is_back.get()
                && let Some(killed) = given.killed.take()
            {
                given.wait.set(Some(killed.elapsed()));
            }
        })
        .connect()?;
    let handle = socket.handle();
    let began = Instant::now();
    while handle.phase() != Phase::Open {
        if began.elapsed() > PATIENCE {
            return Err("the client does not connect".into());
        }
        sleep(Duration::from_millis(5)).await;
    }
    let mut waits = Vec::new();
    for _ in 0..count {
        sleep(STABLE).await;
        let victim = seen.next.get();
        // Some are on their way in either direction.
        for _ in 0..BURST {
            let number = FIRST + seen.sent.get();
            handle
                .try_send(Note::new(number))
                .map_err(|error| error.to_string())?;
            seen.sent.set(seen.sent.get() + 1);
        }
        sleep(Duration::from_millis(2)).await;
        seen.next.set(1 - victim);
        seen.is_back.set(false);
        processes[victim].0.0.kill()?;
        seen.killed.set(Some(Instant::now()));
        let own = url.to_owned();
        // The client goes on meanwhile.
        let start = move || Process::start(&["--serve-redis", &own]).map_err(|it| it.to_string());
        processes[victim] = tokio::task::spawn_blocking(start).await??;
        ports[victim].set(processes[victim].1);
        let began = Instant::now();
        let wait = loop {
            let is_all = seen.came.get() + 1 == FIRST + seen.sent.get();
            if let (Some(wait), true) = (seen.wait.get(), is_all) {
                break wait;
            }
            // It had all before, so nothing was replayed: another message shows that it is there.
            if is_all && seen.is_back.get() {
                break seen
                    .killed
                    .take()
                    .map_or(Duration::ZERO, |killed| killed.elapsed());
            }
            if began.elapsed() > PATIENCE {
                return Err("the client does not come back".into());
            }
            sleep(Duration::from_millis(1)).await;
        };
        seen.wait.set(None);
        seen.killed.set(None);
        waits.push(wait.as_secs_f64() * 1_000.0);
    }
    Ok(waits)
}
