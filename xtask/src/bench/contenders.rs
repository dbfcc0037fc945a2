//! The Rust clients that are measured in the page.

use super::{Options, native};
use crate::wasm_program::{Profile, WasmProgram};
use crate::{Result, tools};

const ALL: [WasmProgram; 7] = [
    contender("contender-steady-socket"),
    contender("contender-steady-socket-msgpack"),
    contender("contender-gloo-net"),
    contender("contender-reconnecting-websocket"),
    contender("contender-tokio-tungstenite-wasm"),
    contender("contender-web-sys"),
    contender("contender-ws-stream-wasm"),
];

const fn contender(package: &'static str) -> WasmProgram {
    WasmProgram {
        workspace: "tests/bench/rust/Cargo.toml",
        package,
        profile: Profile::Speed,
        sources: &["client-wasm/Cargo.toml", "tests/bench/rust"],
    }
}

/// Builds them all; for a profile, with function names.
pub(super) fn build(options: &Options) -> Result<()> {
    let tools = tools::for_package()?;
    ALL.into_iter().try_for_each(|mut program| {
        if options.profile {
            program.profile = Profile::Profiled;
        }
        program.build(&tools).map(drop)
    })
}

/// What they are built from, each with its name in the results; npm packages keep their own.
const PACKAGES: [(&str, &str); 6] = [
    ("gloo-net", "gloo-net"),
    ("reconnecting-websocket (crate)", "reconnecting-websocket"),
    ("tokio-tungstenite-wasm", "tokio-tungstenite-wasm"),
    ("ws_stream_wasm", "ws_stream_wasm"),
    ("web-sys", "web-sys"),
    ("serde_json", "serde_json"),
];

/// The versions of what they are built from.
pub(super) fn versions() -> Result<Vec<(&'static str, String)>> {
    PACKAGES
        .into_iter()
        .map(|(name, package)| Ok((name, native::locked_version(package)?)))
        .collect()
}
