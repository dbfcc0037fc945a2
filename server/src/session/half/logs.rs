//! What a session does with shared logs: see [`crate::log`].

use std::sync::Arc;

use steady_socket_protocol::session::store::{Question, Reply};
use steady_socket_protocol::session::{Delivery, Item, SendMode, Token};

use super::{Life, Session, State};
use crate::body::Body;
use crate::errors::SendError;
use crate::log::{Entry, StepLogs, feed};

/// What a commit holds that was not accepted.
pub(crate) type Uncommitted = (Vec<Body>, Vec<(Arc<str>, Entry)>);

/// An entry that is appended when its message is handled.
#[derive(Debug)]
pub(super) struct Append {
    /// The generation in which the half has the message.
    owner: Option<u64>,
    message: u64,
    log: Arc<str>,
    entry: Entry,
}

impl Append {
    /// Whether it belongs into this step.
    fn is_of(&self, step: &StepId) -> bool {
        let is_handled = |(from, to): &(u64, u64)| (*from..=*to).contains(&self.message);
        self.owner == Some(step.owner)
            && (self.message <= step.handled || step.also.iter().any(is_handled))
    }
}

/// What is to be known of a step when it is answered.
#[derive(Debug)]
pub(super) struct StepId {
    owner: u64,
    handled: u64,
    also: Vec<(u64, u64)>,
    /// The last message that it numbers.
    last: Option<Delivery>,
}

impl Session {
    /// The program is done with a message, and this is what it has led to: one step of the store. What is not accepted comes
    /// back, with the token.
    pub(crate) fn commit(
        &self,
        life: Life,
        token: Token,
        sends: Vec<Body>,
        appends: Vec<(Arc<str>, Entry)>,
    ) -> Result<(), (SendError, Uncommitted)> {
        self.with(|state, now| {
            if !state.takes(life) {
                return Err((SendError::Closed, (sends, appends)));
            }
            let owner = state.half.owner();
            let before = state.appends.len();
            // First, since the step may be asked for at once.
            state
                .appends
                .extend(appends.into_iter().map(|(log, entry)| Append {
                    owner,
                    message: token.number(),
                    log,
                    entry,
                }));
            state.half.commit(now, token, sends).map_err(|rejected| {
                let appends = state.appends.drain(before..);
                let appends = appends.map(|append| (append.log, append.entry)).collect();
                (rejected.why.into(), (rejected.payload, appends))
            })
        })
    }

    /// Joins a log, unless this life has done so. From then on its entries are sent to the client.
    pub(crate) async fn join(
        self: &Arc<Self>,
        life: Life,
        log: Arc<str>,
        history: u64,
        encode: impl Fn(&Entry) -> Option<Body> + Send + Sync + 'static,
    ) -> Result<(), SendError> {
        let owner = self.with_life(life, |state, _| {
            let owner = state.half.owner().ok_or(SendError::Closed)?;
            Ok(state.joined.insert(Arc::clone(&log)).then_some(owner))
        })?;
        let Some(owner) = owner else {
            return Ok(());
        };
        // If this future is dropped in between, the log can be joined again.
        let mut joining = Joining(Some((self, life, &log)));
        // What this session has appended before comes before.
        loop {
            let stored = self.room.notified();
            if self.with_life(life, |state, _| Ok(state.appends.is_empty()))? {
                break;
            }
            stored.await;
        }
        let logs = &self.sessions.logs;
        let after = logs.join(self, owner, &log, history).await?;
        joining.0 = None;
        drop(joining);
        let logs = Arc::clone(logs);
        tokio::spawn(feed(Arc::clone(self), life, logs, log, after, encode));
        Ok(())
    }

    /// Sends an entry of a log, and waits while too much waits for this client.
    pub(crate) async fn send_entry(
        &self,
        life: Life,
        log: &Arc<str>,
        number: u64,
        body: Body,
    ) -> Result<(), SendError> {
        let send = || {
            self.with_life(life, |state, now| {
                let sent = state.half.send(now, body.clone(), SendMode::default());
                let delivery = sent.map_err(|rejected| rejected.why)?;
                state.entries.push_back((delivery, Arc::clone(log), number));
                Ok(())
            })
        };
        self.with_room(send).await
    }

    /// A step is done: the store knows what it has told about logs.
    pub(super) fn stepped(&self, state: &mut State, step: Option<StepId>, reply: &Reply<Body>) {
        let (Some(step), Reply::Stepped { .. }) = (step, reply) else {
            return;
        };
        let before = state.appends.len();
        state.appends.retain(|append| !append.is_of(&step));
        if state.appends.is_empty() && before > 0 {
            // For those that join.
            self.room.notify_waiters();
        }
        while let Some(entry) = state.entries.front()
            && Some(entry.0) <= step.last
        {
            state.entries.pop_front();
        }
    }
}

impl State {
    /// What a question does with logs, and what is to be known of it when it is answered.
    pub(super) fn step_logs(&self, question: &Question<Body>) -> (Option<StepId>, StepLogs) {
        let mut with = StepLogs::default();
        let Question::Step(step) = question else {
            return (None, with);
        };
        if self.entries.is_empty() && self.appends.is_empty() {
            return (None, with);
        }
        let mut id = StepId {
            owner: step.owner,
            handled: step.handled,
            also: step.also.clone(),
            last: None,
        };
        for item in &step.sends {
            let Item::Message {
                delivery: Some(delivery),
                ..
            } = item
            else {
                continue;
            };
            id.last = id.last.max(Some(*delivery));
            let Ok(at) = self.entries.binary_search_by_key(delivery, |entry| entry.0) else {
                continue;
            };
            let (_, log, number) = &self.entries[at];
            match with.cursors.iter_mut().find(|(other, _)| other == log) {
                Some((_, last)) => *last = *number,
                None => with.cursors.push((Arc::clone(log), *number)),
            }
        }
        for append in self.appends.iter().filter(|append| append.is_of(&id)) {
            let entry = append.entry.clone();
            with.appends.push((Arc::clone(&append.log), entry));
        }
        (Some(id), with)
    }

    pub(super) fn forget_logs(&mut self) {
        self.entries.clear();
        self.appends.clear();
        self.joined.clear();
    }
}

/// A life joins a log; dropped before it has, it can do so again.
struct Joining<'a>(Option<(&'a Session, Life, &'a Arc<str>)>);

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        if let Some((session, life, log)) = self.0 {
            let _ = session.with_life(life, |state, _| {
                state.joined.remove(log);
                Ok(())
            });
        }
    }
}
