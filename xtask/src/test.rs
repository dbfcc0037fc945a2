//! The checks: each part starts what it needs and stops it at the end.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::page_server::KeepServing;
use crate::process::Running;
use crate::server::{Output, Server};
use crate::tools::browsers::{self, Browser};
use crate::tools::wasm_std::{self, WasmStd};
use crate::tools::{self, node, proxies, python, redis};
use crate::{
    Result, bench, both, checkout, demo, files, fuzz, minimum, package, planted, ports, process,
    promises, room, say, server, simulate, size,
};

/// A part of the checks, selected by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    Lint,
    Native,
    Simulation,
    Size,
    Browser,
    Firefox,
    Npm,
    Faults,
    Interop,
}

impl Part {
    /// In running order: what is quick and fails most often comes first.
    pub(crate) const ALL: [Self; 9] = [
        Self::Lint,
        Self::Native,
        Self::Simulation,
        Self::Size,
        Self::Browser,
        Self::Firefox,
        Self::Npm,
        Self::Faults,
        Self::Interop,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Native => "native",
            Self::Simulation => "simulation",
            Self::Size => "size",
            Self::Browser => "browser",
            Self::Firefox => "firefox",
            Self::Npm => "npm",
            Self::Faults => "faults",
            Self::Interop => "interop",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Installs the tools that this part needs; fast if they are present.
    fn set_up(self) -> Result<()> {
        match self {
            Self::Lint => {
                ensure_component("fmt", "rustfmt")?;
                ensure_component("clippy", "clippy")?;
                node::ensure_wasm_opt()?;
                python::ensure()?;
                wasm_std::ensure().map(drop)
            }
            Self::Native => redis::ensure(),
            Self::Simulation => Ok(()),
            Self::Size => size::set_up().map(drop),
            Self::Browser => {
                browsers::chromium()?;
                tools::for_package().map(drop)
            }
            Self::Firefox => {
                browsers::firefox()?;
                node::ensure_test_packages()?;
                tools::for_package().map(drop)
            }
            Self::Npm | Self::Faults => {
                browsers::chromium()?;
                node::ensure_test_packages()?;
                node::ensure_bench_packages()?;
                tools::for_package().map(drop)
            }
            Self::Interop => {
                python::ensure()?;
                Self::Npm.set_up()
            }
        }
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Lint => lint(&wasm_std::ensure()?),
            Self::Native => {
                process::run(cargo("test").args(["--workspace", "--all-features"]))?;
                fuzz::test()
            }
            Self::Simulation => simulate::run(&[]),
            Self::Size => size::check(),
            Self::Browser => in_chromium(&browsers::chromium()?),
            Self::Firefox => {
                let firefox = browsers::firefox()?;
                in_firefox(&firefox)?;
                face_in_firefox(&firefox)
            }
            Self::Npm => npm(),
            Self::Faults => faults(),
            Self::Interop => interop(),
        }
    }
}

/// Installs the tools of all parts.
pub(crate) fn set_up() -> Result<()> {
    Part::ALL.into_iter().try_for_each(Part::set_up)
}

/// Runs parts in sequence up to the first that fails, and prints how long each took. With `busy`, other
/// processes load every core of the machine throughout.
///
/// A run of all parts goes on without Firefox if it cannot be installed, and says so in its last line; but
/// not if a machine reads the result, as `CI` in the environment indicates.
///
/// # Errors
///
/// The failure of a part, after its name. Tools are installed first, so that a missing one is reported before
/// the long work begins.
pub(crate) fn run(parts: &[Part], busy: bool) -> Result<()> {
    let _burning = if busy { burn()? } else { Vec::new() };
    let may_lack_firefox = parts == Part::ALL && !is_ci(std::env::var("CI").ok().as_deref());
    let mut parts = parts.to_vec();
    let mut lacks_firefox = false;
    let mut table = Vec::new();
    let started = Instant::now();
    let outcome = timed(&mut table, "set-up", || {
        for part in parts.clone() {
            match part.set_up() {
                Err(error) if part == Part::Firefox && may_lack_firefox => {
                    process::yield_to_signal();
                    say(format_args!("going on without Firefox: {error}"));
                    parts.retain(|&part| part != Part::Firefox);
                    lacks_firefox = true;
                }
                outcome => outcome?,
            }
        }
        Ok(())
    })
    .and_then(|()| {
        parts.iter().try_for_each(|part| {
            say(format_args!("{}:", part.name()));
            timed(&mut table, part.name(), || part.run())
        })
    });
    process::yield_to_signal();
    println!();
    for row in &table {
        println!("{row}");
    }
    for part in parts
        .iter()
        .filter(|part| !table.iter().any(|row| row.starts_with(part.name())))
    {
        println!("{:<10} not run", part.name());
    }
    outcome?;
    println!("{}", verdict(started.elapsed(), lacks_firefox));
    Ok(())
}

