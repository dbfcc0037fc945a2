//! What esbuild makes of JavaScript for the npm package.

use std::path::{Path, PathBuf};

use crate::tools::node;
use crate::{Result, checkout, files, process};

/// Bundles what the npm package uses of the MessagePack library into one file, with the library's licence at
/// the top.
///
/// # Errors
///
/// esbuild's error, or the file that cannot be read.
pub(crate) fn bundle_msgpack(output: &Path) -> Result<()> {
    const LIBRARY: &str = "@msgpack/msgpack";
    let modules = node::modules();
    let license = files::read(&modules.join(LIBRARY).join("LICENSE"))?;
    let mut esbuild = node::command("esbuild");
    esbuild
        .arg(checkout::path("xtask/node/msgpack.js"))
        .args(["--bundle", "--format=esm", "--target=es2022"])
        .args(["--legal-comments=none", "--log-level=warning"])
        .arg(format!(
            "--inject:{}",
            checkout::path("xtask/node/text.js").display()
        ))
        .arg(format!(
            "--banner:js=/*! {LIBRARY}\n\n{}\n*/",
            license.trim()
        ))
        .arg(format!("--outfile={}", output.display()))
        // Where the entry's imports are resolved, since nothing is installed beside it.
        .env("NODE_PATH", modules);
    process::run(&mut esbuild)?;
    files::write(output, without_methods(&files::read(output)?)?)
}

/// Methods of the MessagePack library that this package does not call, which bundlers keep with their classes.
const UNUSED_METHODS: [&str; 8] = [
    "  encodeSharedRef(",
    "  appendBuffer(",
    "  *decodeMulti(",
    "  async decodeAsync(",
    "  decodeArrayStream(",
    "  decodeStream(",
    "  async *decodeMultiAsync(",
    "  readArraySize(",
];

/// JavaScript without these methods.
///
/// # Errors
///
/// When one of them is not there.
fn without_methods(javascript: &str) -> Result<String> {
    let mut left = UNUSED_METHODS.to_vec();
    let mut is_inside = false;
    let mut kept = String::with_capacity(javascript.len());
    for line in javascript.split_inclusive('\n') {
        if let Some(at) = left.iter().position(|method| line.starts_with(method)) {
            left.remove(at);
            is_inside = true;
        }
        if !is_inside {
            kept.push_str(line);
        }
        is_inside &= line.trim_end() != "  }";
    }
    match left.first() {
        Some(method) => Err(format!("the MessagePack library no longer has `{method}`").into()),
        None => Ok(kept),
    }
}

/// Translates modules in a folder into CommonJS, each into a file at the same place in another folder.
///
/// # Errors
///
/// esbuild's error.
pub(crate) fn to_commonjs(folder: &Path, modules: &[PathBuf], output: &Path) -> Result<()> {
    let mut esbuild = node::command("esbuild");
    esbuild
        .args(
            modules
                .iter()
                .map(|module| format!("./{}", module.display())),
        )
        .args(["--format=cjs", "--platform=node", "--target=node20"])
        .args(["--outbase=.", "--log-level=warning"])
        .arg(format!("--outdir={}", output.display()))
        .current_dir(folder);
    process::run(&mut esbuild)
}
