//! A route for warp.
//!
//! ```no_run
//! # async fn example<E: steady_socket_server::Endpoint>(server: steady_socket_server::Server<E>) {
//! # #[cfg(feature = "warp")] {
//! let routes = steady_socket_server::warp::route(&server);
//! warp::serve(routes).run(([127, 0, 0, 1], 8765)).await;
//! # }
//! # }
//! ```

use std::net::SocketAddr;

use http::header::HeaderMap;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::tungstenite::protocol::Role;
use warp::path::Tail;
use warp::reply::{Reply as _, Response};
use warp::{Filter, Rejection};

use crate::tungstenite::{bad_request, config, switching};
use crate::{Endpoint, Handshake, Identity, Server};

/// The route of an endpoint, which matches its path, behind those of the filters in front of it.
///
/// Who the client is, [`check_handshake`](crate::ServerBuilder::check_handshake) can find out. Without such a check, an
/// [`Identity`] among the request's extensions becomes that of the [`Peer`](crate::Peer).
pub fn route<E: Endpoint>(
    server: &Server<E>,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + use<E> {
    let server = server.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path::tail()
        .and_then(async |path: Tail| match path.as_str() == E::PATH.trim_start_matches('/') {
            true => Ok(()),
            false => Err(warp::reject::not_found()),
        })
        .untuple_one()
        .and(warp::ext::optional())
        .and(warp::ext::optional())
        .and(warp::addr::remote())
        .and(warp::header::headers_cloned())
        .and(query)
        // Explains what is wrong with a handshake. The upgrade of a correct one happens here, since warp reads 128 KiB at
        // once, and answers no sub-protocol.
        .and(warp::ws())
        .then(move |on_upgrade, identity, address, headers, query: String, _| {
            let server = server.clone();
            async move { upgrade(&server, on_upgrade, identity, address, headers, &query).await }
        })
}

async fn upgrade<E: Endpoint>(
    server: &Server<E>,
    on_upgrade: Option<OnUpgrade>,
    identity: Option<Identity>,
    address: Option<SocketAddr>,
    headers: HeaderMap,
    query: &str,
) -> Response {
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    if let Ok(uri) = format!("/?{query}").parse() {
        *request.uri_mut() = uri;
    }
    let mut handshake = Handshake::new(request.headers()).uri(request.uri());
    if let Some(identity) = identity {
        handshake = handshake.identity(identity);
    }
    if let Some(address) = address {
        handshake = handshake.address(address.ip());
    }
    let admission = match server.admit(&handshake).await {
        Ok(admission) => admission,
        Err(refused) => return refused.to_response::<String>().into_response(),
    };
    let switching = match switching(&request, admission.subprotocol()) {
        Ok(response) => response,
        Err(error) => return bad_request::<String>(&error).into_response(),
    };
    let config = config(server.longest_frame());
    tokio::spawn(async move {
        let Some(on_upgrade) = on_upgrade else {
            return;
        };
        // A client that leaves before the upgrade gives its place back.
        if let Ok(upgraded) = on_upgrade.await {
            let stream = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            admission.serve(socket).await;
        }
    });
    let (head, ()) = switching.into_parts();
    let mut response = Response::default();
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
