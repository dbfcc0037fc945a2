//! What a connection counts.

use super::unconfirmed::Tally;

/// The numbers of a [`Snapshot`](super::Snapshot), in its order; [`NONE`] for a missing one.
pub type Counters = [u64; 15];

/// A missing number among [`Counters`].
pub const NONE: u64 = u64::MAX;

/// Counters that only grow, each at its place among all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals(Counters);

/// A place among [`Counters`]. The bytes of messages are next to their number.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Attempts = 1,
    Opens = 2,
    Sent = 3,
    Received = 5,
    Dropped = 9,
    Unconfirmed = 11,
    Abandoned = 13,
}

impl Totals {
    /// Takes over what was counted elsewhere.
    #[inline(never)]
    pub(super) fn take_over(&mut self, earlier: &dyn Fn(usize) -> u64) {
        for (place, count) in self.0.iter_mut().enumerate() {
            *count = earlier(place);
        }
    }

    pub(super) fn of(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or_default()
    }

    pub(super) fn one(&mut self, count: Count) {
        if let Some(count) = self.0.get_mut(count as usize) {
            // No program counts as far as 64 bits go.
            *count = count.wrapping_add(1);
        }
    }

    pub(super) fn message(&mut self, count: Count, bytes: usize) {
        self.messages(count, Tally::one(bytes));
    }

    pub(super) fn messages(&mut self, count: Count, more: Tally) {
        if let Some([messages, bytes, ..]) = self.0.get_mut(count as usize..) {
            *messages = messages.wrapping_add(more.messages);
            *bytes = bytes.wrapping_add(more.bytes);
        }
    }

    /// All numbers, with those that do not only grow.
    pub(super) const fn all(&self, attempt: u32, queued: Tally, next_attempt_in: u64) -> Counters {
        let mut all = self.0;
        let [now, _, _, _, _, _, _, messages, bytes, .., next] = &mut all;
        *now = attempt as u64;
        *messages = queued.messages;
        *bytes = queued.bytes;
        *next = next_attempt_in;
        all
    }
}
