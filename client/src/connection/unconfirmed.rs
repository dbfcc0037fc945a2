//! What the browser has taken and nothing shows that the server had.

use alloc::collections::VecDeque;

/// How many messages, and how many bytes in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Tally {
    pub(super) const fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) const fn add_one(&mut self, bytes: usize) {
        self.add(Self {
            messages: 1,
            bytes: bytes as u64,
        });
    }
}

/// The messages of one connection that are not confirmed.
///
/// A message counts as confirmed once it had left the browser when a later frame arrived: that frame
/// does not prove that the server has read it, but without one there is no sign at all. It is never
/// confirmed too early, and may be too late.
///
/// Invariant: at most [`Unconfirmed::MARKS`] marks, their ends rising, each after its predecessor.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Unconfirmed {
    /// Bytes handed to the browser on this connection.
    handed: u64,
    /// Runs of messages, by where their last byte stands in what was handed over.
    marks: VecDeque<Mark>,
}

#[derive(Clone, Debug, Hash)]
struct Mark {
    end: u64,
    tally: Tally,
}

impl Unconfirmed {
    /// How many runs are kept apart; beyond it new messages join the newest run.
    const MARKS: usize = 256;

    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The browser has taken a message.
    pub(super) fn handed_over(&mut self, bytes: usize) {
        self.handed = self.handed.saturating_add(bytes as u64);
        let full = self.marks.len() >= Self::MARKS;
        match self.marks.back_mut() {
            Some(newest) if full => {
                newest.end = self.handed;
                newest.tally.add_one(bytes);
            }
            _ => {
                let tally = Tally {
                    messages: 1,
                    bytes: bytes as u64,
                };
                self.marks.push_back(Mark {
                    end: self.handed,
                    tally,
                });
            }
        }
    }

    /// A frame arrived while the browser still held `buffered` bytes.
    pub(super) fn sign_of_life(&mut self, buffered: u64) {
        let left = self.handed.saturating_sub(buffered);
        while self.marks.front().is_some_and(|mark| mark.end <= left) {
            self.marks.pop_front();
        }
    }

    /// All that is not confirmed.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for mark in &self.marks {
            sum.add(mark.tally);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_confirms_what_had_left_the_browser() {
        let mut sent = Unconfirmed::default();
        for _ in 0..3 {
            sent.handed_over(100);
        }
        sent.sign_of_life(150);
        assert_eq!(
            sent.tally(),
            Tally {
                messages: 2,
                bytes: 200
            }
        );
        sent.sign_of_life(0);
        assert!(sent.is_empty());
    }

    // [R26]
    #[test]
    fn memory_is_bounded_and_nothing_is_confirmed_too_early() {
        let mut sent = Unconfirmed::default();
        for _ in 0..10_000 {
            sent.handed_over(1);
        }
        assert_eq!(sent.marks.len(), Unconfirmed::MARKS);
        assert_eq!(
            sent.tally(),
            Tally {
                messages: 10_000,
                bytes: 10_000
            }
        );
        sent.sign_of_life(1);
        let rest = sent.tally();
        assert!(rest.messages >= 1, "{rest:?}");
        sent.sign_of_life(0);
        assert_eq!(sent.tally(), Tally::default());
    }

    #[test]
    fn an_empty_message_counts_as_a_message() {
        let mut sent = Unconfirmed::default();
        sent.handed_over(0);
        assert_eq!(
            sent.tally(),
            Tally {
                messages: 1,
                bytes: 0
            }
        );
    }
}
