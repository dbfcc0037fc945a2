//! What the tasks need and install first: `Tools` for turning Rust into an npm package, and one module per kind of tool.

pub(crate) mod browsers;
pub(crate) mod debian;
pub(crate) mod installed;
pub(crate) mod node;
pub(crate) mod proxies;
pub(crate) mod python;
pub(crate) mod redis;
pub(crate) mod wasm_std;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::Stamp;
use crate::{Result, checkout, files, process, say};
use wasm_std::WasmStd;

const WASM_PACK_VERSION: &str = "0.15.1";

/// Everything that a wasm build needs.
pub(crate) struct Tools {
    pub(crate) wasm_std: WasmStd,
    /// The folders of the tools, to be searched before the user's `PATH`.
    folders: Vec<PathBuf>,
    /// The versions of the tools, for the stamps of their outputs.
    pub(crate) description: String,
}

/// Installs everything that `wasm-pack build` needs.
///
/// # Errors
///
/// The first tool that is missing and cannot be installed, and why.
pub(crate) fn for_package() -> Result<Tools> {
    let wasm_std = wasm_std::ensure()?;
    let wasm_opt = node::ensure_wasm_opt()?;
    let bindgen_version = checkout::locked_version("wasm-bindgen")?;
    let programs = ["wasm-bindgen", "wasm-bindgen-test-runner"];
    // Its only default feature is TLS, for driving browsers over the internet.
    let features = ["--no-default-features"];
    let bindgen = ensure("wasm-bindgen-cli", &bindgen_version, &programs, &features)?;
    let pack = ensure("wasm-pack", WASM_PACK_VERSION, &["wasm-pack"], &[])?;
    silence_update_check(&pack)?;
    let description = format!(
        "wasm-bindgen {bindgen_version}\nwasm-pack {WASM_PACK_VERSION}\n{}\n{}",
        wasm_opt.version, wasm_std.compiler
    );
    Ok(Tools {
        wasm_std,
        folders: vec![wasm_opt.folder, bindgen, pack],
        description,
    })
}

impl Tools {
    /// A command that runs one of these tools.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.program(name))
    }

    /// A `wasm-pack` command in the root of the checkout that uses these tools.
    pub(crate) fn wasm_pack(&self, subcommand: &str) -> Command {
        let mut command = self.command("wasm-pack");
        // Everything is installed; it must not download other versions.
        command.args([subcommand, "--mode", "no-install"]);
        // It creates a folder even if it has nothing to put there.
        command.env("WASM_PACK_CACHE", checkout::tools().join("wasm-pack-cache"));
        self.wasm_std.prepare(&mut command, &self.folders);
        command
    }

    fn program(&self, name: &str) -> PathBuf {
        let found = self
            .folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|it| it.is_file());
        found.unwrap_or_else(|| name.into())
    }
}

/// A program that cargo installs from the package of the same name, in exactly this version.
pub(crate) fn ensure_cargo_program(name: &str, version: &str) -> Result<PathBuf> {
    Ok(ensure(name, version, &[name], &[])?.join(name))
}

/// The folder with a cargo-installed package's programs in exactly this version: the user's, else
/// `target/tools/bin`, where they are installed unless present.
fn ensure(package: &str, version: &str, programs: &[&str], features: &[&str]) -> Result<PathBuf> {
    let own = checkout::tools().join("bin");
    let users = programs
        .first()
        .and_then(|program| Some(files::on_path(program)?.parent()?.into()));
    for folder in [Some(own.clone()), users].into_iter().flatten() {
        if programs
            .iter()
            .all(|program| has_version(&folder.join(program), version))
        {
            return Ok(folder);
        }
    }
    say(format_args!(
        "installing {package} {version} into target/tools (compiles for a minute)"
    ));
    install(package, version, programs, features)?;
    Ok(own)
}

/// Keeps our own wasm-pack from asking the registry daily for a newer version: it skips that if a file beside
/// it says when it last asked. A file without a date counts, too.
fn silence_update_check(folder: &Path) -> Result<()> {
    if *folder != checkout::tools().join("bin") {
        return Ok(());
    }
    let answer = Stamp::new(
        folder.join("wasm-pack.stamp"),
        "its version is pinned\n".into(),
    );
    if answer.is_current() {
        Ok(())
    } else {
        answer.set()
    }
}

fn has_version(program: &Path, version: &str) -> bool {
    // Some of cargo's subcommands want to be called as cargo calls them.
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    [None, name.strip_prefix("cargo-")]
        .into_iter()
        .any(|subcommand| {
            let mut command = Command::new(program);
            command.args(subcommand).arg("--version");
            process::capture(&mut command)
                .is_ok_and(|printed| printed_version(&printed) == Some(version))
        })
}

/// Tools print their name, then their version.
fn printed_version(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1)
}

/// Measured on two cores, downloads not counted:
///
/// |                    | wasm-bindgen-cli | wasm-pack | wasm-bindgen on a test of 13 MB |
/// |--------------------|------------------|-----------|---------------------------------|
/// | optimised          | 3 min            | 3 min     | 0.2 s                           |
/// | its wasm parts are | 86 s             |           | 0.3 s                           |
/// | not optimised      | 48 s             | 44 s      | 0.8 s                           |
///
/// An optimised build would pay for itself after some hundred test runs, and never in the time to the first
/// greeting. Leaving out TLS and the third program saves another tenth.
fn install(package: &str, version: &str, programs: &[&str], features: &[&str]) -> Result<()> {
    let attempt = |extra: &[&str]| {
        let tools = checkout::tools();
        process::run(
            Command::new("cargo")
                .args(["install", package, "--version"])
                .arg(format!("={version}"))
                .args(["--profile", "dev", "--config", "profile.dev.debug=false"])
                .args(programs.iter().flat_map(|program| ["--bin", program]))
                .args(features)
                .args(["--force", "--root"])
                .arg(&tools)
                // Shared, so that common dependencies are compiled once.
                .arg("--target-dir")
                .arg(tools.join("build"))
                .args(extra)
                .current_dir(checkout::root()),
        )
    };
    // Try the versions that the authors tested first. A registry that lags behind them refuses within a
    // second.
    attempt(&["--locked"]).or_else(|_| {
        say(format_args!(
            "{package}'s own lock file is not available from this registry: without it"
        ));
        attempt(&[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_second_word() {
        assert_eq!(printed_version("wasm-bindgen 0.2.130"), Some("0.2.130"));
        assert_eq!(
            printed_version("wasm-bindgen 0.2.130 (1a2b3c 2026-01-01)"),
            Some("0.2.130")
        );
        assert_eq!(printed_version(""), None);
    }
}
