//! How often each outcome occurred.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<String, u64>);

/// What has to occur in a sufficient number of seeds.
pub const EXPECTED: &[&str] = &[
    // Outcomes of a hello.
    "client: Open(Fresh)",
    "client: Open(Anew)",
    "client: Open(Resumed) without replay",
    "client: Open(Resumed) with replay",
    "server: Open(Fresh)",
    "server: Open(Anew)",
    "server: Open(Resumed) without replay",
    "server: Open(Resumed) with replay",
    "client: Lost(Expired)",
    "client: Lost(Unknown)",
    "client: Lost(Full)",
    "client: Lost(Refused)",
    "client: Lost(OutOfStep)",
    "lost with a verdict",
    "lost without a verdict",
    "the same verdict again",
    // Ends of sessions.
    "client: Ended(Closed)",
    "client: Ended(ByPeer)",
    "client: Ended(Superseded)",
    "client: Ended(Stale)",
    "client: Ended(Refused)",
    "client: Ended(Aborted)",
    "client: Ended(Exhausted)",
    "server: Ended(Exhausted)",
    "server: Ended(Closed)",
    "server: Ended(ByPeer)",
    "server: Ended(Lost(Expired))",
    "server: Ended(Lost(Full))",
    "server: Ended(Lost(OutOfStep))",
    "server: Ended(Store)",
    "server: Ended(TakenOver)",
    "server: Lost(Refused)",
    "server: Lost(OutOfStep)",
    // Ends of messages.
    "client: message handled",
    "client: message not handled: TimeToLive",
    "client: message not handled: Overflow",
    "client: message not handled: TooLarge",
    "client: message not handled: Session(Closed)",
    "client: message not handled: Session(Lost(Expired))",
    "client: message unknown: Closed",
    "client: message unknown: SetAside",
    "client: message unknown: Lost(Expired)",
    "client: message unknown: Lost(Unknown)",
    "client: message unknown: Lost(Full)",
    "client: message unknown: Lost(OutOfStep)",
    "client: message unknown: Lost(Refused)",
    "client: message unknown: Aborted",
    "client: message unknown: Superseded",
    "server: message handled",
    "server: message not handled: Session(Lost(Expired))",
    "server: message unknown: Lost(Expired)",
    "server: message unknown: SetAside",
    // Ends of requests.
    "client: request: response",
    "client: request: error",
    "client: request: refused NoHandler",
    "client: request: refused Limit",
    "client: request: refused Failed",
    "client: request: cancelled",
    "client: request: timed out",
    "client: request: not handled",
    "client: request: unknown",
    "server: request: response",
    "server: request: cancelled",
    "server: request: timed out",
    "server: request: unknown",
    // Rejections.
    "rejected: Full",
    "rejected: TooLarge",
    "rejected: TooManyRequests",
    "rejected: Closed",
    "rejected: Exhausted",
    // Frames.
    "frame: Message",
    "frame: Batch",
    "frame: Batch with acknowledgement",
    "frame: Ack",
    "frame: Got",
    "frame: Awaited",
    "frame: Skip",
    "frame: Request",
    "frame: Answer",
    "frame: Cancel",
    "frame: AwaitedMessage",
    "frame: Volatile",
    "frame: Stalled",
    "frame: Credential",
    "frame: Hello",
    "frame: Welcome",
    "frame: End",
    "client: stalled here",
    "client: stalled there",
    "server: stalled here",
    "server: stalled there",
    "client: withdrawn",
    "server: withdrawn",
    // Close codes.
    "close: 1000",
    "close: 1009",
    "close: 1013",
    "close: 3470",
    "close: 3471",
    "close: 3472",
    "close: 3473",
    "close: 3474",
    "close: 3475",
    "close: 3476",
    "close: 3970",
    "close: 3971",
    "close: 3972",
    "close: 3973",
    "close: 4009",
    // What went wrong.
    "cut: between hello and welcome",
    "cut: two in a row between hello and welcome",
    "cut: up",
    "cut: the server noticed first",
    "the server restarted with its store",
    "the server's window shrank",
    "hellos were held up while the server restarted",
    "the server restarted without its store",
    "another process took the session over, and died",
    "a hello arrived after the next one's",
    "the old socket still looked open",
    "a store answered late",
    "a store answered twice",
    "a store did not answer",
    "given again to a new owner",
    "numbers beyond 2^32",
    "numbers beyond 2^53 - 50",
];

impl Coverage {
    /// Counts one.
    pub fn count(&mut self, name: impl Into<String>) {
        *self.0.entry(name.into()).or_default() += 1;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// What has to occur and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let never = |name: &&'static str| !self.0.contains_key(*name);
        EXPECTED.iter().copied().filter(never).collect()
    }

    /// How often this occurred.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, count) in &self.0 {
            writeln!(f, "{count:>10}  {name}")?;
        }
        Ok(())
    }
}
