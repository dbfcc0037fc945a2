//! Node and the npm packages used here.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::Stamp;
use crate::{Result, checkout, files, process, say};

/// The oldest major version that the tests run on.
const OLDEST: u32 = 20;

pub(crate) struct WasmOpt {
    /// The folder of the program.
    pub(crate) folder: PathBuf,
    /// The version, as its package states it.
    pub(crate) version: String,
}

/// Installs wasm-opt from npm: the package is one program for every system, and much newer than what
/// distributions have.
pub(crate) fn ensure_wasm_opt() -> Result<WasmOpt> {
    let folder = build_packages();
    let source = checkout::path("xtask/node");
    let lock = files::read(&source.join("package-lock.json"))?;
    if !is_installed(&folder, &lock) {
        for name in ["package.json", "package-lock.json"] {
            files::copy(&source.join(name), &folder.join(name))?;
        }
    }
    install(
        &folder,
        "wasm-opt (npm's binaryen), esbuild, MessagePack and Biome into target/tools/node",
    )?;
    link(
        Path::new("../node/node_modules/.bin/wasm-opt"),
        &checkout::tools().join("bin/wasm-opt"),
    )?;
    Ok(WasmOpt {
        folder: folder.join("node_modules/.bin"),
        version: lock,
    })
}

/// The folder of the packages that builds need; [`ensure_wasm_opt`] installs them all.
fn build_packages() -> PathBuf {
    checkout::tools().join("node")
}

/// The folder in which Node finds them.
pub(crate) fn modules() -> PathBuf {
    build_packages().join("node_modules")
}

/// A command that runs one of their programs.
pub(crate) fn command(program: &str) -> Command {
    Command::new(modules().join(".bin").join(program))
}

/// Installs what the tests in `tests/npm` import, beside them, where Node looks for it.
pub(crate) fn ensure_test_packages() -> Result<PathBuf> {
    let folder = checkout::path("tests/npm");
    install(
        &folder,
        "Playwright, TypeScript, bundlers, runtimes, ws and schema libraries into tests/npm/node_modules",
    )?;
    Ok(folder)
}

/// Installs the clients to compare with, beside the measurements.
pub(crate) fn ensure_bench_packages() -> Result<()> {
    install(
        &checkout::path("bench"),
        "the clients that this one is measured beside into bench/node_modules",
    )
}

/// Creates a link unless it exists. With it, `target/tools/bin` has everything that a `wasm-pack` started by
/// hand looks for on `PATH` and would otherwise download.
fn link(to: &Path, link: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|found| found == to) {
        return Ok(());
    }
    let failed = |error: io::Error| format!("cannot make the link {}: {error}", link.display());
    if let Some(folder) = link.parent() {
        files::create_folder(folder)?;
    }
    match std::fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error).into()),
        _ => {}
    }
    Ok(symlink(to, link).map_err(failed)?)
}

/// Checks that a recent enough Node is installed.
pub(crate) fn ensure() -> Result<()> {
    const ADVICE: &str = "install it from https://nodejs.org or by your system's packages \
                          (`apt-get install nodejs npm` from Debian 13 on)";
    let printed = process::capture(Command::new("node").arg("--version"))
        .map_err(|_| format!("Node {OLDEST} or later is missing; {ADVICE}"))?;
    match major_version(&printed) {
        Some(major) if major >= OLDEST => Ok(()),
        _ => {
            Err(format!("Node {OLDEST} or later is needed, but this is {printed}; {ADVICE}").into())
        }
    }
}

fn major_version(printed: &str) -> Option<u32> {
    printed.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Runs `npm ci`, unless the folder matches its lock file.
fn install(folder: &Path, what: &str) -> Result<()> {
    ensure()?;
    let lock = files::read(&folder.join("package-lock.json"))?;
    if is_installed(folder, &lock) {
        return Ok(());
    }
    say(format_args!("installing {what}"));
    let stamp = stamp(folder, &lock);
    stamp.remove()?;
    process::run(
        Command::new("npm")
            // No package used here needs an install script, so none may run one.
            .args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .current_dir(folder),
    )?;
    stamp.set()
}

fn is_installed(folder: &Path, lock: &str) -> bool {
    stamp(folder, lock).is_current()
}

fn stamp(folder: &Path, lock: &str) -> Stamp {
    Stamp::new(
        folder.join("node_modules/.installed-lock.json"),
        lock.into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major_version("v20.20.2"), Some(20));
        assert_eq!(major_version("v8"), Some(8));
        assert_eq!(major_version("20.1"), None);
        assert_eq!(major_version("v"), None);
    }

    #[test]
    fn a_link_is_made_once_and_replaces_what_was_there() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        files::remove_folder(&folder).unwrap();
        files::write(&folder.join("node/program"), "new").unwrap();
        files::write(&folder.join("bin/program"), "old").unwrap();
        for _ in 0..2 {
            link(Path::new("../node/program"), &folder.join("bin/program")).unwrap();
            assert_eq!(files::read(&folder.join("bin/program")).unwrap(), "new");
        }
        files::remove_folder(&folder).unwrap();
    }

    #[test]
    fn lock_files_pin_exact_versions_and_name_no_registry() {
        for folder in ["xtask/node", "tests/npm", "bench"] {
            let lock = files::read(&checkout::path(folder).join("package-lock.json")).unwrap();
            assert!(!lock.contains("\"resolved\""), "{folder}: see .npmrc there");
            let manifest = files::read(&checkout::path(folder).join("package.json")).unwrap();
            assert!(
                !manifest.contains(['^', '~']),
                "{folder}: versions are exact"
            );
        }
    }
}
