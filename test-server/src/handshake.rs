//! The upgrade: who may use which endpoint, decided before the 101.

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

use crate::origin::Advice;
use crate::registry::{INVALID_ID, Registration, is_id};
use crate::service::Service;
use crate::state::State;
use crate::{OriginRefused, connection, sessions};

/// How much to read from a WebSocket at once, in bytes; a longer message takes several reads.
///
/// This is why the upgrade is not left to warp, whose 128 KiB are fixed: they made up nine tenths of a
/// connection's memory, and every read clears the whole buffer first.
const READ_BYTES: usize = 4 * 1024;

/// The sub-protocol that a client may offer at `/echo`.
const ECHO: &str = "echo";

/// The query of a WebSocket URL. Other parameters are the client's own.
#[derive(Debug, Deserialize)]
struct Query {
    /// The id of the client for [`control`](crate::control).
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
        // Explains what is wrong with a handshake. The upgrade of a correct one happens here.
        .and(warp::ws())
        .then(
            move |path: FullPath, headers: HeaderMap, query, on_upgrade: Option<OnUpgrade>, _| {
                let state = Arc::clone(&state);
                async move {
                    let Some(on_upgrade) = on_upgrade else {
                        let why = "a WebSocket handshake needs HTTP/1.1";
                        return Refused::Bad(why.to_owned()).into_response();
                    };
                    match admit(&state, path.as_str(), &headers, query).await {
                        Ok(admitted) => upgrade(&state, admitted, on_upgrade),
                        Err(refused) => refused.into_response(),
                    }
                }
            },
        )
}

/// Passes only WebSocket handshakes, or all requests but these.
///
/// Both sides of the server start with this switch, so that an invalid handshake is never answered with a
/// page, nor an invalid request with an error about a handshake.
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
    /// The value of `Sec-WebSocket-Accept` in the response.
    accept: String,
    dialogue: Dialogue,
    /// The sub-protocol in the response.
    subprotocol: Option<String>,
    registration: Registration,
}

/// What follows the upgrade.
enum Dialogue {
    /// Messages, and control messages if they were agreed on.
    Messages { service: Service, controls: bool },
    /// A session.
    Session(sessions::Serve),
}

async fn admit(
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
    let (dialogue, subprotocol) = choose(state, path, headers).await?;
    let id = query.id.filter(|_| config.demo_control);
    if id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Refused::Bad(INVALID_ID.to_owned()));
    }
    let registration = state.registry.register(id).ok_or(Refused::Full)?;
    Ok(Admitted {
        accept,
        dialogue,
        subprotocol,
        registration,
    })
}

/// What a path stands for, and the sub-protocol to answer.
async fn choose(
    state: &State,
    path: &str,
    headers: &HeaderMap,
) -> Result<(Dialogue, Option<String>), Refused> {
    let (service, subprotocol, controls) = match path {
        "/" => {
            if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
                // Otherwise the server would have to leave the offer unanswered, and a browser would fail the
                // connection without saying why.
                return Err(Refused::Bad(
                    "this endpoint has no sub-protocols: offer none".to_owned(),
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
        _ => {
            let admitted = state.sessions.admit(path, headers).await;
            let admitted = admitted.ok_or(Refused::NoSuchPath)?.map_err(Refused::Bad)?;
            return Ok((Dialogue::Session(admitted.serve), admitted.subprotocol));
        }
    };
    Ok((Dialogue::Messages { service, controls }, subprotocol))
}

/// Chooses the echo's sub-protocol: the first known one, and whether control messages are used.
fn echo(offered: Option<&str>) -> Result<(Option<String>, bool), Refused> {
    let Some(offered) = offered else {
        return Ok((None, false));
    };
    offered
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']))
        .find(|name| name.strip_suffix(SUFFIX).unwrap_or(name) == ECHO)
        .map(|name| (Some(name.to_owned()), name.ends_with(SUFFIX)))
        .ok_or_else(|| Refused::Bad(format!("unsupported sub-protocols: offer {ECHO}, or none")))
}

/// Whether `key` is 16 bytes in base64, as RFC 6455 requires of a client; warp accepts any text.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// All sub-protocols that a request offers, in one list: the header may occur several times.
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
            "the names of sub-protocols must be ASCII".to_owned(),
        )),
    }
}

fn upgrade(state: &State, admitted: Admitted, on_upgrade: OnUpgrade) -> reply::Response {
    let Admitted {
        accept,
        dialogue,
        subprotocol,
        registration,
    } = admitted;
    let config = Arc::clone(&state.config);
    // The write buffer keeps its default limit: nothing piles up there, because the next message is read only
    // after the reply has gone out. The message limit allows one more byte for the escape of a text, if there
    // may be one; `connection` checks the rest.
    let most = match dialogue {
        Dialogue::Messages { controls, .. } => config.max_message_bytes + usize::from(controls),
        Dialogue::Session(_) => state.sessions.longest_frame(),
    };
    let websocket = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    tokio::spawn(async move {
        // A client that leaves before the upgrade thereby frees its place in the registry.
        if let Ok(upgraded) = on_upgrade.await {
            let stream = TokioIo::new(upgraded);
            let socket =
                WebSocketStream::from_raw_socket(stream, Role::Server, Some(websocket)).await;
            match dialogue {
                Dialogue::Messages { service, controls } => {
                    connection::serve(socket, service, controls, registration, config).await;
                }
                Dialogue::Session(serve) => {
                    let cut = registration.cut();
                    let leave = Box::pin(registration.leave());
                    // A cut must work at any moment, even while a write waits for a client that does not read.
                    tokio::select! {
                        () = cut => {}
                        () = serve(socket, leave) => {}
                    }
                }
            }
        }
    });
    let mut response = reply::Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // Base64, or a name that the endpoint knows: always a valid header.
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
            Self::Origin(refused) => (StatusCode::FORBIDDEN, Advice(refused).to_string()),
            Self::NoSuchPath => (
                StatusCode::NOT_FOUND,
                "no such WebSocket endpoint: use /, /hello, /echo, or /session/ with one of echo, hello and room".to_owned(),
            ),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many open connections: try again later".to_owned(),
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
