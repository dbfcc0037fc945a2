//! Runs the hello server for the tasks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::process::Running;
use crate::{Result, checkout, files, process};

/// The text before the address that the server prints to standard error when it accepts connections.
const READY: &str = "listening on http";

/// The time limit for that. It takes milliseconds; this protects against a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until this is dropped.
pub(crate) struct Server {
    running: Running,
    /// The common part of its URLs after `http` and `ws`: `://` and the address, after an `s` with TLS.
    rest_of_url: String,
}

/// Where the server's output goes.
pub(crate) enum Output<'a> {
    /// To the user.
    Shown,
    /// To a new file.
    Logged(&'a Path),
}

/// Compiles the server with its default features.
pub(crate) fn build() -> Result<()> {
    build_with(&[])
}

/// Compiles the server with all features that tests need. All parts of the tests use this build, or each
/// would rebuild it.
pub(crate) fn build_for_tests() -> Result<()> {
    build_with(&["--features", "tls"])
}

/// Compiles the server for speed, as a server is deployed, and returns the path of the program.
pub(crate) fn build_for_bench() -> Result<PathBuf> {
    checkout::build_fast(&["test-server"])?;
    checkout::fast_program("test-server")
}

fn build_with(features: &[&str]) -> Result<()> {
    // Without the profile's name: xtask itself also runs in cargo's default profile.
    let mut cargo = Command::new("cargo");
    process::run(
        cargo
            .args(["build", "--quiet", "--package", "test-server"])
            .args(features)
            .current_dir(checkout::root()),
    )
}

impl Server {
    /// Starts the server, which must have been built, and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// If it does not get that far, with its output.
    pub(crate) fn start(options: &[&str], output: Output) -> Result<Self> {
        Self::start_program(&checkout::built_program("test-server")?, options, output)
    }

    /// Like [`start`](Self::start), for a program other than the one that [`build`] made.
    ///
    /// # Errors
    ///
    /// See [`start`](Self::start).
    pub(crate) fn start_program(program: &Path, options: &[&str], output: Output) -> Result<Self> {
        let mut command = Command::new(program);
        // Cargo's configuration has defaults for a server started by hand; here everything is explicit.
        for variable in ["TEST_SERVER_ALLOW_ORIGIN", "TEST_SERVER_DEMO_CONTROL"] {
            command.env_remove(variable);
        }
        command
            .args(options)
            .current_dir(checkout::root())
            .stderr(Stdio::piped());
        let mut log = None;
        if let Output::Logged(path) = output {
            files::write(path, "")?;
            // Two writers, which both append.
            let open = || std::fs::OpenOptions::new().append(true).open(path);
            command.stdout(open()?);
            log = Some(open()?);
        }
        let mut running = Running::start(&mut command)?;
        let stderr = running
            .take_stderr()
            .ok_or("the server's standard error is not piped")?;

        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(|line| line.ok()) {
                // Neither a full disk nor a closed terminal is a reason to stop reading: the server would
                // block on the full pipe.
                let _ = match &mut log {
                    Some(log) => writeln!(log, "{line}"),
                    None => writeln!(std::io::stderr(), "{line}"),
                };
                let _ = sender.send(line);
            }
        });

        let mut said = String::new();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => match rest_of_url(&line) {
                    Some(rest) => {
                        let rest_of_url = rest.to_owned();
                        return Ok(Self {
                            running,
                            rest_of_url,
                        });
                    }
                    None => said.push_str(&format!("\n  {line}")),
                },
                Err(RecvTimeoutError::Disconnected) => {
                    let status = running.wait()?;
                    return Err(format!("the server did not start ({status}):{said}").into());
                }
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = PATIENCE.as_secs();
                    return Err(format!(
                        "the server accepted no connections within {seconds} s:{said}"
                    )
                    .into());
                }
            }
        }
    }

    /// The address for a browser, without a slash at the end.
    pub(crate) fn http(&self) -> String {
        format!("http{}", self.rest_of_url)
    }

    /// The address for a WebSocket, without a slash at the end.
    pub(crate) fn ws(&self) -> String {
        format!("ws{}", self.rest_of_url)
    }

    /// Waits until the server ends, which it does by itself only if something is wrong.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self.running.wait()?;
        Err(format!("the server ended ({status})").into())
    }

    /// Whether the server is still running.
    ///
    /// # Errors
    ///
    /// If it is not, with how it ended: a failing test then has a different cause than it reports.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.running.ended() {
            None => Ok(()),
            Some(status) => Err(format!("the server ended meanwhile ({status})").into()),
        }
    }
}

fn rest_of_url(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(READY)?;
    let start = rest.find("://")? + "://".len();
    let length = rest[start..].find(|c: char| c == '/' || c.is_whitespace());
    let end = length.map_or(rest.len(), |length| start + length);
    Some(&rest[..end]).filter(|_| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_that_says_that_it_listens() {
        for (line, rest) in [
            ("listening on http://127.0.0.1:8765", "://127.0.0.1:8765"),
            ("listening on http://127.0.0.1:8765/", "://127.0.0.1:8765"),
            (
                "now listening on https://127.0.0.1:8765/ (demo page)",
                "s://127.0.0.1:8765",
            ),
        ] {
            assert_eq!(rest_of_url(line), Some(rest), "{line}");
        }
        for line in ["starting", "listening on http", "listening on http://"] {
            assert_eq!(rest_of_url(line), None, "{line}");
        }
    }
}
