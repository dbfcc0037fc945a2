//! The configuration, with every default and range.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steady_socket_server::InvalidOptions;

use crate::Origin;

/// The configuration of a [`Server`](crate::Server).
#[derive(Debug, Clone)]
pub struct Config {
    /// The address or host name to listen on.
    pub host: String,
    /// The port to listen on; 0 picks a free one.
    pub port: u16,
    /// The folder with the demo page. It need not exist: the page then explains how to build it.
    pub www: PathBuf,
    /// Origins that the demo page may connect to, besides the server's own; a WebSocket's as `http` or `https`.
    pub connect_to: Vec<Origin>,
    /// Origins that may connect, besides the server's own.
    pub allow_origins: Vec<Origin>,
    /// Whether to refuse clients that send no `Origin`, as programs other than browsers do.
    pub require_origin: bool,
    /// The largest message and frame to accept, in bytes, in [`MESSAGE_BYTES`](Self::MESSAGE_BYTES). A larger
    /// one ends the connection with 1009.
    pub max_message_bytes: usize,
    /// The maximum number of open WebSocket connections, in [`CONNECTIONS`](Self::CONNECTIONS). Further
    /// handshakes are answered with 503. Each connection takes 10 to 17 KiB of memory (less when there are
    /// more) and a file descriptor.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request, or to read more of an HTTP response, before
    /// it is disconnected.
    pub handshake_timeout: Duration,
    /// A connection on which no frame arrives for this long is closed with 1001. The answer to the server's
    /// own ping is a frame.
    pub idle_timeout: Duration,
    /// The time between the server's pings; shorter than `idle_timeout`.
    pub ping_interval: Duration,
    /// How long to wait for a client's own Close after the server has sent one.
    pub close_timeout: Duration,
    /// How long a stop waits for the open connections before it drops them.
    pub shutdown_timeout: Duration,
    /// The certificate for TLS, which restricts the server to `https` and `wss`; `None` serves `http` and
    /// `ws`. A build without the feature `tls` cannot start with one.
    pub tls: Option<Certificate>,
    /// Whether to serve `POST /control/cut`, with which a page or a test ends its own connections.
    pub demo_control: bool,
    /// Where `< NAME` and `> Hello NAME!` are logged.
    pub transcript: Transcript,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8765,
            www: PathBuf::from("target/www"),
            connect_to: Vec::new(),
            allow_origins: Vec::new(),
            require_origin: false,
            max_message_bytes: 64 * 1024,
            max_connections: 1000,
            handshake_timeout: Duration::from_secs(10),
            // Two and a half times the interval: a busy browser may lose or delay two pings.
            idle_timeout: Duration::from_secs(50),
            ping_interval: Duration::from_secs(20),
            close_timeout: Duration::from_secs(2),
            shutdown_timeout: Duration::from_secs(5),
            tls: None,
            demo_control: false,
            transcript: Transcript::none(),
        }
    }
}

impl Config {
    /// The range of `max_message_bytes`. With less, a ping, which may have 125 bytes, would not fit.
    pub const MESSAGE_BYTES: std::ops::RangeInclusive<usize> = 128..=16 * 1024 * 1024;

    /// How long a connection may use HTTP before it has to become a WebSocket. The client then has
    /// [`handshake_timeout`](Self::handshake_timeout) to read the response in progress.
    pub const HTTP_TIME: Duration = Duration::from_secs(60);

    /// The range of `max_connections`.
    pub const CONNECTIONS: std::ops::RangeInclusive<usize> = 1..=1_000_000;

    /// Checks what the types alone do not guarantee.
    ///
    /// # Errors
    ///
    /// The first value that is out of range.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if !Self::MESSAGE_BYTES.contains(&self.max_message_bytes) {
            return Err(InvalidConfig::MessageBytes(self.max_message_bytes));
        }
        if !Self::CONNECTIONS.contains(&self.max_connections) {
            return Err(InvalidConfig::Connections(self.max_connections));
        }
        let durations = [
            ("handshake timeout", self.handshake_timeout),
            ("idle timeout", self.idle_timeout),
            ("ping interval", self.ping_interval),
            ("close timeout", self.close_timeout),
            ("shutdown timeout", self.shutdown_timeout),
        ];
        for (name, duration) in durations {
            if duration.is_zero() || duration > InvalidConfig::LONGEST {
                return Err(InvalidConfig::Duration { name, duration });
            }
        }
        if self.ping_interval >= self.idle_timeout {
            return Err(InvalidConfig::PingsTooRare {
                ping_interval: self.ping_interval,
                idle_timeout: self.idle_timeout,
            });
        }
        Ok(())
    }
}

