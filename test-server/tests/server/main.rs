//! The server, driven through real sockets.

mod control;
mod documentation;
mod ending;
mod greetings;
mod handshake;
mod limits;
mod page;
mod program;
mod secrets;
mod sessions;
mod support;
mod tls;
