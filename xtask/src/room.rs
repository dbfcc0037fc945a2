//! A room over two server processes on one Redis, whose processes are killed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::process::Running;
use crate::server::{Output, Server};
use crate::{Result, both, checkout, demo, files, package, ports, process, say, server, tools};

/// How long to wait before a process that does not start is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// Kills processes so many times, with native clients, and then their Redis.
///
/// # Errors
///
/// If anything was lost, repeated or out of order.
pub(crate) fn kills(kills: u32) -> Result<()> {
    tools::redis::ensure()?;
    let package = ["--package", "steady-socket-server", "--all-features"];
    let test =
        "room::nothing_in_a_room_is_missing_repeated_or_out_of_order_when_processes_are_killed";
    process::run(
        Command::new("cargo")
            .args(["test", "--quiet"])
            .args(package)
            .args(["--test", "redis", test, "--", "--exact", "--nocapture"])
            .env("STEADY_SOCKET_KILLS", kills.to_string())
            .current_dir(checkout::root()),
    )
}

/// Builds the program of a process, and returns its path.
///
/// # Errors
///
/// If it does not compile.
pub(crate) fn build() -> Result<PathBuf> {
    process::run(
        Command::new("cargo")
            .args(["build", "--quiet", "--package", "steady-socket-server"])
            .args(["--example", "room", "--features", "axum,json,redis"])
            .current_dir(checkout::root()),
    )?;
    checkout::built_program("examples/room")
}

/// Builds what is outdated, then serves the page with two chats until it is stopped. A process that is killed is started
/// again.
///
/// # Errors
///
/// If a build fails, or Redis or a server does not run.
pub(crate) fn demo(port: u16) -> Result<()> {
    ports::check(port)?;
    tools::redis::ensure()?;
    let room = build()?;
    both(server::build, package::build)?;
    let page = demo::assemble_page()?;
    let port = port.to_string();
    let [redis_port, one, two] = free_ports()?;
    let [to_one, to_two] = [one, two].map(|port| format!("http://127.0.0.1:{port}"));
    let www = page.to_string_lossy();
    let options = [
        ["--port", &*port],
        ["--www", &*www],
        ["--connect-to", &*to_one],
        ["--connect-to", &*to_two],
    ];
    let pages = Server::start(options.as_flattened(), Output::Shown)?;
    let _redis = start_redis(redis_port)?;
    let redis = format!("redis://127.0.0.1:{redis_port}/");
    for port in [one, two] {
        let (room, redis, origin) = (room.clone(), redis.clone(), pages.http());
        let start = move || start(&room, &redis, port, &origin);
        let mut process = start()?;
        thread::spawn(move || {
            loop {
                // It says how it ended, and that is shown to be the point.
                let _ = process.wait();
                process = loop {
                    match start() {
                        Ok(process) => break process,
                        Err(error) => say(error),
                    }
                    thread::sleep(AGAIN);
                };
            }
        });
    }
    say(format_args!(
        "open {}/room.html?servers={one},{two} in a browser; Ctrl-C stops all",
        pages.http()
    ));
    pages.wait()
}

fn start(room: &Path, redis: &str, port: u16, origin: &str) -> Result<Server> {
    let port = port.to_string();
    Server::start_program(room, &[redis, &port, origin], Output::Shown)
}

/// Different ports that are free at the moment.
fn free_ports() -> Result<[u16; 3]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [listen()?, listen()?, listen()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// One that loses nothing when it is killed.
fn start_redis(port: u16) -> Result<Running> {
    let folder = checkout::path("target/room-redis");
    files::remove_folder(&folder)?;
    std::fs::create_dir_all(&folder)?;
    Running::start(
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always"])
            .current_dir(&folder)
            .stdout(Stdio::null()),
    )
}
