//! Fetches what an attempt needs, such as a ticket, over HTTP.

use core::cell::Cell;
use core::fmt;
use std::rc::Rc;

use gloo_net::http::Request;
use gloo_timers::callback::Timeout;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, RequestCache, RequestRedirect, Url};

use crate::browser::{call, page_origin, parse, read, write};
use crate::face::permission_for;

/// Why something could not be fetched. It does not contain the URL, which may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answered, but without success.
    Status(u16),
    /// There was no response, or it could not be read.
    Unreachable,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answered with status {status}"),
            Self::Unreachable => f.write_str("the server could not be reached"),
        }
    }
}

impl core::error::Error for FetchError {}

/// Gets the text at `url`, bypassing every cache, with the page's credentials.
///
/// # Cancel safety
/// If the future is dropped before it is ready, the request is aborted. Whether it reached the server is not known.
///
/// ```no_run
/// use steady_socket::protocol::PlainText;
/// use steady_socket::{Socket, Source, fetch_text, FetchError};
///
/// // A single-use ticket.
/// let url = Source::provider(async |_attempt| {
///     let ticket = fetch_text("/ticket").await?;
///     Ok::<_, FetchError>(format!("/chat?ticket={ticket}"))
/// });
/// let socket = Socket::<String, String, PlainText>::connect(url);
/// ```
///
/// # Errors
/// If the server cannot be reached or does not answer with success.
pub async fn fetch_text(url: &str) -> Result<String, FetchError> {
    let abort = AbortOnDrop(AbortController::new().map_err(|_| FetchError::Unreachable)?);
    let response = Request::get(url)
        .cache(RequestCache::NoStore)
        .abort_signal(Some(&abort.0.signal()))
        .send()
        .await
        .map_err(|_| FetchError::Unreachable)?;
    if !response.ok() {
        return Err(FetchError::Status(response.status()));
    }
    response.text().await.map_err(|_| FetchError::Unreachable)
}

/// The result of a plain HTTP request after handshakes have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnosis {
    /// The server answers with this status: 401 or 403 if it refuses the user, 404 if there is nothing at this
    /// address, 5xx if it or a proxy is in trouble; 400 or 426 come from a healthy WebSocket endpoint that accepts no
    /// plain request.
    Status(u16),
    /// The server does not answer.
    Unreachable,
    /// The user or a policy denies the page permission to connect to this machine or its network (Chromium).
    PermissionDenied,
    /// Unknown: the server redirects, or is of another origin and does not answer or may not be read.
    Unknown,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the server answers with status {status}"),
            Self::Unreachable => f.write_str("the server does not answer"),
            Self::PermissionDenied => {
                f.write_str("this page is denied the permission to connect to the local network")
            }
            Self::Unknown => f.write_str("the server's answer cannot be seen from this page"),
        }
    }
}

/// How long a response may take, in milliseconds.
const DIAGNOSIS_TIMEOUT: u32 = 5_000;

/// Asks a server once, over HTTP, why handshakes fail, which browsers do not report. `url` is the URL to request
/// (`ws:` becomes `http:`). If the socket's own URL holds a single-use ticket, pass another: this request would use
/// the ticket up. The request bypasses every cache, has the page's credentials for its own origin, follows no
/// redirects, and takes at most 5 s. A server of another origin has to allow the page to read its response (CORS).
///
/// # Cancel safety
/// If the future is dropped before it is ready, the request is aborted. Whether it reached the server is not known.
///
/// ```no_run
/// # async fn example(mut events: steady_socket::Events) {
/// use steady_socket::{Event, diagnose};
///
/// let mut failures = 0;
/// while let Some(event) = events.recv().await {
///     match event {
///         Event::Open { .. } => failures = 0,
///         Event::Closed(closed) if !closed.loss.was_open => {
///             failures += 1;
///             if failures == 3 {
///                 log::warn!("{}", diagnose("wss://example.org/chat").await);
///             }
///         }
///         _ => {}
///     }
/// }
/// # }
/// ```
pub async fn diagnose(url: &str) -> Diagnosis {
    let Some(url) = http_url(url) else {
        return Diagnosis::Unknown;
    };
    if is_denied(&url.href()).await {
        return Diagnosis::PermissionDenied;
    }
    let Ok(controller) = AbortController::new() else {
        return Diagnosis::Unknown;
    };
    let abort = AbortOnDrop(controller);
    let timed_out = Rc::new(Cell::new(false));
    let timeout = {
        let (controller, timed_out) = (abort.0.clone(), Rc::clone(&timed_out));
        Timeout::new(DIAGNOSIS_TIMEOUT, move || {
            timed_out.set(true);
            controller.abort();
        })
    };
    let answer = Request::get(&url.href())
        .cache(RequestCache::NoStore)
        .redirect(RequestRedirect::Manual)
        .abort_signal(Some(&abort.0.signal()))
        .send()
        .await;
    drop(timeout);
    match answer {
        // A redirect shows no status.
        Ok(answer) if answer.status() == 0 => Diagnosis::Unknown,
        Ok(answer) => Diagnosis::Status(answer.status()),
        Err(_) if timed_out.get() || page_origin() == Some(url.origin()) => Diagnosis::Unreachable,
        Err(_) => Diagnosis::Unknown,
    }
}

/// Whether the page is known to be denied permission to connect to this address.
async fn is_denied(url: &str) -> bool {
    let Some(name) = permission_for(url) else {
        return false;
    };
    let permissions = read(&read(&js_sys::global(), "navigator"), "permissions");
    // Under its name in earlier browsers, if they lack the current one.
    for name in [name, "local-network-access"] {
        let descriptor = js_sys::Object::new();
        write(&descriptor, "name", &name.into());
        let asked = call(&permissions, "query", &descriptor, &JsValue::UNDEFINED);
        let Ok(promise) = asked.and_then(JsCast::dyn_into::<js_sys::Promise>) else {
            return false;
        };
        if let Ok(status) = JsFuture::from(promise).await {
            return read(&status, "state") == "denied";
        }
    }
    false
}

/// An absolute URL that can be fetched.
fn http_url(url: &str) -> Option<Url> {
    let url: Url = parse(url).ok()?.unchecked_into();
    match url.protocol().as_str() {
        "ws:" => url.set_protocol("http:"),
        "wss:" => url.set_protocol("https:"),
        _ => {}
    }
    Some(url)
}

struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    /// Once the response has arrived, this aborts nothing.
    fn drop(&mut self) {
        self.0.abort();
    }
}
