//! Load on hello servers.
//!
//! The server's own tests take from here how to look at a [`process`]. The program `server-bench` measures
//! servers side by side: each is started anew for every measurement ([`contender`]), many [`clients`] are
//! greeted by it, and the rounds go through all servers in random order ([`rounds`]).

pub mod clients;
pub mod contender;
pub mod process;
pub mod report;
pub mod rounds;

/// The text of an error is shown to the user as it is.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What may fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
