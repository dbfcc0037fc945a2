//! The command line.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::Arg;
use test_server::{Certificate, Config, Transcript};

/// The request that the command line makes.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Serve(Box<Config>),
}

/// The environment variable that allows the pages of some origins, like `--allow-origin`; separated by
/// spaces.
pub(crate) const ALLOW_ORIGIN: &str = "TEST_SERVER_ALLOW_ORIGIN";

/// The environment variable that works like `--demo-control` if it is `1`.
pub(crate) const DEMO_CONTROL: &str = "TEST_SERVER_DEMO_CONTROL";

/// Parses the arguments, without the program's name. `environment` returns the value of a variable.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Request, UsageError> {
    let mut config = Config {
        transcript: Transcript::stdout(),
        ..Config::default()
    };
    for origin in environment(ALLOW_ORIGIN)
        .iter()
        .flat_map(|origins| origins.split_whitespace())
    {
        config.allow_origins.push(origin.parse().map_err(|_| {
            UsageError(format!(
                "{ALLOW_ORIGIN} takes origins such as https://app.example, separated by spaces, \
                 not {origin:?}"
            ))
        })?);
    }
    config.demo_control = match environment(DEMO_CONTROL).as_deref() {
        None | Some("" | "0") => false,
        Some("1") => true,
        Some(other) => {
            return Err(UsageError(format!(
                "{DEMO_CONTROL} takes 1 or 0, not {other:?}"
            )));
        }
    };
    let (mut tls, mut tls_certificate, mut tls_key) = (false, None, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long("host") => {
                config.host = value(&mut parser, "--host", "an address or a name")?
            }
            Arg::Long("port") => {
                config.port = value(&mut parser, "--port", "a number from 0 to 65535")?
            }
            Arg::Long("www") => config.www = PathBuf::from(parser.value()?),
            Arg::Long("connect-to") => {
                let accepted = "an origin such as http://127.0.0.1:8080";
                let origin = value(&mut parser, "--connect-to", accepted)?;
                config.connect_to.push(origin);
            }
            Arg::Long("allow-origin") => {
                let origin = value(
                    &mut parser,
                    "--allow-origin",
                    "an origin such as https://app.example",
                )?;
                config.allow_origins.push(origin);
            }
            Arg::Long("require-origin") => config.require_origin = true,
            Arg::Long("max-message-bytes") => {
                config.max_message_bytes =
                    value(&mut parser, "--max-message-bytes", "a number of bytes")?;
            }
            Arg::Long("max-connections") => {
                config.max_connections = value(&mut parser, "--max-connections", "a number")?;
            }
            Arg::Long("handshake-timeout") => {
                config.handshake_timeout = seconds(&mut parser, "--handshake-timeout")?;
            }
            Arg::Long("idle-timeout") => {
                config.idle_timeout = seconds(&mut parser, "--idle-timeout")?
            }
            Arg::Long("ping-interval") => {
                config.ping_interval = seconds(&mut parser, "--ping-interval")?
            }
            Arg::Long("close-timeout") => {
                config.close_timeout = seconds(&mut parser, "--close-timeout")?
            }
            Arg::Long("shutdown-timeout") => {
                config.shutdown_timeout = seconds(&mut parser, "--shutdown-timeout")?;
            }
            Arg::Long("tls") => tls = true,
            Arg::Long("tls-cert") => tls_certificate = Some(PathBuf::from(parser.value()?)),
            Arg::Long("tls-key") => tls_key = Some(PathBuf::from(parser.value()?)),
            Arg::Long("demo-control") => config.demo_control = true,
            Arg::Long("quiet") => config.transcript = Transcript::none(),
            other => return Err(other.unexpected().into()),
        }
    }
    config.tls = match (tls, tls_certificate, tls_key) {
        (false, None, None) => None,
        (true, None, None) => Some(Certificate::SelfSigned),
        (true, Some(certificate), Some(key)) => Some(Certificate::Files { certificate, key }),
        (true, ..) => {
            return Err(UsageError(
                "--tls-cert and --tls-key go together: pass both, or neither for a certificate \
                 generated at start-up"
                    .to_owned(),
            ));
        }
        (false, ..) => {
            return Err(UsageError("--tls-cert and --tls-key need --tls".to_owned()));
        }
    };
    config
        .validate()
        .map_err(|invalid| UsageError(invalid.to_string()))?;
    Ok(Request::Serve(Box::new(config)))
}

