//! The events of a connection as a stream.

use core::cell::{OnceCell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use futures_core::Stream;
use steady_socket_protocol::Message;

use crate::browser::is_abandoned;
use crate::connection::Event;

/// How many events a stream keeps for a reader that is behind.
const CAPACITY: usize = 256;

/// How many bytes of dropped messages these events may hold, beside the newest event's.
const CAPACITY_BYTES: u64 = 1 << 20;

/// The events of a connection, from the moment on when this stream was made: every change of state, every
/// loss, and what was dropped. It ends when the socket is dropped.
///
/// It keeps the newest 256 events for a reader that is behind, fewer if they hold much that was dropped; [`Events::missed`] counts the others.
#[derive(Debug)]
#[must_use = "events are only kept for a stream that is read"]
pub struct Events(Rc<RefCell<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event<Message>>,
    /// Bytes of the dropped messages in them.
    bytes: u64,
    missed: u64,
    over: bool,
    waker: Option<Waker>,
}

/// Bytes of the dropped messages that an event carries, without those that are only counted.
fn bytes_of(event: &Event<Message>) -> u64 {
    match event {
        Event::Dropped(dropped) => {
            let sizes = dropped.payloads.iter().map(|payload| payload.len() as u64);
            sizes.sum()
        }
        _ => 0,
    }
}

impl Queue {
    fn push(&mut self, event: Event<Message>) {
        let bytes = bytes_of(&event);
        let full = |queue: &Self| {
            queue.events.len() >= CAPACITY || queue.bytes.saturating_add(bytes) > CAPACITY_BYTES
        };
        while full(self) && self.pop().is_some() {
            self.missed += 1;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.events.push_back(event);
    }

    fn pop(&mut self) -> Option<Event<Message>> {
        let event = self.events.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes_of(&event));
        Some(event)
    }
}

impl Events {
    /// How many events were lost because this stream was not read in time.
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

/// The streams that were made of one connection. The list is made with the first of them, and reached by
/// way of [`Watching`]: a program that watches no events is made without the queues that keep them.
#[derive(Default)]
pub(crate) struct Watchers(OnceCell<Box<dyn Watching>>);

/// What is done with the streams.
trait Watching {
    /// One more.
    fn watch(&self) -> Events;

    /// Tells an event, or that nothing follows.
    fn tell(&self, event: Option<&Event<Message>>);
}

impl Watchers {
    pub(crate) fn watch(&self) -> Events {
        self.0.get_or_init(|| Box::new(Queues::default())).watch()
    }

    pub(crate) fn tell(&self, event: &Event<Message>) {
        if let Some(watching) = self.0.get() {
            watching.tell(Some(event));
        }
    }

    /// Nothing follows.
    pub(crate) fn end(&self) {
        if let Some(watching) = self.0.get() {
            watching.tell(None);
        }
    }
}

/// What the streams read from.
#[derive(Default)]
struct Queues(RefCell<Vec<Weak<RefCell<Queue>>>>);

impl Watching for Queues {
    fn watch(&self) -> Events {
        let queue = Rc::new(RefCell::new(Queue::default()));
        self.0.borrow_mut().push(Rc::downgrade(&queue));
        Events(queue)
    }

    fn tell(&self, event: Option<&Event<Message>>) {
        let mut wakers = Vec::new();
        self.0.borrow_mut().retain(|watcher| {
            let Some(queue) = watcher.upgrade() else {
                return false;
            };
            let mut queue = queue.borrow_mut();
            match event {
                Some(event) => queue.push(event.clone()),
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
