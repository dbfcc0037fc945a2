//! What sessions cost a server: native clients of the echo server, with sessions and without; `--help` lists the options.

mod clients;
mod idle;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, ValueExt as _};
use load::Result;
use load::arguments::number;
use load::contender::{Contender, Output};
use load::process::{Processors, processor_time, raise_descriptor_limit};
use load::report::Report;
use steady_socket::native;

use crate::clients::Clients;

const HELP: &str = "\
Measures what sessions cost a server, and writes what was seen as JSON.

  --server PROGRAM       the echo server
  --rounds N             values for each thing that is measured (1 to 1000, default 7)
  --clients N            how many send (1 to 10000, default 100)
  --burst N              messages in a burst (2 to 500, default 128)
  --milliseconds N       how long one rate is measured (10 to 60000, default 2000)
  --idle N               clients among which an idle one is weighed (1 to 50000, default 5000)
  --case TEXT            only cases whose names have this in them
  --output FILE          write into this file, not to the standard output
  --help                 this text

With --hold plain or --hold session and --address HOST:PORT it only connects idle clients, says so, and keeps them until its
input ends.
";

/// The part of the project's benchmarks that the results belong to.
const PART: u32 = 7;

/// The names of what is compared, without sessions and with them.
const NAMES: [&str; 2] = ["without a session", "in a session"];

struct Arguments {
    server: PathBuf,
    rounds: u32,
    clients: usize,
    burst: u64,
    time: Duration,
    idle: usize,
    case: String,
    output: Option<PathBuf>,
}

enum Task {
    Help,
    Measure(Arguments),
    /// Keeps so many idle clients of this server, with sessions or without.
    Hold(usize, String, bool),
}

fn parse(parser: &mut lexopt::Parser) -> Result<Task> {
    let (mut server, mut output, mut case) = (None, None, String::new());
    let (mut rounds, mut clients, mut burst, mut milliseconds, mut idle) =
        (7, 100, 128, 2_000, 5_000);
    let (mut hold, mut address) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Task::Help),
            Arg::Long("server") => server = Some(PathBuf::from(parser.value()?)),
            Arg::Long("rounds") => rounds = number(parser, "--rounds", 1..=1_000)?,
            Arg::Long("clients") => clients = number(parser, "--clients", 1..=10_000)?,
            // A session takes 1,000 messages until one is acknowledged.
            Arg::Long("burst") => burst = number(parser, "--burst", 2..=500)?,
            Arg::Long("milliseconds") => {
                milliseconds = number(parser, "--milliseconds", 10..=60_000)?;
            }
            Arg::Long("idle") => idle = number(parser, "--idle", 1..=50_000)?,
            Arg::Long("case") => case = parser.value()?.string()?,
            Arg::Long("output") => output = Some(PathBuf::from(parser.value()?)),
            Arg::Long("hold") => {
                hold = Some(match parser.value()?.string()?.as_str() {
                    "plain" => false,
                    "session" => true,
                    other => {
                        return Err(format!("--hold takes plain or session, not {other:?}").into());
                    }
                });
            }
            Arg::Long("address") => address = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(with_session) = hold {
        let address = address.ok_or("--hold needs --address HOST:PORT")?;
        return Ok(Task::Hold(idle, address, with_session));
    }
    Ok(Task::Measure(Arguments {
        server: server.ok_or("no server named: --server PROGRAM")?,
        rounds,
        clients,
        burst,
        time: Duration::from_millis(milliseconds),
        idle,
        case,
        output,
    }))
}

fn main() -> ExitCode {
    let done = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Task::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Task::Measure(arguments)) => measure(&arguments),
        Ok(Task::Hold(count, address, with_session)) => idle::hold(&address, count, with_session),
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

