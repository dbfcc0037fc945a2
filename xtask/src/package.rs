//! The npm package: wasm-pack's output for `client-wasm`, with the entries, declarations and manifest of the
//! published package.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::Stamp;
use crate::tools::wasm_std::{self, WasmStd};
use crate::tools::{self, Tools, node};
use crate::{Result, both, checkout, esbuild, files, process, say};

/// A crate that wasm-pack builds into a WebAssembly module.
pub(crate) struct Module {
    /// The crate's folder.
    folder: &'static str,
    /// The name of the output folder in `target`.
    output: &'static str,
    /// The crate's features.
    features: &'static [&'static str],
    /// Its source files and folders, besides the tools and what all modules share.
    sources: &'static [&'static str],
    /// What wasm-bindgen's JavaScript is for: `web` loads the module by itself, `bundler` leaves that to others.
    target: &'static str,
}

/// The sources that all modules share.
const SOURCES: [&str; 4] = ["Cargo.lock", "Cargo.toml", "client", "protocol"];

/// The package's module.
const FACE: Module = Module {
    folder: "client-wasm",
    output: "wasm-pack",
    features: &[],
    sources: &[
        "client-wasm/.cargo",
        "client-wasm/Cargo.toml",
        "client-wasm/js",
        "client-wasm/src",
    ],
    target: "web",
};

/// The module of the entry with sessions.
const SESSION_FACE: Module = Module {
    output: "wasm-pack-session",
    features: &["session"],
    ..FACE
};

/// The folder of the entry with sessions, in the package.
const SESSION: &str = "session";

/// The example of a class exported for an endpoint.
pub(crate) const TYPED_HELLO: Module = Module {
    folder: "examples/typed-hello",
    output: "typed-hello",
    features: &[],
    sources: &["client-export", "examples/typed-hello"],
    target: "web",
};

/// The exported classes for the tests.
pub(crate) const EXPORT_MESSAGES: Module = Module {
    folder: "tests/npm/export/messages",
    output: "export-messages",
    features: &[],
    sources: &["client-export", "tests/npm/export/messages"],
    target: "web",
};

/// The server's half of a session, for the test kit.
const SERVER_HALF: Module = Module {
    folder: "kit-wasm",
    output: "server-half",
    features: &[],
    sources: &["kit-wasm"],
    target: "bundler",
};

/// The module in the package: beside its JavaScript, so that a bundle looks for it next to itself.
const WASM: &str = "steady-socket.wasm";

/// Likewise, of the entry with sessions: another name, so that a bundle can have both beside it.
const SESSION_WASM: &str = "steady-socket-session.wasm";

/// The licence texts that every published package carries. Its readme is separate.
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Where the package is assembled.
pub(crate) fn folder() -> PathBuf {
    checkout::path("target/package")
}

/// Builds the outdated parts of the package.
///
/// # Errors
///
/// If a tool is unavailable or the code does not compile.
pub(crate) fn build() -> Result<()> {
    let wasm_std = wasm_std::ensure()?;
    let ((), tools) = both(|| compile(&wasm_std), tools::for_package)?;
    let wasm = FACE.build(&tools)?;
    let session_wasm = SESSION_FACE.build(&tools)?;
    let server_half = SERVER_HALF.build(&tools)?;
    let package = folder();
    files::remove_folder(&package)?;
    assemble_module(&wasm, &package, WASM)?;
    for name in LICENSES {
        files::copy(&checkout::path(name), &package.join(name))?;
    }
    files::copy_folder(&checkout::path("client-wasm/npm"), &package)?;
    esbuild::bundle_msgpack(&package.join("typed/vendor/msgpack.js"))?;
    add_server_half(&server_half, &package.join(SERVER_HALF_FOLDER))?;
    add_commonjs(&package)?;
    let session = package.join(SESSION);
    assemble_module(&session_wasm, &session, SESSION_WASM)?;
    files::remove_file(&session.join("wasm/steady_socket_wasm.d.ts"))?;
    for file in OF_BOTH {
        let text = files::read(&package.join(file))?;
        let own = text
            .replace(WASM, SESSION_WASM)
            .replace("steady-socket/inline", "steady-socket/session/inline");
        files::write(&session.join(file), &own)?;
    }
    let typed = package.join("typed");
    for file in files::below(&typed)? {
        if file.extension().is_some_and(|end| end == "js") || file == Path::new(OWN_DECLARATIONS) {
            files::copy(&typed.join(&file), &session.join("typed").join(&file))?;
        }
    }
    files::copy_folder(&checkout::path("client-wasm/npm-session"), &session)?;
    let version = env!("CARGO_PKG_VERSION");
    files::write(
        &package.join("package.json"),
        manifest(version, &files::below(&package)?),
    )
}

