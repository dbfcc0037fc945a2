//! The demo page, as served to browsers.

use std::net::SocketAddr;

use warp::http::StatusCode;
use warp::http::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue};
use warp::reply::{self, Reply};
use warp::{Filter, Rejection};

use crate::Config;

const NOT_BUILT: &str = "\
This is the hello server, a WebSocket server at this address: send it a name, and it greets you.

The demo page for this address has not been built yet. To build it and start a server with it, run:

    cargo xtask demo
";

/// The files of `www`, or how to build them.
pub(crate) fn filter(
    config: &Config,
    address: SocketAddr,
    secure: bool,
) -> impl Filter<Extract = (reply::Response,), Error = Rejection> + Clone + use<> {
    let not_built = warp::path::end()
        .and(warp::get().or(warp::head()).unify())
        .map(|| reply::with_status(NOT_BUILT, StatusCode::NOT_FOUND).into_response());
    warp::fs::dir(config.www.clone())
        .map(Reply::into_response)
        .or(not_built)
        .unify()
        .with(reply::with::headers(headers(config, address, secure)))
        .map(Reply::into_response)
}

fn headers(config: &Config, address: SocketAddr, secure: bool) -> HeaderMap {
    let port = address.port();
    let scheme = if secure { "wss" } else { "ws" };
    // Not every browser counts WebSockets to the page's own server as 'self'.
    let others: String = config
        .connect_to
        .iter()
        .map(|origin| {
            let origin = origin.to_string();
            format!(" {origin} {}", origin.replacen("http", "ws", 1))
        })
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self' {scheme}://{address} {scheme}://localhost:{port}{others}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    // A rebuilt page must not run with the old module.
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    headers
}
