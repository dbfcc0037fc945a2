//! A seeded link, server, browser and application: they decide what happens next in a [`World`].
//!
//! Each seed has its own world: a good one, one with a server that crashes after every handshake, one with a clock that
//! ticks once a second, one whose provider never settles, and so on.

use std::collections::{BTreeMap, VecDeque};

use steady_socket::Overflow;
use steady_socket::connection::{Hint, Phase, Pings, SendMode, Verdict};

use crate::op::{Answer, Command, Op, Provider, Reason, Settings, Step};
use crate::rng::Rng;
use crate::world::{News, World};

/// The close codes that the server sends, the frequent ones more than once.
const CODES: [u16; 18] = [
    1006, 1006, 1006, 1006, 1001, 1001, 1005, 1011, 1012, 1013, 1000, 1002, 1003, 1009, 3000, 4000,
    4500, 4999,
];

/// A planned event. If its attempt has ended by then, it comes late.
#[derive(Clone, Copy, Debug)]
enum Planned {
    Provided { ok: bool },
    Opened,
    Message,
    Alive,
    Reads,
    Answer,
    Window,
    Error,
    Closed { code: u16, clean: bool },
    Drain,
    Turned,
}

/// The properties of a seed's world. Chances are in percent, times are means in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Climate {
    provider_fails: u64,
    provider_hangs: u64,
    provider_time: u64,
    handshake_fails: u64,
    handshake_stalls: u64,
    handshake_time: u64,
    /// How long a connection lasts.
    lifetime: u64,
    /// The connection dies without the browser noticing.
    half_open: u64,
    message_every: u64,
    drain_every: u64,
    drain_bytes: u64,
    close_hangs: u64,
    late_events: u64,
    command_every: u64,
    /// The timer fires at multiples of this.
    tick: u64,
    timer_late: u64,
    jumps: u64,
    spurious: u64,
    in_handler: u64,
    predicate: u64,
    largest_message: u64,
    /// Chances that the server does not read at all, knows numbered pings, does not answer a ping, or sends what is not
    /// an answer.
    holes: u64,
    numbered: u64,
    unanswered: u64,
    strays: u64,
    /// Whether the server agrees to control messages, answers pings of the application's, and how often it promises to
    /// send something.
    controls: u64,
    answers: u64,
    beats: Option<u64>,
    /// The server announces when to reconnect.
    announces: u64,
    hints: u64,
    /// The event loop turns late.
    turns_late: u64,
}

impl Climate {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            provider_fails: rng.pick(&[0, 0, 5, 40]),
            provider_hangs: rng.pick(&[0, 0, 5, 30]),
            provider_time: rng.pick(&[1, 100, 5_000]),
            handshake_fails: rng.pick(&[0, 5, 30, 80]),
            handshake_stalls: rng.pick(&[0, 5, 30]),
            handshake_time: rng.pick(&[1, 100, 3_000]),
            lifetime: rng.pick(&[1, 300, 5_000, 60_000, 600_000]),
            half_open: rng.pick(&[0, 10, 50]),
            message_every: rng.pick(&[20, 500, 5_000]),
            drain_every: rng.pick(&[5, 100, 2_000]),
            drain_bytes: rng.pick(&[10, 100, 10_000]),
            close_hangs: rng.pick(&[0, 20, 80]),
            late_events: rng.pick(&[0, 20, 80]),
            command_every: rng.pick(&[5, 200, 3_000, 20_000]),
            tick: rng.pick(&[1, 16, 1_000, 60_000]),
            timer_late: rng.pick(&[0, 5, 50]),
            jumps: rng.pick(&[0, 0, 1, 5]),
            spurious: rng.pick(&[0, 2, 15]),
            in_handler: rng.pick(&[0, 10, 50]),
            predicate: rng.pick(&[0, 0, 10, 60]),
            largest_message: rng.pick(&[10, 60, 200]),
            holes: rng.pick(&[0, 20, 100]),
            numbered: rng.pick(&[0, 60, 100]),
            unanswered: rng.pick(&[0, 0, 30]),
            strays: rng.pick(&[0, 0, 20]),
            controls: rng.pick(&[0, 50, 100]),
            answers: rng.pick(&[0, 50, 100]),
            beats: rng.pick(&[None, None, Some(1), Some(20_000)]),
            announces: rng.pick(&[0, 0, 30]),
            hints: rng.pick(&[0, 5, 50]),
            turns_late: rng.pick(&[0, 10, 80]),
        }
    }
}

