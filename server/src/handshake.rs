//! The handshake: who may connect, and what is spoken then.

use std::fmt;
use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL};
use http::{Response, StatusCode};
use steady_socket_protocol::{Endpoint, Subprotocol, control, session};

use crate::options::Sessions;
use crate::{Identity, OriginRefused};

/// What a handshake says. A feature of this crate for a framework makes it; without one, do it like this:
///
/// ```
/// # fn example<E: steady_socket_server::Endpoint>(
/// #     server: &steady_socket_server::Server<E>, headers: &http::HeaderMap, address: std::net::IpAddr,
/// # ) -> Result<(), steady_socket_server::Refused> {
/// use steady_socket_server::Handshake;
///
/// let handshake = Handshake::new(headers).address(address);
/// // Answer an error with `refused.to_response()`.
/// let admission = server.admit(&handshake)?;
/// // Answer 101 with the header `Sec-WebSocket-Protocol: NAME`, if there is a name; then `admission.serve(socket)`.
/// let name = admission.subprotocol();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Handshake<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) address: Option<IpAddr>,
    pub(crate) identity: Option<Identity>,
}

impl<'a> Handshake<'a> {
    /// A handshake with these headers.
    #[must_use]
    pub const fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            address: None,
            identity: None,
        }
    }

    /// Sets the client's address, for the limit by address. Behind a proxy that is not the socket's.
    #[must_use]
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sets who the client is, if the program has found that out by a cookie or a header. A session belongs to the identity
    /// that began it.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }
}

/// Why a handshake is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The page's origin may not connect.
    Origin(OriginRefused),
    /// The client offers only sub-protocols that the endpoint does not speak. These are those that it speaks.
    Subprotocols(Vec<String>),
    /// The names of the sub-protocols are not ASCII.
    Malformed,
    /// As many connections are open as may be.
    Full,
    /// As many connections from this address are open as may be.
    FullForAddress,
    /// The server is about to stop.
    Stopping,
}

impl Refused {
    /// The status of the answer: 400, 403, 429 or 503.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Subprotocols(_) | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::FullForAddress => StatusCode::TOO_MANY_REQUESTS,
            Self::Full | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer: its text says what is wrong and what is accepted.
    #[must_use]
    pub fn to_response<B: From<String>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(format!("{self}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        if matches!(self, Self::Full | Self::FullForAddress | Self::Stopping) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(refused) => refused.fmt(f),
            Self::Subprotocols(known) => {
                write!(f, "unsupported sub-protocols: offer {}", known.join(" or "))
            }
            Self::Malformed => f.write_str("the names of sub-protocols must be ASCII"),
            Self::Full => f.write_str("too many open connections: try again later"),
            Self::FullForAddress => {
                f.write_str("too many open connections from this address: close one first")
            }
            Self::Stopping => f.write_str("the server is about to stop: try again later"),
        }
    }
}

impl std::error::Error for Refused {}

/// What is spoken on a connection beside the application's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Plain,
    Controls,
    Session,
}

/// The sub-protocol of a connection.
#[derive(Debug)]
pub(crate) struct Choice<In: 'static, Out: 'static> {
    pub(crate) subprotocol: &'static Subprotocol<In, Out>,
    pub(crate) spoken: Spoken,
    /// The value of `Sec-WebSocket-Protocol` in the answer; `None` if the client has offered nothing.
    pub(crate) answer: Option<String>,
}

