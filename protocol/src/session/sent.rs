//! What has a number and is not acknowledged.

use alloc::collections::VecDeque;

use super::exchange::release;
use super::frame::{Answer, Limits};
use super::types::{Ask, Delivery, Payload};
use super::{MAX_NUMBER, limits};

/// Something that takes a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<P> {
    /// A message.
    Message {
        /// The message.
        payload: P,
        /// Who waits to learn its end; `None` if that was another process.
        delivery: Option<Delivery>,
        /// The other end is to acknowledge it at once.
        awaited: bool,
    },
    /// A request.
    Request {
        /// What is asked.
        payload: P,
        /// Who waits for the answer; `None` if that was another process.
        ask: Option<Ask>,
    },
    /// The answer to the request of this number.
    Answer {
        /// The request's number.
        request: u64,
        /// The answer.
        answer: Answer<P>,
    },
    /// The cancellation of the request of this number.
    Cancel {
        /// The request's number.
        request: u64,
    },
    /// What stood here need not be sent again.
    Free,
}

impl<P: Payload> Item<P> {
    /// For how much it counts: messages, their bytes, and answers and cancellations that wait to be confirmed.
    pub(super) fn counts(&self) -> [u64; 3] {
        match self {
            Self::Message { payload, .. } => [1, payload.bytes() as u64, 0],
            item => [0, 0, u64::from(item.is_done_on_arrival())],
        }
    }

    /// Whether the other end is done with it as soon as it has it.
    const fn is_done_on_arrival(&self) -> bool {
        matches!(self, Self::Answer { .. } | Self::Cancel { .. })
    }
}

/// An item, or several free ones in a row.
#[derive(Debug, Clone)]
pub(super) struct Entry<P> {
    pub(super) item: Item<P>,
    /// How many numbers it takes; more than 1 only if it is free.
    pub(super) count: u64,
    /// How many connections it has ended, alone on its way.
    pub(super) alone: u8,
}

/// What has a number and is not acknowledged, in order, with a cursor: what lies before it went out on the current
/// connection, or is there already.
///
/// Invariants: `base` + the counts of all entries = `last`; `base` + those before the cursor = `position`. Memory is
/// bounded by the other end's window, by its limit of requests, and by [`limits::UNCONFIRMED`]; everything else is
/// free, and free entries in a row are one.
#[derive(Debug, Clone)]
pub(super) struct Sent<P> {
    entries: VecDeque<Entry<P>>,
    /// Everything up to this number is acknowledged.
    base: u64,
    last: u64,
    cursor: usize,
    position: u64,
    messages: u64,
    bytes: u64,
    unconfirmed: u64,
}

