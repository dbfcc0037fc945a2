//! Programs of the operating system.

use std::env;
use std::path::PathBuf;

use crate::tools::debian;
use crate::{Result, files};

/// A program that the user may have, or Debian.
pub(crate) struct Program {
    /// The environment variable that names it.
    pub(crate) variable: &'static str,
    /// Its names on `PATH`, and its places elsewhere.
    pub(crate) names: &'static [&'static str],
    /// The package of Debian.
    pub(crate) package: &'static str,
    pub(crate) what: &'static str,
}

impl Program {
    /// The program that the environment names, or one that is installed, or one that is installed now.
    ///
    /// # Errors
    ///
    /// What is missing and how to install it.
    pub(crate) fn ensure(&self) -> Result<PathBuf> {
        if let Some(named) = named_by(self.variable)? {
            return Ok(named);
        }
        let found = || self.names.iter().find_map(|name| files::on_path(name));
        if let Some(found) = found() {
            return Ok(found);
        }
        let Self {
            variable, package, ..
        } = self;
        debian::install(&[package], self.what)
            .map_err(|error| format!("{error}; or set {variable} to the path of the program"))?;
        found().ok_or_else(|| format!("{package} is installed but not on PATH").into())
    }
}

/// The program that an environment variable names. If that is missing, it is an error: the user wanted that
/// one and no other.
///
/// # Errors
///
/// If the variable names no file.
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
