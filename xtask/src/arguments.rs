//! The command line.

use crate::test::Part;
use crate::{bench, fuzz, planted, size};

pub(crate) const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo [--port N]   Build everything, start the hello server with the demo page and print its
                    address; Ctrl-C stops it. N is 0–65535, default 8765; 0 picks a free port.
  package           Build the npm package into target/package and print its sizes.
  test [--busy] [PART…]
                    Run all checks, or only the named parts, in this order:
                      lint      rustfmt, clippy (native and wasm32) and rustdoc, warnings denied;
                                whether every promise of docs/reliability.md has its tests
                      native    the tests of the workspace on this machine
                      simulation  the connection core in 20,000 simulated worlds
                      size      what a page loads is within the budgets of tests/bench/budgets.json
                      browser   the wasm tests in headless Chromium against the real server
                      firefox   the same in headless Firefox; if it is not available, a run of
                                all parts continues without it and ends with the line
                                `Firefox NOT RUN`, but fails if CI is set
                      npm       the packed npm package, used from JavaScript and TypeScript
                      faults    faults on the connections of a real browser, Chromium
                      interop   Python's websockets against our server, and our client against it
                    With --busy, one more process per core keeps the machine busy throughout.
  planted [--list] [TEXT]
                    Show that the tests find bugs: plant each bug of xtask/src/planted/table.rs in
                    a copy and run the test that must fail. With TEXT, only the rows that have it
                    in their description, file or test; R7 selects those of a promise. --list only
                    prints them.
  simulate [OPTION…]
                    Run simulated worlds: --seeds N of them (default 20000) from --first-seed S;
                    a failure prints the line that repeats it.
  bench [OPTION…]   Measure this library beside others, in one run, and print tables:
                      --part N      only this part (repeatable): 1 what a message costs, 2 end to end,
                                    3 sizes, 4 memory, 5 the server under load,
                                    6 native: the core and the codecs
                      --case TEXT   only the cases with this in their names
                      --quick       very few rounds, to check that it works
                      --check       only what the budgets of tests/bench/budgets.json need; fails if
                                    one is exceeded or cannot be decided
                      --json FILE   write all samples
                      --profile     print where the time goes in the page instead: in the cases of
                                    part 1, or with --part 2 in the echoes
                      --write       write docs/benchmarks.md and its plots; takes all parts
  size [OPTION…]    Print the sizes of the package's entries and of a hello program in Rust:
                      --check       fails if one is over its budget in tests/bench/budgets.json
                      --json FILE   write them
  fuzz [--seconds N] [TARGET]
                    Run one fuzz target, or each of them, for N seconds (default 60).
  setup [--all]     Only install the tools: those of demo and package, or also those of test.
  help              This text.

Missing tools are installed first, into target/tools; rustup installs the compiler's wasm32 target.
Environment variables:

  STEADY_SOCKET_WASM_STD   Where the wasm32 standard library comes from: `rustup`, `debian` (built
                           from Debian's compiler packages) or `auto`, the default: rustup, and
                           Debian's if that fails.
  CHROME, CHROMEDRIVER     The browser and its driver, instead of searching for them.
  FIREFOX, GECKODRIVER     The same for Firefox.";

/// The hello server's default port.
const DEFAULT_PORT: u16 = 8765;

/// The user's request.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Setup {
        all: bool,
    },
    Demo {
        port: u16,
    },
    Package,
    Test {
        parts: Vec<Part>,
        /// Other processes keep the machine busy meanwhile.
        busy: bool,
    },
    Planted(planted::Options),
    Simulate {
        arguments: Vec<String>,
    },
    Bench(bench::Options),
    Size(size::Options),
    Fuzz {
        /// How long to run each target.
        seconds: u32,
        /// The only target to run.
        target: Option<String>,
    },
}

/// Parses the arguments after `cargo xtask`.
///
/// # Errors
///
/// A sentence that names the invalid argument and what is accepted.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let Some(name) = arguments.next() else {
        return Err("no command given".into());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return Ok(Command::Help);
    }
    let rest: Vec<String> = arguments.collect();
    if rest.iter().any(|it| it == "--help" || it == "-h") {
        return Ok(Command::Help);
    }
    match name.as_str() {
        "setup" => match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Command::Setup { all: false }),
            ["--all"] => Ok(Command::Setup { all: true }),
            _ => Err(format!(
                "setup takes --all or nothing, not `{}`",
                rest.join(" ")
            )),
        },
        "demo" => Ok(Command::Demo {
            port: parse_port(&rest)?,
        }),
        "package" if rest.is_empty() => Ok(Command::Package),
        "package" => Err(format!(
            "package takes no arguments, not `{}`",
            rest.join(" ")
        )),
        "test" => parse_test(&rest),
        "planted" => parse_planted(&rest),
        // It parses them itself.
        "simulate" => Ok(Command::Simulate { arguments: rest }),
        "bench" => parse_bench(&rest),
        "size" => parse_size(&rest),
        "fuzz" => parse_fuzz(&rest),
        _ => Err(format!("unknown command `{name}`")),
    }
}

