//! Events for listeners: the same events, with the same fields, as those of the JavaScript API.

use js_sys::{Array, Object, Reflect};
use steady_socket::protocol::DecodeError;
use steady_socket::{Closed, StateChange};
use wasm_bindgen::prelude::*;
use web_sys::{CloseEvent, CloseEventInit, Event, MessageEvent, MessageEventInit};

#[wasm_bindgen]
extern "C" {
    /// An `EventTarget`, whose methods accept anything and report errors in it themselves.
    #[derive(Debug)]
    #[wasm_bindgen(js_name = EventTarget)]
    pub(crate) type Target;

    #[wasm_bindgen(catch, constructor, js_class = "EventTarget")]
    pub(crate) fn new() -> Result<Target, JsValue>;

    #[wasm_bindgen(catch, method, js_name = addEventListener)]
    pub(crate) fn add(
        this: &Target,
        kind: &JsValue,
        listener: &JsValue,
        options: &JsValue,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, method, js_name = removeEventListener)]
    pub(crate) fn remove(
        this: &Target,
        kind: &JsValue,
        listener: &JsValue,
        options: &JsValue,
    ) -> Result<(), JsValue>;

    /// The platform reports a listener's exceptions; they are not thrown here.
    #[wasm_bindgen(catch, method, js_name = dispatchEvent)]
    fn dispatch_event(this: &Target, event: &Event) -> Result<bool, JsValue>;
}

impl Target {
    /// Dispatches the event, unless the platform could not construct it.
    pub(crate) fn emit(&self, event: Option<Event>) {
        if let Some(event) = event {
            // It fails only for an event that is already being dispatched.
            let _ = self.dispatch_event(&event);
        }
    }
}

/// The fields of an event that the platform's class does not have.
type Fields<'a> = &'a [(&'a str, JsValue)];

pub(crate) fn plain(kind: &str, fields: Fields<'_>) -> Option<Event> {
    with_fields(Event::new(kind).ok()?, fields)
}

pub(crate) fn message(data: &JsValue) -> Option<Event> {
    let init = MessageEventInit::new();
    init.set_data(data);
    let event = MessageEvent::new_with_event_init_dict("message", &init).ok()?;
    Some(event.into())
}

pub(crate) fn state(change: &StateChange) -> Option<Event> {
    plain(
        "statechange",
        &[
            ("state", change.phase.name().into()),
            ("attempt", change.attempt.into()),
            ("delay", millis(change.delay_ms)),
            ("reason", change.why.to_string().into()),
        ],
    )
}

pub(crate) fn closed(closed: &Closed) -> Option<Event> {
    let init = CloseEventInit::new();
    init.set_code(closed.loss.close.code);
    init.set_reason(&closed.loss.close.reason);
    init.set_was_clean(closed.loss.close.clean);
    let event = match CloseEvent::new_with_event_init_dict("close", &init) {
        Ok(event) => event.into(),
        // Node before 23 does not have this class.
        Err(_) => plain(
            "close",
            &[
                ("code", closed.loss.close.code.into()),
                ("reason", closed.loss.close.reason.as_str().into()),
                ("wasClean", closed.loss.close.clean.into()),
            ],
        )?,
    };
    with_fields(
        event,
        &[
            ("willReconnect", (!closed.is_final()).into()),
            ("delay", millis(closed.retry_in_ms)),
            ("cause", closed.loss.cause.name().into()),
            ("explanation", closed.why.to_string().into()),
            (
                "unconfirmedMessages",
                (closed.unconfirmed.messages as f64).into(),
            ),
            ("unconfirmedBytes", (closed.unconfirmed.bytes as f64).into()),
        ],
    )
}

pub(crate) fn dropped(reason: &str, messages: &Array, omitted: u64, bytes: u64) -> Option<Event> {
    plain(
        "dropped",
        &[
            ("reason", reason.into()),
            ("messages", Object::freeze(messages).into()),
            ("omitted", (omitted as f64).into()),
            ("bytes", (bytes as f64).into()),
        ],
    )
}

/// A message that does not fit the endpoint. Only `detail` and `excerpt` quote it.
pub(crate) fn invalid(error: JsValue, source: Option<&DecodeError>) -> Option<Event> {
    let text = |text: Option<String>| text.map_or(JsValue::NULL, JsValue::from);
    plain(
        "invalid",
        &[
            ("error", error),
            ("detail", text(source.and_then(DecodeError::detail))),
            ("excerpt", text(source.and_then(DecodeError::excerpt))),
        ],
    )
}

/// Milliseconds, or `null`.
fn millis(delay: Option<u64>) -> JsValue {
    delay.map_or(JsValue::NULL, |delay| (delay as f64).into())
}

/// Adds read-only fields.
fn with_fields(event: Event, fields: Fields<'_>) -> Option<Event> {
    for (name, value) in fields {
        let descriptor = Object::new();
        Reflect::set(&descriptor, &"value".into(), value).ok()?;
        Reflect::set(&descriptor, &"enumerable".into(), &JsValue::TRUE).ok()?;
        Reflect::define_property(&event, &(*name).into(), &descriptor).ok()?;
    }
    Some(event)
}
