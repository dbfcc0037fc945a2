//! The server's half of a session, for `SessionServer` of the test kit in JavaScript (`client-wasm/npm/testing/session.js`):
//! the same as that of the kit in Rust. Times are milliseconds, messages are text or bytes.

use js_sys::{Array, Uint8Array};
use steady_socket::Message;
use steady_socket::protocol::Time;
use steady_socket::protocol::session::frame::{Answer, Refusal, Style, Why};
use steady_socket::protocol::session::{
    Ask, AskEnd, Connection, End, Options, ServerOptions, Token, close,
};
use steady_socket::testing::{Play, Step};
use wasm_bindgen::prelude::*;

/// The server's end.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ServerHalf {
    play: Play,
    /// JavaScript knows a request by its place in here.
    tokens: Vec<Token>,
}

#[wasm_bindgen]
impl ServerHalf {
    /// `style` is 0 for JSON, 1 for other texts and 2 for bytes.
    #[wasm_bindgen(constructor)]
    pub fn new(
        style: u8,
        window: f64,
        messages: f64,
        bytes: f64,
        message_bytes: f64,
        requests: f64,
    ) -> Self {
        let style = match style {
            0 => Style::JSON,
            1 => Style::TEXT,
            _ => Style::BINARY,
        };
        let mut both = Options::default();
        both.limits.messages = messages as u64;
        both.limits.bytes = bytes as u64;
        both.limits.message_bytes = message_bytes as u64;
        both.limits.requests = requests as u64;
        let options = ServerOptions {
            both: both.into(),
            window_ms: window as u64,
            ..ServerOptions::default()
        };
        Self {
            play: Play::new(style, options),
            tokens: Vec::new(),
        }
    }

    // ----- the connections

    /// Something has arrived.
    pub fn arrived(&mut self, now: f64, connection: f64, data: &JsValue) {
        let id = Connection(connection as u64);
        self.play.arrived(time(now), id, message_of(data));
    }

    /// A connection has ended, with the code of the client's Close if there was one.
    pub fn closed(&mut self, now: f64, connection: f64, code: Option<u16>) {
        self.play
            .closed(time(now), Connection(connection as u64), code);
    }

    /// What to do next: `[connection, data]` is to be sent, `[connection, code]` to be closed, `[connection]` to be cut.
    pub fn poll(&mut self) -> Option<Array> {
        Some(match self.play.poll()? {
            Step::Send(id, message) => Array::of2(&number(id.0), &data_of(message)),
            Step::Close(id, code) => Array::of2(&number(id.0), &code.into()),
            Step::Cut(id) => Array::of1(&number(id.0)),
        })
    }

    /// When `timer` is to be called, in milliseconds from now.
    #[wasm_bindgen(js_name = nextTimer)]
    pub fn next_timer(&self, now: f64) -> Option<f64> {
        self.play.next_timer(time(now)).map(|millis| millis as f64)
    }

    /// That time has come.
    pub fn timer(&mut self, now: f64) {
        self.play.timer(time(now));
    }

    // ----- what the test does

    /// Sends a message, and returns what identifies it.
    pub fn send(&mut self, now: f64, data: &JsValue) -> Result<f64, String> {
        let sent = self.play.send(time(now), message_of(data))?;
        Ok(sent.0 as f64)
    }

    /// Makes a request, and returns what identifies it.
    pub fn ask(&mut self, now: f64, data: &JsValue) -> Result<f64, String> {
        let asked = self.play.ask(time(now), message_of(data))?;
        Ok(asked.0 as f64)
    }

    /// Cancels it.
    pub fn cancel(&mut self, now: f64, ask: f64) {
        self.play.cancel(time(now), Ask(ask as u64));
    }

    /// Answers a request of the client's: `response`, `error`, or `refused` with a word.
    pub fn answer(
        &mut self,
        now: f64,
        request: usize,
        kind: &str,
        data: &JsValue,
    ) -> Result<(), String> {
        let Some(token) = self.tokens.get(request) else {
            return Err("there was no such request".to_owned());
        };
        let answer = match kind {
            "response" => Answer::Response(message_of(data)),
            "error" => Answer::Error(message_of(data)),
            _ => Answer::Refused(match data.as_string().as_deref() {
                Some("handler") => Refusal::NoHandler,
                Some("limit") => Refusal::Limit,
                Some("cancelled") => Refusal::Cancelled,
                Some("failed") => Refusal::Failed,
                _ => Refusal::Other,
            }),
        };
        self.play.answer(time(now), *token, answer)
    }

    /// Whether messages stay unhandled.
    pub fn hold(&mut self, now: f64, holds: bool) {
        self.play.hold(time(now), holds);
    }

