//! As much of JSON as a batch of texts needs: where the elements of an array are, and strings.
//!
//! It reads in one pass, keeps a depth instead of a stack, and decides only where an element ends. Whether an element
//! is itself good JSON is for the application's codec to say, so that a bad one spoils only itself.

use alloc::string::String;
use alloc::vec::Vec;

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The elements of the array that is all of `text`, in order, without the white space around them. `None` if it is no
/// array, or an element is empty, a string does not end, or brackets do not match in number.
pub(super) fn elements(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut found = Vec::new();
    let mut scan = Scan::default();
    let mut start = 0;
    for (at, byte) in inner.bytes().enumerate() {
        if scan.step(byte)? {
            found.push(element(inner.get(start..at)?)?);
            start = at.saturating_add(1);
        }
    }
    if !scan.is_between() {
        return None;
    }
    found.push(element(inner.get(start..)?)?);
    Some(found)
}

/// Whether `text` keeps its borders as an element of an array.
pub(super) fn is_element(text: &str) -> bool {
    let mut scan = Scan::default();
    for byte in text.bytes() {
        if scan.step(byte) != Some(false) {
            return false;
        }
    }
    // White space around it would be lost.
    scan.is_between() && element(text).is_some_and(|inner| inner.len() == text.len())
}

fn element(text: &str) -> Option<&str> {
    let text = text.trim_matches(|c: char| c.is_ascii() && is_space(c as u8));
    (!text.is_empty()).then_some(text)
}

/// How far a text has been read.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Reads a byte and returns whether it is a comma between elements; `None` if a bracket closes that never opened.
    fn step(&mut self, byte: u8) -> Option<bool> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Some(false);
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth = self.depth.saturating_add(1),
            b']' | b'}' => self.depth = self.depth.checked_sub(1)?,
            b',' => return Some(self.depth == 0),
            _ => {}
        }
        Some(false)
    }

    const fn is_between(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

/// Appends `text` as a JSON string.
pub(super) fn write_string(into: &mut String, text: &str) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                into.push_str("\\u00");
                for shift in [4, 0] {
                    let digit = ((c as u32) >> shift) & 0xf;
                    into.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

/// The text that a JSON string stands for. `None` if `json` is no string, has a control character or an unknown escape,
/// or half of a surrogate pair, which UTF-8 cannot hold.
pub(super) fn read_string(json: &str) -> Option<String> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            c if (c as u32) < 0x20 => return None,
            '\\' => text.push(match chars.next()? {
                '"' => '"',
                '\\' => '\\',
                '/' => '/',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => unicode(&mut chars)?,
                _ => return None,
            }),
            c => text.push(c),
        }
    }
    Some(text)
}

fn unicode(chars: &mut core::str::Chars<'_>) -> Option<char> {
    let mut units = [0_u16; 2];
    units[0] = unit(chars)?;
    let used = if (0xd800..0xdc00).contains(&units[0]) {
        if (chars.next()?, chars.next()?) != ('\\', 'u') {
            return None;
        }
        units[1] = unit(chars)?;
        2
    } else {
        1
    };
    char::decode_utf16(units.into_iter().take(used))
        .next()?
        .ok()
}

fn unit(chars: &mut core::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0_u16;
    for _ in 0..4 {
        let digit = chars.next()?.to_digit(16)?;
        unit = (unit << 4) | u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn an_array_is_split_at_its_own_commas() {
        for (text, expected) in [
            ("[1]", Some(&["1"][..])),
            ("[1,2]", Some(&["1", "2"])),
            ("[ 1 ,\n{\"a\":[1,2]} ]", Some(&["1", "{\"a\":[1,2]}"])),
            (r#"["a,\"],b",[]]"#, Some(&[r#""a,\"],b""#, "[]"])),
            // The second element is bad, and spoils only itself.
            ("[1,tru,3]", Some(&["1", "tru", "3"])),
            ("[1,[},3]", Some(&["1", "[}", "3"])),
            ("[]", None),
            ("[ ]", None),
            ("[1,]", None),
            ("[,1]", None),
            ("[1", None),
            ("[\"a]", None),
            ("[1]]", None),
            ("[1],[2]", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(elements(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_would_change_in_an_array_is_no_element() {
        for text in ["1", "[1,{}]", r#""a, ]""#] {
            assert!(is_element(text), "{text}");
        }
        for text in ["", " 1", "1 ", "1,2", "]", "[", r#"""#] {
            assert!(!is_element(text), "{text}");
        }
        let mut json = String::new();
        write_string(&mut json, "\u{1f}");
        assert_eq!(json, r#""\u001f""#);
    }

    #[test]
    fn strings_are_read_as_json_says() {
        for (json, text) in [
            (r#""""#, Some("")),
            (r#""a\"\\\/\b\f\n\r\t""#, Some("a\"\\/\u{8}\u{c}\n\r\t")),
            (r#""\u00e9\ud83d\ude00""#, Some("é😀")),
            (r#""\ud83d""#, None),
            (r#""\ude00""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\x""#, None),
            (r#""\u00g0""#, None),
            ("\"\n\"", None),
            ("\"", None),
            (r#""a"b""#, None),
        ] {
            assert_eq!(read_string(json).as_deref(), text, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_text_survives_as_a_string_in_an_array(texts in prop::collection::vec(any::<String>(), 1..5)) {
            let mut array = "[".to_string();
            for (at, text) in texts.iter().enumerate() {
                if at > 0 {
                    array.push(',');
                }
                write_string(&mut array, text);
            }
            array.push(']');
            let read: Option<Vec<_>> = elements(&array).unwrap().into_iter().map(read_string).collect();
            prop_assert_eq!(read.unwrap(), texts);
        }

        #[test]
        fn what_passes_as_an_element_stays_one(texts in prop::collection::vec("[\\[\\]{}\",\\\\a ]{0,6}", 1..4)) {
            if texts.iter().all(|text| is_element(text)) {
                let array = alloc::format!("[{}]", texts.join(","));
                prop_assert_eq!(elements(&array).unwrap(), texts);
            }
        }
    }
}
