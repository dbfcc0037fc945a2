//! The hello server under load, compared with servers on axum and Python's websockets; `bench/load` measures.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Options;
use crate::tools::python;
use crate::{Result, checkout, files, process};

/// The server on axum is a workspace of its own.
pub(super) const AXUM: &str = "bench/axum";

/// Builds the measuring program and the servers. The hello server is already built.
pub(super) fn build() -> Result<()> {
    let mut cargo = Command::new("cargo");
    process::run(
        cargo
            .args(["build", "--quiet", "--package", "load", "--release"])
            .current_dir(checkout::root()),
    )?;
    let mut cargo = Command::new("cargo");
    process::run(
        cargo
            .args(["build", "--quiet", "--locked", "--release"])
            .current_dir(checkout::path(AXUM))
            .env("CARGO_TARGET_DIR", axum_target()),
    )?;
    python::ensure().map(drop)
}

/// Measures, and writes the results into `output`.
pub(super) fn run(options: &Options, output: &Path) -> Result<()> {
    let mut command = Command::new(checkout::released_program("server-bench")?);
    command
        .arg("--test-server")
        .arg(checkout::released_program("test-server")?)
        .arg("--axum")
        .arg(axum_target().join("release/axum-hello"))
        .arg("--crate")
        .arg(axum_target().join("release/by-the-crate"))
        .arg("--python")
        .arg(python::ensure()?)
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

/// The versions of what the servers are built from.
pub(super) fn versions() -> Result<Vec<(&'static str, String)>> {
    let axum = files::read(&checkout::path(AXUM).join("Cargo.lock"))?;
    let axum = checkout::version_in_lock(&axum, "axum")
        .ok_or("the lock file of the server on axum has no axum")?;
    Ok(vec![
        ("warp", checkout::locked_version("warp")?),
        ("axum", axum.to_owned()),
        (
            "Python",
            process::capture(Command::new(python::ensure()?).arg("--version"))?,
        ),
        ("websockets for Python", python::websockets_version()?),
    ])
}

fn axum_target() -> PathBuf {
    checkout::path("target/bench/axum")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axum_that_is_locked_is_the_one_that_its_manifest_pins() {
        let manifest = files::read(&checkout::path(AXUM).join("Cargo.toml")).unwrap();
        let lock = files::read(&checkout::path(AXUM).join("Cargo.lock")).unwrap();
        let version = checkout::version_in_lock(&lock, "axum").unwrap();
        assert!(
            manifest.contains(&format!("version = \"={version}\"")),
            "{version}"
        );
    }

    #[test]
    fn the_version_of_websockets_is_a_number() {
        let version = python::websockets_version().unwrap();
        assert!(
            version.split('.').all(|part| part.parse::<u32>().is_ok()),
            "{version}"
        );
    }
}
