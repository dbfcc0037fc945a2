//! The events of a connection as a stream.

use core::cell::{OnceCell, RefCell};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use futures_core::Stream;
use steady_socket_protocol::Message;

use crate::browser::is_abandoned;
use crate::connection::{DropReason, Dropped, Event, Tally};

/// How many events a stream keeps for a slow reader, and how many dropped messages one of them keeps.
const CAPACITY: usize = 256;

/// How many bytes of dropped messages these events may hold, in addition to the newest event's.
const CAPACITY_BYTES: u64 = 1 << 20;

/// The events of a connection since this stream was made: every change of state, every loss, and every drop. The
/// stream ends when the socket is dropped.
///
/// For a slow reader, it keeps the newest 256 events, and [`Events::missed`] counts the others. Dropped messages are
/// counted exactly, however late they are read: what no longer fits is merged into one event per reason, whose
/// [`Dropped::omitted`] and [`Dropped::bytes`] are exact, while [`Dropped::payloads`] has only what could be kept
/// (256 messages per event, 1 MiB in all). Of the changes of the queue, only the last is kept.
/// [`Builder::on_event`](crate::Builder::on_event) misses nothing.
///
/// [`recv`](Events::recv) and the stream's `next` are cancel safe: they lose no event. The stream keeps the waker of the
/// last task that polled it until the next event.
#[derive(Debug)]
#[must_use = "events are only kept for a stream that is read"]
pub struct Events(Rc<RefCell<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event<Message>>,
    /// Bytes of the dropped messages in the events.
    bytes: u64,
    /// Drops from earlier events that had no room, by [`DropReason::index`].
    earlier: [Tally; DropReason::ALL.len()],
    /// The last change of the queue, after all other events.
    queued: Option<Tally>,
    missed: u64,
    over: bool,
    waker: Option<Waker>,
}

/// Bytes of the kept messages of an event.
fn bytes_of(event: &Event<Message>) -> u64 {
    match event {
        Event::Dropped(dropped) => held(dropped),
        _ => 0,
    }
}

/// Bytes of the kept messages.
fn held(dropped: &Dropped<Message>) -> u64 {
    dropped.payloads.iter().map(size_of).sum()
}

fn size_of(message: &Message) -> u64 {
    message.len() as u64
}

impl Queue {
    fn push(&mut self, event: &Event<Message>) {
        match event {
            Event::QueueChanged(queued) => self.queued = Some(*queued),
            Event::Dropped(dropped) => self.push_dropped(dropped),
            _ => self.push_back(event.clone()),
        }
    }

    /// Merges drops into the newest event, if that is of the same kind.
    fn push_dropped(&mut self, dropped: &Dropped<Message>) {
        let mut joined = Dropped {
            reason: dropped.reason,
            payloads: Vec::new(),
            omitted: 0,
            bytes: 0,
        };
        if let Some(Event::Dropped(newest)) = self.events.back()
            && newest.reason == dropped.reason
            && let Some(Event::Dropped(newest)) = self.events.pop_back()
        {
            joined = newest;
        }
        self.bytes = self.bytes.saturating_sub(held(&joined));
        joined.bytes = joined.bytes.saturating_add(dropped.bytes);
        if dropped.omitted > 0 {
            // What precedes them is older still.
            joined.omitted = joined.messages().saturating_add(dropped.omitted);
            joined.payloads.clear();
        }
        joined.payloads.extend_from_slice(&dropped.payloads);
        let mut more = held(&joined);
        // The oldest events give up their messages, but still report how many there were.
        for event in &mut self.events {
            if self.bytes.saturating_add(more) <= CAPACITY_BYTES {
                break;
            }
            if let Event::Dropped(older) = event {
                self.bytes = self.bytes.saturating_sub(held(older));
                older.omitted = older.messages();
                older.payloads = Vec::new();
            }
        }
        // Of the newest event, the last messages, and at least the ones that came now.
        let surplus = joined.payloads.len().saturating_sub(dropped.payloads.len());
        let mut shed = 0;
        for payload in joined.payloads.iter().take(surplus) {
            if joined.payloads.len() - shed <= CAPACITY && more <= CAPACITY_BYTES {
                break;
            }
            more = more.saturating_sub(size_of(payload));
            shed += 1;
        }
        // In one go, and with room to spare: taking one out moves all that follow.
        if shed > 0 {
            let most = surplus.min(shed + CAPACITY / 2);
            for payload in joined.payloads.drain(..most).skip(shed) {
                more = more.saturating_sub(size_of(&payload));
            }
            joined.omitted = joined.omitted.saturating_add(most as u64);
        }
        self.bytes = self.bytes.saturating_add(more);
        self.push_back(Event::Dropped(joined));
    }

