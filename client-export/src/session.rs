//! Sessions of exported classes.

use std::cell::RefCell;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use js_sys::{Array, Function, Object, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use steady_socket::protocol::session::End;
use steady_socket::protocol::session::frame::{Answer, Refusal};
use steady_socket::protocol::{Decode, DecodeError, Encode, Message, Offers, Request};
use steady_socket::{RequestError, SendError, Session, SessionEvent, SessionLoss, Source};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{AbortController, Event};

use crate::convert;
use crate::error::Class;
use crate::events;
use crate::socket::{Exportable, ExportedSocket, Speaks, thrown, unsent};

#[wasm_bindgen(module = "/js/session.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = takeSession)]
    fn take_session(who: &str, options: &JsValue) -> Result<Array, JsValue>;

    #[wasm_bindgen(catch)]
    async fn provide(who: &str, credential: &JsValue, attempt: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = waitOptions)]
    fn wait_options(who: &str, options: &JsValue, with_timeout: bool) -> Result<Array, JsValue>;

    type Abort;

    #[wasm_bindgen(constructor)]
    fn new(signal: &JsValue) -> Abort;

    #[wasm_bindgen(method, getter)]
    fn aborted(this: &Abort) -> Promise;

    #[wasm_bindgen(method)]
    fn off(this: &Abort);

    fn hushed(promise: &Promise) -> Promise;

    #[wasm_bindgen(js_name = notHandled)]
    fn not_handled(who: &str, why: &str, sent: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = unknownEnd)]
    fn unknown_end(who: &str, why: &str, sent: &JsValue) -> JsValue;

    #[wasm_bindgen(js_name = requestError)]
    fn request_error(who: &str, code: &str, what: &str, error: &JsValue) -> JsValue;

    #[wasm_bindgen(catch)]
    async fn answer(
        handler: &Function,
        request: &JsValue,
        controller: &AbortController,
    ) -> Result<JsValue, JsValue>;

    fn report(error: &JsValue);
}

/// The handler of the server's requests, if the program has given one.
type Handler = Rc<RefCell<Option<Function>>>;

/// An [`ExportedSocket`] with a session.
pub struct ExportedSession<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    socket: ExportedSocket<E, C>,
    handler: Handler,
}

impl<E, C> std::fmt::Debug for ExportedSession<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.socket.fmt(f)
    }
}

impl<E, C> Deref for ExportedSession<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    type Target = ExportedSocket<E, C>;

    fn deref(&self) -> &Self::Target {
        &self.socket
    }
}

/// How a class answers the requests of the server.
type Answering =
    fn(Class, Function, Message) -> steady_socket::platform::LocalFuture<Answer<Message>>;

