//! Plants bugs in a copy of the core, one at a time, and shows that the simulation finds each.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// A bug: in `file`, below `client/src/connection`, the one place that reads `from` is made to read `to`.
struct Bug {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const fn bug(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Bug {
    Bug {
        name,
        file,
        from,
        to,
    }
}

/// The committed list. A place that is no longer found, or found twice, is an error: the list follows the
/// core.
const BUGS: &[Bug] = &[
    bug(
        "a late close of an earlier socket counts",
        "mod.rs",
        ") if *generation == self.generation => Some(Loss {",
        ") if generation.0 > 0 => Some(Loss {",
    ),
    bug(
        "a late open of an earlier socket counts",
        "attempt.rs",
        "if generation != self.generation || !matches!(self.state, State::Connecting { .. }) {",
        "if !matches!(self.state, State::Connecting { .. }) {",
    ),
    bug(
        "the timer of a wait is lost",
        "mod.rs",
        "State::Waiting { until, .. } => Some(*until),",
        "State::Waiting { .. } => None,",
    ),
    bug(
        "the connect timeout is lost",
        "mod.rs",
        "(Input::Timer, State::Connecting { deadline }) if *deadline <= now => {",
        "(Input::Timer, State::Connecting { deadline }) if *deadline < Time::from_millis(0) => {",
    ),
    bug(
        "the failures are forgotten at open",
        "attempt.rs",
        "let reconnected = self.totals.opens > 0;",
        "let reconnected = self.totals.opens > 0; self.failures = 0;",
    ),
    bug(
        "any uptime counts as stable",
        "attempt.rs",
        "&& now.since(since) >= self.options.stable_after",
        "&& now >= since",
    ),
    bug(
        "two sockets after reconnect",
        "attempt.rs",
        "self.effects.push_back(Effect::Abandon { generation });",
        "",
    ),
    bug(
        "the search for a URL goes on",
        "attempt.rs",
        "self.effects.push_back(Effect::CancelResolve { generation });",
        "",
    ),
    bug(
        "the cap is applied after drawing",
        "backoff.rs",
        "draw(min, ceiling.min(max).max(min), chance)",
        "draw(min, ceiling.max(min), chance).min(options.max_delay)",
    ),
    bug(
        "one retry too many",
        "attempt.rs",
        "Some(max) if self.failures >= max =>",
        "Some(max) if self.failures > max =>",
    ),
    bug(
        "refused for ever",
        "attempt.rs",
        "(None, ClosePolicy::RetryOnce) if refused_before =>",
        "(None, ClosePolicy::RetryOnce) if refused_before && self.failures > 1_000 =>",
    ),
    bug(
        "the queue is reversed",
        "queue.rs",
        "self.lane(lane).push_back(message);",
        "self.lane(lane).push_front(message);",
    ),
    bug(
        "a message that comes back goes to the end",
        "queue.rs",
        "self.lane(lane).push_front(message);",
        "self.lane(lane).push_back(message);",
    ),
    bug(
        "a message that comes back is lost",
        "sending.rs",
        "self.queue.put_back(lane, message);",
        "drop((lane, message));",
    ),
    bug(
        "a volatile message is sent later",
        "sending.rs",
        "if volatile {",
        "if volatile && self.failures > 1_000 {",
    ),
    bug(
        "the newest makes room",
        "queue.rs",
        ".ordinary
            .pop_front()
            .or_else",
        ".ordinary
            .pop_back()
            .or_else",
    ),
    bug(
        "the queue takes one too many",
        "sending.rs",
        "&& self.queue.len() < self.options.max_queued_messages as usize",
        "&& self.queue.len() <= self.options.max_queued_messages as usize",
    ),
    bug(
        "the queue flows before open was handed out",
        "attempt.rs",
        "flow: Flow::Announcing,
        };",
        "flow: Flow::Flowing,
        };",
    ),
    bug(
        "the gate is ignored",
        "mod.rs",
        "*flow = if self.options.gate && !ready {",
        "*flow = if self.options.gate && !ready && self.failures > 1_000 {",
    ),
    bug(
        "what is sent while open is handled waits its turn",
        "sending.rs",
        "let lane = if mode.first || opening {",
        "let lane = if mode.first || (opening && self.failures > 1_000) {",
    ),
    bug(
        "the high mark is ignored",
        "sending.rs",
        "if self.wire.buffered >= u64::from(self.options.high_water_mark) {",
        "if self.wire.buffered == u64::MAX {",
    ),
    bug(
        "no gap between the marks",
        "sending.rs",
        "u64::from(self.options.low_water_mark).saturating_add(1)",
        "u64::from(self.options.high_water_mark)",
    ),
    bug(
        "a full buffer is not looked at again",
        "sending.rs",
        "wire.measure_at = wire.blocked.then(|| now.after(DRAIN_POLL_MS));",
        "wire.measure_at = None;",
    ),
    bug(
        "an expired message is kept",
        "queue.rs",
        "if message.expires.is_some_and(|expires| expires <= now) {",
        "if message.expires.is_some_and(|expires| expires < now) {",
    ),
    bug(
        "unconfirmed messages are forgotten",
        "sending.rs",
        "self.wire.unconfirmed.handed_over(bytes);",
        "",
    ),
    bug(
        "every frame confirms everything",
        "unconfirmed.rs",
        "let left = self.handed.saturating_sub(buffered);",
        "let left = self.handed.max(buffered);",
    ),
    bug(
        "a close of the server's own confirms everything",
        "closing.rs",
        "if close.clean && close.code == code.unwrap_or(1005) {",
        "if close.clean || close.code == code.unwrap_or(1005) {",
    ),
    bug(
        "a message taken by a lost socket is forgotten",
        "sending.rs",
        "if !self.is_connected(current) {",
        "if current != self.generation {",
    ),
    bug(
        "a closing handshake that moves on is given up",
        "sending.rs",
        "let shrinks = bytes < closing.buffered;",
        "let shrinks = bytes < closing.buffered && closing.buffered == u64::MAX;",
    ),
    bug(
        "a closing handshake is waited for without end",
        "sending.rs",
        "} else if closing.judging {",
        "} else if closing.judging && bytes == u64::MAX {",
    ),
    bug(
        "messages arrive after close",
        "mod.rs",
        "if self.is_open() {
            self.totals.received",
        "if !self.options.gate || self.is_open() {
            self.totals.received",
    ),
    bug(
        "a message does not ask what the browser holds",
        "attempt.rs",
        "!core::mem::replace(&mut self.wire.measuring, true)",
        "core::mem::replace(&mut self.wire.measuring, false)",
    ),
    bug(
        "the queue is not reported at the end",
        "attempt.rs",
        "self.tell_error(&loss);
        self.drop_queue();",
        "self.tell_error(&loss);",
    ),
    bug(
        "attempts cost nothing",
        "bucket.rs",
        "self.credit = self.credit_at(now).saturating_sub(self.price);",
        "self.credit = self.credit_at(now);",
    ),
    bug(
        "a hint shortens the wait that the server asked for",
        "attempt.rs",
        "_ if firm => return,",
        "_ if firm && self.failures > 1_000 => return,",
    ),
    bug(
        "a window announced on an earlier socket counts",
        "mod.rs",
        "if self.is_connected(generation) && min_ms <= max_ms {",
        "if min_ms <= max_ms {",
    ),
    bug(
        "silence is not noticed",
        "mod.rs",
        "Life::Silent => lost(Cause::HeartbeatTimeout),",
        "Life::Silent => None,",
    ),
    bug(
        "a probe is not judged",
        "mod.rs",
        "Life::Unanswered => lost(Cause::ProbeTimeout),",
        "Life::Unanswered => None,",
    ),
    bug(
        "the server's close code is not told",
        "mod.rs",
        "close: close.clone(),
                cause: Cause::Socket,",
        "close: CloseFrame { code: 1006, ..close.clone() },
                cause: Cause::Socket,",
    ),
    bug(
        "the server's close reason is not told",
        "mod.rs",
        "close: close.clone(),
                cause: Cause::Socket,",
        "close: CloseFrame { reason: String::new(), ..close.clone() },
                cause: Cause::Socket,",
    ),
    bug(
        "the application's close code is not sent",
        "closing.rs",
        "let (code, reason) = (closing.code, closing.reason.clone());",
        "let (code, reason) = (None, closing.reason.clone());",
    ),
    bug(
        "the application's close reason is not sent",
        "closing.rs",
        "let (code, reason) = (closing.code, closing.reason.clone());",
        "let (code, reason) = (closing.code, String::new());",
    ),
    bug(
        "a window in a close reason is ignored",
        "attempt.rs",
        ".or_else(|| Window::in_reason(&loss.close.reason));",
        ".or_else(|| None);",
    ),
    bug(
        "no ping is sent in a silence",
        "attempt.rs",
        "liveness.pinged();
                self.ping();",
        "liveness.pinged();",
    ),
    bug(
        "no ping is sent after a hint",
        "attempt.rs",
        "if self.wire.liveness.probe(now) => self.ping(),",
        "if self.wire.liveness.probe(now) => {}",
    ),
    bug(
        "no ping is sent after a sleep",
        "attempt.rs",
        "if pings {
                    self.ping();
                }",
        "let _ = pings;",
    ),
    bug(
        "a sleep that is told makes no loss a local one",
        "attempt.rs",
        "if hint != Hint::Offline {",
        "if !matches!(hint, Hint::Offline | Hint::Slept { .. }) {",
    ),
    bug(
        "a sleep that is noticed makes no loss a local one",
        "attempt.rs",
        "// What was lost in the sleep was lost on this side.
                self.woken = Some(now);",
        "",
    ),
    bug(
        "a probe that is judged too late counts as unanswered",
        "liveness.rs",
        "(true, false) => Life::Unanswered,
                (true, true) => Life::Stale,",
        "(true, _) => Life::Unanswered,",
    ),
    bug(
        "a silence is excused again and again",
        "liveness.rs",
        "self.excused = true;",
        "",
    ),
    bug(
        "there always is room",
        "sending.rs",
        "_ => self.may_transmit(Lane::Ordinary) || self.fits(bytes),",
        "_ => true,",
    ),
    bug(
        "a URL that is awaited for too long is told as a slow handshake",
        "mod.rs",
        "lost(Cause::ProviderTimeout)",
        "lost(Cause::ConnectTimeout)",
    ),
    bug(
        "what has expired is sent all the same",
        "sending.rs",
        "self.expire(now);
        // Closing hands over",
        "// Closing hands over",
    ),
    bug(
        "a hint announces an attempt that cannot be made yet",
        "attempt.rs",
        "let at = at.max(now.after(self.bucket.wait(now)));",
        "",
    ),
    bug(
        "a loss announces an attempt that cannot be made yet",
        "attempt.rs",
        "let token = self.bucket.wait(context.now);",
        "let token = 0;",
    ),
    bug(
        "a message that is always refused ends every connection",
        "mod.rs",
        "&& !self.refuses_again() =>",
        "&& (!self.refuses_again() || self.failures < 1_000) =>",
    ),
    bug(
        "a message is given up when it is first refused",
        "sending.rs",
        ".is_some_and(|in_hand| in_hand.refused)",
        ".is_some_and(|in_hand| in_hand.refused || !in_hand.volatile)",
    ),
    bug(
        "a refusal is forgotten",
        "sending.rs",
        "message.refused |= refused;",
        "let _ = refused;",
    ),
    bug(
        "a message that is given up stops the queue",
        "sending.rs",
        "self.drop_refused(payload);
            self.pump(now);",
        "self.drop_refused(payload);",
    ),
    bug(
        "a message that is given up is not reported",
        "sending.rs",
        "self.report_dropped(DropReason::Refused, vec![message]);",
        "drop(message);",
    ),
    bug(
        "the moment of a message does not matter",
        "mod.rs",
        "Input::Message { .. } | Input::Alive { .. } => self.messages_are_timed(),",
        "Input::Message { .. } | Input::Alive { .. } => false,",
    ),
    bug(
        "the moment of a measurement does not matter",
        "mod.rs",
        "!self.is_open() || !little || self.messages_expire()",
        "false",
    ),
    bug(
        "no message is held to expire",
        "mod.rs",
        "self.options.message_ttl.is_some() || self.queue.next_expiry().is_some()",
        "false",
    ),
];

