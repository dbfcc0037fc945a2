//! Packages of the operating system: installed as root on Debian, otherwise only named.

use std::path::Path;
use std::process::Command;

use crate::{Result, process, say};

/// Installs packages with apt.
///
/// # Errors
///
/// If xtask may not install them, with the command for the user; `purpose` says what they are for.
pub(crate) fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let names = packages.join(" ");
    if !is_debian() {
        return Err(format!(
            "{purpose} is missing. On Debian, `apt-get install {names}` installs it; on another \
             system, use its package manager"
        )
        .into());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(format!(
            "{purpose} is missing, and only root may install it: \
             sudo apt-get update && sudo apt-get install --no-install-recommends {names}"
        )
        .into());
    }
    say(format_args!(
        "installing {purpose} into the system: apt-get install {names}"
    ));
    // Missing or outdated package lists are the usual cause of failure, and loading them is slow: so only
    // then.
    if packages.iter().any(|package| !is_known(package)) {
        process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    }
    // If packages of the user would have to go, that is for the user to decide.
    let install = || {
        process::run(
            Command::new("apt-get")
                .args([
                    "install",
                    "--quiet",
                    "--yes",
                    "--no-install-recommends",
                    "--no-remove",
                ])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    install().or_else(|_| {
        process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
        install()
    })
}

/// Whether this is Debian itself. Its derivatives differ in what matters here: Ubuntu's `chromium` package,
/// for one, is an empty wrapper around a snap.
pub(crate) fn is_debian() -> bool {
    std::fs::read_to_string("/etc/os-release").is_ok_and(|text| names_debian(&text))
        && Path::new("/usr/bin/apt-get").is_file()
}

fn names_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .any(|line| matches!(line, "ID=debian" | "ID=\"debian\""))
}

fn is_known(package: &str) -> bool {
    let mut command = Command::new("apt-cache");
    process::capture(command.args(["show", "--quiet", "--no-all-versions", package])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_counts() {
        assert!(names_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(!names_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(!names_debian("VERSION_ID=12\n"));
    }
}
