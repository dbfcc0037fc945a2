//! The coverage: which inputs were tried in which states.

use core::fmt;

/// The states of a connection, as far as they handle inputs differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Place {
    Idle,
    Resolving,
    Connecting,
    Announcing,
    Opening,
    Gated,
    Flowing,
    Blocked,
    Waiting,
    Closing,
    Closed,
    /// Suspended, with the closing handshake in progress.
    Suspending,
    Suspended,
}

/// The kinds of input. `Late…` are those of an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Start,
    Close,
    Reconnect,
    Suspend,
    Resume,
    Ready,
    Send,
    SendFirst,
    SendVolatile,
    Resolved,
    ResolveFailed,
    OpenFailed,
    Opened,
    Message,
    SocketError,
    SocketClosed,
    Transmitted,
    TransmitFailed,
    Buffered,
    Hint,
    Alive,
    Pong,
    Pinged,
    Answered,
    Beats,
    Window,
    TooBig,
    TimerDue,
    TimerEarly,
    Turned,
    Verdict,
    LateTurned,
    LateResolved,
    LateResolveFailed,
    LateOpened,
    LateMessage,
    LateSocketError,
    LateSocketClosed,
    LateTransmitted,
    LateTransmitFailed,
    LateBuffered,
    LateAlive,
    LatePong,
    LateAnswered,
    LateBeats,
    LateWindow,
    LateTooBig,
    LateVerdict,
}

const PLACES: [Place; 13] = [
    Place::Idle,
    Place::Resolving,
    Place::Connecting,
    Place::Announcing,
    Place::Opening,
    Place::Gated,
    Place::Flowing,
    Place::Blocked,
    Place::Waiting,
    Place::Closing,
    Place::Closed,
    Place::Suspending,
    Place::Suspended,
];

const KINDS: [Kind; 48] = [
    Kind::Start,
    Kind::Close,
    Kind::Reconnect,
    Kind::Suspend,
    Kind::Resume,
    Kind::Ready,
    Kind::Send,
    Kind::SendFirst,
    Kind::SendVolatile,
    Kind::Resolved,
    Kind::ResolveFailed,
    Kind::OpenFailed,
    Kind::Opened,
    Kind::Message,
    Kind::SocketError,
    Kind::SocketClosed,
    Kind::Transmitted,
    Kind::TransmitFailed,
    Kind::Buffered,
    Kind::Hint,
    Kind::Alive,
    Kind::Pong,
    Kind::Pinged,
    Kind::Answered,
    Kind::Beats,
    Kind::Window,
    Kind::TooBig,
    Kind::TimerDue,
    Kind::TimerEarly,
    Kind::Turned,
    Kind::Verdict,
    Kind::LateTurned,
    Kind::LateResolved,
    Kind::LateResolveFailed,
    Kind::LateOpened,
    Kind::LateMessage,
    Kind::LateSocketError,
    Kind::LateSocketClosed,
    Kind::LateTransmitted,
    Kind::LateTransmitFailed,
    Kind::LateBuffered,
    Kind::LateAlive,
    Kind::LatePong,
    Kind::LateAnswered,
    Kind::LateBeats,
    Kind::LateWindow,
    Kind::LateTooBig,
    Kind::LateVerdict,
];

/// How often each kind of input was tried in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(Vec<[u64; PLACES.len()]>);

impl Coverage {
    /// Counts one input.
    pub fn count(&mut self, place: Place, kind: Kind) {
        if self.0.is_empty() {
            self.0 = vec![[0; PLACES.len()]; KINDS.len()];
        }
        self.0[kind as usize][place as usize] += 1;
    }

    /// Adds the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        for (row, other) in self.0.iter_mut().zip(&other.0) {
            for (cell, other) in row.iter_mut().zip(other) {
                *cell += other;
            }
        }
    }

    /// How often each kind of input occurred, in any state.
    #[must_use]
    pub fn by_kind(&self) -> Vec<(Kind, u64)> {
        let times = |kind| PLACES.iter().map(|place| self.times(*place, kind)).sum();
        KINDS.iter().map(|kind| (*kind, times(*kind))).collect()
    }

    fn times(&self, place: Place, kind: Kind) -> u64 {
        self.0
            .get(kind as usize)
            .map_or(0, |row| row[place as usize])
    }

    /// The pairs that were never tried although they can occur in a correct core.
    #[must_use]
    pub fn missing(&self) -> Vec<(Place, Kind)> {
        let mut missing = Vec::new();
        for place in PLACES {
            for kind in KINDS {
                if self.times(place, kind) == 0 && can_happen(place, kind) {
                    missing.push((place, kind));
                }
            }
        }
        missing
    }
}

/// Whether the world can produce this input in this state. What it excludes would break the contract with the driver,
/// or contradict the state itself.
const fn can_happen(place: Place, kind: Kind) -> bool {
    let command = matches!(
        kind,
        Kind::Start
            | Kind::Close
            | Kind::Reconnect
            | Kind::Suspend
            | Kind::Resume
            | Kind::Ready
            | Kind::Send
            | Kind::SendFirst
            | Kind::SendVolatile
    );
    // Nothing is asked before the application is ready.
    if matches!(kind, Kind::Pinged) {
        return matches!(place, Place::Flowing | Place::Blocked);
    }
    match place {
        // Before the first attempt there is no socket, no earlier attempt, and nothing to answer. The timer is armed
        // for messages that expire.
        Place::Idle => command || matches!(kind, Kind::Hint | Kind::TimerDue | Kind::TimerEarly),
        // Until the handler of `open` is called, and while it runs, only commands and answers to them occur. Everything
        // else comes in its own tasks.
        Place::Announcing => command,
        Place::Opening => {
            command
                || matches!(
                    kind,
                    Kind::Transmitted
                        | Kind::TransmitFailed
                        | Kind::Buffered
                        | Kind::SocketClosed
                        | Kind::Verdict
                )
        }
        // There is no socket yet that could report anything.
        Place::Resolving => !matches!(
            kind,
            Kind::OpenFailed
                | Kind::Opened
                | Kind::Message
                | Kind::TooBig
                | Kind::SocketError
                | Kind::SocketClosed
        ),
        // Nothing is left to arm a timer for.
        Place::Closed => !matches!(kind, Kind::OpenFailed | Kind::TimerDue),
        // The browser refuses a socket only when asked to make one.
        Place::Connecting => true,
        _ => !matches!(kind, Kind::OpenFailed),
    }
}

impl fmt::Display for Coverage {
    /// The table in Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {:18} |", "input \\ state")?;
        for place in PLACES {
            write!(f, " {:>10} |", format!("{place:?}"))?;
        }
        write!(f, "\n|{}|", "-".repeat(20))?;
        for _ in PLACES {
            write!(f, "{}:|", "-".repeat(11))?;
        }
        writeln!(f)?;
        for kind in KINDS {
            write!(f, "| {:18} |", format!("{kind:?}"))?;
            for place in PLACES {
                let cell = match self.times(place, kind) {
                    0 if can_happen(place, kind) => "MISSING".to_owned(),
                    0 => "-".to_owned(),
                    count => count.to_string(),
                };
                write!(f, " {cell:>10} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
