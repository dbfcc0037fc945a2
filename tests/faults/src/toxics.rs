//! Faults of a TCP connection, with toxiproxy's names.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// The longest time in a toxic, in milliseconds: a day.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// The direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    #[default]
    Downstream,
}

/// The fault. Times are in milliseconds unless stated otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Kind {
    /// Data arrives later, by `latency` plus or minus `jitter`, in order.
    Latency {
        latency: u64,
        #[serde(default)]
        jitter: u64,
    },
    /// At most `rate` kilobytes a second arrive.
    Bandwidth { rate: u64 },
    /// The end arrives `delay` later.
    SlowClose { delay: u64 },
    /// Nothing arrives, as in a black hole. After `timeout` the connection ends; with 0 it stays, and the held data
    /// arrives when the toxic is removed.
    Timeout {
        #[serde(default)]
        timeout: u64,
    },
    /// The connection is reset towards both ends after `timeout`.
    ResetPeer {
        #[serde(default)]
        timeout: u64,
    },
    /// Data arrives in pieces of `average_size` bytes, plus or minus `size_variation`, with `delay` microseconds
    /// between them.
    Slicer {
        average_size: u64,
        #[serde(default)]
        size_variation: u64,
        #[serde(default)]
        delay: u64,
    },
    /// The connection ends after `bytes` more.
    LimitData { bytes: u64 },
    /// The port is closed, and open connections end.
    Down {},
}

impl Kind {
    fn validate(&self) -> Result<(), String> {
        let longest = match self {
            Self::Latency { latency, jitter } => (*latency).max(*jitter),
            Self::SlowClose { delay } => *delay,
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => *timeout,
            Self::Slicer { delay, .. } => *delay / 1000,
            Self::Bandwidth { .. } | Self::LimitData { .. } | Self::Down {} => 0,
        };
        match self {
            _ if longest > LONGEST_MS => Err(format!(
                "a time of {longest} ms is too long: at most {LONGEST_MS}, a day"
            )),
            Self::Latency { latency, jitter } if jitter > latency => Err(format!(
                "latency: jitter is {jitter}, but must be at most the latency, {latency}"
            )),
            Self::Bandwidth { rate: 0 } => Err(
                "bandwidth: rate is 0, but must be at least 1 kilobyte a second; \
                 timeout stops everything"
                    .to_owned(),
            ),
            Self::Slicer {
                average_size,
                size_variation,
                ..
            } if size_variation >= average_size => Err(format!(
                "slicer: size_variation is {size_variation}, but must be less than average_size, \
                 {average_size}, which must be at least 1"
            )),
            _ => Ok(()),
        }
    }
}

/// A toxic as set by a test, in toxiproxy's format without a toxicity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    #[serde(default)]
    name: Option<String>,
    r#type: String,
    #[serde(default)]
    stream: Direction,
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// An active toxic.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Toxic {
    /// The name by which to remove it.
    pub(crate) name: String,
    stream: Direction,
    #[serde(flatten)]
    shown: Map<String, Value>,
    #[serde(skip)]
    pub(crate) kind: Kind,
    #[serde(skip)]
    added: Instant,
}

