//! The same cases over TLS.

use super::server::WSS as SERVER;

// In the same program: building, linking and starting it twice takes longer than all of the cases.
#[path = "../../../client/tests/face/cases.rs"]
#[allow(clippy::duplicate_mod)]
mod cases;