/// The only declarations in `typed` that the folder of the entry with sessions has a copy of, since an entry names them.
/// The others of that entry refer to those of the package.
const OWN_DECLARATIONS: &str = "msgpack.d.ts";

/// What the entry with sessions has a copy of, besides the typed sockets.
const OF_BOTH: [&str; 3] = ["loader.js", "file.js", "embedded.js"];

/// Assembles wasm-pack's output, with the module both as a file and embedded.
fn assemble_module(wasm: &Path, package: &Path, name: &str) -> Result<()> {
    let module = package.join(name);
    for file in files::below(wasm)? {
        let (from, to) = (wasm.join(&file), package.join("wasm").join(&file));
        match file.to_str() {
            Some("steady_socket_wasm_bg.wasm") => files::copy(&from, &module)?,
            // The module's exports are private.
            Some("steady_socket_wasm_bg.wasm.d.ts") => {}
            Some("steady_socket_wasm.d.ts") => {
                files::write(&to, without_loading(&files::read(&from)?))?;
            }
            _ => files::copy(&from, &to)?,
        }
    }
    process::run(
        Command::new("node")
            .arg(checkout::path("xtask/node/glue.mjs"))
            .arg(&module)
            .arg(package.join("wasm/steady_socket_wasm.js"))
            .arg(env!("CARGO_PKG_VERSION"))
            .arg(node::modules()),
    )?;
    let embed = checkout::path("xtask/node/embed.mjs");
    let embedded = package.join("embedded-module.js");
    process::run(Command::new("node").arg(embed).arg(module).arg(embedded))
}

/// The folder of the server's half, in the package.
const SERVER_HALF_FOLDER: &str = "testing/server-half";

/// Adds the server's half for the test kit: its JavaScript, and the module embedded, so that a test has it at once.
fn add_server_half(wasm: &Path, folder: &Path) -> Result<()> {
    let name = "server_half_bg.js";
    let glue = files::read(&wasm.join(name))?;
    files::write(&folder.join(name), &touching_nothing(&glue)?)?;
    let embed = checkout::path("xtask/node/embed.mjs");
    let module = wasm.join("server_half_bg.wasm");
    let embedded = folder.join("module.js");
    let mut node = Command::new("node");
    process::run(node.arg(embed).arg(module).arg(embedded).arg("--as-it-is"))
}

/// wasm-bindgen makes its decoder and its encoder of texts when it is imported. Importing the test kit uses nothing of the
/// platform.
fn touching_nothing(glue: &str) -> Result<String> {
    const CODERS: [(&str, &str, &str); 2] = [
        (
            "let cachedTextDecoder = ",
            "function decodeText(",
            "const decodeText = (bytes) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);\n",
        ),
        (
            "const cachedTextEncoder = ",
            "if (!('encodeInto' in cachedTextEncoder)) {",
            "const cachedTextEncoder = {\n    encode: (text) => new TextEncoder().encode(text),\n    \
             encodeInto: (text, bytes) => new TextEncoder().encodeInto(text, bytes),\n};\n",
        ),
    ];
    let mut glue = glue.to_owned();
    for (from, last, instead) in CODERS {
        let (before, rest) = glue
            .split_once(from)
            .ok_or_else(|| format!("the glue has no `{from}`"))?;
        let (_, rest) = rest
            .split_once(last)
            .and_then(|(_, rest)| rest.split_once("\n}\n"))
            .ok_or_else(|| format!("the glue has no end of `{last}`"))?;
        glue = [before, instead, rest].concat();
    }
    Ok(glue)
}

/// Removes wasm-bindgen's own loading, which the package lacks, from the declarations.
fn without_loading(declarations: &str) -> &str {
    let loading = "\nexport type InitInput";
    declarations
        .split_once(loading)
        .map_or(declarations, |(own, _)| own)
}

