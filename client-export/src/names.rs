//! The names of Rust types in TypeScript, and texts made of them, at compile time.

use std::marker::PhantomData;

use tsify::Tsify;

/// A type, whose name is `Named::<T>::NAME`. With a type that has none, that does not compile.
#[derive(Debug)]
pub struct Named<T>(PhantomData<T>);

impl<T: Tsify> Named<T> {
    /// The name in its declaration.
    pub const NAME: &'static str = name_in(T::DECL);
}

/// The names of types that TypeScript has itself.
pub trait Known {
    /// The name.
    const NAME: &'static str;
}

macro_rules! known {
    ($($name:literal: $($of:ty)+;)+) => {
        $($(impl Known for Named<$of> {
            const NAME: &'static str = $name;
        })+)+
    };
}

known! {
    "null": ();
    "boolean": bool;
    "string": String;
    "number": f32 f64 i8 i16 i32 i64 isize u8 u16 u32 u64 usize;
}

/// The name that a declaration declares: `Ask` in `export type Ask = …`, behind comments.
const fn name_in(declaration: &'static str) -> &'static str {
    let text = declaration.as_bytes();
    let mut at = 0;
    // Behind the comment that stands before it.
    let mut end = 0;
    while at + 1 < text.len() && end == 0 {
        if text[at] == b'/' && text[at + 1] == b'*' {
            while !(text[at] == b'*' && text[at + 1] == b'/') {
                at += 1;
            }
        }
        if starts_at(text, at, b"export ") {
            end = at + b"export ".len();
        }
        at += 1;
    }
    // Behind the word that says what it is.
    at = end;
    while at < text.len() && text[at] != b' ' {
        at += 1;
    }
    at += 1;
    let mut last = at;
    while last < text.len() && (text[last].is_ascii_alphanumeric() || text[last] == b'_') {
        last += 1;
    }
    assert!(last > at, "its declaration names nothing");
    declaration.split_at(last).0.split_at(at).1
}

const fn starts_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    let mut index = 0;
    while index < word.len() {
        if at + index >= text.len() || text[at + index] != word[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The length of these texts together.
pub const fn length(parts: &[&str]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum += parts[at].len();
        at += 1;
    }
    sum
}

/// These texts one after the other.
pub const fn join<const LENGTH: usize>(parts: &[&str]) -> [u8; LENGTH] {
    let mut joined = [0; LENGTH];
    let (mut part, mut to) = (0, 0);
    while part < parts.len() {
        let text = parts[part].as_bytes();
        let mut at = 0;
        while at < text.len() {
            joined[to] = text[at];
            to += 1;
            at += 1;
        }
        part += 1;
    }
    joined
}

/// Joined texts as a text.
pub const fn text(joined: &[u8]) -> &str {
    match std::str::from_utf8(joined) {
        Ok(text) => text,
        Err(_) => panic!("texts joined make no text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_declarations() {
        for (declaration, name) in [
            ("export type Ask = { type: \"a\" };", "Ask"),
            ("export interface Ask_2 {\n    a: string;\n}", "Ask_2"),
            ("/**\n * export type No = 1 */\nexport type Yes=1", "Yes"),
            ("declare namespace A {}\n\nexport type B<T> = T;", "B"),
        ] {
            assert_eq!(name_in(declaration), name);
        }
        assert_eq!(Named::<()>::NAME, "null");
        assert_eq!(Named::<u32>::NAME, "number");
    }

    #[test]
    fn texts_are_joined() {
        const PARTS: &[&str] = &["a", "", "…", "c"];
        const JOINED: [u8; length(PARTS)] = join(PARTS);
        assert_eq!(text(&JOINED), "a…c");
    }
}
