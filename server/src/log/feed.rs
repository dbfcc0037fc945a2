//! The entries of a log on their way to a session.

use std::sync::Arc;
use std::time::Duration;

use steady_socket_protocol::session::frame::Why;
use tokio::time::{sleep, timeout};

use super::{Entry, Logs, Read};
use crate::body::Body;
use crate::errors::SendError;
use crate::observe;
use crate::session::{Life, Session};

/// How long to wait before a store that does not answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends a session each entry of a log behind this one, until its life is over. A session that cannot be given the next one is
/// lost, since it would miss something.
pub(crate) async fn feed(
    session: Arc<Session>,
    life: Life,
    logs: Arc<Logs>,
    log: Arc<str>,
    mut after: u64,
    encode: impl Fn(&Entry) -> Option<Body> + Send,
) {
    let (tail, mut news) = logs.tail(&log);
    loop {
        // Before it is read, so that no news is missed.
        news.mark_unchanged();
        let entries = match logs.read(&log, &tail, after).await {
            Some(Read::Entries(entries)) => entries,
            Some(Read::Behind) => return session.lose(life, Why::Full),
            Some(Read::Gone) => return session.lose(life, Why::Unknown),
            None => {
                sleep(AGAIN).await;
                match session.takes(life) {
                    true => continue,
                    false => return,
                }
            }
        };
        if entries.is_empty() {
            let room = session.room().notified();
            if !session.takes(life) {
                return;
            }
            tokio::select! {
                changed = timeout(logs.limits.life / 4, news.changed()) => {
                    if changed.is_err() {
                        // Reading keeps the log alive.
                        tail.stir();
                    }
                }
                // There is room, or the end.
                () = room => {}
            }
        }
        for entry in entries {
            let Some(body) = encode(&entry) else {
                observe::foreign_entry();
                return session.lose(life, Why::Unknown);
            };
            match session.send_entry(life, &log, after + 1, body).await {
                Ok(()) => after += 1,
                Err(SendError::Closed) => return,
                Err(_) => return session.lose(life, Why::Full),
            }
        }
    }
}