/// What a mutant is given to be found by.
const SEARCH: [&str; 5] = ["--seeds", "4000", "--depth", "4", "--quiet"];

/// The workspace of a mutant: the core alone, and the simulation around it.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["client", "protocol", "tests/simulation"]

[profile.dev]
debug = false

[profile.dev.package.simulation]
opt-level = 1
"#;

const CLIENT: &str = r#"[package]
name = "steady-socket"
version.workspace = true
edition.workspace = true

[dependencies]
steady-socket-protocol.workspace = true
"#;

const LIBRARY: &str = "//! The core alone.
extern crate alloc;
pub mod connection;
pub mod options;
pub use options::{OptionError, Options, Overflow};
";

fn main() -> ExitCode {
    let named = std::env::args().nth(1);
    match run(named.as_deref()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Tries all bugs, or those whose name contains `named`; whether each was found.
fn run(named: Option<&str>) -> io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let copy = target().join("mutants");
    set_up(&root, &copy)?;
    println!("Building the core as it is ...");
    let clean = build(&copy)? && search(&copy)?.is_none();
    if !clean {
        println!("The simulation does not pass on the core as it is: see to that first.");
        return Ok(false);
    }
    let mut tried = 0;
    let mut unfound = Vec::new();
    for bug in BUGS {
        if named.is_some_and(|named| !bug.name.contains(named)) {
            continue;
        }
        tried += 1;
        print!("{:55} ", bug.name);
        io::stdout().flush()?;
        let start = Instant::now();
        let verdict = try_bug(&root, &copy, bug)?;
        println!("{verdict} ({:.0} s)", start.elapsed().as_secs_f64());
        if !verdict.starts_with("found") {
            unfound.push(bug.name);
        }
    }
    println!("{} of {tried} planted bugs found", tried - unfound.len());
    for name in &unfound {
        println!("not found: {name}");
    }
    Ok(unfound.is_empty())
}

/// The folder of everything that is built.
fn target() -> PathBuf {
    // This program lies in `target/debug` or the like.
    std::env::current_exe()
        .ok()
        .and_then(|program| program.parent()?.parent().map(Path::to_owned))
        .unwrap_or_else(|| PathBuf::from("target"))
}

fn set_up(root: &Path, copy: &Path) -> io::Result<()> {
    for folder in ["client/src", "protocol/src", "tests/simulation/src"] {
        let to = copy.join(folder);
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
    }
    for folder in [
        "client/src/connection",
        "protocol/src",
        "tests/simulation/src",
    ] {
        copy_folder(&root.join(folder), &copy.join(folder))?;
    }
    for file in [
        "client/src/options.rs",
        "protocol/Cargo.toml",
        "tests/simulation/Cargo.toml",
        "Cargo.lock",
    ] {
        fs::copy(root.join(file), copy.join(file))?;
    }
    // Versions and dependencies as in the real workspace; other members and profiles are left out.
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let shared: Vec<&str> = manifest
        .split_inclusive("\n[")
        .filter(|section| {
            [
                "workspace.package]",
                "workspace.dependencies]",
                "workspace.lints",
            ]
            .iter()
            .any(|name| section.starts_with(name))
        })
        .map(|section| section.trim_end_matches('['))
        .collect();
    fs::write(
        copy.join("Cargo.toml"),
        format!("{WORKSPACE}\n[{}", shared.join("[")),
    )?;
    fs::write(copy.join("client/Cargo.toml"), CLIENT)?;
    fs::write(copy.join("client/src/lib.rs"), LIBRARY)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn try_bug(root: &Path, copy: &Path, bug: &Bug) -> io::Result<String> {
    let place = Path::new("client/src/connection").join(bug.file);
    let source = fs::read_to_string(root.join(&place))?;
    let places = source.matches(bug.from).count();
    if places != 1 {
        return Ok(format!("STALE: its place is found {places} times"));
    }
    let file = copy.join(&place);
    fs::write(&file, source.replacen(bug.from, bug.to, 1))?;
    let verdict = if build(copy)? {
        search(copy)?.map_or_else(|| "NOT FOUND".to_owned(), |line| format!("found: {line}"))
    } else {
        "STALE: it does not compile".to_owned()
    };
    fs::write(&file, source)?;
    Ok(verdict)
}

fn build(copy: &Path) -> io::Result<bool> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--bin", "simulate"])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .env("RUSTFLAGS", "-Awarnings")
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}

/// Runs the simulation; what it found, if anything.
fn search(copy: &Path) -> io::Result<Option<String>> {
    let output = Command::new(copy.join("target/debug/simulate"))
        .args(SEARCH)
        .stderr(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().skip_while(|line| !line.starts_with("FAILED"));
    let violation: String = lines
        .nth(2)
        .unwrap_or("no output")
        .chars()
        .take(90)
        .collect();
    Ok(Some(violation))
}
