//! Every sequence of a few inputs, of both ends, the network, the store and the server's process.
//!
//! After each input the world checks its account. What a sequence leads to is then judged by its end as well: everything
//! works from there on, the dialogue comes to rest, the client closes, and the account must agree.

use std::panic::{AssertUnwindSafe, catch_unwind};

use steady_socket_protocol::session::frame::{Kind, Limits};
use steady_socket_protocol::session::{MemoryOptions, Options, SendMode};

use super::account::Side;
use super::coverage::Coverage;
use super::world::{Settings, Treat, Violation, World};
use crate::exhaustive::{Seen, in_parallel};

/// An input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// An application sends a message, and its turn ends.
    Send(Side),
    /// An application asks.
    Ask(Side),
    /// An application cancels its oldest request.
    Cancel(Side),
    /// The oldest handler at an end is done; that of a request answers.
    Finish(Side),
    /// The newest handler at an end is done.
    FinishNewest(Side),
    /// The client connects.
    Connect,
    /// The next of the oldest connection that is busy reaches the server, which lets a client in at once.
    OldestToServer,
    /// The next of the newest connection that is busy reaches the server.
    NewestToServer,
    /// A client that waits is let in, and may not resume.
    LetInAnew,
    /// The next reaches the client.
    ToClient,
    /// Everything that is on its way arrives.
    Arrive,
    /// The client notices that its connection is gone; what it has sent still arrives, if it gets there.
    Cut,
    /// The same, and what it has sent is lost. The server has not noticed.
    CutTail,
    /// The server notices that the newest connection is gone, and the client does not.
    CutAtServer,
    /// The server's end of the newest connection is closed for what it carried.
    Blame,
    /// The server's process dies, and starts again with its store.
    Restart,
    /// The server's process dies, and its store with it.
    Forget,
    /// The welcome does not come in time.
    WelcomeLate,
    /// A second passes, and timers fire.
    Second,
    /// More than the window passes.
    Window,
    /// The store does nothing until it is told to, or works at once again.
    StoreWaits,
    /// A store that waits answers once.
    StoreAnswers,
    /// A store that waits does what it was asked, and its answer is lost.
    StoreIsSilent,
    /// The client closes.
    Close,
    /// The server's application ends the session.
    End,
    /// The server's application gives the session up as full.
    Full,
}

use Letter::{
    Arrive, Ask, Blame, Cancel, Close, Connect, Cut, CutAtServer, CutTail, End, Finish,
    FinishNewest, Forget, Full, LetInAnew, NewestToServer, OldestToServer, Restart, Second, Send,
    StoreAnswers, StoreIsSilent, StoreWaits, ToClient, WelcomeLate, Window,
};

/// All inputs.
pub const ALPHABET: &[Letter] = &[
    Send(Side::Client),
    Send(Side::Server),
    Ask(Side::Client),
    Ask(Side::Server),
    Cancel(Side::Client),
    Cancel(Side::Server),
    Finish(Side::Client),
    Finish(Side::Server),
    FinishNewest(Side::Client),
    FinishNewest(Side::Server),
    Connect,
    OldestToServer,
    NewestToServer,
    LetInAnew,
    ToClient,
    Arrive,
    Cut,
    CutTail,
    CutAtServer,
    Blame,
    Restart,
    Forget,
    WelcomeLate,
    Second,
    Window,
    StoreWaits,
    StoreAnswers,
    StoreIsSilent,
    Close,
    End,
    Full,
];

impl Letter {
    /// Whether nothing may be lost over it.
    const fn is_calm(self) -> bool {
        !matches!(
            self,
            LetInAnew | Blame | Forget | Window | StoreIsSilent | Close | End | Full
        )
    }