    fn push_back(&mut self, event: Event<Message>) {
        if self.events.len() >= CAPACITY {
            match self.pop_oldest() {
                Some(Event::Dropped(dropped)) => self.tally(dropped.reason).add(Tally {
                    messages: dropped.messages(),
                    bytes: dropped.bytes,
                }),
                _ => self.missed += 1,
            }
        }
        self.events.push_back(event);
    }

    fn tally(&mut self, reason: DropReason) -> &mut Tally {
        &mut self.earlier[usize::from(reason.index())]
    }

    fn pop_oldest(&mut self) -> Option<Event<Message>> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes_of(&event));
        Some(event)
    }

    fn pop(&mut self) -> Option<Event<Message>> {
        for reason in DropReason::ALL {
            let Tally { messages, bytes } = core::mem::take(self.tally(reason));
            if messages > 0 {
                return Some(Event::Dropped(Dropped {
                    reason,
                    payloads: Vec::new(),
                    omitted: messages,
                    bytes,
                }));
            }
        }
        self.pop_oldest()
            .or_else(|| self.queued.take().map(Event::QueueChanged))
    }
}

impl Events {
    /// The next event, like the stream's `next`; `None` once the socket was dropped.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, no event is lost.
    pub async fn recv(&mut self) -> Option<Event<Message>> {
        poll_fn(|task| Pin::new(&mut *self).poll_next(task)).await
    }

    /// How many events were lost because this stream was not read in time. Reports of dropped messages are not among
    /// them: their counts are never lost.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.borrow().missed
    }
}

