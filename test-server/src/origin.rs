//! Who may connect, for plain HTTP requests.

use std::fmt;

use steady_socket_server::{OriginRefused, Origins};
use warp::http::StatusCode;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use warp::reply::{self, Reply};

/// Why a request is refused, with what to do, for the body of the response.
pub(crate) struct Advice(pub(crate) OriginRefused);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            OriginRefused::Missing => Ok(()),
            OriginRefused::NotAllowed => {
                f.write_str("; start the server with --allow-origin ORIGIN to allow them")
            }
        }
    }
}

/// Answers a plain HTTP request with `answer` if its page may connect, and lets a page of another origin
/// read that; a page that may not gets a 403.
pub fn answer(
    origins: &Origins,
    headers: &HeaderMap,
    answer: impl FnOnce() -> reply::Response,
) -> reply::Response {
    let other = match origins.check(headers) {
        Ok(other) => other,
        Err(refused) => {
            return reply::with_status(format!("{}\n", Advice(refused)), StatusCode::FORBIDDEN)
                .into_response();
        }
    };
    let mut response = answer();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static(ORIGIN.as_str()));
    if let Some(value) = other.and_then(|origin| HeaderValue::try_from(origin).ok()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value);
    }
    response
}

/// Answers a browser's preflight: if the page may connect, allows one of `methods` and a `Content-Type`.
pub fn preflight(origins: &Origins, headers: &HeaderMap, methods: &'static str) -> reply::Response {
    answer(origins, headers, || {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, CONTENT_TYPE.as_str()),
            (ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    })
}
