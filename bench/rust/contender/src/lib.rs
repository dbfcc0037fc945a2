//! The common part of all Rust contenders: the messages, the count and the digest, and the session that the
//! harness holds. `contenders/rust.js` is the counterpart.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use js_sys::{Function, Promise, Uint8Array};
use messages::{Book, Chat, Note, Value as _, step};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

#[wasm_bindgen]
extern "C" {
    /// The harness's arguments for a session: an object of `contenders/rust.js`.
    pub type Context;

    /// Where to connect.
    #[wasm_bindgen(method, getter)]
    pub fn url(this: &Context) -> String;

    #[wasm_bindgen(method, getter)]
    fn direction(this: &Context) -> String;

    #[wasm_bindgen(method, getter, js_name = onMessage)]
    fn on_message(this: &Context) -> Option<Function>;

    #[wasm_bindgen(method, getter, js_name = onOpen)]
    fn on_open(this: &Context) -> Option<Function>;

    /// Whether to reconnect at once after a loss.
    #[wasm_bindgen(method, getter)]
    pub fn impatient(this: &Context) -> bool;

    /// Whether a handler receives the messages, for a client that supports it.
    #[wasm_bindgen(method, getter, js_name = byHandler)]
    pub fn by_handler(this: &Context) -> bool;
}

impl Context {
    /// The direction of a session.
    ///
    /// # Errors
    ///
    /// If the direction is unknown.
    pub fn purpose(&self) -> Result<Purpose, JsValue> {
        match self.direction().as_str() {
            "receive" => Ok(Purpose::Receive),
            "send" => Ok(Purpose::Send),
            "both" => Ok(Purpose::Both),
            other => Err(JsValue::from_str(&format!("unknown direction `{other}`"))),
        }
    }

    /// A count at zero, which reports each message to the harness if it wants that.
    pub fn tally(&self) -> Tally {
        Tally {
            counts: Box::leak(Box::default()),
            on_message: self.on_message(),
        }
    }

    /// The function to call each time the connection opens, if any.
    pub fn opened(&self) -> Option<impl Fn() + 'static> {
        self.on_open().map(|on_open| move || call(&on_open))
    }
}

/// Calls a function of the harness, which never throws.
fn call(function: &Function) {
    function
        .call0(&JsValue::UNDEFINED)
        .expect("the harness throws nothing");
}

/// The direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Receiving.
    Receive,
    /// Sending.
    Send,
    /// Both.
    Both,
}

/// How many messages arrived, and their digest, where JavaScript can read them without a call.
#[derive(Clone)]
pub struct Tally {
    /// Lives as long as the page.
    counts: &'static [Cell<u32>; 2],
    on_message: Option<Function>,
}

impl Tally {
    /// A message arrived.
    pub fn take(&self, value: u32) {
        let [count, digest] = self.counts;
        count.set(count.get() + 1);
        digest.set(step(digest.get(), value));
        if let Some(on_message) = &self.on_message {
            call(on_message);
        }
    }
}

/// A future that is polled in the page.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Sends this many of the messages.
pub type Sender = Box<dyn Fn(u32) -> Task>;

/// A connection that the harness holds.
#[wasm_bindgen]
pub struct Session {
    tally: Tally,
    sender: Option<Sender>,
    receiving: Option<AbortHandle>,
}

impl Session {
    /// One that has received and sent nothing.
    #[must_use]
    pub fn new(tally: Tally) -> Self {
        Self {
            tally,
            sender: None,
            receiving: None,
        }
    }

    /// Receives for as long as `receive` runs.
    #[must_use]
    pub fn receiving(mut self, receive: impl Future<Output = ()> + 'static) -> Self {
        let (handle, registration) = AbortHandle::new_pair();
        spawn_local(async move {
            // Cancellation is how it ends.
            let _ = Abortable::new(receive, registration).await;
        });
        self.receiving = Some(handle);
        self
    }

    /// Sends with `sender`.
    #[must_use]
    pub fn sending(mut self, sender: Sender) -> Self {
        self.sender = Some(sender);
        self
    }
}

#[wasm_bindgen]
impl Session {
    /// The address of the count in memory; the digest follows.
    #[wasm_bindgen(getter)]
    pub fn address(&self) -> u32 {
        self.tally.counts.as_ptr() as u32
    }

    /// The memory.
    #[wasm_bindgen(getter)]
    pub fn memory(&self) -> JsValue {
        wasm_bindgen::memory()
    }

