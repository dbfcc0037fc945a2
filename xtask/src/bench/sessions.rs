//! What sessions cost a server by the server crate, with native clients; `bench/sessions` measures.

use std::path::Path;
use std::process::Command;

use super::Options;
use crate::{Result, checkout, process};

/// Builds the measuring program and the server.
pub(super) fn build() -> Result<()> {
    checkout::build_fast(&["session-load"])
}

/// Measures, and writes the results into `output`.
pub(super) fn run(options: &Options, output: &Path) -> Result<()> {
    let mut command = Command::new(checkout::fast_program("session-bench")?);
    command
        .arg("--server")
        .arg(checkout::fast_program("echo-server")?)
        .arg("--output")
        .arg(output);
    if options.quick {
        command.args(["--rounds", "1", "--milliseconds", "100"]);
    }
    if let Some(case) = &options.case {
        command.args(["--case", case]);
    }
    process::run(&mut command)
}
