//! The cases, without TLS.

use super::server::WS as SERVER;

#[path = "cases.rs"]
mod cases;
