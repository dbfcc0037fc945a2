//! Arguments of the programs.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::Result;

/// The number that follows an option.
///
/// # Errors
///
/// If there is none, or it is out of range, with what is accepted.
pub fn number<T>(parser: &mut lexopt::Parser, option: &str, range: RangeInclusive<T>) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let value = parser.value()?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    Ok(number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("{option} takes a number from {least} to {most}, not {value:?}")
        })?)
}
