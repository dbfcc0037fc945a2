//! What the endpoints do with messages and requests.

use steady_socket_protocol::hello::{ClientMessage, Hello, ServerMessage, greeting, validate_name};
use steady_socket_protocol::session::frame::{Answer, Data, Refusal};
use steady_socket_protocol::{Endpoint as _, Message};

use super::{Body, Codec, Endpoint};
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
}

impl Application {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "echo" => Some(Self::Echo),
            "hello" => Some(Self::Hello),
            "room" => Some(Self::Room),
            _ => None,
        }
    }
}

impl Endpoint {
    /// The reply to a message, for its sender alone.
    pub(super) fn reply(&self, body: &Body, transcript: &Transcript) -> Option<Body> {
        match self.application {
            Application::Echo => Some(body.clone()),
            Application::Hello => Some(self.greet(body, transcript)),
            Application::Room => None,
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
