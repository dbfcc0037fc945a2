//! The fault server as a program; `--help` lists its options.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use faults::{Config, FaultServer};
use lexopt::Arg;
use test_server::program::{stop_signal, tell};

/// The environment variable that allows the pages of some origins, separated by spaces: the hello server's own,
/// because both serve the same pages.
const ALLOW_ORIGIN: &str = "TEST_SERVER_ALLOW_ORIGIN";

const HELP: &str = "\
fault-server: the hello server with faults on demand, and TCP proxies, for tests

Usage: fault-server [OPTIONS]

Faults are set over HTTP under /faults: see the README beside the source. The first line on the
standard error is `listening on http://ADDRESS:PORT/`.

  --host HOST            127.0.0.1, localhost or ::1, so that nobody else can reach it [default: 127.0.0.1]
  --port PORT            port to listen on, 0 picks a free one [default: 0]
  --allow-origin ORIGIN  let pages of this origin connect and use the control, exactly as written,
                         such as http://127.0.0.1:3000; may be repeated; the environment
                         variable TEST_SERVER_ALLOW_ORIGIN adds others, separated by spaces
                         [default: none]
  -h, --help             this text
";

fn main() -> ExitCode {
    let environment = std::env::var(ALLOW_ORIGIN).unwrap_or_default();
    let config = match parse(std::env::args_os().skip(1), &environment) {
        Ok(Some(config)) => config,
        Ok(None) => {
            let _ = io::stdout().write_all(HELP.as_bytes());
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

/// Parses the arguments; `None` requests help.
fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
    environment: &str,
) -> Result<Option<Config>, String> {
    let mut config = Config::default();
    let mut origins: Vec<String> = environment.split_whitespace().map(str::to_owned).collect();
    let mut parser = lexopt::Parser::from_args(arguments);
    let text = |parser: &mut lexopt::Parser| {
        let value = parser.value().map_err(|error| error.to_string())?;
        value
            .into_string()
            .map_err(|value| format!("{value:?} is not Unicode"))
    };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("host") => {
                let host = text(&mut parser)?;
                config.host = if host == "localhost" {
                    Ipv4Addr::LOCALHOST.into()
                } else {
                    host.parse::<IpAddr>().map_err(|_| {
                        format!("--host takes 127.0.0.1, localhost or ::1, not {host:?}")
                    })?
                };
            }
            Arg::Long("port") => {
                let port = text(&mut parser)?;
                config.port = port
                    .parse()
                    .map_err(|_| format!("--port takes a number from 0 to 65535, not {port:?}"))?;
            }
            Arg::Long("allow-origin") => origins.push(text(&mut parser)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    for origin in origins {
        config.allow_origins.push(
            origin.parse().map_err(|error| {
                format!("--allow-origin and {ALLOW_ORIGIN}: {origin:?}: {error}")
            })?,
        );
    }
    Ok(Some(config))
}

#[tokio::main]
async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let server = FaultServer::bind(config).await?;
    let stop = stop_signal()?;
    tell(&format!("listening on http://{}/", server.local_addr()));
    server.run(stop).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_explained() {
        let arguments = ["--host", "::1", "--port=9", "--allow-origin", "http://a"];
        let config = parse(arguments, "http://b http://c").unwrap().unwrap();
        assert_eq!((config.host.to_string().as_str(), config.port), ("::1", 9));
        assert_eq!(config.allow_origins.len(), 3);
        assert!(parse(["-h"], "").unwrap().is_none());
        for (arguments, expected) in [
            (&["--port", "x"][..], "from 0 to 65535"),
            (&["--host", "example.org"], "127.0.0.1, localhost or ::1"),
            (&["--allow-origin", "*"], "an origin is a scheme"),
            (&["--prot"], "--prot"),
        ] {
            let error = parse(arguments, "").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