impl<E, C> ExportedSession<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    /// As [`ExportedSocket::new`], with a session that answers no requests.
    ///
    /// # Errors
    /// Likewise, and for a wrong option `session`.
    pub fn new(class: &'static str, url: &JsValue, options: &JsValue) -> Result<Self, JsValue> {
        Self::with(class, url, options, |_, _, _| {
            Box::pin(async { Answer::Refused(Refusal::NoHandler) })
        })
    }

    /// Likewise, with a session that answers the requests `R` by the handler of [`handle`](Self::handle).
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn answering<R>(
        class: &'static str,
        url: &JsValue,
        options: &JsValue,
    ) -> Result<Self, JsValue>
    where
        R: Request + Serialize + 'static,
        R::Response: Serialize + DeserializeOwned,
        R::Error: Serialize + DeserializeOwned,
        C: Decode<R> + Encode<R::Response> + Encode<R::Error>,
    {
        Self::with(class, url, options, |class, handler, request| {
            Box::pin(answer_request::<R, C>(class, handler, request))
        })
    }

    fn with(
        class: &'static str,
        url: &JsValue,
        options: &JsValue,
        answering: Answering,
    ) -> Result<Self, JsValue> {
        let class = Class(class);
        let taken = take_session(class.0, options)?;
        let mut session = if taken.get(1).is_truthy() {
            Session::optional()
        } else {
            Session::required()
        };
        let credential = taken.get(2);
        if let Some(fixed) = credential.as_string() {
            session = session.credential(fixed);
        } else if credential.is_function() {
            session = session.credential(Source::provider(
                async move |attempt: steady_socket::Attempt| {
                    let found = provide(class.0, &credential, attempt.number).await;
                    let found = found.map_err(|error| words_of(&error))?;
                    Ok::<_, String>(found.as_string().unwrap_or_default())
                },
            ));
        }
        let limit = |at| taken.get(at).as_f64().map(|limit| limit as u32);
        session = session.window(limit(3).unwrap_or(1_000), limit(4).unwrap_or(1_048_576));
        if let Some(requests) = limit(5) {
            session = session.max_requests(requests);
        }
        let handler = Handler::default();
        let handlers = Rc::clone(&handler);
        let socket = ExportedSocket::with(class, url, &taken.get(0), |builder| {
            builder
                .session(session)
                .on_encoded_request(move |request| match &*handlers.borrow() {
                    Some(handler) => answering(class, handler.clone(), request),
                    None => Box::pin(async { Answer::Refused(Refusal::NoHandler) }),
                })
        })?;
        Ok(Self { socket, handler })
    }

    /// Sends a message, and says what becomes of it.
    pub fn deliver(&self, message: &JsValue, options: &JsValue) -> Promise {
        let class = self.0.class;
        let sent = message.clone();
        let delivering = wait_options(class.0, options, false).and_then(|waits| {
            let converted: E::ClientMessage = convert::from_js(message).map_err(|unfit| {
                thrown(
                    class,
                    "deliver: the message does not match its Rust type",
                    unfit,
                )
            })?;
            let delivering = self.0.handle.deliver(converted);
            Ok((
                waits.get(0),
                delivering.map_err(|error| unsent(class, &error))?,
            ))
        });
        wait(delivering, move |end| match end {
            Ok(()) => Ok(JsValue::UNDEFINED),
            Err(End::NotHandled { why, .. }) => Err(not_handled(class.0, &why.to_string(), &sent)),
            Err(End::Unknown { why, .. }) => Err(unknown_end(class.0, &why.to_string(), &sent)),
        })
    }

    /// Asks the server's application. With `by`, the response has the same value as the request in the field of that name.
    pub fn request<R>(
        &self,
        request: &JsValue,
        options: &JsValue,
        by: Option<&'static str>,
    ) -> Promise
    where
        R: Request + Serialize + DeserializeOwned + 'static,
        R::Response: Serialize,
        R::Error: Serialize,
        C: Encode<R> + Decode<R::Response> + Decode<R::Error>,
    {
        let class = self.0.class;
        let sent = request.clone();
        let asking = wait_options(class.0, options, true).and_then(|waits| {
            let request: R = convert::from_js(request).map_err(|unfit| {
                thrown(
                    class,
                    "request: the request does not match its Rust type",
                    unfit,
                )
            })?;
            let handle = &self.0.handle;
            let asking = match waits.get(1).as_f64() {
                Some(millis) => {
                    handle.request_within(request, Duration::from_millis(millis as u64))
                }
                None => handle.request(request),
            };
            Ok((waits.get(0), asking))
        });
        let fails =
            move |code, what: &str, value: &JsValue| request_error(class.0, code, what, value);
        wait(asking, move |end| match end {
            Ok(response) => {
                let response = to_js(class, &response)?;
                let kind = |of: &JsValue| by.and_then(|by| Reflect::get(of, &by.into()).ok());
                if kind(&response) == kind(&sent) {
                    Ok(response)
                } else {
                    Err(class.type_error("the response is not of the kind that was asked for"))
                }
            }
            Err(RequestError::Application(error)) => {
                let error = to_js(class, &error)?;
                Err(fails(
                    "application",
                    "the other end has answered with an error",
                    &error,
                ))
            }
            Err(RequestError::Refused(Refusal::Cancelled)) => {
                Err(fails("cancelled", "it was cancelled", &JsValue::UNDEFINED))
            }
            Err(RequestError::Refused(why)) => {
                let why = RequestError::<String>::Refused(why).to_string();
                Err(fails("refused", &why, &JsValue::UNDEFINED))
            }
            Err(RequestError::TimedOut) => Err(fails(
                "timed-out",
                "no answer came in time",
                &JsValue::UNDEFINED,
            )),
            Err(RequestError::NotHandled(why)) => {
                Err(not_handled(class.0, &why.to_string(), &sent))
            }
            Err(RequestError::Unknown(why)) => Err(unknown_end(class.0, &why.to_string(), &sent)),
            Err(RequestError::Unsent(error)) => Err(unsent(class, &error)),
            Err(RequestError::Decode(error)) => Err(undecodable(class, &error)),
            Err(_) => Err(fails(
                "refused",
                "the other end has refused it",
                &JsValue::UNDEFINED,
            )),
        })
    }

    /// Answers the server's requests by `handler` from now on.
    ///
    /// # Errors
    /// A `TypeError` if it is no function.
    pub fn handle(&self, handler: JsValue) -> Result<(), JsValue> {
        let class = self.0.class;
        let handler = handler
            .dyn_into::<Function>()
            .map_err(|other| class.wrong_kind("the handler", &other, "a function"))?;
        let earlier = self.handler.borrow_mut().replace(handler);
        drop(earlier);
        Ok(())
    }

    /// Sends a fresh credential on the current connection.
    ///
    /// # Errors
    /// A `TypeError` if it is none.
    pub fn send_credential(&self, credential: &JsValue) -> Result<(), JsValue> {
        let class = self.0.class;
        let credential = credential
            .as_string()
            .ok_or_else(|| class.wrong_kind("the credential", credential, "a string"))?;
        self.0
            .handle
            .send_credential(&credential)
            .map_err(|refused| class.type_error(&refused.to_string()))
    }
}