    /// Does it to a world. Returns whether there was anything to do.
    pub fn act(self, world: &mut World) -> bool {
        let key = world.some_key();
        match self {
            Send(from) => {
                if from == Side::Server && key.is_none() {
                    return false;
                }
                world.send(from, key, 10, Kind::Text, SendMode::default(), None);
                world.end_turns();
            }
            Ask(from) => {
                if from == Side::Server && key.is_none() {
                    return false;
                }
                world.ask(from, key, None, None);
            }
            Cancel(from) => world.cancel(from, key, 0),
            Finish(side) | FinishNewest(side) => {
                let running = world.running(side, key) as u64;
                let newest = matches!(self, FinishNewest(_));
                // With one handler they are the same.
                if running == 0 || (newest && running == 1) {
                    return false;
                }
                let at = if newest { running - 1 } else { 0 };
                world.finish(side, key, at, 7);
            }
            Connect => {
                if !world.may_connect() {
                    return false;
                }
                world.connect(1);
            }
            OldestToServer | NewestToServer => {
                let busy: Vec<u64> = world.busy_to_server().collect();
                let number = match self {
                    OldestToServer => busy.first(),
                    _ if busy.len() < 2 => None,
                    _ => busy.last(),
                };
                let Some(number) = number else {
                    return false;
                };
                world.deliver_to_server(*number);
                world.let_in(*number, true, true);
            }
            LetInAnew => {
                let Some(number) = world.busy_to_server().last() else {
                    return false;
                };
                world.deliver_to_server(number);
                if !world.waiting_to_be_let_in().any(|other| other == number) {
                    return false;
                }
                world.let_in(number, true, false);
            }
            ToClient => {
                if !world.busy_to_client() {
                    return false;
                }
                world.deliver_to_client();
            }
            Arrive => {
                let mut rounds = 0;
                while rounds < 100
                    && (world.busy_to_client() || world.busy_to_server().next().is_some())
                {
                    rounds += 1;
                    let busy: Vec<u64> = world.busy_to_server().collect();
                    for number in busy {
                        world.deliver_to_server(number);
                        world.let_in(number, true, true);
                    }
                    while world.busy_to_client() {
                        world.deliver_to_client();
                    }
                }
                return rounds > 0;
            }
            Cut | CutTail => {
                if !world.is_connected() {
                    return false;
                }
                world.cut_at_client((self == CutTail).then_some(0));
            }
            CutAtServer | Blame => {
                let Some(number) = world.conns.keys().next_back().copied() else {
                    return false;
                };
                match self {
                    Blame => world.cut_at_server_with(number, 1_009),
                    _ => world.cut_at_server(number, 0),
                }
            }
            Restart => world.restart(true),
            Forget => world.restart(false),
            WelcomeLate => world.welcome_is_late(),
            Second => world.advance(1_000, true),
            Window => world.advance(world.settings.window_ms + 1, true),
            StoreWaits => world.store_waits = !world.store_waits,
            StoreAnswers | StoreIsSilent => {
                let treat = match self {
                    StoreAnswers => Treat::Answer,
                    _ => Treat::NoAnswer,
                };
                return world.work_at_store(treat);
            }
            Close => world.close(1_000),
            End | Full => {
                if key.is_none() {
                    return false;
                }
                world.end_at_application(key, self == Full);
            }
        }
        true
    }
}

/// The worlds in which all sequences are tried: what they are like, and what has happened.
#[must_use]
pub fn worlds() -> Vec<(Settings, Vec<Letter>)> {
    // Small, so that a few messages fill them.
    let end = |messages| Options {
        limits: Limits {
            messages,
            requests: 2,
            ..Options::default().limits
        },
        ..Options::default()
    };
    let settings = Settings {
        ends: [end(3), end(2)],
        window_ms: 120_000,
        store: MemoryOptions::default(),
        store_timeout_ms: 5_000,
        serial: [false, false],
        slow_clock: true,
    };
    let [client, server] = [Side::Client, Side::Server];
    vec![
        (settings, vec![]),
        (settings, vec![Connect, Arrive]),
        // Each end has finished one message, and has an unfinished one and a request before it.
        (
            settings,
            vec![
                Connect,
                Arrive,
                Send(client),
                Send(server),
                Ask(client),
                Ask(server),
                Send(client),
                Send(server),
                Arrive,
                Finish(client),
                Finish(server),
            ],
        ),
        // In the first minute of the server's memory, a first welcome is lost, and the server has not noticed.
        (
            settings,
            vec![
                Forget,
                Send(client),
                Ask(client),
                Connect,
                OldestToServer,
                OldestToServer,
                Cut,
                Connect,
                NewestToServer,
            ],
        ),
        // The store is slow, and more is sent than the window takes.
        (
            settings,
            vec![
                Connect,
                Arrive,
                StoreWaits,
                Send(server),
                Send(client),
                Send(client),
                Send(client),
                Arrive,
            ],
        ),
    ]
}

/// A sequence that broke a promise.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What happened, the last input last.
    pub letters: Vec<Letter>,
    /// What is wrong.
    pub violation: Violation,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.violation)?;
        for letter in &self.letters {
            writeln!(f, "    {letter:?}")?;
        }
        Ok(())
    }
}

/// The statistics of a search.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// The number of sequences, in all worlds together.
    pub sequences: u64,
    /// How many inputs it took, since equal states are continued only once.
    pub steps: u64,
    /// How many states they led to, each of which was brought to its end.
    pub states: u64,
    /// How often each input did anything.
    pub letters: Vec<(Letter, u64)>,
    /// What occurred, the ends included.
    pub coverage: Coverage,
}

