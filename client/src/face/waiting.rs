//! Tasks that wait for room in the queue, or for the end.

use core::task::Waker;

/// A task that waits for room for this many bytes, or only for the end.
struct Waiting {
    room: Option<usize>,
    waker: Waker,
}

/// A slot in the [`WaitingList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// Waiting tasks in order of arrival.
///
/// A task that leaves is forgotten at once, including its waker. Its empty entry is removed when there are as many of
/// these as others, so that each entry is visited a bounded number of times, however many come and go.
///
/// Invariant: the slots ascend, and `living` is the number of non-empty entries.
#[derive(Default)]
pub(crate) struct WaitingList {
    entries: Vec<(u64, Option<Waiting>)>,
    living: usize,
    next: u64,
    /// How many entries were visited so far.
    #[cfg(test)]
    steps: usize,
}

impl WaitingList {
    pub(crate) const fn is_empty(&self) -> bool {
        self.living == 0
    }

    /// Waits in the slot `place`, if that is still valid, or else takes another. Drop the result while nothing is
    /// borrowed, as for [`leave`](Self::leave).
    pub(crate) fn wait(
        &mut self,
        place: &mut Option<Place>,
        room: Option<usize>,
        waker: Waker,
    ) -> Option<Waker> {
        if let Some(waiting) = place.and_then(|place| self.find(place)) {
            waiting.room = room;
            return Some(core::mem::replace(&mut waiting.waker, waker));
        }
        *place = Some(Place(self.next));
        let waiting = Waiting { room, waker };
        self.entries.push((self.next, Some(waiting)));
        self.next += 1;
        self.living += 1;
        None
    }

    fn find(&mut self, place: Place) -> Option<&mut Waiting> {
        let index = self.index_of(place)?;
        self.entries.get_mut(index)?.1.as_mut()
    }

    fn index_of(&self, Place(place): Place) -> Option<usize> {
        self.entries
            .binary_search_by_key(&place, |(place, _)| *place)
            .ok()
    }

    /// Removes a task that no longer waits. Drop the returned waker while nothing is borrowed: it may hold anything.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Waker> {
        let index = self.index_of(place)?;
        let waiting = self.entries.get_mut(index)?.1.take()?;
        self.living -= 1;
        self.sweep();
        Some(waiting.waker)
    }

    /// Removes and returns the first task whose condition holds.
    pub(crate) fn take(&mut self, is_there: &dyn Fn(Option<usize>) -> bool) -> Option<Waker> {
        #[cfg(test)]
        let steps = &mut self.steps;
        let found = self.entries.iter_mut().find_map(|(_, entry)| {
            #[cfg(test)]
            {
                *steps += 1;
            }
            entry.take_if(|waiting| is_there(waiting.room))
        })?;
        self.living -= 1;
        self.sweep();
        Some(found.waker)
    }

    fn sweep(&mut self) {
        if self.living * 2 < self.entries.len() {
            #[cfg(test)]
            {
                self.steps += self.entries.len();
            }
            self.entries.retain(|(_, entry)| entry.is_some());
            self.entries.shrink_to(self.living * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    const MANY: usize = 100_000;

    fn arrive(list: &mut WaitingList, room: Option<usize>, waker: &Waker) -> Place {
        let mut place = None;
        assert!(list.wait(&mut place, room, waker.clone()).is_none());
        place.unwrap()
    }

    // [R25]
    #[test]
    fn who_leaves_is_forgotten_at_once_and_costs_no_scanning() {
        let counted = Arc::new(Nobody);
        let waker = Waker::from(Arc::clone(&counted));
        let mut list = WaitingList::default();
        // One by one.
        for _ in 0..MANY {
            let place = arrive(&mut list, Some(1), &waker);
            assert!(list.leave(place).is_some());
        }
        // All together, removed from the front, from the back, and from both.
        for order in 0..3 {
            let mut places: Vec<_> = (0..MANY)
                .map(|_| arrive(&mut list, Some(1), &waker))
                .collect();
            match order {
                0 => {}
                1 => places.reverse(),
                _ => places.sort_by_key(|Place(place)| (place % 7, *place)),
            }
            for place in places {
                assert!(list.leave(place).is_some());
                assert!(list.leave(place).is_none(), "it left twice");
            }
            assert_eq!(Arc::strong_count(&counted), 2, "of the test and its waker");
            assert!(list.is_empty() && list.entries.capacity() < 8);
        }
        // Each entry is visited at most twice, over all sweeps.
        assert!(list.steps <= 2 * 4 * MANY, "{} steps", list.steps);
    }

    #[test]
    fn they_are_taken_in_the_order_in_which_they_came() {
        let waker = Waker::noop();
        let mut list = WaitingList::default();
        let first = arrive(&mut list, Some(10), waker);
        let second = arrive(&mut list, Some(1), waker);
        let third = arrive(&mut list, None, waker);
        let mut place = Some(first);
        assert!(list.wait(&mut place, Some(20), waker.clone()).is_some());
        assert_eq!(place, Some(first), "it keeps its place");
        assert!(
            list.take(&|room| room.is_some_and(|room| room < 5))
                .is_some()
        );
        assert!(list.find(second).is_none());
        assert!(
            list.take(&|room| room.is_some_and(|room| room < 5))
                .is_none()
        );
        assert!(list.take(&|_| true).is_some());
        assert!(list.find(first).is_none() && list.find(third).is_some());
        // Its slot is gone: it gets another.
        assert!(list.wait(&mut place, None, waker.clone()).is_none());
        assert_ne!(place, Some(first));
    }
}
