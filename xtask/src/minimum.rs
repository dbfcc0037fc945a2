//! Checks that the library compiles with the oldest wasm-bindgen that its manifest allows: `tests/minimum`, a
//! workspace of its own, pins that version and is compiled for the browser.

use std::path::PathBuf;

use crate::tools::wasm_std::{self, WasmStd};
use crate::{Result, checkout, process};

/// Compiles it; this takes seconds if nothing has changed.
///
/// # Errors
///
/// If the library does not compile, or the lock file there is out of date.
pub(crate) fn check(wasm: &WasmStd) -> Result<()> {
    let mut cargo = wasm.cargo("check");
    cargo
        .args(["--quiet", "--locked", "--target", wasm_std::TARGET])
        .arg("--manifest-path")
        .arg(manifest())
        // Separate, so that nothing else is recompiled.
        .env("CARGO_TARGET_DIR", checkout::path("target/minimum"))
        // Old versions cause warnings that new ones do not; linting uses the new ones.
        .env("RUSTFLAGS", "-Awarnings");
    process::run(&mut cargo).map_err(|error| {
        format!(
            "{error}; `tests/minimum` has the oldest versions that the library claims to compile \
             with. If only its lock file is behind, `cargo update --workspace --manifest-path \
             tests/minimum/Cargo.toml` brings it up to date"
        )
        .into()
    })
}

fn manifest() -> PathBuf {
    checkout::path("tests/minimum/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn what_is_pinned_is_the_minimum_that_the_workspace_states() {
        let pinned = files::read(&manifest()).unwrap();
        let stated = files::read(&checkout::path("Cargo.toml")).unwrap();
        // The version is the first string in quotes, with or without further keys of the dependency.
        let version = |manifest: &str, name: &str| -> String {
            let line = manifest
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
                .unwrap_or_else(|| panic!("no {name}"));
            let version = line.split('"').nth(1);
            version
                .unwrap_or_else(|| panic!("{name}: {line}"))
                .to_owned()
        };
        for name in ["js-sys", "wasm-bindgen", "wasm-bindgen-futures", "web-sys"] {
            let stated = version(&stated, name);
            assert_eq!(version(&pinned, name), format!("={stated}"), "{name}");
        }
    }

    #[test]
    fn its_lock_file_has_what_is_pinned() {
        let pinned = files::read(&manifest()).unwrap();
        let lock = files::read(&checkout::path("tests/minimum/Cargo.lock")).unwrap();
        for line in pinned.lines() {
            if let Some((name, version)) = line.split_once(" = \"=") {
                let version = version.trim_end_matches('"');
                let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
                assert!(lock.contains(&entry), "{name} {version}");
            }
        }
    }
}
