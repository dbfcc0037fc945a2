//! The herd: many clients that lost the same server at the same moment.
//!
//! The server accepts a number of handshakes per second, of which it can save up a tenth, and refuses the rest at once:
//! a crowd that comes in step finds it no faster than one that does not. Handshakes take no time, and the behaviour of
//! browsers and load balancers is left out: the figures compare policies, they do not predict a system.

use steady_socket::Options;
use steady_socket::connection::{
    CloseFrame, Connection, Context, Control, Effect, Generation, Input, Phase, Pings, Report,
    Time, Window,
};

use crate::op::Settings;
use crate::rng::Rng;

/// How long the clients were connected before: long enough for any policy to consider them stable.
const BEFORE_MS: u64 = 3_600_000;

/// After this long without the server, the remaining clients are given up.
const LIMIT_MS: u64 = 1_800_000;

/// How the clients reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// This library with its defaults.
    Ours(Hint),
    /// Another library's published policy.
    Peer(Peer),
}

/// The server's hint before it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// None: the connection is lost.
    None,
    /// It closes with 1012, service restart.
    Restart,
    /// It announces a window of this many milliseconds.
    Window(u64),
}

/// A published policy, with the defaults of its library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the names say it; the numbers stand in `delay`"
)]
pub enum Peer {
    MqttJs,
    Phoenix,
    Partysocket,
    SignalR,
    GraphqlWs,
    Pladaria,
    SocketIo,
    FullJitter,
    Decorrelated,
}

/// All policies in the comparison.
pub const POLICIES: [Policy; 13] = [
    Policy::Peer(Peer::MqttJs),
    Policy::Peer(Peer::Phoenix),
    Policy::Peer(Peer::Partysocket),
    Policy::Peer(Peer::SignalR),
    Policy::Peer(Peer::GraphqlWs),
    Policy::Peer(Peer::Pladaria),
    Policy::Peer(Peer::SocketIo),
    Policy::Peer(Peer::FullJitter),
    Policy::Peer(Peer::Decorrelated),
    Policy::Ours(Hint::None),
    Policy::Ours(Hint::Restart),
    Policy::Ours(Hint::Window(20_000)),
    Policy::Ours(Hint::Window(30_000)),
];

impl Policy {
    /// Its name and its rule, for the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer(Peer::MqttJs) => "MQTT.js (1 s)",
            Self::Peer(Peer::Phoenix) => "Phoenix (10 ms … 5 s, no jitter)",
            Self::Peer(Peer::Partysocket) => "partysocket (3 s × 1.3ⁿ to 10 s, no jitter)",
            Self::Peer(Peer::SignalR) => "SignalR (0, 2, 10, 30 s, then none)",
            Self::Peer(Peer::GraphqlWs) => "graphql-ws (1 s × 2ⁿ + 0.3–3 s, five times)",
            Self::Peer(Peer::Pladaria) => {
                "reconnecting-websocket (1–5 s drawn once, × 1.3ⁿ to 10 s)"
            }
            Self::Peer(Peer::SocketIo) => "Socket.IO (1 s × 2ⁿ ± 50 %, then capped at 5 s)",
            Self::Peer(Peer::FullJitter) => "full jitter (1 s × 2ⁿ to 30 s)",
            Self::Peer(Peer::Decorrelated) => "decorrelated jitter (1–30 s)",
            Self::Ours(Hint::None) => "**steady-socket**",
            Self::Ours(Hint::Restart) => "**steady-socket**, closed with 1012",
            Self::Ours(Hint::Window(20_000)) => "**steady-socket**, announced a window of 20 s",
            Self::Ours(Hint::Window(_)) => "**steady-socket**, announced a window of 30 s",
        }
    }
}

/// The wait before retry `retry` (from 0), or `None` if there is none. The caller keeps `memory` for each client.
fn delay(peer: Peer, retry: u32, memory: &mut f64, rng: &mut Rng) -> Option<u64> {
    let doubled = |base: f64| base * 2_f64.powi(retry.min(40) as i32);
    let grown = |base: f64| base * 1.3_f64.powi(retry.min(40) as i32);
    Some(match peer {
        Peer::MqttJs => 1_000,
        Peer::Phoenix => {
            const STEPS: [u64; 9] = [10, 50, 100, 150, 200, 250, 500, 1_000, 2_000];
            STEPS.get(retry as usize).copied().unwrap_or(5_000)
        }
        Peer::Partysocket => grown(3_000.0).min(10_000.0) as u64,
        Peer::SignalR => *[0, 2_000, 10_000, 30_000].get(retry as usize)?,
        Peer::GraphqlWs if retry >= 5 => return None,
        Peer::GraphqlWs => (doubled(1_000.0) + 300.0 + 2_700.0 * rng.unit()) as u64,
        Peer::Pladaria => {
            if retry == 0 {
                *memory = 1_000.0 + 4_000.0 * rng.unit();
            }
            grown(*memory).min(10_000.0) as u64
        }
        Peer::SocketIo => (doubled(1_000.0) * (0.5 + rng.unit())).min(5_000.0) as u64,
        Peer::FullJitter => (doubled(1_000.0).min(30_000.0) * rng.unit()) as u64,
        Peer::Decorrelated => {
            let last = if retry == 0 { 1_000.0 } else { *memory };
            *memory = (1_000.0 + (3.0 * last - 1_000.0) * rng.unit()).min(30_000.0);
            *memory as u64
        }
    })
}

