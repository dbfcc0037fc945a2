//! Bugs in JavaScript, in a copy of the npm package.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Ground, Outcome, folder, run_logged};
use crate::test::Stage;
use crate::{Result, checkout, files, process, promises};

/// Cases that a test file of another name runs.
const RUN_BY: [(&str, &str); 1] = [("tests/npm/face/cases.js", "tests/npm/npm-face.test.mjs")];

/// Where wasm-bindgen puts the JavaScript of the crate, in a folder with a hash in its name.
const SNIPPETS: &str = "wasm/snippets";

pub(super) struct Package {
    stage: Stage,
    copy: PathBuf,
    /// What was last packed.
    tarball: RefCell<PathBuf>,
}

impl Package {
    pub(super) fn set_up() -> Result<Self> {
        // Below a copy of the demo page, from which some tests load the package.
        let page = folder().join("www");
        let stage = Stage::set_up(&page)?;
        Ok(Self {
            stage,
            copy: page.join("pkg"),
            tarball: RefCell::default(),
        })
    }
}

impl Ground for Package {
    fn run(
        &self,
        file: &str,
        names: &BTreeSet<&str>,
        log: &Path,
    ) -> Result<BTreeMap<String, Outcome>> {
        let run_by = RUN_BY.iter().find(|(cases, _)| *cases == file);
        let test = checkout::path(run_by.map_or(file, |(_, test)| test));
        let mut node = self.stage.node(&self.tarball.borrow());
        node.arg("--test-reporter=tap");
        for name in names {
            node.arg(format!("--test-name-pattern={}", pattern_of(name)));
        }
        node.arg(test);
        // The same test may run in several realms, and waiting for what never comes takes long in each.
        let is_decided = |printed: &str| {
            let has_failed = |&name: &&str| outcome_of(printed, name) == Outcome::Failed;
            names.iter().all(has_failed)
        };
        // A stopped browser leaves its profiles and projects behind.
        let scratch = std::env::temp_dir().join(format!("planted-{}", std::process::id()));
        files::create_folder(&scratch)?;
        node.env("TMPDIR", &scratch);
        let (printed, is_late) = run_logged(&mut node, log, |_| true, is_decided)?;
        remove_soon(&scratch);
        Ok(names
            .iter()
            .map(|&name| {
                let outcome = match outcome_of(&printed, name) {
                    Outcome::Missing if is_late => Outcome::Unclear("it did not end in time"),
                    outcome => outcome,
                };
                (name.to_owned(), outcome)
            })
            .collect())
    }

    fn place_of(&self, file: &str) -> Result<PathBuf> {
        if let Some(inside) = file.strip_prefix("client-wasm/npm/") {
            return Ok(self.copy.join(inside));
        }
        let snippets = self.copy.join(SNIPPETS);
        for entry in std::fs::read_dir(&snippets)? {
            let place = entry?.path().join(file.trim_start_matches("client-wasm/"));
            if place.is_file() {
                return Ok(place);
            }
        }
        Err(format!("{file} is not in the npm package").into())
    }

    fn prepare(&self) -> Result<()> {
        let tarballs = folder().join("tarballs");
        files::create_folder(&tarballs)?;
        let name = process::capture(
            Command::new("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(&tarballs)
                .current_dir(&self.copy),
        )?;
        self.tarball.replace(tarballs.join(name));
        Ok(())
    }
}

/// Removes a folder to which a browser that was just stopped may still write for a moment. Any remains are
/// left to the system.
fn remove_soon(folder: &Path) {
    for _ in 0..50 {
        if files::remove_folder(folder).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The fixed parts of a test's name, between what its loop inserts.
fn parts_of(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("${") {
        parts.push(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    parts.push(rest);
    parts
}

/// The pattern that makes Node select a test of this name, whatever promises it carries.
fn pattern_of(name: &str) -> String {
    let escaped = |part: &&str| -> String {
        part.chars()
            .flat_map(|c| {
                let special = r"\^$.|?*+()[]{}/".contains(c);
                special.then_some('\\').into_iter().chain([c])
            })
            .collect()
    };
    let parts: Vec<String> = parts_of(name).iter().map(escaped).collect();
    format!(r"^(\[[RF]\d+\] ?)*{}$", parts.join(".*"))
}

fn is_named(title: &str, name: &str) -> bool {
    let (_, title) = promises::marks(title);
    let parts = parts_of(name);
    let Some(mut rest) = title.strip_prefix(parts[0]) else {
        return false;
    };
    for part in &parts[1..] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || name.ends_with('}')
}

/// The outcome of the tests of a name, of which there may be several: in a page and in a worker, or one for
/// each case of a loop. One failure is enough. Parses Node's TAP output.
fn outcome_of(printed: &str, name: &str) -> Outcome {
    let mut outcome = Outcome::Missing;
    let mut has_failed = false;
    for line in printed.lines().map(str::trim_start) {
        if let Some(kind) = line.strip_prefix("failureType: ") {
            if std::mem::take(&mut has_failed) {
                // Only what the test itself finds counts.
                outcome = match kind.trim_matches('\'') {
                    "hookFailed" | "cancelledByParent" => {
                        Outcome::Unclear("something around its test fails")
                    }
                    _ => return Outcome::Failed,
                };
            }
            continue;
        }
        let (is_ok, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue,
        };
        let title = rest.split_once(" - ").map_or("", |(_, title)| title);
        let (title, directive) = title.split_once(" # ").unwrap_or((title, ""));
        // TAP escapes these.
        let title = title.replace(r"\#", "#").replace(r"\\", r"\");
        let is_this = !directive.starts_with("SKIP") && is_named(&title, name);
        has_failed = is_this && !is_ok;
        if is_this && is_ok && outcome == Outcome::Missing {
            outcome = Outcome::Passed;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_whole_name_with_anything_for_what_a_loop_puts_in() {
        assert_eq!(
            pattern_of("it lives (1.5 s)"),
            r"^(\[[RF]\d+\] ?)*it lives \(1\.5 s\)$"
        );
        assert_eq!(
            pattern_of("busy for ${busy / 1000} s"),
            r"^(\[[RF]\d+\] ?)*busy for .* s$"
        );
        assert!(is_named("[R1][R2] it lives", "it lives"));
        assert!(is_named(
            "[R20] busy for 7 s, and on",
            "busy for ${busy / 1000} s, and on"
        ));
        assert!(is_named(
            "of any ${kind}".replace("${kind}", "sort").as_str(),
            "of any ${kind}"
        ));
        assert!(!is_named("it lives on", "it lives"));
        assert!(!is_named(
            "busy for 7 s",
            "busy for ${busy / 1000} s, and on"
        ));
    }

    #[test]
    fn outcomes_are_read() {
        let printed = "TAP version 13\n# Subtest: a\n    # Subtest: [R1] it\n    ok 1 - [R1] it\n      ---\n\
                       not ok 2 - [R1] it\n  ---\n  failureType: 'testCodeFailure'\n\
                       ok 3 - that # SKIP test name does not match pattern\n\
                       not ok 4 - [R2] the other\n  failureType: 'cancelledByParent'\n\
                       ok 5 - a \\# b\n";
        assert_eq!(outcome_of(printed, "it"), Outcome::Failed);
        assert_eq!(outcome_of(printed, "that"), Outcome::Missing);
        assert_eq!(
            outcome_of(printed, "the other"),
            Outcome::Unclear("something around its test fails")
        );
        assert_eq!(outcome_of(printed, "a # b"), Outcome::Passed);
        assert_eq!(outcome_of(printed, "i"), Outcome::Missing);
    }
}
