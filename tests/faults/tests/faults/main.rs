//! Each fault is in force when it should be, and no other is.

mod control;
mod program;
mod proxies;
mod scripted;
mod support;
