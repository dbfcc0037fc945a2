//! The fuzz targets in `fuzz/`, which is a workspace of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::{Result, checkout, debian, files, process, say, tools};

/// Compiled without optimisation, as the other tools are: it only starts cargo and what that built.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// How long a target runs where nothing is said.
pub(crate) const SECONDS: u32 = 60;

/// Runs each target, or only one of them, and stops at the first that finds something.
///
/// # Errors
///
/// What was found, for which the output says how to repeat it; or what is missing.
pub(crate) fn run(seconds: u32, only: Option<&str>) -> Result<()> {
    let known = targets()?;
    let chosen: Vec<&str> = match only {
        None => known.iter().map(String::as_str).collect(),
        Some(name) if known.iter().any(|it| it == name) => vec![name],
        Some(name) => {
            return Err(format!(
                "there is no fuzz target `{name}`; there are {}",
                known.join(", ")
            )
            .into());
        }
    };
    ensure_cxx()?;
    let folder = tools::ensure("cargo-fuzz", CARGO_FUZZ_VERSION, &["cargo-fuzz"], &[])?;
    for target in &chosen {
        say(format_args!("fuzzing {target} for {seconds} s"));
        // What libFuzzer adds goes into the first folder; the second has the seeds.
        let added = checkout::path(&format!("target/fuzz/corpus/{target}"));
        files::create_folder(&added)?;
        // The packages under test have no unsafe code, so a sanitizer would find nothing and take
        // most of the time. Without one, the stable compiler will do.
        let mut cargo_fuzz = Command::new(folder.join("cargo-fuzz"));
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

/// libFuzzer is compiled from C++ source that its crate brings.
fn ensure_cxx() -> Result<()> {
    let found = |name: &str| files::on_path(name).is_some();
    if std::env::var_os("CXX").is_some() || found("c++") || found("clang++") {
        return Ok(());
    }
    debian::install(&["g++"], "a C++ compiler, which libFuzzer takes,")
}

/// The targets are compiled with all else that is linted, so that they fit the library. That takes no
/// C++ compiler.
pub(crate) fn lint() -> Result<()> {
    process::run(cargo("fmt").arg("--check"))?;
    process::run(cargo("clippy").args(["--all-targets", "--", "--deny", "warnings"]))
}

/// Runs the targets over their seeds, once.
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
        // Where the rest of the project is built: the library is compiled there already.
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
