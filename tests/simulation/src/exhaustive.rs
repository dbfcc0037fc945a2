//! Every sequence of inputs up to some length, of every kind.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use steady_socket::Overflow;
use steady_socket::connection::{Hint, Pings, SendMode, Verdict};

use crate::coverage::Coverage;
use crate::op::{Answer, Command, Op, Provider, Reason, Settings, Step};
use crate::run::{Failure, replay};
use crate::shrink::shrink;
use crate::world::{Violation, World};

/// Every kind of input of the newest attempt and of the previous one, and what else the world can do. Each step of the
/// clock takes longer than any wait in the options below.
#[must_use]
pub fn alphabet() -> Vec<Step> {
    let command = |command| Op::Command {
        command,
        same_task: false,
    };
    let send = |first, volatile| Command::Send {
        bytes: 10,
        mode: SendMode {
            first,
            volatile,
            ttl_ms: None,
        },
    };
    let closed = |age, code, reason| Op::Closed {
        age,
        code,
        clean: code != 1006,
        reason,
    };
    let mut letters = vec![
        command(Command::Start),
        command(Command::Close {
            code: None,
            reason: "bye",
        }),
        command(Command::Reconnect),
        command(Command::Suspend {
            code: None,
            reason: "later",
        }),
        command(Command::Resume),
        command(Command::Ready),
        command(send(false, false)),
        command(send(true, false)),
        command(send(false, true)),
        Op::InHandler {
            skip: 1,
            command: Command::Reconnect,
        },
        Op::RefuseOpen,
        Op::FailSend { always: true },
        Op::ClosedInSend { code: 1006 },
        Op::SetProvider(Provider::Throws),
        Op::Hint(Hint::Visible),
        Op::Hint(Hint::Online),
        Op::Hint(Hint::Slept { millis: 60_000 }),
        Op::Advance(60_000),
        Op::Reads(9),
        Op::Answers {
            age: 0,
            answer: Answer::Next,
        },
        Op::Timer,
        closed(
            0,
            1001,
            Reason::Window {
                min_ms: 0,
                max_ms: 70_000,
            },
        ),
        closed(0, 1002, Reason::None),
        closed(0, 1012, Reason::None),
    ];
    for age in [0, 1] {
        letters.extend([
            Op::Provided { age, ok: true },
            Op::Provided { age, ok: false },
            Op::Opened {
                age,
                pings: Pings::Control,
            },
            Op::Opened {
                age,
                pings: Pings::Application,
            },
            Op::Message { age, bytes: 10 },
            Op::Alive { age },
            Op::Answers {
                age,
                answer: Answer::Knows,
            },
            Op::Answers {
                age,
                answer: Answer::Unasked,
            },
            Op::Beats {
                age,
                interval_ms: 7_000,
            },
            Op::Window {
                age,
                min_ms: 10,
                max_ms: 20,
            },
            Op::TooBig { age },
            Op::Error { age },
            closed(age, 1006, Reason::None),
            Op::Transmitted { age, ok: true },
            Op::Transmitted { age, ok: false },
            Op::Buffered { age },
            Op::Verdict { age },
            Op::Turned { age },
        ]);
    }
    letters.into_iter().map(Step::from).collect()
}

/// The worlds in which all sequences are tried: options, and a history.
#[must_use]
pub fn worlds() -> Vec<(Settings, Vec<Step>)> {
    let settings = Settings {
        // A step of the clock leads just beyond these, and in the last world far beyond them.
        connect_timeout: 59_000,
        provider_timeout: 58_500,
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
    ];
    let opened = |pings| open.into_iter().chain([Op::Opened { age: 0, pings }]);
    let open_and_ready = [Op::InHandler {
        skip: 2,
        command: Command::Ready,
    }]
    .into_iter()
    .chain(opened(Pings::Control));
    let predicate = |verdict| {
        move |op| Step {
            verdict,
            ..Step::from(op)
        }
    };
    vec![
        (settings, Vec::new()),
        (settings, opened(Pings::Control).map(Step::from).collect()),
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
        (
            Settings {
                max_retries: None,
                reconnect: false,
                connect_timeout: 2_000,
                provider_timeout: 1_000,
                attempt_interval: 0,
                heartbeat_interval: None,
                keepalive_interval: Some(50_000),
                overflow: Overflow::DropNewest,
                message_ttl: Some(500),
                gate: false,
                ..settings
            },
            opened(Pings::Application).map(Step::from).collect(),
        ),
    ]
}

