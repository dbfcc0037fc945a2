// Generated from Rust (client/src/limits.rs) by tests/generated.rs, which also says how to regenerate it.

/** The close code of a connection that closed without a close frame. */
export const ABNORMAL = 1006;

/** The close codes that scripts may send: this one, and those from `FIRST_OWN` to `LAST_OWN`. */
export const NORMAL = 1000;

/** The first close code of libraries and applications. */
export const FIRST_OWN = 3000;

/** The last of them. */
export const LAST_OWN = 4999;

/** The longest reason that fits in a close frame, in bytes of UTF-8. */
export const LONGEST_REASON = 123;

/** The close code of a connection whose messages were not read in time. */
export const INBOX_FULL = 4008;

/** How many messages may wait to be read, by default. */
export const INBOX_MESSAGES = 10000;

/** How many bytes may wait to be read, by default. */
export const INBOX_BYTES = 67108864;

/** How long after an `error` event a closed socket may still report how it ended, in milliseconds. */
export const CLOSE_AFTER_ERROR = 1000;

/** The most events that one task emits. */
export const TURN = 512;

/** How many dropped messages to keep at least until they are reported. */
export const LEAST_KEPT_MESSAGES = 256;

/** How many bytes of them to keep at least. */
export const LEAST_KEPT_BYTES = 65536;

/** How soon an attempt follows the browser's report that the network is back, in milliseconds: the least … */
export const ONLINE_MIN = 200;

/** … and the most. */
export const ONLINE_MAX = 2000;

/** The characters of a token, besides letters and digits (RFC 9110). */
export const TOKEN_SIGNS = "!#$%&'*+-.^_`|~";
