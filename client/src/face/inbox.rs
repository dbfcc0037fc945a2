//! Messages that have arrived and that the application has not read yet.

use std::collections::VecDeque;

use steady_socket_protocol::Message;

use crate::limits::{INBOX_BYTES, INBOX_MESSAGES};

/// What to do if messages arrive faster than the application reads them. A browser cannot be made to stop receiving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxOverflow {
    /// The oldest unread messages are dropped to make room, and reported.
    #[default]
    DropOldest,
    /// The new message is reported as dropped.
    DropNewest,
    /// The connection closes for good, with code [`INBOX_FULL`](crate::INBOX_FULL).
    Close,
}

/// How many unread messages to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    /// Messages; at least one is always kept.
    pub messages: usize,
    /// Bytes in them; one message of any size is always kept.
    pub bytes: usize,
    /// What to do with more.
    pub overflow: InboxOverflow,
}

impl Default for InboxLimits {
    /// 10,000 messages, 64 MiB, dropping the oldest.
    fn default() -> Self {
        Self {
            messages: INBOX_MESSAGES,
            bytes: INBOX_BYTES,
            overflow: InboxOverflow::default(),
        }
    }
}

/// Invariant: `bytes` is the sum over `messages`.
#[derive(Default)]
pub(crate) struct Inbox {
    limits: InboxLimits,
    messages: VecDeque<Message>,
    bytes: usize,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Everything is kept.
    Kept,
    /// These were dropped.
    Dropped(Vec<Message>),
    /// It does not fit, and the connection must close.
    Refused(Message),
}

impl Inbox {
    pub(crate) fn new(limits: InboxLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    fn fits(&self, message: &Message) -> bool {
        self.messages.is_empty()
            || (self.messages.len() < self.limits.messages
                && self.bytes.saturating_add(message.len()) <= self.limits.bytes)
    }

    pub(crate) fn push(&mut self, message: Message) -> Received {
        let mut dropped = Vec::new();
        while !self.fits(&message) {
            match self.limits.overflow {
                InboxOverflow::DropNewest => return Received::Dropped(vec![message]),
                InboxOverflow::Close => return Received::Refused(message),
                // Anything fits in an empty inbox, so there is one to drop.
                InboxOverflow::DropOldest => dropped.extend(self.pop()),
            }
        }
        self.bytes = self.bytes.saturating_add(message.len());
        self.messages.push_back(message);
        if dropped.is_empty() {
            Received::Kept
        } else {
            Received::Dropped(dropped)
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(message.len());
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(overflow: InboxOverflow) -> Inbox {
        let mut inbox = Inbox::new(InboxLimits {
            messages: 2,
            bytes: 4,
            overflow,
        });
        for text in ["a", "bb"] {
            assert_eq!(inbox.push(text.into()), Received::Kept);
        }
        inbox
    }

    fn rest(mut inbox: Inbox) -> Vec<Message> {
        core::iter::from_fn(|| inbox.pop()).collect()
    }

    #[test]
    fn the_oldest_make_room() {
        let mut inbox = inbox(InboxOverflow::DropOldest);
        assert_eq!(inbox.push("cc".into()), Received::Dropped(vec!["a".into()]));
        let both = vec!["bb".into(), "cc".into()];
        assert_eq!(
            inbox.push("larger than all".into()),
            Received::Dropped(both)
        );
        assert_eq!(rest(inbox), ["larger than all".into()]);
    }

    #[test]
    fn the_newest_goes() {
        let mut inbox = inbox(InboxOverflow::DropNewest);
        assert_eq!(inbox.push("c".into()), Received::Dropped(vec!["c".into()]));
        assert_eq!(rest(inbox), ["a".into(), "bb".into()]);
    }

    #[test]
    fn the_connection_is_to_be_closed() {
        let mut inbox = inbox(InboxOverflow::Close);
        assert_eq!(inbox.push("c".into()), Received::Refused("c".into()));
        assert_eq!(rest(inbox), ["a".into(), "bb".into()]);
    }
}
