//! Checks the options in a JavaScript object, by the same code as `ReconnectingWebSocket`: the files in `js` are links to
//! its own.

use js_sys::Array;
use steady_socket::Options;
use wasm_bindgen::prelude::*;

use crate::error::Class;

#[wasm_bindgen(module = "/js/check.js")]
extern "C" {
    /// The value of each row of the table of options, `undefined` where none is given.
    #[wasm_bindgen(catch, js_name = toNumbers)]
    fn to_numbers(class: &str, given: &JsValue) -> Result<Array, JsValue>;
}

// The one above imports it: naming one of its exports here makes wasm-bindgen copy it.
#[wasm_bindgen(module = "/js/options.js")]
extern "C" {
    #[wasm_bindgen(js_name = OPTIONS)]
    fn options();
}

/// Checks options. An exception from a getter of the object is returned unchanged.
pub(crate) fn read(class: Class, given: &JsValue) -> Result<Options, JsValue> {
    let numbers = to_numbers(class.0, given)?;
    let mut options = Options::default();
    for (row, number) in numbers.iter().enumerate() {
        if let Some(number) = number.as_f64() {
            let set = options.set(row, number);
            set.map_err(|error| class.range_error(&error.to_string()))?;
        }
    }
    Ok(options)
}
