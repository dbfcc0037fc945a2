//! A deterministic world around the real connection core.
//!
//! A run is a list of [`op::Step`]s for a [`world::World`], which acts as the driver in a browser, keeps its own
//! account of what must be true, and checks it after every step. The lists come from:
//!
//! * [`script`]: a seeded link, server, browser and application;
//! * [`exhaustive`]: every short sequence of inputs of every kind.
//!
//! [`shrink`] cuts a failing list down to the steps that matter. In addition, [`herd`] lets a crowd of cores reconnect
//! to a server that accepts only so many, and [`busy`] knows what the server really does while the page has no time for
//! it.

pub mod busy;
pub mod coverage;
pub mod exhaustive;
pub mod herd;
pub mod op;
pub mod rng;
pub mod run;
pub mod script;
pub mod sessions;
pub mod shrink;
pub mod world;