impl Stream for Events {
    type Item = Event<Message>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if is_abandoned() {
            return Poll::Ready(None);
        }
        let mut queue = self.0.borrow_mut();
        match queue.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.over => Poll::Ready(None),
            None => {
                queue.waker = Some(task.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// The streams of one connection. The list is created with the first of them and reached through [`Watching`], so
/// that a program that watches no events is built without their queues.
#[derive(Default)]
pub(crate) struct Watchers(OnceCell<Box<dyn Watching>>);

/// Operations on the streams.
trait Watching {
    /// Adds a stream.
    fn watch(&self) -> Events;

    /// Delivers an event, or ends the streams.
    fn emit(&self, event: Option<&Event<Message>>);
}

impl Watchers {
    pub(crate) fn watch(&self) -> Events {
        self.0.get_or_init(|| Box::new(Queues::default())).watch()
    }

    pub(crate) fn emit(&self, event: &Event<Message>) {
        if let Some(watching) = self.0.get() {
            watching.emit(Some(event));
        }
    }

    /// No more events will follow.
    pub(crate) fn end(&self) {
        if let Some(watching) = self.0.get() {
            watching.emit(None);
        }
    }
}

/// The buffer that the streams read from.
#[derive(Default)]
struct Queues(RefCell<Vec<Weak<RefCell<Queue>>>>);

impl Watching for Queues {
    fn watch(&self) -> Events {
        let queue = Rc::new(RefCell::new(Queue::default()));
        self.0.borrow_mut().push(Rc::downgrade(&queue));
        Events(queue)
    }

    fn emit(&self, event: Option<&Event<Message>>) {
        let mut wakers = Vec::new();
        self.0.borrow_mut().retain(|watcher| {
            let Some(queue) = watcher.upgrade() else {
                return false;
            };
            let mut queue = queue.borrow_mut();
            match event {
                Some(event) => queue.push(event),
                None => queue.over = true,
            }
            wakers.extend(queue.waker.take());
            true
        });
        for waker in wakers {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Phase, StateChange, Why};

    fn dropped(reason: DropReason, text: &str) -> Event<Message> {
        Event::Dropped(Dropped {
            reason,
            payloads: vec![text.into()],
            omitted: 0,
            bytes: text.len() as u64,
        })
    }

    fn state(attempt: u32) -> Event<Message> {
        Event::State(StateChange {
            phase: Phase::Waiting,
            attempt,
            delay_ms: None,
            why: Why::WaitOver,
        })
    }

    /// The reported counts for each reason, over all events.
    fn sums(queue: &mut Queue) -> [Tally; DropReason::ALL.len()] {
        let mut sums = [Tally::default(); DropReason::ALL.len()];
        while let Some(event) = queue.pop() {
            if let Event::Dropped(dropped) = event {
                sums[usize::from(dropped.reason.index())].add(Tally {
                    messages: dropped.messages(),
                    bytes: dropped.bytes,
                });
            }
        }
        sums
    }

    // [R25]
    #[test]
    fn every_drop_is_counted_however_late_it_is_read() {
        let reasons = DropReason::ALL;
        // A single reason, all in turn, and between changes of state.
        for (kinds, states) in [(1, false), (reasons.len(), false), (reasons.len(), true)] {
            let mut queue = Queue::default();
            for number in 0..10_000 {
                queue.push(&dropped(reasons[number % kinds], "12345"));
                if states {
                    queue.push(&state(number as u32));
                }
            }
            assert!(queue.events.len() <= CAPACITY);
            assert!(queue.bytes <= CAPACITY_BYTES);
            let (all, missed) = (sums(&mut queue), queue.missed);
            let messages: u64 = all.iter().map(|tally| tally.messages).sum();
            let bytes: u64 = all.iter().map(|tally| tally.bytes).sum();
            assert_eq!((messages, bytes), (10_000, 50_000), "of {kinds} kinds");
            let kept = if states { CAPACITY as u64 / 2 } else { 10_000 };
            assert_eq!(missed, 10_000 - kept, "of {kinds} kinds");
            assert_eq!(queue.bytes, 0);
        }
    }

    #[test]
    fn large_messages_go_first_and_are_still_counted() {
        let mut queue = Queue::default();
        let large = "a".repeat(700_000);
        queue.push(&dropped(DropReason::Expired, &large));
        queue.push(&state(1));
        queue.push(&dropped(DropReason::Overflow, &large));
        queue.push(&dropped(DropReason::Overflow, &large));
        let kept: Vec<_> = core::iter::from_fn(|| queue.pop())
            .map(|event| match event {
                Event::Dropped(dropped) => {
                    (dropped.payloads.len(), dropped.messages(), dropped.bytes)
                }
                _ => (0, 0, 0),
            })
            .collect();
        assert_eq!(kept, [(0, 1, 700_000), (0, 0, 0), (1, 2, 1_400_000)]);
        assert_eq!((queue.missed, queue.bytes), (0, 0));
    }

    #[test]
    fn of_the_changes_of_the_queue_the_last_is_kept() {
        let mut queue = Queue::default();
        for messages in 0..1_000 {
            queue.push(&Event::QueueChanged(Tally { messages, bytes: 0 }));
        }
        queue.push(&state(1));
        assert_eq!(queue.pop(), Some(state(1)));
        let last = Tally {
            messages: 999,
            bytes: 0,
        };
        assert_eq!(queue.pop(), Some(Event::QueueChanged(last)));
        assert_eq!((queue.pop(), queue.missed), (None, 0));
    }
}
