//! Bursts in one direction, for measurements. The credential says what the client wants: `way=in&count=128&pool=32`.

use steady_socket_protocol::Message;
use steady_socket_server::{Denied, Identity};

/// The longest burst, and the most messages to repeat.
const MOST: usize = 10_000;

/// What a client wants. The first `pool` messages come back. Then they repeat in a cycle, and every burst of `count` starts
/// with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    way: Way,
    count: usize,
    pool: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Every message is answered by a burst.
    In,
    /// The last message of a burst is answered with itself.
    Out,
}

/// Checks a credential.
pub(super) fn identify(credential: &str) -> Result<Identity, Denied> {
    let identity = Identity(credential.to_owned());
    Wanted::parse(&identity).map(|_| identity).ok_or(Denied)
}

impl Wanted {
    fn parse(identity: &Identity) -> Option<Self> {
        let mut fields = identity.0.split('&');
        let mut field = |name| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let way = match field("way")? {
            "in" => Way::In,
            "out" => Way::Out,
            _ => return None,
        };
        let mut number = |name| {
            let number = field(name)?.parse().ok()?;
            (1..=MOST).contains(&number).then_some(number)
        };
        Some(Self {
            way,
            count: number("count")?,
            pool: number("pool")?,
        })
    }
}

/// What a session remembers.
#[derive(Debug)]
pub(super) struct Bursts {
    wanted: Wanted,
    known: Vec<Message>,
    /// How many messages of the current burst have come.
    came: usize,
}

impl Bursts {
    /// `None` for an identity that [`identify`] did not let in.
    pub(super) fn of(identity: &Identity) -> Option<Self> {
        let wanted = Wanted::parse(identity)?;
        Some(Self {
            wanted,
            known: Vec::new(),
            came: 0,
        })
    }

    /// The replies to a message.
    pub(super) fn replies(&mut self, message: Message) -> Vec<Message> {
        let Wanted { way, count, pool } = self.wanted;
        if self.known.len() < pool {
            self.known.push(message.clone());
            return vec![message];
        }
        if way == Way::In {
            return self.known.iter().cycle().take(count).cloned().collect();
        }
        let place = self.came;
        self.came = (place + 1) % count;
        if self.known.get(place % pool) != Some(&message) {
            let what = format!("message {place} of a burst is missing, changed or out of order");
            return vec![what.into()];
        }
        match self.came {
            0 => vec![message],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bursts(credential: &str) -> Option<Bursts> {
        Bursts::of(&identify(credential).ok()?)
    }

    #[test]
    fn a_credential_says_what_is_wanted() {
        for credential in ["way=in&count=2&pool=1", "way=out&count=10000&pool=10000"] {
            assert!(bursts(credential).is_some(), "{credential}");
        }
        for credential in [
            "",
            "way=in",
            "way=up&count=2&pool=1",
            "way=in&count=0&pool=1",
            "way=in&count=2&pool=10001",
            "count=2&way=in&pool=1",
        ] {
            assert!(bursts(credential).is_none(), "{credential}");
        }
    }

    #[test]
    fn the_first_messages_come_back_and_then_go_one_way() {
        let said = |bursts: &mut Bursts, text: &str| -> Vec<String> {
            let replies = bursts.replies(text.into());
            let text = |reply| match reply {
                Message::Text(text) => text.to_string(),
                Message::Binary(_) => panic!("not binary"),
            };
            replies.into_iter().map(text).collect()
        };
        let mut inward = bursts("way=in&count=3&pool=2").unwrap();
        assert_eq!(said(&mut inward, "a"), ["a"]);
        assert_eq!(said(&mut inward, "b"), ["b"]);
        assert_eq!(said(&mut inward, "more"), ["a", "b", "a"]);

        let mut outward = bursts("way=out&count=3&pool=2").unwrap();
        for text in ["a", "b"] {
            assert_eq!(said(&mut outward, text), [text]);
        }
        assert!(said(&mut outward, "a").is_empty());
        assert!(said(&mut outward, "b").is_empty());
        assert_eq!(said(&mut outward, "a"), ["a"]);
        assert!(said(&mut outward, "a").is_empty());
        let wrong = "message 1 of a burst is missing, changed or out of order";
        assert_eq!(said(&mut outward, "a"), [wrong]);
    }
}
