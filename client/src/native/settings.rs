//! What a program wants of its handshakes.

use std::rc::Rc;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use super::rustls::ClientConfig;
use crate::platform::Refused;

/// Headers and certificates.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) headers: Vec<(HeaderName, Rc<dyn Fn() -> String>)>,
    /// The system's roots, if there is none.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// The name of a header of the program's own.
pub(super) fn check_name(name: &str) -> Result<HeaderName, Refused> {
    let parsed = HeaderName::try_from(name);
    let parsed = parsed.map_err(|_| Refused(format!("{name:?} cannot be the name of a header")))?;
    let own = parsed.as_str();
    match own.starts_with("sec-websocket-") || ["connection", "upgrade"].contains(&own) {
        true => Err(Refused(format!("the handshake has {name} by itself"))),
        false => Ok(parsed),
    }
}

/// The value of a header.
pub(super) fn check_value(value: &str) -> Result<HeaderValue, Refused> {
    HeaderValue::try_from(value).map_err(|_| {
        Refused::because("the value of a header has a character that cannot be in one")
    })
}
