//! The command line.

use crate::test::Part;
use crate::{bench, fuzz, planted, size};

pub(crate) const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo [--port N]   Build everything, start the hello server with the demo page and print its
                    address; Ctrl-C stops it. N is 0–65535, default 8765; 0 picks a free port.
  demo --chat [--port N]
                    Likewise, with a room over two server processes on one Redis, and a page with two
                    chats that kills these processes.
  package           Build the npm package into target/package and print its sizes.
  test [--busy] [PART…]
                    Run all checks, or only the named parts, in this order:
                      lint      rustfmt, clippy (native and wasm32) and rustdoc, warnings denied;
                                Biome; cargo-deny and cargo package; docs/promises.md
                      native    the tests of the workspace on this machine
                      simulation  the connection core in 20,000 simulated worlds
                      size      what a page loads is within the budgets of bench/budgets.json
                      browser   the wasm tests in headless Chromium against the real server
                      firefox   the same in headless Firefox; if it is not available, a run of
                                all parts continues without it and ends with the line
                                `Firefox NOT RUN`, but fails if CI is set
                      npm       the packed npm package, used from JavaScript and TypeScript
                      faults    faults on the connections of a real browser, Chromium
                      interop   Python's websockets against our server, our client against it, and
                                sessions through nginx and HAProxy
                    With --busy, one more process per core keeps the machine busy throughout.
  planted [--list] [TEXT]
                    Show that the tests find bugs: plant each bug of the tables in xtask/src/planted
                    in a copy and run the test that must fail. With TEXT, only the rows that have
                    it in their description, file or test; R7 selects those of a promise, S those
                    of sessions. --list only prints them.
  mutants [COMMIT]  Change the lines of the core and the protocol that differ from COMMIT (default
                    origin/main) by cargo-mutants, and name the changes that no test notices.
  promises          Write docs/promises.md from the numbers in the tests' titles.
  simulate [OPTION…]
                    Run simulated worlds of the core and of sessions, or with `sessions` as the
                    first word only these: --seeds N of them (default 20000) from --first-seed S,
                    and every sequence of --depth D inputs; a failure prints the line that repeats
                    it.
  bench [OPTION…]   Measure this library beside others, in one run, and print tables:
                      --part N      only this part (repeatable): 1 what a message costs, 2 end to end,
                                    3 sizes, 4 memory, 5 the server under load,
                                    6 native: the core and the codecs,
                                    7 what sessions cost a server
                      --case TEXT   only the cases with this in their names
                      --quick       very few rounds, to check that it works
                      --check       only what the budgets of bench/budgets.json need; fails if
                                    one is exceeded or cannot be decided
                      --json FILE   write all samples
                      --profile     print where the time goes in the page instead: in the cases of
                                    part 1, or with --part 2 in the echoes
                      --write       write docs/benchmarks.md and its plots; takes all parts
  size [OPTION…]    Print the sizes of the package's entries and of a hello program in Rust:
                      --check       fails if one is over its budget in bench/budgets.json
                      --json FILE   write them
  soak [--seconds N] [--seed S]
                    Sessions in Chromium through random faults for N seconds (default 60; 1200 for a
                    soak), in rounds with the seeds S (default 1), S+1 and so on, which are printed.
  kills [--kills N] [--pages]
                    Two processes share a room on one Redis, and one or the other is killed N times
                    (default 100) at random moments while two clients each say 1,000 things: all of it
                    is to arrive once and in one order at both. Then Redis is killed, with its file and
                    without. With --pages, the clients are pages in Chromium.
  load [--sessions N] [--seconds N]
                    N native sessions (default 200) against one server that cuts them at random for so
                    many seconds (default 10): nothing may be lost. Prints the memory of both.
  restart [--sessions N] [--window N]
                    N native sessions (default 200) against two processes, one of which restarts and
                    has its clients come back over so many seconds (default 5): nothing may be lost in
                    silence. Prints the attempts, beside those of the simulation.
  store [--rounds N] [--kills N]
                    Echoes a second with sessions in Redis beside those in memory, in N rounds (default
                    5), and how soon a client is given something again when its process is killed, N
                    times (default 10), every 5 s.
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
        /// The room over two processes.
        chat: bool,
    },
    Package,
    Test {
        parts: Vec<Part>,
        /// Other processes keep the machine busy meanwhile.
        busy: bool,
    },
    Planted(planted::Options),
    Mutants {
        since: String,
    },
    Promises,
    Simulate {
        arguments: Vec<String>,
    },
    Bench(bench::Options),
    Size(size::Options),
    Soak {
        seconds: u32,
        /// The seed of the first round.
        seed: u32,
    },
    Kills {
        kills: u32,
        /// With pages in Chromium, rather than native clients.
        pages: bool,
    },
    Load {
        sessions: u32,
        seconds: u32,
    },
    Restart {
        sessions: u32,
        /// In seconds.
        window: u32,
    },
    Store {
        rounds: u32,
        kills: u32,
    },
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
/// A sentence that names the invalid argument. The usage follows it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut words = Words(arguments.into_iter().collect());
    if words.0.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(Command::Help);
    }
    let Some(name) = words.text() else {
        return Err("no command given".into());
    };
    let command = match name.as_str() {
        "help" => Command::Help,
        "setup" => Command::Setup {
            all: words.flag("--all"),
        },
        "demo" => Command::Demo {
            port: words
                .number("--port", 0, u32::from(u16::MAX))?
                .map_or(DEFAULT_PORT, |port| port as u16),
            chat: words.flag("--chat"),
        },
        "package" => Command::Package,
        "test" => Command::Test {
            busy: words.flag("--busy"),
            parts: parts(&mut words)?,
        },
        "planted" => Command::Planted(planted::Options {
            list: words.flag("--list"),
            only: words.text(),
        }),
        "mutants" => Command::Mutants {
            since: words.text().unwrap_or_else(|| "origin/main".into()),
        },
        "promises" => Command::Promises,
        // It parses them itself.
        "simulate" => Command::Simulate {
            arguments: std::mem::take(&mut words.0),
        },
        "bench" => Command::Bench(bench_options(&mut words)?),
        "size" => Command::Size(size::Options {
            check: words.flag("--check"),
            json: words.value("--json", FILE)?.map(Into::into),
        }),
        "soak" => Command::Soak {
            seconds: words.number("--seconds", 1, 86_400)?.unwrap_or(60),
            seed: words.number("--seed", 1, u32::MAX)?.unwrap_or(1),
        },
        "kills" => Command::Kills {
            kills: words.number("--kills", 1, 100_000)?.unwrap_or(100),
            pages: words.flag("--pages"),
        },
        "load" => Command::Load {
            sessions: words.number("--sessions", 1, 10_000)?.unwrap_or(200),
            seconds: words.number("--seconds", 1, 86_400)?.unwrap_or(10),
        },
        "restart" => Command::Restart {
            sessions: words.number("--sessions", 2, 10_000)?.unwrap_or(200),
            window: words.number("--window", 1, 600)?.unwrap_or(5),
        },
        "store" => Command::Store {
            rounds: words.number("--rounds", 1, 1_000)?.unwrap_or(5),
            kills: words.number("--kills", 1, 1_000)?.unwrap_or(10),
        },
        "fuzz" => Command::Fuzz {
            seconds: words
                .number("--seconds", 1, 86_400)?
                .unwrap_or(fuzz::SECONDS),
            target: words.text(),
        },
        _ => return Err(format!("unknown command `{name}`")),
    };
    match words.0.first() {
        Some(word) => Err(format!("{name} does not take `{word}`")),
        None => Ok(command),
    }
}

