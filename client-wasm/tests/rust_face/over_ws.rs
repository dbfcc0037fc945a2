//! The cases, without TLS.

use super::server::WS as SERVER;

#[path = "../../../client/tests/face/cases.rs"]
mod cases;
