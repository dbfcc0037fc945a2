//! The hello server as a program; `--help` lists its options.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use test_server::program::{stop_signal, tell};
use test_server::{Config, Server, Stopped};

fn main() -> ExitCode {
    let config = match cli::parse(std::env::args_os().skip(1), |name| std::env::var(name).ok()) {
        Ok(cli::Request::Serve(config)) => *config,
        Ok(cli::Request::Help) => {
            let _ = io::stdout().write_all(cli::help().as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            tell(&format!("error: {error}\n--help lists the options."));
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
        cut => format!("stopped; connections dropped because they did not close in time: {cut}"),
    });
    Ok(())
}