const FILE: &str = "the path of a file";

/// The arguments that are left.
struct Words(Vec<String>);

impl Words {
    /// Whether this flag is among them.
    fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// The value of an option, as `NAME VALUE` or `NAME=VALUE`.
    fn value(&mut self, name: &str, accepted: &str) -> Result<Option<String>, String> {
        let has_name = |word: &String| word.split('=').next() == Some(name);
        let Some(at) = self.0.iter().position(has_name) else {
            return Ok(None);
        };
        let value = match self.0.remove(at).split_once('=') {
            Some((_, value)) => Some(value.to_owned()),
            None if at < self.0.len() => Some(self.0.remove(at)),
            None => None,
        };
        match value.filter(|value| !value.is_empty() && !value.starts_with('-')) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("{name} takes {accepted}")),
        }
    }

    fn number(&mut self, name: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
        let accepted = format!("a number from {least} to {most}");
        let Some(value) = self.value(name, &accepted)? else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(format!("{name} takes {accepted}, not `{value}`")),
        }
    }

    /// The first word that is not an option.
    fn text(&mut self) -> Option<String> {
        let at = self.0.iter().position(|word| !word.starts_with("--"))?;
        Some(self.0.remove(at))
    }
}

/// All parts by default; else the named ones, each once and in the order in which they run.
fn parts(words: &mut Words) -> Result<Vec<Part>, String> {
    let names = std::mem::take(&mut words.0);
    if let Some(unknown) = names.iter().find(|name| Part::named(name).is_none()) {
        let known = Part::ALL.map(Part::name).join(", ");
        return Err(format!("unknown part `{unknown}`; the parts are {known}"));
    }
    Ok(Part::ALL
        .into_iter()
        .filter(|part| names.is_empty() || names.iter().any(|name| name == part.name()))
        .collect())
}

