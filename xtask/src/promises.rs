//! The promises of `docs/reliability.md`, and the tests that prove them.
//!
//! A promise is a heading such as `### R7. It comes back`, followed by a list of its tests:
//! ``- `path/of/the/file`: name``. A test names the promises that it proves with `[R7]`: in JavaScript at the start of
//! its title, in Rust in a comment above the function. This module finds promises without a test, tests of nonexistent
//! promises, and lists that differ from the actual tests.
//!
//! A fault is an item such as `* **The server restarts.** R7`, followed by the tests in which it occurs:
//! ``  - `path/of/the/file` › name``. This module finds faults that have no test and are not marked `not promised`, and
//! nonexistent tests and promises.
//!
//! A test that does not run proves nothing, so none of these may be ignored, skipped, marked as to do, or suppressed
//! by another test that runs alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{Result, checkout, files};

const DOCUMENT: &str = "docs/reliability.md";

/// The heading above the faults.
const FAULTS: &str = "## The faults";

/// The mark of a fault without a test.
const NOT_PROMISED: &str = "not promised";

/// The folders of the tests.
const FOLDERS: [&str; 7] = [
    "client",
    "client-export",
    "client-wasm",
    "examples",
    "protocol",
    "test-server",
    "tests",
];

/// Folders in these with third-party or generated files.
const NOT_OURS: [&str; 3] = ["node_modules", "target", "pkg"];

/// The names of tests by the number of their promise, each as a line of the list.
type Proofs = BTreeMap<u32, BTreeSet<String>>;

/// What the sources contain.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// The tests that carry the number of a promise.
    proofs: Proofs,
    /// All tests, each named as in a fault.
    tests: BTreeSet<String>,
    /// Marked tests that do not run, and why.
    idle: Vec<String>,
}

/// A fault of the document.
#[derive(Debug, Default, PartialEq)]
struct Fault {
    /// Its first line.
    title: String,
    /// The numbers of the promises in it.
    promises: Vec<u32>,
    /// The tests below it, verbatim.
    tests: Vec<String>,
    is_promised: bool,
}

/// A test of a source file.
#[derive(Debug, PartialEq)]
struct Test<'a> {
    /// The promises whose numbers it carries.
    promises: Vec<u32>,
    name: &'a str,
    /// The word that keeps it from running.
    idle: Option<&'a str>,
}

/// Compares the document with the tests.
///
/// # Errors
///
/// Every difference, with the line that would fix it.
pub(crate) fn check() -> Result<()> {
    let document = files::read(&checkout::path(DOCUMENT))?;
    let mut present = present()?;
    let mut complaints = compare(&listed_in(&document), &present.proofs);
    complaints.extend(unproved(&faults_in(&document), &present));
    complaints.append(&mut present.idle);
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{DOCUMENT} and the tests differ:\n{}",
        complaints.join("\n")
    )
    .into())
}

/// The tests of the checkout.
///
/// # Errors
///
/// If a file cannot be read.
pub(crate) fn present() -> Result<Present> {
    let mut present = Present::default();
    for folder in FOLDERS {
        collect(Path::new(folder), &mut present)?;
    }
    Ok(present)
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
            complaints.push(format!("R{number} lists a nonexistent test\n  {line}"));
        }
    }
    for (number, tests) in present {
        if !listed.contains_key(number) {
            let tests: Vec<_> = tests.iter().map(String::as_str).collect();
            let tests = tests.join("\n  ");
            complaints.push(format!(
                "R{number} does not exist, but these prove it\n  {tests}"
            ));
        }
    }
    complaints
}

/// The promises of the document, with their listed tests.
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

