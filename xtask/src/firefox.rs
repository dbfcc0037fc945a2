//! Firefox and its WebDriver.

use std::path::PathBuf;

use crate::browser::{capabilities, named_by};
use crate::{Result, debian, files, tools};

/// Possible names of Firefox on `PATH`.
const BROWSERS: [&str; 2] = ["firefox", "firefox-esr"];

/// Its location on macOS.
const MACOS_BROWSER: &str = "/Applications/Firefox.app/Contents/MacOS/firefox";

/// It drives every recent Firefox, so no version check is needed. Measured on two busy cores: 2 min to
/// compile without optimisation.
const GECKODRIVER_VERSION: &str = "0.37.1";

pub(crate) struct Firefox {
    pub(crate) firefox: PathBuf,
    pub(crate) driver: PathBuf,
}

/// Finds or installs Firefox, and installs its driver.
///
/// # Errors
///
/// What is missing and how to install it.
pub(crate) fn ensure() -> Result<Firefox> {
    let firefox = match firefox()? {
        Some(firefox) => firefox,
        None => install()?,
    };
    let driver = match named_by("GECKODRIVER")? {
        Some(driver) => driver,
        None => tools::ensure("geckodriver", GECKODRIVER_VERSION, &["geckodriver"], &[])?
            .join("geckodriver"),
    };
    Ok(Firefox { firefox, driver })
}

fn firefox() -> Result<Option<PathBuf>> {
    let named = named_by("FIREFOX")?;
    let on_path = || BROWSERS.iter().find_map(|name| files::on_path(name));
    let in_applications = || Some(PathBuf::from(MACOS_BROWSER)).filter(|it| it.is_file());
    Ok(named.or_else(on_path).or_else(in_applications))
}

fn install() -> Result<PathBuf> {
    const MISSING: &str = "Firefox, which the tests run in,";
    if cfg!(target_os = "macos") {
        return Err(format!(
            "{MISSING} is missing: install it from https://www.mozilla.org/firefox, or set FIREFOX \
             to the path of the program"
        )
        .into());
    }
    debian::install(&["firefox-esr"], MISSING)
        .map_err(|error| format!("{error}; or set FIREFOX to the path of the program"))?;
    firefox()?.ok_or_else(|| "firefox-esr is installed but not on PATH".into())
}

impl Firefox {
    /// See [`capabilities`].
    ///
    /// The preferences in that file keep Firefox from making requests that are not a test's, from delaying a
    /// connection to where one has failed, and from keeping idle HTTP connections for its usual 115 s: the
    /// test runner's server sometimes serves a request only after such a connection has ended (measured: 4 of
    /// 42 page loads took 115 s).
    pub(crate) fn capabilities(&self) -> Result<PathBuf> {
        capabilities("moz:firefoxOptions", &self.firefox)
    }
}
