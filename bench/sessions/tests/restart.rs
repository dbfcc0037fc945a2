//! A small restart, with real processes. What it takes is printed, and not judged.

use std::process::Command;

#[test]
fn a_graceful_restart_disturbs_nobody_else_and_loses_nothing_in_silence() {
    let output = Command::new(env!("CARGO_BIN_EXE_session-restart"))
        .args(["--sessions", "60", "--window", "2"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    for part in [
        "60 sessions began",
        "| simulated | 30 |",
        "| measured | 30 |",
        "stayed: 0 attempts and losses",
        "restarted: 30 sessions lost, and 0 clients not told so once",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
