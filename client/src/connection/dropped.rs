//! Dropped messages that the application has not been informed of yet.

use alloc::vec::Vec;

use super::line::Line;
use super::queue::Queued;
use super::unconfirmed::Tally;
use super::{DropReason, Dropped};
use crate::limits::{LEAST_KEPT_BYTES, LEAST_KEPT_MESSAGES};

/// Messages that were dropped for one reason: all are counted, and the newest are kept, so that a program that sends
/// in a loop without yielding holds no more than the queue may hold.
#[derive(Clone, Debug, Hash)]
pub(super) struct Drops<P> {
    pub(super) reason: DropReason,
    kept: Line<Queued<P>>,
    /// Bytes in these.
    held: usize,
    all: Tally,
}

impl<P> Drops<P> {
    pub(super) const fn new(reason: DropReason) -> Self {
        Self {
            reason,
            kept: Line::new(),
            held: 0,
            all: Tally {
                messages: 0,
                bytes: 0,
            },
        }
    }

    /// Adds messages. The newest is kept whatever its size.
    pub(super) fn add(&mut self, messages: Vec<Queued<P>>, most: usize, most_bytes: usize) {
        let (most, most_bytes) = (
            most.max(LEAST_KEPT_MESSAGES),
            most_bytes.max(LEAST_KEPT_BYTES),
        );
        for message in messages {
            self.all.add(Tally::one(message.bytes));
            self.held = self.held.saturating_add(message.bytes);
            self.kept.push_back(message);
            while self.kept.len() > 1
                && (self.kept.len() > most || self.held > most_bytes)
                && let Some(oldest) = self.kept.pop_front()
            {
                self.held = self.held.saturating_sub(oldest.bytes);
            }
        }
    }

    /// The report for the application.
    pub(super) fn report(mut self) -> Dropped<P> {
        let omitted = self.all.messages.saturating_sub(self.kept.len() as u64);
        let mut payloads = Vec::with_capacity(self.kept.len());
        while let Some(message) = self.kept.pop_front() {
            payloads.push(message.payload);
        }
        Dropped {
            reason: self.reason,
            payloads,
            omitted,
            bytes: self.all.bytes,
        }
    }
}