impl Given {
    /// Validates a toxic, and names it for its type and direction if it has no name.
    pub(crate) fn settle(self) -> Result<Toxic, String> {
        let Self {
            name,
            r#type,
            stream,
            attributes,
        } = self;
        let name = name.unwrap_or_else(|| {
            let stream = match stream {
                Direction::Upstream => "upstream",
                Direction::Downstream => "downstream",
            };
            format!("{type}_{stream}")
        });
        let mut tagged = Map::new();
        tagged.insert(r#type.clone(), Value::Object(attributes.clone()));
        let kind: Kind = serde_json::from_value(Value::Object(tagged))
            .map_err(|error| format!("type {type}: {error}"))?;
        kind.validate()?;
        let mut shown = Map::new();
        shown.insert("type".to_owned(), r#type.into());
        shown.insert("attributes".to_owned(), attributes.into());
        Ok(Toxic {
            name,
            stream,
            shown,
            kind,
            added: Instant::now(),
        })
    }
}

/// A proxy's toxics at one moment.
pub(crate) type Toxics = Arc<[Toxic]>;

/// Whether the port is closed.
pub(crate) fn is_down(toxics: &Toxics) -> bool {
    toxics
        .iter()
        .any(|toxic| matches!(toxic.kind, Kind::Down {}))
}

/// How toxics end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Cut,
    Reset,
}

/// When and how a connection that began at `began` ends, unless something else ends it.
pub(crate) fn ending(toxics: &Toxics, began: Instant) -> Option<(Instant, Ending)> {
    let endings = toxics.iter().filter_map(|toxic| {
        let from = toxic.added.max(began);
        match toxic.kind {
            Kind::Down {} => Some((from, Ending::Cut)),
            Kind::ResetPeer { timeout } => Some((from + ms(timeout), Ending::Reset)),
            Kind::Timeout { timeout } if timeout > 0 => Some((from + ms(timeout), Ending::Cut)),
            _ => None,
        }
    });
    endings.min_by_key(|(at, _)| *at)
}

/// What has passed in one direction of a connection, for limits.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    bytes: u64,
    /// What had passed when a limit was first seen, by the time when it was set.
    limits: Vec<(Instant, u64)>,
}

/// What to do with the data at hand.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing, until the toxics change.
    Hold,
    /// Nothing, before this moment.
    Wait(Instant),
    /// Write this many bytes, after a pause.
    Write { bytes: usize, pause: Duration },
    /// End the connection.
    End,
}

impl Passed {
    /// Counts what was written.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// What to do with `left` bytes that arrived at `arrived`. `luck`, from -1 to 1, is their jitter; `is_start` says
    /// whether none of them has been written.
    pub(crate) fn step(
        &mut self,
        toxics: &Toxics,
        direction: Direction,
        left: usize,
        arrived: Instant,
        luck: f64,
        is_start: bool,
    ) -> Step {
        let mut bytes = left as u64;
        let mut due = arrived;
        let mut pause = Duration::ZERO;
        let mut rate = u64::MAX;
        for toxic in toxics.iter().filter(|toxic| toxic.stream == direction) {
            match toxic.kind {
                Kind::Timeout { .. } => return Step::Hold,
                Kind::Latency { latency, jitter } => {
                    due += ms(latency).mul_f64(1.0 + luck * share(jitter, latency));
                }
                Kind::Bandwidth { rate: kilobytes } => rate = rate.min(kilobytes),
                Kind::Slicer {
                    average_size,
                    size_variation,
                    delay,
                } => {
                    let smallest = average_size - size_variation;
                    let largest = average_size.saturating_add(size_variation);
                    bytes = bytes.min(fastrand::u64(smallest..=largest));
                    if !is_start {
                        pause += Duration::from_micros(delay);
                    }
                }
                Kind::LimitData { bytes: limit } => {
                    let before = self.at_first_sight_of(toxic.added);
                    let rest = limit.saturating_sub(self.bytes - before);
                    if rest == 0 {
                        return Step::End;
                    }
                    bytes = bytes.min(rest);
                }
                Kind::SlowClose { .. } | Kind::ResetPeer { .. } | Kind::Down {} => {}
            }
        }
        if due > Instant::now() {
            return Step::Wait(due);
        }
        if rate < u64::MAX {
            // A kilobyte a second is a byte a millisecond. Pieces of a twentieth of a second keep data flowing, and
            // changes take effect at once.
            bytes = bytes.min(rate.saturating_mul(50));
            pause += Duration::from_secs_f64(bytes as f64 / (rate as f64 * 1000.0));
        }
        Step::Write {
            bytes: usize::try_from(bytes).map_or(left, |bytes| bytes.min(left)),
            pause,
        }
    }

    /// Whether a limit is reached, so that the connection ends with the last allowed byte.
    pub(crate) fn is_at_limit(&mut self, toxics: &Toxics, direction: Direction) -> bool {
        let limits = toxics.iter().filter(|toxic| toxic.stream == direction);
        limits.into_iter().any(|toxic| match toxic.kind {
            Kind::LimitData { bytes } => self.bytes - self.at_first_sight_of(toxic.added) >= bytes,
            _ => false,
        })
    }

