//! How a server stops, and how its connections learn of it.

use std::pin::Pin;
use std::time::Duration;

use steady_socket_protocol::control::Window;
use tokio::sync::watch;

use crate::wire::End;

/// What a connection learns of the stop of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It will stop. The client is to come back within this window, once its connection has ended.
    Announce(Window),
    /// It closes now.
    Close(End),
}

/// How far a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Announced(Window),
    Closing(Window),
}

/// The server's end.
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<State>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Running))
    }

    /// For a new connection.
    pub(crate) fn listen(&self) -> Stopping {
        Stopping {
            state: self.0.subscribe(),
            announced: false,
            leave: None,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.borrow() != State::Running
    }

    pub(crate) fn announce(&self, window: Window) {
        self.0.send_replace(State::Announced(window));
    }

    pub(crate) fn close(&self, window: Window) {
        self.0.send_replace(State::Closing(window));
    }
}

/// A connection's end.
pub(crate) struct Stopping {
    state: watch::Receiver<State>,
    announced: bool,
    leave: Option<Leave>,
}

/// Resolves when the program wants the connection closed, with the code and the reason.
pub(crate) type Leave = Pin<Box<dyn Future<Output = (u16, String)> + Send>>;

impl Stopping {
    /// Closes also when the program says so.
    pub(crate) fn or(mut self, leave: Option<Leave>) -> Self {
        self.leave = leave;
        self
    }

    /// The next that the connection has to do. Cancel-safe. Not to be called again behind a [`Stop::Close`].
    pub(crate) async fn next(&mut self) -> Stop {
        let Self {
            state,
            announced,
            leave,
        } = self;
        let leaves = async {
            match leave {
                Some(leave) => leave.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (code, reason) = leaves => Stop::Close(End::Close(code, reason)),
            stop = stop(state, announced) => stop,
        }
    }
}

/// The next step of the server's stop.
async fn stop(state: &mut watch::Receiver<State>, announced: &mut bool) -> Stop {
    let heard = *announced;
    let wanted = |state: &State| match state {
        State::Running => false,
        State::Announced(_) => !heard,
        State::Closing(_) => true,
    };
    // Without a server, nothing can be announced.
    let state = state.wait_for(wanted).await.map(|state| *state);
    match state {
        Ok(State::Announced(window) | State::Closing(window)) if !heard => {
            *announced = true;
            Stop::Announce(window)
        }
        Ok(State::Closing(window)) => Stop::Close(End::close(1012, window.as_reason())),
        Ok(State::Announced(_) | State::Running) | Err(_) => std::future::pending().await,
    }
}

/// How long a stop waits between its announcement and the first close: the announcements are on their way.
pub(crate) const ANNOUNCED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_hears_the_announcement_first_whenever_it_came() {
        let window = Window::between(Duration::from_secs(1), Duration::from_secs(5));
        let stopper = Stopper::new();
        let mut early = stopper.listen();
        assert!(!stopper.is_stopping());
        stopper.announce(window);
        assert!(stopper.is_stopping());
        assert_eq!(early.next().await, Stop::Announce(window));
        stopper.close(window);
        let close = Stop::Close(End::close(1012, window.as_reason()));
        assert_eq!(early.next().await, close);
        let mut late = stopper.listen();
        assert_eq!(late.next().await, Stop::Announce(window));
        assert_eq!(late.next().await, close);
    }
}
