//! The same message for many clients.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steady_socket_protocol::Endpoint;

use crate::body::Body;
use crate::errors::SendError;
use crate::peer::Handle;

/// Clients that get the same messages, all in the same order, such as those in a room. A message is encoded once for each
/// sub-protocol. Cheap to clone.
pub struct Group<E: Endpoint> {
    members: Arc<Mutex<HashMap<u64, Handle<E>>>>,
}

impl<E: Endpoint> Clone for Group<E> {
    fn clone(&self) -> Self {
        Self {
            members: Arc::clone(&self.members),
        }
    }
}

impl<E: Endpoint> Default for Group<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Endpoint> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.len()).finish()
    }
}

impl<E: Endpoint> Group<E> {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self {
            members: Arc::default(),
        }
    }

    fn members(&self) -> MutexGuard<'_, HashMap<u64, Handle<E>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client, until the result is dropped.
    #[must_use = "dropping it takes the client out again"]
    pub fn join(&self, member: &Handle<E>) -> Membership<E> {
        self.members().insert(member.id(), member.clone());
        Membership {
            group: self.clone(),
            id: member.id(),
        }
    }

    /// How many clients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Sends a message to all. A client that is too far behind to take it is given up, since it would miss something: its
    /// session is lost, which it learns when it comes back, or its connection is closed with 1013.
    ///
    /// # Errors
    /// If the message cannot be encoded. Then nobody gets it.
    pub fn send(&self, message: &E::ServerMessage) -> Result<(), SendError> {
        // One caller at a time, so that everybody gets everything in the same order.
        let members = self.members();
        let mut encoded: HashMap<&'static str, Body> = HashMap::new();
        for member in members.values() {
            if !encoded.contains_key(member.subprotocol()) {
                encoded.insert(member.subprotocol(), member.encoded(message)?);
            }
        }
        for member in members.values() {
            let Some(body) = encoded.get(member.subprotocol()) else {
                continue;
            };
            // Who has gone leaves the group by itself.
            let sent = member.try_send_body(body.clone());
            if let Err(SendError::Full | SendError::TooLarge) = sent {
                member.give_up();
            }
        }
        Ok(())
    }
}

/// A client's place in a [`Group`], freed on drop.
#[must_use = "dropping it takes the client out again"]
pub struct Membership<E: Endpoint> {
    group: Group<E>,
    id: u64,
}

impl<E: Endpoint> fmt::Debug for Membership<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Membership").field(&self.id).finish()
    }
}

impl<E: Endpoint> Drop for Membership<E> {
    fn drop(&mut self) {
        self.group.members().remove(&self.id);
    }
}
