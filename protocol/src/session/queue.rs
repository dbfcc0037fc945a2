//! Messages that have no number yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::types::{Delivery, Payload, SendMode};
use crate::Time;

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Waiting<P> {
    pub(super) delivery: Delivery,
    pub(super) payload: P,
    pub(super) mode: SendMode,
}

/// Messages that have no number yet: those marked to go first, then the others, each in order.
#[derive(Debug, Clone)]
pub(super) struct Queue<P> {
    first: VecDeque<Waiting<P>>,
    ordinary: VecDeque<Waiting<P>>,
    bytes: usize,
    next_expiry: Option<Time>,
}

impl<P: Payload> Queue<P> {
    pub(super) const fn new() -> Self {
        Self {
            first: VecDeque::new(),
            ordinary: VecDeque::new(),
            bytes: 0,
            next_expiry: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.first.len().saturating_add(self.ordinary.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
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
        self.next_expiry = Time::earliest(self.next_expiry, message.mode.expires);
        match message.mode.first {
            true => self.first.push_back(message),
            false => self.ordinary.push_back(message),
        }
    }

    /// The next message to go.
    pub(super) fn peek(&self) -> Option<&Waiting<P>> {
        self.first.front().or_else(|| self.ordinary.front())
    }

    pub(super) fn pop(&mut self) -> Option<Waiting<P>> {
        let message = self
            .first
            .pop_front()
            .or_else(|| self.ordinary.pop_front())?;
        self.forget(&message);
        Some(message)
    }

    /// The message to drop for a newer one: the oldest that is not marked to go first, or else the oldest.
    pub(super) fn pop_oldest(&mut self) -> Option<Waiting<P>> {
        let message = self
            .ordinary
            .pop_front()
            .or_else(|| self.first.pop_front())?;
        self.forget(&message);
        Some(message)
    }

    fn forget(&mut self, message: &Waiting<P>) {
        self.bytes = self.bytes.saturating_sub(message.payload.bytes());
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
        for lane in [&mut self.first, &mut self.ordinary] {
            // One full rotation restores the order of what is kept.
            for _ in 0..lane.len() {
                let Some(message) = lane.pop_front() else {
                    break;
                };
                if message.mode.expires.is_some_and(|at| at <= now) {
                    self.bytes = self.bytes.saturating_sub(message.payload.bytes());
                    expired.push(message);
                } else {
                    self.next_expiry = Time::earliest(self.next_expiry, message.mode.expires);
                    lane.push_back(message);
                }
            }
        }
        expired
    }
}
