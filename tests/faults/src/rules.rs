//! Which connections get which faults, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frames::{self, BINARY, CLOSE, FIN, PING, TEXT};
use crate::head::Head;

/// The longest wait in a rule: a day.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

/// The most bytes of garbage, and of a frame that a rule spells out.
const MOST_BYTES: usize = 1024 * 1024;

/// A rule, as set by a test.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default, rename = "match")]
    pub(crate) matches: Match,
    pub(crate) action: Action,
    /// By default, the action's own moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) when: Option<When>,
    /// How many connections get the fault; by default, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u64>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

/// Selects connections: those that meet all given conditions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Match {
    /// The URL's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The parameter `id` of its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The number of the connection, among those with this path and id since the rule was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
}

impl Match {
    /// Whether path and id match.
    pub(crate) fn is_about(&self, path: &str, id: Option<&str>) -> bool {
        self.path.as_deref().is_none_or(|wanted| wanted == path)
            && self.id.as_deref().is_none_or(|wanted| Some(wanted) == id)
    }
}

/// When the fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum When {
    /// Instead of a response to the handshake.
    Handshake,
    /// Right after the handshake.
    Open,
    /// After this many messages to the client.
    Messages(u64),
    /// This many milliseconds after the handshake.
    Ms(u64),
}

