//! What has arrived, and how far the application is with it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::release;
use super::frame::Verdict;
use super::limits::STALLED_MS;
use super::types::Payload;
use crate::Time;

/// A message that has arrived and is not handled.
#[derive(Debug, Clone)]
struct Open<P> {
    number: u64,
    bytes: u64,
    stage: Stage<P>,
}

#[derive(Debug, Clone)]
enum Stage<P> {
    /// It waits for the application.
    Waits(P),
    /// The application has it since then.
    Given {
        at: Time,
        /// That it takes long has been reported.
        stalled: bool,
    },
    /// It is not given any more.
    Withheld,
}

/// What has arrived.
///
/// Invariant: the open messages fit into this end's window, so they bound the memory.
#[derive(Debug, Clone)]
pub(super) struct Received<P> {
    received: u64,
    given: u64,
    /// Up to this number an earlier owner may have given anything.
    floor: u64,
    /// In the order of their numbers: those that were given, and then those that wait.
    open: VecDeque<Open<P>>,
    /// How many of them do not wait.
    past: usize,
    bytes: u64,
    /// Ranges beyond `received` that an earlier owner has handled, rising.
    ahead: Vec<(u64, u64)>,
}

/// Whether a number is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New(u64),
    /// An earlier owner has handled it.
    Done(u64),
}

impl<P: Payload> Received<P> {
    /// Everything up to `received` has arrived and is handled, and these ranges beyond it are handled as well.
    pub(super) const fn new(received: u64, ahead: Vec<(u64, u64)>) -> Self {
        Self {
            received,
            given: received,
            floor: 0,
            open: VecDeque::new(),
            past: 0,
            bytes: 0,
            ahead,
        }
    }

    /// An earlier owner, who is gone, may have given anything up to this number.
    pub(super) fn after_owner(mut self, sent: u64) -> Self {
        self.floor = self.received.max(sent);
        self
    }

    /// Up to this number an earlier owner may have given anything.
    pub(super) const fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// The last number that was given to the application.
    pub(super) const fn given(&self) -> u64 {
        self.given
    }

