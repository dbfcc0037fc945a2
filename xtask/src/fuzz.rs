//! The fuzz targets in `fuzz/`, which is a workspace of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::tools::{self, debian};
use crate::{Result, checkout, files, process, say};

/// Compiled without optimisation, like the other tools: it only starts cargo and the built program.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// How long a target runs by default.
pub(crate) const SECONDS: u32 = 60;

/// Runs each target, or only one, and stops at the first finding.
///
/// # Errors
///
/// The finding, for which the output says how to reproduce it; or what is missing.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Result<()> {
    let known = targets()?;
    let chosen: Vec<&str> = match only {
        None => known.iter().map(String::as_str).collect(),
        Some(name) if known.iter().any(|it| it == name) => vec![name],
        Some(name) => {
            return Err(format!(
                "unknown fuzz target `{name}`; the targets are {}",
                known.join(", ")
            )
            .into());
        }
    };
    ensure_cxx()?;
    let program = tools::ensure_cargo_program("cargo-fuzz", CARGO_FUZZ_VERSION)?;
    for target in &chosen {
        say(format_args!("fuzzing {target} for {seconds} s"));
        // libFuzzer adds inputs to the first folder; the second has the seeds.
        let added = checkout::path(&format!("target/fuzz/corpus/{target}"));
        files::create_folder(&added)?;
        // The packages under test have no unsafe code, so a sanitizer would find nothing and take most of the
        // time. Without one, the stable compiler suffices.
        let mut cargo_fuzz = Command::new(&program);
        cargo_fuzz
            .args(["run", "--sanitizer", "none", "--features", "libfuzzer"])
            .arg("--target-dir")
            .arg(checkout::path("target/fuzz"))
            .arg(target)
            .arg(added)
            .arg(checkout::path(&format!("fuzz/corpus/{target}")))
            .args(["--", "-timeout=20", "-print_final_stats=1"])
            .arg(format!("-max_total_time={seconds}"))
            .current_dir(checkout::path("fuzz"));
        process::run(&mut cargo_fuzz)?;
    }
    println!("nothing found in {} s each: {}", seconds, chosen.join(", "));
    Ok(())
}

/// The names of the targets, sorted.
fn targets() -> Result<Vec<String>> {
    let files = files::below(&checkout::path("fuzz/targets"))?;
    let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
    Ok(names.map(String::from).collect())
}

/// libFuzzer is compiled from C++ source in its crate.
fn ensure_cxx() -> Result<()> {
    let found = |name: &str| files::on_path(name).is_some();
    if std::env::var_os("CXX").is_some() || found("c++") || found("clang++") {
        return Ok(());
    }
    debian::install(&["g++"], "a C++ compiler, which libFuzzer needs,")
}

/// Compiles the targets with everything else that is linted, so that they fit the library. This needs no C++
/// compiler.
pub(crate) fn lint() -> Result<()> {
    process::run(cargo("fmt").arg("--check"))?;
    process::run(cargo("clippy").args(["--all-targets", "--", "--deny", "warnings"]))
}

/// Runs each target once over its seeds.
pub(crate) fn test() -> Result<()> {
    process::run(cargo("test").args(["--quiet", "--lib"]))
}

fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .arg(subcommand)
        .arg("--manifest-path")
        .arg(manifest())
        .current_dir(checkout::root())
        // The target folder of the rest of the project: the library is already compiled there.
        .env("CARGO_TARGET_DIR", checkout::target_folder());
    command
}

fn manifest() -> PathBuf {
    checkout::path("fuzz/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_seeds() {
        let manifest = files::read(&manifest()).unwrap();
        for target in targets().unwrap() {
            let declared = format!("name = \"{target}\"");
            assert!(manifest.contains(&declared), "{target}");
            let seeds = checkout::path(&format!("fuzz/corpus/{target}"));
            assert!(!files::below(&seeds).unwrap().is_empty(), "{target}");
        }
    }

    #[test]
    fn an_unknown_target_is_answered_with_the_list() {
        let message = run(1, Some("cor")).unwrap_err().to_string();
        assert!(message.contains("`cor`"), "{message}");
        assert!(message.contains("core, json"), "{message}");
    }
}
