//! Parses the options in a JavaScript object, using the one table of options.

use js_sys::{Array, Reflect};
use steady_socket::Options;
use steady_socket::options::{Kind, OPTIONS, OptionError, OptionSpec, Overflow, THEIR_NAMES};
use wasm_bindgen::prelude::*;

use crate::error::{Class, kind_of};

#[wasm_bindgen]
extern "C" {
    /// Throws for a revoked proxy, which `js_sys` does not expect.
    #[wasm_bindgen(catch, js_namespace = Object)]
    fn keys(value: &JsValue) -> Result<Array, JsValue>;

    /// Formats a number as JavaScript does.
    #[wasm_bindgen(js_name = String)]
    fn shown(number: f64) -> String;
}

/// Parses options. An exception from a getter of the object is returned unchanged.
pub(crate) fn read(class: Class, given: &JsValue) -> Result<Options, JsValue> {
    let mut options = Options::default();
    if given.is_undefined() || given.is_null() {
        return Ok(options);
    }
    if !given.is_object() || given.is_function() || kind_of(given) == "an array" {
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
    let known = || OPTIONS.iter().map(|spec| spec.js_name);
    let near = what_is_meant(&name);
    if near.is_empty() {
        let known: Vec<_> = known().collect();
        return format!("the options have no {name}; it takes {}", known.join(", "));
    }
    format!(
        "the options have no {name}; did you mean {}?",
        near.join(" or ")
    )
}

/// The likely meanings of an unknown name: what other clients call it, a name of the same words, or else the
/// nearest. `client-wasm/js/convert.js` has the same rule in JavaScript.
fn what_is_meant(other: &str) -> Vec<&'static str> {
    let known = || OPTIONS.iter().map(|spec| spec.js_name);
    let others = words(other);
    let meant: Vec<_> = known()
        .filter(|ours| {
            let theirs = THEIR_NAMES.iter().find(|(name, _)| name == ours);
            let words = words(ours);
            theirs.is_some_and(|(_, theirs)| theirs.contains(&other))
                || words.iter().all(|word| others.contains(word))
                || others.iter().all(|word| words.contains(word))
        })
        .collect();
    if !meant.is_empty() {
        return meant;
    }
    let wanted = other.to_lowercase();
    let near: Vec<_> = known()
        .filter(|ours| distance(&ours.to_lowercase(), &wanted) * 8 <= 16 + ours.len())
        .collect();
    // Typos are more often at the end of a name than at its start.
    let shared = |ours: &str| {
        let ours = ours.to_lowercase();
        let pairs = ours.chars().zip(wanted.chars());
        pairs.take_while(|(one, other)| one == other).count()
    };
    let most = near.iter().map(|ours| shared(ours)).max();
    near.into_iter()
        .filter(|ours| Some(shared(ours)) == most)
        .collect()
}

/// The words of a camel-case name.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The number of letters to add, remove or change to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, wanted) in other.chars().enumerate() {
            let changed = row[j] + usize::from(letter != wanted);
            next.push(changed.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// The number that represents an option's value in the table.
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

/// A contradiction between two options, with their JavaScript names.
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
