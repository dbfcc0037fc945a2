//! Native measurements of the connection core and the codecs: instructions counted by valgrind, and times
//! measured by criterion.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use crate::tools::debian;
use crate::{Result, checkout, files, process, versions};

/// The manifest of their workspace.
pub(super) const WORKSPACE: &str = "bench/rust/Cargo.toml";

/// Like the contenders in the page.
const PROFILE: &str = "speed";

/// Installs valgrind and builds the programs to measure.
pub(super) fn build(options: &Options) -> Result<()> {
    if files::on_path("valgrind").is_none() {
        debian::install(&["valgrind"], "valgrind, which counts instructions,")?;
    }
    process::run(cargo("build").args(["--bin", "native"]))?;
    if !options.check {
        process::run(times().arg("--no-run"))?;
    }
    Ok(())
}

/// Measures, and writes the results into `output`.
pub(super) fn run(options: &Options, output: &Path) -> Result<()> {
    let mut node = Command::new("node");
    node.arg(checkout::path("bench/native.mjs"))
        .arg("--program")
        .arg(target().join(PROFILE).join("native"))
        .arg("--output")
        .arg(output);
    if let Some(case) = &options.case {
        node.args(["--case", case]);
    }
    // The budgets cover only instructions.
    if !options.check {
        let mut times = times();
        if options.quick {
            times.args(["--", "--quick"]);
        }
        process::run(&mut times)?;
        node.arg("--times").arg(target().join("criterion"));
    }
    process::run(&mut node)
}

/// The versions of the measuring tools.
pub(super) fn versions() -> Result<Vec<(&'static str, String)>> {
    let valgrind = process::capture(Command::new("valgrind").arg("--version"))?;
    Ok(vec![
        ("valgrind", valgrind),
        ("criterion", versions::in_measurements("criterion")?),
    ])
}

fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .args([subcommand, "--quiet", "--locked", "--manifest-path"])
        .arg(checkout::path(WORKSPACE))
        .args(["--package", "native", "--profile", PROFILE])
        .current_dir(checkout::root())
        .env("CARGO_TARGET_DIR", target());
    cargo
}

/// Criterion's program, which handles its own options.
fn times() -> Command {
    let mut cargo = cargo("bench");
    cargo.args(["--bench", "times"]);
    cargo
}

fn target() -> PathBuf {
    checkout::path("target/bench/native")
}
