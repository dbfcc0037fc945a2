//! The exported class without its name: an endpoint's socket whose messages are JavaScript values.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Once;
use std::task::{Context, Poll, Waker};

use futures_core::Stream as _;
use js_sys::{Array, Function, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use steady_socket::protocol::{Decode, DecodeError, Encode, Endpoint, Message, Offers};
use steady_socket::{
    Builder, CloseError, ConnectError, DropReason, Dropped, EndpointSocket, Event, Handle, Phase,
    ReconnectError, SendError, close_sockets_on_panic, endpoint,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::Url;

use crate::convert::{self, Unfit};
use crate::error::Class;
use crate::events::{self, Target};
use crate::iterator::{MessageIterator, Read};
use crate::options;

/// An endpoint whose messages can pass between Rust and JavaScript. Implemented for all that can.
pub trait Exportable:
    Endpoint<ClientMessage: Serialize + DeserializeOwned, ServerMessage: Serialize>
{
}

impl<E> Exportable for E where
    E: Endpoint<ClientMessage: Serialize + DeserializeOwned, ServerMessage: Serialize>
{
}

/// A codec for both message types of an endpoint. Implemented for all that qualify.
pub trait Speaks<E: Endpoint>:
    Encode<E::ClientMessage> + Decode<E::ClientMessage> + Decode<E::ServerMessage>
{
}

impl<E, C> Speaks<E> for C
where
    E: Endpoint,
    C: Encode<E::ClientMessage> + Decode<E::ClientMessage> + Decode<E::ServerMessage>,
{
}

/// The implementation of a class of [`export_socket!`](crate::export_socket!): the socket of the endpoint `E`
/// with the codec `C`, for JavaScript. Errors are JavaScript errors; exceptions from the caller's own code
/// are returned unchanged.
///
/// Dropping it closes the connection, unless a `for await` loop still reads from it.
pub struct ExportedSocket<E, C>(pub(crate) Rc<Inner<E, C>>)
where
    E: Exportable + Offers<C>,
    C: Speaks<E>;

pub(crate) struct Inner<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    pub(crate) class: Class,
    pub(crate) handle: Handle<E::ClientMessage, C>,
    socket: RefCell<EndpointSocket<E, C>>,
    target: Target,
    reading: Cell<Reading>,
    /// The `resolve` functions of pending `next` calls, oldest first.
    waiting: RefCell<VecDeque<Function>>,
    /// The waker of the reading task.
    waker: RefCell<Option<Waker>>,
}

/// Who gets the messages. The first to ask decides: with two readers, each would miss what the other took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Nobody has asked yet: messages wait.
    Undecided,
    /// Callers of `next` and `tryNext`, and loops.
    Calls,
    /// Listeners for `message`.
    Listeners,
}

impl<E, C> std::fmt::Debug for ExportedSocket<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(self.0.class.0)
            .field("phase", &self.0.handle.phase())
            .finish_non_exhaustive()
    }
}

