//! The table of states: every row is carried out, what it leaves out has no effect, and the documentation shows it.

use core::time::Duration;

use steady_socket::testing::{Closing, World};
use steady_socket::{Builder, Options, Phase, PlainText, Socket};

type Text = Socket<String, String, PlainText>;

/// Something that changes the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Connects,
    Opens,
    IsLost,
    IsLostForGood,
    WaitIsOver,
    HandshakeEnds,
    Close,
    Suspend,
    Resume,
    Reconnect,
}

impl What {
    const COMMANDS: [Self; 4] = [Self::Close, Self::Suspend, Self::Resume, Self::Reconnect];

    const fn text(self) -> &'static str {
        match self {
            Self::Connects => "connect()",
            Self::Opens => "the handshake succeeds",
            Self::IsLost => "it is lost",
            Self::IsLostForGood => "it is lost, and no retry may follow",
            Self::WaitIsOver => "the wait is over",
            Self::HandshakeEnds => "the server answers, or close_timeout",
            Self::Close => "close()",
            Self::Suspend => "suspend()",
            Self::Resume => "resume()",
            Self::Reconnect => "reconnect()",
        }
    }
}

use What::*;

/// From which phase what leads to which.
const TABLE: &[(Phase, What, Phase)] = &[
    (Phase::Idle, Reconnect, Phase::Connecting),
    (Phase::Connecting, Opens, Phase::Open),
    (Phase::Connecting, IsLost, Phase::Waiting),
    (Phase::Connecting, IsLostForGood, Phase::Closed),
    (Phase::Connecting, Close, Phase::Closed),
    (Phase::Connecting, Suspend, Phase::Suspended),
    (Phase::Connecting, Reconnect, Phase::Connecting),
    (Phase::Open, IsLost, Phase::Waiting),
    (Phase::Open, IsLostForGood, Phase::Closed),
    (Phase::Open, Close, Phase::Closing),
    (Phase::Open, Suspend, Phase::Suspended),
    (Phase::Open, Reconnect, Phase::Connecting),
    (Phase::Waiting, WaitIsOver, Phase::Connecting),
    (Phase::Waiting, Reconnect, Phase::Connecting),
    (Phase::Waiting, Close, Phase::Closed),
    (Phase::Waiting, Suspend, Phase::Suspended),
    (Phase::Closing, HandshakeEnds, Phase::Closed),
    (Phase::Closing, Reconnect, Phase::Connecting),
    (Phase::Closed, Reconnect, Phase::Connecting),
    (Phase::Suspended, Resume, Phase::Connecting),
    (Phase::Suspended, Reconnect, Phase::Connecting),
    (Phase::Suspended, Close, Phase::Closed),
];

fn builder(world: &World, options: Options) -> Builder<String, String, PlainText> {
    Text::builder("ws://example.org/")
        .options(options)
        .platform(world.platform())
}

/// A socket in a phase.
fn in_phase(phase: Phase, options: Options) -> (World, Text) {
    let world = World::new();
    world.set_closing(Closing::Stall);
    let options = options.start_closed(phase == Phase::Idle);
    let socket = builder(&world, options).connect().unwrap();
    match phase {
        Phase::Idle | Phase::Connecting => {}
        Phase::Open => world.last().open(),
        Phase::Waiting => {
            world.last().open();
            world.last().cut();
        }
        Phase::Closing => {
            world.last().open();
            socket.handle().close(None, "").unwrap();
        }
        Phase::Closed => {
            world.last().open();
            world.last().close(1000, "");
        }
        Phase::Suspended => {
            world.last().open();
            socket.handle().suspend(None, "").unwrap();
            world.last().finish_close();
        }
    }
    world.run();
    assert_eq!(socket.handle().phase(), phase);
    (world, socket)
}

fn carry_out(what: What, world: &World, socket: &Text) {
    let handle = socket.handle();
    match what {
        Connects => {}
        Opens => world.last().open(),
        IsLost | IsLostForGood => world.last().cut(),
        WaitIsOver => world.advance(Duration::from_secs(5)),
        HandshakeEnds => world.last().finish_close(),
        Close => handle.close(None, "").unwrap(),
        Suspend => handle.suspend(None, "").unwrap(),
        Resume => handle.resume().unwrap(),
        Reconnect => handle.reconnect().unwrap(),
    }
}

#[test]
fn every_row_of_the_table_is_so_and_nothing_else_changes_the_phase() {
    for &(from, what, to) in TABLE {
        let options = Options::default().reconnect(what != IsLostForGood);
        let (world, socket) = in_phase(from, options);
        carry_out(what, &world, &socket);
        assert_eq!(socket.handle().phase(), to, "{from:?}: {what:?}");
    }
    for from in Phase::ALL {
        for what in What::COMMANDS {
            if TABLE.iter().any(|row| (row.0, row.1) == (from, what)) {
                continue;
            }
            let (world, socket) = in_phase(from, Options::default());
            carry_out(what, &world, &socket);
            let phase = socket.handle().phase();
            assert_eq!(phase, from, "{from:?}: {what:?} is not in the table");
        }
    }
    let world = World::new();
    let socket = builder(&world, Options::default()).connect().unwrap();
    assert_eq!(socket.handle().phase(), Phase::Connecting);
}

#[test]
fn the_documentation_shows_the_table() {
    let begin = (Phase::Idle, Connects, Phase::Connecting);
    let rows: Vec<_> = core::iter::once(&begin).chain(TABLE).collect();
    let width = rows.iter().map(|row| row.1.text().len()).max().unwrap();
    let mut last = None;
    let shown: String = rows
        .iter()
        .map(|(from, what, to)| {
            let name = if last.replace(*from) == Some(*from) {
                ""
            } else {
                from.name()
            };
            let line = "─".repeat(width - what.text().len() + 1);
            format!("//! {name:<10} ─ {} {line}▶ {}\n", what.text(), to.name())
        })
        .collect();
    let documentation = include_str!("../src/lib.rs");
    assert!(documentation.contains(&shown), "lib.rs takes:\n{shown}");
}
