//! Chromium, Firefox and their drivers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::ensure_cargo_program;
use crate::tools::installed::{Program, named_by};
use crate::{Result, checkout, files, process};

const CHROMIUM: Program = Program {
    variable: "CHROME",
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    package: "chromium",
    what: "Chromium, which the tests run in,",
};

const CHROMEDRIVER: Program = Program {
    variable: "CHROMEDRIVER",
    names: &["chromedriver"],
    package: "chromium-driver",
    what: "chromedriver, which drives Chromium in the tests,",
};

const FIREFOX: Program = Program {
    variable: "FIREFOX",
    names: &[
        "firefox",
        "firefox-esr",
        "/Applications/Firefox.app/Contents/MacOS/firefox",
    ],
    package: "firefox-esr",
    what: "Firefox, which the tests run in,",
};

/// It drives every recent Firefox, so no version check is needed. Measured on two busy cores: 2 min to
/// compile without optimisation.
const GECKODRIVER_VERSION: &str = "0.37.1";

/// A browser and its driver.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) program: PathBuf,
    pub(crate) driver: PathBuf,
    /// The key of its options among the driver's capabilities.
    options: &'static str,
}

/// Finds or installs Chromium and a matching driver.
///
/// # Errors
///
/// What is missing and how to install it.
pub(crate) fn chromium() -> Result<Browser> {
    let (program, driver) = (CHROMIUM.ensure()?, CHROMEDRIVER.ensure()?);
    check_versions(&program, &driver)?;
    Ok(Browser {
        program,
        driver,
        options: "goog:chromeOptions",
    })
}

/// Finds or installs Firefox, and installs its driver.
///
/// # Errors
///
/// What is missing and how to install it.
pub(crate) fn firefox() -> Result<Browser> {
    let program = FIREFOX.ensure()?;
    let driver = match named_by("GECKODRIVER")? {
        Some(driver) => driver,
        None => ensure_cargo_program("geckodriver", GECKODRIVER_VERSION)?,
    };
    Ok(Browser {
        program,
        driver,
        options: "moz:firefoxOptions",
    })
}

/// A driver of another major version refuses to start the browser, with a message that is hard to find in the
/// test's output.
fn check_versions(chromium: &Path, driver: &Path) -> Result<()> {
    let version = |program| process::capture(Command::new(program).arg("--version"));
    let (browser, driver_version) = (version(chromium)?, version(driver)?);
    let (left, right) = (major_version(&browser), major_version(&driver_version));
    if left.is_some() && left == right {
        return Ok(());
    }
    Err(format!(
        "the driver does not match the browser: {} is `{browser}`, {} is `{driver_version}`; their first \
         numbers must be the same. CHROME and CHROMEDRIVER can name others",
        chromium.display(),
        driver.display(),
    )
    .into())
}

impl Browser {
    /// Writes the capabilities of `client-wasm/webdriver.json`, with the browser's path added, to a file for
    /// wasm-bindgen's test runner: by default, the driver starts the first browser that it finds.
    ///
    /// The preferences in that file keep Firefox from making requests that are not a test's, from delaying a
    /// connection to where one has failed, and from keeping idle HTTP connections for its usual 115 s: the
    /// test runner's server sometimes serves a request only after such a connection has ended (measured: 4 of
    /// 42 page loads took 115 s).
    pub(crate) fn capabilities(&self) -> Result<PathBuf> {
        let source = checkout::path("client-wasm/webdriver.json");
        let capabilities = with_binary(&files::read(&source)?, self.options, &self.program)
            .ok_or_else(|| format!("{} has no {}", source.display(), self.options))?;
        let name = self.options.replace(':', "-");
        let path = checkout::path(&format!("target/xtask/{name}.json"));
        files::write(&path, capabilities)?;
        Ok(path)
    }
}

/// The first number in the output of `--version`.
fn major_version(printed: &str) -> Option<u32> {
    printed
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn with_binary(capabilities: &str, key: &str, program: &Path) -> Option<String> {
    let opening = format!("\"{key}\": {{");
    let (before, after) = capabilities.split_once(&opening)?;
    // Of the characters that JSON must escape, only these two can occur in a path here.
    let path = program.to_str()?.replace('\\', r"\\").replace('"', "\\\"");
    Some(format!(
        "{before}{opening}\n    \"binary\": \"{path}\",{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        let browser = "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)";
        assert_eq!(major_version(browser), Some(156));
        assert_eq!(major_version("Google Chrome 140.0.1.2"), Some(140));
        let driver = "ChromeDriver 156.0.8078.79 (50a1c3d9-refs/branch-heads/8078@{#1})";
        assert_eq!(major_version(driver), Some(156));
        assert_eq!(major_version("snap is not installed"), None);
    }

    #[test]
    fn the_committed_capabilities_take_each_browser() {
        let source = files::read(&checkout::path("client-wasm/webdriver.json")).unwrap();
        for key in ["goog:chromeOptions", "moz:firefoxOptions"] {
            let named = with_binary(&source, key, Path::new("/opt/a \"b\"/browser")).unwrap();
            let (_, options) = named.split_once(key).unwrap();
            let binary = r#"": {
    "binary": "/opt/a \"b\"/browser","#;
            assert!(options.starts_with(binary), "{named}");
        }
    }

    #[test]
    fn capabilities_of_another_browser_are_refused() {
        let chromium = Path::new("/usr/bin/chromium");
        assert_eq!(with_binary("{}", "goog:chromeOptions", chromium), None);
    }
}
