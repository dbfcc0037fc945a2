//! What the programs of this package share: the endpoint whose messages come back.

use serde::{Deserialize, Serialize};
use steady_socket_server::{Json, endpoint};

/// A message of a chat, of 100 B as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who says it.
    pub from: String,
    /// Which of the sender's it is, from [`FIRST`].
    pub number: u64,
    /// What is said.
    pub text: String,
}

/// The number of a client's first message: all that it sends have as many digits.
pub const FIRST: u64 = 1_000_000;

impl Note {
    /// One with this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            from: "Ada".to_owned(),
            number,
            text: "The engine weaves algebraic patterns as looms weave leaves.".to_owned(),
        }
    }
}

endpoint! {
    /// Every message comes back, with a session or without.
    pub Echo at "/echo" {
        client: Note,
        server: Note,
        "echo.json" => Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_has_the_size_that_is_documented() {
        for number in [FIRST, FIRST + 5_000_000] {
            let json = serde_json::to_string(&Note::new(number)).unwrap();
            assert_eq!(json.len(), 100, "{json}");
        }
    }
}
