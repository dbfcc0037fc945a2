//! Faults on demand, for tests of WebSocket clients.
//!
//! A [`FaultServer`] looks like the hello server of the crate `test_server`, which runs inside it: it has the same
//! endpoints. Following *rules*, it misbehaves on selected connections: it refuses them, answers late or never,
//! closes with any code, cuts, resets, stalls, and sends what no server should. It also opens *proxies*, TCP ports in
//! front of any other server of this machine, with *toxics* named like those of
//! [toxiproxy](https://github.com/Shopify/toxiproxy).
//!
//! Both are set over HTTP under `/faults`, from a test's process or from a page of an allowed origin, and everything
//! that happens is in a log for tests to read. The README documents the requests.
//!
//! It is a tool for tests only: whoever can use its control can make it send anything, so it listens on and connects
//! to the loopback interface, and nothing else.

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