/// The fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum Action {
    /// Answers the handshake with this status.
    Refuse {
        status: u16,
        #[serde(default)]
        body: String,
        /// Seconds for a `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// Delays the response to the handshake by this much.
    DelayHandshake { ms: u64 },
    /// Never answers the handshake, but keeps the connection.
    NeverAnswer {},
    /// Ends the TCP connection with a FIN and no Close frame.
    Cut {},
    /// Ends the TCP connection with a RST.
    Reset {},
    /// Sends a Close frame, with any code or none, and ends once the client has answered it.
    Close {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
        #[serde(default)]
        reason: String,
    },
    /// Reads nothing more from the client.
    StopReading {},
    /// Writes nothing more to the client, not even an end.
    StopWriting {},
    /// Ignores the client's Close frame.
    IgnoreClose {},
    /// Sends bytes that are not a frame, or not a response to a handshake.
    Garbage {
        #[serde(default = "some_garbage")]
        bytes: usize,
    },
    /// Sends text messages as binary ones and vice versa; the next `count`, or all.
    WrongKind {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// Sends messages twice; the next `count`, or all.
    Duplicate {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
    /// Delays everything by this much, in order.
    DelayMessages { ms: u64 },
    /// Sends a message that claims to have this many bytes, but has only `sent` of them, or all.
    Huge {
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sent: Option<u64>,
        #[serde(default)]
        binary: bool,
    },
    /// Sends the frame spelled out here.
    Frame {
        #[serde(default = "text_opcode")]
        opcode: u8,
        #[serde(default = "yes")]
        fin: bool,
        /// The three reserved bits, as a number from 0 to 7.
        #[serde(default)]
        rsv: u8,
        #[serde(default)]
        masked: bool,
        /// The payload as text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Or its bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<Vec<u8>>,
    },
    /// Sends a text message that is not UTF-8.
    InvalidUtf8 {},
    /// Sends a text message with reserved bits set.
    ReservedBits {},
    /// Sends a frame with an unknown opcode.
    UnknownOpcode {},
    /// Sends a Ping of 126 bytes, one more than a control frame may hold.
    OversizedControl {},
}

fn some_garbage() -> usize {
    64
}

fn text_opcode() -> u8 {
    TEXT
}

fn yes() -> bool {
    true
}

impl Action {
    /// The name of the action, in rules and in the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Refuse { .. } => "refuse",
            Self::DelayHandshake { .. } => "delayHandshake",
            Self::NeverAnswer {} => "neverAnswer",
            Self::Cut {} => "cut",
            Self::Reset {} => "reset",
            Self::Close { .. } => "close",
            Self::StopReading {} => "stopReading",
            Self::StopWriting {} => "stopWriting",
            Self::IgnoreClose {} => "ignoreClose",
            Self::Garbage { .. } => "garbage",
            Self::WrongKind { .. } => "wrongKind",
            Self::Duplicate { .. } => "duplicate",
            Self::DelayMessages { .. } => "delayMessages",
            Self::Huge { .. } => "huge",
            Self::Frame { .. } => "frame",
            Self::InvalidUtf8 {} => "invalidUtf8",
            Self::ReservedBits {} => "reservedBits",
            Self::UnknownOpcode {} => "unknownOpcode",
            Self::OversizedControl {} => "oversizedControl",
        }
    }

    /// Checks what the types alone do not guarantee.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let word = self.word();
        match self {
            Self::Refuse { status, .. } if !(200..=599).contains(status) => Err(format!(
                "{word}: status is {status}, but must be from 200 to 599"
            )),
            Self::DelayHandshake { ms } | Self::DelayMessages { ms } if *ms > LONGEST_MS => Err(
                format!("{word}: ms is {ms}, but must be at most {LONGEST_MS}, a day"),
            ),
            Self::Close { code: None, reason } if !reason.is_empty() => {
                Err(format!("{word}: a reason needs a code"))
            }
            Self::Close { reason, .. } if reason.len() > 123 => Err(format!(
                "{word}: the reason has {} bytes: at most 123 fit into the frame; \
                 a frame that is too long can be sent by the action frame, with opcode 8",
                reason.len()
            )),
            Self::Garbage { bytes } if !(1..=MOST_BYTES).contains(bytes) => Err(format!(
                "{word}: bytes is {bytes}, but must be from 1 to {MOST_BYTES}"
            )),
            Self::Huge {
                bytes,
                sent: Some(sent),
                ..
            } if sent > bytes => Err(format!(
                "{word}: sent is {sent}, but must be at most bytes, {bytes}"
            )),
            Self::Frame { opcode, .. } if *opcode > 15 => Err(format!(
                "{word}: opcode is {opcode}, but must be from 0 to 15"
            )),
            Self::Frame { rsv, .. } if *rsv > 7 => {
                Err(format!("{word}: rsv is {rsv}, but must be from 0 to 7"))
            }
            Self::Frame {
                text: Some(_),
                bytes: Some(_),
                ..
            } => Err(format!("{word}: give text or bytes, not both")),
            _ => Ok(()),
        }
    }

    /// Whether the action can only replace the response to the handshake.
    fn is_for_handshake_only(&self) -> bool {
        matches!(
            self,
            Self::Refuse { .. } | Self::DelayHandshake { .. } | Self::NeverAnswer {}
        )
    }

    /// Whether it can replace that.
    pub(crate) fn is_for_handshake(&self) -> bool {
        self.is_for_handshake_only()
            || matches!(self, Self::Cut {} | Self::Reset {} | Self::Garbage { .. })
    }

    /// Whether it applies to an open connection.
    pub(crate) fn is_for_open(&self) -> bool {
        !self.is_for_handshake_only()
    }

    /// The bytes that an action sends, if it does nothing else.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let frame = |first, payload: &[u8]| Some(frames::frame(first, payload, false));
        match self {
            Self::Close { code, reason } => {
                let code = code.map(u16::to_be_bytes);
                let payload = [
                    code.as_ref().map_or(&[][..], |code| code),
                    reason.as_bytes(),
                ];
                frame(FIN | CLOSE, &payload.concat())
            }
            // All bits set: the reserved ones, an unknown opcode, a mask that no server may use.
            Self::Garbage { bytes } => Some(vec![0xff; *bytes]),
            Self::Frame {
                opcode,
                fin,
                rsv,
                masked,
                text,
                bytes,
            } => {
                let first = if *fin { FIN } else { 0 } | rsv << 4 | opcode;
                let payload = match (text, bytes) {
                    (Some(text), _) => text.as_bytes(),
                    (None, Some(bytes)) => bytes,
                    (None, None) => &[],
                };
                Some(frames::frame(first, payload, *masked))
            }
            Self::InvalidUtf8 {} => frame(FIN | TEXT, &[0xc3, 0x28]),
            Self::ReservedBits {} => frame(FIN | 0x70 | TEXT, b"reserved"),
            Self::UnknownOpcode {} => frame(FIN | 0x3, b"unknown"),
            Self::OversizedControl {} => frame(FIN | PING, &[b'x'; 126]),
            _ => None,
        }
    }

    /// The first byte of a huge message.
    pub(crate) fn huge_first(binary: bool) -> u8 {
        FIN | if binary { BINARY } else { TEXT }
    }
}