impl<E, C> ExportedSocket<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    /// Starts to connect. `class` is the name of the class, for errors and logs; `url` is a string, a `URL`,
    /// or nothing for the page's own server; `options` is an object with the names of the table of options.
    ///
    /// # Errors
    /// A `TypeError`, a `RangeError`, or a `DOMException` called `SyntaxError` or `SecurityError`.
    pub fn new(class: &'static str, url: &JsValue, options: &JsValue) -> Result<Self, JsValue> {
        Self::with(Class(class), url, options, |builder| builder)
    }

    /// Likewise, with a change of the builder.
    pub(crate) fn with(
        class: Class,
        url: &JsValue,
        options: &JsValue,
        change: impl FnOnce(
            Builder<E::ClientMessage, E::ServerMessage, C>,
        ) -> Builder<E::ClientMessage, E::ServerMessage, C>,
    ) -> Result<Self, JsValue> {
        static PANICS: Once = Once::new();
        PANICS.call_once(close_sockets_on_panic);

        let url = base(class, url)?;
        let options = options::read(class, options)?;
        let target = Target::new()?;
        let opened = Rc::new(OnceCell::<Weak<Inner<E, C>>>::new());
        let inner = Rc::clone(&opened);
        let socket = change(endpoint::<E, C>(&url))
            .options(options)
            // At once, so that what `open` listeners send precedes the queue, and no event is missed, however
            // many occur before a task could read them.
            .on_event(move |event| {
                if let Some(inner) = inner.get().and_then(Weak::upgrade) {
                    inner.emit(event);
                }
            })
            .connect()
            .map_err(|error| cannot_connect(class, &error))?;
        let inner = Rc::new(Inner {
            class,
            handle: socket.handle(),
            socket: RefCell::new(socket),
            target,
            reading: Cell::new(Reading::Undecided),
            waiting: RefCell::default(),
            waker: RefCell::default(),
        });
        let weak = Rc::downgrade(&inner);
        // The queue was empty.
        let _ = opened.set(Weak::clone(&weak));
        spawn_local(std::future::poll_fn(move |task| match weak.upgrade() {
            Some(inner) => {
                inner.read(task);
                Poll::Pending
            }
            None => Poll::Ready(()),
        }));
        Ok(Self(inner))
    }

    /// Sends a message now if the connection is open; otherwise queues it.
    ///
    /// # Errors
    /// A `TypeError` if it is not such a message; a `DOMException` called `QuotaExceededError` if the queue
    /// is full, or `InvalidStateError` if the connection is closing or closed.
    pub fn send(&self, message: &JsValue) -> Result<(), JsValue> {
        let Inner { class, handle, .. } = &*self.0;
        let message = convert::from_js(message).map_err(|unfit| {
            thrown(
                *class,
                "send: the message does not match its Rust type",
                unfit,
            )
        })?;
        match handle.try_send(&message) {
            Ok(_) => Ok(()),
            Err(error) => Err(unsent(*class, &error)),
        }
    }

    /// A promise of the next message, or of `undefined` once the socket is closed for good.
    ///
    /// # Errors
    /// A `DOMException` called `InvalidStateError` if messages go to listeners.
    pub fn next(&self) -> Result<Promise, JsValue> {
        self.0.claim(Reading::Calls)?;
        Ok(self.0.next())
    }

    /// A message that has already arrived.
    ///
    /// # Errors
    /// A `DOMException` called `InvalidStateError` if messages go to listeners or to a pending call.
    pub fn try_next(&self) -> Result<Option<JsValue>, JsValue> {
        self.0.claim(Reading::Calls)?;
        if !self.0.waiting.borrow().is_empty() {
            let message = "a call of next or a loop is waiting for messages";
            return Err(self.0.class.dom_exception("InvalidStateError", message));
        }
        Ok(self.0.with_task(|task| {
            loop {
                match self.0.receive(task) {
                    Poll::Ready(Some(Some(message))) => return Some(message),
                    Poll::Ready(Some(None)) => {}
                    Poll::Ready(None) | Poll::Pending => return None,
                }
            }
        }))
    }

    /// An asynchronous iterator over the messages, until the socket is closed for good.
    ///
    /// # Errors
    /// A `DOMException` called `InvalidStateError` if messages go to listeners.
    pub fn iterate(&self) -> Result<MessageIterator, JsValue> {
        self.0.claim(Reading::Calls)?;
        Ok(MessageIterator::new(Rc::clone(&self.0) as Rc<dyn Read>))
    }

    /// Adds a listener, as `EventTarget` does.
    ///
    /// # Errors
    /// What `EventTarget` throws; for a `message` listener, also a `DOMException` called `InvalidStateError`
    /// if `next`, `tryNext` or a loop already reads messages.
    pub fn add_event_listener(
        &self,
        kind: &JsValue,
        listener: &JsValue,
        options: &JsValue,
    ) -> Result<(), JsValue> {
        let messages = *kind == "message" && !listener.is_null() && !listener.is_undefined();
        if messages {
            self.0.claim(Reading::Listeners)?;
        }
        self.0.target.add(kind, listener, options)?;
        if messages {
            self.0.wake();
        }
        Ok(())
    }

    /// Removes a listener, as `EventTarget` does.
    ///
    /// # Errors
    /// What `EventTarget` throws.
    pub fn remove_event_listener(
        &self,
        kind: &JsValue,
        listener: &JsValue,
        options: &JsValue,
    ) -> Result<(), JsValue> {
        self.0.target.remove(kind, listener, options)
    }

    /// Closes for good.
    ///
    /// # Errors
    /// A `TypeError`, or a `DOMException` called `InvalidAccessError` or `SyntaxError`.
    pub fn close(&self, code: &JsValue, reason: &JsValue) -> Result<(), JsValue> {
        self.end(code, reason, |code, reason| {
            self.0.handle.close(code, reason)
        })
    }

    /// Pauses until [`resume`](Self::resume).
    ///
    /// # Errors
    /// See [`close`](Self::close).
    pub fn suspend(&self, code: &JsValue, reason: &JsValue) -> Result<(), JsValue> {
        self.end(code, reason, |code, reason| {
            self.0.handle.suspend(code, reason)
        })
    }

    /// Resumes after [`suspend`](Self::suspend).
    pub fn resume(&self) {
        // It fails only for a dropped socket, and this one is alive.
        let _ = self.0.handle.resume();
    }

    fn end(
        &self,
        code: &JsValue,
        reason: &JsValue,
        end: impl FnOnce(Option<u16>, &str) -> Result<(), CloseError>,
    ) -> Result<(), JsValue> {
        let class = self.0.class;
        let (code, reason) = closing(class, code, reason)?;
        end(code, &reason).map_err(|error| not_to_be_sent(class, error))
    }

    /// Opens a new connection now, whatever the state; closes the current one with the code and the reason.
    ///
    /// # Errors
    /// See [`ExportedSocket::close`].
    pub fn reconnect(&self, code: &JsValue, reason: &JsValue) -> Result<(), JsValue> {
        let Inner { class, handle, .. } = &*self.0;
        let (code, reason) = closing(*class, code, reason)?;
        match handle.reconnect_with(code, &reason) {
            Err(ReconnectError::Close(error)) => Err(not_to_be_sent(*class, error)),
            // It is gone only after a drop, and this one is alive.
            _ => Ok(()),
        }
    }

    /// With the option `gate`: lets the queue flow on this connection.
    pub fn ready(&self) {
        let _ = self.0.handle.ready();
    }

    /// The connection's state, by name.
    #[must_use]
    pub fn state(&self) -> &'static str {
        self.0.handle.phase().name()
    }

    /// The sub-protocol that the server chose; empty without a connection.
    #[must_use]
    pub fn protocol(&self) -> String {
        self.0.handle.protocol().unwrap_or_default()
    }

    /// Bytes in the queue and in the browser's buffer.
    #[must_use]
    pub fn buffered_amount(&self) -> f64 {
        self.0.handle.buffered_amount().unwrap_or_default() as f64
    }
}

