//! The typed messages of the benchmarks, and what every contender computes from them: `page/cases.js` and
//! `page/digest.js` are the JavaScript counterparts.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The largest prime below 2^16.
const MODULUS: u32 = 65_521;

/// The digest of all messages up to one with this value.
#[must_use]
pub fn step(digest: u32, value: u32) -> u32 {
    digest.wrapping_mul(31).wrapping_add(value) % MODULUS
}

/// A message's contribution to the digest.
pub trait Value {
    /// A small number, from the message's beginning and end.
    fn value(&self) -> u32;
}

/// A typed message.
pub trait Typed: Value + Clone + Serialize + DeserializeOwned + 'static {}

impl<T: Value + Clone + Serialize + DeserializeOwned + 'static> Typed for T {}

impl Value for String {
    fn value(&self) -> u32 {
        // All texts of the benchmarks are ASCII, whose bytes equal its UTF-16 code units.
        self.as_bytes().value()
    }
}

impl Value for Vec<u8> {
    fn value(&self) -> u32 {
        self.as_slice().value()
    }
}

impl Value for [u8] {
    fn value(&self) -> u32 {
        let ends = self.first().zip(self.last());
        let (first, last) = ends.map_or((0, 0), |(&first, &last)| (first, last));
        length(self.len()) + u32::from(first) + u32::from(last)
    }
}

fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A price and an amount.
pub type Level = (f64, u32);

/// An order book: numbers in nested lists.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Book {
    /// `book`.
    pub r#type: String,
    /// The traded instrument.
    pub symbol: String,
    /// The number of the message.
    pub sequence: u32,
    /// Bids.
    pub bids: Vec<Level>,
    /// Asks.
    pub asks: Vec<Level>,
}

impl Value for Book {
    fn value(&self) -> u32 {
        let amount = self.asks.last().map_or(0, |&(_, amount)| amount);
        self.sequence + length(self.bids.len()) + length(self.asks.len()) + amount
    }
}

/// A page of a chat: short texts and a nested list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Chat {
    /// `page`.
    pub r#type: String,
    /// The room.
    pub room: String,
    /// The lines.
    pub messages: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Line {
    /// The number of the line.
    pub id: u32,
    /// The author.
    pub from: String,
    /// The text.
    pub text: String,
    /// The number of likes.
    pub likes: u32,
    /// The tags.
    pub tags: Vec<String>,
}

impl Value for Chat {
    fn value(&self) -> u32 {
        let (Some(first), Some(last)) = (self.messages.first(), self.messages.last()) else {
            return 0;
        };
        length(self.messages.len()) + length(first.text.len()) + last.id + last.likes
    }
}

/// One long text.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Note {
    /// `note`.
    pub r#type: String,
    /// The number of the note.
    pub id: u32,
    /// The text.
    pub text: String,
}

impl Value for Note {
    fn value(&self) -> u32 {
        let unit = |character: Option<char>| character.map_or(0, u32::from);
        let mut characters = self.text.chars();
        let first = unit(characters.next());
        self.id + first + unit(characters.next_back())
    }
}
