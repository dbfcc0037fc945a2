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

/// The largest number of a message, of an id and of a count: the largest integer that a JavaScript number holds
/// exactly, 2^53 − 1.
pub const MAX_NUMBER: u64 = 9_007_199_254_740_991;

/// The longest credential, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 4_096;
