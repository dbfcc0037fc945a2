//! The project's own task runner: `cargo xtask demo`, `cargo xtask test` and what they need.
//!
//! It installs the tools that a task needs before it runs the task (`tools`). Everything that it downloads or
//! builds goes into `target/`, except the compiler's wasm32 target, which rustup keeps,
//! and packages of the operating system, which it installs only as root on Debian and otherwise only names.

#[cfg(not(unix))]
compile_error!("xtask stops its servers and browsers by Unix signals; on Windows, use WSL");

mod arguments;
mod bench;
mod checkout;
mod demo;
mod esbuild;
mod files;
mod fuzz;
mod load;
mod minimum;
mod mutants;
mod package;
mod page_server;
mod planted;
mod ports;
mod process;
mod promises;
mod room;
mod server;
mod simulate;
mod size;
mod test;
mod tools;
mod versions;
mod wasm_program;

use std::process::ExitCode;

use arguments::Command;

/// The result of a task. An error's text is shown to the user verbatim, so it says what was wrong and what to
/// do.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Runs two tasks in parallel and fails if either does. On a fresh machine, the tools take a minute or two to
/// compile and leave a third of two cores idle; later it makes no difference.
fn both<A: Send, B>(
    first: impl FnOnce() -> Result<A> + Send,
    second: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        let first = first
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((first?, second?))
    })
}

/// Announces to the user what happens next, distinct from the output of the tools.
fn say(message: impl std::fmt::Display) {
    eprintln!("[xtask] {message}");
}

fn main() -> ExitCode {
    let command = match arguments::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    // Stopping is how a demo ends, but it interrupts everything else.
    let interrupted = match command {
        Command::Demo { .. } => 0,
        _ => 130,
    };
    match process::stop_all_on_signal(interrupted).and_then(|()| run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::yield_to_signal();
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Help => {
            println!("{}", arguments::USAGE);
            Ok(())
        }
        Command::Setup { all } => {
            tools::for_package()?;
            if all {
                test::set_up()?;
            }
            say("all there");
            Ok(())
        }
        Command::Demo { port, chat: false } => demo::run(port),
        Command::Demo { port, chat: true } => room::demo(port),
        Command::Package => {
            package::build()?;
            size::print_package()
        }
        Command::Test { parts, busy } => test::run(&parts, busy),
        Command::Planted(options) => planted::run(&options),
        Command::Mutants { since } => mutants::run(&since),
        Command::Promises => promises::write(),
        Command::Simulate { arguments } => simulate::run(&arguments),
        Command::Size(options) => size::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Soak { seconds, seed } => test::soak(seconds, seed),
        Command::Kills {
            kills,
            pages: false,
        } => room::kills(kills),
        Command::Kills { kills, pages: true } => test::kills_in_pages(kills),
        Command::Load { sessions, seconds } => load::run(sessions, seconds),
        Command::Restart { sessions, window } => load::restart(sessions, window),
        Command::Store { rounds, kills } => load::store(rounds, kills),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref()),
    }
}