/// Tries every sequence of up to `depth` inputs in every world, on `threads` threads.
///
/// # Errors
/// A shortest sequence that broke a promise.
///
/// # Panics
/// If the machine cannot start threads.
pub fn try_all(depth: u32, threads: usize) -> Result<Tried, Box<Broken>> {
    let worlds = worlds();
    let mut tried = Tried {
        sequences: (ALPHABET.len() as u64).saturating_pow(depth) * worlds.len() as u64,
        letters: ALPHABET.iter().map(|letter| (*letter, 0)).collect(),
        ..Tried::default()
    };
    for (settings, before) in &worlds {
        let search = Search {
            settings: *settings,
            before,
            seen: Seen::default(),
        };
        let mut paths = vec![Vec::new()];
        for letter in 1..=depth {
            let mut longer = Vec::new();
            for part in in_parallel(threads, &paths, |paths| search.expand(paths)) {
                let expanded = part?;
                tried.steps += expanded.steps;
                tried.states += expanded.paths.len() as u64;
                tried.coverage.merge(&expanded.coverage);
                for (sum, (_, more)) in tried.letters.iter_mut().zip(expanded.letters) {
                    sum.1 += more;
                }
                if letter < depth {
                    longer.extend(expanded.paths);
                }
            }
            paths = longer;
        }
    }
    Ok(tried)
}

/// The numbers of the letters of a sequence.
type Path = Vec<u8>;

/// The search in one world.
struct Search<'a> {
    settings: Settings,
    before: &'a [Letter],
    seen: Seen,
}

/// The result of one more letter.
#[derive(Default)]
struct Expanded {
    steps: u64,
    coverage: Coverage,
    letters: Vec<(Letter, u64)>,
    /// The sequences that lead to new states.
    paths: Vec<Path>,
}

impl Search<'_> {
    /// Appends each letter to each of the sequences.
    fn expand(&self, paths: &[Path]) -> Result<Expanded, Box<Broken>> {
        let mut expanded = Expanded {
            letters: ALPHABET.iter().map(|letter| (*letter, 0)).collect(),
            ..Expanded::default()
        };
        for path in paths {
            let world = self.world(path);
            for (number, letter) in (0..).zip(ALPHABET) {
                let longer: Path = path.iter().copied().chain([number]).collect();
                let broken = |violation| {
                    let letters = self.letters(&longer).collect();
                    Box::new(Broken { letters, violation })
                };
                let mut world = world.clone();
                expanded.steps += 1;
                let acted = guarded(|| {
                    let acted = letter.act(&mut world);
                    world.check().map(|()| acted)
                });
                if !acted.map_err(broken)? {
                    continue;
                }
                expanded.letters[usize::from(number)].1 += 1;
                if self.seen.is_new(world.fingerprint()) {
                    let coverage = guarded(|| self.end(world, &longer));
                    expanded.coverage.merge(&coverage.map_err(broken)?);
                    expanded.paths.push(longer);
                }
            }
        }
        Ok(expanded)
    }

    /// Everything works from here on.
    fn end(&self, mut world: World, path: &[u8]) -> Result<Coverage, Violation> {
        world.come_to_rest(1)?;
        if self.letters(path).all(|letter| letter.is_calm() || letter == Blame)
            // Three in a row, and a message is set aside.
            && self.letters(path).filter(|letter| *letter == Blame).count() < 3
        {
            world.everything_is_handled(!self.letters(path).any(|letter| letter == Restart))?;
        }
        world.come_to_an_end(1)?;
        Ok(world.coverage)
    }

    /// The world after a sequence that broke no promise, without what it has counted.
    fn world(&self, path: &[u8]) -> World {
        let mut world = World::new(self.settings);
        for letter in self.letters(path) {
            letter.act(&mut world);
        }
        world.coverage = Coverage::default();
        world
    }

    fn letters(&self, path: &[u8]) -> impl Iterator<Item = Letter> {
        let letters = path.iter().map(|number| ALPHABET[usize::from(*number)]);
        self.before.iter().copied().chain(letters)
    }
}

/// The world after these letters.
#[must_use]
pub fn after(settings: Settings, letters: &[Letter]) -> World {
    let mut world = World::new(settings);
    for letter in letters {
        letter.act(&mut world);
    }
    world
}

/// Treats a panic as a violation.
fn guarded<T>(work: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("no message")))
    })
}