/// The statistics of a search.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The number of sequences, in all worlds together.
    pub sequences: u64,
    /// How many steps it took, since equal states are expanded only once.
    pub steps: u64,
    /// Which inputs occurred in which states.
    pub coverage: Coverage,
}

/// Tries every sequence of up to `depth` letters of the alphabet in every world, on `threads` threads.
///
/// This is a breadth-first search: all results of one letter, then of two, and so on. If two sequences lead to the same
/// state of the core and of the world, only one is continued.
///
/// # Errors
/// A sequence that broke a promise, cut down to what matters.
///
/// # Panics
/// If the machine cannot start threads.
pub fn try_all(depth: u32, threads: usize) -> Result<Tried, Box<Failure>> {
    let letters = alphabet();
    let worlds = worlds();
    let mut tried = Tried {
        sequences: (letters.len() as u64).saturating_pow(depth) * worlds.len() as u64,
        steps: 0,
        coverage: Coverage::default(),
    };
    for (settings, before) in &worlds {
        let search = Search {
            settings: *settings,
            before,
            letters: &letters,
            seen: Seen::default(),
        };
        let mut paths = vec![Vec::new()];
        for letter in 1..=depth {
            let last = letter == depth;
            let mut longer = Vec::new();
            for part in in_parallel(threads, &paths, |path| search.expand(path, last)) {
                let expanded = part.map_err(|path| search.failure(&path))?;
                tried.steps += expanded.steps;
                tried.coverage.merge(&expanded.coverage);
                longer.extend(expanded.paths);
            }
            paths = longer;
        }
    }
    Ok(tried)
}

/// The numbers of the letters of a sequence.
type Path = Vec<u8>;

/// The fingerprints of the states that a search has reached. With a few million of 64 bits, the chance of a collision is
/// less than one in a million.
pub(crate) struct Seen(Vec<Mutex<HashSet<u64>>>);

/// Parts of the set, to reduce lock contention.
const SHARDS: usize = 64;

impl Default for Seen {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Seen {
    /// Adds a state. Returns whether it is a new one.
    pub(crate) fn is_new(&self, fingerprint: u64) -> bool {
        let shard = &self.0[fingerprint as usize % SHARDS];
        let mut seen = shard.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(fingerprint)
    }
}

/// The search in one world.
struct Search<'a> {
    settings: Settings,
    before: &'a [Step],
    letters: &'a [Step],
    seen: Seen,
}

/// The result of one more letter.
#[derive(Default)]
struct Expanded {
    steps: u64,
    coverage: Coverage,
    /// The sequences that lead to new states.
    paths: Vec<Path>,
}

impl Search<'_> {
    /// Appends each letter to each of the sequences; fails with a sequence that breaks a promise. After the `last`
    /// letter, nothing is continued.
    fn expand(&self, paths: &[Path], last: bool) -> Result<Expanded, Path> {
        let mut expanded = Expanded::default();
        for path in paths {
            let mut world = self.world(path).map_err(|_| path.clone())?;
            world.take_coverage();
            for (number, letter) in (0..).zip(self.letters) {
                let longer = || path.iter().copied().chain([number]).collect();
                let mut world = world.clone();
                world.step(*letter).map_err(|_| longer())?;
                expanded.steps += 1;
                expanded.coverage.merge(&world.take_coverage());
                if !last && self.seen.is_new(world.fingerprint()) {
                    expanded.paths.push(longer());
                }
            }
        }
        Ok(expanded)
    }

    /// The world after a sequence.
    fn world(&self, path: &[u8]) -> Result<World, Violation> {
        let mut world = World::new(self.settings);
        for step in self.steps(path) {
            world.step(step)?;
        }
        Ok(world)
    }

    fn steps(&self, path: &[u8]) -> impl Iterator<Item = Step> {
        let letters = path.iter().map(|letter| self.letters[usize::from(*letter)]);
        self.before.iter().copied().chain(letters)
    }

    fn failure(&self, path: &[u8]) -> Box<Failure> {
        let steps: Vec<Step> = self.steps(path).collect();
        let failure = replay(self.settings, &steps).unwrap_or(Failure {
            violation: "it failed, but not when repeated".into(),
            settings: self.settings,
            steps,
        });
        Box::new(shrink(failure))
    }
}

/// Passes pieces of `items` to `work` on `threads` threads.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&[T]) -> R + Sync,
) -> Vec<R> {
    const PIECE: usize = 256;
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let start = next.fetch_add(PIECE, Ordering::Relaxed);
            if start >= items.len() {
                return results;
            }
            let end = items.len().min(start + PIECE);
            results.push(work(&items[start..end]));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}