fn measure(arguments: &Arguments) -> Result<()> {
    // Besides the connections, there are files, pipes and what a runtime needs.
    raise_descriptor_limit(arguments.idle.max(arguments.clients) as u64 + 500)?;
    let processors = Processors::reserve()?;
    let server = Contender {
        name: "the echo server",
        program: arguments.server.clone(),
        arguments: Vec::new(),
        tells_by: Output::Stdout,
    };
    let mut report = Report::new(PART);
    for round in 1..=arguments.rounds {
        let mut lone = None;
        for burst in [1, arguments.burst] {
            if format!("echo rate/{burst}").contains(&arguments.case) {
                let seen = rates(&server, arguments, burst, processors)?;
                for (name, rate) in NAMES.iter().zip(&seen) {
                    eprintln!(
                        "round {round} of {}: bursts of {burst} {name}: {:.0} messages a second; processor time for \
                         one: {:.2} µs of the server, {:.2} µs of the clients",
                        arguments.rounds, rate.per_second, rate.server_time, rate.clients_time
                    );
                    rate.add_to(&mut report, name, burst);
                }
                let [plain, session] = seen;
                if let Some(lone) = lone.replace(plain.per_second) {
                    // What batches are for: many messages, where a connection without a session had one at a time.
                    let case = format!("echo rate/{burst} in a session, one without");
                    for (name, value) in NAMES.iter().zip([lone, session.per_second]) {
                        report.add(case.clone(), name, "messages/s", value, "");
                    }
                }
            }
        }
        let mut idle_cases = idle::cases(arguments.idle).into_iter();
        if idle_cases.any(|case| case.contains(&arguments.case)) {
            idle::measure(&server, arguments.idle, processors, &mut report)?;
        }
    }
    report.keep(&arguments.case);
    report.sort(NAMES.into_iter());
    let json = serde_json::to_string_pretty(&report)?;
    match &arguments.output {
        Some(path) => std::fs::write(path, json)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => println!("{json}"),
    }
    Ok(())
}

/// What came back, and what it cost: processor time in µs for each message.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: f64,
    server_time: f64,
    clients_time: f64,
    clients_busy: f64,
}

impl Rate {
    fn add_to(&self, report: &mut Report, name: &'static str, burst: u64) {
        let mut add = |what: &str, unit, value| {
            report.add(format!("{what}/{burst}"), name, unit, value, "");
        };
        add("echo rate", "messages/s", self.per_second);
        add(
            "the server's processor time for an echo",
            "µs",
            self.server_time,
        );
        add(
            "the clients' processor time for an echo",
            "µs",
            self.clients_time,
        );
        add(
            "what the clients use of their processor",
            "%",
            self.clients_busy * 100.0,
        );
    }
}

/// Without sessions and with them, in random order.
fn rates(
    server: &Contender,
    arguments: &Arguments,
    burst: u64,
    processors: Option<Processors>,
) -> Result<[Rate; 2]> {
    let first = fastrand::bool();
    let a = rate(server, arguments, burst, first, processors)?;
    let b = rate(server, arguments, burst, !first, processors)?;
    Ok(if first { [b, a] } else { [a, b] })
}

fn rate(
    server: &Contender,
    arguments: &Arguments,
    burst: u64,
    with_session: bool,
    processors: Option<Processors>,
) -> Result<Rate> {
    stay_on(processors.map(|both| both.server))?;
    let server = server.start()?;
    stay_on(processors.map(|both| both.clients))?;
    let (server_id, own_id) = (server.id(), std::process::id());
    let mut times = Vec::new();
    let (came, took) = native::run(async {
        let clients =
            Clients::connect(server.address(), arguments.clients, with_session, burst).await?;
        let look = || {
            times.push([processor_time(server_id)?, processor_time(own_id)?]);
            Ok(())
        };
        clients.saturate(arguments.time, look).await
    })??;
    let [.., before, after] = times.as_slice() else {
        return Err("no processor time was read".into());
    };
    let used = |at: usize| (after[at] - before[at]) as f64;
    let each = |at: usize| used(at) / 1e3 / came.max(1) as f64;
    Ok(Rate {
        per_second: came as f64 / took.as_secs_f64(),
        server_time: each(0),
        clients_time: each(1),
        clients_busy: used(1) / took.as_nanos() as f64,
    })
}

fn stay_on(processor: Option<usize>) -> Result<()> {
    if let Some(processor) = processor {
        Processors::stay_on(processor)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task> {
        parse(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn without_more_the_plan_is_that_of_the_documentation() {
        let Task::Measure(it) = parsed("--server s").unwrap() else {
            panic!("nothing is measured");
        };
        let defaults = [
            u64::from(it.rounds),
            it.clients as u64,
            it.burst,
            it.time.as_millis() as u64,
            it.idle as u64,
        ];
        for default in defaults {
            assert!(HELP.contains(&format!("default {default})")), "{default}");
        }
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_is_accepted() {
        for (line, part) in [
            ("", "no server named"),
            ("--server s --burst 1", "from 2 to 500"),
            ("--server s --clients 0", "from 1 to 10000"),
            ("--hold both", "plain or session"),
            ("--hold plain", "--address"),
            ("--fast", "--fast"),
        ] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(matches!(parsed("--help"), Ok(Task::Help)));
    }
}
