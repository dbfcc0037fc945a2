//! The demo: the page, the package that it is built on, and the server for both.

use std::path::PathBuf;

use crate::server::{Output, Server};
use crate::{Result, both, checkout, files, package, ports, say, server};

/// Builds what is outdated, then serves the demo page on 127.0.0.1 until it is stopped.
///
/// # Errors
///
/// What could not be built, or why the server does not run.
pub(crate) fn run(port: u16) -> Result<()> {
    // The server would say so too, but only after all has been built.
    ports::check(port)?;
    both(server::build, package::build)?;
    let page = assemble_page()?;
    let port = port.to_string();
    let options = [
        "--demo-control",
        "--port",
        &port,
        "--www",
        &page.to_string_lossy(),
    ];
    let server = Server::start(&options, Output::Shown)?;
    say(format_args!(
        "open {} in a browser; Ctrl-C stops the server",
        server.http()
    ));
    server.wait()
}

/// Puts the page and the package, which must have been built, where the server can serve both.
pub(crate) fn assemble_page() -> Result<PathBuf> {
    let page = checkout::path("target/www");
    files::remove_folder(&page)?;
    files::copy_folder(&checkout::path("www"), &page)?;
    files::copy_folder(&package::folder(), &page.join("pkg"))?;
    Ok(page)
}
