//! Messages between JavaScript and Rust, via JSON: it was the fastest of the possible ways
//! (`docs/rust-types.md` has the figures), and it yields plain objects whatever the keys are.

use std::io;

use js_sys::JSON;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/js/json.js")]
extern "C" {
    /// A string; `null` for a number that is not finite; `undefined` for what JSON cannot represent.
    #[wasm_bindgen(catch, js_name = exactJson)]
    fn exact_json(value: &JsValue) -> Result<JsValue, JsValue>;
}

/// The largest integer below which every integer is exact as a `number`: `Number.MAX_SAFE_INTEGER`.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// Why a message cannot pass from one side to the other.
pub(crate) enum Unfit {
    /// An exception from JavaScript code: a getter, `toJSON`, or the engine for a cycle or a `BigInt`.
    Thrown(JsValue),
    /// The value is not such a message.
    Mismatch {
        /// What is wrong, without quoting the value.
        what: String,
        /// serde's message, which may quote the value.
        detail: Option<String>,
    },
}

impl Unfit {
    fn because(what: &str) -> Self {
        Self::Mismatch {
            what: what.to_owned(),
            detail: None,
        }
    }
}

/// A value as a plain JavaScript value.
pub(crate) fn to_js<T: Serialize>(value: &T) -> Result<JsValue, Unfit> {
    let mut json = Vec::with_capacity(128);
    write(value, &mut json)?;
    let json = String::from_utf8(json).map_err(|error| Unfit::because(&error.to_string()))?;
    JSON::parse(&json).map_err(Unfit::Thrown)
}

/// A JavaScript value as a Rust type.
pub(crate) fn from_js<T: Serialize + DeserializeOwned>(value: &JsValue) -> Result<T, Unfit> {
    let json = exact_json(value).map_err(Unfit::Thrown)?;
    if json.is_null() {
        return Err(Unfit::because(
            "it has a number that is not finite, which JSON cannot represent",
        ));
    }
    let Some(json) = json.as_string() else {
        return Err(Unfit::because("JSON cannot represent it"));
    };
    let message = serde_json::from_str(&json).map_err(|error| {
        let detail = error.to_string();
        Unfit::Mismatch {
            what: without_values(&detail),
            detail: Some(detail),
        }
    })?;
    // An unsafe integer may have been rounded before it came here.
    write(&message, io::sink())?;
    Ok(message)
}

const NOT_SAFE: &str =
    "it has an integer beyond 2^53 - 1, which a JavaScript number may not hold exactly";

fn write<T: Serialize>(value: &T, to: impl io::Write) -> Result<(), Unfit> {
    value
        .serialize(&mut Serializer::with_formatter(to, SafeIntegers))
        .map_err(|error| {
            if error.is_io() {
                Unfit::because(NOT_SAFE)
            } else {
                Unfit::Mismatch {
                    what: "JSON cannot represent it".to_owned(),
                    detail: Some(error.to_string()),
                }
            }
        })
}

/// Writes JSON whose integers JavaScript reads exactly.
struct SafeIntegers;

fn safe(magnitude: Option<u64>) -> io::Result<()> {
    match magnitude {
        Some(0..=MAX_SAFE) => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

impl Formatter for SafeIntegers {
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        safe(Some(value))?;
        CompactFormatter.write_u64(writer, value)
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        safe(Some(value.unsigned_abs()))?;
        CompactFormatter.write_i64(writer, value)
    }

    fn write_u128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        safe(value.try_into().ok())?;
        CompactFormatter.write_u128(writer, value)
    }

    fn write_i128<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        safe(value.unsigned_abs().try_into().ok())?;
        CompactFormatter.write_i128(writer, value)
    }
}

/// The part of serde's message about a mismatch that cannot quote the value: the name of a missing field, or
/// what was expected. Both come from the Rust type.
fn without_values(detail: &str) -> String {
    let detail = detail
        .rsplit_once(" at line ")
        .map_or(detail, |(words, _)| words);
    if detail.starts_with("missing field `") {
        return detail.to_owned();
    }
    // What was found stands before it, so the last one is serde's own.
    match detail.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "it has a different form".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    fn json<T: Serialize>(value: T) -> Option<String> {
        let mut json = Vec::new();
        write(&value, &mut json).ok()?;
        Some(String::from_utf8(json).expect("JSON is UTF-8"))
    }

    #[test]
    fn integers_are_written_up_to_the_last_safe_one() {
        let most = 9_007_199_254_740_991_u64;
        assert_eq!(json(most).as_deref(), Some("9007199254740991"));
        assert_eq!(json(-(most as i64)).as_deref(), Some("-9007199254740991"));
        assert_eq!(json(u128::from(most)).as_deref(), Some("9007199254740991"));
        assert_eq!(
            json(-i128::from(most)).as_deref(),
            Some("-9007199254740991")
        );
        for beyond in [most + 1, most + 2, u64::MAX] {
            assert_eq!(json(beyond), None, "{beyond}");
            assert_eq!(json(u128::from(beyond)), None, "{beyond}");
            assert_eq!(json(-i128::from(beyond)), None, "-{beyond}");
        }
        for beyond in [-(most as i64) - 1, i64::MIN, i64::MAX] {
            assert_eq!(json(beyond), None, "{beyond}");
        }
        assert_eq!(json([1, most + 1]), None, "deep inside, too");
        assert_eq!(json(u128::MAX), None);
        assert_eq!(json(i128::MIN), None);
        // A fraction has its own rules: it is never exact.
        assert_eq!(json(1e300).as_deref(), Some("1e+300"));
    }

    #[test]
    fn a_map_whose_keys_are_lists_has_no_form() {
        let Err(Unfit::Mismatch { what, .. }) = write(&BTreeMap::from([(vec![1], 2)]), io::sink())
        else {
            panic!("it was written");
        };
        assert_eq!(what, "JSON cannot represent it");
    }

    #[test]
    fn what_is_said_of_a_mismatch_quotes_nothing() {
        #[derive(Debug, Deserialize)]
        #[serde(tag = "type", rename_all = "camelCase")]
        enum Message {
            #[allow(dead_code)]
            Hello { name: String, age: u8 },
        }
        let said = |text: &str| {
            let error = serde_json::from_str::<Message>(text).expect_err("a mismatch");
            without_values(&error.to_string())
        };
        for (text, expected) in [
            (r#"{"type":"hello","age":1}"#, "missing field `name`"),
            (r#"{"type":"hunter2"}"#, "expected `hello`"),
            (
                r#"{"type":"hello","name":"a","age":"hunter2"}"#,
                "expected u8",
            ),
            (
                r#"{"type":"hello","name":"a","age":", expected hunter2"}"#,
                "expected u8",
            ),
            (r#"{"type":"hello","name":"a","age":300}"#, "expected u8"),
            (
                r#"{"type":"hello","name":"\ud800","age":3}"#,
                "it has a different form",
            ),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }
}
