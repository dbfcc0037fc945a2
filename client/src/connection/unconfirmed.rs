//! Messages that the browser accepted but the server has not confirmed.

use super::line::Line;

/// A number of messages, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: Self) {
        // No program counts as far as 64 bits go.
        self.messages = self.messages.wrapping_add(other.messages);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }

    pub(super) const fn one(bytes: usize) -> Self {
        Self {
            messages: 1,
            bytes: bytes as u64,
        }
    }
}

/// The unconfirmed messages of one connection, and the pings that may confirm them.
///
/// Everything reaches the server in one order, so the answer to a ping proves that the server has received all
/// messages before that ping. Nothing else proves it: the server may have sent something unasked before it received
/// them, and a Close that looks like the answer to ours may have crossed it. So nothing is confirmed too early, but
/// maybe late.
///
/// An answer with a number belongs to the ping of that number. One without may belong to any unanswered ping, and is
/// attributed to the oldest. If more answers come than pings went out, the server sends them unasked, and none of
/// them is believed, not even in hindsight.
///
/// Invariant: at most [`Unconfirmed::RUNS`] runs, the numbers of their questions rising, and none of them answered.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Unconfirmed {
    /// Pings that the browser accepted on this connection.
    asked: u64,
    /// The last of them that was answered.
    answered: u64,
    runs: Line<Run>,
    /// What answers without a number have confirmed.
    on_trust: Tally,
}

/// Messages between two pings.
#[derive(Clone, Debug, Hash)]
struct Run {
    /// The last ping before them: the answer to a later one confirms them.
    asked: u64,
    tally: Tally,
}

impl Unconfirmed {
    /// How many runs are kept apart; beyond that, new messages join the newest run and wait for its answer.
    const RUNS: usize = 64;

    /// The browser accepted a message.
    pub(super) fn handed_over(&mut self, bytes: usize) {
        self.add(Tally::one(bytes));
    }

    fn add(&mut self, tally: Tally) {
        let asked = self.asked;
        let full = self.runs.len() >= Self::RUNS;
        match self.runs.back_mut() {
            Some(newest) if full || newest.asked == asked => {
                newest.asked = asked;
                newest.tally.add(tally);
            }
            _ => self.runs.push_back(Run { asked, tally }),
        }
    }

    /// The number of the next ping.
    pub(super) const fn next_question(&self) -> u64 {
        self.asked.saturating_add(1)
    }

    /// The browser accepted a ping.
    pub(super) const fn asked(&mut self) {
        self.asked = self.next_question();
    }

    /// Whether an answer is awaited.
    pub(super) const fn awaits_answer(&self) -> bool {
        self.asked > self.answered
    }

    /// Whether there is something to ask about.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// An answer with a number has arrived.
    pub(super) fn answered(&mut self, number: u64) {
        if number > self.answered && number <= self.asked {
            self.answered = number;
            self.confirm();
        }
    }

    /// An answer without a number has arrived; returns whether it can be one.
    pub(super) fn answered_one(&mut self) -> bool {
        if !self.awaits_answer() {
            return false;
        }
        self.answered = self.answered.saturating_add(1);
        let confirmed = self.confirm();
        self.on_trust.add(confirmed);
        true
    }

    /// Answers without a number have turned out to prove nothing.
    pub(super) fn distrust(&mut self) {
        let tally = core::mem::take(&mut self.on_trust);
        if tally.messages > 0 {
            self.add(tally);
        }
    }

    fn confirm(&mut self) -> Tally {
        let mut confirmed = Tally::default();
        while let Some(run) = self.runs.front()
            && run.asked < self.answered
        {
            confirmed.add(run.tally);
            self.runs.pop_front();
        }
        confirmed
    }

    /// Everything unconfirmed.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for run in self.runs.iter() {
            sum.add(run.tally);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(sent: &Unconfirmed) -> u64 {
        sent.tally().messages
    }

    // [R25]
    #[test]
    fn the_answer_to_a_ping_confirms_what_went_before_it() {
        let mut sent = Unconfirmed::default();
        sent.handed_over(100);
        sent.handed_over(50);
        sent.asked();
        sent.handed_over(7);
        sent.answered(1);
        let rest = Tally {
            messages: 1,
            bytes: 7,
        };
        assert_eq!(sent.tally(), rest);
        assert!(!sent.awaits_answer());
        sent.asked();
        assert!(sent.awaits_answer());
        // Late, twice, unknown, of the future.
        for number in [1, 0, 3, u64::MAX] {
            sent.answered(number);
            assert_eq!(sent.tally(), rest);
        }
        sent.answered(2);
        assert_eq!(sent.tally(), Tally::default());
    }

    // [R25]
    #[test]
    fn a_later_answer_stands_for_those_that_got_lost() {
        let mut sent = Unconfirmed::default();
        for _ in 0..3 {
            sent.handed_over(1);
            sent.asked();
        }
        sent.answered(2);
        assert_eq!(count(&sent), 1);
        sent.answered(3);
        assert_eq!(count(&sent), 0);
    }

    // [R25]
    #[test]
    fn an_answer_without_a_number_is_taken_for_that_of_the_oldest_ping() {
        let mut sent = Unconfirmed::default();
        for _ in 0..3 {
            sent.handed_over(1);
            sent.asked();
        }
        // The first two may have been lost, but this may be the first.
        assert!(sent.answered_one());
        assert_eq!(count(&sent), 2);
    }

    // [R25]
    #[test]
    fn one_answer_too_many_takes_back_what_such_answers_confirmed() {
        let mut sent = Unconfirmed::default();
        sent.handed_over(1);
        assert!(!sent.answered_one(), "nothing was asked");
        assert_eq!(count(&sent), 1);
        sent.asked();
        assert!(sent.answered_one());
        sent.handed_over(1);
        assert_eq!(count(&sent), 1);
        assert!(!sent.answered_one());
        sent.distrust();
        assert_eq!(count(&sent), 2);
    }

    // [R26]
    #[test]
    fn memory_is_bounded_and_nothing_is_confirmed_too_early() {
        let mut sent = Unconfirmed::default();
        for _ in 0..10_000 {
            sent.handed_over(1);
            sent.asked();
        }
        assert_eq!(sent.runs.len(), Unconfirmed::RUNS);
        let all = Tally {
            messages: 10_000,
            bytes: 10_000,
        };
        assert_eq!(sent.tally(), all);
        sent.answered(9_000);
        assert!(count(&sent) >= 1_000, "{:?}", sent.tally());
        sent.answered(10_000);
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
