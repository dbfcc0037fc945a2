//! The outgoing queue: bounded in messages and bytes, in order, with a time to live.

use alloc::vec::Vec;

use super::Time;
use super::line::Line;

/// A queued message.
#[derive(Clone, Debug, Hash)]
pub(super) struct Queued<P> {
    pub(super) payload: P,
    pub(super) bytes: usize,
    /// When it expires.
    pub(super) expires: Option<Time>,
    /// The browser refused it once, on a connection that was given up for it.
    pub(super) refused: bool,
}

/// Messages from the application that the browser has not yet accepted.
///
/// Two lanes: `first` goes ahead of everything (to authenticate), the ordinary one keeps its order.
/// Invariant: `bytes` is the sum over both lanes; `next_expiry` is no later than the earliest
/// `expires` in them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Queue<P> {
    first: Line<Queued<P>>,
    ordinary: Line<Queued<P>>,
    bytes: usize,
    next_expiry: Option<Time>,
    /// Whether the contents changed since [`news`](Self::news) was called.
    changed: bool,
    /// Messages and bytes when they were last reported.
    told: (usize, usize),
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    First,
    Ordinary,
}

impl<P> Queue<P> {
    pub(super) const fn new() -> Self {
        Self {
            first: Line::new(),
            ordinary: Line::new(),
            bytes: 0,
            next_expiry: None,
            changed: false,
            told: (0, 0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first.len().saturating_add(self.ordinary.len())
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.ordinary.is_empty()
    }

    pub(super) fn has_first(&self) -> bool {
        !self.first.is_empty()
    }

    pub(super) const fn next_expiry(&self) -> Option<Time> {
        self.next_expiry
    }

    /// Whether the contents changed without a report.
    pub(super) const fn has_changed(&self) -> bool {
        self.changed
    }

    /// The change to report: messages and bytes, unless they equal the last report.
    pub(super) fn news(&mut self) -> Option<(usize, usize)> {
        if !core::mem::take(&mut self.changed) {
            return None;
        }
        let now = (self.len(), self.bytes);
        (core::mem::replace(&mut self.told, now) != now).then_some(now)
    }

    /// Makes the queue report what it holds, since the last report was made elsewhere.
    pub(super) const fn report_anew(&mut self) {
        self.changed = true;
        self.told = (usize::MAX, usize::MAX);
    }

    const fn lane(&mut self, lane: Lane) -> &mut Line<Queued<P>> {
        match lane {
            Lane::First => &mut self.first,
            Lane::Ordinary => &mut self.ordinary,
        }
    }

    #[inline(never)]
    fn account(&mut self, message: &Queued<P>) {
        self.changed = true;
        self.bytes = self.bytes.saturating_add(message.bytes);
        self.next_expiry = Time::earliest(self.next_expiry, message.expires);
    }

    pub(super) fn push(&mut self, lane: Lane, message: Queued<P>) {
        self.account(&message);
        self.lane(lane).push_back(message);
    }

    /// Puts back what could not be sent, at the front of its lane.
    pub(super) fn put_back(&mut self, lane: Lane, message: Queued<P>) {
        self.account(&message);
        self.lane(lane).push_front(message);
    }

    /// The next message to send; with `only_first`, none from the ordinary lane.
    #[inline(never)]
    pub(super) fn pop(&mut self, only_first: bool) -> Option<(Lane, Queued<P>)> {
        let (lane, message) = match self.first.pop_front() {
            Some(message) => (Lane::First, message),
            None if only_first => return None,
            None => (Lane::Ordinary, self.ordinary.pop_front()?),
        };
        self.forget(&message);
        Some((lane, message))
    }

    /// The message to drop for a newer one: the oldest of the ordinary lane, or else of the other.
    pub(super) fn pop_oldest(&mut self) -> Option<Queued<P>> {
        let message = self
            .ordinary
            .pop_front()
            .or_else(|| self.first.pop_front())?;
        self.forget(&message);
        Some(message)
    }

    fn forget(&mut self, message: &Queued<P>) {
        self.changed = true;
        self.bytes = self.bytes.saturating_sub(message.bytes);
        if self.is_empty() {
            self.next_expiry = None;
        }
    }

    /// Removes all expired messages, in the order in which they would have been sent.
    pub(super) fn take_expired(&mut self, now: Time) -> Vec<Queued<P>> {
        let mut expired = Vec::new();
        if self.next_expiry.is_none_or(|expiry| expiry > now) {
            return expired;
        }
        // One full rotation restores the order of what is kept.
        self.next_expiry = None;
        let first = self.first.len();
        for at in 0..self.len() {
            let lane = if at < first {
                Lane::First
            } else {
                Lane::Ordinary
            };
            let Some(message) = self.lane(lane).pop_front() else {
                break;
            };
            if message.expires.is_some_and(|expires| expires <= now) {
                self.bytes = self.bytes.saturating_sub(message.bytes);
                self.changed = true;
                expired.push(message);
            } else {
                self.next_expiry = Time::earliest(self.next_expiry, message.expires);
                self.lane(lane).push_back(message);
            }
        }
        expired
    }

    /// Removes everything.
    pub(super) fn take_all(&mut self) -> Vec<Queued<P>> {
        let mut all = Vec::new();
        while let Some((_, message)) = self.pop(false) {
            all.push(message);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: u32, expires: Option<u64>) -> Queued<u32> {
        Queued {
            payload,
            bytes: 10,
            expires: expires.map(Time::from_millis),
            refused: false,
        }
    }

    fn payloads(messages: Vec<Queued<u32>>) -> Vec<u32> {
        messages
            .into_iter()
            .map(|message| message.payload)
            .collect()
    }

    #[test]
    fn the_first_lane_goes_ahead_and_each_keeps_its_order() {
        let mut queue = Queue::new();
        for payload in [1, 2] {
            queue.push(Lane::Ordinary, message(payload, None));
        }
        for payload in [3, 4] {
            queue.push(Lane::First, message(payload, None));
        }
        assert_eq!((queue.len(), queue.bytes()), (4, 40));
        assert_eq!(payloads(queue.take_all()), [3, 4, 1, 2]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn expired_messages_leave_and_the_others_stay() {
        let mut queue = Queue::new();
        for (payload, expires) in [(1, Some(50)), (2, None), (3, Some(20)), (4, Some(90))] {
            queue.push(Lane::Ordinary, message(payload, expires));
        }
        assert!(queue.take_expired(Time::from_millis(19)).is_empty());
        assert_eq!(queue.next_expiry(), Some(Time::from_millis(20)));
        assert_eq!(payloads(queue.take_expired(Time::from_millis(50))), [1, 3]);
        assert_eq!(queue.next_expiry(), Some(Time::from_millis(90)));
        assert_eq!(queue.bytes(), 20);
        assert_eq!(payloads(queue.take_all()), [2, 4]);
        assert_eq!(queue.next_expiry(), None);
    }

    // [R25]
    #[test]
    fn what_another_core_reported_is_reported_anew() {
        let mut queue = Queue::<u32>::new();
        assert_eq!(queue.news(), None);
        queue.report_anew();
        assert_eq!(queue.news(), Some((0, 0)));
        assert_eq!(queue.news(), None);
    }

    #[test]
    fn with_only_first_the_ordinary_lane_waits() {
        let mut queue = Queue::new();
        queue.push(Lane::Ordinary, message(1, None));
        queue.push(Lane::First, message(2, None));
        assert_eq!(queue.pop(true).map(|(_, message)| message.payload), Some(2));
        assert!(queue.pop(true).is_none());
        assert_eq!(
            queue.pop(false).map(|(_, message)| message.payload),
            Some(1)
        );
    }
}
