//! Who may connect: the check of the `Origin` header.
//!
//! A browser lets any page open a WebSocket to any server and sends the user's cookies along; only
//! the server can refuse, by the page's origin, and it must do so before it accepts the upgrade.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::header::{HOST, HeaderMap, ORIGIN};
use http::uri::Authority;

/// The origin of a page: scheme, host and port, such as `http://127.0.0.1:3000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    /// `None` is the scheme's default port.
    port: Option<u16>,
}

impl Origin {
    fn new(scheme: &str, authority: &str) -> Option<Self> {
        let scheme = scheme.to_ascii_lowercase();
        let authority: Authority = authority.parse().ok()?;
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() || authority.as_str().contains('@') {
            return None;
        }
        // The rest after the host must be a complete port: `Authority` accepts `host:`.
        let port = match authority.as_str()[host.len()..].strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let default_port = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Some(Self {
            scheme,
            host,
            port: port.filter(|_| port != default_port),
        })
    }

    /// Whether the host cannot be made to resolve elsewhere: an IP address, or `localhost`. Any other name
    /// belongs to somebody who can point it at this machine, and so make a page of theirs look as if it came
    /// from this server.
    fn has_fixed_host(&self) -> bool {
        let ipv6 = self
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        self.host == "localhost"
            || self.host.parse::<Ipv4Addr>().is_ok()
            || ipv6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme {
            return Err(InvalidOrigin);
        }
        Self::new(scheme, authority).ok_or(InvalidOrigin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A text is not a valid origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is a scheme, a host and optionally a port, such as \
             https://app.example or http://127.0.0.1:3000",
        )
    }
}

impl std::error::Error for InvalidOrigin {}

/// Why a request is refused, for the body of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginRefused {
    /// `Origin` is missing but required.
    Missing,
    /// The `Origin` is not among those that may connect, or there are several.
    NotAllowed,
}

impl fmt::Display for OriginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "this server requires an Origin header",
            Self::NotAllowed => "pages of this origin may not connect",
        })
    }
}

impl std::error::Error for OriginRefused {}

/// Whose pages may connect.
#[derive(Debug, Clone)]
pub struct Origins {
    /// Other servers' origins that may connect, besides the server's own.
    pub allowed: Vec<Origin>,
    /// Whether a request without an `Origin` is refused.
    pub required: bool,
    /// Whether the server is reached via `https`, so that its own origin has that scheme.
    pub secure: bool,
}

impl Origins {
    /// Checks a request's origin. The server's own and the allowed ones pass; so does a request without one,
    /// unless it is required. Returns the origin if it is not the server's own, because a plain HTTP response
    /// then needs CORS headers.
    ///
    /// # Errors
    ///
    /// If the page may not connect.
    pub fn check(&self, headers: &HeaderMap) -> Result<Option<String>, OriginRefused> {
        let mut values = headers.get_all(ORIGIN).iter();
        let Some(value) = values.next() else {
            return if self.required {
                Err(OriginRefused::Missing)
            } else {
                Ok(None)
            };
        };
        if values.next().is_some() {
            return Err(OriginRefused::NotAllowed);
        }
        let text = value.to_str().map_err(|_| OriginRefused::NotAllowed)?;
        let origin: Origin = text.parse().map_err(|_| OriginRefused::NotAllowed)?;
        let scheme = if self.secure { "https" } else { "http" };
        let own = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .and_then(|host| Origin::new(scheme, host));
        if own.as_ref() == Some(&origin) && origin.has_fixed_host() {
            Ok(None)
        } else if self.allowed.contains(&origin) {
            Ok(Some(text.to_owned()))
        } else {
            Err(OriginRefused::NotAllowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_by_what_they_mean() {
        let same = [
            ("http://localhost:80", "http://localhost"),
            ("HTTPS://App.Example:443", "https://app.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
        ];
        for (text, expected) in same {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected);
        }
        let wrong = [
            "",
            "null",
            "*",
            "localhost",
            "http://",
            "http://host/",
            "http://host:",
            "http://host:x",
            "http://host:70000",
            "http://user@host",
            "http://a b",
            "://host",
            "http://host?x",
            "1http://host",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin), "{text}");
        }
    }

    #[test]
    fn only_the_own_and_the_listed_origins_pass() {
        let plain = Origins {
            allowed: vec![
                "http://127.0.0.1:3000".parse().unwrap(),
                "https://named.example".parse().unwrap(),
            ],
            required: true,
            secure: false,
        };
        let own = Ok(false);
        let other = Ok(true);
        let no = Err(OriginRefused::NotAllowed);
        let cases = [
            ("http://127.0.0.1:8765", "127.0.0.1:8765", own),
            ("http://localhost:8765", "localhost:8765", own),
            ("http://[::1]:8765", "[::1]:8765", own),
            ("http://LOCALHOST", "localhost:80", own),
            ("http://127.0.0.1:3000", "127.0.0.1:8765", other),
            ("https://named.example", "127.0.0.1:8765", other),
            ("https://127.0.0.1:8765", "127.0.0.1:8765", no),
            ("http://127.0.0.1:8766", "127.0.0.1:8765", no),
            ("http://localhost:8765", "127.0.0.1:8765", no),
            ("http://127.0.0.1:30000", "127.0.0.1:8765", no),
            ("http://evil.example/127.0.0.1:3000", "127.0.0.1:8765", no),
            // A name that somebody made resolve to this machine.
            ("http://evil.example:8765", "evil.example:8765", no),
            (
                "http://localhost.evil.example",
                "localhost.evil.example",
                no,
            ),
            ("null", "127.0.0.1:8765", no),
            ("", "127.0.0.1:8765", no),
        ];
        for (origin, host, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            headers.insert(HOST, host.parse().unwrap());
            let result = plain.check(&headers).map(|cors| cors.is_some());
            assert_eq!(result, expected, "{origin} to {host}");
        }

        let secure = Origins {
            secure: true,
            ..plain
        };
        for (origin, expected) in [
            ("https://127.0.0.1:8765", own),
            ("https://named.example", other),
            ("http://127.0.0.1:8765", no),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            headers.insert(HOST, "127.0.0.1:8765".parse().unwrap());
            let result = secure.check(&headers).map(|cors| cors.is_some());
            assert_eq!(result, expected, "{origin} with TLS");
        }
    }

    #[test]
    fn a_missing_origin_passes_unless_required_and_two_never_do() {
        let mut headers = HeaderMap::new();
        let optional = Origins {
            allowed: Vec::new(),
            required: false,
            secure: false,
        };
        let required = Origins {
            required: true,
            ..optional.clone()
        };
        assert_eq!(optional.check(&headers), Ok(None));
        assert_eq!(required.check(&headers), Err(OriginRefused::Missing));
        headers.insert(HOST, "localhost".parse().unwrap());
        headers.append(ORIGIN, "http://localhost".parse().unwrap());
        headers.append(ORIGIN, "http://localhost".parse().unwrap());
        assert_eq!(optional.check(&headers), Err(OriginRefused::NotAllowed));
    }

    proptest::proptest! {
        #[test]
        fn an_origin_is_written_as_it_is_read(text in "([a-z]{1,5}://)?\\PC{0,20}(:[0-9]{0,6})?") {
            if let Ok(origin) = text.parse::<Origin>() {
                proptest::prop_assert_eq!(origin.to_string().parse::<Origin>(), Ok(origin));
            }
        }
    }
}
