//! Child processes, none of which outlives xtask.
//!
//! Every child leads its own process group, which its descendants join: `cargo`, the test runner, the driver
//! and the browser below one `wasm-pack`. The terminal's Ctrl-C therefore reaches only xtask, and xtask stops
//! the groups: on SIGINT, SIGTERM and SIGHUP, when a task fails, and when it panics.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::{Result, files};

/// How long a group may take to end after SIGTERM, before SIGKILL. In this time, Node closes its browsers and
/// the hello server its connections, for which it allows itself five seconds.
const GRACE: Duration = Duration::from_secs(8);

static GROUPS: Mutex<Groups> = Mutex::new(Groups {
    running: Vec::new(),
    stopping: false,
});

struct Groups {
    running: Vec<Pid>,
    /// A signal has arrived: no more children may start.
    stopping: bool,
}

fn groups() -> MutexGuard<'static, Groups> {
    // Both fields are valid at every moment, so a panic elsewhere is no reason to leave processes behind.
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, a stop signal ends all children and then xtask, with this exit code.
///
/// # Errors
///
/// If the operating system rejects the handler.
pub(crate) fn stop_all_on_signal(exit_code: i32) -> Result<()> {
    ctrlc::set_handler(move || {
        let running = {
            let mut groups = groups();
            groups.stopping = true;
            groups.running.clone()
        };
        eprintln!();
        crate::say("stopping");
        stop(&running);
        std::process::exit(exit_code)
    })?;
    Ok(())
}

/// Returns at once, unless a stop signal has arrived: then its handler has the last word, and the failure of
/// a child that it stopped needs no report.
pub(crate) fn yield_to_signal() {
    while groups().stopping {
        thread::park();
    }
}

/// Ends groups: first with SIGTERM, then with SIGKILL.
fn stop(running: &[Pid]) {
    for &group in running {
        // It can only fail because the group is gone, which is the goal.
        let _ = killpg(group, Signal::SIGTERM);
    }
    let deadline = Instant::now() + GRACE;
    while running.iter().any(|&group| is_alive(group)) {
        if Instant::now() >= deadline {
            for &group in running {
                let _ = killpg(group, Signal::SIGKILL);
            }
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_alive(group: Pid) -> bool {
    // A child that has ended stays in its group until it is waited for.
    let _ = waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG));
    killpg(group, None).is_ok()
}

/// A running child with its group; dropping it ends them all.
pub(crate) struct Running {
    child: Child,
    group: Pid,
    line: String,
}

impl Running {
    /// Starts a command without standard input; its output goes where the command directs it.
    ///
    /// # Errors
    ///
    /// If the program does not exist, with its name.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let line = line(command);
        command.stdin(Stdio::null()).process_group(0);
        // Held during the start, so that no signal falls between it and the entry in the list.
        let mut groups = groups();
        if groups.stopping {
            drop(groups);
            yield_to_signal();
            return Err("interrupted".into());
        }
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start `{line}`: {error}"))?;
        // Process ids are positive and fit: Unix defines them so.
        let group = Pid::from_raw(child.id().cast_signed());
        groups.running.push(group);
        Ok(Self { child, group, line })
    }

    /// The standard error stream, if the command pipes it and nobody has taken it yet.
    pub(crate) fn take_stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits until the child ends.
    ///
    /// # Errors
    ///
    /// If the operating system does not report how it ended.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait();
        yield_to_signal();
        status.map_err(|error| format!("cannot wait for `{}`: {error}", self.line).into())
    }

    /// How the child ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not only the child: a killed test runner leaves its browser behind.
        stop(&[self.group]);
        groups().running.retain(|&group| group != self.group);
    }
}

/// Runs a command to its end, showing its output.
///
/// # Errors
///
/// If it cannot be started or does not succeed, with the command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut running = Running::start(command)?;
    let status = running.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(failure(&running.line, status).into())
    }
}

/// Sends both output streams of a command to a new file.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn log_to(command: &mut Command, log: &Path) -> Result<()> {
    files::write(log, "")?;
    let file = File::options().append(true).open(log)?;
    command
        .stdout(Stdio::from(file.try_clone()?))
        .stderr(Stdio::from(file));
    Ok(())
}

/// Runs a command to its end and returns its standard output, trimmed. Its standard error is shown only if it
/// fails, in the error.
///
/// # Errors
///
/// If it cannot be started or does not succeed, with the command line.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let line = line(command);
    // Only for short queries to tools, so the group needs no entry in the list.
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot start `{line}`: {error}"))?;
    yield_to_signal();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}\n{}", failure(&line, output.status), errors.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn failure(line: &str, status: ExitStatus) -> String {
    format!("`{line}` failed ({status})")
}

/// The command as the user could type it, except for the environment.
fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@,+".contains(c);
        let result = if !argument.is_empty() && argument.chars().all(plain) {
            write!(line, " {argument}")
        } else {
            write!(line, " '{}'", argument.replace('\'', r"'\''"))
        };
        result.expect("writing to a String never fails");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_tells_the_command_and_its_exit_code() {
        let error = run(&mut shell("exit 3")).unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 3'"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn captured_output_is_trimmed_and_errors_are_kept() {
        assert_eq!(capture(&mut shell("echo ' x '")).unwrap(), "x");
        let error = capture(&mut shell("echo why >&2; false"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("why"), "{error}");
    }

    #[test]
    fn dropping_a_child_ends_its_descendants_too() {
        let mut command = shell("sleep 1000 & echo started >&2; wait");
        let mut running = Running::start(command.stderr(Stdio::piped())).unwrap();
        let mut stderr = running.take_stderr().unwrap();
        let mut seen = [0; 8];
        std::io::Read::read_exact(&mut stderr, &mut seen).unwrap();
        let group = running.group;
        drop(running);
        assert!(!groups().running.contains(&group));
        // Ends only when the last process that holds the stream has ended, including the sleeper.
        std::io::Read::read_to_end(&mut stderr, &mut Vec::new()).unwrap();
    }

    #[test]
    fn arguments_are_quoted_where_a_shell_needs_it() {
        let mut command = Command::new("a");
        command.args(["--b=1", "c d", "it's", ""]);
        assert_eq!(line(&command), r"a --b=1 'c d' 'it'\''s' ''");
    }
}