    /// Sends this many of the messages.
    pub fn send(&self, count: u32) -> Option<Promise> {
        let task = self.sender.as_ref()?(count);
        Some(future_to_promise(async move {
            task.await;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// Ends it.
    pub fn close(self) {
        if let Some(receiving) = &self.receiving {
            receiving.abort();
        }
    }
}

/// The messages of a case, shared by all its sessions: their memory does not count as a session's.
#[wasm_bindgen]
pub struct Pool(Messages);

#[wasm_bindgen]
impl Pool {
    /// From the encoded messages; those of the typed cases are JSON.
    ///
    /// # Errors
    ///
    /// If one is invalid.
    #[wasm_bindgen(constructor)]
    pub fn new(shape: &str, wires: Vec<JsValue>) -> Result<Self, JsValue> {
        Messages::read(shape, &wires).map(Self)
    }
}

impl Pool {
    /// A share.
    #[must_use]
    pub fn messages(&self) -> Messages {
        self.0.clone()
    }
}

/// The messages of a case, shared.
#[derive(Clone)]
pub enum Messages {
    /// Unchanged.
    Text(Rc<[String]>),
    /// Unchanged.
    Bytes(Rc<[Vec<u8>]>),
    /// Typed.
    Book(Rc<[Book]>),
    /// Typed.
    Chat(Rc<[Chat]>),
    /// Typed.
    Note(Rc<[Note]>),
}

impl Messages {
    fn read(shape: &str, wires: &[JsValue]) -> Result<Self, JsValue> {
        fn texts(wires: &[JsValue]) -> Result<Rc<[String]>, JsValue> {
            let text = |wire: &JsValue| wire.as_string();
            let all = wires.iter().map(text).collect::<Option<_>>();
            all.ok_or_else(|| JsValue::from_str("a message is no text"))
        }
        fn typed<T: messages::Typed>(wires: &[JsValue]) -> Result<Rc<[T]>, JsValue> {
            let parsed = texts(wires)?
                .iter()
                .map(|text| serde_json::from_str(text))
                .collect::<Result<_, _>>();
            parsed.map_err(|error| JsValue::from_str(&error.to_string()))
        }
        match shape {
            "text" => texts(wires).map(Self::Text),
            "binary" => {
                let bytes = |wire| Uint8Array::new(wire).to_vec();
                Ok(Self::Bytes(wires.iter().map(bytes).collect()))
            }
            "book" => typed(wires).map(Self::Book),
            "chat" => typed(wires).map(Self::Chat),
            "note" => typed(wires).map(Self::Note),
            other => Err(JsValue::from_str(&format!("unknown shape `{other}`"))),
        }
    }

    /// Encoded as in a program that uses serde_json.
    #[must_use]
    pub fn wire(&self, index: u32) -> Wire {
        let index = index as usize;
        let json = |text: serde_json::Result<String>| Wire::Text(text.expect("it has a form"));
        match self {
            Self::Text(texts) => Wire::Text(texts[index % texts.len()].clone()),
            Self::Bytes(all) => Wire::Bytes(all[index % all.len()].clone()),
            Self::Book(all) => json(serde_json::to_string(&all[index % all.len()])),
            Self::Chat(all) => json(serde_json::to_string(&all[index % all.len()])),
            Self::Note(all) => json(serde_json::to_string(&all[index % all.len()])),
        }
    }

    /// Adds an arriving message to the digest, if it can be decoded.
    #[must_use]
    pub fn value(&self, wire: &Wire) -> Option<u32> {
        fn json<T: messages::Typed>(text: &str) -> Option<u32> {
            serde_json::from_str::<T>(text)
                .ok()
                .map(|decoded| decoded.value())
        }
        match (self, wire) {
            (Self::Text(_), Wire::Text(text)) => Some(text.value()),
            (Self::Bytes(_), Wire::Bytes(bytes)) => Some(bytes.value()),
            (Self::Book(_), Wire::Text(text)) => json::<Book>(text),
            (Self::Chat(_), Wire::Text(text)) => json::<Chat>(text),
            (Self::Note(_), Wire::Text(text)) => json::<Note>(text),
            _ => None,
        }
    }
}

/// An encoded message.
#[derive(Debug)]
pub enum Wire {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The session of a client that is a stream and a sink of its own messages without types: the program decodes
/// and encodes with serde_json.
///
/// # Errors
///
/// If the direction is unknown.
pub fn session<S, In, Out>(
    socket: S,
    context: &Context,
    pool: &Pool,
    to_wire: fn(In) -> Option<Wire>,
    from_wire: fn(Wire) -> Out,
) -> Result<Session, JsValue>
where
    S: Stream<Item = In> + Sink<Out> + Unpin + 'static,
    In: 'static,
    Out: 'static,
{
    let tally = context.tally();
    let session = Session::new(tally.clone());
    Ok(match context.purpose()? {
        Purpose::Receive => session.receiving(receive(socket, pool.messages(), tally, to_wire)),
        Purpose::Send => session.sending(sender(socket, pool.messages(), from_wire)),
        Purpose::Both => {
            let (sink, stream) = socket.split();
            session
                .receiving(receive(stream, pool.messages(), tally, to_wire))
                .sending(sender(sink, pool.messages(), from_wire))
        }
    })
}

async fn receive<In>(
    mut stream: impl Stream<Item = In> + Unpin,
    messages: Messages,
    tally: Tally,
    to_wire: fn(In) -> Option<Wire>,
) {
    while let Some(message) = stream.next().await {
        if let Some(value) = to_wire(message).and_then(|wire| messages.value(&wire)) {
            tally.take(value);
        }
    }
}

/// Sends messages into a sink.
pub fn sender<Out: 'static>(
    sink: impl Sink<Out> + Unpin + 'static,
    messages: Messages,
    from_wire: fn(Wire) -> Out,
) -> Sender {
    // One batch is sent at a time; each takes the sink and puts it back.
    let place = Rc::new(Cell::new(Some(sink)));
    Box::new(move |count| {
        let (place, messages) = (Rc::clone(&place), messages.clone());
        Box::pin(async move {
            let Some(mut sink) = place.take() else {
                return;
            };
            for index in 0..count {
                // The harness notices unsent messages by the count.
                let _ = sink.send(from_wire(messages.wire(index))).await;
            }
            place.set(Some(sink));
        })
    })
}
