//! Fetching what an attempt needs, such as a ticket, over HTTP.

use core::fmt;

use gloo_net::http::Request;
use web_sys::AbortController;

/// Why something could not be fetched. It does not show the URL, which may carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answered, but not with success.
    Status(u16),
    /// There was no answer, or it could not be read.
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

/// Gets the text at `url`, past every cache and with the page's credentials. Dropping the future aborts
/// the request.
///
/// ```no_run
/// use steady_socket::protocol::PlainText;
/// use steady_socket::{Socket, Source, fetch_text, FetchError};
///
/// // A ticket that is good for one connection.
/// let url = Source::asking(|_| async {
///     let ticket = fetch_text("/ticket").await?;
///     Ok::<_, FetchError>(format!("/chat?ticket={ticket}"))
/// });
/// let socket = Socket::<String, String, PlainText>::connect(url);
/// ```
///
/// # Errors
/// When the server cannot be reached or does not answer with success.
pub async fn fetch_text(url: &str) -> Result<String, FetchError> {
    let abort = AbortOnDrop(AbortController::new().map_err(|_| FetchError::Unreachable)?);
    let response = Request::get(url)
        .cache(web_sys::RequestCache::NoStore)
        .abort_signal(Some(&abort.0.signal()))
        .send()
        .await
        .map_err(|_| FetchError::Unreachable)?;
    if !response.ok() {
        return Err(FetchError::Status(response.status()));
    }
    response.text().await.map_err(|_| FetchError::Unreachable)
}

struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    /// Once the answer is there it aborts nothing.
    fn drop(&mut self) {
        self.0.abort();
    }
}
