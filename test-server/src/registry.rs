//! The open WebSocket connections: how many there are, and how to control them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What is wrong with an id that is not one.
pub(crate) const INVALID_ID: &str = "an id is 1 to 64 letters, digits, - or _";

/// A command to a connection. The latest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Go on.
    Stay,
    /// Close with this code and reason.
    Close(u16, String),
    /// Drop the TCP connection, with no Close frame.
    Cut,
}

/// Whether a client may have this id.
pub(crate) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// All open connections, up to a limit.
#[derive(Debug)]
pub(crate) struct Registry {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The command for connections that arrive after the stop.
    stopped: Option<Command>,
    next: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The client's id, if it wants to be reachable by the control.
    id: Option<String>,
    commands: watch::Sender<Command>,
}

/// A connection's place in the registry, freed on drop.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    key: u64,
    commands: watch::Receiver<Command>,
}

impl Registration {
    /// Waits for the command to close the connection, with the code and the reason.
    pub(crate) fn leave(&self) -> impl Future<Output = (u16, String)> + use<> {
        let mut commands = self.commands.clone();
        async move {
            let is_given = |command: &Command| *command != Command::Stay;
            match wait_for(&mut commands, is_given).await {
                Command::Close(code, reason) => (code, reason),
                // Whoever cuts drops this future.
                Command::Cut | Command::Stay => std::future::pending().await,
            }
        }
    }

    /// Waits for the command to drop the connection.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + use<> {
        let mut commands = self.commands.clone();
        async move {
            wait_for(&mut commands, |command| *command == Command::Cut).await;
        }
    }
}

async fn wait_for(
    commands: &mut watch::Receiver<Command>,
    wanted: impl FnMut(&Command) -> bool,
) -> Command {
    // The sender lives as long as the registration; without it, no command can arrive.
    commands
        .wait_for(wanted)
        .await
        .map_or(Command::Cut, |command| command.clone())
}

impl Registry {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Mutex::default(),
        }
    }

    /// Takes a place; `None` if all are taken.
    pub(crate) fn register(self: &Arc<Self>, id: Option<String>) -> Option<Registration> {
        let mut open = self.lock();
        if open.entries.len() >= self.limit {
            return None;
        }
        let (sender, commands) = watch::channel(open.stopped.clone().unwrap_or(Command::Stay));
        let key = open.next;
        open.next += 1;
        open.entries.insert(
            key,
            Entry {
                id,
                commands: sender,
            },
        );
        Some(Registration {
            registry: Arc::clone(self),
            key,
            commands,
        })
    }

    /// Sends `command` to the connections with this id and returns how many there are.
    pub(crate) fn command(&self, id: &str, command: &Command) -> usize {
        let open = self.lock();
        let mut commanded = 0;
        for entry in open
            .entries
            .values()
            .filter(|entry| entry.id.as_deref() == Some(id))
        {
            entry.commands.send_replace(command.clone());
            commanded += 1;
        }
        commanded
    }

    /// Sends `command` to every connection, including those still to come, and returns how many are open.
    pub(crate) fn stop(&self, command: &Command) -> usize {
        let mut open = self.lock();
        open.stopped = Some(command.clone());
        for entry in open.entries.values() {
            entry.commands.send_replace(command.clone());
        }
        open.entries.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().entries.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let registry = Arc::new(Registry::new(2));
        let first = registry.register(None).unwrap();
        let _second = registry.register(None).unwrap();
        assert!(registry.register(None).is_none());
        drop(first);
        assert!(registry.register(None).is_some());
    }

    #[test]
    fn a_command_reaches_those_of_the_name_and_a_stop_everybody() {
        let registry = Arc::new(Registry::new(9));
        let named = |id: &str| registry.register(Some(id.to_owned())).unwrap();
        let (a, b, nameless) = (named("a"), named("b"), registry.register(None).unwrap());
        assert_eq!(registry.command("a", &Command::Cut), 1);
        assert_eq!(registry.command("c", &Command::Cut), 0);
        assert_eq!(*a.commands.borrow(), Command::Cut);
        assert_eq!(*b.commands.borrow(), Command::Stay);

        let close = Command::Close(1001, "bye".to_owned());
        assert_eq!(registry.stop(&close), 3);
        let late = named("late");
        for registration in [&a, &b, &nameless, &late] {
            assert_eq!(*registration.commands.borrow(), close);
        }
    }
}
