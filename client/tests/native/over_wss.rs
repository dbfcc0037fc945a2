//! The same cases over TLS, with a root of the program's own.

use super::server::WSS as SERVER;

// In the same program: building and linking it twice takes longer than all of the cases.
#[path = "../face/cases.rs"]
#[allow(clippy::duplicate_mod)]
mod cases;