/// Keeps every core of the machine busy with processes that want as much of it as the tests do. They end when
/// dropped, and by themselves if this process is gone.
fn burn() -> Result<Vec<Running>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    say(format_args!("{cores} processes keep the machine busy"));
    let own = std::process::id();
    let script =
        format!("while kill -0 {own}; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done");
    (0..cores)
        .map(|_| {
            Running::start(
                Command::new("sh")
                    .args(["-c", &script])
                    .stderr(Stdio::null()),
            )
        })
        .collect()
}

/// The last line if everything passed.
fn verdict(took: Duration, lacks_firefox: bool) -> String {
    let took = readable(took);
    if lacks_firefox {
        format!("all other checks passed in {took}\nFirefox NOT RUN")
    } else {
        format!("all checks passed in {took}")
    }
}

/// Whether this value of the environment's `CI` says so.
fn is_ci(value: Option<&str>) -> bool {
    value.is_some_and(|value| !matches!(value, "" | "0" | "false"))
}

fn timed(table: &mut Vec<String>, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    let outcome = work();
    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
    table.push(format!(
        "{name:<10} {word:<8} {}",
        readable(started.elapsed())
    ));
    outcome.map_err(|error| format!("{name}: {error}").into())
}

fn readable(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A `cargo` command in the root of the checkout.
fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    command.arg(subcommand).current_dir(checkout::root());
    command
}

/// Rustup's default profile has both components; that of containers may not, and rustup is the user's.
fn ensure_component(subcommand: &str, component: &str) -> Result<()> {
    match process::capture(cargo(subcommand).arg("--version")) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "`cargo {subcommand}` is missing; install it with `rustup component add {component}`"
        )
        .into()),
    }
}

