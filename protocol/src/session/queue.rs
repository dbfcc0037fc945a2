//! Messages that have no number yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::exchange::release;
use super::types::{Delivery, Payload, SendMode};
use crate::Time;

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting<P> {
    pub(super) delivery: Delivery,
    pub(super) payload: P,
    pub(super) mode: SendMode,
    /// It is numbered in one step with the one before it.
    pub(super) follows: bool,
}

/// Messages that have no number yet: those marked to go first, then the others, each in order.
#[derive(Debug, Clone)]
pub(super) struct Queue<P> {
    messages: VecDeque<Waiting<P>>,
    /// How many of them are marked to go first.
    first: usize,
    bytes: usize,
    next_expiry: Option<Time>,
}

impl<P: Payload> Queue<P> {
    pub(super) const fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            first: 0,
            bytes: 0,
            next_expiry: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next message expires, or earlier.
    pub(super) const fn next_expiry(&self) -> Option<Time> {
        self.next_expiry
    }

    /// Whether one more fits. One that is larger than the whole queue fits into an empty one.
    pub(super) fn fits(&self, messages: usize, bytes: usize, message: usize) -> bool {
        self.is_empty() || (self.len() < messages && self.bytes.saturating_add(message) <= bytes)
    }

    pub(super) fn push(&mut self, message: Waiting<P>) {
        self.bytes = self.bytes.saturating_add(message.payload.bytes());
        if message.mode.expires.is_some() {
            self.next_expiry = Time::earliest(self.next_expiry, message.mode.expires);
        }
        match message.mode.first {
            true => self.push_first(message),
            false => self.messages.push_back(message),
        }
    }

    #[inline(never)]
    fn push_first(&mut self, message: Waiting<P>) {
        self.messages.insert(self.first, message);
        self.first = self.first.saturating_add(1);
    }

    /// The next message to go.
    pub(super) fn peek(&self) -> Option<&Waiting<P>> {
        self.messages.front()
    }

    /// How many messages go together with the next one, itself included, and their bytes.
    pub(super) fn next_group(&self) -> (u64, u64) {
        let mut group = (0_u64, 0_u64);
        for message in &self.messages {
            if group.0 > 0 && !message.follows {
                break;
            }
            group.0 = group.0.saturating_add(1);
            group.1 = group.1.saturating_add(message.payload.bytes() as u64);
        }
        group
    }

    /// The earliest of those that wait.
    pub(super) fn oldest(&self) -> Option<Delivery> {
        let of = |message: &Waiting<P>| message.delivery;
        let next = self.peek().map(of)?;
        // Each in order: those marked to go first, and the others.
        let other = self.messages.get(self.first).map(of);
        Some(other.map_or(next, |other| next.min(other)))
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<P>> {
        let message = self.messages.pop_front()?;
        self.forget(&message);
        Some(message)
    }

    /// The message to drop for a newer one: the oldest that is not marked to go first, or else the oldest.
    pub(super) fn pop_oldest(&mut self) -> Option<Waiting<P>> {
        match self.messages.remove(self.first) {
            Some(message) => {
                self.forget(&message);
                Some(message)
            }
            None => self.pop(),
        }
    }

    /// Takes one message out, wherever it is.
    pub(super) fn remove(&mut self, delivery: Delivery) -> Option<Waiting<P>> {
        let at = self
            .messages
            .iter()
            .position(|message| message.delivery == delivery)?;
        let message = self.messages.remove(at)?;
        self.forget(&message);
        Some(message)
    }

    fn forget(&mut self, message: &Waiting<P>) {
        self.bytes = self.bytes.saturating_sub(message.payload.bytes());
        if message.mode.first {
            self.first = self.first.saturating_sub(1);
        }
        if self.is_empty() {
            self.next_expiry = None;
        }
    }

    /// Takes all that have expired, in order.
    pub(super) fn take_expired(&mut self, now: Time) -> Vec<Waiting<P>> {
        let mut expired = Vec::new();
        if self.next_expiry.is_none_or(|expiry| expiry > now) {
            return expired;
        }
        self.next_expiry = None;
        // One full rotation restores the order of what is kept.
        for _ in 0..self.len() {
            let Some(message) = self.messages.pop_front() else {
                break;
            };
            if message.mode.expires.is_some_and(|at| at <= now) {
                self.forget(&message);
                expired.push(message);
            } else {
                self.next_expiry = Time::earliest(self.next_expiry, message.mode.expires);
                self.messages.push_back(message);
            }
        }
        expired
    }

    /// Frees memory, if it is empty.
    pub(super) fn release(&mut self) {
        release(&mut self.messages);
    }
}
