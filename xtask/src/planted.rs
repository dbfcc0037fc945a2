//! Planted bugs: tests of the tests.
//!
//! [`TABLE`] has a bug for every promise of `docs/reliability.md`, and the one test that must find it. Each
//! bug is planted in a copy below `target/planted`, never in the checkout, and the test is run against it.
//! Bugs in Rust go into a copy of the workspace; bugs in JavaScript into a copy of the npm package, so that
//! the WebAssembly module is built once.
//!
//! [`SESSIONS`] has those of the halves of a session, whose promises have no numbers: they are all of
//! `docs/sessions.md`.
//!
//! A row is wrong if its place is not found exactly once, if its test does not exist or fails without the
//! bug, or if its test passes with the bug.

/// A table of bugs, by the name of the constant.
macro_rules! table {
    ($name:ident: $([$promise:literal] $what:literal, $file:literal: $from:literal => $to:literal, $test:expr;)*) => {
        /// The table.
        pub(crate) const $name: &[Bug] = &[$(Bug {
            promise: $promise,
            what: $what,
            file: $file,
            from: $from,
            to: $to,
            test: $test,
        }),*];
    };
}

mod javascript;
mod native;
mod sessions;
mod table;

use sessions::SESSIONS;
pub(crate) use table::TABLE;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::Running;
use crate::{Result, both, checkout, files, process, say};

/// The time limit for the test of one bug. A bug may well make a test wait forever.
const PATIENCE: Duration = Duration::from_secs(600);

/// A bug, and the test that must find it.
#[derive(Debug)]
pub(crate) struct Bug {
    /// The number of the promise that it breaks; 0 for those of sessions, which have none.
    pub(crate) promise: u32,
    /// What is wrong.
    pub(crate) what: &'static str,
    /// The file in which to plant it, by its path in the checkout: the part of the product that breaks.
    pub(crate) file: &'static str,
    /// The one place in the file.
    pub(crate) from: &'static str,
    /// The replacement text.
    pub(crate) to: &'static str,
    pub(crate) test: Named,
}

/// A test: its file, and its name without the numbers of its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
}

/// The command's options.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Only the rows that have this in their description, file or test; `R7` selects those of a promise, `S` those of
    /// sessions.
    pub(crate) only: Option<String>,
    /// Only print the table.
    pub(crate) list: bool,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// The test does not exist.
    Missing,
    /// Something before the test failed, or the test was stopped.
    Unclear(&'static str),
}

/// Where bugs are planted: a copy of the workspace, or of the package.
trait Ground {
    /// Runs these tests, all of one file, in the current copy. `log` receives their output.
    fn run(
        &self,
        file: &str,
        names: &BTreeSet<&str>,
        log: &Path,
    ) -> Result<BTreeMap<String, Outcome>>;

    /// The path of a checkout's file in the copy.
    fn place_of(&self, file: &str) -> Result<PathBuf>;

    /// Called after the copy has changed, before its tests run.
    fn prepare(&self) -> Result<()>;
}

const fn test(file: &'static str, name: &'static str) -> Named {
    Named { file, name }
}

/// All bugs.
fn all() -> impl Iterator<Item = &'static Bug> {
    TABLE.iter().chain(SESSIONS)
}

impl Bug {
    /// What it breaks, for people.
    fn mark(&self) -> String {
        match self.promise {
            0 => "S".to_owned(),
            promise => format!("R{promise}"),
        }
    }

    fn is_in_javascript(&self) -> bool {
        // The scripts of Redis are compiled into the server crate.
        ![".rs", ".lua"].iter().any(|end| self.file.ends_with(end))
    }

    fn is_meant(&self, only: &str) -> bool {
        let number = only
            .strip_prefix('R')
            .and_then(|number| number.parse().ok());
        match number.or((only == "S").then_some(0)) {
            Some(number) => self.promise == number,
            None => [self.what, self.file, self.test.file, self.test.name]
                .iter()
                .any(|text| text.contains(only)),
        }
    }

