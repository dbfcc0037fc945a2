//! Typed WebSocket classes for JavaScript, built from an endpoint that client and server share.
//!
//! A crate that wasm-pack builds names an endpoint, and its users get a class whose messages have TypeScript
//! types generated from the Rust types, so that a wrong field is an error in their editor:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use steady_socket_export::export_socket;
//! use steady_socket_export::steady_socket::{Json, protocol::endpoint};
//! use tsify::Tsify;
//!
//! /// What a client asks.
//! #[derive(Serialize, Deserialize, Tsify)]
//! pub struct Question { text: String }
//!
//! /// What the server answers.
//! #[derive(Serialize, Deserialize, Tsify)]
//! pub struct Answer { text: String, seconds: Option<f64> }
//!
//! endpoint! {
//!     /// Answers questions.
//!     pub Oracle at "/oracle" {
//!         client: Question,
//!         server: Answer,
//!         "oracle.json" => Json,
//!     }
//! }
//!
//! export_socket! {
//!     /// Asks the oracle.
//!     pub OracleSocket: Oracle, codec Json
//! }
//! # fn main() {}
//! ```
//!
//! In TypeScript, then:
//!
//! ```ts
//! import init, { OracleSocket } from './pkg/oracle.js';
//! await init();
//! const socket = new OracleSocket('wss://example.org');
//! socket.send({ text: 'When?' });       // { txt: 'When?' } does not compile
//! for await (const answer of socket) console.log(answer.seconds?.toFixed(1));
//! ```
//!
//! In JavaScript, messages are plain objects. A message to send is converted to the Rust type and encoded by
//! the endpoint's codec; a received message is decoded as the Rust type and converted to the form that serde
//! gives it in JSON, which is also the form that [`tsify`] declares. A 64-bit integer is a `number` of at
//! most 2⁵³ − 1 either way; one beyond that is an error, never rounded.
//!
//! [`tsify`]: https://docs.rs/tsify

mod convert;
mod error;
mod events;
mod iterator;
#[cfg(feature = "session")]
mod names;
mod options;
#[cfg(feature = "session")]
mod session;
mod socket;

#[cfg(feature = "session")]
pub use session::ExportedSession;
pub use socket::ExportedSocket;
pub use steady_socket;

/// The declarations that exported classes share with `ReconnectingWebSocket`.
#[wasm_bindgen::prelude::wasm_bindgen(typescript_custom_section)]
const SHARED_DECLARATIONS: &str = steady_socket::options::DECLARATIONS;

/// The declarations that every exported class uses.
#[wasm_bindgen::prelude::wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = include_str!("socket.d.ts");

/// The declarations that classes with sessions use.
#[cfg(feature = "session")]
#[wasm_bindgen::prelude::wasm_bindgen(typescript_custom_section)]
const SESSION_DECLARATIONS: &str = include_str!("session.d.ts");

/// The names that the expansion of [`export_socket!`] uses.
#[doc(hidden)]
pub mod __private {
    pub use js_sys::Promise;
    pub use tsify::Tsify;
    pub use wasm_bindgen::{self, JsValue};

    pub use crate::iterator::MessageIterator;
    #[cfg(feature = "session")]
    pub use crate::names::{Known, Named, join, length, text};
    pub use steady_socket::protocol::{Endpoint, Request};

    /// Converts a message to a JavaScript value, for measurements.
    pub fn to_js<T: serde::Serialize>(message: &T) -> Result<JsValue, JsValue> {
        crate::convert::to_js(message).map_err(|unfit| crate::socket::thrown(MEASURED, "", unfit))
    }

    /// Converts a JavaScript value to a message, for measurements.
    pub fn from_js<T>(message: &JsValue) -> Result<T, JsValue>
    where
        T: serde::Serialize + serde::de::DeserializeOwned,
    {
        crate::convert::from_js(message).map_err(|unfit| crate::socket::thrown(MEASURED, "", unfit))
    }

    const MEASURED: crate::error::Class = crate::error::Class("measured");
}

