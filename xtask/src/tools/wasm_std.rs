//! The wasm32 standard library: rustup's, or one built from Debian's compiler packages.
//!
//! The second is for networks that reach Debian's mirrors but not rustup's server. It is kept with everything
//! else under `target/tools` and used only for the wasm builds, through a folder of compiler wrappers that
//! comes first in their `PATH`; neither `/usr` nor rustup is changed.

use std::env;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::Stamp;
use crate::tools::debian;
use crate::{Result, checkout, files, process, say};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The environment variable for the user's choice.
const CHOICE: &str = "STEADY_SOCKET_WASM_STD";

/// A compiler that can compile for wasm32.
pub(crate) struct WasmStd {
    /// The compiler's own version string, to detect outdated outputs.
    pub(crate) compiler: String,
    /// The folder with the sysroot, unless it is the default compiler's own.
    sysroot: Option<PathBuf>,
}

/// Finds a compiler with a wasm32 standard library, or installs the library.
///
/// # Errors
///
/// What was tried and what can be done.
pub(crate) fn ensure() -> Result<WasmStd> {
    match env::var(CHOICE).as_deref() {
        Err(_) | Ok("" | "auto") => {}
        Ok("rustup") => return from_rustup(),
        Ok("debian") => return from_debian(),
        Ok(other) => {
            return Err(format!("{CHOICE} is `{other}`; use rustup, debian or auto").into());
        }
    }
    if let Some(present) = present()? {
        return Ok(present);
    }
    // Once it was needed, asking rustup's server each time would only take time.
    if stamp(&sysroot(), &debian_compiler().unwrap_or_default()).is_current() {
        return from_debian();
    }
    from_rustup().or_else(|error| {
        say(format_args!("{error}; trying Debian's compiler instead"));
        from_debian().map_err(|second| {
            format!(
                "the standard library for {TARGET} is not available.\n  From rustup: {error}\n  From \
                 Debian: {second}"
            )
            .into()
        })
    })
}

/// The default compiler, if it has the library: from rustup, or packaged by a distribution.
fn present() -> Result<Option<WasmStd>> {
    let sysroot = process::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib");
    if !library.is_dir() {
        return Ok(None);
    }
    let compiler = process::capture(Command::new("rustc").arg("--version"))?;
    Ok(Some(WasmStd {
        compiler,
        sysroot: None,
    }))
}

fn from_rustup() -> Result<WasmStd> {
    if let Some(present) = present()? {
        return Ok(present);
    }
    say(format_args!(
        "adding the target {TARGET} to rustup's toolchain"
    ));
    process::run(Command::new("rustup").args(["target", "add", TARGET]))?;
    present()?.ok_or_else(|| {
        format!("rustup has added {TARGET}, but to another toolchain than that of `rustc`").into()
    })
}

fn sysroot() -> PathBuf {
    checkout::tools().join("wasm-sysroot")
}

fn stamp(sysroot: &Path, compiler: &str) -> Stamp {
    Stamp::new(sysroot.join("compiler"), compiler.into())
}

/// The version string of Debian's compiler, if installed.
fn debian_compiler() -> Result<String> {
    process::capture(debian_command("rustc").arg("--version"))
}

/// A command that runs one of Debian's programs, shielded from rustup's environment.
fn debian_command(program: &str) -> Command {
    let mut command = Command::new(Path::new("/usr/bin").join(program));
    hide_rustup(&mut command);
    command
}

/// Removes from a command's environment what rustup and cargo set for their children.
fn hide_rustup(command: &mut Command) {
    for variable in [
        "CARGO",
        "RUSTC",
        "RUSTDOC",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
    ] {
        command.env_remove(variable);
    }
}