/// The faults of the document.
fn faults_in(document: &str) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let lines = document.lines().skip_while(|line| *line != FAULTS).skip(1);
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(title) = line.strip_prefix("* ") {
            faults.push(Fault {
                title: title.to_owned(),
                is_promised: true,
                ..Fault::default()
            });
        }
        let Some(fault) = faults.last_mut().filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if let Some(test) = line.trim_start().strip_prefix("- ") {
            fault.tests.push(test.trim_end().to_owned());
            continue;
        }
        fault.is_promised &= !line.contains(NOT_PROMISED);
        let words = line.split(|c: char| !c.is_alphanumeric());
        let numbers = words.filter_map(|word| word.strip_prefix('R')?.parse::<u32>().ok());
        fault.promises.extend(numbers);
    }
    faults
}

/// What the faults lack.
fn unproved(faults: &[Fault], present: &Present) -> Vec<String> {
    let mut complaints = Vec::new();
    if faults.is_empty() {
        complaints.push(format!("no fault below `{FAULTS}`"));
    }
    for Fault {
        title,
        promises,
        tests,
        is_promised,
    } in faults
    {
        if *is_promised && tests.is_empty() {
            complaints.push(format!(
                "a fault has no test and is not marked `{NOT_PROMISED}`\n  {title}"
            ));
        }
        for number in promises {
            if !present.proofs.contains_key(number) {
                complaints.push(format!(
                    "a fault refers to R{number}, which no test proves\n  {title}"
                ));
            }
        }
        for test in tests {
            if !present.tests.contains(test) {
                complaints.push(format!(
                    "a fault names a nonexistent test\n  {title}\n  - {test}"
                ));
            }
        }
    }
    complaints
}

/// Collects the tests of a folder in the checkout, recursively.
fn collect(folder: &Path, present: &mut Present) -> Result<()> {
    for entry in std::fs::read_dir(checkout::root().join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if !NOT_OURS.iter().any(|name| path.ends_with(name)) {
                collect(&path, present)?;
            }
            continue;
        }
        let find = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => tests_in_rust,
            Some("js" | "mjs") => tests_in_javascript,
            _ => continue,
        };
        let source = files::read(&checkout::root().join(&path))?;
        for test in find(&source) {
            present.add(&path, test);
        }
    }
    Ok(())
}

impl Present {
    /// The numbers of the promises that have a test.
    pub(crate) fn promises(&self) -> impl Iterator<Item = u32> {
        self.proofs.keys().copied()
    }

    /// Whether the file has a test of this name that runs.
    pub(crate) fn has_test(&self, file: &str, name: &str) -> bool {
        self.tests.contains(&format!("`{file}` › {name}"))
    }

    /// Whether this test carries the number of the promise.
    pub(crate) fn proves(&self, file: &str, name: &str, promise: u32) -> bool {
        let line = format!("- `{file}`: {name}");
        self.proofs
            .get(&promise)
            .is_some_and(|tests| tests.contains(&line))
    }

    fn add(&mut self, path: &Path, test: Test<'_>) {
        let (path, name) = (path.display(), test.name);
        let as_named = format!("`{path}` › {name}");
        if let Some(word) = test.idle
            && !test.promises.is_empty()
        {
            self.idle.push(format!(
                "a test of R{} does not run, because of `{word}`\n  {as_named}",
                test.promises[0]
            ));
        }
        for number in test.promises {
            let line = format!("- `{path}`: {name}");
            self.proofs.entry(number).or_default().insert(line);
        }
        // A test that does not run proves no fault.
        if test.idle.is_none() {
            self.tests.insert(as_named);
        }
    }
}