impl<E, C> Inner<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    /// Decides who gets the messages, unless that is already decided.
    fn claim(&self, wanted: Reading) -> Result<(), JsValue> {
        let reading = self.reading.get();
        if reading != Reading::Undecided && reading != wanted {
            let message = if reading == Reading::Listeners {
                "this socket's messages go to its listeners"
            } else {
                "this socket's messages go to next, tryNext or a loop"
            };
            return Err(self.class.dom_exception("InvalidStateError", message));
        }
        self.reading.set(wanted);
        Ok(())
    }

    /// Makes the reading task check again.
    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Runs `work` on behalf of the reading task, outside of it.
    fn with_task<T>(&self, work: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let waker = self.waker.borrow().clone();
        // Before its first run, it is scheduled anyway.
        let waker = waker.as_ref().unwrap_or(Waker::noop());
        work(&mut Context::from_waker(waker))
    }

    /// Delivers everything that somebody wants. Handlers run in here, so nothing may be borrowed.
    fn read(&self, task: &mut Context<'_>) {
        *self.waker.borrow_mut() = Some(task.waker().clone());
        while self.hand_over(task) {}
    }

    /// Delivers one message, if somebody wants it; returns whether there was one.
    fn hand_over(&self, task: &mut Context<'_>) -> bool {
        let wanted = match self.reading.get() {
            Reading::Undecided => false,
            Reading::Calls => !self.waiting.borrow().is_empty(),
            Reading::Listeners => true,
        };
        if !wanted {
            return false;
        }
        match self.receive(task) {
            Poll::Ready(Some(Some(message))) => {
                match self.reading.get() {
                    Reading::Listeners => self.target.emit(events::message(&message)),
                    _ => self.answer(&message),
                }
                true
            }
            Poll::Ready(Some(None)) => true,
            Poll::Ready(None) => {
                self.answer_all();
                false
            }
            Poll::Pending => false,
        }
    }

    /// The next message; `None` for one that does not fit the endpoint, which is reported as an event.
    fn receive(&self, task: &mut Context<'_>) -> Poll<Option<Option<JsValue>>> {
        let polled = Pin::new(&mut *self.socket.borrow_mut()).poll_next(task);
        polled.map(|item| {
            item.map(
                |decoded| match decoded.map(|message| convert::to_js(&message)) {
                    Ok(Ok(message)) => Some(message),
                    Ok(Err(unfit)) => {
                        let what = "a message cannot be converted";
                        self.target
                            .emit(events::invalid(thrown(self.class, what, unfit), None));
                        None
                    }
                    Err(error) => {
                        self.emit_invalid(&error);
                        None
                    }
                },
            )
        })
    }

    fn emit_invalid(&self, error: &DecodeError) {
        let what = format!("a message cannot be decoded: {error}");
        self.target
            .emit(events::invalid(self.class.type_error(&what), Some(error)));
    }

    /// Resolves the oldest pending call with a message.
    fn answer(&self, message: &JsValue) {
        let resolve = self.waiting.borrow_mut().pop_front();
        if let Some(resolve) = resolve {
            // A promise's own function does not throw.
            let _ = resolve.call1(&JsValue::UNDEFINED, message);
        }
    }

    /// No more messages will come: resolves the pending calls.
    fn answer_all(&self) {
        while !self.waiting.borrow().is_empty() {
            self.answer(&JsValue::UNDEFINED);
        }
    }

    /// Dispatches an event, after the messages that arrived before it.
    fn emit(&self, event: &Event<Message>) {
        self.with_task(|task| while self.hand_over(task) {});
        self.target.emit(match event {
            Event::State(change) => events::state(change),
            Event::Open {
                reconnected,
                attempt,
                ..
            } => events::plain(
                "open",
                &[
                    ("reconnected", (*reconnected).into()),
                    ("attempt", (*attempt).into()),
                ],
            ),
            Event::Error => events::plain("error", &[]),
            Event::Closed(closed) => events::closed(closed),
            Event::Dropped(dropped) => Self::dropped(dropped.clone()),
            Event::QueueChanged(queued) => events::plain(
                "queuechange",
                &[
                    ("queuedMessages", (queued.messages as f64).into()),
                    ("queuedBytes", (queued.bytes as f64).into()),
                ],
            ),
            #[cfg(feature = "session")]
            Event::Session(event) => ExportedSocket::<E, C>::session_event(event),
            // Without a session there is no other.
            _ => return,
        });
        if self.handle.phase() == Phase::Closed {
            self.wake();
        }
    }

    /// Messages that were not sent, or not read in time, in their original form.
    fn dropped(dropped: Dropped<Message>) -> Option<web_sys::Event> {
        let received = dropped.reason == DropReason::InboxFull;
        let messages: Array = dropped
            .payloads
            .into_iter()
            .filter_map(|message| {
                if received {
                    let message = <C as Decode<E::ServerMessage>>::decode(message).ok()?;
                    convert::to_js(&message).ok()
                } else {
                    let message = <C as Decode<E::ClientMessage>>::decode(message).ok()?;
                    convert::to_js(&message).ok()
                }
            })
            .collect();
        events::dropped(
            dropped.reason.name(),
            &messages,
            dropped.omitted,
            dropped.bytes,
        )
    }
}

