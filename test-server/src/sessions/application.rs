//! What the endpoints do with messages and requests.

use std::collections::VecDeque;

use steady_socket_protocol::hello::{ClientMessage, Hello, ServerMessage, greeting, validate_name};
use steady_socket_protocol::session::frame::{Answer, Data, Refusal};
use steady_socket_protocol::{Endpoint as _, Message};

use super::{Body, Codec, Endpoint, Query};
use crate::Transcript;

/// What answers at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Application {
    /// Every message comes back to its sender; the response to a request is the request.
    Echo,
    /// Every message is answered with a greeting, as at `/hello`; so is a request.
    Hello,
    /// Every message goes to all clients, in one order. It answers no requests.
    Room,
    /// What a measurement of one direction needs. It answers no requests.
    Burst(Burst),
}

/// Bursts in one direction. The first `pool` messages come back. Then they repeat in a cycle, and every burst of `count`
/// starts with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
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

impl Burst {
    /// The longest burst, and the most messages to repeat.
    const MOST: usize = 10_000;

    fn wanted(query: &Query) -> Option<Self> {
        let way = match query.way.as_deref()? {
            "in" => Way::In,
            "out" => Way::Out,
            _ => return None,
        };
        let number = |field: &Option<String>| {
            let number = field.as_deref()?.parse().ok()?;
            (1..=Self::MOST).contains(&number).then_some(number)
        };
        Some(Self {
            way,
            count: number(&query.count)?,
            pool: number(&query.pool)?,
        })
    }
}

/// What a session at [`Application::Burst`] remembers.
#[derive(Debug, Default)]
pub(super) struct Progress {
    known: Vec<Body>,
    /// How many messages of the current burst have come.
    came: usize,
}

impl Application {
    /// `None` if there is none of this name, or if the query does not say what it has to do.
    pub(super) fn named(name: &str, query: &Query) -> Option<Self> {
        match name {
            "echo" => Some(Self::Echo),
            "hello" => Some(Self::Hello),
            "room" => Some(Self::Room),
            "burst" => Burst::wanted(query).map(Self::Burst),
            _ => None,
        }
    }
}

impl Progress {
    /// The replies to a message.
    fn replies(&mut self, burst: Burst, body: &Body) -> VecDeque<Body> {
        if self.known.len() < burst.pool {
            self.known.push(body.clone());
            return VecDeque::from([body.clone()]);
        }
        if burst.way == Way::In {
            return self
                .known
                .iter()
                .cycle()
                .take(burst.count)
                .cloned()
                .collect();
        }
        let place = self.came;
        self.came = (place + 1) % burst.count;
        if self
            .known
            .get(place % burst.pool)
            .is_none_or(|known| known.0 != body.0)
        {
            let what = format!("message {place} of a burst is missing, changed or out of order");
            return VecDeque::from([Body::new(Data::Text(what.into()))]);
        }
        match self.came {
            0 => VecDeque::from([body.clone()]),
            _ => VecDeque::new(),
        }
    }
}

impl Endpoint {
    /// The replies to a message, for its sender alone.
    pub(super) fn replies(
        &self,
        progress: &mut Progress,
        body: &Body,
        transcript: &Transcript,
    ) -> VecDeque<Body> {
        match self.application {
            Application::Burst(burst) => progress.replies(burst, body),
            _ => self.reply(body, transcript).into_iter().collect(),
        }
    }

    /// The reply to a message that does not depend on earlier ones.
    pub(super) fn reply(&self, body: &Body, transcript: &Transcript) -> Option<Body> {
        match self.application {
            Application::Echo => Some(body.clone()),
            Application::Hello => Some(self.greet(body, transcript)),
            Application::Room | Application::Burst(_) => None,
        }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, body: &Body, transcript: &Transcript) -> Answer<Body> {
        match self.reply(body, transcript) {
            Some(reply) => Answer::Response(reply),
            None => Answer::Refused(Refusal::NoHandler),
        }
    }

    fn greet(&self, body: &Body, transcript: &Transcript) -> Body {
        let greet = |name: &str| {
            validate_name(name).map(|()| {
                let text = greeting(name);
                transcript.exchange(name, &text);
                text
            })
        };
        let typed = Hello::SUBPROTOCOLS.iter().find(|known| {
            known.codec
                == match self.codec {
                    Codec::Json => "json",
                    Codec::MsgPack => "msgpack",
                    Codec::Text => "",
                }
        });
        let Some(typed) = typed else {
            let text = match body.data() {
                Data::Text(name) => greet(&name).unwrap_or_else(|invalid| invalid.to_string()),
                Data::Binary(_) => "this endpoint accepts only text messages".to_owned(),
            };
            return Body::new(Data::Text(text.into()));
        };
        let reply = match (typed.decode_client)(message_of(body.data())) {
            Ok(ClientMessage::Hello { name }) => match greet(&name) {
                Ok(text) => ServerMessage::Greeting { text },
                Err(reason) => ServerMessage::Invalid { reason },
            },
            Err(error) => ServerMessage::Malformed {
                text: error.to_string(),
            },
        };
        let encoded = (typed.encode_server)(&reply).map(|message| match message {
            Message::Text(text) => Data::Text(text.into()),
            Message::Binary(bytes) => Data::Binary(bytes.into()),
        });
        Body::new(encoded.unwrap_or_else(|error| Data::Text(error.to_string().into())))
    }
}

fn message_of(data: Data<'_>) -> Message {
    match data {
        Data::Text(text) => Message::Text(text.into_owned()),
        Data::Binary(bytes) => Message::Binary(bytes.into_owned()),
    }
}
