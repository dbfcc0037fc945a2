//! Exceptions: the same kinds of errors as the JavaScript API throws.

use js_sys::{JsString, RangeError, TypeError};
use wasm_bindgen::prelude::*;
use web_sys::DomException;

#[wasm_bindgen]
extern "C" {
    /// Throws for a revoked proxy, which `js_sys` does not expect.
    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
}

/// The name of the exported class, which starts every error message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class(pub(crate) &'static str);

impl Class {
    /// A value of the wrong kind.
    pub(crate) fn type_error(self, message: &str) -> JsValue {
        TypeError::new(&self.prefixed(message)).into()
    }

    /// A number out of range.
    pub(crate) fn range_error(self, message: &str) -> JsValue {
        RangeError::new(&self.prefixed(message)).into()
    }

    /// An error that the platform has a name for.
    pub(crate) fn dom_exception(self, name: &str, message: &str) -> JsValue {
        // The constructor throws only if there is none; its exception then says as much.
        DomException::new_with_message_and_name(&self.prefixed(message), name)
            .map_or_else(|thrown| thrown, JsValue::from)
    }

    pub(crate) fn wrong_kind(self, what: &str, value: &JsValue, accepted: &str) -> JsValue {
        self.type_error(&format!(
            "{what}: {} was given; this takes {accepted}",
            kind_of(value)
        ))
    }

    fn prefixed(self, message: &str) -> String {
        format!("{}: {message}", self.0)
    }
}

/// The kind of a value, for error messages: never the value itself.
pub(crate) fn kind_of(value: &JsValue) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    if value.is_undefined() {
        return "undefined".to_owned();
    }
    match is_array(value) {
        Ok(true) => return "an array".to_owned(),
        Ok(false) => {}
        Err(_) => return "a revoked proxy".to_owned(),
    }
    if value.has_type::<js_sys::Promise>() {
        return "a promise".to_owned();
    }
    let kind = value
        .js_typeof()
        .dyn_into::<JsString>()
        .map_or_else(|_| "value".to_owned(), String::from);
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
