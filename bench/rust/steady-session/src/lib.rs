//! A session of this library, as a Rust program uses it: a handler or a stream of decoded messages, and a
//! handle that encodes.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use contender::{Context, Purpose, Sender, Session};
use futures_util::StreamExt as _;
use messages::Value;
use steady_socket::protocol::{Decode, Encode};
use steady_socket::{Event, Handle, Options, Socket};
use wasm_bindgen::JsValue;

/// Options for reconnecting at once: those of the class in `contenders/drop-in.js`.
fn at_once() -> Options {
    Options::default()
        .first_delay_max(Duration::ZERO)
        .min_delay(Duration::ZERO)
        .stable_after(Duration::ZERO)
        .attempt_interval(Duration::ZERO)
}

/// Opens a connection.
///
/// # Errors
///
/// If it cannot connect.
pub async fn open<C, T>(context: &Context, messages: Rc<[T]>) -> Result<Session, JsValue>
where
    C: Decode<T> + Encode<T> + 'static,
    T: Value + 'static,
{
    let purpose = context.purpose()?;
    let tally = context.tally();
    let mut builder = Socket::<T, T, C>::builder(context.url());
    if context.by_handler() {
        let tally = tally.clone();
        builder = builder.on_message(move |_, message| {
            if let Ok(message) = message {
                tally.take(message.value());
            }
        });
    }
    if context.impatient() {
        builder = builder.options(at_once());
    }
    if let Some(opened) = context.opened() {
        builder = builder.on_open(move |_| opened());
    }
    let connected = builder.connect();
    let mut socket = connected.map_err(|error| JsValue::from_str(&error.to_string()))?;
    let mut events = socket.events();
    while let Some(event) = events.next().await {
        match event {
            Event::Open { .. } => break,
            Event::Closed(closed) => return Err(JsValue::from_str(&closed.why.to_string())),
            _ => {}
        }
    }
    drop(events);
    let handle = socket.handle();
    let session = Session::new(tally.clone());
    let session = if context.by_handler() || purpose == Purpose::Send {
        session.receiving(async move {
            let _kept = socket;
            pending().await
        })
    } else {
        session.receiving(async move {
            while let Some(message) = socket.next().await {
                if let Ok(message) = message {
                    tally.take(message.value());
                }
            }
        })
    };
    Ok(match purpose {
        Purpose::Receive => session,
        Purpose::Send | Purpose::Both => session.sending(sender(handle, messages)),
    })
}

fn sender<C, T>(handle: Handle<T, C>, messages: Rc<[T]>) -> Sender
where
    C: Encode<T> + 'static,
    T: 'static,
{
    Box::new(move |count| {
        let (handle, messages) = (handle.clone(), Rc::clone(&messages));
        Box::pin(async move {
            for index in 0..count as usize {
                // The harness notices unsent messages by the count.
                let _ = handle.send(&messages[index % messages.len()]).await;
            }
        })
    })
}
