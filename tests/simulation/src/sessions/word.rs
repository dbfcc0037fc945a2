//! What the two applications send.

use steady_socket_protocol::session::Payload;
use steady_socket_protocol::session::frame::Kind;

/// A message, a request or an answer, known by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its place in the account.
    pub id: usize,
    /// Its size.
    pub bytes: usize,
    /// Its kind.
    pub kind: Kind,
    /// What it does to whoever receives it.
    pub fatal: Option<Fatal>,
}

/// What a message does to whoever receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// The connection is closed with this code.
    Close(u16),
    /// The process dies.
    Kill,
}

impl Payload for Word {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn kind(&self) -> Kind {
        self.kind
    }
}