/// The result.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The number of clients.
    pub clients: usize,
    /// Attempts of all clients together.
    pub attempts: u64,
    /// Attempts while the server was down.
    pub while_down: u64,
    /// Attempts in each second, from the loss on.
    pub per_second: Vec<u64>,
    /// For each client that reconnected: milliseconds from the server's return.
    pub back_after: Vec<u64>,
    outage_ms: u64,
}

impl Outcome {
    /// Attempts per client.
    #[must_use]
    pub fn attempts_each(&self) -> f64 {
        self.attempts as f64 / self.clients as f64
    }

    /// Attempts per second of one client while the server was down; 0 if it was not down.
    #[must_use]
    pub fn rate_while_down(&self) -> f64 {
        if self.outage_ms == 0 {
            return 0.0;
        }
        self.while_down as f64 * 1_000.0 / self.outage_ms as f64 / self.clients as f64
    }

    /// The most attempts in one second after the server's return.
    #[must_use]
    pub fn peak(&self) -> u64 {
        let back = (self.outage_ms / 1_000) as usize;
        self.per_second
            .iter()
            .skip(back)
            .copied()
            .max()
            .unwrap_or(0)
    }

    /// Seconds from the server's return until this share of all clients had reconnected; `None` if they never did.
    #[must_use]
    pub fn back_within(&self, share: f64) -> Option<f64> {
        let rank = (self.clients as f64 * share).ceil() as usize;
        let at = self.back_after.get(rank.checked_sub(1)?)?;
        Some(*at as f64 / 1_000.0)
    }

    /// Clients that never reconnected.
    #[must_use]
    pub const fn gave_up(&self) -> usize {
        self.clients - self.back_after.len()
    }
}

/// One client of the herd.
trait Client {
    /// The connection is lost at `now`; returns when it wants to retry.
    fn lose(&mut self, now: u64, rng: &mut Rng) -> Option<u64>;

    /// The time has come; returns whether it makes an attempt.
    fn tries(&mut self, now: u64, rng: &mut Rng) -> bool;

    /// It made none; returns when it wants to.
    fn next(&self, now: u64) -> Option<u64>;

    /// Its attempt has failed; returns when it wants to retry.
    fn fails(&mut self, now: u64, rng: &mut Rng) -> Option<u64>;
}

struct PeerClient {
    peer: Peer,
    retry: u32,
    memory: f64,
}

impl Client for PeerClient {
    fn lose(&mut self, now: u64, rng: &mut Rng) -> Option<u64> {
        self.fails(now, rng)
    }

    fn tries(&mut self, _now: u64, _rng: &mut Rng) -> bool {
        true
    }

    fn next(&self, _now: u64) -> Option<u64> {
        None
    }

    fn fails(&mut self, now: u64, rng: &mut Rng) -> Option<u64> {
        let wait = delay(self.peer, self.retry, &mut self.memory, rng)?;
        self.retry += 1;
        Some(now + wait)
    }
}

struct OurClient {
    core: Connection<()>,
    generation: Generation,
    hint: Hint,
}

impl OurClient {
    /// Connected since the beginning of time.
    fn new(options: Options, hint: Hint, rng: &mut Rng) -> Self {
        let mut client = Self {
            core: Connection::new(options),
            generation: Generation::default(),
            hint,
        };
        client.tell(0, rng, |_| Input::Start);
        client.tell(0, rng, |generation| {
            Report::Opened(Pings::Control).of(generation)
        });
        client
    }

    /// Passes an input to the core and carries out its effects; returns whether it wants a socket.
    fn tell(
        &mut self,
        now: u64,
        rng: &mut Rng,
        input: impl FnOnce(Generation) -> Input<()>,
    ) -> bool {
        let now = Time::from_millis(now);
        let mut context = || Context {
            now,
            chance: rng.unit(),
        };
        self.core.handle(context(), input(self.generation));
        let mut wants = false;
        loop {
            match self.core.poll_effect() {
                Some(Effect::Resolve { generation }) => {
                    self.generation = generation;
                    self.core.handle(context(), Report::Resolved.of(generation));
                }
                Some(Effect::Judge { generation }) => {
                    let verdict = Report::Verdict(None).of(generation);
                    self.core.handle(context(), verdict);
                }
                Some(Effect::Open { .. }) => wants = true,
                Some(_) => {}
                None if self.core.poll_output(now).is_none() => return wants,
                None => {}
            }
        }
    }

