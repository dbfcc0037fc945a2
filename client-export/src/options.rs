//! The options of a JavaScript object, by the one table of options.

use js_sys::{Array, Reflect};
use steady_socket::Options;
use steady_socket::options::{Kind, OPTIONS, OptionError, OptionSpec, Overflow};
use wasm_bindgen::prelude::*;

use crate::error::{Class, kind_of};

#[wasm_bindgen]
extern "C" {
    /// Throws for a revoked proxy, which `js_sys` does not foresee.
    #[wasm_bindgen(catch, js_namespace = Object)]
    fn keys(value: &JsValue) -> Result<Array, JsValue>;

    /// A number as JavaScript writes it.
    #[wasm_bindgen(js_name = String)]
    fn shown(number: f64) -> String;
}

/// Reads options. What a getter of the object throws is the error, unchanged.
pub(crate) fn read(class: Class, given: &JsValue) -> Result<Options, JsValue> {
    let mut options = Options::default();
    if given.is_undefined() || given.is_null() {
        return Ok(options);
    }
    if !given.is_object() && !given.is_function() {
        return Err(class.wrong_kind("the options", given, "an object"));
    }
    for name in keys(given)? {
        if !OPTIONS.iter().any(|spec| name == spec.js_name) {
            return Err(class.type_error(&unknown(&name)));
        }
    }
    for (row, spec) in OPTIONS.iter().enumerate() {
        let value = Reflect::get(given, &spec.js_name.into())?;
        if value.is_undefined() {
            continue;
        }
        let number = number_of(class, spec, &value)?;
        options
            .set(row, number)
            .map_err(|_| out_of_range(class, spec, &value))?;
    }
    options
        .check()
        .map_err(|error| class.range_error(&contradiction(error)))?;
    Ok(options)
}

fn unknown(name: &JsValue) -> String {
    let name = name.as_string().unwrap_or_default();
    let known: Vec<_> = OPTIONS.iter().map(|spec| spec.js_name).collect();
    format!("the options have no {name}; it takes {}", known.join(", "))
}

/// The number that stands for an option's value in the table.
fn number_of(class: Class, spec: &OptionSpec, value: &JsValue) -> Result<f64, JsValue> {
    let what = format!("option {}", spec.js_name);
    match spec.kind {
        Kind::Flag => value
            .as_bool()
            .map(|flag| f64::from(u8::from(flag)))
            .ok_or_else(|| class.wrong_kind(&what, value, "true or false")),
        Kind::Overflow => {
            let choice = value
                .as_string()
                .and_then(|choice| Overflow::NAMES.iter().position(|name| *name == choice));
            choice.map(|place| place as f64).ok_or_else(|| {
                let is = if value.is_string() {
                    "another string".to_owned()
                } else {
                    kind_of(value)
                };
                let names = Overflow::NAMES.map(|name| format!("'{name}'")).join(", ");
                class.type_error(&format!("{what} is {is}; it takes {names}"))
            })
        }
        Kind::Millis | Kind::Count | Kind::Bytes | Kind::Factor => value
            .as_f64()
            .ok_or_else(|| class.wrong_kind(&what, value, &accepted(spec))),
    }
}

fn out_of_range(class: Class, spec: &OptionSpec, value: &JsValue) -> JsValue {
    class.range_error(&format!(
        "option {} is {}{}; it takes {}",
        spec.js_name,
        shown(value.as_f64().unwrap_or(f64::NAN)),
        spec.kind.unit(),
        accepted(spec)
    ))
}

fn accepted(spec: &OptionSpec) -> String {
    let whole = if spec.kind == Kind::Factor {
        "a number"
    } else {
        "a whole number"
    };
    let (min, max, unit) = (shown(spec.min), shown(spec.max), spec.kind.unit());
    let unlimited = if spec.unlimited { ", or Infinity" } else { "" };
    format!("{whole} from {min} to {max}{unit}{unlimited}")
}

/// A contradiction between two options, with their names in JavaScript.
fn contradiction(error: OptionError) -> String {
    if let OptionError::OutOfOrder {
        lesser,
        lesser_value,
        greater,
        greater_value,
    } = error
        && let (Some(less), Some(more)) = (OPTIONS.get(lesser), OPTIONS.get(greater))
    {
        return format!(
            "option {} is {}{}, below {}, which is {}{}; it takes at least that",
            more.js_name,
            shown(greater_value),
            more.kind.unit(),
            less.js_name,
            shown(lesser_value),
            less.kind.unit(),
        );
    }
    error.to_string()
}
