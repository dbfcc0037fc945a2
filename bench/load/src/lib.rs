//! Load tests for hello servers.
//!
//! The server's own tests use the module [`process`]. The program `server-bench` compares servers: it
//! restarts each for every measurement ([`contender`]), has many [`clients`] greeted by it, and runs the
//! rounds through all servers in random order ([`rounds`]).

pub mod arguments;
pub mod clients;
pub mod contender;
pub mod process;
pub mod report;
pub mod rounds;

/// An error's text is shown to the user verbatim.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A fallible result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