/// A promise of what `ended` makes of the end of a future. A signal that aborts drops the future.
fn wait<F>(
    future: Result<(JsValue, F), JsValue>,
    ended: impl FnOnce(F::Output) -> Result<JsValue, JsValue> + 'static,
) -> Promise
where
    F: Future + Unpin + 'static,
{
    hushed(&future_to_promise(async move {
        let (signal, mut future) = future?;
        if signal.is_undefined() {
            return ended(future.await);
        }
        let abort = Abort::new(&signal);
        let mut aborted = JsFuture::from(abort.aborted());
        let end = poll_fn(|task| {
            if let Poll::Ready(end) = Pin::new(&mut future).poll(task) {
                return Poll::Ready(Some(end));
            }
            Pin::new(&mut aborted).poll(task).map(|_| None)
        })
        .await;
        abort.off();
        match end {
            Some(end) => ended(end),
            None => Err(Reflect::get(&signal, &"reason".into())?),
        }
    }))
}

async fn answer_request<R, C>(class: Class, handler: Function, request: Message) -> Answer<Message>
where
    R: Request + Serialize,
    R::Response: Serialize + DeserializeOwned,
    R::Error: Serialize + DeserializeOwned,
    C: Decode<R> + Encode<R::Response> + Encode<R::Error>,
{
    let Ok(request) = <C as Decode<R>>::decode(request) else {
        return Answer::Refused(Refusal::NoHandler);
    };
    let Ok(request) = convert::to_js(&request) else {
        return Answer::Refused(Refusal::NoHandler);
    };
    let Ok(controller) = AbortController::new() else {
        return Answer::Refused(Refusal::Failed);
    };
    // If the server cancels the request, this task is dropped.
    let guard = Abandoned(controller);
    let answered = answer(&handler, &request, &guard.0).await;
    let Some(answered) = answered.ok().filter(|answered| !answered.is_null()) else {
        return Answer::Refused(Refusal::Failed);
    };
    let answered: Array = answered.unchecked_into();
    let value = answered.get(1);
    let encoded = match answered.get(0).as_bool() {
        Some(true) => encoded::<R::Response, C>(class, &value).map(Answer::Response),
        Some(false) => encoded::<R::Error, C>(class, &value).map(Answer::Error),
        None => return Answer::Refused(Refusal::Failed),
    };
    encoded.unwrap_or_else(|error| {
        report(&error);
        Answer::Refused(Refusal::Failed)
    })
}

