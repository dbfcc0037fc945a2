//! Faults on demand, for tests of WebSocket clients.
//!
//! A [`FaultServer`] looks like the hello server of the crate `test_server`, which is inside of it:
//! it has the same endpoints. Told by *rules*, it treats single connections badly: refuses them,
//! answers late or never, closes with any code, cuts, resets, stalls, and sends what no server
//! should. Beside that it opens *proxies*, TCP ports in front of any other server of this machine,
//! with *toxics* that are called what [toxiproxy](https://github.com/Shopify/toxiproxy) calls them.
//!
//! Both are set through HTTP under `/faults`, from a test's process or from a page of an allowed
//! origin, and all that happens is in a log for tests to read. The README tells the words.
//!
//! It is a tool for tests alone: whoever may use its control can make it send anything, so it
//! listens on the loopback interface and connects to it, and to nothing else.

mod control;
mod frames;
mod head;
mod log;
mod proxy;
mod relay;
mod rules;
mod server;
mod toxics;

pub use server::{Config, FaultServer, StartError};
