//! The handshake: who may connect, and what is spoken then.

use std::fmt;
use std::net::IpAddr;

use http::header::{
    CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL,
};
use http::{Response, StatusCode, Uri};
use steady_socket_protocol::{Endpoint, Subprotocol, control, session};

use crate::options::Sessions;
use crate::{Identity, OriginRefused};

/// What a handshake says. A feature of this crate for a framework makes it; without one, do it like this:
///
/// ```
/// # async fn example<E: steady_socket_server::Endpoint>(
/// #     server: &steady_socket_server::Server<E>,
/// #     headers: &http::HeaderMap, uri: &http::Uri, address: std::net::IpAddr,
/// # ) -> Result<(), steady_socket_server::Refused> {
/// use steady_socket_server::Handshake;
///
/// let handshake = Handshake::new(headers).uri(uri).address(address);
/// // Answer an error with `refused.to_response()`.
/// let admission = server.admit(&handshake).await?;
/// // Answer 101 with the header `Sec-WebSocket-Protocol: NAME`, if there is a name; then `admission.serve(socket)`.
/// let name = admission.subprotocol();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Handshake<'a> {
    pub(crate) headers: &'a HeaderMap,
    uri: Option<&'a Uri>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) identity: Option<Identity>,
}

impl<'a> Handshake<'a> {
    /// A handshake with these headers.
    #[must_use]
    pub const fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            uri: None,
            address: None,
            identity: None,
        }
    }

    /// Sets where the request goes, for [`query`](Self::query).
    #[must_use]
    pub const fn uri(mut self, uri: &'a Uri) -> Self {
        self.uri = Some(uri);
        self
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

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The text of a header; `None` if there is none, or it is not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let lines = self.headers.get_all(COOKIE).into_iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The value of a parameter of the URL's query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.uri?.query()?;
        let mut parameters = query.split('&').filter_map(|it| it.split_once('='));
        let (_, value) =
            parameters.find(|(known, _)| percent_decoded(known).as_deref() == Some(name))?;
        percent_decoded(value)
    }

    /// Whose address the client has, if it is known.
    #[must_use]
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.address
    }
}

/// A part of a query, as text; `None` if it is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let byte = match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digits = [*high, *low];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            (byte, _) => *byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
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
    /// The client has not said who it is, or not credibly.
    Unauthenticated,
    /// The client may not connect.
    Forbidden,
    /// Who the client is could not be checked, or not in time.
    Unchecked,
    /// As many connections are open as may be.
    Full,
    /// As many connections from this address are open as may be.
    FullForAddress,
    /// The server is about to stop.
    Stopping,
}

impl Refused {
    /// The status of the answer: 400, 401, 403, 429 or 503.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Origin(_) | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Subprotocols(_) | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::FullForAddress => StatusCode::TOO_MANY_REQUESTS,
            Self::Full | Self::Stopping | Self::Unchecked => StatusCode::SERVICE_UNAVAILABLE,
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
        if matches!(
            self,
            Self::Full | Self::FullForAddress | Self::Stopping | Self::Unchecked
        ) {
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
            Self::Unauthenticated => f.write_str("this server lets in only whom it knows"),
            Self::Forbidden => f.write_str("this client may not connect"),
            Self::Unchecked => f.write_str("the check of this client failed: try again later"),
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
        type Chosen = Option<(&'static str, Spoken, Option<&'static str>)>;
        let cases: [(&[&'static str], Sessions, Chosen); 12] = [
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
    fn a_handshake_is_read() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; sid=x=y"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        headers.insert("x-team", HeaderValue::from_static("red"));
        let uri: Uri = "/hello?t%6Fken=a+b%20%C3%A9&bad=%ZZ&short=%4&token=2"
            .parse()
            .unwrap();
        let handshake = Handshake::new(&headers).uri(&uri);
        assert_eq!(handshake.cookie("sid"), Some("x=y"));
        assert_eq!(handshake.cookie("b"), Some("2"));
        assert_eq!(handshake.cookie("c"), None);
        assert_eq!(handshake.header("X-Team"), Some("red"));
        assert_eq!(handshake.query("token").as_deref(), Some("a b é"));
        assert_eq!(handshake.query("bad"), None);
        assert_eq!(handshake.query("short").as_deref(), Some("%4"));
        assert_eq!(handshake.query("none"), None);
        assert_eq!(Handshake::new(&headers).query("token"), None);
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
