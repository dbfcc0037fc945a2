//! Many native sessions: `cargo xtask load` against one server, `cargo xtask restart` against two processes; `bench/sessions`
//! runs them.

use std::process::Command;

use crate::{Result, checkout, process, tools};

/// Builds both ends and runs them.
///
/// # Errors
///
/// If something was lost, or the system does not allow so many connections.
pub(crate) fn run(sessions: u32, seconds: u32) -> Result<()> {
    build(&["session-load", "test-server"])?;
    process::run(
        Command::new(checkout::released_program("session-load")?)
            .arg("--test-server")
            .arg(checkout::released_program("test-server")?)
            .args(["--sessions", &sessions.to_string()])
            .args(["--seconds", &seconds.to_string()]),
    )
}

/// Builds the program, which is both ends, and runs it.
///
/// # Errors
///
/// If something was lost in silence, or the system does not allow so many connections.
pub(crate) fn restart(sessions: u32, window: u32) -> Result<()> {
    build(&["session-load"])?;
    process::run(
        Command::new(checkout::released_program("session-restart")?)
            .args(["--sessions", &sessions.to_string()])
            .args(["--window", &window.to_string()]),
    )
}

/// Builds the program, which is both ends, and runs it beside a Redis server.
///
/// # Errors
///
/// If there is no Redis server, or something goes wrong.
pub(crate) fn store(rounds: u32, kills: u32) -> Result<()> {
    tools::redis::ensure()?;
    build(&["session-load"])?;
    process::run(
        Command::new(checkout::released_program("session-store")?)
            .args(["--rounds", &rounds.to_string()])
            .args(["--kills", &kills.to_string()]),
    )
}

fn build(packages: &[&str]) -> Result<()> {
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    process::run(
        Command::new("cargo")
            .args(["build", "--quiet", "--release"])
            .args(packages)
            .current_dir(checkout::root()),
    )
}
