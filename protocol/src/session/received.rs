//! What has arrived, and how far the application is with it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::release;
use super::frame::Verdict;
use super::limits::STALLED_MS;
use crate::Time;

/// A message that has arrived and is not handled.
#[derive(Debug, Clone)]
struct Open {
    number: u64,
    bytes: u64,
    /// When it was given to the application.
    given: Option<Time>,
    stalled: bool,
}

/// What has arrived.
///
/// Invariant: the open messages fit into this end's window, so they bound the memory.
#[derive(Debug, Clone)]
pub(super) struct Received {
    received: u64,
    given: u64,
    /// Up to this number an earlier owner may have given anything.
    floor: u64,
    /// In the order of their numbers.
    open: VecDeque<Open>,
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

impl Received {
    /// Everything up to `received` has arrived and is handled, and these ranges beyond it are handled as well.
    pub(super) const fn new(received: u64, ahead: Vec<(u64, u64)>) -> Self {
        Self {
            received,
            given: received,
            floor: 0,
            open: VecDeque::new(),
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

    /// Where the open message of this number is.
    fn place(&self, number: u64) -> Option<usize> {
        self.open
            .binary_search_by_key(&number, |open| open.number)
            .ok()
    }

    fn arrive(&mut self) -> Arrival {
        let number = self.received.saturating_add(1);
        self.received = number;
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

    /// A message has arrived.
    pub(super) fn message(&mut self, bytes: u64) -> Arrival {
        let arrival = self.arrive();
        if let Arrival::New(number) = arrival {
            self.bytes = self.bytes.saturating_add(bytes);
            self.open.push_back(Open {
                number,
                bytes,
                given: None,
                stalled: false,
            });
        }
        arrival
    }

    /// Something has arrived that is handled by that.
    pub(super) fn other(&mut self) -> Arrival {
        self.arrive()
    }

    /// So many numbers have arrived that stand for nothing.
    pub(super) fn skip(&mut self, count: u64) {
        self.received = self.received.saturating_add(count);
    }

    /// The message is given to the application.
    #[inline]
    pub(super) fn give(&mut self, number: u64, now: Time) {
        self.given = self.given.max(number);
        match self.open.front_mut() {
            // Most are handled in order, so it is often the first.
            Some(first) if first.number == number => first.given = Some(now),
            _ => self.give_behind_first(number, now),
        }
    }

    #[inline(never)]
    fn give_behind_first(&mut self, number: u64, now: Time) {
        let place = self.place(number);
        if let Some(open) = place.and_then(|place| self.open.get_mut(place)) {
            open.given = Some(now);
        }
    }

    /// The application is done with it. Returns its bytes, or `None` if that is no news.
    #[inline]
    pub(super) fn handle(&mut self, number: u64) -> Option<u64> {
        let first = self.open.front()?;
        let bytes = first.bytes;
        if first.number == number {
            first.given?;
            self.open.pop_front();
        } else {
            return self.handle_behind_first(number);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(bytes)
    }

    #[inline(never)]
    fn handle_behind_first(&mut self, number: u64) -> Option<u64> {
        let place = self.place(number)?;
        self.open.get(place)?.given?;
        let bytes = self.open.remove(place)?.bytes;
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
        let late = |open: &&mut Open| {
            let since = open.given.filter(|_| !open.stalled);
            since.is_some_and(|since| now.since(since) >= STALLED_MS)
        };
        let open = self.open.iter_mut().find(late)?;
        open.stalled = true;
        Some(open.number)
    }

    /// When the next becomes stalled. They are given in order, so it is the first.
    pub(super) fn next_stall(&self) -> Option<Time> {
        if self.open.is_empty() {
            return None;
        }
        let next = self.open.iter().find(|open| !open.stalled)?;
        Some(next.given?.after(STALLED_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_prefix_grows_when_the_first_is_handled() {
        let now = Time::default();
        let mut received = Received::new(5, vec![]);
        for bytes in [10, 20, 30] {
            received.message(bytes);
        }
        assert_eq!(received.other(), Arrival::New(9));
        assert_eq!((received.handled(), received.received()), (5, 9));
        assert_eq!(received.handle(7), None, "not given yet");
        for number in 6..=7 {
            received.give(number, now);
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
        received.give(8, now);
        received.handle(8);
        assert_eq!((received.handled(), received.bytes()), (9, 0));
    }

    #[test]
    fn what_an_earlier_owner_handled_is_not_given_again() {
        let mut received = Received::new(2, vec![(4, 5), (7, 7)]);
        let arrivals: Vec<_> = (0..6).map(|_| received.message(1)).collect();
        let new = Arrival::New;
        assert_eq!(
            arrivals,
            [
                new(3),
                Arrival::Done(4),
                Arrival::Done(5),
                new(6),
                Arrival::Done(7),
                new(8)
            ]
        );
    }

    #[test]
    fn a_long_handler_is_reported_once() {
        let mut received = Received::new(0, vec![]);
        received.message(1);
        assert_eq!(received.next_stall(), None);
        received.give(1, Time::from_millis(5));
        let at = Time::from_millis(5 + STALLED_MS);
        assert_eq!(received.next_stall(), Some(at));
        assert_eq!(received.stalled(Time::from_millis(STALLED_MS)), None);
        assert_eq!(received.stalled(at), Some(1));
        assert_eq!(received.stalled(at), None);
        assert_eq!(received.next_stall(), None);
    }
}
