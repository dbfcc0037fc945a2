//! The promises and faults of `docs/reliability.md`, and the page that lists their tests.
//!
//! A promise is a heading such as `### R7. It comes back`, a fault an item such as `* **F1. The server restarts.** R7`.
//! A test carries the marks of those that it proves, as `[R7][F1]`: in JavaScript at the start of its title, in Rust in
//! a comment above the function. `docs/promises.md` is written from these marks. Every promise and every fault needs
//! a test, and every promise a planted bug that its test finds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::planted::{self, Bug};
use crate::{Result, checkout, files};

const DOCUMENT: &str = "docs/reliability.md";
const PAGE: &str = "docs/promises.md";

/// Says that a fault needs no test.
const NOT_PROMISED: &str = "not promised";

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

/// A promise (`R`) or a fault (`F`), by its number.
pub(crate) type Mark = (char, u32);

/// A test: its file and its name without the marks.
type Test = (String, String);

/// A promise or fault of the document.
#[derive(Debug, PartialEq)]
struct Entry {
    mark: Mark,
    title: String,
    /// Title and text of a fault.
    text: String,
}

impl Entry {
    fn needs_test(&self) -> bool {
        !self.text.contains(NOT_PROMISED)
    }
}

/// Writes the page.
///
/// # Errors
///
/// What is wrong with the document, the tests or the table of planted bugs.
pub(crate) fn write() -> Result<()> {
    files::write(&checkout::path(PAGE), page()?)
}

/// Checks that the page is what [`write()`] would write.
///
/// # Errors
///
/// See [`write()`].
pub(crate) fn check() -> Result<()> {
    if page()? == files::read(&checkout::path(PAGE))? {
        return Ok(());
    }
    Err(format!("{PAGE} is out of date: `cargo xtask promises` writes it").into())
}

fn page() -> Result<String> {
    let mut tests = BTreeMap::new();
    for folder in FOLDERS {
        for file in files::below(&checkout::path(folder))? {
            let file = Path::new(folder).join(file);
            let is_ours = !NOT_OURS
                .iter()
                .any(|name| file.iter().any(|part| part == *name));
            let extension = file.extension().unwrap_or_default().to_string_lossy();
            if is_ours && ["rs", "js", "mjs"].contains(&&*extension) {
                let source = files::read(&checkout::root().join(&file))?;
                add_tests(&file.to_string_lossy(), &source, &mut tests)?;
            }
        }
    }
    let entries = entries_of(&files::read(&checkout::path(DOCUMENT))?)?;
    let complaints = complaints(&entries, &tests, planted::TABLE);
    if complaints.is_empty() {
        return Ok(page_of(&entries, &tests));
    }
    Err(format!(
        "{DOCUMENT}, the tests and the planted bugs do not fit:\n{}",
        complaints.join("\n")
    )
    .into())
}

/// The promises and faults of the document.
fn entries_of(document: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = "";
    for line in document.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let (kind, title) = match (section, line) {
            ("Promises", line) if line.starts_with("### ") => ('R', &line[4..]),
            ("The faults", line) if line.starts_with("* ") => {
                ('F', line[2..].trim_start_matches('*'))
            }
            ("The faults", _) => {
                // A later line of a fault.
                if let Some(fault) = entries.last_mut().filter(|entry| entry.mark.0 == 'F') {
                    fault.text += &format!(" {}", line.trim());
                }
                continue;
            }
            _ => continue,
        };
        let numbered = title.strip_prefix(kind).and_then(|rest| {
            let (number, title) = rest.split_once(". ")?;
            Some((number.parse().ok()?, title))
        });
        let (number, rest) =
            numbered.ok_or_else(|| format!("{DOCUMENT} has no number before `{title}`"))?;
        let title = rest.split(".**").next().unwrap_or(rest).to_owned();
        entries.push(Entry {
            mark: (kind, number),
            title,
            text: rest.to_owned(),
        });
    }
    Ok(entries)
}