impl Rule {
    /// Checks what the types alone do not guarantee, and settles the moment.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.action.validate()?;
        let word = self.action.word();
        if self.matches.nth == Some(0) {
            return Err("match: nth counts from 1".to_owned());
        }
        if self.times == Some(0) {
            return Err("times is 0, but must be at least 1; omit it for always".to_owned());
        }
        let when = *self
            .when
            .get_or_insert(if self.action.is_for_handshake_only() {
                When::Handshake
            } else {
                When::Open
            });
        match when {
            When::Handshake if !self.action.is_for_handshake() => Err(format!(
                "when: {word} works only on an open connection, not at the handshake"
            )),
            When::Open | When::Messages(_) | When::Ms(_) if !self.action.is_for_open() => {
                Err(format!("when: {word} works only at the handshake: omit it"))
            }
            When::Messages(0) => {
                Err("when: messages counts from 1; use \"open\" for before any".to_owned())
            }
            When::Ms(ms) if ms > LONGEST_MS => Err(format!(
                "when: ms is {ms}, but must be at most {LONGEST_MS}, a day"
            )),
            _ => Ok(()),
        }
    }
}

/// An active rule.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// Its number.
    pub(crate) rule: u64,
    #[serde(flatten)]
    given: Rule,
    /// How many connections with its path and id have arrived.
    seen: u64,
    /// How many of them got the fault.
    applied: u64,
}

/// What a rule does to a connection.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) rule: u64,
    pub(crate) when: When,
    pub(crate) action: Action,
}

impl Planned {
    /// When an open connection's time for it has come, if it depends on time.
    pub(crate) fn after(&self) -> Option<Duration> {
        match self.when {
            When::Ms(ms) => Some(Duration::from_millis(ms)),
            _ => None,
        }
    }
}

/// All active rules, in the order in which they were set.
#[derive(Default)]
pub(crate) struct Rules(Mutex<(u64, Vec<Entry>)>);

impl Rules {
    /// Activates a settled rule, and returns its number.
    pub(crate) fn add(&self, given: Rule) -> u64 {
        let mut rules = self.lock();
        rules.0 += 1;
        let rule = rules.0;
        rules.1.push(Entry {
            rule,
            given,
            seen: 0,
            applied: 0,
        });
        rule
    }

    /// Removes one rule or all, and returns how many that were.
    pub(crate) fn remove(&self, rule: Option<u64>) -> usize {
        let rules = &mut self.lock().1;
        let before = rules.len();
        rules.retain(|entry| rule.is_some_and(|rule| entry.rule != rule));
        before - rules.len()
    }

    pub(crate) fn list(&self) -> Vec<Entry> {
        self.lock().1.clone()
    }

    /// What to do with a connection that arrives now. This counts it.
    pub(crate) fn for_connection(&self, head: &Head) -> Vec<Planned> {
        let mut planned = Vec::new();
        for entry in &mut self.lock().1 {
            let given = &entry.given;
            if !given.matches.is_about(&head.path, head.id.as_deref()) {
                continue;
            }
            entry.seen += 1;
            let is_used_up = given.times.is_some_and(|times| entry.applied >= times);
            let is_another = given.matches.nth.is_some_and(|nth| nth != entry.seen);
            if is_used_up || is_another {
                continue;
            }
            entry.applied += 1;
            planned.push(Planned {
                rule: entry.rule,
                // Settled before.
                when: given.when.unwrap_or(When::Open),
                action: given.action.clone(),
            });
        }
        planned
    }

