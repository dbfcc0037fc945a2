//! Both halves of a session with a network, a store and two applications between and around them.
//!
//! A seed chooses what goes wrong, and then every step. The [`world`] keeps its own account of what the two applications
//! were really given, finished and told, and compares it after every step.

pub mod account;
pub mod coverage;
pub mod exhaustive;
pub mod script;
pub mod word;
pub mod world;
