//! Compares hello servers; `--help` lists the options.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::{Arg, ValueExt as _};
use load::Result;
use load::arguments::number;
use load::contender::{Contender, Output};
use load::process::{Processors, raise_descriptor_limit};
use load::rounds::{self, Plan};

const HELP: &str = "\
Measures hello servers side by side and writes what was seen as JSON.

At least one server:
  --test-server PROGRAM  ours
  --axum PROGRAM         the one on axum
  --crate PROGRAM        the one on axum by the server crate
  --python INTERPRETER   the one on Python's websockets

Options:
  --rounds N             values for each thing that is measured (1 to 1000, default 7)
  --connections N        with so many connections (1 to 50000); may be given several times; without
                         it 1, 100 and 5000
  --milliseconds N       how long one value is measured (10 to 60000, default 2000)
  --case TEXT            write only cases whose names have this in them
  --output FILE          write into this file, not to the standard output
  --rate N               greetings a second at which latency is measured (1 to 100000, default 1000)
  --help                 this text
";

struct Arguments {
    contenders: Vec<Contender>,
    plan: Plan,
    /// Only the cases with one of these in their names are written.
    case: String,
    /// The output file; the standard output by default.
    output: Option<PathBuf>,
}

fn parse(parser: &mut lexopt::Parser) -> Result<Option<Arguments>> {
    let (mut test_server, mut axum, mut by_the_crate, mut python) = (None, None, None, None);
    let (mut connections, mut rounds, mut milliseconds, mut per_second) =
        (Vec::new(), 7, 2000, 1000);
    let (mut case, mut output) = (String::new(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("test-server") => test_server = Some(PathBuf::from(parser.value()?)),
            Arg::Long("axum") => axum = Some(PathBuf::from(parser.value()?)),
            Arg::Long("crate") => by_the_crate = Some(PathBuf::from(parser.value()?)),
            Arg::Long("python") => python = Some(PathBuf::from(parser.value()?)),
            Arg::Long("rounds") => rounds = number(parser, "--rounds", 1..=1000)?,
            Arg::Long("connections") => {
                connections.push(number(parser, "--connections", 1..=50_000)?);
            }
            Arg::Long("milliseconds") => {
                milliseconds = number(parser, "--milliseconds", 10..=60_000)?;
            }
            Arg::Long("case") => case = parser.value()?.string()?,
            Arg::Long("output") => output = Some(PathBuf::from(parser.value()?)),
            Arg::Long("rate") => per_second = number(parser, "--rate", 1..=100_000)?,
            other => return Err(other.unexpected().into()),
        }
    }
    if connections.is_empty() {
        connections = vec![1, 100, 5000];
    }
    connections.sort_unstable();
    connections.dedup();
    let most = connections.iter().max().copied().unwrap_or(1);
    let contenders: Vec<_> = [
        test_server.map(|program| hello(program, most)),
        axum.clone().map(|program| on_axum("axum", program, &[])),
        // Set as in ours; the others keep their libraries' defaults.
        axum.map(|program| on_axum("axum, reading 4 KiB", program, &["4096"])),
        by_the_crate.map(|program| on_axum("steady-socket-server on axum", program, &[])),
        python.map(|program| Contender {
            name: "Python websockets",
            program,
            arguments: vec![
                concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/../../tests/interop/hello_server.py"
                )
                .into(),
                "0".into(),
            ],
            tells_by: Output::Stdout,
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if contenders.is_empty() {
        return Err("no server named".into());
    }
    let time = Duration::from_millis(milliseconds);
    Ok(Some(Arguments {
        contenders,
        plan: Plan {
            connections,
            rounds,
            saturated: time,
            paced: time,
            per_second,
        },
        case,
        output,
    }))
}

/// Ours, for this many connections; without the transcript, which the others lack.
fn hello(program: PathBuf, connections: usize) -> Contender {
    let arguments = [
        "--port",
        "0",
        "--quiet",
        "--max-connections",
        &connections.to_string(),
    ];
    Contender {
        name: "steady-socket's hello server",
        program,
        arguments: arguments.map(String::from).to_vec(),
        tells_by: Output::Stderr,
    }
}

fn on_axum(name: &'static str, program: PathBuf, arguments: &[&str]) -> Contender {
    Contender {
        name,
        program,
        arguments: arguments.iter().map(ToString::to_string).collect(),
        tells_by: Output::Stdout,
    }
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
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let Arguments {
        contenders,
        plan,
        case,
        output,
    } = arguments;
    let most = plan.connections.iter().max().copied().unwrap_or(1);
    // Besides the connections, there are files, pipes and what a runtime needs.
    raise_descriptor_limit(most as u64 + 500)?;
    let processors = Processors::reserve()?;
    match processors {
        Some(both) => eprintln!(
            "the server runs on processor {}, the clients on {}",
            both.server, both.clients
        ),
        None => eprintln!(
            "no two processors to choose from: server and clients take time from each other"
        ),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut report = runtime.block_on(rounds::run(contenders, plan, processors))?;
    report.keep(case);
    let json = serde_json::to_string_pretty(&report)?;
    match output {
        Some(path) => std::fs::write(path, json)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => println!("{json}"),
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
    fn the_servers_named_are_measured_with_as_many_connections_as_they_take() {
        let arguments = parsed(
            "--python p --axum a --test-server t --connections 9 --connections 3 --rounds 2",
        )
        .unwrap()
        .unwrap();
        let names: Vec<_> = arguments.contenders.iter().map(|it| it.name).collect();
        let expected = [
            "steady-socket's hello server",
            "axum",
            "axum, reading 4 KiB",
            "Python websockets",
        ];
        assert_eq!(names, expected);
        assert_eq!(arguments.plan.connections, [3, 9]);
        assert_eq!(arguments.plan.rounds, 2);
        assert!(
            arguments.contenders[0]
                .arguments
                .ends_with(&["--max-connections".into(), "9".into()])
        );
        let script = &arguments.contenders[3].arguments[0];
        assert!(std::path::Path::new(script).is_file(), "{script}");
    }

    #[test]
    fn without_more_the_plan_is_that_of_the_documentation() {
        let Arguments { plan, .. } = parsed("--axum a").unwrap().unwrap();
        assert_eq!(plan.connections, [1, 100, 5000]);
        for default in [
            plan.rounds,
            plan.saturated.as_millis() as u32,
            plan.per_second,
        ] {
            assert!(HELP.contains(&format!("default {default})")), "{default}");
        }
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_is_accepted() {
        for (line, part) in [
            ("", "no server named"),
            ("--rounds 3", "no server named"),
            ("--axum a --rounds 0", "from 1 to 1000"),
            ("--axum a --connections x", "from 1 to 50000"),
            ("--axum a --milliseconds 9", "from 10 to 60000"),
            ("--axum a --rate 0", "from 1 to 100000"),
            ("--axum", "--axum"),
            ("--fast", "--fast"),
        ] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(parsed("--help").unwrap().is_none());
    }
}
