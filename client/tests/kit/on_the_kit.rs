//! The cases, in a world of the kit.

use super::server::KIT as SERVER;

#[path = "../face/cases.rs"]
mod cases;
