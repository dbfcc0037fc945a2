//! Many native sessions against two processes, one of which restarts gracefully.
//!
//! Half of the sessions are at each process ([`server`]). One process is told to restart: it announces a window, closes its
//! connections and ends, and another one takes its port. Its clients come back spread over the window. Their sessions went
//! with the process's memory, so each client is told what became of its messages; a [`ledger`] of each checks that. The
//! sessions of the other process must notice nothing. Beside what was measured stands what the simulation of the herd
//! says.

mod crowd;
mod ledger;
mod report;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use lexopt::Arg;
use load::Result;
use load::arguments::number;
use load::process::raise_descriptor_limit;
use steady_socket::native;

use server::Process;

const HELP: &str = "\
Has one of two servers restart gracefully, and checks what its clients' sessions are told.

  --sessions N  how many, half of them at each server (2 to 10000, default 200)
  --window N    over how many seconds the clients are to come back (1 to 600, default 5)
  --help        this text
";

/// What a restarting process tells its clients to wait at least: it needs that long to be back.
const AWAY: Duration = Duration::from_secs(1);

struct Arguments {
    sessions: usize,
    window: Duration,
}

/// What the program is to do.
enum Role {
    Help,
    Measure(Arguments),
    /// Be one of the two servers, on a port.
    Serve(u16),
}

fn parse(parser: &mut lexopt::Parser) -> Result<Role> {
    let (mut sessions, mut seconds) = (200, 5);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Role::Help),
            Arg::Long("sessions") => sessions = number(parser, "--sessions", 2..=10_000)?,
            Arg::Long("window") => seconds = number(parser, "--window", 1..=600)?,
            // This program starts itself with it.
            Arg::Long("serve") => return Ok(Role::Serve(number(parser, "--serve", 0..=u16::MAX)?)),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Role::Measure(Arguments {
        sessions,
        window: Duration::from_secs(seconds),
    }))
}

fn main() -> ExitCode {
    let done = match parse(&mut lexopt::Parser::from_env()) {
        Ok(Role::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Role::Serve(port)) => server::serve(port),
        Ok(Role::Measure(arguments)) => {
            let run = || native::run(run(&arguments))?;
            run()
        }
        Err(error) => {
            eprintln!("error: {error}\n--help lists the options.");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    // Besides the connections, there are files, pipes and what a runtime needs.
    raise_descriptor_limit(arguments.sessions as u64 + 500)?;
    let mut restarting = Process::start(0).await?;
    let staying = Process::start(0).await?;
    let ports = [restarting.port(), staying.port()];
    let mut crowd = crowd::Crowd::connect(arguments.sessions, ports).await?;

    // Before the restart, during it and after it, all of them send.
    crowd.talk_for(crowd::SENDS_EVERY * 2).await;
    let window = AWAY..=AWAY + arguments.window;
    crowd.restart_begins();
    restarting.stop(&window)?;
    let given = crowd.talk_until(restarting.ended()).await?;
    let successor = Process::start(ports[0]).await?;
    crowd.successor_listens();
    crowd.talk_until_back().await?;
    crowd.talk_for(crowd::SENDS_EVERY * 2).await;
    crowd.wait_for_echoes().await?;
    drop((successor, staying));

    report::print(&crowd, &window, &given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Role> {
        parse(&mut lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn a_small_run_is_the_default_and_a_wrong_argument_is_named() {
        let Role::Measure(arguments) = parsed("").unwrap() else {
            panic!("it does not measure");
        };
        assert_eq!(arguments.sessions, 200);
        assert_eq!(arguments.window, Duration::from_secs(5));
        assert!(matches!(parsed("--help"), Ok(Role::Help)));
        for (line, part) in [
            ("--sessions 1", "from 2 to 10000"),
            ("--window 0", "from 1 to 600"),
            ("--fast", "--fast"),
        ] {
            let error = parsed(line).err().unwrap().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
