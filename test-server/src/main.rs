//! The hello server as a program; `--help` tells its options.

mod cli;

use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use test_server::{Config, Server, Stopped};

fn main() -> ExitCode {
    let config = match cli::parse(std::env::args_os().skip(1), |name| std::env::var(name).ok()) {
        Ok(cli::Request::Serve(config)) => *config,
        Ok(cli::Request::Help) => {
            let _ = io::stdout().write_all(cli::help().as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            tell(&format!("error: {error}\n--help tells the options."));
            return ExitCode::from(2);
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind(config).await?;
    let stop = stop_signal()?;
    tell(&format!("listening on {}", server.url()));
    if let Some(fingerprint) = server.fingerprint() {
        tell(&format!("certificate SHA-256 {}", fingerprint.certificate));
        tell(&format!("public key SHA-256 {}", fingerprint.public_key));
    }
    let Stopped { cut } = server.run(stop).await;
    tell(&match cut {
        0 => "stopped".to_owned(),
        cut => format!("stopped; connections that did not close in time: {cut}"),
    });
    Ok(())
}

/// Writes a line to the standard error. Unlike `eprintln!` it does not panic if nobody reads there
/// any more, for that must not end the server.
fn tell(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Ready when the process is asked to end: by Ctrl-C, or by SIGTERM. From the call on, the signals
/// no longer end the process at once.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready when the process is asked to end by Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the system ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
