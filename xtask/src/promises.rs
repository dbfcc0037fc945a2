//! The promises of `docs/reliability.md`, and the tests that prove them.
//!
//! A promise is a heading such as `### R7. It comes back`, and below it a list of its tests:
//! ``- `path/of/the/file`: name``. A test says which promises it proves by `[R7]`: in JavaScript at the
//! start of its title, in Rust in a comment above the function. This finds a promise without a test, a
//! test of a promise that there is not, and a list that does not name exactly the tests that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{Result, checkout, files};

const DOCUMENT: &str = "docs/reliability.md";

/// Where tests are.
const FOLDERS: [&str; 5] = ["client", "client-wasm", "protocol", "test-server", "tests"];

/// Folders in these that hold what others wrote or tools made.
const NOT_OURS: [&str; 3] = ["node_modules", "target", "pkg"];

/// The names of tests, by the number of the promise; each as a line of the list.
type Proofs = BTreeMap<u32, BTreeSet<String>>;

/// Compares the document with the tests.
///
/// # Errors
///
/// Everything that does not fit, with the line that would.
pub(crate) fn check() -> Result<()> {
    let listed = listed_in(&files::read(&checkout::path(DOCUMENT))?);
    let mut present = Proofs::new();
    for folder in FOLDERS {
        collect(Path::new(folder), &mut present)?;
    }
    let complaints = compare(&listed, &present);
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{DOCUMENT} and the tests differ:\n{}",
        complaints.join("\n")
    )
    .into())
}

fn compare(listed: &Proofs, present: &Proofs) -> Vec<String> {
    let none = BTreeSet::new();
    let mut complaints = Vec::new();
    for (number, listed) in listed {
        let present = present.get(number).unwrap_or(&none);
        if present.is_empty() {
            complaints.push(format!("R{number} has no test"));
        }
        for line in present.difference(listed) {
            complaints.push(format!("R{number} does not list its test\n  {line}"));
        }
        for line in listed.difference(present) {
            complaints.push(format!(
                "R{number} lists a test that there is not\n  {line}"
            ));
        }
    }
    for (number, tests) in present {
        if !listed.contains_key(number) {
            let tests: Vec<_> = tests.iter().map(String::as_str).collect();
            let tests = tests.join("\n  ");
            complaints.push(format!(
                "there is no R{number}, which these prove\n  {tests}"
            ));
        }
    }
    complaints
}

/// The promises of the document, with the tests that it lists.
fn listed_in(document: &str) -> Proofs {
    let mut listed = Proofs::new();
    let mut current = None;
    for line in document.lines() {
        if line.starts_with('#') {
            current = line
                .strip_prefix("### R")
                .and_then(|rest| rest.split_once('.')?.0.parse().ok());
            if let Some(number) = current {
                listed.entry(number).or_default();
            }
        } else if let Some(number) = current
            && line.starts_with("- `")
        {
            listed
                .entry(number)
                .or_default()
                .insert(line.trim_end().to_owned());
        }
    }
    listed
}

/// Adds the tests of a folder in the checkout, and of those in it.
fn collect(folder: &Path, proofs: &mut Proofs) -> Result<()> {
    for entry in std::fs::read_dir(checkout::root().join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.iter().any(|name| path.ends_with(name)) {
                collect(&path, proofs)?;
            }
            continue;
        }
        let find = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => marked_in_rust,
            Some("js" | "mjs") => marked_in_javascript,
            _ => continue,
        };
        let source = files::read(&checkout::root().join(&path))?;
        for (numbers, name) in find(&source) {
            for number in numbers {
                let line = format!("- `{}`: {name}", path.display());
                proofs.entry(number).or_default().insert(line);
            }
        }
    }
    Ok(())
}

/// The marks at the start of a text, and what follows them.
fn marks(mut text: &str) -> (Vec<u32>, &str) {
    let mut numbers = Vec::new();
    while let Some((number, rest)) = text
        .strip_prefix("[R")
        .and_then(|rest| rest.split_once(']'))
        && let Ok(number) = number.parse()
    {
        numbers.push(number);
        text = rest;
    }
    (numbers, text.trim_start())
}

/// Titles in quotation marks of any kind that begin with marks.
fn marked_in_javascript(source: &str) -> Vec<(Vec<u32>, &str)> {
    let mut found = Vec::new();
    for line in source.lines() {
        for quote in ['\'', '"', '`'] {
            let Some((_, text)) = line.split_once(&format!("{quote}[R")) else {
                continue;
            };
            let start = line.len() - text.len() - "[R".len();
            let title = line[start..].split(quote).next().unwrap_or_default();
            let (numbers, name) = marks(title);
            if !numbers.is_empty() {
                found.push((numbers, name));
            }
        }
    }
    found
}

/// Functions below a comment that begins with marks.
fn marked_in_rust(source: &str) -> Vec<(Vec<u32>, &str)> {
    let mut found = Vec::new();
    let mut pending = Vec::new();
    for line in source.lines().map(str::trim_start) {
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//"));
        if let Some(comment) = comment {
            pending.extend(marks(comment.trim_start()).0);
        } else if !pending.is_empty()
            && let Some((_, rest)) = line.split_once("fn ")
        {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            found.push((
                std::mem::take(&mut pending),
                &rest[..end.unwrap_or(rest.len())],
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_both_languages() {
        let javascript = "  test('[R1][R12] it lives', async () => {\n  async `[R2] ${what}`(t) {\n\
                          const other = list['[Rx]'];";
        assert_eq!(
            marked_in_javascript(javascript),
            [(vec![1, 12], "it lives"), (vec![2], "${what}")]
        );
        let rust = "// [R3]\n#[test]\nfn it_lives() {\n}\n/// [R4] and why\n/// [R5]\n\
                    #[wasm_bindgen_test]\nasync fn so_does_it<T>() {}\nfn another() {}";
        assert_eq!(
            marked_in_rust(rust),
            [(vec![3], "it_lives"), (vec![4, 5], "so_does_it")]
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let listed = listed_in(
            "# Promises\n### R1. One\n- `a.rs`: one\n- `a.rs`: gone\n### R2. Two\n\
             ## More\n- `a.rs`: no promise\n",
        );
        assert_eq!(listed.keys().copied().collect::<Vec<_>>(), [1, 2]);
        let mut present = Proofs::new();
        let mut add =
            |number, line: &str| present.entry(number).or_default().insert(line.to_owned());
        add(1, "- `a.rs`: one");
        add(1, "- `b.rs`: new");
        add(3, "- `c.rs`: three");
        assert_eq!(
            compare(&listed, &present),
            [
                "R1 does not list its test\n  - `b.rs`: new",
                "R1 lists a test that there is not\n  - `a.rs`: gone",
                "R2 has no test",
                "there is no R3, which these prove\n  - `c.rs`: three",
            ]
        );
    }

    #[test]
    fn the_promises_have_tests() {
        check().unwrap();
    }
}
