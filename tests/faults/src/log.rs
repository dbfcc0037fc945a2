//! The log of events, for tests to read.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many events to keep; older ones are dropped, and counted.
const KEPT: usize = 10_000;

/// An event.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    /// Numbers from 1, without gaps.
    seq: u64,
    /// The time in milliseconds since the start.
    ms: u64,
    /// What happened.
    event: &'static str,
    #[serde(flatten)]
    details: Map<String, Value>,
}

/// An excerpt of the log.
#[derive(Debug, Serialize)]
pub(crate) struct Excerpt {
    events: Vec<Event>,
    /// The `since` of the next request: the number of the last event.
    last: u64,
    /// How many events were dropped so far because the log was full.
    forgotten: u64,
}

/// The last events.
pub(crate) struct Log {
    start: Instant,
    events: Mutex<VecDeque<Event>>,
    last: watch::Sender<u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            events: Mutex::default(),
            last: watch::Sender::new(0),
        }
    }

    /// Adds an event; `details` is a JSON object.
    pub(crate) fn add(&self, event: &'static str, details: Value) {
        let Value::Object(details) = details else {
            unreachable!("details are an object")
        };
        let mut events = self.lock();
        let seq = *self.last.borrow() + 1;
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(Event {
            seq,
            ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            event,
            details,
        });
        self.last.send_replace(seq);
    }

    /// The events after number `since`. If there are none, waits for one, at most `wait`.
    pub(crate) async fn read(&self, since: u64, wait: Duration) -> Excerpt {
        let mut last = self.last.subscribe();
        // On a timeout, the result is that nothing happened.
        let _ = timeout(wait, last.wait_for(|last| *last > since)).await;
        let events = self.lock();
        let last = *self.last.borrow();
        Excerpt {
            events: events
                .iter()
                .filter(|event| event.seq > since)
                .cloned()
                .collect(),
            last,
            forgotten: last - events.len() as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn old_events_are_forgotten_and_counted() {
        let log = Log::new();
        for number in 0..KEPT + 3 {
            log.add("test", json!({ "number": number }));
        }
        let all = log.read(0, Duration::ZERO).await;
        assert_eq!((all.events.len(), all.forgotten), (KEPT, 3));
        assert_eq!(all.last, KEPT as u64 + 3);
        assert_eq!(all.events[0].seq, 4);
        let none = log.read(all.last, Duration::from_millis(1)).await;
        assert_eq!((none.events.len(), none.last), (0, all.last));
    }

    #[tokio::test]
    async fn a_reader_can_wait_for_the_next_event() {
        let log = Log::new();
        log.add("first", json!({}));
        let (read, ()) = tokio::join!(log.read(1, Duration::from_secs(30)), async {
            log.add("second", json!({}));
        });
        assert_eq!(read.events[0].event, "second");
    }
}
