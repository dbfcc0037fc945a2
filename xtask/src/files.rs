//! The file system, with errors that name the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Result;

fn named(action: &str, path: &Path) -> impl FnOnce(io::Error) -> String {
    let what = format!("cannot {action} {}", path.display());
    move |error| format!("{what}: {error}")
}

pub(crate) fn read(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path).map_err(named("read", path))?)
}

/// Writes a file, creating its parent folders.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    Ok(fs::write(path, content).map_err(named("write", path))?)
}

pub(crate) fn create_folder(path: &Path) -> Result<()> {
    Ok(fs::create_dir_all(path).map_err(named("create the folder", path))?)
}

pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        create_folder(folder)?;
    }
    fs::copy(from, to).map_err(named("copy", from))?;
    Ok(())
}

pub(crate) fn remove_file(path: &Path) -> Result<()> {
    Ok(fs::remove_file(path).map_err(named("remove", path))?)
}

/// Removes a folder with its contents; a missing one is not an error.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(named("remove", path)(error).into())
        }
        _ => Ok(()),
    }
}

/// All files below a folder, as sorted paths relative to it. Symbolic links are not followed.
pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    fn collect(root: &Path, relative: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        let folder = root.join(relative);
        for entry in fs::read_dir(&folder).map_err(named("list", &folder))? {
            let entry = entry.map_err(named("list", &folder))?;
            let path = relative.join(entry.file_name());
            if entry.file_type().map_err(named("look at", &path))?.is_dir() {
                collect(root, &path, found)?;
            } else {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    collect(folder, Path::new(""), &mut found)?;
    found.sort();
    Ok(found)
}

/// Copies all files below a folder.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    below(from)?
        .iter()
        .try_for_each(|file| copy(&from.join(file), &to.join(file)))
}

/// Records what an output was built from, so that it is rebuilt only if that has changed.
pub(crate) struct Stamp {
    path: PathBuf,
    content: String,
}

impl Stamp {
    /// `content` describes the inputs; it is compared verbatim.
    pub(crate) fn new(path: PathBuf, content: String) -> Self {
        Self { path, content }
    }

    /// Whether the output was built from the same inputs.
    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|found| found == self.content)
    }

    /// Call this before touching the output: a half-built one must not look complete.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(named("remove", &self.path)(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Call this when the output is complete.
    pub(crate) fn set(&self) -> Result<()> {
        write(&self.path, &self.content)
    }
}

/// Finds a program on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// `PATH` with these folders in front. A folder that cannot be in `PATH`, because its name has a colon,
/// leaves `PATH` unchanged.
pub(crate) fn path_with(folders: impl IntoIterator<Item = PathBuf>) -> std::ffi::OsString {
    let present = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.into_iter().chain(std::env::split_paths(&present));
    std::env::join_paths(all).unwrap_or(present)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        remove_folder(&folder).unwrap();
        folder
    }

    #[test]
    fn a_stamp_is_current_only_for_the_same_content_and_only_when_set() {
        let folder = scratch("stamp");
        let stamp = |content: &str| Stamp::new(folder.join("stamp"), content.into());
        assert!(!stamp("a").is_current());
        stamp("a").set().unwrap();
        assert!(stamp("a").is_current());
        assert!(!stamp("b").is_current());
        stamp("b").remove().unwrap();
        assert!(!stamp("a").is_current());
        stamp("a").remove().unwrap();
        remove_folder(&folder).unwrap();
    }

    #[test]
    fn copying_a_folder_keeps_what_lies_below_it() {
        let folder = scratch("copy");
        write(&folder.join("from/b/c.txt"), "c").unwrap();
        write(&folder.join("from/a.txt"), "a").unwrap();
        copy_folder(&folder.join("from"), &folder.join("to")).unwrap();
        let expected = vec![PathBuf::from("a.txt"), PathBuf::from("b/c.txt")];
        assert_eq!(below(&folder.join("to")).unwrap(), expected);
        remove_folder(&folder).unwrap();
    }

    #[test]
    fn an_error_names_the_file() {
        let error = read(Path::new("no/such/file")).unwrap_err().to_string();
        assert!(error.contains("no/such/file"), "{error}");
    }
}