    /// The code with which hellos are refused from now on; nothing lets them in.
    pub fn refuse(&mut self, code: Option<u16>) {
        self.play.refuse(code);
    }

    /// The server is restarted without its memory.
    pub fn forget(&mut self, now: f64) {
        self.play.forget(time(now));
    }

    /// The application ends the session.
    pub fn end(&mut self, now: f64) {
        self.play.end(time(now));
    }

    /// The session is lost, for a reason by its word.
    pub fn lose(&mut self, now: f64, why: &str) -> Result<(), String> {
        let reasons = [
            Why::Expired,
            Why::Unknown,
            Why::Full,
            Why::Refused,
            Why::OutOfStep,
        ];
        let why = reasons.into_iter().find(|reason| reason.word() == why);
        self.play.lose(time(now), why.unwrap_or(Why::Other))
    }

    // ----- what the test sees

    /// How many messages have been given.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.play.received.len()
    }

    /// One of them.
    pub fn received(&self, index: usize) -> JsValue {
        let message = self.play.received.get(index).cloned();
        message.map_or(JsValue::UNDEFINED, data_of)
    }

    /// `[delivery]` of a message that was handled, `[delivery, 'not-handled' or 'unknown', reason]` of one that was not.
    pub fn ends(&self) -> Array {
        let ends = self.play.ends.iter().map(|(delivery, end)| {
            let id = number(delivery.0);
            match end {
                None => Array::of1(&id),
                Some(End::NotHandled { why, .. }) => {
                    Array::of3(&id, &"not-handled".into(), &why.to_string().into())
                }
                Some(End::Unknown { why, .. }) => {
                    Array::of3(&id, &"unknown".into(), &why.to_string().into())
                }
            }
        });
        ends.collect()
    }

    /// `[ask, end, data or reason]` of each request that has ended.
    pub fn answers(&self) -> Array {
        let answers = self.play.answers.iter().map(|(ask, end)| {
            let (kind, detail) = match end.clone() {
                AskEnd::Response(payload) => ("response", data_of(payload)),
                AskEnd::Error(payload) => ("error", data_of(payload)),
                AskEnd::Refused(why) => ("refused", why.word().into()),
                AskEnd::Cancelled => ("cancelled", JsValue::UNDEFINED),
                AskEnd::TimedOut => ("timed-out", JsValue::UNDEFINED),
                AskEnd::NotHandled(why) => ("not-handled", why.to_string().into()),
                AskEnd::Unknown(why) => ("unknown", why.to_string().into()),
            };
            Array::of3(&number(ask.0), &kind.into(), &detail)
        });
        answers.collect()
    }

    /// `[request, data]` of each request of the client's that is not answered.
    pub fn requests(&mut self) -> Array {
        let requests = Array::new();
        for (token, payload) in &self.play.requests {
            let known = self.tokens.iter().position(|known| known == token);
            let place = known.unwrap_or_else(|| {
                self.tokens.push(*token);
                self.tokens.len() - 1
            });
            requests.push(&Array::of2(
                &number(place as u64),
                &data_of(payload.clone()),
            ));
        }
        requests
    }

    /// The credential of each hello, or nothing.
    pub fn credentials(&self) -> Array {
        let credentials = self.play.credentials.iter().map(|credential| {
            credential
                .as_deref()
                .map_or(JsValue::NULL, JsValue::from_str)
        });
        credentials.collect()
    }

    /// Whether there is a session.
    #[wasm_bindgen(getter, js_name = hasSession)]
    pub fn has_session(&self) -> bool {
        self.play.has_session()
    }

    /// How the session ended at this end.
    #[wasm_bindgen(getter)]
    pub fn ended(&self) -> Option<String> {
        self.play.ended.map(|ended| ended.to_string())
    }

    /// The code by which a client is refused for good.
    #[wasm_bindgen(getter, js_name = refusedCode)]
    pub fn refused_code(&self) -> u16 {
        close::REFUSED
    }
}

fn time(millis: f64) -> Time {
    Time::from_millis(millis as u64)
}

/// An identifier, which rises from 0.
fn number(id: u64) -> JsValue {
    (id as f64).into()
}

fn message_of(data: &JsValue) -> Message {
    match data.as_string() {
        Some(text) => Message::Text(text),
        None => Message::Binary(Uint8Array::new(data).to_vec()),
    }
}

fn data_of(message: Message) -> JsValue {
    match message {
        Message::Text(text) => text.into(),
        Message::Binary(bytes) => Uint8Array::from(bytes.as_slice()).buffer().into(),
    }
}