/// The folder of the CommonJS copy, for those who cannot load JavaScript modules.
const COMMONJS: &str = "cjs";

/// Modules that are hand-written for CommonJS, or not needed there.
const NOT_TRANSLATED: [&str; 6] = [
    "file.js",
    "embedded.js",
    "embedded-module.js",
    "testing/server-half/index.js",
    "testing/server-half/server_half_bg.js",
    "testing/server-half/module.js",
];

/// Translates every module into CommonJS, one by one, so that its entries share modules as the originals do.
/// The declarations are the same; the folder decides which kind a file is.
fn add_commonjs(package: &Path) -> Result<()> {
    let folder = package.join(COMMONJS);
    let mut modules = Vec::new();
    for file in files::below(package)? {
        let name = file.to_string_lossy();
        if file.starts_with(COMMONJS) || NOT_TRANSLATED.contains(&&*name) {
            continue;
        }
        if name.ends_with(".d.ts") {
            files::copy(&package.join(&file), &folder.join(&file))?;
        } else if name.ends_with(".js") {
            modules.push(file);
        }
    }
    esbuild::to_commonjs(package, &modules, &folder)
}

/// Compiles in advance what wasm-pack needs, with the same settings.
fn compile(wasm_std: &WasmStd) -> Result<()> {
    let mut cargo = wasm_std.cargo("build");
    // Where wasm-pack starts it, too, and where its settings are.
    cargo.current_dir(checkout::path(FACE.folder));
    cargo.args([
        "--quiet",
        "--lib",
        "--release",
        "--package",
        "steady-socket-wasm",
    ]);
    process::run(cargo.args(["--target", wasm_std::TARGET]))
}

impl Module {
    /// Runs wasm-pack, unless its result was built from the same sources by the same tools: cargo would
    /// notice that too, but wasm-opt would run again. Returns the folder of the result.
    ///
    /// # Errors
    ///
    /// If the code does not compile.
    pub(crate) fn build(&self, tools: &Tools) -> Result<PathBuf> {
        let output = checkout::path("target").join(self.output);
        let content = format!("{:016x}\n{}\n", hash_of(self.sources)?, tools.description);
        let stamp = checkout::path("target/xtask").join(format!("{}-stamp", self.output));
        let stamp = Stamp::new(stamp, content);
        if stamp.is_current() && output.is_dir() {
            return Ok(output);
        }
        say(format_args!(
            "building {} into target/{}",
            self.folder, self.output
        ));
        stamp.remove()?;
        files::remove_folder(&output)?;
        let mut wasm_pack = tools.wasm_pack("build");
        // The manifest, the readme and the ignore file are made for a package of this output alone.
        wasm_pack.args([
            "--release",
            "--target",
            self.target,
            "--no-pack",
            "--no-gitignore",
            "--out-dir",
        ]);
        wasm_pack.arg(&output).arg(self.folder);
        if !self.features.is_empty() {
            wasm_pack.arg("--features").arg(self.features.join(","));
        }
        process::run(&mut wasm_pack)?;
        stamp.set()?;
        Ok(output)
    }
}

/// A hash of the shared sources, and of further files and folders.
///
/// # Errors
///
/// If one of them cannot be read.
pub(crate) fn hash_of(sources: &[&str]) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut add = |path: &Path| -> Result<()> {
        path.hash(&mut hasher);
        let content = std::fs::read(checkout::root().join(path))
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        content.hash(&mut hasher);
        Ok(())
    };
    for source in SOURCES.iter().chain(sources).map(Path::new) {
        let found = checkout::root().join(source);
        if found.is_dir() {
            for file in files::below(&found)? {
                add(&source.join(file))?;
            }
        } else {
            add(source)?;
        }
    }
    Ok(hasher.finish())
}

/// The entries: their names, their files without extension, and the file for bundlers whose output runs in Node, where
/// it would not find the file of the WebAssembly module.
const ENTRIES: [(&str, &str, &str); 6] = [
    (".", "index", "inline"),
    ("./inline", "inline", "inline"),
    ("./websocket", "websocket", "websocket-inline"),
    ("./websocket/inline", "websocket-inline", "websocket-inline"),
    ("./msgpack", "typed/msgpack", "typed/msgpack"),
    ("./testing", "testing/index", "testing/index"),
];

