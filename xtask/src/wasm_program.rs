//! Rust programs for pages, for the measurements: does what wasm-pack does, with the settings of the
//! published package, for crates that need not repeat them.

use std::path::{Path, PathBuf};

use crate::files::Stamp;
use crate::tools::{Tools, wasm_std};
use crate::{Result, checkout, files, package, process, say};

/// A crate that is built into a page's program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WasmProgram {
    /// The manifest of its workspace, whose lock file applies.
    pub(crate) workspace: &'static str,
    /// The name of the crate.
    pub(crate) package: &'static str,
    /// Its build profile, and the options for wasm-opt.
    pub(crate) profile: Profile,
    /// Its source files and folders, besides the tools and what all programs share.
    pub(crate) sources: &'static [&'static str],
}

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Profile {
    /// As small as a program gets.
    Small,
    /// Fast, like cargo's own release profile.
    Speed,
    /// The same, with function names.
    Profiled,
}

impl Profile {
    /// The name for cargo.
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Speed | Self::Profiled => "speed",
        }
    }

    fn wasm_opt_flags(self) -> Result<Vec<String>> {
        match self {
            Self::Small => flags_of_package(),
            Self::Speed | Self::Profiled => {
                let mut flags = flags_of_package()?;
                flags.retain(|flag| !flag.starts_with("-O") && !flag.contains("inline"));
                flags.insert(0, "-O3".to_owned());
                if self == Self::Profiled {
                    flags.insert(0, "-g".to_owned());
                }
                Ok(flags)
            }
        }
    }
}

impl WasmProgram {
    /// The folder of the program: its glue in `PACKAGE.js`, its module in `PACKAGE_bg.wasm`.
    pub(crate) fn folder(&self) -> PathBuf {
        checkout::path("target/bench/rust").join(self.package)
    }

    /// Builds it, unless it was built from the same sources by the same tools. Returns its folder.
    ///
    /// # Errors
    ///
    /// If the code does not compile or a tool fails.
    pub(crate) fn build(&self, tools: &Tools) -> Result<PathBuf> {
        let (folder, profile) = (self.folder(), self.profile.name());
        let flags = self.profile.wasm_opt_flags()?;
        let content = format!(
            "{:016x}\n{}\n{profile} {}\n",
            package::hash_of(self.sources)?,
            tools.description,
            flags.join(" ")
        );
        let stamp = format!("target/xtask/{}-stamp", self.package);
        let stamp = Stamp::new(checkout::path(&stamp), content);
        if stamp.is_current() && folder.is_dir() {
            return Ok(folder);
        }
        say(format_args!(
            "building {} into {}",
            self.package,
            relative(&folder).display()
        ));
        stamp.remove()?;
        files::remove_folder(&folder)?;
        let compiled = self.compile(tools)?;
        let mut bindgen = tools.command("wasm-bindgen");
        bindgen.args(["--target", "web", "--no-typescript", "--out-name"]);
        bindgen.arg(self.package).arg("--out-dir").arg(&folder);
        process::run(bindgen.arg(compiled))?;
        let module = folder.join(format!("{}_bg.wasm", self.package));
        let mut wasm_opt = tools.command("wasm-opt");
        wasm_opt.args(flags).arg(&module).arg("-o").arg(&module);
        process::run(&mut wasm_opt)?;
        stamp.set()?;
        Ok(folder)
    }

    /// Returns the compiled module.
    fn compile(&self, tools: &Tools) -> Result<PathBuf> {
        let profile = self.profile.name();
        let target = tools.wasm_std.target_folder();
        let mut cargo = tools.wasm_std.cargo("build");
        cargo
            .args(["--quiet", "--locked", "--lib", "--manifest-path"])
            .arg(checkout::path(self.workspace))
            .args(["--package", self.package, "--profile", profile])
            .args(["--target", wasm_std::TARGET])
            .env("CARGO_TARGET_DIR", &target);
        process::run(&mut cargo)?;
        let name = format!("{}.wasm", self.package.replace('-', "_"));
        Ok(target.join(wasm_std::TARGET).join(profile).join(name))
    }
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix(checkout::root()).unwrap_or(path)
}

/// The options for wasm-opt that wasm-pack uses for the published package.
fn flags_of_package() -> Result<Vec<String>> {
    let manifest = files::read(&checkout::path("client-wasm/Cargo.toml"))?;
    wasm_opt_flags(&manifest).ok_or_else(|| {
        "client-wasm/Cargo.toml has no list `wasm-opt` for wasm-pack's profile `release`".into()
    })
}

/// The manifest and its formatting are our own, so this need not be a TOML parser.
fn wasm_opt_flags(manifest: &str) -> Option<Vec<String>> {
    let (_, section) = manifest.split_once("[package.metadata.wasm-pack.profile.release]")?;
    let (_, list) = section.split_once("wasm-opt = [")?;
    let (list, _) = list.split_once(']')?;
    let quoted = list.split('"').skip(1).step_by(2);
    Some(quoted.map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_the_package_are_found() {
        let flags = flags_of_package().unwrap();
        assert!(flags.iter().all(|flag| flag.starts_with('-')), "{flags:?}");
        assert!(flags.iter().any(|flag| flag.starts_with("-O")), "{flags:?}");
    }

    #[test]
    fn a_list_of_flags_is_read() {
        let manifest = "[package.metadata.wasm-pack.profile.release]\nwasm-opt = [\n    \"-Oz\",\n    \
                        \"--enable-x\",\n]\n[other]\nlist = [\"a\"]\n";
        let flags = wasm_opt_flags(manifest).unwrap();
        assert_eq!(flags, ["-Oz", "--enable-x"]);
        assert_eq!(wasm_opt_flags("[package]\n"), None);
    }

    #[test]
    fn the_peers_are_built_as_this_library() {
        let profile = |manifest: &str| {
            let manifest = files::read(&checkout::path(manifest)).unwrap();
            let lines_of = |section: &str| {
                let (_, section) = manifest.split_once(section).unwrap();
                let lines = section.lines().take_while(|line| line.contains(" = "));
                lines.map(String::from).collect::<Vec<_>>()
            };
            let mut inherited = lines_of("[profile.release]\n");
            // `small` has its own.
            inherited.retain(|line| !line.starts_with("opt-level"));
            [inherited, lines_of("[profile.small]\n")]
        };
        assert_eq!(profile("bench/rust/Cargo.toml"), profile("Cargo.toml"));
    }

    #[test]
    fn the_peers_have_the_same_wasm_bindgen() {
        let lock = files::read(&checkout::path("bench/rust/Cargo.lock")).unwrap();
        for package in ["wasm-bindgen", "js-sys", "web-sys", "serde", "serde_json"] {
            let entry = format!(
                "name = \"{package}\"\nversion = \"{}\"\n",
                checkout::locked_version(package).unwrap()
            );
            assert!(lock.contains(&entry), "{entry}");
        }
    }
}
