//! Planted bugs: the tests are tested.
//!
//! [`TABLE`] has a bug for every promise of `docs/reliability.md`, and the one test that has to find it. Each bug is
//! planted in a copy below `target/planted`, never in the checkout, and the test is run against it. Bugs in Rust are
//! planted in a copy of the workspace; bugs in JavaScript in a copy of the npm package, so that the WebAssembly
//! module is built once.
//!
//! A row is wrong if its place is not found exactly once, if its test does not exist or fails without the bug, and if
//! its test passes with the bug.

mod javascript;
mod native;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::Running;
use crate::{Result, both, checkout, files, process, promises, say};

use table::TABLE;

/// How long the test of one bug may run. A bug may well make a test wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(600);

/// A bug, and the test that has to find it.
#[derive(Debug)]
struct Bug {
    /// The number of the promise that it breaks.
    promise: u32,
    /// What is wrong.
    what: &'static str,
    /// The file in which it is planted, by its path in the checkout. This is the part of the product that breaks.
    file: &'static str,
    /// The one place in the file.
    from: &'static str,
    /// What stands there instead.
    to: &'static str,
    test: Named,
}

/// A test as `docs/reliability.md` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    file: &'static str,
    name: &'static str,
}

/// What the user asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Only the rows that have this in what they break, their file or their test; `R7` takes those of a promise.
    pub(crate) only: Option<String>,
    /// Only print the table.
    pub(crate) list: bool,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// There is no such test.
    Missing,
    /// Something before it failed, or it was stopped.
    Unclear(&'static str),
}

/// The ground on which bugs are planted: a copy of the workspace, or of the package.
trait Ground {
    /// Runs these tests, all of one file, as the copy is now. `log` takes what they print.
    fn run(
        &self,
        file: &str,
        names: &BTreeSet<&str>,
        log: &Path,
    ) -> Result<BTreeMap<String, Outcome>>;

    /// Where a file of the checkout is in the copy.
    fn place_of(&self, file: &str) -> Result<PathBuf>;

    /// Called when the copy has changed, before its tests are run.
    fn prepare(&self) -> Result<()>;
}

impl Bug {
    fn is_in_javascript(&self) -> bool {
        !self.file.ends_with(".rs")
    }

    fn is_meant(&self, only: &str) -> bool {
        match only
            .strip_prefix('R')
            .and_then(|number| number.parse().ok())
        {
            Some(number) => self.promise == number,
            None => [self.what, self.file, self.test.file, self.test.name]
                .iter()
                .any(|text| text.contains(only)),
        }
    }

    /// The text of its file with the bug in it.
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

/// Compares the table with the sources, without running anything.
///
/// # Errors
///
/// Rows whose place or test is not there, and promises without a row whose test bears their number.
pub(crate) fn check() -> Result<()> {
    let present = promises::present()?;
    let mut complaints = Vec::new();
    for bug in TABLE {
        let path = checkout::path(bug.file);
        if let Err(error) = files::read(&path).and_then(|source| Ok(bug.planted_in(&source)?)) {
            complaints.push(format!("R{} {}: {error}", bug.promise, bug.what));
        }
        if !present.has_test(bug.test.file, bug.test.name) {
            complaints.push(format!(
                "R{} {}: there is no such test\n  `{}` › {}",
                bug.promise, bug.what, bug.test.file, bug.test.name
            ));
        }
        if bug.is_in_javascript() == bug.test.file.ends_with(".rs") {
            complaints.push(format!(
                "R{} {}: a bug in JavaScript takes a test in JavaScript, and one in Rust a test in Rust",
                bug.promise, bug.what
            ));
        }
    }
    for promise in present.promises() {
        let is_found = TABLE.iter().any(|bug| {
            bug.promise == promise && present.proves(bug.test.file, bug.test.name, promise)
        });
        if !is_found {
            complaints.push(format!(
                "R{promise} has no planted bug that one of its tests has to find"
            ));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the table of planted bugs (xtask/src/planted/table.rs) does not fit:\n{}",
        complaints.join("\n")
    )
    .into())
}

/// Plants the bugs one after the other and shows that their tests find them.
///
/// # Errors
///
/// What cannot be built, and that a row is wrong.
pub(crate) fn run(options: &Options) -> Result<()> {
    let meant = |bug: &&Bug| {
        options
            .only
            .as_deref()
            .is_none_or(|only| bug.is_meant(only))
    };
    let (javascript, native): (Vec<&Bug>, Vec<&Bug>) = TABLE
        .iter()
        .filter(meant)
        .partition(|bug| bug.is_in_javascript());
    if javascript.is_empty() && native.is_empty() {
        return Err(
            "no planted bug has this in it; `cargo xtask planted --list` prints them".into(),
        );
    }
    if options.list {
        for bug in native.iter().chain(&javascript) {
            println!("R{:<3} {}", bug.promise, bug.what);
            println!(
                "     {} → `{}` › {}",
                bug.file, bug.test.file, bug.test.name
            );
        }
        return check();
    }
    let started = Instant::now();
    let logs = folder().join("logs");
    // Two things at once: Rust mostly compiles, and JavaScript mostly waits.
    let (wrong_in_rust, wrong_in_javascript) = both(
        || match native.is_empty() {
            true => Ok(Vec::new()),
            false => try_all(&native, &native::Workspace::set_up()?, &logs.join("rust")),
        },
        || match javascript.is_empty() {
            true => Ok(Vec::new()),
            false => try_all(
                &javascript,
                &javascript::Package::set_up()?,
                &logs.join("javascript"),
            ),
        },
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

/// Where everything is copied to.
fn folder() -> PathBuf {
    checkout::path("target/planted")
}

/// Tries bugs on their ground; what is wrong, a line for each row.
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
            Some(Outcome::Missing) | None => Err("there is no such test".into()),
        };
        process::yield_to_signal();
        let seconds = started.elapsed().as_secs();
        let row = format!("R{:<3} {}", bug.promise, bug.what);
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

/// How the tests end without any bug, file by file.
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

/// Plants one bug and runs its test, which passes without it. What is wrong, if it does not find it.
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
        Some(Outcome::Passed) => Err("its test passes all the same".into()),
        Some(Outcome::Unclear(why)) => Err((*why).into()),
        Some(Outcome::Missing) | None => Err("its test did not run".into()),
    })
}

/// Runs a command to its end, or until `is_decided` by what it has printed. That goes into a file.
///
/// Returns the text, and whether the command was stopped because it did not end in time. That is counted from when it
/// `has_begun`: what is compiled before takes as long as it takes.
fn run_logged(
    command: &mut Command,
    log: &Path,
    has_begun: impl Fn(&str) -> bool,
    is_decided: impl Fn(&str) -> bool,
) -> Result<(String, bool)> {
    if let Some(folder) = log.parent() {
        files::create_folder(folder)?;
    }
    let file =
        File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    command
        .stdout(Stdio::from(file.try_clone()?))
        .stderr(Stdio::from(file));
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