fn parse_port(arguments: &[String]) -> Result<u16, String> {
    let value = match arguments {
        [] => return Ok(DEFAULT_PORT),
        [name, value] if name == "--port" => value.as_str(),
        [only] if only.starts_with("--port=") => &only["--port=".len()..],
        _ => {
            return Err(format!(
                "demo takes --port N or nothing, not `{}`",
                arguments.join(" ")
            ));
        }
    };
    value
        .parse()
        .map_err(|_| format!("`{value}` is not a port: use a number from 0 to 65535"))
}

fn parse_test(arguments: &[String]) -> Result<Command, String> {
    const BUSY: &str = "--busy";
    let names: Vec<String> = arguments.iter().filter(|&it| it != BUSY).cloned().collect();
    Ok(Command::Test {
        parts: parse_parts(&names)?,
        busy: names.len() < arguments.len(),
    })
}

fn parse_planted(arguments: &[String]) -> Result<Command, String> {
    let mut options = planted::Options::default();
    for argument in arguments {
        if argument == "--list" {
            options.list = true;
        } else if argument.starts_with('-') || options.only.is_some() {
            return Err(format!(
                "planted takes --list and one text, not `{argument}`"
            ));
        } else {
            options.only = Some(argument.clone());
        }
    }
    Ok(Command::Planted(options))
}

/// All parts by default; else the named ones, each once and in the order in which they run.
fn parse_parts(names: &[String]) -> Result<Vec<Part>, String> {
    if let Some(unknown) = names.iter().find(|name| Part::named(name).is_none()) {
        let known: Vec<_> = Part::ALL.iter().map(|part| part.name()).collect();
        return Err(format!(
            "unknown part `{unknown}`; the parts are {}",
            known.join(", ")
        ));
    }
    Ok(Part::ALL
        .into_iter()
        .filter(|part| names.is_empty() || names.iter().any(|name| name == part.name()))
        .collect())
}

fn parse_bench(arguments: &[String]) -> Result<Command, String> {
    let mut options = bench::Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = |what: &str| {
            arguments
                .next()
                .filter(|value| !value.starts_with('-'))
                .ok_or_else(|| format!("{argument} takes {what}"))
        };
        match argument.as_str() {
            "--part" => {
                let numbers = bench::Part::ALL.map(|part| part.number().to_string());
                let accepted = format!("one of the numbers {}", numbers.join(", "));
                let number = value(&accepted)?;
                let part = bench::Part::numbered(number)
                    .ok_or_else(|| format!("--part takes {accepted}, not `{number}`"))?;
                options.parts.push(part);
            }
            "--case" => options.case = Some(value("a part of a case's name")?.clone()),
            "--json" => options.json = Some(value("the path of a file")?.into()),
            "--quick" => options.quick = true,
            "--check" => options.check = true,
            "--profile" => options.profile = true,
            "--write" => options.write = true,
            _ => {
                return Err(format!(
                    "bench takes --part N, --case TEXT, --quick, --check, --json FILE, --profile and \
                     --write, not `{argument}`"
                ));
            }
        }
    }
    if options.quick && (options.check || options.write) {
        return Err("--quick measures too little for --check and --write".into());
    }
    let measures = options.quick || options.check || options.json.is_some() || options.write;
    if options.profile && (measures || options.parts.iter().any(|part| !part.has_profile())) {
        return Err(
            "--profile measures nothing: it goes with --case and with parts 1 and 2 alone".into(),
        );
    }
    if options.write && (options.check || options.case.is_some() || !options.parts.is_empty()) {
        return Err("--write takes all: it goes with neither --check nor --part nor --case".into());
    }
    Ok(Command::Bench(options))
}

fn parse_size(arguments: &[String]) -> Result<Command, String> {
    let mut options = size::Options::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => options.check = true,
            "--json" => {
                let file = arguments.next().filter(|value| !value.starts_with('-'));
                options.json = Some(file.ok_or("--json takes the path of a file")?.into());
            }
            _ => {
                return Err(format!(
                    "size takes --check and --json FILE, not `{argument}`"
                ));
            }
        }
    }
    Ok(Command::Size(options))
}

