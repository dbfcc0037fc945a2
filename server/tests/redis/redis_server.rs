//! A Redis server of its own for a test.

use std::fs::OpenOptions;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running `redis-server` on a free port, with a folder of its own. Both are gone when it is dropped.
pub(crate) struct RedisServer {
    process: Child,
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts one that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--appendonly", "no"])
    }

    /// Starts one with these arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("steady-socket-redis-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        // Another program may take the port in between.
        for _ in 0..10 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let mut process = spawn(port, &folder, &arguments);
            if answers(&mut process, port) {
                return Self {
                    process,
                    port,
                    folder,
                    arguments,
                };
            }
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("redis-server does not start:\n{log}");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, after a [`kill`](Self::kill).
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.folder, &self.arguments);
        assert!(answers(&mut self.process, self.port), "it starts again");
    }

    /// Removes all that it has written to disk.
    pub(crate) fn remove_files(&self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        std::fs::create_dir_all(&self.folder).unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("these tests need redis-server, which `cargo xtask test native` installs")
}

/// Whether it takes connections; not if it ends first.
fn answers(process: &mut Child, port: u16) -> bool {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