/// The options of a connection in the world of a seed.
fn draw_settings(rng: &mut Rng) -> Settings {
    let low_water_mark = rng.pick(&[0, 20, 100]);
    let max_delay = rng.pick(&[1_000, 30_000]);
    Settings {
        connect_timeout: rng.pick(&[1, 2_000, 15_000]),
        provider_timeout: rng.pick(&[1, 2_000, 10_000]),
        close_timeout: rng.pick(&[1, 500, 5_000]),
        first_delay_max: rng.pick(&[0, 1_000, 5_000]).min(max_delay),
        // With no wait at all and a provider that throws, the timer would rightly always be due.
        min_delay: rng.pick(&[1, 1_000]),
        base_delay: rng.pick(&[1, 500, 1_000]),
        growth_factor: rng.pick(&[1.0, 1.3, 2.0, 10.0]),
        max_delay,
        stable_after: rng.pick(&[0, 1_000, 5_000]),
        max_retries: rng.pick(&[None, None, None, Some(0), Some(1), Some(5)]),
        reconnect: !rng.one_in(8),
        attempt_burst: rng.pick(&[1, 3, 10]),
        attempt_interval: rng.pick(&[0, 100, 5_000]),
        announced_delay_max: rng.pick(&[0, 3_000, 60_000]),
        heartbeat_interval: rng.pick(&[None, Some(300), Some(20_000)]),
        heartbeat_grace: rng.pick(&[1, 500, 10_000]),
        keepalive_interval: rng.pick(&[None, None, Some(250), Some(20_000)]),
        probe_timeout: rng.pick(&[1, 500, 5_000]),
        max_queued_messages: rng.pick(&[0, 1, 3, 10]),
        max_queued_bytes: rng.pick(&[0, 50, 400, 100_000]),
        overflow: rng.pick(&[Overflow::Reject, Overflow::DropOldest, Overflow::DropNewest]),
        message_ttl: rng.pick(&[None, None, Some(1), Some(700), Some(20_000)]),
        max_message_bytes: rng.pick(&[None, None, Some(150)]),
        high_water_mark: low_water_mark + rng.pick(&[1, 50, 1_000]),
        low_water_mark,
        gate: rng.one_in(3),
    }
}

/// Decides, step by step, what happens in the world of one seed.
#[derive(Debug)]
pub struct Script {
    rng: Rng,
    climate: Climate,
    planned: BTreeMap<(u64, u64), (u64, Planned)>,
    sequence: u64,
    next_command: u64,
    ready: VecDeque<Op>,
    turn_is_planned: bool,
    settings: Settings,
}

