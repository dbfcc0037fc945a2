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
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::tungstenite::protocol::Role;
use warp::path::Tail;
use warp::reply::{Reply as _, Response};
use warp::{Filter, Rejection};

use crate::tungstenite::{bad_request, config, switching};
use crate::{Admission, Endpoint, Handshake, Identity, Server};

/// The socket of one client.
pub type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

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
        .and_then(
            async |path: Tail| match path.as_str() == E::PATH.trim_start_matches('/') {
                true => Ok(()),
                false => Err(warp::reject::not_found()),
            },
        )
        .untuple_one()
        .and(warp::ext::optional())
        .and(warp::ext::optional())
        .and(warp::addr::remote())
        .and(warp::header::headers_cloned())
        .and(query)
        // Explains what is wrong with a handshake. The upgrade of a correct one happens here, since warp reads 128 KiB at
        // once, and answers no sub-protocol.
        .and(warp::ws())
        .then(
            move |on_upgrade, identity, address, headers, query: String, _| {
                let server = server.clone();
                async move { answer(&server, on_upgrade, identity, address, headers, &query).await }
            },
        )
}

async fn answer<E: Endpoint>(
    server: &Server<E>,
    on_upgrade: Option<OnUpgrade>,
    identity: Option<Identity>,
    address: Option<SocketAddr>,
    headers: HeaderMap,
    query: &str,
) -> Response {
    let uri = format!("/?{query}").parse().unwrap_or_default();
    let mut handshake = Handshake::new(&headers).uri(&uri);
    if let Some(identity) = identity {
        handshake = handshake.identity(identity);
    }
    if let Some(address) = address {
        handshake = handshake.address(address.ip());
    }
    match server.admit(&handshake).await {
        Ok(admission) => upgrade(admission, headers, on_upgrade, Admission::serve),
        Err(refused) => refused.to_response::<String>().into_response(),
    }
}

/// Answers the handshake of a client that was [admitted](Server::admit), and passes its socket to `serve` in a task of its
/// own. [`route`] does both; this is for filters of your own, which need something between the two, or have their own way to
/// serve. `on_upgrade` is among the request's extensions; without it, as with HTTP/1.0, the answer is 400.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use steady_socket_server::{Admission, Endpoint as _, Handshake, Server, endpoint, warp::upgrade};
/// use steady_socket_server::Json;
/// use warp::Filter;
/// use warp::reply::Reply as _;
///
/// endpoint! { pub Chat at "/chat" { client: String, server: String, "chat.json" => Json } }
///
/// let server = Server::<Chat>::new(async |mut peer| while peer.next().await.is_some() {});
/// let routes = warp::path!("rooms" / u32 / "chat")
///     .and(warp::header::headers_cloned())
///     .and(warp::ext::optional())
///     .then(move |room: u32, headers: warp::http::HeaderMap, on_upgrade| {
///         let server = server.clone();
///         async move {
///             let admission = match server.admit(&Handshake::new(&headers)).await {
///                 Ok(admission) => admission,
///                 Err(refused) => return refused.to_response::<String>().into_response(),
///             };
///             upgrade(admission, headers, on_upgrade, async move |admission: Admission<Chat>, socket| {
///                 println!("somebody enters room {room}");
///                 admission.serve(socket).await;
///             })
///         }
///     });
/// # }
/// ```
pub fn upgrade<E: Endpoint, F>(
    admission: Admission<E>,
    headers: HeaderMap,
    on_upgrade: Option<OnUpgrade>,
    serve: impl FnOnce(Admission<E>, WebSocket) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let Some(on_upgrade) = on_upgrade else {
        return bad_request::<String>("a WebSocket handshake needs HTTP/1.1").into_response();
    };
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let switching = match switching(&request, admission.subprotocol()) {
        Ok(response) => response,
        Err(error) => return bad_request::<String>(&error).into_response(),
    };
    let config = config(admission.longest_frame());
    tokio::spawn(async move {
        // A client that leaves before the upgrade gives its place back.
        if let Ok(upgraded) = on_upgrade.await {
            let stream = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            serve(admission, socket).await;
        }
    });
    let (head, ()) = switching.into_parts();
    let mut response = Response::default();
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
