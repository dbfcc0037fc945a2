//! Chromium and its WebDriver, and what they share with Firefox.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, checkout, debian, files, process};

/// Possible names of Chromium on `PATH`, the free one first.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Its location on macOS, which is not on `PATH`.
const MACOS_BROWSERS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) chromium: PathBuf,
    pub(crate) driver: PathBuf,
}

/// Finds a Chromium and a matching driver, or installs both.
///
/// # Errors
///
/// What is missing and how to install it.
pub(crate) fn ensure() -> Result<Browser> {
    let browser = match (chromium()?, driver()?) {
        (Some(chromium), Some(driver)) => Browser { chromium, driver },
        (chromium, driver) => install(chromium, driver)?,
    };
    browser.check_versions()?;
    Ok(browser)
}

fn install(present: Option<PathBuf>, present_driver: Option<PathBuf>) -> Result<Browser> {
    let missing = match (&present, &present_driver) {
        (Some(_), _) => "chromedriver, which drives Chromium in the tests,",
        (_, Some(_)) => "Chromium, which the tests run in,",
        _ => "Chromium with its driver, which the tests run in,",
    };
    if cfg!(target_os = "macos") {
        return Err(format!(
            "{missing} is missing: install Google Chrome from https://www.google.com/chrome and \
             its driver by `brew install --cask chromedriver`, or set CHROME and CHROMEDRIVER to \
             the paths of the two programs"
        )
        .into());
    }
    debian::install(&["chromium", "chromium-driver"], missing).map_err(|error| {
        format!("{error}; or set CHROME and CHROMEDRIVER to the paths of the two programs")
    })?;
    match (chromium()?, driver()?) {
        (Some(chromium), Some(driver)) => Ok(Browser { chromium, driver }),
        _ => Err("chromium and chromium-driver are installed but not on PATH".into()),
    }
}

fn chromium() -> Result<Option<PathBuf>> {
    let named = named_by("CHROME")?;
    let on_path = || BROWSERS.iter().find_map(|name| files::on_path(name));
    let in_applications = || {
        MACOS_BROWSERS
            .iter()
            .map(PathBuf::from)
            .find(|it| it.is_file())
    };
    Ok(named.or_else(on_path).or_else(in_applications))
}

fn driver() -> Result<Option<PathBuf>> {
    Ok(named_by("CHROMEDRIVER")?.or_else(|| files::on_path("chromedriver")))
}

/// The program that an environment variable names. If that is missing, it is an error: the user wanted that
/// one and no other.
pub(crate) fn named_by(variable: &str) -> Result<Option<PathBuf>> {
    let Some(value) = env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(value);
    if !path.is_file() {
        return Err(format!("{variable} names {}, which is not a file", path.display()).into());
    }
    // The browser tests run elsewhere, and a relative path is meant relative to this folder.
    Ok(Some(path.canonicalize()?))
}

impl Browser {
    /// A driver of another major version refuses to start the browser, with a message that is hard to find in
    /// the test's output.
    fn check_versions(&self) -> Result<()> {
        let version = |program: &Path| -> Result<String> {
            process::capture(Command::new(program).arg("--version"))
        };
        let (browser, driver) = (version(&self.chromium)?, version(&self.driver)?);
        let (left, right) = (major_version(&browser), major_version(&driver));
        if left.is_some() && left == right {
            return Ok(());
        }
        Err(format!(
            "the driver does not match the browser: {} is `{browser}`, {} is `{driver}`; their first \
             numbers must be the same. CHROME and CHROMEDRIVER can name others",
            self.chromium.display(),
            self.driver.display(),
        )
        .into())
    }

    /// See [`capabilities`].
    pub(crate) fn capabilities(&self) -> Result<PathBuf> {
        capabilities("goog:chromeOptions", &self.chromium)
    }
}

/// Writes the capabilities of `client-wasm/webdriver.json`, with the browser's path added under `key`, to a
/// file for wasm-bindgen's test runner: by default, the driver starts the first browser that it finds.
pub(crate) fn capabilities(key: &str, program: &Path) -> Result<PathBuf> {
    let source = checkout::path("client-wasm/webdriver.json");
    let capabilities = with_binary(&files::read(&source)?, key, program)
        .ok_or_else(|| format!("{} has no {key}", source.display()))?;
    let name = key.replace(':', "-");
    let path = checkout::path(&format!("target/xtask/{name}.json"));
    files::write(&path, capabilities)?;
    Ok(path)
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