impl Script {
    /// The script of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let climate = Climate::draw(&mut rng);
        let settings = draw_settings(&mut rng);
        Self {
            rng,
            climate,
            planned: BTreeMap::new(),
            sequence: 0,
            next_command: 0,
            ready: VecDeque::new(),
            turn_is_planned: false,
            settings,
        }
    }

    /// The options of the connection.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The next step.
    pub fn next(&mut self, world: &mut World) -> Step {
        for news in world.take_news() {
            self.react(world, news);
        }
        if self.ready.is_empty() && world.awaits_turn() && !self.turn_is_planned {
            if self.percent(self.climate.turns_late) {
                let late = self.rng.around(3_000);
                self.turn_is_planned = true;
                self.plan(world, late, Planned::Turned);
            } else {
                self.ready.push_back(Op::Turned { age: 0 });
            }
        }
        let op = self.ready.pop_front().unwrap_or_else(|| {
            self.choose(world);
            self.ready.pop_front().unwrap_or(Op::Timer)
        });
        let verdict = self
            .percent(self.climate.predicate)
            .then(|| match self.rng.below(10) {
                0 => Verdict::Stop,
                1..4 => Verdict::RetryAfterMs(self.rng.pick(&[1, 500, 100_000])),
                _ => Verdict::Retry,
            });
        Step {
            op,
            chance: self.rng.unit(),
            verdict,
        }
    }

    const fn percent(&mut self, chance: u64) -> bool {
        self.rng.below(100) < chance
    }

    fn plan(&mut self, world: &World, after: u64, what: Planned) {
        self.sequence += 1;
        self.planned.insert(
            (world.now().saturating_add(after), self.sequence),
            (world.generation(), what),
        );
    }

    /// The reactions of the network, the server and the provider.
    fn react(&mut self, world: &World, news: News) {
        let climate = self.climate;
        match news {
            News::Asked => {
                if !self.percent(climate.provider_hangs) {
                    let ok = !self.percent(climate.provider_fails);
                    let after = self.rng.around(climate.provider_time);
                    self.plan(world, after, Planned::Provided { ok });
                }
            }
            News::Made => {
                let after = self.rng.around(climate.handshake_time);
                if self.percent(climate.handshake_stalls) {
                    // Nothing arrives; very late, the browser gives up.
                    self.lost(world, 240_000);
                } else if self.percent(climate.handshake_fails) {
                    self.lost(world, after);
                } else {
                    self.plan(world, after, Planned::Opened);
                }
            }
            News::Open => {
                if !self.percent(climate.half_open) {
                    let after = self.rng.around(climate.lifetime);
                    let code = self.rng.pick(&CODES);
                    self.plan(
                        world,
                        after,
                        Planned::Closed {
                            code,
                            clean: code != 1006,
                        },
                    );
                }
                if let Some(interval_ms) = climate.beats {
                    self.ready.push_back(Op::Beats {
                        age: 0,
                        interval_ms,
                    });
                }
                if self.percent(climate.numbered) {
                    self.ready.push_back(Op::Answers {
                        age: 0,
                        answer: Answer::Knows,
                    });
                }
                if !self.percent(climate.holes) {
                    let after = self.rng.around(climate.drain_every);
                    self.plan(world, after, Planned::Reads);
                }
                let after = self.rng.around(climate.message_every);
                self.plan(world, after, Planned::Answer);
                if self.percent(climate.announces) {
                    let after = self.rng.around(climate.lifetime);
                    self.plan(world, after, Planned::Window);
                }
                let after = self.rng.around(climate.message_every);
                self.plan(world, after, Planned::Message);
                let after = self.rng.around(climate.message_every);
                self.plan(world, after, Planned::Alive);
                let after = self.rng.around(climate.drain_every);
                self.plan(world, after, Planned::Drain);
            }
            News::ClosingHandshake(code) => {
                if !self.percent(climate.close_hangs) {
                    let after = self.rng.around(climate.handshake_time);
                    let (code, clean) = match self.rng.below(4) {
                        0 => (1006, false),
                        // Its own close frame has crossed ours.
                        1 => (self.rng.pick(&CODES), true),
                        _ => (code.unwrap_or(1005), true),
                    };
                    self.plan(world, after, Planned::Closed { code, clean });
                }
            }
            News::GivenUp => {
                if self.percent(climate.late_events) {
                    let late = self.rng.around(5_000);
                    let what = match self.rng.below(5) {
                        0 => Planned::Opened,
                        1 => Planned::Message,
                        2 => Planned::Provided { ok: true },
                        3 => Planned::Error,
                        _ => Planned::Closed {
                            code: 1006,
                            clean: false,
                        },
                    };
                    self.plan(world, late, what);
                }
            }
        }
    }

    fn lost(&mut self, world: &World, after: u64) {
        self.plan(world, after, Planned::Error);
        self.plan(
            world,
            after,
            Planned::Closed {
                code: 1006,
                clean: false,
            },
        );
    }

    /// Finds the earliest event, and puts the steps leading to it into `ready`.
    fn choose(&mut self, world: &World) {
        let climate = self.climate;
        let now = world.now();
        if self.percent(climate.spurious) {
            let op = self.spurious();
            self.ready.push_back(op);
            return;
        }
        if self.rng.below(1_000) < climate.jumps {
            let jump = self.rng.pick(&[1_000, 60_000, 3_600_000, 86_400_000]);
            self.ready.push_back(Op::Advance(jump));
            return;
        }
        let timer = world.timer().map(|at| {
            let at = at.max(now).next_multiple_of(climate.tick);
            if self.percent(climate.timer_late) {
                at + self.rng.around(1_000)
            } else {
                at
            }
        });
        let planned = self.planned.keys().next().copied();
        let command = self.next_command.max(now);
        let planned_at = planned.map_or(u64::MAX, |(at, _)| at.max(now));
        let timer_at = timer.unwrap_or(u64::MAX);
        let next = command.min(planned_at).min(timer_at);
        if next > now {
            self.ready.push_back(Op::Advance(next - now));
        }
        if next == timer_at {
            self.ready.push_back(Op::Timer);
        } else if next == planned_at {
            if let Some((generation, what)) = planned.and_then(|key| self.planned.remove(&key)) {
                self.comes_true(world, next, generation, what);
            }
        } else {
            let every = self.rng.around(climate.command_every);
            self.next_command = next + every;
            self.application_acts(world);
        }
    }

    fn comes_true(&mut self, world: &World, now: u64, generation: u64, what: Planned) {
        let climate = self.climate;
        let Ok(age) = u8::try_from(world.generation().saturating_sub(generation)) else {
            return;
        };
        let goes_on = age == 0 && world.phase() == Phase::Open;
        let again = |script: &mut Self, every: u64, what| {
            if goes_on {
                script.sequence += 1;
                let at = now + script.rng.around(every);
                script
                    .planned
                    .insert((at, script.sequence), (generation, what));
            }
        };
        let op = match what {
            Planned::Provided { ok } => Op::Provided { age, ok },
            Planned::Opened => Op::Opened {
                age,
                pings: if self.percent(climate.controls) {
                    Pings::Control
                } else if self.percent(climate.answers) {
                    Pings::Application
                } else {
                    Pings::None
                },
            },
            Planned::Message => {
                again(self, climate.message_every, what);
                if self.rng.one_in(100) {
                    self.ready.push_back(Op::TooBig { age });
                    return;
                }
                let bytes = self.rng.below(climate.largest_message) as usize;
                Op::Message { age, bytes }
            }
            Planned::Alive => {
                again(self, climate.message_every, what);
                Op::Alive { age }
            }
            Planned::Reads => {
                again(self, climate.drain_every, what);
                Op::Reads(self.rng.below(12) as u8)
            }
            Planned::Answer => {
                again(self, climate.message_every, what);
                let answer = if self.percent(climate.strays) {
                    self.stray()
                } else if self.percent(climate.unanswered) {
                    Answer::Lost
                } else {
                    Answer::Next
                };
                Op::Answers { age, answer }
            }
            Planned::Window => {
                let min_ms = self.rng.pick(&[0, 2_000, 100_000]);
                Op::Window {
                    age,
                    min_ms,
                    max_ms: self.rng.pick(&[0, 20_000, 100_000]),
                }
            }
            Planned::Turned => {
                self.turn_is_planned = false;
                Op::Turned { age: 0 }
            }
            Planned::Error => Op::Error { age },
            Planned::Closed { code, clean } => {
                if self.rng.one_in(8) {
                    self.ready.push_back(Op::Error { age });
                }
                let reason = self.reason(clean);
                Op::Closed {
                    age,
                    code,
                    clean,
                    reason,
                }
            }
            Planned::Drain => {
                let closing = matches!(world.phase(), Phase::Closing | Phase::Suspended);
                let waits = closing && world.buffered() > 0;
                if waits {
                    self.sequence += 1;
                    let at = now + self.rng.around(climate.drain_every);
                    self.planned.insert((at, self.sequence), (generation, what));
                }
                again(self, climate.drain_every, what);
                Op::Drain(self.rng.around(climate.drain_bytes))
            }
        };
        self.ready.push_back(op);
    }

    fn draw_hint(&mut self) -> Hint {
        let millis = self.rng.pick(&[3_000, 60_000, 3_600_000]);
        self.rng.pick(&[
            Hint::Online,
            Hint::Offline,
            Hint::Visible,
            Hint::Resumed,
            Hint::Slept { millis },
        ])
    }

    fn application_acts(&mut self, world: &World) {
        if self.percent(self.climate.hints) {
            let hint = self.draw_hint();
            self.ready.push_back(Op::Hint(hint));
            return;
        }
        let command = self.command(world);
        let op = if self.percent(self.climate.in_handler) {
            Op::InHandler {
                skip: self.rng.below(3) as u8,
                command,
            }
        } else {
            Op::Command {
                command,
                same_task: self.rng.one_in(4),
            }
        };
        self.ready.push_back(op);
        match self.rng.below(40) {
            0 => self.ready.push_back(Op::RefuseOpen),
            1 => {
                let always = self.rng.one_in(2);
                self.ready.push_back(Op::FailSend { always });
            }
            2 => {
                let code = self.rng.pick(&CODES);
                self.ready.push_back(Op::ClosedInSend { code });
            }
            3 => {
                let mode = self.rng.pick(&[
                    Provider::Later,
                    Provider::Now,
                    Provider::Now,
                    Provider::Throws,
                ]);
                self.ready.push_back(Op::SetProvider(mode));
            }
            _ => {}
        }
    }

    fn command(&mut self, world: &World) -> Command {
        let again = match world.phase() {
            Phase::Idle | Phase::Closed | Phase::Suspended => 50,
            _ => 4,
        };
        match self.rng.below(104) {
            100..102 => Command::Suspend {
                code: self.rng.pick(&[None, Some(1_000), Some(4_001)]),
                reason: self.rng.pick(&["", "out of sight"]),
            },
            102..104 => Command::Resume,
            roll if roll < again && world.phase() == Phase::Suspended && !self.rng.one_in(4) => {
                Command::Resume
            }
            roll if roll < again => {
                if self.rng.one_in(3) || world.phase() != Phase::Idle {
                    Command::Reconnect
                } else {
                    Command::Start
                }
            }
            roll if roll < again + 2 => Command::Close {
                code: self.rng.pick(&[None, Some(1_000), Some(4_001)]),
                reason: self.rng.pick(&["", "enough for today"]),
            },
            roll if roll < again + 3 => Command::Start,
            roll if roll < again + 15 => Command::Ready,
            _ => Command::Send {
                bytes: self.rng.below(self.climate.largest_message) as usize,
                mode: SendMode {
                    first: self.rng.one_in(6),
                    volatile: self.rng.one_in(6),
                    ttl_ms: self
                        .rng
                        .pick(&[None, None, None, Some(0), Some(300), Some(9_000)]),
                },
            },
        }
    }

    fn stray(&mut self) -> Answer {
        match self.rng.below(3) {
            0 => Answer::Unasked,
            1 => Answer::Stray(1 + self.rng.below(4)),
            _ => Answer::Stray(u64::MAX),
        }
    }

    /// Events that should not happen, and must do no harm.
    fn spurious(&mut self) -> Op {
        let age = self.rng.below(3) as u8;
        match self.rng.below(16) {
            15 => Op::Verdict { age },
            14 => Op::Turned { age },
            13 => Op::TooBig { age },
            10 => Op::Alive { age },
            11 => match self.rng.below(5) {
                0 => Op::Answers {
                    age,
                    answer: Answer::Unasked,
                },
                3 => Op::Answers {
                    age,
                    answer: Answer::Knows,
                },
                4 => Op::Answers {
                    age,
                    answer: self.stray(),
                },
                1 => Op::Beats {
                    age,
                    interval_ms: 7_000,
                },
                _ => Op::Window {
                    age,
                    min_ms: 10,
                    max_ms: 20,
                },
            },
            12 => Op::Hint(self.draw_hint()),
            0 => Op::Timer,
            1 => Op::Provided {
                age,
                ok: self.rng.one_in(2),
            },
            2 => Op::Opened {
                age,
                pings: Pings::None,
            },
            3 => Op::Message { age, bytes: 10 },
            4 => Op::Error { age },
            5 => Op::Closed {
                // A stray close of the living socket would be a real one.
                age: age + 1,
                code: self.rng.pick(&CODES),
                clean: self.rng.one_in(2),
                reason: Reason::None,
            },
            6 | 7 => Op::Transmitted {
                age,
                ok: self.rng.one_in(2),
            },
            8 => Op::Buffered { age },
            _ => Op::Closed {
                age,
                code: 1006,
                clean: false,
                reason: Reason::None,
            },
        }
    }

    /// The reason of a Close; a connection that was cut has none.
    fn reason(&mut self, clean: bool) -> Reason {
        if !clean {
            return Reason::None;
        }
        match self.rng.below(8) {
            0 => Reason::Words,
            1 => Reason::Malformed,
            2 | 3 => Reason::Window {
                min_ms: self.rng.pick(&[0, 2_000, 100_000]),
                max_ms: self.rng.pick(&[0, 20_000, 100_000]),
            },
            _ => Reason::None,
        }
    }
}