    fn at_first_sight_of(&mut self, added: Instant) -> u64 {
        let known = self.limits.iter().find(|(limit, _)| *limit == added);
        match known {
            Some((_, bytes)) => *bytes,
            None => {
                self.limits.push((added, self.bytes));
                self.bytes
            }
        }
    }
}

/// How much later the end arrives.
pub(crate) fn close_delay(toxics: &Toxics, direction: Direction) -> Duration {
    let delays = toxics
        .iter()
        .filter(|toxic| toxic.stream == direction)
        .map(|toxic| match toxic.kind {
            Kind::SlowClose { delay } => ms(delay),
            _ => Duration::ZERO,
        });
    delays.sum()
}

/// Whether everything is held, including the end.
pub(crate) fn is_holding(toxics: &Toxics, direction: Direction) -> bool {
    toxics
        .iter()
        .any(|toxic| toxic.stream == direction && matches!(toxic.kind, Kind::Timeout { .. }))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(json: &str) -> Result<Toxic, String> {
        let given: Given = serde_json::from_str(json).map_err(|error| error.to_string())?;
        given.settle()
    }

    #[test]
    fn toxics_are_shown_as_they_were_given() {
        let given =
            r#"{"name":"slow","stream":"upstream","type":"latency","attributes":{"latency":9}}"#;
        assert_eq!(
            serde_json::to_value(settled(given).unwrap()).unwrap(),
            serde_json::from_str::<Value>(given).unwrap()
        );
        assert_eq!(
            settled(r#"{"type":"down"}"#).unwrap().name,
            "down_downstream"
        );
    }

    #[test]
    fn mistakes_are_explained() {
        let cases = [
            (r#"{"type":"poison"}"#, "unknown variant `poison`"),
            (r#"{"type":"latency"}"#, "missing field `latency`"),
            (
                r#"{"type":"latency","attributes":{"latency":1,"x":1}}"#,
                "unknown field `x`",
            ),
            (r#"{"type":"down","stream":"sideways"}"#, "sideways"),
            (
                r#"{"type":"down","toxicity":1}"#,
                "unknown field `toxicity`",
            ),
            (
                r#"{"type":"latency","attributes":{"latency":1,"jitter":2}}"#,
                "at most the latency, 1",
            ),
            (
                r#"{"type":"bandwidth","attributes":{"rate":0}}"#,
                "at least 1 kilobyte",
            ),
            (
                r#"{"type":"slicer","attributes":{"average_size":0}}"#,
                "at least 1",
            ),
            (
                r#"{"type":"reset_peer","attributes":{"timeout":90000000}}"#,
                "a day",
            ),
        ];
        for (json, expected) in cases {
            let error = settled(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn steps_follow_from_the_toxics_of_the_direction() {
        let long_ago = Instant::now() - Duration::from_secs(1);
        let step = |json: &str, direction| {
            let toxics: Toxics = [settled(json).unwrap()].into();
            Passed::default().step(&toxics, direction, 1000, long_ago, 1.0, false)
        };
        let untouched = Step::Write {
            bytes: 1000,
            pause: Duration::ZERO,
        };
        let cases = [
            (r#"{"type":"timeout"}"#, Step::Hold),
            (
                r#"{"type":"latency","attributes":{"latency":2000,"jitter":500}}"#,
                Step::Wait(long_ago + Duration::from_millis(2500)),
            ),
            (
                r#"{"type":"bandwidth","attributes":{"rate":2}}"#,
                Step::Write {
                    bytes: 100,
                    pause: Duration::from_millis(50),
                },
            ),
            (
                r#"{"type":"slicer","attributes":{"average_size":7,"delay":1500}}"#,
                Step::Write {
                    bytes: 7,
                    pause: Duration::from_micros(1500),
                },
            ),
            (
                r#"{"type":"limit_data","attributes":{"bytes":10}}"#,
                Step::Write {
                    bytes: 10,
                    pause: Duration::ZERO,
                },
            ),
            (
                r#"{"type":"limit_data","attributes":{"bytes":0}}"#,
                Step::End,
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(step(json, Direction::Downstream), expected, "{json}");
            assert_eq!(step(json, Direction::Upstream), untouched, "{json}");
        }
    }
}