fn bench_options(words: &mut Words) -> Result<bench::Options, String> {
    let mut options = bench::Options {
        case: words.value("--case", "a part of a case's name")?,
        json: words.value("--json", FILE)?.map(Into::into),
        quick: words.flag("--quick"),
        check: words.flag("--check"),
        profile: words.flag("--profile"),
        write: words.flag("--write"),
        parts: Vec::new(),
    };
    let most = bench::Part::ALL.len() as u32;
    while let Some(number) = words.number("--part", 1, most)? {
        options.parts.push(bench::Part::ALL[number as usize - 1]);
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
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(String::from))
    }

    #[test]
    fn commands_take_their_options_in_any_order() {
        let text = |text: &str| Some(String::from(text));
        for (line, command) in [
            (
                "demo",
                Command::Demo {
                    port: 8765,
                    chat: false,
                },
            ),
            (
                "demo --chat",
                Command::Demo {
                    port: 8765,
                    chat: true,
                },
            ),
            (
                "kills --pages",
                Command::Kills {
                    kills: 100,
                    pages: true,
                },
            ),
            (
                "demo --port 0",
                Command::Demo {
                    port: 0,
                    chat: false,
                },
            ),
            (
                "demo --port=65535",
                Command::Demo {
                    port: 65_535,
                    chat: false,
                },
            ),
            ("setup --all", Command::Setup { all: true }),
            (
                "test",
                Command::Test {
                    parts: Part::ALL.to_vec(),
                    busy: false,
                },
            ),
            (
                "test npm --busy native npm",
                Command::Test {
                    parts: vec![Part::Native, Part::Npm],
                    busy: true,
                },
            ),
            (
                "planted R7 --list",
                Command::Planted(planted::Options {
                    only: text("R7"),
                    list: true,
                }),
            ),
            (
                "soak --seconds 1200",
                Command::Soak {
                    seconds: 1_200,
                    seed: 1,
                },
            ),
            (
                "load --sessions 10000",
                Command::Load {
                    sessions: 10_000,
                    seconds: 10,
                },
            ),
            (
                "restart --window 20",
                Command::Restart {
                    sessions: 200,
                    window: 20,
                },
            ),
            (
                "fuzz core --seconds 5",
                Command::Fuzz {
                    seconds: 5,
                    target: text("core"),
                },
            ),
            (
                "simulate --seeds 3",
                Command::Simulate {
                    arguments: vec!["--seeds".into(), "3".into()],
                },
            ),
            (
                "bench --part 4 --part 1 --quick --json a.json --case text",
                Command::Bench(bench::Options {
                    parts: vec![bench::Part::Memory, bench::Part::Messages],
                    case: text("text"),
                    quick: true,
                    json: Some("a.json".into()),
                    ..bench::Options::default()
                }),
            ),
        ] {
            assert_eq!(parsed(line), Ok(command), "{line}");
        }
        for line in ["help", "-h", "--help", "demo --help", "test browser -h"] {
            assert_eq!(parsed(line), Ok(Command::Help), "{line}");
        }
    }

    #[test]
    fn bad_arguments_are_named_with_what_is_accepted() {
        for (line, part_of_error) in [
            ("", "no command"),
            ("dmeo", "`dmeo`"),
            ("setup --al", "`--al`"),
            ("package now", "`now`"),
            ("planted R7 R8", "`R8`"),
            ("demo --port 65536", "0 to 65535, not `65536`"),
            ("demo --port=-1", "0 to 65535"),
            ("demo --port", "0 to 65535"),
            ("fuzz --seconds 0", "1 to 86400"),
            ("fuzz core json", "`json`"),
            ("test nativ", "`nativ`; the parts are lint"),
            ("bench --part", "1 to 7"),
            ("bench --part 9", "not `9`"),
            ("bench --json --check", "the path of a file"),
            ("bench --profile --check", "goes with --case"),
            ("bench --profile --part 3", "parts 1 and 2 alone"),
            ("bench --fast", "`--fast`"),
            ("bench --quick --check", "too little"),
            ("bench --write --part 1", "takes all"),
        ] {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(part_of_error), "{line}: {message}");
        }
    }

    #[test]
    fn the_usage_names_every_part() {
        for part in Part::ALL {
            assert!(USAGE.contains(part.name()), "{}", part.name());
        }
    }
}
