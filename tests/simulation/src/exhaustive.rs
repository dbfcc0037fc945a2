//! Every sequence of a small alphabet up to some length.

use std::sync::atomic::{AtomicUsize, Ordering};

use steady_socket::Overflow;
use steady_socket::connection::{Hint, SendMode, Verdict};

use crate::coverage::Coverage;
use crate::op::{Command, Op, Provider, Reason, Settings, Step};
use crate::run::{Failure, replay};
use crate::shrink::shrink;
use crate::world::{Violation, World};

/// One of every kind of thing that can happen. A longer time passes with the timer than the options
/// below ever wait.
#[must_use]
pub fn alphabet() -> Vec<Step> {
    let command = |command| Op::Command {
        command,
        same_task: false,
    };
    let send = |first| Command::Send {
        bytes: 10,
        mode: SendMode {
            first,
            volatile: false,
            ttl_ms: None,
        },
    };
    [
        command(Command::Start),
        command(Command::Close {
            code: None,
            reason: "bye",
        }),
        command(Command::Reconnect),
        command(Command::Ready),
        command(send(false)),
        Op::InHandler {
            skip: 1,
            command: Command::Reconnect,
        },
        Op::FailSend { always: true },
        Op::Provided { age: 0, ok: true },
        Op::Opened {
            age: 0,
            answers: true,
        },
        Op::Message { age: 0, bytes: 10 },
        Op::Closed {
            age: 0,
            code: 1006,
            clean: false,
            reason: Reason::None,
        },
        Op::Closed {
            age: 1,
            code: 1002,
            clean: true,
            reason: Reason::None,
        },
        Op::Hint(Hint::Visible),
        Op::Advance(60_000),
        Op::Timer,
    ]
    .map(Step::from)
    .to_vec()
}

/// The worlds in which all sequences are tried: options, and what has happened before.
#[must_use]
pub fn worlds() -> Vec<(Settings, Vec<Step>)> {
    let settings = Settings {
        connect_timeout: 2_000,
        provider_timeout: 1_000,
        close_timeout: 500,
        max_retries: Some(2),
        attempt_burst: 2,
        heartbeat_interval: Some(30_000),
        heartbeat_grace: 1_000,
        max_queued_messages: 2,
        max_queued_bytes: 20,
        overflow: Overflow::DropOldest,
        message_ttl: Some(90_000),
        high_water_mark: 20,
        low_water_mark: 0,
        gate: true,
        ..Settings::default()
    };
    let open = [
        Op::SetProvider(Provider::Now),
        Op::Command {
            command: Command::Start,
            same_task: false,
        },
        Op::Opened {
            age: 0,
            answers: true,
        },
    ];
    let open_and_ready = [Op::InHandler {
        skip: 2,
        command: Command::Ready,
    }]
    .into_iter()
    .chain(open);
    let predicate = |verdict| {
        move |op| Step {
            verdict,
            ..Step::from(op)
        }
    };
    vec![
        (settings, Vec::new()),
        (settings, open.into_iter().map(Step::from).collect()),
        (
            Settings {
                overflow: Overflow::Reject,
                message_ttl: None,
                ..settings
            },
            open_and_ready
                .map(predicate(Some(Verdict::Retry)))
                .collect(),
        ),
    ]
}

/// Tries every sequence of `depth` letters of the alphabet in every world, on `threads` threads; how
/// many there were.
///
/// # Errors
/// A sequence that broke a promise, cut down to what matters.
///
/// # Panics
/// When the machine gives no threads.
pub fn try_all(depth: u32, threads: usize) -> Result<(u64, Coverage), Box<Failure>> {
    let letters = alphabet();
    let worlds = worlds();
    let count = (letters.len() as u64).pow(depth) * worlds.len() as u64;
    // One piece of work a world and a first letter.
    let work: Vec<(usize, usize)> = (0..worlds.len())
        .flat_map(|world| (0..letters.len()).map(move |letter| (world, letter)))
        .collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut coverage = Coverage::default();
        while let Some(&(world, letter)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (settings, before) = &worlds[world];
            let mut search = Search {
                letters: &letters,
                path: before.clone(),
                coverage: Coverage::default(),
            };
            let found = search.start(*settings).and_then(|world| match depth {
                0 => Ok(()),
                _ => search.descend(&world, letter, depth - 1),
            });
            coverage.merge(&search.coverage);
            if found.is_err() {
                next.store(work.len(), Ordering::Relaxed);
                let failure = replay(*settings, &search.path).unwrap_or(Failure {
                    violation: "it failed, but not when it was repeated".into(),
                    settings: *settings,
                    steps: search.path,
                });
                return Err(Box::new(shrink(failure)));
            }
        }
        Ok(coverage)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut coverage = Coverage::default();
    for part in parts {
        coverage.merge(&part?);
    }
    Ok((count, coverage))
}

/// A walk through all sequences that begin alike.
struct Search<'a> {
    letters: &'a [Step],
    path: Vec<Step>,
    coverage: Coverage,
}

impl Search<'_> {
    /// The world in which the walk starts.
    fn start(&mut self, settings: Settings) -> Result<World, Violation> {
        let mut world = World::new(settings);
        for step in &self.path {
            world.step(*step)?;
        }
        self.coverage.merge(&world.take_coverage());
        Ok(world)
    }

    /// Does this letter, and everything of `depth` letters after it; at a violation the path stays.
    fn descend(&mut self, world: &World, letter: usize, depth: u32) -> Result<(), Violation> {
        let mut world = world.clone();
        let step = self.letters[letter];
        self.path.push(step);
        world.step(step)?;
        self.coverage.merge(&world.take_coverage());
        if depth > 0 {
            for letter in 0..self.letters.len() {
                self.descend(&world, letter, depth - 1)?;
            }
        }
        self.path.pop();
        Ok(())
    }
}
