//! The Rust clients that are measured in the page.

use super::Options;
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
        workspace: "bench/rust/Cargo.toml",
        package,
        profile: Profile::Speed,
        sources: &["client-wasm/Cargo.toml", "bench/rust"],
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