/// Chooses the first sub-protocol that is known and allowed. If none is offered, the endpoint's JSON is meant, or its first
/// one if it speaks no JSON.
pub(crate) fn choose<E: Endpoint>(
    headers: &HeaderMap,
    sessions: Sessions,
) -> Result<Choice<E::ClientMessage, E::ServerMessage>, Refused> {
    let mut offered = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        let value = value.to_str().map_err(|_| Refused::Malformed)?;
        let names = value.split(',').map(|name| name.trim_matches([' ', '\t']));
        offered.extend(names.filter(|name| !name.is_empty()));
    }
    let known = |name: &str| E::SUBPROTOCOLS.iter().find(|known| known.name == name);
    let takes = |spoken| match sessions {
        Sessions::Never => spoken != Spoken::Session,
        Sessions::Optional => true,
        Sessions::Required => spoken == Spoken::Session,
    };
    if offered.is_empty() && takes(Spoken::Plain) {
        let json = E::SUBPROTOCOLS.iter().find(|known| known.codec == "json");
        if let Some(subprotocol) = json.or_else(|| E::SUBPROTOCOLS.first()) {
            return Ok(Choice {
                subprotocol,
                spoken: Spoken::Plain,
                answer: None,
            });
        }
    }
    let ways = [
        (session::SUFFIX, Spoken::Session),
        (control::SUFFIX, Spoken::Controls),
        ("", Spoken::Plain),
    ];
    let chosen = offered.into_iter().find_map(|name| {
        ways.into_iter().find_map(|(suffix, spoken)| {
            let subprotocol = known(name.strip_suffix(suffix)?).filter(|_| takes(spoken))?;
            Some(Choice {
                subprotocol,
                spoken,
                answer: Some(name.to_owned()),
            })
        })
    });
    chosen.ok_or_else(|| {
        let suffix = match sessions {
            Sessions::Required => session::SUFFIX,
            Sessions::Never | Sessions::Optional => "",
        };
        let known = E::SUBPROTOCOLS.iter();
        Refused::Subprotocols(
            known
                .map(|known| format!("{}{suffix}", known.name))
                .collect(),
        )
    })
}

#[cfg(all(test, feature = "json", feature = "msgpack"))]
mod tests {
    use super::*;
    use steady_socket_protocol::hello::Hello;

    fn chosen(
        offered: &[&'static str],
        sessions: Sessions,
    ) -> Option<(&'static str, Spoken, Option<String>)> {
        let mut headers = HeaderMap::new();
        for offered in offered {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered));
        }
        let choice = choose::<Hello>(&headers, sessions).ok()?;
        Some((choice.subprotocol.name, choice.spoken, choice.answer))
    }

    #[test]
    fn the_first_known_offer_that_is_allowed_wins() {
        use Sessions::{Never, Optional, Required};
        use Spoken::{Controls, Plain, Session};
        let cases: [(
            &[&'static str],
            Sessions,
            Option<(&str, Spoken, Option<&str>)>,
        ); 12] = [
            (&[], Optional, Some(("hello.json", Plain, None))),
            (&["", " ,"], Never, Some(("hello.json", Plain, None))),
            (&[], Required, None),
            (
                &["hello.msgpack"],
                Optional,
                Some(("hello.msgpack", Plain, Some("hello.msgpack"))),
            ),
            (
                &["hello.json~1, hello.json"],
                Optional,
                Some(("hello.json", Controls, Some("hello.json~1"))),
            ),
            (
                &["hello.json~2", "hello.json~1"],
                Optional,
                Some(("hello.json", Session, Some("hello.json~2"))),
            ),
            (
                &["hello.json~2", "hello.json~1"],
                Never,
                Some(("hello.json", Controls, Some("hello.json~1"))),
            ),
            (
                &["hello.json~1", "hello.json~2"],
                Required,
                Some(("hello.json", Session, Some("hello.json~2"))),
            ),
            (
                &["other", "hello.msgpack~2"],
                Optional,
                Some(("hello.msgpack", Session, Some("hello.msgpack~2"))),
            ),
            (&["hello.json~3"], Optional, None),
            (&["steady~2"], Optional, None),
            (&["HELLO.JSON"], Optional, None),
        ];
        for (offered, sessions, expected) in cases {
            let expected =
                expected.map(|(name, spoken, answer)| (name, spoken, answer.map(str::to_owned)));
            assert_eq!(
                chosen(offered, sessions),
                expected,
                "{offered:?} {sessions:?}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_is_accepted() {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("other"));
        for (sessions, name) in [
            (Sessions::Required, "hello.json~2 or hello.msgpack~2"),
            (Sessions::Optional, "hello.json or hello.msgpack"),
        ] {
            let refused = choose::<Hello>(&headers, sessions).unwrap_err();
            assert!(refused.to_string().ends_with(name), "{refused}");
            let response: Response<String> = refused.to_response();
            assert_eq!(response.status(), 400);
        }
        let stopping: Response<String> = Refused::Stopping.to_response();
        assert_eq!(stopping.headers()[RETRY_AFTER], "5");
    }
}
