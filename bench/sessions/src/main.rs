//! Many native sessions against one server, which cuts them at random: nothing may be lost, and memory stays flat.
//!
//! Every session counts, and the server's echo comes back. A session checks that each number comes once and in order. When the
//! time is over, nothing is cut any more, and every session waits for its last number.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lexopt::Arg;
use load::Result;
use load::arguments::number;
use load::contender::{Contender, Output};
use load::process::{memory, raise_descriptor_limit};
use steady_socket::{
    Event, Handle, Options, Phase, PlainText, Session, SessionEvent, Socket, native,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

const HELP: &str = "\
Has many native sessions lose their connections at random, and checks that they lose nothing else.

  --test-server PROGRAM  the server
  --sessions N           how many (1 to 10000, default 200)
  --seconds N            for how long (1 to 86400, default 10)
  --seed N               of what is random (default: of the clock)
  --help                 this text
";

/// A session sends once in this time, and is cut once in that, on average.
const SENDS_EVERY: Duration = Duration::from_secs(2);
const CUT_EVERY: Duration = Duration::from_secs(20);

/// How long a turn of the program is.
const TURN: Duration = Duration::from_millis(20);

/// How often memory is measured.
const MEASURES_EVERY: Duration = Duration::from_secs(5);

/// How many sessions connect in a turn: more would only wait in the kernel's queue.
const CONNECT_AT_ONCE: usize = 100;

/// How many addresses of this machine the clients connect to: each has ports of its own.
const ADDRESSES: usize = 8;

/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(300);

struct Arguments {
    server: PathBuf,
    sessions: usize,
    time: Duration,
    seed: Option<u64>,
}

fn parse(parser: &mut lexopt::Parser) -> Result<Option<Arguments>> {
    let (mut server, mut sessions, mut seconds, mut seed) = (None, 200, 10, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("test-server") => server = Some(PathBuf::from(parser.value()?)),
            // So many the server's store takes.
            Arg::Long("sessions") => sessions = number(parser, "--sessions", 1..=10_000)?,
            Arg::Long("seconds") => seconds = number(parser, "--seconds", 1..=86_400)?,
            Arg::Long("seed") => seed = Some(number(parser, "--seed", 0..=u64::MAX)?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(Arguments {
        server: server.ok_or("no server named: --test-server PROGRAM")?,
        sessions,
        time: Duration::from_secs(seconds),
        seed,
    }))
}

fn main() -> ExitCode {
    let arguments = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}\n--help lists the options.");
            return ExitCode::from(2);
        }
    };
    let run = || native::run(run(&arguments))?;
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What happened to all sessions.
#[derive(Default)]
struct Totals {
    resumed: Cell<u64>,
    /// Sessions that were lost or have ended, and numbers that were not the next.
    wrong: Cell<u64>,
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

struct Client {
    /// Dropping it closes the session.
    _socket: Socket<String, String, PlainText>,
    handle: Handle<String, PlainText>,
    sent: Cell<u64>,
    came: Rc<Cell<u64>>,
}

fn connect(number: usize, port: &str, totals: &Rc<Totals>) -> Result<Client> {
    let host = number % ADDRESSES + 1;
    let url = format!("ws://127.0.0.{host}:{port}/session/echo?id={}", id(number));
    let came = Rc::new(Cell::new(0));
    let (next, counted, told) = (Rc::clone(&came), Rc::clone(totals), Rc::clone(totals));
    let socket = Socket::<String, String, PlainText>::builder(url)
        .options(Options::default().connect_timeout(Duration::from_secs(60)))
        .session(Session::required())
        .on_message(move |_, message| {
            let number = message.ok().and_then(|text| text.parse::<u64>().ok());
            if number != Some(next.get()) {
                add(&counted.wrong, 1);
            }
            next.set(next.get() + 1);
        })
        .on_event(move |event| {
            if let Event::Session(event) = event {
                match **event {
                    SessionEvent::Resumed { .. } => add(&told.resumed, 1),
                    SessionEvent::Lost(_) | SessionEvent::Ended(_) => add(&told.wrong, 1),
                    _ => {}
                }
            }
        })
        .connect()?;
    Ok(Client {
        handle: socket.handle(),
        _socket: socket,
        sent: Cell::new(0),
        came,
    })
}

fn id(number: usize) -> String {
    format!("load-{number}")
}

/// How long one connection to the server's control is used: the server ends it after a minute.
const CONTROL_TIME: Duration = Duration::from_secs(30);

/// The server's control.
struct Control<'a> {
    address: &'a str,
    stream: BufReader<TcpStream>,
    since: Instant,
}

impl<'a> Control<'a> {
    async fn connect(address: &'a str) -> Result<Self> {
        Ok(Self {
            address,
            stream: BufReader::new(TcpStream::connect(address).await?),
            since: Instant::now(),
        })
    }

