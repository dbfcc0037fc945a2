//! Typed endpoints: path, messages and codecs, declared once for both ends.

#[cfg(feature = "json")]
use crate::control;
use crate::{Codec, Decode, DecodeError, Encode, EncodeError, Fault, Message, MessageKind};

/// A typed endpoint of a server. Declare one with [`endpoint!`](crate::endpoint!).
pub trait Endpoint: 'static {
    /// The path of its URL, such as `/hello`.
    const PATH: &'static str;
    /// What a client sends.
    type ClientMessage;
    /// What the server sends.
    type ServerMessage;
    /// The sub-protocols that it speaks.
    const SUBPROTOCOLS: &'static [Subprotocol<Self::ClientMessage, Self::ServerMessage>];
}

/// Says that an endpoint supports the codec `C`, and under which name. A client requires `E: Offers<C>`, so
/// that a codec that the endpoint does not offer is a compile error.
#[diagnostic::on_unimplemented(
    message = "the endpoint `{Self}` does not offer the codec `{C}`",
    note = "its declaration (`endpoint!`) lists the codecs that it offers"
)]
pub trait Offers<C: Codec>: Endpoint {
    /// The name of the codec's sub-protocol.
    const SUBPROTOCOL: &'static str;
}

/// Says that every codec of an endpoint encodes a `T`: what an end needs to send values beside the endpoint's own messages,
/// such as requests, in the codec that was negotiated. [`endpoint!`](crate::endpoint!) implements it, unless a sub-protocol in
/// the declaration has an attribute.
#[diagnostic::on_unimplemented(
    message = "not every codec of the endpoint `{Self}` encodes `{T}`",
    note = "`Json` and `MsgPack` need `{T}: serde::Serialize`"
)]
pub trait Encodes<T>: Endpoint {
    /// Encodes a value as the sub-protocol of this name does.
    ///
    /// # Errors
    ///
    /// If the codec cannot encode it, or the endpoint has no such sub-protocol.
    fn encode(subprotocol: &str, value: &T) -> Result<Message, EncodeError>;
}

/// Likewise for decoding.
#[diagnostic::on_unimplemented(
    message = "not every codec of the endpoint `{Self}` decodes `{T}`",
    note = "`Json` and `MsgPack` need `{T}: serde::de::DeserializeOwned`"
)]
pub trait Decodes<T>: Endpoint {
    /// Decodes a message as the sub-protocol of this name does.
    ///
    /// # Errors
    ///
    /// If the message is not one of this type, or the endpoint has no such sub-protocol.
    fn decode(subprotocol: &str, message: Message) -> Result<T, DecodeError>;
}

/// One sub-protocol of an endpoint: a name and its codec, for a client that sends `In` and a server that
/// sends `Out`.
#[derive(Debug)]
pub struct Subprotocol<In, Out> {
    /// The name negotiated in `Sec-WebSocket-Protocol`.
    pub name: &'static str,
    /// The codec's name.
    pub codec: &'static str,
    /// The kind of message that the codec uses.
    pub kind: MessageKind,
    /// Encodes a message of the client.
    pub encode_client: fn(&In) -> Result<Message, EncodeError>,
    /// Decodes a message of the client.
    pub decode_client: fn(Message) -> Result<In, DecodeError>,
    /// Encodes a message of the server.
    pub encode_server: fn(&Out) -> Result<Message, EncodeError>,
    /// Decodes a message of the server.
    pub decode_server: fn(Message) -> Result<Out, DecodeError>,
}