/// Exports a class for an endpoint: `pub ChatSocket: Chat, codec Json`.
///
/// The endpoint's messages derive [`Tsify`](https://docs.rs/tsify) beside serde's traits, and the endpoint
/// offers the codec. The crate depends on `wasm-bindgen`, like every crate that exports something. The class
/// is an [`ExportedSocket`]; `docs/rust-types.md` in the repository shows its JavaScript side.
///
/// With the feature `session`, a class has a session if the macro says so, and what either end may ask of the other:
///
/// ```text
/// export_socket! {
///     /// Sells tea.
///     pub ShopSocket: Shop, codec Json, session {
///         requests: Ask, by: "type";
///         handles: Question;
///     }
/// }
/// ```
///
/// Either line may be missing. `Ask` and `Question` are [`Request`](steady_socket::protocol::Request)s; they, their
/// responses and their errors derive `Tsify` as well, or are a number, a string, a `bool` or `()`. With `by`, the response
/// to a request has the same value in that field, which is checked when it arrives: then TypeScript knows which variant of
/// the responses belongs to which variant of the requests.
#[macro_export]
macro_rules! export_socket {
    (
        $(#[doc = $doc:expr])*
        $visibility:vis $class:ident: $endpoint:ty, codec $codec:ty $(,)?
    ) => {
        $crate::export_socket! {
            @class [$($doc)*] [$visibility] $class: $endpoint, $codec,
            [$crate::ExportedSocket<$endpoint, $codec>]
            [$crate::ExportedSocket::new] "SocketOptions | null"
        }

        const _: () = {
            use $crate::__private::{wasm_bindgen, wasm_bindgen::prelude::wasm_bindgen};

            #[wasm_bindgen(typescript_custom_section)]
            const DECLARATION: &str = concat!(
                "/**\n", $(" *", $doc, "\n",)* " */\n",
                "export interface ", stringify!($class),
                " extends ExportedSocket<", stringify!($class), "> {}\n",
            );
        };
    };
    (
        $(#[doc = $doc:expr])*
        $visibility:vis $class:ident: $endpoint:ty, codec $codec:ty, session {
            $(requests: $request:ty $(, by: $field:literal)?;)?
            $(handles: $question:ty;)?
        } $(,)?
    ) => {
        $crate::export_socket! {
            @class [$($doc)*] [$visibility] $class: $endpoint, $codec,
            [$crate::ExportedSession<$endpoint, $codec>]
            [$crate::export_socket!(@new $($question)?)] "SessionSocketOptions | null"
        }

        const _: () = {
            use $crate::__private::{
                JsValue, Promise, wasm_bindgen, wasm_bindgen::prelude::wasm_bindgen,
            };

            #[wasm_bindgen(typescript_custom_section)]
            const DECLARATION: &str = concat!(
                "/**\n", $(" *", $doc, "\n",)* " */\n",
                "export interface ", stringify!($class),
                " extends ExportedSession<", stringify!($class), "> {}\n",
            );

            #[wasm_bindgen]
            impl $class {
                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn deliver(&self, message: JsValue, options: JsValue) -> Promise {
                    self.0.deliver(&message, &options)
                }

                #[doc(hidden)]
                #[wasm_bindgen(js_name = sendCredential, skip_typescript)]
                pub fn send_credential(&self, credential: JsValue) -> Result<(), JsValue> {
                    self.0.send_credential(&credential)
                }
            }

            $($crate::export_socket! { @requests $class, $request, [$($field)?] })?
            $($crate::export_socket! { @handles $class, $question })?
        };
    };
    (@new) => { $crate::ExportedSession::new };
    (@new $question:ty) => { $crate::ExportedSession::answering::<$question> };
    (@by) => { None };
    (@by $field:literal) => { Some($field) };
    // What `request` declares: with a field, each variant of the responses by that of the request.
    (@promised $class:ident, $request:expr, $response:expr, []) => {
        &[
            "  request(request: ", $request, ", options?: SocketRequestOptions): Promise<",
            $response, ">;\n",
        ]
    };
    (@promised $class:ident, $request:expr, $response:expr, [$field:literal]) => {
        &[
            "  request<Kind extends ", $request, "['", $field, "']>(request: ", $request, " & { ",
            $field, ": Kind }, options?: SocketRequestOptions): Promise<",
            stringify!($class), "Responses[Kind]>;\n",
        ]
    };
    (@responses $class:ident, $request:expr, $response:expr, []) => { &[] };
    (@responses $class:ident, $request:expr, $response:expr, [$field:literal]) => {
        &[
            "/** The response to each request of `", stringify!($class), "`, by the `", $field,
            "` that both have. */\n",
            "export type ", stringify!($class), "Responses = { [Kind in ", $request, "['", $field,
            "']]: Extract<", $response, ", { ", $field, ": Kind }> };\n",
        ]
    };
    (@requests $class:ident, $request:ty, [$($field:literal)?]) => {
        const _: () = {
            use $crate::__private::{Known, Named, Request, join, length, text};

            type Response = <$request as Request>::Response;
            type Failure = <$request as Request>::Error;

            const REQUEST: &str = Named::<$request>::NAME;
            const RESPONSE: &str = Named::<Response>::NAME;
            const RESPONSES: &[&str] =
                $crate::export_socket!(@responses $class, REQUEST, RESPONSE, [$($field)?]);
            const PROMISED: &[&str] =
                $crate::export_socket!(@promised $class, REQUEST, RESPONSE, [$($field)?]);
            const BEFORE: &[&str] = &[
                "export interface ", stringify!($class), " {\n",
                "  /**\n",
                "   * Asks the server's application. A request survives reconnects, and is answered once.\n",
                "   *\n",
                "   * @throws {RequestError<", Named::<Failure>::NAME,
                ">} if there is no response (as a rejection, like all of these)\n",
                "   * @throws {NotHandledError} if the server's application was never given it\n",
                "   * @throws {UnknownEndError} if nobody knows whether it was done\n",
                "   * @throws the signal's reason, and what `send` throws\n",
                "   */\n",
            ];
            const AFTER: &[&str] = &[
                "}\n",
                "/** What `", stringify!($class), "` throws for a request without a response. */\n",
                "export type ", stringify!($class), "RequestError = RequestError<",
                Named::<Failure>::NAME, "> | NotHandledError | UnknownEndError;\n",
            ];
            const LENGTH: usize =
                length(RESPONSES) + length(BEFORE) + length(PROMISED) + length(AFTER);
            const TEXTS: [&str; 4] = [
                text(&join::<{ length(RESPONSES) }>(RESPONSES)),
                text(&join::<{ length(BEFORE) }>(BEFORE)),
                text(&join::<{ length(PROMISED) }>(PROMISED)),
                text(&join::<{ length(AFTER) }>(AFTER)),
            ];
            const JOINED: [u8; LENGTH] = join(&TEXTS);

            #[wasm_bindgen(typescript_custom_section)]
            const DECLARATION: &str = text(&JOINED);

            #[wasm_bindgen]
            impl $class {
                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn request(&self, request: JsValue, options: JsValue) -> Promise {
                    let by = $crate::export_socket!(@by $($field)?);
                    self.0.request::<$request>(&request, &options, by)
                }
            }
        };
    };
    (@handles $class:ident, $question:ty) => {
        const _: () = {
            use $crate::__private::{Known, Named, Request, join, length, text};

            type Response = <$question as Request>::Response;
            type Failure = <$question as Request>::Error;

            const PARTS: &[&str] = &[
                "export interface ", stringify!($class), " {\n",
                "  /**\n",
                "   * Answers the requests of the server's application. A later handler replaces it. Without one,\n",
                "   * requests are refused.\n",
                "   */\n",
                "  handle(handler: (request: ", Named::<$question>::NAME,
                ", context: SocketRequestContext<", Named::<Failure>::NAME, ">) => ",
                Named::<Response>::NAME, " | Promise<", Named::<Response>::NAME, ">): void;\n",
                "}\n",
            ];
            const JOINED: [u8; length(PARTS)] = join(PARTS);

            #[wasm_bindgen(typescript_custom_section)]
            const DECLARATION: &str = text(&JOINED);

            #[wasm_bindgen]
            impl $class {
                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn handle(&self, handler: JsValue) -> Result<(), JsValue> {
                    self.0.handle(handler)
                }
            }
        };
    };
    (
        @class [$($doc:expr)*] [$visibility:vis] $class:ident: $endpoint:ty, $codec:ty,
        [$socket:ty] [$new:expr] $options:tt
    ) => {
        // An expression, because wasm-bindgen would copy the literal of a doc comment verbatim from the
        // source; the declarations below have it.
        $(#[doc = concat!("", $doc)])*
        #[$crate::__private::wasm_bindgen::prelude::wasm_bindgen(
            wasm_bindgen = $crate::__private::wasm_bindgen
        )]
        #[derive(Debug)]
        $visibility struct $class($socket);

        const _: () = {
            use $crate::__private::{
                Endpoint, JsValue, MessageIterator, Promise, Tsify, wasm_bindgen,
                wasm_bindgen::prelude::wasm_bindgen,
            };

            type Sent = <<$endpoint as Endpoint>::ClientMessage as Tsify>::JsType;
            type Received = <<$endpoint as Endpoint>::ServerMessage as Tsify>::JsType;

            // The declarations of skipped methods are in `ExportedSocket`.
            #[wasm_bindgen]
            impl $class {
                /// Starts to connect, unless the option `startClosed` says otherwise.
                ///
                /// @param url - the server, without the endpoint's path: `wss://example.org`; omit it for
                ///   the page's own. A query goes after the path.
                /// @param options - see {@link SocketOptions}
                /// @throws {DOMException} `SyntaxError` for a URL that `WebSocket` would reject
                /// @throws {TypeError} for an unknown option, or a value of the wrong kind
                /// @throws {RangeError} for an option out of range
                #[wasm_bindgen(constructor)]
                pub fn new(
                    #[wasm_bindgen(unchecked_optional_param_type = "string | URL | null")]
                    url: JsValue,
                    #[wasm_bindgen(unchecked_optional_param_type = $options)]
                    options: JsValue,
                ) -> Result<Self, JsValue> {
                    $new(stringify!($class), &url, &options).map(Self)
                }

                /// Sends now if the connection is open; otherwise queues.
                ///
                /// @throws {TypeError} if it is not such a message; its `detail` says more, and may quote it
                /// @throws {DOMException} `QuotaExceededError` if the queue is full and `overflow` is
                ///   `'reject'`; `InvalidStateError` if the connection is closing or closed
                pub fn send(&self, message: Sent) -> Result<(), JsValue> {
                    self.0.send(message.as_ref())
                }

                /// Returns a message that has already arrived, without waiting.
                ///
                /// @throws {DOMException} `InvalidStateError` if messages go to listeners, or `next` is
                /// waiting
                #[wasm_bindgen(js_name = tryNext)]
                pub fn try_next(&self) -> Result<Option<Received>, JsValue> {
                    let message = self.0.try_next()?;
                    Ok(message.map(wasm_bindgen::JsCast::unchecked_into))
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn next(&self) -> Result<Promise, JsValue> {
                    self.0.next()
                }

                #[doc(hidden)]
                #[wasm_bindgen(js_name = "[Symbol.asyncIterator]", skip_typescript)]
                pub fn iterate(&self) -> Result<MessageIterator, JsValue> {
                    self.0.iterate()
                }

                #[doc(hidden)]
                #[wasm_bindgen(js_name = addEventListener, skip_typescript)]
                pub fn add_event_listener(
                    &self,
                    kind: JsValue,
                    listener: JsValue,
                    options: JsValue,
                ) -> Result<(), JsValue> {
                    self.0.add_event_listener(&kind, &listener, &options)
                }

                #[doc(hidden)]
                #[wasm_bindgen(js_name = removeEventListener, skip_typescript)]
                pub fn remove_event_listener(
                    &self,
                    kind: JsValue,
                    listener: JsValue,
                    options: JsValue,
                ) -> Result<(), JsValue> {
                    self.0.remove_event_listener(&kind, &listener, &options)
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn close(&self, code: JsValue, reason: JsValue) -> Result<(), JsValue> {
                    self.0.close(&code, &reason)
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn suspend(&self, code: JsValue, reason: JsValue) -> Result<(), JsValue> {
                    self.0.suspend(&code, &reason)
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn resume(&self) {
                    self.0.resume();
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn reconnect(&self, code: JsValue, reason: JsValue) -> Result<(), JsValue> {
                    self.0.reconnect(&code, &reason)
                }

                #[doc(hidden)]
                #[wasm_bindgen(skip_typescript)]
                pub fn ready(&self) {
                    self.0.ready();
                }

                #[doc(hidden)]
                #[wasm_bindgen(getter, skip_typescript)]
                pub fn state(&self) -> String {
                    self.0.state().to_owned()
                }

                #[doc(hidden)]
                #[wasm_bindgen(getter, skip_typescript)]
                pub fn protocol(&self) -> String {
                    self.0.protocol()
                }

                #[doc(hidden)]
                #[wasm_bindgen(getter, js_name = bufferedAmount, skip_typescript)]
                pub fn buffered_amount(&self) -> f64 {
                    self.0.buffered_amount()
                }
            }
        };
    };
}
