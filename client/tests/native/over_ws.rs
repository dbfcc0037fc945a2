//! The cases, without TLS.

use super::server::WS as SERVER;

#[path = "../face/cases.rs"]
mod cases;
