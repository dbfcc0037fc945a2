//! The hello server, and one by the server crate, under load, compared with servers on axum and Python's websockets;
//! `bench/load` measures.

use std::path::Path;
use std::process::Command;

use super::Options;
use crate::tools::python;
use crate::{Result, checkout, process, server};

/// Builds the measuring program and the servers.
pub(super) fn build(options: &Options) -> Result<()> {
    checkout::build_fast(&["load", "axum-hello"])?;
    if !options.check {
        server::build_for_bench()?;
        python::ensure()?;
    }
    Ok(())
}

/// Measures, and writes the results into `output`.
pub(super) fn run(options: &Options, output: &Path) -> Result<()> {
    let mut command = Command::new(checkout::fast_program("server-bench")?);
    command
        .arg("--axum")
        .arg(checkout::fast_program("axum-hello")?)
        .arg("--crate")
        .arg(checkout::fast_program("by-the-crate")?)
        .arg("--output")
        .arg(output);
    if options.check {
        // What the budgets compare, and enough rounds for them.
        command.args(["--connections", "100", "--connections", "5000"]);
        command.args(["--rounds", "15"]);
    } else {
        command
            .arg("--test-server")
            .arg(checkout::fast_program("test-server")?)
            .arg("--python")
            .arg(python::ensure()?);
    }
    if options.quick {
        command.args(["--rounds", "1", "--milliseconds", "100"]);
    }
    if let Some(case) = &options.case {
        command.args(["--case", case]);
    }
    process::run(&mut command)
}

/// The versions of what the servers are built from.
pub(super) fn versions() -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("warp", checkout::locked_version("warp")?),
        ("axum", checkout::locked_version("axum")?),
        (
            "Python",
            process::capture(Command::new(python::ensure()?).arg("--version"))?,
        ),
        ("websockets for Python", python::websockets_version()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_websockets_is_a_number() {
        let version = python::websockets_version().unwrap();
        assert!(
            version.split('.').all(|part| part.parse::<u32>().is_ok()),
            "{version}"
        );
    }
}
