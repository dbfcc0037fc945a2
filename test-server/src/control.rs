//! `POST /control/cut?id=ID`: a page or test ends its own connections.
//!
//! A client identifies itself in the WebSocket's URL, `ws://…/hello?id=ID`, with an id that nobody else can
//! guess. The control ends the connections with that id: by dropping the TCP connection, which the client
//! sees as 1006, or, with `&code=4000&reason=…`, by an orderly Close. It is off unless
//! [`Config::demo_control`](crate::Config::demo_control) is set, and the same rules for origins apply as for
//! WebSockets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::http::StatusCode;
use warp::http::header::HeaderMap;
use warp::reply::{self, Reply};
use warp::{Filter, Rejection};

use crate::origin;
use crate::registry::{Command, INVALID_ID, is_id};
use crate::state::State;

/// The longest close reason that fits in a frame, in bytes.
const REASON_BYTES: usize = 123;

const OFF: &str = "the control is off: start the server with --demo-control\n";

#[derive(Debug, Deserialize)]
struct Query {
    id: String,
    code: Option<u16>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    /// How many connections are ending.
    connections: usize,
}

/// The control, or a 404 for every request to it while it is off.
pub(crate) fn filter(
    state: Arc<State>,
) -> impl Filter<Extract = (reply::Response,), Error = Rejection> + Clone {
    let on = state.config.demo_control;
    let path = warp::path!("control" / "cut");
    let switched = |wanted: bool| {
        path.and_then(move || async move {
            if on == wanted {
                Ok(())
            } else {
                Err(warp::reject::not_found())
            }
        })
        .untuple_one()
    };
    // Answered here: the page's filter accepts no POST, which would make this a 405.
    let off =
        switched(false).map(|| reply::with_status(OFF, StatusCode::NOT_FOUND).into_response());
    let request = switched(true).and(warp::header::headers_cloned());
    let cut = {
        let state = Arc::clone(&state);
        request
            .and(warp::post())
            .and(warp::query())
            .map(move |headers: HeaderMap, query| {
                origin::answer(&state.origins, &headers, || match command_of(&query) {
                    Ok(command) => {
                        let connections = state.registry.command(&query.id, &command);
                        reply::json(&Done { connections }).into_response()
                    }
                    Err(text) => reply::with_status(format!("{text}\n"), StatusCode::BAD_REQUEST)
                        .into_response(),
                })
            })
    };
    // The preflight of a browser whose page adds its own headers.
    let preflight = request
        .and(warp::options())
        .map(move |headers: HeaderMap| origin::preflight(&state.origins, &headers, "POST"));
    off.or(cut).unify().or(preflight).unify()
}

fn command_of(query: &Query) -> Result<Command, &'static str> {
    if !is_id(&query.id) {
        return Err(INVALID_ID);
    }
    match (query.code, &query.reason) {
        (None, None) => Ok(Command::Cut),
        (None, Some(_)) => Err("a reason needs a code"),
        (Some(1000..=1003 | 1007..=1014 | 3000..=4999), Some(reason))
            if reason.len() > REASON_BYTES =>
        {
            Err("a reason is limited to 123 bytes")
        }
        (Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)), reason) => {
            Ok(Command::Close(code, reason.clone().unwrap_or_default()))
        }
        (Some(_), _) => Err("a code must be 1000-1003, 1007-1014 or 3000-4999"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_become_commands_or_say_what_is_wrong() {
        let close = |code, reason: &str| Ok(Command::Close(code, reason.to_owned()));
        let cases = [
            ("a", None, None, Ok(Command::Cut)),
            ("a-Z_9", Some(4000), None, close(4000, "")),
            ("a", Some(1000), Some("bye"), close(1000, "bye")),
            ("a", None, Some("bye"), Err("a reason needs a code")),
            ("", None, None, Err(INVALID_ID)),
            ("a/b", None, None, Err(INVALID_ID)),
            (
                "a",
                Some(4000),
                Some(&*"é".repeat(62)),
                Err("a reason is limited to 123 bytes"),
            ),
        ];
        for (id, code, reason, expected) in cases {
            let query = Query {
                id: id.to_owned(),
                code,
                reason: reason.map(str::to_owned),
            };
            assert_eq!(command_of(&query), expected, "{query:?}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, u16::MAX] {
            let query = Query {
                id: "a".to_owned(),
                code: Some(code),
                reason: None,
            };
            assert!(command_of(&query).is_err(), "{code}");
        }
    }
}
