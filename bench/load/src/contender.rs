//! The measured servers, as processes.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Result;

/// How long a server may take to report where it listens. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hello server, and how to start it.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Its name in the results.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where it prints its port, in a line that ends with the number.
    pub tells_by: Output,
}

/// A program's output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A listening server; dropping this ends it.
pub struct Running {
    process: Child,
    address: String,
}

impl Contender {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If it does not get as far as reporting its port.
    pub fn start(&self) -> Result<Running> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        // The server's output is not read after the first line, and must not fill a pipe.
        command.stdout(match self.tells_by {
            Output::Stdout => Stdio::piped(),
            Output::Stderr => Stdio::null(),
        });
        if self.tells_by == Output::Stderr {
            command.stderr(Stdio::piped());
        }
        let process = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        // From here on, it is ended in any case.
        let mut running = Running {
            process,
            address: String::new(),
        };
        let process = &mut running.process;
        let said: Option<Box<dyn Read + Send>> = match self.tells_by {
            Output::Stdout => process.stdout.take().map(|it| Box::new(it) as _),
            Output::Stderr => process.stderr.take().map(|it| Box::new(it) as _),
        };
        let said = said.ok_or("the server's output is not piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut said = BufReader::new(said);
            let mut line = String::new();
            let _ = said.read_line(&mut line);
            let _ = sender.send(line);
            // Keep reading, so that it never blocks.
            let _ = std::io::copy(&mut said, &mut std::io::sink());
        });
        let line = lines.recv_timeout(PATIENCE).map_err(|_| {
            format!(
                "{} did not say where it listens within {PATIENCE:?}",
                self.name
            )
        })?;
        let port = port_of(&line)
            .ok_or_else(|| format!("{} said {line:?}, which names no port", self.name))?;
        running.address = format!("127.0.0.1:{port}");
        Ok(running)
    }
}

impl Running {
    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has nothing to lose, and its clients are gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The number at the end of a line; a URL's slash may follow.
fn port_of(line: &str) -> Option<u16> {
    let line = line.trim_end().trim_end_matches('/');
    let digits = line.rsplit(|it: char| !it.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|&port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, tells_by: Output) -> Contender {
        Contender {
            name: "a shell",
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            tells_by,
        }
    }

    #[test]
    fn the_port_stands_at_the_end_of_the_line() {
        for line in [
            "8765\n",
            "listening on http://127.0.0.1:8765/\n",
            "port 8765",
        ] {
            assert_eq!(port_of(line), Some(8765), "{line:?}");
        }
        for line in ["", "8765 is it", "port 0", "port 65536", "é"] {
            assert_eq!(port_of(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_server_is_known_by_its_line_and_ends_with_its_handle() {
        for (script, tells_by) in [
            ("echo 4711; exec sleep 600", Output::Stdout),
            (
                "echo not this; echo on 4711/ >&2; exec sleep 600",
                Output::Stderr,
            ),
        ] {
            let running = shell(script, tells_by).start().unwrap();
            assert_eq!(running.address(), "127.0.0.1:4711");
            let id = running.id();
            drop(running);
            assert!(crate::process::memory(id).is_err());
        }
    }

    #[test]
    fn a_server_that_does_not_come_so_far_is_named() {
        let error = |contender: Contender| contender.start().err().unwrap().to_string();
        assert!(error(shell("exit 1", Output::Stdout)).contains("a shell said \"\""));
        let missing = Contender {
            program: "no-such-program".into(),
            ..shell("", Output::Stdout)
        };
        assert!(error(missing).contains("no-such-program"));
    }
}
