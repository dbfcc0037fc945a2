//! What all contenders made of Rust have in common: the messages, the count and the digest, and the session that
//! the harness holds. `contenders/rust.js` is the other side.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use js_sys::{Promise, Uint8Array};
use messages::{Book, Chat, Note, Value as _, step};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

/// How many messages came, and their digest, where JavaScript can read them without a call.
#[derive(Clone, Copy)]
pub struct Tally(&'static [Cell<u32>; 2]);

impl Default for Tally {
    /// One for the life of the page.
    fn default() -> Self {
        Self(Box::leak(Box::default()))
    }
}

impl Tally {
    /// A message came.
    pub fn take(&self, value: u32) {
        let [count, digest] = self.0;
        count.set(count.get() + 1);
        digest.set(step(digest.get(), value));
    }
}

/// A future that is polled in the page.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Sends so many of the messages.
pub type Sender = Box<dyn Fn(u32) -> Task>;

/// A connection that the harness holds.
#[wasm_bindgen]
pub struct Session {
    tally: Tally,
    sender: Option<Sender>,
    receiving: Option<AbortHandle>,
}

impl Session {
    /// One that receives, for as long as `receive` runs.
    pub fn receiving(tally: Tally, receive: impl Future<Output = ()> + 'static) -> Self {
        let (handle, registration) = AbortHandle::new_pair();
        spawn_local(async move {
            // That it is called off is how it ends.
            let _ = Abortable::new(receive, registration).await;
        });
        Self {
            tally,
            sender: None,
            receiving: Some(handle),
        }
    }

    /// One that sends.
    #[must_use]
    pub fn sending(sender: Sender) -> Self {
        Self {
            tally: Tally::default(),
            sender: Some(sender),
            receiving: None,
        }
    }
}

#[wasm_bindgen]
impl Session {
    /// Where the count is in the memory; the digest follows.
    #[wasm_bindgen(getter)]
    pub fn address(&self) -> u32 {
        self.tally.0.as_ptr() as u32
    }

    /// The memory.
    #[wasm_bindgen(getter)]
    pub fn memory(&self) -> JsValue {
        wasm_bindgen::memory()
    }

    /// Sends so many of the messages.
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

/// The messages of a case.
#[derive(Clone)]
pub enum Messages {
    /// As they are.
    Text(Vec<String>),
    /// As they are.
    Bytes(Vec<Vec<u8>>),
    /// Typed.
    Book(Vec<Book>),
    /// Typed.
    Chat(Vec<Chat>),
    /// Typed.
    Note(Vec<Note>),
}

impl Messages {
    /// From the wires, of which the typed ones are JSON.
    ///
    /// # Errors
    ///
    /// What a wire is not.
    pub fn read(shape: &str, wires: &[JsValue]) -> Result<Self, JsValue> {
        fn texts(wires: &[JsValue]) -> Result<Vec<String>, JsValue> {
            let text = |wire: &JsValue| wire.as_string();
            let all = wires.iter().map(text).collect::<Option<_>>();
            all.ok_or_else(|| JsValue::from_str("a message is no text"))
        }
        fn typed<T: messages::Typed>(wires: &[JsValue]) -> Result<Vec<T>, JsValue> {
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
            other => Err(JsValue::from_str(&format!("there is no shape `{other}`"))),
        }
    }

    fn wire(&self, index: u32) -> Wire {
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

    /// What a message that came adds to the digest; nothing, if it cannot be decoded.
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

/// A message as it goes over the wire.
#[derive(Debug)]
pub enum Wire {
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The session of a client that is a stream and a sink of messages of its own, and knows no types: the program decodes
/// and encodes by serde_json.
pub fn session<S, In, Out>(
    mut socket: S,
    messages: Messages,
    receives: bool,
    to_wire: fn(In) -> Option<Wire>,
    from_wire: fn(Wire) -> Out,
) -> Session
where
    S: Stream<Item = In> + Sink<Out> + Unpin + 'static,
    In: 'static,
    Out: 'static,
{
    if receives {
        let tally = Tally::default();
        return Session::receiving(tally, async move {
            while let Some(message) = socket.next().await {
                if let Some(value) = to_wire(message).and_then(|wire| messages.value(&wire)) {
                    tally.take(value);
                }
            }
        });
    }
    // One batch is sent at a time; each takes the socket and puts it back.
    let place = Rc::new(Cell::new(Some(socket)));
    let messages = Rc::new(messages);
    Session::sending(Box::new(move |count| {
        let (place, messages) = (Rc::clone(&place), Rc::clone(&messages));
        Box::pin(async move {
            let Some(mut socket) = place.take() else {
                return;
            };
            for index in 0..count {
                // What was not sent is missing when the harness counts.
                let _ = socket.send(from_wire(messages.wire(index))).await;
            }
            place.set(Some(socket));
        })
    }))
}
