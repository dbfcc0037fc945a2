//! Redis, for the tests of sessions that outlive their server.

use crate::tools::debian;
use crate::{Result, files};

/// Makes sure that `redis-server` is on `PATH`, as the tests start it.
///
/// # Errors
///
/// If it is missing and cannot be installed.
pub(crate) fn ensure() -> Result<()> {
    let found = || files::on_path("redis-server").is_some();
    if found() {
        return Ok(());
    }
    debian::install(
        &["redis-server"],
        "Redis, which the tests of the server's store need,",
    )?;
    match found() {
        true => Ok(()),
        false => Err("redis-server is installed but not on PATH".into()),
    }
}
