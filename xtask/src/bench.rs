//! Benchmarks against the libraries that users would otherwise pick: see `bench/README.md`.

mod contenders;
mod load;
mod native;
mod sessions;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Output, Server};
use crate::tools::wasm_std::{self, WasmStd};
use crate::tools::{browsers, node};
use crate::{Result, checkout, files, package, ports, process, server, size, versions};

/// A part of the benchmarks, by number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// What a message costs in the page.
    Messages = 1,
    /// End to end over loopback.
    EndToEnd = 2,
    /// Sizes.
    Sizes = 3,
    /// Memory.
    Memory = 4,
    /// The server under load.
    Load = 5,
    /// Native: the core and the codecs.
    Native = 6,
    /// What sessions cost a server.
    Sessions = 7,
}

impl Part {
    /// In numerical order.
    pub(crate) const ALL: [Self; 7] = [
        Self::Messages,
        Self::EndToEnd,
        Self::Sizes,
        Self::Memory,
        Self::Load,
        Self::Native,
        Self::Sessions,
    ];

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// Whether it supports profiling.
    pub(crate) const fn has_profile(self) -> bool {
        matches!(self, Self::Messages | Self::EndToEnd)
    }

    /// Whether it is about what pages load and run.
    const fn is_of_pages(self) -> bool {
        match self {
            Self::Messages | Self::EndToEnd | Self::Sizes | Self::Memory => true,
            Self::Load | Self::Native | Self::Sessions => false,
        }
    }

    /// Builds everything that the part needs, so that no build runs during a measurement. What pages and the
    /// hello server need is already there.
    fn build(self, options: &Options) -> Result<()> {
        match self {
            Self::Messages => contenders::build(options),
            // Its budgets compare no other Rust programs.
            Self::EndToEnd | Self::Memory if options.check => Ok(()),
            Self::EndToEnd | Self::Memory => contenders::build(options),
            Self::Load => load::build(options),
            Self::Native => native::build(options),
            Self::Sessions => sessions::build(),
            Self::Sizes => size::build(!options.check),
        }
    }

    /// Runs the part's own program, if it has one, which writes its results into `output`. Returns whether it
    /// has one: the other parts are measured in pages.
    fn run(self, options: &Options, output: &Path) -> Result<bool> {
        match self {
            Self::Messages | Self::EndToEnd | Self::Sizes | Self::Memory => Ok(false),
            Self::Load => load::run(options, output).map(|()| true),
            Self::Native => native::run(options, output).map(|()| true),
            Self::Sessions => sessions::run(options, output).map(|()| true),
        }
    }
}

/// The options on the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// The parts, each once and in order; empty means all.
    pub(crate) parts: Vec<Part>,
    /// Only cases with one of these in their names.
    pub(crate) case: Option<String>,
    /// Very few rounds.
    pub(crate) quick: bool,
    /// Measure only what the budgets need, and check them.
    pub(crate) check: bool,
    /// Show where the time of the cases goes, instead of how much it is.
    pub(crate) profile: bool,
    /// Whether to write the documentation.
    pub(crate) write: bool,
    /// The file for all samples.
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    fn parts(&self) -> Vec<Part> {
        if self.profile && self.parts.is_empty() {
            return vec![Part::Messages];
        }
        Part::ALL
            .into_iter()
            .filter(|part| self.parts.is_empty() || self.parts.contains(part))
            .collect()
    }
}