    /// How to refuse a plain request, without counting it: like the next connection to the same URL.
    pub(crate) fn refusal(&self, path: &str, id: Option<&str>) -> Option<Action> {
        let rules = &self.lock().1;
        let in_force = rules.iter().filter(|Entry { given, applied, .. }| {
            given.matches.is_about(path, id)
                && given.matches.nth.is_none()
                && given.times.is_none_or(|times| *applied < times)
        });
        let mut actions = in_force.map(|entry| &entry.given.action);
        actions
            .find(|action| matches!(action, Action::Refuse { .. }))
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Entry>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(json: &str) -> Result<Rule, String> {
        let mut rule: Rule = serde_json::from_str(json).map_err(|error| error.to_string())?;
        rule.settle()?;
        Ok(rule)
    }

    #[test]
    fn mistakes_are_explained() {
        let cases = [
            (r#"{}"#, "missing field `action`"),
            (
                r#"{"action":{"type":"explode"}}"#,
                "unknown variant `explode`",
            ),
            (r#"{"action":{"type":"cut","x":1}}"#, "unknown field `x`"),
            (r#"{"action":{"type":"cut"},"x":1}"#, "unknown field `x`"),
            (
                r#"{"action":{"type":"refuse","status":101}}"#,
                "from 200 to 599",
            ),
            (
                r#"{"action":{"type":"close","reason":"x"}}"#,
                "needs a code",
            ),
            (r#"{"action":{"type":"close","code":65536}}"#, "65536"),
            (r#"{"action":{"type":"frame","opcode":16}}"#, "from 0 to 15"),
            (r#"{"action":{"type":"frame","rsv":8}}"#, "from 0 to 7"),
            (
                r#"{"action":{"type":"frame","text":"","bytes":[]}}"#,
                "not both",
            ),
            (
                r#"{"action":{"type":"huge","bytes":1,"sent":2}}"#,
                "at most bytes, 1",
            ),
            (r#"{"action":{"type":"garbage","bytes":0}}"#, "from 1 to"),
            (r#"{"action":{"type":"cut"},"times":0}"#, "at least 1"),
            (
                r#"{"action":{"type":"cut"},"match":{"nth":0}}"#,
                "counts from 1",
            ),
            (
                r#"{"action":{"type":"duplicate"},"when":"handshake"}"#,
                "works only on an open connection",
            ),
            (
                r#"{"action":{"type":"neverAnswer"},"when":"open"}"#,
                "works only at the handshake",
            ),
            (
                r#"{"action":{"type":"cut"},"when":{"messages":0}}"#,
                "counts from 1",
            ),
            (
                r#"{"action":{"type":"cut"},"when":{"ms":90000000}}"#,
                "a day",
            ),
        ];
        for (json, expected) in cases {
            let error = settled(json).unwrap_err();
            assert!(error.contains(expected), "{json}: {error}");
        }
    }

    #[test]
    fn rules_count_the_connections_that_they_are_about() {
        let rules = Rules::default();
        rules.add(settled(r#"{"match":{"path":"/a","nth":2},"action":{"type":"cut"}}"#).unwrap());
        rules.add(settled(r#"{"match":{"id":"x"},"action":{"type":"reset"},"times":1}"#).unwrap());
        let words = |path: &str, id: Option<&str>| -> Vec<_> {
            let head = Head {
                bytes: Vec::new(),
                path: path.to_owned(),
                id: id.map(str::to_owned),
                is_handshake: true,
            };
            let planned = rules.for_connection(&head);
            planned
                .iter()
                .map(|planned| planned.action.word())
                .collect()
        };
        assert!(words("/a", None).is_empty());
        assert!(words("/b", Some("y")).is_empty());
        assert_eq!(words("/a", Some("x")), ["cut", "reset"]);
        assert!(words("/a", Some("x")).is_empty());
        assert_eq!(rules.remove(Some(1)), 1);
        assert_eq!(rules.remove(Some(1)), 0);
        assert_eq!(rules.list().len(), 1);
        assert_eq!(rules.remove(None), 1);
    }

    #[test]
    fn frames_are_as_broken_as_they_should_be() {
        let bytes = |json: &str| settled(json).unwrap().action.bytes().unwrap();
        let cases: [(&str, &[u8]); 6] = [
            (r#"{"action":{"type":"close"}}"#, &[0x88, 0]),
            (
                r#"{"action":{"type":"close","code":999,"reason":"é"}}"#,
                &[0x88, 4, 3, 0xe7, 0xc3, 0xa9],
            ),
            (
                r#"{"action":{"type":"frame","fin":false,"rsv":4,"opcode":2,"bytes":[1,255]}}"#,
                &[0x42, 2, 1, 255],
            ),
            (
                r#"{"action":{"type":"frame","masked":true,"text":"x"}}"#,
                &[0x81, 0x81, 0, 0, 0, 0, b'x'],
            ),
            (
                r#"{"action":{"type":"invalidUtf8"}}"#,
                &[0x81, 2, 0xc3, 0x28],
            ),
            (r#"{"action":{"type":"garbage","bytes":2}}"#, &[0xff, 0xff]),
        ];
        for (json, expected) in cases {
            assert_eq!(bytes(json), expected, "{json}");
        }
        let ping = bytes(r#"{"action":{"type":"oversizedControl"}}"#);
        assert_eq!(ping[..4], [0x89, 126, 0, 126]);
    }
}