/// The marks at the start of a text, and the rest.
pub(crate) fn marks(mut text: &str) -> (Vec<u32>, &str) {
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

/// Words that keep JavaScript tests from running, or make them suppress others. The whole file is searched,
/// since a group's word is far from the title of a test in it.
const IDLE_IN_JAVASCRIPT: [&str; 10] = [
    ".skip(",
    ".todo(",
    ".only(",
    "skip:",
    "todo:",
    "only:",
    "xit(",
    "xtest(",
    "xdescribe(",
    "fit(",
];

/// Titles: strings that begin with marks, first arguments of `test` or `it`, and names of asynchronous
/// methods.
fn tests_in_javascript(source: &str) -> Vec<Test<'_>> {
    let code = || {
        source
            .lines()
            .map(|line| line.split("// ").next().unwrap_or_default())
    };
    let idle = IDLE_IN_JAVASCRIPT
        .into_iter()
        .find(|word| code().any(|line| has_word(line, word)));
    let mut found = Vec::new();
    for line in source.lines() {
        for quote in ['\'', '"', '`'] {
            let Some((before, rest)) = line.split_once(quote) else {
                continue;
            };
            let Some((title, _)) = rest.split_once(quote) else {
                continue;
            };
            let (promises, name) = marks(title);
            let before = before.trim_start();
            let is_title = ["test(", "it(", "async "].contains(&before)
                || IDLE_IN_JAVASCRIPT.iter().any(|word| before.ends_with(word));
            if is_title || !promises.is_empty() {
                found.push(Test {
                    promises,
                    name,
                    idle,
                });
                break;
            }
        }
    }
    found
}

/// Whether a line has the word as a method, an option's key, or a function.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = &line[..at];
        if word.starts_with('.') {
            true
        } else if word.ends_with(':') {
            before
                .trim_end()
                .chars()
                .next_back()
                .is_none_or(|c| "{,".contains(c))
        } else {
            before
                .chars()
                .next_back()
                .is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '$')
        }
    })
}

