//! The clients made of Rust that are measured in the page.

use crate::wasm_program::{Profile, WasmProgram};
use crate::{Result, tools};

const ALL: [WasmProgram; 6] = [
    contender("contender-steady-socket"),
    contender("contender-steady-socket-msgpack"),
    contender("contender-gloo-net"),
    contender("contender-reconnecting-websocket"),
    contender("contender-tokio-tungstenite-wasm"),
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

/// Builds them all.
pub(super) fn build() -> Result<()> {
    let tools = tools::for_package()?;
    ALL.iter()
        .try_for_each(|program| program.build(&tools).map(drop))
}