/// Builds everything, measures, and prints the tables.
///
/// # Errors
///
/// If a tool is unavailable, a measurement is inconsistent, or a budget is exceeded.
pub(crate) fn run(options: &Options) -> Result<()> {
    let parts = options.parts();
    node::ensure_test_packages()?;
    node::ensure_bench_packages()?;
    let for_pages = match parts.iter().any(|part| part.is_of_pages()) {
        true => {
            let browser = browsers::chromium()?;
            package::build()?;
            Some((browser, server::build_for_bench()?))
        }
        false => None,
    };
    parts.iter().try_for_each(|part| part.build(options))?;

    let folder = checkout::path("target/bench");
    files::create_folder(&folder)?;
    let mut node = Command::new("node");
    node.arg(checkout::path("bench/run.mjs"))
        .arg("--versions")
        .arg(versions(&parts)?);
    for part in &parts {
        node.args(["--part", &part.number().to_string()]);
        let output = folder.join(format!("part-{}.json", part.number()));
        if part.run(options, &output)? {
            node.arg("--merge").arg(output);
        }
    }
    for (flag, is_on) in [
        ("--quick", options.quick),
        ("--check", options.check),
        ("--profile", options.profile),
        ("--write", options.write),
    ] {
        if is_on {
            node.arg(flag);
        }
    }
    if let Some(case) = &options.case {
        node.args(["--case", case]);
    }
    if let Some(json) = &options.json {
        node.arg("--json").arg(json);
    }

    let Some((browser, server)) = for_pages else {
        return process::run(&mut node);
    };
    let [page_port, ..] = ports::reserved()?;
    let origin = format!("http://127.0.0.1:{page_port}");
    let log = checkout::artifacts().join("test-server-bench.log");
    let mut server = Server::start_program(
        &server,
        &["--demo-control", "--port", "0", "--allow-origin", &origin],
        Output::Logged(&log),
    )?;
    node.env("STEADY_SOCKET_SERVER", server.http())
        .env("STEADY_SOCKET_PAGE_ORIGIN_PORT", page_port.to_string())
        .env("CHROMIUM", &browser.program);
    let outcome = process::run(&mut node);
    server.check()?;
    outcome
}

/// Writes the versions of everything used for these parts and returns the file's path.
fn versions(parts: &[Part]) -> Result<PathBuf> {
    let mut all = versions::own()?;
    if parts.iter().any(|part| part.is_of_pages()) {
        all.extend(versions::of_pages()?);
    }
    if parts.contains(&Part::Load) {
        all.extend(load::versions()?);
    }
    if parts.contains(&Part::Native) {
        all.extend(native::versions()?);
    }
    versions::write(&all)
}

/// Lints the measured Rust clients together with everything else that is linted, so that they fit the
/// library.
///
/// # Errors
///
/// What is wrong, or that the lock file there is out of date.
pub(crate) fn lint(wasm: &WasmStd) -> Result<()> {
    const NATIVE: &str = "native";
    let clients = checkout::path(native::WORKSPACE);
    let mut fmt = Command::new("cargo");
    fmt.args(["fmt", "--all", "--check", "--manifest-path"]);
    process::run(fmt.arg(&clients).current_dir(checkout::root()))?;
    let clippy = |mut cargo: Command, packages: &[&str]| {
        cargo.args(["--locked", "--manifest-path"]).arg(&clients);
        process::run(cargo.args(packages).args(["--", "--deny", "warnings"]))
    };
    // The target folder of the rest of the project: much of what they need is already compiled there.
    let mut native = Command::new("cargo");
    native
        .arg("clippy")
        .current_dir(checkout::root())
        .env("CARGO_TARGET_DIR", checkout::target_folder());
    clippy(native, &["--package", NATIVE, "--all-targets"])?;
    let mut in_pages = wasm.cargo("clippy");
    in_pages
        .args(["--target", wasm_std::TARGET])
        .env("CARGO_TARGET_DIR", wasm.target_folder());
    clippy(in_pages, &["--workspace", "--exclude", NATIVE, "--lib"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_run_in_order_and_all_where_none_is_named() {
        let parts = |parts: &[Part]| {
            Options {
                parts: parts.to_vec(),
                ..Options::default()
            }
            .parts()
        };
        assert_eq!(parts(&[]), Part::ALL);
        assert_eq!(
            parts(&[Part::Memory, Part::Messages]),
            [Part::Messages, Part::Memory]
        );
    }
}