    fn closed(&mut self, code: u16, now: u64, rng: &mut Rng) -> Option<u64> {
        self.tell(now, rng, |generation| {
            Report::Closed(CloseFrame {
                code,
                ..CloseFrame::abnormal()
            })
            .of(generation)
        });
        self.next(now)
    }
}

impl Client for OurClient {
    fn lose(&mut self, now: u64, rng: &mut Rng) -> Option<u64> {
        let code = match self.hint {
            Hint::None => 1006,
            Hint::Restart => 1012,
            Hint::Window(max_ms) => {
                self.tell(now, rng, |generation| {
                    Report::Control(Control::Reconnect(Window { min_ms: 0, max_ms })).of(generation)
                });
                1001
            }
        };
        self.closed(code, now, rng)
    }

    fn tries(&mut self, now: u64, rng: &mut Rng) -> bool {
        self.tell(now, rng, |_| Input::Timer)
    }

    fn next(&self, now: u64) -> Option<u64> {
        let at = self.core.next_timer()?.as_millis();
        (self.core.phase() == Phase::Waiting).then(|| at.max(now))
    }

    fn fails(&mut self, now: u64, rng: &mut Rng) -> Option<u64> {
        self.closed(1006, now, rng)
    }
}

/// What is due in each millisecond. With a million clients, this takes a few nanoseconds per turn, where a heap takes
/// as many cache misses as it has levels.
struct Calendar {
    /// The millisecond of the first page.
    start: u64,
    end: u64,
    pages: Vec<Vec<u32>>,
}

impl Calendar {
    /// From `start` to `end`; anything later is dropped.
    const fn new(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            pages: Vec::new(),
        }
    }

    fn plan(&mut self, at: u64, client: u32) {
        if at > self.end {
            return;
        }
        let page = (at - self.start) as usize;
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, Vec::new);
        }
        self.pages[page].push(client);
    }
}

/// Lets `clients` clients lose a server that is down for `outage_ms` and then accepts `capacity` handshakes per second.
#[must_use]
pub fn run(policy: Policy, clients: usize, capacity: u64, outage_ms: u64, seed: u64) -> Outcome {
    let mut rng = Rng::new(seed);
    match policy {
        Policy::Peer(peer) => {
            let herd = (0..clients).map(|_| PeerClient {
                peer,
                retry: 0,
                memory: 0.0,
            });
            come_back(herd.collect(), capacity, outage_ms, &mut rng)
        }
        Policy::Ours(hint) => {
            let options = Settings::default().options();
            let herd = (0..clients)
                .map(|_| OurClient::new(options, hint, &mut rng))
                .collect();
            come_back(herd, capacity, outage_ms, &mut rng)
        }
    }
}

fn come_back<C: Client>(mut herd: Vec<C>, capacity: u64, outage_ms: u64, rng: &mut Rng) -> Outcome {
    let mut outcome = Outcome {
        clients: herd.len(),
        attempts: 0,
        while_down: 0,
        per_second: Vec::new(),
        back_after: Vec::new(),
        outage_ms,
    };
    let mut calendar = Calendar::new(BEFORE_MS, BEFORE_MS + outage_ms + LIMIT_MS);
    for (client, number) in herd.iter_mut().zip(0..) {
        if let Some(at) = client.lose(BEFORE_MS, rng) {
            calendar.plan(at, number);
        }
    }
    // Handshakes that the server can accept at once.
    let most = capacity as f64 / 10.0;
    let (mut saved, mut saved_at) = (most, 0);
    let mut since = 0;
    while let Some(page) = calendar.pages.get_mut(since as usize) {
        let mut due = core::mem::take(page);
        if due.is_empty() {
            since += 1;
            continue;
        }
        let now = BEFORE_MS + since;
        let second = (since / 1_000) as usize;
        if outcome.per_second.len() <= second {
            outcome.per_second.resize(second + 1, 0);
        }
        // The order within a millisecond is random, not the order of planning.
        rng.shuffle(&mut due);
        for number in due {
            let client = &mut herd[number as usize];
            if !client.tries(now, rng) {
                if let Some(at) = client.next(now) {
                    calendar.plan(at, number);
                }
                continue;
            }
            outcome.attempts += 1;
            outcome.per_second[second] += 1;
            saved = most.min(saved + (since - saved_at) as f64 * capacity as f64 / 1_000.0);
            saved_at = since;
            if since < outage_ms {
                outcome.while_down += 1;
            } else if saved >= 1.0 {
                saved -= 1.0;
                outcome.back_after.push(since - outage_ms);
                continue;
            }
            if let Some(at) = client.fails(now, rng) {
                calendar.plan(at, number);
            }
        }
    }
    // In the order of time.
    debug_assert!(outcome.back_after.is_sorted());
    outcome
}
