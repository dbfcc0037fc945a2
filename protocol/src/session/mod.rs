//! Sessions.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod frame;
mod json;
mod sha256;

/// The suffix of a sub-protocol's name that asks for a session, which includes control messages.
pub const SUFFIX: &str = "~2";

/// The sub-protocol that a client without a name of its own offers for a session.
pub const PLAIN_NAME: &str = "steady~2";

/// The largest number of a message, of an id and of a count: the largest integer that a JavaScript number holds
/// exactly, 2^53 − 1.
pub const MAX_NUMBER: u64 = 9_007_199_254_740_991;

/// The limits and times of the specification, with their defaults.
///
/// Those of the other end may be narrower: hello and welcome state them.
pub mod limits {
    /// Messages unhandled in one direction.
    pub const MESSAGES: u64 = 1_000;
    /// Bytes unhandled in one direction: 1 MiB.
    pub const BYTES: u64 = 1_048_576;
    /// Bytes of a message: 1 MiB.
    pub const MESSAGE_BYTES: u64 = 1_048_576;
    /// Unanswered requests in one direction.
    pub const REQUESTS: u64 = 64;
    /// Numbered frames that may ride behind the first hello.
    pub const RIDING_MESSAGES: u64 = 64;
    /// Bytes in them: 64 KiB.
    pub const RIDING_BYTES: u64 = 65_536;
    /// Messages in a batch.
    pub const BATCH_MESSAGES: usize = 256;
    /// Bytes in a batch of several: 64 KiB, above which a browser gains nothing from fewer frames.
    pub const BATCH_BYTES: usize = 65_536;
    /// Answers and cancellations that the other end has not confirmed, before further ones wait.
    pub const UNCONFIRMED: u64 = 256;
    /// Answers and cancellations beyond the handled prefix, before the receiver says that it has them.
    pub const GOT_AFTER: u64 = 64;
    /// Bytes of a credential: the headers of common servers allow no longer ones.
    pub const CREDENTIAL_BYTES: usize = 4_096;
    /// Milliseconds until an acknowledgement.
    pub const ACK_DELAY_MS: u64 = 1_000;
    /// Messages until an acknowledgement.
    pub const ACK_MESSAGES: u64 = 300;
    /// Milliseconds until a handler is reported as stalled.
    pub const STALLED_MS: u64 = 30_000;
    /// Milliseconds for a hello to arrive.
    pub const HELLO_MS: u64 = 10_000;
    /// Milliseconds that a session outlives its connection.
    pub const WINDOW_MS: u64 = 120_000;
    /// Milliseconds that a hello may be on its way.
    pub const TRANSIT_MS: u64 = 60_000;
    /// Replays alone that end a connection, until a message is set aside.
    pub const ALONE: u8 = 3;
    /// Milliseconds that a tombstone of a closed session stays: 10 minutes.
    pub const CLOSED_TOMBSTONE_MS: u64 = 600_000;
    /// Milliseconds that a tombstone of an expired session stays: 24 hours.
    pub const EXPIRED_TOMBSTONE_MS: u64 = 86_400_000;
    /// Messages that wait without a number.
    pub const QUEUE_MESSAGES: usize = 1_000;
    /// Bytes in them: 1 MiB.
    pub const QUEUE_BYTES: usize = 1_048_576;
}

/// The close codes of sessions. 3000 to 3499 let a client come back, 3500 to 3999 do not.
pub mod close {
    /// The session was closed or ended.
    pub const NORMAL: u16 = 1_000;
    /// A message is larger than the receiver takes.
    pub const TOO_LARGE: u16 = 1_009;
    /// No room for another session.
    pub const NO_ROOM: u16 = 1_013;
    /// The counts of the two ends differ.
    pub const OUT_OF_STEP: u16 = 3_470;
    /// A malformed frame.
    pub const MALFORMED: u16 = 3_471;
    /// The first frame was no hello, none came, or a second one came.
    pub const NO_HELLO: u16 = 3_472;
    /// No welcome came in time.
    pub const NO_WELCOME: u16 = 3_473;
    /// The other end exceeded a limit.
    pub const LIMIT: u16 = 3_474;
    /// The session's store does not answer.
    pub const STORE: u16 = 3_475;
    /// The session is lost; the next welcome says why.
    pub const LOST: u16 = 3_476;
    /// A newer connection has the session.
    pub const SUPERSEDED: u16 = 3_970;
    /// A late hello.
    pub const STALE: u16 = 3_971;
    /// The client is not let in.
    pub const REFUSED: u16 = 3_972;

    /// All of them.
    pub const ALL: [u16; 13] = [
        NORMAL,
        TOO_LARGE,
        NO_ROOM,
        OUT_OF_STEP,
        MALFORMED,
        NO_HELLO,
        NO_WELCOME,
        LIMIT,
        STORE,
        LOST,
        SUPERSEDED,
        STALE,
        REFUSED,
    ];

    /// Whether a client that receives this code gives its session up.
    #[must_use]
    pub const fn ends_session(code: u16) -> bool {
        matches!(code, NORMAL | SUPERSEDED | STALE | REFUSED)
    }

    /// Whether a connection that ends with this code may have been ended by what it carried.
    #[must_use]
    pub const fn blames_messages(code: u16) -> bool {
        matches!(code, 1_002 | 1_003 | 1_007 | TOO_LARGE | 4_009)
    }
}
