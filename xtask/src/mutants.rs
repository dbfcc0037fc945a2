//! Mutations of the core and the protocol by cargo-mutants, beside the planted bugs: it changes one function after the
//! other and names the changes that no test notices.

use std::process::Command;

use crate::tools::ensure_cargo_program;
use crate::{Result, checkout, files, process, say};

const VERSION: &str = "27.1.0";

/// What is mutated.
const FOLDERS: [&str; 2] = ["client/src/connection", "protocol/src"];

/// Mutates the lines that differ from a commit.
///
/// # Errors
///
/// A change that no test notices.
pub(crate) fn run(since: &str) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["diff", since, "--"])
        .args(FOLDERS)
        .current_dir(checkout::root());
    let changes = process::capture(&mut git)?;
    if changes.is_empty() {
        say(format_args!(
            "nothing differs from {since} in {}",
            FOLDERS.join(" and ")
        ));
        return Ok(());
    }
    let output = checkout::path("target/mutants");
    let diff = output.join("changes.diff");
    files::write(&diff, changes + "\n")?;
    process::run(
        Command::new(ensure_cargo_program("cargo-mutants", VERSION)?)
            .args(["mutants", "--all-features", "--output"])
            .arg(&output)
            .arg("--in-diff")
            .arg(&diff)
            .args(["--package", "steady-socket"])
            .args(["--package", "steady-socket-protocol"])
            // Kept from run to run, and without what nobody debugs.
            .env("CARGO_TARGET_DIR", output.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .current_dir(checkout::root()),
    )
}