impl<E, C> Read for Inner<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    fn next(&self) -> Promise {
        let promise = Promise::new(&mut |resolve, _reject| {
            self.waiting.borrow_mut().push_back(resolve);
        });
        self.wake();
        promise
    }
}

impl<E, C> Drop for Inner<E, C>
where
    E: Exportable + Offers<C>,
    C: Speaks<E>,
{
    fn drop(&mut self) {
        self.answer_all();
    }
}

/// The server's address, for [`endpoint`].
fn base(class: Class, url: &JsValue) -> Result<String, JsValue> {
    if url.is_undefined() || url.is_null() {
        return Ok(String::new());
    }
    url.as_string()
        .or_else(|| url.dyn_ref::<Url>().map(Url::href))
        .ok_or_else(|| class.wrong_kind("the URL", url, "a string or a URL"))
}

fn cannot_connect(class: Class, error: &ConnectError) -> JsValue {
    let message = error.to_string();
    match error {
        ConnectError::Url(_) | ConnectError::Protocols(_) => {
            class.dom_exception("SyntaxError", &message)
        }
        ConnectError::Insecure(_) => class.dom_exception("SecurityError", &message),
        ConnectError::Option(_) => class.range_error(&message),
        _ => class.dom_exception("NotSupportedError", &message),
    }
}

