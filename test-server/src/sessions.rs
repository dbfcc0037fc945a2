//! Sessions at `/session/echo`, `/session/hello`, `/session/room` and, for measurements, `/session/burst`: a dialogue
//! outlives its connections.
//!
//! The server crate does all of it; here is what the endpoints do with messages. These are taken as they are, in whatever
//! codec, so that the tests can send anything.

mod burst;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use steady_socket_protocol::hello::{ClientMessage, Hello, ServerMessage, greeting, validate_name};
use steady_socket_protocol::{
    DecodeError, Decodes, EncodeError, Encodes, Endpoint, Message, MessageKind, Request,
    Subprotocol,
};
use steady_socket_server::{
    Credential, Group, Handle, Handshake, Identity, InvalidOptions, Options, Peer, SendError,
    Server,
};
use warp::http::HeaderMap;

use crate::connection::WebSocket;
use crate::{Config, Transcript};

/// The endpoints with sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    echo: Server<Echo>,
    hello: Server<Greeter>,
    room: Server<Room>,
    burst: Server<Burst>,
}

/// A client that is let in.
pub(crate) struct Admitted {
    /// The sub-protocol to answer.
    pub(crate) subprotocol: Option<String>,
    /// Serves its socket until the end, or until the other future resolves, with a code and a reason.
    pub(crate) serve: Serve,
}

pub(crate) type Serve = Box<dyn FnOnce(WebSocket, Leave) -> Serving + Send>;
pub(crate) type Leave = Pin<Box<dyn Future<Output = (u16, String)> + Send>>;
type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Sessions {
    /// # Errors
    ///
    /// If the configuration is out of the range of sessions.
    pub(crate) fn new(config: &Config, secure: bool) -> Result<Self, InvalidOptions> {
        let options = Options {
            allow_origins: config.allow_origins.clone(),
            require_origin: config.require_origin,
            secure,
            sessions: steady_socket_server::Sessions::Required,
            max_message_bytes: config.max_message_bytes,
            // The registry has counted the connection already.
            max_connections: usize::MAX,
            ping_interval: config.ping_interval,
            idle_timeout: config.idle_timeout,
            close_timeout: config.close_timeout,
            ..Options::default()
        };
        let transcript = Arc::new(config.transcript.clone());
        let room = Group::new();
        Ok(Self {
            echo: builder(&options)
                .on_request(async |_: Handle<Echo>, Raw(message)| Ok(Raw(message)))
                .build(|peer| answers(peer, |_, message| Some(message)))?,
            hello: builder(&options)
                .on_request({
                    let transcript = Arc::clone(&transcript);
                    move |handle: Handle<Greeter>, Raw(message)| {
                        let reply = greet(handle.subprotocol(), message, &transcript);
                        async move { Ok(Raw(reply)) }
                    }
                })
                .build(move |peer| {
                    let transcript = Arc::clone(&transcript);
                    answers(peer, move |peer, message| {
                        Some(greet(peer.subprotocol(), message, &transcript))
                    })
                })?,
            room: builder(&options).build(move |peer| {
                let room: Group<Room> = room.clone();
                async move {
                    let _membership = room.join(&peer);
                    let say = move |_: &Handle<Room>, message| {
                        // What one can send, all can.
                        let _ = room.send(&message);
                        None
                    };
                    answers(peer, say).await;
                }
            })?,
            burst: builder(&options)
                .authenticate(async |wanted: Option<Credential>| {
                    burst::identify(wanted.as_ref().map_or("", Credential::as_str))
                })
                .build(one_way)?,
        })
    }

    /// Admits a client of the endpoint at a path; `None` if the path has no sessions.
    ///
    /// # Errors
    ///
    /// What to offer instead.
    pub(crate) async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Admitted, String>> {
        match path {
            Echo::PATH => Some(admit(&self.echo, headers).await),
            Greeter::PATH => Some(admit(&self.hello, headers).await),
            Room::PATH => Some(admit(&self.room, headers).await),
            Burst::PATH => Some(admit(&self.burst, headers).await),
            _ => None,
        }
    }

    /// The longest frame to read, in bytes.
    pub(crate) fn longest_frame(&self) -> usize {
        self.echo.longest_frame()
    }
}

async fn admit<E: Endpoint>(server: &Server<E>, headers: &HeaderMap) -> Result<Admitted, String> {
    let admission = server
        .admit(&Handshake::new(headers))
        .await
        .map_err(|refused| refused.to_string())?;
    Ok(Admitted {
        subprotocol: admission.subprotocol().map(str::to_owned),
        serve: Box::new(move |socket, leave| Box::pin(admission.serve_until(socket, leave))),
    })
}

/// Everybody is let in. The credential is a name, and a session belongs to the name that began it.
fn builder<E: Endpoint>(options: &Options) -> steady_socket_server::ServerBuilder<E> {
    Server::builder()
        .options(options.clone())
        .authenticate(async |name: Option<Credential>| {
            let name = name.as_ref().map_or("", Credential::as_str);
            Ok(Identity(name.to_owned()))
        })
}