fn parse_fuzz(arguments: &[String]) -> Result<Command, String> {
    let mut seconds = fuzz::SECONDS;
    let mut target = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let value = arguments.next().map_or("", String::as_str);
            seconds = value
                .parse()
                .ok()
                .filter(|seconds| (1..=86_400).contains(seconds))
                .ok_or_else(|| {
                    format!("--seconds takes a number from 1 to 86400, not `{value}`")
                })?;
        } else if argument.starts_with('-') || target.is_some() {
            return Err(format!(
                "fuzz takes --seconds N and one target, not `{argument}`"
            ));
        } else {
            target = Some(argument.clone());
        }
    }
    Ok(Command::Fuzz { seconds, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn demo_listens_on_its_own_port_unless_told_otherwise() {
        assert_eq!(parsed("demo"), Ok(Command::Demo { port: 8765 }));
        assert_eq!(parsed("demo --port 0"), Ok(Command::Demo { port: 0 }));
        assert_eq!(
            parsed("demo --port=65535"),
            Ok(Command::Demo { port: 65535 })
        );
    }

    #[test]
    fn a_bad_port_is_named_with_the_range() {
        for line in [
            "demo --port 65536",
            "demo --port=-1",
            "demo --port x",
            "demo --port=",
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains("0 to 65535"), "{line}: {message}");
        }
        assert!(parsed("demo --port").unwrap_err().contains("--port N"));
    }

    #[test]
    fn test_without_a_name_means_every_part() {
        assert_eq!(
            parsed("test"),
            Ok(Command::Test {
                parts: Part::ALL.to_vec(),
                busy: false
            })
        );
    }

    #[test]
    fn named_parts_run_once_and_in_order() {
        let parts = vec![Part::Native, Part::Npm];
        let test = |busy| {
            let parts = parts.clone();
            Ok(Command::Test { parts, busy })
        };
        assert_eq!(parsed("test npm native npm"), test(false));
        assert_eq!(parsed("test npm --busy native"), test(true));
    }

    #[test]
    fn planted_takes_a_text_and_the_wish_to_see_the_table() {
        let planted = |only: Option<&str>, list| {
            let only = only.map(String::from);
            Ok(Command::Planted(planted::Options { only, list }))
        };
        assert_eq!(parsed("planted"), planted(None, false));
        assert_eq!(parsed("planted R7 --list"), planted(Some("R7"), true));
        for line in ["planted --fast", "planted R7 R8"] {
            assert!(parsed(line).unwrap_err().contains("one text"), "{line}");
        }
    }

    #[test]
    fn an_unknown_part_is_answered_with_the_list() {
        let message = parsed("test nativ").unwrap_err();
        assert!(message.contains("`nativ`"), "{message}");
        for part in Part::ALL {
            assert!(message.contains(part.name()), "{message}");
            assert!(USAGE.contains(part.name()));
        }
    }

    #[test]
    fn the_time_for_fuzzing_has_a_range() {
        let fuzz = |seconds, target: Option<&str>| {
            let target = target.map(String::from);
            Ok(Command::Fuzz { seconds, target })
        };
        assert_eq!(parsed("fuzz"), fuzz(60, None));
        assert_eq!(parsed("fuzz --seconds 5 core"), fuzz(5, Some("core")));
        assert_eq!(parsed("fuzz core"), fuzz(60, Some("core")));
        for line in ["fuzz --seconds", "fuzz --seconds 0", "fuzz --seconds x"] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains("1 to 86400"), "{line}: {message}");
        }
        assert!(parsed("fuzz --fast").is_err() && parsed("fuzz core json").is_err());
    }

    #[test]
    fn the_options_of_bench_are_read() {
        let bench = |options| Ok(Command::Bench(options));
        let defaults = bench::Options::default;
        assert_eq!(parsed("bench"), bench(defaults()));
        assert_eq!(
            parsed("bench --part 4 --part 1 --quick --json a.json --case text"),
            bench(bench::Options {
                parts: vec![bench::Part::Memory, bench::Part::Messages],
                case: Some("text".into()),
                quick: true,
                json: Some("a.json".into()),
                ..defaults()
            })
        );
        for part in bench::Part::ALL {
            let number = part.number().to_string();
            assert!(parsed(&format!("bench --part {number}")).is_ok());
        }
    }

    #[test]
    fn bad_options_of_bench_are_answered_with_what_is_accepted() {
        for (line, accepted) in [
            ("bench --part", "the numbers 1, 2"),
            ("bench --part 9", "not `9`"),
            ("bench --json", "the path of a file"),
            ("bench --json --check", "the path of a file"),
            ("bench --case", "a part of a case's name"),
            ("bench --profile --check", "goes with --case"),
            ("bench --profile --part 3", "parts 1 and 2 alone"),
            ("bench --fast", "not `--fast`"),
            ("bench now", "not `now`"),
            ("bench --quick --check", "too little"),
            ("bench --write --part 1", "takes all"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(accepted), "{line}: {message}");
        }
    }

    #[test]
    fn what_follows_simulate_is_passed_on() {
        let arguments = ["--seeds", "3"].map(String::from).to_vec();
        assert_eq!(
            parsed("simulate --seeds 3"),
            Ok(Command::Simulate { arguments })
        );
    }

    #[test]
    fn unknown_arguments_are_refused() {
        for line in ["", "dmeo", "setup --al", "package now", "demo --open"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_is_given_wherever_it_is_asked_for() {
        for line in ["help", "-h", "--help", "demo --help", "test browser -h"] {
            assert_eq!(parsed(line), Ok(Command::Help), "{line}");
        }
    }
}
