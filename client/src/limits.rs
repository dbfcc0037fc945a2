//! Numbers and rules that both languages need, in one place: `client-wasm/tests/generated.rs` writes them to
//! `client-wasm/js/limits.js`.

/// The close code of a connection that closed without a close frame.
pub const ABNORMAL: u16 = 1006;

/// The close codes that scripts may send: this one, and those from [`FIRST_OWN`] to [`LAST_OWN`].
pub const NORMAL: u16 = 1000;
/// The first of the codes of libraries and applications.
pub const FIRST_OWN: u16 = 3000;
/// The last of them.
pub const LAST_OWN: u16 = 4999;

/// Whether the WebSockets standard lets scripts close with this code.
#[must_use]
pub const fn is_close_code(code: u16) -> bool {
    matches!(code, NORMAL | FIRST_OWN..=LAST_OWN)
}

/// The longest reason that fits in a close frame, in bytes of UTF-8.
pub const LONGEST_REASON: usize = 123;

/// The close code of a connection whose messages the application did not read in time.
pub const INBOX_FULL: u16 = 4008;

/// The close code for a message from the server that is too big: a script cannot send 1009.
pub const TOO_BIG: u16 = 4009;

/// The close code of a connection whose handler has panicked, where that does not end the program. It is like 1011, which a
/// client cannot send.
pub const PANICKED: u16 = 4011;

/// How many messages may wait to be read, by default.
pub const INBOX_MESSAGES: usize = 10_000;

/// How many bytes may wait to be read, by default.
pub const INBOX_BYTES: usize = 64 << 20;

/// The events that all classes for JavaScript emit.
pub const EVENTS: [&str; 7] = [
    "open",
    "message",
    "error",
    "close",
    "statechange",
    "dropped",
    "queuechange",
];

/// How long after an `error` event a closed socket may still report how it ended, in milliseconds. By the standard,
/// its `close` event follows in the same task; in Safari, in one of the next. Chromium never sends it if the page's
/// policy forbids the server. The limit is this long because tasks run late in a busy page.
///
/// A socket that is still connecting gets no longer than the task: by the standard it is closed before its error
/// event, and Node 22 reports nothing after the error (nodejs/undici#3546). A close event could only add that it
/// failed.
pub const CLOSE_AFTER_ERROR_MS: u64 = 1_000;

/// How many events are delivered in one task of the platform: their handlers may cause more of them without end, and
/// during a task, the page does nothing else.
pub const TURN: u32 = 512;

/// How often the application's predicate is asked in one task: it may request an attempt that fails at once, without end.
/// Few, so that their events are delivered in the same task.
pub const VERDICTS: u32 = 8;

/// How many dropped messages to keep at least until they are reported, even if fewer may be queued.
pub const LEAST_KEPT_MESSAGES: usize = 256;

/// How many bytes of them to keep at least.
pub const LEAST_KEPT_BYTES: usize = 65_536;

/// How soon after the browser reports a network an attempt is made, in milliseconds: the least and the most. It
/// reports the network before packets flow.
pub const ONLINE_MS: (f64, f64) = (200.0, 2_000.0);
