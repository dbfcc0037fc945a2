//! The sizes of what a page loads: `cargo xtask size`. The peers' are measured with all else, by
//! `cargo xtask bench`.

use std::path::PathBuf;
use std::process::Command;

use crate::tools::Tools;
use crate::wasm_program::{Profile, WasmProgram};
use crate::{Result, bench, checkout, node, package, process, tools};

/// The hello program of this library.
const OWN: WasmProgram = WasmProgram {
    workspace: "Cargo.toml",
    package: "hello-steady-socket",
    profile: Profile::Release,
    sources: &["client-wasm/Cargo.toml", "tests/bench/hello"],
};

/// The same program on other clients.
const PEERS: [WasmProgram; 4] = [
    peer("hello-gloo-net"),
    peer("hello-reconnecting-websocket"),
    peer("hello-tokio-tungstenite-wasm"),
    peer("hello-ws-stream-wasm"),
];

const fn peer(package: &'static str) -> WasmProgram {
    WasmProgram {
        workspace: "tests/bench/rust/Cargo.toml",
        package,
        profile: Profile::Release,
        sources: &[
            "client-wasm/Cargo.toml",
            "tests/bench/hello",
            "tests/bench/rust",
        ],
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Whether the budgets decide.
    pub(crate) check: bool,
    /// Where the sizes are written.
    pub(crate) json: Option<PathBuf>,
}

/// Brings what the sizes of this library are measured with.
pub(crate) fn set_up() -> Result<Tools> {
    node::ensure_bench_packages()?;
    tools::for_package()
}

/// Builds this library's programs and prints their sizes.
///
/// # Errors
///
/// What the compiler says, and a size that is over its budget if that is asked.
pub(crate) fn run(options: &Options) -> Result<()> {
    let tools = set_up()?;
    package::build()?;
    OWN.build(&tools)?;
    let mut node = Command::new("node");
    node.arg(checkout::path("tests/bench/sizes.mjs"))
        .arg("--versions")
        .arg(bench::write_versions(&[bench::Part::Sizes])?);
    if options.check {
        node.arg("--check");
    }
    if let Some(json) = &options.json {
        node.arg("--json").arg(json);
    }
    process::run(&mut node)
}

/// Prints what a program pays for each entry of the package, which is built: bundled, with the module, and as
/// servers send it.
///
/// # Errors
///
/// What Node says.
pub(crate) fn print_package() -> Result<()> {
    node::ensure_bench_packages()?;
    process::run(
        Command::new("node")
            .arg(checkout::path("tests/bench/sizes.mjs"))
            .arg("--npm"),
    )
}

/// Fails if a size is over its budget.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn check() -> Result<()> {
    run(&Options {
        check: true,
        json: None,
    })
}

/// Builds the hello programs: this library's, and the peers' if they are wanted.
///
/// # Errors
///
/// What the compiler says.
pub(crate) fn build(peers: bool) -> Result<()> {
    let tools = set_up()?;
    OWN.build(&tools)?;
    if peers {
        for peer in PEERS {
            peer.build(&tools)?;
        }
    }
    Ok(())
}