    /// Unhandled messages.
    pub(super) fn messages(&self) -> u64 {
        self.open.len() as u64
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Everything up to this number is handled.
    pub(super) fn handled(&self) -> u64 {
        match self.open.front() {
            Some(first) => first.number.saturating_sub(1),
            None => self.received,
        }
    }

    fn arrive(&mut self) -> Arrival {
        let number = self.received.saturating_add(1);
        self.received = number;
        match self.ahead.is_empty() {
            true => Arrival::New(number),
            false => self.arrive_behind_owner(number),
        }
    }

    #[inline(never)]
    fn arrive_behind_owner(&mut self, number: u64) -> Arrival {
        while let Some((_, to)) = self.ahead.first()
            && *to < number
        {
            self.ahead.remove(0);
        }
        match self.ahead.first() {
            Some((from, _)) if *from <= number => Arrival::Done(number),
            _ => Arrival::New(number),
        }
    }

    /// A message has arrived. It waits here until it is [given](Self::give), unless an earlier owner has handled it.
    pub(super) fn message(&mut self, payload: P) {
        if let Arrival::New(number) = self.arrive() {
            let bytes = payload.bytes() as u64;
            self.bytes = self.bytes.saturating_add(bytes);
            self.open.push_back(Open {
                number,
                bytes,
                stage: Stage::Waits(payload),
            });
        }
    }

    /// Whether the application has messages.
    pub(super) const fn is_being_handled(&self) -> bool {
        self.past > 0
    }

    /// How many messages wait to be given.
    pub(super) fn waiting(&self) -> usize {
        self.open.len().saturating_sub(self.past)
    }

    /// The number of the last message that waits.
    pub(super) fn last_waiting(&self) -> Option<u64> {
        let last = self.open.back().filter(|_| self.waiting() > 0);
        Some(last?.number)
    }

    /// The number of the message that is given next.
    pub(super) fn next(&self) -> Option<u64> {
        Some(self.open.get(self.past)?.number)
    }

    /// Nothing that waits is given any more.
    pub(super) fn withhold(&mut self) {
        for open in self.open.range_mut(self.past.min(self.open.len())..) {
            open.stage = Stage::Withheld;
        }
        self.past = self.open.len();
    }

    /// Something has arrived that is handled by that.
    pub(super) fn other(&mut self) -> Arrival {
        self.arrive()
    }

    /// So many numbers have arrived that stand for nothing.
    pub(super) fn skip(&mut self, count: u64) {
        self.received = self.received.saturating_add(count);
    }

    /// The next message is given to the application. The position moves before: whatever its handler does, it is not given
    /// again.
    pub(super) fn give(&mut self, now: Time) -> Option<(u64, P)> {
        let open = self.open.get_mut(self.past)?;
        let given = Stage::Given {
            at: now,
            stalled: false,
        };
        let Stage::Waits(payload) = core::mem::replace(&mut open.stage, given) else {
            return None;
        };
        self.past = self.past.saturating_add(1);
        self.given = open.number;
        Some((open.number, payload))
    }

    /// The application is done with it. Returns its bytes, or `None` if that is no news.
    pub(super) fn handle(&mut self, number: u64) -> Option<u64> {
        let first = self.open.front()?;
        if first.number != number {
            return self.handle_behind_first(number);
        }
        // Most are handled in order.
        let bytes = first.bytes;
        if !matches!(first.stage, Stage::Given { .. }) {
            return None;
        }
        self.open.pop_front();
        self.done(bytes)
    }

    #[inline(never)]
    fn handle_behind_first(&mut self, number: u64) -> Option<u64> {
        let place = self.open.binary_search_by_key(&number, |open| open.number);
        let place = place.ok()?;
        if !matches!(self.open.get(place)?.stage, Stage::Given { .. }) {
            return None;
        }
        let bytes = self.open.remove(place)?.bytes;
        self.done(bytes)
    }

    const fn done(&mut self, bytes: u64) -> Option<u64> {
        self.past = self.past.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(bytes)
    }

    /// What is said of a session that is over.
    pub(super) fn verdict(&self) -> Verdict {
        let handled = self.handled();
        let mut also = Vec::new();
        let mut from = handled.saturating_add(1);
        for open in &self.open {
            if open.number > from {
                also.push((from, open.number.saturating_sub(1)));
            }
            from = open.number.saturating_add(1);
        }
        if from <= self.received && !self.open.is_empty() {
            also.push((from, self.received));
        }
        also.extend(self.ahead.iter().filter_map(|(from, to)| {
            let from = (*from).max(self.received.saturating_add(1));
            (from <= *to).then_some((from, *to))
        }));
        Verdict {
            handled,
            also,
            given: self.given.max(self.floor),
            received: self.received.max(self.floor),
        }
    }

    /// Frees memory, if nothing is open.
    pub(super) fn release(&mut self) {
        release(&mut self.open);
    }

    /// A message whose handler has been running for long, once each.
    pub(super) fn stalled(&mut self, now: Time) -> Option<u64> {
        let late = |open: &&mut Open<P>| match open.stage {
            Stage::Given { at, stalled } => !stalled && now.since(at) >= STALLED_MS,
            Stage::Waits(_) | Stage::Withheld => false,
        };
        let open = self.open.iter_mut().find(late)?;
        if let Stage::Given { stalled, .. } = &mut open.stage {
            *stalled = true;
        }
        Some(open.number)
    }

    /// When the next becomes stalled. They are given in order, so it is the first.
    pub(super) fn next_stall(&self) -> Option<Time> {
        self.open.iter().find_map(|open| match open.stage {
            Stage::Given { at, stalled: false } => Some(at.after(STALLED_MS)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Data;
    use super::*;
    use alloc::vec;

    type Text = Data<'static>;

    fn text(bytes: usize) -> Text {
        Data::Text("x".repeat(bytes).into())
    }

    #[test]
    fn the_prefix_grows_when_the_first_is_handled() {
        let now = Time::default();
        let mut received = Received::new(5, vec![]);
        for bytes in [10, 20, 30] {
            received.message(text(bytes));
        }
        assert_eq!(received.other(), Arrival::New(9));
        assert_eq!((received.handled(), received.received()), (5, 9));
        assert_eq!(received.handle(7), None, "not given yet");
        for number in 6..=7 {
            assert_eq!(received.next(), Some(number));
            assert!(received.give(now).is_some());
        }
        assert_eq!(received.handle(7), Some(20));
        assert_eq!(received.handle(7), None);
        let verdict = Verdict {
            handled: 5,
            also: vec![(7, 7), (9, 9)],
            given: 7,
            received: 9,
        };
        assert_eq!(received.verdict(), verdict);
        assert_eq!(received.handle(6), Some(10));
        assert_eq!(received.handled(), 7);
        received.give(now);
        received.handle(8);
        assert_eq!((received.handled(), received.bytes()), (9, 0));
    }

    #[test]
    fn what_an_earlier_owner_handled_is_not_given_again() {
        let mut received = Received::new(2, vec![(4, 5), (7, 7)]);
        for _ in 0..6 {
            received.message(text(1));
        }
        let given = core::iter::from_fn(|| received.give(Time::default()));
        let given: Vec<_> = given.map(|(number, _)| number).collect();
        assert_eq!(given, [3, 6, 8]);
    }

    #[test]
    fn a_long_handler_is_reported_once() {
        let mut received = Received::new(0, vec![]);
        received.message(text(1));
        assert_eq!(received.next_stall(), None);
        received.give(Time::from_millis(5));
        let at = Time::from_millis(5 + STALLED_MS);
        assert_eq!(received.next_stall(), Some(at));
        assert_eq!(received.stalled(Time::from_millis(STALLED_MS)), None);
        assert_eq!(received.stalled(at), Some(1));
        assert_eq!(received.stalled(at), None);
        assert_eq!(received.next_stall(), None);
    }
}
