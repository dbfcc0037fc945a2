//! The versions of what is measured and of what builds it, for the tables.

use std::path::PathBuf;
use std::process::Command;

use crate::tools::wasm_std;
use crate::{Result, checkout, files, process};

/// A program or package, and its version.
pub(crate) type Version = (&'static str, String);

/// What the other Rust clients are built from, each with its name in the results; npm packages keep their own.
const CONTENDERS: [(&str, &str); 6] = [
    ("gloo-net", "gloo-net"),
    ("reconnecting-websocket (crate)", "reconnecting-websocket"),
    ("tokio-tungstenite-wasm", "tokio-tungstenite-wasm"),
    ("ws_stream_wasm", "ws_stream_wasm"),
    ("web-sys", "web-sys"),
    ("serde_json", "serde_json"),
];

/// Those of this library and its compiler.
pub(crate) fn own() -> Result<Vec<Version>> {
    Ok(vec![
        ("steady-socket", env!("CARGO_PKG_VERSION").to_owned()),
        ("rustc", printed("rustc".into())?),
    ])
}

/// Those of what builds a page's module, and of the other Rust clients. The measuring program adds the browser, Node and the
/// npm packages.
pub(crate) fn of_pages() -> Result<Vec<Version>> {
    let mut versions = vec![
        ("rustc for wasm32", wasm_std::ensure()?.compiler),
        ("wasm-bindgen", checkout::locked_version("wasm-bindgen")?),
        ("wasm-opt", printed(checkout::tools().join("bin/wasm-opt"))?),
    ];
    for (name, package) in CONTENDERS {
        versions.push((name, in_measurements(package)?));
    }
    Ok(versions)
}

fn printed(program: PathBuf) -> Result<String> {
    process::capture(Command::new(program).arg("--version"))
}

/// Writes versions as JSON; returns the file's path.
pub(crate) fn write(versions: &[Version]) -> Result<PathBuf> {
    // No version has a character that Rust and JSON escape differently.
    let lines: Vec<_> = versions
        .iter()
        .map(|(name, version)| format!("  {name:?}: {version:?}"))
        .collect();
    let file = checkout::path("target/bench/versions.json");
    files::write(&file, format!("{{\n{}\n}}\n", lines.join(",\n")))?;
    Ok(file)
}

/// The version of a package in the lock file of the measurements.
pub(crate) fn in_measurements(package: &str) -> Result<String> {
    let lock = files::read(&checkout::path("bench/rust/Cargo.lock"))?;
    checkout::version_in_lock(&lock, package)
        .map(String::from)
        .ok_or_else(|| format!("the lock file of the measurements has no {package}").into())
}