fn encoded<T, C>(class: Class, value: &JsValue) -> Result<Message, JsValue>
where
    T: Serialize + DeserializeOwned,
    C: Encode<T>,
{
    let value: T = convert::from_js(value).map_err(|unfit| {
        thrown(
            class,
            "handle: the answer does not match its Rust type",
            unfit,
        )
    })?;
    C::encode(&value).map_err(|error| unsent(class, &SendError::Encode(error)))
}

/// Tells a handler that nobody waits for its answer any more. Behind its end that says nothing.
struct Abandoned(AbortController);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn to_js<T: Serialize>(class: Class, value: &T) -> Result<JsValue, JsValue> {
    convert::to_js(value).map_err(|unfit| thrown(class, "the answer cannot be converted", unfit))
}

fn undecodable(class: Class, error: &DecodeError) -> JsValue {
    class.type_error(&format!("the answer cannot be decoded: {error}"))
}

/// The message of an error.
fn words_of(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok();
    message
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| "the credential could not be provided".to_owned())
}

impl<E, C> ExportedSocket<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    /// An event for listeners.
    pub(crate) fn session_event(event: &SessionEvent<Message>) -> Option<Event> {
        let count = |count: u64| (count as f64).into();
        match event {
            SessionEvent::Began => events::plain("sessionstart", &[]),
            SessionEvent::Resumed { replayed } => {
                events::plain("resumed", &[("replayed", count(*replayed))])
            }
            SessionEvent::Lost(loss) => Self::over("sessionlost", loss),
            SessionEvent::Ended(loss) => Self::over("sessionend", loss),
            SessionEvent::Plain => events::plain("sessionunavailable", &[]),
            SessionEvent::Undelivered(end) => {
                let (payload, is_unknown, why) = match end {
                    End::NotHandled { payload, why } => (payload, false, why.to_string()),
                    End::Unknown { payload, why } => (payload, true, why.to_string()),
                };
                let message = Self::in_javascript(payload).unwrap_or(JsValue::UNDEFINED);
                let fields = [
                    ("message", message),
                    ("isUnknown", is_unknown.into()),
                    ("reason", why.into()),
                ];
                events::plain("undelivered", &fields)
            }
            SessionEvent::Unacknowledged(tally) => {
                let fields = [
                    ("unacknowledgedMessages", count(tally.messages)),
                    ("unacknowledgedBytes", count(tally.bytes)),
                ];
                events::plain("pendingchange", &fields)
            }
            SessionEvent::Discarded(messages) => {
                events::plain("discarded", &[("messages", count(*messages))])
            }
            SessionEvent::StalledHere => events::plain("stalled", &[("here", true.into())]),
            SessionEvent::StalledThere => events::plain("stalled", &[("here", false.into())]),
            _ => None,
        }
    }

    fn over(kind: &str, loss: &SessionLoss<Message>) -> Option<Event> {
        let all = |messages: &[Message]| -> JsValue {
            let all: Array = messages.iter().filter_map(Self::in_javascript).collect();
            Object::freeze(&all).into()
        };
        let fields = [
            ("reason", loss.why.to_string().into()),
            ("handled", (loss.handled as f64).into()),
            ("notHandled", all(&loss.not_handled)),
            ("unknown", all(&loss.unknown)),
        ];
        events::plain(kind, &fields)
    }

    /// A message that was sent.
    fn in_javascript(message: &Message) -> Option<JsValue> {
        let message = <C as Decode<E::ClientMessage>>::decode(message.clone()).ok()?;
        convert::to_js(&message).ok()
    }
}
