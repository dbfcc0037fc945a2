//! The upgrade: who may have which endpoint, decided before the 101.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use steady_socket_protocol::{Endpoint, control::SUFFIX, hello::Hello, negotiate};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use warp::http::header::{
    CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use warp::http::{Response, StatusCode};
use warp::path::FullPath;
use warp::reply::{self, Reply};
use warp::{Filter, Rejection};

use crate::registry::Registration;
use crate::server::State;
use crate::service::Service;
use crate::{OriginRefused, connection, control};

/// How much is read from a WebSocket at once, in bytes; a longer message takes several reads.
///
/// It is why the upgrade is not left to warp, whose 128 KiB cannot be changed: they were nine tenths of what a
/// connection occupied, and every read clears the whole buffer first.
const READ_BYTES: usize = 4 * 1024;

/// The name that a client may offer at `/echo`.
const ECHO: &str = "echo";

/// The query of a WebSocket URL. Other parameters are left to the client's own use.
#[derive(Debug, Deserialize)]
struct Query {
    /// What the client calls itself for [`control`].
    id: Option<String>,
}

/// Accepts or refuses WebSocket handshakes; passes on all other requests.
pub(crate) fn filter(
    state: Arc<State>,
) -> impl Filter<Extract = (reply::Response,), Error = Rejection> + Clone {
    requests(true)
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::query())
        .and(warp::ext::optional())
        // Says what is wrong with a handshake. What it would make of a right one is done here.
        .and(warp::ws())
        .map(
            move |path: FullPath, headers: HeaderMap, query, on_upgrade: Option<OnUpgrade>, _| {
                let admitted = on_upgrade
                    .ok_or_else(|| Refused::Bad("a WebSocket handshake is HTTP/1.1".to_owned()))
                    .and_then(|it| Ok((it, admit(&state, path.as_str(), &headers, query)?)));
                match admitted {
                    Ok((on_upgrade, admitted)) => upgrade(&state, admitted, on_upgrade),
                    Err(refused) => refused.into_response(),
                }
            },
        )
}

/// Takes WebSocket handshakes only, or all requests but these.
///
/// Each side of the server starts with its half of this switch, so that a wrong handshake is never
/// answered with a page, nor a wrong request with what is wrong with it as a handshake.
pub(crate) fn requests(handshakes: bool) -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::header::optional::<String>("upgrade")
        .and_then(move |upgrade: Option<String>| async move {
            let is_handshake = upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
            if is_handshake == handshakes {
                Ok(())
            } else {
                Err(warp::reject::not_found())
            }
        })
        .untuple_one()
}

struct Admitted {
    /// What `Sec-WebSocket-Accept` answers.
    accept: String,
    service: Service,
    /// The sub-protocol that the answer names.
    subprotocol: Option<String>,
    /// Whether control messages are spoken, too.
    controls: bool,
    registration: Registration,
}

fn admit(
    state: &State,
    path: &str,
    headers: &HeaderMap,
    query: Query,
) -> Result<Admitted, Refused> {
    let config = &state.config;
    state.origins.check(headers).map_err(Refused::Origin)?;
    let accept = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .filter(|key| is_key(key))
        .map(derive_accept_key)
        .ok_or_else(|| Refused::Bad("Sec-WebSocket-Key must be 16 bytes in base64".to_owned()))?;
    let (service, subprotocol, controls) = match path {
        "/" => {
            if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
                // Without this the server would have to leave the offer unanswered, and a browser
                // would fail the connection without a word about why.
                return Err(Refused::Bad(
                    "this endpoint speaks no sub-protocol: offer none".to_owned(),
                ));
            }
            (Service::Plain, None, false)
        }
        "/echo" => {
            let offered = offered_subprotocols(headers)?;
            let (name, controls) = echo(offered.as_deref())?;
            (Service::Echo, name, controls)
        }
        Hello::PATH => {
            let offered = offered_subprotocols(headers)?;
            let chosen = negotiate::<Hello>(offered.as_deref())
                .map_err(|unknown| Refused::Bad(unknown.to_string()))?;
            (
                Service::Typed(chosen.subprotocol),
                chosen.answer,
                chosen.controls,
            )
        }
        _ => return Err(Refused::NoSuchPath),
    };
    let id = query.id.filter(|_| config.demo_control);
    if id.as_deref().is_some_and(|id| !control::is_id(id)) {
        return Err(Refused::Bad(control::INVALID_ID.to_owned()));
    }
    let registration = state.registry.register(id).ok_or(Refused::Full)?;
    Ok(Admitted {
        accept,
        service,
        subprotocol,
        controls,
        registration,
    })
}

/// Chooses the sub-protocol of the echo: the first known one, and whether control messages are spoken.
fn echo(offered: Option<&str>) -> Result<(Option<String>, bool), Refused> {
    let Some(offered) = offered else {
        return Ok((None, false));
    };
    offered
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']))
        .find(|name| name.strip_suffix(SUFFIX).unwrap_or(name) == ECHO)
        .map(|name| (Some(name.to_owned()), name.ends_with(SUFFIX)))
        .ok_or_else(|| {
            Refused::Bad(format!(
                "this endpoint speaks no sub-protocol of these: offer {ECHO}, or none"
            ))
        })
}

/// Whether `key` is 16 bytes in base64, as RFC 6455 asks of a client; warp takes any text.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// All sub-protocols that a request offers, in one list: the header may come several times.
fn offered_subprotocols(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let values: Result<Vec<_>, _> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    match values {
        Ok(values) if values.is_empty() => Ok(None),
        Ok(values) => Ok(Some(values.join(","))),
        Err(_) => Err(Refused::Bad(
            "the names of sub-protocols are ASCII".to_owned(),
        )),
    }
}

fn upgrade(state: &State, admitted: Admitted, on_upgrade: OnUpgrade) -> reply::Response {
    let Admitted {
        accept,
        service,
        subprotocol,
        controls,
        registration,
    } = admitted;
    let config = Arc::clone(&state.config);
    // The write buffer's limit stays as it is: nothing piles up there, for the next message is read only
    // when the answer has gone.
    // One byte more for the escape of a text, where there may be one: `connection` looks at what is left.
    let most = config.max_message_bytes + usize::from(controls);
    let websocket = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    tokio::spawn(async move {
        // Who leaves before the upgrade gives back the place in the registry by that.
        if let Ok(upgraded) = on_upgrade.await {
            let stream = TokioIo::new(upgraded);
            let socket =
                WebSocketStream::from_raw_socket(stream, Role::Server, Some(websocket)).await;
            connection::serve(socket, service, controls, registration, config).await;
        }
    });
    let mut response = reply::Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // Base64, and one of the names that the endpoint knows: each makes a header.
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(Ok(name)) = subprotocol.map(HeaderValue::try_from) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}

/// Why there is no 101.
enum Refused {
    Origin(OriginRefused),
    NoSuchPath,
    Bad(String),
    Full,
}

impl Refused {
    fn into_response(self) -> reply::Response {
        let (status, text) = match self {
            Self::Origin(refused) => (StatusCode::FORBIDDEN, refused.to_string()),
            Self::NoSuchPath => (
                StatusCode::NOT_FOUND,
                "WebSocket endpoints are /, /hello and /echo".to_owned(),
            ),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "as many connections are open as the server takes: try again later".to_owned(),
            ),
        };
        let mut response = Response::new(text + "\n").into_response();
        *response.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