impl<P: Payload> Sent<P> {
    /// Nothing, numbered up to `base`.
    pub(super) const fn new(base: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            base,
            last: base,
            cursor: 0,
            position: base,
            messages: 0,
            bytes: 0,
            unconfirmed: 0,
        }
    }

    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// The number of the last that went out on this connection.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Unacknowledged messages.
    pub(super) const fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the other end's window lets a message of so many bytes pass behind `ahead` messages and bytes. One that is
    /// larger than the window goes when nothing else is on its way.
    pub(super) const fn has_room(&self, window: &Limits, ahead: (u64, u64), message: u64) -> bool {
        let messages = self.messages.saturating_add(ahead.0);
        let bytes = self.bytes.saturating_add(ahead.1);
        messages == 0
            || (messages < window.messages && bytes.saturating_add(message) <= window.bytes)
    }

    /// How many answers and cancellations wait to be confirmed.
    pub(super) const fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    /// Whether a number is left for `more` further items beside this one.
    pub(super) const fn has_number(&self, more: u64) -> bool {
        self.last.saturating_add(more) < MAX_NUMBER
    }

    /// Gives the next number. The caller has asked [`has_number`](Self::has_number).
    pub(super) fn push(&mut self, item: Item<P>) -> u64 {
        self.last = self.last.saturating_add(1);
        self.count(&item);
        self.entries.push_back(Entry {
            item,
            count: 1,
            alone: 0,
        });
        self.last
    }

    /// As [`push`](Self::push), for what goes out at once: everything before it [is out](Self::is_out).
    pub(super) fn push_out(&mut self, item: Item<P>) -> u64 {
        let number = self.push(item);
        self.cursor = self.entries.len();
        self.position = number;
        number
    }

    /// Whether everything that has a number has gone out on this connection.
    pub(super) const fn is_out(&self) -> bool {
        self.position == self.last
    }

    /// As [`push`](Self::push), for a run of free numbers.
    pub(super) fn push_free(&mut self, count: u64) {
        self.last = self.last.saturating_add(count);
        // On the other side of the cursor it is another run.
        let joins = self.cursor < self.entries.len();
        if let Some(run) = self.entries.back_mut().filter(|_| joins)
            && matches!(run.item, Item::Free)
        {
            run.count = run.count.saturating_add(count);
            return;
        }
        self.entries.push_back(Entry {
            item: Item::Free,
            count,
            alone: 0,
        });
    }

    fn forget(&mut self, [messages, bytes, unconfirmed]: [u64; 3]) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.unconfirmed = self.unconfirmed.saturating_sub(unconfirmed);
    }

    fn count(&mut self, item: &Item<P>) {
        let [messages, bytes, unconfirmed] = item.counts();
        self.messages = self.messages.saturating_add(messages);
        self.bytes = self.bytes.saturating_add(bytes);
        self.unconfirmed = self.unconfirmed.saturating_add(unconfirmed);
    }

    /// Everything up to this number is acknowledged. What stood there is looked at, in order.
    pub(super) fn acknowledge(&mut self, handled: u64, mut each: impl FnMut(&Item<P>)) {
        let (mut base, mut gone) = (self.base, 0_usize);
        let [mut messages, mut bytes, mut unconfirmed] = [0_u64; 3];
        for entry in &mut self.entries {
            let end = base.saturating_add(entry.count);
            if end > handled {
                // Maybe a part of a free run.
                entry.count = end.saturating_sub(handled.max(base));
                base = base.max(handled);
                break;
            }
            base = end;
            gone = gone.saturating_add(1);
            if let Item::Message { payload, .. } = &entry.item {
                messages = messages.saturating_add(1);
                bytes = bytes.saturating_add(payload.bytes() as u64);
            } else if entry.item.is_done_on_arrival() {
                unconfirmed = unconfirmed.saturating_add(1);
            }
            each(&entry.item);
        }
        self.base = base;
        self.entries.drain(..gone);
        self.forget([messages, bytes, unconfirmed]);
        self.cursor = self.cursor.saturating_sub(gone);
        self.position = self.position.max(self.base);
    }

    /// Takes everything, each with its number. What comes later is numbered on.
    pub(super) fn take_all(&mut self) -> VecDeque<(u64, Item<P>)> {
        let mut number = self.base;
        let entries = core::mem::take(&mut self.entries);
        *self = Self::new(self.last);
        entries
            .into_iter()
            .map(|entry| {
                number = number.saturating_add(entry.count);
                (number, entry.item)
            })
            .collect()
    }

    /// The other end has everything up to this number: answers and cancellations need not be kept.
    pub(super) fn got(&mut self, number: u64) {
        let mut at = self.base;
        let mut freed = 0;
        for entry in &mut self.entries {
            at = at.saturating_add(entry.count);
            if at > number {
                break;
            }
            if entry.item.is_done_on_arrival() {
                entry.item = Item::Free;
                freed = u64::saturating_add(freed, 1);
            }
        }
        self.unconfirmed = self.unconfirmed.saturating_sub(freed);
        if freed > 0 {
            self.merge();
        }
    }

    /// Whether an answer to this request of the other end's is kept.
    pub(super) fn answers(&self, number: u64) -> bool {
        let is_it = |entry: &Entry<P>| matches!(entry.item, Item::Answer { request, .. } if request == number);
        self.entries.iter().any(is_it)
    }

    /// Frees the request of this number: it was answered.
    pub(super) fn answered(&mut self, number: u64) {
        let mut at = self.base;
        for entry in &mut self.entries {
            at = at.saturating_add(entry.count);
            if at == number && matches!(entry.item, Item::Request { .. }) {
                entry.item = Item::Free;
                self.merge();
                return;
            }
            if at >= number {
                return;
            }
        }
    }

    /// Makes one entry of free ones in a row, on each side of the cursor.
    fn merge(&mut self) {
        let mut merged: VecDeque<Entry<P>> = VecDeque::with_capacity(self.entries.len());
        let mut cursor = 0;
        for (at, entry) in core::mem::take(&mut self.entries).into_iter().enumerate() {
            if at == self.cursor {
                cursor = merged.len();
            }
            let joins = at != self.cursor && matches!(entry.item, Item::Free);
            match merged.back_mut() {
                Some(last) if joins && matches!(last.item, Item::Free) => {
                    last.count = last.count.saturating_add(entry.count);
                }
                _ => merged.push_back(entry),
            }
            if self.cursor > at {
                cursor = merged.len();
            }
        }
        self.entries = merged;
        self.cursor = cursor;
    }

    /// A connection begins on which the other end has everything up to `received`. Returns whether it can go on from
    /// there.
    pub(super) fn rewind(&mut self, received: u64) -> bool {
        if received < self.base || received > self.last {
            return false;
        }
        let (mut cursor, mut position) = (0, self.base);
        while let Some(entry) = self.entries.get_mut(cursor) {
            let end = position.saturating_add(entry.count);
            if end > received {
                if position < received {
                    // In the middle of a free run, which is cut in two.
                    let head = received.saturating_sub(position);
                    entry.count = entry.count.saturating_sub(head);
                    let head = Entry {
                        item: Item::Free,
                        count: head,
                        alone: 0,
                    };
                    self.entries.insert(cursor, head);
                    cursor = cursor.saturating_add(1);
                    position = received;
                }
                break;
            }
            position = end;
            cursor = cursor.saturating_add(1);
        }
        self.cursor = cursor;
        self.position = position;
        true
    }

    /// Frees memory, if it is empty.
    pub(super) fn release(&mut self) {
        release(&mut self.entries);
    }

    /// What goes out next.
    pub(super) fn next(&self) -> Option<&Entry<P>> {
        self.entries.get(self.cursor)
    }

    /// What goes out next, and after that, and so on.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = &Entry<P>> {
        self.entries.range(self.cursor.min(self.entries.len())..)
    }

    /// How many messages go out next in one frame: they are of one kind, and within the limits of a batch unless there
    /// is only one. The limits are halved so often.
    pub(super) fn batch(&self, halved: u8) -> usize {
        if self.cursor.saturating_add(1) >= self.entries.len() {
            return 1;
        }
        let (mut of_kind, mut bytes) = (None, 0_usize);
        let joins = |entry: &&Entry<P>| {
            let Item::Message { payload, .. } = &entry.item else {
                return false;
            };
            let is_first = of_kind.is_none();
            bytes = bytes.saturating_add(payload.bytes());
            let is_of_kind = *of_kind.get_or_insert(payload.kind()) == payload.kind();
            is_of_kind && (is_first || bytes <= limits::BATCH_BYTES >> halved)
        };
        let upcoming = self.upcoming().take(limits::BATCH_MESSAGES >> halved);
        upcoming.take_while(joins).count()
    }

    /// It has gone out.
    pub(super) fn advance(&mut self) {
        if let Some(entry) = self.entries.get(self.cursor) {
            self.position = self.position.saturating_add(entry.count);
            self.cursor = self.cursor.saturating_add(1);
        }
    }

    /// So many messages more have gone out.
    pub(super) fn advance_messages(&mut self, count: usize) {
        self.position = self.position.saturating_add(count as u64);
        self.cursor = self.cursor.saturating_add(count);
    }

    /// The entry of this number, if it is one of its own.
    pub(super) fn entry_mut(&mut self, number: u64) -> Option<&mut Entry<P>> {
        let mut at = self.base;
        for entry in &mut self.entries {
            at = at.saturating_add(entry.count);
            if at >= number {
                return (at == number && entry.count == 1).then_some(entry);
            }
        }
        None
    }

    /// Puts another item in the place of this number, and returns what was there.
    pub(super) fn replace(&mut self, number: u64, with: Item<P>) -> Option<Item<P>> {
        let entry = self.entry_mut(number)?;
        entry.alone = 0;
        let old = core::mem::replace(&mut entry.item, Item::Free);
        self.forget(old.counts());
        self.count(&with);
        if let Some(entry) = self.entry_mut(number) {
            entry.item = with;
        }
        Some(old)
    }

    /// The highest number of a message whose end is awaited, among those that have gone out.
    pub(super) fn last_awaited(&self) -> Option<u64> {
        let mut at = self.base;
        let mut found = None;
        for entry in self.entries.iter().take(self.cursor) {
            at = at.saturating_add(entry.count);
            if let Item::Message { awaited: true, .. } = entry.item {
                found = Some(at);
            }
        }
        found
    }

    /// How many entries are kept, free runs included.
    pub(super) fn kept(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Data;
    use super::*;

    type Text = Data<'static>;

    fn message(text: &'static str) -> Item<Text> {
        Item::Message {
            payload: Data::from(text),
            delivery: None,
            awaited: false,
        }
    }

    fn answer() -> Item<Text> {
        Item::Answer {
            request: 1,
            answer: Answer::Response(Data::from("yes")),
        }
    }

    fn counts(sent: &Sent<Text>) -> (u64, u64, u64, usize) {
        let sum: u64 = sent.entries.iter().map(|entry| entry.count).sum();
        assert_eq!(sent.base + sum, sent.last);
        let before: u64 = sent
            .entries
            .iter()
            .take(sent.cursor)
            .map(|entry| entry.count)
            .sum();
        assert_eq!(sent.base + before, sent.position);
        (
            sent.messages(),
            sent.bytes(),
            sent.unconfirmed(),
            sent.kept(),
        )
    }

    #[test]
    fn acknowledged_messages_go_and_the_position_stays() {
        let mut sent = Sent::new(7);
        for text in ["a", "bb", "ccc"] {
            sent.push(message(text));
            sent.advance();
        }
        assert_eq!(counts(&sent), (3, 6, 0, 3));
        let mut gone = Vec::new();
        sent.acknowledge(9, |item| gone.push(item.clone()));
        assert_eq!(gone, [message("a"), message("bb")]);
        assert_eq!((sent.base(), sent.position(), sent.last()), (9, 10, 10));
        assert_eq!(counts(&sent), (1, 3, 0, 1));
    }

    #[test]
    fn a_connection_goes_on_from_what_the_other_end_has() {
        let mut sent = Sent::new(0);
        for text in ["a", "b", "c"] {
            sent.push(message(text));
            sent.advance();
        }
        assert!(sent.rewind(1));
        assert_eq!(
            sent.next().map(|entry| entry.item.clone()),
            Some(message("b"))
        );
        assert!(!sent.rewind(4));
        sent.acknowledge(1, |_| {});
        assert!(!sent.rewind(0));
        assert!(sent.rewind(3));
        assert!(sent.next().is_none());
        counts(&sent);
    }

    #[test]
    fn free_numbers_are_not_joined_across_what_has_gone_out() {
        let mut sent: Sent<Text> = Sent::new(0);
        sent.push(answer());
        sent.advance();
        sent.push_free(2);
        sent.got(1);
        counts(&sent);
        assert_eq!(sent.next().map(|entry| entry.count), Some(2));
    }

    #[test]
    fn what_is_got_is_freed_and_makes_one_run() {
        let mut sent = Sent::new(0);
        sent.push(message("pinned"));
        for _ in 0..100 {
            sent.push(answer());
        }
        while sent.next().is_some() {
            sent.advance();
        }
        assert_eq!(counts(&sent), (1, 6, 100, 101));
        sent.got(61);
        assert_eq!(counts(&sent), (1, 6, 40, 42));
        sent.got(101);
        assert_eq!(counts(&sent), (1, 6, 0, 2));
        // In the middle of the run.
        assert!(sent.rewind(31));
        assert_eq!(sent.next().map(|entry| entry.count), Some(70));
        counts(&sent);
        sent.acknowledge(20, |_| {});
        assert_eq!((sent.base(), sent.position()), (20, 31));
        counts(&sent);
    }

    #[test]
    fn a_message_larger_than_the_window_goes_alone() {
        let mut sent = Sent::new(0);
        let mut window = Limits {
            messages: 10,
            bytes: 5,
            message_bytes: 100,
            requests: 1,
        };
        assert!(sent.has_room(&window, (0, 0), 100));
        assert!(!sent.has_room(&window, (1, 1), 100));
        sent.push(message("a"));
        assert!(!sent.has_room(&window, (0, 0), 100));
        assert!(sent.has_room(&window, (0, 0), 4));
        assert!(!sent.has_room(&window, (0, 0), 5));
        assert!(!sent.has_room(&window, (1, 2), 3));
        window.messages = 1;
        assert!(!sent.has_room(&window, (0, 0), 1));
    }

    #[test]
    fn numbers_end() {
        let mut sent: Sent<Text> = Sent::new(MAX_NUMBER - 2);
        assert!(sent.has_number(0) && sent.has_number(1) && !sent.has_number(2));
        sent.push(answer());
        sent.push(answer());
        assert!(!sent.has_number(0));
        assert_eq!(sent.last(), MAX_NUMBER);
    }
}