/// Answers each message: a volatile one with a volatile one.
async fn answers<E>(mut peer: Peer<E>, reply: impl Fn(&Handle<E>, Message) -> Option<Message>)
where
    E: Endpoint<ClientMessage = Message, ServerMessage = Message>,
{
    while let Some(Ok(message)) = peer.next().await {
        let Some(reply) = reply(&peer, message) else {
            continue;
        };
        let sent = match peer.message_number() {
            Some(_) => peer.send(&reply).await,
            None => peer.send_volatile(&reply).map(|_| ()),
        };
        // A reply that is too large for the client has nobody to go to.
        if sent == Err(SendError::Closed) {
            return;
        }
    }
}

async fn one_way(mut peer: Peer<Burst>) {
    let Some(mut bursts) = peer.identity().and_then(burst::Bursts::of) else {
        return;
    };
    while let Some(Ok(message)) = peer.next().await {
        for reply in bursts.replies(message) {
            if peer.send(&reply).await == Err(SendError::Closed) {
                return;
            }
        }
    }
}

/// The greeting of a name, in the codec of the sub-protocol.
fn greet(subprotocol: &str, message: Message, transcript: &Transcript) -> Message {
    let greet = |name: &str| {
        validate_name(name).map(|()| {
            let text = greeting(name);
            transcript.exchange(name, &text);
            text
        })
    };
    let typed = Hello::SUBPROTOCOLS
        .iter()
        .find(|known| known.name == subprotocol);
    let Some(typed) = typed else {
        return match message {
            Message::Text(name) => greet(&name).unwrap_or_else(|invalid| invalid.to_string()),
            Message::Binary(_) => "this endpoint accepts only text messages".to_owned(),
        }
        .into();
    };
    let reply = match (typed.decode_client)(message) {
        Ok(ClientMessage::Hello { name }) => match greet(&name) {
            Ok(text) => ServerMessage::Greeting { text },
            Err(reason) => ServerMessage::Invalid { reason },
        },
        Err(error) => ServerMessage::Malformed {
            text: error.to_string(),
        },
    };
    (typed.encode_server)(&reply).unwrap_or_else(|error| error.to_string().into())
}

/// A request, and its response, as it is.
struct Raw(Message);

impl Request for Raw {
    type Response = Self;
    type Error = Infallible;
}

const fn raw(
    name: &'static str,
    codec: &'static str,
    kind: MessageKind,
) -> Subprotocol<Message, Message> {
    Subprotocol {
        name,
        codec,
        kind,
        encode_client: as_it_is,
        decode_client: Ok,
        encode_server: as_it_is,
        decode_server: Ok,
    }
}

fn as_it_is(message: &Message) -> Result<Message, EncodeError> {
    Ok(message.clone())
}

/// Declares an endpoint whose messages are taken as they are.
macro_rules! raw_endpoint {
    ($(#[$attribute:meta])* $endpoint:ident at $path:literal, $json:literal, $msgpack:literal) => {
        $(#[$attribute])*
        #[derive(Debug)]
        enum $endpoint {}

        impl Endpoint for $endpoint {
            const PATH: &'static str = $path;
            type ClientMessage = Message;
            type ServerMessage = Message;
            const SUBPROTOCOLS: &'static [Subprotocol<Message, Message>] = &[
                raw($json, "json", MessageKind::Text),
                raw($msgpack, "msgpack", MessageKind::Binary),
                // That of clients without a name of their own.
                raw("steady", "text", MessageKind::Text),
            ];
        }

        impl Encodes<Raw> for $endpoint {
            fn encode(_: &str, Raw(message): &Raw) -> Result<Message, EncodeError> {
                Ok(message.clone())
            }
        }

        impl Encodes<Infallible> for $endpoint {
            fn encode(_: &str, never: &Infallible) -> Result<Message, EncodeError> {
                match *never {}
            }
        }

        impl Decodes<Raw> for $endpoint {
            fn decode(_: &str, message: Message) -> Result<Raw, DecodeError> {
                Ok(Raw(message))
            }
        }
    };
}

raw_endpoint! {
    /// Every message comes back to its sender; the response to a request is the request.
    Echo at "/session/echo", "echo.json", "echo.msgpack"
}

raw_endpoint! {
    /// Every message is answered with a greeting, as at `/hello`; so is a request.
    Greeter at "/session/hello", "hello.json", "hello.msgpack"
}

raw_endpoint! {
    /// Every message goes to all clients, in one order. It answers no requests.
    Room at "/session/room", "room.json", "room.msgpack"
}

raw_endpoint! {
    /// Bursts in one direction. It answers no requests.
    Burst at "/session/burst", "burst.json", "burst.msgpack"
}
