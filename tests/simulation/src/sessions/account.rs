//! What the two applications really had, independent of what the halves think.

use std::collections::BTreeMap;

use steady_socket_protocol::session::frame::{Refusal, Why};
use steady_socket_protocol::session::{AskEnd, End, Ended, SendMode};

use super::word::Word;

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How something that was sent ended, as its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Handled, or answered.
    Handled,
    /// Never given.
    NotHandled,
    /// Nobody knows.
    Unknown,
    /// The application itself gave it up.
    GivenUp,
}

/// A message or a request.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who sent it.
    pub from: Side,
    /// Whether it is a request.
    pub request: bool,
    /// Whether it was marked to go first.
    pub first: bool,
    /// Whether its sender waits for its end.
    pub awaited: bool,
    /// Which process or page sent it.
    pub sender: u64,
    /// Which processes or pages it was given to.
    pub given: Vec<u64>,
    /// The other application was done with it.
    pub done: bool,
    /// The store knows that.
    pub committed: bool,
    /// The epoch and number under which it was last given.
    pub place: Option<(u64, u64)>,
    /// What the sender was told.
    pub told: Option<Told>,
    /// Whoever sent it is gone: nobody will be told.
    pub orphan: bool,
    /// The store has refused to keep it.
    pub refused: bool,
    /// When its time is over, by its asker's clock.
    pub deadline: Option<u64>,
    /// A request that was made before its asker knew how many the other end takes.
    pub early: bool,
}

/// All messages and requests.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// By their ids.
    pub entries: Vec<Entry>,
    /// The last id that was given: by the receiver, and by whether it was marked to go first.
    last: BTreeMap<(u64, bool), usize>,
    /// Of what these ends send, something on the way has lost or added a frame with numbers, or its ends were told to
    /// somebody else. Until that is noticed, numbers mean other messages: of these only the count of ends is judged.
    pub shifted: [bool; 2],
    /// Owners of a session may have gone without a word, so that a verdict cannot say what they were given.
    pub owners_vanish: bool,
    /// The store has kept somebody waiting, so that messages may end which it has and nobody was sent.
    pub store_waited: bool,
}

impl Account {
    /// Something new is sent.
    pub fn add(&mut self, from: Side, sender: u64, request: bool, mode: SendMode) -> usize {
        self.entries.push(Entry {
            from,
            request,
            first: mode.first,
            awaited: mode.awaited,
            sender,
            given: Vec::new(),
            done: false,
            committed: false,
            place: None,
            told: None,
            orphan: false,
            early: false,
            refused: false,
            deadline: None,
        });
        self.entries.len() - 1
    }

    /// It was not accepted after all.
    pub fn take_back(&mut self, id: usize) {
        self.entries[id].orphan = true;
    }

    /// An application is given something. Returns whether another owner was given it before.
    ///
    /// # Errors
    /// What it should not have been given.
    pub fn give(
        &mut self,
        to: Side,
        receiver: u64,
        word: &Word,
        place: (u64, u64),
    ) -> Result<bool, String> {
        let id = word.id;
        let entry = &mut self.entries[id];
        if self.shifted[entry.from as usize] {
            entry.given.push(receiver);
            return Ok(false);
        }
        if entry.from == to {
            return Err(format!("{id} came back to its sender"));
        }
        if entry.given.contains(&receiver) {
            return Err(format!("{id} was given twice: {entry:?}"));
        }
        if matches!(entry.told, Some(Told::NotHandled)) {
            return Err(format!(
                "{id} was given after its sender was told that it was not: {entry:?}"
            ));
        }
        if entry.told == Some(Told::Handled) {
            return Err(format!(
                "{id} was given after its sender was told that it was handled: {entry:?}"
            ));
        }
        if entry.committed {
            return Err(format!(
                "{id} was given although the store has it as handled: {entry:?}"
            ));
        }
        if !entry.given.is_empty() && to == Side::Client {
            return Err(format!("{id} was given to two pages: {entry:?}"));
        }
        let again = !entry.given.is_empty();
        entry.given.push(receiver);
        entry.place = Some(place);
        if !entry.request {
            let last = self.last.insert((receiver, entry.first), id);
            if last.is_some_and(|last| last >= id) {
                return Err(format!("{id} was given after {last:?}"));
            }
        }
        Ok(again)
    }

