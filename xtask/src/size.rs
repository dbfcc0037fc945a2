//! The sizes of what a page loads: `cargo xtask size`. `cargo xtask bench` measures the peers' with
//! everything else.

use std::path::PathBuf;
use std::process::Command;

use crate::tools::{self, Tools, node};
use crate::wasm_program::{Profile, WasmProgram};
use crate::{Result, checkout, package, process, versions};

/// The hello program of this library.
const OWN: WasmProgram = WasmProgram {
    workspace: "Cargo.toml",
    package: "hello-steady-socket",
    profile: Profile::Small,
    sources: &["client-wasm/Cargo.toml", "bench/hello"],
};

/// The same program with other clients.
const PEERS: [WasmProgram; 4] = [
    peer("hello-gloo-net"),
    peer("hello-reconnecting-websocket"),
    peer("hello-tokio-tungstenite-wasm"),
    peer("hello-ws-stream-wasm"),
];

const fn peer(package: &'static str) -> WasmProgram {
    WasmProgram {
        workspace: "bench/rust/Cargo.toml",
        package,
        profile: Profile::Small,
        sources: &["client-wasm/Cargo.toml", "bench/hello", "bench/rust"],
    }
}

/// The command's options.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Whether to check the budgets.
    pub(crate) check: bool,
    /// The file for the sizes.
    pub(crate) json: Option<PathBuf>,
}

/// Installs the tools for measuring the sizes of this library.
pub(crate) fn set_up() -> Result<Tools> {
    node::ensure_bench_packages()?;
    tools::for_package()
}

/// Builds this library's programs and prints their sizes.
///
/// # Errors
///
/// If the code does not compile, or a size exceeds its budget and that is checked.
pub(crate) fn run(options: &Options) -> Result<()> {
    let tools = set_up()?;
    package::build()?;
    OWN.build(&tools)?;
    let mut versions_used = versions::own()?;
    versions_used.extend(versions::of_pages()?);
    let mut node = Command::new("node");
    node.arg(checkout::path("bench/sizes.mjs"))
        .arg("--versions")
        .arg(versions::write(&versions_used)?);
    if options.check {
        node.arg("--check");
    }
    if let Some(json) = &options.json {
        node.arg("--json").arg(json);
    }
    process::run(&mut node)
}

/// Prints what each entry of the built package costs a program: bundled, with the module, and compressed as
/// servers send it.
///
/// # Errors
///
/// Node's error.
pub(crate) fn print_package() -> Result<()> {
    node::ensure_bench_packages()?;
    process::run(
        Command::new("node")
            .arg(checkout::path("bench/sizes.mjs"))
            .arg("--npm"),
    )
}

/// Fails if a size exceeds its budget.
///
/// # Errors
///
/// See [`run`].
pub(crate) fn check() -> Result<()> {
    run(&Options {
        check: true,
        json: None,
    })
}

/// Builds the hello programs: this library's, and optionally the peers'.
///
/// # Errors
///
/// If the code does not compile.
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