/// The entries with sessions, likewise. They are JavaScript modules alone.
const SESSION_ENTRIES: [(&str, &str, &str); 3] = [
    ("./session", "session/index", "session/inline"),
    ("./session/inline", "session/inline", "session/inline"),
    (
        "./session/msgpack",
        "session/typed/msgpack",
        "session/typed/msgpack",
    ),
];

/// An entry of `exports` without a CommonJS copy.
fn module_entry((name, file, in_node): (&str, &str, &str)) -> String {
    let target =
        |file: &str| format!(r#"{{ "types": "./{file}.d.ts", "default": "./{file}.js" }}"#);
    let (module, node) = (target(file), target(in_node));
    format!(
        r#"    "{name}": {{
      "module": {{ "node": {node}, "default": {module} }},
      "default": {module}
    }},
"#
    )
}

/// An entry of `exports`. Bundlers know `module`, and a Node that can `require` modules knows `module-sync`:
/// both get the modules either way, so that no program has two copies of the classes. Only older Nodes and
/// jest get `require`.
fn entry((name, file, in_node): (&str, &str, &str)) -> String {
    let target =
        |file: &str| format!(r#"{{ "types": "./{file}.d.ts", "default": "./{file}.js" }}"#);
    let module = target(file);
    let bundled = if in_node == file {
        module.clone()
    } else {
        format!(r#"{{ "node": {}, "default": {module} }}"#, target(in_node))
    };
    let commonjs = target(&format!("{COMMONJS}/{file}"));
    format!(
        r#"    "{name}": {{
      "module": {bundled},
      "module-sync": {module},
      "require": {commonjs},
      "default": {module}
    }},
"#
    )
}

/// `package.json`. It lists everything in the package by name, so that npm packs exactly what was assembled
/// here.
fn manifest(version: &str, files: &[PathBuf]) -> String {
    let list: Vec<_> = files
        .iter()
        .map(|file| format!("    \"{}\"", file.display()))
        .collect();
    let list = list.join(",\n");
    let entries = ENTRIES.map(entry).concat() + &SESSION_ENTRIES.map(module_entry).concat();
    let entries = entries.trim_end();
    let license = env!("CARGO_PKG_LICENSE");
    let repository = env!("CARGO_PKG_REPOSITORY");
    format!(
        r#"{{
  "name": "steady-socket",
  "version": "{version}",
  "description": "A WebSocket that reconnects, for browsers and servers: a drop-in class, and typed sockets",
  "type": "module",
  "exports": {{
{entries}
    "./{WASM}": "./{WASM}",
    "./{SESSION_WASM}": "./{SESSION}/{SESSION_WASM}",
    "./package.json": "./package.json"
  }},
  "types": "./index.d.ts",
  "files": [
{list}
  ],
  "sideEffects": [
    "./index.js",
    "./inline.js",
    "./websocket.js",
    "./websocket-inline.js",
    "./file.js",
    "./embedded.js",
    "./cjs/*.js",
    "./session/index.js",
    "./session/inline.js",
    "./session/file.js",
    "./session/embedded.js"
  ],
  "license": "{license}",
  "repository": {{
    "type": "git",
    "url": "git+{repository}.git",
    "directory": "client-wasm"
  }},
  "homepage": "{repository}#readme",
  "bugs": "{repository}/issues",
  "keywords": [
    "websocket",
    "reconnect",
    "reconnecting-websocket",
    "backoff",
    "heartbeat",
    "offline-queue",
    "typed",
    "msgpack",
    "standard-schema",
    "wasm"
  ],
  "engines": {{
    "node": ">=20.16"
  }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_lists_every_file() {
        let files = ["LICENSE-MIT", "index.js", "wasm/a_bg.wasm"];
        let manifest = manifest("1.2.3", &files.map(PathBuf::from));
        assert!(manifest.contains("\"version\": \"1.2.3\""), "{manifest}");
        let list =
            "\"files\": [\n    \"LICENSE-MIT\",\n    \"index.js\",\n    \"wasm/a_bg.wasm\"\n  ]";
        assert!(manifest.contains(list), "{manifest}");
    }
}