    /// The file's text with the bug.
    fn planted_in(&self, source: &str) -> Result<String, String> {
        match source.matches(self.from).count() {
            1 => Ok(source.replacen(self.from, self.to, 1)),
            places => Err(format!(
                "its place is found {places} times in {}",
                self.file
            )),
        }
    }
}

/// Checks that every row's place is found, without running anything. [`promises`](crate::promises) checks the tests.
///
/// # Errors
///
/// Rows whose place is missing.
pub(crate) fn check() -> Result<()> {
    let mut complaints = Vec::new();
    for bug in all() {
        let (mark, what) = (bug.mark(), bug.what);
        let path = checkout::path(bug.file);
        if let Err(error) = files::read(&path).and_then(|source| Ok(bug.planted_in(&source)?)) {
            complaints.push(format!("{mark} {what}: {error}"));
        }
        // Those of numbered promises are checked with the marks of the tests.
        let Named { file, name } = bug.test;
        if bug.promise == 0 && !files::read(&checkout::path(file))?.contains(&format!("fn {name}("))
        {
            complaints.push(format!(
                "{mark} {what}: its test does not exist (`{file}`: {name})"
            ));
        }
        if bug.is_in_javascript() == bug.test.file.ends_with(".rs") {
            complaints.push(format!(
                "{mark} {what}: a bug and its test must be in the same language, JavaScript or Rust"
            ));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the tables of planted bugs (in xtask/src/planted) are wrong:\n{}",
        complaints.join("\n")
    )
    .into())
}

/// Plants the bugs one by one and shows that their tests find them.
///
/// # Errors
///
/// If a build fails or a row is wrong.
pub(crate) fn run(options: &Options) -> Result<()> {
    let meant = |bug: &&Bug| {
        options
            .only
            .as_deref()
            .is_none_or(|only| bug.is_meant(only))
    };
    let (javascript, native): (Vec<&Bug>, Vec<&Bug>) =
        all().filter(meant).partition(|bug| bug.is_in_javascript());
    if javascript.is_empty() && native.is_empty() {
        return Err("no planted bug matches; `cargo xtask planted --list` prints them".into());
    }
    if options.list {
        for bug in native.iter().chain(&javascript) {
            println!("{:<4} {}", bug.mark(), bug.what);
            println!(
                "     {} → `{}` › {}",
                bug.file, bug.test.file, bug.test.name
            );
        }
        return check();
    }
    let started = Instant::now();
    // In parallel: Rust mostly compiles, and JavaScript mostly waits.
    let (wrong_in_rust, wrong_in_javascript) = both(
        || try_on("Rust", &native, native::Workspace::set_up),
        || try_on("JavaScript", &javascript, javascript::Package::set_up),
    )?;
    process::yield_to_signal();
    let wrong = [wrong_in_rust, wrong_in_javascript].concat();
    let tried = native.len() + javascript.len();
    println!(
        "\n{} of {tried} planted bugs found in {} s",
        tried - wrong.len(),
        started.elapsed().as_secs()
    );
    if wrong.is_empty() {
        return match options.only {
            Some(_) => Ok(()),
            None => check(),
        };
    }
    Err(format!("{} rows are wrong:\n{}", wrong.len(), wrong.join("\n")).into())
}

/// The folder of the copies.
fn folder() -> PathBuf {
    checkout::path("target/planted")
}

/// Makes the copy for the bugs in a language and tries them; returns what is wrong, a line per row.
fn try_on<G: Ground>(
    language: &str,
    bugs: &[&Bug],
    set_up: impl FnOnce() -> Result<G>,
) -> Result<Vec<String>> {
    if bugs.is_empty() {
        return Ok(Vec::new());
    }
    let started = Instant::now();
    let ground = set_up()?;
    say(format_args!(
        "{language} was set up in {} s",
        started.elapsed().as_secs()
    ));
    let wrong = try_all(bugs, &ground, &folder().join("logs").join(language))?;
    say(format_args!(
        "{language}: {} of {} planted bugs found in {} s",
        bugs.len() - wrong.len(),
        bugs.len(),
        started.elapsed().as_secs()
    ));
    Ok(wrong)
}