/// The certificate with which a server proves its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// Generated at start-up for `localhost`, `127.0.0.1` and `::1`; only clients that know its
    /// [`Fingerprint`] trust it.
    SelfSigned,
    /// Read from PEM files.
    Files {
        /// The certificate, followed by its chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// Identifies a certificate that no authority signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// The SHA-256 of the certificate, as hexadecimal bytes separated by colons, as browsers and `openssl`
    /// show it.
    pub certificate: String,
    /// The SHA-256 of its public key (the SubjectPublicKeyInfo) in base64, the form of Chromium's
    /// `--ignore-certificate-errors-spki-list`.
    pub public_key: String,
}

/// A [`Config`] is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// `max_message_bytes` is out of range.
    MessageBytes(usize),
    /// `max_connections` is out of range.
    Connections(usize),
    /// A duration is zero or longer than a day.
    Duration {
        /// Which one.
        name: &'static str,
        /// Its value.
        duration: Duration,
    },
    /// A quiet client would be considered dead before the first ping.
    PingsTooRare {
        /// The time between pings.
        ping_interval: Duration,
        /// The time without a frame after which a connection is closed.
        idle_timeout: Duration,
    },
    /// The endpoints cannot have it.
    Options(InvalidOptions),
}

impl InvalidConfig {
    const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageBytes(bytes) => write!(
                f,
                "the message limit is {bytes} bytes, but must be from {} to {}",
                Config::MESSAGE_BYTES.start(),
                Config::MESSAGE_BYTES.end()
            ),
            Self::Connections(count) => write!(
                f,
                "the connection limit is {count}, but must be from {} to {}",
                Config::CONNECTIONS.start(),
                Config::CONNECTIONS.end()
            ),
            Self::Duration { name, duration } => write!(
                f,
                "the {name} is {} s: it must be more than 0, at most {}",
                duration.as_secs_f64(),
                Self::LONGEST.as_secs()
            ),
            Self::PingsTooRare {
                ping_interval,
                idle_timeout,
            } => write!(
                f,
                "the ping interval is {} s: it must be shorter than the idle timeout, {} s",
                ping_interval.as_secs_f64(),
                idle_timeout.as_secs_f64()
            ),
            Self::Options(invalid) => invalid.fmt(f),
        }
    }
}

impl std::error::Error for InvalidConfig {}

/// Where the server logs what it receives (`< NAME`) and sends (`> Hello NAME!`), one line each.
#[derive(Clone)]
pub struct Transcript(Option<Arc<Mutex<dyn Write + Send>>>);

impl Transcript {
    /// Writes nothing.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Writes to the standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::to(std::io::stdout())
    }

    /// Writes to `writer`. Failed writes, such as to a closed pipe, are ignored: the transcript is for
    /// people, and the greeting matters more.
    pub fn to(writer: impl Write + Send + 'static) -> Self {
        Self(Some(Arc::new(Mutex::new(writer))))
    }

    /// Writes one exchange. Its two lines stay together, whatever other connections write.
    pub(crate) fn exchange(&self, heard: &str, said: &str) {
        if let Some(writer) = &self.0 {
            let lines = format!("< {heard}\n> {said}\n");
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writer
                .write_all(lines.as_bytes())
                .and_then(|()| writer.flush());
        }
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Transcript(on)"
        } else {
            "Transcript(off)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn values_out_of_range_are_named_with_what_is_accepted() {
        let base = Config::default;
        let cases = [
            (
                Config {
                    max_message_bytes: 127,
                    ..base()
                },
                "from 128 to 16777216",
            ),
            (
                Config {
                    max_message_bytes: usize::MAX,
                    ..base()
                },
                "from 128 to 16777216",
            ),
            (
                Config {
                    max_connections: 0,
                    ..base()
                },
                "from 1 to 1000000",
            ),
            (
                Config {
                    idle_timeout: Duration::ZERO,
                    ..base()
                },
                "idle timeout is 0 s: it must be more than 0",
            ),
            (
                Config {
                    close_timeout: Duration::MAX,
                    ..base()
                },
                "at most 86400",
            ),
            (
                Config {
                    ping_interval: Duration::from_secs(50),
                    ..base()
                },
                "shorter than the idle timeout, 50 s",
            ),
        ];
        for (config, expected) in cases {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
