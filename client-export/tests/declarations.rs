//! The shared parts of `src/socket.d.ts` match the declarations of the JavaScript API.
//! `UPDATE=1 cargo test -p steady-socket-export` regenerates them.

use std::path::{Path, PathBuf};

const OWN: &str = "src/socket.d.ts";
const FACE: &str = "../client-wasm/js/reconnecting-websocket.d.ts";

fn read(path: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).expect("the file can be read");
    (path, text)
}

/// The text between `begin` and `end`.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(begin)
        .unwrap_or_else(|| panic!("no {begin:?}"));
    let (inner, _) = rest.split_once(end).unwrap_or_else(|| panic!("no {end:?}"));
    inner
}

/// A type from those declarations, with the comment above it.
fn declared(face: &str, name: &str) -> String {
    let begin = face
        .find(&format!("export type {name} ="))
        .unwrap_or_else(|| panic!("no {name}"));
    let comment = face[..begin]
        .rfind("\n/**")
        .unwrap_or_else(|| panic!("no comment above {name}"));
    // Up to the next blank line.
    let rest = &face[comment + 1..];
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    rest[..end].to_owned()
}

#[test]
fn what_both_faces_have_is_declared_alike() {
    let (path, present) = read(OWN);
    let (_, face) = read(FACE);
    let mark = |name: &str| {
        (
            format!("// <generated {name}>\n"),
            format!("// </generated {name}>\n"),
        )
    };
    let (begin, end) = mark("options");
    let parts = [
        ("LossCause", declared(&face, "LossCause")),
        ("ConnectionState", declared(&face, "ConnectionState")),
        // The indentation of the closing mark precedes it.
        ("options", between(&face, &begin, &end).to_owned()),
    ];
    let mut wanted = present.clone();
    for (name, text) in parts {
        let (begin, end) = mark(name);
        let old = format!("{begin}{}{end}", between(&wanted, &begin, &end));
        wanted = wanted.replace(&old, &format!("{begin}{text}{end}"));
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).expect("the file can be written");
    } else {
        assert!(
            present == wanted,
            "{OWN} does not match {FACE}; \
             `UPDATE=1 cargo test -p steady-socket-export` regenerates it"
        );
    }
}