/// Tries bugs in their copy; returns what is wrong, a line per row.
fn try_all(bugs: &[&Bug], ground: &impl Ground, logs: &Path) -> Result<Vec<String>> {
    let outcomes = without_bugs(bugs, ground, logs)?;
    let mut wrong = Vec::new();
    for (index, bug) in bugs.iter().enumerate() {
        let log = logs.join(format!("{index}.txt"));
        let started = Instant::now();
        let verdict = match outcomes.get(&bug.test) {
            Some(Outcome::Passed) => try_one(bug, ground, &log)?,
            Some(Outcome::Failed) => Err("its test fails without it".into()),
            Some(Outcome::Unclear(why)) => Err(format!("without it {why}")),
            Some(Outcome::Missing) | None => Err("no such test".into()),
        };
        process::yield_to_signal();
        let seconds = started.elapsed().as_secs();
        let row = format!("{:<4} {}", bug.mark(), bug.what);
        match verdict {
            Ok(()) => println!("{row}: found by {} ({seconds} s)", bug.test.name),
            Err(why) => {
                let line = format!(
                    "{row}: {why} (`{}` › {}; {})",
                    bug.test.file,
                    bug.test.name,
                    log.display()
                );
                println!("WRONG {line}");
                wrong.push(line);
            }
        }
    }
    Ok(wrong)
}

/// The outcomes of the tests without any bug, file by file.
fn without_bugs(
    bugs: &[&Bug],
    ground: &impl Ground,
    logs: &Path,
) -> Result<BTreeMap<Named, Outcome>> {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for bug in bugs {
        files
            .entry(bug.test.file)
            .or_default()
            .insert(bug.test.name);
    }
    let mut outcomes = BTreeMap::new();
    for (number, (file, names)) in files.iter().enumerate() {
        say(format_args!(
            "without a bug: {} tests of {file}",
            names.len()
        ));
        let log = logs.join(format!("without-{number}.txt"));
        ground.prepare()?;
        let ran = ground.run(file, names, &log)?;
        for bug in bugs.iter().filter(|bug| bug.test.file == *file) {
            let outcome = ran.get(bug.test.name).copied();
            outcomes.insert(bug.test, outcome.unwrap_or(Outcome::Missing));
        }
    }
    Ok(outcomes)
}

/// Plants one bug and runs its test, which passes without it. Returns what is wrong if the test does not find
/// it.
fn try_one(bug: &Bug, ground: &impl Ground, log: &Path) -> Result<Result<(), String>> {
    let place = ground.place_of(bug.file)?;
    let source = files::read(&place)?;
    let planted = match bug.planted_in(&source) {
        Ok(planted) => planted,
        Err(why) => return Ok(Err(why)),
    };
    files::write(&place, planted)?;
    ground.prepare()?;
    let names = BTreeSet::from([bug.test.name]);
    let ran = ground.run(bug.test.file, &names, log)?;
    files::write(&place, source)?;
    Ok(match ran.get(bug.test.name) {
        Some(Outcome::Failed) => Ok(()),
        Some(Outcome::Passed) => Err("its test still passes".into()),
        Some(Outcome::Unclear(why)) => Err((*why).into()),
        Some(Outcome::Missing) | None => Err("its test did not run".into()),
    })
}

/// Runs a command to its end, or until `is_decided` by its output, which goes into a file.
///
/// Returns the output, and whether the command was stopped because it did not end in time. Time counts from
/// when it `has_begun`: the compilation before that takes as long as it takes.
fn run_logged(
    command: &mut Command,
    log: &Path,
    has_begun: impl Fn(&str) -> bool,
    is_decided: impl Fn(&str) -> bool,
) -> Result<(String, bool)> {
    process::log_to(command, log)?;
    let mut running = Running::start(command)?;
    let mut deadline = None;
    let mut size = 0;
    loop {
        let has_ended = running.ended().is_some();
        process::yield_to_signal();
        let printed = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
        if deadline.is_none() && has_begun(&printed) {
            deadline = Some(Instant::now() + PATIENCE);
        }
        let has_grown = printed.len() > size;
        size = printed.len();
        if has_ended || (has_grown && is_decided(&printed)) {
            return Ok((printed, false));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok((printed, true));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