/// Parses an option's value; `accepted` says in the error what the option takes.
fn value<T: FromStr>(
    parser: &mut lexopt::Parser,
    option: &str,
    accepted: &str,
) -> Result<T, UsageError> {
    let value = parser.value()?;
    let parsed = value
        .to_str()
        .filter(|text| !text.is_empty())
        .and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| UsageError(format!("{option} takes {accepted}, not {value:?}")))
}

fn seconds(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, UsageError> {
    let accepted = "a number of seconds, such as 20 or 0.5";
    let seconds: f64 = value(parser, option, accepted)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| UsageError(format!("{option} takes {accepted}, not {seconds}")))
}

/// The arguments are invalid.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

/// The text of `--help`, with the current defaults.
pub(crate) fn help() -> String {
    let Config {
        host,
        port,
        www,
        max_message_bytes,
        max_connections,
        handshake_timeout,
        idle_timeout,
        ping_interval,
        close_timeout,
        shutdown_timeout,
        ..
    } = Config::default();
    let seconds = |duration: Duration| duration.as_secs_f64();
    format!(
        "\
test-server: the hello server, the other end of steady-socket's demo page and tests

Usage: test-server [OPTIONS]

A WebSocket client sends a name as a text message and gets the reply `Hello NAME!`, for any number
of names. Names and replies are written to the standard output, everything else to the standard
error; its first line is `listening on http://ADDRESS:PORT/`, or https with --tls. Ctrl-C stops the
server gracefully: every client gets a Close with code 1001.

Endpoints:
  /       plain hello; a browser's GET shows the demo page
  /hello  typed hello, sub-protocols hello.json and hello.msgpack
  /echo   sends every message back
  /session/hello, /session/echo
          the same in a session, without loss when the connection breaks
  /session/room
          what one client says, all receive in one order, in a session

Where:
  --host HOST                address or name to listen on [default: {host}]
  --port PORT                port to listen on, 0 picks a free one [default: {port}]
  --www FOLDER               the built demo page [default: {www}]
  --connect-to ORIGIN        let the demo page connect to this origin, too, such as
                             http://127.0.0.1:8080, by HTTP and WebSocket; may be repeated
                             [default: none]
  --quiet                    do not log names and replies, which takes time if there are many
                             [default: off]

TLS, in a build with `--features tls`:
  --tls                      serve https and wss only, with a self-signed certificate for localhost,
                             127.0.0.1 and ::1, generated at start-up; its SHA-256 and that of its
                             public key, in the form of Chromium's
                             --ignore-certificate-errors-spki-list, are written to the standard
                             error [default: off]
  --tls-cert FILE            use this certificate and its chain instead, in PEM [default: none]
  --tls-key FILE             the certificate's private key, in PEM [default: none]

Who may connect (pages of this server always may, if it is reached by IP address or as localhost):
  --allow-origin ORIGIN      let pages of this origin connect, exactly as written, such as
                             https://app.example; may be repeated [default: none]
  --require-origin           refuse clients that send no Origin, as most programs other than
                             browsers do [default: off]

Limits (times in seconds, 0.5 is half a second):
  --max-message-bytes BYTES  largest message and frame, from {bytes_from} to {bytes_to}; a larger one
                             ends the connection with 1009 [default: {max_message_bytes}]
  --max-connections COUNT    open WebSockets, from {connections_from} to {connections_to}; any more get a 503
                             [default: {max_connections}]
  --handshake-timeout TIME   for a client to send its request [default: {handshake}]
  --idle-timeout TIME        without any frame from the client, then Close 1001 [default: {idle}]
  --ping-interval TIME       between pings to the client, less than the idle timeout
                             [default: {ping}]
  --close-timeout TIME       for a client to answer a Close [default: {close}]
  --shutdown-timeout TIME    for all clients to leave when the server stops [default: {shutdown}]

For the demo and the tests:
  --demo-control             POST /control/cut?id=ID drops the connections opened with ?id=ID in
                             their URL; with &code=CODE&reason=TEXT it sends them that Close
                             [default: off]

Environment variables work, too: {ALLOW_ORIGIN} takes origins separated by
spaces, and {DEMO_CONTROL}=1 turns the control on. In a checkout, `cargo run`
sets both for the browser tests (see .cargo/config.toml).

  -h, --help                 this text
",
        www = www.display(),
        bytes_from = Config::MESSAGE_BYTES.start(),
        bytes_to = Config::MESSAGE_BYTES.end(),
        connections_from = Config::CONNECTIONS.start(),
        connections_to = Config::CONNECTIONS.end(),
        handshake = seconds(handshake_timeout),
        idle = seconds(idle_timeout),
        ping = seconds(ping_interval),
        close = seconds(close_timeout),
        shutdown = seconds(shutdown_timeout),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn config(arguments: &[&str]) -> Config {
        match parse(arguments, nothing).unwrap() {
            Request::Serve(config) => *config,
            Request::Help => panic!("help"),
        }
    }

    #[test]
    fn every_option_is_read() {
        let config = config(&[
            "--host",
            "::1",
            "--port=0",
            "--www",
            "x",
            "--connect-to",
            "http://c:2",
            "--allow-origin",
            "http://a",
            "--allow-origin",
            "http://b:1",
            "--require-origin",
            "--max-message-bytes",
            "1000",
            "--max-connections",
            "7",
            "--handshake-timeout",
            "1",
            "--idle-timeout",
            "9",
            "--ping-interval",
            "0.5",
            "--close-timeout",
            "3",
            "--shutdown-timeout",
            "4",
            "--demo-control",
            "--quiet",
        ]);
        let origins: Vec<_> = config
            .allow_origins
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(origins, ["http://a", "http://b:1"]);
        assert_eq!(config.connect_to, ["http://c:2".parse().unwrap()]);
        assert_eq!(
            (config.host.as_str(), config.port, config.www),
            ("::1", 0, "x".into())
        );
        assert_eq!(
            (config.max_message_bytes, config.max_connections),
            (1000, 7)
        );
        assert_eq!(config.handshake_timeout, Duration::from_secs(1));
        assert_eq!(config.idle_timeout, Duration::from_secs(9));
        assert_eq!(config.ping_interval, Duration::from_millis(500));
        assert_eq!(config.close_timeout, Duration::from_secs(3));
        assert_eq!(config.shutdown_timeout, Duration::from_secs(4));
        assert!(config.require_origin && config.demo_control);
        assert_eq!(format!("{:?}", config.transcript), "Transcript(off)");
    }

    #[test]
    fn a_certificate_is_made_or_read() {
        assert_eq!(config(&[]).tls, None);
        assert_eq!(config(&["--tls"]).tls, Some(Certificate::SelfSigned));
        let files = ["--tls", "--tls-cert", "c.pem", "--tls-key", "k.pem"];
        assert_eq!(
            config(&files).tls,
            Some(Certificate::Files {
                certificate: "c.pem".into(),
                key: "k.pem".into()
            })
        );
    }

    #[test]
    fn mistakes_are_explained() {
        let cases: [(&[&str], &str); 11] = [
            (
                &["--port", "65536"],
                "--port takes a number from 0 to 65535, not \"65536\"",
            ),
            (&["--port"], "--port"),
            (
                &["--host", ""],
                "--host takes an address or a name, not \"\"",
            ),
            (
                &["--allow-origin", "localhost"],
                "an origin such as https://app.example",
            ),
            (
                &["--idle-timeout", "-1"],
                "a number of seconds, such as 20 or 0.5, not -1",
            ),
            (&["--idle-timeout", "NaN"], "a number of seconds"),
            (&["--ping-interval", "60"], "shorter than the idle timeout"),
            (&["--tls", "--tls-cert", "c.pem"], "go together"),
            (&["--tls-cert", "c.pem", "--tls-key", "k.pem"], "need --tls"),
            (&["--prot", "1"], "--prot"),
            (&["8765"], "8765"),
        ];
        for (arguments, expected) in cases {
            let error = parse(arguments, nothing).unwrap_err().to_string();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn help_wins_and_fits_a_terminal() {
        assert!(matches!(
            parse(["--port", "0", "-h"], nothing),
            Ok(Request::Help)
        ));
        for line in help().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn the_environment_is_read_as_strictly_as_the_arguments() {
        let with = |name: &'static str, value: &'static str| {
            parse([""; 0], move |asked| {
                (asked == name).then(|| value.to_owned())
            })
        };
        let Ok(Request::Serve(config)) = with(ALLOW_ORIGIN, "http://a  http://b:1") else {
            panic!("two origins");
        };
        assert_eq!(config.allow_origins.len(), 2);
        assert!(!config.demo_control);
        let Ok(Request::Serve(config)) = with(DEMO_CONTROL, "1") else {
            panic!("on");
        };
        assert!(config.demo_control);
        assert!(with(DEMO_CONTROL, "yes").is_err());
        assert!(with(ALLOW_ORIGIN, "a").is_err());
    }
}