/// The marks at the start of a text, and the rest.
pub(crate) fn marks(mut text: &str) -> (Vec<Mark>, &str) {
    let mut marks = Vec::new();
    while let Some((mark, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && let Some(kind @ ('R' | 'F')) = mark.chars().next()
        && let Ok(number) = mark[1..].parse()
    {
        marks.push((kind, number));
        text = rest;
    }
    (marks, text.trim_start())
}

/// Adds the tests of a file that carry marks.
///
/// # Errors
///
/// If one of them might not run.
fn add_tests(file: &str, source: &str, tests: &mut BTreeMap<Test, Vec<Mark>>) -> Result<()> {
    let is_rust = file.ends_with(".rs");
    let mut above = Vec::new();
    let mut is_marked = false;
    for line in source.lines().map(str::trim_start) {
        let mut add = |marks: Vec<Mark>, name: &str| {
            is_marked = true;
            let test = (file.to_owned(), name.to_owned());
            tests.entry(test).or_default().extend(marks);
        };
        if !is_rust {
            for (at, quote) in line.match_indices(['\'', '"', '`']) {
                let (marks, rest) = marks(&line[at + 1..]);
                if let (false, Some((name, _))) = (marks.is_empty(), rest.split_once(quote)) {
                    add(marks, name);
                }
            }
        } else if let Some(comment) = line.strip_prefix("//") {
            above.extend(marks(comment.trim_start_matches('/').trim_start()).0);
        } else if !line.starts_with("#[") {
            let marks = std::mem::take(&mut above);
            if let (false, Some((_, rest))) = (marks.is_empty(), line.split_once("fn ")) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                add(marks, &rest[..end.unwrap_or(rest.len())]);
            }
        }
    }
    let idle: &[&str] = match is_rust {
        true => &["#[ignore", "ignore)]"],
        false => &[
            ".skip(", "{ skip:", ", skip:", ".only(", "{ only:", ", only:", ".todo(", "{ todo:",
            ", todo:",
        ],
    };
    match idle
        .iter()
        .find(|word| is_marked && source.contains(**word))
    {
        Some(word) => Err(format!("a test of {file} might not run, because of `{word}`").into()),
        None => Ok(()),
    }
}

/// What does not fit together.
fn complaints(entries: &[Entry], tests: &BTreeMap<Test, Vec<Mark>>, bugs: &[Bug]) -> Vec<String> {
    let mut complaints = Vec::new();
    let proved: BTreeSet<Mark> = tests.values().flatten().copied().collect();
    let planted: BTreeSet<Mark> = bugs.iter().map(|bug| ('R', bug.promise)).collect();
    for entry in entries {
        let Entry { mark, title, .. } = entry;
        let (kind, number) = mark;
        if entry.needs_test() && !proved.contains(mark) {
            complaints.push(format!("no test carries [{kind}{number}]: {title}"));
        }
        if *kind == 'R' && !planted.contains(mark) {
            complaints.push(format!("no bug is planted against {kind}{number}: {title}"));
        }
    }
    for ((file, name), marks) in tests {
        for mark @ (kind, number) in marks {
            if !entries.iter().any(|entry| entry.mark == *mark) {
                complaints.push(format!("there is no {kind}{number}: `{file}`: {name}"));
            }
        }
    }
    for bug in bugs {
        let test = (bug.test.file.to_owned(), bug.test.name.to_owned());
        if !tests
            .get(&test)
            .is_some_and(|marks| marks.contains(&('R', bug.promise)))
        {
            complaints.push(format!(
                "the test of a planted bug does not exist or does not carry [R{}]: {} (`{}`: {})",
                bug.promise, bug.what, bug.test.file, bug.test.name
            ));
        }
    }
    complaints
}

fn page_of(entries: &[Entry], tests: &BTreeMap<Test, Vec<Mark>>) -> String {
    let mut page = String::from(
        "# The tests of every promise and fault\n\n\
         <!-- `cargo xtask promises` writes this page from the marks of the tests; do not edit it. -->\n\n\
         [reliability.md](reliability.md) says what the numbers stand for.\n",
    );
    for (kind, heading) in [('R', "## Promises"), ('F', "## Faults")] {
        page += &format!("\n{heading}\n\n");
        for Entry { mark, title, .. } in entries.iter().filter(|entry| entry.mark.0 == kind) {
            let proofs: Vec<_> = tests
                .iter()
                .filter(|(_, marks)| marks.contains(mark))
                .map(|((file, name), _)| format!("  - `{file}`: {name}\n"))
                .collect();
            if !proofs.is_empty() {
                page += &format!("* **{kind}{}. {title}**\n{}", mark.1, proofs.concat());
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planted::Named;

    const DOCUMENT: &str = "## Words\n* **No fault.**\n## Promises\n### R1. One\n### R2. Two\n## The faults\n\
                            * **F1. A cut.** R1\n* **F2. Greed.** This is\n  not promised.\n## More\n* **No fault.**\n";

    fn tests_of(file: &str, source: &str) -> BTreeMap<Test, Vec<Mark>> {
        let mut tests = BTreeMap::new();
        add_tests(file, source, &mut tests).unwrap();
        tests
    }

    #[test]
    fn promises_and_faults_have_numbers() {
        let entries = entries_of(DOCUMENT).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.mark, entry.title.as_str(), entry.needs_test()))
            .collect();
        let expected = [
            (('R', 1), "One", true),
            (('R', 2), "Two", true),
            (('F', 1), "A cut", true),
            (('F', 2), "Greed", false),
        ];
        assert_eq!(found, expected);
        for (from, to) in [("### R1. ", "### "), ("F1. ", "")] {
            assert!(entries_of(&DOCUMENT.replace(from, to)).is_err(), "{from}");
        }
    }

    #[test]
    fn marks_are_found_in_both_languages() {
        let name = |name: &str| ("a".to_owned(), name.to_owned());
        let javascript = "test('[R1][F2] it \"lives\"', async () => {\n async `[R2] ${what}`(t) {\n const x = '[Rx]';";
        let found: Vec<_> = tests_of("a", javascript).into_iter().collect();
        assert_eq!(
            found,
            [
                (name("${what}"), vec![('R', 2)]),
                (name("it \"lives\""), vec![('R', 1), ('F', 2)])
            ]
        );
        let rust = "// [R3]\n#[test]\nfn one() {}\n/// [R4] why\n/// [R5]\n#[x]\nasync fn two<T>() {}\nfn three() {}\n";
        let found: Vec<_> = tests_of("a.rs", rust).into_values().collect();
        assert_eq!(found, [vec![('R', 3)], vec![('R', 4), ('R', 5)]]);
    }

    #[test]
    fn a_test_that_might_not_run_is_an_error() {
        for (file, source) in [
            (
                "a.js",
                "test('[R1] it', { timeout: 1, skip: true }, () => {",
            ),
            (
                "a.js",
                "describe.only('all', () => {});\ntest('[R1] it', () => {",
            ),
            (
                "a.rs",
                "// [R1]\n#[test]\n#[ignore = \"slow\"]\nfn one() {}",
            ),
        ] {
            assert!(
                add_tests(file, source, &mut BTreeMap::new()).is_err(),
                "{source}"
            );
        }
        assert!(tests_of("a.js", "list.skip(1, { skip: 2 });").is_empty());
    }

    #[test]
    fn what_does_not_fit_is_reported() {
        let entries = entries_of(DOCUMENT).unwrap();
        let tests = tests_of("a.js", "'[R1] one' '[R3] three'");
        let bugs = [bug(1, "one"), bug(2, "one"), bug(1, "gone")];
        let complaints = complaints(&entries, &tests, &bugs);
        for (complaint, beginning) in complaints.iter().zip([
            "no test carries [R2]",
            "no test carries [F1]",
            "there is no R3",
            "the test of a planted bug does not exist or does not carry [R2]",
            "the test of a planted bug does not exist or does not carry [R1]",
        ]) {
            assert!(complaint.starts_with(beginning), "{complaint}");
        }
        assert_eq!(complaints.len(), 5);
        let complaints = super::complaints(&entries, &tests, &[bug(1, "one")]);
        assert!(complaints.contains(&"no bug is planted against R2: Two".to_owned()));
    }

    #[test]
    fn the_page_lists_the_tests_of_each() {
        let entries = entries_of(DOCUMENT).unwrap();
        let tests = tests_of("a.js", "'[R1][F1] one' '[R1] two'");
        let page = page_of(&entries, &tests);
        let list = "## Promises\n\n* **R1. One**\n  - `a.js`: one\n  - `a.js`: two\n\n\
                    ## Faults\n\n* **F1. A cut**\n  - `a.js`: one\n";
        assert!(page.ends_with(list), "{page}");
    }

    fn bug(promise: u32, name: &'static str) -> Bug {
        let test = Named { file: "a.js", name };
        Bug {
            promise,
            what: "a bug",
            file: "b.js",
            from: "",
            to: "",
            test,
        }
    }

    #[test]
    fn the_page_is_up_to_date() {
        check().unwrap();
    }
}
