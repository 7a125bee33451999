//! Downloads, kept below `~/.cache/zombie-trace` and checked by digest before each use.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const DIGESTS: &str = "SHA256SUMS";

pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let base = base.context("no place for downloads: neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(base.join("zombie-trace").join(name))
}

/// Makes sure that a folder exists, complete and as downloaded.
///
/// Otherwise, or to renew it, `make` creates it: it gets a scratch folder, and returns the folder in it to keep.
pub(crate) fn keep(home: &Path, anew: bool, make: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<()> {
    if !anew && home.exists() {
        match check(home) {
            Ok(()) => return Ok(()),
            Err(error) => println!("discard  {}: {error:#}", home.display()),
        }
    }
    let cache = home.parent().context("a folder of the cache lies in the cache")?;
    fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
    // Completed beside its place and then moved there, so that the cache has only complete folders.
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let scratch = Scratch(cache.join(format!(".{name}-{}", std::process::id())));
    fs::create_dir_all(&scratch.0).with_context(|| scratch.0.display().to_string())?;
    let made = make(&scratch.0)?;
    write_digests(&made)?;
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| home.display().to_string())?;
    }
    fs::rename(&made, home).with_context(|| home.display().to_string())?;
    check(home)
}

fn write_digests(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    files(folder, Path::new(""), &mut names)?;
    if names.is_empty() {
        bail!("nothing was downloaded");
    }
    let output = Command::new("sha256sum").arg("--").args(&names).current_dir(folder).output();
    let output = output.context("sha256sum could not be started")?;
    if !output.status.success() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::write(folder.join(DIGESTS), output.stdout).with_context(|| folder.display().to_string())
}

/// The files below a folder, without following links.
fn files(root: &Path, below: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, below.join(entry.file_name()));
        if kind.is_dir() {
            files(root, &name, names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// Whether a folder's content is unchanged.
fn check(home: &Path) -> Result<()> {
    let check = Command::new("sha256sum").args(["--check", "--strict", "--status", DIGESTS]).current_dir(home).status();
    if !check.context("sha256sum could not be started")?.success() {
        bail!("its digest is not that of what was downloaded");
    }
    Ok(())
}

/// A folder, removed on drop.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own folder.
    fn place(name: &str) -> Scratch {
        let folder = env::temp_dir().join(format!("zombie-trace-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    fn make(content: &'static str) -> impl FnOnce(&Path) -> Result<PathBuf> {
        move |scratch| {
            let made = scratch.join("made");
            fs::create_dir_all(made.join("below"))?;
            fs::write(made.join("below/file"), content)?;
            Ok(made)
        }
    }

    #[test]
    fn what_is_whole_is_kept_and_what_was_changed_is_brought_anew() {
        let cache = place("keep");
        let home = cache.0.join("home");
        let content = || fs::read_to_string(home.join("below/file")).unwrap();
        keep(&home, false, make("one")).unwrap();
        keep(&home, false, make("two")).unwrap();
        assert_eq!(content(), "one");
        keep(&home, true, make("three")).unwrap();
        assert_eq!(content(), "three");
        fs::write(home.join("below/file"), "damaged").unwrap();
        keep(&home, false, make("four")).unwrap();
        assert_eq!(content(), "four");
        // Nothing is left beside it.
        assert_eq!(fs::read_dir(&cache.0).unwrap().count(), 1);
    }

    #[test]
    fn a_download_that_fails_leaves_what_was_there() {
        let cache = place("fails");
        let home = cache.0.join("home");
        keep(&home, false, make("one")).unwrap();
        assert!(keep(&home, true, |_| bail!("no network")).is_err());
        assert!(keep(&cache.0.join("empty"), true, |scratch| Ok(scratch.to_owned())).is_err());
        assert_eq!(fs::read_to_string(home.join("below/file")).unwrap(), "one");
    }
}
