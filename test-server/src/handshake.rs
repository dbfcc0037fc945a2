//! The handshake: who may use which endpoint, decided before the 101.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use serde::Deserialize;
use steady_socket_server::Refused as RefusedByEndpoint;
use warp::http::header::{HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use warp::http::{Response, StatusCode};
use warp::path::FullPath;
use warp::reply::{self, Reply};
use warp::{Filter, Rejection};

use crate::OriginRefused;
use crate::endpoints::Begin;
use crate::origin::Advice;
use crate::registry::{INVALID_ID, Registration, is_id};
use crate::state::State;

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
        // Explains what is wrong with a handshake. The upgrade of a correct one is the endpoint's.
        .and(warp::ws())
        .then(
            move |path: FullPath, headers: HeaderMap, query, on_upgrade: Option<OnUpgrade>, _| {
                let state = Arc::clone(&state);
                async move {
                    match admit(&state, path.as_str(), &headers, query).await {
                        Ok((begin, registration)) => begin(headers, on_upgrade, registration),
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

async fn admit(
    state: &State,
    path: &str,
    headers: &HeaderMap,
    query: Query,
) -> Result<(Begin, Registration), Refused> {
    state.origins.check(headers).map_err(Refused::Origin)?;
    if path == "/" && headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        // Otherwise the server would have to leave the offer unanswered, and a browser would fail the
        // connection without saying why.
        return Err(Refused::Bad(
            "this endpoint has no sub-protocols: offer none",
        ));
    }
    let begin = state.endpoints.admit(path, headers).await;
    let begin = begin.ok_or(Refused::NoSuchPath)??;
    let id = query.id.filter(|_| state.config.demo_control);
    if id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(Refused::Bad(INVALID_ID));
    }
    let registration = state.registry.register(id);
    let registration = registration.ok_or(RefusedByEndpoint::Full)?;
    Ok((begin, registration))
}

/// Why there is no 101.
enum Refused {
    Origin(OriginRefused),
    NoSuchPath,
    Bad(&'static str),
    Endpoint(RefusedByEndpoint),
}

impl From<RefusedByEndpoint> for Refused {
    fn from(refused: RefusedByEndpoint) -> Self {
        Self::Endpoint(refused)
    }
}

impl Refused {
    fn into_response(self) -> reply::Response {
        let (status, text) = match self {
            Self::Endpoint(refused) => return refused.to_response::<String>().into_response(),
            Self::Origin(refused) => (StatusCode::FORBIDDEN, Advice(refused).to_string()),
            Self::NoSuchPath => (
                StatusCode::NOT_FOUND,
                "no such WebSocket endpoint: use /, /hello, /echo, or /session/ with one of echo, hello and room".to_owned(),
            ),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text.to_owned()),
        };
        let mut response = Response::new(text + "\n").into_response();
        *response.status_mut() = status;
        response
    }
}
