//! The control: HTTP under `/faults`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use test_server::origin;
use warp::http::header::{HeaderMap, RETRY_AFTER};
use warp::http::{Method, StatusCode};
use warp::path::FullPath;
use warp::reply::{self, Reply};
use warp::{Filter, Rejection};

use crate::proxy::Wanted;
use crate::rules::{Action, Match, Rule};
use crate::server::Shared;
use crate::toxics::Given;

/// The largest body of a request, in bytes.
const BODY_BYTES: u64 = 8 * 1024 * 1024;

/// The longest wait for new events of the log, in milliseconds.
const LONGEST_WAIT_MS: u64 = 60_000;

const HELP: &str = "\
This is the fault server. It has the WebSocket endpoints of the hello server: /, /hello and /echo.
The control:

  GET, POST, DELETE  /faults/rules            DELETE  /faults/rules/NUMBER
  POST               /faults/now
  GET                /faults/log?since=NUMBER&waitMs=TIME
  GET, POST, DELETE  /faults/proxies          GET, DELETE  /faults/proxies/NAME
  POST, DELETE       /faults/proxies/NAME/toxics
  DELETE             /faults/proxies/NAME/toxics/TOXIC
";

/// An action for open connections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Now {
    #[serde(default, rename = "match")]
    matches: Match,
    action: Action,
}

/// Answers every request that is not a WebSocket handshake.
pub(crate) fn filter(
    shared: Arc<Shared>,
) -> impl Filter<Extract = (reply::Response,), Error = Rejection> + Clone {
    // A page may omit the parameters.
    let query = warp::query::<HashMap<String, String>>();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(
            warp::body::content_length_limit(BODY_BYTES)
                .and(warp::body::bytes())
                .or(no_body())
                .unify(),
        )
        .then(
            move |method: Method, path: FullPath, query, headers: HeaderMap, body: Bytes| {
                let shared = Arc::clone(&shared);
                async move {
                    if method == Method::OPTIONS {
                        return origin::preflight(&shared.origins, &headers, "GET, POST, DELETE");
                    }
                    // Before anything is done, not only before it is told.
                    if shared.origins.check(&headers).is_err() {
                        return origin::answer(&shared.origins, &headers, not_found);
                    }
                    let answer = answer(&shared, &method, path.as_str(), &query, &body)
                        .await
                        .unwrap_or_else(|text| plain(StatusCode::BAD_REQUEST, &text));
                    origin::answer(&shared.origins, &headers, || answer)
                }
            },
        )
}

async fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    query: &HashMap<String, String>,
    body: &[u8],
) -> Result<reply::Response, String> {
    let Some(path) = path.strip_prefix("/faults/") else {
        return Ok(refused(shared, path, query).unwrap_or_else(not_found));
    };
    let segments: Vec<&str> = path.split('/').collect();
    let (rules, proxies) = (&shared.rules, &shared.proxies);
    Ok(match (method.as_str(), &segments[..]) {
        ("GET", ["rules"]) => json(StatusCode::OK, &json!({ "rules": rules.list() })),
        ("POST", ["rules"]) => {
            let mut rule: Rule = read(body)?;
            rule.settle()?;
            json(StatusCode::CREATED, &json!({ "rule": rules.add(rule) }))
        }
        ("DELETE", ["rules"]) => removed(rules.remove(None)),
        ("DELETE", ["rules", number]) => {
            let number = number
                .parse()
                .map_err(|_| format!("{number:?} is not a rule's number"))?;
            one(rules.remove(Some(number)) > 0)
        }
        ("POST", ["now"]) => {
            let Now { matches, action } = read(body)?;
            action.validate()?;
            if !action.is_for_open() {
                let word = action.word();
                return Err(format!("{word} works only at the handshake: use a rule"));
            }
            if matches.nth.is_some() {
                return Err("match: nth is for rules; open connections have \
                            no order"
                    .to_owned());
            }
            let connections = shared.order(&matches, &action);
            json(StatusCode::OK, &json!({ "connections": connections }))
        }
        ("GET", ["log"]) => {
            let since = number(query, "since", u64::MAX)?;
            let wait = Duration::from_millis(number(query, "waitMs", LONGEST_WAIT_MS)?);
            json(StatusCode::OK, &shared.log.read(since, wait).await)
        }
        ("GET", ["proxies"]) => json(StatusCode::OK, &json!({ "proxies": proxies.list() })),
        ("POST", ["proxies"]) => {
            let wanted: Wanted = read(body)?;
            json(StatusCode::CREATED, &proxies.add(wanted).await?)
        }
        ("DELETE", ["proxies"]) => removed(proxies.clear()),
        ("GET", ["proxies", name]) => match proxies.show(name) {
            Some(shown) => json(StatusCode::OK, &shown),
            None => not_found(),
        },
        ("DELETE", ["proxies", name]) => one(proxies.remove(name)),
        ("POST", ["proxies", name, "toxics"]) => {
            let toxic = read::<Given>(body)?.settle()?;
            if proxies.poison(name, toxic.clone()).await {
                json(StatusCode::CREATED, &toxic)
            } else {
                not_found()
            }
        }
        ("DELETE", ["proxies", name, "toxics"]) => proxies
            .cure(name, None)
            .await
            .map_or_else(not_found, removed),
        ("DELETE", ["proxies", name, "toxics", toxic]) => one(proxies
            .cure(name, Some(toxic))
            .await
            .is_some_and(|count| count > 0)),
        _ => not_found(),
    })
}

/// The response to a plain request for the URL of a WebSocket, if a rule refuses those.
fn refused(
    shared: &Shared,
    path: &str,
    query: &HashMap<String, String>,
) -> Option<reply::Response> {
    let id = query.get("id").map(String::as_str);
    let Action::Refuse {
        status,
        body,
        retry_after,
    } = shared.rules.refusal(path, id)?
    else {
        return None;
    };
    // It was checked when the rule was set.
    let mut answer = plain(StatusCode::from_u16(status).ok()?, &body);
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Some(answer)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn number(query: &HashMap<String, String>, name: &str, most: u64) -> Result<u64, String> {
    let Some(value) = query.get(name) else {
        return Ok(0);
    };
    value
        .parse()
        .ok()
        .filter(|number| *number <= most)
        .ok_or_else(|| format!("{name} takes a number from 0 to {most}, not {value:?}"))
}

fn json(status: StatusCode, value: &impl Serialize) -> reply::Response {
    reply::with_status(reply::json(value), status).into_response()
}

fn plain(status: StatusCode, text: &str) -> reply::Response {
    reply::with_status(format!("{text}\n"), status).into_response()
}

fn removed(count: usize) -> reply::Response {
    json(StatusCode::OK, &json!({ "removed": count }))
}

fn one(was_there: bool) -> reply::Response {
    if was_there { removed(1) } else { not_found() }
}

fn not_found() -> reply::Response {
    reply::with_status(HELP, StatusCode::NOT_FOUND).into_response()
}

/// A request without a body need not say so.
fn no_body() -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone {
    warp::header::optional::<u64>("content-length").and_then(|length: Option<u64>| async move {
        match length {
            None => Ok(Bytes::new()),
            Some(_) => Err(warp::reject::not_found()),
        }
    })
}

/// Turns a filter's rejection into a response.
pub(crate) async fn recover(rejection: Rejection) -> Result<reply::Response, Infallible> {
    Ok(
        if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
            plain(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("a body is limited to {BODY_BYTES} bytes"),
            )
        } else {
            not_found()
        },
    )
}
