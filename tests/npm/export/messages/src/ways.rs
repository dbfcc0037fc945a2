//! The ways in which a message can pass between JavaScript and Rust, to be measured against each other by
//! `tests/npm/export/bench.mjs`.

use js_sys::JSON;
use serde::Serialize as _;
use serde_wasm_bindgen::Serializer;
use steady_socket_export::__private::{from_js, to_js};
use wasm_bindgen::prelude::*;

use crate::Shape;

fn decode(text: &str) -> Result<Shape, JsValue> {
    serde_json::from_str(text).map_err(|error| JsError::new(&error.to_string()).into())
}

fn encode(message: &Shape) -> Result<String, JsValue> {
    serde_json::to_string(message).map_err(|error| JsError::new(&error.to_string()).into())
}

/// Decoded in Rust, written as JSON again, parsed by the browser: what `export_socket!` does.
#[wasm_bindgen(js_name = receiveByJson)]
pub fn receive_by_json(text: &str) -> Result<JsValue, JsValue> {
    to_js(&decode(text)?)
}

/// Decoded in Rust, and made into objects one property after the other.
#[wasm_bindgen(js_name = receiveByProperties)]
pub fn receive_by_properties(text: &str) -> Result<JsValue, JsValue> {
    Ok(decode(text)?.serialize(&Serializer::json_compatible())?)
}

/// Parsed by the browser, then checked by reading all properties as the Rust type.
#[wasm_bindgen(js_name = receiveParsed)]
pub fn receive_parsed(text: &str) -> Result<JsValue, JsValue> {
    let value = JSON::parse(text)?;
    serde_wasm_bindgen::from_value::<Shape>(value.clone())?;
    Ok(value)
}

/// Written as JSON by the browser, decoded in Rust, encoded: what `export_socket!` does.
#[wasm_bindgen(js_name = sendByJson)]
pub fn send_by_json(message: &JsValue) -> Result<String, JsValue> {
    encode(&from_js(message)?)
}

/// Read one property after the other, then encoded.
#[wasm_bindgen(js_name = sendByProperties)]
pub fn send_by_properties(message: JsValue) -> Result<String, JsValue> {
    encode(&serde_wasm_bindgen::from_value(message)?)
}
