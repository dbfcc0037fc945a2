//! What an operator sees: log lines by `tracing`, and counters by `metrics`. Neither names a secret, a credential, an
//! identity or a message.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::ORIGIN;
use steady_socket_protocol::session::{Ended, close};

use crate::handshake::Refused;
use crate::wire::End;

#[cfg(feature = "metrics")]
macro_rules! count {
    ($name:literal $(, $label:literal => $value:expr)*) => {
        metrics::counter!($name $(, $label => $value)*).increment(1)
    };
}

#[cfg(not(feature = "metrics"))]
macro_rules! count {
    ($name:literal $(, $label:literal => $value:expr)*) => {
        { $( let _ = $value; )* }
    };
}

/// How much of a client's header a log line shows, in characters.
const SHOWN: usize = 100;

pub(crate) fn refused(refused: &Refused, headers: &HeaderMap, address: Option<IpAddr>) {
    count!("steady_socket_handshakes_refused_total", "status" => refused.status().as_str().to_owned());
    match refused {
        Refused::Origin(why) => {
            let origin = headers.get(ORIGIN).map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                text.chars().take(SHOWN).collect::<String>()
            });
            tracing::warn!(
                ?origin,
                ?address,
                "refused a handshake: {why}. If that page is yours, add its origin to the option allow_origins"
            );
        }
        refused => tracing::info!(?address, "refused a handshake: {refused}"),
    }
}

pub(crate) fn connected(session: bool) {
    count!("steady_socket_connections_total", "session" => if session { "yes" } else { "no" });
}

pub(crate) fn disconnected(end: &End) {
    match end {
        End::Close(code, reason) => {
            count!("steady_socket_closed_total", "code" => code.to_string());
            match *code {
                1008 | 1009 | 1013 | close::LIMIT => {
                    count!("steady_socket_limited_total", "code" => code.to_string());
                    tracing::info!(code, reason, "a limit has closed a connection");
                }
                _ => tracing::debug!(code, reason, "closed a connection"),
            }
        }
        End::Gone => {
            count!("steady_socket_gone_total");
            tracing::debug!("a client has gone");
        }
    }
}

/// A session has begun. `anew`: in place of one that is lost.
pub(crate) fn session_began(anew: bool) {
    count!("steady_socket_sessions_total", "anew" => if anew { "yes" } else { "no" });
    tracing::debug!(anew, "a session has begun");
}

pub(crate) fn session_ended(why: Ended) {
    count!("steady_socket_sessions_ended_total", "why" => word_of(why));
    tracing::debug!("a session is over: {why}");
}

/// The label of an end.
fn word_of(why: Ended) -> &'static str {
    match why {
        Ended::Lost(why) => why.word(),
        Ended::Closed => "closed",
        Ended::ByPeer => "by-client",
        Ended::Store => "store",
        Ended::TakenOver => "taken-over",
        Ended::Exhausted => "exhausted",
        _ => "other",
    }
}

pub(crate) fn denied() {
    count!("steady_socket_credentials_denied_total");
    tracing::info!("refused a credential");
}

pub(crate) fn stalled(number: u64) {
    count!("steady_socket_stalled_total");
    tracing::warn!(number, "a handler has been busy with a message for 30 s");
}

pub(crate) fn panicked() {
    count!("steady_socket_panics_total");
    tracing::error!("a handler has panicked; its client is disconnected");
}

#[cfg(feature = "redis")]
pub(crate) fn store_failed(error: &str) {
    count!("steady_socket_store_failed_total");
    tracing::warn!(error, "the store does not answer; its sessions wait");
}

/// A log has an entry that this program does not know.
pub(crate) fn foreign_entry() {
    tracing::error!("a shared log has an entry that this endpoint cannot decode");
}

pub(crate) fn full() {
    count!("steady_socket_lost_full_total");
    tracing::info!("a client is too far behind, and loses its connection or session");
}