/// Functions with a test attribute, or below a comment that begins with marks.
fn tests_in_rust(source: &str) -> Vec<Test<'_>> {
    const IGNORED: &str = "#[ignore";
    let mut found = Vec::new();
    let mut promises = Vec::new();
    let mut is_test = false;
    let mut idle = None;
    for line in source.lines().map(str::trim_start) {
        if let Some(comment) = line.strip_prefix("///").or_else(|| line.strip_prefix("//")) {
            promises.extend(marks(comment.trim_start()).0);
            continue;
        }
        if line.starts_with("#[") {
            is_test |= line.contains("test");
            if line.starts_with(IGNORED) || line.contains("ignore)]") {
                idle = Some(IGNORED);
            }
            continue;
        }
        if let Some((_, rest)) = line.split_once("fn ")
            && (is_test || !promises.is_empty())
        {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            found.push(Test {
                promises: std::mem::take(&mut promises),
                name: &rest[..end.unwrap_or(rest.len())],
                idle,
            });
        }
        is_test = false;
        idle = None;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test<'a>(promises: &[u32], name: &'a str, idle: Option<&'a str>) -> Test<'a> {
        Test {
            promises: promises.to_vec(),
            name,
            idle,
        }
    }

    #[test]
    fn tests_and_their_marks_are_found_in_both_languages() {
        let javascript = "  test('[R1][R12] it lives', async () => {\n  async `[R2] ${what}`(t) {\n\
                          const other = list['[Rx]'];\n test('it \"does\"', () => {\n async 'so'(t) {\n\
                          const test = 'x';";
        assert_eq!(
            tests_in_javascript(javascript),
            [
                test(&[1, 12], "it lives", None),
                test(&[2], "${what}", None),
                test(&[], "it \"does\"", None),
                test(&[], "so", None),
            ]
        );
        let rust = "// [R3]\n#[test]\nfn it_lives() {\n}\n/// [R4] and why\n/// [R5]\n\
                    #[wasm_bindgen_test]\nasync fn so_does_it<T>() {}\nfn another() {}\n\
                    #[tokio::test]\nasync fn a_third() {\n";
        assert_eq!(
            tests_in_rust(rust),
            [
                test(&[3], "it_lives", None),
                test(&[4, 5], "so_does_it", None),
                test(&[], "a_third", None),
            ]
        );
    }

    #[test]
    fn what_does_not_run_is_found_in_javascript() {
        for (source, word) in [
            ("test.skip('[R1] it', () => {", ".skip("),
            ("test.todo('[R1] it');", ".todo("),
            (
                "describe.skip('all', () => {\n  test('[R1] it', () => {",
                ".skip(",
            ),
            ("test('[R1] it', { skip: true }, () => {", "skip:"),
            (
                "test('[R1] it', { timeout: 1, todo: 'later' }, () => {",
                "todo:",
            ),
            ("test('[R1] it', (t) => {\n  t.skip();", ".skip("),
            (
                "test('another', { only: true }, () => {\ntest('[R1] it', () => {",
                "only:",
            ),
            ("  xit('[R1] it', () => {", "xit("),
            (
                "xdescribe('all', () => {\n  it('[R1] it', () => {",
                "xdescribe(",
            ),
        ] {
            let found = tests_in_javascript(source);
            let marked = found.iter().find(|test| test.promises == [1]);
            assert_eq!(
                marked.map(|test| (test.name, test.idle)),
                Some(("it", Some(word))),
                "{source}"
            );
        }
        for source in [
            "test('[R1] it', () => {\n  process.exit(1);",
            "test('[R1] it', () => {\n  // skip: not this\n  const text = `1 ms only: too few`;",
        ] {
            assert_eq!(tests_in_javascript(source)[0].idle, None, "{source}");
        }
    }

    #[test]
    fn what_does_not_run_is_found_in_rust() {
        let ignored = Some("#[ignore");
        let source = "// [R1]\n#[test]\n#[ignore]\nfn one() {}\n\
                      #[ignore = \"slow\"]\n// [R2]\n#[tokio::test]\nasync fn two() {}\n\
                      // [R3]\n#[cfg_attr(miri, ignore)]\n#[test]\nfn three() {}\n\
                      // [R4]\n#[test]\nfn four() {}\n";
        assert_eq!(
            tests_in_rust(source),
            [
                test(&[1], "one", ignored),
                test(&[2], "two", ignored),
                test(&[3], "three", ignored),
                test(&[4], "four", None),
            ]
        );
        let mut present = Present::default();
        for test in tests_in_rust(source) {
            present.add(Path::new("a.rs"), test);
        }
        assert_eq!(
            present.idle[0],
            "a test of R1 does not run, because of `#[ignore`\n  `a.rs` › one"
        );
        assert_eq!(present.idle.len(), 3);
        assert_eq!(present.tests.len(), 1, "the fourth");
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
                "R1 lists a nonexistent test\n  - `a.rs`: gone",
                "R2 has no test",
                "R3 does not exist, but these prove it\n  - `c.rs`: three",
            ]
        );
    }

    #[test]
    fn faults_name_tests_and_promises_that_there_are() {
        let document = "* **Not a fault.** R9\n## The faults\nEach.\n### In one\n\
                        * **One.** R1,\n  R2\n  - `a.rs` › one\n  - `a.rs` › gone\n\
                        * **Two.**\n### In another\n* **Three.** It is not promised: why.\n\
                        ## More\n* **No fault.** R9\n";
        let faults = faults_in(document);
        let titles: Vec<_> = faults.iter().map(|fault| fault.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "**One.** R1,",
                "**Two.**",
                "**Three.** It is not promised: why."
            ]
        );
        let mut present = Present::default();
        present.add(Path::new("a.rs"), test(&[1], "one", None));
        assert_eq!(
            unproved(&faults, &present),
            [
                "a fault refers to R2, which no test proves\n  **One.** R1,",
                "a fault names a nonexistent test\n  **One.** R1,\n  - `a.rs` › gone",
                "a fault has no test and is not marked `not promised`\n  **Two.**",
            ]
        );
        assert_eq!(
            unproved(&faults_in("## Promises\n"), &present),
            ["no fault below `## The faults`"]
        );
    }

    #[test]
    fn the_promises_have_tests() {
        check().unwrap();
    }
}
