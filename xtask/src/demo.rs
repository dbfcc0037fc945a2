//! The demo: the page, the package it uses, and the server for both.

use std::path::PathBuf;

use crate::server::{Output, Server};
use crate::{Result, both, checkout, files, package, ports, say, server, tools};

/// Builds what is outdated, then serves the demo page on 127.0.0.1 until it is stopped.
///
/// # Errors
///
/// If a build fails or the server does not run.
pub(crate) fn run(port: u16) -> Result<()> {
    // The server would report this too, but only after everything has been built.
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

/// Copies the page, the package, which must have been built, and the module of the typed example to where the
/// server serves them.
///
/// # Errors
///
/// If the example does not compile or a file cannot be copied.
pub(crate) fn assemble_page() -> Result<PathBuf> {
    let typed = package::TYPED_HELLO.build(&tools::for_package()?)?;
    let page = page_folder();
    files::remove_folder(&page)?;
    files::copy_folder(&checkout::path("www"), &page)?;
    files::copy_folder(&package::folder(), &page.join("pkg"))?;
    files::copy_folder(&typed, &typed_hello())?;
    Ok(page)
}

/// The folder of the typed example's module in the page.
pub(crate) fn typed_hello() -> PathBuf {
    page_folder().join("typed")
}

fn page_folder() -> PathBuf {
    checkout::path("target/www")
}