impl<In, Out> Subprotocol<In, Out> {
    /// The sub-protocol called `name` with the codec `C`.
    #[must_use]
    pub const fn of<C>(name: &'static str) -> Self
    where
        C: Encode<In> + Decode<In> + Encode<Out> + Decode<Out>,
    {
        Self {
            name,
            codec: C::NAME,
            kind: C::KIND,
            encode_client: <C as Encode<In>>::encode,
            decode_client: <C as Decode<In>>::decode,
            encode_server: <C as Encode<Out>>::encode,
            decode_server: <C as Decode<Out>>::decode,
        }
    }
}

impl<In, Out> Clone for Subprotocol<In, Out> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<In, Out> Copy for Subprotocol<In, Out> {}

/// Declares an [`Endpoint`]: its type, its path, the messages of both sides, and the sub-protocols
/// with their codecs.
///
/// ```
/// # #[cfg(all(feature = "json", feature = "msgpack"))] {
/// use serde::{Deserialize, Serialize};
/// use steady_socket_protocol::{Endpoint, Json, MsgPack, Offers, endpoint};
///
/// #[derive(Serialize, Deserialize)]
/// pub enum Command { Add(i64) }
///
/// #[derive(Serialize, Deserialize)]
/// pub struct Sum(i64);
///
/// endpoint! {
///     /// Adds up.
///     pub Adder at "/add" {
///         client: Command,
///         server: Sum,
///         "add.json" => Json,
///         "add.msgpack" => MsgPack,
///     }
/// }
///
/// assert_eq!(Adder::PATH, "/add");
/// assert_eq!(<Adder as Offers<MsgPack>>::SUBPROTOCOL, "add.msgpack");
/// # }
/// ```
///
/// The compiler rejects a codec that is not listed, wherever a client or a server asks for it:
///
/// ```compile_fail,E0277
/// use steady_socket_protocol::{Json, Offers, PlainText, endpoint};
///
/// endpoint! {
///     /// Sends strings back.
///     pub Strings at "/strings" {
///         client: String,
///         server: String,
///         "strings.json" => Json,
///     }
/// }
///
/// fn client<E: Offers<C>, C: steady_socket_protocol::Codec>() {}
///
/// client::<Strings, Json>();
/// client::<Strings, PlainText>(); // the trait bound `Strings: Offers<PlainText>` is not satisfied
/// ```
///
/// It also rejects a sub-protocol name that is not a token, and a path without a leading slash:
///
/// ```compile_fail,E0080
/// # use steady_socket_protocol::{Json, endpoint};
/// endpoint! {
///     /// Has a space in its sub-protocol's name.
///     pub Wrong at "/wrong" {
///         client: String,
///         server: String,
///         "wrong name" => Json,
///     }
/// }
/// ```
#[macro_export]
macro_rules! endpoint {
    (
        $(#[$attribute:meta])*
        $visibility:vis $endpoint:ident at $path:literal {
            client: $client:ty,
            server: $server:ty,
            $( $name:literal => $codec:ty ),+ $(,)?
        }
    ) => {
        $crate::endpoint! {
            @declare
            $(#[$attribute])*
            $visibility $endpoint at $path {
                client: $client,
                server: $server,
                $( $name => $codec, )+
            }
        }

        impl<T> $crate::Encodes<T> for $endpoint
        where
            $( $codec: $crate::Encode<T>, )+
        {
            fn encode(subprotocol: &str, value: &T) -> ::core::result::Result<$crate::Message, $crate::EncodeError> {
                match subprotocol {
                    $( $name => <$codec as $crate::Encode<T>>::encode(value), )+
                    _ => ::core::result::Result::Err($crate::no_such_subprotocol().0),
                }
            }
        }

        impl<T> $crate::Decodes<T> for $endpoint
        where
            $( $codec: $crate::Decode<T>, )+
        {
            fn decode(subprotocol: &str, message: $crate::Message) -> ::core::result::Result<T, $crate::DecodeError> {
                match subprotocol {
                    $( $name => <$codec as $crate::Decode<T>>::decode(message), )+
                    _ => ::core::result::Result::Err($crate::no_such_subprotocol().1),
                }
            }
        }
    };
    // A bound cannot depend on an attribute such as `cfg`.
    (
        $(#[$attribute:meta])*
        $visibility:vis $endpoint:ident at $path:literal {
            client: $client:ty,
            server: $server:ty,
            $( $(#[$entry:meta])* $name:literal => $codec:ty ),+ $(,)?
        }
    ) => {
        $crate::endpoint! {
            @declare
            $(#[$attribute])*
            $visibility $endpoint at $path {
                client: $client,
                server: $server,
                $( $(#[$entry])* $name => $codec, )+
            }
        }
    };
    (
        @declare
        $(#[$attribute:meta])*
        $visibility:vis $endpoint:ident at $path:literal {
            client: $client:ty,
            server: $server:ty,
            $( $(#[$entry:meta])* $name:literal => $codec:ty, )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $endpoint {}

        impl $crate::Endpoint for $endpoint {
            const PATH: &'static str = $path;
            type ClientMessage = $client;
            type ServerMessage = $server;
            const SUBPROTOCOLS: &'static [$crate::Subprotocol<$client, $server>] = &[
                $( $(#[$entry])* $crate::Subprotocol::of::<$codec>($name) ),+
            ];
        }

        const _: () = assert!(
            matches!($path.as_bytes(), [b'/', ..]),
            "an endpoint's path must start with a slash"
        );

        $(
            $(#[$entry])*
            impl $crate::Offers<$codec> for $endpoint {
                const SUBPROTOCOL: &'static str = $name;
            }

            const _: () = assert!(
                $crate::is_token($name),
                "a sub-protocol's name may contain only letters, digits and !#$%&'*+-.^_`|~"
            );
        )+
    };
}

/// For a name that [`Encodes`] and [`Decodes`] are never asked for.
#[doc(hidden)]
#[must_use]
pub fn no_such_subprotocol() -> (EncodeError, DecodeError) {
    const NONE: &str = "none";
    const DETAIL: &str = "the endpoint has no such sub-protocol";
    let nothing = Message::Binary(Vec::new());
    let decode = DecodeError::malformed(NONE, Fault::Mismatch, None, &nothing, Some(DETAIL));
    (EncodeError::new(NONE, DETAIL), decode)
}

/// Whether `name` is a token (RFC 9110), as the name of a sub-protocol must be.
#[doc(hidden)]
#[must_use]
pub const fn is_token(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' => {}
            _ => return false,
        }
        index += 1;
    }
    !bytes.is_empty()
}

/// The server's choice for a connection.
#[cfg(feature = "json")]
#[derive(Debug)]
pub struct Negotiated<In, Out> {
    /// The chosen sub-protocol.
    pub subprotocol: Subprotocol<In, Out>,
    /// The value of `Sec-WebSocket-Protocol` in the response; `None` if the client offered nothing, because
    /// the response must then omit the header.
    pub answer: Option<String>,
    /// Whether control messages are used beside the endpoint's (see [`control`](mod@crate::control)).
    pub controls: bool,
}

/// The client offered only sub-protocols that the endpoint does not support. A server answers 400.
#[cfg(feature = "json")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSubprotocols {
    /// The names that the endpoint supports.
    pub known: Vec<&'static str>,
}

#[cfg(feature = "json")]
impl std::fmt::Display for UnknownSubprotocols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "unsupported sub-protocols: offer {}, or none for JSON",
            self.known.join(" or ")
        )
    }
}

#[cfg(feature = "json")]
impl std::error::Error for UnknownSubprotocols {}

/// Chooses the sub-protocol of a connection to the endpoint `E`, for a server by hand: the crate `steady-socket-server` does
/// this and what follows from it. If [`Negotiated::controls`] is set, the server has to speak
/// [control messages](crate::control), or `~ping` would reach its decoder.
///
/// `offered` is the value of the request's
/// `Sec-WebSocket-Protocol`; join several such headers with commas first.
///
/// The first name that the endpoint knows wins, since clients list names by preference; followed by
/// [`control::SUFFIX`], it also asks for control messages. Names are compared case-sensitively, as the RFC
/// requires; white space around them and empty items are ignored. If none is offered, the choice is JSON,
/// which is what a client means that knows nothing of sub-protocols; hence the bound on `E`.
///
/// # Errors
///
/// If names were offered and none is known.
#[cfg(feature = "json")]
pub fn negotiate<E>(
    offered: Option<&str>,
) -> Result<Negotiated<E::ClientMessage, E::ServerMessage>, UnknownSubprotocols>
where
    E: Offers<crate::Json>,
    crate::Json: Encode<E::ClientMessage>
        + Decode<E::ClientMessage>
        + Encode<E::ServerMessage>
        + Decode<E::ServerMessage>,
{
    let mut names = offered
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']))
        .filter(|name| !name.is_empty())
        .peekable();
    if names.peek().is_none() {
        let subprotocol = Subprotocol::of::<crate::Json>(E::SUBPROTOCOL);
        return Ok(Negotiated {
            subprotocol,
            answer: None,
            controls: false,
        });
    }
    let known = |name: &str| E::SUBPROTOCOLS.iter().find(|known| known.name == name);
    names
        .find_map(|name| {
            let (subprotocol, controls) = match name.strip_suffix(control::SUFFIX).and_then(known) {
                Some(subprotocol) => (subprotocol, true),
                None => (known(name)?, false),
            };
            Some(Negotiated {
                subprotocol: *subprotocol,
                answer: Some(name.to_owned()),
                controls,
            })
        })
        .ok_or_else(|| UnknownSubprotocols {
            known: E::SUBPROTOCOLS.iter().map(|known| known.name).collect(),
        })
}

#[cfg(all(test, feature = "json", feature = "msgpack"))]
mod tests {
    use super::*;
    use crate::{Json, MsgPack, hello::Hello};

    #[test]
    fn the_first_known_offer_wins() {
        let json = ("json", Some("hello.json"));
        let msgpack = ("msgpack", Some("hello.msgpack"));
        let nothing = ("json", None);
        let cases = [
            (None, nothing),
            (Some(""), nothing),
            (Some(" \t"), nothing),
            (Some(",, ,"), nothing),
            (Some("hello.json"), json),
            (Some("hello.msgpack"), msgpack),
            (Some("hello.msgpack, hello.json"), msgpack),
            (Some("hello.json,hello.msgpack"), json),
            (Some("other, hello.msgpack"), msgpack),
            (Some("\t hello.msgpack\t ,,"), msgpack),
            (Some("hello.json, hello.json"), json),
        ];
        for (offered, expected) in cases {
            let chosen = negotiate::<Hello>(offered).unwrap();
            assert_eq!(
                (chosen.subprotocol.codec, chosen.answer.as_deref()),
                expected,
                "{offered:?}"
            );
            assert!(!chosen.controls, "{offered:?}");
        }
    }

    #[test]
    fn control_messages_are_asked_for_by_the_suffix() {
        let chosen = negotiate::<Hello>(Some("hello.msgpack~1, hello.msgpack")).unwrap();
        assert_eq!(chosen.subprotocol.codec, "msgpack");
        assert_eq!(
            (chosen.answer.as_deref(), chosen.controls),
            (Some("hello.msgpack~1"), true)
        );
        // Another version, or after the plain name in the client's order.
        for offered in ["hello.json~2, hello.json", "hello.json, hello.json~1"] {
            let chosen = negotiate::<Hello>(Some(offered)).unwrap();
            assert!(!chosen.controls, "{offered}");
        }
        for unknown in ["~1", "other~1", "hello.json~1~1"] {
            assert!(negotiate::<Hello>(Some(unknown)).is_err(), "{unknown}");
        }
    }

    #[test]
    fn only_unknown_offers_are_an_error_that_names_the_known() {
        for offered in [
            "other",
            "HELLO.JSON",
            "hello.json.2",
            "hello json",
            "a, b",
            "hello.json;q=1",
        ] {
            let error = negotiate::<Hello>(Some(offered))
                .map(|chosen| chosen.answer)
                .unwrap_err();
            assert_eq!(error.known, ["hello.json", "hello.msgpack"], "{offered}");
            assert!(
                error.to_string().contains("hello.json or hello.msgpack"),
                "{error}"
            );
            assert!(
                !error.to_string().contains("q=1"),
                "the error quotes the client: {error}"
            );
        }
    }

    #[test]
    fn the_declaration_says_it_once() {
        assert_eq!(Hello::PATH, "/hello");
        assert_eq!(<Hello as Offers<Json>>::SUBPROTOCOL, "hello.json");
        assert_eq!(<Hello as Offers<MsgPack>>::SUBPROTOCOL, "hello.msgpack");
        let listed: Vec<_> = Hello::SUBPROTOCOLS
            .iter()
            .map(|s| (s.name, s.codec, s.kind))
            .collect();
        let expected = [
            ("hello.json", "json", MessageKind::Text),
            ("hello.msgpack", "msgpack", MessageKind::Binary),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn tokens() {
        assert!(is_token("graphql-transport-ws") && is_token("v1.x+y~"));
        for wrong in ["", "a b", "a,b", "a/b", "é", "a\"", "(a)"] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }
}