fn from_debian() -> Result<WasmStd> {
    // rust-web-clippy is for the checks; it is small compared with the rest.
    const PACKAGES: [&str; 5] = [
        "rustc-web",
        "cargo-web",
        "rust-web-src",
        "rust-web-llvm",
        "rust-web-clippy",
    ];
    let sysroot = sysroot();
    let needed = [
        "bin/rustc",
        "bin/cargo",
        "bin/clippy-driver",
        "lib/rustlib/src/rust/library",
    ];
    if !needed
        .iter()
        .all(|path| Path::new("/usr").join(path).exists())
    {
        debian::install(&PACKAGES, "Debian's Rust compiler for wasm")?;
    }
    // The linker is LLVM's, under a versioned name, which a dangling link reveals.
    let linker = Path::new("/usr/bin/rust-lld");
    if !linker.exists() {
        let package = std::fs::read_link(linker)
            .map_err(|error| format!("Debian's compiler has no wasm linker: {error}"))?;
        debian::install(
            &[&package.to_string_lossy()],
            "the linker of Debian's compiler",
        )?;
    }
    let compiler = debian_compiler()?;
    let stamp = stamp(&sysroot, &compiler);
    if !stamp.is_current() {
        say(format_args!(
            "building the standard library for {TARGET} into target/tools/wasm-sysroot (a minute)"
        ));
        build_sysroot(&sysroot)?;
        // What was compiled against the previous library does not fit the new one.
        files::remove_folder(&target_folder())?;
        stamp.set()?;
    }
    Ok(WasmStd {
        compiler,
        sysroot: Some(sysroot),
    })
}

/// Where cargo puts the output of Debian's compiler: the two compilers would otherwise discard each other's
/// work.
fn target_folder() -> PathBuf {
    checkout::path("target/debian")
}

fn build_sysroot(sysroot: &Path) -> Result<()> {
    files::remove_folder(sysroot)?;
    // An empty crate, so that cargo compiles only the library.
    let empty = checkout::tools().join("empty-crate");
    files::write(&empty.join("src/lib.rs"), "")?;
    files::write(
        &empty.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\", \
         \"rlib\"]\n[profile.release]\nlto = true\n[workspace]\n",
    )?;
    let target = empty.join("target");
    files::remove_folder(&target)?;
    process::run(
        debian_command("cargo")
            .args(["build", "--release", "--target", TARGET])
            .arg("-Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test")
            .current_dir(&empty)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTC", "/usr/bin/rustc")
            // Debian's is a stable compiler, on which `build-std` is available only this way.
            .env("RUSTC_BOOTSTRAP", "1")
            // Without it, link-time optimisation finds no bitcode in the library.
            .env("RUSTFLAGS", "-Cembed-bitcode=yes"),
    )?;

    let built = target.join(TARGET).join("release/deps");
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    for file in files::below(&built)? {
        let name = file.to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            files::copy(&built.join(&file), &library.join(&file))?;
        }
    }

    // Build scripts and procedural macros run on this machine, with Debian's library.
    let ask = |what| process::capture(debian_command("rustc").args(["--print", what]));
    let (host, system) = (ask("host-tuple")?, PathBuf::from(ask("sysroot")?));
    for name in [host.as_str(), "etc"] {
        let original = system.join("lib/rustlib").join(name);
        if original.exists() {
            symlink(original, sysroot.join("lib/rustlib").join(name))?;
        }
    }

    let programs = sysroot.join("bin");
    files::create_folder(&programs)?;
    for name in ["cargo", "cargo-clippy"] {
        symlink(Path::new("/usr/bin").join(name), programs.join(name))?;
    }
    for name in ["rustc", "rustdoc"] {
        let wrapper = programs.join(name);
        let quoted = sysroot.to_string_lossy().replace('\'', r"'\''");
        let script = format!("#!/bin/sh\nexec /usr/bin/{name} --sysroot '{quoted}' \"$@\"\n");
        files::write(&wrapper, script)?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
    }
    // A hundred megabytes that are no longer needed.
    files::remove_folder(&target)
}

impl WasmStd {
    /// A `cargo` command in the root of the checkout that can compile for wasm32; the caller names the
    /// target.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new("cargo");
        command.arg(subcommand);
        self.prepare(&mut command, &[]);
        command
    }

    /// Where cargo puts the output for wasm32.
    pub(crate) fn target_folder(&self) -> PathBuf {
        if self.sysroot.is_some() {
            return target_folder();
        }
        checkout::target_folder()
    }

    /// Makes a command run in the root of the checkout and find this compiler, and programs in further
    /// folders, before those of the user's `PATH`.
    pub(crate) fn prepare(&self, command: &mut Command, folders: &[PathBuf]) {
        let own = self.sysroot.as_ref().map(|sysroot| sysroot.join("bin"));
        command.current_dir(checkout::root());
        command.env(
            "PATH",
            files::path_with(own.into_iter().chain(folders.iter().cloned())),
        );
        if let Some(sysroot) = &self.sysroot {
            hide_rustup(command);
            command.env("CARGO_TARGET_DIR", target_folder());
            // The setting that Clippy reads.
            command.env("SYSROOT", sysroot);
        }
    }
}
