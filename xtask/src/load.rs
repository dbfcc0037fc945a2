//! Many native sessions against one server: `cargo xtask load`; `bench/sessions` runs them.

use std::process::Command;

use crate::{Result, checkout, process};

/// Builds both ends and runs them.
///
/// # Errors
///
/// If something was lost, or the system does not allow so many connections.
pub(crate) fn run(sessions: u32, seconds: u32) -> Result<()> {
    process::run(
        Command::new("cargo")
            .args(["build", "--quiet", "--release"])
            .args(["--package", "session-load", "--package", "test-server"])
            .current_dir(checkout::root()),
    )?;
    process::run(
        Command::new(checkout::released_program("session-load")?)
            .arg("--test-server")
            .arg(checkout::released_program("test-server")?)
            .args(["--sessions", &sessions.to_string()])
            .args(["--seconds", &seconds.to_string()]),
    )
}