    fn tell(&mut self, id: usize, told: Told) -> Result<(), String> {
        let entry = &mut self.entries[id];
        if let Some(before) = entry.told {
            return Err(format!("{id} ended as {told:?}, after {before:?}"));
        }
        entry.told = Some(told);
        match told {
            _ if self.shifted[entry.from as usize] => Ok(()),
            Told::Handled if !entry.done => {
                Err(format!("{id} is said to be handled, and is not: {entry:?}"))
            }
            Told::NotHandled if !entry.given.is_empty() => Err(format!(
                "{id} is said not to be handled, but was given: {entry:?}"
            )),
            _ => Ok(()),
        }
    }

    /// A sender is told how its message ended: handled, if not otherwise.
    ///
    /// # Errors
    /// If that is not so, or it was told before.
    pub fn settle(&mut self, id: usize, end: Option<&End<Word>>) -> Result<(), String> {
        let told = match end {
            None => Told::Handled,
            Some(End::NotHandled { payload, .. } | End::Unknown { payload, .. })
                if payload.id != id =>
            {
                return Err(format!("for {id} another came back: {payload:?}"));
            }
            Some(End::NotHandled { .. }) => Told::NotHandled,
            Some(End::Unknown { why, .. }) => self.unknown(id, *why)?,
        };
        self.tell(id, told)
    }

    /// "Unknown" is said only where nobody can know.
    fn unknown(&self, id: usize, why: Ended) -> Result<Told, String> {
        let entry = &self.entries[id];
        let is_known = match (entry.from, why) {
            // The server's half has ended it, so it knows.
            (Side::Client, Ended::Lost(Why::Expired | Why::Full)) => true,
            // The client's half has, and has said so.
            (Side::Server, Ended::ByPeer) => !self.store_waited,
            // What its store has refused was never sent.
            (Side::Server, Ended::Lost(Why::Full)) => !self.store_waited && entry.refused,
            _ => false,
        };
        let ended_there = matches!(why, Ended::Lost(Why::Expired | Why::Full));
        if ended_there && entry.committed && self.shifted == [false; 2] {
            return Err(format!(
                "{id} is said to be unknown, and the store has it as handled: {entry:?}"
            ));
        }
        let sure = !self.owners_vanish && self.shifted == [false; 2] && !entry.early;
        if is_known && sure && entry.given.is_empty() {
            return Err(format!(
                "{id} is said to be unknown, and was never given: {entry:?}"
            ));
        }
        Ok(Told::Unknown)
    }

    /// A sender is told how its request ended.
    ///
    /// # Errors
    /// If that is not so, or it was told before.
    pub fn answer(&mut self, id: usize, end: &AskEnd<Word>) -> Result<(), String> {
        let told = match end {
            AskEnd::Response(word) | AskEnd::Error(word)
                if word.id != id && !self.shifted[self.entries[id].from as usize] =>
            {
                return Err(format!("{id} got the answer to {word:?}"));
            }
            AskEnd::Response(_) | AskEnd::Error(_) => Told::Handled,
            AskEnd::Refused(Refusal::Limit)
                if !self.entries[id].early && self.shifted == [false; 2] =>
            {
                return Err(format!(
                    "{id} is one request too many, and its asker knew the limit"
                ));
            }
            // Whoever refuses may not have asked its application.
            AskEnd::Refused(_) | AskEnd::Cancelled | AskEnd::TimedOut => Told::GivenUp,
            AskEnd::NotHandled(_) => Told::NotHandled,
            AskEnd::Unknown(why) => self.unknown(id, *why)?,
        };
        self.tell(id, told)
    }

    /// Ids of what this sender sent and has not been told about.
    pub fn open(&self, from: Side, sender: u64) -> impl Iterator<Item = usize> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(move |(id, entry)| {
                (entry.from == from
                    && entry.sender == sender
                    && entry.told.is_none()
                    && !entry.orphan)
                    .then_some(id)
            })
    }
}