/// A close code, if any, and a reason.
fn closing(
    class: Class,
    code: &JsValue,
    reason: &JsValue,
) -> Result<(Option<u16>, String), JsValue> {
    let code = close_code(class, code)?;
    if reason.is_undefined() {
        return Ok((code, String::new()));
    }
    let reason = reason
        .as_string()
        .ok_or_else(|| class.wrong_kind("the close reason", reason, "a string"))?;
    Ok((code, reason))
}

fn not_to_be_sent(class: Class, error: CloseError) -> JsValue {
    let name = match error {
        CloseError::Reason { .. } => "SyntaxError",
        _ => "InvalidAccessError",
    };
    class.dom_exception(name, &error.to_string())
}

/// A whole number, or nothing.
fn close_code(class: Class, code: &JsValue) -> Result<Option<u16>, JsValue> {
    if code.is_undefined() {
        return Ok(None);
    }
    let accepted = "1000 or 3000 to 4999";
    let number = code
        .as_f64()
        .ok_or_else(|| class.wrong_kind("the close code", code, accepted))?;
    if number.trunc() == number && (0.0..=f64::from(u16::MAX)).contains(&number) {
        Ok(Some(number as u16))
    } else {
        let message = format!("close code {number} is not allowed; it takes {accepted}");
        Err(class.dom_exception("InvalidAccessError", &message))
    }
}

/// The error for a message that was not accepted.
pub(crate) fn unsent(class: Class, error: &SendError) -> JsValue {
    match error {
        SendError::Full => class.dom_exception(
            "QuotaExceededError",
            "the queue is full (options maxQueuedMessages and maxQueuedBytes)",
        ),
        SendError::Encode(error) => {
            let thrown = class.type_error(&error.to_string());
            set_detail(&thrown, &error.detail());
            thrown
        }
        error => class.dom_exception("InvalidStateError", &error.to_string()),
    }
}

/// The error for a message that cannot be converted.
pub(crate) fn thrown(class: Class, what: &str, unfit: Unfit) -> JsValue {
    match unfit {
        Unfit::Thrown(thrown) => thrown,
        Unfit::Mismatch { what: why, detail } => {
            let error = class.type_error(&format!("{what}: {why}"));
            if let Some(detail) = detail {
                set_detail(&error, &detail);
            }
            error
        }
    }
}

/// Adds the part that may quote the message, beside the error's own text.
fn set_detail(error: &JsValue, detail: &str) {
    // A fresh error accepts every property.
    let _ = Reflect::set(error, &"detail".into(), &detail.into());
}
