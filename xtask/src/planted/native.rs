//! Bugs in Rust, in a copy of the workspace with its own target folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ground, Outcome, folder, run_logged};
use crate::{Result, checkout, files};

/// Not copied: outputs of tools, and the history.
const NOT_COPIED: [&str; 4] = ["target", "node_modules", "pkg", ".git"];

pub(super) struct Workspace {
    copy: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(super) fn set_up() -> Result<Self> {
        let workspace = Self {
            copy: folder().join("checkout"),
            target: folder().join("target"),
        };
        mirror(checkout::root(), &workspace.copy)?;
        Ok(workspace)
    }

    fn cargo_test(&self, file: &str) -> Result<Command> {
        let target = target_of(file, |folder| {
            self.copy.join(folder).join("Cargo.toml").is_file()
        })
        .ok_or_else(|| format!("{file} is not a test file of a package"))?;
        let manifest = files::read(&self.copy.join(&target.package).join("Cargo.toml"))?;
        let package = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .ok_or_else(|| format!("{} has no name", target.package.display()))?;
        let mut cargo = Command::new("cargo");
        cargo
            .args(["test", "--offline", "--all-features", "--package", package])
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &self.target)
            // A bug may leave something unused.
            .env("RUSTFLAGS", "--allow warnings")
            // Nobody debugs them, and debug information takes much of the time.
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        match target.test {
            Some(test) => cargo.args(["--test", &test]),
            None => cargo.arg("--lib"),
        };
        Ok(cargo)
    }
}

impl Ground for Workspace {
    fn run(
        &self,
        file: &str,
        names: &BTreeSet<&str>,
        log: &Path,
    ) -> Result<BTreeMap<String, Outcome>> {
        let mut cargo = self.cargo_test(file)?;
        cargo.arg("--").args(names);
        let has_begun = |printed: &str| printed.lines().any(|line| line.starts_with("running "));
        let (printed, is_late) = run_logged(&mut cargo, log, has_begun, |_| false)?;
        Ok(names
            .iter()
            .map(|&name| {
                let outcome = match outcome_of(&printed, name) {
                    Outcome::Missing if is_late => Outcome::Unclear("it did not end in time"),
                    Outcome::Missing if printed.contains("error: could not compile") => {
                        Outcome::Unclear("it does not compile")
                    }
                    outcome => outcome,
                };
                (name.to_owned(), outcome)
            })
            .collect())
    }

    fn place_of(&self, file: &str) -> Result<PathBuf> {
        Ok(self.copy.join(file))
    }

    fn prepare(&self) -> Result<()> {
        // Cargo builds with every test.
        Ok(())
    }
}

/// The outcome of a test, from its program's output. A filter matches every test with this text in its name.
fn outcome_of(printed: &str, name: &str) -> Outcome {
    for line in printed.lines() {
        let Some((path, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            continue;
        };
        let path = path.split(' ').next().unwrap_or_default();
        if path.rsplit("::").next() == Some(name) {
            match outcome {
                "ok" => return Outcome::Passed,
                "FAILED" => return Outcome::Failed,
                _ => {}
            }
        }
    }
    Outcome::Missing
}

/// Where cargo finds a test.
#[derive(Debug, PartialEq)]
struct Target {
    /// The folder of the package.
    package: PathBuf,
    /// The name of the integration test; `None` for the library.
    test: Option<String>,
}

fn target_of(file: &str, is_package: impl Fn(&Path) -> bool) -> Option<Target> {
    let package = Path::new(file)
        .ancestors()
        .skip(1)
        .find(|folder| is_package(folder))?;
    let inside = Path::new(file).strip_prefix(package).ok()?;
    let mut parts = inside.iter().map(|part| part.to_string_lossy());
    let test = match parts.next()?.as_ref() {
        "src" => None,
        "tests" => Some(parts.next()?.trim_end_matches(".rs").to_owned()),
        _ => return None,
    };
    Some(Target {
        package: package.to_owned(),
        test,
    })
}

/// Makes `to` a copy of `from`, except for what is not copied. Unchanged files are not written, so that cargo
/// rebuilds only what has changed.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    files::create_folder(to)?;
    let names = |folder: &Path| -> Result<BTreeSet<std::ffi::OsString>> {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(folder)? {
            names.insert(entry?.file_name());
        }
        names.retain(|name| NOT_COPIED.iter().all(|not| name != not));
        Ok(names)
    };
    let wanted = names(from)?;
    for name in names(to)?.difference(&wanted) {
        let path = to.join(name);
        match path.is_dir() {
            true => files::remove_folder(&path)?,
            false => std::fs::remove_file(&path)?,
        }
    }
    for name in &wanted {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() {
            mirror(&from, &to)?;
        } else if std::fs::read(&to).ok() != std::fs::read(&from).ok() {
            files::copy(&from, &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_test_is_told_by_its_path() {
        let is_package = |folder: &Path| {
            ["client", "test-server", "tests/simulation"]
                .iter()
                .any(|name| folder == Path::new(name))
        };
        let target = |file| target_of(file, is_package).map(|target| (target.package, target.test));
        let of = |package: &str, test: Option<&str>| {
            Some((PathBuf::from(package), test.map(String::from)))
        };
        assert_eq!(target("client/src/connection/tests.rs"), of("client", None));
        assert_eq!(
            target("client/tests/rust_face.rs"),
            of("client", Some("rust_face"))
        );
        assert_eq!(
            target("test-server/tests/server/tls.rs"),
            of("test-server", Some("server"))
        );
        assert_eq!(
            target("tests/simulation/tests/herd.rs"),
            of("tests/simulation", Some("herd"))
        );
        assert_eq!(target("docs/a.rs"), None);
    }

    #[test]
    fn the_outcome_is_that_of_the_test_of_exactly_this_name() {
        let printed = "running 3 tests\ntest a::it_lives_on ... FAILED\ntest a::it_lives ... ok\n\
                       test it_panics - should panic ... ok\n";
        assert_eq!(outcome_of(printed, "it_lives"), Outcome::Passed);
        assert_eq!(outcome_of(printed, "it_lives_on"), Outcome::Failed);
        assert_eq!(outcome_of(printed, "it_panics"), Outcome::Passed);
        assert_eq!(outcome_of(printed, "it"), Outcome::Missing);
    }

    #[test]
    fn a_mirror_follows_and_leaves_what_is_the_same() {
        let folder = std::env::temp_dir().join(format!("xtask-mirror-{}", std::process::id()));
        files::remove_folder(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        for (file, content) in [("a/same", "1"), ("a/other", "2"), ("target/made", "3")] {
            files::write(&from.join(file), content).unwrap();
        }
        files::write(&to.join("a/same"), "1").unwrap();
        files::write(&to.join("a/other"), "planted").unwrap();
        files::write(&to.join("gone/file"), "4").unwrap();
        let time = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
        let before = time(&to.join("a/same"));
        mirror(&from, &to).unwrap();
        assert_eq!(
            files::below(&to).unwrap(),
            [PathBuf::from("a/other"), PathBuf::from("a/same")]
        );
        assert_eq!(files::read(&to.join("a/other")).unwrap(), "2");
        assert_eq!(time(&to.join("a/same")), before);
        files::remove_folder(&folder).unwrap();
    }
}