    /// Cuts a client's connection. Returns whether there was one.
    async fn cut(&mut self, number: usize) -> Result<bool> {
        if self.since.elapsed() > CONTROL_TIME {
            *self = Self::connect(self.address).await?;
        }
        let request = format!(
            "POST /control/cut?id={} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
            id(number)
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err("the server's control has ended the connection".into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(bytes) = line.strip_prefix("content-length: ") {
                length = bytes.parse()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer == b"{\"connections\":1}")
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    if let Some(seed) = arguments.seed {
        fastrand::seed(seed);
    }
    // Besides the connections, there are files, pipes and what a runtime needs.
    raise_descriptor_limit(arguments.sessions as u64 + 500)?;
    let connections = (arguments.sessions * 2).to_string();
    let server = Contender {
        name: "the test server",
        program: arguments.server.clone(),
        arguments: [
            "--host",
            "0.0.0.0",
            "--port",
            "0",
            "--quiet",
            "--demo-control",
            "--max-connections",
            &connections,
        ]
        .map(String::from)
        .to_vec(),
        tells_by: Output::Stderr,
    }
    .start()?;
    let port = server.address().rsplit(':').next().unwrap_or_default();
    let totals = Rc::new(Totals::default());

    let began = Instant::now();
    let mut clients = Vec::with_capacity(arguments.sessions);
    for number in 0..arguments.sessions {
        clients.push(connect(number, port, &totals)?);
        if number % CONNECT_AT_ONCE == CONNECT_AT_ONCE - 1 {
            sleep(TURN).await;
        }
    }
    wait("for all sessions to begin", || {
        clients
            .iter()
            .all(|client| client.handle.phase() == Phase::Open)
    })
    .await?;
    println!(
        "{} sessions began in {:.1} s",
        clients.len(),
        began.elapsed().as_secs_f64()
    );

    let (mut control, mut until) = (Control::connect(server.address()).await?, Instant::now());
    let (mut sends, mut cuts, mut cut) = (0.0, 0.0, 0_u64);
    let (mut sender, mut measure_at) = (0, MEASURES_EVERY.min(arguments.time / 2));
    let began = until;
    let mut measured = Vec::new();
    while began.elapsed() < arguments.time {
        let turn = until.elapsed().as_secs_f64();
        until = Instant::now();
        sends += clients.len() as f64 * turn / SENDS_EVERY.as_secs_f64();
        while sends >= 1.0 {
            sends -= 1.0;
            let client = &clients[sender];
            sender = (sender + 1) % clients.len();
            // One that is away for long has a full queue.
            if client
                .handle
                .try_send(client.sent.get().to_string())
                .is_ok()
            {
                add(&client.sent, 1);
            }
        }
        cuts += clients.len() as f64 * turn / CUT_EVERY.as_secs_f64();
        while cuts >= 1.0 {
            cuts -= 1.0;
            if control.cut(fastrand::usize(..clients.len())).await? {
                cut += 1;
            }
        }
        if began.elapsed() >= measure_at {
            measure_at += MEASURES_EVERY;
            measured.push((
                began.elapsed(),
                memory(server.id())?,
                memory(std::process::id())?,
            ));
        }
        sleep(TURN).await;
    }

    let ended = Instant::now();
    wait("for the last numbers", || {
        clients
            .iter()
            .all(|client| client.came.get() >= client.sent.get())
    })
    .await?;
    let sent: u64 = clients.iter().map(|client| client.sent.get()).sum();
    let came: u64 = clients.iter().map(|client| client.came.get()).sum();
    println!(
        "{cut} cuts in {} s, {} sessions resumed; the last number came {:.1} s after the last cut",
        arguments.time.as_secs(),
        totals.resumed.get(),
        ended.elapsed().as_secs_f64()
    );
    println!(
        "{sent} messages sent, {came} came back; {} lost, repeated or out of order",
        totals.wrong.get() + sent.abs_diff(came)
    );
    println!("memory in MiB: after s, the server's, the clients'");
    let mib = |kib: u64| kib as f64 / 1024.0;
    for (after, server, own) in &measured {
        println!(
            "{:>6} {:>9.1} {:>9.1}",
            after.as_secs(),
            mib(*server),
            mib(*own)
        );
    }
    match totals.wrong.get() == 0 && sent == came {
        true => Ok(()),
        false => Err("something was lost".into()),
    }
}

async fn wait(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err(format!("waited {} s {what}", PATIENCE.as_secs()).into());
        }
        sleep(TURN).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Arguments>> {
        parse(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn a_small_run_is_the_default_and_a_wrong_argument_is_named() {
        let arguments = parsed("--test-server t").unwrap().unwrap();
        assert_eq!(arguments.sessions, 200);
        assert_eq!(arguments.time, Duration::from_secs(10));
        assert!(parsed("--help").unwrap().is_none());
        for (line, part) in [
            ("", "no server"),
            ("--test-server t --sessions 0", "from 1 to 10000"),
            ("--test-server t --sessions 10001", "from 1 to 10000"),
            ("--test-server t --seconds x", "from 1 to 86400"),
            ("--fast", "--fast"),
        ] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
