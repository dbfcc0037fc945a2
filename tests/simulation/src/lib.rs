//! A deterministic world around the real connection core.
//!
//! A run is a list of [`op::Step`]s given to a [`world::World`], which does what the ring above the
//! core does in a browser, keeps its own account of what must be true, and checks it after every
//! step. Where the lists come from:
//!
//! * [`script`]: a seeded link, server, browser and application;
//! * [`exhaustive`]: every short sequence of inputs of every kind.
//!
//! A list that fails is cut down by [`shrink`] to the steps that matter. Beside it, [`herd`] lets a crowd of
//! cores come back to a server that takes only so many, and [`busy`] knows what the other end really does while the
//! page has no time for it.

pub mod busy;
pub mod coverage;
pub mod exhaustive;
pub mod herd;
pub mod op;
pub mod rng;
pub mod run;
pub mod script;
pub mod shrink;
pub mod world;