fn lint(wasm: &WasmStd) -> Result<()> {
    const DENY: [&str; 4] = ["--all-features", "--", "--deny", "warnings"];
    const PUBLISHED: [&str; 8] = [
        "-p",
        "steady-socket-protocol",
        "-p",
        "steady-socket",
        "-p",
        "steady-socket-export",
        "-p",
        "steady-socket-server",
    ];
    /// The packages compiled for the browser. The tests of all but the last run only on this machine, and so
    /// do the packages that those need.
    const FOR_BROWSERS: [&[&str]; 3] = [
        &[
            "-p",
            "steady-socket",
            "-p",
            "steady-socket-protocol",
            "--lib",
        ],
        &[
            "-p",
            "steady-socket-export",
            "-p",
            "typed-hello",
            "-p",
            "export-messages",
            "--lib",
        ],
        &["-p", "steady-socket-wasm", "--all-targets"],
    ];

    promises::check()?;
    planted::check()?;
    process::run(
        node::command("biome")
            .args(["check", "--error-on-warnings"])
            .current_dir(checkout::root()),
    )?;
    python::check_dependencies()?;
    process::run(
        cargo("package")
            .args(PUBLISHED)
            .args(["--quiet", "--no-verify", "--allow-dirty"])
            // Not beside the npm package.
            .args(["--target-dir", "target/crates"]),
    )?;
    process::run(cargo("fmt").args(["--all", "--check"]))?;
    process::run(
        cargo("clippy")
            .args(["--workspace", "--all-targets"])
            .args(DENY),
    )?;
    for packages in FOR_BROWSERS {
        let mut clippy = wasm.cargo("clippy");
        clippy.args(["--target", wasm_std::TARGET]);
        process::run(clippy.args(packages).args(DENY))?;
    }
    // As published: without the standard library, which the features add.
    let mut clippy = wasm.cargo("clippy");
    clippy.args(["--target", wasm_std::TARGET]);
    clippy.args(["-p", "steady-socket-wasm", "--lib"]);
    process::run(clippy.args(["--", "--deny", "warnings"]))?;
    fuzz::lint()?;
    bench::lint(wasm)?;
    minimum::check(wasm)?;
    process::run(
        cargo("doc")
            .args(["--workspace", "--all-features", "--no-deps"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

fn in_chromium(browser: &Browser) -> Result<()> {
    let driver = ["--chrome", "--chromedriver"];
    in_browser("browser", driver, &browser.driver, &browser.capabilities()?)
}

fn in_firefox(firefox: &Browser) -> Result<()> {
    let driver = ["--firefox", "--geckodriver"];
    in_browser("firefox", driver, &firefox.driver, &firefox.capabilities()?)
}

/// Runs the wasm tests in the browser that a driver starts; `flags` are wasm-pack's options for it.
fn in_browser(part: &str, flags: [&str; 2], driver: &Path, capabilities: &Path) -> Result<()> {
    let tools = tools::for_package()?;
    server::build_for_tests()?;
    let [page, plain, secure] = ports::reserved()?;
    let origin = format!("http://127.0.0.1:{page}");
    let start = |port: u16, log: &Path, more: &[&str]| {
        let port = port.to_string();
        let options = ["--demo-control", "--port", &port, "--allow-origin", &origin];
        Server::start(&[&options, more].concat(), Output::Logged(log))
    };
    let log = checkout::artifacts().join(format!("test-server-{part}.log"));
    let mut server = start(plain, &log, &[])?;
    let secure_log = checkout::artifacts().join(format!("test-server-{part}-tls.log"));
    let mut secure = start(secure, &secure_log, &["--tls"])?;

    let mut wasm_pack = tools.wasm_pack("test");
    wasm_pack
        .arg("--headless")
        .args(flags)
        .arg(driver)
        .args(["client-wasm", "--features", "wss-tests"])
        // Read when the tests are compiled.
        .env("STEADY_SOCKET_TEST_SERVER", server.ws())
        .env("STEADY_SOCKET_TEST_SERVER_TLS", secure.ws())
        .env("WASM_BINDGEN_TEST_ADDRESS", format!("127.0.0.1:{page}"))
        .env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities);
    let _keep_serving = KeepServing::start((Ipv4Addr::LOCALHOST, page).into());
    with_log(&mut secure, &secure_log, || {
        with_log(&mut server, &log, || process::run(&mut wasm_pack))
    })
}

/// Runs a test against a server; if it fails, says where the server's output is.
fn with_log(server: &mut Server, log: &Path, test: impl FnOnce() -> Result<()>) -> Result<()> {
    let outcome = test();
    server.check()?;
    outcome.map_err(|error| format!("{error}; the server's log is {}", log.display()).into())
}

/// The environment of the tests in `tests/npm`.
#[derive(Clone)]
struct NpmTests {
    browser: Browser,
    tarball: PathBuf,
    /// The port of 127.0.0.1 on which tests serve their own pages.
    page_port: u16,
    /// The same for tests that run in parallel.
    other_page_port: u16,
}

impl NpmTests {
    /// Builds and packs the npm package.
    fn prepare() -> Result<Self> {
        let browser = browsers::chromium()?;
        node::ensure_test_packages()?;
        package::build()?;
        let artifacts = checkout::artifacts();
        files::create_folder(&artifacts)?;
        let name = process::capture(
            Command::new("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(&artifacts)
                .current_dir(package::folder()),
        )?;
        let [page_port, other_page_port, ..] = ports::reserved()?;
        Ok(Self {
            browser,
            tarball: artifacts.join(name),
            page_port,
            other_page_port,
        })
    }

    /// The same for tests that run in parallel: their pages have another port.
    fn beside(&self) -> Self {
        Self {
            page_port: self.other_page_port,
            ..self.clone()
        }
    }

    /// The origin of the pages that tests serve themselves.
    fn page_origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.page_port)
    }

    /// A command that runs test files against a server.
    fn command(&self, tests: &[PathBuf], server: &Server) -> Command {
        // One file after the other: they share the port for their pages.
        let mut node = self.command_without_server(tests, 1);
        node.env("STEADY_SOCKET_SERVER", server.http());
        node
    }

    /// A command that runs test files which start their own servers, this many at a time.
    fn command_without_server(&self, tests: &[PathBuf], at_a_time: usize) -> Command {
        let mut node = self.node(&self.tarball);
        node.arg("--test-reporter=spec")
            .arg(format!("--test-concurrency={at_a_time}"))
            .args(tests);
        node
    }

    /// Node as the test runner for a packed package. Append further options, then the files.
    fn node(&self, tarball: &Path) -> Command {
        let mut node = Command::new("node");
        node.arg("--test")
            .current_dir(checkout::root())
            .env("STEADY_SOCKET_TARBALL", tarball)
            .env("STEADY_SOCKET_ARTIFACTS", checkout::artifacts())
            .env("STEADY_SOCKET_PAGE_ORIGIN_PORT", self.page_port.to_string())
            .env("CHROMIUM", &self.browser.program);
        node
    }
}

/// The one test file in `tests/npm` that needs Python's `websockets`.
const INTEROP_TEST: &str = "interop.test.mjs";

/// Test files that run in the browser that their environment names; Chromium by default.
const IN_EVERY_BROWSER: [&str; 4] = [
    "tests/npm/loading.test.mjs",
    "tests/npm/npm-face.test.mjs",
    "tests/npm/secure-page.test.mjs",
    "tests/npm/typed/browser.test.mjs",
];

/// Compares the JavaScript API with the browser's own `WebSocket`, in one file per browser.
const CONFORMANCE: &str = "tests/npm/conformance";
const CONFORMANCE_IN_FIREFOX: &str = "firefox.test.mjs";

/// The test files in a folder, with one exception.
fn tests_in(folder: &str, but: Option<&str>) -> Result<Vec<PathBuf>> {
    let folder = checkout::path(folder);
    let mut tests: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    tests.retain(|path| {
        path.to_string_lossy().ends_with(".test.mjs") && but.is_none_or(|but| !path.ends_with(but))
    });
    tests.sort();
    if tests.is_empty() {
        return Err(format!("no tests found: {}/*.test.mjs", folder.display()).into());
    }
    Ok(tests)
}

/// The folders of the npm package's tests, in lanes that run in parallel, since most tests spend most of
/// their time waiting. The files of a lane run in sequence: they share the port for their pages, and a pair
/// of servers.
const LANES: [&[&str]; 2] = [
    &["tests/npm", "tests/npm/typed", "tests/npm/export"],
    &[
        CONFORMANCE,
        "tests/npm/runtimes",
        "tests/npm/testing",
        "tests/npm/session",
        "tests/npm/frameworks",
        "tests/npm/recipes",
        "bench/test",
    ],
];

/// The test files of a lane, without those of other parts.
fn tests_of(lane: &[&str]) -> Result<Vec<PathBuf>> {
    let mut tests = Vec::new();
    for &folder in lane {
        let of_another_part = match folder {
            "tests/npm" => Some(INTEROP_TEST),
            CONFORMANCE => Some(CONFORMANCE_IN_FIREFOX),
            _ => None,
        };
        tests.extend(tests_in(folder, of_another_part)?);
    }
    Ok(tests)
}

fn npm() -> Result<()> {
    let [first, second] = [tests_of(LANES[0])?, tests_of(LANES[1])?];
    let npm = NpmTests::prepare()?;
    let page = demo::assemble_page()?;
    let messages = package::EXPORT_MESSAGES.build(&tools::for_package()?)?;
    let typed_hello = demo::typed_hello();
    server::build_for_tests()?;
    let programs = programs_folder()?;
    let other_log = checkout::artifacts().join("test-server-npm-without-control.log");
    let options = ["--port", "0", "--www", &page.to_string_lossy()];
    let without_control = Server::start(&options, Output::Logged(&other_log))?;
    let lane = |npm: &NpmTests, name: &str, tests: &[PathBuf], log: Option<&Path>| {
        against_servers(npm, name, &page, tests, |node| {
            node.env(
                "STEADY_SOCKET_SERVER_WITHOUT_CONTROL",
                without_control.http(),
            )
            .env("STEADY_SOCKET_PROGRAMS", &programs)
            .env("STEADY_SOCKET_TYPED_HELLO", &typed_hello)
            .env("STEADY_SOCKET_EXPORT_MESSAGES", &messages);
            log.map_or(Ok(()), |log| process::log_to(node, log))
        })
    };
    let beside = npm.beside();
    let log = checkout::artifacts().join("npm-second-lane.log");
    let outcome = both(
        || lane(&beside, "npm-second-lane", &second, Some(&log)),
        || lane(&npm, "npm", &first, None),
    );
    println!("\nThe second lane:\n{}", files::read(&log)?);
    outcome.map(drop)
}

/// Compares the JavaScript API with Firefox's own `WebSocket`, in Firefox.
fn face_in_firefox(firefox: &Browser) -> Result<()> {
    let mut tests = IN_EVERY_BROWSER.map(checkout::path).to_vec();
    tests.push(checkout::path(CONFORMANCE).join(CONFORMANCE_IN_FIREFOX));
    tests.push(checkout::path("tests/npm/faults/session-cuts.test.mjs"));
    let programs = server_programs()?;
    let npm = NpmTests::prepare()?;
    let page = demo::assemble_page()?;
    server::build_for_tests()?;
    against_servers(&npm, "face-in-firefox", &page, &tests, |node| {
        node.env("STEADY_SOCKET_BROWSER", "firefox")
            .env("STEADY_SOCKET_PROGRAMS", &programs)
            .env("FIREFOX", &firefox.program)
            .env("GECKODRIVER", &firefox.driver);
        Ok(())
    })
}

/// Runs test files against two servers, the second with TLS. Both serve the demo page and its control, and
/// allow the tests' own pages. `part` is for the names of their logs; `prepare` completes the environment of
/// the tests.
fn against_servers(
    npm: &NpmTests,
    part: &str,
    page: &Path,
    tests: &[PathBuf],
    prepare: impl FnOnce(&mut Command) -> Result<()>,
) -> Result<()> {
    let (mut server, log) = start_for_pages(npm, part, page, &[])?;
    let (mut secure, secure_log) = start_for_pages(npm, &format!("{part}-tls"), page, &["--tls"])?;
    let mut node = npm.command(tests, &server);
    node.env("STEADY_SOCKET_SECURE_SERVER", secure.http());
    prepare(&mut node)?;
    with_log(&mut secure, &secure_log, || {
        with_log(&mut server, &log, || process::run(&mut node))
    })
}

/// Starts a server with the demo page and its control, which allows the tests' own pages; returns it and its
/// log.
fn start_for_pages(
    npm: &NpmTests,
    name: &str,
    page: &Path,
    more: &[&str],
) -> Result<(Server, PathBuf)> {
    let (page, origin) = (page.to_string_lossy(), npm.page_origin());
    let mut options = vec!["--demo-control", "--port", "0", "--www", &page];
    options.extend(["--allow-origin", &origin]);
    options.extend(more);
    let log = checkout::artifacts().join(format!("test-server-{name}.log"));
    let server = Server::start(&options, Output::Logged(&log))?;
    Ok((server, log))
}

/// What the tests in `tests/npm` that run in Chromium and in Node need, for packages that are supplied later.
pub(crate) struct Stage {
    npm: NpmTests,
    server: Server,
    secure: Server,
    /// The folder of the programs that tests start themselves.
    programs: PathBuf,
}

impl Stage {
    /// Builds the npm package and everything else, copies the demo page with the package into a folder, and
    /// starts the servers on that.
    ///
    /// # Errors
    ///
    /// If a tool is unavailable or a build fails.
    pub(crate) fn set_up(page: &Path) -> Result<Self> {
        Part::Npm.set_up()?;
        let npm = NpmTests::prepare()?;
        files::remove_folder(page)?;
        files::copy_folder(&demo::assemble_page()?, page)?;
        let programs = server_programs()?;
        let (server, _) = start_for_pages(&npm, "planted", page, &[])?;
        let (secure, _) = start_for_pages(&npm, "planted-tls", page, &["--tls"])?;
        Ok(Self {
            npm,
            server,
            secure,
            programs,
        })
    }

    /// Node as the test runner for a packed package. Append further options, then the files.
    pub(crate) fn node(&self, tarball: &Path) -> Command {
        let mut node = self.npm.node(tarball);
        node.env("STEADY_SOCKET_SERVER", self.server.http())
            .env("STEADY_SOCKET_SECURE_SERVER", self.secure.http())
            .env("STEADY_SOCKET_PROGRAMS", &self.programs);
        node
    }
}

/// Compiles the hello server and the fault server; returns the folder of the programs.
fn server_programs() -> Result<PathBuf> {
    // Together, or the second would rebuild the first without TLS.
    process::run(cargo("build").args([
        "--quiet",
        "--package",
        "test-server",
        "--package",
        "faults",
        "--features",
        "test-server/tls",
    ]))?;
    programs_folder()
}

/// The folder of the programs that are compiled for tests.
fn programs_folder() -> Result<PathBuf> {
    let program = checkout::built_program("test-server")?;
    let folder = program
        .parent()
        .ok_or("the programs have no parent folder")?;
    Ok(folder.to_owned())
}

/// Faults on a browser's connections, in Chromium as users have it. The tests start their own servers, since
/// they also stop them.
fn faults() -> Result<()> {
    let tests = tests_in("tests/npm/faults", None)?;
    let npm = NpmTests::prepare()?;
    let programs = server_programs()?;
    let figures = checkout::artifacts().join("faults-measured.txt");
    files::write(&figures, "")?;
    // Each file has its own browser and servers, and mostly waits.
    let mut node = npm.command_without_server(&tests, 3);
    node.env("STEADY_SOCKET_PROGRAMS", programs);
    let outcome = process::run(&mut node);
    println!("\nMeasured:\n{}", files::read(&figures)?);
    outcome
}

/// Random faults on sessions in Chromium for a while, in rounds with seeds from this one on.
pub(crate) fn soak(seconds: u32, seed: u32) -> Result<()> {
    Part::Faults.set_up()?;
    let npm = NpmTests::prepare()?;
    let programs = server_programs()?;
    process::run(
        Command::new("node")
            .arg(checkout::path("tests/npm/faults/soak.mjs"))
            .current_dir(checkout::root())
            .env("STEADY_SOCKET_TARBALL", &npm.tarball)
            .env("STEADY_SOCKET_ARTIFACTS", checkout::artifacts())
            .env("STEADY_SOCKET_PROGRAMS", programs)
            .env("STEADY_SOCKET_SOAK_SECONDS", seconds.to_string())
            .env("STEADY_SOCKET_SEED", seed.to_string())
            .env("CHROMIUM", &npm.browser.program),
    )
}

/// Kills processes of a room so many times, whose clients are pages in Chromium.
pub(crate) fn kills_in_pages(kills: u32) -> Result<()> {
    Part::Faults.set_up()?;
    tools::redis::ensure()?;
    let npm = NpmTests::prepare()?;
    let room = room::build()?;
    process::run(
        Command::new("node")
            .arg(checkout::path("tests/npm/faults/kills.mjs"))
            .current_dir(checkout::root())
            .env("STEADY_SOCKET_TARBALL", &npm.tarball)
            .env("STEADY_SOCKET_ARTIFACTS", checkout::artifacts())
            .env("STEADY_SOCKET_ROOM", room)
            .env("STEADY_SOCKET_KILLS", kills.to_string())
            .env("CHROMIUM", &npm.browser.program),
    )
}

fn interop() -> Result<()> {
    let python = python::ensure()?;
    let npm = NpmTests::prepare()?;
    server::build_for_tests()?;
    let log = checkout::artifacts().join("test-server-interop.log");
    let origin = npm.page_origin();
    let options = ["--port", "0", "--allow-origin", &origin];
    let mut server = Server::start(&options, Output::Logged(&log))?;
    let mut theirs = Command::new(&python);
    theirs
        .arg(checkout::path("tests/interop/python_client.py"))
        .args(["--url", &server.ws()]);
    let test = checkout::path("tests/npm").join(INTEROP_TEST);
    let mut ours = npm.command(&[test], &server);
    ours.env("PYTHON", &python);
    let url = server.ws();
    with_log(&mut server, &log, || {
        process::run(&mut theirs)?;
        process::run(&mut ours)?;
        sessions_in_python(&python, &url)
    })?;
    through_proxies()
}

/// Sessions through other programs on their way, configured as the documentation says.
fn through_proxies() -> Result<()> {
    let [nginx, haproxy] = [proxies::NGINX.ensure()?, proxies::HAPROXY.ensure()?];
    process::run(
        cargo("run")
            .args(["--quiet", "--package", "proxies", "--"])
            .arg("--nginx")
            .arg(nginx)
            .arg("--haproxy")
            .arg(haproxy)
            .arg("--page")
            .arg(checkout::path("docs/operations.md")),
    )
}

/// The second implementation of sessions, written from the specification alone: its vectors, its own dialogues, and
/// our server through cut connections.
fn sessions_in_python(python: &Path, url: &str) -> Result<()> {
    let script = |name: &str| {
        let mut script = Command::new(python);
        script.arg(checkout::path("tests/interop/sessions").join(name));
        script
    };
    process::run(&mut script("test_vectors.py"))?;
    process::run(&mut script("test_dialogue.py"))?;
    let echo = format!("{}/session/echo", url.trim_end_matches('/'));
    for (kind, name) in [
        ("text", None),
        ("json", Some("echo.json")),
        ("binary", Some("echo.msgpack")),
    ] {
        let mut run = script("echo_through_cuts.py");
        run.args([&echo, "--kind", kind]);
        if let Some(name) = name {
            run.args(["--name", name]);
        }
        process::run(&mut run)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Some(part));
        }
        assert_eq!(Part::named("all"), None);
    }

    #[test]
    fn a_machine_is_told_by_the_environment() {
        for value in ["1", "true", "yes"] {
            assert!(is_ci(Some(value)), "{value}");
        }
        for value in [None, Some(""), Some("0"), Some("false")] {
            assert!(!is_ci(value), "{value:?}");
        }
    }

    #[test]
    fn the_last_line_tells_that_firefox_was_not_there() {
        let verdict = |lacks_firefox| verdict(Duration::from_secs(61), lacks_firefox);
        assert_eq!(verdict(false), "all checks passed in 1 min 1 s");
        assert_eq!(verdict(true).lines().last(), Some("Firefox NOT RUN"));
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(readable(Duration::from_millis(59_900)), "59 s");
        assert_eq!(readable(Duration::from_secs(60)), "1 min 0 s");
        assert_eq!(readable(Duration::from_secs(754)), "12 min 34 s");
    }

    #[test]
    fn the_table_tells_which_part_failed() {
        let mut table = Vec::new();
        timed(&mut table, "lint", || Ok(())).unwrap();
        let error = timed(&mut table, "npm", || Err("why".into())).unwrap_err();
        assert_eq!(error.to_string(), "npm: why");
        assert!(table[0].starts_with("lint       ok "), "{table:?}");
        assert!(table[1].starts_with("npm        FAILED "), "{table:?}");
    }
}
